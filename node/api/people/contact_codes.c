/*
 * Whether messages arrive at a contact method:
 *
 *     POST /users/{}/contact_methods/{}/verification    a code of six digits is sent there
 *     POST /users/{}/contact_methods/{}/verify          {"code": "482913"}: it arrived
 *
 * Of the code a SHA-256 is kept. It is in the message to be sent, and so in the log; what is listed of messages has it not.
 */
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/people/people.h"
#include "node/api/render.h"
#include "node/api/roles.h"

#define CODES_COUNT 1000000u /* of CONTACT_CODE_CHARACTERS digits */
#define CODE_GIVEN_CHARACTERS_MAX 20u

/* The same code is another one elsewhere. */
static ProtobufCBinaryData hash_of(struct http_request *request, uint64_t user_id, uint64_t contact_method_id,
                                   const char *code)
{
    struct sha256_ctx context;
    char text[96];
    ProtobufCBinaryData hash = {.len = SHA256_DIGEST_SIZE, .data = http_alloc(request, SHA256_DIGEST_SIZE)};
    int length = snprintf(text, sizeof text, "%llu/%llu/%s", (unsigned long long)user_id,
                          (unsigned long long)contact_method_id, code);

    sha256_init(&context);
    sha256_update(&context, (size_t)length, (const uint8_t *)text);
    sha256_digest(&context, SHA256_DIGEST_SIZE, hash.data);
    return hash;
}

Tocsin__ContactCode *contact_code_new(struct http_request *request, uint64_t user_id, uint64_t contact_method_id)
{
    const struct api_ports *ports = &api_call_of(request)->api->ports;
    Tocsin__ContactCode *code = http_alloc(request, sizeof *code);
    uint64_t random; /* so many more than there are codes that each is as likely as the others */

    tocsin__contact_code__init(code);
    ports->random(ports->context, &random, sizeof random);
    code->contact_method_id = contact_method_id;
    code->code = http_alloc(request, CONTACT_CODE_CHARACTERS + 1);
    (void)snprintf(code->code, CONTACT_CODE_CHARACTERS + 1, "%06u", (unsigned)(random % CODES_COUNT));
    code->hash = hash_of(request, user_id, contact_method_id, code->code);
    return code;
}

/* ---------------------------------------------------------------- sending */

static void on_sent(struct http_request *request, const Tocsin__Reply *reply)
{
    const struct api_ports *ports = &api_call_of(request)->api->ports;

    if (reply->status != TOCSIN__STATUS__STATUS_OK || reply->n_ids == 0) {
        api_refused(request, reply);
        return;
    }
    api_json(request, 201,
             json_pack("{s:{s:o, s:o, s:i}}", "verification", "contact_method_id", json_id(reply->ids[0]), "expires_at",
                       json_time(ports->cluster_ms(ports->context) + CONTACT_CODE_VALID_MS), "tries",
                       (int)LIMIT_CONTACT_CODE_TRIES));
}

/* False: already answered. */
static bool path_of_own(struct http_request *request, uint64_t *user_id, uint64_t *id)
{
    return path_id(request, 0, user_id) && path_id(request, 1, id) && role_require_own(request, *user_id);
}

void contact_code_send(struct http_request *request)
{
    uint64_t user_id, id;

    if (path_of_own(request, &user_id, &id)) {
        Tocsin__ContactCodeSend *send = api_command(request, TOCSIN__COMMAND__BODY_CONTACT_CODE_SEND)->contact_code_send;
        send->user_id = user_id;
        send->code = contact_code_new(request, user_id, id);
        api_submit(request, on_sent);
    }
}

/* ---------------------------------------------------------------- giving back */

static void on_given(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status == TOCSIN__STATUS__STATUS_OK && reply->reason == TOCSIN__REASON__REASON_WRONG_CODE) {
        api_error(request, 400, 2001, "Invalid Input Provided", json_pack("[s]", "This is not the code that was sent"));
        return;
    }
    resource_saved(request, &resource_contact_method, api_call_of(request)->id, 200, reply);
}

/* As people copy it: "482 913". */
static void digits_only(const char *text, char *out)
{
    for (; *text != '\0'; text++) {
        if (*text != ' ' && *text != ',' && *text != '-') {
            *out++ = *text;
        }
    }
    *out = '\0';
}

void contact_code_give(struct http_request *request)
{
    struct field_reader reader = {.request = request, .object = api_call_of(request)->body, .prefix = ""};
    const char *code = NULL;
    bool present = false;
    char digits[4 * CODE_GIVEN_CHARACTERS_MAX + 1];
    uint64_t user_id, id;

    if (!path_of_own(request, &user_id, &id)) {
        return;
    }
    (void)field_string(&reader, "code", CODE_GIVEN_CHARACTERS_MAX, &code, &present);
    if (reader.errors == NULL && code == NULL) {
        field_error(&reader, "Code can't be blank");
    }
    if (!fields_finish(&reader)) {
        return;
    }
    digits_only(code, digits);
    Tocsin__ContactCodeGive *give = api_command(request, TOCSIN__COMMAND__BODY_CONTACT_CODE_GIVE)->contact_code_give;
    give->user_id = user_id;
    give->contact_method_id = id;
    give->hash = hash_of(request, user_id, id, digits);
    api_call_of(request)->id = user_id;
    api_submit(request, on_given);
}
