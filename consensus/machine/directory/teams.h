/* Inside the machine: what people.c, catalog.c and schedules.c ask of teams. */
#ifndef CONSENSUS_MACHINE_DIRECTORY_TEAMS_H
#define CONSENSUS_MACHINE_DIRECTORY_TEAMS_H

#include "consensus/machine/apply.h"

/* A user goes away, and leaves all teams. */
void teams_user_deleted(struct apply *, uint64_t user_id);

/* The teams that an object is given: each must be there. False: refused. */
bool check_teams(struct apply *, Tocsin__Reply *, const uint64_t *team_ids, size_t count);

#endif
