/*
 * Inside the engine: what its parts share.
 *
 *     engine.c          beginning, frames, the turn, the end           engine_storage.c   driver and snapshots over the stores
 *     engine_duties.c   what a leader owes                             engine_view.c      what handlers and operators see
 *     engine_tokens.c   the first token, and the one for whoever has a shell
 *     engine_members.c  who takes part, and whom to dial             engine_gasp.c      paging without a majority
 *     engine_doctor.c   for whoever has a shell here                  engine_outer.c     outside URLs hear that all is well
 *     engine_probes.c   this node asks its providers               engine_watch.c     nodes watch each other
 */
#ifndef NODE_ENGINE_ENGINE_INTERNAL_H
#define NODE_ENGINE_ENGINE_INTERNAL_H

#include "consensus/cluster_clock.h"
#include "consensus/driver/driver.h"
#include "consensus/proposer.h"
#include "consensus/read_barrier.h"
#include "consensus/snapshot_transfer.h"
#include "consensus/transport/wire.h"
#include "node/engine/certificates.h"
#include "node/engine/conditions.h"
#include "node/engine/engine.h"
#include "node/engine/provider_conditions.h"
#include "node/last_gasp/last_gasp.h"
#include "notify/dispatcher.h"

/* What a peer said of itself in its last FRAME_CLOCK. */
struct peer_report {
    uint64_t id;
    uint64_t applied_index, machine_version, at_boottime_ms;
    struct vitals vitals;
};

#define ENGINE_WATCH_LOOKS 4u

struct engine_watch {
    uint64_t term; /* of the leader that looks */
    uint64_t looked_ms, interval_ms;
    uint64_t applied_before[ENGINE_WATCH_LOOKS]; /* what it had applied at its last looks, the oldest first */
    struct conditions conditions;
    struct provider_conditions providers;
};

#define ENGINE_FAREWELLS_MAX 8u

struct peer_list {
    uint64_t ids[ENGINE_PEERS_MAX];
    char *addresses[ENGINE_PEERS_MAX];
    unsigned count;
};

/* A record as it was stored when it was last read. */
struct engine_row {
    uint8_t *data;
    size_t size_bytes;
};

struct engine_members {
    Tocsin__Members *wanted; /* as the state had it at read_index; NULL: nobody has written it down */
    uint32_t state_version;  /* of the rules in force, likewise */
    bool was_read;
    uint64_t read_index;
    struct engine_row wanted_row, settings_row; /* what `wanted` and `state_version` were read from */
    struct peer_list peers;  /* whom this node dials */
    struct peer_list hints;  /* the members as told by a node that had applied hints_index */
    uint64_t hints_index;
    struct {
        uint64_t id, heard_ms;
    } farewells[ENGINE_FAREWELLS_MAX]; /* removed nodes that called */
    unsigned farewells_count;
    uint64_t next_ms, led_term;
    uint64_t submitted_ms, raised_ms, tried_ms, tried_id, handed_over_ms; /* of the leader's steps, the last of each */
};

/* Work for this leader from an entry that was applied before its duties were taken up. */
struct held_send {
    uint64_t index, term;
    Tocsin__Notification *notification;
};

/* Transfers that tell nobody, with LAST_GASP_TRANSFER not set: of the outer heartbeat. */
#define OUTER_TRANSFER (1ull << 61)

/* engine_outer.c */
struct engine_outer {
    uint64_t round, begun_ms;        /* number of the round, 0: none yet; monotonic */
    bool running;
    uint32_t used;                   /* channels by their place in channels_all, that somebody could be told by: a guardian, or a person's contact method */
    uint32_t usable, asked, reached; /* ... of these: which this node can use; whose provider has not answered yet; has answered */
    uint32_t askable;                /* ... whose provider can be asked at all */
    uint32_t refused;                /* ... refuses this node's credentials */
    bool probe_waits;
    uint64_t probe_id;               /* the notification that it made; 0: not committed in time */
    uint64_t probe_index;            /* what was applied when its reply came */
    uint64_t looked_index;           /* ... when the outbox was looked at for it */
    bool probe_ended;                /* it was claimed, handed on, its receipt committed, and all of it is in the state */
    const char *why;                 /* the last round's fault; NULL: it passed */
    struct outer_standing {
        uint64_t last_ping_ms; /* wall clock; 0: never by this node */
        char error[64];        /* of the last ping; "": it was taken */
    } standings[OUTER_MAX];
};

/* engine_certificates.c: transfers that tell nobody likewise, with neither LAST_GASP_TRANSFER nor OUTER_TRANSFER set */
#define CERTIFICATE_TRANSFER (1ull << 62)
#define ENGINE_CERTIFICATES_MAX (1 + CONFIG_MEMBERS_MAX + OUTER_MAX + 3)

struct engine_certificates {
    uint64_t term;               /* of the leader that looks */
    uint64_t transfer, looks;    /* under way, 0: none; numbers them */
    struct certificate list[ENGINE_CERTIFICATES_MAX];
    unsigned count;
};

/* engine_probes.c: transfers that tell nobody likewise, with none of the above set */
#define PROBE_TRANSFER (1ull << 60)
#define PROBE_WHY_SIZE 192u

/* Of a provider, at the place in channels_all of the first channel that goes through it. */
struct engine_probe {
    uint64_t transfer;         /* under way, 0: none */
    uint64_t next_ms;          /* monotonic */
    uint64_t answered_ms;      /* wall clock; 0: never asked, or not since somebody could be told by it */
    uint64_t failing_since_ms; /* monotonic; 0: the last question was not left open */
    unsigned failures, refusals; /* in a row */
    char why[PROBE_WHY_SIZE];  /* of the last that went badly */
};

struct engine_probes {
    uint64_t count;            /* numbers them */
    uint64_t next_ms;          /* monotonic: nothing is to be asked before */
    uint32_t used;             /* places of the channels that somebody could be told by, at the last look */
    struct engine_probe list[CHANNELS_MAX];
};

/* A read that waits for the next turn. */
struct later_read {
    void (*done)(void *argument, const struct machine_store *view, bool stale);
    void *argument;
};

struct engine {
    struct engine_ports ports;
    const struct config *config;
    uint64_t boot;
    uint32_t machine_version;

    struct state_progress progress;
    uint64_t installed_seen;
    size_t log_queued_bytes;

    struct driver *driver;
    struct snapshot_transfer *snapshots;
    struct cluster_clock clock;
    struct proposer *proposer;
    struct read_barrier *reads;
    struct owed_answer *owed_answers; /* engine_view.c: to requests whose command or read waits */
    struct later_read *later_reads; /* engine_view.c: the next turn's */
    size_t later_reads_count, later_reads_capacity;
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
    uint64_t tick_ms, tick_sent_ms; /* how often a tick is wanted, 0: never; of the last one */
    uint64_t pulse_after_index, pulse_sent_ms; /* a pulse is on its way while pulse_sent_ms is not 0 */
    bool mutes_asked;                          /* engine_mutes.c: alerts wait for verdicts */
    uint64_t verdicts_after_index, verdicts_sent_ms, verdicts_looked_ms; /* on their way while verdicts_sent_ms is not 0 */
    struct mute_set *mutes;                    /* compiled, of some revision; NULL: not yet */
    uint64_t duties_term;                      /* in which the duties of a new leader were taken up */
    uint64_t outbox_index;                     /* the state that its look into the outbox saw */
    struct held_send *held;                    /* all of one term */
    size_t held_count, held_capacity;
    uint64_t clock_sent_ms, compaction_checked_ms, horizon_checked_ms;
    uint64_t schedule_horizon_id;  /* the schedule that was rendered last; 0: all that were due are */
    uint64_t heartbeat_horizon_id; /* the heartbeat whose schedule was looked at last */
    uint64_t window_horizon_id;    /* the maintenance window, likewise */
    struct peer_report reports[CONFIG_MEMBERS_MAX * 2];
    unsigned reports_count;

    struct engine_watch watch; /* engine_watch.c */
    struct provider_hand_over handed_over; /* when this node led last and had no way out */
    uint64_t handed_over_slow_ms; /* ... or was slower to apply than the others to commit; 0: never */
    uint64_t behind_index, behind_since_ms; /* committed and not applied here, since then; 0: there is none */
    struct vitals vitals;      /* what stays as it was at the start */

    struct last_gasp *gasp;                 /* engine_gasp.c */
    uint64_t gasp_next_ms;                  /* boottime */
    uint64_t configuration_warned_ms;           /* monotonic */
    uint64_t leader_heard_ms;               /* boottime: a raft message of the leader, or to the leader */
    uint64_t asked_ms;                      /* members' public addresses, last */
    uint32_t asked;                         /* which of them have not answered yet, by their place in the configuration */

    struct engine_outer outer;
    struct engine_certificates certificates;
    struct engine_probes probes;
    struct engine_members members; /* engine_members.c */
    bool joining;                  /* no configuration has named this node yet */
    bool removed;                  /* a peer said so */

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
/* ---- engine_view.c: reads that waited for this turn */
void engine_later_reads_turn(struct engine *engine);
/* What waits is never answered: after whatever would answer it is gone. */
void engine_view_close(struct engine *engine);
/* ---- engine_mutes.c, while leading */
void engine_mutes_turn(struct engine *engine);
uint64_t engine_mutes_next_ms(const struct engine *engine);
/* ---- engine_duties.c */
void engine_clock_frame(struct engine *engine, uint64_t peer, struct span body);
struct dispatcher_ports engine_dispatcher_ports(struct engine *engine);
/* ---- engine_members.c */
/* After each frame and each turn, before anything is acknowledged. */
void engine_members_check_join(struct engine *engine);
/* The same for a snapshot, before it is: false when this node must stop instead. */
bool engine_members_may_take(struct engine *engine, const struct driver_position *position);
/* False: the peer was removed from the cluster, what it says is nobody's. */
bool engine_members_hear(struct engine *engine, uint64_t peer);
void engine_members_removed(struct engine *engine, uint64_t peer, struct span body);
/* The members, for a peer that may be far behind; at most `size_bytes`. */
#define ENGINE_MEMBERS_SIZE_BYTES_MAX 8192u
size_t engine_members_encode(const struct engine *engine, uint8_t *out, size_t size_bytes);
void engine_members_hint(struct engine *engine, struct wire_reader *reader, uint64_t applied_index);
void engine_members_turn(struct engine *engine, uint64_t term);
uint64_t engine_members_next_ms(const struct engine *engine);
void engine_members_close(struct engine *engine);

/* ---- engine_gasp.c */
void engine_gasp_open(struct engine *engine, struct span record, uint64_t remembered_ms);
void engine_gasp_raft_frame(struct engine *engine, uint64_t peer);
bool engine_hears_leader(struct engine *engine);
void engine_gasp_turn(struct engine *engine);
void engine_gasp_answered(struct engine *engine, uint64_t transfer_id, const struct answer *answer);
/* There is no majority, and this command is one of those that are kept, or told of, when they cannot be committed. */
bool engine_gasp_takes(const struct engine *engine, const Tocsin__Command *command);
/* It could not be committed. True when this node keeps what it says until it can. */
bool engine_gasp_keep(struct engine *engine, const Tocsin__Command *command);
/* Calls `with` once, inside a short read of the local state; not when it cannot be read: the node then stops. */
void engine_gasp_look(struct engine *engine, void (*with)(void *argument, const struct machine_store *view), void *argument);
json_t *engine_gasp_json(const struct engine *engine);
json_t *engine_gasp_rehearse(void *context);
/* ---- engine_outer.c */
void engine_outer_answered(struct engine *engine, uint64_t transfer_id, const struct answer *answer);
/* `term`: of engine_leading_term. */
void engine_outer_turn(struct engine *engine, uint64_t term);
uint64_t engine_outer_next_ms(const struct engine *engine); /* monotonic; UINT64_MAX when none is configured */
json_t *engine_outer_json(struct engine *engine);
/* The channels, by their place in channels_all, that somebody could be told by: a guardian, or a person in the state. About 10 ms. */
uint32_t engine_ways_used(struct engine *engine);
/* ---- engine_certificates.c */
void engine_certificates_answered(struct engine *engine, uint64_t transfer_id, const struct answer *answer);
/* `term`: of engine_leading_term. */
void engine_certificates_turn(struct engine *engine, uint64_t term);
uint64_t engine_certificates_next_ms(const struct engine *engine); /* monotonic */
/* ---- engine_probes.c */
void engine_probes_answered(struct engine *engine, uint64_t transfer_id, const struct answer *answer);
void engine_probes_turn(struct engine *engine);
/* Providers, by their places: that refuse this node's credentials; that have failed for some time. */
uint64_t engine_probes_refused(const struct engine *engine);
uint64_t engine_probes_failing(const struct engine *engine);
uint64_t engine_probes_working(const struct engine *engine); /* by the last question */
/* The channels that somebody could be told by and this node could send by, as far as it knows by the last questions: gasp_said.reach. */
uint32_t engine_probes_reach(const struct engine *engine);
/* The provider of any channel, by its place in channels_all. */
bool engine_probes_refuses(const struct engine *engine, unsigned place);
/* Likewise: "works", "refuses", "fails", or "unknown"; `why`: in the provider's words, NULL when all is well or nobody knows. */
const char *engine_probes_standing(const struct engine *engine, unsigned place, const char **why);
/* ---- engine_doctor.c */
/* NULL, or what is wrong with the guardians of this node's configuration. */
const char *engine_guardians_fault(const struct engine *engine);
/* Says in the log, at the start and now and then, what the configuration lacks for the worst night. */
void engine_configuration_warn(struct engine *engine);
/* ---- engine_watch.c */
#define ENGINE_VITALS_SIZE_BYTES 64u
/* `zones`: hash of the system's zone data. */
void engine_vitals_open(struct engine *engine, uint64_t zones);
struct vitals engine_vitals(const struct engine *engine);
void engine_vitals_put(const struct vitals *vitals, uint8_t out[ENGINE_VITALS_SIZE_BYTES]);
struct vitals engine_vitals_read(struct wire_reader *reader);
void engine_watch_turn(struct engine *engine, uint64_t term);
/* The members that this node has not heard of late; how many. */
size_t engine_watch_unheard(const struct engine *engine, Tocsin__UnheardMember unheard[MEMBERS_MAX]);
/* What people were told of nodes, and is not over. */
json_t *engine_conditions_json(struct engine *engine);
/* By the cluster itself; a refusal is logged, with `what` as the subject: a literal. */
void engine_submit_system(struct engine *engine, Tocsin__Command *command, const char *what);

/* ---- engine_tokens.c */

/* Nobody can log in to a new cluster: its first leader makes a token and leaves it in a file that only the node's user reads. */
void engine_offer_first_token(struct engine *engine, const struct machine_store *view);

/* ---- engine_duties.c: cluster time as this node knows it */

/* The term in which this node leads with its barrier applied and the state committed; 0 otherwise. */
uint64_t engine_leading_term(void *context);

#endif
