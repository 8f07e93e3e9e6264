/*
 * From a schedule's layers to shifts in UTC.
 *
 *     layer: rotation ∩ restrictions ∩ [start, end)  ──┐
 *     layer: ...                                       ├─ each over the one before ──> final schedule
 *     layer: ...                                     ──┘
 *
 * Everything that repeats is counted on the clock on the wall: a hand-off at 09:00 stays at 09:00 when daylight saving
 * begins or ends. A hand-off at a time that clocks show twice is at the first, one at a time that they skip is when
 * they skip it. Pure: same layers, same zone, same span, same shifts.
 */
#ifndef CONSENSUS_MACHINE_ONCALL_RENDER_H
#define CONSENSUS_MACHINE_ONCALL_RENDER_H

#include "consensus/machine/oncall/shifts.h"
#include "consensus/machine/oncall/zone.h"
#include "consensus/machine/schema/schema.pb-c.h"

/* How many shifts all layers have within [since, until) at most: known before they are rendered. */
uint64_t render_count_max(const Tocsin__Schedule *schedule, uint64_t since_ms, uint64_t until_ms);

/* Appends the shifts of one layer within [since, until), as if there were no other. The layer is one that the machine
 * would take: it has people, and its turns and restrictions are within the limits. */
void render_layer(const Tocsin__ScheduleLayer *layer, const struct zone *zone, uint64_t since_ms, uint64_t until_ms,
                  struct shifts *out);

/* Appends the shifts of all layers: where several have somebody, the last one of them does. Without overrides. */
void render_layers(const Tocsin__Schedule *schedule, const struct zone *zone, uint64_t since_ms, uint64_t until_ms,
                   struct shifts *out);

#endif
