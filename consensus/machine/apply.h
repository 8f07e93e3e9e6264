/*
 * Inside the machine: what the parts of machine_apply share while one entry is applied.
 *
 *     apply.c      decode, drop repeats, hand each command to its part, collect replies
 *     people.c     users, contact methods, notification rules          catalog.c   services, integrations, escalation policies
 *     access.c     tokens, settings                                   event.c     alerts from event sources
 *     teams.c      teams, and who belongs to them
 *     membership.c who takes part                                     schedules.c, overrides.c  who is on call
 *     incident.c   requests about incidents                           escalation.c  levels, assignments, acknowledgement timeout
 *     outbox.c     rules to notifications, claims, receipts           timeline.c  log entries
 *     pulse.c      deadlines that are due                             retention.c  what may go
 *     orchestration/  rules that look at events before they become alerts
 *     suppression/ maintenance windows, mutes, pauses                 change_events.c  what was changed on services
 *     drills/      synthetic pages, and whether they arrive
 *     heartbeat*.c what is expected of jobs, their pings, their silence; blindness.c  when no ping could be taken
 */
#ifndef CONSENSUS_MACHINE_APPLY_H
#define CONSENSUS_MACHINE_APPLY_H

#include "consensus/machine/limits.h"
#include "consensus/machine/machine.h"
#include "consensus/machine/records.h"

struct apply {
    const struct machine_store *store;
    ProtobufCAllocator *arena; /* freed as a whole after the entry */
    struct machine_output *output;
    uint64_t time_ms; /* of the entry */
    uint64_t term, proposer, proposer_boot, proposed_boottime_ms;
    Tocsin__Counters *counters; /* written back once, at the end of the entry */
    const Tocsin__Settings *settings; /* likewise when settings_changed: a changed copy */
    bool settings_changed;
    const Tocsin__Actor *actor; /* of the command at hand */
    Tocsin__Blindness *blindness; /* NULL until it was asked for */
    Tocsin__BlindNow *blind_now;  /* likewise */
};

/* ---- apply.c */
uint64_t apply_new_id(struct apply *);
void *apply_alloc(struct apply *, size_t size_bytes); /* zeroed, from the arena */
char *apply_printf(struct apply *, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *apply_strdup(struct apply *, const char *text);
/* Minutes of policies and rules, and seconds of services, in milliseconds of this cluster (settings.minute_ms). */
uint64_t apply_minutes_ms(const struct apply *, uint32_t minutes);
uint64_t apply_seconds_ms(const struct apply *, uint32_t seconds);
/* Fills a reply that is not OK; the message is a printf format. */
void reply_refuse(struct apply *, Tocsin__Reply *reply, Tocsin__Status status, Tocsin__Reason reason, const char *format,
                  ...) __attribute__((format(printf, 5, 6)));
/* Adds an id to a reply that is OK. */
void reply_id(struct apply *, Tocsin__Reply *reply, uint64_t id);

/* ---- each command, in the part that owns it: decide against the state of this moment, change it, fill the reply */
void apply_user_put(struct apply *, const Tocsin__UserPut *, Tocsin__Reply *);
void apply_user_delete(struct apply *, const Tocsin__UserDelete *, Tocsin__Reply *);
void apply_contact_method_put(struct apply *, const Tocsin__ContactMethodPut *, Tocsin__Reply *);
void apply_contact_method_delete(struct apply *, const Tocsin__ContactMethodDelete *, Tocsin__Reply *);
void apply_notification_rule_put(struct apply *, const Tocsin__NotificationRulePut *, Tocsin__Reply *);
void apply_notification_rule_delete(struct apply *, const Tocsin__NotificationRuleDelete *, Tocsin__Reply *);
void apply_service_put(struct apply *, const Tocsin__ServicePut *, Tocsin__Reply *);
void apply_support_hours_extend(struct apply *, const Tocsin__SupportHoursExtend *, Tocsin__Reply *);
void apply_service_delete(struct apply *, const Tocsin__ServiceDelete *, Tocsin__Reply *);
void apply_integration_put(struct apply *, const Tocsin__IntegrationPut *, Tocsin__Reply *);
void apply_integration_delete(struct apply *, const Tocsin__IntegrationDelete *, Tocsin__Reply *);
void apply_escalation_policy_put(struct apply *, const Tocsin__EscalationPolicyPut *, Tocsin__Reply *);
void apply_escalation_policy_delete(struct apply *, const Tocsin__EscalationPolicyDelete *, Tocsin__Reply *);
void apply_token_put(struct apply *, const Tocsin__TokenPut *, Tocsin__Reply *);
void apply_token_delete(struct apply *, const Tocsin__TokenDelete *, Tocsin__Reply *);
void apply_token_use(struct apply *, const Tocsin__TokenUse *, Tocsin__Reply *);
void apply_team_put(struct apply *, const Tocsin__TeamPut *, Tocsin__Reply *);
void apply_team_delete(struct apply *, const Tocsin__TeamDelete *, Tocsin__Reply *);
void apply_team_member_put(struct apply *, const Tocsin__TeamMemberPut *, Tocsin__Reply *);
void apply_team_member_delete(struct apply *, const Tocsin__TeamMemberDelete *, Tocsin__Reply *);
void apply_team_policy_put(struct apply *, const Tocsin__TeamPolicyPut *, Tocsin__Reply *);
void apply_team_policy_delete(struct apply *, const Tocsin__TeamPolicyDelete *, Tocsin__Reply *);
void apply_settings_put(struct apply *, const Tocsin__SettingsPut *, Tocsin__Reply *);
void apply_members_begin(struct apply *, const Tocsin__MembersBegin *, Tocsin__Reply *);
void apply_member_add(struct apply *, const Tocsin__MemberAdd *, Tocsin__Reply *);
void apply_member_remove(struct apply *, const Tocsin__MemberRemove *, Tocsin__Reply *);
void apply_member_gone(struct apply *, const Tocsin__MemberGone *, Tocsin__Reply *);
void apply_version_raise(struct apply *, const Tocsin__VersionRaise *, Tocsin__Reply *);
void apply_schedule_put(struct apply *, const Tocsin__SchedulePut *, Tocsin__Reply *);
void apply_schedule_delete(struct apply *, const Tocsin__ScheduleDelete *, Tocsin__Reply *);
void apply_schedule_extend(struct apply *, const Tocsin__ScheduleExtend *, Tocsin__Reply *);
void apply_overrides_create(struct apply *, const Tocsin__OverridesCreate *, Tocsin__Reply *);
void apply_person_test(struct apply *, const Tocsin__PersonTest *, Tocsin__Reply *);
void apply_contact_code_send(struct apply *, const Tocsin__ContactCodeSend *, Tocsin__Reply *);
void apply_contact_code_give(struct apply *, const Tocsin__ContactCodeGive *, Tocsin__Reply *);
void apply_drill_put(struct apply *, const Tocsin__DrillPut *, Tocsin__Reply *);
void apply_drill_delete(struct apply *, const Tocsin__DrillDelete *, Tocsin__Reply *);
void apply_drill_start(struct apply *, const Tocsin__DrillStart *, Tocsin__Reply *);
void apply_outer_probe(struct apply *, const Tocsin__OuterProbe *, Tocsin__Reply *);
void apply_swap_offer(struct apply *, const Tocsin__SwapOffer *, Tocsin__Reply *);
void apply_swap_take(struct apply *, const Tocsin__SwapTake *, Tocsin__Reply *);
void apply_swap_undo(struct apply *, const Tocsin__SwapUndo *, Tocsin__Reply *);
void apply_handoff_rule_put(struct apply *, const Tocsin__HandoffRulePut *, Tocsin__Reply *);
void apply_handoff_rule_delete(struct apply *, const Tocsin__HandoffRuleDelete *, Tocsin__Reply *);
void apply_calendar_feed_put(struct apply *, const Tocsin__CalendarFeedPut *, Tocsin__Reply *);
void apply_calendar_feed_delete(struct apply *, const Tocsin__CalendarFeedDelete *, Tocsin__Reply *);
void apply_override_delete(struct apply *, const Tocsin__OverrideDelete *, Tocsin__Reply *);
void apply_event(struct apply *, const Tocsin__Event *, Tocsin__Reply *);
void apply_incident_create(struct apply *, const Tocsin__IncidentCreate *, Tocsin__Reply *);
void apply_incident_update(struct apply *, const Tocsin__IncidentUpdate *, Tocsin__Reply *);
void apply_note_create(struct apply *, const Tocsin__NoteCreate *, Tocsin__Reply *);
void apply_incident_snooze(struct apply *, const Tocsin__IncidentSnooze *, Tocsin__Reply *);
void apply_incident_merge(struct apply *, const Tocsin__IncidentMerge *, Tocsin__Reply *);
void apply_priorities_put(struct apply *, const Tocsin__PrioritiesPut *, Tocsin__Reply *);
void apply_responders_request(struct apply *, const Tocsin__RespondersRequest *, Tocsin__Reply *);
void apply_responder_answer(struct apply *, const Tocsin__ResponderAnswer *, Tocsin__Reply *);
void apply_status_update_create(struct apply *, const Tocsin__StatusUpdateCreate *, Tocsin__Reply *);
void apply_subscribers_change(struct apply *, const Tocsin__SubscribersChange *, Tocsin__Reply *);
void apply_labels_change(struct apply *, const Tocsin__LabelsChange *, Tocsin__Reply *);
void apply_incident_unacknowledge(struct apply *, const Tocsin__IncidentUnacknowledge *, Tocsin__Reply *);
void apply_alerts_update(struct apply *, const Tocsin__AlertsUpdate *, Tocsin__Reply *);
void apply_heartbeat_put(struct apply *, const Tocsin__HeartbeatPut *, Tocsin__Reply *);
void apply_heartbeat_delete(struct apply *, const Tocsin__HeartbeatDelete *, Tocsin__Reply *);
void apply_heartbeat_extend(struct apply *, const Tocsin__HeartbeatExtend *, Tocsin__Reply *);
void apply_heartbeat_pause(struct apply *, const Tocsin__HeartbeatPause *, Tocsin__Reply *);
void apply_ping(struct apply *, const Tocsin__Ping *, Tocsin__Reply *);
void apply_tick(struct apply *, const Tocsin__Tick *, Tocsin__Reply *);
void apply_cluster_notice(struct apply *, const Tocsin__ClusterNotice *, Tocsin__Reply *);
void apply_last_gasp_report(struct apply *, const Tocsin__LastGaspReport *, Tocsin__Reply *);
void apply_orchestration_put(struct apply *, const Tocsin__OrchestrationPut *, Tocsin__Reply *);
void apply_orchestration_delete(struct apply *, const Tocsin__OrchestrationDelete *, Tocsin__Reply *);
void apply_orchestration_integration_put(struct apply *, const Tocsin__OrchestrationIntegrationPut *, Tocsin__Reply *);
void apply_orchestration_integration_delete(struct apply *, const Tocsin__OrchestrationIntegrationDelete *,
                                            Tocsin__Reply *);
void apply_orchestration_path_put(struct apply *, const Tocsin__OrchestrationPathPut *, Tocsin__Reply *);
void apply_orchestration_activate(struct apply *, const Tocsin__OrchestrationActivate *, Tocsin__Reply *);
void apply_maintenance_window_put(struct apply *, const Tocsin__MaintenanceWindowPut *, Tocsin__Reply *);
void apply_maintenance_window_delete(struct apply *, const Tocsin__MaintenanceWindowDelete *, Tocsin__Reply *);
void apply_maintenance_window_extend(struct apply *, const Tocsin__MaintenanceWindowExtend *, Tocsin__Reply *);
void apply_mute_put(struct apply *, const Tocsin__MutePut *, Tocsin__Reply *);
void apply_mute_end(struct apply *, const Tocsin__MuteEnd *, Tocsin__Reply *);
void apply_mute_verdicts(struct apply *, const Tocsin__MuteVerdicts *, Tocsin__Reply *);
void apply_change_event_put(struct apply *, const Tocsin__ChangeEventPut *, Tocsin__Reply *);
void apply_pulse(struct apply *, const Tocsin__Pulse *, Tocsin__Reply *);
void apply_claim(struct apply *, const Tocsin__Claim *, Tocsin__Reply *);
void apply_receipt(struct apply *, const Tocsin__Receipt *, Tocsin__Reply *);

/*
 * ---- incidents.h (its own header, written with its parts) declares what event.c, incident.c, escalation.c, outbox.c, timeline.c,
 * pulse.c and retention.c call of each other. Of the other parts they use only this file and records.h; people.c and catalog.c
 * call back only these:
 */

/* A user goes away: whatever the outbox owes to this user is cancelled (WHY_USER_DELETED), and the user's open incidents that
 * have no other assignee move on to the next level at once. */
void incidents_user_deleted(struct apply *, uint64_t user_id);

#endif
