/* Inside the machine: from the bytes of a log entry to commands that are understood completely. */
#ifndef CONSENSUS_MACHINE_DECODE_H
#define CONSENSUS_MACHINE_DECODE_H

#include "consensus/machine/machine.h"

struct decoded_entry {
    Tocsin__Entry *entry;
    Tocsin__Command **commands; /* entry->n_commands of them, each with a body */
};

/*
 * Unpacks a command, or an entry and every command in it. MACHINE_MALFORMED when one does not decode, MACHINE_UNKNOWN_FIELD when
 * one holds a field, a value of an enumeration or a body that this version does not know. Memory comes from
 * `allocator`, an arena.
 */
enum machine_error command_decode(struct span packed, ProtobufCAllocator *allocator, Tocsin__Command **command);

enum machine_error entry_decode(struct span data, ProtobufCAllocator *allocator, struct decoded_entry *decoded);

#endif
