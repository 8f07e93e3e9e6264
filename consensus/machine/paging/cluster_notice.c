/*
 * What nodes have noticed about each other, told on the cluster's own service.
 *
 *     leader: wrong for long enough ──> CLUSTER_NOTICE ──> not told yet: an incident, and remembered
 *     leader: well for long enough  ──> CLUSTER_NOTICE ──> was told: the incident is resolved, and it is forgotten
 *
 * What was told is kept apart from the incident: who resolves that by hand is not told again before it has been well once,
 * whoever leads.
 */
#include "consensus/machine/checks.h"
#include "consensus/machine/heartbeats/heartbeats.h"
#include "consensus/machine/incidents/incidents.h"

#include <string.h>

static Tocsin__NodeConditions *conditions_load(struct apply *apply)
{
    Tocsin__NodeConditions *known = node_conditions_get(apply->store, apply->arena);
    if (known == NULL) {
        known = apply_alloc(apply, sizeof *known);
        tocsin__node_conditions__init(known);
    }
    return known;
}

static void conditions_put(struct apply *apply, const Tocsin__NodeConditions *known)
{
    record_put(apply->store, TABLE_META, key_meta(META_CONDITIONS), &known->base);
}

static size_t condition_find(const Tocsin__NodeConditions *known, const char *key)
{
    size_t i = 0;
    while (i < known->n_conditions && strcmp(known->conditions[i]->key, key) != 0) {
        i++;
    }
    return i;
}

static void condition_add(struct apply *apply, Tocsin__NodeConditions *known, const Tocsin__ClusterNotice *notice)
{
    Tocsin__NodeCondition **conditions = apply_alloc(apply, (known->n_conditions + 1) * sizeof *conditions);
    for (size_t i = 0; i < known->n_conditions; i++) {
        conditions[i] = known->conditions[i];
    }
    Tocsin__NodeCondition *condition = apply_alloc(apply, sizeof *condition);
    tocsin__node_condition__init(condition);
    condition->key = notice->key;
    condition->summary = notice->summary;
    condition->since_ms = apply->time_ms;
    conditions[known->n_conditions++] = condition;
    known->conditions = conditions;
}

static void tell(struct apply *apply, const Tocsin__ClusterNotice *notice, Tocsin__Reply *reply)
{
    Tocsin__Event event = TOCSIN__EVENT__INIT;
    event.action = notice->ended ? TOCSIN__EVENT_ACTION__EVENT_RESOLVE : TOCSIN__EVENT_ACTION__EVENT_TRIGGER;
    event.dedup_key = notice->key;
    event.summary = notice->summary;
    event.source = apply_strdup(apply, "tocsin");
    event.severity = (Tocsin__Severity)notice->severity;
    uint64_t service_id = service_of_cluster(apply);
    event_of_cluster(apply, &event, service_id, service_id,
                     notice->ended ? TOCSIN__WHY__WHY_CONDITION_OVER : TOCSIN__WHY__WHY_CONDITION, reply);
}

void apply_cluster_notice(struct apply *apply, const Tocsin__ClusterNotice *notice, Tocsin__Reply *reply)
{
    if (notice->key[0] == '\0' || notice->summary[0] == '\0') {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE,
                     "What is wrong with a node has a key and a sentence.");
        return;
    }
    Tocsin__NodeConditions *known = conditions_load(apply);
    size_t at = condition_find(known, notice->key);
    if ((at < known->n_conditions) != notice->ended) {
        reply->reason = TOCSIN__REASON__REASON_CONDITION_KNOWN;
        return;
    }
    if (!notice->ended && known->n_conditions == LIMIT_NODE_CONDITIONS) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_LIMIT, TOCSIN__REASON__REASON_TOO_MANY,
                     "More than %u things are wrong with the nodes.", LIMIT_NODE_CONDITIONS);
        return;
    }
    tell(apply, notice, reply);
    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        return; /* a million incidents are open: the leader tries again */
    }
    if (notice->ended) {
        known->conditions[at] = known->conditions[--known->n_conditions];
    } else {
        condition_add(apply, known, notice);
    }
    conditions_put(apply, known);
}
