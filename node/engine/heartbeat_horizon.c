/* Computing the moments of heartbeats' schedules for a later horizon. */
#include "node/engine/heartbeat_horizon.h"

#include <stdlib.h>

#include "consensus/machine/limits.h"
#include "node/cron/cron.h"
#include "node/host/zones.h"
#include "node/log.h"

static bool extend_one(const Tocsin__Heartbeat *heartbeat, uint64_t now_ms, Tocsin__HeartbeatExtend *extend)
{
    char sentence[CRON_SENTENCE_SIZE_BYTES] = "";
    struct cron cron;
    bool known = cron_parse(heartbeat->schedule, &cron, sentence);
    struct zone *zone = known ? zones_load(heartbeat->time_zone) : NULL;
    if (zone == NULL) {
        log_error("the moments of a heartbeat's schedule cannot be computed: %s",
                  known ? "its time zone is not installed on this node" : sentence);
        return false;
    }
    uint64_t since_s = (now_ms - HEARTBEAT_MOMENTS_BEFORE_MS) / 1000;
    uint64_t *moments_s = malloc(LIMIT_HEARTBEAT_MOMENTS * sizeof *moments_s);
    if (moments_s == NULL) {
        abort();
    }
    *extend = (Tocsin__HeartbeatExtend)TOCSIN__HEARTBEAT_EXTEND__INIT;
    extend->heartbeat_id = heartbeat->id;
    extend->moments_s = moments_s;
    extend->n_moments_s = cron_next(&cron, zone, (int64_t)since_s, (int64_t)((now_ms + HEARTBEAT_MOMENTS_HORIZON_MS) / 1000),
                                    moments_s, LIMIT_HEARTBEAT_MOMENTS);
    zone_free(zone);
    return true;
}

/* A year's worth of a rare schedule is few moments: only the day counts for those. */
static bool is_due(const Tocsin__HeartbeatMoments *moments, uint64_t now_ms)
{
    size_t count = moments->n_moments_s;
    return now_ms >= moments->rendered_at_ms + HEARTBEAT_MOMENTS_EVERY_MS ||
           (count == LIMIT_HEARTBEAT_MOMENTS && now_ms >= moments->moments_s[count / 2] * 1000);
}

static bool look_at(const struct machine_store *view, struct walk *walk, uint64_t now_ms, Tocsin__HeartbeatExtend *extend)
{
    Tocsin__HeartbeatMoments *moments = record_unpack(&tocsin__heartbeat_moments__descriptor, walk->value, NULL);
    bool made = false;
    if (moments != NULL && is_due(moments, now_ms)) {
        Tocsin__Heartbeat *heartbeat = heartbeat_get(view, span_number(walk->key, 0), NULL);
        made = heartbeat != NULL && extend_one(heartbeat, now_ms, extend);
        if (made) {
            extend->base_revision = moments->revision;
        }
        tocsin__heartbeat__free_unpacked(heartbeat, NULL);
    }
    tocsin__heartbeat_moments__free_unpacked(moments, NULL);
    return made;
}

bool heartbeat_horizon_next(const struct machine_store *view, uint64_t now_ms, unsigned *looks, uint64_t *heartbeat_id,
                            Tocsin__HeartbeatExtend *extend)
{
    struct walk walk = walk_all(view, TABLE_HEARTBEAT_MOMENTS);
    if (*heartbeat_id != 0) {
        walk.started = true;
        walk.position = key_1(*heartbeat_id);
    }
    while (*looks > 0) {
        if (!walk_next(&walk)) {
            *heartbeat_id = 0;
            return false;
        }
        (*looks)--;
        *heartbeat_id = span_number(walk.key, 0);
        if (look_at(view, &walk, now_ms, extend)) {
            return true;
        }
    }
    return false;
}
