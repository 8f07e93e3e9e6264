/* Teams and who belongs to them, as Terraform and the SDKs talk about them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

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

static const char *make_team(struct api_fixture *api, const char *name)
{
    return story_create(api, "/teams", "team", story_text("{\"team\":{\"type\":\"team\",\"name\":\"%s\"}}", name));
}

/* Of a list, how many; of its first element, the id. */
static void expect_list(struct api_fixture *api, const char *target, const char *plural, size_t count, const char *id)
{
    const struct api_answer *list = api_get(api, target);

    assert_int_equal(list->status, 200);
    assert_int_equal(json_array_size(api_answer_at(list, plural, NULL)), count);
    if (count > 0) {
        assert_string_equal(api_answer_text(list, plural, "0", "id", NULL), id);
    }
}

static void a_team_is_created_read_changed_found_and_deleted(void **state)
{
    struct api_fixture *api = *state;
    const struct api_answer *created =
        api_post(api, "/teams", "{\"team\":{\"type\":\"team\",\"name\":\"Payments\",\"description\":\"cards\"}}");

    assert_int_equal(created->status, 201);
    const char *id = api_answer_text(created, "team", "id", NULL);
    const char *target = story_text("/teams/%s", id);
    const struct api_answer *read = api_get(api, target);
    assert_int_equal(read->status, 200);
    assert_true(json_equal(read->json, created->json));
    assert_string_equal(api_answer_text(read, "team", "type", NULL), "team");
    assert_string_equal(api_answer_text(read, "team", "summary", NULL), "Payments");
    assert_string_equal(api_answer_text(read, "team", "description", NULL), "cards");
    assert_string_equal(api_answer_text(read, "team", "default_role", NULL), "manager");
    assert_string_equal(api_answer_text(read, "team", "self", NULL), story_text("https://tocsin.example/teams/%s", id));

    make_team(api, "Search");
    expect_list(api, "/teams?query=pay", "teams", 1, id);
    expect_list(api, "/teams?limit=1", "teams", 1, id);

    const struct api_answer *changed = api_put(api, target, "{\"team\":{\"name\":\"Money\"}}");
    assert_int_equal(changed->status, 200);
    assert_string_equal(api_answer_text(changed, "team", "name", NULL), "Money");
    assert_string_equal(api_answer_text(changed, "team", "description", NULL), "cards");
    make_team(api, "Payments"); /* the old name is free again */

    assert_int_equal(api_delete(api, target)->status, 204);
    story_refused(api_get(api, target), 404, 2100, "Not Found");
    story_refused(api_delete(api, target), 404, 2100, "Not Found");
    story_refused(api_put(api, target, "{\"team\":{\"name\":\"X\"}}"), 404, 2100, "Not Found");
    story_refused(api_get(api, story_text("%s/members", target)), 404, 2100, "Not Found");
}

static void bad_teams_are_refused_and_change_nothing(void **state)
{
    struct api_fixture *api = *state;
    static const struct {
        const char *body, *error;
    } bad[] = {
        {"{}", "named 'team'"},
        {"{\"team\":{}}", "Name can't be blank"},
        {"{\"team\":{\"name\":\"\"}}", "Name can't be blank"},
        {"{\"team\":{\"name\":\"Payments\"}}", "Name has already been taken"},
        {"{\"team\":{\"name\":\"A\",\"default_role\":\"none\"}}", "Private teams are not supported"},
        {"{\"team\":{\"name\":\"A\",\"default_role\":\"king\"}}", "'default_role' must be one of: manager"},
        {"{\"team\":{\"name\":\"A\",\"parent\":{\"id\":\"P000001\"}}}", "Teams within teams"},
    };
    make_team(api, "Payments");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        story_refused(api_post(api, "/teams", bad[i].body), 400, 2001, bad[i].error);
    }
    assert_int_equal(json_array_size(api_answer_at(api_get(api, "/teams"), "teams", NULL)), 1);
}

static void people_join_with_a_role_and_leave(void **state)
{
    struct api_fixture *api = *state;
    const char *team = make_team(api, "Payments"), *alice = story_user(api, "Alice", "alice@example.org");
    const char *member = story_text("/teams/%s/users/%s", team, alice), *members = story_text("/teams/%s/members", team);

    assert_int_equal(api_put(api, member, NULL)->status, 204); /* without a body: as much as elsewhere */
    const struct api_answer *list = api_get(api, members);
    assert_int_equal(json_array_size(api_answer_at(list, "members", NULL)), 1);
    assert_string_equal(api_answer_text(list, "members", "0", "user", "id", NULL), alice);
    assert_string_equal(api_answer_text(list, "members", "0", "user", "type", NULL), "user_reference");
    assert_string_equal(api_answer_text(list, "members", "0", "role", NULL), "manager");
    assert_true(json_is_false(api_answer_at(list, "more", NULL)));

    assert_int_equal(api_put(api, member, "{\"role\":\"observer\"}")->status, 204);
    assert_int_equal(api_put(api, member, NULL)->status, 204); /* what was given stays */
    list = api_get(api, story_text("%s?include[]=users&limit=100&offset=0", members));
    assert_string_equal(api_answer_text(list, "members", "0", "role", NULL), "observer");
    assert_string_equal(api_answer_text(list, "members", "0", "user", "email", NULL), "alice@example.org");
    assert_string_equal(api_answer_text(api_get(api, story_text("/users/%s", alice)), "user", "teams", "0", "id", NULL),
                        team);
    expect_list(api, story_text("/users?team_ids[]=%s", team), "users", 1, alice);
    expect_list(api, "/users?team_ids[]=PZZZZZZ", "users", 0, NULL);
    const struct api_answer *whole = api_get(api, story_text("/users/%s?include[]=teams", alice));
    assert_string_equal(api_answer_text(whole, "user", "teams", "0", "name", NULL), "Payments");

    story_refused(api_put(api, member, "{\"role\":\"king\"}"), 400, 2001, "'role' must be one of: manager");
    story_refused(api_put(api, member, "{\"role\":"), 400, 2001, "not valid JSON");
    story_refused(api_put(api, story_text("/teams/%s/users/PZZZZZZ", team), NULL), 404, 2100, "Not Found");
    story_refused(api_put(api, story_text("/teams/PZZZZZZ/users/%s", alice), NULL), 404, 2100, "Not Found");

    assert_int_equal(api_delete(api, member)->status, 204);
    story_refused(api_delete(api, member), 404, 2100, "Not Found");
    assert_int_equal(json_array_size(api_answer_at(api_get(api, members), "members", NULL)), 0);
}

static void those_who_only_look_on_are_in_no_team(void **state)
{
    struct api_fixture *api = *state;
    const char *team = make_team(api, "Payments");
    const char *user = story_create(api, "/users", "user",
                                    "{\"user\":{\"name\":\"S\",\"email\":\"s@example.org\",\"role\":\"read_only_user\"}}");

    story_refused(api_put(api, story_text("/teams/%s/users/%s", team, user), "{\"role\":\"observer\"}"), 400, 2001,
                  "cannot be in a team");
}

static void given_a_person_or_a_team_goes_then_nobody_is_left_in_a_team_that_is_not_there(void **state)
{
    struct api_fixture *api = *state;
    const char *red = make_team(api, "Red"), *blue = make_team(api, "Blue");
    const char *alice = story_user(api, "Alice", "alice@example.org"), *bob = story_user(api, "Bob", "bob@example.org");

    assert_int_equal(api_put(api, story_text("/teams/%s/users/%s", red, alice), NULL)->status, 204);
    assert_int_equal(api_put(api, story_text("/teams/%s/users/%s", red, bob), NULL)->status, 204);
    assert_int_equal(api_put(api, story_text("/teams/%s/users/%s", blue, bob), NULL)->status, 204);
    assert_int_equal(api_delete(api, story_text("/users/%s", alice))->status, 204);
    assert_int_equal(json_array_size(api_answer_at(api_get(api, story_text("/teams/%s/members", red)), "members", NULL)),
                     1);
    assert_int_equal(api_delete(api, story_text("/teams/%s", red))->status, 204);
    const struct api_answer *read = api_get(api, story_text("/users/%s", bob));
    assert_int_equal(json_array_size(api_answer_at(read, "user", "teams", NULL)), 1);
    assert_string_equal(api_answer_text(read, "user", "teams", "0", "id", NULL), blue);
}

static void a_policy_is_of_one_team_and_its_services_and_incidents_with_it(void **state)
{
    struct api_fixture *api = *state;
    const char *red = make_team(api, "Red"), *blue = make_team(api, "Blue");
    const char *alice = story_user(api, "Alice", "alice@example.org");
    const char *policy = story_policy(api, "First", alice), *other = story_policy(api, "Other", alice);
    const char *service = story_service(api, "Shop", policy);
    const char *incident = story_create(
        api, "/incidents", "incident",
        story_text("{\"incident\":{\"title\":\"Down\",\"service\":{\"id\":\"%s\",\"type\":\"service\"}}}", service));

    story_service(api, "Mail", other);
    assert_int_equal(api_put(api, story_text("/teams/%s/escalation_policies/%s", red, policy), NULL)->status, 204);
    assert_string_equal(api_answer_text(api_get(api, story_text("/escalation_policies/%s", policy)),
                                        "escalation_policy", "teams", "0", "id", NULL),
                        red);
    assert_string_equal(
        api_answer_text(api_get(api, story_text("/services/%s", service)), "service", "teams", "0", "id", NULL), red);
    assert_string_equal(
        api_answer_text(api_get(api, story_text("/incidents/%s", incident)), "incident", "teams", "0", "id", NULL), red);
    expect_list(api, story_text("/escalation_policies?team_ids[]=%s", red), "escalation_policies", 1, policy);
    expect_list(api, story_text("/services?team_ids[]=%s", red), "services", 1, service);
    expect_list(api, story_text("/incidents?team_ids[]=%s", red), "incidents", 1, incident);
    expect_list(api, story_text("/incidents?team_ids[]=%s&user_ids[]=%s", red, alice), "incidents", 1, incident);
    expect_list(api, story_text("/escalation_policies?team_ids[]=%s", blue), "escalation_policies", 0, NULL);
    expect_list(api, story_text("/services?team_ids[]=%s", blue), "services", 0, NULL);
    expect_list(api, story_text("/incidents?team_ids[]=%s", blue), "incidents", 0, NULL);

    story_refused(api_delete(api, story_text("/teams/%s", red)), 400, 2001, "escalation policy First");
    story_refused(api_delete(api, story_text("/teams/%s/escalation_policies/%s", blue, policy)), 404, 2100, "");
    assert_int_equal(api_put(api, story_text("/teams/%s/escalation_policies/%s", blue, policy), NULL)->status, 204);
    expect_list(api, story_text("/services?team_ids[]=%s", blue), "services", 1, service);
    assert_int_equal(api_delete(api, story_text("/teams/%s", red))->status, 204);
    assert_int_equal(api_delete(api, story_text("/teams/%s/escalation_policies/%s", blue, policy))->status, 204);
    const struct api_answer *read = api_get(api, story_text("/services/%s", service));
    assert_int_equal(json_array_size(api_answer_at(read, "service", "teams", NULL)), 0);
}

static void a_policy_and_a_schedule_are_made_for_a_team(void **state)
{
    struct api_fixture *api = *state;
    const char *team = make_team(api, "Red"), *alice = story_user(api, "Alice", "alice@example.org");
    const char *one = story_text("[{\"id\":\"%s\",\"type\":\"team_reference\"}]", team);
    const char *policy = story_create(api, "/escalation_policies", "escalation_policy",
                                      story_text("{\"escalation_policy\":{\"name\":\"P\",\"teams\":%s,\"escalation_rules\":"
                                                 "[{\"targets\":[{\"id\":\"%s\",\"type\":\"user\"}]}]}}",
                                                 one, alice));
    const char *target = story_text("/escalation_policies/%s", policy);

    assert_string_equal(api_answer_text(api_get(api, target), "escalation_policy", "teams", "0", "id", NULL), team);
    const struct api_answer *renamed = api_put(api, target, "{\"escalation_policy\":{\"name\":\"Q\"}}");
    assert_string_equal(api_answer_text(renamed, "escalation_policy", "teams", "0", "id", NULL), team);
    const struct api_answer *cleared = api_put(api, target, "{\"escalation_policy\":{\"teams\":null}}"); /* Terraform */
    assert_int_equal(cleared->status, 200);
    assert_int_equal(json_array_size(api_answer_at(cleared, "escalation_policy", "teams", NULL)), 0);
    story_refused(api_put(api, target, "{\"escalation_policy\":{\"teams\":[{\"id\":\"PZZZZZZ\"}]}}"), 400, 2001,
                  "The team does not exist");
    story_refused(api_put(api, target, "{\"escalation_policy\":{\"teams\":[{}]}}"), 400, 2001, "references");

    const char *schedule = story_create(
        api, "/schedules", "schedule",
        story_text("{\"schedule\":{\"name\":\"S\",\"time_zone\":\"UTC\",\"teams\":%s,\"schedule_layers\":[{\"start\":"
                   "\"2026-01-01T00:00:00Z\",\"rotation_virtual_start\":\"2026-01-01T00:00:00Z\","
                   "\"rotation_turn_length_seconds\":86400,\"users\":[{\"user\":{\"id\":\"%s\",\"type\":\"user\"}}]}]}}",
                   one, alice));
    const char *at = story_text("/schedules/%s", schedule);
    assert_string_equal(api_answer_text(api_get(api, at), "schedule", "teams", "0", "id", NULL), team);
    expect_list(api, story_text("/schedules?team_ids[]=%s", team), "schedules", 1, schedule);
    expect_list(api, "/schedules?team_ids[]=PZZZZZZ", "schedules", 0, NULL);
    story_refused(api_delete(api, story_text("/teams/%s", team)), 400, 2001, "schedule S");
    assert_int_equal(api_put(api, at, "{\"schedule\":{\"name\":\"T\"}}")->status, 200);
    assert_string_equal(api_answer_text(api_get(api, at), "schedule", "teams", "0", "id", NULL), team);
    assert_int_equal(api_put(api, at, "{\"schedule\":{\"teams\":[]}}")->status, 200);
    assert_int_equal(api_delete(api, story_text("/teams/%s", team))->status, 204);
}

static void a_target_of_the_team_s_policy_stays_in_the_team(void **state)
{
    struct api_fixture *api = *state;
    const char *team = make_team(api, "Red"), *alice = story_user(api, "Alice", "alice@example.org");
    const char *member = story_text("/teams/%s/users/%s", team, alice), *policy = story_policy(api, "First", alice);

    assert_int_equal(api_put(api, member, NULL)->status, 204);
    assert_int_equal(api_put(api, story_text("/teams/%s/escalation_policies/%s", team, policy), NULL)->status, 204);
    story_refused_exactly(api_delete(api, member), 400, 2001,
                          "User cannot be removed as they belong to an escalation policy on this team");
    assert_int_equal(api_delete(api, story_text("/teams/%s/escalation_policies/%s", team, policy))->status, 204);
    assert_int_equal(api_delete(api, member)->status, 204);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        STORY(a_team_is_created_read_changed_found_and_deleted),
        STORY(bad_teams_are_refused_and_change_nothing),
        STORY(people_join_with_a_role_and_leave),
        STORY(those_who_only_look_on_are_in_no_team),
        STORY(given_a_person_or_a_team_goes_then_nobody_is_left_in_a_team_that_is_not_there),
        STORY(a_policy_is_of_one_team_and_its_services_and_incidents_with_it),
        STORY(a_policy_and_a_schedule_are_made_for_a_team),
        STORY(a_target_of_the_team_s_policy_stays_in_the_team),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
