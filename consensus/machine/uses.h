/*
 * Inside the machine: who needs an object that is to go away. As long as somebody does, it stays, and the refusal names
 * them: whoever wants it gone must know where to look.
 */
#ifndef CONSENSUS_MACHINE_USES_H
#define CONSENSUS_MACHINE_USES_H

#include "consensus/machine/apply.h"

enum used_kind {
    USED_USER,
    USED_TEAM,
    USED_ESCALATION_POLICY,
    USED_SCHEDULE,
    USED_SERVICE,
    USED_PRIORITY,
};

/* Nothing needs the object. False: refused, with the first of those that do in Reply.used_by and in the sentence. */
bool check_unused(struct apply *, Tocsin__Reply *, enum used_kind, uint64_t id, const char *name);

#endif
