/*
 * Who may see an incident: everybody, but for those of the categories security and compliance. These are seen by the team of
 * their escalation policy, by whoever has a part in them (assigned, acknowledged, asked to help) and by owners; not by tokens
 * that no person stands behind, whomever these say that they ask for. Who may not see one is answered as if it were not there.
 */
#ifndef CONSENSUS_MACHINE_INCIDENTS_VISIBILITY_H
#define CONSENSUS_MACHINE_INCIDENTS_VISIBILITY_H

#include "consensus/machine/apply.h"

/* Whether there ever was one that not everybody may see: until then nobody has to look. */
bool secrets_exist(const struct machine_store *);
bool incident_is_secret(const Tocsin__Incident *);
/* The cluster itself and event sources see all. */
bool incident_seen_by(const struct machine_store *, ProtobufCAllocator *arena, const Tocsin__Incident *,
                      const Tocsin__Actor *);

/* ---- inside the machine */

/* What somebody asks for about an incident of this policy: a secret needs a team that may see it. False: refused. */
bool secret_check(struct apply *, Tocsin__IncidentCategory, uint64_t escalation_policy_id, Tocsin__Reply *);
/* What is in `from` goes to `to`: not from a secret to where others see it. False: refused. */
bool secret_check_move(struct apply *, const Tocsin__Incident *from, const Tocsin__Incident *to, Tocsin__Reply *);
/* An incident has this category now. */
void secret_note(struct apply *, Tocsin__IncidentCategory);

#endif
