/*
 * Who may do what: every role against every route that there is, and every scope.
 *
 * The expectations are written down here once more, by hand: a route that is not among them fails the test, so that
 * nobody adds one without saying whose it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "node/api/router.h"
#include "tests/support/api_story.h"

enum whose { PUBLIC, READER, RESPONDER, MANAGER, ADMIN, KEY /* nobody: only the key in the path opens it */ };

static const struct expectation {
    const char *method, *pattern;
    enum whose least;   /* who may with the least role */
    enum whose own;     /* for what is one's own; PUBLIC: nothing of it is */
    const char *scope;
} expectations[] = {
    /* people */
    {"GET", "/users", READER, PUBLIC, "users.read"},
    {"POST", "/users", ADMIN, PUBLIC, "users.write"},
    {"GET", "/users/me", READER, PUBLIC, "users.read"},
    {"GET", "/users/{}", READER, PUBLIC, "users.read"},
    {"PUT", "/users/{}", ADMIN, RESPONDER, "users.write"},
    {"DELETE", "/users/{}", ADMIN, PUBLIC, "users.write"},
    {"GET", "/users/{}/license", READER, PUBLIC, "licenses.read"},
    {"GET", "/users/{}/contact_methods", READER, PUBLIC, "users:contact_methods.read"},
    {"POST", "/users/{}/contact_methods", ADMIN, RESPONDER, "users:contact_methods.write"},
    {"GET", "/users/{}/contact_methods/{}", READER, PUBLIC, "users:contact_methods.read"},
    {"PUT", "/users/{}/contact_methods/{}", ADMIN, RESPONDER, "users:contact_methods.write"},
    {"DELETE", "/users/{}/contact_methods/{}", ADMIN, RESPONDER, "users:contact_methods.write"},
    {"POST", "/users/{}/contact_methods/{}/verification", ADMIN, RESPONDER, "users:contact_methods.write"},
    {"POST", "/users/{}/contact_methods/{}/verify", ADMIN, RESPONDER, "users:contact_methods.write"},
    {"GET", "/users/{}/notification_rules", READER, PUBLIC, "users:contact_methods.read"},
    {"POST", "/users/{}/notification_rules", ADMIN, RESPONDER, "users:contact_methods.write"},
    {"GET", "/users/{}/notification_rules/{}", READER, PUBLIC, "users:contact_methods.read"},
    {"PUT", "/users/{}/notification_rules/{}", ADMIN, RESPONDER, "users:contact_methods.write"},
    {"DELETE", "/users/{}/notification_rules/{}", ADMIN, RESPONDER, "users:contact_methods.write"},
    {"GET", "/users/{}/oncall_handoff_notification_rules", READER, PUBLIC, "users:contact_methods.read"},
    {"POST", "/users/{}/oncall_handoff_notification_rules", ADMIN, RESPONDER, "users:contact_methods.write"},
    {"GET", "/users/{}/oncall_handoff_notification_rules/{}", READER, PUBLIC, "users:contact_methods.read"},
    {"PUT", "/users/{}/oncall_handoff_notification_rules/{}", ADMIN, RESPONDER, "users:contact_methods.write"},
    {"DELETE", "/users/{}/oncall_handoff_notification_rules/{}", ADMIN, RESPONDER, "users:contact_methods.write"},
    {"GET", "/users/{}/shift_notifications", READER, PUBLIC, "users.read"},
    {"GET", "/users/{}/calendar_feed", READER, PUBLIC, "users.read"},
    {"POST", "/users/{}/calendar_feed", ADMIN, RESPONDER, "users.write"},
    {"DELETE", "/users/{}/calendar_feed", ADMIN, RESPONDER, "users.write"},
    /* drills */
    {"GET", "/drills", READER, PUBLIC, "drills.read"},
    {"POST", "/drills", MANAGER, PUBLIC, "drills.write"},
    {"GET", "/drills/{}", READER, PUBLIC, "drills.read"},
    {"PUT", "/drills/{}", MANAGER, PUBLIC, "drills.write"},
    {"DELETE", "/drills/{}", MANAGER, PUBLIC, "drills.write"},
    {"POST", "/drills/{}/run", RESPONDER, PUBLIC, "drills.write"},
    {"GET", "/drills/{}/runs", READER, PUBLIC, "drills.read"},
    /* tokens */
    {"GET", "/users/{}/tokens", ADMIN, READER, "tokens.read"},
    {"POST", "/users/{}/tokens", ADMIN, READER, "tokens.write"},
    {"DELETE", "/users/{}/tokens/{}", ADMIN, READER, "tokens.write"},
    {"GET", "/tokens", ADMIN, PUBLIC, "tokens.read"},
    {"POST", "/tokens", ADMIN, PUBLIC, "tokens.write"},
    {"GET", "/tokens/{}", ADMIN, PUBLIC, "tokens.read"},
    {"DELETE", "/tokens/{}", ADMIN, PUBLIC, "tokens.write"},
    /* teams */
    {"GET", "/teams", READER, PUBLIC, "teams.read"},
    {"POST", "/teams", MANAGER, PUBLIC, "teams.write"},
    {"GET", "/teams/{}", READER, PUBLIC, "teams.read"},
    {"PUT", "/teams/{}", MANAGER, PUBLIC, "teams.write"},
    {"DELETE", "/teams/{}", MANAGER, PUBLIC, "teams.write"},
    {"GET", "/teams/{}/members", READER, PUBLIC, "teams.read"},
    {"PUT", "/teams/{}/users/{}", MANAGER, PUBLIC, "teams.write"},
    {"DELETE", "/teams/{}/users/{}", MANAGER, PUBLIC, "teams.write"},
    {"PUT", "/teams/{}/escalation_policies/{}", MANAGER, PUBLIC, "teams.write"},
    {"DELETE", "/teams/{}/escalation_policies/{}", MANAGER, PUBLIC, "teams.write"},
    /* services and policies */
    {"GET", "/abilities", READER, PUBLIC, "abilities.read"},
    {"GET", "/abilities/{}", READER, PUBLIC, "abilities.read"},
    {"GET", "/vendors", READER, PUBLIC, "vendors.read"},
    {"GET", "/vendors/{}", READER, PUBLIC, "vendors.read"},
    {"GET", "/licenses", READER, PUBLIC, "licenses.read"},
    {"GET", "/license_allocations", READER, PUBLIC, "licenses.read"},
    {"GET", "/services", READER, PUBLIC, "services.read"},
    {"POST", "/services", MANAGER, PUBLIC, "services.write"},
    {"GET", "/services/{}", READER, PUBLIC, "services.read"},
    {"PUT", "/services/{}", MANAGER, PUBLIC, "services.write"},
    {"DELETE", "/services/{}", MANAGER, PUBLIC, "services.write"},
    {"POST", "/services/{}/integrations", MANAGER, PUBLIC, "services.write"},
    {"GET", "/services/{}/integrations/{}", READER, PUBLIC, "services.read"},
    {"PUT", "/services/{}/integrations/{}", MANAGER, PUBLIC, "services.write"},
    {"DELETE", "/services/{}/integrations/{}", MANAGER, PUBLIC, "services.write"},
    {"GET", "/escalation_policies", READER, PUBLIC, "escalation_policies.read"},
    {"POST", "/escalation_policies", MANAGER, PUBLIC, "escalation_policies.write"},
    {"GET", "/escalation_policies/{}", READER, PUBLIC, "escalation_policies.read"},
    {"PUT", "/escalation_policies/{}", MANAGER, PUBLIC, "escalation_policies.write"},
    {"DELETE", "/escalation_policies/{}", MANAGER, PUBLIC, "escalation_policies.write"},
    /* what keeps alerts quiet, and what was changed */
    {"GET", "/maintenance_windows", READER, PUBLIC, "services.read"},
    {"POST", "/maintenance_windows", MANAGER, PUBLIC, "services.write"},
    {"GET", "/maintenance_windows/{}", READER, PUBLIC, "services.read"},
    {"PUT", "/maintenance_windows/{}", MANAGER, PUBLIC, "services.write"},
    {"DELETE", "/maintenance_windows/{}", MANAGER, PUBLIC, "services.write"},
    {"GET", "/mutes", READER, PUBLIC, "mutes.read"},
    {"POST", "/mutes", RESPONDER, PUBLIC, "mutes.write"},
    {"GET", "/mutes/{}", READER, PUBLIC, "mutes.read"},
    {"PUT", "/mutes/{}", RESPONDER, PUBLIC, "mutes.write"},
    {"DELETE", "/mutes/{}", RESPONDER, PUBLIC, "mutes.write"},
    {"GET", "/api/v2/silences", READER, PUBLIC, "mutes.read"},
    {"POST", "/api/v2/silences", RESPONDER, PUBLIC, "mutes.write"},
    {"GET", "/api/v2/silence/{}", READER, PUBLIC, "mutes.read"},
    {"DELETE", "/api/v2/silence/{}", RESPONDER, PUBLIC, "mutes.write"},
    {"GET", "/alerts", READER, PUBLIC, "incidents.read"},
    {"GET", "/alerts/{}", READER, PUBLIC, "incidents.read"},
    {"GET", "/alerts/{}/why", READER, PUBLIC, "incidents.read"},
    {"GET", "/change_events", READER, PUBLIC, "change_events.read"},
    {"GET", "/change_events/{}", READER, PUBLIC, "change_events.read"},
    {"GET", "/services/{}/change_events", READER, PUBLIC, "services.read"},
    {"GET", "/incidents/{}/related_change_events", READER, PUBLIC, "incidents.read"},
    /* event orchestration */
    {"GET", "/event_orchestrations", READER, PUBLIC, "event_orchestrations.read"},
    {"POST", "/event_orchestrations", MANAGER, PUBLIC, "event_orchestrations.write"},
    {"GET", "/event_orchestrations/services/{}", READER, PUBLIC, "event_orchestrations.read"},
    {"PUT", "/event_orchestrations/services/{}", MANAGER, PUBLIC, "event_orchestrations.write"},
    {"GET", "/event_orchestrations/services/{}/active", READER, PUBLIC, "event_orchestrations.read"},
    {"PUT", "/event_orchestrations/services/{}/active", MANAGER, PUBLIC, "event_orchestrations.write"},
    {"POST", "/event_orchestrations/services/{}/dry_run", READER, PUBLIC, "event_orchestrations.read"},
    {"GET", "/event_orchestrations/{}", READER, PUBLIC, "event_orchestrations.read"},
    {"PUT", "/event_orchestrations/{}", MANAGER, PUBLIC, "event_orchestrations.write"},
    {"DELETE", "/event_orchestrations/{}", MANAGER, PUBLIC, "event_orchestrations.write"},
    {"POST", "/event_orchestrations/{}/dry_run", READER, PUBLIC, "event_orchestrations.read"},
    {"GET", "/event_orchestrations/{}/events_aside", READER, PUBLIC, "event_orchestrations.read"},
    {"GET", "/event_orchestrations/{}/integrations", READER, PUBLIC, "event_orchestrations.read"},
    {"POST", "/event_orchestrations/{}/integrations", MANAGER, PUBLIC, "event_orchestrations.write"},
    {"GET", "/event_orchestrations/{}/integrations/{}", READER, PUBLIC, "event_orchestrations.read"},
    {"PUT", "/event_orchestrations/{}/integrations/{}", MANAGER, PUBLIC, "event_orchestrations.write"},
    {"DELETE", "/event_orchestrations/{}/integrations/{}", MANAGER, PUBLIC, "event_orchestrations.write"},
    {"GET", "/event_orchestrations/{}/{}", READER, PUBLIC, "event_orchestrations.read"},
    {"PUT", "/event_orchestrations/{}/{}", MANAGER, PUBLIC, "event_orchestrations.write"},
    /* schedules */
    {"GET", "/schedules", READER, PUBLIC, "schedules.read"},
    {"POST", "/schedules", MANAGER, PUBLIC, "schedules.write"},
    {"POST", "/schedules/preview", READER, PUBLIC, "schedules.read"},
    {"GET", "/schedules/{}", READER, PUBLIC, "schedules.read"},
    {"PUT", "/schedules/{}", MANAGER, PUBLIC, "schedules.write"},
    {"DELETE", "/schedules/{}", MANAGER, PUBLIC, "schedules.write"},
    {"GET", "/schedules/{}/overrides", READER, PUBLIC, "schedules.read"},
    {"POST", "/schedules/{}/overrides", RESPONDER, PUBLIC, "schedules.write"},
    {"DELETE", "/schedules/{}/overrides/{}", RESPONDER, PUBLIC, "schedules.write"},
    {"GET", "/schedules/{}/users", READER, PUBLIC, "schedules.read"},
    {"GET", "/schedules/{}/on_call", READER, PUBLIC, "schedules.read"},
    {"GET", "/schedules/{}/calendar_feed", READER, PUBLIC, "schedules.read"},
    {"POST", "/schedules/{}/calendar_feed", RESPONDER, PUBLIC, "schedules.write"},
    {"DELETE", "/schedules/{}/calendar_feed", RESPONDER, PUBLIC, "schedules.write"},
    {"POST", "/schedules/{}/calendar_layers", MANAGER, PUBLIC, "schedules.write"},
    {"PUT", "/schedules/{}/calendar_layers/{}", MANAGER, PUBLIC, "schedules.write"},
    {"GET", "/schedules/{}/swaps", READER, PUBLIC, "schedules.read"},
    {"POST", "/schedules/{}/swaps", RESPONDER, PUBLIC, "schedules.write"},
    {"GET", "/schedules/{}/swaps/{}", READER, PUBLIC, "schedules.read"},
    {"POST", "/schedules/{}/swaps/{}/take", RESPONDER, PUBLIC, "schedules.write"},
    {"DELETE", "/schedules/{}/swaps/{}", MANAGER, PUBLIC, "schedules.write"}, /* a person with less: what is his (test_swaps) */
    {"GET", "/schedules/{}/log_entries", READER, PUBLIC, "schedules.read"},
    {"GET", "/schedules/{}/revisions", READER, PUBLIC, "schedules.read"},
    {"GET", "/schedules/{}/revisions/compare", READER, PUBLIC, "schedules.read"},
    {"GET", "/schedules/{}/revisions/{}", READER, PUBLIC, "schedules.read"},
    {"POST", "/schedules/{}/revisions/{}/restore", MANAGER, PUBLIC, "schedules.write"},
    {"GET", "/oncalls", READER, PUBLIC, "oncalls.read"},
    {"POST", "/services/{}/test", RESPONDER, PUBLIC, "services.write"},
    {"GET", "/services/{}/test/{}", READER, PUBLIC, "services.read"},
    {"POST", "/users/me/test", RESPONDER, PUBLIC, "users.write"},
    {"GET", "/users/me/test", READER, PUBLIC, "users.read"},
    {"GET", "/coverage", READER, PUBLIC, "coverage.read"},
    /* incidents */
    {"GET", "/incidents", READER, PUBLIC, "incidents.read"},
    {"POST", "/incidents", RESPONDER, PUBLIC, "incidents.write"},
    {"PUT", "/incidents", RESPONDER, PUBLIC, "incidents.write"},
    {"GET", "/incidents/{}", READER, PUBLIC, "incidents.read"},
    {"PUT", "/incidents/{}", RESPONDER, PUBLIC, "incidents.write"},
    {"POST", "/incidents/{}/snooze", RESPONDER, PUBLIC, "incidents.write"},
    {"PUT", "/incidents/{}/merge", RESPONDER, PUBLIC, "incidents.write"},
    {"GET", "/priorities", READER, PUBLIC, "priorities.read"},
    {"PUT", "/priorities", ADMIN, PUBLIC, "priorities.write"},
    {"GET", "/incidents/{}/why", READER, PUBLIC, "incidents.read"},
    {"GET", "/incidents/{}/notes", READER, PUBLIC, "incidents.read"},
    {"POST", "/incidents/{}/notes", RESPONDER, PUBLIC, "incidents.write"},
    {"GET", "/incidents/{}/alerts", READER, PUBLIC, "incidents.read"},
    {"GET", "/incidents/{}/alerts/{}", READER, PUBLIC, "incidents.read"},
    {"GET", "/incidents/{}/log_entries", READER, PUBLIC, "incidents.read"},
    {"POST", "/incidents/{}/responder_requests", RESPONDER, PUBLIC, "incidents.write"},
    {"PUT", "/incidents/{}/responders/{}", ADMIN, PUBLIC, "incidents.write"}, /* and whoever was asked */
    {"GET", "/incidents/{}/status_updates", READER, PUBLIC, "incidents.read"},
    {"POST", "/incidents/{}/status_updates", RESPONDER, PUBLIC, "incidents.write"},
    {"GET", "/incidents/{}/status_updates/subscribers", READER, PUBLIC, "incidents.read"},
    {"POST", "/incidents/{}/status_updates/subscribers", RESPONDER, PUBLIC, "incidents.write"},
    {"POST", "/incidents/{}/status_updates/unsubscribe", RESPONDER, PUBLIC, "incidents.write"},
    {"PUT", "/incidents/{}/alerts", RESPONDER, PUBLIC, "incidents.write"},
    {"PUT", "/incidents/{}/alerts/{}", RESPONDER, PUBLIC, "incidents.write"},
    {"GET", "/log_entries", READER, PUBLIC, "incidents.read"},
    {"GET", "/log_entries/{}", READER, PUBLIC, "incidents.read"},
    /* heartbeats */
    {"*", "/v2/heartbeats/{}/ping", RESPONDER, PUBLIC, "heartbeats.write"},
    {"GET", "/v2/heartbeats", READER, PUBLIC, "heartbeats.read"},
    {"POST", "/v2/heartbeats", MANAGER, PUBLIC, "heartbeats.write"},
    {"GET", "/v2/heartbeats/{}", READER, PUBLIC, "heartbeats.read"},
    {"PATCH", "/v2/heartbeats/{}", MANAGER, PUBLIC, "heartbeats.write"},
    {"DELETE", "/v2/heartbeats/{}", MANAGER, PUBLIC, "heartbeats.write"},
    {"POST", "/v2/heartbeats/{}/enable", MANAGER, PUBLIC, "heartbeats.write"},
    {"POST", "/v2/heartbeats/{}/disable", MANAGER, PUBLIC, "heartbeats.write"},
    {"GET", "/api/v3/checks", READER, PUBLIC, "heartbeats.read"},
    {"POST", "/api/v3/checks", MANAGER, PUBLIC, "heartbeats.write"},
    {"GET", "/api/v3/checks/{}", READER, PUBLIC, "heartbeats.read"},
    {"POST", "/api/v3/checks/{}", MANAGER, PUBLIC, "heartbeats.write"},
    {"DELETE", "/api/v3/checks/{}", MANAGER, PUBLIC, "heartbeats.write"},
    {"POST", "/api/v3/checks/{}/pause", MANAGER, PUBLIC, "heartbeats.write"},
    {"POST", "/api/v3/checks/{}/resume", MANAGER, PUBLIC, "heartbeats.write"},
    {"GET", "/api/v3/checks/{}/pings", READER, PUBLIC, "heartbeats.read"},
    {"GET", "/api/v3/checks/{}/pings/{}/body", READER, PUBLIC, "heartbeats.read"},
    {"GET", "/api/v3/checks/{}/flips", READER, PUBLIC, "heartbeats.read"},
    /* Prometheus, Alertmanager and amtool */
    {"GET", "/api/v2/alerts", READER, PUBLIC, "incidents.read"},
    {"POST", "/api/v2/alerts", RESPONDER, PUBLIC, "incidents.write"},
    {"GET", "/api/v2/alerts/groups", READER, PUBLIC, "incidents.read"},
    {"GET", "/api/v2/status", READER, PUBLIC, "incidents.read"},
    {"GET", "/api/v2/receivers", READER, PUBLIC, "incidents.read"},
    {"POST", "/v2/alerts", RESPONDER, PUBLIC, "incidents.write"},
    {"GET", "/v2/alerts", READER, PUBLIC, "incidents.read"},
    {"GET", "/v2/alerts/count", READER, PUBLIC, "incidents.read"},
    {"GET", "/v2/alerts/requests/{}", READER, PUBLIC, "incidents.read"},
    {"GET", "/v2/alerts/{}", READER, PUBLIC, "incidents.read"},
    {"POST", "/v2/alerts/{}/close", RESPONDER, PUBLIC, "incidents.write"},
    {"POST", "/v2/alerts/{}/acknowledge", RESPONDER, PUBLIC, "incidents.write"},
    {"POST", "/v2/alerts/{}/notes", RESPONDER, PUBLIC, "incidents.write"},
    {"POST", "/v2/alerts/{}/snooze", RESPONDER, PUBLIC, "incidents.write"},
    {"PUT", "/v2/alerts/{}/message", RESPONDER, PUBLIC, "incidents.write"},
    {"PUT", "/v2/alerts/{}/description", RESPONDER, PUBLIC, "incidents.write"},
    {"DELETE", "/v2/alerts/{}", RESPONDER, PUBLIC, "incidents.write"},
    {"GET", "/v2/schedules/{}/on-calls", READER, PUBLIC, "oncalls.read"},
    {"GET", "/v2/schedules/{}/next-on-calls", READER, PUBLIC, "oncalls.read"},
    {"GET", "/v2/alerts/saved-searches", READER, PUBLIC, "incidents.read"},
    {"POST", "/v2/alerts/saved-searches", RESPONDER, PUBLIC, "incidents.write"},
    {"GET", "/v2/alerts/saved-searches/{}", READER, PUBLIC, "incidents.read"},
    {"PATCH", "/v2/alerts/saved-searches/{}", RESPONDER, PUBLIC, "incidents.write"},
    {"DELETE", "/v2/alerts/saved-searches/{}", RESPONDER, PUBLIC, "incidents.write"},
    {"GET", "/v2/alerts/{}/notes", READER, PUBLIC, "incidents.read"},
    {"GET", "/v2/alerts/{}/logs", READER, PUBLIC, "incidents.read"},
    {"GET", "/v2/alerts/{}/recipients", READER, PUBLIC, "incidents.read"},
    {"GET", "/v2/alerts/{}/attachments", READER, PUBLIC, "incidents.read"},
    {"POST", "/v2/alerts/{}/attachments", RESPONDER, PUBLIC, "incidents.write"},
    {"GET", "/v2/alerts/{}/attachments/{}", READER, PUBLIC, "incidents.read"},
    {"DELETE", "/v2/alerts/{}/attachments/{}", RESPONDER, PUBLIC, "incidents.write"},
    {"POST", "/v2/alerts/{}/actions/{}", RESPONDER, PUBLIC, "incidents.write"},
    {"POST", "/v2/alerts/{}/unacknowledge", RESPONDER, PUBLIC, "incidents.write"},
    {"POST", "/v2/alerts/{}/tags", RESPONDER, PUBLIC, "incidents.write"},
    {"DELETE", "/v2/alerts/{}/tags", RESPONDER, PUBLIC, "incidents.write"},
    {"POST", "/v2/alerts/{}/details", RESPONDER, PUBLIC, "incidents.write"},
    {"DELETE", "/v2/alerts/{}/details", RESPONDER, PUBLIC, "incidents.write"},
    {"PUT", "/v2/alerts/{}/priority", RESPONDER, PUBLIC, "incidents.write"},
    {"POST", "/v2/alerts/{}/assign", RESPONDER, PUBLIC, "incidents.write"},
    {"POST", "/v2/alerts/{}/escalate", RESPONDER, PUBLIC, "incidents.write"},
    {"POST", "/v2/alerts/{}/responders", RESPONDER, PUBLIC, "incidents.write"},
    {"POST", "/v2/alerts/{}/teams", RESPONDER, PUBLIC, "incidents.write"},
    {"POST", "/integration/{}/alertmanager", KEY, PUBLIC, NULL},
    {"GET", "/integration/{}/api/v2/alerts", KEY, PUBLIC, NULL},
    {"POST", "/integration/{}/api/v2/alerts", KEY, PUBLIC, NULL},
    {"GET", "/integration/{}/api/v2/alerts/groups", KEY, PUBLIC, NULL},
    {"GET", "/integration/{}/api/v2/status", KEY, PUBLIC, NULL},
    {"GET", "/integration/{}/api/v2/receivers", KEY, PUBLIC, NULL},
    /* operators */
    {"GET", "/cluster/last_gasp/rehearsal", ADMIN, PUBLIC, "cluster.read"},
    {"GET", "/cluster/members", ADMIN, PUBLIC, "cluster.read"},
    {"POST", "/cluster/members", ADMIN, PUBLIC, "cluster.write"},
    {"DELETE", "/cluster/members/{}", ADMIN, PUBLIC, "cluster.write"},
    /* where the address or a key in it is the secret, or there is none */
    {"GET", "/cluster", PUBLIC, PUBLIC, NULL},
    {"GET", "/calendars/{}", PUBLIC, PUBLIC, NULL},
    {"GET", "/healthz", PUBLIC, PUBLIC, NULL},
    {"GET", "/readyz", PUBLIC, PUBLIC, NULL},
    {"POST", "/v2/enqueue", PUBLIC, PUBLIC, NULL},
    {"POST", "/v2/change/enqueue", PUBLIC, PUBLIC, NULL},
    {"POST", "/integration/{}/enqueue", PUBLIC, PUBLIC, NULL},
    {"*", "/api/v1/alerts", PUBLIC, PUBLIC, NULL},
    {"POST", "/ping/{}/v2/alerts", PUBLIC, PUBLIC, NULL},
    {"*", "/ping/{}/v2/alerts/{}/{}", PUBLIC, PUBLIC, NULL},
    {"*", "/ping/{}", PUBLIC, PUBLIC, NULL},
    {"*", "/ping/{}/{}", PUBLIC, PUBLIC, NULL},
    {"*", "/ping/{}/{}/{}", PUBLIC, PUBLIC, NULL},
};
#define EXPECTATIONS_COUNT (sizeof expectations / sizeof *expectations)

static const struct {
    Tocsin__Role role;
    enum whose as;
} roles[] = {
    {TOCSIN__ROLE__ROLE_OWNER, ADMIN},           {TOCSIN__ROLE__ROLE_ADMIN, ADMIN},
    {TOCSIN__ROLE__ROLE_USER, MANAGER},          {TOCSIN__ROLE__ROLE_LIMITED_USER, RESPONDER},
    {TOCSIN__ROLE__ROLE_OBSERVER, READER},       {TOCSIN__ROLE__ROLE_RESTRICTED_ACCESS, READER},
    {TOCSIN__ROLE__ROLE_READ_ONLY_USER, READER}, {TOCSIN__ROLE__ROLE_READ_ONLY_LIMITED_USER, READER},
};
#define ROLES_COUNT (sizeof roles / sizeof *roles)

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

static const struct expectation *expectation_of(const struct route *route)
{
    for (size_t i = 0; i < EXPECTATIONS_COUNT; i++) {
        if (strcmp(expectations[i].method, route->method) == 0 &&
            strcmp(expectations[i].pattern, route->pattern) == 0) {
            return &expectations[i];
        }
    }
    return NULL;
}

/* The pattern with `id` in place of the first {} and ids of nothing in the others. */
static const char *target_of(const char *pattern, const char *id)
{
    static char target[256];
    size_t length = 0;

    for (const char *at = pattern; *at != '\0';) {
        if (strncmp(at, "{}", 2) == 0) {
            length += (size_t)snprintf(target + length, sizeof target - length, "%s", id);
            id = "PZZZZZY";
            at += 2;
        } else {
            target[length++] = *at++;
        }
        assert_true(length < sizeof target);
    }
    target[length] = '\0';
    return target;
}

/* Asks for it with nothing in the body: refused for who asks, or not for that. */
static const struct api_answer *try_by(struct api_fixture *api, const char *method, const struct expectation *expected, const char *id)
{
    struct api_question question = {
        .method = method, .target = target_of(expected->pattern, id), .body = strcmp(method, "GET") == 0 ? NULL : "{}"};

    if (api->token != NULL) {
        question.headers[0] = (struct http_parameter){"X-Api-Key", api->token};
    }
    return api_fixture_ask(api, &question);
}

static bool by_any(const struct expectation *expected)
{
    return expected->method[0] == '*';
}

static const struct api_answer *try(struct api_fixture *api, const struct expectation *expected, const char *id)
{
    return try_by(api, by_any(expected) ? "POST" : expected->method, expected, id);
}

static void expect_admitted(const struct api_answer *answer, const struct expectation *expected, bool admitted)
{
    bool denied = answer->status == 403 || answer->status == 401;

    if (denied == admitted) {
        fail_msg("%s %s: %u %s", expected->method, expected->pattern, answer->status, answer->text);
    }
}

static void every_route_is_expected_and_every_expectation_is_a_route(void **state)
{
    size_t tables_count, routes_count = 0, missing = 0;
    const struct route *const *tables = router_tables(&tables_count);

    (void)state;
    for (size_t i = 0; i < tables_count; i++) {
        for (const struct route *route = tables[i]; route->method != NULL; route++, routes_count++) {
            const struct expectation *expected = expectation_of(route);
            if (expected == NULL) {
                print_error("whose is %s %s? Say it here and in node/api/roles.c\n", route->method, route->pattern);
                missing++;
                continue;
            }
            assert_int_equal(expected->least == PUBLIC, (route->flags & ROUTE_PUBLIC) != 0);
        }
    }
    assert_int_equal(missing, 0);
    assert_int_equal(routes_count, EXPECTATIONS_COUNT);
}

static void every_role_may_what_it_may_on_every_route(void **state)
{
    struct api_fixture *api = *state;

    for (size_t r = 0; r < ROLES_COUNT; r++) {
        api->token = story_text("roletoken%zu", r);
        api_fixture_add_token(api, api->token, roles[r].role, 0);
        for (size_t i = 0; i < EXPECTATIONS_COUNT; i++) {
            const struct expectation *expected = &expectations[i];
            expect_admitted(try(api, expected, "PZZZZZX"), expected, roles[r].as >= expected->least);
        }
    }
}

static void a_person_may_more_with_what_is_the_own(void **state)
{
    struct api_fixture *api = *state;

    for (size_t r = 0; r < ROLES_COUNT; r++) {
        const char *email = story_text("person%zu@example.org", r), *token = story_text("owntoken%zu", r);
        uint64_t user_id = api_fixture_add_user(api, "Person", email, roles[r].role);
        api_fixture_add_token(api, token, TOCSIN__ROLE__ROLE_NONE, user_id);
        char id[16];
        id_format(user_id, id);
        for (size_t i = 0; i < EXPECTATIONS_COUNT; i++) {
            const struct expectation *expected = &expectations[i];
            if (expected->own == PUBLIC || strcmp(expected->pattern, "/users/{}") == 0) {
                continue;
            }
            api->token = token;
            expect_admitted(try(api, expected, id), expected, roles[r].as >= expected->own);
            expect_admitted(try(api, expected, "PZZZZZX"), expected, roles[r].as >= expected->least);
        }
    }
}

static void nobody_gets_in_without_a_token(void **state)
{
    struct api_fixture *api = *state;

    api->token = NULL;
    for (size_t i = 0; i < EXPECTATIONS_COUNT; i++) {
        const struct expectation *expected = &expectations[i];
        const struct api_answer *answer = try(api, expected, "PZZZZZX");
        assert_int_equal(answer->status == 401, expected->least != PUBLIC);
    }
}

/* ---------------------------------------------------------------- scopes */

static void add_scoped_token(struct api_fixture *api, const char *token, char *scope)
{
    api_fixture_add_scoped_token(api, token, TOCSIN__ROLE__ROLE_ADMIN, &scope, 1);
    api->token = token;
}

static void a_token_with_a_scope_opens_the_routes_of_that_scope_and_no_other(void **state)
{
    struct api_fixture *api = *state;

    for (size_t s = 0; s < EXPECTATIONS_COUNT; s++) {
        if (expectations[s].scope == NULL) {
            continue;
        }
        char scope[64], error[128];
        (void)snprintf(scope, sizeof scope, "%s", expectations[s].scope);
        add_scoped_token(api, story_text("scopedtoken%zu", s), scope);
        for (size_t i = 0; i < EXPECTATIONS_COUNT; i++) {
            const struct expectation *expected = &expectations[i];
            if (expected->least == KEY) {
                continue;
            }
            bool admitted = expected->scope == NULL || strcmp(expected->scope, scope) == 0;
            const struct api_answer *answer = try(api, expected, "PZZZZZX");
            expect_admitted(answer, expected, admitted);
            if (by_any(expected)) {
                expect_admitted(try_by(api, "GET", expected, "PZZZZZX"), expected, admitted);
            }
            if (!admitted) {
                (void)snprintf(error, sizeof error, "The token lacks the scope %s", expected->scope);
                assert_non_null(strstr(answer->text, error));
            }
        }
    }
}

static void a_read_only_token_reads_everything_and_writes_nothing(void **state)
{
    struct api_fixture *api = *state;
    char all[] = "*.read";

    add_scoped_token(api, "readonlytoken", all);
    for (size_t i = 0; i < EXPECTATIONS_COUNT; i++) {
        const struct expectation *expected = &expectations[i];
        if (expected->least == KEY) {
            continue;
        }
        const char *ending = expected->scope != NULL ? strrchr(expected->scope, '.') : ".read";
        expect_admitted(try(api, expected, "PZZZZZX"), expected, strcmp(ending, ".read") == 0);
        if (by_any(expected)) {
            expect_admitted(try_by(api, "GET", expected, "PZZZZZX"), expected, strcmp(ending, ".read") == 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        STORY(every_route_is_expected_and_every_expectation_is_a_route),
        STORY(every_role_may_what_it_may_on_every_route),
        STORY(a_person_may_more_with_what_is_the_own),
        STORY(nobody_gets_in_without_a_token),
        STORY(a_token_with_a_scope_opens_the_routes_of_that_scope_and_no_other),
        STORY(a_read_only_token_reads_everything_and_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
