/*
 * What the outside asks for: events of sources, incidents by hand, changes of incidents.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/records.h"
#include "tests/sim/model/model_internal.h"

/* ---------------------------------------------------------------- events */

static bool is_low(const struct service *service, Tocsin__Severity severity)
{
    bool minor = severity == TOCSIN__SEVERITY__SEVERITY_WARNING || severity == TOCSIN__SEVERITY__SEVERITY_INFO;
    return service->urgency == TOCSIN__URGENCY__URGENCY_LOW ||
           (service->urgency == TOCSIN__URGENCY__URGENCY_SEVERITY_BASED && minor);
}

static struct incident *incident_open(struct model *model, const struct service *service, bool low,
                                      const Tocsin__Reply *reply)
{
    struct incident *incident = calloc(1, sizeof *incident);
    if (incident == NULL) {
        abort();
    }
    *list_add(&model->incidents) = incident;
    incident->number = ++model->last_number;
    incident->id = model_named(reply);
    incident->service_id = service->id;
    incident->policy_id = service->policy_id;
    incident->low = low;
    incident->opened_ms = incident->status_since_ms = model->now_ms;
    if (service->auto_resolve_timeout_s > 0) {
        incident->auto_resolve_ms = model->now_ms + (uint64_t)service->auto_resolve_timeout_s * model->minute_ms / 60;
    }
    model->counts.incidents++;
    return incident;
}

/* One that was opened by the same entry, without a request, has no name yet: then the answer names it. */
static bool counted_for(const struct model *model, struct incident *incident, const Tocsin__Reply *reply)
{
    if (reply != NULL && incident->id == 0 && incident->number > model->last_named_number) {
        incident->id = model_named(reply);
    }
    return reply == NULL || (incident->id != 0 && model_named(reply) == incident->id);
}

static void event_of_known(struct model *model, const Tocsin__Event *event, struct incident *incident,
                           struct alert *alert, const Tocsin__Reply *reply)
{
    if (!counted_for(model, incident, reply)) {
        model_broken(model,
                     "entry %" PRIu64 ": an event of key %s belongs to incident %" PRIu64 ", and was counted elsewhere",
                     model->index, event->dedup_key, incident->number);
    }
    if (event->action == TOCSIN__EVENT_ACTION__EVENT_TRIGGER) {
        alert->heard_ms = model->now_ms;
    } else if (event->action == TOCSIN__EVENT_ACTION__EVENT_ACKNOWLEDGE) {
        model_incident_acknowledge(model, incident, 0);
    } else {
        model_alert_over(model, incident, alert);
    }
}

/* Whoever has the incident hears of it only when it was thought less urgent; who acknowledged it did not know. */
static void joins(struct model *model, const struct service *service, struct incident *incident, const struct firing *firing,
                  const Tocsin__Reply *reply)
{
    if (!counted_for(model, incident, reply)) {
        model_broken(model, "entry %" PRIu64 ": an alert of key %s is the same trouble as incident %" PRIu64 ", and was counted elsewhere",
                     model->index, firing->dedup_key, incident->number);
    }
    model->counts.alerts_joined++;
    model_alert_add(incident, firing->source_id, firing->dedup_key, firing->heard_ms);
    if (incident->low && !is_low(service, firing->severity)) {
        incident->low = false;
        model_incident_tell_again(model, incident);
    }
}

static struct incident *opens(struct model *model, const struct service *service, const struct firing *firing, const Tocsin__Reply *reply)
{
    struct incident *incident = incident_open(model, service, is_low(service, firing->severity), reply);
    model_alert_add(incident, firing->source_id, firing->dedup_key, firing->heard_ms);
    if (reply != NULL && incident->id == 0) {
        model_broken(model, "entry %" PRIu64 ": a trigger of key %s was answered with 2xx and opened no incident",
                     model->index, firing->dedup_key);
    }
    model_incident_begin_policy(model, incident, 1);
    return incident;
}

void model_alert_opens(struct model *model, const struct firing *firing, const Tocsin__Reply *reply)
{
    const struct service *service = model_service(model, firing->service_id);
    struct incident *incident = model_group_of(model, service, firing->kinds);
    if (incident != NULL) {
        joins(model, service, incident, firing, reply);
    } else {
        incident = opens(model, service, firing, reply);
    }
    model_group_take(model, incident, firing->kinds);
}

/* It opens an incident, if nothing holds it back; `before`: as it is held already, NULL when it is new. True when it did. */
static bool fires(struct model *model, struct held *before, const struct firing *firing, const Tocsin__Reply *reply)
{
    if (before != NULL) {
        model_held_repeat(model, before, firing);
        return false; /* what it opens then, the answer does not name */
    }
    bool held = model_held_begin(model, firing);
    if (!held) {
        model_alert_opens(model, firing, reply);
    }
    return !held;
}

void model_incident_event(struct model *model, const Tocsin__Event *event, const Tocsin__Reply *reply)
{
    const struct source *source = model_source(model, event->routing_key);
    if (!model_accepted(model, reply, source != NULL, "an event") || source == NULL) {
        return;
    }
    struct incident *incident;
    struct alert *alert = model_alert_find(model, source->id, event->dedup_key, &incident);
    const struct service *service = model_service(model, source->service_id);
    struct held *held = model_held_find(model, source->id, event->dedup_key);
    bool opened = false;
    if (alert != NULL) {
        event_of_known(model, event, incident, alert, reply);
    } else if (held != NULL && event->action == TOCSIN__EVENT_ACTION__EVENT_RESOLVE) {
        model_held_resolve(model, held);
    } else if (event->action == TOCSIN__EVENT_ACTION__EVENT_TRIGGER && (held != NULL || !service->disabled)) {
        char *kinds = model_grouping_kinds(service, event);
        const struct firing firing = {source->id, service->id, event->dedup_key, event->severity, model->now_ms, kinds};
        opened = fires(model, held, &firing, reply);
        free(kinds);
    }
    if (alert == NULL && !opened && model_named(reply) != 0) {
        model_broken(model, "entry %" PRIu64 ": an event that concerns no incident was counted for one", model->index);
    }
}

/* ---------------------------------------------------------------- the cluster itself */

/* The name that it gives to a service of its own is not known before the entry's end. */
#define NOT_NAMED_YET UINT64_MAX
#define SOURCE_BLINDNESS (UINT64_MAX - 1)
#define SOURCE_CONDITIONS (UINT64_MAX - 2)
#define SOURCE_DRILLS (UINT64_MAX - 3)

static void incident_of_cluster(struct model *model, uint64_t source_id, const char *key, uint64_t service_id, Tocsin__Severity severity,
                                bool wrong)
{
    struct incident *incident;
    struct alert *alert = model_alert_find(model, source_id, key, &incident);
    const struct service *service = model_service(model, service_id);
    struct held *held = model_held_find(model, source_id, key);
    if (alert != NULL && wrong) {
        alert->heard_ms = model->now_ms;
    } else if (alert != NULL) {
        model_alert_over(model, incident, alert);
    } else if (held != NULL && !wrong) {
        model_held_resolve(model, held);
    } else if (wrong && (held != NULL || !service->disabled)) {
        Tocsin__Event event = TOCSIN__EVENT__INIT; /* of what else it says nothing is known here */
        event.severity = severity;
        char *kinds = model_grouping_kinds(service, &event);
        (void)fires(model, held, &(struct firing){source_id, service_id, key, severity, model->now_ms, kinds}, NULL);
        free(kinds);
    }
}

void model_incident_of_cluster(struct model *model, uint64_t source_id, uint64_t service_id, bool wrong)
{
    incident_of_cluster(model, source_id, "", service_id, TOCSIN__SEVERITY__SEVERITY_CRITICAL, wrong);
}

bool model_is_told_of(const struct model *model, uint64_t source_id)
{
    struct incident *incident;
    return model_alert_find(model, source_id, "", &incident) != NULL || model_held_find(model, source_id, "") != NULL;
}

/* The service of the cluster's own, made when it is first needed. */
static uint64_t own_service(struct model *model)
{
    if (model->own_service_id == 0) {
        model->own_service_id = NOT_NAMED_YET;
        struct service *service = list_add(&model->services);
        service->id = NOT_NAMED_YET;
        service->name = model_copy("Tocsin");
        service->urgency = TOCSIN__URGENCY__URGENCY_SEVERITY_BASED;
    }
    return model->own_service_id;
}

void model_incident_of_blindness(struct model *model)
{
    model_incident_of_cluster(model, SOURCE_BLINDNESS, own_service(model), true);
}

/* Elections and what was lost on the way are over by then. */
#define HEALED_FOR_MS 30000u

/* Wall clocks stay as wrong as they were made, and versions may differ for good. */
static bool depends_on_trouble(const char *key)
{
    return strstr(key, "/missing") != NULL || strstr(key, "/lagging") != NULL;
}

/* Told once, until it is over; what a person makes of the incident meanwhile changes nothing of that. */
void model_incident_of_condition(struct model *model, const Tocsin__ClusterNotice *notice)
{
    size_t at = 0;
    while (at < model->conditions.count && strcmp(model->conditions.items[at], notice->key) != 0) {
        at++;
    }
    if ((at < model->conditions.count) != notice->ended) {
        return;
    }
    incident_of_cluster(model, SOURCE_CONDITIONS, notice->key, own_service(model), (Tocsin__Severity)notice->severity, !notice->ended);
    if (notice->ended) {
        free(model->conditions.items[at]);
        list_remove(&model->conditions, at);
    } else {
        *list_add(&model->conditions) = model_copy(notice->key);
        model->counts.conditions++;
        if (depends_on_trouble(notice->key) && model->healed && model->true_ms > model->healed_true_ms + HEALED_FOR_MS + 2u * model->minute_ms) {
            model_broken(model, "entry %" PRIu64 ": everything is whole, and nodes hold that %s", model->index, notice->summary);
        }
    }
}

void model_incident_of_drill(struct model *model, const char *key, bool wrong)
{
    incident_of_cluster(model, SOURCE_DRILLS, key, own_service(model), TOCSIN__SEVERITY__SEVERITY_ERROR, wrong);
}

void model_conditions_finish(struct model *model)
{
    for (size_t i = 0; i < model->conditions.count; i++) {
        if (depends_on_trouble(model->conditions.items[i])) {
            model_broken(model, "everything is whole, and %s was not said to be over", model->conditions.items[i]);
        }
    }
}

void model_own_service_named(struct model *model, uint64_t id)
{
    struct service *service = model_service(model, NOT_NAMED_YET); /* NULL: something else of the entry has named it */
    if (service != NULL) {
        service->id = model->own_service_id = id;
    }
}

/* What was opened without a request is called what the state calls it. */
void model_incidents_name(struct model *model, const struct machine_store *names)
{
    size_t i = model->incidents.count;
    while (i > 0 && model->incidents.items[i - 1]->number > model->last_named_number) {
        i--;
    }
    for (; i < model->incidents.count; i++) {
        struct incident *incident = model->incidents.items[i];
        if (incident->id != 0) {
            continue;
        }
        Tocsin__Incident *named = incident_get_by_number(names, incident->number, NULL);
        if (named == NULL) {
            model_broken(model, "entry %" PRIu64 ": incident %" PRIu64 " should have been opened, and is not there",
                         model->index, incident->number);
            return;
        }
        incident->id = named->id;
        if (incident->service_id == NOT_NAMED_YET) {
            model_own_service_named(model, named->service_id);
            incident->service_id = named->service_id;
        }
        tocsin__incident__free_unpacked(named, NULL);
    }
    model->last_named_number = model->last_number;
}

/* ---------------------------------------------------------------- requests */

static bool people_are_known(struct model *model, const uint64_t *people, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (model_person(model, people[i]) == NULL) {
            return false;
        }
    }
    return count <= LIMIT_ASSIGNEES_PER_INCIDENT;
}

static bool target_is_lawful(struct model *model, const uint64_t *people, size_t count, uint64_t policy_id)
{
    return (count == 0 || policy_id == 0) && (policy_id == 0 || model_policy(model, policy_id) != NULL) &&
           people_are_known(model, people, count);
}

static bool key_is_open(const struct model *model, uint64_t service_id, const char *key)
{
    for (size_t i = 0; i < model->incidents.count; i++) {
        const struct incident *incident = model->incidents.items[i];
        if (incident->status != RESOLVED && incident->service_id == service_id && incident->key != NULL &&
            strcmp(incident->key, key) == 0) {
            return true;
        }
    }
    return false;
}

uint64_t model_acting_person(const struct model *model)
{
    return model->actor->kind == TOCSIN__ACTOR_KIND__ACTOR_USER ? model->actor->id : 0;
}

void model_incident_create(struct model *model, const Tocsin__IncidentCreate *create, const Tocsin__Reply *reply)
{
    const struct service *service = model_service(model, create->service_id);
    bool keyed = create->incident_key[0] != '\0';
    bool lawful = service != NULL && !service->disabled && create->urgency != TOCSIN__URGENCY__URGENCY_SEVERITY_BASED &&
                  target_is_lawful(model, create->assignee_ids, create->n_assignee_ids, create->escalation_policy_id) &&
                  (!keyed || !key_is_open(model, create->service_id, create->incident_key));
    if (!model_accepted(model, reply, lawful, "an incident") || !lawful) {
        return;
    }
    bool low = create->urgency == TOCSIN__URGENCY__URGENCY_LOW ||
               (create->urgency == TOCSIN__URGENCY__URGENCY_NONE && service->urgency == TOCSIN__URGENCY__URGENCY_LOW);
    struct incident *incident = incident_open(model, service, low, reply);
    incident->key = keyed ? model_copy(create->incident_key) : NULL;
    incident->policy_id = create->escalation_policy_id != 0 ? create->escalation_policy_id : service->policy_id;
    if (create->n_assignee_ids == 0) {
        model_incident_begin_policy(model, incident, 1);
        return;
    }
    model_incident_give_by_hand(model, incident, create->assignee_ids, create->n_assignee_ids);
    if (create->n_assignee_ids == 1 && create->assignee_ids[0] == model_acting_person(model)) {
        model_incident_acknowledge(model, incident, create->assignee_ids[0]); /* who makes it for herself has it */
    } else {
        model_incident_tell_by_hand(model, incident);
    }
}

static bool assigns(const Tocsin__IncidentChange *change)
{
    return change->n_assignee_ids > 0 || change->escalation_policy_id != 0 || change->escalation_level != 0;
}

static bool level_is_lawful(struct model *model, const struct incident *incident, const Tocsin__IncidentChange *change)
{
    uint64_t policy_id = change->escalation_policy_id != 0 ? change->escalation_policy_id : incident->policy_id;
    const struct policy *policy = model_policy(model, policy_id);
    return change->n_assignee_ids == 0 && policy != NULL && change->escalation_level <= policy->levels_count;
}

static bool change_is_lawful(struct model *model, const struct incident *incident, const Tocsin__IncidentChange *change)
{
    if (incident == NULL || incident->status == RESOLVED ||
        change->urgency == TOCSIN__URGENCY__URGENCY_SEVERITY_BASED) {
        return false;
    }
    bool triggers = change->status == TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED;
    if ((triggers && incident->status == ACKNOWLEDGED) ||
        (assigns(change) && change->status != TOCSIN__INCIDENT_STATUS__INCIDENT_NONE)) {
        return false;
    }
    return target_is_lawful(model, change->assignee_ids, change->n_assignee_ids, change->escalation_policy_id) &&
           (change->escalation_level == 0 || level_is_lawful(model, incident, change));
}

static void assign(struct model *model, struct incident *incident, const Tocsin__IncidentChange *change)
{
    if (change->n_assignee_ids > 0) {
        model_incident_give_by_hand(model, incident, change->assignee_ids, change->n_assignee_ids);
        model_incident_tell_by_hand(model, incident);
    } else if (change->escalation_policy_id != 0) {
        incident->policy_id = change->escalation_policy_id;
        model_incident_begin_policy(model, incident, change->escalation_level != 0 ? change->escalation_level : 1);
    } else {
        incident->pass = incident->exhausted ? 0 : incident->pass;
        incident->level = change->escalation_level;
        model_incident_walk_levels(model, incident);
    }
}

static void change_hear(struct model *model, struct incident *incident, const Tocsin__IncidentChange *change)
{
    bool low = change->urgency == TOCSIN__URGENCY__URGENCY_LOW;
    bool other_urgency = change->urgency != TOCSIN__URGENCY__URGENCY_NONE && low != incident->low;
    incident->low = other_urgency ? low : incident->low;
    if (assigns(change)) {
        assign(model, incident, change);
    } else if (change->status == TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED) {
        model_incident_acknowledge(model, incident, model_acting_person(model));
    } else if (change->status == TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED) {
        model_incident_resolve(model, incident);
    } else if (other_urgency && incident->status == TRIGGERED) {
        model_incident_tell_again(model, incident);
    }
}

void model_incident_update(struct model *model, const Tocsin__IncidentUpdate *update, const Tocsin__Reply *reply)
{
    if (!model_accepted(model, reply, update->n_changes <= LIMIT_INCIDENTS_PER_UPDATE, "changes of incidents")) {
        return;
    }
    for (size_t i = 0; i < update->n_changes; i++) {
        const Tocsin__IncidentChange *change = update->changes[i];
        struct incident *incident = model_incident_find_id(model, change->id);
        bool lawful = change_is_lawful(model, incident, change);
        const Tocsin__Reply *part = reply != NULL && i < reply->n_parts ? reply->parts[i] : NULL;
        if (part != NULL && (part->status == TOCSIN__STATUS__STATUS_OK) != lawful) {
            model_broken(model, "entry %" PRIu64 ": a change of incident %" PRIu64 " was %s", model->index,
                         incident != NULL ? incident->number : 0,
                         lawful ? "refused without need" : "accepted, though it must be refused");
        }
        if (lawful) {
            change_hear(model, incident, change);
        }
    }
}

void model_incident_report(struct model *model, const Tocsin__LastGaspReport *report)
{
    for (size_t i = 0; i < report->n_items; i++) {
        const Tocsin__GaspAnswer *answer = report->items[i]->body_case == TOCSIN__GASP_ITEM__BODY_ANSWER ? report->items[i]->answer : NULL;
        struct incident *incident = answer != NULL ? model_incident_find_id(model, answer->incident_id) : NULL;
        /* What was sent changes nothing; what is over stays over; what has changed since is not what was answered. */
        if (incident == NULL || incident->status == RESOLVED || incident->status_since_ms > report->items[i]->at_ms) {
            continue;
        }
        if (answer->resolves) {
            model_incident_resolve(model, incident);
        } else {
            model_incident_acknowledge(model, incident, answer->actor_kind == TOCSIN__ACTOR_KIND__ACTOR_USER ? answer->actor_id : 0);
        }
    }
}
