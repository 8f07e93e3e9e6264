/*
 * What comes over an accepted connection: a hello, then frames. However the bytes are cut on their way, the same frames
 * come out of them, and memory grows with what has come, not with what a head promises.
 *
 *     input: a byte that says how the stream is cut │ the stream
 */
#include <stdlib.h>
#include <string.h>

#include "consensus/codec.h"
#include "consensus/machine/base/crc32c.h"
#include "consensus/transport/frame.h"
#include "consensus/transport/transport.h"
#include "tests/fuzz/input.h"

/* What a session made of a stream. */
struct outcome {
    enum hello_result hello;
    uint64_t from, epoch;
    unsigned frames;
    bool bad;
    uint32_t digest;
    size_t left_bytes;
};

static void note_hello(struct outcome *outcome, const struct hello *hello)
{
    uint8_t encoded[HELLO_SIZE_BYTES_MAX];

    fuzz_require(hello->cluster_name.size_bytes <= HELLO_NAME_SIZE_BYTES_MAX);
    outcome->from = hello->from;
    outcome->epoch = hello->epoch;
    outcome->digest = crc32c(0, encoded, hello_encode(hello, encoded));
}

static void note_frame(struct outcome *outcome, const struct frame *frame)
{
    struct codec_message message;

    fuzz_require(frame->type != 0 && frame->body.size_bytes <= TRANSPORT_FRAME_SIZE_BYTES_MAX);
    outcome->frames++;
    outcome->digest = crc32c(crc32c(outcome->digest, &frame->type, 1), frame->body.data, frame->body.size_bytes);
    if (frame->type == FRAME_RAFT && codec_decode(frame->body, &message)) {
        codec_message_close(&message);
    }
}

/* As a session does it. */
static void take(struct byte_queue *queue, struct outcome *outcome)
{
    struct hello hello;
    struct frame frame;
    size_t size_bytes;

    if (outcome->hello == HELLO_PARTIAL) {
        outcome->hello = hello_decode(byte_queue_bytes(queue), &hello, &size_bytes);
        if (outcome->hello == HELLO_WHOLE) {
            fuzz_require(size_bytes <= byte_queue_bytes(queue).size_bytes && size_bytes <= HELLO_SIZE_BYTES_MAX);
            note_hello(outcome, &hello);
            byte_queue_consume(queue, size_bytes);
        }
    }
    while (outcome->hello == HELLO_WHOLE && !outcome->bad) {
        enum frame_result result = frame_decode(byte_queue_bytes(queue), &frame, &size_bytes);
        if (result == FRAME_PARTIAL) {
            break;
        }
        outcome->bad = result == FRAME_BAD;
        if (result == FRAME_WHOLE) {
            note_frame(outcome, &frame);
            byte_queue_consume(queue, size_bytes);
        }
    }
}

/* Pieces of `piece` bytes and a few more each time; 0: all at once. */
static struct outcome read_stream(struct span stream, size_t piece)
{
    struct byte_queue queue = {0};
    struct outcome outcome = {.hello = HELLO_PARTIAL};
    struct fuzz_input input = fuzz_input(stream.data, stream.size_bytes);

    while (input.left > 0 && !outcome.bad && (outcome.hello == HELLO_PARTIAL || outcome.hello == HELLO_WHOLE)) {
        struct span bytes = fuzz_bytes(&input, piece > 0 ? piece : input.left);
        byte_queue_add(&queue, bytes);
        fuzz_require(queue.capacity_bytes <= 2 * stream.size_bytes + 4 * BYTE_QUEUE_IDLE_SIZE_BYTES);
        take(&queue, &outcome);
        (void)byte_queue_sweep(&queue); /* whether there is more to give back later is the sweeper's business */
        piece += piece > 0;
    }
    outcome.left_bytes = byte_queue_bytes(&queue).size_bytes;
    byte_queue_free(&queue);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct fuzz_input input = fuzz_input(data, size_bytes);
    size_t piece = 1 + fuzz_byte(&input);
    struct span stream = fuzz_rest(&input);
    struct outcome whole = read_stream(stream, 0), cut = read_stream(stream, piece);

    fuzz_require(whole.hello == cut.hello && whole.bad == cut.bad && whole.frames == cut.frames);
    fuzz_require(whole.from == cut.from && whole.epoch == cut.epoch && whole.digest == cut.digest);
    bool ended = whole.bad || (whole.hello != HELLO_WHOLE && whole.hello != HELLO_PARTIAL);
    fuzz_require(ended || whole.left_bytes == cut.left_bytes);
    return 0;
}
