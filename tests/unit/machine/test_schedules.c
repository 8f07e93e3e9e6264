/* Who is on call, as the machine keeps it: revisions, overrides, horizons, and policies that ask schedules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/schedules/schedules.h"
#include "consensus/machine/schedules/shift_rows.h"
#include "tests/support/memory_store.h"
#include "tests/support/night.h"

#define KEY NIGHT_KEY
#define SMS TOCSIN__CHANNEL__CHANNEL_SMS
#define MINUTE FIXTURE_MINUTE_MS
#define HOUR NIGHT_HOUR
#define DAY (24 * HOUR)
#define OK TOCSIN__STATUS__STATUS_OK
#define INVALID TOCSIN__STATUS__STATUS_INVALID
#define CONFLICT TOCSIN__STATUS__STATUS_CONFLICT

/* ---------------------------------------------------------------- a night */

static void hands_over_at_the_very_millisecond(void **state)
{
    struct night *night = *state;
    uint64_t now_ms = night->fixture->now_ms;
    assert_int_equal(night_on_call_at(night, now_ms), night->bob);
    assert_int_equal(night_on_call_at(night, now_ms + HOUR - 1), night->bob);
    assert_int_equal(night_on_call_at(night, now_ms + HOUR), night->alice);
    assert_int_equal(night_on_call_at(night, now_ms - 1), 0); /* the schedule was not made yet */
    assert_int_equal(night_on_call_at(night, now_ms + 300 * HOUR), 0);
}

static void a_level_asks_the_schedule_when_it_begins(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    night_watch(night, 5, 0);
    uint64_t first = fixture_trigger(f, KEY, "disk");
    night_expect_told(f, "Bob");
    fixture_set_status(f, first, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED);
    fixture_run(f, HOUR - 1);
    uint64_t second = fixture_trigger(f, KEY, "still Bob's");
    night_expect_told(f, "Bob");
    fixture_set_status(f, second, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED);
    fixture_run(f, 1);
    uint64_t third = fixture_trigger(f, KEY, "Alice's");
    night_expect_told(f, "Alice");

    /* The timeline says by which schedule and revision. */
    struct walk walk = walk_under(&f->store, TABLE_LOG_ENTRY, third);
    bool found = false;
    while (walk_next(&walk)) {
        Tocsin__LogEntry *entry = record_unpack(&tocsin__log_entry__descriptor, walk.value, NULL);
        if (entry->type == TOCSIN__LOG_TYPE__LOG_ASSIGN) {
            found = true;
            assert_int_equal(entry->n_on_call, 1);
            assert_int_equal(entry->on_call[0]->schedule_id, night->schedule);
            assert_int_equal(entry->on_call[0]->user_id, night->alice);
            assert_int_equal(entry->on_call[0]->revision, 1);
            assert_non_null(strstr(entry->text, "Alice is on call in Primary (revision 1)"));
        }
        tocsin__log_entry__free_unpacked(entry, NULL);
    }
    assert_true(found);
}

static void a_level_with_nobody_on_call_is_passed_at_once(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t carol = night_person(f, "Carol", "15550003");
    assert_int_equal(night_put(night, night->schedule, 1, night_hourly(f->now_ms - HOUR, 200, night->alice, 0))->status, OK);
    night_watch(night, 5, carol);
    uint64_t id = fixture_trigger(f, KEY, "disk");
    night_expect_told(f, "Carol");
    assert_int_equal(fixture_incident(f, id)->level, 2);
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_ESCALATE, TOCSIN__WHY__WHY_NOBODY_ON_LEVEL), 1);
}

static void a_policy_with_nobody_on_call_reaches_the_guardians(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    fixture_guardian(f, "Grace", SMS, "15550009");
    assert_int_equal(night_put(night, night->schedule, 1, night_hourly(f->now_ms - HOUR, 200, night->alice, 0))->status, OK);
    night_watch(night, 5, 0);
    uint64_t id = fixture_trigger(f, KEY, "disk");
    night_expect_told(f, "Grace");
    assert_true(fixture_incident(f, id)->exhausted);
    fixture_run(f, GUARDIANS_REPEAT_MINUTES * MINUTE);
    night_expect_told(f, "Grace");
}

static void what_was_stays_answered_by_its_revision(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t made_ms = f->now_ms;
    fixture_run(f, 90 * MINUTE); /* Alice's hour */
    const Tocsin__Reply *reply =
        night_put(night, night->schedule, 1, night_hourly(f->now_ms - 30 * MINUTE, 200, night->bob, night->alice));
    assert_int_equal(reply->status, OK);
    assert_true(reply->on_call_changed);
    assert_int_equal(reply->on_call_before, night->alice);
    assert_int_equal(reply->on_call_after, night->bob);
    Tocsin__OnCall then = schedule_on_call(&f->store, night->schedule, made_ms + 80 * MINUTE);
    assert_int_equal(then.user_id, night->alice);
    assert_int_equal(then.revision, 1);
    then = schedule_on_call(&f->store, night->schedule, f->now_ms);
    assert_int_equal(then.user_id, night->bob);
    assert_int_equal(then.revision, 2);

    /* A change that was made from the first revision comes too late. */
    reply = night_put(night, night->schedule, 1, night_hourly(f->now_ms - HOUR, 200, night->alice, night->bob));
    assert_int_equal(reply->status, CONFLICT);
    assert_int_equal(reply->reason, TOCSIN__REASON__REASON_STALE_REVISION);
}

static void revisions_are_kept_up_to_a_bound(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    for (uint32_t revision = 1; revision < LIMIT_REVISIONS_PER_SCHEDULE + 10; revision++) {
        fixture_advance(f, 1000);
        assert_int_equal(
            night_put(night, night->schedule, revision, night_hourly(f->now_ms - HOUR, 60, night->alice, night->bob))->status, OK);
    }
    assert_int_equal(fixture_rows_under(f, TABLE_SCHEDULE_REVISION, night->schedule), LIMIT_REVISIONS_PER_SCHEDULE);
    assert_int_equal(fixture_rows_under(f, TABLE_SHIFTS, night->schedule), LIMIT_REVISIONS_PER_SCHEDULE);
    assert_int_equal(night_on_call_at(night, f->now_ms), night->bob);
}

static void an_override_takes_over_and_gives_back(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t now_ms = f->now_ms, carol = night_person(f, "Carol", "15550003");
    const Tocsin__Reply *part = night_override(night, now_ms - DAY, now_ms + 2 * HOUR, night->alice);
    uint64_t longer = part->ids[0];
    assert_true(f->reply->on_call_changed);
    night_override(night, now_ms + 10 * MINUTE, now_ms + 20 * MINUTE, carol);
    assert_false(f->reply->on_call_changed);
    assert_int_equal(night_on_call_at(night, now_ms - 1), 0); /* what was is not changed */
    assert_int_equal(night_on_call_at(night, now_ms), night->alice);
    assert_int_equal(night_on_call_at(night, now_ms + 10 * MINUTE), carol); /* the newer one decides */
    assert_int_equal(night_on_call_at(night, now_ms + 20 * MINUTE), night->alice);
    assert_int_equal(night_on_call_at(night, now_ms + 2 * HOUR), night->bob);
    assert_int_equal(schedule_on_call(&f->store, night->schedule, now_ms).override_id, longer);

    /* Ended under way: it has been, and is no more. */
    fixture_run(f, 5 * MINUTE);
    assert_int_equal(night_override_delete(night, longer)->n_ids, 1);
    assert_true(f->reply->on_call_changed);
    assert_int_equal(night_on_call_at(night, f->now_ms), night->bob);
    assert_int_equal(night_on_call_at(night, now_ms), night->alice);
    const Tocsin__Reply *again = night_override_delete(night, longer);
    assert_int_equal(again->reason, TOCSIN__REASON__REASON_OVERRIDE_ENDED);
}

static void overrides_that_make_no_sense_are_refused_one_by_one(void **state)
{
    struct night *night = *state;
    fixture_advance(night->fixture, MINUTE);
    fixture_pulse(night->fixture, 100); /* the schedule that was made is looked at for hand-offs */
    uint64_t now_ms = night->fixture->now_ms;
    struct store_digests before = memory_store_digests(night->fixture->memory);
    assert_int_equal(night_override(night, now_ms + HOUR, now_ms + HOUR, night->bob)->reason,
                     TOCSIN__REASON__REASON_WINDOW_REVERSED);
    assert_string_equal(night_override(night, now_ms + HOUR, now_ms, night->bob)->message,
                        "Override must end after its start");
    assert_int_equal(night_override(night, now_ms - HOUR, now_ms, night->bob)->reason, TOCSIN__REASON__REASON_OVERRIDE_ENDED);
    assert_int_equal(night_override(night, now_ms, now_ms + HOUR, 999999)->reason, TOCSIN__REASON__REASON_UNKNOWN_USER);
    assert_int_equal(fixture_rows(night->fixture, TABLE_OVERRIDE), 0);
    struct store_digests after = memory_store_digests(night->fixture->memory);
    assert_int_equal(after.of[TABLE_HANDOFFS], before.of[TABLE_HANDOFFS]); /* nobody looks at the schedule for it */
    const Tocsin__Reply *reply = night->fixture->reply; /* says who is on call all the same */
    assert_int_equal(reply->on_call_after, night_on_call_at(night, now_ms));
    assert_int_equal(reply->on_call_before, reply->on_call_after);
}

static void overrides_that_are_over_make_room(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    f->unchecked = true;
    for (unsigned i = 0; i < LIMIT_OVERRIDES_PER_SCHEDULE; i++) {
        assert_int_equal(night_override(night, f->now_ms, f->now_ms + 1000 + i, night->alice)->status, OK);
    }
    assert_int_equal(night_override(night, f->now_ms, f->now_ms + HOUR, night->alice)->status, TOCSIN__STATUS__STATUS_LIMIT);
    fixture_advance(f, 1000);
    assert_int_equal(night_override(night, f->now_ms, f->now_ms + HOUR, night->alice)->status, OK);
    assert_int_equal(fixture_rows(f, TABLE_OVERRIDE), LIMIT_OVERRIDES_PER_SCHEDULE);
}

static void a_horizon_is_extended_without_touching_what_was(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t made_ms = f->now_ms;
    fixture_advance(f, DAY); /* Bob's again */
    uint64_t from_ms = f->now_ms + MINUTE;
    assert_int_equal(night_extend(night, 7, night_hourly(from_ms, 300, night->alice, night->bob))->reason,
                     TOCSIN__REASON__REASON_STALE_REVISION);
    assert_int_equal(night_extend(night, 1, night_hourly(f->now_ms, 300, night->alice, night->bob))->status, INVALID);
    assert_int_equal(night_extend(night, 1, night_hourly(made_ms + 300 * HOUR, 300, night->alice, night->bob))->status, INVALID);
    assert_int_equal(night_extend(night, 1, night_hourly(from_ms, 300, night->alice, 424242))->status, INVALID);
    assert_int_equal(night_extend(night, 1, night_hourly(from_ms, 300, night->bob, night->alice))->status, OK);
    assert_int_equal(night_on_call_at(night, made_ms + HOUR), night->alice);
    assert_int_equal(night_on_call_at(night, f->now_ms), night->bob);
    assert_int_equal(night_on_call_at(night, from_ms + HOUR - 1), night->bob);
    assert_int_equal(night_on_call_at(night, from_ms + HOUR), night->alice);
    assert_int_equal(night_on_call_at(night, from_ms + 299 * HOUR), night->alice);
    assert_true(shift_rows_valid(schedule_shifts(&f->store, night->schedule, 1)));
}

static void shifts_that_do_not_fit_are_refused(void **state)
{
    struct night *night = *state;
    uint64_t now_ms = night->fixture->now_ms;
    uint8_t twice[3 * SHIFT_ROW_SIZE_BYTES];
    for (size_t i = 0; i < 3; i++) {
        shift_rows_write((struct shift_row){now_ms - HOUR + i / 2 * 100 * DAY, i == 2 ? 0 : night->bob},
                         twice + i * SHIFT_ROW_SIZE_BYTES);
    }
    const ProtobufCBinaryData bad[] = {
        {.len = 0, .data = NULL},
        {.len = 3 * SHIFT_ROW_SIZE_BYTES, .data = twice},     /* two at one moment */
        {.len = 2 * SHIFT_ROW_SIZE_BYTES - 1, .data = twice}, /* half a row */
        {.len = SHIFT_ROW_SIZE_BYTES, .data = twice},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(night_put(night, night->schedule, 1, bad[i])->status, INVALID);
    }
    assert_int_equal(night_put(night, night->schedule, 1, night_hourly(now_ms + 1, 200, night->alice, night->bob))->status,
                     INVALID);
    assert_int_equal(night_put(night, night->schedule, 1, night_hourly(now_ms - HOUR, 20, night->alice, night->bob))->status,
                     INVALID);
    assert_int_equal(night_put(night, night->schedule, 1, night_hourly(now_ms - HOUR, 200, night->alice, 31337))->status, INVALID);
    assert_int_equal(night_put(night, 31337, 1, night_hourly(now_ms - HOUR, 200, night->alice, 0))->reason,
                     TOCSIN__REASON__REASON_UNKNOWN_SCHEDULE);
}

static void what_is_needed_is_not_deleted(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t carol = night_person(f, "Carol", "15550003");
    assert_int_equal(night_user_delete(night, night->alice)->reason, TOCSIN__REASON__REASON_USER_IN_SCHEDULE);
    night_override(night, f->now_ms, f->now_ms + HOUR, carol);
    assert_int_equal(night_user_delete(night, carol)->reason, TOCSIN__REASON__REASON_USER_IN_SCHEDULE);
    fixture_run(f, HOUR);
    assert_int_equal(night_user_delete(night, carol)->status, OK);
    night_watch(night, 5, 0);
    assert_int_equal(night_schedule_delete(night)->reason, TOCSIN__REASON__REASON_SCHEDULE_IN_POLICY);
}

static void a_deleted_schedule_leaves_nothing(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    night_override(night, f->now_ms, f->now_ms + HOUR, night->alice);
    assert_int_equal(night_schedule_delete(night)->status, OK);
    static const enum machine_table tables[] = {TABLE_SCHEDULE, TABLE_SCHEDULE_REVISION, TABLE_SHIFTS, TABLE_OVERRIDE};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        assert_int_equal(fixture_rows(f, tables[i]), 0);
    }
    assert_int_equal(night_user_delete(night, night->alice)->status, OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hands_over_at_the_very_millisecond, night_begin, night_end),
        cmocka_unit_test_setup_teardown(a_level_asks_the_schedule_when_it_begins, night_begin, night_end),
        cmocka_unit_test_setup_teardown(a_level_with_nobody_on_call_is_passed_at_once, night_begin, night_end),
        cmocka_unit_test_setup_teardown(a_policy_with_nobody_on_call_reaches_the_guardians, night_begin, night_end),
        cmocka_unit_test_setup_teardown(what_was_stays_answered_by_its_revision, night_begin, night_end),
        cmocka_unit_test_setup_teardown(revisions_are_kept_up_to_a_bound, night_begin, night_end),
        cmocka_unit_test_setup_teardown(an_override_takes_over_and_gives_back, night_begin, night_end),
        cmocka_unit_test_setup_teardown(overrides_that_make_no_sense_are_refused_one_by_one, night_begin, night_end),
        cmocka_unit_test_setup_teardown(overrides_that_are_over_make_room, night_begin, night_end),
        cmocka_unit_test_setup_teardown(a_horizon_is_extended_without_touching_what_was, night_begin, night_end),
        cmocka_unit_test_setup_teardown(shifts_that_do_not_fit_are_refused, night_begin, night_end),
        cmocka_unit_test_setup_teardown(what_is_needed_is_not_deleted, night_begin, night_end),
        cmocka_unit_test_setup_teardown(a_deleted_schedule_leaves_nothing, night_begin, night_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
