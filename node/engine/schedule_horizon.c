/* Rendering the shifts of schedules for a later horizon. */
#include "node/engine/schedule_horizon.h"

#include <stdlib.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/oncall/render.h"
#include "node/calendar/calendar_shifts.h"
#include "node/host/zones.h"
#include "node/log.h"

#define RENDERED_EVERY_MS (24ull * 3600 * 1000)
/* The command is applied before its shifts begin: what has been is never changed. */
#define AHEAD_MS 60000u

static void *must(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

/* A later stretch of the layers that are calendars, in the schedule as it was read, too: it is rendered from there. */
static void lay_calendars_out(const Tocsin__Schedule *schedule, const struct zone *zone, uint64_t now_ms, uint64_t until_ms,
                              Tocsin__ScheduleExtend *extend, Tocsin__Schedule *rendered)
{
    struct calendar_zones zones = {.own = zone, .load = zones_load};
    extend->calendars = must(calloc(schedule->n_layers + 1, sizeof(Tocsin__CalendarShifts *)));
    *rendered = *schedule;
    rendered->layers = must(calloc(schedule->n_layers + 1, sizeof(Tocsin__ScheduleLayer *)));
    for (size_t i = 0; i < schedule->n_layers; i++) {
        Tocsin__ScheduleLayer *layer = rendered->layers[i] = must(malloc(sizeof *layer));
        *layer = *schedule->layers[i];
        size_t count = 0;
        Tocsin__FixedShift **fixed =
            layer->n_calendar > 0 ? calendar_shifts(layer, &zones, now_ms - SCHEDULE_RENDER_BEFORE_MS, until_ms, &count) : NULL;
        if (fixed == NULL) {
            continue;
        }
        Tocsin__CalendarShifts *calendar = extend->calendars[extend->n_calendars++] = must(malloc(sizeof *calendar));
        tocsin__calendar_shifts__init(calendar);
        calendar->layer_id = layer->id;
        calendar->fixed = layer->fixed = fixed;
        calendar->n_fixed = layer->n_fixed = count;
    }
    calendar_zones_free(&zones);
}

static bool extend_one(const Tocsin__Schedule *schedule, uint64_t now_ms, Tocsin__ScheduleExtend *extend)
{
    struct zone *zone = zones_load(schedule->time_zone);
    if (zone == NULL) {
        log_error("a schedule's time zone is not installed on this node: %s", schedule->time_zone);
        return false;
    }
    uint64_t since_ms = now_ms - now_ms % 1000 + AHEAD_MS, until_ms = since_ms + SCHEDULE_HORIZON_MS;
    struct shifts shifts = {0};
    Tocsin__Schedule rendered;
    *extend = (Tocsin__ScheduleExtend)TOCSIN__SCHEDULE_EXTEND__INIT;
    lay_calendars_out(schedule, zone, now_ms, until_ms, extend, &rendered);
    render_layers(&rendered, zone, since_ms, until_ms, &shifts);
    struct span rows = shifts_to_rows(&shifts, since_ms, until_ms);
    for (size_t i = 0; i < rendered.n_layers; i++) {
        free(rendered.layers[i]);
    }
    free(rendered.layers);
    extend->schedule_id = schedule->id;
    extend->revision = schedule->revision;
    extend->shifts.data = (uint8_t *)(uintptr_t)rows.data;
    extend->shifts.len = rows.size_bytes;
    shifts_free(&shifts);
    zone_free(zone);
    return true;
}

bool schedule_horizon_next(const struct machine_store *view, uint64_t now_ms, uint64_t *schedule_id,
                           Tocsin__ScheduleExtend *extend)
{
    struct walk walk = walk_all(view, TABLE_SCHEDULE);
    if (*schedule_id != 0) {
        walk.started = true;
        walk.position = key_1(*schedule_id);
    }
    while (walk_next(&walk)) {
        Tocsin__Schedule *schedule = record_unpack(&tocsin__schedule__descriptor, walk.value, NULL);
        bool due = schedule != NULL && now_ms >= schedule->extended_at_ms + RENDERED_EVERY_MS;
        bool made = due && extend_one(schedule, now_ms, extend);
        tocsin__schedule__free_unpacked(schedule, NULL);
        if (made) {
            *schedule_id = span_number(walk.key, 0);
            return true;
        }
    }
    return false;
}

void schedule_horizon_free(Tocsin__ScheduleExtend *extend)
{
    for (size_t i = 0; i < extend->n_calendars; i++) {
        free(extend->calendars[i]->fixed);
        free(extend->calendars[i]);
    }
    free(extend->calendars);
    free(extend->shifts.data);
}
