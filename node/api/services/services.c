/* Services: what can break, and which escalation policy hears of it. */
#include <string.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/suppression/suppression.h"
#include "node/api/render.h"
#include "node/api/roles.h"
#include "node/api/services/catalog.h"
#include "node/api/teams/teams.h"

#define TIMEOUT_S_MAX (365u * 24 * 3600)

/* ---------------------------------------------------------------- rendering */

/* Open incidents are counted for each service without their status: as long as there is one, the service is "critical",
 * never PagerDuty's milder "warning" (every open incident acknowledged). */
static const char *status_of(struct http_request *request, const struct machine_store *view,
                             const Tocsin__Service *service)
{
    uint64_t until_ms;

    if (service->disabled) {
        return "disabled";
    }
    if (maintenance_of_service(view, service->id, api_cluster_ms(request), &until_ms) != 0) {
        return "maintenance";
    }
    return service->open_incidents > 0 ? "critical" : "active";
}

static json_t *render_integrations(struct http_request *request, const struct machine_store *view, uint64_t service_id)
{
    bool whole = query_has(request, "include", "integrations");
    json_t *integrations = json_array();
    struct walk walk = walk_under(view, TABLE_INTEGRATION, service_id);

    while (walk_next(&walk)) {
        const Tocsin__Integration *integration =
            record_unpack(&tocsin__integration__descriptor, walk.value, request_memory(request));
        json_array_append_new(integrations, whole ? render_integration(request, view, integration)
                                                  : reference_integration(request, integration));
    }
    return integrations;
}

static json_t *render_policy(struct http_request *request, const struct machine_store *view, uint64_t id)
{
    const Tocsin__EscalationPolicy *policy = query_has(request, "include", "escalation_policies")
                                                 ? escalation_policy_get(view, id, request_memory(request))
                                                 : NULL;

    return policy != NULL ? render_escalation_policy(request, view, policy)
                          : reference_escalation_policy(request, view, id);
}

static json_t *json_timeout(uint32_t seconds)
{
    return seconds > 0 ? json_integer(seconds) : json_null();
}

static void render_response_play(json_t *object, const Tocsin__Service *service)
{
    json_object_set_new(object, "response_play",
                        service->response_play_id[0] != '\0'
                            ? json_pack("{s:s, s:s}", "id", service->response_play_id, "type", "response_play_reference")
                            : json_null());
}

json_t *render_service(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__Service *service = record;
    char id[16];

    id_format(service->id, id);
    json_t *object = render_head(service->id, "service", service->name, render_self(request, "/services/%s", id));
    json_object_set_new(object, "name", json_string(service->name));
    json_object_set_new(object, "description", json_text(service->description));
    json_object_set_new(object, "created_at", json_time(service->created_at_ms));
    json_object_set_new(object, "status", json_string(status_of(request, view, service)));
    json_object_set_new(object, "last_incident_timestamp", json_time(service->last_incident_at_ms));
    json_object_set_new(object, "auto_resolve_timeout", json_timeout(service->auto_resolve_timeout_s));
    json_object_set_new(object, "acknowledgement_timeout", json_timeout(service->acknowledgement_timeout_s));
    json_object_set_new(object, "escalation_policy", render_policy(request, view, service->escalation_policy_id));
    render_urgency_rule(object, service);
    json_object_set_new(object, "integrations", render_integrations(request, view, service->id));
    json_object_set_new(object, "teams", render_teams_of_policy(request, view, service->escalation_policy_id));
    json_object_set_new(object, "addons", json_array());
    render_response_play(object, service);
    json_object_set_new(object, "alert_creation",
                        json_string(service->incidents_only ? "create_incidents" : "create_alerts_and_incidents"));
    render_alert_grouping(object, service->alert_grouping);
    json_object_set_new(object, "auto_pause_notifications_parameters",
                        json_pack("{s:b, s:o}", "enabled", service->auto_pause_s > 0, "timeout",
                                  json_timeout(service->auto_pause_s)));
    return object;
}

/* `query` is searched for in the name, `name` must be it. */
static bool service_matches(struct http_request *request, const void *record)
{
    const Tocsin__Service *service = record;
    const char *query = http_query(request, "query"), *name = http_query(request, "name");

    return (query == NULL || strcasestr(service->name, query) != NULL) &&
           (name == NULL || strcmp(service->name, name) == 0);
}

static bool service_admitted(struct http_request *request, const struct machine_store *view, const void *record)
{
    return query_admits_teams_of_policy(request, view, ((const Tocsin__Service *)record)->escalation_policy_id);
}

static const struct resource resource_service = {
    .name = "service",
    .plural = "services",
    .table = TABLE_SERVICE,
    .descriptor = &tocsin__service__descriptor,
    .matches = service_matches,
    .admits = service_admitted,
    .render = render_service,
};

/* ---------------------------------------------------------------- the command */

/* Seconds; null and 0 turn it off. */
static void take_timeout(const struct field_target *target, const char *name, const char *record_field, uint32_t *slot)
{
    int64_t seconds = 0;
    bool present = false;

    if (field_integer(target->reader, name, 0, TIMEOUT_S_MAX, &seconds, &present) &&
        (present || field_null(target->reader, name))) {
        *slot = (uint32_t)seconds;
        target_mark(target, record_field);
    }
}

static void take_policy(const struct field_target *target, bool required, uint64_t *slot)
{
    bool present = false;

    if (!field_reference(target->reader, "escalation_policy", slot, &present)) {
        return;
    }
    if (present) {
        target_mark(target, "escalation_policy_id");
    } else if (required || field_null(target->reader, "escalation_policy")) {
        field_error(target->reader, "Escalation policy can't be blank: without one nobody would be told");
    }
}

static void take_alert_creation(const struct field_target *target, protobuf_c_boolean *slot)
{
    static const struct word words_creation[] = {
        {0, "create_alerts_and_incidents"}, {1, "create_incidents"}, {0, NULL}};
    int value = 0;
    bool present = false;

    if (field_word(target->reader, "alert_creation", words_creation, &value, &present) && present) {
        *slot = value == 1;
        target_mark(target, "incidents_only");
    }
}

/* There are no response plays here: which one a client wrote is kept, so that it reads what it wrote. */
static void take_response_play(const struct field_target *target, char **slot)
{
    json_t *object = NULL;
    const char *id = "";

    if (!field_object(target->reader, "response_play", &object) ||
        (object == NULL && !field_null(target->reader, "response_play"))) {
        return;
    }
    struct field_reader play = {target->reader->request, object, "response_play.", target->reader->errors};
    if (object == NULL || field_string(&play, "id", LIMIT_NAME_CHARACTERS, &id, NULL)) {
        *slot = http_strdup(target->reader->request, id);
        target_mark(target, "response_play_id");
    }
    target->reader->errors = play.errors;
}

/* PagerDuty's times to choose from; without one that is given, its default. */
static void take_auto_pause(const struct field_target *target, uint32_t *slot)
{
    static const int64_t TIMES_S[] = {120, 180, 300, 600, 900};
    json_t *object = NULL;
    bool enabled = false, present = false, known = false;
    int64_t timeout_s = TIMES_S[0];

    if (!field_object(target->reader, "auto_pause_notifications_parameters", &object) || object == NULL) {
        return;
    }
    struct field_reader pause = {target->reader->request, object, "auto_pause_notifications_parameters.",
                                 target->reader->errors};
    if (field_boolean(&pause, "enabled", &enabled, NULL) &&
        field_integer(&pause, "timeout", 0, LIMIT_AUTO_PAUSE_SECONDS, &timeout_s, &present)) {
        for (size_t i = 0; i < sizeof TIMES_S / sizeof *TIMES_S; i++) {
            known = known || TIMES_S[i] == timeout_s;
        }
        if (enabled && !known) {
            field_error(&pause, "'auto_pause_notifications_parameters.timeout' must be 120, 180, 300, 600 or 900");
        }
        *slot = enabled ? (uint32_t)timeout_s : 0;
        target_mark(target, "auto_pause_s");
    }
    target->reader->errors = pause.errors;
}

/* Of the states that a service is in, only "disabled" is anybody's choice. */
static void take_status(const struct field_target *target, protobuf_c_boolean *slot)
{
    enum { ENABLED, DISABLED };
    static const struct word words_status[] = {
        {ENABLED, "active"},      {ENABLED, "warning"},   {ENABLED, "critical"},
        {ENABLED, "maintenance"}, {DISABLED, "disabled"}, {0, NULL},
    };
    int status = ENABLED;
    bool present = false;

    if (field_word(target->reader, "status", words_status, &status, &present) && present) {
        *slot = status == DISABLED;
        target_mark(target, "disabled");
    }
}

static bool service_command(struct http_request *request, uint64_t id)
{
    struct field_reader reader;

    if (!body_open(request, "service", &reader)) {
        return false;
    }
    Tocsin__ServicePut *put = api_command(request, TOCSIN__COMMAND__BODY_SERVICE_PUT)->service_put;
    Tocsin__Service *service = http_alloc(request, sizeof *service);
    tocsin__service__init(service);
    put->id = id;
    put->service = service;
    service->urgency = TOCSIN__URGENCY__URGENCY_HIGH;
    service->acknowledgement_timeout_s = DEFAULT_ACKNOWLEDGEMENT_TIMEOUT_S;
    struct field_target target = {&reader, &tocsin__service__descriptor, &put->fields};

    target_name(&target, "name", LIMIT_NAME_CHARACTERS, "name", id == 0, &service->name);
    target_text(&target, "description", LIMIT_DESCRIPTION_CHARACTERS, "description", &service->description);
    take_policy(&target, id == 0, &service->escalation_policy_id);
    take_timeout(&target, "acknowledgement_timeout", "acknowledgement_timeout_s", &service->acknowledgement_timeout_s);
    take_timeout(&target, "auto_resolve_timeout", "auto_resolve_timeout_s", &service->auto_resolve_timeout_s);
    take_urgency(&target, put);
    take_alert_creation(&target, &service->incidents_only);
    take_alert_grouping(&target, &service->alert_grouping);
    take_auto_pause(&target, &service->auto_pause_s);
    take_response_play(&target, &service->response_play_id);
    take_status(&target, &service->disabled);
    return fields_finish(&reader);
}

/* ---------------------------------------------------------------- handlers */

void services_list(struct http_request *request)
{
    resource_list(request, &resource_service);
}

void service_read(struct http_request *request)
{
    uint64_t id;

    if (path_id(request, 0, &id)) {
        resource_get(request, &resource_service, 0, id);
    }
}

void service_create(struct http_request *request)
{
    if (role_require(request, PERMISSION_CONFIGURE) && service_command(request, 0)) {
        resource_save(request, &resource_service, 0, 201);
    }
}

void service_update(struct http_request *request)
{
    uint64_t id;

    if (role_require(request, PERMISSION_CONFIGURE) && path_id(request, 0, &id) && service_command(request, id)) {
        resource_save(request, &resource_service, 0, 200);
    }
}

void service_remove(struct http_request *request)
{
    uint64_t id;

    if (role_require(request, PERMISSION_CONFIGURE) && path_id(request, 0, &id)) {
        api_command(request, TOCSIN__COMMAND__BODY_SERVICE_DELETE)->service_delete->id = id;
        resource_delete(request);
    }
}
