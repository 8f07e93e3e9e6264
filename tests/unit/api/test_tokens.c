/* Tokens: made, shown once, limited, used, over, revoked. */
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
    story_as_admin(api);
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
    story_as_admin(api);
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
    const char *bob = story_become(api, "Bob", TOCSIN__ROLE__ROLE_USER), *alice = story_become(api, "Alice", TOCSIN__ROLE__ROLE_OBSERVER);
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
    story_as_admin(api);
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
    const char *alice = story_become(api, "Alice", TOCSIN__ROLE__ROLE_OBSERVER), *own = story_text("/users/%s/tokens", alice);

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
    (void)snprintf(person, sizeof person, "/users/%s", story_become(api, "Ada", TOCSIN__ROLE__ROLE_ADMIN));

    assert_int_equal(api_delete(api, story_text("/tokens/%s", root))->status, 204); /* by Ada */
    story_refused_exactly(api_put(api, person, "{\"user\":{\"role\":\"user\"}}"), 400, 2001, LAST);
    story_refused_exactly(api_delete(api, person), 400, 2001, LAST);
    assert_int_equal(api_put(api, person, "{\"user\":{\"role\":\"owner\",\"job_title\":\"all of it\"}}")->status, 200);
    const char *ada = api->token;
    story_become(api, "Grace", TOCSIN__ROLE__ROLE_ADMIN);
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
        STORY(the_last_administrators_token_stays),
        STORY(the_last_administrator_is_neither_demoted_nor_deleted),
        STORY(coverage_says_when_the_last_administrator_expires),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
