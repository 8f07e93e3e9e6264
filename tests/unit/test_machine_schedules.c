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
#include "tests/support/machine_fixture.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define SMS TOCSIN__CHANNEL__CHANNEL_SMS
#define MINUTE FIXTURE_MINUTE_MS
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define OK TOCSIN__STATUS__STATUS_OK
#define INVALID TOCSIN__STATUS__STATUS_INVALID
#define CONFLICT TOCSIN__STATUS__STATUS_CONFLICT

struct night {
    struct machine_fixture *fixture;
    uint64_t alice, bob, schedule;
};

static uint64_t person(struct machine_fixture *f, const char *name, const char *telephone)
{
    uint64_t id = fixture_user(f, name);
    fixture_method(f, id, SMS, telephone);
    return id;
}

/* ---------------------------------------------------------------- commands */

/* Shifts of an hour each, by turns, from an hour ago on; `second` may be 0, for nobody. The bytes live until the next.
 */
static ProtobufCBinaryData hourly(uint64_t since_ms, size_t count, uint64_t first, uint64_t second)
{
    static uint8_t bytes[1000 * SHIFT_ROW_SIZE_BYTES];
    assert_true(count < 1000);
    for (size_t i = 0; i <= count; i++) {
        uint64_t user = i == count ? 0 : i % 2 == 0 ? first : second;
        shift_rows_write((struct shift_row){since_ms + i * HOUR, user}, bytes + i * SHIFT_ROW_SIZE_BYTES);
    }
    return (ProtobufCBinaryData){.len = (count + 1) * SHIFT_ROW_SIZE_BYTES, .data = bytes};
}

static char *writable(const char *text)
{
    return (char *)(uintptr_t)text; /* protobuf-c's fields are not const; nothing writes through them */
}

/* Both people in one layer, with these shifts. */
static const Tocsin__Reply *put(struct night *night, uint64_t id, uint32_t base_revision, ProtobufCBinaryData shifts)
{
    uint64_t users[] = {night->alice, night->bob};
    Tocsin__ScheduleLayer layer = TOCSIN__SCHEDULE_LAYER__INIT, *layers[] = {&layer};
    layer.start_ms = layer.rotation_virtual_start_ms = night->fixture->now_ms - HOUR;
    layer.turn_length_s = 3600;
    layer.n_user_ids = 2;
    layer.user_ids = users;
    Tocsin__Schedule schedule = TOCSIN__SCHEDULE__INIT;
    schedule.name = writable("Primary");
    schedule.time_zone = writable("Europe/Paris");
    schedule.n_layers = 1;
    schedule.layers = layers;
    Tocsin__SchedulePut body = TOCSIN__SCHEDULE_PUT__INIT;
    body.id = id;
    body.base_revision = base_revision;
    body.schedule = &schedule;
    body.shifts = shifts;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_SCHEDULE_PUT;
    command.schedule_put = &body;
    return fixture_apply(night->fixture, &command);
}

static const Tocsin__Reply *extend(struct night *night, uint32_t revision, ProtobufCBinaryData shifts)
{
    Tocsin__ScheduleExtend body = TOCSIN__SCHEDULE_EXTEND__INIT;
    body.schedule_id = night->schedule;
    body.revision = revision;
    body.shifts = shifts;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_SCHEDULE_EXTEND;
    command.schedule_extend = &body;
    return fixture_apply(night->fixture, &command);
}

/* One; its part of the reply. */
static const Tocsin__Reply * override(struct night *night, uint64_t start_ms, uint64_t end_ms, uint64_t user_id)
{
    Tocsin__Override one = TOCSIN__OVERRIDE__INIT, *list[] = {&one};
    one.start_ms = start_ms;
    one.end_ms = end_ms;
    one.user_id = user_id;
    Tocsin__OverridesCreate body = TOCSIN__OVERRIDES_CREATE__INIT;
    body.schedule_id = night->schedule;
    body.n_overrides = 1;
    body.overrides = list;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_OVERRIDES_CREATE;
    command.overrides_create = &body;
    const Tocsin__Reply *reply = fixture_apply(night->fixture, &command);
    assert_int_equal(reply->status, OK);
    assert_int_equal(reply->n_parts, 1);
    return reply->parts[0];
}

static const Tocsin__Reply *override_delete(struct night *night, uint64_t id)
{
    Tocsin__OverrideDelete body = TOCSIN__OVERRIDE_DELETE__INIT;
    body.schedule_id = night->schedule;
    body.id = id;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_OVERRIDE_DELETE;
    command.override_delete = &body;
    return fixture_apply(night->fixture, &command);
}

static const Tocsin__Reply *schedule_delete(struct night *night)
{
    Tocsin__ScheduleDelete body = TOCSIN__SCHEDULE_DELETE__INIT;
    body.id = night->schedule;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_SCHEDULE_DELETE;
    command.schedule_delete = &body;
    return fixture_apply(night->fixture, &command);
}

static const Tocsin__Reply *user_delete(struct night *night, uint64_t id)
{
    Tocsin__UserDelete body = TOCSIN__USER_DELETE__INIT;
    body.id = id;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_USER_DELETE;
    command.user_delete = &body;
    return fixture_apply(night->fixture, &command);
}

/* A service whose policy has one level: the schedule; `then` is the second level, 0 for none. */
static void watch(struct night *night, uint32_t delay_minutes, uint64_t then)
{
    struct machine_fixture *f = night->fixture;
    Tocsin__EscalationLevel first = TOCSIN__ESCALATION_LEVEL__INIT, second = TOCSIN__ESCALATION_LEVEL__INIT;
    Tocsin__EscalationLevel *levels[] = {&first, &second};
    first.delay_minutes = second.delay_minutes = delay_minutes;
    first.n_schedule_ids = 1;
    first.schedule_ids = &night->schedule;
    second.n_user_ids = 1;
    second.user_ids = &then;
    Tocsin__EscalationPolicy policy = TOCSIN__ESCALATION_POLICY__INIT;
    policy.name = writable("Nights");
    policy.n_levels = then != 0 ? 2 : 1;
    policy.levels = levels;
    Tocsin__EscalationPolicyPut body = TOCSIN__ESCALATION_POLICY_PUT__INIT;
    body.escalation_policy = &policy;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_ESCALATION_POLICY_PUT;
    command.escalation_policy_put = &body;
    const Tocsin__Reply *reply = fixture_apply(f, &command);
    assert_int_equal(reply->status, OK);
    uint64_t service = fixture_service(f, reply->ids[0], TOCSIN__URGENCY__URGENCY_HIGH, 0, 0);
    fixture_integration(f, service, KEY);
}

/* ---------------------------------------------------------------- a night */

static int begin(void **state)
{
    static struct night night;
    night.fixture = fixture_new();
    night.fixture->now_ms -= night.fixture->now_ms % 1000;
    night.alice = person(night.fixture, "Alice", "15550001");
    night.bob = person(night.fixture, "Bob", "15550002");
    const Tocsin__Reply *reply = put(&night, 0, 0, hourly(night.fixture->now_ms - HOUR, 200, night.alice, night.bob));
    assert_int_equal(reply->status, OK);
    night.schedule = reply->ids[0]; /* Bob from now on, Alice in an hour */
    *state = &night;
    return 0;
}

static int end(void **state)
{
    struct night *night = *state;
    fixture_free(night->fixture);
    return 0;
}

static uint64_t on_call_at(struct night *night, uint64_t at_ms)
{
    return schedule_on_call(&night->fixture->store, night->schedule, at_ms).user_id;
}

static void expect_told(struct machine_fixture *f, const char *name)
{
    fixture_receipt(f, fixture_expect_send(f, name, SMS), TOCSIN__OUTCOME__OUTCOME_SENT, 0);
    fixture_expect_silence(f);
}

static void hands_over_at_the_very_millisecond(void **state)
{
    struct night *night = *state;
    uint64_t now_ms = night->fixture->now_ms;
    assert_int_equal(on_call_at(night, now_ms), night->bob);
    assert_int_equal(on_call_at(night, now_ms + HOUR - 1), night->bob);
    assert_int_equal(on_call_at(night, now_ms + HOUR), night->alice);
    assert_int_equal(on_call_at(night, now_ms - 1), 0); /* the schedule was not made yet */
    assert_int_equal(on_call_at(night, now_ms + 300 * HOUR), 0);
}

static void a_level_asks_the_schedule_when_it_begins(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    watch(night, 5, 0);
    uint64_t first = fixture_trigger(f, KEY, "disk");
    expect_told(f, "Bob");
    fixture_set_status(f, first, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED);
    fixture_run(f, HOUR - 1);
    uint64_t second = fixture_trigger(f, KEY, "still Bob's");
    expect_told(f, "Bob");
    fixture_set_status(f, second, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED);
    fixture_run(f, 1);
    uint64_t third = fixture_trigger(f, KEY, "Alice's");
    expect_told(f, "Alice");

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
    uint64_t carol = person(f, "Carol", "15550003");
    assert_int_equal(put(night, night->schedule, 1, hourly(f->now_ms - HOUR, 200, night->alice, 0))->status, OK);
    watch(night, 5, carol);
    uint64_t id = fixture_trigger(f, KEY, "disk");
    expect_told(f, "Carol");
    assert_int_equal(fixture_incident(f, id)->level, 2);
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_ESCALATE, TOCSIN__WHY__WHY_NOBODY_ON_LEVEL), 1);
}

static void a_policy_with_nobody_on_call_reaches_the_guardians(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    fixture_guardian(f, "Grace", SMS, "15550009");
    assert_int_equal(put(night, night->schedule, 1, hourly(f->now_ms - HOUR, 200, night->alice, 0))->status, OK);
    watch(night, 5, 0);
    uint64_t id = fixture_trigger(f, KEY, "disk");
    expect_told(f, "Grace");
    assert_true(fixture_incident(f, id)->exhausted);
    fixture_run(f, GUARDIANS_REPEAT_MINUTES * MINUTE);
    expect_told(f, "Grace");
}

static void what_was_stays_answered_by_its_revision(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t made_ms = f->now_ms;
    fixture_run(f, 90 * MINUTE); /* Alice's hour */
    const Tocsin__Reply *reply =
        put(night, night->schedule, 1, hourly(f->now_ms - 30 * MINUTE, 200, night->bob, night->alice));
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
    reply = put(night, night->schedule, 1, hourly(f->now_ms - HOUR, 200, night->alice, night->bob));
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
            put(night, night->schedule, revision, hourly(f->now_ms - HOUR, 60, night->alice, night->bob))->status, OK);
    }
    assert_int_equal(fixture_rows_under(f, TABLE_SCHEDULE_REVISION, night->schedule), LIMIT_REVISIONS_PER_SCHEDULE);
    assert_int_equal(fixture_rows_under(f, TABLE_SHIFTS, night->schedule), LIMIT_REVISIONS_PER_SCHEDULE);
    assert_int_equal(on_call_at(night, f->now_ms), night->bob);
}

static void an_override_takes_over_and_gives_back(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t now_ms = f->now_ms, carol = person(f, "Carol", "15550003");
    const Tocsin__Reply *part = override(night, now_ms - DAY, now_ms + 2 * HOUR, night->alice);
    uint64_t longer = part->ids[0];
    assert_true(f->reply->on_call_changed);
    override(night, now_ms + 10 * MINUTE, now_ms + 20 * MINUTE, carol);
    assert_false(f->reply->on_call_changed);
    assert_int_equal(on_call_at(night, now_ms - 1), 0); /* what was is not changed */
    assert_int_equal(on_call_at(night, now_ms), night->alice);
    assert_int_equal(on_call_at(night, now_ms + 10 * MINUTE), carol); /* the newer one decides */
    assert_int_equal(on_call_at(night, now_ms + 20 * MINUTE), night->alice);
    assert_int_equal(on_call_at(night, now_ms + 2 * HOUR), night->bob);
    assert_int_equal(schedule_on_call(&f->store, night->schedule, now_ms).override_id, longer);

    /* Ended under way: it has been, and is no more. */
    fixture_run(f, 5 * MINUTE);
    assert_int_equal(override_delete(night, longer)->n_ids, 1);
    assert_true(f->reply->on_call_changed);
    assert_int_equal(on_call_at(night, f->now_ms), night->bob);
    assert_int_equal(on_call_at(night, now_ms), night->alice);
    const Tocsin__Reply *again = override_delete(night, longer);
    assert_int_equal(again->reason, TOCSIN__REASON__REASON_OVERRIDE_ENDED);
}

static void overrides_that_make_no_sense_are_refused_one_by_one(void **state)
{
    struct night *night = *state;
    uint64_t now_ms = night->fixture->now_ms;
    assert_int_equal(override(night, now_ms + HOUR, now_ms + HOUR, night->bob)->reason,
                     TOCSIN__REASON__REASON_WINDOW_REVERSED);
    assert_string_equal(override(night, now_ms + HOUR, now_ms, night->bob)->message,
                        "Override must end after its start");
    assert_int_equal(override(night, now_ms - HOUR, now_ms, night->bob)->reason, TOCSIN__REASON__REASON_OVERRIDE_ENDED);
    assert_int_equal(override(night, now_ms, now_ms + HOUR, 999999)->reason, TOCSIN__REASON__REASON_UNKNOWN_USER);
    assert_int_equal(fixture_rows(night->fixture, TABLE_OVERRIDE), 0);
}

static void overrides_that_are_over_make_room(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    f->unchecked = true;
    for (unsigned i = 0; i < LIMIT_OVERRIDES_PER_SCHEDULE; i++) {
        assert_int_equal(override(night, f->now_ms, f->now_ms + 1000 + i, night->alice)->status, OK);
    }
    assert_int_equal(override(night, f->now_ms, f->now_ms + HOUR, night->alice)->status, TOCSIN__STATUS__STATUS_LIMIT);
    fixture_advance(f, 1000);
    assert_int_equal(override(night, f->now_ms, f->now_ms + HOUR, night->alice)->status, OK);
    assert_int_equal(fixture_rows(f, TABLE_OVERRIDE), LIMIT_OVERRIDES_PER_SCHEDULE);
}

static void a_horizon_is_extended_without_touching_what_was(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t made_ms = f->now_ms;
    fixture_advance(f, DAY); /* Bob's again */
    uint64_t from_ms = f->now_ms + MINUTE;
    assert_int_equal(extend(night, 7, hourly(from_ms, 300, night->alice, night->bob))->reason,
                     TOCSIN__REASON__REASON_STALE_REVISION);
    assert_int_equal(extend(night, 1, hourly(f->now_ms, 300, night->alice, night->bob))->status, INVALID);
    assert_int_equal(extend(night, 1, hourly(made_ms + 300 * HOUR, 300, night->alice, night->bob))->status, INVALID);
    assert_int_equal(extend(night, 1, hourly(from_ms, 300, night->alice, 424242))->status, INVALID);
    assert_int_equal(extend(night, 1, hourly(from_ms, 300, night->bob, night->alice))->status, OK);
    assert_int_equal(on_call_at(night, made_ms + HOUR), night->alice);
    assert_int_equal(on_call_at(night, f->now_ms), night->bob);
    assert_int_equal(on_call_at(night, from_ms + HOUR - 1), night->bob);
    assert_int_equal(on_call_at(night, from_ms + HOUR), night->alice);
    assert_int_equal(on_call_at(night, from_ms + 299 * HOUR), night->alice);
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
        assert_int_equal(put(night, night->schedule, 1, bad[i])->status, INVALID);
    }
    assert_int_equal(put(night, night->schedule, 1, hourly(now_ms + 1, 200, night->alice, night->bob))->status,
                     INVALID);
    assert_int_equal(put(night, night->schedule, 1, hourly(now_ms - HOUR, 20, night->alice, night->bob))->status,
                     INVALID);
    assert_int_equal(put(night, night->schedule, 1, hourly(now_ms - HOUR, 200, night->alice, 31337))->status, INVALID);
    assert_int_equal(put(night, 31337, 1, hourly(now_ms - HOUR, 200, night->alice, 0))->reason,
                     TOCSIN__REASON__REASON_UNKNOWN_SCHEDULE);
}

static void what_is_needed_is_not_deleted(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t carol = person(f, "Carol", "15550003");
    assert_int_equal(user_delete(night, night->alice)->reason, TOCSIN__REASON__REASON_USER_IN_SCHEDULE);
    override(night, f->now_ms, f->now_ms + HOUR, carol);
    assert_int_equal(user_delete(night, carol)->reason, TOCSIN__REASON__REASON_USER_IN_SCHEDULE);
    fixture_run(f, HOUR);
    assert_int_equal(user_delete(night, carol)->status, OK);
    watch(night, 5, 0);
    assert_int_equal(schedule_delete(night)->reason, TOCSIN__REASON__REASON_SCHEDULE_IN_POLICY);
}

static void a_deleted_schedule_leaves_nothing(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    override(night, f->now_ms, f->now_ms + HOUR, night->alice);
    assert_int_equal(schedule_delete(night)->status, OK);
    static const enum machine_table tables[] = {TABLE_SCHEDULE, TABLE_SCHEDULE_REVISION, TABLE_SHIFTS, TABLE_OVERRIDE};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        assert_int_equal(fixture_rows(f, tables[i]), 0);
    }
    assert_int_equal(user_delete(night, night->alice)->status, OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hands_over_at_the_very_millisecond, begin, end),
        cmocka_unit_test_setup_teardown(a_level_asks_the_schedule_when_it_begins, begin, end),
        cmocka_unit_test_setup_teardown(a_level_with_nobody_on_call_is_passed_at_once, begin, end),
        cmocka_unit_test_setup_teardown(a_policy_with_nobody_on_call_reaches_the_guardians, begin, end),
        cmocka_unit_test_setup_teardown(what_was_stays_answered_by_its_revision, begin, end),
        cmocka_unit_test_setup_teardown(revisions_are_kept_up_to_a_bound, begin, end),
        cmocka_unit_test_setup_teardown(an_override_takes_over_and_gives_back, begin, end),
        cmocka_unit_test_setup_teardown(overrides_that_make_no_sense_are_refused_one_by_one, begin, end),
        cmocka_unit_test_setup_teardown(overrides_that_are_over_make_room, begin, end),
        cmocka_unit_test_setup_teardown(a_horizon_is_extended_without_touching_what_was, begin, end),
        cmocka_unit_test_setup_teardown(shifts_that_do_not_fit_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(what_is_needed_is_not_deleted, begin, end),
        cmocka_unit_test_setup_teardown(a_deleted_schedule_leaves_nothing, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
