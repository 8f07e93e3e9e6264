/* The model, of what people do with incidents: what it lets pass, and what it says when the promise in it is broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/records.h"
#include "tests/sim/judge/invariants.h"
#include "tests/sim/model/model_stand.h"
#include "tests/support/machine_probe.h"

#define KEY "R0000000000000000000000000000001"
#define MINUTE ((uint64_t)STAND_MINUTE_MS)
#define TRIGGER TOCSIN__EVENT_ACTION__EVENT_TRIGGER
#define RESOLVE TOCSIN__EVENT_ACTION__EVENT_RESOLVE
#define CRITICAL TOCSIN__SEVERITY__SEVERITY_CRITICAL

static uint64_t alice, bob, service;

/* Alice by text, Bob by text after 5 minutes; then the guardian. */
static int company_open(void **state)
{
    struct stand *stand = stand_new();
    *state = stand;
    stand_guardians(stand, 1, STAND_MINUTE_MS);
    alice = stand_user(stand, "Alice");
    bob = stand_user(stand, "Bob");
    (void)stand_method(stand, alice, TOCSIN__CHANNEL__CHANNEL_SMS, "5550001");
    (void)stand_method(stand, bob, TOCSIN__CHANNEL__CHANNEL_SMS, "5550003");
    const struct stand_level levels[] = {{5, {alice, 0}}, {5, {bob, 0}}};
    service = stand_service(stand, stand_policy(stand, 0, 0, 2, levels), TOCSIN__URGENCY__URGENCY_HIGH, 1800, 0);
    (void)stand_integration(stand, service, KEY);
    model_healed(stand->model, stand->true_ms);
    return 0;
}

static uint64_t trigger(struct stand *stand, const char *dedup_key)
{
    return stand_event(stand, KEY, TRIGGER, dedup_key, CRITICAL);
}

static uint64_t pages_sent(const struct stand *stand)
{
    return model_counts(stand->model).pages_sent;
}

static void finish(struct stand *stand)
{
    model_finish(stand->model, model_time_ms(stand->model));
}

/* ---------------------------------------------------------------- later */

static const Tocsin__Reply *snooze(struct stand *stand, uint64_t incident, uint32_t duration_s)
{
    Tocsin__IncidentSnooze body = TOCSIN__INCIDENT_SNOOZE__INIT;
    body.incident_id = incident;
    body.duration_s = duration_s;
    Tocsin__Command command = COMMAND(INCIDENT_SNOOZE, incident_snooze, body);
    return stand_do(stand, &command);
}

static void a_snooze_is_quiet_until_it_ends_and_begins_anew(void **state)
{
    struct stand *stand = *state;
    uint64_t incident = trigger(stand, "disk");
    stand_run_delivering(stand, 6 * MINUTE); /* Bob has it */
    assert_int_equal(pages_sent(stand), 2);
    (void)snooze(stand, incident, 3600);
    stand_run_delivering(stand, 59 * MINUTE);
    assert_int_equal(pages_sent(stand), 2);
    stand_run_delivering(stand, 2 * MINUTE); /* Alice again */
    assert_int_equal(pages_sent(stand), 3);
    assert_int_equal(model_counts(stand->model).snoozes_ended, 1);
    finish(stand);
    stand_expect_peace(stand);
}

static void another_acknowledgement_leaves_a_snooze_as_it_is(void **state)
{
    struct stand *stand = *state;
    uint64_t incident = trigger(stand, "disk");
    (void)snooze(stand, incident, 2 * 3600);
    stand->actor.kind = TOCSIN__ACTOR_KIND__ACTOR_USER;
    stand->actor.id = bob;
    assert_true(stand_set_status(stand, incident, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED));
    stand_run_delivering(stand, 119 * MINUTE);
    uint64_t sent = pages_sent(stand);
    stand_run_delivering(stand, 2 * MINUTE);
    assert_int_equal(pages_sent(stand), sent + 1);
    stand_expect_peace(stand);
}

static void a_snooze_that_has_no_end_is_missed(void **state)
{
    struct stand *stand = *state;
    uint64_t incident = trigger(stand, "disk");
    (void)snooze(stand, incident, 600);
    stand_deliver(stand);
    stand_advance(stand, 11 * MINUTE);
    model_finish(stand->model, model_time_ms(stand->model) + 11 * MINUTE);
    stand_expect_broken(stand, "because it was snoozed only until then");
}

static void a_snooze_for_ever_is_refused(void **state)
{
    struct stand *stand = *state;
    uint64_t incident = trigger(stand, "disk");
    assert_int_not_equal(snooze(stand, incident, LIMIT_SNOOZE_SECONDS + 1)->status, TOCSIN__STATUS__STATUS_OK);
    assert_true(stand_set_status(stand, incident, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED));
    assert_int_not_equal(snooze(stand, incident, 60)->status, TOCSIN__STATUS__STATUS_OK);
    stand_expect_peace(stand);
}

/* ---------------------------------------------------------------- several are one */

static const Tocsin__Reply *merge(struct stand *stand, uint64_t target, uint64_t source, uint64_t other)
{
    uint64_t sources[] = {source, other};
    Tocsin__IncidentMerge body = TOCSIN__INCIDENT_MERGE__INIT;
    body.target_id = target;
    body.source_ids = sources;
    body.n_source_ids = other != 0 ? 2 : 1;
    Tocsin__Command command = COMMAND(INCIDENT_MERGE, incident_merge, body);
    return stand_do(stand, &command);
}

static void what_was_merged_is_over_and_its_alerts_count_elsewhere(void **state)
{
    struct stand *stand = *state;
    uint64_t disk = trigger(stand, "disk"), net = trigger(stand, "net");
    stand_run_delivering(stand, MINUTE);
    assert_int_equal(pages_sent(stand), 2);
    assert_int_equal(merge(stand, disk, net, 0)->status, TOCSIN__STATUS__STATUS_OK);
    stand_run_delivering(stand, 5 * MINUTE); /* Bob hears of one */
    assert_int_equal(pages_sent(stand), 3);
    assert_int_equal(trigger(stand, "net"), disk);
    assert_int_equal(stand_event(stand, KEY, RESOLVE, "disk", CRITICAL), disk);
    assert_int_equal(model_counts(stand->model).open_incidents, 1);
    assert_int_equal(stand_event(stand, KEY, RESOLVE, "net", CRITICAL), disk);
    assert_int_equal(model_counts(stand->model).open_incidents, 0);
    assert_int_equal(model_counts(stand->model).alerts_moved, 1);
    stand_expect_peace(stand);
}

static void a_page_of_what_was_merged_is_noticed(void **state)
{
    struct stand *stand = *state;
    uint64_t net = trigger(stand, "net");
    struct model_request request = stand_request_of(stand, &stand->sends[0]);
    assert_int_equal(merge(stand, trigger(stand, "disk"), net, 0)->status, TOCSIN__STATUS__STATUS_OK);
    request.true_ms += 5000;
    model_request(stand->model, &request);
    stand_expect_broken(stand, "left 5000 ms after the incident was acknowledged or resolved");
}

static void a_merge_that_makes_no_sense_is_refused(void **state)
{
    struct stand *stand = *state;
    uint64_t disk = trigger(stand, "disk"), net = trigger(stand, "net");
    assert_int_not_equal(merge(stand, disk, disk, 0)->status, TOCSIN__STATUS__STATUS_OK);
    assert_int_not_equal(merge(stand, disk, net, net)->status, TOCSIN__STATUS__STATUS_OK);
    assert_int_not_equal(merge(stand, disk, 12345, 0)->status, TOCSIN__STATUS__STATUS_OK);
    assert_int_equal(model_counts(stand->model).open_incidents, 2);
    stand_expect_peace(stand);
}

/* The machine's answer says that the event went elsewhere. */
static void answer_elsewhere(struct stand *stand)
{
    static uint8_t packed[256];
    Tocsin__Reply reply = TOCSIN__REPLY__INIT;
    uint64_t ids[] = {4711};
    reply.status = TOCSIN__STATUS__STATUS_OK;
    reply.ids = ids;
    reply.n_ids = 1;
    assert_true(tocsin__reply__get_packed_size(&reply) <= sizeof packed);
    stand->output.replies[0].packed = (struct span){.data = packed, .size_bytes = tocsin__reply__pack(&reply, packed)};
}

static void an_alert_that_was_left_behind_is_noticed(void **state)
{
    struct stand *stand = *state;
    uint64_t disk = trigger(stand, "disk"), net = trigger(stand, "net");
    (void)merge(stand, disk, net, 0);
    stand->doctor = answer_elsewhere;
    (void)trigger(stand, "net");
    stand_expect_broken(stand, "an event of key net belongs to incident 1, and was counted elsewhere");
}

/* ---------------------------------------------------------------- help */

static const Tocsin__Reply *call(struct stand *stand, uint64_t incident, uint64_t person)
{
    Tocsin__RespondersRequest body = TOCSIN__RESPONDERS_REQUEST__INIT;
    body.incident_id = incident;
    body.user_ids = &person;
    body.n_user_ids = 1;
    Tocsin__Command command = COMMAND(RESPONDERS_REQUEST, responders_request, body);
    return stand_do(stand, &command);
}

static void who_is_called_is_told_though_somebody_has_it(void **state)
{
    struct stand *stand = *state;
    uint64_t incident = trigger(stand, "disk");
    stand_run_delivering(stand, MINUTE);
    assert_true(stand_set_status(stand, incident, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED));
    assert_int_equal(call(stand, incident, bob)->status, TOCSIN__STATUS__STATUS_OK);
    stand_run_delivering(stand, MINUTE);
    assert_int_equal(pages_sent(stand), 2);
    finish(stand);
    stand_expect_peace(stand);
}

static void a_call_that_never_leaves_is_missed(void **state)
{
    struct stand *stand = *state;
    uint64_t incident = trigger(stand, "disk");
    stand_deliver(stand);
    assert_true(stand_set_status(stand, incident, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED));
    (void)call(stand, incident, bob);
    finish(stand);
    stand_expect_broken(stand, "the page to Bob (sms 5550003, level 1, pass 0, to help) was owed");
}

static void who_has_answered_is_called_no_more(void **state)
{
    struct stand *stand = *state;
    uint64_t incident = trigger(stand, "disk");
    (void)call(stand, incident, bob);
    Tocsin__ResponderAnswer body = TOCSIN__RESPONDER_ANSWER__INIT;
    body.incident_id = incident;
    body.user_id = bob;
    body.state = TOCSIN__RESPONDER_STATE__RESPONDER_DECLINED;
    Tocsin__Command command = COMMAND(RESPONDER_ANSWER, responder_answer, body);
    (void)stand_done(stand, &command);
    stand_new_leader(stand, 2);
    stand_reclaim(stand);
    stand_run_delivering(stand, MINUTE);
    assert_int_equal(pages_sent(stand), 1); /* Alice's */
    stand_expect_peace(stand);
}

static void a_call_in_the_words_of_a_page_is_noticed(void **state)
{
    struct stand *stand = *state;
    uint64_t incident = trigger(stand, "disk");
    stand_deliver(stand);
    (void)call(stand, incident, bob);
    struct model_request request = stand_request_of(stand, &stand->sends[0]);
    request.text = "[#1 TRIGGERED high] The disk of db1 is full - service Disks, level 1.";
    model_request(stand->model, &request);
    stand_expect_broken(stand, "nobody is owed that page there");
}

/* ---------------------------------------------------------------- levels */

static void a_level_is_one_persons_at_a_time(void **state)
{
    struct stand *stand = *state;
    const struct stand_level levels[] = {{5, {alice, bob, 0}}};
    stand->by_turns = true;
    uint64_t other = stand_service(stand, stand_policy(stand, 0, 0, 1, levels), TOCSIN__URGENCY__URGENCY_HIGH, 0, 0);
    (void)stand_integration(stand, other, "R0000000000000000000000000000002");
    static const char *const ADDRESSES[] = {"5550001", "5550003", "5550001"};
    for (size_t i = 0; i < 3; i++) {
        char dedup_key[8];
        (void)snprintf(dedup_key, sizeof dedup_key, "k%zu", i);
        (void)stand_event(stand, "R0000000000000000000000000000002", TRIGGER, dedup_key, CRITICAL);
        assert_int_equal(stand->sends_count, 1);
        assert_string_equal(stand->sends[0].notification->address, ADDRESSES[i]);
        stand_deliver(stand);
    }
    assert_int_equal(model_counts(stand->model).turns, 3);
    stand_expect_peace(stand);
}

static void low_urgency_goes_on_where_the_policy_says_so_and_wakes_no_guardian(void **state)
{
    struct stand *stand = *state;
    const struct stand_level levels[] = {{5, {alice, 0}}, {5, {bob, 0}}};
    stand->low_moves = true;
    uint64_t other = stand_service(stand, stand_policy(stand, 0, 0, 2, levels), TOCSIN__URGENCY__URGENCY_LOW, 0, 0);
    (void)stand_integration(stand, other, "R0000000000000000000000000000002");
    (void)stand_event(stand, "R0000000000000000000000000000002", TRIGGER, "disk", CRITICAL);
    stand_run_delivering(stand, 20 * MINUTE);
    assert_int_equal(pages_sent(stand), 2);
    assert_int_equal(model_counts(stand->model).guardian_pages, 0);
    finish(stand);
    stand_expect_peace(stand);
}

/* Found by random nights: the clock of support hours ran on, and would have begun the escalation again. */
static void what_guardians_have_counts_no_support_hours(void **state)
{
    struct stand *stand = *state;
    char sentence[256];
    const struct stand_level levels[] = {{5, {alice, 0}}};
    stand->low_moves = true;
    uint64_t other = stand_service(stand, stand_policy(stand, 0, 0, 1, levels), TOCSIN__URGENCY__URGENCY_LOW, 0, 0);
    (void)stand_integration(stand, other, "R0000000000000000000000000000002");
    (void)stand_event(stand, "R0000000000000000000000000000002", TRIGGER, "disk", CRITICAL);
    stand_receipt(stand, &stand->sends[0], TOCSIN__OUTCOME__OUTCOME_NEVER, 0); /* and she has no other way */
    assert_int_equal(model_counts(stand->model).guardian_pages, 1);
    if (!invariants_hold(stand->decoded, &stand->store, sentence, sizeof sentence)) {
        fail_msg("%s", sentence);
    }
    stand_expect_peace(stand);
}

/* An edit of the service, as forms send it: all of it. */
static void edit_service(struct stand *stand, uint64_t id)
{
    Tocsin__Service wanted = TOCSIN__SERVICE__INIT;
    Tocsin__ServicePut body = TOCSIN__SERVICE_PUT__INIT;
    body.id = id;
    body.fields = 1u << 23; /* support hours: none, as before */
    body.service = &wanted;
    Tocsin__Command command = COMMAND(SERVICE_PUT, service_put, body);
    (void)stand_do(stand, &command);
}

/* Found by random storms: of what was due when its service was edited the next level came a pulse later. */
static void an_edit_of_the_service_leaves_what_is_due(void **state)
{
    struct stand *stand = *state;
    const struct stand_level levels[] = {{5, {alice, 0}}, {5, {bob, 0}}};
    stand->low_moves = true;
    uint64_t other = stand_service(stand, stand_policy(stand, 0, 0, 2, levels), TOCSIN__URGENCY__URGENCY_LOW, 0, 0);
    (void)stand_integration(stand, other, "R0000000000000000000000000000002");
    (void)stand_event(stand, "R0000000000000000000000000000002", TRIGGER, "disk", CRITICAL);
    stand_run_delivering(stand, 4 * MINUTE);
    stand_advance(stand, MINUTE - 1);
    edit_service(stand, other);
    stand_advance(stand, 2);
    stand_pulse(stand, LIMIT_PULSE_DEADLINES);
    assert_int_equal(stand->sends_count, 1);
    stand_expect_peace(stand);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, company_open, stand_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_snooze_is_quiet_until_it_ends_and_begins_anew),
        STORY(another_acknowledgement_leaves_a_snooze_as_it_is),
        STORY(a_snooze_that_has_no_end_is_missed),
        STORY(a_snooze_for_ever_is_refused),
        STORY(what_was_merged_is_over_and_its_alerts_count_elsewhere),
        STORY(a_page_of_what_was_merged_is_noticed),
        STORY(a_merge_that_makes_no_sense_is_refused),
        STORY(an_alert_that_was_left_behind_is_noticed),
        STORY(a_level_is_one_persons_at_a_time),
        STORY(low_urgency_goes_on_where_the_policy_says_so_and_wakes_no_guardian),
        STORY(what_guardians_have_counts_no_support_hours),
        STORY(an_edit_of_the_service_leaves_what_is_due),
        STORY(who_is_called_is_told_though_somebody_has_it),
        STORY(a_call_that_never_leaves_is_missed),
        STORY(who_has_answered_is_called_no_more),
        STORY(a_call_in_the_words_of_a_page_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
