/* Levels whose targets take turns, and what is left when nobody can be told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/machine_fixture.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define SMS TOCSIN__CHANNEL__CHANNEL_SMS
#define HIGH TOCSIN__URGENCY__URGENCY_HIGH
#define LOW TOCSIN__URGENCY__URGENCY_LOW
#define MINUTE FIXTURE_MINUTE_MS
#define PASSED TOCSIN__WHY__WHY_TURN_PASSED

/* One policy of one level by turns, and a second level. */
struct story {
    struct machine_fixture *f;
    uint64_t people[4]; /* the last one is the second level */
    uint64_t policy, policy_service;
    Tocsin__EscalationPolicy record;
    Tocsin__EscalationLevel levels[2], *list[2];
    uint64_t schedule_ids[2];
    uint32_t schedule_places[2];
};

static uint64_t person(struct machine_fixture *f, const char *name, const char *number)
{
    uint64_t user_id = fixture_user(f, name);
    if (number != NULL) {
        fixture_method(f, user_id, SMS, number);
    }
    return user_id;
}

static void put_policy(struct story *story)
{
    Tocsin__EscalationPolicyPut put = TOCSIN__ESCALATION_POLICY_PUT__INIT;
    put.id = story->policy;
    put.fields = UINT64_MAX;
    put.escalation_policy = &story->record;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_ESCALATION_POLICY_PUT;
    command.escalation_policy_put = &put;
    const Tocsin__Reply *reply = fixture_apply(story->f, &command);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    story->policy = reply->ids[0];
}

static int begin(void **state)
{
    static struct story story;
    static char name[] = "Turns";
    story = (struct story){.f = fixture_new()};
    story.people[0] = person(story.f, "Alice", "15550001");
    story.people[1] = person(story.f, "Bob", "15550002");
    story.people[2] = person(story.f, "Carol", "15550003");
    story.people[3] = person(story.f, "Dave", "15550004");
    tocsin__escalation_policy__init(&story.record);
    for (size_t i = 0; i < 2; i++) {
        tocsin__escalation_level__init(&story.levels[i]);
        story.levels[i].delay_minutes = 5;
        story.list[i] = &story.levels[i];
    }
    story.levels[0].round_robin = true;
    story.levels[0].user_ids = story.people;
    story.levels[0].n_user_ids = 3;
    story.levels[1].user_ids = &story.people[3];
    story.levels[1].n_user_ids = 1;
    story.record.name = name;
    story.record.levels = story.list;
    story.record.n_levels = 2;
    put_policy(&story);
    *state = &story;
    return 0;
}

static int end(void **state)
{
    fixture_free(((struct story *)*state)->f);
    return 0;
}

static void service(struct story *story, Tocsin__Urgency urgency)
{
    story->policy_service = fixture_service(story->f, story->policy, urgency, 0, 0);
    fixture_integration(story->f, story->policy_service, KEY);
}

static void expect_told(struct story *story, const char *name)
{
    fixture_receipt(story->f, fixture_expect_send(story->f, name, SMS), TOCSIN__OUTCOME__OUTCOME_SENT, 0);
    fixture_expect_silence(story->f);
}

static uint64_t incident(struct story *story, const char *dedup_key, const char *name)
{
    uint64_t id = fixture_trigger(story->f, KEY, dedup_key);
    expect_told(story, name);
    return id;
}

static void each_incident_goes_to_the_next_in_turn(void **state)
{
    struct story *story = *state;
    service(story, HIGH);
    uint64_t first = incident(story, "1", "Alice");
    incident(story, "2", "Bob");
    incident(story, "3", "Carol");
    incident(story, "4", "Alice");
    assert_int_equal(fixture_incident(story->f, first)->n_assignments, 1);
    /* The first one moves on by time, and takes nobody's turn. */
    fixture_set_status(story->f, first, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED);
    incident(story, "5", "Bob");
    fixture_run(story->f, 5 * MINUTE);
    assert_int_equal(fixture_deliver_all(story->f), 4);
    incident(story, "6", "Carol");
}

static void the_policy_that_begins_again_takes_the_next_turn(void **state)
{
    struct story *story = *state;
    story->record.num_loops = 1;
    put_policy(story);
    service(story, HIGH);
    incident(story, "1", "Alice");
    fixture_run(story->f, 5 * MINUTE);
    expect_told(story, "Dave");
    fixture_run(story->f, 5 * MINUTE);
    expect_told(story, "Bob");
}

static void who_cannot_be_told_loses_the_turn_with_a_reason(void **state)
{
    struct story *story = *state;
    uint64_t mute = person(story->f, "Mute", NULL);
    story->people[1] = mute;
    put_policy(story);
    service(story, HIGH);
    incident(story, "1", "Alice");
    uint64_t id = incident(story, "2", "Carol");
    assert_int_equal(fixture_log_count(story->f, id, TOCSIN__LOG_TYPE__LOG_NOTIFY, PASSED), 1);
    incident(story, "3", "Alice");
}

static void a_level_of_turns_where_nobody_can_be_told_is_left_at_once(void **state)
{
    struct story *story = *state;
    uint64_t mute = person(story->f, "Mute", NULL), deaf = person(story->f, "Deaf", NULL);
    story->people[0] = mute;
    story->people[1] = deaf;
    story->levels[0].n_user_ids = 2;
    put_policy(story);
    service(story, HIGH);
    uint64_t id = incident(story, "1", "Dave");
    assert_int_equal(fixture_log_count(story->f, id, TOCSIN__LOG_TYPE__LOG_NOTIFY, PASSED), 2);
    assert_int_equal(fixture_log_count(story->f, id, TOCSIN__LOG_TYPE__LOG_ESCALATE,
                                       TOCSIN__WHY__WHY_NOBODY_ON_LEVEL), 1);
}

static void put_shift(uint8_t *bytes, size_t row, uint64_t from_ms, uint64_t user_id)
{
    for (size_t i = 0; i < 8; i++) {
        bytes[row * 16 + i] = (uint8_t)(from_ms >> (56 - 8 * i));
        bytes[row * 16 + 8 + i] = (uint8_t)(user_id >> (56 - 8 * i));
    }
}

/* Somebody for ten minutes from now, and nobody after that. */
static uint64_t schedule(struct story *story, uint64_t user_id)
{
    uint8_t rows[3 * 16];
    uint64_t now_ms = story->f->now_ms, day_ms = 24 * 60 * MINUTE;
    char zone[] = "UTC", name[] = "Primary";
    Tocsin__ScheduleLayer layer = TOCSIN__SCHEDULE_LAYER__INIT, *layers[] = {&layer};
    Tocsin__Schedule record = TOCSIN__SCHEDULE__INIT;
    put_shift(rows, 0, now_ms, user_id);
    put_shift(rows, 1, now_ms + 10 * MINUTE, 0);
    put_shift(rows, 2, now_ms + 30 * day_ms, 0);
    layer.start_ms = layer.rotation_virtual_start_ms = now_ms;
    layer.turn_length_s = 86400;
    layer.user_ids = &user_id;
    layer.n_user_ids = 1;
    record.name = name;
    record.time_zone = zone;
    record.layers = layers;
    record.n_layers = 1;
    Tocsin__SchedulePut put = TOCSIN__SCHEDULE_PUT__INIT;
    put.schedule = &record;
    put.shifts.data = rows;
    put.shifts.len = sizeof rows;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_SCHEDULE_PUT;
    command.schedule_put = &put;
    const Tocsin__Reply *reply = fixture_apply(story->f, &command);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    return reply->ids[0];
}

static void schedules_take_turns_among_people_in_the_order_given(void **state)
{
    struct story *story = *state;
    story->schedule_ids[0] = schedule(story, story->people[2]);
    story->schedule_places[0] = 1; /* Alice, the schedule (Carol), Bob */
    story->levels[0].n_user_ids = 2;
    story->levels[0].schedule_ids = story->schedule_ids;
    story->levels[0].schedule_places = story->schedule_places;
    story->levels[0].n_schedule_ids = story->levels[0].n_schedule_places = 1;
    put_policy(story);
    service(story, HIGH);
    incident(story, "1", "Alice");
    incident(story, "2", "Carol");
    incident(story, "3", "Bob");
    fixture_run(story->f, 11 * MINUTE);
    fixture_deliver_all(story->f);
    incident(story, "4", "Alice");
    uint64_t id = incident(story, "5", "Bob"); /* nobody is on call any more */
    assert_int_equal(fixture_log_count(story->f, id, TOCSIN__LOG_TYPE__LOG_NOTIFY, PASSED), 1);
}

static void a_schedule_that_has_nobody_any_more_leads_to_the_guardians(void **state)
{
    struct story *story = *state;
    story->schedule_ids[0] = schedule(story, story->people[2]);
    story->levels[0].round_robin = false;
    story->levels[0].delay_minutes = 15;
    story->levels[0].n_user_ids = 0;
    story->levels[0].schedule_ids = story->schedule_ids;
    story->levels[0].n_schedule_ids = 1;
    story->record.n_levels = 1;
    story->record.num_loops = 3;
    put_policy(story);
    service(story, HIGH);
    fixture_guardian(story->f, "Grace", SMS, "15550009");
    uint64_t id = incident(story, "1", "Carol");
    fixture_run(story->f, 15 * MINUTE);
    expect_told(story, "Grace");
    assert_int_equal(fixture_log_count(story->f, id, TOCSIN__LOG_TYPE__LOG_EXHAUST_ESCALATION_PATH,
                                       TOCSIN__WHY__WHY_NOBODY_ON_LEVEL), 1);
    for (unsigned i = 0; i < 3; i++) {
        fixture_run(story->f, 15 * MINUTE - 1);
        fixture_expect_silence(story->f);
        fixture_run(story->f, 1);
        expect_told(story, "Grace");
    }
    fixture_set_status(story->f, id, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED);
    fixture_run(story->f, 60 * MINUTE);
    fixture_expect_silence(story->f);
}

static void a_changed_policy_goes_on_behind_whoever_had_the_last_turn(void **state)
{
    struct story *story = *state;
    service(story, HIGH);
    incident(story, "1", "Alice");
    incident(story, "2", "Bob");
    uint64_t alice = story->people[0];
    story->people[0] = story->people[1]; /* Bob, Alice, Carol */
    story->people[1] = alice;
    put_policy(story);
    incident(story, "3", "Alice");
    assert_int_equal(fixture_rows(story->f, TABLE_TURN), 1);
}

static void the_turns_of_a_policy_go_with_it(void **state)
{
    struct story *story = *state;
    service(story, HIGH);
    uint64_t id = incident(story, "1", "Alice");
    fixture_set_status(story->f, id, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED);
    Tocsin__ServiceDelete gone = TOCSIN__SERVICE_DELETE__INIT;
    gone.id = story->policy_service;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_SERVICE_DELETE;
    command.service_delete = &gone;
    assert_int_equal(fixture_apply(story->f, &command)->status, TOCSIN__STATUS__STATUS_OK);
    Tocsin__EscalationPolicyDelete delete = TOCSIN__ESCALATION_POLICY_DELETE__INIT;
    delete.id = story->policy;
    command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_ESCALATION_POLICY_DELETE;
    command.escalation_policy_delete = &delete;
    assert_int_equal(fixture_apply(story->f, &command)->status, TOCSIN__STATUS__STATUS_OK);
    assert_int_equal(fixture_rows(story->f, TABLE_TURN), 0);
}

static void low_urgency_escalates_where_the_policy_says_so_and_ends_without_the_guardians(void **state)
{
    struct story *story = *state;
    story->record.escalate_low_urgency = true;
    put_policy(story);
    service(story, LOW);
    fixture_guardian(story->f, "Grace", SMS, "15550009");
    uint64_t id = incident(story, "1", "Alice");
    fixture_run(story->f, 5 * MINUTE);
    expect_told(story, "Dave");
    fixture_run(story->f, 12 * 60 * MINUTE);
    fixture_expect_silence(story->f);
    assert_true(fixture_incident(story->f, id)->exhausted);
    assert_int_equal(fixture_log_count(story->f, id, TOCSIN__LOG_TYPE__LOG_EXHAUST_ESCALATION_PATH,
                                       TOCSIN__WHY__WHY_LOW_URGENCY), 1);
    /* Turned into high urgency it starts over, and ends with them. */
    Tocsin__IncidentChange change = fixture_change_of(id);
    change.urgency = HIGH;
    fixture_change(story->f, change);
    expect_told(story, "Bob");
    fixture_run(story->f, 5 * MINUTE);
    expect_told(story, "Dave");
    fixture_run(story->f, 5 * MINUTE);
    expect_told(story, "Grace");
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest stories[] = {
        STORY(each_incident_goes_to_the_next_in_turn),
        STORY(the_policy_that_begins_again_takes_the_next_turn),
        STORY(who_cannot_be_told_loses_the_turn_with_a_reason),
        STORY(a_level_of_turns_where_nobody_can_be_told_is_left_at_once),
        STORY(schedules_take_turns_among_people_in_the_order_given),
        STORY(a_schedule_that_has_nobody_any_more_leads_to_the_guardians),
        STORY(a_changed_policy_goes_on_behind_whoever_had_the_last_turn),
        STORY(the_turns_of_a_policy_go_with_it),
        STORY(low_urgency_escalates_where_the_policy_says_so_and_ends_without_the_guardians),
    };
    return cmocka_run_group_tests_name("turns", stories, NULL, NULL);
}
