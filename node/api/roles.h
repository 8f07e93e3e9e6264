/*
 * Who may do what: one table of what each route asks for, and what each role has.
 *
 *     role of the person or token ──┐
 *     role in the object's team ────┴─> permission ──┐
 *                                                    ├── route's row ──> the handler, or 403
 *     scopes of the token ───────────────────────────┘
 *
 * A route without a row is for administrators only; tests/unit/api/test_roles.c fails on it.
 */
#ifndef NODE_API_ROLES_H
#define NODE_API_ROLES_H

#include "node/api/api.h"

/* What a route is about: the first {} of its path, or its body. In the teams of that object, a role there counts. */
enum subject {
    SUBJECT_NONE,
    SUBJECT_PERSON, /* a user; for the own one `own` is enough */
    SUBJECT_TEAM,
    SUBJECT_TEAM_POLICY, /* a team and, second, an escalation policy */
    SUBJECT_POLICY,
    SUBJECT_SERVICE,
    SUBJECT_SCHEDULE,
    SUBJECT_INCIDENT,
    SUBJECT_MERGE,  /* an incident, and those that the body names as sources */
    SUBJECT_ALERTS, /* an incident, and those to which the body moves its alerts */
    SUBJECT_ORCHESTRATION,
    SUBJECT_WINDOW /* a maintenance window, by each of its services */
};

struct access {
    const char *method;  /* "*": any other than those of the rows before */
    const char *pattern; /* the route's, or what it begins with, up to a "/" */
    const char *scope;   /* of tokens: "incidents" stands for incidents.read and incidents.write */
    enum permission permission;
    enum subject subject;
    enum permission own; /* of SUBJECT_PERSON */
};

/* The first row that fits. */
const struct access *access_of_route(const struct route *route, const char *method);

enum permission role_permission(Tocsin__Role role);

/* ---- scopes of tokens: "schedules.write", "*.read"; none at all means every one */

/* Whether there is such a scope. */
bool scope_known(const char *scope);
/* Whether one of the scopes is this one, or stands for it. */
bool scope_among(char *const *scopes, size_t count, const char *scope);
/* The one that a request needs, as text of `size_bytes`. */
void scope_needed(const struct access *access, bool read, char *text, size_t size_bytes);

/* ---- for handlers, about the object of their route. False: already answered with 403. */

bool role_require(struct http_request *request, enum permission permission);
/* For what belongs to one user: that user needs PERMISSION_RESPOND, everybody else PERMISSION_ADMINISTER. */
bool role_require_own(struct http_request *request, uint64_t user_id);
void role_refuse(struct http_request *request);

#endif
