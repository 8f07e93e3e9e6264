/*
 * Time zones: from the bytes of a zone file (RFC 9636, "TZif", version 2 or later) to the offset of any moment.
 *
 *     transitions of the file ──> last one ──> those that its footer's rule makes, 400 years of them ──> again the same
 *
 * The Gregorian calendar repeats every 400 years, weekdays included, so that every later moment is answered by the same
 * rows. Pure: whoever has the file reads it. Times are seconds since the Unix epoch; "local" seconds are what a clock
 * on the wall shows, counted as if it were UTC.
 */
#ifndef CONSENSUS_MACHINE_ONCALL_ZONE_H
#define CONSENSUS_MACHINE_ONCALL_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/base/span.h"

/* The largest file of the 2025 database has 3.5 KB; zones with a longer history are not to be expected. */
#define ZONE_FILE_SIZE_BYTES_MAX (128u << 10)
#define ZONE_NAME_CHARACTERS_MAX 64u

struct zone;

/* NULL when the bytes are no valid zone file. */
struct zone *zone_new(struct span file);
void zone_free(struct zone *zone);

/* What to add to UTC at this moment. */
int32_t zone_offset_s(const struct zone *zone, int64_t at_s);

/* What people call it at this moment, "CEST", or "UTC+05:45" where they have no name for it. */
#define ZONE_ABBREVIATION_SIZE 16u
void zone_abbreviation(const struct zone *zone, int64_t at_s, char out[ZONE_ABBREVIATION_SIZE]);

int64_t zone_to_local(const struct zone *zone, int64_t at_s);

/*
 * The moment at which clocks show this. What they show twice is the first time; what they skip is the moment at which
 * they skip it. So a later local time is never an earlier moment.
 */
int64_t zone_from_local(const struct zone *zone, int64_t local_s);

/* True for what may be the name of a zone: letters, digits, "_", "-", "+", and parts separated by single slashes. */
bool zone_name_is_sane(const char *name);

#endif
