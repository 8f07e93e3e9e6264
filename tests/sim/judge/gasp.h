/*
 * What nodes may do on their own while there is no majority, seen from outside: nobody who hears a leader speaks, of nodes that hear each
 * other one does by each channel, nobody is told again of what a provider took, in one time without a leader, and not after this node was answered.
 */
#ifndef TESTS_SIM_JUDGE_GASP_H
#define TESTS_SIM_JUDGE_GASP_H

#include <stdbool.h>
#include <stdint.h>

struct sim;
struct node;
struct provider_message;
struct answer;

/* Twice a second, until the run ends. */
void gasp_judge_start(struct sim *sim);
void gasp_judge_end(struct sim *sim);
/* A request of the last gasp leaves, and what the node hears of it. */
void gasp_judge_request(struct node *node, uint64_t transfer_id, const struct provider_message *message);
void gasp_judge_answered(struct node *node, uint64_t transfer_id, const struct answer *answer);
/* The node answered that it keeps what was said of this incident. */
void gasp_judge_kept(struct sim *sim, uint64_t node, const char *incident_id);

#endif
