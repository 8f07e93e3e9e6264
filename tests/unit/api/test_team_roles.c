/* What a role in a team adds to a person's own, and where it ends: whatever the form of the body, it is judged as it will be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

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

struct teams {
    const char *red, *blue, *red_policy, *blue_policy, *red_service, *blue_service;
};

static struct teams two_teams(struct api_fixture *api)
{
    struct teams teams;
    const char *target = story_user(api, "Target", "target@example.org");

    teams.red = story_create(api, "/teams", "team", "{\"team\":{\"name\":\"Red\"}}");
    teams.blue = story_create(api, "/teams", "team", "{\"team\":{\"name\":\"Blue\"}}");
    teams.red_policy = story_policy(api, "Red policy", target);
    teams.blue_policy = story_policy(api, "Blue policy", target);
    teams.red_service = story_service(api, "Red service", teams.red_policy);
    teams.blue_service = story_service(api, "Blue service", teams.blue_policy);
    assert_int_equal(
        api_put(api, story_text("/teams/%s/escalation_policies/%s", teams.red, teams.red_policy), NULL)->status, 204);
    assert_int_equal(
        api_put(api, story_text("/teams/%s/escalation_policies/%s", teams.blue, teams.blue_policy), NULL)->status, 204);
    return teams;
}

static void join(struct api_fixture *api, const char *team, const char *user, const char *role)
{
    const char *asks = api->token;

    story_as_admin(api);
    assert_int_equal(api_put(api, story_text("/teams/%s/users/%s", team, user), story_text("{\"role\":\"%s\"}", role))->status,
                     204);
    api->token = asks;
}

static void a_manager_of_a_team_configures_what_is_the_team_s_and_no_more(void **state)
{
    struct api_fixture *api = *state;
    struct teams teams = two_teams(api);
    const char *alice = story_become(api, "Alice", TOCSIN__ROLE__ROLE_LIMITED_USER);
    const char *red = story_text("/services/%s", teams.red_service), *blue = story_text("/services/%s", teams.blue_service);
    const char *to_red = story_text("{\"service\":{\"name\":\"New\",\"escalation_policy\":{\"id\":\"%s\",\"type\":"
                                    "\"escalation_policy\"}}}",
                                    teams.red_policy);
    const char *to_blue = story_text("{\"service\":{\"name\":\"Newer\",\"escalation_policy\":{\"id\":\"%s\",\"type\":"
                                     "\"escalation_policy\"}}}",
                                     teams.blue_policy);

    story_refused(api_put(api, red, "{\"service\":{\"name\":\"Mine\"}}"), 403, 2010, "role");
    join(api, teams.red, alice, "manager");
    assert_int_equal(api_put(api, red, "{\"service\":{\"name\":\"Mine\"}}")->status, 200);
    assert_int_equal(api_post(api, "/services", to_red)->status, 201);
    story_refused(api_post(api, "/services", "{\"service\":{\"name\":\"Nobody's\"}}"), 400, 2001, "Escalation policy");
    assert_int_equal(api_put(api, story_text("/escalation_policies/%s", teams.red_policy),
                             "{\"escalation_policy\":{\"name\":\"Renamed\"}}")
                         ->status,
                     200);
    assert_int_equal(api_put(api, story_text("/teams/%s", teams.red), "{\"team\":{\"description\":\"d\"}}")->status, 200);

    story_refused(api_put(api, blue, "{\"service\":{\"name\":\"Theirs\"}}"), 403, 2010, "role");
    story_refused(api_post(api, "/services", to_blue), 403, 2010, "role");
    story_refused(api_put(api, red, to_blue), 403, 2010, "role"); /* which would page the others */
    story_refused(api_put(api, story_text("/teams/%s/escalation_policies/%s", teams.red, teams.blue_policy), NULL), 403,
                  2010, "role"); /* nobody takes a policy away */
    const char *policy = story_text("/escalation_policies/%s", teams.red_policy);
    assert_int_equal(api_put(api, policy, story_text("{\"escalation_policy\":{\"teams\":[{\"id\":\"%s\"}]}}", teams.red))->status, 200);
    story_refused(api_put(api, policy, story_text("{\"escalation_policy\":{\"teams\":[{\"id\":\"%s\"}]}}", teams.blue)), 403, 2010,
                  "role"); /* or gives one, with its services */
    story_refused(api_put(api, policy, "{\"escalation_policy\":{\"teams\":[]}}"), 403, 2010, "role");
    story_refused(api_put(api, story_text("/teams/%s", teams.blue), "{\"team\":{\"description\":\"d\"}}"), 403, 2010, "");
    story_refused(api_post(api, "/users", "{\"user\":{\"name\":\"U\",\"email\":\"u@example.org\"}}"), 403, 2010, "role");
}

static const char *route_to(const char *service)
{
    return story_text("{\"orchestration_path\":{\"sets\":[{\"id\":\"start\",\"rules\":[{\"conditions\":[],\"actions\":{\"route_to\":\"%s\"}}]}],"
                      "\"catch_all\":{\"actions\":{\"route_to\":\"unrouted\"}}}}",
                      service);
}

static void a_manager_of_a_team_has_its_event_orchestrations_and_wakes_no_other_team(void **state)
{
    struct api_fixture *api = *state;
    struct teams teams = two_teams(api);
    const char *of_blue = story_create(api, "/event_orchestrations", "orchestration",
                                       story_text("{\"orchestration\":{\"name\":\"Blue\",\"team\":{\"id\":\"%s\"}}}", teams.blue));
    const char *alice = story_become(api, "Alice", TOCSIN__ROLE__ROLE_LIMITED_USER);
    const char *to_red = story_text("{\"orchestration\":{\"name\":\"Red\",\"team\":{\"id\":\"%s\"}}}", teams.red);

    story_refused(api_post(api, "/event_orchestrations", to_red), 403, 2010, "role");
    join(api, teams.red, alice, "manager");
    const struct api_answer *made = api_post(api, "/event_orchestrations", to_red);
    assert_int_equal(made->status, 201);
    char path[64], router[96];
    (void)snprintf(path, sizeof path, "/event_orchestrations/%s", api_answer_text(made, "orchestration", "id", NULL));
    (void)snprintf(router, sizeof router, "%s/router", path);
    story_refused(api_post(api, "/event_orchestrations", "{\"orchestration\":{\"name\":\"Nobody's\"}}"), 403, 2010, "role");
    assert_int_equal(api_put(api, path, "{\"orchestration\":{\"name\":\"Reds\"}}")->status, 200);
    story_refused(api_put(api, path, story_text("{\"orchestration\":{\"team\":{\"id\":\"%s\"}}}", teams.blue)), 403, 2010, "role");
    assert_int_equal(api_put(api, router, route_to(teams.red_service))->status, 200);
    story_refused(api_put(api, router, route_to(teams.blue_service)), 403, 2010, "role");
    story_refused(api_put(api, story_text("%s/global", path),
                          story_text("{\"orchestration_path\":{\"sets\":[{\"id\":\"start\",\"rules\":[]}],\"catch_all\":{\"actions\":{"
                                     "\"escalation_policy\":\"%s\"}}}}",
                                     teams.blue_policy)),
                  403, 2010, "role");
    assert_int_equal(api_post(api, story_text("%s/integrations", path), "{\"integration\":{\"label\":\"x\"}}")->status, 201);
    story_refused(api_put(api, story_text("/event_orchestrations/%s", of_blue), "{\"orchestration\":{\"name\":\"Mine\"}}"), 403, 2010, "role");
    assert_int_equal(api_put(api, router, route_to("unrouted"))->status, 200);
    assert_int_equal(api_delete(api, path)->status, 204);
}

/* A schedule of this person, with teams as JSON has them. */
static const char *rota(const char *user, const char *teams)
{
    return story_text("{\"schedule\":{\"name\":\"Nights\",\"time_zone\":\"UTC\",\"schedule_layers\":[{\"start\":\"2026-09-21T09:00:00Z\","
                      "\"rotation_virtual_start\":\"2026-09-21T09:00:00Z\",\"rotation_turn_length_seconds\":86400,\"users\":[{\"user\":{\"id\":"
                      "\"%s\"}}]}],\"teams\":%s}}",
                      user, teams);
}

#define TEAMS_SIZE 64

struct team_lists {
    char red[TEAMS_SIZE], blue[TEAMS_SIZE], both[TEAMS_SIZE];
};

static struct team_lists lists_of(const struct teams *teams)
{
    struct team_lists lists;

    (void)snprintf(lists.red, TEAMS_SIZE, "[{\"id\":\"%s\"}]", teams->red);
    (void)snprintf(lists.blue, TEAMS_SIZE, "[{\"id\":\"%s\"}]", teams->blue);
    (void)snprintf(lists.both, TEAMS_SIZE, "[{\"id\":\"%s\"},{\"id\":\"%s\"}]", teams->red, teams->blue);
    return lists;
}

static void a_manager_of_a_team_has_its_schedules_and_gives_none_to_another_team(void **state)
{
    struct api_fixture *api = *state;
    struct teams teams = two_teams(api);
    struct team_lists of = lists_of(&teams);
    const char *target = story_user(api, "Night", "night@example.org");
    const char *alice = story_become(api, "Alice", TOCSIN__ROLE__ROLE_LIMITED_USER);
    char path[32];

    api->token = "tokenofAlice";
    join(api, teams.red, alice, "manager");
    (void)snprintf(path, sizeof path, "/schedules/%s", story_create(api, "/schedules", "schedule", rota(target, of.red)));
    story_refused(api_post(api, "/schedules", rota(target, of.blue)), 403, 2010, "role");
    assert_int_equal(api_put(api, path, "{\"schedule\":{\"description\":\"d\"}}")->status, 200);
    assert_int_equal(api_put(api, path, rota(target, of.red))->status, 200); /* as it is */
    story_refused(api_put(api, path, rota(target, of.blue)), 403, 2010, "role");
    story_refused(api_put(api, path, rota(target, of.both)), 403, 2010, "role");
    story_refused(api_put(api, path, rota(target, "[]")), 403, 2010, "role"); /* nobody makes it nobody's */
    story_refused(api_put(api, path, rota(target, "null")), 403, 2010, "role");
    join(api, teams.blue, alice, "responder");
    story_refused(api_put(api, path, rota(target, of.both)), 403, 2010, "role");
    join(api, teams.blue, alice, "manager");
    assert_int_equal(api_put(api, path, rota(target, of.both))->status, 200);
    join(api, teams.blue, alice, "responder");
    assert_int_equal(api_put(api, path, rota(target, of.both))->status, 200); /* it is theirs already */
    assert_int_equal(api_put(api, path, rota(target, of.red))->status, 200);
    story_refused(api_put(api, path, rota(target, of.both)), 403, 2010, "role");
}

static void a_manager_of_a_team_restores_no_revision_that_was_another_team_s_too(void **state)
{
    struct api_fixture *api = *state;
    struct teams teams = two_teams(api);
    struct team_lists of = lists_of(&teams);
    const char *target = story_user(api, "Night", "night@example.org");
    char path[32];

    (void)snprintf(path, sizeof path, "/schedules/%s", story_create(api, "/schedules", "schedule", rota(target, of.both)));
    for (unsigned i = 0; i < 2; i++) {
        api->now_ms += 1000;
        assert_int_equal(api_put(api, path, rota(target, of.red))->status, 200);
    }
    const char *alice = story_become(api, "Alice", TOCSIN__ROLE__ROLE_LIMITED_USER);
    api->token = "tokenofAlice";
    join(api, teams.red, alice, "manager");
    story_refused(api_post(api, story_text("%s/revisions/1/restore", path), ""), 403, 2010, "role");
    assert_int_equal(api_post(api, story_text("%s/revisions/99/restore", path), "")->status, 404);
    assert_int_equal(api_post(api, story_text("%s/revisions/x/restore", path), "")->status, 400);
    api->now_ms += 1000;
    assert_int_equal(api_post(api, story_text("%s/revisions/2/restore", path), "")->status, 200);
    join(api, teams.blue, alice, "manager");
    api->now_ms += 1000;
    assert_int_equal(api_post(api, story_text("%s/revisions/1/restore", path), "")->status, 200);
}

static const char *incident_on(const char *service)
{
    return story_text("{\"incident\":{\"title\":\"Down\",\"service\":{\"id\":\"%s\",\"type\":\"service\"}}}", service);
}

static void a_responder_of_a_team_acts_on_its_incidents_and_whoever_is_paged_on_the_own(void **state)
{
    struct api_fixture *api = *state;
    struct teams teams = two_teams(api);
    const char *red_body = incident_on(teams.red_service), *blue_body = incident_on(teams.blue_service);
    const char *red = story_create(api, "/incidents", "incident", red_body);
    const char *blue = story_create(api, "/incidents", "incident", blue_body);
    const char *alice = story_become(api, "Alice", TOCSIN__ROLE__ROLE_RESTRICTED_ACCESS);
    const char *ack = "{\"incident\":{\"type\":\"incident\",\"status\":\"acknowledged\"}}";
    const char *both = story_text("{\"incidents\":[{\"id\":\"%s\",\"type\":\"incident\",\"title\":\"A\"},{\"id\":\"%s\","
                                  "\"type\":\"incident\",\"title\":\"B\"}]}",
                                  red, blue);

    story_refused(api_put(api, story_text("/incidents/%s", red), ack), 403, 2010, "role");
    join(api, teams.red, alice, "responder");
    assert_int_equal(api_put(api, story_text("/incidents/%s", red), ack)->status, 200);
    assert_int_equal(api_post(api, "/incidents", red_body)->status, 201);
    story_refused(api_post(api, "/incidents", blue_body), 403, 2010, "role");
    story_refused(api_put(api, story_text("/incidents/%s", blue), ack), 403, 2010, "role");
    story_refused(api_put(api, "/incidents", both), 403, 2010, "role");
    story_refused(api_put(api, story_text("/services/%s", teams.red_service), "{\"service\":{\"name\":\"M\"}}"), 403, 2010,
                  "role");

    story_as_admin(api); /* the other one is given to her */
    assert_int_equal(api_put(api, story_text("/incidents/%s", blue),
                             story_text("{\"incident\":{\"type\":\"incident\",\"assignments\":[{\"assignee\":{\"id\":\"%s\","
                                        "\"type\":\"user\"}}]}}",
                                        alice))
                         ->status,
                     200);
    api->token = "tokenofAlice";
    assert_int_equal(api_put(api, story_text("/incidents/%s", blue), ack)->status, 200);
}

/* Some SDKs send an object without the wrapper of its name, and the handlers take it. */
static void without_its_wrapper_a_body_gives_nobody_more(void **state)
{
    struct api_fixture *api = *state;
    struct teams teams = two_teams(api);
    const char *to_blue = story_text("{\"type\":\"service\",\"name\":\"Bare\",\"escalation_policy\":{\"id\":\"%s\"}}", teams.blue_policy);
    const char *to_red = story_text("{\"type\":\"service\",\"name\":\"Bare\",\"escalation_policy\":{\"id\":\"%s\"}}", teams.red_policy);
    const char *red = story_create(api, "/incidents", "incident", incident_on(teams.red_service));
    const char *alice = story_become(api, "Alice", TOCSIN__ROLE__ROLE_OBSERVER);
    const char *service = story_text("/services/%s", teams.red_service);
    const char *path = story_text("/event_orchestrations/services/%s", teams.red_service);

    story_refused(api_post(api, "/services", to_blue), 403, 2010, "role"); /* in no team at all */
    join(api, teams.red, alice, "manager");
    story_refused(api_post(api, "/services", to_blue), 403, 2010, "role");
    story_refused(api_put(api, service, to_blue), 403, 2010, "role");
    assert_int_equal(api_post(api, "/services", to_red)->status, 201);
    story_refused(api_put(api, path,
                          story_text("{\"type\":\"service\",\"sets\":[{\"id\":\"start\",\"rules\":[]}],\"catch_all\":{\"actions\":{"
                                     "\"escalation_policy\":\"%s\"}}}",
                                     teams.blue_policy)),
                  403, 2010, "role");
    const char *orchestration = story_create(api, "/event_orchestrations", "orchestration",
                                             story_text("{\"name\":\"Bare\",\"team\":{\"id\":\"%s\"}}", teams.red));
    story_refused(api_put(api, story_text("/event_orchestrations/%s", orchestration),
                          story_text("{\"name\":\"Bare\",\"team\":{\"id\":\"%s\"}}", teams.blue)),
                  403, 2010, "role");
    story_refused(api_post(api, "/incidents",
                           story_text("{\"type\":\"incident\",\"title\":\"Down\",\"service\":{\"id\":\"%s\"},\"incidents\":[{\"id\":\"%s\"}]}",
                                      teams.blue_service, red)),
                  403, 2010, "role");
    story_create(api, "/escalation_policies", "escalation_policy",
                 story_text("{\"name\":\"Bare\",\"teams\":[{\"id\":\"%s\"}],\"escalation_rules\":[{\"targets\":[{\"id\":\"%s\","
                            "\"type\":\"user\"}]}]}",
                            teams.red, alice));
}

/* Each incident that a request is about is asked about, wherever in the request it stands. */
static void a_responder_of_a_team_reaches_no_other_team_s_incidents_by_the_own(void **state)
{
    struct api_fixture *api = *state;
    struct teams teams = two_teams(api);
    const char *red = story_create(api, "/incidents", "incident", incident_on(teams.red_service));
    const char *other = story_create(api, "/incidents", "incident", incident_on(teams.red_service));
    const char *blue = story_create(api, "/incidents", "incident", incident_on(teams.blue_service));
    const char *alice = story_become(api, "Alice", TOCSIN__ROLE__ROLE_OBSERVER);
    const char *merge = story_text("/incidents/%s/merge", red), *alerts = story_text("/incidents/%s/alerts", red);
    const char *one = story_text("%s/PZZZZZZ", alerts);

    join(api, teams.red, alice, "responder");
    story_refused(api_put(api, "/incidents",
                          story_text("{\"incident\":{\"service\":{\"id\":\"%s\"}},\"incidents\":[{\"id\":\"%s\",\"status\":\"resolved\"}]}",
                                     teams.red_service, blue)),
                  403, 2010, "role");
    story_refused(api_put(api, merge, story_text("{\"source_incidents\":[{\"id\":\"%s\"},{\"id\":\"%s\"}]}", other, blue)), 403,
                  2010, "role");
    story_refused(api_put(api, alerts, story_text("{\"alerts\":[{\"id\":\"PZZZZZZ\"},{\"id\":\"PZZZZZZ\",\"incident\":{\"id\":\"%s\"}}]}", blue)),
                  403, 2010, "role");
    story_refused(api_put(api, one, story_text("{\"alert\":{\"incident\":{\"id\":\"%s\"}}}", blue)), 403, 2010, "role");
    story_refused(api_put(api, one, story_text("{\"type\":\"alert\",\"incident\":{\"id\":\"%s\"}}", blue)), 403, 2010, "role");

    story_refused(api_put(api, one, story_text("{\"alert\":{\"incident\":{\"id\":\"%s\"}}}", other)), 404, 2100, "");
    story_refused(api_put(api, one, "{\"alert\":{\"status\":\"resolved\"}}"), 404, 2100, "");
    assert_int_equal(api_put(api, merge, story_text("{\"source_incidents\":[{\"id\":\"%s\"}]}", other))->status, 200);
    const struct api_answer *whole = api_get(api, story_text("/incidents/%s", blue));
    assert_string_equal(api_answer_text(whole, "incident", "status", NULL), "triggered");
}

static const char *window_of(const char *service, const char *other)
{
    const char *more = other != NULL ? story_text(",{\"id\":\"%s\",\"type\":\"service_reference\"}", other) : "";

    return story_text("{\"maintenance_window\":{\"type\":\"maintenance_window\",\"start_time\":\"2026-10-01T00:00:00Z\",\"end_time\":"
                      "\"2026-10-01T02:00:00Z\",\"services\":[{\"id\":\"%s\",\"type\":\"service_reference\"}%s]}}",
                      service, more);
}

static void a_manager_of_a_team_silences_its_services_for_a_while_and_no_others(void **state)
{
    struct api_fixture *api = *state;
    struct teams teams = two_teams(api);
    const char *of_red = window_of(teams.red_service, NULL), *of_both = window_of(teams.red_service, teams.blue_service);
    const char *blue = story_text("/maintenance_windows/%s", story_create(api, "/maintenance_windows", "maintenance_window", of_both));
    const char *alice = story_become(api, "Alice", TOCSIN__ROLE__ROLE_LIMITED_USER);

    story_refused(api_post(api, "/maintenance_windows", of_red), 403, 2010, "role");
    join(api, teams.red, alice, "responder");
    story_refused(api_post(api, "/maintenance_windows", of_red), 403, 2010, "role");
    join(api, teams.red, alice, "manager");
    const char *red = story_text("/maintenance_windows/%s", story_create(api, "/maintenance_windows", "maintenance_window", of_red));
    story_refused(api_post(api, "/maintenance_windows", of_both), 403, 2010, "role");
    story_refused(api_post(api, "/maintenance_windows", "{\"maintenance_window\":{\"services\":[]}}"), 403, 2010, "role");
    assert_int_equal(api_put(api, red, "{\"maintenance_window\":{\"description\":\"d\"}}")->status, 200);
    assert_int_equal(api_put(api, red, "{\"type\":\"maintenance_window\",\"description\":\"e\"}")->status, 200);
    story_refused(api_put(api, red, of_both), 403, 2010, "role");
    story_refused(api_put(api, red, story_text("{\"type\":\"maintenance_window\",\"services\":[{\"id\":\"%s\"}]}", teams.blue_service)), 403,
                  2010, "role");
    story_refused(api_put(api, blue, of_red), 403, 2010, "role"); /* the others' too, as it stands */
    story_refused(api_delete(api, blue), 403, 2010, "role");
    assert_int_equal(api_delete(api, red)->status, 204);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        STORY(a_manager_of_a_team_configures_what_is_the_team_s_and_no_more),
        STORY(a_manager_of_a_team_has_its_event_orchestrations_and_wakes_no_other_team),
        STORY(a_manager_of_a_team_has_its_schedules_and_gives_none_to_another_team),
        STORY(a_manager_of_a_team_restores_no_revision_that_was_another_team_s_too),
        STORY(a_responder_of_a_team_acts_on_its_incidents_and_whoever_is_paged_on_the_own),
        STORY(without_its_wrapper_a_body_gives_nobody_more),
        STORY(a_responder_of_a_team_reaches_no_other_team_s_incidents_by_the_own),
        STORY(a_manager_of_a_team_silences_its_services_for_a_while_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
