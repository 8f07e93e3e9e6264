/*
 * Clusters living through random seconds of crashes, partitions, lost and slow messages, standing states and snapshots,
 * with commands and current reads on every node all the while (command_cluster.h). Each command is answered once, in
 * time, with its own reply, and applied at most once; no current read shows less than anybody was told before it began;
 * and once healed, everything is answered as if nothing had been.
 *
 * One seed is one run, the same each time: COMMANDS_SEED=n runs that one, COMMANDS_SEEDS=n the first n.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "tests/support/command_cluster.h"

#define SEEDS 100u
#define CHAOS_MS 12000u
#define HEAL_MS 6000u
#define QUIET_MS 6000u

#define SUM_OF(X)                                                                                                      \
    X(applied) X(unavailable_undone) X(unavailable_done) X(swallowed) X(lost) X(current) X(stale) X(elections)         \
    X(snapshots) X(crashes)

struct sums {
#define X(name) uint64_t name;
    SUM_OF(X)
#undef X
};

/* ---- clients */

static void ask_some(struct command_cluster *cluster)
{
    struct harness *harness = cluster->harness;
    for (uint64_t id = 1; id <= harness->nodes_count; id++) {
        struct harness_node *node = harness_node(harness, id);
        if (!node->up || node->frozen_until_ms > harness->now_ms + 1) {
            continue;
        }
        if (harness_chance(harness, 25)) {
            uint64_t patience_ms = 200 + harness_random(harness, 5000);
            for (uint64_t count = 1 + harness_random(harness, 4); count > 0; count--) {
                (void)command_cluster_write(cluster, id, patience_ms, (size_t)harness_random(harness, 40));
            }
        }
        if (harness_chance(harness, 25)) {
            (void)command_cluster_read(cluster, id);
        }
    }
}

/* ---- chaos */

static void split(struct command_cluster *cluster)
{
    struct harness *harness = cluster->harness;
    uint64_t sides = harness_random(harness, 1u << harness->nodes_count);
    for (uint64_t from = 1; from <= harness->nodes_count; from++) {
        for (uint64_t to = 1; to <= harness->nodes_count; to++) {
            harness_cut(harness, from, to, (sides >> (from - 1) & 1) != (sides >> (to - 1) & 1));
        }
    }
}

static void keep_house(struct command_cluster *cluster, uint64_t id)
{
    if (harness_node(cluster->harness, id)->up) {
        harness_state_sync(cluster->harness, id);
        harness_compact(cluster->harness, id, harness_random(cluster->harness, 20));
    }
}

static void make_trouble(struct command_cluster *cluster)
{
    struct harness *harness = cluster->harness;
    uint64_t id = 1 + harness_random(harness, harness->nodes_count), leader = harness_leader(harness);
    switch (harness_random(harness, 14)) {
    case 0:
        command_cluster_crash(cluster, id);
        break;
    case 1:
        command_cluster_crash(cluster, leader != 0 ? leader : id);
        break;
    case 2:
    case 3:
        command_cluster_start(cluster, id);
        break;
    case 4:
        split(cluster);
        break;
    case 5:
        command_cluster_isolate(cluster, leader != 0 ? leader : id);
        break;
    case 6:
    case 7:
        harness_heal(harness);
        cluster->frame_loss_permille = 0;
        cluster->frame_delay_ms = 0;
        break;
    case 8:
        harness->loss_permille = (unsigned)harness_random(harness, 150);
        cluster->frame_loss_permille = (unsigned)harness_random(harness, 300);
        break;
    case 9:
        cluster->frame_delay_ms = (unsigned)harness_random(harness, 300);
        break;
    case 10:
        cluster->nodes[id].state_held = !cluster->nodes[id].state_held;
        break;
    case 11:
        cluster->nodes[id].commit_held = !cluster->nodes[id].commit_held;
        break;
    case 12:
        id = leader != 0 ? leader : id;
        harness_node(harness, id)->frozen_until_ms = harness->now_ms + harness_random(harness, 1500);
        break;
    case 13:
        harness_node(harness, id)->slow_until_ms = harness->now_ms + harness_random(harness, 1000);
        break;
    }
}

static void chaos(struct command_cluster *cluster)
{
    ask_some(cluster);
    if (harness_chance(cluster->harness, 8)) {
        make_trouble(cluster);
    }
    if (harness_chance(cluster->harness, 10)) {
        keep_house(cluster, 1 + harness_random(cluster->harness, cluster->harness->nodes_count));
    }
}

static void heal(struct command_cluster *cluster)
{
    harness_heal(cluster->harness);
    cluster->frame_loss_permille = 0;
    cluster->frame_delay_ms = 0;
    for (uint64_t id = 1; id <= cluster->harness->nodes_count; id++) {
        harness_node(cluster->harness, id)->slow_until_ms = 0;
        uint64_t *frozen_until_ms = &harness_node(cluster->harness, id)->frozen_until_ms;
        *frozen_until_ms = *frozen_until_ms < cluster->harness->now_ms ? *frozen_until_ms : cluster->harness->now_ms;
        command_cluster_start(cluster, id);
        cluster->nodes[id].state_held = cluster->nodes[id].commit_held = false;
    }
}

/* ---- and after */

#define REQUIRE(condition, number)                                                                                     \
    if (!(condition)) {                                                                                                \
        raft_checks_report(checks, "%s, of number %u", #condition, (unsigned)(number));                                \
    }

static void check_write(struct raft_checks *checks, const struct command_write *write, uint64_t healed_ms,
                        struct sums *sums)
{
    if (write->lost) {
        sums->lost++;
        return;
    }
    REQUIRE(write->answers == 1, write->number);
    REQUIRE(write->outcome == PROPOSAL_APPLIED || write->outcome == PROPOSAL_UNAVAILABLE, write->number);
    REQUIRE(write->outcome == PROPOSAL_APPLIED || write->asked_ms < healed_ms, write->number);
    bool swallowed = write->outcome == PROPOSAL_UNAVAILABLE && write->answered_ms < write->deadline_ms;
    REQUIRE(!swallowed || write->applied == 1, write->number);
    sums->applied += write->outcome == PROPOSAL_APPLIED;
    sums->swallowed += swallowed;
    sums->unavailable_done += write->outcome == PROPOSAL_UNAVAILABLE && write->applied == 1;
    sums->unavailable_undone += write->outcome == PROPOSAL_UNAVAILABLE && write->applied == 0;
}

static void check_all(struct command_cluster *cluster, uint64_t healed_ms, struct sums *sums)
{
    struct raft_checks *checks = cluster->harness->checks;
    for (size_t i = 0; i < cluster->writes_count; i++) {
        check_write(checks, cluster->writes[i], healed_ms, sums);
    }
    for (size_t i = 0; i < cluster->reads_count; i++) {
        const struct command_read *read = cluster->reads[i];
        REQUIRE(read->lost || read->answers == 1, i);
        REQUIRE(read->lost || !read->stale || read->asked_ms < healed_ms, i);
        sums->current += !read->lost && !read->stale;
        sums->stale += !read->lost && read->stale;
    }
    sums->elections += cluster->harness->counts.elections;
    sums->snapshots += cluster->harness->counts.snapshots;
    sums->crashes += cluster->harness->counts.crashes;
}

static bool live_through(uint64_t seed, struct sums *sums)
{
    struct command_cluster *cluster = command_cluster_new(seed, seed % 3 == 0 ? 5 : 3);
    command_cluster_run(cluster, CHAOS_MS, chaos);
    heal(cluster);
    command_cluster_run(cluster, HEAL_MS, NULL);
    uint64_t healed_ms = cluster->harness->now_ms;
    command_cluster_run(cluster, 1000, ask_some);
    command_cluster_run(cluster, QUIET_MS, NULL);
    if (raft_checks_violation(cluster->harness->checks) == NULL) {
        check_all(cluster, healed_ms, sums);
    }
    const char *violation = raft_checks_violation(cluster->harness->checks);
    if (violation != NULL) {
        print_error("COMMANDS_SEED=%u after %u ms: %s\n", (unsigned)seed, (unsigned)cluster->harness->now_ms,
                    violation);
    }
    bool good = violation == NULL;
    command_cluster_free(cluster);
    return good;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void test_nobody_is_told_what_is_not_so(void **state)
{
    (void)state;
    uint64_t only = number_of("COMMANDS_SEED", 0);
    uint64_t first = only != 0 ? only : 1, last = only != 0 ? only : number_of("COMMANDS_SEEDS", SEEDS);
    struct sums sums = {0};
    unsigned bad = 0;
    for (uint64_t seed = first; seed <= last; seed++) {
        bad += !live_through(seed, &sums);
    }
    print_message("%u clusters:", (unsigned)(last + 1 - first));
#define X(name) print_message(" %u " #name, (unsigned)sums.name);
    SUM_OF(X)
#undef X
    print_message("\n");
    assert_int_equal(bad, 0);
    /* A run in which nothing happens proves nothing. */
#define X(name) assert_true(sums.name > 0 || last - first < SEEDS / 2);
    SUM_OF(X)
#undef X
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_is_told_what_is_not_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
