/* Contact methods: how a person can be reached. */
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/people.h"
#include "node/api/render.h"
#include "node/api/roles.h"

#define LABEL_DEFAULT "Default" /* PagerDuty's own */
#define COUNTRY_CODE_MAX 1999   /* PagerDuty's bound */
#define COUNTRY_CODE_DEFAULT 1u
#define DEVICE_TYPE_CHARACTERS_MAX 50u
#define PHONE_DIGITS_MIN 3u /* short codes exist */
#define PHONE_DIGITS_MAX 15u /* ITU-T E.164 */
#define NTFY_TOPIC_LENGTH_MAX 64u

static bool is_phone(Tocsin__Channel channel)
{
    return channel == TOCSIN__CHANNEL__CHANNEL_SMS || channel == TOCSIN__CHANNEL__CHANNEL_VOICE;
}

json_t *render_contact_method(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__ContactMethod *method = record;
    const char *type = word_of(words_contact_method_type, (int)method->channel);
    char user[16], id[16];

    (void)view;
    id_format(method->user_id, user);
    id_format(method->id, id);
    json_t *object = render_head(method->id, type != NULL ? type : "contact_method", method->label,
                                 render_self(request, "/users/%s/contact_methods/%s", user, id));
    json_object_set_new(object, "label", json_string(method->label));
    json_object_set_new(object, "address", json_string(method->address));
    json_object_set_new(object, "created_at", json_time(method->created_at_ms));
    json_object_set_new(object, "blacklisted", json_false());
    if (method->channel == TOCSIN__CHANNEL__CHANNEL_EMAIL) {
        json_object_set_new(object, "send_short_email", json_boolean(method->send_short_email));
    } else if (is_phone(method->channel)) {
        json_object_set_new(object, "country_code", json_integer(method->country_code));
        json_object_set_new(object, "enabled", json_true());
    } else if (method->channel == TOCSIN__CHANNEL__CHANNEL_PUSH) {
        json_object_set_new(object, "device_type", json_text(method->device_type));
        json_object_set_new(object, "sounds", json_array());
    }
    return object;
}

static const struct resource resource_contact_method = {
    .name = "contact_method",
    .plural = "contact_methods",
    .table = TABLE_CONTACT_METHOD,
    .descriptor = &tocsin__contact_method__descriptor,
    .render = render_contact_method,
};

/* ---------------------------------------------------------------- addresses */

static bool is_url(const char *text)
{
    size_t scheme = strncmp(text, "https://", 8) == 0 ? 8 : strncmp(text, "http://", 7) == 0 ? 7 : 0;

    return scheme > 0 && text[scheme] != '\0' && text[scheme] != '/' && strpbrk(text, " \t\r\n") == NULL;
}

static bool is_phone_number(const char *text)
{
    size_t digits = 0;

    for (const char *at = text[0] == '+' ? text + 1 : text; *at != '\0'; at++) {
        if (*at >= '0' && *at <= '9') {
            digits++;
        } else if (strchr(" -.()", *at) == NULL) {
            return false;
        }
    }
    return digits >= PHONE_DIGITS_MIN && digits <= PHONE_DIGITS_MAX;
}

static bool is_topic(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

    return length > 0 && length <= NTFY_TOPIC_LENGTH_MAX && text[length] == '\0';
}

static bool is_topic_or_url(const char *text)
{
    return is_topic(text) || is_url(text);
}

static const struct {
    Tocsin__Channel channel;
    bool (*accepts)(const char *address);
    const char *error;
} address_rules[] = {
    {TOCSIN__CHANNEL__CHANNEL_EMAIL, email_is_plausible, "Address is not an e-mail address"},
    {TOCSIN__CHANNEL__CHANNEL_SMS, is_phone_number, "Address is not a phone number"},
    {TOCSIN__CHANNEL__CHANNEL_VOICE, is_phone_number, "Address is not a phone number"},
    {TOCSIN__CHANNEL__CHANNEL_PUSH, is_topic_or_url, "Address is neither an ntfy topic nor the http(s) URL of one"},
    {TOCSIN__CHANNEL__CHANNEL_WEBHOOK, is_url, "Address is not an http(s) URL"},
};

static void check_address(struct field_reader *reader, const Tocsin__ContactMethod *method)
{
    for (size_t i = 0; i < sizeof address_rules / sizeof *address_rules; i++) {
        if (address_rules[i].channel == method->channel && !address_rules[i].accepts(method->address)) {
            field_error(reader, "%s", address_rules[i].error);
        }
    }
}

/* ---------------------------------------------------------------- the command */

static void take_channel(const struct field_target *target, bool required, Tocsin__ContactMethod *method)
{
    int channel = 0;
    bool present = false;

    if (!field_word(target->reader, "type", words_contact_method_type, &channel, &present)) {
        return;
    }
    if (present) {
        method->channel = (Tocsin__Channel)channel;
    } else if (required) {
        field_error(target->reader, "Type can't be blank");
    }
}

static void take_phone(const struct field_target *target, bool creates, Tocsin__ContactMethod *method)
{
    int64_t country_code = COUNTRY_CODE_DEFAULT;
    bool present = false;

    if (field_integer(target->reader, "country_code", 1, COUNTRY_CODE_MAX, &country_code, &present) &&
        (present || (creates && is_phone(method->channel)))) {
        method->country_code = (uint32_t)country_code;
        target_mark(target, "country_code");
    }
}

static void take_email_style(const struct field_target *target, Tocsin__ContactMethod *method)
{
    bool present = false, value = false;

    if (field_boolean(target->reader, "send_short_email", &value, &present) && present) {
        method->send_short_email = value;
        target_mark(target, "send_short_email");
    }
}

/* The type of what exists is looked up before a change: an address is judged by it, and it cannot be changed. */
struct contact_method_change {
    struct field_reader reader;
    uint64_t user_id, id;
};

/* The command from the body; `existing` is what is changed, NULL for a new one. False: answered. */
static bool contact_method_command(struct http_request *request, struct contact_method_change *change,
                                   const Tocsin__ContactMethod *existing)
{
    struct field_reader *reader = &change->reader;
    Tocsin__ContactMethodPut *put =
        api_command(request, TOCSIN__COMMAND__BODY_CONTACT_METHOD_PUT)->contact_method_put;
    Tocsin__ContactMethod *method = http_alloc(request, sizeof *method);
    tocsin__contact_method__init(method);
    put->id = change->id;
    put->contact_method = method;
    method->user_id = change->user_id;
    struct field_target target = {reader, &tocsin__contact_method__descriptor, &put->fields};

    take_channel(&target, existing == NULL, method);
    if (existing != NULL) {
        if (method->channel != TOCSIN__CHANNEL__CHANNEL_NONE && method->channel != existing->channel) {
            field_error(reader, "Type can't be changed");
        }
        method->channel = existing->channel;
        method->address = http_strdup(request, existing->address);
    }
    target_name(&target, "address", LIMIT_ADDRESS_CHARACTERS, "address", existing == NULL, &method->address);
    target_text(&target, "label", LIMIT_NAME_CHARACTERS, "label", &method->label);
    target_text(&target, "device_type", DEVICE_TYPE_CHARACTERS_MAX, "device_type", &method->device_type);
    take_phone(&target, existing == NULL, method);
    take_email_style(&target, method);
    if (method->label[0] == '\0') {
        method->label = http_strdup(request, LABEL_DEFAULT);
    }
    if (reader->errors == NULL) {
        check_address(reader, method);
    }
    return fields_finish(reader);
}

static struct contact_method_change *change_begin(struct http_request *request, bool of_existing)
{
    struct contact_method_change *change = http_alloc(request, sizeof *change);

    if (!path_id(request, 0, &change->user_id) || (of_existing && !path_id(request, 1, &change->id)) ||
        !role_require_own(request, change->user_id) || !body_open(request, "contact_method", &change->reader)) {
        return NULL;
    }
    api_call_of(request)->data = change;
    return change;
}

/* ---------------------------------------------------------------- handlers */

void contact_methods_list(struct http_request *request)
{
    uint64_t user_id;

    if (path_id(request, 0, &user_id)) {
        resource_list_under(request, &resource_contact_method, &resource_user, user_id);
    }
}

void contact_method_read(struct http_request *request)
{
    uint64_t user_id, id;

    if (path_id(request, 0, &user_id) && path_id(request, 1, &id)) {
        resource_get(request, &resource_contact_method, user_id, id);
    }
}

void contact_method_create(struct http_request *request)
{
    struct contact_method_change *change = change_begin(request, false);

    if (change != NULL && contact_method_command(request, change, NULL)) {
        resource_save(request, &resource_contact_method, change->user_id, 201);
    }
}

static void on_read_existing(struct http_request *request, const struct machine_store *view)
{
    struct contact_method_change *change = api_call_of(request)->data;
    const Tocsin__ContactMethod *existing =
        contact_method_get(view, change->user_id, change->id, request_memory(request));

    if (existing == NULL) {
        api_not_found(request);
    } else if (contact_method_command(request, change, existing)) {
        resource_save(request, &resource_contact_method, change->user_id, 200);
    }
}

void contact_method_update(struct http_request *request)
{
    if (change_begin(request, true) != NULL) {
        api_read(request, on_read_existing);
    }
}

void contact_method_remove(struct http_request *request)
{
    uint64_t user_id, id;

    if (path_id(request, 0, &user_id) && path_id(request, 1, &id) && role_require_own(request, user_id)) {
        Tocsin__ContactMethodDelete *command =
            api_command(request, TOCSIN__COMMAND__BODY_CONTACT_METHOD_DELETE)->contact_method_delete;
        command->user_id = user_id;
        command->id = id;
        resource_delete(request);
    }
}
