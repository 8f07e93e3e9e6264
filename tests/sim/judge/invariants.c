/*
 * What holds in every state.
 *
 * First every incident is read once into a list; then each other table is walked once, and what it says is held against
 * that list and against the rows it points to.
 */
#include "tests/sim/judge/invariants.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/siphash.h"
#include "consensus/machine/limits.h"
#include "tests/sim/judge/invariants_held.h"
#include "tests/sim/judge/invariants_internal.h"

static struct seen *seen_find(const struct check *check, uint64_t incident_id)
{
    size_t low = 0, high = check->incidents_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (check->incidents[middle].incident->id < incident_id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool found = low < check->incidents_count && check->incidents[low].incident->id == incident_id;
    return found ? &check->incidents[low] : NULL;
}

static bool is_open(const Tocsin__Incident *incident)
{
    return incident->status != TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED;
}

static bool is_triggered(const Tocsin__Incident *incident)
{
    return incident->status == TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED;
}

static bool counts_agree(struct check *check, enum machine_table table, enum machine_table index, const char *what)
{
    return rows(check, table) == rows(check, index) ||
           broken(check, "there are %" PRIu64 " %s, and %" PRIu64 " rows in their index", rows(check, table), what,
                  rows(check, index));
}

/* ---------------------------------------------------------------- the company */

static bool user_is_there(const struct check *check, uint64_t id)
{
    return row_is_there(check, TABLE_USER, key_1(id));
}

static bool judge_user(struct check *check, struct span key, const void *record)
{
    const Tocsin__User *user = record;
    return key_holds(check, key, 0, user->id, "user") &&
           (index_says(check, TABLE_USER_BY_EMAIL, key_hash_lower(user->email), user->id, 0) ||
            broken(check, "user %s is not found by the address %s", user->name, user->email));
}

static bool judge_method(struct check *check, struct span key, const void *record)
{
    const Tocsin__ContactMethod *method = record;
    return key_holds(check, key, method->user_id, method->id, "contact method") &&
           (user_is_there(check, method->user_id) ||
            broken(check, "contact method %" PRIu64 " (%s) belongs to nobody", method->id, method->address));
}

static bool judge_rule(struct check *check, struct span key, const void *record)
{
    const Tocsin__NotificationRule *rule = record;
    return key_holds(check, key, rule->user_id, rule->id, "notification rule") &&
           (row_is_there(check, TABLE_CONTACT_METHOD, key_2(rule->user_id, rule->contact_method_id)) ||
            broken(check, "notification rule %" PRIu64 " uses a contact method that is gone", rule->id));
}

static bool judge_policy(struct check *check, struct span key, const void *record)
{
    const Tocsin__EscalationPolicy *policy = record;
    if (!key_holds(check, key, 0, policy->id, "escalation policy")) {
        return false;
    }
    if (!index_says(check, TABLE_ESCALATION_POLICY_BY_NAME, key_hash(policy->name), policy->id, 0)) {
        return broken(check, "escalation policy %s is not found by its name", policy->name);
    }
    if (policy->n_levels == 0) {
        return broken(check, "escalation policy %s has no level", policy->name);
    }
    for (size_t l = 0; l < policy->n_levels; l++) {
        for (size_t u = 0; u < policy->levels[l]->n_user_ids; u++) {
            if (!user_is_there(check, policy->levels[l]->user_ids[u])) {
                return broken(check, "level %zu of escalation policy %s names user %" PRIu64 ", who is gone", l + 1,
                              policy->name, policy->levels[l]->user_ids[u]);
            }
        }
    }
    return true;
}

/* Turns of levels belong to a policy. */
static bool turns_hold(struct check *check)
{
    struct walk walk = walk_all(check->view, TABLE_TURN);
    while (walk_next(&walk)) {
        if (!row_is_there(check, TABLE_ESCALATION_POLICY, key_1(span_number(walk.key, 0)))) {
            return broken(check, "turns are kept of escalation policy %" PRIu64 ", which is gone",
                          span_number(walk.key, 0));
        }
    }
    return true;
}

static bool judge_service(struct check *check, struct span key, const void *record)
{
    const Tocsin__Service *service = record;
    uint32_t open = 0;
    for (size_t i = 0; i < check->incidents_count; i++) {
        const Tocsin__Incident *incident = check->incidents[i].incident;
        open += incident->service_id == service->id && is_open(incident) ? 1 : 0;
    }
    if (!key_holds(check, key, 0, service->id, "service")) {
        return false;
    }
    if (!index_says(check, TABLE_SERVICE_BY_NAME, key_hash(service->name), service->id, 0)) {
        return broken(check, "service %s is not found by its name", service->name);
    }
    bool needs_none = service->built_in && service->escalation_policy_id == 0;
    if (!needs_none && !row_is_there(check, TABLE_ESCALATION_POLICY, key_1(service->escalation_policy_id))) {
        return broken(check, "service %s escalates by a policy that is gone", service->name);
    }
    if (service->urgency_change_due_ms != 0 &&
        !row_is_there(check, TABLE_DEADLINE,
                      key_deadline(service->urgency_change_due_ms, DEADLINE_URGENCY_CHANGE, service->id, 0))) {
        return broken(check, "service %s waits for its support hours, and no deadline is filed", service->name);
    }
    if ((service->support_hours != NULL) != row_is_there(check, TABLE_SUPPORT_HOURS, key_1(service->id))) {
        return broken(check, "service %s and its rows disagree about support hours", service->name);
    }
    return service->open_incidents == open || broken(check, "service %s counts %u open incidents, and has %u",
                                                     service->name, service->open_incidents, open);
}

static bool judge_integration(struct check *check, struct span key, const void *record)
{
    const Tocsin__Integration *integration = record;
    if (!key_holds(check, key, integration->service_id, integration->id, "integration")) {
        return false;
    }
    if (!index_says(check, TABLE_INTEGRATION_BY_KEY, key_hash(integration->key), integration->service_id,
                    integration->id)) {
        return broken(check, "integration %" PRIu64 " is not found by its key", integration->id);
    }
    return row_is_there(check, TABLE_SERVICE, key_1(integration->service_id)) ||
           broken(check, "integration %" PRIu64 " belongs to a service that is gone", integration->id);
}

static bool judge_token(struct check *check, struct span key, const void *record)
{
    const Tocsin__Token *token = record;
    if (!key_holds(check, key, 0, token->id, "token")) {
        return false;
    }
    if (!index_says(check, TABLE_TOKEN_BY_HASH, key_bytes(token->hash.data, token->hash.len), token->id, 0)) {
        return broken(check, "token %" PRIu64 " is not found by its hash", token->id);
    }
    return token->user_id == 0 || user_is_there(check, token->user_id) ||
           broken(check, "token %" PRIu64 " belongs to nobody", token->id);
}

static bool company_holds(struct check *check)
{
    static const struct {
        enum machine_table table;
        enum machine_table index; /* TABLE_META: none */
        const ProtobufCMessageDescriptor *descriptor;
        const char *one, *many;
        row_check judge;
    } TABLES[] = {
        {TABLE_USER, TABLE_USER_BY_EMAIL, &tocsin__user__descriptor, "a user", "users", judge_user},
        {TABLE_CONTACT_METHOD, TABLE_META, &tocsin__contact_method__descriptor, "a contact method", "", judge_method},
        {TABLE_NOTIFICATION_RULE, TABLE_META, &tocsin__notification_rule__descriptor, "a notification rule", "",
         judge_rule},
        {TABLE_ESCALATION_POLICY, TABLE_ESCALATION_POLICY_BY_NAME, &tocsin__escalation_policy__descriptor,
         "an escalation policy", "escalation policies", judge_policy},
        {TABLE_SERVICE, TABLE_SERVICE_BY_NAME, &tocsin__service__descriptor, "a service", "services", judge_service},
        {TABLE_INTEGRATION, TABLE_INTEGRATION_BY_KEY, &tocsin__integration__descriptor, "an integration",
         "integrations", judge_integration},
        {TABLE_TOKEN, TABLE_TOKEN_BY_HASH, &tocsin__token__descriptor, "a token", "tokens", judge_token},
    };
    for (size_t i = 0; i < sizeof TABLES / sizeof TABLES[0]; i++) {
        if (!walk_table(check, TABLES[i].table, TABLES[i].descriptor, TABLES[i].one, TABLES[i].judge) ||
            (TABLES[i].index != TABLE_META && !counts_agree(check, TABLES[i].table, TABLES[i].index, TABLES[i].many))) {
            return false;
        }
    }
    return turns_hold(check) &&
           counts_agree(check, TABLE_IDEMPOTENCY, TABLE_IDEMPOTENCY_BY_TIME, "replies kept for repeated requests");
}

/* ---------------------------------------------------------------- what hangs on incidents */

static bool judge_alert(struct check *check, struct span key, const void *record)
{
    const Tocsin__Alert *alert = record;
    if (alert->incident_id == 0) {
        return true; /* invariants_held.c */
    }
    struct seen *seen = seen_find(check, alert->incident_id);
    if (!key_holds(check, key, alert->incident_id, alert->id, "alert")) {
        return false;
    }
    if (seen == NULL) {
        return broken(check, "alert %" PRIu64 " (%s) belongs to no incident", alert->id, alert->dedup_key);
    }
    if (alert->resolved) {
        seen->alerts_resolved++;
        return true;
    }
    seen->alerts_open++;
    return index_says(check, TABLE_ALERT_OPEN, key_1_hash(alert->integration_id, alert->dedup_key), alert->incident_id,
                      alert->id) ||
           broken(check, "incident %" PRIu64 ": its open alert %s is not found by its key", seen->incident->number,
                  alert->dedup_key);
}

static bool judge_log_entry(struct check *check, struct span key, const void *record)
{
    const Tocsin__LogEntry *entry = record;
    struct seen *seen = seen_find(check, entry->incident_id);
    if (!key_holds(check, key, entry->incident_id, entry->id, "log entry")) {
        return false;
    }
    if (seen == NULL) {
        return broken(check, "log entry %" PRIu64 " (%s) belongs to no incident", entry->id, entry->text);
    }
    seen->logs++;
    seen->notes += entry->type == TOCSIN__LOG_TYPE__LOG_ANNOTATE ? 1 : 0;
    seen->says_acknowledged = seen->says_acknowledged || entry->type == TOCSIN__LOG_TYPE__LOG_ACKNOWLEDGE;
    seen->says_low_urgency = seen->says_low_urgency || entry->why == TOCSIN__WHY__WHY_LOW_URGENCY;
    seen->says_ticket = seen->says_ticket || entry->why == TOCSIN__WHY__WHY_TICKET;
    return true;
}

static bool is_listed(const Tocsin__Incident *incident, uint64_t notification_id)
{
    size_t times = 0;
    for (size_t i = 0; i < incident->n_pending_notification_ids; i++) {
        times += incident->pending_notification_ids[i] == notification_id ? 1 : 0;
    }
    return times == 1;
}

static bool retry_is_filed(const struct check *check, const Tocsin__Notification *notification)
{
    return notification->due_at_ms != 0 &&
           row_is_there(check, TABLE_DEADLINE,
                        key_deadline(notification->due_at_ms, DEADLINE_NOTIFICATION_RETRY, notification->id, 0));
}

/* What is not being sent is owed to the present assignment of a triggered incident: all else was withdrawn. */
static bool unclaimed_holds(struct check *check, const Tocsin__Incident *incident,
                            const Tocsin__Notification *notification)
{
    if (!is_triggered(incident)) {
        return broken(check, "incident %" PRIu64 " is %s, and %s (%s) is still owed a page of it", incident->number,
                      is_open(incident) ? "acknowledged" : "resolved", notification->user_name, notification->address);
    }
    return notification->generation == incident->generation ||
           broken(check, "incident %" PRIu64 " was given to others, and %s (%s) is still owed a page of it",
                  incident->number, notification->user_name, notification->address);
}

static bool judge_outbox(struct check *check, struct span key, const void *record)
{
    const Tocsin__Notification *notification = record;
    bool claimed = notification->state == TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CLAIMED;
    bool owed = notification->state == TOCSIN__NOTIFICATION_STATE__NOTIFICATION_OWED;
    bool waiting = notification->state == TOCSIN__NOTIFICATION_STATE__NOTIFICATION_WAITING;
    struct seen *seen = seen_find(check, notification->incident_id);
    if (!key_holds(check, key, 0, notification->id, "notification")) {
        return false;
    }
    if (!owed && !claimed && !waiting) {
        return broken(check, "notification %" PRIu64 " has ended and is still in the outbox", notification->id);
    }
    if ((claimed || waiting) && !retry_is_filed(check, notification)) {
        return broken(check, "incident %" PRIu64 ": the page to %s (%s) is %s, and no deadline brings it back",
                      notification->incident_number, notification->user_name, notification->address,
                      claimed ? "claimed" : "waiting");
    }
    if (claimed && (notification->attempt == 0 || notification->claim_node == 0 || notification->claim_term == 0)) {
        return broken(check, "incident %" PRIu64 ": the page to %s (%s) is claimed by nobody",
                      notification->incident_number, notification->user_name, notification->address);
    }
    if (notification->notice != NULL && notification->notice->kind == TOCSIN__NOTICE_KIND__NOTICE_DRILL &&
        !drill_notification_holds(check, notification)) {
        return false;
    }
    if (notification->notice != NULL) {
        return notification->incident_id == 0 ||
               broken(check, "notification %" PRIu64 " is news, and of an incident", notification->id);
    }
    if (seen == NULL) { /* retention took the incident while somebody was sending */
        return claimed ||
               broken(check, "notification %" PRIu64 " is owed for an incident that is gone", notification->id);
    }
    if (!is_listed(seen->incident, notification->id)) {
        return broken(check, "incident %" PRIu64 " does not know of its page to %s (%s)", seen->incident->number,
                      notification->user_name, notification->address);
    }
    if (notification->generation > seen->incident->generation) {
        return broken(check, "incident %" PRIu64 ": the page to %s (%s) is of an assignment to come",
                      seen->incident->number, notification->user_name, notification->address);
    }
    seen->outbox++;
    bool page = notification->bulletin == TOCSIN__BULLETIN_KIND__BULLETIN_NONE; /* a bulletin waits for whom it is for */
    return claimed || !page || unclaimed_holds(check, seen->incident, notification);
}

static bool judge_ended(struct check *check, struct span key, const void *record)
{
    const Tocsin__Notification *notification = record;
    if (!key_holds(check, key, notification->incident_id, notification->id, "notification")) {
        return false;
    }
    if (seen_find(check, notification->incident_id) == NULL) {
        return broken(check, "the ended notification %" PRIu64 " belongs to no incident", notification->id);
    }
    if (row_is_there(check, TABLE_OUTBOX, key_1(notification->id))) {
        return broken(check, "notification %" PRIu64 " has ended, and is in the outbox", notification->id);
    }
    return notification->state >= TOCSIN__NOTIFICATION_STATE__NOTIFICATION_SENT ||
           broken(check, "notification %" PRIu64 " is filed with those that ended, and has not", notification->id);
}

/* ---------------------------------------------------------------- deadlines */

static uint64_t due_of_kind(const Tocsin__Incident *incident, enum deadline_kind kind)
{
    switch (kind) {
    case DEADLINE_ESCALATE:
        return incident->escalate_due_ms;
    case DEADLINE_ACKNOWLEDGEMENT:
        return incident->acknowledgement_due_ms;
    case DEADLINE_GUARDIANS:
        return incident->guardians_due_ms;
    case DEADLINE_AUTO_RESOLVE:
        return incident->auto_resolve_due_ms;
    case DEADLINE_SNOOZE:
        return incident->snooze_due_ms;
    case DEADLINE_ACKNOWLEDGE_TARGET:
        return incident->acknowledge_target_due_ms;
    case DEADLINE_RESOLVE_TARGET:
        return incident->resolve_target_due_ms;
    default:
        return 0;
    }
}

static const char *kind_words(enum deadline_kind kind)
{
    static const char *const WORDS[] = {
        [DEADLINE_NOTIFICATION_RULE] = "a rule's delay",
        [DEADLINE_NOTIFICATION_RETRY] = "an attempt",
        [DEADLINE_ESCALATE] = "the next level",
        [DEADLINE_ACKNOWLEDGEMENT] = "the acknowledgement's end",
        [DEADLINE_GUARDIANS] = "the guardians",
        [DEADLINE_AUTO_RESOLVE] = "resolving itself",
        [DEADLINE_RETENTION] = "retention",
        [DEADLINE_SNOOZE] = "the snooze's end",
        [DEADLINE_URGENCY_CHANGE] = "an edge of support hours",
        [DEADLINE_SUPPORT_HOURS] = "other support hours",
        [DEADLINE_ACKNOWLEDGE_TARGET] = "the target of its acknowledgement",
        [DEADLINE_RESOLVE_TARGET] = "the target of its end",
    };
    return (size_t)kind < sizeof WORDS / sizeof WORDS[0] && WORDS[kind] != NULL ? WORDS[kind] : "something unknown";
}

static bool rule_deadline_holds(struct check *check, uint64_t incident_id, const Tocsin__Deadline *deadline)
{
    struct seen *seen = seen_find(check, incident_id);
    if (seen == NULL) {
        return true; /* of an incident that retention took: without effect */
    }
    if (deadline->generation > seen->incident->generation) {
        return broken(check, "incident %" PRIu64 ": a rule's delay runs for an assignment to come",
                      seen->incident->number);
    }
    bool alive = is_triggered(seen->incident) && deadline->generation == seen->incident->generation;
    seen->waiting_rules += alive ? 1 : 0;
    return true;
}

/* Steps along open incidents outlive their service; the edge of its support hours does not. */
static bool service_deadline_holds(struct check *check, enum deadline_kind kind, uint64_t service_id, uint64_t from_id,
                                   uint64_t due_ms)
{
    if (kind == DEADLINE_SUPPORT_HOURS || from_id != 0) {
        return true;
    }
    const Tocsin__Service *service = record_at(check, TABLE_SERVICE, key_1(service_id), &tocsin__service__descriptor);
    bool holds = service != NULL && service->urgency_change_due_ms == due_ms;
    return holds || broken(check, "a change of urgency is filed for service %" PRIu64 ", which knows nothing of it",
                           service_id);
}

static bool judge_deadline(struct check *check, struct span key, const void *record)
{
    uint64_t due_ms, object, sub_object;
    enum deadline_kind kind;
    key_deadline_split(key, &due_ms, &kind, &object, &sub_object);
    if (kind == DEADLINE_NOTIFICATION_RULE) {
        return rule_deadline_holds(check, object, record);
    }
    if (kind == DEADLINE_HEARTBEATS_UNTOLD) {
        return true; /* a step along the heartbeats of a service outlives it */
    }
    if (kind == DEADLINE_SWAP) {
        return true; /* of a swap that was taken, undone or is gone: without effect */
    }
    if (held_is_edge(kind)) {
        return true;
    }
    if (kind == DEADLINE_DRILL) {
        return drill_deadline_holds(check, object, due_ms);
    }
    if (kind == DEADLINE_RETENTION) {
        return object == 0 || broken(check, "a deadline of retention names an object");
    }
    if (kind == DEADLINE_NOTIFICATION_RETRY) {
        const Tocsin__Notification *row =
            record_at(check, TABLE_OUTBOX, key_1(object), &tocsin__notification__descriptor);
        bool holds = row != NULL && row->due_at_ms == due_ms;
        return holds ||
               broken(check, "a deadline is filed for notification %" PRIu64 ", which knows nothing of it", object);
    }
    if (kind == DEADLINE_URGENCY_CHANGE || kind == DEADLINE_SUPPORT_HOURS) {
        return service_deadline_holds(check, kind, object, sub_object, due_ms);
    }
    struct seen *seen = seen_find(check, object);
    if (seen == NULL) {
        return broken(check, "a deadline (%s) is filed for an incident that is gone", kind_words(kind));
    }
    return due_of_kind(seen->incident, kind) == due_ms ||
           broken(check,
                  "incident %" PRIu64 ": a deadline (%s) is filed at %" PRIu64 ", and the incident says %" PRIu64,
                  seen->incident->number, kind_words(kind), due_ms, due_of_kind(seen->incident, kind));
}

/* ---------------------------------------------------------------- incidents */

static bool deadlines_are_filed(struct check *check, const Tocsin__Incident *incident)
{
    static const enum deadline_kind KINDS[] = {DEADLINE_ESCALATE, DEADLINE_ACKNOWLEDGEMENT, DEADLINE_GUARDIANS,
                                               DEADLINE_AUTO_RESOLVE, DEADLINE_SNOOZE,
                                               DEADLINE_ACKNOWLEDGE_TARGET, DEADLINE_RESOLVE_TARGET};
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        uint64_t due_ms = due_of_kind(incident, KINDS[i]);
        if (due_ms != 0 && !is_open(incident)) {
            return broken(check, "incident %" PRIu64 " is resolved, and still waits for %s", incident->number,
                          kind_words(KINDS[i]));
        }
        if (due_ms != 0 && !row_is_there(check, TABLE_DEADLINE, key_deadline(due_ms, KINDS[i], incident->id, 0))) {
            return broken(check, "incident %" PRIu64 " waits for %s at %" PRIu64 ", and no deadline is filed",
                          incident->number, kind_words(KINDS[i]), due_ms);
        }
    }
    return true;
}

static bool is_ticket(const Tocsin__Incident *incident)
{
    return incident->details != NULL && incident->details->category == TOCSIN__INCIDENT_CATEGORY__CATEGORY_TICKET;
}

/* Promise P1: there is no fourth state. */
static bool is_accounted_for(struct check *check, const struct seen *seen)
{
    const Tocsin__Incident *incident = seen->incident;
    bool low = incident->urgency == TOCSIN__URGENCY__URGENCY_LOW;
    if (!is_triggered(incident)) {
        if (incident->escalate_due_ms != 0 || incident->guardians_due_ms != 0) {
            return broken(check, "incident %" PRIu64 " is acknowledged and escalates", incident->number);
        }
        if (incident->acknowledgement_due_ms != 0 && incident->snooze_due_ms != 0) {
            return broken(check, "incident %" PRIu64 " is snoozed, and its acknowledgement runs out", incident->number);
        }
        return incident->acknowledgement_due_ms != 0 || incident->snooze_due_ms != 0 || seen->says_acknowledged ||
               broken(check, "incident %" PRIu64 " is acknowledged for good, and its timeline does not say by whom",
                      incident->number);
    }
    if (incident->acknowledgement_due_ms != 0) {
        return broken(check, "incident %" PRIu64 " is triggered, and an acknowledgement of it runs out",
                      incident->number);
    }
    if (incident->snooze_due_ms != 0) {
        return broken(check, "incident %" PRIu64 " is triggered, and snoozed", incident->number);
    }
    if (incident->exhausted && incident->guardians_due_ms == 0 && !(low && seen->says_low_urgency)) {
        return broken(check, "incident %" PRIu64 ": its escalation ended, and the guardians are not told again",
                      incident->number);
    }
    if (incident->support_left_ms != 0 && (!low || incident->escalate_due_ms == 0)) {
        return broken(check, "incident %" PRIu64 " counts support hours, and nothing comes of it", incident->number);
    }
    bool goes_on = incident->escalate_due_ms != 0 || incident->guardians_due_ms != 0;
    if (is_ticket(incident)) {
        return (!goes_on && seen->says_ticket) ||
               broken(check, "incident %" PRIu64 " is a ticket, and %s", incident->number,
                      goes_on ? "escalates" : "its timeline does not say so");
    }
    if (!goes_on && !low) {
        return broken(check, "incident %" PRIu64 " is triggered, and no level and no guardian comes next",
                      incident->number);
    }
    return goes_on || incident->notifications_pending > 0 || seen->says_low_urgency ||
           broken(check, "incident %" PRIu64 " is lost: no deadline, nothing owed, no reason", incident->number);
}

static bool counts_hold(struct check *check, const struct seen *seen)
{
    const Tocsin__Incident *incident = seen->incident;
    if (!is_open(incident) && check->counters->last_time_ms - incident->resolved_at_ms >= check->kept_ms) {
        return true; /* retention takes it away, piece by piece */
    }
    const struct {
        const char *what;
        uint64_t says, has;
    } COUNTS[] = {
        {"pages under way", incident->n_pending_notification_ids, seen->outbox},
        {"pages to come", incident->notifications_pending, (uint64_t)seen->outbox + seen->waiting_rules},
        {"entries in its timeline", incident->log_entries, seen->logs},
        {"notes", incident->notes, seen->notes},
        {"open alerts", incident->alerts_triggered, seen->alerts_open},
        {"resolved alerts", incident->alerts_resolved, seen->alerts_resolved},
        {"open alerts beyond its end", 0, is_open(incident) ? 0 : seen->alerts_open},
    };
    for (size_t i = 0; i < sizeof COUNTS / sizeof COUNTS[0]; i++) {
        if (COUNTS[i].says != COUNTS[i].has) {
            return broken(check, "incident %" PRIu64 " counts %" PRIu64 " %s, and has %" PRIu64, incident->number,
                          COUNTS[i].says, COUNTS[i].what, COUNTS[i].has);
        }
    }
    return true;
}

static bool is_listed_by_key(const Tocsin__Incident *incident)
{
    return is_open(incident) && incident->listed_by_key;
}

static bool indexes_hold(struct check *check, const Tocsin__Incident *incident)
{
    bool listed_open = index_says(check, TABLE_INCIDENT_OPEN, key_1(incident->id), incident->service_id, 0);
    bool listed_closed = row_is_there(check, TABLE_INCIDENT_CLOSED, key_2(incident->resolved_at_ms, incident->id));
    if (listed_open != is_open(incident) || listed_closed == is_open(incident)) {
        return broken(check, "incident %" PRIu64 " is %s, and its lists say otherwise", incident->number,
                      is_open(incident) ? "open" : "resolved");
    }
    if (!index_says(check, TABLE_INCIDENT_BY_NUMBER, key_1(incident->number), incident->id, 0)) {
        return broken(check, "incident %" PRIu64 " is not found by its number", incident->number);
    }
    if (is_listed_by_key(incident) &&
        !index_says(check, TABLE_INCIDENT_BY_KEY, key_1_hash(incident->service_id, incident->incident_key),
                    incident->id, 0)) {
        return broken(check, "incident %" PRIu64 " is not found by its key %s", incident->number,
                      incident->incident_key);
    }
    return true;
}

static bool references_hold(struct check *check, const Tocsin__Incident *incident)
{
    if (incident->number >= check->counters->next_incident_number) {
        return broken(check, "incident %" PRIu64 " has a number that was not given yet", incident->number);
    }
    if (incident->updated_at_ms > check->counters->last_time_ms) {
        return broken(check, "incident %" PRIu64 " was changed at a time that has not come", incident->number);
    }
    if (is_open(incident) && !row_is_there(check, TABLE_SERVICE, key_1(incident->service_id))) {
        return broken(check, "incident %" PRIu64 " is open, and its service is gone", incident->number);
    }
    if (is_open(incident) && incident->escalation_policy_id != 0 &&
        !row_is_there(check, TABLE_ESCALATION_POLICY, key_1(incident->escalation_policy_id))) {
        return broken(check, "incident %" PRIu64 " is open, and its escalation policy is gone", incident->number);
    }
    for (size_t i = 0; is_open(incident) && i < incident->n_assignments; i++) {
        if (!user_is_there(check, incident->assignments[i]->user_id)) {
            return broken(check, "incident %" PRIu64 " is with user %" PRIu64 ", who is gone", incident->number,
                          incident->assignments[i]->user_id);
        }
    }
    return true;
}

static bool incidents_hold(struct check *check)
{
    uint64_t open = 0, keyed = 0;
    for (size_t i = 0; i < check->incidents_count; i++) {
        const struct seen *seen = &check->incidents[i];
        const Tocsin__Incident *incident = seen->incident;
        if (!references_hold(check, incident) || !indexes_hold(check, incident) ||
            !deadlines_are_filed(check, incident) || !counts_hold(check, seen) ||
            (is_open(incident) && !is_accounted_for(check, seen))) {
            return false;
        }
        open += is_open(incident) ? 1 : 0;
        keyed += is_listed_by_key(incident) ? 1 : 0;
    }
    if (rows(check, TABLE_INCIDENT_OPEN) != open) {
        return broken(check, "%" PRIu64 " incidents are open, and %" PRIu64 " are listed as open", open,
                      rows(check, TABLE_INCIDENT_OPEN));
    }
    if (rows(check, TABLE_INCIDENT_CLOSED) != check->incidents_count - open) {
        return broken(check, "%zu incidents are resolved, and %" PRIu64 " are listed so",
                      check->incidents_count - (size_t)open, rows(check, TABLE_INCIDENT_CLOSED));
    }
    if (rows(check, TABLE_INCIDENT_BY_KEY) != keyed) {
        return broken(check, "%" PRIu64 " open incidents have a key of their own, and %" PRIu64 " are listed by one",
                      keyed, rows(check, TABLE_INCIDENT_BY_KEY));
    }
    return counts_agree(check, TABLE_INCIDENT, TABLE_INCIDENT_BY_NUMBER, "incidents");
}

/* The index of open alerts has no row beyond theirs; what was written by their senders belongs to one. */
static bool alerts_hold(struct check *check)
{
    uint64_t open = 0;
    if (!held_alerts_hold(check->decoded, check->view, &open, check->sentence, check->size)) {
        return false;
    }
    for (size_t i = 0; i < check->incidents_count; i++) {
        open += check->incidents[i].alerts_open;
    }
    if (rows(check, TABLE_ALERT_OPEN) != open) {
        return broken(check, "%" PRIu64 " alerts are open, and %" PRIu64 " are listed as open", open,
                      rows(check, TABLE_ALERT_OPEN));
    }
    return rows(check, TABLE_ALERT_PAYLOAD) <= rows(check, TABLE_ALERT) ||
           broken(check, "there are more payloads than alerts");
}

/* Alerts join open incidents only, and each group is found from its incident, so that it ends with it. */
static bool groups_hold(struct check *check)
{
    struct walk walk = walk_all(check->view, TABLE_ALERT_GROUP);
    while (walk_next(&walk)) {
        uint64_t incident_id = span_number(walk.value, 0);
        const struct seen *seen = seen_find(check, incident_id);
        struct key of = key_1(incident_id);
        memcpy(of.bytes + of.size_bytes, walk.position.bytes + of.size_bytes, SIPHASH_SIZE_BYTES);
        of.size_bytes = (uint8_t)(of.size_bytes + SIPHASH_SIZE_BYTES);
        if (seen == NULL || !is_open(seen->incident) || seen->incident->service_id != span_number(walk.key, 0) ||
            !row_is_there(check, TABLE_ALERT_GROUP_OF, of)) {
            return broken(check, "alerts would join incident %" PRIu64 ", which is over or knows nothing of it",
                          incident_id);
        }
    }
    return true;
}

/* ---------------------------------------------------------------- all of it */

static bool incidents_load(struct check *check)
{
    size_t capacity = (size_t)rows(check, TABLE_INCIDENT);
    check->incidents = calloc(capacity + 1, sizeof *check->incidents);
    if (check->incidents == NULL) {
        abort();
    }
    struct walk walk = walk_all(check->view, TABLE_INCIDENT);
    while (walk_next(&walk)) {
        assert(check->incidents_count < capacity);
        const Tocsin__Incident *incident =
            decoded_row(check->decoded, TABLE_INCIDENT, walk.key, walk.value, &tocsin__incident__descriptor);
        if (incident == NULL) {
            return broken(check, "an incident does not decode");
        }
        check->incidents[check->incidents_count++].incident = incident;
        if (!key_holds(check, walk.key, 0, incident->id, "incident")) {
            return false;
        }
    }
    return true;
}

static bool hangers_on_hold(struct check *check)
{
    static const struct {
        enum machine_table table;
        const ProtobufCMessageDescriptor *descriptor;
        const char *one;
        row_check judge;
    } TABLES[] = {
        {TABLE_ALERT, &tocsin__alert__descriptor, "an alert", judge_alert},
        {TABLE_LOG_ENTRY, &tocsin__log_entry__descriptor, "a log entry", judge_log_entry},
        {TABLE_OUTBOX, &tocsin__notification__descriptor, "a notification of the outbox", judge_outbox},
        {TABLE_NOTIFICATION, &tocsin__notification__descriptor, "a notification", judge_ended},
        {TABLE_DEADLINE, &tocsin__deadline__descriptor, "a deadline", judge_deadline},
    };
    for (size_t i = 0; i < sizeof TABLES / sizeof TABLES[0]; i++) {
        if (!walk_table(check, TABLES[i].table, TABLES[i].descriptor, TABLES[i].one, TABLES[i].judge)) {
            return false;
        }
    }
    return true;
}

static bool state_holds(struct check *check)
{
    check->counters = record_at(check, TABLE_META, key_meta(META_COUNTERS), &tocsin__counters__descriptor);
    if (check->counters == NULL) { /* nothing was applied yet */
        uint64_t all = 0;
        for (unsigned table = 0; table < TABLE_COUNT; table++) {
            all += rows(check, (enum machine_table)table);
        }
        return all == 0 || broken(check, "the state has %" PRIu64 " rows and no counters", all);
    }
    const Tocsin__Settings *settings =
        record_at(check, TABLE_META, key_meta(META_SETTINGS), &tocsin__settings__descriptor);
    if (settings == NULL) {
        return broken(check, "the state has no settings");
    }
    check->kept_ms = (uint64_t)settings->retention_days * 24 * 60 * settings->minute_ms;
    return incidents_load(check) && hangers_on_hold(check) && incidents_hold(check) && alerts_hold(check) &&
           groups_hold(check) && company_holds(check) && heartbeats_hold(check) && drills_hold(check);
}

bool invariants_hold(struct decoded_rows *decoded, const struct machine_store *view, char *sentence, size_t size)
{
    struct check check = {.view = view, .decoded = decoded, .sentence = sentence, .size = size};
    bool holds = state_holds(&check);
    free(check.incidents);
    return holds;
}
