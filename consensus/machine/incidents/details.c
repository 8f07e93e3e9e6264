/* What is recorded of an incident beside its course: for people, and for reports to come. */
#include "consensus/machine/incidents/incidents.h"

#include <string.h>

#include "consensus/machine/base/text.h"
#include "consensus/machine/checks.h"
#include "consensus/machine/incidents/priorities.h"
#include "consensus/machine/incidents/visibility.h"

const Tocsin__IncidentDetails *incident_details(const Tocsin__Incident *incident)
{
    static const Tocsin__IncidentDetails NOTHING = TOCSIN__INCIDENT_DETAILS__INIT;
    return incident->details != NULL ? incident->details : &NOTHING;
}

bool incident_is_ticket(const Tocsin__Incident *incident)
{
    return incident_details(incident)->category == TOCSIN__INCIDENT_CATEGORY__CATEGORY_TICKET;
}

static const char *const DETAIL_NAMES[] = {
    "priority_id",     "severity",          "category",       "impact_started_at_ms", "mitigated_at_ms",
    "conference_number", "conference_url", "runbook_url", "action_needed",        NULL,
};

static bool is_given(uint64_t fields, const char *name)
{
    return field_given(fields, &tocsin__incident_details__descriptor, name);
}

/* ---------------------------------------------------------------- what may be recorded */

static bool refuse_value(struct apply *apply, Tocsin__Reply *reply, const char *message)
{
    reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE, "%s", message);
    return false;
}

static bool priority_check(struct apply *apply, uint64_t priority_id, Tocsin__Reply *reply)
{
    const Tocsin__Priority *priority = priority_find(priorities_read(apply->store, apply->arena), priority_id);
    if (priority != NULL && !priority->retired) {
        return true;
    }
    reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_PRIORITY,
                 "The priority does not exist.");
    return false;
}

static bool link_check(struct apply *apply, const char *what, const char *url, Tocsin__Reply *reply)
{
    if (!check_line(apply, reply, what, url, 0, LIMIT_ADDRESS_CHARACTERS)) {
        return false;
    }
    if (url[0] != '\0' && !text_is_http_url(url)) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE,
                     "%s must begin with http:// or https://.", what);
        return false;
    }
    return true;
}

static bool times_check(struct apply *apply, const Tocsin__IncidentDetails *details, Tocsin__Reply *reply)
{
    uint64_t latest_ms = apply->time_ms + LIMIT_CLOCK_AHEAD_MS;
    if (details->impact_started_at_ms > latest_ms || details->mitigated_at_ms > latest_ms) {
        return refuse_value(apply, reply, "Impact and mitigation are recorded when they have happened: the time is to come.");
    }
    if (details->mitigated_at_ms != 0 && details->mitigated_at_ms < details->impact_started_at_ms) {
        return refuse_value(apply, reply, "The impact was mitigated before it began.");
    }
    return true;
}

bool details_check(struct apply *apply, const Tocsin__Incident *incident, const Tocsin__IncidentDetails *given,
                   uint64_t fields, Tocsin__Reply *reply)
{
    if (fields == 0) {
        return true;
    }
    if (!check_given(apply, reply, given)) {
        return false;
    }
    Tocsin__IncidentDetails after = incident != NULL ? *incident_details(incident) : *given;
    record_patch(&after.base, &given->base, incident == NULL, fields, DETAIL_NAMES);
    bool priority_given = is_given(fields, "priority_id") && given->priority_id != 0;
    return (!priority_given || priority_check(apply, given->priority_id, reply)) && times_check(apply, &after, reply) &&
           check_line(apply, reply, "The conference number", after.conference_number, 0, LIMIT_NAME_CHARACTERS) &&
           link_check(apply, "The conference URL", after.conference_url, reply) &&
           link_check(apply, "The runbook URL", after.runbook_url, reply);
}

/* ---------------------------------------------------------------- recording */

static const char *const SEVERITY_TEXTS[] = {"", "SEV-1", "SEV-2", "SEV-3", "SEV-4"};
static const char *const CATEGORY_TEXTS[] = {"page", "ticket", "security", "compliance"};
static const char *const ACTION_TEXTS[] = {"", "yes", "no"};

static void log_change(struct apply *apply, Tocsin__Incident *incident, const char *what, const char *value)
{
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_FIELD_VALUE_CHANGE,
                                           TOCSIN__WHY__WHY_REQUEST, apply->actor);
    entry->text = value[0] != '\0' ? apply_printf(apply, "%s set the %s to %s.", entry->agent->name, what, value)
                                   : apply_printf(apply, "%s took the %s away.", entry->agent->name, what);
    timeline_put(apply, incident, entry);
}

/* Times are in the record; a sentence that spelled them would have to choose a zone. */
static void log_time(struct apply *apply, Tocsin__Incident *incident, const char *what, uint64_t time_ms)
{
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_FIELD_VALUE_CHANGE,
                                           TOCSIN__WHY__WHY_REQUEST, apply->actor);
    entry->text = apply_printf(apply, "%s %s the time of %s.", entry->agent->name, time_ms != 0 ? "recorded" : "took away",
                               what);
    timeline_put(apply, incident, entry);
}

static const char *priority_name(struct apply *apply, uint64_t priority_id)
{
    const Tocsin__Priority *priority = priority_find(priorities_read(apply->store, apply->arena), priority_id);
    return priority != NULL ? priority->name : "";
}

static void log_changes(struct apply *apply, Tocsin__Incident *incident, const Tocsin__IncidentDetails *before,
                        const Tocsin__IncidentDetails *after)
{
    const struct {
        const char *what;
        bool changed;
        const char *value;
    } CHANGES[] = {
        {"priority", before->priority_id != after->priority_id, priority_name(apply, after->priority_id)},
        {"severity", before->severity != after->severity, SEVERITY_TEXTS[after->severity]},
        {"category", before->category != after->category, CATEGORY_TEXTS[after->category]},
        {"conference number", strcmp(before->conference_number, after->conference_number) != 0,
         after->conference_number},
        {"conference link", strcmp(before->conference_url, after->conference_url) != 0, after->conference_url},
        {"runbook", strcmp(before->runbook_url, after->runbook_url) != 0, after->runbook_url},
        {"answer to whether action was needed", before->action_needed != after->action_needed,
         ACTION_TEXTS[after->action_needed]},
    };
    for (size_t i = 0; i < sizeof CHANGES / sizeof CHANGES[0]; i++) {
        if (CHANGES[i].changed) {
            log_change(apply, incident, CHANGES[i].what, CHANGES[i].value);
        }
    }
    if (before->impact_started_at_ms != after->impact_started_at_ms) {
        log_time(apply, incident, "the first impact", after->impact_started_at_ms);
    }
    if (before->mitigated_at_ms != after->mitigated_at_ms) {
        log_time(apply, incident, "mitigation", after->mitigated_at_ms);
    }
}

bool details_change(struct apply *apply, Tocsin__Incident *incident, const Tocsin__IncidentDetails *given,
                    uint64_t fields)
{
    if (given == NULL || fields == 0) {
        return false;
    }
    const Tocsin__IncidentDetails *before = incident_details(incident);
    bool was_ticket = incident_is_ticket(incident);
    Tocsin__IncidentDetails *details = apply_alloc(apply, sizeof *details);
    *details = *before;
    record_patch(&details->base, &given->base, false, fields, DETAIL_NAMES);
    incident->details = details;
    log_changes(apply, incident, before, details);
    secret_note(apply, details->category);
    if (details->priority_id != before->priority_id) {
        targets_file(apply, incident);
    }
    if (incident_is_ticket(incident) && !was_ticket) {
        outbox_withdraw(apply, incident, 0, TOCSIN__WHY__WHY_TICKET);
    }
    return was_ticket != incident_is_ticket(incident);
}

void details_begin(struct apply *apply, Tocsin__Incident *incident, const Tocsin__IncidentDetails *given)
{
    if (given != NULL) {
        incident->details = apply_alloc(apply, sizeof *incident->details);
        *incident->details = *given;
        secret_note(apply, given->category);
        targets_file(apply, incident);
    }
}
