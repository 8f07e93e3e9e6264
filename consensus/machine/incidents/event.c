/*
 * Events from event sources (PagerDuty Events API v2): trigger, acknowledge, resolve.
 *
 * An open alert is found by its integration and dedup key. A trigger that meets one is counted and told to nobody;
 * otherwise it opens an incident with this one alert, unless something holds it back (suppression.h). See
 * contracts/pagerduty-events-v2.md, "Semantics".
 */
#include "consensus/machine/incidents/incidents.h"

#include <assert.h>
#include <string.h>

#include "consensus/machine/checks.h"
#include "consensus/machine/incidents/event_test.h"
#include "consensus/machine/incidents/grouping.h"
#include "consensus/machine/incidents/priorities.h"
#include "consensus/machine/orchestration/orchestration.h"
#include "consensus/machine/planted.h"
#include "consensus/machine/services/heard.h"
#include "consensus/machine/suppression/suppression.h"

struct occurrence {
    const Tocsin__Event *event;
    const Tocsin__Integration *integration;
    Tocsin__Actor source; /* the integration, as the one who acts */
    Tocsin__Why why;      /* it is triggered */
    Tocsin__Why why_over; /* it is resolved with its last alert */
    struct hold_request asked; /* by the rules that it went through */
    Tocsin__Reply *reply;
};

static bool is_test(const Tocsin__Event *event)
{
    return event->test != TOCSIN__TEST_KIND__TEST_NONE;
}

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
    payload.created_at_ms = alert->created_at_ms;
    payload.changed_at_ms = apply->time_ms > alert->created_at_ms ? apply->time_ms : 0;
    record_put(apply->store, TABLE_ALERT_PAYLOAD, key_1(alert->id), &payload.base);
}

/* `text` is the alert's summary, or a sentence with it. */
static void log_trigger(struct apply *apply, Tocsin__Incident *incident, const Tocsin__Alert *alert,
                        Tocsin__Severity severity, const char *text, Tocsin__Why why, const Tocsin__Actor *source)
{
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_TRIGGER, why, source);
    entry->text = apply_strdup(apply, text);
    entry->severity = severity;
    entry->alert_id = alert->id;
    if (alert->decision != NULL) {
        entry->rules = alert->decision->taken;
        entry->n_rules = alert->decision->n_taken;
        entry->patterns_given_up = alert->decision->patterns_given_up;
    }
    if (incident->first_trigger_log_entry_id == 0) {
        incident->first_trigger_log_entry_id = entry->id;
    }
    incident->trigger_log_entries++;
    timeline_put(apply, incident, entry);
}

/* A flapping source must not fill the disk: beyond the limit of entries triggers are counted, and one entry says so. False
 * when nothing of the incident has changed. */
static bool log_trigger_bounded(struct apply *apply, Tocsin__Incident *incident, const Tocsin__Alert *alert,
                                Tocsin__Severity severity, const char *text, Tocsin__Why why,
                                const Tocsin__Actor *source)
{
    if (incident->trigger_log_entries > LIMIT_TRIGGER_LOG_ENTRIES_PER_INCIDENT) {
        return false;
    }
    if (incident->trigger_log_entries < LIMIT_TRIGGER_LOG_ENTRIES_PER_INCIDENT) {
        log_trigger(apply, incident, alert, severity, text, why, source);
        return true;
    }
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_REACH_TRIGGER_LIMIT,
                                           TOCSIN__WHY__WHY_EVENT, NULL);
    entry->text = apply_printf(apply, "More than %u triggers: further ones are counted, but not listed.",
                               LIMIT_TRIGGER_LOG_ENTRIES_PER_INCIDENT);
    incident->trigger_log_entries++;
    timeline_put(apply, incident, entry);
    return true;
}

/* A new one, without id and incident; not stored. */
static Tocsin__Alert *alert_new(struct apply *apply, const struct occurrence *occurrence)
{
    Tocsin__Alert *alert = apply_alloc(apply, sizeof *alert);
    tocsin__alert__init(alert);
    alert->service_id = occurrence->integration->service_id;
    alert->integration_id = occurrence->integration->id;
    alert->dedup_key = occurrence->event->dedup_key;
    alert->severity = occurrence->event->severity;
    alert->summary = occurrence->event->summary;
    alert->created_at_ms = alert->updated_at_ms = apply->time_ms;
    alert->events = 1;
    alert->expires_at_ms = occurrence->event->expires_at_ms;
    alert->decision = occurrence->event->decision;
    alert->labels = occurrence->event->labels;
    return alert;
}

/* A trigger that its source repeats while it lasts, or of an alert that is held: what it says is how things are now. */
static void refresh(struct apply *apply, const Tocsin__Event *event, Tocsin__Alert *alert)
{
    const Tocsin__AlertPayload *payload = alert_payload_get(apply->store, alert->id, apply->arena);
    struct span said = {event->details_json.data, event->details_json.len};
    if (!event->repeated || payload == NULL ||
        !span_equal(said, (struct span){payload->details_json.data, payload->details_json.len})) {
        payload_store(apply, alert, event);
    }
    alert->summary = event->summary;
    alert->severity = event->severity;
}

/* Its row and index, and the incident's count. */
static void alert_open(struct apply *apply, Tocsin__Incident *incident, Tocsin__Alert *alert)
{
    alert->id = alert->id != 0 ? alert->id : apply_new_id(apply);
    alert->incident_id = incident->id;
    alert_expiry_set(apply, alert, alert->expires_at_ms);
    alert_put(apply->store, alert);
    struct key index = key_1_hash(alert->integration_id, alert->dedup_key);
    struct key place = key_2(incident->id, alert->id);
    apply->store->put(apply->store->context, TABLE_ALERT_OPEN, key_span(&index), key_span(&place));
    incident->alerts_triggered++;
    grouping_file(apply, incident, alert);
}

void alert_resolve(struct apply *apply, Tocsin__Incident *incident, Tocsin__Alert *alert)
{
    assert(!alert->resolved && incident->alerts_triggered > 0);
    alert_expiry_drop(apply, alert);
    alert->resolved = true;
    alert->resolved_at_ms = alert->updated_at_ms = apply->time_ms;
    alert_put(apply->store, alert);
    row_delete(apply, TABLE_ALERT_OPEN, key_1_hash(alert->integration_id, alert->dedup_key));
    incident->alerts_triggered--;
    incident->alerts_resolved++;
}

static bool decides_urgency(const Tocsin__Alert *alert)
{
    return alert->decision != NULL && (alert->decision->urgency_low || alert->decision->urgency_high);
}

/* A rule's word on the urgency comes before the service's. */
static Tocsin__Urgency urgency_decided(struct apply *apply, const Tocsin__Service *service, const Tocsin__Alert *alert)
{
    if (decides_urgency(alert)) {
        return alert->decision->urgency_low ? TOCSIN__URGENCY__URGENCY_LOW : TOCSIN__URGENCY__URGENCY_HIGH;
    }
    return urgency_of_service(apply, service, alert->severity);
}

/* What rules ask of a new incident, before it escalates. */
static void obey_rules(struct apply *apply, Tocsin__Incident *incident, const Tocsin__Alert *alert,
                       const Tocsin__Actor *source)
{
    const Tocsin__EventDecision *decision = alert->decision;
    if (decision == NULL) {
        return;
    }
    uint64_t policy_id = decision->escalation_policy_id;
    if (policy_id != 0 && escalation_policy_get(apply->store, policy_id, apply->arena) != NULL) {
        incident->escalation_policy_id = policy_id;
    }
    const Tocsin__Priority *priority =
        priority_find(priorities_read(apply->store, apply->arena), decision->priority_id);
    if (priority != NULL && !priority->retired) {
        incident->details = apply_alloc(apply, sizeof *incident->details);
        tocsin__incident_details__init(incident->details);
        incident->details->priority_id = priority->id;
        targets_file(apply, incident);
    }
    for (size_t i = 0; i < decision->n_notes; i++) {
        if (decision->notes[i][0] == '\0') {
            continue;
        }
        Tocsin__LogEntry *entry =
            timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_ANNOTATE, TOCSIN__WHY__WHY_RULE, source);
        entry->text = decision->notes[i];
        incident->notes++;
        timeline_put(apply, incident, entry);
    }
}

/* Why it had no incident until now, in the timeline of the one that it has. */
static void log_held(struct apply *apply, Tocsin__Incident *incident, const Tocsin__Alert *alert)
{
    const Tocsin__Hold *hold = alert->hold;
    Tocsin__LogEntry *entry =
        timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_HELD, (Tocsin__Why)hold->why, NULL);
    entry->alert_id = alert->id;
    entry->text = apply_printf(apply, "The alert opened no incident for %llu s, at last because %s%s%s.",
                               (unsigned long long)(apply->time_ms - hold->since_ms) / 1000,
                               timeline_why(entry->why), hold->text[0] != '\0' ? ": " : "", hold->text);
    timeline_put(apply, incident, entry);
}

/* It joins an incident of its group. Nobody is told again, unless it is of high urgency and the incident was not: then
 * whoever has it is told of that, and who acknowledged it did not know. */
static void alert_join(struct apply *apply, const Tocsin__Service *service, Tocsin__Incident *incident,
                       Tocsin__Alert *alert, const Tocsin__Actor *source)
{
    Tocsin__Why why;
    const char *reason = grouping_reason(apply, service, incident, &why);
    labels_join(apply, incident, alert->labels);
    alert->labels = NULL;
    alert_open(apply, incident, alert);
    (void)log_trigger_bounded(apply, incident, alert, alert->severity,
                              apply_printf(apply, "%s (joined this incident, because %s)", alert->summary, reason), why,
                              source);
    if (incident->urgency == TOCSIN__URGENCY__URGENCY_LOW &&
        urgency_decided(apply, service, alert) == TOCSIN__URGENCY__URGENCY_HIGH && !planted(URGENT_ALERT_JOINS_QUIETLY)) {
        bool acknowledged = incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED);
        urgency_raise(apply, incident, TOCSIN__WHY__WHY_GROUPED_URGENT);
        if (acknowledged) {
            escalation_renew(apply, incident);
        }
    }
}

bool alert_admit(struct apply *apply, Tocsin__Service *service, Tocsin__Alert *alert, Tocsin__Why why,
                 const Tocsin__Actor *source, Tocsin__Reply *reply)
{
    Tocsin__Incident *incident = grouping_find(apply, service, alert);
    if (incident != NULL) {
        alert_join(apply, service, incident, alert, source);
    } else {
        incident = incident_open(apply, service, alert->summary, urgency_decided(apply, service, alert), alert->dedup_key,
                                 reply);
        if (incident == NULL) {
            return false;
        }
        service_put(apply->store, service);
        incident->urgency_why = decides_urgency(alert) ? TOCSIN__WHY__WHY_RULE : urgency_why(apply, service);
        incident->alerts_hidden = service->incidents_only;
        Tocsin__IncidentLabels *labels = alert->labels;
        alert->labels = NULL; /* they are the incident's from now on */
        alert_open(apply, incident, alert);
        log_trigger(apply, incident, alert, alert->severity, alert->summary, why, source);
        obey_rules(apply, incident, alert, source);
        labels_begin(apply, incident, labels, source);
        escalation_begin(apply, incident, 1, TOCSIN__WHY__WHY_POLICY_START, source);
    }
    if (alert->hold != NULL) {
        log_held(apply, incident, alert);
    }
    incident_put(apply->store, incident);
    reply_id(apply, reply, incident->id);
    return true;
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
        if (!is_test(occurrence->event)) {
            event_set_aside_disabled(apply, occurrence->event, service->id);
        }
        occurrence->reply->reason = TOCSIN__REASON__REASON_NO_OPEN_ALERT;
        return;
    }
    Tocsin__Alert *alert = alert_new(apply, occurrence);
    grouping_keys(apply, service, occurrence->event, alert);
    Tocsin__Hold *hold = hold_judge(apply, service, &occurrence->asked);
    bool taken;
    if (is_test(occurrence->event)) {
        taken = event_test_open(apply, occurrence->event, service, alert, hold, &occurrence->source, occurrence->reply);
    } else if (hold != NULL) {
        alert->id = apply_new_id(apply);
        hold->trigger_why = (uint32_t)occurrence->why;
        taken = hold_begin(apply, alert, hold, occurrence->reply);
        if (taken) {
            alert_expiry_set(apply, alert, alert->expires_at_ms);
            alert_put(apply->store, alert);
        }
    } else {
        taken = alert_admit(apply, service, alert, occurrence->why, &occurrence->source, occurrence->reply);
    }
    if (taken) {
        payload_store(apply, alert, occurrence->event);
    }
}

/* The incident that it may open is that of its last event, with all that this says. */
static void trigger_held(struct apply *apply, const struct occurrence *occurrence, Tocsin__Alert *alert)
{
    const Tocsin__Event *event = occurrence->event;
    const Tocsin__Service *service = service_get(apply->store, alert->service_id, apply->arena);
    bool worse = event->severity > alert->severity;
    if (hold_follows(alert, &occurrence->asked, worse)) {
        refresh(apply, event, alert);
        alert->decision = event->decision;
        alert->labels = event->labels;
        if (service != NULL) {
            grouping_keys(apply, service, event, alert);
        }
    }
    hold_trigger(apply, alert, &occurrence->asked, worse);
    occurrence->reply->reason = TOCSIN__REASON__REASON_ALERT_HELD;
}

/* Beyond the limit of entries only the alert's own counter moves, so that a flapping source costs one small write an
 * event. */
static void trigger_again(struct apply *apply, const struct occurrence *occurrence, Tocsin__Alert *alert)
{
    alert->events++;
    alert->updated_at_ms = apply->time_ms;
    alert_expiry_set(apply, alert, occurrence->event->expires_at_ms);
    if (alert->incident_id == 0) {
        trigger_held(apply, occurrence, alert);
        return;
    }
    alert->decision = occurrence->event->decision;
    if (occurrence->event->repeated) {
        refresh(apply, occurrence->event, alert);
    }
    alert_put(apply->store, alert);
    reply_id(apply, occurrence->reply, alert->incident_id);

    Tocsin__Incident *incident = incident_get(apply->store, alert->incident_id, apply->arena);
    if (incident != NULL && !occurrence->event->repeated &&
        log_trigger_bounded(apply, incident, alert, occurrence->event->severity, occurrence->event->summary,
                            occurrence->why, &occurrence->source)) {
        incident_put(apply->store, incident);
    }
}

static void answer(struct apply *apply, const struct occurrence *occurrence, Tocsin__Alert *alert)
{
    if (alert->incident_id == 0 && occurrence->event->action == TOCSIN__EVENT_ACTION__EVENT_RESOLVE) {
        hold_resolve(apply, alert);
        return;
    }
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
        if (incident->alerts_triggered == 0 || planted(FIRST_ALERT_ENDS_ALL)) {
            incident_resolve(apply, incident, occurrence->why_over, &occurrence->source);
        }
    }
    if (changed) {
        incident_put(apply->store, incident);
    }
    reply_id(apply, occurrence->reply, incident->id);
}

/* The open alert that the event is about. An answer that rules gave another key may mean the one that was sent: rules may
 * have changed since the trigger. */
static Tocsin__Alert *alert_find(struct apply *apply, const struct occurrence *occurrence)
{
    uint64_t source_id = occurrence->integration->id;
    const Tocsin__EventDecision *decision = occurrence->event->decision;
    Tocsin__Alert *alert = alert_get_open(apply->store, source_id, occurrence->event->dedup_key, apply->arena);
    bool answer = occurrence->event->action != TOCSIN__EVENT_ACTION__EVENT_TRIGGER;
    if (alert == NULL && answer && decision != NULL && decision->sent_dedup_key[0] != '\0') {
        alert = alert_get_open(apply->store, source_id, decision->sent_dedup_key, apply->arena);
    }
    return alert;
}

/* Rules keep a trigger from becoming an alert. One that no rule routes still counts in the alert that it opened before. */
static bool is_aside(const struct occurrence *occurrence, const Tocsin__Alert *alert)
{
    const Tocsin__EventDecision *decision = occurrence->event->decision;
    if (occurrence->event->action != TOCSIN__EVENT_ACTION__EVENT_TRIGGER || decision == NULL) {
        return false;
    }
    if (is_test(occurrence->event) && occurrence->integration->service_id != 0) {
        return false;
    }
    return decision->disposition == TOCSIN__DISPOSITION__DISPOSITION_DROPPED ||
           (alert == NULL && occurrence->integration->service_id == 0);
}

static void happen(struct apply *apply, const struct occurrence *occurrence)
{
    const Tocsin__Event *event = occurrence->event;
    Tocsin__Alert *alert = alert_find(apply, occurrence);
    bool trigger = event->action == TOCSIN__EVENT_ACTION__EVENT_TRIGGER;
    if (is_aside(occurrence, alert)) {
        uint64_t orchestration_id = occurrence->event->decision->orchestration_id;
        orchestration_set_aside(apply, event,
                                orchestration_id != 0 ? orchestration_id : occurrence->integration->service_id,
                                occurrence->reply);
        return;
    }
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

/* What rules ask for the alert, and which of them. */
static struct hold_request asked_by_rules(const Tocsin__EventDecision *decision)
{
    struct hold_request asked = {0};
    if (decision != NULL) {
        asked.suppress = decision->suppress;
        asked.pause_s = decision->suspend_s;
    }
    if (decision != NULL && decision->held_by > 0 && decision->held_by <= decision->n_taken) {
        const Tocsin__RuleTaken *rule = decision->taken[decision->held_by - 1];
        asked.rule_id = rule->rule_id;
        asked.text = rule->rule_id != 0 ? rule->label : "the catch-all";
    }
    return asked;
}

void apply_event(struct apply *apply, const Tocsin__Event *event, Tocsin__Reply *reply)
{
    if (!orchestration_decided(apply, event, reply)) {
        return;
    }
    Tocsin__Integration *own = integration_get_by_key(apply->store, event->routing_key, apply->arena);
    const Tocsin__Integration *integration = own != NULL ? own : orchestration_source(apply, event);
    if (own != NULL && !is_test(event)) {
        integration_heard(apply, own);
    }
    if (integration == NULL) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_ROUTING_KEY,
                     "No integration has this routing key.");
        return;
    }
    struct occurrence occurrence = {.event = event,
                                    .integration = integration,
                                    .why = TOCSIN__WHY__WHY_EVENT,
                                    .why_over = TOCSIN__WHY__WHY_ALL_ALERTS_RESOLVED,
                                    .asked = asked_by_rules(event->decision),
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
