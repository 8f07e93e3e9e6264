/* Inside the machine: pings that change no more than the time of the last one. */
#ifndef CONSENSUS_MACHINE_HEARTBEATS_QUICK_PINGS_H
#define CONSENSUS_MACHINE_HEARTBEATS_QUICK_PINGS_H

#include "consensus/machine/apply.h"

/* Notes the ping, which is within its bounds, when it needs no more than that; false: nothing is changed, and it goes
 * the long way. */
bool quick_ping(struct apply *, const Tocsin__Ping *);

/* The heartbeat is gone. */
void quick_forget(struct apply *, uint64_t id);

#define QUICK_PLACES 64u /* of neighbours in a row */

/* Whether its next plain ping is noted here: for those who check the state. */
bool quick_is(const struct machine_store *, uint64_t id);

#endif
