/* Schedules at the door: parsed here, and their next moments computed, for the machine knows no zones. */
#include "node/api/heartbeats/check_schedule.h"

#include "consensus/machine/limits.h"
#include "node/cron/cron.h"
#include "node/host/zones.h"

#define TIME_ZONE_DEFAULT "UTC"

static void take_moments(const struct field_target *target, uint64_t since_ms, Tocsin__HeartbeatPut *put)
{
    struct http_request *request = target->reader->request;
    const Tocsin__Heartbeat *heartbeat = put->heartbeat;
    char sentence[CRON_SENTENCE_SIZE_BYTES];
    struct cron cron;

    if (!cron_parse(heartbeat->schedule, &cron, sentence)) {
        field_error(target->reader, "%s", sentence);
        return;
    }
    struct zone *zone = zones_load(heartbeat->time_zone);
    if (zone == NULL) {
        field_error(target->reader, "'tz' must be a time zone like Europe/Berlin");
        return;
    }
    put->moments_s = http_alloc(request, LIMIT_HEARTBEAT_MOMENTS * sizeof *put->moments_s);
    put->n_moments_s = cron_next(&cron, zone, (int64_t)(since_ms / 1000),
                                 (int64_t)((since_ms + HEARTBEAT_MOMENTS_HORIZON_MS) / 1000), put->moments_s,
                                 LIMIT_HEARTBEAT_MOMENTS);
    zone_free(zone);
    if (put->n_moments_s == 0) {
        field_error(target->reader, "No moment of the next fifty years fits the schedule");
    }
}

void check_schedule_take(const struct field_target *target, const Tocsin__Heartbeat *known, bool has_timeout,
                         uint64_t since_ms, Tocsin__HeartbeatPut *put)
{
    struct http_request *request = target->reader->request;
    Tocsin__Heartbeat *heartbeat = put->heartbeat;
    const char *schedule = known != NULL ? known->schedule : "", *zone = TIME_ZONE_DEFAULT;
    bool has_schedule = false, has_zone = false;

    if (known != NULL && known->time_zone[0] != '\0') {
        zone = known->time_zone;
    }
    if (!field_string(target->reader, "schedule", CRON_CHARACTERS_MAX, &schedule, &has_schedule) ||
        !field_string(target->reader, "tz", ZONE_NAME_CHARACTERS_MAX, &zone, &has_zone)) {
        return;
    }
    bool by_period = has_timeout && !has_schedule;
    if (!by_period && !has_schedule && !(has_zone && schedule[0] != '\0')) {
        return; /* a zone without a schedule changes nothing */
    }
    heartbeat->schedule = http_strdup(request, by_period ? "" : schedule);
    heartbeat->time_zone = http_strdup(request, by_period ? "" : zone);
    target_mark(target, "schedule");
    target_mark(target, "time_zone");
    if (!by_period) {
        take_moments(target, since_ms, put);
    }
}
