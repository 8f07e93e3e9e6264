/*
 * The providers of the simulator: they take the requests that nodes send, reach people, and answer, or do not.
 *
 *     node ── request ──> way to the provider ──> taken: the person has it (delivered) ──> way back ──> answered
 *                                │                      │                                     │
 *                             refused, throttled      slow, or only after                lost, or after the
 *                             or lost                 the sender gave up                 deadline
 *
 * They speak the wire formats of Twilio, ntfy, SMTP and our webhooks, and know nothing of notifications. What a
 * provider does with a request follows from its mood at the request's start, and chance.
 */
#ifndef TESTS_SIM_WORLD_PROVIDERS_H
#define TESTS_SIM_WORLD_PROVIDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/schema/schema.pb-c.h"
#include "notify/channel.h"
#include "tests/sim/world/sim.h"

/* ---- what is in a request */

struct provider_message {
    Tocsin__Channel channel;
    char to[4200];    /* a number in E.164, an e-mail address, a topic of ntfy, the URL of a webhook */
    char text[12000]; /* as the person reads or hears it; of an e-mail the subject, a line end, and its text */
};

/*
 * Reads a request as its provider would, for the moment at which it leaves. NULL, or a sentence that says why no
 * provider would understand it; *message is then of no use.
 */
const char *providers_read(const struct outgoing *outgoing, struct provider_message *message);

/* ---- what comes of it */

enum provider_mood {
    PROVIDER_NORMAL,       /* takes and answers within half a second */
    PROVIDER_SLOW,         /* takes and answers within 20 seconds, both perhaps when the sender has given up */
    PROVIDER_DOWN,         /* refuses connections, or lets them wait for nothing */
    PROVIDER_THROTTLING,   /* 429, 450 in SMTP */
    PROVIDER_FAILING,      /* 5xx, 451 in SMTP */
    PROVIDER_DROPPING,     /* sent, and no answer comes: half of the requests were taken, and reach people */
    PROVIDER_HANGING,      /* takes nothing and never answers */
    PROVIDER_FLICKERING,   /* each request meets one of those above */
    PROVIDER_REFUSING,     /* cannot reach this addressee, ever */
    PROVIDER_UNAUTHORIZED, /* does not take our credentials */
    PROVIDER_MOODS
};

/* For the story. */
const char *provider_mood_name(enum provider_mood mood);

struct providers;

typedef void (*providers_delivered)(void *context, Tocsin__Channel channel, const char *to, const char *text);
typedef void (*providers_answered)(void *context, uint64_t token, const struct answer *answer);

/* All normal. `delivered` is told of each message when a provider takes it: from then on it reaches its person. */
struct providers *providers_new(struct sim *sim, providers_delivered delivered, void *context);
/* With all that is under way: for the end of a run, after which nothing set with sim_at runs any more. */
void providers_free(struct providers *providers);

/*
 * A request leaves a node; copied as far as needed. `answered` is called once, later, at the latest when the request's
 * deadline has passed; a caller that has given up or died by then ignores it. A request that no provider would
 * understand is a violation.
 */
void providers_request(struct providers *providers, unsigned node, const struct outgoing *outgoing,
                       providers_answered answered, void *context, uint64_t token);

/* For requests from now on. Text messages and calls go to one company, and yet each has a mood of its own. */
void providers_set(struct providers *providers, Tocsin__Channel channel, enum provider_mood mood);
/* A node that has no way out to any provider: names are not resolved, connections wait for nothing. */
void providers_cut_off(struct providers *providers, unsigned node, bool cut_off);
bool providers_is_cut_off(const struct providers *providers, unsigned node);
/* Every provider normal, every node with a way out. */
void providers_calm(struct providers *providers);

#endif
