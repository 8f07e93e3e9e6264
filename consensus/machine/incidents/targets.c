/*
 * Targets of a priority: by when somebody acknowledges, by when it is over, counted from the incident's beginning.
 *
 *     priority given ──> two deadlines ──acknowledged, resolved──> met: nothing is said
 *                                      └──missed──> a timeline entry, a bulletin to those who have it, and
 *                                                   at high urgency without an acknowledgement the next level at once
 *
 * A target that has passed already when the priority is given is missed at once. What was missed stays so, whatever the
 * priority is changed to; what was met likewise.
 */
#include "consensus/machine/incidents/incidents.h"

#include "consensus/machine/incidents/priorities.h"

static uint64_t target_due(const struct apply *apply, const Tocsin__Incident *incident, uint32_t minutes, bool decided)
{
    return minutes > 0 && !decided ? incident->created_at_ms + apply_minutes_ms(apply, minutes) : 0;
}

void targets_file(struct apply *apply, Tocsin__Incident *incident)
{
    if (incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED)) {
        return;
    }
    uint64_t priority_id = incident_details(incident)->priority_id;
    const Tocsin__Priority *priority =
        priority_id != 0 ? priority_find(priorities_read(apply->store, apply->arena), priority_id) : NULL;
    bool acknowledged = incident->first_acknowledged_at_ms != 0 || incident->acknowledge_target_missed;
    incident_deadline(apply, incident, DEADLINE_ACKNOWLEDGE_TARGET,
                      target_due(apply, incident, priority != NULL ? priority->acknowledge_target_minutes : 0,
                                 acknowledged));
    incident_deadline(apply, incident, DEADLINE_RESOLVE_TARGET,
                      target_due(apply, incident, priority != NULL ? priority->resolve_target_minutes : 0,
                                 incident->resolve_target_missed));
}

void targets_acknowledged(struct apply *apply, Tocsin__Incident *incident)
{
    if (incident->first_acknowledged_at_ms == 0) {
        incident->first_acknowledged_at_ms = apply->time_ms;
    }
    incident_deadline(apply, incident, DEADLINE_ACKNOWLEDGE_TARGET, 0);
}

void targets_resolved(struct apply *apply, Tocsin__Incident *incident)
{
    incident_deadline(apply, incident, DEADLINE_ACKNOWLEDGE_TARGET, 0);
    incident_deadline(apply, incident, DEADLINE_RESOLVE_TARGET, 0);
}

/* Those who have it, and those who acknowledged it. */
static void tell_holders(struct apply *apply, Tocsin__Incident *incident, const struct bulletin *bulletin)
{
    for (size_t i = 0; i < incident->n_assignments; i++) {
        telling_bulletin(apply, incident, incident->assignments[i]->user_id, bulletin);
    }
    for (size_t i = 0; i < incident->n_acknowledgements; i++) {
        if (!incident_is_assigned(incident, incident->acknowledgements[i]->user_id)) {
            telling_bulletin(apply, incident, incident->acknowledgements[i]->user_id, bulletin);
        }
    }
}

static void missed(struct apply *apply, Tocsin__Incident *incident, Tocsin__Why why, const char *what)
{
    const Tocsin__Priority *priority =
        priority_find(priorities_read(apply->store, apply->arena), incident_details(incident)->priority_id);
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_TARGET_MISSED, why, NULL);
    entry->text =
        apply_printf(apply, "The target of priority %s was missed: %s.", priority != NULL ? priority->name : "?", what);
    timeline_put(apply, incident, entry);
    /* Somebody who has it is not paged again for this. */
    bool quiet = !incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED) || incident_is_ticket(incident);
    struct bulletin bulletin = {.kind = TOCSIN__BULLETIN_KIND__BULLETIN_TARGET_MISSED,
                            .why = why,
                            .urgency = quiet ? TOCSIN__URGENCY__URGENCY_LOW : incident->urgency,
                            .log_entry_id = entry->id,
                            .text = entry->text};
    tell_holders(apply, incident, &bulletin);
}

void targets_acknowledge_due(struct apply *apply, Tocsin__Incident *incident)
{
    incident->acknowledge_target_missed = true;
    missed(apply, incident, TOCSIN__WHY__WHY_ACKNOWLEDGE_TARGET, "nobody has acknowledged");
    escalation_hurry(apply, incident, TOCSIN__WHY__WHY_ACKNOWLEDGE_TARGET);
}

void targets_resolve_due(struct apply *apply, Tocsin__Incident *incident)
{
    incident->resolve_target_missed = true;
    missed(apply, incident, TOCSIN__WHY__WHY_RESOLVE_TARGET, "it is not resolved");
}
