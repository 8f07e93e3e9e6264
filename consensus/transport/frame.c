/* Encoding and decoding of hellos and frames, and the byte queues that they are kept in. */
#include "consensus/transport/frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/transport/transport.h"
#include "consensus/transport/wire.h"

/* Doubling would hold twice the largest queue: beyond this, growth is by steps of it. */
#define GROWTH_STEP_BYTES (4u << 20)

static const uint8_t hello_magic[4] = {'T', 'O', 'C', '\n'};

static void resize(struct byte_queue *queue, size_t capacity_bytes)
{
    assert(queue->start == 0 && queue->end <= capacity_bytes && capacity_bytes > 0);
    uint8_t *data = realloc(queue->data, capacity_bytes);
    if (!data)
        abort();
    queue->data = data;
    queue->capacity_bytes = capacity_bytes;
}

static void move_to_front(struct byte_queue *queue)
{
    if (queue->start == 0)
        return;
    memmove(queue->data, queue->data + queue->start, queue->end - queue->start);
    queue->end -= queue->start;
    queue->start = 0;
}

static size_t whole_pages(size_t size_bytes)
{
    return (size_bytes + BYTE_QUEUE_IDLE_SIZE_BYTES - 1) / BYTE_QUEUE_IDLE_SIZE_BYTES * BYTE_QUEUE_IDLE_SIZE_BYTES;
}

uint8_t *byte_queue_reserve(struct byte_queue *queue, size_t wanted_bytes)
{
    if (byte_queue_room(queue) < wanted_bytes || !queue->data) {
        move_to_front(queue);
        size_t needed = queue->end + wanted_bytes;
        if (needed > queue->capacity_bytes || !queue->data) {
            size_t step = queue->capacity_bytes < GROWTH_STEP_BYTES ? queue->capacity_bytes : GROWTH_STEP_BYTES;
            size_t grown = queue->capacity_bytes + step;
            resize(queue, whole_pages(needed > grown ? needed : grown) + (needed == 0) * BYTE_QUEUE_IDLE_SIZE_BYTES);
        }
    }
    return queue->data + queue->end;
}

size_t byte_queue_room(const struct byte_queue *queue)
{
    return queue->capacity_bytes - queue->end;
}

void byte_queue_added(struct byte_queue *queue, size_t size_bytes)
{
    assert(size_bytes <= byte_queue_room(queue));
    queue->end += size_bytes;
    if (queue->end - queue->start > queue->peak_bytes)
        queue->peak_bytes = queue->end - queue->start;
}

void byte_queue_add(struct byte_queue *queue, struct span data)
{
    if (data.size_bytes == 0)
        return;
    memcpy(byte_queue_reserve(queue, data.size_bytes), data.data, data.size_bytes);
    byte_queue_added(queue, data.size_bytes);
}

struct span byte_queue_bytes(const struct byte_queue *queue)
{
    struct span bytes = {NULL, queue->end - queue->start};
    if (queue->data)
        bytes.data = queue->data + queue->start;
    return bytes;
}

void byte_queue_consume(struct byte_queue *queue, size_t size_bytes)
{
    assert(size_bytes <= queue->end - queue->start);
    queue->start += size_bytes;
    if (queue->start == queue->end)
        byte_queue_clear(queue);
}

void byte_queue_clear(struct byte_queue *queue)
{
    queue->start = 0;
    queue->end = 0;
}

bool byte_queue_sweep(struct byte_queue *queue)
{
    size_t held = queue->end - queue->start;
    if (held == 0 && queue->peak_bytes == 0) {
        byte_queue_free(queue);
        return false;
    }
    size_t enough = whole_pages(queue->peak_bytes > held ? queue->peak_bytes : held);
    if (enough <= queue->capacity_bytes / 4) {
        move_to_front(queue);
        resize(queue, enough);
    }
    queue->peak_bytes = held;
    return queue->capacity_bytes > BYTE_QUEUE_IDLE_SIZE_BYTES;
}

void byte_queue_free(struct byte_queue *queue)
{
    free(queue->data);
    memset(queue, 0, sizeof *queue);
}

size_t hello_encode(const struct hello *hello, uint8_t out[HELLO_SIZE_BYTES_MAX])
{
    assert(hello->cluster_name.size_bytes <= HELLO_NAME_SIZE_BYTES_MAX);
    memcpy(out, hello_magic, sizeof hello_magic);
    wire_put_u32(out + 4, HELLO_VERSION);
    wire_put_u64(out + 8, hello->from);
    wire_put_u64(out + 16, hello->to);
    wire_put_u64(out + 24, hello->boot);
    wire_put_u64(out + 32, hello->epoch);
    wire_put_u32(out + 40, (uint32_t)hello->cluster_name.size_bytes);
    if (hello->cluster_name.size_bytes > 0)
        memcpy(out + HELLO_HEAD_SIZE_BYTES, hello->cluster_name.data, hello->cluster_name.size_bytes);
    return HELLO_HEAD_SIZE_BYTES + hello->cluster_name.size_bytes;
}

enum hello_result hello_decode(struct span data, struct hello *hello, size_t *size_bytes)
{
    size_t magic_bytes = data.size_bytes < sizeof hello_magic ? data.size_bytes : sizeof hello_magic;
    if (magic_bytes > 0 && memcmp(data.data, hello_magic, magic_bytes) != 0)
        return HELLO_BAD_MAGIC;
    struct wire_reader reader = wire_reader(data);
    wire_read_bytes(&reader, sizeof hello_magic);
    uint32_t version = wire_read_u32(&reader);
    if (!reader.failed && version != HELLO_VERSION)
        return HELLO_BAD_VERSION;
    hello->from = wire_read_u64(&reader);
    hello->to = wire_read_u64(&reader);
    hello->boot = wire_read_u64(&reader);
    hello->epoch = wire_read_u64(&reader);
    hello->cluster_name.size_bytes = wire_read_u32(&reader);
    if (!reader.failed && hello->cluster_name.size_bytes > HELLO_NAME_SIZE_BYTES_MAX)
        return HELLO_BAD_SIZE;
    hello->cluster_name.data = wire_read_bytes(&reader, hello->cluster_name.size_bytes);
    *size_bytes = data.size_bytes - reader.left;
    return reader.failed ? HELLO_PARTIAL : HELLO_WHOLE;
}

void frame_head_encode(uint8_t type, size_t body_size_bytes, uint8_t out[FRAME_HEAD_SIZE_BYTES])
{
    assert(type != 0 && body_size_bytes <= TRANSPORT_FRAME_SIZE_BYTES_MAX);
    wire_put_u32(out, (uint32_t)body_size_bytes);
    out[4] = type;
}

enum frame_result frame_decode(struct span data, struct frame *frame, size_t *size_bytes)
{
    struct wire_reader reader = wire_reader(data);
    size_t body_size_bytes = wire_read_u32(&reader);
    frame->type = wire_read_u8(&reader);
    *size_bytes = 0;
    if (reader.failed)
        return FRAME_PARTIAL;
    if (body_size_bytes > TRANSPORT_FRAME_SIZE_BYTES_MAX || frame->type == 0)
        return FRAME_BAD;
    *size_bytes = FRAME_HEAD_SIZE_BYTES + body_size_bytes;
    frame->body = (struct span){wire_read_bytes(&reader, body_size_bytes), body_size_bytes};
    return reader.failed ? FRAME_PARTIAL : FRAME_WHOLE;
}
