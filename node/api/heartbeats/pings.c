/*
 * Pings as healthchecks' clients send them: by any method, without a token.
 *
 *     /ping/<uuid>                  [/start | /fail | /log | /<exit status>]
 *     /ping/<ping key>/<slug>       [the same]      the ping key is a key of an integration of the heartbeat's service
 *
 * The heartbeat is looked up here first, in the state as it is, and only what is not found in the newest: an unknown
 * key costs the cluster no entry. OK is answered when the ping is committed.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/heartbeats/heartbeats.h"
#include "node/api/router.h"

#define UUID_BYTES 16u
#define UUID_LENGTH 36u
#define EXIT_STATUS_MAX 255u
#define HEALTHCHECKS_PERIOD_S 86400u /* of a check that is made by its first ping */
#define HEALTHCHECKS_GRACE_S 3600u
#define ALLOWANCE_BURST 120u
#define ALLOWANCE_EACH_MS 200u /* one more ping, up to the burst */

/* Where a ping goes, as its path says. */
struct target {
    const char *key;            /* of the heartbeat; NULL: by the next two */
    const char *ping_key, *slug;
    bool create;
    bool current; /* the state looked at is the newest */
};

/* ---------------------------------------------------------------- UUIDs */

char *uuid_make(struct http_request *request)
{
    struct api_ports *ports = &api_call_of(request)->api->ports;
    uint8_t random[UUID_BYTES];
    char *text = http_alloc(request, UUID_LENGTH + 1);
    size_t length = 0;

    ports->random(ports->context, random, sizeof random);
    random[6] = (uint8_t)((random[6] & 0x0f) | 0x40); /* RFC 9562: version 4, variant 10 */
    random[8] = (uint8_t)((random[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof random; i++) {
        length += (size_t)snprintf(text + length, UUID_LENGTH + 1 - length, "%s%02x",
                                   i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", random[i]);
    }
    return text;
}

char *uuid_take(struct http_request *request, const char *text)
{
    if (strlen(text) != UUID_LENGTH) {
        return NULL;
    }
    char *copy = http_strdup(request, text);
    for (size_t i = 0; i < UUID_LENGTH; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? copy[i] != '-' : !isxdigit((unsigned char)copy[i])) {
            return NULL;
        }
        copy[i] = (char)tolower((unsigned char)copy[i]);
    }
    return copy;
}

/* ---------------------------------------------------------------- a flood on one key */

/* What it may send by now. A clock that was set back begins anew. */
static uint32_t allowance_left(const struct ping_allowance *allowance, uint64_t now_ms)
{
    uint64_t more = now_ms < allowance->at_ms ? ALLOWANCE_BURST : (now_ms - allowance->at_ms) / ALLOWANCE_EACH_MS;

    return more < ALLOWANCE_BURST - allowance->left ? allowance->left + (uint32_t)more : ALLOWANCE_BURST;
}

static struct ping_allowance *allowance_of(struct api *api, uint64_t heartbeat_id, uint64_t now_ms)
{
    size_t groups = PING_ALLOWANCES / PING_ALLOWANCES_SHARED;
    struct ping_allowance *group = &api->ping_allowances[heartbeat_id % groups * PING_ALLOWANCES_SHARED], *calmest = group;

    for (struct ping_allowance *at = group; at < group + PING_ALLOWANCES_SHARED; at++) {
        if (at->id == heartbeat_id) {
            return at;
        }
        if (at->id == 0 || (calmest->id != 0 && allowance_left(at, now_ms) > allowance_left(calmest, now_ms))) {
            calmest = at;
        }
    }
    *calmest = (struct ping_allowance){.id = heartbeat_id, .at_ms = now_ms, .left = ALLOWANCE_BURST};
    return calmest;
}

bool ping_allowed(struct http_request *request, uint64_t heartbeat_id)
{
    struct api *api = api_call_of(request)->api;
    uint64_t now_ms = api->ports.wall_ms(api->ports.context);
    struct ping_allowance *allowance = allowance_of(api, heartbeat_id, now_ms);
    uint32_t left = allowance_left(allowance, now_ms);

    if (left != allowance->left || now_ms < allowance->at_ms) {
        allowance->left = left;
        allowance->at_ms = now_ms;
    }
    if (allowance->left > 0) {
        allowance->left--;
        return true;
    }
    http_response_header(request, "Retry-After", "1");
    api_error(request, 429, 2020, "rate limited", NULL);
    return false;
}

/* ---------------------------------------------------------------- what a ping carries */

/* Printable ASCII, cut: a header must not cost the ping. */
static char *plain_text(struct http_request *request, const char *text, size_t length_max)
{
    size_t length = strnlen(text, length_max);
    char *copy = http_alloc(request, length + 1);

    for (size_t i = 0; i < length; i++) {
        copy[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    }
    return copy;
}

/* Alertmanager sends its Watchdog here. One that is resolved says that Prometheus has fallen silent: no ping. */
static bool is_resolved_watchdog(struct span body)
{
    static const char resolve[] = "resolve"; /* part of each of its words for it */
    if (body.size_bytes == 0 || ((const char *)body.data)[0] != '{' ||
        memmem(body.data, body.size_bytes, resolve, sizeof resolve - 1) == NULL) {
        return false;
    }
    json_t *object = json_loadb(body.data, body.size_bytes, 0, NULL);
    const char *number = json_string_value(json_object_get(object, "version"));
    const char *status = json_string_value(json_object_get(object, "status"));
    bool resolved = number != NULL && strcmp(number, "4") == 0 && status != NULL && strcmp(status, "resolved") == 0 &&
                    json_is_array(json_object_get(object, "alerts"));
    const char *action = json_string_value(json_object_get(object, "event_action")); /* its PagerDuty receiver */
    resolved = resolved || (action != NULL && strcmp(action, "resolve") == 0);
    json_decref(object);
    return resolved;
}

bool ping_fill(struct http_request *request, Tocsin__Ping *ping)
{
    const char *run = http_query(request, "rid"), *agent = request->header(request, "User-Agent");
    const char *forwarded = request->header(request, "X-Forwarded-For");
    size_t size = request->body.size_bytes;

    api_call_of(request)->command->idempotency_key = http_strdup(request, ""); /* each ping counts */
    if (run != NULL) {
        ping->run = uuid_take(request, run);
        if (ping->run == NULL) {
            api_error(request, 400, 2001, "invalid uuid format", NULL);
            return false;
        }
    }
    ping->body.len = size < LIMIT_PING_BODY_SIZE_BYTES ? size : LIMIT_PING_BODY_SIZE_BYTES;
    ping->body.data = http_alloc(request, ping->body.len + 1);
    if (ping->body.len > 0) {
        memcpy(ping->body.data, request->body.data, ping->body.len);
    }
    ping->posted = strcmp(request->method, "POST") == 0;
    ping->user_agent = plain_text(request, agent != NULL ? agent : "", LIMIT_USER_AGENT_CHARACTERS);
    size_t first = forwarded != NULL ? strcspn(forwarded, ", ") : 0;
    first = first < LIMIT_REMOTE_ADDRESS_CHARACTERS ? first : LIMIT_REMOTE_ADDRESS_CHARACTERS;
    ping->remote_address = plain_text(request, forwarded != NULL ? forwarded : "", first);
    if (ping->kind == TOCSIN__PING_KIND__PING_SUCCESS && is_resolved_watchdog(request->body)) {
        ping->kind = TOCSIN__PING_KIND__PING_LOG;
    }
    return true;
}

/* ---------------------------------------------------------------- the path */

static const struct {
    const char *word;
    Tocsin__PingKind kind;
} actions[] = {
    {"start", TOCSIN__PING_KIND__PING_START},
    {"fail", TOCSIN__PING_KIND__PING_FAIL},
    {"log", TOCSIN__PING_KIND__PING_LOG},
};

/* The last part of the path; false: it is none. */
static bool take_action(const char *word, Tocsin__Ping *ping)
{
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(word, actions[i].word) == 0) {
            ping->kind = actions[i].kind;
            return true;
        }
    }
    size_t digits = strspn(word, "0123456789");
    if (digits == 0 || word[digits] != '\0' || digits > 9 || strtoul(word, NULL, 10) > EXIT_STATUS_MAX) {
        return false;
    }
    ping->has_exit_status = true;
    ping->exit_status = (uint32_t)strtoul(word, NULL, 10);
    ping->kind = ping->exit_status > 0 ? TOCSIN__PING_KIND__PING_FAIL : TOCSIN__PING_KIND__PING_SUCCESS;
    return true;
}

/* False: the path is none of a ping. */
static bool take_path(struct http_request *request, struct target *target, Tocsin__Ping *ping)
{
    const char *const *parts = api_call_of(request)->parameters;
    unsigned count = request->parts_count - 1, named = 1;

    target->key = uuid_take(request, parts[0]);
    if (target->key == NULL && count > 1) {
        target->ping_key = parts[0];
        target->slug = parts[1];
        named = 2;
    }
    if (target->slug != NULL && target->slug[strspn(target->slug, "abcdefghijklmnopqrstuvwxyz0123456789-_")] != '\0') {
        return false;
    }
    return count <= named ? count == named : count == named + 1 && take_action(parts[named], ping);
}

/* ---------------------------------------------------------------- conversation */

static void on_reply(struct http_request *request, const Tocsin__Reply *reply)
{
    bool created = reply->reason == TOCSIN__REASON__REASON_CREATED;

    switch (reply->status) {
    case TOCSIN__STATUS__STATUS_OK:
        api_text(request, created ? 201 : 200, created ? "Created" : "OK", created ? 7 : 2);
        return;
    case TOCSIN__STATUS__STATUS_NOT_FOUND:
        api_error(request, 404, 2100, "not found", NULL);
        return;
    case TOCSIN__STATUS__STATUS_LIMIT:
        answer_unavailable(request, "The cluster is full");
        return;
    case TOCSIN__STATUS__STATUS_CONFLICT:
        api_error(request, 409, 2001,
                  reply->reason == TOCSIN__REASON__REASON_AMBIGUOUS_SLUG ? "ambiguous slug" : reply->message, NULL);
        return;
    case TOCSIN__STATUS__STATUS_INVALID:
    default:
        api_error(request, 400, 2001, reply->message, NULL);
        return;
    }
}

/* The service whose integration has the ping key, 0 for none. */
static uint64_t service_of_ping_key(const struct machine_store *view, const char *ping_key)
{
    Tocsin__Integration *integration = integration_get_by_key(view, ping_key, NULL);
    uint64_t service_id = integration != NULL ? integration->service_id : 0;

    if (integration != NULL) {
        tocsin__integration__free_unpacked(integration, NULL);
    }
    return service_id;
}

static void make_heartbeat(struct http_request *request, Tocsin__Ping *ping, const char *slug, uint64_t service_id)
{
    Tocsin__Heartbeat *heartbeat = http_alloc(request, sizeof *heartbeat);

    tocsin__heartbeat__init(heartbeat);
    heartbeat->key = uuid_make(request);
    heartbeat->name = heartbeat->slug = http_strdup(request, slug);
    heartbeat->service_id = service_id;
    heartbeat->period_s = HEALTHCHECKS_PERIOD_S;
    heartbeat->grace_s = HEALTHCHECKS_GRACE_S;
    ping->create = heartbeat;
}

/* Whose pings are counted together: of one that is still to be made, by its slug. */
static uint64_t flood_id(uint64_t heartbeat_id, const char *slug)
{
    struct key hash = key_hash(slug != NULL ? slug : "");

    return heartbeat_id != 0 ? heartbeat_id : span_number(key_span(&hash), 0);
}

/* True when the ping knows where it goes, or was answered. */
static bool find(struct http_request *request, const struct machine_store *view, bool *answered)
{
    const struct target *target = api_call_of(request)->data;
    Tocsin__Ping *ping = api_call_of(request)->command->ping;
    uint64_t service_id = 0;

    if (target->key != NULL) {
        ping->heartbeat_id = heartbeat_find_key(view, target->key);
    } else if (target->slug != NULL) {
        service_id = service_of_ping_key(view, target->ping_key);
        ping->heartbeat_id = service_id != 0 ? heartbeat_next_by_slug(view, service_id, target->slug, 0) : 0;
    }
    if (service_id != 0 && ping->heartbeat_id != 0 &&
        heartbeat_next_by_slug(view, service_id, target->slug, ping->heartbeat_id) != 0) {
        api_error(request, 409, 2001, "ambiguous slug", NULL);
        *answered = true;
        return true;
    }
    if (ping->heartbeat_id == 0 && service_id != 0 && target->create && target->slug[0] != '\0') {
        make_heartbeat(request, ping, target->slug, service_id);
    }
    if (ping->heartbeat_id == 0 && ping->create == NULL) {
        return false;
    }
    *answered = !ping_allowed(request, flood_id(ping->heartbeat_id, target->slug)); /* then the request is gone */
    return true;
}

static void on_view(void *argument, const struct machine_store *view, bool stale)
{
    struct http_request *request = argument;
    const struct api_ports *ports = &api_call_of(request)->api->ports;
    struct target *target = api_call_of(request)->data;
    bool answered = false;

    if (view == NULL) {
        answer_stopped(request);
    } else if (find(request, view, &answered)) {
        if (!answered) {
            api_submit(request, on_reply);
        }
    } else if (!target->current) {
        target->current = true;
        ports->read(ports->context, true, on_view, request);
    } else if (stale) {
        answer_unavailable(request, "The cluster has no leader at the moment: try again");
    } else {
        api_error(request, 404, 2100, "not found", NULL);
    }
}

static void ping(struct http_request *request)
{
    struct api_call *call = api_call_of(request);
    Tocsin__Ping *message = api_command(request, TOCSIN__COMMAND__BODY_PING)->ping;
    struct target *target = http_alloc(request, sizeof *target);
    const char *create = http_query(request, "create");
    char body_limit[16];

    snprintf(body_limit, sizeof body_limit, "%u", LIMIT_PING_BODY_SIZE_BYTES);
    call->data = target;
    target->create = create != NULL && strcmp(create, "1") == 0;
    http_response_header(request, "Access-Control-Allow-Origin", "*");
    http_response_header(request, "Cache-Control", "no-cache, no-store, must-revalidate");
    http_response_header(request, "Ping-Body-Limit", body_limit);
    if (!take_path(request, target, message)) {
        api_error(request, 400, 2001, "invalid url format", NULL);
    } else if (target->key == NULL && target->slug == NULL) {
        api_error(request, 404, 2100, "not found", NULL);
    } else if (ping_fill(request, message)) {
        call->api->ports.read(call->api->ports.context, false, on_view, request);
    }
}

/* Alertmanager's Opsgenie receiver, whose api_url is the ping URL: it appends v2/alerts, and a resolved Watchdog is a
 * close below that. */
static void opsgenie_ping(struct http_request *request)
{
    request->parts_count = 2;
    ping(request);
}

static void opsgenie_other(struct http_request *request)
{
    api_text(request, 200, "OK", 2);
}

const struct route routes_pings[] = {
    {"POST", "/ping/{}/v2/alerts", opsgenie_ping, FAMILY_PINGS, ROUTE_PUBLIC | ROUTE_ANY_BODY},
    {"*", "/ping/{}/v2/alerts/{}/{}", opsgenie_other, FAMILY_PINGS, ROUTE_PUBLIC | ROUTE_ANY_BODY},
    {"*", "/ping/{}", ping, FAMILY_PINGS, ROUTE_PUBLIC | ROUTE_ANY_BODY},
    {"*", "/ping/{}/{}", ping, FAMILY_PINGS, ROUTE_PUBLIC | ROUTE_ANY_BODY},
    {"*", "/ping/{}/{}/{}", ping, FAMILY_PINGS, ROUTE_PUBLIC | ROUTE_ANY_BODY},
    {0},
};
