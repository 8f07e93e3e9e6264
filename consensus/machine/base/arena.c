/* Memory that is freed as a whole. */
#include "consensus/machine/base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#define BLOCK_SIZE_BYTES ((size_t)256 << 10)
#define ALIGNMENT_BYTES alignof(max_align_t)

struct machine_block {
    struct machine_block *next;
    size_t capacity_bytes, used_bytes;
    alignas(max_align_t) uint8_t bytes[];
};

static struct machine_block *block_new(size_t size_bytes)
{
    size_t capacity_bytes = size_bytes > BLOCK_SIZE_BYTES ? size_bytes : BLOCK_SIZE_BYTES;
    struct machine_block *block = malloc(sizeof *block + capacity_bytes);
    if (block == NULL) {
        abort();
    }
    block->next = block;
    block->capacity_bytes = capacity_bytes;
    block->used_bytes = 0;
    return block;
}

/* Makes a block current that is empty and large enough: the next one in the ring, or a new one put there. */
static struct machine_block *move_on(struct machine_block *current, size_t size_bytes)
{
    if (current == NULL) {
        return block_new(size_bytes);
    }
    struct machine_block *next = current->next;
    if (next->used_bytes == 0 && next->capacity_bytes >= size_bytes) {
        return next;
    }
    struct machine_block *block = block_new(size_bytes);
    block->next = next;
    current->next = block;
    return block;
}

void *blocks_take(struct machine_block **blocks, size_t size_bytes)
{
    assert(size_bytes < SIZE_MAX / 2);
    size_t rounded_bytes = (size_bytes + ALIGNMENT_BYTES - 1) & ~(ALIGNMENT_BYTES - 1);
    struct machine_block *block = *blocks;
    if (block == NULL || block->capacity_bytes - block->used_bytes < rounded_bytes) {
        block = move_on(block, rounded_bytes);
        *blocks = block;
    }
    void *memory = block->bytes + block->used_bytes;
    block->used_bytes += rounded_bytes;
    return memory;
}

void blocks_reset(struct machine_block **blocks)
{
    struct machine_block *first = *blocks, *kept = first;
    if (first == NULL) {
        return;
    }
    first->used_bytes = 0;
    size_t kept_bytes = first->capacity_bytes;
    while (kept->next != first) {
        struct machine_block *block = kept->next;
        block->used_bytes = 0;
        if (kept_bytes + block->capacity_bytes <= BLOCKS_KEPT_SIZE_BYTES_MAX) {
            kept_bytes += block->capacity_bytes;
            kept = block;
        } else {
            kept->next = block->next;
            free(block);
        }
    }
}

size_t blocks_size_bytes(const struct machine_block *blocks)
{
    size_t size_bytes = 0;
    for (const struct machine_block *block = blocks; block != NULL; block = block->next == blocks ? NULL : block->next) {
        size_bytes += block->capacity_bytes;
    }
    return size_bytes;
}

void blocks_free(struct machine_block **blocks)
{
    struct machine_block *first = *blocks;
    *blocks = NULL;
    for (struct machine_block *block = first; block != NULL;) {
        struct machine_block *next = block->next;
        free(block);
        block = next == first ? NULL : next;
    }
}

static void *arena_alloc(void *data, size_t size_bytes)
{
    struct arena *arena = data;
    return blocks_take(&arena->blocks, size_bytes);
}

static void arena_free(void *data, void *memory)
{
    (void)data;
    (void)memory;
}

void arena_init(struct arena *arena)
{
    arena->blocks = NULL;
    arena->allocator = (ProtobufCAllocator){.alloc = arena_alloc, .free = arena_free, .allocator_data = arena};
}

void arena_reset(struct arena *arena)
{
    blocks_reset(&arena->blocks);
}

void arena_close(struct arena *arena)
{
    blocks_free(&arena->blocks);
}
