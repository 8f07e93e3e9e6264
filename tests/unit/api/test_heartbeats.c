/* Heartbeats over HTTP, from the request to the answer: ping URLs, healthchecks' management, Opsgenie's heartbeats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <nettle/sha1.h>

#include "consensus/machine/limits.h"
#include "tests/support/api_fixture.h"
#include "tests/support/api_story.h"

#define UNKNOWN "11111111-2222-4333-8444-555555555555"
#define RUN "AAAAAAAA-0000-4000-8000-000000000001"

struct house {
    struct api_fixture *api;
    const char *service, *key; /* of an integration of the service: the ping key */
    const char *check;         /* a check's uuid */
};

static const char *create(struct house *house, const char *fields)
{
    const struct api_answer *answer =
        api_post(house->api, "/api/v3/checks/", story_text("{\"service\":\"%s\"%s}", house->service, fields));

    assert_int_equal(answer->status, 201);
    return api_answer_text(answer, "uuid", NULL);
}

static int setup(void **state)
{
    struct house *house = calloc(1, sizeof *house);

    assert_non_null(house);
    house->api = api_fixture_new();
    const char *policy = story_policy(house->api, "policy", story_user(house->api, "Alice", "alice@example.com"));
    house->service = story_service(house->api, "backups", policy);
    const struct api_answer *answer =
        api_post(house->api, story_text("/services/%s/integrations", house->service),
                 "{\"integration\":{\"type\":\"events_api_v2_inbound_integration\",\"name\":\"jobs\"}}");
    house->key = api_answer_text(answer, "integration", "integration_key", NULL);
    house->check = create(house, ",\"name\":\"Nightly\",\"slug\":\"nightly\",\"tags\":\"db prod\","
                                 "\"timeout\":60,\"grace\":60");
    house->api->submits = 0;
    *state = house;
    return 0;
}

static int teardown(void **state)
{
    struct house *house = *state;

    api_fixture_free(house->api);
    free(house);
    return 0;
}

/* A ping as a job sends it, without a token. */
static const struct api_answer *send(struct house *house, const char *method, const char *target, const char *body)
{
    struct api_question question = {.method = method, .target = target, .body = body};

    return api_fixture_ask(house->api, &question);
}

static void answered(const struct api_answer *answer, unsigned status, const char *text)
{
    assert_int_equal(answer->status, status);
    assert_string_equal(answer->text, text);
    assert_string_equal(answer->content_type, "text/plain; charset=utf-8");
    assert_string_equal(api_answer_header(answer, "Access-Control-Allow-Origin"), "*");
}

static const struct api_answer *check(struct house *house)
{
    return api_get(house->api, story_text("/api/v3/checks/%s", house->check));
}

static const char *status(struct house *house)
{
    return api_answer_text(check(house), "status", NULL);
}

/* ---------------------------------------------------------------- pings */

static void a_ping_by_any_method_counts(void **state)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
    struct house *house = *state;

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const struct api_answer *answer =
            send(house, methods[i], story_text("/ping/%s%s", house->check, i % 2 ? "/" : ""), NULL);
        answered(answer, 200, "OK");
        assert_string_equal(api_answer_header(answer, "Ping-Body-Limit"), "10000");
    }
    assert_int_equal(house->api->submits, 6);
    assert_int_equal(json_integer_value(api_answer_at(check(house), "n_pings", NULL)), 6);
    assert_string_equal(status(house), "up");
}

static void what_stands_behind_the_key_says_how_it_went(void **state)
{
    static const struct {
        const char *tail, *status;
    } steps[] = {
        {"/start", "new"}, {"", "up"},    {"/fail", "down"},  {"/log", "down"}, {"/start", "down"},
        {"/0", "up"},      {"/7", "down"}, {"", "up"},         {"/255", "down"},
    };
    struct house *house = *state;

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        answered(send(house, "GET", story_text("/ping/%s%s", house->check, steps[i].tail), NULL), 200, "OK");
        assert_string_equal(status(house), steps[i].status);
    }
}

static void a_slug_with_the_ping_key_is_another_way(void **state)
{
    struct house *house = *state;

    answered(send(house, "GET", story_text("/ping/%s/nightly", house->key), NULL), 200, "OK");
    assert_string_equal(status(house), "up");
    answered(send(house, "POST", story_text("/ping/%s/nightly/1", house->key), NULL), 200, "OK");
    assert_string_equal(status(house), "down");
    create(house, ",\"slug\":\"nightly\"");
    answered(send(house, "GET", story_text("/ping/%s/nightly", house->key), NULL), 409, "ambiguous slug");
}

static void the_first_ping_makes_the_check_when_it_is_asked_to(void **state)
{
    struct house *house = *state;

    answered(send(house, "GET", story_text("/ping/%s/weekly", house->key), NULL), 404, "not found");
    answered(send(house, "GET", story_text("/ping/%s/weekly?create=1", house->key), NULL), 201, "Created");
    answered(send(house, "GET", story_text("/ping/%s/weekly?create=1", house->key), NULL), 200, "OK");
    const struct api_answer *list = api_get(house->api, "/api/v3/checks/?slug=weekly");
    assert_int_equal(json_array_size(api_answer_at(list, "checks", NULL)), 1);
    assert_string_equal(api_answer_text(list, "checks", "0", "name", NULL), "weekly");
    assert_string_equal(api_answer_text(list, "checks", "0", "service", NULL), house->service);
    assert_string_equal(api_answer_text(list, "checks", "0", "status", NULL), "up");
}

static void what_is_no_ping_is_refused_and_costs_no_entry(void **state)
{
    struct house *house = *state;

    answered(send(house, "GET", "/ping/" UNKNOWN, NULL), 404, "not found");
    answered(send(house, "GET", "/ping/nonsense", NULL), 404, "not found");
    answered(send(house, "GET", "/ping/0123456789abcdef0123456789abcdef/nightly?create=1", NULL), 404, "not found");
    answered(send(house, "GET", story_text("/ping/%s/256", house->check), NULL), 400, "invalid url format");
    answered(send(house, "GET", story_text("/ping/%s/-1", house->check), NULL), 400, "invalid url format");
    answered(send(house, "GET", story_text("/ping/%s/99999999999999999999", house->check), NULL), 400,
             "invalid url format");
    answered(send(house, "GET", story_text("/ping/%s/Nightly", house->key), NULL), 400, "invalid url format");
    answered(send(house, "GET", story_text("/ping/%s?rid=7", house->check), NULL), 400, "invalid uuid format");
    assert_int_equal(house->api->submits, 0);
    assert_string_equal(status(house), "new");
}

static void runs_have_durations_and_bodies_are_kept_to_their_bound(void **state)
{
    struct house *house = *state;
    char *body = calloc(1, LIMIT_PING_BODY_SIZE_BYTES + 101);

    assert_non_null(body);
    memset(body, 'x', LIMIT_PING_BODY_SIZE_BYTES + 100);
    answered(send(house, "POST", story_text("/ping/%s/start?rid=" RUN, house->check), NULL), 200, "OK");
    house->api->now_ms += 5000;
    answered(send(house, "POST", story_text("/ping/%s?rid=" RUN, house->check), body), 200, "OK");
    assert_int_equal(json_integer_value(api_answer_at(check(house), "last_duration", NULL)), 5);
    const struct api_answer *pings = api_get(house->api, story_text("/api/v3/checks/%s/pings/", house->check));
    assert_string_equal(api_answer_text(pings, "pings", "0", "type", NULL), "success");
    assert_string_equal(api_answer_text(pings, "pings", "0", "rid", NULL), "aaaaaaaa-0000-4000-8000-000000000001");
    assert_string_equal(api_answer_text(pings, "pings", "1", "type", NULL), "start");
    const struct api_answer *kept = api_get(house->api, story_text("/api/v3/checks/%s/pings/2/body", house->check));
    assert_int_equal(kept->status, 200);
    assert_int_equal(strlen(kept->text), LIMIT_PING_BODY_SIZE_BYTES);
    free(body);
}

static void a_body_without_end_is_dropped_and_the_ping_counts(void **state)
{
    struct house *house = *state;
    struct api_question question = {
        .method = "POST", .target = story_text("/ping/%s", house->check), .body_too_large = true};

    answered(api_fixture_ask(house->api, &question), 200, "OK");
    assert_string_equal(status(house), "up");
}

static void headers_that_are_no_text_do_not_cost_the_ping(void **state)
{
    struct house *house = *state;
    struct api_question question = {.method = "GET",
                                    .target = story_text("/ping/%s/log", house->check),
                                    .headers = {{"User-Agent", "curl\xff\x01"},
                                                {"X-Forwarded-For", "10.0.0.1, 10.0.0.2"}}};

    answered(api_fixture_ask(house->api, &question), 200, "OK");
    const struct api_answer *pings = api_get(house->api, story_text("/api/v3/checks/%s/pings/", house->check));
    assert_string_equal(api_answer_text(pings, "pings", "0", "ua", NULL), "curl??");
    assert_string_equal(api_answer_text(pings, "pings", "0", "remote_addr", NULL), "10.0.0.1");
}

static void an_idempotency_key_does_not_swallow_pings(void **state)
{
    struct house *house = *state;
    struct api_question question = {.method = "POST",
                                    .target = story_text("/ping/%s", house->check),
                                    .headers = {{"Idempotency-Key", "always the same"}}};

    answered(api_fixture_ask(house->api, &question), 200, "OK");
    answered(api_fixture_ask(house->api, &question), 200, "OK");
    assert_int_equal(json_integer_value(api_answer_at(check(house), "n_pings", NULL)), 2);
}

static void a_flood_on_one_key_does_not_hurt_another(void **state)
{
    struct house *house = *state;
    const char *other = create(house, "");
    unsigned limited = 0;

    for (unsigned i = 0; i < 500; i++) {
        const struct api_answer *answer = send(house, "GET", story_text("/ping/%s", house->check), NULL);
        limited += answer->status == 429;
        assert_true(answer->status == 429 || answer->status == 200);
    }
    assert_int_equal(limited, 500 - 120);
    answered(send(house, "GET", story_text("/ping/%s", other), NULL), 200, "OK");
    house->api->now_ms += 1000;
    answered(send(house, "GET", story_text("/ping/%s", house->check), NULL), 200, "OK");
}

/* The places in which pings are counted are shared: each calm one that came made the flood forgotten. */
static void a_flood_is_not_forgotten_among_a_thousand_that_ping(void **state)
{
    struct house *house = *state;
    const char *calm[PING_ALLOWANCES + 1];
    unsigned limited = 0;

    for (size_t i = 0; i <= PING_ALLOWANCES; i++) {
        calm[i] = create(house, "");
    }
    for (size_t i = 0; i <= PING_ALLOWANCES; i++) {
        limited += send(house, "GET", story_text("/ping/%s", house->check), NULL)->status == 429;
        answered(send(house, "GET", story_text("/ping/%s", calm[i]), NULL), 200, "OK");
    }
    assert_int_equal(limited, PING_ALLOWANCES + 1 - 120);
}

static void a_watchdog_that_is_resolved_is_no_ping(void **state)
{
    struct house *house = *state;
    const char *target = story_text("/ping/%s", house->check);

    answered(send(house, "POST", target, "{\"version\":\"4\",\"status\":\"resolved\",\"alerts\":[]}"), 200, "OK");
    assert_string_equal(status(house), "new");
    answered(send(house, "POST", target, "{\"routing_key\":\"k\",\"event_action\":\"resolve\"}"), 200, "OK");
    assert_int_equal(send(house, "POST", story_text("%s/v2/alerts/alias/close", target), "{}")->status, 200);
    assert_string_equal(status(house), "new");
    answered(send(house, "POST", target, "{\"version\":\"4\",\"status\":\"firing\",\"alerts\":[]}"), 200, "OK");
    assert_string_equal(status(house), "up");
}

static void a_watchdog_pings_through_each_receiver(void **state)
{
    struct house *house = *state;
    const char *target = story_text("/ping/%s", house->check);

    answered(send(house, "POST", target, "{\"routing_key\":\"k\",\"event_action\":\"trigger\"}"), 200, "OK");
    assert_string_equal(status(house), "up");
    answered(send(house, "POST", story_text("%s/v2/alerts", target), "{\"message\":\"Watchdog\"}"), 200, "OK");
    assert_int_equal(json_integer_value(api_answer_at(check(house), "n_pings", NULL)), 2);
}

static void without_a_leader_the_job_is_told_to_try_again(void **state)
{
    struct house *house = *state;

    house->api->outcome = SUBMIT_UNAVAILABLE;
    const struct api_answer *answer = send(house, "GET", story_text("/ping/%s", house->check), NULL);
    assert_int_equal(answer->status, 503);
    assert_string_equal(api_answer_header(answer, "Retry-After"), "1");
    house->api->stale = true; /* a key that is not here may be in what this node has not seen */
    assert_int_equal(send(house, "GET", "/ping/" UNKNOWN, NULL)->status, 503);
}

/* ---------------------------------------------------------------- healthchecks' management API */

static void a_check_is_told_in_healthchecks_shape(void **state)
{
    struct house *house = *state;

    answered(send(house, "GET", story_text("/ping/%s", house->check), NULL), 200, "OK");
    const struct api_answer *answer = check(house);
    assert_int_equal(answer->status, 200);
    assert_string_equal(api_answer_text(answer, "name", NULL), "Nightly");
    assert_string_equal(api_answer_text(answer, "tags", NULL), "db prod");
    assert_int_equal(json_integer_value(api_answer_at(answer, "timeout", NULL)), 60);
    assert_int_equal(json_integer_value(api_answer_at(answer, "grace", NULL)), 60);
    assert_false(json_is_true(api_answer_at(answer, "started", NULL)));
    assert_non_null(strstr(api_answer_text(answer, "ping_url", NULL), story_text("/ping/%s", house->check)));
    assert_string_equal(api_answer_text(answer, "last_ping", NULL), "2026-09-21T14:13:20Z");
    assert_string_equal(api_answer_text(answer, "next_ping", NULL), "2026-09-21T14:14:20Z");
    house->api->now_ms += 61000;
    assert_string_equal(status(house), "grace");
}

static void defaults_are_healthchecks(void **state)
{
    struct house *house = *state;
    const struct api_answer *answer = api_post(house->api, "/api/v3/checks/", "{}"); /* the only service there is */

    assert_int_equal(answer->status, 201);
    assert_int_equal(json_integer_value(api_answer_at(answer, "timeout", NULL)), 86400);
    assert_int_equal(json_integer_value(api_answer_at(answer, "grace", NULL)), 3600);
    assert_string_equal(api_answer_text(answer, "service", NULL), house->service);
    assert_string_equal(api_answer_text(answer, "status", NULL), "new");
}

static void a_change_touches_what_it_names(void **state)
{
    struct house *house = *state;
    const struct api_answer *answer =
        api_post(house->api, story_text("/api/v3/checks/%s", house->check), "{\"grace\":120,\"manual_resume\":true}");

    assert_int_equal(answer->status, 200);
    assert_int_equal(json_integer_value(api_answer_at(answer, "grace", NULL)), 120);
    assert_int_equal(json_integer_value(api_answer_at(answer, "timeout", NULL)), 60);
    assert_string_equal(api_answer_text(answer, "name", NULL), "Nightly");
    assert_true(json_is_true(api_answer_at(answer, "manual_resume", NULL)));
}

static void unique_finds_the_check_that_is_there(void **state)
{
    struct house *house = *state;
    const char *body = story_text("{\"service\":\"%s\",\"name\":\"Nightly\",\"timeout\":120,\"unique\":[\"name\"]}",
                                  house->service);
    const struct api_answer *answer = api_post(house->api, "/api/v3/checks/", body);

    assert_int_equal(answer->status, 200);
    assert_string_equal(api_answer_text(answer, "uuid", NULL), house->check);
    assert_int_equal(json_integer_value(api_answer_at(answer, "timeout", NULL)), 120);
    answer = api_post(house->api, "/api/v3/checks/", "{\"name\":\"Other\",\"unique\":[\"name\"]}");
    assert_int_equal(answer->status, 201);
}

static void paused_and_resumed(void **state)
{
    struct house *house = *state;

    assert_int_equal(api_post(house->api, story_text("/api/v3/checks/%s/resume", house->check), "")->status, 409);
    const struct api_answer *answer = api_post(house->api, story_text("/api/v3/checks/%s/pause", house->check), "");
    assert_int_equal(answer->status, 200);
    assert_string_equal(api_answer_text(answer, "status", NULL), "paused");
    answer = api_post(house->api, story_text("/api/v3/checks/%s/resume", house->check), "");
    assert_string_equal(api_answer_text(answer, "status", NULL), "new");
}

static void only_posts_count_when_it_is_said_so(void **state)
{
    struct house *house = *state;

    api_post(house->api, story_text("/api/v3/checks/%s", house->check), "{\"methods\":\"POST\"}");
    answered(send(house, "GET", story_text("/ping/%s", house->check), NULL), 200, "OK");
    assert_string_equal(status(house), "new");
    answered(send(house, "POST", story_text("/ping/%s", house->check), NULL), 200, "OK");
    assert_string_equal(status(house), "up");
}

static void lists_are_filtered_by_every_tag(void **state)
{
    static const struct {
        const char *query;
        size_t found;
    } cases[] = {
        {"", 2},
        {"?tag=db", 2},
        {"?tag=db&tag=prod", 1},
        {"?tag=pro", 0},
        {"?tag=rod", 0},
        {"?tag=db%20prod", 0},
        {"?tag=", 2}, /* was looked for behind the end of the tags (found by reading) */
        {"?tag=&tag=prod", 1},
        {"?slug=nightly", 1},
        {"?slug=x", 0},
    };
    struct house *house = *state;

    create(house, ",\"tags\":\"db\"");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct api_answer *answer = api_get(house->api, story_text("/api/v3/checks/%s", cases[i].query));
        assert_int_equal(json_array_size(api_answer_at(answer, "checks", NULL)), cases[i].found);
    }
}

static void one_that_is_deleted_is_shown_a_last_time(void **state)
{
    struct house *house = *state;
    const struct api_answer *answer = api_delete(house->api, story_text("/api/v3/checks/%s", house->check));

    assert_int_equal(answer->status, 200);
    assert_string_equal(api_answer_text(answer, "uuid", NULL), house->check);
    assert_int_equal(check(house)->status, 404);
    answered(send(house, "GET", story_text("/ping/%s", house->check), NULL), 404, "not found");
}

static void a_schedule_takes_the_place_of_the_timeout_and_back(void **state)
{
    struct house *house = *state;
    const char *path = story_text("/api/v3/checks/%s", house->check);

    const struct api_answer *answer =
        api_post(house->api, path, "{\"schedule\":\"30 2 * * MON-fri\",\"tz\":\"Europe/Berlin\",\"grace\":3600}");
    assert_int_equal(answer->status, 200);
    assert_string_equal(api_answer_text(answer, "schedule", NULL), "30 2 * * MON-fri");
    assert_string_equal(api_answer_text(answer, "tz", NULL), "Europe/Berlin");
    assert_null(api_answer_at(answer, "timeout", NULL));
    assert_true(json_is_null(api_answer_at(answer, "next_ping", NULL)));
    send(house, "GET", story_text("/ping/%s", house->check), NULL);
    const char *next = api_answer_text(check(house), "next_ping", NULL);
    assert_non_null(strstr(next, ":30:00"));

    answer = api_post(house->api, path, "{\"tz\":\"Asia/Kolkata\"}"); /* the schedule stays */
    assert_string_equal(api_answer_text(answer, "schedule", NULL), "30 2 * * MON-fri");
    assert_non_null(strstr(api_answer_text(answer, "next_ping", NULL), "T21:00:00"));

    /* Null was taken for a timeout, and the schedule was gone: found by reading. */
    answer = api_post(house->api, path, "{\"grace\":600,\"timeout\":null,\"schedule\":null,\"tz\":null}");
    assert_int_equal(answer->status, 200);
    assert_string_equal(api_answer_text(answer, "schedule", NULL), "30 2 * * MON-fri");
    assert_string_equal(api_answer_text(answer, "tz", NULL), "Asia/Kolkata");
    answer = api_post(house->api, path, "{\"grace\":null}");
    assert_int_equal(json_integer_value(api_answer_at(answer, "grace", NULL)), 600);

    answer = api_post(house->api, path, "{\"timeout\":7200}");
    assert_int_equal(json_integer_value(api_answer_at(answer, "timeout", NULL)), 7200);
    assert_null(api_answer_at(answer, "schedule", NULL));
}

/* The simulator found that such a job was not missed for hours. */
static void a_node_whose_clock_is_ahead_leaves_out_no_moment(void **state)
{
    struct house *house = *state;
    house->api->ahead_ms = 2 * 3600000;
    const struct api_answer *made =
        api_post(house->api, "/api/v3/checks", "{\"name\":\"backup\",\"schedule\":\"* * * * *\",\"tz\":\"UTC\",\"grace\":120}");
    assert_int_equal(made->status, 201);
    const char *key = story_text("%s", api_answer_text(made, "uuid", NULL));
    send(house, "GET", story_text("/ping/%s", key), NULL);
    assert_string_equal(api_answer_text(api_get(house->api, story_text("/api/v3/checks/%s", key)), "next_ping", NULL), "2026-09-21T14:14:00Z");
}

static void errors_have_healthchecks_shape(void **state)
{
    static const struct {
        const char *body, *error;
    } cases[] = {
        {"{\"timeout\":59}", "'timeout' must be from 60 to 31536000"},
        {"{\"timeout\":\"60\"}", "'timeout' must be an integer"},
        {"{\"grace\":31536001}", "'grace' must be from 60 to 31536000"},
        {"{\"schedule\":\"0 0 30 2 *\",\"tz\":\"UTC\"}",
         "No day of the next fifty years fits the cron expression."},
        {"{\"schedule\":\"@daily\"}",
         "A schedule is one line of five cron fields: minute, hour, day of the month, month, day of the week. "
         "OnCalendar expressions and words like @daily are not known here."},
        {"{\"schedule\":\"0 5-3 * * *\"}", "A range of the hour of a cron expression ends before it begins."},
        {"{\"schedule\":\"*/61 * * * *\"}", "A step of the minute of a cron expression is 1 to 60."},
        {"{\"schedule\":\"0 3 * * *\",\"tz\":\"Mars/Phobos\"}", "'tz' must be a time zone like Europe/Berlin"},
        {"{\"success_kw\":\"done\"}", "'success_kw' is not supported: pings are not filtered by keywords"},
        {"{\"slug\":\"Not A Slug\"}", "The slug has letters a to z, digits, - and _ only."},
        {"{\"service\":\"PZZZZZZ\"}", "The service of the heartbeat does not exist."},
        {"{\"unique\":[\"desc\"]}", "unique has an unexpected value"},
        {"{\"unique\":[\"tags\"]}", "Name or slug must be among the fields that make a heartbeat unique."},
        {"{\"methods\":\"GET\"}", "'methods' must be \"\" or \"POST\""},
    };
    struct house *house = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct api_answer *answer = api_post(house->api, "/api/v3/checks/", cases[i].body);
        assert_int_equal(answer->status, 400);
        assert_string_equal(api_answer_text(answer, "error", NULL), cases[i].error);
    }
    house->api->token = NULL;
    const struct api_answer *answer = api_get(house->api, "/api/v3/checks/");
    assert_int_equal(answer->status, 401);
    assert_string_equal(api_answer_text(answer, "error", NULL), "missing api key");
    house->api->token = "nobodysnobodysnobody";
    assert_string_equal(api_answer_text(api_get(house->api, "/api/v3/checks/"), "error", NULL), "wrong api key");
}

static void observers_look_and_change_nothing(void **state)
{
    struct house *house = *state;

    api_fixture_add_token(house->api, "observerobserver1234", TOCSIN__ROLE__ROLE_OBSERVER, 0);
    house->api->token = "observerobserver1234";
    assert_int_equal(check(house)->status, 200);
    assert_int_equal(api_delete(house->api, story_text("/api/v3/checks/%s", house->check))->status, 403);
    assert_int_equal(api_post(house->api, "/api/v3/checks/", "{}")->status, 403);
}

/* As healthchecks makes it of a UUID. */
static const char *unique_key_of(const char *uuid)
{
    char half[17] = "", text[2 * SHA1_DIGEST_SIZE + 1];
    uint8_t digest[SHA1_DIGEST_SIZE];
    struct sha1_ctx context;

    (void)sscanf(uuid, "%8[0-9a-f]-%4[0-9a-f]-%4[0-9a-f]", half, half + 8, half + 12);
    sha1_init(&context);
    sha1_update(&context, strlen(half), (const uint8_t *)half);
    sha1_digest(&context, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
    }
    return story_text("%s", text);
}

/* Found by reading: whoever saw the list could ping each check, and so keep its silence from being noticed. */
static void whoever_may_only_look_is_not_shown_what_pings(void **state)
{
    static char reads[] = "heartbeats.read", writes[] = "heartbeats.write", others[] = "services.write";
    static const char *const secrets[] = {"uuid", "ping_url", "update_url", "pause_url", "resume_url", "channels"};
    struct house *house = *state;
    const char *unique_key = unique_key_of(house->check), *path = story_text("/api/v3/checks/%s", unique_key);
    char *few[] = {reads, others}, *all[] = {reads, writes};

    assert_int_equal(send(house, "POST", story_text("/ping/%s", house->check), "done")->status, 200);
    api_fixture_add_token(house->api, "observerobserver1234", TOCSIN__ROLE__ROLE_OBSERVER, 0);
    api_fixture_add_token(house->api, "limitedlimited123456", TOCSIN__ROLE__ROLE_LIMITED_USER, 0);
    api_fixture_add_scoped_token(house->api, "scopedadmin1234567890", TOCSIN__ROLE__ROLE_ADMIN, few, 2);
    static const char *const lookers[] = {"observerobserver1234", "limitedlimited123456", "scopedadmin1234567890"};
    for (size_t i = 0; i < sizeof lookers / sizeof *lookers; i++) {
        house->api->token = lookers[i];
        const struct api_answer *list = api_get(house->api, "/api/v3/checks/"), *one = api_get(house->api, path);
        const struct api_answer *pings = api_get(house->api, story_text("%s/pings/", path));
        assert_string_equal(api_answer_text(list, "checks", "0", "unique_key", NULL), unique_key);
        assert_string_equal(api_answer_text(one, "unique_key", NULL), unique_key);
        assert_string_equal(api_answer_text(one, "name", NULL), "Nightly");
        for (size_t j = 0; j < sizeof secrets / sizeof *secrets; j++) {
            assert_null(api_answer_at(one, secrets[j], NULL));
        }
        assert_null(strstr(list->text, house->check + 24)); /* the half that the unique key does not know */
        assert_null(strstr(one->text, house->check + 24));
        assert_null(strstr(pings->text, house->check + 24));
        const char *body = strstr(api_answer_text(pings, "pings", "0", "body_url", NULL), "/api/");
        assert_string_equal(api_get(house->api, body)->text, "done");
        assert_int_equal(api_get(house->api, story_text("%s/flips/", path))->status, 200);
        assert_int_equal(json_array_size(api_answer_at(api_get(house->api, story_text("/api/v3/checks/?after=%s", unique_key)),
                                                       "checks", NULL)), 0);
    }
    api_fixture_add_scoped_token(house->api, "scopeduser1234567890", TOCSIN__ROLE__ROLE_USER, all, 2);
    house->api->token = "scopeduser1234567890";
    assert_string_equal(api_answer_text(check(house), "uuid", NULL), house->check);
    assert_null(api_answer_at(check(house), "unique_key", NULL));
    assert_int_equal(api_post(house->api, path, "{}")->status, 404); /* changes are by the UUID */
    house->api->token = API_FIXTURE_TOKEN;
    assert_int_equal(api_get(house->api, "/api/v3/checks/0123456789012345678901234567890123456789")->status, 404);
}

static void the_second_service_must_be_named(void **state)
{
    struct house *house = *state;
    const char *policy = story_policy(house->api, "another", story_user(house->api, "Bob", "bob@example.com"));

    story_service(house->api, "second", policy);
    const struct api_answer *answer = api_post(house->api, "/api/v3/checks/", "{}");
    assert_int_equal(answer->status, 400);
    assert_non_null(strstr(api_answer_text(answer, "error", NULL), "must have a service"));
}

/* ---------------------------------------------------------------- Opsgenie */

static const struct api_answer *opsgenie(struct house *house, const char *method, const char *target, const char *body)
{
    struct api_question question = {.method = method,
                                    .target = target,
                                    .body = body,
                                    .headers = {{"Authorization", "GenieKey " API_FIXTURE_TOKEN}}};
    const struct api_answer *answer = api_fixture_ask(house->api, &question);

    assert_int_equal(strlen(api_answer_text(answer, "requestId", NULL)), 36);
    assert_true(json_is_real(api_answer_at(answer, "took", NULL)));
    return answer;
}

static void opsgenies_heartbeats_live(void **state)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH"};
    struct house *house = *state;
    const struct api_answer *answer =
        opsgenie(house, "POST", "/v2/heartbeats",
                 "{\"name\":\"the watch dog\",\"interval\":2,\"intervalUnit\":\"hours\",\"enabled\":true}");

    assert_int_equal(answer->status, 201);
    assert_string_equal(api_answer_text(answer, "data", "intervalUnit", NULL), "hours");
    assert_int_equal(json_integer_value(api_answer_at(answer, "data", "interval", NULL)), 2);
    assert_true(json_is_null(api_answer_at(answer, "data", "lastPingTime", NULL)));
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        answer = opsgenie(house, methods[i], "/v2/heartbeats/the%20watch%20dog/ping", i == 1 ? "{\"a\":1}" : NULL);
        assert_int_equal(answer->status, 202);
        assert_string_equal(api_answer_text(answer, "result", NULL), "PONG - Heartbeat received");
    }
    answer = opsgenie(house, "GET", "/v2/heartbeats/the%20watch%20dog", NULL);
    assert_string_equal(api_answer_text(answer, "data", "lastPingTime", NULL), "2026-09-21T14:13:20Z");
    answer = opsgenie(house, "PATCH", "/v2/heartbeats/the%20watch%20dog",
                      "{\"interval\":90,\"intervalUnit\":\"minutes\",\"enabled\":false}");
    assert_int_equal(answer->status, 200);
    assert_string_equal(api_answer_text(answer, "data", "intervalUnit", NULL), "minutes");
    assert_true(json_is_false(api_answer_at(answer, "data", "enabled", NULL)));
    answer = opsgenie(house, "POST", "/v2/heartbeats/the%20watch%20dog/enable", NULL);
    assert_true(json_is_true(api_answer_at(answer, "data", "enabled", NULL)));
    answer = opsgenie(house, "POST", "/v2/heartbeats/the%20watch%20dog/disable", NULL);
    assert_true(json_is_false(api_answer_at(answer, "data", "enabled", NULL)));
    answer = opsgenie(house, "GET", "/v2/heartbeats", NULL);
    assert_int_equal(json_array_size(api_answer_at(answer, "data", "heartbeats", NULL)), 2);
    assert_int_equal(opsgenie(house, "DELETE", "/v2/heartbeats/the%20watch%20dog", NULL)->status, 200);
    assert_int_equal(opsgenie(house, "GET", "/v2/heartbeats/the%20watch%20dog", NULL)->status, 404);
}

static void opsgenie_answers_pings_of_unknown_names(void **state)
{
    struct house *house = *state;

    assert_int_equal(opsgenie(house, "GET", "/v2/heartbeats/nobody/ping", NULL)->status, 202);
    assert_int_equal(house->api->submits, 0);
}

static void opsgenie_errors_say_what_is_wrong(void **state)
{
    struct house *house = *state;
    const struct api_answer *answer =
        opsgenie(house, "POST", "/v2/heartbeats", "{\"name\":\"x\",\"interval\":1,\"intervalUnit\":\"weeks\"}");

    assert_int_equal(answer->status, 422);
    assert_string_equal(api_answer_text(answer, "message", NULL),
                        "The interval must be at most a year, in minutes, hours or days");
    answer = opsgenie(house, "POST", "/v2/heartbeats",
                      "{\"name\":\"Nightly\",\"interval\":1,\"intervalUnit\":\"days\"}");
    assert_int_equal(answer->status, 409);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_ping_by_any_method_counts),
        STORY(what_stands_behind_the_key_says_how_it_went),
        STORY(a_slug_with_the_ping_key_is_another_way),
        STORY(the_first_ping_makes_the_check_when_it_is_asked_to),
        STORY(what_is_no_ping_is_refused_and_costs_no_entry),
        STORY(runs_have_durations_and_bodies_are_kept_to_their_bound),
        STORY(a_body_without_end_is_dropped_and_the_ping_counts),
        STORY(headers_that_are_no_text_do_not_cost_the_ping),
        STORY(an_idempotency_key_does_not_swallow_pings),
        STORY(a_flood_on_one_key_does_not_hurt_another),
        STORY(a_flood_is_not_forgotten_among_a_thousand_that_ping),
        STORY(a_watchdog_that_is_resolved_is_no_ping),
        STORY(a_watchdog_pings_through_each_receiver),
        STORY(without_a_leader_the_job_is_told_to_try_again),
        STORY(a_check_is_told_in_healthchecks_shape),
        STORY(defaults_are_healthchecks),
        STORY(a_change_touches_what_it_names),
        STORY(unique_finds_the_check_that_is_there),
        STORY(paused_and_resumed),
        STORY(only_posts_count_when_it_is_said_so),
        STORY(lists_are_filtered_by_every_tag),
        STORY(one_that_is_deleted_is_shown_a_last_time),
        STORY(a_schedule_takes_the_place_of_the_timeout_and_back),
        STORY(a_node_whose_clock_is_ahead_leaves_out_no_moment),
        STORY(errors_have_healthchecks_shape),
        STORY(observers_look_and_change_nothing),
        STORY(whoever_may_only_look_is_not_shown_what_pings),
        STORY(the_second_service_must_be_named),
        STORY(opsgenies_heartbeats_live),
        STORY(opsgenie_answers_pings_of_unknown_names),
        STORY(opsgenie_errors_say_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
