/* Integrations: the keys under which event sources reach a service. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/render.h"
#include "node/api/roles.h"
#include "node/api/services/catalog.h"

#define TYPE_CHARACTERS_MAX 100u
#define TYPE_DEFAULT "events_api_v2_inbound_integration"

json_t *render_integration(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__Integration *integration = record;
    json_t *object = reference_integration(request, integration);

    json_object_set_new(object, "type", json_string(integration->type));
    json_object_set_new(object, "name", json_string(integration->name));
    json_object_set_new(object, "service", reference_service(request, view, integration->service_id));
    json_object_set_new(object, "created_at", json_time(integration->created_at_ms));
    json_object_set_new(object, "integration_key", json_string(integration->key));
    json_object_set_new(object, "integration_email", json_null());
    json_object_set_new(object, "vendor", reference_vendor(request, integration->vendor_id));
    json_object_set_new(object, "last_event_at", json_time(integration->heard != NULL ? integration->heard->last_at_ms : 0));
    return object;
}

static const struct resource resource_integration = {
    .name = "integration",
    .plural = "integrations",
    .table = TABLE_INTEGRATION,
    .descriptor = &tocsin__integration__descriptor,
    .render = render_integration,
};

/* 32 lower-case hexadecimal digits. Made before the command is sent, so that it is the same on every node. */
static char *new_key(struct http_request *request)
{
    static const char digits[] = "0123456789abcdef";
    const struct api_ports *ports = &api_call_of(request)->api->ports;
    unsigned char random[ROUTING_KEY_CHARACTERS / 2];
    char *key = http_alloc(request, ROUTING_KEY_CHARACTERS + 1);

    ports->random(ports->context, random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        key[2 * i] = digits[random[i] >> 4];
        key[2 * i + 1] = digits[random[i] & 15];
    }
    return key;
}

static bool is_type(const char *text)
{
    static const char ending[] = "_integration";
    size_t length = strlen(text), ending_length = sizeof ending - 1;

    return length > ending_length && strcmp(text + length - ending_length, ending) == 0 &&
           text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

/* PagerDuty has some dozens of types and adds more: whatever looks like one is kept as given. */
static void take_type(const struct field_target *target, char **slot)
{
    static const char reference_ending[] = "_reference";
    const char *text = "";
    bool present = false;

    if (!field_string(target->reader, "type", TYPE_CHARACTERS_MAX, &text, &present) || !present) {
        return;
    }
    char *type = http_strdup(target->reader->request, text);
    size_t length = strlen(type), ending_length = sizeof reference_ending - 1;
    if (length > ending_length && strcmp(type + length - ending_length, reference_ending) == 0) {
        type[length - ending_length] = '\0';
    }
    if (strcmp(type, "service_integration") == 0) { /* Terraform's word for none */
        return;
    }
    if (!is_type(type)) {
        field_error(target->reader, "Type must be that of an integration, such as " TYPE_DEFAULT);
        return;
    }
    *slot = type;
    target_mark(target, "type");
}

static void take_vendor(const struct field_target *target, uint64_t *slot)
{
    bool present = false;

    if (field_reference(target->reader, "vendor", slot, &present) &&
        (present || field_null(target->reader, "vendor"))) {
        target_mark(target, "vendor_id");
    }
}

/* Without a type of its own it is the vendor's. */
static void take_type_of_vendor(struct http_request *request, Tocsin__Integration *integration)
{
    const char *service_type = vendor_service_type(integration->vendor_id);

    if (integration->type[0] != '\0') {
        return;
    }
    if (service_type == NULL) {
        integration->type = http_strdup(request, TYPE_DEFAULT);
        return;
    }
    char type[TYPE_CHARACTERS_MAX + 1];
    int length = snprintf(type, sizeof type, "%s_inbound_integration", service_type);
    assert(length > 0 && (size_t)length < sizeof type);
    integration->type = http_strdup(request, type);
}

static bool integration_command(struct http_request *request, uint64_t service_id, uint64_t id)
{
    struct field_reader reader;

    if (!body_open(request, "integration", &reader)) {
        return false;
    }
    Tocsin__IntegrationPut *put = api_command(request, TOCSIN__COMMAND__BODY_INTEGRATION_PUT)->integration_put;
    Tocsin__Integration *integration = http_alloc(request, sizeof *integration);
    tocsin__integration__init(integration);
    put->id = id;
    put->integration = integration;
    integration->service_id = service_id;
    struct field_target target = {&reader, &tocsin__integration__descriptor, &put->fields};

    target_name(&target, "name", LIMIT_NAME_CHARACTERS, "name", false, &integration->name);
    take_type(&target, &integration->type);
    take_vendor(&target, &integration->vendor_id);
    if (id == 0) {
        integration->key = new_key(request);
        take_type_of_vendor(request, integration);
        if (integration->name[0] == '\0') {
            integration->name = integration->type;
        }
    }
    return fields_finish(&reader);
}

/* ---------------------------------------------------------------- handlers */

void integration_read(struct http_request *request)
{
    uint64_t service_id, id;

    if (path_id(request, 0, &service_id) && path_id(request, 1, &id)) {
        resource_get(request, &resource_integration, service_id, id);
    }
}

void integration_create(struct http_request *request)
{
    uint64_t service_id;

    if (role_require(request, PERMISSION_CONFIGURE) && path_id(request, 0, &service_id) &&
        integration_command(request, service_id, 0)) {
        resource_save(request, &resource_integration, service_id, 201);
    }
}

void integration_update(struct http_request *request)
{
    uint64_t service_id, id;

    if (role_require(request, PERMISSION_CONFIGURE) && path_id(request, 0, &service_id) && path_id(request, 1, &id) &&
        integration_command(request, service_id, id)) {
        resource_save(request, &resource_integration, service_id, 200);
    }
}

void integration_remove(struct http_request *request)
{
    uint64_t service_id, id;

    if (role_require(request, PERMISSION_CONFIGURE) && path_id(request, 0, &service_id) && path_id(request, 1, &id)) {
        Tocsin__IntegrationDelete *command =
            api_command(request, TOCSIN__COMMAND__BODY_INTEGRATION_DELETE)->integration_delete;
        command->service_id = service_id;
        command->id = id;
        resource_delete(request);
    }
}
