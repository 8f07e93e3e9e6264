/* Why somebody was paged or not, and where nobody would be, over HTTP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/api_story.h"

#define DAY_MS (24ull * 3600 * 1000)

/* Alice is asked for the shop; Bob is there, and Carol, whom nobody can tell. */
struct company {
    struct api_fixture *api;
    const char *alice, *bob, *carol, *method, *policy, *shop;
};

static int setup(void **state)
{
    static struct company company;
    struct api_fixture *api = company.api = api_fixture_new();

    company.alice = story_user(api, "Alice", "alice@example.org");
    company.bob = story_user(api, "Bob", "bob@example.org");
    company.carol = story_user(api, "Carol", "carol@example.org");
    company.method = story_contact_method(api, company.alice, "sms_contact_method", "5551111");
    story_contact_method(api, company.bob, "email_contact_method", "bob@example.org");
    company.policy = story_policy(api, "Shop people", company.alice);
    company.shop = story_service(api, "Shop", company.policy);
    *state = &company;
    return 0;
}

static int teardown(void **state)
{
    struct company *company = *state;

    api_fixture_free(company->api);
    return 0;
}

static const char *rule(struct company *company, const char *user, const char *method, unsigned delay_minutes)
{
    return story_create(company->api, story_text("/users/%s/notification_rules", user), "notification_rule",
                        story_text("{\"notification_rule\":{\"type\":\"assignment_notification_rule\",\"urgency\":\"high\","
                                   "\"start_delay_in_minutes\":%u,\"contact_method\":{\"id\":\"%s\",\"type\":"
                                   "\"sms_contact_method\"}}}", delay_minutes, method));
}

static const char *incident(struct company *company)
{
    return story_create(company->api, "/incidents", "incident",
                        story_text("{\"incident\":{\"type\":\"incident\",\"title\":\"Disk\",\"urgency\":\"high\",\"service\":"
                                   "{\"id\":\"%s\",\"type\":\"service_reference\"}}}", company->shop));
}

static void expect_sentence(const struct api_answer *answer, const char *part)
{
    assert_int_equal(answer->status, 200);
    const char *sentence = api_answer_text(answer, "why", "sentence", NULL);
    if (strstr(sentence, part) == NULL) {
        fail_msg("expected \"%s\" in: %s", part, sentence);
    }
}

static const struct api_answer *why(struct company *company, const char *id, const char *user)
{
    return api_get(company->api, user != NULL ? story_text("/incidents/%s/why?user_id=%s", id, user)
                                              : story_text("/incidents/%s/why", id));
}

static void trigger(struct company *company, const char *key)
{
    struct api_question question = {
        .method = "POST", .target = "/v2/enqueue",
        .body = story_text("{\"routing_key\":\"%s\",\"event_action\":\"trigger\",\"payload\":{\"summary\":\"Disk\","
                           "\"source\":\"db1\",\"severity\":\"critical\"}}", key)};

    assert_int_equal(api_fixture_ask(company->api, &question)->status, 202);
}

/* ---------------------------------------------------------------- why */

static void who_was_paged_hears_by_which_rule_and_level(void **state)
{
    struct company *company = *state;
    const char *at_once = rule(company, company->alice, company->method, 0);
    const char *later = rule(company, company->alice, company->method, 3);
    const char *id = incident(company);

    expect_sentence(why(company, id, company->alice), "a page is owed");
    assert_int_equal(story_deliver(company->api), 1);
    const struct api_answer *answer = why(company, id, company->alice);
    expect_sentence(answer, "Alice was paged, at level 1, first by sms");
    expect_sentence(answer, at_once);
    assert_true(json_is_true(api_answer_at(answer, "why", "people", "0", "paged", NULL)));
    assert_string_equal(api_answer_text(answer, "why", "people", "0", "pages", "0", "notification_rule", "id", NULL), at_once);
    assert_string_equal(api_answer_text(answer, "why", "people", "0", "pages", "0", "why", NULL), "rule_at_once");
    assert_string_equal(api_answer_text(answer, "why", "people", "0", "rules_ahead", "0", "notification_rule", "id", NULL), later);
    assert_string_equal(api_answer_text(answer, "why", "people", "0", "rules_ahead", "0", "at", NULL), "2026-09-21T14:16:20Z");

    story_run_until(company->api, company->api->now_ms + 3 * 60000);
    story_deliver(company->api);
    answer = why(company, id, company->alice);
    assert_string_equal(api_answer_text(answer, "why", "people", "0", "pages", "1", "notification_rule", "id", NULL), later);
    assert_int_equal(json_array_size(api_answer_at(answer, "why", "people", "0", "rules_ahead", NULL)), 0);
}

static void who_was_not_concerned_hears_who_was_asked(void **state)
{
    struct company *company = *state;
    const char *id = incident(company);
    const struct api_answer *answer = why(company, id, company->bob);

    expect_sentence(answer, "Bob was not paged: was never assigned");
    expect_sentence(answer, "level 1: Alice");
    assert_true(json_is_false(api_answer_at(answer, "why", "people", "0", "paged", NULL)));
}

static void who_cannot_be_told_is_named_with_the_reason(void **state)
{
    struct company *company = *state;
    const char *id = incident(company);

    api_put(company->api, story_text("/incidents/%s", id),
            story_text("{\"incident\":{\"type\":\"incident\",\"assignments\":[{\"assignee\":{\"id\":\"%s\",\"type\":"
                       "\"user_reference\"}}]}}", company->carol));
    expect_sentence(why(company, id, company->carol), "there is no contact method");
}

static void acknowledge(struct company *company, const char *id)
{
    api_put(company->api, story_text("/incidents/%s", id),
            "{\"incident\":{\"type\":\"incident_reference\",\"status\":\"acknowledged\"}}");
}

static void who_stands_on_a_later_level_hears_why_it_was_not_reached(void **state)
{
    struct company *company = *state;
    const char *put = story_text(
        "{\"escalation_policy\":{\"type\":\"escalation_policy\",\"name\":\"Shop people\",\"escalation_rules\":["
        "{\"escalation_delay_in_minutes\":5,\"targets\":[{\"id\":\"%s\",\"type\":\"user_reference\"}]},"
        "{\"escalation_delay_in_minutes\":5,\"targets\":[{\"id\":\"%s\",\"type\":\"user_reference\"}]}]}}", company->alice,
        company->bob);

    assert_int_equal(api_put(company->api, story_text("/escalation_policies/%s", company->policy), put)->status, 200);
    const char *id = incident(company);
    expect_sentence(why(company, id, company->bob), "Bob is on level 2 of escalation policy Shop people");
    expect_sentence(why(company, id, company->bob), "not reached yet: the next level is asked at 2026-09-21T14:18:20Z");
    acknowledge(company, id);
    expect_sentence(why(company, id, company->bob), "Level 2 was not reached. At 2026-09-21T14:13:20Z: Acknowledged by");
    expect_sentence(why(company, id, company->carol), "Carol is neither in escalation policy Shop people nor in its schedules");
}

static void who_acknowledged_hears_when(void **state)
{
    struct company *company = *state;
    const char *id = incident(company);

    story_deliver(company->api);
    api_fixture_add_token(company->api, "alicetoken123", TOCSIN__ROLE__ROLE_NONE, id_parse(company->alice));
    company->api->token = "alicetoken123";
    company->api->now_ms += 60000;
    acknowledge(company, id);
    const struct api_answer *answer = why(company, id, company->alice);
    expect_sentence(answer, "and acknowledged at 2026-09-21T14:14:20Z");
    assert_string_equal(api_answer_text(answer, "why", "people", "0", "acknowledged_at", NULL), "2026-09-21T14:14:20Z");
    assert_string_equal(api_answer_text(answer, "why", "people", "0", "pages", "0", "sent_at", NULL), "2026-09-21T14:13:20Z");
}

static void everybody_is_in_one_answer(void **state)
{
    struct company *company = *state;
    const char *id = incident(company);

    story_deliver(company->api);
    const struct api_answer *answer = why(company, id, NULL);
    expect_sentence(answer, "1 of 1 people concerned were paged");
    expect_sentence(why(company, id, company->alice), "the defaults");
    assert_true(json_array_size(api_answer_at(answer, "why", "decisions", NULL)) >= 2);
}

static void questions_about_nothing_are_refused(void **state)
{
    struct company *company = *state;
    const char *id = incident(company);

    assert_int_equal(why(company, "PZZZZZX", NULL)->status, 404);
    assert_int_equal(why(company, id, "PZZZZZX")->status, 404);
    story_refused(why(company, id, "-"), 400, 2001, "'user_id' must be an id");
}

/* ---------------------------------------------------------------- coverage */

/* The sentence of the first finding of the kind; NULL: there is none. */
static const char *hole(struct company *company, const char *kind)
{
    const struct api_answer *answer = api_get(company->api, story_text("/coverage?kinds[]=%s", kind));

    assert_int_equal(answer->status, 200);
    json_t *found = api_answer_at(answer, "coverage", "findings", "0", NULL);
    if (found != NULL) {
        assert_string_equal(json_string_value(json_object_get(found, "kind")), kind);
    }
    return json_string_value(json_object_get(found, "sentence"));
}

static void expect_hole(struct company *company, const char *kind, const char *part)
{
    const char *sentence = hole(company, kind);

    if (sentence == NULL || strstr(sentence, part) == NULL) {
        fail_msg("expected \"%s\" as %s in: %s", part, kind, sentence != NULL ? sentence : "nothing");
    }
}

static const char *layer(const char *name, const char *user, const char *restrictions)
{
    return story_text("{\"name\":\"%s\",\"start\":\"2026-01-01T00:00:00Z\",\"rotation_virtual_start\":\"2026-01-01T00:00:00Z\","
                      "\"rotation_turn_length_seconds\":86400,\"users\":[{\"user\":{\"id\":\"%s\",\"type\":\"user_reference\"}}],"
                      "\"restrictions\":[%s]}", name, user, restrictions);
}

static const char *schedule(struct company *company, const char *name, const char *layers)
{
    return story_create(company->api, "/schedules", "schedule",
                        story_text("{\"schedule\":{\"type\":\"schedule\",\"name\":\"%s\",\"time_zone\":\"UTC\","
                                   "\"schedule_layers\":[%s]}}", name, layers));
}

static void who_is_off_call_hears_who_was_on_call(void **state)
{
    struct company *company = *state;
    const char *rotation = story_text(
        "{\"name\":\"Years\",\"start\":\"2026-01-01T00:00:00Z\",\"rotation_virtual_start\":\"2026-01-01T00:00:00Z\","
        "\"rotation_turn_length_seconds\":31536000,\"users\":[{\"user\":{\"id\":\"%s\",\"type\":\"user_reference\"}},"
        "{\"user\":{\"id\":\"%s\",\"type\":\"user_reference\"}}]}", company->alice, company->bob);
    const char *primary = schedule(company, "Primary", rotation);

    assert_int_equal(api_put(company->api, story_text("/escalation_policies/%s", company->policy),
                             story_text("{\"escalation_policy\":{\"type\":\"escalation_policy\",\"name\":\"Shop people\","
                                        "\"escalation_rules\":[{\"escalation_delay_in_minutes\":5,\"targets\":[{\"id\":\"%s\","
                                        "\"type\":\"schedule_reference\"}]}]}}", primary))->status, 200);
    const char *id = incident(company);
    expect_sentence(why(company, id, company->bob),
                    "Bob was not on call in Primary (level 1) when the incident began: Alice was, by revision 1");
}

static void low_urgency_is_told_with_its_reason(void **state)
{
    struct company *company = *state;
    const char *hours =
        "{\"service\":{\"incident_urgency_rule\":{\"type\":\"use_support_hours\",\"during_support_hours\":{\"type\":\"constant\","
        "\"urgency\":\"high\"},\"outside_support_hours\":{\"type\":\"constant\",\"urgency\":\"low\"}},\"support_hours\":{\"type\":"
        "\"fixed_time_per_day\",\"time_zone\":\"UTC\",\"start_time\":\"08:00:00\",\"end_time\":\"09:00:00\",\"days_of_week\":"
        "[1,2,3,4,5]}}}";
    const struct api_answer *put = api_put(company->api, story_text("/services/%s", company->shop), hours);
    assert_int_equal(put->status, 200);
    const struct api_answer *answer =
        api_post(company->api, story_text("/services/%s/integrations", company->shop), "{\"integration\":{}}");
    trigger(company, api_answer_text(answer, "integration", "integration_key", NULL));
    story_deliver(company->api);
    const struct api_answer *list = api_get(company->api, "/incidents?date_range=all");
    const char *id = api_answer_text(list, "incidents", "0", "id", NULL);
    answer = why(company, id, company->alice);
    expect_sentence(answer, "for low urgency (it began outside of the service's support hours), first by");
    assert_string_equal(api_answer_text(answer, "why", "urgency", "why", NULL), "out_of_support_hours");
    api_put(company->api, story_text("/incidents/%s", id), "{\"incident\":{\"type\":\"incident\",\"urgency\":\"high\"}}");
    answer = why(company, id, NULL);
    assert_string_equal(api_answer_text(answer, "why", "urgency", "why", NULL), "request");
}

static void gaps_of_schedules_are_found(void **state)
{
    struct company *company = *state;

    schedule(company, "Always", layer("Days", company->alice, ""));
    assert_null(hole(company, "schedule_gap"));
    schedule(company, "Office hours",
             layer("Days", company->alice,
                   "{\"type\":\"daily_restriction\",\"start_time_of_day\":\"08:00:00\",\"duration_seconds\":32400}"));
    expect_hole(company, "schedule_gap", "Nobody is on call in Office hours from 2026-09-21T17:00:00Z to 2026-09-22T08:00:00Z");
}

static void a_schedule_may_have_no_name(void **state)
{
    struct company *company = *state;

    schedule(company, "",
             layer("Days", company->alice,
                   "{\"type\":\"daily_restriction\",\"start_time_of_day\":\"08:00:00\",\"duration_seconds\":32400}"));
    expect_hole(company, "schedule_gap", "Nobody is on call in a schedule without a name from");
}

static void a_layer_under_another_is_found(void **state)
{
    struct company *company = *state;

    schedule(company, "One", layer("Only", company->alice, ""));
    assert_null(hole(company, "schedule_layer_hidden"));
    schedule(company, "Both", story_text("%s,%s", layer("Primary", company->alice, ""), layer("Secondary", company->bob, "")));
    expect_hole(company, "schedule_layer_hidden", "wholly hidden by layer");
}

/* A layer's name is optional: it is told by its place then, counted from the lowest, as schedules are drawn. */
static void a_layer_without_a_name_is_told_by_its_place(void **state)
{
    struct company *company = *state;

    schedule(company, "Both", story_text("%s,%s,%s", layer("", company->alice, ""), layer("Middle", company->bob, ""),
                                         layer("", company->carol, "")));
    expect_hole(company, "schedule_layer_hidden", "Layer 1 of Both is wholly hidden by layer Middle");
    const struct api_answer *answer = api_get(company->api, "/coverage?kinds[]=schedule_layer_hidden");
    assert_string_equal(api_answer_text(answer, "coverage", "findings", "1", "sentence", NULL),
                        "Layer Middle of Both is wholly hidden by layer 3: its people are never on call.");
}

static const char *daily(const char *from, unsigned hours)
{
    return story_text("{\"type\":\"daily_restriction\",\"start_time_of_day\":\"%s\",\"duration_seconds\":%u}", from, hours * 3600);
}

static void a_layer_under_several_others_is_found(void **state)
{
    struct company *company = *state;
    const char *base = layer("Base", company->bob, "");

    schedule(company, "Days", story_text("%s,%s", base, layer("Day", company->alice, daily("08:00:00", 12))));
    schedule(company, "Nearly",
             story_text("%s,%s,%s", base, layer("Day", company->alice, daily("08:00:00", 12)),
                        layer("Night", company->carol, daily("20:00:00", 11))));
    assert_null(hole(company, "schedule_layer_hidden"));
    schedule(company, "Around",
             story_text("%s,%s,%s", base, layer("Day", company->alice, daily("08:00:00", 12)),
                        layer("Night", company->carol, daily("20:00:00", 12))));
    expect_hole(company, "schedule_layer_hidden", "Layer Base of Around is wholly hidden by the layers above it together");
}

static json_int_t count(struct company *company, const char *query)
{
    const struct api_answer *answer = api_get(company->api, story_text("/coverage?%s", query));

    assert_int_equal(answer->status, 200);
    return json_integer_value(api_answer_at(answer, "coverage", "count", NULL));
}

static void holes_are_counted_and_say_what_to_do(void **state)
{
    struct company *company = *state;
    const struct api_answer *answer = api_get(company->api, "/coverage");

    assert_int_equal(json_array_size(api_answer_at(answer, "coverage", "findings", NULL)), count(company, ""));
    assert_int_equal(json_integer_value(api_answer_at(answer, "coverage", "counts", "by_kind", "user_without_rule", NULL)), 2);
    assert_int_equal(json_integer_value(api_answer_at(answer, "coverage", "counts", "by_severity", "critical", NULL)), 1);
    assert_non_null(api_answer_text(answer, "coverage", "findings", "0", "action", NULL));
    assert_int_equal(count(company, "kind[]=user_without_rule&kind[]=service_untested"), 3);
    story_refused(api_get(company->api, "/coverage?kind[]=nonsense"), 400, 2001, "must be one of");
    story_refused(api_get(company->api, "/coverage?silent_days=0"), 400, 2001, "whole number");
}

static void a_team_asks_for_its_own_holes(void **state)
{
    struct company *company = *state;
    const char *team = story_create(company->api, "/teams", "team", "{\"team\":{\"type\":\"team\",\"name\":\"Shop\"}}");
    const char *other = story_create(company->api, "/teams", "team", "{\"team\":{\"type\":\"team\",\"name\":\"Other\"}}");
    const char *query = story_text("team_ids[]=%s", team);

    assert_int_equal(count(company, query), 0);
    api_put(company->api, story_text("/teams/%s/users/%s", team, company->alice), "{}");
    assert_int_equal(count(company, story_text("%s&kind[]=user_without_rule", query)), 2);
    api_put(company->api, story_text("/teams/%s/escalation_policies/%s", team, company->policy), NULL);
    assert_int_equal(count(company, story_text("%s&kind[]=service_untested", query)), 1);
    assert_int_equal(count(company, story_text("team_ids[]=%s", other)), 0);
}

static void a_large_company_is_looked_at_in_slices(void **state)
{
    struct company *company = *state;

    for (unsigned i = 0; i < 600; i++) {
        story_service(company->api, story_text("Service %u", i), company->policy);
    }
    company->api->later_reads = 0;
    assert_int_equal(count(company, "kind[]=service_untested"), 601);
    assert_true(company->api->later_reads >= 2);
}

static void people_who_cannot_be_told_are_found_when_they_are_needed(void **state)
{
    struct company *company = *state;

    assert_null(hole(company, "user_without_contact_method"));
    story_policy(company->api, "Carol alone", company->carol);
    expect_hole(company, "user_without_contact_method", "Carol");
    expect_hole(company, "user_without_rule", "Alice has no notification rule for high urgency");
    rule(company, company->alice, company->method, 0);
    expect_hole(company, "user_without_rule", "Alice has no notification rule for low urgency");
    expect_hole(company, "user_unverified", "Alice");
}

static void people_who_answer_are_no_hole(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;

    expect_hole(company, "user_untested", "Alice has answered no test and no page so far");
    api_post(api, story_text("/users/%s/contact_methods/%s/verification", company->alice, company->method), NULL);
    const char *code = story_code(api);
    api_post(api, story_text("/users/%s/contact_methods/%s/verify", company->alice, company->method),
             story_text("{\"code\":\"%s\"}", code));
    assert_null(hole(company, "user_untested"));
    assert_null(hole(company, "user_unverified"));
    api->now_ms += 91 * DAY_MS;
    expect_hole(company, "user_untested", "Alice has answered no test and no page in 90 days");
}

static void sources_that_fall_silent_are_found_by_their_habits(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const struct api_answer *answer =
        api_post(api, story_text("/services/%s/integrations", company->shop), "{\"integration\":{\"name\":\"Disks\"}}");
    const char *key = api_answer_text(answer, "integration", "integration_key", NULL);

    expect_hole(company, "integration_never_used", "Integration Disks of service Shop has never received an event");
    trigger(company, key);
    assert_null(hole(company, "integration_never_used"));
    api->now_ms += 30 * DAY_MS;
    assert_null(hole(company, "integration_silent"));
    api->now_ms += DAY_MS;
    expect_hole(company, "integration_silent", "has received nothing for 31 days");
    for (unsigned day = 0; day < 12; day++) { /* each 31 days: that is its habit then */
        trigger(company, key);
        api->now_ms += 31 * DAY_MS;
    }
    assert_null(hole(company, "integration_silent"));
    api->now_ms += 63 * DAY_MS;
    expect_hole(company, "integration_silent", "its longest silence before was 31 days");
}

static void sources_of_orchestrations_are_looked_at_likewise(void **state)
{
    struct company *company = *state;
    const char *id = story_create(company->api, "/event_orchestrations", "orchestration",
                                  "{\"orchestration\":{\"name\":\"Everything\"}}");

    expect_hole(company, "integration_never_used", "of event orchestration Everything has never received an event");
    const struct api_answer *answer = api_get(company->api, story_text("/event_orchestrations/%s/integrations", id));
    trigger(company, api_answer_text(answer, "integrations", "0", "parameters", "routing_key", NULL));
    assert_null(hole(company, "integration_never_used"));
    company->api->now_ms += 31 * DAY_MS;
    expect_hole(company, "integration_silent", "of event orchestration Everything has received nothing for 31 days");
}

static void an_event_writes_that_it_came_once_a_day(void **state)
{
    struct company *company = *state;
    const struct api_answer *answer =
        api_post(company->api, story_text("/services/%s/integrations", company->shop), "{\"integration\":{}}");
    const char *id = api_answer_text(answer, "integration", "id", NULL);
    const char *key = api_answer_text(answer, "integration", "integration_key", NULL);

    for (unsigned i = 0; i < 3; i++) {
        trigger(company, key);
        company->api->now_ms += DAY_MS / 2 - 1;
    }
    Tocsin__Integration *integration = integration_get(&company->api->view, id_parse(company->shop), id_parse(id), NULL);
    assert_int_equal(integration->heard->days, 1);
    assert_int_equal(integration->heard->last_at_ms, API_FIXTURE_START_MS);
    tocsin__integration__free_unpacked(integration, NULL);
}

static void services_and_the_cluster_are_looked_at(void **state)
{
    struct company *company = *state;

    expect_hole(company, "service_without_integration", "Shop");
    api_post(company->api, story_text("/services/%s/integrations", company->shop), "{\"integration\":{}}");
    assert_null(hole(company, "service_without_integration"));
    expect_hole(company, "guardians_missing", "no guardians");
}

/* ---------------------------------------------------------------- tests */

static void a_service_is_tested_through_the_whole_chain(void **state)
{
    struct company *company = *state;

    expect_hole(company, "service_untested", "never tested");
    const struct api_answer *answer = api_post(company->api, story_text("/services/%s/test", company->shop), NULL);
    assert_int_equal(answer->status, 201);
    assert_non_null(strstr(answer->text, "The service has no integration"));
    assert_non_null(strstr(answer->text, "level 1: Alice"));
    assert_non_null(strstr(answer->text, "A page to Alice by sms at 5551111 is under way."));
    const char *id = api_answer_text(answer, "test", "incident", "id", NULL);
    assert_int_equal(story_deliver(company->api), 1);
    expect_sentence(why(company, id, company->alice), "Alice was paged");
    const struct api_answer *incident = api_get(company->api, story_text("/incidents/%s", id));
    assert_non_null(strstr(api_answer_text(incident, "incident", "title", NULL), "[Test]"));
    assert_null(hole(company, "service_untested"));
    assert_int_equal(api_post(company->api, "/services/PZZZZZX/test", NULL)->status, 404);
}

static void a_person_is_told_by_each_method_but_not_every_second(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;

    story_contact_method(api, company->alice, "email_contact_method", "alice@example.org");
    expect_hole(company, "user_untested", "Alice");
    story_refused(api_post(api, "/users/me/test", NULL), 400, 2001, "belongs to nobody");
    api_fixture_add_token(api, "alicetoken123", TOCSIN__ROLE__ROLE_NONE, id_parse(company->alice));
    api_fixture_add_token(api, "caroltoken123", TOCSIN__ROLE__ROLE_NONE, id_parse(company->carol));
    api->token = "alicetoken123";
    const struct api_answer *answer = api_post(api, "/users/me/test", NULL);
    assert_int_equal(answer->status, 201);
    assert_int_equal(json_array_size(api_answer_at(answer, "test", "contact_methods", NULL)), 2);
    assert_int_equal(story_deliver(api), 2);
    expect_hole(company, "user_untested", "Alice has answered no test and no page so far"); /* sent, not answered */
    story_refused(api_post(api, "/users/me/test", NULL), 400, 2001, "within the last minute");
    api->now_ms += 60000;
    assert_int_equal(api_post(api, "/users/me/test", NULL)->status, 201);
    api->token = "caroltoken123";
    story_refused(api_post(api, "/users/me/test", NULL), 400, 2001, "no contact method");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        STORY(who_was_paged_hears_by_which_rule_and_level),
        STORY(who_was_not_concerned_hears_who_was_asked),
        STORY(who_cannot_be_told_is_named_with_the_reason),
        STORY(who_stands_on_a_later_level_hears_why_it_was_not_reached),
        STORY(who_acknowledged_hears_when),
        STORY(who_is_off_call_hears_who_was_on_call),
        STORY(low_urgency_is_told_with_its_reason),
        STORY(everybody_is_in_one_answer),
        STORY(questions_about_nothing_are_refused),
        STORY(gaps_of_schedules_are_found),
        STORY(a_schedule_may_have_no_name),
        STORY(a_layer_under_another_is_found),
        STORY(a_layer_without_a_name_is_told_by_its_place),
        STORY(a_layer_under_several_others_is_found),
        STORY(holes_are_counted_and_say_what_to_do),
        STORY(a_team_asks_for_its_own_holes),
        STORY(a_large_company_is_looked_at_in_slices),
        STORY(people_who_cannot_be_told_are_found_when_they_are_needed),
        STORY(people_who_answer_are_no_hole),
        STORY(sources_that_fall_silent_are_found_by_their_habits),
        STORY(sources_of_orchestrations_are_looked_at_likewise),
        STORY(an_event_writes_that_it_came_once_a_day),
        STORY(services_and_the_cluster_are_looked_at),
        STORY(a_service_is_tested_through_the_whole_chain),
        STORY(a_person_is_told_by_each_method_but_not_every_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
