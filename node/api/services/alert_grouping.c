/* Which alerts of a service join one incident: PagerDuty's alert_grouping_parameters, and alert_grouping and
 * alert_grouping_timeout, which went before it and say a part of the same. */
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/render.h"
#include "node/api/services/catalog.h"

static const struct word words_type[] = {
    {TOCSIN__GROUPING_TYPE__GROUPING_TIME, "time"},
    {TOCSIN__GROUPING_TYPE__GROUPING_INTELLIGENT, "intelligent"},
    {TOCSIN__GROUPING_TYPE__GROUPING_CONTENT, "content_based"},
    {TOCSIN__GROUPING_TYPE__GROUPING_CONTENT_INTELLIGENT, "content_based_intelligent"},
    {0, NULL},
};

/* ---------------------------------------------------------------- rendering */

static json_t *json_texts(char *const *texts, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++) {
        json_array_append_new(array, json_string(texts[i]));
    }
    return array;
}

/* What was said; what was not is not there, but for the window that is recommended to all who have one. */
static json_t *render_config(const Tocsin__AlertGrouping *grouping)
{
    if (!grouping->has_config) {
        return json_null();
    }
    json_t *config = json_object();
    if (grouping->has_timeout) {
        json_object_set_new(config, "timeout", json_integer(grouping->timeout_minutes));
    }
    if (grouping->has_aggregate) {
        json_object_set_new(config, "aggregate", json_string(grouping->any ? "any" : "all"));
    }
    if (grouping->n_fields > 0) {
        json_object_set_new(config, "fields", json_texts(grouping->fields, grouping->n_fields));
    }
    if (grouping->n_iag_fields > 0) {
        json_object_set_new(config, "iag_fields", json_texts(grouping->iag_fields, grouping->n_iag_fields));
    }
    if (grouping->has_time_window) {
        json_object_set_new(config, "time_window", json_integer(grouping->time_window_s));
    }
    if (grouping->type != TOCSIN__GROUPING_TYPE__GROUPING_TIME) {
        json_object_set_new(config, "recommended_time_window", json_integer(GROUPING_WINDOW_SECONDS_RECOMMENDED));
    }
    return config;
}

/* The old words are there for who wrote them: Terraform's provider takes either them or the parameters for its own. */
void render_alert_grouping(json_t *object, const Tocsin__AlertGrouping *grouping)
{
    bool old_words = grouping != NULL && grouping->by_old_words;

    json_object_set_new(object, "alert_grouping",
                        old_words ? json_word(words_type, (int)grouping->type) : json_null());
    json_object_set_new(object, "alert_grouping_timeout",
                        old_words && grouping->has_timeout ? json_integer(grouping->timeout_minutes) : json_null());
    json_object_set_new(object, "alert_grouping_parameters",
                        grouping != NULL ? json_pack("{s:o, s:o}", "type",
                                                     json_word(words_type, (int)grouping->type), "config",
                                                     render_config(grouping))
                                         : json_null());
}

/* ---------------------------------------------------------------- the body */

static void take_texts(struct field_reader *config, const char *name, char ***texts, size_t *count)
{
    json_t *array = NULL, *element;
    size_t i;

    if (!field_array(config, name, LIMIT_GROUPING_FIELDS, &array) || array == NULL) {
        return;
    }
    *texts = http_alloc(config->request, (json_array_size(array) + 1) * sizeof **texts);
    json_array_foreach (array, i, element) {
        if (!json_is_string(element)) {
            field_error(config, "'%s%s[%zu]' must be a string", config->prefix, name, i);
            return;
        }
        (*texts)[(*count)++] = http_strdup(config->request, json_string_value(element));
    }
}

static void take_number(struct field_reader *config, const char *name, int64_t max, protobuf_c_boolean *given,
                        uint32_t *slot)
{
    int64_t value = 0;
    bool present = false;

    if (field_integer(config, name, 0, max, &value, &present) && present) {
        *given = true;
        *slot = (uint32_t)value;
    }
}

static void take_config(struct field_reader *parameters, Tocsin__AlertGrouping *grouping)
{
    static const struct word words_aggregate[] = {{0, "all"}, {1, "any"}, {0, NULL}};
    json_t *object = NULL;
    int aggregate = 0;
    bool present = false;

    if (!field_object(parameters, "config", &object) || object == NULL) {
        return;
    }
    struct field_reader config = {parameters->request, object, "alert_grouping_parameters.config.", parameters->errors};
    grouping->has_config = true;
    take_number(&config, "timeout", LIMIT_GROUPING_TIMEOUT_MINUTES, &grouping->has_timeout, &grouping->timeout_minutes);
    take_number(&config, "time_window", LIMIT_GROUPING_WINDOW_SECONDS, &grouping->has_time_window,
                &grouping->time_window_s);
    if (field_word(&config, "aggregate", words_aggregate, &aggregate, &present) && present) {
        grouping->has_aggregate = true;
        grouping->any = aggregate == 1;
    }
    take_texts(&config, "fields", &grouping->fields, &grouping->n_fields);
    take_texts(&config, "iag_fields", &grouping->iag_fields, &grouping->n_iag_fields);
    parameters->errors = config.errors;
}

static Tocsin__AlertGrouping *grouping_new(struct http_request *request)
{
    Tocsin__AlertGrouping *grouping = http_alloc(request, sizeof *grouping);

    tocsin__alert_grouping__init(grouping);
    return grouping;
}

/* Type null turns grouping off. A reference to settings that are kept elsewhere changes nothing, as PagerDuty says. */
static void take_parameters(const struct field_target *target, json_t *object, Tocsin__AlertGrouping **slot)
{
    struct field_reader parameters = {target->reader->request, object, "alert_grouping_parameters.",
                                      target->reader->errors};
    const char *text = json_string_value(json_object_get(object, "type"));
    int type = TOCSIN__GROUPING_TYPE__GROUPING_NONE;
    bool present = false;

    if (text != NULL && strcmp(text, "alert_grouping_setting_reference") == 0) {
        return;
    }
    if (field_word(&parameters, "type", words_type, &type, &present)) {
        if (present) {
            *slot = grouping_new(parameters.request);
            (*slot)->type = (Tocsin__GroupingType)type;
            take_config(&parameters, *slot);
        }
        target_mark(target, "alert_grouping");
    }
    target->reader->errors = parameters.errors;
}

static void take_old_words(const struct field_target *target, Tocsin__AlertGrouping **slot)
{
    static const struct word words_old[] = {{TOCSIN__GROUPING_TYPE__GROUPING_TIME, "time"},
                                            {TOCSIN__GROUPING_TYPE__GROUPING_INTELLIGENT, "intelligent"},
                                            {0, NULL}};
    Tocsin__AlertGrouping *grouping = grouping_new(target->reader->request);
    int type = TOCSIN__GROUPING_TYPE__GROUPING_NONE;
    bool present = false;

    if (!field_word(target->reader, "alert_grouping", words_old, &type, &present)) {
        return;
    }
    take_number(target->reader, "alert_grouping_timeout", LIMIT_GROUPING_TIMEOUT_MINUTES, &grouping->has_timeout,
                &grouping->timeout_minutes);
    if (present) {
        grouping->type = (Tocsin__GroupingType)type;
        grouping->by_old_words = true;
        grouping->has_timeout = grouping->has_config = type == TOCSIN__GROUPING_TYPE__GROUPING_TIME;
        *slot = grouping;
    }
    if (present || field_null(target->reader, "alert_grouping")) {
        target_mark(target, "alert_grouping");
    }
}

void take_alert_grouping(const struct field_target *target, Tocsin__AlertGrouping **slot)
{
    json_t *object = NULL;

    if (!field_object(target->reader, "alert_grouping_parameters", &object)) {
        return;
    }
    /* Terraform's provider sends parameters of type null along with the old words. */
    bool empty = object != NULL && json_is_null(json_object_get(object, "type"));
    bool old_words = json_is_string(json_object_get(target->reader->object, "alert_grouping"));
    if (object != NULL && !(empty && old_words)) {
        take_parameters(target, object, slot);
    } else if (json_object_get(target->reader->object, "alert_grouping") != NULL) {
        take_old_words(target, slot);
    } else if (field_null(target->reader, "alert_grouping_parameters")) {
        target_mark(target, "alert_grouping");
    }
}
