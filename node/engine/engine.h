/*
 * One node's reason: driver, proposer, reads, dispatcher, clock and snapshots joined, and the duties of a leader. No loop, file, socket, thread or clock of
 * its own: they come through engine_ports, so that the simulator runs this same code.
 *
 *     whatever happens ──> engine_frame, engine_peer_changed, engine_answered, engine_snapshot_*      from the ports' owner
 *     then, always     ──> engine_turn, which answers when it wants the next one:
 *       drain log writer ─> driver      drain state writer ─> replies, claimed work, deadlines
 *       driver tick, clock, pulse, proposer, reads, dispatcher, compaction
 *
 * host.h gives the ports of a real machine. No HTTP in here: api_ports leads from the handlers to it. One thread.
 */
#ifndef NODE_ENGINE_ENGINE_H
#define NODE_ENGINE_ENGINE_H

#include <stdbool.h>

#include "consensus/driver/driver.h"
#include "consensus/transport/transport.h"
#include "node/api/api.h"
#include "node/config.h"
#include "node/last_gasp/last_gasp.h"
#include "notify/channel.h"
#include "storage/log_store.h"
#include "storage/log_writer.h"
#include "storage/state_store.h"
#include "storage/state_writer.h"

/* Peers are the members of a configuration, and as many again that come or go. */
#define ENGINE_PEERS_MAX 64u

struct engine_ports {
    void *context;

    /* ---- clocks and chance */
    uint64_t (*now_ms)(void *context);      /* monotonic */
    uint64_t (*boottime_ms)(void *context); /* CLOCK_BOOTTIME */
    uint64_t (*wall_ms)(void *context);     /* since the Unix epoch */
    void (*random)(void *context, void *buffer, size_t size_bytes); /* cryptographic */

    /* ---- the log: log_store.h and log_writer.h have the contracts. log_write blocks, and is called before the first log_submit only. */
    struct log_bounds (*log_bounds)(void *context);
    enum storage_error (*log_read)(void *context, uint64_t index, struct entry **entry, struct storage_failure *failure);
    enum storage_error (*log_write)(void *context, struct log_operation *const *group, size_t count, struct storage_failure *failure);
    void (*log_submit)(void *context, struct log_operation *operation);
    struct log_progress (*log_drain)(void *context);

    /* ---- the state: state_store.h and state_writer.h */
    enum storage_error (*state_position)(void *context, struct state_position *position, struct storage_failure *failure);
    enum storage_error (*reader_begin)(void *context, struct state_reader *reader, struct storage_failure *failure);
    enum storage_error (*reader_fault)(void *context, const struct state_reader *reader, struct storage_failure *failure);
    void (*reader_end)(void *context, struct state_reader *reader);
    void (*state_apply)(void *context, uint64_t index, struct entry *entry);
    void (*state_want_commit)(void *context);
    /* The snapshot that was verified last, into the state's place. */
    void (*state_install)(void *context);
    struct state_progress (*state_drain)(void *context,
                                         void (*on_output)(void *context, uint64_t index, uint64_t term, const struct machine_output *output),
                                         void *output_context);
    void (*sizes)(void *context, uint64_t *log_size_bytes, uint64_t *state_size_bytes);
    /* Of the file system that they lie in; a total of 0: not known. */
    void (*disk)(void *context, uint64_t *free_bytes, uint64_t *total_bytes);

    /* ---- snapshots: snapshot_transfer.h. Each but the second is answered by the engine_snapshot_* of its name, later. */
    void (*snapshot_prepare)(void *context);
    void (*snapshot_release)(void *context);
    void (*snapshot_read)(void *context, uint64_t peer, uint64_t offset, uint32_t size_bytes);
    void (*snapshot_stage)(void *context, uint64_t offset, struct span data);
    void (*snapshot_verify)(void *context);

    /* ---- peers: transport.h */
    bool (*send)(void *context, uint64_t peer, enum frame_type type, struct span head, struct span tail);
    bool (*connected)(void *context, uint64_t peer);
    /* Whom to dial from now on: the members, who is about to be one, and who must hear that it is none any more; at most
     * ENGINE_PEERS_MAX. Called in the first turn, and when it changes. */
    void (*set_peers)(void *context, const uint64_t *ids, const char *const *addresses, size_t count);

    /* ---- providers: transfer.h; answered by engine_answered unless aborted */
    void (*transfer)(void *context, uint64_t transfer_id, const struct outgoing *outgoing);
    void (*abort_transfer)(void *context, uint64_t transfer_id);

    /* ---- small files beside the stores, durable on return; false with one sentence */
    bool (*claim)(void *context, char *error, size_t error_size); /* bootstrap's first entry is written: the directory is this node's from now on */
    bool (*joined)(void *context, char *error, size_t error_size); /* the configuration names this node, which `join`ed, as a learner */
    bool (*set_removed)(void *context, char *error, size_t error_size); /* a peer says that this node is no member any more: it need not start again */
    bool (*set_recovering)(void *context, uint64_t index, char *error, size_t error_size); /* 0: none any more */
    bool (*keep_first_token)(void *context, const char *token, char *error, size_t error_size);
    void (*remember_current)(void *context, uint64_t boottime_ms); /* last_gasp.h; may be NULL */
    bool (*keep_last_gasp)(void *context, struct span record, char *error, size_t error_size); /* in place of the last one; empty: none any more */
};

struct engine;

struct engine_options {
    const struct config *config; /* outlives the engine */
    uint64_t boot;               /* number of this start; rises */
    uint64_t recovering_index;   /* as set_recovering left it */
    bool bootstrap;              /* the stores are empty: first member of a new cluster. Its first entry is written. */
    uint32_t machine_version;    /* that this node follows; 0: MACHINE_VERSION; at most one more, for rehearsals of an upgrade */
    struct span last_gasp;       /* as keep_last_gasp left it; copied */
    uint64_t current_boottime_ms; /* as remember_current left it in this boot of the machine; 0: nothing */
    uint64_t zones;              /* hash of the system's zone data; 0: not known */
    bool join;                   /* the stores may be empty: a new node, which `joined` was not called for */
};

/* The stores are open, nothing was submitted to them. NULL with one sentence: nothing but whole operations on the stores was done. */
struct engine *engine_new(const struct engine_options *options, const struct engine_ports *ports, char *error, size_t error_size);
/* Without calling back: requests, reads and commands that wait are dropped. */
void engine_free(struct engine *engine);

/* To be called after anything happened, and at the answered time (monotonic) at the latest. */
uint64_t engine_turn(struct engine *engine);

/* ---- what happens */

void engine_frame(struct engine *engine, uint64_t peer, enum frame_type type, struct span body);
void engine_peer_changed(struct engine *engine, uint64_t peer);
void engine_answered(struct engine *engine, uint64_t transfer_id, const struct answer *answer);
void engine_snapshot_prepared(struct engine *engine, bool ok, uint64_t index, uint64_t size_bytes);
void engine_snapshot_read(struct engine *engine, uint64_t peer, uint64_t offset, struct span data, bool ok);
void engine_snapshot_staged(struct engine *engine, uint64_t offset, bool ok);
void engine_snapshot_verified(struct engine *engine, bool ok, const struct state_position *position);

/* ---- what is seen of it */

/* What HTTP handlers stand on. */
struct api_ports engine_api_ports(struct engine *engine);

struct engine_status {
    struct driver_status driver;
    uint64_t applied_index, committed_index, durable_index;
    uint64_t duties_term;      /* in which the duties of a leader were taken up last */
    bool cluster_time_live;    /* this process stamped or saw a stamp arrive; until then engine_cluster_ms is a guess by wall clocks */
    uint32_t state_version;    /* of the rules in force, 0: not looked at yet */
    uint64_t recovering_index; /* not 0: it does not vote before its state covers this */
    const char *failure;       /* NULL while it takes part */
    enum gasp_standing gasp;
    uint32_t reach;            /* the channels that this node could send by: last_gasp.h */
};
struct engine_status engine_status(const struct engine *engine);
/* Cluster time as this node would stamp it now. */
uint64_t engine_cluster_ms(const struct engine *engine);
/* Valid until the next call into the engine. */
const struct raft_configuration *engine_configuration(const struct engine *engine);

/* ---- for whoever has a shell on this machine: from this node alone, whatever is gone */

/* /cluster, and: open incidents, who is on call, owed pages, the next steps to take ("next"). The caller's. */
json_t *engine_doctor(struct engine *engine);
/* By how many ways the configuration tells this guardian, or "all"; 0: there is none of that name. */
size_t engine_guardian_ways(const struct engine *engine, const char *name);
/* Pages by all of these ways at once; `paged` is called once for each, perhaps from inside. */
void engine_page_guardians(struct engine *engine, const char *name, const char *text, last_gasp_paged paged, void *context);

/* Called once: with the secret of a token that is committed, or with NULL and one sentence. Both last for the call. */
typedef void (*engine_token_made)(void *context, const char *secret, const char *sentence);
/* The way back for those who have lost every token: an administrator's, for a day. Needs a majority, as every change does; not called
 * any more when the engine is closed meanwhile. */
void engine_make_admin_token(struct engine *engine, engine_token_made made, void *context);

/* What waits in this node, and is to be bounded by what comes in. */
struct engine_queues {
    size_t commands, command_bytes;           /* without a reply yet; waiting on a leader for their entry */
    size_t log_bytes, state_entries;          /* not yet on disk; not yet applied */
    size_t notifications, requests_under_way; /* of the dispatcher */
};
struct engine_queues engine_queues(const struct engine *engine);

#endif
