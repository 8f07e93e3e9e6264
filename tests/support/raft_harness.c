/* See raft_harness.h. Nodes, their disks and states; raft_network.c has the links, and events in their order. */
#include "tests/support/raft_harness.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/members.h"
#include "tests/support/raft_harness_internal.h"

void *harness_zeroed(size_t count, size_t size_bytes)
{
    void *memory = calloc(count, size_bytes);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

/* ---- randomness: xorshift64* */

uint64_t harness_random(struct harness *harness, uint64_t below)
{
    harness->random ^= harness->random << 13;
    harness->random ^= harness->random >> 7;
    harness->random ^= harness->random << 17;
    uint64_t value = (harness->random * 0x2545f4914f6cdd1du) >> 11;
    return below > 0 ? value % below : 0;
}

bool harness_chance(struct harness *harness, unsigned permille)
{
    return harness_random(harness, 1000) < permille;
}

/* ---- logs */

static void log_truncate(struct harness_log *log, uint64_t index)
{
    while (log->last >= index && log->last >= log->first) {
        entry_unref(log->entries[log->last - log->first]);
        log->last--;
    }
}

static void log_reset(struct harness_log *log, uint64_t first)
{
    log_truncate(log, log->first);
    log->first = first;
    log->last = first - 1;
}

static void log_append(struct harness_log *log, struct entry *entry)
{
    size_t count = (size_t)(log->last + 1 - log->first);
    if (count == log->capacity) {
        log->capacity = log->capacity > 0 ? 2 * log->capacity : 64;
        log->entries = reallocarray(log->entries, log->capacity, sizeof log->entries[0]);
        assert(log->entries != NULL);
    }
    log->entries[count] = entry_ref(entry);
    log->last++;
}

static void log_prune(struct harness_log *log, uint64_t first)
{
    if (first <= log->first) {
        return;
    }
    uint64_t dropped = first - log->first, count = log->last + 1 - log->first;
    dropped = dropped < count ? dropped : count;
    for (uint64_t i = 0; i < dropped; i++) {
        entry_unref(log->entries[i]);
    }
    memmove(log->entries, log->entries + dropped, (size_t)(count - dropped) * sizeof log->entries[0]);
    log->first = first;
    log->last = log->first + (count - dropped) - 1;
}

static void log_copy(struct harness_log *to, const struct harness_log *from)
{
    log_reset(to, from->first);
    for (uint64_t index = from->first; index <= from->last; index++) {
        log_append(to, from->entries[index - from->first]);
    }
}

struct entry *harness_log_at(const struct harness_log *log, uint64_t index)
{
    return index >= log->first && index <= log->last ? log->entries[index - log->first] : NULL;
}

/* ---- writes */

enum write_kind { WRITE_VOTE, WRITE_APPEND, WRITE_RESET, WRITE_PRUNE };

struct harness_write {
    struct harness_write *next;
    enum write_kind kind;
    uint64_t ticket, done_ms;
    uint64_t term, voted_for, first_index;
    size_t count;
    struct entry *entries[];
};

static struct harness_write *queue_write(struct harness_node *node, enum write_kind kind, uint64_t ticket, size_t count)
{
    struct harness *harness = node->harness;
    struct harness_write *write = harness_zeroed(1, sizeof *write + count * sizeof write->entries[0]);
    write->kind = kind;
    write->ticket = ticket;
    write->count = count;
    /* What comes while a group is being synced makes up the next group. */
    struct harness_write *last = node->writes;
    while (last != NULL && last->next != NULL) {
        last = last->next;
    }
    if (last != NULL && last->done_ms != node->writes->done_ms) {
        write->done_ms = last->done_ms;
    } else if (!harness->manual) {
        bool slow = node->slow_until_ms > harness->now_ms;
        write->done_ms = last != NULL ? last->done_ms : harness->now_ms;
        write->done_ms += slow ? 50 + harness_random(harness, 400) : 1 + harness_random(harness, 8);
    }
    *node->writes_tail = write;
    node->writes_tail = &write->next;
    return write;
}

static void write_to_disk(struct harness_node *node, struct harness_write *write)
{
    struct harness_log *log = &node->disk.log;
    switch (write->kind) {
    case WRITE_VOTE:
        node->disk.term = write->term;
        node->disk.voted_for = write->voted_for;
        break;
    case WRITE_APPEND:
        log_truncate(log, write->first_index);
        if (log->last + 1 != write->first_index) {
            raft_checks_report(node->harness->checks, "node %llu leaves a gap on disk before entry %llu",
                               (unsigned long long)node->id, (unsigned long long)write->first_index);
            break;
        }
        for (size_t i = 0; i < write->count; i++) {
            log_append(log, write->entries[i]);
        }
        break;
    case WRITE_RESET:
        log_reset(log, write->first_index);
        break;
    case WRITE_PRUNE:
        log_prune(log, write->first_index);
        break;
    }
}

static void drop_write(struct harness_node *node)
{
    struct harness_write *write = node->writes;
    node->writes = write->next;
    if (node->writes == NULL) {
        node->writes_tail = &node->writes;
    }
    for (size_t i = 0; i < write->count; i++) {
        entry_unref(write->entries[i]);
    }
    free(write);
}

uint64_t harness_write_due_ms(const struct harness_node *node)
{
    return node->writes != NULL ? node->writes->done_ms : UINT64_MAX;
}

/* Everything that is due, as one group. */
void harness_write_complete(struct harness_node *node)
{
    uint64_t ticket = 0;
    while (node->writes != NULL && node->writes->done_ms <= node->harness->now_ms) {
        ticket = node->writes->ticket;
        write_to_disk(node, node->writes);
        drop_write(node);
    }
    if (ticket > 0) {
        driver_log_durable(node->driver, ticket);
    }
}

/* ---- the state */

struct driver_position harness_position(const struct harness_state *state)
{
    return (struct driver_position){
        .index = state->index,
        .term = state->term,
        .configuration_index = state->configuration_index,
        .configuration = state->configuration_size_bytes > 0 ? state->configuration : NULL,
        .configuration_size_bytes = state->configuration_size_bytes,
    };
}

static void state_apply(struct harness_state *state, uint64_t index, const struct entry *entry)
{
    state->index = index;
    state->term = entry->term;
    state->hash = raft_checks_mix(raft_checks_mix(state->hash, index), raft_checks_entry_hash(entry));
    if (entry->type == ENTRY_CHANGE) {
        assert(entry->size_bytes <= sizeof state->configuration);
        memcpy(state->configuration, entry->data, entry->size_bytes);
        state->configuration_size_bytes = entry->size_bytes;
        state->configuration_index = index;
    }
}

void harness_state_sync(struct harness *harness, uint64_t id)
{
    struct harness_node *node = harness_node(harness, id);
    if (!node->installing) {
        node->disk.state = node->state;
    }
}

void harness_compact(struct harness *harness, uint64_t id, uint64_t trailing)
{
    struct harness_node *node = harness_node(harness, id);
    if (node->up && node->disk.state.index > 0) {
        struct driver_position position = harness_position(&node->disk.state);
        harness->counts.compactions++;
        driver_compact(node->driver, &position, trailing);
    }
}

void harness_install_complete(struct harness_node *node)
{
    node->installing = false;
    node->state = node->disk.state = node->staged;
    raft_checks_applied(node->harness->checks, node->id, node->state.index, node->state.hash);
    driver_snapshot_installed(node->driver);
}

/* ---- the driver's ports */

static uint64_t port_now_ms(void *context)
{
    struct harness_node *node = context;
    return node->harness->now_ms;
}

static void port_log_set_vote(void *context, uint64_t ticket, uint64_t term, uint64_t voted_for)
{
    struct harness_write *write = queue_write(context, WRITE_VOTE, ticket, 0);
    write->term = term;
    write->voted_for = voted_for;
}

static void port_log_append(void *context, uint64_t ticket, uint64_t first_index, struct entry *const *entries,
                            size_t count)
{
    struct harness_node *node = context;
    struct harness_write *write = queue_write(node, WRITE_APPEND, ticket, count);
    write->first_index = first_index;
    log_truncate(&node->view, first_index);
    if (node->view.last + 1 != first_index) {
        raft_checks_report(node->harness->checks, "node %llu leaves a gap before entry %llu",
                           (unsigned long long)node->id, (unsigned long long)first_index);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        write->entries[i] = entry_ref(entries[i]);
        const struct entry *previous = harness_log_at(&node->view, node->view.last);
        uint64_t previous_term = previous != NULL ? previous->term : 0;
        if (!node->harness->peers_lie) {
            raft_checks_wrote(node->harness->checks, node->id, first_index + i, entries[i], previous_term);
        }
        log_append(&node->view, entries[i]);
    }
}

static void port_log_reset(void *context, uint64_t ticket, uint64_t first_index)
{
    struct harness_node *node = context;
    queue_write(node, WRITE_RESET, ticket, 0)->first_index = first_index;
    log_reset(&node->view, first_index);
}

static void port_log_prune(void *context, uint64_t ticket, uint64_t first_index)
{
    struct harness_node *node = context;
    queue_write(node, WRITE_PRUNE, ticket, 0)->first_index = first_index;
    log_prune(&node->view, first_index);
}

static struct entry *port_log_read(void *context, uint64_t index)
{
    struct harness_node *node = context;
    struct entry *entry = harness_log_at(&node->disk.log, index);
    return entry != NULL ? entry_ref(entry) : NULL;
}

static void port_send(void *context, uint64_t peer, const struct raft_message *message, struct entry *const *entries)
{
    struct harness_node *node = context;
    harness_network_send(node, peer, message, entries);
}

static void port_send_snapshot(void *context, uint64_t peer, uint64_t term, uint64_t at_least_index)
{
    struct harness_node *node = context;
    if (node->state.index < at_least_index) {
        raft_checks_report(node->harness->checks, "node %llu is asked for a snapshot that it does not have",
                           (unsigned long long)node->id);
        return;
    }
    harness_network_send_snapshot(node, peer, term);
}

static void port_apply(void *context, uint64_t index, struct entry *entry)
{
    struct harness_node *node = context;
    struct raft_checks *checks = node->harness->checks;
    const struct entry *durable = harness_log_at(&node->disk.log, index);
    if (index != node->state.index + 1) {
        raft_checks_report(checks, "node %llu applies entry %llu behind %llu", (unsigned long long)node->id,
                           (unsigned long long)index, (unsigned long long)node->state.index);
    }
    if (durable == NULL || raft_checks_entry_hash(durable) != raft_checks_entry_hash(entry)) {
        raft_checks_report(checks, "node %llu applies entry %llu, which is not on its disk",
                           (unsigned long long)node->id, (unsigned long long)index);
    }
    state_apply(&node->state, index, entry);
    raft_checks_applied(checks, node->id, index, node->state.hash);
    if (node->harness->on_apply != NULL) {
        node->harness->on_apply(node->harness->on_node_context, node->id, index, entry);
    }
}

static void port_install_snapshot(void *context, uint64_t index, uint64_t term)
{
    struct harness_node *node = context;
    struct harness *harness = node->harness;
    if (!node->has_staged || node->staged.index != index || node->staged.term != term) {
        raft_checks_report(harness->checks, "node %llu installs a snapshot that was not staged",
                           (unsigned long long)node->id);
    }
    node->has_staged = false;
    node->installing = true;
    node->install_done_ms = harness->now_ms + (harness->manual ? 0 : harness_random(harness, 100));
    log_reset(&node->view, index + 1);
    harness->counts.snapshots++;
}

static void note_commit(struct harness_node *node, uint64_t commit_index)
{
    uint64_t term = driver_status(node->driver).term;
    node->harness->counts.commits++;
    for (uint64_t index = commit_index; index >= node->view.first; index--) {
        const struct entry *entry = harness_log_at(&node->view, index);
        if (entry == NULL || index <= node->commit_told) {
            break;
        }
        raft_checks_committed(node->harness->checks, node->id, index, term, entry);
    }
    node->commit_told = commit_index;
}

static void port_committed(void *context, uint64_t commit_index)
{
    note_commit(context, commit_index);
}

static void port_changed(void *context)
{
    struct harness_node *node = context;
    struct raft_checks *checks = node->harness->checks;
    struct driver_status status = driver_status(node->driver);
    if (node->harness->on_changed != NULL) {
        node->harness->on_changed(node->harness->on_node_context, node->id);
    }
    if (status.role != DRIVER_LEADER) {
        return;
    }
    node->harness->counts.elections++;
    if (!node->harness->peers_lie) { /* terms of peers' own making go far beyond what the checks have room for */
        raft_checks_leads(checks, node->id, status.term);
    }
    for (uint64_t index = node->view.first; index <= raft_checks_commit_max(checks); index++) {
        raft_checks_leader_has(checks, node->id, status.term, index, harness_log_at(&node->view, index));
    }
}

static void port_failed(void *context, const char *reason)
{
    struct harness_node *node = context;
    (void)snprintf(node->failure, sizeof node->failure, "%s", reason);
    if (node->harness->peers_lie) {
        return;
    }
    raft_checks_report(node->harness->checks, "node %llu stopped: %s", (unsigned long long)node->id, reason);
}

/* ---- nodes */

struct harness_node *harness_node(struct harness *harness, uint64_t id)
{
    assert(id >= 1 && id <= harness->nodes_count);
    return &harness->nodes[id];
}

struct driver_status harness_status(struct harness *harness, uint64_t id)
{
    struct harness_node *node = harness_node(harness, id);
    assert(node->up);
    return driver_status(node->driver);
}

uint64_t harness_leader(struct harness *harness)
{
    uint64_t leader = 0, term = 0;
    for (uint64_t id = 1; id <= harness->nodes_count; id++) {
        struct harness_node *node = harness_node(harness, id);
        struct driver_status status = {0};
        if (node->up) {
            status = driver_status(node->driver);
        }
        if (status.role == DRIVER_LEADER && status.term > term) {
            leader = id;
            term = status.term;
        }
    }
    return leader;
}

void harness_start(struct harness *harness, uint64_t id)
{
    struct harness_node *node = harness_node(harness, id);
    if (node->up) {
        return;
    }
    const struct driver_ports ports = {
        .context = node,
        .now_ms = port_now_ms,
        .log_set_vote = port_log_set_vote,
        .log_append = port_log_append,
        .log_reset = port_log_reset,
        .log_prune = port_log_prune,
        .log_read = port_log_read,
        .send = port_send,
        .send_snapshot = port_send_snapshot,
        .apply = port_apply,
        .install_snapshot = port_install_snapshot,
        .changed = port_changed,
        .committed = port_committed,
        .failed = port_failed,
    };
    const struct driver_options options = {
        .id = id,
        .address = node->address,
        .election_timeout_ms = HARNESS_ELECTION_TIMEOUT_MS,
        .heartbeat_ms = HARNESS_HEARTBEAT_MS,
        .snapshot_timeout_ms = 3000,
        .seed = (uint32_t)harness_random(harness, UINT32_MAX),
        .inflight_entries_max = 8,
        .cache_size_bytes = harness->cache_size_bytes,
        .guards_off = harness->guards_off,
    };
    node->state = node->disk.state;
    log_copy(&node->view, &node->disk.log);
    const struct driver_start start = {
        .term = node->disk.term,
        .voted_for = node->disk.voted_for,
        .state = harness_position(&node->disk.state),
        .first_index = node->disk.log.first,
        .last_index = node->disk.log.last,
    };
    char error[256] = "";
    node->driver = driver_new(&options, &ports, &start, error, sizeof error);
    if (node->driver == NULL) {
        raft_checks_report(harness->checks, "node %llu does not start: %s", (unsigned long long)id, error);
        return;
    }
    node->up = true;
    node->frozen_until_ms = 0;
    node->failure[0] = '\0';
    node->commit_told = driver_status(node->driver).commit_index;
    for (uint64_t peer = 1; peer <= harness->nodes_count; peer++) {
        harness->session[id][peer]++;
        harness->session[peer][id]++;
    }
}

void harness_crash(struct harness *harness, uint64_t id)
{
    struct harness_node *node = harness_node(harness, id);
    if (!node->up) {
        return;
    }
    harness->counts.crashes++;
    driver_free(node->driver);
    node->driver = NULL;
    node->up = false;
    uint64_t kept = 0;
    for (struct harness_write *write = node->writes; write != NULL && !harness->manual; write = write->next) {
        kept++;
    }
    kept = harness_random(harness, kept + 1);
    while (node->writes != NULL) {
        if (kept > 0) {
            write_to_disk(node, node->writes);
            kept--;
        }
        drop_write(node);
    }
    if (node->installing && harness_chance(harness, 500)) {
        node->disk.state = node->staged; /* the file was in its place, the log not yet reset */
    }
    node->installing = node->has_staged = false;
    for (uint64_t peer = 1; peer <= harness->nodes_count; peer++) {
        harness->snapshot_until_ms[id][peer] = 0;
    }
}

void harness_restart(struct harness *harness, uint64_t id)
{
    harness_crash(harness, id);
    harness_start(harness, id);
}

/* ---- clients */

enum driver_error harness_submit(struct harness *harness, uint64_t id)
{
    struct harness_node *node = harness_node(harness, id);
    if (!node->up) {
        return DRIVER_NOT_LEADER;
    }
    uint64_t payload = ++harness->payload;
    struct entry *entry = entry_new(0, ENTRY_COMMAND, (uint32_t)(sizeof payload + payload % 9));
    memset(entry->data, 0, entry->size_bytes);
    memcpy(entry->data, &payload, sizeof payload);
    uint64_t index, term;
    return driver_submit(node->driver, entry, &index, &term);
}

void harness_copy_configuration(struct harness *harness, uint64_t id, struct raft_configuration *copy)
{
    const struct raft_configuration *configuration = driver_configuration(harness_node(harness, id)->driver);
    raft_configuration_init(copy);
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct raft_server *server = &configuration->servers[i];
        int rv = raft_configuration_add(copy, server->id, server->address, server->role);
        assert(rv == 0);
    }
}

enum driver_error harness_change(struct harness *harness, uint64_t leader, uint64_t id, int role)
{
    const struct raft_configuration *configuration = driver_configuration(harness_node(harness, leader)->driver);
    struct raft_configuration next;
    raft_configuration_init(&next);
    int rv = 0;
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct raft_server *server = &configuration->servers[i];
        if (server->id != id) {
            rv |= raft_configuration_add(&next, server->id, server->address, server->role);
        } else if (role >= 0) {
            rv |= raft_configuration_add(&next, id, server->address, role);
        }
    }
    if (members_find(configuration, id) == NULL && role >= 0) {
        rv |= raft_configuration_add(&next, id, harness_node(harness, id)->address, role);
    }
    assert(rv == 0);
    enum driver_error error = driver_change(harness_node(harness, leader)->driver, &next);
    raft_configuration_close(&next);
    harness->counts.changes += error == DRIVER_OK;
    return error;
}

/* ---- beginning and end */

struct harness *harness_new(uint64_t seed, unsigned nodes_count)
{
    assert(nodes_count <= HARNESS_NODES_MAX);
    struct harness *harness = harness_zeroed(1, sizeof *harness);
    harness->seed = seed;
    harness->random = raft_checks_mix(seed, 0x1234567) | 1;
    harness->now_ms = 1000;
    harness->delay_ms_max = 20;
    harness->nodes_count = nodes_count;
    harness->cache_size_bytes = 200; /* small, so that followers are fed from disk too */
    harness->checks = raft_checks_new();
    for (uint64_t id = 1; id <= nodes_count; id++) {
        struct harness_node *node = harness_node(harness, id);
        node->harness = harness;
        node->id = id;
        (void)snprintf(node->address, sizeof node->address, "node%u:1", (unsigned)id);
        node->writes_tail = &node->writes;
        node->disk.log.first = node->view.first = 1;
    }
    return harness;
}

void harness_free(struct harness *harness)
{
    for (uint64_t id = 1; id <= harness->nodes_count; id++) {
        struct harness_node *node = harness_node(harness, id);
        harness_crash(harness, id);
        log_reset(&node->disk.log, 1);
        log_reset(&node->view, 1);
        free(node->disk.log.entries);
        free(node->view.entries);
    }
    harness_network_close(harness);
    raft_checks_free(harness->checks);
    free(harness);
}

void harness_bootstrap(struct harness *harness, unsigned voters, unsigned learners)
{
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    int rv = 0;
    for (uint64_t id = 1; id <= voters + learners; id++) {
        rv |= raft_configuration_add(&configuration, id, harness_node(harness, id)->address,
                                     id <= voters ? RAFT_VOTER : RAFT_STANDBY);
    }
    struct raft_buffer buffer;
    rv |= raft_configuration_encode(&configuration, &buffer);
    assert(rv == 0);
    struct entry *first = entry_new(1, ENTRY_CHANGE, (uint32_t)buffer.len);
    memcpy(first->data, buffer.base, buffer.len);
    for (uint64_t id = 1; id <= voters + learners; id++) {
        struct harness_node *node = harness_node(harness, id);
        node->disk.term = 1;
        log_append(&node->disk.log, first);
    }
    if (!harness->peers_lie) {
        raft_checks_wrote(harness->checks, 1, 1, first, 0);
    }
    raft_checks_committed(harness->checks, 1, 1, 1, first);
    entry_unref(first);
    raft_free(buffer.base);
    raft_configuration_close(&configuration);
}
