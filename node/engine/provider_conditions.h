/*
 * What is wrong with the providers, as the nodes that asked them see it (engine_probes.c), judged by the leader.
 *
 *     each member's vitals ──> who is refused, whom does it fail? ──> told already? ──> notice: began, or ended
 *
 * One condition for a provider, not one for each node: a key that was revoked is one trouble, and one page. How long something must be so is each node's own
 * affair, so that a new leader need not count anew; only that others do without trouble must hold for a while, because they may not have asked yet. Of members that are not heard of nothing is known: nothing ends while one is away.
 */
#ifndef NODE_ENGINE_PROVIDER_CONDITIONS_H
#define NODE_ENGINE_PROVIDER_CONDITIONS_H

#include "node/engine/conditions.h"
#include "notify/channel.h"

#define CONDITION_PROVIDER_KEY "provider-"

/* Starts zeroed, with each term. */
struct provider_conditions {
    uint64_t partly_since_ms[CHANNELS_MAX]; /* 0: it is not so */
};

/* As with conditions_look. */
void provider_conditions_look(struct provider_conditions *conditions, const struct member_facts *members, size_t count, uint64_t leader_id, const Tocsin__NodeConditions *known,
                              uint64_t minute_ms, uint64_t now_ms, void (*notice)(void *context, const struct condition_notice *), void *context);

/* A transfer of leadership that a leader without a way out began. */
struct provider_hand_over {
    uint64_t at_ms; /* monotonic; 0: never */
    uint64_t term, to;
};

/*
 * Whom such a leader shall let lead: a voter that is heard, keeps up, and that a provider takes pages from; 0: nobody, or not yet. Who comes to lead again
 * in another term waits ten minutes, so that leadership does not go to and fro. In the same term the last transfer came to nothing: a minute later the next
 * voter is tried, no sooner, for while a transfer lasts nothing is proposed.
 */
uint64_t provider_successor(const struct provider_hand_over *last, uint64_t term, const struct member_facts *members, size_t count, uint64_t leader_id,
                            uint64_t minute_ms, uint64_t now_ms);

#endif
