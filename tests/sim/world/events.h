/*
 * What happens when: calls to come, in the order of their times, and of one time in the order in which they were set.
 *
 *     now                       now + EVENTS_NEAR_MS
 *      │  a list for each millisecond  │  a heap
 *      ├─┬─┬─┬─┬─┬─┬─┬─┬─┬─┬─┬─┬─┬─┬─┬─┤
 *      │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ │ │  what lies further away, until the lists have run empty
 *
 * Nearly everything that is set is near, so that setting and taking cost the same however much is to come.
 */
#ifndef TESTS_SIM_WORLD_EVENTS_H
#define TESTS_SIM_WORLD_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENTS_NEAR_MS 4096u /* the raft's and the providers' delays; a multiple of 64 */

struct event {
    uint64_t time_ms, order;
    void (*run)(void *context);
    void *context;
};

struct event_place {
    struct event event;
    struct event_place *next;
};

struct events {
    uint64_t near_ms;  /* the lists hold what comes from here on, for EVENTS_NEAR_MS */
    uint64_t taken_ms; /* nothing is left before this */
    struct {
        struct event_place *first, *last;
    } lists[EVENTS_NEAR_MS];                   /* by time modulo their number */
    uint64_t occupied[EVENTS_NEAR_MS / 64];    /* a bit for each list: it is not empty */
    struct event *heap;                        /* what lies beyond */
    size_t heap_count, heap_capacity;
    uint64_t order;
    struct event_place *unused;
};

/* All zeros is empty, and begins at time 0. Without memory the process ends. */
void events_close(struct events *events);

/* `time_ms` is not before that of the event that was taken last. */
void events_add(struct events *events, uint64_t time_ms, void (*run)(void *context), void *context);

/* True with the next event, and it is gone from here; false when none comes at `until_ms` or before. */
bool events_take(struct events *events, uint64_t until_ms, struct event *event);

#endif
