/* Inside the machine: a test of a service by an event. */
#ifndef CONSENSUS_MACHINE_INCIDENTS_EVENT_TEST_H
#define CONSENSUS_MACHINE_INCIDENTS_EVENT_TEST_H

#include "consensus/machine/apply.h"

/* Opens an incident of its own, whatever holds (`hold`, NULL: nothing) or groups alerts of the service. As alert_admit
 * otherwise: false with the reply refused. */
bool event_test_open(struct apply *, const Tocsin__Event *, Tocsin__Service *, Tocsin__Alert *, const Tocsin__Hold *hold,
                     const Tocsin__Actor *source, Tocsin__Reply *);

#endif
