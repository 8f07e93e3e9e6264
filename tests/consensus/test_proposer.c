/* Commands in, replies out: stories on a virtual cluster with the real driver and machine (command_cluster.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "tests/support/command_cluster.h"

#define PATIENCE_MS 20000u
#define NOTICED_MS 60u /* an overdue command is noticed within this */

static struct command_cluster *led_cluster(uint64_t seed, uint64_t *leader, uint64_t *follower)
{
    struct command_cluster *cluster = command_cluster_new(seed, 3);
    *leader = command_cluster_lead(cluster);
    assert_int_not_equal(*leader, 0);
    *follower = command_cluster_follower(cluster);
    return cluster;
}

static void close_cluster(struct command_cluster *cluster)
{
    const char *violation = raft_checks_violation(cluster->harness->checks);
    if (violation != NULL) {
        fail_msg("%s", violation);
    }
    command_cluster_free(cluster);
}

static void assert_applied(const struct command_write *write)
{
    assert_int_equal(write->answers, 1);
    assert_int_equal(write->outcome, PROPOSAL_APPLIED);
    assert_int_equal(write->applied, 1);
}

static struct proposer_statistics statistics(const struct command_cluster *cluster, uint64_t id)
{
    return proposer_statistics(cluster->nodes[id].proposer);
}

/* ---- at rest */

static void test_a_command_is_answered_on_the_node_that_took_it(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(1, &leader, &follower);
    struct command_write *there = command_cluster_write(cluster, follower, PATIENCE_MS, 0);
    struct command_write *here = command_cluster_write(cluster, leader, PATIENCE_MS, 0);
    assert_int_equal(there->answers + here->answers, 0);
    command_cluster_run(cluster, 300, NULL);
    assert_applied(there);
    assert_applied(here);
    assert_int_equal(statistics(cluster, follower).forwarded, 1);
    assert_int_equal(statistics(cluster, follower).pending + statistics(cluster, leader).pending, 0);
    assert_int_equal(proposer_next_tick_ms(cluster->nodes[follower].proposer), UINT64_MAX);
    close_cluster(cluster);
}

static void test_what_comes_together_shares_one_frame_and_one_entry_in_order(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(2, &leader, &follower);
    struct command_write *writes[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        writes[i] = command_cluster_write(cluster, follower, PATIENCE_MS, 0);
    }
    command_cluster_run(cluster, 300, NULL);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_applied(writes[i]);
        assert_int_equal(writes[i]->applied_index, writes[0]->applied_index);
        assert_int_equal(writes[i]->applied_order, i + 1);
    }
    assert_int_equal(cluster->frames_sent[FRAME_FORWARD], 1);
    assert_int_equal(statistics(cluster, leader).entries, 1);
    close_cluster(cluster);
}

static void test_what_the_leader_itself_asks_has_no_reply(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(3, &leader, &follower);
    Tocsin__Pulse pulse = TOCSIN__PULSE__INIT;
    pulse.limit = 1;
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_PULSE;
    command.pulse = &pulse;
    assert_false(proposer_submit_own(cluster->nodes[follower].proposer, &command));
    assert_true(proposer_submit_own(cluster->nodes[leader].proposer, &command));
    uint64_t before = harness_status(cluster->harness, follower).commit_index;
    cluster->nodes[leader].woken = true;
    command_cluster_run(cluster, 300, NULL);
    assert_int_equal(harness_status(cluster->harness, follower).commit_index, before + 1);
    close_cluster(cluster);
}

/* The queue belongs to a term: what came first in a new one, before the turn noticed, was thrown away with the old. */
static void test_what_comes_before_a_new_leaders_first_turn_is_kept(void **state)
{
    (void)state;
    struct command_cluster *cluster = command_cluster_new(4, 3);
    uint64_t leader = 0;
    while (leader == 0) {
        harness_run(cluster->harness, cluster->harness->now_ms + 1, 0, NULL, NULL);
        leader = harness_leader(cluster->harness);
    }
    Tocsin__Pulse pulse = TOCSIN__PULSE__INIT;
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_PULSE;
    command.pulse = &pulse;
    assert_true(proposer_submit_own(cluster->nodes[leader].proposer, &command));
    command_cluster_run(cluster, 300, NULL);
    assert_int_equal(statistics(cluster, leader).commands, 1);
    close_cluster(cluster);
}

/* ---- bounds */

static void test_no_more_than_a_window_is_under_way(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(5, &leader, &follower);
    command_cluster_isolate(cluster, follower);
    command_cluster_run(cluster, 1000, NULL);
    for (unsigned i = 0; i < LIMIT_ORIGIN_WINDOW; i++) {
        command_cluster_write(cluster, follower, PATIENCE_MS, 0);
    }
    struct command_write *over = command_cluster_write(cluster, follower, PATIENCE_MS, 0);
    assert_int_equal(over->answers, 0);
    command_cluster_run(cluster, 2, NULL);
    assert_int_equal(over->answers, 1);
    assert_int_equal(over->outcome, PROPOSAL_OVERLOADED);
    assert_int_equal(statistics(cluster, follower).pending, LIMIT_ORIGIN_WINDOW);

    harness_heal(cluster->harness);
    command_cluster_run(cluster, 5000, NULL);
    for (unsigned i = 0; i < LIMIT_ORIGIN_WINDOW; i++) {
        assert_applied(cluster->writes[i]);
    }
    assert_int_equal(over->applied, 0);
    close_cluster(cluster);
}

static void test_a_leaders_queue_has_a_bound_and_ends_with_its_term(void **state)
{
    (void)state;
    enum { COUNT = 8, SIZE_BYTES = 512 << 10 };
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(6, &leader, &follower);
    command_cluster_isolate(cluster, leader);
    size_t frame_size_bytes;
    uint8_t *frame = command_cluster_bulk(COUNT, SIZE_BYTES, &frame_size_bytes);
    struct proposer *proposer = cluster->nodes[leader].proposer;
    for (unsigned i = 0; i < 20; i++) {
        proposer_frame(proposer, follower, (struct span){frame, frame_size_bytes});
        assert_true(statistics(cluster, leader).queued_bytes <= PROPOSER_QUEUE_SIZE_BYTES_MAX);
    }
    free(frame);
    assert_int_equal(statistics(cluster, leader).queued_bytes, PROPOSER_QUEUE_SIZE_BYTES_MAX);
    proposer_turn(proposer);
    assert_int_equal(statistics(cluster, leader).entries, PROPOSER_INFLIGHT_ENTRIES_MAX);
    assert_true(statistics(cluster, leader).queued_bytes > 0);
    harness_heal(cluster->harness);
    command_cluster_isolate(cluster, leader);
    command_cluster_run(cluster, 3000, NULL); /* the others elect one of theirs */
    harness_heal(cluster->harness);
    command_cluster_run(cluster, 3000, NULL);
    assert_int_not_equal(harness_leader(cluster->harness), leader);
    assert_int_equal(statistics(cluster, leader).queued_bytes, 0);
    close_cluster(cluster);
}

/* Four MiB of commands and what an entry adds to each were more than an entry may have: the driver refused the first
 * entry of a long queue for good. */
static void test_a_backlog_larger_than_an_entry_goes_out_in_several(void **state)
{
    (void)state;
    enum { COUNT = 6000, PADDING = 1000 };
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(7, &leader, &follower);
    for (unsigned i = 0; i < COUNT; i++) {
        command_cluster_write(cluster, leader, PATIENCE_MS, PADDING);
    }
    command_cluster_run(cluster, 3000, NULL);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_applied(cluster->writes[i]);
        assert_int_equal(cluster->writes[i]->applied_order, i + 1);
    }
    assert_int_equal(statistics(cluster, leader).entries, 2);
    close_cluster(cluster);
}

/* A forwarded frame's commands behind one that is too large were lost with it, each time it was sent. */
static void test_a_command_that_is_too_large_does_not_hold_up_others(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(8, &leader, &follower);
    command_cluster_isolate(cluster, leader);
    size_t large_size_bytes, small_size_bytes;
    uint8_t *large = command_cluster_bulk(1, LIMIT_COMMAND_SIZE_BYTES + 1, &large_size_bytes);
    uint8_t *small = command_cluster_bulk(1, 100, &small_size_bytes);
    large = realloc(large, large_size_bytes + small_size_bytes);
    assert_non_null(large);
    for (size_t i = 0; i < small_size_bytes; i++) {
        large[large_size_bytes + i] = small[i];
    }
    struct proposer *proposer = cluster->nodes[leader].proposer;
    proposer_frame(proposer, follower, (struct span){large, large_size_bytes + small_size_bytes});
    assert_int_equal(statistics(cluster, leader).queued_bytes, 100);
    /* One that is cut off gives nothing, and does no harm. */
    proposer_frame(proposer, follower, (struct span){small, small_size_bytes - 1});
    proposer_frame(proposer, follower, (struct span){small, 3});
    assert_int_equal(statistics(cluster, leader).queued_bytes, 100);
    free(large);
    free(small);
    close_cluster(cluster);
}

/* A schedule with all its layers is as large as they are, however small the request: a leader proposed what no entry could hold, again and
 * again, and nothing behind it; a follower sent it each second to a leader that would not have it. */
static void test_a_command_that_is_too_large_is_not_taken_from_this_node(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(9, &leader, &follower);
    uint64_t nodes[] = {leader, follower};
    for (unsigned i = 0; i < 2; i++) {
        struct command_write *large = command_cluster_write(cluster, nodes[i], PATIENCE_MS, LIMIT_ENTRY_SIZE_BYTES + 1);
        struct command_write *also = command_cluster_write(cluster, nodes[i], PATIENCE_MS, LIMIT_COMMAND_SIZE_BYTES);
        struct command_write *behind = command_cluster_write(cluster, nodes[i], PATIENCE_MS, 0);
        assert_int_equal(large->answers, 0);
        command_cluster_run(cluster, 300, NULL);
        assert_int_equal(large->answers, 1);
        assert_int_equal(large->outcome, PROPOSAL_TOO_LARGE);
        assert_int_equal(also->outcome, PROPOSAL_TOO_LARGE);
        assert_applied(behind);
        assert_int_equal(statistics(cluster, nodes[i]).refused, 2);
    }
    char *padding = calloc(1, LIMIT_COMMAND_SIZE_BYTES + 1);
    assert_non_null(padding);
    memset(padding, 'x', LIMIT_COMMAND_SIZE_BYTES);
    Tocsin__ClusterNotice notice = TOCSIN__CLUSTER_NOTICE__INIT;
    notice.summary = padding;
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_CLUSTER_NOTICE;
    command.cluster_notice = &notice;
    assert_false(proposer_submit_own(cluster->nodes[leader].proposer, &command));
    assert_int_equal(statistics(cluster, leader).queued_bytes, 0);
    free(padding);
    close_cluster(cluster);
}

/* An entry with a command that no node knows would have stopped all of them, and again at each start. */
static void test_a_command_that_the_machine_does_not_know_is_not_proposed(void **state)
{
    (void)state;
    static const uint8_t strange[] = {
        0, 0, 0, 0,                   /* no command at all */
        4, 0, 0, 0, 1, 2, 3, 4,       /* damaged */
        3, 0, 0, 0, 0x98, 0x06, 0x01, /* a field of a later version */
    };
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(9, &leader, &follower);
    size_t known_size_bytes;
    uint8_t *frame = command_cluster_bulk(1, 100, &known_size_bytes);
    frame = realloc(frame, sizeof strange + known_size_bytes);
    assert_non_null(frame);
    memmove(frame + sizeof strange, frame, known_size_bytes);
    memcpy(frame, strange, sizeof strange);
    proposer_frame(cluster->nodes[leader].proposer, follower, (struct span){frame, sizeof strange + known_size_bytes});
    free(frame);
    assert_int_equal(statistics(cluster, leader).refused, 3);
    assert_int_equal(statistics(cluster, leader).queued_bytes, 100); /* those behind it are taken */
    struct command_write *write = command_cluster_write(cluster, follower, PATIENCE_MS, 0);
    command_cluster_run(cluster, 3000, NULL);
    assert_applied(write);
    close_cluster(cluster);
}

/* ---- elections and losses */

static uint64_t busy_until_ms;

static void write_everywhere(struct command_cluster *cluster)
{
    for (uint64_t id = 1; id <= cluster->harness->nodes_count; id++) {
        if (cluster->nodes[id].proposer != NULL && cluster->harness->now_ms < busy_until_ms) {
            command_cluster_write(cluster, id, PATIENCE_MS, 0);
        }
    }
}

static void test_what_is_under_way_when_the_leader_dies_is_answered_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t leader, follower;
        struct command_cluster *cluster = led_cluster(seed, &leader, &follower);
        busy_until_ms = cluster->harness->now_ms + 200;
        command_cluster_run(cluster, 20 + seed, write_everywhere);
        size_t under_way = 0;
        command_cluster_crash(cluster, leader);
        for (size_t i = 0; i < cluster->writes_count; i++) {
            under_way += cluster->writes[i]->answers == 0 && !cluster->writes[i]->lost;
        }
        assert_true(under_way > 0);
        command_cluster_run(cluster, 4000, write_everywhere);
        for (size_t i = 0; i < cluster->writes_count; i++) {
            if (!cluster->writes[i]->lost) {
                assert_applied(cluster->writes[i]);
            }
            assert_true(cluster->writes[i]->applied <= 1);
        }
        close_cluster(cluster);
    }
}

static void test_a_command_without_a_leader_ends_at_its_deadline(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(9, &leader, &follower);
    command_cluster_isolate(cluster, leader);
    command_cluster_isolate(cluster, follower);
    struct command_write *proposed = command_cluster_write(cluster, leader, 1500, 0);
    struct command_write *waiting = command_cluster_write(cluster, follower, 1700, 0);
    command_cluster_run(cluster, 1500, NULL);
    assert_int_equal(waiting->answers, 0);
    command_cluster_run(cluster, 300, NULL);
    const struct command_write *both[] = {proposed, waiting};
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(both[i]->answers, 1);
        assert_int_equal(both[i]->outcome, PROPOSAL_UNAVAILABLE);
        assert_in_range(both[i]->answered_ms, both[i]->deadline_ms, both[i]->deadline_ms + NOTICED_MS);
    }
    harness_heal(cluster->harness);
    command_cluster_run(cluster, 3000, NULL);
    assert_int_equal(proposed->answers + waiting->answers, 2);
    assert_true(proposed->applied <= 1);
    close_cluster(cluster);
}

/* Overdue commands were looked for every so often, and what came in between was proposed all the same: a node whose
 * disk does not keep up gives no time, and took the commands nevertheless. */
static void test_a_command_without_any_time_is_not_proposed(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(10, &leader, &follower);
    for (unsigned i = 0; i < 100; i++) {
        command_cluster_write(cluster, i % 2 == 0 ? leader : follower, 0, 0);
        command_cluster_run(cluster, 3, NULL);
    }
    command_cluster_run(cluster, 100, NULL);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(cluster->writes[i]->answers, 1);
        assert_int_equal(cluster->writes[i]->outcome, PROPOSAL_UNAVAILABLE);
        assert_int_equal(cluster->writes[i]->applied, 0);
    }
    close_cluster(cluster);
}

static unsigned frames_to_lose;

static bool lose_forwards(struct command_cluster *cluster, enum frame_type type, uint8_t *body)
{
    (void)cluster;
    (void)body;
    if (type != FRAME_FORWARD || frames_to_lose == 0) {
        return true;
    }
    frames_to_lose--;
    return false;
}

static void test_a_lost_frame_is_sent_again(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(11, &leader, &follower);
    cluster->on_frame = lose_forwards;
    frames_to_lose = 2;
    struct command_write *write = command_cluster_write(cluster, follower, PATIENCE_MS, 0);
    command_cluster_run(cluster, PROPOSER_RESEND_MS - 10, NULL);
    assert_int_equal(cluster->frames_sent[FRAME_FORWARD], 1);
    command_cluster_run(cluster, PROPOSER_RESEND_MS + 300, NULL);
    assert_applied(write);
    assert_int_equal(cluster->frames_sent[FRAME_FORWARD], 3);
    close_cluster(cluster);
}

static void test_a_slow_answer_is_asked_for_again_and_applied_once(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(12, &leader, &follower);
    cluster->nodes[follower].state_held = true;
    struct command_write *write = command_cluster_write(cluster, follower, PATIENCE_MS, 0);
    command_cluster_run(cluster, 3 * PROPOSER_RESEND_MS, NULL);
    assert_true(cluster->frames_sent[FRAME_FORWARD] >= 2);
    assert_int_equal(write->answers, 0);
    cluster->nodes[follower].state_held = false;
    command_cluster_run(cluster, 300, NULL);
    assert_applied(write);
    close_cluster(cluster);
}

static void test_a_reply_to_an_earlier_boot_is_nobodys(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(13, &leader, &follower);
    cluster->nodes[follower].state_held = true;
    struct command_write *before = command_cluster_write(cluster, follower, PATIENCE_MS, 0);
    command_cluster_run(cluster, 300, NULL);
    assert_int_equal(before->applied, 1);
    command_cluster_crash(cluster, follower);
    command_cluster_start(cluster, follower);
    struct command_write *after = command_cluster_write(cluster, follower, PATIENCE_MS, 0);
    command_cluster_run(cluster, 2000, NULL);
    assert_true(before->lost);
    assert_applied(after);
    close_cluster(cluster);
}

static void test_a_reply_that_a_snapshot_swallows_is_not_waited_for(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(14, &leader, &follower);
    cluster->nodes[follower].state_held = true;
    struct command_write *write = command_cluster_write(cluster, follower, PATIENCE_MS, 0);
    while (write->applied == 0) {
        command_cluster_run(cluster, 1, NULL);
    }
    command_cluster_isolate(cluster, follower);
    for (unsigned i = 0; i < 20; i++) {
        command_cluster_write(cluster, leader, PATIENCE_MS, 0);
        command_cluster_run(cluster, 50, NULL);
    }
    harness_state_sync(cluster->harness, leader);
    harness_compact(cluster->harness, leader, 0);
    cluster->nodes[follower].state_held = false;
    /* What the follower had been given before the snapshot is dropped with its reply. */
    cluster->nodes[follower].applied_index = cluster->nodes[follower].handed_index;
    harness_heal(cluster->harness);
    command_cluster_run(cluster, 5000, NULL);
    assert_true(cluster->harness->counts.snapshots > 0);
    assert_int_equal(write->answers, 1);
    assert_int_equal(write->outcome, PROPOSAL_UNAVAILABLE);
    assert_true(write->answered_ms < write->deadline_ms);
    assert_int_equal(write->applied, 1);
    close_cluster(cluster);
}

/* ---- the end */

static void test_a_node_that_stops_says_so_to_all(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(15, &leader, &follower);
    struct command_write *writes[6];
    for (unsigned i = 0; i < 4; i++) {
        writes[i] = command_cluster_write(cluster, follower, PATIENCE_MS, 0);
    }
    command_cluster_run(cluster, 1, NULL);
    cluster->inside_call = true;
    proposer_stop(cluster->nodes[follower].proposer);
    cluster->inside_call = false;
    writes[4] = command_cluster_write(cluster, follower, PATIENCE_MS, 0);
    assert_int_equal(proposer_next_tick_ms(cluster->nodes[follower].proposer), 0);
    command_cluster_run(cluster, 2, NULL);
    writes[5] = command_cluster_write(cluster, follower, PATIENCE_MS, 0);
    command_cluster_run(cluster, 2000, NULL);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(writes[i]->answers, 1);
        assert_int_equal(writes[i]->outcome, PROPOSAL_STOPPED);
    }
    assert_int_equal(writes[5]->applied, 0);
    close_cluster(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_command_is_answered_on_the_node_that_took_it),
        cmocka_unit_test(test_what_comes_together_shares_one_frame_and_one_entry_in_order),
        cmocka_unit_test(test_what_the_leader_itself_asks_has_no_reply),
        cmocka_unit_test(test_what_comes_before_a_new_leaders_first_turn_is_kept),
        cmocka_unit_test(test_no_more_than_a_window_is_under_way),
        cmocka_unit_test(test_a_leaders_queue_has_a_bound_and_ends_with_its_term),
        cmocka_unit_test(test_a_backlog_larger_than_an_entry_goes_out_in_several),
        cmocka_unit_test(test_a_command_that_is_too_large_does_not_hold_up_others),
        cmocka_unit_test(test_a_command_that_is_too_large_is_not_taken_from_this_node),
        cmocka_unit_test(test_a_command_that_the_machine_does_not_know_is_not_proposed),
        cmocka_unit_test(test_what_is_under_way_when_the_leader_dies_is_answered_once),
        cmocka_unit_test(test_a_command_without_a_leader_ends_at_its_deadline),
        cmocka_unit_test(test_a_command_without_any_time_is_not_proposed),
        cmocka_unit_test(test_a_lost_frame_is_sent_again),
        cmocka_unit_test(test_a_slow_answer_is_asked_for_again_and_applied_once),
        cmocka_unit_test(test_a_reply_to_an_earlier_boot_is_nobodys),
        cmocka_unit_test(test_a_reply_that_a_snapshot_swallows_is_not_waited_for),
        cmocka_unit_test(test_a_node_that_stops_says_so_to_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
