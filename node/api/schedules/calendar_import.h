/*
 * Calendars from outside: iCalendar text (RFC 5545) to spans of time with somebody's name or address.
 *
 *     VEVENT: DTSTART, DTEND or DURATION, RRULE ──> a rule each ──> occurrences within the window, by our own zones ──> in order
 *
 * Understood: times in UTC, in a named zone of the system, without zone (the schedule's), and whole days; RRULE with FREQ
 * DAILY, WEEKLY, MONTHLY or YEARLY, INTERVAL, COUNT, UNTIL, BYDAY (with numbers for months and years), BYMONTHDAY, BYMONTH,
 * BYSETPOS within a month, WKST; EXDATE. Events that are cancelled as a whole are left out. Anything else that would change
 * when somebody is on call is refused: RDATE, RECURRENCE-ID (cancelled or not), EXRULE, other rules, overlaps.
 */
#ifndef NODE_API_SCHEDULES_CALENDAR_IMPORT_H
#define NODE_API_SCHEDULES_CALENDAR_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/base/span.h"
#include "consensus/machine/oncall/zone.h"
#include "node/calendar/calendar_shifts.h"

#define CALENDAR_WORDS_SIZE 256

struct calendar_event {
    Tocsin__CalendarRule rule; /* without its person */
    /* Whose it is: the first attendee's address, "" when there is none, and the summary. Of the calendar's. */
    const char *address, *summary;
};

/* Begins as {0}. */
struct calendar {
    struct calendar_event *events; /* those that have something ahead, within the window or later */
    size_t count, capacity;
    struct occurrences shifts; /* within the window, in order, none overlapping another; each has the number of its event */
    void **pieces;             /* what events point to */
    size_t pieces_count;
    char error[CALENDAR_WORDS_SIZE]; /* a sentence, when it was refused */
};

/* Events that reach into [since, until), or will later. `zone` is for times without one; `zones` loads others, NULL for none.
 * False: refused, and `error` says why. */
bool calendar_parse(struct calendar *calendar, struct span text, const struct zone *zone,
                    struct zone *(*zones)(const char *name), uint64_t since_ms, uint64_t until_ms);
void calendar_free(struct calendar *calendar);

#endif
