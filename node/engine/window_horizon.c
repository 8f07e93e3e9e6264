/* Rendering the spans of maintenance windows for a later horizon. */
#include "node/engine/window_horizon.h"

#include <stdlib.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/oncall/window_spans.h"
#include "node/host/zones.h"
#include "node/log.h"

/* The pointers and what they point to are one piece of memory. */
static bool extend_one(const Tocsin__MaintenanceWindow *window, uint64_t now_ms, Tocsin__MaintenanceWindowExtend *extend)
{
    struct zone *zone = zones_load(window->recurrence->time_zone);
    if (zone == NULL) {
        log_error("the time zone of a maintenance window is not installed on this node: %s", window->recurrence->time_zone);
        return false;
    }
    size_t list_size_bytes = LIMIT_SPANS_PER_WINDOW * sizeof(Tocsin__WindowSpan *);
    char *memory = malloc(list_size_bytes + LIMIT_SPANS_PER_WINDOW * sizeof(Tocsin__WindowSpan));
    if (memory == NULL) {
        abort();
    }
    Tocsin__WindowSpan *spans = (Tocsin__WindowSpan *)(void *)(memory + list_size_bytes);
    *extend = (Tocsin__MaintenanceWindowExtend)TOCSIN__MAINTENANCE_WINDOW_EXTEND__INIT;
    extend->id = window->id;
    extend->revision = window->revision;
    extend->spans = (Tocsin__WindowSpan **)(void *)memory;
    extend->n_spans = window_spans(window, zone, now_ms, now_ms + MAINTENANCE_HORIZON_MS, spans, LIMIT_SPANS_PER_WINDOW);
    for (size_t i = 0; i < extend->n_spans; i++) {
        extend->spans[i] = &spans[i];
    }
    zone_free(zone);
    return true;
}

static bool look_at(const struct walk *walk, uint64_t now_ms, Tocsin__MaintenanceWindowExtend *extend)
{
    Tocsin__MaintenanceWindow *window = record_unpack(&tocsin__maintenance_window__descriptor, walk->value, NULL);
    bool due = window != NULL && window->recurrence != NULL && window->n_spans > 0 &&
               now_ms >= window->extended_at_ms + MAINTENANCE_RENDERED_EVERY_MS;
    bool made = due && extend_one(window, now_ms, extend);
    tocsin__maintenance_window__free_unpacked(window, NULL);
    return made;
}

bool window_horizon_next(const struct machine_store *view, uint64_t now_ms, unsigned *looks, uint64_t *window_id,
                         Tocsin__MaintenanceWindowExtend *extend)
{
    struct walk walk = walk_all(view, TABLE_MAINTENANCE);
    if (*window_id != 0) {
        walk.started = true;
        walk.position = key_1(*window_id);
    }
    while (*looks > 0) {
        if (!walk_next(&walk)) {
            *window_id = 0;
            return false;
        }
        (*looks)--;
        *window_id = span_number(walk.key, 0);
        if (look_at(&walk, now_ms, extend)) {
            return true;
        }
    }
    return false;
}
