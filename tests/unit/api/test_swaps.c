/* Swaps, hand-off rules and calendar feeds over the API. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/api_story.h"

/* The clock of the fixture shows 2026-09-21T14:13:20Z, a Monday: Alice has this week, Bob the next. */
struct company {
    struct api_fixture *api;
    const char *alice, *bob, *schedule;
};

static int setup(void **state)
{
    static struct company company;

    company.api = api_fixture_new();
    company.alice = story_user(company.api, "Alice; the first", "alice@example.org");
    company.bob = story_user(company.api, "Bob", "bob@example.org");
    company.schedule = story_create(
        company.api, "/schedules", "schedule",
        story_text("{\"schedule\":{\"name\":\"Primary\",\"time_zone\":\"Europe/Paris\",\"schedule_layers\":[{\"start\":"
                   "\"2026-09-21T09:00:00+02:00\",\"rotation_virtual_start\":\"2026-09-21T09:00:00+02:00\","
                   "\"rotation_turn_length_seconds\":604800,\"users\":[{\"user\":{\"id\":\"%s\"}},{\"user\":{\"id\":"
                   "\"%s\"}}]}]}}",
                   company.alice, company.bob));
    *state = &company;
    return 0;
}

static int teardown(void **state)
{
    struct company *company = *state;

    api_fixture_free(company->api);
    return 0;
}

static const char *offer(struct company *company, const char *more)
{
    return story_create(company->api, story_text("/schedules/%s/swaps", company->schedule), "swap",
                        story_text("{\"swap\":{\"user\":{\"id\":\"%s\"},\"start\":\"2026-09-22T00:00:00Z\",\"end\":"
                                   "\"2026-09-23T00:00:00Z\"%s}}",
                                   company->alice, more));
}

static void shifts_are_offered_taken_and_undone(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *id = offer(company, ",\"note\":\"Dentist\"");
    const char *swaps = story_text("/schedules/%s/swaps", company->schedule);
    const char *swap = story_text("%s/%s", swaps, id);

    const struct api_answer *list = api_get(api, swaps);
    assert_string_equal(api_answer_text(list, "swaps", "0", "status", NULL), "offered");
    assert_string_equal(api_answer_text(list, "swaps", "0", "note", NULL), "Dentist");
    const struct api_answer *taken =
        api_post(api, story_text("%s/take", swap), story_text("{\"user\":{\"id\":\"%s\"}}", company->bob));
    assert_int_equal(taken->status, 200);
    assert_string_equal(api_answer_text(taken, "swap", "status", NULL), "taken");
    assert_string_equal(api_answer_text(taken, "swap", "taken_by", "summary", NULL), "Bob");
    assert_int_equal(json_array_size(api_answer_at(taken, "swap", "overrides", NULL)), 1);
    const struct api_answer *then =
        api_get(api, story_text("/schedules/%s/on_call?at=2026-09-22T12:00:00Z", company->schedule));
    assert_string_equal(api_answer_text(then, "on_call", "user", "summary", NULL), "Bob");
    assert_int_equal(
        api_post(api, story_text("%s/take", swap), story_text("{\"user\":{\"id\":\"%s\"}}", company->bob))->status, 400);
    const struct api_answer *undone = api_delete(api, swap);
    assert_int_equal(undone->status, 200);
    assert_string_equal(api_answer_text(undone, "swap", "status", NULL), "undone");
    then = api_get(api, story_text("/schedules/%s/on_call?at=2026-09-22T12:00:00Z", company->schedule));
    assert_string_equal(api_answer_text(then, "on_call", "user", "summary", NULL), "Alice; the first");
    assert_int_equal(json_array_size(api_answer_at(api_get(api, swaps), "swaps", NULL)), 0);
    assert_int_equal(
        json_array_size(api_answer_at(api_get(api, story_text("%s?status[]=undone", swaps)), "swaps", NULL)), 1);
}

static void a_token_of_nobody_that_may_only_respond_undoes_no_swap(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *swap = story_text("/schedules/%s/swaps/%s", company->schedule, offer(company, ""));
    assert_int_equal(
        api_post(api, story_text("%s/take", swap), story_text("{\"user\":{\"id\":\"%s\"}}", company->bob))->status, 200);
    const char *responds = api_answer_text(api_post(api, "/tokens", "{\"token\":{\"name\":\"bot\",\"role\":\"limited_user\"}}"),
                                           "token", "secret", NULL);
    const char *configures = api_answer_text(api_post(api, "/tokens", "{\"token\":{\"name\":\"ci\",\"role\":\"user\"}}"),
                                             "token", "secret", NULL);

    api->token = responds;
    story_refused(api_delete(api, swap), 403, 2010, "role");
    const struct api_answer *then =
        api_get(api, story_text("/schedules/%s/on_call?at=2026-09-22T12:00:00Z", company->schedule));
    assert_string_equal(api_answer_text(then, "on_call", "user", "summary", NULL), "Bob");
    api->token = configures;
    assert_int_equal(api_delete(api, swap)->status, 200);
    story_as_admin(api);
}

static void whoever_is_asked_takes_without_a_word(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *carol = story_become(api, "Carol", TOCSIN__ROLE__ROLE_LIMITED_USER);

    story_as_admin(api);
    const char *swap = story_text("/schedules/%s/swaps/%s", company->schedule,
                                  offer(company, story_text(",\"asked\":{\"id\":\"%s\"}", carol)));
    api->token = "tokenofCarol";
    const struct api_answer *taken = api_post(api, story_text("%s/take", swap), "");
    assert_int_equal(taken->status, 200);
    assert_string_equal(api_answer_text(taken, "swap", "taken_by", "id", NULL), carol);
    assert_int_equal(api_delete(api, swap)->status, 200); /* it is hers to undo */
    story_as_admin(api);
    story_refused(api_post(api, story_text("%s/take", swap), ""), 400, 2001, "'user' can't be blank");
}

static void bad_offers_are_named(void **state)
{
    struct company *company = *state;
    const char *swaps = story_text("/schedules/%s/swaps", company->schedule);

    story_refused(api_post(company->api, swaps, "{\"swap\":{\"start\":\"2026-09-22T00:00:00Z\"}}"), 400, 2001,
                  "'user' can't be blank");
    story_refused(api_post(company->api, swaps,
                           story_text("{\"swap\":{\"user\":{\"id\":\"%s\"},\"start\":\"soon\"}}", company->alice)),
                  400, 2001, "'start' must be a time in ISO 8601 format");
    const struct api_answer *refused = api_post(
        company->api, swaps,
        story_text("{\"swap\":{\"user\":{\"id\":\"%s\"},\"start\":\"2026-09-22T00:00:00Z\",\"end\":"
                   "\"2026-09-23T00:00:00Z\"}}",
                   company->bob));
    assert_int_equal(refused->status, 400); /* the week is Alice's */
}

static void hand_off_rules_are_kept_in_the_form_of_pagerduty(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *method =
        story_contact_method(api, company->alice, "email_contact_method", "alice@example.org");
    const char *rules = story_text("/users/%s/oncall_handoff_notification_rules", company->alice);
    const char *id = story_create(
        api, rules, "oncall_handoff_notification_rule",
        story_text("{\"oncall_handoff_notification_rule\":{\"handoff_type\":\"oncall\",\"notify_advance_in_minutes\":"
                   "180,\"contact_method\":{\"id\":\"%s\",\"type\":\"email_contact_method_reference\"}}}",
                   method));
    const struct api_answer *read = api_get(api, rules);
    assert_string_equal(api_answer_text(read, "oncall_handoff_notification_rules", "0", "handoff_type", NULL),
                        "oncall");
    assert_string_equal(
        api_answer_text(read, "oncall_handoff_notification_rules", "0", "contact_method", "id", NULL), method);
    assert_string_equal(api_answer_text(read, "oncall_handoff_notification_rules", "0", "contact_method", "type", NULL),
                        "email_contact_method"); /* Terraform compares it with what it wrote */
    const char *one = story_text("%s/%s", rules, id);
    read = api_put(api, one, "{\"oncall_handoff_notification_rule\":{\"handoff_type\":\"both\"}}");
    assert_int_equal(read->status, 200);
    assert_int_equal(story_number(read, "oncall_handoff_notification_rule", "notify_advance_in_minutes"), 180);
    story_refused(api_put(api, one, "{\"oncall_handoff_notification_rule\":{\"handoff_type\":\"never\"}}"), 400, 2001,
                  "must be one of");
    assert_int_equal(api_delete(api, one)->status, 204);
    assert_int_equal(api_get(api, one)->status, 404);
    assert_int_equal(
        json_array_size(api_answer_at(api_get(api, story_text("/users/%s/shift_notifications", company->alice)),
                                      "shift_notifications", NULL)),
        0);
}

/* ---------------------------------------------------------------- calendar feeds */

/* The path of the feed's URL. */
static const char *feed_of(struct company *company, const char *owner)
{
    const struct api_answer *made = api_post(company->api, story_text("%s/calendar_feed", owner), "");
    assert_int_equal(made->status, 201);
    const char *url = api_answer_text(made, "calendar_feed", "url", NULL);
    const char *path = strstr(url, "/calendars/");
    assert_non_null(path);
    assert_true(strlen(path) >= strlen("/calendars/") + 32);
    return story_text("%s", path);
}

static const char *fetch(struct company *company, const char *path)
{
    company->api->token = NULL; /* a calendar program has none */
    const struct api_answer *answer = api_get(company->api, path);
    company->api->token = API_FIXTURE_TOKEN;
    return answer->status == 200 ? answer->text : NULL;
}

static void a_schedule_is_read_as_a_calendar_until_its_secret_changes(void **state)
{
    struct company *company = *state;
    const char *owner = story_text("/schedules/%s", company->schedule), *path = feed_of(company, owner);
    const char *text = fetch(company, path);

    assert_non_null(text);
    assert_non_null(strstr(text, "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n"));
    assert_non_null(strstr(text, "METHOD:PUBLISH\r\n"));
    assert_non_null(strstr(text, "DTSTART:20260928T070000Z\r\nDTEND:20261005T070000Z\r\nSUMMARY:Bob on call: Primary\r\n"));
    assert_non_null(strstr(text, "SUMMARY:Alice\\; the first on call: Primary\r\n"));
    for (const char *line = text, *end; (end = strstr(line, "\r\n")) != NULL; line = end + 2) {
        assert_true(end - line <= 75);
    }
    /* Fetched again, it is the same: the events keep their ids. */
    char *before = strdup(text);
    company->api->now_ms += 1000;
    assert_string_equal(fetch(company, path), before);
    free(before);

    const char *second = feed_of(company, owner);
    assert_null(fetch(company, path));
    assert_non_null(fetch(company, second));
    assert_null(api_answer_at(api_get(company->api, story_text("%s/calendar_feed", owner)), "calendar_feed", "url",
                              NULL)); /* shown once */
    assert_int_equal(api_delete(company->api, story_text("%s/calendar_feed", owner))->status, 204);
    assert_null(fetch(company, second));
    assert_null(fetch(company, "/calendars/0000000000000000000000000000000000000000.ics"));
    assert_null(fetch(company, "/calendars/x"));
}

static void a_person_reads_his_own_shifts_alone(void **state)
{
    struct company *company = *state;
    const char *text = fetch(company, feed_of(company, story_text("/users/%s", company->bob)));

    assert_non_null(text);
    assert_non_null(strstr(text, "SUMMARY:Bob on call: Primary"));
    assert_null(strstr(text, "Alice"));
}

static void given_a_feed_is_made_by_a_repeated_request_then_no_url_is_made_up(void **state)
{
    struct company *company = *state;
    const char *owners[] = {story_text("/schedules/%s/calendar_feed", company->schedule), story_text("/users/%s/calendar_feed", company->bob)};

    for (size_t i = 0; i < 2; i++) {
        struct api_question question = {.method = "POST",
                                        .target = owners[i],
                                        .headers = {{"X-Api-Key", API_FIXTURE_TOKEN}, {"Idempotency-Key", i == 0 ? "once" : "twice"}}};
        const struct api_answer *made = api_fixture_ask(company->api, &question);
        assert_int_equal(made->status, 201);
        const char *path = story_text("%s", strstr(api_answer_text(made, "calendar_feed", "url", NULL), "/calendars/"));
        story_refused(api_fixture_ask(company->api, &question), 409, 2001, "shown only once");
        assert_non_null(fetch(company, path)); /* the first one stands */
    }
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(shifts_are_offered_taken_and_undone),
        STORY(a_token_of_nobody_that_may_only_respond_undoes_no_swap),
        STORY(whoever_is_asked_takes_without_a_word),
        STORY(bad_offers_are_named),
        STORY(hand_off_rules_are_kept_in_the_form_of_pagerduty),
        STORY(a_schedule_is_read_as_a_calendar_until_its_secret_changes),
        STORY(a_person_reads_his_own_shifts_alone),
        STORY(given_a_feed_is_made_by_a_repeated_request_then_no_url_is_made_up),
    };
    return cmocka_run_group_tests_name("swaps", tests, NULL, NULL);
}
