/* A run of bytes that somebody else owns. */
#ifndef CONSENSUS_MACHINE_BASE_SPAN_H
#define CONSENSUS_MACHINE_BASE_SPAN_H

#include <stddef.h>

struct span {
    const void *data;
    size_t size_bytes;
};

#endif
