/*
 * Inside the machine: which commands of which node have been applied already.
 *
 * A node sends a command again when it does not know what became of it. Each node's row remembers its boot, its
 * highest sequence and one bit for each of the last LIMIT_ORIGIN_WINDOW sequences; while an entry is applied the rows
 * of the nodes in it are held here, read once and written back once.
 */
#ifndef CONSENSUS_MACHINE_ORIGINS_H
#define CONSENSUS_MACHINE_ORIGINS_H

#include <stdbool.h>

#include "consensus/machine/machine.h"

struct origin_window {
    uint64_t node, boot, highest;
    uint8_t *seen; /* LIMIT_ORIGIN_WINDOW bits; bit sequence % LIMIT_ORIGIN_WINDOW */
    bool changed;
};

struct origins {
    const struct machine_store *store;
    ProtobufCAllocator *allocator; /* an arena */
    struct origin_window *windows;
    size_t count, capacity;
    struct origin_window *last; /* the node of the command before: most come in runs */
};

/*
 * True when the command is new, which is then remembered; false when it was applied before, is older than what is
 * remembered, or comes from a boot before the latest one seen.
 */
bool origins_admit(struct origins *origins, const Tocsin__Origin *origin);

/* Writes back what changed. */
void origins_store(struct origins *origins);

#endif
