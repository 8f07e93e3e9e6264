/* Inside the machine: what other parts call of those that keep services. */
#ifndef CONSENSUS_MACHINE_SERVICES_SERVICES_H
#define CONSENSUS_MACHINE_SERVICES_SERVICES_H

#include "consensus/machine/apply.h"

/* ---- change_events.c */

/* Those from before `before_ms` go, at most *rows_left, which is counted down; true when all are gone. */
bool change_events_trim(struct apply *, uint64_t before_ms, unsigned *rows_left);
void change_events_service_deleted(struct apply *, uint64_t service_id);

#endif
