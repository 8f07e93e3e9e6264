/*
 * Opsgenie's Alert API (contracts/opsgenie-alert-api.md), as far as Alertmanager's receiver and everyday scripts need it.
 *
 *     alert      an incident; its id, its number as tinyId
 *     alias      the dedup key of an alert, among those of the integration whose key asks
 *     GenieKey   the key of an integration, or a token, which cannot create
 *
 * Opsgenie queues a write and answers 202; here it is applied before the answer. What became of it stands in the request's
 * id itself, so that every node can tell: incident (6 bytes), version 8 of RFC 9562 and action, success, variant and
 * two bytes at random, time (6 bytes).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/heartbeats/heartbeats.h"
#include "node/api/incidents/incidents.h"
#include "node/api/orchestration/event_submit.h"
#include "node/api/render.h"
#include "node/api/router.h"
#include "node/http/utf8.h"

#define UUID_BYTES 16u
#define UUID_SIZE_BYTES 37u
#define LISTED_MAX 100u
#define LISTED_DEFAULT 20u
#define DESCRIPTION_CHARACTERS 15000u

enum action { CREATE = 1, CLOSE, ACKNOWLEDGE, NOTE, SNOOZE, MESSAGE, DESCRIPTION };

static const char *const action_words[] = {[CREATE] = "Create",   [CLOSE] = "Close",     [ACKNOWLEDGE] = "Acknowledge",
                                           [NOTE] = "AddNote",    [SNOOZE] = "Snooze",   [MESSAGE] = "UpdateMessage",
                                           [DESCRIPTION] = "UpdateDescription"};
#define ACTIONS_COUNT (sizeof action_words / sizeof *action_words)

/* Lives in call->data. */
struct alert_call {
    enum action action;
    uint64_t incident_id;
};

/* ---------------------------------------------------------------- the id of a request */

static const char *request_id_make(struct http_request *request, enum action action, uint64_t incident_id, bool done)
{
    const struct api_ports *ports = &api_call_of(request)->api->ports;
    uint64_t now_ms = ports->cluster_ms(ports->context);
    uint8_t bytes[UUID_BYTES];
    char *text = http_alloc(request, UUID_SIZE_BYTES);
    size_t length = 0;

    ports->random(ports->context, bytes, sizeof bytes);
    for (unsigned i = 0; i < 6; i++) {
        bytes[i] = (uint8_t)(incident_id >> (8 * (5 - i)));
        bytes[10 + i] = (uint8_t)(now_ms >> (8 * (5 - i)));
    }
    bytes[6] = (uint8_t)(0x80 | (unsigned)action);
    bytes[7] = done ? 1 : 0;
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
    unsigned action = uuid != NULL ? bytes[6] & 15u : 0;
    return uuid != NULL && bytes[6] >> 4 == 8 && action < ACTIONS_COUNT && action_words[action] != NULL;
}

static void answer_accepted(struct http_request *request, bool done)
{
    const struct alert_call *state = api_call_of(request)->data;

    api_json(request, 202,
             json_pack("{s:s, s:f, s:s}", "result", "Request will be processed", "took", 0.0, "requestId",
                       request_id_make(request, state->action, state->incident_id, done)));
}

static void on_reply(struct http_request *request, const Tocsin__Reply *reply)
{
    struct alert_call *state = api_call_of(request)->data;

    if (reply->reason == TOCSIN__REASON__REASON_UNKNOWN_ROUTING_KEY) {
        api_error(request, 401, 2006, "Key is not valid", NULL);
    } else if (reply->status == TOCSIN__STATUS__STATUS_LIMIT) {
        answer_unavailable(request, "The cluster is full: try again"); /* another refusal would have the sender drop it */
    } else {
        state->incident_id = state->incident_id == 0 && reply->n_ids > 0 ? reply->ids[0] : state->incident_id;
        bool done = reply->status == TOCSIN__STATUS__STATUS_OK && reply->reason != TOCSIN__REASON__REASON_NO_OPEN_ALERT &&
                    (reply->n_parts == 0 || reply->parts[0]->status == TOCSIN__STATUS__STATUS_OK);
        answer_accepted(request, done);
    }
}

/* ---------------------------------------------------------------- which incident */

static bool is_alias(const struct http_request *request)
{
    const char *type = http_query(request, "identifierType");

    return type != NULL && strcmp(type, "alias") == 0;
}

/* The alias as a dedup key: one that is longer than those may be goes by its hash. */
static const char *key_of_alias(struct http_request *request, const char *alias)
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

/* By the alias of an open alert, by id or by number; NULL when there is none that who asks may see. */
static const Tocsin__Incident *find(struct http_request *request, const struct machine_store *view)
{
    const struct api_call *call = api_call_of(request);
    const Tocsin__Incident *incident = NULL;

    if (!is_alias(request)) {
        incident = incident_find(request, view, call->parameters[0]);
    } else if (call->source.key != NULL) {
        Tocsin__Alert *alert = alert_get_open(view, call->source.integration_id,
                                              key_of_alias(request, call->parameters[0]), request_memory(request));
        incident = alert != NULL ? incident_get(view, alert->incident_id, request_memory(request)) : NULL;
    }
    bool other = incident != NULL && call->source.key != NULL && incident->service_id != call->source.service_id;
    return other ? NULL : incident;
}

/* ---------------------------------------------------------------- create */

static Tocsin__Severity severity_of(const char *priority)
{
    static const Tocsin__Severity by_digit[] = {TOCSIN__SEVERITY__SEVERITY_CRITICAL, TOCSIN__SEVERITY__SEVERITY_ERROR,
                                                TOCSIN__SEVERITY__SEVERITY_ERROR, TOCSIN__SEVERITY__SEVERITY_WARNING,
                                                TOCSIN__SEVERITY__SEVERITY_INFO};
    bool known = priority != NULL && priority[0] == 'P' && priority[1] >= '1' && priority[1] <= '5' && priority[2] == '\0';

    return known ? by_digit[priority[1] - '1'] : TOCSIN__SEVERITY__SEVERITY_ERROR; /* as P3: a page is not lost for it */
}

/* A text of the body, cut; "" when it is none. */
static char *text_of(struct http_request *request, const char *name, size_t characters_max)
{
    const char *text = json_string_value(json_object_get(api_call_of(request)->body, name));

    text = text != NULL ? text : "";
    size_t size = utf8_prefix_size_bytes(text, characters_max);
    return memcpy(http_alloc(request, size + 1), text, size);
}

/* What the sender wrote beside its message, as custom_details. */
static void fill_details(struct http_request *request, Tocsin__Event *event)
{
    static const char *const kept[] = {"description", "details", "tags", "entity", "priority", "note", "responders"};
    json_t *details = json_object();

    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        json_t *value = json_object_get(api_call_of(request)->body, kept[i]);
        if (value != NULL && !json_is_null(value)) {
            json_object_set(details, kept[i], value);
        }
    }
    event->details_json.len = json_dumpb(details, NULL, 0, JSON_COMPACT);
    event->details_json.data = http_alloc(request, event->details_json.len + 1);
    (void)json_dumpb(details, (char *)event->details_json.data, event->details_json.len, JSON_COMPACT);
    event->detail_hashes = event_detail_hashes(request, details);
    json_decref(details);
}

static struct alert_call *begin(struct http_request *request, enum action action)
{
    struct alert_call *state = http_alloc(request, sizeof *state);

    state->action = action;
    return state;
}

static void on_created(struct http_request *request, const Tocsin__Reply *reply)
{
    api_call_of(request)->data = begin(request, CREATE);
    on_reply(request, reply);
}

static void alert_create(struct http_request *request)
{
    const char *key = api_call_of(request)->source.key;
    const char *alias = text_of(request, "alias", LIMIT_EVENT_BODY_SIZE_BYTES);
    Tocsin__Event *event = http_alloc(request, sizeof *event);

    tocsin__event__init(event);
    event->summary = text_of(request, "message", LIMIT_SUMMARY_CHARACTERS);
    if (key == NULL) {
        api_error(request, 422, 2001, "Alerts are created with the key of an integration, not with a token", NULL);
        return;
    }
    if (event->summary[strspn(event->summary, " \t\r\n")] == '\0') {
        api_error(request, 422, 2001, "Message can not be empty", NULL);
        return;
    }
    event->routing_key = http_strdup(request, key);
    event->dedup_key = alias[0] != '\0' ? http_strdup(request, key_of_alias(request, alias)) : uuid_make(request);
    event->source = text_of(request, "source", LIMIT_SOURCE_CHARACTERS);
    event->component = text_of(request, "entity", LIMIT_DESCRIPTION_CHARACTERS);
    event->severity = severity_of(json_string_value(json_object_get(api_call_of(request)->body, "priority")));
    event->repeated = true;
    fill_details(request, event);
    event_submit(request, event, on_created);
}

/* ---------------------------------------------------------------- close and acknowledge */

static void on_ended(struct http_request *request, const Tocsin__Reply *reply)
{
    bool close = strcmp(request->parts[request->parts_count - 1], "close") == 0;

    api_call_of(request)->data = begin(request, close ? CLOSE : ACKNOWLEDGE);
    on_reply(request, reply);
}

/* By the integration's own alias as its event: the others of the incident's alerts stay open. */
static void end_by_alias(struct http_request *request, Tocsin__EventAction action)
{
    const struct api_call *call = api_call_of(request);
    Tocsin__Event *event = http_alloc(request, sizeof *event);

    tocsin__event__init(event);
    event->action = action;
    event->routing_key = http_strdup(request, call->source.key);
    event->dedup_key = http_strdup(request, key_of_alias(request, call->parameters[0]));
    event_submit(request, event, on_ended);
}

/* ---------------------------------------------------------------- the other writes */

static Tocsin__IncidentChange *change_of(struct http_request *request, uint64_t id)
{
    Tocsin__IncidentUpdate *update = api_command(request, TOCSIN__COMMAND__BODY_INCIDENT_UPDATE)->incident_update;
    Tocsin__IncidentChange *change = http_alloc(request, sizeof *change);

    update->changes = http_alloc(request, sizeof *update->changes);
    update->changes[update->n_changes++] = change;
    tocsin__incident_change__init(change);
    change->id = id;
    return change;
}

static void note_command(struct http_request *request, uint64_t id, const char *text)
{
    Tocsin__NoteCreate *note = api_command(request, TOCSIN__COMMAND__BODY_NOTE_CREATE)->note_create;

    note->incident_id = id;
    note->content = http_strdup(request, text);
}

static void snooze_command(struct http_request *request, uint64_t id)
{
    const struct api_ports *ports = &api_call_of(request)->api->ports;
    uint64_t now_ms = ports->cluster_ms(ports->context), until_ms = 0;
    Tocsin__IncidentSnooze *snooze = api_command(request, TOCSIN__COMMAND__BODY_INCIDENT_SNOOZE)->incident_snooze;

    (void)time_parse(text_of(request, "endTime", LIMIT_NAME_CHARACTERS), &until_ms);
    uint64_t seconds = until_ms > now_ms ? (until_ms - now_ms + 999) / 1000 : 0;
    snooze->incident_id = id;
    snooze->duration_s = seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX; /* the machine judges the bounds */
}

static void command_of(struct http_request *request, enum action action, uint64_t id)
{
    switch (action) {
    case CLOSE:
        change_of(request, id)->status = TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED;
        return;
    case ACKNOWLEDGE:
        change_of(request, id)->status = TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED;
        return;
    case SNOOZE:
        snooze_command(request, id);
        return;
    case MESSAGE:
        change_of(request, id)->title = text_of(request, "message", LIMIT_SUMMARY_CHARACTERS);
        return;
    case DESCRIPTION: /* what was written first stays as it is */
        note_command(request, id, text_of(request, "description", DESCRIPTION_CHARACTERS));
        return;
    case NOTE:
    case CREATE:
        note_command(request, id, text_of(request, "note", LIMIT_NOTE_CHARACTERS));
        return;
    }
}

static void on_view(struct http_request *request, const struct machine_store *view)
{
    struct alert_call *state = api_call_of(request)->data;
    const Tocsin__Incident *incident = find(request, view);

    if (incident == NULL) {
        answer_accepted(request, false); /* Opsgenie finds it out later, too: its id says so */
        return;
    }
    state->incident_id = incident->id;
    command_of(request, state->action, incident->id);
    api_submit(request, on_reply);
}

/* `field`: without it there is nothing to do; NULL: none is needed. */
static void change(struct http_request *request, enum action action, const char *field)
{
    api_call_of(request)->data = begin(request, action);
    if (field == NULL || text_of(request, field, 1)[0] != '\0') {
        api_read(request, on_view);
    } else if (action == MESSAGE || action == DESCRIPTION) {
        answer_accepted(request, true); /* Alertmanager leaves out what is empty */
    } else {
        api_error(request, 422, 2001, action == NOTE ? "Note can not be empty" : "End time can not be empty", NULL);
    }
}

static void alert_close(struct http_request *request)
{
    if (is_alias(request) && api_call_of(request)->source.key != NULL) {
        end_by_alias(request, TOCSIN__EVENT_ACTION__EVENT_RESOLVE);
    } else {
        change(request, CLOSE, NULL);
    }
}

static void alert_acknowledge(struct http_request *request)
{
    if (is_alias(request) && api_call_of(request)->source.key != NULL) {
        end_by_alias(request, TOCSIN__EVENT_ACTION__EVENT_ACKNOWLEDGE);
    } else {
        change(request, ACKNOWLEDGE, NULL);
    }
}

static void alert_note(struct http_request *request)
{
    change(request, NOTE, "note");
}

static void alert_snooze(struct http_request *request)
{
    change(request, SNOOZE, "endTime");
}

static void alert_message(struct http_request *request)
{
    change(request, MESSAGE, "message");
}

static void alert_description(struct http_request *request)
{
    change(request, DESCRIPTION, "description");
}

/* ---------------------------------------------------------------- reading */

static json_t *render(const Tocsin__Incident *incident)
{
    char number[24];
    bool closed = incident->status == TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED;

    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)incident->number);
    return json_pack("{s:o, s:s, s:s, s:s, s:s, s:b, s:b, s:o, s:i, s:o, s:o, s:[]}", "id", json_id(incident->id), "tinyId",
                     number, "alias", incident->incident_key, "message", incident->title, "status",
                     closed ? "closed" : "open", "acknowledged",
                     incident->status == TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED, "snoozed",
                     incident->snooze_due_ms != 0, "snoozedUntil", json_time(incident->snooze_due_ms), "count",
                     (int)(incident->alerts_triggered + incident->alerts_resolved), "createdAt",
                     json_time(incident->created_at_ms), "updatedAt", json_time(incident->updated_at_ms), "tags");
}

static void answer_data(struct http_request *request, json_t *data)
{
    api_json(request, 200, opsgenie_answer(request, json_pack("{s:o}", "data", data)));
}

static void on_read(struct http_request *request, const struct machine_store *view)
{
    const Tocsin__Incident *incident = find(request, view);

    if (incident == NULL) {
        api_not_found(request);
    } else {
        answer_data(request, render(incident));
    }
}

static void alert_show(struct http_request *request)
{
    api_read(request, on_read);
}

/* The newest first. `query` may name a status; NULL for `alerts`: they are counted only. */
static size_t collect(struct http_request *request, const struct machine_store *view, size_t limit, json_t *alerts)
{
    const struct event_source *source = &api_call_of(request)->source;
    const char *query = http_query(request, "query");
    bool open_only = query != NULL && strstr(query, "status:open") != NULL;
    bool closed_only = query != NULL && strstr(query, "status:closed") != NULL;
    struct walk walk = walk_all_backward(view, TABLE_INCIDENT);
    size_t count = 0;

    for (unsigned seen = 0; seen < SCAN_ROWS_MAX && count < limit && walk_next(&walk); seen++) {
        Tocsin__Incident *incident = record_unpack(&tocsin__incident__descriptor, walk.value, NULL);
        if (incident == NULL) {
            continue;
        }
        bool closed = incident->status == TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED;
        bool seen_by = source->key != NULL ? incident->service_id == source->service_id
                                           : incident_visible(request, view, incident);
        if (seen_by && !(open_only && closed) && !(closed_only && !closed)) {
            count++;
            if (alerts != NULL) {
                json_array_append_new(alerts, render(incident));
            }
        }
        tocsin__incident__free_unpacked(incident, NULL);
    }
    return count;
}

static void on_list(struct http_request *request, const struct machine_store *view)
{
    const char *given = http_query(request, "limit");
    unsigned limit = LISTED_DEFAULT;
    json_t *alerts = json_array();

    if (given != NULL && given[0] != '\0' && given[strspn(given, "0123456789")] == '\0') {
        unsigned long asked = strtoul(given, NULL, 10); /* the largest when it does not fit */
        limit = asked < LISTED_MAX ? (unsigned)asked : LISTED_MAX;
    }
    (void)collect(request, view, limit, alerts);
    api_json(request, 200, opsgenie_answer(request, json_pack("{s:o, s:{}}", "data", alerts, "paging")));
}

static void alerts_show(struct http_request *request)
{
    api_read(request, on_list);
}

static void on_count(struct http_request *request, const struct machine_store *view)
{
    answer_data(request, json_pack("{s:I}", "count", (json_int_t)collect(request, view, SIZE_MAX, NULL)));
}

static void alerts_count(struct http_request *request)
{
    api_read(request, on_count);
}

static void request_read(struct http_request *request)
{
    uint8_t bytes[UUID_BYTES];
    uint64_t incident_id = 0, at_ms = 0;

    if (!request_id_take(request, api_call_of(request)->parameters[0], bytes)) {
        api_not_found(request);
        return;
    }
    for (unsigned i = 0; i < 6; i++) {
        incident_id = incident_id << 8 | bytes[i];
        at_ms = at_ms << 8 | bytes[10 + i];
    }
    bool done = bytes[7] == 1;
    answer_data(request,
                json_pack("{s:b, s:b, s:s, s:o, s:s, s:o}", "success", done, "isSuccess", done, "action",
                          action_words[bytes[6] & 15u], "processedAt", json_time(at_ms), "status",
                          done ? "Request was processed" : "Alert does not exist, or the request does not fit its state",
                          "alertId", incident_id != 0 ? json_id(incident_id) : json_string("")));
}

#define KEYED (ROUTE_SOURCE_KEY | ROUTE_JSON_IF_ANY)

const struct route routes_opsgenie_alerts[] = {
    {"POST", "/v2/alerts", alert_create, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY | ROUTE_JSON_BODY},
    {"GET", "/v2/alerts", alerts_show, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"GET", "/v2/alerts/count", alerts_count, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"GET", "/v2/alerts/requests/{}", request_read, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"GET", "/v2/alerts/{}", alert_show, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"POST", "/v2/alerts/{}/close", alert_close, FAMILY_OPSGENIE, KEYED},
    {"POST", "/v2/alerts/{}/acknowledge", alert_acknowledge, FAMILY_OPSGENIE, KEYED},
    {"POST", "/v2/alerts/{}/notes", alert_note, FAMILY_OPSGENIE, KEYED},
    {"POST", "/v2/alerts/{}/snooze", alert_snooze, FAMILY_OPSGENIE, KEYED},
    {"PUT", "/v2/alerts/{}/message", alert_message, FAMILY_OPSGENIE, KEYED},
    {"PUT", "/v2/alerts/{}/description", alert_description, FAMILY_OPSGENIE, KEYED},
    {0},
};
