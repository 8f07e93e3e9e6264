/*
 * The thread that owns the state environment: applies committed entries inside an open transaction, hands replies
 * and claimed work over at once, commits in bulk.
 *
 *     loop ── state_writer_apply ──> queue ──> machine_apply, inside one open transaction
 *                                                ├─ outputs by value, per entry ── wake() ──> loop: state_writer_drain
 *                                                └─ commit: nothing came for STATE_IDLE_MS (when busy:
 *                                                   for STATE_BUSY_IDLE_MS),
 *                                                   STATE_COMMIT_ENTRIES applied, STATE_COMMIT_COMMANDS that
 *                                                   touched STATE_COMMIT_PAGES, STATE_COMMIT_MS gone by, or a
 *                                                   reader waits
 *
 * A commit is durable once a sync followed it; an idle writer syncs. The log may be pruned only up to `durable_index`.
 */
#ifndef STORAGE_STATE_WRITER_H
#define STORAGE_STATE_WRITER_H

#include "consensus/machine/entry.h"
#include "consensus/machine/machine.h"
#include "storage/snapshot.h"
#include "storage/state_store.h"

/*
 * The bounds of one transaction. Its pages are scattered, so a commit costs about the same for ten entries as for a
 * thousand, and its sync stands in the way of the log's; but until then its pages are memory of this process: some 4
 * to 8 KiB a command, and of pings at random no more than their table has. After a crash what is not durable yet, two
 * transactions at most, is applied again from the log.
 */
#define STATE_COMMIT_ENTRIES 8192
#define STATE_COMMIT_COMMANDS 1024
#define STATE_COMMIT_PAGES 16384
#define STATE_COMMIT_MS 2000
#define STATE_IDLE_MS 5
/* One that holds so many commands is of busy clients who wait for the log: what they send next shares its pages. */
#define STATE_BUSY_COMMANDS 256
#define STATE_BUSY_IDLE_MS 200

struct state_writer;

enum storage_error state_writer_start(struct state_store *store, void (*wake)(void *context), void *context,
                                      struct state_writer **writer, struct storage_failure *failure);
/* Commits what is applied, syncs, ends the thread, frees. What is still queued is dropped: the log has it. */
void state_writer_stop(struct state_writer *writer);

/* Queues a committed entry; takes one reference of its own. Entries arrive in index order without gaps. Never
 * blocks. */
void state_writer_apply(struct state_writer *writer, uint64_t index, struct entry *entry);

/* Asks for everything that has been queued so far to be committed as soon as it is applied: a reader waits for it. */
void state_writer_want_commit(struct state_writer *writer);

/* After what is queued: closes the transaction, puts the staged snapshot in the state's place (readers must be
 * closed), opens it. Reported by state_progress.installed. Takes `staged` over, and removes its file once it is
 * installed. Meanwhile state_reader_begin waits for the moment in which the file is exchanged. */
void state_writer_install(struct state_writer *writer, struct snapshot *staged);

struct state_progress {
    uint64_t applied_index;   /* outputs up to here have been drained */
    uint64_t committed_index; /* readers see up to here */
    uint64_t durable_index;   /* a crash keeps up to here */
    uint64_t installed;       /* how many snapshots have been installed since the start */
    size_t queued_entries;
    bool failed; /* the state can no longer be kept: storage fault, or an entry that cannot be applied */
    struct storage_failure failure;
};

/* Takes what has been produced since the last drain. `on_output` is called for each applied entry in order, on the
 * caller's thread; `output` belongs to the writer and is valid during the call. */
struct state_progress state_writer_drain(struct state_writer *writer,
                                         void (*on_output)(void *context, uint64_t index, uint64_t term,
                                                           const struct machine_output *output),
                                         void *context);

#endif
