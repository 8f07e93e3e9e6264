/* Events as PagerDuty's clients send them, good and bad, from the request to the answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "tests/support/api_fixture.h"
#include "tests/support/api_story.h"

#define PAYLOAD "\"payload\":{\"summary\":\"disk full\",\"source\":\"db1\",\"severity\":\"critical\"}"

struct house {
    struct api_fixture *api;
    const char *key; /* of an integration */
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
                 "{\"integration\":{\"type\":\"events_api_v2_inbound_integration\",\"name\":\"monitoring\"}}");
    assert_int_equal(answer->status, 201);
    house->key = api_answer_text(answer, "integration", "integration_key", NULL);
    house->api->token = NULL; /* events carry none */
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

/* Posts an event with the integration's key and these further fields. */
static const struct api_answer *event(struct house *house, const char *fields)
{
    return api_post(house->api, "/v2/enqueue", story_text("{\"routing_key\":\"%s\",%s}", house->key, fields));
}

static const Tocsin__Event *sent(struct house *house)
{
    assert_non_null(house->api->last_command);
    assert_int_equal(house->api->last_command->body_case, TOCSIN__COMMAND__BODY_EVENT);
    return house->api->last_command->event;
}

/* The event was refused with this text among its errors, and nothing was written. */
static void refused(struct house *house, const struct api_answer *answer, unsigned status, const char *text)
{
    size_t i;
    json_t *error;
    bool found = false;

    assert_int_equal(answer->status, status);
    assert_string_equal(answer->content_type, "application/json; charset=utf-8");
    assert_string_equal(api_answer_text(answer, "status", NULL), "invalid event");
    assert_string_equal(api_answer_text(answer, "message", NULL), "Event object is invalid");
    json_array_foreach(api_answer_at(answer, "errors", NULL), i, error)
    {
        found = found || strcmp(json_string_value(error), text) == 0;
    }
    if (!found) {
        fail_msg("\"%s\" is not in %s", text, answer->text);
    }
    assert_int_equal(house->api->submits, 0);
}

static void unrecognized(struct house *house, const struct api_answer *answer)
{
    assert_int_equal(answer->status, 400);
    assert_string_equal(answer->text, "{\"status\":\"Unrecognized object\",\"message\":\"Event object format is "
                                      "unrecognized\",\"errors\":[\"JSON parse error\"]}");
    assert_int_equal(house->api->submits, 0);
}

static void given_a_trigger_then_202_and_an_incident_that_absorbs_the_next(void **state)
{
    struct house *house = *state;
    const struct api_answer *answer = event(house, "\"event_action\":\"trigger\",\"dedup_key\":\"disk\"," PAYLOAD);

    assert_int_equal(answer->status, 202);
    assert_string_equal(answer->text,
                        "{\"status\":\"success\",\"message\":\"Event processed\",\"dedup_key\":\"disk\"}");
    assert_int_equal(event(house, "\"event_action\":\"trigger\",\"dedup_key\":\"disk\"," PAYLOAD)->status, 202);
    house->api->token = API_FIXTURE_TOKEN;
    const struct api_answer *list = api_get(house->api, "/incidents?date_range=all");
    assert_int_equal(json_array_size(api_answer_at(list, "incidents", NULL)), 1);
    assert_string_equal(api_answer_text(list, "incidents", "0", "title", NULL), "disk full");
}

static void given_acknowledge_and_resolve_then_the_incident_follows(void **state)
{
    struct house *house = *state;

    event(house, "\"event_action\":\"trigger\",\"dedup_key\":\"disk\"," PAYLOAD);
    const struct api_answer *answer = event(house, "\"event_action\":\"acknowledge\",\"dedup_key\":\"disk\"");
    assert_int_equal(answer->status, 202);
    assert_string_equal(api_answer_text(answer, "dedup_key", NULL), "disk");
    house->api->token = API_FIXTURE_TOKEN;
    assert_string_equal(
        api_answer_text(api_get(house->api, "/incidents?date_range=all"), "incidents", "0", "status", NULL),
        "acknowledged");
    /* Alertmanager sends the whole payload with a resolve, and what it left of v1. */
    answer = event(house, "\"event_action\":\"resolve\",\"dedup_key\":\"disk\",\"client\":\"Alertmanager\","
                          "\"service_key\":\"\",\"event_type\":\"\",\"incident_key\":\"\",\"details\":null,"
                          "\"payload\":{\"summary\":\"x\",\"source\":\"\",\"severity\":\"page\"}");
    assert_int_equal(answer->status, 202);
    assert_string_equal(
        api_answer_text(api_get(house->api, "/incidents?date_range=all"), "incidents", "0", "status", NULL),
        "resolved");
    assert_int_equal(
        event(house, "\"event_action\":\"acknowledge\",\"dedup_key\":\"no such\",\"payload\":null")->status, 202);
}

/* As a gateway sends it that puts the same header on everything. */
static const struct api_answer *keyed_event(struct house *house, const char *fields)
{
    struct api_question question = {.method = "POST",
                                    .target = "/v2/enqueue",
                                    .body = story_text("{\"routing_key\":\"%s\",%s}", house->key, fields),
                                    .headers = {{"Idempotency-Key", "always the same"}}};
    const struct api_answer *answer = api_fixture_ask(house->api, &question);

    assert_int_equal(answer->status, 202);
    return answer;
}

static void an_idempotency_key_swallows_no_event(void **state)
{
    struct house *house = *state;
    const char *of_first = "\"event_action\":\"trigger\",\"dedup_key\":\"disk\"," PAYLOAD;

    keyed_event(house, of_first);
    keyed_event(house, "\"event_action\":\"trigger\",\"dedup_key\":\"net\"," PAYLOAD);
    keyed_event(house, "\"event_action\":\"resolve\",\"dedup_key\":\"disk\"");
    house->api->token = API_FIXTURE_TOKEN;
    assert_int_equal(json_array_size(api_answer_at(api_get(house->api, "/incidents?statuses[]=triggered"), "incidents", NULL)), 1);
    house->api->token = NULL;
    keyed_event(house, of_first); /* the trouble is back */
    house->api->token = API_FIXTURE_TOKEN;
    assert_int_equal(json_array_size(api_answer_at(api_get(house->api, "/incidents?statuses[]=triggered"), "incidents", NULL)), 2);
}

static void an_idempotency_key_makes_one_alert_of_a_trigger_without_a_dedup_key(void **state)
{
    struct house *house = *state;
    const char *first = api_answer_text(keyed_event(house, "\"event_action\":\"trigger\"," PAYLOAD), "dedup_key", NULL);

    assert_string_equal(api_answer_text(keyed_event(house, "\"event_action\":\"trigger\"," PAYLOAD), "dedup_key", NULL), first);
    const char *other = api_answer_text(keyed_event(house, "\"event_action\":\"trigger\",\"client\":\"another\"," PAYLOAD), "dedup_key", NULL);
    assert_string_not_equal(other, first);
}

static void given_no_dedup_key_then_each_trigger_gets_one_of_its_own(void **state)
{
    struct house *house = *state;
    const char *first = api_answer_text(event(house, "\"event_action\":\"trigger\"," PAYLOAD), "dedup_key", NULL);
    const char *second =
        api_answer_text(event(house, "\"event_action\":\"trigger\",\"dedup_key\":null," PAYLOAD), "dedup_key", NULL);
    const char *third =
        api_answer_text(event(house, "\"event_action\":\"trigger\",\"dedup_key\":\"\"," PAYLOAD), "dedup_key", NULL);

    assert_int_equal(strlen(first), 32);
    assert_int_equal(strspn(first, "0123456789abcdef"), 32);
    assert_string_not_equal(first, second);
    assert_string_not_equal(second, third);
    assert_string_equal(sent(house)->dedup_key, third); /* made before the command leaves */
}

static void given_every_field_then_the_command_carries_it(void **state)
{
    struct house *house = *state;
    const struct api_answer *answer = event(
        house, "\"event_action\":\"trigger\",\"dedup_key\":\"k\",\"client\":\"mon\",\"client_url\":\"https://m/"
               "1\",\"unknown\":{\"x\":1},"
               "\"links\":[{\"href\":\"https://l\",\"text\":\"log\"},{\"href\":\"https://2\"}],"
               "\"images\":[{\"src\":\"https://i\",\"href\":\"https://h\",\"alt\":\"graph\",\"size\":3}],"
               "\"payload\":{\"summary\":\"na\u00efve\",\"source\":\"db1\",\"severity\":\"warning\","
               "\"timestamp\":\"2015-07-17T08:42:58.315+0000\",\"component\":\"c\",\"group\":\"g\",\"class\":\"k\","
               "\"custom_details\":{\"load\":0.5,\"firing\":[ 1, 2 ],\"nested\":{\"a\":null}}}");

    assert_int_equal(answer->status, 202);
    const Tocsin__Event *event_sent = sent(house);
    assert_string_equal(event_sent->routing_key, house->key);
    assert_string_equal(event_sent->summary, "na\xc3\xafve");
    assert_string_equal(event_sent->source, "db1");
    assert_int_equal(event_sent->severity, TOCSIN__SEVERITY__SEVERITY_WARNING);
    assert_string_equal(event_sent->timestamp, "2015-07-17T08:42:58.315+0000");
    assert_string_equal(event_sent->component, "c");
    assert_string_equal(event_sent->group, "g");
    assert_string_equal(event_sent->class_name, "k");
    assert_string_equal(event_sent->client, "mon");
    assert_string_equal(event_sent->client_url, "https://m/1");
    static const char details[] = "{\"load\":0.5,\"firing\":[1,2],\"nested\":{\"a\":null}}";
    assert_int_equal(event_sent->details_json.len, sizeof details - 1);
    assert_memory_equal(event_sent->details_json.data, details, sizeof details - 1);
    static const char contexts[] =
        "[{\"type\":\"link\",\"href\":\"https://l\",\"text\":\"log\"},{\"type\":\"link\",\"href\":\"https://2\"},"
        "{\"type\":\"image\",\"src\":\"https://i\",\"href\":\"https://h\",\"alt\":\"graph\"}]";
    assert_int_equal(event_sent->contexts_json.len, sizeof contexts - 1);
    assert_memory_equal(event_sent->contexts_json.data, contexts, sizeof contexts - 1);
}

static void given_a_long_summary_then_it_is_cut_and_the_page_is_not_lost(void **state)
{
    struct house *house = *state;
    char summary[3 * 2000 + 1] = "";

    for (unsigned i = 0; i < 2000; i++) {
        memcpy(summary + 3 * i, "\xe2\x82\xac", 3);
    }
    char *fields = malloc(8000);
    assert_non_null(fields);
    snprintf(fields, 8000,
             "{\"routing_key\":\"%s\",\"event_action\":\"trigger\",\"payload\":{\"summary\":\"%s\",\"source\":\"s\","
             "\"severity\":\"info\"}}",
             house->key, summary);
    assert_int_equal(api_post(house->api, "/v2/enqueue", fields)->status, 202);
    assert_int_equal(strlen(sent(house)->summary), 3 * LIMIT_SUMMARY_CHARACTERS);
    free(fields);
}

static void given_a_bad_event_then_the_text_that_people_know(void **state)
{
    static const struct {
        const char *body, *text;
    } rows[] = {
        {"{}", "'routing_key' is missing or blank"},
        {"{}", "'event_action' is missing or blank"},
        {"{\"routing_key\":5}", "'routing_key' must be a string"},
        {"{\"routing_key\":\"abc\"}", "Length of 'routing_key' is incorrect (should be 32 characters)"},
        {"{\"routing_key\":\"0123456789-123456789012345678901\"}",
         "'routing_key' cannot contain non-alphanumeric characters."},
        {"{\"event_action\":\"page\"}",
         "'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')"},
        {"{\"event_action\":\"\"}", "'event_action' is missing or blank"},
        {"{\"event_action\":[]}", "'event_action' must be a string"},
        {"{\"event_action\":\"resolve\"}", "'dedup_key' is missing or blank"},
        {"{\"event_action\":\"acknowledge\",\"dedup_key\":\" \"}", "'dedup_key' is missing or blank"},
        {"{\"event_action\":\"trigger\",\"dedup_key\":5}", "'dedup_key' must be a string"},
        {"{\"event_action\":\"trigger\"}", "'payload' is missing or blank"},
        {"{\"event_action\":\"trigger\",\"payload\":null}", "'payload' is missing or blank"},
        {"{\"event_action\":\"trigger\",\"payload\":\"x\"}", "'payload' must be an object"},
        {"{\"event_action\":\"trigger\",\"payload\":{}}", "'payload.summary' is missing or blank"},
        {"{\"event_action\":\"trigger\",\"payload\":{}}", "'payload.source' is missing or blank"},
        {"{\"event_action\":\"trigger\",\"payload\":{}}", "'payload.severity' is missing or blank"},
        {"{\"event_action\":\"trigger\",\"payload\":{\"summary\":\" \\n\"}}", "'payload.summary' is missing or blank"},
        {"{\"event_action\":\"trigger\",\"payload\":{\"summary\":1}}", "'payload.summary' must be a string"},
        {"{\"event_action\":\"trigger\",\"payload\":{\"severity\":\"Critical\"}}",
         "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')"},
        {"{\"event_action\":\"trigger\",\"payload\":{\"component\":{}}}", "'payload.component' must be a string"},
        {"{\"event_action\":\"trigger\",\"payload\":{\"custom_details\":\"x\"}}",
         "'payload.custom_details' must be an object"},
        {"{\"event_action\":\"trigger\",\"client\":1}", "'client' must be a string"},
        {"{\"event_action\":\"trigger\",\"links\":{}}", "'links' must be an array"},
        {"{\"event_action\":\"trigger\",\"links\":[{\"text\":\"x\"}]}", "'links[0].href' is missing or blank"},
        {"{\"event_action\":\"trigger\",\"links\":[{\"href\":\"x\"},5]}", "'links[1].href' is missing or blank"},
        {"{\"event_action\":\"trigger\",\"images\":[{\"href\":\"x\"}]}", "'images[0].src' is missing or blank"},
    };
    struct house *house = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        refused(house, api_post(house->api, "/v2/enqueue", rows[i].body), 400, rows[i].text);
    }
    char key[300];
    memset(key, 'k', sizeof key - 1);
    key[LIMIT_DEDUP_KEY_CHARACTERS + 1] = '\0';
    refused(house, event(house, story_text("\"event_action\":\"resolve\",\"dedup_key\":\"%s\"", key)), 400,
            "'dedup_key' is too long (maximum is 255 characters)");
    key[LIMIT_DEDUP_KEY_CHARACTERS] = '\0';
    assert_int_equal(event(house, story_text("\"event_action\":\"resolve\",\"dedup_key\":\"%s\"", key))->status, 202);
}

static void given_several_mistakes_then_all_are_told_at_once(void **state)
{
    struct house *house = *state;
    const struct api_answer *answer =
        api_post(house->api, "/v2/enqueue",
                 "{\"routing_key\":\"abc\",\"event_action\":\"trigger\",\"payload\":{\"severity\":\"bad\"}}");

    refused(house, answer, 400, "Length of 'routing_key' is incorrect (should be 32 characters)");
    assert_int_equal(json_array_size(api_answer_at(answer, "errors", NULL)), 4); /* and summary, source, severity */
}

static void given_timestamps_then_what_senders_write_passes_and_the_rest_does_not(void **state)
{
    static const char *const good[] = {
        "2015-07-17T08:42:58.315+0000",
        "2015-07-17T08:42:58Z",
        "2015-07-17T08:42:58.123456789+02:00",
        "2015-07-17T08:42:58",
        "2015-07-17 08:42:58",
        "2015-07-17T08:42Z",
        "2015-07-17",
        "2015-07-17T08:42:58-07",
        "2015-07-17 08:42:58 +0000",
        "",
    };
    static const char *const bad[] = {
        "yesterday",
        "1437122578",
        "2015-13-17T08:42:58Z",
        "2015-07-32T08:42:58Z",
        "2015-07-17T25:42:58Z",
        "2015-07-17T08:61:58Z",
        "2015-07-17T08:42:58.Z",
        "2015-07-17T08:42:58+00:0",
        "2015-07-17T08:42:58ZZ",
        "2015-07-17T",
        "15-07-17T08:42:58Z",
        "2015-07-17T08:42:58+99:00",
    };
    static const char format[] =
        "\"event_action\":\"trigger\",\"payload\":{\"summary\":\"a\",\"source\":\"b\",\"severity\":\"info\","
        "\"timestamp\":\"%s\"}";
    struct house *house = *state;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        refused(house, event(house, story_text(format, bad[i])), 400,
                "'payload.timestamp' is invalid (must be an ISO 8601 time)");
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(event(house, story_text(format, good[i]))->status, 202);
        assert_string_equal(sent(house)->timestamp, good[i]);
    }
}

static void given_what_is_no_json_object_then_unrecognized(void **state)
{
    static const struct {
        const char *body;
        size_t size_bytes;
    } bodies[] = {
        {"", 0},
        {"{", 0},
        {"nonsense", 0},
        {"[]", 0},
        {"\"text\"", 0},
        {"null", 0},
        {"{}{}", 0},
        {"{\"a\":1,\"a\":2}", 0},
        {"{\"a\":\"\xff\"}", 0},
        {"{\"a\":\"\\u0000\"}", 0},
        {"{\"a\":\"\\ud800\"}", 0},
        {"{\"a\":99999999999999999999}", 0},
        {"{\"a\":1e999}", 0},
        {"{\"a\":\"x\0y\"}", 11},
        {"{}\0", 3},
        {"\xef\xbb\xbf{}", 0},
        {"{\"a\":\"unended\\", 0},
    };
    struct house *house = *state;

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct api_question question = {
            .method = "POST", .target = "/v2/enqueue", .body = bodies[i].body, .body_size_bytes = bodies[i].size_bytes};
        unrecognized(house, api_fixture_ask(house->api, &question));
    }
    struct api_question nothing = {.method = "POST", .target = "/v2/enqueue"};
    unrecognized(house, api_fixture_ask(house->api, &nothing));
}

/* {"routing_key": ..., "payload": {..., "custom_details": {"a": [[[...]]]}}} with so many levels in all */
static const struct api_answer *nested(struct house *house, unsigned levels)
{
    char open[4096] = "", close[4096] = "";

    for (unsigned i = 0; i < levels - 3; i++) { /* the event, the payload and the details are three */
        strcat(open, "[");
        strcat(close, "]");
    }
    return event(house, story_text("\"event_action\":\"trigger\",\"payload\":{\"summary\":\"[[[\\\"{{\",\"source\":"
                                   "\"b\",\"severity\":\"info\","
                                   "\"custom_details\":{\"a\":%s%s}}",
                                   open, close));
}

static void given_nesting_beyond_its_bound_then_unrecognized(void **state)
{
    struct house *house = *state;

    unrecognized(house, nested(house, 33));
    unrecognized(house, nested(house, 2000));
    assert_int_equal(nested(house, 32)->status, 202);
}

/* An event whose body has so many bytes. */
static const struct api_answer *sized(struct house *house, size_t size_bytes)
{
    char *body = malloc(size_bytes + 1);
    assert_non_null(body);
    int length =
        snprintf(body, size_bytes, "{\"routing_key\":\"%s\",\"event_action\":\"trigger\"," PAYLOAD ",\"padding\":\"",
                 house->key);
    memset(body + length, 'x', size_bytes - (size_t)length);
    memcpy(body + size_bytes - 2, "\"}", 3);
    const struct api_answer *answer = api_post(house->api, "/v2/enqueue", body);
    free(body);
    return answer;
}

static void given_a_body_beyond_its_bound_then_413_in_the_shape_of_events(void **state)
{
    struct house *house = *state;
    struct api_question question = {.method = "POST", .target = "/v2/enqueue", .body_too_large = true};
    const struct api_answer *answer = api_fixture_ask(house->api, &question);

    assert_int_equal(answer->status, 413);
    assert_string_equal(api_answer_text(answer, "status", NULL), "invalid event");
    refused(house, sized(house, LIMIT_EVENT_BODY_SIZE_BYTES + 1), 413, "Event size exceeds the limit of 512 KB");
    assert_int_equal(sized(house, LIMIT_EVENT_BODY_SIZE_BYTES)->status, 202);
}

static void given_json_that_grows_when_written_again_then_it_is_still_bounded(void **state)
{
    struct house *house = *state;
    size_t size_bytes = 400u << 10;
    char *body = malloc(size_bytes + 1);
    assert_non_null(body);
    int length =
        snprintf(body, size_bytes,
                 "{\"routing_key\":\"%s\",\"event_action\":\"trigger\",\"payload\":{\"summary\":\"a\",\"source\":\"b\","
                 "\"severity\":\"info\",\"custom_details\":{\"a\":[0.1",
                 house->key);
    size_t at = (size_t)length;
    while (at + 4 + 5 <= size_bytes) {
        memcpy(body + at, ",0.1", 4);
        at += 4;
    }
    memcpy(body + at, "]}}}", 5);
    const struct api_answer *answer = api_post(house->api, "/v2/enqueue", body);
    free(body);
    assert_int_equal(answer->status, 413);
    assert_int_equal(house->api->submits, 0);
}

static void given_an_unknown_key_then_the_sender_hears_of_it(void **state)
{
    struct house *house = *state;
    const struct api_answer *answer = api_post(house->api, "/v2/enqueue",
        "{\"routing_key\":\"0123456789abcdef0123456789abcdef\",\"event_action\":\"trigger\"," PAYLOAD "}");

    assert_int_equal(answer->status, 400);
    assert_string_equal(
        answer->text,
        "{\"status\":\"invalid event\",\"message\":\"Event object is invalid\",\"errors\":[\"Invalid routing key\"]}");
}

static void given_a_vendor_url_then_the_key_of_the_path_counts(void **state)
{
    struct house *house = *state;
    const char *target = story_text("/integration/%s/enqueue", house->key);

    const struct api_answer *answer =
        api_post(house->api, target, "{\"event_action\":\"trigger\",\"dedup_key\":\"k\"," PAYLOAD "}");
    assert_int_equal(answer->status, 202);
    assert_string_equal(sent(house)->routing_key, house->key);
    house->api->submits = 0;
    unrecognized(house, api_post(house->api, target, "{\"Type\":\"Notification\"}"));
    refused(house, api_post(house->api, "/integration/short/enqueue", "{\"event_action\":\"trigger\"," PAYLOAD "}"),
            400, "Length of 'routing_key' is incorrect (should be 32 characters)");
}

static void given_a_wrong_method_then_405_in_the_shape_of_events(void **state)
{
    struct house *house = *state;
    const struct api_answer *answer = api_get(house->api, "/v2/enqueue");

    assert_int_equal(answer->status, 405);
    assert_string_equal(api_answer_header(answer, "Allow"), "POST");
    assert_string_equal(api_answer_text(answer, "status", NULL), "method not allowed");
}

static void given_trouble_in_the_cluster_then_503_and_the_sender_tries_again(void **state)
{
    static const enum submit_outcome outcomes[] = {SUBMIT_UNAVAILABLE, SUBMIT_OVERLOADED, SUBMIT_STOPPED};
    struct house *house = *state;

    for (size_t i = 0; i < 3; i++) {
        house->api->outcome = outcomes[i];
        const struct api_answer *answer = event(house, "\"event_action\":\"trigger\"," PAYLOAD);
        assert_int_equal(answer->status, 503);
        assert_string_equal(api_answer_text(answer, "status", NULL), "unavailable");
        assert_int_equal(json_array_size(api_answer_at(answer, "errors", NULL)), 1);
        if (outcomes[i] != SUBMIT_STOPPED) {
            assert_string_equal(api_answer_header(answer, "Retry-After"), "1");
        }
    }
}

#define STORY(story) cmocka_unit_test_setup_teardown(story, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(given_a_trigger_then_202_and_an_incident_that_absorbs_the_next),
        STORY(given_acknowledge_and_resolve_then_the_incident_follows),
        STORY(an_idempotency_key_swallows_no_event),
        STORY(an_idempotency_key_makes_one_alert_of_a_trigger_without_a_dedup_key),
        STORY(given_no_dedup_key_then_each_trigger_gets_one_of_its_own),
        STORY(given_every_field_then_the_command_carries_it),
        STORY(given_a_long_summary_then_it_is_cut_and_the_page_is_not_lost),
        STORY(given_a_bad_event_then_the_text_that_people_know),
        STORY(given_several_mistakes_then_all_are_told_at_once),
        STORY(given_timestamps_then_what_senders_write_passes_and_the_rest_does_not),
        STORY(given_what_is_no_json_object_then_unrecognized),
        STORY(given_nesting_beyond_its_bound_then_unrecognized),
        STORY(given_a_body_beyond_its_bound_then_413_in_the_shape_of_events),
        STORY(given_json_that_grows_when_written_again_then_it_is_still_bounded),
        STORY(given_an_unknown_key_then_the_sender_hears_of_it),
        STORY(given_a_vendor_url_then_the_key_of_the_path_counts),
        STORY(given_a_wrong_method_then_405_in_the_shape_of_events),
        STORY(given_trouble_in_the_cluster_then_503_and_the_sender_tries_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
