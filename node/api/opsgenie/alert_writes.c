/*
 * What is done about one alert:
 *
 *     row of the table ──> shape of the body ──> which alert ──> command ──> applied ──> its note, if any ──> 202
 *
 * A note beside an action is a note of its own. `user` is who did it, where the key of an integration asks.
 */
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/opsgenie/opsgenie.h"
#include "node/api/orchestration/event_submit.h"
#include "node/api/render.h"
#include "node/api/resource.h"
#include "node/api/router.h"

enum made {
    MADE,    /* call->command */
    NOTHING, /* it is so already */
    ANSWERED /* refused */
};

struct write {
    const char *method, *part; /* of the path, behind the identifier; "" for none */
    enum alert_action action;
    bool (*shape)(struct http_request *request); /* false: answered with 422; NULL: any body will do */
    enum made (*command)(struct http_request *request, const struct machine_store *view,
                         const Tocsin__Incident *incident);
};

/* Lives in call->data. */
struct write_call {
    const struct write *write;
    uint64_t incident_id;
    bool noted;
};

static bool refuse(struct http_request *request, const char *sentence)
{
    api_error(request, 422, 2001, sentence, NULL);
    return false;
}

static json_t *field(struct http_request *request, const char *name)
{
    return json_object_get(api_call_of(request)->body, name);
}

/* ---------------------------------------------------------------- shapes */

static bool has_note(struct http_request *request)
{
    return alert_text(request, "note", 1)[0] != '\0' || refuse(request, "Note can not be empty");
}

static bool has_end(struct http_request *request)
{
    const char *text = alert_text(request, "endTime", LIMIT_NAME_CHARACTERS);
    uint64_t until_ms = 0;

    return (text[0] != '\0' || refuse(request, "End time can not be empty")) &&
           (time_parse(text, &until_ms) || refuse(request, "End time must be a time in ISO 8601 format"));
}

static bool has_priority(struct http_request *request)
{
    return priority_number(json_string_value(field(request, "priority"))) != 0 ||
           refuse(request, "Priority must be one of P1, P2, P3, P4 and P5");
}

static bool is_tag(const char *text)
{
    return text != NULL && text[0] != '\0' && text_fits(text, LIMIT_TAG_CHARACTERS);
}

static bool has_tags(struct http_request *request)
{
    json_t *tags = field(request, "tags"), *tag;
    size_t i;

    if (json_array_size(tags) == 0 || json_array_size(tags) > LIMIT_TAGS_PER_INCIDENT) {
        return refuse(request, "Tags must be an array of 1 to 20 texts");
    }
    json_array_foreach(tags, i, tag)
    {
        if (!is_tag(json_string_value(tag))) {
            return refuse(request, "A tag must be a text of 1 to 50 characters");
        }
    }
    return true;
}

static bool has_details(struct http_request *request)
{
    json_t *details = field(request, "details"), *value;
    const char *key;

    if (json_object_size(details) == 0 || json_object_size(details) > LIMIT_LABELS_PER_ALERT) {
        return refuse(request, "Details must be an object of 1 to 256 keys");
    }
    json_object_foreach(details, key, value)
    {
        if (key[0] == '\0' || json_is_object(value) || json_is_array(value)) {
            return refuse(request, "Each of the details must have a key and a text");
        }
    }
    return true;
}

static bool names_tags(struct http_request *request)
{
    const char *tags = http_query(request, "tags");

    return (tags != NULL && tags[0] != '\0') || refuse(request, "The query must name tags, separated by commas");
}

static bool names_keys(struct http_request *request)
{
    const char *keys = http_query(request, "keys");

    return (keys != NULL && keys[0] != '\0') || refuse(request, "The query must name keys, separated by commas");
}

/* ---------------------------------------------------------------- commands */

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

static Tocsin__LabelsChange *labels_of(struct http_request *request, uint64_t id)
{
    Tocsin__LabelsChange *change = api_command(request, TOCSIN__COMMAND__BODY_LABELS_CHANGE)->labels_change;

    change->incident_id = id;
    return change;
}

static void note_command(struct http_request *request, uint64_t id)
{
    Tocsin__NoteCreate *note = api_command(request, TOCSIN__COMMAND__BODY_NOTE_CREATE)->note_create;

    note->incident_id = id;
    note->content = alert_text(request, "note", LIMIT_NOTE_CHARACTERS);
}

static enum made make_close(struct http_request *request, const struct machine_store *view, const Tocsin__Incident *incident)
{
    (void)view;
    change_of(request, incident->id)->status = TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED;
    return MADE;
}

static enum made make_acknowledge(struct http_request *request, const struct machine_store *view,
                                  const Tocsin__Incident *incident)
{
    (void)view;
    change_of(request, incident->id)->status = TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED;
    return MADE;
}

static enum made make_unacknowledge(struct http_request *request, const struct machine_store *view,
                                    const Tocsin__Incident *incident)
{
    (void)view;
    api_command(request, TOCSIN__COMMAND__BODY_INCIDENT_UNACKNOWLEDGE)->incident_unacknowledge->incident_id = incident->id;
    return MADE;
}

static enum made make_snooze(struct http_request *request, const struct machine_store *view,
                             const Tocsin__Incident *incident)
{
    uint64_t now_ms = api_cluster_ms(request), until_ms = 0;
    Tocsin__IncidentSnooze *snooze = api_command(request, TOCSIN__COMMAND__BODY_INCIDENT_SNOOZE)->incident_snooze;

    (void)view;
    (void)time_parse(alert_text(request, "endTime", LIMIT_NAME_CHARACTERS), &until_ms);
    uint64_t seconds = until_ms > now_ms ? (until_ms - now_ms + 999) / 1000 : 0;
    snooze->incident_id = incident->id;
    snooze->duration_s = seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX; /* the machine judges the bounds */
    return MADE;
}

static enum made make_note(struct http_request *request, const struct machine_store *view, const Tocsin__Incident *incident)
{
    struct write_call *state = api_call_of(request)->data;

    (void)view;
    state->noted = true;
    note_command(request, incident->id);
    return MADE;
}

/* Alertmanager sends what has not changed, and leaves out what is empty. */
static enum made make_message(struct http_request *request, const struct machine_store *view,
                              const Tocsin__Incident *incident)
{
    char *message = alert_text(request, "message", LIMIT_SUMMARY_CHARACTERS);

    (void)view;
    if (message[0] == '\0' || strcmp(message, incident->title) == 0) {
        return NOTHING;
    }
    change_of(request, incident->id)->title = message;
    return MADE;
}

static enum made make_description(struct http_request *request, const struct machine_store *view,
                                  const Tocsin__Incident *incident)
{
    char *description = alert_text(request, "description", DESCRIPTION_CHARACTERS);

    if (description[0] == '\0' || strcmp(description, alert_summary(request, view, incident).description) == 0) {
        return NOTHING;
    }
    labels_of(request, incident->id)->description = description;
    return MADE;
}

static enum made make_tags(struct http_request *request, const struct machine_store *view, const Tocsin__Incident *incident)
{
    Tocsin__LabelsChange *change = labels_of(request, incident->id);
    json_t *tags = field(request, "tags"), *tag;
    size_t i;

    (void)view;
    change->tags = http_alloc(request, json_array_size(tags) * sizeof *change->tags);
    json_array_foreach(tags, i, tag)
    {
        change->tags[change->n_tags++] = http_strdup(request, json_string_value(tag));
    }
    return MADE;
}

/* What a parameter of the query names, separated by commas. */
static char **names_take(struct http_request *request, const char *name, size_t *count)
{
    char *text = http_strdup(request, http_query(request, name)), *rest = text, *part;
    char **names = http_alloc(request, (strlen(text) + 1) * sizeof *names);

    while ((part = strsep(&rest, ",")) != NULL && *count < LIMIT_LABELS_PER_ALERT) {
        part += strspn(part, " ");
        if (part[0] != '\0') {
            names[(*count)++] = part;
        }
    }
    return names;
}

static enum made make_tags_gone(struct http_request *request, const struct machine_store *view,
                                const Tocsin__Incident *incident)
{
    Tocsin__LabelsChange *change = labels_of(request, incident->id);

    (void)view;
    change->tags_gone = names_take(request, "tags", &change->n_tags_gone);
    return MADE;
}

static enum made make_details(struct http_request *request, const struct machine_store *view,
                              const Tocsin__Incident *incident)
{
    Tocsin__LabelsChange *change = labels_of(request, incident->id);

    (void)view;
    labels_take(request, field(request, "details"), &change->details, &change->n_details);
    return MADE;
}

static enum made make_details_gone(struct http_request *request, const struct machine_store *view,
                                   const Tocsin__Incident *incident)
{
    Tocsin__LabelsChange *change = labels_of(request, incident->id);

    (void)view;
    change->keys_gone = names_take(request, "keys", &change->n_keys_gone);
    return MADE;
}

static enum made make_priority(struct http_request *request, const struct machine_store *view,
                               const Tocsin__Incident *incident)
{
    (void)view;
    labels_of(request, incident->id)->priority = priority_number(json_string_value(field(request, "priority")));
    return MADE;
}

static enum made make_delete(struct http_request *request, const struct machine_store *view,
                             const Tocsin__Incident *incident)
{
    (void)view;
    labels_of(request, incident->id)->over = true;
    return MADE;
}

static enum made make_assign(struct http_request *request, const struct machine_store *view,
                             const Tocsin__Incident *incident)
{
    uint64_t user_id = user_named(request, view, field(request, "owner"));

    if (user_id == 0) {
        return ANSWERED;
    }
    Tocsin__IncidentChange *change = change_of(request, incident->id);
    change->assignee_ids = http_alloc(request, sizeof *change->assignee_ids);
    change->assignee_ids[change->n_assignee_ids++] = user_id;
    return MADE;
}

static enum made make_escalate(struct http_request *request, const struct machine_store *view,
                               const Tocsin__Incident *incident)
{
    uint64_t policy_id = policy_named(request, view, field(request, "escalation"));

    if (policy_id == 0) {
        return ANSWERED;
    }
    change_of(request, incident->id)->escalation_policy_id = policy_id;
    return MADE;
}

static enum made ask(struct http_request *request, const struct machine_store *view, const Tocsin__Incident *incident,
                     const char *type, json_t *object)
{
    Tocsin__RespondersRequest *asked =
        api_command(request, TOCSIN__COMMAND__BODY_RESPONDERS_REQUEST)->responders_request;

    asked->incident_id = incident->id;
    asked->user_ids = http_alloc(request, sizeof *asked->user_ids);
    asked->escalation_policy_ids = http_alloc(request, sizeof *asked->escalation_policy_ids);
    return responder_take(request, view, type, object, asked) ? MADE : ANSWERED;
}

static enum made make_responder(struct http_request *request, const struct machine_store *view,
                                const Tocsin__Incident *incident)
{
    json_t *responder = field(request, "responder");

    return ask(request, view, incident, json_string_value(json_object_get(responder, "type")), responder);
}

static enum made make_team(struct http_request *request, const struct machine_store *view, const Tocsin__Incident *incident)
{
    return ask(request, view, incident, "team", field(request, "team"));
}

static const struct write writes[] = {
    {"POST", "close", ALERT_CLOSE, NULL, make_close},
    {"POST", "acknowledge", ALERT_ACKNOWLEDGE, NULL, make_acknowledge},
    {"POST", "unacknowledge", ALERT_UNACKNOWLEDGE, NULL, make_unacknowledge},
    {"POST", "snooze", ALERT_SNOOZE, has_end, make_snooze},
    {"POST", "notes", ALERT_NOTE, has_note, make_note},
    {"POST", "tags", ALERT_TAGS, has_tags, make_tags},
    {"DELETE", "tags", ALERT_TAGS_GONE, names_tags, make_tags_gone},
    {"POST", "details", ALERT_DETAILS, has_details, make_details},
    {"DELETE", "details", ALERT_DETAILS_GONE, names_keys, make_details_gone},
    {"PUT", "priority", ALERT_PRIORITY, has_priority, make_priority},
    {"PUT", "message", ALERT_MESSAGE, NULL, make_message},
    {"PUT", "description", ALERT_DESCRIPTION, NULL, make_description},
    {"POST", "assign", ALERT_ASSIGN, NULL, make_assign},
    {"POST", "escalate", ALERT_ESCALATE, NULL, make_escalate},
    {"POST", "responders", ALERT_RESPONDER, NULL, make_responder},
    {"POST", "teams", ALERT_TEAM, NULL, make_team},
    {"DELETE", "", ALERT_DELETE, NULL, make_delete},
};

/* ---------------------------------------------------------------- the way of each */

static struct write_call *begin(struct http_request *request)
{
    const char *part = strrchr(api_call_of(request)->route->pattern, '/') + 1;
    struct write_call *state = http_alloc(request, sizeof *state);

    part = strcmp(part, "{}") == 0 ? "" : part;
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
        if (strcmp(writes[i].method, request->method) == 0 && strcmp(writes[i].part, part) == 0) {
            state->write = &writes[i];
        }
    }
    api_call_of(request)->data = state;
    return state;
}

static void on_reply(struct http_request *request, const Tocsin__Reply *reply);

static bool has_more_to_say(struct http_request *request, const struct write_call *state)
{
    return !state->noted && state->incident_id != 0 && alert_text(request, "note", 1)[0] != '\0';
}

static void add_note(struct http_request *request, struct write_call *state)
{
    state->noted = true;
    note_command(request, state->incident_id);
    api_call_of(request)->command->idempotency_key = http_strdup(request, ""); /* the action has it */
    api_submit(request, on_reply);
}

static void finish(struct http_request *request, enum alert_result result)
{
    const struct write_call *state = api_call_of(request)->data;

    alert_accepted(request, state->write->action, state->incident_id, result);
}

static void on_reply(struct http_request *request, const Tocsin__Reply *reply)
{
    struct write_call *state = api_call_of(request)->data;

    if (reply->reason == TOCSIN__REASON__REASON_UNKNOWN_ROUTING_KEY) {
        api_error(request, 401, 2006, "Key is not valid", NULL);
        return;
    }
    state->incident_id = state->incident_id == 0 && reply->n_ids > 0 ? reply->ids[0] : state->incident_id;
    bool done = reply->status == TOCSIN__STATUS__STATUS_OK && reply->reason != TOCSIN__REASON__REASON_NO_OPEN_ALERT &&
                (reply->n_parts == 0 || reply->parts[0]->status == TOCSIN__STATUS__STATUS_OK);
    if (done && has_more_to_say(request, state)) {
        add_note(request, state);
    } else {
        bool none = reply->reason == TOCSIN__REASON__REASON_NO_OPEN_ALERT;
        finish(request, done ? RESULT_DONE : none ? RESULT_NO_ALERT : RESULT_UNFIT);
    }
}

static void on_view(struct http_request *request, const struct machine_store *view)
{
    struct write_call *state = api_call_of(request)->data;
    const Tocsin__Incident *incident = alert_find(request, view);

    if (incident == NULL) {
        finish(request, RESULT_NO_ALERT); /* Opsgenie finds it out later, too: its id says so */
        return;
    }
    state->incident_id = incident->id;
    enum made made = state->write->command(request, view, incident);
    if (made == MADE) {
        api_submit(request, on_reply);
    } else if (made == NOTHING && has_more_to_say(request, state)) {
        add_note(request, state);
    } else if (made == NOTHING) {
        finish(request, RESULT_DONE);
    }
}

static void on_ended(struct http_request *request, const Tocsin__Reply *reply)
{
    (void)begin(request); /* the event had its place */
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
    event->dedup_key = http_strdup(request, alias_key(request, call->parameters[0]));
    event_submit(request, event, on_ended);
}

/* `user` did it, says the integration. */
static void name_actor(struct http_request *request)
{
    Tocsin__Actor *actor = &api_call_of(request)->principal.actor;
    const char *user = alert_text(request, "user", LIMIT_USER_NAME_CHARACTERS);

    if (api_call_of(request)->source.key != NULL && user[0] != '\0') {
        json_t *name = json_format("%s (%s)", user, actor->name);
        actor->name = http_strdup(request, json_string_value(name));
        json_decref(name);
    }
}

void alert_write(struct http_request *request)
{
    const struct write *write = begin(request)->write;
    bool by_alias = identifier_is_alias(request) && api_call_of(request)->source.key != NULL;

    if (!identifier_check(request) || (write->shape != NULL && !write->shape(request))) {
        return;
    }
    name_actor(request);
    if (by_alias && write->action == ALERT_CLOSE) {
        end_by_alias(request, TOCSIN__EVENT_ACTION__EVENT_RESOLVE);
    } else if (by_alias && write->action == ALERT_ACKNOWLEDGE) {
        end_by_alias(request, TOCSIN__EVENT_ACTION__EVENT_ACKNOWLEDGE);
    } else {
        api_read(request, on_view);
    }
}
