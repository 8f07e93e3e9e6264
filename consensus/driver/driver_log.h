/*
 * The driver's view of the log.
 *
 *     first                          settled                        last
 *       ├──── on disk ────┬── cached ───┼── not applied or not durable ──┤
 *       read through the  held                                       entries
 *       log_read port     up to a bound, for followers that lag
 *
 * What is not settled (applied here and durable here) is always in memory; settled entries stay as long as they fit in
 * the cache.
 */
#ifndef CONSENSUS_DRIVER_DRIVER_LOG_H
#define CONSENSUS_DRIVER_DRIVER_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/entry.h"

struct driver_log {
    uint64_t first;   /* of the log, in memory or not */
    uint64_t held;    /* first in memory; last + 1 when none is */
    uint64_t last;    /* first - 1 when the log is empty */
    uint64_t settled; /* up to here entries may leave memory */
    struct entry **ring; /* entry i is at ring[i % capacity]; capacity is a power of two, 0 at first */
    size_t capacity;
    size_t cache_size_bytes, cached_bytes; /* bound and size of the settled ones */
    struct entry *(*read)(void *context, uint64_t index);
    void *context;
};

void driver_log_init(struct driver_log *log, size_t cache_size_bytes,
                     struct entry *(*read)(void *context, uint64_t index), void *context);
void driver_log_close(struct driver_log *log);

/* Drops everything; the next entry is `first`. What lies before it is settled. */
void driver_log_reset(struct driver_log *log, uint64_t first);

/* The entries first..last are on disk and none is in memory; those up to `settled` are settled. */
void driver_log_restore(struct driver_log *log, uint64_t first, uint64_t last, uint64_t settled);
/* Puts back the entry `held - 1` of a restored log; takes a reference of its own. */
void driver_log_hold(struct driver_log *log, struct entry *entry);

/* Drops everything from `index` on; nothing settled is among it. */
void driver_log_truncate(struct driver_log *log, uint64_t index);
/* Takes a reference of its own. */
void driver_log_append(struct driver_log *log, struct entry *entry);
/* The log now begins at `first`, at most last + 1. */
void driver_log_prune(struct driver_log *log, uint64_t first);
/* Entries up to `index` are applied and durable. Never goes back. */
void driver_log_settle(struct driver_log *log, uint64_t index);

/* An entry of the log with one reference for the caller. NULL when it should be on disk and is not there. */
struct entry *driver_log_get(struct driver_log *log, uint64_t index);

#endif
