/* Incidents as PagerDuty's clients read them. */
#include "consensus/machine/limits.h"
#include "node/api/incidents/incidents.h"
#include "node/api/people/people.h"
#include "node/api/render.h"
#include "node/api/services/catalog.h"
#include "node/api/teams/teams.h"

/* A reference, or the whole user when the query includes `what` (or users). */
static json_t *person(struct http_request *request, const struct machine_store *view, uint64_t id, const char *what)
{
    bool whole = query_has(request, "include", what) || query_has(request, "include", "users");
    const Tocsin__User *user = whole ? user_get(view, id, request_memory(request)) : NULL;

    return user != NULL ? render_user(request, view, user) : reference_user(request, view, id);
}

/* [{at, assignee}] or [{at, acknowledger}] */
static json_t *people(struct http_request *request, const struct machine_store *view, Tocsin__Assignment *const *list,
                      size_t count, const char *role, const char *include)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++) {
        json_array_append_new(array, json_pack("{s:o, s:o}", "at", json_time(list[i]->at_ms), role,
                                               person(request, view, list[i]->user_id, include)));
    }
    return array;
}

static json_t *service_of(struct http_request *request, const struct machine_store *view, uint64_t id)
{
    const Tocsin__Service *service =
        query_has(request, "include", "services") ? service_get(view, id, request_memory(request)) : NULL;

    return service != NULL ? render_service(request, view, service) : reference_service(request, view, id);
}

static json_t *policy_of(struct http_request *request, const struct machine_store *view, uint64_t id)
{
    const Tocsin__EscalationPolicy *policy = query_has(request, "include", "escalation_policies")
                                                 ? escalation_policy_get(view, id, request_memory(request))
                                                 : NULL;

    return policy != NULL ? render_escalation_policy(request, view, policy)
                          : reference_escalation_policy(request, view, id);
}

/* What will happen by itself. */
static json_t *pending_actions(const Tocsin__Incident *incident)
{
    const struct {
        const char *type;
        uint64_t at_ms;
    } actions[] = {
        {"escalate", incident->escalate_due_ms},
        {"unacknowledge", incident->acknowledgement_due_ms},
        {"unacknowledge", incident->snooze_due_ms},
        {"resolve", incident->auto_resolve_due_ms},
    };
    json_t *array = json_array();

    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (actions[i].at_ms != 0) {
            json_array_append_new(array,
                                  json_pack("{s:s, s:o}", "type", actions[i].type, "at", json_time(actions[i].at_ms)));
        }
    }
    return array;
}

static json_t *first_trigger(struct http_request *request, const struct machine_store *view,
                             const Tocsin__Incident *incident)
{
    char id[16], entry[16];

    if (incident->first_trigger_log_entry_id == 0) {
        return json_null();
    }
    const Tocsin__LogEntry *whole = query_has(request, "include", "first_trigger_log_entries")
                                        ? log_entry_get(view, incident->id, incident->first_trigger_log_entry_id,
                                                        request_memory(request))
                                        : NULL;
    if (whole != NULL) {
        return render_log_entry(request, view, incident, whole);
    }
    id_format(incident->id, id);
    id_format(incident->first_trigger_log_entry_id, entry);
    return render_head(incident->first_trigger_log_entry_id, "trigger_log_entry_reference", incident->title,
                       render_self(request, "/log_entries/%s?incident_id=%s", entry, id));
}

/* Only a merge is a reason of PagerDuty's. */
static json_t *resolve_reason(struct http_request *request, const struct machine_store *view,
                              const Tocsin__Incident *incident)
{
    const Tocsin__Incident *target =
        incident->merged_into_id != 0 ? incident_get(view, incident->merged_into_id, request_memory(request)) : NULL;

    return target != NULL && incident_visible(request, view, target)
               ? json_pack("{s:s, s:o}", "type", "merge_resolve_reason", "incident",
                                      reference_incident(request, target))
                          : json_null();
}

/* Who and what it is about. */
static void add_relations(struct http_request *request, const struct machine_store *view,
                          const Tocsin__Incident *incident, json_t *object)
{
    json_object_set_new(object, "service", service_of(request, view, incident->service_id));
    json_object_set_new(object, "teams", render_teams_of_policy(request, view, incident->escalation_policy_id));
    json_object_set_new(object, "escalation_policy", policy_of(request, view, incident->escalation_policy_id));
    json_object_set_new(object, "assigned_via",
                        json_string(incident->level > 0 ? "escalation_policy" : "direct_assignment"));
    json_object_set_new(object, "assignments",
                        people(request, view, incident->assignments, incident->n_assignments, "assignee", "assignees"));
    json_object_set_new(object, "acknowledgements",
                        people(request, view, incident->acknowledgements, incident->n_acknowledgements, "acknowledger",
                               "acknowledgers"));
    json_object_set_new(object, "last_status_change_by",
                        reference_actor(request, view, incident->last_status_change_by, incident->service_id));
    json_object_set_new(object, "first_trigger_log_entry", first_trigger(request, view, incident));
}

/* What PagerDuty has and Tocsin does not: clients read these without asking whether they are there. */
static void add_absent(json_t *object)
{
    static const char *const nulls[] = {"alert_grouping"};
    static const char *const arrays[] = {"subscriber_requests",
                                         "impacted_services"};

    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++) {
        json_object_set_new(object, nulls[i], json_null());
    }
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        json_object_set_new(object, arrays[i], json_array());
    }
    json_object_set_new(object, "incident_type", json_pack("{s:s}", "name", "incident_default"));
}

/* A service that makes incidents only shows no alerts. */
static json_t *alert_counts(const Tocsin__Incident *incident)
{
    json_int_t triggered = incident->alerts_hidden ? 0 : incident->alerts_triggered;
    json_int_t resolved = incident->alerts_hidden ? 0 : incident->alerts_resolved;

    return json_pack("{s:I, s:I, s:I}", "all", triggered + resolved, "triggered", triggered, "resolved", resolved);
}

json_t *render_incident(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__Incident *incident = record;
    json_t *object = reference_incident(request, incident);

    json_object_set_new(object, "type", json_string("incident"));
    json_object_set_new(object, "incident_number", json_integer((json_int_t)incident->number));
    json_object_set_new(object, "title", json_string(incident->title));
    json_object_set_new(object, "description", json_string(incident->title));
    json_object_set_new(object, "created_at", json_time(incident->created_at_ms));
    json_object_set_new(object, "updated_at", json_time(incident->updated_at_ms));
    json_object_set_new(object, "status", json_word(words_incident_status, (int)incident->status));
    json_object_set_new(object, "urgency", json_word(words_urgency, (int)incident->urgency));
    json_object_set_new(object, "incident_key", json_text(incident->incident_key));
    json_object_set_new(object, "last_status_change_at", json_time(incident->last_status_change_at_ms));
    json_object_set_new(object, "resolved_at", json_time(incident->resolved_at_ms));
    json_object_set_new(object, "alert_counts", alert_counts(incident));
    json_object_set_new(object, "pending_actions", pending_actions(incident));
    json_object_set_new(object, "body",
                        incident->body[0] != '\0'
                            ? json_pack("{s:s, s:s}", "type", "incident_body", "details", incident->body)
                            : json_null());
    json_object_set_new(object, "is_mergeable",
                        json_boolean(incident->status != TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED));
    json_object_set_new(object, "resolve_reason", resolve_reason(request, view, incident));
    render_recorded(request, view, incident, object);
    render_responders(request, view, incident, object);
    json_object_set_new(object, "resolution", json_text(incident->resolution)); /* ours, as are the two below */
    json_object_set_new(object, "escalation_level", json_integer(incident->level));
    json_object_set_new(object, "escalation_exhausted", json_boolean(incident->exhausted));
    add_relations(request, view, incident, object);
    add_absent(object);
    return object;
}
