/*
 * Inside the engine: what its parts share.
 *
 *     engine.c          beginning, frames, the turn, the end           engine_storage.c   driver and snapshots over the stores
 *     engine_duties.c   what a leader owes                             engine_view.c      what handlers and operators see
 */
#ifndef NODE_ENGINE_INTERNAL_H
#define NODE_ENGINE_INTERNAL_H

#include "consensus/cluster_clock.h"
#include "consensus/driver.h"
#include "consensus/proposer.h"
#include "consensus/read_barrier.h"
#include "consensus/snapshot_transfer.h"
#include "node/engine.h"
#include "notify/dispatcher.h"

/* What a peer said of itself in its last FRAME_CLOCK. */
struct peer_report {
    uint64_t id;
    uint64_t applied_index, machine_version, at_boottime_ms;
};

/* Work for this leader from an entry that was applied before its duties were taken up. */
struct held_send {
    uint64_t index, term;
    Tocsin__Notification *notification;
};

struct engine {
    struct engine_ports ports;
    const struct config *config;
    uint64_t boot;

    struct state_progress progress;
    uint64_t installed_seen;
    size_t log_queued_bytes;

    struct driver *driver;
    struct snapshot_transfer *snapshots;
    struct cluster_clock clock;
    struct proposer *proposer;
    struct read_barrier *reads;
    struct dispatcher *dispatcher;

    /* engine_storage.c */
    bool installing;                  /* a verified snapshot is on its way into the state's place */
    bool stage_refused;               /* a chunk came meanwhile: answered at the next turn */
    uint64_t stage_refused_offset;
    struct state_position compaction; /* goes as soon as it is durable */
    bool compaction_set;
    uint64_t average_entry_bytes;
    uint64_t last_ticket;                    /* of the log operations */
    uint64_t prune_index, pruned_from_index; /* the log is to begin there; where it began when the last step was sent */
    uint64_t recovering_index; /* this voter neither votes nor stands before its state covers it; 0: whole */
    uint64_t live_index;       /* entries beyond it were not in the log at the start */

    /* engine_duties.c */
    uint64_t next_deadline_ms;
    uint64_t pulse_after_index, pulse_sent_ms; /* a pulse is on its way while pulse_sent_ms is not 0 */
    uint64_t duties_term;                      /* in which the duties of a new leader were taken up */
    uint64_t outbox_index;                     /* the state that its look into the outbox saw */
    struct held_send *held;                    /* all of one term */
    size_t held_count, held_capacity;
    uint64_t clock_sent_ms, compaction_checked_ms;
    struct peer_report reports[CONFIG_MEMBERS_MAX * 2];
    unsigned reports_count;

    bool changed; /* role, term, leader or a connection: told at the next turn */
    bool failed;
    char failure[256];
};

/* The ports of that name; the context of each is the engine, so that they are the ports of its parts too. */
uint64_t engine_now_ms(void *context);
uint64_t engine_boottime_ms(void *context);
uint64_t engine_wall_ms(void *context);
bool engine_send(void *context, uint64_t peer, enum frame_type type, struct span head, struct span tail);

/* Stops for good: serves health and the reason, and nothing else. */
void engine_fail(struct engine *engine, const char *reason);

/* ---- engine_storage.c */
/* The first entry of a new cluster, into an empty log. */
bool engine_write_first_entry(struct engine *engine, char *error, size_t error_size);
struct driver *engine_driver_open(struct engine *engine, char *error, size_t error_size);
struct snapshot_transfer_ports engine_snapshot_ports(struct engine *engine);
void engine_storage_drain(struct engine *engine);
void engine_compact(struct engine *engine);
/* The state now covers what a recovering voter had acknowledged: it votes again. */
void engine_recovered(struct engine *engine);

/* ---- engine_duties.c */
void engine_applied(void *context, uint64_t index, uint64_t term, const struct machine_output *output);
void engine_release_held(struct engine *engine);
void engine_duties_turn(struct engine *engine);
uint64_t engine_duties_next_ms(const struct engine *engine);
void engine_clock_frame(struct engine *engine, uint64_t peer, struct span body);
struct dispatcher_ports engine_dispatcher_ports(struct engine *engine);
/* The term in which this node leads with its barrier applied and the state committed; 0 otherwise. */
uint64_t engine_leading_term(void *context);

#endif
