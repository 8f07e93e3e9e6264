/*
 * What a node did on its own while the cluster had no majority, brought into the state: acknowledgements and resolutions take
 * effect, what was sent stands in the timeline of its incident. Of refused triggers nothing is made: their senders heard 503 and send
 * again.
 */
#include <inttypes.h>

#include "consensus/machine/incidents/incidents.h"
#include "consensus/machine/limits.h"

static Tocsin__Actor answer_actor(const Tocsin__GaspAnswer *answer)
{
    Tocsin__Actor actor;
    tocsin__actor__init(&actor);
    actor.kind = (Tocsin__ActorKind)answer->actor_kind;
    actor.id = answer->actor_id;
    actor.name = answer->actor_name;
    return actor;
}

/* Others went on without this node, and the incident is not what it was when somebody answered: that is written down. */
static void note_late_answer(struct apply *apply, Tocsin__Incident *incident, const Tocsin__GaspAnswer *answer,
                             const Tocsin__Actor *actor)
{
    if (incident->notes >= LIMIT_NOTES_PER_INCIDENT) {
        return;
    }
    incident->notes++;
    Tocsin__LogEntry *entry =
        timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_ANNOTATE, TOCSIN__WHY__WHY_LAST_GASP, actor);
    entry->text = apply_printf(apply, "%s %s this on a node without a majority; it has changed since, and stays as it is.",
                               actor->name[0] != '\0' ? actor->name : "Somebody", answer->resolves ? "resolved" : "acknowledged");
    timeline_put(apply, incident, entry);
}

static void take_answer(struct apply *apply, Tocsin__Incident *incident, const Tocsin__GaspAnswer *answer, uint64_t at_ms)
{
    Tocsin__Actor actor = answer_actor(answer);
    if (incident_is(incident, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED)) {
        return; /* over already */
    }
    if (incident->last_status_change_at_ms > at_ms) {
        note_late_answer(apply, incident, answer, &actor);
        return;
    }
    if (answer->resolves) {
        incident_resolve(apply, incident, TOCSIN__WHY__WHY_LAST_GASP, &actor);
    } else {
        (void)incident_acknowledge(apply, incident, TOCSIN__WHY__WHY_LAST_GASP, &actor);
    }
}

static void take_page(struct apply *apply, Tocsin__Incident *incident, const Tocsin__GaspPage *page, uint64_t node,
                      uint64_t at_ms)
{
    Tocsin__LogEntry *entry =
        timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_NOTIFY, TOCSIN__WHY__WHY_LAST_GASP, NULL);
    uint64_t ago_s = apply->time_ms > at_ms ? (apply->time_ms - at_ms) / 1000 : 0;
    bool sent = page->outcome == TOCSIN__OUTCOME__OUTCOME_SENT;
    entry->user_id = page->user_id;
    entry->channel = (Tocsin__Channel)page->channel;
    entry->address = page->address;
    entry->outcome = (Tocsin__Outcome)page->outcome;
    entry->provider = page->provider;
    entry->provider_id = page->provider_id;
    entry->guardian = page->user_id == 0;
    entry->text = apply_printf(apply, "Node %" PRIu64 " %s %s by %s on its own, %" PRIu64 " s before this was written, because %s%s%s", node,
                               sent ? "told" : "tried to tell", page->user_name,
                               timeline_channel((Tocsin__Channel)page->channel), ago_s,
                               timeline_why(TOCSIN__WHY__WHY_LAST_GASP), page->detail[0] != '\0' ? ": " : ".", page->detail);
    timeline_put(apply, incident, entry);
}

void apply_last_gasp_report(struct apply *apply, const Tocsin__LastGaspReport *report, Tocsin__Reply *reply)
{
    for (size_t i = 0; i < report->n_items; i++) {
        const Tocsin__GaspItem *item = report->items[i];
        bool answers = item->body_case == TOCSIN__GASP_ITEM__BODY_ANSWER;
        if (!answers && item->body_case != TOCSIN__GASP_ITEM__BODY_PAGE) {
            continue;
        }
        uint64_t incident_id = answers ? item->answer->incident_id : item->page->incident_id;
        Tocsin__Incident *incident = incident_id != 0 ? incident_get(apply->store, incident_id, apply->arena) : NULL;
        if (incident == NULL) {
            continue; /* of no incident, or of one that retention took */
        }
        if (answers) {
            take_answer(apply, incident, item->answer, item->at_ms);
        } else {
            take_page(apply, incident, item->page, report->node, item->at_ms);
        }
        incident_put(apply->store, incident);
        reply_id(apply, reply, incident->id);
    }
}
