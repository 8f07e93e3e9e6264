/*
 * The replicated state on disk: the machine's tables, in an LMDB environment of its own, with MDB_NOMETASYNC (never
 * corrupt, may lose its last transaction after a power cut).
 *
 *     <dir>/state.mdb    one database per machine_table, and "position": applied index, its term, the raft
 *                        configuration in force and its index; all written in the transaction that applied them
 *
 * Readers are short read transactions on any thread (MDB_NOTLS) and never block the writer.
 */
#ifndef STORAGE_STATE_STORE_H
#define STORAGE_STATE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/store.h"
#include "storage/storage_error.h"

struct state_store;

/* Where the state stands in the log. */
struct state_position {
    uint64_t index, term;
    uint64_t configuration_index;
    uint8_t *configuration; /* encoded; owned by the holder, freed with state_position_close */
    size_t configuration_size_bytes;
};
void state_position_close(struct state_position *position);

/* Opens or creates `dir`/state.mdb, and `dir` itself (mode 0700); removes what a crash left of snapshots under way.
 * STORAGE_CORRUPT: the caller moves it away and fetches a snapshot. STORAGE_IN_USE, STORAGE_UNREADABLE,
 * STORAGE_FULL, STORAGE_IO, STORAGE_NO_MEMORY. On error *store is NULL. */
enum storage_error state_store_open(const char *dir, size_t map_size_bytes, struct state_store **store,
                                    struct storage_failure *failure);
void state_store_close(struct state_store *store);

/* Moves a damaged state of `dir` aside (state.mdb.damaged, over an older one), durably, so that an empty one can be
 * opened. No store has it open. */
enum storage_error state_store_discard(const char *dir, struct storage_failure *failure);

/* Of the last committed transaction; index 0 for an empty state. */
enum storage_error state_store_position(struct state_store *store, struct state_position *position,
                                        struct storage_failure *failure);

/* A short read transaction. `view` is a machine_store whose put and del must not be called. */
struct state_reader {
    struct machine_store view;
    struct state_read_transaction *transaction;
    uint64_t applied_index; /* of what it sees */
};
enum storage_error state_reader_begin(struct state_store *store, struct state_reader *reader,
                                      struct storage_failure *failure);
void state_reader_end(struct state_reader *reader);
/* A store fault met while reading (find nothing, then ask). */
enum storage_error state_reader_fault(const struct state_reader *reader, struct storage_failure *failure);

/*
 * The write side, for state_writer.c and tests: one open transaction at a time, begun and ended on one thread. After
 * a failed commit or sync every begin answers STORAGE_STOPPED, with the first failure's sentence. A commit that
 * fails has ended the transaction, and nothing of it is there.
 */
enum storage_error state_write_begin(struct state_store *store, struct machine_store *view,
                                     struct storage_failure *failure);
/* How many pages the open transaction keeps in memory, at most. */
uint64_t state_write_pages(const struct state_store *store);
enum storage_error state_write_position(struct state_store *store, const struct state_position *position,
                                        struct storage_failure *failure);
enum storage_error state_write_commit(struct state_store *store, struct storage_failure *failure);
void state_write_abort(struct state_store *store);
/* A sticky fault of puts and dels since begin. */
enum storage_error state_write_fault(struct state_store *store, struct storage_failure *failure);
/* Makes everything committed so far durable (MDB_NOMETASYNC needs it). */
enum storage_error state_store_sync(struct state_store *store, struct storage_failure *failure);

uint64_t state_store_size_bytes(const struct state_store *store);

#endif
