/*
 * Who asks, and may they.
 *
 * The token is looked up first in the state as it is here: tokens rarely change, and a read costs no round trip then.
 * Only what is not found is looked for again in the newest state, so that a token works on every node as soon as its
 * creation is answered.
 */
#include <nettle/base64.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <string.h>
#include <strings.h>

#include "consensus/machine/limits.h"
#include "node/api/resource.h"
#include "node/api/roles.h"
#include "node/api/router.h"
#include "node/api/teams/team_roles.h"

#define TOKEN_LENGTH_MAX 256u
#define BASIC_LENGTH_MAX 1024u

static void on_view(void *argument, const struct machine_store *view, bool stale);

/* The state as it is here, or the newest. */
static void read_for(struct router_call *call)
{
    struct api_ports *ports = &call->call.api->ports;

    ports->read(ports->context, call->current, on_view, call);
}

/* The ways in which each family's clients carry a token. */
static const struct {
    const char *header, *prefix;
} token_forms[] = {
    {"Authorization", "Token token="},
    {"Authorization", "Bearer "},
    {"Authorization", "GenieKey "},
    {"X-Api-Key", ""},
};

/* Of HTTP's basic authentication the password, or the name where there is none, in the request's memory; NULL when there is
 * neither. */
static const char *find_password(struct http_request *request)
{
    static const char prefix[] = "Basic ";
    const char *value = request->header(request, "Authorization");
    struct base64_decode_ctx context;
    size_t length = 0;

    if (value == NULL || strncasecmp(value, prefix, sizeof prefix - 1) != 0 ||
        strlen(value) > BASIC_LENGTH_MAX) {
        return NULL;
    }
    value += sizeof prefix - 1;
    char *text = http_alloc(request, BASE64_DECODE_LENGTH(strlen(value)) + 1);
    base64_decode_init(&context);
    if (!base64_decode_update(&context, &length, (uint8_t *)text, strlen(value), value) ||
        !base64_decode_final(&context)) {
        return NULL;
    }
    text[length] = '\0';
    char *colon = strchr(text, ':');
    if (colon != NULL && colon[1] != '\0') {
        return colon + 1;
    }
    if (colon != NULL) {
        *colon = '\0';
    }
    return text[0] != '\0' ? text : NULL;
}

/* The token and its length; NULL when the request has none. */
static const char *find_token(const struct http_request *request, size_t *length)
{
    for (size_t i = 0; i < sizeof token_forms / sizeof *token_forms; i++) {
        const char *value = request->header(request, token_forms[i].header);
        size_t prefix_length = strlen(token_forms[i].prefix);
        if (value == NULL || strncasecmp(value, token_forms[i].prefix, prefix_length) != 0) {
            continue;
        }
        const char *token = value + prefix_length;
        token += strspn(token, " \"");
        *length = strcspn(token, " \"");
        if (*length > 0 && *length <= TOKEN_LENGTH_MAX) {
            return token;
        }
    }
    return NULL;
}

/* `of_checks` are healthchecks' words for it. */
static void refuse_token(struct http_request *request, const char *of_checks, const char *words)
{
    bool checks = router_call_of(request)->family == FAMILY_CHECKS;

    http_response_header(request, "WWW-Authenticate", "Token realm=\"tocsin\"");
    api_error(request, 401, 2006, "Authentication Failed", json_pack("[s]", checks ? of_checks : words));
}

static void act_as_user(struct router_call *call, const Tocsin__User *user)
{
    Tocsin__Actor *actor = &call->call.principal.actor;

    actor->kind = TOCSIN__ACTOR_KIND__ACTOR_USER;
    actor->id = user->id;
    actor->name = http_strdup(call->call.request, user->name);
}

/* The token of the request, NULL when it, or the person it belongs to, is not in this state. */
static const Tocsin__Token *find_principal(struct router_call *call, const struct machine_store *view)
{
    struct principal *principal = &call->call.principal;
    ProtobufCAllocator *memory = request_memory(call->call.request);
    const Tocsin__Token *token = token_get_by_hash(view, call->token_hash, memory);
    const Tocsin__User *user = token != NULL && token->user_id != 0 ? user_get(view, token->user_id, memory) : NULL;

    /* Found by its hash, which tells nothing of the secret; compared once more so that no index decides alone. */
    if (token == NULL || token->hash.len != sizeof call->token_hash ||
        !memeql_sec(token->hash.data, call->token_hash, sizeof call->token_hash) ||
        (token->user_id != 0 && user == NULL)) {
        return NULL;
    }
    principal->token_id = token->id;
    principal->scopes = token->scopes;
    principal->scopes_count = token->n_scopes;
    principal->user_id = token->user_id;
    principal->role = user != NULL && token->role == TOCSIN__ROLE__ROLE_NONE ? user->role : token->role;
    principal->permission = role_permission(principal->role);
    if (user != NULL) {
        act_as_user(call, user);
    } else {
        principal->actor.kind = TOCSIN__ACTOR_KIND__ACTOR_TOKEN;
        principal->actor.id = token->id;
        principal->actor.name = token->name;
    }
    return token;
}

/* False when nobody has the address of the From header. */
static bool find_requester(struct router_call *call, const struct machine_store *view)
{
    struct key key = key_hash_lower(call->from);
    struct span value;
    Tocsin__User *user = view->get(view->context, TABLE_USER_BY_EMAIL, key_span(&key), &value)
                             ? user_get(view, span_number(value, 0), NULL)
                             : NULL;

    if (user == NULL) {
        return false;
    }
    act_as_user(call, user);
    call->call.principal.actor.claimed = true;
    tocsin__user__free_unpacked(user, NULL);
    return true;
}

/* The From header counts where an account-level token writes to incidents: it says on whose behalf. */
static bool needs_requester(struct router_call *call)
{
    struct http_request *request = call->call.request;
    const char *from = request->header(request, "From");

    if (call->call.principal.user_id != 0 || call->table != routes_incidents || router_is_read(request) ||
        from == NULL || from[0] == '\0') {
        return false;
    }
    call->from = from;
    return true;
}

/* ---------------------------------------------------------------- may they */

/* Without a scope on the token, every one is on it. False: answered. */
static bool scope_admits(struct router_call *call, const struct access *access)
{
    const struct principal *principal = &call->call.principal;
    struct http_request *request = call->call.request;
    char scope[LIMIT_SCOPE_CHARACTERS + 1];

    bool reads = router_is_read(request) && strcmp(call->call.route->method, "*") != 0; /* a ping is one by any method */
    scope_needed(access, reads, scope, sizeof scope);
    if (principal->scopes_count == 0 || scope_among(principal->scopes, principal->scopes_count, scope)) {
        return true;
    }
    api_error(request, 403, 2010, "Access Denied", json_pack("[o]", json_sprintf("The token lacks the scope %s", scope)));
    return false;
}

static bool permission_suffices(const struct principal *principal, const struct access *access, const char *person)
{
    bool own = access->subject == SUBJECT_PERSON && principal->user_id != 0 && id_parse(person) == principal->user_id;

    return principal->permission >= (own ? access->own : access->permission);
}

/* A role in a team may be newer than what this node has: a person is refused by the newest state. */
static void let_in(struct router_call *call, const struct machine_store *view)
{
    struct http_request *request = call->call.request;
    struct principal *principal = &call->call.principal;
    const struct access *access = access_of_route(call->call.route, request->method);

    if (!scope_admits(call, access)) {
        return;
    }
    if (!router_is_read(request) && principal->user_id != 0 && principal->permission < PERMISSION_CONFIGURE) {
        if (!router_take_body(call)) {
            return;
        }
        enum permission raised = team_permission(request, view, access->subject);
        principal->permission = raised > principal->permission ? raised : principal->permission;
    }
    if (permission_suffices(principal, access, call->call.parameters[0])) {
        router_authenticated(call);
    } else if (principal->user_id != 0 && !call->current) {
        call->current = true;
        read_for(call);
    } else {
        role_refuse(request);
    }
}

static void on_told(void *argument, enum submit_outcome outcome, const Tocsin__Reply *reply)
{
    struct token_use_told *told = argument;

    (void)reply;
    if (outcome != SUBMIT_APPLIED) {
        told->day = 0; /* again with the next request */
    }
}

/* Once a day, so that reading does not write. */
static void tell_use(struct router_call *call, const Tocsin__Token *token, uint64_t now_ms)
{
    struct api *api = call->call.api;
    struct token_use_told *told = &api->token_uses[token->id % TOKEN_USES];
    uint64_t day = now_ms / TOKEN_USE_MS;

    if (token->last_used_at_ms / TOKEN_USE_MS >= day || (told->id == token->id && told->day == day)) {
        return;
    }
    *told = (struct token_use_told){.id = token->id, .day = day};
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    Tocsin__TokenUse use = TOCSIN__TOKEN_USE__INIT;
    use.id = token->id;
    command.body_case = TOCSIN__COMMAND__BODY_TOKEN_USE;
    command.token_use = &use;
    api->ports.submit(api->ports.context, &command, on_told, told);
}

/* Whoever has a token may know that it is over. */
static bool is_over(struct router_call *call, const Tocsin__Token *token, uint64_t now_ms)
{
    if (token->expires_at_ms == 0 || now_ms < token->expires_at_ms) {
        return false;
    }
    refuse_token(call->call.request, "wrong api key", "This token has expired");
    return true;
}

/* The integration, of a service or of an orchestration, that has the key which was given. */
static bool find_source(struct router_call *call, const struct machine_store *view)
{
    ProtobufCAllocator *memory = request_memory(call->call.request);
    struct event_source *source = &call->call.source;
    Tocsin__Actor *actor = &call->call.principal.actor;
    const Tocsin__Integration *integration = integration_get_by_key(view, call->source_key, memory);
    const Tocsin__OrchestrationIntegration *routed =
        integration == NULL ? orchestration_integration_get_by_key(view, call->source_key, memory) : NULL;

    if (integration == NULL && routed == NULL) {
        return false;
    }
    source->key = call->source_key;
    source->integration_id = integration != NULL ? integration->id : routed->id;
    source->service_id = integration != NULL ? integration->service_id : 0;
    actor->kind = TOCSIN__ACTOR_KIND__ACTOR_INTEGRATION;
    actor->id = source->integration_id;
    actor->name = integration != NULL ? integration->name : routed->label;
    call->call.principal.permission = PERMISSION_RESPOND;
    return true;
}

static void on_view(void *argument, const struct machine_store *view, bool stale)
{
    struct router_call *call = argument;
    struct http_request *request = call->call.request;

    if (view == NULL) {
        answer_stopped(request);
        return;
    }
    if (call->source_key != NULL && find_source(call, view)) {
        router_authenticated(call);
        return;
    }
    bool by_key_only = (call->call.route->flags & ROUTE_KEY_IN_PATH) != 0;
    const Tocsin__Token *token = by_key_only ? NULL : find_principal(call, view);
    bool requester_found = token == NULL || !needs_requester(call) || find_requester(call, view);
    uint64_t now_ms = call->call.api->ports.cluster_ms(call->call.api->ports.context);
    if (token != NULL && requester_found) {
        if (!is_over(call, token, now_ms)) {
            tell_use(call, token, now_ms);
            let_in(call, view);
        }
    } else if (!call->current) {
        call->current = true;
        read_for(call);
    } else if (stale) { /* it may be in what this node has not seen yet */
        answer_unavailable(request, "The cluster has no leader at the moment: try again");
    } else if (token == NULL) {
        refuse_token(request, "wrong api key", "Authentication Failed");
    } else {
        api_error(request, 400, 1008, "Requester User Not Found", NULL);
    }
}

void authenticate(struct router_call *call)
{
    struct http_request *request = call->call.request;
    unsigned flags = call->call.route->flags;
    size_t length = 0;
    const char *token = find_token(request, &length);

    if (flags & ROUTE_KEY_IN_PATH) {
        token = call->call.parameters[0];
        length = strlen(token);
    } else if (token == NULL && (call->family == FAMILY_ALERTMANAGER || (flags & ROUTE_SOURCE_KEY))) {
        token = find_password(request); /* as amtool, Grafana and Karma log in to an Alertmanager */
        length = token != NULL ? strlen(token) : 0;
        token = length <= TOKEN_LENGTH_MAX ? token : NULL;
    }
    if (token != NULL && (flags & (ROUTE_KEY_IN_PATH | ROUTE_SOURCE_KEY)) && length <= TOKEN_LENGTH_MAX) {
        char *key = http_alloc(request, length + 1);
        memcpy(key, token, length);
        call->source_key = key;
    }
    if (token == NULL) {
        refuse_token(call->call.request, "missing api key", "Authentication Failed");
        return;
    }
    struct sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, length, (const uint8_t *)token);
    sha256_digest(&context, sizeof call->token_hash, call->token_hash);
    read_for(call);
}
