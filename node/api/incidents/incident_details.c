/* What is recorded of an incident beside its course: read from requests, and shown. */
#include "consensus/machine/incidents/priorities.h"
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

void take_details(struct field_reader *reader, Tocsin__IncidentDetails **details, uint64_t *fields)
{
    struct field_target target = {
        .reader = reader, .descriptor = &tocsin__incident_details__descriptor, .fields = fields};

    *fields = 0;
    *details = http_alloc(reader->request, sizeof **details);
    tocsin__incident_details__init(*details);
    take_priority(&target, *details);
}

/* ---------------------------------------------------------------- showing */

static json_t *priority_of(struct http_request *request, const struct machine_store *view, uint64_t id)
{
    const Tocsin__Priority *priority =
        id != 0 ? priority_find(priorities_read(view, request_memory(request)), id) : NULL;

    return priority != NULL ? render_priority(request, priority) : json_null();
}

void render_recorded(struct http_request *request, const struct machine_store *view, const Tocsin__Incident *incident,
                    json_t *object)
{
    static const Tocsin__IncidentDetails NOTHING = TOCSIN__INCIDENT_DETAILS__INIT;
    const Tocsin__IncidentDetails *details = incident->details != NULL ? incident->details : &NOTHING;

    json_object_set_new(object, "priority", priority_of(request, view, details->priority_id));
}
