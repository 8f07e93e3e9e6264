/*
 * What the driver's files share.
 *
 *     driver.c             steps, and what follows a step: driver_step, driver_settle
 *     driver_start.c       from disk to RAFT_START
 *     driver_receive.c     messages and snapshots from peers
 *     driver_send.c        messages to peers, held until the vote is durable
 *     driver_write.c       log writes, their tickets, snapshots being installed, compaction
 *     driver_membership.c  changes of the configuration, catch-up, transfer
 *     driver_log.c         the view of the log;  guards.c  the guards
 */
#ifndef CONSENSUS_DRIVER_DRIVER_INTERNAL_H
#define CONSENSUS_DRIVER_DRIVER_INTERNAL_H

#include "consensus/driver/driver.h"
#include "consensus/driver/driver_log.h"
#include "consensus/members.h"

/* A member whom the leader has not heard for this many election timeouts counts as dead (guard 8). */
#define DRIVER_DEAD_ELECTION_TIMEOUTS 3u
/* Messages that wait for the vote; beyond that they are dropped, as a network may. */
#define DRIVER_OUTBOX_MAX 4096u

/* A log write that is not known to be durable, and what it may report then. */
struct driver_write {
    uint64_t ticket;
    uint64_t last; /* 0: nothing any more */
};

struct driver_outgoing {
    struct driver_outgoing *next;
    uint64_t after_ticket; /* leaves when this one is durable */
    uint64_t peer;
    struct raft_message message;
    struct entry *entries[]; /* message.append_entries.n_entries, one reference each */
};

/* What the leader knows of a member beside the core's progress; forgotten at each election. */
struct driver_peer {
    uint64_t id;
    uint64_t heard_ms;  /* 0: not yet */
    uint64_t announced; /* commit index that it was told */
};

/* What the disk held, until RAFT_START has been stepped. */
struct driver_loaded {
    struct driver_position state; /* without its configuration */
    struct raft_configuration state_configuration;
    struct raft_configuration configuration; /* the latest, from the log or else the state */
    uint64_t first_index;
    struct raft_entry *entries;
    struct entry **changes; /* what `entries` points into */
    size_t entries_count, changes_count;
    uint64_t ticket; /* start when this one is durable (guard 6) */
};

struct driver {
    struct driver_options options;
    struct driver_ports ports;
    struct raft raft;
    struct driver_log log;
    struct driver_loaded *loaded; /* NULL once started */
    uint64_t now_ms, last_tick_ms;

    bool inside; /* a public call is under way: ports must not call back */
    bool failed, failure_reported;
    char reason[256];

    uint64_t last_ticket, durable_ticket;
    uint64_t vote_ticket, vote_term, vote_for; /* the last queued */
    struct driver_write *writes;               /* ring, oldest at writes_head */
    size_t writes_head, writes_count, writes_capacity;

    struct driver_outgoing *outbox, **outbox_tail;
    size_t outbox_count;
    struct entry **scratch; /* for one message's entries: going out ... */
    size_t scratch_capacity;
    struct raft_entry *received; /* ... and coming in, as the core wants them */
    size_t received_capacity;

    bool installing;
    struct raft_snapshot_metadata snapshot; /* the one being installed */
    bool install_waits;                     /* ... until this ticket is durable */
    uint64_t install_ticket;
    uint64_t reset_ticket;                  /* of the log, after the installation; 0 before */

    uint64_t commit_index;
    uint64_t handed_over_index;
    uint64_t barrier_index; /* of this term while leading */
    uint64_t leader_since_ms;
    struct driver_peer peers[MEMBERS_MAX];
    size_t peers_count;

    bool commit_unreported;
    struct {
        enum driver_role role;
        uint64_t term, leader_id;
    } reported;
};

/* ---- driver.c */

/* Begins a public call; false when the driver has stopped or not started: nothing may be done then. */
bool driver_enter(struct driver *driver);
/* Ends it: reports what changed. The only place from which the node may be called back into. */
void driver_leave(struct driver *driver);

/* The core broke its contract, or the disk did: stops for good. printf-like; returns false for the caller's
 * convenience. */
bool driver_stop(struct driver *driver, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Where the entries of an event come from, so that the core's answer can be turned into references. */
struct driver_source {
    const struct raft_entry *raft_entries;
    struct entry *const *entries;
    size_t count;
};

/* One raft_step, and in order: vote, entries, snapshot, messages. Non-zero only for RAFT_SUBMIT and RAFT_TRANSFER.
 * `update` and `source` may be NULL. */
int driver_step(struct driver *driver, struct raft_event *event, const struct driver_source *source,
                struct raft_update *update);
/* Role, commit index, apply; steps again where they ask for it. Follows each driver_step. */
void driver_settle(struct driver *driver);

/* Steps RAFT_SUBMIT with one entry; its reference stays the caller's. */
int driver_propose(struct driver *driver, struct entry *entry);

/* Tells the core that the change at `index` is committed (guard 4). */
void driver_confirm_change(struct driver *driver, uint64_t index);

/* ---- driver_start.c */
void driver_begin(struct driver *driver);
void driver_loaded_free(struct driver_loaded *loaded);

/* ---- driver_send.c */
void driver_send_update(struct driver *driver, const struct raft_update *update);
void driver_send_message(struct driver *driver, uint64_t peer, const struct raft_message *message);
void driver_send_durable(struct driver *driver);
void driver_send_commit(struct driver *driver);
void driver_send_close(struct driver *driver);
struct driver_peer *driver_peer(struct driver *driver, uint64_t id);

/* ---- driver_write.c */
void driver_write_vote(struct driver *driver, uint64_t term, uint64_t voted_for);
void driver_write_entries(struct driver *driver, const struct raft_update *update, const struct driver_source *source);
void driver_write_snapshot(struct driver *driver, struct raft_update *update);
void driver_write_reset(struct driver *driver, uint64_t first_index);

/* realloc or abort: what cannot be held cannot be answered for. */
void *driver_resize(void *memory, size_t count, size_t size_bytes);

#endif
