/*
 * Cluster time goes on while somebody knows it: a follower tells it to one that has just started, which may be elected
 * before it hears a leader.
 *
 *     node 1 leads, every wall clock jumps ahead ──> 1 and 3 are killed, 2 stays: it alone knows ──> 3 starts: 2 or 3 leads
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/world/sim_internal.h"

#define SEEDS 40u
#define JUMP_MS 600000

static const struct profile profile = {.name = "time", .election_timeout_ms = 800, .heartbeat_ms = 100, .minute_ms = 2000, .request_wait_ms = 5000};

static void on_violation(void *context, const char *sentence) { sim_violation(context, "%s", sentence); }
static void on_delivered(void *context, Tocsin__Channel channel, const char *to, const char *text) {
    (void)context;
    (void)channel;
    (void)to;
    (void)text;
}

/* What a world leaves behind when its nodes are closed is the process's, and found here by who looks for leaks. */
static struct sim *worlds[SEEDS + 1];
static unsigned worlds_count;

static struct sim *world_of_three(uint64_t seed) {
    struct sim *sim = calloc(1, sizeof *sim);
    assert_non_null(sim);
    assert_true(worlds_count < sizeof worlds / sizeof *worlds);
    worlds[worlds_count++] = sim;
    sim->profile = &profile;
    sim_seed(sim, seed);
    sim->now_ms = SIM_START_MS;
    sim->nodes_count = 3;
    sim->checks = raft_checks_new();
    sim->model = model_new(on_violation, sim);
    sim->providers = providers_new(sim, on_delivered, sim);
    network_open(sim);
    nodes_open(sim);
    sim_run_until(sim, sim->now_ms + 5000);
    return sim;
}

static uint64_t cluster_ms(const struct sim *sim, uint64_t id) { return engine_status(sim->nodes[id].engine).cluster_now_ms; }

static void a_follower_tells_cluster_time_to_one_that_has_just_started(void **state) {
    (void)state;
    unsigned led_by_who_was_told = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim *sim = world_of_three(seed);
        uint64_t leader = nodes_leader(sim);
        assert_int_not_equal(leader, 0);
        uint64_t stays = leader % 3 + 1, starts = stays % 3 + 1;
        for (unsigned id = 1; id <= 3; id++) node_shift_wall(&sim->nodes[id], JUMP_MS);
        sim_run_until(sim, sim->now_ms + 2000);
        node_stop(&sim->nodes[leader], DISK_KILLED);
        node_stop(&sim->nodes[starts], DISK_KILLED);
        sim_run_until(sim, sim->now_ms + 1000);
        node_start(&sim->nodes[starts]);
        for (leader = 0; leader == 0; leader = nodes_leader(sim)) sim_run_until(sim, sim->now_ms + 10);
        assert_true(leader == stays || leader == starts);
        sim_run_until(sim, sim->now_ms + 1000); /* as yet nobody else has led, and told it as a leader */
        led_by_who_was_told += leader == starts;
        assert_in_range(cluster_ms(sim, leader), sim->now_ms - 5000, sim->now_ms + 5000);
        assert_string_equal(sim->violation, "");
        nodes_close(sim);
    }
    assert_in_range(led_by_who_was_told, 1, SEEDS);
}

/* Nobody is left who knows it: then the wall clocks say what time it is. */
static void when_all_have_restarted_the_wall_clocks_count(void **state) {
    (void)state;
    struct sim *sim = world_of_three(1);
    for (unsigned id = 1; id <= 3; id++) node_shift_wall(&sim->nodes[id], JUMP_MS);
    for (unsigned id = 1; id <= 3; id++) node_stop(&sim->nodes[id], DISK_KILLED);
    for (unsigned id = 1; id <= 3; id++) node_start(&sim->nodes[id]);
    sim_run_until(sim, sim->now_ms + 15000);
    uint64_t leader = nodes_leader(sim);
    assert_int_not_equal(leader, 0);
    assert_in_range(cluster_ms(sim, leader), sim->now_ms + JUMP_MS - 5000, sim->now_ms + JUMP_MS + 5000);
    nodes_close(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_follower_tells_cluster_time_to_one_that_has_just_started),
        cmocka_unit_test(when_all_have_restarted_the_wall_clocks_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
