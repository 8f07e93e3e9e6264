/* Who takes part, over HTTP: what an operator sees on the way from joining to voting, and which requests are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/api_fixture.h"
#include "tests/support/api_story.h"

/* Raft's configuration, as this node knows it. */
static json_t *cluster(void *context)
{
    (void)context;
    return json_pack("{s:[{s:i, s:s, s:b}, {s:i, s:s, s:b}, {s:i, s:s, s:b}, {s:i, s:s, s:b}, {s:i, s:s, s:b}]}", "members",
                     "id", 1, "role", "voter", "catching_up", 0, "id", 2, "role", "voter", "catching_up", 0,
                     "id", 3, "role", "voter", "catching_up", 0, "id", 4, "role", "learner", "catching_up", 1,
                     "id", 5, "role", "learner", "catching_up", 0);
}

static int setup(void **state)
{
    struct api_fixture *api = api_fixture_new();
    api->api.ports.cluster = cluster;
    *state = api;
    return 0;
}

static int teardown(void **state)
{
    api_fixture_free(*state);
    return 0;
}

/* "1 voter, 2 voter, ..." */
static void expect_states(const struct api_answer *answer, unsigned status, const char *expected)
{
    char text[256] = "";
    size_t i;
    json_t *member;
    assert_int_equal(answer->status, status);
    json_array_foreach(json_object_get(answer->json, "members"), i, member)
    {
        size_t length = strlen(text);
        snprintf(text + length, sizeof text - length, "%s%d %s", i > 0 ? ", " : "",
                 (int)json_integer_value(json_object_get(member, "id")), json_string_value(json_object_get(member, "state")));
    }
    assert_string_equal(text, expected);
}

static const struct api_answer *add(struct api_fixture *api, int id, const char *address)
{
    return api_post(api, "/cluster/members", story_text("{\"id\": %d, \"address\": \"%s\"}", id, address));
}

/* ---- stories */

static void given_new_members_then_each_is_shown_as_far_as_it_has_come(void **state)
{
    struct api_fixture *api = *state;
    api_fixture_begin_members(api);
    expect_states(api_get(api, "/cluster/members"), 200, "1 voter, 2 voter, 3 voter");
    expect_states(add(api, 4, "127.0.0.1:7004"), 202, "1 voter, 2 voter, 3 voter, 4 catching_up");
    expect_states(add(api, 5, "127.0.0.1:7005"), 202, "1 voter, 2 voter, 3 voter, 4 catching_up, 5 learner");
    expect_states(add(api, 6, "127.0.0.1:7006"), 202, "1 voter, 2 voter, 3 voter, 4 catching_up, 5 learner, 6 joining");
    expect_states(api_delete(api, "/cluster/members/1"), 202, "1 leaving, 2 voter, 3 voter, 4 catching_up, 5 learner, 6 joining");
    assert_int_equal(json_array_size(json_object_get(api_get(api, "/cluster/members")->json, "removed")), 0);
}

static void given_a_request_that_cannot_be_then_the_reason(void **state)
{
    struct api_fixture *api = *state;
    story_refused(add(api, 4, "127.0.0.1:7004"), 400, 2001, "has not written the cluster's members down yet");
    api_fixture_begin_members(api);
    story_refused(add(api, 3, "127.0.0.1:7004"), 409, 2001, "is a member already");
    story_refused(add(api, 4, "127.0.0.1:7003"), 409, 2001, "Node 3 has this address");
    story_refused(add(api, 4, "10.0.0.4:7000"), 400, 2001, "outside loopback");
    story_refused(add(api, 4, "127.0.0.1"), 400, 2001, "must be host:port");
    story_refused(api_post(api, "/cluster/members", "{}"), 400, 2001, "'id' is missing");
    story_refused(api_post(api, "/cluster/members", "{\"id\": 4}"), 400, 2001, "'address' is missing");
    story_refused(api_delete(api, "/cluster/members/3"), 409, 2001, "Fewer than 3 members");
    story_refused(api_delete(api, "/cluster/members/9"), 404, 2100, "There is no member 9");
    story_refused(api_delete(api, "/cluster/members/03"), 404, 2100, "Not Found");
    story_refused(api_delete(api, "/cluster/members/3x"), 404, 2100, "Not Found");
}

static void given_a_trusted_network_then_members_may_be_anywhere(void **state)
{
    struct api_fixture *api = *state;
    api_fixture_begin_members(api);
    api->api.members_anywhere = true;
    assert_int_equal(add(api, 4, "10.0.0.4:7000")->status, 202);
    assert_int_equal(add(api, 5, "[fd00::5]:7000")->status, 202);
}

static void given_somebody_who_is_no_administrator_then_nothing_is_shown_or_done(void **state)
{
    struct api_fixture *api = *state;
    api_fixture_begin_members(api);
    api_fixture_add_token(api, "responder-token", TOCSIN__ROLE__ROLE_LIMITED_USER, 0);
    api->token = "responder-token";
    unsigned submits = api->submits;
    assert_int_equal(api_get(api, "/cluster/members")->status, 403);
    assert_int_equal(add(api, 4, "127.0.0.1:7004")->status, 403);
    assert_int_equal(api_delete(api, "/cluster/members/3")->status, 403);
    api->token = NULL;
    assert_int_equal(api_get(api, "/cluster/members")->status, 401);
    assert_int_equal(api->submits, submits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(given_new_members_then_each_is_shown_as_far_as_it_has_come, setup, teardown),
        cmocka_unit_test_setup_teardown(given_a_request_that_cannot_be_then_the_reason, setup, teardown),
        cmocka_unit_test_setup_teardown(given_a_trusted_network_then_members_may_be_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(given_somebody_who_is_no_administrator_then_nothing_is_shown_or_done, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
