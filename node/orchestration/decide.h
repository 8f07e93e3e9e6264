/*
 * What the rules make of one event, from the state that a view shows:
 *
 *     key of an orchestration ── global ── router ──┬── a service ── its rules ──> alert there
 *                                                   └── unrouted ──> set aside
 *     key of a service ── its rules ──> alert there
 *
 * The decision goes with the event into the log, and apply takes it only while Counters.rules_revision is the same.
 */
#ifndef NODE_ORCHESTRATION_DECIDE_H
#define NODE_ORCHESTRATION_DECIDE_H

#include <jansson.h>

#include "consensus/machine/records.h"
#include "node/orchestration/ruleset.h"

/* Of each service that has rules, three of each orchestration; beyond this many all are made anew as they are needed. */
#define RULE_CACHE_ENTRIES_MAX 8192u

/* Compiled rules by path, all of one rules_revision; made when first needed. */
struct rule_cache;
struct rule_cache *rule_cache_new(void);
void rule_cache_free(struct rule_cache *cache); /* NULL is fine */
/*
 * Before the first path of each decision: only here rules are let go, for what ruleset_ask leaves in a verdict points into
 * them. The few paths of one decision may go beyond RULE_CACHE_ENTRIES_MAX.
 */
void rule_cache_begin(struct rule_cache *cache, uint64_t rules_revision);
/* The rules of the path, or NULL when there are none (or those of a service are not active). Lives until the next begin. */
const struct ruleset *rule_cache_get(struct rule_cache *cache, const struct machine_store *view, uint64_t owner_id,
                                     Tocsin__PathKind kind);

/* Of the view; 0: there never was a rule. */
uint64_t rules_revision(const struct machine_store *view);

/* Where an event comes in: by its routing key, or as if it came to this orchestration or service. */
struct decide_from {
    uint64_t orchestration_id, service_id; /* both 0: by the key */
};

/*
 * The event with rules_revision, decision and changed fields set, in `memory`, sharing what did not change with `event`.
 * Without rules on its way there is no decision. `trace`: NULL, or an array for every rule looked at.
 */
Tocsin__Event *decide(struct rule_cache *cache, const struct machine_store *view, struct decide_from from,
                      const Tocsin__Event *event, uint64_t now_ms, ProtobufCAllocator *memory, json_t *trace);

#endif
