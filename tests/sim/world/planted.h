/* The sabotages of consensus/machine/planted.h as the simulator knows them: by name, and by what finds them. */
#ifndef TESTS_SIM_WORLD_PLANTED_H
#define TESTS_SIM_WORLD_PLANTED_H

#include <stdbool.h>
#include <stdio.h>

/* Plants the bug of this name for the rest of the process. False when there is none, or this build has none at all. */
bool planted_choose(const char *name);

/* A line for each: name, profile in which it is found, directed test or "-", sentence; separated by tabs. */
void planted_list(FILE *out);

#endif
