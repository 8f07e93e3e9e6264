/* What each of Opsgenie's answers has, and the pages of its lists. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "node/api/heartbeats/heartbeats.h"
#include "node/api/opsgenie/opsgenie.h"
#include "node/api/render.h"
#include "node/api/router.h"

#define LISTED_MAX 100u
#define LISTED_DEFAULT 20u

/* ---------------------------------------------------------------- headers and fields */

void opsgenie_json(struct http_request *request, unsigned status, json_t *answer)
{
    const struct api_ports *ports = &api_call_of(request)->api->ports;
    uint64_t began_ms = router_call_of(request)->began_ms, now_ms = ports->wall_ms(ports->context);
    uint64_t took_ms = now_ms > began_ms ? now_ms - began_ms : 1; /* the Go SDK warns of an answer that took no time */
    double took_s = (double)took_ms / 1000.0;
    char text[32];

    if (json_object_get(answer, "requestId") == NULL) {
        json_object_set_new(answer, "requestId", json_string(uuid_make(request)));
    }
    json_object_set_new(answer, "took", json_real(took_s));
    (void)snprintf(text, sizeof text, "%.3f", took_s);
    http_response_header(request, "X-Response-Time", text);
    http_response_header(request, "X-Request-ID", json_string_value(json_object_get(answer, "requestId")));
    http_response_header(request, "X-RateLimit-State", status == 429 ? "THROTTLED" : "OK");
    api_json(request, status, answer);
}

void opsgenie_data(struct http_request *request, unsigned status, json_t *data)
{
    opsgenie_json(request, status, json_pack("{s:o}", "data", data));
}

/* ---------------------------------------------------------------- pages */

unsigned opsgenie_limit(struct http_request *request)
{
    const char *given = http_query(request, "limit");
    unsigned long limit = LISTED_DEFAULT;

    if (given != NULL && given[0] != '\0' && given[strspn(given, "0123456789")] == '\0') {
        limit = strtoul(given, NULL, 10); /* the largest when it does not fit */
    }
    return limit == 0 ? LISTED_DEFAULT : limit < LISTED_MAX ? (unsigned)limit : LISTED_MAX;
}

/* As in a query (RFC 3986). */
static const char *escaped(struct http_request *request, const char *text)
{
    char *out = http_alloc(request, 3 * strlen(text) + 1), *at = out;

    for (; *text != '\0'; text++) {
        if (isalnum((unsigned char)*text) || strchr("-._~", *text) != NULL) {
            *at++ = *text;
        } else {
            at += snprintf(at, 4, "%%%02X", (unsigned char)*text);
        }
    }
    return out;
}

static bool is_given(const struct http_parameter *given, size_t count, const char *name)
{
    bool found = false;

    for (size_t i = 0; i < count && !found; i++) {
        found = strcmp(given[i].name, name) == 0;
    }
    return found;
}

static void add_parameter(struct http_request *request, json_t **url, const struct http_parameter *parameter)
{
    bool first = strchr(json_string_value(*url), '?') == NULL;
    json_t *longer = json_format("%s%s%s=%s", json_string_value(*url), first ? "?" : "&", escaped(request, parameter->name),
                                 escaped(request, parameter->value));

    json_decref(*url);
    *url = longer;
}

void opsgenie_page(struct http_request *request, json_t *paging, const char *name, const struct http_parameter *given,
                   size_t count)
{
    json_t *url = json_format("%s", api_call_of(request)->api->public_url);

    for (unsigned i = 0; i < request->parts_count; i++) {
        json_t *longer = json_format("%s/%s", json_string_value(url), escaped(request, request->parts[i]));
        json_decref(url);
        url = longer;
    }
    for (unsigned i = 0; i < request->query_count; i++) {
        if (!is_given(given, count, request->query[i].name) && strcasecmp(request->query[i].name, "apiKey") != 0) {
            add_parameter(request, &url, &request->query[i]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        add_parameter(request, &url, &given[i]);
    }
    json_object_set_new(paging, name, url);
}
