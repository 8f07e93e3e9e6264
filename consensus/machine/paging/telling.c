/*
 * How a person is told: from the person's notification rules, or the defaults, to notifications and deadlines.
 *
 *     rule without delay ──> a notification, now
 *     rule with a delay  ──> a deadline; when it comes and nobody has acknowledged: a notification
 *     a channel fails    ──> the person's next contact method, at once
 */
#include "consensus/machine/incidents/incidents.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include "consensus/machine/paging/rules.h"
#include "consensus/machine/planted.h"

/* The order in which a person's other methods are taken when one failed. */
static const Tocsin__Channel FALLBACK_ORDER[] = {
    TOCSIN__CHANNEL__CHANNEL_SMS,   TOCSIN__CHANNEL__CHANNEL_PUSH,    TOCSIN__CHANNEL__CHANNEL_VOICE,
    TOCSIN__CHANNEL__CHANNEL_EMAIL, TOCSIN__CHANNEL__CHANNEL_WEBHOOK,
};

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* ---------------------------------------------------------------- telling */

static Tocsin__Notification *notification_to(struct apply *apply, const Tocsin__Incident *incident,
                                             const Tocsin__User *user, const Tocsin__ContactMethod *method,
                                             Tocsin__Why why)
{
    Tocsin__Notification *notification = outbox_new(apply, incident, why);
    notification->user_id = user->id;
    notification->user_name = user->name;
    notification->contact_method_id = method->id;
    notification->channel = method->channel;
    notification->address = method->address;
    notification->country_code = method->country_code;
    return notification;
}

static void tell(struct apply *apply, Tocsin__Incident *incident, const Tocsin__User *user,
                 const Tocsin__ContactMethod *method, Tocsin__Why why, uint64_t rule_id, const Tocsin__Notification *failed)
{
    Tocsin__Notification *notification = notification_to(apply, incident, user, method, why);
    notification->notification_rule_id = rule_id;
    if (failed != NULL) {
        notification->bulletin = failed->bulletin;
        notification->bulletin_id = failed->bulletin_id;
        notification->bulletin_text = failed->bulletin_text;
        uint64_t *ids = apply_alloc(apply, (failed->n_failed_contact_method_ids + 1) * sizeof *ids);
        size_t count = 0;
        for (; count < failed->n_failed_contact_method_ids; count++) {
            ids[count] = failed->failed_contact_method_ids[count];
        }
        ids[count++] = failed->contact_method_id;
        notification->failed_contact_method_ids = ids;
        notification->n_failed_contact_method_ids = count;
    }
    outbox_add(apply, incident, notification);
}

static void tell_later(struct apply *apply, Tocsin__Incident *incident, uint64_t user_id, const struct person_plan *plan,
                       Tocsin__Why why)
{
    Tocsin__Deadline row = TOCSIN__DEADLINE__INIT;
    row.generation = incident->generation;
    row.user_id = user_id;
    row.contact_method_id = plan->method->id;
    row.why = why;
    row.notification_rule_id = plan->rule_id;
    uint64_t due_ms = apply->time_ms + apply_minutes_ms(apply, plan->delay_minutes);
    record_put(apply->store, TABLE_DEADLINE,
               key_deadline(due_ms, DEADLINE_NOTIFICATION_RULE, incident->id, apply_new_id(apply)), &row.base);
    incident->notifications_pending++;
}

static void log_untold(struct apply *apply, Tocsin__Incident *incident, uint64_t user_id, Tocsin__Why why,
                       const char *sentence_end)
{
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_NOTIFY, why, NULL);
    entry->user_id = user_id;
    entry->outcome = TOCSIN__OUTCOME__OUTCOME_NEVER;
    entry->text = apply_printf(apply, "%s %s", timeline_user(apply, user_id), sentence_end);
    timeline_put(apply, incident, entry);
}

static void log_cannot(struct apply *apply, Tocsin__Incident *incident, uint64_t user_id, Tocsin__Why why)
{
    log_untold(apply, incident, user_id, why,
               why == TOCSIN__WHY__WHY_CHANNEL_FAILED ? "cannot be told: there is no further contact method."
                                                      : "cannot be told: there is no contact method.");
}

static bool tell_person(struct apply *apply, Tocsin__Incident *incident, struct person *person)
{
    bool by_default = person_plan(apply->store, apply->arena, person, incident->urgency);
    for (size_t i = 0; i < person->plans_count; i++) {
        const struct person_plan *plan = &person->plans[i];
        if (plan->delay_minutes > 0) {
            tell_later(apply, incident, person->user->id, plan,
                       by_default ? TOCSIN__WHY__WHY_DEFAULT_RULE : TOCSIN__WHY__WHY_RULE_AFTER_DELAY);
        } else {
            tell(apply, incident, person->user, plan->method,
                 by_default ? TOCSIN__WHY__WHY_DEFAULT_RULE : TOCSIN__WHY__WHY_RULE_AT_ONCE, plan->rule_id, NULL);
        }
    }
    return person->plans_count > 0;
}

bool telling_assignees(struct apply *apply, Tocsin__Incident *incident)
{
    bool told = false;
    struct person *person = apply_alloc(apply, sizeof *person);
    for (size_t i = 0; i < incident->n_assignments; i++) {
        uint64_t user_id = incident->assignments[i]->user_id;
        if (!person_load(apply->store, apply->arena, user_id, person)) {
            continue;
        }
        if (tell_person(apply, incident, person)) {
            told = true;
        } else if (!planted(QUIET_LEVEL_WITHOUT_REASON)) {
            log_cannot(apply, incident, user_id, TOCSIN__WHY__WHY_NO_CONTACT_METHOD);
        }
    }
    return told;
}

/* True when the user is told by this method at this very instant already, because another channel failed. */
static bool is_told_now(struct apply *apply, const Tocsin__Incident *incident, uint64_t contact_method_id)
{
    for (size_t i = 0; i < incident->n_pending_notification_ids; i++) {
        const Tocsin__Notification *other = outbox_get(apply, incident->pending_notification_ids[i]);
        if (other != NULL && other->bulletin_id == 0 && other->contact_method_id == contact_method_id &&
            other->generation == incident->generation && other->created_at_ms == apply->time_ms) {
            return true;
        }
    }
    return false;
}

void telling_rule_due(struct apply *apply, Tocsin__Incident *incident, const Tocsin__Deadline *deadline)
{
    if (!incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED) ||
        deadline->generation != incident->generation) {
        return; /* acknowledged, resolved or assigned anew: the count was corrected then */
    }
    assert(incident->notifications_pending > incident->n_pending_notification_ids);
    incident->notifications_pending--;
    const Tocsin__User *user = user_get(apply->store, deadline->user_id, apply->arena);
    const Tocsin__ContactMethod *method =
        contact_method_get(apply->store, deadline->user_id, deadline->contact_method_id, apply->arena);
    if (user != NULL && incident_is_assigned(incident, user->id)) {
        if (method == NULL) {
            log_untold(apply, incident, user->id, TOCSIN__WHY__WHY_NO_CONTACT_METHOD,
                       "was not told when the delay was over: the contact method has been deleted since.");
        } else if (!is_told_now(apply, incident, method->id)) {
            tell(apply, incident, user, method, deadline->why, deadline->notification_rule_id, NULL);
        }
    }
    telling_settle(apply, incident);
}

/* ---------------------------------------------------------------- when a channel fails */

static bool is_listed(const uint64_t *ids, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

/*
 * The newest ended notification of the incident's generation, older and older with each call: its pages, or (by id) one
 * of its bulletins. Ids grow with the generations, so the walk ends at the first older one.
 */
static Tocsin__Notification *ended_next(struct apply *apply, const Tocsin__Incident *incident, uint64_t bulletin_id,
                                        struct walk *walk)
{
    while (walk_next(walk)) {
        Tocsin__Notification *ended = record_unpack(&tocsin__notification__descriptor, walk->value, apply->arena);
        if (ended == NULL || ended->generation < incident->generation) {
            return NULL;
        }
        if (!ended->guardian && ended->bulletin_id == bulletin_id) {
            return ended;
        }
    }
    return NULL;
}

/* True when the method was used, or is in use, for the present assignment, or for the bulletin. */
static bool is_used(struct apply *apply, const Tocsin__Incident *incident, uint64_t bulletin_id,
                    uint64_t contact_method_id)
{
    for (size_t i = 0; i < incident->n_pending_notification_ids; i++) {
        const Tocsin__Notification *other = outbox_get(apply, incident->pending_notification_ids[i]);
        if (other != NULL && other->bulletin_id == bulletin_id && other->generation == incident->generation &&
            other->contact_method_id == contact_method_id) {
            return true;
        }
    }
    struct walk walk = walk_under_backward(apply->store, TABLE_NOTIFICATION, incident->id);
    const Tocsin__Notification *ended;
    while ((ended = ended_next(apply, incident, bulletin_id, &walk)) != NULL) {
        if (ended->contact_method_id == contact_method_id) {
            return true;
        }
    }
    return false;
}

/* Another channel comes before another address of the channel that failed. */
static const Tocsin__ContactMethod *next_method(struct apply *apply, const Tocsin__Incident *incident,
                                                const struct person *person, const Tocsin__Notification *failed)
{
    for (unsigned same_channel = 0; same_channel <= 1; same_channel++) {
        for (size_t c = 0; c < COUNT_OF(FALLBACK_ORDER); c++) {
            if ((FALLBACK_ORDER[c] == failed->channel) != (same_channel == 1)) {
                continue;
            }
            for (size_t m = 0; m < person->methods_count; m++) {
                const Tocsin__ContactMethod *method = person->methods[m];
                if (method->channel == FALLBACK_ORDER[c] && method->id != failed->contact_method_id &&
                    !is_listed(failed->failed_contact_method_ids, failed->n_failed_contact_method_ids, method->id) &&
                    !is_used(apply, incident, failed->bulletin_id, method->id)) {
                    return method;
                }
            }
        }
    }
    return NULL;
}

void telling_next_method(struct apply *apply, Tocsin__Incident *incident, const Tocsin__Notification *failed)
{
    struct person *person = apply_alloc(apply, sizeof *person);
    if (failed->guardian || (failed->bulletin_id == 0 && !incident_is_assigned(incident, failed->user_id)) ||
        !person_load(apply->store, apply->arena, failed->user_id, person)) {
        return;
    }
    const Tocsin__ContactMethod *method = next_method(apply, incident, person, failed);
    if (method != NULL) {
        tell(apply, incident, person->user, method, TOCSIN__WHY__WHY_CHANNEL_FAILED, failed->notification_rule_id, failed);
    } else {
        log_cannot(apply, incident, failed->user_id, TOCSIN__WHY__WHY_CHANNEL_FAILED);
    }
}

static bool somebody_was_told(struct apply *apply, const Tocsin__Incident *incident)
{
    struct walk walk = walk_under_backward(apply->store, TABLE_NOTIFICATION, incident->id);
    const Tocsin__Notification *ended;
    while ((ended = ended_next(apply, incident, 0, &walk)) != NULL) {
        if (ended->state == TOCSIN__NOTIFICATION_STATE__NOTIFICATION_SENT) {
            return true;
        }
    }
    return false;
}

void telling_settle(struct apply *apply, Tocsin__Incident *incident)
{
    if (incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED) && !incident->exhausted &&
        !incident_is_ticket(incident) && incident->notifications_pending == 0 && !somebody_was_told(apply, incident)) {
        escalation_next(apply, incident, TOCSIN__WHY__WHY_NOBODY_ON_LEVEL);
    }
}

/* ---------------------------------------------------------------- bulletins */

static uint32_t earliest_delay(const struct person *person)
{
    uint32_t earliest = UINT32_MAX;
    for (size_t i = 0; i < person->plans_count; i++) {
        earliest = person->plans[i].delay_minutes < earliest ? person->plans[i].delay_minutes : earliest;
    }
    return earliest;
}

void telling_bulletin(struct apply *apply, Tocsin__Incident *incident, uint64_t user_id, const struct bulletin *bulletin)
{
    struct person *person = apply_alloc(apply, sizeof *person);
    if (!person_load(apply->store, apply->arena, user_id, person) ||
        (planted(CALL_FOR_HELP_UNHEARD) && incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED))) {
        return;
    }
    (void)person_plan(apply->store, apply->arena, person, bulletin->urgency);
    uint32_t delay_minutes = earliest_delay(person);
    for (size_t i = 0; i < person->plans_count; i++) {
        if (person->plans[i].delay_minutes != delay_minutes) {
            continue;
        }
        Tocsin__Notification *notification =
            notification_to(apply, incident, person->user, person->plans[i].method, bulletin->why);
        notification->bulletin = bulletin->kind;
        notification->bulletin_id = bulletin->log_entry_id;
        notification->bulletin_text = bulletin->text;
        notification->urgency = bulletin->urgency;
        outbox_add(apply, incident, notification);
    }
    if (person->plans_count == 0) {
        log_cannot(apply, incident, user_id, TOCSIN__WHY__WHY_NO_CONTACT_METHOD);
    }
}

/* ---------------------------------------------------------------- guardians */

static bool guardian_is_being_told(struct apply *apply, const Tocsin__Incident *incident,
                                   const Tocsin__ContactMethod *method)
{
    for (size_t i = 0; i < incident->n_pending_notification_ids; i++) {
        const Tocsin__Notification *other = outbox_get(apply, incident->pending_notification_ids[i]);
        if (other != NULL && other->guardian && other->generation == incident->generation &&
            other->channel == method->channel && strcmp(other->address, method->address) == 0) {
            return true;
        }
    }
    return false;
}

static unsigned quietest(const Tocsin__Guardian *guardian)
{
    unsigned least = UINT_MAX;
    for (size_t m = 0; m < guardian->n_contact_methods; m++) {
        unsigned loudness = channel_loudness(guardian->contact_methods[m]->channel);
        least = loudness < least ? loudness : least;
    }
    return least;
}

/* What may wait until morning goes by each guardian's quietest channel alone. */
void telling_guardians(struct apply *apply, Tocsin__Incident *incident)
{
    bool low = incident->urgency == TOCSIN__URGENCY__URGENCY_LOW;
    for (size_t g = 0; g < apply->settings->n_guardians; g++) {
        const Tocsin__Guardian *guardian = apply->settings->guardians[g];
        for (size_t m = 0; m < guardian->n_contact_methods; m++) {
            const Tocsin__ContactMethod *method = guardian->contact_methods[m];
            bool loud = low && channel_loudness(method->channel) > quietest(guardian);
            if (loud || guardian_is_being_told(apply, incident, method)) {
                continue;
            }
            Tocsin__Notification *notification = outbox_new(apply, incident, TOCSIN__WHY__WHY_GUARDIANS);
            notification->guardian = true;
            notification->user_name = guardian->name;
            notification->contact_method_id = method->id;
            notification->channel = method->channel;
            notification->address = method->address;
            notification->country_code = method->country_code;
            outbox_add(apply, incident, notification);
        }
    }
}
