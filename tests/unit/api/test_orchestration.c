/* Event orchestration from its REST API to the incidents that events open, or do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "node/orchestration/decide.h"
#include "tests/support/api_fixture.h"
#include "tests/support/api_story.h"

struct house {
    struct api_fixture *api;
    const char *policy, *database, *web, *orchestration, *key, *service_key;
};

static int setup(void **state)
{
    struct house *house = calloc(1, sizeof *house);

    assert_non_null(house);
    house->api = api_fixture_new();
    house->policy = story_policy(house->api, "policy", story_user(house->api, "Alice", "alice@example.com"));
    house->database = story_service(house->api, "database", house->policy);
    house->web = story_service(house->api, "web", house->policy);
    const struct api_answer *answer = api_post(house->api, story_text("/services/%s/integrations", house->web),
                                               "{\"integration\":{\"name\":\"direct\"}}");
    house->service_key = api_answer_text(answer, "integration", "integration_key", NULL);
    answer = api_post(house->api, "/event_orchestrations",
                      "{\"orchestration\":{\"name\":\"everything\",\"description\":\"all events\",\"team\":{\"id\":null}}}");
    assert_int_equal(answer->status, 201);
    house->orchestration = api_answer_text(answer, "orchestration", "id", NULL);
    house->key = api_answer_text(answer, "orchestration", "integrations", "0", "parameters", "routing_key", NULL);
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

/* A path with one set; rules and the catch-all's actions as JSON. */
static const char *path(const char *rules, const char *catch_all)
{
    return story_text("{\"orchestration_path\":{\"sets\":[{\"id\":\"start\",\"rules\":[%s]}],\"catch_all\":{\"actions\":{%s}}}}",
                      rules, catch_all);
}

static const char *rule(const char *label, const char *condition, const char *actions)
{
    return condition == NULL
               ? story_text("{\"label\":\"%s\",\"conditions\":[],\"actions\":{%s}}", label, actions)
               : story_text("{\"label\":\"%s\",\"conditions\":[{\"expression\":\"%s\"}],\"actions\":{%s}}", label, condition, actions);
}

static const struct api_answer *put(struct house *house, const char *which, const char *body)
{
    return api_put(house->api, story_text("/event_orchestrations/%s/%s", house->orchestration, which), body);
}

static void must(const struct api_answer *answer, unsigned status)
{
    if (answer->status != status) {
        fail_msg("%u: %s", answer->status, answer->text);
    }
}

static void route_by_summary(struct house *house)
{
    must(put(house, "router",
             path(story_text("%s,%s", rule("databases", "event.summary matches part 'disk'", story_text("\"route_to\":\"%s\"", house->database)),
                             rule("pages", "event.source matches regex '^www[0-9]+'", story_text("\"route_to\":\"%s\"", house->web))),
                  "\"route_to\":\"unrouted\"")),
         200);
}

static const struct api_answer *send(struct house *house, const char *key, const char *action, const char *dedup_key,
                                     const char *summary, const char *source)
{
    const struct api_answer *answer = api_post(
        house->api, "/v2/enqueue",
        story_text("{\"routing_key\":\"%s\",\"event_action\":\"%s\",\"dedup_key\":\"%s\",\"payload\":{\"summary\":\"%s\",\"source\":\"%s\","
                   "\"severity\":\"critical\",\"custom_details\":{\"env\":\"prod\",\"host\":\"%s\"}}}",
                   key, action, dedup_key, summary, source, source));
    must(answer, 202);
    return answer;
}

static size_t incidents(struct house *house)
{
    return json_array_size(api_answer_at(api_get(house->api, "/incidents?statuses[]=triggered&statuses[]=acknowledged"), "incidents", NULL));
}

static const struct api_answer *newest_incident(struct house *house)
{
    return api_get(house->api, "/incidents?sort_by=incident_number:desc&date_range=all");
}

/* ---------------------------------------------------------------- rules as resources */

static void an_orchestration_lives_as_terraform_needs_it(void **state)
{
    struct house *house = *state;
    const char *target = story_text("/event_orchestrations/%s", house->orchestration);
    const struct api_answer *answer = api_get(house->api, target);
    must(answer, 200);
    assert_string_equal(api_answer_text(answer, "orchestration", "name", NULL), "everything");
    assert_true(json_is_null(api_answer_at(answer, "orchestration", "team", NULL)));
    assert_int_equal(strlen(house->key), 32);
    must(api_put(house->api, target, "{\"orchestration\":{\"name\":\"all\"}}"), 200);
    assert_int_equal(json_array_size(api_answer_at(api_get(house->api, "/event_orchestrations"), "orchestrations", NULL)), 1);

    answer = api_post(house->api, story_text("%s/integrations", target), "{\"integration\":{\"label\":\"second\"}}");
    must(answer, 201);
    const char *id = api_answer_text(answer, "integration", "id", NULL);
    must(api_put(house->api, story_text("%s/integrations/%s", target, id), "{\"integration\":{\"label\":\"renamed\"}}"), 200);
    answer = api_get(house->api, story_text("%s/integrations", target));
    assert_int_equal(json_array_size(api_answer_at(answer, "integrations", NULL)), 2);
    assert_string_equal(api_answer_text(answer, "integrations", "1", "label", NULL), "renamed");
    static const char *const NAMELESS[] = {"{\"integration\":{}}", "{\"integration\":{\"label\":\" \"}}"};
    for (size_t i = 0; i < 2; i++) {
        story_refused_exactly(api_post(house->api, story_text("%s/integrations", target), NAMELESS[i]), 400, 2001, "Label can't be blank");
        story_refused_exactly(api_put(house->api, story_text("%s/integrations/%s", target, id), NAMELESS[i]), 400, 2001,
                              "Label can't be blank");
    }
    must(api_delete(house->api, story_text("%s/integrations/%s", target, id)), 204);
    must(api_get(house->api, story_text("%s/integrations/%s", target, id)), 404);

    answer = api_get(house->api, story_text("%s/router", target));
    must(answer, 200);
    assert_string_equal(api_answer_text(answer, "orchestration_path", "catch_all", "actions", "route_to", NULL), "unrouted");
    assert_string_equal(api_answer_text(answer, "orchestration_path", "parent", "id", NULL), house->orchestration);
    must(api_get(house->api, story_text("%s/nonsense", target)), 404);
    must(api_delete(house->api, target), 204);
    must(api_get(house->api, target), 404);
    must(api_get(house->api, story_text("%s/router", target)), 404);
}

static void rules_are_read_back_as_they_were_written_and_keep_their_ids(void **state)
{
    struct house *house = *state;
    const char *actions = story_text("\"suppress\":true,\"suspend\":300,\"severity\":\"info\",\"event_action\":\"trigger\",\"annotate\":\"see "
                                     "{{variables.host}}\",\"escalation_policy\":\"%s\",\"route_to\":\"two\",\"urgency\":\"low\",\"drop_event\":true,"
                                     "\"variables\":[{\"name\":\"host\",\"path\":\"event.source\",\"type\":\"regex\",\"value\":\"(.*)\"}],"
                                     "\"extractions\":[{\"target\":\"event.summary\",\"template\":\"x {{variables.host}}\"},{\"target\":"
                                     "\"event.custom_details.a\",\"source\":\"event.summary\",\"regex\":\"(.*)\"}]",
                                     house->policy);
    const char *body = story_text("{\"orchestration_path\":{\"sets\":[{\"id\":\"start\",\"rules\":[%s]},{\"id\":\"two\",\"rules\":[]}],"
                                  "\"catch_all\":{\"actions\":{\"suppress\":true}},\"unknown\":7}}",
                                  rule("everything", "event.summary matches part 'a'", actions));
    const struct api_answer *answer = put(house, "global", body);
    must(answer, 200);
    json_t *written = json_loads(body, 0, NULL), *given = json_object_get(json_object_get(written, "orchestration_path"), "sets");
    json_t *read = api_answer_at(answer, "orchestration_path", "sets", NULL);
    json_t *given_actions = json_object_get(json_array_get(json_object_get(json_array_get(given, 0), "rules"), 0), "actions");
    json_t *read_actions = json_object_get(json_array_get(json_object_get(json_array_get(read, 0), "rules"), 0), "actions");
    assert_true(json_equal(given_actions, read_actions));
    json_decref(written);
    const char *id = api_answer_text(answer, "orchestration_path", "sets", "0", "rules", "0", "id", NULL);

    /* Terraform writes the whole again, with the ids that it read. */
    body = story_text("{\"orchestration_path\":{\"sets\":[{\"id\":\"start\",\"rules\":[%s,{\"id\":\"%s\",\"label\":\"kept\",\"disabled\":true}]}]}}",
                      rule("new", NULL, ""), id);
    answer = put(house, "global", body);
    must(answer, 200);
    assert_string_equal(api_answer_text(answer, "orchestration_path", "sets", "0", "rules", "1", "id", NULL), id);
    assert_true(json_is_true(api_answer_at(answer, "orchestration_path", "sets", "0", "rules", "1", "disabled", NULL)));
    assert_string_not_equal(api_answer_text(answer, "orchestration_path", "sets", "0", "rules", "0", "id", NULL), id);
}

static void bad_rules_are_refused_with_their_place(void **state)
{
    struct house *house = *state;
    story_refused(put(house, "global", path(rule("x", "event.summary matches 'a' xor true", ""), "")), 400, 2001,
                  "sets[0].rules[0]: conditions[0]: and, or or the end is expected (at byte 27");
    story_refused(put(house, "global", path(rule("x", "event.summary matches regex '(a'", ""), "")), 400, 2001, "a ) is missing");
    story_refused(put(house, "global", path(rule("x", NULL, "\"severity\":\"fatal\""), "")), 400, 2001, "'severity' cannot be fatal");
    story_refused(put(house, "global", path(rule("x", NULL, "\"route_to\":\"nowhere\""), "")), 400, 2001, "the set nowhere");
    story_refused(put(house, "global", path(rule("x", NULL, "\"route_to\":\"start\""), "")), 400, 2001, "in a circle");
    story_refused(put(house, "global", path(rule("x", NULL, "\"automation_actions\":[{\"name\":\"a\"}]"), "")), 400, 2001, "not supported");
    story_refused(put(house, "global", path(rule("x", NULL, "\"extractions\":[{\"target\":\"event.summary\"}]"), "")), 400, 2001, "either a template");
    story_refused(put(house, "global", path(rule("x", NULL, "\"extractions\":[{\"target\":\"event.nothing\",\"template\":\"a\"}]"), "")), 400,
                  2001, "the target");
    story_refused(put(house, "router", path(rule("x", NULL, "\"route_to\":\"PZZZZZZ\""), "")), 400, 2001, "does not exist");
    story_refused(put(house, "global", "{\"orchestration_path\":{\"sets\":[]}}"), 400, 2001, "named start");
    story_refused(put(house, "global", path(rule("x", NULL, "\"escalation_policy\":\"P0ZZZZZ\""), "")), 400, 2001, "escalation policy");
    assert_int_equal(json_array_size(api_answer_at(api_get(house->api, story_text("/event_orchestrations/%s/global", house->orchestration)),
                                                   "orchestration_path", "sets", "0", "rules", NULL)), 0);
}

/* ---------------------------------------------------------------- events */

static void events_are_routed_and_the_timeline_says_by_which_rule(void **state)
{
    struct house *house = *state;
    route_by_summary(house);
    send(house, house->key, "trigger", "one", "disk full", "db1");
    const struct api_answer *answer = newest_incident(house);
    assert_string_equal(api_answer_text(answer, "incidents", "0", "service", "id", NULL), house->database);
    const char *id = api_answer_text(answer, "incidents", "0", "id", NULL);
    answer = api_get(house->api, story_text("/incidents/%s/log_entries", id));
    json_t *entries = api_answer_at(answer, "log_entries", NULL), *entry;
    size_t i, found = 0;
    json_array_foreach(entries, i, entry)
    {
        const char *label = json_string_value(json_object_get(json_array_get(json_object_get(entry, "rules"), 0), "label"));
        found += label != NULL && strcmp(label, "databases") == 0;
    }
    assert_int_equal(found, 1);

    send(house, house->key, "trigger", "two", "slow", "www12.example");
    assert_string_equal(api_answer_text(newest_incident(house), "incidents", "0", "service", "id", NULL), house->web);
    assert_int_equal(incidents(house), 2);
    /* A resolve carries its key alone and finds its alert whatever the rules say. */
    must(api_post(house->api, "/v2/enqueue",
                  story_text("{\"routing_key\":\"%s\",\"event_action\":\"resolve\",\"dedup_key\":\"two\"}", house->key)), 202);
    assert_int_equal(incidents(house), 1);
}

static void what_no_rule_routes_or_one_drops_is_kept_aside(void **state)
{
    struct house *house = *state;
    route_by_summary(house);
    must(put(house, "global", path(rule("staging", "event.source matches part 'stg-'", "\"drop_event\":true"), "")), 200);
    send(house, house->key, "trigger", "one", "nothing known", "host");
    send(house, house->key, "trigger", "two", "disk full", "stg-db1");
    assert_int_equal(incidents(house), 0);
    const struct api_answer *answer = api_get(house->api, story_text("/event_orchestrations/%s/events_aside", house->orchestration));
    must(answer, 200);
    assert_string_equal(api_answer_text(answer, "events_aside", "0", "disposition", NULL), "dropped");
    assert_string_equal(api_answer_text(answer, "events_aside", "0", "rules", "0", "label", NULL), "staging");
    assert_string_equal(api_answer_text(answer, "events_aside", "1", "disposition", NULL), "unrouted");
    for (unsigned i = 0; i < LIMIT_EVENTS_ASIDE + 10; i++) {
        send(house, house->key, "trigger", story_text("n%u", i), "nothing known", "host");
    }
    answer = api_get(house->api, story_text("/event_orchestrations/%s/events_aside", house->orchestration));
    assert_int_equal(json_array_size(api_answer_at(answer, "events_aside", NULL)), LIMIT_EVENTS_ASIDE);
}

static void rules_change_what_an_alert_says(void **state)
{
    struct house *house = *state;
    const char *priority = api_answer_text(api_get(house->api, "/priorities"), "priorities", "0", "id", NULL);
    must(api_put(house->api, story_text("/event_orchestrations/services/%s", house->web),
                 path(rule("all", "event.custom_details.env == 'prod'",
                           story_text("\"severity\":\"warning\",\"urgency\":\"low\",\"annotate\":\"runbook for {{variables.host}}\",\"priority\":\"%s\","
                                      "\"variables\":[{\"name\":\"host\",\"path\":\"event.source\",\"type\":\"regex\",\"value\":\"^([a-z]+)([0-9]+)\"}],"
                                      "\"extractions\":[{\"target\":\"event.summary\",\"template\":\"{{host}}: {{event.summary}}\"},"
                                      "{\"target\":\"event.dedup_key\",\"source\":\"event.summary\",\"regex\":\"^[a-z0-9]+\"}]", priority)), "")),
         200);
    const struct api_answer *answer = send(house, house->service_key, "trigger", "sent", "slow", "www12.example");
    assert_string_equal(api_answer_text(answer, "dedup_key", NULL), "www12");
    answer = newest_incident(house);
    assert_string_equal(api_answer_text(answer, "incidents", "0", "title", NULL), "www12: slow");
    assert_string_equal(api_answer_text(answer, "incidents", "0", "urgency", NULL), "low");
    assert_string_equal(api_answer_text(answer, "incidents", "0", "priority", "id", NULL), priority);
    const char *id = api_answer_text(answer, "incidents", "0", "id", NULL);
    answer = api_get(house->api, story_text("/incidents/%s/notes", id));
    assert_string_equal(api_answer_text(answer, "notes", "0", "content", NULL), "runbook for www12");
    answer = api_get(house->api, story_text("/incidents/%s/alerts", id));
    assert_string_equal(api_answer_text(answer, "alerts", "0", "severity", NULL), "warning");
    assert_string_equal(api_answer_text(answer, "alerts", "0", "alert_key", NULL), "www12");
    /* The same again counts; the resolve, with the same fields, finds it under its new key. */
    send(house, house->service_key, "trigger", "sent", "slow", "www12.example");
    assert_int_equal(incidents(house), 1);
    send(house, house->service_key, "resolve", "sent", "slow", "www12.example");
    assert_int_equal(incidents(house), 0);
}

/* What a template asks for may not be there: a note that says nothing is none, and a summary stays what it was. */
static void a_template_that_comes_to_nothing_says_nothing(void **state)
{
    struct house *house = *state;
    must(api_put(house->api, story_text("/event_orchestrations/services/%s", house->web),
                 path(rule("all", "event.source exists",
                           "\"annotate\":\"{{variables.nobody}} {{event.group}}\","
                           "\"extractions\":[{\"target\":\"event.summary\",\"template\":\"{{variables.nobody}}\"}]"), "")),
         200);
    send(house, house->service_key, "trigger", "one", "slow", "www12");
    const struct api_answer *answer = newest_incident(house);
    assert_string_equal(api_answer_text(answer, "incidents", "0", "title", NULL), "slow");
    answer = api_get(house->api, story_text("/incidents/%s/notes", api_answer_text(answer, "incidents", "0", "id", NULL)));
    assert_int_equal(json_array_size(api_answer_at(answer, "notes", NULL)), 0);
}

static void the_rules_of_a_service_can_be_put_to_rest(void **state)
{
    struct house *house = *state;
    const char *target = story_text("/event_orchestrations/services/%s", house->web);
    must(api_put(house->api, target, path("", "\"drop_event\":true")), 200);
    assert_true(json_is_true(api_answer_at(api_get(house->api, story_text("%s/active", target)), "active", NULL)));
    send(house, house->service_key, "trigger", "one", "a", "b");
    assert_int_equal(incidents(house), 0);
    must(api_put(house->api, story_text("%s/active", target), "{\"active\":false}"), 200);
    send(house, house->service_key, "trigger", "one", "a", "b");
    assert_int_equal(incidents(house), 1);
}

static void a_node_that_is_behind_looks_at_the_rules_again(void **state)
{
    struct house *house = *state;
    struct memory_store *old = memory_store_copy(house->api->store);
    route_by_summary(house);
    house->api->behind = old;
    house->api->submits = house->api->current_reads = 0;
    send(house, house->key, "trigger", "one", "disk full", "db1");
    assert_int_equal(house->api->submits, 2); /* the first was refused as stale */
    assert_int_equal(house->api->current_reads, 1);
    house->api->behind = NULL;
    assert_int_equal(incidents(house), 1);
    memory_store_free(old);
}

static void a_dynamic_route_finds_the_service_by_its_name(void **state)
{
    struct house *house = *state;
    must(put(house, "router",
             path(rule("dynamic", NULL, "\"dynamic_route_to\":{\"source\":\"event.source\",\"regex\":\"^([a-z]+)-\",\"lookup_by\":\"service_name\"}"),
                  "\"route_to\":\"unrouted\"")), 200);
    send(house, house->key, "trigger", "one", "a", "database-7");
    assert_string_equal(api_answer_text(newest_incident(house), "incidents", "0", "service", "id", NULL), house->database);
    send(house, house->key, "trigger", "two", "a", "nobody-7");
    assert_int_equal(incidents(house), 1);
    must(api_delete(house->api, story_text("/services/%s", house->web)), 204);
}

static void pulse_after(struct house *house, uint64_t ms)
{
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    Tocsin__Pulse deadlines = TOCSIN__PULSE__INIT;

    house->api->now_ms += ms;
    deadlines.limit = LIMIT_PULSE_DEADLINES;
    command.body_case = TOCSIN__COMMAND__BODY_PULSE;
    command.pulse = &deadlines;
    tocsin__reply__free_unpacked(api_fixture_apply(house->api, &command), NULL);
}

static void a_suppressed_alert_opens_nothing_until_rules_say_otherwise(void **state)
{
    struct house *house = *state;
    const char *target = story_text("/event_orchestrations/services/%s", house->web);
    must(api_put(house->api, target, path(rule("staging", "event.source matches part 'stg-'", "\"suppress\":true"), "")), 200);
    send(house, house->service_key, "trigger", "one", "a", "stg-1");
    send(house, house->service_key, "trigger", "two", "a", "prod-1");
    assert_int_equal(incidents(house), 1);
    pulse_after(house, 3600000);
    send(house, house->service_key, "trigger", "one", "a", "stg-1");
    assert_int_equal(incidents(house), 1);
    must(api_put(house->api, target, path("", "")), 200);
    send(house, house->service_key, "trigger", "one", "a", "stg-1");
    assert_int_equal(incidents(house), 2);
}

static void a_suspended_alert_opens_its_incident_when_it_does_not_pass(void **state)
{
    struct house *house = *state;
    must(api_put(house->api, story_text("/event_orchestrations/services/%s", house->web),
                 path(rule("transient", NULL, "\"suspend\":300,\"urgency\":\"low\""), "")), 200);
    send(house, house->service_key, "trigger", "one", "passes", "host");
    send(house, house->service_key, "trigger", "two", "stays", "host");
    assert_int_equal(incidents(house), 0);
    pulse_after(house, 200000);
    send(house, house->service_key, "resolve", "one", "passes", "host");
    pulse_after(house, 110000);
    assert_int_equal(incidents(house), 1);
    const struct api_answer *answer = newest_incident(house);
    assert_string_equal(api_answer_text(answer, "incidents", "0", "title", NULL), "stays");
    assert_string_equal(api_answer_text(answer, "incidents", "0", "urgency", NULL), "low"); /* what rules said is kept meanwhile */
}

static void a_dry_run_shows_which_rule_and_why_and_does_nothing(void **state)
{
    struct house *house = *state;
    route_by_summary(house);
    house->api->submits = 0;
    const struct api_answer *answer =
        api_post(house->api, story_text("/event_orchestrations/%s/dry_run", house->orchestration),
                 "{\"event\":{\"payload\":{\"summary\":\"slow\",\"source\":\"www7\",\"severity\":\"info\"}}}");
    must(answer, 200);
    assert_int_equal(house->api->submits, 0);
    assert_string_equal(api_answer_text(answer, "dry_run", "decision", "service", "id", NULL), house->web);
    assert_string_equal(api_answer_text(answer, "dry_run", "steps", "0", "rule", "label", NULL), "databases");
    assert_true(json_is_false(api_answer_at(answer, "dry_run", "steps", "0", "matched", NULL)));
    assert_string_equal(api_answer_text(answer, "dry_run", "steps", "0", "conditions", "0", "parts", "0", "value", NULL), "slow");
    assert_true(json_is_true(api_answer_at(answer, "dry_run", "steps", "1", "matched", NULL)));
    assert_string_equal(api_answer_text(answer, "dry_run", "decision", "rules", "0", "label", NULL), "pages");
    assert_int_equal(incidents(house), 0);
}

/* ---------------------------------------------------------------- many rules */

/* The cache of compiled rules reaches its bound between the router and the service's rules: found by reading, for what the
 * rules before had said was read after they were let go. */
static void rules_stay_until_the_event_that_they_take_is_decided(void **state)
{
    struct house *house = *state;
    static char summary[] = "the disk is full", source[] = "db4.example.com";
    char key[ROUTING_KEY_CHARACTERS + 1];
    Tocsin__Event asked = TOCSIN__EVENT__INIT;
    struct rule_cache *cache = rule_cache_new();
    struct arena arena;

    route_by_summary(house);
    must(put(house, "global", path(rule("a first word", NULL, "\"annotate\":\"look at the runbook of disks\",\"event_action\":\"resolve\""), "")), 200);
    (void)snprintf(key, sizeof key, "%s", house->key);
    asked.summary = summary;
    asked.source = source;
    asked.routing_key = key;
    arena_init(&arena);
    for (uint64_t i = 0; i < RULE_CACHE_ENTRIES_MAX - 2; i++) {
        decide(cache, &house->api->view, (struct decide_from){.service_id = 1000000 + i}, &asked, API_FIXTURE_START_MS,
               &arena.allocator, NULL);
    }
    const Tocsin__Event *decided =
        decide(cache, &house->api->view, (struct decide_from){0}, &asked, API_FIXTURE_START_MS, &arena.allocator, NULL);
    assert_int_equal(decided->action, TOCSIN__EVENT_ACTION__EVENT_RESOLVE);
    assert_int_equal(decided->decision->n_taken, 2);
    assert_string_equal(decided->decision->taken[0]->label, "a first word");
    assert_string_equal(decided->decision->taken[1]->label, "databases");
    assert_int_equal(decided->decision->n_notes, 1);
    assert_string_equal(decided->decision->notes[0], "look at the runbook of disks");
    arena_close(&arena);
    rule_cache_free(cache);
}

/* ---------------------------------------------------------------- speed */

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* A thousand rules, half of them with regular expressions, of which the last takes the event. */
static void a_thousand_rules_decide_in_a_millisecond(void **state)
{
    struct house *house = *state;
    char *rules = calloc(1, 1u << 18);
    size_t length = 0;
    assert_non_null(rules);
    for (unsigned i = 0; i < LIMIT_RULES_PER_PATH; i++) {
        bool last = i + 1 == LIMIT_RULES_PER_PATH;
        length += (size_t)snprintf(rules + length, (1u << 18) - length,
                                   "%s{\"label\":\"r%u\",\"conditions\":[{\"expression\":\"%s\"}],\"actions\":{\"route_to\":\"%s\"}}",
                                   i > 0 ? "," : "", i,
                                   last         ? "event.summary matches part 'disk'"
                                   : i % 2 == 0 ? story_text("event.summary matches regex 'srv%u-[0-9]+ (down|slow)' or event.custom_details.env == 'e%u'", i, i)
                                                : story_text("event.source matches part 'host%u' and event.severity matches 'critical'", i),
                                   house->database);
    }
    char *body = NULL;
    assert_true(asprintf(&body, "{\"orchestration_path\":{\"sets\":[{\"id\":\"start\",\"rules\":[%s]}]}}", rules) > 0);
    must(put(house, "router", body), 200);
    static char summary[] = "the disk of the fourth database server is full to nine tenths", source[] = "db4.example.com";
    char key[ROUTING_KEY_CHARACTERS + 1];
    (void)snprintf(key, sizeof key, "%s", house->key);
    struct rule_cache *cache = rule_cache_new();
    Tocsin__Event asked = TOCSIN__EVENT__INIT;
    asked.summary = summary;
    asked.source = source;
    asked.severity = TOCSIN__SEVERITY__SEVERITY_CRITICAL;
    asked.routing_key = key;
    struct arena arena;
    arena_init(&arena);
    decide(cache, &house->api->view, (struct decide_from){0}, &asked, API_FIXTURE_START_MS, &arena.allocator, NULL);
    uint64_t begin_us = now_us();
    for (unsigned i = 0; i < 100; i++) {
        const Tocsin__Event *decided =
            decide(cache, &house->api->view, (struct decide_from){0}, &asked, API_FIXTURE_START_MS, &arena.allocator, NULL);
        assert_int_not_equal(decided->decision->service_id, 0);
    }
    uint64_t each_us = (now_us() - begin_us) / 100;
    print_message("1,000 rules: %llu us an event\n", (unsigned long long)each_us);
    assert_true(each_us < 10000); /* 1 ms is promised; sanitizers on a busy machine take ten times as long */
    arena_close(&arena);
    rule_cache_free(cache);
    free(body);
    free(rules);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_orchestration_lives_as_terraform_needs_it),
        TEST(rules_are_read_back_as_they_were_written_and_keep_their_ids),
        TEST(bad_rules_are_refused_with_their_place),
        TEST(events_are_routed_and_the_timeline_says_by_which_rule),
        TEST(what_no_rule_routes_or_one_drops_is_kept_aside),
        TEST(rules_change_what_an_alert_says),
        TEST(a_template_that_comes_to_nothing_says_nothing),
        TEST(the_rules_of_a_service_can_be_put_to_rest),
        TEST(a_node_that_is_behind_looks_at_the_rules_again),
        TEST(a_dynamic_route_finds_the_service_by_its_name),
        TEST(a_suppressed_alert_opens_nothing_until_rules_say_otherwise),
        TEST(a_suspended_alert_opens_its_incident_when_it_does_not_pass),
        TEST(a_dry_run_shows_which_rule_and_why_and_does_nothing),
        TEST(rules_stay_until_the_event_that_they_take_is_decided),
        TEST(a_thousand_rules_decide_in_a_millisecond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
