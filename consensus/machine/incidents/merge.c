/*
 * Merge: several incidents turn out to be one.
 *
 *     sources ──alerts──> target         each source is resolved, and says into what it was merged
 *
 * The target stays as it is: its urgency, its people, its acknowledgement. What an event source sends for an alert that
 * moved is the target's from then on; with its last open alert the target is resolved, whoever made it.
 */
#include "consensus/machine/incidents/incidents.h"

#include <assert.h>
#include <inttypes.h>

#include "consensus/machine/checks.h"
#include "consensus/machine/incidents/visibility.h"
#include "consensus/machine/planted.h"

static bool refuse_merge(struct apply *apply, Tocsin__Reply *reply, const char *message)
{
    reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_MERGE, "%s", message);
    return false;
}

void alert_move(struct apply *apply, Tocsin__Alert *alert, Tocsin__Incident *from, Tocsin__Incident *to)
{
    assert(alert->incident_id == from->id && from->id != to->id);
    row_delete(apply, TABLE_ALERT, key_2(from->id, alert->id));
    alert->incident_id = to->id;
    alert_put(apply->store, alert);
    if (alert->resolved) {
        from->alerts_resolved--;
        to->alerts_resolved++;
        return;
    }
    struct key index = key_1_hash(alert->integration_id, alert->dedup_key);
    struct key place = key_2(to->id, alert->id);
    apply->store->put(apply->store->context, TABLE_ALERT_OPEN, key_span(&index), key_span(&place));
    from->alerts_triggered--;
    to->alerts_triggered++;
}

bool alerts_check_room(struct apply *apply, const Tocsin__Incident *incident, uint64_t more, Tocsin__Reply *reply)
{
    uint64_t count = (uint64_t)incident->alerts_triggered + incident->alerts_resolved + more;
    return more == 0 || check_room(apply, reply, "alerts in one incident", count - 1, LIMIT_ALERTS_PER_INCIDENT);
}

static uint32_t alerts_count(const Tocsin__Incident *incident)
{
    return incident->alerts_triggered + incident->alerts_resolved;
}

/* The sources, each open and named once; NULL, with the reply refused, when that is not so. */
static Tocsin__Incident **sources_check(struct apply *apply, const Tocsin__IncidentMerge *merge,
                                        const Tocsin__Incident *target, Tocsin__Reply *reply)
{
    if (merge->n_source_ids == 0) {
        refuse_merge(apply, reply, "A merge names at least one source incident.");
        return NULL;
    }
    if (!check_room(apply, reply, "incidents in one merge", merge->n_source_ids - 1, LIMIT_INCIDENTS_PER_MERGE)) {
        return NULL;
    }
    Tocsin__Incident **sources = apply_alloc(apply, merge->n_source_ids * sizeof *sources);
    uint64_t alerts = 0;
    for (size_t i = 0; i < merge->n_source_ids; i++) {
        for (size_t j = 0; j < i; j++) {
            if (merge->source_ids[j] == merge->source_ids[i]) {
                refuse_merge(apply, reply, "A source incident is named twice.");
                return NULL;
            }
        }
        if (merge->source_ids[i] == target->id) {
            refuse_merge(apply, reply, "An incident cannot be merged into itself.");
            return NULL;
        }
        sources[i] = incident_get_open(apply, merge->source_ids[i], reply);
        if (sources[i] == NULL || !secret_check_move(apply, sources[i], target, reply)) {
            return NULL;
        }
        alerts += alerts_count(sources[i]);
    }
    return alerts_check_room(apply, target, alerts, reply) ? sources : NULL;
}

static void log_merge(struct apply *apply, Tocsin__Incident *incident, const char *text)
{
    Tocsin__LogEntry *entry =
        timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_MERGE, TOCSIN__WHY__WHY_REQUEST, apply->actor);
    entry->text = apply_strdup(apply, text);
    timeline_put(apply, incident, entry);
}

static void merge_one(struct apply *apply, Tocsin__Incident *source, Tocsin__Incident *target)
{
    uint32_t moved = alerts_count(source);
    struct walk walk = walk_under(apply->store, TABLE_ALERT, source->id);
    while (alerts_count(source) > 0 && walk_next(&walk)) {
        Tocsin__Alert *alert = record_unpack(&tocsin__alert__descriptor, walk.value, apply->arena);
        if (alert != NULL && !planted(MERGE_LEAVES_ALERTS)) {
            alert_move(apply, alert, source, target);
        }
    }
    const char *alerts = moved == 1 ? "alert" : "alerts";
    log_merge(apply, source, apply_printf(apply, "Merged into incident #%" PRIu64 ", with %" PRIu32 " %s.",
                                          target->number, moved, alerts));
    log_merge(apply, target, apply_printf(apply, "Incident #%" PRIu64 " (%s) was merged into this one, with %" PRIu32 " %s.",
                                          source->number, source->title, moved, alerts));
    source->merged_into_id = target->id;
    incident_resolve(apply, source, TOCSIN__WHY__WHY_MERGED, apply->actor);
    incident_put(apply->store, source);
}

void apply_incident_merge(struct apply *apply, const Tocsin__IncidentMerge *merge, Tocsin__Reply *reply)
{
    Tocsin__Incident *target = incident_get_open(apply, merge->target_id, reply);
    Tocsin__Incident **sources = target != NULL ? sources_check(apply, merge, target, reply) : NULL;
    if (sources == NULL) {
        return;
    }
    for (size_t i = 0; i < merge->n_source_ids; i++) {
        merge_one(apply, sources[i], target);
    }
    if (planted(MERGE_LOSES_DEADLINE)) {
        escalation_stop(apply, target);
    }
    incident_put(apply->store, target);
    reply_id(apply, reply, target->id);
}
