/* Page-delivery drills: synthetic pages at their times, how they end, what is told of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "tests/support/machine_fixture.h"

#define MINUTE FIXTURE_MINUTE_MS
#define DAY (24 * 60 * MINUTE)
#define HOUR_S 3600u
#define OBJECTIVE_MS 60000u
#define SMS TOCSIN__CHANNEL__CHANNEL_SMS
#define CONTACT "test contact"
#define DELIVERED TOCSIN__DRILL_RESULT__DRILL_DELIVERED
#define LATE TOCSIN__DRILL_RESULT__DRILL_LATE
#define FAILED TOCSIN__DRILL_RESULT__DRILL_FAILED
#define LOST TOCSIN__DRILL_RESULT__DRILL_LOST
#define SENT TOCSIN__OUTCOME__OUTCOME_SENT
#define RETRY TOCSIN__OUTCOME__OUTCOME_RETRY
#define NEVER TOCSIN__OUTCOME__OUTCOME_NEVER
#define UNKNOWN TOCSIN__OUTCOME__OUTCOME_UNKNOWN
#define OK TOCSIN__STATUS__STATUS_OK

static int begin(void **state)
{
    *state = fixture_new();
    return 0;
}

static int end(void **state)
{
    fixture_free(*state);
    return 0;
}

/* ---------------------------------------------------------------- steps */

struct wish {
    char *name, *address;
    uint32_t interval_s, target_permille, window_days;
    bool disabled;
};
#define HOURLY ((struct wish){(char[]){"SMS"}, (char[]){"5550123"}, HOUR_S, 990, 30, false})

static const Tocsin__Reply *put(struct machine_fixture *f, uint64_t id, struct wish wish)
{
    Tocsin__ContactMethod method = TOCSIN__CONTACT_METHOD__INIT;
    method.channel = SMS;
    method.address = wish.address;
    Tocsin__Drill drill = TOCSIN__DRILL__INIT;
    drill.name = wish.name;
    drill.contact_method = &method;
    drill.interval_s = wish.interval_s;
    drill.delivery_objective_ms = OBJECTIVE_MS;
    drill.target_permille = wish.target_permille;
    drill.window_days = wish.window_days;
    drill.disabled = wish.disabled;
    Tocsin__DrillPut body = TOCSIN__DRILL_PUT__INIT;
    body.id = id;
    body.fields = UINT64_MAX;
    body.drill = &drill;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_DRILL_PUT;
    command.drill_put = &body;
    return fixture_apply(f, &command);
}

static uint64_t made(struct machine_fixture *f, struct wish wish)
{
    const Tocsin__Reply *reply = put(f, 0, wish);
    assert_int_equal(reply->status, OK);
    uint64_t id = reply->ids[0];
    fixture_pulse(f, LIMIT_PULSE_DEADLINES);
    return id;
}

static void changed(struct machine_fixture *f, uint64_t id, struct wish wish)
{
    assert_int_equal(put(f, id, wish)->status, OK);
}

static const Tocsin__Reply *start(struct machine_fixture *f, uint64_t id)
{
    Tocsin__DrillStart body = TOCSIN__DRILL_START__INIT;
    body.id = id;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_DRILL_START;
    command.drill_start = &body;
    return fixture_apply(f, &command);
}

static void delete(struct machine_fixture *f, uint64_t id)
{
    Tocsin__DrillDelete body = TOCSIN__DRILL_DELETE__INIT;
    body.id = id;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_DRILL_DELETE;
    command.drill_delete = &body;
    assert_int_equal(fixture_apply(f, &command)->status, OK);
}

/* The provider's answer, so long after the claim by the clock of the node that sends. */
static void answer(struct machine_fixture *f, const Tocsin__Notification *page, Tocsin__Outcome outcome,
                   uint32_t elapsed_ms, uint32_t retry_after_ms)
{
    char provider[] = "twilio", detail[] = "21610 unsubscribed";
    Tocsin__Receipt receipt = TOCSIN__RECEIPT__INIT;
    receipt.notification_id = page->id;
    receipt.attempt = page->attempt;
    receipt.outcome = outcome;
    receipt.provider = provider;
    receipt.detail = outcome == SENT ? receipt.detail : detail;
    receipt.elapsed_ms = elapsed_ms;
    receipt.retry_after_ms = retry_after_ms;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_RECEIPT;
    command.receipt = &receipt;
    assert_int_equal(fixture_apply(f, &command)->status, OK);
}

static const Tocsin__Notification *drilled(struct machine_fixture *f)
{
    const Tocsin__Notification *page = fixture_expect_send(f, CONTACT, SMS);
    assert_int_equal(page->notice->kind, TOCSIN__NOTICE_KIND__NOTICE_DRILL);
    assert_false(page->possibly_repeated);
    return page;
}

/* One run whose provider answers so. */
static void run_ends(struct machine_fixture *f, Tocsin__Outcome outcome, uint32_t elapsed_ms)
{
    answer(f, drilled(f), outcome, elapsed_ms, 0);
}

static void next_run_ends(struct machine_fixture *f, Tocsin__Outcome outcome, uint32_t elapsed_ms)
{
    fixture_run(f, HOUR_S * 1000);
    run_ends(f, outcome, elapsed_ms);
}

static Tocsin__DrillRun last_run(struct machine_fixture *f, uint64_t id)
{
    struct walk walk = walk_under_backward(&f->store, TABLE_DRILL_RUN, id);
    assert_true(walk_next(&walk));
    Tocsin__DrillRun *record = record_unpack(&tocsin__drill_run__descriptor, walk.value, NULL), run = *record;
    run.provider = run.provider_id = run.detail = NULL;
    tocsin__drill_run__free_unpacked(record, NULL);
    return run;
}

static Tocsin__DrillState state_of(struct machine_fixture *f, uint64_t id)
{
    Tocsin__DrillState *record = drill_state_get(&f->store, id, NULL), state = *record;
    tocsin__drill_state__free_unpacked(record, NULL);
    return state;
}

/* The only incident that there is. */
static Tocsin__Incident *told(struct machine_fixture *f)
{
    assert_int_equal(fixture_rows(f, TABLE_INCIDENT), 1);
    struct walk walk = walk_all(&f->store, TABLE_INCIDENT);
    assert_true(walk_next(&walk));
    return fixture_incident(f, span_number(walk.key, 0));
}

static bool is_open(struct machine_fixture *f)
{
    return told(f)->status == TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED;
}

/* ---------------------------------------------------------------- runs */

static void a_drill_runs_at_once_and_then_at_its_times(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t id = made(f, HOURLY);
    run_ends(f, SENT, 350);
    Tocsin__DrillRun run = last_run(f, id);
    assert_int_equal(run.result, DELIVERED);
    assert_int_equal(run.delivery_ms, 350);
    assert_int_equal(run.attempts, 1);
    fixture_run(f, HOUR_S * 1000 - 1);
    fixture_expect_silence(f);
    fixture_run(f, 1);
    run_ends(f, SENT, 350);
    assert_int_equal(state_of(f, id).delivered, 2);
    assert_int_equal(fixture_rows(f, TABLE_OUTBOX), 0);
    assert_int_equal(fixture_rows(f, TABLE_INCIDENT), 0);
}

static void a_drill_that_comes_too_late_is_late(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t id = made(f, HOURLY);
    const Tocsin__Notification *page = drilled(f);
    answer(f, page, RETRY, 1000, OBJECTIVE_MS);
    fixture_run(f, OBJECTIVE_MS);
    run_ends(f, SENT, 700);
    Tocsin__DrillRun run = last_run(f, id);
    assert_int_equal(run.result, LATE);
    assert_int_equal(run.delivery_ms, OBJECTIVE_MS + 700);
    assert_int_equal(run.attempts, 2);
    assert_int_equal(fixture_rows(f, TABLE_INCIDENT), 0); /* the budget of a month of hours has room for it */
}

static void a_drill_that_fails_is_an_incident_until_one_is_good(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t id = made(f, HOURLY);
    run_ends(f, NEVER, 100);
    assert_int_equal(last_run(f, id).result, FAILED);
    assert_true(is_open(f));
    assert_non_null(strstr(told(f)->title, "\"SMS\" failed: the text message by twilio"));
    assert_non_null(strstr(told(f)->title, "21610 unsubscribed"));
    next_run_ends(f, NEVER, 100);
    assert_true(is_open(f));
    next_run_ends(f, SENT, 100);
    assert_int_equal(told(f)->status, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED);
    assert_int_equal(state_of(f, id).failed, 2);
    assert_int_equal(state_of(f, id).delivered, 1);
}

static void a_provider_that_refuses_for_too_long_has_failed(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t id = made(f, HOURLY);
    answer(f, drilled(f), RETRY, 100, DRILL_PATIENCE_OBJECTIVES * OBJECTIVE_MS);
    assert_int_equal(last_run(f, id).result, FAILED);
    assert_int_equal(fixture_rows(f, TABLE_OUTBOX), 0);
    assert_true(is_open(f));
}

static void what_may_have_arrived_is_not_sent_again(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t id = made(f, HOURLY);
    run_ends(f, UNKNOWN, 10000);
    assert_int_equal(last_run(f, id).result, FAILED);
    fixture_run(f, 30 * MINUTE);
    fixture_expect_silence(f);
}

/* ---------------------------------------------------------------- the cluster's own trouble */

static void a_drill_of_a_leader_that_is_gone_is_lost_and_blamed_on_nobody(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t id = made(f, HOURLY);
    const Tocsin__Notification *page = drilled(f);
    fixture_new_leader(f, 2);
    assert_int_equal(fixture_claim(f, page->id)->status, TOCSIN__STATUS__STATUS_CONFLICT);
    fixture_expect_silence(f);
    assert_int_equal(last_run(f, id).result, LOST);
    assert_int_equal(fixture_rows(f, TABLE_INCIDENT), 0);
    next_run_ends(f, SENT, 100);
    assert_int_equal(state_of(f, id).lost, 1);
    assert_int_equal(state_of(f, id).delivered, 1);
}

static void a_claim_without_a_receipt_is_lost(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t id = made(f, HOURLY);
    (void)drilled(f);
    fixture_run(f, CLAIM_LAPSE_MS);
    fixture_expect_silence(f);
    assert_int_equal(last_run(f, id).result, LOST);
    assert_int_equal(fixture_rows(f, TABLE_OUTBOX), 0);
}

static void runs_that_an_outage_swallowed_are_made_up_for_by_one(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t id = made(f, HOURLY);
    run_ends(f, SENT, 100);
    fixture_advance(f, 5 * HOUR_S * 1000 + 10 * MINUTE);
    fixture_pulse(f, LIMIT_PULSE_DEADLINES);
    run_ends(f, SENT, 250);
    fixture_expect_silence(f);
    assert_int_equal(last_run(f, id).delivery_ms, 250); /* from its claim, not from when it was due */
    fixture_run(f, 50 * MINUTE);
    run_ends(f, SENT, 100);
}

/* ---------------------------------------------------------------- the error budget */

static void late_drills_use_up_the_budget_and_then_are_an_incident(void **state)
{
    struct machine_fixture *f = *state;
    struct wish wish = HOURLY;
    wish.window_days = 1;
    wish.target_permille = 900; /* two of 24 may be late */
    uint64_t id = made(f, wish);
    run_ends(f, SENT, OBJECTIVE_MS + 1);
    next_run_ends(f, SENT, OBJECTIVE_MS + 1);
    assert_int_equal(fixture_rows(f, TABLE_INCIDENT), 0);
    next_run_ends(f, SENT, OBJECTIVE_MS + 1);
    assert_true(is_open(f));
    assert_non_null(strstr(told(f)->title, "out of its error budget"));
    next_run_ends(f, SENT, 100);
    assert_false(is_open(f));
    /* A day later they are forgotten. */
    for (unsigned hour = 0; hour < 24; hour++) {
        next_run_ends(f, SENT, 100);
    }
    assert_int_equal(state_of(f, id).late, 0);
    assert_int_equal(state_of(f, id).delivered, 24);
    assert_int_equal(fixture_rows_under(f, TABLE_DRILL_RUN, id), 24);
}

/* ---------------------------------------------------------------- requests */

static void a_drill_runs_by_hand_but_not_twice_at_a_time(void **state)
{
    struct machine_fixture *f = *state;
    struct wish wish = HOURLY;
    wish.disabled = true;
    uint64_t id = made(f, wish);
    fixture_expect_silence(f);
    assert_int_equal(start(f, id)->status, OK);
    const Tocsin__Notification *page = drilled(f);
    assert_int_equal(start(f, id)->reason, TOCSIN__REASON__REASON_DRILL_UNDER_WAY);
    answer(f, page, SENT, 100, 0);
    assert_int_equal(start(f, id)->reason, TOCSIN__REASON__REASON_DRILLED_JUST_NOW);
    fixture_run(f, MINUTE);
    assert_int_equal(start(f, id)->status, OK);
    run_ends(f, SENT, 100);
    assert_true(last_run(f, id).by_hand);
    fixture_run(f, DAY);
    fixture_expect_silence(f);
}

static void a_drill_that_is_stopped_leaves_nothing_behind(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t id = made(f, HOURLY);
    run_ends(f, NEVER, 100);
    assert_true(is_open(f));
    struct wish off = HOURLY;
    off.disabled = true;
    changed(f, id, off);
    assert_false(is_open(f));
    changed(f, id, HOURLY);
    fixture_pulse(f, LIMIT_PULSE_DEADLINES);
    const Tocsin__Notification *page = drilled(f);
    delete(f, id);
    answer(f, page, RETRY, 100, 1000);
    fixture_run(f, DAY);
    fixture_expect_silence(f);
    assert_int_equal(fixture_rows(f, TABLE_OUTBOX), 0);
    assert_int_equal(fixture_rows(f, TABLE_DRILL_RUN), 0);
    assert_int_equal(fixture_rows(f, TABLE_DRILL_STATE), 0);
    assert_int_equal(start(f, id)->status, TOCSIN__STATUS__STATUS_NOT_FOUND);
}

static void another_contact_is_another_drill_for_who_was_told(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t id = made(f, HOURLY);
    run_ends(f, NEVER, 100);
    struct wish other = HOURLY;
    other.address = (char[]){"5550999"};
    changed(f, id, other);
    assert_false(is_open(f));
}

static void nonsense_is_refused(void **state)
{
    struct machine_fixture *f = *state;
    struct wish wishes[] = {HOURLY, HOURLY, HOURLY, HOURLY, HOURLY};
    wishes[0].interval_s = DRILL_INTERVAL_SECONDS_LEAST - 1;
    wishes[1].target_permille = 1001;
    wishes[2].window_days = 0;
    wishes[3].name = (char[]){""};
    wishes[4].address = (char[]){"not a number"};
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        assert_int_equal(put(f, 0, wishes[i])->reason, TOCSIN__REASON__REASON_BAD_VALUE);
    }
    made(f, HOURLY);
    run_ends(f, SENT, 1);
    assert_int_equal(put(f, 0, HOURLY)->reason, TOCSIN__REASON__REASON_NAME_TAKEN);
}

#define STORY(story) cmocka_unit_test_setup_teardown(story, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_drill_runs_at_once_and_then_at_its_times),
        STORY(a_drill_that_comes_too_late_is_late),
        STORY(a_drill_that_fails_is_an_incident_until_one_is_good),
        STORY(a_provider_that_refuses_for_too_long_has_failed),
        STORY(what_may_have_arrived_is_not_sent_again),
        STORY(a_drill_of_a_leader_that_is_gone_is_lost_and_blamed_on_nobody),
        STORY(a_claim_without_a_receipt_is_lost),
        STORY(runs_that_an_outage_swallowed_are_made_up_for_by_one),
        STORY(late_drills_use_up_the_budget_and_then_are_an_incident),
        STORY(a_drill_runs_by_hand_but_not_twice_at_a_time),
        STORY(a_drill_that_is_stopped_leaves_nothing_behind),
        STORY(another_contact_is_another_drill_for_who_was_told),
        STORY(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
