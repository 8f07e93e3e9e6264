/* Decisions of rules as they arrive with events; events that became no alert because of them. */
#include <string.h>

#include "consensus/machine/checks.h"
#include "consensus/machine/orchestration/orchestration.h"
#include "consensus/machine/services/heard.h"

bool orchestration_decided(struct apply *apply, const Tocsin__Event *event, Tocsin__Reply *reply)
{
    const Tocsin__EventDecision *decision = event->decision;
    bool stale = event->rules_revision != apply->counters->rules_revision;
    /* A service has no revision: it may have gone since. */
    if (!stale && decision != NULL && decision->orchestration_id != 0 && decision->service_id != 0) {
        stale = service_get(apply->store, decision->service_id, apply->arena) == NULL;
    }
    if (stale) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_CONFLICT, TOCSIN__REASON__REASON_STALE_RULES,
                     "The rules have changed since the event was looked at.");
    }
    return !stale;
}

const Tocsin__Integration *orchestration_source(struct apply *apply, const Tocsin__Event *event)
{
    Tocsin__OrchestrationIntegration *found =
        orchestration_integration_get_by_key(apply->store, event->routing_key, apply->arena);
    if (found == NULL) {
        return NULL;
    }
    Tocsin__Integration *source = apply_alloc(apply, sizeof *source);
    tocsin__integration__init(source);
    source->id = found->id;
    orchestration_integration_heard(apply, found);
    source->name = found->label;
    source->service_id = event->decision != NULL ? event->decision->service_id : 0;
    return source;
}

/* Number of the owner's newest event aside; 0: none. */
static uint64_t newest_number(struct apply *apply, uint64_t owner_id)
{
    struct walk walk = walk_under_backward(apply->store, TABLE_EVENT_ASIDE, owner_id);
    return walk_next(&walk) ? span_number(walk.key, 1) : 0;
}

static const char *severity_name(Tocsin__Severity severity)
{
    static const char *const names[] = {[TOCSIN__SEVERITY__SEVERITY_INFO] = "info",
                                        [TOCSIN__SEVERITY__SEVERITY_WARNING] = "warning",
                                        [TOCSIN__SEVERITY__SEVERITY_ERROR] = "error",
                                        [TOCSIN__SEVERITY__SEVERITY_CRITICAL] = "critical"};
    bool known = (size_t)severity < sizeof names / sizeof *names && names[severity] != NULL;
    return known ? names[severity] : "";
}

static void set_aside(struct apply *apply, const Tocsin__Event *event, uint64_t owner_id, Tocsin__Disposition disposition)
{
    Tocsin__EventAside aside = TOCSIN__EVENT_ASIDE__INIT;
    aside.number = newest_number(apply, owner_id) + 1;
    aside.at_ms = apply->time_ms;
    aside.disposition = disposition;
    aside.summary = event->summary;
    aside.source = event->source;
    aside.severity = apply_strdup(apply, severity_name(event->severity));
    aside.dedup_key = event->dedup_key;
    if (event->decision != NULL) {
        aside.taken = event->decision->taken;
        aside.n_taken = event->decision->n_taken;
    }
    record_put(apply->store, TABLE_EVENT_ASIDE, key_2(owner_id, aside.number), &aside.base);
    if (aside.number > LIMIT_EVENTS_ASIDE) {
        row_delete(apply, TABLE_EVENT_ASIDE, key_2(owner_id, aside.number - LIMIT_EVENTS_ASIDE));
    }
}

void orchestration_set_aside(struct apply *apply, const Tocsin__Event *event, uint64_t owner_id, Tocsin__Reply *reply)
{
    set_aside(apply, event, owner_id,
              event->decision != NULL ? event->decision->disposition : TOCSIN__DISPOSITION__DISPOSITION_UNROUTED);
    reply->reason = TOCSIN__REASON__REASON_EVENT_ASIDE;
}

void event_set_aside_disabled(struct apply *apply, const Tocsin__Event *event, uint64_t service_id)
{
    set_aside(apply, event, service_id, TOCSIN__DISPOSITION__DISPOSITION_DISABLED);
}
