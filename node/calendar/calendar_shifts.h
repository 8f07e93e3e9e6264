/* The shifts that the events of a calendar layer make, laid out for a span of time. */
#ifndef NODE_CALENDAR_CALENDAR_SHIFTS_H
#define NODE_CALENDAR_CALENDAR_SHIFTS_H

#include "consensus/machine/schema/schema.pb-c.h"
#include "node/calendar/recurrence.h"

/* Zones of the events of one calendar; begins as {.own, .load}. */
#define CALENDAR_ZONES_MAX 32u
#define CALENDAR_ZONE_UTC "UTC"
struct calendar_zones {
    const struct zone *own;                  /* the schedule's, for times without one */
    struct zone *(*load)(const char *name);  /* the others; NULL: there are none */
    struct {
        char name[ZONE_NAME_CHARACTERS_MAX + 1];
        struct zone *zone;
    } list[CALENDAR_ZONES_MAX];
    size_t count;
};

/* The zone of that name ("": the own one), NULL for UTC. False: it is not known, or there are too many. */
bool calendar_zone_find(struct calendar_zones *zones, const char *name, const struct zone **zone);
void calendar_zones_free(struct calendar_zones *zones);

/*
 * The layer's shifts, in order and at most LIMIT_FIXED_SHIFTS_PER_LAYER; of events that overlap, which only those can that lie
 * further ahead than was seen when the calendar came, the one that began first goes on. Freed by the caller as one piece
 * (free). NULL, with *count 0: there are none, or a zone is not known here.
 */
Tocsin__FixedShift **calendar_shifts(const Tocsin__ScheduleLayer *layer, struct calendar_zones *zones, uint64_t since_ms,
                                     uint64_t until_ms, size_t *count);

#endif
