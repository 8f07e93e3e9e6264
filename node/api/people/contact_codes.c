/*
 * Whether messages arrive at a contact method:
 *
 *     POST /users/{}/contact_methods/{}/verification    a code of six digits is sent there
 *     POST /users/{}/contact_methods/{}/verify          {"code": "482913"}: it arrived
 *
 * The code is made where it is sent from and is in the message alone; of it a SHA-256 is kept (notify/codes.h).
 */
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/people/people.h"
#include "node/api/render.h"
#include "node/api/roles.h"
#include "notify/codes.h"

#define CODE_GIVEN_CHARACTERS_MAX 20u

/* ---------------------------------------------------------------- sending */

static void on_sent(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status != TOCSIN__STATUS__STATUS_OK || reply->n_ids == 0) {
        api_refused(request, reply);
        return;
    }
    api_json(request, 201,
             json_pack("{s:{s:o, s:o, s:i}}", "verification", "contact_method_id", json_id(reply->ids[0]), "expires_at",
                       json_time(api_cluster_ms(request) + CONTACT_CODE_VALID_MS), "tries",
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
        send->contact_method_id = id;
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
    give->hash = (ProtobufCBinaryData){.len = CODE_HASH_SIZE_BYTES, .data = http_alloc(request, CODE_HASH_SIZE_BYTES)};
    code_hash(user_id, id, digits, give->hash.data);
    api_call_of(request)->id = user_id;
    api_submit(request, on_given);
}
