/* The driver and the snapshot transfer over the stores: their ports, and what comes back from the writers' threads. */
#include <assert.h>
#include <inttypes.h>
#include <raft.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/codec.h"
#include "consensus/machine/planted.h"
#include "node/engine/engine_internal.h"
#include "node/log.h"

/* ---- the start */

static bool refuse(char *error, size_t error_size, const struct storage_failure *failure) {
    snprintf(error, error_size, "%s", failure->message);
    return false;
}

/* The first entry of a new cluster: the same bytes on every first member. A bootstrap that was cut off is done again; a log that
 * took part in anything is not touched. */
bool engine_write_first_entry(struct engine *engine, char *error, size_t error_size) {
    const struct config *config = engine->config;
    struct log_bounds bounds = engine->ports.log_bounds(engine->ports.context);
    if (bounds.first_index > 1 || bounds.last_index > 1 || bounds.term > 1) {
        snprintf(error, error_size,
                 "the data directory %s holds a log but not whose it is, the file \"node\" is missing: it is not bootstrapped over",
                 config->data_dir);
        return false;
    }
    uint64_t ids[CONFIG_MEMBERS_MAX];
    const char *addresses[CONFIG_MEMBERS_MAX];
    bool first_member = false;
    for (unsigned i = 0; i < config->members_count; i++) {
        ids[i] = config->members[i].id;
        addresses[i] = config->members[i].address;
        first_member = first_member || ids[i] == config->id;
    }
    if (!first_member) {
        snprintf(error, error_size, "node %" PRIu64 " is none of the first members: it joins with --join", config->id);
        return false;
    }
    void *data;
    size_t size_bytes;
    if (driver_first_configuration(ids, addresses, config->members_count, &data, &size_bytes) != 0) {
        snprintf(error, error_size, "the members of the configuration cannot form a cluster");
        return false;
    }
    struct entry *entry = entry_new(1, ENTRY_CHANGE, (uint32_t)size_bytes);
    memcpy(entry->data, data, size_bytes);
    raft_free(data);
    struct log_operation vote = {.kind = LOG_SET_VOTE, .term = 1};
    struct log_operation append = {.kind = LOG_APPEND, .first_index = 1, .entries = &entry, .entries_count = 1};
    struct log_operation *group[] = {&vote, &append};
    struct storage_failure failure;
    bool ok = engine->ports.log_write(engine->ports.context, group, 2, &failure) == STORAGE_OK;
    entry_unref(entry);
    return ok || refuse(error, error_size, &failure);
}

static bool write_one(struct engine *engine, struct log_operation operation, char *error, size_t error_size) {
    struct log_operation *group[] = {&operation};
    struct storage_failure failure;
    return engine->ports.log_write(engine->ports.context, group, 1, &failure) == STORAGE_OK || refuse(error, error_size, &failure);
}

/*
 * What the log must be before the core sees it: readable from the state on. A damaged entry below the state goes; one beyond it equals a lost disk.
 */
static bool check_log(struct engine *engine, const struct state_position *position, char *error, size_t error_size) {
    struct log_bounds bounds = engine->ports.log_bounds(engine->ports.context);
    for (uint64_t index = bounds.last_index; index >= bounds.first_index && index > 0; index--) {
        struct entry *entry;
        struct storage_failure failure;
        enum storage_error result = engine->ports.log_read(engine->ports.context, index, &entry, &failure);
        if (result == STORAGE_OK) {
            entry_unref(entry);
            continue;
        }
        if (index > position->index) {
            snprintf(error, error_size,
                     "log entry %" PRIu64 " is damaged and the state does not cover it: this equals a lost disk, the node must return "
                     "under a new id (%.120s)",
                     index, failure.message);
            return false;
        }
        log_error("log entry %" PRIu64 " is damaged; the state covers it, the log up to the state is discarded", index);
        while (engine->ports.log_bounds(engine->ports.context).first_index <= index) /* one write prunes a bounded number */
            if (!write_one(engine, (struct log_operation){.kind = LOG_PRUNE, .first_index = index + 1}, error, error_size))
                return false;
        return true;
    }
    return true;
}

/* A state that was made by rules of a later version is not touched by this one. Cluster time is no earlier than what it shows, also
 * for a node that leads nobody and whose wall clock is slow. */
static bool check_version(struct engine *engine, char *error, size_t error_size) {
    struct state_reader reader;
    struct storage_failure failure;
    if (engine->ports.reader_begin(engine->ports.context, &reader, &failure) != STORAGE_OK) return refuse(error, error_size, &failure);
    uint32_t version = machine_version(&reader.view);
    uint64_t last_time_ms = machine_last_time_ms(&reader.view);
    enum storage_error fault = engine->ports.reader_fault(engine->ports.context, &reader, &failure);
    engine->ports.reader_end(engine->ports.context, &reader);
    if (fault != STORAGE_OK) return refuse(error, error_size, &failure);
    cluster_clock_floor(&engine->clock, last_time_ms);
    if (version <= engine->machine_version) return true;
    snprintf(error, error_size, "the state follows the rules of version %u, this program those of version %u: start the later one again", (unsigned)version,
             (unsigned)engine->machine_version);
    return false;
}

/* Only a node that joins may begin with nothing. */
static bool check_anything(struct engine *engine, const struct state_position *position, char *error, size_t error_size) {
    struct log_bounds bounds = engine->ports.log_bounds(engine->ports.context);
    if (engine->joining || bounds.term > 0 || bounds.last_index > 0 || position->index > 0) return true;
    snprintf(error, error_size, "log and state are empty, though this node took part: this equals a lost disk, the node must return under a new id");
    return false;
}

/*
 * The log begins beyond the state: a state was lost. Entries in between had been acknowledged, so until the state covers all of the old log again this
 * voter neither votes nor campaigns.
 */
static bool check_gap(struct engine *engine, const struct state_position *position, char *error, size_t error_size) {
    struct log_bounds bounds = engine->ports.log_bounds(engine->ports.context);
    if (bounds.first_index <= position->index + 1) return true;
    log_error("the log begins at %" PRIu64 ", the state ends at %" PRIu64 ": a snapshot must come from a peer; no vote until then",
              bounds.first_index, position->index);
    if (bounds.last_index > engine->recovering_index) engine->recovering_index = bounds.last_index;
    if (!engine->ports.set_recovering(engine->ports.context, engine->recovering_index, error, error_size)) return false;
    return write_one(engine, (struct log_operation){.kind = LOG_RESET, .first_index = position->index + 1}, error, error_size);
}

/* ---- the driver's ports */

static void submit(struct engine *engine, struct log_operation fields, struct entry *const *entries, size_t count) {
    struct log_operation *operation = malloc(sizeof *operation);
    if (operation == NULL) abort();
    *operation = fields;
    engine->last_ticket = fields.ticket;
    if (count > 0) {
        operation->entries = malloc(count * sizeof(struct entry *));
        if (operation->entries == NULL) abort();
        for (size_t i = 0; i < count; i++) {
            operation->entries[i] = entry_ref(entries[i]);
            engine->average_entry_bytes += (entries[i]->size_bytes + 31) / 32 - engine->average_entry_bytes / 32;
        }
        operation->entries_count = count;
    }
    engine->ports.log_submit(engine->ports.context, operation);
}

static void port_set_vote(void *context, uint64_t ticket, uint64_t term, uint64_t voted_for) {
    submit(context, (struct log_operation){.kind = LOG_SET_VOTE, .ticket = ticket, .term = term, .voted_for = voted_for},
           NULL, 0);
}

static void port_append(void *context, uint64_t ticket, uint64_t first_index, struct entry *const *entries, size_t count) {
    submit(context, (struct log_operation){.kind = LOG_APPEND, .ticket = ticket, .first_index = first_index}, entries, count);
}

static void port_reset(void *context, uint64_t ticket, uint64_t first_index) {
    submit(context, (struct log_operation){.kind = LOG_RESET, .ticket = ticket, .first_index = first_index}, NULL, 0);
}

static void port_prune(void *context, uint64_t ticket, uint64_t first_index) {
    struct engine *engine = context;
    engine->prune_index = first_index;
    engine->pruned_from_index = engine->ports.log_bounds(engine->ports.context).first_index;
    submit(engine, (struct log_operation){.kind = LOG_PRUNE, .ticket = ticket, .first_index = first_index}, NULL, 0);
}

/* One write drops a bounded number of entries, so that no group takes long: the next follows when it is done. */
static void prune_on(struct engine *engine) {
    uint64_t first_index = engine->ports.log_bounds(engine->ports.context).first_index;
    if (first_index >= engine->prune_index || first_index == engine->pruned_from_index) return;
    engine->pruned_from_index = first_index;
    submit(engine, (struct log_operation){.kind = LOG_PRUNE, .ticket = engine->last_ticket, .first_index = engine->prune_index}, NULL, 0);
}

static struct entry *port_read(void *context, uint64_t index) {
    struct engine *engine = context;
    struct entry *entry;
    struct storage_failure failure;
    enum storage_error result = engine->ports.log_read(engine->ports.context, index, &entry, &failure);
    if (result == STORAGE_OK) return entry;
    if (result != STORAGE_NOT_FOUND) log_error("reading log entry %" PRIu64 ": %s", index, failure.message);
    return NULL;
}

static void port_send_snapshot(void *context, uint64_t peer, uint64_t term, uint64_t at_least_index) {
    struct engine *engine = context;
    snapshot_transfer_start(engine->snapshots, peer, term, at_least_index);
}

static void port_apply(void *context, uint64_t index, struct entry *entry) {
    struct engine *engine = context;
    engine->ports.state_apply(engine->ports.context, index, entry);
}

static void port_install(void *context, uint64_t index, uint64_t term) {
    struct engine *engine = context;
    assert(!engine->installing);
    log_info("installing a snapshot up to entry %" PRIu64 " of term %" PRIu64, index, term);
    engine->installing = true;
    engine->ports.state_install(engine->ports.context);
}

static void port_changed(void *context) {
    struct engine *engine = context;
    engine->changed = true;
}

static void port_failed(void *context, const char *reason) { engine_fail(context, reason); }

static void port_send(void *context, uint64_t peer, const struct raft_message *message, struct entry *const *entries) {
    struct engine *engine = context;
    size_t size_bytes = codec_size_bytes(message, entries);
    uint8_t *frame = malloc(size_bytes);
    if (frame == NULL) abort();
    codec_encode(message, entries, frame);
    engine_send(engine, peer, FRAME_RAFT, (struct span){frame, size_bytes}, (struct span){NULL, 0});
    free(frame);
}

static const char *own_address(const struct config *config) {
    for (unsigned i = 0; i < config->members_count; i++)
        if (config->members[i].id == config->id) return config->members[i].address;
    return config->peer_listen;
}

struct driver *engine_driver_open(struct engine *engine, char *error, size_t error_size) {
    struct state_position position = {0};
    struct storage_failure failure;
    if (engine->ports.state_position(engine->ports.context, &position, &failure) != STORAGE_OK) {
        refuse(error, error_size, &failure);
        return NULL;
    }
    struct driver *driver = NULL;
    if (check_version(engine, error, error_size) && check_anything(engine, &position, error, error_size) && check_log(engine, &position, error, error_size) && check_gap(engine, &position, error, error_size)) {
        struct log_bounds bounds = engine->ports.log_bounds(engine->ports.context);
        const struct config *config = engine->config;
        struct driver_ports ports = {.context = engine, .now_ms = engine_now_ms, .log_set_vote = port_set_vote,
                                     .log_append = port_append, .log_reset = port_reset, .log_prune = port_prune,
                                     .log_read = port_read, .send = port_send, .send_snapshot = port_send_snapshot,
                                     .apply = port_apply, .install_snapshot = port_install, .changed = port_changed,
                                     .failed = port_failed};
        uint32_t seed;
        engine->ports.random(engine->ports.context, &seed, sizeof seed);
        struct driver_options options = {.id = config->id, .address = own_address(config),
                                         .election_timeout_ms = config->election_timeout_ms,
                                         .heartbeat_ms = config->heartbeat_ms, .snapshot_timeout_ms = 30000, .seed = seed,
                                         .inflight_entries_max = 64, .cache_size_bytes = 4u << 20,
                                         .guards_off = planted_guards_off()};
        struct driver_start start = {.term = bounds.term, .voted_for = bounds.voted_for,
                                     .first_index = bounds.first_index, .last_index = bounds.last_index,
                                     .state = {.index = position.index, .term = position.term,
                                               .configuration_index = position.configuration_index,
                                               .configuration = position.configuration,
                                               .configuration_size_bytes = position.configuration_size_bytes}};
        engine->live_index = bounds.last_index;
        engine->progress.applied_index = engine->progress.committed_index = engine->progress.durable_index = position.index;
        driver = driver_new(&options, &ports, &start, error, error_size);
    }
    state_position_close(&position);
    return driver;
}

/* ---- what comes back from the writers */

static void refuse_stage(struct engine *engine) {
    if (!engine->stage_refused) return;
    engine->stage_refused = false;
    snapshot_transfer_chunk_staged(engine->snapshots, engine->stage_refused_offset, false);
}

void engine_storage_drain(struct engine *engine) {
    refuse_stage(engine);
    struct log_progress log = engine->ports.log_drain(engine->ports.context);
    engine->log_queued_bytes = log.queued_bytes;
    if (log.failed)
        engine_fail(engine, log.failure.message);
    else if (!engine->failed) {
        driver_log_durable(engine->driver, log.ticket);
        prune_on(engine);
    }

    struct state_progress progress = engine->ports.state_drain(engine->ports.context, engine_applied, engine);
    if (progress.failed) {
        engine_fail(engine, progress.failure.message);
        return;
    }
    engine->progress = progress;
    if (progress.installed != engine->installed_seen) {
        engine->installed_seen = progress.installed;
        engine->installing = false;
        engine->next_deadline_ms = 0; /* unknown: the leader looks */
        if (!engine->failed) driver_snapshot_installed(engine->driver);
    }
    if (engine->recovering_index != 0 && progress.applied_index >= engine->recovering_index) engine_recovered(engine);
}

void engine_recovered(struct engine *engine) {
    char error[256];
    if (!engine->ports.set_recovering(engine->ports.context, 0, error, sizeof error)) {
        engine_fail(engine, error);
        return;
    }
    log_info("the state covers entry %" PRIu64 " again: this node votes again", engine->recovering_index);
    engine->recovering_index = 0;
}

/* How many entries stay in the log for followers that fall behind: about log_keep_mib of them. */
static uint64_t trailing_entries(const struct engine *engine) {
    uint64_t average_bytes = engine->average_entry_bytes + 64;
    uint64_t entries = (engine->config->log_keep_mib << 20) / average_bytes;
    return entries < 64 ? 64 : entries > 20000 ? 20000 : entries;
}

void engine_compact(struct engine *engine) {
    struct driver_status status = driver_status(engine->driver);
    uint64_t trailing = trailing_entries(engine);
    if (!engine->compaction_set) {
        if (engine->progress.committed_index < status.first_index + trailing + trailing / 4) return;
        struct storage_failure failure;
        state_position_close(&engine->compaction);
        if (engine->ports.state_position(engine->ports.context, &engine->compaction, &failure) != STORAGE_OK) {
            engine_fail(engine, failure.message);
            return;
        }
        engine->compaction_set = true;
    }
    if (engine->progress.durable_index < engine->compaction.index && !planted(LOG_PRUNED_TOO_FAR)) return; /* as soon as a sync has followed */
    engine->compaction_set = false;
    struct driver_position position = {.index = engine->compaction.index, .term = engine->compaction.term,
                                       .configuration_index = engine->compaction.configuration_index,
                                       .configuration = engine->compaction.configuration,
                                       .configuration_size_bytes = engine->compaction.configuration_size_bytes};
    driver_compact(engine->driver, &position, planted(LOG_PRUNED_TOO_FAR) ? 0 : trailing);
}

/* ---- snapshots */

void engine_snapshot_prepared(struct engine *engine, bool ok, uint64_t index, uint64_t size_bytes) {
    snapshot_transfer_prepared(engine->snapshots, ok, index, size_bytes);
}

void engine_snapshot_read(struct engine *engine, uint64_t peer, uint64_t offset, struct span data, bool ok) {
    snapshot_transfer_chunk_read(engine->snapshots, peer, offset, data, ok);
}

void engine_snapshot_staged(struct engine *engine, uint64_t offset, bool ok) {
    snapshot_transfer_chunk_staged(engine->snapshots, offset, ok);
}

void engine_snapshot_verified(struct engine *engine, bool ok, const struct state_position *position) {
    if (!ok) {
        snapshot_transfer_verified(engine->snapshots, false, NULL);
        return;
    }
    struct driver_position given = {.index = position->index, .term = position->term,
                                    .configuration_index = position->configuration_index,
                                    .configuration = position->configuration,
                                    .configuration_size_bytes = position->configuration_size_bytes};
    snapshot_transfer_verified(engine->snapshots, true, &given);
}

static void port_prepare(void *context, uint64_t at_least_index) {
    struct engine *engine = context;
    (void)at_least_index; /* a copy of the state as of now is at least that: the core has applied it */
    engine->ports.snapshot_prepare(engine->ports.context);
}

static void port_read_chunk(void *context, uint64_t peer, uint64_t offset, uint32_t size_bytes) {
    struct engine *engine = context;
    engine->ports.snapshot_read(engine->ports.context, peer, offset, size_bytes);
}

static void port_release(void *context) {
    struct engine *engine = context;
    engine->ports.snapshot_release(engine->ports.context);
}

static void port_stage_chunk(void *context, uint64_t offset, struct span data) {
    struct engine *engine = context;
    if (engine->installing) { /* the staged file must not be overwritten */
        engine->stage_refused = true;
        engine->stage_refused_offset = offset;
        return;
    }
    engine->ports.snapshot_stage(engine->ports.context, offset, data);
}

static void port_verify(void *context) {
    struct engine *engine = context;
    engine->ports.snapshot_verify(engine->ports.context);
}

static void port_ready(void *context, uint64_t peer, uint64_t term, const struct driver_position *position) {
    struct engine *engine = context;
    if (engine_members_may_take(engine, position)) driver_receive_snapshot(engine->driver, peer, term, position);
}

struct snapshot_transfer_ports engine_snapshot_ports(struct engine *engine) {
    return (struct snapshot_transfer_ports){.context = engine, .now_ms = engine_now_ms, .send = engine_send,
                                            .prepare = port_prepare, .read_chunk = port_read_chunk, .release = port_release,
                                            .stage_chunk = port_stage_chunk, .verify = port_verify, .ready = port_ready};
}
