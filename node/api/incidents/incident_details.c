/* What is recorded of an incident beside its course: read from requests, and shown. */
#include "consensus/machine/incidents/priorities.h"
#include "consensus/machine/limits.h"
#include "node/api/incidents/incidents.h"
#include "node/api/render.h"

/* ---------------------------------------------------------------- taking */

static void take_priority(const struct field_target *target, Tocsin__IncidentDetails *details)
{
    bool present = false;

    if (field_reference(target->reader, "priority", &details->priority_id, &present) &&
        (present || field_null(target->reader, "priority"))) {
        target_mark(target, "priority_id");
    }
}

static const struct word words_incident_severity[] = {
    {TOCSIN__INCIDENT_SEVERITY__INCIDENT_SEVERITY_1, "SEV-1"},
    {TOCSIN__INCIDENT_SEVERITY__INCIDENT_SEVERITY_2, "SEV-2"},
    {TOCSIN__INCIDENT_SEVERITY__INCIDENT_SEVERITY_3, "SEV-3"},
    {TOCSIN__INCIDENT_SEVERITY__INCIDENT_SEVERITY_4, "SEV-4"},
    {0, NULL},
};

static const struct word words_category[] = {
    {TOCSIN__INCIDENT_CATEGORY__CATEGORY_PAGE, "page"},
    {TOCSIN__INCIDENT_CATEGORY__CATEGORY_TICKET, "ticket"},
    {TOCSIN__INCIDENT_CATEGORY__CATEGORY_SECURITY, "security"},
    {TOCSIN__INCIDENT_CATEGORY__CATEGORY_COMPLIANCE, "compliance"},
    {0, NULL},
};

/* A word of a table; null stands for 0. */
static int take_word(const struct field_target *target, const char *name, const struct word *words,
                     const char *record_field)
{
    int value = 0;
    bool present = false;

    if (field_word(target->reader, name, words, &value, &present) && (present || field_null(target->reader, name))) {
        target_mark(target, record_field);
    }
    return value;
}

static void take_time(const struct field_target *target, const char *name, const char *record_field, uint64_t *time_ms)
{
    const char *text = NULL;
    bool present = false;

    if (!field_string(target->reader, name, LIMIT_NAME_CHARACTERS, &text, &present)) {
        return;
    }
    if (present && !time_parse(text, time_ms)) {
        field_error(target->reader, "'%s' must be a time in ISO 8601 format", name);
    } else if (present || field_null(target->reader, name)) {
        target_mark(target, record_field);
    }
}

/* {"conference_number": ..., "conference_url": ...}; null takes both away. */
static void take_bridge(const struct field_target *target, Tocsin__IncidentDetails *details)
{
    json_t *bridge = NULL;

    if (field_null(target->reader, "conference_bridge")) {
        target_mark(target, "conference_number");
        target_mark(target, "conference_url");
        return;
    }
    if (!field_object(target->reader, "conference_bridge", &bridge) || bridge == NULL) {
        return;
    }
    struct field_reader reader = {target->reader->request, bridge, "conference_bridge.", target->reader->errors};
    struct field_target inner = {&reader, target->descriptor, target->fields};
    target_text(&inner, "conference_number", LIMIT_NAME_CHARACTERS, "conference_number", &details->conference_number);
    target_text(&inner, "conference_url", LIMIT_ADDRESS_CHARACTERS, "conference_url", &details->conference_url);
    target->reader->errors = reader.errors;
}

static void take_action_needed(const struct field_target *target, Tocsin__IncidentDetails *details)
{
    bool needed = false, present = false;

    if (!field_boolean(target->reader, "action_needed", &needed, &present)) {
        return;
    }
    if (present) {
        details->action_needed = needed ? TOCSIN__ACTION_NEEDED__ACTION_NEEDED_YES : TOCSIN__ACTION_NEEDED__ACTION_NEEDED_NO;
    }
    if (present || field_null(target->reader, "action_needed")) {
        target_mark(target, "action_needed");
    }
}

void take_details(struct field_reader *reader, Tocsin__IncidentDetails **details, uint64_t *fields)
{
    struct field_target target = {
        .reader = reader, .descriptor = &tocsin__incident_details__descriptor, .fields = fields};

    *fields = 0;
    *details = http_alloc(reader->request, sizeof **details);
    tocsin__incident_details__init(*details);
    take_priority(&target, *details);
    (*details)->severity =
        (Tocsin__IncidentSeverity)take_word(&target, "severity", words_incident_severity, "severity");
    (*details)->category = (Tocsin__IncidentCategory)take_word(&target, "category", words_category, "category");
    take_time(&target, "impact_started_at", "impact_started_at_ms", &(*details)->impact_started_at_ms);
    take_time(&target, "mitigated_at", "mitigated_at_ms", &(*details)->mitigated_at_ms);
    take_bridge(&target, *details);
    target_text(&target, "runbook_url", LIMIT_ADDRESS_CHARACTERS, "runbook_url", &(*details)->runbook_url);
    take_action_needed(&target, *details);
}

/* ---------------------------------------------------------------- showing */

static json_t *priority_of(struct http_request *request, const struct machine_store *view, uint64_t id)
{
    const Tocsin__Priority *priority =
        id != 0 ? priority_find(priorities_read(view, request_memory(request)), id) : NULL;

    return priority != NULL ? render_priority(request, priority) : json_null();
}

static json_t *target_of(uint64_t due_ms, bool missed)
{
    return json_pack("{s:o, s:b}", "due_at", json_time(due_ms), "missed", missed);
}

/* What the priority asks for, as long as it is to come or was missed. */
static json_t *targets_of(const Tocsin__Incident *incident)
{
    return json_pack("{s:o, s:o}", "acknowledge",
                     target_of(incident->acknowledge_target_due_ms, incident->acknowledge_target_missed), "resolve",
                     target_of(incident->resolve_target_due_ms, incident->resolve_target_missed));
}

void render_recorded(struct http_request *request, const struct machine_store *view, const Tocsin__Incident *incident,
                    json_t *object)
{
    static const Tocsin__IncidentDetails NOTHING = TOCSIN__INCIDENT_DETAILS__INIT;
    const Tocsin__IncidentDetails *details = incident->details != NULL ? incident->details : &NOTHING;

    json_object_set_new(object, "priority", priority_of(request, view, details->priority_id));
    bool bridge = details->conference_number[0] != '\0' || details->conference_url[0] != '\0';
    json_object_set_new(object, "conference_bridge",
                        bridge ? json_pack("{s:o, s:o}", "conference_number", json_text(details->conference_number),
                                           "conference_url", json_text(details->conference_url))
                               : json_null());
    json_object_set_new(object, "severity", json_word(words_incident_severity, (int)details->severity)); /* ours, from here */
    json_object_set_new(object, "category", json_word(words_category, (int)details->category));
    json_object_set_new(object, "impact_started_at", json_time(details->impact_started_at_ms));
    json_object_set_new(object, "mitigated_at", json_time(details->mitigated_at_ms));
    json_object_set_new(object, "runbook_url", json_text(details->runbook_url));
    json_object_set_new(object, "action_needed",
                        details->action_needed == TOCSIN__ACTION_NEEDED__ACTION_NEEDED_UNKNOWN
                            ? json_null()
                            : json_boolean(details->action_needed == TOCSIN__ACTION_NEEDED__ACTION_NEEDED_YES));
    json_object_set_new(object, "targets", targets_of(incident));
}
