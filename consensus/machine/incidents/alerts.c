/*
 * Alerts by hand: resolved, or moved to another incident, all of a request or none.
 *
 * An incident that loses its last open alert this way is resolved, as it is when its senders resolve it.
 */
#include "consensus/machine/incidents/incidents.h"

#include <string.h>

#include "consensus/machine/checks.h"
#include "consensus/machine/incidents/visibility.h"

/* What is asked for, with all that it touches. Incidents are read once, so that counts of one are changed in one place. */
struct update {
    Tocsin__Incident *incident;
    Tocsin__Alert **alerts;
    Tocsin__Incident **targets; /* of each change; NULL: it stays */
    Tocsin__Incident **distinct; /* each target once */
    size_t distinct_count;
};

static Tocsin__Incident *target_get(struct apply *apply, struct update *update, uint64_t id, Tocsin__Reply *reply)
{
    for (size_t i = 0; i < update->distinct_count; i++) {
        if (update->distinct[i]->id == id) {
            return update->distinct[i];
        }
    }
    Tocsin__Incident *target = incident_get_open(apply, id, reply);
    if (target != NULL) {
        update->distinct[update->distinct_count++] = target;
    }
    return target;
}

static bool change_check(struct apply *apply, const Tocsin__AlertsUpdate *command, size_t i, struct update *update,
                         Tocsin__Reply *reply)
{
    const Tocsin__AlertChange *change = command->changes[i];
    for (size_t j = 0; j < i; j++) {
        if (command->changes[j]->id == change->id) {
            reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE,
                         "An alert is named twice.");
            return false;
        }
    }
    update->alerts[i] = alert_get(apply->store, update->incident->id, change->id, apply->arena);
    if (update->alerts[i] == NULL) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_OBJECT,
                     "The incident has no such alert.");
        return false;
    }
    if (change->incident_id == 0 || change->incident_id == update->incident->id) {
        return true;
    }
    update->targets[i] = target_get(apply, update, change->incident_id, reply);
    return update->targets[i] != NULL && secret_check_move(apply, update->incident, update->targets[i], reply);
}

static bool update_check(struct apply *apply, const Tocsin__AlertsUpdate *command, struct update *update,
                         Tocsin__Reply *reply)
{
    size_t count = command->n_changes;
    if (count > 0 && !check_room(apply, reply, "alerts in one request", count - 1, LIMIT_INCIDENTS_PER_UPDATE)) {
        return false;
    }
    update->alerts = apply_alloc(apply, (count + 1) * sizeof *update->alerts);
    update->targets = apply_alloc(apply, (count + 1) * sizeof *update->targets);
    update->distinct = apply_alloc(apply, (count + 1) * sizeof *update->distinct);
    for (size_t i = 0; i < count; i++) {
        if (!change_check(apply, command, i, update, reply)) {
            return false;
        }
    }
    for (size_t i = 0; i < update->distinct_count; i++) {
        uint64_t more = 0;
        for (size_t j = 0; j < count; j++) {
            more += update->targets[j] == update->distinct[i] ? 1 : 0;
        }
        if (!alerts_check_room(apply, update->distinct[i], more, reply)) {
            return false;
        }
    }
    return true;
}

static void log_move(struct apply *apply, Tocsin__Incident *incident, const Tocsin__Alert *alert, const char *where,
                     const Tocsin__Incident *other)
{
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_MERGE, TOCSIN__WHY__WHY_REQUEST,
                                           apply->actor);
    entry->alert_id = alert->id;
    entry->text = apply_printf(apply, "Alert \"%s\" was moved %s incident #%llu.", alert->summary, where,
                               (unsigned long long)other->number);
    timeline_put(apply, incident, entry);
}

static void log_resolved(struct apply *apply, Tocsin__Incident *incident, const Tocsin__Alert *alert)
{
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_FIELD_VALUE_CHANGE,
                                           TOCSIN__WHY__WHY_REQUEST, apply->actor);
    entry->alert_id = alert->id;
    entry->text = apply_printf(apply, "%s resolved alert \"%s\".", entry->agent->name, alert->summary);
    timeline_put(apply, incident, entry);
}

void apply_alerts_update(struct apply *apply, const Tocsin__AlertsUpdate *command, Tocsin__Reply *reply)
{
    struct update update = {.incident = incident_get_open(apply, command->incident_id, reply)};
    if (update.incident == NULL || !update_check(apply, command, &update, reply)) {
        return;
    }
    Tocsin__Incident *incident = update.incident;
    bool had_open = incident->alerts_triggered > 0, moved = false;
    for (size_t i = 0; i < command->n_changes; i++) {
        Tocsin__Alert *alert = update.alerts[i];
        if (command->changes[i]->resolve && !alert->resolved) {
            alert_resolve(apply, incident, alert);
            log_resolved(apply, incident, alert);
        }
        if (update.targets[i] != NULL) {
            moved = true;
            alert_move(apply, alert, incident, update.targets[i]);
            log_move(apply, incident, alert, "to", update.targets[i]);
            log_move(apply, update.targets[i], alert, "here from", incident);
        }
        reply_id(apply, reply, alert->id);
    }
    for (size_t i = 0; i < update.distinct_count; i++) {
        incident_put(apply->store, update.distinct[i]);
    }
    if (had_open && incident->alerts_triggered == 0) {
        incident_resolve(apply, incident,
                         moved ? TOCSIN__WHY__WHY_ALERTS_MOVED : TOCSIN__WHY__WHY_ALL_ALERTS_RESOLVED, apply->actor);
    }
    incident_put(apply->store, incident);
}
