/* Support hours of services: read back as written, the urgency that follows from them, and clocks that count them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "node/engine/support_horizon.h"
#include "tests/support/api_story.h"

#define MINUTE_MS 60000ull
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

/* Office hours of Berlin on weekdays, and what follows from them. */
#define HOURS                                                                                                         \
    "\"support_hours\":{\"type\":\"fixed_time_per_day\",\"time_zone\":\"Europe/Berlin\",\"start_time\":\"09:00:00\","  \
    "\"end_time\":\"17:00:00\",\"days_of_week\":[1,2,3,4,5]}"
#define RULE                                                                                                          \
    "\"incident_urgency_rule\":{\"type\":\"use_support_hours\",\"during_support_hours\":{\"type\":\"constant\","       \
    "\"urgency\":\"high\"},\"outside_support_hours\":{\"type\":\"constant\",\"urgency\":\"low\"}}"
#define ACTIONS                                                                                                       \
    "\"scheduled_actions\":[{\"type\":\"urgency_change\",\"at\":{\"type\":\"named_time\",\"name\":"                    \
    "\"support_hours_start\"},\"to_urgency\":\"high\"}]"

/* The fixture begins on Monday 2026-09-21 at 14:13:20 UTC. */
#define MONDAY_MS (API_FIXTURE_START_MS / DAY_MS * DAY_MS)

struct company {
    struct api_fixture *api;
    const char *alice, *bob, *policy;
    const char *key; /* of the integration of the last service */
};

static int setup(void **state)
{
    static struct company company;

    company.api = api_fixture_new();
    company.alice = story_user(company.api, "Alice", "alice@example.org");
    company.bob = story_user(company.api, "Bob", "bob@example.org");
    story_contact_method(company.api, company.alice, "email_contact_method", "alice@example.org");
    story_contact_method(company.api, company.bob, "email_contact_method", "bob@example.org");
    company.policy = story_create(
        company.api, "/escalation_policies", "escalation_policy",
        story_text("{\"escalation_policy\":{\"name\":\"Patient\",\"num_loops\":0,\"escalate_low_urgency\":true,"
                   "\"escalation_rules\":[{\"escalation_delay_in_minutes\":30,\"targets\":[{\"id\":\"%s\",\"type\":"
                   "\"user\"}]},{\"escalation_delay_in_minutes\":30,\"targets\":[{\"id\":\"%s\",\"type\":\"user\"}]}]}}",
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

/* Its id; with an integration. */
static const char *service(struct company *company, const char *fields)
{
    struct api_fixture *api = company->api;
    const char *id = story_create(api, "/services", "service",
                                  story_text("{\"service\":{\"name\":\"Shop\",\"acknowledgement_timeout\":null,"
                                             "\"escalation_policy\":{\"id\":\"%s\"},%s}}",
                                             company->policy, fields));
    const struct api_answer *integration =
        api_post(api, story_text("/services/%s/integrations", id), "{\"integration\":{}}");
    company->key = api_answer_text(integration, "integration", "integration_key", NULL);
    return id;
}

static void trigger(struct company *company, const char *dedup_key)
{
    const struct api_answer *answer = api_post(
        company->api, "/v2/enqueue",
        story_text("{\"routing_key\":\"%s\",\"event_action\":\"trigger\",\"dedup_key\":\"%s\",\"payload\":{\"summary\":"
                   "\"It burns\",\"source\":\"db1\",\"severity\":\"critical\"}}",
                   company->key, dedup_key));
    assert_int_equal(answer->status, 202);
    (void)story_deliver(company->api);
}

/* The incident of that number. */
static const struct api_answer *incident(struct company *company, unsigned number)
{
    return api_get(company->api, story_text("/incidents/%u", number));
}

static const char *urgency_of(struct company *company, unsigned number)
{
    return api_answer_text(incident(company, number), "incident", "urgency", NULL);
}

static const char *assignee_of(struct company *company, unsigned number)
{
    return api_answer_text(incident(company, number), "incident", "assignments", "0", "assignee", "summary", NULL);
}

/* ---------------------------------------------------------------- shapes */

static void what_was_written_is_read_back(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *id = service(company, RULE "," HOURS "," ACTIONS);
    const struct api_answer *read = api_get(api, story_text("/services/%s", id));
    json_t *given = json_loads("{" RULE "," HOURS "," ACTIONS "}", 0, NULL);
    const char *name;
    json_t *value;

    json_object_foreach (given, name, value) {
        assert_true(json_equal(api_answer_at(read, "service", name, NULL), value));
    }
    json_decref(given);
    assert_int_equal(api_get(api, "/abilities/service_support_hours")->status, 204);

    /* What a change does not name stays. */
    const struct api_answer *changed =
        api_put(api, story_text("/services/%s", id), "{\"service\":{\"description\":\"sells\"}}");
    assert_true(json_equal(api_answer_at(changed, "service", "support_hours", NULL),
                           api_answer_at(read, "service", "support_hours", NULL)));
    /* Constant urgency ends support hours, unless it comes with them. */
    changed = api_put(api, story_text("/services/%s", id),
                      "{\"service\":{\"incident_urgency_rule\":{\"type\":\"constant\",\"urgency\":\"low\"}," HOURS "}}");
    assert_string_equal(api_answer_text(changed, "service", "incident_urgency_rule", "urgency", NULL), "low");
    assert_true(json_is_object(api_answer_at(changed, "service", "support_hours", NULL)));
    changed = api_put(api, story_text("/services/%s", id),
                      "{\"service\":{\"incident_urgency_rule\":{\"type\":\"constant\",\"urgency\":\"low\"},"
                      "\"scheduled_actions\":[null]}}");
    assert_int_equal(changed->status, 200);
    assert_true(json_is_null(api_answer_at(changed, "service", "support_hours", NULL)));
    assert_int_equal(json_array_size(api_answer_at(changed, "service", "scheduled_actions", NULL)), 0);
    story_refused(api_put(api, story_text("/services/%s", id), "{\"service\":{" RULE "}}"), 400, 2001,
                  "no support hours");
}

/* ---------------------------------------------------------------- urgency */

static void urgency_follows_support_hours_across_the_end_of_summer_time(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    static const struct {
        uint64_t days, hours, minutes; /* since Monday 2026-09-21, in UTC; Berlin is two hours ahead */
        const char *urgency;
    } moments[] = {
        {1, 6, 59, "low"}, {1, 7, 0, "high"},   {1, 14, 59, "high"}, {1, 15, 0, "low"}, {5, 10, 0, "low"},
        {6, 10, 0, "low"}, {7, 7, 0, "high"},
        /* Clocks go back on Sunday 2026-10-25: one hour ahead from then on. */
        {32, 7, 0, "high"}, {35, 7, 59, "low"}, {35, 8, 0, "high"}, {35, 15, 59, "high"}, {35, 16, 0, "low"},
    };
    service(company, RULE "," HOURS);
    for (unsigned i = 0; i < sizeof moments / sizeof *moments; i++) {
        story_run_until(api, MONDAY_MS + moments[i].days * DAY_MS + moments[i].hours * HOUR_MS +
                           moments[i].minutes * MINUTE_MS);
        trigger(company, story_text("k%u", i));
        assert_string_equal(urgency_of(company, i + 1), moments[i].urgency);
    }
}

static void a_node_whose_clock_is_ahead_leaves_out_no_support_hours(void **state)
{
    struct company *company = *state;
    company->api->wall_ahead_ms = 9 * DAY_MS;
    service(company, RULE "," HOURS);
    trigger(company, "now");
    assert_string_equal(urgency_of(company, 1), "high");
}

static void hours_over_midnight_belong_to_the_day_on_which_they_begin(void **state)
{
    struct company *company = *state;
    service(company, RULE ",\"support_hours\":{\"time_zone\":\"UTC\",\"start_time\":\"22:00\",\"end_time\":\"06:00\","
                          "\"days_of_week\":[5]}");
    static const struct {
        uint64_t hours;
        const char *urgency;
    } moments[] = {{4 * 24 + 21, "low"}, {4 * 24 + 22, "high"}, {5 * 24 + 5, "high"}, {5 * 24 + 6, "low"},
                   {5 * 24 + 23, "low"}};
    for (unsigned i = 0; i < sizeof moments / sizeof *moments; i++) {
        story_run_until(company->api, MONDAY_MS + moments[i].hours * HOUR_MS);
        trigger(company, story_text("k%u", i));
        assert_string_equal(urgency_of(company, i + 1), moments[i].urgency);
    }
}

static void what_is_open_and_low_becomes_high_when_support_hours_begin(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    service(company, RULE "," HOURS "," ACTIONS);
    story_run_until(api, MONDAY_MS + 20 * HOUR_MS);
    trigger(company, "night");
    trigger(company, "taken");
    assert_int_equal(api_put(api, "/incidents/2", "{\"incident\":{\"type\":\"incident\",\"status\":\"acknowledged\"}}")
                         ->status,
                     200);
    story_run_until(api, MONDAY_MS + DAY_MS + 7 * HOUR_MS - 1);
    assert_string_equal(urgency_of(company, 1), "low");
    story_run_until(api, MONDAY_MS + DAY_MS + 7 * HOUR_MS);
    assert_string_equal(urgency_of(company, 1), "high");
    assert_string_equal(urgency_of(company, 2), "high");
    assert_string_equal(api_answer_text(incident(company, 2), "incident", "status", NULL), "acknowledged");
    const struct api_answer *log = api_get(api, "/incidents/1/log_entries");
    assert_non_null(strstr(log->text, "the support hours of the service begin"));
    /* From then on it escalates like any other. */
    story_run_until(api, MONDAY_MS + DAY_MS + 7 * HOUR_MS + 30 * MINUTE_MS);
    assert_string_equal(assignee_of(company, 1), "Bob");
    /* And the next morning, too. */
    story_run_until(api, MONDAY_MS + DAY_MS + 20 * HOUR_MS);
    trigger(company, "next night");
    story_run_until(api, MONDAY_MS + 2 * DAY_MS + 7 * HOUR_MS);
    assert_string_equal(urgency_of(company, 3), "high");
}

static void many_open_incidents_become_high_in_steps(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    unsigned count = 3 * LIMIT_SUPPORT_STEP_INCIDENTS + 1;
    service(company, RULE "," HOURS "," ACTIONS);
    story_run_until(api, MONDAY_MS + 20 * HOUR_MS);
    for (unsigned i = 0; i < count; i++) {
        trigger(company, story_text("k%u", i));
    }
    story_run_until(api, MONDAY_MS + DAY_MS + 7 * HOUR_MS + 10);
    for (unsigned i = 0; i < count; i++) {
        assert_string_equal(urgency_of(company, i + 1), "high");
    }
}

/* ---------------------------------------------------------------- clocks */

static void low_urgency_escalates_by_support_hours_only(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    service(company, "\"incident_urgency_rule\":{\"type\":\"constant\",\"urgency\":\"low\"}," HOURS);
    story_run_until(api, MONDAY_MS + 4 * DAY_MS + 14 * HOUR_MS + 50 * MINUTE_MS); /* Friday 16:50 in Berlin */
    trigger(company, "weekend");
    assert_string_equal(assignee_of(company, 1), "Alice");
    uint64_t due_ms = MONDAY_MS + 7 * DAY_MS + 7 * HOUR_MS + 20 * MINUTE_MS; /* Monday 09:20 */
    story_run_until(api, due_ms - 1);
    assert_string_equal(assignee_of(company, 1), "Alice");
    story_run_until(api, due_ms);
    assert_string_equal(assignee_of(company, 1), "Bob");
}

static void other_support_hours_hold_for_clocks_that_run(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *id = service(company, "\"incident_urgency_rule\":{\"type\":\"constant\",\"urgency\":\"low\"}," HOURS);
    story_run_until(api, MONDAY_MS + 4 * DAY_MS + 14 * HOUR_MS + 50 * MINUTE_MS);
    trigger(company, "weekend");
    story_run_until(api, MONDAY_MS + 5 * DAY_MS);
    /* Saturday is a working day from now on, from 10:00 UTC: ten minutes have been counted. */
    assert_int_equal(api_put(api, story_text("/services/%s", id),
                             "{\"service\":{\"support_hours\":{\"time_zone\":\"UTC\",\"start_time\":\"10:00\","
                             "\"end_time\":\"12:00\",\"days_of_week\":[6]}}}")
                         ->status,
                     200);
    story_run_until(api, MONDAY_MS + 5 * DAY_MS + 10 * HOUR_MS + 20 * MINUTE_MS - 1);
    assert_string_equal(assignee_of(company, 1), "Alice");
    story_run_until(api, MONDAY_MS + 5 * DAY_MS + 10 * HOUR_MS + 20 * MINUTE_MS);
    assert_string_equal(assignee_of(company, 1), "Bob");
    /* Without support hours every hour counts. */
    assert_int_equal(api_put(api, story_text("/services/%s", id), "{\"service\":{\"support_hours\":null}}")->status, 200);
    trigger(company, "later");
    story_run_until(api, api->now_ms + 30 * MINUTE_MS);
    assert_string_equal(assignee_of(company, 2), "Bob");
}

/* ---------------------------------------------------------------- the horizon */

static void support_hours_are_rendered_anew_every_week(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    service(company, RULE "," HOURS "," ACTIONS);
    for (unsigned week = 0; week < 20; week++) {
        Tocsin__SupportHoursExtend extend;
        uint64_t id = 0;
        story_run_until(api, api->now_ms + SUPPORT_RENDERED_EVERY_MS - 1);
        assert_false(support_horizon_next(&api->view, api->now_ms, &id, &extend));
        story_run_until(api, api->now_ms + 1);
        assert_true(support_horizon_next(&api->view, api->now_ms, &id, &extend));
        Tocsin__Command command = TOCSIN__COMMAND__INIT;
        command.body_case = TOCSIN__COMMAND__BODY_SUPPORT_HOURS_EXTEND;
        command.support_hours_extend = &extend;
        Tocsin__Reply *reply = api_fixture_apply(api, &command);
        assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
        tocsin__reply__free_unpacked(reply, NULL);
        /* One that was made from what was before is too late. */
        reply = api_fixture_apply(api, &command);
        assert_int_equal(reply->reason, TOCSIN__REASON__REASON_STALE_REVISION);
        tocsin__reply__free_unpacked(reply, NULL);
        free(extend.spans.data);
    }
    /* Tuesday 2027-02-09, far beyond what was known at first. */
    story_run_until(api, MONDAY_MS + 141 * DAY_MS + 7 * HOUR_MS);
    trigger(company, "early");
    assert_string_equal(urgency_of(company, 1), "low");
    story_run_until(api, MONDAY_MS + 141 * DAY_MS + 8 * HOUR_MS);
    assert_string_equal(urgency_of(company, 1), "high");
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(what_was_written_is_read_back),
        STORY(urgency_follows_support_hours_across_the_end_of_summer_time),
        STORY(a_node_whose_clock_is_ahead_leaves_out_no_support_hours),
        STORY(hours_over_midnight_belong_to_the_day_on_which_they_begin),
        STORY(what_is_open_and_low_becomes_high_when_support_hours_begin),
        STORY(many_open_incidents_become_high_in_steps),
        STORY(low_urgency_escalates_by_support_hours_only),
        STORY(other_support_hours_hold_for_clocks_that_run),
        STORY(support_hours_are_rendered_anew_every_week),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
