/*
 * When the cluster was blind: gaps between entries in which no ping could be taken.
 *
 *     tick  tick  tick                              tick  tick
 *     ──┴─────┴─────┴───────────────────────────────┴─────┴──> cluster time
 *                   └──────── one interval ─────────┘
 *
 * Intervals are kept in their order, a bounded number; the oldest two become one, which keeps its blind time. Times in
 * which one node was cut off are kept beside them: they are the leader's word, in its ticks. Those that last stand in a
 * record of their own, which is small: each tick reads it.
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
/* Outages that come with each occurrence must not hide a dead job. */
#define OCCURRENCES_HIDDEN_MAX 3u

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

static void blindness_put(struct apply *apply)
{
    record_put(apply->store, TABLE_META, key_meta(META_BLINDNESS), &apply->blindness->base);
}

static Tocsin__BlindNow *blind_now(struct apply *apply)
{
    if (apply->blind_now == NULL) {
        apply->blind_now = blind_now_get(apply->store, apply->arena);
    }
    if (apply->blind_now == NULL) {
        apply->blind_now = apply_alloc(apply, sizeof *apply->blind_now);
        tocsin__blind_now__init(apply->blind_now);
    }
    return apply->blind_now;
}

static void blind_now_put(struct apply *apply)
{
    record_put(apply->store, TABLE_META, key_meta(META_BLIND_NOW), &apply->blind_now->base);
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

/* Time since then in which a node was cut off, for whoever was not heard since that was noticed. */
static uint64_t cut_off_ms(Tocsin__CutOff *const *cut_offs, size_t count, uint64_t heard_ms, uint64_t since_ms)
{
    uint64_t sum_ms = 0;
    for (size_t i = 0; i < count; i++) {
        const Tocsin__CutOff *cut_off = cut_offs[i];
        uint64_t from_ms = cut_off->from_ms > since_ms ? cut_off->from_ms : since_ms;
        if (heard_ms <= cut_off->noticed_ms && from_ms < cut_off->until_ms) {
            sum_ms += cut_off->until_ms - from_ms;
        }
    }
    return sum_ms;
}

/* When it was expected in an outage: the moment at which its next occurrence after the last one is judged; else 0.
 * No occurrence is later than a period after the outage. */
static uint64_t behind_outages_ms(struct apply *apply, const struct silence *silence)
{
    uint64_t expected_ms = silence->since_ms + silence->period_ms, unpunctual_ms = silence->grace_ms / PUNCTUALITY;
    uint64_t seeing_ms = 0;
    for (unsigned hidden = 0; hidden < OCCURRENCES_HIDDEN_MAX; hidden++) {
        uint64_t end_ms = blindness_outage_end_ms(apply, expected_ms - unpunctual_ms, expected_ms + unpunctual_ms);
        if (end_ms == 0) {
            break;
        }
        seeing_ms = end_ms;
        uint64_t away_ms = seeing_ms + unpunctual_ms - silence->since_ms;
        uint64_t periods = (away_ms + silence->period_ms - 1) / silence->period_ms;
        expected_ms = silence->since_ms + periods * silence->period_ms;
    }
    if (seeing_ms == 0) {
        return 0;
    }
    uint64_t latest_ms = seeing_ms + silence->period_ms;
    return (expected_ms < latest_ms ? expected_ms : latest_ms) + silence->grace_ms;
}

uint64_t blindness_judged_ms(struct apply *apply, const struct silence *silence)
{
    const Tocsin__Blindness *known = blindness(apply);
    const Tocsin__BlindNow *now = blind_now(apply);
    uint64_t short_ms = cut_off_ms(known->cut_offs, known->n_cut_offs, silence->heard_ms, silence->since_ms) +
                        cut_off_ms(now->cut_offs, now->n_cut_offs, silence->heard_ms, silence->since_ms);
    uint64_t outage_ms = 0;
    for (size_t i = known->n_intervals; i > 0 && known->intervals[i - 1]->until_ms > silence->since_ms; i--) {
        short_ms += part_since(known->intervals[i - 1]->short_ms, known->intervals[i - 1], silence->since_ms);
        outage_ms += part_since(known->intervals[i - 1]->long_ms, known->intervals[i - 1], silence->since_ms);
    }
    uint64_t judged_ms = silence->since_ms + silence->period_ms + silence->grace_ms + outage_ms +
                         (short_ms < silence->grace_ms ? short_ms : silence->grace_ms);
    if (silence->grace_ms >= 2 * silence->period_ms) { /* the credit alone covers a ping that was lost and the next one */
        return judged_ms;
    }
    uint64_t next_ms = behind_outages_ms(apply, silence);
    return next_ms > judged_ms ? next_ms : judged_ms;
}

/* ---------------------------------------------------------------- telling people */

/* It begins without escalation policy: then its incidents are the guardians'. */
uint64_t service_of_cluster(struct apply *apply)
{
    Tocsin__BlindNow *now = blind_now(apply);
    if (now->service_id != 0) {
        return now->service_id;
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
    now->service_id = service->id;
    blind_now_put(apply);
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
        blind_now(apply)->untold_ms = gap_ms;
        blind_now_put(apply);
    }
    blindness_put(apply);
}

/* ---------------------------------------------------------------- one node that is cut off */

static bool is_cut_off(const Tocsin__BlindNow *now, uint64_t node)
{
    for (size_t i = 0; i < now->n_cut_offs; i++) {
        if (now->cut_offs[i]->node == node) {
            return true;
        }
    }
    return false;
}

static bool is_unheard(const Tocsin__Tick *tick, uint64_t node)
{
    for (size_t i = 0; i < tick->n_unheard; i++) {
        if (tick->unheard[i]->id == node) {
            return true;
        }
    }
    return false;
}

static void cut_off_append(struct apply *apply, Tocsin__CutOff ***cut_offs, size_t *count, Tocsin__CutOff *cut_off)
{
    Tocsin__CutOff **longer = apply_alloc(apply, (*count + 1) * sizeof *longer);
    for (size_t i = 0; i < *count; i++) {
        longer[i] = (*cut_offs)[i];
    }
    longer[(*count)++] = cut_off;
    *cut_offs = longer;
}

static void cut_off_begins(struct apply *apply, const Tocsin__UnheardMember *unheard)
{
    Tocsin__BlindNow *now = blind_now(apply);
    Tocsin__CutOff *cut_off = apply_alloc(apply, sizeof *cut_off);
    tocsin__cut_off__init(cut_off);
    cut_off->node = unheard->id;
    cut_off->from_ms = apply->time_ms - (unheard->silent_ms < apply->time_ms ? unheard->silent_ms : apply->time_ms);
    cut_off->noticed_ms = cut_off->until_ms = apply->time_ms;
    cut_off_append(apply, &now->cut_offs, &now->n_cut_offs, cut_off);
}

static void cut_off_ends(struct apply *apply, Tocsin__CutOff *cut_off)
{
    Tocsin__Blindness *known = blindness(apply);
    cut_off_append(apply, &known->cut_offs, &known->n_cut_offs, cut_off);
    if (known->n_cut_offs > LIMIT_CUT_OFFS) { /* the first is forgotten */
        known->n_cut_offs--;
        known->cut_offs++;
    }
    blindness_put(apply);
}

/* Those that last are longer now, or over. */
static void cut_offs_note(struct apply *apply, const Tocsin__Tick *tick)
{
    Tocsin__BlindNow *now = blind_now(apply);
    if (now->n_cut_offs == 0 && tick->n_unheard == 0) {
        return;
    }
    size_t lasting = 0;
    for (size_t i = 0; i < now->n_cut_offs; i++) {
        Tocsin__CutOff *cut_off = now->cut_offs[i];
        cut_off->until_ms = apply->time_ms;
        if (is_unheard(tick, cut_off->node)) {
            now->cut_offs[lasting++] = cut_off;
        } else {
            cut_off_ends(apply, cut_off);
        }
    }
    now->n_cut_offs = lasting;
    for (size_t i = 0; i < tick->n_unheard; i++) {
        if (!is_cut_off(now, tick->unheard[i]->id)) {
            cut_off_begins(apply, tick->unheard[i]);
        }
    }
    blind_now_put(apply);
}

/* A tick is for its time, which blindness_look has seen. */
void apply_tick(struct apply *apply, const Tocsin__Tick *tick, Tocsin__Reply *reply)
{
    if (tick->n_unheard > LIMIT_NODES_UNHEARD) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE,
                     "There are no more than %u nodes.", LIMIT_NODES_UNHEARD);
        return;
    }
    cut_offs_note(apply, tick);
    uint64_t untold_ms = blind_now(apply)->untold_ms;
    if (untold_ms != 0) {
        tell(apply, untold_ms);
        apply->blind_now->untold_ms = 0;
        blind_now_put(apply);
    }
}
