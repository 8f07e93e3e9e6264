/*
 * Creating and changing incidents.
 *
 *     PUT one    the error of its change, or the incident
 *     PUT many   each change is judged on its own. 200 with the incidents that changed; what was refused stands beside
 * them under "errors", one sentence for each. When nothing changed it is the first refusal's error, with all sentences.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/incidents/incidents.h"
#include "node/api/refusals.h"
#include "node/api/render.h"
#include "node/api/roles.h"

#define ID_TEXT_CHARACTERS_MAX 32u
#define ERROR_SIZE_BYTES 512 /* the machine's sentences hold no text from outside */

const struct resource resource_incident = {
    .name = "incident",
    .plural = "incidents",
    .table = TABLE_INCIDENT,
    .descriptor = &tocsin__incident__descriptor,
    .render = render_incident,
};

/* ---------------------------------------------------------------- fields that creating and changing share */

static void take_text(struct field_reader *reader, const char *name, size_t characters_max, char **slot)
{
    const char *text = NULL;

    if (field_string(reader, name, characters_max, &text, NULL) && text != NULL) {
        *slot = http_strdup(reader->request, text);
    }
}

static void take_urgency(struct field_reader *reader, Tocsin__Urgency *slot)
{
    int urgency = TOCSIN__URGENCY__URGENCY_NONE;

    if (field_word(reader, "urgency", words_urgency, &urgency, NULL)) {
        *slot = (Tocsin__Urgency)urgency;
    }
}

/* [{"assignee": {"id": ...}}, ...] */
static void take_assignments(struct field_reader *reader, size_t *count, uint64_t **ids)
{
    json_t *assignments = NULL, *element;
    size_t i;

    if (!field_array(reader, "assignments", LIMIT_ASSIGNEES_PER_INCIDENT, &assignments) || assignments == NULL) {
        return;
    }
    *ids = http_alloc(reader->request, (json_array_size(assignments) + 1) * sizeof **ids);
    json_array_foreach(assignments, i, element)
    {
        struct field_reader assignment = {reader->request, element, "assignments[].", reader->errors};
        bool present = false;
        if (field_reference(&assignment, "assignee", &(*ids)[i], &present) && !present) {
            field_error(&assignment, "'assignments[].assignee' can't be blank");
        }
        reader->errors = assignment.errors;
    }
    *count = json_array_size(assignments);
}

/* ---------------------------------------------------------------- create */

/* {"type": "incident_body", "details": text}; what is no text is kept as JSON. */
static void take_body(struct field_reader *reader, char **slot)
{
    json_t *body = NULL;

    if (!field_object(reader, "body", &body) || body == NULL) {
        return;
    }
    json_t *details = json_object_get(body, "details");
    if (details == NULL || json_is_null(details)) {
        return;
    }
    char *dumped = json_is_string(details) ? NULL : json_dumps(details, JSON_COMPACT | JSON_ENCODE_ANY);
    const char *text = dumped != NULL ? dumped : json_string_value(details);
    if (text_fits(text, LIMIT_INCIDENT_BODY_CHARACTERS)) {
        *slot = http_strdup(reader->request, text);
    } else {
        field_error(reader, "'body.details' is too long (maximum is %u characters)", LIMIT_INCIDENT_BODY_CHARACTERS);
    }
    free(dumped);
}

void incident_create(struct http_request *request)
{
    struct field_reader reader;
    struct field_target title = {.reader = &reader, .descriptor = &tocsin__incident__descriptor};
    uint64_t fields = 0;
    bool present = false;

    if (!role_require(request, PERMISSION_RESPOND) || !body_open(request, "incident", &reader)) {
        return;
    }
    Tocsin__IncidentCreate *create = api_command(request, TOCSIN__COMMAND__BODY_INCIDENT_CREATE)->incident_create;
    title.fields = &fields;
    target_name(&title, "title", LIMIT_SUMMARY_CHARACTERS, "title", true, &create->title);
    if (field_reference(&reader, "service", &create->service_id, &present) && !present) {
        field_error(&reader, "Service can't be blank");
    }
    take_urgency(&reader, &create->urgency);
    take_text(&reader, "incident_key", LIMIT_DEDUP_KEY_CHARACTERS, &create->incident_key);
    take_body(&reader, &create->body);
    take_assignments(&reader, &create->n_assignee_ids, &create->assignee_ids);
    (void)field_reference(&reader, "escalation_policy", &create->escalation_policy_id, NULL);
    take_details(&reader, &create->details, &fields);
    if (fields_finish(&reader)) {
        resource_save(request, &resource_incident, 0, 201);
    }
}

/* ---------------------------------------------------------------- change */

/* Lives in call->data. */
struct update {
    bool one;                                        /* PUT /incidents/{id} */
    const char *numbers[LIMIT_INCIDENTS_PER_UPDATE]; /* of changes that name their incident by number; else NULL */
    bool numbers_given;
    uint64_t changed[LIMIT_INCIDENTS_PER_UPDATE]; /* incidents */
    size_t changed_count;
    const char *errors[LIMIT_INCIDENTS_PER_UPDATE]; /* a sentence for each that was refused */
    size_t errors_count;
};

/* An id goes into the change at once; a number waits until the state is read. */
static bool take_identity(struct update *update, size_t i, const char *text, Tocsin__IncidentChange *change)
{
    if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0') {
        update->numbers[i] = text;
        update->numbers_given = true;
        return true;
    }
    change->id = id_parse(text);
    return change->id != 0;
}

static Tocsin__IncidentChange *take_change(struct field_reader *reader)
{
    Tocsin__IncidentChange *change = http_alloc(reader->request, sizeof *change);
    int status = TOCSIN__INCIDENT_STATUS__INCIDENT_NONE;
    int64_t level = 0;

    tocsin__incident_change__init(change);
    if (field_word(reader, "status", words_incident_status, &status, NULL)) {
        change->status = (Tocsin__IncidentStatus)status;
    }
    take_text(reader, "resolution", LIMIT_NOTE_CHARACTERS, &change->resolution);
    take_text(reader, "title", LIMIT_SUMMARY_CHARACTERS, &change->title);
    take_urgency(reader, &change->urgency);
    take_assignments(reader, &change->n_assignee_ids, &change->assignee_ids);
    (void)field_reference(reader, "escalation_policy", &change->escalation_policy_id, NULL);
    if (field_integer(reader, "escalation_level", 1, LIMIT_LEVELS_PER_POLICY, &level, NULL)) {
        change->escalation_level = (uint32_t)level;
    }
    take_details(reader, &change->details, &change->details_fields);
    return change;
}

static json_t *errors_of(const struct update *update)
{
    json_t *errors = json_array();

    for (size_t i = 0; i < update->errors_count; i++) {
        json_array_append_new(errors, json_string(update->errors[i]));
    }
    return errors;
}

static void on_read_changed(struct http_request *request, const struct machine_store *view)
{
    const struct update *update = api_call_of(request)->data;
    json_t *incidents = json_array();

    for (size_t i = 0; i < update->changed_count; i++) {
        const Tocsin__Incident *incident = incident_get(view, update->changed[i], request_memory(request));
        if (incident != NULL) {
            json_array_append_new(incidents, render_incident(request, view, incident));
        }
    }
    if (update->one && json_array_size(incidents) == 0) {
        json_decref(incidents);
        api_not_found(request);
        return;
    }
    json_t *answer = json_object();
    if (update->one) {
        json_object_set(answer, "incident", json_array_get(incidents, 0));
        json_decref(incidents);
    } else {
        json_object_set_new(answer, "incidents", incidents);
        if (update->errors_count > 0) {
            json_object_set_new(answer, "errors", errors_of(update));
        }
    }
    api_json(request, 200, answer);
}

/* One sentence for a refused change of many, which names the incident. */
static void add_error(struct http_request *request, struct update *update, size_t i, uint64_t id,
                      const Tocsin__Reply *part)
{
    const struct refusal *refusal = refusal_for(part->status, part->reason);
    char text[ERROR_SIZE_BYTES], id_text[16];

    id_format(id, id_text);
    (void)snprintf(text, sizeof text, "%s: %s", update->numbers[i] != NULL ? update->numbers[i] : id_text,
                   refusal->error_text != NULL ? refusal->error_text : part->message);
    update->errors[update->errors_count++] = http_strdup(request, text);
}

/* Without a majority: this node keeps the acknowledgement, and no page of the incident comes from here any more. */
static void answer_kept(struct http_request *request)
{
    api_json(request, 202, json_pack("{s:s, s:s}", "status", "kept by this node", "message",
                                     "The cluster has no majority. This node keeps it until there is one, and pages no more for it."));
}

static void on_updated(struct http_request *request, const Tocsin__Reply *reply)
{
    struct update *update = api_call_of(request)->data;
    const Tocsin__Reply *refused = NULL;

    if (reply->reason == TOCSIN__REASON__REASON_KEPT_LOCALLY) {
        answer_kept(request);
        return;
    }
    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        api_refused(request, reply);
        return;
    }
    /* The ids are the reply's: under a repeated Idempotency-Key it answers the first request. */
    for (size_t i = 0; i < reply->n_parts && i < reply->n_ids && i < LIMIT_INCIDENTS_PER_UPDATE; i++) {
        const Tocsin__Reply *part = reply->parts[i];
        uint64_t id = reply->ids[i];
        if (part->status == TOCSIN__STATUS__STATUS_OK) {
            update->changed[update->changed_count++] = id;
            continue;
        }
        refused = refused != NULL ? refused : part;
        add_error(request, update, i, id, part);
    }
    if (refused == NULL || update->changed_count > 0) {
        api_read(request, on_read_changed);
        return;
    }
    if (update->one) {
        api_refused(request, refused);
        return;
    }
    const struct refusal *refusal = refusal_for(refused->status, refused->reason);
    api_error(request, refusal->http_status, refusal->code, refusal->message, errors_of(update));
}

/* A number that leads nowhere leaves id 0, which the machine refuses like any unknown id. */
static void on_read_numbers(struct http_request *request, const struct machine_store *view)
{
    struct api_call *call = api_call_of(request);
    const struct update *update = call->data;
    Tocsin__IncidentUpdate *command = call->command->incident_update;

    for (size_t i = 0; i < command->n_changes; i++) {
        if (update->numbers[i] != NULL) {
            const Tocsin__Incident *incident = incident_find(request, view, update->numbers[i]);
            command->changes[i]->id = incident != NULL ? incident->id : 0;
        }
    }
    api_submit(request, on_updated);
}

static void submit_update(struct http_request *request)
{
    const struct update *update = api_call_of(request)->data;

    if (update->numbers_given) {
        api_read(request, on_read_numbers);
    } else {
        api_submit(request, on_updated);
    }
}

static Tocsin__IncidentUpdate *begin_update(struct http_request *request, bool one, size_t count)
{
    struct update *update = http_alloc(request, sizeof *update);
    Tocsin__IncidentUpdate *command = api_command(request, TOCSIN__COMMAND__BODY_INCIDENT_UPDATE)->incident_update;

    update->one = one;
    api_call_of(request)->data = update;
    command->changes = http_alloc(request, (count + 1) * sizeof *command->changes);
    return command;
}

void incident_update(struct http_request *request)
{
    struct field_reader reader;

    if (!role_require(request, PERMISSION_RESPOND) || !body_open(request, "incident", &reader)) {
        return;
    }
    Tocsin__IncidentUpdate *command = begin_update(request, true, 1);
    command->changes[command->n_changes++] = take_change(&reader);
    if (!fields_finish(&reader)) {
        return;
    }
    if (!take_identity(api_call_of(request)->data, 0, api_call_of(request)->parameters[0], command->changes[0])) {
        api_not_found(request);
        return;
    }
    submit_update(request);
}

/* False: answered. */
static bool open_many(struct http_request *request, struct field_reader *reader, json_t **incidents)
{
    *reader = (struct field_reader){.request = request, .object = api_call_of(request)->body, .prefix = ""};
    *incidents = NULL;
    if (json_array_size(json_object_get(reader->object, "incidents")) > LIMIT_INCIDENTS_PER_UPDATE) {
        api_error(request, 413, 2001, "Too many incidents: 250 at most in one request", NULL);
        return false;
    }
    if (field_array(reader, "incidents", LIMIT_INCIDENTS_PER_UPDATE, incidents) && json_array_size(*incidents) == 0) {
        field_error(reader, "The body must hold an array named 'incidents' with at least one incident");
    }
    return fields_finish(reader);
}

void incidents_update(struct http_request *request)
{
    struct field_reader reader;
    json_t *incidents, *element;
    size_t i;

    if (!role_require(request, PERMISSION_RESPOND) || !open_many(request, &reader, &incidents)) {
        return;
    }
    Tocsin__IncidentUpdate *command = begin_update(request, false, json_array_size(incidents));
    json_array_foreach(incidents, i, element)
    {
        struct field_reader incident = {request, element, "incidents[].", reader.errors};
        const char *id = "";
        Tocsin__IncidentChange *change = take_change(&incident);
        command->changes[command->n_changes++] = change;
        if (field_string(&incident, "id", ID_TEXT_CHARACTERS_MAX, &id, NULL) &&
            !take_identity(api_call_of(request)->data, i, id, change)) {
            field_error(&incident, "'incidents[].id' must be the id of an incident");
        }
        reader.errors = incident.errors;
    }
    if (fields_finish(&reader)) {
        submit_update(request);
    }
}
