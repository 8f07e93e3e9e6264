/* Inside storage/: the slow half of snapshot_install, for an open store. */
#ifndef STORAGE_SNAPSHOT_FILE_H
#define STORAGE_SNAPSHOT_FILE_H

#include "storage/snapshot.h"

/* Extracts a verified snapshot to `dir`/STATE_NEW_FILE and syncs it; the hash is checked once more on the way. */
enum storage_error snapshot_unpack(const char *dir, const struct snapshot *snapshot, struct storage_failure *failure);

#endif
