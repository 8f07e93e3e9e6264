/*
 * Codes that show, when they are given back, that messages arrive at a contact method.
 *
 *     notice asks for a code ──> made here, just before it is sent ──> in the message
 *                                             └── its hash ──> receipt ──> what is given back is held against it
 *
 * The code itself is in no log, no state and no answer: only whoever reads the message has it.
 */
#ifndef NOTIFY_CODES_H
#define NOTIFY_CODES_H

#include <stdbool.h>

#include "consensus/machine/schema/schema.pb-c.h"

#define CODE_HASH_SIZE_BYTES 32u

/* The same code is another one elsewhere. */
void code_hash(uint64_t user_id, uint64_t contact_method_id, const char *code, uint8_t hash[CODE_HASH_SIZE_BYTES]);

/* A notification that asks for a code gets one, from `random`; its memory is malloc's. False: it asks for none. */
bool code_put(Tocsin__Notification *notification, uint32_t random, uint8_t hash[CODE_HASH_SIZE_BYTES]);

#endif
