/* From the record of a path to rules that can be asked, with all that can be wrong with them. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/orchestration/ruleset_internal.h"

struct maker {
    struct ruleset *ruleset;
    bool strict, failed;
    char *sentence;
    const char *place; /* "sets[0].rules[1]" */
};

static void *allocate(size_t count, size_t size_bytes)
{
    void *memory = calloc(count + 1, size_bytes);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static __attribute__((format(printf, 2, 3))) void wrong(struct maker *maker, const char *format, ...)
{
    char reason[SENTENCE_SIZE_BYTES - 60];
    va_list list;
    if (maker->strict && !maker->failed) {
        va_start(list, format);
        (void)vsnprintf(reason, sizeof reason, format, list);
        va_end(list);
        (void)snprintf(maker->sentence, SENTENCE_SIZE_BYTES, "%.56s: %s", maker->place, reason);
        maker->failed = true;
    }
}

/* ---------------------------------------------------------------- parts of actions */

static struct field_path *make_path(struct maker *maker, const char *what, const char *text)
{
    char sentence[SENTENCE_SIZE_BYTES];
    const char *end;
    struct field_path *path = field_path_parse(text, &end, sentence);
    if (path == NULL) {
        wrong(maker, "%s is no path: %.120s", what, sentence);
    } else if (*end != '\0') {
        wrong(maker, "%s is no path: it ends at byte %zu", what, (size_t)(end - text) + 1);
        field_path_free(path);
        path = NULL;
    }
    return path;
}

static struct pattern *make_pattern(struct maker *maker, const char *what, const char *text)
{
    char error[PATTERN_ERROR_SIZE_BYTES];
    struct pattern *pattern = NULL;
    if (strlen(text) > LIMIT_PATTERN_SIZE_BYTES) {
        wrong(maker, "%s is longer than %u bytes", what, LIMIT_PATTERN_SIZE_BYTES);
        return NULL;
    }
    pattern = pattern_compile(text, false, error);
    if (pattern == NULL) {
        wrong(maker, "%s is no regular expression: %s", what, error);
    } else {
        maker->ruleset->instructions += pattern_instructions(pattern);
    }
    return pattern;
}

static struct looked make_looked(struct maker *maker, const char *source, const char *pattern, const char *what)
{
    struct looked looked = {make_path(maker, "the source", source), make_pattern(maker, what, pattern)};
    return looked;
}

/* Fields that rules may set. */
static bool is_target(const struct field_path *path)
{
    static const char *const fields[] = {"summary", "source", "severity", "component", "group", "class", "dedup_key"};
    const char *root = path->elements[0].name, *field = path->count > 1 ? path->elements[1].name : NULL;
    if (field == NULL || strcmp(root, "event") != 0) {
        return false;
    }
    if (strcmp(field, "custom_details") == 0) {
        return path->count > 2;
    }
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (strcmp(fields[i], field) == 0) {
            return path->count == 2;
        }
    }
    return false;
}

static struct extraction make_extraction(struct maker *maker, const Tocsin__RuleExtraction *said)
{
    struct extraction extraction = {.template = said->template_};
    if ((said->template_[0] == '\0') == (said->regex[0] == '\0')) {
        wrong(maker, "an extraction has either a template, or a regex and a source");
        return extraction;
    }
    if (said->regex[0] != '\0') {
        extraction.looked = make_looked(maker, said->source, said->regex, "the regex of an extraction");
    }
    extraction.target = make_path(maker, "the target", said->target);
    if (extraction.target != NULL && !is_target(extraction.target)) {
        wrong(maker, "the target of an extraction is event.summary, source, severity, component, group, class, dedup_key or "
                     "a field of event.custom_details");
        field_path_free(extraction.target);
        extraction.target = NULL;
    }
    return extraction;
}

static void check_word(struct maker *maker, const char *name, const char *word, const char *const *words)
{
    for (size_t i = 0; word[0] != '\0'; i++) {
        if (words[i] == NULL) {
            wrong(maker, "'%s' cannot be %.60s", name, word);
            return;
        }
        if (strcmp(words[i], word) == 0) {
            return;
        }
    }
}

static void check_words(struct maker *maker, const Tocsin__RuleActions *said)
{
    static const char *const severities[] = {"info", "warning", "error", "critical", NULL};
    static const char *const event_actions[] = {"trigger", "resolve", NULL};
    static const char *const urgencies[] = {"high", "low", NULL};
    check_word(maker, "severity", said->severity, severities);
    check_word(maker, "event_action", said->event_action, event_actions);
    check_word(maker, "urgency", said->urgency, urgencies);
}

static void make_dynamic(struct maker *maker, struct actions *actions)
{
    static const char *const lookups[] = {"service_name", "service_id", NULL};
    const Tocsin__DynamicRoute *route = actions->said->dynamic_route_to;
    if (route == NULL) {
        return;
    }
    if (maker->ruleset->path->kind != TOCSIN__PATH_KIND__PATH_ROUTER) {
        wrong(maker, "only rules of a router have dynamic_route_to");
        return;
    }
    check_word(maker, "lookup_by", route->lookup_by[0] != '\0' ? route->lookup_by : "nothing", lookups);
    actions->dynamic = make_looked(maker, route->source, route->regex, "the regex of dynamic_route_to");
}

static void make_actions(struct maker *maker, struct actions *actions, const Tocsin__RuleActions *said)
{
    actions->said = said;
    if (said == NULL) {
        return;
    }
    check_words(maker, said);
    actions->variables = allocate(said->n_variables, sizeof *actions->variables);
    for (size_t i = 0; i < said->n_variables; i++) {
        const Tocsin__RuleVariable *variable = said->variables[i];
        if (variable->name[0] == '\0' || strcmp(variable->type, "regex") != 0) {
            wrong(maker, "a variable has a name and the type regex");
        }
        actions->variables[i] = make_looked(maker, variable->path, variable->value, "the value of a variable");
    }
    actions->extractions = allocate(said->n_extractions, sizeof *actions->extractions);
    for (size_t i = 0; i < said->n_extractions; i++) {
        actions->extractions[i] = make_extraction(maker, said->extractions[i]);
    }
    make_dynamic(maker, actions);
}

/* ---------------------------------------------------------------- rules and sets */

static void make_rule(struct maker *maker, struct rule *rule, const Tocsin__OrchestrationRule *said)
{
    char sentence[SENTENCE_SIZE_BYTES];
    rule->said = said;
    rule->conditions = allocate(said->n_conditions, sizeof *rule->conditions);
    for (size_t i = 0; i < said->n_conditions; i++) {
        rule->conditions[i] = condition_parse(said->conditions[i], &maker->ruleset->paths, sentence);
        if (rule->conditions[i] == NULL) {
            wrong(maker, "conditions[%zu]: %.170s", i, sentence);
        } else {
            maker->ruleset->instructions += condition_instructions(rule->conditions[i]);
        }
    }
    make_actions(maker, &rule->actions, said->actions);
    if (maker->ruleset->instructions > INSTRUCTIONS_PER_PATH_MAX) {
        wrong(maker, "the rules up to here have more regular expressions and schedules than fit");
    }
}

static void make_sets(struct maker *maker)
{
    struct ruleset *ruleset = maker->ruleset;
    const Tocsin__OrchestrationPath *path = ruleset->path;
    char place[64];
    maker->place = place;
    ruleset->sets = allocate(path->n_sets, sizeof *ruleset->sets);
    for (size_t i = 0; i < path->n_sets; i++) {
        const Tocsin__RuleSet *said = path->sets[i];
        struct rules *rules = &ruleset->sets[i];
        rules->id = said->id;
        rules->rules = allocate(said->n_rules, sizeof *rules->rules);
        for (size_t j = 0; j < said->n_rules && !maker->failed; j++) {
            (void)snprintf(place, sizeof place, "sets[%zu].rules[%zu]", i, j);
            make_rule(maker, &rules->rules[rules->count++], said->rules[j]);
        }
    }
    (void)snprintf(place, sizeof place, "catch_all");
    make_actions(maker, &ruleset->catch_all, path->catch_all);
}

struct ruleset *ruleset_new(const Tocsin__OrchestrationPath *path, bool strict, char sentence[SENTENCE_SIZE_BYTES])
{
    struct ruleset *ruleset = allocate(1, sizeof *ruleset);
    struct maker maker = {.ruleset = ruleset, .strict = strict, .sentence = sentence};
    ruleset->path = path;
    make_sets(&maker);
    if (maker.failed) {
        ruleset_free(ruleset);
        return NULL;
    }
    return ruleset;
}

static void looked_free(struct looked *looked)
{
    field_path_free(looked->source);
    pattern_free(looked->pattern);
}

static void actions_free(struct actions *actions)
{
    for (size_t i = 0; actions->variables != NULL && i < actions->said->n_variables; i++) {
        looked_free(&actions->variables[i]);
    }
    for (size_t i = 0; actions->extractions != NULL && i < actions->said->n_extractions; i++) {
        looked_free(&actions->extractions[i].looked);
        field_path_free(actions->extractions[i].target);
    }
    looked_free(&actions->dynamic);
    free(actions->variables);
    free(actions->extractions);
}

static void rule_free(struct rule *rule)
{
    for (size_t i = 0; i < rule->said->n_conditions; i++) {
        condition_free(rule->conditions[i]);
    }
    free(rule->conditions);
    actions_free(&rule->actions);
}

void ruleset_free(struct ruleset *ruleset)
{
    if (ruleset == NULL) {
        return;
    }
    for (size_t i = 0; i < ruleset->path->n_sets; i++) {
        for (size_t j = 0; j < ruleset->sets[i].count; j++) {
            rule_free(&ruleset->sets[i].rules[j]);
        }
        free(ruleset->sets[i].rules);
    }
    actions_free(&ruleset->catch_all);
    free(ruleset->sets);
    path_table_free(&ruleset->paths);
    free(ruleset);
}
