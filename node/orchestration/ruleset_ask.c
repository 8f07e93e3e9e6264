/* Rules, asked about one event. */
#include <string.h>

#include "consensus/machine/base/ids.h"
#include "node/orchestration/ruleset_internal.h"

struct asking {
    const struct ruleset *ruleset;
    struct facts *facts;
    struct verdict *verdict;
    json_t *trace;
};

/* ---------------------------------------------------------------- actions */

static const char *look(struct facts *facts, const struct looked *looked)
{
    if (looked->source == NULL || looked->pattern == NULL) {
        return NULL;
    }
    const char *text = facts_value_text(facts, field_path_value(looked->source, facts->root));
    if (text == NULL) {
        return NULL;
    }
    struct pattern_text whole = facts_text_of(facts, text, strlen(text));
    return extract(facts, looked->pattern, &whole);
}

static void set_variables(struct asking *asking, const struct actions *actions)
{
    json_t *variables = json_object_get(asking->facts->root, "variables");
    for (size_t i = 0; i < actions->said->n_variables; i++) {
        const char *value = look(asking->facts, &actions->variables[i]);
        if (value != NULL) {
            json_object_set_new(variables, actions->said->variables[i]->name, json_string(value));
            facts_changed(asking->facts);
        }
    }
}

static void set_fields(struct asking *asking, const struct actions *actions)
{
    struct facts *facts = asking->facts;
    for (size_t i = 0; i < actions->said->n_extractions; i++) {
        const struct extraction *extraction = &actions->extractions[i];
        const char *value = extraction->template[0] != '\0' ? template_fill(facts, extraction->template)
                                                            : look(facts, &extraction->looked);
        if (value != NULL && extraction->target != NULL && field_path_set(extraction->target, facts->root, value)) {
            asking->verdict->changed = true;
            facts_changed(facts);
        }
    }
    const char *severity = actions->said->severity;
    if (severity[0] != '\0') {
        json_object_set_new(json_object_get(facts->root, "event"), "severity", json_string(severity));
        asking->verdict->changed = true;
        facts_changed(facts);
    }
}

/* Later rules have the last word; what one rule suppressed or dropped stays so. */
static void set_rest(struct asking *asking, const Tocsin__RuleActions *said)
{
    struct verdict *verdict = asking->verdict;
    verdict->drop = verdict->drop || said->drop_event;
    verdict->suppress = verdict->suppress || said->suppress;
    verdict->held_by = said->suppress || said->suspend_s != 0 ? (uint32_t)verdict->taken_count : verdict->held_by;
    verdict->suspend_s = said->suspend_s != 0 ? said->suspend_s : verdict->suspend_s;
    verdict->priority_id = said->priority_id != 0 ? said->priority_id : verdict->priority_id;
    verdict->escalation_policy_id =
        said->escalation_policy_id != 0 ? said->escalation_policy_id : verdict->escalation_policy_id;
    verdict->urgency = said->urgency[0] != '\0' ? said->urgency : verdict->urgency;
    verdict->event_action = said->event_action[0] != '\0' ? said->event_action : verdict->event_action;
    if (said->annotate[0] != '\0' && verdict->notes_count < NOTES_PER_EVENT_MAX) {
        verdict->notes[verdict->notes_count] = said;
        verdict->note_texts[verdict->notes_count++] = template_fill(asking->facts, said->annotate);
    }
}

static void act(struct asking *asking, const struct actions *actions)
{
    asking->verdict->route_to = "";
    asking->verdict->route_key = NULL;
    if (actions->said == NULL) {
        return;
    }
    set_variables(asking, actions);
    set_fields(asking, actions);
    set_rest(asking, actions->said);
    asking->verdict->route_to = actions->said->route_to;
    if (actions->said->dynamic_route_to != NULL) {
        asking->verdict->route_key = look(asking->facts, &actions->dynamic);
        asking->verdict->route_by_name = strcmp(actions->said->dynamic_route_to->lookup_by, "service_name") == 0;
    }
}

static void note_taken(struct asking *asking, const struct rules *set, const struct rule *rule)
{
    struct verdict *verdict = asking->verdict;
    const Tocsin__OrchestrationPath *path = asking->ruleset->path;
    if (verdict->taken_count == RULES_TAKEN_MAX) {
        return;
    }
    Tocsin__RuleTaken *taken = &verdict->taken[verdict->taken_count++];
    tocsin__rule_taken__init(taken);
    taken->kind = path->kind;
    taken->owner_id = path->owner_id;
    taken->revision = path->revision;
    taken->set = (char *)set->id;
    if (rule != NULL) {
        taken->rule_id = rule->said->id;
        taken->label = rule->said->label;
    }
}

/* ---------------------------------------------------------------- conditions */

static bool rule_takes(struct asking *asking, const struct rule *rule, json_t *parts)
{
    if (rule->said->disabled) {
        return false;
    }
    for (size_t i = 0; i < rule->said->n_conditions; i++) {
        const struct condition *condition = rule->conditions[i];
        json_t *looked_at = parts != NULL ? json_array() : NULL;
        bool holds = condition != NULL && condition_holds(condition, asking->facts, looked_at);
        if (parts != NULL) {
            json_array_append_new(parts, json_pack("{s:s, s:b, s:o}", "expression", rule->said->conditions[i], "result",
                                                   holds, "parts", looked_at));
        }
        if (holds) {
            return true;
        }
    }
    return rule->said->n_conditions == 0;
}

static json_t *trace_step(const struct asking *asking, const struct rules *set)
{
    static const char *const kinds[] = {[TOCSIN__PATH_KIND__PATH_GLOBAL] = "global",
                                        [TOCSIN__PATH_KIND__PATH_ROUTER] = "router",
                                        [TOCSIN__PATH_KIND__PATH_UNROUTED] = "unrouted",
                                        [TOCSIN__PATH_KIND__PATH_SERVICE] = "service"};
    char owner[16];
    id_format(asking->ruleset->path->owner_id, owner);
    json_t *step = json_pack("{s:s, s:s, s:s}", "path", kinds[asking->ruleset->path->kind], "parent_id", owner, "set", set->id);
    json_array_append_new(asking->trace, step);
    return step;
}

static bool ask_rule(struct asking *asking, const struct rules *set, const struct rule *rule)
{
    if (asking->trace == NULL) {
        return rule_takes(asking, rule, NULL);
    }
    json_t *step = trace_step(asking, set), *parts = json_array();
    char id[16];
    id_format(rule->said->id, id);
    bool takes = rule_takes(asking, rule, parts);
    json_object_set_new(step, "rule", json_pack("{s:s, s:s}", "id", id, "label", rule->said->label));
    json_object_set_new(step, "disabled", json_boolean(rule->said->disabled));
    json_object_set_new(step, "matched", json_boolean(takes));
    json_object_set_new(step, "conditions", parts);
    return takes;
}

static const struct rules *find_set(const struct ruleset *ruleset, const char *id)
{
    for (size_t i = 0; i < ruleset->path->n_sets; i++) {
        if (strcmp(ruleset->sets[i].id, id) == 0) {
            return &ruleset->sets[i];
        }
    }
    return NULL;
}

/* The rule of the set that takes the event; NULL: none. */
static const struct rule *ask_set(struct asking *asking, const struct rules *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (ask_rule(asking, set, &set->rules[i])) {
            return &set->rules[i];
        }
    }
    return NULL;
}

void ruleset_ask(const struct ruleset *ruleset, struct facts *facts, struct verdict *verdict, json_t *trace)
{
    struct asking asking = {ruleset, facts, verdict, trace};
    bool router = ruleset->path->kind == TOCSIN__PATH_KIND__PATH_ROUTER;
    const struct rules *set = find_set(ruleset, "start");
    facts_use(facts, &ruleset->paths);
    /* Sets that route in a circle end after as many steps as there are sets. */
    for (size_t i = 0; set != NULL && i <= ruleset->path->n_sets; i++) {
        const struct rule *rule = ask_set(&asking, set);
        note_taken(&asking, set, rule);
        if (rule == NULL && trace != NULL) {
            json_t *step = trace_step(&asking, set);
            json_object_set_new(step, "rule", json_null());
            json_object_set_new(step, "catch_all", json_true());
            json_object_set_new(step, "matched", json_true());
        }
        act(&asking, rule != NULL ? &rule->actions : &ruleset->catch_all);
        bool on = rule != NULL && !router && !verdict->drop && verdict->route_to[0] != '\0';
        set = on ? find_set(ruleset, verdict->route_to) : NULL;
    }
}
