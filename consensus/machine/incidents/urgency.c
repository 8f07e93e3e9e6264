/*
 * Urgency: of new incidents by their service's rule, and of open ones when support hours begin or end.
 *
 * A service may have any number of open incidents, so these are looked through in steps, each in an entry of its own: a
 * row among the deadlines says where the next one begins (sub-object) and where the last one ends (generation: the id that
 * was next when the first began, so that what opens meanwhile is left alone).
 */
#include <assert.h>

#include "consensus/machine/incidents/incidents.h"
#include "consensus/machine/services/support_hours.h"

/* ---------------------------------------------------------------- of a new incident */

static Tocsin__Urgency by_severity(Tocsin__Urgency rule, Tocsin__Severity severity)
{
    bool minor = severity == TOCSIN__SEVERITY__SEVERITY_WARNING || severity == TOCSIN__SEVERITY__SEVERITY_INFO;
    bool low = rule == TOCSIN__URGENCY__URGENCY_LOW || (rule == TOCSIN__URGENCY__URGENCY_SEVERITY_BASED && minor);
    return low ? TOCSIN__URGENCY__URGENCY_LOW : TOCSIN__URGENCY__URGENCY_HIGH;
}

Tocsin__Urgency urgency_of_service(struct apply *apply, const Tocsin__Service *service, Tocsin__Severity severity)
{
    if (!service->urgency_by_support_hours) {
        return by_severity(service->urgency, severity);
    }
    bool within = support_hours_at(apply->store, service->id, apply->time_ms);
    return by_severity(within ? service->urgency_during : service->urgency_outside, severity);
}

Tocsin__Why urgency_why(struct apply *apply, const Tocsin__Service *service)
{
    if (service->urgency_by_support_hours) {
        return support_hours_at(apply->store, service->id, apply->time_ms) ? TOCSIN__WHY__WHY_IN_SUPPORT_HOURS
                                                                           : TOCSIN__WHY__WHY_OUT_OF_SUPPORT_HOURS;
    }
    return service->urgency == TOCSIN__URGENCY__URGENCY_SEVERITY_BASED ? TOCSIN__WHY__WHY_SEVERITY
                                                                       : TOCSIN__WHY__WHY_SERVICE_URGENCY;
}

/* ---------------------------------------------------------------- of an open one */

void urgency_raise(struct apply *apply, Tocsin__Incident *incident, Tocsin__Why why)
{
    assert(incident->urgency == TOCSIN__URGENCY__URGENCY_LOW);
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_URGENCY_CHANGE, why, NULL);
    entry->text = apply_printf(apply, "The urgency is high from now on, because %s.", timeline_why(why));
    incident->urgency = TOCSIN__URGENCY__URGENCY_HIGH;
    incident->urgency_why = why;
    timeline_put(apply, incident, entry);
    if (incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED)) {
        escalation_renew(apply, incident);
    }
}

/* ---------------------------------------------------------------- steps along the open ones of a service */

static void next_step(struct apply *apply, enum deadline_kind kind, uint64_t service_id, uint64_t from_id,
                      const Tocsin__Deadline *row)
{
    record_put(apply->store, TABLE_DEADLINE, key_deadline(apply->time_ms + 1, kind, service_id, from_id), &row->base);
}

/* `act` is true when it changed the incident. */
static void step(struct apply *apply, enum deadline_kind kind, uint64_t service_id, uint64_t from_id,
                 const Tocsin__Deadline *row, bool (*act)(struct apply *, Tocsin__Incident *, Tocsin__Why))
{
    unsigned seen = 0, changed = 0;
    struct walk walk = walk_all(apply->store, TABLE_INCIDENT_OPEN);
    if (from_id > 0) {
        walk.position = key_1(from_id - 1);
        walk.started = true;
    }
    while (walk_next(&walk) && span_number(walk.key, 0) < row->generation) {
        uint64_t incident_id = span_number(walk.key, 0);
        if (seen++ == LIMIT_SUPPORT_STEP_ROWS || changed == LIMIT_SUPPORT_STEP_INCIDENTS) {
            next_step(apply, kind, service_id, incident_id, row);
            return;
        }
        Tocsin__Incident *incident = span_number(walk.value, 0) == service_id
                                         ? incident_get(apply->store, incident_id, apply->arena)
                                         : NULL;
        if (incident != NULL && act(apply, incident, row->why)) {
            incident_put(apply->store, incident);
            changed++;
        }
    }
}

static bool raise_low(struct apply *apply, Tocsin__Incident *incident, Tocsin__Why why)
{
    bool low = incident->urgency == TOCSIN__URGENCY__URGENCY_LOW;
    if (low) {
        urgency_raise(apply, incident, why);
    }
    return low;
}

void urgency_change_due(struct apply *apply, uint64_t service_id, uint64_t from_id, uint64_t due_ms,
                        const Tocsin__Deadline *row)
{
    Tocsin__Service *service = service_get(apply->store, service_id, apply->arena);
    if (service == NULL || (from_id == 0 && service->urgency_change_due_ms != due_ms)) {
        return;
    }
    Tocsin__Deadline first = *row;
    if (from_id == 0) {
        bool begins = support_hours_edge(apply->store, service_id, due_ms - 1, true) == due_ms;
        first.generation = apply->counters->next_id;
        first.why = begins ? TOCSIN__WHY__WHY_SUPPORT_HOURS_BEGIN : TOCSIN__WHY__WHY_SUPPORT_HOURS_END;
        service->urgency_change_due_ms = 0;
        urgency_change_file(apply, service);
        service_put(apply->store, service);
    }
    if (service->open_incidents > 0) {
        step(apply, DEADLINE_URGENCY_CHANGE, service_id, from_id, &first, raise_low);
    }
}

static bool restart_clock(struct apply *apply, Tocsin__Incident *incident, Tocsin__Why why)
{
    (void)why;
    bool runs = incident->support_left_ms > 0;
    if (runs) {
        support_clock_restart(apply, incident);
    }
    return runs;
}

void support_hours_changed_due(struct apply *apply, uint64_t service_id, uint64_t from_id, const Tocsin__Deadline *row)
{
    const Tocsin__Service *service = service_get(apply->store, service_id, apply->arena);
    if (service != NULL && service->open_incidents > 0) {
        step(apply, DEADLINE_SUPPORT_HOURS, service_id, from_id, row, restart_clock);
    }
}
