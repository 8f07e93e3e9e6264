/* Schedules, overrides and who is on call, as Terraform and the SDKs talk about them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "node/engine/schedule_horizon.h"
#include "tests/support/api_story.h"

#define DAY_MS (24ull * 3600 * 1000)

/* The clock of the fixture shows 2026-09-21T14:13:20Z, a Monday; 16:13:20 in Paris. */
struct company {
    struct api_fixture *api;
    const char *alice, *bob, *schedule;
};

/* A week each, handed over on Mondays at 09:00 in Paris: Alice has this one. */
#define PRIMARY                                                                                                        \
    "{\"schedule\":{\"type\":\"schedule\",\"name\":\"Primary\",\"time_zone\":\"Europe/Paris\",\"schedule_layers\":["   \
    "{\"name\":\"Weekly\",\"start\":\"2026-09-21T09:00:00+02:00\",\"end\":null,\"rotation_virtual_start\":"            \
    "\"2026-09-21T09:00:00+02:00\",\"rotation_turn_length_seconds\":604800,\"users\":[{\"user\":{\"id\":\"%s\","       \
    "\"type\":\"user\"}},{\"user\":{\"id\":\"%s\",\"type\":\"user_reference\"}}]}]}}"

static int setup(void **state)
{
    static struct company company;

    company.api = api_fixture_new();
    company.alice = story_user(company.api, "Alice", "alice@example.org");
    company.bob = story_user(company.api, "Bob", "bob@example.org");
    company.schedule =
        story_create(company.api, "/schedules", "schedule", story_text(PRIMARY, company.alice, company.bob));
    *state = &company;
    return 0;
}

static int teardown(void **state)
{
    struct company *company = *state;

    api_fixture_free(company->api);
    return 0;
}

static const char *policy_of(struct company *company)
{
    return story_create(company->api, "/escalation_policies", "escalation_policy",
                        story_text("{\"escalation_policy\":{\"name\":\"Nights\",\"escalation_rules\":[{"
                                   "\"escalation_delay_in_minutes\":5,\"targets\":[{\"id\":\"%s\",\"type\":"
                                   "\"schedule_reference\"},{\"id\":\"%s\",\"type\":\"user_reference\"}]}]}}",
                                   company->schedule, company->bob));
}

/* ---------------------------------------------------------------- the schedule itself */

static void a_schedule_is_read_as_it_was_given(void **state)
{
    struct company *company = *state;
    const struct api_answer *read = api_get(company->api, story_text("/schedules/%s", company->schedule));

    assert_int_equal(read->status, 200);
    assert_string_equal(api_answer_text(read, "schedule", "type", NULL), "schedule");
    assert_string_equal(api_answer_text(read, "schedule", "time_zone", NULL), "Europe/Paris");
    assert_string_equal(api_answer_text(read, "schedule", "schedule_layers", "0", "rotation_virtual_start", NULL),
                        "2026-09-21T09:00:00+02:00");
    assert_true(json_is_null(api_answer_at(read, "schedule", "schedule_layers", "0", "end", NULL)));
    assert_string_equal(
        api_answer_text(read, "schedule", "schedule_layers", "0", "users", "1", "user", "summary", NULL), "Bob");
    assert_int_equal(json_array_size(api_answer_at(read, "schedule", "users", NULL)), 2);
    /* Nothing is rendered unless it is asked for; Terraform reads the final schedule without a look. */
    assert_string_equal(api_answer_text(read, "schedule", "final_schedule", "name", NULL), "Final Schedule");
    assert_int_equal(
        json_array_size(api_answer_at(read, "schedule", "final_schedule", "rendered_schedule_entries", NULL)), 0);
    const struct api_answer *list = api_get(company->api, "/schedules?query=prim&total=true");
    assert_int_equal(json_array_size(api_answer_at(list, "schedules", NULL)), 1);
    assert_int_equal(
        json_array_size(api_answer_at(api_get(company->api, "/schedules?query=second"), "schedules", NULL)), 0);
}

static void the_final_schedule_crosses_the_end_of_summer_time(void **state)
{
    struct company *company = *state;
    const char *target =
        story_text("/schedules/%s?since=2026-10-19T00:00:00Z&until=2026-11-02T00:00:00Z", company->schedule);
    const struct api_answer *read = api_get(company->api, target);

    json_t *entries = api_answer_at(read, "schedule", "final_schedule", "rendered_schedule_entries", NULL);
    assert_int_equal(json_array_size(entries), 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(entries, 0), "start")),
                        "2026-10-19T02:00:00+02:00");
    assert_string_equal(json_string_value(json_object_get(json_array_get(entries, 1), "start")),
                        "2026-10-19T09:00:00+02:00");
    assert_string_equal(json_string_value(json_object_get(json_array_get(entries, 1), "end")),
                        "2026-10-26T09:00:00+01:00");
    assert_true(json_real_value(
                    api_answer_at(read, "schedule", "final_schedule", "rendered_coverage_percentage", NULL)) == 100.0);

    /* Whole entries, in another zone. */
    read = api_get(company->api, story_text("%s&overflow=true&time_zone=UTC", target));
    assert_string_equal(
        api_answer_text(read, "schedule", "final_schedule", "rendered_schedule_entries", "0", "start", NULL),
        "2026-10-12T07:00:00Z");
    assert_string_equal(
        api_answer_text(read, "schedule", "schedule_layers", "0", "rendered_schedule_entries", "2", "end", NULL),
        "2026-11-02T08:00:00Z");
}

static void a_window_shows_a_second_as_well_as_far_away_years(void **state)
{
    struct company *company = *state;
    /* Beyond the horizon of what is stored. */
    const struct api_answer *read =
        api_get(company->api,
                story_text("/schedules/%s?since=2031-07-01T00:00:00Z&until=2031-07-01T00:00:01Z", company->schedule));

    assert_int_equal(
        json_array_size(api_answer_at(read, "schedule", "final_schedule", "rendered_schedule_entries", NULL)), 1);
    /* With only one end it is two weeks. */
    read = api_get(company->api, story_text("/schedules/%s?since=2026-09-22T00:00:00Z", company->schedule));
    assert_int_equal(
        json_array_size(api_answer_at(read, "schedule", "final_schedule", "rendered_schedule_entries", NULL)), 3);
}

static void layers_come_back_in_reverse_and_the_last_decides(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const struct api_answer *made = api_post(
        api, "/schedules/preview?since=2026-09-22T00:00:00Z&until=2026-09-23T00:00:00Z",
        story_text(
            "{\"schedule\":{\"name\":\"Two\",\"time_zone\":\"UTC\",\"schedule_layers\":[{\"name\":\"below\",\"start\":"
            "\"2026-09-01T00:00:00Z\",\"rotation_virtual_start\":\"2026-09-01T00:00:00Z\","
            "\"rotation_turn_length_seconds\":86400,\"users\":[{\"user\":{\"id\":\"%s\"}}]},{\"name\":\"above\","
            "\"start\":\"2015-11-06 20:00:00 +0000 UTC\",\"rotation_virtual_start\":\"2015-11-06 20:00:00 +0000 UTC\","
            "\"rotation_turn_length_seconds\":86400,\"users\":[{\"user\":{\"id\":\"%s\"}}],\"restrictions\":[{"
            "\"type\":\"daily_restriction\",\"start_time_of_day\":\"09:00:00\",\"duration_seconds\":28800}]}]}}",
            company->alice, company->bob));

    assert_int_equal(made->status, 200);
    assert_string_equal(api_answer_text(made, "schedule", "schedule_layers", "0", "name", NULL), "above");
    assert_string_equal(api_answer_text(made, "schedule", "schedule_layers", "0", "start", NULL),
                        "2015-11-06T20:00:00Z");
    assert_string_equal(
        api_answer_text(made, "schedule", "schedule_layers", "0", "restrictions", "0", "start_time_of_day", NULL),
        "09:00:00");
    assert_true(json_real_value(api_answer_at(made, "schedule", "schedule_layers", "0", "rendered_coverage_percentage",
                                              NULL)) == 33.3);
    assert_int_equal(
        json_array_size(api_answer_at(made, "schedule", "final_schedule", "rendered_schedule_entries", NULL)), 3);
    assert_string_equal(
        api_answer_text(made, "schedule", "final_schedule", "rendered_schedule_entries", "1", "user", "summary", NULL),
        "Bob");
    assert_int_equal(json_array_size(api_answer_at(api_get(api, "/schedules"), "schedules", NULL)),
                     1); /* nothing stored */
}

static void a_change_keeps_what_it_does_not_name_and_warns_of_who_is_on_call(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *target = story_text("/schedules/%s", company->schedule);
    const struct api_answer *changed = api_put(api, target, "{\"schedule\":{\"description\":\"weekly\"}}");

    assert_int_equal(changed->status, 200);
    assert_null(api_answer_header(changed, "Warning"));
    assert_string_equal(api_answer_text(changed, "schedule", "name", NULL), "Primary");
    assert_int_equal(story_number(changed, "schedule", "revision"), 2);
    const char *layer = api_answer_text(changed, "schedule", "schedule_layers", "0", "id", NULL);

    api->now_ms += 1000;
    changed =
        api_put(api, target,
                story_text("{\"schedule\":{\"schedule_layers\":[{\"id\":\"%s\",\"start\":\"2026-09-21T09:00:00+02:00\","
                           "\"rotation_virtual_start\":\"2026-09-21T09:00:00+02:00\",\"rotation_turn_length_seconds\":"
                           "604800,\"users\":[{\"user\":{\"id\":\"%s\"}}]}]}}",
                           layer, company->bob));
    assert_int_equal(changed->status, 200);
    assert_string_equal(api_answer_text(changed, "schedule", "schedule_layers", "0", "id", NULL), layer);
    const char *warning = api_answer_header(changed, "Warning");
    assert_non_null(warning);
    assert_non_null(strstr(warning, story_text("on call now: %s, who was %s", company->bob, company->alice)));

    /* Who was on call then, and by what. */
    const struct api_answer *then = api_get(api, story_text("%s/on_call?at=2026-09-21T14:13:20Z", target));
    assert_string_equal(api_answer_text(then, "on_call", "user", "summary", NULL), "Alice");
    assert_int_equal(story_number(then, "on_call", "revision"), 2);
    then = api_get(api, story_text("%s/on_call", target));
    assert_string_equal(api_answer_text(then, "on_call", "user", "summary", NULL), "Bob");
    assert_int_equal(story_number(then, "on_call", "revision"), 3);
}

#define DROPPED                                                                                                        \
    "{\"schedule\":{\"schedule_layers\":[{%s\"start\":\"2027-01-01T00:00:00Z\",\"end\":\"2026-09-21 14:13:20 +0000 "   \
    "UTC\",\"rotation_virtual_start\":\"2027-01-01T00:00:00Z\",\"rotation_turn_length_seconds\":86400,\"users\":["     \
    "{\"user\":{\"id\":\"%s\"}}]}]}}"

/* Terraform ends the layers that it drops, and sends them along for ever. */
static void a_dropped_layer_may_end_before_it_began(void **state)
{
    struct company *company = *state;
    const char *target = story_text("/schedules/%s", company->schedule);
    const char *layer = api_answer_text(api_get(company->api, target), "schedule", "schedule_layers", "0", "id", NULL);

    story_refused(api_put(company->api, target, story_text(DROPPED, "", company->alice)), 400, 2001,
                  "must be after its start");
    const char *kept = story_text("\"id\":\"%s\",", layer);
    assert_int_equal(api_put(company->api, target, story_text(DROPPED, kept, company->alice))->status, 200);
    assert_true(
        json_is_null(api_answer_at(api_get(company->api, story_text("%s/on_call", target)), "on_call", "user", NULL)));
}

static void bad_schedules_are_refused_and_change_nothing(void **state)
{
    struct company *company = *state;
    static const struct {
        const char *fields, *error;
    } bad[] = {
        {"\"time_zone\":\"UTC\"", "Schedule layers can't be blank"},
        {"\"schedule_layers\":[]", "Time zone can't be blank"},
        {"\"time_zone\":\"Mars/Olympus\",\"schedule_layers\":[]", "not the name of a time zone: 'Mars/Olympus'"},
        {"\"time_zone\":\"../../etc/passwd\",\"schedule_layers\":[]", "not the name of a time zone"},
        {"\"time_zone\":\"UTC\",\"schedule_layers\":[7]", "'schedule_layers[0]' must be an object"},
        {"\"time_zone\":\"UTC\",\"schedule_layers\":[{\"users\":[]}]", "'schedule_layers[0].start' can't be blank"},
    };
    static const struct {
        const char *layer, *error;
    } bad_layers[] = {
        {"\"users\":[],\"rotation_turn_length_seconds\":86400", "users' must have at least one user"},
        {"\"users\":[{\"user\":{\"id\":\"P000001\"}}],\"rotation_turn_length_seconds\":60",
         "rotation_turn_length_seconds' must be from 3600"},
        {"\"users\":[{\"user\":{\"id\":\"PZZZZZZ\"}}],\"rotation_turn_length_seconds\":86400", "does not exist"},
        {"\"users\":[{\"user\":null}],\"rotation_turn_length_seconds\":86400", "user' can't be blank"},
        {"\"users\":[{\"user\":{\"id\":\"P000001\"}}]", "rotation_turn_length_seconds' can't be blank"},
        {"\"end\":\"2026-08-01T00:00:00Z\",\"users\":[{\"user\":{\"id\":\"P000001\"}}],\"rotation_turn_length_"
         "seconds\":86400",
         "end' must be after its start"},
        {"\"end\":\"soon\"", "end' must be a time"},
        {"\"restrictions\":[{\"type\":\"daily_restriction\",\"start_time_of_day\":\"25:00:00\",\"duration_seconds\":60}"
         "]",
         "start_time_of_day' must be a time of day"},
        {"\"restrictions\":[{\"type\":\"daily_restriction\",\"start_time_of_day\":\"08:00:00\",\"duration_seconds\":"
         "86401}]",
         "duration_seconds' must be from 1 to 86400"},
        {"\"restrictions\":[{\"type\":\"weekly_restriction\",\"start_time_of_day\":\"08:00:00\",\"duration_seconds\":"
         "60}]",
         "start_day_of_week' can't be blank"},
        {"\"restrictions\":[{\"type\":\"yearly\"}]", "must be one of: daily_restriction, weekly_restriction"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        story_refused(api_post(company->api, "/schedules", story_text("{\"schedule\":{%s}}", bad[i].fields)), 400, 2001,
                      bad[i].error);
    }
    for (size_t i = 0; i < sizeof bad_layers / sizeof *bad_layers; i++) {
        const struct api_answer *answer = api_post(
            company->api, "/schedules",
            story_text("{\"schedule\":{\"time_zone\":\"UTC\",\"schedule_layers\":[{\"start\":\"2026-09-01T00:00:00Z\","
                       "\"rotation_virtual_start\":\"2026-09-01T00:00:00Z\",%s}]}}",
                       bad_layers[i].layer));
        assert_int_equal(answer->status, 400);
        assert_non_null(strstr(answer->text, bad_layers[i].error));
    }
    assert_int_equal(json_array_size(api_answer_at(api_get(company->api, "/schedules"), "schedules", NULL)), 1);
    static const char *const windows[] = {"since=2026-10-02T00:00:00Z&until=2026-10-01T00:00:00Z", "since=tomorrow",
                                          "since=2026-01-01T00:00:00Z&until=2028-01-01T00:00:00Z", "time_zone=Nowhere"};
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        assert_int_equal(api_get(company->api, story_text("/schedules/%s?%s", company->schedule, windows[i]))->status,
                         400);
    }
}

/* So many layers that hand over every hour. */
static const struct api_answer *post_hourly(struct company *company, size_t layers_count)
{
    json_t *layers = json_array();
    for (size_t i = 0; i < layers_count; i++) {
        json_array_append_new(layers, json_pack("{s:s, s:s, s:i, s:[{s:{s:s}}, {s:{s:s}}]}", "start", "2026-09-01T00:00:00Z",
                                                "rotation_virtual_start", "2026-09-01T00:00:00Z",
                                                "rotation_turn_length_seconds", 3600, "users", "user", "id", company->alice,
                                                "user", "id", company->bob));
    }
    json_t *body = json_pack("{s:{s:s, s:o}}", "schedule", "time_zone", "UTC", "schedule_layers", layers);
    char *text = json_dumps(body, 0);
    const struct api_answer *answer = api_post(company->api, "/schedules", text);
    free(text);
    json_decref(body);
    return answer;
}

static void neither_an_answer_nor_a_rendering_grows_without_bounds(void **state)
{
    struct company *company = *state;
    story_refused(post_hourly(company, 30), 400, 2001, "too many shifts in a year");
    const struct api_answer *made = post_hourly(company, 5);
    assert_int_equal(made->status, 201);
    const char *target = story_text("/schedules/%s?since=2026-09-01T00:00:00Z", api_answer_text(made, "schedule", "id", NULL));
    assert_int_equal(api_get(company->api, story_text("%s&until=2026-09-08T00:00:00Z", target))->status, 200);
    story_refused(api_get(company->api, story_text("%s&until=2027-08-31T00:00:00Z", target)), 400, 2001,
                  "ask for a shorter one");
}

static void a_schedule_in_use_is_not_deleted(void **state)
{
    struct company *company = *state;
    const char *target = story_text("/schedules/%s", company->schedule), *policy = policy_of(company);

    assert_string_equal(
        api_answer_text(api_get(company->api, target), "schedule", "escalation_policies", "0", "id", NULL), policy);
    story_refused_exactly(api_delete(company->api, target), 400, 2001,
                          "Schedule can't be deleted if it's being used by escalation policies");
    assert_int_equal(api_delete(company->api, story_text("/escalation_policies/%s", policy))->status, 204);
    assert_int_equal(api_delete(company->api, target)->status, 204);
    story_refused(api_get(company->api, target), 404, 2100, "");
}

static void a_policy_keeps_the_order_of_its_targets(void **state)
{
    struct company *company = *state;
    const struct api_answer *read = api_get(company->api, story_text("/escalation_policies/%s", policy_of(company)));

    assert_string_equal(
        api_answer_text(read, "escalation_policy", "escalation_rules", "0", "targets", "0", "type", NULL),
        "schedule_reference");
    assert_string_equal(
        api_answer_text(read, "escalation_policy", "escalation_rules", "0", "targets", "0", "summary", NULL),
        "Primary");
    assert_string_equal(api_answer_text(read, "escalation_policy", "escalation_rules", "0", "targets", "1", "id", NULL),
                        company->bob);
}

/* ---------------------------------------------------------------- overrides */

static void overrides_are_judged_one_by_one(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *target = story_text("/schedules/%s/overrides", company->schedule);
    const struct api_answer *made = api_post(
        api, target,
        story_text("{\"overrides\":[{\"start\":\"2026-09-21T12:00:00Z\",\"end\":\"2026-09-22T12:00:00Z\",\"user\":{"
                   "\"id\":\"%s\",\"type\":\"user_reference\"}},{\"start\":\"2026-09-22T12:00:00Z\",\"end\":"
                   "\"2026-09-22T11:00:00Z\",\"user\":{\"id\":\"%s\"}},{\"start\":\"2026-09-23T12:00:00Z\"}]}",
                   company->bob, company->bob));

    assert_int_equal(made->status, 201);
    assert_int_equal(json_integer_value(api_answer_at(made, "0", "status", NULL)), 201);
    assert_string_equal(api_answer_text(made, "1", "errors", "0", NULL), "Override must end after its start");
    assert_int_equal(json_integer_value(api_answer_at(made, "2", "status", NULL)), 400);
    assert_non_null(api_answer_header(made, "Warning")); /* Bob is on call, and Alice was */
    const struct api_answer *window = api_get(
        api, story_text("/schedules/%s?since=2026-09-22T00:00:00Z&until=2026-09-23T00:00:00Z", company->schedule));
    assert_int_equal(
        json_array_size(api_answer_at(window, "schedule", "overrides_subschedule", "rendered_schedule_entries", NULL)),
        1);
    assert_string_equal(api_answer_text(window, "schedule", "final_schedule", "rendered_schedule_entries", "0", "user",
                                        "summary", NULL),
                        "Bob");
    assert_string_equal(api_answer_text(window, "schedule", "final_schedule", "rendered_schedule_entries", "1", "user",
                                        "summary", NULL),
                        "Alice");
    story_refused(api_get(api, target), 400, 2001, "can't be blank");
    const struct api_answer *list =
        api_get(api, story_text("%s?since=2026-09-21T00:00:00Z&until=2026-09-30T00:00:00Z", target));
    assert_int_equal(json_array_size(api_answer_at(list, "overrides", NULL)), 1);

    /* One that has begun only ends; one to come goes. */
    api->now_ms += 60000;
    const char *id = api_answer_text(made, "0", "override", "id", NULL);
    const struct api_answer *ended = api_delete(api, story_text("%s/%s", target, id));
    assert_int_equal(ended->status, 200);
    assert_non_null(api_answer_header(ended, "Warning"));
    made = api_post(
        api, target,
        story_text("{\"override\":{\"start\":\"2026-10-01T00:00:00Z\",\"end\":\"2026-10-02T00:00:00Z\",\"user\":{"
                   "\"id\":\"%s\"}}}",
                   company->bob));
    assert_int_equal(made->status, 201);
    id = api_answer_text(made, "override", "id", NULL);
    assert_int_equal(api_delete(api, story_text("%s/%s", target, id))->status, 204);
    assert_int_equal(api_delete(api, story_text("%s/%s", target, id))->status, 404);
    story_refused(
        api_post(api, target,
                 story_text("{\"override\":{\"start\":\"2026-10-01T00:00:00Z\",\"end\":\"2026-10-01T00:00:00Z\","
                            "\"user\":{\"id\":\"%s\"}}}",
                            company->bob)),
        400, 2001, "Override must end after its start");
    story_refused(api_post(api, target, "{\"overrides\":[]}"), 400, 2001, "an array named 'overrides'");
    assert_int_equal(api_post(api, "/schedules/PZZZZZZ/overrides", "{\"overrides\":[1]}")->status, 404);
}

/* What is mended and sent again under its Idempotency-Key was answered with the parts of the first reply: of none, and the node read on
 * behind them. */
static void overrides_mended_under_the_same_key_are_another_request(void **state)
{
    struct company *company = *state;
    struct api_question question = {.method = "POST",
                                    .target = story_text("/schedules/%s/overrides", company->schedule),
                                    .body = "{\"overrides\":[{\"start\":\"oops\"}]}",
                                    .headers = {{"X-Api-Key", API_FIXTURE_TOKEN}, {"Idempotency-Key", "once"}}};
    const struct api_answer *answer = api_fixture_ask(company->api, &question);

    assert_int_equal(json_integer_value(api_answer_at(answer, "0", "status", NULL)), 400);
    question.body = story_text("{\"overrides\":[{\"start\":\"2026-09-21T12:00:00Z\",\"end\":\"2026-09-22T12:00:00Z\",\"user\":{\"id\":\"%s\"}},"
                               "{\"start\":\"2026-09-23T12:00:00Z\",\"end\":\"2026-09-24T12:00:00Z\",\"user\":{\"id\":\"%s\"}}]}",
                               company->bob, company->bob);
    answer = api_fixture_ask(company->api, &question);
    assert_int_equal(answer->status, 201);
    assert_int_equal(json_integer_value(api_answer_at(answer, "1", "status", NULL)), 201);
    assert_true(json_equal(api_fixture_ask(company->api, &question)->json, answer->json));
}

/* ---------------------------------------------------------------- who is on call */

static void who_is_on_call_is_told_by_policy_and_level(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    policy_of(company);
    const struct api_answer *now = api_get(api, "/oncalls?total=true");

    assert_int_equal(json_array_size(api_answer_at(now, "oncalls", NULL)), 2); /* Bob by name, Alice by the schedule */
    assert_int_equal(json_integer_value(api_answer_at(now, "total", NULL)), 2);
    now = api_get(api, story_text("/oncalls?schedule_ids[]=%s&time_zone=Europe/Paris", company->schedule));
    assert_int_equal(json_array_size(api_answer_at(now, "oncalls", NULL)), 1);
    assert_string_equal(api_answer_text(now, "oncalls", "0", "user", "summary", NULL), "Alice");
    assert_string_equal(api_answer_text(now, "oncalls", "0", "schedule", "summary", NULL), "Primary");
    assert_string_equal(api_answer_text(now, "oncalls", "0", "start", NULL), "2026-09-21T09:00:00+02:00");
    assert_string_equal(api_answer_text(now, "oncalls", "0", "end", NULL), "2026-09-28T09:00:00+02:00");
    assert_int_equal(json_integer_value(api_answer_at(now, "oncalls", "0", "escalation_level", NULL)), 1);

    const char *month = "since=2026-09-21T14:00:00Z&until=2026-10-21T14:00:00Z";
    now = api_get(api, story_text("/oncalls?%s&user_ids[]=%s", month, company->alice));
    assert_int_equal(json_array_size(api_answer_at(now, "oncalls", NULL)), 3);
    now = api_get(api, story_text("/oncalls?%s&user_ids[]=%s&earliest=true", month, company->alice));
    assert_int_equal(json_array_size(api_answer_at(now, "oncalls", NULL)), 1);
    assert_int_equal(
        json_array_size(api_answer_at(api_get(api, "/oncalls?escalation_policy_ids[]=PZZZZZZ"), "oncalls", NULL)), 0);
    now = api_get(api, story_text("/schedules/%s/users", company->schedule));
    assert_int_equal(json_array_size(api_answer_at(now, "users", NULL)), 1);
    now = api_get(api, story_text("/schedules/%s/users?%s", company->schedule, month));
    assert_int_equal(json_array_size(api_answer_at(now, "users", NULL)), 2);
    assert_int_equal(api_get(api, "/schedules/PZZZZZZ/users")->status, 404);
}

/* ---------------------------------------------------------------- the horizon */

static void shifts_are_rendered_anew_every_day(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    Tocsin__ScheduleExtend extend;
    uint64_t id = 0;

    api->now_ms += DAY_MS - 1;
    assert_false(schedule_horizon_next(&api->view, api->now_ms, &id, &extend));
    api->now_ms += 1;
    assert_true(schedule_horizon_next(&api->view, api->now_ms, &id, &extend));
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_SCHEDULE_EXTEND;
    command.schedule_extend = &extend;
    Tocsin__Reply *reply = api_fixture_apply(api, &command);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    tocsin__reply__free_unpacked(reply, NULL);
    schedule_horizon_free(&extend);
    assert_false(schedule_horizon_next(&api->view, api->now_ms, &id, &extend));
    id = 0;
    assert_false(schedule_horizon_next(&api->view, api->now_ms, &id, &extend));
    const struct api_answer *late =
        api_get(api, story_text("/schedules/%s/on_call?at=2027-09-22T20:00:00Z", company->schedule));
    assert_true(json_is_object(api_answer_at(late, "on_call", "user", NULL)));
    late = api_get(api, story_text("/schedules/%s/on_call?at=2026-09-21T14:13:21Z", company->schedule));
    assert_string_equal(api_answer_text(late, "on_call", "user", "summary", NULL), "Alice");
}

/* Its operator is not told somebody of next week, and no shift is left out that begins before the node's clock's yesterday. */
static void a_node_whose_clock_is_ahead_goes_by_the_time_of_the_cluster(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    api->wall_ahead_ms = 9 * DAY_MS;
    const char *schedule = story_create(api, "/schedules", "schedule", story_text(PRIMARY, company->alice, company->bob));
    const struct api_answer *now = api_get(api, story_text("/oncalls?schedule_ids[]=%s", schedule));
    assert_int_equal(json_array_size(api_answer_at(now, "oncalls", NULL)), 0); /* no policy names it */
    now = api_get(api, story_text("/schedules/%s/on_call?at=2026-09-21T15:00:00Z", schedule));
    assert_string_equal(api_answer_text(now, "on_call", "user", "summary", NULL), "Alice");
    now = api_get(api, story_text("/schedules/%s/users", schedule));
    assert_string_equal(api_answer_text(now, "users", "0", "name", NULL), "Alice");
    policy_of(company);
    now = api_get(api, story_text("/oncalls?schedule_ids[]=%s&time_zone=Europe/Paris", company->schedule));
    assert_string_equal(api_answer_text(now, "oncalls", "0", "user", "summary", NULL), "Alice");
    assert_string_equal(api_answer_text(now, "oncalls", "0", "end", NULL), "2026-09-28T09:00:00+02:00");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_schedule_is_read_as_it_was_given, setup, teardown),
        cmocka_unit_test_setup_teardown(the_final_schedule_crosses_the_end_of_summer_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_window_shows_a_second_as_well_as_far_away_years, setup, teardown),
        cmocka_unit_test_setup_teardown(layers_come_back_in_reverse_and_the_last_decides, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_keeps_what_it_does_not_name_and_warns_of_who_is_on_call, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_dropped_layer_may_end_before_it_began, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_schedules_are_refused_and_change_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(neither_an_answer_nor_a_rendering_grows_without_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(a_schedule_in_use_is_not_deleted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_policy_keeps_the_order_of_its_targets, setup, teardown),
        cmocka_unit_test_setup_teardown(overrides_are_judged_one_by_one, setup, teardown),
        cmocka_unit_test_setup_teardown(overrides_mended_under_the_same_key_are_another_request, setup, teardown),
        cmocka_unit_test_setup_teardown(who_is_on_call_is_told_by_policy_and_level, setup, teardown),
        cmocka_unit_test_setup_teardown(shifts_are_rendered_anew_every_day, setup, teardown),
        cmocka_unit_test_setup_teardown(a_node_whose_clock_is_ahead_goes_by_the_time_of_the_cluster, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
