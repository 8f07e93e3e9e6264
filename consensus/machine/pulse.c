/*
 * Deadlines that are due, in the order of their time, and of one instant in the order of their kinds: telling people
 * first.
 *
 * A deadline's row is taken before it is handled. What it means is judged against the state of this moment: a row that
 * the state knows nothing of any more has no effect.
 */
#include "consensus/machine/incidents/incidents.h"

#include <assert.h>

#include "consensus/machine/checks.h"
#include "consensus/machine/drills/drills.h"
#include "consensus/machine/heartbeats/heartbeats.h"
#include "consensus/machine/planted.h"
#include "consensus/machine/schedules/handoffs.h"
#include "consensus/machine/schedules/swaps.h"
#include "consensus/machine/suppression/suppression.h"

struct due {
    uint64_t due_ms, object, sub_object;
    enum deadline_kind kind;
    const Tocsin__Deadline *row;
};

/* What an incident's own deadlines lead to. */
static const struct incident_handler {
    enum deadline_kind kind;
    void (*handle)(struct apply *, Tocsin__Incident *);
} INCIDENT_HANDLERS[] = {
    {DEADLINE_ESCALATE, escalation_level_due},
    {DEADLINE_ACKNOWLEDGEMENT, escalation_acknowledgement_due},
    {DEADLINE_GUARDIANS, escalation_guardians_due},
    {DEADLINE_AUTO_RESOLVE, incident_auto_resolve_due},
    {DEADLINE_SNOOZE, incident_snooze_due},
    {DEADLINE_ACKNOWLEDGE_TARGET, targets_acknowledge_due},
    {DEADLINE_RESOLVE_TARGET, targets_resolve_due},
};
#define INCIDENT_HANDLERS_COUNT (sizeof INCIDENT_HANDLERS / sizeof INCIDENT_HANDLERS[0])

static void incident_due(struct apply *apply, const struct due *due)
{
    Tocsin__Incident *incident = incident_get(apply->store, due->object, apply->arena);
    if (incident == NULL || (incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED) &&
                             !planted(RESOLVED_STILL_ESCALATES))) {
        return;
    }
    if (due->kind == DEADLINE_NOTIFICATION_RULE) {
        telling_rule_due(apply, incident, due->row);
        incident_put(apply->store, incident);
        return;
    }
    if (incident_deadline_due(incident, due->kind) != due->due_ms) {
        return;
    }
    incident_deadline(apply, incident, due->kind, 0);
    for (size_t i = 0; i < INCIDENT_HANDLERS_COUNT; i++) {
        if (INCIDENT_HANDLERS[i].kind == due->kind) {
            INCIDENT_HANDLERS[i].handle(apply, incident);
        }
    }
    incident_put(apply->store, incident);
}

/* What a row leads to, by its object, and its sub-object or time. */
static void object_due(struct apply *apply, const struct due *due)
{
    switch (due->kind) {
    case DEADLINE_NOTIFICATION_RETRY:
        outbox_retry_due(apply, due->object, due->due_ms);
        break;
    case DEADLINE_URGENCY_CHANGE:
        urgency_change_due(apply, due->object, due->sub_object, due->due_ms, due->row);
        break;
    case DEADLINE_SUPPORT_HOURS:
        support_hours_changed_due(apply, due->object, due->sub_object, due->row);
        break;
    case DEADLINE_SWAP:
        swap_due(apply, due->object, due->sub_object);
        break;
    case DEADLINE_HOLD_END:
        hold_due(apply, due->object);
        break;
    case DEADLINE_HOLD_DRAIN:
        hold_drain_due(apply, due->object, due->sub_object);
        break;
    case DEADLINE_MAINTENANCE_END:
        maintenance_end_due(apply, due->object, due->due_ms);
        break;
    case DEADLINE_MAINTENANCE_WARNING:
        maintenance_warning_due(apply, due->object, due->due_ms);
        break;
    case DEADLINE_MUTE_END:
        mute_end_due(apply, due->object, due->due_ms);
        break;
    case DEADLINE_HEARTBEATS_UNTOLD:
        heartbeats_untold_due(apply, due->object, due->row);
        break;
    case DEADLINE_DRILL:
        drill_due(apply, due->object, due->due_ms);
        break;
    default:
        incident_due(apply, due);
    }
}

/* The first row that is due by now, taken; retention's is passed over and noted. False when there is none. */
static bool due_take(struct apply *apply, struct walk *walk, struct due *due, struct key *retention)
{
    while (walk_next(walk)) {
        key_deadline_split(walk->key, &due->due_ms, &due->kind, &due->object, &due->sub_object);
        if (due->due_ms > apply->time_ms) {
            return false;
        }
        if (due->kind == DEADLINE_RETENTION) {
            *retention = walk->position;
            continue;
        }
        due->row = record_unpack(&tocsin__deadline__descriptor, walk->value, apply->arena);
        row_delete(apply, TABLE_DEADLINE, walk->position);
        return true;
    }
    return false;
}

/* Escalations come before heartbeats, and these before cleaning up: retention has its turn when nothing else is left for
 * this pulse. */
void apply_pulse(struct apply *apply, const Tocsin__Pulse *pulse, Tocsin__Reply *reply)
{
    (void)reply; /* OK, always */
    uint32_t left = pulse->limit < LIMIT_PULSE_DEADLINES ? pulse->limit : LIMIT_PULSE_DEADLINES;
    struct key retention = {.size_bytes = 0};
    struct due due;
    for (; left > 0; left--) {
        struct walk walk = walk_all(apply->store, TABLE_DEADLINE);
        if (!due_take(apply, &walk, &due, &retention)) {
            break;
        }
        assert(due.row != NULL);
        object_due(apply, &due);
    }
    left = alerts_expire(apply, left);
    left = heartbeats_due(apply, left);
    left = handoffs_due(apply, left);
    if (left > 0 && retention.size_bytes > 0) {
        row_delete(apply, TABLE_DEADLINE, retention);
        key_deadline_split(key_span(&retention), &due.due_ms, &due.kind, &due.object, &due.sub_object);
        retention_due(apply, due.sub_object);
    }
}
