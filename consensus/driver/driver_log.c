/* See driver_log.h. */
#include "consensus/driver/driver_log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_INITIAL 256u

static struct entry **slot(struct driver_log *log, uint64_t index)
{
    return &log->ring[index & (log->capacity - 1)];
}

static void check(const struct driver_log *log)
{
    assert(log->first >= 1);
    assert(log->held >= log->first);
    assert(log->held <= log->last + 1);
    assert(log->settled + 1 >= log->held); /* what is not settled is in memory */
}

static void drop_oldest(struct driver_log *log)
{
    struct entry *entry = *slot(log, log->held);
    if (log->held <= log->settled) {
        assert(log->cached_bytes >= entry->size_bytes);
        log->cached_bytes -= entry->size_bytes;
    }
    entry_unref(entry);
    log->held++;
}

/* The last entry stays: it is what the next follower to answer most likely needs. */
static void evict(struct driver_log *log)
{
    while (log->cached_bytes > log->cache_size_bytes && log->held <= log->settled && log->held < log->last) {
        drop_oldest(log);
    }
}

void driver_log_init(struct driver_log *log, size_t cache_size_bytes,
                     struct entry *(*read)(void *context, uint64_t index), void *context)
{
    memset(log, 0, sizeof *log);
    log->cache_size_bytes = cache_size_bytes;
    log->read = read;
    log->context = context;
    log->first = log->held = 1;
}

void driver_log_close(struct driver_log *log)
{
    while (log->held <= log->last) {
        drop_oldest(log);
    }
    free(log->ring);
    memset(log, 0, sizeof *log);
}

void driver_log_reset(struct driver_log *log, uint64_t first)
{
    assert(first >= 1);
    while (log->held <= log->last) {
        drop_oldest(log);
    }
    log->first = log->held = first;
    log->last = log->settled = first - 1;
    assert(log->cached_bytes == 0);
}

void driver_log_restore(struct driver_log *log, uint64_t first, uint64_t last, uint64_t settled)
{
    assert(last + 1 >= first && settled <= last);
    driver_log_reset(log, first);
    log->last = last;
    log->held = last + 1;
    log->settled = settled;
}

/* Doubles the ring until `count` entries from the first one held fit. */
static void reserve(struct driver_log *log, uint64_t first_held, uint64_t count)
{
    size_t capacity = log->capacity > 0 ? log->capacity : CAPACITY_INITIAL;
    while (capacity < count) {
        capacity *= 2;
    }
    if (capacity == log->capacity) {
        return;
    }
    struct entry **ring = calloc(capacity, sizeof *ring);
    if (ring == NULL) {
        abort(); /* an entry that cannot be held cannot be answered for either */
    }
    for (uint64_t index = first_held; index <= log->last && log->capacity > 0; index++) {
        ring[index & (capacity - 1)] = *slot(log, index);
    }
    free(log->ring);
    log->ring = ring;
    log->capacity = capacity;
}

void driver_log_hold(struct driver_log *log, struct entry *entry)
{
    assert(log->held > log->first);
    reserve(log, log->held, log->last + 2 - log->held);
    log->held--;
    *slot(log, log->held) = entry_ref(entry);
    if (log->held <= log->settled) {
        log->cached_bytes += entry->size_bytes;
    }
}

void driver_log_truncate(struct driver_log *log, uint64_t index)
{
    assert(index > log->settled && index >= log->held);
    while (log->last >= index) {
        entry_unref(*slot(log, log->last));
        log->last--;
    }
    check(log);
}

void driver_log_append(struct driver_log *log, struct entry *entry)
{
    reserve(log, log->held, log->last + 2 - log->held);
    log->last++;
    *slot(log, log->last) = entry_ref(entry);
    check(log);
}

void driver_log_prune(struct driver_log *log, uint64_t first)
{
    assert(first >= log->first && first <= log->last + 1 && first <= log->settled + 1);
    while (log->held < first) {
        drop_oldest(log);
    }
    log->first = first;
    check(log);
}

void driver_log_settle(struct driver_log *log, uint64_t index)
{
    assert(index >= log->settled && index <= log->last);
    while (log->settled < index) {
        log->settled++;
        log->cached_bytes += (*slot(log, log->settled))->size_bytes;
    }
    evict(log);
    check(log);
}

struct entry *driver_log_get(struct driver_log *log, uint64_t index)
{
    assert(index >= log->first && index <= log->last);
    return index >= log->held ? entry_ref(*slot(log, index)) : log->read(log->context, index);
}
