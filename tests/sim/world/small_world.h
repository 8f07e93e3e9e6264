/* Three nodes without a company, for stories that bring about what chance does too seldom. */
#ifndef TESTS_SIM_WORLD_SMALL_WORLD_H
#define TESTS_SIM_WORLD_SMALL_WORLD_H

#include "tests/sim/world/sim_internal.h"

/* Five seconds old. What it leaves behind when its nodes are closed is the process's, and found here by who looks for leaks. */
struct sim *small_world(uint64_t seed);

#endif
