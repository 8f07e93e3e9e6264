/*
 * Status updates and who hears of them, as PagerDuty's clients have it.
 *
 *     POST .../status_updates                 {message}            a word to the subscribers
 *     GET  .../status_updates                                      ours: those there were, newest first
 *     GET, POST .../status_updates/subscribers                     people and teams
 *     POST .../status_updates/unsubscribe
 */
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/incidents/incidents.h"
#include "node/api/render.h"
#include "node/api/roles.h"

/* ---------------------------------------------------------------- status updates */

static json_t *render_update(struct http_request *request, const struct machine_store *view,
                             const Tocsin__Incident *incident, const Tocsin__LogEntry *entry)
{
    return json_pack("{s:o, s:s, s:o, s:o}", "id", json_id(entry->id), "message", entry->text, "created_at",
                     json_time(entry->at_ms), "sender",
                     reference_actor(request, view, entry->agent, incident->service_id));
}

static void on_read_update(struct http_request *request, const struct machine_store *view)
{
    const struct api_call *call = api_call_of(request);
    const Tocsin__Incident *incident = incident_of_path(request, view);

    if (incident == NULL) {
        return;
    }
    const Tocsin__LogEntry *entry = log_entry_get(view, incident->id, call->id, request_memory(request));
    if (entry == NULL) {
        api_not_found(request);
        return;
    }
    api_json(request, 200, json_pack("{s:o}", "status_update", render_update(request, view, incident, entry)));
}

static void on_created(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status != TOCSIN__STATUS__STATUS_OK || reply->n_ids == 0) {
        api_refused(request, reply);
        return;
    }
    api_call_of(request)->id = reply->ids[0];
    api_read(request, on_read_update);
}

void status_update_create(struct http_request *request)
{
    struct field_reader reader = {.request = request, .object = api_call_of(request)->body, .prefix = ""};
    uint64_t fields = 0;
    const struct field_target target = {&reader, &tocsin__status_update_create__descriptor, &fields};

    if (!role_require(request, PERMISSION_RESPOND)) {
        return;
    }
    Tocsin__StatusUpdateCreate *create =
        api_command(request, TOCSIN__COMMAND__BODY_STATUS_UPDATE_CREATE)->status_update_create;
    target_name(&target, "message", LIMIT_STATUS_UPDATE_CHARACTERS, "message", true, &create->message);
    if (fields_finish(&reader)) {
        incident_submit(request, &create->incident_id, on_created);
    }
}

static void on_read_updates(struct http_request *request, const struct machine_store *view)
{
    const Tocsin__Incident *incident = incident_of_path(request, view);

    if (incident == NULL) {
        return;
    }
    json_t *updates = json_array();
    struct walk walk = walk_under_backward(view, TABLE_LOG_ENTRY, incident->id);
    while (json_array_size(updates) < incident->status_updates && walk_next(&walk)) {
        Tocsin__LogEntry *entry = record_unpack(&tocsin__log_entry__descriptor, walk.value, NULL);
        if (entry->type == TOCSIN__LOG_TYPE__LOG_STATUS_UPDATE) {
            json_array_append_new(updates, render_update(request, view, incident, entry));
        }
        tocsin__log_entry__free_unpacked(entry, NULL);
    }
    api_json(request, 200, json_pack("{s:o}", "status_updates", updates));
}

void status_updates_list(struct http_request *request)
{
    api_read(request, on_read_updates);
}

/* ---------------------------------------------------------------- subscribers */

static json_t *render_subscriber(uint64_t id, const char *type)
{
    return json_pack("{s:o, s:s, s:b}", "subscriber_id", json_id(id), "subscriber_type", type,
                     "has_indirect_subscription", false);
}

static void on_read_subscribers(struct http_request *request, const struct machine_store *view)
{
    const Tocsin__Incident *incident = incident_of_path(request, view);

    if (incident == NULL) {
        return;
    }
    json_t *subscribers = json_array();
    for (size_t i = 0; i < incident->n_subscriber_ids; i++) {
        json_array_append_new(subscribers, render_subscriber(incident->subscriber_ids[i], "user"));
    }
    for (size_t i = 0; i < incident->n_subscriber_team_ids; i++) {
        json_array_append_new(subscribers, render_subscriber(incident->subscriber_team_ids[i], "team"));
    }
    api_json(request, 200, json_pack("{s:o}", "subscribers", subscribers));
}

void subscribers_list(struct http_request *request)
{
    api_read(request, on_read_subscribers);
}

/* [{"subscriber_id": ..., "subscriber_type": "user" or "team"}, ...]; false: answered. */
static bool take_subscribers(struct http_request *request, Tocsin__SubscribersChange *change)
{
    struct field_reader reader = {.request = request, .object = api_call_of(request)->body, .prefix = ""};
    json_t *list = NULL, *element;
    size_t i;

    if (field_array(&reader, "subscribers", LIMIT_SUBSCRIBERS_PER_INCIDENT, &list) && json_array_size(list) == 0) {
        field_error(&reader, "The body must hold an array named 'subscribers' with at least one subscriber");
    }
    change->user_ids = http_alloc(request, (json_array_size(list) + 1) * sizeof *change->user_ids);
    change->team_ids = http_alloc(request, (json_array_size(list) + 1) * sizeof *change->team_ids);
    json_array_foreach(list, i, element)
    {
        const char *id_text = json_string_value(json_object_get(element, "subscriber_id"));
        const char *type = json_string_value(json_object_get(element, "subscriber_type"));
        uint64_t id = id_text != NULL ? id_parse(id_text) : 0;
        if (id == 0) {
            field_error(&reader, "'subscribers[].subscriber_id' must be an id");
        } else if (type != NULL && strcmp(type, "team") == 0) {
            change->team_ids[change->n_team_ids++] = id;
        } else if (type == NULL || strcmp(type, "user") == 0) {
            change->user_ids[change->n_user_ids++] = id;
        } else {
            field_error(&reader, "'subscribers[].subscriber_type' must be one of: user, team");
        }
    }
    return fields_finish(&reader);
}

static json_t *render_subscription(const Tocsin__Incident *incident, uint64_t id, const char *type)
{
    return json_pack("{s:o, s:s, s:o, s:s, s:s}", "subscriber_id", json_id(id), "subscriber_type", type,
                     "subscribable_id", json_id(incident->id), "subscribable_type", "incident", "result", "success");
}

static void on_read_subscribed(struct http_request *request, const struct machine_store *view)
{
    const Tocsin__SubscribersChange *change = api_call_of(request)->command->subscribers_change;
    const Tocsin__Incident *incident = incident_of_path(request, view);

    if (incident == NULL) {
        return;
    }
    if (change->remove) {
        api_json(request, 200,
                 json_pack("{s:I, s:i, s:i}", "deleted_count", (json_int_t)(change->n_user_ids + change->n_team_ids),
                           "unauthorized_count", 0, "non_existent_count", 0));
        return;
    }
    json_t *subscriptions = json_array();
    for (size_t i = 0; i < change->n_user_ids; i++) {
        json_array_append_new(subscriptions, render_subscription(incident, change->user_ids[i], "user"));
    }
    for (size_t i = 0; i < change->n_team_ids; i++) {
        json_array_append_new(subscriptions, render_subscription(incident, change->team_ids[i], "team"));
    }
    api_json(request, 200, json_pack("{s:o}", "subscriptions", subscriptions));
}

static void on_changed(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        api_refused(request, reply);
        return;
    }
    api_read(request, on_read_subscribed);
}

static void change_subscribers(struct http_request *request, bool remove)
{
    if (!role_require(request, PERMISSION_RESPOND)) {
        return;
    }
    Tocsin__SubscribersChange *change =
        api_command(request, TOCSIN__COMMAND__BODY_SUBSCRIBERS_CHANGE)->subscribers_change;
    change->remove = remove;
    if (take_subscribers(request, change)) {
        incident_submit(request, &change->incident_id, on_changed);
    }
}

void subscribers_add(struct http_request *request)
{
    change_subscribers(request, false);
}

void subscribers_remove(struct http_request *request)
{
    change_subscribers(request, true);
}
