/*
 * Who is on call when, as it is kept: rows of 16 bytes, ordered, each from its moment to that of the next one.
 *
 *     from, in milliseconds (8 bytes, big-endian) | user, 0 for nobody (8 bytes)
 *
 * The last row has nobody: it says how far the rows reach. Looked up in place, without unpacking.
 */
#ifndef CONSENSUS_MACHINE_SCHEDULES_SHIFT_ROWS_H
#define CONSENSUS_MACHINE_SCHEDULES_SHIFT_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/base/span.h"

#define SHIFT_ROW_SIZE_BYTES 16u

struct shift_row {
    uint64_t from_ms;
    uint64_t user_id;
};

size_t shift_rows_count(struct span rows);
struct shift_row shift_rows_at(struct span rows, size_t i);
void shift_rows_write(struct shift_row row, uint8_t bytes[SHIFT_ROW_SIZE_BYTES]);

/* At least two rows, at most LIMIT_SHIFTS_PER_SCHEDULE, each later than the one before, the last with nobody. */
bool shift_rows_valid(struct span rows);

/* How many rows begin at or before the moment: the row in force is the one before that number. */
size_t shift_rows_until(struct span rows, uint64_t at_ms);

#endif
