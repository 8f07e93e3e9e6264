/*
 * Inside the machine: somebody must be able to administer the cluster. What lets an administrator in is a token: of the
 * account with that role, or of a person who has it; not over, and without scopes, which would keep something from it.
 * The last one of these is not taken away; that it may expire is for GET /coverage to say.
 */
#ifndef CONSENSUS_MACHINE_DIRECTORY_ADMINISTRATORS_H
#define CONSENSUS_MACHINE_DIRECTORY_ADMINISTRATORS_H

#include "consensus/machine/apply.h"

/* What is about to go: a token, or a person with every token, or, when demoted, what the person's role opens. */
struct leaving {
    uint64_t token_id, user_id;
    bool demoted;
};

bool role_administers(Tocsin__Role role);

/* Whether the token lets an administrator in at this moment. */
bool token_administers(const struct machine_store *, const Tocsin__Token *, uint64_t at_ms);

/* False: refused, since nobody could administer the cluster then. What lets no administrator in may always go. */
bool check_administrator_stays(struct apply *, Tocsin__Reply *, const struct leaving *);

#endif
