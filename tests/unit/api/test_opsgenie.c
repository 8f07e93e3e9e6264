/* Opsgenie's Alert API over HTTP, from the request to the answer: what scripts, SDKs and Alertmanager do with alerts. */
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

struct house {
    struct api_fixture *api;
    const char *key; /* of an integration */
    const char *alice, *policy, *service;
};

static int setup(void **state)
{
    struct house *house = calloc(1, sizeof *house);

    assert_non_null(house);
    house->api = api_fixture_new();
    house->alice = story_user(house->api, "Alice", "alice@example.com");
    house->policy = story_policy(house->api, "policy", house->alice);
    house->service = story_create(house->api, "/services", "service",
                                  story_text("{\"service\":{\"name\":\"database\",\"escalation_policy\":{\"id\":\"%s\",\"type\":"
                                             "\"escalation_policy_reference\"},\"incident_urgency_rule\":{\"type\":"
                                             "\"constant\",\"urgency\":\"severity_based\"}}}", house->policy));
    const struct api_answer *answer =
        api_post(house->api, story_text("/services/%s/integrations", house->service),
                 "{\"integration\":{\"type\":\"events_api_v2_inbound_integration\",\"name\":\"Opsgenie\"}}");
    assert_int_equal(answer->status, 201);
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

/* With the integration's key. */
static const struct api_answer *genie(struct house *house, const char *method, const char *target, const char *body)
{
    struct api_question question = {.method = method, .target = target, .body = body};

    question.headers[0] = (struct http_parameter){"Authorization", story_text("GenieKey %s", house->key)};
    return api_fixture_ask(house->api, &question);
}

/* Taken, and what became of it. */
static void ends(struct house *house, const struct api_answer *answer, const char *action, const char *status)
{
    assert_int_equal(answer->status, 202);
    assert_string_equal(api_answer_text(answer, "result", NULL), "Request will be processed");
    const struct api_answer *fate =
        genie(house, "GET", story_text("/v2/alerts/requests/%s", api_answer_text(answer, "requestId", NULL)), NULL);
    assert_int_equal(fate->status, 200);
    assert_string_equal(api_answer_text(fate, "data", "action", NULL), action);
    assert_string_equal(api_answer_text(fate, "data", "status", NULL), status);
    bool done = strcmp(status, "Request was processed") == 0 || strcmp(status, "Created alert") == 0;
    assert_int_equal(json_is_true(api_answer_at(fate, "data", "isSuccess", NULL)), done);
}
#define DONE "Request was processed"
#define UNFIT "The request does not fit the state of the alert"
#define NO_ALERT "Alert does not exist"

static void opens(struct house *house, const char *body)
{
    ends(house, genie(house, "POST", "/v2/alerts", body), "Create", "Created alert");
}

/* Of the alert of this alias. */
#define ALIAS(part) "/v2/alerts/disk" part "?identifierType=alias"

static const struct api_answer *shown(struct house *house)
{
    const struct api_answer *answer = genie(house, "GET", ALIAS(""), NULL);

    assert_int_equal(answer->status, 200);
    return answer;
}

static void is_text(const struct api_answer *answer, const char *name, const char *text)
{
    assert_string_equal(api_answer_text(answer, "data", name, NULL), text);
}

static void refused(const struct api_answer *answer, unsigned status, const char *text)
{
    assert_int_equal(answer->status, status);
    assert_non_null(strstr(api_answer_text(answer, "message", NULL), text));
    assert_non_null(api_answer_at(answer, "requestId", NULL));
}

/* How many entries of the first incident's timeline contain the text. */
static size_t told(struct house *house, const char *text)
{
    const struct api_answer *answer = genie(house, "GET", "/v2/alerts?limit=1", NULL);
    const char *id = api_answer_text(answer, "data", "0", "id", NULL);
    const struct api_answer *log = api_get(house->api, story_text("/incidents/%s/log_entries?limit=100", id));
    size_t count = 0, i;
    json_t *entry;

    json_array_foreach(json_object_get(log->json, "log_entries"), i, entry)
    {
        const char *summary = json_string_value(json_object_get(entry, "summary"));
        const char *note = json_string_value(json_object_get(json_object_get(entry, "channel"), "summary"));
        count += (summary != NULL && strstr(summary, text) != NULL) || (note != NULL && strstr(note, text) != NULL) ? 1 : 0;
    }
    return count;
}

static json_t *incident(struct house *house)
{
    return api_answer_at(api_get(house->api, "/incidents"), "incidents", "0", NULL);
}

#define DISK "{\"alias\":\"disk\",\"message\":\"Full\",\"tags\":[\"db\",\"eu\"],\"details\":{\"host\":\"db1\",\"n\":3}," \
             "\"entity\":\"db1\",\"source\":\"probe\",\"description\":\"The disk is full\",\"note\":\"look first\""
#define OPEN DISK "}"
#define OPEN_P5 DISK ",\"priority\":\"P5\"}"

/* ---------------------------------------------------------------- tags, details, priority */

static void what_hangs_on_a_new_alert_is_kept_and_shown(void **state)
{
    struct house *house = *state;

    opens(house, OPEN_P5);
    const struct api_answer *alert = shown(house);
    assert_string_equal(api_answer_text(alert, "data", "tags", "0", NULL), "db");
    assert_string_equal(api_answer_text(alert, "data", "tags", "1", NULL), "eu");
    assert_string_equal(api_answer_text(alert, "data", "details", "host", NULL), "db1");
    assert_string_equal(api_answer_text(alert, "data", "details", "n", NULL), "3");
    is_text(alert, "priority", "P5");
    is_text(alert, "entity", "db1");
    is_text(alert, "source", "probe");
    is_text(alert, "description", "The disk is full");
    is_text(alert, "alias", "disk");
    is_text(alert, "owner", "");
    assert_string_equal(api_answer_text(alert, "data", "responders", "0", "type", NULL), "escalation");
    assert_string_equal(api_answer_text(alert, "data", "responders", "1", "id", NULL), house->alice);
    assert_int_equal(told(house, "look first"), 1);
    const struct api_answer *list = genie(house, "GET", "/v2/alerts", NULL);
    assert_string_equal(api_answer_text(list, "data", "0", "tags", "0", NULL), "db");
    assert_null(api_answer_at(list, "data", "0", "details", NULL));
    /* The same again counts, and says nothing twice. */
    opens(house, OPEN_P5);
    assert_int_equal(json_integer_value(api_answer_at(shown(house), "data", "count", NULL)), 2);
    assert_int_equal(told(house, "look first"), 1);
}

static void too_much_on_a_new_alert_is_cut_and_it_pages(void **state)
{
    struct house *house = *state;
    json_t *body = json_pack("{s:s, s:s, s:[], s:{}, s:s}", "alias", "disk", "message", "Full", "tags", "details", "priority",
                             "urgent");
    char word[101], value[1001];

    memset(word, 'x', sizeof word - 1);
    memset(value, 'v', sizeof value - 1);
    word[100] = value[1000] = '\0';
    for (unsigned i = 0; i < 25; i++) {
        word[0] = (char)('a' + i);
        json_array_append_new(json_object_get(body, "tags"), json_string(word));
        json_object_set_new(json_object_get(body, "details"), word, json_string(value));
    }
    json_array_append_new(json_object_get(body, "tags"), json_integer(7));
    char *text = json_dumps(body, 0);
    opens(house, text);
    free(text);
    json_decref(body);
    const struct api_answer *alert = shown(house);
    assert_int_equal(json_array_size(api_answer_at(alert, "data", "tags", NULL)), LIMIT_TAGS_PER_INCIDENT);
    assert_int_equal(strlen(api_answer_text(alert, "data", "tags", "0", NULL)), LIMIT_TAG_CHARACTERS);
    assert_int_equal(json_object_size(api_answer_at(alert, "data", "details", NULL)), LIMIT_LABELS_CHARACTERS / 1100);
    is_text(alert, "priority", "P3");
}

static void tags_and_details_come_and_go_with_their_entries(void **state)
{
    struct house *house = *state;

    opens(house, OPEN);
    ends(house, genie(house, "POST", ALIAS("/tags"), "{\"tags\":[\"eu\",\"night\"],\"user\":\"Zoe\",\"note\":\"so dark\"}"),
         "AddTags", DONE);
    assert_int_equal(told(house, "Zoe (Opsgenie) added the tags night."), 1);
    assert_int_equal(told(house, "so dark"), 1);
    ends(house, genie(house, "DELETE", "/v2/alerts/1/tags?identifierType=tiny&tags=db,%20night,none", NULL), "RemoveTags", DONE);
    assert_int_equal(told(house, "Opsgenie took away the tags db, night."), 1);
    assert_int_equal(json_array_size(api_answer_at(shown(house), "data", "tags", NULL)), 1);
    ends(house, genie(house, "POST", ALIAS("/details"), "{\"details\":{\"host\":\"db2\",\"n\":\"3\",\"rack\":4}}"), "AddDetails",
         DONE);
    assert_int_equal(told(house, "set the details host, rack."), 1);
    ends(house, genie(house, "DELETE", "/v2/alerts/disk/details?identifierType=alias&keys=n,rack", NULL), "RemoveDetails", DONE);
    const struct api_answer *alert = shown(house);
    assert_int_equal(json_object_size(api_answer_at(alert, "data", "details", NULL)), 1);
    assert_string_equal(api_answer_text(alert, "data", "details", "host", NULL), "db2");
    /* Once more changes nothing and says nothing. */
    ends(house, genie(house, "POST", ALIAS("/tags"), "{\"tags\":[\"eu\"]}"), "AddTags", DONE);
    assert_int_equal(told(house, "added the tags"), 1);
}

static void what_is_no_tag_detail_or_priority_is_refused(void **state)
{
    struct house *house = *state;
    json_t *many = json_array();

    opens(house, OPEN);
    refused(genie(house, "POST", ALIAS("/tags"), "{}"), 422, "Tags");
    refused(genie(house, "POST", ALIAS("/tags"), "{\"tags\":[1]}"), 422, "1 to 50");
    refused(genie(house, "POST", ALIAS("/tags"),
                  "{\"tags\":[\"012345678901234567890123456789012345678901234567890\"]}"), 422, "1 to 50");
    refused(genie(house, "DELETE", ALIAS("/tags"), NULL), 422, "commas");
    refused(genie(house, "POST", ALIAS("/details"), "{\"details\":[]}"), 422, "object");
    refused(genie(house, "POST", ALIAS("/details"), "{\"details\":{\"a\":{}}}"), 422, "a text");
    refused(genie(house, "DELETE", ALIAS("/details"), NULL), 422, "commas");
    refused(genie(house, "PUT", ALIAS("/priority"), "{\"priority\":\"P6\"}"), 422, "P1");
    refused(genie(house, "POST", ALIAS("/snooze"), "{\"endTime\":\"soon\"}"), 422, "ISO 8601");
    refused(genie(house, "POST", "/v2/alerts/disk/tags?identifierType=name", "{\"tags\":[\"a\"]}"), 422, "identifierType");
    refused(genie(house, "GET", "/v2/alerts/disk?identifierType=name", NULL), 422, "identifierType");
    /* Twenty in all: what is beyond is found out when it is done. */
    for (unsigned i = 0; i < 19; i++) {
        json_array_append_new(many, json_string(story_text("tag%u", i)));
    }
    char *text = json_dumps(many, 0);
    ends(house, genie(house, "POST", ALIAS("/tags"), story_text("{\"tags\":%s}", text)), "AddTags", UNFIT);
    free(text);
    json_decref(many);
    assert_int_equal(json_array_size(api_answer_at(shown(house), "data", "tags", NULL)), 2);
    char *value = calloc(1, LIMIT_LABELS_CHARACTERS + 1);
    assert_non_null(value);
    memset(value, 'x', LIMIT_LABELS_CHARACTERS);
    text = NULL;
    json_t *body = json_pack("{s:{s:s}}", "details", "more", value);
    text = json_dumps(body, 0);
    ends(house, genie(house, "POST", ALIAS("/details"), text), "AddDetails", UNFIT);
    json_decref(body);
    free(text);
    free(value);
}

static void a_priority_that_is_raised_is_the_incidents_and_raises_its_urgency(void **state)
{
    struct house *house = *state;

    opens(house, OPEN_P5);
    assert_string_equal(json_string_value(json_object_get(incident(house), "urgency")), "low");
    assert_string_equal(json_string_value(json_object_get(json_object_get(incident(house), "priority"), "name")), "P5");
    ends(house, genie(house, "PUT", ALIAS("/priority"), "{\"priority\":\"P4\"}"), "UpdatePriority", DONE);
    assert_string_equal(json_string_value(json_object_get(incident(house), "urgency")), "low");
    ends(house, genie(house, "PUT", ALIAS("/priority"), "{\"priority\":\"P1\"}"), "UpdatePriority", DONE);
    is_text(shown(house), "priority", "P1");
    assert_string_equal(json_string_value(json_object_get(incident(house), "urgency")), "high");
    assert_string_equal(json_string_value(json_object_get(json_object_get(incident(house), "priority"), "name")), "P1");
    assert_int_equal(told(house, "Opsgenie set the priority to P1."), 1);
    assert_int_equal(told(house, "The urgency is high from now on"), 1);
}

static void the_priority_stays_where_the_cluster_has_none_of_its_name(void **state)
{
    struct house *house = *state;

    assert_int_equal(api_put(house->api, "/priorities", "{\"priorities\":[{\"name\":\"Urgent\"}]}")->status, 200);
    opens(house, OPEN_P5);
    is_text(shown(house), "priority", "P5");
    ends(house, genie(house, "PUT", ALIAS("/priority"), "{\"priority\":\"P2\"}"), "UpdatePriority", DONE);
    is_text(shown(house), "priority", "P2");
    assert_int_equal(told(house, "Opsgenie set the priority to P2."), 1);
}

static void a_description_that_changes_is_shown_and_told_once(void **state)
{
    struct house *house = *state;

    opens(house, OPEN);
    ends(house, genie(house, "PUT", ALIAS("/description"), "{\"description\":\"The disk is full\"}"), "UpdateDescription", DONE);
    assert_int_equal(told(house, "changed the description"), 0);
    ends(house, genie(house, "PUT", ALIAS("/description"), "{\"description\":\"Worse\"}"), "UpdateDescription", DONE);
    ends(house, genie(house, "PUT", ALIAS("/description"), "{\"description\":\"Worse\"}"), "UpdateDescription", DONE);
    is_text(shown(house), "description", "Worse");
    assert_int_equal(told(house, "changed the description"), 1);
}

static void changes_without_end_are_made_and_not_all_listed(void **state)
{
    struct house *house = *state;

    opens(house, OPEN);
    for (unsigned i = 0; i < LIMIT_LABEL_LOG_ENTRIES_PER_INCIDENT + 5; i++) {
        (void)genie(house, "PUT", ALIAS("/description"), story_text("{\"description\":\"%u\"}", i));
    }
    is_text(shown(house), "description", story_text("%u", LIMIT_LABEL_LOG_ENTRIES_PER_INCIDENT + 4));
    assert_int_equal(told(house, "More than 500 changes"), 1);
}

static void what_hangs_on_a_held_alert_comes_with_it(void **state)
{
    struct house *house = *state;

    assert_int_equal(api_put(house->api, story_text("/services/%s", house->service),
                             "{\"service\":{\"auto_pause_notifications_parameters\":{\"enabled\":true,\"timeout\":120}}}")
                         ->status, 200);
    opens(house, OPEN);
    assert_int_equal(genie(house, "GET", ALIAS(""), NULL)->status, 404);
    story_run_until(house->api, house->api->now_ms + 121000);
    const struct api_answer *alert = shown(house);
    assert_string_equal(api_answer_text(alert, "data", "tags", "1", NULL), "eu");
    assert_int_equal(told(house, "look first"), 1);
}

/* ---------------------------------------------------------------- who has it */

static void an_acknowledgement_is_taken_back_and_people_are_told_anew(void **state)
{
    struct house *house = *state;

    opens(house, OPEN);
    ends(house, genie(house, "POST", ALIAS("/acknowledge"), "{\"user\":\"Zoe\",\"note\":\"on it\"}"), "Acknowledge", DONE);
    assert_int_equal(told(house, "on it"), 1);
    assert_true(json_is_true(api_answer_at(shown(house), "data", "acknowledged", NULL)));
    ends(house, genie(house, "POST", ALIAS("/unacknowledge"), "{\"user\":\"Zoe\"}"), "UnAcknowledge", DONE);
    assert_false(json_is_true(api_answer_at(shown(house), "data", "acknowledged", NULL)));
    assert_string_equal(json_string_value(json_object_get(incident(house), "status")), "triggered");
    assert_int_equal(told(house, "Zoe (Opsgenie) took the acknowledgement back"), 1);
    /* Nobody has it: nothing to take back. */
    ends(house, genie(house, "POST", ALIAS("/unacknowledge"), NULL), "UnAcknowledge", DONE);
    assert_int_equal(told(house, "took the acknowledgement back"), 1);
    ends(house, genie(house, "POST", ALIAS("/close"), NULL), "Close", DONE);
    ends(house, genie(house, "POST", ALIAS("/unacknowledge"), NULL), "UnAcknowledge", UNFIT);
    ends(house, genie(house, "POST", "/v2/alerts/99/unacknowledge?identifierType=tiny", NULL), "UnAcknowledge", NO_ALERT);
}

static void it_is_given_to_people_and_to_other_escalations(void **state)
{
    struct house *house = *state;
    const char *bob = story_user(house->api, "Bob", "bob@example.com");
    const char *other = story_policy(house->api, "second line", bob);

    opens(house, OPEN);
    ends(house, genie(house, "POST", ALIAS("/assign"), "{\"owner\":{\"username\":\"BOB@example.com\"}}"), "AssignOwnership", DONE);
    is_text(shown(house), "owner", "bob@example.com");
    ends(house, genie(house, "POST", ALIAS("/assign"), story_text("{\"owner\":{\"id\":\"%s\"}}", house->alice)),
         "AssignOwnership", DONE);
    is_text(shown(house), "owner", "alice@example.com");
    ends(house, genie(house, "POST", ALIAS("/escalate"), "{\"escalation\":{\"name\":\"second line\"}}"), "EscalateToNext", DONE);
    assert_string_equal(api_answer_text(shown(house), "data", "responders", "0", "id", NULL), other);
    refused(genie(house, "POST", ALIAS("/assign"), "{\"owner\":{\"username\":\"nobody@example.com\"}}"), 422,
            "There is no user nobody@example.com");
    refused(genie(house, "POST", ALIAS("/assign"), "{}"), 422, "must name a user");
    refused(genie(house, "POST", ALIAS("/escalate"), "{\"escalation\":{\"id\":\"PZZZ\"}}"), 422, "escalation policy PZZZ");
}

static void people_teams_and_escalations_are_asked_to_help(void **state)
{
    struct house *house = *state;
    const char *bob = story_user(house->api, "Bob", "bob@example.com");
    const char *carol = story_user(house->api, "Carol", "carol@example.com");
    const char *team = story_create(house->api, "/teams", "team", "{\"team\":{\"type\":\"team\",\"name\":\"Storage\"}}");

    opens(house, OPEN);
    ends(house, genie(house, "POST", ALIAS("/responders"),
                      "{\"responder\":{\"type\":\"user\",\"username\":\"bob@example.com\"}}"), "AddResponder", DONE);
    assert_string_equal(api_answer_text(shown(house), "data", "responders", "2", "id", NULL), bob);
    refused(genie(house, "POST", ALIAS("/teams"), "{\"team\":{\"name\":\"Storage\"}}"), 422, "policy of the team Storage");
    const char *policy = story_policy(house->api, "storage line", carol);
    assert_int_equal(api_put(house->api, story_text("/teams/%s/escalation_policies/%s", team, policy), NULL)->status, 204);
    ends(house, genie(house, "POST", ALIAS("/teams"), "{\"team\":{\"name\":\"Storage\"}}"), "AddTeam", DONE);
    assert_string_equal(api_answer_text(shown(house), "data", "responders", "3", "id", NULL), carol);
    refused(genie(house, "POST", ALIAS("/responders"), "{\"responder\":{\"type\":\"all\"}}"), 422, "type of a responder");
    refused(genie(house, "POST", ALIAS("/responders"), "{\"responder\":{\"type\":\"schedule\",\"name\":\"x\"}}"), 422,
            "There is no schedule x");
}

static void what_is_deleted_is_over_and_not_shown(void **state)
{
    struct house *house = *state;

    opens(house, OPEN);
    ends(house, genie(house, "DELETE", "/v2/alerts/disk?identifierType=alias&user=Zoe&source=cli", NULL), "Delete", DONE);
    assert_int_equal(genie(house, "GET", ALIAS(""), NULL)->status, 404);
    assert_int_equal(genie(house, "GET", "/v2/alerts/1?identifierType=tiny", NULL)->status, 404);
    assert_int_equal(json_array_size(api_answer_at(genie(house, "GET", "/v2/alerts", NULL), "data", NULL)), 0);
    assert_string_equal(json_string_value(json_object_get(api_answer_at(api_get(house->api, "/incidents?statuses[]=resolved"),
                                                                        "incidents", "0", NULL), "status")), "resolved");
    ends(house, genie(house, "DELETE", "/v2/alerts/1?identifierType=tiny", NULL), "Delete", NO_ALERT);
    /* Its alias is free again. */
    opens(house, OPEN);
    is_text(shown(house), "tinyId", "2");
}

static void an_alias_finds_the_latest_that_is_closed(void **state)
{
    struct house *house = *state;

    opens(house, OPEN);
    ends(house, genie(house, "POST", ALIAS("/close"), "{\"note\":\"by hand\"}"), "Close", DONE);
    const struct api_answer *alert = shown(house);
    is_text(alert, "status", "closed");
    assert_int_equal(told(house, "by hand"), 1);
    ends(house, genie(house, "POST", ALIAS("/tags"), "{\"tags\":[\"late\"]}"), "AddTags", DONE);
    ends(house, genie(house, "POST", ALIAS("/close"), NULL), "Close", NO_ALERT);
    opens(house, OPEN);
    is_text(shown(house), "tinyId", "2");
}

/* ---------------------------------------------------------------- lists */

/* The numbers of the alerts that a query finds, "3 1". */
static const char *found(struct house *house, const char *query)
{
    const struct api_answer *answer = genie(house, "GET", story_text("/v2/alerts?%s", query), NULL);
    char text[256] = "";
    size_t i;
    json_t *alert;

    assert_int_equal(answer->status, 200);
    json_array_foreach(json_object_get(answer->json, "data"), i, alert)
    {
        const char *number = json_string_value(json_object_get(alert, "tinyId"));
        (void)strncat(text, i > 0 ? " " : "", sizeof text - strlen(text) - 1);
        (void)strncat(text, number, sizeof text - strlen(text) - 1);
    }
    return story_text("%s", text);
}

/* One is closed, two is acknowledged, three is open. */
static void three_alerts(struct house *house)
{
    opens(house, "{\"alias\":\"a\",\"message\":\"Disk full on db1\",\"tags\":[\"db\"],\"priority\":\"P1\",\"source\":\"probe\"}");
    ends(house, genie(house, "POST", "/v2/alerts/a/close?identifierType=alias", NULL), "Close", DONE);
    house->api->now_ms += 1000;
    opens(house, "{\"alias\":\"b\",\"message\":\"Load\",\"tags\":[\"web\",\"eu-1\"],\"priority\":\"P4\",\"entity\":\"web7\"}");
    ends(house, genie(house, "POST", "/v2/alerts/b/acknowledge?identifierType=alias", NULL), "Acknowledge", DONE);
    house->api->now_ms += 1000;
    opens(house, "{\"alias\":\"c\",\"message\":\"disk slow\",\"details\":{\"rack\":\"r1\"},\"description\":\"Latency\"}");
}

static void alerts_are_found_by_what_opsgenies_queries_say(void **state)
{
    struct house *house = *state;
    static const struct {
        const char *query, *numbers;
    } cases[] = {
        {"", "3 2 1"},
        {"status:open", "3 2"},
        {"status%3Dclosed", "1"},
        {"status:%20OPEN%20AND%20acknowledged%20:%20false", "3"},
        {"acknowledged:true", "2"},
        {"NOT%20status:open", "1"},
        {"-status:open", "1"},
        {"status!=open", "1"},
        {"alias:b", "2"},
        {"alias:(a%20OR%20c)", "3 1"},
        {"tag:eu*", "2"},
        {"tags:(db%20AND%20eu)", ""},
        {"priority:P3", "3"},
        {"priority<=p3", "3 1"},
        {"priority:(P1%20OR%20P4)%20status:open", "2"},
        {"disk", "3 1"},
        {"DISK%20slow", "3"},
        {"%22disk%20full%22%20OR%20Load", "2 1"},
        {"message:di*full", "1"},
        {"message:*ON*1", "1"},
        {"message:o*n*1*", "1"},
        {"message:*full*disk*", ""},
        {"message:*", "3 2 1"},
        {"(status:open%20AND%20disk)%20OR%20web", "3 2"},
        {"entity:web7", "2"},
        {"source:PROBE", "1"},
        {"description:latency", "3"},
        {"details.rack:r*", "3"},
        {"tinyId>1%20tinyId<3", "2"},
        {"count:1%20tinyId:3", "3"},
        {"createdAt>=1790000001000", "3 2"},
        {"createdAt<2026-09-21T14:13:21Z", "1"},
        {"owner:nobody@example.com", ""},
        {"team:none", ""},
    };

    three_alerts(house);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (strcmp(found(house, story_text("query=%s", cases[i].query)), cases[i].numbers) != 0) {
            fail_msg("%s finds %s, and not %s", cases[i].query, found(house, story_text("query=%s", cases[i].query)),
                     cases[i].numbers);
        }
    }
    const struct api_answer *count = genie(house, "GET", "/v2/alerts/count?query=status:open", NULL);
    assert_int_equal(json_integer_value(api_answer_at(count, "data", "count", NULL)), 2);
}

/* All in one turn of the loop: found by reading, when "*" at both ends took the square of the text's length. */
static void a_search_compares_no_more_than_a_bound(void **state)
{
    struct house *house = *state;
    char description[15000 + 1] = "", part[1000 + 1] = "", terms[1024] = "*b*", body[sizeof description + 100];

    memset(description, 'a', sizeof description - 1);
    memset(part, 'a', sizeof part - 1);
    for (int i = 0; i < 10; i++) {
        (void)snprintf(body, sizeof body, "{\"alias\":\"%d\",\"message\":\"m\",\"description\":\"%s\"}", i, description);
        opens(house, body);
    }
    for (int i = 1; i < 60; i++) {
        (void)strncat(terms, "%20OR%20*b*", sizeof terms - strlen(terms) - 1);
    }
    assert_string_equal(found(house, story_text("query=description:(%s)", terms)), "");
    assert_string_equal(found(house, "query=description:*a&limit=2"), "10 9");
    refused(genie(house, "GET", story_text("/v2/alerts?query=description:*%sb*", part), NULL), 422, "Too much would have to be searched");
    refused(genie(house, "GET", story_text("/v2/alerts/count?query=NOT%%20description:%sb", part), NULL), 422,
            "Too much would have to be searched");
}

static void a_query_that_means_nothing_is_refused(void **state)
{
    struct house *house = *state;
    static const struct {
        const char *query, *sentence;
    } cases[] = {
        {"colour:red", "and not: colour"},
        {"status:", "must follow"},
        {"(status:open", "without an end"},
        {"status:open)", "nothing opens"},
        {"%22disk", "quotation mark"},
        {"priority:P9", "none of P1 to P5: P9"},
        {"createdAt>yesterday", "a number or a time"},
        {"status>open", "no order: status"},
        {"a%20OR", "must follow"},
        {"NOT%20NOT%20NOT%20NOT%20NOT%20NOT%20NOT%20NOT%20NOT%20NOT%20NOT%20NOT%20NOT%20NOT%20NOT%20NOT%20NOT%20NOT%20a", "too long"},
    };

    three_alerts(house);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        refused(genie(house, "GET", story_text("/v2/alerts?query=%s", cases[i].query), NULL), 422, cases[i].sentence);
        refused(genie(house, "GET", story_text("/v2/alerts/count?query=%s", cases[i].query), NULL), 422, cases[i].sentence);
    }
    refused(genie(house, "GET", "/v2/alerts?sort=color", NULL), 422, "sorted by");
    refused(genie(house, "GET", "/v2/alerts?order=up", NULL), 422, "asc or desc");
    refused(genie(house, "GET", "/v2/alerts?offset=-1", NULL), 422, "offset");
    refused(genie(house, "GET", "/v2/alerts?offset=20000", NULL), 422, "20000");
    refused(genie(house, "GET", "/v2/alerts?searchIdentifier=x", NULL), 422, "saved searches");
}

static void lists_have_orders_and_pages(void **state)
{
    struct house *house = *state;

    three_alerts(house);
    assert_string_equal(found(house, "order=asc"), "1 2 3");
    assert_string_equal(found(house, "sort=message&order=asc"), "1 2 3");
    assert_string_equal(found(house, "sort=alias"), "3 2 1");
    assert_string_equal(found(house, "sort=priority&order=asc"), "1 3 2");
    assert_string_equal(found(house, "sort=acknowledged&limit=1"), "2");
    assert_string_equal(found(house, "sort=status&order=asc&limit=1"), "1");
    assert_string_equal(found(house, "offset=1&limit=1"), "2");
    const struct api_answer *page = genie(house, "GET", "/v2/alerts?limit=1&query=status:open%20OR%20disk&order=asc", NULL);
    assert_null(api_answer_at(page, "paging", "prev", NULL));
    const char *next = api_answer_text(page, "paging", "next", NULL);
    assert_non_null(strstr(next, "/v2/alerts?query=status%3Aopen%20OR%20disk&order=asc&offset=1&limit=1"));
    page = genie(house, "GET", strstr(next, "/v2/"), NULL);
    assert_string_equal(api_answer_text(page, "data", "0", "tinyId", NULL), "2");
    assert_non_null(strstr(api_answer_text(page, "paging", "first", NULL), "offset=0"));
    assert_non_null(strstr(api_answer_text(page, "paging", "prev", NULL), "offset=0"));
    page = genie(house, "GET", strstr(api_answer_text(page, "paging", "next", NULL), "/v2/"), NULL);
    assert_null(api_answer_at(page, "paging", "next", NULL));
}

/* ---------------------------------------------------------------- the timeline */

static void notes_are_paged_both_ways(void **state)
{
    struct house *house = *state;

    opens(house, "{\"alias\":\"disk\",\"message\":\"Full\"}");
    for (unsigned i = 1; i <= 5; i++) {
        ends(house, genie(house, "POST", ALIAS("/notes"), story_text("{\"note\":\"note %u\",\"user\":\"Zoe\"}", i)), "AddNote",
             DONE);
    }
    const struct api_answer *page = genie(house, "GET", ALIAS("/notes") "&limit=2", NULL);
    assert_string_equal(api_answer_text(page, "data", "0", "note", NULL), "note 5");
    assert_string_equal(api_answer_text(page, "data", "1", "note", NULL), "note 4");
    assert_string_equal(api_answer_text(page, "data", "1", "owner", NULL), "Zoe (Opsgenie)");
    assert_null(api_answer_at(page, "paging", "prev", NULL));
    page = genie(house, "GET", strstr(api_answer_text(page, "paging", "next", NULL), "/v2/"), NULL);
    assert_string_equal(api_answer_text(page, "data", "0", "note", NULL), "note 3");
    const char *back = api_answer_text(page, "paging", "prev", NULL);
    page = genie(house, "GET", strstr(api_answer_text(page, "paging", "next", NULL), "/v2/"), NULL);
    assert_string_equal(api_answer_text(page, "data", "0", "note", NULL), "note 1");
    assert_null(api_answer_at(page, "paging", "next", NULL));
    page = genie(house, "GET", strstr(back, "/v2/"), NULL);
    assert_string_equal(api_answer_text(page, "data", "0", "note", NULL), "note 5");
    assert_string_equal(api_answer_text(page, "data", "1", "note", NULL), "note 4");
    assert_null(api_answer_at(page, "paging", "prev", NULL));
    page = genie(house, "GET", ALIAS("/notes") "&order=asc&limit=1", NULL);
    assert_string_equal(api_answer_text(page, "data", "0", "note", NULL), "note 1");
    refused(genie(house, "GET", ALIAS("/notes") "&direction=up", NULL), 422, "direction");
    refused(genie(house, "GET", ALIAS("/notes") "&offset=!", NULL), 422, "offset");
    assert_int_equal(genie(house, "GET", "/v2/alerts/none/notes?identifierType=alias", NULL)->status, 404);
}

static void logs_and_recipients_tell_who_was_told(void **state)
{
    struct house *house = *state;

    opens(house, "{\"alias\":\"disk\",\"message\":\"Full\"}");
    const struct api_answer *logs = genie(house, "GET", ALIAS("/logs") "&order=asc", NULL);
    assert_string_equal(api_answer_text(logs, "data", "0", "log", NULL), "Full");
    assert_string_equal(api_answer_text(logs, "data", "0", "type", NULL), "api");
    assert_string_equal(api_answer_text(logs, "data", "0", "owner", NULL), "Opsgenie");
    const struct api_answer *told_of = genie(house, "GET", ALIAS("/recipients"), NULL);
    assert_int_equal(json_array_size(api_answer_at(told_of, "data", NULL)), 1);
    assert_string_equal(api_answer_text(told_of, "data", "0", "user", "username", NULL), "alice@example.com");
    assert_string_equal(api_answer_text(told_of, "data", "0", "state", NULL), "notactive");
}

/* ---------------------------------------------------------------- answers */

static void each_answer_has_opsgenies_headers(void **state)
{
    struct house *house = *state;
    const struct api_answer *answers[] = {
        genie(house, "POST", "/v2/alerts", OPEN),         genie(house, "GET", ALIAS(""), NULL),
        genie(house, "GET", "/v2/alerts", NULL),          genie(house, "GET", "/v2/alerts/PZZZ", NULL),
        genie(house, "PUT", ALIAS("/priority"), "{}"),    genie(house, "GET", "/v2/heartbeats/none/ping", NULL),
        genie(house, "PATCH", "/v2/alerts", NULL),
    };

    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        assert_string_equal(api_answer_header(answers[i], "X-Request-ID"), api_answer_text(answers[i], "requestId", NULL));
        assert_string_equal(api_answer_header(answers[i], "X-RateLimit-State"), "OK");
        assert_string_equal(api_answer_header(answers[i], "X-Response-Time"), "0.001");
        assert_true(json_is_real(api_answer_at(answers[i], "took", NULL)));
    }
}

static void what_there_is_not_is_refused_in_one_sentence(void **state)
{
    struct house *house = *state;

    opens(house, OPEN);
    refused(genie(house, "GET", "/v2/alerts/saved-searches", NULL), 501, "not kept here");
    refused(genie(house, "GET", "/v2/alerts/saved-searches/x", NULL), 501, "not kept here");
    refused(genie(house, "POST", ALIAS("/attachments"), "no JSON"), 501, "not kept here");
    refused(genie(house, "POST", ALIAS("/actions/reboot"), "{}"), 501, "not kept here");
}

/* ---------------------------------------------------------------- heartbeats */

static const struct api_answer *patch(struct house *house, const char *target, const char *body)
{
    struct api_question question = {.method = "PATCH", .target = target, .body = body};

    question.headers[0] = (struct http_parameter){"Authorization", "GenieKey " API_FIXTURE_TOKEN};
    return api_fixture_ask(house->api, &question);
}

static void a_heartbeat_that_goes_down_says_what_it_was_told_to(void **state)
{
    struct house *house = *state;
    const struct api_answer *answer =
        api_post(house->api, "/v2/heartbeats",
                 "{\"name\":\"backup\",\"interval\":10,\"intervalUnit\":\"minutes\",\"enabled\":true,\"alertMessage\":\"No backup\","
                 "\"alertTags\":[\"db\"],\"alertPriority\":\"P5\"}");

    assert_int_equal(answer->status, 201);
    is_text(answer, "alertMessage", "No backup");
    is_text(answer, "alertPriority", "P5");
    answer = patch(house, "/v2/heartbeats/backup", "{\"alertTags\":[\"db\",\"night\"]}");
    is_text(answer, "alertPriority", "P5");
    assert_string_equal(api_answer_text(answer, "data", "alertTags", "1", NULL), "night");
    refused(patch(house, "/v2/heartbeats/backup", "{\"alertPriority\":\"high\"}"), 422, "P1 to P5");
    refused(patch(house, "/v2/heartbeats/backup", "{\"alertTags\":[\"\"]}"), 422, "1 to 50");
    refused(patch(house, "/v2/heartbeats/backup", "{\"alertTags\":\"db\"}"), 422, "an array");
    assert_int_equal(api_get(house->api, "/v2/heartbeats/backup/ping")->status, 202);
    answer = api_get(house->api, "/api/v3/checks/");
    const char *ping = strstr(api_answer_text(answer, "checks", "0", "ping_url", NULL), "/ping/");
    assert_int_equal(api_get(house->api, story_text("%s/fail", ping))->status, 200);
    const struct api_answer *alert = genie(house, "GET", "/v2/alerts/1?identifierType=tiny", NULL);
    is_text(alert, "message", "No backup");
    is_text(alert, "priority", "P5");
    is_text(alert, "status", "open");
    assert_string_equal(api_answer_text(alert, "data", "tags", "1", NULL), "night");
    assert_string_equal(json_string_value(json_object_get(incident(house), "urgency")), "low");
    assert_int_equal(api_get(house->api, "/v2/heartbeats/backup/ping")->status, 202);
    is_text(genie(house, "GET", "/v2/alerts/1?identifierType=tiny", NULL), "status", "closed");
}

/* ---------------------------------------------------------------- who is on call */

static void who_is_on_call_and_next_is_told_with_a_token(void **state)
{
    struct house *house = *state;
    const char *bob = story_user(house->api, "Bob", "bob@example.com");
    const char *schedule = story_create(
        house->api, "/schedules", "schedule",
        story_text("{\"schedule\":{\"type\":\"schedule\",\"name\":\"the rota\",\"time_zone\":\"UTC\",\"schedule_layers\":[{\"name\":"
                   "\"days\",\"start\":\"2026-09-21T00:00:00Z\",\"rotation_virtual_start\":\"2026-09-21T00:00:00Z\","
                   "\"rotation_turn_length_seconds\":86400,\"users\":[{\"user\":{\"id\":\"%s\",\"type\":\"user\"}},{\"user\":{\"id\":"
                   "\"%s\",\"type\":\"user\"}}]}]}}", house->alice, bob));
    const struct api_answer *now =
        api_get(house->api, "/v2/schedules/the%20rota/on-calls?scheduleIdentifierType=name&flat=true");

    assert_string_equal(api_answer_text(now, "data", "onCallRecipients", "0", NULL), "alice@example.com");
    assert_string_equal(api_answer_text(now, "data", "_parent", "id", NULL), schedule);
    now = api_get(house->api, story_text("/v2/schedules/%s/on-calls?date=2026-09-22T10:00:00.000Z", schedule));
    assert_string_equal(api_answer_text(now, "data", "onCallParticipants", "0", "id", NULL), bob);
    assert_string_equal(api_answer_text(now, "data", "onCallParticipants", "0", "type", NULL), "user");
    now = api_get(house->api, story_text("/v2/schedules/%s/next-on-calls?flat=true", schedule));
    assert_string_equal(api_answer_text(now, "data", "nextOnCallParticipants", "0", NULL), "bob@example.com");
    now = api_get(house->api, story_text("/v2/schedules/%s/next-on-calls", schedule));
    assert_string_equal(api_answer_text(now, "data", "exactNextOnCallRecipients", "0", "name", NULL), "bob@example.com");
    now = api_get(house->api, story_text("/v2/schedules/%s/on-calls?date=2026-09-20T10:00:00Z&flat=true", schedule));
    assert_int_equal(json_array_size(api_answer_at(now, "data", "onCallRecipients", NULL)), 0);
    refused(api_get(house->api, "/v2/schedules/x/on-calls?scheduleIdentifierType=tiny"), 422, "id or name");
    refused(api_get(house->api, "/v2/schedules/x/on-calls?date=now"), 422, "ISO 8601");
    assert_int_equal(api_get(house->api, "/v2/schedules/PZZZ/on-calls")->status, 404);
    assert_int_equal(genie(house, "GET", story_text("/v2/schedules/%s/on-calls", schedule), NULL)->status, 401);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        STORY(what_hangs_on_a_new_alert_is_kept_and_shown),
        STORY(too_much_on_a_new_alert_is_cut_and_it_pages),
        STORY(tags_and_details_come_and_go_with_their_entries),
        STORY(what_is_no_tag_detail_or_priority_is_refused),
        STORY(a_priority_that_is_raised_is_the_incidents_and_raises_its_urgency),
        STORY(the_priority_stays_where_the_cluster_has_none_of_its_name),
        STORY(a_description_that_changes_is_shown_and_told_once),
        STORY(changes_without_end_are_made_and_not_all_listed),
        STORY(what_hangs_on_a_held_alert_comes_with_it),
        STORY(an_acknowledgement_is_taken_back_and_people_are_told_anew),
        STORY(it_is_given_to_people_and_to_other_escalations),
        STORY(people_teams_and_escalations_are_asked_to_help),
        STORY(what_is_deleted_is_over_and_not_shown),
        STORY(an_alias_finds_the_latest_that_is_closed),
        STORY(alerts_are_found_by_what_opsgenies_queries_say),
        STORY(a_search_compares_no_more_than_a_bound),
        STORY(a_query_that_means_nothing_is_refused),
        STORY(lists_have_orders_and_pages),
        STORY(notes_are_paged_both_ways),
        STORY(logs_and_recipients_tell_who_was_told),
        STORY(each_answer_has_opsgenies_headers),
        STORY(what_there_is_not_is_refused_in_one_sentence),
        STORY(a_heartbeat_that_goes_down_says_what_it_was_told_to),
        STORY(who_is_on_call_and_next_is_told_with_a_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
