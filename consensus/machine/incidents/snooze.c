/*
 * Snooze: somebody has it, but later.
 *
 *     triggered, acknowledged ──snooze──> acknowledged, quiet ──its time is over──> triggered, the escalation anew
 *
 * It is an acknowledgement that holds for as long as was asked, whatever the service says about its acknowledgements.
 * Snoozing again replaces the time. Resolving or giving the incident to others ends it; another person's
 * acknowledgement is added and leaves it as it is.
 */
#include "consensus/machine/incidents/incidents.h"

#include "consensus/machine/planted.h"

static Tocsin__Incident *snooze_check(struct apply *apply, const Tocsin__IncidentSnooze *snooze, Tocsin__Reply *reply)
{
    Tocsin__Incident *incident = incident_get_open(apply, snooze->incident_id, reply);
    if (incident != NULL && (snooze->duration_s == 0 || snooze->duration_s > LIMIT_SNOOZE_SECONDS)) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_SNOOZE,
                     "An incident is snoozed for 1 to %u seconds.", LIMIT_SNOOZE_SECONDS);
        return NULL;
    }
    return incident;
}

/* "2 h 30 min", "45 s": at most two units, the rest is dropped. */
static const char *duration_text(struct apply *apply, uint32_t duration_s)
{
    static const struct {
        uint32_t seconds;
        const char *name;
    } UNITS[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    const char *text = "";
    unsigned units = 0;
    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0] && units < 2; i++) {
        uint32_t count = duration_s / UNITS[i].seconds;
        duration_s %= UNITS[i].seconds;
        if (count > 0) {
            text = apply_printf(apply, "%s%s%u %s", text, units > 0 ? " " : "", count, UNITS[i].name);
            units++;
        }
    }
    return text;
}

void apply_incident_snooze(struct apply *apply, const Tocsin__IncidentSnooze *snooze, Tocsin__Reply *reply)
{
    Tocsin__Incident *incident = snooze_check(apply, snooze, reply);
    if (incident == NULL) {
        return;
    }
    (void)incident_acknowledge(apply, incident, TOCSIN__WHY__WHY_REQUEST, apply->actor);
    incident_deadline(apply, incident, DEADLINE_ACKNOWLEDGEMENT, 0);
    incident_deadline(apply, incident, DEADLINE_SNOOZE, apply->time_ms + apply_seconds_ms(apply, snooze->duration_s));
    Tocsin__LogEntry *entry =
        timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_SNOOZE, TOCSIN__WHY__WHY_REQUEST, apply->actor);
    entry->text = apply_printf(apply, "Snoozed for %s by %s.", duration_text(apply, snooze->duration_s),
                               entry->agent->name);
    timeline_put(apply, incident, entry);
    incident_put(apply->store, incident);
    reply_id(apply, reply, incident->id);
}

void incident_snooze_due(struct apply *apply, Tocsin__Incident *incident)
{
    if (!incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED) || planted(SNOOZE_NEVER_ENDS)) {
        return;
    }
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_UNACKNOWLEDGE,
                                           TOCSIN__WHY__WHY_SNOOZE_ENDED, NULL);
    entry->text = apply_strdup(apply, "The snooze ended: the incident is triggered again.");
    timeline_put(apply, incident, entry);
    if (incident->level > 0) {
        escalation_begin(apply, incident, 1, TOCSIN__WHY__WHY_SNOOZE_ENDED, NULL);
    } else {
        escalation_renew(apply, incident);
    }
}
