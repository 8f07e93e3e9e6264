/* Inside the handlers of incidents: who handles what, how incidents are found and rendered. */
#ifndef NODE_API_INCIDENTS_INCIDENTS_H
#define NODE_API_INCIDENTS_INCIDENTS_H

#include "node/api/resource.h"

/* A list stops with an error rather than look at more rows than this: the loop has other work to do meanwhile. About
 * 0.2 s. */
#define SCAN_ROWS_MAX 200000u

/* ---- incident_render.c */
json_t *render_incident(struct http_request *request, const struct machine_store *view, const void *incident);

/* ---- incidents.c */

/* Whether who asks may see the incident (visibility.h). */
bool incident_visible(struct http_request *request, const struct machine_store *view, const Tocsin__Incident *incident);
/* A text as the id of an incident, or as its number when it is all digits. NULL when there is none, or none that who asks
 * may see. Memory of the request. */
const Tocsin__Incident *incident_find(struct http_request *request, const struct machine_store *view, const char *text);
/* The incident that the path's first parameter names; NULL: already answered with 404. */
const Tocsin__Incident *incident_of_path(struct http_request *request, const struct machine_store *view);
/* Submits call->command about the incident that the path's first parameter names: its id is put into `slot`. Uses
 * call->data. */
void incident_submit(struct http_request *request, uint64_t *slot, api_on_reply on_reply);
/* A time of the query: true and *time_ms as it was when it is absent; false: already answered with 400. */
bool query_time(struct http_request *request, const char *name, uint64_t *time_ms);
/* False: the window is reversed, which is answered with 400. */
bool query_window(struct http_request *request, uint64_t since_ms, uint64_t until_ms);
void scan_refuse(struct http_request *request);

/* ---- incident_details.c */

/* Fields that creating and changing share; each that is given is marked in *fields. */
void take_details(struct field_reader *reader, Tocsin__IncidentDetails **details, uint64_t *fields);
void render_recorded(struct http_request *request, const struct machine_store *view, const Tocsin__Incident *incident,
                    json_t *object);

/* ---- priorities.c */
json_t *render_priority(struct http_request *request, const Tocsin__Priority *priority);
void priorities_list(struct http_request *request);
void priorities_replace(struct http_request *request);

/* ---- response.c */
void incident_snooze(struct http_request *request);
void incident_merge(struct http_request *request);

/* ---- responders.c */
/* Who was asked to help, by person and by request. */
void render_responders(struct http_request *request, const struct machine_store *view,
                       const Tocsin__Incident *incident, json_t *object);
void responders_request(struct http_request *request);
void responder_answer(struct http_request *request);

/* ---- subscribers.c */
void status_update_create(struct http_request *request);
void status_updates_list(struct http_request *request);
void subscribers_list(struct http_request *request);
void subscribers_add(struct http_request *request);
void subscribers_remove(struct http_request *request);

/* ---- incident_list.c */
void incidents_list(struct http_request *request);

/* ---- incident_writes.c */
extern const struct resource resource_incident;
void incident_create(struct http_request *request);
void incident_update(struct http_request *request);
void incidents_update(struct http_request *request);

/* ---- event_details.c */
/* Event.detail_hashes of an event's custom_details, in the request's memory. */
ProtobufCBinaryData event_detail_hashes(struct http_request *request, json_t *details);

/* ---- alerts.c */
void alerts_update(struct http_request *request);
void alert_update(struct http_request *request);
void alerts_list(struct http_request *request);
void alert_read(struct http_request *request);
/* `incident` is NULL for one that is held back, or was until it was resolved. */
json_t *render_alert(struct http_request *request, const struct machine_store *view, const Tocsin__Incident *incident,
                     const Tocsin__Alert *alert);
/* statuses[] and alert_key; what is given must fit. */
bool alert_matches(const struct http_request *request, const Tocsin__Alert *alert);

/* ---- log_entries.c */
json_t *render_log_entry(struct http_request *request, const struct machine_store *view,
                         const Tocsin__Incident *incident, const Tocsin__LogEntry *entry);
void notes_list(struct http_request *request);
void note_create(struct http_request *request);
void incident_log_entries_list(struct http_request *request);
void log_entries_list(struct http_request *request);
void log_entry_read(struct http_request *request);

#endif
