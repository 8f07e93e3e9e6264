/*
 * The raft log on disk: entries, term and vote, in an LMDB environment of its own.
 *
 *     <dir>/log.mdb      index ──> term, type, CRC32C, data          0 ──> term, voted for, first index, CRC32C
 *
 * Every call here blocks; log_writer.h runs them on a thread. Every entry and the vote carry a CRC32C: LMDB returns
 * flipped bits without a word. Durable: a write transaction that has returned is on stable storage (fsync at each
 * commit; never MDB_NOSYNC or MDB_WRITEMAP).
 */
#ifndef STORAGE_LOG_STORE_H
#define STORAGE_LOG_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/entry.h"
#include "storage/storage_error.h"

struct log_store;

struct log_bounds {
    uint64_t first_index; /* of the first entry; first_index == last_index + 1 when there is none */
    uint64_t last_index;
    uint64_t term, voted_for; /* 0 before anything was written */
};

/* Opens or creates `dir`/log.mdb, and `dir` itself (mode 0700). STORAGE_CORRUPT: term and vote, or entries, cannot
 * be trusted. STORAGE_IN_USE, STORAGE_UNREADABLE, STORAGE_FULL, STORAGE_IO, STORAGE_NO_MEMORY. `map_size_bytes` is
 * the bound of the file's growth: set it huge, the file takes what it needs. On error *store is NULL. */
enum storage_error log_store_open(const char *dir, size_t map_size_bytes, struct log_store **store,
                                  struct storage_failure *failure);
void log_store_close(struct log_store *store);

/* As of the last completed write. Safe from any thread. */
struct log_bounds log_store_bounds(struct log_store *store);

/* What one LOG_PRUNE drops at most, so that no write group takes long; the caller asks again until the bounds say
 * enough. */
#define LOG_PRUNE_STEP 1024u

/* One write of a group; all of a group become durable in one transaction, in order. */
enum log_operation_kind {
    LOG_SET_VOTE, /* term, voted_for */
    LOG_APPEND,   /* drop everything from first_index on, then add the entries; first_index is at most last_index + 1 */
    LOG_RESET,    /* drop everything but term and vote; the next entry is first_index */
    LOG_PRUNE     /* drop entries below first_index, at most LOG_PRUNE_STEP at a time */
};

struct log_operation {
    enum log_operation_kind kind;
    uint64_t ticket; /* of the caller, never falling; completions report it */
    uint64_t term, voted_for;
    uint64_t first_index;
    struct entry **entries; /* owned by the operation, with one reference each */
    size_t entries_count;
    struct log_operation *next;
};

void log_operation_free(struct log_operation *operation);

/* Writes a group and syncs. On error nothing of the group is there, and no further write is accepted: each returns
 * the first error. */
enum storage_error log_store_write(struct log_store *store, struct log_operation *const *group, size_t count,
                                   struct storage_failure *failure);

/* Reads one entry; safe beside a writer on another thread. *entry has one reference. STORAGE_NOT_FOUND,
 * STORAGE_CORRUPT. */
enum storage_error log_store_read(struct log_store *store, uint64_t index, struct entry **entry,
                                  struct storage_failure *failure);

/* Size of the file on disk. */
uint64_t log_store_size_bytes(const struct log_store *store);

#endif
