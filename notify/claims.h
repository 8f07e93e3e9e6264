/*
 * Which notifications the dispatcher wants to claim anew, and which it has asked for.
 *
 *     want ──> wanted, in order ── claims_ask ──> asked ── claims_granted ──> gone
 *                  ^                                │
 *                  └── not granted within a second ─┘   at most CLAIM_ASKS_MAX times, then forgotten
 *
 * A claim that is refused (somebody acknowledged meanwhile) has no answer: it just never comes. What is forgotten
 * here is still in the outbox, whose own deadline brings it back if it is owed.
 */
#ifndef NOTIFY_CLAIMS_H
#define NOTIFY_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/schema/schema.pb-c.h"

#define CLAIM_ASKS_MAX 3u
#define CLAIM_GRANT_MS 1000u
/* 16 bytes each; more than that wait in the outbox for its deadline. */
#define CLAIMS_WANTED_MAX (1u << 20)

struct claim_wanted {
    uint64_t id;
    Tocsin__Channel channel; /* CHANNEL_NONE: not known before it is claimed */
    uint32_t asks;
};

struct claim_asked {
    struct claim_wanted what;
    uint64_t asked_ms;
};

/* Starts zeroed. */
struct claims {
    struct claim_wanted *ring; /* capacity is a power of two or 0 */
    size_t ring_capacity, ring_first, wanted_count;
    struct claim_asked asked[LIMIT_CLAIM_NOTIFICATIONS];
    size_t asked_count;
};

void claims_forget(struct claims *claims);
/* False when there is no room. */
bool claims_want(struct claims *claims, uint64_t id, Tocsin__Channel channel, uint32_t asks);
/* Takes the first wanted one; false when there is none. */
bool claims_next(struct claims *claims, struct claim_wanted *out);
/* It was put into a command. There must be room in `asked`. */
void claims_ask(struct claims *claims, const struct claim_wanted *what, uint64_t now_ms);
bool claims_is_asked(const struct claims *claims, uint64_t id);
void claims_granted(struct claims *claims, uint64_t id);
/* What was not granted in time is wanted again, or forgotten. */
void claims_expire(struct claims *claims, uint64_t now_ms);
/* When claims_expire must be called next, UINT64_MAX when not. */
uint64_t claims_next_expiry_ms(const struct claims *claims);

#endif
