/* Snapshots: taken while writes go on, sent in pieces, refused when damaged, installed as a whole or not at all. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/keys.h"
#include "storage/snapshot.h"
#include "tests/support/disk_faults.h"
#include "tests/support/scratch_dir.h"

#define MAP_SIZE_BYTES ((size_t)1 << 30)
#define CHUNK_SIZE_BYTES 4099u

struct story {
    struct scratch_dir dir, other; /* of the node that gives, of the one that takes */
    struct state_store *store;
    struct snapshot *snapshot;
    struct storage_failure failure;
};

static int given_a_state(void **state)
{
    struct story *story = calloc(1, sizeof *story);
    assert_non_null(story);
    story->dir = scratch_dir_make();
    story->other = scratch_dir_make();
    assert_int_equal(state_store_open(story->dir.path, MAP_SIZE_BYTES, &story->store, &story->failure), STORAGE_OK);
    *state = story;
    return 0;
}

static int clear(void **state)
{
    struct story *story = *state;
    snapshot_free(story->snapshot);
    state_store_close(story->store);
    scratch_dir_remove(&story->dir);
    scratch_dir_remove(&story->other);
    free(story);
    return 0;
}

/* One transaction: the entry `index` puts its number into every table, the sum over all into one row, and removes an
 * old row. */
static void apply(struct state_store *store, uint64_t index)
{
    struct storage_failure failure;
    struct machine_store view;
    uint8_t configuration[] = "five voters";
    struct state_position position = {.index = index,
                                      .term = 3,
                                      .configuration_index = 2,
                                      .configuration = configuration,
                                      .configuration_size_bytes = sizeof configuration};
    struct key key = key_1(index), old = key_1(index / 2);
    assert_int_equal(state_write_begin(store, &view, &failure), STORAGE_OK);
    for (int table = 0; table < TABLE_COUNT; table++) {
        view.put(view.context, (enum machine_table)table, key_span(&key), key_span(&key));
    }
    if (index % 2) {
        view.del(view.context, TABLE_ALERT, key_span(&old));
    }
    struct key counter = key_meta(META_COUNTERS);
    view.put(view.context, TABLE_META, key_span(&counter), key_span(&key));
    assert_int_equal(state_write_position(store, &position, &failure), STORAGE_OK);
    assert_int_equal(state_write_commit(store, &failure), STORAGE_OK);
}

static void apply_range(struct state_store *store, uint64_t first, uint64_t last)
{
    for (uint64_t index = first; index <= last; index++) {
        apply(store, index);
    }
}

/* Every row of every table is the same in both. */
static void assert_same_tables(struct state_store *one, struct state_store *other)
{
    struct storage_failure failure;
    struct state_reader readers[2];
    assert_int_equal(state_reader_begin(one, &readers[0], &failure), STORAGE_OK);
    assert_int_equal(state_reader_begin(other, &readers[1], &failure), STORAGE_OK);
    assert_int_equal(readers[0].applied_index, readers[1].applied_index);
    for (int table = 0; table < TABLE_COUNT; table++) {
        const struct machine_store *a = &readers[0].view, *b = &readers[1].view;
        assert_int_equal(a->count(a->context, (enum machine_table)table),
                         b->count(b->context, (enum machine_table)table));
        struct span key = {.size_bytes = 0}, a_key, a_value, b_key, b_value;
        uint8_t next[600];
        while (a->seek(a->context, (enum machine_table)table, key, &a_key, &a_value)) {
            assert_true(b->seek(b->context, (enum machine_table)table, key, &b_key, &b_value));
            assert_int_equal(a_key.size_bytes, b_key.size_bytes);
            assert_memory_equal(a_key.data, b_key.data, a_key.size_bytes);
            assert_int_equal(a_value.size_bytes, b_value.size_bytes);
            assert_memory_equal(a_value.data, b_value.data, a_value.size_bytes);
            memcpy(next, a_key.data, a_key.size_bytes); /* the least key after this one has a zero more */
            next[a_key.size_bytes] = 0;
            key = (struct span){.data = next, .size_bytes = a_key.size_bytes + 1};
        }
    }
    state_reader_end(&readers[0]);
    state_reader_end(&readers[1]);
}

static void take(struct story *story)
{
    assert_int_equal(snapshot_take(story->store, story->dir.path, &story->snapshot, &story->failure), STORAGE_OK);
}

/* Sends the snapshot to the other node in chunks and lets it check what came. */
static enum storage_error transfer(struct story *story, struct snapshot **staged)
{
    uint8_t chunk[CHUNK_SIZE_BYTES];
    size_t size_bytes = sizeof chunk;
    for (uint64_t offset = 0; size_bytes == sizeof chunk; offset += size_bytes) {
        assert_int_equal(
            snapshot_read(story->snapshot, offset, chunk, sizeof chunk, &size_bytes, &story->failure), STORAGE_OK);
        assert_int_equal(snapshot_stage_chunk(story->other.path, offset, chunk, size_bytes, &story->failure),
                         STORAGE_OK);
    }
    return snapshot_stage_finish(story->other.path, staged, &story->failure);
}

static void a_snapshot_says_where_it_stands(void **state)
{
    struct story *story = *state;
    apply_range(story->store, 1, 50);
    take(story);
    struct snapshot *snapshot = story->snapshot;
    assert_int_equal(snapshot->position.index, 50);
    assert_int_equal(snapshot->position.term, 3);
    assert_int_equal(snapshot->position.configuration_index, 2);
    assert_memory_equal(snapshot->position.configuration, "five voters", sizeof "five voters");
    assert_int_equal(snapshot->size_bytes, scratch_file_size_bytes(snapshot->path));
    assert_string_equal(snapshot->path, scratch_path(&story->dir, "snapshots/00000000000000000050-3.snapshot"));

    struct snapshot *read;
    assert_int_equal(snapshot_verify(snapshot->path, &read, &story->failure), STORAGE_OK);
    assert_int_equal(read->position.index, 50);
    assert_int_equal(read->size_bytes, snapshot->size_bytes);
    assert_memory_equal(read->sha256, snapshot->sha256, sizeof read->sha256);
    assert_memory_equal(read->position.configuration, "five voters", sizeof "five voters");
    snapshot_free(read);
}

static void an_empty_state_has_a_snapshot_too(void **state)
{
    struct story *story = *state;
    take(story);
    assert_int_equal(story->snapshot->position.index, 0);
}

static void only_the_newest_is_kept(void **state)
{
    struct story *story = *state;
    apply_range(story->store, 1, 5);
    take(story);
    struct snapshot *old = story->snapshot;
    apply_range(story->store, 6, 9);
    take(story);
    assert_false(scratch_file_exists(old->path));
    assert_true(scratch_file_exists(story->snapshot->path));
    assert_false(scratch_file_exists(scratch_path(&story->dir, "snapshots/taking.part")));

    uint8_t byte;
    size_t read_bytes;
    assert_int_equal(snapshot_read(old, 0, &byte, 1, &read_bytes, &story->failure), STORAGE_UNREADABLE);
    snapshot_free(old);
}

struct writer {
    struct state_store *store;
    uint64_t first_index;
    atomic_bool stop;
    atomic_ullong last_index;
};

static void *write_on(void *argument)
{
    struct writer *writer = argument;
    for (uint64_t index = writer->first_index; !atomic_load(&writer->stop); index++) {
        apply(writer->store, index);
        atomic_store(&writer->last_index, index);
    }
    return NULL;
}

static void a_node_that_fell_behind_gets_the_state_while_writes_go_on(void **state)
{
    struct story *story = *state;
    struct state_store *taker;
    struct snapshot *staged;
    apply_range(story->store, 1, 300);
    struct writer writer = {.store = story->store, .first_index = 301};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_on, &writer), 0);
    while (atomic_load(&writer.last_index) < 310) {
    }
    take(story);
    uint64_t index = story->snapshot->position.index;
    assert_true(index >= 310);
    while (atomic_load(&writer.last_index) <= index) { /* the writer did go on */
    }
    atomic_store(&writer.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);

    /* The other node has a state of its own that is thrown away. */
    assert_int_equal(state_store_open(story->other.path, MAP_SIZE_BYTES, &taker, &story->failure), STORAGE_OK);
    apply_range(taker, 1, 7);
    state_store_close(taker);
    assert_int_equal(transfer(story, &staged), STORAGE_OK);
    assert_int_equal(staged->position.index, index);
    assert_int_equal(snapshot_install(story->other.path, staged, &story->failure), STORAGE_OK);
    snapshot_free(staged);
    assert_int_equal(state_store_open(story->other.path, MAP_SIZE_BYTES, &taker, &story->failure), STORAGE_OK);

    /* What it has now is what the state was at that index: the same entries applied elsewhere say so. */
    struct scratch_dir replayed_dir = scratch_dir_make();
    struct state_store *replayed;
    assert_int_equal(state_store_open(replayed_dir.path, MAP_SIZE_BYTES, &replayed, &story->failure), STORAGE_OK);
    apply_range(replayed, 1, index);
    assert_same_tables(taker, replayed);

    /* And it goes on from there. */
    apply_range(taker, index + 1, index + 20);
    apply_range(replayed, index + 1, index + 20);
    assert_same_tables(taker, replayed);
    state_store_close(taker);
    state_store_close(replayed);
    scratch_dir_remove(&replayed_dir);
}

static void a_flipped_byte_anywhere_is_refused(void **state)
{
    struct story *story = *state;
    struct snapshot *read;
    apply_range(story->store, 1, 20);
    take(story);
    const char *path = story->snapshot->path;
    uint64_t size_bytes = story->snapshot->size_bytes, step = size_bytes / 61;
    for (uint64_t offset = 0; offset < size_bytes; offset += offset + step < size_bytes - 72 ? step : 1) {
        scratch_file_flip(path, offset);
        assert_int_equal(snapshot_verify(path, &read, &story->failure), STORAGE_CORRUPT);
        assert_null(read);
        scratch_file_flip(path, offset);
    }
    assert_int_equal(snapshot_verify(path, &read, &story->failure), STORAGE_OK);
    snapshot_free(read);
}

static void what_is_no_whole_snapshot_is_refused(void **state)
{
    struct story *story = *state;
    struct snapshot *read;
    apply_range(story->store, 1, 20);
    take(story);
    const char *path = story->snapshot->path;
    const uint64_t sizes[] = {story->snapshot->size_bytes - 1, story->snapshot->size_bytes - 72, 8192, 72, 1, 0};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        scratch_file_cut(path, sizes[i]);
        assert_int_equal(snapshot_verify(path, &read, &story->failure), STORAGE_CORRUPT);
        assert_non_null(strstr(story->failure.message, "snapshot"));
    }
    assert_int_equal(snapshot_verify(scratch_path(&story->dir, "nothing"), &read, &story->failure),
                     STORAGE_UNREADABLE);
}

static void chunks_come_in_order_or_not_at_all(void **state)
{
    struct story *story = *state;
    struct snapshot *staged;
    const char *dir = story->other.path;
    assert_int_equal(snapshot_stage_chunk(dir, 100, "x", 1, &story->failure), STORAGE_UNREADABLE);
    assert_int_equal(snapshot_stage_chunk(dir, 0, "abcd", 4, &story->failure), STORAGE_OK);
    assert_int_equal(snapshot_stage_chunk(dir, 5, "f", 1, &story->failure), STORAGE_CORRUPT);
    assert_int_equal(snapshot_stage_chunk(dir, 3, "d", 1, &story->failure), STORAGE_CORRUPT);
    assert_int_equal(snapshot_stage_chunk(dir, 4, "e", 1, &story->failure), STORAGE_OK);
    assert_int_equal(scratch_file_size_bytes(scratch_path(&story->other, "staging/incoming.snapshot")), 5);
    assert_int_equal(snapshot_stage_finish(dir, &staged, &story->failure), STORAGE_CORRUPT);
    assert_null(staged);

    apply_range(story->store, 1, 5);
    take(story);
    assert_int_equal(transfer(story, &staged), STORAGE_OK); /* offset 0 begins anew */
    assert_int_equal(staged->position.index, 5);
    snapshot_free(staged);
}

static void an_install_that_fails_leaves_the_old_state(void **state)
{
    struct story *story = *state;
    struct state_store *taker;
    apply_range(story->store, 1, 50);
    take(story);
    assert_int_equal(state_store_open(story->other.path, MAP_SIZE_BYTES, &taker, &story->failure), STORAGE_OK);
    apply_range(taker, 1, 7);
    state_store_close(taker);

    disk_faults_limit_files(16384);
    enum storage_error error = snapshot_install(story->other.path, story->snapshot, &story->failure);
    disk_faults_limit_files(UINT64_MAX);
    assert_int_equal(error, STORAGE_FULL);
    assert_false(scratch_file_exists(scratch_path(&story->other, "state.mdb.new")));

    scratch_file_flip(story->snapshot->path, 9000); /* it changes after it was verified */
    assert_int_equal(snapshot_install(story->other.path, story->snapshot, &story->failure), STORAGE_CORRUPT);

    struct state_position position;
    assert_int_equal(state_store_open(story->other.path, MAP_SIZE_BYTES, &taker, &story->failure), STORAGE_OK);
    assert_int_equal(state_store_position(taker, &position, &story->failure), STORAGE_OK);
    assert_int_equal(position.index, 7);
    state_position_close(&position);
    state_store_close(taker);
}

static void a_full_disk_leaves_the_older_snapshot(void **state)
{
    struct story *story = *state;
    apply_range(story->store, 1, 5);
    take(story);
    struct snapshot *old = story->snapshot;
    apply_range(story->store, 6, 300);
    disk_faults_limit_files(16384);
    enum storage_error error = snapshot_take(story->store, story->dir.path, &story->snapshot, &story->failure);
    disk_faults_limit_files(UINT64_MAX);
    assert_true(error == STORAGE_FULL || error == STORAGE_IO);
    assert_null(story->snapshot);
    assert_true(scratch_file_exists(old->path));
    assert_false(scratch_file_exists(scratch_path(&story->dir, "snapshots/taking.part")));
    snapshot_free(old);
    apply(story->store, 301); /* the state itself is well */
}

static void a_snapshot_leaves_room_for_what_is_written_beside_it(void **state)
{
    (void)state;
    const uint64_t mib = 1u << 20;
    assert_true(snapshot_fits(65 * mib, mib));
    assert_false(snapshot_fits(65 * mib - 1, mib));
    assert_true(snapshot_fits(5000 * mib, 4000 * mib));
    assert_false(snapshot_fits(5000 * mib - 1, 4000 * mib));
    assert_false(snapshot_fits(0, mib));
    assert_false(snapshot_fits(mib, 4000 * mib));
}

static void a_backup_restores_an_empty_directory(void **state)
{
    struct story *story = *state;
    struct snapshot *backup;
    struct state_store *restored;
    apply_range(story->store, 1, 40);
    take(story);
    const char *dir = scratch_path(&story->other, "restored");
    assert_int_equal(snapshot_verify(story->snapshot->path, &backup, &story->failure), STORAGE_OK);
    assert_int_equal(snapshot_install(dir, backup, &story->failure), STORAGE_OK);
    assert_true(scratch_file_exists(backup->path));
    snapshot_free(backup);
    assert_int_equal(state_store_open(dir, MAP_SIZE_BYTES, &restored, &story->failure), STORAGE_OK);
    assert_same_tables(story->store, restored);
    state_store_close(restored);
}

int main(void)
{
#define STORY(test) cmocka_unit_test_setup_teardown(test, given_a_state, clear)
    const struct CMUnitTest tests[] = {
        STORY(a_snapshot_says_where_it_stands),
        STORY(an_empty_state_has_a_snapshot_too),
        STORY(only_the_newest_is_kept),
        STORY(a_node_that_fell_behind_gets_the_state_while_writes_go_on),
        STORY(a_flipped_byte_anywhere_is_refused),
        STORY(what_is_no_whole_snapshot_is_refused),
        STORY(chunks_come_in_order_or_not_at_all),
        STORY(an_install_that_fails_leaves_the_old_state),
        STORY(a_full_disk_leaves_the_older_snapshot),
        STORY(a_snapshot_leaves_room_for_what_is_written_beside_it),
        STORY(a_backup_restores_an_empty_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
