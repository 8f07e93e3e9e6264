/*
 * The raft log in LMDB.
 *
 *     key: index, 8 bytes big-endian, so that new entries go to the end of the last page
 *     0            the head: format, CRC32C, term, voted for, first index
 *     1, 2, ...    entries: CRC32C, type, term, size, data; the checksum covers the index too
 */
#include "storage/log_store.h"

#include <assert.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consensus/machine/base/crc32c.h"
#include "storage/bytes.h"
#include "storage/environment.h"
#include "storage/failure.h"
#include "storage/files.h"

#define FORMAT 1u
#define HEAD_INDEX 0u
#define HEAD_SIZE_BYTES 32u
#define ENTRY_HEAD_SIZE_BYTES 20u

struct log_store {
    struct environment environment;
    MDB_dbi rows;
    int owner_fd;
    bool stopped; /* a write failed; `failure` says why. Of the writing thread alone */
    struct storage_failure failure;
    pthread_mutex_t mutex; /* guards bounds */
    struct log_bounds bounds;
};

struct log_key {
    uint8_t bytes[8];
};

static MDB_val key_of(uint64_t index, struct log_key *key)
{
    uint64_t big = htobe64(index);
    memcpy(key->bytes, &big, sizeof big);
    return (MDB_val){.mv_size = sizeof key->bytes, .mv_data = key->bytes};
}

static uint64_t key_index(const MDB_val *key)
{
    uint64_t big;
    memcpy(&big, key->mv_data, sizeof big);
    return be64toh(big);
}

/* ---- rows */

static void head_encode(const struct log_bounds *bounds, uint8_t head[HEAD_SIZE_BYTES])
{
    put_u32(head + 4, FORMAT);
    put_u64(head + 8, bounds->term);
    put_u64(head + 16, bounds->voted_for);
    put_u64(head + 24, bounds->first_index);
    put_u32(head, crc32c(0, head + 4, HEAD_SIZE_BYTES - 4));
}

static bool head_decode(const MDB_val *value, struct log_bounds *bounds)
{
    const uint8_t *head = value->mv_data;
    if (value->mv_size != HEAD_SIZE_BYTES || get_u32(head) != crc32c(0, head + 4, HEAD_SIZE_BYTES - 4) ||
        get_u32(head + 4) != FORMAT) {
        return false;
    }
    bounds->term = get_u64(head + 8);
    bounds->voted_for = get_u64(head + 16);
    bounds->first_index = get_u64(head + 24);
    return bounds->first_index > HEAD_INDEX;
}

static uint32_t entry_checksum(uint64_t index, const uint8_t *row, size_t size_bytes)
{
    uint8_t number[8];
    put_u64(number, index);
    return crc32c(crc32c(0, number, sizeof number), row + 4, size_bytes - 4);
}

static void entry_encode(uint64_t index, const struct entry *entry, uint8_t *row)
{
    put_u32(row + 4, entry->type);
    put_u64(row + 8, entry->term);
    put_u32(row + 16, entry->size_bytes);
    memcpy(row + ENTRY_HEAD_SIZE_BYTES, entry->data, entry->size_bytes);
    put_u32(row, entry_checksum(index, row, ENTRY_HEAD_SIZE_BYTES + (size_t)entry->size_bytes));
}

static bool entry_decode(uint64_t index, const MDB_val *value, struct entry **entry)
{
    const uint8_t *row = value->mv_data;
    if (value->mv_size < ENTRY_HEAD_SIZE_BYTES || value->mv_size - ENTRY_HEAD_SIZE_BYTES != get_u32(row + 16) ||
        get_u32(row) != entry_checksum(index, row, value->mv_size)) {
        return false;
    }
    uint32_t size_bytes = get_u32(row + 16);
    *entry = entry_new(get_u64(row + 8), (enum entry_type)get_u32(row + 4), size_bytes);
    memcpy((*entry)->data, row + ENTRY_HEAD_SIZE_BYTES, size_bytes);
    return true;
}

/* ---- opening */

static int head_write(MDB_txn *transaction, MDB_dbi rows, const struct log_bounds *bounds)
{
    struct log_key key;
    uint8_t head[HEAD_SIZE_BYTES];
    head_encode(bounds, head);
    MDB_val key_value = key_of(HEAD_INDEX, &key);
    MDB_val value = {.mv_size = sizeof head, .mv_data = head};
    return mdb_put(transaction, rows, &key_value, &value, 0);
}

/* The first or the last row of a table that is not empty. */
static int edge_read(MDB_cursor *cursor, MDB_cursor_op which, uint64_t *index, MDB_val *value)
{
    MDB_val key;
    int code = mdb_cursor_get(cursor, &key, value, which);
    if (code || key.mv_size != sizeof(uint64_t)) {
        return code && code != MDB_NOTFOUND ? code : MDB_CORRUPTED;
    }
    *index = key_index(&key);
    return 0;
}

/* Entries must run without a gap from the head's first index; counting them shows a lost page in the middle. */
static enum storage_error bounds_read(MDB_txn *transaction, MDB_cursor *cursor, struct log_store *store,
                                      struct storage_failure *failure)
{
    const char *path = store->environment.path;
    struct log_bounds *bounds = &store->bounds;
    MDB_val value;
    MDB_stat stat;
    uint64_t first, last;
    int code = mdb_stat(transaction, store->rows, &stat);
    if (code) {
        return storage_fail_code(failure, code, path, "read");
    }
    if (stat.ms_entries == 0) { /* fresh */
        *bounds = (struct log_bounds){.first_index = 1};
        code = head_write(transaction, store->rows, bounds);
        return code ? storage_fail_code(failure, code, path, "write") : STORAGE_OK;
    }
    if ((code = edge_read(cursor, MDB_FIRST, &first, &value))) {
        return storage_fail_code(failure, code, path, "read");
    }
    if (first != HEAD_INDEX || !head_decode(&value, bounds)) {
        return storage_fail(failure, STORAGE_CORRUPT, "%.200s: term and vote are damaged", path);
    }
    if ((code = edge_read(cursor, MDB_LAST, &last, &value))) {
        return storage_fail_code(failure, code, path, "read");
    }
    uint64_t entries = stat.ms_entries - 1;
    bounds->last_index = bounds->first_index + entries - 1;
    if (last != (entries ? bounds->last_index : HEAD_INDEX)) {
        return storage_fail(failure, STORAGE_CORRUPT, "%.200s: entries are missing in the middle", path);
    }
    return STORAGE_OK;
}

static enum storage_error rows_open(struct log_store *store, struct storage_failure *failure)
{
    const char *path = store->environment.path;
    MDB_txn *transaction;
    MDB_cursor *cursor;
    int code = mdb_txn_begin(store->environment.lmdb, NULL, 0, &transaction);
    if (code) {
        return storage_fail_code(failure, code, path, "begin a transaction");
    }
    if ((code = mdb_dbi_open(transaction, NULL, 0, &store->rows)) ||
        (code = mdb_cursor_open(transaction, store->rows, &cursor))) {
        mdb_txn_abort(transaction);
        return storage_fail_code(failure, code, path, "open the table");
    }
    enum storage_error error = bounds_read(transaction, cursor, store, failure);
    mdb_cursor_close(cursor);
    if (error) {
        mdb_txn_abort(transaction);
        return error;
    }
    code = mdb_txn_commit(transaction);
    return code ? storage_fail_code(failure, code, path, "commit") : STORAGE_OK;
}

enum storage_error log_store_open(const char *dir, size_t map_size_bytes, struct log_store **store,
                                  struct storage_failure *failure)
{
    char owner_path[PATH_SIZE_BYTES];
    *store = NULL;
    enum storage_error error = folder_make(dir, failure);
    if (error || (error = path_join(owner_path, dir, LOG_OWNER_FILE, failure))) {
        return error;
    }
    struct log_store *new = calloc(1, sizeof *new);
    if (!new) {
        return storage_fail(failure, STORAGE_NO_MEMORY, "%.200s: memory is exhausted", dir);
    }
    if ((error = path_join(new->environment.path, dir, LOG_FILE, failure)) ||
        (error = owner_take(owner_path, &new->owner_fd, failure))) {
        goto err_after_alloc;
    }
    if ((error = environment_open(&new->environment, map_size_bytes, 0, 0, failure))) {
        goto err_after_owner;
    }
    if ((error = rows_open(new, failure)) || (error = folder_sync(dir, failure))) {
        goto err_after_environment;
    }
    if (pthread_mutex_init(&new->mutex, NULL) != 0) {
        error = storage_fail(failure, STORAGE_NO_MEMORY, "%.200s: memory is exhausted", dir);
        goto err_after_environment;
    }
    *store = new;
    return STORAGE_OK;

err_after_environment:
    environment_close(&new->environment);
err_after_owner:
    close(new->owner_fd);
err_after_alloc:
    free(new);
    return error;
}

void log_store_close(struct log_store *store)
{
    if (!store) {
        return;
    }
    environment_close(&store->environment);
    close(store->owner_fd);
    pthread_mutex_destroy(&store->mutex);
    free(store);
}

/* ---- writing */

void log_operation_free(struct log_operation *operation)
{
    for (size_t i = 0; i < operation->entries_count; i++) {
        entry_unref(operation->entries[i]);
    }
    free(operation->entries);
    free(operation);
}

/* Deletes rows of indexes in [from, to). */
static int rows_delete(MDB_txn *transaction, MDB_dbi rows, uint64_t from, uint64_t to)
{
    for (uint64_t index = from; index < to; index++) {
        struct log_key key;
        MDB_val key_value = key_of(index, &key);
        int code = mdb_del(transaction, rows, &key_value, NULL);
        if (code) {
            return code == MDB_NOTFOUND ? MDB_CORRUPTED : code; /* the bounds say that every row is there */
        }
    }
    return 0;
}

static int append(MDB_txn *transaction, MDB_dbi rows, const struct log_operation *operation, struct log_bounds *bounds)
{
    assert(operation->first_index >= bounds->first_index);
    assert(operation->first_index <= bounds->last_index + 1);
    int code = rows_delete(transaction, rows, operation->first_index, bounds->last_index + 1);
    for (size_t i = 0; !code && i < operation->entries_count; i++) {
        struct log_key key;
        uint64_t index = operation->first_index + i;
        MDB_val key_value = key_of(index, &key);
        MDB_val value = {.mv_size = ENTRY_HEAD_SIZE_BYTES + (size_t)operation->entries[i]->size_bytes};
        if (!(code = mdb_put(transaction, rows, &key_value, &value, MDB_APPEND | MDB_RESERVE))) {
            entry_encode(index, operation->entries[i], value.mv_data);
        }
    }
    bounds->last_index = operation->first_index + operation->entries_count - 1;
    return code;
}

static int prune(MDB_txn *transaction, MDB_dbi rows, uint64_t first_index, struct log_bounds *bounds)
{
    uint64_t from = bounds->first_index;
    uint64_t to = first_index < bounds->last_index + 1 ? first_index : bounds->last_index + 1;
    if (to <= from) {
        return 0;
    }
    if (to - from > LOG_PRUNE_STEP) {
        to = from + LOG_PRUNE_STEP;
    }
    bounds->first_index = to;
    int code = rows_delete(transaction, rows, from, to);
    return code ? code : head_write(transaction, rows, bounds);
}

static int write_operation(MDB_txn *transaction, MDB_dbi rows, const struct log_operation *operation,
                           struct log_bounds *bounds)
{
    int code;
    switch (operation->kind) {
    case LOG_SET_VOTE:
        bounds->term = operation->term;
        bounds->voted_for = operation->voted_for;
        return head_write(transaction, rows, bounds);
    case LOG_APPEND:
        return append(transaction, rows, operation, bounds);
    case LOG_RESET:
        assert(operation->first_index > HEAD_INDEX);
        bounds->first_index = operation->first_index;
        bounds->last_index = operation->first_index - 1;
        code = mdb_drop(transaction, rows, 0);
        return code ? code : head_write(transaction, rows, bounds);
    case LOG_PRUNE:
        return prune(transaction, rows, operation->first_index, bounds);
    }
    abort();
}

static enum storage_error write_group(struct log_store *store, struct log_operation *const *group, size_t count,
                                      struct log_bounds *bounds, struct storage_failure *failure)
{
    const char *path = store->environment.path;
    MDB_txn *transaction;
    int code = mdb_txn_begin(store->environment.lmdb, NULL, 0, &transaction);
    if (code) {
        return storage_fail_code(failure, code, path, "begin a transaction");
    }
    for (size_t i = 0; i < count; i++) {
        if ((code = write_operation(transaction, store->rows, group[i], bounds))) {
            mdb_txn_abort(transaction);
            return storage_fail_code(failure, code, path, "write");
        }
    }
    code = mdb_txn_commit(transaction);
    return code ? storage_fail_code(failure, code, path, "commit") : STORAGE_OK;
}

enum storage_error log_store_write(struct log_store *store, struct log_operation *const *group, size_t count,
                                   struct storage_failure *failure)
{
    if (store->stopped) {
        *failure = store->failure;
        return failure->error;
    }
    struct log_bounds bounds = log_store_bounds(store);
    enum storage_error error = write_group(store, group, count, &bounds, failure);
    if (error) {
        store->stopped = true;
        store->failure = *failure;
        return error;
    }
    pthread_mutex_lock(&store->mutex);
    store->bounds = bounds;
    pthread_mutex_unlock(&store->mutex);
    return STORAGE_OK;
}

/* ---- reading */

struct log_bounds log_store_bounds(struct log_store *store)
{
    pthread_mutex_lock(&store->mutex);
    struct log_bounds bounds = store->bounds;
    pthread_mutex_unlock(&store->mutex);
    return bounds;
}

enum storage_error log_store_read(struct log_store *store, uint64_t index, struct entry **entry,
                                  struct storage_failure *failure)
{
    const char *path = store->environment.path;
    *entry = NULL;
    if (index == HEAD_INDEX) {
        return STORAGE_NOT_FOUND;
    }
    MDB_txn *transaction;
    int code = mdb_txn_begin(store->environment.lmdb, NULL, MDB_RDONLY, &transaction);
    if (code) {
        return storage_fail_code(failure, code, path, "begin a read");
    }
    struct log_key key;
    MDB_val key_value = key_of(index, &key), value;
    enum storage_error error = STORAGE_OK;
    code = mdb_get(transaction, store->rows, &key_value, &value);
    if (code) {
        error = code == MDB_NOTFOUND ? STORAGE_NOT_FOUND : storage_fail_code(failure, code, path, "read");
    } else if (!entry_decode(index, &value, entry)) {
        error = storage_fail(failure, STORAGE_CORRUPT, "%.150s: the checksum of entry %llu is wrong", path,
                             (unsigned long long)index);
    }
    mdb_txn_abort(transaction);
    return error;
}

uint64_t log_store_size_bytes(const struct log_store *store)
{
    return environment_size_bytes(&store->environment);
}
