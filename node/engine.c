/* Opening, the turn of the loop, closing: see engine.h. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "consensus/codec.h"
#include "node/data_dir.h"
#include "node/engine_internal.h"
#include "node/log.h"

static uint64_t clock_ms(clockid_t which) {
    struct timespec now;
    clock_gettime(which, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t engine_now_ms(void *context) {
    (void)context;
    return clock_ms(CLOCK_MONOTONIC);
}

uint64_t engine_boottime_ms(void *context) {
    (void)context;
    return clock_ms(CLOCK_BOOTTIME);
}

uint64_t engine_wall_ms(void *context) {
    (void)context;
    return clock_ms(CLOCK_REALTIME);
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

/* ---- peers */

static void on_frame(void *context, uint64_t peer, enum frame_type type, struct span body) {
    struct engine *engine = context;
    if (engine->failed) return;
    switch (type) {
    case FRAME_RAFT: {
        struct codec_message decoded;
        if (!codec_decode(body, &decoded)) {
            log_warning("peer %llu sent a raft message that does not decode", (unsigned long long)peer);
            return;
        }
        /* A voter that lost entries which it had acknowledged must not help to elect anyone who lacks them too. */
        bool election = decoded.message.type == RAFT_REQUEST_VOTE || decoded.message.type == RAFT_TIMEOUT_NOW;
        if (engine->recovering_index == 0 || !election)
            driver_receive(engine->driver, peer, &decoded.message, decoded.entries);
        codec_message_close(&decoded);
        return;
    }
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
    default:
        log_warning("peer %llu sent a frame of unknown type %d", (unsigned long long)peer, (int)type);
    }
}

static void on_peer_changed(void *context, uint64_t peer, bool connected) {
    struct engine *engine = context;
    engine->changed = true;
    if (connected)
        log_info("connected to node %llu", (unsigned long long)peer);
    else
        log_warning("connection to node %llu is gone: %s", (unsigned long long)peer,
                    transport_last_error(engine->transport, peer));
}

static bool send_frame(void *context, uint64_t peer, enum frame_type type, struct span head, struct span tail) {
    struct engine *engine = context;
    return transport_send(engine->transport, peer, type, head, tail);
}

static void want_commit(void *context) {
    struct engine *engine = context;
    state_writer_want_commit(engine->state_writer);
}

static bool open_peers(struct engine *engine, char *error, size_t error_size) {
    const struct config *config = engine->config;
    struct transport_options options = {.id = config->id, .boot = engine->boot, .cluster_name = config->cluster_name,
                                        .listen_address = config->peer_listen};
    struct transport_handlers handlers = {engine, on_frame, on_peer_changed};
    engine->transport = transport_open(engine->loop, &options, &handlers, error, error_size);
    if (engine->transport == NULL) return false;
    uint64_t ids[CONFIG_MEMBERS_MAX];
    const char *addresses[CONFIG_MEMBERS_MAX];
    size_t count = 0;
    for (unsigned i = 0; i < config->members_count; i++) {
        if (config->members[i].id == config->id) continue;
        ids[count] = config->members[i].id;
        addresses[count++] = config->members[i].address;
    }
    transport_set_peers(engine->transport, ids, addresses, count);
    return true;
}

/* ---- the turn */

static uint64_t earliest(uint64_t a, uint64_t b) { return a < b ? a : b; }

static void on_timer(uv_timer_t *timer) { (void)timer; /* the turn that follows does the work */ }

static void arm_timer(struct engine *engine) {
    uint64_t now_ms = engine_now_ms(NULL), boottime_ms = engine_boottime_ms(NULL);
    uint64_t next_ms = proposer_next_tick_ms(engine->proposer);
    next_ms = earliest(next_ms, read_barrier_next_tick_ms(engine->reads));
    if (!engine->failed) {
        if (engine->recovering_index == 0) next_ms = earliest(next_ms, driver_next_tick_ms(engine->driver));
        next_ms = earliest(next_ms, engine_duties_next_ms(engine));
        uint64_t dispatch_ms = dispatcher_next_tick_ms(engine->dispatcher);
        if (dispatch_ms != UINT64_MAX)
            next_ms = earliest(next_ms, now_ms + (dispatch_ms > boottime_ms ? dispatch_ms - boottime_ms : 0));
    }
    uint64_t wait_ms = next_ms == UINT64_MAX ? 1000 : next_ms > now_ms ? next_ms - now_ms : 0;
    uv_update_time(engine->loop);
    uv_timer_start(&engine->timer, on_timer, earliest(wait_ms, 1000), 0);
}

static void on_prepare(uv_prepare_t *prepare) {
    struct engine *engine = prepare->data;
    if (engine->closing) return;
    engine_storage_drain(engine);
    if (!engine->failed) {
        if (engine->recovering_index == 0 && driver_next_tick_ms(engine->driver) <= engine_now_ms(NULL))
            driver_tick(engine->driver);
        if (engine->changed) {
            engine->changed = false;
            proposer_changed(engine->proposer);
            read_barrier_changed(engine->reads);
            if (driver_status(engine->driver).role != DRIVER_LEADER) {
                snapshot_transfer_stop_sending(engine->snapshots);
                dispatcher_stop(engine->dispatcher);
            }
        }
        engine_duties_turn(engine);
        if (dispatcher_next_tick_ms(engine->dispatcher) <= engine_boottime_ms(NULL)) dispatcher_tick(engine->dispatcher);
    }
    read_barrier_state(engine->reads, engine->progress.committed_index, engine->progress.applied_index);
    proposer_turn(engine->proposer);
    read_barrier_turn(engine->reads);
    arm_timer(engine);
}

static void on_wake(uv_async_t *wake) { (void)wake; /* the turn that follows drains */ }

static void on_answered(void *context, uint64_t transfer_id, const struct answer *answer) {
    struct engine *engine = context;
    dispatcher_answered(engine->dispatcher, transfer_id, answer);
}

/* ---- opening */

static bool open_data_dir(struct engine *engine, char *error, size_t error_size) {
    const struct config *config = engine->config;
    bool fresh;
    if (data_dir_open(config->data_dir, config->cluster_name, config->id, engine->bootstrap, &fresh, error, error_size) != DATA_DIR_OK) return false;
    if (fresh && !engine->bootstrap) {
        snprintf(error, error_size,
                 "the data directory %s is empty: start with --bootstrap to make it a first member of a new cluster; a node that "
                 "lost its disk must not come back under its old id",
                 config->data_dir);
        return false;
    }
    engine->bootstrap = fresh;
    return data_dir_count_boot(config->data_dir, &engine->boot, error, error_size) == DATA_DIR_OK &&
           data_dir_recovering(config->data_dir, &engine->recovering_index, error, error_size) == DATA_DIR_OK;
}

static void open_handles(struct engine *engine) {
    uv_prepare_init(engine->loop, &engine->prepare);
    uv_timer_init(engine->loop, &engine->timer);
    engine->prepare.data = engine->timer.data = engine;
    uv_prepare_start(&engine->prepare, on_prepare);
}

struct engine *engine_open(uv_loop_t *loop, const struct config *config, bool bootstrap, char *error, size_t error_size) {
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL) abort();
    engine->loop = loop;
    engine->config = config;
    engine->bootstrap = bootstrap;
    engine->next_deadline_ms = UINT64_MAX;
    /* The writers wake the loop from their first moment on. */
    if (uv_async_init(loop, &engine->wake, on_wake) != 0) abort();
    engine->wake.data = engine;
    cluster_clock_init(&engine->clock, config->id, config->members_count);

    /* A failure up to here ends the process: the kernel takes back what was opened. */
    if (!open_data_dir(engine, error, error_size)) return NULL;
    if (!engine_storage_open(engine, error, error_size)) return NULL;
    engine->transfers = transfers_open(loop, on_answered, engine);
    struct dispatcher_ports dispatcher_ports = engine_dispatcher_ports(engine);
    engine->dispatcher = dispatcher_new(&dispatcher_ports, &config->notify);
    struct snapshot_transfer_ports snapshot_ports = engine_snapshot_ports(engine);
    engine->snapshots = snapshot_transfer_new(&snapshot_ports);
    if (!open_peers(engine, error, error_size)) return NULL;
    engine->driver = engine_driver_open(engine, error, error_size);
    if (engine->driver == NULL) return NULL;
    struct proposer_ports proposer_ports = {.context = engine, .now_ms = engine_now_ms, .boottime_ms = engine_boottime_ms,
                                            .wall_ms = engine_wall_ms, .send = send_frame};
    engine->proposer = proposer_new(config->id, engine->boot, &proposer_ports, engine->driver, &engine->clock);
    struct read_barrier_ports read_ports = {.context = engine, .now_ms = engine_now_ms, .send = send_frame,
                                            .want_commit = want_commit};
    engine->reads = read_barrier_new(config->id, &read_ports, engine->driver);
    open_handles(engine);
    engine->changed = true;
    return engine;
}

/* ---- closing */

static void one_closed(void *context) {
    struct engine *engine = context;
    assert(engine->handles_open > 0);
    if (--engine->handles_open == 0) engine->closed(engine->closed_context);
}

static void on_handle_closed(uv_handle_t *handle) { one_closed(handle->data); }

void engine_close(struct engine *engine, void (*closed)(void *context), void *context) {
    engine->closing = true;
    engine->closed = closed;
    engine->closed_context = context;
    engine->handles_open = 5;
    /* What is on its way to disk is finished; nothing new comes, because nothing turns any more. */
    log_writer_stop(engine->log_writer);
    state_writer_stop(engine->state_writer);
    engine->log_writer = NULL;
    engine->state_writer = NULL;
    uv_close((uv_handle_t *)&engine->wake, on_handle_closed);
    uv_close((uv_handle_t *)&engine->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&engine->timer, on_handle_closed);
    transport_close(engine->transport, one_closed, engine);
    transfers_close(engine->transfers, one_closed, engine);
}

void engine_free(struct engine *engine) {
    if (engine == NULL) return;
    read_barrier_free(engine->reads);
    proposer_free(engine->proposer);
    driver_free(engine->driver);
    snapshot_transfer_free(engine->snapshots);
    dispatcher_free(engine->dispatcher);
    engine_release_held(engine);
    state_store_close(engine->state_store);
    log_store_close(engine->log_store);
    state_position_close(&engine->compaction);
    if (engine->outgoing != NULL) snapshot_free(engine->outgoing);
    if (engine->staged != NULL) snapshot_free(engine->staged);
    free(engine);
}
