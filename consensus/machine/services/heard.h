/* When something was last heard of an event source: known to the day, so that it costs no write per event. */
#ifndef CONSENSUS_MACHINE_SERVICES_HEARD_H
#define CONSENSUS_MACHINE_SERVICES_HEARD_H

#include "consensus/machine/apply.h"

/* An event came by this integration. Stores it once a day. */
void integration_heard(struct apply *, Tocsin__Integration *);
void orchestration_integration_heard(struct apply *, Tocsin__OrchestrationIntegration *);

/* For readers: after how long without an event a source has been silent for long. `standard_ms` until its own habits are
 * known; NULL: never heard. */
uint64_t heard_usual_ms(const Tocsin__Heard *, uint64_t standard_ms);

#endif
