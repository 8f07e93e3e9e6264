/*
 * The disk side of one node: the real stores and their writers, opened and checked as a node does at its start, and
 * driven one step at a time.
 *
 * Nothing here depends on the time of day or on the order in which threads run: the writers' clock stands still but for
 * crash_node_idle, and each step waits for what it asked for. The first thing that is wrong stays in `complaint`; the
 * steps after it do nothing.
 */
#ifndef TESTS_CRASH_CRASH_NODE_H
#define TESTS_CRASH_CRASH_NODE_H

#include "storage/log_writer.h"
#include "storage/state_writer.h"
#include "tests/crash/chance.h"
#include "tests/crash/ledger.h"
#include "tests/crash/promise.h"
#include "tests/support/wake_bell.h"

#define CRASH_MAP_SIZE_BYTES ((size_t)1 << 28)

struct crash_node {
    char dir[300];
    struct ledger *ledger;
    const char *peer_snapshot; /* the file that a peer sends when the log cannot rebuild the state; NULL: none */
    bool forgets_recovering;   /* sabotage: what must be caught up on before a vote is not written down */
    bool claims_early;         /* sabotage: a commit counts as durable before a sync has followed it */
    struct log_history history;
    size_t start_model; /* what the log was found to be at the last start */
    uint64_t start_index; /* and the state's index */
    uint64_t boot;        /* number of the start */
    struct wake_bell log_bell, state_bell;
    struct log_store *log;
    struct log_writer *log_writer;
    struct state_store *state;
    struct state_writer *state_writer;
    uint64_t ticket, submitted, durable_index; /* submitted: the last index given to the state's writer */
    struct state_progress progress;
    char complaint[512];
};

void crash_node_init(struct crash_node *node, const char *dir, struct ledger *ledger);
void crash_node_close(struct crash_node *node);

/*
 * Opens what is on the disk, by the rules of a node's start (node/, consensus/driver/driver_start.c), and holds it against the
 * promise; the numbers in it are of models of node->history. A damaged state is rebuilt: from the log, or from the
 * peer's snapshot when the log does not reach back.
 */
void crash_node_start(struct crash_node *node, const struct promise *promise);
/* An orderly end. */
void crash_node_stop(struct crash_node *node);

/* Hands one operation to the log's writer; crash_node_log_wait waits until all of them are durable. The entries are
 * borrowed. */
void crash_node_log_begin(struct crash_node *node, struct log_operation operation);
void crash_node_log_wait(struct crash_node *node);
void crash_node_log(struct crash_node *node, struct log_operation operation);

/* The log's entries up to `index` are applied, in the transaction that is open. */
void crash_node_apply(struct crash_node *node, uint64_t index);
void crash_node_commit_begin(struct crash_node *node);
void crash_node_commit_wait(struct crash_node *node);
/* Commits what is applied, and lets the time pass after which an idle writer syncs. */
void crash_node_idle(struct crash_node *node);

void crash_node_take_snapshot(struct crash_node *node);
/* The peer's snapshot comes in pieces, is checked and put in the state's place; then the log begins behind it. */
void crash_node_fetch_snapshot(struct crash_node *node);

/* Applies what the log has of what is agreed upon; the state must be what the ledger says. */
void crash_node_replay(struct crash_node *node);
/* Votes, takes in a few more entries, applies, prunes: what was found must also carry on. */
void crash_node_carry_on(struct crash_node *node);

/* Entries at the end of the log that are agreed upon: the index of the last one. */
uint64_t crash_node_agreed(const struct crash_node *node);

#endif
