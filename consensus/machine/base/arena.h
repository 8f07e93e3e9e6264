/*
 * Memory that is freed as a whole: a ring of blocks that are filled one after the other.
 *
 *     blocks ──> current ──> empty ──> empty ──> full ──> full ──┐
 *                   └──────────────────────────────────────<─────┘
 *
 * Taking moves on along the ring, resetting empties every block and keeps BLOCKS_KEPT_SIZE_BYTES_MAX of them, so that a steady
 * load soon allocates nothing, and what was once large, or ever of another size, does not stay for good. Memory that runs out ends the process: half an entry cannot be applied.
 */
#ifndef CONSENSUS_MACHINE_BASE_ARENA_H
#define CONSENSUS_MACHINE_BASE_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

struct machine_block;

#define BLOCKS_KEPT_SIZE_BYTES_MAX ((size_t)16 << 20)

/* `size_bytes` uninitialised bytes, aligned for anything, valid until the reset. *blocks is NULL at first. */
void *blocks_take(struct machine_block **blocks, size_t size_bytes);
void blocks_reset(struct machine_block **blocks);
size_t blocks_size_bytes(const struct machine_block *blocks); /* of all that is held, used or not */
void blocks_free(struct machine_block **blocks);

/* The same as an allocator for protobuf-c, whose free does nothing. Must not move in memory after arena_init. */
struct arena {
    struct machine_block *blocks;
    ProtobufCAllocator allocator;
};

void arena_init(struct arena *arena);
void arena_reset(struct arena *arena);
void arena_close(struct arena *arena);

#endif
