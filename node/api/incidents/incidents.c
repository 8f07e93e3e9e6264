/* The routes of incidents, and what their handlers share: finding one by id or number, times in queries. */
#include "node/api/incidents/incidents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/incidents/visibility.h"
#include "node/api/render.h"

bool incident_visible(struct http_request *request, const struct machine_store *view, const Tocsin__Incident *incident)
{
    return incident_seen_by(view, request_memory(request), incident, &api_call_of(request)->principal.actor);
}

static const Tocsin__Incident *find(struct http_request *request, const struct machine_store *view, const char *text)
{
    if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0') {
        uint64_t id = id_parse(text);
        return id != 0 ? incident_get(view, id, request_memory(request)) : NULL;
    }
    errno = 0;
    uint64_t number = strtoull(text, NULL, 10);
    return errno == 0 ? incident_get_by_number(view, number, request_memory(request)) : NULL;
}

const Tocsin__Incident *incident_find(struct http_request *request, const struct machine_store *view, const char *text)
{
    const Tocsin__Incident *incident = find(request, view, text);

    return incident != NULL && incident_visible(request, view, incident) ? incident : NULL;
}

const Tocsin__Incident *incident_of_path(struct http_request *request, const struct machine_store *view)
{
    const Tocsin__Incident *incident = incident_find(request, view, api_call_of(request)->parameters[0]);

    if (incident == NULL) {
        api_not_found(request);
    }
    return incident;
}

bool query_time(struct http_request *request, const char *name, uint64_t *time_ms)
{
    const char *text = http_query(request, name);

    if (text == NULL || time_parse(text, time_ms)) {
        return true;
    }
    api_error(request, 400, 2001, "Invalid Input Provided",
              json_pack("[o]", json_format("'%s' must be a time in ISO 8601 format", name)));
    return false;
}

bool query_window(struct http_request *request, uint64_t since_ms, uint64_t until_ms)
{
    if (since_ms <= until_ms) {
        return true;
    }
    api_error(request, 400, 2001, "Invalid Input Provided", json_pack("[s]", "'until' must not be before 'since'"));
    return false;
}

void scan_refuse(struct http_request *request)
{
    api_error(request, 400, 2001, "Invalid Input Provided",
              json_pack("[s]", "Too much would have to be searched: narrow it down by time, status or incident"));
}

/* ---------------------------------------------------------------- commands about one */

struct about_one {
    uint64_t *slot;
    api_on_reply on_reply;
};

static void on_read_named(struct http_request *request, const struct machine_store *view)
{
    const struct about_one *about = api_call_of(request)->data;
    const Tocsin__Incident *incident = incident_of_path(request, view);

    if (incident != NULL) {
        *about->slot = incident->id;
        api_submit(request, about->on_reply);
    }
}

void incident_submit(struct http_request *request, uint64_t *slot, api_on_reply on_reply)
{
    struct about_one *about = http_alloc(request, sizeof *about);

    *about = (struct about_one){.slot = slot, .on_reply = on_reply};
    api_call_of(request)->data = about;
    api_read(request, on_read_named);
}

/* ---------------------------------------------------------------- one */

static void on_read_incident(struct http_request *request, const struct machine_store *view)
{
    const Tocsin__Incident *incident = incident_of_path(request, view);

    if (incident != NULL) {
        api_json(request, 200, json_pack("{s:o}", "incident", render_incident(request, view, incident)));
    }
}

static void incident_read(struct http_request *request)
{
    api_read(request, on_read_incident);
}

/* ---------------------------------------------------------------- routes */

const struct route routes_incidents[] = {
    {"GET", "/incidents", incidents_list, FAMILY_REST, 0},
    {"POST", "/incidents", incident_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"PUT", "/incidents", incidents_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/incidents/{}", incident_read, FAMILY_REST, 0},
    {"PUT", "/incidents/{}", incident_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"POST", "/incidents/{}/snooze", incident_snooze, FAMILY_REST, ROUTE_JSON_BODY},
    {"PUT", "/incidents/{}/merge", incident_merge, FAMILY_REST, ROUTE_JSON_BODY},
    {"POST", "/incidents/{}/responder_requests", responders_request, FAMILY_REST, ROUTE_JSON_BODY},
    {"PUT", "/incidents/{}/responders/{}", responder_answer, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/incidents/{}/status_updates", status_updates_list, FAMILY_REST, 0},
    {"POST", "/incidents/{}/status_updates", status_update_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/incidents/{}/status_updates/subscribers", subscribers_list, FAMILY_REST, 0},
    {"POST", "/incidents/{}/status_updates/subscribers", subscribers_add, FAMILY_REST, ROUTE_JSON_BODY},
    {"POST", "/incidents/{}/status_updates/unsubscribe", subscribers_remove, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/incidents/{}/notes", notes_list, FAMILY_REST, 0},
    {"POST", "/incidents/{}/notes", note_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/incidents/{}/alerts", alerts_list, FAMILY_REST, 0},
    {"PUT", "/incidents/{}/alerts", alerts_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/incidents/{}/alerts/{}", alert_read, FAMILY_REST, 0},
    {"PUT", "/incidents/{}/alerts/{}", alert_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/incidents/{}/log_entries", incident_log_entries_list, FAMILY_REST, 0},
    {"GET", "/log_entries", log_entries_list, FAMILY_REST, 0},
    {"GET", "/log_entries/{}", log_entry_read, FAMILY_REST, 0},
    {"GET", "/priorities", priorities_list, FAMILY_REST, 0},
    {"PUT", "/priorities", priorities_replace, FAMILY_REST, ROUTE_JSON_BODY},
    {0},
};
