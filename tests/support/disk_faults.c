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

void disk_faults_fail_syncs(bool fail)
{
    atomic_store(&fail_syncs, fail);
}

unsigned disk_faults_syncs(void)
{
    return atomic_load(&syncs);
}

int fdatasync(int fd)
{
    atomic_fetch_add(&syncs, 1);
    if (atomic_load(&fail_syncs)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
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
