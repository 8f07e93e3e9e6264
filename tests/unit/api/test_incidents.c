/* Incidents as responders, dashboards and SDKs talk about them: lists, changes, notes, alerts, timeline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/api_story.h"

#define DAY_MS (24ull * 3600 * 1000)

/* Two people, two services; Alice is on call for the shop, Bob for billing. */
struct company {
    struct api_fixture *api;
    const char *alice, *bob, *shop_policy, *billing_policy, *shop, *billing, *shop_key;
};

static int setup(void **state)
{
    static struct company company;
    struct api_fixture *api = company.api = api_fixture_new();

    company.alice = story_user(api, "Alice", "alice@example.org");
    company.bob = story_user(api, "Bob", "bob@example.org");
    story_contact_method(api, company.alice, "sms_contact_method", "5551111");
    story_contact_method(api, company.bob, "sms_contact_method", "5552222");
    company.shop_policy = story_policy(api, "Shop people", company.alice);
    company.billing_policy = story_policy(api, "Billing people", company.bob);
    company.shop = story_service(api, "Shop", company.shop_policy);
    company.billing = story_service(api, "Billing", company.billing_policy);
    const struct api_answer *integration =
        api_post(api, story_text("/services/%s/integrations", company.shop), "{\"integration\":{}}");
    company.shop_key = api_answer_text(integration, "integration", "integration_key", NULL);
    *state = &company;
    return 0;
}

static int teardown(void **state)
{
    struct company *company = *state;

    api_fixture_free(company->api);
    return 0;
}

static const char *incident(struct api_fixture *api, const char *title, const char *service)
{
    return story_create(api, "/incidents", "incident",
                        story_text("{\"incident\":{\"type\":\"incident\",\"title\":\"%s\",\"service\":{\"id\":\"%s\","
                                   "\"type\":\"service_reference\"}}}",
                                   title, service));
}

static void set_status(struct api_fixture *api, const char *id, const char *status)
{
    const struct api_answer *answer =
        api_put(api, story_text("/incidents/%s", id),
                story_text("{\"incident\":{\"type\":\"incident_reference\",\"status\":\"%s\"}}", status));
    assert_int_equal(answer->status, 200);
    assert_string_equal(api_answer_text(answer, "incident", "status", NULL), status);
}

static void event(struct company *company, const char *action, const char *key, const char *details)
{
    const struct api_answer *answer = api_post(
        company->api, "/v2/enqueue",
        story_text("{\"routing_key\":\"%s\",\"event_action\":\"%s\",\"dedup_key\":\"%s\",\"payload\":{\"summary\":"
                   "\"Disk full\","
                   "\"source\":\"web1\",\"severity\":\"critical\",\"component\":\"disk\",\"custom_details\":%s}}",
                   company->shop_key, action, key, details));
    assert_int_equal(answer->status, 202);
}

/* The titles of a list, joined. */
static const char *titles(struct api_fixture *api, const char *target)
{
    const struct api_answer *answer = api_get(api, target);
    const char *joined = "";
    size_t i;
    json_t *one;

    if (answer->status != 200) {
        fail_msg("GET %s answered %u: %s", target, answer->status, answer->text);
    }
    json_array_foreach(api_answer_at(answer, "incidents", NULL), i, one)
    {
        joined = story_text("%s%s%s", joined, i > 0 ? " " : "", json_string_value(json_object_get(one, "title")));
    }
    return joined;
}

/* ---------------------------------------------------------------- one incident */

static void an_incident_has_all_that_clients_read(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;

    event(company, "trigger", "disk/web1", "{\"free\":\"0%\"}");
    const struct api_answer *list = api_get(api, "/incidents");
    const char *id = api_answer_text(list, "incidents", "0", "id", NULL);
    const struct api_answer *read = api_get(api, story_text("/incidents/%s", id));
    assert_int_equal(read->status, 200);
    assert_true(json_equal(api_answer_at(read, "incident", NULL), api_answer_at(list, "incidents", "0", NULL)));
    assert_string_equal(api_answer_text(read, "incident", "summary", NULL), "[#1] Disk full");
    assert_string_equal(api_answer_text(read, "incident", "type", NULL), "incident");
    assert_string_equal(api_answer_text(read, "incident", "self", NULL),
                        story_text("https://tocsin.example/incidents/%s", id));
    assert_int_equal(story_number(read, "incident", "incident_number"), 1);
    assert_string_equal(api_answer_text(read, "incident", "status", NULL), "triggered");
    assert_string_equal(api_answer_text(read, "incident", "urgency", NULL), "high");
    assert_string_equal(api_answer_text(read, "incident", "created_at", NULL), "2026-09-21T14:13:20Z");
    assert_string_equal(api_answer_text(read, "incident", "incident_key", NULL), "disk/web1");
    assert_string_equal(api_answer_text(read, "incident", "service", "summary", NULL), "Shop");
    assert_string_equal(api_answer_text(read, "incident", "escalation_policy", "summary", NULL), "Shop people");
    assert_string_equal(api_answer_text(read, "incident", "assigned_via", NULL), "escalation_policy");
    assert_string_equal(api_answer_text(read, "incident", "assignments", "0", "assignee", "summary", NULL), "Alice");
    assert_string_equal(api_answer_text(read, "incident", "last_status_change_by", "type", NULL), "service_reference");
    assert_string_equal(api_answer_text(read, "incident", "pending_actions", "0", "type", NULL), "escalate");
    assert_string_equal(api_answer_text(read, "incident", "first_trigger_log_entry", "type", NULL),
                        "trigger_log_entry_reference");
    assert_int_equal(json_integer_value(api_answer_at(read, "incident", "alert_counts", "triggered", NULL)), 1);
    assert_int_equal(json_integer_value(api_answer_at(read, "incident", "alert_counts", "all", NULL)), 1);
    static const char *const nulls[] = {"html_url",       "resolved_at",       "priority",
                                        "resolve_reason", "conference_bridge", "body"};
    static const char *const arrays[] = {"teams", "acknowledgements", "incidents_responders", "responder_requests"};
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++) {
        assert_true(json_is_null(api_answer_at(read, "incident", nulls[i], NULL)));
    }
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        assert_true(json_is_array(api_answer_at(read, "incident", arrays[i], NULL)));
    }

    assert_true(json_equal(api_get(api, "/incidents/1")->json, read->json)); /* by number */
    story_refused(api_get(api, "/incidents/2"), 404, 2100, "");
    story_refused(api_get(api, "/incidents/PZZZZZZ"), 404, 2100, "");
    story_refused(api_get(api, "/incidents/99999999999999999999999"), 404, 2100, "");
    story_refused(api_get(api, "/incidents/lost"), 404, 2100, "");

    read = api_get(api,
                   "/incidents/1?include[]=assignees&include[]=services&include[]=escalation_policies&include[]=moons");
    assert_string_equal(api_answer_text(read, "incident", "assignments", "0", "assignee", "email", NULL),
                        "alice@example.org");
    assert_int_equal(json_integer_value(api_answer_at(read, "incident", "service", "acknowledgement_timeout", NULL)),
                     1800);
    assert_true(json_is_array(api_answer_at(read, "incident", "escalation_policy", "escalation_rules", NULL)));
}

static void an_incident_is_made_by_hand(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *body = story_text("{\"incident\":{\"type\":\"incident\",\"title\":\"Odd smell\",\"urgency\":\"low\","
                                  "\"incident_key\":\"smell\",\"priority\":null,\"service\":{\"id\":\"%s\"},"
                                  "\"body\":{\"type\":\"incident_body\",\"details\":\"from the cellar\"},"
                                  "\"assignments\":[{\"assignee\":{\"id\":\"%s\",\"type\":\"user_reference\"}}]}}",
                                  company->shop, company->bob);
    const struct api_answer *created = api_post(api, "/incidents", body);

    assert_int_equal(created->status, 201);
    assert_string_equal(api_answer_text(created, "incident", "urgency", NULL), "low");
    assert_string_equal(api_answer_text(created, "incident", "body", "details", NULL), "from the cellar");
    assert_string_equal(api_answer_text(created, "incident", "assigned_via", NULL), "direct_assignment");
    assert_string_equal(api_answer_text(created, "incident", "assignments", "0", "assignee", "id", NULL), company->bob);
    story_refused(api_post(api, "/incidents", body), 400, 2001, "incident key");
    set_status(api, api_answer_text(created, "incident", "id", NULL), "resolved");
    assert_int_equal(api_post(api, "/incidents", body)->status, 201); /* the key is free again */

    created = api_post(
        api, "/incidents",
        story_text("{\"incident\":{\"title\":\"T\",\"service\":{\"id\":\"%s\"},\"escalation_policy\":{\"id\":\"%s\"},"
                   "\"body\":{\"details\":{\"a\":[1,2]}}}}",
                   company->shop, company->billing_policy));
    assert_int_equal(created->status, 201);
    assert_string_equal(api_answer_text(created, "incident", "escalation_policy", "summary", NULL), "Billing people");
    assert_string_equal(api_answer_text(created, "incident", "assignments", "0", "assignee", "summary", NULL), "Bob");
    assert_string_equal(api_answer_text(created, "incident", "body", "details", NULL), "{\"a\":[1,2]}");
}

static void bad_incidents_are_refused_and_change_nothing(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    static const struct {
        const char *fields, *error;
    } bad[] = {
        {"\"urgency\":\"high\"", "Title can't be blank"},
        {"\"title\":17", "'title' must be a string"},
        {"\"title\":\"T\",\"urgency\":\"severity_based\"", "'urgency' must be one of: high, low"},
        {"\"title\":\"T\",\"assignments\":{}", "'assignments' must be an array"},
        {"\"title\":\"T\",\"assignments\":[{}]", "'assignments[].assignee' can't be blank"},
        {"\"title\":\"T\",\"assignments\":[{\"assignee\":{\"id\":\"PZZZZZZ\"}}]", "does not exist"},
        {"\"title\":\"T\",\"escalation_policy\":{\"id\":\"PZZZZZZ\"}", "does not exist"},
        {"\"title\":\"T\",\"escalation_policy\":\"Shop people\"", "'escalation_policy' must be a reference"},
        {"\"title\":\"T\",\"body\":\"text\"", "'body' must be an object"},
        {"\"title\":\"T\",\"incident_key\":[]", "'incident_key' must be a string"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        story_refused(
            api_post(api, "/incidents",
                     story_text("{\"incident\":{%s,\"service\":{\"id\":\"%s\"}}}", bad[i].fields, company->shop)),
            400, 2001, bad[i].error);
    }
    story_refused(api_post(api, "/incidents", "{\"incident\":{\"title\":\"T\"}}"), 400, 2001, "Service can't be blank");
    story_refused(api_post(api, "/incidents", "{\"incident\":{\"title\":\"T\",\"service\":{\"id\":\"PZZZZZZ\"}}}"), 400,
                  2001, "does not exist");
    story_refused(
        api_post(api, "/incidents",
                 story_text("{\"incident\":{\"title\":\"T\",\"service\":{\"id\":\"%s\"},\"assignments\":[{\"assignee\":"
                            "{\"id\":\"%s\"}}],\"escalation_policy\":{\"id\":\"%s\"}}}",
                            company->shop, company->bob, company->shop_policy)),
        400, 2001, "not to both");
    assert_string_equal(titles(api, "/incidents?date_range=all"), "");
}

/* ---------------------------------------------------------------- changes */

static void an_incident_is_acknowledged_and_resolved_on_behalf_of_a_person(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *id = incident(api, "Down", company->shop);
    struct api_question question = {
        .method = "PUT",
        .target = "/incidents/1",
        .body = "{\"incident\":{\"type\":\"incident_reference\",\"status\":\"acknowledged\"}}",
        .headers = {{"Authorization", "Token token=" API_FIXTURE_TOKEN}, {"From", "bob@example.org"}},
    };
    const struct api_answer *acknowledged = api_fixture_ask(api, &question);

    assert_int_equal(acknowledged->status, 200);
    assert_string_equal(api_answer_text(acknowledged, "incident", "id", NULL), id);
    assert_string_equal(api_answer_text(acknowledged, "incident", "status", NULL), "acknowledged");
    assert_string_equal(
        api_answer_text(acknowledged, "incident", "acknowledgements", "0", "acknowledger", "summary", NULL), "Bob");
    assert_string_equal(api_answer_text(acknowledged, "incident", "last_status_change_by", "id", NULL), company->bob);
    assert_string_equal(api_answer_text(acknowledged, "incident", "pending_actions", "0", "type", NULL),
                        "unacknowledge");
    assert_string_equal(api_answer_text(acknowledged, "incident", "pending_actions", "0", "at", NULL),
                        "2026-09-21T14:43:20Z");

    question.headers[1].value = "stranger@example.org";
    story_refused(api_fixture_ask(api, &question), 400, 1008, "");

    const struct api_answer *resolved = api_put(api, story_text("/incidents/%s", id),
                                                "{\"incident\":{\"status\":\"resolved\",\"resolution\":\"rebooted\"}}");
    assert_int_equal(resolved->status, 200);
    assert_string_equal(api_answer_text(resolved, "incident", "resolved_at", NULL), "2026-09-21T14:13:20Z");
    assert_string_equal(api_answer_text(resolved, "incident", "resolution", NULL), "rebooted");
    assert_string_equal(api_answer_text(resolved, "incident", "last_status_change_by", "type", NULL),
                        "api_key_reference");
    assert_int_equal(json_array_size(api_answer_at(resolved, "incident", "pending_actions", NULL)), 0);
    story_refused(api_put(api, story_text("/incidents/%s", id), "{\"incident\":{\"status\":\"acknowledged\"}}"), 400,
                  1001, "already been resolved");
}

static void an_incident_is_renamed_reassigned_and_escalated(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *target = story_text("/incidents/%s", incident(api, "Down", company->shop));
    const struct api_answer *answer =
        api_put(api, target, "{\"incident\":{\"title\":\"Up and down\",\"urgency\":\"low\"}}");

    assert_int_equal(answer->status, 200);
    assert_string_equal(api_answer_text(answer, "incident", "title", NULL), "Up and down");
    assert_string_equal(api_answer_text(answer, "incident", "urgency", NULL), "low");
    assert_string_equal(api_answer_text(answer, "incident", "status", NULL), "triggered");

    answer = api_put(api, target,
                     story_text("{\"incident\":{\"assignments\":[{\"assignee\":{\"id\":\"%s\"}}]}}", company->bob));
    assert_string_equal(api_answer_text(answer, "incident", "assignments", "0", "assignee", "summary", NULL), "Bob");
    assert_string_equal(api_answer_text(answer, "incident", "assigned_via", NULL), "direct_assignment");

    answer = api_put(api, target,
                     story_text("{\"incident\":{\"escalation_policy\":{\"id\":\"%s\"}}}", company->shop_policy));
    assert_string_equal(api_answer_text(answer, "incident", "assignments", "0", "assignee", "summary", NULL), "Alice");
    answer = api_put(api, target, "{\"incident\":{\"escalation_level\":1}}");
    assert_int_equal(answer->status, 200);
    assert_int_equal(story_number(answer, "incident", "escalation_level"), 1);

    story_refused(api_put(api, target, "{\"incident\":{\"escalation_level\":2}}"), 400, 2001, "level");
    story_refused(api_put(api, target, "{\"incident\":{\"escalation_level\":0}}"), 400, 2001,
                  "'escalation_level' must be from 1");
    story_refused(api_put(api, target, "{\"incident\":{\"status\":\"sleeping\"}}"), 400, 2001,
                  "'status' must be one of");
    story_refused(api_put(api, target, "{\"incident\":{\"status\":4}}"), 400, 2001, "'status' must be a string");
    story_refused(api_put(api, target, "{\"incidents\":[]}"), 400, 2001, "named 'incident'");
    story_refused(api_put(api, "/incidents/17", "{\"incident\":{\"status\":\"resolved\"}}"), 404, 2100, "");
    story_refused(api_put(api, "/incidents/PZZZZZZ", "{\"incident\":{\"status\":\"resolved\"}}"), 404, 2100, "");
    story_refused(api_put(api, "/incidents/lost", "{\"incident\":{\"status\":\"resolved\"}}"), 404, 2100, "");
}

static void many_incidents_are_changed_each_on_its_own(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *first = incident(api, "One", company->shop), *second = incident(api, "Two", company->shop);
    const struct api_answer *answer = api_put(
        api, "/incidents",
        story_text("{\"incidents\":[{\"id\":\"%s\",\"type\":\"incident_reference\",\"status\":\"acknowledged\"},"
                   "{\"id\":\"2\",\"type\":\"incident_reference\",\"status\":\"resolved\"}]}",
                   first));
    assert_int_equal(answer->status, 200);
    assert_string_equal(api_answer_text(answer, "incidents", "0", "status", NULL), "acknowledged");
    assert_string_equal(api_answer_text(answer, "incidents", "1", "id", NULL), second);
    assert_string_equal(api_answer_text(answer, "incidents", "1", "status", NULL), "resolved");
    assert_null(api_answer_at(answer, "errors", NULL));

    const char *both =
        story_text("{\"incidents\":[{\"id\":\"%s\",\"status\":\"resolved\"},{\"id\":\"%s\",\"status\":\"resolved\"}]}",
                   first, second);
    answer = api_put(api, "/incidents", both);
    assert_int_equal(answer->status, 200);
    assert_int_equal(json_array_size(api_answer_at(answer, "incidents", NULL)), 1);
    assert_string_equal(api_answer_text(answer, "incidents", "0", "id", NULL), first);
    assert_non_null(strstr(api_answer_text(answer, "errors", "0", NULL), second));

    answer = api_put(api, "/incidents", both); /* now nothing is left to do */
    story_refused(answer, 400, 1001, first);
    assert_int_equal(json_array_size(api_answer_at(answer, "error", "errors", NULL)), 2);
    story_refused(api_put(api, "/incidents", "{\"incidents\":[{\"id\":\"77\",\"status\":\"resolved\"}]}"), 404, 2100,
                  "77: ");
}

static void a_repeated_idempotency_key_answers_the_first_request(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;

    incident(api, "One", company->shop);
    incident(api, "Two", company->shop);
    struct api_question question = {
        .method = "PUT",
        .target = "/incidents",
        .body = "{\"incidents\":[{\"id\":\"1\",\"status\":\"acknowledged\"},{\"id\":\"2\",\"status\":\"resolved\"}]}",
        .headers = {{"X-Api-Key", API_FIXTURE_TOKEN}, {"Idempotency-Key", "once"}},
    };
    const struct api_answer *first = api_fixture_ask(api, &question);
    assert_int_equal(first->status, 200);
    assert_true(json_equal(api_fixture_ask(api, &question)->json, first->json)); /* not "already resolved" */
}

/* Whoever acknowledged one incident and then another under one key was shown the first, and the second went on paging. */
static void a_key_is_of_one_request_and_no_other(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;

    incident(api, "One", company->shop);
    incident(api, "Two", company->shop);
    struct api_question question = {
        .method = "PUT",
        .target = "/incidents/1",
        .body = "{\"incident\":{\"status\":\"acknowledged\"}}",
        .headers = {{"X-Api-Key", API_FIXTURE_TOKEN}, {"Idempotency-Key", "always the same"}},
    };
    assert_int_equal(api_fixture_ask(api, &question)->status, 200);
    question.target = "/incidents/2";
    const struct api_answer *two = api_fixture_ask(api, &question);
    assert_string_equal(api_answer_text(two, "incident", "title", NULL), "Two");
    assert_string_equal(api_answer_text(two, "incident", "status", NULL), "acknowledged");
    question.body = "{\"incident\":{\"status\":\"resolved\"}}";
    assert_string_equal(api_answer_text(api_fixture_ask(api, &question), "incident", "status", NULL), "resolved");
}

static void bad_changes_of_many_change_none(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *id = incident(api, "One", company->shop);

    story_refused(api_put(api, "/incidents", "{}"), 400, 2001, "named 'incidents'");
    story_refused(api_put(api, "/incidents", "{\"incidents\":[]}"), 400, 2001, "at least one");
    story_refused(api_put(api, "/incidents", "{\"incidents\":{}}"), 400, 2001, "'incidents' must be an array");
    story_refused(
        api_put(api, "/incidents",
                story_text("{\"incidents\":[{\"id\":\"%s\",\"status\":\"resolved\"},{\"status\":\"resolved\"}]}", id)),
        400, 2001, "'incidents[].id' must be the id");
    story_refused(
        api_put(api, "/incidents",
                story_text("{\"incidents\":[{\"id\":\"%s\",\"status\":\"resolved\"},{\"id\":\"%s\",\"title\":1}]}", id,
                           id)),
        400, 2001, "'incidents[].title' must be a string");
    char *body = calloc(1, 64 * 252), *at = body;
    assert_non_null(body);
    at = stpcpy(at, "{\"incidents\":[");
    for (int i = 0; i < 251; i++) {
        at = stpcpy(stpcpy(at, i > 0 ? "," : ""), "{\"id\":\"1\",\"status\":\"resolved\"}");
    }
    (void)stpcpy(at, "]}");
    assert_int_equal(api_put(api, "/incidents", body)->status, 413);
    free(body);
    assert_string_equal(titles(api, "/incidents?statuses[]=triggered"), "One");
}

/* ---------------------------------------------------------------- lists */

static void lists_are_filtered(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *a = incident(api, "a", company->shop), *b = incident(api, "b", company->billing);

    incident(api, "c", company->shop);
    set_status(api, a, "acknowledged");
    set_status(api, b, "resolved");
    event(company, "trigger", "d", "{}");

    assert_string_equal(titles(api, "/incidents"), "a b c Disk full");
    assert_string_equal(titles(api, "/incidents?statuses[]=triggered&statuses[]=acknowledged"), "a c Disk full");
    assert_string_equal(titles(api, "/incidents?statuses[]=acknowledged"), "a");
    assert_string_equal(titles(api, "/incidents?statuses[]=resolved"), "b");
    assert_string_equal(titles(api, "/incidents?statuses%5B%5D=resolved&statuses%5B%5D=triggered"), "b c Disk full");
    assert_string_equal(titles(api, story_text("/incidents?service_ids[]=%s", company->billing)), "b");
    assert_string_equal(
        titles(api,
               story_text("/incidents?service_ids[]=%s&statuses[]=triggered&statuses[]=acknowledged", company->shop)),
        "a c Disk full");
    assert_string_equal(
        titles(api, story_text("/incidents?service_ids[]=%s&service_ids[]=%s", company->billing, company->shop)),
        "a b c Disk full");
    assert_string_equal(titles(api, story_text("/incidents?user_ids[]=%s", company->alice)), "a c Disk full");
    assert_string_equal(titles(api, story_text("/incidents?user_ids[]=%s", company->bob)), ""); /* it is resolved */
    assert_string_equal(titles(api, "/incidents?incident_key=d"), "Disk full");
    assert_string_equal(titles(api, "/incidents?urgencies[]=low"), "");
    assert_string_equal(titles(api, "/incidents?urgencies[]=high&urgencies[]=low"), "a b c Disk full");
    assert_string_equal(titles(api, "/incidents?service_ids[]=nonsense"), "");
    assert_string_equal(titles(api, "/incidents?team_ids[]=P000001"), "");

    story_refused(api_get(api, "/incidents?statuses[]=sleeping"), 400, 2001, "'statuses[]'");
    story_refused(api_get(api, "/incidents?urgencies[]=dire"), 400, 2001, "'urgencies[]'");
    story_refused(api_get(api, "/incidents?since=yesterday"), 400, 2001, "'since'");
    story_refused(api_get(api, "/incidents?until=2026-13-01"), 400, 2001, "'until'");
    story_refused(api_get(api, "/incidents?sort_by=colour"), 400, 2001, "'sort_by'");
    story_refused(api_get(api, "/incidents?sort_by=urgency:up"), 400, 2001, "'sort_by'");
    story_refused(api_get(api, "/incidents?sort_by=urgency,created_at,resolved_at"), 400, 2001, "'sort_by'");
    story_refused(api_get(api, "/incidents?limit=0"), 400, 2001, "Limit");
    story_refused(api_get(api, "/incidents?offset=10000"), 400, 2001, "10000");
}

static void lists_are_sorted_and_paged(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *ids[6];

    for (int i = 0; i < 6; i++) {
        ids[i] = incident(api, story_text("%c", 'a' + i), company->shop);
        api->now_ms += 1000;
    }
    assert_int_equal(api_put(api, story_text("/incidents/%s", ids[1]), "{\"incident\":{\"urgency\":\"low\"}}")->status,
                     200);
    set_status(api, ids[4], "resolved");
    api->now_ms += 1000;
    set_status(api, ids[2], "resolved");

    assert_string_equal(titles(api, "/incidents?sort_by=incident_number"), "a b c d e f");
    assert_string_equal(titles(api, "/incidents?sort_by=created_at:desc"), "f e d c b a");
    assert_string_equal(titles(api, "/incidents?sort_by=urgency"), "a c d e f b");
    assert_string_equal(titles(api, "/incidents?sort_by=urgency:desc,created_at:desc"), "b f e d c a");
    assert_string_equal(titles(api, "/incidents?sort_by=resolved_at"), "e c a b d f");
    assert_string_equal(titles(api, "/incidents?sort_by=resolved_at:desc&statuses[]=resolved"), "c e");
    assert_string_equal(titles(api, "/incidents?sort_by=created_at:desc&statuses[]=triggered"), "f d b a");

    assert_string_equal(titles(api, "/incidents?limit=2"), "a b");
    assert_string_equal(titles(api, "/incidents?limit=2&offset=4"), "e f");
    assert_string_equal(titles(api, "/incidents?limit=2&offset=1&statuses[]=triggered&statuses[]=acknowledged"), "b d");
    assert_string_equal(titles(api, "/incidents?limit=2&offset=1&statuses[]=triggered&sort_by=incident_number:desc"),
                        "d b");
    const struct api_answer *page =
        api_get(api, "/incidents?limit=2&statuses[]=triggered&statuses[]=acknowledged&total=true");
    assert_true(json_is_true(api_answer_at(page, "more", NULL)));
    assert_int_equal(story_number(page, "total", NULL), 4);
    page = api_get(api, "/incidents?limit=3&offset=3");
    assert_true(json_is_false(api_answer_at(page, "more", NULL)));
    assert_true(json_is_null(api_answer_at(page, "total", NULL)));
    assert_int_equal(story_number(page, "offset", NULL), 3);
}

static void a_default_window_hides_what_is_resolved_but_never_what_is_open(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *old = incident(api, "old", company->shop);

    incident(api, "old-open", company->shop);
    set_status(api, old, "resolved");
    api->now_ms += 60 * DAY_MS; /* to 2026-11-20 */
    incident(api, "new", company->shop);

    assert_string_equal(titles(api, "/incidents"), "old-open new");
    assert_string_equal(titles(api, "/incidents?sort_by=created_at:desc"), "new old-open");
    assert_string_equal(titles(api, "/incidents?statuses[]=resolved"), "");
    assert_string_equal(titles(api, "/incidents?date_range=all"), "old old-open new");
    assert_string_equal(titles(api, "/incidents?date_range=all&statuses[]=resolved"), "old");
    assert_string_equal(titles(api, "/incidents?since=2026-09-01"), "old old-open new");
    assert_string_equal(titles(api, "/incidents?since=2026-10-01T00:00:00Z"), "new");
    assert_string_equal(titles(api, "/incidents?until=2026-10-01T00:00:00%2B02:00"), "old old-open");
    assert_string_equal(titles(api, "/incidents?until=2026-10-01&sort_by=created_at:desc"), "old-open old");
    assert_string_equal(titles(api, "/incidents?since=2026-09-21T14:13:20Z&until=2026-09-21T14:13:20Z"),
                        "old old-open");
    assert_string_equal(titles(api, "/incidents?since=2026-09-21T14:13:20.001Z"), "new");
    assert_string_equal(titles(api, "/incidents?since=2026-10-01&sort_by=resolved_at"), "new");
    /* A range is of six months at most; before an end alone it is of one. */
    assert_string_equal(titles(api, "/incidents?until=2026-11-01"), "");
    assert_string_equal(titles(api, "/incidents?since=2026-09-01&until=2027-02-28"), "old old-open new");
    story_refused(api_get(api, "/incidents?since=2026-09-01&until=2027-04-01"), 400, 2001, "6 months apart at most");
    story_refused(api_get(api, "/incidents?since=2026-01-01"), 400, 2001, "date_range=all");
}

/* ---------------------------------------------------------------- notes, alerts, timeline */

static void notes_are_written_and_read(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *target = story_text("/incidents/%s/notes", incident(api, "Down", company->shop));
    struct api_question question = {
        .method = "POST",
        .target = target,
        .body = "{\"note\":{\"content\":\"On it\"}}",
        .headers = {{"X-Api-Key", API_FIXTURE_TOKEN}, {"From", "alice@example.org"}},
    };
    const struct api_answer *created = api_fixture_ask(api, &question);

    assert_int_equal(created->status, 200); /* not 201 */
    assert_string_equal(api_answer_text(created, "note", "content", NULL), "On it");
    assert_string_equal(api_answer_text(created, "note", "user", "summary", NULL), "Alice");
    assert_string_equal(api_answer_text(created, "note", "created_at", NULL), "2026-09-21T14:13:20Z");
    assert_true(strlen(api_answer_text(created, "note", "id", NULL)) > 0);
    assert_int_equal(api_post(api, "/incidents/1/notes", "{\"note\":{\"content\":\"Found it\"}}")->status, 200);

    const struct api_answer *list = api_get(api, target);
    assert_int_equal(json_array_size(api_answer_at(list, "notes", NULL)), 2);
    assert_string_equal(api_answer_text(list, "notes", "0", "content", NULL), "Found it");
    assert_string_equal(api_answer_text(list, "notes", "0", "user", "type", NULL), "bot_user_reference");
    assert_string_equal(api_answer_text(list, "notes", "1", "user", "id", NULL), company->alice);

    story_refused(api_post(api, target, "{\"note\":{}}"), 400, 2001, "Content can't be blank");
    story_refused(api_post(api, target, "{\"note\":{\"content\":5}}"), 400, 2001, "'content' must be a string");
    story_refused(api_post(api, target, "{\"content\":\"x\"}"), 400, 2001, "named 'note'");
    story_refused(api_post(api, "/incidents/9/notes", "{\"note\":{\"content\":\"x\"}}"), 404, 2100, "");
    story_refused(api_get(api, "/incidents/9/notes"), 404, 2100, "");
    assert_int_equal(json_array_size(api_answer_at(api_get(api, target), "notes", NULL)), 2);
}

static void alerts_show_what_the_source_sent(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;

    event(company, "trigger", "disk/web1", "{\"free\":\"0%\",\"mounts\":[\"/\",\"/var\"]}");
    const struct api_answer *list = api_get(api, "/incidents/1/alerts");
    assert_int_equal(list->status, 200);
    assert_int_equal(json_array_size(api_answer_at(list, "alerts", NULL)), 1);
    assert_int_equal(story_number(list, "limit", NULL), 25);
    const char *id = api_answer_text(list, "alerts", "0", "id", NULL);
    const struct api_answer *read =
        api_get(api, story_text("/incidents/1/alerts/%s/", id)); /* as the Go client writes it */
    assert_int_equal(read->status, 200);
    assert_true(json_equal(api_answer_at(read, "alert", NULL), api_answer_at(list, "alerts", "0", NULL)));
    assert_string_equal(api_answer_text(read, "alert", "type", NULL), "alert");
    assert_string_equal(api_answer_text(read, "alert", "status", NULL), "triggered");
    assert_string_equal(api_answer_text(read, "alert", "alert_key", NULL), "disk/web1");
    assert_string_equal(api_answer_text(read, "alert", "severity", NULL), "critical");
    assert_string_equal(api_answer_text(read, "alert", "body", "type", NULL), "alert_body");
    assert_string_equal(api_answer_text(read, "alert", "body", "details", "mounts", "1", NULL), "/var");
    assert_true(json_is_array(api_answer_at(read, "alert", "body", "contexts", NULL)));
    assert_string_equal(api_answer_text(read, "alert", "service", "summary", NULL), "Shop");
    assert_string_equal(api_answer_text(read, "alert", "incident", "summary", NULL), "[#1] Disk full");
    assert_string_equal(api_answer_text(read, "alert", "integration", "type", NULL),
                        "events_api_v2_inbound_integration_reference");

    event(company, "resolve", "disk/web1", "{}");
    assert_int_equal(
        json_array_size(api_answer_at(api_get(api, "/incidents/1/alerts?statuses[]=triggered"), "alerts", NULL)), 0);
    assert_int_equal(
        json_array_size(api_answer_at(api_get(api, "/incidents/1/alerts?statuses[]=resolved"), "alerts", NULL)), 1);
    const struct api_answer *incident_read = api_get(api, "/incidents/1");
    assert_string_equal(api_answer_text(incident_read, "incident", "status", NULL), "resolved");
    assert_int_equal(json_integer_value(api_answer_at(incident_read, "incident", "alert_counts", "resolved", NULL)), 1);
    story_refused(api_get(api, "/incidents/1/alerts/PZZZZZZ"), 404, 2100, "");
    story_refused(api_get(api, "/incidents/2/alerts"), 404, 2100, "");
    story_refused(api_get(api, "/incidents/1/alerts?limit=0"), 400, 2001, "Limit");
}

/* The entry of this type; ends the test when there is none. */
static json_t *entry_of_type(const struct api_answer *list, const char *type)
{
    size_t i;
    json_t *entry;

    json_array_foreach(api_answer_at(list, "log_entries", NULL), i, entry)
    {
        if (strcmp(json_string_value(json_object_get(entry, "type")), type) == 0) {
            return entry;
        }
    }
    fail_msg("no %s in: %s", type, list->text);
    return NULL;
}

static void the_timeline_says_why(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;

    event(company, "trigger", "disk/web1", "{}");
    api->now_ms += 60000;
    set_status(api, "1", "acknowledged");
    assert_int_equal(api_post(api, "/incidents/1/notes", "{\"note\":{\"content\":\"Looking\"}}")->status, 200);

    const struct api_answer *list = api_get(api, "/incidents/1/log_entries");
    assert_int_equal(list->status, 200);
    assert_string_equal(api_answer_text(list, "log_entries", "0", "type", NULL),
                        "annotate_log_entry"); /* newest first */
    json_t *trigger = entry_of_type(list, "trigger_log_entry");
    assert_string_equal(json_string_value(json_object_get(trigger, "why")), "event");
    assert_string_equal(json_string_value(json_object_get(json_object_get(trigger, "agent"), "type")),
                        "service_reference");
    assert_string_equal(json_string_value(json_object_get(trigger, "created_at")), "2026-09-21T14:13:20Z");
    json_t *acknowledge = entry_of_type(list, "acknowledge_log_entry");
    assert_string_equal(json_string_value(json_object_get(acknowledge, "why")), "request");
    assert_string_equal(json_string_value(json_object_get(json_object_get(acknowledge, "channel"), "type")), "api");
    json_t *note = entry_of_type(list, "annotate_log_entry");
    assert_string_equal(json_string_value(json_object_get(note, "note")), "Looking");
    assert_string_equal(json_string_value(json_object_get(json_object_get(note, "channel"), "summary")), "Looking");
    size_t i;
    json_t *entry;
    json_array_foreach(api_answer_at(list, "log_entries", NULL), i, entry)
    {
        const char *key;
        json_t *value;
        json_object_foreach(json_object_get(entry, "event_details"), key, value)
        {
            assert_true(json_is_string(value)); /* the Go client reads a map of strings */
        }
        assert_string_equal(json_string_value(json_object_get(json_object_get(entry, "incident"), "summary")),
                            "[#1] Disk full");
    }
}

static void log_entries_are_found_by_time_by_page_and_by_id(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;

    event(company, "trigger", "disk/web1", "{}");
    api->now_ms += 3600000;
    set_status(api, "1", "acknowledged");
    incident(api, "Second", company->billing);

    const struct api_answer *of_one = api_get(api, "/incidents/1/log_entries");
    size_t count = json_array_size(api_answer_at(of_one, "log_entries", NULL));
    assert_true(count >= 3); /* triggered, assigned, acknowledged */
    const struct api_answer *since = api_get(api, "/incidents/1/log_entries?since=2026-09-21T15:00:00Z");
    assert_int_equal(json_array_size(api_answer_at(since, "log_entries", NULL)), 1);
    assert_string_equal(api_answer_text(since, "log_entries", "0", "type", NULL), "acknowledge_log_entry");
    const struct api_answer *until = api_get(api, "/incidents/1/log_entries?until=2026-09-21T15:00:00Z&total=true");
    assert_int_equal(story_number(until, "total", NULL), (json_int_t)count - 1);
    const struct api_answer *page = api_get(api, "/incidents/1/log_entries?limit=1&offset=1");
    assert_int_equal(json_array_size(api_answer_at(page, "log_entries", NULL)), 1);
    assert_true(
        json_equal(api_answer_at(page, "log_entries", "0", NULL), api_answer_at(of_one, "log_entries", "1", NULL)));

    const struct api_answer *all = api_get(api, "/log_entries?total=true");
    assert_true(story_number(all, "total", NULL) > (json_int_t)count);
    assert_string_equal(api_answer_text(all, "log_entries", "0", "incident", "summary", NULL), "[#2] Second");

    const char *id = api_answer_text(of_one, "log_entries", "1", "id", NULL);
    const struct api_answer *bare = api_get(api, story_text("/log_entries/%s", id));
    assert_int_equal(bare->status, 200);
    assert_true(json_equal(api_answer_at(bare, "log_entry", NULL), api_answer_at(of_one, "log_entries", "1", NULL)));
    const char *self = api_answer_text(bare, "log_entry", "self", NULL);
    assert_true(json_equal(api_get(api, self + strlen("https://tocsin.example"))->json, bare->json));

    story_refused(api_get(api, "/log_entries/PZZZZZZ"), 404, 2100, "");
    story_refused(api_get(api, story_text("/log_entries/%s?incident_id=PZZZZZZ", id)), 404, 2100, "");
    story_refused(api_get(api, "/incidents/7/log_entries"), 404, 2100, "");
    story_refused(api_get(api, "/log_entries?since=now"), 400, 2001, "'since'");
}

static void observers_only_look(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;

    incident(api, "Down", company->shop);
    api_fixture_add_token(api, "observer123456789012", TOCSIN__ROLE__ROLE_OBSERVER, 0);
    api_fixture_add_token(api, "responder12345678901", TOCSIN__ROLE__ROLE_LIMITED_USER, 0);
    api->token = "observer123456789012";
    assert_string_equal(titles(api, "/incidents"), "Down");
    story_refused(api_put(api, "/incidents/1", "{\"incident\":{\"status\":\"resolved\"}}"), 403, 2010, "");
    story_refused(api_post(api, "/incidents/1/notes", "{\"note\":{\"content\":\"x\"}}"), 403, 2010, "");
    api->token = "responder12345678901";
    set_status(api, "1", "resolved");
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(an_incident_has_all_that_clients_read),
        STORY(an_incident_is_made_by_hand),
        STORY(bad_incidents_are_refused_and_change_nothing),
        STORY(an_incident_is_acknowledged_and_resolved_on_behalf_of_a_person),
        STORY(an_incident_is_renamed_reassigned_and_escalated),
        STORY(many_incidents_are_changed_each_on_its_own),
        STORY(a_repeated_idempotency_key_answers_the_first_request),
        STORY(a_key_is_of_one_request_and_no_other),
        STORY(bad_changes_of_many_change_none),
        STORY(lists_are_filtered),
        STORY(lists_are_sorted_and_paged),
        STORY(a_default_window_hides_what_is_resolved_but_never_what_is_open),
        STORY(notes_are_written_and_read),
        STORY(alerts_show_what_the_source_sent),
        STORY(the_timeline_says_why),
        STORY(log_entries_are_found_by_time_by_page_and_by_id),
        STORY(observers_only_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
