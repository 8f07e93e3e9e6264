/*
 * The course of a schedule.
 *
 * Somebody else can only be on call where a row of shifts begins (of the revision that holds then), an override begins or ends, or a
 * revision begins to hold. These moments are collected and asked one by one; those to come from what was loaded once.
 */
#include "consensus/machine/schedules/course.h"

#include <stdlib.h>
#include <string.h>

#include "consensus/machine/schedules/schedules.h"
#include "consensus/machine/schedules/shift_rows.h"

struct loaded {
    struct apply *apply;
    const Tocsin__Schedule *schedule;
    struct span rows; /* of the revision in force, as far as they matter */
    Tocsin__Override **overrides;
    size_t overrides_count;
};

static int compare_times(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static void rows_load(struct loaded *loaded, uint64_t from_ms, uint64_t until_ms)
{
    const Tocsin__Schedule *schedule = loaded->schedule;
    struct span rows = schedule_shifts(loaded->apply->store, schedule->id, schedule->revision);
    size_t first = shift_rows_until(rows, from_ms), end = shift_rows_until(rows, until_ms);
    first = first > 0 ? first - 1 : 0;
    size_t size_bytes = (end - first) * SHIFT_ROW_SIZE_BYTES;
    uint8_t *bytes = apply_alloc(loaded->apply, size_bytes + 1);
    memcpy(bytes, (const uint8_t *)rows.data + first * SHIFT_ROW_SIZE_BYTES, size_bytes);
    loaded->rows = (struct span){.data = bytes, .size_bytes = size_bytes};
}

static void overrides_load(struct loaded *loaded, uint64_t from_ms)
{
    struct apply *apply = loaded->apply;
    loaded->overrides = apply_alloc(apply, LIMIT_OVERRIDES_PER_SCHEDULE * sizeof(Tocsin__Override *));
    struct walk walk = walk_under_from(apply->store, TABLE_OVERRIDE, loaded->schedule->id, from_ms);
    while (loaded->overrides_count < LIMIT_OVERRIDES_PER_SCHEDULE && walk_next(&walk)) {
        Tocsin__Override *override = record_unpack(&tocsin__override__descriptor, walk.value, apply->arena);
        if (override != NULL) {
            loaded->overrides[loaded->overrides_count++] = override;
        }
    }
}

static uint64_t user_at(const struct loaded *loaded, uint64_t at_ms)
{
    if (at_ms <= loaded->apply->time_ms) {
        return schedule_on_call(loaded->apply->store, loaded->schedule->id, at_ms).user_id;
    }
    const Tocsin__Override *newest = NULL;
    for (size_t i = 0; i < loaded->overrides_count; i++) {
        const Tocsin__Override *override = loaded->overrides[i];
        if (override->start_ms <= at_ms && override->end_ms > at_ms && (newest == NULL || override->id > newest->id)) {
            newest = override;
        }
    }
    if (newest != NULL) {
        return newest->user_id;
    }
    size_t begun = shift_rows_until(loaded->rows, at_ms);
    return begun > 0 ? shift_rows_at(loaded->rows, begun - 1).user_id : 0;
}

struct times {
    struct apply *apply;
    uint64_t *list, from_ms, until_ms;
    size_t count, capacity;
};

static void add_time(struct times *times, uint64_t at_ms)
{
    if (at_ms <= times->from_ms || at_ms > times->until_ms) {
        return;
    }
    if (times->count == times->capacity) {
        times->capacity = times->capacity > 0 ? 2 * times->capacity : 64;
        uint64_t *list = apply_alloc(times->apply, times->capacity * sizeof *list);
        if (times->count > 0) {
            memcpy(list, times->list, times->count * sizeof *list);
        }
        times->list = list;
    }
    times->list[times->count++] = at_ms;
}

/* While an earlier revision was in force its rows said who takes over when. */
static void add_rows(struct times *times, struct span rows, uint64_t held_from_ms, uint64_t held_until_ms)
{
    uint64_t from_ms = held_from_ms > times->from_ms ? held_from_ms : times->from_ms;
    uint64_t until_ms = held_until_ms < times->until_ms ? held_until_ms : times->until_ms;
    for (size_t i = shift_rows_until(rows, from_ms), end = shift_rows_until(rows, until_ms); i < end; i++) {
        add_time(times, shift_rows_at(rows, i).from_ms);
    }
}

static void collect_times(const struct loaded *loaded, struct times *times)
{
    struct apply *apply = loaded->apply;
    struct walk walk = walk_under_backward(apply->store, TABLE_SCHEDULE_REVISION, loaded->schedule->id);
    size_t revisions = 0;
    uint64_t held_from_ms = UINT64_MAX;
    for (size_t i = 0; i < loaded->overrides_count; i++) {
        add_time(times, loaded->overrides[i]->start_ms);
        add_time(times, loaded->overrides[i]->end_ms);
    }
    while (revisions++ < LIMIT_REVISIONS_PER_SCHEDULE && held_from_ms > times->from_ms && walk_next(&walk)) {
        uint64_t held_until_ms = held_from_ms;
        held_from_ms = span_number(walk.key, 1);
        add_time(times, held_from_ms);
        add_rows(times, schedule_shifts(apply->store, loaded->schedule->id, (uint32_t)span_number(walk.key, 2)), held_from_ms, held_until_ms);
    }
    if (times->count > 0) {
        qsort(times->list, times->count, sizeof *times->list, compare_times);
    }
}

struct course course_of(struct apply *apply, const Tocsin__Schedule *schedule, uint64_t from_ms, uint64_t until_ms)
{
    struct loaded loaded = {.apply = apply, .schedule = schedule};
    struct times times = {.apply = apply, .from_ms = from_ms, .until_ms = until_ms};
    rows_load(&loaded, from_ms, until_ms);
    overrides_load(&loaded, from_ms);
    collect_times(&loaded, &times);
    struct course course = {.steps = apply_alloc(apply, (times.count + 1) * sizeof *course.steps), .count = 1};
    course.steps[0] = (struct course_step){from_ms, user_at(&loaded, from_ms)};
    for (size_t i = 0; i < times.count; i++) {
        uint64_t user_id = user_at(&loaded, times.list[i]);
        if (user_id != course.steps[course.count - 1].user_id) {
            course.steps[course.count++] = (struct course_step){times.list[i], user_id};
        }
    }
    return course;
}
