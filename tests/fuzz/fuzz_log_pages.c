/*
 * A log file that was damaged where it lay: refused, or what is read from it is what was written, entry by entry. A node
 * must rather not know an entry, or its vote, than know another.
 *
 *     input: what is damaged, edit by edit
 */
#include <stdlib.h>
#include <string.h>

#include "storage/files.h"
#include "storage/log_store.h"
#include "tests/fuzz/state_files.h"
#include "tests/support/scratch_dir.h"

#define EDITS_MAX 8u
#define ENTRIES 60u
#define REPLACED_FROM 41u
#define KEPT_FROM 8u
#define TERM 8u
#define VOTED_FOR 2u

static struct scratch_dir home;
static struct file_bytes whole;

static void leave_home(void)
{
    scratch_dir_remove(&home);
    free(whole.bytes);
}

/* The entry that was written last at this index. */
static struct entry *entry_at(uint64_t index)
{
    uint64_t term = index >= REPLACED_FROM ? TERM - 1 : 3;
    struct entry *entry = entry_new(term, ENTRY_COMMAND, index == 20 ? 9000 : 120 + (uint32_t)index);

    memset(entry->data, (int)(index * 7 + term), entry->size_bytes);
    return entry;
}

static void write_one(struct log_store *store, struct log_operation operation)
{
    struct log_operation *group[] = {&operation};
    struct storage_failure failure;

    fuzz_require(log_store_write(store, group, 1, &failure) == STORAGE_OK);
}

static void append(struct log_store *store, uint64_t first_index, bool replaced)
{
    struct entry *entries[ENTRIES];
    size_t count = 0;

    for (uint64_t index = first_index; index <= ENTRIES; index++) {
        entries[count] = entry_at(index);
        entries[count]->data[0] ^= replaced ? 0xff : 0;
        count++;
    }
    write_one(store, (struct log_operation){
                         .kind = LOG_APPEND, .first_index = first_index, .entries = entries, .entries_count = count});
    for (size_t i = 0; i < count; i++) {
        entry_unref(entries[i]);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct log_store *store;
    struct storage_failure failure;

    (void)argc;
    (void)argv;
    home = scratch_dir_make();
    atexit(leave_home);
    fuzz_require(log_store_open(home.path, STATE_MAP_SIZE_BYTES, &store, &failure) == STORAGE_OK);
    write_one(store, (struct log_operation){.kind = LOG_SET_VOTE, .term = 3, .voted_for = 1});
    append(store, 1, true);
    append(store, 1, true);
    append(store, 1, false);
    append(store, REPLACED_FROM, false);
    write_one(store, (struct log_operation){.kind = LOG_SET_VOTE, .term = TERM, .voted_for = VOTED_FOR});
    write_one(store, (struct log_operation){.kind = LOG_PRUNE, .first_index = KEPT_FROM});
    log_store_close(store);
    whole = file_bytes_read(scratch_path(&home, LOG_FILE));
    return 0;
}

static void check_entry(struct log_store *store, uint64_t index)
{
    struct storage_failure failure;
    struct entry *entry, *expected = entry_at(index);
    enum storage_error error = log_store_read(store, index, &entry, &failure);

    if (error == STORAGE_OK) {
        fuzz_require(entry->term == expected->term && entry->type == expected->type &&
                     entry->size_bytes == expected->size_bytes);
        fuzz_require(memcmp(entry->data, expected->data, entry->size_bytes) == 0);
        entry_unref(entry);
    } else {
        /* That it is not there needs no sentence. */
        fuzz_require(entry == NULL && (error == STORAGE_NOT_FOUND || failure.message[0] != '\0'));
    }
    entry_unref(expected);
}

/* As a node goes on with it. */
static void check_log(struct log_store *store, bool hurt)
{
    struct log_bounds bounds = log_store_bounds(store);
    struct storage_failure failure;

    fuzz_require(bounds.term == TERM && bounds.voted_for == VOTED_FOR);
    /* One bit of a meta page takes LMDB back by a transaction, here before the pruning: README.md. */
    fuzz_require(bounds.first_index == KEPT_FROM || (hurt && bounds.first_index == 1));
    fuzz_require(bounds.last_index == ENTRIES);
    for (uint64_t index = bounds.first_index; index <= bounds.last_index; index++) {
        check_entry(store, index);
    }
    struct entry *entry = entry_at(ENTRIES + 1);
    struct log_operation vote = {.kind = LOG_SET_VOTE, .term = TERM + 1, .voted_for = 3};
    struct log_operation more = {.kind = LOG_APPEND, .first_index = 30, .entries = &entry, .entries_count = 1};
    struct log_operation prune = {.kind = LOG_PRUNE, .first_index = 25};
    struct log_operation *group[] = {&vote, &more, &prune};
    enum storage_error error = log_store_write(store, group, 3, &failure);
    fuzz_require(error == STORAGE_OK || hurt);
    entry_unref(entry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct fuzz_input input = fuzz_input(data, size_bytes);
    struct file_bytes file = file_bytes_copy(&whole);
    struct log_store *store;
    struct storage_failure failure;

    file_bytes_hurt(&file, &input, EDITS_MAX);
    bool hurt = file.size_bytes != whole.size_bytes || memcmp(file.bytes, whole.bytes, whole.size_bytes) != 0;
    if (file.size_bytes > 0) { /* an empty file is a new log: data_dir.h knows that there was one */
        file_bytes_write(scratch_path(&home, LOG_FILE), &file);
        enum storage_error error = log_store_open(home.path, STATE_MAP_SIZE_BYTES, &store, &failure);
        fuzz_require(hurt || error == STORAGE_OK);
        if (error == STORAGE_OK) {
            check_log(store, hurt);
            log_store_close(store);
        } else {
            fuzz_require(store == NULL && failure.message[0] != '\0');
        }
    }
    free(file.bytes);
    return 0;
}
