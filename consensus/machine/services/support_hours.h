/*
 * Support hours of services, as data: rendered into UTC outside, kept as rows, looked up here.
 *
 *     ServicePut, SupportHoursExtend ──> TABLE_SUPPORT_HOURS: from a day ago to SUPPORT_HORIZON_MS ahead, 1 within, 0 without
 *                                              │
 *              urgency of new incidents  <─────┼─────>  clock of low urgency (support_clock.c)
 *                                              └─────>  edges at which low becomes high (DEADLINE_URGENCY_CHANGE)
 *
 * What is not known counts as within: then people are told, and escalations go on.
 */
#ifndef CONSENSUS_MACHINE_SERVICES_SUPPORT_HOURS_H
#define CONSENSUS_MACHINE_SERVICES_SUPPORT_HOURS_H

#include "consensus/machine/apply.h"

/* Whether the moment is within the support hours; true for a service without any, and beyond what is known. */
bool support_hours_at(const struct machine_store *, uint64_t service_id, uint64_t at_ms);
/* The first moment after `after_ms` at which they begin, or (`begins` false) end; 0: none is known. */
uint64_t support_hours_edge(const struct machine_store *, uint64_t service_id, uint64_t after_ms, bool begins);
/* How far they are known; 0 for a service without any. */
uint64_t support_hours_known_until(const struct machine_store *, uint64_t service_id);

/* ---- for catalog.c */

/* Of a service as it is to be stored. False: the reply is refused. */
bool support_hours_check(struct apply *, Tocsin__Reply *, const Tocsin__Service *, const Tocsin__ServicePut *);
/* Stores the rows and files what follows from them; the caller stores the service. */
void support_hours_put(struct apply *, Tocsin__Service *, const Tocsin__ServicePut *);
void support_hours_delete(struct apply *, const Tocsin__Service *);

/* ---- for urgency.c */

/* Files the next edge at which the service's urgency changes; the caller stores the service. */
void urgency_change_file(struct apply *, Tocsin__Service *);

#endif
