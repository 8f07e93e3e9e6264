/* What the parts that keep objects have in common. */
#include "consensus/machine/checks.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "consensus/machine/base/text.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE
#define COUNTRY_CODE_MAX 1999u
#define PHONE_NUMBER_DIGITS_MIN 4u
#define PHONE_NUMBER_DIGITS_MAX 20u

/* ---------------------------------------------------------------- records */

static const ProtobufCFieldDescriptor *field_named(const ProtobufCMessageDescriptor *descriptor, const char *name)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(descriptor, name);
    assert(field != NULL && field->id < 64);
    return field;
}

bool field_given(uint64_t fields, const ProtobufCMessageDescriptor *descriptor, const char *name)
{
    return (fields >> field_named(descriptor, name)->id & 1) != 0;
}

static size_t value_size_bytes(const ProtobufCFieldDescriptor *field)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return sizeof(void *);
    }
    switch (field->type) {
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(uint32_t);
    case PROTOBUF_C_TYPE_UINT64:
        return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        assert(!"a type that the schema does not use");
        return 0;
    }
}

void record_patch(ProtobufCMessage *record, const ProtobufCMessage *given, bool creation, uint64_t fields,
                  const char *const *names)
{
    assert(record->descriptor == given->descriptor);
    uint8_t *to = (uint8_t *)record;
    const uint8_t *from = (const uint8_t *)given;
    for (; *names != NULL; names++) {
        const ProtobufCFieldDescriptor *field = field_named(record->descriptor, *names);
        if (!creation && (fields >> field->id & 1) == 0) {
            continue;
        }
        memcpy(to + field->offset, from + field->offset, value_size_bytes(field));
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            memcpy(to + field->quantifier_offset, from + field->quantifier_offset, sizeof(size_t));
        }
    }
}

/* ---------------------------------------------------------------- refusals */

void refuse_unknown(struct apply *apply, Tocsin__Reply *reply, Tocsin__Reason reason, const char *what, uint64_t id)
{
    reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_NOT_FOUND, reason, "There is no %s %" PRIu64 ".", what, id);
}

bool check_given(struct apply *apply, Tocsin__Reply *reply, const void *record)
{
    if (record == NULL) {
        reply_refuse(apply, reply, INVALID, "The request does not say what to store.");
    }
    return record != NULL;
}

bool check_lines(struct apply *apply, Tocsin__Reply *reply, const char *what, const char *text, size_t min, size_t max)
{
    size_t characters;
    if (!text_characters(text, &characters)) {
        reply_refuse(apply, reply, INVALID, "%s is not valid UTF-8.", what);
        return false;
    }
    if (characters < min && characters == 0) {
        reply_refuse(apply, reply, INVALID, "%s must not be empty.", what);
        return false;
    }
    if (characters < min || characters > max) {
        reply_refuse(apply, reply, INVALID, "%s must have %zu to %zu characters.", what, min, max);
        return false;
    }
    return true;
}

bool check_line(struct apply *apply, Tocsin__Reply *reply, const char *what, const char *text, size_t min, size_t max)
{
    if (!check_lines(apply, reply, what, text, min, max)) {
        return false;
    }
    if (!text_is_line(text)) {
        reply_refuse(apply, reply, INVALID, "%s must be one line without control characters.", what);
        return false;
    }
    return true;
}

bool check_room(struct apply *apply, Tocsin__Reply *reply, const char *what, uint64_t count, uint64_t limit)
{
    if (count >= limit) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_LIMIT, TOCSIN__REASON__REASON_TOO_MANY,
                     "There cannot be more than %" PRIu64 " %s.", limit, what);
        return false;
    }
    return true;
}

uint64_t rows_under(struct apply *apply, enum machine_table table, uint64_t parent)
{
    uint64_t count = 0;
    struct walk walk = walk_under(apply->store, table, parent);
    while (walk_next(&walk)) {
        count++;
    }
    return count;
}

/* ---------------------------------------------------------------- contact methods */

/* Digits under the country code, or with a leading + the whole number (E.164). */
static bool address_is_phone_number(const char *address)
{
    if (*address == '+') {
        address++;
    }
    return text_within(address, PHONE_NUMBER_DIGITS_MIN, PHONE_NUMBER_DIGITS_MAX) && text_is_digits(address);
}

/* What an address of each channel looks like. */
static const struct address_rule {
    Tocsin__Channel channel;
    bool has_country_code;
    bool (*valid)(const char *address);
    const char *refusal;
} address_rules[] = {
    {TOCSIN__CHANNEL__CHANNEL_EMAIL, false, text_is_email, "The address must be an e-mail address."},
    {TOCSIN__CHANNEL__CHANNEL_SMS, true, address_is_phone_number, "The address must be 4 to 20 digits, or + and digits."},
    {TOCSIN__CHANNEL__CHANNEL_VOICE, true, address_is_phone_number, "The address must be 4 to 20 digits, or + and digits."},
    {TOCSIN__CHANNEL__CHANNEL_PUSH, false, text_is_word, "The address must be a topic or its URL, without spaces."},
    {TOCSIN__CHANNEL__CHANNEL_WEBHOOK, false, text_is_http_url,
     "The address must be a URL that begins with http:// or https://."},
};

bool check_contact_method(struct apply *apply, Tocsin__Reply *reply, Tocsin__ContactMethod *method)
{
    const struct address_rule *rule = NULL;
    for (size_t i = 0; i < sizeof address_rules / sizeof address_rules[0]; i++) {
        if (address_rules[i].channel == method->channel) {
            rule = &address_rules[i];
        }
    }
    if (rule == NULL) {
        reply_refuse(apply, reply, INVALID, "A contact method must have a type.");
        return false;
    }
    if (!check_line(apply, reply, "The address", method->address, 1, LIMIT_ADDRESS_CHARACTERS) ||
        !check_line(apply, reply, "The label", method->label, 0, LIMIT_NAME_CHARACTERS) ||
        !check_line(apply, reply, "The device type", method->device_type, 0, LIMIT_NAME_CHARACTERS)) {
        return false;
    }
    if (!rule->valid(method->address)) {
        reply_refuse(apply, reply, INVALID, "%s", rule->refusal);
        return false;
    }
    if (!rule->has_country_code) {
        method->country_code = 0;
    } else if (method->country_code == 0) {
        method->country_code = 1;
    }
    if (method->country_code > COUNTRY_CODE_MAX) {
        reply_refuse(apply, reply, INVALID, "The country code must be 1 to %u.", COUNTRY_CODE_MAX);
        return false;
    }
    return true;
}

/* ---------------------------------------------------------------- escalation policies */

bool policy_has_target(const Tocsin__EscalationPolicy *policy, uint64_t user_id)
{
    for (size_t i = 0; i < policy->n_levels; i++) {
        for (size_t j = 0; j < policy->levels[i]->n_user_ids; j++) {
            if (policy->levels[i]->user_ids[j] == user_id) {
                return true;
            }
        }
    }
    return false;
}

/* ---------------------------------------------------------------- indexes */

uint64_t index_find(struct apply *apply, enum machine_table table, struct key key)
{
    struct span value;
    return apply->store->get(apply->store->context, table, key_span(&key), &value) ? span_number(value, 0) : 0;
}

void index_put(struct apply *apply, enum machine_table table, struct key key, uint64_t id)
{
    assert(id > 0);
    struct key value = key_1(id);
    apply->store->put(apply->store->context, table, key_span(&key), key_span(&value));
}

void row_delete(struct apply *apply, enum machine_table table, struct key key)
{
    bool there = apply->store->del(apply->store->context, table, key_span(&key));
    (void)there; /* a store with a fault finds nothing; its caller drops the whole entry */
}
