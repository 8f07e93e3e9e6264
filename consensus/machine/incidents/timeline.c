/* The timeline: what happened to an incident, why, and who did it, in sentences for people. */
#include "consensus/machine/incidents/incidents.h"

#include <assert.h>
#include <string.h>

static const char *const WHY_TEXTS[] = {
    [TOCSIN__WHY__WHY_NONE] = "of no recorded reason",
    [TOCSIN__WHY__WHY_EVENT] = "an event source sent it",
    [TOCSIN__WHY__WHY_REQUEST] = "a person asked for it",
    [TOCSIN__WHY__WHY_LEVEL_TIMEOUT] = "nobody acknowledged in time",
    [TOCSIN__WHY__WHY_POLICY_START] = "this is where the escalation policy begins",
    [TOCSIN__WHY__WHY_POLICY_REPEAT] = "the escalation policy began again",
    [TOCSIN__WHY__WHY_POLICY_EXHAUSTED] = "the escalation policy ended without an acknowledgement",
    [TOCSIN__WHY__WHY_NOBODY_ON_LEVEL] = "nobody there could be told",
    [TOCSIN__WHY__WHY_ACKNOWLEDGEMENT_TIMEOUT] = "the acknowledgement timed out",
    [TOCSIN__WHY__WHY_AUTO_RESOLVE] = "the service resolves its incidents after a time",
    [TOCSIN__WHY__WHY_ALL_ALERTS_RESOLVED] = "all of its alerts are resolved",
    [TOCSIN__WHY__WHY_RULE_AT_ONCE] = "the person's rule says at once",
    [TOCSIN__WHY__WHY_RULE_AFTER_DELAY] = "the delay of the person's rule is over",
    [TOCSIN__WHY__WHY_DEFAULT_RULE] = "the person has no rule for this urgency and the default applies",
    [TOCSIN__WHY__WHY_CHANNEL_FAILED] = "another channel of the person failed",
    [TOCSIN__WHY__WHY_GUARDIANS] = "nobody else answered",
    [TOCSIN__WHY__WHY_NOT_ACKNOWLEDGED] = "nobody acknowledged",
    [TOCSIN__WHY__WHY_INCIDENT_ACKNOWLEDGED] = "the incident was acknowledged",
    [TOCSIN__WHY__WHY_INCIDENT_RESOLVED] = "the incident was resolved",
    [TOCSIN__WHY__WHY_REASSIGNED] = "the incident was assigned anew",
    [TOCSIN__WHY__WHY_NO_CONTACT_METHOD] = "there is no contact method",
    [TOCSIN__WHY__WHY_ATTEMPTS_EXHAUSTED] = "too many attempts failed",
    [TOCSIN__WHY__WHY_FAILOVER] = "the node that was sending is gone",
    [TOCSIN__WHY__WHY_USER_DELETED] = "the user was deleted",
    [TOCSIN__WHY__WHY_LOW_URGENCY] = "low urgency does not escalate by time",
    [TOCSIN__WHY__WHY_HEARTBEAT_SILENT] = "a heartbeat fell silent",
    [TOCSIN__WHY__WHY_HEARTBEAT_FAILED] = "a heartbeat reported a failure",
    [TOCSIN__WHY__WHY_HEARTBEAT_BACK] = "the heartbeat pings again",
    [TOCSIN__WHY__WHY_HEARTBEAT_DELETED] = "the heartbeat was deleted",
    [TOCSIN__WHY__WHY_RULE] = "a rule of event orchestration says so",
    [TOCSIN__WHY__WHY_BLIND] = "the cluster could not take pings for a time",
    [TOCSIN__WHY__WHY_TURN_PASSED] = "whoever had the turn could not be told",
    [TOCSIN__WHY__WHY_SNOOZE_ENDED] = "the snooze ended",
    [TOCSIN__WHY__WHY_MERGED] = "it was merged into another incident",
    [TOCSIN__WHY__WHY_SUPPORT_HOURS_BEGIN] = "the support hours of the service begin",
    [TOCSIN__WHY__WHY_SUPPORT_HOURS_END] = "the support hours of the service end",
    [TOCSIN__WHY__WHY_LAST_GASP] = "the cluster had no majority",
    [TOCSIN__WHY__WHY_CONDITION] = "the nodes of the cluster watch each other",
    [TOCSIN__WHY__WHY_CONDITION_OVER] = "the node is as it should be again",
    [TOCSIN__WHY__WHY_HANDOFF_RULE] = "the person's rule for hand-offs says so",
    [TOCSIN__WHY__WHY_HANDOFF_DEFAULT] = "the person has no rule for hand-offs and the default applies",
    [TOCSIN__WHY__WHY_SWAP] = "shifts are to be swapped",
    [TOCSIN__WHY__WHY_TEST] = "somebody tests whether pages arrive",
    [TOCSIN__WHY__WHY_DRILL] = "the delivery of pages is drilled",
    [TOCSIN__WHY__WHY_DRILL_FAILED] = "a page-delivery drill failed",
    [TOCSIN__WHY__WHY_DRILL_GOOD] = "the drill was delivered again",
    [TOCSIN__WHY__WHY_DRILL_STOPPED] = "the drill was deleted, disabled or changed",
    [TOCSIN__WHY__WHY_NO_NEWS] = "it came too late to be of use",
    [TOCSIN__WHY__WHY_GROUPED_TIME] = "the service groups alerts by time",
    [TOCSIN__WHY__WHY_GROUPED_CONTENT] = "the service groups alerts by their content",
    [TOCSIN__WHY__WHY_GROUPED_URGENT] = "an alert of high urgency joined",
    [TOCSIN__WHY__WHY_TICKET] = "a ticket pages nobody",
    [TOCSIN__WHY__WHY_ACKNOWLEDGE_TARGET] = "the target for the acknowledgement was missed",
    [TOCSIN__WHY__WHY_RESOLVE_TARGET] = "the target for the end was missed",
    [TOCSIN__WHY__WHY_RESPONDER_REQUEST] = "the person was asked to help",
    [TOCSIN__WHY__WHY_RESPONDER_ANSWERED] = "the person has answered",
    [TOCSIN__WHY__WHY_STATUS_UPDATE] = "there is news for its subscribers",
    [TOCSIN__WHY__WHY_ALERTS_MOVED] = "all of its alerts are in other incidents",
    [TOCSIN__WHY__WHY_MAINTENANCE] = "its service was in maintenance",
    [TOCSIN__WHY__WHY_MUTED] = "it was muted",
    [TOCSIN__WHY__WHY_PAUSED] = "the service waits whether alerts pass by themselves",
    [TOCSIN__WHY__WHY_RULE_PAUSED] = "an event rule waits whether such alerts pass by themselves",
    [TOCSIN__WHY__WHY_RULE_SUPPRESSED] = "an event rule suppresses such alerts",
    [TOCSIN__WHY__WHY_MUTES_ASKED] = "the mutes were looked at",
    [TOCSIN__WHY__WHY_HOLD_OVER] = "what held the alert back is over and it still fires",
    [TOCSIN__WHY__WHY_NO_ROOM] = "as many incidents were open as there may be",
    [TOCSIN__WHY__WHY_MUTES_UNANSWERED] = "the mutes could not be looked at in time, so that it counts as not muted",
    [TOCSIN__WHY__WHY_ALERT_EXPIRED] = "its source has not sent it again in time",
    [TOCSIN__WHY__WHY_SERVICE_URGENCY] = "its service says so",
    [TOCSIN__WHY__WHY_SEVERITY] = "the severity of the alert says so",
    [TOCSIN__WHY__WHY_IN_SUPPORT_HOURS] = "it began within the service's support hours",
    [TOCSIN__WHY__WHY_OUT_OF_SUPPORT_HOURS] = "it began outside of the service's support hours",
    [TOCSIN__WHY__WHY_MAINTENANCE_ENDS] = "a maintenance window is about to end",
};

static const char *const CHANNEL_TEXTS[] = {
    [TOCSIN__CHANNEL__CHANNEL_NONE] = "no channel",        [TOCSIN__CHANNEL__CHANNEL_EMAIL] = "e-mail",
    [TOCSIN__CHANNEL__CHANNEL_SMS] = "text message",       [TOCSIN__CHANNEL__CHANNEL_VOICE] = "voice call",
    [TOCSIN__CHANNEL__CHANNEL_PUSH] = "push notification", [TOCSIN__CHANNEL__CHANNEL_WEBHOOK] = "webhook",
};

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

const char *timeline_why(Tocsin__Why why)
{
    bool known = (size_t)why < COUNT_OF(WHY_TEXTS) && WHY_TEXTS[why] != NULL;
    return WHY_TEXTS[known ? why : TOCSIN__WHY__WHY_NONE];
}

const char *timeline_channel(Tocsin__Channel channel)
{
    bool known = (size_t)channel < COUNT_OF(CHANNEL_TEXTS);
    return CHANNEL_TEXTS[known ? channel : TOCSIN__CHANNEL__CHANNEL_NONE];
}

const char *timeline_user(struct apply *apply, uint64_t user_id)
{
    const Tocsin__User *user = user_get(apply->store, user_id, apply->arena);
    if (user != NULL && user->name[0] != '\0') {
        return user->name;
    }
    return apply_printf(apply, "user %llu", (unsigned long long)user_id);
}

const char *timeline_users(struct apply *apply, const uint64_t *user_ids, size_t count)
{
    if (count == 0) {
        return "nobody";
    }
    const char *list = timeline_user(apply, user_ids[0]);
    for (size_t i = 1; i < count; i++) {
        list = apply_printf(apply, "%s%s%s", list, i + 1 == count ? " and " : ", ", timeline_user(apply, user_ids[i]));
    }
    return list;
}

static Tocsin__Actor *actor_of(struct apply *apply, const Tocsin__Actor *from)
{
    Tocsin__Actor *actor = apply_alloc(apply, sizeof *actor);
    tocsin__actor__init(actor);
    actor->kind = from != NULL ? from->kind : TOCSIN__ACTOR_KIND__ACTOR_SYSTEM;
    actor->id = from != NULL ? from->id : 0;
    actor->name = from != NULL ? from->name : apply_strdup(apply, "Tocsin");
    return actor;
}

Tocsin__LogEntry *timeline_new(struct apply *apply, const Tocsin__Incident *incident, Tocsin__LogType type,
                               Tocsin__Why why, const Tocsin__Actor *agent)
{
    Tocsin__LogEntry *entry = apply_alloc(apply, sizeof *entry);
    tocsin__log_entry__init(entry);
    entry->id = apply_new_id(apply);
    entry->incident_id = incident->id;
    entry->service_id = incident->service_id;
    entry->type = type;
    entry->why = why;
    entry->at_ms = apply->time_ms;
    entry->level = incident->level;
    entry->agent = actor_of(apply, agent);
    return entry;
}

void timeline_put(struct apply *apply, Tocsin__Incident *incident, const Tocsin__LogEntry *entry)
{
    assert(entry->incident_id == incident->id);
    incident->log_entries++;
    incident->updated_at_ms = apply->time_ms;
    log_entry_put(apply->store, entry);
}
