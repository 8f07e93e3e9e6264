/*
 * Cluster time goes on while somebody knows it: a follower tells it to one that has just started, which may be elected
 * before it hears a leader.
 *
 *     node 1 leads, every wall clock jumps ahead ──> 1 and 3 are killed, 2 stays: it alone knows ──> 3 starts: 2 or 3 leads
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/sim/world/small_world.h"

#define SEEDS 40u
#define JUMP_MS 600000

static uint64_t cluster_ms(const struct sim *sim, uint64_t id) { return engine_cluster_ms(sim->nodes[id].engine); }

static void a_follower_tells_cluster_time_to_one_that_has_just_started(void **state) {
    (void)state;
    unsigned led_by_who_was_told = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim *sim = small_world(seed);
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
    struct sim *sim = small_world(1);
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
