/* What is recorded of an incident beside its course: for people, and for reports to come. */
#include "consensus/machine/incidents/incidents.h"

#include "consensus/machine/checks.h"
#include "consensus/machine/incidents/priorities.h"

const Tocsin__IncidentDetails *incident_details(const Tocsin__Incident *incident)
{
    static const Tocsin__IncidentDetails NOTHING = TOCSIN__INCIDENT_DETAILS__INIT;
    return incident->details != NULL ? incident->details : &NOTHING;
}

static const char *const DETAIL_NAMES[] = {"priority_id", NULL};

static bool is_given(uint64_t fields, const char *name)
{
    return field_given(fields, &tocsin__incident_details__descriptor, name);
}

bool details_check(struct apply *apply, const Tocsin__IncidentDetails *details, uint64_t fields, Tocsin__Reply *reply)
{
    if (details == NULL) {
        return fields == 0 || check_given(apply, reply, details);
    }
    if (is_given(fields, "priority_id") && details->priority_id != 0) {
        const Tocsin__Priority *priority =
            priority_find(priorities_read(apply->store, apply->arena), details->priority_id);
        if (priority == NULL || priority->retired) {
            reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_PRIORITY,
                         "The priority does not exist.");
            return false;
        }
    }
    return true;
}

static void log_change(struct apply *apply, Tocsin__Incident *incident, const char *what, const char *value)
{
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_FIELD_VALUE_CHANGE,
                                           TOCSIN__WHY__WHY_REQUEST, apply->actor);
    entry->text = value[0] != '\0' ? apply_printf(apply, "%s set the %s to %s.", entry->agent->name, what, value)
                                   : apply_printf(apply, "%s took the %s away.", entry->agent->name, what);
    timeline_put(apply, incident, entry);
}

static const char *priority_name(struct apply *apply, uint64_t priority_id)
{
    const Tocsin__Priority *priority = priority_find(priorities_read(apply->store, apply->arena), priority_id);
    return priority != NULL ? priority->name : "";
}

void details_change(struct apply *apply, Tocsin__Incident *incident, const Tocsin__IncidentDetails *given,
                    uint64_t fields)
{
    if (given == NULL || fields == 0) {
        return;
    }
    const Tocsin__IncidentDetails *before = incident_details(incident);
    Tocsin__IncidentDetails *details = apply_alloc(apply, sizeof *details);
    *details = *before;
    record_patch(&details->base, &given->base, false, fields, DETAIL_NAMES);
    incident->details = details;
    if (details->priority_id != before->priority_id) {
        log_change(apply, incident, "priority", priority_name(apply, details->priority_id));
    }
}

void details_begin(struct apply *apply, Tocsin__Incident *incident, const Tocsin__IncidentDetails *given)
{
    if (given != NULL) {
        incident->details = apply_alloc(apply, sizeof *incident->details);
        *incident->details = *given;
    }
}
