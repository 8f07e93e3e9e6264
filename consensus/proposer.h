/*
 * Commands in, replies out, on whichever node the client met.
 *
 *     proposer_submit ─┬─ leading: waits for the turn's end ──┐
 *                      └─ following: frame to the leader ─────┴─> one log entry for everything that waits, stamped by the cluster clock
 *                                                                                │ committed, applied
 *     done(reply) <──────────── proposer_replied, found by the origin <──────────┘
 *
 * Every command carries its origin (node, boot, sequence). What has no reply yet is sent again when the leader or the connection to it changes; apply
 * drops the repeats. A command waits for a leader until its deadline and is then answered with PROPOSAL_UNAVAILABLE: it may still be applied.
 *
 * One thread; no I/O but through the driver and one port.
 */
#ifndef CONSENSUS_PROPOSER_H
#define CONSENSUS_PROPOSER_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/cluster_clock.h"
#include "consensus/driver/driver.h"
#include "consensus/machine/base/span.h"
#include "consensus/machine/schema/schema.pb-c.h"
#include "consensus/transport/transport.h"

/* Entries that may be proposed and not yet committed; beyond it commands wait and share the next entry. */
#define PROPOSER_INFLIGHT_ENTRIES_MAX 4
/* Commands waiting on a leader, those of its followers included. */
#define PROPOSER_QUEUE_SIZE_BYTES_MAX (64u << 20)
/* A forwarded command without a reply is sent again after this long. */
#define PROPOSER_RESEND_MS 1000

enum proposal_outcome {
    PROPOSAL_APPLIED,     /* `reply` is the packed Reply */
    PROPOSAL_UNAVAILABLE, /* no reply by the deadline, or the reply was lost in a snapshot */
    PROPOSAL_OVERLOADED,  /* not taken: too many are under way */
    PROPOSAL_TOO_LARGE,   /* not taken: packed, with its origin, it is larger than LIMIT_COMMAND_SIZE_BYTES */
    PROPOSAL_STOPPED      /* this node takes nothing any more */
};

typedef void (*proposal_done)(void *argument, enum proposal_outcome outcome, struct span reply);

struct proposer_ports {
    void *context;
    uint64_t (*now_ms)(void *context); /* monotonic */
    uint64_t (*boottime_ms)(void *context);
    uint64_t (*wall_ms)(void *context);
    bool (*send)(void *context, uint64_t peer, enum frame_type type, struct span head, struct span tail);
};

struct proposer;

/* `driver` and `clock` stay the caller's and must outlive it. */
struct proposer *proposer_new(uint64_t node, uint64_t boot, const struct proposer_ports *ports, struct driver *driver,
                              struct cluster_clock *clock);
void proposer_free(struct proposer *proposer); /* without calling back */

/* Gives the command its origin and takes it, packed, until `deadline_ms`; one that has passed already: it goes nowhere. `done` is called exactly once, never from inside this call. */
void proposer_submit(struct proposer *proposer, Tocsin__Command *command, uint64_t deadline_ms, proposal_done done,
                     void *argument);

/* A command of the leader's own, without origin or reply: dropped (false) when this node does not lead, or it is larger than
 * LIMIT_COMMAND_SIZE_BYTES. */
bool proposer_submit_own(struct proposer *proposer, const Tocsin__Command *command);

/* Commands forwarded by a follower; those that the machine does not know are left out. */
void proposer_frame(struct proposer *proposer, uint64_t peer, struct span body);

/* An applied entry answered a command of this origin. */
void proposer_replied(struct proposer *proposer, uint64_t node, uint64_t boot, uint64_t sequence, bool repeated,
                      struct span reply);

/* Leader, term or the connection to a peer changed: what has no reply is sent again. */
void proposer_changed(struct proposer *proposer);

/* At the end of each turn of the loop, and when the commit index rose: proposes what waits, sends what is forwarded, ends what is overdue. */
void proposer_turn(struct proposer *proposer);
uint64_t proposer_next_tick_ms(const struct proposer *proposer);

/* This node's storage failed: everything waiting and coming is answered with PROPOSAL_STOPPED. */
void proposer_stop(struct proposer *proposer);

struct proposer_statistics {
    uint64_t submitted, applied, unavailable, overloaded, forwarded, entries, commands;
    uint64_t refused; /* commands too large, and of followers those that the machine does not know */
    size_t pending, queued_bytes;
};
struct proposer_statistics proposer_statistics(const struct proposer *proposer);

#endif
