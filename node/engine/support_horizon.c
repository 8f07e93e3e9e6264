/* Rendering support hours for a later horizon. */
#include "node/engine/support_horizon.h"

#include "consensus/machine/limits.h"
#include "consensus/machine/oncall/support_spans.h"
#include "node/host/zones.h"
#include "node/log.h"

static bool extend_one(const Tocsin__Service *service, uint64_t now_ms, Tocsin__SupportHoursExtend *extend)
{
    struct zone *zone = zones_load(service->support_hours->time_zone);
    if (zone == NULL) {
        log_error("the time zone of a service's support hours is not installed on this node: %s",
                  service->support_hours->time_zone);
        return false;
    }
    uint64_t since_ms = now_ms - now_ms % 1000 - SCHEDULE_RENDER_BEFORE_MS;
    struct span rows = support_spans(service->support_hours, zone, since_ms, now_ms + SUPPORT_HORIZON_MS);
    *extend = (Tocsin__SupportHoursExtend)TOCSIN__SUPPORT_HOURS_EXTEND__INIT;
    extend->service_id = service->id;
    extend->base_rendered_at_ms = service->support_rendered_at_ms;
    extend->spans.data = (uint8_t *)(uintptr_t)rows.data;
    extend->spans.len = rows.size_bytes;
    zone_free(zone);
    return true;
}

bool support_horizon_next(const struct machine_store *view, uint64_t now_ms, uint64_t *service_id,
                          Tocsin__SupportHoursExtend *extend)
{
    struct walk walk = walk_all(view, TABLE_SUPPORT_HOURS);
    if (*service_id != 0) {
        walk.started = true;
        walk.position = key_1(*service_id);
    }
    while (walk_next(&walk)) {
        Tocsin__Service *service = service_get(view, span_number(walk.key, 0), NULL);
        bool due = service != NULL && service->support_hours != NULL &&
                   now_ms >= service->support_rendered_at_ms + SUPPORT_RENDERED_EVERY_MS;
        bool made = due && extend_one(service, now_ms, extend);
        tocsin__service__free_unpacked(service, NULL);
        if (made) {
            *service_id = span_number(walk.key, 0);
            return true;
        }
    }
    return false;
}
