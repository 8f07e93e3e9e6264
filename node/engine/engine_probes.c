/*
 * This node asks its providers, every few minutes, whether they would take a page: before the night in which one is needed.
 *
 *     a way that somebody could be told by ──> its channel's probe ──> well: works                      ┐
 *                                                                 ──> refused, and again a minute later │──> vitals ──> the leader: provider_conditions.h
 *                                                                 ──> nothing good for five minutes     ┘
 *
 * Every node asks, whoever leads: the next leader's credentials and way out are of no less interest. A question costs nothing and tells nobody. A provider
 * through which nobody could be told is none of our business, and not asked.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "node/engine/engine_internal.h"
#include "node/log.h"
#include "notify/compose.h"

#define DEADLINE_MS 10000u
/* Each within a fifth of it to either side: nodes that start together do not ask together. */
#define EACH_MINUTES 5u
#define AGAIN_MINUTES 1u
#define JITTER_PARTS 5u
/* Credentials that are refused twice are wrong; a provider does not mend in a minute what it has forgotten. */
#define REFUSALS_THAT_COUNT 2u
/* A provider that fails for some minutes now and then is how providers are. */
#define FAILING_MINUTES 5u
#define FAILURES_THAT_COUNT 3u
#define PLACE_SHIFT 8u
#define PLACE_MASK ((1ull << PLACE_SHIFT) - 1)
#define SPREAD 0x9e3779b97f4a7c15ull /* 2^64 divided by the golden ratio */

/* Where a channel's provider stands: at the first that goes through it. */
static unsigned place_of(unsigned channel) {
    const struct channel *const *channels = channels_all();
    unsigned place = 0;
    while (channels[place]->probe != channels[channel]->probe) place++;
    return place;
}

/* Without the dice, so that nothing else falls otherwise for it. */
static uint64_t spread_ms(struct engine *engine, uint64_t interval_ms) {
    uint64_t part_ms = interval_ms / JITTER_PARTS;
    uint64_t number = (engine->boot + engine->config->id + ++engine->probes.count) * SPREAD;
    return interval_ms - part_ms + (number >> 32) % (2 * part_ms + 1);
}

/* ---- asking */

static void ask(struct engine *engine, unsigned channel, struct engine_probe *probe) {
    struct outgoing outgoing = {.probe = true, .deadline_ms = DEADLINE_MS};
    channels_all()[channel]->probe(&engine->config->notify, &outgoing);
    probe->transfer = PROBE_TRANSFER | ++engine->probes.count << PLACE_SHIFT | channel;
    engine->ports.transfer(engine->ports.context, probe->transfer, &outgoing);
    outgoing_close(&outgoing);
}

/* The channel by which a provider can be asked; channels of one provider may differ in what they need. None: -1. */
static int way_to(struct engine *engine, unsigned place, uint32_t used) {
    const struct channel *const *channels = channels_all();
    for (unsigned i = place; channels[i] != NULL; i++)
        if (channels[i]->probe == channels[place]->probe && (used & 1u << i) != 0 && channels[i]->missing(&engine->config->notify) == NULL) return (int)i;
    return -1;
}

static void next_no_later(struct engine *engine, uint64_t next_ms) {
    if (next_ms < engine->probes.next_ms) engine->probes.next_ms = next_ms;
}

void engine_probes_turn(struct engine *engine) {
    const struct channel *const *channels = channels_all();
    uint64_t now_ms = engine_now_ms(engine), minute_ms = engine->config->minute_ms;
    uint32_t used = 0;
    bool looked = false;
    if (engine->joining || engine->removed || now_ms < engine->probes.next_ms) return;
    engine->probes.next_ms = UINT64_MAX; /* of those that are being asked the answer tells when */
    for (unsigned place = 0; channels[place] != NULL; place++) {
        assert(place < CHANNELS_MAX);
        struct engine_probe *probe = &engine->probes.list[place];
        if (channels[place]->probe == NULL || place_of(place) != place || probe->transfer != 0) continue;
        if (probe->next_ms == 0) probe->next_ms = now_ms + spread_ms(engine, minute_ms);
        if (now_ms < probe->next_ms) {
            next_no_later(engine, probe->next_ms);
            continue;
        }
        if (!looked) used = engine->probes.used = engine_ways_used(engine);
        looked = true;
        if (engine->failed) return;
        probe->next_ms = now_ms + spread_ms(engine, EACH_MINUTES * minute_ms);
        int way = way_to(engine, place, used);
        if (way >= 0)
            ask(engine, (unsigned)way, probe);
        else
            *probe = (struct engine_probe){.next_ms = probe->next_ms};
        if (probe->transfer == 0) next_no_later(engine, probe->next_ms);
    }
}

/* ---- answers */

static bool is_refused(const struct engine_probe *probe) { return probe->refusals >= REFUSALS_THAT_COUNT; }

static bool is_failing(const struct engine *engine, const struct engine_probe *probe) {
    uint64_t now_ms = engine->ports.now_ms(engine->ports.context);
    return probe->failures >= FAILURES_THAT_COUNT && now_ms - probe->failing_since_ms >= (uint64_t)engine->config->minute_ms * FAILING_MINUTES;
}

void engine_probes_answered(struct engine *engine, uint64_t transfer_id, const struct answer *answer) {
    unsigned channel = (unsigned)(transfer_id & PLACE_MASK);
    struct engine_probe *probe = &engine->probes.list[place_of(channel)];
    assert(transfer_id == probe->transfer);
    uint64_t now_ms = engine_now_ms(engine);
    struct verdict verdict = {0};
    channels_all()[channel]->judge_probe(answer, &verdict);
    bool works = verdict.outcome == TOCSIN__OUTCOME__OUTCOME_SENT, refused = verdict.outcome == TOCSIN__OUTCOME__OUTCOME_MISCONFIGURED;
    bool was_well = probe->refusals == 0 && probe->failures == 0;
    probe->transfer = 0;
    probe->answered_ms = engine_wall_ms(engine);
    probe->refusals = refused ? probe->refusals + 1 : 0;
    if (works || refused)
        probe->failures = 0;
    else if (probe->failures++ == 0)
        probe->failing_since_ms = now_ms;
    withhold_secrets(&engine->config->notify, verdict.detail, sizeof verdict.detail);
    snprintf(probe->why, sizeof probe->why, "%.*s", (int)sizeof probe->why - 1, works ? "" : verdict.detail);
    if (!works) probe->next_ms = now_ms + spread_ms(engine, (uint64_t)AGAIN_MINUTES * engine->config->minute_ms);
    next_no_later(engine, probe->next_ms);
    if (was_well && !works) log_warning("provider %s, asked whether it would take a page: %s", channels_all()[channel]->provider, probe->why);
    if (!was_well && works) log_info("provider %s would take a page again", channels_all()[channel]->provider);
}

/* ---- what came of it */

static uint64_t places(const struct engine *engine, bool (*is)(const struct engine *engine, const struct engine_probe *probe)) {
    uint64_t bits = 0;
    for (unsigned place = 0; channels_all()[place] != NULL; place++) bits |= is(engine, &engine->probes.list[place]) ? 1ull << place : 0;
    return bits;
}

static bool refuses(const struct engine *engine, const struct engine_probe *probe) {
    (void)engine;
    return is_refused(probe);
}

static bool works(const struct engine *engine, const struct engine_probe *probe) {
    (void)engine;
    return probe->answered_ms != 0 && probe->refusals == 0 && probe->failures == 0;
}

uint64_t engine_probes_working(const struct engine *engine) { return places(engine, works); }
uint64_t engine_probes_refused(const struct engine *engine) { return places(engine, refuses); }
uint64_t engine_probes_failing(const struct engine *engine) { return places(engine, is_failing); }

uint32_t engine_probes_reach(const struct engine *engine) {
    const struct channel *const *channels = channels_all();
    uint32_t reach = 0, unasked = 0;
    bool shut = false;
    for (unsigned i = 0; channels[i] != NULL; i++) {
        const struct engine_probe *probe = &engine->probes.list[place_of(i)];
        if ((engine->probes.used & 1u << i) == 0 || channels[i]->missing(&engine->config->notify) != NULL) continue;
        bool well = probe->refusals == 0 && probe->failures == 0;
        uint32_t bit = 1u << channels[i]->channel;
        if (channels[i]->probe == NULL) unasked |= bit;
        if (channels[i]->probe != NULL && well) reach |= bit;
        shut |= channels[i]->probe != NULL && !well;
    }
    /* Where all that can be asked are shut, so is the way out to those that cannot be. */
    if (reach != 0 || !shut) reach |= unasked;
    return reach != 0 ? reach | 1u << GASP_ANY_CHANNEL : 0;
}

bool engine_probes_refuses(const struct engine *engine, unsigned place) { return is_refused(&engine->probes.list[place_of(place)]); }

const char *engine_probes_standing(const struct engine *engine, unsigned place, const char **why) {
    const struct engine_probe *probe = &engine->probes.list[place_of(place)];
    *why = probe->why[0] != '\0' ? probe->why : NULL;
    if (channels_all()[place]->probe == NULL || probe->answered_ms == 0) return "unknown";
    return probe->refusals > 0 ? "refuses" : probe->failures > 0 ? "fails" : "works";
}
