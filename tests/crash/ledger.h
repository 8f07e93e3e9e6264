/*
 * What a cluster has agreed upon, written down before the test begins: the entries of the log, and a digest of the
 * state that a node must have after each of them.
 *
 * The digests come from the machine over a store in memory: it knows nothing of files.
 */
#ifndef TESTS_CRASH_LEDGER_H
#define TESTS_CRASH_LEDGER_H

#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/entry.h"
#include "consensus/machine/store.h"

struct ledger_line {
    struct entry *entry;
    uint64_t digest;              /* of every table once it is applied */
    uint64_t configuration_index; /* of the last change up to here */
};

struct ledger {
    struct ledger_line *lines; /* lines[index]; line 0 is the empty state, without entry */
    uint64_t last_index;
    struct entry **rivals; /* what other leaders proposed and nobody agreed to */
    size_t rivals_count;
};

/* People, a policy, a service, then alerts that come, are acknowledged and resolved, pages that are claimed and sent,
 * barriers and changes of the configuration. */
struct ledger *ledger_new(uint64_t seed, uint64_t last_index);
void ledger_free(struct ledger *ledger);

/* An entry of that term that is in nobody's agreed log. Owned by the ledger. */
struct entry *ledger_rival(struct ledger *ledger, uint64_t term);

uint64_t tables_digest(const struct machine_store *store);

#endif
