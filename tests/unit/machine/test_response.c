/* What people do about an incident: snooze it, merge others into it, give it a priority. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/incidents/priorities.h"
#include "consensus/machine/limits.h"
#include "tests/support/machine_fixture.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define OTHER_KEY "fedcba9876543210fedcba9876543210"
#define MINUTE FIXTURE_MINUTE_MS
#define SMS TOCSIN__CHANNEL__CHANNEL_SMS
#define ACKNOWLEDGED TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED
#define RESOLVED TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED
#define TRIGGERED TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED

static Tocsin__Priorities *stored; /* of priorities(), until its next call */

/* Alice on the first level, Bob on the second; two services, of which the keys are KEY and OTHER_KEY. */
struct town {
    struct machine_fixture *f;
    uint64_t alice, bob, service, other;
};

static int begin(void **state)
{
    static struct town town;
    struct machine_fixture *f = town.f = fixture_new();
    town.alice = fixture_user(f, "Alice");
    fixture_method(f, town.alice, SMS, "15550001");
    town.bob = fixture_user(f, "Bob");
    fixture_method(f, town.bob, SMS, "15550002");
    struct fixture_level levels[] = {{5, {town.alice}}, {5, {town.bob}}};
    uint64_t policy = fixture_policy(f, 0, 2, levels);
    town.service = fixture_service(f, policy, TOCSIN__URGENCY__URGENCY_HIGH, 1800, 0);
    fixture_integration(f, town.service, KEY);
    town.other = fixture_service(f, policy, TOCSIN__URGENCY__URGENCY_HIGH, 1800, 0);
    fixture_integration(f, town.other, OTHER_KEY);
    *state = &town;
    return 0;
}

static int end(void **state)
{
    struct town *town = *state;
    fixture_free(town->f);
    tocsin__priorities__free_unpacked(stored, NULL);
    stored = NULL;
    return 0;
}

static void expect_told(struct machine_fixture *f, const char *name)
{
    fixture_receipt(f, fixture_expect_send(f, name, SMS), TOCSIN__OUTCOME__OUTCOME_SENT, 0);
    fixture_expect_silence(f);
}

static const Tocsin__Reply *snooze(struct machine_fixture *f, uint64_t id, uint32_t duration_s)
{
    Tocsin__IncidentSnooze body = TOCSIN__INCIDENT_SNOOZE__INIT;
    body.incident_id = id;
    body.duration_s = duration_s;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_INCIDENT_SNOOZE;
    command.incident_snooze = &body;
    return fixture_apply(f, &command);
}

static const Tocsin__Reply *merge(struct machine_fixture *f, uint64_t target, uint64_t *sources, size_t count)
{
    Tocsin__IncidentMerge body = TOCSIN__INCIDENT_MERGE__INIT;
    body.target_id = target;
    body.source_ids = sources;
    body.n_source_ids = count;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_INCIDENT_MERGE;
    command.incident_merge = &body;
    return fixture_apply(f, &command);
}

static uint64_t by_hand(struct machine_fixture *f, uint64_t service, const char *key)
{
    Tocsin__IncidentCreate body = TOCSIN__INCIDENT_CREATE__INIT;
    body.service_id = service;
    body.title = (char *)"By hand";
    body.incident_key = (char *)key;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_INCIDENT_CREATE;
    command.incident_create = &body;
    const Tocsin__Reply *reply = fixture_apply(f, &command);
    return reply->n_ids == 1 ? reply->ids[0] : 0;
}

static void expect_refused(const Tocsin__Reply *reply, Tocsin__Reason reason)
{
    assert_int_not_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    assert_int_equal(reply->reason, reason);
    assert_true(reply->message[0] != '\0');
}

/* ---------------------------------------------------------------- snooze */

static void a_snoozed_incident_is_quiet_and_then_begins_anew(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    uint64_t id = fixture_trigger(f, KEY, "disk");
    expect_told(f, "Alice");
    fixture_run(f, 5 * MINUTE);
    expect_told(f, "Bob");
    fixture_act_as_user(f, town->bob, "Bob");
    assert_int_equal(snooze(f, id, 7200)->status, TOCSIN__STATUS__STATUS_OK);

    /* Two hours, though the service's acknowledgements hold for half an hour. */
    const Tocsin__Incident *incident = fixture_incident(f, id);
    assert_int_equal(incident->status, ACKNOWLEDGED);
    assert_int_equal(incident->n_acknowledgements, 1);
    fixture_run(f, 120 * MINUTE - 1);
    fixture_expect_silence(f);
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_SNOOZE, TOCSIN__WHY__WHY_REQUEST), 1);

    fixture_run(f, 1);
    expect_told(f, "Alice"); /* from the first level, not from Bob's */
    incident = fixture_incident(f, id);
    assert_int_equal(incident->status, TRIGGERED);
    assert_int_equal(incident->level, 1);
    assert_int_equal(incident->n_acknowledgements, 0);
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_UNACKNOWLEDGE, TOCSIN__WHY__WHY_SNOOZE_ENDED), 1);
    fixture_run(f, 5 * MINUTE);
    expect_told(f, "Bob");
}

static void snoozing_ends_what_is_owed(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    f->proposer = 0; /* nobody claims: the page stays owed */
    uint64_t id = fixture_trigger(f, KEY, "disk");
    uint64_t notification = fixture_incident(f, id)->pending_notification_ids[0];
    fixture_act_as_user(f, town->alice, "Alice");
    snooze(f, id, 600);
    assert_int_equal(fixture_rows(f, TABLE_OUTBOX), 0);
    assert_int_equal(fixture_notification(f, id, notification)->state,
                     TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CANCELLED);
    f->proposer = 1;
    expect_refused(fixture_claim(f, notification), TOCSIN__REASON__REASON_UNKNOWN_OBJECT);
    fixture_expect_silence(f);
}

static void snoozing_again_replaces_the_time_and_others_may_join(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    uint64_t id = fixture_trigger(f, KEY, "disk");
    expect_told(f, "Alice");
    fixture_act_as_user(f, town->alice, "Alice");
    snooze(f, id, 86400);
    snooze(f, id, 3600);
    fixture_act_as_user(f, town->bob, "Bob");
    fixture_set_status(f, id, ACKNOWLEDGED);
    const Tocsin__Incident *incident = fixture_incident(f, id);
    assert_int_equal(incident->n_acknowledgements, 2);
    assert_int_equal(incident->acknowledgement_due_ms, 0); /* the snooze holds */
    fixture_run(f, 60 * MINUTE);
    expect_told(f, "Alice");
}

static void a_snooze_ends_with_a_resolve_or_with_another_assignment(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    uint64_t gone = fixture_trigger(f, KEY, "gone"), given = fixture_trigger(f, KEY, "given");
    fixture_deliver_all(f);
    fixture_act_as_user(f, town->alice, "Alice");
    snooze(f, gone, 600);
    snooze(f, given, 600);
    fixture_set_status(f, gone, RESOLVED);
    Tocsin__IncidentChange change = fixture_change_of(given);
    uint64_t bob[] = {town->bob};
    change.assignee_ids = bob;
    change.n_assignee_ids = 1;
    fixture_change(f, change);
    expect_told(f, "Bob");
    assert_int_equal(fixture_incident(f, given)->snooze_due_ms, 0);
    fixture_set_status(f, given, ACKNOWLEDGED);
    fixture_run(f, 20 * MINUTE); /* the half hour of an ordinary acknowledgement */
    fixture_expect_silence(f);
}

static void what_was_given_by_hand_goes_back_to_the_same_people(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    uint64_t id = fixture_trigger(f, KEY, "disk");
    expect_told(f, "Alice");
    Tocsin__IncidentChange change = fixture_change_of(id);
    uint64_t bob[] = {town->bob};
    change.assignee_ids = bob;
    change.n_assignee_ids = 1;
    fixture_change(f, change);
    expect_told(f, "Bob");
    fixture_act_as_user(f, town->bob, "Bob");
    snooze(f, id, 60);
    fixture_run(f, MINUTE);
    expect_told(f, "Bob");
}

static void a_snooze_must_be_possible(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    uint64_t id = fixture_trigger(f, KEY, "disk");
    expect_refused(snooze(f, 999999, 60), TOCSIN__REASON__REASON_UNKNOWN_OBJECT);
    expect_refused(snooze(f, id, 0), TOCSIN__REASON__REASON_BAD_SNOOZE);
    expect_refused(snooze(f, id, LIMIT_SNOOZE_SECONDS + 1), TOCSIN__REASON__REASON_BAD_SNOOZE);
    assert_int_equal(fixture_incident(f, id)->status, TRIGGERED);
    fixture_set_status(f, id, RESOLVED);
    expect_refused(snooze(f, id, 60), TOCSIN__REASON__REASON_ALREADY_RESOLVED);
}

/* ---------------------------------------------------------------- merge */

static void merged_incidents_hand_their_alerts_over_and_are_silent(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    uint64_t target = fixture_trigger(f, KEY, "disk");
    uint64_t same = fixture_trigger(f, KEY, "load"), other = fixture_trigger(f, OTHER_KEY, "latency");
    fixture_deliver_all(f);
    fixture_act_as_user(f, town->alice, "Alice");
    uint64_t sources[] = {same, other};
    assert_int_equal(merge(f, target, sources, 2)->status, TOCSIN__STATUS__STATUS_OK);

    assert_int_equal(fixture_incident(f, target)->alerts_triggered, 3);
    assert_int_equal(fixture_rows_under(f, TABLE_ALERT, target), 3);
    for (size_t i = 0; i < 2; i++) {
        const Tocsin__Incident *source = fixture_incident(f, sources[i]);
        assert_int_equal(source->status, RESOLVED);
        assert_int_equal(source->merged_into_id, target);
        assert_int_equal(source->alerts_triggered + source->alerts_resolved, 0);
        assert_int_equal(fixture_log_count(f, sources[i], TOCSIN__LOG_TYPE__LOG_MERGE, TOCSIN__WHY__WHY_REQUEST), 1);
        assert_int_equal(fixture_log_count(f, sources[i], TOCSIN__LOG_TYPE__LOG_RESOLVE, TOCSIN__WHY__WHY_MERGED), 1);
    }
    assert_int_equal(fixture_log_count(f, target, TOCSIN__LOG_TYPE__LOG_MERGE, TOCSIN__WHY__WHY_REQUEST), 2);

    /* Only the target escalates: Bob hears of one incident, not of three. */
    fixture_run(f, 5 * MINUTE);
    expect_told(f, "Bob");

    /* What the sources say of their alerts is the target's now. */
    assert_int_equal(fixture_event(f, OTHER_KEY, TOCSIN__EVENT_ACTION__EVENT_TRIGGER, "latency", 0)->ids[0], target);
    fixture_event(f, KEY, TOCSIN__EVENT_ACTION__EVENT_RESOLVE, "disk", 0);
    fixture_event(f, KEY, TOCSIN__EVENT_ACTION__EVENT_RESOLVE, "load", 0);
    assert_int_equal(fixture_incident(f, target)->status, TRIGGERED);
    fixture_event(f, OTHER_KEY, TOCSIN__EVENT_ACTION__EVENT_RESOLVE, "latency", 0);
    assert_int_equal(fixture_incident(f, target)->status, RESOLVED);
}

static void what_a_source_owes_is_owed_no_more(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    uint64_t target = fixture_trigger(f, KEY, "disk");
    fixture_deliver_all(f);
    f->proposer = 0;
    uint64_t source = fixture_trigger(f, KEY, "load");
    uint64_t notification = fixture_incident(f, source)->pending_notification_ids[0];
    merge(f, target, &source, 1);
    assert_int_equal(fixture_notification(f, source, notification)->state,
                     TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CANCELLED);
    f->proposer = 1;
    expect_refused(fixture_claim(f, notification), TOCSIN__REASON__REASON_UNKNOWN_OBJECT);
    fixture_expect_silence(f);
}

static void keys_of_incidents_made_by_hand_survive_merges(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    uint64_t made = by_hand(f, town->service, "checkout"), event = fixture_trigger(f, KEY, "checkout");
    assert_true(made != 0);
    /* Its key stays taken with alerts in it, and is free once it is over. */
    merge(f, made, &event, 1);
    assert_int_equal(by_hand(f, town->service, "checkout"), 0);
    fixture_set_status(f, made, RESOLVED);
    uint64_t again = by_hand(f, town->service, "checkout");
    assert_true(again != 0);
    /* An event's incident of the same key that loses its alerts does not take that one's place. */
    uint64_t target = fixture_trigger(f, KEY, "disk");
    event = fixture_trigger(f, KEY, "checkout");
    merge(f, target, &event, 1);
    assert_int_equal(by_hand(f, town->service, "checkout"), 0);
    /* One without alerts can be merged too. */
    assert_int_equal(merge(f, target, &again, 1)->status, TOCSIN__STATUS__STATUS_OK);
    assert_true(by_hand(f, town->service, "checkout") != 0);
}

static void a_merge_is_all_or_nothing(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    uint64_t target = fixture_trigger(f, KEY, "disk"), source = fixture_trigger(f, KEY, "load");
    uint64_t resolved = fixture_trigger(f, KEY, "gone");
    fixture_set_status(f, resolved, RESOLVED);
    uint64_t with_resolved[] = {source, resolved}, with_itself[] = {source, target}, twice[] = {source, source};
    uint64_t with_unknown[] = {source, 999999};
    expect_refused(merge(f, target, with_resolved, 2), TOCSIN__REASON__REASON_ALREADY_RESOLVED);
    expect_refused(merge(f, target, with_itself, 2), TOCSIN__REASON__REASON_BAD_MERGE);
    expect_refused(merge(f, target, twice, 2), TOCSIN__REASON__REASON_BAD_MERGE);
    expect_refused(merge(f, target, with_unknown, 2), TOCSIN__REASON__REASON_UNKNOWN_OBJECT);
    expect_refused(merge(f, target, NULL, 0), TOCSIN__REASON__REASON_BAD_MERGE);
    expect_refused(merge(f, resolved, &source, 1), TOCSIN__REASON__REASON_ALREADY_RESOLVED);
    assert_int_equal(fixture_incident(f, source)->status, TRIGGERED);
    assert_int_equal(fixture_incident(f, target)->alerts_triggered, 1);
}

/* ---------------------------------------------------------------- priorities */

static const Tocsin__Reply *put_priorities(struct machine_fixture *f, Tocsin__Priority **list, size_t count)
{
    Tocsin__PrioritiesPut body = TOCSIN__PRIORITIES_PUT__INIT;
    body.priorities = list;
    body.n_priorities = count;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_PRIORITIES_PUT;
    command.priorities_put = &body;
    return fixture_apply(f, &command);
}

static const Tocsin__Priorities *priorities(struct machine_fixture *f)
{
    tocsin__priorities__free_unpacked(stored, NULL);
    stored = record_get(&f->store, TABLE_META, key_meta(META_PRIORITIES), &tocsin__priorities__descriptor, NULL);
    return stored;
}

static const Tocsin__Reply *set_priority(struct machine_fixture *f, uint64_t incident, uint64_t priority)
{
    Tocsin__IncidentDetails details = TOCSIN__INCIDENT_DETAILS__INIT;
    details.priority_id = priority;
    Tocsin__IncidentChange change = fixture_change_of(incident);
    change.details = &details;
    change.details_fields = 1u << 1;
    return fixture_change(f, change);
}

static void incidents_choose_from_the_priorities_that_there_are(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    const Tocsin__Priorities *defaults = priorities_read(&f->store, NULL);
    assert_int_equal(defaults->n_priorities, 5);
    uint64_t p1 = defaults->priorities[0]->id, id = fixture_trigger(f, KEY, "disk");
    assert_string_equal(defaults->priorities[0]->name, "P1");
    set_priority(f, id, p1);
    assert_int_equal(fixture_incident(f, id)->details->priority_id, p1);
    set_priority(f, id, p1);
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_FIELD_VALUE_CHANGE, 0), 1);
    expect_refused(set_priority(f, id, 12345), TOCSIN__REASON__REASON_UNKNOWN_PRIORITY);

    /* The list is replaced: P1 stays what it was under another name, the others go, one comes. */
    Tocsin__Priority first = TOCSIN__PRIORITY__INIT, second = TOCSIN__PRIORITY__INIT;
    first.id = p1;
    first.name = (char *)"Red";
    second.name = (char *)"Grey";
    second.color = (char *)"808080";
    Tocsin__Priority *list[] = {&first, &second};
    assert_int_equal(put_priorities(f, list, 2)->status, TOCSIN__STATUS__STATUS_OK);
    assert_string_equal(priority_find(priorities(f), p1)->name, "Red");
    assert_int_equal(priorities(f)->n_priorities, 6);
    assert_true(priority_find(priorities(f), p1 + 1)->retired);
    expect_refused(set_priority(f, id, p1 + 1), TOCSIN__REASON__REASON_UNKNOWN_PRIORITY);
    assert_int_equal(set_priority(f, id, priorities(f)->priorities[1]->id)->status, TOCSIN__STATUS__STATUS_OK);
    assert_int_equal(set_priority(f, id, 0)->status, TOCSIN__STATUS__STATUS_OK);

    /* One that went may come back as what it was. */
    second.id = p1 + 1;
    assert_int_equal(put_priorities(f, list, 2)->status, TOCSIN__STATUS__STATUS_OK);
    assert_false(priority_find(priorities(f), p1 + 1)->retired);

    second.name = first.name;
    expect_refused(put_priorities(f, list, 2), TOCSIN__REASON__REASON_NAME_TAKEN);
    second.name = (char *)"Grey";
    second.color = (char *)"grey";
    expect_refused(put_priorities(f, list, 2), TOCSIN__REASON__REASON_BAD_VALUE);
    second.color = (char *)"";
    second.id = p1;
    expect_refused(put_priorities(f, list, 2), TOCSIN__REASON__REASON_UNKNOWN_PRIORITY);
}

#define story(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        story(a_snoozed_incident_is_quiet_and_then_begins_anew),
        story(snoozing_ends_what_is_owed),
        story(snoozing_again_replaces_the_time_and_others_may_join),
        story(a_snooze_ends_with_a_resolve_or_with_another_assignment),
        story(what_was_given_by_hand_goes_back_to_the_same_people),
        story(a_snooze_must_be_possible),
        story(merged_incidents_hand_their_alerts_over_and_are_silent),
        story(what_a_source_owes_is_owed_no_more),
        story(keys_of_incidents_made_by_hand_survive_merges),
        story(a_merge_is_all_or_nothing),
        story(incidents_choose_from_the_priorities_that_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
