/* Claims and receipts: who may send what when, what a lost answer means, and what follows when a channel fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "tests/support/machine_fixture.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define MINUTE FIXTURE_MINUTE_MS
#define HIGH TOCSIN__URGENCY__URGENCY_HIGH
#define SMS TOCSIN__CHANNEL__CHANNEL_SMS
#define PUSH TOCSIN__CHANNEL__CHANNEL_PUSH
#define VOICE TOCSIN__CHANNEL__CHANNEL_VOICE
#define EMAIL TOCSIN__CHANNEL__CHANNEL_EMAIL
#define ACKNOWLEDGED TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED
#define SENT TOCSIN__OUTCOME__OUTCOME_SENT
#define RETRY TOCSIN__OUTCOME__OUTCOME_RETRY
#define NEVER TOCSIN__OUTCOME__OUTCOME_NEVER
#define UNKNOWN TOCSIN__OUTCOME__OUTCOME_UNKNOWN
#define OK TOCSIN__STATUS__STATUS_OK
#define CONFLICT TOCSIN__STATUS__STATUS_CONFLICT
#define NOTIFY TOCSIN__LOG_TYPE__LOG_NOTIFY

/* Alice on level 1 with a rule for texts and an e-mail address beside it; Bob on level 2. */
struct story {
    struct machine_fixture *f;
    uint64_t alice, bob;
};

static int begin(void **state)
{
    struct story *story = calloc(1, sizeof *story);
    assert_non_null(story);
    struct machine_fixture *f = story->f = fixture_new();
    story->alice = fixture_user(f, "Alice");
    story->bob = fixture_user(f, "Bob");
    uint64_t sms = fixture_method(f, story->alice, SMS, "15550001");
    fixture_method(f, story->alice, EMAIL, "alice@example.org");
    fixture_rule(f, story->alice, sms, HIGH, 0);
    fixture_method(f, story->bob, SMS, "15550002");
    struct fixture_level levels[] = {{30, {story->alice}}, {30, {story->bob}}};
    fixture_integration(f, fixture_service(f, fixture_policy(f, 0, 2, levels), HIGH, 0, 0), KEY);
    *state = story;
    return 0;
}

static int end(void **state)
{
    struct story *story = *state;
    fixture_free(story->f);
    free(story);
    return 0;
}

static void acknowledge(struct story *story, uint64_t incident_id)
{
    fixture_act_as_user(story->f, story->alice, "Alice");
    assert_int_equal(fixture_set_status(story->f, incident_id, ACKNOWLEDGED)->status, OK);
}

/* Triggers while no leader claims: the page is owed. */
static uint64_t trigger_owed(struct machine_fixture *f, uint64_t *notification_id)
{
    f->proposer = 0;
    uint64_t id = fixture_trigger(f, KEY, "disk");
    fixture_expect_silence(f);
    const Tocsin__Incident *incident = fixture_incident(f, id);
    assert_int_equal(incident->n_pending_notification_ids, 1);
    *notification_id = incident->pending_notification_ids[0];
    f->proposer = 1;
    return id;
}

static void what_is_owed_is_claimed_once(void **state)
{
    struct story *story = *state;
    uint64_t notification_id;
    uint64_t id = trigger_owed(story->f, &notification_id);
    assert_int_equal(fixture_claim(story->f, notification_id)->status, OK);
    const Tocsin__Notification *page = fixture_expect_send(story->f, "Alice", SMS);
    assert_int_equal(page->attempt, 1);
    fixture_receipt(story->f, page, SENT, 0);
    assert_int_equal(fixture_claim(story->f, notification_id)->status, CONFLICT);
    fixture_expect_silence(story->f);
    const Tocsin__Notification *ended = fixture_notification(story->f, id, notification_id);
    assert_int_equal(ended->state, TOCSIN__NOTIFICATION_STATE__NOTIFICATION_SENT);
    assert_int_equal(fixture_log_count(story->f, id, NOTIFY, TOCSIN__WHY__WHY_RULE_AT_ONCE), 1);
}

static void nothing_owed_is_claimed_after_the_acknowledgement(void **state)
{
    struct story *story = *state;
    uint64_t notification_id;
    uint64_t id = trigger_owed(story->f, &notification_id);
    acknowledge(story, id);
    assert_int_equal(fixture_claim(story->f, notification_id)->status, CONFLICT);
    fixture_run(story->f, 24 * 60 * MINUTE);
    fixture_expect_silence(story->f);
    const Tocsin__Notification *ended = fixture_notification(story->f, id, notification_id);
    assert_int_equal(ended->state, TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CANCELLED);
    assert_int_equal(ended->why_ended, TOCSIN__WHY__WHY_INCIDENT_ACKNOWLEDGED);
}

static void what_was_claimed_before_the_acknowledgement_is_not_claimed_again(void **state)
{
    struct story *story = *state;
    uint64_t id = fixture_trigger(story->f, KEY, "disk");
    const Tocsin__Notification *page = fixture_expect_send(story->f, "Alice", SMS);
    acknowledge(story, id);
    assert_int_equal(fixture_incident(story->f, id)->n_pending_notification_ids, 1);
    fixture_new_leader(story->f, 2);
    assert_int_equal(fixture_claim(story->f, page->id)->status, CONFLICT);
    fixture_run(story->f, 24 * 60 * MINUTE);
    fixture_expect_silence(story->f);
    assert_int_equal(fixture_incident(story->f, id)->n_pending_notification_ids, 0);
}

static void a_receipt_after_the_acknowledgement_is_recorded_and_a_failure_moves_nothing(void **state)
{
    struct story *story = *state;
    uint64_t sent = fixture_trigger(story->f, KEY, "sent");
    uint64_t failed = fixture_trigger(story->f, KEY, "failed");
    const Tocsin__Notification *of_sent = fixture_take_send(story->f);
    const Tocsin__Notification *of_failed = fixture_take_send(story->f);
    acknowledge(story, sent);
    acknowledge(story, failed);
    fixture_receipt(story->f, of_sent, SENT, 0);
    fixture_receipt(story->f, of_failed, NEVER, 0);
    fixture_expect_silence(story->f);
    assert_int_equal(fixture_log_count(story->f, sent, NOTIFY, 0), 1);
    assert_int_equal(fixture_log_count(story->f, failed, NOTIFY, 0), 1);
    assert_int_equal(fixture_rows(story->f, TABLE_OUTBOX), 0);
}

static void only_a_later_term_takes_over_and_says_possibly_repeated(void **state)
{
    struct story *story = *state;
    uint64_t id = fixture_trigger(story->f, KEY, "disk");
    const Tocsin__Notification *first = fixture_expect_send(story->f, "Alice", SMS);
    story->f->proposer = 2; /* not the claimant, in the same term */
    assert_int_equal(fixture_claim(story->f, first->id)->status, CONFLICT);
    fixture_expect_silence(story->f);
    fixture_new_leader(story->f, 2);
    assert_int_equal(fixture_claim(story->f, first->id)->status, OK);
    const Tocsin__Notification *second = fixture_expect_send(story->f, "Alice", SMS);
    assert_int_equal(second->attempt, 2);
    assert_int_equal(second->claim_node, 2);
    assert_true(second->possibly_repeated);
    assert_int_equal(fixture_log_count(story->f, id, NOTIFY, TOCSIN__WHY__WHY_FAILOVER), 1);

    /* The old leader's receipt comes late: it answers an attempt that is over. */
    fixture_receipt(story->f, first, NEVER, 0);
    fixture_expect_silence(story->f);
    fixture_receipt(story->f, second, SENT, 0);
    assert_int_equal(fixture_rows(story->f, TABLE_OUTBOX), 0);
}

static void the_claimant_claims_again_when_its_validity_ran_out(void **state)
{
    struct story *story = *state;
    fixture_trigger(story->f, KEY, "disk");
    const Tocsin__Notification *first = fixture_expect_send(story->f, "Alice", SMS);
    fixture_advance(story->f, CLAIM_VALID_MS);
    assert_int_equal(fixture_claim(story->f, first->id)->status, OK);
    const Tocsin__Notification *second = fixture_expect_send(story->f, "Alice", SMS);
    assert_int_equal(second->attempt, 2);
    assert_false(second->possibly_repeated); /* it had not been sent */
    story->f->boot++;                        /* restarted: it does not know any more whether it was */
    assert_int_equal(fixture_claim(story->f, first->id)->status, CONFLICT);
}

static void a_claim_without_receipt_lapses_and_ends_on_another_channel(void **state)
{
    struct story *story = *state;
    uint64_t id = fixture_trigger(story->f, KEY, "disk");
    fixture_expect_send(story->f, "Alice", SMS);
    fixture_run(story->f, CLAIM_LAPSE_MS - 1);
    fixture_expect_silence(story->f);
    fixture_run(story->f, 1);
    const Tocsin__Notification *second = fixture_expect_send(story->f, "Alice", SMS);
    assert_true(second->possibly_repeated);
    assert_int_equal(second->attempt, 2);
    fixture_run(story->f, 2 * CLAIM_LAPSE_MS);
    fixture_expect_send(story->f, "Alice", SMS);
    fixture_expect_send(story->f, "Alice", SMS);
    fixture_expect_silence(story->f);
    /* As many attempts as on any failing way, then the next one. */
    fixture_run(story->f, CLAIM_LAPSE_MS);
    const Tocsin__Notification *other = fixture_expect_send(story->f, "Alice", EMAIL);
    assert_int_equal(other->why, TOCSIN__WHY__WHY_CHANNEL_FAILED);
    fixture_receipt(story->f, other, SENT, 0);
    assert_int_equal(fixture_rows(story->f, TABLE_OUTBOX), 0);
    assert_int_equal(fixture_incident(story->f, id)->level, 1);
}

static void retries_wait_as_long_as_the_sender_says(void **state)
{
    struct story *story = *state;
    uint64_t id = fixture_trigger(story->f, KEY, "disk");
    const Tocsin__Notification *first = fixture_expect_send(story->f, "Alice", SMS);
    fixture_receipt(story->f, first, RETRY, 1500);
    assert_int_equal(fixture_claim(story->f, first->id)->status, CONFLICT); /* not yet due */
    fixture_run(story->f, 1499);
    fixture_expect_silence(story->f);
    fixture_run(story->f, 1);
    const Tocsin__Notification *second = fixture_expect_send(story->f, "Alice", SMS);
    assert_false(second->possibly_repeated);
    fixture_receipt(story->f, second, UNKNOWN, 1500);
    fixture_run(story->f, 1500);
    const Tocsin__Notification *third = fixture_expect_send(story->f, "Alice", SMS);
    assert_true(third->possibly_repeated);
    assert_int_equal(third->attempt, 3);
    fixture_receipt(story->f, third, SENT, 0);
    fixture_receipt(story->f, third, SENT, 0); /* twice: the second changes nothing */
    assert_int_equal(fixture_log_count(story->f, id, NOTIFY, 0), 3);
}

static void a_wait_ends_with_the_acknowledgement(void **state)
{
    struct story *story = *state;
    uint64_t id = fixture_trigger(story->f, KEY, "disk");
    fixture_receipt(story->f, fixture_expect_send(story->f, "Alice", SMS), RETRY, 1500);
    acknowledge(story, id);
    assert_int_equal(fixture_rows(story->f, TABLE_OUTBOX), 0);
    fixture_run(story->f, MINUTE);
    fixture_expect_silence(story->f);
}

static void a_channel_that_fails_is_followed_by_the_persons_next_and_then_by_the_next_level(void **state)
{
    struct story *story = *state;
    uint64_t id = fixture_trigger(story->f, KEY, "disk");
    const Tocsin__Notification *text = fixture_expect_send(story->f, "Alice", SMS);
    fixture_receipt(story->f, text, NEVER, 0);
    const Tocsin__Notification *mail = fixture_expect_send(story->f, "Alice", EMAIL);
    assert_int_equal(mail->n_failed_contact_method_ids, 1);
    assert_int_equal(mail->failed_contact_method_ids[0], text->contact_method_id);
    fixture_receipt(story->f, mail, TOCSIN__OUTCOME__OUTCOME_MISCONFIGURED, 0);
    fixture_expect_send(story->f, "Bob", SMS);
    fixture_expect_silence(story->f);
    assert_int_equal(fixture_incident(story->f, id)->level, 2);
    assert_int_equal(fixture_log_count(story->f, id, NOTIFY, TOCSIN__WHY__WHY_CHANNEL_FAILED), 2);
    assert_int_equal(fixture_log_count(story->f, id, TOCSIN__LOG_TYPE__LOG_ESCALATE,
                                       TOCSIN__WHY__WHY_NOBODY_ON_LEVEL), 1);
}

static void who_was_told_on_one_channel_keeps_the_incident_when_another_fails(void **state)
{
    struct story *story = *state;
    uint64_t carol = fixture_user(story->f, "Carol");
    fixture_method(story->f, carol, PUSH, "carol-phone");
    fixture_method(story->f, carol, SMS, "15550003");
    uint64_t id = fixture_trigger(story->f, KEY, "disk");
    fixture_deliver_all(story->f);
    Tocsin__IncidentChange change = fixture_change_of(id);
    change.n_assignee_ids = 1;
    change.assignee_ids = &carol;
    fixture_change(story->f, change);
    fixture_receipt(story->f, fixture_expect_send(story->f, "Carol", PUSH), SENT, 0);
    fixture_receipt(story->f, fixture_expect_send(story->f, "Carol", SMS), NEVER, 0);
    fixture_expect_silence(story->f);
    assert_false(fixture_incident(story->f, id)->exhausted);
}

static void a_provider_that_is_down_for_everybody_ends_with_the_guardians(void **state)
{
    struct story *story = *state;
    fixture_guardian(story->f, "Grace", EMAIL, "grace@example.org");
    uint64_t id = fixture_trigger(story->f, KEY, "disk");
    unsigned pages = 0;
    while (!fixture_incident(story->f, id)->exhausted) {
        fixture_receipt(story->f, fixture_take_send(story->f), RETRY, 1000);
        fixture_run(story->f, 1000);
        pages++;
        assert_true(pages <= 3 * NOTIFICATION_FAILURES_MAX);
    }
    assert_int_equal(pages, 3 * NOTIFICATION_FAILURES_MAX); /* Alice by text, Alice by mail, Bob by text */
    /* Nobody could be told: that is another end than one without an answer. */
    assert_int_equal(fixture_log_count(story->f, id, TOCSIN__LOG_TYPE__LOG_EXHAUST_ESCALATION_PATH,
                                       TOCSIN__WHY__WHY_NOBODY_ON_LEVEL), 1);
    fixture_expect_send(story->f, "Grace", EMAIL);
    fixture_expect_silence(story->f);
}

static void what_an_older_assignment_left_claimed_is_not_sent_again(void **state)
{
    struct story *story = *state;
    uint64_t id = fixture_trigger(story->f, KEY, "disk");
    const Tocsin__Notification *to_alice = fixture_expect_send(story->f, "Alice", SMS);
    Tocsin__IncidentChange change = fixture_change_of(id);
    change.n_assignee_ids = 1;
    change.assignee_ids = &story->bob;
    fixture_change(story->f, change);
    fixture_receipt(story->f, fixture_expect_send(story->f, "Bob", SMS), SENT, 0);
    fixture_receipt(story->f, to_alice, RETRY, 1000);
    fixture_run(story->f, 10 * MINUTE);
    fixture_expect_silence(story->f);
    const Tocsin__Notification *ended = fixture_notification(story->f, id, to_alice->id);
    assert_int_equal(ended->why_ended, TOCSIN__WHY__WHY_REASSIGNED);
}

static void a_command_that_comes_twice_pages_once(void **state)
{
    struct story *story = *state;
    static char key[] = KEY;
    static char dedup_key[] = "disk";
    Tocsin__Event event;
    tocsin__event__init(&event);
    event.routing_key = key;
    event.dedup_key = dedup_key;
    event.summary = dedup_key;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_EVENT;
    command.event = &event;
    ProtobufCBinaryData packed = fixture_pack(story->f, &command);
    fixture_apply_entry(story->f, 1, &packed);
    fixture_expect_send(story->f, "Alice", SMS);
    uint64_t rows = fixture_rows(story->f, TABLE_LOG_ENTRY);
    struct machine_output output;
    machine_output_init(&output);
    Tocsin__Entry entry;
    tocsin__entry__init(&entry);
    entry.time_ms = story->f->now_ms;
    entry.proposer = 1;
    entry.n_commands = 1;
    entry.commands = &packed;
    uint8_t bytes[1024];
    struct span data = {.data = bytes, .size_bytes = tocsin__entry__pack(&entry, bytes)};
    assert_true(data.size_bytes < sizeof bytes);
    assert_int_equal(machine_apply(story->f->machine, &story->f->store, 1, data, &output), MACHINE_OK);
    assert_true(output.replies[0].repeated);
    assert_int_equal(output.sends_count, 0);
    assert_int_equal(fixture_rows(story->f, TABLE_LOG_ENTRY), rows);
    machine_output_reset(&output);
    assert_int_equal(machine_apply(story->f->twin, &story->f->twin_store, 1, data, &output), MACHINE_OK);
    machine_output_close(&output);
    free(packed.data);
}

/* A small generator of its own: the same walk on every machine. */
static uint32_t roll(uint64_t *seed, uint32_t sides)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*seed >> 33) % sides;
}

static void one_random_step(struct story *story, uint64_t *seed)
{
    static const Tocsin__Outcome OUTCOMES[] = {SENT, SENT, RETRY, NEVER, UNKNOWN};
    static const char *const KEYS[] = {"a", "b", "c", "d"};
    struct machine_fixture *f = story->f;
    const char *dedup_key = KEYS[roll(seed, 4)];
    struct walk walk = walk_all(&f->store, TABLE_INCIDENT_OPEN);
    uint64_t id = 0;
    for (uint32_t i = 0, stop = roll(seed, 4); i <= stop && walk_next(&walk); i++) {
        id = span_number(walk.key, 0);
    }
    Tocsin__IncidentChange change = fixture_change_of(id);
    switch (roll(seed, 10)) {
    case 0:
    case 1:
        fixture_trigger(f, KEY, dedup_key);
        break;
    case 2:
        fixture_event(f, KEY, roll(seed, 2) == 0 ? TOCSIN__EVENT_ACTION__EVENT_ACKNOWLEDGE
                                                 : TOCSIN__EVENT_ACTION__EVENT_RESOLVE, dedup_key, 0);
        break;
    case 3:
        fixture_new_leader(f, roll(seed, 3) + 1);
        while (f->sends_count > 0) {
            fixture_take_send(f); /* the old leader took them with it */
        }
        break;
    case 4:
        change.escalation_level = 1 + roll(seed, 2);
        fixture_change(f, change);
        break;
    case 5:
        change.n_assignee_ids = 1;
        change.assignee_ids = roll(seed, 2) == 0 ? &story->alice : &story->bob;
        fixture_change(f, change);
        break;
    case 6:
        change.urgency = roll(seed, 2) == 0 ? HIGH : TOCSIN__URGENCY__URGENCY_LOW;
        change.status = roll(seed, 3) == 0 ? ACKNOWLEDGED : TOCSIN__INCIDENT_STATUS__INCIDENT_NONE;
        fixture_change(f, change);
        break;
    case 7:
        fixture_run(f, roll(seed, 20) * MINUTE / 2);
        break;
    default:
        if (f->sends_count > 0) {
            fixture_receipt(f, fixture_take_send(f), OUTCOMES[roll(seed, 5)], roll(seed, 5000));
        }
    }
}

/* The fixture looks at every promise after every entry; here it gets something to look at. */
static void whatever_happens_no_incident_is_lost(void **state)
{
    struct story *story = *state;
    uint64_t voice = fixture_method(story->f, story->alice, VOICE, "15550001");
    fixture_rule(story->f, story->alice, voice, HIGH, 3);
    fixture_guardian(story->f, "Grace", EMAIL, "grace@example.org");
    fixture_act_as_user(story->f, story->bob, "Bob");
    uint64_t seed = 20261121;
    for (unsigned i = 0; i < 1500; i++) {
        one_random_step(story, &seed);
    }
}

static uint64_t probe(struct machine_fixture *f)
{
    Tocsin__OuterProbe body = TOCSIN__OUTER_PROBE__INIT;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_OUTER_PROBE;
    command.outer_probe = &body;
    const Tocsin__Reply *reply = fixture_apply(f, &command);
    assert_int_equal(reply->status, OK);
    assert_int_equal(reply->n_ids, 1);
    return reply->ids[0];
}

static void a_probe_is_claimed_at_once_and_leaves_nothing_behind(void **state)
{
    struct machine_fixture *f = ((struct story *)*state)->f;
    uint64_t deadlines = fixture_rows(f, TABLE_DEADLINE);
    uint64_t id = probe(f);
    const Tocsin__Notification *claimed = fixture_take_send(f);
    assert_int_equal(claimed->id, id);
    assert_int_equal(claimed->claim_node, 1);
    fixture_receipt(f, claimed, SENT, 0);
    assert_int_equal(fixture_rows(f, TABLE_OUTBOX), 0);
    assert_int_equal(fixture_rows(f, TABLE_NOTICE), 0);
    assert_int_equal(fixture_rows(f, TABLE_DEADLINE), deadlines);
}

static void a_probe_that_was_not_ended_in_time_is_nobodys(void **state)
{
    struct machine_fixture *f = ((struct story *)*state)->f;
    uint64_t id = probe(f);
    (void)fixture_take_send(f);
    fixture_new_leader(f, 2);
    assert_int_equal(fixture_claim(f, id)->status, CONFLICT); /* it takes over nothing that shows another leader's way */
    assert_int_equal(fixture_rows(f, TABLE_OUTBOX), 0);

    (void)probe(f);
    (void)fixture_take_send(f);
    fixture_run(f, CLAIM_LAPSE_MS);
    fixture_expect_silence(f);
    assert_int_equal(fixture_rows(f, TABLE_OUTBOX), 0);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest stories[] = {
        STORY(what_is_owed_is_claimed_once),
        STORY(nothing_owed_is_claimed_after_the_acknowledgement),
        STORY(what_was_claimed_before_the_acknowledgement_is_not_claimed_again),
        STORY(a_receipt_after_the_acknowledgement_is_recorded_and_a_failure_moves_nothing),
        STORY(only_a_later_term_takes_over_and_says_possibly_repeated),
        STORY(the_claimant_claims_again_when_its_validity_ran_out),
        STORY(a_claim_without_receipt_lapses_and_ends_on_another_channel),
        STORY(retries_wait_as_long_as_the_sender_says),
        STORY(a_wait_ends_with_the_acknowledgement),
        STORY(a_channel_that_fails_is_followed_by_the_persons_next_and_then_by_the_next_level),
        STORY(who_was_told_on_one_channel_keeps_the_incident_when_another_fails),
        STORY(a_provider_that_is_down_for_everybody_ends_with_the_guardians),
        STORY(what_an_older_assignment_left_claimed_is_not_sent_again),
        STORY(a_command_that_comes_twice_pages_once),
        STORY(a_probe_is_claimed_at_once_and_leaves_nothing_behind),
        STORY(a_probe_that_was_not_ended_in_time_is_nobodys),
        STORY(whatever_happens_no_incident_is_lost),
    };
    return cmocka_run_group_tests_name("outbox", stories, NULL, NULL);
}
