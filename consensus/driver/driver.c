/*
 * The driver's steps. See driver.h for the order in which the core's wishes are carried out, and README.md for why.
 *
 * What could be a broken contract of the core ends in driver_stop, never in going on: the packaged library has its own
 * assertions compiled out, and a node that has stopped can still say why.
 */
#include "consensus/driver/driver.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/driver/driver_internal.h"
#include "consensus/driver/guards.h"
#include "consensus/machine/limits.h"
#include "consensus/machine/planted.h"

void *driver_resize(void *memory, size_t count, size_t size_bytes)
{
    void *resized = reallocarray(memory, count, size_bytes);
    if (resized == NULL) {
        abort();
    }
    return resized;
}

/* ---- entering and leaving */

static void read_clock(struct driver *driver)
{
    uint64_t now_ms = driver->ports.now_ms(driver->ports.context);
    assert(now_ms >= driver->now_ms);
    driver->now_ms = now_ms;
}

bool driver_enter(struct driver *driver)
{
    if (driver->failed) {
        return false;
    }
    assert(!driver->inside);
    driver->inside = true;
    read_clock(driver);
    return true;
}

static bool take_role_change(struct driver *driver)
{
    bool changed = driver->reported.role != driver_role(driver) || driver->reported.term != driver->raft.current_term ||
                   driver->reported.leader_id != driver_leader_id(driver);
    driver->reported.role = driver_role(driver);
    driver->reported.term = driver->raft.current_term;
    driver->reported.leader_id = driver_leader_id(driver);
    return changed;
}

static void report_failure(struct driver *driver)
{
    if (!driver->failure_reported) {
        driver->failure_reported = true;
        driver->ports.failed(driver->ports.context, driver->reason);
    }
}

void driver_leave(struct driver *driver)
{
    driver->inside = false;
    bool changed = take_role_change(driver);
    if (driver->failed) {
        report_failure(driver);
        return;
    }
    if (driver->commit_unreported) {
        driver->commit_unreported = false;
        if (driver->ports.committed != NULL) driver->ports.committed(driver->ports.context, driver->commit_index);
    }
    if (changed && !driver->failed) {
        driver->ports.changed(driver->ports.context);
    }
}

bool driver_stop(struct driver *driver, const char *format, ...)
{
    if (!driver->failed) {
        driver->failed = true;
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(driver->reason, sizeof driver->reason, format, arguments);
        va_end(arguments);
    }
    return false;
}

void driver_fail(struct driver *driver, const char *reason)
{
    (void)driver_stop(driver, "%s", reason);
    if (!driver->inside) {
        (void)take_role_change(driver);
        report_failure(driver);
    }
}

/* ---- one step */

struct before {
    raft_term term;
    raft_id voted_for;
    raft_index commit_index;
    unsigned short state;
};

/* The core says in flags what it changed; what it changes without saying so would never reach the disk or the peers. */
static bool flags_are_true(struct driver *driver, const struct before *before, enum raft_event_type type,
                           unsigned flags)
{
    const struct raft *raft = &driver->raft;
    if (type != RAFT_START) {
        bool term = raft->current_term == before->term || (flags & (RAFT_UPDATE_CURRENT_TERM));
        bool vote = raft->voted_for == before->voted_for || (flags & (RAFT_UPDATE_VOTED_FOR));
        bool state = raft->state == before->state || (flags & (RAFT_UPDATE_STATE));
        bool commit = raft->commit_index == before->commit_index || (flags & (RAFT_UPDATE_COMMIT_INDEX));
        if (!term || !vote || !state || !commit) {
            return driver_stop(driver, "the core changed its state and did not say so (event %d)", (int)type);
        }
    }
    if (raft->current_term < before->term) {
        return driver_stop(driver, "the core's term went back from %llu to %llu", before->term, raft->current_term);
    }
    return true;
}

static void note_role(struct driver *driver)
{
    driver->barrier_index = 0;
    driver->peers_count = 0;
    driver->leader_since_ms = driver->now_ms;
}

int driver_step(struct driver *driver, struct raft_event *event, const struct driver_source *source,
                struct raft_update *update)
{
    struct raft *raft = &driver->raft;
    struct before before = {raft->current_term, raft->voted_for, raft->commit_index, raft->state};
    struct raft_update own_update;
    update = update != NULL ? update : &own_update;
    memset(update, 0, sizeof *update);
    event->time = driver->now_ms;
    event->capacity = 0;

    int rv = raft_step(raft, event, update);
    if (rv != 0) {
        bool harmless = (event->type == RAFT_SUBMIT || event->type == RAFT_TRANSFER) && rv != RAFT_NOMEM;
        if (!harmless) {
            (void)driver_stop(driver, "the core refused event %d: %s", (int)event->type, raft_strerror(rv));
        }
        return rv;
    }
    if (!flags_are_true(driver, &before, event->type, update->flags)) {
        return 0;
    }
    if (update->flags & (RAFT_UPDATE_STATE)) {
        note_role(driver);
    }
    driver_write_vote(driver, raft->current_term, raft->voted_for);
    if (update->flags & (RAFT_UPDATE_ENTRIES)) {
        driver_write_entries(driver, update, source);
    }
    if (update->flags & (RAFT_UPDATE_SNAPSHOT)) {
        driver_write_snapshot(driver, update);
    }
    if (update->flags & (RAFT_UPDATE_MESSAGES)) {
        driver_send_update(driver, update);
    }
    return 0;
}

int driver_propose(struct driver *driver, struct entry *entry)
{
    struct raft_entry proposed = {
        .term = entry->term,
        .type = (enum raft_entry_type)entry->type,
        .buf = {entry->data, entry->size_bytes},
        .batch = entry, /* only has to be something */
    };
    struct raft_event event = {.type = RAFT_SUBMIT};
    event.submit.entries = &proposed;
    event.submit.n = 1;
    struct driver_source source = {&proposed, &entry, 1};
    return driver_step(driver, &event, &source, NULL);
}

/* ---- what follows a step */

static void submit_barrier(struct driver *driver)
{
    struct entry *barrier = entry_new(driver->raft.current_term, ENTRY_BARRIER, sizeof(uint64_t));
    memset(barrier->data, 0, barrier->size_bytes);
    uint64_t index = driver->log.last + 1;
    if (driver_propose(driver, barrier) != 0) {
        (void)driver_stop(driver, "a new leader cannot add the barrier of its term");
    }
    driver->barrier_index = index;
    entry_unref(barrier);
}

void driver_confirm_change(struct driver *driver, uint64_t index)
{
    struct entry *entry = NULL;
    if (index >= driver->log.first && index <= driver->log.last) {
        entry = driver_log_get(&driver->log, index);
    }
    struct raft_event event = {.type = RAFT_CONFIGURATION};
    event.configuration.index = index;
    if (entry == NULL || entry->type != ENTRY_CHANGE ||
        !members_decode(entry->data, entry->size_bytes, &event.configuration.conf)) {
        (void)driver_stop(driver, "the core remembers a configuration at entry %llu, where there is none",
                          (unsigned long long)index);
    } else {
        (void)driver_step(driver, &event, NULL, NULL);
    }
    entry_unref(entry);
}

static void read_commit_index(struct driver *driver)
{
    uint64_t commit_index = guard_commit_monotone(driver->options.guards_off, driver->commit_index,
                                                  raft_commit_index(&driver->raft));
    driver->commit_unreported |= commit_index > driver->commit_index;
    driver->commit_index = commit_index;
}

static void hand_over(struct driver *driver)
{
    uint64_t durable_index = driver->raft.last_stored;
    bool all_committed = driver->commit_index >= durable_index || planted(APPLIED_BEFORE_COMMITTED);
    uint64_t end = all_committed ? durable_index : driver->commit_index;
    while (!driver->installing && !driver->failed && driver->handed_over_index < end) {
        uint64_t index = driver->handed_over_index + 1;
        if (index < driver->log.held || index > driver->log.last) {
            (void)driver_stop(driver, "entry %llu is committed and not in the log", (unsigned long long)index);
            return;
        }
        struct entry *entry = driver_log_get(&driver->log, index);
        driver->handed_over_index = index;
        driver->ports.apply(driver->ports.context, index, entry);
        driver_log_settle(&driver->log, index);
        entry_unref(entry);
    }
}

void driver_settle(struct driver *driver)
{
    const struct raft *raft = &driver->raft;
    uint32_t off = driver->options.guards_off;
    while (!driver->failed) {
        if (raft->state == RAFT_LEADER && guard_barrier_missing(off, driver->barrier_index)) {
            submit_barrier(driver);
            continue;
        }
        read_commit_index(driver);
        uint64_t change = driver->installing ? 0 : guard_change_committed(off, raft, driver->commit_index);
        if (change == 0) {
            break;
        }
        driver_confirm_change(driver, change);
    }
    hand_over(driver);
    driver_send_commit(driver);
}

/* ---- time */

uint64_t driver_next_tick_ms(const struct driver *driver)
{
    if (driver->failed || driver->loaded != NULL) {
        return UINT64_MAX;
    }
    return guard_timeout(driver->options.guards_off, raft_timeout(&driver->raft), driver->last_tick_ms,
                         driver->options.heartbeat_ms);
}

void driver_tick(struct driver *driver)
{
    if (!driver_enter(driver)) {
        return;
    }
    if (driver->loaded == NULL) {
        driver->last_tick_ms = driver->now_ms;
        bool due = raft_timeout(&driver->raft) <= driver->now_ms;
        struct raft_event event = {.type = RAFT_TIMEOUT};
        (void)driver_step(driver, &event, NULL, NULL);
        if (due) {
            guard_forget_leader(driver->options.guards_off, &driver->raft);
        }
        driver_settle(driver);
    }
    driver_leave(driver);
}

/* ---- proposals */

enum driver_error driver_submit(struct driver *driver, struct entry *entry, uint64_t *index, uint64_t *term)
{
    assert(entry->type == ENTRY_COMMAND);
    enum driver_error error = DRIVER_STOPPED;
    if (driver_enter(driver)) {
        if (driver->loaded != NULL || driver->raft.state != RAFT_LEADER) {
            error = DRIVER_NOT_LEADER;
        } else if (raft_transferee(&driver->raft) != 0) {
            error = DRIVER_BUSY;
        } else if (entry->size_bytes > LIMIT_ENTRY_SIZE_BYTES) {
            error = DRIVER_REFUSED;
        } else {
            entry->term = driver->raft.current_term;
            *index = driver->log.last + 1;
            *term = entry->term;
            error = driver_propose(driver, entry) == 0 ? DRIVER_OK : DRIVER_NOT_LEADER;
            driver_settle(driver);
        }
        error = driver->failed ? DRIVER_STOPPED : error;
        driver_leave(driver);
    }
    entry_unref(entry);
    return error;
}

/* ---- looking in */

enum driver_role driver_role(const struct driver *driver)
{
    return driver->loaded != NULL || driver->failed ? DRIVER_UNAVAILABLE : (enum driver_role)driver->raft.state;
}

uint64_t driver_term(const struct driver *driver)
{
    return driver->loaded != NULL ? driver->vote_term : driver->raft.current_term;
}

uint64_t driver_leader_id(const struct driver *driver)
{
    if (driver->failed || driver->loaded != NULL || driver->raft.state == RAFT_CANDIDATE) {
        return 0;
    }
    return driver->raft.state == RAFT_LEADER ? driver->options.id : driver->raft.follower_state.current_leader.id;
}

uint64_t driver_commit_index(const struct driver *driver)
{
    return driver->commit_index;
}

struct driver_status driver_status(const struct driver *driver)
{
    const struct raft *raft = &driver->raft;
    bool leading = driver_role(driver) == DRIVER_LEADER;
    return (struct driver_status){
        .role = driver_role(driver),
        .ready = leading && driver->barrier_index > 0 && driver->commit_index >= driver->barrier_index,
        .failed = driver->failed,
        .transferring = leading && raft_transferee(raft) != 0,
        .installing = driver->installing,
        .term = driver_term(driver),
        .leader_id = driver_leader_id(driver),
        .commit_index = driver_commit_index(driver),
        .last_index = driver->log.last,
        .durable_index = raft->last_stored,
        .handed_over_index = driver->handed_over_index,
        .barrier_index = leading ? driver->barrier_index : 0,
        .first_index = driver->log.first,
        .inflight_entries = leading ? driver->log.last - driver->commit_index : 0,
        .cached_bytes = driver->log.cached_bytes,
    };
}

const struct raft_configuration *driver_configuration(const struct driver *driver)
{
    return driver->loaded != NULL ? &driver->loaded->configuration : &driver->raft.configuration;
}

bool driver_match_index(const struct driver *driver, uint64_t id, uint64_t *index)
{
    raft_index match = 0;
    if (driver->failed || driver->loaded != NULL || raft_match_index(&driver->raft, id, &match) != 0) {
        return false;
    }
    *index = match;
    return true;
}
