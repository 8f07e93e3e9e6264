/*
 * Telling people: takes notifications that were claimed for this node, sends them, has the receipts committed.
 *
 *     applied entry ── claimed for this node and term ──> dispatcher_take ─> queue ─> transfer ─> provider
 *                                                              │                          │
 *                         validity (3 s) ran out: claim anew <─┘                  answer ─┴─> judge ─> receipt, committed
 *     new leader ── scans the outbox ──> dispatcher_reclaim (ids) ──> claim, committed ──> dispatcher_take
 *
 * Promise P3: a request starts only while this node leads in the claim's term and at most CLAIM_VALID_MS after the claim's proposal, by
 * CLOCK_BOOTTIME read just before. One attempt ends after ATTEMPT_DEADLINE_MS.
 *
 * Pure shell: no clock, no network of its own; ports give both, so the simulator runs this code.
 */
#ifndef NOTIFY_DISPATCHER_H
#define NOTIFY_DISPATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/schema/schema.pb-c.h"
#include "notify/channel.h"
#include "notify/settings.h"

/* Requests under way at once, over all providers: beyond it notifications wait, and are claimed anew when their claim runs out. */
#define DISPATCHER_TRANSFERS_MAX 64

struct dispatcher_ports {
    void *context;
    uint64_t (*boottime_ms)(void *context);
    uint32_t (*random)(void *context); /* for jitter, and for codes: nobody can guess it */
    /* The term in which this node leads and is ready, 0 while it does not. */
    uint64_t (*leading_term)(void *context);
    /* Has commands committed, best effort while this node leads. The dispatcher hears of granted claims through dispatcher_take. */
    void (*claim)(void *context, const uint64_t *notification_ids, size_t count);
    void (*receipt)(void *context, const Tocsin__Receipt *receipt);
    /* Starts a request; its end is reported once by dispatcher_answered with the same id, never from inside this call. */
    void (*transfer)(void *context, uint64_t transfer_id, const struct outgoing *outgoing);
    /* Gives up a request that is under way; dispatcher_answered is not called for it any more. */
    void (*abort_transfer)(void *context, uint64_t transfer_id);
};

struct dispatcher;

/* `settings` stays the caller's and must outlive the dispatcher. */
struct dispatcher *dispatcher_new(const struct dispatcher_ports *ports, const struct notify_settings *settings);
void dispatcher_free(struct dispatcher *dispatcher);

/* A notification claimed by this node and boot in `term`. Copied. Ignored when the term is not the one being led in. */
void dispatcher_take(struct dispatcher *dispatcher, const Tocsin__Notification *notification, uint64_t term);

/* This node became leader of `term` and its barrier is applied: these ids stood in the outbox then, owed or claimed in older terms. */
void dispatcher_reclaim(struct dispatcher *dispatcher, const uint64_t *notification_ids, size_t count);

/* Leadership ended: what waits is forgotten (the next leader has it in the outbox); what is under way ends by itself and its receipt
 * is still offered. */
void dispatcher_stop(struct dispatcher *dispatcher);

void dispatcher_answered(struct dispatcher *dispatcher, uint64_t transfer_id, const struct answer *answer);

/* When dispatcher_tick must be called next (boottime), UINT64_MAX when not. */
uint64_t dispatcher_next_tick_ms(const struct dispatcher *dispatcher);
void dispatcher_tick(struct dispatcher *dispatcher);

struct dispatcher_statistics {
    uint64_t sent, retried, failed, unknown, reclaimed;
    size_t waiting, under_way;
};
struct dispatcher_statistics dispatcher_statistics(const struct dispatcher *dispatcher);

/* Requests of the channel that ended last, one after the other, without being taken; 0 when the last of them is longer ago than `within_ms`. An address
 * that does not exist counts neither way. */
uint64_t dispatcher_failures_in_a_row(const struct dispatcher *dispatcher, Tocsin__Channel channel, uint64_t within_ms);

/* False when pages have waited for a slot for `within_ms`, and not one was taken or refused for good meanwhile: full, and standing still. */
bool dispatcher_moves(const struct dispatcher *dispatcher, uint64_t within_ms);

/* The last notification that tells nobody (consensus/machine/paging/notices.h) and came here with a valid claim; 0: none yet. It takes no slot, and says
 * nothing of them: dispatcher_moves does. */
uint64_t dispatcher_last_probe(const struct dispatcher *dispatcher);

#endif
