/* A night on call. */
#include "tests/support/night.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consensus/machine/schedules/schedules.h"
#include "consensus/machine/schedules/shift_rows.h"

#define SMS TOCSIN__CHANNEL__CHANNEL_SMS
#define HOUR NIGHT_HOUR
#define OK TOCSIN__STATUS__STATUS_OK

uint64_t night_person(struct machine_fixture *f, const char *name, const char *telephone)
{
    uint64_t id = fixture_user(f, name);
    fixture_method(f, id, SMS, telephone);
    return id;
}

/* ---------------------------------------------------------------- commands */

/* Shifts of an hour each, by turns, from an hour ago on; `second` may be 0, for nobody. The bytes live until the next.
 */
ProtobufCBinaryData night_hourly(uint64_t since_ms, size_t count, uint64_t first, uint64_t second)
{
    static uint8_t bytes[1000 * SHIFT_ROW_SIZE_BYTES];
    assert_true(count < 1000);
    for (size_t i = 0; i <= count; i++) {
        uint64_t user = i == count ? 0 : i % 2 == 0 ? first : second;
        shift_rows_write((struct shift_row){since_ms + i * HOUR, user}, bytes + i * SHIFT_ROW_SIZE_BYTES);
    }
    return (ProtobufCBinaryData){.len = (count + 1) * SHIFT_ROW_SIZE_BYTES, .data = bytes};
}

char *night_text(const char *text)
{
    return (char *)(uintptr_t)text; /* protobuf-c's fields are not const; nothing writes through them */
}

/* Both people in one layer, with these shifts. */
const Tocsin__Reply *night_put(struct night *night, uint64_t id, uint32_t base_revision, ProtobufCBinaryData shifts)
{
    uint64_t users[] = {night->alice, night->bob};
    Tocsin__ScheduleLayer layer = TOCSIN__SCHEDULE_LAYER__INIT, *layers[] = {&layer};
    layer.start_ms = layer.rotation_virtual_start_ms = night->fixture->now_ms - HOUR;
    layer.turn_length_s = 3600;
    layer.n_user_ids = 2;
    layer.user_ids = users;
    Tocsin__Schedule schedule = TOCSIN__SCHEDULE__INIT;
    schedule.name = night_text("Primary");
    schedule.time_zone = night_text("Europe/Paris");
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

const Tocsin__Reply *night_extend(struct night *night, uint32_t revision, ProtobufCBinaryData shifts)
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
const Tocsin__Reply *night_override(struct night *night, uint64_t start_ms, uint64_t end_ms, uint64_t user_id)
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

const Tocsin__Reply *night_override_delete(struct night *night, uint64_t id)
{
    Tocsin__OverrideDelete body = TOCSIN__OVERRIDE_DELETE__INIT;
    body.schedule_id = night->schedule;
    body.id = id;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_OVERRIDE_DELETE;
    command.override_delete = &body;
    return fixture_apply(night->fixture, &command);
}

const Tocsin__Reply *night_schedule_delete(struct night *night)
{
    Tocsin__ScheduleDelete body = TOCSIN__SCHEDULE_DELETE__INIT;
    body.id = night->schedule;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_SCHEDULE_DELETE;
    command.schedule_delete = &body;
    return fixture_apply(night->fixture, &command);
}

const Tocsin__Reply *night_user_delete(struct night *night, uint64_t id)
{
    Tocsin__UserDelete body = TOCSIN__USER_DELETE__INIT;
    body.id = id;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_USER_DELETE;
    command.user_delete = &body;
    return fixture_apply(night->fixture, &command);
}

/* A service whose policy has one level: the schedule; `then` is the second level, 0 for none. */
void night_watch(struct night *night, uint32_t delay_minutes, uint64_t then)
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
    policy.name = night_text("Nights");
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
    fixture_integration(f, service, NIGHT_KEY);
}

uint64_t night_on_call_at(struct night *night, uint64_t at_ms)
{
    return schedule_on_call(&night->fixture->store, night->schedule, at_ms).user_id;
}

void night_expect_told(struct machine_fixture *f, const char *name)
{
    fixture_receipt(f, fixture_expect_send(f, name, SMS), TOCSIN__OUTCOME__OUTCOME_SENT, 0);
    fixture_expect_silence(f);
}

int night_begin(void **state)
{
    static struct night night;
    night.fixture = fixture_new();
    night.fixture->now_ms -= night.fixture->now_ms % 1000;
    night.alice = night_person(night.fixture, "Alice", "15550001");
    night.bob = night_person(night.fixture, "Bob", "15550002");
    const Tocsin__Reply *reply = night_put(&night, 0, 0, night_hourly(night.fixture->now_ms - HOUR, 200, night.alice, night.bob));
    assert_int_equal(reply->status, OK);
    night.schedule = reply->ids[0]; /* Bob from now on, Alice in an hour */
    *state = &night;
    return 0;
}

int night_end(void **state)
{
    struct night *night = *state;
    fixture_free(night->fixture);
    return 0;
}
