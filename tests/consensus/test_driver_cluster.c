/* The driver's contract in a cluster: what leaders send, when they let others lead, how learners become voters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "consensus/machine/limits.h"
#include "consensus/members.h"
#include "tests/support/raft_harness.h"

static struct harness *led_cluster(unsigned nodes, unsigned voters)
{
    struct harness *harness = harness_new(1, nodes);
    harness->manual = true;
    harness_bootstrap(harness, voters, nodes - voters);
    for (uint64_t id = 1; id <= nodes; id++) {
        harness_start(harness, id);
    }
    harness_elect(harness, 1, NULL);
    harness_beat(harness, 1, NULL, 4);
    assert_true(harness_status(harness, 1).ready);
    return harness;
}

static void assert_clean(struct harness *harness)
{
    const char *violation = raft_checks_violation(harness->checks);
    assert_string_equal(violation != NULL ? violation : "", "");
    harness_free(harness);
}

static struct entry *large_command(uint32_t size_bytes)
{
    struct entry *entry = entry_new(0, ENTRY_COMMAND, size_bytes);
    memset(entry->data, 'x', size_bytes);
    return entry;
}

struct counted_appends {
    unsigned empty, with_entries;
    size_t size_bytes_max;
};

static bool count_appends(void *context, uint64_t from, uint64_t to, struct raft_message *message,
                          struct entry *const *entries)
{
    (void)from;
    (void)to;
    struct counted_appends *counted = context;
    if (message->type == RAFT_APPEND_ENTRIES) {
        size_t size_bytes = 0;
        for (unsigned i = 0; i < message->append_entries.n_entries; i++) {
            size_bytes += entries[i]->size_bytes;
        }
        counted->size_bytes_max = size_bytes > counted->size_bytes_max ? size_bytes : counted->size_bytes_max;
        counted->empty += message->append_entries.n_entries == 0;
        counted->with_entries += message->append_entries.n_entries > 0;
    }
    return true;
}

static void test_followers_hear_of_a_commit_at_once(void **state)
{
    (void)state;
    /* Given a cluster at rest, when one command is submitted, everybody applies it before any time has passed. */
    struct harness *harness = led_cluster(3, 3);
    uint64_t before_ms = harness->now_ms;
    assert_int_equal(harness_submit(harness, 1), DRIVER_OK);
    harness_pump(harness, NULL, 8);
    assert_true(harness->now_ms == before_ms);
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(harness_node(harness, id)->state.index, harness_status(harness, 1).last_index);
    }
    assert_clean(harness);
}

static void test_a_busy_leader_sends_no_empty_messages(void **state)
{
    (void)state;
    /* Given several commands in flight at once, whose commits come one after the other, ... */
    struct harness *harness = led_cluster(3, 3);
    struct counted_appends counted = {0};
    harness->on_send = count_appends;
    harness->on_send_context = &counted;
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(harness_submit(harness, 1), DRIVER_OK);
    }
    harness_pump(harness, NULL, 8);
    /* ... only the last commit is told by messages of its own, one to each follower. */
    assert_int_equal(counted.with_entries, 12);
    assert_int_equal(counted.empty, 2);
    assert_int_equal(harness_node(harness, 3)->state.index, harness_status(harness, 1).last_index);
    assert_clean(harness);
}

static void test_large_entries_travel_in_several_messages(void **state)
{
    (void)state;
    struct harness *harness = led_cluster(3, 3);
    struct counted_appends counted = {0};
    /* Given a follower that was away while large entries were written, when it is back, it gets them in bearable
     * pieces. */
    for (unsigned i = 0; i < 6; i++) {
        uint64_t index, term;
        struct entry *entry = large_command(LIMIT_ENTRY_SIZE_BYTES / 3 + 1);
        assert_int_equal(driver_submit(harness_node(harness, 1)->driver, entry, &index, &term), DRIVER_OK);
    }
    harness_pump(harness, "1-2", 8);
    harness->on_send = count_appends;
    harness->on_send_context = &counted;
    harness_beat(harness, 1, NULL, 4);
    assert_true(counted.size_bytes_max > 0 && counted.size_bytes_max <= LIMIT_ENTRY_SIZE_BYTES);
    assert_int_equal(harness_node(harness, 3)->state.index, harness_status(harness, 1).last_index);
    uint64_t index, term;
    struct entry *too_large = large_command(LIMIT_ENTRY_SIZE_BYTES + 1);
    assert_int_equal(driver_submit(harness_node(harness, 1)->driver, too_large, &index, &term), DRIVER_REFUSED);
    assert_clean(harness);
}

static void test_a_node_that_fell_behind_the_log_gets_a_snapshot(void **state)
{
    (void)state;
    struct harness *harness = led_cluster(3, 3);
    harness_crash(harness, 3);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(harness_submit(harness, 1), DRIVER_OK);
    }
    harness_pump(harness, NULL, 8);
    harness_state_sync(harness, 1);
    harness_compact(harness, 1, 3);
    harness_disks(harness);
    /* The log keeps the trailing three entries, and the state's own index is the last of them. */
    assert_int_equal(harness_status(harness, 1).first_index, harness_node(harness, 1)->state.index - 3 + 1);
    assert_int_equal(harness_node(harness, 1)->disk.log.first, harness_status(harness, 1).first_index);
    harness_start(harness, 3);
    harness_beat(harness, 1, NULL, 20);
    assert_int_equal(harness->counts.snapshots, 1);
    assert_int_equal(harness_node(harness, 3)->state.hash, harness_node(harness, 1)->state.hash);
    assert_int_equal(harness_submit(harness, 1), DRIVER_OK);
    harness_pump(harness, NULL, 8);
    assert_int_equal(harness_node(harness, 3)->state.index, harness_status(harness, 1).last_index);
    assert_clean(harness);
}

/* A peer that lost its disk after it had acknowledged an entry gets a snapshot with that entry, or none yet. */
static void test_no_snapshot_is_asked_for_of_what_is_not_committed(void **state)
{
    (void)state;
    struct harness *harness = led_cluster(3, 3);
    harness_node(harness, 1)->disk_held = true;
    assert_int_equal(harness_submit(harness, 1), DRIVER_OK);
    struct driver_status status = harness_status(harness, 1);
    struct raft_message message = {.type = RAFT_APPEND_ENTRIES_RESULT};
    message.append_entries_result.term = status.term;
    message.append_entries_result.last_log_index = status.last_index;
    harness_inject(harness, 2, 1, &message, NULL);
    assert_int_equal(harness_status(harness, 1).commit_index, status.last_index - 1);
    message.append_entries_result.rejected = status.last_index;
    message.append_entries_result.last_log_index = 0;
    harness_inject(harness, 2, 1, &message, NULL);
    assert_clean(harness);
}

static void test_leadership_goes_to_the_most_advanced(void **state)
{
    (void)state;
    struct harness *harness = led_cluster(3, 3);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(harness_submit(harness, 1), DRIVER_OK);
    }
    harness_pump(harness, "1-3", 8);
    assert_false(driver_status(harness_node(harness, 1)->driver).transferring);
    assert_int_equal(driver_transfer(harness_node(harness, 1)->driver, 0), DRIVER_OK);
    assert_true(driver_status(harness_node(harness, 1)->driver).transferring);
    assert_int_equal(harness_submit(harness, 1), DRIVER_BUSY);
    assert_int_equal(driver_transfer(harness_node(harness, 1)->driver, 0), DRIVER_BUSY);
    harness_pump(harness, NULL, 8);
    assert_int_equal(harness_leader(harness), 3);
    assert_false(driver_status(harness_node(harness, 1)->driver).transferring);
    assert_int_equal(driver_transfer(harness_node(harness, 3)->driver, 3), DRIVER_REFUSED);
    assert_int_equal(driver_transfer(harness_node(harness, 1)->driver, 3), DRIVER_NOT_LEADER);
    assert_int_equal(harness_submit(harness, 1), DRIVER_NOT_LEADER);
    assert_clean(harness);
}

static void test_a_learner_becomes_a_voter_when_it_has_caught_up(void **state)
{
    (void)state;
    struct harness *harness = led_cluster(4, 3);
    struct driver *leader = harness_node(harness, 1)->driver;
    assert_int_equal(harness_change(harness, 1, 4, RAFT_VOTER), DRIVER_BUSY);
    assert_int_equal(driver_catch_up(leader, 2), DRIVER_REFUSED);
    assert_int_equal(driver_catch_up(leader, 9), DRIVER_REFUSED);
    assert_int_equal(driver_catch_up(harness_node(harness, 2)->driver, 4), DRIVER_NOT_LEADER);
    assert_int_equal(driver_catch_up(leader, 4), DRIVER_OK);
    assert_int_equal(driver_catch_up(leader, 4), DRIVER_OK);
    assert_int_equal(harness_submit(harness, 1), DRIVER_OK);
    harness_pump(harness, NULL, 8);
    assert_int_equal(harness_change(harness, 1, 4, RAFT_VOTER), DRIVER_OK);
    assert_int_equal(harness_change(harness, 1, 4, -1), DRIVER_BUSY);
    harness_pump(harness, NULL, 8);
    assert_true(members_is_voter(driver_configuration(harness_node(harness, 4)->driver), 4));
    assert_clean(harness);
}

static void test_a_learner_catches_up_though_nothing_is_written(void **state)
{
    (void)state;
    struct harness *harness = led_cluster(4, 3);
    struct driver *leader = harness_node(harness, 1)->driver;
    assert_int_equal(driver_catching_up(leader, 4), DRIVER_CATCH_UP_NONE);
    assert_int_equal(driver_catch_up(leader, 4), DRIVER_OK);
    assert_int_equal(driver_catching_up(leader, 4), DRIVER_CATCH_UP_RUNNING);
    harness_pump(harness, NULL, 8);
    assert_int_equal(driver_catching_up(leader, 4), DRIVER_CATCH_UP_DONE);
    assert_false(driver_changing(leader));
    assert_int_equal(harness_change(harness, 1, 4, RAFT_VOTER), DRIVER_OK);
    assert_true(driver_changing(leader));
    harness_pump(harness, NULL, 8);
    assert_false(driver_changing(leader));
    assert_int_equal(driver_catching_up(harness_node(harness, 2)->driver, 4), DRIVER_CATCH_UP_NONE);
    assert_clean(harness);
}

static void test_a_rival_leader_stops_the_node(void **state)
{
    (void)state;
    struct harness *harness = led_cluster(3, 3);
    struct raft_message message = {.type = RAFT_APPEND_ENTRIES};
    message.append_entries.term = harness_status(harness, 1).term;
    harness_inject(harness, 2, 1, &message, NULL);
    assert_true(harness_status(harness, 1).failed);
    assert_non_null(strstr(harness_node(harness, 1)->failure, "node 2 says that it leads"));
    harness_free(harness);
}

static void test_a_log_that_cannot_be_read_stops_the_node(void **state)
{
    (void)state;
    /* Given a leader whose older entries are only on disk, when they are gone and a follower needs them, it says so. */
    struct harness *harness = led_cluster(3, 3);
    harness_crash(harness, 3);
    for (unsigned i = 0; i < 60; i++) {
        assert_int_equal(harness_submit(harness, 1), DRIVER_OK);
        harness_pump(harness, NULL, 8);
    }
    struct harness_log *log = &harness_node(harness, 1)->disk.log;
    uint64_t first = log->first;
    log->first = log->last + 1; /* hides them all */
    harness_start(harness, 3);
    harness_beat(harness, 1, NULL, 4);
    log->first = first;
    assert_true(harness_status(harness, 1).failed);
    assert_non_null(strstr(harness_node(harness, 1)->failure, "cannot be read"));
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_followers_hear_of_a_commit_at_once),
        cmocka_unit_test(test_a_busy_leader_sends_no_empty_messages),
        cmocka_unit_test(test_large_entries_travel_in_several_messages),
        cmocka_unit_test(test_a_node_that_fell_behind_the_log_gets_a_snapshot),
        cmocka_unit_test(test_no_snapshot_is_asked_for_of_what_is_not_committed),
        cmocka_unit_test(test_leadership_goes_to_the_most_advanced),
        cmocka_unit_test(test_a_learner_becomes_a_voter_when_it_has_caught_up),
        cmocka_unit_test(test_a_learner_catches_up_though_nothing_is_written),
        cmocka_unit_test(test_a_rival_leader_stops_the_node),
        cmocka_unit_test(test_a_log_that_cannot_be_read_stops_the_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
