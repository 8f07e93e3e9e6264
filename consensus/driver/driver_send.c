/*
 * Messages to peers. None leaves before the vote and term that it may speak of are durable: it waits in the outbox.
 * Appends take their entries with them when they are made, so that a later truncation cannot change what they say.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/driver/driver_internal.h"
#include "consensus/driver/guards.h"
#include "consensus/machine/limits.h"
#include "consensus/machine/planted.h"

/* One message's entries together, so that it fits into a frame of the transport: at least the largest entry. */
#define APPEND_SIZE_BYTES_MAX LIMIT_ENTRY_SIZE_BYTES

struct driver_peer *driver_peer(struct driver *driver, uint64_t id)
{
    for (size_t i = 0; i < driver->peers_count; i++) {
        if (driver->peers[i].id == id) {
            return &driver->peers[i];
        }
    }
    if (driver->peers_count == MEMBERS_MAX) {
        driver->peers_count = 0; /* members came and went: what is forgotten costs a message each */
    }
    struct driver_peer *peer = &driver->peers[driver->peers_count++];
    *peer = (struct driver_peer){.id = id};
    return peer;
}

static void deliver(struct driver *driver, uint64_t peer, const struct raft_message *message,
                    struct entry *const *entries)
{
    void *context = driver->ports.context;
    if (message->type == RAFT_INSTALL_SNAPSHOT) {
        driver->ports.send_snapshot(context, peer, message->install_snapshot.term,
                                    message->install_snapshot.last_index);
    } else {
        driver->ports.send(context, peer, message, entries);
    }
}

/* Sends now, or keeps a copy until the vote is durable. */
static void post(struct driver *driver, uint64_t peer, const struct raft_message *message,
                 struct entry *const *entries)
{
    if ((driver->outbox == NULL && driver->durable_ticket >= driver->vote_ticket) || planted(VOTE_NOT_DURABLE)) {
        deliver(driver, peer, message, entries);
        return;
    }
    if (driver->outbox_count == DRIVER_OUTBOX_MAX) {
        return;
    }
    size_t count = message->type == RAFT_APPEND_ENTRIES ? message->append_entries.n_entries : 0;
    struct driver_outgoing *outgoing =
        driver_resize(NULL, 1, sizeof *outgoing + count * sizeof outgoing->entries[0]);
    outgoing->next = NULL;
    outgoing->after_ticket = driver->vote_ticket;
    outgoing->peer = peer;
    outgoing->message = *message;
    for (size_t i = 0; i < count; i++) {
        outgoing->entries[i] = entry_ref(entries[i]);
    }
    *driver->outbox_tail = outgoing;
    driver->outbox_tail = &outgoing->next;
    driver->outbox_count++;
}

static void drop_first(struct driver *driver)
{
    struct driver_outgoing *outgoing = driver->outbox;
    driver->outbox = outgoing->next;
    if (driver->outbox == NULL) {
        driver->outbox_tail = &driver->outbox;
    }
    driver->outbox_count--;
    size_t count = outgoing->message.type == RAFT_APPEND_ENTRIES ? outgoing->message.append_entries.n_entries : 0;
    for (size_t i = 0; i < count; i++) {
        entry_unref(outgoing->entries[i]);
    }
    free(outgoing);
}

void driver_send_durable(struct driver *driver)
{
    while (driver->outbox != NULL && driver->outbox->after_ticket <= driver->durable_ticket && !driver->failed) {
        deliver(driver, driver->outbox->peer, &driver->outbox->message, driver->outbox->entries);
        drop_first(driver);
    }
}

void driver_send_close(struct driver *driver)
{
    while (driver->outbox != NULL) {
        drop_first(driver);
    }
    free(driver->scratch);
}

/* How many of the entries, from the first one on, go into one message. */
static size_t fit(struct entry *const *entries, size_t count)
{
    size_t size_bytes = entries[0]->size_bytes;
    size_t taken = 1;
    while (taken < count && size_bytes + entries[taken]->size_bytes <= APPEND_SIZE_BYTES_MAX) {
        size_bytes += entries[taken]->size_bytes;
        taken++;
    }
    return taken;
}

static void post_append(struct driver *driver, uint64_t peer, const struct raft_message *message,
                        struct entry *const *entries)
{
    struct raft_message part = *message;
    struct raft_append_entries *append = &part.append_entries;
    size_t count = append->n_entries, sent = 0;
    append->entries = NULL;
    do {
        append->n_entries = count > 0 ? (unsigned)fit(&entries[sent], count - sent) : 0;
        post(driver, peer, &part, count > 0 ? &entries[sent] : NULL); /* of a heartbeat: there is no list */
        sent += append->n_entries;
        append->prev_log_index += append->n_entries;
        if (append->n_entries > 0) {
            append->prev_log_term = entries[sent - 1]->term;
        }
    } while (sent < count);

    uint64_t told = append->leader_commit < append->prev_log_index ? append->leader_commit : append->prev_log_index;
    struct driver_peer *known = driver_peer(driver, peer);
    known->announced = told > known->announced ? told : known->announced;
}

/* The core says only where an append begins and how many entries it has. */
static void fill_append(struct driver *driver, uint64_t peer, const struct raft_message *message)
{
    uint64_t first = message->append_entries.prev_log_index + 1;
    size_t count = message->append_entries.n_entries, filled = 0;
    if (count > 0 && (first < driver->log.first || first + count - 1 > driver->log.last)) {
        (void)driver_stop(driver, "the core sends entries from %llu on, which are not in the log",
                          (unsigned long long)first);
        return;
    }
    if (count > driver->scratch_capacity) {
        driver->scratch = driver_resize(driver->scratch, count, sizeof driver->scratch[0]);
        driver->scratch_capacity = count;
    }
    while (filled < count) {
        struct entry *entry = driver_log_get(&driver->log, first + filled);
        if (entry == NULL) {
            (void)driver_stop(driver, "log entry %llu cannot be read", (unsigned long long)(first + filled));
            break;
        }
        driver->scratch[filled++] = entry;
    }
    if (filled == count) {
        post_append(driver, peer, message, driver->scratch);
    }
    while (filled > 0) {
        entry_unref(driver->scratch[--filled]);
    }
}

void driver_send_message(struct driver *driver, uint64_t peer, const struct raft_message *message)
{
    struct raft_message copy = *message;
    copy.server_id = peer;
    copy.server_address = NULL; /* the core's may be gone by the time that it is looked at */
    guard_prevote_term(driver->options.guards_off, &driver->raft, &copy);
    if (peer == driver->options.id || peer == 0) {
        return; /* 0: an answer to a leader that is forgotten */
    }
    if (copy.type == RAFT_APPEND_ENTRIES) {
        fill_append(driver, peer, &copy);
    } else {
        post(driver, peer, &copy, NULL);
    }
}

void driver_send_update(struct driver *driver, const struct raft_update *update)
{
    for (unsigned i = 0; i < update->messages.n && !driver->failed; i++) {
        driver_send_message(driver, update->messages.batch[i].server_id, &update->messages.batch[i]);
    }
}

/*
 * The core tells followers of a commit with the next append or heartbeat. While more is in flight the next append is
 * on its way anyway; at rest, each voter that has everything is told at once, so that it can answer its own clients.
 */
void driver_send_commit(struct driver *driver)
{
    const struct raft *raft = &driver->raft;
    uint64_t commit_index = driver->commit_index;
    if (driver->failed || raft->state != RAFT_LEADER || commit_index != driver->log.last) {
        return;
    }
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        const struct raft_server *server = &raft->configuration.servers[i];
        raft_index match_index = 0;
        if (server->role != RAFT_VOTER || server->id == driver->options.id ||
            driver_peer(driver, server->id)->announced >= commit_index ||
            raft_match_index(raft, server->id, &match_index) != 0 || match_index < commit_index) {
            continue;
        }
        struct raft_message message = {.type = RAFT_APPEND_ENTRIES};
        message.append_entries.term = raft->current_term;
        message.append_entries.prev_log_index = commit_index;
        message.append_entries.prev_log_term = guard_term_of(raft, commit_index);
        message.append_entries.leader_commit = commit_index;
        driver_send_message(driver, server->id, &message);
    }
}
