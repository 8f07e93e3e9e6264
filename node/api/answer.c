/*
 * Answers, and errors in the shape of the family that was asked:
 *
 *     events     {"status": "invalid event", "message": "Event object is invalid", "errors": ["..."]}
 *     pings      not found
 *     checks     {"error": "not found"}
 *     Opsgenie   {"message": "Not Found", "took": 0.0, "requestId": "..."}
 *     Alertmanager   "Not Found"
 *     the rest   {"error": {"message": "Invalid Input Provided", "code": 2001, "errors": ["..."]}}, and "used_by" with
 *                references, when an object stays because of them
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/api/opsgenie/opsgenie.h"
#include "node/api/refusals.h"
#include "node/api/render.h"
#include "node/api/router.h"

#define JSON_CONTENT_TYPE "application/json; charset=utf-8"
#define TEXT_CONTENT_TYPE "text/plain; charset=utf-8"

/* The "status" of an event's error, by HTTP status. */
static const struct {
    unsigned http_status;
    const char *word;
} event_words[] = {
    {400, "invalid event"}, {404, "not found"},   {405, "method not allowed"},
    {413, "invalid event"}, {503, "unavailable"}, {500, "internal error"},
};

/* Every answer leaves through here, so that what the call holds beside the request's memory is let go. */
static void respond(struct http_request *request, unsigned status, const char *content_type, char *body,
                    size_t size_bytes)
{
    struct api_call *call = api_call_of(request);

    json_decref(call->body);
    call->body = NULL;
    http_respond(request, status, body != NULL ? content_type : NULL, body, size_bytes);
}

void api_json(struct http_request *request, unsigned status, json_t *body)
{
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

    json_decref(body);
    if (text == NULL) { /* a handler built what is not JSON: text that is not UTF-8, or no memory */
        status = 500;
        text = strdup("{\"error\":{\"message\":\"Internal Server Error\",\"code\":2000,\"errors\":[]}}");
        if (text == NULL) {
            abort();
        }
    }
    respond(request, status, JSON_CONTENT_TYPE, text, strlen(text));
}

void api_abandon(struct http_request *request)
{
    json_decref(api_call_of(request)->body);
    http_request_free(request);
}

void api_text(struct http_request *request, unsigned status, const char *text, size_t size_bytes)
{
    char *copy = malloc(size_bytes + 1);

    if (copy == NULL) {
        abort();
    }
    memcpy(copy, text, size_bytes);
    respond(request, status, TEXT_CONTENT_TYPE, copy, size_bytes);
}

void api_body(struct http_request *request, unsigned status, const char *content_type, char *body, size_t size_bytes)
{
    respond(request, status, content_type, body, size_bytes);
}

void api_no_content(struct http_request *request)
{
    respond(request, 204, NULL, NULL, 0);
}

static const char *event_word(unsigned http_status)
{
    for (size_t i = 0; i < sizeof event_words / sizeof *event_words; i++) {
        if (event_words[i].http_status == http_status) {
            return event_words[i].word;
        }
    }
    return "invalid event";
}

static json_t *rest_error(const char *message, int code, json_t *errors)
{
    return json_pack("{s:{s:s, s:i, s:o}}", "error", "message", message, "code", code, "errors", errors);
}

void api_error(struct http_request *request, unsigned status, int code, const char *message, json_t *errors)
{
    enum api_family family = router_call_of(request)->family;
    json_t *body;

    if (errors == NULL) {
        errors = json_pack("[s]", message);
    }
    if (family == FAMILY_PINGS) {
        json_decref(errors);
        api_text(request, status, message, strlen(message));
        return;
    }
    if (family == FAMILY_EVENTS) {
        body = json_pack("{s:s, s:s, s:o}", "status", event_word(status), "message", message, "errors", errors);
    } else if (family == FAMILY_CHECKS) {
        body = json_pack("{s:O}", "error", json_array_get(errors, 0));
        json_decref(errors);
    } else if (family == FAMILY_ALERTMANAGER) {
        body = json_incref(json_array_get(errors, 0));
        json_decref(errors);
    } else if (family == FAMILY_OPSGENIE) {
        opsgenie_json(request, status, json_pack("{s:o}", "message", json_incref(json_array_get(errors, 0))));
        json_decref(errors);
        return;
    } else {
        body = rest_error(message, code, errors);
    }
    api_json(request, status, body);
}

/* Beside `errors`, which clients compare as a whole. */
static json_t *render_uses(struct http_request *request, const Tocsin__Reply *reply)
{
    json_t *uses = json_array();

    for (size_t i = 0; i < reply->n_used_by; i++) {
        const Tocsin__Use *use = reply->used_by[i];
        char type[64], id[16];
        json_t *self = json_null(); /* of heartbeats, which other families name otherwise */
        id_format(use->id, id);
        (void)snprintf(type, sizeof type, "%s_reference", use->type);
        if (strcmp(use->type, "escalation_policy") == 0) {
            self = render_self(request, "/escalation_policies/%s", id);
        } else if (strcmp(use->type, "heartbeat") != 0) {
            self = render_self(request, "/%ss/%s", use->type, id);
        }
        json_array_append_new(uses, render_head(use->id, type, use->name, self));
    }
    return uses;
}

void api_refused(struct http_request *request, const Tocsin__Reply *reply)
{
    const struct refusal *refusal = refusal_for(reply->status, reply->reason);
    const char *error_text = refusal->error_text != NULL ? refusal->error_text : reply->message;

    json_t *errors = json_pack("[s]", error_text[0] != '\0' ? error_text : refusal->message);

    if (reply->n_used_by == 0 || router_call_of(request)->family != FAMILY_REST) {
        api_error(request, refusal->http_status, refusal->code, refusal->message, errors);
        return;
    }
    json_t *body = rest_error(refusal->message, refusal->code, errors);
    json_object_set_new(json_object_get(body, "error"), "used_by", render_uses(request, reply));
    api_json(request, refusal->http_status, body);
}

void answer_unrecognized(struct http_request *request)
{
    api_json(request, 400,
             json_pack("{s:s, s:s, s:[s]}", "status", "Unrecognized object", "message",
                       "Event object format is unrecognized", "errors", "JSON parse error"));
}

void answer_unavailable(struct http_request *request, const char *sentence)
{
    http_response_header(request, "Retry-After", "1");
    api_error(request, 503, 2000, sentence, NULL);
}

void answer_stopped(struct http_request *request)
{
    api_error(request, 503, 2000, "This node has stopped: ask another node", NULL);
}
