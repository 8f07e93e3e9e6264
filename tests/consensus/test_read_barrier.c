/*
 * Current reads: stories on a virtual cluster (command_cluster.h), which checks each read itself: a current one shows
 * at least what anybody was told before it began, a stale one has waited for READ_WAIT_MS.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "consensus/transport/wire.h"
#include "tests/support/command_cluster.h"

#define PATIENCE_MS 20000u

static struct command_cluster *led_cluster(uint64_t seed, unsigned nodes, uint64_t *leader, uint64_t *follower)
{
    struct command_cluster *cluster = command_cluster_new(seed, nodes);
    *leader = command_cluster_lead(cluster);
    assert_int_not_equal(*leader, 0);
    *follower = command_cluster_follower(cluster);
    return cluster;
}

static void assert_no_violation(struct command_cluster *cluster)
{
    const char *violation = raft_checks_violation(cluster->harness->checks);
    if (violation != NULL) {
        fail_msg("%s", violation);
    }
}

static void close_cluster(struct command_cluster *cluster)
{
    assert_no_violation(cluster);
    command_cluster_free(cluster);
}

static void write_and_wait(struct command_cluster *cluster, uint64_t id)
{
    struct command_write *write = command_cluster_write(cluster, id, PATIENCE_MS, 0);
    for (unsigned waited_ms = 0; waited_ms < PATIENCE_MS && write->answers == 0; waited_ms++) {
        command_cluster_run(cluster, 1, NULL);
    }
    assert_int_equal(write->answers, 1);
    assert_int_equal(write->outcome, PROPOSAL_APPLIED);
}

static void assert_current(const struct command_read *read, uint64_t seen)
{
    assert_int_equal(read->answers, 1);
    assert_false(read->stale);
    assert_int_equal(read->seen, seen);
}

static enum frame_type type_to_lose;

static bool lose_all(struct command_cluster *cluster, enum frame_type type, uint8_t *body)
{
    (void)cluster;
    (void)body;
    return type != type_to_lose;
}

static void test_every_node_shows_what_any_node_was_told(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(1, 5, &leader, &follower);
    for (unsigned i = 1; i <= 20; i++) {
        write_and_wait(cluster, 1 + i % 5);
        struct command_read *reads[6];
        for (uint64_t id = 1; id <= 5; id++) {
            reads[id] = command_cluster_read(cluster, id);
            assert_int_equal(reads[id]->answers, 0);
        }
        command_cluster_run(cluster, 250, NULL);
        for (uint64_t id = 1; id <= 5; id++) {
            assert_current(reads[id], i);
        }
    }
    close_cluster(cluster);
}

static void test_what_is_read_together_asks_one_question(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(2, 3, &leader, &follower);
    uint64_t entries = harness_status(cluster->harness, leader).last_index;
    for (unsigned i = 0; i < 100; i++) {
        (void)command_cluster_read(cluster, follower);
    }
    command_cluster_run(cluster, 250, NULL);
    for (unsigned i = 0; i < 100; i++) {
        assert_current(cluster->reads[i], 0);
    }
    assert_int_equal(cluster->frames_sent[FRAME_READ_QUESTION], 1);
    assert_int_equal(harness_status(cluster->harness, leader).last_index, entries);
    assert_int_equal(read_barrier_next_tick_ms(cluster->nodes[follower].reads), UINT64_MAX);
    close_cluster(cluster);
}

static void test_one_node_alone_needs_nobody(void **state)
{
    (void)state;
    struct command_cluster *cluster = command_cluster_new(3, 1);
    assert_int_equal(command_cluster_lead(cluster), 1);
    write_and_wait(cluster, 1);
    struct command_read *read = command_cluster_read(cluster, 1);
    assert_int_equal(read->answers, 0);
    command_cluster_run(cluster, 100, NULL);
    assert_current(read, 1);
    close_cluster(cluster);
}

/* ---- the state */

static void test_a_read_waits_until_the_state_has_come_so_far(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(4, 3, &leader, &follower);
    struct command_node *node = &cluster->nodes[follower];
    node->state_held = true;
    write_and_wait(cluster, leader);
    struct command_read *read = command_cluster_read(cluster, follower);
    command_cluster_run(cluster, 1000, NULL);
    assert_int_equal(read->answers, 0);
    /* Applied, and not committed: a reader would not find it yet. */
    node->commit_held = true;
    node->state_held = false;
    command_cluster_run(cluster, 300, NULL);
    assert_true(node->applied_index > node->committed_index);
    assert_int_equal(read->answers, 0);
    assert_true(node->commit_wanted);
    node->commit_held = false;
    command_cluster_run(cluster, 100, NULL);
    assert_current(read, 1);
    close_cluster(cluster);
}

static bool say_one(struct command_cluster *cluster, enum frame_type type, uint8_t *body)
{
    (void)cluster;
    if (type == FRAME_READ_ANSWER) {
        wire_put_u64(body + 8, 1);
    }
    return true;
}

/* Whatever the leader says: what this node has told somebody is in what it shows. */
static void test_no_node_shows_less_than_it_has_told(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(5, 3, &leader, &follower);
    struct command_node *node = &cluster->nodes[follower];
    cluster->on_frame = say_one;
    node->commit_held = true;
    write_and_wait(cluster, follower);
    struct command_read *read = command_cluster_read(cluster, follower);
    command_cluster_run(cluster, 500, NULL);
    assert_int_equal(cluster->frames_sent[FRAME_READ_ANSWER], 1);
    assert_int_equal(read->answers, 0);
    node->commit_held = false;
    command_cluster_run(cluster, 100, NULL);
    assert_current(read, 1);
    close_cluster(cluster);
}

/* ---- who does not lead any more */

static void test_a_deposed_leader_does_not_answer_what_it_believes(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(6, 5, &leader, &follower);
    write_and_wait(cluster, leader);
    uint64_t companion = leader == 5 ? 4 : 5;
    for (uint64_t id = 1; id <= 5; id++) {
        for (uint64_t other = 1; other <= 5; other++) {
            bool here = id == leader || id == companion, there = other == leader || other == companion;
            harness_cut(cluster->harness, id, other, here != there);
        }
    }
    /* Before it steps down for want of a majority: it believes to lead, and cannot know. */
    struct command_read *alone = command_cluster_read(cluster, leader);
    struct command_read *beside = command_cluster_read(cluster, companion);
    command_cluster_run(cluster, READ_WAIT_MS / 2, NULL);
    assert_int_equal(alone->answers + beside->answers, 0);
    uint64_t other = 1;
    while (other == leader || other == companion) {
        other++;
    }
    write_and_wait(cluster, other);
    struct command_read *beyond = command_cluster_read(cluster, other);
    command_cluster_run(cluster, READ_WAIT_MS, NULL);
    assert_current(beyond, 2);
    assert_true(alone->answers == 1 && alone->stale && beside->answers == 1 && beside->stale);
    assert_int_equal(alone->seen, 1);
    struct command_read *again = command_cluster_read(cluster, companion);
    harness_heal(cluster->harness);
    command_cluster_run(cluster, READ_WAIT_MS, NULL);
    assert_current(again, 2);
    close_cluster(cluster);
}

/* Its process stood still while another was elected: when it goes on, it leads as far as it knows. */
static void test_a_leader_that_stood_still_shows_nothing_old(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        uint64_t leader, follower;
        struct command_cluster *cluster = led_cluster(seed, 3, &leader, &follower);
        write_and_wait(cluster, leader);
        harness_node(cluster->harness, leader)->frozen_until_ms = cluster->harness->now_ms + 2000;
        command_cluster_run(cluster, 1500, NULL);
        write_and_wait(cluster, follower);
        command_cluster_run(cluster, harness_node(cluster->harness, leader)->frozen_until_ms - cluster->harness->now_ms,
                            NULL);
        struct driver_status status = harness_status(cluster->harness, leader);
        assert_true(status.role == DRIVER_LEADER && status.ready);
        struct command_read *read = command_cluster_read(cluster, leader);
        command_cluster_run(cluster, 1000, NULL);
        assert_current(read, 2);
        close_cluster(cluster);
    }
}

static void confirm(struct command_cluster *cluster, uint64_t leader, uint64_t voter, uint64_t term, uint64_t round)
{
    uint8_t body[16];
    wire_put_u64(body, term);
    wire_put_u64(body + 8, round);
    read_barrier_frame(cluster->nodes[leader].reads, voter, FRAME_CONFIRM_ANSWER, (struct span){body, sizeof body});
    command_cluster_run(cluster, 20, NULL);
}

static void test_one_voters_word_counts_once_and_for_its_term(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(16, 5, &leader, &follower);
    uint64_t term = harness_status(cluster->harness, leader).term, third = 1;
    while (third == leader || third == follower) {
        third++;
    }
    type_to_lose = FRAME_CONFIRM_QUESTION; /* nobody hears of it but from this test */
    cluster->on_frame = lose_all;
    struct command_read *read = command_cluster_read(cluster, leader);
    command_cluster_run(cluster, 20, NULL);
    for (unsigned i = 0; i < 3; i++) {
        confirm(cluster, leader, follower, term, 1);
    }
    confirm(cluster, leader, third, term - 1, 1);
    confirm(cluster, leader, third, term, 2);
    assert_int_equal(read->answers, 0);
    confirm(cluster, leader, third, term, 1);
    assert_current(read, 0);
    close_cluster(cluster);
}

/* Raft's messages do not come through, frames do: the leader of before believes to lead, and everybody else knows of a
 * newer one. */
static void test_a_voter_that_knows_a_newer_term_does_not_confirm(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(7, 3, &leader, &follower);
    write_and_wait(cluster, leader);
    uint64_t term = harness_status(cluster->harness, leader).term;
    uint8_t body[16];
    wire_put_u64(body, term);
    wire_put_u64(body + 8, 1);
    struct span question = {body, sizeof body};
    uint64_t answers = cluster->frames_sent[FRAME_CONFIRM_ANSWER];
    read_barrier_frame(cluster->nodes[follower].reads, leader, FRAME_CONFIRM_QUESTION, question);
    assert_int_equal(cluster->frames_sent[FRAME_CONFIRM_ANSWER], answers + 1);
    command_cluster_isolate(cluster, leader);
    command_cluster_run(cluster, 3000, NULL);
    assert_true(harness_status(cluster->harness, follower).term > term);
    answers = cluster->frames_sent[FRAME_CONFIRM_ANSWER];
    read_barrier_frame(cluster->nodes[follower].reads, leader, FRAME_CONFIRM_QUESTION, question);
    assert_int_equal(cluster->frames_sent[FRAME_CONFIRM_ANSWER], answers);
    close_cluster(cluster);
}

static void test_without_a_majority_a_read_ends_stale(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(8, 3, &leader, &follower);
    write_and_wait(cluster, leader);
    for (uint64_t id = 1; id <= 3; id++) {
        if (id != follower) {
            command_cluster_crash(cluster, id);
        }
    }
    struct command_read *read = command_cluster_read(cluster, follower);
    command_cluster_run(cluster, READ_WAIT_MS, NULL);
    assert_int_equal(read->answers, 1);
    assert_true(read->stale);
    assert_int_equal(read->answered_ms, read->asked_ms + READ_WAIT_MS);
    close_cluster(cluster);
}

/* ---- losses, slowness, restarts */

static bool lose_one(struct command_cluster *cluster, enum frame_type type, uint8_t *body)
{
    (void)body;
    if (type != type_to_lose) {
        return true;
    }
    if (type != FRAME_CONFIRM_QUESTION && type != FRAME_CONFIRM_ANSWER) {
        cluster->on_frame = NULL;
    }
    return cluster->frames_sent[type] > 2;
}

static void test_whichever_frame_is_lost_is_asked_for_again(void **state)
{
    (void)state;
    static const enum frame_type types[] = {FRAME_READ_QUESTION, FRAME_READ_ANSWER, FRAME_CONFIRM_QUESTION,
                                            FRAME_CONFIRM_ANSWER};
    for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++) {
        uint64_t leader, follower;
        struct command_cluster *cluster = led_cluster(9 + i, 3, &leader, &follower);
        type_to_lose = types[i];
        cluster->on_frame = lose_one;
        struct command_read *read = command_cluster_read(cluster, follower);
        command_cluster_run(cluster, READ_ASK_AGAIN_MS - 10, NULL);
        assert_int_equal(read->answers, 0);
        command_cluster_run(cluster, 250, NULL);
        assert_current(read, 0);
        close_cluster(cluster);
    }
}

/* A follower asked again before the answer could have come, forgot what it had asked, and never got to know. */
static void test_members_far_apart_read_all_the_same(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(13, 3, &leader, &follower);
    write_and_wait(cluster, leader);
    for (unsigned delay_ms = 100; delay_ms <= 400; delay_ms += 100) {
        cluster->frame_delay_ms = delay_ms;
        struct command_read *near = command_cluster_read(cluster, leader);
        struct command_read *far = command_cluster_read(cluster, follower);
        command_cluster_run(cluster, READ_WAIT_MS, NULL);
        assert_current(near, 1);
        assert_current(far, 1);
    }
    close_cluster(cluster);
}

/* Questions were counted from one after each start: an answer to the one before the restart was taken for the new. */
static void test_an_answer_to_an_earlier_start_answers_nothing(void **state)
{
    (void)state;
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(14, 3, &leader, &follower);
    write_and_wait(cluster, leader);
    cluster->frame_delay_ms = 300; /* the old question's confirmation is under way for twice as long */
    (void)command_cluster_read(cluster, follower);
    command_cluster_run(cluster, 400, NULL);
    command_cluster_crash(cluster, follower);
    command_cluster_start(cluster, follower);
    while (command_cluster_register(cluster, cluster->nodes[follower].committed_index) == 0) {
        command_cluster_run(cluster, 1, NULL);
    }
    cluster->nodes[follower].state_held = true;
    write_and_wait(cluster, leader);
    uint64_t now_ms = cluster->harness->now_ms;
    struct command_read *read = command_cluster_read(cluster, follower);
    while (cluster->frames_sent[FRAME_READ_ANSWER] == 0) {
        command_cluster_run(cluster, 1, NULL);
    }
    command_cluster_run(cluster, 350, NULL); /* the old answer is here */
    assert_int_equal(read->answers, 0);
    cluster->nodes[follower].state_held = false;
    command_cluster_run(cluster, READ_WAIT_MS - (cluster->harness->now_ms - now_ms), NULL);
    assert_current(read, 2);
    close_cluster(cluster);
}

static void test_frames_that_are_cut_off_are_passed_over(void **state)
{
    (void)state;
    static const enum frame_type types[] = {FRAME_READ_QUESTION, FRAME_READ_ANSWER, FRAME_CONFIRM_QUESTION,
                                            FRAME_CONFIRM_ANSWER};
    uint64_t leader, follower;
    struct command_cluster *cluster = led_cluster(15, 3, &leader, &follower);
    const uint8_t body[16] = {0};
    for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++) {
        for (size_t size_bytes = 0; size_bytes < (types[i] == FRAME_READ_QUESTION ? 8 : 16); size_bytes++) {
            read_barrier_frame(cluster->nodes[leader].reads, follower, types[i], (struct span){body, size_bytes});
        }
    }
    command_cluster_run(cluster, 100, NULL);
    for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++) {
        assert_int_equal(cluster->frames_sent[types[i]], 0);
    }
    close_cluster(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_node_shows_what_any_node_was_told),
        cmocka_unit_test(test_what_is_read_together_asks_one_question),
        cmocka_unit_test(test_one_node_alone_needs_nobody),
        cmocka_unit_test(test_a_read_waits_until_the_state_has_come_so_far),
        cmocka_unit_test(test_no_node_shows_less_than_it_has_told),
        cmocka_unit_test(test_a_deposed_leader_does_not_answer_what_it_believes),
        cmocka_unit_test(test_a_leader_that_stood_still_shows_nothing_old),
        cmocka_unit_test(test_one_voters_word_counts_once_and_for_its_term),
        cmocka_unit_test(test_a_voter_that_knows_a_newer_term_does_not_confirm),
        cmocka_unit_test(test_without_a_majority_a_read_ends_stale),
        cmocka_unit_test(test_whichever_frame_is_lost_is_asked_for_again),
        cmocka_unit_test(test_members_far_apart_read_all_the_same),
        cmocka_unit_test(test_an_answer_to_an_earlier_start_answers_nothing),
        cmocka_unit_test(test_frames_that_are_cut_off_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
