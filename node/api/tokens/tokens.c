/*
 * Tokens, by which people and programs are let in.
 *
 *     /users/{id}/tokens   personal: acts as this person, with the person's role
 *     /tokens              of the account: a service, with a role of its own; an administrator lists and revokes every one here
 *
 * The secret is in the answer to the request that made it and nowhere else: what is kept is its hash.
 */
#include <assert.h>
#include <nettle/sha2.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/people/people.h"
#include "node/api/render.h"
#include "node/api/roles.h"

/* PagerDuty's have as many: its command line takes no other. */
#define SECRET_CHARACTERS 20u
#define TIME_CHARACTERS_MAX 64u

/* ---------------------------------------------------------------- rendering */

static const char *text_of_state(struct http_request *request, const Tocsin__Token *token)
{
    bool over = token->expires_at_ms != 0 && token->expires_at_ms <= api_cluster_ms(request);

    return over ? "expired" : "active";
}

static json_t *render_token(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__Token *token = record;
    json_t *scopes = json_array();
    char id[16];

    id_format(token->id, id);
    for (size_t i = 0; i < token->n_scopes; i++) {
        json_array_append_new(scopes, json_string(token->scopes[i]));
    }
    json_t *object = render_head(token->id, "token", token->name, render_self(request, "/tokens/%s", id));
    json_object_set_new(object, "name", json_string(token->name));
    json_object_set_new(object, "kind", json_string(token->user_id != 0 ? "personal" : "account"));
    json_object_set_new(object, "user", token->user_id != 0 ? reference_user(request, view, token->user_id) : json_null());
    json_object_set_new(object, "role", json_word(words_role, (int)token->role)); /* null: the person's own */
    json_object_set_new(object, "scopes", scopes);
    json_object_set_new(object, "status", json_string(text_of_state(request, token)));
    json_object_set_new(object, "created_at", json_time(token->created_at_ms));
    json_object_set_new(object, "created_by",
                        token->created_by != NULL && token->created_by->id != 0
                            ? reference_actor(request, view, token->created_by, 0)
                            : json_null());
    json_object_set_new(object, "expires_at", json_time(token->expires_at_ms));
    json_object_set_new(object, "last_used_at", json_time(token->last_used_at_ms)); /* to the day */
    return object;
}

/* Under /users/{id}/tokens, those of that person. */
static bool token_matches(struct http_request *request, const void *record)
{
    const struct api_call *call = api_call_of(request);
    const Tocsin__Token *token = record;
    const char *query = http_query(request, "query");

    return (call->id == 0 || token->user_id == call->id) &&
           (query == NULL || strcasestr(token->name, query) != NULL) &&
           (!query_given(request, "user_ids") || (token->user_id != 0 && query_admits_id(request, "user_ids", token->user_id)));
}

static const struct resource resource_token = {
    .name = "token",
    .plural = "tokens",
    .table = TABLE_TOKEN,
    .descriptor = &tocsin__token__descriptor,
    .matches = token_matches,
    .render = render_token,
};

/* ---------------------------------------------------------------- making one */

/* Lives in call->data while one is made. */
struct making {
    char secret[SECRET_CHARACTERS + 1];
    uint8_t hash[SHA256_DIGEST_SIZE];
};

static void make_secret(struct http_request *request, struct making *making)
{
    static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const struct api_ports *ports = &api_call_of(request)->api->ports;
    struct sha256_ctx context;

    for (unsigned made = 0; made < SECRET_CHARACTERS;) {
        uint8_t byte;
        ports->random(ports->context, &byte, 1);
        if (byte < 248) { /* 4 * 62: no character is likelier than another */
            making->secret[made++] = alphabet[byte % 62];
        }
    }
    sha256_init(&context);
    sha256_update(&context, SECRET_CHARACTERS, (const uint8_t *)making->secret);
    sha256_digest(&context, sizeof making->hash, making->hash);
}

/* With an Idempotency-Key the token may be that of an earlier request, whose secret nobody has any more. */
static void on_read_made(struct http_request *request, const struct machine_store *view)
{
    const struct making *making = api_call_of(request)->data;
    const Tocsin__Token *token = token_get(view, api_call_of(request)->id, request_memory(request));

    if (token == NULL || memcmp(token->hash.data, making->hash, sizeof making->hash) != 0) {
        api_error(request, 409, 2001, "Invalid Input Provided",
                  json_pack("[s]", "This token was made by an earlier request; its secret is shown only once"));
        return;
    }
    json_t *object = render_token(request, view, token);
    json_object_set_new(object, "secret", json_string(making->secret));
    api_json(request, 201, json_pack("{s:o}", "token", object));
}

static void on_made(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        api_refused(request, reply);
        return;
    }
    assert(reply->n_ids > 0);
    api_call_of(request)->id = reply->ids[0];
    api_read(request, on_read_made);
}

/* A token never opens more than the one that made it. */
static void take_scope(struct field_reader *reader, const char *scope, Tocsin__Token *token)
{
    const struct principal *principal = &api_call_of(reader->request)->principal;

    if (scope == NULL || !scope_known(scope)) {
        field_error(reader, "'scopes' must be names such as incidents.read, schedules.write or *.read");
    } else if (principal->scopes_count > 0 && !scope_among(principal->scopes, principal->scopes_count, scope)) {
        field_error(reader, "The token that asks does not have the scope %s itself", scope);
    } else {
        token->scopes[token->n_scopes++] = http_strdup(reader->request, scope);
    }
}

static void take_scopes(struct field_reader *reader, Tocsin__Token *token)
{
    json_t *scopes = NULL, *element;
    size_t i;

    if (!field_array(reader, "scopes", LIMIT_SCOPES_PER_TOKEN, &scopes)) {
        return;
    }
    token->scopes = http_alloc(reader->request, (json_array_size(scopes) + 1) * sizeof *token->scopes);
    json_array_foreach(scopes, i, element)
    {
        take_scope(reader, json_string_value(element), token);
    }
    if (json_array_size(scopes) == 0 && api_call_of(reader->request)->principal.scopes_count > 0) {
        field_error(reader, "'scopes' can't be blank: the token that asks has scopes itself");
    }
}

static void take_expiry(struct field_reader *reader, Tocsin__Token *token)
{
    const char *text = NULL;

    if (field_string(reader, "expires_at", TIME_CHARACTERS_MAX, &text, NULL) && text != NULL &&
        (!time_parse(text, &token->expires_at_ms) || token->expires_at_ms == 0)) {
        field_error(reader, "'expires_at' must be a time in ISO 8601 format");
    }
}

/* A person's token has the role that the person has at the time. */
static void take_role(struct field_reader *reader, Tocsin__Token *token)
{
    static const struct word words_account_role[] = {
        {TOCSIN__ROLE__ROLE_ADMIN, "admin"},
        {TOCSIN__ROLE__ROLE_USER, "user"},
        {TOCSIN__ROLE__ROLE_LIMITED_USER, "limited_user"},
        {TOCSIN__ROLE__ROLE_OBSERVER, "observer"},
        {0, NULL},
    };
    int role = 0;
    bool present = false;

    if (token->user_id != 0) {
        if (!json_is_null(json_object_get(reader->object, "role")) && json_object_get(reader->object, "role") != NULL) {
            field_error(reader, "A personal token has the person's role: 'role' must be absent");
        }
    } else if (field_word(reader, "role", words_account_role, &role, &present)) {
        token->role = (Tocsin__Role)role;
        if (!present) {
            field_error(reader, "Role can't be blank");
        }
    }
}

static void token_make(struct http_request *request, uint64_t user_id)
{
    struct field_reader reader;
    struct making *making = http_alloc(request, sizeof *making);
    uint64_t fields = 0;

    if (!body_open(request, "token", &reader)) {
        return;
    }
    Tocsin__TokenPut *put = api_command(request, TOCSIN__COMMAND__BODY_TOKEN_PUT)->token_put;
    Tocsin__Token *token = http_alloc(request, sizeof *token);
    tocsin__token__init(token);
    put->token = token;
    token->user_id = user_id;
    struct field_target target = {&reader, &tocsin__token__descriptor, &fields};
    target_name(&target, "name", LIMIT_NAME_CHARACTERS, "name", true, &token->name);
    take_role(&reader, token);
    take_scopes(&reader, token);
    take_expiry(&reader, token);
    if (fields_finish(&reader)) {
        make_secret(request, making);
        token->hash = (ProtobufCBinaryData){sizeof making->hash, making->hash};
        api_call_of(request)->data = making;
        api_submit(request, on_made);
    }
}

static void token_create(struct http_request *request)
{
    token_make(request, 0);
}

static void user_token_create(struct http_request *request)
{
    uint64_t user_id;

    if (path_id(request, 0, &user_id)) {
        token_make(request, user_id);
    }
}

/* ---------------------------------------------------------------- reading and revoking */

static void tokens_list(struct http_request *request)
{
    resource_list(request, &resource_token);
}

static void user_tokens_list(struct http_request *request)
{
    if (path_id(request, 0, &api_call_of(request)->id)) {
        resource_list(request, &resource_token);
    }
}

static void token_read(struct http_request *request)
{
    uint64_t id;

    if (path_id(request, 0, &id)) {
        resource_get(request, &resource_token, 0, id);
    }
}

static void revoke(struct http_request *request, uint64_t id)
{
    api_command(request, TOCSIN__COMMAND__BODY_TOKEN_DELETE)->token_delete->id = id;
    resource_delete(request);
}

static void token_revoke(struct http_request *request)
{
    uint64_t id;

    if (path_id(request, 0, &id)) {
        revoke(request, id);
    }
}

/* Whose it is does not change, so that it may be looked up before. */
static void on_read_revoke(struct http_request *request, const struct machine_store *view)
{
    uint64_t user_id = 0, id = api_call_of(request)->id;
    const Tocsin__Token *token = token_get(view, id, request_memory(request));

    if (!path_id(request, 0, &user_id)) {
        return;
    }
    if (token == NULL || token->user_id != user_id) {
        api_not_found(request);
        return;
    }
    revoke(request, id);
}

static void user_token_revoke(struct http_request *request)
{
    if (path_id(request, 1, &api_call_of(request)->id)) {
        api_read(request, on_read_revoke);
    }
}

const struct route routes_tokens[] = {
    {"GET", "/tokens", tokens_list, FAMILY_REST, 0},
    {"POST", "/tokens", token_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/tokens/{}", token_read, FAMILY_REST, 0},
    {"DELETE", "/tokens/{}", token_revoke, FAMILY_REST, 0},
    {"GET", "/users/{}/tokens", user_tokens_list, FAMILY_REST, 0},
    {"POST", "/users/{}/tokens", user_token_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"DELETE", "/users/{}/tokens/{}", user_token_revoke, FAMILY_REST, 0},
    {0},
};
