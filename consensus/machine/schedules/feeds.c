/* Calendar feeds: whoever has the secret of one reads shifts, without a token. Only its hash is kept. */
#include <string.h>

#include "consensus/machine/checks.h"
#include "consensus/machine/schedules/swaps.h"

#define HASH_SIZE_BYTES 32u

static Tocsin__CalendarFeed *feed_get(struct apply *apply, uint64_t owner_id)
{
    return record_get(apply->store, TABLE_CALENDAR_FEED, key_1(owner_id), &tocsin__calendar_feed__descriptor,
                      apply->arena);
}

void calendar_feed_forget(struct apply *apply, uint64_t owner_id)
{
    const Tocsin__CalendarFeed *feed = feed_get(apply, owner_id);
    if (feed != NULL) {
        row_delete(apply, TABLE_CALENDAR_FEED_BY_HASH, key_bytes(feed->hash.data, feed->hash.len));
        row_delete(apply, TABLE_CALENDAR_FEED, key_1(owner_id));
    }
}

/* The schedule or the person, 0 with the reply refused when it is not there. */
static uint64_t owner_of(struct apply *apply, Tocsin__Reply *reply, uint64_t schedule_id, uint64_t user_id)
{
    if (schedule_id != 0 && schedule_get(apply->store, schedule_id, apply->arena) == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_SCHEDULE, "schedule", schedule_id);
        return 0;
    }
    if (schedule_id == 0 && user_get(apply->store, user_id, apply->arena) == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_USER, "user", user_id);
        return 0;
    }
    return schedule_id != 0 ? schedule_id : user_id;
}

void apply_calendar_feed_put(struct apply *apply, const Tocsin__CalendarFeedPut *put, Tocsin__Reply *reply)
{
    if (!check_given(apply, reply, put->feed)) {
        return;
    }
    uint64_t owner_id = owner_of(apply, reply, put->feed->schedule_id, put->feed->user_id);
    if (owner_id == 0) {
        return;
    }
    struct key hash = key_bytes(put->feed->hash.data, put->feed->hash.len <= HASH_SIZE_BYTES ? put->feed->hash.len : 0);
    if (put->feed->hash.len != HASH_SIZE_BYTES || index_find(apply, TABLE_CALENDAR_FEED_BY_HASH, hash) != 0) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE,
                     "A feed is known by the SHA-256 of a secret of its own.");
        return;
    }
    calendar_feed_forget(apply, owner_id);
    Tocsin__CalendarFeed feed = TOCSIN__CALENDAR_FEED__INIT;
    feed.id = apply_new_id(apply);
    feed.hash = put->feed->hash;
    feed.schedule_id = put->feed->schedule_id;
    feed.user_id = feed.schedule_id != 0 ? 0 : owner_id;
    feed.created_at_ms = apply->time_ms;
    record_put(apply->store, TABLE_CALENDAR_FEED, key_1(owner_id), &feed.base);
    index_put(apply, TABLE_CALENDAR_FEED_BY_HASH, hash, owner_id);
    reply_id(apply, reply, feed.id);
}

void apply_calendar_feed_delete(struct apply *apply, const Tocsin__CalendarFeedDelete *delete, Tocsin__Reply *reply)
{
    uint64_t owner_id = delete->schedule_id != 0 ? delete->schedule_id : delete->user_id;
    const Tocsin__CalendarFeed *feed = feed_get(apply, owner_id);
    if (feed == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "calendar feed", owner_id);
        return;
    }
    reply_id(apply, reply, feed->id);
    calendar_feed_forget(apply, owner_id);
}
