/* The state's thread: applies in order, tells at once, commits in bulk, and stops for good at the first thing that
 * is wrong. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "consensus/machine/keys.h"
#include "consensus/machine/records.h"
#include "consensus/machine/schema/schema.pb-c.h"
#include "storage/state_writer.h"
#include "tests/support/disk_faults.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/wake_bell.h"

#define MAP_SIZE_BYTES ((size_t)1 << 30)
#define START_MS 1700000000000ull

struct story {
    struct scratch_dir dir, other;
    struct wake_bell bell;
    atomic_bool hold; /* the writer's thread waits in its wake until `release` is rung */
    struct wake_bell release;
    struct state_store *store;
    struct state_writer *writer;
    struct storage_failure failure;
    struct state_progress progress; /* of the last drain */
    uint64_t next_output;           /* index that the next output must have */
    uint64_t sequence, replies, last_time_ms, last_id, last_deadline_ms;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void ring(void *context)
{
    struct story *story = context;
    wake_bell_ring(&story->bell);
    if (atomic_load(&story->hold)) {
        wake_bell_wait(&story->release);
    }
}

static void start(struct story *story, size_t map_size_bytes)
{
    assert_int_equal(state_store_open(story->dir.path, map_size_bytes, &story->store, &story->failure), STORAGE_OK);
    assert_int_equal(state_writer_start(story->store, ring, story, &story->writer, &story->failure), STORAGE_OK);
}

static void stop(struct story *story)
{
    state_writer_stop(story->writer);
    state_store_close(story->store);
    story->writer = NULL;
    story->store = NULL;
}

static int given_a_writer(void **state)
{
    struct story *story = calloc(1, sizeof *story);
    assert_non_null(story);
    story->dir = scratch_dir_make();
    story->other = scratch_dir_make();
    story->next_output = 1;
    wake_bell_init(&story->bell);
    wake_bell_init(&story->release);
    start(story, MAP_SIZE_BYTES);
    *state = story;
    return 0;
}

static int clear(void **state)
{
    struct story *story = *state;
    stop(story);
    wake_bell_close(&story->bell);
    wake_bell_close(&story->release);
    scratch_dir_remove(&story->dir);
    scratch_dir_remove(&story->other);
    free(story);
    return 0;
}

/* ---- entries */

static void submit(struct story *story, uint64_t index, struct entry *entry)
{
    state_writer_apply(story->writer, index, entry);
    entry_unref(entry);
}

static void submit_barrier(struct story *story, uint64_t index)
{
    submit(story, index, entry_new(2, ENTRY_BARRIER, 0));
}

static void submit_change(struct story *story, uint64_t index, const char *configuration)
{
    struct entry *entry = entry_new(2, ENTRY_CHANGE, (uint32_t)strlen(configuration));
    memcpy(entry->data, configuration, strlen(configuration));
    submit(story, index, entry);
}

/* The index is also the time in milliseconds since the start, so that each entry is told apart. */
static struct entry *user_entry(struct story *story, uint64_t index)
{
    char name[32], email[48];
    int name_size = snprintf(name, sizeof name, "User %llu", (unsigned long long)index);
    int email_size = snprintf(email, sizeof email, "user%llu@example.org", (unsigned long long)index);
    assert_true(name_size > 0 && email_size > 0);

    Tocsin__User user;
    tocsin__user__init(&user);
    user.name = name;
    user.email = email;
    user.time_zone = (char[]){"UTC"};
    user.role = TOCSIN__ROLE__ROLE_USER;
    Tocsin__UserPut put;
    tocsin__user_put__init(&put);
    put.user = &user;
    Tocsin__Origin origin;
    tocsin__origin__init(&origin);
    origin.node = 1;
    origin.boot = 1;
    origin.sequence = ++story->sequence;
    Tocsin__Actor actor;
    tocsin__actor__init(&actor);
    Tocsin__Command command;
    tocsin__command__init(&command);
    command.origin = &origin;
    command.actor = &actor;
    command.body_case = TOCSIN__COMMAND__BODY_USER_PUT;
    command.user_put = &put;

    uint8_t packed[512];
    assert_true(tocsin__command__get_packed_size(&command) <= sizeof packed);
    ProtobufCBinaryData commands = {.len = tocsin__command__pack(&command, packed), .data = packed};
    Tocsin__Entry content;
    tocsin__entry__init(&content);
    content.time_ms = START_MS + index;
    content.proposer = 1;
    content.proposer_boot = 1;
    content.n_commands = 1;
    content.commands = &commands;
    struct entry *entry = entry_new(2, ENTRY_COMMAND, (uint32_t)tocsin__entry__get_packed_size(&content));
    tocsin__entry__pack(&content, entry->data);
    return entry;
}

static void submit_user(struct story *story, uint64_t index)
{
    submit(story, index, user_entry(story, index));
}

/* ---- what comes back */

static void on_output(void *context, uint64_t index, uint64_t term, const struct machine_output *output)
{
    struct story *story = context;
    assert_int_equal(index, story->next_output++);
    assert_int_equal(term, 2);
    assert_true(output->time_ms >= story->last_time_ms);
    story->last_time_ms = output->time_ms;
    story->last_deadline_ms = output->next_deadline_ms;
    for (size_t i = 0; i < output->replies_count; i++) {
        Tocsin__Reply *reply =
            tocsin__reply__unpack(NULL, output->replies[i].packed.size_bytes, output->replies[i].packed.data);
        assert_non_null(reply);
        assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
        assert_int_equal(reply->n_ids, 1);
        assert_true(reply->ids[0] > story->last_id);
        story->last_id = reply->ids[0];
        tocsin__reply__free_unpacked(reply, NULL);
        story->replies++;
    }
}

static void drain(struct story *story)
{
    struct state_progress progress = state_writer_drain(story->writer, on_output, story);
    assert_true(progress.applied_index >= story->progress.applied_index || progress.installed > 0);
    assert_true(progress.committed_index <= progress.applied_index || progress.failed);
    assert_true(progress.durable_index <= progress.committed_index);
    story->progress = progress;
}

static void wait_until_applied(struct story *story, uint64_t index)
{
    for (drain(story); story->progress.applied_index < index; drain(story)) {
        assert_false(story->progress.failed);
        wake_bell_wait(&story->bell);
    }
}

static void wait_until_committed(struct story *story, uint64_t index)
{
    for (drain(story); story->progress.committed_index < index; drain(story)) {
        assert_false(story->progress.failed);
        wake_bell_wait(&story->bell);
    }
}

static void wait_until_durable(struct story *story, uint64_t index)
{
    for (drain(story); story->progress.durable_index < index; drain(story)) {
        assert_false(story->progress.failed);
        wake_bell_wait(&story->bell);
    }
}

static void wait_until_failed(struct story *story)
{
    for (drain(story); !story->progress.failed; drain(story)) {
        wake_bell_wait(&story->bell);
    }
}

static void assert_readers_see(struct story *story, uint64_t index, uint64_t users)
{
    struct state_reader reader;
    assert_int_equal(state_reader_begin(story->store, &reader, &story->failure), STORAGE_OK);
    assert_int_equal(reader.applied_index, index);
    assert_int_equal(reader.view.count(reader.view.context, TABLE_USER), users);
    state_reader_end(&reader);
}

/* ---- applying */

static void commands_are_answered_in_order(void **state)
{
    struct story *story = *state;
    for (uint64_t index = 1; index <= 600; index++) {
        submit_user(story, index);
    }
    wait_until_applied(story, 600);
    assert_int_equal(story->next_output, 601);
    assert_int_equal(story->replies, 600);
    assert_int_equal(story->last_time_ms, START_MS + 600);
    assert_int_equal(story->progress.queued_entries, 0);
}

static void an_idle_writer_commits_and_makes_durable_by_itself(void **state)
{
    struct story *story = *state;
    submit_user(story, 1);
    wait_until_durable(story, 1);
    assert_int_equal(story->progress.committed_index, 1);
    assert_readers_see(story, 1, 1);
}

static void entries_without_commands_move_the_position_alone(void **state)
{
    struct story *story = *state;
    struct state_position position;
    submit_change(story, 1, "one voter");
    submit_user(story, 2);
    submit_barrier(story, 3);
    submit_change(story, 4, "three voters");
    submit_barrier(story, 5);
    wait_until_committed(story, 5);
    assert_int_equal(story->replies, 1);
    assert_int_equal(story->last_time_ms, START_MS + 2); /* a barrier tells the time of the last command */
    struct state_reader reader;
    assert_int_equal(state_reader_begin(story->store, &reader, &story->failure), STORAGE_OK);
    assert_int_equal(story->last_deadline_ms, machine_next_deadline_ms(&reader.view));
    state_reader_end(&reader);

    for (int restarts = 0; restarts < 2; restarts++) {
        assert_int_equal(state_store_position(story->store, &position, &story->failure), STORAGE_OK);
        assert_int_equal(position.index, 5);
        assert_int_equal(position.term, 2);
        assert_int_equal(position.configuration_index, 4);
        assert_int_equal(position.configuration_size_bytes, strlen("three voters"));
        assert_memory_equal(position.configuration, "three voters", strlen("three voters"));
        state_position_close(&position);
        stop(story);
        start(story, MAP_SIZE_BYTES);
    }
    drain(story);
    assert_int_equal(story->progress.durable_index, 5);
    submit_barrier(story, 6); /* it goes on where it stood, with the configuration that it had */
    wait_until_committed(story, 6);
    assert_int_equal(state_store_position(story->store, &position, &story->failure), STORAGE_OK);
    assert_int_equal(position.configuration_index, 4);
    state_position_close(&position);
}

static void outputs_come_before_their_commit_and_readers_wait_for_it(void **state)
{
    struct story *story = *state;
    /* Given a writer that is held right after applying the first entry: its output is there, the commit is not. */
    atomic_store(&story->hold, true);
    submit_user(story, 1);
    wake_bell_wait(&story->bell);
    drain(story);
    assert_int_equal(story->progress.applied_index, 1);
    assert_int_equal(story->progress.committed_index, 0);
    assert_int_equal(story->replies, 1);
    assert_readers_see(story, 0, 0);

    /* When a reader asks while another entry waits, then both are committed, in one transaction. */
    submit_user(story, 2);
    state_writer_want_commit(story->writer);
    drain(story);
    assert_int_equal(story->progress.queued_entries, 1);
    unsigned syncs = disk_faults_syncs();
    atomic_store(&story->hold, false);
    wake_bell_ring(&story->release);
    wait_until_committed(story, 2);
    assert_in_range(disk_faults_syncs() - syncs, 1, 2); /* the commit, and perhaps already the idle writer's sync */
    assert_readers_see(story, 2, 2);
}

static void many_entries_share_a_commit(void **state)
{
    struct story *story = *state;
    atomic_store(&story->hold, true);
    submit_user(story, 1);
    wake_bell_wait(&story->bell);
    for (uint64_t index = 2; index <= STATE_COMMIT_ENTRIES; index++) {
        submit_barrier(story, index);
    }
    state_writer_want_commit(story->writer);
    unsigned syncs = disk_faults_syncs();
    atomic_store(&story->hold, false);
    wake_bell_ring(&story->release);
    wait_until_committed(story, 1);
    /* Only a machine that stood still for STATE_COMMIT_MS meanwhile commits a part of them first. */
    wait_until_committed(story, STATE_COMMIT_ENTRIES);
    assert_in_range(disk_faults_syncs() - syncs, 1, STATE_COMMIT_ENTRIES / 8);
}

static void the_next_commands_of_busy_clients_share_the_commit(void **state)
{
    struct story *story = *state;
    uint64_t began_ms = now_ms();
    atomic_store(&story->hold, true);
    submit_user(story, 1);
    wake_bell_wait(&story->bell);
    for (uint64_t index = 2; index <= STATE_BUSY_COMMANDS; index++) {
        submit_user(story, index);
    }
    atomic_store(&story->hold, false);
    wake_bell_ring(&story->release);
    wait_until_applied(story, STATE_BUSY_COMMANDS);
    /* They wait for the log, longer than an idle writer does. */
    poll(NULL, 0, 4 * STATE_IDLE_MS);
    drain(story);
    bool early = now_ms() - began_ms < STATE_BUSY_IDLE_MS; /* or this machine stood still */
    assert_true(!early || story->progress.committed_index < STATE_BUSY_COMMANDS);
    submit_user(story, STATE_BUSY_COMMANDS + 1);
    wait_until_committed(story, STATE_BUSY_COMMANDS + 1);
}

static void stopping_keeps_what_was_applied(void **state)
{
    struct story *story = *state;
    for (uint64_t index = 1; index <= 10; index++) {
        submit_user(story, index);
    }
    wait_until_applied(story, 10);
    stop(story);
    start(story, MAP_SIZE_BYTES);
    assert_readers_see(story, 10, 10);
}

static void an_entry_is_let_go_once_it_is_applied(void **state)
{
    struct story *story = *state;
    struct entry *entry = user_entry(story, 1);
    state_writer_apply(story->writer, 1, entry);
    wait_until_durable(story, 1);
    assert_int_equal(atomic_load(&entry->references), 1);
    entry_unref(entry);
}

/* ---- what cannot be applied */

static void assert_stopped(struct story *story, uint64_t committed, enum storage_error error, const char *sentence)
{
    assert_true(story->progress.failed);
    assert_int_equal(story->progress.failure.error, error);
    assert_non_null(strstr(story->progress.failure.message, sentence));
    assert_int_equal(story->progress.committed_index, committed);
    assert_readers_see(story, committed, committed);
}

static void an_entry_that_does_not_decode_stops_the_writer(void **state)
{
    struct story *story = *state;
    submit_user(story, 1);
    submit_user(story, 2);
    wait_until_committed(story, 2);
    struct entry *damaged = entry_new(2, ENTRY_COMMAND, 16);
    memset(damaged->data, 0xff, 16);
    submit(story, 3, damaged);
    submit_user(story, 4);
    wait_until_failed(story);
    assert_stopped(story, 2, STORAGE_CORRUPT, "entry 3");
    assert_int_equal(story->next_output, 3); /* nothing came back for it, nor for what follows */

    struct entry *late = user_entry(story, 5);
    state_writer_apply(story->writer, 5, late);
    stop(story);
    assert_int_equal(atomic_load(&late->references), 1);
    entry_unref(late);
    start(story, MAP_SIZE_BYTES);
    assert_readers_see(story, 2, 2);
}

static void a_field_of_a_newer_version_stops_the_writer(void **state)
{
    struct story *story = *state;
    struct entry *entry = user_entry(story, 1);
    struct entry *newer = entry_new(2, ENTRY_COMMAND, entry->size_bytes + 3);
    memcpy(newer->data, entry->data, entry->size_bytes);
    memcpy(newer->data + entry->size_bytes, "\xf8\x07\x01", 3); /* field 127, a number */
    entry_unref(entry);
    submit(story, 1, newer);
    wait_until_failed(story);
    assert_stopped(story, 0, STORAGE_STOPPED, "entry 1");
}

static void an_entry_of_an_unknown_type_stops_the_writer(void **state)
{
    struct story *story = *state;
    struct entry *entry = entry_new(2, ENTRY_BARRIER, 0);
    entry->type = 9;
    submit(story, 1, entry);
    wait_until_failed(story);
    assert_stopped(story, 0, STORAGE_CORRUPT, "type 9");
}

static void a_full_map_stops_the_writer(void **state)
{
    struct story *story = *state;
    stop(story);
    start(story, 1u << 20);
    uint64_t index = 0;
    while (!story->progress.failed) {
        for (int i = 0; i < 100; i++) {
            submit_user(story, ++index);
        }
        assert_true(index < 20000);
        while (drain(story), story->progress.queued_entries > 0 && !story->progress.failed) {
            wake_bell_wait(&story->bell);
        }
    }
    assert_stopped(story, story->progress.committed_index, STORAGE_FULL, "state.mdb");
}

static void a_failed_sync_stops_the_writer(void **state)
{
    struct story *story = *state;
    submit_user(story, 1);
    wait_until_durable(story, 1);
    disk_faults_fail_syncs(true);
    submit_user(story, 2);
    wait_until_failed(story);
    disk_faults_fail_syncs(false);
    assert_stopped(story, 1, STORAGE_IO, "state.mdb");
    assert_int_equal(story->progress.durable_index, 1);
}

/* ---- snapshots */

/* A snapshot of another node that applied `last` users, staged in this node's directory. */
static struct snapshot *staged_snapshot(struct story *story, uint64_t last)
{
    struct story donor = {.dir = story->other, .next_output = 1};
    struct snapshot *taken, *staged;
    wake_bell_init(&donor.bell);
    start(&donor, MAP_SIZE_BYTES);
    submit_change(&donor, 1, "five voters");
    for (uint64_t index = 2; index <= last; index++) {
        submit_user(&donor, index);
    }
    wait_until_committed(&donor, last);
    assert_int_equal(snapshot_take(donor.store, donor.dir.path, &taken, &donor.failure), STORAGE_OK);
    stop(&donor);
    wake_bell_close(&donor.bell);
    uint8_t *bytes = malloc(taken->size_bytes);
    size_t read_bytes;
    assert_non_null(bytes);
    assert_int_equal(snapshot_read(taken, 0, bytes, taken->size_bytes, &read_bytes, &story->failure), STORAGE_OK);
    assert_int_equal(snapshot_stage_chunk(story->dir.path, 0, bytes, read_bytes, &story->failure), STORAGE_OK);
    assert_int_equal(snapshot_stage_finish(story->dir.path, &staged, &story->failure), STORAGE_OK);
    free(bytes);
    snapshot_free(taken);
    return staged;
}

static void a_staged_snapshot_takes_the_states_place(void **state)
{
    struct story *story = *state;
    struct snapshot *staged = staged_snapshot(story, 40);
    submit_user(story, 1);
    submit_user(story, 2);
    state_writer_install(story->writer, staged);
    while (drain(story), story->progress.installed == 0) {
        assert_false(story->progress.failed);
        wake_bell_wait(&story->bell);
    }
    assert_int_equal(story->replies, 2); /* what was before it came back before it */
    assert_int_equal(story->progress.applied_index, 40);
    assert_int_equal(story->progress.committed_index, 40);
    assert_int_equal(story->progress.durable_index, 40);
    assert_readers_see(story, 40, 39);
    assert_false(scratch_file_exists(scratch_path(&story->dir, "staging/incoming.snapshot")));

    story->next_output = 41;
    story->last_id = 0;
    story->sequence = 1000;
    submit_user(story, 41);
    wait_until_durable(story, 41);
    stop(story);
    start(story, MAP_SIZE_BYTES);
    assert_readers_see(story, 41, 40);
    struct state_position position;
    assert_int_equal(state_store_position(story->store, &position, &story->failure), STORAGE_OK);
    assert_int_equal(position.configuration_index, 1);
    assert_memory_equal(position.configuration, "five voters", strlen("five voters"));
    state_position_close(&position);
}

static void a_snapshot_that_changed_after_staging_stops_the_writer(void **state)
{
    struct story *story = *state;
    struct snapshot *staged = staged_snapshot(story, 10);
    submit_user(story, 1);
    wait_until_durable(story, 1);
    scratch_file_flip(staged->path, 10000);
    state_writer_install(story->writer, staged);
    wait_until_failed(story);
    assert_stopped(story, 1, STORAGE_CORRUPT, "staging");
}

int main(void)
{
#define STORY(test) cmocka_unit_test_setup_teardown(test, given_a_writer, clear)
    const struct CMUnitTest tests[] = {
        STORY(commands_are_answered_in_order),
        STORY(an_idle_writer_commits_and_makes_durable_by_itself),
        STORY(entries_without_commands_move_the_position_alone),
        STORY(outputs_come_before_their_commit_and_readers_wait_for_it),
        STORY(many_entries_share_a_commit),
        STORY(the_next_commands_of_busy_clients_share_the_commit),
        STORY(stopping_keeps_what_was_applied),
        STORY(an_entry_is_let_go_once_it_is_applied),
        STORY(an_entry_that_does_not_decode_stops_the_writer),
        STORY(a_field_of_a_newer_version_stops_the_writer),
        STORY(an_entry_of_an_unknown_type_stops_the_writer),
        STORY(a_full_map_stops_the_writer),
        STORY(a_failed_sync_stops_the_writer),
        STORY(a_staged_snapshot_takes_the_states_place),
        STORY(a_snapshot_that_changed_after_staging_stops_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
