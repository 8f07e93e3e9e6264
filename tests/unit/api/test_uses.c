/* What is used stays: every kind of object that others name, by each kind that names it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "tests/support/api_fixture.h"
#include "tests/support/api_story.h"

static int setup(void **state)
{
    *state = api_fixture_new();
    return 0;
}

static int teardown(void **state)
{
    api_fixture_free(*state);
    return 0;
}

/* One of each kind; nothing names another but where it must: the service its policy, the policy its user. */
struct house {
    struct api_fixture *api;
    const char *user, *team, *schedule, *policy, *service, *priority, *spare_user, *spare_policy, *orchestration, *heartbeat;
};

static const char *make_schedule(struct api_fixture *api, const char *name, const char *user, const char *more)
{
    return story_create(api, "/schedules", "schedule",
                        story_text("{\"schedule\":{\"name\":\"%s\",\"type\":\"schedule\",\"time_zone\":\"UTC\"%s,\"schedule_layers\":[{"
                                   "\"name\":\"l\",\"start\":\"2026-01-01T00:00:00Z\",\"rotation_virtual_start\":\"2026-01-01T00:00:00Z\","
                                   "\"rotation_turn_length_seconds\":604800,\"users\":[{\"user\":{\"id\":\"%s\",\"type\":\"user\"}}]}]}}",
                                   name, more, user));
}

static struct house furnish(struct api_fixture *api)
{
    struct house house = {.api = api};

    house.user = story_user(api, "Alice", "alice@example.org");
    house.spare_user = story_user(api, "Bob", "bob@example.org");
    house.team = story_create(api, "/teams", "team", "{\"team\":{\"name\":\"Red\",\"type\":\"team\"}}");
    house.schedule = make_schedule(api, "Weekly", house.spare_user, "");
    house.spare_policy = story_policy(api, "Spare", house.spare_user);
    house.policy = story_policy(api, "Primary", house.spare_user);
    house.service = story_service(api, "Shop", house.spare_policy);
    house.orchestration =
        story_create(api, "/event_orchestrations", "orchestration", "{\"orchestration\":{\"name\":\"Everything\"}}");
    const struct api_answer *answer = api_get(api, "/priorities");
    house.priority = api_answer_text(answer, "priorities", "0", "id", NULL);
    return house;
}

/* ---------------------------------------------------------------- what names what */

static const char *policy_with(const char *name, const char *target_type, const char *target, const char *more)
{
    return story_text("{\"escalation_policy\":{\"name\":\"%s\",\"escalation_rules\":[{\"escalation_delay_in_minutes\":5,"
                      "\"targets\":[{\"id\":\"%s\",\"type\":\"%s\"}]}]%s}}",
                      name, target, target_type, more);
}

static const char *policy_names_user(struct house *house)
{
    return story_create(house->api, "/escalation_policies", "escalation_policy",
                        policy_with("Namer", "user_reference", house->user, ""));
}

static const char *policy_names_schedule(struct house *house)
{
    return story_create(house->api, "/escalation_policies", "escalation_policy",
                        policy_with("Namer", "schedule_reference", house->schedule, ""));
}

static const char *team_of(const struct house *house)
{
    return story_text(",\"teams\":[{\"id\":\"%s\",\"type\":\"team_reference\"}]", house->team);
}

static const char *policy_names_team(struct house *house)
{
    return story_create(house->api, "/escalation_policies", "escalation_policy",
                        policy_with("Namer", "user_reference", house->spare_user, team_of(house)));
}

static const char *schedule_names_user(struct house *house)
{
    return make_schedule(house->api, "Namer", house->user, "");
}

static const char *schedule_names_team(struct house *house)
{
    return make_schedule(house->api, "Namer", house->spare_user, team_of(house));
}

/* The schedule is not about this person, but for one hour to come. */
static const char *override_names_user(struct house *house)
{
    const char *schedule = make_schedule(house->api, "Namer", house->spare_user, "");
    const struct api_answer *answer =
        api_post(house->api, story_text("/schedules/%s/overrides", schedule),
                 story_text("{\"overrides\":[{\"start\":\"2036-01-01T00:00:00Z\",\"end\":\"2036-01-01T01:00:00Z\","
                            "\"user\":{\"id\":\"%s\",\"type\":\"user_reference\"}}]}",
                            house->user));
    assert_int_equal(answer->status, 201);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(answer->json, 0), "status")), 201);
    return schedule;
}

static const char *orchestration_names_team(struct house *house)
{
    return story_create(house->api, "/event_orchestrations", "orchestration",
                        story_text("{\"orchestration\":{\"name\":\"Namer\",\"team\":{\"id\":\"%s\"}}}", house->team));
}

static const char *service_names_policy(struct house *house)
{
    return story_service(house->api, "Namer", house->policy);
}

static const char *heartbeat_names_service(struct house *house)
{
    const struct api_answer *answer =
        api_post(house->api, "/v2/heartbeats",
                 story_text("{\"name\":\"Namer\",\"interval\":5,\"intervalUnit\":\"minutes\",\"enabled\":true,\"service\":\"%s\"}",
                            house->service));
    assert_true(answer->status == 200 || answer->status == 201);
    return NULL;
}

/* One rule with these actions, and the catch-all's. */
static const char *put_path(struct house *house, const char *target, const char *rule_actions, const char *catch_all)
{
    const struct api_answer *answer =
        api_put(house->api, target,
                story_text("{\"orchestration_path\":{\"sets\":[{\"id\":\"start\",\"rules\":[{\"label\":\"one\",\"disabled\":true,"
                           "\"conditions\":[],\"actions\":{%s}}]}],\"catch_all\":{\"actions\":{%s}}}}",
                           rule_actions, catch_all));
    if (answer->status != 200) {
        fail_msg("%u: %s", answer->status, answer->text);
    }
    return NULL;
}

static const char *path_of(const struct house *house, const char *kind)
{
    return story_text("/event_orchestrations/%s/%s", house->orchestration, kind);
}

static const char *router_names_service(struct house *house)
{
    return put_path(house, path_of(house, "router"), story_text("\"route_to\":\"%s\"", house->service), "\"route_to\":\"unrouted\"");
}

static const char *catch_all_names_service(struct house *house)
{
    return put_path(house, path_of(house, "router"), "\"route_to\":\"unrouted\"", story_text("\"route_to\":\"%s\"", house->service));
}

static const char *global_names_policy(struct house *house)
{
    return put_path(house, path_of(house, "global"), story_text("\"escalation_policy\":\"%s\"", house->policy), "");
}

static const char *service_rules_name_policy(struct house *house)
{
    return put_path(house, story_text("/event_orchestrations/services/%s", house->service), "",
                    story_text("\"escalation_policy\":\"%s\"", house->policy));
}

static const char *global_names_priority(struct house *house)
{
    return put_path(house, path_of(house, "unrouted"), story_text("\"priority\":\"%s\"", house->priority), "");
}

/* ---------------------------------------------------------------- and lets go of it again */

static void no_rules(struct house *house)
{
    static const char *const kinds[] = {"router", "global", "unrouted"};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        put_path(house, path_of(house, kinds[i]), i == 0 ? "\"route_to\":\"unrouted\"" : "",
                 i == 0 ? "\"route_to\":\"unrouted\"" : "");
    }
    put_path(house, story_text("/event_orchestrations/services/%s", house->service), "", "");
}

static const char *path_text(const struct house *house, const char *what)
{
    return strcmp(what, "users") == 0                 ? house->user
           : strcmp(what, "teams") == 0               ? house->team
           : strcmp(what, "schedules") == 0           ? house->schedule
           : strcmp(what, "escalation_policies") == 0 ? house->policy
                                                      : house->service;
}

/* Deleting a priority is leaving it out of the list. */
static const struct api_answer *delete_it(struct house *house, const char *what)
{
    if (strcmp(what, "priorities") == 0) {
        return api_put(house->api, "/priorities", "{\"priorities\":[{\"name\":\"Only\"}]}");
    }
    return api_delete(house->api, story_text("/%s/%s", what, path_text(house, what)));
}

static const struct pair {
    const char *what, *type;
    const char *(*name_it)(struct house *house);
    const char *let_go, *user_name; /* the collection that the naming object is deleted from; NULL: rules are emptied */
    const char *error;              /* "": the name of who uses it stands in the sentence */
} pairs[] = {
    {"users", "escalation_policy_reference", policy_names_user, "escalation_policies", "Namer", ""},
    {"users", "schedule_reference", schedule_names_user, "schedules", "Namer", ""},
    {"users", "schedule_reference", override_names_user, "schedules", "Namer", ""},
    {"teams", "escalation_policy_reference", policy_names_team, "escalation_policies", "Namer", ""},
    {"teams", "schedule_reference", schedule_names_team, "schedules", "Namer", ""},
    {"teams", "event_orchestration_reference", orchestration_names_team, "event_orchestrations", "Namer", ""},
    {"schedules", "escalation_policy_reference", policy_names_schedule, "escalation_policies", "Namer",
     "Schedule can't be deleted if it's being used by escalation policies"},
    {"escalation_policies", "service_reference", service_names_policy, "services", "Namer", ""},
    {"escalation_policies", "event_orchestration_reference", global_names_policy, NULL, "Everything", ""},
    {"escalation_policies", "service_reference", service_rules_name_policy, NULL, "Shop", ""},
    {"services", "heartbeat_reference", heartbeat_names_service, "v2/heartbeats", "Namer", ""},
    {"services", "event_orchestration_reference", router_names_service, NULL, "Everything", ""},
    {"services", "event_orchestration_reference", catch_all_names_service, NULL, "Everything", ""},
    {"priorities", "event_orchestration_reference", global_names_priority, NULL, "Everything", ""},
};

static void let_go(struct house *house, const struct pair *pair, const char *id)
{
    if (pair->let_go == NULL) {
        no_rules(house);
        return;
    }
    const struct api_answer *answer =
        api_delete(house->api, story_text("/%s/%s", pair->let_go, id != NULL ? id : pair->user_name));
    assert_true(answer->status == 204 || answer->status == 200);
}

static void whatever_is_named_by_another_stays_until_it_is_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const struct pair *pair = &pairs[i];
        struct house house = furnish(api_fixture_new());
        const char *id = pair->name_it(&house);
        const struct api_answer *answer = delete_it(&house, pair->what);
        const char *error = api_answer_text(answer, "error", "errors", "0", NULL);
        print_message("%s: %s\n", pair->what, error);
        assert_int_equal(answer->status, 400);
        assert_int_equal(json_array_size(api_answer_at(answer, "error", "errors", NULL)), 1);
        if (pair->error[0] != '\0') {
            assert_string_equal(error, pair->error);
        } else {
            assert_non_null(strstr(error, pair->user_name));
        }
        assert_int_equal(json_array_size(api_answer_at(answer, "error", "used_by", NULL)), 1);
        assert_string_equal(api_answer_text(answer, "error", "used_by", "0", "type", NULL), pair->type);
        assert_string_equal(api_answer_text(answer, "error", "used_by", "0", "summary", NULL), pair->user_name);
        let_go(&house, pair, id);
        answer = delete_it(&house, pair->what);
        if (answer->status != 204 && answer->status != 200) {
            fail_msg("%s: %u %s", pair->what, answer->status, answer->text);
        }
        api_fixture_free(house.api);
    }
}

static void all_who_use_it_are_named_up_to_a_bound(void **state)
{
    struct api_fixture *api = *state;
    const char *user = story_user(api, "Alice", "alice@example.org");
    const char *target = story_text("/users/%s", user);
    char held[64];
    (void)snprintf(held, sizeof held, "%s", target);

    story_policy(api, "First", user);
    story_policy(api, "Second", user);
    make_schedule(api, "Weekly", user, "");
    const struct api_answer *answer = api_delete(api, held);
    story_refused_exactly(answer, 400, 2001,
                          "The user Alice is used by the escalation policy First, the escalation policy Second and the schedule "
                          "Weekly: take it out of there first.");
    assert_int_equal(json_array_size(api_answer_at(answer, "error", "used_by", NULL)), 3);
    for (unsigned i = 0; i < LIMIT_USES_TOLD; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "More %u", i);
        story_policy(api, name, user);
    }
    answer = api_delete(api, held);
    story_refused(answer, 400, 2001, "and others");
    assert_int_equal(json_array_size(api_answer_at(answer, "error", "used_by", NULL)), LIMIT_USES_TOLD);
    assert_int_equal(api_get(api, held)->status, 200);
}

static void an_orchestration_is_of_a_team_that_there_is(void **state)
{
    struct api_fixture *api = *state;

    story_refused(api_post(api, "/event_orchestrations", "{\"orchestration\":{\"name\":\"x\",\"team\":{\"id\":\"P00009Z\"}}}"), 400, 2001,
                  "team does not exist");
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_named_by_another_stays_until_it_is_not),
        STORY(all_who_use_it_are_named_up_to_a_bound),
        STORY(an_orchestration_is_of_a_team_that_there_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
