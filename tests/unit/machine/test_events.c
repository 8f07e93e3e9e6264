/* Events from event sources, and what people ask for by request: opening, acknowledging, resolving, reassigning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "tests/support/machine_fixture.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define OTHER_KEY "fedcba9876543210fedcba9876543210"

#define TRIGGER TOCSIN__EVENT_ACTION__EVENT_TRIGGER
#define ACKNOWLEDGE TOCSIN__EVENT_ACTION__EVENT_ACKNOWLEDGE
#define RESOLVE TOCSIN__EVENT_ACTION__EVENT_RESOLVE
#define CRITICAL TOCSIN__SEVERITY__SEVERITY_CRITICAL
#define ACKNOWLEDGED TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED
#define RESOLVED TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED
#define TRIGGERED TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED
#define SMS TOCSIN__CHANNEL__CHANNEL_SMS

/* Alice on level 1 and Bob on level 2, each with a telephone for texts; one service, one integration. */
struct story {
    struct machine_fixture *f;
    uint64_t alice, bob, policy, service;
};

static int begin(void **state)
{
    struct story *story = calloc(1, sizeof *story);
    assert_non_null(story);
    struct machine_fixture *f = story->f = fixture_new();
    story->alice = fixture_user(f, "Alice");
    story->bob = fixture_user(f, "Bob");
    fixture_method(f, story->alice, SMS, "15550001");
    fixture_method(f, story->bob, SMS, "15550002");
    struct fixture_level levels[] = {{5, {story->alice}}, {5, {story->bob}}};
    story->policy = fixture_policy(f, 1, 2, levels);
    story->service = fixture_service(f, story->policy, TOCSIN__URGENCY__URGENCY_HIGH, 1800, 0);
    fixture_integration(f, story->service, KEY);
    *state = story;
    return 0;
}

static int end(void **state)
{
    struct story *story = *state;
    fixture_free(story->f);
    free(story);
    return 0;
}

static uint32_t open_incidents(struct story *story)
{
    Tocsin__Service *service = service_get(&story->f->store, story->service, NULL);
    assert_non_null(service);
    uint32_t count = service->open_incidents;
    tocsin__service__free_unpacked(service, NULL);
    return count;
}

static void a_trigger_opens_an_incident_and_pages_the_first_level(void **state)
{
    struct story *story = *state;
    const Tocsin__Reply *reply = fixture_event(story->f, KEY, TRIGGER, "disk", CRITICAL);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    assert_string_equal(reply->dedup_key, "disk");
    const Tocsin__Incident *incident = fixture_incident(story->f, reply->ids[0]);
    assert_int_equal(incident->number, 1);
    assert_int_equal(incident->status, TRIGGERED);
    assert_int_equal(incident->level, 1);
    assert_int_equal(incident->alerts_triggered, 1);
    assert_string_equal(incident->title, "The disk of db1 is full");
    assert_int_equal(open_incidents(story), 1);
    const Tocsin__Notification *page = fixture_expect_send(story->f, "Alice", SMS);
    assert_int_equal(page->attempt, 1);
    assert_false(page->possibly_repeated);
    fixture_expect_silence(story->f);
}

static void an_unknown_routing_key_is_refused_and_changes_nothing(void **state)
{
    struct story *story = *state;
    const Tocsin__Reply *reply = fixture_event(story->f, OTHER_KEY, TRIGGER, "disk", CRITICAL);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_NOT_FOUND);
    assert_int_equal(reply->reason, TOCSIN__REASON__REASON_UNKNOWN_ROUTING_KEY);
    assert_int_equal(fixture_rows(story->f, TABLE_INCIDENT), 0);
}

static void the_same_trigger_again_is_counted_but_pages_nobody(void **state)
{
    struct story *story = *state;
    uint64_t id = fixture_trigger(story->f, KEY, "disk");
    assert_int_equal(fixture_deliver_all(story->f), 1);
    fixture_advance(story->f, 1000);
    assert_int_equal(fixture_trigger(story->f, KEY, "disk"), id);
    fixture_expect_silence(story->f);
    assert_int_equal(fixture_rows(story->f, TABLE_INCIDENT), 1);
    assert_int_equal(fixture_incident(story->f, id)->trigger_log_entries, 2);
}

static void the_same_key_at_another_integration_is_another_alert(void **state)
{
    struct story *story = *state;
    fixture_integration(story->f, story->service, OTHER_KEY);
    assert_true(fixture_trigger(story->f, KEY, "disk") != fixture_trigger(story->f, OTHER_KEY, "disk"));
    fixture_event(story->f, OTHER_KEY, RESOLVE, "disk", CRITICAL);
    assert_int_equal(open_incidents(story), 1);
}

static void a_storm_of_triggers_leaves_a_bounded_timeline(void **state)
{
    struct story *story = *state;
    uint64_t id = fixture_trigger(story->f, KEY, "disk");
    story->f->unchecked = true;
    for (unsigned i = 1; i < 10000; i++) {
        fixture_trigger(story->f, KEY, "disk");
    }
    assert_int_equal(fixture_deliver_all(story->f), 1);
    assert_int_equal(fixture_log_count(story->f, id, TOCSIN__LOG_TYPE__LOG_TRIGGER, 0),
                     LIMIT_TRIGGER_LOG_ENTRIES_PER_INCIDENT);
    assert_int_equal(fixture_log_count(story->f, id, TOCSIN__LOG_TYPE__LOG_REACH_TRIGGER_LIMIT, 0), 1);
    struct walk walk = walk_under(&story->f->store, TABLE_ALERT, id);
    assert_true(walk_next(&walk));
    Tocsin__Alert *alert = record_unpack(&tocsin__alert__descriptor, walk.value, NULL);
    assert_int_equal(alert->events, 10000);
    tocsin__alert__free_unpacked(alert, NULL);
    fixture_check_promises(story->f);
}

static void a_storm_of_different_alerts_keeps_every_promise(void **state)
{
    struct story *story = *state;
    story->f->unchecked = true;
    char dedup_key[32];
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(dedup_key, sizeof dedup_key, "disk %u", i);
        fixture_trigger(story->f, KEY, dedup_key);
    }
    assert_int_equal(open_incidents(story), 2000);
    assert_int_equal(fixture_deliver_all(story->f), 2000);
    /* When all levels time out at once, each pulse handles a bounded number, and none is forgotten. */
    fixture_advance(story->f, 5 * FIXTURE_MINUTE_MS);
    fixture_pulse(story->f, UINT32_MAX);
    assert_int_equal(story->f->sends_count, LIMIT_PULSE_DEADLINES);
    fixture_run(story->f, 0);
    assert_int_equal(fixture_deliver_all(story->f), 2000);
}

static void the_source_acknowledges_and_resolves(void **state)
{
    struct story *story = *state;
    uint64_t id = fixture_trigger(story->f, KEY, "disk");
    fixture_deliver_all(story->f);
    assert_int_equal(fixture_event(story->f, KEY, ACKNOWLEDGE, "disk", 0)->ids[0], id);
    const Tocsin__Incident *incident = fixture_incident(story->f, id);
    assert_int_equal(incident->status, ACKNOWLEDGED);
    assert_int_equal(incident->last_status_change_by->kind, TOCSIN__ACTOR_KIND__ACTOR_INTEGRATION);
    uint32_t log_entries = incident->log_entries;
    fixture_event(story->f, KEY, ACKNOWLEDGE, "disk", 0);
    assert_int_equal(fixture_incident(story->f, id)->log_entries, log_entries);

    const Tocsin__Reply *reply = fixture_event(story->f, KEY, RESOLVE, "disk", 0);
    assert_int_equal(reply->reason, TOCSIN__REASON__REASON_NONE);
    incident = fixture_incident(story->f, id);
    assert_int_equal(incident->status, RESOLVED);
    assert_int_equal(incident->alerts_triggered, 0);
    assert_int_equal(incident->alerts_resolved, 1);
    assert_int_equal(fixture_log_count(story->f, id, TOCSIN__LOG_TYPE__LOG_RESOLVE,
                                       TOCSIN__WHY__WHY_ALL_ALERTS_RESOLVED), 1);
    assert_int_equal(fixture_rows(story->f, TABLE_ALERT_OPEN), 0);
    assert_int_equal(open_incidents(story), 0);

    /* The old one is never opened again. */
    assert_true(fixture_trigger(story->f, KEY, "disk") != id);
}

static void an_answer_without_an_open_alert_is_ok_and_says_so(void **state)
{
    struct story *story = *state;
    const Tocsin__Reply *reply = fixture_event(story->f, KEY, RESOLVE, "disk", 0);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    assert_int_equal(reply->reason, TOCSIN__REASON__REASON_NO_OPEN_ALERT);
    assert_string_equal(reply->dedup_key, "disk");
}

static void severity_decides_the_urgency_where_the_service_says_so(void **state)
{
    struct story *story = *state;
    uint64_t service = fixture_service(story->f, story->policy, TOCSIN__URGENCY__URGENCY_SEVERITY_BASED, 0, 0);
    fixture_integration(story->f, service, OTHER_KEY);
    static const struct {
        const char *dedup_key;
        Tocsin__Severity severity;
        Tocsin__Urgency urgency;
    } CASES[] = {
        {"a", TOCSIN__SEVERITY__SEVERITY_CRITICAL, TOCSIN__URGENCY__URGENCY_HIGH},
        {"b", TOCSIN__SEVERITY__SEVERITY_ERROR, TOCSIN__URGENCY__URGENCY_HIGH},
        {"c", TOCSIN__SEVERITY__SEVERITY_NONE, TOCSIN__URGENCY__URGENCY_HIGH},
        {"d", TOCSIN__SEVERITY__SEVERITY_WARNING, TOCSIN__URGENCY__URGENCY_LOW},
        {"e", TOCSIN__SEVERITY__SEVERITY_INFO, TOCSIN__URGENCY__URGENCY_LOW},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        uint64_t id = fixture_event(story->f, OTHER_KEY, TRIGGER, CASES[i].dedup_key, CASES[i].severity)->ids[0];
        assert_int_equal(fixture_incident(story->f, id)->urgency, CASES[i].urgency);
    }
}

static uint64_t full_count(void *context, enum machine_table table)
{
    (void)context;
    return table == TABLE_INCIDENT_OPEN ? LIMIT_OPEN_INCIDENTS : 0;
}

static void beyond_the_bound_of_open_incidents_a_trigger_is_refused(void **state)
{
    struct story *story = *state;
    story->f->store.count = story->f->twin_store.count = full_count;
    story->f->unchecked = true;
    const Tocsin__Reply *reply = fixture_event(story->f, KEY, TRIGGER, "disk", CRITICAL);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_LIMIT);
    fixture_expect_silence(story->f);
    struct walk walk = walk_all(&story->f->store, TABLE_INCIDENT);
    assert_false(walk_next(&walk));
}

/* ---------------------------------------------------------------- requests */

static const Tocsin__Reply *create(struct story *story, Tocsin__IncidentCreate body)
{
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_INCIDENT_CREATE;
    command.incident_create = &body;
    return fixture_apply(story->f, &command);
}

static Tocsin__IncidentCreate create_body(struct story *story)
{
    static char title[] = "Customers cannot log in";
    Tocsin__IncidentCreate body;
    tocsin__incident_create__init(&body);
    body.service_id = story->service;
    body.title = title;
    return body;
}

static void a_person_opens_an_incident_under_a_key_once(void **state)
{
    struct story *story = *state;
    char key[] = "login";
    Tocsin__IncidentCreate body = create_body(story);
    body.incident_key = key;
    uint64_t id = create(story, body)->ids[0];
    fixture_expect_send(story->f, "Alice", SMS);
    const Tocsin__Reply *reply = create(story, body);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_INVALID);
    assert_int_equal(reply->reason, TOCSIN__REASON__REASON_INCIDENT_KEY_OPEN);
    fixture_set_status(story->f, id, RESOLVED);
    assert_int_equal(create(story, body)->status, TOCSIN__STATUS__STATUS_OK);
}

static void assignees_and_a_policy_exclude_each_other(void **state)
{
    struct story *story = *state;
    Tocsin__IncidentCreate body = create_body(story);
    body.n_assignee_ids = 1;
    body.assignee_ids = &story->bob;
    body.escalation_policy_id = story->policy;
    assert_int_equal(create(story, body)->reason, TOCSIN__REASON__REASON_ASSIGNEE_AND_POLICY);
    body.escalation_policy_id = 0;
    uint64_t nobody = 4711;
    body.assignee_ids = &nobody;
    assert_int_equal(create(story, body)->reason, TOCSIN__REASON__REASON_UNKNOWN_USER);
    body.n_assignee_ids = 0;
    body.service_id = 4711;
    assert_int_equal(create(story, body)->reason, TOCSIN__REASON__REASON_UNKNOWN_SERVICE);
    assert_int_equal(fixture_rows(story->f, TABLE_INCIDENT), 0);
    fixture_expect_silence(story->f);
}

static void an_incident_for_oneself_is_acknowledged_and_pages_nobody(void **state)
{
    struct story *story = *state;
    fixture_act_as_user(story->f, story->bob, "Bob");
    Tocsin__IncidentCreate body = create_body(story);
    body.n_assignee_ids = 1;
    body.assignee_ids = &story->bob;
    uint64_t id = create(story, body)->ids[0];
    assert_int_equal(fixture_incident(story->f, id)->status, ACKNOWLEDGED);
    fixture_expect_silence(story->f);
}

static void several_people_acknowledge_and_each_is_listed_once(void **state)
{
    struct story *story = *state;
    uint64_t id = fixture_trigger(story->f, KEY, "disk");
    fixture_deliver_all(story->f);
    fixture_act_as_user(story->f, story->alice, "Alice");
    assert_int_equal(fixture_set_status(story->f, id, ACKNOWLEDGED)->status, TOCSIN__STATUS__STATUS_OK);
    assert_int_equal(fixture_set_status(story->f, id, ACKNOWLEDGED)->status, TOCSIN__STATUS__STATUS_OK);
    fixture_act_as_user(story->f, story->bob, "Bob");
    fixture_set_status(story->f, id, ACKNOWLEDGED);
    const Tocsin__Incident *incident = fixture_incident(story->f, id);
    assert_int_equal(incident->n_acknowledgements, 2);
    assert_int_equal(incident->acknowledgements[0]->user_id, story->alice);
    assert_int_equal(incident->acknowledgements[1]->user_id, story->bob);
    assert_int_equal(fixture_log_count(story->f, id, TOCSIN__LOG_TYPE__LOG_ACKNOWLEDGE, 0), 2);
}

static void nothing_happens_to_a_resolved_incident(void **state)
{
    struct story *story = *state;
    uint64_t id = fixture_trigger(story->f, KEY, "disk");
    fixture_set_status(story->f, id, RESOLVED);
    const Tocsin__Reply *reply = fixture_set_status(story->f, id, ACKNOWLEDGED);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_INVALID);
    assert_int_equal(reply->reason, TOCSIN__REASON__REASON_ALREADY_RESOLVED);
    assert_int_equal(fixture_set_status(story->f, 4711, RESOLVED)->status, TOCSIN__STATUS__STATUS_NOT_FOUND);
}

static void reassigning_an_acknowledged_incident_pages_the_new_person(void **state)
{
    struct story *story = *state;
    uint64_t id = fixture_trigger(story->f, KEY, "disk");
    fixture_deliver_all(story->f);
    fixture_act_as_user(story->f, story->alice, "Alice");
    fixture_set_status(story->f, id, ACKNOWLEDGED);
    Tocsin__IncidentChange change = fixture_change_of(id);
    change.n_assignee_ids = 1;
    change.assignee_ids = &story->bob;
    assert_int_equal(fixture_change(story->f, change)->status, TOCSIN__STATUS__STATUS_OK);
    fixture_expect_send(story->f, "Bob", SMS);
    const Tocsin__Incident *incident = fixture_incident(story->f, id);
    assert_int_equal(incident->status, TRIGGERED);
    assert_int_equal(incident->level, 0);
    assert_int_equal(incident->n_acknowledgements, 0);
    assert_int_equal(incident->n_assignments, 1);
    assert_int_equal(incident->assignments[0]->user_id, story->bob);
}

static void escalating_by_hand_needs_a_level_that_exists(void **state)
{
    struct story *story = *state;
    uint64_t id = fixture_trigger(story->f, KEY, "disk");
    fixture_deliver_all(story->f);
    Tocsin__IncidentChange change = fixture_change_of(id);
    change.escalation_level = 3;
    assert_int_equal(fixture_change(story->f, change)->reason, TOCSIN__REASON__REASON_LEVEL_OUT_OF_RANGE);
    change.escalation_level = 2;
    assert_int_equal(fixture_change(story->f, change)->status, TOCSIN__STATUS__STATUS_OK);
    fixture_expect_send(story->f, "Bob", SMS);
    assert_int_equal(fixture_incident(story->f, id)->level, 2);
    assert_int_equal(fixture_log_count(story->f, id, TOCSIN__LOG_TYPE__LOG_ESCALATE, TOCSIN__WHY__WHY_REQUEST), 1);
}

static void title_and_urgency_change_and_contradictions_are_refused(void **state)
{
    struct story *story = *state;
    uint64_t id = fixture_trigger(story->f, KEY, "disk");
    fixture_deliver_all(story->f);
    char title[] = "The disk of db1 is really full";
    Tocsin__IncidentChange change = fixture_change_of(id);
    change.title = title;
    change.urgency = TOCSIN__URGENCY__URGENCY_LOW;
    assert_int_equal(fixture_change(story->f, change)->status, TOCSIN__STATUS__STATUS_OK);
    assert_string_equal(fixture_incident(story->f, id)->title, title);
    assert_int_equal(fixture_incident(story->f, id)->escalate_due_ms, 0);
    change.urgency = TOCSIN__URGENCY__URGENCY_HIGH;
    assert_int_equal(fixture_change(story->f, change)->status, TOCSIN__STATUS__STATUS_OK);
    assert_true(fixture_incident(story->f, id)->escalate_due_ms > story->f->now_ms);
    assert_int_equal(fixture_log_count(story->f, id, TOCSIN__LOG_TYPE__LOG_URGENCY_CHANGE, 0), 2);
    change.urgency = TOCSIN__URGENCY__URGENCY_SEVERITY_BASED;
    assert_int_equal(fixture_change(story->f, change)->reason, TOCSIN__REASON__REASON_BAD_VALUE);
    change = fixture_change_of(id);
    change.status = ACKNOWLEDGED;
    change.escalation_level = 1;
    assert_int_equal(fixture_change(story->f, change)->reason, TOCSIN__REASON__REASON_BAD_VALUE);
    assert_int_equal(fixture_incident(story->f, id)->status, TRIGGERED);
}

static void each_change_of_a_request_is_judged_on_its_own(void **state)
{
    struct story *story = *state;
    uint64_t id = fixture_trigger(story->f, KEY, "disk");
    Tocsin__IncidentChange missing = fixture_change_of(4711);
    Tocsin__IncidentChange good = fixture_change_of(id);
    missing.status = good.status = RESOLVED;
    Tocsin__IncidentChange *changes[] = {&missing, &good};
    Tocsin__IncidentUpdate update;
    tocsin__incident_update__init(&update);
    update.n_changes = 2;
    update.changes = changes;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_INCIDENT_UPDATE;
    command.incident_update = &update;
    const Tocsin__Reply *reply = fixture_apply(story->f, &command);
    assert_int_equal(reply->n_parts, 2);
    assert_int_equal(reply->parts[0]->status, TOCSIN__STATUS__STATUS_NOT_FOUND);
    assert_int_equal(reply->parts[1]->status, TOCSIN__STATUS__STATUS_OK);
    assert_int_equal(fixture_incident(story->f, id)->status, RESOLVED);
}

static void notes_are_kept_up_to_their_bound(void **state)
{
    struct story *story = *state;
    uint64_t id = fixture_trigger(story->f, KEY, "disk");
    char content[] = "I am looking at it";
    Tocsin__NoteCreate note;
    tocsin__note_create__init(&note);
    note.incident_id = id;
    note.content = content;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_NOTE_CREATE;
    command.note_create = &note;
    story->f->unchecked = true;
    for (unsigned i = 0; i < LIMIT_NOTES_PER_INCIDENT; i++) {
        assert_int_equal(fixture_apply(story->f, &command)->status, TOCSIN__STATUS__STATUS_OK);
    }
    assert_int_equal(fixture_apply(story->f, &command)->status, TOCSIN__STATUS__STATUS_LIMIT);
    assert_int_equal(fixture_log_count(story->f, id, TOCSIN__LOG_TYPE__LOG_ANNOTATE, 0), LIMIT_NOTES_PER_INCIDENT);
    note.incident_id = 4711;
    assert_int_equal(fixture_apply(story->f, &command)->status, TOCSIN__STATUS__STATUS_NOT_FOUND);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest stories[] = {
        STORY(a_trigger_opens_an_incident_and_pages_the_first_level),
        STORY(an_unknown_routing_key_is_refused_and_changes_nothing),
        STORY(the_same_trigger_again_is_counted_but_pages_nobody),
        STORY(the_same_key_at_another_integration_is_another_alert),
        STORY(a_storm_of_triggers_leaves_a_bounded_timeline),
        STORY(a_storm_of_different_alerts_keeps_every_promise),
        STORY(the_source_acknowledges_and_resolves),
        STORY(an_answer_without_an_open_alert_is_ok_and_says_so),
        STORY(severity_decides_the_urgency_where_the_service_says_so),
        STORY(beyond_the_bound_of_open_incidents_a_trigger_is_refused),
        STORY(a_person_opens_an_incident_under_a_key_once),
        STORY(assignees_and_a_policy_exclude_each_other),
        STORY(an_incident_for_oneself_is_acknowledged_and_pages_nobody),
        STORY(several_people_acknowledge_and_each_is_listed_once),
        STORY(nothing_happens_to_a_resolved_incident),
        STORY(reassigning_an_acknowledged_incident_pages_the_new_person),
        STORY(escalating_by_hand_needs_a_level_that_exists),
        STORY(title_and_urgency_change_and_contradictions_are_refused),
        STORY(each_change_of_a_request_is_judged_on_its_own),
        STORY(notes_are_kept_up_to_their_bound),
    };
    return cmocka_run_group_tests_name("events and requests", stories, NULL, NULL);
}
