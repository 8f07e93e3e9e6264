/*
 * The state machine: what every node does with every committed entry, in the same order, to the same bytes.
 *
 *     entry ──> machine_apply(store) ──> replies      to whoever asked, found by their origin
 *                                    ──> sends        notifications claimed for the proposer: work for its dispatcher
 *                                    ──> next due     when the leader must propose the next pulse
 *
 * Pure: no clock, no randomness, no sockets, no zones, no floating point. Total: an entry that decodes is applied; a command that
 * is not allowed changes nothing and is answered with a reason.
 */
#ifndef CONSENSUS_MACHINE_MACHINE_H
#define CONSENSUS_MACHINE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/schema/schema.pb-c.h"
#include "consensus/machine/store.h"

/* The version of the rules that this code follows; the state holds the one in force. */
#define MACHINE_VERSION 1u

enum machine_error {
    MACHINE_OK = 0,
    MACHINE_MALFORMED = -1,      /* the entry does not decode: damage, or an entry of another program */
    MACHINE_UNKNOWN_FIELD = -2,  /* a field or command that this version does not know: applying it would fork the state */
    MACHINE_NO_MEMORY = -3,
    MACHINE_TOO_OLD = -4         /* rules of a later version are in force, or come into force here: this node does not have them */
};

/* One sentence for each error. */
const char *machine_error_message(enum machine_error error);

struct machine_reply {
    uint64_t node, boot, sequence; /* the origin of the command that it answers */
    bool repeated;                 /* the command had been applied before and was dropped: the first reply counts */
    struct span packed;            /* a packed Reply */
};

struct machine_send {
    uint64_t claim_node, claim_boot, claim_term;
    uint64_t claim_boottime_ms;
    struct span packed; /* a packed Notification, claimed */
};

/*
 * What applying brought about. Owned by the caller, filled by machine_apply, which appends; the bytes belong to the output and
 * live until machine_output_reset.
 */
struct machine_output {
    struct machine_reply *replies;
    size_t replies_count, replies_capacity;
    struct machine_send *sends;
    size_t sends_count, sends_capacity;
    uint64_t time_ms;          /* cluster time of the last entry applied */
    uint64_t next_deadline_ms; /* due time of the first deadline, UINT64_MAX when there is none */
    uint64_t tick_ms;          /* how often the leader is to propose a TICK; 0 while there is no heartbeat */
    bool mutes_asked;          /* alerts wait for the leader to say whether a mute fits them */
    uint64_t commands_applied;
    struct machine_block *blocks; /* where the bytes live */
};

void machine_output_init(struct machine_output *output);
void machine_output_reset(struct machine_output *output); /* forget the contents, keep the memory for the next */
void machine_output_close(struct machine_output *output);

struct machine; /* scratch memory for applying; holds no state */

struct machine *machine_new(void);
/* For rehearsals of an upgrade: it passes for one of this version, MACHINE_VERSION or the next, whose rules are the same. */
void machine_set_version(struct machine *machine, uint32_t version);
void machine_free(struct machine *machine);

/*
 * Applies one entry of type ENTRY_COMMAND: `data` is a packed Entry. `term` is the entry's.
 * On error nothing more may be applied to this store: the caller drops its transaction and stops the node.
 */
enum machine_error machine_apply(struct machine *machine, const struct machine_store *store, uint64_t term,
                                 struct span data, struct machine_output *output);

/* The same of an entry of another type, which changes nothing: time, next deadline, tick and mutes as the state has them. */
void machine_pass(const struct machine_store *store, struct machine_output *output);

/* True when the packed command is one that this version applies. A leader asks before another node's command goes into an
 * entry: what no node understands would stop them all, for good. */
bool machine_knows(struct machine *machine, struct span command);

/* The version of the rules in force in this state. */
uint32_t machine_version(const struct machine_store *store);

/* Cluster time of the last applied entry, 0 for an empty state. */
uint64_t machine_last_time_ms(const struct machine_store *store);

/* Due time of the first deadline, UINT64_MAX when there is none. */
uint64_t machine_next_deadline_ms(const struct machine_store *store);

/* Whether alerts wait for MUTE_VERDICTS. */
bool machine_mutes_asked(const struct machine_store *store);

/* How often the leader is to propose a TICK, 0 while there is no heartbeat. */
uint64_t machine_tick_ms(const struct machine_store *store);

#endif
