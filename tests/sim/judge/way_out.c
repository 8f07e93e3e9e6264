/* See way_out.h. */
#include "tests/sim/judge/way_out.h"

#include <inttypes.h>
#include <stdlib.h>

#include "consensus/machine/limits.h"
#include "tests/sim/world/disk.h"
#include "tests/sim/world/providers.h"
#include "tests/sim/world/sim_internal.h"

#define LOOK_MS 500u
/* A provider is asked every five minutes or a fifth later, then each minute; it counts as gone after five minutes and three questions. */
#define NOTICED_MINUTES 13u
/* A transfer that comes to nothing is tried again a minute later, with another one, which may have come to nothing too; whoever keeps up best is tried
 * first. */
#define TRIED_MINUTES 3u
#define TRIED_BEST_MINUTES 1u
#define HANDED_OVER_MS 10000u
#define ELECTIONS 3u
#define AGAIN_MS 600000u

struct way_out {
    struct sim *sim;
    const struct trouble *trouble;
    uint64_t leader, process, term, since_ms; /* the leader in trouble; leader 0: there is none */
    struct voter {
        uint64_t process, fit_since_ms; /* process 0: not fit */
    } voters[SIM_NODES_MAX + 1];
    uint64_t handed_over_ms[SIM_NODES_MAX + 1]; /* 0: never */
    uint64_t applied_index; /* of the leader, at the last look */
    uint64_t behind, behind_index, behind_since_ms; /* a leader that has not applied what is committed; 0: none */
};

/* Why a leader cannot do its duty: as long as it is so, from when it shows. */
struct trouble {
    bool (*is)(const struct sim *sim, uint64_t id);
    bool (*shows)(struct way_out *way_out, uint64_t id);
    const char *leads, *counted, *other; /* what it does, and who should lead instead */
    uint64_t minutes, noticed_ms; /* to notice, and to try */
    uint64_t again_ms;            /* who comes to lead again goes on for so long before it looks for another one */
};

static bool reaches_nobody(const struct sim *sim, uint64_t id) { return providers_is_cut_off(sim->providers, (unsigned)id); }
static bool is_slow(const struct sim *sim, uint64_t id) { return disk_latency_least_ms(sim->nodes[id].disk) > CLAIM_VALID_MS; }

static bool at_once(struct way_out *way_out, uint64_t id) {
    (void)way_out;
    (void)id;
    return true;
}

/* What the others committed is not applied there when a claim of then is good no more. */
static bool lags(struct way_out *way_out, uint64_t id) {
    struct sim *sim = way_out->sim;
    struct engine_status status = engine_status(sim->nodes[id].engine);
    if (id != way_out->behind || status.applied_index >= way_out->behind_index) {
        way_out->behind = status.driver.commit_index > status.applied_index ? id : 0;
        way_out->behind_index = status.driver.commit_index;
        way_out->behind_since_ms = sim->now_ms;
    }
    return way_out->behind != 0 && sim->now_ms - way_out->behind_since_ms > CLAIM_VALID_MS;
}

static const struct trouble TROUBLES[] = {
    {reaches_nobody, at_once, "reaches no provider", "leaders without a way out that were followed", "reaches them all", NOTICED_MINUTES + TRIED_MINUTES, 0, AGAIN_MS},
    {is_slow, lags, "has a disk too slow to send a page", "leaders with a slow disk that were followed", "keeps up", TRIED_BEST_MINUTES, DISK_HANGS_MS_MAX, 0},
};

static bool is_well(const struct sim *sim, uint64_t from, uint64_t to) {
    const struct link *link = &sim->links[from][to];
    return link->open && !link->cut && link->slow_ms == 0;
}

/* It has no such trouble, hears the leader and is heard, and had applied by now what the leader had at the last look. */
static bool is_fit(const struct way_out *way_out, uint64_t leader, uint64_t id) {
    const struct sim *sim = way_out->sim;
    const struct node *node = &sim->nodes[id];
    if (id == leader || !node->up || node->frozen || !node->member || node->leaving || node->joining) return false;
    if (!is_well(sim, id, leader) || !is_well(sim, leader, id) || way_out->trouble->is(sim, id)) return false;
    struct engine_status status = engine_status(node->engine);
    return status.failure == NULL && node->recovering_index == 0 && status.applied_index >= way_out->applied_index;
}

static void look_at_voters(struct way_out *way_out, uint64_t leader) {
    struct sim *sim = way_out->sim;
    for (unsigned id = 1; id <= sim->nodes_count; id++) {
        struct voter *voter = &way_out->voters[id];
        uint64_t process = is_fit(way_out, leader, id) ? sim->nodes[id].process : 0;
        if (process != voter->process) *voter = (struct voter){.process = process, .fit_since_ms = sim->now_ms};
    }
}

static void check(struct way_out *way_out) {
    struct sim *sim = way_out->sim;
    const struct trouble *trouble = way_out->trouble;
    uint64_t allowed_ms = trouble->minutes * (uint64_t)sim->profile->minute_ms + trouble->noticed_ms + HANDED_OVER_MS +
                          ELECTIONS * (uint64_t)sim->profile->election_timeout_ms;
    uint64_t handed_over_ms = way_out->handed_over_ms[way_out->leader];
    if (handed_over_ms != 0 && sim->now_ms - handed_over_ms < trouble->again_ms + allowed_ms) return;
    for (unsigned id = 1; id <= sim->nodes_count; id++) {
        const struct voter *voter = &way_out->voters[id];
        uint64_t since_ms = voter->fit_since_ms > way_out->since_ms ? voter->fit_since_ms : way_out->since_ms;
        if (voter->process == 0 || sim->now_ms - since_ms <= allowed_ms) continue;
        sim_violation(sim, "node %" PRIu64 " leads and %s for %" PRIu64 " ms, while node %u %s", way_out->leader, trouble->leads,
                      sim->now_ms - way_out->since_ms, id, trouble->other);
        return;
    }
}

static void look(void *context) {
    struct way_out *way_out = context;
    struct sim *sim = way_out->sim;
    sim_at(sim, sim->now_ms + LOOK_MS, look, way_out);
    uint64_t id = nodes_leader(sim);
    if (id != way_out->leader && way_out->leader != 0 && sim->nodes[way_out->leader].process == way_out->process) {
        sim_count(sim, way_out->trouble->counted, 1);
        way_out->handed_over_ms[way_out->leader] = sim->now_ms;
    }
    struct node *node = &sim->nodes[id];
    struct engine_status status = {0};
    bool unfit = id != 0 && way_out->trouble->is(sim, id) && !node->frozen;
    if (unfit) status = engine_status(node->engine);
    unfit = unfit && ((way_out->leader == id && way_out->process == node->process && way_out->term == status.driver.term) || way_out->trouble->shows(way_out, id));
    if (!unfit || status.duties_term != status.driver.term || node->leaving) {
        way_out->leader = 0;
        return;
    }
    if (id != way_out->leader || node->process != way_out->process || status.driver.term != way_out->term) {
        way_out->leader = id;
        way_out->process = node->process;
        way_out->term = status.driver.term;
        way_out->since_ms = sim->now_ms;
        for (unsigned i = 0; i <= SIM_NODES_MAX; i++) way_out->voters[i] = (struct voter){0};
    }
    look_at_voters(way_out, id);
    way_out->applied_index = status.applied_index;
    check(way_out);
}

void way_out_start(struct sim *sim) {
    for (size_t i = 0; i < sizeof TROUBLES / sizeof TROUBLES[0]; i++) {
        struct way_out *way_out = calloc(1, sizeof *way_out);
        if (way_out == NULL) abort();
        way_out->sim = sim;
        way_out->trouble = &TROUBLES[i];
        sim_at(sim, sim->now_ms + LOOK_MS, look, way_out); /* as long as the run: its memory is the process's */
    }
}
