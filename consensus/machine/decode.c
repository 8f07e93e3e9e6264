/*
 * From the bytes of a log entry to commands.
 *
 * protobuf-c sets aside fields that it does not know and takes any number for an enumeration: both would let a node
 * of an older version apply something else than the others, so every message of the tree is looked through.
 */
#include "consensus/machine/decode.h"

#include <stdbool.h>
#include <string.h>

static bool message_known(const ProtobufCMessage *message);

static bool value_known(const ProtobufCFieldDescriptor *field, const uint8_t *value)
{
    if (field->type == PROTOBUF_C_TYPE_ENUM) {
        int number;
        memcpy(&number, value, sizeof number);
        return protobuf_c_enum_descriptor_get_value(field->descriptor, number) != NULL;
    }
    const ProtobufCMessage *part;
    memcpy(&part, value, sizeof part);
    return part == NULL || message_known(part);
}

static bool field_known(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const uint8_t *base = (const uint8_t *)message;
    const uint8_t *value = base + field->offset;
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        uint32_t chosen;
        memcpy(&chosen, base + field->quantifier_offset, sizeof chosen);
        return chosen != field->id || value_known(field, value);
    }
    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        return value_known(field, value);
    }
    size_t count;
    const uint8_t *elements;
    memcpy(&count, base + field->quantifier_offset, sizeof count);
    memcpy(&elements, value, sizeof elements);
    size_t element_size_bytes = field->type == PROTOBUF_C_TYPE_ENUM ? sizeof(int) : sizeof(void *);
    for (size_t i = 0; i < count; i++) {
        if (!value_known(field, elements + i * element_size_bytes)) {
            return false;
        }
    }
    return true;
}

/* The depth of the tree is the schema's: no message contains its own kind but Reply, which is no part of a command. */
static bool message_known(const ProtobufCMessage *message)
{
    if (message->n_unknown_fields > 0) {
        return false;
    }
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        bool looked_into = field->type == PROTOBUF_C_TYPE_ENUM || field->type == PROTOBUF_C_TYPE_MESSAGE;
        if (looked_into && !field_known(message, field)) {
            return false;
        }
    }
    return true;
}

enum machine_error command_decode(struct span packed, ProtobufCAllocator *allocator, Tocsin__Command **command)
{
    *command = tocsin__command__unpack(allocator, packed.size_bytes, packed.data);
    if (*command == NULL) {
        return MACHINE_MALFORMED;
    }
    bool known = (*command)->body_case != TOCSIN__COMMAND__BODY__NOT_SET && message_known(&(*command)->base);
    return known ? MACHINE_OK : MACHINE_UNKNOWN_FIELD;
}

enum machine_error entry_decode(struct span data, ProtobufCAllocator *allocator, struct decoded_entry *decoded)
{
    Tocsin__Entry *entry = tocsin__entry__unpack(allocator, data.size_bytes, data.data);
    if (entry == NULL) {
        return MACHINE_MALFORMED;
    }
    if (!message_known(&entry->base)) {
        return MACHINE_UNKNOWN_FIELD;
    }
    decoded->entry = entry;
    decoded->commands = allocator->alloc(allocator->allocator_data, entry->n_commands * sizeof *decoded->commands);
    for (size_t i = 0; i < entry->n_commands; i++) {
        struct span packed = {.data = entry->commands[i].data, .size_bytes = entry->commands[i].len};
        enum machine_error error = command_decode(packed, allocator, &decoded->commands[i]);
        if (error != MACHINE_OK) {
            return error;
        }
    }
    return MACHINE_OK;
}
