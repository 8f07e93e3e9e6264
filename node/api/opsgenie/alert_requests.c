/*
 * Which alert is meant, and what became of a request.
 *
 * The fate of a request stands in its id, so that every node can tell: incident (6 bytes), version 8 of RFC 9562, action and
 * result (1 byte), variant and two bytes at random, time (6 bytes).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/incidents/visibility.h"
#include "consensus/machine/limits.h"
#include "node/api/heartbeats/heartbeats.h"
#include "node/api/incidents/incidents.h"
#include "node/api/opsgenie/opsgenie.h"
#include "node/http/utf8.h"

#define UUID_BYTES 16u
#define UUID_SIZE_BYTES 37u
#define RESULT_BITS 2u
/* The newest incidents that are looked through for an alias that no open alert has. */
#define ALIAS_ROWS_MAX 10000u

static const char *const action_words[] = {
    [ALERT_CREATE] = "Create",
    [ALERT_CLOSE] = "Close",
    [ALERT_ACKNOWLEDGE] = "Acknowledge",
    [ALERT_NOTE] = "AddNote",
    [ALERT_SNOOZE] = "Snooze",
    [ALERT_MESSAGE] = "UpdateMessage",
    [ALERT_DESCRIPTION] = "UpdateDescription",
    [ALERT_TAGS] = "AddTags",
    [ALERT_TAGS_GONE] = "RemoveTags",
    [ALERT_DETAILS] = "AddDetails",
    [ALERT_DETAILS_GONE] = "RemoveDetails",
    [ALERT_PRIORITY] = "UpdatePriority",
    [ALERT_UNACKNOWLEDGE] = "UnAcknowledge",
    [ALERT_ASSIGN] = "AssignOwnership",
    [ALERT_RESPONDER] = "AddResponder",
    [ALERT_TEAM] = "AddTeam",
    [ALERT_ESCALATE] = "EscalateToNext",
    [ALERT_DELETE] = "Delete",
};
#define ACTIONS_COUNT (sizeof action_words / sizeof *action_words)

/* ---------------------------------------------------------------- the id of a request */

static const char *request_id_make(struct http_request *request, enum alert_action action, uint64_t incident_id,
                                   enum alert_result result)
{
    const struct api_ports *ports = &api_call_of(request)->api->ports;
    uint64_t now_ms = api_cluster_ms(request);
    uint8_t bytes[UUID_BYTES];
    char *text = http_alloc(request, UUID_SIZE_BYTES);
    size_t length = 0;

    ports->random(ports->context, bytes, sizeof bytes);
    for (unsigned i = 0; i < 6; i++) {
        bytes[i] = (uint8_t)(incident_id >> (8 * (5 - i)));
        bytes[10 + i] = (uint8_t)(now_ms >> (8 * (5 - i)));
    }
    bytes[6] = (uint8_t)(0x80 | (bytes[6] & 0x0f));
    bytes[7] = (uint8_t)((unsigned)action << RESULT_BITS | (unsigned)result);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof bytes; i++) {
        length += (size_t)snprintf(text + length, UUID_SIZE_BYTES - length, "%s%02x",
                                   i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
    }
    return text;
}

/* Of a hexadecimal digit as uuid_take leaves them. */
static unsigned digit_value(char digit)
{
    return (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

/* False: no id of ours. */
static bool request_id_take(struct http_request *request, const char *text, uint8_t bytes[UUID_BYTES])
{
    const char *uuid = uuid_take(request, text);

    for (size_t i = 0; uuid != NULL && i < UUID_BYTES; i++, uuid += 2) {
        uuid += *uuid == '-' ? 1 : 0;
        bytes[i] = (uint8_t)(digit_value(uuid[0]) << 4 | digit_value(uuid[1]));
    }
    unsigned action = uuid != NULL ? bytes[7] >> RESULT_BITS : 0;
    unsigned result = uuid != NULL ? bytes[7] & ((1u << RESULT_BITS) - 1) : 0;
    return uuid != NULL && bytes[6] >> 4 == 8 && action < ACTIONS_COUNT && action_words[action] != NULL &&
           result <= RESULT_NO_ALERT;
}

void alert_accepted(struct http_request *request, enum alert_action action, uint64_t incident_id, enum alert_result result)
{
    opsgenie_json(request, 202,
                  json_pack("{s:s, s:s}", "result", "Request will be processed", "requestId",
                            request_id_make(request, action, incident_id, result)));
}

static const char *status_text(enum alert_action action, enum alert_result result)
{
    if (result == RESULT_NO_ALERT) {
        return "Alert does not exist";
    }
    if (result == RESULT_UNFIT) {
        return "The request does not fit the state of the alert";
    }
    return action == ALERT_CREATE ? "Created alert" : "Request was processed";
}

static void on_alias_view(struct http_request *request, const struct machine_store *view)
{
    const uint8_t *bytes = api_call_of(request)->data;
    uint64_t incident_id = 0, at_ms = 0;

    for (unsigned i = 0; i < 6; i++) {
        incident_id = incident_id << 8 | bytes[i];
        at_ms = at_ms << 8 | bytes[10 + i];
    }
    enum alert_action action = (enum alert_action)(bytes[7] >> RESULT_BITS);
    enum alert_result result = (enum alert_result)(bytes[7] & ((1u << RESULT_BITS) - 1));
    const Tocsin__Incident *incident = incident_id != 0 ? incident_get(view, incident_id, request_memory(request)) : NULL;
    bool visible = incident != NULL && alert_visible(request, view, incident);
    bool done = result == RESULT_DONE;
    opsgenie_data(request, 200,
                  json_pack("{s:b, s:b, s:s, s:o, s:s, s:s, s:o, s:s}", "success", done, "isSuccess", done, "action",
                            action_words[action], "processedAt", json_time(at_ms), "integrationId", "", "status",
                            status_text(action, result), "alertId",
                            incident_id != 0 ? json_id(incident_id) : json_string(""), "alias",
                            visible ? incident->incident_key : ""));
}

void alert_request_read(struct http_request *request)
{
    uint8_t *bytes = http_alloc(request, UUID_BYTES);

    if (!request_id_take(request, api_call_of(request)->parameters[0], bytes)) {
        api_not_found(request);
        return;
    }
    api_call_of(request)->data = bytes;
    api_read(request, on_alias_view);
}

/* ---------------------------------------------------------------- which alert */

static const char *identifier_type(const struct http_request *request)
{
    const char *type = http_query(request, "identifierType");

    return type != NULL && type[0] != '\0' ? type : "id";
}

bool identifier_check(struct http_request *request)
{
    const char *type = identifier_type(request);

    if (strcmp(type, "id") == 0 || strcmp(type, "alias") == 0 || strcmp(type, "tiny") == 0) {
        return true;
    }
    api_error(request, 422, 2001, "The identifierType must be id, alias or tiny", NULL);
    return false;
}

bool identifier_is_alias(const struct http_request *request)
{
    return strcmp(identifier_type(request), "alias") == 0;
}

const char *alias_key(struct http_request *request, const char *alias)
{
    if (text_fits(alias, LIMIT_DEDUP_KEY_CHARACTERS)) {
        return alias;
    }
    struct key hash = key_hash(alias);
    char *text = http_alloc(request, 2 * sizeof hash.bytes + 1);
    for (size_t i = 0; i < hash.size_bytes; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", hash.bytes[i]);
    }
    return text;
}

bool alert_visible(struct http_request *request, const struct machine_store *view, const Tocsin__Incident *incident)
{
    const struct event_source *source = &api_call_of(request)->source;

    if (incident->labels != NULL && incident->labels->deleted) {
        return false;
    }
    if (source->key == NULL) {
        return incident_visible(request, view, incident);
    }
    /* A key is nobody's: what only a team may see it may close, and not read. */
    bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    return incident->service_id == source->service_id && !(reads && incident_is_secret(incident));
}

/* The newest with this key that who asks may see. */
static const Tocsin__Incident *find_latest(struct http_request *request, const struct machine_store *view, const char *key)
{
    struct walk walk = walk_all_backward(view, TABLE_INCIDENT);

    for (unsigned seen = 0; seen < ALIAS_ROWS_MAX && walk_next(&walk); seen++) {
        Tocsin__Incident *incident = record_unpack(&tocsin__incident__descriptor, walk.value, NULL);
        bool found = incident != NULL && strcmp(incident->incident_key, key) == 0 && alert_visible(request, view, incident);
        uint64_t id = found ? incident->id : 0;
        if (incident != NULL) {
            tocsin__incident__free_unpacked(incident, NULL);
        }
        if (found) {
            return incident_get(view, id, request_memory(request));
        }
    }
    return NULL;
}

static const Tocsin__Incident *find_alias(struct http_request *request, const struct machine_store *view)
{
    const struct api_call *call = api_call_of(request);
    const char *key = alias_key(request, call->parameters[0]);
    const Tocsin__Alert *alert =
        call->source.key != NULL ? alert_get_open(view, call->source.integration_id, key, request_memory(request)) : NULL;

    if (alert != NULL) {
        const Tocsin__Incident *incident = incident_get(view, alert->incident_id, request_memory(request));
        return incident != NULL && alert_visible(request, view, incident) ? incident : NULL;
    }
    return find_latest(request, view, key);
}

const Tocsin__Incident *alert_find(struct http_request *request, const struct machine_store *view)
{
    if (identifier_is_alias(request)) {
        return find_alias(request, view);
    }
    const Tocsin__Incident *incident = incident_find(request, view, api_call_of(request)->parameters[0]);
    return incident != NULL && alert_visible(request, view, incident) ? incident : NULL;
}

char *alert_text(struct http_request *request, const char *name, size_t characters_max)
{
    const char *text = json_string_value(json_object_get(api_call_of(request)->body, name));

    text = text != NULL ? text : http_query(request, name);
    text = text != NULL ? text : "";
    size_t size = utf8_prefix_size_bytes(text, characters_max);
    return memcpy(http_alloc(request, size + 1), text, size);
}
