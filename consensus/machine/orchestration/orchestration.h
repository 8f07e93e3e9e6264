/*
 * Inside the machine: event orchestration. Rules are kept here and never computed with: what they say of an event is
 * computed by the node that takes it (node/orchestration) and comes with it, as EventDecision.
 *
 *     event ──> the newest rules that the node has ──> decision, with Counters.rules_revision
 *                        ^                                    │
 *                        └──── REASON_STALE_RULES <── apply ──┘ ──> alert, or an event set aside
 *
 * Counters.rules_revision rises with whatever could make another decision: a path, an integration, an orchestration or
 * a service with rules that goes away.
 */
#ifndef CONSENSUS_MACHINE_ORCHESTRATION_ORCHESTRATION_H
#define CONSENSUS_MACHINE_ORCHESTRATION_ORCHESTRATION_H

#include "consensus/machine/apply.h"

/* ---- orchestrations.c */

/* What was decided of events until now holds no more. */
void orchestration_rules_changed(struct apply *);
/* The paths and the events aside of an orchestration or a service that goes away. */
void orchestration_rules_delete(struct apply *, uint64_t owner_id);

/* ---- event_aside.c */

/* Whether the event was decided on by the rules in force; otherwise the reply is refused as stale. */
bool orchestration_decided(struct apply *, const Tocsin__Event *, Tocsin__Reply *);
/* The integration of an orchestration as that of the service which the decision names (0: none). NULL when no
 * orchestration has the key. */
const Tocsin__Integration *orchestration_source(struct apply *, const Tocsin__Event *);
/* The decision keeps the event from becoming an alert: it is noted, and the reply says so. */
void orchestration_set_aside(struct apply *, const Tocsin__Event *, uint64_t owner_id, Tocsin__Reply *);
/* It is for a service that is switched off: noted there, so that whoever asks finds it. */
void event_set_aside_disabled(struct apply *, const Tocsin__Event *, uint64_t service_id);

#endif
