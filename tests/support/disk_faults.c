/* A disk that fails when a test says so. */
#include "tests/support/disk_faults.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_bool fail_syncs;
static atomic_uint syncs;
static _Atomic(const struct disk_watch *) watch;

void disk_faults_fail_syncs(bool fail)
{
    atomic_store(&fail_syncs, fail);
}

unsigned disk_faults_syncs(void)
{
    return atomic_load(&syncs);
}

void disk_faults_watch_syncs(const struct disk_watch *by)
{
    atomic_store(&watch, by);
}

int fdatasync(int fd)
{
    atomic_fetch_add(&syncs, 1);
    if (atomic_load(&fail_syncs)) {
        errno = EIO;
        return -1;
    }
    const struct disk_watch *by = atomic_load(&watch);
    size_t begun = by ? by->begins(fd) : 0;
    int result = (int)syscall(SYS_fdatasync, fd);
    if (by && result == 0) {
        by->ended(fd, begun);
    }
    return result;
}

void disk_faults_limit_files(uint64_t size_bytes)
{
    struct rlimit limit;
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || getrlimit(RLIMIT_FSIZE, &limit) != 0) {
        abort();
    }
    limit.rlim_cur = size_bytes == UINT64_MAX ? limit.rlim_max : size_bytes;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) {
        abort();
    }
}
