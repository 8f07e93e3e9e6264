/* Escalation policies: who is told first, and who next when nobody acknowledges. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/people/people.h"
#include "node/api/render.h"
#include "node/api/roles.h"
#include "node/api/services/catalog.h"
#include "node/api/teams/teams.h"

/* ---------------------------------------------------------------- rendering */

/* In the order in which they were given. */
static json_t *render_targets(struct http_request *request, const struct machine_store *view,
                              const Tocsin__EscalationLevel *level)
{
    bool whole = query_has(request, "include", "targets");
    json_t *targets = json_array();

    size_t users = 0, schedules = 0;
    while (users < level->n_user_ids || schedules < level->n_schedule_ids) {
        size_t place = schedules < level->n_schedule_places ? level->schedule_places[schedules] : SIZE_MAX;
        if (schedules < level->n_schedule_ids && (users == level->n_user_ids || place <= users + schedules)) {
            json_array_append_new(targets, reference_schedule(request, view, level->schedule_ids[schedules++]));
            continue;
        }
        uint64_t user_id = level->user_ids[users++];
        const Tocsin__User *user = whole ? user_get(view, user_id, request_memory(request)) : NULL;
        json_array_append_new(targets, user != NULL ? render_user(request, view, user)
                                                    : reference_user(request, view, user_id));
    }
    return targets;
}

static json_t *render_levels(struct http_request *request, const struct machine_store *view,
                             const Tocsin__EscalationPolicy *policy)
{
    bool strategies = query_has(request, "include", "escalation_rule_assignment_strategies");
    json_t *rules = json_array();

    for (size_t i = 0; i < policy->n_levels; i++) {
        const Tocsin__EscalationLevel *level = policy->levels[i];
        json_t *rule = json_pack("{s:o, s:I, s:o}", "id", json_id(level->id), "escalation_delay_in_minutes",
                                 (json_int_t)level->delay_minutes, "targets", render_targets(request, view, level));
        if (strategies) {
            json_object_set_new(rule, "escalation_rule_assignment_strategy",
                                json_pack("{s:s}", "type", level->round_robin ? "round_robin" : "assign_to_everyone"));
        }
        json_array_append_new(rules, rule);
    }
    return rules;
}

json_t *render_escalation_policy(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__EscalationPolicy *policy = record;
    char id[16];

    id_format(policy->id, id);
    json_t *object =
        render_head(policy->id, "escalation_policy", policy->name, render_self(request, "/escalation_policies/%s", id));
    json_object_set_new(object, "name", json_string(policy->name));
    json_object_set_new(object, "description", json_text(policy->description));
    json_object_set_new(object, "num_loops", json_integer(policy->num_loops));
    json_object_set_new(object, "on_call_handoff_notifications",
                        json_string(policy->on_call_handoff_always ? "always" : "if_has_services"));
    json_object_set_new(object, "escalate_low_urgency", json_boolean(policy->escalate_low_urgency)); /* ours */
    json_object_set_new(object, "escalation_rules", render_levels(request, view, policy));
    json_object_set_new(object, "services", json_array());
    json_object_set_new(object, "teams", render_team_of(request, view, policy->team_id));
    json_object_set_new(object, "privilege", json_null());
    return object;
}

/* Which services use the policies: no index says so, hence one walk for all policies of an answer. */
static void complete_services(struct http_request *request, const struct machine_store *view, json_t *policies)
{
    struct walk walk = walk_all(view, TABLE_SERVICE);

    while (json_array_size(policies) > 0 && walk_next(&walk)) {
        Tocsin__Service *service = record_unpack(&tocsin__service__descriptor, walk.value, NULL);
        char id[16];
        size_t i;
        json_t *policy;

        id_format(service->escalation_policy_id, id);
        json_array_foreach(policies, i, policy)
        {
            if (strcmp(json_string_value(json_object_get(policy, "id")), id) == 0) {
                json_array_append_new(json_object_get(policy, "services"),
                                      reference_service(request, view, service->id));
            }
        }
        tocsin__service__free_unpacked(service, NULL);
    }
}

static bool targets_include(const Tocsin__EscalationPolicy *policy, struct http_request *request)
{
    if (!query_given(request, "user_ids")) {
        return true;
    }
    for (size_t i = 0; i < policy->n_levels; i++) {
        for (size_t j = 0; j < policy->levels[i]->n_user_ids; j++) {
            if (query_admits_id(request, "user_ids", policy->levels[i]->user_ids[j])) {
                return true;
            }
        }
    }
    return false;
}

/* `query` is searched for in the name; user_ids[] are targets. */
static bool policy_matches(struct http_request *request, const void *record)
{
    const Tocsin__EscalationPolicy *policy = record;
    const char *query = http_query(request, "query");

    return (query == NULL || strcasestr(policy->name, query) != NULL) &&
           query_admits_teams(request, &policy->team_id, 1) && targets_include(policy, request);
}

static const struct resource resource_escalation_policy = {
    .name = "escalation_policy",
    .plural = "escalation_policies",
    .table = TABLE_ESCALATION_POLICY,
    .descriptor = &tocsin__escalation_policy__descriptor,
    .matches = policy_matches,
    .render = render_escalation_policy,
    .complete = complete_services,
};

/* ---------------------------------------------------------------- the command */

/* A reader for an element of an array, which names its place: "escalation_rules[0]." */
static struct field_reader reader_of_element(const struct field_reader *outer, json_t *element, const char *name,
                                             size_t i)
{
    char prefix[128];
    int length = snprintf(prefix, sizeof prefix, "%s%s[%zu].", outer->prefix, name, i);

    assert(length > 0 && (size_t)length < sizeof prefix);
    struct field_reader reader = {outer->request, element, http_strdup(outer->request, prefix), outer->errors};
    if (!json_is_object(element)) {
        field_error(&reader, "'%s%s[%zu]' must be an object", outer->prefix, name, i);
    }
    return reader;
}

enum { TARGET_USER, TARGET_SCHEDULE };

static uint64_t take_target(struct field_reader *target, int *type)
{
    static const struct word words_target[] = {
        {TARGET_USER, "user"},
        {TARGET_USER, "user_reference"},
        {TARGET_SCHEDULE, "schedule"},
        {TARGET_SCHEDULE, "schedule_reference"},
        {0, NULL},
    };
    const char *text = NULL;

    if (!field_word(target, "type", words_target, type, NULL)) {
        return 0;
    }
    uint64_t id = field_string(target, "id", 16, &text, NULL) && text != NULL ? id_parse(text) : 0;
    if (id == 0) {
        field_error(target, "'%sid' must be the id of a user or a schedule", target->prefix);
    }
    return id;
}

static void take_targets(struct field_reader *rule, Tocsin__EscalationLevel *level)
{
    json_t *targets = NULL, *element;
    size_t i;

    if (!field_array(rule, "targets", LIMIT_TARGETS_PER_LEVEL, &targets) || targets == NULL) {
        return;
    }
    size_t count_max = json_array_size(targets) + 1;
    level->user_ids = http_alloc(rule->request, count_max * sizeof *level->user_ids);
    level->schedule_ids = http_alloc(rule->request, count_max * sizeof *level->schedule_ids);
    level->schedule_places = http_alloc(rule->request, count_max * sizeof *level->schedule_places);
    json_array_foreach(targets, i, element)
    {
        struct field_reader target = reader_of_element(rule, element, "targets", i);
        int type = TARGET_USER;
        uint64_t id = take_target(&target, &type);
        if (type == TARGET_SCHEDULE) {
            level->schedule_ids[level->n_schedule_ids++] = id;
            level->schedule_places[level->n_schedule_places++] = (uint32_t)i;
        } else {
            level->user_ids[level->n_user_ids++] = id;
        }
        rule->errors = target.errors;
    }
}

/* PagerDuty's clients send an object, its schema says a word, its example an array of one object: any of them. */
static void take_strategy(struct field_reader *rule, protobuf_c_boolean *round_robin)
{
    static const struct word words_strategy[] = {{0, "assign_to_everyone"}, {1, "round_robin"}, {0, NULL}};
    json_t *value = json_object_get(rule->object, "escalation_rule_assignment_strategy");
    int strategy = 0;

    if (json_is_array(value)) {
        value = json_array_get(value, 0);
    }
    json_t *type = json_is_object(value) ? json_object_get(value, "type") : value;
    if (type == NULL || json_is_null(type)) {
        return;
    }
    if (!json_is_string(type) || !word_find(words_strategy, json_string_value(type), &strategy)) {
        field_error(rule, "'%sescalation_rule_assignment_strategy' must be assign_to_everyone or round_robin",
                    rule->prefix);
        return;
    }
    *round_robin = strategy == 1;
}

static Tocsin__EscalationLevel *take_level(struct field_reader *rule)
{
    Tocsin__EscalationLevel *level = http_alloc(rule->request, sizeof *level);
    int64_t delay_minutes = DEFAULT_LEVEL_DELAY_MINUTES;
    const char *id = NULL;

    tocsin__escalation_level__init(level);
    (void)field_integer(rule, "escalation_delay_in_minutes", 1, LIMIT_DELAY_MINUTES, &delay_minutes, NULL);
    level->delay_minutes = (uint32_t)delay_minutes;
    if (field_string(rule, "id", LIMIT_NAME_CHARACTERS, &id, NULL) && id != NULL) {
        level->id = id_parse(id); /* an id that is not one of ours makes a new level */
    }
    take_targets(rule, level);
    take_strategy(rule, &level->round_robin);
    return level;
}

/* A policy without levels or targets is refused by the machine, which knows what an update leaves. */
static void take_levels(const struct field_target *target, Tocsin__EscalationPolicy *policy)
{
    json_t *rules = NULL, *element;
    size_t i;

    if (!field_array(target->reader, "escalation_rules", LIMIT_LEVELS_PER_POLICY, &rules)) {
        return;
    }
    if (rules == NULL) {
        if (field_null(target->reader, "escalation_rules")) {
            target_mark(target, "levels");
        }
        return;
    }
    policy->levels = http_alloc(target->reader->request, (json_array_size(rules) + 1) * sizeof *policy->levels);
    json_array_foreach(rules, i, element)
    {
        struct field_reader rule = reader_of_element(target->reader, element, "escalation_rules", i);
        policy->levels[policy->n_levels++] = take_level(&rule);
        target->reader->errors = rule.errors;
    }
    target_mark(target, "levels");
}

static void take_handoff(const struct field_target *target, protobuf_c_boolean *slot)
{
    static const struct word words_handoff[] = {{0, "if_has_services"}, {1, "always"}, {0, NULL}};
    int value = 0;
    bool present = false;

    if (field_word(target->reader, "on_call_handoff_notifications", words_handoff, &value, &present) && present) {
        *slot = value == 1;
        target_mark(target, "on_call_handoff_always");
    }
}

static void take_low_urgency(const struct field_target *target, protobuf_c_boolean *slot)
{
    bool value = false, present = false;

    if (field_boolean(target->reader, "escalate_low_urgency", &value, &present) && present) {
        *slot = value;
        target_mark(target, "escalate_low_urgency");
    }
}

static void take_loops(const struct field_target *target, uint32_t *slot)
{
    int64_t num_loops = 0;
    bool present = false;

    if (field_integer(target->reader, "num_loops", 0, LIMIT_LOOPS_PER_POLICY, &num_loops, &present) && present) {
        *slot = (uint32_t)num_loops;
        target_mark(target, "num_loops");
    }
}

/* PagerDuty's policies have one team at most, in an array. */
static void take_team(const struct field_target *target, uint64_t *slot)
{
    uint64_t *ids = NULL;
    size_t count = 0;

    if (take_teams(target->reader, 1, &ids, &count)) {
        *slot = count > 0 ? ids[0] : 0;
        target_mark(target, "team_id");
    }
}

static bool policy_command(struct http_request *request, uint64_t id)
{
    struct field_reader reader;

    if (!body_open(request, "escalation_policy", &reader)) {
        return false;
    }
    Tocsin__EscalationPolicyPut *put =
        api_command(request, TOCSIN__COMMAND__BODY_ESCALATION_POLICY_PUT)->escalation_policy_put;
    Tocsin__EscalationPolicy *policy = http_alloc(request, sizeof *policy);
    tocsin__escalation_policy__init(policy);
    put->id = id;
    put->escalation_policy = policy;
    policy->num_loops = DEFAULT_NUM_LOOPS; /* PagerDuty's is 0: here a page that nobody answers is repeated */
    struct field_target target = {&reader, &tocsin__escalation_policy__descriptor, &put->fields};

    target_name(&target, "name", LIMIT_NAME_CHARACTERS, "name", id == 0, &policy->name);
    target_text(&target, "description", LIMIT_DESCRIPTION_CHARACTERS, "description", &policy->description);
    take_loops(&target, &policy->num_loops);
    take_levels(&target, policy);
    take_handoff(&target, &policy->on_call_handoff_always);
    take_low_urgency(&target, &policy->escalate_low_urgency);
    take_team(&target, &policy->team_id);
    return fields_finish(&reader);
}

/* ---------------------------------------------------------------- handlers */

void escalation_policies_list(struct http_request *request)
{
    resource_list(request, &resource_escalation_policy);
}

void escalation_policy_read(struct http_request *request)
{
    uint64_t id;

    if (path_id(request, 0, &id)) {
        resource_get(request, &resource_escalation_policy, 0, id);
    }
}

void escalation_policy_create(struct http_request *request)
{
    if (role_require(request, PERMISSION_CONFIGURE) && policy_command(request, 0)) {
        resource_save(request, &resource_escalation_policy, 0, 201);
    }
}

void escalation_policy_update(struct http_request *request)
{
    uint64_t id;

    if (role_require(request, PERMISSION_CONFIGURE) && path_id(request, 0, &id) && policy_command(request, id)) {
        resource_save(request, &resource_escalation_policy, 0, 200);
    }
}

void escalation_policy_remove(struct http_request *request)
{
    uint64_t id;

    if (role_require(request, PERMISSION_CONFIGURE) && path_id(request, 0, &id)) {
        api_command(request, TOCSIN__COMMAND__BODY_ESCALATION_POLICY_DELETE)->escalation_policy_delete->id = id;
        resource_delete(request);
    }
}
