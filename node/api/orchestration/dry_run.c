/*
 * Trying rules without doing anything: the same code that decides on events, with a note of each rule and each comparison that
 * it looked at. And the events that became no alert because of rules.
 */
#include "node/api/orchestration/event_submit.h"
#include "node/api/orchestration/paths.h"

/* ---------------------------------------------------------------- dry run */

struct trial {
    struct decide_from from;
    const Tocsin__Event *event;
};

static void add_bytes(json_t *object, const char *name, ProtobufCBinaryData json)
{
    json_t *value = json.len > 0 ? json_loadb((const char *)json.data, json.len, 0, NULL) : NULL;
    json_object_set_new(object, name, value != NULL ? value : json_null());
}

static json_t *render_event(const Tocsin__Event *event)
{
    static const char *const actions[] = {[TOCSIN__EVENT_ACTION__EVENT_TRIGGER] = "trigger",
                                          [TOCSIN__EVENT_ACTION__EVENT_ACKNOWLEDGE] = "acknowledge",
                                          [TOCSIN__EVENT_ACTION__EVENT_RESOLVE] = "resolve"};
    json_t *object = json_object();
    json_object_set_new(object, "event_action", json_string(actions[event->action]));
    json_object_set_new(object, "dedup_key", json_text(event->dedup_key));
    json_object_set_new(object, "summary", json_text(event->summary));
    json_object_set_new(object, "source", json_text(event->source));
    json_object_set_new(object, "severity", json_word(words_severity, (int)event->severity));
    json_object_set_new(object, "component", json_text(event->component));
    json_object_set_new(object, "group", json_text(event->group));
    json_object_set_new(object, "class", json_text(event->class_name));
    add_bytes(object, "custom_details", event->details_json);
    return object;
}

static json_t *id_or_null(uint64_t id)
{
    return id != 0 ? json_id(id) : json_null();
}

static json_t *render_decision(struct http_request *request, const struct machine_store *view,
                               const Tocsin__EventDecision *decision)
{
    static const struct word dispositions[] = {{TOCSIN__DISPOSITION__DISPOSITION_TAKEN, "alert"},
                                               {TOCSIN__DISPOSITION__DISPOSITION_UNROUTED, "unrouted"},
                                               {TOCSIN__DISPOSITION__DISPOSITION_DROPPED, "dropped"},
                                               {0, NULL}};
    json_t *object = json_object(), *notes = json_array();
    for (size_t i = 0; i < decision->n_notes; i++) {
        json_array_append_new(notes, json_string(decision->notes[i]));
    }
    json_object_set_new(object, "disposition", json_word(dispositions, (int)decision->disposition));
    json_object_set_new(object, "service",
                        decision->service_id != 0 ? reference_service(request, view, decision->service_id) : json_null());
    json_object_set_new(object, "suppress", json_boolean(decision->suppress));
    json_object_set_new(object, "suspend",
                        decision->suspend_s != 0 ? json_integer(decision->suspend_s) : json_null());
    json_object_set_new(object, "priority", id_or_null(decision->priority_id));
    json_object_set_new(object, "escalation_policy", id_or_null(decision->escalation_policy_id));
    json_object_set_new(object, "urgency",
                        decision->urgency_low    ? json_string("low")
                        : decision->urgency_high ? json_string("high")
                                                 : json_null());
    json_object_set_new(object, "notes", notes);
    json_object_set_new(object, "rules", render_rules_taken(decision->taken, decision->n_taken));
    json_object_set_new(object, "patterns_given_up", json_integer(decision->patterns_given_up));
    return object;
}

static void on_view(struct http_request *request, const struct machine_store *view)
{
    const struct trial *trial = api_call_of(request)->data;
    bool service = trial->from.service_id != 0;
    struct key key = key_1(service ? trial->from.service_id : trial->from.orchestration_id);
    struct span value;
    if (!view->get(view->context, service ? TABLE_SERVICE : TABLE_ORCHESTRATION, key_span(&key), &value)) {
        api_not_found(request);
        return;
    }
    json_t *steps = json_array();
    const Tocsin__Event *decided = decide(api_rules(request), view, trial->from, trial->event,
                                          api_cluster_ms(request), request_memory(request), steps);
    json_t *result = decided->decision != NULL ? render_decision(request, view, decided->decision) : json_null();
    api_json(request, 200,
             json_pack("{s:{s:o, s:o, s:o, s:I}}", "dry_run", "steps", steps, "decision", result, "event",
                       render_event(decided), "rules_revision", (json_int_t)decided->rules_revision));
}

/* The body is an event as the Events API takes it, or has one under the name event. */
static void dry_run(struct http_request *request, struct decide_from from)
{
    struct trial *trial = http_alloc(request, sizeof *trial);
    Tocsin__Event *event = http_alloc(request, sizeof *event);
    json_t *body = api_call_of(request)->body, *inner = json_object_get(body, "event");
    tocsin__event__init(event);
    trial->from = from;
    trial->event = event;
    api_call_of(request)->data = trial;
    if (event_read_payload(request, json_is_object(inner) ? inner : body, event)) {
        api_read(request, on_view);
    }
}

void orchestration_dry_run(struct http_request *request)
{
    struct decide_from from = {0};
    if (path_id(request, 0, &from.orchestration_id)) {
        dry_run(request, from);
    }
}

void service_dry_run(struct http_request *request)
{
    struct decide_from from = {0};
    if (path_id(request, 0, &from.service_id)) {
        dry_run(request, from);
    }
}

/* ---------------------------------------------------------------- what rules did */

json_t *render_rules_taken(Tocsin__RuleTaken *const *taken, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const Tocsin__RuleTaken *rule = taken[i];
        json_array_append_new(list, json_pack("{s:o, s:o, s:s, s:o, s:s, s:b, s:I}", "path",
                                              json_word(words_path_kind, (int)rule->kind), "parent_id",
                                              json_id(rule->owner_id), "set", rule->set, "rule_id",
                                              id_or_null(rule->rule_id), "label", rule->label, "catch_all",
                                              rule->rule_id == 0, "revision", (json_int_t)rule->revision));
    }
    return list;
}

static json_t *render_aside(const Tocsin__EventAside *aside)
{
    static const struct word words_disposition[] = {{TOCSIN__DISPOSITION__DISPOSITION_UNROUTED, "unrouted"},
                                                    {TOCSIN__DISPOSITION__DISPOSITION_DROPPED, "dropped"},
                                                    {TOCSIN__DISPOSITION__DISPOSITION_DISABLED, "service_disabled"},
                                                    {0, NULL}};
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "number", (json_int_t)aside->number, "at",
                     json_time(aside->at_ms), "disposition", json_word(words_disposition, (int)aside->disposition), "summary",
                     json_text(aside->summary), "source", json_text(aside->source), "severity", json_text(aside->severity),
                     "dedup_key", json_text(aside->dedup_key), "rules", render_rules_taken(aside->taken, aside->n_taken));
}

static void on_asides(struct http_request *request, const struct machine_store *view)
{
    uint64_t id = api_call_of(request)->id;
    struct key key = key_1(id);
    struct span value;
    if (!view->get(view->context, TABLE_ORCHESTRATION, key_span(&key), &value) &&
        !view->get(view->context, TABLE_SERVICE, key_span(&key), &value)) {
        api_not_found(request);
        return;
    }
    json_t *list = json_array();
    struct walk walk = walk_under_backward(view, TABLE_EVENT_ASIDE, id);
    while (walk_next(&walk)) {
        const Tocsin__EventAside *aside =
            record_unpack(&tocsin__event_aside__descriptor, walk.value, request_memory(request));
        if (aside != NULL) {
            json_array_append_new(list, render_aside(aside));
        }
    }
    api_json(request, 200, json_pack("{s:o}", "events_aside", list));
}

/* The newest first; of a service, too, by its id. */
void events_aside_list(struct http_request *request)
{
    if (path_id(request, 0, &api_call_of(request)->id)) {
        api_read(request, on_asides);
    }
}
