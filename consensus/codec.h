/*
 * The wire form of raft messages: what goes between peers inside a frame of the transport. Little-endian numbers, each entry with its
 * CRC32C (LMDB or memory may have flipped bits that TCP's checksum cannot see).
 */
#ifndef CONSENSUS_CODEC_H
#define CONSENSUS_CODEC_H

#include <raft.h>
#include <stdbool.h>

#include "consensus/machine/base/span.h"
#include "consensus/machine/entry.h"

/* Six message types, but never RAFT_INSTALL_SNAPSHOT: snapshots have frames of their own (snapshot_transfer.h). */
size_t codec_size_bytes(const struct raft_message *message, struct entry *const *entries);
/* Writes exactly codec_size_bytes. */
void codec_encode(const struct raft_message *message, struct entry *const *entries, uint8_t *out);

struct codec_message {
    struct raft_message message; /* server_id and server_address are the transport's to fill */
    struct entry **entries;      /* message.append_entries.n_entries, one reference each */
};
/* False when the bytes are not one whole message: length, bounds, checksum. Nothing is left to free then. */
bool codec_decode(struct span data, struct codec_message *out);
void codec_message_close(struct codec_message *message);

#endif
