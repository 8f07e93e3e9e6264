/* A machine driven by commands at a time that the test moves. */
#include "tests/support/machine_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "tests/support/memory_store.h"

#define START_MS 1700000000000ull

static void *must(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

/* protobuf-c's fields are not const; nothing writes through them. */
static char *text(const char *constant)
{
    union {
        const char *from;
        char *to;
    } cast = {.from = constant};
    return cast.to;
}

/* Ends with the fixture. */
static void *keep(struct machine_fixture *fixture, void *record)
{
    if (record == NULL) {
        return NULL;
    }
    if (fixture->records_count == fixture->records_capacity) {
        fixture->records_capacity = fixture->records_capacity == 0 ? 64 : fixture->records_capacity * 2;
        fixture->records =
            must(reallocarray(fixture->records, fixture->records_capacity, sizeof *fixture->records));
    }
    fixture->records[fixture->records_count++] = record;
    return record;
}

struct machine_fixture *fixture_new(void)
{
    struct machine_fixture *fixture = must(calloc(1, sizeof *fixture));
    fixture->memory = memory_store_new();
    fixture->twin_memory = memory_store_new();
    fixture->store = memory_store_view(fixture->memory);
    fixture->twin_store = memory_store_view(fixture->twin_memory);
    fixture->machine = machine_new();
    fixture->twin = machine_new();
    machine_output_init(&fixture->output);
    machine_output_init(&fixture->twin_output);
    fixture->now_ms = START_MS;
    fixture->boottime_ms = 5000;
    fixture->term = 1;
    fixture->proposer = 1;
    fixture->boot = 1;
    tocsin__actor__init(&fixture->actor);
    return fixture;
}

void fixture_free(struct machine_fixture *fixture)
{
    enum machine_table differs = TABLE_COUNT;
    if (!memory_store_equal(fixture->memory, fixture->twin_memory, &differs)) {
        fail_msg("two machines that applied the same entries differ in table %d", (int)differs);
    }
    machine_output_close(&fixture->output);
    machine_output_close(&fixture->twin_output);
    machine_free(fixture->machine);
    machine_free(fixture->twin);
    memory_store_free(fixture->memory);
    memory_store_free(fixture->twin_memory);
    for (size_t i = 0; i < fixture->sends_count; i++) {
        tocsin__notification__free_unpacked(fixture->sends[i], NULL);
    }
    for (size_t i = 0; i < fixture->records_count; i++) {
        protobuf_c_message_free_unpacked(fixture->records[i], NULL);
    }
    if (fixture->reply != NULL) {
        tocsin__reply__free_unpacked(fixture->reply, NULL);
    }
    free(fixture->sends);
    free(fixture->records);
    free(fixture);
}

/* ---------------------------------------------------------------- applying */

static void take_output(struct machine_fixture *fixture)
{
    const struct machine_output *output = &fixture->output;
    for (size_t i = 0; i < output->sends_count; i++) {
        const struct machine_send *send = &output->sends[i];
        assert_int_equal(send->claim_node, fixture->proposer);
        assert_int_equal(send->claim_term, fixture->term);
        assert_int_equal(send->claim_boottime_ms, fixture->boottime_ms);
        if (fixture->sends_count == fixture->sends_capacity) {
            fixture->sends_capacity = fixture->sends_capacity == 0 ? 64 : fixture->sends_capacity * 2;
            fixture->sends = must(reallocarray(fixture->sends, fixture->sends_capacity, sizeof *fixture->sends));
        }
        fixture->sends[fixture->sends_count++] =
            must(tocsin__notification__unpack(NULL, send->packed.size_bytes, send->packed.data));
    }
    if (fixture->reply != NULL) {
        tocsin__reply__free_unpacked(fixture->reply, NULL);
        fixture->reply = NULL;
    }
    if (output->replies_count > 0) {
        const struct machine_reply *last = &output->replies[output->replies_count - 1];
        assert_false(last->repeated);
        fixture->reply = must(tocsin__reply__unpack(NULL, last->packed.size_bytes, last->packed.data));
    }
}

static void outputs_agree(const struct machine_output *a, const struct machine_output *b)
{
    assert_int_equal(a->sends_count, b->sends_count);
    assert_int_equal(a->replies_count, b->replies_count);
    assert_int_equal(a->next_deadline_ms, b->next_deadline_ms);
    for (size_t i = 0; i < a->sends_count; i++) {
        assert_int_equal(a->sends[i].packed.size_bytes, b->sends[i].packed.size_bytes);
        assert_memory_equal(a->sends[i].packed.data, b->sends[i].packed.data, a->sends[i].packed.size_bytes);
    }
}

void fixture_apply_entry(struct machine_fixture *fixture, size_t count, ProtobufCBinaryData *commands)
{
    Tocsin__Entry entry;
    tocsin__entry__init(&entry);
    entry.time_ms = fixture->now_ms;
    entry.proposer = fixture->proposer;
    entry.proposer_boot = fixture->proposer != 0 ? fixture->boot : 0;
    entry.proposed_boottime_ms = ++fixture->boottime_ms;
    entry.n_commands = count;
    entry.commands = commands;
    size_t size_bytes = tocsin__entry__get_packed_size(&entry);
    uint8_t *packed = must(malloc(size_bytes));
    tocsin__entry__pack(&entry, packed);
    struct span data = {.data = packed, .size_bytes = size_bytes};
    machine_output_reset(&fixture->output);
    machine_output_reset(&fixture->twin_output);
    assert_int_equal(machine_apply(fixture->machine, &fixture->store, fixture->term, data, &fixture->output),
                     MACHINE_OK);
    assert_int_equal(machine_apply(fixture->twin, &fixture->twin_store, fixture->term, data, &fixture->twin_output),
                     MACHINE_OK);
    outputs_agree(&fixture->output, &fixture->twin_output);
    take_output(fixture);
    free(packed);
    if (!fixture->unchecked) {
        fixture_check_promises(fixture);
    }
}

Tocsin__Command fixture_command(void)
{
    Tocsin__Command command;
    tocsin__command__init(&command);
    return command;
}

ProtobufCBinaryData fixture_pack(struct machine_fixture *fixture, Tocsin__Command *command)
{
    Tocsin__Origin origin;
    tocsin__origin__init(&origin);
    origin.node = 9;
    origin.boot = 1;
    origin.sequence = ++fixture->sequence;
    command->origin = &origin;
    command->actor = &fixture->actor;
    ProtobufCBinaryData packed = {.len = tocsin__command__get_packed_size(command)};
    packed.data = must(malloc(packed.len));
    tocsin__command__pack(command, packed.data);
    return packed;
}

const Tocsin__Reply *fixture_apply(struct machine_fixture *fixture, Tocsin__Command *command)
{
    ProtobufCBinaryData packed = fixture_pack(fixture, command);
    fixture_apply_entry(fixture, 1, &packed);
    free(packed.data);
    assert_non_null(fixture->reply);
    return fixture->reply;
}

static uint64_t made(const Tocsin__Reply *reply)
{
    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        fail_msg("refused: %s", reply->message);
    }
    assert_int_equal(reply->n_ids, 1);
    return reply->ids[0];
}

/* ---------------------------------------------------------------- time */

void fixture_advance(struct machine_fixture *fixture, uint64_t ms)
{
    fixture->now_ms += ms;
    fixture->boottime_ms += ms;
}

void fixture_pulse(struct machine_fixture *fixture, uint32_t limit)
{
    Tocsin__Pulse pulse;
    tocsin__pulse__init(&pulse);
    pulse.limit = limit;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_PULSE;
    command.pulse = &pulse;
    assert_int_equal(fixture_apply(fixture, &command)->status, TOCSIN__STATUS__STATUS_OK);
}

void fixture_run(struct machine_fixture *fixture, uint64_t ms)
{
    uint64_t end_ms = fixture->now_ms + ms;
    for (;;) {
        uint64_t due_ms = machine_next_deadline_ms(&fixture->store);
        if (due_ms > end_ms) {
            break;
        }
        if (due_ms > fixture->now_ms) {
            fixture_advance(fixture, due_ms - fixture->now_ms);
        }
        fixture_pulse(fixture, LIMIT_PULSE_DEADLINES);
    }
    fixture_advance(fixture, end_ms - fixture->now_ms);
}

void fixture_new_leader(struct machine_fixture *fixture, uint64_t node)
{
    fixture->term++;
    fixture->proposer = node;
    fixture->boottime_ms = node * 1000000; /* another machine's clock */
}

void fixture_act_as_user(struct machine_fixture *fixture, uint64_t user_id, const char *name)
{
    fixture->actor.kind = TOCSIN__ACTOR_KIND__ACTOR_USER;
    fixture->actor.id = user_id;
    fixture->actor.name = text(name);
}

/* ---------------------------------------------------------------- people and the catalog */

uint64_t fixture_user(struct machine_fixture *fixture, const char *name)
{
    char email[128];
    snprintf(email, sizeof email, "%s@example.org", name);
    Tocsin__User user;
    tocsin__user__init(&user);
    user.name = text(name);
    user.email = email;
    Tocsin__UserPut put;
    tocsin__user_put__init(&put);
    put.user = &user;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_USER_PUT;
    command.user_put = &put;
    return made(fixture_apply(fixture, &command));
}

uint64_t fixture_method(struct machine_fixture *fixture, uint64_t user_id, Tocsin__Channel channel, const char *address)
{
    Tocsin__ContactMethod method;
    tocsin__contact_method__init(&method);
    method.user_id = user_id;
    method.channel = channel;
    method.address = text(address);
    Tocsin__ContactMethodPut put;
    tocsin__contact_method_put__init(&put);
    put.contact_method = &method;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_CONTACT_METHOD_PUT;
    command.contact_method_put = &put;
    return made(fixture_apply(fixture, &command));
}

uint64_t fixture_rule(struct machine_fixture *fixture, uint64_t user_id, uint64_t method_id, Tocsin__Urgency urgency,
                      uint32_t delay_minutes)
{
    Tocsin__NotificationRule rule;
    tocsin__notification_rule__init(&rule);
    rule.user_id = user_id;
    rule.contact_method_id = method_id;
    rule.urgency = urgency;
    rule.start_delay_minutes = delay_minutes;
    Tocsin__NotificationRulePut put;
    tocsin__notification_rule_put__init(&put);
    put.notification_rule = &rule;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_NOTIFICATION_RULE_PUT;
    command.notification_rule_put = &put;
    return made(fixture_apply(fixture, &command));
}

uint64_t fixture_policy(struct machine_fixture *fixture, uint32_t num_loops, size_t levels_count,
                        const struct fixture_level *levels)
{
    Tocsin__EscalationLevel records[LIMIT_LEVELS_PER_POLICY];
    Tocsin__EscalationLevel *list[LIMIT_LEVELS_PER_POLICY];
    uint64_t user_ids[LIMIT_LEVELS_PER_POLICY][4];
    assert_true(levels_count <= LIMIT_LEVELS_PER_POLICY);
    for (size_t i = 0; i < levels_count; i++) {
        tocsin__escalation_level__init(&records[i]);
        records[i].delay_minutes = levels[i].delay_minutes;
        while (records[i].n_user_ids < 4 && levels[i].user_ids[records[i].n_user_ids] != 0) {
            user_ids[i][records[i].n_user_ids] = levels[i].user_ids[records[i].n_user_ids];
            records[i].n_user_ids++;
        }
        records[i].user_ids = user_ids[i];
        list[i] = &records[i];
    }
    char name[32];
    snprintf(name, sizeof name, "Policy %llu", (unsigned long long)fixture->sequence);
    Tocsin__EscalationPolicy policy;
    tocsin__escalation_policy__init(&policy);
    policy.name = name;
    policy.num_loops = num_loops;
    policy.n_levels = levels_count;
    policy.levels = list;
    Tocsin__EscalationPolicyPut put;
    tocsin__escalation_policy_put__init(&put);
    put.fields = UINT64_MAX;
    put.escalation_policy = &policy;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_ESCALATION_POLICY_PUT;
    command.escalation_policy_put = &put;
    return made(fixture_apply(fixture, &command));
}

uint64_t fixture_service(struct machine_fixture *fixture, uint64_t policy_id, Tocsin__Urgency urgency,
                         uint32_t acknowledgement_timeout_s, uint32_t auto_resolve_timeout_s)
{
    char name[32];
    snprintf(name, sizeof name, "Service %llu", (unsigned long long)fixture->sequence);
    Tocsin__Service service;
    tocsin__service__init(&service);
    service.name = name;
    service.escalation_policy_id = policy_id;
    service.urgency = urgency;
    service.acknowledgement_timeout_s = acknowledgement_timeout_s;
    service.auto_resolve_timeout_s = auto_resolve_timeout_s;
    Tocsin__ServicePut put;
    tocsin__service_put__init(&put);
    put.fields = UINT64_MAX; /* so that a timeout of 0 means off */
    put.service = &service;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_SERVICE_PUT;
    command.service_put = &put;
    return made(fixture_apply(fixture, &command));
}

uint64_t fixture_integration(struct machine_fixture *fixture, uint64_t service_id, const char *key)
{
    Tocsin__Integration integration;
    tocsin__integration__init(&integration);
    integration.service_id = service_id;
    integration.name = text("Monitoring");
    integration.key = text(key);
    Tocsin__IntegrationPut put;
    tocsin__integration_put__init(&put);
    put.integration = &integration;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_INTEGRATION_PUT;
    command.integration_put = &put;
    return made(fixture_apply(fixture, &command));
}

void fixture_guardian(struct machine_fixture *fixture, const char *name, Tocsin__Channel channel, const char *address)
{
    fixture_guardian_ways(fixture, name, 1, &(struct fixture_way){channel, address});
}

void fixture_guardian_ways(struct machine_fixture *fixture, const char *name, size_t count, const struct fixture_way *ways)
{
    Tocsin__ContactMethod rows[4], *methods[4];
    assert_true(count <= 4);
    for (size_t i = 0; i < count; i++) {
        tocsin__contact_method__init(&rows[i]);
        rows[i].id = i + 1;
        rows[i].channel = ways[i].channel;
        rows[i].address = text(ways[i].address);
        methods[i] = &rows[i];
    }
    Tocsin__Guardian guardian;
    tocsin__guardian__init(&guardian);
    guardian.name = text(name);
    guardian.n_contact_methods = count;
    guardian.contact_methods = methods;
    Tocsin__Guardian *guardians[] = {&guardian};
    Tocsin__Settings settings;
    tocsin__settings__init(&settings);
    settings.n_guardians = 1;
    settings.guardians = guardians;
    Tocsin__SettingsPut put;
    tocsin__settings_put__init(&put);
    put.fields = 1u << 5;
    put.settings = &settings;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_SETTINGS_PUT;
    command.settings_put = &put;
    const Tocsin__Reply *reply = fixture_apply(fixture, &command);
    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        fail_msg("refused: %s", reply->message);
    }
}

/* ---------------------------------------------------------------- events, requests, receipts */

const Tocsin__Reply *fixture_event(struct machine_fixture *fixture, const char *routing_key, Tocsin__EventAction action,
                                   const char *dedup_key, Tocsin__Severity severity)
{
    Tocsin__Event event;
    tocsin__event__init(&event);
    event.routing_key = text(routing_key);
    event.action = action;
    event.dedup_key = text(dedup_key);
    event.summary = text("The disk of db1 is full");
    event.source = text("db1");
    event.severity = severity;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_EVENT;
    command.event = &event;
    return fixture_apply(fixture, &command);
}

uint64_t fixture_trigger(struct machine_fixture *fixture, const char *routing_key, const char *dedup_key)
{
    return made(fixture_event(fixture, routing_key, TOCSIN__EVENT_ACTION__EVENT_TRIGGER, dedup_key,
                              TOCSIN__SEVERITY__SEVERITY_CRITICAL));
}

Tocsin__IncidentChange fixture_change_of(uint64_t incident_id)
{
    Tocsin__IncidentChange change;
    tocsin__incident_change__init(&change);
    change.id = incident_id;
    return change;
}

const Tocsin__Reply *fixture_change(struct machine_fixture *fixture, Tocsin__IncidentChange change)
{
    Tocsin__IncidentChange *changes[] = {&change};
    Tocsin__IncidentUpdate update;
    tocsin__incident_update__init(&update);
    update.n_changes = 1;
    update.changes = changes;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_INCIDENT_UPDATE;
    command.incident_update = &update;
    const Tocsin__Reply *reply = fixture_apply(fixture, &command);
    assert_int_equal(reply->n_parts, 1);
    return reply->parts[0];
}

const Tocsin__Reply *fixture_set_status(struct machine_fixture *fixture, uint64_t incident_id,
                                        Tocsin__IncidentStatus status)
{
    Tocsin__IncidentChange change = fixture_change_of(incident_id);
    change.status = status;
    return fixture_change(fixture, change);
}

const Tocsin__Reply *fixture_claim(struct machine_fixture *fixture, uint64_t notification_id)
{
    Tocsin__Claim claim;
    tocsin__claim__init(&claim);
    claim.n_notification_ids = 1;
    claim.notification_ids = &notification_id;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_CLAIM;
    command.claim = &claim;
    const Tocsin__Reply *reply = fixture_apply(fixture, &command);
    assert_int_equal(reply->n_parts, 1);
    return reply->parts[0];
}

void fixture_receipt(struct machine_fixture *fixture, const Tocsin__Notification *notification, Tocsin__Outcome outcome,
                     uint32_t retry_after_ms)
{
    Tocsin__Receipt receipt;
    tocsin__receipt__init(&receipt);
    receipt.notification_id = notification->id;
    receipt.attempt = notification->attempt;
    receipt.outcome = outcome;
    receipt.retry_after_ms = retry_after_ms;
    receipt.provider = text("stand-in");
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_RECEIPT;
    command.receipt = &receipt;
    assert_int_equal(fixture_apply(fixture, &command)->status, TOCSIN__STATUS__STATUS_OK);
}

/* ---------------------------------------------------------------- what came of it */

const Tocsin__Notification *fixture_take_send(struct machine_fixture *fixture)
{
    assert_true(fixture->sends_count > 0);
    Tocsin__Notification *first = fixture->sends[0];
    fixture->sends_count--;
    memmove(fixture->sends, fixture->sends + 1, fixture->sends_count * sizeof *fixture->sends);
    return keep(fixture, first);
}

const Tocsin__Notification *fixture_expect_send(struct machine_fixture *fixture, const char *user_name,
                                                Tocsin__Channel channel)
{
    const Tocsin__Notification *notification = fixture_take_send(fixture);
    assert_string_equal(notification->user_name, user_name);
    assert_int_equal(notification->channel, channel);
    return notification;
}

uint64_t fixture_paged(struct machine_fixture *fixture, const char *user_name, Tocsin__Channel channel)
{
    const Tocsin__Notification *page = fixture_expect_send(fixture, user_name, channel);
    uint64_t incident_id = page->incident_id;
    fixture_receipt(fixture, page, TOCSIN__OUTCOME__OUTCOME_SENT, 0);
    return incident_id;
}

Tocsin__HeartbeatStatus fixture_heartbeat_status(struct machine_fixture *fixture, uint64_t id)
{
    Tocsin__HeartbeatState *state = heartbeat_state_get(&fixture->store, id, NULL);
    assert_non_null(state);
    Tocsin__HeartbeatStatus status = state->status;
    tocsin__heartbeat_state__free_unpacked(state, NULL);
    return status;
}

void fixture_expect_silence(struct machine_fixture *fixture)
{
    if (fixture->sends_count > 0) {
        fail_msg("%zu pages that nobody expected, the first to %s at %s", fixture->sends_count,
                 fixture->sends[0]->user_name, fixture->sends[0]->address);
    }
}

size_t fixture_deliver_all(struct machine_fixture *fixture)
{
    size_t count = 0;
    for (; fixture->sends_count > 0; count++) {
        fixture_receipt(fixture, fixture_take_send(fixture), TOCSIN__OUTCOME__OUTCOME_SENT, 0);
    }
    return count;
}

Tocsin__Incident *fixture_incident(struct machine_fixture *fixture, uint64_t id)
{
    Tocsin__Incident *incident = keep(fixture, incident_get(&fixture->store, id, NULL));
    assert_non_null(incident);
    return incident;
}

Tocsin__Notification *fixture_notification(struct machine_fixture *fixture, uint64_t incident_id, uint64_t id)
{
    Tocsin__Notification *notification = keep(fixture, notification_get(&fixture->store, incident_id, id, NULL));
    assert_non_null(notification);
    return notification;
}

static size_t log_count(const struct machine_store *store, uint64_t incident_id, Tocsin__LogType type, Tocsin__Why why)
{
    size_t count = 0;
    struct walk walk = walk_under(store, TABLE_LOG_ENTRY, incident_id);
    while (walk_next(&walk)) {
        Tocsin__LogEntry *entry = must(record_unpack(&tocsin__log_entry__descriptor, walk.value, NULL));
        assert_true(entry->text[0] != '\0');
        bool matches = (type == TOCSIN__LOG_TYPE__LOG_NONE || entry->type == type) &&
                       (why == TOCSIN__WHY__WHY_NONE || entry->why == why);
        count += matches ? 1 : 0;
        tocsin__log_entry__free_unpacked(entry, NULL);
    }
    return count;
}

size_t fixture_log_count(struct machine_fixture *fixture, uint64_t incident_id, Tocsin__LogType type, Tocsin__Why why)
{
    return log_count(&fixture->store, incident_id, type, why);
}

size_t fixture_rows_under(struct machine_fixture *fixture, enum machine_table table, uint64_t parent)
{
    size_t count = 0;
    struct walk walk = walk_under(&fixture->store, table, parent);
    while (walk_next(&walk)) {
        count++;
    }
    return count;
}

uint64_t fixture_rows(struct machine_fixture *fixture, enum machine_table table)
{
    return fixture->store.count(fixture->store.context, table);
}

/* ---------------------------------------------------------------- promises */

static bool row_exists(const struct machine_store *store, enum machine_table table, struct key key)
{
    struct span value;
    return store->get(store->context, table, key_span(&key), &value);
}

/* True when the incident has this deadline, which then has its row. */
static bool has_deadline(const struct machine_store *store, const Tocsin__Incident *incident, enum deadline_kind kind,
                         uint64_t due_ms)
{
    if (due_ms == 0) {
        return false;
    }
    assert_true(row_exists(store, TABLE_DEADLINE, key_deadline(due_ms, kind, incident->id, 0)));
    return true;
}

/* Rules of the incident's present assignment whose delay is not over. */
static uint32_t rules_pending(const struct machine_store *store, const Tocsin__Incident *incident)
{
    uint32_t count = 0;
    if (incident->status != TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED) {
        return 0;
    }
    struct walk walk = walk_all(store, TABLE_DEADLINE);
    while (walk_next(&walk)) {
        uint64_t due_ms, object, sub_object;
        enum deadline_kind kind;
        key_deadline_split(walk.key, &due_ms, &kind, &object, &sub_object);
        if (kind == DEADLINE_NOTIFICATION_RULE && object == incident->id) {
            Tocsin__Deadline *row = must(record_unpack(&tocsin__deadline__descriptor, walk.value, NULL));
            count += row->generation == incident->generation ? 1 : 0;
            tocsin__deadline__free_unpacked(row, NULL);
        }
    }
    return count;
}

static void check_outbox(const struct machine_store *store, const Tocsin__Incident *incident)
{
    for (size_t i = 0; i < incident->n_pending_notification_ids; i++) {
        struct span value;
        struct key key = key_1(incident->pending_notification_ids[i]);
        assert_true(store->get(store->context, TABLE_OUTBOX, key_span(&key), &value));
        Tocsin__Notification *row = must(record_unpack(&tocsin__notification__descriptor, value, NULL));
        assert_int_equal(row->incident_id, incident->id);
        assert_true(row->state <= TOCSIN__NOTIFICATION_STATE__NOTIFICATION_WAITING);
        /* What is claimed or waits is looked at again by time, whatever its sender does. */
        if (row->state != TOCSIN__NOTIFICATION_STATE__NOTIFICATION_OWED) {
            assert_true(row_exists(store, TABLE_DEADLINE,
                                   key_deadline(row->due_at_ms, DEADLINE_NOTIFICATION_RETRY, row->id, 0)));
        }
        tocsin__notification__free_unpacked(row, NULL);
    }
    assert_int_equal(incident->notifications_pending,
                     incident->n_pending_notification_ids + rules_pending(store, incident));
}

static void check_open_incident(const struct machine_store *store, const Tocsin__Incident *incident)
{
    bool escalates = has_deadline(store, incident, DEADLINE_ESCALATE, incident->escalate_due_ms);
    bool guarded = has_deadline(store, incident, DEADLINE_GUARDIANS, incident->guardians_due_ms);
    bool times_out = has_deadline(store, incident, DEADLINE_ACKNOWLEDGEMENT, incident->acknowledgement_due_ms);
    bool snoozed = has_deadline(store, incident, DEADLINE_SNOOZE, incident->snooze_due_ms);
    (void)has_deadline(store, incident, DEADLINE_AUTO_RESOLVE, incident->auto_resolve_due_ms);
    (void)has_deadline(store, incident, DEADLINE_ACKNOWLEDGE_TARGET, incident->acknowledge_target_due_ms);
    (void)has_deadline(store, incident, DEADLINE_RESOLVE_TARGET, incident->resolve_target_due_ms);
    bool ticket = incident->details != NULL &&
                  incident->details->category == TOCSIN__INCIDENT_CATEGORY__CATEGORY_TICKET;
    check_outbox(store, incident);
    assert_int_equal(incident->log_entries,
                     log_count(store, incident->id, TOCSIN__LOG_TYPE__LOG_NONE, TOCSIN__WHY__WHY_NONE));
    bool accounted;
    if (incident->status == TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED) {
        assert_false(escalates || guarded || (times_out && snoozed));
        accounted = times_out || snoozed || log_count(store, incident->id, TOCSIN__LOG_TYPE__LOG_ACKNOWLEDGE, 0) > 0;
    } else {
        assert_int_equal(incident->status, TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED);
        assert_false(times_out || snoozed);
        accounted = escalates || guarded || incident->notifications_pending > 0 ||
                    (ticket && log_count(store, incident->id, 0, TOCSIN__WHY__WHY_TICKET) > 0) ||
                    (incident->urgency == TOCSIN__URGENCY__URGENCY_LOW &&
                     log_count(store, incident->id, 0, TOCSIN__WHY__WHY_LOW_URGENCY) > 0);
        assert_true(escalates || guarded || ticket || incident->urgency == TOCSIN__URGENCY__URGENCY_LOW);
        assert_false(ticket && (escalates || guarded));
    }
    if (!accounted) {
        fail_msg("incident %llu is lost: no deadline, nothing in the outbox, no reason",
                 (unsigned long long)incident->number);
    }
}

void fixture_check_promises(struct machine_fixture *fixture)
{
    const struct machine_store *store = &fixture->store;
    uint64_t pending = 0;
    struct walk walk = walk_all(store, TABLE_INCIDENT);
    while (walk_next(&walk)) {
        Tocsin__Incident *incident = must(record_unpack(&tocsin__incident__descriptor, walk.value, NULL));
        bool open = incident->status != TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED;
        assert_int_equal(row_exists(store, TABLE_INCIDENT_OPEN, key_1(incident->id)), open);
        assert_int_equal(row_exists(store, TABLE_INCIDENT_CLOSED, key_2(incident->resolved_at_ms, incident->id)),
                         !open);
        if (open) {
            check_open_incident(store, incident);
        } else {
            check_outbox(store, incident);
        }
        pending += incident->n_pending_notification_ids;
        tocsin__incident__free_unpacked(incident, NULL);
    }
    struct walk outbox = walk_all(store, TABLE_OUTBOX);
    while (walk_next(&outbox)) {
        Tocsin__Notification *row = must(record_unpack(&tocsin__notification__descriptor, outbox.value, NULL));
        pending += row->notice != NULL ? 1 : 0; /* news belong to no incident */
        tocsin__notification__free_unpacked(row, NULL);
    }
    assert_int_equal(pending, store->count(store->context, TABLE_OUTBOX));
}
