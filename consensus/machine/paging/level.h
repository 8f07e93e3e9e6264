/*
 * Who a level of an escalation policy is at one moment: everybody on it, or, where its targets take turns, the next of
 * them who can be told.
 *
 *     assign_to_everyone   users and whoever is on call ──────────────────────────────────> all of them
 *     round_robin          the target behind the one that had the last turn ──> can be told ──> this one, and the turn is its
 *                                  ^                                              │ not: its turn is passed, with the reason
 *                                  └──────────────────────────────────────────────┘
 */
#ifndef CONSENSUS_MACHINE_PAGING_LEVEL_H
#define CONSENSUS_MACHINE_PAGING_LEVEL_H

#include "consensus/machine/apply.h"

/* Those to whom an incident is given: by name, and by the schedules that were asked. */
struct people {
    uint64_t *user_ids;
    size_t users_count;
    Tocsin__OnCall **on_call;
    size_t on_call_count;
};

/* Who has the incident's present level, which is one of the policy's. Takes the turn, and writes passed ones down. */
struct people level_people(struct apply *, Tocsin__Incident *, const Tocsin__EscalationPolicy *);

/* "; Alice is on call in Primary (revision 3)", for each schedule that was asked. */
const char *level_on_call_text(struct apply *, const struct people *);

#endif
