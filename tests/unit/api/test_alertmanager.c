/* Alerts as Prometheus, amtool and Alertmanager's webhook send them, and what amtool sees of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "tests/support/api_fixture.h"
#include "tests/support/api_story.h"

#define MINUTE_MS 60000u
/* API_FIXTURE_START_MS is 2026-09-21T14:13:20Z. */
#define LATER "2026-09-21T14:17:20.5Z"
#define BEFORE "2026-09-21T14:13:10Z"
#define LABELS "\"labels\":{\"alertname\":\"DiskFull\",\"instance\":\"db1\",\"severity\":\"critical\",\"empty\":\"\"}"
#define ALERT "{" LABELS ",\"annotations\":{\"summary\":\"The disk of db1 is full\"},\"endsAt\":\"" LATER "\"}"

struct house {
    struct api_fixture *api;
    const char *key; /* of an integration */
    const char *alerts, *webhook;
};

static int setup(void **state)
{
    struct house *house = calloc(1, sizeof *house);

    assert_non_null(house);
    house->api = api_fixture_new();
    const char *policy = story_policy(house->api, "policy", story_user(house->api, "Alice", "alice@example.com"));
    const char *service = story_service(house->api, "database", policy);
    const struct api_answer *answer =
        api_post(house->api, story_text("/services/%s/integrations", service),
                 "{\"integration\":{\"type\":\"events_api_v2_inbound_integration\",\"name\":\"Prometheus\"}}");
    assert_int_equal(answer->status, 201);
    house->key = api_answer_text(answer, "integration", "integration_key", NULL);
    house->alerts = strdup(story_text("/integration/%s/api/v2/alerts", house->key));
    house->webhook = strdup(story_text("/integration/%s/alertmanager", house->key));
    house->api->submits = 0;
    *state = house;
    return 0;
}

static int teardown(void **state)
{
    struct house *house = *state;

    api_fixture_free(house->api);
    free((char *)house->alerts);
    free((char *)house->webhook);
    free(house);
    return 0;
}

static const struct api_answer *incidents(struct house *house)
{
    house->api->token = API_FIXTURE_TOKEN;
    return api_get(house->api, "/incidents?date_range=all");
}

static void expect_incidents(struct house *house, size_t count, const char *status_of_first)
{
    const struct api_answer *answer = incidents(house);

    assert_int_equal(json_array_size(api_answer_at(answer, "incidents", NULL)), count);
    if (count > 0) {
        assert_string_equal(api_answer_text(answer, "incidents", "0", "status", NULL), status_of_first);
    }
}

static const struct api_answer *send(struct house *house, const char *target, const char *authorization, const char *body)
{
    struct api_question question = {.method = "POST", .target = target, .body = body};

    if (authorization != NULL) {
        question.headers[0] = (struct http_parameter){"Authorization", authorization};
    }
    return api_fixture_ask(house->api, &question);
}

static void taken(const struct api_answer *answer)
{
    if (answer->status != 200 || answer->text[0] != '\0') {
        fail_msg("%u %s", answer->status, answer->text);
    }
}

/* Alertmanager's own shape of an error: one text. */
static void refused(const struct api_answer *answer, unsigned status, const char *text)
{
    assert_int_equal(answer->status, status);
    assert_true(json_is_string(answer->json));
    if (strstr(json_string_value(answer->json), text) == NULL) {
        fail_msg("\"%s\" is not in %s", text, answer->text);
    }
}

/* Seconds pass, and the leader ticks. */
static void live_until(struct house *house, uint64_t at_ms)
{
    while (house->api->now_ms < at_ms) {
        story_run_until(house->api, house->api->now_ms + 1000);
        Tocsin__Tick tick = TOCSIN__TICK__INIT;
        Tocsin__Command command = TOCSIN__COMMAND__INIT;
        command.body_case = TOCSIN__COMMAND__BODY_TICK;
        command.tick = &tick;
        tocsin__reply__free_unpacked(api_fixture_apply(house->api, &command), NULL);
    }
}

static void an_idempotency_key_is_not_that_of_each_alert_of_the_request(void **state)
{
    struct house *house = *state;
    struct api_question question = {.method = "POST",
                                    .target = house->alerts,
                                    .body = "[{\"labels\":{\"alertname\":\"a\"}},{\"labels\":{\"alertname\":\"b\"}},{\"labels\":{\"alertname\":\"c\"}}]",
                                    .headers = {{"Idempotency-Key", "once"}}};

    taken(api_fixture_ask(house->api, &question));
    taken(api_fixture_ask(house->api, &question));
    expect_incidents(house, 3, "triggered");
}

static void an_alert_opens_an_incident_and_its_repeats_are_no_news(void **state)
{
    struct house *house = *state;

    taken(send(house, house->alerts, NULL, "[" ALERT "]"));
    const Tocsin__Event *event = house->api->last_command->event;
    assert_string_equal(event->summary, "The disk of db1 is full");
    assert_string_equal(event->source, "db1");
    assert_string_equal(event->class_name, "DiskFull");
    assert_int_equal(event->severity, TOCSIN__SEVERITY__SEVERITY_CRITICAL);
    assert_int_equal(event->expires_at_ms, API_FIXTURE_START_MS + 240500);
    for (unsigned i = 0; i < 5; i++) {
        taken(send(house, house->alerts, NULL, "[" ALERT "]"));
    }
    expect_incidents(house, 1, "triggered");
    const char *id = api_answer_text(incidents(house), "incidents", "0", "id", NULL);
    const struct api_answer *alerts = api_get(house->api, story_text("/incidents/%s/alerts", id));
    assert_int_equal(json_integer_value(api_answer_at(alerts, "alerts", "0", "events", NULL)), 6);
    const struct api_answer *log = api_get(house->api, story_text("/incidents/%s/log_entries", id));
    size_t triggers = 0, i;
    json_t *entry;
    json_array_foreach(api_answer_at(log, "log_entries", NULL), i, entry)
    {
        triggers += strcmp(json_string_value(json_object_get(entry, "type")), "trigger_log_entry") == 0;
    }
    assert_int_equal(triggers, 1);
}

static void an_alert_that_ends_is_resolved(void **state)
{
    struct house *house = *state;

    taken(send(house, house->alerts, NULL, "[" ALERT "]"));
    taken(send(house, house->alerts, NULL, "[{" LABELS ",\"startsAt\":\"2026-09-21T14:00:00+00:00\",\"endsAt\":\"" BEFORE "\"}]"));
    expect_incidents(house, 1, "resolved");
    taken(send(house, house->alerts, NULL, "[{\"labels\":{\"alertname\":\"Unheard\"},\"endsAt\":\"" BEFORE "\"}]"));
    expect_incidents(house, 1, "resolved");
}

static void an_alert_that_is_not_sent_again_is_over_at_its_end(void **state)
{
    struct house *house = *state;

    taken(send(house, house->alerts, NULL, "[" ALERT "]"));
    live_until(house, API_FIXTURE_START_MS + 2 * MINUTE_MS);
    expect_incidents(house, 1, "triggered");
    taken(send(house, house->alerts, NULL, "[{" LABELS "}]")); /* no end: five minutes from now */
    live_until(house, API_FIXTURE_START_MS + 5 * MINUTE_MS);
    expect_incidents(house, 1, "triggered");
    live_until(house, API_FIXTURE_START_MS + 7 * MINUTE_MS + 2000);
    expect_incidents(house, 1, "resolved");
    const char *id = api_answer_text(incidents(house), "incidents", "0", "id", NULL);
    assert_non_null(strstr(api_get(house->api, story_text("/incidents/%s/log_entries", id))->text, "alert_expired"));
}

static void the_time_in_which_nothing_could_be_taken_does_not_count(void **state)
{
    struct house *house = *state;

    taken(send(house, house->alerts, NULL, "[{" LABELS "}]"));
    house->api->now_ms += 30 * MINUTE_MS; /* nothing was written meanwhile, not even a tick */
    live_until(house, API_FIXTURE_START_MS + 33 * MINUTE_MS);
    assert_non_null(strstr(incidents(house)->text, "\"status\":\"triggered\""));
    taken(send(house, house->alerts, NULL, "[{" LABELS "}]"));
    assert_null(strstr(incidents(house)->text, "\"status\":\"resolved\""));
}

static void a_key_opens_as_bearer_and_as_password_and_no_other_does(void **state)
{
    struct house *house = *state;

    taken(send(house, "/api/v2/alerts", story_text("Bearer %s", house->key), "[" ALERT "]"));
    /* "prometheus:" and a key of 32 characters that nobody has */
    refused(send(house, "/api/v2/alerts", "Basic cHJvbWV0aGV1czowMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMA==", "[]"), 401, "");
    refused(send(house, "/api/v2/alerts", "Basic !!!", "[]"), 401, "");
    refused(send(house, "/api/v2/alerts", NULL, "[]"), 401, "");
    refused(send(house, "/integration/00000000000000000000000000000000/api/v2/alerts", NULL, "[]"), 401, "");
    refused(send(house, "/api/v2/alerts", "Bearer " API_FIXTURE_TOKEN, "[" ALERT "]"), 400, "key of an integration");
    expect_incidents(house, 1, "triggered");
}

static void good_alerts_beside_bad_ones_are_taken(void **state)
{
    struct house *house = *state;

    refused(send(house, house->alerts, NULL, "[{\"labels\":{}}," ALERT ",7,{\"labels\":{\"a\":1}}]"), 400,
            "at least one label pair required");
    expect_incidents(house, 1, "triggered");
    refused(send(house, house->alerts, NULL, "[{" LABELS ",\"endsAt\":\"soon\"}]"), 400, "endsAt must be a time");
    refused(send(house, house->alerts, NULL, "[{" LABELS ",\"endsAt\":7}]"), 400, "endsAt must be a time");
    refused(send(house, house->alerts, NULL, "{}"), 400, "must be a JSON array");
    refused(send(house, house->alerts, NULL, "[" ), 400, "not valid JSON");
    refused(send(house, house->alerts, NULL,
                 "[{" LABELS ",\"startsAt\":\"2026-09-21T14:15:00Z\",\"endsAt\":\"2026-09-21T14:14:00Z\"}]"),
            400, "start time must be before end time");
    taken(send(house, house->alerts, NULL, "[]"));
}

static void without_a_leader_the_sender_is_told_503_and_never_429(void **state)
{
    struct house *house = *state;

    house->api->outcome = SUBMIT_UNAVAILABLE;
    refused(send(house, house->alerts, NULL, "[" ALERT "," ALERT "]"), 503, "try again");
    house->api->outcome = SUBMIT_OVERLOADED;
    refused(send(house, house->alerts, NULL, "[" ALERT "]"), 503, "try again");
    house->api->stopped = true;
    refused(send(house, house->alerts, NULL, "[" ALERT "]"), 503, "another node");
}

static void many_alerts_of_one_request_are_all_taken(void **state)
{
    struct house *house = *state;
    json_t *alerts = json_array();

    for (int i = 0; i < 600; i++) {
        json_array_append_new(alerts, json_pack("{s:{s:s, s:o}}", "labels", "alertname", "Many", "number",
                                                json_sprintf("%d", i)));
    }
    char *body = json_dumps(alerts, JSON_COMPACT);
    taken(send(house, house->alerts, NULL, body));
    assert_int_equal(house->api->submits, 600);
    free(body);
    json_decref(alerts);
}

/* Each sentence was joined to all before it: found by reading. */
static void of_many_bad_alerts_the_first_are_told_and_the_rest_counted(void **state)
{
    struct house *house = *state;
    json_t *alerts = json_array();

    for (unsigned i = 0; i < LIMIT_ALERTS_PER_REQUEST; i++) {
        json_array_append_new(alerts, json_object());
    }
    char *body = json_dumps(alerts, JSON_COMPACT);
    const struct api_answer *answer = send(house, house->alerts, NULL, body);
    refused(answer, 400, "at least one label pair required; at least one label pair required");
    refused(answer, 400, "; ... and 4076 more");
    assert_true(json_string_length(answer->json) < 1000);
    free(body);
    json_decref(alerts);
}

/* ---------------------------------------------------------------- the webhook */

#define WEBHOOK(status, alert_status)                                                                                      \
    "{\"version\":\"4\",\"groupKey\":\"{}:{alertname=\\\"DiskFull\\\"}\",\"status\":\"" status "\",\"receiver\":\"tocsin\"," \
    "\"alerts\":[{\"status\":\"" alert_status "\"," LABELS ",\"annotations\":{\"description\":\"Full\"},"                   \
    "\"startsAt\":\"2026-09-21T14:13:20.123456789+02:00\",\"endsAt\":\"0001-01-01T00:00:00Z\","                             \
    "\"generatorURL\":\"http://prometheus/graph\",\"fingerprint\":\"0\"}],\"truncatedAlerts\":0}"

static void a_webhook_fires_and_resolves(void **state)
{
    struct house *house = *state;

    taken(send(house, house->webhook, NULL, WEBHOOK("firing", "firing")));
    assert_string_equal(house->api->last_command->event->summary, "Full");
    assert_int_equal(house->api->last_command->event->expires_at_ms, 0);
    taken(send(house, house->webhook, NULL, WEBHOOK("firing", "firing")));
    expect_incidents(house, 1, "triggered");
    taken(send(house, house->alerts, NULL, "[" ALERT "]")); /* the same alert on the direct path */
    expect_incidents(house, 1, "triggered");
    taken(send(house, house->webhook, NULL, WEBHOOK("resolved", "resolved")));
    expect_incidents(house, 1, "resolved");
    const char *enqueue = story_text("/integration/%s/enqueue", house->key);
    taken(send(house, enqueue, NULL, WEBHOOK("firing", "firing")));
    assert_non_null(strstr(incidents(house)->text, "\"status\":\"triggered\""));
}

static void what_is_no_webhook_is_refused(void **state)
{
    struct house *house = *state;

    refused(send(house, house->webhook, NULL, "{\"version\":\"3\",\"alerts\":[]}"), 400, "version 4");
    refused(send(house, house->webhook, NULL, "{\"version\":\"4\",\"alerts\":{}}"), 400, "version 4");
    refused(send(house, house->webhook, NULL, WEBHOOK("firing", "smoking")), 400, "firing or resolved");
    refused(send(house, "/integration/00000000000000000000000000000000/alertmanager", NULL, WEBHOOK("firing", "firing")),
            401, "");
}

/* ---------------------------------------------------------------- the Opsgenie receiver */

/* As a receiver asks: with the integration's key. */
static const struct api_answer *genie(struct house *house, const char *method, const char *target, const char *body)
{
    struct api_question question = {.method = method, .target = target, .body = body};

    question.headers[0] = (struct http_parameter){"Authorization", story_text("GenieKey %s", house->key)};
    return api_fixture_ask(house->api, &question);
}

static void accepted(struct house *house, const struct api_answer *answer, bool done)
{
    assert_int_equal(answer->status, 202);
    const char *id = api_answer_text(answer, "requestId", NULL);
    const struct api_answer *status = genie(house, "GET", story_text("/v2/alerts/requests/%s", id), NULL);
    assert_int_equal(status->status, 200);
    assert_int_equal(json_is_true(api_answer_at(status, "data", "isSuccess", NULL)), done);
}

#define ALIAS "/v2/alerts/group%2F1"

static void the_opsgenie_receiver_opens_changes_and_closes(void **state)
{
    struct house *house = *state;
    const char *create = "{\"alias\":\"group/1\",\"message\":\"Full\",\"description\":\"d\",\"details\":{\"a\":\"b\"},"
                         "\"priority\":\"nonsense\",\"source\":\"http://am\"}";

    accepted(house, genie(house, "POST", "/v2/alerts", create), true);
    accepted(house, genie(house, "POST", "/v2/alerts", create), true);
    expect_incidents(house, 1, "triggered");
    accepted(house, genie(house, "PUT", ALIAS "/message?identifierType=alias", "{\"message\":\"Fuller\"}"), true);
    accepted(house, genie(house, "PUT", ALIAS "/description?identifierType=alias", "{}"), true);
    accepted(house, genie(house, "POST", ALIAS "/notes?identifierType=alias", "{\"note\":\"looking\"}"), true);
    const struct api_answer *alert = genie(house, "GET", ALIAS "?identifierType=alias", NULL);
    assert_string_equal(api_answer_text(alert, "data", "message", NULL), "Fuller");
    assert_string_equal(api_answer_text(alert, "data", "tinyId", NULL), "1");
    accepted(house, genie(house, "POST", ALIAS "/acknowledge?identifierType=alias", NULL), true);
    expect_incidents(house, 1, "acknowledged");
    accepted(house, genie(house, "POST", "/v2/alerts/1/snooze?identifierType=tiny",
                          "{\"endTime\":\"2026-09-21T15:13:20Z\"}"), true);
    assert_true(json_is_true(api_answer_at(genie(house, "GET", "/v2/alerts/1?identifierType=tiny", NULL), "data", "snoozed", NULL)));
    accepted(house, genie(house, "POST", ALIAS "/close?identifierType=alias", "{\"source\":\"http://am\"}"), true);
    expect_incidents(house, 1, "resolved");
    accepted(house, genie(house, "POST", ALIAS "/close?identifierType=alias", "{}"), false);
    accepted(house, genie(house, "POST", "/v2/alerts/999/close?identifierType=tiny", "{}"), false);
    assert_int_equal(json_integer_value(api_answer_at(genie(house, "GET", "/v2/alerts/count", NULL), "data", "count", NULL)), 1);
    assert_int_equal(json_array_size(api_answer_at(genie(house, "GET", "/v2/alerts?query=status%3Aopen", NULL), "data", NULL)), 0);
}

static void what_opsgenie_would_refuse_is_refused_in_its_shape(void **state)
{
    struct house *house = *state;
    const struct api_answer *answer = genie(house, "POST", "/v2/alerts", "{\"message\":\" \"}");

    assert_int_equal(answer->status, 422);
    assert_string_equal(api_answer_text(answer, "message", NULL), "Message can not be empty");
    assert_non_null(api_answer_at(answer, "requestId", NULL));
    assert_int_equal(genie(house, "POST", "/v2/alerts/1/notes", "{}")->status, 422);
    assert_int_equal(genie(house, "GET", "/v2/alerts/requests/00000000-0000-4000-8000-000000000000", NULL)->status, 404);
    assert_int_equal(send(house, "/v2/alerts", "GenieKey 00000000000000000000000000000000", "{\"message\":\"x\"}")->status, 401);
    assert_int_equal(send(house, "/v2/alerts", "GenieKey " API_FIXTURE_TOKEN, "{\"message\":\"x\"}")->status, 422);
    expect_incidents(house, 0, NULL);
}

/* ---------------------------------------------------------------- what amtool sees */

static void amtool_sees_what_fires_and_finds_it_by_its_labels(void **state)
{
    struct house *house = *state;

    taken(send(house, house->alerts, NULL, "[" ALERT ",{\"labels\":{\"alertname\":\"Other\"}}]"));
    house->api->token = API_FIXTURE_TOKEN;
    assert_int_equal(json_array_size(api_get(house->api, "/api/v2/alerts")->json), 2);
    const struct api_answer *one = api_get(house->api, "/api/v2/alerts?filter=instance%3D%22db1%22&active=true");
    assert_int_equal(json_array_size(one->json), 1);
    assert_string_equal(api_answer_text(one, "0", "labels", "alertname", NULL), "DiskFull");
    assert_string_equal(api_answer_text(one, "0", "annotations", "summary", NULL), "The disk of db1 is full");
    assert_string_equal(api_answer_text(one, "0", "status", "state", NULL), "active");
    assert_string_equal(api_answer_text(one, "0", "receivers", "0", "name", NULL), "database");
    assert_int_equal(json_array_size(api_get(house->api, "/api/v2/alerts?filter=alertname%3D~%22Disk.%2A%22")->json), 1);
    assert_int_equal(json_array_size(api_get(house->api, "/api/v2/alerts?filter=alertname%3D~Disk")->json), 0);
    assert_int_equal(json_array_size(api_get(house->api, "/api/v2/alerts?filter=alertname%21%3DDiskFull")->json), 1);
    assert_int_equal(json_array_size(api_get(house->api, "/api/v2/alerts?active=false")->json), 0);
    refused(api_get(house->api, "/api/v2/alerts?filter=nonsense"), 400, "matcher");
    assert_int_equal(json_array_size(api_answer_at(api_get(house->api, "/api/v2/alerts/groups"), "0", "alerts", NULL)), 2);
    assert_string_equal(api_answer_text(api_get(house->api, "/api/v2/status"), "cluster", "status", NULL), "ready");
    assert_int_equal(json_array_size(api_get(house->api, story_text("/integration/%s/api/v2/receivers", house->key))->json), 1);
    assert_int_equal(json_array_size(api_get(house->api, house->alerts)->json), 2);
    assert_int_equal(api_get(house->api, "/api/v1/alerts")->status, 410);
}

/* Under the sanitizer of addresses: what is no map was held for good (found by reading). */
static void details_that_only_look_like_an_alert_of_prometheus_are_no_labels(void **state)
{
    struct house *house = *state;

    assert_int_equal(send(house, "/v2/enqueue", NULL,
                          story_text("{\"routing_key\":\"%s\",\"event_action\":\"trigger\",\"payload\":{\"summary\":\"full\","
                                     "\"source\":\"db1\",\"severity\":\"error\",\"custom_details\":{\"labels\":[\"a\"],"
                                     "\"annotations\":\"none\"}}}", house->key))->status, 202);
    house->api->token = API_FIXTURE_TOKEN;
    const struct api_answer *listed = api_get(house->api, "/api/v2/alerts");
    assert_int_equal(json_array_size(listed->json), 1);
    assert_string_equal(api_answer_text(listed, "0", "labels", "instance", NULL), "db1");
    assert_string_equal(api_answer_text(listed, "0", "annotations", "summary", NULL), "full");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        STORY(an_idempotency_key_is_not_that_of_each_alert_of_the_request),
        STORY(an_alert_opens_an_incident_and_its_repeats_are_no_news),
        STORY(an_alert_that_ends_is_resolved),
        STORY(an_alert_that_is_not_sent_again_is_over_at_its_end),
        STORY(the_time_in_which_nothing_could_be_taken_does_not_count),
        STORY(a_key_opens_as_bearer_and_as_password_and_no_other_does),
        STORY(good_alerts_beside_bad_ones_are_taken),
        STORY(without_a_leader_the_sender_is_told_503_and_never_429),
        STORY(many_alerts_of_one_request_are_all_taken),
        STORY(of_many_bad_alerts_the_first_are_told_and_the_rest_counted),
        STORY(a_webhook_fires_and_resolves),
        STORY(what_is_no_webhook_is_refused),
        STORY(the_opsgenie_receiver_opens_changes_and_closes),
        STORY(what_opsgenie_would_refuse_is_refused_in_its_shape),
        STORY(amtool_sees_what_fires_and_finds_it_by_its_labels),
        STORY(details_that_only_look_like_an_alert_of_prometheus_are_no_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
