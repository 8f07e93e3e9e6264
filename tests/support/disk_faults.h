/*
 * A disk that fails when a test says so: fdatasync, which LMDB calls in each commit, is taken over by the test
 * program. A file size limit makes writes fail.
 */
#ifndef TESTS_SUPPORT_DISK_FAULTS_H
#define TESTS_SUPPORT_DISK_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From now on every fdatasync fails with EIO, or none does. */
void disk_faults_fail_syncs(bool fail);
/* How many were asked for. */
unsigned disk_faults_syncs(void);

/* Who wants to know of each fdatasync: `begins` before it, and `ended`, with what that returned, once it succeeded.
 * Both run on the thread that syncs. NULL: nobody. */
struct disk_watch {
    size_t (*begins)(int fd);
    void (*ended)(int fd, size_t begun);
};
void disk_faults_watch_syncs(const struct disk_watch *watch);

/* Writes beyond this size of a file fail with EFBIG in this process; UINT64_MAX: no limit. */
void disk_faults_limit_files(uint64_t size_bytes);

#endif
