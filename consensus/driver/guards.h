/*
 * The defects of libraft 0.22.1's core, and what keeps each from being reached. README.md of this folder has the table;
 * tests/consensus/test_guards.c shows for each what happens without it.
 *
 * The guards look at public fields of struct raft and change nothing but the message that they are given, but for guard
 * 8, where a learner has to vote. Bit 1 << G of
 * `off` takes guard G out, for those tests only.
 */
#ifndef CONSENSUS_DRIVER_GUARDS_H
#define CONSENSUS_DRIVER_GUARDS_H

#include <raft.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/driver/driver.h"

enum guard {
    GUARD_STALE_TERM = 1,
    GUARD_COMPACTED_PREFIX,
    GUARD_CHANGE_FIRST,
    GUARD_CONFIRM_CHANGE,
    GUARD_BARRIER,
    GUARD_SOLE_VOTER,
    GUARD_PREVOTE_TERM,
    GUARD_MEMBERSHIP,
    GUARD_STALE_RESULT,
    GUARD_COMMIT_MONOTONE,
    GUARD_TIMEOUT
};

static inline bool guard_is_on(uint32_t off, enum guard guard)
{
    return (off & (1u << guard)) == 0;
}

/* The term of an entry as the core knows it; 0 when it is neither in the log nor the snapshot's last. */
uint64_t guard_term_of(const struct raft *raft, uint64_t index);

/* 1. An AppendEntries or InstallSnapshot of `term` must not reach the core: `answer` is sent instead. */
bool guard_stale_term(uint32_t off, const struct raft *raft, uint64_t term, struct raft_message *answer);

/* 2. Moves the start of an AppendEntries that reaches back before the log's start; returns how many of its entries to
 * skip. */
unsigned guard_compacted_prefix(uint32_t off, const struct raft *raft, struct raft_append_entries *append);

/* 3. How many entries from `from` on may be fed in one AppendEntries. */
size_t guard_change_first(uint32_t off, struct entry *const *entries, size_t count, size_t from);

/* 4. Index of the change that has to be confirmed to the core now, 0 for none: by the commit index, ... */
uint64_t guard_change_committed(uint32_t off, const struct raft *raft, uint64_t commit_index);
/* ... or because an AppendEntries (fed next, as cut by guard 3) brings a later one. */
uint64_t guard_change_superseded(uint32_t off, const struct raft *raft, const struct raft_append_entries *append,
                                 struct entry *const *entries);

/* 5. A new leader without a barrier of its own submits one, ... */
bool guard_barrier_missing(uint32_t off, uint64_t barrier_index);
/* ... and is ready (for changes, too) once it is committed. */
bool guard_leader_ready(uint32_t off, const struct raft *raft, uint64_t barrier_index, uint64_t commit_index);

/* 6. Term and vote must be made durable before RAFT_START, and these are they; false when they may stay. */
bool guard_sole_voter(uint32_t off, uint64_t id, const struct raft_configuration *configuration, uint64_t *term,
                      uint64_t *voted_for);

/* 7. Lets a denied pre-vote say how far this node's term is. */
void guard_prevote_term(uint32_t off, const struct raft *raft, struct raft_message *message);

/* 8. What the change does, and whether it may be submitted now. `live` tells whether a member was heard lately. */
enum driver_error guard_membership(uint32_t off, const struct raft *raft, const struct raft_configuration *next,
                                   bool (*live)(void *context, uint64_t id), void *context);
/* ... The role of this node that must read RAFT_VOTER while the core looks at the message; NULL when none must. */
int *guard_vote_role(uint32_t off, struct raft *raft, const struct raft_message *message);
/* ... After an election timeout without a leader. */
void guard_forget_leader(uint32_t off, struct raft *raft);

/* 9. Whether the result must be dropped; one that stays is corrected where it lags. */
bool guard_stale_result(uint32_t off, const struct raft *raft, uint64_t peer, struct raft_message *message);

/* 10. The commit index to believe. */
uint64_t guard_commit_monotone(uint32_t off, uint64_t known, uint64_t claimed);

/* 11. When to tick next. */
uint64_t guard_timeout(uint32_t off, uint64_t core_timeout_ms, uint64_t last_tick_ms, uint32_t heartbeat_ms);

#endif
