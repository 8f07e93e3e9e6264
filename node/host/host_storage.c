/* Stores, their writers, and snapshots on helper threads of the loop's pool. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "node/host/data_dir.h"
#include "node/host/host_internal.h"
#include "node/log.h"

/* ---- opening and closing */

static bool refuse(char *error, size_t error_size, const struct storage_failure *failure) {
    snprintf(error, error_size, "%s", failure->message);
    return false;
}

/* A state that is damaged goes out of the way; log or peers bring it back. */
static bool open_state(struct host *host, char *error, size_t error_size) {
    const struct config *config = host->config;
    size_t map_size_bytes = (size_t)config->map_size_mib << 20;
    struct storage_failure failure;
    enum storage_error result = state_store_open(config->data_dir, map_size_bytes, &host->state_store, &failure);
    if (result == STORAGE_CORRUPT) {
        log_error("the state is damaged and will be rebuilt: %s", failure.message);
        if (state_store_discard(config->data_dir, &failure) != STORAGE_OK) return refuse(error, error_size, &failure);
        if (data_dir_forget_current(config->data_dir, error, error_size) != DATA_DIR_OK) return false;
        result = state_store_open(config->data_dir, map_size_bytes, &host->state_store, &failure);
    }
    return result == STORAGE_OK || refuse(error, error_size, &failure);
}

bool host_storage_open(struct host *host, char *error, size_t error_size) {
    const struct config *config = host->config;
    struct storage_failure failure;
    enum storage_error result = log_store_open(config->data_dir, (size_t)config->map_size_mib << 20, &host->log_store, &failure);
    if (result == STORAGE_CORRUPT)
        snprintf(error, error_size,
                 "%s: this equals a lost disk, the node must not come back under its old id. Remove it (DELETE /cluster/members/%llu), and start it under a new "
                 "id with an empty data directory and --join",
                 failure.message, (unsigned long long)config->id);
    if (result != STORAGE_OK) return result != STORAGE_CORRUPT && refuse(error, error_size, &failure);
    return open_state(host, error, error_size);
}

static void wake(void *context) {
    struct host *host = context;
    uv_async_send(&host->wake);
}

bool host_storage_start(struct host *host, char *error, size_t error_size) {
    struct storage_failure failure;
    return (log_writer_start(host->log_store, wake, host, &host->log_writer, &failure) == STORAGE_OK &&
            state_writer_start(host->state_store, wake, host, &host->state_writer, &failure) == STORAGE_OK) ||
           refuse(error, error_size, &failure);
}

void host_storage_stop(struct host *host) {
    log_writer_stop(host->log_writer);
    state_writer_stop(host->state_writer);
    host->log_writer = NULL;
    host->state_writer = NULL;
}

void host_storage_close(struct host *host) {
    state_store_close(host->state_store);
    log_store_close(host->log_store);
    if (host->outgoing != NULL) snapshot_free(host->outgoing);
    if (host->staged != NULL) snapshot_free(host->staged);
}

/* ---- log and state */

static struct log_bounds port_log_bounds(void *context) {
    struct host *host = context;
    return log_store_bounds(host->log_store);
}

static enum storage_error port_log_read(void *context, uint64_t index, struct entry **entry, struct storage_failure *failure) {
    struct host *host = context;
    return log_store_read(host->log_store, index, entry, failure);
}

static enum storage_error port_log_write(void *context, struct log_operation *const *group, size_t count, struct storage_failure *failure) {
    struct host *host = context;
    return log_store_write(host->log_store, group, count, failure);
}

static void port_log_submit(void *context, struct log_operation *operation) {
    struct host *host = context;
    log_writer_submit(host->log_writer, operation);
}

static struct log_progress port_log_drain(void *context) {
    struct host *host = context;
    return log_writer_drain(host->log_writer);
}

static enum storage_error port_state_position(void *context, struct state_position *position, struct storage_failure *failure) {
    struct host *host = context;
    return state_store_position(host->state_store, position, failure);
}

static enum storage_error port_reader_begin(void *context, struct state_reader *reader, struct storage_failure *failure) {
    struct host *host = context;
    return state_reader_begin(host->state_store, reader, failure);
}

static enum storage_error port_reader_fault(void *context, const struct state_reader *reader, struct storage_failure *failure) {
    (void)context;
    return state_reader_fault(reader, failure);
}

static void port_reader_end(void *context, struct state_reader *reader) {
    (void)context;
    state_reader_end(reader);
}

static void port_state_apply(void *context, uint64_t index, struct entry *entry) {
    struct host *host = context;
    state_writer_apply(host->state_writer, index, entry);
}

static void port_state_want_commit(void *context) {
    struct host *host = context;
    state_writer_want_commit(host->state_writer);
}

static void port_state_install(void *context) {
    struct host *host = context;
    assert(host->staged != NULL);
    state_writer_install(host->state_writer, host->staged);
    host->staged = NULL; /* the writer's now */
}

static struct state_progress port_state_drain(void *context,
                                              void (*on_output)(void *context, uint64_t index, uint64_t term, const struct machine_output *output),
                                              void *output_context) {
    struct host *host = context;
    return state_writer_drain(host->state_writer, on_output, output_context);
}

static void port_sizes(void *context, uint64_t *log_size_bytes, uint64_t *state_size_bytes) {
    struct host *host = context;
    *log_size_bytes = log_store_size_bytes(host->log_store);
    *state_size_bytes = state_store_size_bytes(host->state_store);
}

static void port_disk(void *context, uint64_t *free_bytes, uint64_t *total_bytes) {
    struct host *host = context;
    struct statvfs status;
    *free_bytes = *total_bytes = 0;
    if (statvfs(host->config->data_dir, &status) != 0) return;
    *free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
    *total_bytes = (uint64_t)status.f_blocks * status.f_frsize;
}

/* ---- snapshots */

enum job_kind { JOB_PREPARE, JOB_READ, JOB_STAGE, JOB_VERIFY };

struct job {
    uv_work_t work;
    struct host *host;
    enum job_kind kind;
    uint64_t peer, offset;
    size_t size_bytes;
    uint8_t *data;
    struct snapshot *snapshot; /* prepared or verified; for JOB_READ a copy of the host's, which may be replaced meanwhile */
    bool ok;
    struct storage_failure failure;
};

static void job_run(uv_work_t *work) {
    struct job *job = work->data;
    const char *dir = job->host->config->data_dir;
    enum storage_error result = STORAGE_OK;
    switch (job->kind) {
    case JOB_PREPARE:
        result = snapshot_take(job->host->state_store, dir, &job->snapshot, &job->failure);
        break;
    case JOB_READ:
        result = snapshot_read(job->snapshot, job->offset, job->data, job->size_bytes, &job->size_bytes, &job->failure);
        break;
    case JOB_STAGE:
        result = snapshot_stage_chunk(dir, job->offset, job->data, job->size_bytes, &job->failure);
        break;
    case JOB_VERIFY:
        result = snapshot_stage_finish(dir, &job->snapshot, &job->failure);
        break;
    }
    job->ok = result == STORAGE_OK;
}

static void keep(struct snapshot **place, struct snapshot *snapshot) {
    if (*place != NULL) snapshot_free(*place);
    *place = snapshot;
}

static void prepared(struct host *host, const struct job *job) {
    if (job->ok) keep(&host->outgoing, job->snapshot);
    engine_snapshot_prepared(host->engine, job->ok, job->ok ? job->snapshot->position.index : 0, job->ok ? job->snapshot->size_bytes : 0);
}

static void verified(struct host *host, const struct job *job) {
    if (job->ok) keep(&host->staged, job->snapshot);
    engine_snapshot_verified(host->engine, job->ok, job->ok ? &job->snapshot->position : NULL);
}

/* Frees it with what it holds. */
static void job_drop(struct job *job) {
    if (job->kind == JOB_READ)
        free(job->snapshot);
    else if (job->ok && job->snapshot != NULL)
        snapshot_free(job->snapshot);
    free(job->data);
    free(job);
}

static void job_done(uv_work_t *work, int status) {
    struct job *job = work->data;
    struct host *host = job->host;
    if (status != 0) job->ok = false;
    if (host->closing) { /* writers and connections are gone already */
        job_drop(job);
        return;
    }
    if (!job->ok) log_warning("a snapshot's step failed: %s", status != 0 ? uv_strerror(status) : job->failure.message);
    switch (job->kind) {
    case JOB_PREPARE:
        prepared(host, job);
        break;
    case JOB_READ:
        engine_snapshot_read(host->engine, job->peer, job->offset, (struct span){job->data, job->size_bytes}, job->ok);
        free(job->snapshot);
        break;
    case JOB_STAGE:
        engine_snapshot_staged(host->engine, job->offset, job->ok);
        break;
    case JOB_VERIFY:
        verified(host, job);
        break;
    }
    free(job->data);
    free(job);
}

static void job_start(struct host *host, struct job fields) {
    struct job *job = malloc(sizeof *job);
    if (job == NULL) abort();
    *job = fields;
    job->host = host;
    job->work.data = job;
    if (uv_queue_work(host->loop, &job->work, job_run, job_done) != 0) abort();
}

static void *copy_of(const void *data, size_t size_bytes) {
    void *copy = malloc(size_bytes ? size_bytes : 1);
    if (copy == NULL) abort();
    if (data != NULL) memcpy(copy, data, size_bytes);
    return copy;
}

static void port_snapshot_prepare(void *context) { job_start(context, (struct job){.kind = JOB_PREPARE}); }

static void port_snapshot_read(void *context, uint64_t peer, uint64_t offset, uint32_t size_bytes) {
    struct host *host = context;
    assert(host->outgoing != NULL);
    job_start(host, (struct job){.kind = JOB_READ, .peer = peer, .offset = offset, .size_bytes = size_bytes,
                                 .data = copy_of(NULL, size_bytes),
                                 .snapshot = copy_of(host->outgoing, sizeof *host->outgoing)});
}

static void port_snapshot_release(void *context) {
    struct host *host = context;
    keep(&host->outgoing, NULL);
}

static void port_snapshot_stage(void *context, uint64_t offset, struct span data) {
    job_start(context, (struct job){.kind = JOB_STAGE, .offset = offset, .size_bytes = data.size_bytes,
                                    .data = copy_of(data.data, data.size_bytes)});
}

static void port_snapshot_verify(void *context) { job_start(context, (struct job){.kind = JOB_VERIFY}); }

/* ---- */

void host_storage_ports(struct engine_ports *ports) {
    ports->log_bounds = port_log_bounds;
    ports->log_read = port_log_read;
    ports->log_write = port_log_write;
    ports->log_submit = port_log_submit;
    ports->log_drain = port_log_drain;
    ports->state_position = port_state_position;
    ports->reader_begin = port_reader_begin;
    ports->reader_fault = port_reader_fault;
    ports->reader_end = port_reader_end;
    ports->state_apply = port_state_apply;
    ports->state_want_commit = port_state_want_commit;
    ports->state_install = port_state_install;
    ports->state_drain = port_state_drain;
    ports->sizes = port_sizes;
    ports->disk = port_disk;
    ports->snapshot_prepare = port_snapshot_prepare;
    ports->snapshot_read = port_snapshot_read;
    ports->snapshot_release = port_snapshot_release;
    ports->snapshot_stage = port_snapshot_stage;
    ports->snapshot_verify = port_snapshot_verify;
}
