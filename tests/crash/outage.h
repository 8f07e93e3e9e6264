/*
 * Cuts the power in a recorded story, again and again, and lets the node start from what is left.
 *
 *     recording ──> image at an event ──> what is left ──> files ──> a node starts, replays, carries on ──> judged
 *                                                                        └─ its start is recorded: cut again
 */
#ifndef TESTS_CRASH_OUTAGE_H
#define TESTS_CRASH_OUTAGE_H

#include "tests/crash/disk_image.h"
#include "tests/crash/story.h"

struct outage_options {
    struct disk_lies lies;
    struct sabotage sabotage;
    unsigned others_one_in; /* between sync boundaries: how many cuts are made, 1: each */
    bool end_at_first;      /* violation */
};

struct outage_tally {
    uint64_t tried[CUT_KINDS], tried_again; /* again: cuts of a start that itself followed a cut */
    uint64_t tellings, boundaries, violations;
    uint64_t *digests; /* of contents that were seen: a hash table with open places */
    size_t digests_count, digests_capacity;
    char first_violation[900];
};

void outage_try(const struct story *story, uint64_t seed, const struct outage_options *options,
                struct outage_tally *tally);
uint64_t outage_tried(const struct outage_tally *tally);
void outage_tally_print(const struct outage_tally *tally);
void outage_tally_close(struct outage_tally *tally);

#endif
