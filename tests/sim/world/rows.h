/*
 * The machine's store in memory with cheap versions: what a simulated node holds as its applied, committed and durable
 * state.
 *
 *       applied ──┐                     one tree for each table, shared by the versions;
 *                 ├──> nodes ──> rows   a write copies those nodes on its way that another version also holds,
 *     committed ──┘                     and changes in place what it holds alone
 *
 * Not for threads: versions share counters of references.
 */
#ifndef TESTS_SIM_WORLD_ROWS_H
#define TESTS_SIM_WORLD_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/store.h"

struct rows;

/* Empty. Never NULL: without memory the process ends, here and below. */
struct rows *rows_new(void);

/* The same contents with a life of their own: neither sees what is written to the other. One allocation, whatever the
 * size. */
struct rows *rows_version(struct rows *rows);

/* The contents of another, as rows_version gives them, instead of its own. Tables that both share cost nothing. */
void rows_become(struct rows *rows, struct rows *other);

void rows_free(struct rows *rows);

/*
 * The rows as the machine sees them; valid as long as they are. What a read returns stays valid until the next put or
 * del on the same version, whatever happens to others, and at most until this version is freed.
 */
struct machine_store rows_view(struct rows *rows);

/* 64 bits of hash over every table, key and value: equal for equal contents, however they came about. Kept up by each
 * write, so it costs nothing to ask. */
uint64_t rows_digest(const struct rows *rows);

/* The rows of all tables. */
uint64_t rows_count(const struct rows *rows);

/* The first place at which two states differ. The spans are valid until the next write to their version. */
struct rows_difference {
    enum machine_table table;
    struct span key;
    bool in_a, in_b;
    struct span a, b; /* the values; empty where the key is not there */
};

/* True when both hold the same rows; otherwise *difference says where not (when it is not NULL). Tables that they share
 * cost nothing. */
bool rows_equal(const struct rows *a, const struct rows *b, struct rows_difference *difference);

/* The rows as bytes with a checksum: the simulator's snapshot file. *bytes is the caller's to free. Equal contents give
 * equal bytes. */
void rows_pack(const struct rows *rows, uint8_t **bytes, size_t *size_bytes);

/* NULL when the bytes are not, whole and undamaged, what rows_pack made. */
struct rows *rows_unpack(const uint8_t *bytes, size_t size_bytes);

#endif
