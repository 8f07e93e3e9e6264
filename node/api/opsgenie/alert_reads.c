/* One alert, as it is read; what there is not; and the routes. */
#include "node/api/opsgenie/opsgenie.h"
#include "node/api/resource.h"

static void on_read(struct http_request *request, const struct machine_store *view)
{
    const Tocsin__Incident *incident = alert_find(request, view);

    if (incident == NULL) {
        api_not_found(request);
    } else {
        opsgenie_data(request, 200, render_alert_of(request, view, incident, true));
    }
}

void alert_show(struct http_request *request)
{
    if (identifier_check(request)) {
        api_read(request, on_read);
    }
}

/* ---------------------------------------------------------------- what there is not */

/* 501, which clients do not try again. */
static void refuse_all(struct http_request *request)
{
    api_error(request, 501, 2001, "Saved searches, attachments and custom actions of alerts are not kept here", NULL);
}

/* ---------------------------------------------------------------- routes */

#define KEYED (ROUTE_SOURCE_KEY | ROUTE_JSON_IF_ANY)

const struct route routes_opsgenie_alerts[] = {
    {"POST", "/v2/alerts", alert_create, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY | ROUTE_JSON_BODY},
    {"GET", "/v2/alerts", alerts_show, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"GET", "/v2/alerts/count", alerts_count, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"GET", "/v2/alerts/requests/{}", alert_request_read, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"GET", "/v2/alerts/saved-searches", refuse_all, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"POST", "/v2/alerts/saved-searches", refuse_all, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"GET", "/v2/alerts/saved-searches/{}", refuse_all, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"PATCH", "/v2/alerts/saved-searches/{}", refuse_all, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"DELETE", "/v2/alerts/saved-searches/{}", refuse_all, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"GET", "/v2/alerts/{}", alert_show, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"DELETE", "/v2/alerts/{}", alert_write, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"POST", "/v2/alerts/{}/close", alert_write, FAMILY_OPSGENIE, KEYED},
    {"POST", "/v2/alerts/{}/acknowledge", alert_write, FAMILY_OPSGENIE, KEYED},
    {"POST", "/v2/alerts/{}/unacknowledge", alert_write, FAMILY_OPSGENIE, KEYED},
    {"POST", "/v2/alerts/{}/snooze", alert_write, FAMILY_OPSGENIE, KEYED},
    {"POST", "/v2/alerts/{}/notes", alert_write, FAMILY_OPSGENIE, KEYED},
    {"GET", "/v2/alerts/{}/notes", alert_notes, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"GET", "/v2/alerts/{}/logs", alert_logs, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"GET", "/v2/alerts/{}/recipients", alert_recipients, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
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
    {"GET", "/v2/alerts/{}/attachments", refuse_all, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"POST", "/v2/alerts/{}/attachments", refuse_all, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY | ROUTE_ANY_BODY},
    {"GET", "/v2/alerts/{}/attachments/{}", refuse_all, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"DELETE", "/v2/alerts/{}/attachments/{}", refuse_all, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"POST", "/v2/alerts/{}/actions/{}", refuse_all, FAMILY_OPSGENIE, ROUTE_SOURCE_KEY},
    {"GET", "/v2/schedules/{}/on-calls", on_calls_show, FAMILY_OPSGENIE, 0},
    {"GET", "/v2/schedules/{}/next-on-calls", next_on_calls_show, FAMILY_OPSGENIE, 0},
    {0},
};
