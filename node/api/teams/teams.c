/* Teams: what they are called, which escalation policies are theirs, and how they show on everything else. */
#include "node/api/teams/teams.h"

#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/render.h"
#include "node/api/roles.h"

/* ---------------------------------------------------------------- rendering */

static json_t *render_team(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__Team *team = record;
    char id[16];

    (void)view;
    id_format(team->id, id);
    json_t *object = render_head(team->id, "team", team->name, render_self(request, "/teams/%s", id));
    json_object_set_new(object, "name", json_string(team->name));
    json_object_set_new(object, "description", json_text(team->description));
    json_object_set_new(object, "default_role", json_string("manager"));
    json_object_set_new(object, "parent", json_null());
    return object;
}

static bool team_matches(struct http_request *request, const void *record)
{
    const Tocsin__Team *team = record;
    const char *query = http_query(request, "query");

    return query == NULL || strcasestr(team->name, query) != NULL;
}

const struct resource resource_team = {
    .name = "team",
    .plural = "teams",
    .table = TABLE_TEAM,
    .descriptor = &tocsin__team__descriptor,
    .matches = team_matches,
    .render = render_team,
};

static void append_team(struct http_request *request, const struct machine_store *view, uint64_t id, json_t *teams)
{
    const Tocsin__Team *team =
        query_has(request, "include", "teams") ? team_get(view, id, request_memory(request)) : NULL;

    json_array_append_new(teams, team != NULL ? render_team(request, view, team) : reference_team(request, view, id));
}

json_t *render_teams(struct http_request *request, const struct machine_store *view, const uint64_t *ids, size_t count)
{
    json_t *teams = json_array();

    for (size_t i = 0; i < count; i++) {
        append_team(request, view, ids[i], teams);
    }
    return teams;
}

json_t *render_team_of(struct http_request *request, const struct machine_store *view, uint64_t team_id)
{
    return render_teams(request, view, &team_id, team_id != 0 ? 1 : 0);
}

json_t *render_teams_of_user(struct http_request *request, const struct machine_store *view, uint64_t user_id)
{
    json_t *teams = json_array();
    struct walk walk = walk_under(view, TABLE_TEAM_OF_USER, user_id);

    while (walk_next(&walk)) {
        append_team(request, view, span_number(walk.key, 1), teams);
    }
    return teams;
}

/* 0: of none, or the policy is gone. */
static uint64_t team_of_policy(const struct machine_store *view, uint64_t policy_id)
{
    Tocsin__EscalationPolicy *policy = escalation_policy_get(view, policy_id, NULL);
    uint64_t team_id = policy != NULL ? policy->team_id : 0;

    if (policy != NULL) {
        tocsin__escalation_policy__free_unpacked(policy, NULL);
    }
    return team_id;
}

json_t *render_teams_of_policy(struct http_request *request, const struct machine_store *view, uint64_t policy_id)
{
    return render_team_of(request, view, team_of_policy(view, policy_id));
}

/* ---------------------------------------------------------------- team_ids[] */

bool query_admits_teams(const struct http_request *request, const uint64_t *ids, size_t count)
{
    bool admitted = !query_given(request, "team_ids");

    for (size_t i = 0; i < count && !admitted; i++) {
        admitted = query_admits_id(request, "team_ids", ids[i]);
    }
    return admitted;
}

bool query_admits_teams_of_user(const struct http_request *request, const struct machine_store *view, uint64_t user_id)
{
    bool admitted = !query_given(request, "team_ids");
    struct walk walk = walk_under(view, TABLE_TEAM_OF_USER, user_id);

    while (!admitted && walk_next(&walk)) {
        admitted = query_admits_id(request, "team_ids", span_number(walk.key, 1));
    }
    return admitted;
}

bool query_admits_teams_of_policy(const struct http_request *request, const struct machine_store *view,
                                  uint64_t policy_id)
{
    if (!query_given(request, "team_ids")) {
        return true;
    }
    uint64_t team_id = team_of_policy(view, policy_id);

    return team_id != 0 && query_admits_id(request, "team_ids", team_id);
}

/* ---------------------------------------------------------------- teams of a body */

bool take_teams(struct field_reader *reader, size_t count_max, uint64_t **ids, size_t *count)
{
    json_t *teams = NULL, *element;
    size_t i;

    *count = 0;
    if (!field_array(reader, "teams", count_max, &teams)) {
        return false;
    }
    if (teams == NULL) {
        return field_null(reader, "teams");
    }
    *ids = http_alloc(reader->request, (json_array_size(teams) + 1) * sizeof **ids);
    json_array_foreach(teams, i, element)
    {
        const char *text = json_string_value(json_object_get(element, "id"));
        (*ids)[i] = text != NULL ? id_parse(text) : 0;
        if ((*ids)[i] == 0) {
            field_error(reader, "'%steams' must be references with the id of a team", reader->prefix);
            return false;
        }
    }
    *count = json_array_size(teams);
    return true;
}

/* ---------------------------------------------------------------- the command */

/* PagerDuty's private teams hide what is theirs from others. Here everybody reads everything: to take such a team and
 * show it to all would be a promise broken in silence. */
static void check_default_role(struct field_reader *reader)
{
    static const struct word words_default_role[] = {{1, "manager"}, {0, NULL}};
    const char *text = json_string_value(json_object_get(reader->object, "default_role"));
    int role = 0;

    if (text != NULL && strcmp(text, "none") == 0) {
        field_error(reader, "Private teams are not supported: 'default_role' must be manager");
    } else {
        (void)field_word(reader, "default_role", words_default_role, &role, NULL);
    }
}

static bool team_command(struct http_request *request, uint64_t id)
{
    struct field_reader reader;

    if (!body_open(request, "team", &reader)) {
        return false;
    }
    Tocsin__TeamPut *put = api_command(request, TOCSIN__COMMAND__BODY_TEAM_PUT)->team_put;
    Tocsin__Team *team = http_alloc(request, sizeof *team);
    tocsin__team__init(team);
    put->id = id;
    put->team = team;
    struct field_target target = {&reader, &tocsin__team__descriptor, &put->fields};

    target_name(&target, "name", LIMIT_TEAM_NAME_CHARACTERS, "name", id == 0, &team->name);
    target_text(&target, "description", LIMIT_DESCRIPTION_CHARACTERS, "description", &team->description);
    check_default_role(&reader);
    if (json_is_object(json_object_get(reader.object, "parent"))) {
        field_error(&reader, "Teams within teams are not supported: 'parent' must be null");
    }
    return fields_finish(&reader);
}

/* ---------------------------------------------------------------- handlers */

static void teams_list(struct http_request *request)
{
    resource_list(request, &resource_team);
}

static void team_read(struct http_request *request)
{
    uint64_t id;

    if (path_id(request, 0, &id)) {
        resource_get(request, &resource_team, 0, id);
    }
}

static void team_create(struct http_request *request)
{
    if (role_require(request, PERMISSION_CONFIGURE) && team_command(request, 0)) {
        resource_save(request, &resource_team, 0, 201);
    }
}

static void team_update(struct http_request *request)
{
    uint64_t id;

    if (role_require(request, PERMISSION_CONFIGURE) && path_id(request, 0, &id) && team_command(request, id)) {
        resource_save(request, &resource_team, 0, 200);
    }
}

/* reassignment_team is for incidents that lose their team with it: here they have the team of their policy, and a team
 * that has a policy stays. */
static void team_remove(struct http_request *request)
{
    uint64_t id;

    if (role_require(request, PERMISSION_CONFIGURE) && path_id(request, 0, &id)) {
        api_command(request, TOCSIN__COMMAND__BODY_TEAM_DELETE)->team_delete->id = id;
        resource_delete(request);
    }
}

static void team_policy_put(struct http_request *request)
{
    uint64_t team_id, policy_id;

    if (role_require(request, PERMISSION_CONFIGURE) && path_id(request, 0, &team_id) && path_id(request, 1, &policy_id)) {
        Tocsin__TeamPolicyPut *put = api_command(request, TOCSIN__COMMAND__BODY_TEAM_POLICY_PUT)->team_policy_put;
        put->team_id = team_id;
        put->escalation_policy_id = policy_id;
        resource_delete(request); /* 204, as for a deletion */
    }
}

static void team_policy_remove(struct http_request *request)
{
    uint64_t team_id, policy_id;

    if (role_require(request, PERMISSION_CONFIGURE) && path_id(request, 0, &team_id) && path_id(request, 1, &policy_id)) {
        Tocsin__TeamPolicyDelete *delete =
            api_command(request, TOCSIN__COMMAND__BODY_TEAM_POLICY_DELETE)->team_policy_delete;
        delete->team_id = team_id;
        delete->escalation_policy_id = policy_id;
        resource_delete(request);
    }
}

const struct route routes_teams[] = {
    {"GET", "/teams", teams_list, FAMILY_REST, 0},
    {"POST", "/teams", team_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/teams/{}", team_read, FAMILY_REST, 0},
    {"PUT", "/teams/{}", team_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"DELETE", "/teams/{}", team_remove, FAMILY_REST, 0},
    {"GET", "/teams/{}/members", team_members_list, FAMILY_REST, 0},
    {"PUT", "/teams/{}/users/{}", team_member_put, FAMILY_REST, ROUTE_JSON_IF_ANY},
    {"DELETE", "/teams/{}/users/{}", team_member_remove, FAMILY_REST, 0},
    {"PUT", "/teams/{}/escalation_policies/{}", team_policy_put, FAMILY_REST, 0},
    {"DELETE", "/teams/{}/escalation_policies/{}", team_policy_remove, FAMILY_REST, 0},
    {0},
};
