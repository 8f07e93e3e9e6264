/* See planted.h. Without TOCSIN_PLANTED the list is empty. */
#include "tests/sim/world/planted.h"

#include <string.h>

#include "consensus/machine/planted.h"

#ifdef TOCSIN_PLANTED

enum planted planted_bug = PLANTED_NONE;

static const struct {
    const char *name, *sentence;
} bugs[PLANTED_END] = {
#define BUG(NAME, sentence) [PLANTED_##NAME] = {#NAME, sentence},
    PLANTED_BUGS(BUG)
#undef BUG
};

/* What is not found in the profile "storm", or not by chance. */
static const struct {
    const char *profile, *test; /* "-": none of that kind */
} ways[PLANTED_END] = {
    [PLANTED_DEADLINE_LOST_ON_FAILOVER] = {"nights", "-"},
    [PLANTED_SHUT_LEADER_STAYS] = {"nights", "-"},
    [PLANTED_SLOW_LEADER_STAYS] = {"nights", "-"},
    /* Their stories need an order of things that chance brings about too seldom to wait for. */
    [PLANTED_GUARD_STALE_TERM] = {"-", "test_1_a_stale_snapshot_acknowledges_nothing"},
    [PLANTED_GUARD_COMPACTED_PREFIX] = {"-", "test_2_entries_before_a_compacted_log_are_not_written_again"},
    [PLANTED_GUARD_SOLE_VOTER] = {"-", "test_6_a_sole_voter_never_leads_twice_in_a_term"},
    [PLANTED_GUARD_PREVOTE_TERM] = {"-", "test_7_a_denied_prevote_tells_the_term"},
    [PLANTED_GUARD_MEMBERSHIP] = {"-", "test_8_a_change_waits_until_the_voters_know_of_the_last_one"},
    [PLANTED_GUARD_STALE_RESULT] = {"-", "test_9_a_late_rejection_does_not_stop_replication"},
    [PLANTED_GUARD_COMMIT_MONOTONE] = {"-", "test_10_the_commit_index_never_goes_back"},
    [PLANTED_GUARD_TIMEOUT] = {"-", "test_11_time_goes_on"},
};

bool planted_choose(const char *name) {
    for (int bug = PLANTED_NONE + 1; bug < PLANTED_END; bug++) {
        if (strcmp(bugs[bug].name, name) != 0) continue;
        planted_bug = (enum planted)bug;
        return true;
    }
    return false;
}

void planted_list(FILE *out) {
    for (int bug = PLANTED_NONE + 1; bug < PLANTED_END; bug++) {
        bool usual = ways[bug].profile == NULL;
        fprintf(out, "%s\t%s\t%s\t%s\n", bugs[bug].name, usual ? "storm" : ways[bug].profile, usual ? "-" : ways[bug].test,
                bugs[bug].sentence);
    }
}

#else

bool planted_choose(const char *name) {
    (void)name;
    return false;
}

void planted_list(FILE *out) { (void)out; }

#endif
