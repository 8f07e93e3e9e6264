/*
 * A cluster of drivers in memory, on virtual time, with everything around them that may go wrong: disks that are slow
 * or lose what was not synced, links that lose, delay and break, states that lag behind, snapshots.
 *
 *     driver ── ports ──> write queue ──> disk      (a crash keeps any prefix of the queue)
 *                    └──> links: in order within a session, none of an older session; raft messages as codec bytes
 *                    └──> state: a hash chain; durable now and then; a crash goes back to what was
 *
 * In manual mode nothing happens by itself: a test moves time, disks and messages. Otherwise harness_run plays events
 * in the order of their times, and one seed gives one run.
 */
#ifndef TESTS_SUPPORT_RAFT_HARNESS_H
#define TESTS_SUPPORT_RAFT_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/driver/driver.h"
#include "tests/support/raft_checks.h"

#define HARNESS_NODES_MAX 7u
#define HARNESS_CONFIGURATION_SIZE_MAX 512u

#define HARNESS_ELECTION_TIMEOUT_MS 300u
#define HARNESS_HEARTBEAT_MS 50u

/* Stands for the machine's state. */
struct harness_state {
    uint64_t index, term, configuration_index, hash;
    size_t configuration_size_bytes;
    uint8_t configuration[HARNESS_CONFIGURATION_SIZE_MAX];
};

struct harness_log {
    uint64_t first, last; /* last = first - 1: empty */
    struct entry **entries;
    size_t capacity;
};

struct harness_write;

struct harness_node {
    struct harness *harness;
    uint64_t id;
    char address[16];
    bool up;
    struct driver *driver;
    char failure[256]; /* why the driver stopped; "" */

    struct { /* survives a crash */
        uint64_t term, voted_for;
        struct harness_log log;
        struct harness_state state;
    } disk;

    struct harness_log view; /* what the driver was told to write, durable or not */
    struct harness_state state;
    struct harness_write *writes, **writes_tail;
    bool disk_held;        /* manual mode: its writes do not complete */
    uint64_t slow_until_ms;
    uint64_t frozen_until_ms; /* by itself: the process stands still, and what is sent to it meanwhile is lost */
    bool has_staged, installing;
    struct harness_state staged;
    uint64_t install_done_ms;
    uint64_t commit_told;
    uint64_t ticks_in_place; /* without time moving: a spin */
    uint64_t last_tick_ms;
};

struct harness_message;

/* What happened in a run. */
#define HARNESS_COUNTS(X)                                                                                              \
    X(elections) X(commits) X(snapshots) X(compactions) X(changes) X(promotions) X(transfers) X(crashes)

struct harness_counts {
#define X(name) uint64_t name;
    HARNESS_COUNTS(X)
#undef X
};

struct harness {
    uint64_t seed, random;
    bool manual;
    uint64_t now_ms;
    unsigned nodes_count;
    struct harness_node nodes[HARNESS_NODES_MAX + 1]; /* by id; 0 unused */
    uint32_t guards_off;
    size_t cache_size_bytes;
    bool peers_lie; /* only what a node owes by itself is checked: not that logs match, and a driver may stop */
    struct raft_checks *checks;

    bool cut[HARNESS_NODES_MAX + 1][HARNESS_NODES_MAX + 1];
    uint64_t session[HARNESS_NODES_MAX + 1][HARNESS_NODES_MAX + 1];
    uint64_t link_last_ms[HARNESS_NODES_MAX + 1][HARNESS_NODES_MAX + 1];
    uint64_t snapshot_until_ms[HARNESS_NODES_MAX + 1][HARNESS_NODES_MAX + 1];
    unsigned loss_permille, delay_ms_max;
    struct harness_message **heap;
    size_t heap_count, heap_capacity;
    uint64_t messages_sent;
    uint64_t payload;

    /* Manual mode: sees each raft message as it is sent, may shorten it, and drops it by returning false. */
    bool (*on_send)(void *context, uint64_t from, uint64_t to, struct raft_message *message,
                    struct entry *const *entries);
    void *on_send_context;

    /* Either mode: a node was given a committed entry; a node's role, term or leader changed. */
    void (*on_apply)(void *context, uint64_t id, uint64_t index, struct entry *entry);
    void (*on_changed)(void *context, uint64_t id);
    void *on_node_context;

    struct harness_counts counts;
};

struct harness *harness_new(uint64_t seed, unsigned nodes_count);
void harness_free(struct harness *harness);

/* Writes the first configuration into the logs of its members: the first `voters` nodes vote, the next `learners` are
 * stand-bys. */
void harness_bootstrap(struct harness *harness, unsigned voters, unsigned learners);

uint64_t harness_random(struct harness *harness, uint64_t below);
bool harness_chance(struct harness *harness, unsigned permille);

struct harness_node *harness_node(struct harness *harness, uint64_t id);
struct driver_status harness_status(struct harness *harness, uint64_t id);
/* Leader of the highest term among those up; 0 when there is none. */
uint64_t harness_leader(struct harness *harness);

void harness_start(struct harness *harness, uint64_t id);
void harness_crash(struct harness *harness, uint64_t id);
void harness_restart(struct harness *harness, uint64_t id);

/* A command of the test's own making; DRIVER_NOT_LEADER when the node is down. */
enum driver_error harness_submit(struct harness *harness, uint64_t id);
/* The configuration of a node as it stands, to change and submit. Closed by the caller. */
void harness_copy_configuration(struct harness *harness, uint64_t id, struct raft_configuration *copy);
/* Submits that configuration with one member's role changed, or (role -1) without it, or with it added. */
enum driver_error harness_change(struct harness *harness, uint64_t leader, uint64_t id, int role);

/* What the state holds becomes durable. */
void harness_state_sync(struct harness *harness, uint64_t id);
/* ... and the log below it, less `trailing` entries, may go. */
void harness_compact(struct harness *harness, uint64_t id, uint64_t trailing);
struct driver_position harness_position(const struct harness_state *state);

void harness_cut(struct harness *harness, uint64_t from, uint64_t to, bool cut);
void harness_heal(struct harness *harness);

/* ---- by itself */

/* Until `end_ms` or the first violation; `act` is called about every `period_ms`, if given. */
void harness_run(struct harness *harness, uint64_t end_ms, uint64_t period_ms,
                 void (*act)(struct harness *harness, void *context), void *context);

/* ---- by hand */

/* Completes every write and installation of the nodes whose disk is not held. */
void harness_disks(struct harness *harness);
/* Moves time to the node's next tick, and ticks. */
void harness_tick(struct harness *harness, uint64_t id);
/* Delivers what is under way on the links named ("1-2 2-3", both ways; NULL: all), drops the rest, completes writes;
 * again for what that causes, up to `rounds` times. */
void harness_pump(struct harness *harness, const char *links, unsigned rounds);
/* Ticks of the node, each followed by pumping, until it leads. */
void harness_elect(struct harness *harness, uint64_t id, const char *links);
/* Heartbeats of the leader until everyone on the links has caught up. */
void harness_beat(struct harness *harness, uint64_t leader, const char *links, unsigned times);
/* As if `from` had sent it. */
void harness_inject(struct harness *harness, uint64_t from, uint64_t to, const struct raft_message *message,
                    struct entry *const *entries);

#endif
