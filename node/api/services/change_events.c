/*
 * Change events: PagerDuty's POST /v2/change/enqueue, and how they are read: all, of a service, or beside an incident.
 *
 * Beside an incident stand those of its service from the day before it began until it was resolved, the newest first.
 */
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/incidents/incidents.h"
#include "node/api/render.h"
#include "node/api/resource.h"
#include "node/api/router.h"
#include "node/api/schedules/schedules.h"
#include "node/http/utf8.h"

#define TEXT_CHARACTERS_MAX 65536u /* longer than what is kept: it is cut */
#define RELATED_BEFORE_MS (24ull * 3600 * 1000)
#define CONTEXTS_MAX 100u

/* ---------------------------------------------------------------- taking them in */

static char *cut(struct http_request *request, const char *text, size_t characters_max)
{
    size_t size = utf8_prefix_size_bytes(text, characters_max);

    return memcpy(http_alloc(request, size + 1), text, size);
}

static ProtobufCBinaryData keep_json(struct http_request *request, const json_t *value)
{
    ProtobufCBinaryData kept = {.len = json_dumpb(value, NULL, 0, JSON_COMPACT)};

    kept.data = http_alloc(request, kept.len + 1);
    (void)json_dumpb(value, (char *)kept.data, kept.len, JSON_COMPACT);
    return kept;
}

static void take_contexts(struct field_reader *body, const char *name, ProtobufCBinaryData *slot)
{
    json_t *given = NULL;

    if (field_array(body, name, CONTEXTS_MAX, &given) && json_array_size(given) > 0) {
        *slot = keep_json(body->request, given);
    }
}

static void take_timestamp(struct field_reader *payload, Tocsin__ChangeEvent *event)
{
    const char *text = NULL;
    bool present = false;

    if (!field_string(payload, "timestamp", LIMIT_NAME_CHARACTERS, &text, &present) || !present || text[0] == '\0') {
        return;
    }
    event->timestamp = http_strdup(payload->request, text);
    if (!schedule_time_parse(text, &event->at_ms) && !time_parse(text, &event->at_ms)) {
        field_error(payload, "'payload.timestamp' is invalid (must be an ISO 8601 time)");
    }
}

static void take_payload(struct field_reader *body, Tocsin__ChangeEvent *event)
{
    json_t *object = NULL, *details = NULL;
    const char *text = NULL;
    bool present = false;

    if (!field_object(body, "payload", &object)) {
        return;
    }
    if (object == NULL) {
        field_error(body, "'payload' is missing or blank");
        return;
    }
    struct field_reader payload = {body->request, object, "payload.", body->errors};
    if (field_string(&payload, "summary", TEXT_CHARACTERS_MAX, &text, &present)) {
        if (!present || text[strspn(text, " \t\r\n")] == '\0') {
            field_error(&payload, "'payload.summary' is missing or blank");
        } else {
            event->summary = cut(body->request, text, LIMIT_SUMMARY_CHARACTERS);
        }
    }
    if (field_string(&payload, "source", TEXT_CHARACTERS_MAX, &text, &present) && present) {
        event->source = cut(body->request, text, LIMIT_SOURCE_CHARACTERS);
    }
    take_timestamp(&payload, event);
    if (field_object(&payload, "custom_details", &details) && details != NULL) {
        event->details_json = keep_json(body->request, details);
    }
    body->errors = payload.errors;
}

static void refuse(struct http_request *request, unsigned status, json_t *errors)
{
    api_error(request, status, 0, "Event object is invalid", errors);
}

static void on_reply(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status == TOCSIN__STATUS__STATUS_OK) {
        api_json(request, 202, json_pack("{s:s, s:s}", "status", "success", "message", "Change event processed"));
    } else {
        refuse(request, 400,
               json_pack("[s]", reply->reason == TOCSIN__REASON__REASON_UNKNOWN_ROUTING_KEY ? "Invalid routing key"
                                                                                             : reply->message));
    }
}

static void post_change(struct http_request *request)
{
    struct field_reader body = {.request = request, .object = api_call_of(request)->body, .prefix = ""};
    const char *key = NULL;
    bool present = false;

    if (request->body.size_bytes > LIMIT_EVENT_BODY_SIZE_BYTES) {
        refuse(request, 413, json_pack("[s]", "Event size exceeds the limit of 512 KB"));
        return;
    }
    Tocsin__ChangeEventPut *put = api_command(request, TOCSIN__COMMAND__BODY_CHANGE_EVENT_PUT)->change_event_put;
    Tocsin__ChangeEvent *event = put->change_event = http_alloc(request, sizeof *event);
    tocsin__change_event__init(event);
    if (field_string(&body, "routing_key", LIMIT_NAME_CHARACTERS, &key, &present)) {
        if (present && strlen(key) == ROUTING_KEY_CHARACTERS) {
            put->routing_key = http_strdup(request, key);
        } else {
            field_error(&body, "'routing_key' must have 32 characters");
        }
    }
    take_payload(&body, event);
    take_contexts(&body, "links", &event->links_json);
    take_contexts(&body, "images", &event->images_json);
    if (body.errors != NULL) {
        refuse(request, 400, body.errors);
        return;
    }
    api_submit(request, on_reply);
}

/* ---------------------------------------------------------------- rendering */

static json_t *stored(ProtobufCBinaryData bytes, json_t *otherwise)
{
    json_t *value = bytes.len > 0 ? json_loadb((const char *)bytes.data, bytes.len, 0, NULL) : NULL;

    if (value == NULL) {
        return otherwise;
    }
    json_decref(otherwise);
    return value;
}

static json_t *render_change(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__ChangeEvent *event = record;
    const Tocsin__Integration *integration =
        integration_get(view, event->service_id, event->integration_id, request_memory(request));
    char id[16];

    id_format(event->id, id);
    json_t *object = render_head(event->id, "change_event", event->summary, render_self(request, "/change_events/%s", id));
    json_object_set_new(object, "timestamp", json_time(event->at_ms));
    json_object_set_new(object, "source", json_text(event->source));
    json_object_set_new(object, "services", json_pack("[o]", reference_service(request, view, event->service_id)));
    json_object_set_new(object, "integration",
                        integration != NULL ? reference_integration(request, integration) : json_null());
    json_object_set_new(object, "routing_key", json_null()); /* a secret: whoever has it can page people */
    json_object_set_new(object, "links", stored(event->links_json, json_array()));
    json_object_set_new(object, "images", stored(event->images_json, json_array()));
    json_object_set_new(object, "custom_details", stored(event->details_json, json_object()));
    return object;
}

static const struct resource resource_change = {
    .name = "change_event",
    .plural = "change_events",
    .table = TABLE_CHANGE_EVENT,
    .descriptor = &tocsin__change_event__descriptor,
    .render = render_change,
};

/* ---------------------------------------------------------------- lists, the newest first */

struct list_call {
    struct page page;
    uint64_t id; /* of the service or the incident; 0: everything */
    uint64_t since_ms, until_ms;
};

static void list_one(struct http_request *request, const struct machine_store *view, json_t *list, uint64_t id)
{
    struct list_call *state = api_call_of(request)->data;
    Tocsin__ChangeEvent *event = change_event_get(view, id, NULL);

    if (event != NULL && event->at_ms >= state->since_ms && event->at_ms < state->until_ms &&
        query_admits_id(request, "service_ids", event->service_id) &&
        query_admits_id(request, "integration_ids", event->integration_id) && page_take(&state->page)) {
        json_array_append_new(list, render_change(request, view, event));
    }
    tocsin__change_event__free_unpacked(event, NULL);
}

/* Of the service, or (0) all. */
static json_t *list_of(struct http_request *request, const struct machine_store *view, uint64_t service_id)
{
    struct list_call *state = api_call_of(request)->data;
    json_t *list = json_array();
    struct walk walk = service_id != 0 ? walk_under_backward(view, TABLE_CHANGE_EVENT_BY_SERVICE, service_id)
                                       : walk_all_backward(view, TABLE_CHANGE_EVENT);

    while (!page_done(&state->page) && walk_next(&walk)) {
        list_one(request, view, list, span_number(walk.key, service_id != 0 ? 1 : 0));
    }
    return list;
}

static void on_read_list(struct http_request *request, const struct machine_store *view)
{
    struct list_call *state = api_call_of(request)->data;

    if (state->id != 0 && service_get(view, state->id, request_memory(request)) == NULL) {
        api_not_found(request);
        return;
    }
    json_t *answer = json_pack("{s:o}", "change_events", list_of(request, view, state->id));
    page_finish(&state->page, answer);
    api_json(request, 200, answer);
}

/* Why it stands there, in PagerDuty's words. */
static void explain(json_t *list)
{
    json_t *element;
    size_t i;

    json_array_foreach(list, i, element)
    {
        json_object_set_new(element, "correlation_reason", json_pack("{s:s}", "reason", "most_recent"));
    }
}

static void on_read_related(struct http_request *request, const struct machine_store *view)
{
    struct list_call *state = api_call_of(request)->data;
    const Tocsin__Incident *incident = incident_of_path(request, view);

    if (incident == NULL) {
        return;
    }
    state->since_ms = incident->created_at_ms - RELATED_BEFORE_MS;
    state->until_ms = incident->resolved_at_ms != 0 ? incident->resolved_at_ms : UINT64_MAX;
    json_t *list = list_of(request, view, incident->service_id);
    explain(list);
    json_t *answer = json_pack("{s:o}", "change_events", list);
    page_finish(&state->page, answer);
    api_json(request, 200, answer);
}

/* ?since=&until= */
static bool take_span(struct http_request *request, struct list_call *state)
{
    static const char *const NAMES[] = {"since", "until"};
    uint64_t *slots[] = {&state->since_ms, &state->until_ms};

    state->until_ms = UINT64_MAX;
    for (size_t i = 0; i < 2; i++) {
        const char *text = http_query(request, NAMES[i]);
        if (text != NULL && !time_parse(text, slots[i])) {
            struct field_reader reader = {.request = request, .prefix = ""};
            field_error(&reader, "'%s' must be a time in ISO 8601 format", NAMES[i]);
            return fields_finish(&reader);
        }
    }
    return true;
}

static void list(struct http_request *request, bool of_object, void (*on_read)(struct http_request *,
                                                                                const struct machine_store *))
{
    struct list_call *state = http_alloc(request, sizeof *state);

    api_call_of(request)->data = state;
    if ((!of_object || path_id(request, 0, &state->id)) && page_parse(request, &state->page) && take_span(request, state)) {
        api_read(request, on_read);
    }
}

static void changes_list(struct http_request *request)
{
    list(request, false, on_read_list);
}

static void changes_of_service(struct http_request *request)
{
    list(request, true, on_read_list);
}

static void changes_of_incident(struct http_request *request)
{
    list(request, false, on_read_related); /* its number will do */
}

static void change_read(struct http_request *request)
{
    uint64_t id;

    if (path_id(request, 0, &id)) {
        resource_get(request, &resource_change, 0, id);
    }
}

const struct route routes_changes[] = {
    {"POST", "/v2/change/enqueue", post_change, FAMILY_EVENTS, ROUTE_PUBLIC | ROUTE_JSON_BODY},
    {"GET", "/change_events", changes_list, FAMILY_REST, 0},
    {"GET", "/change_events/{}", change_read, FAMILY_REST, 0},
    {"GET", "/services/{}/change_events", changes_of_service, FAMILY_REST, 0},
    {"GET", "/incidents/{}/related_change_events", changes_of_incident, FAMILY_REST, 0},
    {0},
};
