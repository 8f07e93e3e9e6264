/*
 * Many clusters, each living through 40 random seconds of crashes, partitions, slow disks, lost messages, snapshots,
 * changes of members and transfers of leadership, then healed: nothing that was committed may ever change, and
 * everybody must agree in the end.
 *
 * One seed is one run, the same each time. RAFT_SEED=n runs that one; RAFT_SEED_FIRST and RAFT_SEED_LAST name others
 * than the first SEEDS. RAFT_GUARDS_OFF takes out the guards of those bits (guards.h), to see what they are for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "consensus/members.h"
#include "tests/support/raft_harness.h"

#define SEEDS 1000u
#define CHAOS_MS 40000u
#define CHAOS_PERIOD_MS 60u
#define HEAL_MS 30000u
#define HEAL_COMMITS 20u

/* ---- chaos */

static void crash_one(struct harness *harness, uint64_t id)
{
    harness_crash(harness, id);
}

static void start_one(struct harness *harness, uint64_t id)
{
    harness_start(harness, id);
}

static void cut_link(struct harness *harness, uint64_t id)
{
    uint64_t other = 1 + harness_random(harness, harness->nodes_count);
    harness_cut(harness, id, other, true);
    if (harness_chance(harness, 500)) {
        harness_cut(harness, other, id, true);
    }
}

static void isolate(struct harness *harness, uint64_t id)
{
    for (uint64_t other = 1; other <= harness->nodes_count; other++) {
        if (other != id) {
            harness_cut(harness, id, other, true);
            harness_cut(harness, other, id, true);
        }
    }
}

static void join_links(struct harness *harness, uint64_t id)
{
    (void)id;
    for (uint64_t from = 1; from <= harness->nodes_count; from++) {
        for (uint64_t to = 1; to <= harness->nodes_count; to++) {
            harness_cut(harness, from, to, false);
        }
    }
}

static void lose_messages(struct harness *harness, uint64_t id)
{
    (void)id;
    harness->loss_permille = harness_chance(harness, 500) ? (unsigned)harness_random(harness, 200) : 0;
}

static void delay_messages(struct harness *harness, uint64_t id)
{
    (void)id;
    harness->delay_ms_max = 1 + (unsigned)harness_random(harness, harness_chance(harness, 750) ? 30 : 300);
}

static void slow_disk(struct harness *harness, uint64_t id)
{
    harness_node(harness, id)->slow_until_ms = harness->now_ms + harness_random(harness, 3000);
}

static void transfer(struct harness *harness, uint64_t id)
{
    uint64_t leader = harness_leader(harness);
    if (leader != 0) {
        uint64_t to = harness_chance(harness, 500) ? 0 : id;
        harness->counts.transfers += driver_transfer(harness_node(harness, leader)->driver, to) == DRIVER_OK;
    }
}

/* A random step of `leader`: a stranger joins as a learner, a learner is caught up or promoted or leaves, a voter
 * steps down or leaves. */
static void change_members(struct harness *harness, uint64_t leader)
{
    uint64_t id = 1 + harness_random(harness, harness->nodes_count);
    struct driver *driver = harness_node(harness, leader)->driver;
    const struct raft_server *server = members_find(driver_configuration(driver), id);
    int learner = harness_chance(harness, 700) ? RAFT_STANDBY : RAFT_SPARE;
    if (server == NULL) {
        (void)harness_change(harness, leader, id, learner);
    } else if (server->role == RAFT_VOTER) {
        (void)harness_change(harness, leader, id, harness_chance(harness, 500) ? learner : -1);
    } else if (harness_chance(harness, 800)) {
        if (harness_change(harness, leader, id, RAFT_VOTER) == DRIVER_OK) {
            harness->counts.promotions++;
        } else {
            (void)driver_catch_up(driver, id);
        }
    } else {
        (void)harness_change(harness, leader, id, harness_chance(harness, 500) ? learner : -1);
    }
}

/* Everybody who believes to lead tries: that is where it gets interesting. */
static void change_somewhere(struct harness *harness, uint64_t id)
{
    (void)id;
    for (uint64_t leader = 1; leader <= harness->nodes_count; leader++) {
        if (harness_node(harness, leader)->up) {
            change_members(harness, leader);
        }
    }
}

static const struct {
    unsigned weight;
    void (*act)(struct harness *harness, uint64_t id);
} actions[] = {
    {8, crash_one},      {20, start_one},    {8, cut_link},        {3, isolate},  {12, join_links}, {4, lose_messages},
    {3, delay_messages}, {4, slow_disk},     {4, transfer},        {20, change_somewhere},
};

static void submit_some(struct harness *harness)
{
    for (uint64_t id = 1; id <= harness->nodes_count; id++) {
        uint64_t count = harness_node(harness, id)->up ? harness_random(harness, 4) : 0;
        while (count > 0) {
            count--;
            (void)harness_submit(harness, id);
        }
    }
}

static void keep_house(struct harness *harness)
{
    for (uint64_t id = 1; id <= harness->nodes_count; id++) {
        struct harness_node *node = harness_node(harness, id);
        if (node->up && harness_chance(harness, 200)) {
            harness_state_sync(harness, id);
        }
        if (node->up && harness_chance(harness, 50)) {
            harness_compact(harness, id, harness_random(harness, 30));
        }
    }
}

static void chaos(struct harness *harness, void *context)
{
    bool healed = context != NULL;
    submit_some(harness);
    keep_house(harness);
    unsigned draw = (unsigned)harness_random(harness, 300); /* more often than not nothing happens */
    for (size_t i = 0; i < sizeof actions / sizeof actions[0] && !healed; i++) {
        if (draw < actions[i].weight) {
            actions[i].act(harness, 1 + harness_random(harness, harness->nodes_count));
            break;
        }
        draw -= actions[i].weight;
    }
}

/* ---- and after */

static bool everyone_applied(struct harness *harness, uint64_t index)
{
    uint64_t leader = harness_leader(harness);
    if (leader == 0 || !harness_status(harness, leader).ready) {
        return false;
    }
    const struct raft_configuration *configuration = driver_configuration(harness_node(harness, leader)->driver);
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct raft_server *server = &configuration->servers[i];
        if (server->role != RAFT_SPARE && harness_node(harness, server->id)->state.index < index) {
            return false;
        }
    }
    return true;
}

/* A leader that cannot change members any more is as bad as none. */
static void check_changes_still_work(struct harness *harness)
{
    uint64_t leader = harness_leader(harness);
    struct driver *driver = harness_node(harness, leader)->driver;
    uint64_t end_ms = harness->now_ms + HEAL_MS;
    while (harness->now_ms < end_ms && raft_checks_violation(harness->checks) == NULL) {
        const struct raft_configuration *configuration = driver_configuration(driver);
        uint64_t other = 0;
        for (uint64_t id = 1; id <= harness->nodes_count; id++) {
            const struct raft_server *server = members_find(configuration, id);
            other = server == NULL || server->role != RAFT_VOTER ? id : other;
        }
        if (other == 0) {
            return; /* all vote: nothing left to try that is allowed */
        }
        const struct raft_server *server = members_find(configuration, other);
        int role = server != NULL && server->role == RAFT_STANDBY ? RAFT_SPARE : RAFT_STANDBY;
        if (harness_change(harness, leader, other, role) == DRIVER_OK) {
            return;
        }
        harness_run(harness, harness->now_ms + 500, CHAOS_PERIOD_MS, chaos, harness);
        leader = harness_leader(harness);
        leader = leader != 0 ? leader : 1;
        driver = harness_node(harness, leader)->driver;
    }
    raft_checks_report(harness->checks, "no change of members is possible any more");
}

static void check_convergence(struct harness *harness)
{
    harness_heal(harness);
    for (uint64_t id = 1; id <= harness->nodes_count; id++) {
        harness_node(harness, id)->slow_until_ms = 0;
        harness_start(harness, id);
    }
    uint64_t target = raft_checks_commit_max(harness->checks) + HEAL_COMMITS;
    uint64_t end_ms = harness->now_ms + HEAL_MS;
    while (harness->now_ms < end_ms && raft_checks_violation(harness->checks) == NULL) {
        harness_run(harness, harness->now_ms + 500, CHAOS_PERIOD_MS, chaos, harness);
        if (everyone_applied(harness, target)) {
            check_changes_still_work(harness);
            return;
        }
    }
    for (uint64_t id = 1; id <= harness->nodes_count && raft_checks_violation(harness->checks) == NULL; id++) {
        struct driver_status status = harness_status(harness, id);
        print_message("  node %u: role %d term %u last %u durable %u commit %u applied %u\n", (unsigned)id,
                      (int)status.role, (unsigned)status.term, (unsigned)status.last_index,
                      (unsigned)status.durable_index, (unsigned)status.commit_index,
                      (unsigned)harness_node(harness, id)->state.index);
    }
    raft_checks_report(harness->checks, "the healed cluster does not come together");
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

/* Three voters of four to six nodes, or five of five or six; the others wait to be added. */
static struct harness *live_through(uint64_t seed)
{
    uint64_t draw = raft_checks_mix(seed, 7);
    unsigned nodes = 4 + (unsigned)(draw % 3);
    unsigned voters = nodes >= 5 && (draw >> 8) % 2 == 0 ? 5 : 3;
    struct harness *harness = harness_new(seed, nodes);
    harness->guards_off = (uint32_t)number_of("RAFT_GUARDS_OFF", 0);
    harness_bootstrap(harness, voters, 0);
    for (uint64_t id = 1; id <= nodes; id++) {
        harness_start(harness, id);
    }
    harness_run(harness, harness->now_ms + CHAOS_MS, CHAOS_PERIOD_MS, chaos, NULL);
    check_convergence(harness);
    return harness;
}

static void test_nothing_committed_is_ever_lost(void **state)
{
    (void)state;
    uint64_t only = number_of("RAFT_SEED", 0);
    uint64_t first = only != 0 ? only : number_of("RAFT_SEED_FIRST", 1);
    uint64_t last = only != 0 ? only : number_of("RAFT_SEED_LAST", first + SEEDS - 1);
    struct harness_counts sum = {0};
    unsigned bad = 0;
    for (uint64_t seed = first; seed <= last; seed++) {
        struct harness *harness = live_through(seed);
        const char *violation = raft_checks_violation(harness->checks);
        if (violation != NULL) {
            print_error("RAFT_SEED=%u after %u ms: %s\n", (unsigned)seed, (unsigned)harness->now_ms, violation);
            bad++;
        }
#define X(name) sum.name += harness->counts.name;
        HARNESS_COUNTS(X)
#undef X
        harness_free(harness);
    }
    print_message("%u clusters:", (unsigned)(last + 1 - first));
#define X(name) print_message(" %u " #name, (unsigned)sum.name);
    HARNESS_COUNTS(X)
#undef X
    print_message("\n");
    assert_int_equal(bad, 0);
    /* A run in which nothing happens proves nothing. */
#define X(name) assert_true(sum.name > 0 || last - first < 99);
    HARNESS_COUNTS(X)
#undef X
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_committed_is_ever_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
