/*
 * The simulator: a whole cluster, its network, disks, clocks, providers and people, in virtual time, from one seed.
 *
 *     sim.c         time, chance, the story and the verdict         rows.[ch]        a state with cheap versions
 *     events.[ch]   what happens when
 *     nodes.c       engines: started, killed, asked over HTTP       disk.[ch]        logs and states, and what a power cut leaves
 *     network.c     frames between engines                          providers.[ch]   what takes requests and reaches people
 *     chaos.c       what goes wrong, and when                       people.[ch]      who answer, or do not
 *     model.[ch]    what a pager owes, in simple words              workload.[ch]    events, edits, readers
 *     invariants.[ch]  what holds in every state                    main.c           options, seeds, summary
 *
 * Nothing here knows the real time, and nothing takes chance from anywhere but sim_random: one seed gives one run.
 */
#ifndef TESTS_SIM_WORLD_SIM_H
#define TESTS_SIM_WORLD_SIM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True time at the start of each run, in milliseconds since the Unix epoch; nodes' wall clocks differ from it. */
#define SIM_START_MS 1790000000000u
#define SIM_NODES_MAX 12u /* in all: numbers of removed nodes are not given again */

struct sim;

/* ---- time and chance */

/* True time, milliseconds since the Unix epoch. */
uint64_t sim_now_ms(const struct sim *sim);
/* Evenly from 0 to below - 1. */
uint64_t sim_random(struct sim *sim, uint64_t below);
bool sim_chance(struct sim *sim, unsigned permille);
/* From first to last, both included. */
uint64_t sim_between(struct sim *sim, uint64_t first, uint64_t last);

/* Calls `run` at that true time (at once in order when it has passed), after what was set for the same time before. */
void sim_at(struct sim *sim, uint64_t time_ms, void (*run)(void *context), void *context);

/* ---- the story and the verdict */

/* A sentence of the story, printed with the time when the run is traced. */
void sim_tell(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A promise was broken: the first one is kept, and ends the run. */
void sim_violation(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What was exercised, by name: printed in the summary, added up over seeds. `name` is a literal. */
void sim_count(struct sim *sim, const char *name, uint64_t times);

/* ---- the cluster as clients see it */

unsigned sim_nodes_count(const struct sim *sim); /* ids are 1 to this */
/* It runs, and is to take part. */
bool sim_node_up(const struct sim *sim, uint64_t id);
/* False from the moment at which chaos has ended and everything is whole again. */
bool sim_troubled(const struct sim *sim);

struct sim_answer {
    unsigned status;         /* 0: none came: the node is down, or died meanwhile */
    const char *body;        /* NUL-terminated, "" when there is none; valid during the call */
    size_t body_size_bytes;
    const char *const *headers; /* "Name: value", ended by NULL */
};
typedef void (*sim_answered)(void *context, const struct sim_answer *answer);

/* Asks a node over its HTTP handlers, below the socket, with the cluster's admin token. `done` comes once, later. `headers` ("Name: value", ended by NULL)
 * and `body` may be NULL; all is copied. */
void sim_ask_with(struct sim *sim, uint64_t id, const char *method, const char *target, const char *const *headers, const char *body,
                  sim_answered done, void *context);

#endif
