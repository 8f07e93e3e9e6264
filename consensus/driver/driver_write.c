/*
 * Writes of the log: every one gets a ticket, and what the core may be told follows from the tickets that are durable.
 *
 *     queued                    durable up to a ticket
 *     vote ───────────────────> messages may leave; entries may be reported
 *     append 5..10 ───────────> PERSISTED_ENTRIES 10
 *     append 8.. (truncates) ─> the append before may now report 7 at most
 *     snapshot: state first, then reset ─> PERSISTED_SNAPSHOT; no entries are reported in between
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/driver/driver_internal.h"
#include "consensus/driver/guards.h"

/* Keeps the entries behind a snapshot from growing without bound whatever the caller asks for. */
#define TRAILING_ENTRIES_MAX (1u << 20)
#define WRITES_INITIAL 64u

static uint64_t next_ticket(struct driver *driver)
{
    return ++driver->last_ticket;
}

void driver_write_vote(struct driver *driver, uint64_t term, uint64_t voted_for)
{
    if (term == driver->vote_term && voted_for == driver->vote_for) {
        return;
    }
    driver->vote_term = term;
    driver->vote_for = voted_for;
    driver->vote_ticket = next_ticket(driver);
    driver->ports.log_set_vote(driver->ports.context, driver->vote_ticket, term, voted_for);
}

static struct driver_write *write_at(struct driver *driver, size_t position)
{
    return &driver->writes[(driver->writes_head + position) % driver->writes_capacity];
}

/* No earlier write may report anything from `index` on: those entries are no longer what the log holds. */
static void forget_from(struct driver *driver, uint64_t index)
{
    for (size_t i = 0; i < driver->writes_count; i++) {
        struct driver_write *write = write_at(driver, i);
        write->last = write->last < index ? write->last : index - 1;
    }
}

static void remember_write(struct driver *driver, uint64_t ticket, uint64_t last)
{
    if (driver->writes_count == driver->writes_capacity) {
        size_t capacity = driver->writes_capacity > 0 ? 2 * driver->writes_capacity : WRITES_INITIAL;
        struct driver_write *writes = driver_resize(NULL, capacity, sizeof *writes);
        for (size_t i = 0; i < driver->writes_count; i++) {
            writes[i] = *write_at(driver, i);
        }
        free(driver->writes);
        driver->writes = writes;
        driver->writes_capacity = capacity;
        driver->writes_head = 0;
    }
    driver->writes_count++;
    *write_at(driver, driver->writes_count - 1) = (struct driver_write){ticket, last};
}

static void append(struct driver *driver, uint64_t first_index, struct entry *const *entries, size_t count)
{
    struct driver_log *log = &driver->log;
    if (first_index < log->first || first_index <= log->settled || first_index > log->last + 1) {
        (void)driver_stop(driver, "the core writes entry %llu; the log goes from %llu to %llu, %llu are applied",
                          (unsigned long long)first_index, (unsigned long long)log->first,
                          (unsigned long long)log->last, (unsigned long long)log->settled);
        return;
    }
    if (first_index <= log->last) {
        forget_from(driver, first_index);
        driver_log_truncate(log, first_index);
    }
    for (size_t i = 0; i < count; i++) {
        driver_log_append(log, entries[i]);
    }
    uint64_t ticket = next_ticket(driver);
    remember_write(driver, ticket, log->last);
    driver->ports.log_append(driver->ports.context, ticket, first_index, entries, count);
}

/* The barrier that the core makes on its own when it is elected: its only entry that is not one of ours. */
static void append_barrier(struct driver *driver, uint64_t index)
{
    const struct raft_entry *made = &driver->raft.barrier;
    struct entry *barrier = entry_new(made->term, ENTRY_BARRIER, (uint32_t)made->buf.len);
    memcpy(barrier->data, made->buf.base, made->buf.len);
    raft_free(made->batch);
    driver->barrier_index = index;
    append(driver, index, &barrier, 1);
    entry_unref(barrier);
}

void driver_write_entries(struct driver *driver, const struct raft_update *update, const struct driver_source *source)
{
    const struct raft_entry *batch = update->entries.batch;
    if (batch == &driver->raft.barrier) {
        append_barrier(driver, update->entries.index);
        return;
    }
    assert(source != NULL);
    size_t offset = (size_t)(batch - source->raft_entries);
    if (batch < source->raft_entries || offset >= source->count || update->entries.n > source->count - offset) {
        (void)driver_stop(driver, "the core writes %u entries from %llu on, which nobody gave it", update->entries.n,
                          update->entries.index);
        return;
    }
    append(driver, update->entries.index, source->entries + offset, update->entries.n);
}

/* Not before the term in which it came is durable: a node whose state is of a later term than its vote does not start. */
static void begin_installation(struct driver *driver)
{
    if (driver->install_waits && driver->install_ticket <= driver->durable_ticket && !driver->failed) {
        driver->install_waits = false;
        driver->ports.install_snapshot(driver->ports.context, driver->snapshot.index, driver->snapshot.term);
    }
}

void driver_write_snapshot(struct driver *driver, struct raft_update *update)
{
    struct raft_snapshot_metadata *metadata = &update->snapshot.metadata;
    raft_free(update->snapshot.chunk.base); /* the data is in the staged file */
    driver->snapshot = *metadata;
    driver->installing = true;
    driver->reset_ticket = 0;
    if (metadata->index <= driver->handed_over_index) {
        (void)driver_stop(driver, "the core installs a snapshot of entry %llu, though %llu is applied", metadata->index,
                          (unsigned long long)driver->handed_over_index);
        return;
    }
    forget_from(driver, 1);
    driver_log_reset(&driver->log, metadata->index + 1);
    driver->install_waits = true;
    driver->install_ticket = driver->vote_ticket;
    begin_installation(driver);
}

void driver_write_reset(struct driver *driver, uint64_t first_index)
{
    driver->reset_ticket = next_ticket(driver);
    driver->ports.log_reset(driver->ports.context, driver->reset_ticket, first_index);
}

void driver_snapshot_installed(struct driver *driver)
{
    if (!driver_enter(driver)) {
        return;
    }
    assert(driver->installing && driver->reset_ticket == 0);
    /* The state is durable with the snapshot: only now may the entries go that it stands for. */
    driver_write_reset(driver, driver->snapshot.index + 1);
    driver_leave(driver);
}

/* ---- completions */

static void report_entries(struct driver *driver)
{
    uint64_t last = 0;
    while (driver->writes_count > 0 && write_at(driver, 0)->ticket <= driver->durable_ticket) {
        uint64_t reportable = write_at(driver, 0)->last;
        last = reportable > last ? reportable : last;
        driver->writes_head = (driver->writes_head + 1) % driver->writes_capacity;
        driver->writes_count--;
    }
    if (driver->installing || last <= driver->raft.last_stored) {
        return;
    }
    struct raft_event event = {.type = RAFT_PERSISTED_ENTRIES};
    event.persisted_entries.index = last;
    (void)driver_step(driver, &event, NULL, NULL);
    driver_settle(driver);
}

static void report_snapshot(struct driver *driver)
{
    if (!driver->installing || driver->reset_ticket == 0 || driver->reset_ticket > driver->durable_ticket ||
        driver->failed) {
        return;
    }
    assert(driver->raft.state == RAFT_FOLLOWER);
    driver->installing = false;
    driver->handed_over_index = driver->snapshot.index;
    struct raft_event event = {.type = RAFT_PERSISTED_SNAPSHOT};
    event.persisted_snapshot.metadata = driver->snapshot;
    event.persisted_snapshot.last = true;
    (void)driver_step(driver, &event, NULL, NULL);
    driver_settle(driver);
}

void driver_log_durable(struct driver *driver, uint64_t ticket)
{
    if (!driver_enter(driver)) {
        return;
    }
    assert(ticket <= driver->last_ticket);
    driver->durable_ticket = ticket > driver->durable_ticket ? ticket : driver->durable_ticket;
    if (driver->loaded != NULL) {
        if (driver->loaded->ticket <= driver->durable_ticket) {
            driver_begin(driver);
        }
    } else {
        begin_installation(driver);
        driver_send_durable(driver);
        if (driver->durable_ticket >= driver->vote_ticket) {
            report_entries(driver);
            report_snapshot(driver);
        }
    }
    driver_leave(driver);
}

/* ---- compaction */

static void prune(struct driver *driver)
{
    uint64_t first_index = driver->raft.trail.offset + 1;
    if (first_index > driver->log.first) {
        driver_log_prune(&driver->log, first_index);
        driver->ports.log_prune(driver->ports.context, next_ticket(driver), first_index);
    }
}

void driver_compact(struct driver *driver, const struct driver_position *position, uint64_t trailing)
{
    if (!driver_enter(driver)) {
        return;
    }
    const struct raft *raft = &driver->raft;
    bool news = driver->loaded == NULL && !driver->installing && position->index > raft->trail.snapshot.index &&
                position->index <= driver->handed_over_index;
    if (news) {
        struct raft_event event = {.type = RAFT_SNAPSHOT};
        struct raft_snapshot_metadata *metadata = &event.snapshot.metadata;
        metadata->index = position->index;
        metadata->term = position->term;
        metadata->configuration_index = position->configuration_index;
        event.snapshot.trailing = trailing < TRAILING_ENTRIES_MAX ? (unsigned)trailing : TRAILING_ENTRIES_MAX;
        if (guard_term_of(raft, position->index) != position->term) {
            (void)driver_stop(driver, "the state stands at entry %llu of term %llu, which is not the log's",
                              (unsigned long long)position->index, (unsigned long long)position->term);
        } else if (!members_decode(position->configuration, position->configuration_size_bytes,
                                   &metadata->configuration)) {
            (void)driver_stop(driver, "the state's configuration cannot be read");
        } else {
            (void)driver_step(driver, &event, NULL, NULL);
            prune(driver);
            driver_settle(driver);
        }
    }
    driver_leave(driver);
}
