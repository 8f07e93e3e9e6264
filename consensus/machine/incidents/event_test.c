/*
 * A test of a service by an event: it takes the way of any other event, but nothing swallows it. What would have kept a real
 * one from opening an incident is in the timeline of the incident that it opens.
 */
#include "consensus/machine/incidents/event_test.h"

#include "consensus/machine/incidents/grouping.h"
#include "consensus/machine/incidents/incidents.h"

static void finding(struct apply *apply, Tocsin__Incident *incident, Tocsin__Why why, char *text)
{
    Tocsin__LogEntry *entry = timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_TEST, why, NULL);
    entry->text = text;
    timeline_put(apply, incident, entry);
}

static void find_hold(struct apply *apply, Tocsin__Incident *incident, const Tocsin__Hold *hold)
{
    Tocsin__Why why = (Tocsin__Why)hold->why;
    const char *colon = hold->text[0] != '\0' ? ": " : "";
    if (why == TOCSIN__WHY__WHY_MUTES_ASKED) {
        return; /* whether one fits is not found out here */
    }
    bool pause = why == TOCSIN__WHY__WHY_PAUSED || why == TOCSIN__WHY__WHY_RULE_PAUSED;
    finding(apply, incident, why,
            pause ? apply_printf(apply, "A real event would have opened an incident only if it still fired after %llu s, because %s%s%s.",
                                 (unsigned long long)(hold->until_ms - hold->since_ms) / 1000, timeline_why(why), colon,
                                 hold->text)
                  : apply_printf(apply, "A real event would have opened no incident now, because %s%s%s.", timeline_why(why),
                                 colon, hold->text));
}

static void find_rules(struct apply *apply, Tocsin__Incident *incident, const Tocsin__Event *event)
{
    const Tocsin__EventDecision *decision = event->decision;
    if (event->test == TOCSIN__TEST_KIND__TEST_ANSWERED) {
        finding(apply, incident, TOCSIN__WHY__WHY_RULE,
                apply_strdup(apply, "A real event would have opened nothing: a rule makes an acknowledgement or a resolve of it."));
    }
    if (decision != NULL && decision->disposition == TOCSIN__DISPOSITION__DISPOSITION_DROPPED) {
        const char *label = decision->n_taken > 0 ? decision->taken[decision->n_taken - 1]->label : "";
        finding(apply, incident, TOCSIN__WHY__WHY_RULE,
                apply_printf(apply, "A real event would have opened nothing: the rule \"%s\" drops it.", label));
    }
}

bool event_test_open(struct apply *apply, const Tocsin__Event *event, Tocsin__Service *service, Tocsin__Alert *alert,
                     const Tocsin__Hold *hold, const Tocsin__Actor *source, Tocsin__Reply *reply)
{
    const Tocsin__Incident *group = grouping_find(apply, service, alert);
    alert->group_keys = (ProtobufCBinaryData){.len = 0, .data = NULL}; /* joins nothing, and nothing real joins it */
    service->last_tested_at_ms = apply->time_ms;
    if (!alert_admit(apply, service, alert, TOCSIN__WHY__WHY_TEST, source, reply)) {
        return false;
    }
    Tocsin__Incident *incident = incident_get(apply->store, alert->incident_id, apply->arena);
    if (incident == NULL) {
        return true; /* a store with a fault */
    }
    incident->test = true;
    find_rules(apply, incident, event);
    if (hold != NULL) {
        find_hold(apply, incident, hold);
    }
    if (group != NULL) {
        Tocsin__Why why;
        const char *reason = grouping_reason(apply, service, group, &why);
        finding(apply, incident, why,
                apply_printf(apply, "A real event would have joined incident %llu, because %s: nobody is told again then.",
                             (unsigned long long)group->number, reason));
    }
    incident_put(apply->store, incident);
    return true;
}
