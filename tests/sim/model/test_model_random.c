/*
 * Thousands of random nights through the real machine, with the model beside it: they must agree after each entry,
 * nothing that the machine's leaders send may be unexplained, and once all is whole nothing may be missing.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/records.h"
#include "tests/sim/model/model_stand.h"
#include "tests/support/machine_probe.h"

#define NIGHTS 600u
#define STEPS 220u
#define KEYS_MAX 4u
#define OBJECTS_MAX 16u

struct night {
    struct stand *stand;
    uint64_t chance;
    uint64_t users[OBJECTS_MAX], policies[OBJECTS_MAX], services[OBJECTS_MAX];
    uint64_t methods[OBJECTS_MAX][3]; /* by user */
    uint64_t integrations[KEYS_MAX], integration_services[KEYS_MAX];
    size_t users_count, policies_count, services_count, keys_count;
    uint64_t incidents[64]; /* the latest */
    size_t incidents_count;
    uint64_t minute_ms;
};

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t chance_next(struct night *night)
{
    uint64_t z = (night->chance += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t below(struct night *night, uint64_t bound)
{
    return chance_next(night) % bound;
}

static const char *const KEYS[KEYS_MAX] = {"R0000000000000000000000000000001", "R0000000000000000000000000000002",
                                           "R0000000000000000000000000000003", "R0000000000000000000000000000004"};

/* ---------------------------------------------------------------- the company */

static uint64_t any(struct night *night, const uint64_t *ids, size_t count)
{
    return count > 0 ? ids[below(night, count)] : 0;
}

static void method_new(struct night *night, size_t user)
{
    static const Tocsin__Channel CHANNELS[] = {TOCSIN__CHANNEL__CHANNEL_SMS, TOCSIN__CHANNEL__CHANNEL_EMAIL,
                                               TOCSIN__CHANNEL__CHANNEL_VOICE, TOCSIN__CHANNEL__CHANNEL_PUSH,
                                               TOCSIN__CHANNEL__CHANNEL_WEBHOOK};
    Tocsin__Channel channel = CHANNELS[below(night, 5)];
    char address[64];
    uint64_t number = 1000 + night->stand->sequence;
    switch (channel) {
    case TOCSIN__CHANNEL__CHANNEL_EMAIL:
        (void)snprintf(address, sizeof address, "p%" PRIu64 "@example.org", number);
        break;
    case TOCSIN__CHANNEL__CHANNEL_PUSH:
        (void)snprintf(address, sizeof address, "topic-%" PRIu64, number);
        break;
    case TOCSIN__CHANNEL__CHANNEL_WEBHOOK:
        (void)snprintf(address, sizeof address, "https://hooks.example.org/%" PRIu64, number);
        break;
    default:
        (void)snprintf(address, sizeof address, "555%" PRIu64, number);
    }
    night->methods[user][below(night, 3)] = stand_method(night->stand, night->users[user], channel, address);
}

static void rule_new(struct night *night, size_t user)
{
    uint64_t method = night->methods[user][below(night, 3)];
    Tocsin__Urgency urgency = below(night, 3) == 0 ? TOCSIN__URGENCY__URGENCY_LOW : TOCSIN__URGENCY__URGENCY_HIGH;
    if (method != 0) {
        (void)stand_rule(night->stand, night->users[user], method, urgency, (uint32_t)below(night, 4) * 2);
    }
}

static void user_new(struct night *night)
{
    if (night->users_count == OBJECTS_MAX) {
        return;
    }
    char name[32];
    (void)snprintf(name, sizeof name, "Person%" PRIu64, night->stand->sequence);
    size_t user = night->users_count++;
    night->users[user] = stand_user(night->stand, name);
    memset(night->methods[user], 0, sizeof night->methods[user]);
    for (uint64_t i = below(night, 4); i > 0; i--) {
        method_new(night, user);
    }
    for (uint64_t i = below(night, 3); i > 0; i--) {
        rule_new(night, user);
    }
}

static void policy_put(struct night *night, uint64_t id)
{
    struct stand_level levels[3];
    size_t count = 1 + below(night, 3);
    for (size_t i = 0; i < count; i++) {
        levels[i] = (struct stand_level){.delay_minutes = (uint32_t)below(night, 4)};
        for (uint64_t p = 0; p <= below(night, 3); p++) {
            levels[i].user_ids[p] = any(night, night->users, night->users_count);
        }
    }
    night->stand->low_moves = below(night, 3) == 0;
    night->stand->by_turns = below(night, 3) == 0;
    uint64_t made = stand_policy(night->stand, id, (uint32_t)below(night, 3), count, levels);
    if (id == 0 && made != 0 && night->policies_count < OBJECTS_MAX) {
        night->policies[night->policies_count++] = made;
    }
}

static void service_new(struct night *night)
{
    static const Tocsin__Urgency URGENCIES[] = {TOCSIN__URGENCY__URGENCY_HIGH, TOCSIN__URGENCY__URGENCY_HIGH,
                                                TOCSIN__URGENCY__URGENCY_LOW, TOCSIN__URGENCY__URGENCY_SEVERITY_BASED};
    uint64_t policy = any(night, night->policies, night->policies_count);
    if (policy == 0 || night->services_count == OBJECTS_MAX) {
        return;
    }
    uint32_t acknowledged_s = below(night, 2) == 0 ? 0 : 60 + (uint32_t)below(night, 600);
    uint32_t resolves_s = below(night, 3) == 0 ? 120 + (uint32_t)below(night, 1800) : 0;
    uint64_t service = stand_service(night->stand, policy, URGENCIES[below(night, 4)], acknowledged_s, resolves_s);
    night->services[night->services_count++] = service;
    if (night->keys_count < KEYS_MAX) {
        night->integration_services[night->keys_count] = service;
        night->integrations[night->keys_count] = stand_integration(night->stand, service, KEYS[night->keys_count]);
        night->keys_count++;
    }
}

static void rules_change(struct night *night)
{
    char *fields[] = {probe_text("component"), probe_text("severity")};
    Tocsin__AlertGrouping grouping = TOCSIN__ALERT_GROUPING__INIT;
    grouping.type = (Tocsin__GroupingType)below(night, 5);
    grouping.timeout_minutes = (uint32_t)below(night, 10);
    grouping.time_window_s = below(night, 2) == 0 ? 0 : 300 + (uint32_t)below(night, 600);
    grouping.any = below(night, 2) == 0;
    grouping.fields = fields;
    grouping.n_fields = 1 + below(night, 2);
    uint64_t service = any(night, night->services, night->services_count);
    if (service != 0) {
        stand_service_rules(night->stand, service, below(night, 4) == 0 ? NULL : &grouping, below(night, 3) == 0 ? 60 * (uint32_t)below(night, 10) : 0);
    }
}

static void company_found(struct night *night)
{
    static const uint32_t MINUTES[] = {60000, 60000, 10000, 1000};
    night->minute_ms = MINUTES[below(night, 4)];
    stand_guardians(night->stand, (unsigned)below(night, 3), (uint32_t)night->minute_ms);
    for (uint64_t i = 1 + below(night, 4); i > 0; i--) {
        user_new(night);
    }
    for (uint64_t i = 1 + below(night, 2); i > 0; i--) {
        policy_put(night, 0);
    }
    for (uint64_t i = 1 + below(night, 3); i > 0; i--) {
        service_new(night);
        rules_change(night);
    }
}

/* ---------------------------------------------------------------- steps */

static void incident_note(struct night *night, uint64_t id)
{
    if (id != 0) {
        night->incidents[night->incidents_count++ % 64] = id;
    }
}

static uint64_t any_incident(struct night *night)
{
    size_t kept = night->incidents_count < 64 ? night->incidents_count : 64;
    return below(night, 20) == 0 ? 12345 : any(night, night->incidents, kept);
}

static void step_event(struct night *night)
{
    static const char *const COMPONENTS[] = {NULL, "disk", "net"};
    night->stand->component = COMPONENTS[below(night, 3)];
    char dedup_key[8];
    (void)snprintf(dedup_key, sizeof dedup_key, "k%u", (unsigned)below(night, 7));
    uint64_t kind = below(night, 8);
    Tocsin__EventAction action = kind == 0   ? TOCSIN__EVENT_ACTION__EVENT_ACKNOWLEDGE
                                 : kind == 1 ? TOCSIN__EVENT_ACTION__EVENT_RESOLVE
                                             : TOCSIN__EVENT_ACTION__EVENT_TRIGGER;
    const char *key = below(night, 30) == 0 ? "R0000000000000000000000000000099" : KEYS[below(night, KEYS_MAX)];
    incident_note(night, stand_event(night->stand, key, action, dedup_key, (Tocsin__Severity)below(night, 5)));
}

static void step_create(struct night *night)
{
    uint64_t people[2] = {any(night, night->users, night->users_count), any(night, night->users, night->users_count)};
    Tocsin__IncidentCreate body;
    tocsin__incident_create__init(&body);
    body.service_id = any(night, night->services, night->services_count);
    body.title = probe_text("Somebody says so, level 7");
    body.urgency = (Tocsin__Urgency)below(night, 3);
    body.incident_key = probe_text(below(night, 2) == 0 ? "" : "by hand");
    if (below(night, 3) == 0 && night->users_count > 0) {
        body.assignee_ids = people;
        body.n_assignee_ids = 1 + below(night, 2);
    } else if (below(night, 4) == 0) {
        body.escalation_policy_id = any(night, night->policies, night->policies_count);
    }
    Tocsin__Command command = COMMAND(INCIDENT_CREATE, incident_create, body);
    if (below(night, 4) == 0) {
        command.idempotency_key = probe_text(below(night, 2) == 0 ? "once" : "only once");
    }
    const Tocsin__Reply *reply = stand_do(night->stand, &command);
    incident_note(night, reply->n_ids > 0 ? reply->ids[0] : 0);
}

static void step_change(struct night *night)
{
    uint64_t people[2] = {any(night, night->users, night->users_count), any(night, night->users, night->users_count)};
    Tocsin__IncidentChange change = stand_change_of(any_incident(night));
    switch (below(night, 9)) {
    case 0:
        change.assignee_ids = people;
        change.n_assignee_ids = night->users_count > 0 ? 1 + below(night, 2) : 0;
        break;
    case 1:
        change.escalation_policy_id = any(night, night->policies, night->policies_count);
        change.escalation_level = (uint32_t)below(night, 3);
        break;
    case 2:
        change.escalation_level = 1 + (uint32_t)below(night, 3);
        break;
    case 3:
    case 4:
        change.urgency = (Tocsin__Urgency)(1 + below(night, 2));
        break;
    case 5:
        change.status = TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED;
        break;
    case 6:
        change.urgency = (Tocsin__Urgency)below(night, 4);
        change.status = (Tocsin__IncidentStatus)below(night, 4);
        change.escalation_level = (uint32_t)below(night, 2);
        break;
    default:
        change.status = TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED;
    }
    (void)stand_change(night->stand, change);
}

static void step_snooze(struct night *night)
{
    Tocsin__IncidentSnooze body = TOCSIN__INCIDENT_SNOOZE__INIT;
    body.incident_id = any_incident(night);
    body.duration_s = below(night, 10) == 0 ? 0 : (uint32_t)below(night, 1200);
    Tocsin__Command command = COMMAND(INCIDENT_SNOOZE, incident_snooze, body);
    (void)stand_do(night->stand, &command);
}

static void step_merge(struct night *night)
{
    uint64_t sources[2] = {any_incident(night), any_incident(night)};
    Tocsin__IncidentMerge body = TOCSIN__INCIDENT_MERGE__INIT;
    body.target_id = any_incident(night);
    body.n_source_ids = 1 + below(night, 2);
    body.source_ids = sources;
    Tocsin__Command command = COMMAND(INCIDENT_MERGE, incident_merge, body);
    (void)stand_do(night->stand, &command);
}

static void step_help(struct night *night)
{
    uint64_t people[2] = {any(night, night->users, night->users_count), any(night, night->users, night->users_count)};
    uint64_t policy = any(night, night->policies, night->policies_count);
    uint64_t incident = any_incident(night);
    if (below(night, 3) == 0) {
        Tocsin__ResponderAnswer body = TOCSIN__RESPONDER_ANSWER__INIT;
        body.incident_id = incident;
        body.user_id = people[0];
        body.state = (Tocsin__ResponderState)below(night, 3);
        Tocsin__Command command = COMMAND(RESPONDER_ANSWER, responder_answer, body);
        (void)stand_do(night->stand, &command);
        return;
    }
    Tocsin__RespondersRequest body = TOCSIN__RESPONDERS_REQUEST__INIT;
    body.incident_id = incident;
    body.n_user_ids = below(night, 3);
    body.user_ids = people;
    body.n_escalation_policy_ids = below(night, 2);
    body.escalation_policy_ids = &policy;
    Tocsin__Command command = COMMAND(RESPONDERS_REQUEST, responders_request, body);
    (void)stand_do(night->stand, &command);
}

static void step_time(struct night *night)
{
    uint64_t ms = below(night, 3) == 0 ? below(night, 4000) : below(night, 4 * night->minute_ms);
    stand_advance(night->stand, ms);
    if (below(night, 4) > 0) {
        stand_pulse(night->stand, below(night, 5) == 0 ? 1 : 256);
    }
}

static void step_run(struct night *night)
{
    stand_run(night->stand, below(night, 3 * night->minute_ms));
}

static void send_end(struct night *night, size_t i, Tocsin__Outcome outcome)
{
    struct stand_send copy = night->stand->sends[i];
    stand_receipt(night->stand, &copy, outcome, (uint32_t)below(night, 20000));
    stand_forget(night->stand, i);
}

/* A claim of the same page that came later, after the first one had lapsed. */
static bool is_at_hand(const struct stand *stand, uint64_t notification_id)
{
    for (size_t i = 0; i < stand->sends_count; i++) {
        if (stand->sends[i].notification->id == notification_id) {
            return true;
        }
    }
    return false;
}

/* What its dispatcher does with one notification that it was handed. */
static void step_send(struct night *night)
{
    struct stand *stand = night->stand;
    if (stand->sends_count == 0) {
        return;
    }
    size_t i = below(night, stand->sends_count);
    struct stand_send *send = &stand->sends[i];
    bool valid = send->term == stand->term &&
                 stand_boottime_ms(stand, send->node) <= send->notification->claim_boottime_ms + CLAIM_VALID_MS;
    static const Tocsin__Outcome OUTCOMES[] = {TOCSIN__OUTCOME__OUTCOME_SENT,  TOCSIN__OUTCOME__OUTCOME_SENT,
                                               TOCSIN__OUTCOME__OUTCOME_RETRY, TOCSIN__OUTCOME__OUTCOME_UNKNOWN,
                                               TOCSIN__OUTCOME__OUTCOME_NEVER, TOCSIN__OUTCOME__OUTCOME_MISCONFIGURED};
    if (send->requested) {
        send_end(night, i, OUTCOMES[below(night, 6)]);
    } else if (valid && below(night, 12) > 0) {
        stand_request(stand, send);
    } else if (below(night, 8) == 0) {
        send_end(night, i, TOCSIN__OUTCOME__OUTCOME_MISCONFIGURED);
    } else {
        uint64_t id = send->notification->id;
        bool own = send->term == stand->term;
        stand_forget(stand, i);
        if (own && below(night, 3) > 0 && !is_at_hand(stand, id)) {
            stand_claim(stand, id); /* it was too late for the first one */
        }
    }
}

static void step_leader(struct night *night)
{
    struct stand *stand = night->stand;
    stand_advance(stand, below(night, 5000));
    stand_new_leader(stand, 1 + below(night, 3));
    if (below(night, 4) > 0) {
        stand_reclaim(stand);
    }
}

static void delete_user(struct night *night)
{
    Tocsin__UserDelete body;
    tocsin__user_delete__init(&body);
    body.id = any(night, night->users, night->users_count);
    Tocsin__Command command = COMMAND(USER_DELETE, user_delete, body);
    if (stand_do(night->stand, &command)->status != TOCSIN__STATUS__STATUS_OK) {
        return;
    }
    size_t user = 0;
    while (night->users[user] != body.id) {
        user++;
    }
    night->users_count--;
    night->users[user] = night->users[night->users_count];
    memcpy(night->methods[user], night->methods[night->users_count], sizeof night->methods[user]);
}

static void delete_method(struct night *night)
{
    if (night->users_count == 0) {
        return;
    }
    size_t user = below(night, night->users_count);
    size_t place = below(night, 3);
    Tocsin__ContactMethodDelete body;
    tocsin__contact_method_delete__init(&body);
    body.user_id = night->users[user];
    body.id = night->methods[user][place];
    Tocsin__Command command = COMMAND(CONTACT_METHOD_DELETE, contact_method_delete, body);
    (void)stand_do(night->stand, &command);
    night->methods[user][place] = 0;
}

static void change_method(struct night *night)
{
    if (night->users_count == 0) {
        return;
    }
    size_t user = below(night, night->users_count);
    char address[32];
    (void)snprintf(address, sizeof address, "556%" PRIu64, 1000 + below(night, 9000));
    Tocsin__ContactMethod method;
    tocsin__contact_method__init(&method);
    method.user_id = night->users[user];
    method.address = address;
    Tocsin__ContactMethodPut body;
    tocsin__contact_method_put__init(&body);
    body.id = night->methods[user][below(night, 3)];
    body.fields = 1u << 5;
    body.contact_method = &method;
    Tocsin__Command command = COMMAND(CONTACT_METHOD_PUT, contact_method_put, body);
    if (body.id != 0) {
        (void)stand_do(night->stand, &command);
    }
}

static void delete_policy_or_service(struct night *night)
{
    if (below(night, 2) == 0) {
        Tocsin__EscalationPolicyDelete body;
        tocsin__escalation_policy_delete__init(&body);
        body.id = any(night, night->policies, night->policies_count);
        Tocsin__Command command = COMMAND(ESCALATION_POLICY_DELETE, escalation_policy_delete, body);
        (void)stand_do(night->stand, &command);
    } else {
        Tocsin__ServiceDelete body;
        tocsin__service_delete__init(&body);
        body.id = any(night, night->services, night->services_count);
        Tocsin__Command command = COMMAND(SERVICE_DELETE, service_delete, body);
        (void)stand_do(night->stand, &command);
    }
}

static void delete_integration(struct night *night)
{
    size_t i = below(night, KEYS_MAX);
    Tocsin__IntegrationDelete body;
    tocsin__integration_delete__init(&body);
    body.service_id = night->integration_services[i];
    body.id = night->integrations[i];
    Tocsin__Command command = COMMAND(INTEGRATION_DELETE, integration_delete, body);
    (void)stand_do(night->stand, &command);
}

static void change_service(struct night *night)
{
    Tocsin__Service service;
    tocsin__service__init(&service);
    service.escalation_policy_id = any(night, night->policies, night->policies_count);
    service.urgency = (Tocsin__Urgency)below(night, 4);
    service.acknowledgement_timeout_s = (uint32_t)below(night, 2) * 300;
    service.auto_resolve_timeout_s = (uint32_t)below(night, 2) * 900;
    service.disabled = below(night, 6) == 0;
    Tocsin__ServicePut body;
    tocsin__service_put__init(&body);
    body.id = any(night, night->services, night->services_count);
    body.fields = chance_next(night) & (1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 11);
    body.service = &service;
    Tocsin__Command command = COMMAND(SERVICE_PUT, service_put, body);
    if (body.id != 0) {
        (void)stand_do(night->stand, &command);
    }
}

static void step_edit(struct night *night)
{
    switch (below(night, 13)) {
    case 10:
    case 11:
    case 12:
        rules_change(night);
        break;
    case 0:
        user_new(night);
        break;
    case 1:
        delete_user(night);
        break;
    case 2:
        delete_method(night);
        break;
    case 3:
        change_method(night);
        break;
    case 4:
        delete_policy_or_service(night);
        break;
    case 5:
        if (below(night, 6) == 0) {
            delete_integration(night);
        }
        break;
    case 6:
        change_service(night);
        break;
    case 7:
        if (night->users_count > 0) {
            rule_new(night, below(night, night->users_count));
        }
        break;
    case 8:
        if (night->users_count > 0) {
            size_t user = below(night, night->users_count);
            if (night->methods[user][2] == 0) {
                method_new(night, user);
            }
        }
        break;
    default:
        if (night->users_count > 0) {
            policy_put(night, below(night, 3) == 0 ? 0 : any(night, night->policies, night->policies_count));
        }
    }
}

static void act_as_somebody(struct night *night)
{
    Tocsin__Actor *actor = &night->stand->actor;
    bool person = below(night, 2) == 0 && night->users_count > 0;
    actor->kind = person ? TOCSIN__ACTOR_KIND__ACTOR_USER : TOCSIN__ACTOR_KIND__ACTOR_TOKEN;
    actor->id = person ? any(night, night->users, night->users_count) : 0;
}

/* A claim of something that may be claimed already, or must wait. */
static void step_claim(struct night *night)
{
    struct stand *stand = night->stand;
    uint64_t rows = stand->store.count(stand->store.context, TABLE_OUTBOX);
    struct walk walk = walk_all(&stand->store, TABLE_OUTBOX);
    uint64_t id = 999999;
    for (uint64_t i = below(night, rows + 1); i > 0 && walk_next(&walk); i--) {
        id = span_number(walk.key, 0);
    }
    if (is_at_hand(stand, id)) {
        return; /* no dispatcher claims what it is sending */
    }
    uint64_t boot = stand->boot;
    stand->boot += below(night, 3) == 0 ? 1 : 0; /* nor does another start of the leader in the same term */
    stand_claim(stand, id);
    stand->boot = boot;
}

/* An entry whose stamp goes backwards. */
static void step_stamp(struct night *night)
{
    night->stand->stamp_lag_ms = below(night, 2 * night->minute_ms);
    step_event(night);
    night->stand->stamp_lag_ms = 0;
}

static void step_repeat(struct night *night)
{
    stand_repeat(night->stand);
}

static const struct step {
    unsigned weight;
    void (*take)(struct night *);
} STEPS_OF_A_NIGHT[] = {{14, step_event}, {4, step_create}, {12, step_change}, {20, step_time},
                        {6, step_run},    {40, step_send},  {3, step_leader},  {6, step_edit},
                        {2, step_repeat}, {3, step_claim},  {2, step_stamp},
                        {3, step_snooze}, {3, step_merge},  {4, step_help}};

static void step(struct night *night)
{
    unsigned weights = 0;
    for (size_t i = 0; i < sizeof STEPS_OF_A_NIGHT / sizeof STEPS_OF_A_NIGHT[0]; i++) {
        weights += STEPS_OF_A_NIGHT[i].weight;
    }
    uint64_t left = below(night, weights);
    size_t i = 0;
    while (left >= STEPS_OF_A_NIGHT[i].weight) {
        left -= STEPS_OF_A_NIGHT[i++].weight;
    }
    act_as_somebody(night);
    STEPS_OF_A_NIGHT[i].take(night);
}

static struct model_counts night_live(uint64_t seed)
{
    struct night night = {.stand = stand_new(), .chance = seed};
    night.stand->dispatches = true;
    company_found(&night);
    for (unsigned i = 0; i < STEPS && night.stand->violations == 0; i++) {
        step(&night);
    }
    /* Peace: a leader that does its duty. */
    stand_new_leader(night.stand, 1);
    stand_reclaim(night.stand);
    model_healed(night.stand->model, night.stand->true_ms);
    stand_pulse(night.stand, LIMIT_PULSE_DEADLINES);
    stand_run_delivering(night.stand, 90 * night.minute_ms + 60000);
    model_finish(night.stand->model, model_time_ms(night.stand->model));
    if (night.stand->violations > 0) {
        fail_msg("seed %" PRIu64 ": %s", seed, night.stand->first_violation);
    }
    struct model_counts counts = model_counts(night.stand->model);
    stand_free(night.stand);
    return counts;
}

static void machine_and_model_agree_through_random_nights(void **state)
{
    (void)state;
    const char *one = getenv("SEED");
    uint64_t first = one != NULL ? strtoull(one, NULL, 10) : 1;
    const char *nights = getenv("NIGHTS");
    uint64_t last = one != NULL ? first : nights != NULL ? strtoull(nights, NULL, 10) : NIGHTS;
    struct model_counts all = {0};
    for (uint64_t seed = first; seed <= last; seed++) {
        struct model_counts counts = night_live(seed);
        all.incidents += counts.incidents;
        all.pages_sent += counts.pages_sent;
        all.repeats += counts.repeats;
        all.excused += counts.excused;
        all.acknowledgements += counts.acknowledgements;
        all.escalations += counts.escalations;
        all.guardian_pages += counts.guardian_pages;
        all.snoozes_ended += counts.snoozes_ended;
        all.alerts_moved += counts.alerts_moved;
        all.calls_for_help += counts.calls_for_help;
        all.alerts_joined += counts.alerts_joined;
        all.alerts_paused += counts.alerts_paused;
        all.turns += counts.turns;
    }
    if (one == NULL) {
        /* Idle nights prove nothing. */
        assert_true(all.incidents > last && all.pages_sent > 10 * last && all.repeats > last && all.excused > last);
        assert_true(all.acknowledgements > last && all.escalations > last && all.guardian_pages > last);
        assert_true(all.snoozes_ended > last / 2 && all.alerts_moved > last / 2 && all.calls_for_help > last);
        assert_true(all.alerts_joined > last / 3 && all.alerts_paused > last && all.turns > last);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(machine_and_model_agree_through_random_nights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
