/* The model: what it lets pass, and for each promise a story in which it is broken and the model says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/records.h"
#include "tests/sim/model/model_internal.h"
#include "tests/sim/model/model_stand.h"
#include "tests/support/machine_probe.h"

#define KEY "R0000000000000000000000000000001"
#define MINUTE ((uint64_t)STAND_MINUTE_MS)
#define TRIGGER TOCSIN__EVENT_ACTION__EVENT_TRIGGER
#define CRITICAL TOCSIN__SEVERITY__SEVERITY_CRITICAL

static uint64_t alice, bob, service;

/* Alice by text at once and by voice after 2 and 4 minutes, Bob by text after 5; twice round; then the guardian. */
static int company_open(void **state)
{
    struct stand *stand = stand_new();
    *state = stand;
    stand_guardians(stand, 1, STAND_MINUTE_MS);
    alice = stand_user(stand, "Alice");
    bob = stand_user(stand, "Bob");
    (void)stand_method(stand, alice, TOCSIN__CHANNEL__CHANNEL_SMS, "5550001");
    (void)stand_method(stand, alice, TOCSIN__CHANNEL__CHANNEL_VOICE, "5550002");
    (void)stand_method(stand, bob, TOCSIN__CHANNEL__CHANNEL_SMS, "5550003");
    const struct stand_level levels[] = {{5, {alice, 0}}, {5, {bob, 0}}};
    uint64_t policy = stand_policy(stand, 0, 1, 2, levels);
    service = stand_service(stand, policy, TOCSIN__URGENCY__URGENCY_HIGH, 1800, 0);
    (void)stand_integration(stand, service, KEY);
    model_healed(stand->model, stand->true_ms);
    return 0;
}

static uint64_t trigger(struct stand *stand)
{
    return stand_event(stand, KEY, TRIGGER, "disk", CRITICAL);
}

static void finish(struct stand *stand)
{
    model_finish(stand->model, model_time_ms(stand->model));
}

/* ---------------------------------------------------------------- what is as it should be */

static void a_whole_escalation_to_the_guardians_is_explained(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    stand_run_delivering(stand, 51 * MINUTE);
    finish(stand);
    stand_expect_peace(stand);
    struct model_counts counts = model_counts(stand->model);
    /* Two passes of a text, two calls and Bob's text; the guardian at 20, 35 and 50 minutes. */
    assert_int_equal(counts.pages_sent, 2 * 4 + 3);
    assert_int_equal(counts.guardian_pages, 3);
    assert_int_equal(counts.repeats, 0);
}

static void an_acknowledgement_ends_it_and_its_timeout_begins_anew(void **state)
{
    struct stand *stand = *state;
    uint64_t incident = trigger(stand);
    stand_run_delivering(stand, MINUTE);
    assert_true(stand_set_status(stand, incident, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED));
    stand_run_delivering(stand, 29 * MINUTE);
    assert_int_equal(model_counts(stand->model).pages_sent, 1);
    stand_run_delivering(stand, 2 * MINUTE);
    assert_int_equal(model_counts(stand->model).pages_sent, 2);
    finish(stand);
    stand_expect_peace(stand);
}

static void a_page_claimed_before_the_acknowledgement_may_leave_within_its_validity(void **state)
{
    struct stand *stand = *state;
    uint64_t incident = trigger(stand);
    assert_true(stand_set_status(stand, incident, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED));
    stand_advance(stand, CLAIM_VALID_MS);
    stand_request(stand, &stand->sends[0]);
    stand_expect_peace(stand);
}

static void a_retry_and_a_repeat_are_explained_by_their_receipts(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    static const Tocsin__Outcome OUTCOMES[] = {TOCSIN__OUTCOME__OUTCOME_RETRY, TOCSIN__OUTCOME__OUTCOME_UNKNOWN,
                                               TOCSIN__OUTCOME__OUTCOME_RETRY};
    for (size_t i = 0; i < 3; i++) {
        stand_request(stand, &stand->sends[0]);
        struct stand_send sent = stand->sends[0];
        stand_receipt(stand, &sent, OUTCOMES[i], 1000);
        stand_forget(stand, 0);
        stand_run(stand, 1000);
    }
    stand_request(stand, &stand->sends[0]);
    assert_int_equal(stand->sends[0].notification->possibly_repeated, 1);
    stand_expect_peace(stand);
    assert_int_equal(model_counts(stand->model).repeats, 3);
}

static void a_new_leader_repeats_what_the_old_one_may_have_sent(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    stand_request(stand, &stand->sends[0]);
    stand_new_leader(stand, 2);
    stand_reclaim(stand);
    stand_deliver(stand);
    finish(stand);
    stand_expect_peace(stand);
    assert_int_equal(model_counts(stand->model).repeats, 1);
}

static void a_closed_channel_moves_on_to_the_persons_next_one(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    struct stand_send sent = stand->sends[0];
    stand_receipt(stand, &sent, TOCSIN__OUTCOME__OUTCOME_NEVER, 0); /* the address was refused before it was sent */
    stand_forget(stand, 0);
    assert_int_equal(stand->sends_count, 1);
    assert_string_equal(stand->sends[0].notification->address, "5550002");
    stand_run_delivering(stand, MINUTE);
    finish(stand);
    stand_expect_peace(stand);
    assert_int_equal(model_counts(stand->model).excused, 1);
}

/* Carol cannot be told; with Alice the only page that is still owed leaves. */
static void who_leaves_with_the_last_page_leaves_it_to_the_next(void **state)
{
    struct stand *stand = *state;
    uint64_t incident = trigger(stand);
    stand_deliver(stand);
    uint64_t dave = stand_user(stand, "Dave"), carol = stand_user(stand, "Carol");
    (void)stand_method(stand, dave, TOCSIN__CHANNEL__CHANNEL_SMS, "5550004");
    uint64_t people[] = {dave, carol};
    Tocsin__IncidentChange change = stand_change_of(incident);
    change.assignee_ids = people;
    change.n_assignee_ids = 2;
    assert_true(stand_change(stand, change));
    struct stand_send sent = stand->sends[0];
    stand_request(stand, &stand->sends[0]);
    stand_receipt(stand, &sent, TOCSIN__OUTCOME__OUTCOME_RETRY, 60000);
    stand_forget(stand, 0);
    Tocsin__UserDelete body;
    tocsin__user_delete__init(&body);
    body.id = dave;
    Tocsin__Command command = COMMAND(USER_DELETE, user_delete, body);
    (void)stand_done(stand, &command);
    assert_int_equal(stand->sends_count, 1);
    assert_string_equal(stand->sends[0].notification->user_name, "Guardian");
    stand_expect_peace(stand);
}

static void closed_incidents_are_forgotten(void **state)
{
    struct stand *stand = *state;
    stand->compares = false;
    for (unsigned i = 0; i < 1500; i++) {
        uint64_t incident = trigger(stand);
        stand_run_delivering(stand, MINUTE / 3);
        assert_true(stand_set_status(stand, incident, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED));
        /* The delays of its calls run on without effect for four minutes. */
        assert_true(stand->model->incidents.count < 30);
    }
    stand_run_delivering(stand, 10 * MINUTE);
    trigger(stand);
    assert_int_equal(stand->model->incidents.count, 1);
    stand_expect_peace(stand);
}

/* ---------------------------------------------------------------- P1: no lost page */

static void a_page_that_never_leaves_is_missed(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    stand_run(stand, 5000);
    finish(stand);
    stand_expect_broken(stand, "the page to Alice (sms 5550001, level 1, pass 0, at once) was owed at 00:00:00.000");
}

static void a_dispatcher_that_never_sends_is_noticed(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    stand_run(stand, 90000); /* four claims lapse */
    stand_expect_broken(stand, "was given up at 00:01:20.000 without a single request");
}

static void a_deadline_that_nobody_handles_is_missed(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    stand_deliver(stand);
    stand_advance(stand, 3 * MINUTE);
    (void)stand_event(stand, KEY, TRIGGER, "disk", CRITICAL); /* an entry that tells the time */
    finish(stand);
    stand_expect_broken(stand,
                        "incident 1: Alice (5550002) was to be paged at 00:02:00.000 (level 1, after 2 min), and by "
                        "00:03:00.000 nothing was done");
}

static void a_deadline_that_is_handled_late_is_noticed_though_nothing_is_wrong(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    stand_deliver(stand);
    stand_advance(stand, 2 * MINUTE + MODEL_LEAVES_WITHIN_MS + 1);
    stand_pulse(stand, LIMIT_PULSE_DEADLINES);
    stand_expect_broken(stand, "its turn came only at");
}

static void a_page_that_leaves_late_is_noticed_though_nothing_is_wrong(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    uint64_t page = stand->sends[0].notification->id;
    for (unsigned i = 0; i < 7; i++) {
        stand_advance(stand, 10000);
        stand_forget(stand, 0);
        stand_claim(stand, page); /* again and again, and nothing is sent */
    }
    stand_request(stand, &stand->sends[0]);
    stand_expect_broken(stand, "left 70000 ms after everything was whole");
}

static void drop_sends(struct stand *stand)
{
    stand->output.sends_count = 0;
}

static void a_page_that_the_machine_forgets_is_noticed_at_once(void **state)
{
    struct stand *stand = *state;
    stand->doctor = drop_sends;
    (void)trigger(stand);
    stand_expect_broken(stand, "is owed since entry");
}

/* The incident's way to the next level is cut out of the state. */
static void escalation_cut(struct stand *stand, uint64_t incident_id)
{
    Tocsin__Incident *incident = incident_get(&stand->store, incident_id, NULL);
    struct key row = key_deadline(incident->escalate_due_ms, DEADLINE_ESCALATE, incident_id, 0);
    assert_true(stand->store.del(stand->store.context, TABLE_DEADLINE, key_span(&row)));
    incident->escalate_due_ms = 0;
    incident_put(&stand->store, incident);
    tocsin__incident__free_unpacked(incident, NULL);
}

static void an_escalation_that_ends_in_silence_is_seen_in_the_state(void **state)
{
    struct stand *stand = *state;
    uint64_t incident = trigger(stand);
    escalation_cut(stand, incident);
    stand_deliver(stand);
    stand_expect_broken(stand, "incident 1: the time of the next level should be");
}

static void an_escalation_that_ends_in_silence_is_heard(void **state)
{
    struct stand *stand = *state;
    stand->compares = false;
    uint64_t incident = trigger(stand);
    escalation_cut(stand, incident);
    stand_run_delivering(stand, 4 * MINUTE);
    stand_expect_peace(stand);
    stand_advance(stand, MINUTE);
    stand_pulse(stand, LIMIT_PULSE_DEADLINES);
    stand_expect_broken(stand, "the page to Bob (sms 5550003, level 2, pass 0, at once) is owed since entry");
}

static void answer_without_incident(struct stand *stand)
{
    static const Tocsin__Reply EMPTY = TOCSIN__REPLY__INIT; /* OK, and nothing more: no byte */
    stand->output.replies[0].packed.size_bytes = tocsin__reply__get_packed_size(&EMPTY);
}

static void an_event_that_is_accepted_and_dropped_is_noticed(void **state)
{
    struct stand *stand = *state;
    stand->doctor = answer_without_incident;
    stand->compares = false;
    (void)trigger(stand);
    stand_expect_broken(stand, "was answered with 2xx and opened no incident");
}

static void a_receipt_for_what_was_never_sent_is_noticed(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    struct stand_send send = stand->sends[0];
    stand_receipt(stand, &send, TOCSIN__OUTCOME__OUTCOME_SENT, 0);
    stand_expect_broken(stand, "a receipt says that it was sent, and no request ever left");
}

/* ---------------------------------------------------------------- P2: bounded repeats */

static void a_second_request_by_one_claim_is_noticed(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    stand_request(stand, &stand->sends[0]);
    stand_request(stand, &stand->sends[0]);
    stand_expect_broken(stand, "the claim had been used for a request before");
}

static void a_second_request_without_a_reason_is_noticed(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    stand_request(stand, &stand->sends[0]);
    stand_claim(stand, stand->sends[0].notification->id); /* by the very same leader, which knows that it is sending */
    assert_int_equal(stand->sends_count, 2);
    stand_request(stand, &stand->sends[1]);
    stand_expect_broken(stand,
                        "was sent by node 1 in term 1 and again by node 1 in term 1 without a reason in the log");
}

static void a_repeat_that_does_not_say_so_is_noticed(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    stand_request(stand, &stand->sends[0]);
    struct stand_send sent = stand->sends[0];
    stand_receipt(stand, &sent, TOCSIN__OUTCOME__OUTCOME_UNKNOWN, 1000);
    stand_run(stand, 1000);
    stand->sends[1].notification->possibly_repeated = 0;
    stand_request(stand, &stand->sends[1]);
    stand_expect_broken(stand, "its word about being repeated is wrong");
}

/* ---------------------------------------------------------------- P3: claims, and no page after the acknowledgement */

static void a_page_after_the_acknowledgement_is_noticed(void **state)
{
    struct stand *stand = *state;
    uint64_t incident = trigger(stand);
    assert_true(stand_set_status(stand, incident, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED));
    stand_advance(stand, CLAIM_VALID_MS + 1);
    stand_request(stand, &stand->sends[0]);
    stand_expect_broken(stand, "the sender's claim was not valid then");
}

static void a_clock_that_stands_still_does_not_hide_a_page_after_the_acknowledgement(void **state)
{
    struct stand *stand = *state;
    uint64_t incident = trigger(stand);
    struct model_request request = stand_request_of(stand, &stand->sends[0]);
    assert_true(stand_set_status(stand, incident, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED));
    request.true_ms += 5000;
    model_request(stand->model, &request);
    stand_expect_broken(stand, "left 5000 ms after the incident was acknowledged or resolved");
}

/* The machine hands over once more what it handed over before. */
static void hand_over_again(struct stand *stand)
{
    static uint8_t packed[1024];
    Tocsin__Notification *notification = stand->sends[0].notification;
    notification->attempt++;
    assert_true(tocsin__notification__get_packed_size(notification) <= sizeof packed);
    size_t size_bytes = tocsin__notification__pack(notification, packed);
    assert_true(stand->output.sends_count < stand->output.sends_capacity);
    stand->output.sends[stand->output.sends_count++] =
        (struct machine_send){.claim_node = 1, .claim_boot = 1, .claim_term = 1, .packed = {packed, size_bytes}};
    stand->doctor = NULL;
}

static void a_claim_after_the_acknowledgement_is_noticed(void **state)
{
    struct stand *stand = *state;
    uint64_t incident = trigger(stand);
    assert_true(stand_set_status(stand, incident, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED));
    stand->doctor = hand_over_again;
    stand_claim(stand, stand->sends[0].notification->id);
    stand_expect_broken(stand, "Alice (sms 5550001, level 1, attempt 2) is handed over for sending by entry");
}

static void a_claim_that_is_too_old_is_noticed(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    stand_advance(stand, CLAIM_VALID_MS);
    struct model_request request = stand_request_of(stand, &stand->sends[0]);
    model_request(stand->model, &request);
    stand_expect_peace(stand);

    uint64_t other = stand_event(stand, KEY, TRIGGER, "other", CRITICAL);
    assert_int_not_equal(other, 0);
    stand_advance(stand, CLAIM_VALID_MS + 1);
    stand_request(stand, &stand->sends[1]);
    stand_expect_broken(stand, "the sender's claim was not valid then");
}

static void another_boots_claim_is_nobodys(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    stand->sends[0].boot++;
    stand_request(stand, &stand->sends[0]);
    stand_expect_broken(stand, "the sender has no claim of it");
}

static void another_nodes_claim_is_nobodys(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    stand->sends[0].node = 2;
    stand_request(stand, &stand->sends[0]);
    stand_expect_broken(stand, "the sender has no claim of it");
}

static void a_claim_of_a_term_that_its_node_has_left_is_void(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    stand_new_leader(stand, 1); /* the same node, elected again */
    stand_reclaim(stand);
    stand_request(stand, &stand->sends[0]);
    stand_expect_broken(stand, "its word about being repeated is wrong");
}

/* ---------------------------------------------------------------- nobody is told what does not concern them */

static void a_page_to_the_wrong_person_is_noticed(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    struct model_request request = stand_request_of(stand, &stand->sends[0]);
    request.to = "+15550003"; /* Bob, whose turn has not come */
    model_request(stand->model, &request);
    stand_expect_broken(
        stand, "incident 1: node 1 (boot 1) sent a message to +15550003, and nobody is owed that page there");
}

static void a_page_of_the_wrong_level_is_noticed(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    stand->sends[0].notification->level = 2;
    stand_request(stand, &stand->sends[0]);
    stand_expect_broken(stand, "it speaks of another level than the page");
}

static void a_page_that_nobody_owes_is_noticed(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    stand->sends[0].notification->id += 1000;
    stand_request(stand, &stand->sends[0]);
    stand_expect_broken(stand, "and nobody is owed that page: ");
}

static void a_page_about_nothing_is_noticed(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    stand->sends[0].notification->incident_number = 7;
    stand_request(stand, &stand->sends[0]);
    stand_expect_broken(stand, "it speaks of no incident that is known");
}

static void words_of_a_title_are_not_the_messages_own(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    stand->sends[0].notification->title =
        strcpy(realloc(stand->sends[0].notification->title, 64), "x - service y, level 9. z");
    stand_request(stand, &stand->sends[0]);
    stand_expect_peace(stand);
}

/* ---------------------------------------------------------------- answers */

static void say_it_was_new(struct stand *stand)
{
    stand->output.replies[0].repeated = false;
}

static void a_command_that_is_done_twice_is_noticed(void **state)
{
    struct stand *stand = *state;
    (void)trigger(stand);
    stand_repeat(stand);
    stand_expect_peace(stand);
    stand->doctor = say_it_was_new;
    stand_repeat(stand);
    stand_expect_broken(stand, "is a repeat, and the machine says otherwise");
}

static void say_ok(struct stand *stand)
{
    stand->output.replies[0].packed.size_bytes = 0;
}

static void a_bad_request_that_is_accepted_is_noticed(void **state)
{
    struct stand *stand = *state;
    stand->doctor = say_ok;
    (void)stand_event(stand, "R0000000000000000000000000000099", TRIGGER, "disk", CRITICAL);
    stand_expect_broken(stand, "an event was accepted, though it must be refused");
}

static void say_no(struct stand *stand)
{
    static uint8_t packed[64];
    Tocsin__Reply reply = TOCSIN__REPLY__INIT;
    reply.status = TOCSIN__STATUS__STATUS_NOT_FOUND;
    reply.reason = TOCSIN__REASON__REASON_UNKNOWN_ROUTING_KEY;
    reply.message = probe_text("No.");
    stand->output.replies[0].packed = (struct span){.data = packed, .size_bytes = tocsin__reply__pack(&reply, packed)};
}

static void a_good_request_that_is_refused_is_noticed(void **state)
{
    struct stand *stand = *state;
    stand->doctor = say_no;
    stand->compares = false;
    (void)trigger(stand);
    stand_expect_broken(stand, "an event was refused without need: No.");
}

/* ---------------------------------------------------------------- the state held against the picture */

static void state_change(struct stand *stand, uint64_t incident_id, void (*change)(Tocsin__Incident *))
{
    Tocsin__Incident *incident = incident_get(&stand->store, incident_id, NULL);
    change(incident);
    incident_put(&stand->store, incident);
    tocsin__incident__free_unpacked(incident, NULL);
}

static void to_acknowledged(Tocsin__Incident *incident)
{
    incident->status = TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED;
}

static void to_level_2(Tocsin__Incident *incident)
{
    incident->level = 2;
}

static void to_bob(Tocsin__Incident *incident)
{
    incident->assignments[0]->user_id = bob;
}

static void one_page_less(Tocsin__Incident *incident)
{
    incident->n_pending_notification_ids = 0;
    incident->notifications_pending--;
}

static void differences_between_state_and_picture_are_named(void **state)
{
    static const struct {
        void (*change)(Tocsin__Incident *);
        const char *says;
    } CHANGES[] = {
        {to_acknowledged, "the status (1 triggered, 2 acknowledged) should be 1 and is 2"},
        {to_level_2, "the level should be 1 and is 2"},
        {to_bob, "should have it, and user"},
        {one_page_less, "1 pages should be on their way and 2 wait for a delay; 0 are, and 2 do"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CHANGES / sizeof CHANGES[0]; i++) {
        struct stand *stand;
        (void)company_open((void **)&stand);
        uint64_t incident = trigger(stand);
        char sentence[512];
        assert_true(model_compare(stand->model, &stand->store, sentence, sizeof sentence));
        state_change(stand, incident, CHANGES[i].change);
        assert_false(model_compare(stand->model, &stand->store, sentence, sizeof sentence));
        if (strstr(sentence, CHANGES[i].says) == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", sentence, CHANGES[i].says);
        }
        stand_free(stand);
    }
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, company_open, stand_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_whole_escalation_to_the_guardians_is_explained),
        STORY(an_acknowledgement_ends_it_and_its_timeout_begins_anew),
        STORY(a_page_claimed_before_the_acknowledgement_may_leave_within_its_validity),
        STORY(a_retry_and_a_repeat_are_explained_by_their_receipts),
        STORY(a_new_leader_repeats_what_the_old_one_may_have_sent),
        STORY(a_closed_channel_moves_on_to_the_persons_next_one),
        STORY(who_leaves_with_the_last_page_leaves_it_to_the_next),
        STORY(closed_incidents_are_forgotten),
        STORY(a_page_that_never_leaves_is_missed),
        STORY(a_dispatcher_that_never_sends_is_noticed),
        STORY(a_deadline_that_nobody_handles_is_missed),
        STORY(a_deadline_that_is_handled_late_is_noticed_though_nothing_is_wrong),
        STORY(a_page_that_leaves_late_is_noticed_though_nothing_is_wrong),
        STORY(a_page_that_the_machine_forgets_is_noticed_at_once),
        STORY(an_escalation_that_ends_in_silence_is_seen_in_the_state),
        STORY(an_escalation_that_ends_in_silence_is_heard),
        STORY(an_event_that_is_accepted_and_dropped_is_noticed),
        STORY(a_receipt_for_what_was_never_sent_is_noticed),
        STORY(a_second_request_by_one_claim_is_noticed),
        STORY(a_second_request_without_a_reason_is_noticed),
        STORY(a_repeat_that_does_not_say_so_is_noticed),
        STORY(a_page_after_the_acknowledgement_is_noticed),
        STORY(a_clock_that_stands_still_does_not_hide_a_page_after_the_acknowledgement),
        STORY(a_claim_after_the_acknowledgement_is_noticed),
        STORY(a_claim_that_is_too_old_is_noticed),
        STORY(another_boots_claim_is_nobodys),
        STORY(another_nodes_claim_is_nobodys),
        STORY(a_claim_of_a_term_that_its_node_has_left_is_void),
        STORY(a_page_to_the_wrong_person_is_noticed),
        STORY(a_page_of_the_wrong_level_is_noticed),
        STORY(a_page_that_nobody_owes_is_noticed),
        STORY(a_page_about_nothing_is_noticed),
        STORY(words_of_a_title_are_not_the_messages_own),
        STORY(a_command_that_is_done_twice_is_noticed),
        STORY(a_bad_request_that_is_accepted_is_noticed),
        STORY(a_good_request_that_is_refused_is_noticed),
        cmocka_unit_test(differences_between_state_and_picture_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
