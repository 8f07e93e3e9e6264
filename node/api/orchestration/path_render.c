/* The rules of one path as clients read them: what was not said is not there. */
#include "node/api/orchestration/orchestration.h"

const struct word words_path_kind[] = {
    {TOCSIN__PATH_KIND__PATH_GLOBAL, "global"},
    {TOCSIN__PATH_KIND__PATH_ROUTER, "router"},
    {TOCSIN__PATH_KIND__PATH_UNROUTED, "unrouted"},
    {TOCSIN__PATH_KIND__PATH_SERVICE, "service"},
    {0, NULL},
};

static void add_text(json_t *object, const char *name, const char *text)
{
    if (text[0] != '\0') {
        json_object_set_new(object, name, json_string(text));
    }
}

static void add_id(json_t *object, const char *name, uint64_t id)
{
    if (id != 0) {
        json_object_set_new(object, name, json_id(id));
    }
}

static void add_flag(json_t *object, const char *name, bool flag)
{
    if (flag) {
        json_object_set_new(object, name, json_true());
    }
}

static void add_variables(json_t *object, const Tocsin__RuleActions *actions)
{
    json_t *list = json_array();
    for (size_t i = 0; i < actions->n_variables; i++) {
        const Tocsin__RuleVariable *variable = actions->variables[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "name", variable->name, "path", variable->path, "type",
                                              variable->type, "value", variable->value));
    }
    json_object_set_new(object, "variables", list);
}

static void add_extractions(json_t *object, const Tocsin__RuleActions *actions)
{
    json_t *list = json_array();
    for (size_t i = 0; i < actions->n_extractions; i++) {
        const Tocsin__RuleExtraction *extraction = actions->extractions[i];
        json_t *item = json_object();
        add_text(item, "target", extraction->target);
        add_text(item, "template", extraction->template_);
        add_text(item, "regex", extraction->regex);
        add_text(item, "source", extraction->source);
        json_array_append_new(list, item);
    }
    json_object_set_new(object, "extractions", list);
}

static json_t *render_actions(const Tocsin__RuleActions *actions)
{
    json_t *object = json_object();
    if (actions == NULL) {
        return object;
    }
    add_text(object, "route_to", actions->route_to);
    if (actions->dynamic_route_to != NULL) {
        const Tocsin__DynamicRoute *route = actions->dynamic_route_to;
        json_object_set_new(object, "dynamic_route_to",
                            json_pack("{s:s, s:s, s:s}", "source", route->source, "regex", route->regex, "lookup_by",
                                      route->lookup_by));
    }
    add_flag(object, "drop_event", actions->drop_event);
    add_flag(object, "suppress", actions->suppress);
    if (actions->suspend_s != 0) {
        json_object_set_new(object, "suspend", json_integer(actions->suspend_s));
    }
    add_id(object, "priority", actions->priority_id);
    add_id(object, "escalation_policy", actions->escalation_policy_id);
    add_text(object, "annotate", actions->annotate);
    add_text(object, "severity", actions->severity);
    add_text(object, "event_action", actions->event_action);
    add_text(object, "urgency", actions->urgency);
    if (actions->n_variables > 0) {
        add_variables(object, actions);
    }
    if (actions->n_extractions > 0) {
        add_extractions(object, actions);
    }
    return object;
}

static json_t *render_rule(const Tocsin__OrchestrationRule *rule)
{
    json_t *conditions = json_array();
    for (size_t i = 0; i < rule->n_conditions; i++) {
        json_array_append_new(conditions, json_pack("{s:s}", "expression", rule->conditions[i]));
    }
    return json_pack("{s:o, s:s, s:o, s:o, s:b}", "id", json_id(rule->id), "label", rule->label, "conditions", conditions,
                     "actions", render_actions(rule->actions), "disabled", rule->disabled);
}

static json_t *render_set(const Tocsin__RuleSet *set)
{
    json_t *rules = json_array();
    for (size_t i = 0; i < set->n_rules; i++) {
        json_array_append_new(rules, render_rule(set->rules[i]));
    }
    return json_pack("{s:s, s:o}", "id", set->id, "rules", rules);
}

json_t *reference_orchestration(struct http_request *request, uint64_t id)
{
    char text[16];
    id_format(id, text);
    return json_pack("{s:s, s:s, s:o}", "id", text, "type", "event_orchestration_reference", "self",
                     render_self(request, "/event_orchestrations/%s", text));
}

json_t *reference_user_short(struct http_request *request, uint64_t user_id)
{
    char text[16];
    if (user_id == 0) {
        return json_null();
    }
    id_format(user_id, text);
    return json_pack("{s:s, s:s, s:o}", "id", text, "type", "user_reference", "self",
                     render_self(request, "/users/%s", text));
}

static json_t *render_parent(struct http_request *request, uint64_t owner_id, Tocsin__PathKind kind)
{
    char text[16];
    if (kind != TOCSIN__PATH_KIND__PATH_SERVICE) {
        return reference_orchestration(request, owner_id);
    }
    id_format(owner_id, text);
    return json_pack("{s:s, s:s, s:o}", "id", text, "type", "service_reference", "self",
                     render_self(request, "/services/%s", text));
}

static json_t *render_own_self(struct http_request *request, uint64_t owner_id, Tocsin__PathKind kind)
{
    char text[16];
    id_format(owner_id, text);
    return kind == TOCSIN__PATH_KIND__PATH_SERVICE
               ? render_self(request, "/event_orchestrations/services/%s", text)
               : render_self(request, "/event_orchestrations/%s/%s", text, word_of(words_path_kind, (int)kind));
}

/* Before anybody wrote one: no rules, and whatever comes is unrouted. */
static void render_nothing(json_t *object, Tocsin__PathKind kind)
{
    json_t *actions = kind == TOCSIN__PATH_KIND__PATH_ROUTER ? json_pack("{s:s}", "route_to", "unrouted") : json_object();
    json_object_set_new(object, "sets", json_pack("[{s:s, s:[]}]", "id", "start", "rules"));
    json_object_set_new(object, "catch_all", json_pack("{s:o}", "actions", actions));
}

json_t *path_render(struct http_request *request, const Tocsin__OrchestrationPath *path, uint64_t owner_id,
                    Tocsin__PathKind kind)
{
    json_t *object = json_object();
    json_object_set_new(object, "type", json_word(words_path_kind, (int)kind));
    json_object_set_new(object, "parent", render_parent(request, owner_id, kind));
    json_object_set_new(object, "self", render_own_self(request, owner_id, kind));
    if (path == NULL) {
        render_nothing(object, kind);
        return object;
    }
    json_t *sets = json_array();
    for (size_t i = 0; i < path->n_sets; i++) {
        json_array_append_new(sets, render_set(path->sets[i]));
    }
    json_object_set_new(object, "sets", sets);
    json_object_set_new(object, "catch_all", json_pack("{s:o}", "actions", render_actions(path->catch_all)));
    json_object_set_new(object, "created_at", json_time(path->created_at_ms));
    json_object_set_new(object, "created_by", reference_user_short(request, path->created_by_user_id));
    json_object_set_new(object, "updated_at", json_time(path->updated_at_ms));
    json_object_set_new(object, "updated_by", reference_user_short(request, path->updated_by_user_id));
    json_object_set_new(object, "version", json_format("%llu", (unsigned long long)path->revision));
    return object;
}
