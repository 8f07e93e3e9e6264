/*
 * The outbox: notifications on their way.
 *
 *     owed ──claim──> claimed ──receipt: sent──────────────────────> sent
 *                      │   ^ ──receipt: never, or failed too often─> failed ──> the person's next contact method
 *        receipt: retry│   │claim, or the pulse of its leader
 *                      v   │
 *                     waiting         owed, waiting ──acknowledged, resolved, assigned anew──> cancelled
 *
 * A claim is committed before the provider is called, and only for an incident that is still triggered and an
 * assignment that is still the present one: so nothing can be claimed after an acknowledgement (promise P3). A claim
 * without receipt is claimed again when it lapses, or at once by the leader of a later term, and then says "possibly
 * repeated" (promise P2).
 *
 * News (notices.h) belong to no incident: where one is handled below, it is NULL for them. A drill (drills.h) is never
 * sent again when it may have arrived: where pages are marked "possibly repeated", it ends.
 */
#include "consensus/machine/incidents/incidents.h"

#include <assert.h>
#include <string.h>

#include "consensus/machine/checks.h"
#include "consensus/machine/directory/contacts.h"
#include "consensus/machine/drills/drills.h"
#include "consensus/machine/output.h"
#include "consensus/machine/paging/notices.h"
#include "consensus/machine/planted.h"

static bool is_state(const Tocsin__Notification *notification, Tocsin__NotificationState state)
{
    return notification->state == state;
}

Tocsin__Notification *outbox_get(struct apply *apply, uint64_t notification_id)
{
    return record_get(apply->store, TABLE_OUTBOX, key_1(notification_id), &tocsin__notification__descriptor,
                      apply->arena);
}

/* ---------------------------------------------------------------- the row, its deadline, its place in the incident */

static void row_put(struct apply *apply, const Tocsin__Notification *notification)
{
    record_put(apply->store, TABLE_OUTBOX, key_1(notification->id), &notification->base);
}

/* Files when the row is looked at next, in place of what was filed; 0: not by time. */
static void row_file(struct apply *apply, Tocsin__Notification *notification, uint64_t due_ms)
{
    if (notification->due_at_ms != 0) {
        row_delete(apply, TABLE_DEADLINE,
                   key_deadline(notification->due_at_ms, DEADLINE_NOTIFICATION_RETRY, notification->id, 0));
    }
    notification->due_at_ms = due_ms;
    if (due_ms != 0) {
        Tocsin__Deadline row = TOCSIN__DEADLINE__INIT;
        record_put(apply->store, TABLE_DEADLINE, key_deadline(due_ms, DEADLINE_NOTIFICATION_RETRY, notification->id, 0),
                   &row.base);
    }
}

static void pending_add(struct apply *apply, Tocsin__Incident *incident, uint64_t id)
{
    size_t count = incident->n_pending_notification_ids;
    uint64_t *ids = apply_alloc(apply, (count + 1) * sizeof *ids);
    if (count > 0) {
        memcpy(ids, incident->pending_notification_ids, count * sizeof *ids);
    }
    ids[count] = id;
    incident->pending_notification_ids = ids;
    incident->n_pending_notification_ids = count + 1;
    incident->notifications_pending++;
}

static void pending_remove(Tocsin__Incident *incident, uint64_t id)
{
    size_t kept = 0;
    for (size_t i = 0; i < incident->n_pending_notification_ids; i++) {
        if (incident->pending_notification_ids[i] != id) {
            incident->pending_notification_ids[kept++] = incident->pending_notification_ids[i];
        }
    }
    assert(kept + 1 == incident->n_pending_notification_ids);
    incident->n_pending_notification_ids = kept;
    incident->notifications_pending--;
}

/* Leaves the outbox: all that is done about a notification whose incident retention has taken. */
static void row_forget(struct apply *apply, Tocsin__Notification *notification)
{
    row_file(apply, notification, 0);
    row_delete(apply, TABLE_OUTBOX, key_1(notification->id));
}

/* The incident that the notification is about, NULL for news. False when retention took it: the row is gone, too. */
static bool subject_load(struct apply *apply, Tocsin__Notification *notification, Tocsin__Incident **incident)
{
    *incident = NULL;
    if (notification->notice != NULL) {
        return true;
    }
    *incident = incident_get(apply->store, notification->incident_id, apply->arena);
    if (*incident == NULL) {
        row_forget(apply, notification);
    }
    return *incident != NULL;
}

/* After an attempt has ended. */
static void subject_settle(struct apply *apply, Tocsin__Incident *incident)
{
    if (incident != NULL) {
        telling_settle(apply, incident);
        incident_put(apply->store, incident);
    }
}

/* Leaves the outbox and stays with the incident, so that "why was (not) this person paged" has its answer. */
static void row_end(struct apply *apply, Tocsin__Incident *incident, Tocsin__Notification *notification,
                    Tocsin__NotificationState state, Tocsin__Why why_ended)
{
    row_forget(apply, notification);
    notification->state = state;
    notification->why_ended = why_ended;
    if (incident == NULL) {
        notice_keep(apply, notification);
        return;
    }
    record_put(apply->store, TABLE_NOTIFICATION, key_2(incident->id, notification->id), &notification->base);
    pending_remove(incident, notification->id);
}

/* ---------------------------------------------------------------- owed and claimed */

Tocsin__Notification *outbox_new(struct apply *apply, const Tocsin__Incident *incident, Tocsin__Why why)
{
    Tocsin__Notification *notification = apply_alloc(apply, sizeof *notification);
    tocsin__notification__init(notification);
    const Tocsin__Service *service = service_get(apply->store, incident->service_id, apply->arena);
    notification->incident_id = incident->id;
    notification->incident_number = incident->number;
    notification->title = incident->title;
    notification->urgency = incident->urgency;
    notification->level = incident->level;
    notification->generation = incident->generation;
    notification->why = why;
    notification->created_at_ms = apply->time_ms;
    if (service != NULL) {
        notification->service_name = service->name;
    }
    return notification;
}

/* Claims the row for the proposer of the entry; an entry without one leaves it owed. */
static void grant(struct apply *apply, Tocsin__Notification *notification)
{
    if (apply->proposer == 0) {
        notification->state = TOCSIN__NOTIFICATION_STATE__NOTIFICATION_OWED;
        row_file(apply, notification, 0);
        row_put(apply, notification);
        return;
    }
    notification->state = TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CLAIMED;
    notification->attempt++;
    notification->claim_node = apply->proposer;
    notification->claim_boot = apply->proposer_boot;
    notification->claim_term = apply->term;
    notification->claim_boottime_ms = apply->proposed_boottime_ms;
    row_file(apply, notification, apply->time_ms + CLAIM_LAPSE_MS);
    row_put(apply, notification);
    output_send(apply->output, notification);
}

void outbox_add(struct apply *apply, Tocsin__Incident *incident, Tocsin__Notification *notification)
{
    notification->id = apply_new_id(apply);
    if (incident != NULL) {
        assert(notification->incident_id == incident->id && notification->generation == incident->generation);
        pending_add(apply, incident, notification->id);
    }
    grant(apply, notification);
}

/* Why a bulletin has lost its point; WHY_NONE when it has not. News of an incident is news when it is over, too. */
static Tocsin__Why why_not_bulletin(struct apply *apply, const Tocsin__Incident *incident,
                                  const Tocsin__Notification *notification)
{
    bool resolved = incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED);
    if (resolved && notification->bulletin != TOCSIN__BULLETIN_KIND__BULLETIN_STATUS_UPDATE) {
        return TOCSIN__WHY__WHY_INCIDENT_RESOLVED;
    }
    if (user_get(apply->store, notification->user_id, apply->arena) == NULL) {
        return TOCSIN__WHY__WHY_USER_DELETED;
    }
    if (notification->bulletin == TOCSIN__BULLETIN_KIND__BULLETIN_RESPONDER_REQUEST &&
        !responder_is_awaited(incident, notification->user_id)) {
        return TOCSIN__WHY__WHY_RESPONDER_ANSWERED;
    }
    return TOCSIN__WHY__WHY_NONE;
}

/* Why nobody needs this notification any more; WHY_NONE when it is to be sent. */
static Tocsin__Why why_not(struct apply *apply, const Tocsin__Incident *incident,
                           const Tocsin__Notification *notification)
{
    if (incident == NULL) {
        return notice_why_not(apply, notification);
    }
    if (notification->bulletin != TOCSIN__BULLETIN_KIND__BULLETIN_NONE) {
        return why_not_bulletin(apply, incident, notification);
    }
    if (incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED)) {
        return TOCSIN__WHY__WHY_INCIDENT_RESOLVED;
    }
    if (incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED) && !planted(ACKNOWLEDGED_STILL_OWED)) {
        return TOCSIN__WHY__WHY_INCIDENT_ACKNOWLEDGED;
    }
    if (notification->generation != incident->generation) {
        return TOCSIN__WHY__WHY_REASSIGNED;
    }
    if (!notification->guardian && !incident_is_assigned(incident, notification->user_id)) {
        return TOCSIN__WHY__WHY_USER_DELETED;
    }
    return TOCSIN__WHY__WHY_NONE;
}

void outbox_withdraw(struct apply *apply, Tocsin__Incident *incident, uint64_t user_id, Tocsin__Why why)
{
    size_t count = incident->n_pending_notification_ids;
    uint64_t *ids = apply_alloc(apply, (count + 1) * sizeof *ids);
    if (count > 0) {
        memcpy(ids, incident->pending_notification_ids, count * sizeof *ids);
    }
    for (size_t i = 0; i < count; i++) {
        Tocsin__Notification *notification = outbox_get(apply, ids[i]);
        if (notification == NULL || (user_id != 0 && notification->user_id != user_id) ||
            is_state(notification, TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CLAIMED)) {
            continue;
        }
        bool page = notification->bulletin == TOCSIN__BULLETIN_KIND__BULLETIN_NONE;
        if (page || user_id != 0 || why_not_bulletin(apply, incident, notification) != TOCSIN__WHY__WHY_NONE) {
            row_end(apply, incident, notification, TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CANCELLED, why);
        }
    }
    if (user_id == 0) {
        /* Rules whose delay is not over have lost their effect as well. */
        incident->notifications_pending = (uint32_t)incident->n_pending_notification_ids;
    }
}

/* ---------------------------------------------------------------- what the timeline says */

static const char *const OUTCOME_TEXTS[] = {
    [TOCSIN__OUTCOME__OUTCOME_NONE] = "was not told",
    [TOCSIN__OUTCOME__OUTCOME_SENT] = "was told",
    [TOCSIN__OUTCOME__OUTCOME_RETRY] = "was not reached",
    [TOCSIN__OUTCOME__OUTCOME_NEVER] = "cannot be reached",
    [TOCSIN__OUTCOME__OUTCOME_MISCONFIGURED] = "was not told, because the provider's set-up is wrong,",
    [TOCSIN__OUTCOME__OUTCOME_UNKNOWN] = "may or may not have been told",
};
#define OUTCOMES_COUNT (sizeof OUTCOME_TEXTS / sizeof OUTCOME_TEXTS[0])

static const char *const BULLETIN_TEXTS[] = {
    [TOCSIN__BULLETIN_KIND__BULLETIN_NONE] = "",
    [TOCSIN__BULLETIN_KIND__BULLETIN_STATUS_UPDATE] = " of the news",
    [TOCSIN__BULLETIN_KIND__BULLETIN_RESPONDER_REQUEST] = " that help is asked for",
    [TOCSIN__BULLETIN_KIND__BULLETIN_TARGET_MISSED] = " of the missed target",
};

static void log_attempt(struct apply *apply, Tocsin__Incident *incident, const Tocsin__Notification *notification,
                        const Tocsin__Receipt *receipt, Tocsin__Why why)
{
    assert((size_t)receipt->outcome < OUTCOMES_COUNT);
    if (incident == NULL) {
        return; /* news have no timeline: the notification itself says how it ended */
    }
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_NOTIFY, why, NULL);
    entry->user_id = notification->user_id;
    entry->guardian = notification->guardian;
    entry->channel = notification->channel;
    entry->address = notification->address;
    entry->outcome = receipt->outcome;
    entry->provider = receipt->provider;
    entry->provider_id = receipt->provider_id;
    entry->level = notification->level;
    entry->attempt = notification->attempt;
    entry->notification_id = notification->id;
    entry->notification_rule_id = notification->notification_rule_id;
    size_t detail_size = strlen(receipt->detail);
    bool is_sentence = detail_size > 0 && receipt->detail[detail_size - 1] == '.';
    entry->text = apply_printf(apply, "%s%s %s%s by %s at %s%s%s%s%s", notification->guardian ? "Guardian " : "",
                               notification->user_name, OUTCOME_TEXTS[receipt->outcome], BULLETIN_TEXTS[notification->bulletin],
                               timeline_channel(notification->channel), notification->address,
                               notification->possibly_repeated ? ", possibly repeated" : "",
                               detail_size > 0 ? ": " : "", receipt->detail, is_sentence ? "" : ".");
    timeline_put(apply, incident, entry);
}

/* An attempt of which nothing will be heard. */
static void log_lost(struct apply *apply, Tocsin__Incident *incident, const Tocsin__Notification *notification,
                     const char *detail)
{
    bool leader_gone = notification->claim_term < apply->term;
    Tocsin__Receipt receipt;
    tocsin__receipt__init(&receipt);
    receipt.outcome = TOCSIN__OUTCOME__OUTCOME_UNKNOWN;
    receipt.detail = apply_strdup(apply, detail);
    log_attempt(apply, incident, notification, &receipt,
                leader_gone ? TOCSIN__WHY__WHY_FAILOVER : notification->why);
}

/* ---------------------------------------------------------------- attempts that failed */

/* This way is closed: the person's next one. */
static void give_up(struct apply *apply, Tocsin__Incident *incident, Tocsin__Notification *notification,
                    Tocsin__Why why_ended)
{
    bool wanted = why_not(apply, incident, notification) == TOCSIN__WHY__WHY_NONE;
    row_end(apply, incident, notification, TOCSIN__NOTIFICATION_STATE__NOTIFICATION_FAILED, why_ended);
    if (wanted && incident == NULL) {
        notice_next_method(apply, notification);
    } else if (wanted && !planted(NEXT_CHANNEL_NOT_TAKEN)) {
        telling_next_method(apply, incident, notification);
    }
}

static void wait_for_retry(struct apply *apply, Tocsin__Notification *notification, uint32_t retry_after_ms)
{
    notification->state = TOCSIN__NOTIFICATION_STATE__NOTIFICATION_WAITING;
    row_file(apply, notification, apply->time_ms + retry_after_ms);
    row_put(apply, notification);
}

static void attempt_failed(struct apply *apply, Tocsin__Incident *incident, Tocsin__Notification *notification,
                           const Tocsin__Receipt *receipt)
{
    bool may_recover = receipt->outcome == TOCSIN__OUTCOME__OUTCOME_RETRY ||
                       receipt->outcome == TOCSIN__OUTCOME__OUTCOME_UNKNOWN;
    if (drill_is(notification)) {
        may_recover = drill_may_retry(notification, receipt->outcome, apply->time_ms + receipt->retry_after_ms);
    }
    Tocsin__Why unwanted = why_not(apply, incident, notification);
    notification->ended_detail = receipt->detail;
    notification->failures++;
    if (receipt->outcome == TOCSIN__OUTCOME__OUTCOME_UNKNOWN) {
        notification->possibly_repeated = true;
    }
    if (may_recover && unwanted != TOCSIN__WHY__WHY_NONE) {
        row_end(apply, incident, notification, TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CANCELLED, unwanted);
    } else if (may_recover && notification->failures < NOTIFICATION_FAILURES_MAX) {
        wait_for_retry(apply, notification, receipt->retry_after_ms);
    } else {
        give_up(apply, incident, notification,
                may_recover ? TOCSIN__WHY__WHY_ATTEMPTS_EXHAUSTED : TOCSIN__WHY__WHY_CHANNEL_FAILED);
    }
}

/* ---------------------------------------------------------------- receipts */

void apply_receipt(struct apply *apply, const Tocsin__Receipt *receipt, Tocsin__Reply *reply)
{
    if (receipt->outcome == TOCSIN__OUTCOME__OUTCOME_NONE || (size_t)receipt->outcome >= OUTCOMES_COUNT) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE,
                     "A receipt says how the attempt ended.");
        return;
    }
    Tocsin__Notification *notification = outbox_get(apply, receipt->notification_id);
    if (notification == NULL || notification->attempt != receipt->attempt ||
        !is_state(notification, TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CLAIMED)) {
        return; /* of an attempt that a later one has taken the place of */
    }
    Tocsin__Incident *incident;
    if (!subject_load(apply, notification, &incident)) {
        return;
    }
    if (incident == NULL) {
        notice_attempt(notification, receipt);
        contact_code_sent(apply, notification, receipt);
    }
    log_attempt(apply, incident, notification, receipt, notification->why);
    if (receipt->outcome == TOCSIN__OUTCOME__OUTCOME_SENT) {
        row_end(apply, incident, notification, TOCSIN__NOTIFICATION_STATE__NOTIFICATION_SENT, TOCSIN__WHY__WHY_NONE);
    } else {
        attempt_failed(apply, incident, notification, receipt);
    }
    subject_settle(apply, incident);
    reply_id(apply, reply, notification->id);
}

/* ---------------------------------------------------------------- claims */

static bool is_own_claim(const struct apply *apply, const Tocsin__Notification *notification)
{
    return notification->claim_node == apply->proposer && notification->claim_boot == apply->proposer_boot &&
           notification->claim_term == apply->term;
}

static bool is_claimable(const struct apply *apply, const Tocsin__Notification *notification)
{
    switch (notification->state) {
    case TOCSIN__NOTIFICATION_STATE__NOTIFICATION_OWED:
        return true;
    case TOCSIN__NOTIFICATION_STATE__NOTIFICATION_WAITING:
        return notification->due_at_ms <= apply->time_ms;
    case TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CLAIMED:
        return notification->claim_term < apply->term || is_own_claim(apply, notification);
    default:
        return false;
    }
}

static bool claim_refuse(struct apply *apply, Tocsin__Reply *part, Tocsin__Reason reason, const char *message)
{
    reply_refuse(apply, part, TOCSIN__STATUS__STATUS_CONFLICT, reason, "%s", message);
    return false;
}

/* True when the notification is the proposer's to send now. */
static bool claim_one(struct apply *apply, uint64_t notification_id, Tocsin__Reply *part)
{
    Tocsin__Notification *notification = outbox_get(apply, notification_id);
    if (notification == NULL) {
        return claim_refuse(apply, part, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "The notification has ended.");
    }
    if (!is_claimable(apply, notification)) {
        return claim_refuse(apply, part, TOCSIN__REASON__REASON_NONE, "The notification is claimed or not yet due.");
    }
    Tocsin__Incident *incident;
    if (!subject_load(apply, notification, &incident)) {
        return claim_refuse(apply, part, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "The incident is gone.");
    }
    Tocsin__Why unwanted = why_not(apply, incident, notification);
    if (unwanted != TOCSIN__WHY__WHY_NONE) {
        row_end(apply, incident, notification, TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CANCELLED, unwanted);
        subject_settle(apply, incident);
        return claim_refuse(apply, part, TOCSIN__REASON__REASON_NONE, "Nobody needs the notification any more.");
    }
    bool of_lost_leader = is_state(notification, TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CLAIMED) &&
                          notification->claim_term < apply->term;
    if (of_lost_leader && drill_is(notification)) {
        row_end(apply, incident, notification, TOCSIN__NOTIFICATION_STATE__NOTIFICATION_FAILED, TOCSIN__WHY__WHY_FAILOVER);
        return claim_refuse(apply, part, TOCSIN__REASON__REASON_NONE, "The leader that was sending this drill changed.");
    }
    if (of_lost_leader) {
        log_lost(apply, incident, notification, "the leader that was sending changed; it is sent again");
        if (incident != NULL) {
            incident_put(apply->store, incident);
        }
        notification->possibly_repeated = true;
    }
    grant(apply, notification);
    return true;
}

void apply_claim(struct apply *apply, const Tocsin__Claim *claim, Tocsin__Reply *reply)
{
    if (claim->n_notification_ids > LIMIT_CLAIM_NOTIFICATIONS) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_LIMIT, TOCSIN__REASON__REASON_TOO_MANY,
                     "One claim names at most %u notifications.", LIMIT_CLAIM_NOTIFICATIONS);
        return;
    }
    if (apply->proposer == 0) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE,
                     "A claim needs a proposer to send what is claimed.");
        return;
    }
    reply->parts = apply_alloc(apply, (claim->n_notification_ids + 1) * sizeof *reply->parts);
    for (size_t i = 0; i < claim->n_notification_ids; i++) {
        Tocsin__Reply *part = apply_alloc(apply, sizeof *part);
        tocsin__reply__init(part);
        reply->parts[reply->n_parts++] = part;
        if (claim_one(apply, claim->notification_ids[i], part)) {
            reply_id(apply, part, claim->notification_ids[i]);
        }
    }
}

/* ---------------------------------------------------------------- deadlines */

/* A claim of which no receipt came in time counts as an attempt that failed, so that a sender that never answers
 * ends, too. */
static void claim_lapsed(struct apply *apply, Tocsin__Incident *incident, Tocsin__Notification *notification)
{
    if (drill_is(notification)) {
        row_end(apply, incident, notification, TOCSIN__NOTIFICATION_STATE__NOTIFICATION_FAILED, TOCSIN__WHY__WHY_FAILOVER);
        return;
    }
    log_lost(apply, incident, notification, "no answer came in time");
    notification->possibly_repeated = true;
    notification->failures++;
    if (notification->failures < NOTIFICATION_FAILURES_MAX) {
        grant(apply, notification);
    } else {
        give_up(apply, incident, notification, TOCSIN__WHY__WHY_ATTEMPTS_EXHAUSTED);
    }
}

void outbox_retry_due(struct apply *apply, uint64_t notification_id, uint64_t due_ms)
{
    Tocsin__Notification *notification = outbox_get(apply, notification_id);
    if (notification == NULL || notification->due_at_ms != due_ms) {
        return;
    }
    notification->due_at_ms = 0; /* its row has just been taken */
    Tocsin__Incident *incident;
    if (!subject_load(apply, notification, &incident)) {
        return;
    }
    Tocsin__Why unwanted = why_not(apply, incident, notification);
    if (unwanted != TOCSIN__WHY__WHY_NONE) {
        row_end(apply, incident, notification, TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CANCELLED, unwanted);
    } else if (is_state(notification, TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CLAIMED)) {
        claim_lapsed(apply, incident, notification);
    } else {
        grant(apply, notification);
        return;
    }
    subject_settle(apply, incident);
}
