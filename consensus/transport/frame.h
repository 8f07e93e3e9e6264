/*
 * What goes over a connection between peers: one hello, then frames.
 *
 *     hello   magic 4 │ version 4 │ from 8 │ to 8 │ boot 8 │ epoch 8 │ name size 4 │ cluster name
 *     frame   body size 4 │ type 1 │ body
 *
 * Numbers are little-endian. Every size is bounded before anything is allocated for it.
 */
#ifndef CONSENSUS_TRANSPORT_FRAME_H
#define CONSENSUS_TRANSPORT_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/base/span.h"

#define FRAME_HEAD_SIZE_BYTES 5u
#define HELLO_VERSION 1u
#define HELLO_HEAD_SIZE_BYTES 44u
#define HELLO_NAME_SIZE_BYTES_MAX 255u
#define HELLO_SIZE_BYTES_MAX (HELLO_HEAD_SIZE_BYTES + HELLO_NAME_SIZE_BYTES_MAX)

/* An idle connection keeps no more than this. */
#define BYTE_QUEUE_IDLE_SIZE_BYTES 4096u

/* Bytes that are added at the end and taken from the front, in one piece of memory that grows when needed. Zeroed is
 * empty. */
struct byte_queue {
    uint8_t *data;
    size_t capacity_bytes;
    size_t start, end;
    size_t peak_bytes; /* held at once since the last sweep */
};

/* Room for at least `wanted_bytes` behind the end; byte_queue_room says how much there is. Ends the process when memory
 * is exhausted. Moves the bytes: pointers into the queue are void afterwards. */
uint8_t *byte_queue_reserve(struct byte_queue *queue, size_t wanted_bytes);
size_t byte_queue_room(const struct byte_queue *queue);
/* So many bytes were written into the room. */
void byte_queue_added(struct byte_queue *queue, size_t size_bytes);
void byte_queue_add(struct byte_queue *queue, struct span data);
struct span byte_queue_bytes(const struct byte_queue *queue);
void byte_queue_consume(struct byte_queue *queue, size_t size_bytes);
void byte_queue_clear(struct byte_queue *queue);
/* Gives memory back that was not needed since the last sweep. True while there may be more to give back. */
bool byte_queue_sweep(struct byte_queue *queue);
void byte_queue_free(struct byte_queue *queue);

struct hello {
    uint64_t from, to;
    uint64_t boot, epoch;
    struct span cluster_name; /* at most HELLO_NAME_SIZE_BYTES_MAX; after decoding it points into what was decoded */
};

enum hello_result { HELLO_WHOLE, HELLO_PARTIAL, HELLO_BAD_MAGIC, HELLO_BAD_VERSION, HELLO_BAD_SIZE };

/* Returns how many bytes of `out` it took. */
size_t hello_encode(const struct hello *hello, uint8_t out[HELLO_SIZE_BYTES_MAX]);
/* Garbage is told from a hello by its first bytes. *size_bytes is how much of `data` was the hello. */
enum hello_result hello_decode(struct span data, struct hello *hello, size_t *size_bytes);

struct frame {
    uint8_t type;
    struct span body; /* points into what was decoded */
};

enum frame_result { FRAME_WHOLE, FRAME_PARTIAL, FRAME_BAD };

void frame_head_encode(uint8_t type, size_t body_size_bytes, uint8_t out[FRAME_HEAD_SIZE_BYTES]);
/* The frame at the beginning of `data`. *size_bytes is its whole size, head included, and 0 while not even that is
 * known. FRAME_BAD: a size over TRANSPORT_FRAME_SIZE_BYTES_MAX, or type 0, which nobody sends. */
enum frame_result frame_decode(struct span data, struct frame *frame, size_t *size_bytes);

#endif
