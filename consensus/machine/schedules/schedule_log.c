/* What was done to a schedule, by whom, and who is on call because of it: lines that stay with the schedule, and where
 * an open incident is concerned, on its timeline too. */
#include "consensus/machine/checks.h"
#include "consensus/machine/incidents/incidents.h"
#include "consensus/machine/schedules/schedules.h"

static Tocsin__LogEntry *entry_new(struct apply *apply, Tocsin__LogType type, const char *text)
{
    Tocsin__LogEntry *entry = apply_alloc(apply, sizeof *entry);
    tocsin__log_entry__init(entry);
    entry->id = apply_new_id(apply);
    entry->type = type;
    entry->why = TOCSIN__WHY__WHY_REQUEST;
    entry->at_ms = apply->time_ms;
    entry->agent = (Tocsin__Actor *)(uintptr_t)apply->actor; /* packed at once, not changed */
    entry->text = apply_strdup(apply, text);
    return entry;
}

static void entry_store(struct apply *apply, uint64_t schedule_id, const Tocsin__LogEntry *entry)
{
    record_put(apply->store, TABLE_SCHEDULE_LOG, key_2(schedule_id, entry->id), &entry->base);
    uint64_t count = rows_under(apply, TABLE_SCHEDULE_LOG, schedule_id);
    struct walk walk = walk_under(apply->store, TABLE_SCHEDULE_LOG, schedule_id);
    for (; count > LIMIT_LOG_ENTRIES_PER_SCHEDULE && walk_next(&walk); count--) {
        row_delete(apply, TABLE_SCHEDULE_LOG, walk.position);
    }
}

void schedule_log(struct apply *apply, uint64_t schedule_id, Tocsin__LogType type, const char *text)
{
    entry_store(apply, schedule_id, entry_new(apply, type, text));
}

static void entry_on_call(struct apply *apply, Tocsin__LogEntry *entry, const Tocsin__OnCall *before,
                          const Tocsin__OnCall *now)
{
    const Tocsin__OnCall *both[] = {before, now};
    entry->on_call = apply_alloc(apply, sizeof both);
    for (size_t i = 0; i < 2; i++) {
        entry->on_call[i] = apply_alloc(apply, sizeof *both[i]);
        *entry->on_call[i] = *both[i];
    }
    entry->n_on_call = 2;
    entry->user_id = now->user_id;
}

static bool policy_asks(struct apply *apply, uint64_t policy_id, uint64_t schedule_id)
{
    const Tocsin__EscalationPolicy *policy = escalation_policy_get(apply->store, policy_id, apply->arena);
    for (size_t i = 0; policy != NULL && i < policy->n_levels; i++) {
        for (size_t j = 0; j < policy->levels[i]->n_schedule_ids; j++) {
            if (policy->levels[i]->schedule_ids[j] == schedule_id) {
                return true;
            }
        }
    }
    return false;
}

/* Whoever has an incident keeps it: a level asks its schedules when it begins. That is why its timeline says so. */
static void tell_incidents(struct apply *apply, uint64_t schedule_id, const char *text, const Tocsin__OnCall *before,
                           const Tocsin__OnCall *now)
{
    struct walk walk = walk_all_backward(apply->store, TABLE_INCIDENT_OPEN);
    uint64_t asked_id = 0;
    bool asks = false;
    for (unsigned i = 0; i < LIMIT_INCIDENTS_TOLD_OF_ON_CALL && walk_next(&walk); i++) {
        Tocsin__Incident *incident = incident_get(apply->store, span_number(walk.key, 0), apply->arena);
        if (incident == NULL || incident->escalation_policy_id == 0) {
            continue;
        }
        if (incident->escalation_policy_id != asked_id) {
            asked_id = incident->escalation_policy_id;
            asks = policy_asks(apply, asked_id, schedule_id);
        }
        if (asks) {
            Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_ON_CALL_CHANGE,
                                                   TOCSIN__WHY__WHY_REQUEST, apply->actor);
            entry->text = apply_strdup(apply, text);
            entry_on_call(apply, entry, before, now);
            timeline_put(apply, incident, entry);
            incident_put(apply->store, incident);
        }
    }
}

static const char *name_of(struct apply *apply, uint64_t user_id)
{
    return user_id != 0 ? timeline_user(apply, user_id) : "nobody";
}

void schedule_on_call_changed(struct apply *apply, Tocsin__Reply *reply, uint64_t schedule_id,
                              const Tocsin__OnCall *before, const char *cause)
{
    Tocsin__OnCall now = schedule_on_call(apply->store, schedule_id, apply->time_ms);
    reply->on_call_before = before->user_id;
    reply->on_call_after = now.user_id;
    reply->on_call_changed = before->user_id != now.user_id;
    if (!reply->on_call_changed) {
        return;
    }
    const Tocsin__Schedule *schedule = schedule_get(apply->store, schedule_id, apply->arena);
    const char *text =
        apply_printf(apply, "On call in %s is now %s, it was %s: %s.", schedule_called(schedule),
                     name_of(apply, now.user_id), name_of(apply, before->user_id), cause);
    Tocsin__LogEntry *entry = entry_new(apply, TOCSIN__LOG_TYPE__LOG_ON_CALL_CHANGE, text);
    entry_on_call(apply, entry, before, &now);
    entry_store(apply, schedule_id, entry);
    tell_incidents(apply, schedule_id, text, before, &now);
}
