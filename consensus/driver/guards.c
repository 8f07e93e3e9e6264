/* See guards.h. Each guard stands below the defect that it is for. "The core" is raft_step(). */
#include "consensus/driver/guards.h"

#include <string.h>

#include "consensus/members.h"

/* libraft's MESSAGE__APPEND_ENTRIES_RESULT_VERSION and MESSAGE__FEATURE_CAPACITY, which it keeps to itself. */
#define APPEND_ENTRIES_RESULT_VERSION 2
#define FEATURE_CAPACITY 1

uint64_t guard_term_of(const struct raft *raft, uint64_t index)
{
    const struct raft_trail *trail = &raft->trail;
    /* A ring of (last index, term), oldest first. */
    for (unsigned i = trail->front; index > trail->offset && i != trail->back; i = (i + 1) % trail->size) {
        if (index <= trail->records[i].index) {
            return trail->records[i].term;
        }
    }
    return index == trail->snapshot.index ? trail->snapshot.term : 0;
}

/*
 * 1. The core answers an AppendEntries or InstallSnapshot of an older term with an uninitialised "last log index", and
 * with "nothing rejected" for a snapshot or when the previous index is 0. A leader that has been elected again in the
 * meantime takes that for an acknowledgement of entries that nobody stored, commits them, and they are lost.
 */
bool guard_stale_term(uint32_t off, const struct raft *raft, uint64_t term, struct raft_message *answer)
{
    if (!guard_is_on(off, GUARD_STALE_TERM) || term >= raft->current_term) {
        return false;
    }
    memset(answer, 0, sizeof *answer);
    answer->type = RAFT_APPEND_ENTRIES_RESULT;
    answer->append_entries_result.version = APPEND_ENTRIES_RESULT_VERSION;
    answer->append_entries_result.features = FEATURE_CAPACITY;
    answer->append_entries_result.term = raft->current_term;
    return true;
}

/*
 * 2. For entries below the start of a compacted log the core finds no local term, takes them for new, and appends them
 * from index 1 on behind what it has. All of them are covered by the snapshot, so the message loses nothing by
 * starting behind it.
 */
unsigned guard_compacted_prefix(uint32_t off, const struct raft *raft, struct raft_append_entries *append)
{
    uint64_t snapshot_index = raft->trail.snapshot.index;
    if (!guard_is_on(off, GUARD_COMPACTED_PREFIX) || raft->trail.offset == 0 ||
        append->prev_log_index > raft->trail.offset || append->prev_log_index >= snapshot_index) {
        return 0;
    }
    uint64_t covered = snapshot_index - append->prev_log_index;
    unsigned skipped = covered < append->n_entries ? (unsigned)covered : append->n_entries;
    append->prev_log_index = snapshot_index;
    append->prev_log_term = raft->trail.snapshot.term;
    append->n_entries -= skipped;
    return skipped;
}

/*
 * 3. The core notes for a RAFT_CHANGE the index of the first new entry of its message. When the change is not that
 * entry, a configuration is remembered at an index where there is none: it is rolled back wrongly, or no change is
 * ever possible again.
 */
size_t guard_change_first(uint32_t off, struct entry *const *entries, size_t count, size_t from)
{
    size_t end = from < count ? from + 1 : count;
    if (!guard_is_on(off, GUARD_CHANGE_FIRST)) {
        end = count;
    }
    while (end < count && entries[end]->type != ENTRY_CHANGE) {
        end++;
    }
    return end - from;
}

/*
 * 4. The core keeps one committed and one uncommitted configuration, and learns of a change's commit only by
 * RAFT_CONFIGURATION. When a second change arrives before, the first is forgotten, and a rollback of the second goes
 * back past it, although it was committed.
 */
uint64_t guard_change_committed(uint32_t off, const struct raft *raft, uint64_t commit_index)
{
    uint64_t change = raft->configuration_uncommitted_index;
    return guard_is_on(off, GUARD_CONFIRM_CHANGE) && change <= commit_index ? change : 0;
}

uint64_t guard_change_superseded(uint32_t off, const struct raft *raft, const struct raft_append_entries *append,
                                 struct entry *const *entries)
{
    uint64_t change = raft->configuration_uncommitted_index;
    /* A leader appends a change only after it has committed the one before, and it has the one that we have: their
     * logs match up to the previous index. So ours is committed. */
    bool later = append->n_entries > 0 && entries[0]->type == ENTRY_CHANGE && change <= append->prev_log_index &&
                 append->term >= raft->current_term &&
                 guard_term_of(raft, append->prev_log_index) == append->prev_log_term;
    return guard_is_on(off, GUARD_CONFIRM_CHANGE) && later ? change : 0;
}

/*
 * 5. The core accepts a change before the leader has committed an entry of its own term (Ongaro's correction of
 * single-server changes, raft-dev 2015): two majorities that do not meet can then commit different entries. It also
 * submits no barrier when it believes that everything is committed.
 */
bool guard_barrier_missing(uint32_t off, uint64_t barrier_index)
{
    return guard_is_on(off, GUARD_BARRIER) && barrier_index == 0;
}

bool guard_leader_ready(uint32_t off, const struct raft *raft, uint64_t barrier_index, uint64_t commit_index)
{
    if (raft->state != RAFT_LEADER) {
        return false;
    }
    return !guard_is_on(off, GUARD_BARRIER) || (barrier_index > 0 && commit_index >= barrier_index);
}

/*
 * 6. A sole voter elects itself without raising its term. After a crash that lost entries which its learners have, it
 * would lead again in the same term and put other entries at the same places. Elsewhere this cannot happen: guard 8
 * never shrinks below three.
 */
bool guard_sole_voter(uint32_t off, uint64_t id, const struct raft_configuration *configuration, uint64_t *term,
                      uint64_t *voted_for)
{
    if (!guard_is_on(off, GUARD_SOLE_VOTER) || !members_is_voter(configuration, id) ||
        members_voters(configuration) != 1) {
        return false;
    }
    *term += 1;
    *voted_for = id;
    return true;
}

/*
 * 7. The core answers a pre-vote with the candidate's own term. When the most up-to-date node has the lower term, it
 * never learns that and is denied for ever, while the others are denied for their logs: no leader, though a majority
 * is there.
 */
void guard_prevote_term(uint32_t off, const struct raft *raft, struct raft_message *message)
{
    if (!guard_is_on(off, GUARD_PREVOTE_TERM) || message->type != RAFT_REQUEST_VOTE_RESULT) {
        return;
    }
    struct raft_request_vote_result *result = &message->request_vote_result;
    if (result->pre_vote && !result->vote_granted && result->term < raft->current_term) {
        result->term = raft->current_term;
    }
}

struct membership_difference {
    unsigned count;
    const struct raft_server *before, *after; /* of the last difference; NULL for "not a member" */
};

static struct membership_difference membership_difference(const struct raft_configuration *current,
                                                          const struct raft_configuration *next)
{
    struct membership_difference difference = {0, NULL, NULL};
    for (unsigned i = 0; i < current->n; i++) {
        const struct raft_server *before = &current->servers[i];
        const struct raft_server *after = members_find(next, before->id);
        if (after == NULL || after->role != before->role || strcmp(after->address, before->address) != 0) {
            difference = (struct membership_difference){difference.count + 1, before, after};
        }
    }
    for (unsigned i = 0; i < next->n; i++) {
        const struct raft_server *after = &next->servers[i];
        if (members_find(current, after->id) == NULL) {
            difference = (struct membership_difference){difference.count + 1, NULL, after};
        }
    }
    return difference;
}

static uint64_t match_index(const struct raft *raft, uint64_t id)
{
    raft_index index = 0;
    return raft_match_index(raft, id, &index) == 0 ? index : 0;
}

/*
 * 8. A node denies its vote while it is no voter in its own configuration. When several voters do not know yet that
 * they are, a majority that is alive and connected can be left without a leader for good. The same is true of a leader
 * that removes itself, and one or two voters are no cluster. A voter that is dead is not waited for: its removal would
 * never be possible.
 */
enum driver_error guard_membership(uint32_t off, const struct raft *raft, const struct raft_configuration *next,
                                   bool (*live)(void *context, uint64_t id), void *context)
{
    const struct raft_configuration *current = &raft->configuration;
    struct membership_difference difference = membership_difference(current, next);
    if (difference.count != 1) {
        return DRIVER_REFUSED; /* the core itself relies on one server per change */
    }
    if (!guard_is_on(off, GUARD_MEMBERSHIP)) {
        return DRIVER_OK;
    }

    const struct raft_server *before = difference.before, *after = difference.after;
    bool was_voter = before != NULL && before->role == RAFT_VOTER;
    bool will_vote = after != NULL && after->role == RAFT_VOTER;
    if (will_vote && before == NULL) {
        return DRIVER_REFUSED; /* a learner first: a voter without the log only takes part in the majority's size */
    }
    if (was_voter && !will_vote && (before->id == raft->id || members_voters(next) < 3)) {
        return DRIVER_REFUSED;
    }
    for (unsigned i = 0; i < current->n; i++) {
        const struct raft_server *server = &current->servers[i];
        if (server->role == RAFT_VOTER && server->id != raft->id && live(context, server->id) &&
            match_index(raft, server->id) < raft->configuration_committed_index) {
            return DRIVER_BUSY;
        }
    }
    if (will_vote && !was_voter) {
        int status = RAFT_CATCH_UP_NONE;
        uint64_t match = match_index(raft, after->id);
        if (raft_catch_up(raft, after->id, &status) != 0 || status != RAFT_CATCH_UP_FINISHED ||
            match < raft->configuration_committed_index || match + raft->max_inflight_entries < raft->last_stored) {
            return DRIVER_BUSY;
        }
    }
    return DRIVER_OK;
}

/*
 * The other half: a voter that died before it heard of its promotion is not waited for, and comes back not knowing. So
 * a learner that is asked for its vote gives it by the same rules as a voter, as Raft has it ("a server votes for
 * candidates regardless of its configuration", dissertation 4.1). It counts only with a candidate in whose
 * configuration it is a voter.
 */
int *guard_vote_role(uint32_t off, struct raft *raft, const struct raft_message *message)
{
    if (!guard_is_on(off, GUARD_MEMBERSHIP) || message->type != RAFT_REQUEST_VOTE) {
        return NULL;
    }
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        struct raft_server *server = &raft->configuration.servers[i];
        if (server->id == raft->id && server->role != RAFT_VOTER) {
            return &server->role;
        }
    }
    return NULL;
}

/* A learner never becomes a candidate, and only that makes the core forget a leader that fell silent: it would deny
 * every vote. */
void guard_forget_leader(uint32_t off, struct raft *raft)
{
    if (guard_is_on(off, GUARD_MEMBERSHIP) && raft->state == RAFT_FOLLOWER &&
        !members_is_voter(&raft->configuration, raft->id)) {
        raft->follower_state.current_leader.id = 0;
    }
}

/*
 * 9. A late rejection at or below what a follower has acknowledged moves its progress backwards; the count of entries
 * in flight then wraps around and nothing is sent to it any more. A pre-vote's result carries a term that nobody has
 * reached: outside a candidacy the core takes it for a real one and steps down. (The rest of this guard is the
 * transport's: messages of a peer in order within a session, and none of an older session.)
 */
bool guard_stale_result(uint32_t off, const struct raft *raft, uint64_t peer, struct raft_message *message)
{
    if (!guard_is_on(off, GUARD_STALE_RESULT)) {
        return false;
    }
    if (message->type == RAFT_REQUEST_VOTE_RESULT) {
        return message->request_vote_result.pre_vote && raft->state != RAFT_CANDIDATE;
    }
    if (message->type != RAFT_APPEND_ENTRIES_RESULT || raft->state != RAFT_LEADER) {
        return false;
    }
    struct raft_append_entries_result *result = &message->append_entries_result;
    if (result->term != raft->current_term || result->rejected == 0) {
        return false;
    }
    uint64_t match = match_index(raft, peer);
    if (result->last_log_index < match) {
        result->last_log_index = match; /* the hint, too, moves progress backwards */
    }
    return result->rejected <= match;
}

/*
 * 10. A follower's commit index becomes min(the leader's, the last entry of this message), which may be below what it
 * already was.
 */
uint64_t guard_commit_monotone(uint32_t off, uint64_t known, uint64_t claimed)
{
    return guard_is_on(off, GUARD_COMMIT_MONOTONE) && claimed < known ? known : claimed;
}

/*
 * 11. raft_timeout() stays in the past while there is a spare member (it never gets a heartbeat), and a loop that
 * obeys spins. A tenth of a heartbeat later is early enough for everything else.
 */
uint64_t guard_timeout(uint32_t off, uint64_t core_timeout_ms, uint64_t last_tick_ms, uint32_t heartbeat_ms)
{
    uint64_t earliest = last_tick_ms + (heartbeat_ms >= 10 ? heartbeat_ms / 10 : 1);
    return guard_is_on(off, GUARD_TIMEOUT) && core_timeout_ms < earliest ? earliest : core_timeout_ms;
}
