/*
 * The machine's store in memory with cheap versions.
 *
 * Each table is a treap: a search tree by key that is at the same time a heap by priority. The priority is a hash of
 * the key, so the tree is balanced and its shape follows from its keys. Nodes and rows count their references; a slot
 * that points to a node holds one, and so does a node for its row. Whoever writes makes the nodes on its way its own
 * first (node_own).
 */
#include "tests/sim/world/rows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/crc32c.h"
#include "tests/support/raft_checks.h"

#define KEY_SIZE_BYTES_LIMIT 511u
#define PREFIX_SIZE_BYTES 8u

struct row {
    uint32_t references;
    uint32_t key_size_bytes, value_size_bytes;
    uint64_t hash;   /* of table, key and value: its part of the digest */
    uint8_t bytes[]; /* the key, then the value */
};

struct node {
    struct node *left, *right;
    struct row *row;
    uint64_t prefix; /* of the key, see sought */
    uint32_t priority;
    uint32_t references;
};

struct tree {
    struct node *root;
    uint64_t count;
};

struct rows {
    struct tree trees[TABLE_COUNT];
    uint64_t digest;
};

/* A key to look for. Its first bytes as a number, filled up with zeros, order keys as all bytes do, unless equal. */
struct sought {
    struct span key;
    uint64_t prefix;
};

static void *must(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

struct rows *rows_new(void)
{
    return must(calloc(1, sizeof(struct rows)));
}

/* ---- rows */

static struct span row_key(const struct row *row)
{
    return (struct span){.data = row->bytes, .size_bytes = row->key_size_bytes};
}

static struct span row_value(const struct row *row)
{
    return (struct span){.data = row->bytes + row->key_size_bytes, .size_bytes = row->value_size_bytes};
}

static uint64_t row_hash(enum machine_table table, const struct row *row)
{
    uint64_t hash = raft_checks_mix((uint64_t)table, row->key_size_bytes);
    return raft_checks_mix_bytes(hash, row->bytes, (size_t)row->key_size_bytes + row->value_size_bytes);
}

static struct row *row_new(enum machine_table table, struct span key, struct span value)
{
    assert(key.size_bytes >= 1 && key.size_bytes <= KEY_SIZE_BYTES_LIMIT && value.size_bytes <= UINT32_MAX);
    struct row *row = must(malloc(sizeof *row + key.size_bytes + value.size_bytes));
    row->references = 1;
    row->key_size_bytes = (uint32_t)key.size_bytes;
    row->value_size_bytes = (uint32_t)value.size_bytes;
    memcpy(row->bytes, key.data, key.size_bytes);
    if (value.size_bytes > 0) {
        memcpy(row->bytes + key.size_bytes, value.data, value.size_bytes);
    }
    row->hash = row_hash(table, row);
    return row;
}

static void row_unref(struct row *row)
{
    assert(row->references > 0);
    if (--row->references == 0) {
        free(row);
    }
}

/* ---- order and priority */

static struct sought sought(struct span key)
{
    uint8_t first[PREFIX_SIZE_BYTES] = {0};
    if (key.size_bytes > 0) {
        memcpy(first, key.data, key.size_bytes < sizeof first ? key.size_bytes : sizeof first);
    }
    uint64_t prefix;
    memcpy(&prefix, first, sizeof prefix);
    return (struct sought){.key = key, .prefix = __builtin_bswap64(prefix)};
}

static int compare_bytes(struct span a, struct span b)
{
    size_t shorter = a.size_bytes < b.size_bytes ? a.size_bytes : b.size_bytes;
    int order = shorter > 0 ? memcmp(a.data, b.data, shorter) : 0;
    return order != 0 ? order : (a.size_bytes > b.size_bytes) - (a.size_bytes < b.size_bytes);
}

/* Below 0 when the node stands before the key, 0 at it, above 0 after it. */
static int compare(const struct node *node, const struct sought *what)
{
    if (node->prefix != what->prefix) {
        return node->prefix < what->prefix ? -1 : 1;
    }
    return compare_bytes(row_key(node->row), what->key);
}

/* The checksum alone would give neighbours related priorities: it is mixed. */
static uint32_t priority_of(struct span key)
{
    uint64_t mixed = crc32c(0, key.data, key.size_bytes) * 0x9E3779B97F4A7C15u;
    return (uint32_t)((mixed ^ (mixed >> 29)) * 0xBF58476D1CE4E5B9u >> 32);
}

/* ---- nodes */

static struct node *node_new(struct row *row, const struct sought *what, uint32_t priority)
{
    struct node *node = must(malloc(sizeof *node));
    *node = (struct node){.row = row, .prefix = what->prefix, .priority = priority, .references = 1};
    return node;
}

static struct node *node_ref(struct node *node)
{
    if (node != NULL) {
        node->references++;
    }
    return node;
}

/* As deep as the tree: its priorities are hashes, which keeps that a small multiple of the logarithm. */
static void node_unref(struct node *node)
{
    if (node == NULL) {
        return;
    }
    assert(node->references > 0);
    if (--node->references == 0) {
        node_unref(node->left);
        node_unref(node->right);
        row_unref(node->row);
        free(node);
    }
}

/* Makes the node in the slot one that nobody else holds, and returns it. */
static struct node *node_own(struct node **slot)
{
    struct node *shared = *slot;
    if (shared->references == 1) {
        return shared;
    }
    struct node *own = must(malloc(sizeof *own));
    *own = *shared;
    own->references = 1;
    own->row->references++;
    node_ref(own->left);
    node_ref(own->right);
    shared->references--;
    *slot = own;
    return own;
}

/* ---- looking */

static const struct node *find(const struct node *node, const struct sought *what)
{
    while (node != NULL) {
        int order = compare(node, what);
        if (order == 0) {
            return node;
        }
        node = order < 0 ? node->right : node->left;
    }
    return NULL;
}

/* The first node at or after the key. */
static const struct node *first_from(const struct node *node, const struct sought *what)
{
    const struct node *best = NULL;
    while (node != NULL) {
        if (compare(node, what) < 0) {
            node = node->right;
        } else {
            best = node;
            node = node->left;
        }
    }
    return best;
}

/* The last node before the key; an empty key: the last of all. */
static const struct node *last_before(const struct node *node, const struct sought *what)
{
    const struct node *best = NULL;
    while (node != NULL) {
        if (what->key.size_bytes == 0 || compare(node, what) < 0) {
            best = node;
            node = node->right;
        } else {
            node = node->left;
        }
    }
    return best;
}

/* ---- changing */

/* Takes a tree apart at a key that is not in it. */
static void split(struct node *tree, const struct sought *what, struct node **before, struct node **after)
{
    while (tree != NULL) {
        struct node *node = node_own(&tree);
        if (compare(node, what) < 0) {
            *before = node;
            before = &node->right;
            tree = node->right;
        } else {
            *after = node;
            after = &node->left;
            tree = node->left;
        }
    }
    *before = NULL;
    *after = NULL;
}

/* Puts two trees together in the slot; all keys of one stand before those of the other. */
static void merge(struct node **slot, struct node *before, struct node *after)
{
    while (before != NULL && after != NULL) {
        if (before->priority >= after->priority) {
            *slot = node_own(&before);
            slot = &before->right;
            before = before->right;
        } else {
            *slot = node_own(&after);
            slot = &after->left;
            after = after->left;
        }
    }
    *slot = before != NULL ? before : after;
}

/*
 * The slot in which the key stands, or into which it belongs by its priority. Everything above is made the writer's
 * own. Equal keys have equal priorities, so the way down never ends above the key.
 */
static struct node **way_down(struct node **slot, const struct sought *what, uint32_t priority)
{
    while (*slot != NULL && (*slot)->priority >= priority) {
        int order = compare(*slot, what);
        if (order == 0) {
            break;
        }
        struct node *node = node_own(slot);
        slot = order < 0 ? &node->right : &node->left;
    }
    return slot;
}

static void tree_put(struct rows *rows, struct tree *tree, struct row *row)
{
    struct sought what = sought(row_key(row));
    uint32_t priority = priority_of(what.key);
    struct node **slot = way_down(&tree->root, &what, priority);
    rows->digest += row->hash;
    if (*slot != NULL && compare(*slot, &what) == 0) {
        struct node *node = node_own(slot);
        rows->digest -= node->row->hash;
        row_unref(node->row);
        node->row = row;
        return;
    }
    struct node *node = node_new(row, &what, priority);
    split(*slot, &what, &node->left, &node->right);
    *slot = node;
    tree->count++;
}

static bool tree_del(struct rows *rows, struct tree *tree, struct span key)
{
    struct sought what = sought(key);
    if (find(tree->root, &what) == NULL) {
        return false;
    }
    struct node **slot = way_down(&tree->root, &what, priority_of(key));
    struct node *node = node_own(slot);
    assert(compare(node, &what) == 0);
    rows->digest -= node->row->hash;
    merge(slot, node->left, node->right);
    node->left = NULL;
    node->right = NULL;
    node_unref(node);
    tree->count--;
    return true;
}

/* ---- the port */

static bool found(const struct node *node, struct span *key, struct span *value)
{
    if (node == NULL) {
        return false;
    }
    *key = row_key(node->row);
    *value = row_value(node->row);
    return true;
}

static bool rows_get(void *context, enum machine_table table, struct span key, struct span *value)
{
    const struct rows *rows = context;
    struct sought what = sought(key);
    struct span same;
    return found(find(rows->trees[table].root, &what), &same, value);
}

static bool rows_seek(void *context, enum machine_table table, struct span key, struct span *found_key,
                      struct span *value)
{
    const struct rows *rows = context;
    struct sought what = sought(key);
    return found(first_from(rows->trees[table].root, &what), found_key, value);
}

static bool rows_seek_before(void *context, enum machine_table table, struct span key, struct span *found_key,
                             struct span *value)
{
    const struct rows *rows = context;
    struct sought what = sought(key);
    return found(last_before(rows->trees[table].root, &what), found_key, value);
}

static void rows_put(void *context, enum machine_table table, struct span key, struct span value)
{
    struct rows *rows = context;
    tree_put(rows, &rows->trees[table], row_new(table, key, value));
}

static bool rows_del(void *context, enum machine_table table, struct span key)
{
    struct rows *rows = context;
    return tree_del(rows, &rows->trees[table], key);
}

static uint64_t rows_count_of(void *context, enum machine_table table)
{
    const struct rows *rows = context;
    return rows->trees[table].count;
}

struct machine_store rows_view(struct rows *rows)
{
    return (struct machine_store){.context = rows,
                                  .get = rows_get,
                                  .seek = rows_seek,
                                  .seek_before = rows_seek_before,
                                  .put = rows_put,
                                  .del = rows_del,
                                  .count = rows_count_of};
}

/* ---- versions */

struct rows *rows_version(struct rows *rows)
{
    struct rows *version = must(malloc(sizeof *version));
    *version = *rows;
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        node_ref(version->trees[t].root);
    }
    return version;
}

void rows_become(struct rows *rows, struct rows *other)
{
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        struct node *before = rows->trees[t].root;
        if (before != other->trees[t].root) {
            rows->trees[t].root = node_ref(other->trees[t].root);
            node_unref(before);
        }
        rows->trees[t].count = other->trees[t].count;
    }
    rows->digest = other->digest;
}

void rows_free(struct rows *rows)
{
    if (rows == NULL) {
        return;
    }
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        node_unref(rows->trees[t].root);
    }
    free(rows);
}

uint64_t rows_digest(const struct rows *rows)
{
    return rows->digest;
}

uint64_t rows_count(const struct rows *rows)
{
    uint64_t count = 0;
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        count += rows->trees[t].count;
    }
    return count;
}

/* ---- comparing */

static const struct node *first_of(const struct node *node)
{
    while (node != NULL && node->left != NULL) {
        node = node->left;
    }
    return node;
}

/* The node after this one. */
static const struct node *next_of(const struct node *root, const struct node *node)
{
    /* The key with a zero byte behind it is the smallest key after it. */
    uint8_t bytes[KEY_SIZE_BYTES_LIMIT + 1];
    struct span key = row_key(node->row);
    memcpy(bytes, key.data, key.size_bytes);
    bytes[key.size_bytes] = 0;
    struct sought what = sought((struct span){.data = bytes, .size_bytes = key.size_bytes + 1});
    return first_from(root, &what);
}

/* Below 0: the next row is only in a; above 0: only in b; 0: its key is in both. */
static int compare_next(const struct node *a, const struct node *b)
{
    if (a == NULL || b == NULL) {
        return (a == NULL) - (b == NULL);
    }
    return compare_bytes(row_key(a->row), row_key(b->row));
}

static bool trees_equal(const struct node *a_root, const struct node *b_root, struct rows_difference *difference)
{
    if (a_root == b_root) {
        return true;
    }
    const struct node *a = first_of(a_root);
    const struct node *b = first_of(b_root);
    while (a != NULL || b != NULL) {
        int order = compare_next(a, b);
        if (order != 0 || (a->row != b->row && compare_bytes(row_value(a->row), row_value(b->row)) != 0)) {
            difference->in_a = order <= 0;
            difference->in_b = order >= 0;
            difference->key = row_key(order <= 0 ? a->row : b->row);
            difference->a = order <= 0 ? row_value(a->row) : (struct span){0};
            difference->b = order >= 0 ? row_value(b->row) : (struct span){0};
            return false;
        }
        a = next_of(a_root, a);
        b = next_of(b_root, b);
    }
    return true;
}

bool rows_equal(const struct rows *a, const struct rows *b, struct rows_difference *difference)
{
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        struct rows_difference here = {.table = (enum machine_table)t};
        if (!trees_equal(a->trees[t].root, b->trees[t].root, &here)) {
            if (difference != NULL) {
                *difference = here;
            }
            return false;
        }
    }
    return true;
}

/*
 * ---- bytes: CRC32C of the rest, number of tables; for each table the number of rows; for each row the sizes of key
 * and value, then both. Numbers have four bytes, little-endian.
 */

#define CHECKSUM_SIZE_BYTES 4u

struct writer {
    uint8_t *bytes;
    size_t size_bytes, capacity_bytes;
};

static void write_bytes(struct writer *writer, const void *bytes, size_t size_bytes)
{
    if (writer->capacity_bytes - writer->size_bytes < size_bytes) {
        writer->capacity_bytes = 2 * writer->capacity_bytes + size_bytes;
        writer->bytes = must(realloc(writer->bytes, writer->capacity_bytes));
    }
    memcpy(writer->bytes + writer->size_bytes, bytes, size_bytes);
    writer->size_bytes += size_bytes;
}

static void number_to_bytes(uint8_t bytes[4], uint32_t number)
{
    for (unsigned i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(number >> 8 * i);
    }
}

static void write_number(struct writer *writer, uint64_t number)
{
    assert(number <= UINT32_MAX);
    uint8_t bytes[4];
    number_to_bytes(bytes, (uint32_t)number);
    write_bytes(writer, bytes, sizeof bytes);
}

static void write_rows(struct writer *writer, const struct node *node)
{
    if (node == NULL) {
        return;
    }
    write_rows(writer, node->left);
    const struct row *row = node->row;
    write_number(writer, row->key_size_bytes);
    write_number(writer, row->value_size_bytes);
    write_bytes(writer, row->bytes, (size_t)row->key_size_bytes + row->value_size_bytes);
    write_rows(writer, node->right);
}

void rows_pack(const struct rows *rows, uint8_t **bytes, size_t *size_bytes)
{
    struct writer writer = {0};
    write_number(&writer, 0); /* where the checksum comes */
    write_number(&writer, TABLE_COUNT);
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        write_number(&writer, rows->trees[t].count);
        write_rows(&writer, rows->trees[t].root);
    }
    number_to_bytes(writer.bytes,
                    crc32c(0, writer.bytes + CHECKSUM_SIZE_BYTES, writer.size_bytes - CHECKSUM_SIZE_BYTES));
    *bytes = writer.bytes;
    *size_bytes = writer.size_bytes;
}

struct reader {
    const uint8_t *bytes;
    size_t left_bytes;
};

static bool read_bytes(struct reader *reader, size_t size_bytes, struct span *span)
{
    if (size_bytes > reader->left_bytes) {
        return false;
    }
    *span = (struct span){.data = reader->bytes, .size_bytes = size_bytes};
    reader->bytes += size_bytes;
    reader->left_bytes -= size_bytes;
    return true;
}

static bool read_number(struct reader *reader, uint32_t *number)
{
    struct span span;
    if (!read_bytes(reader, 4, &span)) {
        return false;
    }
    const uint8_t *bytes = span.data;
    *number = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    return true;
}

/* Rows come in the order of their keys, each key once. */
static bool read_table(struct reader *reader, struct rows *rows, enum machine_table table)
{
    uint32_t count;
    if (!read_number(reader, &count)) {
        return false;
    }
    struct span last = {0};
    for (uint32_t i = 0; i < count; i++) {
        uint32_t key_size_bytes, value_size_bytes;
        struct span key, value;
        if (!read_number(reader, &key_size_bytes) || !read_number(reader, &value_size_bytes) || key_size_bytes == 0 ||
            key_size_bytes > KEY_SIZE_BYTES_LIMIT || !read_bytes(reader, key_size_bytes, &key) ||
            !read_bytes(reader, value_size_bytes, &value) || compare_bytes(last, key) >= 0) {
            return false;
        }
        rows_put(rows, table, key, value);
        last = key;
    }
    return true;
}

static bool read_tables(struct reader *reader, struct rows *rows)
{
    uint32_t tables;
    if (!read_number(reader, &tables) || tables != TABLE_COUNT) {
        return false;
    }
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        if (!read_table(reader, rows, (enum machine_table)t)) {
            return false;
        }
    }
    return reader->left_bytes == 0;
}

struct rows *rows_unpack(const uint8_t *bytes, size_t size_bytes)
{
    struct reader reader = {.bytes = bytes, .left_bytes = size_bytes};
    uint32_t checksum;
    if (!read_number(&reader, &checksum) || crc32c(0, reader.bytes, reader.left_bytes) != checksum) {
        return NULL;
    }
    struct rows *rows = rows_new();
    if (!read_tables(&reader, rows)) {
        rows_free(rows);
        return NULL;
    }
    return rows;
}
