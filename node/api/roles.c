/* PagerDuty's base roles, and what each may do here. */
#include "node/api/roles.h"

#include <stdio.h>
#include <string.h>

#define READ PERMISSION_READ
#define RESPOND PERMISSION_RESPOND
#define CONFIGURE PERMISSION_CONFIGURE
#define ADMINISTER PERMISSION_ADMINISTER

static const enum permission permission_of_role[] = {
    [TOCSIN__ROLE__ROLE_NONE] = READ,
    [TOCSIN__ROLE__ROLE_OWNER] = ADMINISTER,
    [TOCSIN__ROLE__ROLE_ADMIN] = ADMINISTER,
    [TOCSIN__ROLE__ROLE_USER] = CONFIGURE,
    [TOCSIN__ROLE__ROLE_LIMITED_USER] = RESPOND,
    [TOCSIN__ROLE__ROLE_OBSERVER] = READ,
    [TOCSIN__ROLE__ROLE_RESTRICTED_ACCESS] = READ,
    [TOCSIN__ROLE__ROLE_READ_ONLY_USER] = READ,
    [TOCSIN__ROLE__ROLE_READ_ONLY_LIMITED_USER] = READ,
};

/* The first row that fits counts: the narrower ones stand before the wider ones. */
static const struct access table[] = {
    {"*", "/users/{}/tokens", "tokens", ADMINISTER, SUBJECT_PERSON, READ},
    {"*", "/tokens", "tokens", ADMINISTER, SUBJECT_NONE, 0},

    {"GET", "/users/{}/license", "licenses", READ, SUBJECT_NONE, 0},
    {"GET", "/users/{}/contact_methods", "users:contact_methods", READ, SUBJECT_NONE, 0},
    {"*", "/users/{}/contact_methods", "users:contact_methods", ADMINISTER, SUBJECT_PERSON, RESPOND},
    {"GET", "/users/{}/notification_rules", "users:contact_methods", READ, SUBJECT_NONE, 0},
    {"*", "/users/{}/notification_rules", "users:contact_methods", ADMINISTER, SUBJECT_PERSON, RESPOND},
    {"GET", "/users/{}/oncall_handoff_notification_rules", "users:contact_methods", READ, SUBJECT_NONE, 0},
    {"*", "/users/{}/oncall_handoff_notification_rules", "users:contact_methods", ADMINISTER, SUBJECT_PERSON, RESPOND},
    {"GET", "/users/{}/calendar_feed", "users", READ, SUBJECT_NONE, 0},
    {"*", "/users/{}/calendar_feed", "users", ADMINISTER, SUBJECT_PERSON, RESPOND},
    {"POST", "/users/me/test", "users", RESPOND, SUBJECT_NONE, 0},
    {"GET", "/users", "users", READ, SUBJECT_NONE, 0},
    {"PUT", "/users/{}", "users", ADMINISTER, SUBJECT_PERSON, RESPOND},
    {"*", "/users", "users", ADMINISTER, SUBJECT_NONE, 0},

    {"GET", "/teams", "teams", READ, SUBJECT_NONE, 0},
    {"*", "/teams/{}/escalation_policies", "teams", CONFIGURE, SUBJECT_TEAM_POLICY, 0},
    {"*", "/teams", "teams", CONFIGURE, SUBJECT_TEAM, 0},

    {"GET", "/abilities", "abilities", READ, SUBJECT_NONE, 0},
    {"GET", "/licenses", "licenses", READ, SUBJECT_NONE, 0},
    {"GET", "/license_allocations", "licenses", READ, SUBJECT_NONE, 0},
    {"GET", "/vendors", "vendors", READ, SUBJECT_NONE, 0},
    {"POST", "/services/{}/test", "services", RESPOND, SUBJECT_NONE, 0},
    {"GET", "/services", "services", READ, SUBJECT_NONE, 0},
    {"*", "/services", "services", CONFIGURE, SUBJECT_SERVICE, 0},
    {"GET", "/escalation_policies", "escalation_policies", READ, SUBJECT_NONE, 0},
    {"*", "/escalation_policies", "escalation_policies", CONFIGURE, SUBJECT_POLICY, 0},

    {"GET", "/maintenance_windows", "services", READ, SUBJECT_NONE, 0},
    {"*", "/maintenance_windows", "services", CONFIGURE, SUBJECT_WINDOW, 0},
    {"GET", "/mutes", "mutes", READ, SUBJECT_NONE, 0},
    {"*", "/mutes", "mutes", RESPOND, SUBJECT_NONE, 0},
    {"GET", "/api/v2/silences", "mutes", READ, SUBJECT_NONE, 0},
    {"*", "/api/v2/silences", "mutes", RESPOND, SUBJECT_NONE, 0},
    {"GET", "/api/v2/silence", "mutes", READ, SUBJECT_NONE, 0},
    {"*", "/api/v2/silence", "mutes", RESPOND, SUBJECT_NONE, 0},
    {"GET", "/change_events", "change_events", READ, SUBJECT_NONE, 0},

    {"GET", "/schedules", "schedules", READ, SUBJECT_NONE, 0},
    {"POST", "/schedules/preview", "schedules", READ, SUBJECT_NONE, 0},
    {"*", "/schedules/{}/overrides", "schedules", RESPOND, SUBJECT_SCHEDULE, 0},
    {"*", "/schedules/{}/calendar_feed", "schedules", RESPOND, SUBJECT_SCHEDULE, 0},
    {"*", "/schedules/{}/swaps", "schedules", RESPOND, SUBJECT_SCHEDULE, 0},
    {"*", "/schedules", "schedules", CONFIGURE, SUBJECT_SCHEDULE, 0},
    {"GET", "/oncalls", "oncalls", READ, SUBJECT_NONE, 0},
    {"GET", "/coverage", "coverage", READ, SUBJECT_NONE, 0},
    {"GET", "/drills", "drills", READ, SUBJECT_NONE, 0},
    {"POST", "/drills/{}/run", "drills", RESPOND, SUBJECT_NONE, 0},
    {"*", "/drills", "drills", CONFIGURE, SUBJECT_NONE, 0},

    {"GET", "/alerts", "incidents", READ, SUBJECT_NONE, 0},
    {"GET", "/incidents", "incidents", READ, SUBJECT_NONE, 0},
    {"*", "/incidents/{}/merge", "incidents", RESPOND, SUBJECT_MERGE, 0},
    {"*", "/incidents/{}/alerts", "incidents", RESPOND, SUBJECT_ALERTS, 0},
    {"*", "/incidents", "incidents", RESPOND, SUBJECT_INCIDENT, 0},
    {"GET", "/log_entries", "incidents", READ, SUBJECT_NONE, 0},
    {"GET", "/priorities", "priorities", READ, SUBJECT_NONE, 0},
    {"*", "/priorities", "priorities", ADMINISTER, SUBJECT_NONE, 0},

    {"POST", "/event_orchestrations/{}/dry_run", "event_orchestrations", READ, SUBJECT_NONE, 0},
    {"POST", "/event_orchestrations/services/{}/dry_run", "event_orchestrations", READ, SUBJECT_NONE, 0},
    {"GET", "/event_orchestrations", "event_orchestrations", READ, SUBJECT_NONE, 0},
    {"*", "/event_orchestrations/services", "event_orchestrations", CONFIGURE, SUBJECT_SERVICE, 0},
    {"*", "/event_orchestrations", "event_orchestrations", CONFIGURE, SUBJECT_ORCHESTRATION, 0},

    {"*", "/v2/heartbeats/{}/ping", "heartbeats", RESPOND, SUBJECT_NONE, 0},
    {"GET", "/v2/heartbeats", "heartbeats", READ, SUBJECT_NONE, 0},
    {"*", "/v2/heartbeats", "heartbeats", CONFIGURE, SUBJECT_NONE, 0},
    {"GET", "/v2/schedules", "oncalls", READ, SUBJECT_NONE, 0},
    {"GET", "/v2/alerts", "incidents", READ, SUBJECT_NONE, 0},
    {"*", "/v2/alerts", "incidents", RESPOND, SUBJECT_NONE, 0},
    {"GET", "/api/v2", "incidents", READ, SUBJECT_NONE, 0},
    {"*", "/api/v2", "incidents", RESPOND, SUBJECT_NONE, 0},
    {"GET", "/integration", "incidents", READ, SUBJECT_NONE, 0},
    {"*", "/integration", "incidents", RESPOND, SUBJECT_NONE, 0},
    {"GET", "/api/v3/checks", "heartbeats", READ, SUBJECT_NONE, 0},
    {"*", "/api/v3/checks", "heartbeats", CONFIGURE, SUBJECT_NONE, 0},

    {"*", "/cluster", "cluster", ADMINISTER, SUBJECT_NONE, 0},
};

/* What nobody thought of is nobody's but an administrator's. */
static const struct access unknown = {"*", "", "unknown", ADMINISTER, SUBJECT_NONE, 0};

static bool begins(const char *pattern, const char *prefix)
{
    size_t size = strlen(prefix);

    return strncmp(pattern, prefix, size) == 0 && (pattern[size] == '\0' || pattern[size] == '/');
}

const struct access *access_of_route(const struct route *route, const char *method)
{
    const char *asked = strcmp(method, "HEAD") == 0 ? "GET" : method;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const struct access *access = &table[i];
        if ((access->method[0] == '*' || strcmp(access->method, asked) == 0) &&
            begins(route->pattern, access->pattern)) {
            return access;
        }
    }
    return &unknown;
}

enum permission role_permission(Tocsin__Role role)
{
    size_t count = sizeof permission_of_role / sizeof *permission_of_role;

    return (size_t)role < count ? permission_of_role[role] : PERMISSION_READ;
}

/* ---------------------------------------------------------------- scopes */

/* What stands before ".read" or ".write", and whether it is one of these; its size. */
static size_t family_size(const char *scope)
{
    const char *ending = strrchr(scope, '.');

    return ending != NULL && (strcmp(ending, ".read") == 0 || strcmp(ending, ".write") == 0) ? (size_t)(ending - scope)
                                                                                              : 0;
}

bool scope_known(const char *scope)
{
    size_t size = family_size(scope);
    bool known = size == 1 && scope[0] == '*';

    for (size_t i = 0; i < sizeof table / sizeof *table && !known; i++) {
        known = size > 0 && strlen(table[i].scope) == size && strncmp(table[i].scope, scope, size) == 0;
    }
    return known;
}

bool scope_among(char *const *scopes, size_t count, const char *scope)
{
    for (size_t i = 0; i < count; i++) {
        bool all = scopes[i][0] == '*' && strcmp(scopes[i] + 1, scope + family_size(scope)) == 0;
        if (all || strcmp(scopes[i], scope) == 0) {
            return true;
        }
    }
    return false;
}

void scope_needed(const struct access *access, bool read, char *text, size_t size_bytes)
{
    (void)snprintf(text, size_bytes, "%s.%s", access->scope,
                   read || access->permission == PERMISSION_READ ? "read" : "write");
}

/* ---------------------------------------------------------------- for handlers */

void role_refuse(struct http_request *request)
{
    api_error(request, 403, 2010, "Access Denied",
              json_pack("[s]", "The role of this token does not allow this action"));
}

bool role_require(struct http_request *request, enum permission permission)
{
    if (api_call_of(request)->principal.permission >= permission) {
        return true;
    }
    role_refuse(request);
    return false;
}

bool role_require_own(struct http_request *request, uint64_t user_id)
{
    bool own = api_call_of(request)->principal.user_id == user_id;

    return role_require(request, own ? PERMISSION_RESPOND : PERMISSION_ADMINISTER);
}
