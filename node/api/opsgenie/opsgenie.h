/*
 * Inside the handlers of Opsgenie's Alert API (https://docs.opsgenie.com/docs/alert-api):
 *
 *     alert      an incident; its id, its number as tinyId
 *     alias      the dedup key of an alert, among those of the integration whose key asks
 *     GenieKey   the key of an integration, or a token, which cannot create
 *
 *     alert_requests.c   which alert; the 202 of writes, and what became of them
 *     alert_create.c     POST /v2/alerts
 *     alert_writes.c     what is done about one alert: one table
 *     alert_targets.c    people, teams, escalations and schedules that a body names
 *     alert_render.c     an alert as Opsgenie shows it
 *     alert_reads.c      one; what there is not; the routes
 *     alert_list.c       many, and how many; alert_query.h is what they are searched by
 *     alert_timeline.c   notes, logs, recipients of one
 *     on_calls.c         who is on call in a schedule, and next
 *     opsgenie_answers.c what each answer has, the heartbeats' too
 */
#ifndef NODE_API_OPSGENIE_OPSGENIE_H
#define NODE_API_OPSGENIE_OPSGENIE_H

#include "node/api/api.h"

#define DESCRIPTION_CHARACTERS 15000u

/* ---- alert_requests.c */

/* In the id of a request: numbers stay what they are. */
enum alert_action {
    ALERT_CREATE = 1,
    ALERT_CLOSE,
    ALERT_ACKNOWLEDGE,
    ALERT_NOTE,
    ALERT_SNOOZE,
    ALERT_MESSAGE,
    ALERT_DESCRIPTION,
    ALERT_TAGS,
    ALERT_TAGS_GONE,
    ALERT_DETAILS,
    ALERT_DETAILS_GONE,
    ALERT_PRIORITY,
    ALERT_UNACKNOWLEDGE,
    ALERT_ASSIGN,
    ALERT_RESPONDER,
    ALERT_TEAM,
    ALERT_ESCALATE,
    ALERT_DELETE
};
enum alert_result { RESULT_UNFIT, RESULT_DONE, RESULT_NO_ALERT };

/* 202. Opsgenie queues a write; here it is done before the answer, and the id of the request says how it ended. */
void alert_accepted(struct http_request *request, enum alert_action action, uint64_t incident_id, enum alert_result result);
void alert_request_read(struct http_request *request);

/* False: already answered with 422, for there is no such identifierType. */
bool identifier_check(struct http_request *request);
bool identifier_is_alias(const struct http_request *request);
/* The alias as a dedup key: one that is longer than those may be goes by its hash. */
const char *alias_key(struct http_request *request, const char *alias);
/* By id, by number, or by the alias: of an open alert, or else of the latest one. NULL when there is none that who asks may
 * see. Memory of the request. */
const Tocsin__Incident *alert_find(struct http_request *request, const struct machine_store *view);
/* Whether who asks may see the incident, and it was not deleted. */
bool alert_visible(struct http_request *request, const struct machine_store *view, const Tocsin__Incident *incident);
/* A text of the body, cut, or else of the query; "" when it is none. */
char *alert_text(struct http_request *request, const char *name, size_t characters_max);

/* ---- alert_create.c */
void alert_create(struct http_request *request);
/* "P1" to "P5" as a number; 0 for anything else. */
uint32_t priority_number(const char *text);
/* What `details` in the body holds as labels: texts as they are, other values as JSON. */
void labels_take(struct http_request *request, json_t *details, Tocsin__Label ***labels, size_t *count);

/* ---- alert_writes.c */
void alert_write(struct http_request *request);

/* ---- alert_targets.c */

/* What an object of the body names by id, username or name; 0: already answered with 422. */
uint64_t user_named(struct http_request *request, const struct machine_store *view, json_t *object);
uint64_t policy_named(struct http_request *request, const struct machine_store *view, json_t *object);
/* A responder of any type, or a team when `type` is "team": adds to who is asked. False: already answered with 422. */
bool responder_take(struct http_request *request, const struct machine_store *view, const char *type, json_t *object,
                    Tocsin__RespondersRequest *ask);

/* 0: there is none. */
uint64_t schedule_by_name(const struct machine_store *view, const char *name);

/* ---- alert_render.c */

/* What its alerts say together; of the first one what its sender wrote, "" once it has left with retention. Memory of the
 * request. */
struct alert_summary {
    uint64_t count, last_ms, integration_id;
    const char *alias, *source, *entity;
    const char *description; /* as it stands now: what was written last */
};
struct alert_summary alert_summary(struct http_request *request, const struct machine_store *view,
                                   const Tocsin__Incident *incident);
json_t *render_alert_of(struct http_request *request, const struct machine_store *view, const Tocsin__Incident *incident,
                        bool whole);
/* 1 to 5. */
uint32_t alert_priority(const Tocsin__Priorities *priorities, const Tocsin__Incident *incident);
/* As Opsgenie calls people: by address; "" for nobody. */
const char *alert_user_name(struct http_request *request, const struct machine_store *view, uint64_t id);

/* ---- opsgenie_answers.c */

/* Answers; adds what each of Opsgenie's answers has: how long it took, and the id of the request unless it has one, in headers
 * too. Takes the reference. */
void opsgenie_json(struct http_request *request, unsigned status, json_t *answer);
void opsgenie_data(struct http_request *request, unsigned status, json_t *data);
/* Adds to `paging` the URL of another page of the list that was asked for: its path and query, but for the parameters given. */
void opsgenie_page(struct http_request *request, json_t *paging, const char *name, const struct http_parameter *given,
                   size_t count);
/* limit, within its bounds. */
unsigned opsgenie_limit(struct http_request *request);

/* ---- alert_reads.c, alert_list.c */
void alert_show(struct http_request *request);
void alerts_show(struct http_request *request);
void alerts_count(struct http_request *request);

/* ---- on_calls.c */
void on_calls_show(struct http_request *request);
void next_on_calls_show(struct http_request *request);

/* ---- alert_timeline.c */
void alert_notes(struct http_request *request);
void alert_logs(struct http_request *request);
void alert_recipients(struct http_request *request);

#endif
