/* Notification rules: when a person is told, and on which contact method. */
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/people/people.h"
#include "node/api/render.h"
#include "node/api/roles.h"

json_t *render_notification_rule(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__NotificationRule *rule = record;
    const Tocsin__ContactMethod *method =
        contact_method_get(view, rule->user_id, rule->contact_method_id, request_memory(request));
    json_t *object = reference_notification_rule(request, view, rule);

    json_object_set_new(object, "type", json_string("assignment_notification_rule"));
    json_object_set_new(object, "start_delay_in_minutes", json_integer(rule->start_delay_minutes));
    /* The method itself, whatever is included: Terraform expects the type that it wrote, without "_reference". */
    json_object_set_new(object, "contact_method",
                        method != NULL ? render_contact_method(request, view, method) : json_null());
    json_object_set_new(object, "urgency", json_word(words_urgency, (int)rule->urgency));
    return object;
}

/* urgency=high, low or all. */
static bool rule_matches(struct http_request *request, const void *record)
{
    const Tocsin__NotificationRule *rule = record;
    const char *urgency = http_query(request, "urgency");
    int value;

    return urgency == NULL || !word_find(words_urgency, urgency, &value) || value == (int)rule->urgency;
}

static const struct resource resource_notification_rule = {
    .name = "notification_rule",
    .plural = "notification_rules",
    .table = TABLE_NOTIFICATION_RULE,
    .descriptor = &tocsin__notification_rule__descriptor,
    .matches = rule_matches,
    .render = render_notification_rule,
};

/* ---------------------------------------------------------------- the command */

static void take_delay(const struct field_target *target, bool required, Tocsin__NotificationRule *rule)
{
    int64_t minutes = 0;
    bool present = false;

    if (!field_integer(target->reader, "start_delay_in_minutes", 0, LIMIT_DELAY_MINUTES, &minutes, &present)) {
        return;
    }
    if (present) {
        rule->start_delay_minutes = (uint32_t)minutes;
        target_mark(target, "start_delay_minutes");
    } else if (required) {
        field_error(target->reader, "Start delay in minutes can't be blank");
    }
}

static void take_contact_method(const struct field_target *target, bool required, Tocsin__NotificationRule *rule)
{
    bool present = false;

    if (!field_reference(target->reader, "contact_method", &rule->contact_method_id, &present)) {
        return;
    }
    if (present) {
        target_mark(target, "contact_method_id");
    } else if (required) {
        field_error(target->reader, "Contact method can't be blank");
    }
}

static void take_urgency(const struct field_target *target, bool required, Tocsin__NotificationRule *rule)
{
    int urgency = 0;
    bool present = false;

    if (!field_word(target->reader, "urgency", words_urgency, &urgency, &present)) {
        return;
    }
    if (present) {
        rule->urgency = (Tocsin__Urgency)urgency;
        target_mark(target, "urgency");
    } else if (required) {
        field_error(target->reader, "Urgency can't be blank");
    }
}

static bool rule_command(struct http_request *request, uint64_t user_id, uint64_t id)
{
    struct field_reader reader;

    if (!body_open(request, "notification_rule", &reader)) {
        return false;
    }
    Tocsin__NotificationRulePut *put =
        api_command(request, TOCSIN__COMMAND__BODY_NOTIFICATION_RULE_PUT)->notification_rule_put;
    Tocsin__NotificationRule *rule = http_alloc(request, sizeof *rule);
    tocsin__notification_rule__init(rule);
    put->id = id;
    put->notification_rule = rule;
    rule->user_id = user_id;
    struct field_target target = {&reader, &tocsin__notification_rule__descriptor, &put->fields};

    take_delay(&target, id == 0, rule);
    take_contact_method(&target, id == 0, rule);
    take_urgency(&target, id == 0, rule);
    return fields_finish(&reader);
}

/* ---------------------------------------------------------------- handlers */

void notification_rules_list(struct http_request *request)
{
    uint64_t user_id;

    if (path_id(request, 0, &user_id)) {
        resource_list_under(request, &resource_notification_rule, &resource_user, user_id);
    }
}

void notification_rule_read(struct http_request *request)
{
    uint64_t user_id, id;

    if (path_id(request, 0, &user_id) && path_id(request, 1, &id)) {
        resource_get(request, &resource_notification_rule, user_id, id);
    }
}

void notification_rule_create(struct http_request *request)
{
    uint64_t user_id;

    if (path_id(request, 0, &user_id) && role_require_own(request, user_id) && rule_command(request, user_id, 0)) {
        resource_save(request, &resource_notification_rule, user_id, 201);
    }
}

void notification_rule_update(struct http_request *request)
{
    uint64_t user_id, id;

    if (path_id(request, 0, &user_id) && path_id(request, 1, &id) && role_require_own(request, user_id) &&
        rule_command(request, user_id, id)) {
        resource_save(request, &resource_notification_rule, user_id, 200);
    }
}

void notification_rule_remove(struct http_request *request)
{
    uint64_t user_id, id;

    if (path_id(request, 0, &user_id) && path_id(request, 1, &id) && role_require_own(request, user_id)) {
        Tocsin__NotificationRuleDelete *command =
            api_command(request, TOCSIN__COMMAND__BODY_NOTIFICATION_RULE_DELETE)->notification_rule_delete;
        command->user_id = user_id;
        command->id = id;
        resource_delete(request);
    }
}
