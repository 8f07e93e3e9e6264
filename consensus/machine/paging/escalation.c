/*
 * Who has an incident now, and who is next.
 *
 *     level 1 ──delay──> level 2 ──> ... last level ──> level 1 of the next pass ... last pass ──> guardians ─┐
 *        (a level where nobody can be told is left at once)                                         ^          │ every
 *     people, by hand ─────────────────delay────────────────────────────────────────────────────────┘<─────────┘ 15 min
 *
 * Only high urgency moves by time, low urgency where the policy says so. Each assignment is a new generation: what an older one left in outbox and deadlines
 * is known by its number and has no effect.
 */
#include "consensus/machine/incidents/incidents.h"

#include <assert.h>
#include <string.h>

#include "consensus/machine/paging/level.h"
#include "consensus/machine/planted.h"

/* People who were assigned by hand have as long as this many levels before the guardians are told. */
#define LEVELS_BY_HAND 4u

static bool is_triggered(const Tocsin__Incident *incident)
{
    return incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED);
}

static bool is_low(const Tocsin__Incident *incident)
{
    return incident->urgency == TOCSIN__URGENCY__URGENCY_LOW;
}

/* Low urgency moves by time only where the policy says so, and not when people have it by hand. */
static bool stays(const Tocsin__Incident *incident, const Tocsin__EscalationPolicy *policy)
{
    return is_low(incident) && (policy == NULL || incident->level == 0 || !policy->escalate_low_urgency || planted(LOW_LEVEL_STAYS));
}

static const Tocsin__EscalationPolicy *policy_of(struct apply *apply, const Tocsin__Incident *incident)
{
    return escalation_policy_get(apply->store, incident->escalation_policy_id, apply->arena);
}

static uint64_t level_delay_ms(const struct apply *apply, const Tocsin__EscalationLevel *level)
{
    return apply_minutes_ms(apply, level->delay_minutes > 0 ? level->delay_minutes : DEFAULT_LEVEL_DELAY_MINUTES);
}

void escalation_stop(struct apply *apply, Tocsin__Incident *incident)
{
    incident_deadline(apply, incident, DEADLINE_ESCALATE, 0);
    incident_deadline(apply, incident, DEADLINE_GUARDIANS, 0);
    support_clock_stop(incident);
}

/* ---------------------------------------------------------------- giving it to people */

static void assignments_set(struct apply *apply, Tocsin__Incident *incident, const uint64_t *user_ids, size_t count)
{
    incident->n_assignments = 0;
    incident->assignments = apply_alloc(apply, (count + 1) * sizeof *incident->assignments);
    for (size_t i = 0; i < count; i++) {
        if (incident_is_assigned(incident, user_ids[i]) || user_get(apply->store, user_ids[i], apply->arena) == NULL) {
            continue;
        }
        Tocsin__Assignment *assignment = apply_alloc(apply, sizeof *assignment);
        tocsin__assignment__init(assignment);
        assignment->user_id = user_ids[i];
        assignment->at_ms = apply->time_ms;
        incident->assignments[incident->n_assignments++] = assignment;
    }
}

static uint64_t *assignee_ids(struct apply *apply, const Tocsin__Incident *incident)
{
    uint64_t *ids = apply_alloc(apply, (incident->n_assignments + 1) * sizeof *ids);
    for (size_t i = 0; i < incident->n_assignments; i++) {
        ids[i] = incident->assignments[i]->user_id;
    }
    return ids;
}

/* What an earlier assignment left behind has no effect any more. */
static void generation_begin(struct apply *apply, Tocsin__Incident *incident, const Tocsin__Actor *by)
{
    outbox_withdraw(apply, incident, 0, TOCSIN__WHY__WHY_REASSIGNED);
    escalation_stop(apply, incident);
    incident_deadline(apply, incident, DEADLINE_ACKNOWLEDGEMENT, 0);
    incident_deadline(apply, incident, DEADLINE_SNOOZE, 0);
    incident->generation++;
    incident->exhausted = false;
    incident->n_acknowledgements = 0;
    if (!is_triggered(incident)) {
        incident_set_status(apply, incident, TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED, by);
    }
}

/* Gives it to these people and writes it down; nobody is told yet. `policy` is NULL for people by hand. */
static void give(struct apply *apply, Tocsin__Incident *incident, const struct people *people_given,
                 const Tocsin__EscalationPolicy *policy, Tocsin__LogType type, Tocsin__Why why,
                 const Tocsin__Actor *by)
{
    bool low_stays = stays(incident, policy) && !incident_is_ticket(incident);
    generation_begin(apply, incident, by);
    assignments_set(apply, incident, people_given->user_ids, people_given->users_count);
    Tocsin__LogEntry *entry =
        timeline_new(apply, incident, type, low_stays ? TOCSIN__WHY__WHY_LOW_URGENCY : why, by);
    entry->n_assignee_ids = incident->n_assignments;
    entry->assignee_ids = assignee_ids(apply, incident);
    const char *people = timeline_users(apply, entry->assignee_ids, entry->n_assignee_ids);
    const char *low = low_stays ? "; low urgency does not escalate by time" : "";
    if (incident->level > 0) {
        const char *turn = policy->levels[incident->level - 1]->round_robin ? ", whose turn it is" : "";
        entry->n_on_call = people_given->on_call_count;
        entry->on_call = people_given->on_call;
        entry->text = apply_printf(apply, "%s level %u: %s%s, because %s%s%s.",
                                   type == TOCSIN__LOG_TYPE__LOG_ESCALATE ? "Escalated to" : "Assigned to",
                                   incident->level, people, entry->n_assignee_ids > 0 ? turn : "", timeline_why(why), low,
                                   level_on_call_text(apply, people_given));
    } else {
        entry->text = apply_printf(apply, "Assigned to %s, because %s%s.", people, timeline_why(why), low);
    }
    timeline_put(apply, incident, entry);
}

/* ---------------------------------------------------------------- the end of the policy */

static void guardians_tell(struct apply *apply, Tocsin__Incident *incident)
{
    if (!planted(GUARDIANS_NOT_TOLD)) {
        telling_guardians(apply, incident);
    }
    bool later = is_low(incident) && apply->settings->n_guardians > 0; /* one who is configured meanwhile does not wait for a day */
    uint32_t minutes = later ? GUARDIANS_REPEAT_LOW_MINUTES : GUARDIANS_REPEAT_MINUTES;
    incident_deadline(apply, incident, DEADLINE_GUARDIANS, apply->time_ms + apply_minutes_ms(apply, minutes));
}

/* Nobody answered, or nobody could be told: from now on the guardians are, until somebody acknowledges. */
static void exhaust(struct apply *apply, Tocsin__Incident *incident, Tocsin__Why why)
{
    if (!is_triggered(incident)) {
        generation_begin(apply, incident, NULL);
    }
    incident->exhausted = true;
    incident_deadline(apply, incident, DEADLINE_ESCALATE, 0);
    support_clock_stop(incident);
    Tocsin__LogEntry *entry =
        timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_EXHAUST_ESCALATION_PATH, why, NULL);
    entry->text = apply_printf(
        apply, "The escalation ended, because %s. %s", timeline_why(why),
        apply->settings->n_guardians > 0
            ? "The cluster's guardians are told until somebody acknowledges."
            : "The cluster has no guardians configured: nobody is told until somebody looks or a guardian is added.");
    timeline_put(apply, incident, entry);
    guardians_tell(apply, incident);
}

/* ---------------------------------------------------------------- levels */

/* Starts the time in which somebody must acknowledge; `policy` is NULL for people assigned by hand. */
static void wait_begin(struct apply *apply, Tocsin__Incident *incident, const Tocsin__EscalationPolicy *policy)
{
    if (stays(incident, policy)) {
        return;
    }
    if (policy != NULL) {
        uint64_t delay_ms = level_delay_ms(apply, policy->levels[incident->level - 1]);
        if (is_low(incident)) {
            support_clock_begin(apply, incident, delay_ms);
        } else {
            incident_deadline(apply, incident, DEADLINE_ESCALATE, apply->time_ms + delay_ms);
        }
    } else {
        incident_deadline(apply, incident, DEADLINE_GUARDIANS,
                          apply->time_ms + apply_minutes_ms(apply, DEFAULT_LEVEL_DELAY_MINUTES * LEVELS_BY_HAND));
    }
}

/* Gives it to the incident's present level and tells them; false when nobody there can be told. */
static bool level_enter(struct apply *apply, Tocsin__Incident *incident, const Tocsin__EscalationPolicy *policy,
                        Tocsin__LogType type, Tocsin__Why why, const Tocsin__Actor *by)
{
    struct people people = level_people(apply, incident, policy);
    give(apply, incident, &people, policy, type, why, by);
    if (!telling_assignees(apply, incident)) {
        return false;
    }
    wait_begin(apply, incident, policy);
    return true;
}

static void pass_begin(struct apply *apply, Tocsin__Incident *incident, const Tocsin__EscalationPolicy *policy)
{
    incident->level = 1;
    incident->pass++;
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_REPEAT_ESCALATION_PATH,
                                           TOCSIN__WHY__WHY_POLICY_REPEAT, NULL);
    entry->text = apply_printf(apply, "The escalation policy %s begins again (%u of %u repeats).", policy->name,
                               incident->pass, policy->num_loops);
    timeline_put(apply, incident, entry);
}

/* Everybody was told, and low urgency is no reason to wake the guardians: it stays with them, and says so. */
static void low_end(struct apply *apply, Tocsin__Incident *incident)
{
    incident->exhausted = true;
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_EXHAUST_ESCALATION_PATH,
                                           TOCSIN__WHY__WHY_LOW_URGENCY, NULL);
    entry->text = apply_printf(apply, "The escalation ended, because %s; at low urgency the guardians are not told.",
                               timeline_why(TOCSIN__WHY__WHY_POLICY_EXHAUSTED));
    timeline_put(apply, incident, entry);
}

/* No level is left to go to: the incident stays with those who had it last, and on their level. */
static void levels_end(struct apply *apply, Tocsin__Incident *incident, Tocsin__Why why)
{
    if (incident->level > 1) {
        incident->level--;
    }
    if (is_low(incident) && why == TOCSIN__WHY__WHY_LEVEL_TIMEOUT) {
        low_end(apply, incident);
    } else {
        exhaust(apply, incident,
                why == TOCSIN__WHY__WHY_NOBODY_ON_LEVEL ? why : TOCSIN__WHY__WHY_POLICY_EXHAUSTED);
    }
}

/* A ticket goes to the first level from here on that has people, and stays there: nobody is told, nothing moves by time. */
static void ticket_walk(struct apply *apply, Tocsin__Incident *incident, const Tocsin__EscalationPolicy *policy,
                        Tocsin__LogType type, const Tocsin__Actor *by)
{
    struct people people = {.users_count = 0};
    if (policy == NULL || policy->n_levels == 0) {
        incident->level = 0;
        policy = NULL;
    } else {
        incident->level = incident->level < policy->n_levels ? incident->level : (uint32_t)policy->n_levels;
        people = level_people(apply, incident, policy);
        while (people.users_count == 0 && incident->level < policy->n_levels) {
            incident->level++;
            people = level_people(apply, incident, policy);
        }
    }
    give(apply, incident, &people, policy, type, TOCSIN__WHY__WHY_TICKET, by);
}

/*
 * From the incident's present level on: the first level with somebody who can be told takes it. When a whole round
 * finds none, further passes would not either, and the guardians are told at once.
 */
static void levels_walk(struct apply *apply, Tocsin__Incident *incident, Tocsin__LogType type, Tocsin__Why why,
                        const Tocsin__Actor *by)
{
    const Tocsin__EscalationPolicy *policy = policy_of(apply, incident);
    if (incident_is_ticket(incident)) {
        ticket_walk(apply, incident, policy, type, by);
        return;
    }
    size_t levels_count = policy != NULL ? policy->n_levels : 0;
    for (size_t empty_levels = 0; empty_levels < levels_count; empty_levels++) {
        if (incident->level > levels_count) {
            if (incident->pass >= policy->num_loops) {
                levels_end(apply, incident, why);
                return;
            }
            pass_begin(apply, incident, policy);
        }
        if (level_enter(apply, incident, policy, type, why, by)) {
            return;
        }
        incident->level++;
        type = TOCSIN__LOG_TYPE__LOG_ESCALATE;
        why = planted(QUIET_LEVEL_WITHOUT_REASON) ? why : TOCSIN__WHY__WHY_NOBODY_ON_LEVEL;
        by = NULL;
    }
    levels_end(apply, incident, TOCSIN__WHY__WHY_NOBODY_ON_LEVEL);
}

void escalation_begin(struct apply *apply, Tocsin__Incident *incident, uint32_t level, Tocsin__Why why,
                      const Tocsin__Actor *by)
{
    assert(level > 0);
    incident->level = level;
    incident->pass = 0;
    levels_walk(apply, incident, TOCSIN__LOG_TYPE__LOG_ASSIGN, why, by);
}

void escalation_to_level(struct apply *apply, Tocsin__Incident *incident, uint32_t level, const Tocsin__Actor *by)
{
    assert(level > 0);
    incident->level = level;
    if (incident->exhausted) {
        incident->pass = 0;
    }
    levels_walk(apply, incident, TOCSIN__LOG_TYPE__LOG_ESCALATE, TOCSIN__WHY__WHY_REQUEST, by);
}

/* Nothing comes next by itself, and why. */
static void log_stays(struct apply *apply, Tocsin__Incident *incident, Tocsin__Why why)
{
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_ASSIGN, why, NULL);
    entry->n_assignee_ids = incident->n_assignments;
    entry->assignee_ids = assignee_ids(apply, incident);
    entry->text = apply_printf(apply, "Stays with %s; %s.",
                               incident->n_assignments > 0 ? "the same people" : "nobody", timeline_why(why));
    timeline_put(apply, incident, entry);
}

void escalation_next(struct apply *apply, Tocsin__Incident *incident, Tocsin__Why why)
{
    if (incident->level == 0 && incident_is_ticket(incident)) {
        log_stays(apply, incident, TOCSIN__WHY__WHY_TICKET);
        return;
    }
    if (incident->level == 0) {
        exhaust(apply, incident, why);
        return;
    }
    incident->level++;
    levels_walk(apply, incident, TOCSIN__LOG_TYPE__LOG_ESCALATE, why, NULL);
}

/* ---------------------------------------------------------------- by hand */

void escalation_to_people(struct apply *apply, Tocsin__Incident *incident, const uint64_t *user_ids, size_t count,
                          bool tell, const Tocsin__Actor *by)
{
    incident->level = 0;
    incident->pass = 0;
    struct people people = {.user_ids = apply_alloc(apply, (count + 1) * sizeof *user_ids), .users_count = count};
    for (size_t i = 0; i < count; i++) {
        people.user_ids[i] = user_ids[i];
    }
    bool ticket = incident_is_ticket(incident);
    give(apply, incident, &people, NULL, TOCSIN__LOG_TYPE__LOG_ASSIGN,
         ticket ? TOCSIN__WHY__WHY_TICKET : TOCSIN__WHY__WHY_REQUEST, by);
    if (!tell || ticket) {
        return;
    }
    if (telling_assignees(apply, incident)) {
        wait_begin(apply, incident, NULL);
    } else {
        exhaust(apply, incident, TOCSIN__WHY__WHY_NOBODY_ON_LEVEL);
    }
}

/* ---------------------------------------------------------------- the same people anew */

void escalation_renew(struct apply *apply, Tocsin__Incident *incident)
{
    const Tocsin__EscalationPolicy *policy = policy_of(apply, incident);
    bool on_level = incident->level > 0;
    if (on_level && (incident->exhausted || policy == NULL || incident->level > policy->n_levels)) {
        escalation_begin(apply, incident, 1, TOCSIN__WHY__WHY_POLICY_START, NULL);
        return;
    }
    generation_begin(apply, incident, NULL);
    if (incident_is_ticket(incident)) {
        log_stays(apply, incident, TOCSIN__WHY__WHY_TICKET);
        return;
    }
    if (!telling_assignees(apply, incident)) {
        escalation_next(apply, incident, TOCSIN__WHY__WHY_NOBODY_ON_LEVEL);
        return;
    }
    policy = on_level ? policy : NULL;
    if (stays(incident, policy)) {
        log_stays(apply, incident, TOCSIN__WHY__WHY_LOW_URGENCY);
    }
    wait_begin(apply, incident, policy);
}

void escalation_hurry(struct apply *apply, Tocsin__Incident *incident, Tocsin__Why why)
{
    if (is_low(incident) || incident_is_ticket(incident)) {
        return;
    }
    if (incident->exhausted) {
        guardians_tell(apply, incident);
    } else {
        escalation_next(apply, incident, why);
    }
}

/* ---------------------------------------------------------------- deadlines */

void escalation_level_due(struct apply *apply, Tocsin__Incident *incident)
{
    bool lost = planted(LEVEL_LOST_AFTER_LEADER_CHANGE) && apply->term > 2; /* the first leader's */
    if (((is_triggered(incident) && !lost) || planted(RESOLVED_STILL_ESCALATES)) &&
        support_clock_is_over(apply, incident)) {
        escalation_next(apply, incident, TOCSIN__WHY__WHY_LEVEL_TIMEOUT);
    }
}

void escalation_acknowledgement_due(struct apply *apply, Tocsin__Incident *incident)
{
    if (!incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED)) {
        return;
    }
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_UNACKNOWLEDGE,
                                           TOCSIN__WHY__WHY_ACKNOWLEDGEMENT_TIMEOUT, NULL);
    entry->text = apply_strdup(apply, "The acknowledgement timed out: the incident is triggered again.");
    timeline_put(apply, incident, entry);
    escalation_renew(apply, incident);
}

void escalation_guardians_due(struct apply *apply, Tocsin__Incident *incident)
{
    if (!is_triggered(incident)) {
        return;
    }
    if (incident->exhausted) {
        guardians_tell(apply, incident);
    } else {
        exhaust(apply, incident, TOCSIN__WHY__WHY_NOT_ACKNOWLEDGED);
    }
}

/* ---------------------------------------------------------------- a user goes away */

static void assignee_remove(struct apply *apply, Tocsin__Incident *incident, uint64_t user_id)
{
    size_t kept = 0;
    for (size_t i = 0; i < incident->n_assignments; i++) {
        if (incident->assignments[i]->user_id != user_id) {
            incident->assignments[kept++] = incident->assignments[i];
        }
    }
    incident->n_assignments = kept;
    outbox_withdraw(apply, incident, user_id, TOCSIN__WHY__WHY_USER_DELETED);
    if (kept > 0) {
        telling_settle(apply, incident);
    } else if (!is_triggered(incident)) {
        escalation_renew(apply, incident); /* who had it is gone: it starts again */
    } else if (!incident->exhausted) {
        escalation_next(apply, incident, TOCSIN__WHY__WHY_USER_DELETED);
    }
    incident_put(apply->store, incident);
}

/* A million may be open: each is looked at by itself, and only what the user has stays in memory for the entry. */
static bool is_assigned_to(const struct machine_store *store, uint64_t incident_id, uint64_t user_id)
{
    Tocsin__Incident *incident = incident_get(store, incident_id, NULL);
    bool assigned = incident != NULL && incident_is_assigned(incident, user_id);
    tocsin__incident__free_unpacked(incident, NULL);
    return assigned;
}

void incidents_user_deleted(struct apply *apply, uint64_t user_id)
{
    struct walk walk = walk_all(apply->store, TABLE_INCIDENT_OPEN);
    while (walk_next(&walk)) {
        uint64_t incident_id = span_number(walk.key, 0);
        if (is_assigned_to(apply->store, incident_id, user_id)) {
            assignee_remove(apply, incident_get(apply->store, incident_id, apply->arena), user_id);
        }
    }
}
