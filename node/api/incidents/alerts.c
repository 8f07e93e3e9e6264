/* Alerts of an incident: what the event sources sent. */
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/incidents/incidents.h"
#include "node/api/render.h"
#include "node/api/roles.h"
#include "node/api/suppression/suppression.h"

/* Stored JSON text; null when there is none or it has left with retention. */
static json_t *stored_json(ProtobufCBinaryData bytes)
{
    const char *text = (const char *)bytes.data;
    json_t *value = bytes.len > 0 ? json_loadb(text, bytes.len, JSON_DECODE_ANY, NULL) : NULL;

    return value != NULL ? value : json_null();
}

/* What the sender wrote; `cef_details` repeats it in PagerDuty's own terms and is not here. */
static json_t *render_body(const struct machine_store *view, const Tocsin__Alert *alert)
{
    Tocsin__AlertPayload *payload = alert_payload_get(view, alert->id, NULL);
    json_t *body = json_pack("{s:s}", "type", "alert_body");
    json_t *contexts = payload != NULL ? stored_json(payload->contexts_json) : json_null();

    if (!json_is_array(contexts)) {
        json_decref(contexts);
        contexts = json_array();
    }
    json_object_set_new(body, "contexts", contexts);
    json_object_set_new(body, "details", payload != NULL ? stored_json(payload->details_json) : json_null());
    if (payload != NULL) {
        json_object_set_new(body, "source", json_text(payload->source));
        json_object_set_new(body, "component", json_text(payload->component));
        json_object_set_new(body, "group", json_text(payload->group));
        json_object_set_new(body, "class", json_text(payload->class_name));
        json_object_set_new(body, "client", json_text(payload->client));
        json_object_set_new(body, "client_url", json_text(payload->client_url));
        json_object_set_new(body, "timestamp", json_text(payload->timestamp));
        tocsin__alert_payload__free_unpacked(payload, NULL);
    }
    return body;
}

/* `incident` is NULL for one that is held back, or was until it was resolved. */
json_t *render_alert(struct http_request *request, const struct machine_store *view,
                            const Tocsin__Incident *incident, const Tocsin__Alert *alert)
{
    char incident_id[16], id[16];
    const Tocsin__Integration *integration =
        integration_get(view, alert->service_id, alert->integration_id, request_memory(request));

    id_format(alert->incident_id, incident_id);
    id_format(alert->id, id);
    json_t *object = render_head(alert->id, "alert", alert->summary,
                                 incident != NULL ? render_self(request, "/incidents/%s/alerts/%s", incident_id, id)
                                                  : render_self(request, "/alerts/%s", id));
    json_object_set_new(object, "created_at", json_time(alert->created_at_ms));
    json_object_set_new(object, "updated_at", json_time(alert->updated_at_ms));
    json_object_set_new(object, "resolved_at", json_time(alert->resolved_at_ms));
    json_object_set_new(object, "status", json_string(alert->resolved ? "resolved" : "triggered"));
    json_object_set_new(object, "alert_key", json_text(alert->dedup_key));
    json_object_set_new(object, "severity", json_word(words_severity, (int)alert->severity));
    json_object_set_new(object, "suppressed", json_boolean(incident == NULL));
    json_object_set_new(object, "suppression", render_suppression(request, view, alert));
    json_object_set_new(object, "service", reference_service(request, view, alert->service_id));
    json_object_set_new(object, "incident", incident != NULL ? reference_incident(request, incident) : json_null());
    json_object_set_new(object, "integration",
                        integration != NULL ? reference_integration(request, integration) : json_null());
    json_object_set_new(object, "first_trigger_log_entry", json_null());
    json_object_set_new(object, "body", render_body(view, alert));
    json_object_set_new(object, "events", json_integer(alert->events)); /* ours: how many triggers it has taken */
    return object;
}

/* statuses[] and alert_key; what is given must fit. */
bool alert_matches(const struct http_request *request, const Tocsin__Alert *alert)
{
    const char *key = http_query(request, "alert_key");

    return (!query_given(request, "statuses") ||
            query_has(request, "statuses", alert->resolved ? "resolved" : "triggered")) &&
           (key == NULL || strcmp(key, alert->dedup_key) == 0);
}

static void on_read_list(struct http_request *request, const struct machine_store *view)
{
    struct page *page = api_call_of(request)->data;
    const Tocsin__Incident *incident = incident_of_path(request, view);

    if (incident == NULL) {
        return;
    }
    json_t *alerts = json_array(), *answer = json_pack("{s:o}", "alerts", alerts);
    struct walk walk = walk_under(view, TABLE_ALERT, incident->id);
    while (!incident->alerts_hidden && !page_done(page) && walk_next(&walk)) {
        Tocsin__Alert *alert = record_unpack(&tocsin__alert__descriptor, walk.value, NULL);
        if (alert_matches(request, alert) && page_take(page)) {
            json_array_append_new(alerts, render_alert(request, view, incident, alert));
        }
        tocsin__alert__free_unpacked(alert, NULL);
    }
    page_finish(page, answer);
    api_json(request, 200, answer);
}

void alerts_list(struct http_request *request)
{
    struct page *page = http_alloc(request, sizeof *page);

    api_call_of(request)->data = page;
    if (page_parse(request, page)) {
        api_read(request, on_read_list);
    }
}

static void on_read_one(struct http_request *request, const struct machine_store *view)
{
    uint64_t id = api_call_of(request)->id;
    const Tocsin__Incident *incident = incident_of_path(request, view);

    if (incident == NULL) {
        return;
    }
    const Tocsin__Alert *alert = alert_get(view, incident->id, id, request_memory(request));
    if (alert == NULL || incident->alerts_hidden) {
        api_not_found(request);
        return;
    }
    api_json(request, 200, json_pack("{s:o}", "alert", render_alert(request, view, incident, alert)));
}

void alert_read(struct http_request *request)
{
    if (path_id(request, 1, &api_call_of(request)->id)) {
        api_read(request, on_read_one);
    }
}

/* ---------------------------------------------------------------- resolving and moving */

static void take_change(struct field_reader *reader, Tocsin__AlertChange *change)
{
    static const struct word words_status[] = {{false, "triggered"}, {true, "resolved"}, {0, NULL}};
    int resolve = false;

    (void)field_word(reader, "status", words_status, &resolve, NULL); /* "triggered" changes nothing */
    change->resolve = resolve != false;
    (void)field_reference(reader, "incident", &change->incident_id, NULL);
}

static Tocsin__AlertChange *add_change(struct http_request *request, Tocsin__AlertsUpdate *update)
{
    Tocsin__AlertChange *change = http_alloc(request, sizeof *change);

    tocsin__alert_change__init(change);
    update->changes[update->n_changes++] = change;
    return change;
}

/* The alert wherever it is now: under the path's incident, or where it was moved to. */
static const Tocsin__Alert *find_changed(struct http_request *request, const struct machine_store *view,
                                         const Tocsin__AlertsUpdate *update, const Tocsin__AlertChange *change)
{
    uint64_t incident_id = change->incident_id != 0 ? change->incident_id : update->incident_id;

    return alert_get(view, incident_id, change->id, request_memory(request));
}

static void on_read_updated(struct http_request *request, const struct machine_store *view)
{
    const struct api_call *call = api_call_of(request);
    const Tocsin__AlertsUpdate *update = call->command->alerts_update;
    json_t *alerts = json_array();

    for (size_t i = 0; i < update->n_changes; i++) {
        const Tocsin__Alert *alert = find_changed(request, view, update, update->changes[i]);
        const Tocsin__Incident *incident =
            alert != NULL ? incident_get(view, alert->incident_id, request_memory(request)) : NULL;
        if (incident != NULL) {
            json_array_append_new(alerts, render_alert(request, view, incident, alert));
        }
    }
    if (call->parameters[1] == NULL) {
        api_json(request, 200, json_pack("{s:o}", "alerts", alerts));
    } else if (json_array_size(alerts) == 1) {
        api_json(request, 200, json_pack("{s:O}", "alert", json_array_get(alerts, 0)));
        json_decref(alerts);
    } else {
        json_decref(alerts);
        api_not_found(request);
    }
}

static void on_updated(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        api_refused(request, reply);
        return;
    }
    api_read(request, on_read_updated);
}

void alert_update(struct http_request *request)
{
    struct field_reader reader;
    uint64_t id;

    if (!path_id(request, 1, &id) || !role_require(request, PERMISSION_RESPOND) ||
        !body_open(request, "alert", &reader)) {
        return;
    }
    Tocsin__AlertsUpdate *update = api_command(request, TOCSIN__COMMAND__BODY_ALERTS_UPDATE)->alerts_update;
    update->changes = http_alloc(request, sizeof *update->changes);
    Tocsin__AlertChange *change = add_change(request, update);
    change->id = id;
    take_change(&reader, change);
    if (fields_finish(&reader)) {
        incident_submit(request, &update->incident_id, on_updated);
    }
}

void alerts_update(struct http_request *request)
{
    struct field_reader reader = {.request = request, .object = api_call_of(request)->body, .prefix = ""};
    json_t *alerts = NULL, *element;
    size_t i;

    if (!role_require(request, PERMISSION_RESPOND)) {
        return;
    }
    if (json_array_size(json_object_get(reader.object, "alerts")) > LIMIT_INCIDENTS_PER_UPDATE) {
        api_error(request, 413, 2001, "Too many alerts: 250 at most in one request", NULL);
        return;
    }
    Tocsin__AlertsUpdate *update = api_command(request, TOCSIN__COMMAND__BODY_ALERTS_UPDATE)->alerts_update;
    if (field_array(&reader, "alerts", LIMIT_INCIDENTS_PER_UPDATE, &alerts) && json_array_size(alerts) == 0) {
        field_error(&reader, "The body must hold an array named 'alerts' with at least one alert");
    }
    update->changes = http_alloc(request, (json_array_size(alerts) + 1) * sizeof *update->changes);
    json_array_foreach(alerts, i, element)
    {
        struct field_reader one = {request, element, "alerts[].", reader.errors};
        const char *id = json_string_value(json_object_get(element, "id"));
        Tocsin__AlertChange *change = add_change(request, update);
        change->id = id != NULL ? id_parse(id) : 0;
        if (change->id == 0) {
            field_error(&one, "'alerts[].id' must be the id of an alert");
        }
        take_change(&one, change);
        reader.errors = one.errors;
    }
    if (fields_finish(&reader)) {
        incident_submit(request, &update->incident_id, on_updated);
    }
}
