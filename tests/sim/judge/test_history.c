/* Made-up histories: those that could have happened pass, and each kind of lie is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/judge/history.h"

#define SERVICE_WITH_TIMEOUT "PTIMED"
#define SERVICE_WITHOUT_TIMEOUT "PUNTIL"
#define TIMEOUT_MS 60000u

struct story {
    struct history *history;
    char violation[512]; /* the first */
    unsigned violations;
};

static void note_violation(void *context, const char *sentence)
{
    struct story *story = context;

    if (story->violations++ == 0) {
        (void)snprintf(story->violation, sizeof story->violation, "%s", sentence);
    }
}

static int setup(void **state)
{
    struct story *story = calloc(1, sizeof *story);

    assert_non_null(story);
    story->history = history_new(note_violation, story);
    history_service_timeout(story->history, SERVICE_WITH_TIMEOUT, TIMEOUT_MS);
    history_service_timeout(story->history, SERVICE_WITHOUT_TIMEOUT, 0);
    *state = story;
    return 0;
}

static int teardown(void **state)
{
    struct story *story = *state;

    history_free(story->history);
    free(story);
    return 0;
}

static void assert_clean(const struct story *story)
{
    if (story->violations > 0) {
        fail_msg("nothing was wrong, but: %s", story->violation);
    }
}

static void assert_found(const struct story *story, const char *words)
{
    if (story->violations == 0 || strstr(story->violation, words) == NULL) {
        fail_msg("\"%s\" was not found, but: %s", words, story->violation);
    }
}

static uint64_t now(struct story *story)
{
    return history_moment(story->history);
}

/* The answer to a read that was asked at that moment. */
static void shown(struct story *story, uint64_t asked, const char *id, const char *service, enum incident_status status,
                  uint64_t changed_at_s)
{
    struct incident_sight sight = {
        .asked = asked, .node = 2, .number = 7, .status = status, .changed_at_s = changed_at_s, .key = "disk-1"};

    (void)snprintf(sight.id, sizeof sight.id, "%s", id);
    (void)snprintf(sight.service, sizeof sight.service, "%s", service);
    history_incident_seen(story->history, &sight);
}

/* Asked and answered, with nothing in between. */
static void see(struct story *story, enum incident_status status, uint64_t changed_at_s)
{
    shown(story, now(story), "PINC", SERVICE_WITH_TIMEOUT, status, changed_at_s);
}

static void see_until(struct story *story, enum incident_status status, uint64_t changed_at_s)
{
    shown(story, now(story), "PINC", SERVICE_WITHOUT_TIMEOUT, status, changed_at_s);
}

/* ---------------------------------------------------------------- incidents */

static void the_life_of_an_incident_is_clean(void **state)
{
    struct story *story = *state;

    see(story, INCIDENT_TRIGGERED, 100);
    see(story, INCIDENT_TRIGGERED, 100);
    see(story, INCIDENT_ACKNOWLEDGED, 100); /* within the second */
    history_incident_acknowledged(story->history, "PINC", INCIDENT_ACKNOWLEDGED);
    see(story, INCIDENT_TRIGGERED, 160); /* timed out */
    see(story, INCIDENT_ACKNOWLEDGED, 170);
    see(story, INCIDENT_RESOLVED, 180);
    history_incident_resolved(story->history, "PINC", INCIDENT_RESOLVED);
    see(story, INCIDENT_RESOLVED, 180);
    assert_clean(story);
    assert_true(history_counts(story->history).incident_sights >= 6);
}

static void a_read_under_way_during_an_acknowledgement_may_show_either(void **state)
{
    struct story *story = *state;

    see_until(story, INCIDENT_TRIGGERED, 100);
    uint64_t asked = now(story);
    see_until(story, INCIDENT_ACKNOWLEDGED, 105);
    history_incident_acknowledged(story->history, "PINC", INCIDENT_ACKNOWLEDGED);
    shown(story, asked, "PINC", SERVICE_WITHOUT_TIMEOUT, INCIDENT_TRIGGERED, 100);
    assert_clean(story);

    shown(story, now(story), "PINC", SERVICE_WITHOUT_TIMEOUT, INCIDENT_TRIGGERED, 100);
    assert_found(story, "stale read");
}

static void a_stale_read_is_found_across_seconds(void **state)
{
    struct story *story = *state;

    see(story, INCIDENT_TRIGGERED, 100);
    see(story, INCIDENT_ACKNOWLEDGED, 105);
    assert_clean(story);
    see(story, INCIDENT_TRIGGERED, 100);
    assert_found(story, "stale read");
}

static void a_stale_read_is_found_within_a_second(void **state)
{
    struct story *story = *state;

    see(story, INCIDENT_TRIGGERED, 100);
    see(story, INCIDENT_ACKNOWLEDGED, 100);
    assert_clean(story);
    see(story, INCIDENT_TRIGGERED, 100);
    assert_found(story, "lost acknowledgement");
}

static void an_older_round_of_the_same_state_is_found(void **state)
{
    struct story *story = *state;

    see(story, INCIDENT_TRIGGERED, 100);
    see(story, INCIDENT_ACKNOWLEDGED, 105);
    see(story, INCIDENT_TRIGGERED, 165);
    assert_clean(story);
    see(story, INCIDENT_TRIGGERED, 100);
    assert_found(story, "stale read");
}

static void an_acknowledgement_that_falls_too_soon_is_found(void **state)
{
    struct story *story = *state;

    see(story, INCIDENT_ACKNOWLEDGED, 100);
    see(story, INCIDENT_TRIGGERED, 158); /* of a minute */
    assert_found(story, "lost acknowledgement");
}

static void the_shortest_timeout_that_ever_was_asked_for_counts(void **state)
{
    struct story *story = *state;

    see(story, INCIDENT_ACKNOWLEDGED, 100);
    history_service_timeout(story->history, SERVICE_WITH_TIMEOUT, 10000);
    see(story, INCIDENT_TRIGGERED, 112);
    assert_clean(story);
}

static void without_a_timeout_nothing_takes_an_acknowledgement_back(void **state)
{
    struct story *story = *state;

    see_until(story, INCIDENT_ACKNOWLEDGED, 100);
    see_until(story, INCIDENT_TRIGGERED, 99999);
    assert_found(story, "lost acknowledgement");
}

static void an_answered_acknowledgement_holds_although_nobody_saw_it(void **state)
{
    struct story *story = *state;

    see_until(story, INCIDENT_TRIGGERED, 100);
    uint64_t asked = now(story);
    history_incident_acknowledged(story->history, "PINC", -1); /* answered without a current picture */
    shown(story, asked, "PINC", SERVICE_WITHOUT_TIMEOUT, INCIDENT_TRIGGERED, 100); /* asked before */
    assert_clean(story);
    see_until(story, INCIDENT_TRIGGERED, 100);
    assert_found(story, "lost acknowledgement");
}

static void an_acknowledgement_answered_with_triggered_is_found(void **state)
{
    struct story *story = *state;

    see_until(story, INCIDENT_TRIGGERED, 100);
    history_incident_acknowledged(story->history, "PINC", INCIDENT_TRIGGERED);
    assert_found(story, "answered with 'triggered'");
}

static void who_assigns_anew_takes_the_acknowledgement_back(void **state)
{
    struct story *story = *state;

    see_until(story, INCIDENT_ACKNOWLEDGED, 100);
    history_incident_acknowledged(story->history, "PINC", INCIDENT_ACKNOWLEDGED);
    history_incident_released(story->history, "PINC");
    see_until(story, INCIDENT_TRIGGERED, 100);
    see_until(story, INCIDENT_TRIGGERED, 101);
    assert_clean(story);
    see_until(story, INCIDENT_ACKNOWLEDGED, 99); /* but nothing makes time run backwards */
    assert_found(story, "stale read");
}

static void resolved_is_for_good(void **state)
{
    struct story *story = *state;

    see(story, INCIDENT_RESOLVED, 100);
    see(story, INCIDENT_ACKNOWLEDGED, 500);
    assert_found(story, "was resolved");
}

static void an_answered_resolution_is_for_good(void **state)
{
    struct story *story = *state;

    see(story, INCIDENT_TRIGGERED, 100);
    history_incident_resolved(story->history, "PINC", -1);
    see(story, INCIDENT_TRIGGERED, 100);
    assert_found(story, "was resolved");
}

static void a_resolution_answered_with_something_else_is_found(void **state)
{
    struct story *story = *state;

    see(story, INCIDENT_TRIGGERED, 100);
    history_incident_resolved(story->history, "PINC", INCIDENT_ACKNOWLEDGED);
    assert_found(story, "answered with 'acknowledged'");
}

static void what_a_complete_list_of_open_incidents_lacks_is_resolved(void **state)
{
    struct story *story = *state;

    see(story, INCIDENT_TRIGGERED, 100);
    uint64_t asked = now(story);
    shown(story, now(story), "PNEW", SERVICE_WITH_TIMEOUT, INCIDENT_TRIGGERED, 101); /* came while the list was made */
    uint64_t told = now(story);
    history_open_incidents_seen(story->history, asked, told);
    shown(story, now(story), "PNEW", SERVICE_WITH_TIMEOUT, INCIDENT_TRIGGERED, 101);
    assert_clean(story);
    see(story, INCIDENT_TRIGGERED, 100);
    assert_found(story, "was resolved");
}

static void what_the_list_has_is_open(void **state)
{
    struct story *story = *state;

    see(story, INCIDENT_TRIGGERED, 100);
    uint64_t asked = now(story), told = now(story);
    shown(story, asked, "PINC", SERVICE_WITH_TIMEOUT, INCIDENT_TRIGGERED, 100);
    history_open_incidents_seen(story->history, asked, told);
    see(story, INCIDENT_TRIGGERED, 100);
    assert_clean(story);
}

static void an_incident_that_vanishes_is_found(void **state)
{
    struct story *story = *state;
    uint64_t asked = now(story);

    see(story, INCIDENT_TRIGGERED, 100);
    history_missing(story->history, asked, 3, "PINC"); /* asked before it was known */
    assert_clean(story);
    history_missing(story->history, now(story), 3, "PINC");
    assert_found(story, "does not know incident");
}

static void an_incident_that_is_in_no_list_at_the_end_is_found(void **state)
{
    struct story *story = *state;

    see(story, INCIDENT_TRIGGERED, 100);
    uint64_t told = now(story);
    see(story, INCIDENT_TRIGGERED, 100);
    history_finish_incidents(story->history, told);
    assert_clean(story);
    history_finish_incidents(story->history, now(story));
    assert_found(story, "in no list");
}

static void forgotten_facts_accuse_nobody(void **state)
{
    struct story *story = *state;
    uint64_t asked = now(story);

    for (uint64_t i = 0; i < 40; i++) {
        see(story, i % 2 == 0 ? INCIDENT_TRIGGERED : INCIDENT_ACKNOWLEDGED, 100 + 100 * i);
    }
    shown(story, asked, "PINC", SERVICE_WITH_TIMEOUT, INCIDENT_TRIGGERED, 100);
    assert_clean(story);
}

/* ---------------------------------------------------------------- events */

static void accepted_triggers_are_there_and_counted(void **state)
{
    struct story *story = *state;
    unsigned key = history_key(story->history, "disk-1");

    history_triggered(story->history, key, 3, true); /* two attempts of it without an answer */
    history_triggered(story->history, key, 1, true);
    history_triggered(story->history, key, 2, false);
    see(story, INCIDENT_TRIGGERED, 100);
    history_alert_counted(story->history, "disk-1", 5);
    history_incident_counted(story->history, "PINC");
    history_finish_events(story->history);
    assert_clean(story);
    assert_int_equal(history_counts(story->history).triggers_accepted, 2);
}

static void a_lost_trigger_is_found(void **state)
{
    struct story *story = *state;

    history_triggered(story->history, history_key(story->history, "disk-1"), 1, true);
    history_finish_events(story->history);
    assert_found(story, "no incident has this key");
}

static void a_trigger_without_an_answer_may_be_lost(void **state)
{
    struct story *story = *state;

    history_triggered(story->history, history_key(story->history, "disk-1"), 8, false);
    history_finish_events(story->history);
    assert_clean(story);
}

static void triggers_of_a_disabled_service_are_dropped(void **state)
{
    struct story *story = *state;
    unsigned key = history_key(story->history, "disk-1");

    history_triggered(story->history, key, 1, true);
    history_key_exempt(story->history, key);
    history_finish_events(story->history);
    assert_clean(story);
}

static void a_second_trigger_that_was_lost_is_found(void **state)
{
    struct story *story = *state;
    unsigned key = history_key(story->history, "disk-1");

    history_triggered(story->history, key, 1, true);
    history_triggered(story->history, key, 1, true);
    see(story, INCIDENT_TRIGGERED, 100);
    history_alert_counted(story->history, "disk-1", 1);
    history_incident_counted(story->history, "PINC");
    history_finish_events(story->history);
    assert_found(story, "2 triggers with the key disk-1 were answered 202, and 1 were counted");
}

static void a_trigger_that_was_applied_twice_is_found(void **state)
{
    struct story *story = *state;
    unsigned key = history_key(story->history, "disk-1");

    history_triggered(story->history, key, 1, true);
    see(story, INCIDENT_TRIGGERED, 100);
    history_alert_counted(story->history, "disk-1", 2);
    history_incident_counted(story->history, "PINC");
    history_finish_events(story->history);
    assert_found(story, "1 triggers with the key disk-1 were sent, and 2 were counted");
}

static void an_event_that_resolved_holds_for_what_was_known_before(void **state)
{
    struct story *story = *state;
    unsigned key = history_key(story->history, "disk-1");

    see(story, INCIDENT_TRIGGERED, 100);
    uint64_t first_asked = now(story);
    shown(story, now(story), "PNEXT", SERVICE_WITH_TIMEOUT, INCIDENT_TRIGGERED, 104); /* opened after it, perhaps */
    history_event_resolved(story->history, key, first_asked);
    shown(story, now(story), "PNEXT", SERVICE_WITH_TIMEOUT, INCIDENT_TRIGGERED, 104);
    assert_clean(story);
    see(story, INCIDENT_ACKNOWLEDGED, 103);
    assert_found(story, "was resolved");
}

static void an_event_does_not_resolve_what_has_alerts_of_others(void **state)
{
    struct story *story = *state;
    unsigned key = history_key(story->history, "disk-1");

    see(story, INCIDENT_TRIGGERED, 100);
    history_incidents_merging(story->history, "POTHER", "PINC");
    history_event_resolved(story->history, key, now(story));
    see(story, INCIDENT_TRIGGERED, 100);
    assert_clean(story);
}

static void an_event_does_not_acknowledge_what_has_alerts_of_others(void **state)
{
    struct story *story = *state;
    unsigned key = history_key(story->history, "disk-1");

    see_until(story, INCIDENT_TRIGGERED, 100);
    history_incidents_merging(story->history, "POTHER", "PINC");
    history_event_acknowledged(story->history, key, now(story)); /* a later alert of the key may have an incident of its own */
    see_until(story, INCIDENT_TRIGGERED, 100);
    assert_clean(story);
}

static void incidents_of_a_service_that_gathers_may_be_triggered_again(void **state)
{
    struct story *story = *state;

    history_service_gathers(story->history, SERVICE_WITHOUT_TIMEOUT);
    see_until(story, INCIDENT_ACKNOWLEDGED, 100);
    see_until(story, INCIDENT_TRIGGERED, 102);
    assert_clean(story);
}

static void alerts_that_were_moved_are_counted_where_they_are(void **state)
{
    struct story *story = *state;
    unsigned key = history_key(story->history, "disk-1");

    history_triggered(story->history, key, 2, true);
    see(story, INCIDENT_TRIGGERED, 100);
    history_incidents_merging(story->history, "PINC", "POTHER");
    history_incident_counted(story->history, "PINC");
    history_finish_events(story->history); /* where they are was not looked at */
    assert_clean(story);
    history_alert_counted(story->history, "disk-1", 3);
    history_finish_events(story->history);
    assert_found(story, "2 triggers with the key disk-1 were sent, and 3 were counted");
}

static void an_event_that_acknowledged_holds(void **state)
{
    struct story *story = *state;
    unsigned key = history_key(story->history, "disk-1");

    see_until(story, INCIDENT_TRIGGERED, 100);
    history_event_acknowledged(story->history, key, now(story));
    see_until(story, INCIDENT_TRIGGERED, 100);
    assert_found(story, "lost acknowledgement");
}

/* ---------------------------------------------------------------- objects */

static void edits_that_follow_each_other_are_clean(void **state)
{
    struct story *story = *state;

    history_object_new(story->history, "PPOL");
    uint64_t before = now(story);
    uint64_t first = history_object_writing(story->history, "PPOL");
    history_object_seen(story->history, now(story), 1, "PPOL", first); /* seen before it is answered */
    history_object_written(story->history, "PPOL", first);
    uint64_t second = history_object_writing(story->history, "PPOL");
    history_object_seen(story->history, now(story), 1, "PPOL", first);
    history_object_written(story->history, "PPOL", second);
    history_object_seen(story->history, now(story), 2, "PPOL", second);
    history_object_seen(story->history, before, 3, "PPOL", 0); /* asked long ago */
    assert_clean(story);
}

static void an_edit_that_was_answered_and_is_not_there_is_found(void **state)
{
    struct story *story = *state;

    history_object_new(story->history, "PPOL");
    history_object_written(story->history, "PPOL", history_object_writing(story->history, "PPOL"));
    history_object_seen(story->history, now(story), 1, "PPOL", 0);
    assert_found(story, "when revision 1 was known");
}

static void an_edit_that_was_seen_and_vanishes_is_found(void **state)
{
    struct story *story = *state;

    history_object_new(story->history, "PPOL");
    uint64_t revision = history_object_writing(story->history, "PPOL");
    history_object_seen(story->history, now(story), 1, "PPOL", revision);
    history_object_seen(story->history, now(story), 2, "PPOL", 0);
    assert_found(story, "when revision 1 was known");
}

static void a_refused_edit_that_changed_something_is_found(void **state)
{
    struct story *story = *state;

    history_object_new(story->history, "PPOL");
    uint64_t revision = history_object_writing(story->history, "PPOL");
    history_object_refused(story->history, "PPOL", revision);
    history_object_seen(story->history, now(story), 1, "PPOL", 0);
    assert_clean(story);
    history_object_seen(story->history, now(story), 1, "PPOL", revision);
    assert_found(story, "refused");
}

static void a_revision_that_nobody_wrote_is_found(void **state)
{
    struct story *story = *state;

    history_object_new(story->history, "PPOL");
    history_object_seen(story->history, now(story), 1, "PPOL", 9);
    assert_found(story, "never written");
}

static void deleted_is_for_good_and_nothing_else_vanishes(void **state)
{
    struct story *story = *state;
    uint64_t early;

    history_object_new(story->history, "PGONE");
    history_object_deleting(story->history, "PGONE");
    early = now(story);
    history_missing(story->history, now(story), 1, "PGONE");
    history_object_deleted(story->history, "PGONE");
    history_missing(story->history, now(story), 1, "PGONE");
    history_object_seen(story->history, early, 1, "PGONE", 0);
    assert_clean(story);
    history_object_seen(story->history, now(story), 2, "PGONE", 0);
    assert_found(story, "after its deletion");
}

static void an_object_that_vanishes_is_found(void **state)
{
    struct story *story = *state;

    history_object_new(story->history, "PHERE");
    history_missing(story->history, now(story), 2, "PHERE");
    assert_found(story, "does not know PHERE");
}

static void one_id_for_two_objects_is_found(void **state)
{
    struct story *story = *state;

    history_object_new(story->history, "PTWICE");
    history_object_new(story->history, "PTWICE");
    assert_found(story, "given to two objects");
}

/* ---------------------------------------------------------------- answers */

static void answers_are_judged_by_themselves(void **state)
{
    struct story *story = *state;
    static const struct {
        struct history_answer answer;
        const char *wrong; /* NULL: nothing */
    } answers[] = {
        {{.method = "POST", .body = "", .status = 202}, NULL},
        {{.method = "DELETE", .body = "", .status = 204}, NULL},
        {{.method = "GET", .body = "", .status = 0}, NULL},
        {{.method = "GET", .body = "", .status = 503, .retry_after = true}, NULL},
        {{.method = "GET", .body = "", .status = 503}, "when to try again"},
        {{.method = "GET", .body = "This node has stopped: ask another node", .status = 503}, NULL},
        {{.method = "PUT", .body = "", .status = 400, .refusable = true}, NULL},
        {{.method = "PUT", .body = "", .status = 400}, "refuses what is right"},
        {{.method = "GET", .body = "", .status = 400, .refusable = true}, "none that may come"},
        {{.method = "GET", .body = "", .status = 404, .refusable = true}, NULL},
        {{.method = "GET", .body = "", .status = 404}, "refuses what is right"},
        {{.method = "GET", .body = "", .status = 500, .refusable = true}, "none that may come"},
        {{.method = "GET", .body = "", .status = 401, .refusable = true}, "none that may come"},
        {{.method = "GET", .body = "", .status = 413, .refusable = true}, "none that may come"},
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct history_answer answer = answers[i].answer;
        answer.target = "/somewhere";
        story->violations = 0;
        assert_int_equal(history_answered(story->history, &answer), answers[i].wrong == NULL);
        if (answers[i].wrong != NULL) {
            assert_found(story, answers[i].wrong);
        } else {
            assert_clean(story);
        }
    }
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(the_life_of_an_incident_is_clean),
        STORY(a_read_under_way_during_an_acknowledgement_may_show_either),
        STORY(a_stale_read_is_found_across_seconds),
        STORY(a_stale_read_is_found_within_a_second),
        STORY(an_older_round_of_the_same_state_is_found),
        STORY(an_acknowledgement_that_falls_too_soon_is_found),
        STORY(the_shortest_timeout_that_ever_was_asked_for_counts),
        STORY(without_a_timeout_nothing_takes_an_acknowledgement_back),
        STORY(an_answered_acknowledgement_holds_although_nobody_saw_it),
        STORY(an_acknowledgement_answered_with_triggered_is_found),
        STORY(who_assigns_anew_takes_the_acknowledgement_back),
        STORY(resolved_is_for_good),
        STORY(an_answered_resolution_is_for_good),
        STORY(a_resolution_answered_with_something_else_is_found),
        STORY(what_a_complete_list_of_open_incidents_lacks_is_resolved),
        STORY(what_the_list_has_is_open),
        STORY(an_incident_that_vanishes_is_found),
        STORY(an_incident_that_is_in_no_list_at_the_end_is_found),
        STORY(forgotten_facts_accuse_nobody),
        STORY(accepted_triggers_are_there_and_counted),
        STORY(a_lost_trigger_is_found),
        STORY(a_trigger_without_an_answer_may_be_lost),
        STORY(triggers_of_a_disabled_service_are_dropped),
        STORY(a_second_trigger_that_was_lost_is_found),
        STORY(a_trigger_that_was_applied_twice_is_found),
        STORY(an_event_that_resolved_holds_for_what_was_known_before),
        STORY(an_event_does_not_resolve_what_has_alerts_of_others),
        STORY(an_event_does_not_acknowledge_what_has_alerts_of_others),
        STORY(incidents_of_a_service_that_gathers_may_be_triggered_again),
        STORY(alerts_that_were_moved_are_counted_where_they_are),
        STORY(an_event_that_acknowledged_holds),
        STORY(edits_that_follow_each_other_are_clean),
        STORY(an_edit_that_was_answered_and_is_not_there_is_found),
        STORY(an_edit_that_was_seen_and_vanishes_is_found),
        STORY(a_refused_edit_that_changed_something_is_found),
        STORY(a_revision_that_nobody_wrote_is_found),
        STORY(deleted_is_for_good_and_nothing_else_vanishes),
        STORY(an_object_that_vanishes_is_found),
        STORY(one_id_for_two_objects_is_found),
        STORY(answers_are_judged_by_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
