/*
 * The state's writer thread.
 *
 *     next_step ──> APPLY    an entry waits: into the open transaction, its output to the list at once
 *               ──> INSTALL  a snapshot waits: the transaction is dropped, the file replaced
 *               ──> COMMIT   the batch is large or old, a reader waits for it, or nothing has come for a while
 *               ──> SYNC     nothing has come for STATE_IDLE_MS and the last commit is not durable yet
 *               ──> STOP
 *
 * A commit syncs the file's pages but not its own meta page (MDB_NOMETASYNC), which the next commit's or an explicit
 * sync takes along: so each commit makes the one before it durable. The short wait before an idle commit keeps the
 * next entry of a busy client from waiting behind a sync.
 *
 * Outputs go to the loop before their transaction is committed: they are decided by the log, which is durable. After
 * a crash the log is applied again from the committed position.
 */
#include "storage/state_writer.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "storage/failure.h"
#include "storage/files.h"
#include "storage/snapshot_file.h"
#include "storage/state_file.h"

/* Outputs kept for use again, with their memory. */
#define FREE_OUTPUTS_MAX 64u
#define NEVER UINT64_MAX

/* What waits: an entry to apply, or a snapshot to install. */
struct work {
    uint64_t index;
    struct entry *entry;
    struct snapshot *staged;
    struct work *next;
};

struct applied {
    uint64_t index, term;
    struct machine_output output;
    struct applied *next;
};

enum step { STEP_APPLY, STEP_INSTALL, STEP_COMMIT, STEP_SYNC, STEP_STOP };

struct state_writer {
    struct state_store *store;
    void (*wake)(void *context);
    void *context;
    pthread_t thread;

    /* The thread's own. */
    struct machine *machine;
    struct machine_store view;
    struct state_position position; /* of what is applied */
    unsigned uncommitted;           /* entries in the open transaction; 0: none is open */
    uint64_t uncommitted_commands;  /* that they held */
    uint64_t opened_ms, quiet_since_ms;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    struct work *queue, **queue_end;
    uint64_t submitted_index;
    uint64_t wanted_index; /* a reader waits until this is committed */
    bool stop, woken;
    struct applied *done, **done_end; /* applied since the last drain */
    struct applied *free;
    unsigned free_count;
    struct state_progress progress; /* applied_index: of everything in or before `done` */
};

static uint64_t now_ms(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        abort();
    }
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- what to do next; the mutex is held */

static void work_free(struct work *work)
{
    entry_unref(work->entry);
    snapshot_free(work->staged);
    free(work);
}

static struct work *queue_take(struct state_writer *writer)
{
    struct work *work = writer->queue;
    writer->queue = work->next;
    if (!writer->queue) {
        writer->queue_end = &writer->queue;
    }
    return work;
}

static void queue_drop(struct state_writer *writer)
{
    while (writer->queue) {
        work_free(queue_take(writer));
    }
    writer->progress.queued_entries = 0;
}

static bool commit_is_due(const struct state_writer *writer)
{
    if (writer->uncommitted == 0) {
        return false;
    }
    bool wanted = writer->wanted_index > writer->progress.committed_index &&
                  writer->wanted_index <= writer->position.index;
    bool full = writer->uncommitted_commands >= STATE_COMMIT_COMMANDS &&
                state_write_pages(writer->store) >= STATE_COMMIT_PAGES;
    return wanted || full || writer->uncommitted >= STATE_COMMIT_ENTRIES ||
           now_ms() - writer->opened_ms >= STATE_COMMIT_MS;
}

/* When the thread has to act without being told to. */
static uint64_t idle_deadline_ms(const struct state_writer *writer)
{
    if (writer->uncommitted == 0) {
        bool durable = writer->progress.durable_index == writer->progress.committed_index;
        return durable ? NEVER : writer->quiet_since_ms + STATE_IDLE_MS;
    }
    bool busy = writer->uncommitted_commands >= STATE_BUSY_COMMANDS;
    uint64_t quiet_ms = writer->quiet_since_ms + (busy ? STATE_BUSY_IDLE_MS : STATE_IDLE_MS);
    uint64_t full_ms = writer->opened_ms + STATE_COMMIT_MS;
    return quiet_ms < full_ms ? quiet_ms : full_ms;
}

static void wait_until(struct state_writer *writer, uint64_t deadline_ms)
{
    if (deadline_ms == NEVER) {
        pthread_cond_wait(&writer->changed, &writer->mutex);
        return;
    }
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ms / 1000),
                                .tv_nsec = (long)(deadline_ms % 1000) * 1000000};
    pthread_cond_timedwait(&writer->changed, &writer->mutex, &deadline);
}

static enum step next_step(struct state_writer *writer, struct work **work)
{
    for (;;) {
        if (writer->progress.failed) {
            queue_drop(writer);
        }
        if (writer->stop) {
            return STEP_STOP;
        }
        if (writer->progress.failed) {
            wait_until(writer, NEVER);
            continue;
        }
        if (commit_is_due(writer)) {
            return STEP_COMMIT;
        }
        if (writer->queue) {
            *work = queue_take(writer);
            return (*work)->staged ? STEP_INSTALL : STEP_APPLY;
        }
        uint64_t deadline_ms = idle_deadline_ms(writer);
        if (deadline_ms != NEVER && now_ms() >= deadline_ms) {
            return writer->uncommitted ? STEP_COMMIT : STEP_SYNC;
        }
        wait_until(writer, deadline_ms);
    }
}

/* ---- telling the loop */

/* Releases the mutex. */
static void unlock_and_wake(struct state_writer *writer)
{
    bool wake = !writer->woken;
    writer->woken = true;
    pthread_mutex_unlock(&writer->mutex);
    if (wake) {
        writer->wake(writer->context);
    }
}

/* The open transaction is dropped: nothing that is not wholly right becomes state. */
static void fail(struct state_writer *writer, const struct storage_failure *failure)
{
    state_write_abort(writer->store);
    writer->uncommitted = 0;
    pthread_mutex_lock(&writer->mutex);
    writer->progress.failed = true;
    writer->progress.failure = *failure;
    unlock_and_wake(writer);
}

/* ---- steps */

static struct applied *applied_take(struct state_writer *writer)
{
    pthread_mutex_lock(&writer->mutex);
    struct applied *applied = writer->free;
    if (applied) {
        writer->free = applied->next;
        writer->free_count--;
    }
    pthread_mutex_unlock(&writer->mutex);
    if (!applied) {
        applied = malloc(sizeof *applied);
        if (!applied) {
            abort();
        }
        machine_output_init(&applied->output);
    }
    applied->next = NULL;
    return applied;
}

static void applied_free(struct applied *applied)
{
    machine_output_close(&applied->output);
    free(applied);
}

static void configuration_set(struct state_position *position, uint64_t index, const struct entry *entry)
{
    free(position->configuration);
    position->configuration = malloc(entry->size_bytes + 1u);
    if (!position->configuration) {
        abort();
    }
    memcpy(position->configuration, entry->data, entry->size_bytes);
    position->configuration_size_bytes = entry->size_bytes;
    position->configuration_index = index;
}

static enum storage_error refuse(struct storage_failure *failure, uint64_t index, enum machine_error error)
{
    static const struct {
        enum machine_error error;
        enum storage_error kind;
    } kinds[] = {{MACHINE_MALFORMED, STORAGE_CORRUPT},
                 {MACHINE_UNKNOWN_FIELD, STORAGE_STOPPED},
                 {MACHINE_NO_MEMORY, STORAGE_NO_MEMORY}};
    enum storage_error kind = STORAGE_STOPPED;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].error == error) {
            kind = kinds[i].kind;
        }
    }
    return storage_fail(failure, kind, "entry %llu of the log cannot be applied: %s", (unsigned long long)index,
                        machine_error_message(error));
}

static enum storage_error apply_entry(struct state_writer *writer, uint64_t index, const struct entry *entry,
                                      struct machine_output *output, struct storage_failure *failure)
{
    enum machine_error error = MACHINE_OK;
    switch ((enum entry_type)entry->type) {
    case ENTRY_COMMAND:
        error = machine_apply(writer->machine, &writer->view, entry->term,
                              (struct span){.data = entry->data, .size_bytes = entry->size_bytes}, output);
        break;
    case ENTRY_CHANGE:
        configuration_set(&writer->position, index, entry);
        break;
    case ENTRY_BARRIER:
        break;
    default:
        return storage_fail(failure, STORAGE_CORRUPT, "entry %llu of the log has an unknown type %u",
                            (unsigned long long)index, (unsigned)entry->type);
    }
    if (entry->type != ENTRY_COMMAND) {
        machine_pass(&writer->view, output);
    }
    /* A store fault first: the machine saw a state that is not there. */
    enum storage_error fault = state_write_fault(writer->store, failure);
    if (fault || !error) {
        return fault;
    }
    return refuse(failure, index, error);
}

static enum storage_error transaction_need(struct state_writer *writer, struct storage_failure *failure)
{
    if (writer->uncommitted) {
        return STORAGE_OK;
    }
    writer->opened_ms = now_ms();
    writer->uncommitted_commands = 0;
    return state_write_begin(writer->store, &writer->view, failure);
}

static void do_apply(struct state_writer *writer, struct work *work)
{
    struct storage_failure failure;
    struct applied *applied = applied_take(writer);
    if (transaction_need(writer, &failure) ||
        apply_entry(writer, work->index, work->entry, &applied->output, &failure)) {
        applied_free(applied);
        fail(writer, &failure);
        return;
    }
    applied->index = work->index;
    applied->term = work->entry->term;
    writer->position.index = work->index;
    writer->position.term = work->entry->term;
    writer->uncommitted++;
    writer->uncommitted_commands += applied->output.commands_applied;
    writer->quiet_since_ms = now_ms();

    pthread_mutex_lock(&writer->mutex);
    *writer->done_end = applied;
    writer->done_end = &applied->next;
    writer->progress.applied_index = applied->index;
    writer->progress.queued_entries--;
    unlock_and_wake(writer);
}

static void do_commit(struct state_writer *writer)
{
    struct storage_failure failure;
    if (state_write_position(writer->store, &writer->position, &failure) ||
        state_write_commit(writer->store, &failure)) {
        fail(writer, &failure);
        return;
    }
    writer->uncommitted = 0;
    writer->quiet_since_ms = now_ms();
    pthread_mutex_lock(&writer->mutex);
    writer->progress.durable_index = writer->progress.committed_index;
    writer->progress.committed_index = writer->position.index;
    unlock_and_wake(writer);
}

static void do_sync(struct state_writer *writer)
{
    struct storage_failure failure;
    if (state_store_sync(writer->store, &failure)) {
        fail(writer, &failure);
        return;
    }
    pthread_mutex_lock(&writer->mutex);
    writer->progress.durable_index = writer->progress.committed_index;
    unlock_and_wake(writer);
}

static void do_install(struct state_writer *writer, struct work *work)
{
    struct storage_failure failure;
    state_write_abort(writer->store);
    writer->uncommitted = 0;
    state_position_close(&writer->position);
    if (snapshot_unpack(state_store_dir(writer->store), work->staged, &failure) ||
        state_store_replace(writer->store, &failure) ||
        state_store_position(writer->store, &writer->position, &failure) ||
        file_remove(work->staged->path, &failure)) {
        fail(writer, &failure);
        return;
    }
    pthread_mutex_lock(&writer->mutex);
    writer->progress.applied_index = writer->position.index;
    writer->progress.committed_index = writer->position.index;
    writer->progress.durable_index = writer->position.index;
    writer->progress.installed++;
    unlock_and_wake(writer);
}

static void *run(void *argument)
{
    struct state_writer *writer = argument;
    for (;;) {
        struct work *work = NULL;
        pthread_mutex_lock(&writer->mutex);
        enum step step = next_step(writer, &work);
        pthread_mutex_unlock(&writer->mutex);
        switch (step) {
        case STEP_APPLY:
            do_apply(writer, work);
            break;
        case STEP_INSTALL:
            do_install(writer, work);
            break;
        case STEP_COMMIT:
            do_commit(writer);
            break;
        case STEP_SYNC:
            do_sync(writer);
            break;
        case STEP_STOP:
            if (writer->uncommitted) {
                do_commit(writer);
            }
            if (writer->progress.durable_index != writer->progress.committed_index && !writer->progress.failed) {
                do_sync(writer);
            }
            return NULL;
        }
        if (work) {
            work_free(work);
        }
    }
}

/* ---- from the loop */

static int locks_init(struct state_writer *writer)
{
    pthread_condattr_t attributes;
    if (pthread_mutex_init(&writer->mutex, NULL) != 0) {
        return -1;
    }
    if (pthread_condattr_init(&attributes) != 0) {
        goto err_after_mutex;
    }
    int failed = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
                 pthread_cond_init(&writer->changed, &attributes) != 0;
    pthread_condattr_destroy(&attributes);
    if (!failed) {
        return 0;
    }

err_after_mutex:
    pthread_mutex_destroy(&writer->mutex);
    return -1;
}

/* What an earlier process committed may not be durable yet: it is after this. */
static enum storage_error begin_from_store(struct state_writer *writer, struct storage_failure *failure)
{
    enum storage_error error = state_store_sync(writer->store, failure);
    if (error || (error = state_store_position(writer->store, &writer->position, failure))) {
        return error;
    }
    uint64_t index = writer->position.index;
    writer->submitted_index = index;
    writer->progress =
        (struct state_progress){.applied_index = index, .committed_index = index, .durable_index = index};
    return STORAGE_OK;
}

enum storage_error state_writer_start(struct state_store *store, void (*wake)(void *context), void *context,
                                      struct state_writer **writer, struct storage_failure *failure)
{
    *writer = NULL;
    struct state_writer *new = calloc(1, sizeof *new);
    if (!new) {
        return storage_fail(failure, STORAGE_NO_MEMORY, "the state's thread cannot be started");
    }
    new->store = store;
    new->wake = wake;
    new->context = context;
    new->queue_end = &new->queue;
    new->done_end = &new->done;
    enum storage_error error = begin_from_store(new, failure);
    if (error) {
        goto err_after_alloc;
    }
    new->machine = machine_new();
    if (!new->machine || locks_init(new) != 0) {
        error = storage_fail(failure, STORAGE_NO_MEMORY, "the state's thread cannot be started");
        goto err_after_machine;
    }
    if (pthread_create(&new->thread, NULL, run, new) != 0) {
        error = storage_fail(failure, STORAGE_NO_MEMORY, "the state's thread cannot be started");
        goto err_after_locks;
    }
    *writer = new;
    return STORAGE_OK;

err_after_locks:
    pthread_cond_destroy(&new->changed);
    pthread_mutex_destroy(&new->mutex);
err_after_machine:
    if (new->machine) {
        machine_free(new->machine);
    }
err_after_alloc:
    state_position_close(&new->position);
    free(new);
    return error;
}

static void applied_list_free(struct applied *list)
{
    while (list) {
        struct applied *next = list->next;
        applied_free(list);
        list = next;
    }
}

void state_writer_stop(struct state_writer *writer)
{
    if (!writer) {
        return;
    }
    pthread_mutex_lock(&writer->mutex);
    writer->stop = true;
    pthread_cond_signal(&writer->changed);
    pthread_mutex_unlock(&writer->mutex);
    if (pthread_join(writer->thread, NULL) != 0) {
        abort();
    }
    queue_drop(writer);
    applied_list_free(writer->done);
    applied_list_free(writer->free);
    state_position_close(&writer->position);
    machine_free(writer->machine);
    pthread_cond_destroy(&writer->changed);
    pthread_mutex_destroy(&writer->mutex);
    free(writer);
}

static struct work *work_new(uint64_t index)
{
    struct work *work = calloc(1, sizeof *work);
    if (!work) {
        abort();
    }
    work->index = index;
    return work;
}

/* The mutex is held. */
static void queue_add(struct state_writer *writer, struct work *work)
{
    assert(!writer->stop);
    *writer->queue_end = work;
    writer->queue_end = &work->next;
    writer->submitted_index = work->index;
    pthread_cond_signal(&writer->changed);
}

void state_writer_apply(struct state_writer *writer, uint64_t index, struct entry *entry)
{
    struct work *work = work_new(index);
    work->entry = entry_ref(entry);
    pthread_mutex_lock(&writer->mutex);
    assert(index == writer->submitted_index + 1);
    writer->progress.queued_entries++;
    queue_add(writer, work);
    pthread_mutex_unlock(&writer->mutex);
}

void state_writer_want_commit(struct state_writer *writer)
{
    pthread_mutex_lock(&writer->mutex);
    writer->wanted_index = writer->submitted_index;
    pthread_cond_signal(&writer->changed);
    pthread_mutex_unlock(&writer->mutex);
}

void state_writer_install(struct state_writer *writer, struct snapshot *staged)
{
    struct work *work = work_new(staged->position.index);
    work->staged = staged;
    pthread_mutex_lock(&writer->mutex);
    queue_add(writer, work);
    pthread_mutex_unlock(&writer->mutex);
}

/* Puts outputs back for use again, as many as are kept. */
static void recycle(struct state_writer *writer, struct applied *list)
{
    struct applied *surplus = NULL;
    for (struct applied *applied = list; applied; applied = applied->next) {
        machine_output_reset(&applied->output);
    }
    pthread_mutex_lock(&writer->mutex);
    while (list) {
        struct applied *next = list->next;
        bool keep = writer->free_count < FREE_OUTPUTS_MAX;
        struct applied **to = keep ? &writer->free : &surplus;
        writer->free_count += keep;
        list->next = *to;
        *to = list;
        list = next;
    }
    pthread_mutex_unlock(&writer->mutex);
    applied_list_free(surplus);
}

struct state_progress state_writer_drain(struct state_writer *writer,
                                         void (*on_output)(void *context, uint64_t index, uint64_t term,
                                                           const struct machine_output *output),
                                         void *context)
{
    pthread_mutex_lock(&writer->mutex);
    writer->woken = false;
    struct applied *list = writer->done;
    writer->done = NULL;
    writer->done_end = &writer->done;
    struct state_progress progress = writer->progress;
    pthread_mutex_unlock(&writer->mutex);
    for (const struct applied *applied = list; applied; applied = applied->next) {
        on_output(context, applied->index, applied->term, &applied->output);
    }
    if (list) {
        recycle(writer, list);
    }
    return progress;
}
