/*
 * Which alerts of a service are one trouble.
 *
 * A service says by what: by time, or by what its alerts have in common. An alert is of the same kind as another when
 * what counts is equal. The last incident that took an alert of a kind takes the next one, too, as long as it is open and
 * not too much time has passed. Nobody is told again of an alert that joins, unless it is urgent and the incident was not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "tests/sim/model/model_internal.h"

/* Stands behind each kind of an alert. */
#define KIND_END '\x1e'

/* ---------------------------------------------------------------- what a service asks for */

void model_grouping_set(struct service *service, const Tocsin__AlertGrouping *asked)
{
    struct grouping *grouping = &service->grouping;
    for (size_t i = 0; i < grouping->fields_count; i++) {
        free(grouping->fields[i]);
    }
    *grouping = (struct grouping){.how = GROUPED_NOT};
    if (asked == NULL || asked->type == TOCSIN__GROUPING_TYPE__GROUPING_NONE) {
        return;
    }
    bool content = asked->type == TOCSIN__GROUPING_TYPE__GROUPING_CONTENT ||
                   asked->type == TOCSIN__GROUPING_TYPE__GROUPING_CONTENT_INTELLIGENT;
    grouping->how = content ? GROUPED_BY_CONTENT : GROUPED_BY_TIME;
    grouping->from_first = asked->type == TOCSIN__GROUPING_TYPE__GROUPING_TIME;
    grouping->minutes = asked->timeout_minutes;
    grouping->gap_s = asked->time_window_s != 0 ? asked->time_window_s : GROUPING_WINDOW_SECONDS_RECOMMENDED;
    grouping->any = asked->any;
    for (size_t i = 0; i < asked->n_fields && i < LIMIT_GROUPING_FIELDS; i++) {
        grouping->fields[grouping->fields_count++] = model_copy(asked->fields[i]);
    }
}

/* ---------------------------------------------------------------- of what kind an alert is */

static const char *value_of(const Tocsin__Event *event, const char *field)
{
    static const char *const SEVERITIES[] = {"", "info", "warning", "error", "critical"};
    const struct {
        const char *field, *value;
    } VALUES[] = {{"summary", event->summary},     {"source", event->source}, {"severity", SEVERITIES[event->severity]},
                  {"component", event->component}, {"group", event->group},   {"class", event->class_name}};
    for (size_t i = 0; i < sizeof VALUES / sizeof VALUES[0]; i++) {
        if (strcmp(VALUES[i].field, field) == 0) {
            return VALUES[i].value;
        }
    }
    return ""; /* of details nothing is known here */
}

/* All fields together, which then must all be there; or each of them that is there, for itself. */
static char *kinds_of_content(const struct grouping *grouping, const Tocsin__Event *event)
{
    char *kinds;
    size_t size;
    FILE *out = open_memstream(&kinds, &size);
    bool whole = true;
    for (size_t i = 0; i < grouping->fields_count; i++) {
        const char *value = value_of(event, grouping->fields[i]);
        whole = whole && value[0] != '\0';
        if (value[0] != '\0') {
            (void)fprintf(out, "%s is %s%c", grouping->fields[i], value, grouping->any ? KIND_END : ';');
        }
    }
    if (!grouping->any) {
        (void)fputc(KIND_END, out);
    }
    (void)fclose(out);
    if (!whole && !grouping->any) {
        kinds[0] = '\0';
    }
    return kinds;
}

char *model_grouping_kinds(const struct service *service, const Tocsin__Event *event)
{
    static const char OF_TIME[] = {'a', 'n', 'y', KIND_END, '\0'};
    if (service->grouping.how == GROUPED_NOT) {
        return model_copy("");
    }
    return service->grouping.how == GROUPED_BY_TIME ? model_copy(OF_TIME) : kinds_of_content(&service->grouping, event);
}

/* ---------------------------------------------------------------- where the last one went */

static struct group *group_find(const struct model *model, uint64_t service_id, const char *kind, size_t size)
{
    for (size_t i = 0; i < model->groups.count; i++) {
        struct group *group = &model->groups.items[i];
        if (group->service_id == service_id && strlen(group->kind) == size && memcmp(group->kind, kind, size) == 0) {
            return group;
        }
    }
    return NULL;
}

static bool is_in_time(const struct model *model, const struct grouping *grouping, const struct incident *incident)
{
    uint64_t age_ms = model->now_ms - incident->group_first_ms, gap_ms = model->now_ms - incident->group_last_ms;
    if (grouping->from_first) {
        return grouping->minutes == 0 || age_ms <= model_minutes_ms(model, grouping->minutes);
    }
    return gap_ms <= (uint64_t)grouping->gap_s * model->minute_ms / 60 &&
           age_ms <= (uint64_t)LIMIT_GROUPING_AGE_SECONDS * model->minute_ms / 60;
}

struct incident *model_group_of(const struct model *model, const struct service *service, const char *kinds)
{
    const char *end;
    for (const char *kind = kinds; (end = strchr(kind, KIND_END)) != NULL; kind = end + 1) {
        const struct group *group = group_find(model, service->id, kind, (size_t)(end - kind));
        struct incident *incident = group != NULL ? model_incident_find(model, group->number) : NULL;
        if (service->grouping.how != GROUPED_NOT && incident != NULL && incident->status != RESOLVED &&
            is_in_time(model, &service->grouping, incident) && incident->alerts.count < LIMIT_ALERTS_PER_INCIDENT) {
            return incident;
        }
    }
    return NULL;
}

void model_group_take(struct model *model, struct incident *incident, const char *kinds)
{
    const char *end;
    for (const char *kind = kinds; (end = strchr(kind, KIND_END)) != NULL; kind = end + 1) {
        struct group *group = group_find(model, incident->service_id, kind, (size_t)(end - kind));
        if (group == NULL) {
            group = list_add(&model->groups);
            group->service_id = incident->service_id;
            group->kind = strndup(kind, (size_t)(end - kind));
            if (group->kind == NULL) {
                abort();
            }
        }
        group->number = incident->number;
        incident->group_first_ms = incident->group_first_ms != 0 ? incident->group_first_ms : model->now_ms;
        incident->group_last_ms = model->now_ms;
    }
}

void model_groups_forget(struct model *model)
{
    for (size_t i = 0; i < model->groups.count; i++) {
        free(model->groups.items[i].kind);
    }
    free(model->groups.items);
}
