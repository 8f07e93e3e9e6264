/* Alerts that are read: one, many, how many; and the routes. */
#include <stdlib.h>
#include <string.h>

#include "node/api/heartbeats/heartbeats.h"
#include "node/api/incidents/incidents.h"
#include "node/api/opsgenie/opsgenie.h"

#define LISTED_MAX 100u
#define LISTED_DEFAULT 20u

void alert_answer_data(struct http_request *request, json_t *data)
{
    api_json(request, 200, opsgenie_answer(request, json_pack("{s:o}", "data", data)));
}

static void on_read(struct http_request *request, const struct machine_store *view)
{
    const Tocsin__Incident *incident = alert_find(request, view);

    if (incident == NULL) {
        api_not_found(request);
    } else {
        alert_answer_data(request, render_alert_of(request, view, incident, true));
    }
}

void alert_show(struct http_request *request)
{
    if (identifier_check(request)) {
        api_read(request, on_read);
    }
}

/* The newest first. `query` may name a status; NULL for `alerts`: they are counted only. */
static size_t collect(struct http_request *request, const struct machine_store *view, size_t limit, json_t *alerts)
{
    const char *query = http_query(request, "query");
    bool open_only = query != NULL && strstr(query, "status:open") != NULL;
    bool closed_only = query != NULL && strstr(query, "status:closed") != NULL;
    struct walk walk = walk_all_backward(view, TABLE_INCIDENT);
    size_t count = 0;

    for (unsigned seen = 0; seen < SCAN_ROWS_MAX && count < limit && walk_next(&walk); seen++) {
        Tocsin__Incident *incident = record_unpack(&tocsin__incident__descriptor, walk.value, NULL);
        if (incident == NULL) {
            continue;
        }
        bool closed = incident->status == TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED;
        if (alert_visible(request, view, incident) && !(open_only && closed) && !(closed_only && !closed)) {
            count++;
            if (alerts != NULL) {
                json_array_append_new(alerts, render_alert_of(request, view, incident, false));
            }
        }
        tocsin__incident__free_unpacked(incident, NULL);
    }
    return count;
}

static void on_list(struct http_request *request, const struct machine_store *view)
{
    const char *given = http_query(request, "limit");
    unsigned limit = LISTED_DEFAULT;
    json_t *alerts = json_array();

    if (given != NULL && given[0] != '\0' && given[strspn(given, "0123456789")] == '\0') {
        unsigned long asked = strtoul(given, NULL, 10); /* the largest when it does not fit */
        limit = asked < LISTED_MAX ? (unsigned)asked : LISTED_MAX;
    }
    (void)collect(request, view, limit, alerts);
    api_json(request, 200, opsgenie_answer(request, json_pack("{s:o, s:{}}", "data", alerts, "paging")));
}

void alerts_show(struct http_request *request)
{
    api_read(request, on_list);
}

static void on_count(struct http_request *request, const struct machine_store *view)
{
    alert_answer_data(request, json_pack("{s:I}", "count", (json_int_t)collect(request, view, SIZE_MAX, NULL)));
}

void alerts_count(struct http_request *request)
{
    api_read(request, on_count);
}

#define KEYED (ROUTE_SOURCE_KEY | ROUTE_JSON_IF_ANY)

const struct route routes_opsgenie_alerts[] = {
    {"POST", "/v2/alerts", alert_create, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY | ROUTE_JSON_BODY},
    {"GET", "/v2/alerts", alerts_show, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"GET", "/v2/alerts/count", alerts_count, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"GET", "/v2/alerts/requests/{}", alert_request_read, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"GET", "/v2/alerts/{}", alert_show, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"DELETE", "/v2/alerts/{}", alert_write, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"POST", "/v2/alerts/{}/close", alert_write, FAMILY_OPSGENIE, KEYED},
    {"POST", "/v2/alerts/{}/acknowledge", alert_write, FAMILY_OPSGENIE, KEYED},
    {"POST", "/v2/alerts/{}/unacknowledge", alert_write, FAMILY_OPSGENIE, KEYED},
    {"POST", "/v2/alerts/{}/snooze", alert_write, FAMILY_OPSGENIE, KEYED},
    {"POST", "/v2/alerts/{}/notes", alert_write, FAMILY_OPSGENIE, KEYED},
    {"POST", "/v2/alerts/{}/tags", alert_write, FAMILY_OPSGENIE, KEYED},
    {"DELETE", "/v2/alerts/{}/tags", alert_write, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"POST", "/v2/alerts/{}/details", alert_write, FAMILY_OPSGENIE, KEYED},
    {"DELETE", "/v2/alerts/{}/details", alert_write, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"PUT", "/v2/alerts/{}/priority", alert_write, FAMILY_OPSGENIE, KEYED},
    {"PUT", "/v2/alerts/{}/message", alert_write, FAMILY_OPSGENIE, KEYED},
    {"PUT", "/v2/alerts/{}/description", alert_write, FAMILY_OPSGENIE, KEYED},
    {"POST", "/v2/alerts/{}/assign", alert_write, FAMILY_OPSGENIE, KEYED},
    {"POST", "/v2/alerts/{}/escalate", alert_write, FAMILY_OPSGENIE, KEYED},
    {"POST", "/v2/alerts/{}/responders", alert_write, FAMILY_OPSGENIE, KEYED},
    {"POST", "/v2/alerts/{}/teams", alert_write, FAMILY_OPSGENIE, KEYED},
    {0},
};
