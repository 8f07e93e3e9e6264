/*
 * When the cluster was blind: gaps between entries in which no ping could be taken.
 *
 *     tick  tick  tick                              tick  tick
 *     ──┴─────┴─────┴───────────────────────────────┴─────┴──> cluster time
 *                   └──────── one interval ─────────┘
 *
 * Intervals are kept in their order, a bounded number; the oldest two become one, which keeps its blind time.
 */
#include "consensus/machine/heartbeats/heartbeats.h"

#include <inttypes.h>

#include "consensus/machine/checks.h"
#include "consensus/machine/incidents/incidents.h"
#include "consensus/machine/planted.h"

#define TICKS_PER_MINUTE 60u
#define SERVICE_NAME "Tocsin"
/* A job pings a quarter of its grace before or after the expected moment at most, or it is late by its own doing. */
#define PUNCTUALITY 4u

uint64_t tick_interval_ms(const Tocsin__Settings *settings)
{
    uint64_t interval_ms = settings->minute_ms / TICKS_PER_MINUTE;
    return interval_ms > TICK_MS_MIN ? interval_ms : TICK_MS_MIN;
}

static uint64_t long_ms(const struct apply *apply)
{
    return BLIND_LONG_TICKS * tick_interval_ms(apply->settings);
}

static Tocsin__Blindness *blindness(struct apply *apply)
{
    if (apply->blindness == NULL) {
        apply->blindness = blindness_get(apply->store, apply->arena);
    }
    if (apply->blindness == NULL) {
        apply->blindness = apply_alloc(apply, sizeof *apply->blindness);
        tocsin__blindness__init(apply->blindness);
    }
    return apply->blindness;
}

/* ---------------------------------------------------------------- what it means for a heartbeat */

static uint64_t part_since(uint64_t blind_ms, const Tocsin__BlindInterval *interval, uint64_t since_ms)
{
    uint64_t rest_ms = interval->from_ms >= since_ms ? blind_ms : interval->until_ms - since_ms;
    return rest_ms < blind_ms ? rest_ms : blind_ms;
}

uint64_t blindness_outage_end_ms(struct apply *apply, uint64_t from_ms, uint64_t until_ms)
{
    const Tocsin__Blindness *known = blindness(apply);
    for (size_t i = known->n_intervals; i > 0; i--) {
        const Tocsin__BlindInterval *interval = known->intervals[i - 1];
        if (interval->until_ms <= from_ms) {
            break;
        }
        if (interval->long_ms > 0 && interval->from_ms < until_ms) {
            return interval->until_ms;
        }
    }
    return 0;
}

uint64_t blindness_judged_ms(struct apply *apply, uint64_t since_ms, uint64_t period_ms, uint64_t grace_ms)
{
    const Tocsin__Blindness *known = blindness(apply);
    uint64_t short_ms = 0, outage_ms = 0;
    for (size_t i = known->n_intervals; i > 0 && known->intervals[i - 1]->until_ms > since_ms; i--) {
        short_ms += part_since(known->intervals[i - 1]->short_ms, known->intervals[i - 1], since_ms);
        outage_ms += part_since(known->intervals[i - 1]->long_ms, known->intervals[i - 1], since_ms);
    }
    uint64_t judged_ms =
        since_ms + period_ms + grace_ms + outage_ms + (short_ms < grace_ms ? short_ms : grace_ms);
    if (grace_ms >= 2 * period_ms) { /* the credit alone covers a ping that was lost and the next one */
        return judged_ms;
    }
    uint64_t expected_ms = since_ms + period_ms, unpunctual_ms = grace_ms / PUNCTUALITY;
    uint64_t seeing_ms = blindness_outage_end_ms(apply, expected_ms - unpunctual_ms, expected_ms + unpunctual_ms);
    if (seeing_ms == 0) {
        return judged_ms;
    }
    uint64_t periods = (seeing_ms + unpunctual_ms - since_ms + period_ms - 1) / period_ms;
    uint64_t next_ms = since_ms + periods * period_ms + grace_ms;
    return next_ms > judged_ms ? next_ms : judged_ms;
}

/* ---------------------------------------------------------------- telling people */

static void blindness_put(struct apply *apply)
{
    record_put(apply->store, TABLE_META, key_meta(META_BLINDNESS), &apply->blindness->base);
}

/* It begins without escalation policy: then its incidents are the guardians'. */
uint64_t service_of_cluster(struct apply *apply)
{
    Tocsin__Blindness *known = blindness(apply);
    if (known->service_id != 0) {
        return known->service_id;
    }
    Tocsin__Service *service = apply_alloc(apply, sizeof *service);
    tocsin__service__init(service);
    service->id = apply_new_id(apply);
    service->name = apply_strdup(apply, SERVICE_NAME);
    for (unsigned n = 2; index_find(apply, TABLE_SERVICE_BY_NAME, key_hash(service->name)) != 0; n++) {
        service->name = apply_printf(apply, SERVICE_NAME " %u", n);
    }
    service->description = apply_strdup(apply, "What the cluster has to tell of itself.");
    service->urgency = TOCSIN__URGENCY__URGENCY_SEVERITY_BASED; /* what may wait until morning is a warning */
    service->created_at_ms = apply->time_ms;
    service->built_in = true;
    index_put(apply, TABLE_SERVICE_BY_NAME, key_hash(service->name), service->id);
    service_put(apply->store, service);
    known->service_id = service->id;
    blindness_put(apply);
    return service->id;
}

void blindness_page(struct apply *apply, const char *summary)
{
    Tocsin__Event event = TOCSIN__EVENT__INIT;
    event.dedup_key = apply_strdup(apply, "tocsin/blind");
    event.summary = apply_strdup(apply, summary);
    event.source = apply_strdup(apply, "tocsin");
    event.severity = TOCSIN__SEVERITY__SEVERITY_CRITICAL;
    /* Refused only when a million incidents are open: then this is not what people need to hear. */
    Tocsin__Reply reply = TOCSIN__REPLY__INIT;
    uint64_t service_id = service_of_cluster(apply);
    event_of_cluster(apply, &event, service_id, service_id, TOCSIN__WHY__WHY_BLIND, &reply);
    blindness_put(apply); /* the service may be new */
}

static void tell(struct apply *apply, uint64_t blind_ms)
{
    const Tocsin__Blindness *known = blindness(apply);
    const Tocsin__BlindInterval *last = known->n_intervals > 0 ? known->intervals[known->n_intervals - 1] : NULL;
    const char *hidden = last != NULL ? heartbeat_hidden_text(apply, last->from_ms, last->until_ms) : "";
    uint64_t seconds = blind_ms / 1000;
    blindness_page(apply, apply_printf(apply,
                                       "Tocsin was blind for %" PRIu64 " min %" PRIu64 " s: no ping of a heartbeat could "
                                       "be taken, and that time is not counted against any%s",
                                       seconds / 60, seconds % 60, hidden));
}

/* ---------------------------------------------------------------- noticing */

static void merge_oldest(Tocsin__Blindness *known)
{
    Tocsin__BlindInterval *first = known->intervals[0], *second = known->intervals[1];
    second->from_ms = first->from_ms;
    second->short_ms += first->short_ms;
    second->long_ms += first->long_ms;
    known->n_intervals--;
    for (size_t i = 0; i < known->n_intervals; i++) {
        known->intervals[i] = known->intervals[i + 1];
    }
}

static void interval_add(struct apply *apply, uint64_t from_ms, uint64_t until_ms)
{
    Tocsin__Blindness *known = blindness(apply);
    Tocsin__BlindInterval **intervals = apply_alloc(apply, (known->n_intervals + 1) * sizeof *intervals);
    for (size_t i = 0; i < known->n_intervals; i++) {
        intervals[i] = known->intervals[i];
    }
    Tocsin__BlindInterval *interval = apply_alloc(apply, sizeof *interval);
    tocsin__blind_interval__init(interval);
    interval->from_ms = from_ms;
    interval->until_ms = until_ms;
    uint64_t *blind_ms = until_ms - from_ms >= long_ms(apply) ? &interval->long_ms : &interval->short_ms;
    *blind_ms = until_ms - from_ms;
    intervals[known->n_intervals++] = interval;
    known->intervals = intervals;
    if (known->n_intervals > LIMIT_BLIND_INTERVALS) {
        merge_oldest(known);
    }
}

void blindness_look(struct apply *apply, uint64_t last_ms)
{
    uint64_t gap_ms = apply->time_ms - last_ms, tick_ms = tick_interval_ms(apply->settings);
    if (gap_ms <= tick_ms + tick_ms / 2 || !signs_awaited(apply->store) || planted(OWN_DOWNTIME_COUNTED)) {
        return;
    }
    interval_add(apply, last_ms, apply->time_ms);
    if (gap_ms >= apply_minutes_ms(apply, BLIND_PAGE_MINUTES) && gap_ms >= long_ms(apply)) {
        apply->blindness->untold_ms = gap_ms;
    }
    blindness_put(apply);
}

/* A tick is for its time, which blindness_look has seen. */
void apply_tick(struct apply *apply, const Tocsin__Tick *tick, Tocsin__Reply *reply)
{
    (void)tick;
    (void)reply; /* OK, always */
    uint64_t untold_ms = blindness(apply)->untold_ms;
    if (untold_ms != 0) {
        tell(apply, untold_ms);
        apply->blindness->untold_ms = 0;
        blindness_put(apply);
    }
}
