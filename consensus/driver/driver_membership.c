/* Changes of who is a member, one server at a time; catching a learner up; handing leadership over. */
#include <assert.h>
#include <string.h>

#include "consensus/driver/driver_internal.h"
#include "consensus/driver/guards.h"

/* For guard 8. A member that has not been heard since the election is given as long as one that falls silent. */
static bool is_live(void *context, uint64_t id)
{
    struct driver *driver = context;
    uint64_t heard_ms = driver_peer(driver, id)->heard_ms;
    uint64_t since_ms = heard_ms > driver->leader_since_ms ? heard_ms : driver->leader_since_ms;
    return driver->now_ms - since_ms < (uint64_t)DRIVER_DEAD_ELECTION_TIMEOUTS * driver->options.election_timeout_ms;
}

/* Leading, and nothing of the kind under way. */
static enum driver_error may_lead_change(const struct driver *driver)
{
    const struct raft *raft = &driver->raft;
    if (driver->loaded != NULL || raft->state != RAFT_LEADER) {
        return DRIVER_NOT_LEADER;
    }
    bool busy = raft_transferee(raft) != 0 || raft->leader_state.promotee_id != 0 ||
                raft->configuration_uncommitted_index != 0 ||
                !guard_leader_ready(driver->options.guards_off, raft, driver->barrier_index, driver->commit_index);
    return busy ? DRIVER_BUSY : DRIVER_OK;
}

/* The core's table of progress keeps its places while the number of members stays the same: so must the members. */
static struct entry *change_entry(const struct driver *driver, const struct raft_configuration *next)
{
    const struct raft_configuration *current = &driver->raft.configuration;
    struct raft_configuration ordered;
    raft_configuration_init(&ordered);
    int rv = 0;
    for (unsigned i = 0; i < current->n && rv == 0; i++) {
        const struct raft_server *server = members_find(next, current->servers[i].id);
        if (server != NULL) {
            rv = raft_configuration_add(&ordered, server->id, server->address, server->role);
        }
    }
    for (unsigned i = 0; i < next->n && rv == 0; i++) {
        const struct raft_server *server = &next->servers[i];
        if (members_find(current, server->id) == NULL) {
            rv = raft_configuration_add(&ordered, server->id, server->address, server->role);
        }
    }
    struct raft_buffer buffer = {NULL, 0};
    struct entry *entry = NULL;
    if (rv == 0 && ordered.n > 0 && ordered.n <= MEMBERS_MAX && raft_configuration_encode(&ordered, &buffer) == 0) {
        entry = entry_new(driver->raft.current_term, ENTRY_CHANGE, (uint32_t)buffer.len);
        memcpy(entry->data, buffer.base, buffer.len);
    }
    raft_free(buffer.base);
    raft_configuration_close(&ordered);
    return entry;
}

static enum driver_error change(struct driver *driver, const struct raft_configuration *next)
{
    enum driver_error error = may_lead_change(driver);
    if (error == DRIVER_OK) {
        error = guard_membership(driver->options.guards_off, &driver->raft, next, is_live, driver);
    }
    if (error != DRIVER_OK) {
        return error;
    }
    struct entry *entry = change_entry(driver, next);
    if (entry == NULL) {
        return DRIVER_REFUSED; /* an address or a member twice, or too many */
    }
    error = driver_propose(driver, entry) == 0 ? DRIVER_OK : DRIVER_BUSY;
    entry_unref(entry);
    driver_settle(driver);
    return error;
}

enum driver_error driver_change(struct driver *driver, const struct raft_configuration *configuration)
{
    if (!driver_enter(driver)) {
        return DRIVER_STOPPED;
    }
    enum driver_error error = change(driver, configuration);
    error = driver->failed ? DRIVER_STOPPED : error;
    driver_leave(driver);
    return error;
}

/* The core ends a round when the learner acknowledges something new: in a quiet cluster that would be never. */
static void keep_round_going(struct driver *driver)
{
    if (driver->log.last != driver->commit_index) {
        return;
    }
    struct entry *nothing = entry_new(driver->raft.current_term, ENTRY_BARRIER, sizeof(uint64_t));
    memset(nothing->data, 0, nothing->size_bytes);
    (void)driver_propose(driver, nothing); /* when it is not taken, the next call tries again */
    entry_unref(nothing);
    driver_settle(driver);
}

static enum driver_error catch_up(struct driver *driver, uint64_t id)
{
    if (driver_catching_up(driver, id) == DRIVER_CATCH_UP_RUNNING) {
        keep_round_going(driver);
        return DRIVER_OK;
    }
    enum driver_error error = may_lead_change(driver);
    if (error != DRIVER_OK) {
        return error;
    }
    /* For anyone but a learner of this leader the core writes where it should not. */
    const struct raft_server *server = members_find(&driver->raft.configuration, id);
    if (server == NULL || server->role == RAFT_VOTER || id == driver->options.id) {
        return DRIVER_REFUSED;
    }
    struct raft_event event = {.type = RAFT_CATCH_UP};
    event.catch_up.server_id = id;
    (void)driver_step(driver, &event, NULL, NULL);
    driver_settle(driver);
    if (driver_catching_up(driver, id) == DRIVER_CATCH_UP_RUNNING) {
        keep_round_going(driver);
    }
    return DRIVER_OK;
}

enum driver_error driver_catch_up(struct driver *driver, uint64_t id)
{
    if (!driver_enter(driver)) {
        return DRIVER_STOPPED;
    }
    enum driver_error error = catch_up(driver, id);
    error = driver->failed ? DRIVER_STOPPED : error;
    driver_leave(driver);
    return error;
}

bool driver_changing(const struct driver *driver)
{
    return driver->raft.configuration_uncommitted_index != 0;
}

enum driver_catching_up driver_catching_up(const struct driver *driver, uint64_t id)
{
    static const enum driver_catching_up names[] = {[RAFT_CATCH_UP_NONE] = DRIVER_CATCH_UP_NONE,
                                                    [RAFT_CATCH_UP_RUNNING] = DRIVER_CATCH_UP_RUNNING,
                                                    [RAFT_CATCH_UP_ABORTED] = DRIVER_CATCH_UP_GIVEN_UP,
                                                    [RAFT_CATCH_UP_FINISHED] = DRIVER_CATCH_UP_DONE};
    int status = RAFT_CATCH_UP_NONE;
    if (driver->failed || driver->loaded != NULL || driver->raft.state != RAFT_LEADER ||
        members_find(&driver->raft.configuration, id) == NULL || raft_catch_up(&driver->raft, id, &status) != 0) {
        return DRIVER_CATCH_UP_NONE;
    }
    return names[status];
}

/* The voter, heard lately, that has most of the log; 0 when there is none. */
static uint64_t most_advanced(struct driver *driver)
{
    const struct raft_configuration *configuration = &driver->raft.configuration;
    uint64_t best = 0;
    raft_index best_match = 0;
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct raft_server *server = &configuration->servers[i];
        raft_index match = 0;
        if (server->role == RAFT_VOTER && server->id != driver->options.id && is_live(driver, server->id) &&
            raft_match_index(&driver->raft, server->id, &match) == 0 && (best == 0 || match > best_match)) {
            best = server->id;
            best_match = match;
        }
    }
    return best;
}

static enum driver_error transfer(struct driver *driver, uint64_t id)
{
    if (driver->loaded != NULL || driver->raft.state != RAFT_LEADER) {
        return DRIVER_NOT_LEADER;
    }
    if (raft_transferee(&driver->raft) != 0) {
        return DRIVER_BUSY;
    }
    struct raft_event event = {.type = RAFT_TRANSFER};
    event.transfer.server_id = id != 0 ? id : most_advanced(driver);
    if (event.transfer.server_id == 0 || event.transfer.server_id == driver->options.id ||
        !members_is_voter(&driver->raft.configuration, event.transfer.server_id)) {
        return DRIVER_REFUSED;
    }
    int rv = driver_step(driver, &event, NULL, NULL);
    driver_settle(driver);
    return rv == 0 ? DRIVER_OK : DRIVER_BUSY;
}

enum driver_error driver_transfer(struct driver *driver, uint64_t id)
{
    if (!driver_enter(driver)) {
        return DRIVER_STOPPED;
    }
    enum driver_error error = transfer(driver, id);
    error = driver->failed ? DRIVER_STOPPED : error;
    driver_leave(driver);
    return error;
}
