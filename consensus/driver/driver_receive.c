/*
 * What peers send. Everything is looked over before the core sees it: the core trusts its input, and its assertions are
 * compiled out.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/driver/driver_internal.h"
#include "consensus/driver/guards.h"

/* The core frees the payload of a snapshot's message; ours is in the staged file. */
#define SNAPSHOT_CHUNK_SIZE_BYTES 8u
#define RECEIVED_INITIAL 64u

/* Of a peer that the configuration does not know (yet); the core wants a string. */
static const char *address_of(const struct driver *driver, uint64_t peer)
{
    const struct raft_server *server = members_find(&driver->raft.configuration, peer);
    return server != NULL ? server->address : "";
}

/* No node gets so far, and the core adds to them. */
static bool is_within_reach(uint64_t term, uint64_t index)
{
    return term < UINT64_MAX / 2 && index < UINT64_MAX / 2;
}

/* What no peer can have to say. */
static bool message_valid(const struct raft_message *message)
{
    switch (message->type) {
    case RAFT_APPEND_ENTRIES: {
        const struct raft_append_entries *append = &message->append_entries;
        return is_within_reach(append->term, append->prev_log_index) && is_within_reach(append->prev_log_term, append->leader_commit);
    }
    case RAFT_APPEND_ENTRIES_RESULT: {
        const struct raft_append_entries_result *result = &message->append_entries_result;
        return is_within_reach(result->term, result->last_log_index) && is_within_reach(0, result->rejected);
    }
    case RAFT_REQUEST_VOTE: {
        const struct raft_request_vote *request = &message->request_vote;
        return is_within_reach(request->term, request->last_log_index) && is_within_reach(request->last_log_term, 0);
    }
    case RAFT_REQUEST_VOTE_RESULT:
        return is_within_reach(message->request_vote_result.term, 0);
    case RAFT_TIMEOUT_NOW:
        return is_within_reach(message->timeout_now.term, message->timeout_now.last_log_index);
    default:
        return false; /* snapshots come otherwise */
    }
}

static bool entries_valid(const struct raft_append_entries *append, struct entry *const *entries)
{
    uint64_t term = append->prev_log_term;
    if (append->prev_log_index == 0 && append->n_entries > 0 && entries[0]->type != ENTRY_CHANGE) {
        return false; /* every log begins with the first configuration, and no node starts from another */
    }
    for (unsigned i = 0; i < append->n_entries; i++) {
        const struct entry *entry = entries[i];
        if (entry->term == 0 || entry->term < term || entry->term > append->term || entry->type < ENTRY_COMMAND ||
            entry->type > ENTRY_CHANGE ||
            (entry->type == ENTRY_CHANGE && !members_valid(entry->data, entry->size_bytes))) {
            return false;
        }
        term = entry->term;
    }
    return true;
}

static bool append_valid(const struct raft_append_entries *append, struct entry *const *entries)
{
    return append->term > 0 && append->prev_log_term <= append->term &&
           (append->prev_log_index == 0) == (append->prev_log_term == 0) && entries_valid(append, entries);
}

/* The core frees the batch, and looks at nothing but the entries' own buffers. */
static struct raft_entry *convert(struct driver *driver, struct entry *const *entries, unsigned count, void *batch)
{
    if (count > driver->received_capacity || driver->received == NULL) {
        driver->received_capacity = count > RECEIVED_INITIAL ? count : RECEIVED_INITIAL;
        free(driver->received);
        driver->received = calloc(driver->received_capacity, sizeof driver->received[0]);
        if (driver->received == NULL) {
            abort();
        }
    }
    for (unsigned i = 0; i < count; i++) {
        driver->received[i] = (struct raft_entry){
            .term = entries[i]->term,
            .type = (enum raft_entry_type)entries[i]->type,
            .buf = {entries[i]->data, entries[i]->size_bytes},
            .batch = batch,
        };
    }
    return driver->received;
}

/* Feeds one AppendEntries whose change, if any, comes first. */
static void feed_append(struct driver *driver, uint64_t peer, const struct raft_append_entries *append,
                        struct entry *const *entries)
{
    uint64_t change = driver->installing ? 0
                                         : guard_change_superseded(driver->options.guards_off, &driver->raft, append,
                                                                   entries);
    if (change != 0) {
        driver_confirm_change(driver, change);
    }
    if (driver->failed) {
        return;
    }
    void *batch = append->n_entries > 0 ? raft_malloc(1) : NULL;
    if (append->n_entries > 0 && batch == NULL) {
        abort();
    }
    struct raft_entry *array = convert(driver, entries, append->n_entries, batch);
    struct raft_message message = {.type = RAFT_APPEND_ENTRIES, .server_id = peer};
    message.server_address = address_of(driver, peer);
    message.append_entries = *append;
    message.append_entries.entries = array;
    struct raft_event event = {.type = RAFT_RECEIVE};
    event.receive.message = &message;
    struct driver_source source = {array, entries, append->n_entries};
    struct raft_update update;
    (void)driver_step(driver, &event, &source, &update);
    if ((update.flags & (RAFT_UPDATE_ENTRIES)) && update.entries.batch != &driver->raft.barrier) {
        raft_free(batch); /* accepted: ours again */
    }
    driver_settle(driver);
}

/* Two leaders in one term: what raft exists to prevent. Going on would only spread it. */
static bool is_rival(struct driver *driver, uint64_t peer, uint64_t term)
{
    if (driver->raft.state != RAFT_LEADER || term != driver->raft.current_term) {
        return false;
    }
    (void)driver_stop(driver, "node %llu says that it leads in term %llu, and so does this one",
                      (unsigned long long)peer, (unsigned long long)term);
    return true;
}

/* Who says that another entry is there than the one that is committed here is wrong, or this node is: neither may go on together. */
static bool keeps_committed(struct driver *driver, uint64_t peer, uint64_t index, uint64_t term)
{
    uint64_t here = index <= driver->commit_index ? guard_term_of(&driver->raft, index) : 0;
    return here == 0 || here == term ||
           driver_stop(driver, "node %llu has entry %llu of term %llu, and here one of term %llu is committed",
                       (unsigned long long)peer, (unsigned long long)index, (unsigned long long)term, (unsigned long long)here);
}

static bool append_keeps_committed(struct driver *driver, uint64_t peer, const struct raft_append_entries *append,
                                   struct entry *const *entries)
{
    for (unsigned i = 0; i < append->n_entries && append->prev_log_index + 1 + i <= driver->commit_index; i++) {
        if (!keeps_committed(driver, peer, append->prev_log_index + 1 + i, entries[i]->term)) {
            return false;
        }
    }
    return true;
}

static void receive_append(struct driver *driver, uint64_t peer, struct raft_append_entries append,
                           struct entry *const *entries)
{
    static struct entry *const none[1] = {NULL};
    uint32_t off = driver->options.guards_off;
    struct raft_message answer;
    if (!append_valid(&append, entries)) {
        return;
    }
    entries = append.n_entries > 0 ? entries : none; /* of none there is no array to count from */
    if (guard_stale_term(off, &driver->raft, append.term, &answer)) {
        driver_send_message(driver, peer, &answer);
        return;
    }
    if (is_rival(driver, peer, append.term)) {
        return;
    }
    entries += guard_compacted_prefix(off, &driver->raft, &append);
    if (!append_keeps_committed(driver, peer, &append, entries)) {
        return;
    }
    size_t count = append.n_entries, fed = 0;
    do {
        struct raft_append_entries part = append;
        part.n_entries = (unsigned)guard_change_first(off, entries, count, fed);
        feed_append(driver, peer, &part, entries + fed);
        fed += part.n_entries;
        append.prev_log_index += part.n_entries;
        if (part.n_entries > 0) {
            append.prev_log_term = entries[fed - 1]->term;
        }
        /* A part that was not taken leaves no place for the next. */
    } while (fed < count && !driver->failed &&
             guard_term_of(&driver->raft, append.prev_log_index) == append.prev_log_term);
}

/*
 * A peer that no longer holds what it had acknowledged has lost its state, and begins anew without a vote until a snapshot
 * comes, which must hold what it had acknowledged: until that is committed it is not asked for. The transport keeps answers in
 * order, so this one is not old, as the core would have it, and guard 9, which drops it.
 */
static void restore_peer(struct driver *driver, uint64_t peer, const struct raft_append_entries_result *result)
{
    uint64_t match_index;
    if (guard_is_on(driver->options.guards_off, GUARD_STALE_RESULT) && result->rejected > 0 &&
        result->term == driver->raft.current_term && driver_match_index(driver, peer, &match_index) &&
        result->last_log_index < match_index && match_index <= driver->handed_over_index) {
        driver->ports.send_snapshot(driver->ports.context, peer, result->term, match_index);
    }
}

static void receive_other(struct driver *driver, uint64_t peer, struct raft_message message)
{
    bool for_another = message.type == RAFT_REQUEST_VOTE && message.request_vote.candidate_id != peer;
    if (message.type == RAFT_APPEND_ENTRIES_RESULT && driver->raft.state == RAFT_LEADER) {
        restore_peer(driver, peer, &message.append_entries_result);
    }
    if (for_another || guard_stale_result(driver->options.guards_off, &driver->raft, peer, &message)) {
        return;
    }
    if (message.type == RAFT_APPEND_ENTRIES_RESULT && driver->raft.state == RAFT_LEADER) {
        driver_peer(driver, peer)->heard_ms = driver->now_ms;
    }
    message.server_id = peer;
    message.server_address = address_of(driver, peer);
    struct raft_event event = {.type = RAFT_RECEIVE};
    event.receive.message = &message;
    int *role = guard_vote_role(driver->options.guards_off, &driver->raft, &message);
    int true_role = role != NULL ? *role : RAFT_VOTER;
    if (role != NULL) {
        *role = RAFT_VOTER;
    }
    (void)driver_step(driver, &event, NULL, NULL);
    if (role != NULL) {
        *role = true_role; /* a request for a vote does not replace the configuration */
    }
    driver_settle(driver);
}

void driver_receive(struct driver *driver, uint64_t peer, const struct raft_message *message,
                    struct entry *const *entries)
{
    if (!driver_enter(driver)) {
        return;
    }
    bool ours = driver->loaded == NULL && peer != 0 && peer != driver->options.id && message_valid(message);
    if (ours && message->type == RAFT_APPEND_ENTRIES) {
        receive_append(driver, peer, message->append_entries, entries);
    } else if (ours) {
        receive_other(driver, peer, *message);
    }
    driver_leave(driver);
}

static void receive_snapshot(struct driver *driver, uint64_t peer, uint64_t term,
                             const struct driver_position *position)
{
    struct raft_message message = {.type = RAFT_INSTALL_SNAPSHOT, .server_id = peer};
    struct raft_install_snapshot *install = &message.install_snapshot;
    struct raft_message answer;
    if (!is_within_reach(term, position->index)) {
        return;
    }
    if (guard_stale_term(driver->options.guards_off, &driver->raft, term, &answer)) {
        driver_send_message(driver, peer, &answer);
        return;
    }
    if (driver->installing || is_rival(driver, peer, term) || position->index == 0 || position->term == 0 ||
        position->term > term || position->configuration_index > position->index ||
        !keeps_committed(driver, peer, position->index, position->term) ||
        !members_decode(position->configuration, position->configuration_size_bytes, &install->conf)) {
        return;
    }
    message.server_address = address_of(driver, peer);
    install->term = term;
    install->last_index = position->index;
    install->last_term = position->term;
    install->conf_index = position->configuration_index;
    install->data.base = raft_calloc(1, SNAPSHOT_CHUNK_SIZE_BYTES);
    install->data.len = SNAPSHOT_CHUNK_SIZE_BYTES;
    if (install->data.base == NULL) {
        abort();
    }
    struct raft_event event = {.type = RAFT_RECEIVE};
    event.receive.message = &message;
    (void)driver_step(driver, &event, NULL, NULL);
    driver_settle(driver);
}

void driver_receive_snapshot(struct driver *driver, uint64_t peer, uint64_t term,
                             const struct driver_position *position)
{
    if (!driver_enter(driver)) {
        return;
    }
    if (driver->loaded == NULL) {
        receive_snapshot(driver, peer, term, position);
    }
    driver_leave(driver);
}
