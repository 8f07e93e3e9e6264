/* Inside storage/: the state's file as such, for snapshots and for putting one in its place. */
#ifndef STORAGE_STATE_FILE_H
#define STORAGE_STATE_FILE_H

#include "storage/state_store.h"

/* The position in a state file that no store has open, read only. STORAGE_CORRUPT when it is no state file. */
enum storage_error state_file_position(const char *path, size_t size_bytes, struct state_position *position,
                                       struct storage_failure *failure);

/* The data directory of a store. */
const char *state_store_dir(const struct state_store *store);

/* Writes a compacted copy to an empty file, from a read transaction of its own. */
enum storage_error state_store_copy(struct state_store *store, int fd, const char *path,
                                    struct storage_failure *failure);

/* Renames `dir`/STATE_NEW_FILE, whose contents are synced, over `dir`/STATE_FILE and makes that durable. No store
 * has it open. */
enum storage_error state_file_replace(const char *dir, struct storage_failure *failure);

/* The same under an open store: waits until no reader is left, closes, replaces, opens. On error the store is
 * stopped. */
enum storage_error state_store_replace(struct state_store *store, struct storage_failure *failure);

#endif
