/* The rules of one path: global, router and unrouted of an orchestration, or those of a service. */
#include <string.h>

#include "consensus/machine/base/ids.h"
#include "consensus/machine/base/text.h"
#include "consensus/machine/checks.h"
#include "consensus/machine/incidents/priorities.h"
#include "consensus/machine/orchestration/orchestration.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE
#define START "start"
#define UNROUTED "unrouted"

/* What a check of one path has at hand. */
struct judged {
    struct apply *apply;
    Tocsin__Reply *reply;
    const Tocsin__OrchestrationPath *path;
};

static const Tocsin__RuleSet *set_find(const Tocsin__OrchestrationPath *path, const char *id)
{
    for (size_t i = 0; i < path->n_sets; i++) {
        if (strcmp(path->sets[i]->id, id) == 0) {
            return path->sets[i];
        }
    }
    return NULL;
}

static bool check_route(const struct judged *judged, const char *route_to)
{
    struct apply *apply = judged->apply;
    if (route_to[0] == '\0') {
        return true;
    }
    if (judged->path->kind != TOCSIN__PATH_KIND__PATH_ROUTER) {
        if (set_find(judged->path, route_to) != NULL) {
            return true;
        }
        reply_refuse(apply, judged->reply, INVALID, "A rule routes to the set %s, which is not there.", route_to);
        return false;
    }
    if (strcmp(route_to, UNROUTED) == 0) {
        return true;
    }
    uint64_t service_id = id_parse(route_to);
    if (service_id == 0 || service_get(apply->store, service_id, apply->arena) == NULL) {
        reply_refuse(apply, judged->reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_SERVICE,
                     "A rule routes to the service %s, which does not exist.", route_to);
        return false;
    }
    return true;
}

static bool check_texts(const struct judged *judged, const Tocsin__RuleActions *actions)
{
    struct apply *apply = judged->apply;
    Tocsin__Reply *reply = judged->reply;
    if (!check_line(apply, reply, "A route", actions->route_to, 0, LIMIT_NAME_CHARACTERS) ||
        !check_lines(apply, reply, "A note", actions->annotate, 0, LIMIT_NOTE_CHARACTERS)) {
        return false;
    }
    for (size_t i = 0; i < actions->n_variables; i++) {
        if (!check_lines(apply, reply, "A pattern", actions->variables[i]->value, 0, LIMIT_PATTERN_SIZE_BYTES)) {
            return false;
        }
    }
    for (size_t i = 0; i < actions->n_extractions; i++) {
        if (!check_lines(apply, reply, "A pattern", actions->extractions[i]->regex, 0, LIMIT_PATTERN_SIZE_BYTES) ||
            !check_lines(apply, reply, "A template", actions->extractions[i]->template_, 0, LIMIT_TEMPLATE_CHARACTERS)) {
            return false;
        }
    }
    return true;
}

static bool check_actions(const struct judged *judged, const Tocsin__RuleActions *actions)
{
    struct apply *apply = judged->apply;
    if (actions == NULL) {
        return true;
    }
    if (actions->n_variables > LIMIT_VARIABLES_PER_RULE || actions->n_extractions > LIMIT_EXTRACTIONS_PER_RULE ||
        actions->suspend_s > LIMIT_SUSPEND_SECONDS) {
        reply_refuse(apply, judged->reply, INVALID,
                     "A rule has at most %u variables, %u extractions and suspends for at most %u seconds.",
                     LIMIT_VARIABLES_PER_RULE, LIMIT_EXTRACTIONS_PER_RULE, LIMIT_SUSPEND_SECONDS);
        return false;
    }
    uint64_t policy_id = actions->escalation_policy_id;
    if (policy_id != 0 && escalation_policy_get(apply->store, policy_id, apply->arena) == NULL) {
        reply_refuse(apply, judged->reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_POLICY,
                     "The escalation policy of a rule does not exist.");
        return false;
    }
    const Tocsin__Priority *priority =
        priority_find(priorities_read(apply->store, apply->arena), actions->priority_id);
    if (actions->priority_id != 0 && (priority == NULL || priority->retired)) {
        reply_refuse(apply, judged->reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_PRIORITY,
                     "The priority of a rule does not exist.");
        return false;
    }
    return check_texts(judged, actions) && check_route(judged, actions->route_to);
}

static bool check_rule(const struct judged *judged, const Tocsin__OrchestrationRule *rule)
{
    struct apply *apply = judged->apply;
    if (!check_lines(apply, judged->reply, "A rule's label", rule->label, 0, LIMIT_DESCRIPTION_CHARACTERS) ||
        !check_actions(judged, rule->actions)) {
        return false;
    }
    if (rule->n_conditions > LIMIT_CONDITIONS_PER_RULE) {
        reply_refuse(apply, judged->reply, INVALID, "A rule has at most %u conditions.", LIMIT_CONDITIONS_PER_RULE);
        return false;
    }
    for (size_t i = 0; i < rule->n_conditions; i++) {
        if (!check_lines(apply, judged->reply, "A condition", rule->conditions[i], 1, LIMIT_CONDITION_SIZE_BYTES)) {
            return false;
        }
    }
    return true;
}

static bool check_sets(const struct judged *judged)
{
    const Tocsin__OrchestrationPath *path = judged->path;
    size_t rules = 0;
    bool router = path->kind == TOCSIN__PATH_KIND__PATH_ROUTER;
    if (path->n_sets > (router ? 1 : LIMIT_SETS_PER_PATH) || set_find(path, START) == NULL) {
        reply_refuse(judged->apply, judged->reply, INVALID,
                     router ? "A router has one set of rules, named start."
                            : "There must be a set of rules named start, and at most %u sets.",
                     LIMIT_SETS_PER_PATH);
        return false;
    }
    for (size_t i = 0; i < path->n_sets; i++) {
        const Tocsin__RuleSet *set = path->sets[i];
        if (!check_line(judged->apply, judged->reply, "The id of a set", set->id, 1, LIMIT_NAME_CHARACTERS)) {
            return false;
        }
        if (set_find(path, set->id) != set) {
            reply_refuse(judged->apply, judged->reply, INVALID, "Two sets have the id %s.", set->id);
            return false;
        }
        rules += set->n_rules;
    }
    if (rules > LIMIT_RULES_PER_PATH) {
        reply_refuse(judged->apply, judged->reply, INVALID, "There are more than %u rules.", LIMIT_RULES_PER_PATH);
        return false;
    }
    for (size_t i = 0; i < path->n_sets; i++) {
        for (size_t j = 0; j < path->sets[i]->n_rules; j++) {
            if (!check_rule(judged, path->sets[i]->rules[j])) {
                return false;
            }
        }
    }
    return check_actions(judged, path->catch_all);
}

/* ---------------------------------------------------------------- ids of rules */

static bool path_has_rule(const Tocsin__OrchestrationPath *path, uint64_t id)
{
    for (size_t i = 0; path != NULL && i < path->n_sets; i++) {
        for (size_t j = 0; j < path->sets[i]->n_rules; j++) {
            if (path->sets[i]->rules[j]->id == id) {
                return true;
            }
        }
    }
    return false;
}

/* A rule keeps its id when the path had it; each id is given once, so a second rule with it gets another. */
static void name_rules(struct apply *apply, const Tocsin__OrchestrationPath *path, Tocsin__OrchestrationPath *old)
{
    for (size_t i = 0; i < path->n_sets; i++) {
        for (size_t j = 0; j < path->sets[i]->n_rules; j++) {
            Tocsin__OrchestrationRule *rule = path->sets[i]->rules[j];
            if (rule->id == 0 || !path_has_rule(old, rule->id)) {
                rule->id = apply_new_id(apply);
                continue;
            }
            for (size_t m = 0; m < old->n_sets; m++) {
                for (size_t n = 0; n < old->sets[m]->n_rules; n++) {
                    Tocsin__OrchestrationRule *kept = old->sets[m]->rules[n];
                    kept->id = kept->id == rule->id ? 0 : kept->id;
                }
            }
        }
    }
}

/* ---------------------------------------------------------------- commands */

static uint64_t acting_user(const struct apply *apply)
{
    return apply->actor->kind == TOCSIN__ACTOR_KIND__ACTOR_USER ? apply->actor->id : 0;
}

static bool check_owner(struct apply *apply, Tocsin__Reply *reply, const Tocsin__OrchestrationPath *path)
{
    bool of_service = path->kind == TOCSIN__PATH_KIND__PATH_SERVICE;
    if (of_service && service_get(apply->store, path->owner_id, apply->arena) == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_SERVICE, "service", path->owner_id);
        return false;
    }
    if (!of_service && orchestration_get(apply->store, path->owner_id, apply->arena) == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "event orchestration", path->owner_id);
        return false;
    }
    return true;
}

static void path_store(struct apply *apply, Tocsin__OrchestrationPath *path)
{
    orchestration_rules_changed(apply);
    path->revision = apply->counters->rules_revision;
    path->updated_at_ms = apply->time_ms;
    path->updated_by_user_id = acting_user(apply);
    record_put(apply->store, TABLE_ORCHESTRATION_PATH, key_2(path->owner_id, path->kind), &path->base);
}

static void count_routes(struct apply *apply, const Tocsin__OrchestrationPath *path)
{
    Tocsin__Orchestration *orchestration = orchestration_get(apply->store, path->owner_id, apply->arena);
    orchestration->routes = (uint32_t)path->sets[0]->n_rules;
    record_put(apply->store, TABLE_ORCHESTRATION, key_1(orchestration->id), &orchestration->base);
}

void apply_orchestration_path_put(struct apply *apply, const Tocsin__OrchestrationPathPut *put, Tocsin__Reply *reply)
{
    if (!check_given(apply, reply, put->path)) {
        return;
    }
    Tocsin__OrchestrationPath *path = put->path;
    struct judged judged = {apply, reply, path};
    if (!check_owner(apply, reply, path) || !check_sets(&judged)) {
        return;
    }
    Tocsin__OrchestrationPath *old = orchestration_path_get(apply->store, path->owner_id, path->kind, apply->arena);
    path->created_at_ms = old != NULL ? old->created_at_ms : apply->time_ms;
    path->created_by_user_id = old != NULL ? old->created_by_user_id : acting_user(apply);
    path->inactive = old != NULL && old->inactive;
    name_rules(apply, path, old);
    path_store(apply, path);
    if (path->kind == TOCSIN__PATH_KIND__PATH_ROUTER) {
        count_routes(apply, path);
    }
    reply_id(apply, reply, path->owner_id);
}

void apply_orchestration_activate(struct apply *apply, const Tocsin__OrchestrationActivate *activate,
                                  Tocsin__Reply *reply)
{
    Tocsin__OrchestrationPath *path = orchestration_path_get(apply->store, activate->service_id,
                                                             TOCSIN__PATH_KIND__PATH_SERVICE, apply->arena);
    Tocsin__RuleSet start = TOCSIN__RULE_SET__INIT, *sets[] = {&start};
    Tocsin__OrchestrationPath fresh = TOCSIN__ORCHESTRATION_PATH__INIT;
    if (path == NULL) {
        start.id = apply_strdup(apply, START);
        fresh.owner_id = activate->service_id;
        fresh.kind = TOCSIN__PATH_KIND__PATH_SERVICE;
        fresh.sets = sets;
        fresh.n_sets = 1;
        fresh.created_at_ms = apply->time_ms;
        fresh.created_by_user_id = acting_user(apply);
        path = &fresh;
        if (!check_owner(apply, reply, path)) {
            return;
        }
    }
    path->inactive = !activate->active;
    path_store(apply, path);
    reply_id(apply, reply, activate->service_id);
}
