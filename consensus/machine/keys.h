/* Keys of the state's tables: big-endian numbers, so that byte order is number order, and hashes of texts. */
#ifndef CONSENSUS_MACHINE_KEYS_H
#define CONSENSUS_MACHINE_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/machine/base/span.h"
#include "consensus/machine/store.h"

#define KEY_SIZE_BYTES_MAX 64

struct key {
    uint8_t bytes[KEY_SIZE_BYTES_MAX];
    uint8_t size_bytes;
};

struct key key_meta(enum machine_meta which);
struct key key_1(uint64_t a);
struct key key_2(uint64_t a, uint64_t b);
struct key key_3(uint64_t a, uint64_t b, uint64_t c);
struct key key_deadline(uint64_t due_ms, enum deadline_kind kind, uint64_t object, uint64_t sub_object);

/* The hash of a text: 128 bits of SipHash-2-4 under a fixed key, computed here, so that it is the same everywhere. */
struct key key_hash(const char *text);
/* ... of the text with ASCII letters in lower case. */
struct key key_hash_lower(const char *text);
/* A number followed by the hash of a text. */
struct key key_1_hash(uint64_t a, const char *text);
/* The same with another number behind it. */
struct key key_and_1(struct key key, uint64_t a);
/* The bytes themselves, at most KEY_SIZE_BYTES_MAX. */
struct key key_bytes(const void *data, size_t size_bytes);

struct span key_span(const struct key *key);

/* The n-th number (from 0) of a key or value made of numbers; asserts that it is there. */
uint64_t span_number(struct span span, unsigned n);

/* Parts of a deadline's key. */
void key_deadline_split(struct span key, uint64_t *due_ms, enum deadline_kind *kind, uint64_t *object,
                        uint64_t *sub_object);

/* True when `key` begins with the number `a`: how a walk along one parent's rows knows its end. */
bool key_under(struct span key, uint64_t a);

#endif
