/* Services, integrations and escalation policies, as Terraform and the SDKs talk about them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/api_story.h"

/* A company of one person and one policy. */
struct company {
    struct api_fixture *api;
    const char *alice, *bob, *policy;
};

static int setup(void **state)
{
    static struct company company;

    company.api = api_fixture_new();
    company.alice = story_user(company.api, "Alice", "alice@example.org");
    company.bob = story_user(company.api, "Bob", "bob@example.org");
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

/* ---------------------------------------------------------------- abilities */

static void abilities_are_probed_at_login(void **state)
{
    struct api_fixture *api = ((struct company *)*state)->api;
    const struct api_answer *all = api_get(api, "/abilities");

    assert_int_equal(all->status, 200);
    assert_true(json_array_size(api_answer_at(all, "abilities", NULL)) > 0);
    assert_int_equal(api_get(api, "/abilities/urgencies")->status, 204);
    story_refused(api_get(api, "/abilities/event_intelligence"), 402, 2014, "abilities");
    story_refused(api_get(api, "/abilities/flying"), 404, 2100, "");
}

/* ---------------------------------------------------------------- services */

static void a_service_is_created_read_changed_and_deleted(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const struct api_answer *created = api_post(
        api, "/services",
        story_text(
            "{\"service\":{\"type\":\"service\",\"name\":\"Shop\",\"description\":\"sells\",\"acknowledgement_"
            "timeout\":600,"
            "\"auto_resolve_timeout\":14400,\"response_play\":null,\"alert_creation\":\"create_alerts_and_incidents\","
            "\"incident_urgency_rule\":{\"type\":\"constant\",\"urgency\":\"severity_based\"},"
            "\"escalation_policy\":{\"id\":\"%s\",\"type\":\"escalation_policy\"}}}",
            company->policy));
    assert_int_equal(created->status, 201);
    const char *id = api_answer_text(created, "service", "id", NULL);
    const char *target = story_text("/services/%s", id);
    const struct api_answer *read = api_get(api, target);
    assert_true(json_equal(read->json, created->json));
    assert_int_equal(story_number(read, "service", "acknowledgement_timeout"), 600);
    assert_int_equal(story_number(read, "service", "auto_resolve_timeout"), 14400);
    assert_string_equal(api_answer_text(read, "service", "status", NULL), "active");
    assert_string_equal(api_answer_text(read, "service", "incident_urgency_rule", "urgency", NULL), "severity_based");
    assert_string_equal(api_answer_text(read, "service", "escalation_policy", "id", NULL), company->policy);
    assert_string_equal(api_answer_text(read, "service", "escalation_policy", "summary", NULL), "Primary");
    assert_string_equal(api_answer_text(read, "service", "created_at", NULL), "2026-09-21T14:13:20Z");
    assert_true(json_is_null(api_answer_at(read, "service", "last_incident_timestamp", NULL)));
    assert_true(json_is_array(api_answer_at(read, "service", "integrations", NULL)));
    assert_true(json_is_null(api_answer_at(read, "service", "support_hours", NULL)));

    const struct api_answer *changed =
        api_put(api, target, "{\"service\":{\"acknowledgement_timeout\":null,\"status\":\"disabled\"}}");
    assert_int_equal(changed->status, 200);
    assert_true(json_is_null(api_answer_at(changed, "service", "acknowledgement_timeout", NULL)));
    assert_int_equal(story_number(changed, "service", "auto_resolve_timeout"), 14400);
    assert_string_equal(api_answer_text(changed, "service", "status", NULL), "disabled");
    assert_string_equal(api_answer_text(changed, "service", "name", NULL), "Shop");
    changed = api_put(api, target, "{\"service\":{\"acknowledgement_timeout\":0,\"auto_resolve_timeout\":0}}");
    assert_true(json_is_null(api_answer_at(changed, "service", "acknowledgement_timeout", NULL)));
    assert_true(json_is_null(api_answer_at(changed, "service", "auto_resolve_timeout", NULL)));
    changed = api_put(api, target, "{\"service\":{\"status\":\"active\"}}");
    assert_string_equal(api_answer_text(changed, "service", "status", NULL), "active");
    assert_true(json_is_null(api_answer_at(changed, "service", "acknowledgement_timeout", NULL)));

    assert_int_equal(api_delete(api, target)->status, 204);
    story_refused(api_get(api, target), 404, 2100, "");
    story_refused(api_put(api, target, "{\"service\":{\"name\":\"Shop\"}}"), 404, 2100, "");
}

static void what_is_not_said_of_a_service_has_defaults(void **state)
{
    struct company *company = *state;
    const char *id = story_service(company->api, "Shop", company->policy);
    const struct api_answer *read = api_get(
        company->api, story_text("/services/%s?include[]=auto_pause_notifications_parameters", id)); /* Terraform's */

    assert_int_equal(story_number(read, "service", "acknowledgement_timeout"), 1800);
    assert_true(json_is_null(api_answer_at(read, "service", "auto_resolve_timeout", NULL)));
    assert_string_equal(api_answer_text(read, "service", "incident_urgency_rule", "type", NULL), "constant");
    assert_string_equal(api_answer_text(read, "service", "incident_urgency_rule", "urgency", NULL), "high");

    const char *quiet = story_create(
        company->api, "/services", "service",
        story_text(
            "{\"service\":{\"name\":\"Quiet\",\"acknowledgement_timeout\":null,\"escalation_policy\":{\"id\":\"%s\"}}}",
            company->policy));
    read = api_get(company->api, story_text("/services/%s?include[]=escalation_policies", quiet));
    assert_true(json_is_null(api_answer_at(read, "service", "acknowledgement_timeout", NULL)));
    assert_true(json_is_array(api_answer_at(read, "service", "escalation_policy", "escalation_rules", NULL)));
}

static void bad_services_are_refused_and_change_nothing(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    static const struct {
        const char *fields, *error;
    } bad[] = {
        {"\"description\":\"nameless\"", "Name can't be blank"},
        {"\"name\":[]", "'name' must be a string"},
        {"\"name\":\"S\",\"acknowledgement_timeout\":\"600\"", "'acknowledgement_timeout' must be an integer"},
        {"\"name\":\"S\",\"acknowledgement_timeout\":-1", "'acknowledgement_timeout' must be from 0"},
        {"\"name\":\"S\",\"auto_resolve_timeout\":4294967296", "'auto_resolve_timeout' must be from 0"},
        {"\"name\":\"S\",\"incident_urgency_rule\":7", "'incident_urgency_rule' must be an object"},
        {"\"name\":\"S\",\"incident_urgency_rule\":{\"type\":\"use_support_hours\"}",
         "'incident_urgency_rule.during_support_hours' can't be blank"},
        {"\"name\":\"S\",\"incident_urgency_rule\":{\"type\":\"use_support_hours\",\"during_support_hours\":{\"urgency\":"
         "\"high\"},\"outside_support_hours\":{\"urgency\":\"low\"}}",
         "has no support hours"},
        {"\"name\":\"S\",\"support_hours\":{\"time_zone\":\"Mars/Base\",\"start_time\":\"09:00\",\"end_time\":\"17:00\","
         "\"days_of_week\":[1]}",
         "must be a time zone"},
        {"\"name\":\"S\",\"support_hours\":{\"time_zone\":\"UTC\",\"start_time\":\"25:00\",\"end_time\":\"17:00\","
         "\"days_of_week\":[1]}",
         "must be a time of day"},
        {"\"name\":\"S\",\"support_hours\":{\"time_zone\":\"UTC\",\"start_time\":\"09:00\",\"end_time\":\"17:00\","
         "\"days_of_week\":[1,8]}",
         "must be from 1 to 7"},
        {"\"name\":\"S\",\"support_hours\":{\"time_zone\":\"UTC\",\"start_time\":\"09:00\",\"end_time\":\"17:00\","
         "\"days_of_week\":[1,1]}",
         "each once"},
        {"\"name\":\"S\",\"scheduled_actions\":[{\"type\":\"urgency_change\",\"to_urgency\":\"high\",\"at\":{\"type\":"
         "\"named_time\",\"name\":\"noon\"}}]",
         "must be one of: support_hours_start"},
        {"\"name\":\"S\",\"incident_urgency_rule\":{\"type\":\"constant\"}",
         "'incident_urgency_rule.urgency' can't be blank"},
        {"\"name\":\"S\",\"incident_urgency_rule\":{\"type\":\"constant\",\"urgency\":\"dire\"}",
         "must be one of: high, low"},
        {"\"name\":\"S\",\"status\":\"asleep\"", "'status' must be one of"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        story_refused(api_post(api, "/services",
                               story_text("{\"service\":{%s,\"escalation_policy\":{\"id\":\"%s\"}}}", bad[i].fields,
                                          company->policy)),
                      400, 2001, bad[i].error);
    }
    story_refused(api_post(api, "/services", "{\"service\":{\"name\":\"S\"}}"), 400, 2001, "nobody would be told");
    story_refused(
        api_post(api, "/services", "{\"service\":{\"name\":\"S\",\"escalation_policy\":{\"id\":\"PZZZZZZ\"}}}"), 400,
        2001, "does not exist");
    story_refused(api_post(api, "/services", "{\"service\":{\"name\":\"S\",\"escalation_policy\":\"P000001\"}}"), 400,
                  2001, "reference");
    assert_int_equal(json_array_size(api_answer_at(api_get(api, "/services"), "services", NULL)), 0);

    const char *shop = story_service(api, "Shop", company->policy);
    story_refused_exactly(api_post(api, "/services",
                                   story_text("{\"service\":{\"name\":\"Shop\",\"escalation_policy\":{\"id\":\"%s\"}}}",
                                              company->policy)),
                          400, 2001, "Name has already been taken");
    story_refused(api_put(api, story_text("/services/%s", shop), "{\"service\":{\"escalation_policy\":null}}"), 400,
                  2001, "nobody would be told");
}

static void services_are_found_by_name(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;

    story_service(api, "Shop", company->policy);
    story_service(api, "Shop front", company->policy);
    story_service(api, "Billing", company->policy);
    assert_int_equal(json_array_size(api_answer_at(api_get(api, "/services?query=shop"), "services", NULL)), 2);
    assert_int_equal(json_array_size(api_answer_at(api_get(api, "/services?name=Shop"), "services", NULL)), 1);
    const struct api_answer *page = api_get(api, "/services?limit=2&offset=1&total=1");
    assert_int_equal(json_array_size(api_answer_at(page, "services", NULL)), 2);
    assert_int_equal(story_number(page, "total", NULL), 3);
    assert_true(json_is_false(api_answer_at(page, "more", NULL)));
}

/* ---------------------------------------------------------------- integrations */

static bool is_key(const char *text)
{
    return strlen(text) == 32 && text[strspn(text, "0123456789abcdef")] == '\0';
}

static void an_integration_gets_a_key_and_events_come_in_by_it(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *shop = story_service(api, "Shop", company->policy);
    const char *target = story_text("/services/%s/integrations", shop);
    const struct api_answer *created =
        api_post(api, target,
                 "{\"integration\":{\"type\":\"events_api_v2_inbound_integration\",\"name\":\"Prometheus\","
                 "\"integration_key\":\"mine\"}}");
    assert_int_equal(created->status, 201);
    const char *id = api_answer_text(created, "integration", "id", NULL);
    const char *key = api_answer_text(created, "integration", "integration_key", NULL);
    const char *one = story_text("%s/%s", target, id);
    assert_true(is_key(key)); /* made here, whatever the client wanted */
    assert_string_equal(api_answer_text(created, "integration", "type", NULL), "events_api_v2_inbound_integration");
    assert_string_equal(api_answer_text(created, "integration", "service", "id", NULL), shop);
    assert_true(json_is_null(api_answer_at(created, "integration", "vendor", NULL)));

    const struct api_answer *other = api_post(api, target, "{\"integration\":{}}");
    assert_int_equal(other->status, 201);
    assert_string_not_equal(api_answer_text(other, "integration", "integration_key", NULL), key);

    const struct api_answer *service = api_get(api, story_text("/services/%s", shop));
    assert_int_equal(json_array_size(api_answer_at(service, "service", "integrations", NULL)), 2);
    assert_string_equal(api_answer_text(service, "service", "integrations", "0", "type", NULL),
                        "events_api_v2_inbound_integration_reference");
    service = api_get(api, story_text("/services/%s?include[]=integrations", shop));
    assert_string_equal(api_answer_text(service, "service", "integrations", "0", "integration_key", NULL), key);

    const struct api_answer *changed = api_put(
        api, one, "{\"integration\":{\"name\":\"Alertmanager\",\"vendor\":{\"id\":\"PAM4FGS\",\"type\":\"vendor\"}}}");
    assert_int_equal(changed->status, 200);
    assert_string_equal(api_answer_text(changed, "integration", "name", NULL), "Alertmanager");
    assert_string_equal(api_answer_text(changed, "integration", "integration_key", NULL), key);
    assert_string_equal(api_answer_text(changed, "integration", "vendor", "id", NULL), "PAM4FGS");

    assert_int_equal(
        api_post(api, "/v2/enqueue",
                 story_text("{\"routing_key\":\"%s\",\"event_action\":\"trigger\",\"payload\":{\"summary\":\"down\","
                            "\"source\":\"web1\",\"severity\":\"critical\"}}",
                            key))
            ->status,
        202);
    service = api_get(api, story_text("/services/%s", shop));
    assert_string_equal(api_answer_text(service, "service", "status", NULL), "critical");
    assert_string_equal(api_answer_text(service, "service", "last_incident_timestamp", NULL), "2026-09-21T14:13:20Z");
    story_refused(api_delete(api, story_text("/services/%s", shop)), 400, 2001, "open incidents");

    assert_int_equal(api_delete(api, one)->status, 204);
    story_refused(api_get(api, one), 404, 2100, "");
}

static void bad_integrations_are_refused(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *target = story_text("/services/%s/integrations", story_service(api, "Shop", company->policy));

    story_refused(api_post(api, target, "{\"integration\":{\"type\":\"carrier pigeon\"}}"), 400, 2001, "Type must be");
    story_refused(api_post(api, target, "{\"integration\":{\"type\":5}}"), 400, 2001, "'type' must be a string");
    story_refused(api_post(api, target, "{\"integration\":{\"name\":\"\"}}"), 400, 2001, "Name can't be blank");
    story_refused(api_post(api, target, "{\"integration\":{\"vendor\":{\"id\":9}}}"), 400, 2001, "'vendor'");
    story_refused(api_post(api, target, "{\"service\":{}}"), 400, 2001, "named 'integration'");
    story_refused(api_post(api, "/services/PZZZZZZ/integrations", "{\"integration\":{}}"), 404, 2100, "");
    story_refused(api_get(api, story_text("%s/PZZZZZZ", target)), 404, 2100, "");
    assert_int_equal(api_get(api, target)->status, 405); /* PagerDuty has no such list */
}

static void an_integration_of_a_vendor_takes_its_type(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *target = story_text("/services/%s/integrations", story_service(api, "Shop", company->policy));
    const struct api_answer *page = api_get(api, "/vendors?limit=2&offset=4&total=true");

    assert_int_equal(page->status, 200);
    assert_int_equal(json_array_size(api_answer_at(page, "vendors", NULL)), 2);
    assert_true(json_is_true(api_answer_at(page, "more", NULL)));
    assert_string_equal(api_answer_text(page, "vendors", "0", "name", NULL), "Nagios");
    const char *nagios = api_answer_text(page, "vendors", "0", "id", NULL);
    const struct api_answer *one = api_get(api, story_text("/vendors/%s", nagios));
    assert_string_equal(api_answer_text(one, "vendor", "name", NULL), "Nagios");
    story_refused(api_get(api, "/vendors/PZZZZZZ"), 404, 2100, "");
    story_refused(api_get(api, "/vendors/none"), 404, 2100, "");

    const struct api_answer *created = api_post(
        api, target, story_text("{\"integration\":{\"name\":\"Old\",\"type\":\"service_integration\",\"vendor\":{\"id\":\"%s\"}}}", nagios));
    assert_string_equal(api_answer_text(created, "integration", "type", NULL), "nagios_inbound_integration");
    assert_string_equal(api_answer_text(created, "integration", "vendor", "summary", NULL), "Nagios");
    const struct api_answer *changed =
        api_put(api, story_text("%s/%s", target, api_answer_text(created, "integration", "id", NULL)),
                "{\"integration\":{\"name\":\"New\",\"type\":\"service_integration\"}}");
    assert_string_equal(api_answer_text(changed, "integration", "type", NULL), "nagios_inbound_integration");
    assert_string_equal(api_answer_text(changed, "integration", "name", NULL), "New");
    /* go-pagerduty changes an integration without wrapper. */
    changed = api_put(api, story_text("%s/%s", target, api_answer_text(created, "integration", "id", NULL)),
                      "{\"name\":\"Bare\",\"type\":\"nagios_inbound_integration\"}");
    assert_string_equal(api_answer_text(changed, "integration", "name", NULL), "Bare");
}

/* ---------------------------------------------------------------- escalation policies */

static void an_escalation_policy_is_created_read_changed_and_deleted(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const struct api_answer *created = api_post(
        api, "/escalation_policies",
        story_text("{\"escalation_policy\":{\"type\":\"escalation_policy\",\"name\":\"Night\",\"description\":\"late\","
                   "\"num_loops\":0,\"teams\":null,\"on_call_handoff_notifications\":\"always\",\"escalation_rules\":["
                   "{\"escalation_delay_in_minutes\":10,\"targets\":[{\"id\":\"%s\",\"type\":\"user\"}]},"
                   "{\"escalation_delay_in_minutes\":20,\"targets\":[{\"id\":\"%s\",\"type\":\"user_reference\"},"
                   "{\"id\":\"%s\",\"type\":\"user_reference\"}],"
                   "\"escalation_rule_assignment_strategy\":{\"type\":\"round_robin\"}}]}}",
                   company->alice, company->bob, company->alice));
    assert_int_equal(created->status, 201);
    const char *id = api_answer_text(created, "escalation_policy", "id", NULL);
    const char *target = story_text("/escalation_policies/%s", id);
    const struct api_answer *read = api_get(api, target);
    assert_true(json_equal(read->json, created->json));
    assert_int_equal(story_number(read, "escalation_policy", "num_loops"), 0);
    assert_string_equal(api_answer_text(read, "escalation_policy", "on_call_handoff_notifications", NULL), "always");
    assert_int_equal(json_array_size(api_answer_at(read, "escalation_policy", "escalation_rules", NULL)), 2);
    json_t *second = api_answer_at(read, "escalation_policy", "escalation_rules", "1", NULL);
    assert_int_equal(json_integer_value(json_object_get(second, "escalation_delay_in_minutes")), 20);
    assert_int_equal(json_array_size(json_object_get(second, "targets")), 2);
    assert_string_equal(
        api_answer_text(read, "escalation_policy", "escalation_rules", "0", "targets", "0", "summary", NULL), "Alice");
    assert_null(json_object_get(second, "escalation_rule_assignment_strategy"));
    read = api_get(api, story_text("%s?include[]=escalation_rule_assignment_strategies&include[]=targets", target));
    assert_string_equal(api_answer_text(read, "escalation_policy", "escalation_rules", "1",
                                        "escalation_rule_assignment_strategy", "type", NULL),
                        "round_robin");
    assert_string_equal(api_answer_text(read, "escalation_policy", "escalation_rules", "0",
                                        "escalation_rule_assignment_strategy", "type", NULL),
                        "assign_to_everyone");
    assert_string_equal(
        api_answer_text(read, "escalation_policy", "escalation_rules", "0", "targets", "0", "email", NULL),
        "alice@example.org");

    /* a level that is sent back with its id keeps it */
    const char *kept = api_answer_text(created, "escalation_policy", "escalation_rules", "1", "id", NULL);
    const struct api_answer *changed = api_put(
        api, target,
        story_text("{\"escalation_policy\":{\"escalation_rules\":[{\"id\":\"%s\",\"escalation_delay_in_minutes\":15,"
                   "\"targets\":[{\"id\":\"%s\",\"type\":\"user_reference\"}]}]}}",
                   kept, company->bob));
    assert_int_equal(changed->status, 200);
    assert_int_equal(json_array_size(api_answer_at(changed, "escalation_policy", "escalation_rules", NULL)), 1);
    assert_string_equal(api_answer_text(changed, "escalation_policy", "escalation_rules", "0", "id", NULL), kept);
    assert_string_equal(api_answer_text(changed, "escalation_policy", "description", NULL), "late");
    assert_int_equal(story_number(changed, "escalation_policy", "num_loops"), 0);

    assert_int_equal(api_delete(api, target)->status, 204);
    story_refused(api_get(api, target), 404, 2100, "");
}

static void a_policy_repeats_by_default_and_names_its_services(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *shop = story_service(api, "Shop", company->policy);
    const struct api_answer *read = api_get(api, story_text("/escalation_policies/%s", company->policy));

    assert_int_equal(story_number(read, "escalation_policy", "num_loops"), 3);
    assert_string_equal(api_answer_text(read, "escalation_policy", "services", "0", "id", NULL), shop);
    story_policy(api, "Secondary", company->bob);
    const struct api_answer *list = api_get(api, "/escalation_policies");
    assert_int_equal(json_array_size(api_answer_at(list, "escalation_policies", NULL)), 2);
    assert_int_equal(json_array_size(api_answer_at(list, "escalation_policies", "0", "services", NULL)), 1);
    assert_int_equal(json_array_size(api_answer_at(list, "escalation_policies", "1", "services", NULL)), 0);
    list = api_get(api, "/escalation_policies?query=SECOND");
    assert_int_equal(json_array_size(api_answer_at(list, "escalation_policies", NULL)), 1);
    list = api_get(api, story_text("/escalation_policies?user_ids[]=%s", company->alice));
    assert_string_equal(api_answer_text(list, "escalation_policies", "0", "name", NULL), "Primary");
    assert_int_equal(json_array_size(api_answer_at(list, "escalation_policies", NULL)), 1);
}

static void what_is_depended_on_cannot_be_deleted(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;

    story_service(api, "Shop", company->policy);
    story_refused(api_delete(api, story_text("/escalation_policies/%s", company->policy)), 400, 2001, "Shop");
    story_refused(api_delete(api, story_text("/users/%s", company->alice)), 400, 2001, "Primary");
    assert_int_equal(api_get(api, story_text("/users/%s", company->alice))->status, 200);
    assert_int_equal(api_delete(api, story_text("/users/%s", company->bob))->status, 204);
}

static void bad_escalation_policies_are_refused(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    static const struct {
        const char *fields, *error;
    } bad[] = {
        {"\"escalation_rules\":[]", "Name can't be blank"},
        {"\"name\":\"P\"", "at least one level"},
        {"\"name\":\"P\",\"escalation_rules\":[]", "at least one level"},
        {"\"name\":\"P\",\"escalation_rules\":{}", "'escalation_rules' must be an array"},
        {"\"name\":\"P\",\"escalation_rules\":[4]", "'escalation_rules[0]' must be an object"},
        {"\"name\":\"P\",\"escalation_rules\":[{\"escalation_delay_in_minutes\":5,\"targets\":[]}]",
         "must have a target"},
        {"\"name\":\"P\",\"escalation_rules\":[{\"escalation_delay_in_minutes\":0,\"targets\":[]}]",
         "'escalation_rules[0].escalation_delay_in_minutes' must be from 1"},
        {"\"name\":\"P\",\"escalation_rules\":[{\"targets\":[{\"id\":\"P000001\",\"type\":\"schedule_reference\"}]}]",
         "not a schedule"},
        {"\"name\":\"P\",\"escalation_rules\":[{\"targets\":[{\"type\":\"user\"}]}]",
         "'escalation_rules[0].targets[0].id' must be the id of a user"},
        {"\"name\":\"P\",\"escalation_rules\":[{\"targets\":[{\"id\":\"PZZZZZZ\",\"type\":\"user\"}]}]", "not a user"},
        {"\"name\":\"P\",\"escalation_rules\":[{\"targets\":[7]}]",
         "'escalation_rules[0].targets[0]' must be an object"},
        {"\"name\":\"P\",\"num_loops\":10", "'num_loops' must be from 0 to 9"},
        {"\"name\":\"P\",\"num_loops\":1.5", "'num_loops' must be an integer"},
        {"\"name\":\"P\",\"on_call_handoff_notifications\":\"sometimes\"", "must be one of: if_has_services, always"},
        {"\"name\":\"P\",\"escalation_rules\":[{\"targets\":[],\"escalation_rule_assignment_strategy\":{\"type\":"
         "\"loudest\"}}]",
         "must be assign_to_everyone or round_robin"},
        {"\"name\":\"P\",\"escalate_low_urgency\":1", "'escalate_low_urgency' must be true or false"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        story_refused(api_post(api, "/escalation_policies", story_text("{\"escalation_policy\":{%s}}", bad[i].fields)),
                      400, 2001, bad[i].error);
    }
    const char *target = story_text("/escalation_policies/%s", company->policy);
    story_refused(api_put(api, target, "{\"escalation_policy\":{\"escalation_rules\":null}}"), 400, 2001,
                  "at least one level");
    assert_int_equal(
        json_array_size(api_answer_at(api_get(api, target), "escalation_policy", "escalation_rules", NULL)), 1);
    story_refused_exactly(api_put(api,
                                  story_text("/escalation_policies/%s", story_policy(api, "Secondary", company->bob)),
                                  "{\"escalation_policy\":{\"name\":\"Primary\"}}"),
                          400, 2001, "Name has already been taken");
}

static void responders_do_not_configure(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *shop = story_service(api, "Shop", company->policy);

    api_fixture_add_token(api, "responder12345678901", TOCSIN__ROLE__ROLE_LIMITED_USER, 0);
    api_fixture_add_token(api, "manager1234567890123", TOCSIN__ROLE__ROLE_USER, 0);
    api->token = "responder12345678901";
    story_refused(api_put(api, story_text("/services/%s", shop), "{\"service\":{\"name\":\"X\"}}"), 403, 2010, "role");
    story_refused(api_delete(api, story_text("/services/%s", shop)), 403, 2010, "role");
    story_refused(api_post(api, story_text("/services/%s/integrations", shop), "{\"integration\":{}}"), 403, 2010,
                  "role");
    story_refused(api_delete(api, story_text("/escalation_policies/%s", company->policy)), 403, 2010, "role");
    api->token = "manager1234567890123";
    assert_int_equal(api_put(api, story_text("/services/%s", shop), "{\"service\":{\"name\":\"X\"}}")->status, 200);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(abilities_are_probed_at_login),
        STORY(a_service_is_created_read_changed_and_deleted),
        STORY(what_is_not_said_of_a_service_has_defaults),
        STORY(bad_services_are_refused_and_change_nothing),
        STORY(services_are_found_by_name),
        STORY(an_integration_gets_a_key_and_events_come_in_by_it),
        STORY(bad_integrations_are_refused),
        STORY(an_integration_of_a_vendor_takes_its_type),
        STORY(an_escalation_policy_is_created_read_changed_and_deleted),
        STORY(a_policy_repeats_by_default_and_names_its_services),
        STORY(what_is_depended_on_cannot_be_deleted),
        STORY(bad_escalation_policies_are_refused),
        STORY(responders_do_not_configure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
