/* What a writer thread rings and a test waits for, instead of a loop. */
#ifndef TESTS_SUPPORT_WAKE_BELL_H
#define TESTS_SUPPORT_WAKE_BELL_H

#include <semaphore.h>

struct wake_bell {
    sem_t rung;
};

void wake_bell_init(struct wake_bell *bell);
void wake_bell_close(struct wake_bell *bell);

/* The writers' wake function; the context is the bell. */
void wake_bell_ring(void *bell);

/* Waits until it has been rung since the last wait. Ends the test program after a minute: something hangs. */
void wake_bell_wait(struct wake_bell *bell);

#endif
