/*
 * Asking people to help, and their answers.
 *
 *     POST .../responder_requests          PagerDuty's: to people, and to the first level of policies
 *     PUT  .../responders/{user}           ours: {"responder": {"state": "joined" or "declined"}}
 */
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/incidents/incidents.h"
#include "node/api/render.h"
#include "node/api/roles.h"

static const struct word words_responder_state[] = {
    {TOCSIN__RESPONDER_STATE__RESPONDER_PENDING, "pending"},
    {TOCSIN__RESPONDER_STATE__RESPONDER_JOINED, "joined"},
    {TOCSIN__RESPONDER_STATE__RESPONDER_DECLINED, "declined"},
    {0, NULL},
};

/* ---------------------------------------------------------------- rendering */

static json_t *render_responder(struct http_request *request, const struct machine_store *view,
                                const Tocsin__Incident *incident, const Tocsin__Responder *responder)
{
    json_t *requester = responder->requester_id != 0 ? reference_user(request, view, responder->requester_id)
                                                     : json_null();

    return json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:o}", "state",
                     json_word(words_responder_state, (int)responder->state), "user",
                     reference_user(request, view, responder->user_id), "incident",
                     reference_incident(request, incident), "message", responder->message, "requester", requester,
                     "requested_at", json_time(responder->requested_at_ms), "updated_at",
                     json_time(responder->answered_at_ms != 0 ? responder->answered_at_ms
                                                              : responder->requested_at_ms));
}

/* One request with all that it asked, each as a target of its own. */
static json_t *render_request(struct http_request *request, const struct machine_store *view,
                              const Tocsin__Incident *incident, const Tocsin__Responder *first)
{
    json_t *targets = json_array();
    json_t *requester = first->requester_id != 0 ? reference_user(request, view, first->requester_id) : json_null();

    for (size_t i = 0; i < incident->n_responders; i++) {
        const Tocsin__Responder *responder = incident->responders[i];
        if (responder->request_id != first->request_id) {
            continue;
        }
        json_t *target = reference_user(request, view, responder->user_id);
        json_object_set_new(target, "incidents_responders",
                            json_pack("[o]", render_responder(request, view, incident, responder)));
        json_array_append_new(targets, json_pack("{s:o}", "responder_request_target", target));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:s, s:o}", "id", json_id(first->request_id), "incident",
                     reference_incident(request, incident), "requester", requester, "requested_at",
                     json_time(first->requested_at_ms), "message", first->message, "responder_request_targets", targets);
}

void render_responders(struct http_request *request, const struct machine_store *view,
                       const Tocsin__Incident *incident, json_t *object)
{
    json_t *responders = json_array(), *requests = json_array();

    for (size_t i = 0; i < incident->n_responders; i++) {
        const Tocsin__Responder *responder = incident->responders[i];
        bool known = false;
        json_array_append_new(responders, render_responder(request, view, incident, responder));
        for (size_t j = 0; j < i; j++) {
            known = known || incident->responders[j]->request_id == responder->request_id;
        }
        if (!known) {
            json_array_append_new(requests, render_request(request, view, incident, responder));
        }
    }
    json_object_set_new(object, "incidents_responders", responders);
    json_object_set_new(object, "responder_requests", requests);
}

/* ---------------------------------------------------------------- asking */

static void on_read_request(struct http_request *request, const struct machine_store *view)
{
    uint64_t request_id = api_call_of(request)->id;
    const Tocsin__Incident *incident = incident_of_path(request, view);

    if (incident == NULL) {
        return;
    }
    for (size_t i = 0; i < incident->n_responders; i++) {
        if (incident->responders[i]->request_id == request_id) {
            api_json(request, 200, json_pack("{s:o}", "responder_request",
                                             render_request(request, view, incident, incident->responders[i])));
            return;
        }
    }
    api_not_found(request); /* asked again since: a repeated Idempotency-Key */
}

static void on_requested(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status != TOCSIN__STATUS__STATUS_OK || reply->n_ids < 2) {
        api_refused(request, reply);
        return;
    }
    api_call_of(request)->id = reply->ids[1];
    api_read(request, on_read_request);
}

/* {"responder_request_target": {"id": ..., "type": ...}}, or without the wrapper. */
static void take_target(struct field_reader *reader, json_t *element, Tocsin__RespondersRequest *ask)
{
    json_t *inner = json_object_get(element, "responder_request_target");
    json_t *target = inner != NULL ? inner : element;
    const char *id_text = json_string_value(json_object_get(target, "id"));
    const char *type = json_string_value(json_object_get(target, "type"));
    uint64_t id = id_text != NULL ? id_parse(id_text) : 0;

    if (id == 0 || type == NULL) {
        field_error(reader, "'responder_request_targets[]' must hold an id and a type");
    } else if (strncmp(type, "user", strlen("user")) == 0) {
        ask->user_ids[ask->n_user_ids++] = id;
    } else if (strncmp(type, "escalation_policy", strlen("escalation_policy")) == 0) {
        ask->escalation_policy_ids[ask->n_escalation_policy_ids++] = id;
    } else {
        field_error(reader, "'responder_request_targets[].type' must be user_reference or escalation_policy_reference");
    }
}

void responders_request(struct http_request *request)
{
    struct field_reader reader = {.request = request, .object = api_call_of(request)->body, .prefix = ""};
    const char *message = NULL;
    json_t *targets = NULL, *element;
    size_t i;

    if (!role_require(request, PERMISSION_RESPOND)) {
        return;
    }
    Tocsin__RespondersRequest *ask =
        api_command(request, TOCSIN__COMMAND__BODY_RESPONDERS_REQUEST)->responders_request;
    if (field_string(&reader, "message", LIMIT_STATUS_UPDATE_CHARACTERS, &message, NULL) && message != NULL) {
        ask->message = http_strdup(request, message);
    }
    if (field_array(&reader, "responder_request_targets", LIMIT_RESPONDERS_PER_INCIDENT, &targets) && targets == NULL) {
        field_error(&reader, "The body must hold an array named 'responder_request_targets'");
    }
    ask->user_ids = http_alloc(request, (json_array_size(targets) + 1) * sizeof *ask->user_ids);
    ask->escalation_policy_ids =
        http_alloc(request, (json_array_size(targets) + 1) * sizeof *ask->escalation_policy_ids);
    json_array_foreach(targets, i, element)
    {
        take_target(&reader, element, ask);
    }
    if (fields_finish(&reader)) {
        incident_submit(request, &ask->incident_id, on_requested);
    }
}

/* ---------------------------------------------------------------- answering */

static void on_read_responder(struct http_request *request, const struct machine_store *view)
{
    const Tocsin__ResponderAnswer *answer = api_call_of(request)->command->responder_answer;
    const Tocsin__Incident *incident = incident_of_path(request, view);

    if (incident == NULL) {
        return;
    }
    for (size_t i = 0; i < incident->n_responders; i++) {
        if (incident->responders[i]->user_id == answer->user_id) {
            api_json(request, 200, json_pack("{s:o}", "responder",
                                             render_responder(request, view, incident, incident->responders[i])));
            return;
        }
    }
    api_not_found(request);
}

static void on_answered(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        api_refused(request, reply);
        return;
    }
    api_read(request, on_read_responder);
}

void responder_answer(struct http_request *request)
{
    struct field_reader reader;
    uint64_t user_id = 0;
    int state = TOCSIN__RESPONDER_STATE__RESPONDER_PENDING;

    if (!path_id(request, 1, &user_id) || !role_require_own(request, user_id) ||
        !body_open(request, "responder", &reader)) {
        return;
    }
    Tocsin__ResponderAnswer *answer = api_command(request, TOCSIN__COMMAND__BODY_RESPONDER_ANSWER)->responder_answer;
    answer->user_id = user_id;
    (void)field_word(&reader, "state", words_responder_state, &state, NULL);
    answer->state = (Tocsin__ResponderState)state;
    if (fields_finish(&reader)) {
        incident_submit(request, &answer->incident_id, on_answered);
    }
}
