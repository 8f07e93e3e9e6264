/* Who hears that a shift begins or ends, and how swaps change whose it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/schedules/schedules.h"
#include "tests/support/night.h"

#define SMS TOCSIN__CHANNEL__CHANNEL_SMS
#define EMAIL TOCSIN__CHANNEL__CHANNEL_EMAIL
#define MINUTE FIXTURE_MINUTE_MS
#define HOUR NIGHT_HOUR
#define OK TOCSIN__STATUS__STATUS_OK
#define INVALID TOCSIN__STATUS__STATUS_INVALID
#define CONFLICT TOCSIN__STATUS__STATUS_CONFLICT
#define BEGINS TOCSIN__NOTICE_KIND__NOTICE_SHIFT_BEGINS
#define ENDS TOCSIN__NOTICE_KIND__NOTICE_SHIFT_ENDS
#define CHANGED TOCSIN__NOTICE_KIND__NOTICE_SHIFT_CHANGED

static uint64_t method_of(struct night *night, uint64_t user_id)
{
    struct walk walk = walk_under(&night->fixture->store, TABLE_CONTACT_METHOD, user_id);
    assert_true(walk_next(&walk));
    return span_number(walk.key, 1);
}

static const Tocsin__Reply *rule(struct night *night, uint64_t user_id, Tocsin__HandoffType type, uint32_t minutes)
{
    Tocsin__HandoffRule given = TOCSIN__HANDOFF_RULE__INIT;
    given.user_id = user_id;
    given.contact_method_id = method_of(night, user_id);
    given.type = type;
    given.advance_minutes = minutes;
    Tocsin__HandoffRulePut body = TOCSIN__HANDOFF_RULE_PUT__INIT;
    body.handoff_rule = &given;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_HANDOFF_RULE_PUT;
    command.handoff_rule_put = &body;
    return fixture_apply(night->fixture, &command);
}

/* The next message is this news to this person; answered with SENT. */
static const Tocsin__Notice *expect_news(struct night *night, const char *name, Tocsin__NoticeKind kind, uint64_t at_ms)
{
    const Tocsin__Notification *sent = fixture_take_send(night->fixture);
    assert_non_null(sent->notice);
    assert_string_equal(sent->user_name, name);
    assert_int_equal(sent->notice->kind, kind);
    assert_int_equal(kind == ENDS ? sent->notice->end_ms : sent->notice->start_ms, at_ms);
    assert_int_equal(sent->incident_id, 0);
    fixture_receipt(night->fixture, sent, TOCSIN__OUTCOME__OUTCOME_SENT, 0);
    return sent->notice;
}

/* The schedule is in a policy that a service uses, and what happens at this moment has been looked at. */
static int begin(void **state)
{
    (void)night_begin(state);
    struct night *night = *state;
    night_watch(night, 5, 0);
    fixture_run(night->fixture, 1);
    night->fixture->now_ms--; /* Bob from now on, Alice in an hour */
    fixture_expect_silence(night->fixture);
    return 0;
}

static void a_shift_is_announced_as_long_before_as_the_rule_says(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t now_ms = f->now_ms;
    rule(night, night->alice, TOCSIN__HANDOFF_TYPE__HANDOFF_ONCALL, 15);
    rule(night, night->bob, TOCSIN__HANDOFF_TYPE__HANDOFF_OFFCALL, 0);
    fixture_run(f, 45 * MINUTE - 1);
    fixture_expect_silence(f);
    fixture_run(f, 1);
    const Tocsin__Notice *notice = expect_news(night, "Alice", BEGINS, now_ms + HOUR);
    assert_int_equal(notice->end_ms, now_ms + 2 * HOUR);
    assert_string_equal(notice->other_name, "Bob");
    fixture_expect_silence(f);
    fixture_run(f, 15 * MINUTE);
    (void)expect_news(night, "Bob", ENDS, now_ms + HOUR);
    fixture_expect_silence(f);
    /* Alice's end is not in her rule; her next shift is. */
    fixture_run(f, HOUR);
    fixture_expect_silence(f);
    fixture_run(f, 45 * MINUTE);
    (void)expect_news(night, "Alice", BEGINS, now_ms + 3 * HOUR);
    fixture_expect_silence(f);
    assert_int_equal(fixture_rows_under(f, TABLE_NOTICE, night->alice), 2);
    assert_int_equal(fixture_rows(f, TABLE_OUTBOX), 0);
}

static void without_a_rule_mail_comes_at_the_moment_itself(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t now_ms = f->now_ms;
    fixture_method(f, night->bob, EMAIL, "bob@example.org");
    fixture_run(f, HOUR - 1);
    fixture_expect_silence(f);
    fixture_run(f, 1);
    (void)expect_news(night, "Bob", ENDS, now_ms + HOUR);
    fixture_expect_silence(f);
}

static void a_schedule_whose_policies_have_no_service_is_silent_unless_they_say_always(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    struct walk walk = walk_all(&f->store, TABLE_SERVICE);
    assert_true(walk_next(&walk));
    Tocsin__ServiceDelete body = TOCSIN__SERVICE_DELETE__INIT;
    body.id = span_number(walk.key, 0);
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_SERVICE_DELETE;
    command.service_delete = &body;
    assert_int_equal(fixture_apply(f, &command)->status, OK);
    uint64_t now_ms = f->now_ms;
    rule(night, night->alice, TOCSIN__HANDOFF_TYPE__HANDOFF_BOTH, 0);
    fixture_run(f, 3 * HOUR);
    fixture_expect_silence(f);

    struct walk policies = walk_all(&f->store, TABLE_ESCALATION_POLICY);
    assert_true(walk_next(&policies));
    Tocsin__EscalationPolicy policy = TOCSIN__ESCALATION_POLICY__INIT;
    policy.on_call_handoff_always = true;
    Tocsin__EscalationPolicyPut put = TOCSIN__ESCALATION_POLICY_PUT__INIT;
    put.id = span_number(policies.key, 0);
    put.fields = 1u << 7; /* on_call_handoff_always */
    put.escalation_policy = &policy;
    command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_ESCALATION_POLICY_PUT;
    command.escalation_policy_put = &put;
    assert_int_equal(fixture_apply(f, &command)->status, OK);
    fixture_run(f, 1);
    (void)expect_news(night, "Alice", BEGINS, now_ms + 3 * HOUR); /* a moment ago: still news */
    fixture_run(f, HOUR);
    (void)expect_news(night, "Alice", ENDS, now_ms + 4 * HOUR);
    fixture_expect_silence(f);
}

static void what_was_announced_and_is_not_true_any_more_is_taken_back(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t now_ms = f->now_ms, carol = night_person(f, "Carol", "15550003");
    rule(night, night->alice, TOCSIN__HANDOFF_TYPE__HANDOFF_ONCALL, 50);
    rule(night, carol, TOCSIN__HANDOFF_TYPE__HANDOFF_BOTH, 0);
    fixture_run(f, 10 * MINUTE);
    (void)expect_news(night, "Alice", BEGINS, now_ms + HOUR);
    fixture_run(f, 10 * MINUTE);
    night_override(night, now_ms + HOUR, now_ms + 2 * HOUR, carol);
    fixture_run(f, 1);
    (void)expect_news(night, "Alice", CHANGED, now_ms + HOUR);
    fixture_expect_silence(f);
    fixture_run(f, 40 * MINUTE);
    (void)expect_news(night, "Carol", BEGINS, now_ms + HOUR);
    fixture_expect_silence(f);
    fixture_run(f, HOUR);
    (void)expect_news(night, "Carol", ENDS, now_ms + 2 * HOUR);
}

static void an_override_that_begins_at_once_is_news_at_once(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    rule(night, night->alice, TOCSIN__HANDOFF_TYPE__HANDOFF_BOTH, 0);
    fixture_run(f, 10 * MINUTE);
    fixture_expect_silence(f);
    uint64_t now_ms = f->now_ms;
    night_override(night, now_ms, now_ms + 20 * MINUTE, night->alice);
    fixture_run(f, 1);
    const Tocsin__Notice *notice = expect_news(night, "Alice", BEGINS, now_ms);
    assert_string_equal(notice->other_name, "Bob");
    fixture_run(f, 20 * MINUTE);
    (void)expect_news(night, "Alice", ENDS, now_ms + 20 * MINUTE);
    fixture_expect_silence(f);
}

/* Nobody led while Alice took over, and the first that the cluster hears is a change: her shift was one all the same. */
static void a_shift_that_began_while_nobody_led_is_told_though_the_schedule_changed_since(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t then_ms = f->now_ms + HOUR;
    rule(night, night->alice, TOCSIN__HANDOFF_TYPE__HANDOFF_BOTH, 0);
    rule(night, night->bob, TOCSIN__HANDOFF_TYPE__HANDOFF_OFFCALL, 0);
    f->now_ms = then_ms + 5 * MINUTE;
    uint64_t changed_ms = f->now_ms;
    assert_int_equal(night_put(night, night->schedule, 1, night_hourly(changed_ms - 30 * MINUTE, 100, night->bob, night->alice))->status, OK);
    fixture_run(f, 1);
    (void)expect_news(night, "Bob", ENDS, then_ms);
    (void)expect_news(night, "Alice", BEGINS, then_ms);
    (void)expect_news(night, "Alice", ENDS, changed_ms);
    fixture_expect_silence(f);
}

static void an_edited_schedule_is_announced_as_it_stands(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t now_ms = f->now_ms;
    rule(night, night->alice, TOCSIN__HANDOFF_TYPE__HANDOFF_ONCALL, 10);
    rule(night, night->bob, TOCSIN__HANDOFF_TYPE__HANDOFF_ONCALL, 10);
    fixture_run(f, 30 * MINUTE);
    /* From ten past on the hours are half an hour later, with the same people. */
    assert_int_equal(night_put(night, night->schedule, 1,
                               night_hourly(now_ms - 30 * MINUTE, 100, night->alice, night->bob))
                         ->status,
                     OK);
    fixture_run(f, 1);
    fixture_expect_silence(f); /* Bob still has it: his hour ends half an hour later */
    fixture_run(f, 50 * MINUTE);
    (void)expect_news(night, "Alice", BEGINS, now_ms + 90 * MINUTE);
    fixture_expect_silence(f);
}

static void after_an_outage_old_hand_offs_are_no_news(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t now_ms = f->now_ms;
    rule(night, night->alice, TOCSIN__HANDOFF_TYPE__HANDOFF_BOTH, 0);
    fixture_run(f, 1);
    fixture_advance(f, 10 * HOUR + 30 * MINUTE);
    fixture_pulse(f, 256);
    (void)expect_news(night, "Alice", ENDS, now_ms + 10 * HOUR);
    fixture_expect_silence(f);
}

static void news_that_cannot_be_sent_take_the_next_method_and_end(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    rule(night, night->alice, TOCSIN__HANDOFF_TYPE__HANDOFF_ONCALL, 0);
    fixture_method(f, night->alice, TOCSIN__CHANNEL__CHANNEL_VOICE, "15550001");
    fixture_run(f, HOUR);
    fixture_receipt(f, fixture_expect_send(f, "Alice", SMS), TOCSIN__OUTCOME__OUTCOME_NEVER, 0);
    const Tocsin__Notification *second = fixture_expect_send(f, "Alice", TOCSIN__CHANNEL__CHANNEL_VOICE);
    assert_int_equal(second->why, TOCSIN__WHY__WHY_CHANNEL_FAILED);
    /* The leader that was sending is gone; the next one asks, in vain: the news are two hours old. */
    fixture_new_leader(f, 2);
    fixture_advance(f, 2 * HOUR);
    assert_int_equal(fixture_claim(f, second->id)->status, CONFLICT);
    assert_int_equal(fixture_rows(f, TABLE_OUTBOX), 0);
    assert_int_equal(fixture_rows_under(f, TABLE_NOTICE, night->alice), 2);
}

static void a_monday_morning_is_spread_over_pulses(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    for (unsigned i = 1; i < LIMIT_PULSE_HANDOFFS + 10; i++) {
        assert_int_equal(
            night_put(night, 0, 0, night_hourly(f->now_ms - HOUR, 100, night->alice, night->bob))->status, OK);
    }
    uint64_t next_ms = machine_next_deadline_ms(&f->store);
    assert_int_equal(next_ms, f->now_ms);
    fixture_pulse(f, 256);
    assert_int_equal(machine_next_deadline_ms(&f->store), next_ms); /* some are left */
    fixture_pulse(f, 256);
    assert_true(machine_next_deadline_ms(&f->store) > next_ms);
}

static void rules_are_bounded_and_judged(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    assert_int_equal(rule(night, night->alice, TOCSIN__HANDOFF_TYPE__HANDOFF_BOTH, 5)->status, OK);
    assert_int_equal(rule(night, night->alice, TOCSIN__HANDOFF_TYPE__HANDOFF_BOTH, 5)->reason,
                     TOCSIN__REASON__REASON_HANDOFF_RULE_TAKEN);
    assert_int_equal(
        rule(night, night->alice, TOCSIN__HANDOFF_TYPE__HANDOFF_BOTH, LIMIT_HANDOFF_ADVANCE_MINUTES + 1)->status,
        INVALID);
    for (uint32_t i = 1; i < LIMIT_HANDOFF_RULES_PER_USER; i++) {
        assert_int_equal(rule(night, night->alice, TOCSIN__HANDOFF_TYPE__HANDOFF_ONCALL, i)->status, OK);
    }
    assert_int_equal(rule(night, night->alice, TOCSIN__HANDOFF_TYPE__HANDOFF_ONCALL, 0)->status,
                     TOCSIN__STATUS__STATUS_LIMIT);
    Tocsin__ContactMethodDelete body = TOCSIN__CONTACT_METHOD_DELETE__INIT;
    body.user_id = night->alice;
    body.id = method_of(night, night->alice);
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_CONTACT_METHOD_DELETE;
    command.contact_method_delete = &body;
    assert_int_equal(fixture_apply(f, &command)->status, OK);
    assert_int_equal(fixture_rows(f, TABLE_HANDOFF_RULE), 0);
}

/* ---------------------------------------------------------------- swaps */

/* Of the night's hours: Bob has even ones from now on, Alice odd ones. */
static Tocsin__Swap offer_of(struct night *night, uint64_t user_id, uint64_t start_ms, uint64_t end_ms)
{
    Tocsin__Swap swap = TOCSIN__SWAP__INIT;
    swap.schedule_id = night->schedule;
    swap.user_id = user_id;
    swap.start_ms = start_ms;
    swap.end_ms = end_ms;
    return swap;
}

static const Tocsin__Reply *offer(struct night *night, Tocsin__Swap swap)
{
    Tocsin__SwapOffer body = TOCSIN__SWAP_OFFER__INIT;
    body.swap = &swap;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_SWAP_OFFER;
    command.swap_offer = &body;
    return fixture_apply(night->fixture, &command);
}

static const Tocsin__Reply *take(struct night *night, uint64_t id, uint64_t user_id)
{
    Tocsin__SwapTake body = TOCSIN__SWAP_TAKE__INIT;
    body.schedule_id = night->schedule;
    body.id = id;
    body.user_id = user_id;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_SWAP_TAKE;
    command.swap_take = &body;
    return fixture_apply(night->fixture, &command);
}

static const Tocsin__Reply *undo(struct night *night, uint64_t id, uint64_t user_id)
{
    Tocsin__SwapUndo body = TOCSIN__SWAP_UNDO__INIT;
    body.schedule_id = night->schedule;
    body.id = id;
    body.user_id = user_id;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_SWAP_UNDO;
    command.swap_undo = &body;
    return fixture_apply(night->fixture, &command);
}

static Tocsin__SwapState state_of(struct night *night, uint64_t id)
{
    Tocsin__Swap *swap = record_get(&night->fixture->store, TABLE_SWAP, key_2(night->schedule, id),
                                    &tocsin__swap__descriptor, NULL);
    assert_non_null(swap);
    Tocsin__SwapState state = swap->state;
    tocsin__swap__free_unpacked(swap, NULL);
    return state;
}

static void shifts_are_offered_to_all_taken_by_one_and_told(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t now_ms = f->now_ms;
    const Tocsin__Reply *reply = offer(night, offer_of(night, night->bob, now_ms + HOUR, now_ms + 6 * HOUR));
    assert_int_equal(reply->status, OK);
    uint64_t id = reply->ids[0];
    (void)expect_news(night, "Alice", TOCSIN__NOTICE_KIND__NOTICE_SWAP_OFFERED, now_ms + HOUR);
    fixture_expect_silence(f);
    assert_int_equal(take(night, id, night->bob)->reason, TOCSIN__REASON__REASON_SWAP_NOT_YOURS);
    assert_int_equal(take(night, id, night->alice)->status, OK);
    (void)expect_news(night, "Bob", TOCSIN__NOTICE_KIND__NOTICE_SWAP_TAKEN, now_ms + HOUR);
    assert_int_equal(state_of(night, id), TOCSIN__SWAP_STATE__SWAP_TAKEN);
    /* Only what was Bob's has changed hands: two hours of five. */
    assert_int_equal(fixture_rows(f, TABLE_OVERRIDE), 2);
    for (uint64_t hour = 1; hour < 6; hour++) {
        assert_int_equal(night_on_call_at(night, now_ms + hour * HOUR), night->alice);
    }
    assert_int_equal(night_on_call_at(night, now_ms), night->bob);
    assert_int_equal(night_on_call_at(night, now_ms + 6 * HOUR), night->bob);
    assert_int_equal(take(night, id, night->alice)->reason, TOCSIN__REASON__REASON_SWAP_OVER);
}

static void a_swap_in_exchange_moves_both_spans_or_none(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t now_ms = f->now_ms, carol = night_person(f, "Carol", "15550003");
    Tocsin__Swap swap = offer_of(night, night->bob, now_ms + 2 * HOUR, now_ms + 3 * HOUR);
    swap.asked_user_id = night->alice;
    swap.return_start_ms = now_ms + 5 * HOUR;
    swap.return_end_ms = now_ms + 6 * HOUR;
    uint64_t id = offer(night, swap)->ids[0];
    assert_int_equal(take(night, id, carol)->reason, TOCSIN__REASON__REASON_SWAP_NOT_YOURS);
    /* What Alice was to give is Carol's by now: nothing is moved. */
    uint64_t override = night_override(night, now_ms + 5 * HOUR, now_ms + 6 * HOUR, carol)->ids[0];
    assert_int_equal(take(night, id, night->alice)->reason, TOCSIN__REASON__REASON_NOT_ON_CALL);
    assert_int_equal(night_on_call_at(night, now_ms + 2 * HOUR), night->bob);
    assert_int_equal(night_override_delete(night, override)->status, OK);
    assert_int_equal(take(night, id, night->alice)->status, OK);
    assert_int_equal(night_on_call_at(night, now_ms + 2 * HOUR), night->alice);
    assert_int_equal(night_on_call_at(night, now_ms + 5 * HOUR), night->bob);

    /* Either undoes it before it begins, and everything is as it was. */
    assert_int_equal(undo(night, id, carol)->reason, TOCSIN__REASON__REASON_SWAP_NOT_YOURS);
    assert_int_equal(undo(night, id, night->alice)->status, OK);
    assert_int_equal(night_on_call_at(night, now_ms + 2 * HOUR), night->bob);
    assert_int_equal(night_on_call_at(night, now_ms + 5 * HOUR), night->alice);
    assert_int_equal(fixture_rows(f, TABLE_OVERRIDE), 0);
    assert_int_equal(undo(night, id, night->alice)->reason, TOCSIN__REASON__REASON_SWAP_OVER);
}

static void a_swap_that_has_begun_stays(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t now_ms = f->now_ms;
    uint64_t id = offer(night, offer_of(night, night->bob, now_ms, now_ms + HOUR))->ids[0];
    fixture_run(f, 20 * MINUTE);
    const Tocsin__Reply *taken = take(night, id, night->alice); /* in the midst of it */
    assert_int_equal(taken->status, OK);
    assert_true(taken->on_call_changed);
    assert_int_equal(night_on_call_at(night, now_ms + 10 * MINUTE), night->bob);
    assert_int_equal(night_on_call_at(night, now_ms + 20 * MINUTE), night->alice);
    assert_int_equal(undo(night, id, 0)->reason, TOCSIN__REASON__REASON_SWAP_OVER);
}

static void an_offer_that_nobody_takes_expires(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t now_ms = f->now_ms;
    uint64_t id = offer(night, offer_of(night, night->bob, now_ms + 2 * HOUR, now_ms + 3 * HOUR))->ids[0];
    fixture_run(f, 3 * HOUR - 1);
    assert_int_equal(state_of(night, id), TOCSIN__SWAP_STATE__SWAP_OFFERED);
    fixture_run(f, 1);
    assert_int_equal(state_of(night, id), TOCSIN__SWAP_STATE__SWAP_EXPIRED);
    assert_int_equal(take(night, id, night->alice)->reason, TOCSIN__REASON__REASON_SWAP_OVER);
}

static void offers_that_make_no_sense_are_refused(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t now_ms = f->now_ms;
    assert_int_equal(offer(night, offer_of(night, night->bob, now_ms + HOUR, now_ms + HOUR))->reason,
                     TOCSIN__REASON__REASON_WINDOW_REVERSED);
    assert_int_equal(offer(night, offer_of(night, night->bob, now_ms - 2 * HOUR, now_ms))->reason,
                     TOCSIN__REASON__REASON_SWAP_OVER);
    assert_int_equal(offer(night, offer_of(night, night->bob, now_ms + HOUR, now_ms + 2 * HOUR))->reason,
                     TOCSIN__REASON__REASON_NOT_ON_CALL);
    Tocsin__Swap swap = offer_of(night, night->bob, now_ms, now_ms + HOUR);
    swap.asked_user_id = night->bob;
    assert_int_equal(offer(night, swap)->reason, TOCSIN__REASON__REASON_UNKNOWN_USER);
    swap.asked_user_id = night->alice;
    swap.return_start_ms = now_ms + 2 * HOUR; /* Bob's own */
    swap.return_end_ms = now_ms + 3 * HOUR;
    assert_int_equal(offer(night, swap)->reason, TOCSIN__REASON__REASON_NOT_ON_CALL);
    assert_int_equal(fixture_rows(f, TABLE_SWAP), 0);
    for (unsigned i = 0; i < LIMIT_SWAPS_PER_SCHEDULE; i++) {
        assert_int_equal(offer(night, offer_of(night, night->bob, now_ms, now_ms + HOUR))->status, OK);
        (void)fixture_deliver_all(f);
    }
    assert_int_equal(offer(night, offer_of(night, night->bob, now_ms, now_ms + HOUR))->status,
                     TOCSIN__STATUS__STATUS_LIMIT);
    fixture_run(f, HOUR);
    assert_int_equal(offer(night, offer_of(night, night->bob, now_ms + 2 * HOUR, now_ms + 3 * HOUR))->status, OK);
    assert_int_equal(fixture_rows(f, TABLE_SWAP), LIMIT_SWAPS_PER_SCHEDULE);
}

/* Shifts of an hour each from now on: one in two is Bob's. */
static void many_shifts(struct night *night)
{
    uint64_t now_ms = night->fixture->now_ms;
    assert_int_equal(night_put(night, night->schedule, 1, night_hourly(now_ms, 4 * LIMIT_OVERRIDES_PER_REQUEST, night->bob, night->alice))->status, OK);
}

static void what_is_too_much_for_one_swap_is_refused_and_not_done_in_part(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t now_ms = f->now_ms, many_ms = 2 * LIMIT_OVERRIDES_PER_REQUEST * HOUR;
    many_shifts(night);
    assert_int_equal(offer(night, offer_of(night, night->bob, now_ms, now_ms + many_ms + 1))->status, TOCSIN__STATUS__STATUS_LIMIT);
    Tocsin__Swap swap = offer_of(night, night->bob, now_ms, now_ms + HOUR);
    swap.asked_user_id = night->alice;
    swap.return_start_ms = now_ms + HOUR;
    swap.return_end_ms = now_ms + HOUR + many_ms + 1;
    assert_int_equal(offer(night, swap)->status, TOCSIN__STATUS__STATUS_LIMIT);
    /* Of somebody yet unknown nobody knows what it will be. */
    swap.asked_user_id = 0;
    uint64_t id = offer(night, swap)->ids[0];
    (void)expect_news(night, "Alice", TOCSIN__NOTICE_KIND__NOTICE_SWAP_OFFERED, now_ms);
    assert_int_equal(take(night, id, night->alice)->status, TOCSIN__STATUS__STATUS_LIMIT);
    assert_int_equal(state_of(night, id), TOCSIN__SWAP_STATE__SWAP_OFFERED);
    assert_int_equal(fixture_rows(f, TABLE_OVERRIDE), 0);
    fixture_expect_silence(f);

    id = offer(night, offer_of(night, night->bob, now_ms, now_ms + many_ms))->ids[0];
    (void)expect_news(night, "Alice", TOCSIN__NOTICE_KIND__NOTICE_SWAP_OFFERED, now_ms);
    assert_int_equal(take(night, id, night->alice)->status, OK);
    assert_int_equal(fixture_rows(f, TABLE_OVERRIDE), LIMIT_OVERRIDES_PER_REQUEST);
    assert_int_equal(night_on_call_at(night, now_ms + many_ms - 2 * HOUR), night->alice); /* the last one, too */
}

static void shifts_that_became_too_many_since_they_were_offered_are_not_taken(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t now_ms = f->now_ms, many_ms = 2 * LIMIT_OVERRIDES_PER_REQUEST * HOUR;
    many_shifts(night);
    uint64_t id = offer(night, offer_of(night, night->bob, now_ms, now_ms + many_ms))->ids[0];
    (void)expect_news(night, "Alice", TOCSIN__NOTICE_KIND__NOTICE_SWAP_OFFERED, now_ms);
    night_override(night, now_ms + 20 * MINUTE, now_ms + 40 * MINUTE, night->alice); /* one shift is two of them now */
    assert_int_equal(take(night, id, night->alice)->status, TOCSIN__STATUS__STATUS_LIMIT);
    assert_int_equal(fixture_rows(f, TABLE_OVERRIDE), 1);
    assert_int_equal(state_of(night, id), TOCSIN__SWAP_STATE__SWAP_OFFERED);
}

/* Before the layer that both have there is one that is over. */
static void put_behind(struct night *night, uint64_t *former, size_t count)
{
    uint64_t users[] = {night->bob, night->alice}, now_ms = night->fixture->now_ms;
    Tocsin__ScheduleLayer over = TOCSIN__SCHEDULE_LAYER__INIT, layer = TOCSIN__SCHEDULE_LAYER__INIT, *layers[] = {&over, &layer};
    over.start_ms = over.rotation_virtual_start_ms = now_ms - 10 * HOUR;
    over.end_ms = now_ms;
    layer.start_ms = layer.rotation_virtual_start_ms = now_ms;
    over.turn_length_s = layer.turn_length_s = 3600;
    over.user_ids = former;
    over.n_user_ids = count;
    layer.user_ids = users;
    layer.n_user_ids = 2;
    Tocsin__Schedule schedule = TOCSIN__SCHEDULE__INIT;
    schedule.name = night_text("Primary");
    schedule.time_zone = night_text("Europe/Paris");
    schedule.layers = layers;
    schedule.n_layers = 2;
    Tocsin__SchedulePut body = TOCSIN__SCHEDULE_PUT__INIT;
    body.id = night->schedule;
    body.base_revision = 1;
    body.schedule = &schedule;
    body.shifts = night_hourly(now_ms, 100, night->bob, night->alice);
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_SCHEDULE_PUT;
    command.schedule_put = &body;
    assert_int_equal(fixture_apply(night->fixture, &command)->status, OK);
}

static void who_was_of_the_schedule_once_is_offered_nothing_and_takes_no_room(void **state)
{
    struct night *night = *state;
    struct machine_fixture *f = night->fixture;
    uint64_t now_ms = f->now_ms, former[LIMIT_SWAP_ASKED + 1];
    for (size_t i = 0; i <= LIMIT_SWAP_ASKED; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "Former%zu", i);
        former[i] = night_person(f, name, "15550003");
    }
    put_behind(night, former, LIMIT_SWAP_ASKED + 1);
    fixture_run(f, 1);
    assert_int_equal(night_user_delete(night, former[0])->status, OK);
    uint64_t id = offer(night, offer_of(night, night->bob, now_ms + 2 * HOUR, now_ms + 3 * HOUR))->ids[0];
    (void)expect_news(night, "Alice", TOCSIN__NOTICE_KIND__NOTICE_SWAP_OFFERED, now_ms + 2 * HOUR);
    fixture_expect_silence(f);
    assert_int_equal(take(night, id, former[1])->reason, TOCSIN__REASON__REASON_SWAP_NOT_YOURS);
    assert_int_equal(take(night, id, night->alice)->status, OK);
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, begin, night_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_shift_is_announced_as_long_before_as_the_rule_says),
        STORY(without_a_rule_mail_comes_at_the_moment_itself),
        STORY(a_schedule_whose_policies_have_no_service_is_silent_unless_they_say_always),
        STORY(what_was_announced_and_is_not_true_any_more_is_taken_back),
        STORY(an_override_that_begins_at_once_is_news_at_once),
        STORY(a_shift_that_began_while_nobody_led_is_told_though_the_schedule_changed_since),
        STORY(an_edited_schedule_is_announced_as_it_stands),
        STORY(after_an_outage_old_hand_offs_are_no_news),
        STORY(news_that_cannot_be_sent_take_the_next_method_and_end),
        STORY(a_monday_morning_is_spread_over_pulses),
        STORY(rules_are_bounded_and_judged),
        STORY(shifts_are_offered_to_all_taken_by_one_and_told),
        STORY(a_swap_in_exchange_moves_both_spans_or_none),
        STORY(a_swap_that_has_begun_stays),
        STORY(an_offer_that_nobody_takes_expires),
        STORY(offers_that_make_no_sense_are_refused),
        STORY(what_is_too_much_for_one_swap_is_refused_and_not_done_in_part),
        STORY(shifts_that_became_too_many_since_they_were_offered_are_not_taken),
        STORY(who_was_of_the_schedule_once_is_offered_nothing_and_takes_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
