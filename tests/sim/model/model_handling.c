/*
 * What people do with an incident beside taking it and giving it on: they put it off, find that several are one, or call
 * others to help.
 *
 * Who puts it off has it: it is quiet until its time is over, and begins anew then. What is merged into another is over,
 * with all that was owed of it; its alerts are the other's, which stays as it is. Who is called to help is told at once,
 * whoever has the incident, and until she answers or it is over.
 */
#include <inttypes.h>

#include "consensus/machine/limits.h"
#include "tests/sim/model/model_internal.h"

static struct incident *open_one(const struct model *model, uint64_t id)
{
    struct incident *incident = model_incident_find_id(model, id);
    return incident != NULL && incident->status != RESOLVED ? incident : NULL;
}

/* ---------------------------------------------------------------- later */

static void incident_snooze(struct model *model, const Tocsin__IncidentSnooze *snooze, const Tocsin__Reply *reply)
{
    struct incident *incident = open_one(model, snooze->incident_id);
    bool lawful = incident != NULL && snooze->duration_s > 0 && snooze->duration_s <= LIMIT_SNOOZE_SECONDS;
    if (!model_accepted(model, reply, lawful, "a snooze") || !lawful) {
        return;
    }
    model_incident_acknowledge(model, incident, model_acting_person(model));
    incident->acknowledgement_ends_ms = 0;
    incident->snooze_ends_ms = model->now_ms + (uint64_t)snooze->duration_s * model->minute_ms / 60;
    model->counts.snoozes++;
}

/* ---------------------------------------------------------------- several are one */

static bool merge_is_lawful(const struct model *model, const Tocsin__IncidentMerge *merge)
{
    bool lawful = open_one(model, merge->target_id) != NULL && merge->n_source_ids > 0;
    for (size_t i = 0; lawful && i < merge->n_source_ids; i++) {
        lawful = merge->source_ids[i] != merge->target_id && open_one(model, merge->source_ids[i]) != NULL;
        for (size_t before = 0; lawful && before < i; before++) {
            lawful = merge->source_ids[before] != merge->source_ids[i];
        }
    }
    return lawful;
}

static void incident_merge(struct model *model, const Tocsin__IncidentMerge *merge, const Tocsin__Reply *reply)
{
    bool lawful = merge_is_lawful(model, merge);
    if (!model_accepted(model, reply, lawful, "a merge") || !lawful) {
        return;
    }
    struct incident *target = open_one(model, merge->target_id);
    for (size_t i = 0; i < merge->n_source_ids; i++) {
        struct incident *source = open_one(model, merge->source_ids[i]);
        model->counts.merges++;
        model->counts.alerts_moved += source->alerts.count;
        model_alerts_move(source, target);
        model_incident_resolve(model, source);
    }
}

/* ---------------------------------------------------------------- help */

static struct helper *helper_find(const struct incident *incident, uint64_t person_id)
{
    for (size_t i = 0; i < incident->helpers.count; i++) {
        if (incident->helpers.items[i].person_id == person_id) {
            return &incident->helpers.items[i];
        }
    }
    return NULL;
}

bool model_helper_is_awaited(const struct incident *incident, uint64_t person_id)
{
    const struct helper *helper = helper_find(incident, person_id);
    return helper != NULL && helper->answer == HELPER_ASKED;
}

static bool call_is_lawful(const struct model *model, const Tocsin__RespondersRequest *request)
{
    bool lawful = open_one(model, request->incident_id) != NULL;
    for (size_t i = 0; lawful && i < request->n_user_ids; i++) {
        lawful = model_person(model, request->user_ids[i]) != NULL;
    }
    for (size_t i = 0; lawful && i < request->n_escalation_policy_ids; i++) {
        lawful = model_policy(model, request->escalation_policy_ids[i]) != NULL;
    }
    return lawful;
}

/* Each once, and not who works on it already. */
static void call_add(const struct incident *incident, uint64_t *people, size_t *count, uint64_t person_id)
{
    const struct helper *known = helper_find(incident, person_id);
    bool called = known != NULL && known->answer == HELPER_JOINED;
    for (size_t i = 0; i < *count; i++) {
        called = called || people[i] == person_id;
    }
    if (!called && *count < LIMIT_RESPONDERS_PER_INCIDENT) {
        people[(*count)++] = person_id;
    }
}

/* By name, or whoever the first level of a policy is. */
static size_t call_collect(const struct model *model, const struct incident *incident,
                           const Tocsin__RespondersRequest *request, uint64_t *people)
{
    size_t count = 0;
    for (size_t i = 0; i < request->n_user_ids; i++) {
        call_add(incident, people, &count, request->user_ids[i]);
    }
    for (size_t i = 0; i < request->n_escalation_policy_ids; i++) {
        uint64_t level[MODEL_PEOPLE_OF_LEVEL];
        size_t level_count = model_level_people(model, model_policy(model, request->escalation_policy_ids[i]), 1, level);
        for (size_t p = 0; p < level_count; p++) {
            call_add(incident, people, &count, level[p]);
        }
    }
    return count;
}

static void responders_request(struct model *model, const Tocsin__RespondersRequest *request, const Tocsin__Reply *reply)
{
    bool lawful = call_is_lawful(model, request);
    if (!model_accepted(model, reply, lawful, "a call for help") || !lawful) {
        return;
    }
    struct incident *incident = open_one(model, request->incident_id);
    uint64_t people[LIMIT_RESPONDERS_PER_INCIDENT];
    size_t count = call_collect(model, incident, request, people);
    uint64_t call = ++model->last_call;
    for (size_t i = 0; i < count; i++) {
        struct helper *helper = helper_find(incident, people[i]);
        helper = helper != NULL ? helper : list_add(&incident->helpers);
        *helper = (struct helper){.person_id = people[i], .answer = HELPER_ASKED};
        model_incident_call(model, incident, people[i], call);
        model->counts.calls_for_help++;
    }
}

static void responder_answer(struct model *model, const Tocsin__ResponderAnswer *answer, const Tocsin__Reply *reply)
{
    struct incident *incident = open_one(model, answer->incident_id);
    struct helper *helper = incident != NULL ? helper_find(incident, answer->user_id) : NULL;
    bool lawful = helper != NULL && answer->state != TOCSIN__RESPONDER_STATE__RESPONDER_PENDING;
    if (model_accepted(model, reply, lawful, "an answer to a call for help") && lawful) {
        helper->answer = answer->state == TOCSIN__RESPONDER_STATE__RESPONDER_JOINED ? HELPER_JOINED : HELPER_DECLINED;
    }
}

/* ---------------------------------------------------------------- */

bool model_handling_command(struct model *model, const Tocsin__Command *command, const Tocsin__Reply *reply)
{
    switch (command->body_case) {
    case TOCSIN__COMMAND__BODY_INCIDENT_SNOOZE:
        incident_snooze(model, command->incident_snooze, reply);
        return true;
    case TOCSIN__COMMAND__BODY_INCIDENT_MERGE:
        incident_merge(model, command->incident_merge, reply);
        return true;
    case TOCSIN__COMMAND__BODY_RESPONDERS_REQUEST:
        responders_request(model, command->responders_request, reply);
        return true;
    case TOCSIN__COMMAND__BODY_RESPONDER_ANSWER:
        responder_answer(model, command->responder_answer, reply);
        return true;
    default:
        return false;
    }
}
