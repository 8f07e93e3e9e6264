/*
 * When an event of a calendar recurs (RFC 5545, 3.3.10), in spans of UTC.
 *
 *     day after day: in the interval? ── one of its months, days of the month, days of the week? ── which of its month's? ──> a span
 *
 * A day is judged by itself, so that a rule without COUNT is laid out from any day on, however long ago it began.
 */
#ifndef NODE_CALENDAR_RECURRENCE_H
#define NODE_CALENDAR_RECURRENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/oncall/zone.h"
#include "consensus/machine/schema/schema.pb-c.h"

/* Days that the rules of one calendar may be walked along: a year for each of its most events, and then some for those that count
 * from long ago. */
#define RECURRENCE_DAYS_MAX 1000000u

struct occurrence {
    uint64_t start_ms, end_ms;
    uint32_t rule; /* its number */
};

/* Begins as {.since_ms, .until_ms, .days_left = RECURRENCE_DAYS_MAX, .count_max}; `list` is freed by the caller. */
struct occurrences {
    uint64_t since_ms, until_ms;
    uint32_t days_left, count_max;
    struct occurrence *list;
    size_t count, capacity;
};

/* Whether the rule can be laid out at all: bounds of its numbers, and what is supported of RFC 5545. NULL, or why not, in one
 * sentence. */
const char *recurrence_refusal(const Tocsin__CalendarRule *rule);

/*
 * Adds the rule's spans that end after `since_ms` and begin before `until_ms`, in their order, as those of `number`; the rule is not
 * refused. At most count_max + 1 are in the list: the last one says that there are more. `zone` is that of its times, NULL for UTC.
 * *over: nothing of it comes at or after since_ms, however late. False: too many days were walked along.
 */
bool recurrence_lay_out(const Tocsin__CalendarRule *rule, uint32_t number, const struct zone *zone, struct occurrences *out,
                        bool *over);

#endif
