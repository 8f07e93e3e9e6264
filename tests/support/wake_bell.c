/* What a writer thread rings and a test waits for, instead of a loop. */
#include "tests/support/wake_bell.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define PATIENCE_S 60

void wake_bell_init(struct wake_bell *bell)
{
    if (sem_init(&bell->rung, 0, 0) != 0) {
        abort();
    }
}

void wake_bell_close(struct wake_bell *bell)
{
    sem_destroy(&bell->rung);
}

void wake_bell_ring(void *bell)
{
    if (sem_post(&((struct wake_bell *)bell)->rung) != 0) {
        abort();
    }
}

void wake_bell_wait(struct wake_bell *bell)
{
    struct timespec deadline;
    if (clock_gettime(CLOCK_REALTIME, &deadline) != 0) {
        abort();
    }
    deadline.tv_sec += PATIENCE_S;
    while (sem_timedwait(&bell->rung, &deadline) != 0) {
        if (errno != EINTR) {
            abort();
        }
    }
}
