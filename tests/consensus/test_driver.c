/* The contract of one driver by itself: what it writes, sends and applies, in which order, and when it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/driver/driver.h"
#include "consensus/members.h"

/* ---- one driver by itself, whose ports write down what they are asked */

#define DISK_MAX 32u

struct alone {
    struct driver *driver;
    uint64_t now_ms;
    char story[2048]; /* one word or two per call, "; " behind each */
    struct entry *disk[DISK_MAX]; /* by index */
    struct driver_start start;
    void *members;
    size_t members_size_bytes;
    char error[256];
    unsigned failures;
    uint32_t guards_off;
};

static void tell(struct alone *alone, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(struct alone *alone, const char *format, ...)
{
    size_t length = strlen(alone->story);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(alone->story + length, sizeof alone->story - length, format, arguments);
    va_end(arguments);
    assert_true(strlen(alone->story) + 3 < sizeof alone->story);
    strncat(alone->story, "; ", 3);
}

static void assert_story(struct alone *alone, const char *expected)
{
    assert_string_equal(alone->story, expected);
    alone->story[0] = '\0';
}

static uint64_t now_ms(void *context)
{
    return ((struct alone *)context)->now_ms;
}

static void log_set_vote(void *context, uint64_t ticket, uint64_t term, uint64_t voted_for)
{
    tell(context, "%u: vote %u for %u", (unsigned)ticket, (unsigned)term, (unsigned)voted_for);
}

static void log_append(void *context, uint64_t ticket, uint64_t first_index, struct entry *const *entries, size_t count)
{
    (void)entries;
    tell(context, "%u: append %u..%u", (unsigned)ticket, (unsigned)first_index, (unsigned)(first_index + count - 1));
}

static void log_reset(void *context, uint64_t ticket, uint64_t first_index)
{
    tell(context, "%u: reset %u", (unsigned)ticket, (unsigned)first_index);
}

static void log_prune(void *context, uint64_t ticket, uint64_t first_index)
{
    tell(context, "%u: prune %u", (unsigned)ticket, (unsigned)first_index);
}

static struct entry *log_read(void *context, uint64_t index)
{
    struct alone *alone = context;
    return index < DISK_MAX && alone->disk[index] != NULL ? entry_ref(alone->disk[index]) : NULL;
}

static void port_send(void *context, uint64_t peer, const struct raft_message *message, struct entry *const *entries)
{
    (void)entries;
    if (message->type == RAFT_APPEND_ENTRIES_RESULT) {
        const struct raft_append_entries_result *result = &message->append_entries_result;
        tell(context, "%s %u to %u", result->rejected > 0 ? "reject" : "ack",
             (unsigned)(result->rejected > 0 ? result->rejected : result->last_log_index), (unsigned)peer);
    } else if (message->type == RAFT_REQUEST_VOTE_RESULT) {
        tell(context, "%s to %u", message->request_vote_result.vote_granted ? "grant" : "deny", (unsigned)peer);
    } else {
        tell(context, "message %d to %u", (int)message->type, (unsigned)peer);
    }
}

static void send_snapshot(void *context, uint64_t peer, uint64_t term, uint64_t at_least_index)
{
    tell(context, "snapshot %u of term %u to %u", (unsigned)at_least_index, (unsigned)term, (unsigned)peer);
}

static void apply(void *context, uint64_t index, struct entry *entry)
{
    (void)entry;
    tell(context, "apply %u", (unsigned)index);
}

static void install_snapshot(void *context, uint64_t index, uint64_t term)
{
    tell(context, "install %u of term %u", (unsigned)index, (unsigned)term);
}

static void changed(void *context)
{
    (void)context;
}

static void committed(void *context, uint64_t commit_index)
{
    tell(context, "committed %u", (unsigned)commit_index);
}

static void failed(void *context, const char *reason)
{
    struct alone *alone = context;
    assert_true(reason[0] != '\0');
    alone->failures++;
}

static struct entry *filled(uint64_t term, enum entry_type type, uint32_t size_bytes)
{
    struct entry *entry = entry_new(term, type, size_bytes);
    memset(entry->data, 'x', size_bytes);
    return entry;
}

/* A disk with the first configuration (`voters` of them, this node is 2 or else the only one) as entry 1. */
static struct alone *alone_with_disk(unsigned voters)
{
    struct alone *alone = calloc(1, sizeof *alone);
    assert_non_null(alone);
    const uint64_t ids[] = {2, 1, 3};
    const char *const addresses[] = {"two:1", "one:1", "three:1"};
    int rv = driver_first_configuration(ids, addresses, voters, &alone->members, &alone->members_size_bytes);
    assert_int_equal(rv, 0);
    alone->now_ms = 1000;
    alone->disk[1] = entry_new(1, ENTRY_CHANGE, (uint32_t)alone->members_size_bytes);
    memcpy(alone->disk[1]->data, alone->members, alone->members_size_bytes);
    alone->start = (struct driver_start){.term = 1, .first_index = 1, .last_index = 1};
    return alone;
}

/* Entries first..last of the term on its disk. */
static void put_on_disk(struct alone *alone, uint64_t first, uint64_t last, uint64_t term)
{
    for (uint64_t index = first; index <= last; index++) {
        alone->disk[index] = filled(term, ENTRY_COMMAND, 8);
    }
    alone->start.last_index = last;
    alone->start.term = term > alone->start.term ? term : alone->start.term;
}

static struct driver_position position_at(const struct alone *alone, uint64_t index, uint64_t term)
{
    return (struct driver_position){index, term, 1, alone->members, alone->members_size_bytes};
}

static bool begin(struct alone *alone)
{
    const struct driver_ports ports = {
        .context = alone,
        .now_ms = now_ms,
        .log_set_vote = log_set_vote,
        .log_append = log_append,
        .log_reset = log_reset,
        .log_prune = log_prune,
        .log_read = log_read,
        .send = port_send,
        .send_snapshot = send_snapshot,
        .apply = apply,
        .install_snapshot = install_snapshot,
        .changed = changed,
        .committed = committed,
        .failed = failed,
    };
    const struct driver_options options = {
        .id = 2,
        .address = "two:1",
        .election_timeout_ms = 300,
        .heartbeat_ms = 50,
        .snapshot_timeout_ms = 3000,
        .seed = 1,
        .inflight_entries_max = 8,
        .cache_size_bytes = 100,
        .guards_off = alone->guards_off,
    };
    alone->driver = driver_new(&options, &ports, &alone->start, alone->error, sizeof alone->error);
    return alone->driver != NULL;
}

static void end(struct alone *alone)
{
    driver_free(alone->driver);
    for (size_t i = 0; i < DISK_MAX; i++) {
        entry_unref(alone->disk[i]);
    }
    raft_free(alone->members);
    free(alone);
}

/* A follower that has entry 1 and has handed it over. */
static struct alone *follower(void)
{
    struct alone *alone = alone_with_disk(3);
    assert_true(begin(alone));
    assert_story(alone, "apply 1; ");
    return alone;
}

/* `count` entries of the leader's own term behind (previous, previous_term), from node 1. */
static void receive_append(struct alone *alone, uint64_t term, uint64_t previous, uint64_t previous_term,
                           uint64_t commit_index, unsigned count)
{
    struct raft_message message = {.type = RAFT_APPEND_ENTRIES};
    message.append_entries.term = term;
    message.append_entries.prev_log_index = previous;
    message.append_entries.prev_log_term = previous_term;
    message.append_entries.leader_commit = commit_index;
    message.append_entries.n_entries = count;
    struct entry *entries[8];
    assert_true(count <= 8);
    for (unsigned i = 0; i < count; i++) {
        entries[i] = filled(term, ENTRY_COMMAND, 8);
    }
    driver_receive(alone->driver, 1, &message, entries);
    for (unsigned i = 0; i < count; i++) {
        entry_unref(entries[i]);
    }
}

/* ---- order */

static void test_nothing_is_said_before_the_term_is_durable(void **state)
{
    (void)state;
    struct alone *alone = follower();
    /* When a leader of a new term sends two entries, term and entries are queued, and nothing is answered, ... */
    receive_append(alone, 2, 1, 1, 1, 2);
    assert_story(alone, "1: vote 2 for 0; 2: append 2..3; ");
    /* ... not even what needs no write. */
    receive_append(alone, 2, 9, 2, 1, 1);
    assert_story(alone, "");
    driver_log_durable(alone->driver, 1);
    assert_story(alone, "reject 9 to 1; ");
    driver_log_durable(alone->driver, 2);
    assert_story(alone, "ack 3 to 1; ");
    /* And what is committed is applied then. */
    receive_append(alone, 2, 3, 2, 3, 0);
    assert_story(alone, "ack 3 to 1; apply 2; apply 3; committed 3; ");
    end(alone);
}

static void test_a_vote_leaves_when_it_is_durable(void **state)
{
    (void)state;
    struct alone *alone = follower();
    struct raft_message message = {.type = RAFT_REQUEST_VOTE};
    message.request_vote = (struct raft_request_vote){2, 5, 3, 1, 1, false, false};
    driver_receive(alone->driver, 3, &message, NULL);
    assert_story(alone, "1: vote 5 for 3; ");
    /* Asked again, it writes nothing again. */
    driver_receive(alone->driver, 3, &message, NULL);
    assert_story(alone, "");
    driver_log_durable(alone->driver, 1);
    assert_story(alone, "grant to 3; grant to 3; ");
    end(alone);
}

static void test_nothing_is_applied_before_it_is_durable(void **state)
{
    (void)state;
    struct alone *alone = follower();
    receive_append(alone, 2, 1, 1, 3, 2);
    assert_story(alone, "1: vote 2 for 0; 2: append 2..3; committed 3; ");
    assert_int_equal(driver_status(alone->driver).handed_over_index, 1);
    driver_log_durable(alone->driver, 2);
    assert_int_equal(driver_status(alone->driver).handed_over_index, 3);
    end(alone);
}

static void test_a_write_reports_only_what_later_ones_left_of_it(void **state)
{
    (void)state;
    /* Given entries 2 to 4 on their way to disk, when the next leader replaces those from 3 on, ... */
    struct alone *alone = follower();
    receive_append(alone, 2, 1, 1, 1, 3);
    receive_append(alone, 3, 2, 2, 1, 1);
    assert_story(alone, "1: vote 2 for 0; 2: append 2..4; 3: vote 3 for 0; 4: append 3..3; ");
    /* ... then the first write tells only of 2, once the new term is durable. */
    driver_log_durable(alone->driver, 2);
    assert_int_equal(driver_status(alone->driver).durable_index, 1);
    driver_log_durable(alone->driver, 3);
    assert_int_equal(driver_status(alone->driver).durable_index, 2);
    driver_log_durable(alone->driver, 4);
    assert_int_equal(driver_status(alone->driver).durable_index, 3);
    assert_int_equal(driver_status(alone->driver).last_index, 3);
    end(alone);
}

static void test_a_snapshot_is_in_place_before_the_log_goes(void **state)
{
    (void)state;
    /* Given a follower with a write under way, when a snapshot comes, ... */
    struct alone *alone = follower();
    receive_append(alone, 2, 1, 1, 1, 2);
    driver_log_durable(alone->driver, 1);
    assert_story(alone, "1: vote 2 for 0; 2: append 2..3; ");
    struct driver_position position = position_at(alone, 10, 2);
    driver_receive_snapshot(alone->driver, 1, 2, &position);
    assert_story(alone, "install 10 of term 2; ");
    /* ... nothing is reported or taken until it is in place, neither entries nor another snapshot, ... */
    driver_log_durable(alone->driver, 2);
    receive_append(alone, 2, 10, 2, 10, 1);
    driver_receive_snapshot(alone->driver, 1, 2, &position);
    assert_int_equal(driver_status(alone->driver).handed_over_index, 1);
    alone->story[0] = '\0';
    /* ... then the log is reset, and only when that is durable the leader hears of it. */
    driver_snapshot_installed(alone->driver);
    assert_story(alone, "3: reset 11; ");
    driver_log_durable(alone->driver, 3);
    assert_story(alone, "ack 10 to 1; committed 10; ");
    assert_int_equal(driver_status(alone->driver).handed_over_index, 10);
    receive_append(alone, 2, 10, 2, 11, 1);
    driver_log_durable(alone->driver, 4);
    assert_story(alone, "4: append 11..11; committed 11; ack 11 to 1; apply 11; ");
    end(alone);
}

/* A power cut between the two would leave a state of a later term than the vote, and such a node does not start. */
static void test_a_snapshot_of_a_later_term_waits_until_that_is_durable(void **state)
{
    (void)state;
    struct alone *alone = follower();
    struct driver_position position = position_at(alone, 10, 2);
    driver_receive_snapshot(alone->driver, 1, 2, &position);
    assert_story(alone, "1: vote 2 for 0; ");
    assert_true(driver_status(alone->driver).installing);
    driver_log_durable(alone->driver, 1);
    assert_story(alone, "install 10 of term 2; ");
    driver_snapshot_installed(alone->driver);
    driver_log_durable(alone->driver, 2);
    assert_story(alone, "2: reset 11; ack 10 to 1; committed 10; ");
    end(alone);
}

static void test_a_stopped_driver_does_nothing(void **state)
{
    (void)state;
    struct alone *alone = follower();
    driver_fail(alone->driver, "the disk is gone");
    driver_fail(alone->driver, "again");
    assert_int_equal(alone->failures, 1);
    receive_append(alone, 2, 1, 1, 1, 2);
    driver_tick(alone->driver);
    driver_log_durable(alone->driver, 1);
    assert_story(alone, "");
    assert_true(driver_next_tick_ms(alone->driver) == UINT64_MAX);
    assert_int_equal(driver_status(alone->driver).role, DRIVER_UNAVAILABLE);
    assert_true(driver_status(alone->driver).failed);
    uint64_t index, term;
    assert_int_equal(driver_submit(alone->driver, filled(0, ENTRY_COMMAND, 1), &index, &term), DRIVER_STOPPED);
    end(alone);
}

static void test_what_makes_no_sense_is_dropped(void **state)
{
    (void)state;
    struct alone *alone = follower();
    const struct {
        uint64_t term, previous, previous_term, entry_term;
        enum entry_type type;
    } bad[] = {
        {0, 1, 1, 1, ENTRY_COMMAND}, /* no term */
        {2, 1, 0, 2, ENTRY_COMMAND}, /* an entry before without a term */
        {2, 0, 1, 2, ENTRY_COMMAND}, /* a term without an entry */
        {2, 1, 3, 2, ENTRY_COMMAND}, /* from the future */
        {2, 1, 1, 3, ENTRY_COMMAND}, /* likewise */
        {2, 1, 1, 0, ENTRY_COMMAND}, /* an entry without a term */
        {2, 1, 1, 2, ENTRY_CHANGE},  /* "xxxxxxxx" is no configuration */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct raft_message message = {.type = RAFT_APPEND_ENTRIES};
        message.append_entries.term = bad[i].term;
        message.append_entries.prev_log_index = bad[i].previous;
        message.append_entries.prev_log_term = bad[i].previous_term;
        message.append_entries.n_entries = 1;
        struct entry *entry = filled(bad[i].entry_term, bad[i].type, 8);
        driver_receive(alone->driver, 1, &message, &entry);
        entry_unref(entry);
        assert_story(alone, "");
    }
    end(alone);
}

/* The core's own look at that goes by its commit index, which may have gone back (guard 10). */
static void test_nobody_takes_back_what_is_committed(void **state)
{
    (void)state;
    struct alone *alone = follower();
    receive_append(alone, 2, 1, 1, 3, 2); /* not durable here yet */
    assert_int_equal(driver_status(alone->driver).commit_index, 3);
    receive_append(alone, 2, 1, 1, 9, 0);
    alone->story[0] = '\0';
    receive_append(alone, 3, 1, 1, 3, 2);
    assert_int_equal(alone->failures, 1);
    assert_true(driver_status(alone->driver).failed);
    assert_null(strstr(alone->story, "append"));
    end(alone);
}

static void test_no_snapshot_takes_back_what_is_committed(void **state)
{
    (void)state;
    struct alone *alone = follower();
    receive_append(alone, 2, 1, 1, 3, 2); /* not durable here yet */
    alone->story[0] = '\0';
    struct driver_position position = position_at(alone, 2, 2);
    driver_receive_snapshot(alone->driver, 1, 3, &position); /* the same entry: it has that already */
    assert_int_equal(alone->failures, 0);
    assert_false(driver_status(alone->driver).installing);
    position = position_at(alone, 2, 3);
    driver_receive_snapshot(alone->driver, 1, 3, &position);
    assert_int_equal(alone->failures, 1);
    assert_null(strstr(alone->story, "install"));
    end(alone);
}

/* The core adds to terms and indexes: none may come so far that they begin anew. */
static void test_numbers_that_no_node_reaches_are_dropped(void **state)
{
    (void)state;
    static const uint64_t far[] = {UINT64_MAX, UINT64_MAX / 2};
    struct alone *alone = follower();
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
        const struct raft_message messages[] = {
            {.type = RAFT_REQUEST_VOTE, .request_vote = {.term = far[i], .candidate_id = 2}},
            {.type = RAFT_REQUEST_VOTE, .request_vote = {.term = 2, .candidate_id = 2, .last_log_index = far[i], .last_log_term = 1}},
            {.type = RAFT_REQUEST_VOTE_RESULT, .request_vote_result = {.term = far[i]}},
            {.type = RAFT_APPEND_ENTRIES, .append_entries = {.term = far[i]}},
            {.type = RAFT_APPEND_ENTRIES, .append_entries = {.term = 2, .leader_commit = far[i]}},
            {.type = RAFT_APPEND_ENTRIES_RESULT, .append_entries_result = {.term = far[i]}},
            {.type = RAFT_TIMEOUT_NOW, .timeout_now = {.term = far[i]}},
        };
        for (size_t j = 0; j < sizeof messages / sizeof messages[0]; j++) {
            driver_receive(alone->driver, 2, &messages[j], NULL);
            assert_story(alone, "");
        }
        struct driver_position position = position_at(alone, far[i], 1);
        driver_receive_snapshot(alone->driver, 2, 1, &position);
        position.index = 5;
        driver_receive_snapshot(alone->driver, 2, far[i], &position);
        assert_story(alone, "");
    }
    assert_int_equal(driver_status(alone->driver).term, 1);
    end(alone);
}

/* ---- starting */

static void test_a_log_that_does_not_continue_the_state_is_dropped(void **state)
{
    (void)state;
    const struct {
        uint64_t state_index, state_term;
    } cases[] = {
        {9, 2}, /* the log ends below it */
        {4, 2}, /* the log has another term there */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct alone *alone = alone_with_disk(3);
        put_on_disk(alone, 2, 6, 1);
        alone->start.term = 2;
        alone->start.state = position_at(alone, cases[i].state_index, cases[i].state_term);
        assert_true(begin(alone));
        char expected[64];
        (void)snprintf(expected, sizeof expected, "1: reset %u; ", (unsigned)cases[i].state_index + 1);
        assert_story(alone, expected);
        assert_int_equal(driver_status(alone->driver).last_index, cases[i].state_index);
        assert_int_equal(driver_status(alone->driver).handed_over_index, cases[i].state_index);
        end(alone);
    }
}

static void test_a_log_behind_the_state_is_replayed_when_committed(void **state)
{
    (void)state;
    struct alone *alone = alone_with_disk(3);
    put_on_disk(alone, 2, 6, 1);
    alone->start.state = position_at(alone, 4, 1);
    assert_true(begin(alone));
    assert_story(alone, "");
    receive_append(alone, 1, 6, 1, 6, 0);
    assert_non_null(strstr(alone->story, "apply 5; apply 6; "));
    assert_null(strstr(alone->story, "apply 4; "));
    end(alone);
}

static void refuse(struct alone *alone, const char *words)
{
    assert_false(begin(alone));
    assert_non_null(strstr(alone->error, words));
    end(alone);
}

static void test_contradictions_on_disk_are_refused_in_words(void **state)
{
    (void)state;
    struct alone *alone = alone_with_disk(3);
    put_on_disk(alone, 2, 9, 1);
    alone->start.first_index = 7;
    alone->start.state = position_at(alone, 4, 1);
    refuse(alone, "the log begins beyond the state");

    alone = alone_with_disk(3);
    alone->start.term = 0;
    refuse(alone, "the vote was lost");

    alone = alone_with_disk(3);
    put_on_disk(alone, 2, 5, 1);
    entry_unref(alone->disk[4]);
    alone->disk[4] = NULL;
    refuse(alone, "cannot be read (entry 4)");

    alone = alone_with_disk(3);
    put_on_disk(alone, 2, 3, 4);
    put_on_disk(alone, 4, 5, 2);
    refuse(alone, "not in order");

    alone = alone_with_disk(3);
    alone->start.state = position_at(alone, 1, 1);
    alone->start.state.configuration_size_bytes = 5;
    refuse(alone, "the state's configuration cannot be read");
}

static void test_an_empty_node_waits_to_be_told(void **state)
{
    (void)state;
    struct alone *alone = alone_with_disk(3);
    alone->start = (struct driver_start){.first_index = 1, .last_index = 0};
    assert_true(begin(alone));
    for (unsigned i = 0; i < 10; i++) {
        alone->now_ms = driver_next_tick_ms(alone->driver);
        driver_tick(alone->driver);
    }
    assert_story(alone, "");
    assert_int_equal(driver_status(alone->driver).role, DRIVER_FOLLOWER);
    receive_append(alone, 2, 0, 0, 0, 1); /* a log that begins with no configuration */
    assert_story(alone, "");
    assert_int_equal(driver_status(alone->driver).last_index, 0);
    end(alone);
}

static void test_a_sole_voter_raises_its_term_before_it_starts(void **state)
{
    (void)state;
    struct alone *alone = alone_with_disk(1);
    assert_true(begin(alone));
    assert_story(alone, "1: vote 2 for 2; ");
    assert_int_equal(driver_status(alone->driver).role, DRIVER_UNAVAILABLE);
    assert_true(driver_next_tick_ms(alone->driver) == UINT64_MAX);
    driver_log_durable(alone->driver, 1);
    assert_int_equal(driver_status(alone->driver).role, DRIVER_LEADER);
    assert_int_equal(driver_status(alone->driver).term, 2);
    driver_log_durable(alone->driver, 2);
    assert_true(driver_status(alone->driver).ready);
    end(alone);
}

static void test_the_first_configuration_does_not_depend_on_order(void **state)
{
    (void)state;
    const uint64_t ids[] = {3, 1, 2}, other_ids[] = {1, 2, 3}, twice[] = {1, 1};
    const char *const addresses[] = {"c", "a", "b"};
    const char *const other_addresses[] = {"a", "b", "c"};
    void *one, *two;
    size_t one_size, two_size;
    assert_int_equal(driver_first_configuration(ids, addresses, 3, &one, &one_size), 0);
    assert_int_equal(driver_first_configuration(other_ids, other_addresses, 3, &two, &two_size), 0);
    assert_int_equal(one_size, two_size);
    assert_memory_equal(one, two, one_size);
    raft_free(one);
    raft_free(two);
    assert_int_not_equal(driver_first_configuration(twice, addresses, 2, &one, &one_size), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_said_before_the_term_is_durable),
        cmocka_unit_test(test_a_vote_leaves_when_it_is_durable),
        cmocka_unit_test(test_nothing_is_applied_before_it_is_durable),
        cmocka_unit_test(test_a_write_reports_only_what_later_ones_left_of_it),
        cmocka_unit_test(test_a_snapshot_is_in_place_before_the_log_goes),
        cmocka_unit_test(test_a_snapshot_of_a_later_term_waits_until_that_is_durable),
        cmocka_unit_test(test_a_stopped_driver_does_nothing),
        cmocka_unit_test(test_what_makes_no_sense_is_dropped),
        cmocka_unit_test(test_nobody_takes_back_what_is_committed),
        cmocka_unit_test(test_no_snapshot_takes_back_what_is_committed),
        cmocka_unit_test(test_numbers_that_no_node_reaches_are_dropped),
        cmocka_unit_test(test_a_log_that_does_not_continue_the_state_is_dropped),
        cmocka_unit_test(test_a_log_behind_the_state_is_replayed_when_committed),
        cmocka_unit_test(test_contradictions_on_disk_are_refused_in_words),
        cmocka_unit_test(test_an_empty_node_waits_to_be_told),
        cmocka_unit_test(test_a_sole_voter_raises_its_term_before_it_starts),
        cmocka_unit_test(test_the_first_configuration_does_not_depend_on_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
