/*
 * What each guard is for: every test tells a story twice, with the guard, when it ends well, and without it, when it
 * does not. The numbers are those of consensus/driver/guards.h. And Figure 8 of the Raft paper, which an older libraft got
 * wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "consensus/driver/guards.h"
#include "consensus/members.h"
#include "tests/support/raft_harness.h"

#define WITHOUT(guard) (1u << (guard))
#define WITH_ALL 0u

/* ---- telling stories */

static struct harness *cluster(unsigned nodes, unsigned voters, unsigned learners, uint32_t guards_off)
{
    struct harness *harness = harness_new(1, nodes);
    harness->manual = true;
    harness->guards_off = guards_off;
    harness_bootstrap(harness, voters, learners);
    for (uint64_t id = 1; id <= nodes; id++) {
        harness_start(harness, id);
    }
    return harness;
}

/* ... with node 1 leading and everybody on the same page. */
static struct harness *led_cluster(unsigned nodes, unsigned voters, unsigned learners, uint32_t guards_off)
{
    struct harness *harness = cluster(nodes, voters, learners, guards_off);
    harness_elect(harness, 1, NULL);
    harness_beat(harness, 1, NULL, 4);
    return harness;
}

static void assert_no_violation(struct harness *harness)
{
    const char *violation = raft_checks_violation(harness->checks);
    assert_string_equal(violation != NULL ? violation : "", "");
}

static void assert_violation(struct harness *harness, const char *words)
{
    assert_non_null(raft_checks_violation(harness->checks));
    assert_non_null(strstr(raft_checks_violation(harness->checks), words));
}

static void submit(struct harness *harness, uint64_t leader, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(harness_submit(harness, leader), DRIVER_OK);
    }
}

/* Restarted nodes know no leader any more, and listen to a new candidate. */
static void restart(struct harness *harness, const char *ids)
{
    for (; *ids != '\0'; ids++) {
        harness_restart(harness, (uint64_t)(*ids - '0'));
    }
}

static struct entry *command(uint64_t term)
{
    struct entry *entry = entry_new(term, ENTRY_COMMAND, 8);
    memset(entry->data, 7, entry->size_bytes);
    return entry;
}

/* A change to the node's present members and `learner`. */
static struct entry *change(struct harness *harness, uint64_t node, uint64_t term, uint64_t learner)
{
    struct raft_configuration configuration;
    struct raft_buffer buffer;
    harness_copy_configuration(harness, node, &configuration);
    assert_int_equal(
        raft_configuration_add(&configuration, learner, harness_node(harness, learner)->address, RAFT_STANDBY), 0);
    assert_int_equal(raft_configuration_encode(&configuration, &buffer), 0);
    struct entry *entry = entry_new(term, ENTRY_CHANGE, (uint32_t)buffer.len);
    memcpy(entry->data, buffer.base, buffer.len);
    raft_free(buffer.base);
    raft_configuration_close(&configuration);
    return entry;
}

/* As if node 1, leading in `term`, had sent these entries behind (previous, previous_term); takes the entries over. */
static void append_to(struct harness *harness, uint64_t node, uint64_t term, uint64_t previous, uint64_t previous_term,
                      uint64_t commit_index, struct entry **entries, unsigned count)
{
    struct raft_message message = {.type = RAFT_APPEND_ENTRIES};
    message.append_entries.term = term;
    message.append_entries.prev_log_index = previous;
    message.append_entries.prev_log_term = previous_term;
    message.append_entries.leader_commit = commit_index;
    message.append_entries.n_entries = count;
    harness_inject(harness, 1, node, &message, entries);
    harness_disks(harness);
    for (unsigned i = 0; i < count; i++) {
        entry_unref(entries[i]);
    }
}

/* ---- 1 */

/* What lies on the stack below us is not ours to know; that it is not zero is likely enough in any program, and
 * certain here. */
__attribute__((noinline)) static void litter_stack(void)
{
    volatile uint8_t litter[16384];
    for (size_t i = 0; i < sizeof litter; i++) {
        litter[i] = 0x11;
    }
}

static uint64_t acknowledged_by_stale_snapshot(uint32_t guards_off, uint64_t *stored)
{
    /* Given a leader with entries that nobody else has, ... */
    struct harness *harness = led_cluster(3, 3, 0, guards_off);
    uint64_t term = harness_status(harness, 1).term;
    submit(harness, 1, 10);
    harness_pump(harness, "", 1);
    /* ... when a snapshot of its earlier term arrives late at a follower, ... */
    struct harness_node *follower = harness_node(harness, 2);
    struct driver_position position = harness_position(&follower->state);
    position.index = position.term = 1;
    litter_stack();
    driver_receive_snapshot(follower->driver, 1, term - 1, &position);
    harness_pump(harness, "1-2", 1);
    /* ... then what the leader believes of that follower is: */
    uint64_t match_index = 0;
    assert_true(driver_match_index(harness_node(harness, 1)->driver, 2, &match_index));
    *stored = follower->disk.log.last;
    harness_free(harness);
    return match_index;
}

static void test_1_a_stale_snapshot_acknowledges_nothing(void **state)
{
    (void)state;
    uint64_t stored = 0;
    assert_true(acknowledged_by_stale_snapshot(WITH_ALL, &stored) <= stored);
    assert_true(acknowledged_by_stale_snapshot(WITHOUT(GUARD_STALE_TERM), &stored) > stored);
}

/* ---- 2 */

static struct harness *old_entries_to_a_compacted_log(uint32_t guards_off)
{
    /* Given a follower whose log begins behind its snapshot, ... */
    struct harness *harness = led_cluster(3, 3, 0, guards_off);
    struct harness_node *follower = harness_node(harness, 2);
    harness_state_sync(harness, 2);
    harness_compact(harness, 2, 0);
    harness_disks(harness);
    assert_int_equal(follower->disk.log.first, follower->state.index + 1);
    /* ... when the leader sends it the log from its beginning (which it still has), ... */
    const struct harness_log *log = &harness_node(harness, 1)->disk.log;
    struct entry *entries[32];
    unsigned count = 0;
    for (uint64_t index = 1; index <= log->last; index++) {
        entries[count++] = entry_ref(log->entries[index - log->first]);
    }
    append_to(harness, 2, harness_status(harness, 1).term, 0, 0, log->last, entries, count);
    return harness;
}

static void test_2_entries_before_a_compacted_log_are_not_written_again(void **state)
{
    (void)state;
    struct harness *harness = old_entries_to_a_compacted_log(WITH_ALL);
    assert_no_violation(harness);
    assert_int_equal(harness_status(harness, 2).last_index, harness_node(harness, 1)->disk.log.last);
    harness_free(harness);

    /* Without the guard the core takes entry 1 for new; the driver stops rather than write it over the log. */
    harness = old_entries_to_a_compacted_log(WITHOUT(GUARD_COMPACTED_PREFIX));
    assert_violation(harness, "node 2 stopped: the core writes 4 entries from 1 on");
    harness_free(harness);
}

/* ---- 3 */

static struct harness *change_behind_a_command(uint32_t guards_off)
{
    /* Given a follower, when a command and a change come in one message, and are committed, ... */
    struct harness *harness = cluster(4, 3, 0, guards_off);
    struct entry *entries[] = {command(2), change(harness, 2, 2, 4)};
    append_to(harness, 2, 2, 1, 1, 1, entries, 2);
    append_to(harness, 2, 2, 3, 2, 3, NULL, 0);
    return harness;
}

static void test_3_a_change_is_remembered_where_it_is(void **state)
{
    (void)state;
    struct harness *harness = change_behind_a_command(WITH_ALL);
    assert_no_violation(harness);
    assert_int_equal(driver_configuration(harness_node(harness, 2)->driver)->n, 4);
    assert_int_equal(harness_node(harness, 2)->state.configuration_index, 3);
    harness_free(harness);

    harness = change_behind_a_command(WITHOUT(GUARD_CHANGE_FIRST));
    assert_violation(harness, "the core remembers a configuration at entry 2, where there is none");
    harness_free(harness);
}

/* ---- 4 */

static unsigned members_after_rollback(uint32_t guards_off)
{
    /* Given a follower with the change that adds 4, when the one that adds 5 arrives, which says that the first is
     * committed, ... */
    struct harness *harness = cluster(5, 3, 0, guards_off);
    struct entry *first[] = {change(harness, 2, 2, 4)};
    append_to(harness, 2, 2, 1, 1, 1, first, 1);
    struct entry *second[] = {change(harness, 2, 2, 5)};
    append_to(harness, 2, 2, 2, 2, 2, second, 1);
    /* ... and a later leader, which never had the second, replaces it, ... */
    struct entry *other[] = {command(3)};
    append_to(harness, 2, 3, 2, 2, 2, other, 1);
    assert_no_violation(harness);
    unsigned members = driver_configuration(harness_node(harness, 2)->driver)->n;
    harness_free(harness);
    return members;
}

static void test_4_a_rollback_ends_at_the_last_committed_configuration(void **state)
{
    (void)state;
    assert_int_equal(members_after_rollback(WITH_ALL), 4);
    /* Without: back to the three of the beginning, although the fourth is committed. */
    assert_int_equal(members_after_rollback(WITHOUT(GUARD_CONFIRM_CHANGE)), 3);
}

/* ---- 5 */

static bool drop_appends_of(void *context, uint64_t from, uint64_t to, struct raft_message *message,
                            struct entry *const *entries)
{
    (void)to;
    (void)entries;
    return from != *(uint64_t *)context || message->type != RAFT_APPEND_ENTRIES;
}

static struct harness *two_changes_without_a_common_majority(uint32_t guards_off, enum driver_error *second_change)
{
    /* Given the voters 1, 2, 3 and 4 (so few rules of membership that the story can happen at all), ... */
    struct harness *harness = led_cluster(5, 4, 0, guards_off | WITHOUT(GUARD_MEMBERSHIP));
    /* ... when 1 adds 5, which only 5 hears of, ... */
    assert_int_equal(harness_change(harness, 1, 5, RAFT_VOTER), DRIVER_OK);
    harness_beat(harness, 1, "1-5", 4);
    harness_crash(harness, 1);
    restart(harness, "2345");
    /* ... and 2 is elected by 3 and 4, and before anything of its term is committed removes 1, which 3 hears of, ... */
    uint64_t silent = 2;
    harness->on_send = drop_appends_of;
    harness->on_send_context = &silent;
    harness_elect(harness, 2, "2-3 2-4");
    harness->on_send = NULL;
    *second_change = harness_change(harness, 2, 1, -1);
    harness_beat(harness, 2, "2-3", 4);
    /* ... and then 1, 4 and 5 are left, a majority of the five that 1 knows of, ... */
    harness_crash(harness, 2);
    harness_crash(harness, 3);
    harness_start(harness, 1);
    restart(harness, "45");
    harness_elect(harness, 1, "1-4 1-5");
    harness_beat(harness, 1, "1-4 1-5", 6);
    return harness;
}

static void test_5_a_leader_changes_nothing_before_it_has_committed(void **state)
{
    (void)state;
    enum driver_error second_change;
    struct harness *harness = two_changes_without_a_common_majority(WITH_ALL, &second_change);
    assert_int_equal(second_change, DRIVER_BUSY);
    assert_no_violation(harness);
    harness_free(harness);

    harness = two_changes_without_a_common_majority(WITHOUT(GUARD_BARRIER), &second_change);
    assert_int_equal(second_change, DRIVER_OK);
    assert_violation(harness, "leader completeness: node 1");
    harness_free(harness);
}

static void test_5_every_leader_has_a_barrier(void **state)
{
    (void)state;
    /* Given a sole voter, for which the core makes no barrier, when it leads, it is ready only with one. */
    struct harness *harness = cluster(1, 1, 0, WITH_ALL);
    harness_disks(harness);
    assert_true(harness_status(harness, 1).ready);
    assert_true(harness_status(harness, 1).barrier_index > 1);
    harness_free(harness);

    harness = cluster(1, 1, 0, WITHOUT(GUARD_BARRIER));
    harness_disks(harness);
    assert_int_equal(harness_status(harness, 1).role, DRIVER_LEADER);
    assert_false(harness_status(harness, 1).ready);
    harness_free(harness);
}

/* ---- 6 */

static struct harness *sole_voter_that_lost_an_entry(uint32_t guards_off)
{
    /* Given a sole voter with a learner, when the learner has an entry that the voter loses in a crash, ... */
    struct harness *harness = cluster(2, 1, 1, guards_off);
    harness_disks(harness);
    harness_beat(harness, 1, NULL, 4);
    harness_node(harness, 1)->disk_held = true;
    submit(harness, 1, 1);
    harness_pump(harness, NULL, 4);
    assert_int_equal(harness_node(harness, 2)->disk.log.last, harness_node(harness, 1)->disk.log.last + 1);
    harness_crash(harness, 1);
    harness_node(harness, 1)->disk_held = false;
    /* ... and it puts something else at its place, ... */
    harness_start(harness, 1);
    harness_disks(harness);
    submit(harness, 1, 1);
    harness_beat(harness, 1, NULL, 4);
    return harness;
}

static void test_6_a_sole_voter_never_leads_twice_in_a_term(void **state)
{
    (void)state;
    struct harness *harness = sole_voter_that_lost_an_entry(WITH_ALL);
    assert_no_violation(harness);
    assert_int_equal(harness_node(harness, 2)->state.hash, harness_node(harness, 1)->state.hash);
    harness_free(harness);

    harness = sole_voter_that_lost_an_entry(WITHOUT(GUARD_SOLE_VOTER));
    assert_violation(harness, "log matching");
    harness_free(harness);
}

/* ---- 7 */

static bool elects_after_terms_went_apart(uint32_t guards_off)
{
    /* Given 2 with the longer log, 3 with the higher term, and 1 gone for good, ... */
    struct harness *harness = led_cluster(3, 3, 0, guards_off);
    submit(harness, 1, 1);
    harness_pump(harness, "1-2", 4);
    harness_beat(harness, 1, "1-2", 1);
    harness_crash(harness, 1);
    harness_crash(harness, 3);
    harness_node(harness, 3)->disk.term += 3;
    harness_node(harness, 3)->disk.voted_for = 0;
    restart(harness, "23");
    /* ... two of three, alive and connected, elect a leader in time: */
    bool led = false;
    for (unsigned timeouts = 0; timeouts < 100 && !led; timeouts++) {
        uint64_t due_2_ms = driver_next_tick_ms(harness_node(harness, 2)->driver);
        uint64_t due_3_ms = driver_next_tick_ms(harness_node(harness, 3)->driver);
        harness_tick(harness, due_2_ms <= due_3_ms ? 2 : 3);
        harness_pump(harness, "2-3", 6);
        led = harness_leader(harness) != 0;
    }
    assert_no_violation(harness);
    harness_free(harness);
    return led;
}

static void test_7_a_denied_prevote_tells_the_term(void **state)
{
    (void)state;
    assert_true(elects_after_terms_went_apart(WITH_ALL));
    assert_false(elects_after_terms_went_apart(WITHOUT(GUARD_PREVOTE_TERM)));
}

/* ---- 8 */

static bool survivors_elect(struct harness *harness)
{
    for (unsigned round = 0; round < 30 && harness_leader(harness) == 0; round++) {
        for (uint64_t id = 1; id <= harness->nodes_count; id++) {
            if (harness_node(harness, id)->up) {
                harness_tick(harness, id);
                harness_pump(harness, NULL, 6);
            }
        }
    }
    return harness_leader(harness) != 0;
}

static bool elects_with_a_voter_that_does_not_know(uint32_t guards_off)
{
    /* Given a learner that is promoted, when it does not hear of it before the leader dies, ... */
    struct harness *harness = led_cluster(4, 3, 1, guards_off);
    assert_int_equal(driver_catch_up(harness_node(harness, 1)->driver, 4), DRIVER_OK);
    submit(harness, 1, 1);
    harness_pump(harness, NULL, 6);
    assert_int_equal(harness_change(harness, 1, 4, RAFT_VOTER), DRIVER_OK);
    harness_pump(harness, "1-2 1-3", 6);
    harness_crash(harness, 1);
    /* ... its vote is needed, three of four, and it has never seen itself as a voter: */
    assert_false(members_is_voter(driver_configuration(harness_node(harness, 4)->driver), 4));
    bool led = survivors_elect(harness);
    assert_no_violation(harness);
    harness_free(harness);
    return led;
}

static void test_8_a_voter_that_does_not_know_it_yet_votes(void **state)
{
    (void)state;
    assert_true(elects_with_a_voter_that_does_not_know(WITH_ALL));
    assert_false(elects_with_a_voter_that_does_not_know(WITHOUT(GUARD_MEMBERSHIP)));
}

static bool elects_among_new_voters(uint32_t guards_off)
{
    /* Given two learners that are caught up, when the first is promoted and does not hear of it, ... */
    struct harness *harness = led_cluster(5, 3, 2, guards_off);
    for (uint64_t id = 4; id <= 5; id++) {
        assert_int_equal(driver_catch_up(harness_node(harness, 1)->driver, id), DRIVER_OK);
        submit(harness, 1, 1);
        harness_pump(harness, NULL, 6);
    }
    assert_int_equal(harness_change(harness, 1, 4, RAFT_VOTER), DRIVER_OK);
    harness_pump(harness, "1-2 1-3", 6);
    /* ... the second has to wait until it has, ... */
    enum driver_error second = harness_change(harness, 1, 5, RAFT_VOTER);
    if (guard_is_on(guards_off, GUARD_MEMBERSHIP)) {
        assert_int_equal(second, DRIVER_BUSY);
        harness_beat(harness, 1, NULL, 4);
        second = harness_change(harness, 1, 5, RAFT_VOTER);
        harness_pump(harness, NULL, 6);
    }
    assert_int_equal(second, DRIVER_OK);
    harness_pump(harness, "1-2 1-3", 6);
    harness_beat(harness, 1, "1-2 1-3", 2);
    /* ... so that three of five, alive and connected, know that they vote: */
    harness_crash(harness, 1);
    harness_crash(harness, 2);
    restart(harness, "345");
    bool led = survivors_elect(harness);
    assert_no_violation(harness);
    harness_free(harness);
    return led;
}

static void test_8_a_change_waits_until_the_voters_know_of_the_last_one(void **state)
{
    (void)state;
    assert_true(elects_among_new_voters(WITH_ALL));
    assert_false(elects_among_new_voters(WITHOUT(GUARD_MEMBERSHIP)));
}

static void test_8_what_is_never_allowed(void **state)
{
    (void)state;
    const struct {
        unsigned voters;
        uint64_t id;
        int role;
    } refused[] = {
        {3, 2, -1},           /* leaves two voters */
        {3, 2, RAFT_STANDBY}, /* likewise */
        {4, 1, -1},           /* the leader itself */
        {4, 1, RAFT_STANDBY}, /* likewise */
        {4, 5, RAFT_VOTER},   /* a stranger, who has nothing of the log */
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct harness *harness = led_cluster(5, refused[i].voters, 0, WITH_ALL);
        assert_int_equal(harness_change(harness, 1, refused[i].id, refused[i].role), DRIVER_REFUSED);
        harness_free(harness);
        harness = led_cluster(5, refused[i].voters, 0, WITHOUT(GUARD_MEMBERSHIP));
        assert_int_equal(harness_change(harness, 1, refused[i].id, refused[i].role), DRIVER_OK);
        harness_free(harness);
    }
}

static void test_8_a_dead_voter_can_be_replaced(void **state)
{
    (void)state;
    /* Given three voters of which one is dead, and a learner that came later, ... */
    struct harness *harness = led_cluster(4, 3, 0, WITH_ALL);
    harness_crash(harness, 3);
    assert_int_equal(harness_change(harness, 1, 4, RAFT_STANDBY), DRIVER_OK);
    harness_beat(harness, 1, NULL, 4);
    assert_int_equal(driver_catch_up(harness_node(harness, 1)->driver, 4), DRIVER_OK);
    submit(harness, 1, 1);
    harness_pump(harness, NULL, 6);
    /* ... it is waited for at first, for it might live, ... */
    assert_int_equal(harness_change(harness, 1, 4, RAFT_VOTER), DRIVER_BUSY);
    harness_beat(harness, 1, NULL, 4 * HARNESS_ELECTION_TIMEOUT_MS / HARNESS_HEARTBEAT_MS);
    /* ... and then no more. */
    assert_int_equal(harness_change(harness, 1, 4, RAFT_VOTER), DRIVER_OK);
    harness_beat(harness, 1, NULL, 4);
    assert_int_equal(harness_change(harness, 1, 3, -1), DRIVER_OK);
    harness_beat(harness, 1, NULL, 4);
    assert_int_equal(driver_configuration(harness_node(harness, 4)->driver)->n, 3);
    assert_true(members_is_voter(driver_configuration(harness_node(harness, 4)->driver), 4));
    assert_no_violation(harness);
    harness_free(harness);
}

/* ---- 9 */

static bool follower_catches_up_after_late_rejection(uint32_t guards_off)
{
    /* Given a follower that has everything and then falls silent for a while, ... */
    struct harness *harness = led_cluster(3, 3, 0, guards_off);
    submit(harness, 1, 3);
    harness_pump(harness, NULL, 6);
    uint64_t match_index = 0;
    assert_true(driver_match_index(harness_node(harness, 1)->driver, 2, &match_index));
    assert_int_equal(match_index, harness_status(harness, 1).last_index);
    harness_beat(harness, 1, "1-3", 10);
    /* ... when a rejection arrives that it sent before it had it all, ... */
    struct raft_message late = {.type = RAFT_APPEND_ENTRIES_RESULT};
    late.append_entries_result.version = 2;
    late.append_entries_result.term = harness_status(harness, 1).term;
    late.append_entries_result.rejected = match_index;
    late.append_entries_result.last_log_index = match_index - 1;
    harness_inject(harness, 2, 1, &late, NULL);
    /* ... it gets what comes after: */
    submit(harness, 1, 3);
    harness_beat(harness, 1, NULL, 20);
    assert_no_violation(harness);
    bool has_all = harness_status(harness, 2).last_index == harness_status(harness, 1).last_index;
    harness_free(harness);
    return has_all;
}

static void test_9_a_late_rejection_does_not_stop_replication(void **state)
{
    (void)state;
    assert_true(follower_catches_up_after_late_rejection(WITH_ALL));
    assert_false(follower_catches_up_after_late_rejection(WITHOUT(GUARD_STALE_RESULT)));
}

static enum driver_role role_after_late_prevote(uint32_t guards_off)
{
    struct harness *harness = led_cluster(3, 3, 0, guards_off);
    struct raft_message late = {.type = RAFT_REQUEST_VOTE_RESULT};
    late.request_vote_result.version = 2;
    late.request_vote_result.term = harness_status(harness, 1).term + 1;
    late.request_vote_result.vote_granted = late.request_vote_result.pre_vote = true;
    harness_inject(harness, 2, 1, &late, NULL);
    enum driver_role role = harness_status(harness, 1).role;
    harness_free(harness);
    return role;
}

static void test_9_a_late_prevote_does_not_unseat_a_leader(void **state)
{
    (void)state;
    assert_int_equal(role_after_late_prevote(WITH_ALL), DRIVER_LEADER);
    assert_int_equal(role_after_late_prevote(WITHOUT(GUARD_STALE_RESULT)), DRIVER_FOLLOWER);
}

/* ---- 10 */

static uint64_t commit_index_after_a_short_message(uint32_t guards_off)
{
    /* Given a follower that knows entries 1 to 4 as committed, when a message that ends at entry 2 tells it of 9, ...
     * */
    struct harness *harness = cluster(3, 3, 0, guards_off);
    struct entry *entries[] = {command(2), command(2), command(2)};
    struct entry *again = entry_ref(entries[0]);
    append_to(harness, 2, 2, 1, 1, 4, entries, 3);
    assert_int_equal(harness_status(harness, 2).commit_index, 4);
    append_to(harness, 2, 2, 1, 1, 9, &again, 1);
    uint64_t commit_index = harness_status(harness, 2).commit_index;
    harness_free(harness);
    return commit_index;
}

static void test_10_the_commit_index_never_goes_back(void **state)
{
    (void)state;
    assert_int_equal(commit_index_after_a_short_message(WITH_ALL), 4);
    assert_int_equal(commit_index_after_a_short_message(WITHOUT(GUARD_COMMIT_MONOTONE)), 2);
}

/* ---- 11 */

static bool next_tick_is_later(uint32_t guards_off)
{
    /* Given a spare member, which gets no heartbeats, when the leader has ticked, ... */
    struct harness *harness = led_cluster(4, 3, 0, guards_off);
    assert_int_equal(harness_change(harness, 1, 4, RAFT_SPARE), DRIVER_OK);
    harness_pump(harness, NULL, 6);
    assert_int_equal(driver_catch_up(harness_node(harness, 1)->driver, 4), DRIVER_OK);
    harness_beat(harness, 1, NULL, 6);
    driver_tick(harness_node(harness, 1)->driver);
    bool later = driver_next_tick_ms(harness_node(harness, 1)->driver) > harness->now_ms;
    harness_free(harness);
    return later;
}

static void test_11_time_goes_on(void **state)
{
    (void)state;
    assert_true(next_tick_is_later(WITH_ALL));
    assert_false(next_tick_is_later(WITHOUT(GUARD_TIMEOUT)));
}

/* ---- Figure 8 */

/* Lets only entries of earlier terms leave node 1. */
static bool only_older_terms(void *context, uint64_t from, uint64_t to, struct raft_message *message,
                             struct entry *const *entries)
{
    (void)context;
    (void)to;
    if (from == 1 && message->type == RAFT_APPEND_ENTRIES) {
        struct raft_append_entries *append = &message->append_entries;
        while (append->n_entries > 0 && entries[append->n_entries - 1]->term == append->term) {
            append->n_entries--;
        }
    }
    return true;
}

static void test_figure_8_an_older_terms_entry_is_not_committed_by_counting(void **state)
{
    (void)state;
    struct harness *harness = led_cluster(5, 5, 0, WITH_ALL);
    /* (a) S1 leads and gives an entry to S2 only. */
    submit(harness, 1, 1);
    uint64_t index = harness_status(harness, 1).last_index;
    harness_pump(harness, "1-2", 1);
    harness_crash(harness, 1);
    /* (b) S5 is elected by S3 and S4, and has another entry at that index, which nobody hears of. */
    restart(harness, "2345");
    uint64_t silent = 5;
    harness->on_send = drop_appends_of;
    harness->on_send_context = &silent;
    harness_elect(harness, 5, "5-3 5-4");
    assert_int_equal(harness_status(harness, 5).last_index, index);
    harness_crash(harness, 5);
    /* (c) S1 leads again, and its old entry comes to be on S1, S2 and S3: a majority. */
    harness_start(harness, 1);
    restart(harness, "234");
    harness->on_send = only_older_terms;
    harness_elect(harness, 1, "1-2 1-3");
    harness_beat(harness, 1, "1-2 1-3", 6);
    for (uint64_t id = 1; id <= 3; id++) {
        assert_true(harness_node(harness, id)->disk.log.last >= index);
        uint64_t match_index = 0;
        assert_true(driver_match_index(harness_node(harness, 1)->driver, id, &match_index));
        assert_true(match_index >= index);
    }
    assert_true(harness_status(harness, 1).commit_index < index);
    /* (d) S5 leads again and replaces it everywhere: rightly so. */
    harness_crash(harness, 1);
    harness_start(harness, 5);
    restart(harness, "234");
    harness->on_send = NULL;
    harness_elect(harness, 5, "5-2 5-3 5-4");
    harness_beat(harness, 5, NULL, 6);
    harness_start(harness, 1);
    harness_beat(harness, 5, NULL, 10);
    assert_no_violation(harness);
    for (uint64_t id = 1; id <= 5; id++) {
        assert_int_equal(harness_node(harness, id)->state.hash, harness_node(harness, 5)->state.hash);
    }
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_1_a_stale_snapshot_acknowledges_nothing),
        cmocka_unit_test(test_2_entries_before_a_compacted_log_are_not_written_again),
        cmocka_unit_test(test_3_a_change_is_remembered_where_it_is),
        cmocka_unit_test(test_4_a_rollback_ends_at_the_last_committed_configuration),
        cmocka_unit_test(test_5_a_leader_changes_nothing_before_it_has_committed),
        cmocka_unit_test(test_5_every_leader_has_a_barrier),
        cmocka_unit_test(test_6_a_sole_voter_never_leads_twice_in_a_term),
        cmocka_unit_test(test_7_a_denied_prevote_tells_the_term),
        cmocka_unit_test(test_8_a_change_waits_until_the_voters_know_of_the_last_one),
        cmocka_unit_test(test_8_a_voter_that_does_not_know_it_yet_votes),
        cmocka_unit_test(test_8_what_is_never_allowed),
        cmocka_unit_test(test_8_a_dead_voter_can_be_replaced),
        cmocka_unit_test(test_9_a_late_rejection_does_not_stop_replication),
        cmocka_unit_test(test_9_a_late_prevote_does_not_unseat_a_leader),
        cmocka_unit_test(test_10_the_commit_index_never_goes_back),
        cmocka_unit_test(test_11_time_goes_on),
        cmocka_unit_test(test_figure_8_an_older_terms_entry_is_not_committed_by_counting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
