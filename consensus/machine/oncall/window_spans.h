/* Recurring maintenance windows as spans of UTC: the times of day of the first span by the clock on the wall, again. */
#ifndef CONSENSUS_MACHINE_ONCALL_WINDOW_SPANS_H
#define CONSENSUS_MACHINE_ONCALL_WINDOW_SPANS_H

#include "consensus/machine/oncall/zone.h"
#include "consensus/machine/schema/schema.pb-c.h"

/*
 * The window's spans that end after `since_ms` and begin before `until_ms`, in their order; those that touch are one. At most
 * `count_max`, the later ones are left out. The number of them. The window has a recurrence, and its start and end are those
 * of its first span.
 */
size_t window_spans(const Tocsin__MaintenanceWindow *window, const struct zone *zone, uint64_t since_ms, uint64_t until_ms,
                    Tocsin__WindowSpan *spans, size_t count_max);
/* Whether the window recurs on the day of the week on which its first span begins. */
bool window_begins_on_its_day(const Tocsin__MaintenanceWindow *window, const struct zone *zone);
/* 1 Monday to 7 Sunday: the day on which the first span begins. */
uint32_t window_first_day(const Tocsin__MaintenanceWindow *window, const struct zone *zone);

#endif
