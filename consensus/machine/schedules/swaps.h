/* Inside the machine: swaps of shifts, and calendar feeds, as far as others call them. */
#ifndef CONSENSUS_MACHINE_SCHEDULES_SWAPS_H
#define CONSENSUS_MACHINE_SCHEDULES_SWAPS_H

#include "consensus/machine/apply.h"

/* DEADLINE_SWAP: the span is over, and so is an offer that nobody took. */
void swap_due(struct apply *, uint64_t schedule_id, uint64_t id);

/* ---- feeds.c */

/* The feed of a schedule or person that goes away. */
void calendar_feed_forget(struct apply *, uint64_t owner_id);

#endif
