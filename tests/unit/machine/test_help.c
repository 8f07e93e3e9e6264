/*
 * What is told of an incident beside its pages, and what is recorded of it: help that is asked for, news for subscribers,
 * targets of priorities, tickets, alerts by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/incidents/priorities.h"
#include "consensus/machine/limits.h"
#include "tests/support/machine_fixture.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define MINUTE FIXTURE_MINUTE_MS
#define SMS TOCSIN__CHANNEL__CHANNEL_SMS
#define EMAIL TOCSIN__CHANNEL__CHANNEL_EMAIL
#define OK TOCSIN__STATUS__STATUS_OK
#define ACKNOWLEDGED TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED
#define RESOLVED TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED
#define TRIGGERED TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED
/* Applies one command. */
#define COMMAND(f, NAME, name, body)                                                                                  \
    fixture_apply((f), &(Tocsin__Command){.base = PROTOBUF_C_MESSAGE_INIT(&tocsin__command__descriptor),              \
                                          .idempotency_key = (char *)"",                                              \
                                          .body_case = TOCSIN__COMMAND__BODY_##NAME,                                  \
                                          .name = (body)})

/* Alice on the first level, Bob on the second; Carol has e-mail and a telephone, Dora nothing. */
struct town {
    struct machine_fixture *f;
    uint64_t alice, bob, carol, dora, policy, service;
};

static int begin(void **state)
{
    static struct town town;
    struct machine_fixture *f = town.f = fixture_new();
    town.alice = fixture_user(f, "Alice");
    fixture_method(f, town.alice, SMS, "15550001");
    town.bob = fixture_user(f, "Bob");
    fixture_method(f, town.bob, SMS, "15550002");
    town.carol = fixture_user(f, "Carol");
    fixture_method(f, town.carol, SMS, "15550003");
    fixture_method(f, town.carol, EMAIL, "carol@example.org");
    town.dora = fixture_user(f, "Dora");
    struct fixture_level levels[] = {{5, {town.alice}}, {5, {town.bob}}};
    town.policy = fixture_policy(f, 0, 2, levels);
    town.service = fixture_service(f, town.policy, TOCSIN__URGENCY__URGENCY_HIGH, 1800, 0);
    fixture_integration(f, town.service, KEY);
    *state = &town;
    return 0;
}

static int end(void **state)
{
    struct town *town = *state;
    fixture_free(town->f);
    return 0;
}

static const Tocsin__Notification *expect_told(struct machine_fixture *f, const char *name, Tocsin__Channel channel)
{
    const Tocsin__Notification *notification = fixture_expect_send(f, name, channel);
    fixture_receipt(f, notification, TOCSIN__OUTCOME__OUTCOME_SENT, 0);
    return notification;
}

static uint64_t triggered(struct machine_fixture *f, const char *key)
{
    uint64_t id = fixture_trigger(f, KEY, key);
    expect_told(f, "Alice", SMS);
    fixture_expect_silence(f);
    return id;
}

static void expect_refused(const Tocsin__Reply *reply, Tocsin__Reason reason)
{
    assert_int_not_equal(reply->status, OK);
    assert_int_equal(reply->reason, reason);
    assert_true(reply->message[0] != '\0');
}

static const Tocsin__Reply *record(struct machine_fixture *f, uint64_t id, Tocsin__IncidentDetails details,
                                   uint64_t fields)
{
    Tocsin__IncidentChange change = fixture_change_of(id);
    change.details = &details;
    change.details_fields = fields;
    return fixture_change(f, change);
}

static Tocsin__IncidentDetails of_category(Tocsin__IncidentCategory category)
{
    Tocsin__IncidentDetails details = TOCSIN__INCIDENT_DETAILS__INIT;
    details.category = category;
    return details;
}

/* ---------------------------------------------------------------- help */

static const Tocsin__Reply *ask_for(struct machine_fixture *f, uint64_t id, uint64_t user, uint64_t policy)
{
    Tocsin__RespondersRequest body = TOCSIN__RESPONDERS_REQUEST__INIT;
    body.incident_id = id;
    body.message = (char *)"The database again";
    body.user_ids = &user;
    body.n_user_ids = user != 0;
    body.escalation_policy_ids = &policy;
    body.n_escalation_policy_ids = policy != 0;
    return COMMAND(f, RESPONDERS_REQUEST, responders_request, &body);
}

static const Tocsin__Reply *answer(struct machine_fixture *f, uint64_t id, uint64_t user, Tocsin__ResponderState state)
{
    Tocsin__ResponderAnswer body = TOCSIN__RESPONDER_ANSWER__INIT;
    body.incident_id = id;
    body.user_id = user;
    body.state = state;
    return COMMAND(f, RESPONDER_ANSWER, responder_answer, &body);
}

static void people_are_asked_to_help_and_answer(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    uint64_t id = triggered(f, "disk");
    fixture_act_as_user(f, town->alice, "Alice");
    fixture_set_status(f, id, ACKNOWLEDGED);

    /* An acknowledgement ends pages, not this. */
    assert_int_equal(ask_for(f, id, town->carol, 0)->status, OK);
    const Tocsin__Notification *told = expect_told(f, "Carol", SMS); /* high urgency */
    assert_string_equal(told->bulletin_text, "Alice asks for your help: The database again");
    fixture_expect_silence(f);
    const Tocsin__Responder *responder = fixture_incident(f, id)->responders[0];
    assert_int_equal(responder->state, TOCSIN__RESPONDER_STATE__RESPONDER_PENDING);
    assert_int_equal(responder->requester_id, town->alice);

    assert_int_equal(answer(f, id, town->carol, TOCSIN__RESPONDER_STATE__RESPONDER_DECLINED)->status, OK);
    ask_for(f, id, town->carol, 0); /* once more, please */
    expect_told(f, "Carol", SMS);
    assert_int_equal(answer(f, id, town->carol, TOCSIN__RESPONDER_STATE__RESPONDER_JOINED)->status, OK);
    assert_int_equal(fixture_incident(f, id)->n_responders, 1);
    expect_refused(ask_for(f, id, town->carol, 0), TOCSIN__REASON__REASON_BAD_VALUE); /* she is here */
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_RESPONDER_REQUEST, 0), 2);
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_RESPONDER_ANSWER, 0), 2);

    /* The incident is Alice's as before. */
    assert_int_equal(fixture_incident(f, id)->status, ACKNOWLEDGED);
    assert_int_equal(fixture_incident(f, id)->n_assignments, 1);

    expect_refused(answer(f, id, town->bob, TOCSIN__RESPONDER_STATE__RESPONDER_JOINED),
                   TOCSIN__REASON__REASON_NOT_A_RESPONDER);
    expect_refused(ask_for(f, id, 999999, 0), TOCSIN__REASON__REASON_UNKNOWN_USER);
    expect_refused(ask_for(f, id, 0, 999999), TOCSIN__REASON__REASON_UNKNOWN_POLICY);
    expect_refused(ask_for(f, id, 0, 0), TOCSIN__REASON__REASON_BAD_VALUE);
}

static void the_first_level_of_a_policy_is_asked(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    struct fixture_level levels[] = {{5, {town->carol, town->dora}}, {5, {town->bob}}};
    uint64_t others = fixture_policy(f, 0, 2, levels), id = triggered(f, "disk");
    assert_int_equal(ask_for(f, id, 0, others)->status, OK);
    expect_told(f, "Carol", SMS);
    fixture_expect_silence(f);
    assert_int_equal(fixture_incident(f, id)->n_responders, 2);
    /* Dora cannot be told, and that is said. */
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_NOTIFY, TOCSIN__WHY__WHY_NO_CONTACT_METHOD), 1);
}

static void a_request_that_fails_takes_the_next_way_and_ends_with_the_answer(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    uint64_t id = triggered(f, "disk");
    ask_for(f, id, town->carol, 0);
    fixture_receipt(f, fixture_expect_send(f, "Carol", SMS), TOCSIN__OUTCOME__OUTCOME_NEVER, 0);
    const Tocsin__Notification *mail = fixture_expect_send(f, "Carol", EMAIL);
    assert_int_equal(mail->bulletin, TOCSIN__BULLETIN_KIND__BULLETIN_RESPONDER_REQUEST);
    fixture_receipt(f, mail, TOCSIN__OUTCOME__OUTCOME_RETRY, 1000);
    answer(f, id, town->carol, TOCSIN__RESPONDER_STATE__RESPONDER_JOINED);
    fixture_run(f, 2000);
    fixture_expect_silence(f); /* she knows */
    assert_int_equal(fixture_notification(f, id, mail->id)->why_ended, TOCSIN__WHY__WHY_RESPONDER_ANSWERED);
    /* The page of the level did not wait for any of this. */
    fixture_run(f, 5 * MINUTE);
    expect_told(f, "Bob", SMS);
}

/* ---------------------------------------------------------------- news */

static const Tocsin__Reply *subscribe(struct machine_fixture *f, uint64_t id, uint64_t *users, size_t count, bool remove)
{
    Tocsin__SubscribersChange body = TOCSIN__SUBSCRIBERS_CHANGE__INIT;
    body.incident_id = id;
    body.user_ids = users;
    body.n_user_ids = count;
    body.remove = remove;
    return COMMAND(f, SUBSCRIBERS_CHANGE, subscribers_change, &body);
}

static const Tocsin__Reply *news(struct machine_fixture *f, uint64_t id, const char *message)
{
    Tocsin__StatusUpdateCreate body = TOCSIN__STATUS_UPDATE_CREATE__INIT;
    body.incident_id = id;
    body.message = (char *)message;
    return COMMAND(f, STATUS_UPDATE_CREATE, status_update_create, &body);
}

static void subscribers_hear_of_status_updates(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    uint64_t id = triggered(f, "disk"), both[] = {town->carol, town->bob}, nobody[] = {999999};
    assert_int_equal(news(f, id, "Nobody listens yet")->status, OK);
    fixture_expect_silence(f);
    assert_int_equal(subscribe(f, id, both, 2, false)->status, OK);
    subscribe(f, id, both, 1, false);
    assert_int_equal(fixture_incident(f, id)->n_subscriber_ids, 2);
    expect_refused(subscribe(f, id, nobody, 1, false), TOCSIN__REASON__REASON_UNKNOWN_USER);

    assert_int_equal(news(f, id, "We are adding disks")->status, OK);
    assert_string_equal(expect_told(f, "Carol", EMAIL)->bulletin_text, "We are adding disks"); /* quietly */
    expect_told(f, "Bob", SMS); /* his only way */
    fixture_expect_silence(f);
    subscribe(f, id, &town->bob, 1, true);
    fixture_set_status(f, id, RESOLVED);
    news(f, id, "It is over");
    expect_told(f, "Carol", EMAIL); /* that it is over is news, too */
    fixture_expect_silence(f);
    expect_refused(news(f, id, ""), TOCSIN__REASON__REASON_BAD_VALUE);
    expect_refused(news(f, 999999, "x"), TOCSIN__REASON__REASON_UNKNOWN_OBJECT);
}

/* Who subscribed before it became a secret is told nothing that they may not read; once found to hear all of it. */
static void of_a_secret_only_those_hear_who_may_see_it(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    Tocsin__Team team = TOCSIN__TEAM__INIT;
    team.name = (char *)"Security";
    Tocsin__TeamPut team_put = TOCSIN__TEAM_PUT__INIT;
    team_put.team = &team;
    uint64_t team_id = COMMAND(f, TEAM_PUT, team_put, &team_put)->ids[0];
    Tocsin__TeamMemberPut member = TOCSIN__TEAM_MEMBER_PUT__INIT;
    member.team_id = team_id;
    member.user_id = town->carol;
    assert_int_equal(COMMAND(f, TEAM_MEMBER_PUT, team_member_put, &member)->status, OK);
    Tocsin__TeamPolicyPut policy = TOCSIN__TEAM_POLICY_PUT__INIT;
    policy.team_id = team_id;
    policy.escalation_policy_id = town->policy;
    assert_int_equal(COMMAND(f, TEAM_POLICY_PUT, team_policy_put, &policy)->status, OK);

    uint64_t id = triggered(f, "disk"), everybody[] = {town->alice, town->bob, town->carol};
    assert_int_equal(subscribe(f, id, everybody, 3, false)->status, OK);
    assert_int_equal(record(f, id, of_category(TOCSIN__INCIDENT_CATEGORY__CATEGORY_SECURITY), 1u << 3)->status, OK);
    Tocsin__TeamMemberDelete left = TOCSIN__TEAM_MEMBER_DELETE__INIT;
    left.team_id = team_id;
    left.user_id = town->bob; /* who had become a member as the policy's second level */
    Tocsin__EscalationLevel level = TOCSIN__ESCALATION_LEVEL__INIT, *levels[] = {&level};
    level.user_ids = &town->alice;
    level.n_user_ids = 1;
    Tocsin__EscalationPolicy without = TOCSIN__ESCALATION_POLICY__INIT;
    without.levels = levels;
    without.n_levels = 1;
    Tocsin__EscalationPolicyPut change = TOCSIN__ESCALATION_POLICY_PUT__INIT;
    change.id = town->policy;
    change.fields = 1u << 5;
    change.escalation_policy = &without;
    assert_int_equal(COMMAND(f, ESCALATION_POLICY_PUT, escalation_policy_put, &change)->status, OK);
    (void)COMMAND(f, TEAM_MEMBER_DELETE, team_member_delete, &left);
    assert_int_equal(news(f, id, "Somebody has been in our systems")->status, OK);
    expect_told(f, "Alice", SMS);   /* she has it */
    expect_told(f, "Carol", EMAIL); /* of the team */
    fixture_expect_silence(f);
}

/* ---------------------------------------------------------------- targets */

/* A list of one priority; its id. */
static uint64_t priority_with_targets(struct machine_fixture *f, uint32_t acknowledge_minutes, uint32_t resolve_minutes)
{
    Tocsin__Priority priority = TOCSIN__PRIORITY__INIT, *list[] = {&priority};
    priority.id = priorities_read(&f->store, NULL)->priorities[0]->id;
    priority.name = (char *)"P1";
    priority.acknowledge_target_minutes = acknowledge_minutes;
    priority.resolve_target_minutes = resolve_minutes;
    Tocsin__PrioritiesPut body = TOCSIN__PRIORITIES_PUT__INIT;
    body.priorities = list;
    body.n_priorities = 1;
    assert_int_equal(COMMAND(f, PRIORITIES_PUT, priorities_put, &body)->status, OK);
    return priority.id;
}

static void give_priority(struct machine_fixture *f, uint64_t id, uint64_t priority)
{
    Tocsin__IncidentDetails details = TOCSIN__INCIDENT_DETAILS__INIT;
    details.priority_id = priority;
    assert_int_equal(record(f, id, details, 1u << 1)->status, OK);
}

static void a_missed_target_is_told_and_hurries_the_escalation(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    uint64_t p1 = priority_with_targets(f, 3, 30), id = triggered(f, "disk");
    give_priority(f, id, p1);
    fixture_run(f, 3 * MINUTE - 1);
    fixture_expect_silence(f);
    fixture_run(f, 1);
    assert_int_equal(expect_told(f, "Alice", SMS)->bulletin, TOCSIN__BULLETIN_KIND__BULLETIN_TARGET_MISSED);
    assert_int_equal(expect_told(f, "Bob", SMS)->bulletin, TOCSIN__BULLETIN_KIND__BULLETIN_NONE); /* two minutes early */
    assert_int_equal(fixture_incident(f, id)->level, 2);
    assert_true(fixture_incident(f, id)->acknowledge_target_missed);
    assert_int_equal(
        fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_TARGET_MISSED, TOCSIN__WHY__WHY_ACKNOWLEDGE_TARGET), 1);

    fixture_act_as_user(f, town->bob, "Bob");
    fixture_set_status(f, id, ACKNOWLEDGED);
    fixture_run(f, 27 * MINUTE);
    assert_int_equal(expect_told(f, "Bob", SMS)->bulletin, TOCSIN__BULLETIN_KIND__BULLETIN_TARGET_MISSED);
    fixture_expect_silence(f); /* Bob has it: nobody else is told */
    assert_int_equal(fixture_incident(f, id)->status, ACKNOWLEDGED);
    assert_true(fixture_incident(f, id)->resolve_target_missed);
    fixture_set_status(f, id, RESOLVED);
}

/* Once found to have a priority and no deadline of it. */
static void a_priority_that_a_rule_gives_has_its_targets(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    Tocsin__EventDecision decision = TOCSIN__EVENT_DECISION__INIT;
    decision.priority_id = priority_with_targets(f, 2, 60);
    Tocsin__Event event = TOCSIN__EVENT__INIT;
    event.routing_key = (char *)KEY;
    event.dedup_key = (char *)"disk";
    event.summary = (char *)"The disk is full";
    event.severity = TOCSIN__SEVERITY__SEVERITY_CRITICAL;
    event.decision = &decision;
    uint64_t id = COMMAND(f, EVENT, event, &event)->ids[0];
    expect_told(f, "Alice", SMS);
    fixture_run(f, 2 * MINUTE);
    assert_true(fixture_incident(f, id)->acknowledge_target_missed);
    expect_told(f, "Alice", SMS); /* that it was missed */
    expect_told(f, "Bob", SMS);   /* and the next level at once */
    fixture_set_status(f, id, ACKNOWLEDGED);
    fixture_run(f, 58 * MINUTE);
    assert_true(fixture_incident(f, id)->resolve_target_missed);
}

static void targets_that_are_met_are_silent(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    uint64_t p1 = priority_with_targets(f, 3, 10), id = triggered(f, "disk");
    give_priority(f, id, p1);
    fixture_act_as_user(f, town->alice, "Alice");
    fixture_set_status(f, id, ACKNOWLEDGED);
    assert_int_equal(fixture_incident(f, id)->acknowledge_target_due_ms, 0);
    fixture_run(f, 9 * MINUTE);
    fixture_set_status(f, id, RESOLVED);
    fixture_run(f, 10 * MINUTE);
    fixture_expect_silence(f);
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_TARGET_MISSED, 0), 0);

    /* One that is given too late is missed at once; without a priority there is none. */
    uint64_t late = triggered(f, "late");
    fixture_run(f, 4 * MINUTE);
    give_priority(f, late, p1);
    fixture_run(f, 0);
    fixture_pulse(f, 10);
    assert_true(fixture_incident(f, late)->acknowledge_target_missed);
    fixture_deliver_all(f);
    give_priority(f, late, 0);
    assert_int_equal(fixture_incident(f, late)->resolve_target_due_ms, 0);
}

static void a_missed_target_at_the_end_of_the_policy_is_the_guardians(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    fixture_guardian(f, "Grace", SMS, "15550009");
    uint64_t p1 = priority_with_targets(f, 12, 0), id = triggered(f, "disk");
    give_priority(f, id, p1);
    fixture_run(f, 5 * MINUTE);
    expect_told(f, "Bob", SMS);
    fixture_run(f, 5 * MINUTE);
    expect_told(f, "Grace", SMS);
    fixture_run(f, 2 * MINUTE);
    expect_told(f, "Bob", SMS);
    expect_told(f, "Grace", SMS);
    fixture_expect_silence(f);
    assert_true(fixture_incident(f, id)->exhausted);
}

/* ---------------------------------------------------------------- records */

static void a_ticket_pages_nobody_until_it_is_none_any_more(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    fixture_guardian(f, "Grace", SMS, "15550009");
    Tocsin__IncidentDetails ticket = of_category(TOCSIN__INCIDENT_CATEGORY__CATEGORY_TICKET);
    Tocsin__IncidentCreate body = TOCSIN__INCIDENT_CREATE__INIT;
    body.service_id = town->service;
    body.title = (char *)"Renew the certificate";
    body.details = &ticket;
    const Tocsin__Reply *reply = COMMAND(f, INCIDENT_CREATE, incident_create, &body);
    assert_int_equal(reply->status, OK);
    uint64_t id = reply->ids[0];
    fixture_run(f, 24 * 60 * MINUTE);
    fixture_expect_silence(f);
    const Tocsin__Incident *incident = fixture_incident(f, id);
    assert_int_equal(incident->status, TRIGGERED);
    assert_int_equal(incident->assignments[0]->user_id, town->alice); /* it has its people */
    assert_true(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_ASSIGN, TOCSIN__WHY__WHY_TICKET) > 0);

    /* Given to somebody, snoozed, made high: still quiet. */
    Tocsin__IncidentChange change = fixture_change_of(id);
    change.assignee_ids = &town->carol;
    change.n_assignee_ids = 1;
    fixture_change(f, change);
    fixture_act_as_user(f, town->carol, "Carol");
    Tocsin__IncidentSnooze snooze = TOCSIN__INCIDENT_SNOOZE__INIT;
    snooze.incident_id = id;
    snooze.duration_s = 60;
    COMMAND(f, INCIDENT_SNOOZE, incident_snooze, &snooze);
    fixture_run(f, 60 * MINUTE);
    fixture_expect_silence(f);
    assert_int_equal(fixture_incident(f, id)->status, TRIGGERED);

    record(f, id, of_category(TOCSIN__INCIDENT_CATEGORY__CATEGORY_PAGE), 1u << 3);
    expect_told(f, "Carol", SMS);
}

static void making_a_ticket_of_a_page_ends_it(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    f->proposer = 0;
    uint64_t id = fixture_trigger(f, KEY, "disk");
    uint64_t notification = fixture_incident(f, id)->pending_notification_ids[0];
    record(f, id, of_category(TOCSIN__INCIDENT_CATEGORY__CATEGORY_TICKET), 1u << 3);
    assert_int_equal(fixture_notification(f, id, notification)->why_ended, TOCSIN__WHY__WHY_TICKET);
    f->proposer = 1;
    fixture_run(f, 60 * MINUTE);
    fixture_expect_silence(f);
    (void)town;
}

/* Once found to take all further alerts of its service without a word to anybody. */
static void a_ticket_takes_no_new_alerts(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    Tocsin__AlertGrouping grouping = TOCSIN__ALERT_GROUPING__INIT;
    grouping.type = TOCSIN__GROUPING_TYPE__GROUPING_TIME;
    Tocsin__Service service = TOCSIN__SERVICE__INIT;
    service.alert_grouping = &grouping;
    Tocsin__ServicePut put = TOCSIN__SERVICE_PUT__INIT;
    put.id = town->service;
    put.fields = 1ull << 26;
    put.service = &service;
    assert_int_equal(COMMAND(f, SERVICE_PUT, service_put, &put)->status, OK);
    uint64_t ticket = triggered(f, "disk");
    assert_int_equal(fixture_trigger(f, KEY, "load"), ticket);
    record(f, ticket, of_category(TOCSIN__INCIDENT_CATEGORY__CATEGORY_TICKET), 1u << 3);
    /* what it has stays in it, and silent */
    assert_int_equal(fixture_trigger(f, KEY, "disk"), ticket);
    fixture_expect_silence(f);
    /* what is new pages, and the next one joins that */
    uint64_t page = triggered(f, "net");
    assert_int_not_equal(page, ticket);
    assert_int_equal(fixture_trigger(f, KEY, "cpu"), page);
    fixture_set_status(f, ticket, RESOLVED);
    assert_int_equal(fixture_trigger(f, KEY, "fan"), page);
}

static void what_is_recorded_is_checked_and_may_come_afterwards(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    uint64_t id = triggered(f, "disk");
    Tocsin__IncidentDetails details = TOCSIN__INCIDENT_DETAILS__INIT;
    details.severity = TOCSIN__INCIDENT_SEVERITY__INCIDENT_SEVERITY_2;
    details.impact_started_at_ms = f->now_ms - 10 * MINUTE;
    details.mitigated_at_ms = f->now_ms;
    details.conference_url = (char *)"https://meet.example.org/1";
    details.runbook_url = (char *)"https://wiki.example.org/disk";
    details.action_needed = TOCSIN__ACTION_NEEDED__ACTION_NEEDED_YES;
    fixture_set_status(f, id, RESOLVED);
    assert_int_equal(record(f, id, details, UINT64_MAX)->status, OK);
    const Tocsin__IncidentDetails *kept = fixture_incident(f, id)->details;
    assert_int_equal(kept->severity, TOCSIN__INCIDENT_SEVERITY__INCIDENT_SEVERITY_2);
    assert_int_equal(kept->mitigated_at_ms, details.mitigated_at_ms);
    assert_string_equal(kept->runbook_url, "https://wiki.example.org/disk");
    assert_int_equal(kept->action_needed, TOCSIN__ACTION_NEEDED__ACTION_NEEDED_YES);
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_FIELD_VALUE_CHANGE, 0), 6);

    details.mitigated_at_ms = details.impact_started_at_ms - 1;
    expect_refused(record(f, id, details, 1u << 5), TOCSIN__REASON__REASON_BAD_VALUE);
    details.mitigated_at_ms = f->now_ms + LIMIT_CLOCK_AHEAD_MS + 1;
    expect_refused(record(f, id, details, 1u << 5), TOCSIN__REASON__REASON_BAD_VALUE);
    details.runbook_url = (char *)"javascript:alert(1)";
    expect_refused(record(f, id, details, 1u << 8), TOCSIN__REASON__REASON_BAD_VALUE);
    Tocsin__IncidentChange change = fixture_change_of(id);
    change.title = (char *)"Another title";
    change.details = &details;
    change.details_fields = 1u << 2;
    expect_refused(fixture_change(f, change), TOCSIN__REASON__REASON_ALREADY_RESOLVED);
}

/* ---------------------------------------------------------------- alerts */

static uint64_t first_alert(struct machine_fixture *f, uint64_t incident)
{
    struct walk walk = walk_under(&f->store, TABLE_ALERT, incident);
    return walk_next(&walk) ? span_number(walk.key, 1) : 0;
}

static const Tocsin__Reply *change_alert(struct machine_fixture *f, uint64_t incident, uint64_t alert, bool resolve,
                                         uint64_t to)
{
    Tocsin__AlertChange change = TOCSIN__ALERT_CHANGE__INIT, *changes[] = {&change};
    change.id = alert;
    change.resolve = resolve;
    change.incident_id = to;
    Tocsin__AlertsUpdate body = TOCSIN__ALERTS_UPDATE__INIT;
    body.incident_id = incident;
    body.changes = changes;
    body.n_changes = 1;
    return COMMAND(f, ALERTS_UPDATE, alerts_update, &body);
}

static void alerts_are_resolved_and_moved_by_hand(void **state)
{
    struct town *town = *state;
    struct machine_fixture *f = town->f;
    uint64_t disk = triggered(f, "disk"), load = triggered(f, "load"), net = triggered(f, "net");
    uint64_t disk_alert = first_alert(f, disk), load_alert = first_alert(f, load);
    fixture_act_as_user(f, town->alice, "Alice");

    expect_refused(change_alert(f, disk, load_alert, true, 0), TOCSIN__REASON__REASON_UNKNOWN_OBJECT);
    expect_refused(change_alert(f, disk, disk_alert, false, 999999), TOCSIN__REASON__REASON_UNKNOWN_OBJECT);
    assert_int_equal(change_alert(f, load, load_alert, false, disk)->status, OK);
    assert_int_equal(fixture_incident(f, load)->status, RESOLVED);
    assert_int_equal(fixture_log_count(f, load, TOCSIN__LOG_TYPE__LOG_RESOLVE, TOCSIN__WHY__WHY_ALERTS_MOVED), 1);
    assert_int_equal(fixture_incident(f, disk)->alerts_triggered, 2);
    assert_int_equal(change_alert(f, disk, disk_alert, true, net)->status, OK); /* both at once */
    assert_int_equal(fixture_incident(f, net)->alerts_resolved, 1);
    assert_int_equal(fixture_incident(f, disk)->status, TRIGGERED);
    change_alert(f, disk, load_alert, true, 0);
    assert_int_equal(fixture_incident(f, disk)->status, RESOLVED);
    expect_refused(change_alert(f, net, disk_alert, false, disk), TOCSIN__REASON__REASON_ALREADY_RESOLVED);
}

#define story(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        story(people_are_asked_to_help_and_answer),
        story(the_first_level_of_a_policy_is_asked),
        story(a_request_that_fails_takes_the_next_way_and_ends_with_the_answer),
        story(subscribers_hear_of_status_updates),
        story(of_a_secret_only_those_hear_who_may_see_it),
        story(a_missed_target_is_told_and_hurries_the_escalation),
        story(a_priority_that_a_rule_gives_has_its_targets),
        story(targets_that_are_met_are_silent),
        story(a_missed_target_at_the_end_of_the_policy_is_the_guardians),
        story(a_ticket_pages_nobody_until_it_is_none_any_more),
        story(making_a_ticket_of_a_page_ends_it),
        story(a_ticket_takes_no_new_alerts),
        story(what_is_recorded_is_checked_and_may_come_afterwards),
        story(alerts_are_resolved_and_moved_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
