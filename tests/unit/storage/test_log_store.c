/* The raft log on disk: what is written is there after a crash, what is damaged says so, and what failed stays
 * failed. */
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

#include "consensus/machine/base/crc32c.h"
#include "storage/log_store.h"
#include "tests/support/disk_faults.h"
#include "tests/support/scratch_dir.h"

#define MAP_SIZE_BYTES ((size_t)1 << 30)

struct story {
    struct scratch_dir dir;
    struct log_store *store;
    struct storage_failure failure;
};

static int given_an_empty_log(void **state)
{
    struct story *story = calloc(1, sizeof *story);
    assert_non_null(story);
    story->dir = scratch_dir_make();
    assert_int_equal(log_store_open(story->dir.path, MAP_SIZE_BYTES, &story->store, &story->failure), STORAGE_OK);
    *state = story;
    return 0;
}

static int clear(void **state)
{
    struct story *story = *state;
    log_store_close(story->store);
    scratch_dir_remove(&story->dir);
    free(story);
    return 0;
}

static void close_log(struct story *story)
{
    log_store_close(story->store);
    story->store = NULL;
}

static enum storage_error open_log(struct story *story)
{
    return log_store_open(story->dir.path, MAP_SIZE_BYTES, &story->store, &story->failure);
}

static void reopen(struct story *story)
{
    close_log(story);
    assert_int_equal(open_log(story), STORAGE_OK);
}

static struct entry *entry_of(uint64_t term, const char *text)
{
    struct entry *entry = entry_new(term, ENTRY_COMMAND, (uint32_t)strlen(text));
    memcpy(entry->data, text, strlen(text));
    return entry;
}

static enum storage_error write_one(struct story *story, struct log_operation operation)
{
    struct log_operation *group[] = {&operation};
    return log_store_write(story->store, group, 1, &story->failure);
}

/* Entries whose text is "<term>:<index>", padded to `size_bytes`. */
static enum storage_error append(struct story *story, uint64_t first_index, size_t count, uint64_t term,
                                 uint32_t size_bytes)
{
    struct entry **entries = calloc(count + 1, sizeof *entries);
    assert_non_null(entries);
    for (size_t i = 0; i < count; i++) {
        entries[i] = entry_new(term, ENTRY_COMMAND, size_bytes);
        memset(entries[i]->data, '.', size_bytes);
        char text[48];
        int text_size = snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)term,
                                 (unsigned long long)(first_index + i));
        assert_in_range(text_size, 1, (int)size_bytes);
        memcpy(entries[i]->data, text, (size_t)text_size);
    }
    enum storage_error error = write_one(
        story,
        (struct log_operation){
            .kind = LOG_APPEND, .first_index = first_index, .entries = entries, .entries_count = count});
    for (size_t i = 0; i < count; i++) {
        entry_unref(entries[i]);
    }
    free(entries);
    return error;
}

static void assert_entry(struct story *story, uint64_t index, uint64_t term)
{
    struct entry *entry;
    char text[48];
    int size = snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)term, (unsigned long long)index);
    assert_int_equal(log_store_read(story->store, index, &entry, &story->failure), STORAGE_OK);
    assert_int_equal(entry->term, term);
    assert_int_equal(entry->type, ENTRY_COMMAND);
    assert_true((size_t)size <= entry->size_bytes);
    assert_memory_equal(entry->data, text, (size_t)size);
    entry_unref(entry);
}

static void assert_no_entry(struct story *story, uint64_t index)
{
    struct entry *entry;
    assert_int_equal(log_store_read(story->store, index, &entry, &story->failure), STORAGE_NOT_FOUND);
    assert_null(entry);
}

static void assert_bounds(struct story *story, uint64_t first_index, uint64_t last_index)
{
    struct log_bounds bounds = log_store_bounds(story->store);
    assert_int_equal(bounds.first_index, first_index);
    assert_int_equal(bounds.last_index, last_index);
}

/* ---- the checksum */

static void the_checksum_is_that_of_rfc_3720(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0}, ones[32], rising[32], falling[32];
    for (uint8_t i = 0; i < 32; i++) {
        ones[i] = 0xff;
        rising[i] = i;
        falling[i] = (uint8_t)(31 - i);
    }
    uint32_t (*const functions[])(uint32_t, const void *, size_t) = {crc32c, crc32c_portable};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(functions[i](0, zeros, 32), 0x8a9136aau);
        assert_int_equal(functions[i](0, ones, 32), 0x62a8ab43u);
        assert_int_equal(functions[i](0, rising, 32), 0x46dd794eu);
        assert_int_equal(functions[i](0, falling, 32), 0x113fdb5cu);
        assert_int_equal(functions[i](0, "123456789", 9), 0xe3069283u);
        assert_int_equal(functions[i](0, "", 0), 0);
    }
}

static void the_checksum_is_the_same_in_any_pieces_and_on_any_processor(void **state)
{
    (void)state;
    uint8_t bytes[257];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 131 + 7);
    }
    uint32_t whole = crc32c_portable(0, bytes, sizeof bytes);
    for (size_t cut = 0; cut <= sizeof bytes; cut++) {
        assert_int_equal(crc32c(crc32c(0, bytes, cut), bytes + cut, sizeof bytes - cut), whole);
    }
}

/* ---- what is written is there */

static void a_fresh_log_is_empty_and_private(void **state)
{
    struct story *story = *state;
    struct log_bounds bounds = log_store_bounds(story->store);
    struct stat status;
    assert_bounds(story, 1, 0);
    assert_int_equal(bounds.term, 0);
    assert_int_equal(bounds.voted_for, 0);
    assert_no_entry(story, 0);
    assert_no_entry(story, 1);
    assert_int_equal(stat(scratch_path(&story->dir, "log.mdb"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(log_store_size_bytes(story->store), (uint64_t)status.st_size);
}

static void the_directory_is_made_for_its_owner_alone(void **state)
{
    struct story *story = *state;
    struct log_store *other;
    struct stat status;
    const char *dir = scratch_path(&story->dir, "new");
    assert_int_equal(log_store_open(dir, MAP_SIZE_BYTES, &other, &story->failure), STORAGE_OK);
    log_store_close(other);
    assert_int_equal(stat(dir, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
}

static void entries_of_every_size_come_back_after_a_restart(void **state)
{
    struct story *story = *state;
    struct entry *entries[4] = {entry_new(3, ENTRY_BARRIER, 0), entry_of(3, "a page for Alice"),
                                entry_new(4, ENTRY_CHANGE, 1), entry_new(4, ENTRY_COMMAND, 3u << 20)};
    entries[2]->data[0] = 7;
    memset(entries[3]->data, 0x5a, 3u << 20);
    assert_int_equal(
        write_one(story,
                  (struct log_operation){.kind = LOG_APPEND, .first_index = 1, .entries = entries, .entries_count = 4}),
        STORAGE_OK);
    reopen(story);
    assert_bounds(story, 1, 4);
    for (uint64_t index = 1; index <= 4; index++) {
        struct entry *entry, *written = entries[index - 1];
        assert_int_equal(log_store_read(story->store, index, &entry, &story->failure), STORAGE_OK);
        assert_int_equal(entry->type, written->type);
        assert_int_equal(entry->term, written->term);
        assert_int_equal(entry->size_bytes, written->size_bytes);
        assert_memory_equal(entry->data, written->data, written->size_bytes);
        assert_int_equal(atomic_load(&entry->references), 1);
        entry_unref(entry);
        entry_unref(written);
    }
    assert_no_entry(story, 5);
}

static void term_and_vote_survive_a_restart_and_a_reset(void **state)
{
    struct story *story = *state;
    assert_int_equal(write_one(story, (struct log_operation){.kind = LOG_SET_VOTE, .term = 9, .voted_for = 3}),
                     STORAGE_OK);
    assert_int_equal(append(story, 1, 3, 9, 20), STORAGE_OK);
    assert_int_equal(write_one(story, (struct log_operation){.kind = LOG_RESET, .first_index = 101}), STORAGE_OK);
    reopen(story);
    struct log_bounds bounds = log_store_bounds(story->store);
    assert_int_equal(bounds.term, 9);
    assert_int_equal(bounds.voted_for, 3);
    assert_bounds(story, 101, 100);
}

static void a_new_leaders_entries_replace_the_suffix(void **state)
{
    struct story *story = *state;
    assert_int_equal(append(story, 1, 10, 1, 100), STORAGE_OK);
    assert_int_equal(append(story, 6, 2, 2, 100), STORAGE_OK);
    for (int restarts = 0; restarts < 2; restarts++) {
        assert_bounds(story, 1, 7);
        assert_entry(story, 5, 1);
        assert_entry(story, 6, 2);
        assert_entry(story, 7, 2);
        assert_no_entry(story, 8);
        reopen(story);
    }
}

static void an_append_of_nothing_only_drops_the_suffix(void **state)
{
    struct story *story = *state;
    assert_int_equal(append(story, 1, 10, 1, 100), STORAGE_OK);
    assert_int_equal(append(story, 4, 0, 2, 100), STORAGE_OK);
    reopen(story);
    assert_bounds(story, 1, 3);
    assert_no_entry(story, 4);
}

static void a_group_is_one_sync(void **state)
{
    struct story *story = *state;
    struct entry *first = entry_of(1, "1:1"), *second = entry_of(1, "1:2");
    struct log_operation vote = {.kind = LOG_SET_VOTE, .term = 1, .voted_for = 2};
    struct log_operation one = {.kind = LOG_APPEND, .first_index = 1, .entries = &first, .entries_count = 1};
    struct log_operation two = {.kind = LOG_APPEND, .first_index = 2, .entries = &second, .entries_count = 1};
    struct log_operation *group[] = {&vote, &one, &two};
    unsigned before = disk_faults_syncs();
    assert_int_equal(log_store_write(story->store, group, 3, &story->failure), STORAGE_OK);
    assert_int_equal(disk_faults_syncs() - before, 1);
    assert_bounds(story, 1, 2);
    entry_unref(first);
    entry_unref(second);
}

/* ---- the log stays bounded */

static void pruning_goes_in_steps(void **state)
{
    struct story *story = *state;
    uint64_t count = 2 * LOG_PRUNE_STEP + 100;
    assert_int_equal(append(story, 1, count, 1, 40), STORAGE_OK);
    struct log_operation prune = {.kind = LOG_PRUNE, .first_index = count - 4};
    assert_int_equal(write_one(story, prune), STORAGE_OK);
    assert_bounds(story, LOG_PRUNE_STEP + 1, count);
    assert_no_entry(story, LOG_PRUNE_STEP);
    assert_entry(story, LOG_PRUNE_STEP + 1, 1);
    assert_int_equal(write_one(story, prune), STORAGE_OK);
    assert_int_equal(write_one(story, prune), STORAGE_OK);
    assert_int_equal(write_one(story, prune), STORAGE_OK); /* there is nothing left to do */
    reopen(story);
    assert_bounds(story, count - 4, count);
    assert_entry(story, count - 4, 1);
}

static void an_emptied_log_remembers_where_it_goes_on(void **state)
{
    struct story *story = *state;
    assert_int_equal(append(story, 1, 5, 1, 40), STORAGE_OK);
    assert_int_equal(write_one(story, (struct log_operation){.kind = LOG_PRUNE, .first_index = 99}), STORAGE_OK);
    reopen(story);
    assert_bounds(story, 6, 5);
    assert_int_equal(append(story, 6, 1, 2, 40), STORAGE_OK);
    reopen(story);
    assert_bounds(story, 6, 6);
    assert_entry(story, 6, 2);
}

static void endless_load_does_not_grow_the_file(void **state)
{
    struct story *story = *state;
    uint64_t next = 1, size_early = 0;
    for (int round = 0; round < 400; round++) {
        /* Sizes that differ from round to round, within a page and beyond. */
        assert_int_equal(append(story, next, 32, 1, 60 + (uint32_t)(round * 977 % 9000)), STORAGE_OK);
        next += 32;
        if (next > 320) {
            assert_int_equal(write_one(story, (struct log_operation){.kind = LOG_PRUNE, .first_index = next - 320}),
                             STORAGE_OK);
        }
        if (round == 100) {
            size_early = log_store_size_bytes(story->store);
        }
    }
    assert_in_range(log_store_size_bytes(story->store), 1, size_early + size_early / 2);
    assert_bounds(story, next - 320, next - 1);
}

/* ---- crashes */

/* Writes groups for ever and says after each which index is durable. */
static void write_until_killed(struct story *story, int to)
{
    if (open_log(story)) {
        _exit(1);
    }
    for (uint64_t next = 1;; next += 7) {
        if (append(story, next, 7, 1, 300)) {
            _exit(2);
        }
        uint64_t durable = next + 6;
        if (write(to, &durable, sizeof durable) != sizeof durable) {
            _exit(3);
        }
    }
}

static void what_was_reported_durable_survives_a_kill(void **state)
{
    struct story *story = *state;
    int ends[2];
    close_log(story);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        write_until_killed(story, ends[1]);
    }
    close(ends[1]);
    uint64_t durable = 0;
    while (durable < 700) {
        assert_int_equal(read(ends[0], &durable, sizeof durable), sizeof durable);
    }
    int status;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    while (read(ends[0], &durable, sizeof durable) == sizeof durable) {
    }
    close(ends[0]);

    assert_int_equal(open_log(story), STORAGE_OK);
    uint64_t last = log_store_bounds(story->store).last_index;
    assert_true(last >= durable);
    assert_int_equal(last % 7, 0); /* a group is there as a whole or not at all */
    for (uint64_t index = 1; index <= last; index++) {
        assert_entry(story, index, 1);
    }
    assert_int_equal(append(story, last + 1, 1, 2, 10), STORAGE_OK);
}

static void a_second_owner_is_refused(void **state)
{
    struct story *story = *state;
    struct log_store *second;
    assert_int_equal(log_store_open(story->dir.path, MAP_SIZE_BYTES, &second, &story->failure), STORAGE_IN_USE);
    assert_null(second);
    assert_non_null(strstr(story->failure.message, story->dir.path));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(log_store_open(story->dir.path, MAP_SIZE_BYTES, &second, &story->failure) == STORAGE_IN_USE ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- damage */

static void a_flipped_byte_in_an_entry_is_found(void **state)
{
    struct story *story = *state;
    struct entry *entry = entry_of(1, "the page that was meant for Alice"), *read;
    assert_int_equal(append(story, 1, 1, 1, 40), STORAGE_OK);
    assert_int_equal(
        write_one(story,
                  (struct log_operation){.kind = LOG_APPEND, .first_index = 2, .entries = &entry, .entries_count = 1}),
        STORAGE_OK);
    entry_unref(entry);
    assert_int_equal(append(story, 3, 1, 1, 40), STORAGE_OK);
    close_log(story);
    assert_true(scratch_file_flip_text(scratch_path(&story->dir, "log.mdb"), "the page that was meant for Alice") > 0);
    assert_int_equal(open_log(story), STORAGE_OK);
    assert_entry(story, 1, 1);
    assert_entry(story, 3, 1);
    assert_int_equal(log_store_read(story->store, 2, &read, &story->failure), STORAGE_CORRUPT);
    assert_null(read);
    assert_non_null(strstr(story->failure.message, "entry 2"));
    assert_non_null(strstr(story->failure.message, "log.mdb"));
}

static void a_damaged_vote_is_found(void **state)
{
    struct story *story = *state;
    /* A voted_for that reads as text, so that it can be found in the file. */
    uint64_t voted_for;
    memcpy(&voted_for, "VOTEDFOR", sizeof voted_for);
    assert_int_equal(write_one(story, (struct log_operation){.kind = LOG_SET_VOTE, .term = 4, .voted_for = voted_for}),
                     STORAGE_OK);
    close_log(story);
    assert_true(scratch_file_flip_text(scratch_path(&story->dir, "log.mdb"), "VOTEDFOR") > 0);
    assert_int_equal(open_log(story), STORAGE_CORRUPT);
    assert_null(story->store);
    assert_non_null(strstr(story->failure.message, "term and vote"));
}

static void a_file_of_garbage_is_refused(void **state)
{
    struct story *story = *state;
    static uint8_t garbage[65536];
    for (size_t i = 0; i < sizeof garbage; i++) {
        garbage[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    const char *path = scratch_path(&story->dir, "log.mdb");
    close_log(story);
    const size_t sizes[] = {1, 100, 4096, sizeof garbage};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        scratch_file_write(path, garbage, sizes[i]);
        assert_int_equal(open_log(story), STORAGE_CORRUPT);
        assert_null(story->store);
        assert_int_equal(scratch_file_size_bytes(path), sizes[i]);
    }
}

static void every_damaged_byte_of_the_meta_pages_is_survived(void **state)
{
    struct story *story = *state;
    const char *path = scratch_path(&story->dir, "log.mdb");
    assert_int_equal(append(story, 1, 50, 1, 300), STORAGE_OK);
    close_log(story);
    unsigned refused = 0;
    for (uint64_t offset = 0; offset < 160; offset++) {
        scratch_file_flip(path, offset);
        scratch_file_flip(path, 4096 + offset);
        refused += open_log(story) == STORAGE_CORRUPT;
        close_log(story);
        scratch_file_flip(path, offset);
        scratch_file_flip(path, 4096 + offset);
    }
    assert_true(refused >= 40);
}

static void a_log_that_was_cut_off_does_not_read_as_whole(void **state)
{
    struct story *story = *state;
    const char *path = scratch_path(&story->dir, "log.mdb");
    assert_int_equal(append(story, 1, 200, 1, 2000), STORAGE_OK);
    close_log(story);
    scratch_file_cut(path, scratch_file_size_bytes(path) / 2);
    unsigned missing = 0;
    if (open_log(story) == STORAGE_OK) {
        for (uint64_t index = 1; index <= 200; index++) {
            struct entry *entry;
            missing += log_store_read(story->store, index, &entry, &story->failure) == STORAGE_CORRUPT;
            entry_unref(entry);
        }
    } else {
        assert_int_equal(story->failure.error, STORAGE_CORRUPT);
        missing = 1;
    }
    assert_true(missing > 0);
}

static void what_is_no_directory_is_said_with_its_path(void **state)
{
    struct story *story = *state;
    struct log_store *other;
    const char *file = scratch_path(&story->dir, "file");
    scratch_file_write(file, "x", 1);
    assert_int_equal(log_store_open(file, MAP_SIZE_BYTES, &other, &story->failure), STORAGE_UNREADABLE);
    assert_non_null(strstr(story->failure.message, file));
    assert_int_equal(log_store_open(scratch_path(&story->dir, "no/parent"), MAP_SIZE_BYTES, &other, &story->failure),
                     STORAGE_UNREADABLE);
    assert_non_null(strstr(story->failure.message, "no/parent"));
    assert_int_equal(mkdir(scratch_path(&story->dir, "folder"), 0700), 0);
    assert_int_equal(mkdir(scratch_path(&story->dir, "folder/log.mdb"), 0700), 0);
    assert_int_equal(log_store_open(scratch_path(&story->dir, "folder"), MAP_SIZE_BYTES, &other, &story->failure),
                     STORAGE_UNREADABLE);
    char *long_path = calloc(1, 5000);
    assert_non_null(long_path);
    memset(long_path, 'x', 4999);
    assert_int_equal(log_store_open(long_path, MAP_SIZE_BYTES, &other, &story->failure), STORAGE_UNREADABLE);
    free(long_path);
}

/* ---- disks that fail */

/* A failed write is final, leaves nothing of its group, and what was durable before is there after a restart. */
static void assert_stopped_at(struct story *story, uint64_t durable, enum storage_error error)
{
    struct storage_failure first = story->failure;
    assert_int_equal(first.error, error);
    assert_non_null(strstr(first.message, "log.mdb"));
    assert_bounds(story, 1, durable);
    assert_int_equal(append(story, durable + 1, 1, 1, 10), error);
    assert_string_equal(story->failure.message, first.message);
    reopen(story);
    assert_bounds(story, 1, durable);
    for (uint64_t index = 1; index <= durable; index++) {
        assert_entry(story, index, 1);
    }
    assert_int_equal(append(story, durable + 1, 1, 1, 10), STORAGE_OK);
}

static void a_full_map_is_a_full_disk(void **state)
{
    struct story *story = *state;
    close_log(story);
    assert_int_equal(log_store_open(story->dir.path, 1u << 20, &story->store, &story->failure), STORAGE_OK);
    uint64_t durable = 0;
    while (append(story, durable + 1, 10, 1, 1000) == STORAGE_OK) {
        durable += 10;
        assert_true(durable < 2000);
    }
    assert_true(durable > 100);
    assert_stopped_at(story, durable, STORAGE_FULL);
}

static void a_failed_write_is_final_though_the_disk_recovers(void **state)
{
    struct story *story = *state;
    disk_faults_limit_files(1u << 20);
    uint64_t durable = 0;
    while (append(story, durable + 1, 10, 1, 1000) == STORAGE_OK) {
        durable += 10;
        assert_true(durable < 2000);
    }
    disk_faults_limit_files(UINT64_MAX);
    assert_true(durable > 100);
    /* LMDB says EIO when the write was cut short, EFBIG when none of it fit. */
    assert_true(story->failure.error == STORAGE_IO || story->failure.error == STORAGE_FULL);
    assert_stopped_at(story, durable, story->failure.error);
}

static void a_failed_sync_is_final_though_the_disk_recovers(void **state)
{
    struct story *story = *state;
    assert_int_equal(append(story, 1, 10, 1, 100), STORAGE_OK);
    disk_faults_fail_syncs(true);
    enum storage_error error = append(story, 11, 10, 1, 100);
    disk_faults_fail_syncs(false);
    assert_int_equal(error, STORAGE_IO);
    assert_stopped_at(story, 10, STORAGE_IO);
}

int main(void)
{
#define STORY(test) cmocka_unit_test_setup_teardown(test, given_an_empty_log, clear)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checksum_is_that_of_rfc_3720),
        cmocka_unit_test(the_checksum_is_the_same_in_any_pieces_and_on_any_processor),
        STORY(a_fresh_log_is_empty_and_private),
        STORY(the_directory_is_made_for_its_owner_alone),
        STORY(entries_of_every_size_come_back_after_a_restart),
        STORY(term_and_vote_survive_a_restart_and_a_reset),
        STORY(a_new_leaders_entries_replace_the_suffix),
        STORY(an_append_of_nothing_only_drops_the_suffix),
        STORY(a_group_is_one_sync),
        STORY(pruning_goes_in_steps),
        STORY(an_emptied_log_remembers_where_it_goes_on),
        STORY(endless_load_does_not_grow_the_file),
        STORY(what_was_reported_durable_survives_a_kill),
        STORY(a_second_owner_is_refused),
        STORY(a_flipped_byte_in_an_entry_is_found),
        STORY(a_damaged_vote_is_found),
        STORY(a_file_of_garbage_is_refused),
        STORY(every_damaged_byte_of_the_meta_pages_is_survived),
        STORY(a_log_that_was_cut_off_does_not_read_as_whole),
        STORY(what_is_no_directory_is_said_with_its_path),
        STORY(a_full_map_is_a_full_disk),
        STORY(a_failed_write_is_final_though_the_disk_recovers),
        STORY(a_failed_sync_is_final_though_the_disk_recovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
