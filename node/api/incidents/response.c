/* What responders do about an incident: snooze it, merge others into it. */
#include "consensus/machine/limits.h"
#include "node/api/incidents/incidents.h"
#include "node/api/render.h"
#include "node/api/roles.h"

/* The body as it stands: these requests have no wrapper. */
static struct field_reader body_reader(struct http_request *request)
{
    return (struct field_reader){.request = request, .object = api_call_of(request)->body, .prefix = ""};
}

/* ---------------------------------------------------------------- snooze */

static void on_snoozed(struct http_request *request, const Tocsin__Reply *reply)
{
    resource_saved(request, &resource_incident, 0, 201, reply);
}

void incident_snooze(struct http_request *request)
{
    struct field_reader reader = body_reader(request);
    int64_t duration = 0;
    bool present = false;

    if (!role_require(request, PERMISSION_RESPOND)) {
        return;
    }
    Tocsin__IncidentSnooze *snooze = api_command(request, TOCSIN__COMMAND__BODY_INCIDENT_SNOOZE)->incident_snooze;
    /* The machine judges the bounds, and answers with PagerDuty's own code. */
    if (field_integer(&reader, "duration", 0, UINT32_MAX, &duration, &present) && !present) {
        field_error(&reader, "Duration can't be blank");
    }
    snooze->duration_s = (uint32_t)duration;
    if (fields_finish(&reader)) {
        incident_submit(request, &snooze->incident_id, on_snoozed);
    }
}

/* ---------------------------------------------------------------- merge */

static void on_read_target(struct http_request *request, const struct machine_store *view)
{
    const Tocsin__Incident *incident = incident_of_path(request, view);

    if (incident != NULL) {
        api_json(request, 200, json_pack("{s:o}", "incident", reference_incident(request, incident)));
    }
}

static void on_merged(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        api_refused(request, reply);
        return;
    }
    api_read(request, on_read_target);
}

void incident_merge(struct http_request *request)
{
    struct field_reader reader = body_reader(request);
    json_t *sources = NULL, *element;
    size_t i;

    if (!role_require(request, PERMISSION_RESPOND)) {
        return;
    }
    Tocsin__IncidentMerge *merge = api_command(request, TOCSIN__COMMAND__BODY_INCIDENT_MERGE)->incident_merge;
    if (field_array(&reader, "source_incidents", LIMIT_INCIDENTS_PER_MERGE, &sources) && sources == NULL) {
        field_error(&reader, "The body must hold an array named 'source_incidents'");
    }
    merge->source_ids = http_alloc(request, (json_array_size(sources) + 1) * sizeof *merge->source_ids);
    json_array_foreach(sources, i, element)
    {
        const char *id = json_string_value(json_object_get(element, "id"));
        merge->source_ids[merge->n_source_ids] = id != NULL ? id_parse(id) : 0;
        if (merge->source_ids[merge->n_source_ids++] == 0) {
            field_error(&reader, "'source_incidents[].id' must be the id of an incident");
        }
    }
    if (fields_finish(&reader)) {
        incident_submit(request, &merge->target_id, on_merged);
    }
}
