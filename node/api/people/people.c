/* Users, and the routes of everything that belongs to people. */
#include "node/api/people/people.h"

#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/render.h"
#include "node/api/roles.h"
#include "node/api/teams/teams.h"

#define TIME_ZONE_CHARACTERS_MAX 100u
#define COLOR_CHARACTERS_MAX 50u
#define TIME_ZONE_DEFAULT "UTC"

/* ---------------------------------------------------------------- rendering */

/* References, or the whole objects when the query includes them. */
static json_t *render_owned(struct http_request *request, const struct machine_store *view, enum machine_table table,
                            const ProtobufCMessageDescriptor *descriptor, uint64_t user_id,
                            json_t *(*render)(struct http_request *, const struct machine_store *, const void *))
{
    json_t *objects = json_array();
    struct walk walk = walk_under(view, table, user_id);

    while (walk_next(&walk)) {
        json_array_append_new(objects,
                              render(request, view, record_unpack(descriptor, walk.value, request_memory(request))));
    }
    return objects;
}

static json_t *refer_contact_method(struct http_request *request, const struct machine_store *view, const void *method)
{
    (void)view;
    return reference_contact_method(request, method);
}

static json_t *refer_notification_rule(struct http_request *request, const struct machine_store *view, const void *rule)
{
    return reference_notification_rule(request, view, rule);
}

json_t *render_user(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__User *user = record;
    bool methods = query_has(request, "include", "contact_methods");
    bool rules = query_has(request, "include", "notification_rules");
    char id[16];

    id_format(user->id, id);
    json_t *object = render_head(user->id, "user", user->name, render_self(request, "/users/%s", id));
    json_object_set_new(object, "name", json_string(user->name));
    json_object_set_new(object, "email", json_string(user->email));
    json_object_set_new(object, "time_zone", json_text(user->time_zone));
    json_object_set_new(object, "color", json_text(user->color));
    json_object_set_new(object, "role", json_word(words_role, (int)user->role));
    json_object_set_new(object, "avatar_url", json_null());
    json_object_set_new(object, "billed", json_true());
    json_object_set_new(object, "description", json_text(user->description));
    json_object_set_new(object, "job_title", json_text(user->job_title));
    json_object_set_new(object, "invitation_sent", json_false());
    json_object_set_new(object, "created_via_sso", json_false());
    json_object_set_new(object, "teams", render_teams_of_user(request, view, user->id));
    json_object_set_new(object, "contact_methods",
                        render_owned(request, view, TABLE_CONTACT_METHOD, &tocsin__contact_method__descriptor, user->id,
                                     methods ? render_contact_method : refer_contact_method));
    json_object_set_new(object, "notification_rules",
                        render_owned(request, view, TABLE_NOTIFICATION_RULE, &tocsin__notification_rule__descriptor,
                                     user->id, rules ? render_notification_rule : refer_notification_rule));
    json_object_set_new(object, "http_cal_url", json_null());
    json_object_set_new(object, "web_cal_url", json_null());
    return object;
}

/* `query` is searched for in name and address. */
static bool user_matches(struct http_request *request, const void *record)
{
    const Tocsin__User *user = record;
    const char *query = http_query(request, "query");

    return query == NULL || strcasestr(user->name, query) != NULL || strcasestr(user->email, query) != NULL;
}

static bool user_admitted(struct http_request *request, const struct machine_store *view, const void *record)
{
    return query_admits_teams_of_user(request, view, ((const Tocsin__User *)record)->id);
}

const struct resource resource_user = {
    .name = "user",
    .plural = "users",
    .table = TABLE_USER,
    .descriptor = &tocsin__user__descriptor,
    .matches = user_matches,
    .admits = user_admitted,
    .render = render_user,
};

/* ---------------------------------------------------------------- reading */

static void users_list(struct http_request *request)
{
    resource_list(request, &resource_user);
}

static void user_read(struct http_request *request)
{
    uint64_t id;

    if (path_id(request, 0, &id)) {
        resource_get(request, &resource_user, 0, id);
    }
}

static void user_me(struct http_request *request)
{
    uint64_t id = api_call_of(request)->principal.user_id;

    if (id == 0) { /* a bare text where other errors have an object: python-pagerduty looks for it there */
        api_json(request, 400, json_pack("{s:s}", "error", "Can't use users/me with an account-level access token"));
        return;
    }
    resource_get(request, &resource_user, 0, id);
}

/* ---------------------------------------------------------------- writing */

static void take_role(const struct field_target *target, Tocsin__User *user)
{
    int role = 0;
    bool present = false;

    if (field_word(target->reader, "role", words_role, &role, &present) && present) {
        user->role = (Tocsin__Role)role;
        target_mark(target, "role");
    }
}

/* The command for a user from the body; false: answered. */
static bool user_command(struct http_request *request, uint64_t id)
{
    struct field_reader reader;

    if (!body_open(request, "user", &reader)) {
        return false;
    }
    Tocsin__UserPut *put = api_command(request, TOCSIN__COMMAND__BODY_USER_PUT)->user_put;
    Tocsin__User *user = http_alloc(request, sizeof *user);
    tocsin__user__init(user);
    put->id = id;
    put->user = user;
    struct field_target target = {&reader, &tocsin__user__descriptor, &put->fields};

    target_name(&target, "name", LIMIT_USER_NAME_CHARACTERS, "name", id == 0, &user->name);
    target_name(&target, "email", LIMIT_USER_NAME_CHARACTERS, "email", id == 0, &user->email);
    target_text(&target, "time_zone", TIME_ZONE_CHARACTERS_MAX, "time_zone", &user->time_zone);
    target_text(&target, "color", COLOR_CHARACTERS_MAX, "color", &user->color);
    target_text(&target, "job_title", LIMIT_USER_NAME_CHARACTERS, "job_title", &user->job_title);
    target_text(&target, "description", LIMIT_DESCRIPTION_CHARACTERS, "description", &user->description);
    take_role(&target, user);
    if (user->time_zone[0] == '\0') {
        user->time_zone = http_strdup(request, TIME_ZONE_DEFAULT);
    }
    if (id == 0 && user->role == TOCSIN__ROLE__ROLE_NONE) {
        user->role = TOCSIN__ROLE__ROLE_USER;
    }
    return fields_finish(&reader);
}

static void user_create(struct http_request *request)
{
    if (role_require(request, PERMISSION_ADMINISTER) && user_command(request, 0)) {
        resource_save(request, &resource_user, 0, 201);
    }
}

static void user_update(struct http_request *request)
{
    uint64_t id;

    if (!path_id(request, 0, &id) || !role_require_own(request, id) || !user_command(request, id)) {
        return;
    }
    const struct api_call *call = api_call_of(request);
    uint64_t role_bit = field_bit(&tocsin__user__descriptor, "role");
    if ((call->command->user_put->fields & role_bit) && !role_require(request, PERMISSION_ADMINISTER)) {
        return; /* nobody raises the own role */
    }
    resource_save(request, &resource_user, 0, 200);
}

static void user_remove(struct http_request *request)
{
    uint64_t id;

    if (role_require(request, PERMISSION_ADMINISTER) && path_id(request, 0, &id)) {
        api_command(request, TOCSIN__COMMAND__BODY_USER_DELETE)->user_delete->id = id;
        resource_delete(request);
    }
}

/* ---------------------------------------------------------------- routes */

const struct route routes_people[] = {
    {"GET", "/users", users_list, FAMILY_REST, 0},
    {"POST", "/users", user_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/users/me", user_me, FAMILY_REST, 0},
    {"GET", "/users/{}", user_read, FAMILY_REST, 0},
    {"PUT", "/users/{}", user_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"DELETE", "/users/{}", user_remove, FAMILY_REST, 0},
    {"GET", "/users/{}/license", license_read_of_user, FAMILY_REST, 0},
    {"GET", "/licenses", licenses_list, FAMILY_REST, 0},
    {"GET", "/license_allocations", license_allocations_list, FAMILY_REST, 0},
    {"GET", "/users/{}/contact_methods", contact_methods_list, FAMILY_REST, 0},
    {"POST", "/users/{}/contact_methods", contact_method_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/users/{}/contact_methods/{}", contact_method_read, FAMILY_REST, 0},
    {"PUT", "/users/{}/contact_methods/{}", contact_method_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"DELETE", "/users/{}/contact_methods/{}", contact_method_remove, FAMILY_REST, 0},
    {"POST", "/users/{}/contact_methods/{}/verification", contact_code_send, FAMILY_REST, ROUTE_JSON_IF_ANY},
    {"POST", "/users/{}/contact_methods/{}/verify", contact_code_give, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/users/{}/notification_rules", notification_rules_list, FAMILY_REST, 0},
    {"POST", "/users/{}/notification_rules", notification_rule_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/users/{}/notification_rules/{}", notification_rule_read, FAMILY_REST, 0},
    {"PUT", "/users/{}/notification_rules/{}", notification_rule_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"DELETE", "/users/{}/notification_rules/{}", notification_rule_remove, FAMILY_REST, 0},
    {"GET", "/users/{}/oncall_handoff_notification_rules", handoff_rules_list, FAMILY_REST, 0},
    {"POST", "/users/{}/oncall_handoff_notification_rules", handoff_rule_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/users/{}/oncall_handoff_notification_rules/{}", handoff_rule_read, FAMILY_REST, 0},
    {"PUT", "/users/{}/oncall_handoff_notification_rules/{}", handoff_rule_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"DELETE", "/users/{}/oncall_handoff_notification_rules/{}", handoff_rule_remove, FAMILY_REST, 0},
    {"GET", "/users/{}/shift_notifications", notices_list, FAMILY_REST, 0},
    {0},
};
