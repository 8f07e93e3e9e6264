/*
 * Commands that decode, in any order: each field of each is chosen by the input, mostly from what makes sense in the
 * world at hand, so that the machine's rules are reached. A refused one changes nothing; the promises hold after each.
 *
 *     input: steps of  what │ ...     what: a command (its kind, then its fields), time going on, pulses, another leader
 */
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/maker.h"
#include "tests/fuzz/world.h"

#define STEPS_MAX 48u
/* A whole command; the kinds are the fields of Command that are its body. False when it raised the version beyond this
 * program's, which stops a node. */
static bool step_command(struct machine_fixture *world, struct maker *maker)
{
    const ProtobufCMessageDescriptor *descriptor = &tocsin__command__descriptor;
    const ProtobufCFieldDescriptor *first =
        protobuf_c_message_descriptor_get_field(descriptor, TOCSIN__COMMAND__BODY_EVENT);
    unsigned kinds = (unsigned)(descriptor->fields + descriptor->n_fields - first);
    const ProtobufCFieldDescriptor *kind = &first[fuzz_below(maker->input, kinds)];
    Tocsin__Command command;

    tocsin__command__init(&command);
    command.body_case = (Tocsin__Command__BodyCase)kind->id;
    command.event = (Tocsin__Event *)maker_message(maker, kind->descriptor); /* the pointers of all bodies are one */
    uint8_t extra = fuzz_byte(maker->input);
    if (extra >= 0xf0) {
        command.idempotency_key = maker_text(maker);
    }
    bool taken = world_ask(world, &command) != NULL;
    /* It holds nothing unknown. */
    fuzz_require(taken || command.body_case == TOCSIN__COMMAND__BODY_VERSION_RAISE);
    return taken;
}

/* What the world's own rules would do next: the leader sends, its dispatcher answers. */
static void step_receipts(struct machine_fixture *world, struct maker *maker)
{
    struct walk walk = walk_all(&world->store, TABLE_OUTBOX);
    Tocsin__Receipt receipt;
    bool found = false;

    tocsin__receipt__init(&receipt);
    for (unsigned skip = fuzz_below(maker->input, 8); walk_next(&walk);) {
        Tocsin__Notification *row = fuzz_must(record_unpack(&tocsin__notification__descriptor, walk.value, NULL));
        receipt.notification_id = row->id;
        receipt.attempt = row->attempt;
        tocsin__notification__free_unpacked(row, NULL);
        found = true;
        if (skip-- == 0) {
            break;
        }
    }
    if (found) {
        Tocsin__Command command;
        tocsin__command__init(&command);
        receipt.outcome = (Tocsin__Outcome)fuzz_below(maker->input, TOCSIN__OUTCOME__OUTCOME_UNKNOWN + 1);
        receipt.retry_after_ms = (uint32_t)fuzz_odd_number(maker->input);
        command.body_case = TOCSIN__COMMAND__BODY_RECEIPT;
        command.receipt = &receipt;
        (void)world_ask(world, &command);
    }
}

static void step_claim(struct machine_fixture *world, struct maker *maker)
{
    uint64_t ids[8];
    struct walk walk = walk_all(&world->store, TABLE_OUTBOX);
    Tocsin__Claim claim;
    Tocsin__Command command;

    tocsin__claim__init(&claim);
    claim.notification_ids = ids;
    for (unsigned bits = fuzz_byte(maker->input); claim.n_notification_ids < 8 && walk_next(&walk); bits >>= 1) {
        if (bits & 1) {
            ids[claim.n_notification_ids++] = span_number(walk.key, 0);
        }
    }
    tocsin__command__init(&command);
    command.body_case = TOCSIN__COMMAND__BODY_CLAIM;
    command.claim = &claim;
    (void)world_ask(world, &command);
}

static void step_pulse(struct machine_fixture *world, uint32_t limit)
{
    Tocsin__Command command;
    Tocsin__Pulse pulse;

    tocsin__command__init(&command);
    tocsin__pulse__init(&pulse);
    pulse.limit = limit;
    command.body_case = TOCSIN__COMMAND__BODY_PULSE;
    command.pulse = &pulse;
    fuzz_require(world_ask(world, &command)->status == TOCSIN__STATUS__STATUS_OK);
}

/* Time stands at the next deadline, or passes it. */
static void step_deadline(struct machine_fixture *world, struct maker *maker)
{
    uint64_t due_ms = machine_next_deadline_ms(&world->store), late_ms = fuzz_number(maker->input, 2);

    if (due_ms != UINT64_MAX && due_ms > world->now_ms) {
        fixture_advance(world, due_ms - world->now_ms);
    }
    fixture_advance(world, late_ms);
    step_pulse(world, 1 + fuzz_byte(maker->input));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct machine_fixture *world = world_new();
    struct fuzz_input input = fuzz_input(data, size_bytes);
    struct maker maker = {.input = &input, .world = world};

    arena_init(&maker.arena);
    bool goes_on = true;
    for (unsigned step = 0; step < STEPS_MAX && input.left > 0 && goes_on; step++) {
        uint8_t what = fuzz_byte(&input);
        if (what < 0x98) {
            goes_on = step_command(world, &maker);
        } else if (what < 0xb8) {
            step_deadline(world, &maker);
        } else if (what < 0xc8) {
            step_receipts(world, &maker);
        } else if (what < 0xd8) {
            step_claim(world, &maker);
        } else if (what < 0xe8) {
            fixture_advance(world, fuzz_number(&input, 3));
        } else if (what < 0xf0) {
            fixture_new_leader(world, 1 + fuzz_below(&input, 5));
        } else {
            fixture_act_as_user(world, fuzz_below(&input, WORLD_IDS_MAX), "somebody");
        }
        arena_reset(&maker.arena);
    }
    arena_close(&maker.arena);
    world_free(world);
    return 0;
}
