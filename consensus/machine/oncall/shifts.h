/* Lists of shifts: spans of time with who is on call, ordered, none overlapping another; between two of them nobody is.
 */
#ifndef CONSENSUS_MACHINE_ONCALL_SHIFTS_H
#define CONSENSUS_MACHINE_ONCALL_SHIFTS_H

#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/base/span.h"

struct shift {
    uint64_t start_ms, end_ms; /* [start, end) */
    uint64_t user_id;
};

/* Begins as {0}; the caller frees it with shifts_free. */
struct shifts {
    struct shift *list;
    size_t count, capacity;
};

void shifts_free(struct shifts *shifts);

/* Adds one behind all others; what is empty is left out, what goes on with the same person is joined. */
void shifts_add(struct shifts *shifts, struct shift shift);

/* Whoever is on call in `above` is; otherwise whoever is in `below`. Appends to `out`. */
void shifts_overlay(const struct shifts *below, const struct shifts *above, struct shifts *out);

/* Only what lies within [since, until). */
void shifts_clip(struct shifts *shifts, uint64_t since_ms, uint64_t until_ms);

/* How long somebody is on call in all. */
uint64_t shifts_covered_ms(const struct shifts *shifts);

/*
 * The rows of consensus/machine/schedules/shift_rows.h for [since, until): from `since` on, if need be with nobody. Reaches less
 * far when it would take more than LIMIT_SHIFTS_PER_SCHEDULE rows. Malloc'ed; the caller frees data.
 */
struct span shifts_to_rows(const struct shifts *shifts, uint64_t since_ms, uint64_t until_ms);
/* Appends what rows say of [since, until). */
void shifts_add_rows(struct shifts *shifts, struct span rows, uint64_t since_ms, uint64_t until_ms);

#endif
