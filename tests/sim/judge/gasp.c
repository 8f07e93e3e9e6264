/* The last gasp, judged: see gasp.h. */
#include "tests/sim/judge/gasp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/judge/gasp_reach.h"
#include "tests/sim/world/providers.h"
#include "tests/sim/world/sim_internal.h"

#define LOOK_MS 500u
/* What a peer says counts so long, and is said every second; connections that were made anew take a moment. */
#define HEARD_MS 8000u
#define SPOKE_MS 2000u
/* A way that becomes slower by more than this may leave a peer unheard for longer than what it said counts. */
#define LAG_MS_MAX (LAST_GASP_HEARD_MS - 2000u)
#define TOLD_MAX 4096u
#define CHANNELS (TOCSIN__CHANNEL__CHANNEL_WEBHOOK + 1)

struct told {
    uint64_t node, process, epoch;
    char to[64], what[96];
    uint64_t transfer_id, at_ms; /* of the last attempt */
    unsigned times;
    bool taken; /* as far as the node knows */
};

struct gasp_judge {
    struct {
        struct gasp_reach direct, by_others; /* a leader that leads; somebody who hears one */
        uint64_t epoch;      /* counts times without a leader, as the node sees them */
        bool was_led;
        uint64_t spoke_ms[CHANNELS];
        uint32_t reach;      /* the channels that it believes it can send by */
        uint64_t reach_ms;   /* when that changed last: another one may speak by some of them from then on */
    } nodes[SIM_NODES_MAX + 1];
    uint64_t apart_ms[SIM_NODES_MAX + 1][SIM_NODES_MAX + 1]; /* when one was last out of the other's hearing */
    struct told *told;
    size_t told_count;
    struct told *kept;
    size_t kept_count;
};

/* ---- what is true */

static bool is_moving(const struct node *node) { return node->up && !node->frozen; }

static bool hears(const struct sim *sim, uint64_t listener, uint64_t speaker) {
    const struct link *link = &sim->links[speaker][listener];
    return is_moving(&sim->nodes[listener]) && is_moving(&sim->nodes[speaker]) && link->open && !link->cut;
}

static bool both_hear(const struct sim *sim, uint64_t a, uint64_t b) { return hears(sim, a, b) && hears(sim, b, a); }

/* Of the voters that it knows. */
static bool hears_majority(const struct sim *sim, const struct node *node) {
    const struct raft_configuration *configuration = engine_configuration(node->engine);
    unsigned voters = 0, heard = 0;
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct raft_server *server = &configuration->servers[i];
        voters += server->role == RAFT_VOTER;
        heard += server->role == RAFT_VOTER && (server->id == node->id || both_hear(sim, node->id, server->id));
    }
    return heard > voters / 2;
}

/* Whoever wakes up cut off takes itself for the leader that it was, and knows better than to wait for that. */
static bool is_leading(const struct sim *sim, uint64_t id) {
    const struct node *node = &sim->nodes[id];
    if (!is_moving(node)) return false;
    struct engine_status status = engine_status(node->engine);
    bool leads = status.failure == NULL && status.duties_term == status.driver.term && status.driver.role == DRIVER_LEADER;
    return leads && hears_majority(sim, node);
}

/* What is sent from one to the other at this moment arrives after so long. */
static uint64_t lag_ms(const struct sim *sim, uint64_t from, uint64_t to) {
    const struct link *link = &sim->links[from][to];
    uint64_t queued_ms = link->last_arrival_ms > sim->now_ms ? link->last_arrival_ms - sim->now_ms : 0;
    return queued_ms > link->slow_ms ? queued_ms : link->slow_ms;
}

/* The quickest way from somebody who knows, to this node; a node that leads needs none. */
static struct gasp_way way_from(const struct sim *sim, uint64_t id, const bool leads[SIM_NODES_MAX + 1], const bool knows[SIM_NODES_MAX + 1]) {
    struct gasp_way way = {.open = leads[id]};
    if (way.open) return way;
    for (uint64_t other = 1; other <= sim->nodes_count; other++) {
        if (other == id || !knows[other] || !both_hear(sim, id, other)) continue;
        uint64_t other_lag_ms = lag_ms(sim, other, id);
        if (!way.open || other_lag_ms < way.lag_ms) way = (struct gasp_way){true, other_lag_ms};
    }
    return way;
}

/* It takes part, and has heard a leader for long enough to say so. */
static bool hears_leader(const struct sim *sim, uint64_t id) {
    const struct node *node = &sim->nodes[id];
    return is_moving(node) && node->member && engine_status(node->engine).failure == NULL && sim->gasp->nodes[id].direct.known_ms == sim->now_ms;
}

static void look_at_reach(struct sim *sim, uint64_t id) {
    const struct node *node = &sim->nodes[id];
    uint32_t reach = node->up ? engine_status(node->engine).reach : 0;
    if (reach == sim->gasp->nodes[id].reach) return;
    sim->gasp->nodes[id].reach = reach;
    sim->gasp->nodes[id].reach_ms = sim->now_ms;
}

static void look(void *context) {
    struct sim *sim = context;
    struct gasp_judge *judge = sim->gasp;
    bool leads[SIM_NODES_MAX + 1], hears_one[SIM_NODES_MAX + 1];
    for (uint64_t id = 1; id <= sim->nodes_count; id++) leads[id] = is_leading(sim, id);
    for (uint64_t id = 1; id <= sim->nodes_count; id++) gasp_reach_look(&judge->nodes[id].direct, way_from(sim, id, leads, leads), sim->now_ms);
    for (uint64_t id = 1; id <= sim->nodes_count; id++) hears_one[id] = hears_leader(sim, id);
    for (uint64_t id = 1; id <= sim->nodes_count; id++) {
        struct node *node = &sim->nodes[id];
        gasp_reach_look(&judge->nodes[id].by_others, way_from(sim, id, leads, hears_one), sim->now_ms);
        bool led = !node->up || engine_status(node->engine).gasp == GASP_LED;
        judge->nodes[id].epoch += led && !judge->nodes[id].was_led;
        judge->nodes[id].was_led = led;
        look_at_reach(sim, id);
        for (uint64_t other = 1; other <= sim->nodes_count; other++)
            if (other != id && (!both_hear(sim, id, other) || lag_ms(sim, other, id) > LAG_MS_MAX || lag_ms(sim, id, other) > LAG_MS_MAX))
                judge->apart_ms[id][other] = sim->now_ms;
    }
    sim_at(sim, sim->now_ms + LOOK_MS, look, sim);
}

void gasp_judge_start(struct sim *sim) {
    sim->gasp = calloc(1, sizeof *sim->gasp);
    if (sim->gasp != NULL) {
        sim->gasp->told = calloc(TOLD_MAX, sizeof *sim->gasp->told);
        sim->gasp->kept = calloc(TOLD_MAX, sizeof *sim->gasp->kept);
    }
    if (sim->gasp == NULL || sim->gasp->told == NULL || sim->gasp->kept == NULL) abort();
    look(sim);
}

void gasp_judge_end(struct sim *sim) {
    if (sim->gasp == NULL) return;
    free(sim->gasp->told);
    free(sim->gasp->kept);
    free(sim->gasp);
    sim->gasp = NULL;
}

/* ---- what is said */

/* The incident's id at the end of a message that has one, or the message's own words. */
static void about_what(const char *text, char what[96]) {
    const char *id = strstr(text, ": incident P");
    snprintf(what, 96, "%.*s", id != NULL ? (int)strcspn(id + 2, ".") : 95, id != NULL ? id + 2 : text);
}

static struct told *find(struct told *list, size_t count, const struct told *wanted) {
    for (size_t i = 0; i < count; i++)
        if (list[i].node == wanted->node && list[i].process == wanted->process && list[i].epoch == wanted->epoch && strcmp(list[i].to, wanted->to) == 0 &&
            strcmp(list[i].what, wanted->what) == 0)
            return &list[i];
    return NULL;
}

static void check_repeat(struct node *node, uint64_t transfer_id, const struct provider_message *message) {
    struct sim *sim = node->sim;
    struct gasp_judge *judge = sim->gasp;
    struct told told = {.node = node->id, .process = node->process, .epoch = judge->nodes[node->id].epoch};
    about_what(message->text, told.what);
    if (find(judge->kept, judge->kept_count, &told) != NULL)
        sim_violation(sim, "last gasp: node %" PRIu64 " pages %s of what it was answered: %.80s", node->id, message->to, message->text);
    snprintf(told.to, sizeof told.to, "%d %.50s", (int)message->channel, message->to);
    struct told *before = find(judge->told, judge->told_count, &told);
    if (before == NULL && judge->told_count < TOLD_MAX) {
        before = &judge->told[judge->told_count++];
        *before = told;
    }
    if (before == NULL) return;
    /* More than once only as far as a provider did not take it, and not in a rush. */
    bool rushes = before->times >= LAST_GASP_QUICK_ATTEMPTS ? sim->now_ms - before->at_ms < LAST_GASP_RETRY_MS
                                                            : before->times > 0 && sim->now_ms - before->at_ms < LAST_GASP_QUICK_RETRY_MS;
    if (before->taken || rushes || before->times == LAST_GASP_ATTEMPTS_MAX)
        sim_violation(sim, "last gasp: node %" PRIu64 " pages %s %s: %.80s", node->id, message->to,
                      before->taken ? "of what it knows was taken" : "again and again", message->text);
    before->times++;
    before->at_ms = sim->now_ms;
    before->transfer_id = transfer_id;
}

void gasp_judge_answered(struct node *node, uint64_t transfer_id, const struct answer *answer) {
    struct gasp_judge *judge = node->sim->gasp;
    bool taken = answer->kind == ANSWER_RESPONSE && answer->status >= 200 && answer->status < 300;
    for (size_t i = 0; i < judge->told_count && taken; i++)
        if (judge->told[i].node == node->id && judge->told[i].process == node->process && judge->told[i].transfer_id == transfer_id) judge->told[i].taken = true;
}

/* Not when what they can send by has just changed: then one goes on where the other ends. */
static void check_alone(struct node *node, Tocsin__Channel channel) {
    struct sim *sim = node->sim;
    struct gasp_judge *judge = sim->gasp;
    for (uint64_t other = 1; other <= sim->nodes_count; other++) {
        uint64_t spoke_ms = judge->nodes[other].spoke_ms[channel];
        if (other == node->id || spoke_ms == 0 || sim->now_ms - spoke_ms > SPOKE_MS) continue;
        look_at_reach(sim, node->id);
        look_at_reach(sim, other);
        uint64_t reach_ms = judge->nodes[node->id].reach_ms > judge->nodes[other].reach_ms ? judge->nodes[node->id].reach_ms : judge->nodes[other].reach_ms;
        bool changed = reach_ms != 0 && sim->now_ms - reach_ms <= HEARD_MS + SPOKE_MS;
        if (!changed && sim->now_ms - judge->apart_ms[node->id][other] > HEARD_MS + SPOKE_MS)
            sim_violation(sim, "last gasp: nodes %" PRIu64 " and %" PRIu64 " hear each other, and both page", node->id, other);
    }
    judge->nodes[node->id].spoke_ms[channel] = sim->now_ms;
}

void gasp_judge_request(struct node *node, uint64_t transfer_id, const struct provider_message *message) {
    struct sim *sim = node->sim;
    struct gasp_judge *judge = sim->gasp;
    const struct gasp_reach *direct = &judge->nodes[node->id].direct, *by_others = &judge->nodes[node->id].by_others;
    const struct gasp_reach *latest = direct->known_ms > by_others->known_ms ? direct : by_others;
    sim_count(sim, "pages of nodes without a majority", 1);
    if (strstr(message->text, "DEGRADED") == NULL || strstr(message->text, "possibly repeated") == NULL)
        sim_violation(sim, "last gasp: node %" PRIu64 " does not say what it is: %.100s", node->id, message->text);
    if (gasp_reach_forbids(latest, sim->now_ms, sim->profile->last_gasp_after_ms))
        sim_violation(sim, "last gasp: node %" PRIu64 " pages on its own, and a leader was in reach %" PRIu64 " ms ago%s", node->id,
                      sim->now_ms - latest->known_ms, latest == by_others ? ", by a peer that hears it" : "");
    check_alone(node, message->channel);
    check_repeat(node, transfer_id, message);
}

void gasp_judge_kept(struct sim *sim, uint64_t id, const char *incident_id) {
    struct gasp_judge *judge = sim->gasp;
    if (judge == NULL) return; /* clients without a cluster behind them */
    struct told kept = {.node = id, .process = sim->nodes[id].process, .epoch = judge->nodes[id].epoch};
    sim_count(sim, "answers kept without a majority", 1);
    snprintf(kept.what, sizeof kept.what, "incident %.40s", incident_id);
    if (judge->kept_count < TOLD_MAX) judge->kept[judge->kept_count++] = kept;
}
