/*
 * What goes wrong, and when: one thing after the other, by chance; each lasts a while, and several may last at once.
 *
 * Nothing here is beyond what the cluster promises to survive: a disk that comes back has kept what was synced, and cold data rots on one node
 * at a time.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "tests/sim/world/sim_internal.h"

/* Providers stay ill for longer than machines of one's own, and so do disks that all but hang: so many times. */
#define PROVIDER_PATIENCE 6u

struct chaos {
    struct sim *sim;
    uint64_t until_ms;
};

/* A thing that ends: `end` is given its node and the other number. */
struct ending {
    struct sim *sim;
    uint64_t a, b;
    void (*end)(struct sim *sim, uint64_t a, uint64_t b);
};

static void run_ending(void *context) {
    struct ending ending = *(struct ending *)context;
    free(context);
    if (ending.sim->troubled) ending.end(ending.sim, ending.a, ending.b); /* afterwards everything is whole already */
}

static void end_after(struct sim *sim, uint64_t delay_ms, void (*end)(struct sim *, uint64_t, uint64_t), uint64_t a, uint64_t b) {
    struct ending *ending = malloc(sizeof *ending);
    if (ending == NULL) abort();
    *ending = (struct ending){sim, a, b, end};
    sim_at(sim, sim->now_ms + delay_ms, run_ending, ending);
}

static uint64_t duration_ms(struct sim *sim) { return sim_between(sim, sim->profile->fault_least_ms, sim->profile->fault_most_ms); }
static uint64_t some_node(struct sim *sim) {
    uint64_t id;
    do id = 1 + sim_random(sim, sim->nodes_count);
    while (sim->nodes[id].off);
    return id;
}

static uint64_t some_other(struct sim *sim, uint64_t id) {
    uint64_t other = 1 + sim_random(sim, sim->nodes_count - 1);
    return other < id ? other : other + 1;
}

/* The leader as often as not: it is the one whose loss is felt. */
static uint64_t some_victim(struct sim *sim) {
    uint64_t leader = nodes_leader(sim);
    return leader != 0 && sim_chance(sim, 500) ? leader : some_node(sim);
}

/* ---- processes */

static void start_again(struct sim *sim, uint64_t id, uint64_t unused) {
    (void)unused;
    node_start(&sim->nodes[id]);
}

static void end_process(struct sim *sim, uint64_t id, enum disk_end end) {
    node_stop(&sim->nodes[id], end);
    end_after(sim, duration_ms(sim), start_again, id, 0);
}

static void kill_one(struct sim *sim) {
    sim_count(sim, "kills", 1);
    end_process(sim, some_victim(sim), DISK_KILLED);
}

static void cut_power(struct sim *sim) {
    sim_count(sim, "power cuts", 1);
    end_process(sim, some_victim(sim), DISK_POWER_CUT);
}

static void cut_power_of_all(struct sim *sim) {
    sim_count(sim, "power cuts of all", 1);
    for (unsigned id = 1; id <= sim->nodes_count; id++) end_process(sim, id, DISK_POWER_CUT);
}

static void restart_one(struct sim *sim) {
    sim_count(sim, "restarts in order", 1);
    end_process(sim, some_victim(sim), DISK_STOPPED);
}

static void upgrade_next(struct sim *sim, uint64_t unused, uint64_t unused_too) {
    uint64_t id;
    (void)unused;
    (void)unused_too;
    if (growth_upgrade(sim, &id)) end_process(sim, id, DISK_STOPPED);
    if (!growth_is_upgraded(sim)) end_after(sim, duration_ms(sim), upgrade_next, 0, 0);
}

/* All, one after the other. */
static void upgrade(struct sim *sim) {
    if (sim->newest_version == MACHINE_VERSION) upgrade_next(sim, 0, 0);
}

static void freeze_one(struct sim *sim) {
    uint64_t id = some_victim(sim);
    if (!sim->nodes[id].up) return;
    bool asleep = sim_chance(sim, 300);
    uint64_t for_ms = duration_ms(sim);
    sim_count(sim, asleep ? "machines asleep" : "processes frozen", 1);
    sim_tell(sim, "node %" PRIu64 " %s for %" PRIu64 " ms", id, asleep ? "sleeps" : "stands still", for_ms);
    node_freeze(&sim->nodes[id], for_ms, asleep);
}

/* ---- the network */

static void heal_way(struct sim *sim, uint64_t from, uint64_t to) { network_cut(sim, from, to, false); }

static void cut_way(struct sim *sim, uint64_t from, uint64_t to, uint64_t for_ms) {
    network_cut(sim, from, to, true);
    end_after(sim, for_ms, heal_way, from, to);
}

static void cut_one_way(struct sim *sim) {
    uint64_t from = some_node(sim), to = some_other(sim, from), for_ms = duration_ms(sim);
    sim_count(sim, "one-way cuts", 1);
    sim_tell(sim, "nothing arrives from node %" PRIu64 " at node %" PRIu64 " for %" PRIu64 " ms", from, to, for_ms);
    cut_way(sim, from, to, for_ms);
}

static void isolate_one(struct sim *sim) {
    uint64_t id = some_victim(sim), for_ms = duration_ms(sim);
    sim_count(sim, "nodes cut off", 1);
    sim_tell(sim, "node %" PRIu64 " is cut off for %" PRIu64 " ms", id, for_ms);
    for (uint64_t peer = 1; peer <= sim->nodes_count; peer++) {
        if (peer == id) continue;
        cut_way(sim, id, peer, for_ms);
        cut_way(sim, peer, id, for_ms);
    }
}

static void partition(struct sim *sim) {
    uint64_t side = sim_random(sim, 1u << sim->nodes_count), for_ms = duration_ms(sim);
    sim_count(sim, "partitions", 1);
    sim_tell(sim, "the network falls apart for %" PRIu64 " ms", for_ms);
    for (uint64_t a = 1; a <= sim->nodes_count; a++)
        for (uint64_t b = 1; b <= sim->nodes_count; b++)
            if (a != b && (side >> (a - 1) & 1) != (side >> (b - 1) & 1)) cut_way(sim, a, b, for_ms);
}

static void break_connection(struct sim *sim) {
    uint64_t from = some_node(sim);
    sim_count(sim, "resets", 1);
    network_break(sim, from, some_other(sim, from));
}

static void speed_up(struct sim *sim, uint64_t from, uint64_t to) {
    sim_tell(sim, "the way from node %" PRIu64 " to node %" PRIu64 " is quick again", from, to);
    network_slow(sim, from, to, 0);
}

static void slow_way(struct sim *sim) {
    uint64_t from = some_node(sim), to = some_other(sim, from), slow_ms = sim_between(sim, 10, 2 * sim->profile->election_timeout_ms);
    sim_count(sim, "slow ways", 1);
    sim_tell(sim, "the way from node %" PRIu64 " to node %" PRIu64 " is slower by %" PRIu64 " ms", from, to, slow_ms);
    network_slow(sim, from, to, slow_ms);
    end_after(sim, duration_ms(sim), speed_up, from, to);
}

/* ---- disks */

static void disk_is_fast(struct sim *sim, uint64_t id, uint64_t unused) {
    (void)unused;
    disk_set_latency(sim->nodes[id].disk, 1, 3);
}

static void slow_disk(struct sim *sim) {
    uint64_t id = some_victim(sim);
    sim_count(sim, "slow disks", 1);
    uint64_t most_ms = sim_between(sim, 20, 3000);
    bool hangs = most_ms > 2400;
    if (hangs) {
        sim_count(sim, "slow disks that all but hang", 1);
        disk_set_latency(sim->nodes[id].disk, DISK_HANGS_MS_MIN, DISK_HANGS_MS_MAX);
    } else {
        disk_set_latency(sim->nodes[id].disk, 20, most_ms);
    }
    sim_tell(sim, "the disk of node %" PRIu64 " %s", id, hangs ? "all but hangs" : "is slow");
    end_after(sim, hangs ? PROVIDER_PATIENCE * duration_ms(sim) : duration_ms(sim), disk_is_fast, id, 0);
}

static void disk_is_whole(struct sim *sim, uint64_t id, uint64_t unused) {
    (void)unused;
    disk_set_broken(sim->nodes[id].disk, false);
}

static void fill_disk(struct sim *sim) {
    uint64_t id = some_victim(sim);
    sim_count(sim, "full disks", 1);
    sim_tell(sim, "the disk of node %" PRIu64 " is full", id);
    disk_set_broken(sim->nodes[id].disk, true);
    end_after(sim, duration_ms(sim), disk_is_whole, id, 0);
}

/* Two nodes that lost more than their logs have are beyond what three can survive. */
static bool anybody_recovers(const struct sim *sim) {
    for (unsigned id = 1; id <= sim->nodes_count; id++)
        if (!sim->nodes[id].off && (sim->nodes[id].recovering_index != 0 || disk_is_rotten(sim->nodes[id].disk))) return true;
    return growth_replaces(sim);
}

static void rot_state(struct sim *sim) {
    uint64_t id = some_node(sim);
    if (anybody_recovers(sim) || !sim->nodes[id].up) return;
    sim_count(sim, "states rotten", 1);
    sim_tell(sim, "the state of node %" PRIu64 " rots", id);
    disk_rot_state(sim->nodes[id].disk);
    end_process(sim, id, DISK_KILLED);
}

static void lose_disk(struct sim *sim) {
    if (!anybody_recovers(sim)) growth_lose_disk(sim);
}

static void rot_log(struct sim *sim) {
    uint64_t id = some_node(sim);
    if (disk_is_rotten(sim->nodes[id].disk) || !disk_rot_log(sim->nodes[id].disk)) return;
    sim_count(sim, "log entries rotten", 1);
    sim_tell(sim, "an old log entry of node %" PRIu64 " rots", id);
}

/* ---- clocks */

static void shift_wall(struct sim *sim) {
    static const uint64_t sizes_ms[] = {500, 5000, 120000, 7200000, 86400000};
    uint64_t id = some_victim(sim), size_ms = sizes_ms[sim_random(sim, sizeof sizes_ms / sizeof sizes_ms[0])];
    int64_t shift_ms = (int64_t)sim_between(sim, 0, 2 * size_ms) - (int64_t)size_ms;
    sim_count(sim, "clock jumps", 1);
    sim_tell(sim, "the wall clock of node %" PRIu64 " jumps by %" PRId64 " ms", id, shift_ms);
    node_shift_wall(&sim->nodes[id], shift_ms);
}

static void change_drift(struct sim *sim) {
    node_set_drift(&sim->nodes[some_node(sim)], (int64_t)sim_between(sim, 0, 1000) - 500);
    sim_count(sim, "drifts", 1);
}

/* ---- providers */

static void provider_is_well(struct sim *sim, uint64_t channel, uint64_t unused) {
    (void)unused;
    providers_set(sim->providers, (Tocsin__Channel)channel, PROVIDER_NORMAL);
}

static void upset_provider(struct sim *sim) {
    static const Tocsin__Channel channels[] = {TOCSIN__CHANNEL__CHANNEL_SMS, TOCSIN__CHANNEL__CHANNEL_VOICE, TOCSIN__CHANNEL__CHANNEL_PUSH,
                                               TOCSIN__CHANNEL__CHANNEL_EMAIL, TOCSIN__CHANNEL__CHANNEL_WEBHOOK};
    Tocsin__Channel channel = channels[sim_random(sim, sizeof channels / sizeof channels[0])];
    enum provider_mood mood = (enum provider_mood)sim_between(sim, PROVIDER_SLOW, PROVIDER_MOODS - 1);
    sim_count(sim, "providers upset", 1);
    sim_tell(sim, "the provider of channel %d is %s", (int)channel, provider_mood_name(mood));
    providers_set(sim->providers, channel, mood);
    end_after(sim, PROVIDER_PATIENCE * duration_ms(sim), provider_is_well, channel, 0);
}

static void way_out_again(struct sim *sim, uint64_t id, uint64_t unused) {
    (void)unused;
    providers_cut_off(sim->providers, (unsigned)id, false);
}

static void no_way_out(struct sim *sim) {
    uint64_t id = some_victim(sim);
    sim_count(sim, "nodes without a way out", 1);
    sim_tell(sim, "node %" PRIu64 " reaches no provider", id);
    providers_cut_off(sim->providers, (unsigned)id, true);
    end_after(sim, PROVIDER_PATIENCE * duration_ms(sim), way_out_again, id, 0);
}

/* ---- one after the other */

static const struct {
    unsigned weight;
    void (*act)(struct sim *sim);
} acts[] = {{10, kill_one},      {6, cut_power},     {1, cut_power_of_all}, {3, restart_one}, {8, freeze_one},
            {6, cut_one_way},    {8, isolate_one},   {5, partition},        {8, break_connection}, {5, slow_way},
            {6, slow_disk},      {3, fill_disk},     {3, rot_state},        {3, rot_log},     {5, shift_wall},
            {2, change_drift},   {10, upset_provider}, {3, no_way_out},   {3, growth_add},  {3, growth_remove},
            {2, lose_disk},      {3, upgrade}};

/* A node that stopped taking part is started again by its operator. */
static void restart_failed(struct sim *sim) {
    for (unsigned id = 1; id <= sim->nodes_count; id++) {
        struct node *node = &sim->nodes[id];
        if (!node->up || !node->member || engine_status(node->engine).failure == NULL) continue;
        sim_count(sim, "nodes that stopped taking part", 1);
        sim_tell(sim, "node %u had stopped taking part: %s", id, engine_status(node->engine).failure);
        end_process(sim, id, DISK_KILLED);
    }
}

static void next_act(void *context) {
    struct chaos *chaos = context;
    struct sim *sim = chaos->sim;
    if (sim->now_ms >= chaos->until_ms) {
        free(chaos);
        chaos_end(sim);
        return;
    }
    restart_failed(sim);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) sum += acts[i].weight;
    unsigned pick = (unsigned)sim_random(sim, sum);
    size_t at = 0;
    while (pick >= acts[at].weight) pick -= acts[at++].weight;
    acts[at].act(sim);
    sim_at(sim, sim->now_ms + sim_between(sim, sim->profile->pause_least_ms, sim->profile->pause_most_ms), next_act, chaos);
}

void chaos_start(struct sim *sim, uint64_t until_ms) {
    struct chaos *chaos = malloc(sizeof *chaos);
    if (chaos == NULL) abort();
    *chaos = (struct chaos){sim, until_ms};
    sim->troubled = true;
    model_troubled(sim->model);
    sim_at(sim, sim->now_ms, next_act, chaos);
}

void chaos_end(struct sim *sim) {
    sim_tell(sim, "everything is made whole");
    for (uint64_t a = 1; a <= sim->nodes_count; a++)
        for (uint64_t b = 1; b <= sim->nodes_count; b++) {
            network_cut(sim, a, b, false);
            network_slow(sim, a, b, 0);
        }
    providers_calm(sim->providers);
    for (unsigned id = 1; id <= sim->nodes_count; id++) {
        struct node *node = &sim->nodes[id];
        disk_set_latency(node->disk, 1, 3);
        disk_set_broken(node->disk, false);
        node_thaw(node);
        node_shift_wall(node, (int64_t)(sim->now_ms + sim_random(sim, 100)) - 50 - (int64_t)node_wall_ms(node));
        node_set_drift(node, (int64_t)sim_between(sim, 0, 100) - 50);
        bool outdated = node->up && !node->member && node->machine_version < sim->newest_version;
        if (outdated) node->next_version = sim->newest_version;
        if (outdated || (node->up && engine_status(node->engine).failure != NULL)) node_stop(node, DISK_KILLED);
        node_start(node);
        node_wake(node);
    }
    sim->troubled = false;
    model_healed(sim->model, sim->now_ms);
}
