/*
 * Alerts that fit a query, and how many they are.
 *
 *     createdAt, tinyId   walked in their order, and no further than the page reaches
 *     other orders        all that fit are found, sorted, and the page is taken out
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "consensus/machine/incidents/priorities.h"
#include "node/api/incidents/incidents.h"
#include "node/api/opsgenie/alert_query.h"
#include "node/api/opsgenie/opsgenie.h"

/* Opsgenie's: offset and limit together. */
#define WINDOW_MAX 20000u
/* Alerts that are sorted for one page. */
#define SORTED_MAX 20000u

enum order_by { BY_CREATED, BY_UPDATED, BY_MESSAGE, BY_ALIAS, BY_STATUS, BY_ACKNOWLEDGED, BY_SEEN, BY_SNOOZED, BY_SNOOZED_UNTIL, BY_PRIORITY };

static const struct {
    const char *name;
    enum order_by by;
} orders[] = {
    {"createdAt", BY_CREATED},       {"tinyId", BY_CREATED}, {"updatedAt", BY_UPDATED}, {"lastOccurredAt", BY_UPDATED},
    {"lastOccuredAt", BY_UPDATED},   {"message", BY_MESSAGE}, {"alias", BY_ALIAS},      {"status", BY_STATUS},
    {"acknowledged", BY_ACKNOWLEDGED}, {"isSeen", BY_SEEN},  {"snoozed", BY_SNOOZED},   {"snoozedUntil", BY_SNOOZED_UNTIL},
    {"priority", BY_PRIORITY},
};

/* One that fits, and what it is sorted by. */
struct found {
    uint64_t id, number;
    const char *text;
};

struct list {
    enum order_by by;
    bool ascending;
    unsigned limit, offset;
    struct found *found; /* NULL: they are counted only */
    size_t count, wanted;
    bool too_many;
};

/* ---------------------------------------------------------------- finding */

static uint64_t number_of(const Tocsin__Priorities *priorities, const Tocsin__Incident *incident, enum order_by by)
{
    switch (by) {
    case BY_UPDATED:
        return incident->updated_at_ms;
    case BY_STATUS:
        return incident->status == TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED ? 0 : 1; /* closed, open */
    case BY_ACKNOWLEDGED:
        return incident->status == TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED ? 1 : 0;
    case BY_SEEN:
        return incident->first_acknowledged_at_ms != 0 ? 1 : 0;
    case BY_SNOOZED:
        return incident->snooze_due_ms != 0 ? 1 : 0;
    case BY_SNOOZED_UNTIL:
        return incident->snooze_due_ms;
    case BY_PRIORITY:
        return alert_priority(priorities, incident);
    case BY_CREATED:
    case BY_MESSAGE:
    case BY_ALIAS:
        break;
    }
    return incident->number;
}

static void take(struct http_request *request, struct list *list, const Tocsin__Priorities *priorities,
                 const Tocsin__Incident *incident)
{
    if (list->found != NULL && list->count < list->wanted) {
        const char *text = list->by == BY_MESSAGE ? incident->title : list->by == BY_ALIAS ? incident->incident_key : "";
        list->found[list->count] = (struct found){.id = incident->id,
                                                  .number = number_of(priorities, incident, list->by),
                                                  .text = text[0] != '\0' ? http_strdup(request, text) : ""};
    }
    list->count++;
}

/* Along open ones alone where nothing else can fit: most incidents are over. */
static void collect(struct http_request *request, const struct machine_store *view, struct alert_query *query,
                    struct list *list)
{
    bool open_only = alert_query_is_open_only(query), in_order = list->by == BY_CREATED;
    const Tocsin__Priorities *priorities = priorities_read(view, request_memory(request));
    enum machine_table table = open_only ? TABLE_INCIDENT_OPEN : TABLE_INCIDENT;
    struct walk walk = in_order && list->ascending ? walk_all(view, table) : walk_all_backward(view, table);
    uint64_t service_id = api_call_of(request)->source.service_id;
    unsigned seen = 0;

    while (!(in_order && list->found != NULL && list->count == list->wanted) && walk_next(&walk)) {
        if (seen++ == SCAN_ROWS_MAX) {
            list->too_many = true;
            return;
        }
        if (open_only && service_id != 0 && span_number(walk.value, 0) != service_id) {
            continue;
        }
        Tocsin__Incident *incident = open_only ? incident_get(view, span_number(walk.key, 0), NULL)
                                               : record_unpack(&tocsin__incident__descriptor, walk.value, NULL);
        if (incident == NULL) {
            continue;
        }
        if (alert_visible(request, view, incident) && alert_query_fits(query, request, view, incident)) {
            take(request, list, priorities, incident);
        }
        tocsin__incident__free_unpacked(incident, NULL);
    }
    list->too_many = alert_query_gave_up(query) || (!in_order && list->found != NULL && list->count > list->wanted);
}

static int compare(const void *a, const void *b)
{
    const struct found *left = a, *right = b;
    int by_text = strcmp(left->text, right->text);

    if (by_text != 0) {
        return by_text;
    }
    if (left->number != right->number) {
        return left->number < right->number ? -1 : 1;
    }
    return left->id < right->id ? -1 : left->id > right->id;
}

/* ---------------------------------------------------------------- the list */

static bool refuse(struct http_request *request, const char *sentence)
{
    api_error(request, 422, 2001, sentence, NULL);
    return false;
}

static bool take_order(struct http_request *request, struct list *list)
{
    const char *sort = http_query(request, "sort"), *order = http_query(request, "order");

    list->ascending = order != NULL && strcasecmp(order, "asc") == 0;
    if (order != NULL && order[0] != '\0' && !list->ascending && strcasecmp(order, "desc") != 0) {
        return refuse(request, "The order must be asc or desc");
    }
    for (size_t i = 0; sort != NULL && sort[0] != '\0' && i < sizeof orders / sizeof *orders; i++) {
        if (strcmp(orders[i].name, sort) == 0) {
            list->by = orders[i].by;
            return true;
        }
    }
    return sort == NULL || sort[0] == '\0' ||
           refuse(request, "Alerts are sorted by createdAt, updatedAt, tinyId, alias, message, status, acknowledged, isSeen, snoozed, "
                           "snoozedUntil, lastOccurredAt or priority");
}

static bool take_window(struct http_request *request, struct list *list)
{
    const char *offset = http_query(request, "offset");
    bool given = offset != NULL && offset[0] != '\0';

    if (given && (offset[strspn(offset, "0123456789")] != '\0' || strlen(offset) > 6)) {
        return refuse(request, "The offset must be a whole number up to 20000");
    }
    list->offset = given ? (unsigned)strtoul(offset, NULL, 10) : 0;
    list->limit = opsgenie_limit(request);
    return list->offset + list->limit <= WINDOW_MAX || refuse(request, "Offset and limit together must not exceed 20000");
}

static void add_page(struct http_request *request, const struct list *list, json_t *paging, const char *name, unsigned offset)
{
    char limit_text[12], offset_text[12];
    struct http_parameter given[] = {{"offset", offset_text}, {"limit", limit_text}};

    (void)snprintf(limit_text, sizeof limit_text, "%u", list->limit);
    (void)snprintf(offset_text, sizeof offset_text, "%u", offset);
    opsgenie_page(request, paging, name, given, sizeof given / sizeof *given);
}

static void answer(struct http_request *request, const struct machine_store *view, const struct list *list)
{
    json_t *alerts = json_array(), *paging = json_object();
    size_t end = list->offset + list->limit;

    for (size_t i = list->offset; i < list->count && i < end; i++) {
        const struct found *found = &list->found[list->by == BY_CREATED || list->ascending ? i : list->count - 1 - i];
        const Tocsin__Incident *incident = incident_get(view, found->id, request_memory(request));
        json_array_append_new(alerts, render_alert_of(request, view, incident, false));
    }
    add_page(request, list, paging, "first", 0);
    if (list->offset > 0) {
        add_page(request, list, paging, "prev", list->offset > list->limit ? list->offset - list->limit : 0);
    }
    if (list->count > end) {
        add_page(request, list, paging, "next", (unsigned)end);
    }
    opsgenie_json(request, 200, json_pack("{s:o, s:o}", "data", alerts, "paging", paging));
}

static bool refuse_many(struct http_request *request, const struct list *list)
{
    return !list->too_many || refuse(request, "Too much would have to be searched: narrow it down, by status: open or the like");
}

static void on_list(struct http_request *request, const struct machine_store *view)
{
    struct list list = {.by = BY_CREATED};
    struct alert_query *query = alert_query_parse(request, view, http_query(request, "query"));

    if (query == NULL || !take_order(request, &list) || !take_window(request, &list)) {
        return;
    }
    /* One more than the page, to know whether there is one. */
    list.wanted = list.by == BY_CREATED ? list.offset + list.limit + 1 : SORTED_MAX;
    list.found = http_alloc(request, list.wanted * sizeof *list.found);
    collect(request, view, query, &list);
    if (!refuse_many(request, &list)) {
        return;
    }
    if (list.by != BY_CREATED) {
        qsort(list.found, list.count, sizeof *list.found, compare);
    }
    answer(request, view, &list);
}

void alerts_show(struct http_request *request)
{
    const char *saved = http_query(request, "searchIdentifier");

    if (saved != NULL && saved[0] != '\0') {
        (void)refuse(request, "There are no saved searches here: give the query itself");
        return;
    }
    api_read(request, on_list);
}

static void on_count(struct http_request *request, const struct machine_store *view)
{
    struct list list = {.by = BY_CREATED};
    struct alert_query *query = alert_query_parse(request, view, http_query(request, "query"));

    if (query == NULL) {
        return;
    }
    collect(request, view, query, &list);
    if (refuse_many(request, &list)) {
        opsgenie_data(request, 200, json_pack("{s:I}", "count", (json_int_t)list.count));
    }
}

void alerts_count(struct http_request *request)
{
    api_read(request, on_count);
}
