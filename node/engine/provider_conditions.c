/* What is wrong with the providers: provider_conditions.h. */
#include "node/engine/provider_conditions.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "consensus/members.h"

#define SUMMARY_CHARACTERS 400
#define NODES_CHARACTERS 120
/* A node asks every six minutes at most, and its own patience is counted from there (engine_probes.c): before that it may not have noticed what others have. */
#define PARTLY_MINUTES 8u
#define LEADS_AGAIN_MS 600000u

/* Of one provider: how many voters that are heard of use it, and what they say. */
struct users {
    size_t count, refused, failing;
    bool leader_failing;
    bool settled; /* it has been so for long enough that those who say nothing have asked, too */
    char refused_nodes[NODES_CHARACTERS], failing_nodes[NODES_CHARACTERS];
};

static void add_node(char *nodes, uint64_t id) {
    size_t length = strlen(nodes);
    (void)snprintf(nodes + length, NODES_CHARACTERS - length, "%s%" PRIu64, length > 0 ? ", " : "", id);
}

/* Learners send nothing before they are voters. */
static struct users users_of(const struct member_facts *members, size_t count, uint64_t leader_id, uint64_t place, uint64_t channels) {
    struct users users = {0};
    for (size_t i = 0; i < count; i++) {
        const struct vitals *vitals = &members[i].vitals;
        if (!members[i].heard || !members[i].voter || (vitals->providers & channels) == 0) continue;
        users.count++;
        if ((vitals->providers_refused & place) != 0) {
            users.refused++;
            add_node(users.refused_nodes, members[i].id);
        }
        if ((vitals->providers_failing & place) != 0) {
            users.failing++;
            add_node(users.failing_nodes, members[i].id);
            users.leader_failing |= members[i].id == leader_id;
        }
    }
    return users;
}

/* ---- each kind: whether it is so, and the sentence that says so */

static bool refuses(const struct users *users, const char *provider, char *text, size_t size) {
    (void)snprintf(text, size, "Provider %s refuses the credentials of node %s: no page goes out through it there. Look at its account, and at the node's configuration",
                   provider, users->refused_nodes);
    return users->refused > 0;
}

/* Nobody, or not who sends. */
static bool is_down(const struct users *users) {
    return users->failing > 0 && (users->leader_failing || users->failing + users->refused == users->count);
}

static bool down(const struct users *users, const char *provider, char *text, size_t size) {
    (void)snprintf(text, size, "Provider %s has failed for minutes, asked by node %s%s: pages go out by other ways only, look at its status page and at the network",
                   provider, users->failing_nodes, users->failing + users->refused < users->count ? ", which leads" : "");
    return is_down(users);
}

static bool partly(const struct users *users, const char *provider, char *text, size_t size) {
    (void)snprintf(text, size, "Provider %s fails when node %s asks it, and works elsewhere: look at the way out of there", provider, users->failing_nodes);
    return users->failing > 0 && !is_down(users) && users->settled;
}

/* Error is of high urgency and wakes people; a warning is of low urgency and waits until morning (node/README.md has the reasons). */
static const struct kind {
    const char *name;
    Tocsin__Severity severity;
    bool (*is)(const struct users *users, const char *provider, char *text, size_t size);
} KINDS[] = {
    {"refused", TOCSIN__SEVERITY__SEVERITY_ERROR, refuses},
    {"down", TOCSIN__SEVERITY__SEVERITY_ERROR, down},
    {"partly", TOCSIN__SEVERITY__SEVERITY_WARNING, partly},
};
#define KINDS_COUNT (sizeof KINDS / sizeof KINDS[0])

/* ---- telling */

static const Tocsin__NodeCondition *told(const Tocsin__NodeConditions *known, const char *key) {
    for (size_t i = 0; known != NULL && i < known->n_conditions; i++)
        if (strcmp(known->conditions[i]->key, key) == 0) return known->conditions[i];
    return NULL;
}

/* Bits have their meaning by the code: during an upgrade nothing is compared. */
static bool of_one_code(const struct member_facts *members, size_t count) {
    uint64_t code = 0;
    for (size_t i = 0; i < count; i++) {
        if (!members[i].heard) continue;
        if (code != 0 && members[i].vitals.code != code) return false;
        code = members[i].vitals.code;
    }
    return true;
}

static bool partly_for_long(uint64_t *since_ms, const struct users *users, uint64_t minute_ms, uint64_t now_ms) {
    if (users->failing == 0 || is_down(users))
        *since_ms = 0;
    else if (*since_ms == 0)
        *since_ms = now_ms;
    return *since_ms != 0 && now_ms - *since_ms >= PARTLY_MINUTES * minute_ms;
}

void provider_conditions_look(struct provider_conditions *conditions, const struct member_facts *members, size_t count, uint64_t leader_id,
                              const Tocsin__NodeConditions *known, uint64_t minute_ms, uint64_t now_ms, void (*notice)(void *context, const struct condition_notice *), void *context) {
    assert(count <= MEMBERS_MAX);
    if (!of_one_code(members, count)) return;
    bool all_heard = true;
    for (size_t i = 0; i < count; i++) all_heard = all_heard && members[i].heard;
    const struct channel *const *channels = channels_all();
    for (unsigned place = 0; channels[place] != NULL; place++) {
        if (channels[place]->probe == NULL) continue;
        uint64_t same = 0;
        for (unsigned i = 0; channels[i] != NULL; i++) same |= channels[i]->probe == channels[place]->probe ? 1ull << i : 0;
        if ((same & ((1ull << place) - 1)) != 0) continue; /* an earlier channel stands for its provider */
        struct users users = users_of(members, count, leader_id, 1ull << place, same);
        users.settled = partly_for_long(&conditions->partly_since_ms[place], &users, minute_ms, now_ms);
        for (size_t kind = 0; kind < KINDS_COUNT; kind++) {
            char key[LIMIT_NODE_CONDITION_KEY_CHARACTERS], text[SUMMARY_CHARACTERS];
            (void)snprintf(key, sizeof key, CONDITION_PROVIDER_KEY "%s/%s", channels[place]->provider, KINDS[kind].name);
            bool is = KINDS[kind].is(&users, channels[place]->provider, text, sizeof text);
            const Tocsin__NodeCondition *before = told(known, key);
            /* Once told it lasts while it is so, however short a time this leader has seen it. */
            bool unsettled = !is && KINDS[kind].is == partly && users.failing > 0 && !is_down(&users);
            if (is == (before != NULL) || (!is && !all_heard) || unsettled) continue;
            notice(context, &(struct condition_notice){key, is ? text : before->summary, KINDS[kind].severity, !is});
        }
    }
}

/* ---- who shall lead instead */

uint64_t provider_successor(const struct provider_hand_over *last, uint64_t term, const struct member_facts *members, size_t count, uint64_t leader_id,
                            uint64_t minute_ms, uint64_t now_ms) {
    uint64_t first = 0, next = 0, wait_ms = last->term == term ? minute_ms : LEADS_AGAIN_MS;
    if (last->at_ms != 0 && now_ms - last->at_ms < wait_ms) return 0;
    for (size_t i = 0; i < count; i++) {
        const struct member_facts *member = &members[i];
        bool fit = member->id != leader_id && member->voter && member->heard && !member->lags;
        if (!fit || member->vitals.providers_working == 0) continue;
        if (first == 0 || member->id < first) first = member->id;
        if (member->id > last->to && (next == 0 || member->id < next)) next = member->id;
    }
    return next != 0 ? next : first;
}
