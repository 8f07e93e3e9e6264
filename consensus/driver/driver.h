/*
 * The raft driver: libraft's pure core (raft_step), wrapped so that its contract is kept and its defects cannot be
 * reached.
 *
 *                 receive, submit, timeout, completions
 *                              │
 *                        guards (guards.h)
 *                              │
 *                          raft_step
 *                              │
 *       vote ─> entries ─> snapshot ─> messages ─> role ─> commit ─> apply        always in this order
 *         │        │                       │                           │
 *     log writer (tickets, in order)   peers, once the vote is durable  state writer
 *
 * No I/O happens here: everything goes out through ports and comes back as calls, so the simulator runs this same
 * code. One thread. The core keeps terms only; the driver keeps the log's recent entries in memory and reads older
 * ones back through a port.
 */
#ifndef CONSENSUS_DRIVER_DRIVER_H
#define CONSENSUS_DRIVER_DRIVER_H

#include <raft.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/entry.h"

/* Where the state stands in the log, and the members as of there. */
struct driver_position {
    uint64_t index, term;
    uint64_t configuration_index;
    const void *configuration; /* encoded by raft_configuration_encode; NULL with size 0 for an empty state */
    size_t configuration_size_bytes;
};

struct driver_ports {
    void *context;

    /* Monotonic milliseconds. */
    uint64_t (*now_ms)(void *context);

    /*
     * Log writes: queued, carried out in order, each reported by driver_log_durable with its ticket. Tickets rise by
     * one. log_append drops what the log holds from first_index on, then adds; it takes references of its own.
     */
    void (*log_set_vote)(void *context, uint64_t ticket, uint64_t term, uint64_t voted_for);
    void (*log_append)(void *context, uint64_t ticket, uint64_t first_index, struct entry *const *entries,
                       size_t count);
    void (*log_reset)(void *context, uint64_t ticket, uint64_t first_index);
    void (*log_prune)(void *context, uint64_t ticket, uint64_t first_index);
    /* A durable entry, with one reference for the caller; NULL when it is not there (the driver then stops
     * the node). */
    struct entry *(*log_read)(void *context, uint64_t index);

    /* Sends to a peer, in order; may drop. Nothing of `message` or `entries` is kept. For RAFT_APPEND_ENTRIES
     * `entries` has message->append_entries.n_entries elements. Never called with RAFT_INSTALL_SNAPSHOT. */
    void (*send)(void *context, uint64_t peer, const struct raft_message *message, struct entry *const *entries);
    /* A peer needs a snapshot: of this state, as of now or newer than `at_least_index`. Repeated while it is under
     * way: ignored then. */
    void (*send_snapshot)(void *context, uint64_t peer, uint64_t term, uint64_t at_least_index);

    /* A committed entry, durable here, in index order. */
    void (*apply)(void *context, uint64_t index, struct entry *entry);
    /* Put the staged snapshot (given to driver_receive_snapshot) in the state's place, then call
     * driver_snapshot_installed. Called once the term in which it came is durable. What was handed to apply before is
     * finished or dropped by then. */
    void (*install_snapshot)(void *context, uint64_t index, uint64_t term);

    /* Role, term or leader changed. Called at the end of a step. */
    void (*changed)(void *context);
    /* The commit index rose: at the end of a step. NULL: nobody wants to know. */
    void (*committed)(void *context, uint64_t commit_index);
    /* The core must not be stepped again; `reason` is one sentence. The driver ignores every later call. */
    void (*failed)(void *context, const char *reason);
};

enum driver_role { DRIVER_UNAVAILABLE, DRIVER_FOLLOWER, DRIVER_CANDIDATE, DRIVER_LEADER };

struct driver_options {
    uint64_t id;
    const char *address; /* of this node as its peers know it */
    uint32_t election_timeout_ms;
    uint32_t heartbeat_ms;
    uint32_t snapshot_timeout_ms;
    uint32_t seed;
    uint32_t inflight_entries_max;
    size_t cache_size_bytes; /* of entries kept in memory for followers, beyond those not yet applied */
    uint32_t guards_off;     /* bits 1 << enum guard, for the tests that show what each guard is for; 0 otherwise */
};

/* What the disk held at the start. */
struct driver_start {
    uint64_t term, voted_for;
    struct driver_position state;
    uint64_t first_index, last_index; /* of the log; last = first - 1 when it is empty; read through log_read */
};

struct driver;

/*
 * Starts from disk. NULL with a sentence in `error` when the pieces contradict each other. Steps RAFT_START: the log's
 * ports and apply may be called before it returns, changed, committed and failed are not. The start of a sole voter
 * waits until log_set_vote is durable (guard 6); until then the role is DRIVER_UNAVAILABLE.
 */
struct driver *driver_new(const struct driver_options *options, const struct driver_ports *ports,
                          const struct driver_start *start, char *error, size_t error_size);
void driver_free(struct driver *driver);

/* The encoded first configuration: the same bytes on every node that bootstraps with the same members (all voters).
 * Freed with raft_free. */
int driver_first_configuration(const uint64_t *ids, const char *const *addresses, size_t count, void **data,
                               size_t *size_bytes);

/* When driver_tick must be called next, on the clock of now_ms. Read it again after every call into the driver. */
uint64_t driver_next_tick_ms(const struct driver *driver);
void driver_tick(struct driver *driver);

/* A message from a peer; the transport has made sure of order and session (guard 9). Entries are referenced
 * when kept. */
void driver_receive(struct driver *driver, uint64_t peer, const struct raft_message *message,
                    struct entry *const *entries);
/* A snapshot from a leader of `term`, staged and verified; `position` is read from its file. */
void driver_receive_snapshot(struct driver *driver, uint64_t peer, uint64_t term,
                             const struct driver_position *position);
void driver_snapshot_installed(struct driver *driver);

/* Every log write up to the ticket is durable. */
void driver_log_durable(struct driver *driver, uint64_t ticket);
/* A write failed, or the state cannot be kept: stops for good, through ports.failed. */
void driver_fail(struct driver *driver, const char *reason);

enum driver_error {
    DRIVER_OK = 0,
    DRIVER_NOT_LEADER,
    DRIVER_BUSY,    /* a change or transfer is under way, or the leader is not ready for one (guards 4, 5, 8) */
    DRIVER_REFUSED, /* a change that guard 8 never allows, an entry that is too large */
    DRIVER_STOPPED
};

/* Proposes one entry of type ENTRY_COMMAND in the current term; takes over one reference. On success *index and *term
 * are its place. */
enum driver_error driver_submit(struct driver *driver, struct entry *entry, uint64_t *index, uint64_t *term);

/* Proposes another configuration: one server per change. */
enum driver_error driver_change(struct driver *driver, const struct raft_configuration *configuration);
/* Lets a learner catch up, in rounds; nothing else changes meanwhile. To be called again now and then until that has ended: in a quiet
 * cluster the rounds need something to acknowledge. */
enum driver_error driver_catch_up(struct driver *driver, uint64_t id);
/* 0: the driver chooses the most advanced voter. */
enum driver_error driver_transfer(struct driver *driver, uint64_t id);

/* The state is durable up to `position`: the log below it, less `trailing` entries, may go. */
void driver_compact(struct driver *driver, const struct driver_position *position, uint64_t trailing);

struct driver_status {
    enum driver_role role;
    bool ready; /* leader whose own barrier of this term is committed */
    bool failed;
    bool transferring; /* leads, and lets another voter lead: nothing can be proposed until that has ended, within an election's timeout */
    bool installing; /* a snapshot: from when it was taken until its end; what is staged must not be overwritten */
    uint64_t term, leader_id; /* leader 0: none known */
    uint64_t commit_index, last_index, durable_index, handed_over_index; /* the last: given to apply */
    uint64_t barrier_index;   /* of this term while leading */
    uint64_t first_index;
    uint64_t inflight_entries; /* proposed here and not yet committed */
    uint64_t cached_bytes;
};
struct driver_status driver_status(const struct driver *driver);
/* Of these, one by one, what is asked several times in each turn. */
enum driver_role driver_role(const struct driver *driver);
uint64_t driver_term(const struct driver *driver);
uint64_t driver_leader_id(const struct driver *driver);
uint64_t driver_commit_index(const struct driver *driver);

/* The members: valid until the next call into the driver. */
const struct raft_configuration *driver_configuration(const struct driver *driver);
/* Whether its latest change is not known to be committed. */
bool driver_changing(const struct driver *driver);
enum driver_catching_up { DRIVER_CATCH_UP_NONE, DRIVER_CATCH_UP_RUNNING, DRIVER_CATCH_UP_GIVEN_UP, DRIVER_CATCH_UP_DONE };
/* How a learner's catching up goes, or how it ended, while leading; NONE otherwise. */
enum driver_catching_up driver_catching_up(const struct driver *driver, uint64_t id);
/* Progress of a member while leading; false otherwise. */
bool driver_match_index(const struct driver *driver, uint64_t id, uint64_t *index);

#endif
