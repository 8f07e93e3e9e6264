/* Tokens: made, shown once, limited, used, over, revoked; and what a role in a team adds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "tests/support/api_story.h"

#define DAY_MS 86400000u

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

static void as_admin(struct api_fixture *api)
{
    api->token = API_FIXTURE_TOKEN;
}

/* A person with a token; from here on this person asks. Returns the id. */
static const char *become(struct api_fixture *api, const char *name, Tocsin__Role role)
{
    static char ids[8][16];
    static unsigned next;
    char *id = ids[next++ % 8];
    const char *token = story_text("tokenof%s", name);
    uint64_t user_id = api_fixture_add_user(api, name, story_text("%s@example.org", name), role);

    api_fixture_add_token(api, token, TOCSIN__ROLE__ROLE_NONE, user_id);
    id_format(user_id, id);
    api->token = token;
    return id;
}

static void the_secret_is_shown_once_and_opens_what_it_may(void **state)
{
    struct api_fixture *api = *state;
    const struct api_answer *made = api_post(
        api, "/tokens", "{\"token\":{\"name\":\"ci\",\"role\":\"user\",\"scopes\":[\"services.read\",\"teams.write\"]}}");

    assert_int_equal(made->status, 201);
    const char *secret = api_answer_text(made, "token", "secret", NULL), *id = api_answer_text(made, "token", "id", NULL);
    assert_int_equal(strlen(secret), 20);
    assert_string_equal(api_answer_text(made, "token", "kind", NULL), "account");
    assert_string_equal(api_answer_text(made, "token", "status", NULL), "active");
    assert_true(json_is_null(api_answer_at(made, "token", "last_used_at", NULL)));
    const struct api_answer *read = api_get(api, story_text("/tokens/%s", id)), *list = api_get(api, "/tokens?query=ci");
    assert_null(strstr(read->text, secret));
    assert_null(strstr(list->text, secret));
    assert_null(strstr(read->text, "hash"));
    assert_int_equal(json_array_size(api_answer_at(list, "tokens", NULL)), 1);

    api->token = secret;
    assert_int_equal(api_get(api, "/services")->status, 200);
    assert_int_equal(api_post(api, "/teams", "{\"team\":{\"name\":\"A\"}}")->status, 201);
    story_refused(api_get(api, "/teams"), 403, 2010, "The token lacks the scope teams.read");
    story_refused(api_get(api, "/tokens"), 403, 2010, "The token lacks the scope tokens.read");
    as_admin(api);
    assert_string_equal(api_answer_text(api_get(api, story_text("/tokens/%s", id)), "token", "last_used_at", NULL),
                        "2026-09-21T00:00:00Z");

    assert_int_equal(api_delete(api, story_text("/tokens/%s", id))->status, 204);
    story_refused(api_delete(api, story_text("/tokens/%s", id)), 404, 2100, "Not Found");
    api->token = secret;
    story_refused(api_get(api, "/services"), 401, 2006, "Authentication Failed");
}

static void a_token_that_is_over_opens_nothing(void **state)
{
    struct api_fixture *api = *state;
    const struct api_answer *made = api_post(
        api, "/tokens", "{\"token\":{\"name\":\"short\",\"role\":\"admin\",\"expires_at\":\"2026-09-22T00:00:00Z\"}}");

    assert_int_equal(made->status, 201);
    api->token = api_answer_text(made, "token", "secret", NULL);
    assert_int_equal(api_get(api, "/services")->status, 200);
    api->now_ms += DAY_MS;
    story_refused(api_get(api, "/services"), 401, 2006, "This token has expired");
    as_admin(api);
    const struct api_answer *list = api_get(api, "/tokens?query=short");
    assert_string_equal(api_answer_text(list, "tokens", "0", "status", NULL), "expired");
    assert_null(strstr(list->text, "secret"));
}

static void a_use_is_told_once_a_day(void **state)
{
    struct api_fixture *api = *state;

    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(api_get(api, "/services")->status, 200);
    }
    assert_int_equal(api->token_uses, 1);
    api->now_ms += DAY_MS;
    assert_int_equal(api_get(api, "/services")->status, 200);
    assert_int_equal(api_get(api, "/services")->status, 200);
    assert_int_equal(api->token_uses, 2);
}

static void a_person_makes_lists_and_revokes_the_own_ones_only(void **state)
{
    struct api_fixture *api = *state;
    const char *bob = become(api, "Bob", TOCSIN__ROLE__ROLE_USER), *alice = become(api, "Alice", TOCSIN__ROLE__ROLE_OBSERVER);
    const char *own = story_text("/users/%s/tokens", alice), *others = story_text("/users/%s/tokens", bob);
    const struct api_answer *made = api_post(api, own, "{\"token\":{\"name\":\"laptop\"}}");

    assert_int_equal(made->status, 201);
    assert_string_equal(api_answer_text(made, "token", "kind", NULL), "personal");
    assert_string_equal(api_answer_text(made, "token", "user", "id", NULL), alice);
    assert_string_equal(api_answer_text(made, "token", "created_by", "id", NULL), alice);
    story_refused(api_post(api, others, "{\"token\":{\"name\":\"laptop\"}}"), 403, 2010, "role");
    story_refused(api_get(api, others), 403, 2010, "role");
    story_refused(api_get(api, "/tokens"), 403, 2010, "role");
    story_refused(api_post(api, own, "{\"token\":{\"name\":\"x\",\"role\":\"admin\"}}"), 400, 2001, "person's role");
    assert_int_equal(json_array_size(api_answer_at(api_get(api, own), "tokens", NULL)), 2); /* the one that asks, too */

    const char *id = api_answer_text(made, "token", "id", NULL);
    story_refused(api_delete(api, story_text("%s/%s", others, id)), 403, 2010, "role");
    api->token = api_answer_text(made, "token", "secret", NULL);
    assert_string_equal(api_answer_text(api_get(api, "/users/me"), "user", "id", NULL), alice);
    as_admin(api);
    story_refused(api_delete(api, story_text("%s/%s", others, id)), 404, 2100, "Not Found");
    api->token = "tokenofAlice";
    assert_int_equal(api_delete(api, story_text("%s/%s", own, id))->status, 204);
}

static void a_token_never_opens_more_than_the_one_that_made_it(void **state)
{
    struct api_fixture *api = *state;
    char write[] = "tokens.write", read[] = "users.read";
    char *scopes[] = {write, read};

    api_fixture_add_scoped_token(api, "scopedadmin", TOCSIN__ROLE__ROLE_ADMIN, scopes, 2);
    api->token = "scopedadmin";
    story_refused(api_post(api, "/tokens", "{\"token\":{\"name\":\"x\",\"role\":\"admin\"}}"), 400, 2001, "can't be blank");
    story_refused(api_post(api, "/tokens", "{\"token\":{\"name\":\"x\",\"role\":\"admin\",\"scopes\":[\"*.write\"]}}"), 400,
                  2001, "does not have the scope *.write");
    assert_int_equal(
        api_post(api, "/tokens", "{\"token\":{\"name\":\"x\",\"role\":\"admin\",\"scopes\":[\"users.read\"]}}")->status, 201);
}

static void bad_tokens_are_refused_and_change_nothing(void **state)
{
    struct api_fixture *api = *state;
    static const struct {
        const char *body, *error;
    } bad[] = {
        {"{}", "named 'token'"},
        {"{\"token\":{\"role\":\"user\"}}", "Name can't be blank"},
        {"{\"token\":{\"name\":\"x\"}}", "Role can't be blank"},
        {"{\"token\":{\"name\":\"x\",\"role\":\"owner\"}}", "'role' must be one of: admin"},
        {"{\"token\":{\"name\":\"x\",\"role\":\"user\",\"scopes\":[\"users\"]}}", "'scopes' must be names"},
        {"{\"token\":{\"name\":\"x\",\"role\":\"user\",\"scopes\":[7]}}", "'scopes' must be names"},
        {"{\"token\":{\"name\":\"x\",\"role\":\"user\",\"scopes\":[\"sheep.read\"]}}", "'scopes' must be names"},
        {"{\"token\":{\"name\":\"x\",\"role\":\"user\",\"expires_at\":\"soon\"}}", "ISO 8601"},
        {"{\"token\":{\"name\":\"x\",\"role\":\"user\",\"expires_at\":\"2020-01-01\"}}", "expired already"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        story_refused(api_post(api, "/tokens", bad[i].body), 400, 2001, bad[i].error);
    }
    assert_int_equal(json_array_size(api_answer_at(api_get(api, "/tokens"), "tokens", NULL)), 1);
    story_refused(api_post(api, "/users/PZZZZZZ/tokens", "{\"token\":{\"name\":\"x\"}}"), 400, 2001, "does not exist");
}

static void given_a_repeated_request_then_the_secret_of_the_first_is_not_made_up(void **state)
{
    struct api_fixture *api = *state;
    struct api_question question = {.method = "POST",
                                    .target = "/tokens",
                                    .body = "{\"token\":{\"name\":\"ci\",\"role\":\"observer\"}}",
                                    .headers = {{"X-Api-Key", API_FIXTURE_TOKEN}, {"Idempotency-Key", "once"}}};

    assert_int_equal(api_fixture_ask(api, &question)->status, 201);
    story_refused(api_fixture_ask(api, &question), 409, 2001, "shown only once");
    assert_int_equal(json_array_size(api_answer_at(api_get(api, "/tokens?query=ci"), "tokens", NULL)), 1);
}

static void given_a_person_has_too_many_then_expired_ones_make_room_and_others_do_not(void **state)
{
    struct api_fixture *api = *state;
    const char *alice = become(api, "Alice", TOCSIN__ROLE__ROLE_OBSERVER), *own = story_text("/users/%s/tokens", alice);

    assert_int_equal(
        api_post(api, own, "{\"token\":{\"name\":\"short\",\"expires_at\":\"2026-09-22T00:00:00Z\"}}")->status, 201);
    for (unsigned i = 2; i < LIMIT_TOKENS_PER_USER; i++) {
        assert_int_equal(api_post(api, own, "{\"token\":{\"name\":\"long\"}}")->status, 201);
    }
    story_refused(api_post(api, own, "{\"token\":{\"name\":\"one more\"}}"), 400, 2001, "more than 100 tokens of one user");
    api->now_ms += DAY_MS;
    assert_int_equal(api_post(api, own, "{\"token\":{\"name\":\"one more\"}}")->status, 201);
    story_refused(api_post(api, own, "{\"token\":{\"name\":\"two more\"}}"), 400, 2001, "more than 100 tokens of one user");
}

/* ---------------------------------------------------------------- roles in teams */

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

    as_admin(api);
    assert_int_equal(api_put(api, story_text("/teams/%s/users/%s", team, user), story_text("{\"role\":\"%s\"}", role))->status,
                     204);
    api->token = asks;
}

static void a_manager_of_a_team_configures_what_is_the_team_s_and_no_more(void **state)
{
    struct api_fixture *api = *state;
    struct teams teams = two_teams(api);
    const char *alice = become(api, "Alice", TOCSIN__ROLE__ROLE_LIMITED_USER);
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
    const char *alice = become(api, "Alice", TOCSIN__ROLE__ROLE_LIMITED_USER);
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

static void a_responder_of_a_team_acts_on_its_incidents_and_whoever_is_paged_on_the_own(void **state)
{
    struct api_fixture *api = *state;
    struct teams teams = two_teams(api);
    const char *body = "{\"incident\":{\"title\":\"Down\",\"service\":{\"id\":\"";
    const char *red_body = story_text("%s%s\",\"type\":\"service\"}}}", body, teams.red_service);
    const char *blue_body = story_text("%s%s\",\"type\":\"service\"}}}", body, teams.blue_service);
    const char *red = story_create(api, "/incidents", "incident", red_body);
    const char *blue = story_create(api, "/incidents", "incident", blue_body);
    const char *alice = become(api, "Alice", TOCSIN__ROLE__ROLE_RESTRICTED_ACCESS);
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

    as_admin(api); /* the other one is given to her */
    assert_int_equal(api_put(api, story_text("/incidents/%s", blue),
                             story_text("{\"incident\":{\"type\":\"incident\",\"assignments\":[{\"assignee\":{\"id\":\"%s\","
                                        "\"type\":\"user\"}}]}}",
                                        alice))
                         ->status,
                     200);
    api->token = "tokenofAlice";
    assert_int_equal(api_put(api, story_text("/incidents/%s", blue), ack)->status, 200);
}

/* ---------------------------------------------------------------- somebody must be able to administer */

#define LAST "Nobody could administer the cluster then: make another administrator's token first."

static const char *id_of_only_token(struct api_fixture *api)
{
    const struct api_answer *list = api_get(api, "/tokens");

    assert_int_equal(json_array_size(api_answer_at(list, "tokens", NULL)), 1);
    return api_answer_text(list, "tokens", "0", "id", NULL);
}

static void the_last_administrators_token_stays(void **state)
{
    struct api_fixture *api = *state;
    const char *last = id_of_only_token(api);

    /* What is less, or will be, is no way in: others' roles, scopes, what is over by then. */
    assert_int_equal(api_post(api, "/tokens", "{\"token\":{\"name\":\"u\",\"role\":\"user\"}}")->status, 201);
    assert_int_equal(
        api_post(api, "/tokens", "{\"token\":{\"name\":\"s\",\"role\":\"admin\",\"scopes\":[\"*.write\"]}}")->status, 201);
    story_refused_exactly(api_delete(api, story_text("/tokens/%s", last)), 400, 2001, LAST);
    const struct api_answer *made = api_post(
        api, "/tokens", "{\"token\":{\"name\":\"short\",\"role\":\"admin\",\"expires_at\":\"2026-09-22T00:00:00Z\"}}");
    const char *other = api_answer_text(made, "token", "secret", NULL);
    api->now_ms += 2 * DAY_MS;
    story_refused_exactly(api_delete(api, story_text("/tokens/%s", last)), 400, 2001, LAST);

    made = api_post(api, "/tokens", "{\"token\":{\"name\":\"other\",\"role\":\"admin\"}}");
    other = api_answer_text(made, "token", "secret", NULL);
    assert_int_equal(api_delete(api, story_text("/tokens/%s", last))->status, 204);
    api->token = other;
    story_refused_exactly(api_delete(api, story_text("/tokens/%s", api_answer_text(made, "token", "id", NULL))), 400, 2001, LAST);
}

static void the_last_administrator_is_neither_demoted_nor_deleted(void **state)
{
    struct api_fixture *api = *state;
    const char *root = id_of_only_token(api);
    char person[32];
    (void)snprintf(person, sizeof person, "/users/%s", become(api, "Ada", TOCSIN__ROLE__ROLE_ADMIN));

    assert_int_equal(api_delete(api, story_text("/tokens/%s", root))->status, 204); /* by Ada */
    story_refused_exactly(api_put(api, person, "{\"user\":{\"role\":\"user\"}}"), 400, 2001, LAST);
    story_refused_exactly(api_delete(api, person), 400, 2001, LAST);
    assert_int_equal(api_put(api, person, "{\"user\":{\"role\":\"owner\",\"job_title\":\"all of it\"}}")->status, 200);
    const char *ada = api->token;
    become(api, "Grace", TOCSIN__ROLE__ROLE_ADMIN);
    assert_int_equal(api_put(api, person, "{\"user\":{\"role\":\"user\"}}")->status, 200);
    assert_int_equal(api_delete(api, person)->status, 204);
    api->token = ada;
    story_refused(api_get(api, "/users"), 401, 2006, "Authentication Failed");
}

static void coverage_says_when_the_last_administrator_expires(void **state)
{
    struct api_fixture *api = *state;
    const char *root = id_of_only_token(api);
    const char *asked = "/coverage?kind=administrator_expires";

    assert_int_equal(json_array_size(api_answer_at(api_get(api, asked), "coverage", "findings", NULL)), 0);
    const struct api_answer *made = api_post(
        api, "/tokens", "{\"token\":{\"name\":\"short\",\"role\":\"admin\",\"expires_at\":\"2026-10-01T00:00:00Z\"}}");
    api->token = api_answer_text(made, "token", "secret", NULL);
    assert_int_equal(json_array_size(api_answer_at(api_get(api, asked), "coverage", "findings", NULL)), 0);
    assert_int_equal(api_delete(api, story_text("/tokens/%s", root))->status, 204);
    const struct api_answer *answer = api_get(api, asked);
    assert_int_equal(json_array_size(api_answer_at(answer, "coverage", "findings", NULL)), 1);
    assert_non_null(strstr(answer->text, "expires within 30 days"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        STORY(the_secret_is_shown_once_and_opens_what_it_may),
        STORY(a_token_that_is_over_opens_nothing),
        STORY(a_use_is_told_once_a_day),
        STORY(a_person_makes_lists_and_revokes_the_own_ones_only),
        STORY(a_token_never_opens_more_than_the_one_that_made_it),
        STORY(bad_tokens_are_refused_and_change_nothing),
        STORY(given_a_repeated_request_then_the_secret_of_the_first_is_not_made_up),
        STORY(given_a_person_has_too_many_then_expired_ones_make_room_and_others_do_not),
        STORY(a_manager_of_a_team_configures_what_is_the_team_s_and_no_more),
        STORY(a_manager_of_a_team_has_its_event_orchestrations_and_wakes_no_other_team),
        STORY(a_responder_of_a_team_acts_on_its_incidents_and_whoever_is_paged_on_the_own),
        STORY(the_last_administrators_token_stays),
        STORY(the_last_administrator_is_neither_demoted_nor_deleted),
        STORY(coverage_says_when_the_last_administrator_expires),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
