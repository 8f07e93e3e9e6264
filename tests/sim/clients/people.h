/*
 * People who are told, and what they do about it: at once, in minutes, late, twice, on another node, or not at all.
 *
 *     a message reaches Bob ──> later he looks the incident up ──> acknowledges it ──> resolves it, or forgets it
 *                                       on some node                  on another          perhaps
 */
#ifndef TESTS_SIM_CLIENTS_PEOPLE_H
#define TESTS_SIM_CLIENTS_PEOPLE_H

#include "consensus/machine/schema/schema.pb-c.h"
#include "tests/sim/clients/company.h"

struct people;

/* Nothing is owned. */
struct people *people_new(struct sim *sim, struct client *client, struct history *history,
                          struct company *company);
void people_free(struct people *people);

/* A message reached whoever has this address: `text` as it was composed, which begins with the incident's number. */
void people_delivered(struct people *people, Tocsin__Channel channel, const char *to, const char *text);

#endif
