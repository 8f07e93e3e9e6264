/* See decoded_rows.h: a hash table with open addressing. Rows that are gone stay in it, which may come back. */
#include "tests/support/decoded_rows.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/raft_checks.h"

#define SLOTS_AT_FIRST 1024u

struct decoded {
    enum machine_table table;
    struct key key;
    uint8_t *bytes;
    size_t size_bytes;
    ProtobufCMessage *record;
};

struct decoded_rows {
    struct decoded **slots;
    size_t slots_count, count;
};

static void *must(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static struct decoded **slots_new(size_t count)
{
    return must(calloc(count, sizeof(struct decoded *)));
}

struct decoded_rows *decoded_rows_new(void)
{
    struct decoded_rows *rows = must(malloc(sizeof *rows));
    *rows = (struct decoded_rows){slots_new(SLOTS_AT_FIRST), SLOTS_AT_FIRST, 0};
    return rows;
}

static void forget(struct decoded *decoded)
{
    if (decoded->record != NULL) {
        protobuf_c_message_free_unpacked(decoded->record, NULL);
    }
    free(decoded->bytes);
}

void decoded_rows_free(struct decoded_rows *rows)
{
    for (size_t i = 0; i < rows->slots_count; i++) {
        if (rows->slots[i] != NULL) {
            forget(rows->slots[i]);
            free(rows->slots[i]);
        }
    }
    free(rows->slots);
    free(rows);
}

static bool is_of(const struct decoded *decoded, enum machine_table table, struct span key)
{
    return decoded->table == table && decoded->key.size_bytes == key.size_bytes &&
           memcmp(decoded->key.bytes, key.data, key.size_bytes) == 0;
}

/* Where it stands, or belongs. */
static struct decoded **find(struct decoded **slots, size_t slots_count, enum machine_table table, struct span key)
{
    size_t slot = raft_checks_mix_bytes((uint64_t)table, key.data, key.size_bytes) % slots_count;
    while (slots[slot] != NULL && !is_of(slots[slot], table, key)) {
        slot = (slot + 1) % slots_count;
    }
    return &slots[slot];
}

static void make_room(struct decoded_rows *rows)
{
    size_t slots_count = rows->slots_count * 2;
    struct decoded **slots = slots_new(slots_count);
    for (size_t i = 0; i < rows->slots_count; i++) {
        struct decoded *decoded = rows->slots[i];
        if (decoded != NULL) {
            *find(slots, slots_count, decoded->table, key_span(&decoded->key)) = decoded;
        }
    }
    free(rows->slots);
    rows->slots = slots;
    rows->slots_count = slots_count;
}

static struct decoded *decoded_of(struct decoded_rows *rows, enum machine_table table, struct span key)
{
    if (rows->count * 2 > rows->slots_count) {
        make_room(rows);
    }
    struct decoded **slot = find(rows->slots, rows->slots_count, table, key);
    if (*slot == NULL) {
        *slot = must(calloc(1, sizeof **slot));
        (*slot)->table = table;
        (*slot)->key = key_bytes(key.data, key.size_bytes);
        rows->count++;
    }
    return *slot;
}

const void *decoded_row(struct decoded_rows *rows, enum machine_table table, struct span key, struct span value,
                        const ProtobufCMessageDescriptor *descriptor)
{
    struct decoded *decoded = decoded_of(rows, table, key);
    bool same = decoded->record != NULL && decoded->size_bytes == value.size_bytes &&
                memcmp(decoded->bytes, value.data, value.size_bytes) == 0;
    if (!same) {
        forget(decoded);
        decoded->bytes = must(malloc(value.size_bytes + 1));
        memcpy(decoded->bytes, value.data, value.size_bytes);
        decoded->size_bytes = value.size_bytes;
        decoded->record = record_unpack(descriptor, value, NULL);
    }
    return decoded->record;
}
