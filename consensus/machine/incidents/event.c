/*
 * Events from event sources (PagerDuty Events API v2): trigger, acknowledge, resolve.
 *
 * An open alert is found by its integration and dedup key. A trigger that meets one is counted and told to nobody;
 * otherwise it opens an incident with this one alert. See contracts/pagerduty-events-v2.md, "Semantics".
 */
#include "consensus/machine/incidents/incidents.h"

#include <assert.h>

#include "consensus/machine/checks.h"

struct occurrence {
    const Tocsin__Event *event;
    const Tocsin__Integration *integration;
    Tocsin__Actor source; /* the integration, as the one who acts */
    Tocsin__Why why;      /* it is triggered */
    Tocsin__Why why_over; /* it is resolved with its last alert */
    Tocsin__Reply *reply;
};

static void payload_store(struct apply *apply, const Tocsin__Alert *alert, const Tocsin__Event *event)
{
    Tocsin__AlertPayload payload;
    tocsin__alert_payload__init(&payload);
    payload.alert_id = alert->id;
    payload.source = event->source;
    payload.component = event->component;
    payload.group = event->group;
    payload.class_name = event->class_name;
    payload.client = event->client;
    payload.client_url = event->client_url;
    payload.details_json = event->details_json;
    payload.contexts_json = event->contexts_json;
    payload.timestamp = event->timestamp;
    payload.created_at_ms = apply->time_ms;
    record_put(apply->store, TABLE_ALERT_PAYLOAD, key_1(alert->id), &payload.base);
}

static void log_trigger(struct apply *apply, const struct occurrence *occurrence, Tocsin__Incident *incident,
                        const Tocsin__Alert *alert)
{
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_TRIGGER, occurrence->why,
                                           &occurrence->source);
    entry->text = occurrence->event->summary;
    entry->severity = occurrence->event->severity;
    entry->alert_id = alert->id;
    if (incident->first_trigger_log_entry_id == 0) {
        incident->first_trigger_log_entry_id = entry->id;
    }
    incident->trigger_log_entries++;
    timeline_put(apply, incident, entry);
}

static Tocsin__Alert *alert_open(struct apply *apply, const struct occurrence *occurrence, Tocsin__Incident *incident)
{
    Tocsin__Alert *alert = apply_alloc(apply, sizeof *alert);
    tocsin__alert__init(alert);
    alert->id = apply_new_id(apply);
    alert->incident_id = incident->id;
    alert->service_id = incident->service_id;
    alert->integration_id = occurrence->integration->id;
    alert->dedup_key = occurrence->event->dedup_key;
    alert->severity = occurrence->event->severity;
    alert->summary = occurrence->event->summary;
    alert->created_at_ms = alert->updated_at_ms = apply->time_ms;
    alert->events = 1;
    alert_put(apply->store, alert);
    struct key index = key_1_hash(alert->integration_id, alert->dedup_key);
    struct key place = key_2(incident->id, alert->id);
    apply->store->put(apply->store->context, TABLE_ALERT_OPEN, key_span(&index), key_span(&place));
    payload_store(apply, alert, occurrence->event);
    incident->alerts_triggered++;
    return alert;
}

void alert_resolve(struct apply *apply, Tocsin__Incident *incident, Tocsin__Alert *alert)
{
    assert(!alert->resolved && incident->alerts_triggered > 0);
    alert->resolved = true;
    alert->resolved_at_ms = alert->updated_at_ms = apply->time_ms;
    alert_put(apply->store, alert);
    row_delete(apply, TABLE_ALERT_OPEN, key_1_hash(alert->integration_id, alert->dedup_key));
    incident->alerts_triggered--;
    incident->alerts_resolved++;
}

static void trigger_new(struct apply *apply, const struct occurrence *occurrence)
{
    Tocsin__Service *service = service_get(apply->store, occurrence->integration->service_id, apply->arena);
    if (service == NULL) {
        reply_refuse(apply, occurrence->reply, TOCSIN__STATUS__STATUS_NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_SERVICE,
                     "The integration's service does not exist.");
        return;
    }
    if (service->disabled) {
        occurrence->reply->reason = TOCSIN__REASON__REASON_NO_OPEN_ALERT;
        return;
    }
    const Tocsin__Event *event = occurrence->event;
    Tocsin__Incident *incident = incident_open(apply, service, event->summary,
                                               urgency_of_service(apply, service, event->severity), event->dedup_key, occurrence->reply);
    if (incident == NULL) {
        return;
    }
    service_put(apply->store, service);
    log_trigger(apply, occurrence, incident, alert_open(apply, occurrence, incident));
    escalation_begin(apply, incident, 1, TOCSIN__WHY__WHY_POLICY_START, &occurrence->source);
    incident_put(apply->store, incident);
    reply_id(apply, occurrence->reply, incident->id);
}

/* Beyond the limit of entries only the alert's own counter moves, so that a flapping source costs one small write an
 * event. */
static void trigger_again(struct apply *apply, const struct occurrence *occurrence, Tocsin__Alert *alert)
{
    alert->events++;
    alert->updated_at_ms = apply->time_ms;
    alert_put(apply->store, alert);
    reply_id(apply, occurrence->reply, alert->incident_id);

    Tocsin__Incident *incident = incident_get(apply->store, alert->incident_id, apply->arena);
    if (incident == NULL || incident->trigger_log_entries > LIMIT_TRIGGER_LOG_ENTRIES_PER_INCIDENT) {
        return;
    }
    if (incident->trigger_log_entries < LIMIT_TRIGGER_LOG_ENTRIES_PER_INCIDENT) {
        log_trigger(apply, occurrence, incident, alert);
    } else {
        Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_REACH_TRIGGER_LIMIT,
                                               TOCSIN__WHY__WHY_EVENT, NULL);
        entry->text = apply_printf(apply, "More than %u triggers: further ones are counted, but not listed.",
                                   LIMIT_TRIGGER_LOG_ENTRIES_PER_INCIDENT);
        incident->trigger_log_entries++;
        timeline_put(apply, incident, entry);
    }
    incident_put(apply->store, incident);
}

static void answer(struct apply *apply, const struct occurrence *occurrence, Tocsin__Alert *alert)
{
    Tocsin__Incident *incident = incident_get(apply->store, alert->incident_id, apply->arena);
    if (incident == NULL) {
        occurrence->reply->reason = TOCSIN__REASON__REASON_NO_OPEN_ALERT;
        return;
    }
    bool changed = true;
    if (occurrence->event->action == TOCSIN__EVENT_ACTION__EVENT_ACKNOWLEDGE) {
        changed = incident_acknowledge(apply, incident, TOCSIN__WHY__WHY_EVENT, &occurrence->source);
    } else {
        alert_resolve(apply, incident, alert);
        if (incident->alerts_triggered == 0) {
            incident_resolve(apply, incident, occurrence->why_over, &occurrence->source);
        }
    }
    if (changed) {
        incident_put(apply->store, incident);
    }
    reply_id(apply, occurrence->reply, incident->id);
}

static void happen(struct apply *apply, const struct occurrence *occurrence)
{
    const Tocsin__Event *event = occurrence->event;
    Tocsin__Alert *alert = alert_get_open(apply->store, occurrence->integration->id, event->dedup_key, apply->arena);
    bool trigger = event->action == TOCSIN__EVENT_ACTION__EVENT_TRIGGER;
    if (alert != NULL && trigger) {
        trigger_again(apply, occurrence, alert);
    } else if (alert != NULL) {
        answer(apply, occurrence, alert);
    } else if (trigger) {
        trigger_new(apply, occurrence);
    } else {
        occurrence->reply->reason = TOCSIN__REASON__REASON_NO_OPEN_ALERT;
    }
}

void apply_event(struct apply *apply, const Tocsin__Event *event, Tocsin__Reply *reply)
{
    const Tocsin__Integration *integration = integration_get_by_key(apply->store, event->routing_key, apply->arena);
    if (integration == NULL) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_ROUTING_KEY,
                     "No integration has this routing key.");
        return;
    }
    struct occurrence occurrence = {.event = event,
                                    .integration = integration,
                                    .why = TOCSIN__WHY__WHY_EVENT,
                                    .why_over = TOCSIN__WHY__WHY_ALL_ALERTS_RESOLVED,
                                    .reply = reply};
    tocsin__actor__init(&occurrence.source);
    occurrence.source.kind = TOCSIN__ACTOR_KIND__ACTOR_INTEGRATION;
    occurrence.source.id = integration->id;
    occurrence.source.name = integration->name;
    reply->dedup_key = event->dedup_key;
    happen(apply, &occurrence);
}

void event_of_cluster(struct apply *apply, const Tocsin__Event *event, uint64_t source_id, uint64_t service_id,
                      Tocsin__Why why, Tocsin__Reply *reply)
{
    Tocsin__Integration source = TOCSIN__INTEGRATION__INIT;
    source.id = source_id;
    source.service_id = service_id;
    struct occurrence occurrence = {
        .event = event, .integration = &source, .why = why, .why_over = why, .reply = reply};
    tocsin__actor__init(&occurrence.source);
    occurrence.source.name = apply_strdup(apply, "Tocsin");
    happen(apply, &occurrence);
}
