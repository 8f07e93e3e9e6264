/*
 * What is wrong with the members of a cluster, judged by its leader from what each says of itself once a second.
 *
 *     facts of each member ──> is it so now? ──> for how long? ──> told already? ──> notice: began, or ended
 *
 * What is wrong must be so for a minute before people hear of it (other code: ten, an upgrade is under way), and gone for a
 * minute before it is over. What people were told is in the replicated state, so that a new leader neither repeats nor
 * forgets; how long something is so, each leader counts anew.
 *
 * Pure: time comes in as arguments. No threads.
 */
#ifndef NODE_ENGINE_CONDITIONS_H
#define NODE_ENGINE_CONDITIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/schema/schema.pb-c.h"
#include "consensus/members.h"

enum condition_kind {
    CONDITION_MISSING,
    CONDITION_LAGGING,
    CONDITION_DISK,
    CONDITION_CLOCK,
    CONDITION_CODE,
    CONDITION_ZONES,
    CONDITION_PROVIDER,
    CONDITION_KINDS
};

/* What a node says of itself beside its progress. */
struct vitals {
    uint64_t disk_free_bytes, disk_total_bytes; /* of the data directory; total 0: not known */
    uint64_t code, zones;                       /* hashes of its version and of the system's zone data; 0: not known */
    uint64_t providers;                         /* a bit for each of channels_all that it can use */
    uint64_t providers_refused;                 /* ... and which of them refuse its credentials; the first channel of a provider stands for all */
    uint64_t providers_working;                 /* ... took the last question well, likewise */
    uint64_t providers_failing;                 /* ... have answered with errors, or not at all, for some time, likewise */
};

struct member_facts {
    uint64_t id;
    bool voter;
    bool heard; /* of late; without it nothing below is known */
    bool lags;  /* it has not applied what the leader had applied a while ago */
    uint64_t behind_entries;
    bool clock_known;
    int64_t clock_offset_ms; /* its wall clock less the leader's */
    struct vitals vitals;
};

struct condition_clocks {
    uint64_t id;
    bool is[CONDITION_KINDS];
    uint64_t since_ms[CONDITION_KINDS]; /* that it is so, or not so */
};

struct conditions {
    struct condition_clocks members[MEMBERS_MAX];
    size_t members_count;
    uint64_t looked_ms;
};

struct condition_notice {
    const char *key, *summary;
    Tocsin__Severity severity;
    bool ended;
};

/*
 * One look. `known` is what people were told (NULL: nothing). Calls `notice` for each thing that they are to be told now,
 * again at every look until the state has it. `minute_ms` is the cluster's; `count` is at most MEMBERS_MAX. A pause of more than
 * three `interval_ms` since the last look proves nothing of the time between.
 */
void conditions_look(struct conditions *conditions, const struct member_facts *members, size_t count, uint64_t leader_id,
                     const Tocsin__NodeConditions *known, uint64_t minute_ms, uint64_t interval_ms, uint64_t now_ms,
                     void (*notice)(void *context, const struct condition_notice *), void *context);

/* What is told of members; other keys of `known` are somebody else's. */
#define CONDITION_MEMBER_KEY "node-"

#endif
