/* A service is tested by an event through the whole chain: nothing swallows it, and what would have swallowed another is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/api_story.h"

struct company {
    struct api_fixture *api;
    const char *alice, *policy, *shop, *integration, *key;
};

static int setup(void **state)
{
    static struct company company;
    struct api_fixture *api = company.api = api_fixture_new();

    company.alice = story_user(api, "Alice", "alice@example.org");
    story_contact_method(api, company.alice, "email_contact_method", "alice@example.org");
    company.policy = story_policy(api, "Shop people", company.alice);
    company.shop = story_service(api, "Shop", company.policy);
    const struct api_answer *answer =
        api_post(api, story_text("/services/%s/integrations", company.shop), "{\"integration\":{\"name\":\"Disks\"}}");
    company.integration = api_answer_text(answer, "integration", "id", NULL);
    company.key = api_answer_text(answer, "integration", "integration_key", NULL);
    api_fixture_add_token(api, "alicetoken123", TOCSIN__ROLE__ROLE_NONE, id_parse(company.alice));
    *state = &company;
    return 0;
}

static int teardown(void **state)
{
    struct company *company = *state;

    api_fixture_free(company->api);
    return 0;
}

static const struct api_answer *begin_with(struct company *company, const char *body)
{
    const struct api_answer *answer = api_post(company->api, story_text("/services/%s/test", company->shop), body);

    if (answer->status != 201) {
        fail_msg("not begun: %s", answer->text);
    }
    return answer;
}

static const struct api_answer *begin(struct company *company)
{
    return begin_with(company, NULL);
}

static const struct api_answer *later(struct company *company, const struct api_answer *begun)
{
    const struct api_answer *answer = api_get(
        company->api, story_text("/services/%s/test/%s", company->shop, api_answer_text(begun, "test", "id", NULL)));

    assert_int_equal(answer->status, 200);
    return answer;
}

/* The step whose text has this part; ends the test when there is none. */
static json_t *step(const struct api_answer *answer, const char *part)
{
    json_t *element, *found = NULL;
    size_t i;

    json_array_foreach(api_answer_at(answer, "test", "steps", NULL), i, element)
    {
        if (found == NULL && strstr(json_string_value(json_object_get(element, "text")), part) != NULL) {
            found = element;
        }
    }
    if (found == NULL) {
        fail_msg("no step \"%s\" in: %s", part, answer->text);
    }
    return found;
}

static void expect_passed(const struct api_answer *answer, const char *part)
{
    assert_true(json_is_true(json_object_get(step(answer, part), "passed")));
}

static void expect_failed(const struct api_answer *answer, const char *name, const char *part)
{
    json_t *found = step(answer, part);

    assert_true(json_is_false(json_object_get(found, "passed")));
    assert_string_equal(json_string_value(json_object_get(found, "step")), name);
    assert_true(json_is_false(api_answer_at(answer, "test", "passed", NULL)));
    assert_non_null(strstr(api_answer_text(answer, "test", "sentence", NULL), "would not have paged"));
}

static const char *send_event(struct company *company, const char *dedup_key)
{
    struct api_question question = {
        .method = "POST", .target = "/v2/enqueue",
        .body = story_text("{\"routing_key\":\"%s\",\"event_action\":\"trigger\",\"dedup_key\":\"%s\",\"payload\":{\"summary\":"
                           "\"Disk full\",\"source\":\"db1\",\"severity\":\"critical\"}}", company->key, dedup_key)};

    assert_int_equal(api_fixture_ask(company->api, &question)->status, 202);
    return dedup_key;
}

static unsigned open_incidents(struct company *company)
{
    const struct api_answer *answer = api_get(company->api, "/incidents?statuses[]=triggered&date_range=all");

    return (unsigned)json_array_size(api_answer_at(answer, "incidents", NULL));
}

/* ---------------------------------------------------------------- the way through */

static void a_test_is_told_from_the_event_to_the_answer(void **state)
{
    struct company *company = *state;
    const struct api_answer *begun = begin(company);

    expect_passed(begun, "Integration Disks took an event of severity critical");
    expect_passed(begun, "No rule of event orchestration took it");
    expect_passed(begun, "of high urgency");
    expect_passed(begun, "level 1: Alice");
    assert_true(json_is_null(json_object_get(step(begun, "A page to Alice by email"), "passed")));
    assert_string_equal(api_answer_text(begun, "test", "state", NULL), "running");
    assert_int_equal(story_deliver(company->api), 1);
    expect_passed(later(company, begun), "Alice was told by");
    company->api->token = "alicetoken123";
    company->api->now_ms += 42000;
    api_put(company->api, story_text("/incidents/%s", api_answer_text(begun, "test", "id", NULL)),
            "{\"incident\":{\"type\":\"incident_reference\",\"status\":\"acknowledged\"}}");
    const struct api_answer *answer = later(company, begun);
    expect_passed(answer, "Acknowledged by Alice. 42 s after it began.");
    assert_string_equal(api_answer_text(answer, "test", "state", NULL), "answered");
    assert_true(json_is_true(api_answer_at(answer, "test", "passed", NULL)));
}

static void an_event_of_ones_own_goes_through_the_rules(void **state)
{
    struct company *company = *state;
    const struct api_answer *put = api_put(
        company->api, story_text("/event_orchestrations/services/%s", company->shop),
        "{\"orchestration_path\":{\"sets\":[{\"id\":\"start\",\"rules\":[{\"label\":\"backups are low\",\"conditions\":"
        "[{\"expression\":\"event.summary matches part 'backup'\"}],\"actions\":{\"severity\":\"info\"}}]}],\"catch_all\":"
        "{\"actions\":{}}}}");
    assert_int_equal(put->status, 200);
    api_put(company->api, story_text("/event_orchestrations/services/%s/active", company->shop), "{\"active\":true}");
    const struct api_answer *begun = begin_with(
        company, "{\"event\":{\"payload\":{\"summary\":\"backup failed\",\"source\":\"db1\",\"severity\":\"error\"}}}");
    expect_passed(begun, "The rule \"backups are low\"");
    expect_passed(begun, "an event of severity info");
    const struct api_answer *incident =
        api_get(company->api, story_text("/incidents/%s", api_answer_text(begun, "test", "id", NULL)));
    assert_string_equal(api_answer_text(incident, "incident", "title", NULL), "[Test] backup failed");
}

/* ---------------------------------------------------------------- what would have swallowed it */

static void maintenance_is_told_and_gone_past(void **state)
{
    struct company *company = *state;
    const char *window = story_text(
        "{\"maintenance_window\":{\"type\":\"maintenance_window\",\"start_time\":\"2026-09-21T14:00:00Z\",\"end_time\":"
        "\"2026-09-21T16:00:00Z\",\"description\":\"New disks\",\"services\":[{\"id\":\"%s\",\"type\":\"service_reference\"}]}}",
        company->shop);

    assert_int_equal(api_post(company->api, "/maintenance_windows", window)->status, 201);
    const struct api_answer *begun = begin(company);
    expect_failed(begun, "suppression", "maintenance: New disks");
    step(begun, "A page to Alice by email");
}

static void a_mute_is_told_and_gone_past(void **state)
{
    struct company *company = *state;
    const char *mute = "{\"mute\":{\"matchers\":[{\"name\":\"service\",\"value\":\"Shop\"}],\"reason\":\"known noise\"}}";

    assert_int_equal(api_post(company->api, "/mutes", mute)->status, 201);
    const struct api_answer *begun = begin(company);
    expect_failed(begun, "suppression", "A mute would have swallowed a real event: known noise");
    expect_failed(later(company, begun), "suppression", "A mute would have swallowed a real event: known noise");
    step(begun, "A page to Alice by email");
}

static void put_rule(struct company *company, const char *actions)
{
    const struct api_answer *put =
        api_put(company->api, story_text("/event_orchestrations/services/%s", company->shop),
                story_text("{\"orchestration_path\":{\"sets\":[{\"id\":\"start\",\"rules\":[{\"label\":\"noise\",\"conditions\":[],"
                           "\"actions\":%s}]}],\"catch_all\":{\"actions\":{}}}}", actions));

    assert_int_equal(put->status, 200);
    api_put(company->api, story_text("/event_orchestrations/services/%s/active", company->shop), "{\"active\":true}");
}

static void rules_are_told_and_gone_past(void **state)
{
    struct company *company = *state;

    put_rule(company, "{\"suppress\":true}");
    expect_failed(begin(company), "suppression", "would have opened no incident now, because an event rule");
    put_rule(company, "{\"suspend\":300}");
    expect_failed(begin(company), "suppression", "only if it still fired after 300 s");
    put_rule(company, "{\"event_action\":\"resolve\"}");
    expect_failed(begin(company), "rules", "a rule makes an acknowledgement or a resolve of it");
    assert_int_equal(open_incidents(company), 3);
}

/* ---------------------------------------------------------------- what is real stays so */

static void a_test_joins_nothing_and_nothing_joins_it(void **state)
{
    struct company *company = *state;
    const char *grouping = "{\"service\":{\"alert_grouping_parameters\":{\"type\":\"time\",\"config\":{\"timeout\":60}}}}";

    assert_int_equal(api_put(company->api, story_text("/services/%s", company->shop), grouping)->status, 200);
    begin(company);
    send_event(company, "real");
    assert_int_equal(open_incidents(company), 2);
    const struct api_answer *begun = begin(company);
    expect_passed(begun, "A real event would have joined incident 2");
    assert_int_equal(open_incidents(company), 3);
}

static void a_test_is_no_sign_of_life(void **state)
{
    struct company *company = *state;

    begin(company);
    Tocsin__Integration *integration =
        integration_get(&company->api->view, id_parse(company->shop), id_parse(company->integration), NULL);
    assert_null(integration->heard);
    tocsin__integration__free_unpacked(integration, NULL);
    Tocsin__Service *service = service_get(&company->api->view, id_parse(company->shop), NULL);
    assert_int_equal(service->last_tested_at_ms, company->api->now_ms);
    tocsin__service__free_unpacked(service, NULL);
}

static const char *route(const char *service)
{
    return story_text("{\"orchestration_path\":{\"sets\":[{\"id\":\"start\",\"rules\":[{\"label\":\"all\",\"conditions\":[],\"actions\":{"
                      "\"route_to\":\"%s\"}}]}],\"catch_all\":{\"actions\":{\"route_to\":\"unrouted\"}}}}",
                      service);
}

static void a_test_begins_at_an_orchestration_whose_rules_bring_it_here(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const struct api_answer *made = api_post(api, "/event_orchestrations", "{\"orchestration\":{\"name\":\"All\"}}");
    const char *router = story_text("/event_orchestrations/%s/router", api_answer_text(made, "orchestration", "id", NULL));
    char body[80], path[64];
    (void)snprintf(body, sizeof body, "{\"routing_key\":\"%s\"}",
                   api_answer_text(made, "orchestration", "integrations", "0", "parameters", "routing_key", NULL));
    (void)snprintf(path, sizeof path, "/services/%s/test", company->shop);

    story_refused(api_post(api, path, body), 400, 2001, "route it nowhere");
    const char *other = story_service(api, "Other", company->policy);
    assert_int_equal(api_put(api, router, route(other))->status, 200);
    story_refused(api_post(api, path, body), 400, 2001, "to the service Other");
    assert_int_equal(json_array_size(api_answer_at(api_get(api, "/incidents?date_range=all"), "incidents", NULL)), 0);
    assert_int_equal(api_put(api, router, route(company->shop))->status, 200);
    const struct api_answer *begun = begin_with(company, body);
    assert_non_null(step(begun, "all"));
    assert_int_equal(api_post(api, path, "{\"routing_key\":\"00000000000000000000000000000000\"}")->status, 404);
}

static void what_cannot_be_tested_is_refused(void **state)
{
    struct company *company = *state;
    const char *path = story_text("/services/%s/test", company->shop);

    story_refused(api_post(company->api, path, "{\"integration_id\":\"-\"}"), 400, 2001, "must be an id");
    assert_int_equal(api_post(company->api, path, "{\"integration_id\":\"PZZZZZX\"}")->status, 404);
    assert_int_equal(api_post(company->api, path, "{\"event\":{\"payload\":{}}}")->status, 400);
    send_event(company, "real");
    assert_int_equal(api_get(company->api, story_text("/services/%s/test/%s", company->shop, company->alice))->status, 404);
    const struct api_answer *list = api_get(company->api, "/incidents?date_range=all");
    const char *real = api_answer_text(list, "incidents", "0", "id", NULL);
    assert_int_equal(api_get(company->api, story_text("/services/%s/test/%s", company->shop, real))->status, 404);
    api_put(company->api, story_text("/services/%s", company->shop), "{\"service\":{\"status\":\"disabled\"}}");
    story_refused(api_post(company->api, path, NULL), 400, 2001, "disabled");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        STORY(a_test_is_told_from_the_event_to_the_answer),
        STORY(an_event_of_ones_own_goes_through_the_rules),
        STORY(maintenance_is_told_and_gone_past),
        STORY(a_mute_is_told_and_gone_past),
        STORY(rules_are_told_and_gone_past),
        STORY(a_test_joins_nothing_and_nothing_joins_it),
        STORY(a_test_is_no_sign_of_life),
        STORY(a_test_begins_at_an_orchestration_whose_rules_bring_it_here),
        STORY(what_cannot_be_tested_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
