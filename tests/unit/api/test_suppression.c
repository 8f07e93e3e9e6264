/* Maintenance windows, mutes, pauses and change events, as clients talk about them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/engine/window_horizon.h"
#include "node/suppression/mute_match.h"
#include "tests/support/api_story.h"

#define HOUR (3600ull * 1000)
/* Where the fixture's time stands: 2026-09-21T14:13:20Z, a Monday. */
#define START API_FIXTURE_START_MS

struct house {
    struct api_fixture *api;
    const char *service, *key;
};

static int setup(void **state)
{
    struct house *house = calloc(1, sizeof *house);

    assert_non_null(house);
    house->api = api_fixture_new();
    const char *policy = story_policy(house->api, "policy", story_user(house->api, "Alice", "alice@example.com"));
    house->service = story_service(house->api, "database", policy);
    const struct api_answer *answer =
        api_post(house->api, story_text("/services/%s/integrations", house->service),
                 "{\"integration\":{\"type\":\"events_api_v2_inbound_integration\",\"name\":\"monitoring\"}}");
    house->key = api_answer_text(answer, "integration", "integration_key", NULL);
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

static const struct api_answer *window_post(struct house *house, const char *fields)
{
    return api_post(house->api, "/maintenance_windows",
                    story_text("{\"maintenance_window\":{\"type\":\"maintenance_window\",\"services\":[{\"id\":\"%s\","
                               "\"type\":\"service_reference\"}],%s}}",
                               house->service, fields));
}

static void trigger(struct house *house, const char *key)
{
    const struct api_answer *answer = api_post(
        house->api, "/v2/enqueue",
        story_text("{\"routing_key\":\"%s\",\"event_action\":\"trigger\",\"dedup_key\":\"%s\",\"payload\":{\"summary\":"
                   "\"disk full\",\"source\":\"db1\",\"severity\":\"critical\"}}",
                   house->key, key));
    assert_int_equal(answer->status, 202);
}

static size_t listed(struct house *house, const char *target, const char *plural)
{
    const struct api_answer *answer = api_get(house->api, target);

    assert_int_equal(answer->status, 200);
    return json_array_size(api_answer_at(answer, plural, NULL));
}

static void service_is(struct house *house, const char *status)
{
    const struct api_answer *answer = api_get(house->api, story_text("/services/%s", house->service));

    assert_string_equal(api_answer_text(answer, "service", "status", NULL), status);
}

/* ---------------------------------------------------------------- maintenance windows */

static void a_window_keeps_alerts_and_lets_them_go(void **state)
{
    struct house *house = *state;
    const struct api_answer *made = window_post(
        house, "\"description\":\"upgrade\",\"start_time\":\"2026-09-21T14:00:00Z\",\"end_time\":\"2026-09-21T16:00:00Z\"");
    assert_int_equal(made->status, 201);
    const char *id = api_answer_text(made, "maintenance_window", "id", NULL);
    /* A start that has passed is now, as PagerDuty has it. */
    assert_string_equal(api_answer_text(made, "maintenance_window", "start_time", NULL), "2026-09-21T14:13:20Z");
    service_is(house, "maintenance");
    trigger(house, "disk");
    assert_int_equal(listed(house, "/incidents", "incidents"), 0);
    const struct api_answer *held = api_get(house->api, "/alerts");
    assert_int_equal(json_array_size(api_answer_at(held, "alerts", NULL)), 1);
    assert_true(json_is_true(api_answer_at(held, "alerts", "0", "suppressed", NULL)));
    assert_string_equal(api_answer_text(held, "alerts", "0", "suppression", "reason", NULL), "maintenance");
    assert_string_equal(api_answer_text(held, "alerts", "0", "suppression", "text", NULL), "upgrade");
    assert_string_equal(api_answer_text(held, "alerts", "0", "suppression", "until", NULL), "2026-09-21T16:00:00Z");
    const char *alert = api_answer_text(held, "alerts", "0", "id", NULL);
    assert_int_equal(api_get(house->api, story_text("/alerts/%s", alert))->status, 200);

    assert_int_equal(api_delete(house->api, story_text("/maintenance_windows/%s", id))->status, 204);
    story_run_until(house->api, house->api->now_ms);
    assert_int_equal(listed(house, "/incidents", "incidents"), 1);
    assert_int_equal(listed(house, "/alerts", "alerts"), 0);
    assert_int_equal(api_get(house->api, story_text("/alerts/%s", alert))->status, 404);
    service_is(house, "critical");
    /* Terraform takes 405 for "it is gone". */
    assert_int_equal(api_delete(house->api, story_text("/maintenance_windows/%s", id))->status, 405);
}

static void windows_are_listed_by_when_they_are(void **state)
{
    struct house *house = *state;
    window_post(house, "\"start_time\":\"2026-09-21T14:00:00Z\",\"end_time\":\"2026-09-21T16:00:00Z\"");
    window_post(house, "\"start_time\":\"2026-09-22T14:00:00Z\",\"end_time\":\"2026-09-22T16:00:00Z\"");
    assert_int_equal(listed(house, "/maintenance_windows", "maintenance_windows"), 2);
    assert_int_equal(listed(house, "/maintenance_windows?filter=ongoing", "maintenance_windows"), 1);
    assert_int_equal(listed(house, "/maintenance_windows?filter=future", "maintenance_windows"), 1);
    assert_int_equal(listed(house, "/maintenance_windows?filter=past", "maintenance_windows"), 0);
    story_run_until(house->api, START + 3 * HOUR);
    assert_int_equal(listed(house, "/maintenance_windows?filter=past", "maintenance_windows"), 1);
    assert_int_equal(listed(house, "/maintenance_windows?filter=ongoing", "maintenance_windows"), 0);
}

static void a_window_is_changed_where_the_body_says_so(void **state)
{
    struct house *house = *state;
    const struct api_answer *made =
        window_post(house, "\"description\":\"a\",\"start_time\":\"2026-09-22T14:00:00Z\",\"end_time\":\"2026-09-22T16:00:00Z\"");
    const char *id = api_answer_text(made, "maintenance_window", "id", NULL);
    const struct api_answer *changed = api_put(house->api, story_text("/maintenance_windows/%s", id),
                                               "{\"maintenance_window\":{\"end_time\":\"2026-09-22T18:00:00+02:00\"}}");
    assert_int_equal(changed->status, 200);
    assert_string_equal(api_answer_text(changed, "maintenance_window", "description", NULL), "a");
    assert_string_equal(api_answer_text(changed, "maintenance_window", "end_time", NULL), "2026-09-22T16:00:00Z");
    assert_int_equal(json_array_size(api_answer_at(changed, "maintenance_window", "services", NULL)), 1);
}

/* Sunday 22:00 to Monday 02:00 in Berlin: UTC+2 until 2026-10-25, then UTC+1. The change of clocks is within one of them. */
static void a_weekly_window_keeps_its_time_of_day_when_clocks_change(void **state)
{
    struct house *house = *state;
    const struct api_answer *made =
        window_post(house, "\"start_time\":\"2026-10-18T22:00:00+02:00\",\"end_time\":\"2026-10-19T04:00:00+02:00\","
                           "\"recurrence\":{\"type\":\"weekly\",\"time_zone\":\"Europe/Berlin\"}");
    assert_int_equal(made->status, 201);
    assert_int_equal(story_number(made, "maintenance_window", "sequence_number") > 0, 1);
    json_t *days = api_answer_at(made, "maintenance_window", "recurrence", "days_of_week", NULL);
    assert_int_equal(json_array_size(days), 1);
    assert_int_equal(json_integer_value(json_array_get(days, 0)), 7);
    static const struct {
        uint64_t at_ms;
        const char *start, *end;
    } EXPECTED[] = {
        {START, "2026-10-18T20:00:00Z", "2026-10-19T02:00:00Z"},
        {1792461600000u, "2026-10-25T21:00:00Z", "2026-10-26T03:00:00Z"}, /* 2026-10-20 */
        {1793066400000u, "2026-11-01T21:00:00Z", "2026-11-02T03:00:00Z"}, /* 2026-10-27 */
    };
    const char *id = api_answer_text(made, "maintenance_window", "id", NULL);
    for (size_t i = 0; i < sizeof EXPECTED / sizeof *EXPECTED; i++) {
        story_run_until(house->api, EXPECTED[i].at_ms);
        const struct api_answer *window = api_get(house->api, story_text("/maintenance_windows/%s", id));
        assert_string_equal(api_answer_text(window, "maintenance_window", "current_or_next", "start", NULL),
                            EXPECTED[i].start);
        assert_string_equal(api_answer_text(window, "maintenance_window", "current_or_next", "end", NULL),
                            EXPECTED[i].end);
    }
}

static void what_holds_in_one_span_pages_at_its_end(void **state)
{
    struct house *house = *state;
    assert_int_equal(window_post(house, "\"start_time\":\"2026-09-21T14:00:00Z\",\"end_time\":\"2026-09-21T16:00:00Z\","
                                        "\"recurrence\":{\"type\":\"daily\",\"time_zone\":\"Etc/UTC\"}")
                         ->status,
                     201);
    trigger(house, "disk");
    story_run_until(house->api, START + 2 * HOUR);
    assert_int_equal(listed(house, "/incidents", "incidents"), 1);
    service_is(house, "critical");
    story_run_until(house->api, START + 24 * HOUR);
    service_is(house, "maintenance");
}

static void windows_that_make_no_sense_are_refused_with_a_sentence(void **state)
{
    struct house *house = *state;
    static const struct {
        const char *fields, *sentence;
    } BAD[] = {
        {"\"start_time\":\"2026-09-21T16:00:00Z\",\"end_time\":\"2026-09-21T15:00:00Z\"", "end after its start"},
        {"\"start_time\":\"tomorrow\",\"end_time\":\"2026-09-21T15:00:00Z\"", "'start_time' must be a time"},
        {"\"end_time\":\"2026-09-21T15:00:00Z\"", "'start_time' must be a time"},
        {"\"start_time\":\"2020-01-01T00:00:00Z\",\"end_time\":\"2020-01-01T01:00:00Z\"", "end after its start"},
        {"\"start_time\":\"2026-09-22T14:00:00Z\",\"end_time\":\"2026-09-22T15:00:00Z\",\"recurrence\":{\"type\":\"daily\","
         "\"time_zone\":\"Mars/Olympus\"}",
         "not a known time zone"},
        {"\"start_time\":\"2026-09-22T14:00:00Z\",\"end_time\":\"2026-09-24T15:00:00Z\",\"recurrence\":{\"type\":\"daily\","
         "\"time_zone\":\"Etc/UTC\"}",
         "until it begins again"},
        {"\"start_time\":\"2026-09-22T14:00:00Z\",\"end_time\":\"2026-09-22T15:00:00Z\",\"recurrence\":{\"type\":\"weekly\","
         "\"days_of_week\":[3],\"time_zone\":\"Etc/UTC\"}",
         "must be on one of"},
        {"\"start_time\":\"2026-09-22T14:00:00Z\",\"end_time\":\"2026-09-22T15:00:00Z\",\"recurrence\":{\"type\":\"hourly\","
         "\"time_zone\":\"Etc/UTC\"}",
         "type"},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        story_refused(window_post(house, BAD[i].fields), 400, 2001, BAD[i].sentence);
    }
    assert_int_equal(listed(house, "/maintenance_windows", "maintenance_windows"), 0);
}

/* The simulator found that it paged through the rest of the day's span. */
static void a_node_whose_clock_is_ahead_leaves_out_no_span_under_way(void **state)
{
    struct house *house = *state;
    house->api->ahead_ms = 6 * HOUR;
    const struct api_answer *made =
        window_post(house, "\"start_time\":\"2026-09-20T14:00:00Z\",\"end_time\":\"2026-09-20T16:00:00Z\","
                           "\"recurrence\":{\"type\":\"daily\",\"time_zone\":\"Etc/UTC\"}");
    assert_string_equal(api_answer_text(made, "maintenance_window", "current_or_next", "start", NULL), "2026-09-21T14:00:00Z");
    trigger(house, "disk");
    assert_int_equal(listed(house, "/incidents", "incidents"), 0);
    const char *id = api_answer_text(made, "maintenance_window", "id", NULL);
    (void)api_put(house->api, story_text("/maintenance_windows/%s", id), "{\"maintenance_window\":{\"description\":\"longer\"}}");
    story_run_until(house->api, house->api->now_ms);
    assert_int_equal(listed(house, "/incidents", "incidents"), 0);
}

/* What the leader does daily. */
static void a_window_that_recurs_is_rendered_a_day_further_each_day(void **state)
{
    struct house *house = *state;
    Tocsin__MaintenanceWindowExtend extend;
    uint64_t id = 0;
    unsigned looks = 10;
    window_post(house, "\"start_time\":\"2026-09-21T14:00:00Z\",\"end_time\":\"2026-09-21T16:00:00Z\","
                       "\"recurrence\":{\"type\":\"daily\",\"time_zone\":\"Europe/London\"}");
    assert_false(window_horizon_next(&house->api->view, house->api->now_ms, &looks, &id, &extend));
    story_run_until(house->api, START + 24 * HOUR);
    assert_true(window_horizon_next(&house->api->view, house->api->now_ms, &looks, &id, &extend));
    assert_in_range(extend.n_spans, 366, 367);
    assert_true(extend.spans[extend.n_spans - 1]->start_ms > START + 366 * 24 * HOUR);
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_MAINTENANCE_WINDOW_EXTEND;
    command.maintenance_window_extend = &extend;
    Tocsin__Reply *reply = api_fixture_apply(house->api, &command);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    tocsin__reply__free_unpacked(reply, NULL);
    free(extend.spans);
    assert_false(window_horizon_next(&house->api->view, house->api->now_ms, &looks, &id, &extend));
    assert_int_equal(id, 0);
    assert_false(window_horizon_next(&house->api->view, house->api->now_ms, &looks, &id, &extend));
}

/* ---------------------------------------------------------------- pauses */

static void the_pause_of_a_service_reads_back_and_holds(void **state)
{
    struct house *house = *state;
    const char *target = story_text("/services/%s", house->service);
#define PAUSE(timeout) "{\"service\":{\"auto_pause_notifications_parameters\":{\"enabled\":true,\"timeout\":" timeout "}}}"
    story_refused(api_put(house->api, target, PAUSE("100")), 400, 2001, "120, 180, 300, 600 or 900");
    const struct api_answer *changed = api_put(house->api, target, PAUSE("300"));
    assert_int_equal(changed->status, 200);
    assert_int_equal(json_integer_value(api_answer_at(changed, "service", "auto_pause_notifications_parameters", "timeout",
                                                      NULL)),
                     300);
#undef PAUSE
    trigger(house, "blip");
    assert_string_equal(api_answer_text(api_get(house->api, "/alerts"), "alerts", "0", "suppression", "reason", NULL),
                        "paused");
    story_run_until(house->api, START + 299999);
    assert_int_equal(listed(house, "/incidents", "incidents"), 0);
    story_run_until(house->api, START + 300000);
    assert_int_equal(listed(house, "/incidents", "incidents"), 1);
}

/* ---------------------------------------------------------------- mutes */

/* What the leader would say of the alert that waits. */
static uint64_t fitting_mute(struct house *house)
{
    struct machine_store *view = &house->api->view;
    struct walk walk = walk_under(view, TABLE_HELD, 0);
    assert_true(walk_next(&walk));
    Tocsin__Alert *alert = alert_get(view, 0, span_number(walk.key, 1), NULL);
    struct mute_set *set = mute_set_new(view);
    uint64_t id = mute_set_find(set, view, alert, house->api->now_ms);
    mute_set_free(set);
    tocsin__alert__free_unpacked(alert, NULL);
    return id;
}

static const struct api_answer *mute(struct house *house, const char *matchers, const char *more)
{
    return api_post(house->api, "/mutes",
                    story_text("{\"mute\":{\"matchers\":[%s],\"reason\":\"ticket 7\"%s}}", matchers, more));
}

static void a_mute_fits_what_all_its_matchers_fit(void **state)
{
    struct house *house = *state;
    static const struct {
        const char *matchers;
        bool fits;
    } CASES[] = {
        {"\"summary=disk full\"", true},
        {"\"summary=disk\"", false},
        {"\"summary=~disk.*\"", true},
        {"\"summary=~full\"", false}, /* anchored */
        {"\"summary!=disk full\",\"severity=critical\"", false},
        {"\"severity=critical\",\"source=~db[0-9]+\",\"service=database\"", true},
        {"\"severity=critical\",\"absent=\"", true},
        {"\"severity=critical\",\"absent!=\"", false},
        {"\"severity=critical\",\"absent=~.+\"", false},
        {"\"severity=critical\",\"rack!~r[12]\"", true},
        {"\"rack=r3\"", true},
        {"\"custom_details.rack=\\\"r3\\\"\"", true},
        {"\"ports=[1,2]\"", true},
        {"\"alertname=Disk\"", true}, /* a label of Prometheus */
        {"{\"name\":\"rack\",\"value\":\"r(1|3)\",\"isRegex\":true,\"isEqual\":true}", true},
        {"\"summary=~(?i)DISK.*\"", true},
        {"\"summary=~(x*)*y|(a|a)*b\"", false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const struct api_answer *made = mute(house, CASES[i].matchers, "");
        assert_int_equal(made->status, 201);
        const char *id = api_answer_text(made, "mute", "id", NULL);
        assert_int_equal(
            api_post(house->api, "/v2/enqueue",
                     story_text("{\"routing_key\":\"%s\",\"event_action\":\"trigger\",\"dedup_key\":\"k\",\"payload\":{"
                                "\"summary\":\"disk full\",\"source\":\"db1\",\"severity\":\"critical\",\"custom_details\":{"
                                "\"rack\":\"r3\",\"ports\":[1,2],\"labels\":{\"alertname\":\"Disk\"}}}}",
                                house->key))
                ->status,
            202);
        if ((fitting_mute(house) != 0) != CASES[i].fits) {
            fail_msg("%s", CASES[i].matchers);
        }
        assert_int_equal(api_post(house->api, "/v2/enqueue",
                                  story_text("{\"routing_key\":\"%s\",\"event_action\":\"resolve\",\"dedup_key\":\"k\"}",
                                             house->key))
                             ->status,
                         202);
        assert_int_equal(api_delete(house->api, story_text("/mutes/%s", id))->status, 204);
    }
    assert_int_equal(listed(house, "/mutes", "mutes"), 0);
    assert_int_equal(listed(house, "/mutes?status[]=expired", "mutes"), sizeof CASES / sizeof *CASES);
}

/* What waits was looked at in one turn of the loop, 256 times some 10 ms where expressions are hostile: found by reading. */
static void no_more_alerts_are_looked_at_in_one_turn_than_the_loop_can_bear(void **state)
{
    struct house *house = *state;
    Tocsin__MuteVerdict verdicts[LIMIT_VERDICTS_PER_COMMAND];
    char text[6000 + 1] = "";
    struct mute_set *set;

    memset(text, 'a', sizeof text - 1);
    assert_int_equal(mute(house, "\"text=never\"", "")->status, 201);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(
            api_post(house->api, "/v2/enqueue",
                     story_text("{\"routing_key\":\"%s\",\"event_action\":\"trigger\",\"dedup_key\":\"%d\",\"payload\":{"
                                "\"summary\":\"full\",\"source\":\"db1\",\"severity\":\"error\",\"custom_details\":{"
                                "\"text\":\"%s\"}}}", house->key, i, text))->status, 202);
    }
    set = mute_set_new(&house->api->view);
    assert_int_equal(mute_set_judge(set, &house->api->view, house->api->now_ms, verdicts), 9);
    mute_set_free(set);
    assert_int_equal(mute(house, "\"text=~([ab]*c?){100}d\"", "")->status, 201);
    set = mute_set_new(&house->api->view);
    assert_int_equal(mute_set_judge(set, &house->api->view, house->api->now_ms, verdicts), 4);
    assert_int_equal(verdicts[3].mute_id, 0);
    mute_set_free(set);
    for (size_t answered = 0; answered < 9;) { /* the others have their turn next */
        size_t count = story_answer_mutes(house->api);
        assert_in_range(count, 1, 4);
        answered += count;
    }
    assert_int_equal(story_answer_mutes(house->api), 0);
    assert_int_equal(listed(house, "/incidents", "incidents"), 9);
}

static void a_mute_is_for_an_hour_and_a_day_at_most(void **state)
{
    struct house *house = *state;
    const struct api_answer *made = mute(house, "\"service=database\"", "");
    assert_string_equal(api_answer_text(made, "mute", "end_time", NULL), "2026-09-21T15:13:20Z");
    assert_string_equal(api_answer_text(made, "mute", "status", NULL), "active");
    assert_string_equal(api_answer_text(made, "mute", "matchers", "0", NULL), "service=\"database\"");
    const char *id = api_answer_text(made, "mute", "id", NULL);
    const struct api_answer *changed =
        api_put(house->api, story_text("/mutes/%s", id), "{\"mute\":{\"duration\":86400}}");
    assert_int_equal(changed->status, 200);
    assert_string_equal(api_answer_text(changed, "mute", "end_time", NULL), "2026-09-22T14:13:20Z");
    /* What is shown can be sent again (found by fuzzing: a tabulator became a backslash and a letter). */
    const struct api_answer *odd = mute(house, "\"summary=~\\\"a\\\\\\\\d\\tb\\\"\"", "");
    assert_string_equal(api_answer_text(odd, "mute", "matchers", "0", NULL), "summary=~\"a\\\\d\tb\"");
    story_refused(mute(house, "\"service=database\"", ",\"duration\":86401"), 400, 2001, "duration");
    story_refused(mute(house, "\"service=database\"", ",\"end_time\":\"2026-09-23T00:00:00Z\""), 400, 2001,
                  "at most 24 hours");
    story_refused(mute(house, "\"service=~.*\"", ""), 400, 2001, "mute everything");
    story_refused(mute(house, "\"service=~(\"", ""), 400, 2001, "is invalid");
    story_refused(mute(house, "\"nonsense\"", ""), 400, 2001, "name=value");
    story_refused(mute(house, "", ""), 400, 2001, "'matchers' can't be blank");
    story_refused(api_post(house->api, "/mutes", "{\"mute\":{\"matchers\":[\"a=b\"]}}"), 400, 2001, "'reason'");
}

static void silences_are_mutes(void **state)
{
    struct house *house = *state;
    static const char *const SILENCE =
        "{\"matchers\":[{\"name\":\"alertname\",\"value\":\"Disk\",\"isRegex\":false}],\"startsAt\":"
        "\"2026-09-21T14:00:00.123456789Z\",\"endsAt\":\"2026-09-21T16:13:20.5+00:00\",\"createdBy\":\"bob\",\"comment\":"
        "\"ticket 7\"}";
    const struct api_answer *made = api_post(house->api, "/api/v2/silences", SILENCE);
    assert_int_equal(made->status, 200);
    const char *id = api_answer_text(made, "silenceID", NULL);
    const struct api_answer *all = api_get(house->api, "/api/v2/silences");
    assert_int_equal(json_array_size(all->json), 1);
    assert_string_equal(api_answer_text(all, "0", "id", NULL), id);
    assert_string_equal(api_answer_text(all, "0", "status", "state", NULL), "active");
    assert_string_equal(api_answer_text(all, "0", "createdBy", NULL), "bob");
    assert_true(json_is_true(api_answer_at(all, "0", "matchers", "0", "isEqual", NULL)));
    assert_int_equal(listed(house, "/mutes", "mutes"), 1);
    assert_int_equal(json_array_size(api_get(house->api, "/api/v2/silences?filter=alertname%3D%22Disk%22")->json), 1);
    assert_int_equal(json_array_size(api_get(house->api, "/api/v2/silences?filter=alertname%3D~%22Cpu.*%22")->json), 0);
    assert_int_equal(json_array_size(api_get(house->api, "/api/v2/silences?filter=other%3D%22x%22")->json), 0);
    assert_int_equal(api_get(house->api, "/api/v2/silences?filter=other")->status, 400);
    assert_int_equal(api_get(house->api, story_text("/api/v2/silence/%s", id))->status, 200);
    assert_int_equal(api_delete(house->api, story_text("/api/v2/silence/%s", id))->status, 200);
    assert_int_equal(json_array_size(api_get(house->api, "/api/v2/silences?expired=false")->json), 0);
    assert_string_equal(api_answer_text(api_get(house->api, "/api/v2/silences"), "0", "status", "state", NULL), "expired");

    const struct api_answer *refused = api_delete(house->api, "/api/v2/silence/nonsense");
    assert_int_equal(refused->status, 404);
    assert_true(json_is_string(refused->json));
    refused = api_post(house->api, "/api/v2/silences", "{\"matchers\":[]}");
    assert_int_equal(refused->status, 400);
    assert_true(json_is_string(refused->json));
}

/* Each filter was compiled anew for each silence, and nothing bounded them together: found by reading. */
static void filters_of_silences_are_bounded(void **state)
{
    struct house *house = *state;
    char value[1000 + 1] = "", target[4096] = "/api/v2/silences?active=true";

    memset(value, 'a', sizeof value - 1);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(mute(house, story_text("\"text=%s\"", value), "")->status, 201);
    }
    assert_int_equal(json_array_size(api_get(house->api, "/api/v2/silences?filter=text!~\"a%2Bb\"")->json), 4);
    const struct api_answer *refused = api_get(house->api, "/api/v2/silences?filter=text!~\"([ab]*c?){120}d\"");
    assert_int_equal(refused->status, 400);
    assert_non_null(strstr(json_string_value(refused->json), "ask for too much"));
    for (unsigned i = 0; i < LIMIT_MATCHERS_PER_MUTE; i++) {
        (void)strcat(target, "&filter=x!~\"b%2B\"");
    }
    assert_int_equal(json_array_size(api_get(house->api, target)->json), 4);
    refused = api_get(house->api, strcat(target, "&filter=x=\"y\""));
    assert_int_equal(refused->status, 400);
    assert_non_null(strstr(json_string_value(refused->json), "too many filters"));
}

/* amtool, Grafana and Karma log in to an Alertmanager by name and password: the password is the token. */
static void silences_open_with_a_token_as_password(void **state)
{
    static const char SILENCE[] = "{\"matchers\":[{\"name\":\"alertname\",\"value\":\"Disk\",\"isRegex\":false}],\"startsAt\":"
                                  "\"2026-09-21T14:00:00Z\",\"endsAt\":\"2026-09-21T16:00:00Z\",\"createdBy\":\"bob\","
                                  "\"comment\":\"ticket 7\"}";
    static const struct {
        const char *target, *credentials; /* base64 */
        unsigned status;
    } CASES[] = {
        {"/api/v2/silences", "Ym9iOmZpeHR1cmVhZG1pbnRva2VuMTIz", 200}, /* bob:fixtureadmintoken123 */
        {"/api/v2/silences", "Zml4dHVyZWFkbWludG9rZW4xMjM6", 200},     /* fixtureadmintoken123: */
        {"/api/v2/silences", "Ym9iOm5vYm9keXM=", 401},                 /* bob:nobodys */
        {"/api/v2/silences", "Og==", 401},
        {"/mutes", "Ym9iOmZpeHR1cmVhZG1pbnRva2VuMTIz", 401}, /* PagerDuty's face has none */
    };
    struct house *house = *state;

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct api_question question = {.method = "POST", .target = CASES[i].target, .body = SILENCE};
        question.headers[0] = (struct http_parameter){"Authorization", story_text("Basic %s", CASES[i].credentials)};
        assert_int_equal(api_fixture_ask(house->api, &question)->status, CASES[i].status);
    }
    assert_int_equal(listed(house, "/mutes", "mutes"), 2);
}

/* ---------------------------------------------------------------- change events */

static const struct api_answer *change(struct house *house, const char *payload)
{
    return api_post(house->api, "/v2/change/enqueue",
                    story_text("{\"routing_key\":\"%s\",\"payload\":%s,\"links\":[{\"href\":\"https://example.org\"}]}",
                               house->key, payload));
}

static void changes_stand_beside_incidents(void **state)
{
    struct house *house = *state;
    const struct api_answer *taken =
        change(house, "{\"summary\":\"Build 7\",\"source\":\"ci\",\"timestamp\":\"2026-09-21T12:00:00.000+0000\","
                      "\"custom_details\":{\"by\":\"Bob\"}}");
    assert_int_equal(taken->status, 202);
    assert_string_equal(api_answer_text(taken, "message", NULL), "Change event processed");
    assert_int_equal(change(house, "{\"summary\":\"old\",\"timestamp\":\"2026-09-19T12:00:00Z\"}")->status, 202);
    const struct api_answer *all = api_get(house->api, story_text("/services/%s/change_events", house->service));
    assert_int_equal(json_array_size(api_answer_at(all, "change_events", NULL)), 2);
    assert_string_equal(api_answer_text(all, "change_events", "1", "summary", NULL), "Build 7");
    assert_string_equal(api_answer_text(all, "change_events", "1", "custom_details", "by", NULL), "Bob");
    assert_string_equal(api_answer_text(all, "change_events", "1", "links", "0", "href", NULL), "https://example.org");
    assert_int_equal(listed(house, "/change_events?limit=1", "change_events"), 1);
    assert_int_equal(listed(house, "/change_events?since=2026-09-20T00:00:00Z", "change_events"), 1);
    const char *id = api_answer_text(all, "change_events", "1", "id", NULL);
    assert_int_equal(api_get(house->api, story_text("/change_events/%s", id))->status, 200);

    trigger(house, "disk");
    const char *incident = api_answer_text(api_get(house->api, "/incidents"), "incidents", "0", "id", NULL);
    const struct api_answer *related =
        api_get(house->api, story_text("/incidents/%s/related_change_events", incident));
    assert_int_equal(json_array_size(api_answer_at(related, "change_events", NULL)), 1);
    assert_string_equal(api_answer_text(related, "change_events", "0", "correlation_reason", "reason", NULL),
                        "most_recent");
    /* A change is no alert. */
    assert_int_equal(listed(house, "/incidents", "incidents"), 1);
}

static void changes_that_say_nothing_are_refused(void **state)
{
    struct house *house = *state;
    assert_int_equal(change(house, "{\"source\":\"ci\"}")->status, 400);
    assert_int_equal(change(house, "{\"summary\":\"x\",\"timestamp\":\"yesterday\"}")->status, 400);
    house->key = "00000000000000000000000000000000";
    assert_int_equal(change(house, "{\"summary\":\"x\"}")->status, 400);
    house->key = "short";
    assert_int_equal(change(house, "{\"summary\":\"x\"}")->status, 400);
    assert_int_equal(listed(house, "/change_events", "change_events"), 0);
}

/* ---------------------------------------------------------------- why it is quiet */

static const struct api_answer *why_of_newest(struct house *house)
{
    const char *alert = api_answer_text(api_get(house->api, "/alerts?statuses[]=suppressed&statuses[]=resolved"), "alerts", "0", "id", NULL);
    const struct api_answer *answer = api_get(house->api, story_text("/alerts/%s/why", alert));

    assert_int_equal(answer->status, 200);
    assert_true(json_is_false(api_answer_at(answer, "why", "paged", NULL)));
    return answer;
}

static void says(const struct api_answer *answer, const char *reason, const char *text)
{
    assert_string_equal(api_answer_text(answer, "why", "reason", NULL), reason);
    const char *sentence = api_answer_text(answer, "why", "sentence", NULL);
    if (strstr(sentence, text) == NULL) {
        fail_msg("%s", sentence);
    }
}

static void resolve(struct house *house, const char *key)
{
    const struct api_answer *answer = api_post(
        house->api, "/v2/enqueue",
        story_text("{\"routing_key\":\"%s\",\"event_action\":\"resolve\",\"dedup_key\":\"%s\"}", house->key, key));
    assert_int_equal(answer->status, 202);
}

static void whoever_was_not_woken_can_see_why(void **state)
{
    struct house *house = *state;
    uint64_t user_id = api_fixture_add_user(house->api, "Grace", "grace@example.com", TOCSIN__ROLE__ROLE_LIMITED_USER);
    api_fixture_add_token(house->api, "tokenofgrace", TOCSIN__ROLE__ROLE_NONE, user_id);
    house->api->token = "tokenofgrace";
    assert_int_equal(api_post(house->api, "/mutes", "{\"mute\":{\"matchers\":[\"summary=disk full\"],\"reason\":\"ticket 7\",\"duration\":3600}}")->status,
                     201);
    house->api->token = API_FIXTURE_TOKEN;
    trigger(house, "disk");
    says(why_of_newest(house), "mutes_asked", "looked whether a mute fits");
    assert_int_equal(story_answer_mutes(house->api), 1);
    const struct api_answer *why = why_of_newest(house);
    says(why, "muted", "It wakes nobody for now: Grace muted it (ticket 7). If it still fires at 2026-09-21T15:13:20Z");
    assert_string_equal(api_answer_text(why, "why", "who", "summary", NULL), "Grace");
    assert_string_equal(api_answer_text(why, "why", "status", NULL), "suppressed");
    assert_int_equal(listed(house, "/alerts?statuses[]=suppressed", "alerts"), 1);
    assert_int_equal(listed(house, "/alerts?reasons[]=muted", "alerts"), 1);
    assert_int_equal(listed(house, "/alerts?reasons[]=maintenance", "alerts"), 0);
    assert_int_equal(listed(house, "/alerts?statuses[]=resolved", "alerts"), 0);
    resolve(house, "disk");
    says(why_of_newest(house), "muted", "It woke nobody: Grace muted it (ticket 7). It was resolved at");
    assert_int_equal(listed(house, "/alerts?statuses[]=suppressed", "alerts"), 0);
    assert_int_equal(listed(house, "/alerts?statuses[]=resolved", "alerts"), 1);
    assert_int_equal(api_get(house->api, "/alerts/P00009Z/why")->status, 404);
    story_refused(api_get(house->api, "/alerts?statuses[]=supressed"), 400, 2001, "not known");
    story_refused(api_get(house->api, "/alerts?reasons[]=mutd"), 400, 2001, "not known");
    story_refused(api_get(house->api, "/mutes?status[]=actve"), 400, 2001, "not known");
    story_refused(api_get(house->api, "/incidents?since=2026-09-02&until=2026-09-01"), 400, 2001, "before 'since'");
    story_refused(api_get(house->api, "/log_entries?since=2026-09-02&until=2026-09-01"), 400, 2001, "before 'since'");
}

static void a_window_says_whose_it_is(void **state)
{
    struct house *house = *state;
    window_post(house, "\"description\":\"upgrade\",\"start_time\":\"2026-09-21T14:00:00Z\",\"end_time\":\"2026-09-21T16:00:00Z\"");
    trigger(house, "disk");
    says(why_of_newest(house), "maintenance", "its service was in maintenance (upgrade), as");
}

static void what_comes_for_a_service_that_is_switched_off_is_noted(void **state)
{
    struct house *house = *state;
    assert_int_equal(api_put(house->api, story_text("/services/%s", house->service), "{\"service\":{\"status\":\"disabled\"}}")->status, 200);
    trigger(house, "disk");
    assert_int_equal(listed(house, "/alerts", "alerts"), 0);
    const struct api_answer *aside = api_get(house->api, story_text("/event_orchestrations/%s/events_aside", house->service));
    assert_int_equal(aside->status, 200);
    assert_int_equal(json_array_size(api_answer_at(aside, "events_aside", NULL)), 1);
    assert_string_equal(api_answer_text(aside, "events_aside", "0", "disposition", NULL), "service_disabled");
    assert_string_equal(api_answer_text(aside, "events_aside", "0", "summary", NULL), "disk full");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_window_keeps_alerts_and_lets_them_go),
        TEST(windows_are_listed_by_when_they_are),
        TEST(a_window_is_changed_where_the_body_says_so),
        TEST(a_weekly_window_keeps_its_time_of_day_when_clocks_change),
        TEST(what_holds_in_one_span_pages_at_its_end),
        TEST(a_node_whose_clock_is_ahead_leaves_out_no_span_under_way),
        TEST(windows_that_make_no_sense_are_refused_with_a_sentence),
        TEST(a_window_that_recurs_is_rendered_a_day_further_each_day),
        TEST(the_pause_of_a_service_reads_back_and_holds),
        TEST(a_mute_fits_what_all_its_matchers_fit),
        TEST(no_more_alerts_are_looked_at_in_one_turn_than_the_loop_can_bear),
        TEST(a_mute_is_for_an_hour_and_a_day_at_most),
        TEST(silences_are_mutes),
        TEST(filters_of_silences_are_bounded),
        TEST(silences_open_with_a_token_as_password),
        TEST(changes_stand_beside_incidents),
        TEST(changes_that_say_nothing_are_refused),
        TEST(whoever_was_not_woken_can_see_why),
        TEST(a_window_says_whose_it_is),
        TEST(what_comes_for_a_service_that_is_switched_off_is_noted),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
