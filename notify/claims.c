/* Notifications to be claimed anew; see the header. */
#include "notify/claims.h"

#include <assert.h>
#include <stdlib.h>

#define RING_CAPACITY_FIRST 256u

void claims_forget(struct claims *claims)
{
    free(claims->ring);
    *claims = (struct claims){0};
}

static void ring_grow(struct claims *claims)
{
    size_t capacity = claims->ring_capacity ? claims->ring_capacity * 2 : RING_CAPACITY_FIRST;
    struct claim_wanted *ring = calloc(capacity, sizeof *ring);
    if (!ring)
        abort();
    for (size_t i = 0; i < claims->wanted_count; i++)
        ring[i] = claims->ring[(claims->ring_first + i) & (claims->ring_capacity - 1)];
    free(claims->ring);
    claims->ring = ring;
    claims->ring_capacity = capacity;
    claims->ring_first = 0;
}

bool claims_want(struct claims *claims, uint64_t id, Tocsin__Channel channel, uint32_t asks)
{
    if (claims->wanted_count == CLAIMS_WANTED_MAX)
        return false;
    if (claims->wanted_count == claims->ring_capacity)
        ring_grow(claims);
    size_t place = (claims->ring_first + claims->wanted_count++) & (claims->ring_capacity - 1);
    claims->ring[place] = (struct claim_wanted){.id = id, .channel = channel, .asks = asks};
    return true;
}

bool claims_next(struct claims *claims, struct claim_wanted *out)
{
    if (claims->wanted_count == 0)
        return false;
    *out = claims->ring[claims->ring_first];
    claims->ring_first = (claims->ring_first + 1) & (claims->ring_capacity - 1);
    if (--claims->wanted_count == 0) {
        free(claims->ring);
        claims->ring = NULL;
        claims->ring_capacity = claims->ring_first = 0;
    }
    return true;
}

void claims_ask(struct claims *claims, const struct claim_wanted *what, uint64_t now_ms)
{
    assert(claims->asked_count < LIMIT_CLAIM_NOTIFICATIONS);
    struct claim_asked *asked = &claims->asked[claims->asked_count++];
    asked->what = *what;
    asked->what.asks++;
    asked->asked_ms = now_ms;
}

bool claims_is_asked(const struct claims *claims, uint64_t id)
{
    for (size_t i = 0; i < claims->asked_count; i++)
        if (claims->asked[i].what.id == id)
            return true;
    return false;
}

void claims_granted(struct claims *claims, uint64_t id)
{
    for (size_t i = 0; i < claims->asked_count; i++) {
        if (claims->asked[i].what.id == id) {
            claims->asked[i] = claims->asked[--claims->asked_count];
            return;
        }
    }
}

void claims_expire(struct claims *claims, uint64_t now_ms)
{
    for (size_t i = 0; i < claims->asked_count;) {
        struct claim_asked asked = claims->asked[i];
        if (now_ms < asked.asked_ms + CLAIM_GRANT_MS) {
            i++;
            continue;
        }
        claims->asked[i] = claims->asked[--claims->asked_count];
        if (asked.what.asks < CLAIM_ASKS_MAX)
            (void)claims_want(claims, asked.what.id, asked.what.channel,
                              asked.what.asks); /* no room: the outbox has it */
    }
}

uint64_t claims_next_expiry_ms(const struct claims *claims)
{
    uint64_t next_ms = UINT64_MAX;
    for (size_t i = 0; i < claims->asked_count; i++)
        if (claims->asked[i].asked_ms + CLAIM_GRANT_MS < next_ms)
            next_ms = claims->asked[i].asked_ms + CLAIM_GRANT_MS;
    return next_ms;
}
