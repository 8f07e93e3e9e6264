/* The model's reading of shifts that change hands, and of the news about them: beside a real machine, and each lie that it finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/schedules/shift_rows.h"
#include "tests/sim/model/model_internal.h"
#include "tests/sim/model/model_stand.h"
#include "tests/support/machine_probe.h"

#define KEY "R0000000000000000000000000000001"
#define MINUTE ((uint64_t)STAND_MINUTE_MS)
#define HOUR (60 * MINUTE)
#define SHIFTS 400u
#define TRIGGER TOCSIN__EVENT_ACTION__EVENT_TRIGGER
#define CRITICAL TOCSIN__SEVERITY__SEVERITY_CRITICAL

static uint64_t alice, bob, dave, alices_method, schedule, beginning_ms;

/* An hour each: Alice has this one. Dave had his in a layer that is over. */
static uint64_t schedule_put(struct stand *stand)
{
    static uint8_t rows[(SHIFTS + 1) * SHIFT_ROW_SIZE_BYTES];
    uint64_t people[] = {alice, bob};
    Tocsin__ScheduleLayer over = TOCSIN__SCHEDULE_LAYER__INIT, layer = TOCSIN__SCHEDULE_LAYER__INIT, *layers[] = {&over, &layer};
    Tocsin__Schedule record = TOCSIN__SCHEDULE__INIT;
    Tocsin__SchedulePut body = TOCSIN__SCHEDULE_PUT__INIT;
    for (size_t i = 0; i <= SHIFTS; i++) {
        shift_rows_write((struct shift_row){beginning_ms + i * HOUR, i < SHIFTS ? people[i % 2] : 0}, rows + i * SHIFT_ROW_SIZE_BYTES);
    }
    layer.start_ms = layer.rotation_virtual_start_ms = beginning_ms;
    layer.end_ms = beginning_ms + SHIFTS * HOUR;
    over.start_ms = over.rotation_virtual_start_ms = beginning_ms - 2 * HOUR;
    over.end_ms = beginning_ms - HOUR;
    layer.turn_length_s = over.turn_length_s = 3600;
    layer.n_user_ids = 2;
    layer.user_ids = people;
    over.n_user_ids = 1;
    over.user_ids = &dave;
    record.name = probe_text("Primary");
    record.time_zone = probe_text("UTC");
    record.n_layers = 2;
    record.layers = layers;
    body.schedule = &record;
    body.shifts = (ProtobufCBinaryData){.len = sizeof rows, .data = rows};
    Tocsin__Command command = COMMAND(SCHEDULE_PUT, schedule_put, body);
    return stand_done(stand, &command);
}

static uint64_t policy_of_schedule(struct stand *stand)
{
    Tocsin__EscalationLevel level = TOCSIN__ESCALATION_LEVEL__INIT, *levels[] = {&level};
    Tocsin__EscalationPolicy policy = TOCSIN__ESCALATION_POLICY__INIT;
    Tocsin__EscalationPolicyPut body = TOCSIN__ESCALATION_POLICY_PUT__INIT;
    level.delay_minutes = 30;
    level.n_schedule_ids = 1;
    level.schedule_ids = &schedule;
    policy.name = probe_text("Nights");
    policy.n_levels = 1;
    policy.levels = levels;
    body.escalation_policy = &policy;
    Tocsin__Command command = COMMAND(ESCALATION_POLICY_PUT, escalation_policy_put, body);
    return stand_done(stand, &command);
}

static int company_open(void **state)
{
    struct stand *stand = stand_new();
    *state = stand;
    stand_guardians(stand, 1, STAND_MINUTE_MS);
    alice = stand_user(stand, "Alice");
    bob = stand_user(stand, "Bob");
    dave = stand_user(stand, "Dave");
    alices_method = stand_method(stand, alice, TOCSIN__CHANNEL__CHANNEL_SMS, "5550001");
    (void)stand_method(stand, bob, TOCSIN__CHANNEL__CHANNEL_SMS, "5550002");
    beginning_ms = stand->true_ms - stand->true_ms % 1000;
    schedule = schedule_put(stand);
    uint64_t service = stand_service(stand, policy_of_schedule(stand), TOCSIN__URGENCY__URGENCY_HIGH, 0, 0);
    (void)stand_integration(stand, service, KEY);
    model_healed(stand->model, stand->true_ms);
    return 0;
}

/* ---------------------------------------------------------------- commands */

/* Bob's hour that comes next. */
static Tocsin__Swap bobs_next_hour(void)
{
    Tocsin__Swap swap = TOCSIN__SWAP__INIT;
    swap.schedule_id = schedule;
    swap.user_id = bob;
    swap.asked_user_id = alice;
    swap.start_ms = beginning_ms + HOUR;
    swap.end_ms = beginning_ms + 2 * HOUR;
    return swap;
}

static uint64_t offer(struct stand *stand, Tocsin__Swap swap)
{
    Tocsin__SwapOffer body = TOCSIN__SWAP_OFFER__INIT;
    body.swap = &swap;
    Tocsin__Command command = COMMAND(SWAP_OFFER, swap_offer, body);
    return stand_done(stand, &command);
}

static Tocsin__Status take(struct stand *stand, uint64_t id, uint64_t person_id)
{
    Tocsin__SwapTake body = TOCSIN__SWAP_TAKE__INIT;
    body.schedule_id = schedule;
    body.id = id;
    body.user_id = person_id;
    Tocsin__Command command = COMMAND(SWAP_TAKE, swap_take, body);
    return stand_do(stand, &command)->status;
}

static Tocsin__Status undo(struct stand *stand, uint64_t id, uint64_t person_id)
{
    Tocsin__SwapUndo body = TOCSIN__SWAP_UNDO__INIT;
    body.schedule_id = schedule;
    body.id = id;
    body.user_id = person_id;
    Tocsin__Command command = COMMAND(SWAP_UNDO, swap_undo, body);
    return stand_do(stand, &command)->status;
}

/* Who is paged about a fire at that time, as the stand's requests go. */
static const char *paged_at(struct stand *stand, uint64_t at_ms, const char *dedup_key)
{
    stand_run_delivering(stand, at_ms - stand->true_ms);
    (void)stand_event(stand, KEY, TRIGGER, dedup_key, CRITICAL);
    assert_int_equal(stand->sends_count, 1);
    const char *name = strcmp(stand->sends[0].notification->user_name, "Alice") == 0 ? "Alice" : "Bob";
    stand_deliver(stand);
    return name;
}

/* ---------------------------------------------------------------- shifts that change hands */

static void what_was_taken_is_the_takers_until_its_end(void **state)
{
    struct stand *stand = *state;
    uint64_t id = offer(stand, bobs_next_hour());
    stand_deliver(stand);
    assert_int_equal(take(stand, id, alice), TOCSIN__STATUS__STATUS_OK);
    stand_deliver(stand);
    assert_int_equal(model_counts(stand->model).news, 2); /* Alice hears of the offer, Bob that it was taken */
    assert_string_equal(paged_at(stand, beginning_ms + HOUR + 30 * MINUTE, "disk"), "Alice");
    assert_string_equal(paged_at(stand, beginning_ms + 3 * HOUR + 30 * MINUTE, "cpu"), "Bob");
    assert_int_equal(model_counts(stand->model).swaps_taken, 1);
    stand_expect_peace(stand);
}

static void what_was_undone_is_as_it_was(void **state)
{
    struct stand *stand = *state;
    uint64_t id = offer(stand, bobs_next_hour());
    assert_int_equal(take(stand, id, alice), TOCSIN__STATUS__STATUS_OK);
    assert_int_equal(undo(stand, id, alice), TOCSIN__STATUS__STATUS_OK);
    stand_deliver(stand);
    assert_string_equal(paged_at(stand, beginning_ms + HOUR + 30 * MINUTE, "disk"), "Bob");
    assert_int_equal(model_counts(stand->model).swaps_undone, 1);
    stand_expect_peace(stand);
}

static void nobody_takes_what_another_was_asked_for(void **state)
{
    struct stand *stand = *state;
    uint64_t carol = stand_user(stand, "Carol"), id = offer(stand, bobs_next_hour());
    stand_deliver(stand);
    assert_int_not_equal(take(stand, id, carol), TOCSIN__STATUS__STATUS_OK);
    assert_int_not_equal(take(stand, id, bob), TOCSIN__STATUS__STATUS_OK);
    assert_string_equal(paged_at(stand, beginning_ms + HOUR + 30 * MINUTE, "disk"), "Bob");
    stand_expect_peace(stand);
}

static void who_was_of_the_schedule_once_takes_no_offer_to_all(void **state)
{
    struct stand *stand = *state;
    Tocsin__Swap swap = bobs_next_hour();
    swap.asked_user_id = 0;
    uint64_t id = offer(stand, swap);
    assert_int_not_equal(take(stand, id, dave), TOCSIN__STATUS__STATUS_OK);
    assert_int_equal(take(stand, id, alice), TOCSIN__STATUS__STATUS_OK);
    stand_deliver(stand);
    stand_expect_peace(stand);
}

static void what_is_too_much_for_one_swap_is_refused(void **state)
{
    struct stand *stand = *state;
    Tocsin__Swap swap = bobs_next_hour();
    Tocsin__SwapOffer body = TOCSIN__SWAP_OFFER__INIT;
    body.swap = &swap;
    Tocsin__Command command = COMMAND(SWAP_OFFER, swap_offer, body);
    swap.end_ms = swap.start_ms + 2 * LIMIT_OVERRIDES_PER_REQUEST * HOUR + 1;
    assert_int_equal(stand_do(stand, &command)->status, TOCSIN__STATUS__STATUS_LIMIT);
    swap.end_ms--;
    uint64_t id = stand_done(stand, &command);
    assert_int_equal(take(stand, id, alice), TOCSIN__STATUS__STATUS_OK);
    stand_deliver(stand);
    stand_expect_peace(stand);
}

/* ---------------------------------------------------------------- lies */

/* The model hears that it was done. */
static void say_yes(struct stand *stand)
{
    Tocsin__Reply done = TOCSIN__REPLY__INIT;
    static uint8_t packed[64];
    uint64_t id = 4711;
    done.status = TOCSIN__STATUS__STATUS_OK;
    done.n_ids = 1;
    done.ids = &id;
    assert_true(tocsin__reply__get_packed_size(&done) <= sizeof packed);
    stand->output.replies[0].packed = (struct span){.data = packed, .size_bytes = tocsin__reply__pack(&done, packed)};
}

static void a_swap_of_more_than_can_be_done_is_found(void **state)
{
    struct stand *stand = *state;
    Tocsin__Swap swap = bobs_next_hour();
    swap.end_ms = swap.start_ms + 2 * LIMIT_OVERRIDES_PER_REQUEST * HOUR + 1;
    stand->doctor = say_yes;
    (void)offer(stand, swap);
    stand->doctor = NULL;
    stand_expect_broken(stand, "an offer of shifts was accepted");
}

/* The model hears that nothing was done. */
static void say_no(struct stand *stand)
{
    Tocsin__Reply refusal = TOCSIN__REPLY__INIT;
    static uint8_t packed[64];
    refusal.status = TOCSIN__STATUS__STATUS_NOT_FOUND;
    refusal.reason = TOCSIN__REASON__REASON_UNKNOWN_SCHEDULE;
    assert_true(tocsin__reply__get_packed_size(&refusal) <= sizeof packed);
    stand->output.replies[0].packed = (struct span){.data = packed, .size_bytes = tocsin__reply__pack(&refusal, packed)};
}

static void a_swap_that_is_refused_and_done_nevertheless_is_found(void **state)
{
    struct stand *stand = *state;
    uint64_t id = offer(stand, bobs_next_hour());
    stand_deliver(stand);
    stand->doctor = say_no;
    (void)take(stand, id, alice);
    stand->doctor = NULL;
    stand_expect_broken(stand, "the taking of shifts");
}

static void to_a_strangers_number(struct stand *stand)
{
    for (size_t i = 0; i < stand->output.sends_count; i++) {
        struct machine_send *send = &stand->output.sends[i];
        static uint8_t packed[4096];
        Tocsin__Notification *news = tocsin__notification__unpack(NULL, send->packed.size_bytes, send->packed.data);
        assert_non_null(news);
        assert_int_equal(strlen(news->address), strlen("5550009"));
        memcpy(news->address, "5550009", strlen("5550009"));
        assert_true(tocsin__notification__get_packed_size(news) <= sizeof packed);
        send->packed = (struct span){.data = packed, .size_bytes = tocsin__notification__pack(news, packed)};
        tocsin__notification__free_unpacked(news, NULL);
    }
}

static void news_to_a_strangers_number_is_found(void **state)
{
    struct stand *stand = *state;
    stand->doctor = to_a_strangers_number;
    (void)offer(stand, bobs_next_hour());
    stand->doctor = NULL;
    stand_expect_broken(stand, "is not to be told so");
}

/* ---------------------------------------------------------------- two commands of one entry */

/* Found by storm 3002342: the news goes to the number that was right when it was handed over. */
static void news_and_another_number_may_share_an_entry(void **state)
{
    struct stand *stand = *state;
    Tocsin__Swap swap = bobs_next_hour();
    Tocsin__SwapOffer offered = TOCSIN__SWAP_OFFER__INIT;
    Tocsin__ContactMethod method = TOCSIN__CONTACT_METHOD__INIT;
    Tocsin__ContactMethodPut put = TOCSIN__CONTACT_METHOD_PUT__INIT;
    offered.swap = &swap;
    method.user_id = alice;
    method.channel = TOCSIN__CHANNEL__CHANNEL_SMS;
    method.address = probe_text("5550003");
    put.id = alices_method;
    put.contact_method = &method;
    put.fields = 1u << 5;
    Tocsin__Command first = COMMAND(SWAP_OFFER, swap_offer, offered), second = COMMAND(CONTACT_METHOD_PUT, contact_method_put, put);
    ProtobufCBinaryData both[] = {stand_pack(stand, &first), stand_pack(stand, &second)};
    stand_apply(stand, both, 2);
    assert_int_equal(stand->sends_count, 1);
    assert_string_equal(stand->sends[0].notification->address, "5550001");
    assert_string_equal(model_way(stand->model, alice, alices_method)->address, "5550003");
    free(both[0].data);
    free(both[1].data);
    stand_expect_peace(stand);
    /* ... and not an entry later. */
    stand->doctor = to_a_strangers_number;
    swap.start_ms = beginning_ms + 3 * HOUR;
    swap.end_ms = beginning_ms + 4 * HOUR;
    (void)offer(stand, swap);
    stand->doctor = NULL;
    stand_expect_broken(stand, "is not to be told so");
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, company_open, stand_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(what_was_taken_is_the_takers_until_its_end),
        STORY(what_was_undone_is_as_it_was),
        STORY(nobody_takes_what_another_was_asked_for),
        STORY(who_was_of_the_schedule_once_takes_no_offer_to_all),
        STORY(what_is_too_much_for_one_swap_is_refused),
        STORY(a_swap_of_more_than_can_be_done_is_found),
        STORY(a_swap_that_is_refused_and_done_nevertheless_is_found),
        STORY(news_to_a_strangers_number_is_found),
        STORY(news_and_another_number_may_share_an_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
