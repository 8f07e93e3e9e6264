/* The replicated state on disk: tables as the machine's port describes them, position and rows in one transaction. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "consensus/machine/keys.h"
#include "storage/state_store.h"
#include "tests/support/disk_faults.h"
#include "tests/support/scratch_dir.h"

#define MAP_SIZE_BYTES ((size_t)1 << 30)

struct story {
    struct scratch_dir dir;
    struct state_store *store;
    struct machine_store view; /* of the open write transaction */
    struct storage_failure failure;
};

static enum storage_error open_state(struct story *story)
{
    return state_store_open(story->dir.path, MAP_SIZE_BYTES, &story->store, &story->failure);
}

static void close_state(struct story *story)
{
    state_store_close(story->store);
    story->store = NULL;
}

static int given_an_empty_state(void **state)
{
    struct story *story = calloc(1, sizeof *story);
    assert_non_null(story);
    story->dir = scratch_dir_make();
    assert_int_equal(open_state(story), STORAGE_OK);
    *state = story;
    return 0;
}

static int clear(void **state)
{
    struct story *story = *state;
    close_state(story);
    scratch_dir_remove(&story->dir);
    free(story);
    return 0;
}

static struct span text(const char *bytes)
{
    return (struct span){.data = bytes, .size_bytes = strlen(bytes)};
}

static void begin(struct story *story)
{
    assert_int_equal(state_write_begin(story->store, &story->view, &story->failure), STORAGE_OK);
}

static void put(struct story *story, enum machine_table table, const char *key, const char *value)
{
    story->view.put(story->view.context, table, text(key), text(value));
}

/* Commits with the position of `index`, whose configuration is a text. */
static enum storage_error commit_at(struct story *story, uint64_t index)
{
    uint8_t configuration[] = "three voters";
    struct state_position position = {.index = index,
                                      .term = 2,
                                      .configuration_index = 1,
                                      .configuration = configuration,
                                      .configuration_size_bytes = sizeof configuration};
    enum storage_error error = state_write_position(story->store, &position, &story->failure);
    if (error) {
        state_write_abort(story->store);
        return error;
    }
    return state_write_commit(story->store, &story->failure);
}

static bool equals(struct span span, const char *bytes)
{
    return span.size_bytes == strlen(bytes) && memcmp(span.data, bytes, span.size_bytes) == 0;
}

static void assert_row(const struct machine_store *view, enum machine_table table, const char *key, const char *value)
{
    struct span found;
    bool there = view->get(view->context, table, text(key), &found);
    assert_int_equal(there, value != NULL);
    assert_true(!value || equals(found, value));
}

static void assert_seek(const struct machine_store *view, const char *key, const char *found_key)
{
    struct span at, value;
    bool there = view->seek(view->context, TABLE_USER, text(key), &at, &value);
    assert_int_equal(there, found_key != NULL);
    assert_true(!found_key || equals(at, found_key));
}

static void assert_seek_before(const struct machine_store *view, const char *key, const char *found_key)
{
    struct span at, value;
    bool there = view->seek_before(view->context, TABLE_USER, text(key), &at, &value);
    assert_int_equal(there, found_key != NULL);
    assert_true(!found_key || equals(at, found_key));
}

static struct state_reader reader_of(struct story *story)
{
    struct state_reader reader;
    assert_int_equal(state_reader_begin(story->store, &reader, &story->failure), STORAGE_OK);
    return reader;
}

/* ---- tables */

static void walk(const struct machine_store *view)
{
    assert_seek(view, "", "b");
    assert_seek(view, "a", "b");
    assert_seek(view, "b", "b");
    assert_seek(view, "bb", "d");
    assert_seek(view, "g", NULL);
    assert_seek_before(view, "", "f");
    assert_seek_before(view, "z", "f");
    assert_seek_before(view, "f", "d");
    assert_seek_before(view, "e", "d");
    assert_seek_before(view, "b", NULL);
    assert_int_equal(view->count(view->context, TABLE_USER), 3);
    assert_int_equal(view->count(view->context, TABLE_SERVICE), 0);
}

static void rows_are_found_by_key_and_in_order(void **state)
{
    struct story *story = *state;
    begin(story);
    assert_seek(&story->view, "", NULL);
    assert_seek_before(&story->view, "", NULL);
    put(story, TABLE_USER, "d", "Dora");
    put(story, TABLE_USER, "b", "Bob");
    put(story, TABLE_USER, "f", "");
    put(story, TABLE_USER, "b", "Bill");
    walk(&story->view);
    assert_row(&story->view, TABLE_USER, "b", "Bill");
    assert_row(&story->view, TABLE_USER, "f", "");
    assert_row(&story->view, TABLE_USER, "c", NULL);
    assert_row(&story->view, TABLE_SERVICE, "b", NULL);
    assert_int_equal(commit_at(story, 1), STORAGE_OK);

    struct state_reader reader = reader_of(story);
    walk(&reader.view);
    assert_int_equal(state_reader_fault(&reader, &story->failure), STORAGE_OK);
    state_reader_end(&reader);
}

static void deleted_rows_are_gone(void **state)
{
    struct story *story = *state;
    begin(story);
    for (const char *key = "bdf"; *key; key++) {
        char name[2] = {*key, '\0'};
        put(story, TABLE_USER, name, "x");
    }
    struct machine_store *view = &story->view;
    assert_seek(view, "d", "d"); /* a cursor stands on the row that goes */
    assert_true(view->del(view->context, TABLE_USER, text("d")));
    assert_false(view->del(view->context, TABLE_USER, text("d")));
    assert_seek(view, "c", "f");
    assert_seek_before(view, "f", "b");
    assert_true(view->del(view->context, TABLE_USER, text("b")));
    assert_true(view->del(view->context, TABLE_USER, text("f")));
    assert_seek(view, "", NULL);
    assert_seek_before(view, "", NULL);
    assert_int_equal(commit_at(story, 1), STORAGE_OK);
}

static void every_table_stands_alone(void **state)
{
    struct story *story = *state;
    begin(story);
    for (int table = 0; table < TABLE_COUNT; table++) {
        struct key value = key_1((uint64_t)table);
        story->view.put(story->view.context, (enum machine_table)table, text("key"), key_span(&value));
    }
    assert_int_equal(commit_at(story, 1), STORAGE_OK);
    close_state(story);
    assert_int_equal(open_state(story), STORAGE_OK);
    struct state_reader reader = reader_of(story);
    for (int table = 0; table < TABLE_COUNT; table++) {
        struct span value;
        assert_true(reader.view.get(reader.view.context, (enum machine_table)table, text("key"), &value));
        assert_int_equal(span_number(value, 0), table);
    }
    state_reader_end(&reader);
}

static void a_value_may_come_from_the_store_itself(void **state)
{
    struct story *story = *state;
    struct machine_store *view = &story->view;
    struct span value;
    char expected[101];
    memset(expected, 'v', 100);
    expected[100] = '\0';
    begin(story);
    put(story, TABLE_USER, "m", expected);
    /* Each put before the source in its page moves the source while it is copied. */
    for (char key[] = "l"; key[0] >= 'a'; key[0]--) {
        assert_true(view->get(view->context, TABLE_USER, text("m"), &value));
        view->put(view->context, TABLE_USER, text(key), value);
        assert_row(view, TABLE_USER, key, expected);
    }
    assert_int_equal(commit_at(story, 1), STORAGE_OK);
}

static void a_walk_that_deletes_as_it_goes_meets_every_row(void **state)
{
    struct story *story = *state;
    struct machine_store *view = &story->view;
    begin(story);
    for (uint64_t number = 0; number < 5000; number++) {
        struct key key = key_1(number);
        view->put(view->context, TABLE_DEADLINE, key_span(&key), text("a deadline of some length, so that pages fill"));
    }
    uint64_t met = 0;
    struct span at, value;
    struct key from = key_1(0);
    while (view->seek(view->context, TABLE_DEADLINE, key_span(&from), &at, &value)) {
        assert_int_equal(span_number(at, 0), met);
        from = key_1(met++);
        assert_true(view->del(view->context, TABLE_DEADLINE, key_span(&from)));
    }
    assert_int_equal(met, 5000);
    assert_int_equal(commit_at(story, 1), STORAGE_OK);
}

/* ---- transactions */

static void a_reader_sees_what_was_committed_when_it_began(void **state)
{
    struct story *story = *state;
    begin(story);
    put(story, TABLE_USER, "a", "one");
    assert_int_equal(commit_at(story, 1), STORAGE_OK);
    begin(story);
    put(story, TABLE_USER, "a", "two");
    struct state_reader early = reader_of(story);
    assert_row(&early.view, TABLE_USER, "a", "one");
    assert_int_equal(commit_at(story, 2), STORAGE_OK);
    struct state_reader late = reader_of(story);
    assert_row(&early.view, TABLE_USER, "a", "one");
    assert_row(&late.view, TABLE_USER, "a", "two");
    assert_int_equal(early.applied_index, 1);
    assert_int_equal(late.applied_index, 2);
    state_reader_end(&late);
    state_reader_end(&early);
}

static void the_position_comes_back_whole(void **state)
{
    struct story *story = *state;
    struct state_position position;
    assert_int_equal(state_store_position(story->store, &position, &story->failure), STORAGE_OK);
    assert_int_equal(position.index, 0);
    assert_null(position.configuration);
    state_position_close(&position);
    begin(story);
    assert_int_equal(commit_at(story, 77), STORAGE_OK);
    close_state(story);
    assert_int_equal(open_state(story), STORAGE_OK);
    assert_int_equal(state_store_position(story->store, &position, &story->failure), STORAGE_OK);
    assert_int_equal(position.index, 77);
    assert_int_equal(position.term, 2);
    assert_int_equal(position.configuration_index, 1);
    assert_int_equal(position.configuration_size_bytes, sizeof "three voters");
    assert_memory_equal(position.configuration, "three voters", sizeof "three voters");
    state_position_close(&position);
}

static void what_is_aborted_never_was(void **state)
{
    struct story *story = *state;
    begin(story);
    put(story, TABLE_USER, "a", "one");
    assert_int_equal(commit_at(story, 1), STORAGE_OK);
    begin(story);
    put(story, TABLE_USER, "a", "two");
    state_write_abort(story->store);
    struct state_reader reader = reader_of(story);
    assert_row(&reader.view, TABLE_USER, "a", "one");
    assert_int_equal(reader.applied_index, 1);
    state_reader_end(&reader);
}

/* Each transaction writes its index into a row of its own and into one row again and again. */
static void write_until_killed(struct story *story, int to)
{
    if (open_state(story)) {
        _exit(1);
    }
    for (uint64_t index = 1;; index++) {
        struct key key = key_1(index);
        begin(story);
        story->view.put(story->view.context, TABLE_LOG_ENTRY, key_span(&key), key_span(&key));
        story->view.put(story->view.context, TABLE_META, text("last"), key_span(&key));
        if (commit_at(story, index) || write(to, &index, sizeof index) != sizeof index) {
            _exit(2);
        }
    }
}

static void position_and_rows_agree_after_a_kill(void **state)
{
    struct story *story = *state;
    int ends[2], status;
    close_state(story);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        write_until_killed(story, ends[1]);
    }
    close(ends[1]);
    uint64_t committed = 0;
    while (committed < 200) {
        assert_int_equal(read(ends[0], &committed, sizeof committed), sizeof committed);
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    while (read(ends[0], &committed, sizeof committed) == sizeof committed) {
    }
    close(ends[0]);

    assert_int_equal(open_state(story), STORAGE_OK);
    struct state_reader reader = reader_of(story);
    struct span value;
    assert_true(reader.applied_index >= committed);
    assert_true(reader.view.get(reader.view.context, TABLE_META, text("last"), &value));
    assert_int_equal(span_number(value, 0), reader.applied_index);
    assert_int_equal(reader.view.count(reader.view.context, TABLE_LOG_ENTRY), reader.applied_index);
    state_reader_end(&reader);
}

/* ---- faults */

static void a_full_map_is_a_sticky_fault_that_the_machine_does_not_see(void **state)
{
    struct story *story = *state;
    close_state(story);
    assert_int_equal(state_store_open(story->dir.path, 1u << 20, &story->store, &story->failure), STORAGE_OK);
    begin(story);
    put(story, TABLE_USER, "a", "one");
    assert_int_equal(commit_at(story, 1), STORAGE_OK);

    begin(story);
    struct machine_store *view = &story->view;
    static uint8_t big[4000];
    for (uint64_t number = 0; number < 1000; number++) {
        struct key key = key_1(number);
        view->put(view->context, TABLE_ALERT, key_span(&key), (struct span){.data = big, .size_bytes = sizeof big});
    }
    assert_row(view, TABLE_USER, "a", NULL); /* after the fault, reads find nothing */
    assert_false(view->del(view->context, TABLE_USER, text("a")));
    assert_seek(view, "", NULL);
    assert_seek_before(view, "", NULL);
    assert_int_equal(view->count(view->context, TABLE_USER), 0);
    assert_int_equal(state_write_fault(story->store, &story->failure), STORAGE_FULL);
    assert_int_equal(state_write_commit(story->store, &story->failure), STORAGE_FULL);
    assert_non_null(strstr(story->failure.message, "state.mdb"));
    assert_int_equal(state_write_begin(story->store, &story->view, &story->failure), STORAGE_STOPPED);
    assert_int_equal(state_store_sync(story->store, &story->failure), STORAGE_STOPPED);

    struct state_reader reader = reader_of(story); /* what was committed still serves readers */
    assert_row(&reader.view, TABLE_USER, "a", "one");
    assert_int_equal(reader.applied_index, 1);
    state_reader_end(&reader);
}

static void a_failed_commit_is_final(void **state)
{
    struct story *story = *state;
    begin(story);
    put(story, TABLE_USER, "a", "one");
    assert_int_equal(commit_at(story, 1), STORAGE_OK);
    begin(story);
    put(story, TABLE_USER, "a", "two");
    disk_faults_fail_syncs(true);
    enum storage_error error = commit_at(story, 2);
    disk_faults_fail_syncs(false);
    assert_int_equal(error, STORAGE_IO);
    assert_int_equal(state_write_begin(story->store, &story->view, &story->failure), STORAGE_STOPPED);
    close_state(story);
    assert_int_equal(open_state(story), STORAGE_OK);
    struct state_reader reader = reader_of(story);
    assert_row(&reader.view, TABLE_USER, "a", "one");
    assert_int_equal(reader.applied_index, 1);
    state_reader_end(&reader);
}

static void a_failed_sync_is_final(void **state)
{
    struct story *story = *state;
    begin(story);
    assert_int_equal(commit_at(story, 1), STORAGE_OK);
    disk_faults_fail_syncs(true);
    enum storage_error error = state_store_sync(story->store, &story->failure);
    disk_faults_fail_syncs(false);
    assert_int_equal(error, STORAGE_IO);
    assert_int_equal(state_store_sync(story->store, &story->failure), STORAGE_STOPPED);
}

static void a_second_owner_is_refused(void **state)
{
    struct story *story = *state;
    struct state_store *second;
    assert_int_equal(state_store_open(story->dir.path, MAP_SIZE_BYTES, &second, &story->failure), STORAGE_IN_USE);
    assert_null(second);
}

static void a_damaged_file_is_refused_and_can_be_put_aside(void **state)
{
    struct story *story = *state;
    const char *path = scratch_path(&story->dir, "state.mdb");
    static uint8_t garbage[40960];
    memset(garbage, 0xa5, sizeof garbage);
    close_state(story);
    scratch_file_write(path, garbage, sizeof garbage);
    assert_int_equal(open_state(story), STORAGE_CORRUPT);
    assert_null(story->store);
    assert_non_null(strstr(story->failure.message, "state.mdb"));
    assert_int_equal(state_store_discard(story->dir.path, &story->failure), STORAGE_OK);
    assert_true(scratch_file_exists(scratch_path(&story->dir, "state.mdb.damaged")));
    assert_int_equal(open_state(story), STORAGE_OK);
    struct state_position position;
    assert_int_equal(state_store_position(story->store, &position, &story->failure), STORAGE_OK);
    assert_int_equal(position.index, 0);
}

static void a_flipped_byte_in_the_position_is_found(void **state)
{
    struct story *story = *state;
    begin(story);
    assert_int_equal(commit_at(story, 5), STORAGE_OK);
    close_state(story);
    assert_true(scratch_file_flip_text(scratch_path(&story->dir, "state.mdb"), "three voters") > 0);
    assert_int_equal(open_state(story), STORAGE_CORRUPT);
    assert_non_null(strstr(story->failure.message, "position"));
}

static void a_state_whose_tables_are_damaged_is_refused(void **state)
{
    struct story *story = *state;
    const char *path = scratch_path(&story->dir, "state.mdb");
    begin(story);
    for (uint64_t number = 0; number < 3000; number++) {
        struct key key = key_1(number);
        story->view.put(story->view.context, TABLE_ALERT, key_span(&key), text("an alert long enough to fill pages"));
    }
    assert_int_equal(commit_at(story, 5), STORAGE_OK);
    close_state(story);
    /* Every page but the meta pages is overwritten in turn, as a stray write would. */
    uint64_t pages = scratch_file_size_bytes(path) / 4096;
    unsigned refused = 0;
    for (uint64_t page = 2; page < pages; page++) {
        for (uint64_t offset = 0; offset < 24; offset++) {
            scratch_file_flip(path, page * 4096 + offset);
        }
        enum storage_error error = open_state(story);
        assert_true(error == STORAGE_OK || error == STORAGE_CORRUPT); /* OK: a page that is free */
        refused += error == STORAGE_CORRUPT;
        close_state(story);
        for (uint64_t offset = 0; offset < 24; offset++) {
            scratch_file_flip(path, page * 4096 + offset);
        }
    }
    assert_true(refused >= pages / 2);
    assert_int_equal(open_state(story), STORAGE_OK);
}

/* Every page looked right by itself, its rows within its bounds. LMDB then moved more bytes than it had room for when it
 * removed one. Found by fuzzing. */
static void rows_that_lie_over_each_other_are_refused(void **state)
{
    struct story *story = *state;
    const char *path = scratch_path(&story->dir, "state.mdb");
    begin(story);
    put(story, TABLE_ALERT, "a", "the first alert");
    put(story, TABLE_ALERT, "b", "another alert");
    assert_int_equal(commit_at(story, 5), STORAGE_OK);
    close_state(story);
    size_t size_bytes = (size_t)scratch_file_size_bytes(path);
    uint8_t *file = malloc(size_bytes);
    FILE *from = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(from);
    assert_int_equal(fread(file, 1, size_bytes, from), size_bytes);
    assert_int_equal(fclose(from), 0);
    for (size_t page = 0; page + 4096 <= size_bytes; page += 4096) {
        if (memmem(file + page, 4096, "the first alert", 15) != NULL) {
            memcpy(file + page + 16, file + page + 18, 2); /* where the first row begins, where the second does */
        }
    }
    scratch_file_write(path, file, size_bytes);
    free(file);
    assert_int_equal(open_state(story), STORAGE_CORRUPT);
    assert_non_null(strstr(story->failure.message, "overlap"));
}

/* The first list of free pages in the file: the transaction that is its key, and the numbers behind their count. */
static uint8_t *free_list(uint8_t *file)
{
    uint64_t transactions[2], root;
    memcpy(&transactions[0], file + 144, 8);
    memcpy(&transactions[1], file + 4096 + 144, 8);
    memcpy(&root, file + (transactions[0] < transactions[1] ? 4096 : 0) + 80, 8);
    uint16_t begin;
    memcpy(&begin, file + root * 4096 + 16, 2);
    return file + root * 4096 + begin + 8;
}

/* Each was a list that LMDB took as it stood: with the key 0 it read it twice, and handed out a page for two purposes. Found by fuzzing. */
static void a_list_of_free_pages_that_no_transaction_can_have_written_is_refused(void **state)
{
    struct story *story = *state;
    const char *path = scratch_path(&story->dir, "state.mdb");
    for (uint64_t index = 5; index < 8; index++) {
        begin(story);
        put(story, TABLE_ALERT, "a", "an alert");
        assert_int_equal(commit_at(story, index), STORAGE_OK);
    }
    close_state(story);
    size_t size_bytes = (size_t)scratch_file_size_bytes(path);
    uint8_t *whole = malloc(size_bytes), *file = malloc(size_bytes);
    FILE *from = fopen(path, "re");
    assert_non_null(whole);
    assert_non_null(file);
    assert_non_null(from);
    assert_int_equal(fread(whole, 1, size_bytes, from), size_bytes);
    assert_int_equal(fclose(from), 0);
    for (unsigned damage = 0; damage < 3; damage++) {
        uint64_t list[4]; /* transaction, count, the first two */
        memcpy(file, whole, size_bytes);
        memcpy(list, free_list(file), sizeof list);
        assert_in_range(list[0], 1, 100);
        assert_in_range(list[1], 2, 100);
        assert_true(list[2] > list[3]);
        uint64_t first = list[2];
        switch (damage) {
        case 0: list[0] = 0; break;
        case 1: list[0] = 100; break;
        default:
            list[2] = list[3];
            list[3] = first;
        }
        memcpy(free_list(file), list, sizeof list);
        scratch_file_write(path, file, size_bytes);
        assert_int_equal(open_state(story), STORAGE_CORRUPT);
        assert_non_null(strstr(story->failure.message, damage < 2 ? "of no transaction" : "of free pages is not in order"));
    }
    scratch_file_write(path, whole, size_bytes);
    assert_int_equal(open_state(story), STORAGE_OK);
    free(whole);
    free(file);
}

static void what_a_crash_left_of_snapshots_is_removed(void **state)
{
    struct story *story = *state;
    const char *const leftovers[] = {"state.mdb.new", "snapshots/taking.part", "staging/incoming.snapshot"};
    close_state(story);
    assert_int_equal(mkdir(scratch_path(&story->dir, "snapshots"), 0700), 0);
    assert_int_equal(mkdir(scratch_path(&story->dir, "staging"), 0700), 0);
    for (size_t i = 0; i < 3; i++) {
        scratch_file_write(scratch_path(&story->dir, leftovers[i]), "half", 4);
    }
    assert_int_equal(open_state(story), STORAGE_OK);
    for (size_t i = 0; i < 3; i++) {
        assert_false(scratch_file_exists(scratch_path(&story->dir, leftovers[i])));
    }
}

int main(void)
{
#define STORY(test) cmocka_unit_test_setup_teardown(test, given_an_empty_state, clear)
    const struct CMUnitTest tests[] = {
        STORY(rows_are_found_by_key_and_in_order),
        STORY(deleted_rows_are_gone),
        STORY(every_table_stands_alone),
        STORY(a_value_may_come_from_the_store_itself),
        STORY(a_walk_that_deletes_as_it_goes_meets_every_row),
        STORY(a_reader_sees_what_was_committed_when_it_began),
        STORY(the_position_comes_back_whole),
        STORY(what_is_aborted_never_was),
        STORY(position_and_rows_agree_after_a_kill),
        STORY(a_full_map_is_a_sticky_fault_that_the_machine_does_not_see),
        STORY(a_failed_commit_is_final),
        STORY(a_failed_sync_is_final),
        STORY(a_second_owner_is_refused),
        STORY(a_damaged_file_is_refused_and_can_be_put_aside),
        STORY(a_flipped_byte_in_the_position_is_found),
        STORY(a_state_whose_tables_are_damaged_is_refused),
        STORY(rows_that_lie_over_each_other_are_refused),
        STORY(a_list_of_free_pages_that_no_transaction_can_have_written_is_refused),
        STORY(what_a_crash_left_of_snapshots_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
