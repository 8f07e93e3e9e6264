/* Alert grouping: read back as it was written, and which alerts join one incident. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "tests/support/api_story.h"

#define SECOND_MS 1000ull
#define MINUTE_MS (60 * SECOND_MS)

struct company {
    struct api_fixture *api;
    const char *alice, *policy, *service;
    const char *key; /* of the service's integration */
    unsigned events;
};

static int setup(void **state)
{
    static struct company company;

    company = (struct company){.api = api_fixture_new()};
    company.alice = story_user(company.api, "Alice", "alice@example.org");
    story_contact_method(company.api, company.alice, "email_contact_method", "alice@example.org");
    company.policy = story_policy(company.api, "Primary", company.alice);
    *state = &company;
    return 0;
}

static int teardown(void **state)
{
    struct company *company = *state;

    api_fixture_free(company->api);
    return 0;
}

static void service(struct company *company, const char *fields)
{
    struct api_fixture *api = company->api;
    company->service =
        story_create(api, "/services", "service",
                     story_text("{\"service\":{\"name\":\"Shop\",\"acknowledgement_timeout\":null,"
                                "\"escalation_policy\":{\"id\":\"%s\"},%s}}",
                                company->policy, fields));
    company->key = api_answer_text(
        api_post(api, story_text("/services/%s/integrations", company->service), "{\"integration\":{}}"),
        "integration", "integration_key", NULL);
}

static void send_event(struct company *company, const char *action, const char *key, const char *payload)
{
    const struct api_answer *answer = api_post(
        company->api, "/v2/enqueue",
        story_text("{\"routing_key\":\"%s\",\"event_action\":\"%s\",\"dedup_key\":\"%s\",\"payload\":{\"source\":\"db1\",%s}}",
                   company->key, action, key, payload));
    assert_int_equal(answer->status, 202);
}

/* A new alert; the number of people who are told of it. */
static size_t alert(struct company *company, const char *payload)
{
    send_event(company, "trigger", story_text("k%u", ++company->events), payload);
    return story_deliver(company->api);
}

#define BURNS "\"summary\":\"It burns\",\"severity\":\"critical\""

static void wait(struct company *company, uint64_t ms)
{
    story_run_until(company->api, company->api->now_ms + ms);
}

static json_int_t alerts_of(struct company *company, unsigned number)
{
    const struct api_answer *answer = api_get(company->api, story_text("/incidents/%u", number));
    return answer->status == 200
               ? json_integer_value(api_answer_at(answer, "incident", "alert_counts", "all", NULL))
               : -1;
}

static const char *text_of(struct company *company, unsigned number, const char *field)
{
    return api_answer_text(api_get(company->api, story_text("/incidents/%u", number)), "incident", field, NULL);
}

/* ---------------------------------------------------------------- shapes */

static void what_was_written_is_read_back(void **state)
{
    struct company *company = *state;
    static const struct {
        const char *written, *read; /* NULL: the same */
    } shapes[] = {
        {"{\"type\":\"time\",\"config\":{\"timeout\":5}}", NULL},
        {"{\"type\":\"time\",\"config\":{\"timeout\":0}}", NULL},
        {"{\"type\":\"intelligent\"}", "{\"type\":\"intelligent\",\"config\":null}"},
        {"{\"type\":\"intelligent\",\"config\":{\"time_window\":600,\"iag_fields\":[\"summary\"]}}",
         "{\"type\":\"intelligent\",\"config\":{\"time_window\":600,\"iag_fields\":[\"summary\"],"
         "\"recommended_time_window\":300}}"},
        {"{\"type\":\"content_based\",\"config\":{\"aggregate\":\"any\",\"fields\":[\"summary\",\"custom_details.a.b\"],"
         "\"time_window\":0,\"recommended_time_window\":300}}",
         NULL},
        {"{\"type\":\"content_based_intelligent\",\"config\":{\"aggregate\":\"all\",\"fields\":[\"class\"],"
         "\"time_window\":86400,\"recommended_time_window\":300}}",
         NULL},
        {"{\"type\":null}", "null"},
        {"null", NULL},
    };
    service(company, "\"alert_creation\":\"create_incidents\",\"response_play\":{\"id\":\"PLAY1\",\"type\":\"response_play\"}");
    const char *target = story_text("/services/%s", company->service);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct api_answer *answer = api_put(
            company->api, target, story_text("{\"service\":{\"alert_grouping_parameters\":%s}}", shapes[i].written));
        assert_int_equal(answer->status, 200);
        json_t *expected = json_loads(shapes[i].read != NULL ? shapes[i].read : shapes[i].written, JSON_DECODE_ANY, NULL);
        assert_true(json_equal(api_answer_at(answer, "service", "alert_grouping_parameters", NULL), expected));
        json_decref(expected);
    }
    const struct api_answer *old = api_put(
        company->api, target, "{\"service\":{\"alert_grouping\":\"time\",\"alert_grouping_timeout\":2}}");
    assert_string_equal(api_answer_text(old, "service", "alert_grouping", NULL), "time");
    assert_int_equal(story_number(old, "service", "alert_grouping_timeout"), 2);
    old = api_put(company->api, target,
                  "{\"service\":{\"alert_grouping\":\"time\",\"alert_grouping_timeout\":3,"
                  "\"alert_grouping_parameters\":{\"type\":null}}}");
    assert_int_equal(story_number(old, "service", "alert_grouping_timeout"), 3);
    assert_string_equal(api_answer_text(old, "service", "alert_creation", NULL), "create_incidents");
    assert_string_equal(api_answer_text(old, "service", "response_play", "id", NULL), "PLAY1");
    old = api_put(company->api, target,
                  "{\"service\":{\"response_play\":null,\"alert_grouping_parameters\":{\"type\":"
                  "\"alert_grouping_setting_reference\",\"id\":\"X\"}}}");
    assert_true(json_is_null(api_answer_at(old, "service", "response_play", NULL)));
    assert_string_equal(api_answer_text(old, "service", "alert_grouping", NULL), "time");
}

static void bad_groupings_are_refused(void **state)
{
    struct company *company = *state;
    static const struct {
        const char *parameters, *error;
    } bad[] = {
        {"7", "'alert_grouping_parameters' must be an object"},
        {"{\"type\":\"magic\"}", "must be one of: time, intelligent, content_based"},
        {"{\"type\":\"time\",\"config\":{\"timeout\":1441}}", "must be from 0 to 1440"},
        {"{\"type\":\"intelligent\",\"config\":{\"time_window\":299}}", "windows of 0 or 300 to 86400 seconds"},
        {"{\"type\":\"content_based\",\"config\":{\"aggregate\":\"all\",\"fields\":[]}}", "need fields"},
        {"{\"type\":\"content_based\",\"config\":{\"aggregate\":\"most\",\"fields\":[\"class\"]}}", "must be one of: all, any"},
        {"{\"type\":\"content_based\",\"config\":{\"fields\":[\"colour\"]}}", "not by colour"},
        {"{\"type\":\"content_based\",\"config\":{\"fields\":[\"custom_details.\"]}}", "not by custom_details."},
        {"{\"type\":\"content_based\",\"config\":{\"fields\":[1]}}", "must be a string"},
        {"{\"type\":\"content_based\",\"config\":{\"fields\":[\"class\",\"class\",\"class\",\"class\",\"class\",\"class\","
         "\"class\",\"class\",\"class\",\"class\",\"class\"]}}",
         "too long"},
    };
    service(company, "\"description\":\"\"");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        story_refused(
            api_put(company->api, story_text("/services/%s", company->service),
                    story_text("{\"service\":{\"alert_grouping_parameters\":%s}}", bad[i].parameters)),
            400, 2001, bad[i].error);
    }
}

/* ---------------------------------------------------------------- by time */

static void by_time_alerts_join_for_so_long_from_the_first(void **state)
{
    struct company *company = *state;
    service(company, "\"alert_grouping_parameters\":{\"type\":\"time\",\"config\":{\"timeout\":5}}");
    assert_int_equal(alert(company, BURNS), 1);
    wait(company, 3 * MINUTE_MS);
    assert_int_equal(alert(company, "\"summary\":\"It smokes\",\"severity\":\"info\""), 0); /* nobody is told again */
    wait(company, 2 * MINUTE_MS);
    assert_int_equal(alert(company, BURNS), 0);
    wait(company, 1);
    assert_int_equal(alert(company, BURNS), 1);
    assert_int_equal(alerts_of(company, 1), 3);
    assert_int_equal(alerts_of(company, 2), 1);
    const struct api_answer *log = api_get(company->api, "/incidents/1/log_entries");
    assert_non_null(strstr(log->text, "It smokes (joined this incident, because the service groups alerts by time, and "
                                      "its group began 3 min ago)"));
}

static void an_incident_ends_with_the_last_of_its_alerts_and_its_group_with_it(void **state)
{
    struct company *company = *state;
    service(company, "\"alert_grouping_parameters\":{\"type\":\"time\",\"config\":{\"timeout\":0}}");
    alert(company, BURNS);
    wait(company, 60 * MINUTE_MS);
    alert(company, BURNS);
    send_event(company, "resolve", "k1", BURNS);
    assert_string_equal(text_of(company, 1, "status"), "triggered");
    send_event(company, "trigger", "k2", BURNS); /* of an alert that is open: counted in it */
    assert_int_equal(alerts_of(company, 1), 2);
    send_event(company, "resolve", "k2", BURNS);
    assert_string_equal(text_of(company, 1, "status"), "resolved");
    assert_int_equal(company->api->view.count(company->api->view.context, TABLE_ALERT_GROUP), 0);
    assert_int_equal(company->api->view.count(company->api->view.context, TABLE_ALERT_GROUP_OF), 0);
    assert_int_equal(alert(company, BURNS), 1);
    assert_int_equal(alerts_of(company, 2), 1);
}

static void intelligent_groups_by_a_window_that_moves_and_no_longer_than_a_day(void **state)
{
    struct company *company = *state;
    service(company, "\"alert_grouping_parameters\":{\"type\":\"intelligent\",\"config\":{\"time_window\":3600}}");
    for (unsigned i = 0; i <= 24; i++) {
        alert(company, BURNS);
        wait(company, 60 * MINUTE_MS);
    }
    assert_int_equal(alerts_of(company, 1), 25);
    alert(company, BURNS);
    assert_int_equal(alerts_of(company, 2), 1);
    wait(company, 60 * MINUTE_MS + 1);
    alert(company, BURNS);
    assert_int_equal(alerts_of(company, 3), 1);
}

static void an_incident_takes_a_thousand_alerts(void **state)
{
    struct company *company = *state;
    service(company, "\"alert_grouping_parameters\":{\"type\":\"time\",\"config\":{\"timeout\":0}}");
    for (unsigned i = 0; i < LIMIT_ALERTS_PER_INCIDENT; i++) {
        alert(company, BURNS);
    }
    assert_int_equal(alerts_of(company, 1), LIMIT_ALERTS_PER_INCIDENT);
    assert_int_equal(alert(company, BURNS), 1);
    assert_int_equal(alert(company, BURNS), 0);
    assert_int_equal(alerts_of(company, 2), 2);
    const struct api_answer *resolved =
        api_put(company->api, "/incidents/1", "{\"incident\":{\"type\":\"incident\",\"status\":\"resolved\"}}");
    assert_int_equal(resolved->status, 200);
    assert_int_equal(alert(company, BURNS), 0);
    assert_int_equal(alerts_of(company, 2), 3);
}

/* ---------------------------------------------------------------- by content */

#define CONTENT(aggregate, fields)                                                                                    \
    "\"alert_grouping_parameters\":{\"type\":\"content_based\",\"config\":{\"aggregate\":\"" aggregate                 \
    "\",\"time_window\":300,\"fields\":[" fields "]}}"

static void by_content_all_fields_must_be_the_same(void **state)
{
    struct company *company = *state;
    service(company, CONTENT("all", "\"component\",\"custom_details.host.name\""));
#define AT(component, host) BURNS ",\"component\":\"" component "\",\"custom_details\":{\"host\":{\"name\":\"" host "\"}}"
    assert_int_equal(alert(company, AT("disk", "db1")), 1);
    assert_int_equal(alert(company, AT("disk", "db2")), 1);
    assert_int_equal(alert(company, AT("fan", "db1")), 1);
    assert_int_equal(alert(company, AT("disk", "db1") ",\"group\":\"other\""), 0);
    assert_int_equal(alerts_of(company, 1), 2);
    assert_int_equal(alert(company, BURNS ",\"component\":\"disk\""), 1); /* without one of them it is alone */
    assert_int_equal(alert(company, BURNS ",\"component\":\"disk\""), 1);
    wait(company, 301 * SECOND_MS);
    assert_int_equal(alert(company, AT("disk", "db1")), 1);
    assert_int_equal(alerts_of(company, 6), 1);
    const struct api_answer *log = api_get(company->api, "/incidents/1/log_entries");
    assert_non_null(strstr(log->text, "because it has the same component and custom_details.host.name as"));
}

static void by_content_any_field_suffices_and_chains_a_group(void **state)
{
    struct company *company = *state;
    service(company, CONTENT("any", "\"class\",\"custom_details.rack\""));
    assert_int_equal(alert(company, BURNS ",\"class\":\"power\",\"custom_details\":{\"rack\":7}"), 1);
    assert_int_equal(alert(company, BURNS ",\"class\":\"net\",\"custom_details\":{\"rack\":7}"), 0);
    assert_int_equal(alert(company, BURNS ",\"class\":\"net\",\"custom_details\":{\"rack\":8}"), 0);
    assert_int_equal(alert(company, BURNS ",\"class\":\"cooling\""), 1);
    assert_int_equal(alert(company, BURNS), 1);
    assert_int_equal(alerts_of(company, 1), 3);
}

/* ---------------------------------------------------------------- urgency */

static void an_urgent_alert_that_joins_a_quiet_incident_is_heard(void **state)
{
    struct company *company = *state;
    service(company, "\"incident_urgency_rule\":{\"type\":\"constant\",\"urgency\":\"severity_based\"},"
                     "\"alert_grouping_parameters\":{\"type\":\"time\",\"config\":{\"timeout\":0}}");
    alert(company, "\"summary\":\"It smokes\",\"severity\":\"warning\"");
    assert_string_equal(text_of(company, 1, "urgency"), "low");
    assert_int_equal(
        api_put(company->api, "/incidents/1", "{\"incident\":{\"type\":\"incident\",\"status\":\"acknowledged\"}}")->status,
        200);
    assert_int_equal(alert(company, "\"summary\":\"It smokes\",\"severity\":\"info\""), 0);
    assert_string_equal(text_of(company, 1, "status"), "acknowledged");
    assert_int_equal(alert(company, BURNS), 1);
    assert_string_equal(text_of(company, 1, "urgency"), "high");
    assert_string_equal(text_of(company, 1, "status"), "triggered");
    assert_int_equal(alert(company, BURNS), 0);
    assert_int_equal(alerts_of(company, 1), 4);
}

/* ---------------------------------------------------------------- incidents only */

static void a_service_that_creates_incidents_only_shows_no_alerts_and_groups_none(void **state)
{
    struct company *company = *state;
    service(company, "\"alert_creation\":\"create_incidents\","
                     "\"alert_grouping_parameters\":{\"type\":\"time\",\"config\":{\"timeout\":0}}");
    assert_int_equal(alert(company, BURNS), 1);
    assert_int_equal(alert(company, BURNS), 1);
    assert_int_equal(alerts_of(company, 1), 0);
    const struct api_answer *alerts = api_get(company->api, "/incidents/1/alerts");
    assert_int_equal(json_array_size(api_answer_at(alerts, "alerts", NULL)), 0);
    send_event(company, "resolve", "k1", BURNS);
    assert_string_equal(text_of(company, 1, "status"), "resolved");
    assert_string_equal(text_of(company, 2, "status"), "triggered");
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(what_was_written_is_read_back),
        STORY(bad_groupings_are_refused),
        STORY(by_time_alerts_join_for_so_long_from_the_first),
        STORY(an_incident_ends_with_the_last_of_its_alerts_and_its_group_with_it),
        STORY(intelligent_groups_by_a_window_that_moves_and_no_longer_than_a_day),
        STORY(an_incident_takes_a_thousand_alerts),
        STORY(by_content_all_fields_must_be_the_same),
        STORY(by_content_any_field_suffices_and_chains_a_group),
        STORY(an_urgent_alert_that_joins_a_quiet_incident_is_heard),
        STORY(a_service_that_creates_incidents_only_shows_no_alerts_and_groups_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
