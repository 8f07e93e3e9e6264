/*
 * Alerts in: from Prometheus and amtool as Alertmanager itself takes them, and from Alertmanager's webhook.
 *
 *     POST /api/v2/alerts                     the key of an integration as bearer or basic authentication
 *     POST /integration/<key>/api/v2/alerts   Prometheus with path_prefix: /integration/<key>
 *     POST /integration/<key>/alertmanager    a webhook receiver; /integration/<key>/enqueue takes it, too
 *
 * What Prometheus sends is over when its endsAt passes without another word, and an alert of amtool that says nothing
 * after RESOLVE_TIMEOUT_MS, as in Alertmanager. Valid alerts beside bad ones are taken.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/alertmanager/alertmanager.h"
#include "node/api/router.h"

#define RESOLVE_TIMEOUT_MS (5ull * 60 * 1000) /* Alertmanager's default */
#define WEBHOOK_VERSION "4"
#define ERRORS_TOLD_MAX 20u /* of one request; whoever sends thousands of bad alerts does not read them all */

struct incoming {
    json_t *errors;
};

/* ---------------------------------------------------------------- answers */

/* Alertmanager answers with one text. */
static json_t *joined(json_t *errors)
{
    size_t count = json_array_size(errors), told = count < ERRORS_TOLD_MAX ? count : ERRORS_TOLD_MAX, size_bytes = 0;
    char *text = NULL;
    FILE *stream = open_memstream(&text, &size_bytes);

    if (stream == NULL) {
        abort();
    }
    for (size_t i = 0; i < told; i++) {
        (void)fprintf(stream, "%s%s", i > 0 ? "; " : "", json_string_value(json_array_get(errors, i)));
    }
    if (count > told) {
        (void)fprintf(stream, "; ... and %zu more", count - told);
    }
    if (fclose(stream) != 0) {
        abort();
    }
    json_t *answer = json_stringn(text, size_bytes);
    free(text);
    return answer;
}

static void on_done(struct http_request *request, const struct batch_result *result)
{
    const struct incoming *incoming = api_call_of(request)->data;
    json_t *errors = incoming->errors; /* after the answer the request's memory is gone */

    json_array_extend(errors, result->errors);
    json_decref(result->errors);
    if (result->stopped) {
        answer_stopped(request);
    } else if (result->unknown_key) {
        api_error(request, 401, 2006, "No integration has this key", NULL);
    } else if (result->unavailable) {
        /* Never 429: to Alertmanager's webhook that is for good. */
        answer_unavailable(request, "Not all alerts could be taken: try again");
    } else if (json_array_size(errors) > 0) {
        json_t *text = joined(errors);
        api_error(request, 400, 2001, "Invalid Input Provided", json_pack("[o]", text));
    } else {
        api_body(request, 200, "application/json", NULL, 0);
    }
    json_decref(errors);
}

/* ---------------------------------------------------------------- alerts */

/* How it stands by its times: Alertmanager's rules. */
static void take_times(struct http_request *request, json_t *alert, Tocsin__Event *event, json_t *errors)
{
    uint64_t now_ms = api_cluster_ms(request), starts_at_ms, ends_at_ms;

    if (!alert_time(alert, "startsAt", &starts_at_ms, errors) || !alert_time(alert, "endsAt", &ends_at_ms, errors)) {
        event->dedup_key = NULL;
        return;
    }
    if (ends_at_ms != 0 && starts_at_ms > ends_at_ms) {
        json_array_append_new(errors, json_string("start time must be before end time"));
        event->dedup_key = NULL;
        return;
    }
    event->expires_at_ms = ends_at_ms != 0 ? ends_at_ms : now_ms + RESOLVE_TIMEOUT_MS;
    if (event->expires_at_ms <= now_ms) {
        event->action = TOCSIN__EVENT_ACTION__EVENT_RESOLVE;
    }
}

static void take_status(struct http_request *request, json_t *alert, Tocsin__Event *event, json_t *errors)
{
    const char *status = json_string_value(json_object_get(alert, "status"));

    (void)request;
    if (status != NULL && strcmp(status, "resolved") == 0) {
        event->action = TOCSIN__EVENT_ACTION__EVENT_RESOLVE;
    } else if (status == NULL || strcmp(status, "firing") != 0) {
        json_array_append_new(errors, json_string("the status of an alert must be firing or resolved"));
        event->dedup_key = NULL;
    }
}

/* `judge` says what the alert's event is; one that it leaves without dedup key is refused. */
static void take(struct http_request *request, json_t *alerts,
                 void (*judge)(struct http_request *, json_t *, Tocsin__Event *, json_t *))
{
    struct incoming *incoming = http_alloc(request, sizeof *incoming);
    Tocsin__Event **events = http_alloc(request, (json_array_size(alerts) + 1) * sizeof *events);
    size_t count = 0, i;
    json_t *alert;

    api_call_of(request)->data = incoming;
    incoming->errors = json_array();
    json_array_foreach(alerts, i, alert)
    {
        Tocsin__Event *event = event_of_alert(request, alert, incoming->errors);
        if (event == NULL) {
            continue;
        }
        judge(request, alert, event, incoming->errors);
        if (event->dedup_key != NULL) {
            events[count++] = event;
        }
    }
    event_batch_submit(request, events, count, on_done);
}

static bool has_room(struct http_request *request, json_t *alerts)
{
    if (json_array_size(alerts) <= LIMIT_ALERTS_PER_REQUEST) {
        return true;
    }
    api_error(request, 413, 2001, "Too many alerts in one request (maximum is 4096)", NULL);
    return false;
}

/* ---------------------------------------------------------------- handlers */

static void alerts_create(struct http_request *request)
{
    json_t *alerts = api_call_of(request)->body;

    if (api_call_of(request)->source.key == NULL) {
        api_error(request, 400, 2001, "Alerts are taken with the key of an integration, not with a token", NULL);
    } else if (has_room(request, alerts)) {
        take(request, alerts, take_times);
    }
}

bool is_webhook(json_t *body)
{
    const char *version = json_string_value(json_object_get(body, "version"));

    return version != NULL && strcmp(version, WEBHOOK_VERSION) == 0 && json_is_array(json_object_get(body, "alerts"));
}

void webhook_receive(struct http_request *request)
{
    json_t *alerts = json_object_get(api_call_of(request)->body, "alerts");

    if (!is_webhook(api_call_of(request)->body)) {
        api_error(request, 400, 2001, "The body must be a webhook of Alertmanager, version 4", NULL);
    } else if (has_room(request, alerts)) {
        take(request, alerts, take_status);
    }
}

static void gone(struct http_request *request)
{
    api_json(request, 410,
             json_pack("{s:s, s:s}", "status", "deprecated", "error",
                       "The Alertmanager v1 API is not served: use /api/v2"));
}

#define KEYED (ROUTE_SOURCE_KEY | ROUTE_KEY_IN_PATH)

const struct route routes_alertmanager[] = {
    {"POST", "/api/v2/alerts", alerts_create, FAMILY_ALERTMANAGER, ROUTE_SOURCE_KEY | ROUTE_JSON_BODY | ROUTE_JSON_ARRAY},
    {"GET", "/api/v2/alerts", alertmanager_alerts_list, FAMILY_ALERTMANAGER, ROUTE_SOURCE_KEY},
    {"GET", "/api/v2/alerts/groups", alertmanager_groups_list, FAMILY_ALERTMANAGER, ROUTE_SOURCE_KEY},
    {"GET", "/api/v2/status", alertmanager_status, FAMILY_ALERTMANAGER, ROUTE_SOURCE_KEY},
    {"GET", "/api/v2/receivers", alertmanager_receivers, FAMILY_ALERTMANAGER, ROUTE_SOURCE_KEY},
    {"*", "/api/v1/alerts", gone, FAMILY_ALERTMANAGER, ROUTE_PUBLIC | ROUTE_ANY_BODY},
    {"POST", "/integration/{}/alertmanager", webhook_receive, FAMILY_ALERTMANAGER, KEYED | ROUTE_JSON_BODY},
    {"POST", "/integration/{}/api/v2/alerts", alerts_create, FAMILY_ALERTMANAGER, KEYED | ROUTE_JSON_BODY | ROUTE_JSON_ARRAY},
    {"GET", "/integration/{}/api/v2/alerts", alertmanager_alerts_list, FAMILY_ALERTMANAGER, KEYED},
    {"GET", "/integration/{}/api/v2/alerts/groups", alertmanager_groups_list, FAMILY_ALERTMANAGER, KEYED},
    {"GET", "/integration/{}/api/v2/status", alertmanager_status, FAMILY_ALERTMANAGER, KEYED},
    {"GET", "/integration/{}/api/v2/receivers", alertmanager_receivers, FAMILY_ALERTMANAGER, KEYED},
    {0},
};
