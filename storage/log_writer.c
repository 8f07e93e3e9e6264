/*
 * The log's writer thread.
 *
 * Whatever waits when the thread looks becomes one group: under load groups grow while the disk is busy, at rest an
 * operation is written at once. Operations, and the entries in them, are freed here and not on the loop thread.
 */
#include "storage/log_writer.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "storage/failure.h"

struct log_writer {
    struct log_store *store;
    void (*wake)(void *context);
    void *context;
    pthread_t thread;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    struct log_operation *queue, **queue_end;
    size_t queue_count;
    uint64_t submitted_ticket;
    bool stop, woken;
    struct log_progress progress;
};

/* Waits for work and takes all of it; NULL when there is none and the thread shall end. */
static struct log_operation *take_queue(struct log_writer *writer, size_t *count)
{
    pthread_mutex_lock(&writer->mutex);
    while (!writer->queue && !writer->stop) {
        pthread_cond_wait(&writer->changed, &writer->mutex);
    }
    struct log_operation *group = writer->queue;
    *count = writer->queue_count;
    writer->queue = NULL;
    writer->queue_end = &writer->queue;
    writer->queue_count = 0;
    pthread_mutex_unlock(&writer->mutex);
    return group;
}

static size_t operation_bytes(const struct log_operation *operation)
{
    size_t bytes = 0;
    for (size_t i = 0; i < operation->entries_count; i++) {
        bytes += operation->entries[i]->size_bytes;
    }
    return bytes;
}

static void report(struct log_writer *writer, uint64_t ticket, size_t bytes, const struct storage_failure *failure)
{
    pthread_mutex_lock(&writer->mutex);
    if (failure->error == STORAGE_OK) {
        writer->progress.ticket = ticket;
    } else if (!writer->progress.failed) {
        writer->progress.failed = true;
        writer->progress.failure = *failure;
    }
    writer->progress.queued_bytes -= bytes;
    bool wake = !writer->woken;
    writer->woken = true;
    pthread_mutex_unlock(&writer->mutex);
    if (wake) {
        writer->wake(writer->context);
    }
}

static void write_all(struct log_writer *writer, struct log_operation *queue, size_t count)
{
    struct log_operation **group = malloc(count * sizeof *group);
    if (!group) {
        abort(); /* nothing can be promised any more without memory for a list */
    }
    size_t bytes = 0, taken = 0;
    for (struct log_operation *operation = queue; operation; operation = operation->next) {
        group[taken++] = operation;
        bytes += operation_bytes(operation);
    }
    assert(taken == count);
    struct storage_failure failure = {.error = STORAGE_OK};
    enum storage_error error = log_store_write(writer->store, group, count, &failure);
    assert(error == failure.error);
    uint64_t ticket = group[count - 1]->ticket;
    for (size_t i = 0; i < count; i++) {
        log_operation_free(group[i]);
    }
    free(group);
    report(writer, ticket, bytes, &failure);
}

static void *run(void *argument)
{
    struct log_writer *writer = argument;
    struct log_operation *queue;
    size_t count;
    while ((queue = take_queue(writer, &count))) {
        write_all(writer, queue, count);
    }
    return NULL;
}

enum storage_error log_writer_start(struct log_store *store, void (*wake)(void *context), void *context,
                                    struct log_writer **writer, struct storage_failure *failure)
{
    *writer = NULL;
    struct log_writer *new = calloc(1, sizeof *new);
    if (!new) {
        goto err;
    }
    new->store = store;
    new->wake = wake;
    new->context = context;
    new->queue_end = &new->queue;
    if (pthread_mutex_init(&new->mutex, NULL) != 0) {
        goto err_after_alloc;
    }
    if (pthread_cond_init(&new->changed, NULL) != 0) {
        goto err_after_mutex;
    }
    if (pthread_create(&new->thread, NULL, run, new) != 0) {
        goto err_after_condition;
    }
    *writer = new;
    return STORAGE_OK;

err_after_condition:
    pthread_cond_destroy(&new->changed);
err_after_mutex:
    pthread_mutex_destroy(&new->mutex);
err_after_alloc:
    free(new);
err:
    return storage_fail(failure, STORAGE_NO_MEMORY, "the log's thread cannot be started");
}

void log_writer_stop(struct log_writer *writer)
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
    assert(!writer->queue);
    pthread_cond_destroy(&writer->changed);
    pthread_mutex_destroy(&writer->mutex);
    free(writer);
}

void log_writer_submit(struct log_writer *writer, struct log_operation *operation)
{
    size_t bytes = operation_bytes(operation);
    operation->next = NULL;
    pthread_mutex_lock(&writer->mutex);
    assert(!writer->stop);
    assert(operation->ticket >= writer->submitted_ticket);
    writer->submitted_ticket = operation->ticket;
    writer->progress.queued_bytes += bytes;
    *writer->queue_end = operation;
    writer->queue_end = &operation->next;
    writer->queue_count++;
    pthread_cond_signal(&writer->changed);
    pthread_mutex_unlock(&writer->mutex);
}

struct log_progress log_writer_drain(struct log_writer *writer)
{
    pthread_mutex_lock(&writer->mutex);
    writer->woken = false;
    struct log_progress progress = writer->progress;
    pthread_mutex_unlock(&writer->mutex);
    return progress;
}
