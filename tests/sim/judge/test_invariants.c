/* What holds in every state: a state is broken in each way, and the sentence says which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/base/ids.h"
#include "consensus/machine/heartbeats/quick_pings.h"
#include "consensus/machine/limits.h"
#include "consensus/machine/records.h"
#include "tests/sim/judge/invariants.h"
#include "tests/sim/model/model_stand.h"
#include "tests/support/machine_probe.h"

#define KEY "R0000000000000000000000000000001"
#define MINUTE ((uint64_t)STAND_MINUTE_MS)
#define JOB 7u /* the id of a heartbeat that is up */
#define JOB_DUE_MS 1790009999999u

/* One incident of each kind, with Alice (a text, calls after delays), Bob and a guardian. */
struct town {
    struct stand *stand;
    const struct machine_store *store;
    uint64_t alice, alice_text, rule, bob, policy, service, integration;
    uint64_t triggered, acknowledged, resolved, exhausted, low, by_hand;
};

static uint64_t low_service(struct town *town)
{
    return stand_service(town->stand, town->policy, TOCSIN__URGENCY__URGENCY_LOW, 0, 0);
}

static uint64_t incident_by_hand(struct stand *stand, uint64_t service)
{
    Tocsin__IncidentCreate body;
    tocsin__incident_create__init(&body);
    body.service_id = service;
    body.title = probe_text("Somebody saw smoke");
    body.incident_key = probe_text("smoke");
    Tocsin__Command command = COMMAND(INCIDENT_CREATE, incident_create, body);
    return stand_done(stand, &command);
}

static void token_new(struct stand *stand)
{
    static uint8_t hash[32] = {7};
    Tocsin__Token token;
    tocsin__token__init(&token);
    token.hash = (ProtobufCBinaryData){.len = sizeof hash, .data = hash};
    Tocsin__TokenPut body;
    tocsin__token_put__init(&body);
    body.token = &token;
    Tocsin__Command command = COMMAND(TOKEN_PUT, token_put, body);
    command.idempotency_key = probe_text("a token, once");
    (void)stand_done(stand, &command);
}

static uint64_t trigger(struct stand *stand, const char *dedup_key)
{
    return stand_event(stand, KEY, TOCSIN__EVENT_ACTION__EVENT_TRIGGER, dedup_key, TOCSIN__SEVERITY__SEVERITY_CRITICAL);
}

static void row_put(const struct town *town, enum machine_table table, struct key key, struct key value)
{
    town->store->put(town->store->context, table, key_span(&key), key_span(&value));
}

/* Written past the machine and the model, which knows no heartbeats. */
static void heartbeat_new(const struct town *town)
{
    Tocsin__Heartbeat heartbeat = TOCSIN__HEARTBEAT__INIT;
    heartbeat.id = JOB;
    heartbeat.key = probe_text("00000000-0000-4000-8000-000000000001");
    heartbeat.name = heartbeat.slug = probe_text("backup");
    heartbeat.service_id = town->service;
    heartbeat_put(town->store, &heartbeat);
    Tocsin__HeartbeatState state = TOCSIN__HEARTBEAT_STATE__INIT;
    state.status = TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_UP;
    state.filed_ms = JOB_DUE_MS;
    record_put(town->store, TABLE_HEARTBEAT_STATE, key_1(JOB), &state.base);
    struct key none = {.size_bytes = 0};
    row_put(town, TABLE_HEARTBEAT_DUE, key_2(JOB_DUE_MS, JOB), none);
    row_put(town, TABLE_HEARTBEAT_BY_KEY, key_hash(heartbeat.key), key_1(JOB));
    row_put(town, TABLE_HEARTBEAT_BY_NAME, key_and_1(key_hash(heartbeat.name), JOB), none);
    row_put(town, TABLE_HEARTBEAT_BY_SLUG, key_and_1(key_1_hash(town->service, heartbeat.slug), JOB), none);
}

static struct town town_new(void)
{
    struct town town = {.stand = stand_new()};
    struct stand *stand = town.stand;
    town.store = &stand->store;
    stand_guardians(stand, 1, STAND_MINUTE_MS);
    token_new(stand);
    town.alice = stand_user(stand, "Alice");
    town.bob = stand_user(stand, "Bob");
    town.alice_text = stand_method(stand, town.alice, TOCSIN__CHANNEL__CHANNEL_SMS, "5550001");
    uint64_t voice = stand_method(stand, town.alice, TOCSIN__CHANNEL__CHANNEL_VOICE, "5550002");
    town.rule = stand_rule(stand, town.alice, town.alice_text, TOCSIN__URGENCY__URGENCY_HIGH, 0);
    (void)stand_rule(stand, town.alice, voice, TOCSIN__URGENCY__URGENCY_HIGH, 3);
    (void)stand_method(stand, town.bob, TOCSIN__CHANNEL__CHANNEL_SMS, "5550003");
    const struct stand_level levels[] = {{5, {town.alice, 0}}, {5, {town.bob, 0}}};
    town.policy = stand_policy(stand, 0, 0, 2, levels);
    town.service = stand_service(stand, town.policy, TOCSIN__URGENCY__URGENCY_HIGH, 1800, 7200);
    town.integration = stand_integration(stand, town.service, KEY);
    town.exhausted = trigger(stand, "oldest");
    stand_run_delivering(stand, 11 * MINUTE);
    town.resolved = trigger(stand, "gone");
    stand_run_delivering(stand, 1000);
    assert_true(stand_set_status(stand, town.resolved, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED));
    town.acknowledged = trigger(stand, "known");
    assert_true(stand_set_status(stand, town.acknowledged, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED));
    town.low = incident_by_hand(stand, low_service(&town));
    town.by_hand = incident_by_hand(stand, town.service);
    stand_deliver(stand);
    town.triggered = trigger(stand, "new");
    stand_expect_peace(stand);
    heartbeat_new(&town);
    return town;
}

/* ---------------------------------------------------------------- what is broken */

static Tocsin__Incident *incident_take(const struct town *town, uint64_t id)
{
    Tocsin__Incident *incident = incident_get(town->store, id, NULL);
    assert_non_null(incident);
    return incident;
}

static void incident_give(const struct town *town, Tocsin__Incident *incident)
{
    incident_put(town->store, incident);
    tocsin__incident__free_unpacked(incident, NULL);
}

static void row_cut(const struct town *town, enum machine_table table, struct key key)
{
    assert_true(town->store->del(town->store->context, table, key_span(&key)));
}

/* The first row of the table under this parent. */
static struct key first_under(const struct town *town, enum machine_table table, uint64_t parent)
{
    struct walk walk = walk_under(town->store, table, parent);
    assert_true(walk_next(&walk));
    return walk.position;
}

static struct key first_of(const struct town *town, enum machine_table table)
{
    struct walk walk = walk_all(town->store, table);
    assert_true(walk_next(&walk));
    return walk.position;
}

static void lost_level(struct town *town)
{
    Tocsin__Incident *incident = incident_take(town, town->triggered);
    row_cut(town, TABLE_DEADLINE, key_deadline(incident->escalate_due_ms, DEADLINE_ESCALATE, incident->id, 0));
    incident->escalate_due_ms = 0;
    incident_give(town, incident);
}

static void snooze_beside_a_page(struct town *town)
{
    Tocsin__Incident *incident = incident_take(town, town->triggered);
    Tocsin__Deadline row = TOCSIN__DEADLINE__INIT;
    incident->snooze_due_ms = incident->escalate_due_ms;
    record_put(town->store, TABLE_DEADLINE, key_deadline(incident->snooze_due_ms, DEADLINE_SNOOZE, incident->id, 0),
               &row.base);
    incident_give(town, incident);
}

static void ticket_that_escalates(struct town *town)
{
    Tocsin__Incident *incident = incident_take(town, town->triggered);
    incident->details = calloc(1, sizeof *incident->details);
    assert_non_null(incident->details);
    tocsin__incident_details__init(incident->details);
    incident->details->category = TOCSIN__INCIDENT_CATEGORY__CATEGORY_TICKET;
    incident_give(town, incident);
}

static void lost_target_row(struct town *town)
{
    Tocsin__Incident *incident = incident_take(town, town->triggered);
    incident->resolve_target_due_ms = incident->escalate_due_ms;
    incident_give(town, incident);
}

static void lost_level_row(struct town *town)
{
    Tocsin__Incident *incident = incident_take(town, town->triggered);
    row_cut(town, TABLE_DEADLINE, key_deadline(incident->escalate_due_ms, DEADLINE_ESCALATE, incident->id, 0));
    tocsin__incident__free_unpacked(incident, NULL);
}

static void lost_guardians(struct town *town)
{
    Tocsin__Incident *incident = incident_take(town, town->exhausted);
    row_cut(town, TABLE_DEADLINE, key_deadline(incident->guardians_due_ms, DEADLINE_GUARDIANS, incident->id, 0));
    incident->guardians_due_ms = 0;
    incident_give(town, incident);
}

static void acknowledged_escalates(struct town *town)
{
    Tocsin__Incident *incident = incident_take(town, town->acknowledged);
    incident->escalate_due_ms = 1790000900000;
    Tocsin__Deadline row = TOCSIN__DEADLINE__INIT;
    record_put(town->store, TABLE_DEADLINE, key_deadline(incident->escalate_due_ms, DEADLINE_ESCALATE, incident->id, 0),
               &row.base);
    incident_give(town, incident);
}

static void lost_low(struct town *town)
{
    Tocsin__Incident *incident = incident_take(town, town->low);
    struct walk walk = walk_under(town->store, TABLE_LOG_ENTRY, town->low);
    while (walk_next(&walk)) {
        Tocsin__LogEntry *entry = record_unpack(&tocsin__log_entry__descriptor, walk.value, NULL);
        if (entry->why == TOCSIN__WHY__WHY_LOW_URGENCY) {
            row_cut(town, TABLE_LOG_ENTRY, key_2(town->low, entry->id));
            incident->log_entries--;
        }
        tocsin__log_entry__free_unpacked(entry, NULL);
    }
    incident_give(town, incident);
}

static void stray_deadline(struct town *town)
{
    Tocsin__Deadline row = TOCSIN__DEADLINE__INIT;
    record_put(town->store, TABLE_DEADLINE, key_deadline(1790000900000, DEADLINE_AUTO_RESOLVE, town->resolved, 0),
               &row.base);
}

static void deadline_of_nothing(struct town *town)
{
    Tocsin__Deadline row = TOCSIN__DEADLINE__INIT;
    record_put(town->store, TABLE_DEADLINE, key_deadline(1790000900000, DEADLINE_ESCALATE, 999, 0), &row.base);
}

static void retry_of_nothing(struct town *town)
{
    Tocsin__Deadline row = TOCSIN__DEADLINE__INIT;
    record_put(town->store, TABLE_DEADLINE, key_deadline(1790000900000, DEADLINE_NOTIFICATION_RETRY, 999, 0),
               &row.base);
}

static void lost_rule_delay(struct town *town)
{
    struct walk walk = walk_all_backward(town->store, TABLE_DEADLINE);
    while (walk_next(&walk)) {
        uint64_t due_ms, object, sub_object;
        enum deadline_kind kind;
        key_deadline_split(walk.key, &due_ms, &kind, &object, &sub_object);
        if (kind == DEADLINE_NOTIFICATION_RULE && object == town->triggered) {
            row_cut(town, TABLE_DEADLINE, walk.position);
            return;
        }
    }
    fail();
}

static Tocsin__Notification *page_take(const struct town *town)
{
    struct key key = first_of(town, TABLE_OUTBOX);
    struct span value;
    assert_true(town->store->get(town->store->context, TABLE_OUTBOX, key_span(&key), &value));
    return record_unpack(&tocsin__notification__descriptor, value, NULL);
}

static void page_give(const struct town *town, Tocsin__Notification *page)
{
    record_put(town->store, TABLE_OUTBOX, key_1(page->id), &page->base);
    tocsin__notification__free_unpacked(page, NULL);
}

static void lost_retry(struct town *town)
{
    Tocsin__Notification *page = page_take(town);
    row_cut(town, TABLE_DEADLINE, key_deadline(page->due_at_ms, DEADLINE_NOTIFICATION_RETRY, page->id, 0));
    tocsin__notification__free_unpacked(page, NULL);
}

static void lost_page(struct town *town)
{
    Tocsin__Notification *page = page_take(town);
    row_cut(town, TABLE_DEADLINE, key_deadline(page->due_at_ms, DEADLINE_NOTIFICATION_RETRY, page->id, 0));
    row_cut(town, TABLE_OUTBOX, key_1(page->id));
    tocsin__notification__free_unpacked(page, NULL);
}

static void page_of_another_incident(struct town *town)
{
    Tocsin__Notification *page = page_take(town);
    page->incident_id = town->exhausted;
    page_give(town, page);
}

static void claimed_by_nobody(struct town *town)
{
    Tocsin__Notification *page = page_take(town);
    page->claim_node = 0;
    page_give(town, page);
}

static void owed_after_acknowledgement(struct town *town)
{
    Tocsin__Notification *page = page_take(town);
    page->state = TOCSIN__NOTIFICATION_STATE__NOTIFICATION_WAITING;
    page_give(town, page);
    Tocsin__Incident *incident = incident_take(town, town->triggered);
    row_cut(town, TABLE_DEADLINE, key_deadline(incident->escalate_due_ms, DEADLINE_ESCALATE, incident->id, 0));
    incident->escalate_due_ms = 0;
    incident->status = TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED;
    incident_give(town, incident);
}

static void owed_to_an_older_assignment(struct town *town)
{
    Tocsin__Notification *page = page_take(town);
    page->state = TOCSIN__NOTIFICATION_STATE__NOTIFICATION_WAITING;
    page->generation--;
    page_give(town, page);
}

static void ended_twice(struct town *town)
{
    Tocsin__Notification *page = page_take(town);
    record_put(town->store, TABLE_NOTIFICATION, key_2(page->incident_id, page->id), &page->base);
    tocsin__notification__free_unpacked(page, NULL);
}

static void lost_log_entry(struct town *town)
{
    row_cut(town, TABLE_LOG_ENTRY, first_under(town, TABLE_LOG_ENTRY, town->triggered));
}

static void lost_incident(struct town *town)
{
    row_cut(town, TABLE_INCIDENT, key_1(town->resolved));
}

static void lost_alert(struct town *town)
{
    row_cut(town, TABLE_ALERT, first_under(town, TABLE_ALERT, town->acknowledged));
}

static void lost_alert_index(struct town *town)
{
    row_cut(town, TABLE_ALERT_OPEN, key_1_hash(town->integration, "new"));
}

static void stray_alert_index(struct town *town)
{
    struct key key = key_1_hash(town->integration, "none"), place = key_2(1, 2);
    town->store->put(town->store->context, TABLE_ALERT_OPEN, key_span(&key), key_span(&place));
}

static void alert_open_beyond_its_incident(struct town *town)
{
    struct key key = first_under(town, TABLE_ALERT, town->resolved);
    Tocsin__Alert *alert = alert_get(town->store, town->resolved, span_number(key_span(&key), 1), NULL);
    alert->resolved = false;
    alert_put(town->store, alert);
    struct key index = key_1_hash(town->integration, "gone"), place = key_2(town->resolved, alert->id);
    town->store->put(town->store->context, TABLE_ALERT_OPEN, key_span(&index), key_span(&place));
    tocsin__alert__free_unpacked(alert, NULL);
    Tocsin__Incident *incident = incident_take(town, town->resolved);
    incident->alerts_triggered = 1;
    incident->alerts_resolved = 0;
    incident_give(town, incident);
}

static void not_listed_open(struct town *town)
{
    row_cut(town, TABLE_INCIDENT_OPEN, key_1(town->triggered));
}

static void not_found_by_number(struct town *town)
{
    row_cut(town, TABLE_INCIDENT_BY_NUMBER, key_1(1));
}

static void not_found_by_key(struct town *town)
{
    row_cut(town, TABLE_INCIDENT_BY_KEY, key_1_hash(town->service, "smoke"));
}

static void two_keys_for_one(struct town *town)
{
    struct key key = key_1_hash(town->service, "fire"), id = key_1(town->by_hand);
    town->store->put(town->store->context, TABLE_INCIDENT_BY_KEY, key_span(&key), key_span(&id));
}

static void number_of_the_future(struct town *town)
{
    Tocsin__Counters *counters = counters_get(town->store, NULL);
    counters->next_incident_number--;
    record_put(town->store, TABLE_META, key_meta(META_COUNTERS), &counters->base);
    tocsin__counters__free_unpacked(counters, NULL);
}

static void id_of_the_future(struct town *town)
{
    Tocsin__Counters *counters = counters_get(town->store, NULL);
    counters->next_id = town->triggered;
    record_put(town->store, TABLE_META, key_meta(META_COUNTERS), &counters->base);
    tocsin__counters__free_unpacked(counters, NULL);
}

static void time_of_the_future(struct town *town)
{
    Tocsin__Counters *counters = counters_get(town->store, NULL);
    counters->last_time_ms -= MINUTE;
    record_put(town->store, TABLE_META, key_meta(META_COUNTERS), &counters->base);
    tocsin__counters__free_unpacked(counters, NULL);
}

static void lost_counters(struct town *town)
{
    row_cut(town, TABLE_META, key_meta(META_COUNTERS));
}

static void lost_user(struct town *town)
{
    row_cut(town, TABLE_USER_BY_EMAIL, key_hash_lower("bob@example.org"));
    row_cut(town, TABLE_USER, key_1(town->bob));
}

static void user_without_index(struct town *town)
{
    row_cut(town, TABLE_USER_BY_EMAIL, key_hash_lower("bob@example.org"));
}

static void method_of_a_rule_lost(struct town *town)
{
    row_cut(town, TABLE_CONTACT_METHOD, key_2(town->alice, town->alice_text));
}

static void policy_lost(struct town *town)
{
    row_cut(town, TABLE_ESCALATION_POLICY, key_1(town->policy));
}

static void service_miscounts(struct town *town)
{
    Tocsin__Service *service = service_get(town->store, town->service, NULL);
    service->open_incidents++;
    service_put(town->store, service);
    tocsin__service__free_unpacked(service, NULL);
}

static void integration_key_lost(struct town *town)
{
    row_cut(town, TABLE_INTEGRATION_BY_KEY, key_hash(KEY));
}

static void token_hash_lost(struct town *town)
{
    row_cut(town, TABLE_TOKEN_BY_HASH, first_of(town, TABLE_TOKEN_BY_HASH));
}

static void reply_time_lost(struct town *town)
{
    row_cut(town, TABLE_IDEMPOTENCY_BY_TIME, first_of(town, TABLE_IDEMPOTENCY_BY_TIME));
}

static void nonsense_in_a_row(struct town *town)
{
    struct key key = key_1(town->policy);
    town->store->put(town->store->context, TABLE_ESCALATION_POLICY, key_span(&key),
                     (struct span){.data = "\xff\xff\xff", .size_bytes = 3});
}

static void heartbeat_row_lost(struct town *town)
{
    row_cut(town, TABLE_HEARTBEAT_DUE, key_2(JOB_DUE_MS, JOB));
}

static void heartbeat_never_looked_at(struct town *town)
{
    heartbeat_row_lost(town);
    Tocsin__HeartbeatState state = TOCSIN__HEARTBEAT_STATE__INIT;
    state.status = TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_UP;
    record_put(town->store, TABLE_HEARTBEAT_STATE, key_1(JOB), &state.base);
}

/* The newest incident is the heartbeat's, and a second word about it is to come. */
static void heartbeat_down_and_filed(struct town *town)
{
    char id[16], dedup_key[32];
    id_format(JOB, id);
    (void)snprintf(dedup_key, sizeof dedup_key, "heartbeat/%s", id);
    struct key place = first_under(town, TABLE_ALERT, town->triggered);
    Tocsin__Alert *alert = alert_get(town->store, town->triggered, span_number(key_span(&place), 1), NULL);
    char *sent_key = alert->dedup_key;
    row_cut(town, TABLE_ALERT_OPEN, key_1_hash(alert->integration_id, sent_key));
    alert->integration_id = JOB;
    alert->dedup_key = dedup_key;
    alert_put(town->store, alert);
    row_put(town, TABLE_ALERT_OPEN, key_1_hash(JOB, dedup_key), place);
    alert->dedup_key = sent_key;
    tocsin__alert__free_unpacked(alert, NULL);
    Tocsin__HeartbeatState state = TOCSIN__HEARTBEAT_STATE__INIT;
    state.status = TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_DOWN;
    state.filed_ms = JOB_DUE_MS;
    record_put(town->store, TABLE_HEARTBEAT_STATE, key_1(JOB), &state.base);
}

static void heartbeat_without_state(struct town *town)
{
    row_cut(town, TABLE_HEARTBEAT_STATE, key_1(JOB));
}

static void heartbeat_key_lost(struct town *town)
{
    row_cut(town, TABLE_HEARTBEAT_BY_KEY, first_of(town, TABLE_HEARTBEAT_BY_KEY));
}

static void heartbeat_gone(struct town *town)
{
    row_cut(town, TABLE_HEARTBEAT, key_1(JOB));
}

/* A ping of this heartbeat is noted by its time alone. */
static void quick_place_put(struct town *town, uint64_t id)
{
    uint8_t row[QUICK_PLACES * 8] = {0};
    struct key key = key_1(id / QUICK_PLACES);
    row[id % QUICK_PLACES * 8] = 1;
    town->store->put(town->store->context, TABLE_HEARTBEAT_QUICK, key_span(&key),
                     (struct span){.data = row, .size_bytes = sizeof row});
}

static void heartbeat_quick_while_it_runs(struct town *town)
{
    Tocsin__HeartbeatState state = TOCSIN__HEARTBEAT_STATE__INIT;
    state.status = TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_UP;
    state.filed_ms = JOB_DUE_MS;
    state.last_start_ms = 1;
    record_put(town->store, TABLE_HEARTBEAT_STATE, key_1(JOB), &state.base);
    quick_place_put(town, JOB);
}

static void heartbeat_quick_though_gone(struct town *town)
{
    quick_place_put(town, JOB + 1);
}

static void heartbeat_filed_twice(struct town *town)
{
    row_put(town, TABLE_HEARTBEAT_DUE, key_2(JOB_DUE_MS + 1, JOB), (struct key){.size_bytes = 0});
}

static const struct breakage {
    void (*make)(struct town *);
    const char *says;
} BREAKAGES[] = {
    {lost_level, "incident 6 is triggered, and no level and no guardian comes next"},
    {lost_level_row, "incident 6 waits for the next level at"},
    {snooze_beside_a_page, "incident 6 is triggered, and snoozed"},
    {ticket_that_escalates, "incident 6 is a ticket, and escalates"},
    {lost_target_row, "incident 6 waits for the target of its end at"},
    {lost_guardians, "incident 1: its escalation ended, and the guardians are not told again"},
    {acknowledged_escalates, "incident 3 is acknowledged and escalates"},
    {lost_low, "incident 4 is lost: no deadline, nothing owed, no reason"},
    {stray_deadline, "incident 2: a deadline (resolving itself) is filed at 1790000900000, and the incident says 0"},
    {deadline_of_nothing, "a deadline (the next level) is filed for an incident that is gone"},
    {retry_of_nothing, "a deadline is filed for notification 999, which knows nothing of it"},
    {lost_rule_delay, "incident 6 counts 2 pages to come, and has 1"},
    {lost_retry, "the page to Alice (5550001) is claimed, and no deadline brings it back"},
    {lost_page, "incident 6 counts 1 pages under way, and has 0"},
    {page_of_another_incident, "incident 1 does not know of its page to Alice (5550001)"},
    {claimed_by_nobody, "the page to Alice (5550001) is claimed by nobody"},
    {owed_after_acknowledgement, "incident 6 is acknowledged, and Alice (5550001) is still owed a page of it"},
    {owed_to_an_older_assignment, "incident 6 was given to others, and Alice (5550001) is still owed a page of it"},
    {ended_twice, "has ended, and is in the outbox"},
    {lost_log_entry, "entries in its timeline, and has"},
    {lost_incident, "belongs to no incident"},
    {lost_alert, "incident 3 counts 1 open alerts, and has 0"},
    {lost_alert_index, "incident 6: its open alert new is not found by its key"},
    {stray_alert_index, "alerts are open, and"},
    {alert_open_beyond_its_incident, "incident 2 counts 0 open alerts beyond its end, and has 1"},
    {not_listed_open, "incident 6 is open, and its lists say otherwise"},
    {not_found_by_number, "incident 1 is not found by its number"},
    {not_found_by_key, "incident 5 is not found by its key smoke"},
    {two_keys_for_one, "2 open incidents have a key of their own, and 3 are listed by one"},
    {number_of_the_future, "incident 6 has a number that was not given yet"},
    {id_of_the_future, "has an id that was not given yet"},
    {time_of_the_future, "was changed at a time that has not come"},
    {lost_counters, "rows and no counters"},
    {lost_user, "incident 1 is with user"},
    {user_without_index, "user Bob is not found by the address Bob@example.org"},
    {method_of_a_rule_lost, "uses a contact method that is gone"},
    {policy_lost, "incident 1 is open, and its escalation policy is gone"},
    {service_miscounts, "open incidents, and has"},
    {integration_key_lost, "is not found by its key"},
    {token_hash_lost, "is not found by its hash"},
    {reply_time_lost, "there are 1 replies kept for repeated requests, and 0 rows in their index"},
    {nonsense_in_a_row, "an escalation policy does not decode"},
    {heartbeat_row_lost, "heartbeat 7 says that it is filed, and no row says so"},
    {heartbeat_never_looked_at, "heartbeat 7 is up and not filed: its silence pages nobody"},
    {heartbeat_down_and_filed, "heartbeat 7 is down, told, and waits to be told"},
    {heartbeat_without_state, "heartbeat 7 has no state"},
    {heartbeat_key_lost, "heartbeat 7 is not found by its key, name and slug"},
    {heartbeat_gone, "something is left of a heartbeat that is gone"},
    {heartbeat_quick_while_it_runs, "the pings of heartbeat 7 must do more than they do"},
    {heartbeat_quick_though_gone, "the pings of heartbeat 8, which is gone, are noted"},
    {heartbeat_filed_twice, "a heartbeat is filed that knows nothing of it"},
};

static void each_breakage_has_its_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof BREAKAGES / sizeof BREAKAGES[0]; i++) {
        struct town town = town_new();
        struct decoded_rows *decoded = town.stand->decoded;
        char sentence[512] = "";
        if (!invariants_hold(decoded, town.store, sentence, sizeof sentence)) {
            fail_msg("before anything is broken: %s", sentence);
        }
        BREAKAGES[i].make(&town);
        if (invariants_hold(decoded, town.store, sentence, sizeof sentence)) {
            fail_msg("breakage %zu was not seen: %s", i, BREAKAGES[i].says);
        }
        if (strstr(sentence, BREAKAGES[i].says) == NULL) {
            fail_msg("breakage %zu: \"%s\" does not say \"%s\"", i, sentence, BREAKAGES[i].says);
        }
        stand_free(town.stand);
    }
}

static void an_empty_state_holds(void **state)
{
    (void)state;
    struct stand *stand = stand_new();
    char sentence[64];
    assert_true(invariants_hold(stand->decoded, &stand->store, sentence, sizeof sentence));
    stand_free(stand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_state_holds),
        cmocka_unit_test(each_breakage_has_its_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
