/* Files and folders of the data directory: made, locked, synced, removed, with failures that name the path. */
#ifndef STORAGE_FILES_H
#define STORAGE_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "storage/storage_error.h"

#define PATH_SIZE_BYTES 4096

/* Names below the data directory. */
#define LOG_FILE "log.mdb"
#define LOG_OWNER_FILE "log.owner"
#define STATE_FILE "state.mdb"
#define STATE_NEW_FILE "state.mdb.new" /* a snapshot's contents on their way to STATE_FILE */
#define STATE_DAMAGED_FILE "state.mdb.damaged"
#define STATE_LOCK_FILE "state.mdb-lock"
#define STATE_OWNER_FILE "state.owner"
#define SNAPSHOTS_FOLDER "snapshots"
#define SNAPSHOT_PART_FILE "snapshots/taking.part"
#define STAGING_FOLDER "staging"
#define STAGED_FILE "staging/incoming.snapshot"

/* "<dir>/<name>" into path[PATH_SIZE_BYTES]. STORAGE_UNREADABLE when it does not fit. */
enum storage_error path_join(char *path, const char *dir, const char *name, struct storage_failure *failure);

/* Makes the folder with mode 0700 unless it is there, and checks that it can be used. Its name is durable: the parent
 * is synced, also for a folder that was there, unless this process may not write to the parent. */
enum storage_error folder_make(const char *path, struct storage_failure *failure);

/* Makes names that were created, renamed or removed in the folder durable. */
enum storage_error folder_sync(const char *path, struct storage_failure *failure);

/* Holds `path` against other holders, in this process too, until *fd is closed; the kernel lets go of it when the
 * process dies. STORAGE_IN_USE. */
enum storage_error owner_take(const char *path, int *fd, struct storage_failure *failure);

/* Removes a file; that it is not there is no error. */
enum storage_error file_remove(const char *path, struct storage_failure *failure);

/* Writes all of it at the file's position. `path` is for the failure. */
enum storage_error file_write(int fd, const char *path, const void *data, size_t size_bytes,
                              struct storage_failure *failure);

/* Reads at `offset` until `size_bytes` or the end of the file. */
enum storage_error file_read(int fd, const char *path, uint64_t offset, void *buffer, size_t size_bytes,
                             size_t *read_bytes, struct storage_failure *failure);

#endif
