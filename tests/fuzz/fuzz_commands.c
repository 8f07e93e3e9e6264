/*
 * Commands that decode, in any order: each field of each is chosen by the input, mostly from what makes sense in the
 * world at hand, so that the machine's rules are reached. A refused one changes nothing; the promises hold after each.
 *
 *     input: steps of  what │ ...     what: a command (its kind, then its fields), time going on, pulses, another leader
 */
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/arena.h"
#include "consensus/machine/limits.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/world.h"

#define STEPS_MAX 48u
#define REPEATED_MAX 4u

struct maker {
    struct fuzz_input *input;
    struct arena arena;
};

static void *take(struct maker *maker, size_t size_bytes)
{
    void *memory = maker->arena.allocator.alloc(maker->arena.allocator.allocator_data, size_bytes > 0 ? size_bytes : 1);
    return memset(memory, 0, size_bytes);
}

/* Texts that mean something in some field, and a few that must not. */
static const char *const texts[] = {
    "", "alice", "alice@example.org", "Dave", "dave@example.org", "+15550100", "5550199", "https://example.org/hook",
    "guardians", WORLD_ROUTING_KEY, WORLD_OTHER_ROUTING_KEY, "00000000000000000000000000000000", "memory", "disk", "cpu",
    "Database", "Service 12", "Policy 10", "Europe/Zurich", "UTC", "events_api_v2_inbound_integration", "purple",
    "\xc3\xa9t\xc3\xa9", "\xff\xfe", "two\nlines", "{\"a\":[1]}", "[]", "P00001A", " ", "x@y",
};

/* What the door lets through has a text here; the machine does not look again. */
static bool is_required(const ProtobufCMessageDescriptor *descriptor, const ProtobufCFieldDescriptor *field)
{
    static const struct {
        const ProtobufCMessageDescriptor *descriptor;
        const char *name;
    } required[] = {
        {&tocsin__event__descriptor, "summary"},
        {&tocsin__event__descriptor, "dedup_key"},
        {&tocsin__incident_create__descriptor, "title"},
        {&tocsin__note_create__descriptor, "content"},
    };

    for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
        if (required[i].descriptor == descriptor && strcmp(required[i].name, field->name) == 0) {
            return true;
        }
    }
    return false;
}

static char *make_text(struct maker *maker)
{
    uint8_t kind = fuzz_byte(maker->input);
    size_t size_bytes;
    const void *bytes;

    if (kind < 0xe0) {
        bytes = texts[kind % (sizeof texts / sizeof *texts)];
        size_bytes = strlen(bytes);
    } else if (kind < 0xf8) {
        struct span given = fuzz_bytes(maker->input, kind & 0x1fu);
        bytes = given.data;
        size_bytes = given.size_bytes;
    } else { /* at the bounds */
        static const uint16_t sizes[] = {99, 100, 101, 255, 256, 1024, 1025, 25001};
        size_bytes = sizes[kind & 7];
        bytes = NULL;
    }
    char *text = take(maker, size_bytes + 1);
    if (bytes != NULL && size_bytes > 0) {
        memcpy(text, bytes, size_bytes);
    } else {
        memset(text, 'x', size_bytes);
    }
    return text;
}

/* Ids are numbers of the world's objects, mostly. */
static uint64_t make_number(struct maker *maker, const ProtobufCFieldDescriptor *field)
{
    size_t length = strlen(field->name);
    bool is_id = strcmp(field->name, "id") == 0 || (length > 3 && strcmp(field->name + length - 3, "_id") == 0) ||
                 (length > 4 && strcmp(field->name + length - 4, "_ids") == 0);

    if (strcmp(field->name, "fields") == 0) {
        return fuzz_byte(maker->input) < 0x80 ? UINT64_MAX : fuzz_number(maker->input, 3);
    }
    return is_id && fuzz_byte(maker->input) < 0xf0 ? fuzz_below(maker->input, WORLD_IDS_MAX) : fuzz_odd_number(maker->input);
}

static ProtobufCMessage *make_message(struct maker *maker, const ProtobufCMessageDescriptor *descriptor);

static size_t element_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_MESSAGE:
    case PROTOBUF_C_TYPE_STRING:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return sizeof(uint32_t);
    }
}

static void make_value(struct maker *maker, const ProtobufCFieldDescriptor *field, void *out)
{
    uint64_t number;
    uint32_t number32;
    void *pointer;

    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        number = make_number(maker, field);
        memcpy(out, &number, sizeof number);
        return;
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_UINT32:
        number32 = (uint32_t)make_number(maker, field);
        memcpy(out, &number32, sizeof number32);
        return;
    case PROTOBUF_C_TYPE_BOOL:
        number32 = fuzz_byte(maker->input) & 1;
        memcpy(out, &number32, sizeof number32);
        return;
    case PROTOBUF_C_TYPE_ENUM: {
        const ProtobufCEnumDescriptor *kinds = field->descriptor;
        number32 = (uint32_t)kinds->values[fuzz_below(maker->input, kinds->n_values)].value;
        memcpy(out, &number32, sizeof number32);
        return;
    }
    case PROTOBUF_C_TYPE_STRING:
        pointer = make_text(maker);
        memcpy(out, &pointer, sizeof pointer);
        return;
    case PROTOBUF_C_TYPE_BYTES: {
        ProtobufCBinaryData bytes = {.data = (uint8_t *)make_text(maker)};
        bytes.len = strlen((char *)bytes.data);
        memcpy(out, &bytes, sizeof bytes);
        return;
    }
    case PROTOBUF_C_TYPE_MESSAGE:
        pointer = make_message(maker, field->descriptor);
        memcpy(out, &pointer, sizeof pointer);
        return;
    default:
        abort(); /* the schema has no other types */
    }
}

static ProtobufCMessage *make_message(struct maker *maker, const ProtobufCMessageDescriptor *descriptor)
{
    static char something[] = "something";
    uint8_t *message = take(maker, descriptor->sizeof_message);

    protobuf_c_message_init(descriptor, message);
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        uint8_t presence = fuzz_byte(maker->input);
        if (is_required(descriptor, field)) {
            char *text = make_text(maker);
            text = text[0] == '\0' ? something : text;
            memcpy(message + field->offset, &text, sizeof text);
            continue;
        }
        if (presence < 0x30) { /* left out */
            continue;
        }
        if (field->label != PROTOBUF_C_LABEL_REPEATED) {
            make_value(maker, field, message + field->offset);
            continue;
        }
        size_t count = presence % (REPEATED_MAX + 1), size = element_size(field);
        uint8_t *elements = take(maker, count * size);
        for (size_t j = 0; j < count; j++) {
            make_value(maker, field, elements + j * size);
        }
        memcpy(message + field->quantifier_offset, &count, sizeof count);
        memcpy(message + field->offset, &elements, sizeof elements);
    }
    return (ProtobufCMessage *)message;
}

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
    command.event = (Tocsin__Event *)make_message(maker, kind->descriptor); /* the pointers of all bodies are one */
    uint8_t extra = fuzz_byte(maker->input);
    if (extra >= 0xf0) {
        command.idempotency_key = make_text(maker);
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
    struct maker maker = {.input = &input};

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
