/* Beginning, frames, the turn, the end: see engine.h. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/codec.h"
#include "node/engine/engine_internal.h"
#include "node/log.h"
#include "node/suppression/mute_match.h"

uint64_t engine_now_ms(void *context) {
    struct engine *engine = context;
    return engine->ports.now_ms(engine->ports.context);
}

uint64_t engine_boottime_ms(void *context) {
    struct engine *engine = context;
    return engine->ports.boottime_ms(engine->ports.context);
}

uint64_t engine_wall_ms(void *context) {
    struct engine *engine = context;
    return engine->ports.wall_ms(engine->ports.context);
}

bool engine_send(void *context, uint64_t peer, enum frame_type type, struct span head, struct span tail) {
    struct engine *engine = context;
    return engine->ports.send(engine->ports.context, peer, type, head, tail);
}

void engine_fail(struct engine *engine, const char *reason) {
    if (engine->failed) return;
    engine->failed = true;
    snprintf(engine->failure, sizeof engine->failure, "%s", reason);
    log_error("this node stops taking part: %s", engine->failure);
    if (engine->driver != NULL) driver_fail(engine->driver, engine->failure);
    if (engine->proposer != NULL) proposer_stop(engine->proposer);
    if (engine->dispatcher != NULL) dispatcher_stop(engine->dispatcher);
}

/* ---- what happens */

static void raft_frame(struct engine *engine, uint64_t peer, struct span body) {
    struct codec_message decoded;
    if (!codec_decode(body, &decoded)) {
        log_warning("peer %llu sent a raft message that does not decode", (unsigned long long)peer);
        return;
    }
    engine_gasp_raft_frame(engine, peer);
    /* A voter that lost entries which it had acknowledged must not help to elect anyone who lacks them too. */
    bool election = decoded.message.type == RAFT_REQUEST_VOTE || decoded.message.type == RAFT_TIMEOUT_NOW;
    if (engine->recovering_index == 0 || !election) driver_receive(engine->driver, peer, &decoded.message, decoded.entries);
    codec_message_close(&decoded);
}

void engine_frame(struct engine *engine, uint64_t peer, enum frame_type type, struct span body) {
    if (engine->failed || !engine_members_hear(engine, peer)) return;
    switch (type) {
    case FRAME_RAFT:
        raft_frame(engine, peer, body);
        return;
    case FRAME_FORWARD:
        proposer_frame(engine->proposer, peer, body);
        return;
    case FRAME_READ_QUESTION:
    case FRAME_READ_ANSWER:
    case FRAME_CONFIRM_QUESTION:
    case FRAME_CONFIRM_ANSWER:
        read_barrier_frame(engine->reads, peer, type, body);
        return;
    case FRAME_CLOCK:
        engine_clock_frame(engine, peer, body);
        return;
    case FRAME_SNAPSHOT_BEGIN:
    case FRAME_SNAPSHOT_CHUNK:
    case FRAME_SNAPSHOT_ACK:
        snapshot_transfer_frame(engine->snapshots, peer, type, body);
        return;
    case FRAME_LAST_GASP:
        last_gasp_told(engine->gasp, body);
        return;
    case FRAME_REMOVED:
        engine_members_removed(engine, peer, body);
        return;
    default:
        log_warning("peer %llu sent a frame of unknown type %d", (unsigned long long)peer, (int)type);
    }
}

void engine_peer_changed(struct engine *engine, uint64_t peer) {
    (void)peer;
    engine->changed = true;
    engine->clock_sent_ms = 0; /* a peer knows our wall clock before it gets our vote: a leader that has just started has no other measure */
}

void engine_answered(struct engine *engine, uint64_t transfer_id, const struct answer *answer) {
    if ((transfer_id & LAST_GASP_TRANSFER) != 0)
        engine_gasp_answered(engine, transfer_id, answer);
    else if ((transfer_id & OUTER_TRANSFER) != 0)
        engine_outer_answered(engine, transfer_id, answer);
    else if ((transfer_id & CERTIFICATE_TRANSFER) != 0)
        engine_certificates_answered(engine, transfer_id, answer);
    else if ((transfer_id & PROBE_TRANSFER) != 0)
        engine_probes_answered(engine, transfer_id, answer);
    else
        dispatcher_answered(engine->dispatcher, transfer_id, answer);
}

/* ---- the turn */

static uint64_t earliest(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t next_turn_ms(struct engine *engine) {
    uint64_t now_ms = engine_now_ms(engine), boottime_ms = engine_boottime_ms(engine);
    uint64_t next_ms = proposer_next_tick_ms(engine->proposer);
    next_ms = earliest(next_ms, read_barrier_next_tick_ms(engine->reads));
    if (engine->later_reads_count > 0) return now_ms;
    if (engine->failed) return next_ms;
    if (engine->stage_refused) return now_ms;
    if (engine->recovering_index == 0) next_ms = earliest(next_ms, driver_next_tick_ms(engine->driver));
    next_ms = earliest(next_ms, engine_duties_next_ms(engine));
    uint64_t dispatch_ms = earliest(dispatcher_next_tick_ms(engine->dispatcher), engine->gasp_next_ms);
    if (dispatch_ms != UINT64_MAX)
        next_ms = earliest(next_ms, now_ms + (dispatch_ms > boottime_ms ? dispatch_ms - boottime_ms : 0));
    return next_ms;
}

static void tell_changes(struct engine *engine) {
    if (!engine->changed) return;
    engine->changed = false;
    proposer_changed(engine->proposer);
    read_barrier_changed(engine->reads);
    if (driver_role(engine->driver) != DRIVER_LEADER) {
        snapshot_transfer_stop_sending(engine->snapshots);
        dispatcher_stop(engine->dispatcher);
    }
}

uint64_t engine_turn(struct engine *engine) {
    engine_storage_drain(engine);
    if (!engine->failed) {
        if (engine->recovering_index == 0 && driver_next_tick_ms(engine->driver) <= engine_now_ms(engine))
            driver_tick(engine->driver);
        tell_changes(engine);
        engine_duties_turn(engine);
        if (dispatcher_next_tick_ms(engine->dispatcher) <= engine_boottime_ms(engine)) dispatcher_tick(engine->dispatcher);
        if (!engine->failed) engine_gasp_turn(engine);
    }
    read_barrier_state(engine->reads, engine->progress.committed_index, engine->progress.applied_index);
    proposer_turn(engine->proposer);
    read_barrier_turn(engine->reads);
    engine_later_reads_turn(engine);
    return next_turn_ms(engine);
}

/* ---- beginning and end */

static void want_commit(void *context) {
    struct engine *engine = context;
    engine->ports.state_want_commit(engine->ports.context);
}

struct engine *engine_new(const struct engine_options *options, const struct engine_ports *ports, char *error, size_t error_size) {
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL) abort();
    engine->ports = *ports;
    engine->config = options->config;
    engine->boot = options->boot;
    engine->machine_version = options->machine_version != 0 ? options->machine_version : MACHINE_VERSION;
    assert(engine->machine_version >= MACHINE_VERSION && engine->machine_version <= MACHINE_VERSION + 1);
    engine->recovering_index = options->recovering_index;
    engine->joining = options->join;
    engine_vitals_open(engine, options->zones);
    engine->next_deadline_ms = UINT64_MAX;
    engine->changed = true;
    cluster_clock_init(&engine->clock, engine->config->id, engine->config->members_count);
    engine_gasp_open(engine, options->last_gasp, options->current_boottime_ms);
    struct dispatcher_ports dispatcher_ports = engine_dispatcher_ports(engine);
    engine->dispatcher = dispatcher_new(&dispatcher_ports, &engine->config->notify);
    struct snapshot_transfer_ports snapshot_ports = engine_snapshot_ports(engine);
    engine->snapshots = snapshot_transfer_new(&snapshot_ports);
    if (!options->bootstrap || (engine_write_first_entry(engine, error, error_size) && ports->claim(ports->context, error, error_size)))
        engine->driver = engine_driver_open(engine, error, error_size);
    if (engine->driver == NULL) {
        engine_free(engine);
        return NULL;
    }
    struct proposer_ports proposer_ports = {.context = engine, .now_ms = engine_now_ms, .boottime_ms = engine_boottime_ms,
                                            .wall_ms = engine_wall_ms, .send = engine_send};
    engine->proposer = proposer_new(engine->config->id, engine->boot, &proposer_ports, engine->driver, &engine->clock);
    struct read_barrier_ports read_ports = {.context = engine, .now_ms = engine_now_ms, .send = engine_send,
                                            .want_commit = want_commit};
    engine->reads = read_barrier_new(engine->config->id, &read_ports, engine->driver);
    return engine;
}

void engine_free(struct engine *engine) {
    if (engine == NULL) return;
    if (engine->reads != NULL) read_barrier_free(engine->reads);
    if (engine->proposer != NULL) proposer_free(engine->proposer);
    engine_view_close(engine);
    if (engine->driver != NULL) driver_free(engine->driver);
    snapshot_transfer_free(engine->snapshots);
    dispatcher_free(engine->dispatcher);
    last_gasp_free(engine->gasp);
    mute_set_free(engine->mutes);
    engine_release_held(engine);
    engine_members_close(engine);
    state_position_close(&engine->compaction);
    free(engine);
}
