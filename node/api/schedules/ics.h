/*
 * iCalendar text as RFC 5545 wants it: lines end with CRLF and are folded at 75 octets, never inside a character; texts
 * are escaped, times are UTC.
 */
#ifndef NODE_API_SCHEDULES_ICS_H
#define NODE_API_SCHEDULES_ICS_H

#include <stddef.h>
#include <stdint.h>

/* Begins as {0}; `text` is malloc'ed and the caller's. */
struct ics {
    char *text;
    size_t size_bytes, capacity;
};

/* The head of a calendar that is published; `name` is shown by calendar programs. */
void ics_begin(struct ics *ics, const char *name);
void ics_end(struct ics *ics);

struct ics_event {
    const char *uid; /* the same for the same event, as often as it is fetched */
    const char *summary, *description;
    uint64_t start_ms, end_ms;
    uint64_t changed_ms; /* when what it is made from was last changed */
};
void ics_add(struct ics *ics, const struct ics_event *event);

#endif
