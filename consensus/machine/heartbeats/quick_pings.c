/*
 * Where most pings go: "still alive", of one that is up and expects no more than that.
 *
 *     TABLE_HEARTBEAT_QUICK    id / 64 ──> | last ping (6 bytes), pings since its state was written (2) | x 64
 *
 * Such a ping changes nothing else, so it is noted here alone. Sixty-four neighbours share a row and hundreds a page:
 * of a million that ping in any order, few pages are written at each commit. Without a last ping, the pings of this
 * heartbeat go the long way, through its HeartbeatState, which holds everything then. Its place is there from its
 * creation on, so that rows are made in their order, which fills pages; a place of zeros is nobody's.
 */
#include "consensus/machine/heartbeats/quick_pings.h"

#include <assert.h>
#include <string.h>

#include "consensus/machine/heartbeats/heartbeats.h"
#include "consensus/machine/planted.h"

#define PLACE_SIZE_BYTES 8u
#define PINGS_BITS 16u
#define PINGS_MAX ((1u << PINGS_BITS) - 1)
#define LAST_PING_MS_MAX ((1ull << 48) - 1) /* in the year 10889 */
#define TAKEN 1u /* in place of pings, of one that goes the long way */
#define ROW_SIZE_BYTES (QUICK_PLACES * PLACE_SIZE_BYTES)

struct quick {
    uint64_t last_ping_ms; /* 0: not quick */
    uint64_t pings;
};

static uint8_t *place_of(uint8_t row[ROW_SIZE_BYTES], uint64_t id)
{
    return row + id % QUICK_PLACES * PLACE_SIZE_BYTES;
}

static struct quick place_read(const uint8_t *place)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < PLACE_SIZE_BYTES; i++) {
        number = number << 8 | place[i];
    }
    return (struct quick){.last_ping_ms = number >> PINGS_BITS, .pings = number & PINGS_MAX};
}

static void place_write(uint8_t *place, struct quick quick)
{
    assert(quick.last_ping_ms <= LAST_PING_MS_MAX && quick.pings <= PINGS_MAX);
    uint64_t number = quick.last_ping_ms << PINGS_BITS | quick.pings;
    for (unsigned i = PLACE_SIZE_BYTES; i > 0; i--, number >>= 8) {
        place[i - 1] = (uint8_t)number;
    }
}

/* The row that the heartbeat is in; zeros, and false, when there is none. */
static bool row_read(const struct machine_store *store, uint64_t id, uint8_t row[ROW_SIZE_BYTES])
{
    struct key key = key_1(id / QUICK_PLACES);
    struct span found;
    if (!store->get(store->context, TABLE_HEARTBEAT_QUICK, key_span(&key), &found) || found.size_bytes != ROW_SIZE_BYTES) {
        memset(row, 0, ROW_SIZE_BYTES);
        return false;
    }
    memcpy(row, found.data, ROW_SIZE_BYTES);
    return true;
}

static void row_write(const struct machine_store *store, uint64_t id, const uint8_t row[ROW_SIZE_BYTES])
{
    static const uint8_t zeros[ROW_SIZE_BYTES];
    struct key key = key_1(id / QUICK_PLACES);
    if (memcmp(row, zeros, ROW_SIZE_BYTES) == 0) {
        store->del(store->context, TABLE_HEARTBEAT_QUICK, key_span(&key));
    } else {
        store->put(store->context, TABLE_HEARTBEAT_QUICK, key_span(&key),
                   (struct span){.data = row, .size_bytes = ROW_SIZE_BYTES});
    }
}

static void place_set(const struct machine_store *store, uint64_t id, struct quick quick)
{
    uint8_t row[ROW_SIZE_BYTES], place[PLACE_SIZE_BYTES];
    (void)row_read(store, id, row);
    place_write(place, quick);
    if (memcmp(place_of(row, id), place, PLACE_SIZE_BYTES) != 0) {
        memcpy(place_of(row, id), place, PLACE_SIZE_BYTES);
        row_write(store, id, row);
    }
}

/* A later ping leaves everything but its time as it is: the row among the due ones, too, which is filed for no later
 * than silence since the last ping would be noticed without any blind time. */
static bool is_quick(struct apply *apply, const Tocsin__Heartbeat *heartbeat, const Tocsin__HeartbeatState *state)
{
    uint64_t due_ms = state->last_ping_ms + apply_seconds_ms(apply, heartbeat->period_s) +
                      apply_seconds_ms(apply, heartbeat->grace_s);
    return state->status == TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_UP && state->last_start_ms == 0 &&
           state->run[0] == '\0' && !state->has_duration && !heartbeat->post_only &&
           !heartbeat_has_schedule(heartbeat) && state->filed_ms != 0 && state->filed_ms <= due_ms && state->last_ping_ms <= LAST_PING_MS_MAX;
}

bool quick_ping(struct apply *apply, const Tocsin__Ping *ping)
{
    if (ping->kind != TOCSIN__PING_KIND__PING_SUCCESS || ping->body.len > 0 || ping->run[0] != '\0') {
        return false;
    }
    uint8_t row[ROW_SIZE_BYTES];
    if (!row_read(apply->store, ping->heartbeat_id, row)) {
        return false;
    }
    struct quick quick = place_read(place_of(row, ping->heartbeat_id));
    if (quick.last_ping_ms == 0 || quick.pings == PINGS_MAX || apply->time_ms > LAST_PING_MS_MAX) {
        return false;
    }
    if (!planted(PING_NOT_NOTED)) {
        quick.last_ping_ms = apply->time_ms;
    }
    quick.pings++;
    place_write(place_of(row, ping->heartbeat_id), quick);
    row_write(apply->store, ping->heartbeat_id, row);
    return true;
}

void quick_forget(struct apply *apply, uint64_t id)
{
    place_set(apply->store, id, (struct quick){0});
}

void heartbeat_state_put(struct apply *apply, const Tocsin__Heartbeat *heartbeat, const Tocsin__HeartbeatState *state)
{
    struct quick quick = {.pings = TAKEN};
    if (is_quick(apply, heartbeat, state)) {
        quick = (struct quick){.last_ping_ms = state->last_ping_ms};
    }
    record_put(apply->store, TABLE_HEARTBEAT_STATE, key_1(heartbeat->id), &state->base);
    place_set(apply->store, heartbeat->id, quick);
}

Tocsin__HeartbeatState *heartbeat_state_get(const struct machine_store *store, uint64_t id, ProtobufCAllocator *allocator)
{
    Tocsin__HeartbeatState *state =
        record_get(store, TABLE_HEARTBEAT_STATE, key_1(id), &tocsin__heartbeat_state__descriptor, allocator);
    uint8_t row[ROW_SIZE_BYTES];
    if (state == NULL || !row_read(store, id, row)) {
        return state;
    }
    struct quick quick = place_read(place_of(row, id));
    if (quick.last_ping_ms != 0) {
        state->last_ping_ms = quick.last_ping_ms;
        state->pings += quick.pings;
    }
    return state;
}

bool quick_is(const struct machine_store *store, uint64_t id)
{
    uint8_t row[ROW_SIZE_BYTES];
    return row_read(store, id, row) && place_read(place_of(row, id)).last_ping_ms != 0;
}
