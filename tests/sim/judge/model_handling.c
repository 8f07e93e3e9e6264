/*
 * What people do with an incident beside taking it and giving it on: they put it off, or find that several are one.
 *
 * Who puts it off has it: it is quiet until its time is over, and begins anew then. What is merged into another is over,
 * with all that was owed of it; its alerts are the other's, which stays as it is.
 */
#include <inttypes.h>

#include "consensus/machine/limits.h"
#include "tests/sim/judge/model_internal.h"

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
    default:
        return false;
    }
}
