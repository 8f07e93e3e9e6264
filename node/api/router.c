/* From a request to its handler: route, size, token, body. */
#include "node/api/router.h"

#include <assert.h>
#include <nettle/base16.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

#include "consensus/machine/planted.h"

#define JSON_DEPTH_MAX 32u
#define IDEMPOTENCY_KEY_CHARACTERS_MAX 255u
#define PARAMETERS_MAX (sizeof((struct api_call *)0)->parameters / sizeof(const char *))

static const struct route *const tables[] = {
    routes_pings, /* these two first: by far the most requests */
    routes_events,
    routes_incidents,
    routes_people,
    routes_coverage,
    routes_drills,
    routes_teams,
    routes_tokens,
    routes_catalog,
    routes_schedules,
    routes_feeds,
    routes_orchestration,
    routes_suppression,
    routes_changes,
    routes_operator,
    routes_members,
    routes_checks,
    routes_opsgenie,
    routes_alertmanager,
    routes_opsgenie_alerts,
};

const struct route *const *router_tables(size_t *count)
{
    *count = sizeof tables / sizeof *tables;
    return tables;
}

/* First parts of paths, for errors that are met before there is a route. */
static const struct {
    const char *first, *second; /* second may be NULL: any */
    enum api_family family;
} families[] = {
    {"v2", "enqueue", FAMILY_EVENTS},    {"v2", "change", FAMILY_EVENTS},   {"integration", NULL, FAMILY_EVENTS},
    {"cluster", NULL, FAMILY_OPERATOR},  {"healthz", NULL, FAMILY_OPERATOR}, {"readyz", NULL, FAMILY_OPERATOR},
    {"ping", NULL, FAMILY_PINGS},        {"api", "v3", FAMILY_CHECKS},      {"v2", "heartbeats", FAMILY_OPSGENIE},
    {"v2", "alerts", FAMILY_OPSGENIE},   {"v2", "schedules", FAMILY_OPSGENIE},
    {"api", "v2", FAMILY_ALERTMANAGER}, {"api", "v1", FAMILY_ALERTMANAGER},
};

struct api_call *api_call_of(struct http_request *request)
{
    return request->state;
}

uint64_t api_cluster_ms(struct http_request *request)
{
    const struct api_ports *ports = &api_call_of(request)->api->ports;

    return ports->cluster_ms(ports->context);
}

struct router_call *router_call_of(struct http_request *request)
{
    return request->state; /* its first member is the api_call */
}

bool router_is_read(const struct http_request *request)
{
    return strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
}

/* ---------------------------------------------------------------- routes */

static enum api_family family_of_path(const struct http_request *request)
{
    const char *first = request->parts_count > 0 ? request->parts[0] : "";
    const char *second = request->parts_count > 1 ? request->parts[1] : "";

    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (strcmp(families[i].first, first) == 0 &&
            (families[i].second == NULL || strcmp(families[i].second, second) == 0)) {
            return families[i].family;
        }
    }
    return FAMILY_REST;
}

/* Compares part by part; what stands at "{}" goes to `parameters`. */
static bool path_matches(const char *pattern, const struct http_request *request, const char *parameters[])
{
    unsigned part = 0, parameter = 0;

    for (const char *at = pattern; *at == '/'; part++) {
        size_t size = strcspn(++at, "/");
        if (part == request->parts_count) {
            return false;
        }
        if (size == 2 && memcmp(at, "{}", 2) == 0) {
            assert(parameter < PARAMETERS_MAX);
            parameters[parameter++] = request->parts[part];
        } else if (strncmp(request->parts[part], at, size) != 0 || request->parts[part][size] != '\0') {
            return false;
        }
        at += size;
    }
    return part == request->parts_count;
}

static bool method_matches(const struct route *route, const struct http_request *request)
{
    const char *method = strcmp(request->method, "HEAD") == 0 ? "GET" : request->method;

    return route->method[0] == '*' || strcmp(route->method, method) == 0;
}

/* Finds call->route. Otherwise *allow lists the methods that the path has: "" when there is no such path. */
static bool find_route(struct router_call *call, char *allow, size_t allow_size)
{
    struct http_request *request = call->call.request;
    size_t length = 0;

    allow[0] = '\0';
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        for (const struct route *route = tables[i]; route->method != NULL; route++) {
            if (!path_matches(route->pattern, request, call->call.parameters)) {
                continue;
            }
            if (method_matches(route, request)) {
                call->call.route = route;
                call->table = tables[i];
                call->family = route->family;
                return true;
            }
            int written = snprintf(allow + length, allow_size - length, "%s%s%s", length > 0 ? ", " : "", route->method,
                                   strcmp(route->method, "GET") == 0 ? ", HEAD" : "");
            assert(written > 0 && (size_t)written < allow_size - length); /* there are only so many methods */
            length += (size_t)written;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- the body */

/* Nesting is bounded before parsing: the parser and whoever walks the value recurse. */
static bool json_is_shallow(struct span body)
{
    const char *text = body.data;
    unsigned depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < body.size_bytes; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX) {
                return false;
            }
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return true;
}

/* True when call->body is one JSON object; otherwise answered. Bad UTF-8 and U+0000 are refused by the parser. */
static bool parse_body(struct router_call *call)
{
    struct http_request *request = call->call.request;
    struct span body = request->body;
    json_error_t error = {.line = -1};
    bool wants_array = (call->call.route->flags & ROUTE_JSON_ARRAY) != 0;
    const char *problem = wants_array ? "The body must be a JSON array" : "The body must be a JSON object";

    if (!json_is_shallow(body)) {
        problem = "The body is nested too deep (maximum is 32 levels)";
    } else if (body.size_bytes > 0) {
        call->call.body = json_loadb(body.data, body.size_bytes, JSON_REJECT_DUPLICATES, &error);
        if (wants_array ? json_is_array(call->call.body) : json_is_object(call->call.body)) {
            return true;
        }
        if (call->call.body == NULL) {
            problem = "The body is not valid JSON";
        }
    }
    if (call->family == FAMILY_EVENTS) {
        answer_unrecognized(request);
    } else if (error.line > 0) {
        api_error(request, 400, 2001, "Invalid Input Provided",
                  json_pack("[o]", json_sprintf("%s (line %d, column %d)", problem, error.line, error.column)));
    } else {
        api_error(request, 400, 2001, "Invalid Input Provided", json_pack("[s]", problem));
    }
    return false;
}

bool router_take_body(struct router_call *call)
{
    unsigned flags = call->call.route->flags;
    bool wanted = (flags & ROUTE_JSON_BODY) || ((flags & ROUTE_JSON_IF_ANY) && call->call.request->body.size_bytes > 0);

    return !wanted || call->call.body != NULL || parse_body(call);
}

const char *api_request_key(const struct http_request *request)
{
    return ((const struct router_call *)request->state)->request_key;
}

static void mix_text(struct sha256_ctx *context, const char *text)
{
    sha256_update(context, strlen(text) + 1, (const uint8_t *)text);
}

static const char *key_of_request(struct router_call *call, const char *key)
{
    const struct http_request *request = call->call.request;
    struct sha256_ctx context;
    uint8_t hash[SHA256_DIGEST_SIZE];
    char *text = http_alloc(call->call.request, BASE16_ENCODE_LENGTH(sizeof hash) + 1);

    sha256_init(&context);
    sha256_update(&context, sizeof call->token_hash, call->token_hash);
    mix_text(&context, key);
    mix_text(&context, request->method);
    mix_text(&context, request->path);
    for (unsigned i = 0; i < request->query_count; i++) {
        mix_text(&context, request->query[i].name);
        mix_text(&context, request->query[i].value);
    }
    sha256_update(&context, request->body.size_bytes, request->body.data);
    sha256_digest(&context, sizeof hash, hash);
    base16_encode_update(text, sizeof hash, hash);
    return text;
}

/* True when the key is absent or within its bound; otherwise answered. */
static bool take_idempotency_key(struct router_call *call)
{
    struct http_request *request = call->call.request;
    const char *key = router_is_read(request) ? NULL : request->header(request, "Idempotency-Key");

    if (key != NULL && !text_fits(key, IDEMPOTENCY_KEY_CHARACTERS_MAX)) {
        api_error(request, 400, 2001, "Invalid Input Provided",
                  json_pack("[s]", "Idempotency-Key is too long (maximum is 255 characters)"));
        return false;
    }
    bool given = key != NULL && key[0] != '\0' && !planted(IDEMPOTENCY_KEY_IGNORED);
    call->request_key = given ? key_of_request(call, key) : NULL;
    return true;
}

/* ---------------------------------------------------------------- the way through */

void router_authenticated(struct router_call *call)
{
    if (take_idempotency_key(call) && router_take_body(call)) {
        call->call.route->handler(call->call.request);
    }
}

void api_handle(struct api *api, struct http_request *request)
{
    struct router_call *call = http_alloc(request, sizeof *call);
    char allow[256];

    call->call.api = api;
    call->call.request = request;
    call->family = family_of_path(request);
    call->began_ms = api->ports.wall_ms(api->ports.context);
    tocsin__actor__init(&call->call.principal.actor);
    request->state = &call->call;

    if (!find_route(call, allow, sizeof allow)) {
        if (allow[0] == '\0') {
            api_error(request, 404, 2100, "Not Found", NULL);
        } else {
            http_response_header(request, "Allow", allow);
            api_error(request, 405, 2001, "Method Not Allowed", NULL);
        }
    } else if (request->body_too_large && !(call->call.route->flags & ROUTE_ANY_BODY)) {
        api_error(request, 413, 2001, "Request Body Too Large", NULL);
    } else if (call->call.route->flags & ROUTE_PUBLIC) {
        router_authenticated(call);
    } else {
        authenticate(call);
    }
}
