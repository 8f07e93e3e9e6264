/* Lists of shifts. */
#include "consensus/machine/oncall/shifts.h"

#include <assert.h>
#include <stdlib.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/schedules/shift_rows.h"

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void shifts_free(struct shifts *shifts)
{
    free(shifts->list);
    *shifts = (struct shifts){0};
}

void shifts_add(struct shifts *shifts, struct shift shift)
{
    if (shift.start_ms >= shift.end_ms) {
        return;
    }
    struct shift *last = shifts->count > 0 ? &shifts->list[shifts->count - 1] : NULL;
    assert(last == NULL || last->end_ms <= shift.start_ms);
    if (last != NULL && last->end_ms == shift.start_ms && last->user_id == shift.user_id) {
        last->end_ms = shift.end_ms;
        return;
    }
    if (shifts->count == shifts->capacity) {
        shifts->capacity = shifts->capacity > 0 ? shifts->capacity * 2 : 64;
        shifts->list = realloc(shifts->list, shifts->capacity * sizeof *shifts->list);
        if (shifts->list == NULL) {
            abort();
        }
    }
    shifts->list[shifts->count++] = shift;
}

void shifts_overlay(const struct shifts *below, const struct shifts *above, struct shifts *out)
{
    size_t b = 0;
    uint64_t done_ms = 0; /* what lies before is decided */
    for (size_t a = 0; a <= above->count; a++) {
        uint64_t gap_end_ms = a < above->count ? above->list[a].start_ms : UINT64_MAX;
        /* The gap before this shift shows what lies below; the last shift in it may reach on. */
        while (b < below->count && below->list[b].start_ms < gap_end_ms) {
            struct shift shift = below->list[b];
            shift.start_ms = later(shift.start_ms, done_ms);
            shift.end_ms = sooner(shift.end_ms, gap_end_ms);
            shifts_add(out, shift);
            if (below->list[b].end_ms > gap_end_ms) {
                break;
            }
            b++;
        }
        if (a < above->count) {
            shifts_add(out, above->list[a]);
            done_ms = above->list[a].end_ms;
        }
    }
}

void shifts_clip(struct shifts *shifts, uint64_t since_ms, uint64_t until_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < shifts->count; i++) {
        struct shift shift = shifts->list[i];
        shift.start_ms = later(shift.start_ms, since_ms);
        shift.end_ms = sooner(shift.end_ms, until_ms);
        if (shift.start_ms < shift.end_ms) {
            shifts->list[kept++] = shift;
        }
    }
    shifts->count = kept;
}

uint64_t shifts_covered_ms(const struct shifts *shifts)
{
    uint64_t covered_ms = 0;
    for (size_t i = 0; i < shifts->count; i++) {
        covered_ms += shifts->list[i].end_ms - shifts->list[i].start_ms;
    }
    return covered_ms;
}

/* ---------------------------------------------------------------- rows */

struct rows {
    uint8_t *bytes;
    size_t count;
};

/* False when only the last row, which says how far the others reach, has room. */
static bool rows_add(struct rows *rows, uint64_t from_ms, uint64_t user_id)
{
    if (rows->count + 1 >= LIMIT_SHIFTS_PER_SCHEDULE) {
        return false;
    }
    shift_rows_write((struct shift_row){from_ms, user_id}, rows->bytes + rows->count++ * SHIFT_ROW_SIZE_BYTES);
    return true;
}

struct span shifts_to_rows(const struct shifts *shifts, uint64_t since_ms, uint64_t until_ms)
{
    assert(since_ms < until_ms);
    size_t count_max = sooner(2 * shifts->count + 3, LIMIT_SHIFTS_PER_SCHEDULE);
    struct rows rows = {.bytes = malloc(count_max * SHIFT_ROW_SIZE_BYTES)};
    if (rows.bytes == NULL) {
        abort();
    }
    uint64_t reached_ms = since_ms;
    bool room = true;
    for (size_t i = 0; i < shifts->count && room; i++) {
        struct shift shift = shifts->list[i];
        uint64_t start_ms = later(shift.start_ms, since_ms), end_ms = sooner(shift.end_ms, until_ms);
        if (start_ms >= end_ms) {
            continue;
        }
        if (start_ms > reached_ms) {
            room = rows_add(&rows, reached_ms, 0);
            reached_ms = room ? start_ms : reached_ms;
        }
        room = room && rows_add(&rows, start_ms, shift.user_id);
        reached_ms = room ? end_ms : reached_ms;
    }
    if (room && reached_ms < until_ms && rows_add(&rows, reached_ms, 0)) {
        reached_ms = until_ms;
    }
    shift_rows_write((struct shift_row){reached_ms, 0}, rows.bytes + rows.count++ * SHIFT_ROW_SIZE_BYTES);
    assert(rows.count <= count_max);
    return (struct span){.data = rows.bytes, .size_bytes = rows.count * SHIFT_ROW_SIZE_BYTES};
}

void shifts_add_rows(struct shifts *shifts, struct span rows, uint64_t since_ms, uint64_t until_ms)
{
    size_t count = shift_rows_count(rows), first = shift_rows_until(rows, since_ms);
    for (size_t i = first > 0 ? first - 1 : 0; i + 1 < count; i++) {
        struct shift_row row = shift_rows_at(rows, i);
        if (row.from_ms >= until_ms) {
            return;
        }
        if (row.user_id != 0) {
            shifts_add(shifts, (struct shift){.start_ms = later(row.from_ms, since_ms),
                                              .end_ms = sooner(shift_rows_at(rows, i + 1).from_ms, until_ms),
                                              .user_id = row.user_id});
        }
    }
}
