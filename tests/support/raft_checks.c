/* See raft_checks.h. */
#include "tests/support/raft_checks.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITTEN_SLOTS (1u << 17) /* more entries than one run writes */
#define WRITTEN_TERMS 4u
#define TERMS_MAX 65536u

struct written {
    uint64_t index, term, hash, previous_term;
};

struct committed {
    bool known, applied;
    uint64_t hash, term;
    uint64_t in_term; /* the earliest term whose leader counted it as committed */
    uint64_t state_hash;
};

struct raft_checks {
    char violation[256];
    struct written *written; /* open addressing; index 0 is an empty slot; NULL: nothing was told */
    size_t written_count;
    struct committed *committed;
    uint64_t committed_capacity, commit_max;
    uint64_t *leaders; /* by term; NULL: nobody led */
};

static void *zeroed(size_t count, size_t size_bytes)
{
    void *memory = calloc(count, size_bytes);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

struct raft_checks *raft_checks_new(void)
{
    return zeroed(1, sizeof(struct raft_checks));
}

void raft_checks_free(struct raft_checks *checks)
{
    free(checks->written);
    free(checks->committed);
    free(checks->leaders);
    free(checks);
}

const char *raft_checks_violation(const struct raft_checks *checks)
{
    return checks->violation[0] != '\0' ? checks->violation : NULL;
}

void raft_checks_report(struct raft_checks *checks, const char *format, ...)
{
    if (checks->violation[0] != '\0') {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(checks->violation, sizeof checks->violation, format, arguments);
    va_end(arguments);
}

uint64_t raft_checks_mix(uint64_t hash, uint64_t value)
{
    hash ^= value + 0x9e3779b97f4a7c15u + (hash << 6) + (hash >> 2);
    hash *= 0xff51afd7ed558ccdu;
    return hash ^ (hash >> 33);
}

uint64_t raft_checks_mix_bytes(uint64_t hash, const uint8_t *bytes, size_t size_bytes)
{
    uint64_t word;
    for (; size_bytes >= sizeof word; bytes += sizeof word, size_bytes -= sizeof word) {
        memcpy(&word, bytes, sizeof word);
        hash = raft_checks_mix(hash, word);
    }
    word = 0;
    if (size_bytes > 0) {
        memcpy(&word, bytes, size_bytes);
    }
    return raft_checks_mix(raft_checks_mix(hash, word), size_bytes);
}

uint64_t raft_checks_entry_hash(const struct entry *entry)
{
    return raft_checks_mix_bytes(raft_checks_mix(entry->term, entry->type), entry->data, entry->size_bytes);
}

/* What is written in a row stands in a row, with room for as many terms. */
static struct written *find_written(struct raft_checks *checks, uint64_t index, uint64_t term)
{
    size_t slot = (index * WRITTEN_TERMS + term % WRITTEN_TERMS) % WRITTEN_SLOTS;
    while (checks->written[slot].index != 0 &&
           (checks->written[slot].index != index || checks->written[slot].term != term)) {
        slot = (slot + 1) % WRITTEN_SLOTS;
    }
    return &checks->written[slot];
}

void raft_checks_wrote(struct raft_checks *checks, uint64_t node, uint64_t index, const struct entry *entry,
                       uint64_t previous_term)
{
    if (checks->written == NULL) {
        checks->written = zeroed(WRITTEN_SLOTS, sizeof checks->written[0]);
    }
    struct written *written = find_written(checks, index, entry->term);
    uint64_t hash = raft_checks_entry_hash(entry);
    if (written->index == 0) {
        if (++checks->written_count > WRITTEN_SLOTS / 2) {
            raft_checks_report(checks, "the run is too long for the checks' memory");
        }
        *written = (struct written){index, entry->term, hash, previous_term};
        return;
    }
    if (written->hash != hash) {
        raft_checks_report(checks, "log matching: node %llu writes another entry %llu of term %llu",
                           (unsigned long long)node, (unsigned long long)index, (unsigned long long)entry->term);
    }
    if (previous_term != 0 && written->previous_term != 0 && written->previous_term != previous_term) {
        raft_checks_report(checks, "log matching: node %llu writes entry %llu of term %llu behind another one",
                           (unsigned long long)node, (unsigned long long)index, (unsigned long long)entry->term);
    }
    written->previous_term = previous_term != 0 ? previous_term : written->previous_term;
}

void raft_checks_leads(struct raft_checks *checks, uint64_t node, uint64_t term)
{
    if (checks->leaders == NULL) {
        checks->leaders = zeroed(TERMS_MAX, sizeof checks->leaders[0]);
    }
    if (term >= TERMS_MAX) {
        raft_checks_report(checks, "term %llu: elections never end", (unsigned long long)term);
    } else if (checks->leaders[term] != 0 && checks->leaders[term] != node) {
        raft_checks_report(checks, "election safety: nodes %llu and %llu lead in term %llu",
                           (unsigned long long)checks->leaders[term], (unsigned long long)node,
                           (unsigned long long)term);
    } else {
        checks->leaders[term] = node;
    }
}

static struct committed *find_committed(struct raft_checks *checks, uint64_t index)
{
    if (index >= checks->committed_capacity) {
        uint64_t capacity = checks->committed_capacity > 0 ? checks->committed_capacity : 256;
        while (capacity <= index) {
            capacity *= 2;
        }
        struct committed *committed = zeroed(capacity, sizeof *committed);
        if (checks->committed != NULL) {
            memcpy(committed, checks->committed, checks->committed_capacity * sizeof *committed);
        }
        free(checks->committed);
        checks->committed = committed;
        checks->committed_capacity = capacity;
    }
    return &checks->committed[index];
}

void raft_checks_committed(struct raft_checks *checks, uint64_t node, uint64_t index, uint64_t term,
                           const struct entry *entry)
{
    struct committed *committed = find_committed(checks, index);
    uint64_t hash = raft_checks_entry_hash(entry);
    if (committed->known && committed->hash != hash) {
        raft_checks_report(checks,
                           "committed entry changed: node %llu has entry %llu of term %llu, committed was term %llu",
                           (unsigned long long)node, (unsigned long long)index, (unsigned long long)entry->term,
                           (unsigned long long)committed->term);
        return;
    }
    if (!committed->known) {
        committed->known = true;
        committed->hash = hash;
        committed->term = entry->term;
        committed->in_term = term;
    }
    committed->in_term = term < committed->in_term ? term : committed->in_term;
    checks->commit_max = index > checks->commit_max ? index : checks->commit_max;
}

void raft_checks_applied(struct raft_checks *checks, uint64_t node, uint64_t index, uint64_t state_hash)
{
    struct committed *committed = find_committed(checks, index);
    if (committed->applied && committed->state_hash != state_hash) {
        raft_checks_report(checks, "state machine safety: node %llu has another state at entry %llu",
                           (unsigned long long)node, (unsigned long long)index);
    }
    committed->applied = true;
    committed->state_hash = state_hash;
}

uint64_t raft_checks_commit_max(const struct raft_checks *checks)
{
    return checks->commit_max;
}

void raft_checks_leader_has(struct raft_checks *checks, uint64_t node, uint64_t term, uint64_t index,
                            const struct entry *entry)
{
    const struct committed *committed = find_committed(checks, index);
    if (committed->known && committed->in_term < term &&
        (entry == NULL || raft_checks_entry_hash(entry) != committed->hash)) {
        raft_checks_report(checks, "leader completeness: node %llu leads in term %llu without committed entry %llu",
                           (unsigned long long)node, (unsigned long long)term, (unsigned long long)index);
    }
}
