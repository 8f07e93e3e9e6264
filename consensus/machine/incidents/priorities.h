/*
 * Priorities: a list in the order of importance that incidents choose from. P1 to P5 until somebody says otherwise; who
 * does replaces the list as a whole.
 */
#ifndef CONSENSUS_MACHINE_INCIDENTS_PRIORITIES_H
#define CONSENSUS_MACHINE_INCIDENTS_PRIORITIES_H

#include "consensus/machine/apply.h"

/* Those in force and, behind them, those that were replaced. Never NULL, and never freed: `arena` is one. */
const Tocsin__Priorities *priorities_read(const struct machine_store *, ProtobufCAllocator *arena);
/* NULL when none has the id. */
const Tocsin__Priority *priority_find(const Tocsin__Priorities *, uint64_t id);

#endif
