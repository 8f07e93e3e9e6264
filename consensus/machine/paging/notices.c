/* News that belong to no incident. */
#include "consensus/machine/paging/notices.h"

#include "consensus/machine/checks.h"
#include "consensus/machine/drills/drills.h"
#include "consensus/machine/incidents/incidents.h"

/* What can wait goes where it disturbs least. */
static const Tocsin__Channel ORDER[] = {
    TOCSIN__CHANNEL__CHANNEL_EMAIL,   TOCSIN__CHANNEL__CHANNEL_PUSH,  TOCSIN__CHANNEL__CHANNEL_SMS,
    TOCSIN__CHANNEL__CHANNEL_WEBHOOK, TOCSIN__CHANNEL__CHANNEL_VOICE,
};

static bool was_tried(const Tocsin__Notification *failed, uint64_t contact_method_id)
{
    for (size_t i = 0; failed != NULL && i < failed->n_failed_contact_method_ids; i++) {
        if (failed->failed_contact_method_ids[i] == contact_method_id) {
            return true;
        }
    }
    return failed != NULL && failed->contact_method_id == contact_method_id;
}

/* The first method in that order that was not tried, NULL for none. */
static const Tocsin__ContactMethod *best_method(struct apply *apply, uint64_t user_id,
                                                const Tocsin__Notification *failed)
{
    for (size_t c = 0; c < sizeof ORDER / sizeof ORDER[0]; c++) {
        struct walk walk = walk_under(apply->store, TABLE_CONTACT_METHOD, user_id);
        while (walk_next(&walk)) {
            const Tocsin__ContactMethod *method =
                record_unpack(&tocsin__contact_method__descriptor, walk.value, apply->arena);
            if (method != NULL && method->channel == ORDER[c] && !was_tried(failed, method->id)) {
                return method;
            }
        }
    }
    return NULL;
}

static Tocsin__Notification *notice_new(struct apply *apply, const Tocsin__User *user,
                                        const Tocsin__ContactMethod *method, Tocsin__Why why, Tocsin__Notice *notice)
{
    Tocsin__Notification *notification = apply_alloc(apply, sizeof *notification);
    tocsin__notification__init(notification);
    notification->notice = notice;
    notification->title = notice->schedule_name;
    notification->urgency = TOCSIN__URGENCY__URGENCY_LOW;
    notification->why = why;
    notification->created_at_ms = apply->time_ms;
    notification->user_id = user->id;
    notification->user_name = user->name;
    notification->time_zone = user->time_zone;
    notification->contact_method_id = method->id;
    notification->channel = method->channel;
    notification->address = method->address;
    notification->country_code = method->country_code;
    return notification;
}

void notice_tell(struct apply *apply, uint64_t user_id, uint64_t contact_method_id, Tocsin__Why why,
                 Tocsin__Notice *notice)
{
    const Tocsin__User *user = user_get(apply->store, user_id, apply->arena);
    const Tocsin__ContactMethod *method =
        contact_method_id != 0 ? contact_method_get(apply->store, user_id, contact_method_id, apply->arena)
                               : best_method(apply, user_id, NULL);
    if (user != NULL && method != NULL) {
        outbox_add(apply, NULL, notice_new(apply, user, method, why, notice));
    }
}

Tocsin__Why notice_why_not(struct apply *apply, const Tocsin__Notification *notification)
{
    if (drill_is(notification)) {
        return drill_why_not(apply, notification);
    }
    if (probe_is(notification)) {
        return TOCSIN__WHY__WHY_NO_NEWS; /* who would claim it anew proves nothing of the first way */
    }
    if (user_get(apply->store, notification->user_id, apply->arena) == NULL) {
        return TOCSIN__WHY__WHY_USER_DELETED;
    }
    return apply->time_ms >= notification->notice->valid_until_ms ? TOCSIN__WHY__WHY_NO_NEWS : TOCSIN__WHY__WHY_NONE;
}

void notice_attempt(Tocsin__Notification *notification, const Tocsin__Receipt *receipt)
{
    notification->provider = receipt->provider;
    notification->provider_id = receipt->provider_id;
    if (receipt->outcome == TOCSIN__OUTCOME__OUTCOME_SENT) {
        uint64_t claimed_ms = notification->due_at_ms - CLAIM_LAPSE_MS;
        notification->accepted_at_ms = claimed_ms + receipt->elapsed_ms;
    }
}

void notice_keep(struct apply *apply, const Tocsin__Notification *notification)
{
    if (drill_is(notification)) {
        drill_ended(apply, notification);
        return;
    }
    uint64_t user_id = notification->user_id;
    if (user_get(apply->store, user_id, apply->arena) == NULL) {
        return;
    }
    record_put(apply->store, TABLE_NOTICE, key_2(user_id, notification->id), &notification->base);
    uint64_t count = rows_under(apply, TABLE_NOTICE, user_id);
    struct walk walk = walk_under(apply->store, TABLE_NOTICE, user_id);
    for (; count > LIMIT_NOTICES_KEPT_PER_USER && walk_next(&walk); count--) {
        row_delete(apply, TABLE_NOTICE, walk.position);
    }
}

void notice_next_method(struct apply *apply, const Tocsin__Notification *failed)
{
    if (failed->notice->kind == TOCSIN__NOTICE_KIND__NOTICE_TEST ||
        failed->notice->kind == TOCSIN__NOTICE_KIND__NOTICE_CODE || drill_is(failed)) {
        return; /* it is about this method */
    }
    const Tocsin__User *user = user_get(apply->store, failed->user_id, apply->arena);
    const Tocsin__ContactMethod *method = best_method(apply, failed->user_id, failed);
    if (user == NULL || method == NULL) {
        return;
    }
    Tocsin__Notification *next =
        notice_new(apply, user, method, TOCSIN__WHY__WHY_CHANNEL_FAILED, failed->notice);
    size_t count = failed->n_failed_contact_method_ids;
    next->failed_contact_method_ids = apply_alloc(apply, (count + 1) * sizeof(uint64_t));
    for (size_t i = 0; i < count; i++) {
        next->failed_contact_method_ids[i] = failed->failed_contact_method_ids[i];
    }
    next->failed_contact_method_ids[count] = failed->contact_method_id;
    next->n_failed_contact_method_ids = count + 1;
    outbox_add(apply, NULL, next);
}

void notices_user_deleted(struct apply *apply, uint64_t user_id)
{
    struct walk walk = walk_under(apply->store, TABLE_NOTICE, user_id);
    while (walk_next(&walk)) {
        row_delete(apply, TABLE_NOTICE, walk.position);
    }
}

/* ---------------------------------------------------------------- the probe of the outer heartbeat */

bool probe_is(const Tocsin__Notification *notification)
{
    return notification->notice != NULL && notification->notice->kind == TOCSIN__NOTICE_KIND__NOTICE_PROBE;
}

void apply_outer_probe(struct apply *apply, const Tocsin__OuterProbe *probe, Tocsin__Reply *reply)
{
    (void)probe; /* that it came is all it says */
    Tocsin__Notice *notice = apply_alloc(apply, sizeof *notice);
    tocsin__notice__init(notice);
    notice->kind = TOCSIN__NOTICE_KIND__NOTICE_PROBE;
    notice->valid_until_ms = apply->time_ms;
    Tocsin__Notification *notification = apply_alloc(apply, sizeof *notification);
    tocsin__notification__init(notification);
    notification->notice = notice;
    notification->urgency = TOCSIN__URGENCY__URGENCY_LOW;
    notification->why = TOCSIN__WHY__WHY_TEST;
    notification->created_at_ms = apply->time_ms;
    outbox_add(apply, NULL, notification);
    reply_id(apply, reply, notification->id);
}
