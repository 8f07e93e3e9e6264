/* See planted.h. Without TOCSIN_PLANTED the list is empty. */
#include "tests/sim/planted.h"

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
