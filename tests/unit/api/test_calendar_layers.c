/* Calendars from outside as layers of a schedule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "node/engine/schedule_horizon.h"
#include "tests/support/api_story.h"

/* The clock of the fixture shows 2026-09-21T14:13:20Z, a Monday. */
struct company {
    struct api_fixture *api;
    const char *alice, *bob, *schedule;
};

static int setup(void **state)
{
    static struct company company;

    company.api = api_fixture_new();
    company.alice = story_user(company.api, "Alice", "alice@example.org");
    company.bob = story_user(company.api, "Bob", "bob@example.org");
    company.schedule = story_create(
        company.api, "/schedules", "schedule",
        story_text("{\"schedule\":{\"name\":\"Primary\",\"time_zone\":\"Europe/Paris\",\"schedule_layers\":[{\"start\":"
                   "\"2026-09-21T09:00:00+02:00\",\"rotation_virtual_start\":\"2026-09-21T09:00:00+02:00\","
                   "\"rotation_turn_length_seconds\":604800,\"users\":[{\"user\":{\"id\":\"%s\"}}]}]}}",
                   company.alice));
    *state = &company;
    return 0;
}

static int teardown(void **state)
{
    struct company *company = *state;

    api_fixture_free(company->api);
    return 0;
}

#define EVENT(fields) "BEGIN:VEVENT\r\n" fields "END:VEVENT\r\n"
#define CALENDAR(events) "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n" events "END:VCALENDAR\r\n"

static const struct api_answer *import(struct company *company, const char *text)
{
    return api_post(company->api, story_text("/schedules/%s/calendar_layers?name=Roster", company->schedule), text);
}

static void expect_on_call(struct company *company, const char *at, const char *name)
{
    const struct api_answer *then =
        api_get(company->api, story_text("/schedules/%s/on_call?at=%s", company->schedule, at));
    assert_string_equal(api_answer_text(then, "on_call", "user", "summary", NULL), name);
}

static void events_lie_over_the_rotation_at_the_hours_of_the_wall(void **state)
{
    struct company *company = *state;
    /* Bob has Mondays and Wednesdays, nine to five in Paris, but not the 30th of September. */
    const struct api_answer *made = import(
        company, CALENDAR(EVENT("DTSTART:20260928T090000\r\nDTEND:20260928T170000\r\nRRULE:FREQ=WEEKLY;BYDAY=MO,WE\r\n"
                                "EXDATE:20260930T090000\r\nATTENDEE;CN=Bob:mailto:BOB@example.org\r\nSUMMARY:x\r\n")));
    assert_int_equal(made->status, 201);
    assert_string_equal(api_answer_text(made, "schedule", "schedule_layers", "0", "name", NULL), "Roster");
    expect_on_call(company, "2026-09-28T06:59:59Z", "Alice");
    expect_on_call(company, "2026-09-28T07:00:00Z", "Bob");
    expect_on_call(company, "2026-09-28T15:00:00Z", "Alice");
    expect_on_call(company, "2026-09-30T08:00:00Z", "Alice");
    expect_on_call(company, "2026-10-26T07:30:00Z", "Alice"); /* winter: nine is eight by UTC */
    expect_on_call(company, "2026-10-26T08:00:00Z", "Bob");

    /* Terraform sends layers back as it read them: the calendar stays. */
    char *layers = json_dumps(api_answer_at(made, "schedule", "schedule_layers", NULL), JSON_COMPACT);
    company->api->now_ms += 1000;
    const struct api_answer *put = api_put(company->api, story_text("/schedules/%s", company->schedule),
                                           story_text("{\"schedule\":{\"schedule_layers\":%s}}", layers));
    free(layers);
    assert_int_equal(put->status, 200);
    assert_true(json_integer_value(api_answer_at(put, "schedule", "schedule_layers", "0", "calendar_shifts", NULL)) +
                    json_integer_value(
                        api_answer_at(put, "schedule", "schedule_layers", "1", "calendar_shifts", NULL)) >
                50);
}

static void the_daily_rendering_keeps_a_calendar(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    uint64_t schedule_id = 0;
    Tocsin__ScheduleExtend extend;

    assert_int_equal(import(company, CALENDAR(EVENT("DTSTART;TZID=America/New_York:20261031T220000\r\n"
                                                    "DURATION:PT8H\r\nSUMMARY:bob\r\n")))
                         ->status,
                     201);
    api->now_ms += 25ull * 3600 * 1000;
    assert_true(schedule_horizon_next(&api->view, api->now_ms, &schedule_id, &extend));
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_SCHEDULE_EXTEND;
    command.schedule_extend = &extend;
    Tocsin__Reply *reply = api_fixture_apply(api, &command);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    tocsin__reply__free_unpacked(reply, NULL);
    schedule_horizon_free(&extend);
    expect_on_call(company, "2026-11-01T02:00:00Z", "Bob");
    expect_on_call(company, "2026-11-01T09:59:59Z", "Bob"); /* eight hours, an hour of which came twice there */
    expect_on_call(company, "2026-11-01T10:00:00Z", "Alice");
}

/* The first Monday of each month, for good: what lies behind the first year comes with the days. */
static void a_calendar_does_not_end_with_the_year_that_was_known_when_it_came(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;

    assert_int_equal(import(company, CALENDAR(EVENT("DTSTART:20261005T090000\r\nDTEND:20261005T170000\r\n"
                                                    "RRULE:FREQ=MONTHLY;BYDAY=1MO\r\nSUMMARY:bob\r\n")))
                         ->status,
                     201);
    expect_on_call(company, "2027-09-06T08:00:00Z", "Bob");
    for (unsigned i = 0; i < 3; i++) {
        uint64_t schedule_id = 0;
        Tocsin__ScheduleExtend extend;
        api->now_ms += 200ull * 24 * 3600 * 1000;
        assert_true(schedule_horizon_next(&api->view, api->now_ms, &schedule_id, &extend));
        Tocsin__Command command = TOCSIN__COMMAND__INIT;
        command.body_case = TOCSIN__COMMAND__BODY_SCHEDULE_EXTEND;
        command.schedule_extend = &extend;
        Tocsin__Reply *reply = api_fixture_apply(api, &command);
        assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
        tocsin__reply__free_unpacked(reply, NULL);
        schedule_horizon_free(&extend);
    }
    expect_on_call(company, "2028-06-05T06:59:59Z", "Alice");
    expect_on_call(company, "2028-06-05T07:00:00Z", "Bob");
    expect_on_call(company, "2029-05-07T14:59:59Z", "Bob");
    /* What a client reads is laid out by now, too; and an edit of something else keeps it. */
    assert_int_equal(api_put(api, story_text("/schedules/%s", company->schedule), "{\"schedule\":{\"name\":\"First\"}}")->status, 200);
    expect_on_call(company, "2029-05-07T14:59:59Z", "Bob");
}

static void a_calendar_is_replaced_by_its_next_edition(void **state)
{
    struct company *company = *state;
    const struct api_answer *made =
        import(company, CALENDAR(EVENT("DTSTART;VALUE=DATE:20261001\r\nSUMMARY:Bob\r\n")));
    const char *layer = api_answer_text(made, "schedule", "schedule_layers", "0", "id", NULL);

    expect_on_call(company, "2026-09-30T22:00:00Z", "Bob"); /* the whole day in Paris */
    company->api->now_ms += 1000;
    const struct api_answer *replaced =
        api_put(company->api, story_text("/schedules/%s/calendar_layers/%s", company->schedule, layer),
                CALENDAR(EVENT("DTSTART;VALUE=DATE:20261002\r\nSUMMARY:bob@example.org\r\n")));
    assert_int_equal(replaced->status, 200);
    assert_string_equal(api_answer_text(replaced, "schedule", "schedule_layers", "0", "id", NULL), layer);
    expect_on_call(company, "2026-09-30T22:00:00Z", "Alice");
    expect_on_call(company, "2026-10-01T22:00:00Z", "Bob");
}

static void what_cannot_be_laid_out_is_refused_in_one_sentence(void **state)
{
    struct company *company = *state;
    static const struct {
        const char *text, *sentence;
    } REFUSED[] = {
        {"", "not one calendar"},
        {"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", "no event"},
        {CALENDAR(EVENT("DTSTART:20261001T090000\r\nDTEND:20261001T080000\r\nSUMMARY:Bob\r\n")), "end after its start"},
        {CALENDAR(EVENT("DTSTART:20261001T090000\r\nDTEND:20261001T100000\r\nRRULE:FREQ=HOURLY\r\nSUMMARY:Bob\r\n")),
         "monthly or yearly"},
        {CALENDAR(EVENT("DTSTART:20261001T090000\r\nDTEND:20261001T100000\r\nRRULE:FREQ=WEEKLY;BYDAY=1MO\r\nSUMMARY:Bob\r\n")),
         "monthly or yearly"},
        {CALENDAR(EVENT("DTSTART:20261001T090000\r\nDTEND:20261001T100000\r\nRRULE:FREQ=YEARLY;BYWEEKNO=3\r\nSUMMARY:Bob\r\n")),
         "only INTERVAL"},
        {CALENDAR(EVENT("DTSTART:20261001T090000\r\nDTEND:20261001T100000\r\nRRULE:FREQ=YEARLY;BYDAY=MO;BYSETPOS=2\r\nSUMMARY:"
                        "Bob\r\n")),
         "of one month only"},
        {CALENDAR(EVENT("DTSTART:20261001T090000\r\nDTEND:20261003T090000\r\nRRULE:FREQ=DAILY\r\nSUMMARY:Bob\r\n")),
         "overlap"},
        {CALENDAR(EVENT("DTSTART:20261001T090000\r\nDTEND:20261001T100000\r\nRDATE:20261002T090000\r\nSUMMARY:Bob\r\n")),
         "not supported"},
        {CALENDAR(EVENT("DTSTART;TZID=Mars/Base:20261001T090000\r\nDURATION:PT1H\r\nSUMMARY:Bob\r\n")), "Mars/Base"},
        {CALENDAR(EVENT("DTSTART:20261001T090000\r\nDURATION:PT1H\r\nSUMMARY:Mallory\r\n")), "nobody who is known"},
    };
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        story_refused(import(company, REFUSED[i].text), 400, 2001, REFUSED[i].sentence);
    }
    assert_int_equal(
        story_number(api_get(company->api, story_text("/schedules/%s", company->schedule)), "schedule", "revision"), 1);
}

static void of_two_people_of_one_name_neither_gets_the_shifts_unasked(void **state)
{
    struct company *company = *state;

    (void)story_user(company->api, "Bob", "robert@example.org");
    story_refused(import(company, CALENDAR(EVENT("DTSTART:20261001T090000Z\r\nDURATION:PT1H\r\nSUMMARY:bob\r\n"))), 400, 2001,
                  "More than one person is called 'bob'");
    assert_int_equal(import(company, CALENDAR(EVENT("DTSTART:20261001T090000Z\r\nDURATION:PT1H\r\nSUMMARY:robert@example.org\r\n")
                                              EVENT("DTSTART:20261002T090000Z\r\nDURATION:PT1H\r\nATTENDEE:mailto:bob@example.org\r\n"
                                                    "SUMMARY:Bob\r\n")))
                         ->status,
                     201);
    const struct api_answer *then =
        api_get(company->api, story_text("/schedules/%s/on_call?at=2026-10-02T09:00:00Z", company->schedule));
    assert_string_equal(api_answer_text(then, "on_call", "user", "id", NULL), company->bob);
}

/* Attendees whom nobody knows, each another one, and a name that somebody has. */
static void a_name_is_found_however_many_addresses_are_not(void **state)
{
    struct company *company = *state;
    static char text[400 * 160];
    char *end = stpcpy(text, "BEGIN:VCALENDAR\r\n");

    for (unsigned i = 0; i < 300; i++) {
        end += snprintf(end, 160, EVENT("DTSTART:20261001T%02u%02u00Z\r\nDURATION:PT1M\r\nATTENDEE:mailto:stranger%u@example.org\r\nSUMMARY:BOB\r\n"),
                        i / 60, i % 60, i);
    }
    (void)stpcpy(end, "END:VCALENDAR\r\n");
    assert_int_equal(import(company, text)->status, 201);
    expect_on_call(company, "2026-10-01T04:59:59Z", "Bob");
}

static void a_calendar_of_more_people_than_a_layer_may_have_is_refused(void **state)
{
    struct company *company = *state;
    static char text[(LIMIT_USERS_PER_LAYER + 2) * 128];
    char *end = stpcpy(text, "BEGIN:VCALENDAR\r\n");

    for (unsigned i = 0; i <= LIMIT_USERS_PER_LAYER; i++) {
        (void)story_user(company->api, story_text("Nurse %u", i), story_text("nurse%u@example.org", i));
        end += snprintf(end, 128, EVENT("DTSTART:20261001T%02u%02u00Z\r\nDURATION:PT1M\r\nSUMMARY:Nurse %u\r\n"), i / 60, i % 60, i);
    }
    (void)stpcpy(end, "END:VCALENDAR\r\n");
    story_refused(import(company, text), 400, 2001, "more people than a layer may have (maximum is 200)");
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(events_lie_over_the_rotation_at_the_hours_of_the_wall),
        STORY(the_daily_rendering_keeps_a_calendar),
        STORY(a_calendar_does_not_end_with_the_year_that_was_known_when_it_came),
        STORY(a_calendar_is_replaced_by_its_next_edition),
        STORY(what_cannot_be_laid_out_is_refused_in_one_sentence),
        STORY(of_two_people_of_one_name_neither_gets_the_shifts_unasked),
        STORY(a_name_is_found_however_many_addresses_are_not),
        STORY(a_calendar_of_more_people_than_a_layer_may_have_is_refused),
    };
    return cmocka_run_group_tests_name("calendar layers", tests, NULL, NULL);
}
