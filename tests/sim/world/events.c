/* What happens when. */
#include "tests/sim/world/events.h"

#include <assert.h>
#include <stdlib.h>

/* ---- near */

static void append(struct events *events, const struct event *event) {
    struct event_place *place = events->unused;
    if (place != NULL) events->unused = place->next;
    else place = malloc(sizeof *place);
    if (place == NULL) abort();
    *place = (struct event_place){.event = *event};
    size_t list = event->time_ms % EVENTS_NEAR_MS;
    if (events->lists[list].first == NULL) events->lists[list].first = place;
    else events->lists[list].last->next = place;
    events->lists[list].last = place;
    events->occupied[list / 64] |= UINT64_C(1) << list % 64;
}

/* The list that comes first; EVENTS_NEAR_MS when all are empty. */
static size_t first_list(const struct events *events) {
    size_t begin = events->taken_ms % EVENTS_NEAR_MS, words = EVENTS_NEAR_MS / 64;
    for (size_t i = 0; i <= words; i++) { /* round; the first word twice: what lies behind the beginning, what lies before it */
        size_t word = (begin / 64 + i) % words;
        uint64_t bits = events->occupied[word], behind = UINT64_MAX << begin % 64;
        if (i == 0) bits &= behind;
        if (i == words) bits &= ~behind;
        if (bits != 0) return word * 64 + (size_t)__builtin_ctzll(bits);
    }
    return EVENTS_NEAR_MS;
}

static struct event take_first(struct events *events, size_t list) {
    struct event_place *place = events->lists[list].first;
    events->lists[list].first = place->next;
    if (place->next == NULL) events->occupied[list / 64] &= ~(UINT64_C(1) << list % 64);
    place->next = events->unused;
    events->unused = place;
    return place->event;
}

/* ---- far */

static bool before(const struct event *a, const struct event *b) {
    return a->time_ms != b->time_ms ? a->time_ms < b->time_ms : a->order < b->order;
}

static void push(struct events *events, const struct event *event) {
    if (events->heap_count == events->heap_capacity) {
        events->heap_capacity = events->heap_capacity ? events->heap_capacity * 2 : 1024;
        events->heap = realloc(events->heap, events->heap_capacity * sizeof *events->heap);
        if (events->heap == NULL) abort();
    }
    size_t at = events->heap_count++;
    while (at > 0 && before(event, &events->heap[(at - 1) / 2])) {
        events->heap[at] = events->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    events->heap[at] = *event;
}

static struct event pop(struct events *events) {
    struct event first = events->heap[0], last = events->heap[--events->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= events->heap_count) break;
        if (child + 1 < events->heap_count && before(&events->heap[child + 1], &events->heap[child])) child++;
        if (!before(&events->heap[child], &last)) break;
        events->heap[at] = events->heap[child];
        at = child;
    }
    if (events->heap_count > 0) events->heap[at] = last;
    return first;
}

/* ---- both */

void events_add(struct events *events, uint64_t time_ms, void (*run)(void *context), void *context) {
    assert(time_ms >= events->taken_ms);
    struct event event = {time_ms, events->order++, run, context};
    if (time_ms - events->near_ms < EVENTS_NEAR_MS) append(events, &event);
    else push(events, &event);
}

bool events_take(struct events *events, uint64_t until_ms, struct event *event) {
    size_t list = first_list(events);
    if (list == EVENTS_NEAR_MS) { /* near begins anew, but not before it has come: something may be set until then */
        if (events->heap_count == 0 || events->heap[0].time_ms > until_ms) return false;
        events->near_ms = events->heap[0].time_ms;
        while (events->heap_count > 0 && events->heap[0].time_ms - events->near_ms < EVENTS_NEAR_MS) {
            struct event near = pop(events);
            append(events, &near);
        }
        list = events->near_ms % EVENTS_NEAR_MS;
    }
    if (events->lists[list].first->event.time_ms > until_ms) return false;
    *event = take_first(events, list);
    events->taken_ms = event->time_ms;
    return true;
}

void events_close(struct events *events) {
    for (size_t list = 0; list < EVENTS_NEAR_MS; list++) {
        while (events->lists[list].first != NULL) take_first(events, list);
    }
    while (events->unused != NULL) {
        struct event_place *place = events->unused;
        events->unused = place->next;
        free(place);
    }
    free(events->heap);
    *events = (struct events){0};
}
