/* Orchestrations and their integrations; the routes of event orchestration. */
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/orchestration/orchestration.h"
#include "node/api/orchestration/paths.h"
#include "node/api/roles.h"

/* ---------------------------------------------------------------- integrations */

static json_t *render_integration(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__OrchestrationIntegration *integration = record;
    (void)request;
    (void)view;
    return json_pack("{s:o, s:s, s:{s:s, s:s}}", "id", json_id(integration->id), "label", integration->label, "parameters",
                     "routing_key", integration->key, "type", "global");
}

static const struct resource resource_integration = {
    .name = "integration",
    .plural = "integrations",
    .table = TABLE_ORCHESTRATION_INTEGRATION,
    .descriptor = &tocsin__orchestration_integration__descriptor,
    .render = render_integration,
};

/* R and 31 lower-case hexadecimal digits: PagerDuty's keys of this kind begin so. Made before the command is sent. */
static char *new_key(struct http_request *request)
{
    static const char digits[] = "0123456789abcdef";
    const struct api_ports *ports = &api_call_of(request)->api->ports;
    unsigned char random[ROUTING_KEY_CHARACTERS];
    char *key = http_alloc(request, ROUTING_KEY_CHARACTERS + 1);
    ports->random(ports->context, random, sizeof random);
    key[0] = 'R';
    for (size_t i = 1; i < ROUTING_KEY_CHARACTERS; i++) {
        key[i] = digits[random[i] & 15];
    }
    return key;
}

static void integration_save(struct http_request *request, uint64_t orchestration_id, uint64_t id)
{
    struct field_reader reader;
    if (!body_open(request, "integration", &reader)) {
        return;
    }
    Tocsin__OrchestrationIntegrationPut *put =
        api_command(request, TOCSIN__COMMAND__BODY_ORCHESTRATION_INTEGRATION_PUT)->orchestration_integration_put;
    Tocsin__OrchestrationIntegration *integration = http_alloc(request, sizeof *integration);
    const char *label = "";
    tocsin__orchestration_integration__init(integration);
    put->id = id;
    put->integration = integration;
    integration->orchestration_id = orchestration_id;
    integration->key = new_key(request);
    if (field_string(&reader, "label", LIMIT_NAME_CHARACTERS, &label, NULL) && label[strspn(label, " \t\r\n")] == '\0') {
        field_error(&reader, "Label can't be blank"); /* it is the name by which its events are told */
    }
    integration->label = http_strdup(request, label);
    if (fields_finish(&reader)) {
        resource_save(request, &resource_integration, orchestration_id, id == 0 ? 201 : 200);
    }
}

static void integration_create(struct http_request *request)
{
    uint64_t orchestration_id;
    if (role_require(request, PERMISSION_CONFIGURE) && path_id(request, 0, &orchestration_id)) {
        integration_save(request, orchestration_id, 0);
    }
}

static void integration_update(struct http_request *request)
{
    uint64_t orchestration_id, id;
    if (role_require(request, PERMISSION_CONFIGURE) && path_id(request, 0, &orchestration_id) &&
        path_id(request, 1, &id)) {
        integration_save(request, orchestration_id, id);
    }
}

static void integration_read(struct http_request *request)
{
    uint64_t orchestration_id, id;
    if (path_id(request, 0, &orchestration_id) && path_id(request, 1, &id)) {
        resource_get(request, &resource_integration, orchestration_id, id);
    }
}

static void integration_remove(struct http_request *request)
{
    uint64_t orchestration_id, id;
    if (role_require(request, PERMISSION_CONFIGURE) && path_id(request, 0, &orchestration_id) &&
        path_id(request, 1, &id)) {
        Tocsin__OrchestrationIntegrationDelete *command =
            api_command(request, TOCSIN__COMMAND__BODY_ORCHESTRATION_INTEGRATION_DELETE)
                ->orchestration_integration_delete;
        command->orchestration_id = orchestration_id;
        command->id = id;
        resource_delete(request);
    }
}

/* ---------------------------------------------------------------- orchestrations */

static json_t *render_integrations(struct http_request *request, const struct machine_store *view, uint64_t id)
{
    json_t *list = json_array();
    struct walk walk = walk_under(view, TABLE_ORCHESTRATION_INTEGRATION, id);
    while (walk_next(&walk)) {
        Tocsin__OrchestrationIntegration *integration =
            record_unpack(&tocsin__orchestration_integration__descriptor, walk.value, request_memory(request));
        if (integration != NULL) {
            json_array_append_new(list, render_integration(request, view, integration));
        }
    }
    return list;
}

static json_t *render_team(struct http_request *request, uint64_t team_id)
{
    char text[16];
    if (team_id == 0) {
        return json_null();
    }
    id_format(team_id, text);
    return json_pack("{s:s, s:s, s:o}", "id", text, "type", "team_reference", "self", render_self(request, "/teams/%s", text));
}

static json_t *render_orchestration(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__Orchestration *orchestration = record;
    char text[16];
    id_format(orchestration->id, text);
    json_t *object = json_pack("{s:s, s:o, s:s, s:o}", "id", text, "self",
                               render_self(request, "/event_orchestrations/%s", text), "name", orchestration->name,
                               "description", json_text(orchestration->description));
    json_object_set_new(object, "team", render_team(request, orchestration->team_id));
    json_object_set_new(object, "integrations", render_integrations(request, view, orchestration->id));
    json_object_set_new(object, "routes", json_integer(orchestration->routes));
    json_object_set_new(object, "created_at", json_time(orchestration->created_at_ms));
    json_object_set_new(object, "created_by", reference_user_short(request, orchestration->created_by_user_id));
    json_object_set_new(object, "updated_at", json_time(orchestration->updated_at_ms));
    json_object_set_new(object, "updated_by", reference_user_short(request, orchestration->updated_by_user_id));
    json_object_set_new(object, "version", json_format("%llu", (unsigned long long)orchestration->updated_at_ms));
    return object;
}

static const struct resource resource_orchestration = {
    .name = "orchestration",
    .plural = "orchestrations",
    .table = TABLE_ORCHESTRATION,
    .descriptor = &tocsin__orchestration__descriptor,
    .render = render_orchestration,
};

/* Terraform writes {"team": {"id": null}} for none. */
static void take_team(const struct field_target *target, uint64_t *slot)
{
    json_t *team = NULL;
    if (!field_object(target->reader, "team", &team)) {
        return;
    }
    json_t *id = json_object_get(team, "id");
    if (team != NULL && id != NULL && !json_is_null(id)) {
        *slot = json_is_string(id) ? id_parse(json_string_value(id)) : 0;
        if (*slot == 0) {
            field_error(target->reader, "'team' must be a reference with the id of an object");
        }
    }
    if (json_object_get(target->reader->object, "team") != NULL) {
        target_mark(target, "team_id");
    }
}

static void orchestration_save(struct http_request *request, uint64_t id)
{
    struct field_reader reader;
    if (!body_open(request, "orchestration", &reader)) {
        return;
    }
    Tocsin__OrchestrationPut *put =
        api_command(request, TOCSIN__COMMAND__BODY_ORCHESTRATION_PUT)->orchestration_put;
    Tocsin__Orchestration *orchestration = http_alloc(request, sizeof *orchestration);
    tocsin__orchestration__init(orchestration);
    put->id = id;
    put->orchestration = orchestration;
    put->key = new_key(request);
    struct field_target target = {&reader, &tocsin__orchestration__descriptor, &put->fields};
    target_name(&target, "name", LIMIT_NAME_CHARACTERS, "name", id == 0, &orchestration->name);
    target_text(&target, "description", LIMIT_DESCRIPTION_CHARACTERS, "description", &orchestration->description);
    take_team(&target, &orchestration->team_id);
    if (fields_finish(&reader)) {
        resource_save(request, &resource_orchestration, 0, id == 0 ? 201 : 200);
    }
}

static void orchestrations_list(struct http_request *request)
{
    resource_list(request, &resource_orchestration);
}

static void orchestration_create(struct http_request *request)
{
    if (role_require(request, PERMISSION_CONFIGURE)) {
        orchestration_save(request, 0);
    }
}

static void orchestration_read(struct http_request *request)
{
    uint64_t id;
    if (path_id(request, 0, &id)) {
        resource_get(request, &resource_orchestration, 0, id);
    }
}

static void orchestration_update(struct http_request *request)
{
    uint64_t id;
    if (role_require(request, PERMISSION_CONFIGURE) && path_id(request, 0, &id)) {
        orchestration_save(request, id);
    }
}

static void orchestration_remove(struct http_request *request)
{
    uint64_t id;
    if (role_require(request, PERMISSION_CONFIGURE) && path_id(request, 0, &id)) {
        api_command(request, TOCSIN__COMMAND__BODY_ORCHESTRATION_DELETE)->orchestration_delete->id = id;
        resource_delete(request);
    }
}

static void integrations_list(struct http_request *request)
{
    uint64_t id;
    if (path_id(request, 0, &id)) {
        resource_list_under(request, &resource_integration, &resource_orchestration, id);
    }
}

#define BASE "/event_orchestrations"

/* The words services, integrations and the like stand before {}: the first that fits is taken. */
const struct route routes_orchestration[] = {
    {"GET", BASE, orchestrations_list, FAMILY_REST, 0},
    {"POST", BASE, orchestration_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", BASE "/services/{}", service_path_read, FAMILY_REST, 0},
    {"PUT", BASE "/services/{}", service_path_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", BASE "/services/{}/active", service_active_read, FAMILY_REST, 0},
    {"PUT", BASE "/services/{}/active", service_active_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"POST", BASE "/services/{}/dry_run", service_dry_run, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", BASE "/{}", orchestration_read, FAMILY_REST, 0},
    {"PUT", BASE "/{}", orchestration_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"DELETE", BASE "/{}", orchestration_remove, FAMILY_REST, 0},
    {"POST", BASE "/{}/dry_run", orchestration_dry_run, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", BASE "/{}/events_aside", events_aside_list, FAMILY_REST, 0},
    {"GET", BASE "/{}/integrations", integrations_list, FAMILY_REST, 0},
    {"POST", BASE "/{}/integrations", integration_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", BASE "/{}/integrations/{}", integration_read, FAMILY_REST, 0},
    {"PUT", BASE "/{}/integrations/{}", integration_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"DELETE", BASE "/{}/integrations/{}", integration_remove, FAMILY_REST, 0},
    {"GET", BASE "/{}/{}", path_read_handler, FAMILY_REST, 0},
    {"PUT", BASE "/{}/{}", path_update_handler, FAMILY_REST, ROUTE_JSON_BODY},
    {0},
};
