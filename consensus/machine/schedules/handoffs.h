/* Inside the machine: announcing that shifts begin and end. */
#ifndef CONSENSUS_MACHINE_SCHEDULES_HANDOFFS_H
#define CONSENSUS_MACHINE_SCHEDULES_HANDOFFS_H

#include "consensus/machine/apply.h"

/* The schedule is looked at with the next pulse: something about it has changed. */
void handoffs_touch(struct apply *, uint64_t schedule_id);
/* ... the schedules of a policy, which has changed, or has got a service. */
void handoffs_touch_policy(struct apply *, uint64_t policy_id);
/* ... the schedules that the user is part of. */
void handoffs_touch_user(struct apply *, uint64_t user_id);
/* The schedule is deleted. */
void handoffs_forget(struct apply *, uint64_t schedule_id);

/* Looks at schedules that are due, at most `left` and LIMIT_PULSE_HANDOFFS; how many of `left` remain. */
uint32_t handoffs_due(struct apply *, uint32_t left);

/* ---- handoff_rules.c */

/* A contact method goes away, and the rules with it; 0: all of the user's. */
void handoff_rules_forget(struct apply *, uint64_t user_id, uint64_t contact_method_id);

#endif
