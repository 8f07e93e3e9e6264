/* See small_world.h. */
#include "tests/sim/world/small_world.h"

#include <stdlib.h>

#define WORLDS_MAX 64u

static const struct profile profile = {.name = "small", .election_timeout_ms = 800, .heartbeat_ms = 100, .minute_ms = 2000, .request_wait_ms = 5000};

static void on_violation(void *context, const char *sentence) { sim_violation(context, "%s", sentence); }
static void on_delivered(void *context, Tocsin__Channel channel, const char *to, const char *text) {
    (void)context;
    (void)channel;
    (void)to;
    (void)text;
}

static struct sim *worlds[WORLDS_MAX];
static unsigned worlds_count;

struct sim *small_world(uint64_t seed) {
    struct sim *sim = calloc(1, sizeof *sim);
    if (sim == NULL || worlds_count == WORLDS_MAX) abort();
    worlds[worlds_count++] = sim;
    sim->profile = &profile;
    sim_seed(sim, seed);
    sim->now_ms = SIM_START_MS;
    sim->nodes_count = 3;
    sim->checks = raft_checks_new();
    sim->model = model_new(on_violation, sim);
    sim->decoded = decoded_rows_new();
    sim->providers = providers_new(sim, on_delivered, sim);
    network_open(sim);
    nodes_open(sim);
    sim_run_until(sim, sim->now_ms + 5000);
    return sim;
}
