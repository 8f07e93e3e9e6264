/* A run of bytes that somebody else owns. */
#ifndef CONSENSUS_MACHINE_BASE_SPAN_H
#define CONSENSUS_MACHINE_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
    const void *data;
    size_t size_bytes;
};

/* An empty one may be at NULL, which memcmp may not be given. */
static inline bool span_equal(struct span a, struct span b)
{
    return a.size_bytes == b.size_bytes && (a.size_bytes == 0 || memcmp(a.data, b.data, a.size_bytes) == 0);
}

#endif
