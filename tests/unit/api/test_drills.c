/* Page-delivery drills, as clients talk about them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/api_story.h"

#define SMS "\"contact_method\":{\"type\":\"sms_contact_method\",\"address\":\"5550123\",\"country_code\":41}"
#define DAY_MS (24ull * 3600 * 1000)

static int setup(void **state)
{
    *state = api_fixture_new();
    return 0;
}

static int teardown(void **state)
{
    api_fixture_free(*state);
    return 0;
}

static const char *made(struct api_fixture *api, const char *fields)
{
    return story_create(api, "/drills", "drill", story_text("{\"drill\":{%s}}", fields));
}

static json_int_t level(const struct api_answer *answer, const char *what)
{
    return json_integer_value(api_answer_at(answer, "drill", "service_level", what, NULL));
}

static json_int_t budget(const struct api_answer *answer, const char *what)
{
    return json_integer_value(api_answer_at(answer, "drill", "service_level", "error_budget", what, NULL));
}

static void a_drill_has_what_was_asked_for_and_else_a_day_and_a_minute(void **state)
{
    struct api_fixture *api = *state;
    const char *id = made(api, "\"name\":\"SMS\"," SMS);
    const struct api_answer *answer = api_get(api, story_text("/drills/%s", id));
    assert_int_equal(answer->status, 200);
    assert_string_equal(api_answer_text(answer, "drill", "contact_method", "type", NULL), "sms_contact_method");
    assert_string_equal(api_answer_text(answer, "drill", "contact_method", "address", NULL), "5550123");
    assert_int_equal(json_integer_value(api_answer_at(answer, "drill", "contact_method", "country_code", NULL)), 41);
    assert_int_equal(story_number(answer, "drill", "interval_s"), 86400);
    assert_int_equal(story_number(answer, "drill", "delivery_objective_ms"), 60000);
    assert_true(json_real_value(api_answer_at(answer, "drill", "target_percent", NULL)) == 99.0);
    assert_true(json_is_true(api_answer_at(answer, "drill", "enabled", NULL)));
    const struct api_answer *changed =
        api_put(api, story_text("/drills/%s", id), "{\"drill\":{\"name\":\"Text\",\"target_percent\":99.5}}");
    assert_int_equal(changed->status, 200);
    assert_true(json_real_value(api_answer_at(changed, "drill", "target_percent", NULL)) == 99.5);
    assert_string_equal(api_answer_text(changed, "drill", "contact_method", "address", NULL), "5550123");
    assert_int_equal(api_delete(api, story_text("/drills/%s", id))->status, 204);
    assert_int_equal(api_get(api, story_text("/drills/%s", id))->status, 404);
    assert_int_equal(api_get(api, story_text("/drills/%s/runs", id))->status, 404);
}

static void the_service_level_counts_what_was_delivered(void **state)
{
    struct api_fixture *api = *state;
    const char *id = made(api, "\"name\":\"SMS\",\"interval_s\":3600," SMS);
    story_run_until(api, api->now_ms + DAY_MS - 1);
    const struct api_answer *answer = api_get(api, story_text("/drills/%s", id));
    assert_int_equal(level(answer, "runs"), 24);
    assert_int_equal(level(answer, "delivered_in_time"), 24);
    assert_int_equal(budget(answer, "total"), 7); /* of 720 in thirty days */
    assert_int_equal(budget(answer, "left"), 7);
    assert_true(json_is_integer(api_answer_at(answer, "drill", "service_level", "delivery_ms", "p99", NULL)));
    assert_int_equal(json_array_size(api_answer_at(answer, "drill", "runs", NULL)), 10);
    assert_string_equal(api_answer_text(answer, "drill", "runs", "0", "result", NULL), "delivered");
    assert_int_equal(json_integer_value(api_answer_at(answer, "drill", "runs", "0", "number", NULL)), 24);
    const struct api_answer *runs = api_get(api, story_text("/drills/%s/runs", id));
    assert_int_equal(json_array_size(api_answer_at(runs, "runs", NULL)), 24);
    runs = api_get(api, story_text("/drills/%s/runs?result[]=failed", id));
    assert_int_equal(json_array_size(api_answer_at(runs, "runs", NULL)), 0);
    assert_int_equal(json_array_size(api_answer_at(api_get(api, "/drills"), "drills", NULL)), 1);
}

static void a_drill_runs_when_it_is_asked_to(void **state)
{
    struct api_fixture *api = *state;
    const char *id = made(api, "\"name\":\"SMS\",\"enabled\":false," SMS);
    const struct api_answer *answer = api_post(api, story_text("/drills/%s/run", id), NULL);
    assert_int_equal(answer->status, 202);
    assert_true(json_is_true(api_answer_at(answer, "drill", "under_way", NULL)));
    story_refused(api_post(api, story_text("/drills/%s/run", id), NULL), 400, 2001, "under way");
    assert_int_equal(story_deliver(api), 0); /* of the last entry, which was refused */
    assert_int_equal(api_post(api, "/drills/P00ZZZZ/run", NULL)->status, 404);
}

static void nonsense_has_one_clear_sentence(void **state)
{
    static const struct {
        const char *fields, *text;
    } STORIES[] = {
        {"\"name\":\"SMS\"", "'contact_method' can't be blank"},
        {"\"name\":\"SMS\",\"contact_method\":{\"address\":\"5550123\"}", "type"},
        {"\"name\":\"SMS\",\"contact_method\":\"5550123\"", "must be an object"},
        {"\"name\":\"SMS\",\"contact_method\":{\"type\":\"pigeon\",\"address\":\"5550123\"}", "'contact_method.type'"},
        {"\"name\":\"SMS\",\"contact_method\":{\"type\":\"sms_contact_method\",\"address\":\"home\"}", "4 to 20 digits"},
        {"\"name\":\" \"," SMS, "Name can't be blank"},
        {"\"name\":\"SMS\",\"interval_s\":59," SMS, "'interval_s' must be from 60"},
        {"\"name\":\"SMS\",\"target_percent\":99.55," SMS, "one place"},
        {"\"name\":\"SMS\",\"target_percent\":\"99\"," SMS, "'target_percent' must be a number"},
        {"\"name\":\"SMS\",\"target_percent\":1e300," SMS, "'target_percent' must be a number"},
        {"\"name\":\"SMS\",\"window_days\":91," SMS, "'window_days' must be from 1 to 90"},
        {"\"name\":\"SMS\",\"delivery_objective_ms\":0," SMS, "'delivery_objective_ms' must be from"},
        {"\"name\":\"SMS\",\"enabled\":1," SMS, "must be true or false"},
    };
    struct api_fixture *api = *state;
    for (size_t i = 0; i < sizeof STORIES / sizeof *STORIES; i++) {
        story_refused(api_post(api, "/drills", story_text("{\"drill\":{%s}}", STORIES[i].fields)), 400, 2001,
                      STORIES[i].text);
    }
    assert_int_equal(json_array_size(api_answer_at(api_get(api, "/drills"), "drills", NULL)), 0);
    made(api, "\"name\":\"SMS\"," SMS);
    story_refused(api_post(api, "/drills", "{\"drill\":{\"name\":\"SMS\"," SMS "}}"), 400, 2001, "taken");
}

#define STORY(story) cmocka_unit_test_setup_teardown(story, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_drill_has_what_was_asked_for_and_else_a_day_and_a_minute),
        STORY(the_service_level_counts_what_was_delivered),
        STORY(a_drill_runs_when_it_is_asked_to),
        STORY(nonsense_has_one_clear_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
