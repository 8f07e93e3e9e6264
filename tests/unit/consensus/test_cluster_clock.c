/* Cluster time told as stories of nodes whose wall clocks are right, wrong, or jump. CLOCK_BOOTTIME runs alike
 * everywhere here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "consensus/cluster_clock.h"

#define HOUR_MS (3600ll * 1000)
/* Some day in 2025, and an uptime. */
#define T0 1750000000000ll
#define B0 5000000ull

/* `from` tells `to` its wall clock; both at boottime. */
static void report(struct cluster_clock *to, uint64_t from, int64_t from_wall_ms, int64_t to_wall_ms,
                   uint64_t boottime_ms)
{
    cluster_clock_peer(to, from, (uint64_t)from_wall_ms, (uint64_t)to_wall_ms, boottime_ms);
}

/* Node 1 of three; the last stamp was T0, seen live at B0. */
static struct cluster_clock running_clock(void)
{
    struct cluster_clock clock;
    cluster_clock_init(&clock, 1, 3);
    cluster_clock_saw(&clock, T0, B0);
    return clock;
}

/*
 * Runs node 1 as the leader for some seconds with a stamp each `step_ms`. Wall clocks are T0 plus the time since, plus
 * each node's error. Returns by how much cluster time gained on the monotonic clock.
 */
static int64_t lead(struct cluster_clock *clock, uint64_t seconds, uint64_t step_ms, int64_t error_1_ms,
                    int64_t error_2_ms, int64_t error_3_ms)
{
    uint64_t first_ms = clock->last_stamp_ms, stamp_ms = first_ms, start_ms = clock->seen_boottime_ms;
    int64_t at_ms = (int64_t)(start_ms - B0) + T0;
    for (uint64_t passed_ms = 0; passed_ms <= seconds * 1000; passed_ms += step_ms) {
        int64_t right_ms = at_ms + (int64_t)passed_ms;
        if (passed_ms % 1000 == 0) {
            report(clock, 2, right_ms + error_2_ms, right_ms + error_1_ms, start_ms + passed_ms);
            report(clock, 3, right_ms + error_3_ms, right_ms + error_1_ms, start_ms + passed_ms);
        }
        uint64_t next_ms = cluster_clock_stamp(clock, (uint64_t)(right_ms + error_1_ms), start_ms + passed_ms);
        assert_true(next_ms >= stamp_ms);
        stamp_ms = next_ms;
    }
    return (int64_t)(stamp_ms - first_ms) - (int64_t)(clock->seen_boottime_ms - start_ms);
}

static void time_runs_on_when_the_leader_changes(void **state)
{
    (void)state;
    struct cluster_clock clock = running_clock();
    /* given no reports of anyone, and a wall clock that is a day off: it says nothing against the stamps */
    uint64_t wall_ms = (uint64_t)(T0 + 24 * HOUR_MS);
    assert_int_equal(cluster_clock_now(&clock, wall_ms, B0 + 2500), T0 + 2500);
    assert_int_equal(cluster_clock_stamp(&clock, wall_ms, B0 + 2500), T0 + 2500);
    assert_int_equal(cluster_clock_stamp(&clock, 0, B0 + 10000), T0 + 10000);
}

static void a_follower_runs_on_from_the_last_stamp_that_it_saw(void **state)
{
    (void)state;
    struct cluster_clock clock = running_clock();
    cluster_clock_saw(&clock, T0 + 1000, B0 + 1010);
    cluster_clock_saw(&clock, T0 + 1990, B0 + 2010); /* the leader slewed, or the network was slow */
    assert_int_equal(cluster_clock_now(&clock, T0, B0 + 3010), T0 + 2990);
    /* A stamp that comes again is no news: the clock does not stand still for it. */
    cluster_clock_saw(&clock, T0 + 1990, B0 + 2900);
    cluster_clock_saw(&clock, T0 + 1000, B0 + 2950);
    assert_int_equal(cluster_clock_now(&clock, T0, B0 + 3010), T0 + 2990);
}

static void looking_is_not_stamping(void **state)
{
    (void)state;
    struct cluster_clock clock = running_clock();
    struct cluster_clock before = clock;
    cluster_clock_now(&clock, T0 + 700, B0 + 700);
    assert_memory_equal(&clock, &before, sizeof clock);
}

static void the_leaders_own_wrong_clock_moves_nothing(void **state)
{
    (void)state;
    static const int64_t jumps_ms[] = {HOUR_MS, -HOUR_MS, 30 * 365 * 24 * HOUR_MS, -30 * 365 * 24 * HOUR_MS};
    for (size_t i = 0; i < sizeof jumps_ms / sizeof jumps_ms[0]; i++) {
        /* given three clocks that agree, when the leader's jumps, then the two others keep the time where it is */
        struct cluster_clock clock = running_clock();
        assert_int_equal(lead(&clock, 10, 100, 0, 0, 0), 0);
        assert_int_equal(lead(&clock, 600, 100, jumps_ms[i], 0, 0), 0);
        assert_true(cluster_clock_agreed(&clock, clock.seen_boottime_ms));
    }
}

static void a_jump_is_seen_as_ones_own_before_anybody_reports_again(void **state)
{
    (void)state;
    struct cluster_clock clock = running_clock();
    lead(&clock, 10, 1000, 0, 0, 0);
    uint64_t boottime_ms = clock.seen_boottime_ms, stamp_ms = clock.last_stamp_ms;
    for (unsigned passed_ms = 100; passed_ms < 10000; passed_ms += 100)
        assert_int_equal(cluster_clock_stamp(&clock, stamp_ms + HOUR_MS, boottime_ms + passed_ms),
                         stamp_ms + passed_ms);
}

static void one_wrong_clock_among_the_others_moves_nothing(void **state)
{
    (void)state;
    struct cluster_clock clock = running_clock();
    assert_int_equal(lead(&clock, 600, 100, 0, HOUR_MS, 0), 0);
    assert_int_equal(lead(&clock, 600, 100, 0, 0, -HOUR_MS), 0);
}

static void without_an_agreeing_majority_nothing_is_slewed(void **state)
{
    (void)state;
    struct cluster_clock clock = running_clock();
    assert_int_equal(lead(&clock, 600, 100, 0, HOUR_MS, -HOUR_MS), 0);
    assert_false(cluster_clock_agreed(&clock, clock.seen_boottime_ms));
    /* Two of five are no majority, even if they are all that is known. */
    struct cluster_clock five = running_clock();
    cluster_clock_set_members(&five, 5);
    report(&five, 2, T0 + HOUR_MS, T0 + HOUR_MS, B0);
    assert_int_equal(cluster_clock_stamp(&five, T0 + HOUR_MS + 5000, B0 + 5000), T0 + 5000);
    assert_false(cluster_clock_agreed(&five, B0 + 5000));
    report(&five, 3, T0 + HOUR_MS + 5000, T0 + HOUR_MS + 5000, B0 + 5000);
    assert_true(cluster_clock_agreed(&five, B0 + 5000));
}

static void time_slews_towards_the_agreed_median_at_a_bounded_rate(void **state)
{
    (void)state;
    /* given members that agree on being ahead (or behind) of cluster time, whatever the rhythm of stamps */
    static const uint64_t steps_ms[] = {1, 10, 100, 1000};
    for (size_t i = 0; i < sizeof steps_ms / sizeof steps_ms[0]; i++) {
        /* then it gains 5 ms a second, and loses as much */
        struct cluster_clock behind = running_clock();
        assert_int_equal(lead(&behind, 100, steps_ms[i], HOUR_MS, HOUR_MS + 300, HOUR_MS + 500), 500);
        struct cluster_clock ahead = running_clock();
        assert_int_equal(lead(&ahead, 100, steps_ms[i], -HOUR_MS, -HOUR_MS - 300, -HOUR_MS + 200), -500);
        /* and one wrong clock does not hinder the other two, the leader's own included */
        struct cluster_clock wrong = running_clock();
        assert_int_equal(lead(&wrong, 100, steps_ms[i], -HOUR_MS, HOUR_MS, HOUR_MS + 10), 500);
        /* and it stops at the median */
        struct cluster_clock near = running_clock();
        assert_int_equal(lead(&near, 100, steps_ms[i], 190, 200, 210), 200);
        struct cluster_clock near_ahead = running_clock();
        assert_int_equal(lead(&near_ahead, 100, steps_ms[i], -190, -200, -210), -200);
    }
}

static void what_was_not_slewed_while_all_was_well_is_not_saved_up(void **state)
{
    (void)state;
    struct cluster_clock clock = running_clock();
    assert_int_equal(lead(&clock, 3600, 1000, 0, 0, 0), 0);
    assert_int_equal(lead(&clock, 10, 1000, HOUR_MS, HOUR_MS, HOUR_MS), 50);
}

static void old_reports_do_not_count(void **state)
{
    (void)state;
    struct cluster_clock clock = running_clock();
    int64_t offset_ms = 0;
    report(&clock, 2, T0 + 1700, T0 + 200, B0);
    report(&clock, 3, T0 + 200, T0 + 200, B0);
    assert_true(cluster_clock_offset(&clock, 2, B0 + CLUSTER_CLOCK_OPINION_MS, &offset_ms));
    assert_int_equal(offset_ms, 1500);
    assert_true(cluster_clock_agreed(&clock, B0 + CLUSTER_CLOCK_OPINION_MS));
    assert_false(cluster_clock_offset(&clock, 2, B0 + CLUSTER_CLOCK_OPINION_MS + 1, &offset_ms));
    assert_false(cluster_clock_agreed(&clock, B0 + CLUSTER_CLOCK_OPINION_MS + 1));
    assert_false(cluster_clock_offset(&clock, 4, B0, &offset_ms));
    /* A newer report replaces the older one. */
    report(&clock, 2, T0 + 20000 - 40, T0 + 20000, B0 + 20000);
    assert_true(cluster_clock_offset(&clock, 2, B0 + 20000, &offset_ms));
    assert_int_equal(offset_ms, -40);
}

static void a_sole_node_agrees_with_itself(void **state)
{
    (void)state;
    struct cluster_clock clock;
    cluster_clock_init(&clock, 1, 1);
    assert_true(cluster_clock_agreed(&clock, B0));
    assert_int_equal(cluster_clock_stamp(&clock, T0, B0), T0);
    /* then its wall clock slews it, and no more */
    assert_int_equal(cluster_clock_stamp(&clock, T0 + HOUR_MS + 1000, B0 + 1000), T0 + 1005);
}

static void after_a_full_restart_the_median_of_the_known_clocks_sets_the_time(void **state)
{
    (void)state;
    struct cluster_clock clock;
    cluster_clock_init(&clock, 1, 3);
    cluster_clock_floor(&clock, T0);
    /* given a night's outage: its own clock while it knows no other */
    int64_t morning_ms = T0 + 8 * HOUR_MS;
    assert_int_equal(cluster_clock_now(&clock, (uint64_t)morning_ms, B0), morning_ms);
    /* given one of three clocks wrong, its own or another's: the median is right */
    report(&clock, 2, morning_ms, morning_ms + HOUR_MS, B0);
    report(&clock, 3, morning_ms + 30, morning_ms + HOUR_MS, B0);
    assert_int_equal(cluster_clock_now(&clock, (uint64_t)(morning_ms + HOUR_MS), B0), morning_ms + 30);
    /* given two: the earlier */
    struct cluster_clock two;
    cluster_clock_init(&two, 1, 3);
    cluster_clock_floor(&two, T0);
    report(&two, 2, morning_ms + HOUR_MS, morning_ms, B0);
    assert_int_equal(cluster_clock_now(&two, (uint64_t)morning_ms, B0), morning_ms);
    /* and once it has been stamped, it runs on from there whatever the wall clocks do */
    assert_int_equal(cluster_clock_stamp(&clock, (uint64_t)(morning_ms + HOUR_MS), B0), morning_ms + 30);
    assert_int_equal(cluster_clock_stamp(&clock, (uint64_t)(morning_ms + 9 * HOUR_MS), B0 + 100), morning_ms + 130);
}

static void time_is_never_below_the_floor(void **state)
{
    (void)state;
    struct cluster_clock clock;
    cluster_clock_init(&clock, 1, 3);
    cluster_clock_floor(&clock, T0);
    cluster_clock_floor(&clock, T0 - 5000);
    /* given a clock that lost its battery, and nobody else's known */
    assert_int_equal(cluster_clock_now(&clock, 10, B0), T0);
    assert_int_equal(cluster_clock_stamp(&clock, 10, B0), T0);
    assert_int_equal(cluster_clock_stamp(&clock, 1010, B0 + 1000), T0 + 1000);
    /* A floor that rises while time runs (a snapshot was installed) lifts it, and does not make it run ahead. */
    cluster_clock_floor(&clock, T0 + 4000);
    assert_int_equal(cluster_clock_now(&clock, 2010, B0 + 2000), T0 + 4000);
    assert_int_equal(cluster_clock_now(&clock, 2010, B0 + 3500), T0 + 4000);
    assert_int_equal(cluster_clock_now(&clock, 2010, B0 + 5000), T0 + 5000);
    /* When all have lost it, their agreement is no reason to set it back either. */
    struct cluster_clock lost;
    cluster_clock_init(&lost, 1, 3);
    cluster_clock_floor(&lost, T0);
    report(&lost, 2, 0, 10, B0);
    assert_int_equal(cluster_clock_stamp(&lost, 10, B0), T0);
    assert_int_equal(cluster_clock_stamp(&lost, 1010, B0 + 1000), T0 + 995);
}

static void impossible_reports_are_passed_over(void **state)
{
    (void)state;
    struct cluster_clock clock = running_clock();
    int64_t offset_ms;
    cluster_clock_peer(&clock, 2, UINT64_MAX, T0, B0);
    cluster_clock_peer(&clock, 2, CLUSTER_CLOCK_WALL_MS_MAX + 1, T0, B0);
    cluster_clock_peer(&clock, 1, T0, T0, B0); /* itself */
    assert_int_equal(clock.peers_count, 0);
    assert_false(cluster_clock_offset(&clock, 2, B0, &offset_ms));
    assert_int_equal(cluster_clock_stamp(&clock, UINT64_MAX, B0 + 10), T0 + 10);
    /* More peers than there is room for: the one heard of longest ago goes. */
    for (uint64_t peer = 2; peer < 2 + CLUSTER_CLOCK_PEERS_MAX + 3; peer++)
        report(&clock, peer, T0 + (int64_t)peer, T0, B0 + peer);
    assert_int_equal(clock.peers_count, CLUSTER_CLOCK_PEERS_MAX);
    for (uint64_t peer = 2; peer < 5; peer++)
        assert_false(cluster_clock_offset(&clock, peer, B0 + 20, &offset_ms));
    for (uint64_t peer = 5; peer < 2 + CLUSTER_CLOCK_PEERS_MAX + 3; peer++) {
        assert_true(cluster_clock_offset(&clock, peer, B0 + 20, &offset_ms));
        assert_int_equal(offset_ms, peer);
    }
}

/* Three nodes lead in turn, restart, and have wall clocks that jump; the log's stamps are what they agree on. */
static void stamps_never_go_backwards_under_random_events(void **state)
{
    (void)state;
    uint64_t random_state = 88172645463325252ull;
    for (unsigned round = 0; round < 200; round++) {
        struct cluster_clock clocks[3];
        int64_t error_ms[3] = {0, 0, 0};
        uint64_t boottime_ms = B0, last_stamp_ms = 0;
        unsigned leader = 0;
        for (unsigned i = 0; i < 3; i++)
            cluster_clock_init(&clocks[i], i + 1, 3);
        for (unsigned step = 0; step < 500; step++) {
            random_state ^= random_state << 13;
            random_state ^= random_state >> 7;
            random_state ^= random_state << 17;
            unsigned node = random_state >> 8 & 0xff;
            node %= 3;
            boottime_ms += random_state >> 16 & 0x3ff;
            int64_t right_ms = (int64_t)(boottime_ms - B0) + T0;
            switch (random_state >> 40 & 7) {
            case 0:
                error_ms[node] = (int64_t)(random_state >> 44) % (2 * HOUR_MS) - HOUR_MS;
                break;
            case 1:
                leader = node;
                break;
            case 2:
                cluster_clock_init(&clocks[node], node + 1, 3);
                cluster_clock_floor(&clocks[node], last_stamp_ms); /* it replays before it leads */
                break;
            case 3:
                for (unsigned to = 0; to < 3; to++)
                    report(&clocks[to], node + 1, right_ms + error_ms[node], right_ms + error_ms[to], boottime_ms);
                break;
            default: {
                uint64_t wall_ms = (uint64_t)(right_ms + error_ms[leader]);
                uint64_t expected_ms = cluster_clock_now(&clocks[leader], wall_ms, boottime_ms);
                bool ran_on = clocks[leader].seen_live && clocks[leader].seen_stamp_ms == last_stamp_ms;
                uint64_t elapsed_ms = boottime_ms - clocks[leader].seen_boottime_ms;
                uint64_t stamp_ms = cluster_clock_stamp(&clocks[leader], wall_ms, boottime_ms);
                assert_int_equal(stamp_ms, expected_ms);
                assert_true(stamp_ms >= last_stamp_ms);
                if (ran_on) { /* within the slew of what passed, and a fraction carried over */
                    int64_t gained_ms = (int64_t)(stamp_ms - last_stamp_ms) - (int64_t)elapsed_ms;
                    assert_true(llabs(gained_ms) <= (int64_t)elapsed_ms * CLUSTER_CLOCK_SLEW_PPM / 1000000 + 1);
                }
                last_stamp_ms = stamp_ms;
                for (unsigned to = 0; to < 3; to++)
                    cluster_clock_saw(&clocks[to], stamp_ms, boottime_ms);
            }
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_runs_on_when_the_leader_changes),
        cmocka_unit_test(a_follower_runs_on_from_the_last_stamp_that_it_saw),
        cmocka_unit_test(looking_is_not_stamping),
        cmocka_unit_test(the_leaders_own_wrong_clock_moves_nothing),
        cmocka_unit_test(a_jump_is_seen_as_ones_own_before_anybody_reports_again),
        cmocka_unit_test(one_wrong_clock_among_the_others_moves_nothing),
        cmocka_unit_test(without_an_agreeing_majority_nothing_is_slewed),
        cmocka_unit_test(time_slews_towards_the_agreed_median_at_a_bounded_rate),
        cmocka_unit_test(what_was_not_slewed_while_all_was_well_is_not_saved_up),
        cmocka_unit_test(old_reports_do_not_count),
        cmocka_unit_test(a_sole_node_agrees_with_itself),
        cmocka_unit_test(after_a_full_restart_the_median_of_the_known_clocks_sets_the_time),
        cmocka_unit_test(time_is_never_below_the_floor),
        cmocka_unit_test(impossible_reports_are_passed_over),
        cmocka_unit_test(stamps_never_go_backwards_under_random_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
