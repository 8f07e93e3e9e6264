/*
 * The time of a level at low urgency counts support hours only. It runs in stretches, each from one edge of the
 * service's support hours to the next, so that nothing is looked up but the next edge:
 *
 *     Friday 16:50 ──counts 10 min──> 17:00 ──does not count──> Monday 09:00 ──counts 20 min──> the next level
 *
 * The deadline is that of the level (DEADLINE_ESCALATE): at the end of a stretch it is filed for the end of the next one.
 */
#include <assert.h>

#include "consensus/machine/incidents/incidents.h"
#include "consensus/machine/services/support_hours.h"

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void stretch_begin(struct apply *apply, Tocsin__Incident *incident)
{
    const struct machine_store *store = apply->store;
    uint64_t now_ms = apply->time_ms;
    bool within = support_hours_at(store, incident->service_id, now_ms);
    uint64_t edge_ms = support_hours_edge(store, incident->service_id, now_ms, !within);
    uint64_t due_ms = now_ms + incident->support_left_ms;
    if (within) {
        due_ms = edge_ms != 0 ? sooner(due_ms, edge_ms) : due_ms;
    } else {
        due_ms = edge_ms != 0 ? edge_ms : support_hours_known_until(store, incident->service_id);
    }
    assert(due_ms > now_ms);
    incident->support_from_ms = now_ms;
    incident->support_counts = within;
    incident_deadline(apply, incident, DEADLINE_ESCALATE, due_ms);
}

/* A pulse may be late: what lies behind the edge that ended the stretch was not within. */
static void stretch_end(struct apply *apply, Tocsin__Incident *incident)
{
    uint64_t edge_ms = support_hours_edge(apply->store, incident->service_id, incident->support_from_ms, false);
    uint64_t end_ms = edge_ms != 0 ? sooner(edge_ms, apply->time_ms) : apply->time_ms;
    if (incident->support_counts) {
        incident->support_left_ms -= sooner(end_ms - incident->support_from_ms, incident->support_left_ms);
    }
}

void support_clock_begin(struct apply *apply, Tocsin__Incident *incident, uint64_t delay_ms)
{
    assert(delay_ms > 0);
    incident->support_left_ms = delay_ms;
    stretch_begin(apply, incident);
}

bool support_clock_is_over(struct apply *apply, Tocsin__Incident *incident)
{
    if (incident->support_left_ms == 0) {
        return true;
    }
    stretch_end(apply, incident);
    if (incident->support_left_ms == 0) {
        support_clock_stop(incident);
        return true;
    }
    stretch_begin(apply, incident);
    return false;
}

void support_clock_restart(struct apply *apply, Tocsin__Incident *incident)
{
    stretch_end(apply, incident);
    if (incident->support_left_ms > 0) {
        stretch_begin(apply, incident);
    } else { /* its time was over before: the level is due as it was */
        support_clock_stop(incident);
        assert(incident_deadline_due(incident, DEADLINE_ESCALATE) <= apply->time_ms);
    }
}

void support_clock_stop(Tocsin__Incident *incident)
{
    incident->support_left_ms = incident->support_from_ms = 0;
    incident->support_counts = false;
}
