/* A real machine and the model beside it. */
#include "tests/sim/model/model_stand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/records.h"
#include "notify/channel.h"
#include "tests/sim/judge/invariants.h"
#include "tests/support/machine_probe.h"
#include "tests/support/memory_store.h"

#define START_MS 1790000000000u
#define CLIENT_NODE 9u
/* A look at the whole state costs more than an entry. */
#define ENTRIES_PER_WALK 16u

static void *must(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static void hear_violation(void *context, const char *sentence)
{
    struct stand *stand = context;
    if (stand->violations++ == 0) {
        (void)snprintf(stand->first_violation, sizeof stand->first_violation, "%s", sentence);
    }
}

struct stand *stand_new(void)
{
    struct stand *stand = must(calloc(1, sizeof *stand));
    stand->memory = memory_store_new();
    stand->store = memory_store_view(stand->memory);
    stand->machine = machine_new();
    machine_output_init(&stand->output);
    stand->model = model_new(hear_violation, stand);
    stand->decoded = decoded_rows_new();
    stand->true_ms = START_MS;
    stand->term = 1;
    stand->node = 1;
    stand->boot = 1;
    stand->compares = true;
    tocsin__actor__init(&stand->actor);
    stand->actor.kind = TOCSIN__ACTOR_KIND__ACTOR_TOKEN;
    return stand;
}

void stand_free(struct stand *stand)
{
    while (stand->sends_count > 0) {
        stand_forget(stand, 0);
    }
    tocsin__reply__free_unpacked(stand->reply, NULL);
    decoded_rows_free(stand->decoded);
    model_free(stand->model);
    machine_output_close(&stand->output);
    machine_free(stand->machine);
    memory_store_free(stand->memory);
    free(stand->last_command);
    free(stand->sends);
    free(stand);
}

int stand_close(void **state)
{
    stand_free(*state);
    return 0;
}

/* Each machine was started at another time. */
uint64_t stand_boottime_ms(const struct stand *stand, uint64_t node)
{
    return stand->true_ms - START_MS + node * 1000003u;
}

/* ---------------------------------------------------------------- entries */

/* What is under way is one request still, and its receipt answers the later claim; what waits gives way. */
static bool is_in_hand(struct stand *stand, const struct machine_send *send, Tocsin__Notification *notification)
{
    for (size_t i = 0; i < stand->sends_count; i++) {
        struct stand_send *other = &stand->sends[i];
        if (other->notification->id == notification->id && other->node == send->claim_node &&
            other->boot == send->claim_boot && other->term == send->claim_term) {
            if (other->requested) {
                other->notification->attempt = notification->attempt;
                tocsin__notification__free_unpacked(notification, NULL);
            } else {
                tocsin__notification__free_unpacked(other->notification, NULL);
                other->notification = notification;
            }
            return true;
        }
    }
    return false;
}

static void sends_take(struct stand *stand)
{
    for (size_t i = 0; i < stand->output.sends_count; i++) {
        const struct machine_send *send = &stand->output.sends[i];
        if (stand->sends_count == stand->sends_capacity) {
            stand->sends_capacity = stand->sends_capacity == 0 ? 64 : stand->sends_capacity * 2;
            stand->sends = must(reallocarray(stand->sends, stand->sends_capacity, sizeof *stand->sends));
        }
        Tocsin__Notification *notification =
            must(tocsin__notification__unpack(NULL, send->packed.size_bytes, send->packed.data));
        if (stand->dispatches && is_in_hand(stand, send, notification)) {
            continue;
        }
        stand->sends[stand->sends_count++] = (struct stand_send){
            .notification = notification, .node = send->claim_node, .boot = send->claim_boot, .term = send->claim_term};
    }
}

static void reply_take(struct stand *stand)
{
    if (stand->output.replies_count == 0 || stand->output.replies[0].repeated) {
        return;
    }
    const struct machine_reply *answer = &stand->output.replies[0];
    tocsin__reply__free_unpacked(stand->reply, NULL);
    stand->reply = must(tocsin__reply__unpack(NULL, answer->packed.size_bytes, answer->packed.data));
}

static void compare(struct stand *stand)
{
    char sentence[1024];
    bool walks = stand->index % ENTRIES_PER_WALK == 0;
    if (!model_compare(stand->model, &stand->store, sentence, sizeof sentence) ||
        (walks && !invariants_hold(stand->decoded, &stand->store, sentence, sizeof sentence))) {
        hear_violation(stand, sentence);
    }
}

void stand_apply(struct stand *stand, ProtobufCBinaryData *commands, size_t count)
{
    Tocsin__Entry entry;
    tocsin__entry__init(&entry);
    entry.time_ms = stand->true_ms - stand->stamp_lag_ms;
    entry.proposer = stand->node;
    entry.proposer_boot = stand->boot;
    entry.proposed_boottime_ms = stand_boottime_ms(stand, stand->node);
    entry.n_commands = count;
    entry.commands = commands;
    size_t size_bytes = tocsin__entry__get_packed_size(&entry);
    uint8_t *packed = must(malloc(size_bytes));
    tocsin__entry__pack(&entry, packed);
    struct span data = {.data = packed, .size_bytes = size_bytes};
    machine_output_reset(&stand->output);
    assert_int_equal(machine_apply(stand->machine, &stand->store, stand->term, data, &stand->output), MACHINE_OK);
    const struct model_applied applied = {.true_ms = stand->true_ms,
                                          .index = ++stand->index,
                                          .term = stand->term,
                                          .data = data,
                                          .output = &stand->output,
                                          .names = &stand->store};
    if (stand->doctor != NULL) {
        stand->doctor(stand);
    }
    model_entry(stand->model, &applied);
    sends_take(stand);
    reply_take(stand);
    free(packed);
    if (stand->compares) {
        compare(stand);
    }
}

ProtobufCBinaryData stand_pack(struct stand *stand, Tocsin__Command *command)
{
    Tocsin__Origin origin;
    tocsin__origin__init(&origin);
    origin.node = CLIENT_NODE;
    origin.boot = 1;
    origin.sequence = ++stand->sequence;
    command->origin = &origin;
    command->actor = &stand->actor;
    ProtobufCBinaryData packed = {.len = tocsin__command__get_packed_size(command)};
    packed.data = must(malloc(packed.len));
    tocsin__command__pack(command, packed.data);
    command->origin = NULL;
    command->actor = NULL;
    return packed;
}

const Tocsin__Reply *stand_do(struct stand *stand, Tocsin__Command *command)
{
    ProtobufCBinaryData packed = stand_pack(stand, command);
    stand_apply(stand, &packed, 1);
    free(stand->last_command);
    stand->last_command = packed.data;
    stand->last_command_size_bytes = packed.len;
    return must(stand->reply);
}

uint64_t stand_done(struct stand *stand, Tocsin__Command *command)
{
    const Tocsin__Reply *reply = stand_do(stand, command);
    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        fail_msg("refused: %s", reply->message);
    }
    return reply->n_ids > 0 ? reply->ids[0] : 0;
}

void stand_repeat(struct stand *stand)
{
    ProtobufCBinaryData packed = {.len = stand->last_command_size_bytes, .data = stand->last_command};
    stand_apply(stand, &packed, 1);
}

/* ---------------------------------------------------------------- time and leaders */

void stand_advance(struct stand *stand, uint64_t ms)
{
    stand->true_ms += ms;
}

void stand_pulse(struct stand *stand, uint32_t limit)
{
    Tocsin__Pulse body;
    tocsin__pulse__init(&body);
    body.limit = limit;
    Tocsin__Command command = COMMAND(PULSE, pulse, body);
    (void)stand_do(stand, &command);
}

void stand_run(struct stand *stand, uint64_t ms)
{
    uint64_t end_ms = stand->true_ms + ms;
    for (uint64_t due_ms; (due_ms = machine_next_deadline_ms(&stand->store)) <= end_ms;) {
        stand->true_ms = due_ms > stand->true_ms ? due_ms : stand->true_ms;
        stand_pulse(stand, LIMIT_PULSE_DEADLINES);
    }
    stand->true_ms = end_ms;
}

void stand_new_leader(struct stand *stand, uint64_t node)
{
    stand->node = node;
    stand->term++;
}

static void claim_ids(struct stand *stand, uint64_t *ids, size_t count)
{
    Tocsin__Claim body;
    tocsin__claim__init(&body);
    body.notification_ids = ids;
    body.n_notification_ids = count;
    Tocsin__Command command = COMMAND(CLAIM, claim, body);
    (void)stand_do(stand, &command);
}

void stand_claim(struct stand *stand, uint64_t notification_id)
{
    claim_ids(stand, &notification_id, 1);
}

void stand_reclaim(struct stand *stand)
{
    uint64_t ids[LIMIT_CLAIM_NOTIFICATIONS];
    size_t count = 0;
    struct walk walk = walk_all(&stand->store, TABLE_OUTBOX);
    while (count < LIMIT_CLAIM_NOTIFICATIONS && walk_next(&walk)) {
        Tocsin__Notification *row = must(record_unpack(&tocsin__notification__descriptor, walk.value, NULL));
        if (row->state == TOCSIN__NOTIFICATION_STATE__NOTIFICATION_OWED ||
            (row->state == TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CLAIMED && row->claim_term < stand->term)) {
            ids[count++] = row->id;
        }
        tocsin__notification__free_unpacked(row, NULL);
    }
    if (count > 0) {
        claim_ids(stand, ids, count);
    }
}

/* ---------------------------------------------------------------- dispatchers */

struct model_request stand_request_of(struct stand *stand, const struct stand_send *send)
{
    static char text[8192];
    (send->notification->channel == TOCSIN__CHANNEL__CHANNEL_EMAIL ? message_long : message_short)(send->notification,
                                                                                                   text, sizeof text);
    return (struct model_request){.true_ms = stand->true_ms,
                                  .node = send->node,
                                  .boot = send->boot,
                                  .boottime_ms = stand_boottime_ms(stand, send->node),
                                  .page_id = send->notification->id,
                                  .channel = send->notification->channel,
                                  .to = send->notification->address,
                                  .text = text};
}

void stand_request(struct stand *stand, struct stand_send *send)
{
    struct model_request request = stand_request_of(stand, send);
    model_request(stand->model, &request);
    send->requested = true;
}

void stand_receipt(struct stand *stand, const struct stand_send *send, Tocsin__Outcome outcome, uint32_t retry_after_ms)
{
    Tocsin__Receipt body;
    tocsin__receipt__init(&body);
    body.notification_id = send->notification->id;
    body.attempt = send->notification->attempt;
    body.outcome = outcome;
    body.retry_after_ms = retry_after_ms;
    Tocsin__Command command = COMMAND(RECEIPT, receipt, body);
    (void)stand_do(stand, &command);
}

void stand_forget(struct stand *stand, size_t send)
{
    tocsin__notification__free_unpacked(stand->sends[send].notification, NULL);
    stand->sends_count--;
    memmove(stand->sends + send, stand->sends + send + 1, (stand->sends_count - send) * sizeof *stand->sends);
}

void stand_deliver(struct stand *stand)
{
    while (stand->sends_count > 0) {
        struct stand_send *first = &stand->sends[0];
        if (first->term == stand->term) {
            stand_request(stand, first);
            struct stand_send copy = *first;
            stand_receipt(stand, &copy, TOCSIN__OUTCOME__OUTCOME_SENT, 0);
        }
        stand_forget(stand, 0);
    }
}

void stand_run_delivering(struct stand *stand, uint64_t ms)
{
    uint64_t end_ms = stand->true_ms + ms;
    stand_deliver(stand);
    for (uint64_t due_ms; (due_ms = machine_next_deadline_ms(&stand->store)) <= end_ms;) {
        stand->true_ms = due_ms > stand->true_ms ? due_ms : stand->true_ms;
        stand_pulse(stand, LIMIT_PULSE_DEADLINES);
        stand_deliver(stand);
    }
    stand->true_ms = end_ms;
}

/* ---------------------------------------------------------------- the company */

uint64_t stand_user(struct stand *stand, const char *name)
{
    char email[128];
    (void)snprintf(email, sizeof email, "%s@example.org", name);
    Tocsin__User user;
    tocsin__user__init(&user);
    user.name = probe_text(name);
    user.email = email;
    Tocsin__UserPut body;
    tocsin__user_put__init(&body);
    body.user = &user;
    Tocsin__Command command = COMMAND(USER_PUT, user_put, body);
    return stand_done(stand, &command);
}

uint64_t stand_method(struct stand *stand, uint64_t user_id, Tocsin__Channel channel, const char *address)
{
    Tocsin__ContactMethod method;
    tocsin__contact_method__init(&method);
    method.user_id = user_id;
    method.channel = channel;
    method.address = probe_text(address);
    Tocsin__ContactMethodPut body;
    tocsin__contact_method_put__init(&body);
    body.contact_method = &method;
    Tocsin__Command command = COMMAND(CONTACT_METHOD_PUT, contact_method_put, body);
    return stand_done(stand, &command);
}

uint64_t stand_rule(struct stand *stand, uint64_t user_id, uint64_t method_id, Tocsin__Urgency urgency,
                    uint32_t delay_minutes)
{
    Tocsin__NotificationRule rule;
    tocsin__notification_rule__init(&rule);
    rule.user_id = user_id;
    rule.contact_method_id = method_id;
    rule.urgency = urgency;
    rule.start_delay_minutes = delay_minutes;
    Tocsin__NotificationRulePut body;
    tocsin__notification_rule_put__init(&body);
    body.notification_rule = &rule;
    Tocsin__Command command = COMMAND(NOTIFICATION_RULE_PUT, notification_rule_put, body);
    const Tocsin__Reply *reply = stand_do(stand, &command);
    return reply->n_ids > 0 ? reply->ids[0] : 0;
}

uint64_t stand_policy(struct stand *stand, uint64_t id, uint32_t num_loops, size_t levels_count,
                      const struct stand_level *levels)
{
    Tocsin__EscalationLevel records[LIMIT_LEVELS_PER_POLICY];
    Tocsin__EscalationLevel *list[LIMIT_LEVELS_PER_POLICY];
    uint64_t user_ids[LIMIT_LEVELS_PER_POLICY][4];
    assert_true(levels_count <= LIMIT_LEVELS_PER_POLICY);
    for (size_t i = 0; i < levels_count; i++) {
        tocsin__escalation_level__init(&records[i]);
        records[i].delay_minutes = levels[i].delay_minutes;
        records[i].round_robin = stand->by_turns;
        while (records[i].n_user_ids < 4 && levels[i].user_ids[records[i].n_user_ids] != 0) {
            user_ids[i][records[i].n_user_ids] = levels[i].user_ids[records[i].n_user_ids];
            records[i].n_user_ids++;
        }
        records[i].user_ids = user_ids[i];
        list[i] = &records[i];
    }
    char name[32];
    (void)snprintf(name, sizeof name, "Policy %llu", (unsigned long long)stand->sequence);
    Tocsin__EscalationPolicy policy;
    tocsin__escalation_policy__init(&policy);
    policy.name = name;
    policy.num_loops = num_loops;
    policy.escalate_low_urgency = stand->low_moves;
    policy.n_levels = levels_count;
    policy.levels = list;
    Tocsin__EscalationPolicyPut body;
    tocsin__escalation_policy_put__init(&body);
    body.id = id;
    body.fields = UINT64_MAX; /* so that 0 repeats mean none */
    body.escalation_policy = &policy;
    Tocsin__Command command = COMMAND(ESCALATION_POLICY_PUT, escalation_policy_put, body);
    const Tocsin__Reply *reply = stand_do(stand, &command);
    return reply->n_ids > 0 ? reply->ids[0] : 0;
}

uint64_t stand_service(struct stand *stand, uint64_t policy_id, Tocsin__Urgency urgency,
                       uint32_t acknowledgement_timeout_s, uint32_t auto_resolve_timeout_s)
{
    char name[32];
    (void)snprintf(name, sizeof name, "Service %llu", (unsigned long long)stand->sequence);
    Tocsin__Service service;
    tocsin__service__init(&service);
    service.name = name;
    service.escalation_policy_id = policy_id;
    service.urgency = urgency;
    service.acknowledgement_timeout_s = acknowledgement_timeout_s;
    service.auto_resolve_timeout_s = auto_resolve_timeout_s;
    Tocsin__ServicePut body;
    tocsin__service_put__init(&body);
    body.fields = UINT64_MAX; /* so that a timeout of 0 means off */
    body.service = &service;
    Tocsin__Command command = COMMAND(SERVICE_PUT, service_put, body);
    return stand_done(stand, &command);
}

uint64_t stand_integration(struct stand *stand, uint64_t service_id, const char *key)
{
    Tocsin__Integration integration;
    tocsin__integration__init(&integration);
    integration.service_id = service_id;
    integration.key = probe_text(key);
    Tocsin__IntegrationPut body;
    tocsin__integration_put__init(&body);
    body.integration = &integration;
    Tocsin__Command command = COMMAND(INTEGRATION_PUT, integration_put, body);
    return stand_done(stand, &command);
}

void stand_guardians(struct stand *stand, unsigned count, uint32_t minute_ms)
{
    static const char *const ADDRESSES[] = {"5559901", "5559902", "5559903"};
    Tocsin__ContactMethod methods[3], *method_lists[3];
    Tocsin__Guardian guardians[3], *list[3];
    assert_true(count <= 3);
    for (unsigned i = 0; i < count; i++) {
        tocsin__contact_method__init(&methods[i]);
        methods[i].channel = TOCSIN__CHANNEL__CHANNEL_SMS;
        methods[i].address = probe_text(ADDRESSES[i]);
        method_lists[i] = &methods[i];
        tocsin__guardian__init(&guardians[i]);
        guardians[i].name = probe_text("Guardian");
        guardians[i].n_contact_methods = 1;
        guardians[i].contact_methods = &method_lists[i];
        list[i] = &guardians[i];
    }
    Tocsin__Settings settings;
    tocsin__settings__init(&settings);
    settings.n_guardians = count;
    settings.guardians = list;
    settings.minute_ms = minute_ms;
    Tocsin__SettingsPut body;
    tocsin__settings_put__init(&body);
    body.fields = 1u << 2 | 1u << 5;
    body.settings = &settings;
    Tocsin__Command command = COMMAND(SETTINGS_PUT, settings_put, body);
    (void)stand_done(stand, &command);
}

void stand_service_rules(struct stand *stand, uint64_t service_id, Tocsin__AlertGrouping *grouping, uint32_t pause_s)
{
    Tocsin__Service service = TOCSIN__SERVICE__INIT;
    service.alert_grouping = grouping;
    service.auto_pause_s = pause_s;
    Tocsin__ServicePut body = TOCSIN__SERVICE_PUT__INIT;
    body.id = service_id;
    body.fields = 1u << 26 | 1u << 30;
    body.service = &service;
    Tocsin__Command command = COMMAND(SERVICE_PUT, service_put, body);
    (void)stand_do(stand, &command);
}

/* ---------------------------------------------------------------- what happens */

uint64_t stand_event(struct stand *stand, const char *key, Tocsin__EventAction action, const char *dedup_key,
                     Tocsin__Severity severity)
{
    Tocsin__Event body;
    tocsin__event__init(&body);
    body.routing_key = probe_text(key);
    body.action = action;
    body.dedup_key = probe_text(dedup_key);
    body.summary = probe_text("The disk of db1 is full");
    body.source = probe_text("db1");
    body.severity = severity;
    body.component = probe_text(stand->component != NULL ? stand->component : "");
    Tocsin__Command command = COMMAND(EVENT, event, body);
    const Tocsin__Reply *reply = stand_do(stand, &command);
    return reply->n_ids > 0 ? reply->ids[0] : 0;
}

Tocsin__IncidentChange stand_change_of(uint64_t incident_id)
{
    Tocsin__IncidentChange change;
    tocsin__incident_change__init(&change);
    change.id = incident_id;
    return change;
}

bool stand_change(struct stand *stand, Tocsin__IncidentChange change)
{
    Tocsin__IncidentChange *changes[] = {&change};
    Tocsin__IncidentUpdate body;
    tocsin__incident_update__init(&body);
    body.n_changes = 1;
    body.changes = changes;
    Tocsin__Command command = COMMAND(INCIDENT_UPDATE, incident_update, body);
    const Tocsin__Reply *reply = stand_do(stand, &command);
    assert_int_equal(reply->n_parts, 1);
    return reply->parts[0]->status == TOCSIN__STATUS__STATUS_OK;
}

bool stand_set_status(struct stand *stand, uint64_t incident_id, Tocsin__IncidentStatus status)
{
    Tocsin__IncidentChange change = stand_change_of(incident_id);
    change.status = status;
    return stand_change(stand, change);
}

/* ---------------------------------------------------------------- the verdict */

void stand_expect_peace(const struct stand *stand)
{
    if (stand->violations > 0) {
        fail_msg("a promise was seen broken, though none was: %s", stand->first_violation);
    }
}

void stand_expect_broken(const struct stand *stand, const char *part)
{
    if (stand->violations == 0) {
        fail_msg("nobody noticed: %s", part);
    }
    if (strstr(stand->first_violation, part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", stand->first_violation, part);
    }
}
