/*
 * Opsgenie's heartbeats (https://docs.opsgenie.com/docs/heartbeat-api): found by name, with an interval and no grace.
 *
 * The interval is waited out, and a minute more for the way. One field is ours: `service`, as in checks.c. A ping is
 * answered 202 for unknown names too, as Opsgenie does: jobs that only fire and forget must not fail by it.
 */
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/heartbeats/heartbeats.h"
#include "node/api/opsgenie/opsgenie.h"
#include "node/api/render.h"
#include "node/api/resource.h"
#include "node/api/roles.h"
#include "node/api/router.h"

#define GRACE_S 60u
#define LISTED_MAX 10000u

/* From the largest, so that an interval is told in the largest unit that holds it. */
static const struct {
    const char *word;
    uint32_t seconds;
} units[] = {{"days", 86400}, {"hours", 3600}, {"minutes", 60}};
#define UNITS_COUNT (sizeof units / sizeof *units)

/* Lives in call->data. */
struct heartbeat_call {
    void (*on_found)(struct http_request *request, const Tocsin__Heartbeat *heartbeat);
    unsigned status;
    bool is_ping;
    bool enabled, enabled_given; /* to be brought about after the command */
};

/* ---------------------------------------------------------------- answers */

static json_t *render(struct http_request *request, const struct machine_store *view,
                      const Tocsin__Heartbeat *heartbeat)
{
    const Tocsin__HeartbeatState *state = heartbeat_state_read(request, view, heartbeat->id);
    size_t unit = 0;

    while (unit + 1 < UNITS_COUNT && heartbeat->period_s % units[unit].seconds != 0) {
        unit++;
    }
    const Tocsin__IncidentLabels *labels = heartbeat->alert_labels;
    json_t *tags = json_array();
    for (size_t i = 0; labels != NULL && i < labels->n_tags; i++) {
        json_array_append_new(tags, json_string(labels->tags[i]));
    }
    return json_pack("{s:s, s:s, s:i, s:s, s:b, s:b, s:o, s:o, s:s, s:o, s:o}", "name", heartbeat->name, "description",
                     heartbeat->description, "interval", (int)(heartbeat->period_s / units[unit].seconds),
                     "intervalUnit", units[unit].word, "enabled",
                     state->status != TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_PAUSED, "expired",
                     state->status == TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_DOWN, "lastPingTime",
                     json_time(state->last_ping_ms), "service", json_id(heartbeat->service_id), "alertMessage",
                     heartbeat->alert_message, "alertTags", tags, "alertPriority",
                     labels != NULL && labels->priority != 0 ? json_format("P%u", labels->priority) : json_null());
}

static void answer_pong(struct http_request *request)
{
    opsgenie_json(request, 202, json_pack("{s:s}", "result", "PONG - Heartbeat received"));
}

static void refused(struct http_request *request, const Tocsin__Reply *reply)
{
    unsigned status = reply->status == TOCSIN__STATUS__STATUS_NOT_FOUND ? 404
                      : reply->status == TOCSIN__STATUS__STATUS_LIMIT   ? 429
                                                                        : 422;
    api_error(request, status, 2001, reply->message, NULL);
}

/* ---------------------------------------------------------------- after a command */

static void on_saved_view(struct http_request *request, const struct machine_store *view)
{
    const struct api_call *call = api_call_of(request);
    const struct heartbeat_call *state = call->data;
    const Tocsin__Heartbeat *heartbeat = heartbeat_get(view, call->id, request_memory(request));

    if (heartbeat == NULL) { /* deleted meanwhile */
        api_not_found(request);
        return;
    }
    opsgenie_data(request, state->status, render(request, view, heartbeat));
}

static void on_switched(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status != TOCSIN__STATUS__STATUS_OK && reply->reason != TOCSIN__REASON__REASON_NOT_PAUSED) {
        refused(request, reply);
        return;
    }
    api_read(request, on_saved_view);
}

static void switch_to(struct http_request *request, bool enabled)
{
    Tocsin__HeartbeatPause *pause = api_command(request, TOCSIN__COMMAND__BODY_HEARTBEAT_PAUSE)->heartbeat_pause;

    pause->id = api_call_of(request)->id;
    pause->resume = enabled;
    api_submit(request, on_switched);
}

static void on_saved(struct http_request *request, const Tocsin__Reply *reply)
{
    struct heartbeat_call *state = api_call_of(request)->data;
    bool created = reply->reason == TOCSIN__REASON__REASON_CREATED;

    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        refused(request, reply);
        return;
    }
    state->status = created ? 201 : 200;
    api_call_of(request)->id = reply->ids[0];
    if (state->enabled_given && !(created && state->enabled)) {
        switch_to(request, state->enabled);
    } else {
        api_read(request, on_saved_view);
    }
}

/* ---------------------------------------------------------------- which one */

static void on_view(void *argument, const struct machine_store *view, bool stale)
{
    struct http_request *request = argument;
    struct api_call *call = api_call_of(request);
    const struct heartbeat_call *state = call->data;

    if (view == NULL) {
        answer_stopped(request);
        return;
    }
    uint64_t id = heartbeat_next_by_name(view, call->parameters[0], 0);
    const Tocsin__Heartbeat *heartbeat = id != 0 ? heartbeat_get(view, id, request_memory(request)) : NULL;
    if (heartbeat != NULL) {
        call->id = id;
        if (state->on_found != NULL) {
            state->on_found(request, heartbeat);
        } else {
            opsgenie_data(request, 200, render(request, view, heartbeat));
        }
    } else if (stale) {
        answer_unavailable(request, "The cluster has no leader at the moment: try again");
    } else if (state->is_ping) {
        answer_pong(request);
    } else {
        api_not_found(request);
    }
}

/* `on_found` NULL: it is shown. */
static struct heartbeat_call *find(struct http_request *request,
                                   void (*on_found)(struct http_request *, const Tocsin__Heartbeat *))
{
    struct heartbeat_call *state = http_alloc(request, sizeof *state);

    state->on_found = on_found;
    state->status = 200;
    api_call_of(request)->data = state;
    return state;
}

static void begin(struct http_request *request)
{
    struct api_ports *ports = &api_call_of(request)->api->ports;

    ports->read(ports->context, true, on_view, request);
}

/* ---------------------------------------------------------------- the body */

static void take_interval(const struct field_target *target, bool required, uint32_t *slot)
{
    const char *word = "minutes";
    int64_t interval = 0;
    bool has_interval = false, has_unit = false;

    if (!field_integer(target->reader, "interval", 1, LIMIT_HEARTBEAT_SECONDS_MAX, &interval, &has_interval) ||
        !field_string(target->reader, "intervalUnit", LIMIT_NAME_CHARACTERS, &word, &has_unit)) {
        return;
    }
    if (has_interval != has_unit || (required && !has_interval)) {
        field_error(target->reader, "'interval' and 'intervalUnit' must be given together");
        return;
    }
    for (size_t i = 0; has_interval && i < UNITS_COUNT; i++) {
        if (strcmp(word, units[i].word) == 0 && interval <= LIMIT_HEARTBEAT_SECONDS_MAX / units[i].seconds) {
            *slot = (uint32_t)interval * units[i].seconds;
            target_mark(target, "period_s");
            target_mark(target, "schedule"); /* an interval takes its place */
            target_mark(target, "time_zone");
            return;
        }
    }
    if (has_interval) {
        field_error(target->reader, "The interval must be at most a year, in minutes, hours or days");
    }
}

static void take_tags(const struct field_target *target, Tocsin__IncidentLabels *labels)
{
    struct http_request *request = target->reader->request;
    json_t *tags = json_object_get(target->reader->object, "alertTags"), *tag;
    size_t i;

    if (json_array_size(tags) > LIMIT_TAGS_PER_INCIDENT || !json_is_array(tags)) {
        field_error(target->reader, "'alertTags' must be an array of at most 20 texts");
        return;
    }
    labels->n_tags = 0;
    labels->tags = http_alloc(request, LIMIT_TAGS_PER_INCIDENT * sizeof *labels->tags);
    json_array_foreach(tags, i, tag)
    {
        const char *text = json_string_value(tag);
        if (text == NULL || text[0] == '\0' || !text_fits(text, LIMIT_TAG_CHARACTERS)) {
            field_error(target->reader, "'alertTags[]' must be texts of 1 to 50 characters");
            return;
        }
        labels->tags[labels->n_tags++] = http_strdup(request, text);
    }
}

/* What its incidents say and carry; what is not given stays as it was. */
static void take_alert(const struct field_target *target, const Tocsin__Heartbeat *before, Tocsin__Heartbeat *heartbeat)
{
    struct http_request *request = target->reader->request;
    json_t *priority = json_object_get(target->reader->object, "alertPriority");
    bool has_tags = json_object_get(target->reader->object, "alertTags") != NULL;

    target_text(target, "alertMessage", LIMIT_HEARTBEAT_ALERT_CHARACTERS, "alert_message", &heartbeat->alert_message);
    if (priority == NULL && !has_tags) {
        return;
    }
    heartbeat->alert_labels = http_alloc(request, sizeof *heartbeat->alert_labels);
    tocsin__incident_labels__init(heartbeat->alert_labels);
    if (before != NULL && before->alert_labels != NULL) {
        *heartbeat->alert_labels = *before->alert_labels;
    }
    target_mark(target, "alert_labels");
    if (has_tags) {
        take_tags(target, heartbeat->alert_labels);
    }
    if (priority != NULL) {
        heartbeat->alert_labels->priority = priority_number(json_string_value(priority));
        if (heartbeat->alert_labels->priority == 0) {
            field_error(target->reader, "'alertPriority' must be one of P1 to P5");
        }
    }
}

/* The command from the body; false: answered. `before` is NULL for a new one. */
static bool heartbeat_command(struct http_request *request, const Tocsin__Heartbeat *before)
{
    uint64_t id = before != NULL ? before->id : 0;
    struct field_reader reader = {.request = request, .object = api_call_of(request)->body, .prefix = ""};
    struct heartbeat_call *state = api_call_of(request)->data;
    Tocsin__HeartbeatPut *put = api_command(request, TOCSIN__COMMAND__BODY_HEARTBEAT_PUT)->heartbeat_put;
    Tocsin__Heartbeat *heartbeat = http_alloc(request, sizeof *heartbeat);
    struct field_target target = {&reader, &tocsin__heartbeat__descriptor, &put->fields};
    const char *service = NULL;

    tocsin__heartbeat__init(heartbeat);
    put->id = id;
    put->heartbeat = heartbeat;
    heartbeat->key = uuid_make(request);
    heartbeat->grace_s = GRACE_S;
    heartbeat->manual_resume = true; /* while it is disabled, pings do not enable it */
    if (id == 0) {
        target_name(&target, "name", LIMIT_HEARTBEAT_NAME_CHARACTERS, "name", true, &heartbeat->name);
    }
    target_text(&target, "description", LIMIT_DESCRIPTION_CHARACTERS, "description", &heartbeat->description);
    take_interval(&target, id == 0, &heartbeat->period_s);
    take_alert(&target, before, heartbeat);
    if (field_string(&reader, "service", LIMIT_NAME_CHARACTERS, &service, NULL) && service != NULL) {
        heartbeat->service_id = id_parse(service);
        target_mark(&target, "service_id");
        if (heartbeat->service_id == 0) {
            field_error(&reader, "'service' must be the id of a service");
        }
    }
    field_boolean(&reader, "enabled", &state->enabled, &state->enabled_given);
    if (reader.errors == NULL) {
        return true;
    }
    api_error(request, 422, 2001, "Request body is not processable", reader.errors);
    return false;
}

/* ---------------------------------------------------------------- handlers */

static void heartbeat_read(struct http_request *request)
{
    find(request, NULL);
    begin(request);
}

static void name_taken(struct http_request *request, const struct machine_store *view)
{
    Tocsin__Heartbeat *heartbeat = api_call_of(request)->command->heartbeat_put->heartbeat;

    if (heartbeat_next_by_name(view, heartbeat->name, 0) != 0) {
        api_error(request, 409, 2001, "Another heartbeat has this name", NULL);
        return;
    }
    api_submit(request, on_saved);
}

static void heartbeat_create(struct http_request *request)
{
    find(request, NULL);
    if (role_require(request, PERMISSION_CONFIGURE) && heartbeat_command(request, NULL)) {
        api_read(request, name_taken);
    }
}

static void update_found(struct http_request *request, const Tocsin__Heartbeat *heartbeat)
{
    if (heartbeat_command(request, heartbeat)) {
        api_submit(request, on_saved);
    }
}

static void heartbeat_update(struct http_request *request)
{
    if (role_require(request, PERMISSION_CONFIGURE)) {
        find(request, update_found);
        begin(request);
    }
}

static void on_deleted(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        refused(request, reply);
        return;
    }
    opsgenie_json(request, 200, json_pack("{s:s}", "result", "Deleted"));
}

static void delete_found(struct http_request *request, const Tocsin__Heartbeat *heartbeat)
{
    api_command(request, TOCSIN__COMMAND__BODY_HEARTBEAT_DELETE)->heartbeat_delete->id = heartbeat->id;
    api_submit(request, on_deleted);
}

static void heartbeat_delete(struct http_request *request)
{
    if (role_require(request, PERMISSION_CONFIGURE)) {
        find(request, delete_found);
        begin(request);
    }
}

static void enable_found(struct http_request *request, const Tocsin__Heartbeat *heartbeat)
{
    (void)heartbeat;
    switch_to(request, true);
}

static void disable_found(struct http_request *request, const Tocsin__Heartbeat *heartbeat)
{
    (void)heartbeat;
    switch_to(request, false);
}

static void heartbeat_enable(struct http_request *request)
{
    if (role_require(request, PERMISSION_CONFIGURE)) {
        find(request, enable_found);
        begin(request);
    }
}

static void heartbeat_disable(struct http_request *request)
{
    if (role_require(request, PERMISSION_CONFIGURE)) {
        find(request, disable_found);
        begin(request);
    }
}

static void on_list_view(struct http_request *request, const struct machine_store *view)
{
    json_t *heartbeats = json_array();
    struct walk walk = walk_all(view, TABLE_HEARTBEAT);

    while (json_array_size(heartbeats) < LISTED_MAX && walk_next(&walk)) {
        const Tocsin__Heartbeat *heartbeat =
            record_unpack(&tocsin__heartbeat__descriptor, walk.value, request_memory(request));
        if (heartbeat != NULL) {
            json_array_append_new(heartbeats, render(request, view, heartbeat));
        }
    }
    opsgenie_data(request, 200, json_pack("{s:o}", "heartbeats", heartbeats));
}

static void heartbeats_list(struct http_request *request)
{
    api_read(request, on_list_view);
}

static void on_pinged(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status == TOCSIN__STATUS__STATUS_LIMIT) {
        answer_unavailable(request, "The cluster is full");
        return;
    }
    answer_pong(request);
}

static void ping_found(struct http_request *request, const Tocsin__Heartbeat *heartbeat)
{
    Tocsin__Ping *ping = api_command(request, TOCSIN__COMMAND__BODY_PING)->ping;

    ping->heartbeat_id = heartbeat->id;
    if (ping_fill(request, ping) && ping_allowed(request, heartbeat->id)) {
        api_submit(request, on_pinged);
    }
}

static void heartbeat_ping(struct http_request *request)
{
    find(request, ping_found)->is_ping = true;
    begin(request);
}

const struct route routes_opsgenie[] = {
    {"*", "/v2/heartbeats/{}/ping", heartbeat_ping, FAMILY_OPSGENIE, ROUTE_ANY_BODY},
    {"GET", "/v2/heartbeats", heartbeats_list, FAMILY_OPSGENIE, 0},
    {"POST", "/v2/heartbeats", heartbeat_create, FAMILY_OPSGENIE, ROUTE_JSON_BODY},
    {"GET", "/v2/heartbeats/{}", heartbeat_read, FAMILY_OPSGENIE, 0},
    {"PATCH", "/v2/heartbeats/{}", heartbeat_update, FAMILY_OPSGENIE, ROUTE_JSON_BODY},
    {"DELETE", "/v2/heartbeats/{}", heartbeat_delete, FAMILY_OPSGENIE, 0},
    {"POST", "/v2/heartbeats/{}/enable", heartbeat_enable, FAMILY_OPSGENIE, 0},
    {"POST", "/v2/heartbeats/{}/disable", heartbeat_disable, FAMILY_OPSGENIE, 0},
    {0},
};
