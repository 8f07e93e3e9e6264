/* The urgency of a service's incidents, its support hours, and what happens when these begin or end: PagerDuty's
 * incident_urgency_rule, support_hours and scheduled_actions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/oncall/support_spans.h"
#include "node/api/render.h"
#include "node/api/schedules/schedules.h"
#include "node/api/services/catalog.h"

#define TIME_CHARACTERS_MAX 40u

/* ---------------------------------------------------------------- rendering */

static json_t *constant_urgency(Tocsin__Urgency urgency)
{
    return json_pack("{s:s, s:o}", "type", "constant", "urgency", json_word(words_service_urgency, (int)urgency));
}

static json_t *json_time_of_day(uint32_t second)
{
    return json_format("%02u:%02u:%02u", second / 3600, second / 60 % 60, second % 60);
}

static json_t *render_support_hours(const Tocsin__SupportHours *hours)
{
    json_t *days = json_array();

    if (hours == NULL) {
        json_decref(days);
        return json_null();
    }
    for (size_t i = 0; i < hours->n_days_of_week; i++) {
        json_array_append_new(days, json_integer(hours->days_of_week[i]));
    }
    return json_pack("{s:s, s:s, s:o, s:o, s:o}", "type", "fixed_time_per_day", "time_zone", hours->time_zone,
                     "start_time", json_time_of_day(hours->start_second), "end_time",
                     json_time_of_day(hours->end_second), "days_of_week", days);
}

static json_t *render_scheduled_actions(const Tocsin__Service *service)
{
    json_t *actions = json_array();

    for (size_t i = 0; i < service->n_urgency_changes; i++) {
        json_array_append_new(
            actions, json_pack("{s:s, s:{s:s, s:s}, s:s}", "type", "urgency_change", "at", "type", "named_time", "name",
                               service->urgency_changes[i]->at_end ? "support_hours_end" : "support_hours_start",
                               "to_urgency", "high"));
    }
    return actions;
}

void render_urgency_rule(json_t *object, const Tocsin__Service *service)
{
    json_t *rule = service->urgency_by_support_hours
                       ? json_pack("{s:s, s:o, s:o}", "type", "use_support_hours", "during_support_hours",
                                   constant_urgency(service->urgency_during), "outside_support_hours",
                                   constant_urgency(service->urgency_outside))
                       : constant_urgency(service->urgency);

    json_object_set_new(object, "incident_urgency_rule", rule);
    json_object_set_new(object, "support_hours", render_support_hours(service->support_hours));
    json_object_set_new(object, "scheduled_actions", render_scheduled_actions(service));
}

/* ---------------------------------------------------------------- the rule */

/* {"type": "constant", "urgency": ...} under this name of the rule. */
static void take_constant(struct field_reader *rule, const char *name, Tocsin__Urgency *slot)
{
    static const struct word words_type[] = {{1, "constant"}, {0, NULL}};
    json_t *object = NULL;
    int type = 0, urgency = 0;
    bool present = false;

    if (!field_object(rule, name, &object)) {
        return;
    }
    if (object == NULL) {
        field_error(rule, "'%s%s' can't be blank", rule->prefix, name);
        return;
    }
    char prefix[96];
    (void)snprintf(prefix, sizeof prefix, "%s%s.", rule->prefix, name);
    struct field_reader reader = {rule->request, object, prefix, rule->errors};
    if (field_word(&reader, "type", words_type, &type, NULL) &&
        field_word(&reader, "urgency", words_service_urgency, &urgency, &present)) {
        if (present) {
            *slot = (Tocsin__Urgency)urgency;
        } else {
            field_error(&reader, "'%surgency' can't be blank", prefix);
        }
    }
    rule->errors = reader.errors;
}

static void take_rule(const struct field_target *target, Tocsin__Service *service)
{
    enum { CONSTANT, USE_SUPPORT_HOURS };
    static const struct word words_type[] = {
        {CONSTANT, "constant"}, {USE_SUPPORT_HOURS, "use_support_hours"}, {0, NULL}};
    json_t *object = NULL;
    int type = CONSTANT, urgency = 0;
    bool present = false;

    if (!field_object(target->reader, "incident_urgency_rule", &object) || object == NULL) {
        return;
    }
    struct field_reader rule = {target->reader->request, object, "incident_urgency_rule.", target->reader->errors};
    if (field_word(&rule, "type", words_type, &type, NULL)) {
        service->urgency_by_support_hours = type == USE_SUPPORT_HOURS;
        target_mark(target, "urgency_by_support_hours");
        if (type == USE_SUPPORT_HOURS) {
            take_constant(&rule, "during_support_hours", &service->urgency_during);
            take_constant(&rule, "outside_support_hours", &service->urgency_outside);
            target_mark(target, "urgency_during");
            target_mark(target, "urgency_outside");
        } else if (field_word(&rule, "urgency", words_service_urgency, &urgency, &present)) {
            if (present) {
                service->urgency = (Tocsin__Urgency)urgency;
                target_mark(target, "urgency");
            } else {
                field_error(&rule, "'incident_urgency_rule.urgency' can't be blank");
            }
        }
    }
    target->reader->errors = rule.errors;
}

/* ---------------------------------------------------------------- support hours */

/* "09:00:00"; of a whole time the day is ignored, as PagerDuty says. */
static void take_time_of_day(struct field_reader *hours, const char *name, uint32_t *second)
{
    const char *text = "";
    bool present = false;

    if (!field_string(hours, name, TIME_CHARACTERS_MAX, &text, &present)) {
        return;
    }
    const char *time = strchr(text, 'T') != NULL ? strchr(text, 'T') + 1 : text;
    char digits[9];
    (void)snprintf(digits, sizeof digits, "%s", time); /* without fraction and offset */
    if (!time_of_day_parse(digits, second)) {
        field_error(hours, "'%s%s' must be a time of day like 09:00:00", hours->prefix, name);
    }
}

static void take_days(struct field_reader *hours, Tocsin__SupportHours *record)
{
    json_t *array = NULL, *element;
    size_t i;

    if (!field_array(hours, "days_of_week", 7, &array)) {
        return;
    }
    record->days_of_week = http_alloc(hours->request, 7 * sizeof *record->days_of_week);
    json_array_foreach (array, i, element) {
        json_int_t day = json_integer_value(element); /* 0 for what is no integer */
        if (day < 1 || day > 7) {
            field_error(hours, "'%sdays_of_week[%zu]' must be from 1 to 7", hours->prefix, i);
            return;
        }
        record->days_of_week[record->n_days_of_week++] = (uint32_t)day;
    }
    if (record->n_days_of_week == 0) {
        field_error(hours, "'%sdays_of_week' must have at least one day", hours->prefix);
    }
}

/* Their spans, from a day ago on. */
static void put_spans(const struct field_target *target, Tocsin__ServicePut *put, const Tocsin__SupportHours *hours)
{
    struct zone *zone = zones_load(hours->time_zone);

    if (zone == NULL) {
        field_error(target->reader, "'support_hours.time_zone' must be a time zone like Europe/Berlin");
        return;
    }
    uint64_t now_ms = api_cluster_ms(target->reader->request), since_ms = now_ms - now_ms % 1000 - SCHEDULE_RENDER_BEFORE_MS;
    struct span rows = support_spans(hours, zone, since_ms, now_ms + SUPPORT_HORIZON_MS);
    put->support_spans.len = rows.size_bytes;
    put->support_spans.data = http_alloc(target->reader->request, rows.size_bytes);
    memcpy(put->support_spans.data, rows.data, rows.size_bytes);
    free((void *)(uintptr_t)rows.data);
    zone_free(zone);
}

static void take_support_hours(const struct field_target *target, Tocsin__ServicePut *put)
{
    static const struct word words_type[] = {{1, "fixed_time_per_day"}, {0, NULL}};
    struct http_request *request = target->reader->request;
    json_t *object = NULL;
    int type = 0;

    if (!field_object(target->reader, "support_hours", &object)) {
        return;
    }
    if (object == NULL) {
        if (field_null(target->reader, "support_hours")) {
            target_mark(target, "support_hours");
        }
        return;
    }
    struct field_reader reader = {request, object, "support_hours.", target->reader->errors};
    Tocsin__SupportHours *hours = http_alloc(request, sizeof *hours);
    const char *zone = "";
    tocsin__support_hours__init(hours);
    (void)field_word(&reader, "type", words_type, &type, NULL);
    (void)field_string(&reader, "time_zone", ZONE_NAME_CHARACTERS_MAX, &zone, NULL);
    hours->time_zone = http_strdup(request, zone);
    take_time_of_day(&reader, "start_time", &hours->start_second);
    take_time_of_day(&reader, "end_time", &hours->end_second);
    take_days(&reader, hours);
    target->reader->errors = reader.errors;
    put->service->support_hours = hours;
    target_mark(target, "support_hours");
    if (target->reader->errors == NULL) {
        put_spans(target, put, hours);
    }
}

/* ---------------------------------------------------------------- scheduled actions */

static void take_action(struct field_reader *reader, Tocsin__Service *service)
{
    static const struct word words_type[] = {{1, "urgency_change"}, {0, NULL}};
    static const struct word words_at_type[] = {{1, "named_time"}, {0, NULL}};
    static const struct word words_at[] = {{0, "support_hours_start"}, {1, "support_hours_end"}, {0, NULL}};
    static const struct word words_to[] = {{1, "high"}, {0, NULL}};
    json_t *at = NULL;
    int value = 0, name = 0;
    bool present = false;

    (void)field_word(reader, "type", words_type, &value, NULL);
    (void)field_word(reader, "to_urgency", words_to, &value, NULL);
    if (!field_object(reader, "at", &at) || at == NULL) {
        field_error(reader, "'%sat' can't be blank", reader->prefix);
        return;
    }
    struct field_reader inner = {reader->request, at, "scheduled_actions.at.", reader->errors};
    (void)field_word(&inner, "type", words_at_type, &value, NULL);
    if (field_word(&inner, "name", words_at, &name, &present) && !present) {
        field_error(&inner, "'scheduled_actions.at.name' can't be blank");
    }
    reader->errors = inner.errors;
    Tocsin__UrgencyChange *change = http_alloc(reader->request, sizeof *change);
    tocsin__urgency_change__init(change);
    change->at_end = name == 1;
    service->urgency_changes[service->n_urgency_changes++] = change;
}

/* Terraform may send a list of one null. */
static void take_actions(const struct field_target *target, Tocsin__Service *service)
{
    json_t *array = NULL, *element;
    size_t i;

    if (!field_array(target->reader, "scheduled_actions", LIMIT_URGENCY_CHANGES_PER_SERVICE, &array)) {
        return;
    }
    if (array == NULL && !field_null(target->reader, "scheduled_actions")) {
        return;
    }
    service->urgency_changes =
        http_alloc(target->reader->request, (json_array_size(array) + 1) * sizeof *service->urgency_changes);
    json_array_foreach (array, i, element) {
        struct field_reader reader = {target->reader->request, element, "scheduled_actions.", target->reader->errors};
        if (!json_is_null(element)) {
            take_action(&reader, service);
        }
        target->reader->errors = reader.errors;
    }
    target_mark(target, "urgency_changes");
}

/* ---------------------------------------------------------------- all of it */

void take_urgency(const struct field_target *target, Tocsin__ServicePut *put)
{
    take_rule(target, put->service);
    take_support_hours(target, put);
    take_actions(target, put->service);
    /* A constant urgency without a word about support hours ends them, as it does for PagerDuty's clients, which leave
     * them out then. */
    bool constant = (*target->fields & field_bit(target->descriptor, "urgency")) != 0;
    if (constant && json_object_get(target->reader->object, "support_hours") == NULL) {
        put->service->n_urgency_changes = 0;
        target_mark(target, "support_hours");
        target_mark(target, "urgency_changes");
    }
}
