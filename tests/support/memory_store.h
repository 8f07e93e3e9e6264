/*
 * The machine's store in memory, for tests: sorted arrays of rows.
 *
 * What a read hands out is a copy of its own that is overwritten and freed at the next write: a caller that keeps it
 * longer than the contract allows (and would read garbage from the real store) is caught.
 */
#ifndef TESTS_SUPPORT_MEMORY_STORE_H
#define TESTS_SUPPORT_MEMORY_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/machine/store.h"

struct memory_store;

struct memory_store *memory_store_new(void);
void memory_store_free(struct memory_store *store);

/* The store as the machine sees it; valid as long as the store. */
struct machine_store memory_store_view(struct memory_store *store);

/* 64 bits of hash over every table, key and value: equal for equal contents. Kept as rows come and go, so cheap to ask for. */
uint64_t memory_store_digest(const struct memory_store *store);

/* The same of each table by itself: what a test keeps of a state to see later which tables have changed. */
struct store_digests {
    uint64_t of[TABLE_COUNT];
};

struct store_digests memory_store_digests(const struct memory_store *store);

/*
 * True when both hold the same rows. Otherwise *table is the first table that differs (when `table` is not NULL).
 */
bool memory_store_equal(const struct memory_store *a, const struct memory_store *b, enum machine_table *table);

/* A copy with a life of its own, in the same thread: they have their rows in common until one changes them. */
struct memory_store *memory_store_copy(const struct memory_store *store);

#endif
