/*
 * What must hold in any raft cluster, checked against everything that its nodes did. The checks know nothing of the
 * driver: they are told which entries were written, committed and applied, and who led.
 */
#ifndef TESTS_SUPPORT_RAFT_CHECKS_H
#define TESTS_SUPPORT_RAFT_CHECKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/entry.h"

struct raft_checks;

struct raft_checks *raft_checks_new(void);
void raft_checks_free(struct raft_checks *checks);

/* The first thing that was wrong, as a sentence; NULL while nothing was. */
const char *raft_checks_violation(const struct raft_checks *checks);
/* Notes one from elsewhere. Only the first is kept. */
void raft_checks_report(struct raft_checks *checks, const char *format, ...) __attribute__((format(printf, 2, 3)));

uint64_t raft_checks_entry_hash(const struct entry *entry);
uint64_t raft_checks_mix(uint64_t hash, uint64_t value);
/* Of all bytes, eight at a time, from a hash to begin with. */
uint64_t raft_checks_mix_bytes(uint64_t hash, const uint8_t *bytes, size_t size_bytes);

/* Log matching: the same index and term, the same content and the same entry before it (term 0: not known). */
void raft_checks_wrote(struct raft_checks *checks, uint64_t node, uint64_t index, const struct entry *entry,
                       uint64_t previous_term);
/* Election safety: one leader per term. */
void raft_checks_leads(struct raft_checks *checks, uint64_t node, uint64_t term);
/* A committed entry stays what it is. `term` is the one in which the node believes that it is committed. */
void raft_checks_committed(struct raft_checks *checks, uint64_t node, uint64_t index, uint64_t term,
                           const struct entry *entry);
/* State machine safety: `state_hash` after applying up to `index`. */
void raft_checks_applied(struct raft_checks *checks, uint64_t node, uint64_t index, uint64_t state_hash);

/* For leader completeness: the highest index known to be committed, and whether a log with `entry` (NULL: nothing) at
 * `index` may lead in `term`. */
uint64_t raft_checks_commit_max(const struct raft_checks *checks);
void raft_checks_leader_has(struct raft_checks *checks, uint64_t node, uint64_t term, uint64_t index,
                            const struct entry *entry);

#endif
