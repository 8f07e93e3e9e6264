/*
 * Asking people to help.
 *
 *     asked ──> told as of an incident of its urgency ──> joined, or declined
 *
 * Who joins does not get the incident: its people and its escalation stay as they are. Who is asked again, having
 * declined or not answered, is told again; who has joined is not.
 */
#include "consensus/machine/incidents/incidents.h"

#include "consensus/machine/checks.h"
#include "consensus/machine/schedules/schedules.h"

static Tocsin__Responder *responder_find(const Tocsin__Incident *incident, uint64_t user_id)
{
    for (size_t i = 0; i < incident->n_responders; i++) {
        if (incident->responders[i]->user_id == user_id) {
            return incident->responders[i];
        }
    }
    return NULL;
}

bool responder_is_awaited(const Tocsin__Incident *incident, uint64_t user_id)
{
    const Tocsin__Responder *responder = responder_find(incident, user_id);
    return responder != NULL && responder->state == TOCSIN__RESPONDER_STATE__RESPONDER_PENDING;
}

bool incident_is_responder(const Tocsin__Incident *incident, uint64_t user_id)
{
    const Tocsin__Responder *responder = responder_find(incident, user_id);
    return responder != NULL && responder->state != TOCSIN__RESPONDER_STATE__RESPONDER_DECLINED;
}

/* ---------------------------------------------------------------- who is asked */

struct asked {
    uint64_t user_ids[LIMIT_RESPONDERS_PER_INCIDENT];
    size_t count;
};

/* Once, and not who has joined; false, with the reply refused, when there is no room. */
static bool asked_add(struct apply *apply, const Tocsin__Incident *incident, struct asked *asked, uint64_t user_id,
                      Tocsin__Reply *reply)
{
    const Tocsin__Responder *known = responder_find(incident, user_id);
    if (known != NULL && known->state == TOCSIN__RESPONDER_STATE__RESPONDER_JOINED) {
        return true;
    }
    for (size_t i = 0; i < asked->count; i++) {
        if (asked->user_ids[i] == user_id) {
            return true;
        }
    }
    if (!check_room(apply, reply, "responders in one incident", asked->count, LIMIT_RESPONDERS_PER_INCIDENT)) {
        return false;
    }
    asked->user_ids[asked->count++] = user_id;
    return true;
}

/* Everybody of the first level at this moment; no turn is taken. */
static bool asked_add_policy(struct apply *apply, const Tocsin__Incident *incident, struct asked *asked,
                             uint64_t policy_id, Tocsin__Reply *reply)
{
    const Tocsin__EscalationPolicy *policy = escalation_policy_get(apply->store, policy_id, apply->arena);
    if (policy == NULL || policy->n_levels == 0) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_POLICY,
                     "The escalation policy does not exist.");
        return false;
    }
    const Tocsin__EscalationLevel *level = policy->levels[0];
    for (size_t i = 0; i < level->n_user_ids; i++) {
        if (!asked_add(apply, incident, asked, level->user_ids[i], reply)) {
            return false;
        }
    }
    for (size_t i = 0; i < level->n_schedule_ids; i++) {
        uint64_t user_id = schedule_on_call(apply->store, level->schedule_ids[i], apply->time_ms).user_id;
        if (user_id != 0 && !asked_add(apply, incident, asked, user_id, reply)) {
            return false;
        }
    }
    return true;
}

static bool asked_collect(struct apply *apply, const Tocsin__RespondersRequest *request, Tocsin__Incident *incident,
                          struct asked *asked, Tocsin__Reply *reply)
{
    for (size_t i = 0; i < request->n_user_ids; i++) {
        if (user_get(apply->store, request->user_ids[i], apply->arena) == NULL) {
            reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_USER,
                         "A person who is asked does not exist.");
            return false;
        }
        if (!asked_add(apply, incident, asked, request->user_ids[i], reply)) {
            return false;
        }
    }
    for (size_t i = 0; i < request->n_escalation_policy_ids; i++) {
        if (!asked_add_policy(apply, incident, asked, request->escalation_policy_ids[i], reply)) {
            return false;
        }
    }
    size_t more = 0;
    for (size_t i = 0; i < asked->count; i++) {
        more += responder_find(incident, asked->user_ids[i]) == NULL ? 1 : 0;
    }
    return more == 0 || check_room(apply, reply, "responders in one incident", incident->n_responders + more - 1,
                                   LIMIT_RESPONDERS_PER_INCIDENT);
}

/* ---------------------------------------------------------------- asking */

static Tocsin__Responder *responder_add(struct apply *apply, Tocsin__Incident *incident, uint64_t user_id)
{
    Tocsin__Responder *responder = apply_alloc(apply, sizeof *responder);
    tocsin__responder__init(responder);
    responder->user_id = user_id;
    Tocsin__Responder **list = apply_alloc(apply, (incident->n_responders + 1) * sizeof *list);
    for (size_t i = 0; i < incident->n_responders; i++) {
        list[i] = incident->responders[i];
    }
    list[incident->n_responders++] = responder;
    incident->responders = list;
    return responder;
}

static void ask(struct apply *apply, Tocsin__Incident *incident, uint64_t user_id, const struct bulletin *bulletin,
                char *message)
{
    Tocsin__Responder *responder = responder_find(incident, user_id);
    if (responder == NULL) {
        responder = responder_add(apply, incident, user_id);
    }
    responder->state = TOCSIN__RESPONDER_STATE__RESPONDER_PENDING;
    responder->requested_at_ms = apply->time_ms;
    responder->answered_at_ms = 0;
    responder->requester_id = apply->actor->kind == TOCSIN__ACTOR_KIND__ACTOR_USER ? apply->actor->id : 0;
    responder->request_id = bulletin->log_entry_id;
    responder->message = message;
    telling_bulletin(apply, incident, user_id, bulletin);
}

void apply_responders_request(struct apply *apply, const Tocsin__RespondersRequest *request, Tocsin__Reply *reply)
{
    Tocsin__Incident *incident = incident_get_open(apply, request->incident_id, reply);
    struct asked asked = {.count = 0};
    if (incident == NULL ||
        !check_lines(apply, reply, "The message", request->message, 0, LIMIT_STATUS_UPDATE_CHARACTERS) ||
        !asked_collect(apply, request, incident, &asked, reply)) {
        return;
    }
    if (asked.count == 0) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE,
                     "Nobody is left to ask: a request names people or escalation policies, and who has joined is not asked.");
        return;
    }
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_RESPONDER_REQUEST,
                                           TOCSIN__WHY__WHY_REQUEST, apply->actor);
    entry->n_assignee_ids = asked.count;
    entry->assignee_ids = apply_alloc(apply, asked.count * sizeof *entry->assignee_ids);
    for (size_t i = 0; i < asked.count; i++) {
        entry->assignee_ids[i] = asked.user_ids[i];
    }
    const char *people = timeline_users(apply, asked.user_ids, asked.count);
    entry->text = apply_printf(apply, "%s asked %s to help%s%s", entry->agent->name, people,
                               request->message[0] != '\0' ? ": " : ".", request->message);
    timeline_put(apply, incident, entry);
    struct bulletin bulletin = {.kind = TOCSIN__BULLETIN_KIND__BULLETIN_RESPONDER_REQUEST,
                            .why = TOCSIN__WHY__WHY_RESPONDER_REQUEST,
                            .urgency = incident->urgency,
                            .log_entry_id = entry->id,
                            .text = apply_printf(apply, "%s asks for your help%s%s", entry->agent->name,
                                                 request->message[0] != '\0' ? ": " : ".", request->message)};
    for (size_t i = 0; i < asked.count; i++) {
        ask(apply, incident, asked.user_ids[i], &bulletin, request->message);
    }
    incident_put(apply->store, incident);
    reply_id(apply, reply, incident->id);
    reply_id(apply, reply, entry->id);
}

/* ---------------------------------------------------------------- answering */

void apply_responder_answer(struct apply *apply, const Tocsin__ResponderAnswer *answer, Tocsin__Reply *reply)
{
    Tocsin__Incident *incident = incident_get_open(apply, answer->incident_id, reply);
    if (incident == NULL) {
        return;
    }
    Tocsin__Responder *responder = responder_find(incident, answer->user_id);
    if (responder == NULL) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_NOT_FOUND, TOCSIN__REASON__REASON_NOT_A_RESPONDER,
                     "Nobody has asked this person to help with the incident.");
        return;
    }
    if (answer->state == TOCSIN__RESPONDER_STATE__RESPONDER_PENDING) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE,
                     "An answer is to join or to decline.");
        return;
    }
    reply_id(apply, reply, incident->id);
    if (responder->state == answer->state) {
        return;
    }
    bool joins = answer->state == TOCSIN__RESPONDER_STATE__RESPONDER_JOINED;
    responder->state = answer->state;
    responder->answered_at_ms = apply->time_ms;
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_RESPONDER_ANSWER,
                                           TOCSIN__WHY__WHY_REQUEST, apply->actor);
    entry->user_id = answer->user_id;
    entry->text = apply_printf(apply, "%s %s.", timeline_user(apply, answer->user_id),
                               joins ? "joined" : "declined to help");
    timeline_put(apply, incident, entry);
    incident_put(apply->store, incident);
}
