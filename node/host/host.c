/* Opening, the turn of the loop, peers, providers, closing: see host.h. */
#include "node/host/host.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/host/data_dir.h"
#include "node/host/host_internal.h"
#include "node/host/zones.h"
#include "node/last_gasp/last_gasp.h"
#include "node/log.h"
#include "notify/news.h"

#define FIRST_TOKEN_FILE "first-admin-token"
#define TURN_MS_MAX 1000u

/* ---- clocks and chance */

static uint64_t clock_ms(clockid_t which) {
    struct timespec now;
    clock_gettime(which, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t port_now_ms(void *context) {
    (void)context;
    return clock_ms(CLOCK_MONOTONIC);
}

static uint64_t port_boottime_ms(void *context) {
    (void)context;
    return clock_ms(CLOCK_BOOTTIME);
}

static uint64_t port_wall_ms(void *context) {
    (void)context;
    return clock_ms(CLOCK_REALTIME);
}

static void port_random(void *context, void *buffer, size_t size_bytes) {
    (void)context;
    if (uv_random(NULL, NULL, buffer, size_bytes, 0, NULL) != 0) abort();
}

/* ---- peers */

static void on_frame(void *context, uint64_t peer, enum frame_type type, struct span body) {
    struct host *host = context;
    engine_frame(host->engine, peer, type, body);
}

static void on_peer_changed(void *context, uint64_t peer, bool connected) {
    struct host *host = context;
    const char *reason = transport_last_error(host->transport, peer);
    if (connected)
        log_info("connected to node %llu", (unsigned long long)peer);
    else if (reason[0] == '\0')
        log_info("node %llu is no peer any more", (unsigned long long)peer);
    else
        log_warning("connection to node %llu is gone: %s", (unsigned long long)peer, reason);
    if (host->engine != NULL) engine_peer_changed(host->engine, peer);
}

static bool open_peers(struct host *host, uint64_t boot, char *error, size_t error_size) {
    const struct config *config = host->config;
    struct transport_options options = {.id = config->id, .boot = boot, .cluster_name = config->cluster_name,
                                        .listen_address = config->peer_listen};
    struct transport_handlers handlers = {host, on_frame, on_peer_changed};
    host->transport = transport_open(host->loop, &options, &handlers, error, error_size);
    return host->transport != NULL;
}

/* Without TLS nothing is dialled outside loopback, whoever says so. */
static bool may_dial(struct host *host, const char *address) {
    if (host->config->allow_plain_tcp || address_is_loopback(address)) return true;
    if (!host->foreign_told) log_warning("a member's address, %s, is outside loopback: without [node] allow_plain_tcp = yes it is not dialled", address);
    host->foreign_told = true;
    return false;
}

static void port_set_peers(void *context, const uint64_t *ids, const char *const *addresses, size_t count) {
    struct host *host = context;
    uint64_t dialled_ids[ENGINE_PEERS_MAX];
    const char *dialled[ENGINE_PEERS_MAX];
    size_t dialled_count = 0;
    for (size_t i = 0; i < count && i < ENGINE_PEERS_MAX; i++) {
        if (!may_dial(host, addresses[i])) continue;
        dialled_ids[dialled_count] = ids[i];
        dialled[dialled_count++] = addresses[i];
    }
    transport_set_peers(host->transport, dialled_ids, dialled, dialled_count);
}

static bool port_send(void *context, uint64_t peer, enum frame_type type, struct span head, struct span tail) {
    struct host *host = context;
    return transport_send(host->transport, peer, type, head, tail);
}

static bool port_connected(void *context, uint64_t peer) {
    struct host *host = context;
    return transport_connected(host->transport, peer);
}

static void tell_refusals(struct host *host) {
    uint64_t refusals = transport_refusals(host->transport);
    if (refusals == host->refusals_told) return;
    host->refusals_told = refusals;
    log_warning("a connection from a peer was refused: %s", transport_last_refusal(host->transport));
}

/* ---- providers */

static void on_answered(void *context, uint64_t transfer_id, const struct answer *answer) {
    struct host *host = context;
    engine_answered(host->engine, transfer_id, answer);
}

static void port_transfer(void *context, uint64_t transfer_id, const struct outgoing *outgoing) {
    struct host *host = context;
    transfers_start(host->transfers, transfer_id, outgoing);
}

static void port_abort_transfer(void *context, uint64_t transfer_id) {
    struct host *host = context;
    if (!host->closing) transfers_abort(host->transfers, transfer_id); /* closing, they were all given up, and may be gone */
}

/* ---- small files */

static bool port_claim(void *context, char *error, size_t error_size) {
    const struct config *config = ((struct host *)context)->config;
    return data_dir_claim(config->data_dir, config->cluster_name, config->id, error, error_size) == DATA_DIR_OK;
}

static bool port_joined(void *context, char *error, size_t error_size) {
    return data_dir_set_flag(((struct host *)context)->config->data_dir, DATA_DIR_JOINING, false, error, error_size) == DATA_DIR_OK;
}

static bool port_set_removed(void *context, char *error, size_t error_size) {
    return data_dir_set_flag(((struct host *)context)->config->data_dir, DATA_DIR_REMOVED, true, error, error_size) == DATA_DIR_OK;
}

static bool port_set_recovering(void *context, uint64_t index, char *error, size_t error_size) {
    struct host *host = context;
    return data_dir_set_recovering(host->config->data_dir, index, error, error_size) == DATA_DIR_OK;
}

static bool port_keep_first_token(void *context, const char *token, char *error, size_t error_size) {
    struct host *host = context;
    char line[128];
    snprintf(line, sizeof line, "%s\n", token);
    if (data_dir_write(host->config->data_dir, FIRST_TOKEN_FILE, line, error, error_size) != DATA_DIR_OK) return false;
    log_info("the first admin token is in %s/" FIRST_TOKEN_FILE ": take it and remove the file", host->config->data_dir);
    return true;
}

static bool port_keep_last_gasp(void *context, struct span record, char *error, size_t error_size) {
    const char *dir = ((struct host *)context)->config->data_dir;
    if (record.size_bytes == 0) return data_dir_remove(dir, DATA_DIR_LAST_GASP, error, error_size) == DATA_DIR_OK;
    return data_dir_write_bytes(dir, DATA_DIR_LAST_GASP, record, error, error_size) == DATA_DIR_OK;
}

static void port_remember_current(void *context, uint64_t boottime_ms) { data_dir_remember(((struct host *)context)->config->data_dir, boottime_ms); }

/* ---- the turn */

static void on_timer(uv_timer_t *timer) { (void)timer; /* the turn that follows does the work */ }

static void on_wake(uv_async_t *wake) { (void)wake; /* the turn that follows drains */ }

static void on_prepare(uv_prepare_t *prepare) {
    struct host *host = prepare->data;
    if (host->closing) return;
    tell_refusals(host);
    uint64_t next_ms = engine_turn(host->engine), now_ms = port_now_ms(NULL);
    uint64_t wait_ms = next_ms > now_ms ? next_ms - now_ms : 0;
    uv_update_time(host->loop);
    uv_timer_start(&host->timer, on_timer, wait_ms < TURN_MS_MAX ? wait_ms : TURN_MS_MAX, 0);
}

/* ---- opening */

static bool open_engine(struct host *host, struct engine_options *options, char *error, size_t error_size) {
    uint8_t *record;
    size_t record_size_bytes;
    if (data_dir_read_bytes(host->config->data_dir, DATA_DIR_LAST_GASP, LAST_GASP_RECORD_SIZE_BYTES_MAX, &record, &record_size_bytes, error, error_size) != DATA_DIR_OK)
        return false;
    options->last_gasp = (struct span){record, record_size_bytes};
    options->current_boottime_ms = data_dir_remembered(host->config->data_dir);
    struct engine_ports ports = {.context = host, .now_ms = port_now_ms, .boottime_ms = port_boottime_ms,
                                 .wall_ms = port_wall_ms, .random = port_random, .send = port_send,
                                 .connected = port_connected, .set_peers = port_set_peers, .transfer = port_transfer,
                                 .abort_transfer = port_abort_transfer, .claim = port_claim, .joined = port_joined,
                                 .set_removed = port_set_removed,
                                 .set_recovering = port_set_recovering,
                                 .keep_first_token = port_keep_first_token, .keep_last_gasp = port_keep_last_gasp,
                                 .remember_current = port_remember_current};
    host_storage_ports(&ports);
    host->engine = engine_new(options, &ports, error, error_size);
    free(record);
    return host->engine != NULL;
}

static void open_handles(struct host *host) {
    uv_prepare_init(host->loop, &host->prepare);
    uv_timer_init(host->loop, &host->timer);
    host->prepare.data = host->timer.data = host;
    uv_prepare_start(&host->prepare, on_prepare);
}

/* That of a node which joins is claimed before anything of the cluster is in it, and known to be without a past. */
static bool claim_fresh(struct host *host, bool join, char *error, size_t error_size) {
    return data_dir_set_flag(host->config->data_dir, DATA_DIR_JOINING, join, error, error_size) == DATA_DIR_OK && (!join || port_claim(host, error, error_size));
}

static bool open_data_dir(struct host *host, enum host_start how, struct engine_options *options, char *error, size_t error_size) {
    const struct config *config = host->config;
    const char *dir = config->data_dir;
    bool fresh;
    if (data_dir_open(dir, config->cluster_name, config->id, how != HOST_START, &fresh, error, error_size) != DATA_DIR_OK) return false;
    if (fresh && how == HOST_START) {
        snprintf(error, error_size,
                 "the data directory %s is empty: start with --bootstrap to make it a first member of a new cluster, with --join to make it a new "
                 "member of one that runs; a node that lost its disk must not come back under its old id",
                 dir);
        return false;
    }
    if (fresh && !claim_fresh(host, how == HOST_JOIN, error, error_size)) return false;
    bool removed;
    if (data_dir_flag(dir, DATA_DIR_REMOVED, &removed, error, error_size) != DATA_DIR_OK) return false;
    if (removed) {
        snprintf(error, error_size, "node %llu was removed from its cluster: it does not take part any more, and its id is not given again",
                 (unsigned long long)config->id);
        return false;
    }
    options->bootstrap = fresh && how == HOST_BOOTSTRAP;
    return data_dir_flag(dir, DATA_DIR_JOINING, &options->join, error, error_size) == DATA_DIR_OK &&
           data_dir_count_boot(dir, &options->boot, error, error_size) == DATA_DIR_OK &&
           data_dir_recovering(dir, &options->recovering_index, error, error_size) == DATA_DIR_OK;
}

struct host *host_open(uv_loop_t *loop, const struct config *config, enum host_start how, char *error, size_t error_size) {
    struct host *host = calloc(1, sizeof *host);
    if (host == NULL) abort();
    host->loop = loop;
    host->config = config;
    news_use_zones(zones_load);
    struct engine_options options = {.config = config, .zones = zones_hash()};
    if (!open_data_dir(host, how, &options, error, error_size)) {
        free(host);
        return NULL;
    }
    /* The writers wake the loop from their first moment on. */
    if (uv_async_init(loop, &host->wake, on_wake) != 0) abort();
    host->wake.data = host;
    host->transfers = transfers_open(loop, on_answered, host);
    if (config->ca_file != NULL) transfers_trust(host->transfers, config->ca_file);
    if (!host_storage_open(host, error, error_size) || !open_peers(host, options.boot, error, error_size) ||
        !host_storage_start(host, error, error_size) || !open_engine(host, &options, error, error_size))
        return NULL;
    host->control = control_open(loop, config->data_dir, host->engine, error, error_size);
    if (host->control == NULL) log_warning("tocsin doctor and tocsin page --local will not work on this machine: %s", error);
    open_handles(host);
    return host;
}

struct engine *host_engine(struct host *host) { return host->engine; }

/* ---- closing */

static void one_closed(void *context) {
    struct host *host = context;
    assert(host->handles_open > 0);
    if (--host->handles_open == 0) host->closed(host->closed_context);
}

static void on_handle_closed(uv_handle_t *handle) { one_closed(handle->data); }

void host_close(struct host *host, void (*closed)(void *context), void *context) {
    host->closing = true;
    host->closed = closed;
    host->closed_context = context;
    host->handles_open = 6;
    /* What is on its way to disk is finished; nothing new comes, because nothing turns any more. */
    host_storage_stop(host);
    uv_close((uv_handle_t *)&host->wake, on_handle_closed);
    uv_close((uv_handle_t *)&host->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&host->timer, on_handle_closed);
    control_close(host->control, one_closed, host);
    transport_close(host->transport, one_closed, host);
    transfers_close(host->transfers, one_closed, host);
}

void host_free(struct host *host) {
    if (host == NULL) return;
    engine_free(host->engine);
    host_storage_close(host);
    free(host);
}
