/*
 * What the outside does to the cluster, from the seed: events in calm, storms and flaps, edits and deletions, requests
 * of responders, readers; and the people who answer pages.
 *
 *     workload_start ──> the company is set up ──> everything by chance ──> workload_stop ──> ... ──> workload_finish
 *                                                                           nothing new      healed    is it all there?
 *
 * History, clients, company and people are made here; the simulator needs only this header and people.h.
 */
#ifndef TESTS_SIM_CLIENTS_WORKLOAD_H
#define TESTS_SIM_CLIENTS_WORKLOAD_H

#include "tests/sim/clients/people.h"
#include "tests/sim/judge/history.h"
#include "tests/sim/world/sim.h"

/* How often, an hour of true time; 0: never. Each comes at random around its rate. */
struct workload_options {
    unsigned minute_ms;       /* how long the cluster's minute is: settings.minute_ms */
    unsigned events_per_hour; /* triggers of new keys; what becomes of them comes on top */
    unsigned storms_per_hour; /* up to storm_events within a second or two */
    unsigned storm_events;
    unsigned flaps_per_hour; /* trigger and resolve of one key, some times in a row */
    unsigned edits_per_hour;
    unsigned deletions_per_hour;
    unsigned requests_per_hour; /* see handling.h */
    unsigned reads_per_hour;
    unsigned quiet_per_hour; /* maintenance windows, mutes: made, moved or ended, in companies that have them */
    unsigned quiet_permille, mutes_permille; /* of companies */
    unsigned jobs_permille; /* of companies that have jobs with heartbeats: while there are any the cluster is never idle */
    unsigned jobs_max;
    client_way way; /* NULL: sim_ask_with */
};

/* For minutes under full chaos: something each second. */
struct workload_options workload_dense(unsigned minute_ms);
/* For hours up to a week with coarse timing: some events an hour, a storm now and then. */
struct workload_options workload_calm(void);

struct workload;

struct workload *workload_new(struct sim *sim, const struct workload_options *options);
/* With all that is under way: nothing set with sim_at or sim_ask may call back afterwards. */
void workload_free(struct workload *workload);

void workload_start(struct workload *workload);
/* True once everything that the company consists of was made. */
bool workload_is_set_up(const struct workload *workload);
/* No new things; what has begun goes on, and people go on answering. */
void workload_stop(struct workload *workload);
/*
 * Asks all nodes for what the clients were promised; when everything has been whole for a while. Violations: what is
 * lost, and requests that nobody answered. `done` comes once.
 */
void workload_finish(struct workload *workload, void (*done)(void *context), void *context);

/* The cluster says that the job with this key is silent. */
void workload_silent(struct workload *workload, const char *key);

struct people *workload_people(struct workload *workload);
struct history *workload_history(struct workload *workload);
const struct company *workload_company(const struct workload *workload);

#endif
