/*
 * The thread that owns the log environment: takes operations in order, writes all that wait in one transaction,
 * reports back.
 *
 *     loop thread ── log_writer_submit ──> queue ──> one group, one sync ──> wake() ──> loop: log_writer_drain
 *
 * After a failed write the thread accepts nothing more; the failure is reported once and the node stops stepping its
 * core.
 */
#ifndef STORAGE_LOG_WRITER_H
#define STORAGE_LOG_WRITER_H

#include "storage/log_store.h"

struct log_writer;

/* `wake` is called on the writer's thread whenever there is something to drain; it must be safe from any thread. */
enum storage_error log_writer_start(struct log_store *store, void (*wake)(void *context), void *context,
                                    struct log_writer **writer, struct storage_failure *failure);

/* Finishes what is queued, ends the thread, frees. */
void log_writer_stop(struct log_writer *writer);

/* Takes the operation over. Never blocks. */
void log_writer_submit(struct log_writer *writer, struct log_operation *operation);

struct log_progress {
    uint64_t ticket;     /* every operation up to this ticket is durable */
    bool failed;         /* ... and none after it ever will be */
    struct storage_failure failure;
    size_t queued_bytes; /* entries not yet durable */
};
struct log_progress log_writer_drain(struct log_writer *writer);

#endif
