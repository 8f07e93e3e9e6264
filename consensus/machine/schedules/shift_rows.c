/* Rows of shifts. */
#include "consensus/machine/schedules/shift_rows.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#include "consensus/machine/limits.h"

size_t shift_rows_count(struct span rows)
{
    return rows.size_bytes / SHIFT_ROW_SIZE_BYTES;
}

struct shift_row shift_rows_at(struct span rows, size_t i)
{
    uint64_t parts[2];
    assert(i < shift_rows_count(rows));
    memcpy(parts, (const uint8_t *)rows.data + i * SHIFT_ROW_SIZE_BYTES, sizeof parts);
    return (struct shift_row){.from_ms = be64toh(parts[0]), .user_id = be64toh(parts[1])};
}

void shift_rows_write(struct shift_row row, uint8_t bytes[SHIFT_ROW_SIZE_BYTES])
{
    uint64_t parts[2] = {htobe64(row.from_ms), htobe64(row.user_id)};
    memcpy(bytes, parts, sizeof parts);
}

bool shift_rows_valid(struct span rows)
{
    size_t count = shift_rows_count(rows);
    if (count < 2 || count > LIMIT_SHIFTS_PER_SCHEDULE || rows.size_bytes % SHIFT_ROW_SIZE_BYTES != 0) {
        return false;
    }
    for (size_t i = 1; i < count; i++) {
        if (shift_rows_at(rows, i).from_ms <= shift_rows_at(rows, i - 1).from_ms) {
            return false;
        }
    }
    return shift_rows_at(rows, count - 1).user_id == 0;
}

size_t shift_rows_until(struct span rows, uint64_t at_ms)
{
    size_t low = 0, high = shift_rows_count(rows);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (shift_rows_at(rows, middle).from_ms <= at_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}
