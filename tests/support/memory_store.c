/* The machine's store in memory, for tests. */
#include "tests/support/memory_store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/siphash.h"

#define KEY_SIZE_BYTES_LIMIT 511u
#define FREED_BYTE 0xDD

struct row { /* never changed: stores that are copies of each other have it in common */
    size_t references;
    uint64_t hash; /* of its table, key and value */
    size_t key_size_bytes, value_size_bytes;
    uint8_t bytes[]; /* the key, then the value */
};

struct table {
    struct row **rows; /* in key order */
    size_t count, capacity;
    uint64_t digest; /* the sum of its rows' hashes, so that it is kept with each row that comes or goes */
};

/* A copy handed out by a read. */
struct loan {
    struct loan *next;
    size_t size_bytes;
    uint8_t bytes[];
};

struct memory_store {
    struct table tables[TABLE_COUNT];
    struct loan *loans;
};

static void *must(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

struct memory_store *memory_store_new(void)
{
    return must(calloc(1, sizeof(struct memory_store)));
}

static void row_release(struct row *row)
{
    if (--row->references == 0) {
        free(row);
    }
}

static void loans_end(struct memory_store *store)
{
    while (store->loans != NULL) {
        struct loan *loan = store->loans;
        store->loans = loan->next;
        memset(loan->bytes, FREED_BYTE, loan->size_bytes);
        free(loan);
    }
}

void memory_store_free(struct memory_store *store)
{
    if (store == NULL) {
        return;
    }
    loans_end(store);
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        for (size_t i = 0; i < store->tables[t].count; i++) {
            row_release(store->tables[t].rows[i]);
        }
        free(store->tables[t].rows);
    }
    free(store);
}

static struct span row_key(const struct row *row)
{
    return (struct span){.data = row->bytes, .size_bytes = row->key_size_bytes};
}

static struct span row_value(const struct row *row)
{
    return (struct span){.data = row->bytes + row->key_size_bytes, .size_bytes = row->value_size_bytes};
}

static int compare(struct span a, struct span b)
{
    size_t shorter = a.size_bytes < b.size_bytes ? a.size_bytes : b.size_bytes;
    int order = shorter > 0 ? memcmp(a.data, b.data, shorter) : 0;
    return order != 0 ? order : (a.size_bytes > b.size_bytes) - (a.size_bytes < b.size_bytes);
}

/* Index of the first row whose key is at or after `key`. */
static size_t lower_bound(const struct table *table, struct span key)
{
    size_t low = 0;
    size_t high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(row_key(table->rows[middle]), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct span lend(struct memory_store *store, struct span bytes)
{
    struct loan *loan = must(malloc(sizeof *loan + bytes.size_bytes));
    loan->next = store->loans;
    loan->size_bytes = bytes.size_bytes;
    memcpy(loan->bytes, bytes.data, bytes.size_bytes);
    store->loans = loan;
    return (struct span){.data = loan->bytes, .size_bytes = bytes.size_bytes};
}

static bool lend_row(struct memory_store *store, const struct table *table, size_t index, struct span *key,
                     struct span *value)
{
    *key = lend(store, row_key(table->rows[index]));
    *value = lend(store, row_value(table->rows[index]));
    return true;
}

static bool is_at(const struct table *table, size_t index, struct span key)
{
    return index < table->count && compare(row_key(table->rows[index]), key) == 0;
}

static bool memory_get(void *context, enum machine_table which, struct span key, struct span *value)
{
    struct memory_store *store = context;
    const struct table *table = &store->tables[which];
    size_t index = lower_bound(table, key);
    if (!is_at(table, index, key)) {
        return false;
    }
    *value = lend(store, row_value(table->rows[index]));
    return true;
}

static bool memory_seek(void *context, enum machine_table which, struct span key, struct span *found_key,
                        struct span *value)
{
    struct memory_store *store = context;
    const struct table *table = &store->tables[which];
    size_t index = lower_bound(table, key);
    return index < table->count && lend_row(store, table, index, found_key, value);
}

static bool memory_seek_before(void *context, enum machine_table which, struct span key, struct span *found_key,
                               struct span *value)
{
    struct memory_store *store = context;
    const struct table *table = &store->tables[which];
    size_t index = key.size_bytes == 0 ? table->count : lower_bound(table, key);
    return index > 0 && lend_row(store, table, index - 1, found_key, value);
}

static uint64_t row_hash(enum machine_table which, const struct row *row)
{
    uint64_t head[2] = {which, row->key_size_bytes};
    uint8_t key[sizeof head], hash[SIPHASH_SIZE_BYTES];
    memcpy(key, head, sizeof key);
    siphash(key, row->bytes, row->key_size_bytes + row->value_size_bytes, hash);
    uint64_t folded;
    memcpy(&folded, hash, sizeof folded);
    return folded;
}

static struct row *row_new(enum machine_table which, struct span key, struct span value)
{
    struct row *row = must(malloc(sizeof *row + key.size_bytes + value.size_bytes));
    row->references = 1;
    row->key_size_bytes = key.size_bytes;
    row->value_size_bytes = value.size_bytes;
    memcpy(row->bytes, key.data, key.size_bytes);
    if (value.size_bytes > 0) {
        memcpy(row->bytes + key.size_bytes, value.data, value.size_bytes);
    }
    row->hash = row_hash(which, row);
    return row;
}

static void memory_put(void *context, enum machine_table which, struct span key, struct span value)
{
    assert(key.size_bytes >= 1 && key.size_bytes <= KEY_SIZE_BYTES_LIMIT);
    struct memory_store *store = context;
    struct table *table = &store->tables[which];
    struct row *row = row_new(which, key, value); /* before the loans end: the value may be one */
    size_t index = lower_bound(table, key);
    table->digest += row->hash;
    if (is_at(table, index, key)) {
        table->digest -= table->rows[index]->hash;
        row_release(table->rows[index]);
        table->rows[index] = row;
        loans_end(store);
        return;
    }
    if (table->count == table->capacity) {
        table->capacity = table->capacity == 0 ? 16 : table->capacity * 2;
        table->rows = must(reallocarray(table->rows, table->capacity, sizeof *table->rows));
    }
    memmove(table->rows + index + 1, table->rows + index, (table->count - index) * sizeof *table->rows);
    table->rows[index] = row;
    table->count++;
    loans_end(store);
}

static bool memory_del(void *context, enum machine_table which, struct span key)
{
    struct memory_store *store = context;
    struct table *table = &store->tables[which];
    size_t index = lower_bound(table, key);
    bool found = is_at(table, index, key);
    if (found) {
        table->digest -= table->rows[index]->hash;
        row_release(table->rows[index]);
        table->count--;
        memmove(table->rows + index, table->rows + index + 1, (table->count - index) * sizeof *table->rows);
    }
    loans_end(store);
    return found;
}

static uint64_t memory_count(void *context, enum machine_table which)
{
    const struct memory_store *store = context;
    return store->tables[which].count;
}

struct machine_store memory_store_view(struct memory_store *store)
{
    return (struct machine_store){.context = store,
                                  .get = memory_get,
                                  .seek = memory_seek,
                                  .seek_before = memory_seek_before,
                                  .put = memory_put,
                                  .del = memory_del,
                                  .count = memory_count};
}

struct store_digests memory_store_digests(const struct memory_store *store)
{
    struct store_digests digests;
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        digests.of[t] = store->tables[t].digest;
    }
    return digests;
}

uint64_t memory_store_digest(const struct memory_store *store)
{
    uint64_t digest = 0;
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        digest += store->tables[t].digest;
    }
    return digest;
}

static bool tables_equal(const struct table *a, const struct table *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (compare(row_key(a->rows[i]), row_key(b->rows[i])) != 0 ||
            compare(row_value(a->rows[i]), row_value(b->rows[i])) != 0) {
            return false;
        }
    }
    return true;
}

bool memory_store_equal(const struct memory_store *a, const struct memory_store *b, enum machine_table *table)
{
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        if (!tables_equal(&a->tables[t], &b->tables[t])) {
            if (table != NULL) {
                *table = (enum machine_table)t;
            }
            return false;
        }
    }
    return true;
}

struct memory_store *memory_store_copy(const struct memory_store *store)
{
    struct memory_store *copy = memory_store_new();

    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        const struct table *from = &store->tables[t];
        struct table *to = &copy->tables[t];
        to->rows = from->count > 0 ? must(malloc(from->count * sizeof *to->rows)) : NULL;
        to->capacity = to->count = from->count;
        to->digest = from->digest;
        for (size_t i = 0; i < from->count; i++) {
            to->rows[i] = from->rows[i];
            to->rows[i]->references++;
        }
    }
    return copy;
}
