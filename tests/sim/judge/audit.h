/* The last questions: is everything there that clients were promised, on every node? */
#ifndef TESTS_SIM_JUDGE_AUDIT_H
#define TESTS_SIM_JUDGE_AUDIT_H

#include "tests/sim/clients/jobs.h"

/* Waits for requests that are under way, then asks; `done` comes once, later. */
void audit_start(struct company *company, struct jobs *jobs, void (*done)(void *context), void *context);

#endif
