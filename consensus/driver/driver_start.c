/*
 * From what the disk held to RAFT_START.
 *
 *     log            state                     what happens
 *     1..n           none                      START with the log; entry 1 is the first configuration
 *     a..b           at s, a <= s+1, s <= b    START with the state as snapshot and the log behind it
 *     ends below s, or has another term at s   the log is dropped: a snapshot was installed, and the reset of the log
 * got lost
 *     begins beyond s+1                        refused: the state was lost, or is an older copy. Whether the entries
 * in between were
 *                                              committed on this node's word cannot be known, so it must not vote again
 *
 * A sole voter's term is raised on disk before it starts (guard 6); driver_log_durable then begins.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/driver/driver_internal.h"
#include "consensus/driver/guards.h"

/* Catching up may include a snapshot; the core's own bound of a round is five seconds. */
#define CATCH_UP_ROUND_MS_MIN 5000u

static bool contradiction(char *error, size_t error_size, const char *sentence, uint64_t index)
{
    (void)snprintf(error, error_size, "%s (entry %llu)", sentence, (unsigned long long)index);
    return false;
}

void driver_loaded_free(struct driver_loaded *loaded)
{
    if (loaded == NULL) {
        return;
    }
    for (size_t i = 0; i < loaded->changes_count; i++) {
        entry_unref(loaded->changes[i]);
    }
    raft_configuration_close(&loaded->state_configuration);
    raft_configuration_close(&loaded->configuration);
    free(loaded->changes);
    free(loaded->entries);
    free(loaded);
}

static bool replace_configuration(struct raft_configuration *configuration, const void *data, size_t size_bytes)
{
    struct raft_configuration decoded;
    if (!members_decode(data, size_bytes, &decoded)) {
        return false;
    }
    raft_configuration_close(configuration);
    *configuration = decoded;
    return true;
}

static void keep_change(struct driver_loaded *loaded, struct entry *entry)
{
    loaded->changes = driver_resize(loaded->changes, loaded->changes_count + 1, sizeof loaded->changes[0]);
    loaded->changes[loaded->changes_count++] = entry_ref(entry);
}

/* From the last one down, so that the entries that stay in memory are the newest. */
static bool read_entries(struct driver *driver, const struct driver_start *start, char *error, size_t error_size)
{
    struct driver_loaded *loaded = driver->loaded;
    struct driver_log *log = &driver->log;
    driver_log_restore(log, start->first_index, start->last_index, start->state.index);
    loaded->entries_count = (size_t)(start->last_index + 1 - start->first_index);
    loaded->entries = driver_resize(NULL, loaded->entries_count + 1, sizeof loaded->entries[0]);

    bool latest_known = false;
    uint64_t term_above = start->term;
    for (uint64_t index = start->last_index; index >= start->first_index; index--) {
        struct entry *entry = driver->ports.log_read(driver->ports.context, index);
        if (entry == NULL) {
            return contradiction(error, error_size, "an entry of the log cannot be read", index);
        }
        bool newest = index + 1 == log->held;
        bool fits = log->cached_bytes + entry->size_bytes <= log->cache_size_bytes;
        if (newest && (index > start->state.index || fits)) {
            driver_log_hold(log, entry);
        }
        bool ordered = entry->term > 0 && entry->term <= term_above;
        bool valid = entry->type != ENTRY_CHANGE || members_valid(entry->data, entry->size_bytes);
        if (valid && entry->type == ENTRY_CHANGE) {
            keep_change(loaded, entry);
            if (!latest_known && index > start->state.configuration_index) {
                valid = replace_configuration(&loaded->configuration, entry->data, entry->size_bytes);
                latest_known = true;
            }
        }
        term_above = entry->term;
        loaded->entries[index - start->first_index] = (struct raft_entry){
            .term = entry->term,
            .type = (enum raft_entry_type)entry->type,
            /* Of the payloads the core reads only configurations, and those are kept until it has. */
            .buf = {entry->type == ENTRY_CHANGE ? entry->data : NULL, entry->size_bytes},
            .batch = loaded,
        };
        entry_unref(entry);
        if (!ordered) {
            return contradiction(error, error_size, "the terms of the log are not in order", index);
        }
        if (!valid) {
            return contradiction(error, error_size, "a configuration in the log cannot be read", index);
        }
    }
    return true;
}

/* Whether the log continues the state; when not, it is of no use. */
static bool log_has_state(struct driver *driver, const struct driver_start *start)
{
    uint64_t index = start->state.index;
    if (index == 0 || index + 1 == start->first_index) {
        return true;
    }
    if (index > start->last_index) {
        return false;
    }
    struct entry *entry = driver->ports.log_read(driver->ports.context, index);
    bool same = entry != NULL && entry->term == start->state.term;
    entry_unref(entry);
    return same;
}

static bool check(const struct driver_start *start, char *error, size_t error_size)
{
    uint64_t state_index = start->state.index;
    bool log_empty = start->last_index + 1 == start->first_index;
    if (start->first_index == 0 || start->last_index + 1 < start->first_index) {
        return contradiction(error, error_size, "the bounds of the log make no sense", start->first_index);
    }
    if (start->first_index > state_index + 1) {
        return contradiction(error, error_size,
                             "the log begins beyond the state: the state was lost or is an older copy, and this node "
                             "must come back under a new id", start->first_index);
    }
    if (start->term == 0 && (state_index > 0 || !log_empty)) {
        return contradiction(error, error_size,
                             "there is a state or a log but no term: the vote was lost, and this node must come back "
                             "under a new id", state_index);
    }
    if (start->term < start->state.term) {
        return contradiction(error, error_size, "the term on disk is older than the state's", state_index);
    }
    return true;
}

/* Fills driver->loaded and the log's view. */
static bool load(struct driver *driver, const struct driver_start *start, char *error, size_t error_size)
{
    struct driver_loaded *loaded = driver->loaded;
    if (!check(start, error, error_size)) {
        return false;
    }
    const struct driver_position *state = &start->state;
    loaded->state = *state;
    loaded->state.configuration = NULL;
    if (state->index > 0 &&
        (!replace_configuration(&loaded->state_configuration, state->configuration, state->configuration_size_bytes) ||
         !replace_configuration(&loaded->configuration, state->configuration, state->configuration_size_bytes))) {
        return contradiction(error, error_size, "the state's configuration cannot be read", state->index);
    }

    struct driver_start bounds = *start;
    if (!log_has_state(driver, start)) {
        bounds.first_index = start->state.index + 1;
        bounds.last_index = start->state.index;
        driver_write_reset(driver, bounds.first_index);
        driver->reset_ticket = 0; /* no snapshot waits for it */
    }
    if (!read_entries(driver, &bounds, error, error_size)) {
        return false;
    }
    loaded->first_index = bounds.first_index;
    if (start->state.index == 0 && loaded->entries_count > 0 && loaded->entries[0].type != RAFT_CHANGE) {
        return contradiction(error, error_size, "the log does not begin with the cluster's first configuration", 1);
    }
    return true;
}

/* Steps RAFT_START with what was loaded. */
void driver_begin(struct driver *driver)
{
    struct driver_loaded *loaded = driver->loaded;
    struct raft_snapshot_metadata metadata = {
        .index = loaded->state.index,
        .term = loaded->state.term,
        .configuration_index = loaded->state.configuration_index,
    };
    struct raft_event event = {.type = RAFT_START};
    event.start.term = driver->vote_term;
    event.start.voted_for = driver->vote_for;
    event.start.start_index = loaded->first_index;
    event.start.entries = loaded->entries_count > 0 ? loaded->entries : NULL;
    event.start.n_entries = (unsigned)loaded->entries_count;
    if (metadata.index > 0) {
        metadata.configuration = loaded->state_configuration; /* the core's from now on */
        event.start.metadata = &metadata;
        raft_configuration_init(&loaded->state_configuration);
    }
    driver->loaded = NULL;
    driver->last_tick_ms = driver->now_ms;
    (void)driver_step(driver, &event, NULL, NULL);
    driver_loaded_free(loaded);
    driver_settle(driver);
}

static void init_core(struct driver *driver)
{
    struct raft *raft = &driver->raft;
    const struct driver_options *options = &driver->options;
    if (raft_init(raft, NULL, NULL, options->id, options->address) != 0) {
        abort(); /* only for want of memory */
    }
    raft->tracer = NULL;
    raft_seed(raft, options->seed);
    raft_set_election_timeout(raft, options->election_timeout_ms);
    raft_set_heartbeat_timeout(raft, options->heartbeat_ms);
    raft_set_install_snapshot_timeout(raft, options->snapshot_timeout_ms);
    raft_set_max_catch_up_round_duration(raft, options->snapshot_timeout_ms > CATCH_UP_ROUND_MS_MIN
                                                   ? options->snapshot_timeout_ms
                                                   : CATCH_UP_ROUND_MS_MIN);
    raft_set_pre_vote(raft, true);
    raft_set_max_inflight_entries(raft, options->inflight_entries_max);
}

static struct driver *allocate(const struct driver_options *options, const struct driver_ports *ports)
{
    assert(options->id > 0 && options->election_timeout_ms > options->heartbeat_ms && options->heartbeat_ms > 0);
    assert(options->inflight_entries_max > 0 && options->snapshot_timeout_ms > 0);
    struct driver *driver = calloc(1, sizeof *driver);
    struct driver_loaded *loaded = calloc(1, sizeof *loaded);
    if (driver == NULL || loaded == NULL) {
        abort();
    }
    driver->options = *options;
    driver->ports = *ports;
    driver->loaded = loaded;
    driver->outbox_tail = &driver->outbox;
    raft_configuration_init(&loaded->state_configuration);
    raft_configuration_init(&loaded->configuration);
    init_core(driver);
    driver->options.address = driver->raft.address; /* the caller's may go */
    driver_log_init(&driver->log, options->cache_size_bytes, ports->log_read, ports->context);
    return driver;
}

struct driver *driver_new(const struct driver_options *options, const struct driver_ports *ports,
                          const struct driver_start *start, char *error, size_t error_size)
{
    struct driver *driver = allocate(options, ports);
    driver->now_ms = ports->now_ms(ports->context);
    driver->inside = true;
    if (!load(driver, start, error, error_size)) {
        driver_free(driver);
        return NULL;
    }
    driver->vote_term = start->term;
    driver->vote_for = start->voted_for;
    driver->commit_index = driver->handed_over_index = start->state.index;

    uint64_t term = start->term, voted_for = start->voted_for;
    if (guard_sole_voter(options->guards_off, options->id, &driver->loaded->configuration, &term, &voted_for)) {
        driver_write_vote(driver, term, voted_for);
        driver->loaded->ticket = driver->vote_ticket;
    } else {
        driver_begin(driver);
    }
    driver->inside = false;
    driver->commit_unreported = false; /* the caller asks for the status when it has a driver to ask */
    if (driver->failed) {
        (void)snprintf(error, error_size, "%s", driver->reason);
        driver_free(driver);
        return NULL;
    }
    return driver;
}

void driver_free(struct driver *driver)
{
    if (driver == NULL) {
        return;
    }
    if (driver->installing) {
        raft_configuration_close(&driver->snapshot.configuration);
    }
    driver_loaded_free(driver->loaded);
    driver_send_close(driver);
    driver_log_close(&driver->log);
    raft_close(&driver->raft, NULL);
    free(driver->writes);
    free(driver->received);
    free(driver);
}

int driver_first_configuration(const uint64_t *ids, const char *const *addresses, size_t count, void **data,
                               size_t *size_bytes)
{
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    int rv = count == 0 || count > MEMBERS_MAX ? RAFT_INVALID : 0;
    /* In the order of their ids, whatever order each node was told them in. */
    uint64_t added = 0;
    for (size_t taken = 0; taken < count && rv == 0; taken++) {
        size_t next = count;
        for (size_t i = 0; i < count; i++) {
            if (ids[i] > added && (next == count || ids[i] < ids[next])) {
                next = i;
            }
        }
        if (next == count) {
            rv = RAFT_DUPLICATEID; /* or an id of 0 */
            break;
        }
        added = ids[next];
        rv = raft_configuration_add(&configuration, added, addresses[next], RAFT_VOTER);
    }
    struct raft_buffer buffer = {NULL, 0};
    if (rv == 0) {
        rv = raft_configuration_encode(&configuration, &buffer);
    }
    raft_configuration_close(&configuration);
    *data = buffer.base;
    *size_bytes = buffer.len;
    return rv;
}
