/*
 * The replicated state in LMDB.
 *
 *     tables named below ──> rows of the machine          "position" ──> one row: CRC32C, format, index, term, ...
 *
 * The environment can be taken away under the store's pointer while a snapshot is installed: whoever uses it is
 * counted, and the replacing thread waits until nobody does.
 */
#include "storage/state_store.h"

#include <assert.h>
#include <errno.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consensus/machine/base/crc32c.h"
#include "storage/bytes.h"
#include "storage/environment.h"
#include "storage/failure.h"
#include "storage/files.h"
#include "storage/state_file.h"
#include "storage/state_view.h"

#define FORMAT 1u
#define POSITION_TABLE "position"
#define POSITION_HEAD_SIZE_BYTES 32u
#define DATABASES (TABLE_COUNT + 1)

/* Names in the file: never changed, never used again for something else. */
static const char *const table_names[TABLE_COUNT] = {
    [TABLE_META] = "meta",
    [TABLE_ORIGIN] = "origin",
    [TABLE_IDEMPOTENCY] = "idempotency",
    [TABLE_IDEMPOTENCY_BY_TIME] = "idempotency_by_time",
    [TABLE_TOKEN] = "token",
    [TABLE_TOKEN_BY_HASH] = "token_by_hash",
    [TABLE_USER] = "user",
    [TABLE_USER_BY_EMAIL] = "user_by_email",
    [TABLE_CONTACT_METHOD] = "contact_method",
    [TABLE_NOTIFICATION_RULE] = "notification_rule",
    [TABLE_SERVICE] = "service",
    [TABLE_SERVICE_BY_NAME] = "service_by_name",
    [TABLE_INTEGRATION] = "integration",
    [TABLE_INTEGRATION_BY_KEY] = "integration_by_key",
    [TABLE_ESCALATION_POLICY] = "escalation_policy",
    [TABLE_ESCALATION_POLICY_BY_NAME] = "escalation_policy_by_name",
    [TABLE_INCIDENT] = "incident",
    [TABLE_INCIDENT_BY_NUMBER] = "incident_by_number",
    [TABLE_INCIDENT_OPEN] = "incident_open",
    [TABLE_INCIDENT_BY_KEY] = "incident_by_key",
    [TABLE_INCIDENT_CLOSED] = "incident_closed",
    [TABLE_ALERT] = "alert",
    [TABLE_ALERT_OPEN] = "alert_open",
    [TABLE_ALERT_PAYLOAD] = "alert_payload",
    [TABLE_LOG_ENTRY] = "log_entry",
    [TABLE_DEADLINE] = "deadline",
    [TABLE_OUTBOX] = "outbox",
    [TABLE_NOTIFICATION] = "notification",
    [TABLE_SCHEDULE] = "schedule",
    [TABLE_SCHEDULE_REVISION] = "schedule_revision",
    [TABLE_SHIFTS] = "shifts",
    [TABLE_OVERRIDE] = "override",
    [TABLE_HEARTBEAT] = "heartbeat",
    [TABLE_HEARTBEAT_STATE] = "heartbeat_state",
    [TABLE_HEARTBEAT_BY_KEY] = "heartbeat_by_key",
    [TABLE_HEARTBEAT_BY_SLUG] = "heartbeat_by_slug",
    [TABLE_HEARTBEAT_BY_NAME] = "heartbeat_by_name",
    [TABLE_HEARTBEAT_DUE] = "heartbeat_due",
    [TABLE_HEARTBEAT_PING] = "heartbeat_ping",
    [TABLE_HEARTBEAT_FLIP] = "heartbeat_flip",
    [TABLE_HEARTBEAT_MOMENTS] = "heartbeat_moments",
    [TABLE_SCHEDULE_LOG] = "schedule_log",
    [TABLE_TURN] = "turn",
    [TABLE_ALERT_GROUP] = "alert_group",
    [TABLE_ALERT_GROUP_OF] = "alert_group_of",
    [TABLE_TEAM] = "team",
    [TABLE_TEAM_BY_NAME] = "team_by_name",
    [TABLE_TEAM_MEMBER] = "team_member",
    [TABLE_TEAM_OF_USER] = "team_of_user",
    [TABLE_SUPPORT_HOURS] = "support_hours",
    [TABLE_NOTICE] = "notice",
    [TABLE_HANDOFF_RULE] = "handoff_rule",
    [TABLE_HANDOFFS] = "handoffs",
    [TABLE_HANDOFF_DUE] = "handoff_due",
    [TABLE_SWAP] = "swap",
    [TABLE_CALENDAR_FEED] = "calendar_feed",
    [TABLE_CALENDAR_FEED_BY_HASH] = "calendar_feed_by_hash",
    [TABLE_ORCHESTRATION] = "orchestration",
    [TABLE_ORCHESTRATION_INTEGRATION] = "orchestration_integration",
    [TABLE_ORCHESTRATION_BY_KEY] = "orchestration_by_key",
    [TABLE_ORCHESTRATION_PATH] = "orchestration_path",
    [TABLE_EVENT_ASIDE] = "event_aside",
    [TABLE_HELD] = "held",
    [TABLE_MAINTENANCE] = "maintenance",
    [TABLE_MAINTENANCE_BY_SERVICE] = "maintenance_by_service",
    [TABLE_MUTE] = "mute",
    [TABLE_MUTE_AHEAD] = "mute_ahead",
    [TABLE_CHANGE_EVENT] = "change_event",
    [TABLE_CHANGE_EVENT_BY_SERVICE] = "change_event_by_service",
    [TABLE_ALERT_EXPIRY] = "alert_expiry",
    [TABLE_CONTACT_PROOF] = "contact_proof",
    [TABLE_DRILL] = "drill",
    [TABLE_DRILL_STATE] = "drill_state",
    [TABLE_DRILL_RUN] = "drill_run",
    [TABLE_HEARTBEAT_QUICK] = "heartbeat_quick",
};

struct state_store {
    char dir[PATH_SIZE_BYTES];
    size_t map_size_bytes;
    int owner_fd;
    struct environment environment;
    MDB_dbi tables[TABLE_COUNT];
    MDB_dbi position;
    struct state_view writing; /* of the writing thread */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    unsigned users;    /* read transactions and copies under way */
    bool replacing;    /* the environment is away */
    bool stopped;      /* a write failed, or the environment could not be put back; `failure` says why */
    struct storage_failure failure;
};

struct state_read_transaction {
    struct state_store *store;
    struct state_view view;
};

/* ---- the position */

void state_position_close(struct state_position *position)
{
    free(position->configuration);
    *position = (struct state_position){0};
}

static bool position_decode(const MDB_val *value, struct state_position *position)
{
    const uint8_t *row = value->mv_data;
    if (value->mv_size < POSITION_HEAD_SIZE_BYTES || get_u32(row) != crc32c(0, row + 4, value->mv_size - 4) ||
        get_u32(row + 4) != FORMAT) {
        return false;
    }
    *position = (struct state_position){.index = get_u64(row + 8),
                                        .term = get_u64(row + 16),
                                        .configuration_index = get_u64(row + 24),
                                        .configuration_size_bytes = value->mv_size - POSITION_HEAD_SIZE_BYTES};
    return true;
}

/* With `keep_configuration`, the position owns a copy of it. */
static enum storage_error position_read(MDB_txn *transaction, MDB_dbi table, const char *path, bool keep_configuration,
                                        struct state_position *position, struct storage_failure *failure)
{
    MDB_val key = state_value(POSITION_TABLE, strlen(POSITION_TABLE)), value;
    *position = (struct state_position){0};
    int code = mdb_get(transaction, table, &key, &value);
    if (code == MDB_NOTFOUND) {
        return STORAGE_OK;
    }
    if (code) {
        return storage_fail_code(failure, code, path, "read the position");
    }
    if (!position_decode(&value, position)) {
        return storage_fail(failure, STORAGE_CORRUPT, "%.200s: the checksum of the position is wrong", path);
    }
    if (keep_configuration && position->configuration_size_bytes) {
        position->configuration = malloc(position->configuration_size_bytes);
        if (!position->configuration) {
            abort();
        }
        memcpy(position->configuration, (const uint8_t *)value.mv_data + POSITION_HEAD_SIZE_BYTES,
               position->configuration_size_bytes);
    }
    return STORAGE_OK;
}

enum storage_error state_file_position(const char *path, size_t size_bytes, struct state_position *position,
                                       struct storage_failure *failure)
{
    struct environment environment = {0};
    *position = (struct state_position){0};
    int path_size_bytes = snprintf(environment.path, sizeof environment.path, "%s", path);
    if (path_size_bytes < 0 || path_size_bytes >= PATH_SIZE_BYTES) {
        return storage_fail_code(failure, ENAMETOOLONG, path, "open");
    }
    enum storage_error error = environment_open(&environment, size_bytes, DATABASES, MDB_RDONLY, failure);
    if (error) {
        return error;
    }
    MDB_txn *transaction;
    MDB_dbi table;
    int code = mdb_txn_begin(environment.lmdb, NULL, MDB_RDONLY, &transaction);
    if (code) {
        error = storage_fail_code(failure, code, path, "begin a read");
    } else {
        code = mdb_dbi_open(transaction, POSITION_TABLE, 0, &table);
        error = code ? storage_fail(failure, STORAGE_CORRUPT, "%.200s: no position in it: %s", path, mdb_strerror(code))
                     : position_read(transaction, table, path, true, position, failure);
        mdb_txn_abort(transaction);
    }
    environment_close(&environment);
    return error;
}

/* ---- opening */

static enum storage_error tables_open(struct state_store *store, struct storage_failure *failure)
{
    const char *path = store->environment.path;
    MDB_txn *transaction;
    int code = mdb_txn_begin(store->environment.lmdb, NULL, 0, &transaction);
    if (code) {
        return storage_fail_code(failure, code, path, "begin a transaction");
    }
    for (int table = 0; !code && table < TABLE_COUNT; table++) {
        code = mdb_dbi_open(transaction, table_names[table], MDB_CREATE, &store->tables[table]);
    }
    if (code || (code = mdb_dbi_open(transaction, POSITION_TABLE, MDB_CREATE, &store->position))) {
        mdb_txn_abort(transaction);
        return storage_fail_code(failure, code, path, "open a table");
    }
    struct state_position position;
    enum storage_error error = position_read(transaction, store->position, path, false, &position, failure);
    if (error) {
        mdb_txn_abort(transaction);
        return error;
    }
    code = mdb_txn_commit(transaction);
    return code ? storage_fail_code(failure, code, path, "commit") : STORAGE_OK;
}

static enum storage_error environment_and_tables_open(struct state_store *store, struct storage_failure *failure)
{
    enum storage_error error =
        environment_open(&store->environment, store->map_size_bytes, DATABASES, MDB_NOMETASYNC, failure);
    if (error) {
        return error;
    }
    if ((error = tables_open(store, failure)) || (error = folder_sync(store->dir, failure))) {
        environment_close(&store->environment);
    }
    return error;
}

/* What a crash left behind: none of it is needed. */
static enum storage_error leftovers_remove(const char *dir, struct storage_failure *failure)
{
    static const char *const names[] = {STATE_NEW_FILE, SNAPSHOT_PART_FILE, STAGED_FILE};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[PATH_SIZE_BYTES];
        enum storage_error error = path_join(path, dir, names[i], failure);
        if (error || (error = file_remove(path, failure))) {
            return error;
        }
    }
    return STORAGE_OK;
}

static enum storage_error store_open_files(struct state_store *store, struct storage_failure *failure)
{
    char owner_path[PATH_SIZE_BYTES];
    enum storage_error error = path_join(owner_path, store->dir, STATE_OWNER_FILE, failure);
    if (error || (error = owner_take(owner_path, &store->owner_fd, failure))) {
        return error;
    }
    if ((error = leftovers_remove(store->dir, failure)) || (error = environment_and_tables_open(store, failure))) {
        close(store->owner_fd);
    }
    return error;
}

enum storage_error state_store_open(const char *dir, size_t map_size_bytes, struct state_store **store,
                                    struct storage_failure *failure)
{
    *store = NULL;
    enum storage_error error = folder_make(dir, failure);
    if (error) {
        return error;
    }
    struct state_store *new = calloc(1, sizeof *new);
    if (!new) {
        goto err_memory;
    }
    if ((error = path_join(new->environment.path, dir, STATE_FILE, failure))) {
        free(new);
        return error;
    }
    memcpy(new->dir, dir, strlen(dir) + 1); /* fits: a longer path did */
    new->map_size_bytes = map_size_bytes;
    if (pthread_mutex_init(&new->mutex, NULL) != 0) {
        goto err_memory_after_alloc;
    }
    if (pthread_cond_init(&new->changed, NULL) != 0) {
        pthread_mutex_destroy(&new->mutex);
        goto err_memory_after_alloc;
    }
    if ((error = store_open_files(new, failure))) {
        pthread_cond_destroy(&new->changed);
        pthread_mutex_destroy(&new->mutex);
        free(new);
        return error;
    }
    *store = new;
    return STORAGE_OK;

err_memory_after_alloc:
    free(new);
err_memory:
    return storage_fail(failure, STORAGE_NO_MEMORY, "%.200s: memory is exhausted", dir);
}

enum storage_error state_store_discard(const char *dir, struct storage_failure *failure)
{
    char path[PATH_SIZE_BYTES], aside[PATH_SIZE_BYTES], lock[PATH_SIZE_BYTES];
    enum storage_error error = path_join(path, dir, STATE_FILE, failure);
    if (error || (error = path_join(aside, dir, STATE_DAMAGED_FILE, failure)) ||
        (error = path_join(lock, dir, STATE_LOCK_FILE, failure))) {
        return error;
    }
    if (rename(path, aside) != 0) {
        return storage_fail_code(failure, errno, path, "move aside");
    }
    if ((error = file_remove(lock, failure))) {
        return error;
    }
    return folder_sync(dir, failure);
}

void state_store_close(struct state_store *store)
{
    if (!store) {
        return;
    }
    assert(store->users == 0);
    state_write_abort(store);
    free(store->writing.scratch);
    environment_close(&store->environment);
    close(store->owner_fd);
    pthread_cond_destroy(&store->changed);
    pthread_mutex_destroy(&store->mutex);
    free(store);
}

const char *state_store_dir(const struct state_store *store)
{
    return store->dir;
}

uint64_t state_store_size_bytes(const struct state_store *store)
{
    return environment_size_bytes(&store->environment);
}

/* ---- who uses the environment */

static enum storage_error use_begin(struct state_store *store, struct storage_failure *failure)
{
    pthread_mutex_lock(&store->mutex);
    while (store->replacing) {
        pthread_cond_wait(&store->changed, &store->mutex);
    }
    bool there = store->environment.lmdb;
    if (there) {
        store->users++;
    } else {
        *failure = store->failure;
        failure->error = STORAGE_STOPPED;
    }
    pthread_mutex_unlock(&store->mutex);
    return there ? STORAGE_OK : STORAGE_STOPPED;
}

static void use_end(struct state_store *store)
{
    pthread_mutex_lock(&store->mutex);
    assert(store->users > 0);
    store->users--;
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->mutex);
}

/* A store that failed to write stays that way: never retried into success. */
static enum storage_error stop(struct state_store *store, const struct storage_failure *failure)
{
    pthread_mutex_lock(&store->mutex);
    if (!store->stopped) {
        store->stopped = true;
        store->failure = *failure;
    }
    pthread_mutex_unlock(&store->mutex);
    return failure->error;
}

static bool is_stopped(struct state_store *store, struct storage_failure *failure)
{
    pthread_mutex_lock(&store->mutex);
    bool stopped = store->stopped;
    if (stopped) {
        *failure = store->failure;
        failure->error = STORAGE_STOPPED;
    }
    pthread_mutex_unlock(&store->mutex);
    return stopped;
}

enum storage_error state_store_copy(struct state_store *store, int fd, const char *path,
                                    struct storage_failure *failure)
{
    enum storage_error error = use_begin(store, failure);
    if (error) {
        return error;
    }
    int code = mdb_env_copyfd2(store->environment.lmdb, fd, MDB_CP_COMPACT);
    use_end(store);
    return code ? storage_fail_code(failure, code, path, "copy the state") : STORAGE_OK;
}

enum storage_error state_file_replace(const char *dir, struct storage_failure *failure)
{
    char new_path[PATH_SIZE_BYTES], path[PATH_SIZE_BYTES], lock_path[PATH_SIZE_BYTES];
    enum storage_error error = path_join(new_path, dir, STATE_NEW_FILE, failure);
    if (error || (error = path_join(path, dir, STATE_FILE, failure)) ||
        (error = path_join(lock_path, dir, STATE_LOCK_FILE, failure)) || (error = file_remove(lock_path, failure))) {
        return error;
    }
    if (rename(new_path, path) != 0) {
        return storage_fail_code(failure, errno, path, "replace");
    }
    return folder_sync(dir, failure);
}

enum storage_error state_store_replace(struct state_store *store, struct storage_failure *failure)
{
    assert(!store->writing.transaction);
    pthread_mutex_lock(&store->mutex);
    while (store->users > 0) {
        pthread_cond_wait(&store->changed, &store->mutex);
    }
    store->replacing = true;
    pthread_mutex_unlock(&store->mutex);

    environment_close(&store->environment);
    enum storage_error error = state_file_replace(store->dir, failure);
    if (!error) {
        error = environment_and_tables_open(store, failure);
    }
    if (error) {
        stop(store, failure);
    }

    pthread_mutex_lock(&store->mutex);
    store->replacing = false;
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->mutex);
    return error;
}

/* ---- reading */

enum storage_error state_reader_begin(struct state_store *store, struct state_reader *reader,
                                      struct storage_failure *failure)
{
    *reader = (struct state_reader){0};
    enum storage_error error = use_begin(store, failure);
    if (error) {
        return error;
    }
    struct state_read_transaction *transaction = calloc(1, sizeof *transaction);
    if (!transaction) {
        abort();
    }
    transaction->store = store;
    transaction->view.tables = store->tables;
    transaction->view.path = store->environment.path;
    int code = mdb_txn_begin(store->environment.lmdb, NULL, MDB_RDONLY, &transaction->view.transaction);
    if (code) {
        error = storage_fail_code(failure, code, store->environment.path, "begin a read");
        goto err_after_use;
    }
    struct state_position position;
    if ((error = position_read(transaction->view.transaction, store->position, store->environment.path, false,
                               &position, failure))) {
        goto err_after_begin;
    }
    reader->transaction = transaction;
    reader->view = state_view_port(&transaction->view);
    reader->applied_index = position.index;
    return STORAGE_OK;

err_after_begin:
    mdb_txn_abort(transaction->view.transaction);
err_after_use:
    free(transaction);
    use_end(store);
    return error;
}

void state_reader_end(struct state_reader *reader)
{
    struct state_read_transaction *transaction = reader->transaction;
    if (!transaction) {
        return;
    }
    state_view_close_cursors(&transaction->view);
    mdb_txn_abort(transaction->view.transaction);
    use_end(transaction->store);
    free(transaction);
    *reader = (struct state_reader){0};
}

enum storage_error state_reader_fault(const struct state_reader *reader, struct storage_failure *failure)
{
    return state_view_fault(&reader->transaction->view, failure);
}

enum storage_error state_store_position(struct state_store *store, struct state_position *position,
                                        struct storage_failure *failure)
{
    struct state_reader reader;
    *position = (struct state_position){0};
    enum storage_error error = state_reader_begin(store, &reader, failure);
    if (error) {
        return error;
    }
    error = position_read(reader.transaction->view.transaction, store->position, store->environment.path, true,
                          position, failure);
    state_reader_end(&reader);
    return error;
}

/* ---- writing */

enum storage_error state_write_begin(struct state_store *store, struct machine_store *view,
                                     struct storage_failure *failure)
{
    struct state_view *writing = &store->writing;
    assert(!writing->transaction);
    if (is_stopped(store, failure)) {
        return failure->error;
    }
    int code = mdb_txn_begin(store->environment.lmdb, NULL, 0, &writing->transaction);
    if (code) {
        writing->transaction = NULL;
        storage_fail_code(failure, code, store->environment.path, "begin a transaction");
        return stop(store, failure);
    }
    writing->tables = store->tables;
    writing->path = store->environment.path;
    writing->fault = 0;
    memset(writing->pages_touched, 0, sizeof writing->pages_touched);
    *view = state_view_port(writing);
    return STORAGE_OK;
}

uint64_t state_write_pages(const struct state_store *store)
{
    return state_view_pages(&store->writing);
}

enum storage_error state_write_position(struct state_store *store, const struct state_position *position,
                                        struct storage_failure *failure)
{
    struct state_view *writing = &store->writing;
    assert(writing->transaction);
    MDB_val key = state_value(POSITION_TABLE, strlen(POSITION_TABLE));
    MDB_val value = {.mv_size = POSITION_HEAD_SIZE_BYTES + position->configuration_size_bytes};
    if (writing->fault ||
        (writing->fault = mdb_put(writing->transaction, store->position, &key, &value, MDB_RESERVE))) {
        return state_view_fault(writing, failure);
    }
    uint8_t *row = value.mv_data;
    put_u32(row + 4, FORMAT);
    put_u64(row + 8, position->index);
    put_u64(row + 16, position->term);
    put_u64(row + 24, position->configuration_index);
    if (position->configuration_size_bytes) {
        memcpy(row + POSITION_HEAD_SIZE_BYTES, position->configuration, position->configuration_size_bytes);
    }
    put_u32(row, crc32c(0, row + 4, value.mv_size - 4));
    return STORAGE_OK;
}

enum storage_error state_write_fault(struct state_store *store, struct storage_failure *failure)
{
    return state_view_fault(&store->writing, failure);
}

enum storage_error state_write_commit(struct state_store *store, struct storage_failure *failure)
{
    struct state_view *writing = &store->writing;
    assert(writing->transaction);
    enum storage_error error = state_view_fault(writing, failure);
    if (error) {
        state_write_abort(store);
        return stop(store, failure);
    }
    state_view_close_cursors(writing);
    int code = mdb_txn_commit(writing->transaction);
    writing->transaction = NULL;
    if (code) {
        storage_fail_code(failure, code, store->environment.path, "commit");
        return stop(store, failure);
    }
    return STORAGE_OK;
}

void state_write_abort(struct state_store *store)
{
    if (store->writing.transaction) {
        state_view_close_cursors(&store->writing);
        mdb_txn_abort(store->writing.transaction);
        store->writing.transaction = NULL;
    }
}

enum storage_error state_store_sync(struct state_store *store, struct storage_failure *failure)
{
    if (is_stopped(store, failure)) {
        return failure->error;
    }
    int code = mdb_env_sync(store->environment.lmdb, 1);
    if (code) {
        storage_fail_code(failure, code, store->environment.path, "sync");
        return stop(store, failure);
    }
    return STORAGE_OK;
}
