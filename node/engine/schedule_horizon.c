/* Rendering the shifts of schedules for a later horizon. */
#include "node/engine/schedule_horizon.h"

#include "consensus/machine/limits.h"
#include "consensus/machine/oncall/render.h"
#include "node/host/zones.h"
#include "node/log.h"

#define RENDERED_EVERY_MS (24ull * 3600 * 1000)
/* The command is applied before its shifts begin: what has been is never changed. */
#define AHEAD_MS 60000u

static bool extend_one(const Tocsin__Schedule *schedule, uint64_t now_ms, Tocsin__ScheduleExtend *extend)
{
    struct zone *zone = zones_load(schedule->time_zone);
    if (zone == NULL) {
        log_error("a schedule's time zone is not installed on this node: %s", schedule->time_zone);
        return false;
    }
    uint64_t since_ms = now_ms - now_ms % 1000 + AHEAD_MS, until_ms = since_ms + SCHEDULE_HORIZON_MS;
    struct shifts shifts = {0};
    render_layers(schedule, zone, since_ms, until_ms, &shifts);
    struct span rows = shifts_to_rows(&shifts, since_ms, until_ms);
    *extend = (Tocsin__ScheduleExtend)TOCSIN__SCHEDULE_EXTEND__INIT;
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
