/* The dispatcher's promises, with a clock, a leadership and a provider that the test holds in its hands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "notify/claims.h"
#include "notify/codes.h"
#include "notify/dispatcher.h"

#define EVENTS_MAX 4096
#define TERM 7

struct seen_receipt {
    uint64_t notification_id;
    uint32_t attempt;
    Tocsin__Outcome outcome;
    uint32_t retry_after_ms;
    char detail[256];
    char provider_id[128];
    uint8_t code_hash[CODE_HASH_SIZE_BYTES]; /* zeroes: none */
};

/* The world around the dispatcher. */
struct world {
    struct dispatcher *dispatcher;
    struct notify_settings settings;
    uint64_t now_ms, term;
    uint64_t looks_until_lost; /* leadership ends at this look at the clock or at it; 0: it stays */
    uint32_t random;
    uint64_t claimed[EVENTS_MAX];
    size_t claimed_count, claim_commands, claim_command_size_max;
    struct seen_receipt receipts[EVENTS_MAX];
    size_t receipts_count;
    uint64_t transfers[EVENTS_MAX], transfer_times_ms[EVENTS_MAX];
    uint32_t deadline_ms;
    size_t transfers_count;
    uint64_t aborted[EVENTS_MAX];
    size_t aborted_count;
    char body[2048]; /* of the last request */
};

static void look(struct world *world)
{
    if (world->looks_until_lost && --world->looks_until_lost == 0)
        world->term = 0;
}

static uint64_t port_boottime_ms(void *context)
{
    struct world *world = context;
    look(world);
    return world->now_ms;
}

static uint32_t port_random(void *context)
{
    return ((struct world *)context)->random;
}

static uint64_t port_leading_term(void *context)
{
    struct world *world = context;
    look(world);
    return world->term;
}

static void port_claim(void *context, const uint64_t *ids, size_t count)
{
    struct world *world = context;
    assert_true(world->claimed_count + count <= EVENTS_MAX);
    memcpy(world->claimed + world->claimed_count, ids, count * sizeof *ids);
    world->claimed_count += count;
    world->claim_commands++;
    if (count > world->claim_command_size_max)
        world->claim_command_size_max = count;
}

static void port_receipt(void *context, const Tocsin__Receipt *receipt)
{
    struct world *world = context;
    assert_true(world->receipts_count < EVENTS_MAX);
    struct seen_receipt *seen = &world->receipts[world->receipts_count++];
    *seen = (struct seen_receipt){.notification_id = receipt->notification_id,
                                  .attempt = receipt->attempt,
                                  .outcome = receipt->outcome,
                                  .retry_after_ms = receipt->retry_after_ms};
    (void)snprintf(seen->detail, sizeof seen->detail, "%s", receipt->detail);
    (void)snprintf(seen->provider_id, sizeof seen->provider_id, "%s", receipt->provider_id);
    if (receipt->code_hash.len == sizeof seen->code_hash)
        memcpy(seen->code_hash, receipt->code_hash.data, sizeof seen->code_hash);
}

static void port_transfer(void *context, uint64_t transfer_id, const struct outgoing *outgoing)
{
    struct world *world = context;
    assert_true(world->transfers_count < EVENTS_MAX);
    assert_int_not_equal(world->term, 0); /* whoever does not lead sends nothing */
    world->transfer_times_ms[world->transfers_count] = world->now_ms;
    world->transfers[world->transfers_count++] = transfer_id;
    world->deadline_ms = outgoing->deadline_ms;
    (void)snprintf(world->body, sizeof world->body, "%.*s", (int)outgoing->body_size_bytes, outgoing->body ? outgoing->body : "");
}

static void port_abort_transfer(void *context, uint64_t transfer_id)
{
    struct world *world = context;
    world->aborted[world->aborted_count++] = transfer_id;
}

static int a_leader(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->now_ms = 1000000;
    world->term = TERM;
    world->random = 500;
    world->settings.twilio.base_url = "https://api.example";
    world->settings.twilio.account_sid = "AC1";
    world->settings.twilio.auth_token = "the-secret-token";
    world->settings.twilio.from = "+15550199";
    world->settings.ntfy.base_url = "https://ntfy.example";
    world->settings.cluster_name = "test";
    struct dispatcher_ports ports = {.context = world,
                                     .boottime_ms = port_boottime_ms,
                                     .random = port_random,
                                     .leading_term = port_leading_term,
                                     .claim = port_claim,
                                     .receipt = port_receipt,
                                     .transfer = port_transfer,
                                     .abort_transfer = port_abort_transfer};
    world->dispatcher = dispatcher_new(&ports, &world->settings);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    dispatcher_free(world->dispatcher);
    free(world);
    return 0;
}

struct person {
    Tocsin__Channel channel;
    char address[32];
};
static struct person by_text = {TOCSIN__CHANNEL__CHANNEL_SMS, "+15550100"};
static struct person by_push = {TOCSIN__CHANNEL__CHANNEL_PUSH, "alice"};

/* Notification `id`, claimed `age_ms` ago in the present term. */
static void take_attempt(struct world *world, uint64_t id, struct person *person, uint64_t age_ms, uint32_t attempt,
                         uint32_t failures)
{
    char title[] = "Disk full", service[] = "Payments";
    Tocsin__Notification notification;
    tocsin__notification__init(&notification);
    notification.id = id;
    notification.channel = person->channel;
    notification.address = person->address;
    notification.title = title;
    notification.service_name = service;
    notification.attempt = attempt;
    notification.failures = failures;
    notification.claim_boottime_ms = world->now_ms - age_ms;
    dispatcher_take(world->dispatcher, &notification, TERM);
}

static void take(struct world *world, uint64_t id, struct person *person, uint64_t age_ms)
{
    take_attempt(world, id, person, age_ms, 1, 0);
}

static void answer(struct world *world, size_t transfer, unsigned status, int64_t retry_after_s, const char *body)
{
    struct answer given = {.kind = ANSWER_RESPONSE,
                           .status = status,
                           .retry_after_s = retry_after_s,
                           .body = body,
                           .body_size_bytes = strlen(body)};
    dispatcher_answered(world->dispatcher, world->transfers[transfer], &given);
}

/* ---- promise P3 */

static void a_fresh_claim_is_sent_and_its_receipt_offered(void **state)
{
    struct world *world = *state;
    take_attempt(world, 5, &by_text, 0, 3, 0);
    assert_int_equal(world->transfers_count, 1);
    assert_in_range(world->deadline_ms, ATTEMPT_DEADLINE_MS / 2, ATTEMPT_DEADLINE_MS);
    assert_int_equal(world->receipts_count, 0);
    answer(world, 0, 201, -1, "{\"sid\":\"SM1\"}");
    assert_int_equal(world->receipts_count, 1);
    assert_int_equal(world->receipts[0].notification_id, 5);
    assert_int_equal(world->receipts[0].attempt, 3);
    assert_int_equal(world->receipts[0].outcome, TOCSIN__OUTCOME__OUTCOME_SENT);
    assert_string_equal(world->receipts[0].provider_id, "SM1");
    answer(world, 0, 201, -1, ""); /* told a second time: nobody waits for it */
    assert_int_equal(world->receipts_count, 1);
}

static void a_claim_is_good_for_three_seconds_and_no_longer(void **state)
{
    struct world *world = *state;
    take(world, 1, &by_text, CLAIM_VALID_MS);
    assert_int_equal(world->transfers_count, 1);
    take(world, 2, &by_text, CLAIM_VALID_MS + 1);
    assert_int_equal(world->transfers_count, 1);
    assert_int_equal(world->claimed_count, 1); /* claimed anew instead */
    assert_int_equal(world->claimed[0], 2);
    take(world, 2, &by_text, 0);
    assert_int_equal(world->transfers_count, 2);
    assert_int_equal(dispatcher_statistics(world->dispatcher).reclaimed, 1);
}

static void a_claim_from_the_future_is_not_trusted(void **state)
{
    struct world *world = *state;
    take(world, 1, &by_text, (uint64_t)-1);
    assert_int_equal(world->transfers_count, 0);
    assert_int_equal(world->claimed_count, 1);
}

static void what_waited_too_long_for_a_slot_is_claimed_anew_when_one_is_free(void **state)
{
    struct world *world = *state;
    take(world, 100, &by_text, 0);
    for (uint64_t id = 1; id < 60; id++)
        take(world, id, &by_text, 0);
    size_t started = world->transfers_count;
    assert_in_range(started, 1, 59);
    world->now_ms += CLAIM_VALID_MS + 1;
    answer(world, 0, 201, -1, "");
    assert_int_equal(world->transfers_count, started); /* nothing old went out */
    assert_true(world->claimed_count >= 1);
    uint64_t again = world->claimed[0];
    take_attempt(world, again, &by_text, 0, 2, 0);
    assert_int_equal(world->transfers_count, started + 1);
}

static void leadership_lost_between_take_and_start_sends_nothing(void **state)
{
    struct world *world = *state;
    /* Whenever it is lost, port_transfer sees to it that nothing starts afterwards. */
    for (uint64_t looks = 1; looks < 20; looks++) {
        world->term = TERM;
        world->looks_until_lost = looks;
        take(world, 1000 + looks, &by_text, 0);
        dispatcher_stop(world->dispatcher);
    }
    assert_in_range(world->transfers_count, 1, 18); /* too late for some */
    world->looks_until_lost = 0;
    world->term = TERM + 1;
    size_t before = world->transfers_count;
    take(world, 2000, &by_text, 0); /* of the term before */
    assert_int_equal(world->transfers_count, before);
    assert_int_equal(dispatcher_statistics(world->dispatcher).waiting, 0);
}

static void what_waits_is_void_in_another_term(void **state)
{
    struct world *world = *state;
    for (uint64_t id = 1; id <= 60; id++)
        take(world, id, &by_text, 0);
    size_t started = world->transfers_count;
    assert_true(dispatcher_statistics(world->dispatcher).waiting > 0);
    world->term = TERM + 1; /* lost and won again, without anybody calling stop */
    answer(world, 0, 201, -1, "");
    assert_int_equal(world->transfers_count, started);
    assert_int_equal(world->claimed_count, 0);
    assert_int_equal(dispatcher_statistics(world->dispatcher).waiting, 0);
    assert_int_equal(world->receipts_count, 1);
}

static void an_answer_after_stop_still_offers_its_receipt(void **state)
{
    struct world *world = *state;
    for (uint64_t id = 1; id <= 60; id++)
        take(world, id, &by_text, 0);
    size_t started = world->transfers_count;
    world->term = 0;
    dispatcher_stop(world->dispatcher);
    assert_int_equal(dispatcher_statistics(world->dispatcher).waiting, 0);
    for (size_t i = 0; i < started; i++)
        answer(world, i, 201, -1, "");
    assert_int_equal(world->receipts_count, started);
    assert_int_equal(world->transfers_count, started);
    assert_int_equal(dispatcher_statistics(world->dispatcher).under_way, 0);
}

static void a_notification_under_way_is_not_sent_beside_itself(void **state)
{
    struct world *world = *state;
    take_attempt(world, 9, &by_text, 0, 1, 0);
    take_attempt(world, 9, &by_text, 0, 2, 0);
    assert_int_equal(world->transfers_count, 1);
    answer(world, 0, 201, -1, "");
    assert_int_equal(world->receipts_count, 1);
    assert_int_equal(world->receipts[0].attempt, 2); /* the claim that counts now */
}

static void a_claim_that_crossed_the_receipt_is_answered_and_not_sent(void **state)
{
    struct world *world = *state;
    take_attempt(world, 9, &by_text, 100, 1, 0);
    answer(world, 0, 201, -1, "{\"sid\":\"SM9\"}");
    take_attempt(world, 9, &by_text, 50, 2, 0); /* proposed before the answer came */
    assert_int_equal(world->transfers_count, 1);
    assert_int_equal(world->receipts_count, 2);
    assert_int_equal(world->receipts[1].attempt, 2);
    assert_int_equal(world->receipts[1].outcome, TOCSIN__OUTCOME__OUTCOME_SENT);
    assert_string_equal(world->receipts[1].provider_id, "SM9");
}

/* Found by the simulator (seed 5139): on a slow disk a claim is asked for twice. The first grant is sent and answered; the second one
 * is proposed only then, and yet stands in the log before the receipt. */
static void a_second_grant_before_the_receipt_is_answered_and_not_sent(void **state)
{
    struct world *world = *state;
    take_attempt(world, 9, &by_text, 100, 2, 0);
    answer(world, 0, 201, -1, "{\"sid\":\"SM9\"}");
    world->now_ms += 1000;
    take_attempt(world, 9, &by_text, 0, 3, 0); /* no failure since: the receipt is not known to it */
    assert_int_equal(world->transfers_count, 1);
    assert_int_equal(world->receipts_count, 2);
    assert_int_equal(world->receipts[1].attempt, 3);
    assert_int_equal(world->receipts[1].outcome, TOCSIN__OUTCOME__OUTCOME_SENT);
}

static void a_claim_that_knows_of_the_failure_is_another_attempt(void **state)
{
    struct world *world = *state;
    take_attempt(world, 9, &by_text, 100, 1, 0);
    answer(world, 0, 503, -1, "");
    world->now_ms += 1000;
    take_attempt(world, 9, &by_text, 0, 2, 1);
    assert_int_equal(world->transfers_count, 2);
}

/* ---- room */

static void requests_under_way_are_bounded(void **state)
{
    struct world *world = *state;
    struct person people[] = {by_text,
                              by_push,
                              {TOCSIN__CHANNEL__CHANNEL_VOICE, "+15550100"},
                              {TOCSIN__CHANNEL__CHANNEL_WEBHOOK, "http://h.example/x"}};
    for (uint64_t id = 1; id <= 400; id++)
        take(world, id, &people[id % 4], 0);
    assert_int_equal(world->transfers_count, DISPATCHER_TRANSFERS_MAX);
    assert_int_equal(dispatcher_statistics(world->dispatcher).under_way, DISPATCHER_TRANSFERS_MAX);
    assert_int_equal(dispatcher_statistics(world->dispatcher).waiting, 400 - DISPATCHER_TRANSFERS_MAX);
    for (size_t done = 0; done < 400; done++)
        answer(world, done, 201, -1, "");
    assert_int_equal(world->transfers_count, 400);
    assert_int_equal(dispatcher_statistics(world->dispatcher).sent, 400);
}

static void a_provider_that_hangs_leaves_room_for_the_others(void **state)
{
    struct world *world = *state;
    for (uint64_t id = 1; id <= 500; id++)
        take(world, id, &by_text, 0);
    size_t hanging = world->transfers_count;
    assert_true(hanging < DISPATCHER_TRANSFERS_MAX);
    take(world, 501, &by_push, 0);
    assert_int_equal(world->transfers_count, hanging + 1);
    /* Also for what must be claimed anew first. */
    world->now_ms += CLAIM_VALID_MS + 1;
    uint64_t of_old_term = 900;
    dispatcher_reclaim(world->dispatcher, &of_old_term, 1);
    assert_int_equal(world->claimed_count, 1);
    take(world, 900, &by_push, 0);
    assert_int_equal(world->transfers_count, hanging + 2);
}

static void more_than_the_queue_holds_is_claimed_anew_and_not_lost(void **state)
{
    struct world *world = *state;
    for (uint64_t id = 1; id <= 2000; id++)
        take(world, id, &by_text, 0);
    size_t claims_taken = 0;
    for (size_t done = 0; done < 2000; done++) {
        assert_true(done < world->transfers_count);
        answer(world, done, 201, -1, "");
        while (claims_taken < world->claimed_count)
            take_attempt(world, world->claimed[claims_taken++], &by_text, 0, 2, 0);
    }
    assert_true(claims_taken > 0);
    assert_int_equal(world->transfers_count, 2000);
}

/* ---- claims of a new leader */

static void a_new_leader_claims_in_batches_as_slots_get_free(void **state)
{
    struct world *world = *state;
    uint64_t ids[1000];
    for (size_t i = 0; i < 1000; i++)
        ids[i] = i + 1;
    dispatcher_reclaim(world->dispatcher, ids, 1000);
    assert_int_equal(world->claimed_count, DISPATCHER_TRANSFERS_MAX);
    assert_int_equal(world->claim_commands, 1);
    size_t claims_taken = 0;
    for (size_t done = 0; done < 1000; done++) {
        while (claims_taken < world->claimed_count) {
            take(world, world->claimed[claims_taken], claims_taken % 2 ? &by_text : &by_push, 0);
            claims_taken++;
        }
        assert_true(done < world->transfers_count);
        answer(world, done, 201, -1, "{}");
    }
    assert_int_equal(world->transfers_count, 1000);
    assert_int_equal(world->claimed_count, 1000);
    assert_true(world->claim_command_size_max <= LIMIT_CLAIM_NOTIFICATIONS);
    assert_int_equal(dispatcher_statistics(world->dispatcher).waiting, 0);
}

static void a_refused_claim_is_asked_for_thrice_and_forgotten(void **state)
{
    struct world *world = *state;
    uint64_t id = 77;
    dispatcher_reclaim(world->dispatcher, &id, 1);
    for (unsigned ask = 1; ask <= CLAIM_ASKS_MAX; ask++) {
        assert_int_equal(world->claimed_count, ask);
        uint64_t next_ms = dispatcher_next_tick_ms(world->dispatcher);
        assert_true(next_ms != UINT64_MAX && next_ms > world->now_ms);
        world->now_ms = next_ms - 1;
        dispatcher_tick(world->dispatcher);
        assert_int_equal(world->claimed_count, ask);
        world->now_ms = next_ms;
        dispatcher_tick(world->dispatcher);
    }
    assert_int_equal(world->claimed_count, CLAIM_ASKS_MAX);
    assert_int_equal(dispatcher_statistics(world->dispatcher).waiting, 0);
    assert_true(dispatcher_next_tick_ms(world->dispatcher) == UINT64_MAX);
}

static void nobody_claims_who_does_not_lead(void **state)
{
    struct world *world = *state;
    uint64_t id = 1;
    world->term = 0;
    dispatcher_reclaim(world->dispatcher, &id, 1);
    dispatcher_tick(world->dispatcher);
    assert_int_equal(world->claimed_count, 0);
}

/* ---- receipts */

static void back_off_grows_threefold_to_a_minute_with_jitter(void **state)
{
    struct world *world = *state;
    static const uint32_t base_ms[] = {1000, 3000, 9000, 27000, 60000, 60000};
    size_t transfer = 0;
    for (uint32_t failures = 0; failures < 6; failures++) {
        for (uint32_t step = 0; step < 3; step++) {
            world->random = step == 0 ? 0 : step == 1 ? base_ms[failures] : UINT32_MAX;
            take_attempt(world, transfer + 1, &by_text, 0, failures + 1, failures);
            answer(world, transfer, 503, -1, "");
            const struct seen_receipt *receipt = &world->receipts[transfer++];
            world->now_ms += receipt->retry_after_ms;
            assert_int_equal(receipt->outcome, TOCSIN__OUTCOME__OUTCOME_RETRY);
            assert_in_range(receipt->retry_after_ms, base_ms[failures] / 2, base_ms[failures] * 3 / 2);
            if (step == 0)
                assert_int_equal(receipt->retry_after_ms, base_ms[failures] / 2);
            if (step == 1)
                assert_int_equal(receipt->retry_after_ms, base_ms[failures] * 3 / 2);
        }
    }
}

static void a_channel_that_fails_again_and_again_is_known_until_it_works(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < 3; i++) {
        take(world, i + 1, &by_text, 0);
        answer(world, i, 503, -1, "");
    }
    take(world, 4, &by_push, 0);
    answer(world, 3, 200, -1, "{}");
    assert_int_equal(dispatcher_failures_in_a_row(world->dispatcher, TOCSIN__CHANNEL__CHANNEL_SMS, 1000), 3);
    assert_int_equal(dispatcher_failures_in_a_row(world->dispatcher, TOCSIN__CHANNEL__CHANNEL_PUSH, 1000), 0);
    world->now_ms += 1001;
    assert_int_equal(dispatcher_failures_in_a_row(world->dispatcher, TOCSIN__CHANNEL__CHANNEL_SMS, 1000), 0);
    assert_int_equal(dispatcher_failures_in_a_row(world->dispatcher, TOCSIN__CHANNEL__CHANNEL_SMS, 2000), 3);
    take(world, 5, &by_text, 0);
    answer(world, 4, 201, -1, "{}");
    assert_int_equal(dispatcher_failures_in_a_row(world->dispatcher, TOCSIN__CHANNEL__CHANNEL_SMS, 2000), 0);
}

static void the_providers_retry_after_counts_up_to_five_minutes(void **state)
{
    struct world *world = *state;
    static const struct {
        int64_t given_s;
        uint32_t expected_ms;
    } cases[] = {{0, 1000}, {7, 7000}, {300, 300000}, {301, 300000}, {INT64_MAX, 300000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        take(world, i + 1, &by_text, 0);
        answer(world, i, 429, cases[i].given_s, "");
        assert_int_equal(world->receipts[i].retry_after_ms, cases[i].expected_ms);
        world->now_ms += cases[i].expected_ms;
    }
}

static void a_channel_that_is_not_configured_says_so(void **state)
{
    struct world *world = *state;
    struct person by_mail = {TOCSIN__CHANNEL__CHANNEL_EMAIL, "a@example.org"};
    take(world, 1, &by_mail, 0);
    assert_int_equal(world->transfers_count, 0);
    assert_int_equal(world->receipts[0].outcome, TOCSIN__OUTCOME__OUTCOME_MISCONFIGURED);
    assert_non_null(strstr(world->receipts[0].detail, "not configured"));
}

static void an_address_that_cannot_be_told_is_never_tried_again(void **state)
{
    struct world *world = *state;
    struct person nobody = {TOCSIN__CHANNEL__CHANNEL_SMS, "call me"}, by_pigeon = {99, "roof"};
    take(world, 1, &nobody, 0);
    take(world, 2, &by_pigeon, 0);
    assert_int_equal(world->transfers_count, 0);
    assert_int_equal(world->receipts_count, 2);
    assert_int_equal(world->receipts[0].outcome, TOCSIN__OUTCOME__OUTCOME_NEVER);
    assert_int_equal(world->receipts[1].outcome, TOCSIN__OUTCOME__OUTCOME_NEVER);
    assert_int_equal(dispatcher_statistics(world->dispatcher).failed, 2);
}

static void a_transfer_without_an_end_is_given_up_as_unknown(void **state)
{
    struct world *world = *state;
    take(world, 1, &by_text, 0);
    assert_int_equal(dispatcher_next_tick_ms(world->dispatcher), world->now_ms + ATTEMPT_DEADLINE_MS);
    world->now_ms += ATTEMPT_DEADLINE_MS - 1;
    dispatcher_tick(world->dispatcher);
    assert_int_equal(world->aborted_count, 0);
    world->now_ms += 1;
    dispatcher_tick(world->dispatcher);
    assert_int_equal(world->aborted_count, 1);
    assert_int_equal(world->aborted[0], world->transfers[0]);
    assert_int_equal(world->receipts[0].outcome, TOCSIN__OUTCOME__OUTCOME_UNKNOWN);
    assert_true(world->receipts[0].retry_after_ms >= 500);
    assert_int_equal(dispatcher_statistics(world->dispatcher).unknown, 1);
}

static void no_receipt_repeats_a_secret(void **state)
{
    struct world *world = *state;
    take(world, 1, &by_text, 0);
    answer(world, 0, 400, -1, "{\"code\":1,\"message\":\"you sent the-secret-token\"}");
    take(world, 2, &by_text, 0);
    answer(world, 1, 201, -1, "{\"sid\":\"the-secret-token\"}");
    for (size_t i = 0; i < 2; i++) {
        assert_null(strstr(world->receipts[i].detail, "secret-token"));
        assert_null(strstr(world->receipts[i].provider_id, "secret-token"));
    }
}

/* What the person reads, and its hash in the receipt: nowhere else, whatever the provider says. */
static void a_code_is_made_where_it_is_sent_from(void **state)
{
    struct world *world = *state;
    uint8_t hash[CODE_HASH_SIZE_BYTES];
    Tocsin__Notice notice = TOCSIN__NOTICE__INIT;
    Tocsin__Notification message = TOCSIN__NOTIFICATION__INIT;
    world->random = 3000042u;
    notice.kind = TOCSIN__NOTICE_KIND__NOTICE_CODE;
    notice.code_wanted = true;
    message.notice = &notice;
    message.user_id = 3;
    message.contact_method_id = 4;
    message.channel = by_text.channel;
    message.address = by_text.address;
    message.claim_boottime_ms = world->now_ms;
    for (uint32_t attempt = 1; attempt <= 2; attempt++) {
        message.id = 10 + attempt;
        message.attempt = attempt;
        dispatcher_take(world->dispatcher, &message, TERM);
        assert_non_null(strstr(world->body, "000042"));
    }
    code_hash(3, 4, "000042", hash);
    answer(world, 0, 400, -1, "{\"code\":1,\"message\":\"you sent 000042, 000042\"}");
    answer(world, 1, 201, -1, "{\"sid\":\"SM1\"}");
    assert_int_equal(world->receipts_count, 2);
    assert_null(strstr(world->receipts[0].detail, "000042"));
    assert_memory_equal(world->receipts[1].code_hash, hash, sizeof hash);
    static const uint8_t none[CODE_HASH_SIZE_BYTES];
    take(world, 20, &by_text, 0);
    answer(world, 2, 201, -1, "{\"sid\":\"SM2\"}");
    assert_memory_equal(world->receipts[2].code_hash, none, sizeof none);
}

static void take_probe(struct world *world, uint64_t id, uint64_t age_ms)
{
    Tocsin__Notice notice = TOCSIN__NOTICE__INIT;
    Tocsin__Notification probe = TOCSIN__NOTIFICATION__INIT;
    notice.kind = TOCSIN__NOTICE_KIND__NOTICE_PROBE;
    probe.id = id;
    probe.notice = &notice;
    probe.attempt = 1;
    probe.claim_boottime_ms = world->now_ms - age_ms;
    dispatcher_take(world->dispatcher, &probe, TERM);
}

static void a_probe_comes_as_far_as_a_page_and_is_not_sent(void **state)
{
    struct world *world = *state;
    take_probe(world, 7, 0);
    assert_int_equal(dispatcher_last_probe(world->dispatcher), 7);
    assert_int_equal(world->transfers_count, 0);
    assert_int_equal(world->receipts_count, 1);
    assert_int_equal(world->receipts[0].outcome, TOCSIN__OUTCOME__OUTCOME_SENT);
    assert_int_equal(dispatcher_statistics(world->dispatcher).sent, 0);
    take_probe(world, 8, CLAIM_VALID_MS + 1); /* too late for a page */
    assert_int_equal(dispatcher_last_probe(world->dispatcher), 7);
    struct person people[] = {by_text, by_push, {TOCSIN__CHANNEL__CHANNEL_WEBHOOK, "http://h.example/x"}};
    for (uint64_t id = 100; id < 100 + DISPATCHER_TRANSFERS_MAX; id++)
        take(world, id, &people[id % 3], 0);
    take_probe(world, 9, 0); /* no slot: whether they get free is another question */
    assert_int_equal(dispatcher_last_probe(world->dispatcher), 9);
    assert_int_equal(world->transfers_count, DISPATCHER_TRANSFERS_MAX);
}

static void one_that_is_full_moves_while_pages_are_taken_and_not_when_none_is(void **state)
{
    struct world *world = *state;
    struct person people[] = {by_text, by_push, {TOCSIN__CHANNEL__CHANNEL_WEBHOOK, "http://h.example/x"}};
    world->now_ms += 60000; /* nothing waits: that is no standstill */
    assert_true(dispatcher_moves(world->dispatcher, 20000));
    for (uint64_t id = 100; id < 110 + DISPATCHER_TRANSFERS_MAX; id++)
        take(world, id, &people[id % 3], 0);
    assert_true(dispatcher_statistics(world->dispatcher).waiting > 0);
    assert_true(dispatcher_moves(world->dispatcher, 20000));
    for (unsigned i = 0; i < 3; i++) { /* busy: one goes now and then */
        world->now_ms += 15000;
        answer(world, i, 201, -1, "{}");
        assert_true(dispatcher_moves(world->dispatcher, 20000));
    }
    for (unsigned i = 3; i < 6; i++) { /* no answer at all, or "later", is no page */
        world->now_ms += 7000;
        answer(world, i, 503, -1, "{}");
    }
    assert_true(dispatcher_statistics(world->dispatcher).waiting > 0);
    assert_false(dispatcher_moves(world->dispatcher, 20000));
    answer(world, 6, 201, -1, "{}");
    assert_true(dispatcher_moves(world->dispatcher, 20000));
}

#define STORY(function) cmocka_unit_test_setup_teardown(function, a_leader, tear_down)

int main(void)
{
    const struct CMUnitTest stories[] = {
        STORY(a_fresh_claim_is_sent_and_its_receipt_offered),
        STORY(a_claim_is_good_for_three_seconds_and_no_longer),
        STORY(a_claim_from_the_future_is_not_trusted),
        STORY(what_waited_too_long_for_a_slot_is_claimed_anew_when_one_is_free),
        STORY(leadership_lost_between_take_and_start_sends_nothing),
        STORY(what_waits_is_void_in_another_term),
        STORY(an_answer_after_stop_still_offers_its_receipt),
        STORY(a_notification_under_way_is_not_sent_beside_itself),
        STORY(a_claim_that_crossed_the_receipt_is_answered_and_not_sent),
        STORY(a_second_grant_before_the_receipt_is_answered_and_not_sent),
        STORY(a_claim_that_knows_of_the_failure_is_another_attempt),
        STORY(requests_under_way_are_bounded),
        STORY(a_provider_that_hangs_leaves_room_for_the_others),
        STORY(more_than_the_queue_holds_is_claimed_anew_and_not_lost),
        STORY(a_new_leader_claims_in_batches_as_slots_get_free),
        STORY(a_refused_claim_is_asked_for_thrice_and_forgotten),
        STORY(nobody_claims_who_does_not_lead),
        STORY(back_off_grows_threefold_to_a_minute_with_jitter),
        STORY(a_channel_that_fails_again_and_again_is_known_until_it_works),
        STORY(the_providers_retry_after_counts_up_to_five_minutes),
        STORY(a_channel_that_is_not_configured_says_so),
        STORY(an_address_that_cannot_be_told_is_never_tried_again),
        STORY(a_transfer_without_an_end_is_given_up_as_unknown),
        STORY(no_receipt_repeats_a_secret),
        STORY(a_code_is_made_where_it_is_sent_from),
        STORY(a_probe_comes_as_far_as_a_page_and_is_not_sent),
        STORY(one_that_is_full_moves_while_pages_are_taken_and_not_when_none_is),
    };
    return cmocka_run_group_tests(stories, NULL, NULL);
}
