/* An alert as Opsgenie shows it. */
#include <stdio.h>
#include <string.h>

#include "consensus/machine/incidents/priorities.h"
#include "node/api/opsgenie/opsgenie.h"
#include "node/api/render.h"
#include "node/api/resource.h"

#define PRIORITY_DEFAULT 3u

/* Alerts of one incident that are looked at for how often they came: most have one. */
#define ALERTS_SEEN_MAX 50u

static void take_sent(struct http_request *request, const struct machine_store *view, uint64_t alert_id,
                      struct alert_summary *summary)
{
    Tocsin__AlertPayload *payload = alert_payload_get(view, alert_id, NULL);

    if (payload == NULL) { /* it has left with retention */
        return;
    }
    json_t *details = json_loadb((const char *)payload->details_json.data, payload->details_json.len, 0, NULL);
    const char *description = json_string_value(json_object_get(details, "description"));
    summary->source = http_strdup(request, payload->source);
    summary->entity = http_strdup(request, payload->component);
    if (summary->description[0] == '\0' && description != NULL) {
        summary->description = http_strdup(request, description);
    }
    json_decref(details);
    tocsin__alert_payload__free_unpacked(payload, NULL);
}

struct alert_summary alert_summary(struct http_request *request, const struct machine_store *view,
                                   const Tocsin__Incident *incident)
{
    struct walk walk = walk_under(view, TABLE_ALERT, incident->id);
    struct alert_summary summary = {.last_ms = incident->created_at_ms,
                                    .alias = incident->incident_key,
                                    .source = "",
                                    .entity = "",
                                    .description = incident->body};

    for (unsigned seen = 0; seen < ALERTS_SEEN_MAX && walk_next(&walk); seen++) {
        Tocsin__Alert *alert = record_unpack(&tocsin__alert__descriptor, walk.value, NULL);
        if (alert == NULL) {
            continue;
        }
        if (summary.integration_id == 0) {
            summary.integration_id = alert->integration_id;
            summary.alias = http_strdup(request, alert->dedup_key);
            take_sent(request, view, alert->id, &summary);
        }
        summary.count += alert->events;
        summary.last_ms = alert->updated_at_ms > summary.last_ms && !alert->resolved ? alert->updated_at_ms : summary.last_ms;
        tocsin__alert__free_unpacked(alert, NULL);
    }
    summary.count += summary.count == 0 ? 1 : 0; /* made by a person */
    return summary;
}

uint32_t alert_priority(const Tocsin__Priorities *priorities, const Tocsin__Incident *incident)
{
    uint64_t id = incident->details != NULL ? incident->details->priority_id : 0;
    const Tocsin__Priority *priority = id != 0 ? priority_find(priorities, id) : NULL;
    uint32_t number = priority != NULL ? priority_number(priority->name) : 0;

    if (number == 0 && incident->labels != NULL) {
        number = incident->labels->priority;
    }
    return number != 0 ? number : PRIORITY_DEFAULT;
}

/* ---------------------------------------------------------------- parts */

static json_t *render_tags(const Tocsin__Incident *incident)
{
    json_t *tags = json_array();

    for (size_t i = 0; incident->labels != NULL && i < incident->labels->n_tags; i++) {
        json_array_append_new(tags, json_string(incident->labels->tags[i]));
    }
    return tags;
}

static json_t *render_details(const Tocsin__Incident *incident)
{
    json_t *details = json_object();

    for (size_t i = 0; incident->labels != NULL && i < incident->labels->n_details; i++) {
        const Tocsin__Label *label = incident->labels->details[i];
        json_object_set_new(details, label->key, json_string(label->value));
    }
    return details;
}

const char *alert_user_name(struct http_request *request, const struct machine_store *view, uint64_t id)
{
    const Tocsin__User *user = id != 0 ? user_get(view, id, request_memory(request)) : NULL;

    return user != NULL ? user->email : "";
}

/* Who acknowledged, or to whom it was given by hand. */
static const char *owner(struct http_request *request, const struct machine_store *view, const Tocsin__Incident *incident)
{
    if (incident->n_acknowledgements > 0) {
        return alert_user_name(request, view, incident->acknowledgements[0]->user_id);
    }
    bool by_hand = incident->level == 0 && incident->n_assignments > 0;
    return by_hand ? alert_user_name(request, view, incident->assignments[0]->user_id) : "";
}

static json_t *render_responder(const char *type, uint64_t id)
{
    return json_pack("{s:s, s:o}", "type", type, "id", json_id(id));
}

/* The team and the escalation policy, who has it, and who was asked to help. */
static json_t *render_responders_of(struct http_request *request, const struct machine_store *view,
                                    const Tocsin__Incident *incident)
{
    const Tocsin__EscalationPolicy *policy =
        escalation_policy_get(view, incident->escalation_policy_id, request_memory(request));
    json_t *responders = json_array();

    if (policy != NULL && policy->team_id != 0) {
        json_array_append_new(responders, render_responder("team", policy->team_id));
    }
    if (policy != NULL) {
        json_array_append_new(responders, render_responder("escalation", policy->id));
    }
    for (size_t i = 0; i < incident->n_assignments; i++) {
        json_array_append_new(responders, render_responder("user", incident->assignments[i]->user_id));
    }
    for (size_t i = 0; i < incident->n_responders; i++) {
        json_array_append_new(responders, render_responder("user", incident->responders[i]->user_id));
    }
    return responders;
}

static json_t *render_integration(struct http_request *request, const struct machine_store *view,
                                  const Tocsin__Incident *incident, uint64_t integration_id)
{
    const Tocsin__Integration *integration =
        integration_id != 0 ? integration_get(view, incident->service_id, integration_id, request_memory(request)) : NULL;

    return json_pack("{s:o, s:s, s:s}", "id", integration_id != 0 ? json_id(integration_id) : json_string(""), "name",
                     integration != NULL ? integration->name : "", "type", integration != NULL ? integration->type : "");
}

/* Milliseconds from the beginning; absent while it is not so. */
static json_t *render_report(struct http_request *request, const struct machine_store *view, const Tocsin__Incident *incident)
{
    json_t *report = json_object();

    if (incident->first_acknowledged_at_ms != 0) {
        json_object_set_new(report, "ackTime",
                            json_integer((json_int_t)(incident->first_acknowledged_at_ms - incident->created_at_ms)));
    }
    if (incident->n_acknowledgements > 0) {
        json_object_set_new(report, "acknowledgedBy",
                            json_string(alert_user_name(request, view, incident->acknowledgements[0]->user_id)));
    }
    if (incident->resolved_at_ms != 0) {
        const Tocsin__Actor *by = incident->last_status_change_by;
        json_object_set_new(report, "closeTime",
                            json_integer((json_int_t)(incident->resolved_at_ms - incident->created_at_ms)));
        json_object_set_new(report, "closedBy", json_string(by != NULL ? by->name : ""));
    }
    return report;
}

static void set_time(json_t *object, const char *name, uint64_t time_ms)
{
    if (time_ms != 0) {
        json_object_set_new(object, name, json_time(time_ms));
    }
}

/* ---------------------------------------------------------------- the whole */

json_t *render_alert_of(struct http_request *request, const struct machine_store *view, const Tocsin__Incident *incident,
                        bool whole)
{
    struct alert_summary summary = alert_summary(request, view, incident);
    bool closed = incident->status == TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED;
    char number[24], priority[4];

    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)incident->number);
    (void)snprintf(priority, sizeof priority, "P%u", alert_priority(priorities_read(view, request_memory(request)), incident) % 10);
    json_t *alert = json_pack(
        "{s:o, s:s, s:s, s:s, s:s, s:b, s:b, s:o, s:b, s:I, s:s, s:s, s:s}", "id", json_id(incident->id), "tinyId", number,
        "alias", summary.alias, "message", incident->title, "status", closed ? "closed" : "open", "acknowledged",
        incident->status == TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED, "isSeen",
        incident->first_acknowledged_at_ms != 0, "tags", render_tags(incident), "snoozed", incident->snooze_due_ms != 0,
        "count", (json_int_t)summary.count, "source", summary.source, "owner", owner(request, view, incident), "priority", priority);
    set_time(alert, "snoozedUntil", incident->snooze_due_ms);
    set_time(alert, "lastOccurredAt", summary.last_ms);
    set_time(alert, "createdAt", incident->created_at_ms);
    set_time(alert, "updatedAt", incident->updated_at_ms);
    json_object_set_new(alert, "responders", render_responders_of(request, view, incident));
    json_object_set_new(alert, "integration", render_integration(request, view, incident, summary.integration_id));
    json_object_set_new(alert, "report", render_report(request, view, incident));
    if (whole) {
        json_object_set_new(alert, "actions", json_array());
        json_object_set_new(alert, "entity", json_string(summary.entity));
        json_object_set_new(alert, "description", json_string(summary.description));
        json_object_set_new(alert, "details", render_details(incident));
    }
    return alert;
}
