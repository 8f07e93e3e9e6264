/*
 * Frames of snapshot transfers, in any order, to a node that sends some and receives one. Its files and helper threads
 * are a few variables, which report back when the input says so.
 *
 *     what is staged arrives in order without a gap, and is verified when it is whole; a file is released as often as it
 *     is prepared; at most one piece of work is under way
 *
 *     input: steps of  what │ peer │ numbers
 */
#include <stdlib.h>
#include <string.h>

#include "consensus/snapshot_transfer.h"
#include "consensus/transport/wire.h"
#include "tests/fuzz/input.h"

#define PEERS 4u
#define STEPS_MAX 400u
#define FILE_SIZE_BYTES (3u * SNAPSHOT_CHUNK_SIZE_BYTES + 77u)
#define TERMS 3u

struct world {
    struct snapshot_transfer *transfer;
    uint64_t now_ms;
    bool preparing, file_open;
    bool reading[PEERS + 1];
    uint64_t read_offset[PEERS + 1];
    uint32_t read_size_bytes[PEERS + 1];
    bool staging, verifying;
    uint64_t stage_offset, stage_size_bytes, staged_bytes;
    unsigned readies;
    uint64_t last_sequence, last_term; /* of the last BEGIN that was sent */
    uint8_t *chunk;
};

static uint64_t port_now_ms(void *context)
{
    return ((struct world *)context)->now_ms;
}

static bool port_send(void *context, uint64_t peer, enum frame_type type, struct span head, struct span tail)
{
    struct world *world = context;

    fuzz_require(peer >= 1 && peer <= PEERS);
    fuzz_require(type == FRAME_SNAPSHOT_BEGIN || type == FRAME_SNAPSHOT_CHUNK || type == FRAME_SNAPSHOT_ACK);
    fuzz_require(head.size_bytes <= 32 && tail.size_bytes <= SNAPSHOT_CHUNK_SIZE_BYTES);
    if (type == FRAME_SNAPSHOT_BEGIN) {
        struct wire_reader reader = wire_reader(head);
        world->last_term = wire_read_u64(&reader);
        world->last_sequence = wire_read_u64(&reader);
    }
    return true;
}

static void port_prepare(void *context, uint64_t at_least_index)
{
    struct world *world = context;

    (void)at_least_index;
    fuzz_require(!world->preparing && !world->file_open);
    world->preparing = true;
}

static void port_read_chunk(void *context, uint64_t peer, uint64_t offset, uint32_t size_bytes)
{
    struct world *world = context;

    fuzz_require(peer >= 1 && peer <= PEERS && world->file_open && !world->reading[peer]);
    fuzz_require(size_bytes > 0 && size_bytes <= SNAPSHOT_CHUNK_SIZE_BYTES && offset + size_bytes <= FILE_SIZE_BYTES);
    world->reading[peer] = true;
    world->read_offset[peer] = offset;
    world->read_size_bytes[peer] = size_bytes;
}

static void port_release(void *context)
{
    struct world *world = context;

    fuzz_require(world->file_open);
    for (unsigned peer = 1; peer <= PEERS; peer++) {
        fuzz_require(!world->reading[peer]);
    }
    world->file_open = false;
}

static void port_stage_chunk(void *context, uint64_t offset, struct span data)
{
    struct world *world = context;

    fuzz_require(!world->staging && !world->verifying);
    fuzz_require(data.size_bytes > 0 && data.size_bytes <= SNAPSHOT_CHUNK_SIZE_BYTES);
    fuzz_require(offset == 0 || offset == world->staged_bytes);
    world->staging = true;
    world->stage_offset = offset;
    world->stage_size_bytes = data.size_bytes;
}

static void port_verify(void *context)
{
    struct world *world = context;

    fuzz_require(!world->staging && !world->verifying && world->staged_bytes > 0);
    world->verifying = true;
}

static void port_ready(void *context, uint64_t peer, uint64_t term, const struct driver_position *position)
{
    struct world *world = context;

    (void)term;
    fuzz_require(peer >= 1 && peer <= PEERS && position->index == 5);
    world->readies++;
}

/* ---------------------------------------------------------------- steps */

/* A number that is often the right one. */
static uint64_t near(struct fuzz_input *input, uint64_t right)
{
    return fuzz_byte(input) < 0xc0 ? right : fuzz_odd_number(input);
}

static void step_begin(struct world *world, struct fuzz_input *input, uint64_t peer)
{
    uint8_t body[33];

    wire_put_u64(body, near(input, 1 + fuzz_below(input, TERMS)));
    wire_put_u64(body + 8, near(input, 1 + fuzz_below(input, 4)));
    wire_put_u64(body + 16, near(input, 5));
    wire_put_u64(body + 24, near(input, 1 + fuzz_below(input, 2) * (SNAPSHOT_CHUNK_SIZE_BYTES + 3)));
    uint8_t cut = fuzz_byte(input);
    snapshot_transfer_frame(world->transfer, peer, FRAME_SNAPSHOT_BEGIN,
                            (struct span){body, cut < 0xf0 ? 32 : (size_t)(cut - 0xf0) * 2});
}

static void step_chunk(struct world *world, struct fuzz_input *input, uint64_t peer)
{
    uint64_t offset = near(input, world->staged_bytes + (world->staging ? world->stage_size_bytes : 0));
    uint8_t kind = fuzz_byte(input);
    size_t size_bytes = kind < 0x60   ? SNAPSHOT_CHUNK_SIZE_BYTES
                        : kind < 0xc0 ? (size_t)(kind & 7)
                                      : (size_t)fuzz_number(input, 3) % (SNAPSHOT_CHUNK_SIZE_BYTES + 10);

    wire_put_u64(world->chunk, near(input, 1 + fuzz_below(input, TERMS)));
    wire_put_u64(world->chunk + 8, near(input, 1 + fuzz_below(input, 4)));
    wire_put_u64(world->chunk + 16, offset);
    snapshot_transfer_frame(world->transfer, peer, FRAME_SNAPSHOT_CHUNK,
                            (struct span){world->chunk, 24 + size_bytes});
}

static void step_ack(struct world *world, struct fuzz_input *input, uint64_t peer)
{
    uint8_t body[25];

    wire_put_u64(body, near(input, world->last_term));
    wire_put_u64(body + 8, near(input, world->last_sequence));
    uint64_t offset = (uint64_t)fuzz_below(input, 5) * SNAPSHOT_CHUNK_SIZE_BYTES;
    wire_put_u64(body + 16, near(input, offset < FILE_SIZE_BYTES ? offset : FILE_SIZE_BYTES));
    body[24] = fuzz_byte(input) % 7;
    snapshot_transfer_frame(world->transfer, peer, FRAME_SNAPSHOT_ACK, (struct span){body, sizeof body});
}

/* One of the pieces of work that are under way ends. */
static void step_work(struct world *world, struct fuzz_input *input)
{
    static const struct driver_position position = {.index = 5, .term = 1};
    bool ok = fuzz_byte(input) < 0xe0;

    if (world->staging) {
        world->staging = false;
        world->staged_bytes = ok ? world->stage_offset + world->stage_size_bytes : 0;
        snapshot_transfer_chunk_staged(world->transfer, world->stage_offset, ok);
    } else if (world->verifying) {
        world->verifying = false;
        snapshot_transfer_verified(world->transfer, ok, ok ? &position : NULL);
    }
}

static void step_files(struct world *world, struct fuzz_input *input, uint64_t peer)
{
    bool ok = fuzz_byte(input) < 0xe0;

    if (world->preparing) {
        world->preparing = false;
        world->file_open = ok;
        snapshot_transfer_prepared(world->transfer, ok, ok ? 5 : 0, ok ? FILE_SIZE_BYTES : 0);
    } else if (world->reading[peer]) {
        world->reading[peer] = false;
        uint32_t size_bytes = world->read_size_bytes[peer];
        snapshot_transfer_chunk_read(world->transfer, peer, world->read_offset[peer],
                                     (struct span){world->chunk, ok ? size_bytes : 0}, ok);
    }
}

static void step(struct world *world, struct fuzz_input *input)
{
    uint8_t what = fuzz_byte(input);
    uint64_t peer = 1 + what % PEERS;

    switch (what / PEERS % 10) {
    case 0:
        step_begin(world, input, peer);
        break;
    case 1:
    case 2:
        step_chunk(world, input, peer);
        break;
    case 3:
        step_ack(world, input, peer);
        break;
    case 4:
    case 5:
        step_work(world, input);
        break;
    case 6:
        step_files(world, input, peer);
        break;
    case 7:
        snapshot_transfer_start(world->transfer, peer, 1 + fuzz_below(input, TERMS), fuzz_below(input, 8));
        break;
    case 8:
        world->now_ms += fuzz_number(input, 2);
        snapshot_transfer_tick(world->transfer);
        break;
    default:
        if (fuzz_byte(input) < 0x80) {
            snapshot_transfer_stop_sending(world->transfer);
        }
    }
    for (unsigned each = 0; each <= PEERS; each++) {
        (void)snapshot_transfer_sending(world->transfer, each);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct fuzz_input input = fuzz_input(data, size_bytes);
    struct world world = {.now_ms = 1000000, .chunk = fuzz_must(calloc(1, 24 + SNAPSHOT_CHUNK_SIZE_BYTES + 16))};
    struct snapshot_transfer_ports ports = {.context = &world,
                                            .now_ms = port_now_ms,
                                            .send = port_send,
                                            .prepare = port_prepare,
                                            .read_chunk = port_read_chunk,
                                            .release = port_release,
                                            .stage_chunk = port_stage_chunk,
                                            .verify = port_verify,
                                            .ready = port_ready};

    world.transfer = snapshot_transfer_new(&ports);
    for (unsigned i = 0; i < STEPS_MAX && input.left > 0; i++) {
        step(&world, &input);
    }
    snapshot_transfer_free(world.transfer);
    free(world.chunk);
    return 0;
}
