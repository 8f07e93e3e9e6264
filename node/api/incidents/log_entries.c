/*
 * The timeline: log entries and notes, newest first.
 *
 * Entries are stored under their incident. Over all incidents they are therefore listed incident by incident, the
 * newest incident first; within a few minutes of each other that is the order of time, and for one incident it always
 * is.
 */
#include <string.h>

#include "consensus/machine/incidents/visibility.h"
#include "consensus/machine/limits.h"
#include "node/api/incidents/incidents.h"
#include "node/api/orchestration/paths.h"
#include "node/api/render.h"
#include "node/api/roles.h"

/* ---------------------------------------------------------------- rendering */

/* PagerDuty's word for the way in which it came about. */
static const char *channel_type(const Tocsin__LogEntry *entry)
{
    switch (entry->why) {
    case TOCSIN__WHY__WHY_REQUEST:
        return entry->type == TOCSIN__LOG_TYPE__LOG_ANNOTATE ? "note" : "api";
    case TOCSIN__WHY__WHY_EVENT:
        return "api";
    case TOCSIN__WHY__WHY_LEVEL_TIMEOUT:
    case TOCSIN__WHY__WHY_ACKNOWLEDGEMENT_TIMEOUT:
    case TOCSIN__WHY__WHY_AUTO_RESOLVE:
    case TOCSIN__WHY__WHY_SNOOZE_ENDED:
    case TOCSIN__WHY__WHY_ACKNOWLEDGE_TARGET:
    case TOCSIN__WHY__WHY_RESOLVE_TARGET:
        return "timeout";
    default:
        return "auto";
    }
}

/* What the sender wrote; only for who asks, for it may be long. */
static void add_payload(json_t *channel, const Tocsin__AlertPayload *payload)
{
    json_t *details = payload->details_json.len > 0
                          ? json_loadb((const char *)payload->details_json.data, payload->details_json.len,
                                       JSON_DECODE_ANY, NULL)
                          : NULL;

    json_object_set_new(channel, "details", details != NULL ? details : json_null());
    json_object_set_new(channel, "client", json_text(payload->client));
    json_object_set_new(channel, "client_url", json_text(payload->client_url));
    json_object_set_new(channel, "source", json_text(payload->source));
}

static json_t *render_channel(struct http_request *request, const struct machine_store *view,
                              const Tocsin__LogEntry *entry)
{
    json_t *channel = json_pack("{s:s}", "type", channel_type(entry));
    bool triggers = entry->type == TOCSIN__LOG_TYPE__LOG_TRIGGER;

    if (entry->type == TOCSIN__LOG_TYPE__LOG_ANNOTATE || triggers) {
        json_object_set_new(channel, "summary", json_string(entry->text));
    }
    if (triggers && entry->alert_id != 0 && query_has(request, "include", "channels")) {
        Tocsin__AlertPayload *payload = alert_payload_get(view, entry->alert_id, NULL);
        if (payload != NULL) {
            add_payload(channel, payload);
            tocsin__alert_payload__free_unpacked(payload, NULL);
        }
    }
    if (entry->type == TOCSIN__LOG_TYPE__LOG_NOTIFY) {
        json_object_set_new(
            channel, "notification",
            json_pack("{s:o, s:o, s:o, s:o, s:o, s:i}", "type", json_word(words_channel, (int)entry->channel),
                      "address", json_text(entry->address), "status", json_word(words_outcome, (int)entry->outcome),
                      "provider", json_text(entry->provider), "provider_id", json_text(entry->provider_id), "attempt",
                      (int)entry->attempt));
    }
    return channel;
}

/* Texts only: the Go client reads a map of strings. */
static json_t *render_details(const Tocsin__LogEntry *entry)
{
    json_t *details = json_pack("{s:s}", "description", entry->text);
    const char *why = word_of(words_why, (int)entry->why);

    if (why != NULL) {
        json_object_set_new(details, "why", json_string(why));
    }
    return details;
}

static json_t *render_assignees(struct http_request *request, const struct machine_store *view,
                                const Tocsin__LogEntry *entry)
{
    json_t *assignees = json_array();

    for (size_t i = 0; i < entry->n_assignee_ids; i++) {
        json_array_append_new(assignees, reference_user(request, view, entry->assignee_ids[i]));
    }
    return assignees;
}

/* What the schedules of a level said, and by what: nobody is null. */
static json_t *render_on_call(struct http_request *request, const struct machine_store *view,
                              const Tocsin__LogEntry *entry)
{
    json_t *list = json_array();

    for (size_t i = 0; i < entry->n_on_call; i++) {
        const Tocsin__OnCall *on_call = entry->on_call[i];
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:I, s:o}", "schedule", reference_schedule(request, view, on_call->schedule_id),
                            "user", on_call->user_id != 0 ? reference_user(request, view, on_call->user_id) : json_null(),
                            "revision", (json_int_t)on_call->revision, "override", json_id(on_call->override_id)));
    }
    return list;
}

json_t *render_log_entry(struct http_request *request, const struct machine_store *view,
                         const Tocsin__Incident *incident, const Tocsin__LogEntry *entry)
{
    const char *type = word_of(words_log_type, (int)entry->type);
    char id[16], incident_id[16];

    id_format(entry->id, id);
    id_format(entry->incident_id, incident_id);
    json_t *object = render_head(entry->id, type != NULL ? type : "log_entry", entry->text,
                                 render_self(request, "/log_entries/%s?incident_id=%s", id, incident_id));
    json_object_set_new(object, "created_at", json_time(entry->at_ms));
    json_object_set_new(object, "agent", reference_actor(request, view, entry->agent, incident->service_id));
    json_object_set_new(object, "channel", render_channel(request, view, entry));
    json_object_set_new(object, "note",
                        entry->type == TOCSIN__LOG_TYPE__LOG_ANNOTATE ? json_string(entry->text) : json_null());
    json_object_set_new(object, "contexts", json_array());
    json_object_set_new(object, "service", reference_service(request, view, incident->service_id));
    json_object_set_new(object, "incident", reference_incident(request, incident));
    json_object_set_new(object, "teams", json_array());
    json_object_set_new(object, "event_details", render_details(entry));
    json_object_set_new(object, "user",
                        entry->user_id != 0 ? reference_user(request, view, entry->user_id) : json_null());
    json_object_set_new(object, "assignees", render_assignees(request, view, entry));
    if (entry->n_rules > 0) {
        json_object_set_new(object, "rules", render_rules_taken(entry->rules, entry->n_rules)); /* ours */
        json_object_set_new(object, "patterns_given_up", json_integer(entry->patterns_given_up));
    }
    json_object_set_new(object, "why", json_word(words_why, (int)entry->why)); /* ours, as are those below */
    json_object_set_new(object, "escalation_level", json_integer(entry->level));
    json_object_set_new(object, "guardian", json_boolean(entry->guardian));
    json_object_set_new(object, "on_call", render_on_call(request, view, entry));
    return object;
}

static json_t *render_note(struct http_request *request, const struct machine_store *view,
                           const Tocsin__Incident *incident, const Tocsin__LogEntry *entry)
{
    json_t *user = reference_actor(request, view, entry->agent, incident->service_id);

    if (entry->agent == NULL || entry->agent->kind != TOCSIN__ACTOR_KIND__ACTOR_USER) {
        json_object_set_new(user, "type", json_string("bot_user_reference"));
    }
    return json_pack("{s:o, s:o, s:{s:s}, s:s, s:o, s:o}", "id", json_id(entry->id), "user", user, "channel", "summary",
                     "The Tocsin API", "content", entry->text, "created_at", json_time(entry->at_ms), "updated_at",
                     json_time(entry->at_ms));
}

/* ---------------------------------------------------------------- notes */

static void on_read_notes(struct http_request *request, const struct machine_store *view)
{
    const Tocsin__Incident *incident = incident_of_path(request, view);

    if (incident == NULL) {
        return;
    }
    json_t *notes = json_array();
    struct walk walk = walk_under_backward(view, TABLE_LOG_ENTRY, incident->id);
    while (json_array_size(notes) < incident->notes && walk_next(&walk)) {
        Tocsin__LogEntry *entry = record_unpack(&tocsin__log_entry__descriptor, walk.value, NULL);
        if (entry->type == TOCSIN__LOG_TYPE__LOG_ANNOTATE) {
            json_array_append_new(notes, render_note(request, view, incident, entry));
        }
        tocsin__log_entry__free_unpacked(entry, NULL);
    }
    api_json(request, 200, json_pack("{s:o}", "notes", notes));
}

void notes_list(struct http_request *request)
{
    api_read(request, on_read_notes);
}

static void on_read_note(struct http_request *request, const struct machine_store *view)
{
    const struct api_call *call = api_call_of(request);
    uint64_t incident_id = call->command->note_create->incident_id;
    const Tocsin__Incident *incident = incident_get(view, incident_id, request_memory(request));
    const Tocsin__LogEntry *entry = log_entry_get(view, incident_id, call->id, request_memory(request));

    if (incident == NULL || entry == NULL) {
        api_not_found(request);
        return;
    }
    api_json(request, 200, json_pack("{s:o}", "note", render_note(request, view, incident, entry)));
}

static void on_note_created(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status != TOCSIN__STATUS__STATUS_OK || reply->n_ids == 0) {
        api_refused(request, reply);
        return;
    }
    api_call_of(request)->id = reply->ids[0];
    api_read(request, on_read_note);
}

static void on_read_noted(struct http_request *request, const struct machine_store *view)
{
    const Tocsin__Incident *incident = incident_of_path(request, view);

    if (incident != NULL) {
        api_call_of(request)->command->note_create->incident_id = incident->id;
        api_submit(request, on_note_created);
    }
}

void note_create(struct http_request *request)
{
    struct field_reader reader;
    uint64_t fields = 0;
    struct field_target content = {&reader, &tocsin__note_create__descriptor, &fields};

    if (!role_require(request, PERMISSION_RESPOND) || !body_open(request, "note", &reader)) {
        return;
    }
    Tocsin__NoteCreate *note = api_command(request, TOCSIN__COMMAND__BODY_NOTE_CREATE)->note_create;
    target_name(&content, "content", LIMIT_NOTE_CHARACTERS, "content", true, &note->content);
    if (fields_finish(&reader)) {
        api_read(request, on_read_noted);
    }
}

/* ---------------------------------------------------------------- lists of log entries */

/* Lives in call->data. */
struct timeline {
    struct page page;
    uint64_t since_ms, until_ms;
    bool overview;
    uint64_t rows_seen;
};

static bool parse(struct http_request *request, struct timeline *timeline)
{
    const char *overview = http_query(request, "is_overview");

    timeline->until_ms = UINT64_MAX;
    timeline->overview = overview != NULL && (strcmp(overview, "true") == 0 || strcmp(overview, "1") == 0);
    return page_parse(request, &timeline->page) && query_time(request, "since", &timeline->since_ms) &&
           query_time(request, "until", &timeline->until_ms) && query_window(request, timeline->since_ms, timeline->until_ms);
}

/* The overview leaves out who was told when. */
static bool timeline_matches(const struct timeline *timeline, const Tocsin__LogEntry *entry)
{
    return entry->at_ms >= timeline->since_ms && entry->at_ms <= timeline->until_ms &&
           !(timeline->overview && entry->type == TOCSIN__LOG_TYPE__LOG_NOTIFY);
}

/* Whether who asks may see the entry's incident: one that was named already, or of all. */
static bool is_for(struct http_request *request, const struct machine_store *view, const Tocsin__Incident *named,
                   const Tocsin__LogEntry *entry)
{
    if (named != NULL || !secrets_exist(view)) {
        return true;
    }
    Tocsin__Incident *incident = incident_get(view, entry->incident_id, NULL);
    bool visible = incident != NULL && incident_visible(request, view, incident);
    if (incident != NULL) {
        tocsin__incident__free_unpacked(incident, NULL);
    }
    return visible;
}

static void take_entry(struct http_request *request, const struct machine_store *view, struct timeline *timeline,
                       const Tocsin__Incident *incident, struct span value, json_t *entries)
{
    Tocsin__LogEntry *entry = record_unpack(&tocsin__log_entry__descriptor, value, NULL);

    if (timeline_matches(timeline, entry) && is_for(request, view, incident, entry) && page_take(&timeline->page)) {
        const Tocsin__Incident *of =
            incident != NULL ? incident : incident_get(view, entry->incident_id, request_memory(request));
        if (of != NULL) {
            json_array_append_new(entries, render_log_entry(request, view, of, entry));
        }
    }
    tocsin__log_entry__free_unpacked(entry, NULL);
}

/* Walks and answers; `incident` is the one they all belong to, or NULL. */
static void list(struct http_request *request, const struct machine_store *view, struct walk walk,
                 const Tocsin__Incident *incident)
{
    struct timeline *timeline = api_call_of(request)->data;
    json_t *entries = json_array(), *answer = json_pack("{s:o}", "log_entries", entries);

    while (!page_done(&timeline->page) && walk_next(&walk)) {
        if (++timeline->rows_seen > SCAN_ROWS_MAX) {
            json_decref(answer);
            scan_refuse(request);
            return;
        }
        take_entry(request, view, timeline, incident, walk.value, entries);
    }
    page_finish(&timeline->page, answer);
    api_json(request, 200, answer);
}

static void on_read_of_incident(struct http_request *request, const struct machine_store *view)
{
    const Tocsin__Incident *incident = incident_of_path(request, view);

    if (incident != NULL) {
        list(request, view, walk_under_backward(view, TABLE_LOG_ENTRY, incident->id), incident);
    }
}

static void on_read_all(struct http_request *request, const struct machine_store *view)
{
    list(request, view, walk_all_backward(view, TABLE_LOG_ENTRY), NULL);
}

static void begin_list(struct http_request *request, api_on_read on_read)
{
    struct timeline *timeline = http_alloc(request, sizeof *timeline);

    api_call_of(request)->data = timeline;
    if (parse(request, timeline)) {
        api_read(request, on_read);
    }
}

void incident_log_entries_list(struct http_request *request)
{
    begin_list(request, on_read_of_incident);
}

void log_entries_list(struct http_request *request)
{
    begin_list(request, on_read_all);
}

/* ---------------------------------------------------------------- one log entry */

/* The incident of an entry that was asked for without it. An incident is older than its entries, and most questions are
 * about recent ones: the incidents are tried backward from the entry's id. 0: none within the bound. */
static uint64_t incident_of_entry(const struct machine_store *view, uint64_t entry_id)
{
    struct key position = key_1(entry_id);
    struct span found, value;

    for (uint64_t tried = 0; tried < SCAN_ROWS_MAX; tried++) {
        if (!view->seek_before(view->context, TABLE_INCIDENT, key_span(&position), &found, &value)) {
            return 0;
        }
        uint64_t incident_id = span_number(found, 0);
        struct key key = key_2(incident_id, entry_id);
        if (view->get(view->context, TABLE_LOG_ENTRY, key_span(&key), &value)) {
            return incident_id;
        }
        position = key_1(incident_id);
    }
    return 0;
}

static void on_read_one(struct http_request *request, const struct machine_store *view)
{
    uint64_t id = api_call_of(request)->id;
    const char *incident_text = http_query(request, "incident_id"); /* part of every entry's `self` */
    uint64_t incident_id = incident_text != NULL ? id_parse(incident_text) : incident_of_entry(view, id);
    const Tocsin__Incident *incident =
        incident_id != 0 ? incident_get(view, incident_id, request_memory(request)) : NULL;
    const Tocsin__LogEntry *entry =
        incident != NULL && incident_visible(request, view, incident)
            ? log_entry_get(view, incident_id, id, request_memory(request)) : NULL;

    if (entry == NULL) {
        api_not_found(request);
        return;
    }
    api_json(request, 200, json_pack("{s:o}", "log_entry", render_log_entry(request, view, incident, entry)));
}

void log_entry_read(struct http_request *request)
{
    if (path_id(request, 0, &api_call_of(request)->id)) {
        api_read(request, on_read_one);
    }
}
