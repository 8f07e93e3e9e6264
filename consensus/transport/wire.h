/* Numbers on the wire between peers: little-endian, read with bounds. */
#ifndef CONSENSUS_TRANSPORT_WIRE_H
#define CONSENSUS_TRANSPORT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/base/span.h"

static inline void wire_put_u32(uint8_t *out, uint32_t value) {
    for (unsigned i = 0; i < 4; i++) out[i] = (uint8_t)(value >> (8 * i));
}

static inline void wire_put_u64(uint8_t *out, uint64_t value) {
    for (unsigned i = 0; i < 8; i++) out[i] = (uint8_t)(value >> (8 * i));
}

/* Reading past the end sets `failed`, gives zeros and stays failed. */
struct wire_reader {
    const uint8_t *at;
    size_t left;
    bool failed;
};

static inline struct wire_reader wire_reader(struct span span) {
    return (struct wire_reader){span.data, span.size_bytes, false};
}

static inline const void *wire_read_bytes(struct wire_reader *reader, size_t size_bytes) {
    if (reader->failed || reader->left < size_bytes) {
        reader->failed = true;
        reader->left = 0;
        return NULL;
    }
    const void *bytes = reader->at;
    reader->at += size_bytes;
    reader->left -= size_bytes;
    return bytes;
}

static inline uint64_t wire_read_number(struct wire_reader *reader, unsigned size_bytes) {
    const uint8_t *bytes = wire_read_bytes(reader, size_bytes);
    uint64_t value = 0;
    if (bytes != NULL)
        for (unsigned i = 0; i < size_bytes; i++) value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static inline uint32_t wire_read_u32(struct wire_reader *reader) { return (uint32_t)wire_read_number(reader, 4); }
static inline uint64_t wire_read_u64(struct wire_reader *reader) { return wire_read_number(reader, 8); }
static inline uint8_t wire_read_u8(struct wire_reader *reader) { return (uint8_t)wire_read_number(reader, 1); }

#endif
