/* The way of a request to its handler: routes, tokens, roles, the From header, bodies, and what the cluster's
 * trouble looks like outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/api_fixture.h"
#include "tests/support/api_story.h"

#define NEW_USER "{\"user\":{\"name\":\"Carol\",\"email\":\"carol@example.com\"}}"

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

/* One question with one header. */
static const struct api_answer *ask(struct api_fixture *api, const char *method, const char *target, const char *body,
                                    const char *header, const char *value)
{
    struct api_question question = {.method = method, .target = target, .body = body, .headers = {{header, value}}};

    return api_fixture_ask(api, &question);
}

static void given_an_unknown_path_then_404_in_the_shape_of_rest(void **state)
{
    static const char *const targets[] = {"/", "/nothing", "/users/P000001/nothing", "/v2", "/v2/enqueue2"};

    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        const struct api_answer *answer = api_get(*state, targets[i]);
        assert_int_equal(answer->status, 404);
        assert_int_equal(json_integer_value(api_answer_at(answer, "error", "code", NULL)), 2100);
        assert_string_equal(answer->content_type, "application/json; charset=utf-8");
    }
}

static void given_another_method_then_405_and_the_methods_that_there_are(void **state)
{
    const struct api_answer *answer = ask(*state, "PATCH", "/users", "{}", "X-Api-Key", API_FIXTURE_TOKEN);

    assert_int_equal(answer->status, 405);
    const char *allow = api_answer_header(answer, "Allow");
    assert_non_null(allow);
    assert_non_null(strstr(allow, "GET, HEAD"));
    assert_non_null(strstr(allow, "POST"));
    assert_int_equal(ask(*state, "OPTIONS", "/cluster", NULL, "Host", "t")->status, 405);
    assert_int_equal(ask(*state, "get", "/cluster", NULL, "Host", "t")->status, 405); /* methods have case */
}

static void given_the_token_in_each_family_s_form_then_it_is_taken(void **state)
{
    static const char *const forms[][2] = {
        {"Authorization", "Token token=" API_FIXTURE_TOKEN}, {"Authorization", "token token=\"" API_FIXTURE_TOKEN "\""},
        {"Authorization", "Bearer " API_FIXTURE_TOKEN},      {"Authorization", "bearer   " API_FIXTURE_TOKEN},
        {"Authorization", "GenieKey " API_FIXTURE_TOKEN},    {"X-Api-Key", API_FIXTURE_TOKEN},
    };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        assert_int_equal(ask(*state, "GET", "/users", NULL, forms[i][0], forms[i][1])->status, 200);
    }
}

static void given_no_token_or_a_wrong_one_then_401_and_nothing_is_told(void **state)
{
    static const char *const forms[][2] = {
        {"Host", "t"},
        {"Authorization", "Token token=wrong"},
        {"Authorization", "Token token="},
        {"Authorization", API_FIXTURE_TOKEN},
        {"Authorization", "Basic " API_FIXTURE_TOKEN},
        {"X-Api-Key", ""},
        {"X-Api-Key", API_FIXTURE_TOKEN "4"},
        {"X-Api-Key", "fixtureadmintoken12"},
    };
    char huge[1000];

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const struct api_answer *answer = ask(*state, "GET", "/users", NULL, forms[i][0], forms[i][1]);
        assert_int_equal(answer->status, 401);
        assert_int_equal(json_integer_value(api_answer_at(answer, "error", "code", NULL)), 2006);
        assert_non_null(api_answer_header(answer, "WWW-Authenticate"));
    }
    memset(huge, 'a', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    assert_int_equal(ask(*state, "GET", "/users", NULL, "X-Api-Key", huge)->status, 401);
    /* Before the body is looked at. */
    assert_int_equal(ask(*state, "POST", "/users", "nonsense", "X-Api-Key", "wrong")->status, 401);
}

static void given_a_token_that_this_node_has_not_seen_yet_then_the_newest_state_is_asked(void **state)
{
    struct api_fixture *api = *state;

    assert_int_equal(api_get(api, "/users")->status, 200);
    assert_int_equal(api->local_reads, 1); /* a token that is known costs no question to the leader */
    unsigned current_reads = api->current_reads;
    api->behind = memory_store_copy(api->store);
    api_fixture_add_token(api, "anewtoken", TOCSIN__ROLE__ROLE_ADMIN, 0);
    api->token = "anewtoken";
    assert_int_equal(api_get(api, "/users")->status, 200);
    assert_int_equal(api->current_reads, current_reads + 2); /* one for the token, one for the list */
}

static void given_no_leader_then_an_unknown_token_is_not_called_wrong(void **state)
{
    struct api_fixture *api = *state;

    api->stale = true;
    const struct api_answer *unknown = ask(api, "GET", "/users", NULL, "X-Api-Key", "perhapsnew");
    assert_int_equal(unknown->status, 503);
    assert_string_equal(api_answer_header(unknown, "Retry-After"), "1");
    const struct api_answer *known = api_get(api, "/users");
    assert_int_equal(known->status, 200);
    assert_string_equal(api_answer_header(known, "Tocsin-Stale"), "true");
    api->stale = false;
    assert_null(api_answer_header(api_get(api, "/users"), "Tocsin-Stale"));
}

static void given_roles_then_each_may_what_it_may(void **state)
{
    struct api_fixture *api = *state;
    static const struct {
        Tocsin__Role role;
        unsigned get, post_user;
    } rows[] = {
        {TOCSIN__ROLE__ROLE_OWNER, 200, 201},          {TOCSIN__ROLE__ROLE_ADMIN, 200, 201},
        {TOCSIN__ROLE__ROLE_USER, 200, 403},           {TOCSIN__ROLE__ROLE_LIMITED_USER, 200, 403},
        {TOCSIN__ROLE__ROLE_OBSERVER, 200, 403},       {TOCSIN__ROLE__ROLE_RESTRICTED_ACCESS, 200, 403},
        {TOCSIN__ROLE__ROLE_READ_ONLY_USER, 200, 403}, {TOCSIN__ROLE__ROLE_READ_ONLY_LIMITED_USER, 200, 403},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *token = story_text("token%zu", i);
        api_fixture_add_token(api, token, rows[i].role, 0);
        api->token = token;
        assert_int_equal(api_get(api, "/users")->status, rows[i].get);
        const struct api_answer *answer =
            api_post(api, "/users", story_text("{\"user\":{\"name\":\"n\",\"email\":\"n%zu@example.com\"}}", i));
        assert_int_equal(answer->status, rows[i].post_user);
        if (answer->status == 403) {
            assert_int_equal(json_integer_value(api_answer_at(answer, "error", "code", NULL)), 2010);
        }
    }
}

static void given_a_person_s_token_then_the_person_is_the_actor(void **state)
{
    struct api_fixture *api = *state;
    uint64_t alice = api_fixture_add_user(api, "Alice", "alice@example.com", TOCSIN__ROLE__ROLE_ADMIN);

    api_fixture_add_token(api, "alicetoken", TOCSIN__ROLE__ROLE_NONE, alice); /* the person's own role counts */
    api->token = "alicetoken";
    assert_int_equal(api_post(api, "/users", NEW_USER)->status, 201);
    assert_int_equal(api->last_command->actor->kind, TOCSIN__ACTOR_KIND__ACTOR_USER);
    assert_int_equal(api->last_command->actor->id, alice);
    assert_string_equal(api->last_command->actor->name, "Alice");
    api->token = API_FIXTURE_TOKEN;
    api_post(api, "/users", NEW_USER);
    assert_int_equal(api->last_command->actor->kind, TOCSIN__ACTOR_KIND__ACTOR_TOKEN);
    assert_string_equal(api->last_command->actor->name, "fixture token");
}

/* ---------------------------------------------------------------- From */

static const char *incident(struct api_fixture *api)
{
    const char *policy = story_policy(api, "policy", story_user(api, "Alice", "alice@example.com"));
    const char *service = story_service(api, "database", policy);

    return story_create(api, "/incidents", "incident",
                        story_text("{\"incident\":{\"type\":\"incident\",\"title\":\"down\",\"service\":{\"id\":\"%s\","
                                   "\"type\":\"service_reference\"}}}", service));
}

static const struct api_answer *note(struct api_fixture *api, const char *id, const char *token, const char *from)
{
    struct api_question question = {.method = "POST",
                                    .target = story_text("/incidents/%s/notes", id),
                                    .body = "{\"note\":{\"content\":\"looking\"}}",
                                    .headers = {{"X-Api-Key", token}, {"From", from}}};

    return api_fixture_ask(api, &question);
}

static void given_from_with_an_account_token_then_that_person_acts(void **state)
{
    struct api_fixture *api = *state;
    const char *id = incident(api);

    assert_int_equal(note(api, id, API_FIXTURE_TOKEN, "ALICE@example.com")->status, 200);
    assert_int_equal(api->last_command->actor->kind, TOCSIN__ACTOR_KIND__ACTOR_USER);
    assert_string_equal(api->last_command->actor->name, "Alice");
    assert_int_equal(note(api, id, API_FIXTURE_TOKEN, "")->status, 200);
    assert_int_equal(api->last_command->actor->kind, TOCSIN__ACTOR_KIND__ACTOR_TOKEN);
    unsigned submits = api->submits;
    story_refused(note(api, id, API_FIXTURE_TOKEN, "nobody@example.com"), 400, 1008, "");
    assert_int_equal(api->submits, submits);
}

static void given_from_where_it_does_not_count_then_it_is_ignored(void **state)
{
    struct api_fixture *api = *state;
    const char *id = incident(api);
    uint64_t bob = api_fixture_add_user(api, "Bob", "bob@example.com", TOCSIN__ROLE__ROLE_LIMITED_USER);

    api_fixture_add_token(api, "bobtoken", TOCSIN__ROLE__ROLE_NONE, bob);
    assert_int_equal(note(api, id, "bobtoken", "nobody@example.com")->status, 200);
    assert_string_equal(api->last_command->actor->name, "Bob"); /* a person's token says who asks */
    struct api_question list = {
        .method = "GET", .target = "/incidents", .headers = {{"X-Api-Key", API_FIXTURE_TOKEN}, {"From", "nobody"}}};
    assert_int_equal(api_fixture_ask(api, &list)->status, 200);
    struct api_question people = {.method = "POST", .target = "/users", .body = NEW_USER,
                                  .headers = {{"X-Api-Key", API_FIXTURE_TOKEN}, {"From", "nobody"}}};
    assert_int_equal(api_fixture_ask(api, &people)->status, 201);
}

/* ---------------------------------------------------------------- bodies and keys */

static void given_a_bad_body_then_400_and_nothing_is_written(void **state)
{
    static const char *const bodies[] = {
        "", "{", "[]", "5", "{\"user\":{}}{}", "{\"user\":{},\"user\":{}}", "{\"a\":\"\xff\"}", "{\"a\":\"\\u0000\"}",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "{\"a\":99999999999999999999}",
    };
    struct api_fixture *api = *state;

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        story_refused(api_post(api, "/users", bodies[i]), 400, 2001, "The body");
    }
    struct api_question large = {
        .method = "POST", .target = "/users", .body_too_large = true, .headers = {{"X-Api-Key", API_FIXTURE_TOKEN}}};
    const struct api_answer *answer = api_fixture_ask(api, &large);
    assert_int_equal(answer->status, 413);
    assert_string_equal(api_answer_text(answer, "error", "message", NULL), "Request Body Too Large");
    assert_int_equal(api->submits, 0);
}

static void given_get_with_a_body_and_head_then_both_are_as_get(void **state)
{
    assert_int_equal(ask(*state, "GET", "/users", "{}", "X-Api-Key", API_FIXTURE_TOKEN)->status, 200);
    assert_int_equal(ask(*state, "GET", "/users", "nonsense", "X-Api-Key", API_FIXTURE_TOKEN)->status, 200);
    assert_int_equal(ask(*state, "HEAD", "/users", NULL, "X-Api-Key", API_FIXTURE_TOKEN)->status, 200);
}

static const struct api_answer *add_carol(struct api_fixture *api, const char *key)
{
    struct api_question question = {.method = "POST", .target = "/users", .body = NEW_USER,
                                    .headers = {{"X-Api-Key", API_FIXTURE_TOKEN}, {"Idempotency-Key", key}}};

    return api_fixture_ask(api, &question);
}

static void given_an_idempotency_key_then_a_retry_does_nothing_twice(void **state)
{
    struct api_fixture *api = *state;
    char key[300];

    const struct api_answer *first = add_carol(api, "try-1");
    assert_int_equal(first->status, 201);
    const struct api_answer *again = add_carol(api, "try-1");
    assert_int_equal(again->status, 201);
    assert_string_equal(api_answer_text(again, "user", "id", NULL), api_answer_text(first, "user", "id", NULL));
    assert_true(api->last_command->idempotency_key[0] != '\0');
    assert_int_equal(add_carol(api, "try-2")->status, 400); /* another try: the address is taken */
    assert_int_equal(add_carol(api, "")->status, 400); /* no key: the address is taken */
    unsigned submits = api->submits;
    memset(key, 'k', sizeof key);
    key[256] = '\0';
    story_refused(add_carol(api, key), 400, 2001, "Idempotency-Key");
    story_refused(add_carol(api, "\xff"), 400, 2001, "Idempotency-Key");
    assert_int_equal(api->submits, submits);
}

/* ---------------------------------------------------------------- trouble */

static void given_trouble_in_the_cluster_then_503_in_the_shape_of_rest(void **state)
{
    static const enum submit_outcome outcomes[] = {SUBMIT_UNAVAILABLE, SUBMIT_OVERLOADED, SUBMIT_STOPPED};
    struct api_fixture *api = *state;

    for (size_t i = 0; i < 3; i++) {
        api->outcome = outcomes[i];
        const struct api_answer *answer = api_post(api, "/users", NEW_USER);
        assert_int_equal(answer->status, 503);
        assert_non_null(api_answer_at(answer, "error", "message", NULL));
        assert_int_equal(api_answer_header(answer, "Retry-After") != NULL, outcomes[i] != SUBMIT_STOPPED);
    }
    api->stopped = true;
    assert_int_equal(api_get(api, "/users")->status, 503);
}

static void given_operators_questions_then_no_token_is_needed(void **state)
{
    struct api_fixture *api = *state;

    api->token = NULL;
    const struct api_answer *cluster = api_get(api, "/cluster");
    assert_int_equal(cluster->status, 200);
    assert_string_equal(api_answer_text(cluster, "role", NULL), "leader");
    assert_int_equal(api_get(api, "/healthz")->status, 200);
    api->health_status = 503;
    api->stopped = true; /* health is told without the state */
    assert_int_equal(api_get(api, "/healthz")->status, 503);
    assert_int_equal(api_get(api, "/readyz")->status, 503);
}

#define STORY(story) cmocka_unit_test_setup_teardown(story, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(given_an_unknown_path_then_404_in_the_shape_of_rest),
        STORY(given_another_method_then_405_and_the_methods_that_there_are),
        STORY(given_the_token_in_each_family_s_form_then_it_is_taken),
        STORY(given_no_token_or_a_wrong_one_then_401_and_nothing_is_told),
        STORY(given_a_token_that_this_node_has_not_seen_yet_then_the_newest_state_is_asked),
        STORY(given_no_leader_then_an_unknown_token_is_not_called_wrong),
        STORY(given_roles_then_each_may_what_it_may),
        STORY(given_a_person_s_token_then_the_person_is_the_actor),
        STORY(given_from_with_an_account_token_then_that_person_acts),
        STORY(given_from_where_it_does_not_count_then_it_is_ignored),
        STORY(given_a_bad_body_then_400_and_nothing_is_written),
        STORY(given_get_with_a_body_and_head_then_both_are_as_get),
        STORY(given_an_idempotency_key_then_a_retry_does_nothing_twice),
        STORY(given_trouble_in_the_cluster_then_503_in_the_shape_of_rest),
        STORY(given_operators_questions_then_no_token_is_needed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
