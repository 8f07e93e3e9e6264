/*
 * Incidents: opening, acknowledging, resolving, and what people ask for by request.
 *
 *                      acknowledge
 *     open ──> triggered ────────> acknowledged
 *                 │  ^                │  │
 *                 │  └────────────────┘  │   timeout, reassignment, escalation by hand
 *                 └──> resolved <────────┘   for good
 */
#include "consensus/machine/incidents/incidents.h"

#include <assert.h>
#include <string.h>

#include "consensus/machine/checks.h"
#include "consensus/machine/directory/contacts.h"
#include "consensus/machine/incidents/visibility.h"
#include "consensus/machine/incidents/grouping.h"
#include "consensus/machine/planted.h"

bool incident_is(const Tocsin__Incident *incident, Tocsin__IncidentStatus status)
{
    return incident->status == status;
}

bool incident_is_assigned(const Tocsin__Incident *incident, uint64_t user_id)
{
    for (size_t i = 0; i < incident->n_assignments; i++) {
        if (incident->assignments[i]->user_id == user_id) {
            return true;
        }
    }
    return false;
}

static uint64_t *deadline_field(Tocsin__Incident *incident, enum deadline_kind kind)
{
    switch (kind) {
    case DEADLINE_ESCALATE:
        return &incident->escalate_due_ms;
    case DEADLINE_ACKNOWLEDGEMENT:
        return &incident->acknowledgement_due_ms;
    case DEADLINE_GUARDIANS:
        return &incident->guardians_due_ms;
    case DEADLINE_AUTO_RESOLVE:
        return &incident->auto_resolve_due_ms;
    case DEADLINE_SNOOZE:
        return &incident->snooze_due_ms;
    case DEADLINE_ACKNOWLEDGE_TARGET:
        return &incident->acknowledge_target_due_ms;
    case DEADLINE_RESOLVE_TARGET:
        return &incident->resolve_target_due_ms;
    case DEADLINE_NOTIFICATION_RULE:
    case DEADLINE_NOTIFICATION_RETRY:
    case DEADLINE_RETENTION:
    case DEADLINE_URGENCY_CHANGE:
    case DEADLINE_SUPPORT_HOURS:
    case DEADLINE_SWAP:
    case DEADLINE_HOLD_END:
    case DEADLINE_HOLD_DRAIN:
    case DEADLINE_MAINTENANCE_END:
    case DEADLINE_MAINTENANCE_WARNING:
    case DEADLINE_MUTE_END:
    case DEADLINE_DRILL:
    case DEADLINE_HEARTBEATS_UNTOLD:
        break;
    }
    assert(!"not a deadline of an incident");
    return NULL;
}

void incident_deadline(struct apply *apply, Tocsin__Incident *incident, enum deadline_kind kind, uint64_t due_ms)
{
    uint64_t *due = deadline_field(incident, kind);
    if (*due == due_ms) {
        return;
    }
    if (*due != 0) {
        row_delete(apply, TABLE_DEADLINE, key_deadline(*due, kind, incident->id, 0));
    }
    *due = due_ms;
    if (due_ms != 0) {
        Tocsin__Deadline row = TOCSIN__DEADLINE__INIT;
        record_put(apply->store, TABLE_DEADLINE, key_deadline(due_ms, kind, incident->id, 0), &row.base);
    }
}

uint64_t incident_deadline_due(const Tocsin__Incident *incident, enum deadline_kind kind)
{
    Tocsin__Incident copy = *incident;
    return *deadline_field(&copy, kind);
}

Tocsin__Incident *incident_get_seen(struct apply *apply, uint64_t id, Tocsin__Reply *reply)
{
    Tocsin__Incident *incident = incident_get(apply->store, id, apply->arena);
    if (incident == NULL || !incident_seen_by(apply->store, apply->arena, incident, apply->actor)) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_OBJECT,
                     "The incident does not exist.");
        return NULL;
    }
    return incident;
}

Tocsin__Incident *incident_get_open(struct apply *apply, uint64_t id, Tocsin__Reply *reply)
{
    Tocsin__Incident *incident = incident_get_seen(apply, id, reply);
    if (incident == NULL) {
        return NULL;
    }
    if (incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED)) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_ALREADY_RESOLVED,
                     "The incident has already been resolved.");
        return NULL;
    }
    return incident;
}

void incident_set_status(struct apply *apply, Tocsin__Incident *incident, Tocsin__IncidentStatus status,
                         const Tocsin__Actor *by)
{
    incident->status = status;
    incident->last_status_change_at_ms = incident->updated_at_ms = apply->time_ms;
    incident->last_status_change_by = NULL;
    if (by != NULL) {
        Tocsin__Actor *actor = apply_alloc(apply, sizeof *actor);
        *actor = *by;
        incident->last_status_change_by = actor;
    }
}

/* ---------------------------------------------------------------- open */

Tocsin__Incident *incident_open(struct apply *apply, Tocsin__Service *service, const char *title,
                                Tocsin__Urgency urgency, const char *incident_key, Tocsin__Reply *reply)
{
    if (apply->store->count(apply->store->context, TABLE_INCIDENT_OPEN) >= LIMIT_OPEN_INCIDENTS) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_LIMIT, TOCSIN__REASON__REASON_TOO_MANY,
                     "There are %u open incidents already.", LIMIT_OPEN_INCIDENTS);
        return NULL;
    }
    Tocsin__Incident *incident = apply_alloc(apply, sizeof *incident);
    tocsin__incident__init(incident);
    incident->id = apply_new_id(apply);
    incident->number = apply->counters->next_incident_number++;
    if (incident->number == 1) {
        retention_begin(apply);
    }
    incident->title = apply_strdup(apply, title);
    incident->service_id = service->id;
    incident->escalation_policy_id = service->escalation_policy_id;
    incident->urgency = urgency;
    incident->incident_key = apply_strdup(apply, incident_key);
    incident->created_at_ms = apply->time_ms;
    incident_set_status(apply, incident, TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED, NULL);
    if (service->auto_resolve_timeout_s > 0) {
        incident_deadline(apply, incident, DEADLINE_AUTO_RESOLVE,
                          apply->time_ms + apply_seconds_ms(apply, service->auto_resolve_timeout_s));
    }
    index_put(apply, TABLE_INCIDENT_BY_NUMBER, key_1(incident->number), incident->id);
    index_put(apply, TABLE_INCIDENT_OPEN, key_1(incident->id), service->id);
    service->open_incidents++;
    service->last_incident_at_ms = apply->time_ms;
    return incident;
}

/* ---------------------------------------------------------------- acknowledge */

static bool has_acknowledged(const Tocsin__Incident *incident, uint64_t user_id)
{
    for (size_t i = 0; i < incident->n_acknowledgements; i++) {
        if (incident->acknowledgements[i]->user_id == user_id) {
            return true;
        }
    }
    return false;
}

static void acknowledgement_add(struct apply *apply, Tocsin__Incident *incident, uint64_t user_id)
{
    Tocsin__Assignment *acknowledgement = apply_alloc(apply, sizeof *acknowledgement);
    tocsin__assignment__init(acknowledgement);
    acknowledgement->user_id = user_id;
    acknowledgement->at_ms = apply->time_ms;
    Tocsin__Assignment **list =
        apply_alloc(apply, (incident->n_acknowledgements + 1) * sizeof *incident->acknowledgements);
    for (size_t i = 0; i < incident->n_acknowledgements; i++) {
        list[i] = incident->acknowledgements[i];
    }
    list[incident->n_acknowledgements++] = acknowledgement;
    incident->acknowledgements = list;
}

bool incident_acknowledge(struct apply *apply, Tocsin__Incident *incident, Tocsin__Why why, const Tocsin__Actor *by)
{
    assert(!incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED));
    bool person = by->kind == TOCSIN__ACTOR_KIND__ACTOR_USER && by->id != 0;
    bool was_acknowledged = incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED);
    if (was_acknowledged && (!person || has_acknowledged(incident, by->id))) {
        return false;
    }
    if (person) {
        acknowledgement_add(apply, incident, by->id);
        contact_page_answered(apply, incident->id, by->id);
    }
    targets_acknowledged(apply, incident);
    if (!was_acknowledged) {
        incident_set_status(apply, incident, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED, by);
        escalation_stop(apply, incident);
        if (!planted(ACKNOWLEDGED_STILL_OWED)) {
            outbox_withdraw(apply, incident, 0, TOCSIN__WHY__WHY_INCIDENT_ACKNOWLEDGED);
        }
    }
    const Tocsin__Service *service = service_get(apply->store, incident->service_id, apply->arena);
    uint32_t timeout_s = service != NULL ? service->acknowledgement_timeout_s : DEFAULT_ACKNOWLEDGEMENT_TIMEOUT_S;
    timeout_s = planted(ACKNOWLEDGEMENT_TIMEOUT_FORGOTTEN) ? 0 : timeout_s;
    bool snoozed = incident->snooze_due_ms != 0; /* holds until then */
    incident_deadline(apply, incident, DEADLINE_ACKNOWLEDGEMENT,
                      timeout_s > 0 && !snoozed ? apply->time_ms + apply_seconds_ms(apply, timeout_s) : 0);

    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_ACKNOWLEDGE, why, by);
    entry->user_id = person ? by->id : 0;
    entry->text = apply_printf(apply, "Acknowledged by %s%s.", by->name,
                               timeout_s > 0 || snoozed ? "" : "; this service's acknowledgements do not time out");
    timeline_put(apply, incident, entry);
    return true;
}

/* ---------------------------------------------------------------- resolve */

static void alerts_resolve(struct apply *apply, Tocsin__Incident *incident)
{
    struct walk walk = walk_under(apply->store, TABLE_ALERT, incident->id);
    while (incident->alerts_triggered > 0 && walk_next(&walk)) {
        Tocsin__Alert *alert = record_unpack(&tocsin__alert__descriptor, walk.value, apply->arena);
        if (alert != NULL && !alert->resolved) {
            alert_resolve(apply, incident, alert);
        }
    }
}

static void indexes_close(struct apply *apply, const Tocsin__Incident *incident)
{
    const struct machine_store *store = apply->store;
    row_delete(apply, TABLE_INCIDENT_OPEN, key_1(incident->id));
    if (incident->listed_by_key) {
        row_delete(apply, TABLE_INCIDENT_BY_KEY, key_1_hash(incident->service_id, incident->incident_key));
    }
    struct key closed = key_2(incident->resolved_at_ms, incident->id);
    store->put(store->context, TABLE_INCIDENT_CLOSED, key_span(&closed), (struct span){.data = "", .size_bytes = 0});
}

void incident_resolve(struct apply *apply, Tocsin__Incident *incident, Tocsin__Why why, const Tocsin__Actor *by)
{
    assert(!incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED));
    incident_set_status(apply, incident, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED, by);
    incident->resolved_at_ms = apply->time_ms;
    if (!planted(RESOLVED_STILL_ESCALATES)) {
        escalation_stop(apply, incident);
    }
    incident_deadline(apply, incident, DEADLINE_ACKNOWLEDGEMENT, 0);
    incident_deadline(apply, incident, DEADLINE_AUTO_RESOLVE, 0);
    incident_deadline(apply, incident, DEADLINE_SNOOZE, 0);
    targets_resolved(apply, incident);
    outbox_withdraw(apply, incident, 0, TOCSIN__WHY__WHY_INCIDENT_RESOLVED);
    alerts_resolve(apply, incident);
    grouping_end(apply, incident);
    indexes_close(apply, incident);
    Tocsin__Service *service = service_get(apply->store, incident->service_id, apply->arena);
    if (service != NULL && service->open_incidents > 0) {
        service->open_incidents--;
        service_put(apply->store, service);
    }
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_RESOLVE, why, by);
    entry->text = incident->resolution[0] != '\0'
                      ? apply_printf(apply, "Resolved by %s: %s", entry->agent->name, incident->resolution)
                      : apply_printf(apply, "Resolved by %s, because %s.", entry->agent->name, timeline_why(why));
    timeline_put(apply, incident, entry);
}

/* A trigger that comes again does not move the deadline, which would cost two rows an event: it is looked up here. */
void incident_auto_resolve_due(struct apply *apply, Tocsin__Incident *incident)
{
    const Tocsin__Service *service = service_get(apply->store, incident->service_id, apply->arena);
    if (service == NULL || service->auto_resolve_timeout_s == 0) {
        return;
    }
    uint64_t last_ms = incident->created_at_ms;
    struct walk walk = walk_under(apply->store, TABLE_ALERT, incident->id);
    while (walk_next(&walk)) {
        const Tocsin__Alert *alert = record_unpack(&tocsin__alert__descriptor, walk.value, apply->arena);
        if (alert != NULL && alert->updated_at_ms > last_ms) {
            last_ms = alert->updated_at_ms;
        }
    }
    uint64_t due_ms = last_ms + apply_seconds_ms(apply, service->auto_resolve_timeout_s);
    if (due_ms > apply->time_ms) {
        incident_deadline(apply, incident, DEADLINE_AUTO_RESOLVE, due_ms);
    } else {
        incident_resolve(apply, incident, TOCSIN__WHY__WHY_AUTO_RESOLVE, NULL);
    }
}

/* ---------------------------------------------------------------- requests: what is asked for, judged */

/* Each id once, in the order given; false, with the reply refused, when one is nobody's. */
static bool assignees_check(struct apply *apply, const uint64_t *user_ids, size_t count, Tocsin__Reply *reply)
{
    if (count > LIMIT_ASSIGNEES_PER_INCIDENT) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_LIMIT, TOCSIN__REASON__REASON_TOO_MANY,
                     "An incident has at most %u assignees.", LIMIT_ASSIGNEES_PER_INCIDENT);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (user_get(apply->store, user_ids[i], apply->arena) == NULL) {
            reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_USER,
                         "An assignee does not exist.");
            return false;
        }
    }
    return true;
}

static bool target_check(struct apply *apply, const uint64_t *user_ids, size_t count, uint64_t policy_id,
                         Tocsin__Reply *reply)
{
    if (count > 0 && policy_id != 0) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_ASSIGNEE_AND_POLICY,
                     "An incident is assigned to people or to an escalation policy, not to both.");
        return false;
    }
    if (policy_id != 0 && escalation_policy_get(apply->store, policy_id, apply->arena) == NULL) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_POLICY,
                     "The escalation policy does not exist.");
        return false;
    }
    return assignees_check(apply, user_ids, count, reply);
}

static bool refuse_value(struct apply *apply, Tocsin__Reply *reply, const char *message)
{
    reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE, "%s", message);
    return false;
}

static bool urgency_is_known(Tocsin__Urgency urgency)
{
    return urgency == TOCSIN__URGENCY__URGENCY_NONE || urgency == TOCSIN__URGENCY__URGENCY_HIGH ||
           urgency == TOCSIN__URGENCY__URGENCY_LOW;
}

/* ---------------------------------------------------------------- create */

static Tocsin__Service *create_check(struct apply *apply, const Tocsin__IncidentCreate *create, Tocsin__Reply *reply)
{
    Tocsin__Service *service = service_get(apply->store, create->service_id, apply->arena);
    if (service == NULL) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_SERVICE,
                     "The service does not exist.");
        return NULL;
    }
    if (service->disabled) {
        refuse_value(apply, reply, "The service is disabled.");
        return NULL;
    }
    if (!urgency_is_known(create->urgency)) {
        refuse_value(apply, reply, "The urgency of an incident is high or low.");
        return NULL;
    }
    if (!target_check(apply, create->assignee_ids, create->n_assignee_ids, create->escalation_policy_id, reply) ||
        !details_check(apply, NULL, create->details, create->details != NULL ? UINT64_MAX : 0, reply)) {
        return NULL;
    }
    uint64_t policy_id =
        create->escalation_policy_id != 0 ? create->escalation_policy_id : service->escalation_policy_id;
    if (create->details != NULL && !secret_check(apply, create->details->category, policy_id, reply)) {
        return NULL;
    }
    if (create->incident_key[0] != '\0' &&
        index_find(apply, TABLE_INCIDENT_BY_KEY, key_1_hash(service->id, create->incident_key)) != 0) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_INCIDENT_KEY_OPEN,
                     "An open incident of the service has this incident key.");
        return NULL;
    }
    return service;
}

/* To the people asked for, or to the policy. Somebody who makes an incident for herself has it: nobody is paged
 * (PagerDuty's "Creating an incident", contracts/pagerduty-rest-v2.md section 4). */
static void create_assign(struct apply *apply, const Tocsin__IncidentCreate *create, Tocsin__Incident *incident)
{
    if (create->n_assignee_ids == 0) {
        escalation_begin(apply, incident, 1, TOCSIN__WHY__WHY_POLICY_START, apply->actor);
        return;
    }
    bool for_oneself = create->n_assignee_ids == 1 && apply->actor->kind == TOCSIN__ACTOR_KIND__ACTOR_USER &&
                       apply->actor->id == create->assignee_ids[0];
    escalation_to_people(apply, incident, create->assignee_ids, create->n_assignee_ids, !for_oneself, apply->actor);
    if (for_oneself) {
        incident_acknowledge(apply, incident, TOCSIN__WHY__WHY_REQUEST, apply->actor);
    }
}

void apply_incident_create(struct apply *apply, const Tocsin__IncidentCreate *create, Tocsin__Reply *reply)
{
    Tocsin__Service *service = create_check(apply, create, reply);
    if (service == NULL) {
        return;
    }
    Tocsin__Urgency urgency = create->urgency;
    if (urgency == TOCSIN__URGENCY__URGENCY_NONE) {
        urgency = urgency_of_service(apply, service, TOCSIN__SEVERITY__SEVERITY_NONE);
    }
    Tocsin__Incident *incident = incident_open(apply, service, create->title, urgency, create->incident_key, reply);
    if (incident == NULL) {
        return;
    }
    service->last_tested_at_ms = create->test ? apply->time_ms : service->last_tested_at_ms;
    service_put(apply->store, service);
    incident->body = create->body;
    incident->test = create->test;
    incident->urgency_why = create->urgency != TOCSIN__URGENCY__URGENCY_NONE ? TOCSIN__WHY__WHY_REQUEST
                                                                             : urgency_why(apply, service);
    details_begin(apply, incident, create->details);
    if (create->escalation_policy_id != 0) {
        incident->escalation_policy_id = create->escalation_policy_id;
    }
    /* Incidents that people made are listed by key; those of events are found through their alert. */
    incident->listed_by_key = incident->incident_key[0] != '\0';
    if (incident->listed_by_key) {
        index_put(apply, TABLE_INCIDENT_BY_KEY, key_1_hash(service->id, incident->incident_key), incident->id);
    }
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_TRIGGER, TOCSIN__WHY__WHY_REQUEST,
                                           apply->actor);
    entry->text = create->title;
    incident->first_trigger_log_entry_id = entry->id;
    incident->trigger_log_entries++;
    timeline_put(apply, incident, entry);
    create_assign(apply, create, incident);
    incident_put(apply->store, incident);
    reply_id(apply, reply, incident->id);
}

/* ---------------------------------------------------------------- update */

static bool reassigns(const Tocsin__IncidentChange *change)
{
    return change->n_assignee_ids > 0 || change->escalation_policy_id != 0 || change->escalation_level != 0;
}

/* What is recorded for reports is recorded afterwards, too. */
static bool is_record_only(const Tocsin__IncidentChange *change)
{
    return change->details_fields != 0 && !reassigns(change) && change->title[0] == '\0' &&
           change->status == TOCSIN__INCIDENT_STATUS__INCIDENT_NONE &&
           change->urgency == TOCSIN__URGENCY__URGENCY_NONE;
}

static bool level_check(struct apply *apply, const Tocsin__IncidentChange *change, const Tocsin__Incident *incident,
                        Tocsin__Reply *reply)
{
    if (change->escalation_level == 0) {
        return true;
    }
    if (change->n_assignee_ids > 0) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_ASSIGNEE_AND_POLICY,
                     "An incident is assigned to people or escalated to a level, not both.");
        return false;
    }
    uint64_t policy_id =
        change->escalation_policy_id != 0 ? change->escalation_policy_id : incident->escalation_policy_id;
    const Tocsin__EscalationPolicy *policy = escalation_policy_get(apply->store, policy_id, apply->arena);
    if (policy == NULL || change->escalation_level > policy->n_levels) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_LEVEL_OUT_OF_RANGE,
                     "The escalation policy has no level %u.", change->escalation_level);
        return false;
    }
    return true;
}

static bool category_check(struct apply *apply, const Tocsin__IncidentChange *change, const Tocsin__Incident *incident,
                           Tocsin__Reply *reply)
{
    bool other_category =
        field_given(change->details_fields, &tocsin__incident_details__descriptor, "category") && change->details != NULL;
    if (!other_category && change->escalation_policy_id == 0) {
        return true;
    }
    return secret_check(apply, other_category ? change->details->category : incident_details(incident)->category,
                        change->escalation_policy_id != 0 ? change->escalation_policy_id : incident->escalation_policy_id,
                        reply);
}

static bool change_check(struct apply *apply, const Tocsin__IncidentChange *change, const Tocsin__Incident *incident,
                         Tocsin__Reply *reply)
{
    if (incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED) && !is_record_only(change)) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_ALREADY_RESOLVED,
                     "The incident has already been resolved.");
        return false;
    }
    if (!urgency_is_known(change->urgency)) {
        return refuse_value(apply, reply, "The urgency of an incident is high or low.");
    }
    if (change->status == TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED &&
        incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED)) {
        return refuse_value(apply, reply, "An acknowledged incident is triggered again by assigning it anew.");
    }
    if (reassigns(change) && change->status != TOCSIN__INCIDENT_STATUS__INCIDENT_NONE) {
        return refuse_value(apply, reply, "One change sets the status or assigns anew, not both.");
    }
    return target_check(apply, change->assignee_ids, change->n_assignee_ids, change->escalation_policy_id, reply) &&
           level_check(apply, change, incident, reply) &&
           details_check(apply, incident, change->details, change->details_fields, reply) &&
           category_check(apply, change, incident, reply);
}

static void change_title(struct apply *apply, Tocsin__Incident *incident, const char *title)
{
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_FIELD_VALUE_CHANGE,
                                           TOCSIN__WHY__WHY_REQUEST, apply->actor);
    entry->text = apply_printf(apply, "%s changed the title to \"%s\".", entry->agent->name, title);
    incident->title = apply_strdup(apply, title);
    timeline_put(apply, incident, entry);
}

static void change_urgency(struct apply *apply, Tocsin__Incident *incident, Tocsin__Urgency urgency)
{
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_URGENCY_CHANGE,
                                           TOCSIN__WHY__WHY_REQUEST, apply->actor);
    entry->text = apply_printf(apply, "%s changed the urgency to %s.", entry->agent->name,
                               urgency == TOCSIN__URGENCY__URGENCY_LOW ? "low" : "high");
    incident->urgency = urgency;
    incident->urgency_why = TOCSIN__WHY__WHY_REQUEST;
    timeline_put(apply, incident, entry);
}

static void change_assignment(struct apply *apply, Tocsin__Incident *incident, const Tocsin__IncidentChange *change)
{
    if (change->n_assignee_ids > 0) {
        escalation_to_people(apply, incident, change->assignee_ids, change->n_assignee_ids, true, apply->actor);
    } else if (change->escalation_policy_id != 0) {
        incident->escalation_policy_id = change->escalation_policy_id;
        escalation_begin(apply, incident, change->escalation_level != 0 ? change->escalation_level : 1,
                         TOCSIN__WHY__WHY_REQUEST, apply->actor);
    } else {
        escalation_to_level(apply, incident, change->escalation_level, apply->actor);
    }
}

static void change_apply(struct apply *apply, Tocsin__Incident *incident, const Tocsin__IncidentChange *change)
{
    if (change->title[0] != '\0' && strcmp(change->title, incident->title) != 0) {
        change_title(apply, incident, change->title);
    }
    bool other_category = details_change(apply, incident, change->details, change->details_fields);
    bool other_urgency = change->urgency != TOCSIN__URGENCY__URGENCY_NONE && change->urgency != incident->urgency;
    if (other_urgency) {
        change_urgency(apply, incident, change->urgency);
    }
    if (reassigns(change)) {
        change_assignment(apply, incident, change);
    } else if (change->status == TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED) {
        incident_acknowledge(apply, incident, TOCSIN__WHY__WHY_REQUEST, apply->actor);
    } else if (change->status == TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED) {
        incident->resolution = change->resolution;
        incident_resolve(apply, incident, TOCSIN__WHY__WHY_REQUEST, apply->actor);
    } else if ((other_urgency || other_category) && incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED)) {
        escalation_renew(apply, incident);
    }
}

static Tocsin__Reply *part_new(struct apply *apply)
{
    Tocsin__Reply *part = apply_alloc(apply, sizeof *part);
    tocsin__reply__init(part);
    return part;
}

void apply_incident_update(struct apply *apply, const Tocsin__IncidentUpdate *update, Tocsin__Reply *reply)
{
    if (update->n_changes > LIMIT_INCIDENTS_PER_UPDATE) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_LIMIT, TOCSIN__REASON__REASON_TOO_MANY,
                     "One request changes at most %u incidents.", LIMIT_INCIDENTS_PER_UPDATE);
        return;
    }
    reply->parts = apply_alloc(apply, (update->n_changes + 1) * sizeof *reply->parts);
    for (size_t i = 0; i < update->n_changes; i++) {
        const Tocsin__IncidentChange *change = update->changes[i];
        Tocsin__Reply *part = part_new(apply);
        reply->parts[reply->n_parts++] = part;
        Tocsin__Incident *incident = incident_get_seen(apply, change->id, part);
        if (incident != NULL && change_check(apply, change, incident, part)) {
            change_apply(apply, incident, change);
            incident_put(apply->store, incident);
            reply_id(apply, part, incident->id);
        }
        reply_id(apply, reply, change->id);
    }
}

/* ---------------------------------------------------------------- notes */

void apply_note_create(struct apply *apply, const Tocsin__NoteCreate *note, Tocsin__Reply *reply)
{
    Tocsin__Incident *incident = incident_get_seen(apply, note->incident_id, reply);
    if (incident == NULL) {
        return;
    }
    if (incident->notes >= LIMIT_NOTES_PER_INCIDENT) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_LIMIT, TOCSIN__REASON__REASON_TOO_MANY,
                     "An incident has at most %u notes.", LIMIT_NOTES_PER_INCIDENT);
        return;
    }
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_ANNOTATE, TOCSIN__WHY__WHY_REQUEST,
                                           apply->actor);
    entry->text = note->content;
    entry->user_id = apply->actor->kind == TOCSIN__ACTOR_KIND__ACTOR_USER ? apply->actor->id : 0;
    incident->notes++;
    timeline_put(apply, incident, entry);
    incident_put(apply->store, incident);
    reply_id(apply, reply, entry->id);
}
