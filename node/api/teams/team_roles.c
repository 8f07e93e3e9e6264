/*
 * A role in a team raises what a person may do with what is the team's:
 *
 *     team ── escalation policy ── service ─┬─ incident
 *      │                                    └─ maintenance window, with all of its services
 *      ├───── schedule
 *      └───── event orchestration
 *
 * What is about to be made has no team yet: then the team counts under which it shall be made; of what is given to a team,
 * that one counts, too. And whoever an incident is assigned to may act on it: nobody is woken by something and kept from
 * acknowledging it.
 */
#include "node/api/teams/team_roles.h"

#include <stdlib.h>
#include <string.h>

#include "node/api/incidents/incidents.h"
#include "node/api/schedules/schedules.h"

static const enum permission permission_of_team_role[] = {
    [TOCSIN__TEAM_ROLE__TEAM_ROLE_NONE] = PERMISSION_READ,
    [TOCSIN__TEAM_ROLE__TEAM_ROLE_OBSERVER] = PERMISSION_READ,
    [TOCSIN__TEAM_ROLE__TEAM_ROLE_RESPONDER] = PERMISSION_RESPOND,
    [TOCSIN__TEAM_ROLE__TEAM_ROLE_MANAGER] = PERMISSION_CONFIGURE,
};

static enum permission lesser(enum permission a, enum permission b)
{
    return a < b ? a : b;
}

static enum permission greater(enum permission a, enum permission b)
{
    return a > b ? a : b;
}

static enum permission in_team(struct http_request *request, const struct machine_store *view, uint64_t team_id)
{
    const struct principal *principal = &api_call_of(request)->principal;
    bool looks_on = principal->role == TOCSIN__ROLE__ROLE_READ_ONLY_USER ||
                    principal->role == TOCSIN__ROLE__ROLE_READ_ONLY_LIMITED_USER; /* since they joined */
    const Tocsin__TeamMember *member =
        looks_on ? NULL : team_member_get(view, team_id, principal->user_id, request_memory(request));

    return member != NULL ? permission_of_team_role[member->role] : PERMISSION_READ;
}

static enum permission on_policy(struct http_request *request, const struct machine_store *view, uint64_t id)
{
    const Tocsin__EscalationPolicy *policy = escalation_policy_get(view, id, request_memory(request));

    return policy != NULL ? in_team(request, view, policy->team_id) : PERMISSION_READ;
}

static enum permission on_service(struct http_request *request, const struct machine_store *view, uint64_t id)
{
    const Tocsin__Service *service = service_get(view, id, request_memory(request));

    return service != NULL ? on_policy(request, view, service->escalation_policy_id) : PERMISSION_READ;
}

static enum permission on_incident(struct http_request *request, const struct machine_store *view, const char *text)
{
    const Tocsin__Incident *incident = incident_find(request, view, text);

    if (incident == NULL) {
        return PERMISSION_READ;
    }
    enum permission permission = on_policy(request, view, incident->escalation_policy_id);
    for (size_t i = 0; i < incident->n_assignments; i++) {
        if (incident->assignments[i]->user_id == api_call_of(request)->principal.user_id) {
            permission = greater(permission, PERMISSION_RESPOND);
        }
    }
    return permission;
}

/* ---------------------------------------------------------------- in the body */

static uint64_t id_in(const json_t *object)
{
    const char *text = json_string_value(json_object_get(object, "id"));

    return text != NULL ? id_parse(text) : 0;
}

struct teams {
    const uint64_t *ids;
    size_t count;
};

static struct teams teams_in(struct http_request *request, const json_t *list)
{
    uint64_t *ids = http_alloc(request, (json_array_size(list) + 1) * sizeof *ids);

    for (size_t i = 0; i < json_array_size(list); i++) {
        ids[i] = id_in(json_array_get(list, i));
    }
    return (struct teams){ids, json_array_size(list)};
}

static bool is_among(struct teams teams, uint64_t id)
{
    bool found = false;

    for (size_t i = 0; i < teams.count && !found; i++) {
        found = teams.ids[i] == id;
    }
    return found;
}

/* Each of the teams that it shall have and has not: nobody gives to another team, nor to nobody at all. */
static enum permission on_new_teams(struct http_request *request, const struct machine_store *view, struct teams has,
                                    struct teams given)
{
    enum permission permission = given.count > 0 ? PERMISSION_ADMINISTER : PERMISSION_READ;

    for (size_t i = 0; i < given.count; i++) {
        if (!is_among(has, given.ids[i])) {
            permission = lesser(permission, in_team(request, view, given.ids[i]));
        }
    }
    return permission;
}

/* A policy that exists: of its team, and of the one that it is given. */
static enum permission on_changed_policy(struct http_request *request, const struct machine_store *view, uint64_t id)
{
    const json_t *given = json_object_get(body_object(api_call_of(request)->body, "escalation_policy"), "teams");
    const Tocsin__EscalationPolicy *policy = escalation_policy_get(view, id, request_memory(request));

    if (policy == NULL || given == NULL) {
        return on_policy(request, view, id);
    }
    return lesser(in_team(request, view, policy->team_id),
                  on_new_teams(request, view, (struct teams){&policy->team_id, 1}, teams_in(request, given)));
}

/* The one that the request brings back; NULL: it does nothing like that. */
static const Tocsin__Schedule *restored_revision(struct http_request *request, const struct machine_store *view, uint64_t id)
{
    const struct api_call *call = api_call_of(request);
    bool restores = strcmp(call->route->pattern, "/schedules/{}/revisions/{}/restore") == 0;

    return restores ? revision_get(view, id, (uint32_t)strtoul(call->parameters[1], NULL, 10), request_memory(request)) : NULL;
}

/* A schedule that exists: of any of its teams, and of each that it is given. */
static enum permission on_schedule(struct http_request *request, const struct machine_store *view, uint64_t id)
{
    const json_t *given = json_object_get(body_object(api_call_of(request)->body, "schedule"), "teams");
    const Tocsin__Schedule *schedule = schedule_get(view, id, request_memory(request));
    const Tocsin__Schedule *restored = restored_revision(request, view, id);
    struct teams has = {0};
    enum permission permission = PERMISSION_READ;

    if (schedule != NULL) {
        has = (struct teams){schedule->team_ids, schedule->n_team_ids};
    }
    for (size_t i = 0; i < has.count; i++) {
        permission = greater(permission, in_team(request, view, has.ids[i]));
    }
    if (restored != NULL) {
        permission = lesser(permission, on_new_teams(request, view, has, (struct teams){restored->team_ids, restored->n_team_ids}));
    }
    return given != NULL ? lesser(permission, on_new_teams(request, view, has, teams_in(request, given))) : permission;
}

/* Each of the teams under which it shall be made. */
static enum permission on_teams(struct http_request *request, const struct machine_store *view, const json_t *teams)
{
    return on_new_teams(request, view, (struct teams){0}, teams_in(request, teams));
}

/* All of the incidents that a list in the body names. */
static enum permission on_incidents(struct http_request *request, const struct machine_store *view, const json_t *incidents)
{
    enum permission permission = json_array_size(incidents) > 0 ? PERMISSION_ADMINISTER : PERMISSION_READ;

    for (size_t i = 0; i < json_array_size(incidents) && permission > PERMISSION_READ; i++) {
        const char *text = json_string_value(json_object_get(json_array_get(incidents, i), "id"));
        permission = lesser(permission, text != NULL ? on_incident(request, view, text) : PERMISSION_READ);
    }
    return permission;
}

/* One to be made on a service, or many to be changed: by the method, as the router tells the two apart. */
static enum permission on_new_or_many(struct http_request *request, const struct machine_store *view, json_t *body)
{
    if (strcmp(request->method, "POST") == 0) {
        return on_service(request, view, id_in(json_object_get(body_object(body, "incident"), "service")));
    }
    return on_incidents(request, view, json_object_get(body, "incidents"));
}

/* Where an alert shall belong; one that stays where it is needs no more. */
static enum permission on_move(struct http_request *request, const struct machine_store *view, const json_t *alert)
{
    const json_t *incident = json_object_get(alert, "incident");
    const char *text = json_string_value(json_object_get(incident, "id"));

    if (incident == NULL || json_is_null(incident)) {
        return PERMISSION_ADMINISTER;
    }
    return text != NULL ? on_incident(request, view, text) : PERMISSION_READ;
}

/* One alert, with or without a wrapper, or a list of them. */
static enum permission on_moves(struct http_request *request, const struct machine_store *view, json_t *body, bool one)
{
    const json_t *alerts = one ? NULL : json_object_get(body, "alerts");
    enum permission permission = one ? on_move(request, view, body_object(body, "alert")) : PERMISSION_ADMINISTER;

    for (size_t i = 0; i < json_array_size(alerts) && permission > PERMISSION_READ; i++) {
        permission = lesser(permission, on_move(request, view, json_array_get(alerts, i)));
    }
    return permission;
}

/* A service under a policy that it does not have yet: nobody hands over to the people of another team. */
static enum permission on_new_policy(struct http_request *request, const struct machine_store *view, json_t *body)
{
    const json_t *policy = json_object_get(body_object(body, "service"), "escalation_policy");

    return policy != NULL ? on_policy(request, view, id_in(policy)) : PERMISSION_ADMINISTER; /* the one that it has */
}

/* What rules do with events: a service, and a policy, of another team is not for them to wake. */
static enum permission on_actions(struct http_request *request, const struct machine_store *view, const json_t *actions)
{
    const char *route = json_string_value(json_object_get(actions, "route_to"));
    const char *policy = json_string_value(json_object_get(actions, "escalation_policy"));
    uint64_t service_id = route != NULL ? id_parse(route) : 0; /* otherwise a set, or nowhere */
    enum permission permission = service_id != 0 ? on_service(request, view, service_id) : PERMISSION_ADMINISTER;

    if (!json_is_null(json_object_get(actions, "dynamic_route_to")) && json_object_get(actions, "dynamic_route_to") != NULL) {
        return PERMISSION_READ; /* to wherever an event says */
    }
    return policy != NULL ? lesser(permission, on_policy(request, view, id_parse(policy))) : permission;
}

static enum permission on_path(struct http_request *request, const struct machine_store *view, const json_t *path)
{
    const json_t *sets = json_object_get(path, "sets");
    enum permission permission =
        on_actions(request, view, json_object_get(json_object_get(path, "catch_all"), "actions"));

    for (size_t i = 0; i < json_array_size(sets); i++) {
        const json_t *rules = json_object_get(json_array_get(sets, i), "rules");
        for (size_t j = 0; j < json_array_size(rules) && permission > PERMISSION_READ; j++) {
            const json_t *actions = json_object_get(json_array_get(rules, j), "actions");
            permission = lesser(permission, on_actions(request, view, actions));
        }
    }
    return permission;
}

/* Of its team, and of the one that it is given. */
static enum permission on_orchestration(struct http_request *request, const struct machine_store *view, bool exists,
                                        uint64_t id)
{
    json_t *body = api_call_of(request)->body;
    const json_t *team = json_object_get(body_object(body, "orchestration"), "team");
    const json_t *path = body_object(body, "orchestration_path");
    const Tocsin__Orchestration *orchestration = exists ? orchestration_get(view, id, request_memory(request)) : NULL;
    enum permission permission = PERMISSION_ADMINISTER;

    if (exists) {
        permission = orchestration != NULL ? in_team(request, view, orchestration->team_id) : PERMISSION_READ;
    }
    if (!exists || team != NULL) {
        permission = lesser(permission, in_team(request, view, id_in(team)));
    }
    return path != NULL ? lesser(permission, on_path(request, view, path)) : permission;
}

/* All of the services that it has, and those that it is given; of a new one that is none at all. */
static enum permission on_window(struct http_request *request, const struct machine_store *view, bool exists, uint64_t id)
{
    const json_t *given = json_object_get(body_object(api_call_of(request)->body, "maintenance_window"), "services");
    const Tocsin__MaintenanceWindow *window = exists ? maintenance_window_get(view, id, request_memory(request)) : NULL;
    size_t has_count = window != NULL ? window->n_service_ids : 0;
    enum permission permission = (exists ? has_count : json_array_size(given)) > 0 ? PERMISSION_ADMINISTER : PERMISSION_READ;

    for (size_t i = 0; i < has_count; i++) {
        permission = lesser(permission, on_service(request, view, window->service_ids[i]));
    }
    for (size_t i = 0; i < json_array_size(given) && permission > PERMISSION_READ; i++) {
        permission = lesser(permission, on_service(request, view, id_in(json_array_get(given, i))));
    }
    return permission;
}

enum permission team_permission(struct http_request *request, const struct machine_store *view, enum subject subject)
{
    const struct api_call *call = api_call_of(request);
    const char *text = strstr(call->route->pattern, "{}") != NULL ? call->parameters[0] : NULL;
    uint64_t id = text != NULL ? id_parse(text) : 0;

    switch (subject) {
    case SUBJECT_TEAM:
        return in_team(request, view, id);
    case SUBJECT_TEAM_POLICY: /* nobody takes a policy away from another team */
        return lesser(in_team(request, view, id), on_policy(request, view, id_parse(call->parameters[1])));
    case SUBJECT_POLICY:
        return text != NULL ? on_changed_policy(request, view, id)
                            : on_teams(request, view, json_object_get(body_object(call->body, "escalation_policy"), "teams"));
    case SUBJECT_SERVICE:
        return text != NULL ? lesser(lesser(on_service(request, view, id), on_new_policy(request, view, call->body)),
                                     on_path(request, view, body_object(call->body, "orchestration_path")))
                            : lesser(PERMISSION_CONFIGURE, on_new_policy(request, view, call->body));
    case SUBJECT_SCHEDULE:
        return text != NULL ? on_schedule(request, view, id)
                            : on_teams(request, view, json_object_get(body_object(call->body, "schedule"), "teams"));
    case SUBJECT_INCIDENT:
        return text != NULL ? on_incident(request, view, text) : on_new_or_many(request, view, call->body);
    case SUBJECT_MERGE:
        return lesser(on_incident(request, view, text), on_incidents(request, view, json_object_get(call->body, "source_incidents")));
    case SUBJECT_ALERTS:
        return lesser(on_incident(request, view, text), on_moves(request, view, call->body, call->parameters[1] != NULL));
    case SUBJECT_ORCHESTRATION:
        return on_orchestration(request, view, text != NULL, id);
    case SUBJECT_WINDOW:
        return on_window(request, view, text != NULL, id);
    case SUBJECT_NONE:
    case SUBJECT_PERSON:
        break;
    }
    return PERMISSION_READ;
}
