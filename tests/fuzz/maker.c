/* See maker.h. */
#include "tests/fuzz/maker.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/records.h"
#include "consensus/machine/schedules/shift_rows.h"
#include "tests/fuzz/company.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/world.h"

#define REPEATED_MAX 4u
#define THINGS_LOOKED_AT_MAX 16u
#define ROWS_MAX 8u
#define ROW_MS_MAX (48u * 3600 * 1000)

static void *take(struct maker *maker, size_t size_bytes)
{
    void *memory = maker->arena.allocator.alloc(maker->arena.allocator.allocator_data, size_bytes > 0 ? size_bytes : 1);
    return memset(memory, 0, size_bytes);
}

/* Texts that mean something in some field, and a few that must not. */
static const char *const texts[] = {
    "", "alice", "alice@example.org", "Dave", "dave@example.org", "+15550100", "5550199", "https://example.org/hook",
    "guardians", COMPANY_KEY, COMPANY_SHOP_KEY, "00000000000000000000000000000000", "memory", "disk", "cpu",
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

char *maker_text(struct maker *maker)
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

/* Where a thing's ids are: the table's keys, and which of their numbers it is. A field is of the first whose word is in its
 * name; one that is called `id` alone, of the first whose word is in its message's. */
static const struct {
    const char *word;
    enum machine_table table;
    unsigned number;
} things[] = {
    {"ContactMethod", TABLE_CONTACT_METHOD, 1},
    {"NotificationRule", TABLE_NOTIFICATION_RULE, 1},
    {"HandoffRule", TABLE_HANDOFF_RULE, 1},
    {"TeamMember", TABLE_TEAM, 0},
    {"User", TABLE_USER, 0},
    {"OrchestrationIntegration", TABLE_ORCHESTRATION_INTEGRATION, 1},
    {"Orchestration", TABLE_ORCHESTRATION, 0},
    {"Integration", TABLE_INTEGRATION, 1},
    {"Policy", TABLE_ESCALATION_POLICY, 0},
    {"Override", TABLE_OVERRIDE, 2},
    {"Swap", TABLE_SWAP, 1},
    {"Schedule", TABLE_SCHEDULE, 0},
    {"Heartbeat", TABLE_HEARTBEAT, 0},
    {"Maintenance", TABLE_MAINTENANCE, 0},
    {"Window", TABLE_MAINTENANCE, 0},
    {"Mute", TABLE_MUTE, 0},
    {"Drill", TABLE_DRILL, 0},
    {"Token", TABLE_TOKEN, 0},
    {"Team", TABLE_TEAM, 0},
    {"Change", TABLE_CHANGE_EVENT, 0},
    {"Alert", TABLE_ALERT, 1},
    {"Labels", TABLE_INCIDENT, 0},
    {"Incident", TABLE_INCIDENT, 0},
    {"Service", TABLE_SERVICE, 0},
    {"Notification", TABLE_OUTBOX, 0},
};

/* The words of contact_method_id are those of ContactMethod. */
static bool has_word(const char *name, const char *word)
{
    for (; *name != '\0'; name++) {
        const char *at = name, *in = word;
        while (*in != '\0' && (*at == '_' || tolower((unsigned char)*at) == tolower((unsigned char)*in))) {
            in += *at != '_';
            at++;
        }
        if (*in == '\0') {
            return true;
        }
    }
    return false;
}

/* The id of one of these things as they are by now; 0 where there is none. */
static uint64_t id_of(struct maker *maker, const char *name)
{
    for (size_t i = 0; i < sizeof things / sizeof *things; i++) {
        if (has_word(name, things[i].word)) {
            struct walk walk = walk_all(&maker->world->store, things[i].table);
            uint64_t id = 0;
            for (unsigned skip = fuzz_byte(maker->input) % THINGS_LOOKED_AT_MAX; walk_next(&walk);) {
                id = span_number(walk.key, things[i].number);
                if (skip-- == 0) {
                    break;
                }
            }
            return id;
        }
    }
    return fuzz_below(maker->input, WORLD_IDS_MAX);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);

    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* Around now, by as much as people mean. */
static uint64_t time_near(struct maker *maker)
{
    static const uint64_t units_ms[] = {1, 1000, 60000, 3600000, 86400000};
    uint64_t unit_ms = units_ms[fuzz_below(maker->input, sizeof units_ms / sizeof *units_ms)];

    return maker->world->now_ms + unit_ms * (uint64_t)(int64_t)(int8_t)fuzz_byte(maker->input);
}

static uint64_t make_number(struct maker *maker, const ProtobufCMessageDescriptor *descriptor,
                            const ProtobufCFieldDescriptor *field)
{
    bool is_bare_id = strcmp(field->name, "id") == 0;

    if (strcmp(field->name, "fields") == 0) {
        return fuzz_byte(maker->input) < 0x80 ? UINT64_MAX : fuzz_number(maker->input, 3);
    }
    if (fuzz_byte(maker->input) >= 0xf0) {
        return fuzz_odd_number(maker->input);
    }
    if (is_bare_id || ends_with(field->name, "_id") || ends_with(field->name, "_ids")) {
        return id_of(maker, is_bare_id ? descriptor->short_name : field->name);
    }
    if (ends_with(field->name, "revision")) {
        return fuzz_below(maker->input, 4);
    }
    return ends_with(field->name, "_ms") ? time_near(maker) : fuzz_odd_number(maker->input);
}

/* Rows of shift_rows.h, whose things are people or the beginnings and ends of hours. */
static ProtobufCBinaryData make_rows(struct maker *maker, bool people)
{
    unsigned count = 2 + fuzz_below(maker->input, ROWS_MAX - 1);
    ProtobufCBinaryData rows = {.len = (size_t)count * SHIFT_ROW_SIZE_BYTES, .data = take(maker, (size_t)count * SHIFT_ROW_SIZE_BYTES)};
    uint64_t from_ms = time_near(maker);

    for (unsigned i = 0; i < count; i++) {
        uint64_t thing = i + 1 == count ? 0 : people ? id_of(maker, "user") : (i + 1) % 2;
        shift_rows_write((struct shift_row){from_ms, thing}, rows.data + (size_t)i * SHIFT_ROW_SIZE_BYTES);
        from_ms += 1 + fuzz_number(maker->input, 4) % ROW_MS_MAX;
    }
    return rows;
}

static ProtobufCBinaryData make_bytes(struct maker *maker, const ProtobufCFieldDescriptor *field)
{
    if (fuzz_byte(maker->input) < 0xe0) {
        if (strcmp(field->name, "shifts") == 0) {
            return make_rows(maker, true);
        }
        if (ends_with(field->name, "spans")) {
            return make_rows(maker, false);
        }
        if (has_word(field->name, "hash")) {
            size_t size_bytes = ends_with(field->name, "hashes") ? fuzz_below(maker->input, 5) * (size_t)32 : 32;
            ProtobufCBinaryData hash = {.len = size_bytes, .data = take(maker, size_bytes)};
            memset(hash.data, fuzz_byte(maker->input), size_bytes);
            return hash;
        }
    }
    char *text = maker_text(maker);
    return (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)text};
}

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

static void make_value(struct maker *maker, const ProtobufCMessageDescriptor *descriptor,
                       const ProtobufCFieldDescriptor *field, void *out)
{
    uint64_t number;
    uint32_t number32;
    void *pointer;

    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        number = make_number(maker, descriptor, field);
        memcpy(out, &number, sizeof number);
        return;
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_UINT32:
        number32 = (uint32_t)make_number(maker, descriptor, field);
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
        pointer = maker_text(maker);
        memcpy(out, &pointer, sizeof pointer);
        return;
    case PROTOBUF_C_TYPE_BYTES: {
        ProtobufCBinaryData bytes = make_bytes(maker, field);
        memcpy(out, &bytes, sizeof bytes);
        return;
    }
    case PROTOBUF_C_TYPE_MESSAGE:
        pointer = maker_message(maker, field->descriptor);
        memcpy(out, &pointer, sizeof pointer);
        return;
    default:
        abort(); /* the schema has no other types */
    }
}

ProtobufCMessage *maker_message(struct maker *maker, const ProtobufCMessageDescriptor *descriptor)
{
    static char something[] = "something";
    uint8_t *message = take(maker, descriptor->sizeof_message);

    protobuf_c_message_init(descriptor, message);
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        uint8_t presence = fuzz_byte(maker->input);
        if (is_required(descriptor, field)) {
            char *text = maker_text(maker);
            text = text[0] == '\0' ? something : text;
            memcpy(message + field->offset, &text, sizeof text);
            continue;
        }
        if (presence < 0x30) { /* left out */
            continue;
        }
        if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) { /* the last one counts */
            uint32_t which = field->id;
            if (presence >= 0x90) {
                make_value(maker, descriptor, field, message + field->offset);
                memcpy(message + field->quantifier_offset, &which, sizeof which);
            }
            continue;
        }
        if (field->label != PROTOBUF_C_LABEL_REPEATED) {
            make_value(maker, descriptor, field, message + field->offset);
            continue;
        }
        size_t count = presence % (REPEATED_MAX + 1), size = element_size(field);
        uint8_t *elements = take(maker, count * size);
        for (size_t j = 0; j < count; j++) {
            make_value(maker, descriptor, field, elements + j * size);
        }
        memcpy(message + field->quantifier_offset, &count, sizeof count);
        memcpy(message + field->offset, &elements, sizeof elements);
    }
    return (ProtobufCMessage *)message;
}
