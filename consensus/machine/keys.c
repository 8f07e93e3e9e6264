/* Keys of the state's tables. */
#include "consensus/machine/keys.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/siphash.h"

#define NUMBER_SIZE_BYTES 8u
#define DEADLINE_KEY_SIZE_BYTES (3 * NUMBER_SIZE_BYTES + 1)

/* Part of the state's format: another key would make every index unreadable. */
static const uint8_t hash_key[16] = {'t', 'o', 'c', 's', 'i', 'n', ' ', 's', 't', 'a', 't', 'e', ' ', 'k', 'e', 'y'};

static void append_number(struct key *key, uint64_t number)
{
    assert(key->size_bytes + NUMBER_SIZE_BYTES <= KEY_SIZE_BYTES_MAX);
    uint64_t big_endian = htobe64(number);
    memcpy(key->bytes + key->size_bytes, &big_endian, NUMBER_SIZE_BYTES);
    key->size_bytes = (uint8_t)(key->size_bytes + NUMBER_SIZE_BYTES);
}

static void append_hash(struct key *key, const char *text)
{
    assert(key->size_bytes + SIPHASH_SIZE_BYTES <= KEY_SIZE_BYTES_MAX);
    siphash(hash_key, text, strlen(text), key->bytes + key->size_bytes);
    key->size_bytes = (uint8_t)(key->size_bytes + SIPHASH_SIZE_BYTES);
}

static uint64_t read_number(const uint8_t *bytes)
{
    uint64_t big_endian;
    memcpy(&big_endian, bytes, NUMBER_SIZE_BYTES);
    return be64toh(big_endian);
}

struct key key_meta(enum machine_meta which)
{
    return (struct key){.bytes = {(uint8_t)which}, .size_bytes = 1};
}

struct key key_1(uint64_t a)
{
    struct key key = {.size_bytes = 0};
    append_number(&key, a);
    return key;
}

struct key key_2(uint64_t a, uint64_t b)
{
    struct key key = {.size_bytes = 0};
    append_number(&key, a);
    append_number(&key, b);
    return key;
}

struct key key_3(uint64_t a, uint64_t b, uint64_t c)
{
    struct key key = key_2(a, b);
    append_number(&key, c);
    return key;
}

struct key key_deadline(uint64_t due_ms, enum deadline_kind kind, uint64_t object, uint64_t sub_object)
{
    struct key key = {.size_bytes = 0};
    append_number(&key, due_ms);
    key.bytes[key.size_bytes++] = (uint8_t)kind;
    append_number(&key, object);
    append_number(&key, sub_object);
    assert(key.size_bytes == DEADLINE_KEY_SIZE_BYTES);
    return key;
}

struct key key_hash(const char *text)
{
    struct key key = {.size_bytes = 0};
    append_hash(&key, text);
    return key;
}

struct key key_hash_lower(const char *text)
{
    char *lower = strdup(text);
    if (lower == NULL) {
        abort();
    }
    for (char *c = lower; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z') { /* not tolower(): that depends on the locale */
            *c = (char)(*c - 'A' + 'a');
        }
    }
    struct key key = key_hash(lower);
    free(lower);
    return key;
}

struct key key_1_hash(uint64_t a, const char *text)
{
    struct key key = {.size_bytes = 0};
    append_number(&key, a);
    append_hash(&key, text);
    return key;
}

struct key key_and_1(struct key key, uint64_t a)
{
    append_number(&key, a);
    return key;
}

struct key key_bytes(const void *data, size_t size_bytes)
{
    assert(size_bytes <= KEY_SIZE_BYTES_MAX);
    struct key key = {.size_bytes = (uint8_t)size_bytes};
    if (size_bytes > 0) { /* what is empty may be nowhere */
        memcpy(key.bytes, data, size_bytes);
    }
    return key;
}

struct span key_span(const struct key *key)
{
    return (struct span){.data = key->bytes, .size_bytes = key->size_bytes};
}

uint64_t span_number(struct span span, unsigned n)
{
    assert(span.size_bytes >= (n + 1) * (size_t)NUMBER_SIZE_BYTES);
    return read_number((const uint8_t *)span.data + n * NUMBER_SIZE_BYTES);
}

void key_deadline_split(struct span key, uint64_t *due_ms, enum deadline_kind *kind, uint64_t *object,
                        uint64_t *sub_object)
{
    assert(key.size_bytes == DEADLINE_KEY_SIZE_BYTES);
    const uint8_t *bytes = key.data;
    *due_ms = read_number(bytes);
    *kind = (enum deadline_kind)bytes[NUMBER_SIZE_BYTES];
    *object = read_number(bytes + NUMBER_SIZE_BYTES + 1);
    *sub_object = read_number(bytes + 2 * NUMBER_SIZE_BYTES + 1);
}

bool key_under(struct span key, uint64_t a)
{
    return key.size_bytes >= NUMBER_SIZE_BYTES && read_number(key.data) == a;
}
