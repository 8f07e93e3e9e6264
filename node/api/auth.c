/*
 * Who asks, and may they.
 *
 * The token is looked up first in the state as it is here: tokens rarely change, and a read costs no round trip then.
 * Only what is not found is looked for again in the newest state, so that a token works on every node as soon as its
 * creation is answered.
 */
#include <nettle/sha2.h>
#include <string.h>
#include <strings.h>

#include "node/api/roles.h"
#include "node/api/router.h"

#define TOKEN_LENGTH_MAX 256u

/* The ways in which each family's clients carry a token. */
static const struct {
    const char *header, *prefix;
} token_forms[] = {
    {"Authorization", "Token token="},
    {"Authorization", "Bearer "},
    {"Authorization", "GenieKey "},
    {"X-Api-Key", ""},
};

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

/* `words` are healthchecks' for it. */
static void refuse_token(struct http_request *request, const char *words)
{
    bool of_checks = router_call_of(request)->family == FAMILY_CHECKS;

    http_response_header(request, "WWW-Authenticate", "Token realm=\"tocsin\"");
    api_error(request, 401, 2006, of_checks ? words : "Authentication Failed", NULL);
}

static void act_as_user(struct router_call *call, const Tocsin__User *user)
{
    Tocsin__Actor *actor = &call->call.principal.actor;

    actor->kind = TOCSIN__ACTOR_KIND__ACTOR_USER;
    actor->id = user->id;
    actor->name = http_strdup(call->call.request, user->name);
}

/* False when the token, or the person it belongs to, is not in this state. */
static bool find_principal(struct router_call *call, const struct machine_store *view)
{
    struct principal *principal = &call->call.principal;
    Tocsin__Token *token = token_get_by_hash(view, call->token_hash, NULL);
    bool found = token != NULL;

    if (found && token->user_id != 0) {
        Tocsin__User *user = user_get(view, token->user_id, NULL);
        found = user != NULL;
        if (found) {
            principal->user_id = user->id;
            principal->role = token->role != TOCSIN__ROLE__ROLE_NONE ? token->role : user->role;
            act_as_user(call, user);
            tocsin__user__free_unpacked(user, NULL);
        }
    } else if (found) {
        principal->role = token->role;
        principal->actor.kind = TOCSIN__ACTOR_KIND__ACTOR_TOKEN;
        principal->actor.id = token->id;
        principal->actor.name = http_strdup(call->call.request, token->name);
    }
    if (found) {
        principal->token_id = token->id;
    }
    if (token != NULL) {
        tocsin__token__free_unpacked(token, NULL);
    }
    return found;
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

/* The least that the route asks for; its handler may ask for more. */
static enum permission permission_of_route(const struct router_call *call)
{
    if (call->call.route->flags & ROUTE_ADMIN) {
        return PERMISSION_ADMINISTER;
    }
    return router_is_read(call->call.request) ? PERMISSION_READ : PERMISSION_RESPOND;
}

static void on_view(void *argument, const struct machine_store *view, bool stale)
{
    struct router_call *call = argument;
    struct http_request *request = call->call.request;
    struct api_ports *ports = &call->call.api->ports;

    if (view == NULL) {
        answer_stopped(request);
        return;
    }
    bool token_found = find_principal(call, view);
    bool requester_found = !token_found || !needs_requester(call) || find_requester(call, view);
    if (token_found && requester_found) {
        if (role_require(request, permission_of_route(call))) {
            router_authenticated(call);
        }
    } else if (!call->current) {
        call->current = true;
        ports->read(ports->context, true, on_view, call);
    } else if (stale) { /* it may be in what this node has not seen yet */
        answer_unavailable(request, "The cluster has no leader at the moment: try again");
    } else if (!token_found) {
        refuse_token(request, "wrong api key");
    } else {
        api_error(request, 400, 1008, "Requester User Not Found", NULL);
    }
}

void authenticate(struct router_call *call)
{
    struct api_ports *ports = &call->call.api->ports;
    size_t length = 0;
    const char *token = find_token(call->call.request, &length);

    if (token == NULL) {
        refuse_token(call->call.request, "missing api key");
        return;
    }
    struct sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, length, (const uint8_t *)token);
    sha256_digest(&context, sizeof call->token_hash, call->token_hash);
    ports->read(ports->context, false, on_view, call);
}
