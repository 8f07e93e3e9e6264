/*
 * A log entry in memory.
 *
 * It is read by three threads (loop, log writer, state writer) and changed by none after entry_new's caller has filled it, so a
 * reference count is all that it needs.
 */
#ifndef CONSENSUS_MACHINE_ENTRY_H
#define CONSENSUS_MACHINE_ENTRY_H

#include <stdatomic.h>
#include <stdint.h>

enum entry_type {
    ENTRY_COMMAND = 1, /* data is a packed Entry of schema.proto */
    ENTRY_BARRIER = 2, /* nothing for the machine */
    ENTRY_CHANGE = 3   /* data is a raft configuration */
};

struct entry {
    atomic_uint references;
    uint32_t type; /* enum entry_type; the numbers are libraft's */
    uint64_t term;
    uint32_t size_bytes;
    uint8_t data[];
};

/* A new entry with one reference and uninitialised data. Ends the process when memory is exhausted. */
struct entry *entry_new(uint64_t term, enum entry_type type, uint32_t size_bytes);

struct entry *entry_ref(struct entry *entry);

/* Drops one reference; the last one frees. NULL is allowed. */
void entry_unref(struct entry *entry);

#endif
