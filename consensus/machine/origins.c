/* Which commands of which node have been applied already. */
#include "consensus/machine/origins.h"

#include <string.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/records.h"

#define SEEN_SIZE_BYTES (LIMIT_ORIGIN_WINDOW / 8)

_Static_assert((LIMIT_ORIGIN_WINDOW & (LIMIT_ORIGIN_WINDOW - 1)) == 0, "a bit's place must go on when sequences wrap");

static void *take(const struct origins *origins, size_t size_bytes)
{
    return origins->allocator->alloc(origins->allocator->allocator_data, size_bytes);
}

static struct origin_window window_load(const struct origins *origins, uint64_t node)
{
    struct origin_window window = {.node = node, .seen = take(origins, SEEN_SIZE_BYTES)};
    memset(window.seen, 0, SEEN_SIZE_BYTES);
    Tocsin__OriginWindow *row = record_get(origins->store, TABLE_ORIGIN, key_1(node),
                                           &tocsin__origin_window__descriptor, origins->allocator);
    if (row != NULL) {
        window.boot = row->boot;
        window.highest = row->highest;
        size_t size_bytes = row->seen.len < SEEN_SIZE_BYTES ? row->seen.len : SEEN_SIZE_BYTES;
        if (size_bytes > 0) {
            memcpy(window.seen, row->seen.data, size_bytes);
        }
    }
    return window;
}

static struct origin_window *window_of(struct origins *origins, uint64_t node)
{
    if (origins->last != NULL && origins->last->node == node) {
        return origins->last;
    }
    for (size_t i = 0; i < origins->count; i++) {
        if (origins->windows[i].node == node) {
            return origins->last = &origins->windows[i];
        }
    }
    if (origins->count == origins->capacity) {
        size_t capacity = origins->capacity == 0 ? 8 : origins->capacity * 2;
        struct origin_window *windows = take(origins, capacity * sizeof *windows);
        if (origins->count > 0) {
            memcpy(windows, origins->windows, origins->count * sizeof *windows);
        }
        origins->windows = windows;
        origins->capacity = capacity;
    }
    origins->windows[origins->count] = window_load(origins, node);
    return origins->last = &origins->windows[origins->count++];
}

static bool bit_get(const struct origin_window *window, uint64_t sequence)
{
    uint64_t bit = sequence % LIMIT_ORIGIN_WINDOW;
    return (window->seen[bit / 8] >> (bit % 8) & 1) != 0;
}

static void bit_set(struct origin_window *window, uint64_t sequence, bool value)
{
    uint64_t bit = sequence % LIMIT_ORIGIN_WINDOW;
    uint8_t mask = (uint8_t)(1u << (bit % 8));
    window->seen[bit / 8] = value ? window->seen[bit / 8] | mask : window->seen[bit / 8] & (uint8_t)~mask;
}

/* The window moves up to `sequence`: the bits of the sequences passed over still say what was seen a window ago. */
static void move_up(struct origin_window *window, uint64_t sequence)
{
    if (sequence - window->highest >= LIMIT_ORIGIN_WINDOW) {
        memset(window->seen, 0, SEEN_SIZE_BYTES);
    } else {
        for (uint64_t passed = window->highest + 1; passed < sequence; passed++) {
            bit_set(window, passed, false);
        }
    }
    window->highest = sequence;
}

bool origins_admit(struct origins *origins, const Tocsin__Origin *origin)
{
    struct origin_window *window = window_of(origins, origin->node);
    if (origin->boot < window->boot) {
        return false;
    }
    if (origin->boot > window->boot) {
        window->boot = origin->boot;
        window->highest = 0;
        memset(window->seen, 0, SEEN_SIZE_BYTES);
    }
    uint64_t sequence = origin->sequence;
    if (sequence > window->highest) {
        move_up(window, sequence);
    } else if (window->highest - sequence >= LIMIT_ORIGIN_WINDOW || bit_get(window, sequence)) {
        return false;
    }
    bit_set(window, sequence, true);
    window->changed = true;
    return true;
}

void origins_store(struct origins *origins)
{
    for (size_t i = 0; i < origins->count; i++) {
        struct origin_window *window = &origins->windows[i];
        if (!window->changed) {
            continue;
        }
        Tocsin__OriginWindow row;
        tocsin__origin_window__init(&row);
        row.boot = window->boot;
        row.highest = window->highest;
        row.seen = (ProtobufCBinaryData){.len = SEEN_SIZE_BYTES, .data = window->seen};
        record_put(origins->store, TABLE_ORIGIN, key_1(window->node), &row.base);
        window->changed = false;
    }
}
