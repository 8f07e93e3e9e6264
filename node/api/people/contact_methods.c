/* Contact methods: how a person can be reached. */
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/people/people.h"
#include "node/api/render.h"
#include "node/api/roles.h"

#define LABEL_DEFAULT "Default" /* PagerDuty's own */
#define COUNTRY_CODE_MAX 1999   /* PagerDuty's bound */
#define DEVICE_TYPE_CHARACTERS_MAX 50u

static bool is_phone(Tocsin__Channel channel)
{
    return channel == TOCSIN__CHANNEL__CHANNEL_SMS || channel == TOCSIN__CHANNEL__CHANNEL_VOICE;
}

/* PagerDuty has none of these. */
static void render_proof(struct http_request *request, const struct machine_store *view,
                         const Tocsin__ContactMethod *method, json_t *object)
{
    const Tocsin__ContactProof *proof = contact_proof_get(view, method->user_id, method->id, request_memory(request));

    json_object_set_new(object, "verified", json_boolean(proof != NULL && proof->verified_at_ms != 0));
    json_object_set_new(object, "verified_at", json_time(proof != NULL ? proof->verified_at_ms : 0));
    json_object_set_new(object, "last_answered_at", json_time(proof != NULL ? proof->answered_at_ms : 0));
}

json_t *render_contact_method(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__ContactMethod *method = record;
    const char *type = word_of(words_contact_method_type, (int)method->channel);
    char user[16], id[16];

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
    render_proof(request, view, method, object);
    return object;
}

const struct resource resource_contact_method = {
    .name = "contact_method",
    .plural = "contact_methods",
    .table = TABLE_CONTACT_METHOD,
    .descriptor = &tocsin__contact_method__descriptor,
    .render = render_contact_method,
};

/* ---------------------------------------------------------------- the command: the machine knows what an address of
 * each channel is */

static void take_channel(const struct field_target *target, bool required, Tocsin__ContactMethod *method)
{
    int channel = 0;
    bool present = false;

    if (!field_word(target->reader, "type", words_contact_method_type, &channel, &present)) {
        return;
    }
    if (present) {
        method->channel = (Tocsin__Channel)channel;
        target_mark(target, "channel");
    } else if (required) {
        field_error(target->reader, "Type can't be blank");
    }
}

static void take_country_code(const struct field_target *target, Tocsin__ContactMethod *method)
{
    int64_t country_code = 0;
    bool present = false;

    if (field_integer(target->reader, "country_code", 1, COUNTRY_CODE_MAX, &country_code, &present) && present) {
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

static bool contact_method_command(struct http_request *request, uint64_t user_id, uint64_t id)
{
    struct field_reader reader;

    if (!body_open(request, "contact_method", &reader)) {
        return false;
    }
    Tocsin__ContactMethodPut *put = api_command(request, TOCSIN__COMMAND__BODY_CONTACT_METHOD_PUT)->contact_method_put;
    Tocsin__ContactMethod *method = http_alloc(request, sizeof *method);
    tocsin__contact_method__init(method);
    put->id = id;
    put->contact_method = method;
    method->user_id = user_id;
    struct field_target target = {&reader, &tocsin__contact_method__descriptor, &put->fields};

    take_channel(&target, id == 0, method);
    target_name(&target, "address", LIMIT_ADDRESS_CHARACTERS, "address", id == 0, &method->address);
    target_text(&target, "label", LIMIT_NAME_CHARACTERS, "label", &method->label);
    target_text(&target, "device_type", DEVICE_TYPE_CHARACTERS_MAX, "device_type", &method->device_type);
    take_country_code(&target, method);
    take_email_style(&target, method);
    if (method->label[0] == '\0') {
        method->label = http_strdup(request, LABEL_DEFAULT);
    }
    return fields_finish(&reader);
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
    uint64_t user_id;

    if (path_id(request, 0, &user_id) && role_require_own(request, user_id) &&
        contact_method_command(request, user_id, 0)) {
        resource_save(request, &resource_contact_method, user_id, 201);
    }
}

void contact_method_update(struct http_request *request)
{
    uint64_t user_id, id;

    if (path_id(request, 0, &user_id) && path_id(request, 1, &id) && role_require_own(request, user_id) &&
        contact_method_command(request, user_id, id)) {
        resource_save(request, &resource_contact_method, user_id, 200);
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
