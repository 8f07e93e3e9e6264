/*
 * A raft message's bytes, as a peer sends them: taken or refused, and what was taken can be sent on.
 *
 *     input: 1 (the checksums are put right, as by a sender that means what it says) or not │ bytes
 */
#include <stdlib.h>
#include <string.h>

#include "consensus/codec.h"
#include "consensus/machine/base/crc32c.h"
#include "consensus/machine/limits.h"
#include "consensus/transport/wire.h"
#include "tests/fuzz/input.h"

#define HEAD_SIZE_BYTES 8u
#define ENTRY_HEAD_SIZE_BYTES 20u

/* 0 for a type that is none of the codec's. */
static size_t fields_size_bytes(unsigned type)
{
    static const enum raft_message_type types[] = {RAFT_APPEND_ENTRIES, RAFT_APPEND_ENTRIES_RESULT, RAFT_REQUEST_VOTE,
                                                   RAFT_REQUEST_VOTE_RESULT, RAFT_TIMEOUT_NOW};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (type == (unsigned)types[i]) {
            struct raft_message message = {.type = types[i]};
            return codec_size_bytes(&message, NULL) - HEAD_SIZE_BYTES;
        }
    }
    return 0;
}

static void right_checksums(uint8_t *bytes, size_t size_bytes)
{
    size_t at = size_bytes >= HEAD_SIZE_BYTES ? HEAD_SIZE_BYTES + fields_size_bytes(bytes[0]) : SIZE_MAX;

    if (at > size_bytes) {
        return;
    }
    wire_put_u32(bytes + 4, crc32c(crc32c(0, bytes, 4), bytes + HEAD_SIZE_BYTES, at - HEAD_SIZE_BYTES));
    while (size_bytes - at >= ENTRY_HEAD_SIZE_BYTES) {
        struct wire_reader reader = wire_reader((struct span){bytes + at + 12, 4});
        uint32_t entry_size_bytes = wire_read_u32(&reader);
        uint8_t *data = bytes + at + ENTRY_HEAD_SIZE_BYTES;
        if (entry_size_bytes > size_bytes - at - ENTRY_HEAD_SIZE_BYTES) {
            return;
        }
        wire_put_u32(bytes + at + 16, crc32c(crc32c(0, bytes + at, 16), data, entry_size_bytes));
        at += ENTRY_HEAD_SIZE_BYTES + entry_size_bytes;
    }
}

static struct span encode(const struct codec_message *message)
{
    size_t size_bytes = codec_size_bytes(&message->message, message->entries);
    uint8_t *bytes = fuzz_must(malloc(size_bytes));

    codec_encode(&message->message, message->entries, bytes);
    return (struct span){bytes, size_bytes};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct fuzz_input input = fuzz_input(data, size_bytes);
    bool right = fuzz_byte(&input) == 1;
    struct span rest = fuzz_rest(&input);
    uint8_t *bytes = fuzz_exact_copy(rest);
    struct codec_message message, again;

    if (right) {
        right_checksums(bytes, rest.size_bytes);
    }
    if (codec_decode((struct span){bytes, rest.size_bytes}, &message)) {
        struct span sent = encode(&message);
        fuzz_require(sent.size_bytes == rest.size_bytes);
        fuzz_require(codec_decode(sent, &again));
        struct span sent_again = encode(&again);
        fuzz_require(sent.size_bytes == sent_again.size_bytes &&
                     memcmp(sent.data, sent_again.data, sent.size_bytes) == 0);
        unsigned count = message.message.type == RAFT_APPEND_ENTRIES ? message.message.append_entries.n_entries : 0;
        for (unsigned i = 0; i < count; i++) {
            fuzz_require(message.entries[i]->size_bytes <= LIMIT_ENTRY_SIZE_BYTES);
            fuzz_require(message.entries[i]->type >= ENTRY_COMMAND && message.entries[i]->type <= ENTRY_CHANGE);
        }
        codec_message_close(&message);
        codec_message_close(&again);
        free((void *)(uintptr_t)sent.data);
        free((void *)(uintptr_t)sent_again.data);
    } else {
        fuzz_require(message.entries == NULL); /* nothing is left to free */
    }
    free(bytes);
    return 0;
}
