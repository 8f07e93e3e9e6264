/*
 * The rules of one path as clients write them. What is wrong with a condition, a pattern or an action is told with its place,
 * and nothing is changed.
 */
#include <stdio.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/orchestration/orchestration.h"

#define PLACE_SIZE_BYTES 96u

#define ALONE SIZE_MAX /* no element of a list */

/* A reader for one object in the body, which names its place in errors. */
static bool reader_for(struct field_reader *outer, struct field_reader *inner, json_t *object, const char *name, size_t index)
{
    char place[PLACE_SIZE_BYTES];
    if (index == ALONE) {
        (void)snprintf(place, sizeof place, "%.60s%s.", outer->prefix, name);
    } else {
        (void)snprintf(place, sizeof place, "%.60s%s[%zu].", outer->prefix, name, index);
    }
    *inner = (struct field_reader){.request = outer->request, .object = object, .prefix = http_strdup(outer->request, place)};
    if (!json_is_object(object)) {
        field_error(outer, "'%s' must be an object", place);
        return false;
    }
    inner->errors = outer->errors;
    return true;
}

static void *array_for(struct http_request *request, const json_t *array, size_t size_bytes)
{
    return http_alloc(request, (json_array_size(array) + 1) * size_bytes);
}

static void take_text(struct field_reader *reader, const char *name, size_t characters_max, char **slot)
{
    const char *text = NULL;
    if (field_string(reader, name, characters_max, &text, NULL) && text != NULL) {
        *slot = http_strdup(reader->request, text);
    }
}

static void take_id(struct field_reader *reader, const char *name, uint64_t *slot)
{
    const char *text = "";
    if (field_string(reader, name, LIMIT_NAME_CHARACTERS, &text, NULL) && text[0] != '\0') {
        *slot = id_parse(text);
        if (*slot == 0) {
            field_error(reader, "'%s%s' must be the id of an object", reader->prefix, name);
        }
    }
}

/* ---------------------------------------------------------------- actions */

/* What would have to be done elsewhere than here; lists that are empty are taken. */
static void refuse_absent(struct field_reader *reader)
{
    static const char *const absent[] = {"automation_actions", "pagerduty_automation_actions",
                                         "incident_custom_field_updates"};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        json_t *list = json_object_get(reader->object, absent[i]);
        if (list != NULL && !json_is_null(list) && json_array_size(list) > 0) {
            field_error(reader, "'%s%s' is not supported", reader->prefix, absent[i]);
        }
    }
}

static void take_variables(struct field_reader *reader, Tocsin__RuleActions *actions)
{
    json_t *given = NULL, *object;
    size_t i;
    if (!field_array(reader, "variables", LIMIT_VARIABLES_PER_RULE, &given) || given == NULL) {
        return;
    }
    actions->variables = array_for(reader->request, given, sizeof *actions->variables);
    json_array_foreach(given, i, object)
    {
        struct field_reader inner;
        if (!reader_for(reader, &inner, object, "variables", i)) {
            return;
        }
        Tocsin__RuleVariable *variable = http_alloc(reader->request, sizeof *variable);
        tocsin__rule_variable__init(variable);
        take_text(&inner, "name", LIMIT_NAME_CHARACTERS, &variable->name);
        take_text(&inner, "path", LIMIT_FIELD_PATH_CHARACTERS, &variable->path);
        take_text(&inner, "type", LIMIT_NAME_CHARACTERS, &variable->type);
        take_text(&inner, "value", LIMIT_PATTERN_SIZE_BYTES, &variable->value);
        actions->variables[actions->n_variables++] = variable;
        reader->errors = inner.errors;
    }
}

static void take_extractions(struct field_reader *reader, Tocsin__RuleActions *actions)
{
    json_t *given = NULL, *object;
    size_t i;
    if (!field_array(reader, "extractions", LIMIT_EXTRACTIONS_PER_RULE, &given) || given == NULL) {
        return;
    }
    actions->extractions = array_for(reader->request, given, sizeof *actions->extractions);
    json_array_foreach(given, i, object)
    {
        struct field_reader inner;
        if (!reader_for(reader, &inner, object, "extractions", i)) {
            return;
        }
        Tocsin__RuleExtraction *extraction = http_alloc(reader->request, sizeof *extraction);
        tocsin__rule_extraction__init(extraction);
        take_text(&inner, "target", LIMIT_FIELD_PATH_CHARACTERS, &extraction->target);
        take_text(&inner, "template", LIMIT_TEMPLATE_CHARACTERS, &extraction->template_);
        take_text(&inner, "regex", LIMIT_PATTERN_SIZE_BYTES, &extraction->regex);
        take_text(&inner, "source", LIMIT_FIELD_PATH_CHARACTERS, &extraction->source);
        actions->extractions[actions->n_extractions++] = extraction;
        reader->errors = inner.errors;
    }
}

static void take_dynamic_route(struct field_reader *reader, Tocsin__RuleActions *actions)
{
    json_t *given = NULL;
    struct field_reader inner;
    if (!field_object(reader, "dynamic_route_to", &given) || given == NULL ||
        !reader_for(reader, &inner, given, "dynamic_route_to", ALONE)) {
        return;
    }
    Tocsin__DynamicRoute *route = http_alloc(reader->request, sizeof *route);
    tocsin__dynamic_route__init(route);
    take_text(&inner, "source", LIMIT_FIELD_PATH_CHARACTERS, &route->source);
    take_text(&inner, "regex", LIMIT_PATTERN_SIZE_BYTES, &route->regex);
    take_text(&inner, "lookup_by", LIMIT_NAME_CHARACTERS, &route->lookup_by);
    actions->dynamic_route_to = route;
    reader->errors = inner.errors;
}

static Tocsin__RuleActions *take_actions(struct field_reader *outer)
{
    json_t *given = NULL;
    struct field_reader reader;
    int64_t suspend_s = 0;
    bool flag = false;
    Tocsin__RuleActions *actions = http_alloc(outer->request, sizeof *actions);
    tocsin__rule_actions__init(actions);
    if (!field_object(outer, "actions", &given) || given == NULL ||
        !reader_for(outer, &reader, given, "actions", ALONE)) {
        return actions;
    }
    take_text(&reader, "route_to", LIMIT_NAME_CHARACTERS, &actions->route_to);
    take_text(&reader, "annotate", LIMIT_NOTE_CHARACTERS, &actions->annotate);
    take_text(&reader, "severity", LIMIT_NAME_CHARACTERS, &actions->severity);
    take_text(&reader, "event_action", LIMIT_NAME_CHARACTERS, &actions->event_action);
    take_text(&reader, "urgency", LIMIT_NAME_CHARACTERS, &actions->urgency);
    take_id(&reader, "priority", &actions->priority_id);
    take_id(&reader, "escalation_policy", &actions->escalation_policy_id);
    field_integer(&reader, "suspend", 0, LIMIT_SUSPEND_SECONDS, &suspend_s, NULL);
    actions->suspend_s = (uint32_t)suspend_s;
    field_boolean(&reader, "suppress", &flag, NULL);
    actions->suppress = flag;
    flag = false;
    field_boolean(&reader, "drop_event", &flag, NULL);
    actions->drop_event = flag;
    take_dynamic_route(&reader, actions);
    take_variables(&reader, actions);
    take_extractions(&reader, actions);
    refuse_absent(&reader);
    outer->errors = reader.errors;
    return actions;
}

/* ---------------------------------------------------------------- rules and sets */

static void take_conditions(struct field_reader *reader, Tocsin__OrchestrationRule *rule)
{
    json_t *given = NULL, *object;
    size_t i;
    if (!field_array(reader, "conditions", LIMIT_CONDITIONS_PER_RULE, &given) || given == NULL) {
        return;
    }
    rule->conditions = array_for(reader->request, given, sizeof *rule->conditions);
    json_array_foreach(given, i, object)
    {
        struct field_reader inner;
        if (!reader_for(reader, &inner, object, "conditions", i)) {
            return;
        }
        char *expression = NULL;
        take_text(&inner, "expression", LIMIT_CONDITION_SIZE_BYTES, &expression);
        if (expression == NULL && inner.errors == NULL) {
            field_error(&inner, "'%sexpression' is missing", inner.prefix);
        }
        rule->conditions[rule->n_conditions++] = expression != NULL ? expression : http_strdup(reader->request, "");
        reader->errors = inner.errors;
    }
}

/* An id that we never gave makes a new rule, as does none. */
static Tocsin__OrchestrationRule *take_rule(struct field_reader *reader)
{
    Tocsin__OrchestrationRule *rule = http_alloc(reader->request, sizeof *rule);
    const char *id = "";
    bool disabled = false;
    tocsin__orchestration_rule__init(rule);
    field_string(reader, "id", LIMIT_NAME_CHARACTERS, &id, NULL);
    rule->id = id_parse(id);
    take_text(reader, "label", LIMIT_DESCRIPTION_CHARACTERS, &rule->label);
    field_boolean(reader, "disabled", &disabled, NULL);
    rule->disabled = disabled;
    take_conditions(reader, rule);
    rule->actions = take_actions(reader);
    return rule;
}

static Tocsin__RuleSet *take_set(struct field_reader *reader)
{
    Tocsin__RuleSet *set = http_alloc(reader->request, sizeof *set);
    json_t *given = NULL, *object;
    size_t i;
    tocsin__rule_set__init(set);
    take_text(reader, "id", LIMIT_NAME_CHARACTERS, &set->id);
    if (!field_array(reader, "rules", LIMIT_RULES_PER_PATH, &given) || given == NULL) {
        return set;
    }
    set->rules = array_for(reader->request, given, sizeof *set->rules);
    json_array_foreach(given, i, object)
    {
        struct field_reader inner;
        if (!reader_for(reader, &inner, object, "rules", i)) {
            break;
        }
        set->rules[set->n_rules++] = take_rule(&inner);
        reader->errors = inner.errors;
        if (reader->errors != NULL) {
            break; /* one rule's errors are enough at a time */
        }
    }
    return set;
}

static void take_sets(struct field_reader *reader, Tocsin__OrchestrationPath *path)
{
    json_t *given = NULL, *object;
    size_t i;
    if (!field_array(reader, "sets", LIMIT_SETS_PER_PATH, &given)) {
        return;
    }
    path->sets = array_for(reader->request, given, sizeof *path->sets);
    json_array_foreach(given, i, object)
    {
        struct field_reader inner;
        if (reader->errors != NULL || !reader_for(reader, &inner, object, "sets", i)) {
            return;
        }
        path->sets[path->n_sets++] = take_set(&inner);
        reader->errors = inner.errors;
    }
}

static void take_catch_all(struct field_reader *reader, Tocsin__OrchestrationPath *path)
{
    json_t *given = NULL;
    struct field_reader inner;
    if (field_object(reader, "catch_all", &given) && given != NULL &&
        reader_for(reader, &inner, given, "catch_all", ALONE)) {
        path->catch_all = take_actions(&inner);
        reader->errors = inner.errors;
    }
}

/* ---------------------------------------------------------------- circles of sets */

static size_t set_index(const Tocsin__OrchestrationPath *path, const char *id)
{
    size_t i = 0;
    while (i < path->n_sets && strcmp(path->sets[i]->id, id) != 0) {
        i++;
    }
    return i;
}

/* Takes away, again and again, the sets that route to none that is left; what then stays routes in circles. */
static bool has_circle(const Tocsin__OrchestrationPath *path)
{
    bool gone[LIMIT_SETS_PER_PATH + 1] = {false};
    gone[path->n_sets] = true; /* a set that is not there is refused elsewhere */
    for (bool moved = true; moved;) {
        moved = false;
        for (size_t i = 0; i < path->n_sets; i++) {
            bool open = gone[i];
            for (size_t j = 0; j < path->sets[i]->n_rules && !open; j++) {
                const char *to = path->sets[i]->rules[j]->actions->route_to;
                open = to[0] != '\0' && !gone[set_index(path, to)];
            }
            moved = moved || !open;
            gone[i] = gone[i] || !open;
        }
    }
    for (size_t i = 0; i < path->n_sets; i++) {
        if (!gone[i]) {
            return true;
        }
    }
    return false;
}

bool path_read(struct http_request *request, Tocsin__OrchestrationPath *path)
{
    struct field_reader reader;
    char sentence[SENTENCE_SIZE_BYTES];
    if (!body_open(request, "orchestration_path", &reader)) {
        return false;
    }
    take_sets(&reader, path);
    take_catch_all(&reader, path);
    if (!fields_finish(&reader)) {
        return false;
    }
    struct ruleset *ruleset = ruleset_new(path, true, sentence);
    if (ruleset == NULL) {
        field_error(&reader, "%s", sentence);
    } else if (path->kind != TOCSIN__PATH_KIND__PATH_ROUTER && has_circle(path)) {
        field_error(&reader, "The sets route in a circle");
    }
    ruleset_free(ruleset);
    return fields_finish(&reader);
}
