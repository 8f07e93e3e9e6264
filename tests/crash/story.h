/*
 * What nodes go through while the power is cut: the work that is recorded.
 *
 * A story is told once, in full, from its seed; the cuts are made afterwards in the recording.
 */
#ifndef TESTS_CRASH_STORY_H
#define TESTS_CRASH_STORY_H

#include "tests/crash/crash_node.h"
#include "tests/support/scratch_dir.h"

/* Breaks a rule of the node, to prove that the checks see it. */
struct sabotage {
    bool claims_early; /* a commit of the state counts as durable before a sync has followed it */
    bool prunes_early; /* the log is pruned up to what is applied */
    bool forgets_recovering; /* a node whose entries are lost does not note that it must not vote */
    bool resets_early; /* the log is reset before the snapshot has taken the state's place */
};

struct telling {
    uint64_t seed;
    struct sabotage sabotage;
    struct chance chance;
    struct scratch_dir root, peer_root; /* of the node that is recorded, and of the peer */
    char peer_snapshot[512];
    struct ledger *ledger;
    struct crash_node node;
    struct promise promise; /* when the recording began */
    struct recording *recording;
};

struct story {
    const char *name;
    void (*before)(struct telling *telling); /* what is there when the recording begins */
    void (*then)(struct telling *telling);   /* what is recorded */
};

extern const struct story stories[];
extern const size_t stories_count;

/* Tells the story; node.complaint is empty unless something is wrong without any cut. */
void story_tell(const struct story *story, uint64_t seed, struct sabotage sabotage, struct telling *telling);
void telling_close(struct telling *telling);

#endif
