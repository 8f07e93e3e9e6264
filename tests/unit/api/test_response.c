/* Responders over HTTP: snooze, merge, priorities, help, news, records, alerts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/api_story.h"

/* Alice is on call for the shop; Bob is there. */
struct company {
    struct api_fixture *api;
    const char *alice, *bob, *policy, *shop, *key;
};

static int setup(void **state)
{
    static struct company company;
    struct api_fixture *api = company.api = api_fixture_new();

    company.alice = story_user(api, "Alice", "alice@example.org");
    company.bob = story_user(api, "Bob", "bob@example.org");
    story_contact_method(api, company.alice, "sms_contact_method", "5551111");
    story_contact_method(api, company.bob, "email_contact_method", "bob@example.org");
    company.policy = story_policy(api, "Shop people", company.alice);
    company.shop = story_service(api, "Shop", company.policy);
    const struct api_answer *integration =
        api_post(api, story_text("/services/%s/integrations", company.shop), "{\"integration\":{}}");
    company.key = api_answer_text(integration, "integration", "integration_key", NULL);
    *state = &company;
    return 0;
}

static int teardown(void **state)
{
    struct company *company = *state;

    api_fixture_free(company->api);
    return 0;
}

/* An incident of an event; its id. */
static const char *trigger(struct company *company, const char *key)
{
    struct api_fixture *api = company->api;
    const struct api_answer *answer = api_post(
        api, "/v2/enqueue",
        story_text("{\"routing_key\":\"%s\",\"event_action\":\"trigger\",\"dedup_key\":\"%s\",\"payload\":{\"summary\":"
                   "\"%s\",\"source\":\"web1\",\"severity\":\"critical\"}}",
                   company->key, key, key));
    assert_int_equal(answer->status, 202);
    const struct api_answer *list = api_get(api, story_text("/incidents?incident_key=%s&statuses[]=triggered", key));
    return api_answer_text(list, "incidents", "0", "id", NULL);
}

static const struct api_answer *read_one(struct company *company, const char *id)
{
    return api_get(company->api, story_text("/incidents/%s", id));
}

/* The titles of a list, joined. */
static const char *titles(struct api_fixture *api, const char *target)
{
    const struct api_answer *answer = api_get(api, target);
    const char *joined = "";
    size_t i;
    json_t *one;

    assert_int_equal(answer->status, 200);
    json_array_foreach(api_answer_at(answer, "incidents", NULL), i, one)
    {
        joined = story_text("%s%s%s", joined, i > 0 ? " " : "", json_string_value(json_object_get(one, "title")));
    }
    return joined;
}

/* ---------------------------------------------------------------- snooze and merge */

static void an_incident_is_snoozed_by_id_or_number(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *id = trigger(company, "disk");

    const struct api_answer *answer = api_post(api, "/incidents/1/snooze", "{\"duration\":3600}");
    assert_int_equal(answer->status, 201);
    assert_string_equal(api_answer_text(answer, "incident", "id", NULL), id);
    assert_string_equal(api_answer_text(answer, "incident", "status", NULL), "acknowledged");
    assert_string_equal(api_answer_text(answer, "incident", "pending_actions", "0", "type", NULL), "unacknowledge");
    assert_string_equal(api_answer_text(answer, "incident", "pending_actions", "0", "at", NULL),
                        "2026-09-21T15:13:20Z");
    const struct api_answer *log = api_get(api, story_text("/incidents/%s/log_entries?include[]=channels", id));
    assert_string_equal(api_answer_text(log, "log_entries", "0", "type", NULL), "snooze_log_entry");
    size_t first = json_array_size(api_answer_at(log, "log_entries", NULL)) - 1;
    for (; strcmp(api_answer_text(log, "log_entries", story_text("%zu", first), "type", NULL), "trigger_log_entry") != 0; first--) {
    }
    assert_string_equal(api_answer_text(log, "log_entries", story_text("%zu", first), "channel", "source", NULL), "web1");
    const struct api_answer *whole = api_get(api, "/incidents/1?include[]=first_trigger_log_entries");
    assert_string_equal(api_answer_text(whole, "incident", "first_trigger_log_entry", "type", NULL), "trigger_log_entry");

    story_refused(api_post(api, story_text("/incidents/%s/snooze", id), "{\"duration\":0}"), 400, 1013, "seconds");
    story_refused(api_post(api, story_text("/incidents/%s/snooze", id), "{\"duration\":604801}"), 400, 1013, "seconds");
    story_refused(api_post(api, story_text("/incidents/%s/snooze", id), "{}"), 400, 2001, "Duration");
    story_refused(api_post(api, story_text("/incidents/%s/snooze", id), "{\"duration\":\"1 h\"}"), 400, 2001, "integer");
    assert_int_equal(api_post(api, "/incidents/77/snooze", "{\"duration\":60}")->status, 404);
}

static void incidents_are_merged(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *target = trigger(company, "disk"), *source = trigger(company, "load");

    const struct api_answer *answer = api_put(
        api, story_text("/incidents/%s/merge", target),
        story_text("{\"source_incidents\":[{\"id\":\"%s\",\"type\":\"incident_reference\"}]}", source));
    assert_int_equal(answer->status, 200);
    assert_string_equal(api_answer_text(answer, "incident", "type", NULL), "incident_reference");
    assert_string_equal(api_answer_text(answer, "incident", "id", NULL), target);
    const struct api_answer *merged = read_one(company, source);
    assert_string_equal(api_answer_text(merged, "incident", "status", NULL), "resolved");
    assert_string_equal(api_answer_text(merged, "incident", "resolve_reason", "type", NULL), "merge_resolve_reason");
    assert_string_equal(api_answer_text(merged, "incident", "resolve_reason", "incident", "id", NULL), target);
    const struct api_answer *alerts = api_get(api, story_text("/incidents/%s/alerts", target));
    assert_int_equal(json_array_size(api_answer_at(alerts, "alerts", NULL)), 2);
    assert_string_equal(api_answer_text(alerts, "alerts", "1", "incident", "id", NULL), target);

    const char *merge = story_text("/incidents/%s/merge", target);
    story_refused(api_put(api, merge, "{}"), 400, 2001, "source_incidents");
    story_refused(api_put(api, merge, "{\"source_incidents\":[{\"id\":\"what\"}]}"), 400, 2001, "source_incidents");
    story_refused(api_put(api, merge, story_text("{\"source_incidents\":[{\"id\":\"%s\"}]}", target)), 400, 2001,
                  "itself");
    story_refused(api_put(api, merge, story_text("{\"source_incidents\":[{\"id\":\"%s\"}]}", source)), 400, 1001,
                  "resolved");
}

/* ---------------------------------------------------------------- priorities */

static const char *priority(struct api_fixture *api, unsigned place)
{
    return api_answer_text(api_get(api, "/priorities"), "priorities", story_text("%u", place), "id", NULL);
}

static void priorities_are_given_listed_and_sorted_by(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *p1 = priority(api, 0), *p2 = priority(api, 1);

    const struct api_answer *list = api_get(api, "/priorities");
    assert_int_equal(json_array_size(api_answer_at(list, "priorities", NULL)), 5);
    assert_string_equal(api_answer_text(list, "priorities", "4", "name", NULL), "P5");
    assert_string_equal(api_answer_text(list, "priorities", "4", "type", NULL), "priority");
    story_create(api, "/incidents", "incident",
                 story_text("{\"incident\":{\"title\":\"second\",\"service\":{\"id\":\"%s\"},\"priority\":{\"id\":"
                            "\"%s\",\"type\":\"priority_reference\"}}}",
                            company->shop, p2));
    trigger(company, "none");
    const char *first = trigger(company, "first");
    const struct api_answer *answer =
        api_put(api, story_text("/incidents/%s", first), story_text("{\"incident\":{\"priority\":{\"id\":\"%s\"}}}", p1));
    assert_int_equal(answer->status, 200);
    assert_string_equal(api_answer_text(answer, "incident", "priority", "summary", NULL), "P1");

    assert_string_equal(titles(api, "/incidents?sort_by=priority"), "first second none");
    assert_string_equal(titles(api, "/incidents?sort_by=priority:desc,urgency"), "none second first");
    assert_string_equal(titles(api, "/incidents?sort_by=urgency,priority"), "first second none");
    assert_string_equal(titles(api, "/incidents?sort_by=incident_number"), "second none first");
    assert_string_equal(titles(api, story_text("/incidents?priority_ids[]=%s&priority_ids[]=%s", p1, p2)),
                        "second first");
    assert_string_equal(titles(api, "/incidents?sort_by=priority&limit=1&offset=1"), "second");

    /* null takes it away; what is not there changes nothing. */
    answer = api_put(api, story_text("/incidents/%s", first), "{\"incident\":{\"title\":\"renamed\"}}");
    assert_string_equal(api_answer_text(answer, "incident", "priority", "id", NULL), p1);
    answer = api_put(api, story_text("/incidents/%s", first), "{\"incident\":{\"priority\":null}}");
    assert_true(json_is_null(api_answer_at(answer, "incident", "priority", NULL)));
    story_refused(api_put(api, story_text("/incidents/%s", first), "{\"incident\":{\"priority\":{\"id\":\"P000001\"}}}"),
                  400, 2001, "priority");
}

static void priorities_are_replaced_by_admins(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *p1 = priority(api, 0);
    const char *body = story_text("{\"priorities\":[{\"id\":\"%s\",\"name\":\"Red\",\"color\":\"ff0000\"},"
                                  "{\"name\":\"Grey\",\"description\":\"Can wait\"}]}",
                                  p1);

    const struct api_answer *answer = api_put(api, "/priorities", body);
    assert_int_equal(answer->status, 200);
    assert_int_equal(json_array_size(api_answer_at(answer, "priorities", NULL)), 2);
    assert_string_equal(api_answer_text(answer, "priorities", "0", "name", NULL), "Red");
    assert_string_equal(api_answer_text(answer, "priorities", "1", "description", NULL), "Can wait");
    story_refused(api_put(api, "/priorities", "{\"priorities\":[{\"name\":\"\"}]}"), 400, 2001, "Name");
    story_refused(api_put(api, "/priorities", "{\"priorities\":[{\"name\":\"A\"},{\"name\":\"A\"}]}"), 400, 2001, "Name");
    story_refused(api_put(api, "/priorities", "{}"), 400, 2001, "priorities");
    api_fixture_add_token(api, "responder0responder0", TOCSIN__ROLE__ROLE_LIMITED_USER, 0);
    api->token = "responder0responder0";
    assert_int_equal(api_put(api, "/priorities", body)->status, 403);
}

/* ---------------------------------------------------------------- help and news */

static void people_are_asked_to_help(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *id = trigger(company, "disk"), *target = story_text("/incidents/%s/responder_requests", id);

    const struct api_answer *answer = api_post(
        api, target,
        story_text("{\"requester_id\":\"%s\",\"message\":\"Please look\",\"responder_request_targets\":[{"
                   "\"responder_request_target\":{\"id\":\"%s\",\"type\":\"user_reference\"}},"
                   "{\"responder_request_target\":{\"id\":\"%s\",\"type\":\"escalation_policy_reference\"}}]}",
                   company->alice, company->bob, company->policy));
    assert_int_equal(answer->status, 200);
    assert_string_equal(api_answer_text(answer, "responder_request", "message", NULL), "Please look");
    assert_string_equal(api_answer_text(answer, "responder_request", "responder_request_targets", "0",
                                        "responder_request_target", "id", NULL),
                        company->bob);
    assert_string_equal(api_answer_text(answer, "responder_request", "responder_request_targets", "1",
                                        "responder_request_target", "incidents_responders", "0", "state", NULL),
                        "pending");
    const char *own = story_text("/incidents/%s/responders/%s", id, company->bob);
    answer = api_put(api, own, "{\"responder\":{\"state\":\"joined\"}}");
    assert_int_equal(answer->status, 200);
    const struct api_answer *incident = read_one(company, id);
    assert_string_equal(api_answer_text(incident, "incident", "incidents_responders", "0", "state", NULL), "joined");
    assert_int_equal(json_array_size(api_answer_at(incident, "incident", "responder_requests", NULL)), 1);

    story_refused(api_put(api, own, "{\"responder\":{\"state\":\"asleep\"}}"), 400, 2001, "state");
    story_refused(api_post(api, target, "{}"), 400, 2001, "responder_request_targets");
    story_refused(api_post(api, target, "{\"responder_request_targets\":[{\"id\":\"P000001\",\"type\":\"team\"}]}"), 400,
                  2001, "type");
    /* Only the person, or an admin, answers. */
    api_fixture_add_token(api, "responder0responder0", TOCSIN__ROLE__ROLE_LIMITED_USER, 0);
    api->token = "responder0responder0";
    assert_int_equal(api_put(api, own, "{\"responder\":{\"state\":\"declined\"}}")->status, 403);
}

static void subscribers_hear_of_updates(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *id = trigger(company, "disk"), *updates = story_text("/incidents/%s/status_updates", id);
    const char *subscribers = story_text("%s/subscribers", updates);
    const char *bob = story_text(
        "{\"subscribers\":[{\"subscriber_id\":\"%s\",\"subscriber_type\":\"user\"}]}", company->bob);

    const struct api_answer *answer = api_post(api, subscribers, bob);
    assert_int_equal(answer->status, 200);
    assert_string_equal(api_answer_text(answer, "subscriptions", "0", "result", NULL), "success");
    answer = api_get(api, subscribers);
    assert_string_equal(api_answer_text(answer, "subscribers", "0", "subscriber_id", NULL), company->bob);

    answer = api_post(api, updates, "{\"message\":\"We are adding disks\"}");
    assert_int_equal(answer->status, 200);
    assert_string_equal(api_answer_text(answer, "status_update", "message", NULL), "We are adding disks");
    answer = api_get(api, updates);
    assert_string_equal(api_answer_text(answer, "status_updates", "0", "message", NULL), "We are adding disks");
    answer = api_get(api, story_text("/incidents/%s/log_entries", id));
    assert_string_equal(api_answer_text(answer, "log_entries", "0", "type", NULL), "status_update_log_entry");

    answer = api_post(api, story_text("%s/unsubscribe", updates), bob);
    assert_int_equal(answer->status, 200);
    assert_int_equal(json_integer_value(api_answer_at(answer, "deleted_count", NULL)), 1);
    assert_int_equal(json_array_size(api_answer_at(api_get(api, subscribers), "subscribers", NULL)), 0);
    story_refused(api_post(api, updates, "{\"message\":\" \"}"), 400, 2001, "blank");
    story_refused(api_post(api, subscribers, "{\"subscribers\":[]}"), 400, 2001, "subscribers");
    story_refused(api_post(api, subscribers,
                           story_text("{\"subscribers\":[{\"subscriber_id\":\"%s\"}]}", company->policy)),
                  400, 2001, "subscriber");
}

/* ---------------------------------------------------------------- records and alerts */

static void what_reports_need_is_recorded(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *id = trigger(company, "disk"), *self = story_text("/incidents/%s", id);

    const struct api_answer *answer = api_put(
        api, self,
        "{\"incident\":{\"severity\":\"SEV-2\",\"category\":\"ticket\",\"impact_started_at\":\"2026-09-21T14:00:00Z\","
        "\"mitigated_at\":\"2026-09-21T16:10:00+02:00\",\"conference_bridge\":{\"conference_number\":\"+1 415 555 1212\","
        "\"conference_url\":\"https://meet.example.org/1\"},\"runbook_url\":\"https://wiki.example.org/disk\"}}");
    assert_int_equal(answer->status, 200);
    assert_string_equal(api_answer_text(answer, "incident", "severity", NULL), "SEV-2");
    assert_string_equal(api_answer_text(answer, "incident", "category", NULL), "ticket");
    assert_string_equal(api_answer_text(answer, "incident", "mitigated_at", NULL), "2026-09-21T14:10:00Z");
    assert_string_equal(api_answer_text(answer, "incident", "conference_bridge", "conference_number", NULL),
                        "+1 415 555 1212");
    assert_string_equal(api_answer_text(answer, "incident", "runbook_url", NULL), "https://wiki.example.org/disk");
    assert_true(json_is_null(api_answer_at(answer, "incident", "action_needed", NULL)));

    answer = api_put(api, self, "{\"incident\":{\"status\":\"resolved\",\"action_needed\":false}}");
    assert_true(json_is_false(api_answer_at(answer, "incident", "action_needed", NULL)));
    answer = api_put(api, self, "{\"incident\":{\"action_needed\":true,\"conference_bridge\":null}}"); /* afterwards */
    assert_true(json_is_true(api_answer_at(answer, "incident", "action_needed", NULL)));
    assert_true(json_is_null(api_answer_at(answer, "incident", "conference_bridge", NULL)));
    assert_string_equal(api_answer_text(answer, "incident", "severity", NULL), "SEV-2");
    story_refused(api_put(api, self, "{\"incident\":{\"severity\":\"SEV-5\"}}"), 400, 2001, "SEV-1");
    story_refused(api_put(api, self, "{\"incident\":{\"mitigated_at\":\"yesterday\"}}"), 400, 2001, "ISO 8601");
    story_refused(api_put(api, self, "{\"incident\":{\"runbook_url\":\"wiki\"}}"), 400, 2001, "http");
}

static void security_incidents_are_seen_by_their_team_alone(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *eve = story_user(api, "Eve", "eve@example.org"), *carol = story_user(api, "Carol", "carol@example.org");
    const char *open = trigger(company, "disk"), *secret = trigger(company, "breach");
    const char *body = "{\"incident\":{\"category\":\"security\"}}";
    char self[64];
    (void)snprintf(self, sizeof self, "/incidents/%s", secret);
    api_fixture_add_token(api, "tokenofbob0tokenofbob", TOCSIN__ROLE__ROLE_ADMIN, id_parse(company->bob));
    api_fixture_add_token(api, "tokenofeve0tokenofeve", TOCSIN__ROLE__ROLE_ADMIN, id_parse(eve));
    api_fixture_add_token(api, "tokenofcarol0tokencar", TOCSIN__ROLE__ROLE_USER, id_parse(carol));

    story_refused(api_put(api, self, body), 400, 2001, "team"); /* nobody would see it */
    const char *team = story_create(api, "/teams", "team", "{\"team\":{\"name\":\"Blue\"}}");
    assert_int_equal(api_put(api, story_text("/teams/%s/users/%s", team, company->bob), "{}")->status, 204);
    assert_int_equal(api_put(api, story_text("/teams/%s/escalation_policies/%s", team, company->policy), "{}")->status, 204);
    const char *entry = api_answer_text(api_get(api, story_text("%s/log_entries", self)), "log_entries", "0", "id", NULL);
    assert_int_equal(api_put(api, self, body)->status, 200);

    /* Neither a token without a person nor an admin who is not in the team. */
    static const char *const outsiders[] = {API_FIXTURE_TOKEN, "tokenofeve0tokenofeve"};
    for (size_t i = 0; i < 2; i++) {
        api->token = outsiders[i];
        assert_string_equal(titles(api, "/incidents"), "disk");
        assert_string_equal(titles(api, "/incidents?urgencies[]=high&total=true"), "disk");
        assert_int_equal(api_get(api, self)->status, 404);
        assert_int_equal(api_get(api, "/incidents/2")->status, 404);
        assert_int_equal(api_get(api, story_text("%s/alerts", self))->status, 404);
        assert_int_equal(api_get(api, story_text("%s/log_entries", self))->status, 404);
        assert_int_equal(api_get(api, story_text("/log_entries/%s", entry))->status, 404);
        assert_null(strstr(api_get(api, "/log_entries?limit=100")->text, secret));
        assert_int_equal(api_put(api, self, "{\"incident\":{\"status\":\"resolved\"}}")->status, 404);
        assert_int_equal(api_post(api, story_text("%s/notes", self), "{\"note\":{\"content\":\"x\"}}")->status, 404);
        assert_int_equal(
            api_put(api, story_text("/incidents/%s/merge", open),
                    story_text("{\"source_incidents\":[{\"id\":\"%s\"}]}", secret))->status, 404);
        static const char *const parts[] = {"why", "notes", "status_updates", "status_updates/subscribers", "related_change_events"};
        for (size_t j = 0; j < sizeof parts / sizeof *parts; j++) {
            assert_int_equal(api_get(api, story_text("%s/%s", self, parts[j]))->status, 404);
        }
        static const char *const roads[] = {"/incidents?date_range=all", "/incidents?incident_key=breach", "/alerts?statuses[]=triggered",
                                            "/v2/alerts", "/v2/alerts/breach?identifierType=alias", "/api/v2/alerts", "/coverage", "/oncalls"};
        for (size_t j = 0; j < sizeof roads / sizeof *roads; j++) {
            const struct api_answer *answer = api_get(api, roads[j]);
            if (strstr(answer->text, "breach") != NULL || strstr(answer->text, secret) != NULL) {
                fail_msg("%s: %s", roads[j], answer->text);
            }
        }
    }
    /* Who holds an account's token may say anything of whom it is for. */
    struct api_question claim = {.method = "PUT", .target = self, .body = "{\"incident\":{\"title\":\"breach\"}}",
                                 .headers = {{"X-Api-Key", API_FIXTURE_TOKEN}, {"From", "bob@example.org"}, {"Content-Type", "application/json"}}};
    assert_int_equal(api_fixture_ask(api, &claim)->status, 404);
    api->token = company->key; /* nor does a source read it, be it what it sent itself: it is a machine's */
    static const char *const of_sources[] = {"/v2/alerts", "/api/v2/alerts", "/api/v2/alerts/groups"};
    for (size_t i = 0; i < sizeof of_sources / sizeof *of_sources; i++) {
        const struct api_answer *answer = api_get(api, of_sources[i]);
        assert_int_equal(answer->status, 200);
        assert_non_null(strstr(answer->text, "disk"));
        assert_null(strstr(answer->text, "breach"));
    }
    static const char *const by_alias[] = {"", "/notes", "/logs", "/recipients"};
    for (size_t i = 0; i < sizeof by_alias / sizeof *by_alias; i++) {
        assert_int_equal(api_get(api, story_text("/v2/alerts/disk%s?identifierType=alias", by_alias[i]))->status, 200);
        assert_int_equal(api_get(api, story_text("/v2/alerts/breach%s?identifierType=alias", by_alias[i]))->status, 404);
    }
    api->token = "tokenofbob0tokenofbob"; /* of the team */
    /* Nor does it get out with what it is merged into. */
    story_refused(api_put(api, story_text("/incidents/%s/merge", open), story_text("{\"source_incidents\":[{\"id\":\"%s\"}]}", secret)), 400,
                  2001, "seen by its team alone");
    const char *moved = api_answer_text(api_get(api, story_text("%s/alerts", self)), "alerts", "0", "id", NULL);
    story_refused(api_put(api, story_text("%s/alerts", self),
                          story_text("{\"alerts\":[{\"id\":\"%s\",\"type\":\"alert\",\"incident\":{\"id\":\"%s\",\"type\":\"incident_reference\"}}]}",
                                     moved, open)),
                  400, 2001, "seen by its team alone");
    assert_string_equal(titles(api, "/incidents"), "disk breach");
    assert_non_null(strstr(api_get(api, "/log_entries?limit=100")->text, secret));
    api->token = "tokenofcarol0tokencar"; /* once she is asked to help */
    assert_int_equal(api_get(api, self)->status, 404);
    api->token = "tokenofbob0tokenofbob";
    assert_int_equal(api_post(api, story_text("%s/responder_requests", self),
                              story_text("{\"responder_request_targets\":[{\"id\":\"%s\",\"type\":\"user\"}]}", carol))->status,
                     200);
    api->token = "tokenofcarol0tokencar";
    assert_int_equal(api_get(api, self)->status, 200);
}

static void alerts_are_moved_and_resolved(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;
    const char *disk = trigger(company, "disk"), *load = trigger(company, "load");
    const char *alert = api_answer_text(api_get(api, story_text("/incidents/%s/alerts", load)), "alerts", "0", "id", NULL);

    const struct api_answer *answer =
        api_put(api, story_text("/incidents/%s/alerts", load),
                story_text("{\"alerts\":[{\"id\":\"%s\",\"type\":\"alert\",\"incident\":{\"id\":\"%s\",\"type\":"
                           "\"incident_reference\"}}]}",
                           alert, disk));
    assert_int_equal(answer->status, 200);
    assert_string_equal(api_answer_text(answer, "alerts", "0", "incident", "id", NULL), disk);
    assert_string_equal(api_answer_text(read_one(company, load), "incident", "status", NULL), "resolved");
    answer = api_put(api, story_text("/incidents/%s/alerts/%s", disk, alert), "{\"alert\":{\"status\":\"resolved\"}}");
    assert_int_equal(answer->status, 200);
    assert_string_equal(api_answer_text(answer, "alert", "status", NULL), "resolved");
    assert_int_equal(api_put(api, story_text("/incidents/%s/alerts/%s", disk, load), "{\"alert\":{}}")->status, 404);
    story_refused(api_put(api, story_text("/incidents/%s/alerts", disk), "{\"alerts\":[]}"), 400, 2001, "alerts");
}

#define story(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        story(an_incident_is_snoozed_by_id_or_number),
        story(incidents_are_merged),
        story(priorities_are_given_listed_and_sorted_by),
        story(priorities_are_replaced_by_admins),
        story(people_are_asked_to_help),
        story(subscribers_hear_of_updates),
        story(what_reports_need_is_recorded),
        story(security_incidents_are_seen_by_their_team_alone),
        story(alerts_are_moved_and_resolved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
