/*
 * Jobs that ping their heartbeats: punctual, now and then late, with runs, failures and logs; that die, rest and come
 * back, and whose heartbeats are edited meanwhile.
 *
 *     its time has come ──> ping ──> no OK within a moment ──> the next node ──> ... ──> OK, or it dies
 */
#ifndef TESTS_SIM_CLIENTS_JOBS_H
#define TESTS_SIM_CLIENTS_JOBS_H

#include "tests/sim/clients/company.h"
#include "tests/sim/judge/silence.h"

struct jobs;

/* Nothing is owned. */
struct jobs *jobs_new(struct company *company, struct silence *silence, client_way way);
void jobs_free(struct jobs *jobs);

/* So many are made over HTTP; each lives as soon as its heartbeat is there. */
void jobs_begin(struct jobs *jobs, unsigned count);
/* They go on as they are: who lives pings, who is dead stays so, nothing is edited. */
void jobs_stop(struct jobs *jobs);

/* When everything was whole for a while: what does node say of each, GET /api/v3/checks? */
void jobs_audit(struct jobs *jobs, const struct client_answer *answer);

#endif
