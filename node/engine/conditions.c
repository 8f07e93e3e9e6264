/* What is wrong with the members of a cluster: conditions.h. */
#include "node/engine/conditions.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/cluster_clock.h"
#include "consensus/machine/limits.h"
#include "notify/channel.h"

#define SUMMARY_CHARACTERS 400
#define PAUSE_LOOKS 3u
/* Log and state grow by some gigabytes in a bad night at most: what is short depends on the disk, within these bounds. */
#define DISK_FREE_BYTES_MIN (1ull << 30)
#define DISK_FREE_BYTES_ENOUGH (10ull << 30)
#define DISK_FREE_PARTS 20u
#define DISK_SMALL_PARTS 4u /* of a disk that is small itself */
/* Beyond it a clock is not counted among those that agree, and the cluster's time goes without it. */
#define CLOCK_OFFSET_MS_MAX CLUSTER_CLOCK_AGREEMENT_MS
#define CLOCKS_MIN 3u /* of two nobody can say which one is wrong */

struct look {
    const struct member_facts *members;
    size_t count;
    uint64_t leader_id;
    uint64_t code, zones; /* what most members have */
    uint64_t providers;   /* that anybody can use */
    bool clock_known;
    int64_t clock_offset_ms; /* the median */
};

/* ---- what most members say */

static uint64_t code_of(const struct member_facts *member) { return member->vitals.code; }
static uint64_t zones_of(const struct member_facts *member) { return member->vitals.zones; }

/* The value of most; among equals the leader's. 0: nobody knows. */
static uint64_t most_common(const struct look *look, uint64_t (*of)(const struct member_facts *)) {
    uint64_t most = 0;
    unsigned most_votes = 0;
    for (size_t i = 0; i < look->count; i++) {
        uint64_t value = of(&look->members[i]);
        if (!look->members[i].heard || value == 0) continue;
        unsigned votes = look->members[i].id == look->leader_id;
        for (size_t j = 0; j < look->count; j++) votes += look->members[j].heard && of(&look->members[j]) == value ? 2 : 0;
        if (votes > most_votes) {
            most = value;
            most_votes = votes;
        }
    }
    return most;
}

static int by_size(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static struct look look_around(const struct member_facts *members, size_t count, uint64_t leader_id) {
    struct look look = {.members = members, .count = count, .leader_id = leader_id};
    int64_t offsets_ms[MEMBERS_MAX];
    size_t clocks = 0;
    for (size_t i = 0; i < count; i++) {
        if (!members[i].heard) continue;
        look.providers |= members[i].vitals.providers;
        if (members[i].clock_known) offsets_ms[clocks++] = members[i].clock_offset_ms;
    }
    look.code = most_common(&look, code_of);
    look.zones = most_common(&look, zones_of);
    look.clock_known = clocks >= CLOCKS_MIN;
    if (look.clock_known) {
        qsort(offsets_ms, clocks, sizeof offsets_ms[0], by_size);
        look.clock_offset_ms = offsets_ms[clocks / 2];
    }
    return look;
}

/* ---- each kind: whether it is so, and the sentence that says so */

/* Without it there is still one member more than a majority needs: the next loss silences nobody. */
static bool can_be_spared(const struct look *look, const struct member_facts *member) {
    size_t voters = 0, heard = 0;
    for (size_t i = 0; i < look->count; i++) {
        voters += look->members[i].voter;
        heard += look->members[i].voter && look->members[i].heard;
    }
    return !member->voter || heard > voters / 2 + 1;
}

static bool missing(const struct look *look, const struct member_facts *member, char *text, size_t size) {
    (void)snprintf(text, size, "Node %" PRIu64 " is missing: the leader does not hear of it. Look whether it runs, and its network%s", member->id,
                   can_be_spared(look, member) ? "" : ". If one more is lost there is no majority");
    return !member->heard;
}

static bool lagging(const struct look *look, const struct member_facts *member, char *text, size_t size) {
    (void)look;
    (void)snprintf(text, size, "Node %" PRIu64 " lags %" PRIu64 " entries behind the leader: its disk, processor or network do not keep up",
                   member->id, member->behind_entries);
    return member->lags;
}

static bool short_of_disk(const struct look *look, const struct member_facts *member, char *text, size_t size) {
    (void)look;
    uint64_t total_bytes = member->vitals.disk_total_bytes, free_bytes = member->vitals.disk_free_bytes;
    uint64_t least_bytes = total_bytes / DISK_FREE_PARTS;
    if (least_bytes > DISK_FREE_BYTES_ENOUGH) least_bytes = DISK_FREE_BYTES_ENOUGH;
    if (least_bytes < DISK_FREE_BYTES_MIN) least_bytes = DISK_FREE_BYTES_MIN;
    if (least_bytes > total_bytes / DISK_SMALL_PARTS) least_bytes = total_bytes / DISK_SMALL_PARTS;
    (void)snprintf(text, size, "Node %" PRIu64 " is short of disk: %" PRIu64 " MiB of %" PRIu64 " MiB are free in its data directory", member->id,
                   free_bytes >> 20, total_bytes >> 20);
    return total_bytes != 0 && free_bytes < least_bytes;
}

static bool clock_is_skewed(const struct look *look, const struct member_facts *member, char *text, size_t size) {
    if (!look->clock_known || !member->clock_known) return false;
    int64_t off_ms = member->clock_offset_ms - look->clock_offset_ms;
    (void)snprintf(text, size, "The clock of node %" PRIu64 " is %" PRId64 " ms %s of what most members show: look at its time service", member->id,
                   off_ms < 0 ? -off_ms : off_ms, off_ms < 0 ? "behind" : "ahead");
    return off_ms > CLOCK_OFFSET_MS_MAX || off_ms < -CLOCK_OFFSET_MS_MAX;
}

static bool has_other_code(const struct look *look, const struct member_facts *member, char *text, size_t size) {
    (void)snprintf(text, size, "Node %" PRIu64 " runs another version of Tocsin than most members: finish the upgrade", member->id);
    return member->vitals.code != 0 && member->vitals.code != look->code;
}

static bool has_other_zones(const struct look *look, const struct member_facts *member, char *text, size_t size) {
    (void)snprintf(text, size, "Node %" PRIu64 " has other time zone data than most members: install the same tzdata everywhere", member->id);
    return member->vitals.zones != 0 && member->vitals.zones != look->zones;
}

/* Bits have their meaning by the code: during an upgrade nothing is compared. */
static bool lacks_provider(const struct look *look, const struct member_facts *member, char *text, size_t size) {
    uint64_t lacking = look->providers & ~member->vitals.providers;
    for (size_t i = 0; i < look->count; i++)
        if (look->members[i].heard && look->members[i].vitals.code != look->code) return false;
    size_t length = (size_t)snprintf(text, size, "Node %" PRIu64 " cannot use what other members can, look at its configuration:", member->id);
    unsigned bit = 0;
    for (const struct channel *const *channel = channels_all(); *channel != NULL; channel++, bit++)
        if ((lacking >> bit & 1) != 0 && length < size) length += (size_t)snprintf(text + length, size - length, " %s", (*channel)->provider);
    return lacking != 0;
}

/* Critical and error are of high urgency and wake people; a warning is of low urgency and waits until morning (node/README.md has the reasons). */
static const struct kind {
    const char *name;
    Tocsin__Severity severity;
    unsigned hold_minutes;
    bool (*is)(const struct look *look, const struct member_facts *member, char *text, size_t size);
    bool (*waits)(const struct look *look, const struct member_facts *member); /* a warning all the same; NULL: never */
} KINDS[CONDITION_KINDS] = {
    [CONDITION_MISSING] = {"missing", TOCSIN__SEVERITY__SEVERITY_CRITICAL, 1, missing, can_be_spared},
    [CONDITION_LAGGING] = {"lagging", TOCSIN__SEVERITY__SEVERITY_WARNING, 1, lagging, NULL},
    [CONDITION_DISK] = {"disk", TOCSIN__SEVERITY__SEVERITY_CRITICAL, 1, short_of_disk, NULL},
    [CONDITION_CLOCK] = {"clock", TOCSIN__SEVERITY__SEVERITY_ERROR, 1, clock_is_skewed, NULL},
    [CONDITION_CODE] = {"version", TOCSIN__SEVERITY__SEVERITY_WARNING, 10, has_other_code, NULL},
    [CONDITION_ZONES] = {"zones", TOCSIN__SEVERITY__SEVERITY_WARNING, 1, has_other_zones, NULL},
    [CONDITION_PROVIDER] = {"provider", TOCSIN__SEVERITY__SEVERITY_ERROR, 1, lacks_provider, NULL},
};
#define END_MINUTES 1u

/* ---- for how long */

/* The clocks of the present members, in their order; new ones begin now, as if nothing was wrong. */
static void keep_clocks(struct conditions *conditions, const struct member_facts *members, size_t count, uint64_t now_ms) {
    struct conditions before = *conditions;
    conditions->members_count = count;
    for (size_t i = 0; i < count; i++) {
        struct condition_clocks *clocks = &conditions->members[i];
        *clocks = (struct condition_clocks){.id = members[i].id};
        for (unsigned kind = 0; kind < CONDITION_KINDS; kind++) clocks->since_ms[kind] = now_ms;
        for (size_t j = 0; j < before.members_count; j++)
            if (before.members[j].id == members[i].id) *clocks = before.members[j];
    }
}

static void condition_key(char *key, uint64_t id, unsigned kind) {
    (void)snprintf(key, LIMIT_NODE_CONDITION_KEY_CHARACTERS, CONDITION_MEMBER_KEY "%" PRIu64 "/%s", id, KINDS[kind].name);
}

static const Tocsin__NodeCondition *told(const Tocsin__NodeConditions *known, const char *key) {
    for (size_t i = 0; known != NULL && i < known->n_conditions; i++)
        if (strcmp(known->conditions[i]->key, key) == 0) return known->conditions[i];
    return NULL;
}

/* What was told of a node that is no member any more is over. */
static void end_strangers(const struct conditions *conditions, const Tocsin__NodeConditions *known,
                          void (*notice)(void *context, const struct condition_notice *), void *context) {
    char key[LIMIT_NODE_CONDITION_KEY_CHARACTERS];
    for (size_t i = 0; known != NULL && i < known->n_conditions; i++) {
        if (strncmp(known->conditions[i]->key, CONDITION_MEMBER_KEY, sizeof CONDITION_MEMBER_KEY - 1) != 0) continue;
        bool member = false;
        for (size_t j = 0; j < conditions->members_count && !member; j++)
            for (unsigned kind = 0; kind < CONDITION_KINDS && !member; kind++) {
                condition_key(key, conditions->members[j].id, kind);
                member = strcmp(key, known->conditions[i]->key) == 0;
            }
        const Tocsin__NodeCondition *over = known->conditions[i];
        if (!member) notice(context, &(struct condition_notice){over->key, over->summary, TOCSIN__SEVERITY__SEVERITY_INFO, true});
    }
}

void conditions_look(struct conditions *conditions, const struct member_facts *members, size_t count, uint64_t leader_id,
                     const Tocsin__NodeConditions *known, uint64_t minute_ms, uint64_t interval_ms, uint64_t now_ms,
                     void (*notice)(void *context, const struct condition_notice *), void *context) {
    assert(count <= MEMBERS_MAX);
    if (now_ms - conditions->looked_ms > PAUSE_LOOKS * interval_ms) conditions->members_count = 0;
    conditions->looked_ms = now_ms;
    keep_clocks(conditions, members, count, now_ms);
    struct look look = look_around(members, count, leader_id);
    for (size_t i = 0; i < count; i++)
        for (unsigned kind = 0; kind < CONDITION_KINDS; kind++) {
            char key[LIMIT_NODE_CONDITION_KEY_CHARACTERS], text[SUMMARY_CHARACTERS];
            struct condition_clocks *clocks = &conditions->members[i];
            /* Of a node that is not heard of nothing else is known: what was so is neither over nor news. */
            if (kind != CONDITION_MISSING && !members[i].heard) {
                clocks->since_ms[kind] = now_ms;
                continue;
            }
            bool is = KINDS[kind].is(&look, &members[i], text, sizeof text);
            if (is != clocks->is[kind]) clocks->since_ms[kind] = now_ms;
            clocks->is[kind] = is;
            condition_key(key, members[i].id, kind);
            const Tocsin__NodeCondition *before = told(known, key);
            uint64_t hold_ms = (is ? KINDS[kind].hold_minutes : END_MINUTES) * minute_ms;
            if (is == (before != NULL) || now_ms - clocks->since_ms[kind] < hold_ms) continue;
            bool waits = KINDS[kind].waits != NULL && KINDS[kind].waits(&look, &members[i]);
            Tocsin__Severity severity = waits ? TOCSIN__SEVERITY__SEVERITY_WARNING : KINDS[kind].severity;
            notice(context, &(struct condition_notice){key, is ? text : before->summary, severity, !is});
        }
    end_strangers(conditions, known, notice, context);
}
