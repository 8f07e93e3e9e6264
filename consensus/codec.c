/*
 * See codec.h.
 *
 *     type u8, version u8, reserved u16 (0), CRC32C of the fields u32, fields
 *     AppendEntries: ... entry count u32, then of each entry: term u64, type u32, size u32, CRC32C u32, data
 *
 * A message's fields stand once, in the table below; encoding, decoding and sizes come from it.
 */
#include "consensus/codec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/crc32c.h"
#include "consensus/machine/limits.h"
#include "consensus/transport/wire.h"

#define HEADER_SIZE_BYTES 8u
#define ENTRY_HEADER_SIZE_BYTES 20u
/* Before the first entry is looked at; an entry takes up its header at least, so a message cannot claim more than it
 * has. */
#define ENTRIES_MAX 65536u

/* ---- the fields */

#define REQUEST_VOTE_FIELDS(X)                                                                                         \
    X(request_vote.term, 8)                                                                                            \
    X(request_vote.candidate_id, 8)                                                                                    \
    X(request_vote.last_log_index, 8)                                                                                  \
    X(request_vote.last_log_term, 8)                                                                                   \
    X(request_vote.disrupt_leader, 1)                                                                                  \
    X(request_vote.pre_vote, 1)

#define REQUEST_VOTE_RESULT_FIELDS(X)                                                                                  \
    X(request_vote_result.term, 8)                                                                                     \
    X(request_vote_result.vote_granted, 1)                                                                             \
    X(request_vote_result.pre_vote, 1)                                                                                 \
    X(request_vote_result.features, 2)                                                                                 \
    X(request_vote_result.capacity, 2)

#define APPEND_ENTRIES_FIELDS(X)                                                                                       \
    X(append_entries.term, 8)                                                                                          \
    X(append_entries.prev_log_index, 8)                                                                                \
    X(append_entries.prev_log_term, 8)                                                                                 \
    X(append_entries.leader_commit, 8)                                                                                 \
    X(append_entries.n_entries, 4)

#define APPEND_ENTRIES_RESULT_FIELDS(X)                                                                                \
    X(append_entries_result.term, 8)                                                                                   \
    X(append_entries_result.rejected, 8)                                                                               \
    X(append_entries_result.last_log_index, 8)                                                                         \
    X(append_entries_result.features, 2)                                                                               \
    X(append_entries_result.capacity, 2)

#define TIMEOUT_NOW_FIELDS(X)                                                                                          \
    X(timeout_now.term, 8)                                                                                             \
    X(timeout_now.last_log_index, 8)                                                                                   \
    X(timeout_now.last_log_term, 8)

/* type, member of the union, fields */
#define MESSAGES(X)                                                                                                    \
    X(RAFT_APPEND_ENTRIES, append_entries, APPEND_ENTRIES_FIELDS)                                                      \
    X(RAFT_APPEND_ENTRIES_RESULT, append_entries_result, APPEND_ENTRIES_RESULT_FIELDS)                                 \
    X(RAFT_REQUEST_VOTE, request_vote, REQUEST_VOTE_FIELDS)                                                            \
    X(RAFT_REQUEST_VOTE_RESULT, request_vote_result, REQUEST_VOTE_RESULT_FIELDS)                                       \
    X(RAFT_TIMEOUT_NOW, timeout_now, TIMEOUT_NOW_FIELDS)

static void put_number(uint8_t **at, uint64_t value, unsigned size_bytes)
{
    for (unsigned i = 0; i < size_bytes; i++) {
        *(*at)++ = (uint8_t)(value >> (8 * i));
    }
}

#define FIELD_SIZE(field, size) +(size)
#define FIELD_PUT(field, size) put_number(&at, message->field, size);
#define FIELD_GET(field, size) message->field = wire_read_number(reader, size);

/* 0 for a type that has no place here. */
static size_t fields_size_bytes(unsigned type)
{
    switch (type) {
#define X(message_type, member, fields)                                                                                \
    case message_type:                                                                                                 \
        return 0 fields(FIELD_SIZE);
        MESSAGES(X)
#undef X
    default:
        return 0;
    }
}

static uint8_t version_of(const struct raft_message *message)
{
    switch ((unsigned)message->type) {
#define X(message_type, member, fields)                                                                                \
    case message_type:                                                                                                 \
        return message->member.version;
        MESSAGES(X)
#undef X
    default:
        return 0;
    }
}

static uint8_t *put_fields(const struct raft_message *message, uint8_t *at)
{
    switch ((unsigned)message->type) {
#define X(message_type, member, fields)                                                                                \
    case message_type:                                                                                                 \
        fields(FIELD_PUT) break;
        MESSAGES(X)
#undef X
    default:
        break;
    }
    return at;
}

static void get_fields(struct raft_message *message, uint8_t version, struct wire_reader *reader)
{
    switch ((unsigned)message->type) {
#define X(message_type, member, fields)                                                                                \
    case message_type:                                                                                                 \
        message->member.version = version;                                                                             \
        fields(FIELD_GET) break;
        MESSAGES(X)
#undef X
    default:
        break;
    }
}

/* ---- messages */

static unsigned entries_count(const struct raft_message *message)
{
    return message->type == RAFT_APPEND_ENTRIES ? message->append_entries.n_entries : 0;
}

size_t codec_size_bytes(const struct raft_message *message, struct entry *const *entries)
{
    assert(fields_size_bytes(message->type) > 0);
    size_t size_bytes = HEADER_SIZE_BYTES + fields_size_bytes(message->type);
    for (unsigned i = 0; i < entries_count(message); i++) {
        size_bytes += ENTRY_HEADER_SIZE_BYTES + entries[i]->size_bytes;
    }
    return size_bytes;
}

static uint8_t *put_entry(const struct entry *entry, uint8_t *at)
{
    uint8_t *fields = at;
    put_number(&at, entry->term, 8);
    put_number(&at, entry->type, 4);
    put_number(&at, entry->size_bytes, 4);
    uint32_t crc = crc32c(0, fields, (size_t)(at - fields));
    put_number(&at, crc32c(crc, entry->data, entry->size_bytes), 4);
    memcpy(at, entry->data, entry->size_bytes);
    return at + entry->size_bytes;
}

void codec_encode(const struct raft_message *message, struct entry *const *entries, uint8_t *out)
{
    uint8_t head[4] = {(uint8_t)message->type, version_of(message), 0, 0};
    uint8_t *fields = out + HEADER_SIZE_BYTES;
    uint8_t *at = put_fields(message, fields);
    memcpy(out, head, sizeof head);
    wire_put_u32(out + sizeof head, crc32c(crc32c(0, head, sizeof head), fields, (size_t)(at - fields)));
    for (unsigned i = 0; i < entries_count(message); i++) {
        at = put_entry(entries[i], at);
    }
    assert((size_t)(at - out) == codec_size_bytes(message, entries));
}

/* NULL when the bytes are no entry. */
static struct entry *get_entry(struct wire_reader *reader)
{
    const uint8_t *fields = reader->at;
    uint64_t term = wire_read_u64(reader);
    uint32_t type = wire_read_u32(reader);
    uint32_t size_bytes = wire_read_u32(reader);
    uint32_t crc = wire_read_u32(reader);
    const void *data = wire_read_bytes(reader, size_bytes);
    if (reader->failed || type < ENTRY_COMMAND || type > ENTRY_CHANGE || size_bytes > LIMIT_ENTRY_SIZE_BYTES ||
        crc != crc32c(crc32c(0, fields, 16), data, size_bytes)) {
        return NULL;
    }
    struct entry *entry = entry_new(term, (enum entry_type)type, size_bytes);
    memcpy(entry->data, data, size_bytes);
    return entry;
}

static bool get_entries(struct wire_reader *reader, struct codec_message *out)
{
    unsigned count = out->message.append_entries.n_entries;
    if (count > ENTRIES_MAX || count > reader->left / ENTRY_HEADER_SIZE_BYTES) {
        return false;
    }
    out->entries = count > 0 ? calloc(count, sizeof out->entries[0]) : NULL;
    if (count > 0 && out->entries == NULL) {
        abort();
    }
    for (unsigned i = 0; i < count; i++) {
        out->entries[i] = get_entry(reader);
        if (out->entries[i] == NULL) {
            codec_message_close(out);
            return false;
        }
    }
    return true;
}

bool codec_decode(struct span data, struct codec_message *out)
{
    struct wire_reader reader = wire_reader(data);
    memset(out, 0, sizeof *out);
    const uint8_t *head = wire_read_bytes(&reader, 4);
    uint32_t crc = wire_read_u32(&reader);
    size_t fields_size = head != NULL && head[2] == 0 && head[3] == 0 ? fields_size_bytes(head[0]) : 0;
    if (reader.failed || fields_size == 0 || reader.left < fields_size ||
        crc != crc32c(crc32c(0, head, 4), reader.at, fields_size)) {
        return false;
    }
    out->message.type = (enum raft_message_type)head[0];
    get_fields(&out->message, head[1], &reader);
    if (out->message.type == RAFT_APPEND_ENTRIES && !get_entries(&reader, out)) {
        return false;
    }
    if (reader.left > 0) {
        codec_message_close(out);
        return false;
    }
    return true;
}

void codec_message_close(struct codec_message *message)
{
    for (unsigned i = 0; message->entries != NULL && i < message->message.append_entries.n_entries; i++) {
        entry_unref(message->entries[i]);
    }
    free(message->entries);
    message->entries = NULL;
}
