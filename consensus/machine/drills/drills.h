/*
 * Page-delivery drills: synthetic pages to a test contact, so that a provider that takes none is known before somebody needs it.
 *
 *     deadline ──> drill_due ──> outbox (a notification of nobody's incident) ──> dispatcher ──> provider
 *                                   └──> drill_ended ──> DrillRun, counted ──┬─> failed: an incident of the cluster's own service
 *                                                                            └─> in time: that incident is over
 *
 * The delivery is measured from the claim with which the run begins to the provider's acceptance, by the clock of the node that sends.
 * A drill is a page like others, with their attempts after a refusal; but what may have arrived is not sent again, and what the
 * cluster itself lost (a leader, an outage) is neither sent again nor counted against the provider.
 */
#ifndef CONSENSUS_MACHINE_DRILLS_DRILLS_H
#define CONSENSUS_MACHINE_DRILLS_DRILLS_H

#include "consensus/machine/apply.h"

/* ---- drill_runs.c */

/* DEADLINE_DRILL: a run begins, and the next one is filed. One that was missed is run late, once. */
void drill_due(struct apply *, uint64_t drill_id, uint64_t due_ms);
/* A run begins now. Changes the state in memory only, as the next two do. */
void drill_begin(struct apply *, const Tocsin__Drill *, Tocsin__DrillState *, uint64_t due_ms, bool by_hand);
/* Files the next run in place of the one that was filed; 0: none. */
void drill_file(struct apply *, const Tocsin__Drill *, Tocsin__DrillState *, uint64_t due_ms);
/* What runs counts no more, and the incident is over. */
void drill_stop(struct apply *, const Tocsin__Drill *, Tocsin__DrillState *);
void drill_state_put(struct apply *, uint64_t drill_id, const Tocsin__DrillState *);
/* So many of the runs in the window may be late or fail. */
uint64_t drill_budget(const Tocsin__Drill *, const Tocsin__DrillState *);

/* ---- for notices.c and outbox.c */

bool drill_is(const Tocsin__Notification *);
/* Why nobody needs the notification any more, WHY_NONE when it is to be sent. */
Tocsin__Why drill_why_not(struct apply *, const Tocsin__Notification *);
/* Whether an attempt that ended so may be followed by another one at this time. */
bool drill_may_retry(const Tocsin__Notification *, Tocsin__Outcome, uint64_t at_ms);
/* Its notification has left the outbox. */
void drill_ended(struct apply *, const Tocsin__Notification *);

#endif
