/*
 * Alert grouping: which open incident of its service an alert joins.
 *
 *     event ──grouping_keys──> hashes of what counts, kept in the alert (it may be held back for a while)
 *     alert ──grouping_find──> TABLE_ALERT_GROUP (service, hash) ──> open, within its time, with room ──> it joins
 *                                                                └─ none ──> a new incident, filed under the hashes
 *
 *     by time       all alerts of the service, for so long from the first one
 *     by content    those with the same value in all of the fields, or in any; each within the window of the one before,
 *                   and a day of the first one
 *
 * An alert without a value in a field that counts is alone.
 */
#ifndef CONSENSUS_MACHINE_INCIDENTS_GROUPING_H
#define CONSENSUS_MACHINE_INCIDENTS_GROUPING_H

#include "consensus/machine/apply.h"

/* By the service's rule of this moment; leaves none where it has none. The keys are the arena's. */
void grouping_keys(struct apply *, const Tocsin__Service *, const Tocsin__Event *, Tocsin__Alert *);
/* The incident that the alert joins, to be stored by the caller; NULL: none. */
Tocsin__Incident *grouping_find(struct apply *, const Tocsin__Service *, const Tocsin__Alert *);
/* It has joined, or was the first: the incident is found by its keys. */
void grouping_file(struct apply *, Tocsin__Incident *, const Tocsin__Alert *);
/* Why it joined: "because ..." without the "because". Reason by reference. */
const char *grouping_reason(struct apply *, const Tocsin__Service *, const Tocsin__Incident *, Tocsin__Why *why);
/* The incident is over: nothing joins it. */
void grouping_end(struct apply *, const Tocsin__Incident *);

/* Of a service that is to be stored: shape and bounds; refuses the reply. */
bool grouping_check(struct apply *, Tocsin__Reply *, const Tocsin__AlertGrouping *);

#endif
