/*
 * How far the manager of one team may reach: of two states, what stands in the second and not in the first is the team's, and what the
 * first had of anybody else's stands there unchanged. By rows, whatever was asked for.
 */
#ifndef TESTS_FUZZ_REACH_H
#define TESTS_FUZZ_REACH_H

#include <stdbool.h>

#include "consensus/machine/store.h"

/* The manager's team and what it has, by their ids. */
struct reach {
    uint64_t team_id, policy_id, service_id, incident_id;
};

/* Rows of a table that nobody's right is about: the time, what was answered, when a token was last used. */
bool reach_is_memory(enum machine_table table);
/* Ends the program when what happened to the table between the two states is beyond it. */
void reach_judge(const struct reach *reach, const struct machine_store *before, const struct machine_store *after, enum machine_table table);

#endif
