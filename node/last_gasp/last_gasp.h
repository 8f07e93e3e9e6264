/*
 * When the majority is gone: a node that was current pages on its own, from the state that it has.
 *
 *     led ── no leader by any path ──> waiting ── the bound is over ──> speaks      pages people and guardians, marked DEGRADED
 *      ^                                  │                             defers      a peer that it hears speaks
 *      └──────── a leader ────────────────┴─────────────────────────────silent      it may not speak, and says why
 *           and then what was sent and heard becomes one command
 *
 * Who may speak: a voter that takes part and was current within LAST_GASP_CURRENT_MS of the loss. Of those that hear each other the one whose
 * state reaches furthest speaks, of equals the one with the lowest id; the others tell it what is said to them. By a channel that this one cannot
 * send by, the first of those speaks that can. Nobody is told twice of an incident by nodes that hear each other, and no more than the bounds below
 * allow. What was sent and heard is kept beside the state.
 *
 * Told is who was sent something that was taken, or may have been. What no provider took is tried again for as long as the node speaks: a way out that
 * is back after an hour is what people wait for.
 *
 * A node that started again knows nothing of what was decided meanwhile. When it might have spoken at most LAST_GASP_CURRENT_MS before, by the clock
 * that runs on through its restart, its state is no older than that at any loss, and it may speak. After a boot of the machine, or a longer absence, it
 * stays silent until it has heard a leader.
 *
 * Promises P2 and P3 do not hold for what is sent here, and its text says so. Pure shell: ports bring clock, state, providers, peers and the record.
 */
#ifndef NODE_LAST_GASP_LAST_GASP_H
#define NODE_LAST_GASP_LAST_GASP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/base/span.h"
#include "consensus/machine/schema/schema.pb-c.h"
#include "consensus/machine/store.h"
#include "notify/channel.h"

/* A state older than this at the loss speaks of a world that is gone. */
#define LAST_GASP_CURRENT_MS 60000u
/* What a peer said of itself counts so long; it is said every second. */
#define LAST_GASP_HEARD_MS 5000u
/* A node that did nothing for so long (asleep, or stopped) begins to wait anew. */
#define LAST_GASP_GAP_MS 3000u
/* Caps, of one time without a majority: a flood helps nobody, and other nodes may be sending the same. */
#define LAST_GASP_PAGES_MAX 400u
#define LAST_GASP_INCIDENTS_PER_PERSON 20u
#define LAST_GASP_TRIGGERS_MAX 20u
#define LAST_GASP_ITEMS_MAX 2000u
/* ... of which so many are for what people answer: pages are sent whether they are recorded or not. */
#define LAST_GASP_ANSWERS_RESERVED 500u
/* Of the record on disk: items are bounded, a few hundred bytes each. */
#define LAST_GASP_RECORD_SIZE_BYTES_MAX (16u << 20)
#define LAST_GASP_REMEMBER_MS 5000u
#define LAST_GASP_TRANSFERS_MAX 16u
/* What was not taken is tried again: a few times soon, then each minute, or later when the provider says so. */
#define LAST_GASP_QUICK_ATTEMPTS 3u
#define LAST_GASP_QUICK_RETRY_MS 10000u
#define LAST_GASP_RETRY_MS 60000u
#define LAST_GASP_RETRY_MS_MAX 300000u
/* A provider that said so many times that it does not take a page now has perhaps sent it each time. */
#define LAST_GASP_REFUSALS_MAX 20u
/* In a day somebody has come. */
#define LAST_GASP_ATTEMPTS_MAX 1440u

struct last_gasp_ports {
    void *context;
    uint64_t (*boottime_ms)(void *context);
    uint64_t (*cluster_ms)(void *context); /* cluster time, as this node knows it */
    /* Calls `with` once, inside a short read of the local state; not when it cannot be read. */
    void (*look)(void *context, void (*with)(void *argument, const struct machine_store *view), void *argument);
    /* Answered by last_gasp_answered with the same id, which has LAST_GASP_TRANSFER in it. */
    void (*transfer)(void *context, uint64_t transfer_id, const struct outgoing *outgoing);
    /* To every peer that is connected: last_gasp_told there. */
    void (*tell)(void *context, struct span item);
    /* Durable on return, in place of what was kept before; empty: nothing any more. False when it cannot be: said in the log by the port. */
    bool (*keep)(void *context, struct span record);
    /* Remembers the moment beyond the process, not beyond the machine's boot, without waiting for a disk; NULL: it is not remembered. */
    void (*remember)(void *context, uint64_t boottime_ms);
    /* Has the command committed, then calls last_gasp_reported. */
    void (*report)(void *context, const Tocsin__LastGaspReport *report, const char *idempotency_key);
};
#define LAST_GASP_TRANSFER (1ull << 63)

struct last_gasp;

struct last_gasp_options {
    uint64_t id;       /* of this node */
    uint64_t after_ms; /* the bound; 0: never */
    const struct notify_settings *settings; /* outlives it */
    struct span record; /* as it was kept last; copied */
    uint64_t remembered_ms; /* as it was remembered last, in this boot of the machine; 0: never */
};

struct last_gasp *last_gasp_new(const struct last_gasp_options *options, const struct last_gasp_ports *ports);
void last_gasp_free(struct last_gasp *gasp);

#define GASP_ANY_CHANNEL 0u

/* What the node sees of itself and the cluster. */
struct gasp_sight {
    bool leader;         /* it hears one, or is one that hears others */
    bool current;        /* its state has all that the leader it hears has committed */
    const char *barred;  /* why it may never speak: no voter, removed, recovering, failed; NULL: it may */
    uint64_t applied_index;
    uint32_t reach; /* the channels that it could send by: bit N for channel N, GASP_ANY_CHANNEL for any at all */
};

/* After anything happened; to be called at the answered time (boottime) at the latest. */
uint64_t last_gasp_turn(struct last_gasp *gasp, const struct gasp_sight *sight);

/* What a node says of itself: whether it knows a leader and may speak, how far its state reaches, and which channels it could send by. */
struct gasp_said {
    bool leader, may_speak;
    uint64_t applied_index;
    uint32_t reach;
};
/* A peer said it just now. */
void last_gasp_heard(struct last_gasp *gasp, uint64_t peer, const struct gasp_said *said);
/* What this node says of itself: whether it might speak if its time came. */
bool last_gasp_may_speak(const struct last_gasp *gasp);
/* Somebody knows a leader: seen by another path than peers. Counts LAST_GASP_HEARD_MS. */
void last_gasp_leader_elsewhere(struct last_gasp *gasp);
/* The leader that an answer to GET /cluster names, 0 for none. The answer is as long as there are conditions to tell of, and may be cut. */
uint64_t last_gasp_leader_in(const char *answer);
/* A peer told an item (ports.tell). */
void last_gasp_told(struct last_gasp *gasp, struct span item);
void last_gasp_answered(struct last_gasp *gasp, uint64_t transfer_id, const struct answer *answer);
void last_gasp_reported(struct last_gasp *gasp, bool applied);

/* The bound is over: what people answer is kept here. */
bool last_gasp_is_on(const struct last_gasp *gasp);
/* No more pages of the incident from here or from the peers that hear it. False when it could not be kept. Said again it takes no room. */
bool last_gasp_answer(struct last_gasp *gasp, uint64_t incident_id, bool resolves, const Tocsin__Actor *actor);
/* A trigger was answered with 503: whom it is for is told once. */
void last_gasp_refused(struct last_gasp *gasp, const Tocsin__Event *event);

/* ---- a page by hand, whatever the standing: sent at once, tried once, not recorded */

typedef void (*last_gasp_paged)(void *context, const Tocsin__Notification *notification, const char *provider, Tocsin__Outcome outcome, const char *detail);
/* Leaves at once, beyond LAST_GASP_TRANSFERS_MAX too: it was sent by hand. `paged` is called once, perhaps from inside this call. */
void last_gasp_page(struct last_gasp *gasp, const Tocsin__Notification *notification, last_gasp_paged paged, void *context);

/* ---- what is seen of it */

enum gasp_standing { GASP_LED, GASP_WAITING, GASP_SILENT, GASP_DEFERS, GASP_SPEAKS };

struct last_gasp_status {
    enum gasp_standing standing;
    const char *why;     /* of GASP_SILENT: one sentence */
    uint64_t speaker;    /* of GASP_DEFERS: the first of those that speak */
    uint64_t waited_ms;  /* without a leader */
    uint64_t after_ms;
    size_t pages_waiting, pages_under_way, items; /* items: not in the cluster's state yet */
};
struct last_gasp_status last_gasp_status(const struct last_gasp *gasp);
/* "led", "waiting", ... */
const char *last_gasp_standing_name(enum gasp_standing standing);

/* What this node would send at this moment if its time came, and when; nothing is sent. Calls `each` for each page. */
void last_gasp_rehearse(struct last_gasp *gasp,
                        void (*each)(void *context, const Tocsin__Notification *notification, uint64_t after_ms, const char *unusable), void *context);

#endif
