/*
 * A virtual cluster that takes commands and answers reads: raft_harness.h's drivers, with a proposer, a read barrier
 * and a cluster clock on each node, driven as node/engine/engine.c drives them.
 *
 *     write, read ─> proposer, read barrier ── frames ──> links of their own: delayed, lost, in order within a session
 *     driver ─ apply ─> what the machine said of the entry, a little later ─> replies, later the committed state
 *
 * One machine applies each entry once, when the first node gets it; what it said is handed out on every node, so that
 * repeats are told from news by the machine itself. Each write adds one user to the state: their number is a register
 * that only grows, and a current read must see at least what anybody was told before it began. What is wrong is noted
 * in the harness' checks.
 */
#ifndef TESTS_SUPPORT_COMMAND_CLUSTER_H
#define TESTS_SUPPORT_COMMAND_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/proposer.h"
#include "consensus/read_barrier.h"
#include "tests/support/raft_harness.h"

struct command_cluster;

/* One write and what became of it. The cluster's; lives as long as it. */
struct command_write {
    struct command_cluster *cluster;
    uint64_t number, node;
    uint64_t asked_ms, deadline_ms, answered_ms;
    bool lost; /* its node crashed before it answered */
    unsigned answers;
    enum proposal_outcome outcome;
    unsigned applied; /* how often: 0 or 1 */
    uint64_t applied_index, applied_order, user_id;
};

struct command_read {
    struct command_cluster *cluster;
    uint64_t node;
    uint64_t asked_ms, answered_ms;
    uint64_t required; /* what the register must show */
    bool lost;
    unsigned answers;
    bool stale;
    uint64_t seen;
};

struct command_node {
    struct command_cluster *cluster;
    uint64_t id, boot;
    struct proposer *proposer;
    struct read_barrier *reads;
    struct cluster_clock clock;
    int64_t wall_skew_ms;
    uint64_t handed_index, applied_index, committed_index; /* given by the driver; in the state; and committed there */
    bool state_held;  /* its state stands still */
    bool commit_held; /* its state is applied but not committed */
    bool changed, woken, commit_wanted;
    unsigned turns_in_vain;
    struct driver_status told;
    uint64_t links; /* a sum over sessions and cuts, to see them change */
};

struct command_history; /* what the machine said of each entry */
struct command_frame;

struct command_cluster {
    struct harness *harness;
    struct command_node nodes[HARNESS_NODES_MAX + 1];
    struct command_history *history;
    struct command_frame *frames;
    size_t frames_count, frames_capacity;
    uint64_t frame_last_ms[HARNESS_NODES_MAX + 1][HARNESS_NODES_MAX + 1];
    unsigned frame_loss_permille;
    unsigned frame_delay_ms; /* on top of the harness' random one */

    /* Sees each frame as it is sent, and may change it; false loses it. */
    bool (*on_frame)(struct command_cluster *cluster, enum frame_type type, uint8_t *body);

    struct command_write **writes;
    size_t writes_count, writes_capacity;
    struct command_read **reads;
    size_t reads_count, reads_capacity;
    uint64_t floor;   /* the highest register that anybody was told */
    bool inside_call; /* no callback may come now */
    uint64_t frames_sent[16]; /* by type */
};

/* All nodes are voters, and up. */
struct command_cluster *command_cluster_new(uint64_t seed, unsigned nodes_count);
void command_cluster_free(struct command_cluster *cluster);

void command_cluster_start(struct command_cluster *cluster, uint64_t id);
void command_cluster_crash(struct command_cluster *cluster, uint64_t id);
/* Nobody hears it, and it hears nobody; until harness_heal. */
void command_cluster_isolate(struct command_cluster *cluster, uint64_t id);

/* Virtual time goes on; `act` each millisecond, if given. Ends early at the first violation. */
void command_cluster_run(struct command_cluster *cluster, uint64_t duration_ms,
                         void (*act)(struct command_cluster *cluster));
/* Until a leader is ready, which is returned; 0 when there is none after some seconds. */
uint64_t command_cluster_lead(struct command_cluster *cluster);
/* A node that does not lead. */
uint64_t command_cluster_follower(struct command_cluster *cluster);

/* `padding` bytes of text in the command. The node must be up. */
struct command_write *command_cluster_write(struct command_cluster *cluster, uint64_t id, uint64_t patience_ms,
                                            size_t padding);
struct command_read *command_cluster_read(struct command_cluster *cluster, uint64_t id);

/* The register in the state as of an index. */
uint64_t command_cluster_register(const struct command_cluster *cluster, uint64_t index);
/* The frame of a FRAME_FORWARD with `count` commands of `size_bytes` each, of no origin. Freed by the caller. */
uint8_t *command_cluster_bulk(size_t count, size_t size_bytes, size_t *frame_size_bytes);

#endif
