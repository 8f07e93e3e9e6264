/*
 * Inside the machine: what the parts that deal with incidents call of each other.
 *
 *     event.c ─┐                          ┌─> telling.c ──> outbox.c ──> work for the leader's dispatcher
 *     incident.c ─┼──> escalation.c ──────┤      ^              │
 *     pulse.c ─┘    (who has it now)      │      └──────────────┘ a channel failed: the person's next one
 *                        ^                │                     │
 *                        └────────────────┴─────────────────────┘ nobody could be told: the next level
 *
 * An incident is read once by whoever handles a command or a deadline, changed in memory by all that it calls, and
 * stored once at the end by the same. Functions below that take an incident change the record in memory only; the rows
 * around it (indexes, deadlines, outbox, timeline) they write at once.
 *
 * Promise P1 is kept here: an open incident has a deadline to come, a notification in the outbox, or a timeline entry
 * that says why neither is there (WHY_LOW_URGENCY, or an acknowledgement that does not time out).
 */
#ifndef CONSENSUS_MACHINE_INCIDENTS_INCIDENTS_H
#define CONSENSUS_MACHINE_INCIDENTS_INCIDENTS_H

#include "consensus/machine/apply.h"

/* ---- timeline.c */

/* A sentence's end for each Why: "because ..." without the "because". Never NULL. */
const char *timeline_why(Tocsin__Why why);
/* "text message", "voice call", ... */
const char *timeline_channel(Tocsin__Channel channel);
/* The user's name, or "user 17" when there is none any more. */
const char *timeline_user(struct apply *, uint64_t user_id);
/* "Alice, Bob and Carol"; "nobody" for none. */
const char *timeline_users(struct apply *, const uint64_t *user_ids, size_t count);
/* A new entry of this moment; `agent` NULL means the cluster itself. The caller fills the rest and hands it to
 * timeline_put. */
Tocsin__LogEntry *timeline_new(struct apply *, const Tocsin__Incident *, Tocsin__LogType, Tocsin__Why,
                               const Tocsin__Actor *agent);
/* Stores the entry and counts it in the incident. */
void timeline_put(struct apply *, Tocsin__Incident *, const Tocsin__LogEntry *);

/* ---- incident.c */

bool incident_is(const Tocsin__Incident *, Tocsin__IncidentStatus);
bool incident_is_assigned(const Tocsin__Incident *, uint64_t user_id);
/* Files the incident's deadline of this kind at `due_ms` in place of the one that was filed; 0 takes it away. */
void incident_deadline(struct apply *, Tocsin__Incident *, enum deadline_kind, uint64_t due_ms);
/* What the incident says about when its deadline of this kind is due; 0: none. */
uint64_t incident_deadline_due(const Tocsin__Incident *, enum deadline_kind);
/* Moves to another status, by `by` (NULL: the cluster). The consequences are the caller's. */
void incident_set_status(struct apply *, Tocsin__Incident *, Tocsin__IncidentStatus, const Tocsin__Actor *by);

/* The incident when whoever asks may see it (visibility.h); otherwise NULL, with the reply refused. */
Tocsin__Incident *incident_get_seen(struct apply *, uint64_t id, Tocsin__Reply *);
/* ... and when it is open. */
Tocsin__Incident *incident_get_open(struct apply *, uint64_t id, Tocsin__Reply *);
/* A new incident with its number, its open row and its auto-resolve; counted in `service`, which the caller stores.
 * NULL, with the reply refused, when LIMIT_OPEN_INCIDENTS is reached. The escalation is still to be started. */
Tocsin__Incident *incident_open(struct apply *, Tocsin__Service *service, const char *title, Tocsin__Urgency,
                                const char *incident_key, Tocsin__Reply *);
/* Somebody has it: no more pages, no more escalation, and the acknowledgement's own deadline starts. The incident
 * must be open. True when this changed something. */
bool incident_acknowledge(struct apply *, Tocsin__Incident *, Tocsin__Why, const Tocsin__Actor *by);
/* It is over: deadlines, outbox, alerts and indexes are cleared. The incident must be open. */
void incident_resolve(struct apply *, Tocsin__Incident *, Tocsin__Why, const Tocsin__Actor *by);
/* DEADLINE_AUTO_RESOLVE: resolves, or files again when a trigger came since. */
void incident_auto_resolve_due(struct apply *, Tocsin__Incident *);

/* ---- snooze.c */

/* DEADLINE_SNOOZE: triggered again, from the first level of its policy, or to the people who were chosen by hand. */
void incident_snooze_due(struct apply *, Tocsin__Incident *);

/* ---- merge.c */

/* The alert's row, its index and the counts of both, which are the caller's to store. */
void alert_move(struct apply *, Tocsin__Alert *, Tocsin__Incident *from, Tocsin__Incident *to);
/* Whether the incident can take so many alerts more; refuses the reply when not. */
bool alerts_check_room(struct apply *, const Tocsin__Incident *, uint64_t more, Tocsin__Reply *);

/* ---- details.c */

/* Has its people, and pages nobody. */
bool incident_is_ticket(const Tocsin__Incident *);
/* What is recorded of it; never NULL. */
const Tocsin__IncidentDetails *incident_details(const Tocsin__Incident *);
/* Whether these may be recorded of the incident (NULL: of a new one); refuses the reply when not. `details` may be NULL
 * when `fields` is 0. */
bool details_check(struct apply *, const Tocsin__Incident *, const Tocsin__IncidentDetails *, uint64_t fields,
                   Tocsin__Reply *);
/* Of a new incident; NULL: nothing. */
void details_begin(struct apply *, Tocsin__Incident *, const Tocsin__IncidentDetails *);
/* Takes the named fields over, each change with its entry in the timeline. True when it begins or ceases to be a ticket, so that
 * its people must be told anew, or not any more: the caller does that. */
bool details_change(struct apply *, Tocsin__Incident *, const Tocsin__IncidentDetails *, uint64_t fields);

/* ---- labels.c */

/* A new incident takes over what hangs on its first alert (NULL: nothing); `source` is who sent it. */
void labels_begin(struct apply *, Tocsin__Incident *, Tocsin__IncidentLabels *, const Tocsin__Actor *source);
/* Whether these may hang on an incident; refuses the reply when not. NULL may. */
bool labels_check(struct apply *, const Tocsin__IncidentLabels *, Tocsin__Reply *);
/* As the door reads the priority of a new alert; 0: none was given. */
Tocsin__Severity labels_severity(uint32_t priority);
/* ... what hangs on an alert that joins it, as far as there is room. */
void labels_join(struct apply *, Tocsin__Incident *, const Tocsin__IncidentLabels *);

/* ---- responders.c */

/* Was asked to help, and has not answered. */
bool responder_is_awaited(const Tocsin__Incident *, uint64_t user_id);
/* Was asked to help, and has not declined. */
bool incident_is_responder(const Tocsin__Incident *, uint64_t user_id);

/* ---- targets.c */

/* Files the targets of the incident's priority, counted from its beginning, but those that were met or missed. */
void targets_file(struct apply *, Tocsin__Incident *);
/* Somebody has it, or it is over: that target is met. */
void targets_acknowledged(struct apply *, Tocsin__Incident *);
void targets_resolved(struct apply *, Tocsin__Incident *);
void targets_acknowledge_due(struct apply *, Tocsin__Incident *);
void targets_resolve_due(struct apply *, Tocsin__Incident *);

/* ---- urgency.c */

/* Of a new incident of the service: constant, or by its support hours, and in either case possibly by severity. */
Tocsin__Urgency urgency_of_service(struct apply *, const Tocsin__Service *, Tocsin__Severity);
/* Why it is that one. */
Tocsin__Why urgency_why(struct apply *, const Tocsin__Service *);
/* From low to high, and who has it is told anew unless it is acknowledged. The incident must be open. */
void urgency_raise(struct apply *, Tocsin__Incident *, Tocsin__Why);
/* DEADLINE_URGENCY_CHANGE and DEADLINE_SUPPORT_HOURS, of a service. */
void urgency_change_due(struct apply *, uint64_t service_id, uint64_t from_id, uint64_t due_ms, const Tocsin__Deadline *);
void support_hours_changed_due(struct apply *, uint64_t service_id, uint64_t from_id, const Tocsin__Deadline *);

/* ---- support_clock.c: the time of a level at low urgency, which counts support hours only */

void support_clock_begin(struct apply *, Tocsin__Incident *, uint64_t delay_ms);
/* DEADLINE_ESCALATE: true when the time is over, or was not counted by this clock; else the next stretch has begun. */
bool support_clock_is_over(struct apply *, Tocsin__Incident *);
/* The support hours are others from now on. */
void support_clock_restart(struct apply *, Tocsin__Incident *);
void support_clock_stop(Tocsin__Incident *);

/* ---- event.c */

/* What the cluster itself has noticed, on the way of an event: opens an incident on the service, counts in the alert of
 * this source and dedup key that is open, or ends it. `source_id` is an id of an object, whose alerts are found by it. */
void event_of_cluster(struct apply *, const Tocsin__Event *, uint64_t source_id, uint64_t service_id, Tocsin__Why,
                      Tocsin__Reply *);

/* An alert that fires, new or held until now, joins an incident of its group or opens one. A new one gets its id, too. The
 * caller has taken away what rows it had. False, with the reply refused and nothing changed, when there is no room. */
bool alert_admit(struct apply *, Tocsin__Service *, Tocsin__Alert *, Tocsin__Why, const Tocsin__Actor *source,
                 Tocsin__Reply *);

/* The alert is over: its row, its index and the incident's counts. */
void alert_resolve(struct apply *, Tocsin__Incident *, Tocsin__Alert *);

/* ---- alert_expiry.c */

/* An open alert is over at `expires_at_ms` (0: never by itself) unless it is sent again; the caller stores it. */
void alert_expiry_set(struct apply *, Tocsin__Alert *, uint64_t expires_at_ms);
/* It has ended: its row goes. */
void alert_expiry_drop(struct apply *, Tocsin__Alert *);
/* Ends alerts whose sources have fallen silent, at most `left`; returns what is left of it. */
uint32_t alerts_expire(struct apply *, uint32_t left);

/* ---- escalation.c */

/* Begins the incident's policy: the given level of the first pass. Takes an acknowledgement away. */
void escalation_begin(struct apply *, Tocsin__Incident *, uint32_t level, Tocsin__Why, const Tocsin__Actor *by);
/* To a level by hand; the pass goes on. The level is one of the policy's. */
void escalation_to_level(struct apply *, Tocsin__Incident *, uint32_t level, const Tocsin__Actor *by);
/* To people by hand, who must exist: level 0. They are told, and the guardians when they do not answer; without
 * `tell`, which is for somebody who takes it, the caller acknowledges at once. */
void escalation_to_people(struct apply *, Tocsin__Incident *, const uint64_t *user_ids, size_t count, bool tell,
                          const Tocsin__Actor *by);
/* Tells the same people anew, from the beginning of their rules. */
void escalation_renew(struct apply *, Tocsin__Incident *);
/* Does not wait for the level's end: at high urgency the next level, or the guardians when there is none. */
void escalation_hurry(struct apply *, Tocsin__Incident *, Tocsin__Why);
/* Leaves the present level: to the next, the next pass, or the guardians. */
void escalation_next(struct apply *, Tocsin__Incident *, Tocsin__Why);
/* Takes away the deadlines that lead to another level or to the guardians. */
void escalation_stop(struct apply *, Tocsin__Incident *);
void escalation_level_due(struct apply *, Tocsin__Incident *);
void escalation_acknowledgement_due(struct apply *, Tocsin__Incident *);
void escalation_guardians_due(struct apply *, Tocsin__Incident *);

/* ---- telling.c */

/* Tells every assignee by his or her rules, as of now: notifications for now, deadlines for later. True when at
 * least one of them can be told. */
bool telling_assignees(struct apply *, Tocsin__Incident *);
/* DEADLINE_NOTIFICATION_RULE: a rule's delay is over. */
void telling_rule_due(struct apply *, Tocsin__Incident *, const Tocsin__Deadline *);
/* A notification failed for good: the person's next contact method, at once. */
void telling_next_method(struct apply *, Tocsin__Incident *, const Tocsin__Notification *failed);
/* Tells each guardian by every contact method that is not still under way. */
void telling_guardians(struct apply *, Tocsin__Incident *);
/* What is told beside pages: of which log entry, in which words, by which of a person's ways. */
struct bulletin {
    Tocsin__BulletinKind kind;
    Tocsin__Why why;
    Tocsin__Urgency urgency;
    uint64_t log_entry_id;
    char *text;
};
/* Tells the person now by the ways of the bulletin's urgency that are without delay, or else by the earliest one. What cannot be told
 * is in the timeline. */
void telling_bulletin(struct apply *, Tocsin__Incident *, uint64_t user_id, const struct bulletin *);
/* When nothing is under way any more and nobody was told of the present assignment: the next level at once. */
void telling_settle(struct apply *, Tocsin__Incident *);

/* ---- outbox.c */

/* A notification for the incident, of its present generation, still without id and addressee. */
Tocsin__Notification *outbox_new(struct apply *, const Tocsin__Incident *, Tocsin__Why);
/* Owes it, and claims it for the proposer of the entry. */
void outbox_add(struct apply *, Tocsin__Incident *, Tocsin__Notification *);
Tocsin__Notification *outbox_get(struct apply *, uint64_t notification_id);
/* Cancels what is owed or waiting and no longer of use: of one user all, of everybody (0) the pages, and with a resolved
 * incident the bulletins that have lost their point. What is claimed stays until its receipt, but is not claimed again once
 * the incident or its generation has moved on. */
void outbox_withdraw(struct apply *, Tocsin__Incident *, uint64_t user_id, Tocsin__Why);
/* DEADLINE_NOTIFICATION_RETRY, of a row that is filed for `due_ms`. */
void outbox_retry_due(struct apply *, uint64_t notification_id, uint64_t due_ms);

/* ---- retention.c */

/* Files the first retention step. To be called once in the life of a state. */
void retention_begin(struct apply *);
/* DEADLINE_RETENTION: deletes at most LIMIT_RETENTION_ROWS rows, payloads from those of this alert on, and files the next step:
 * now if more is left, else tomorrow. */
void retention_due(struct apply *, uint64_t payloads_from);

#endif
