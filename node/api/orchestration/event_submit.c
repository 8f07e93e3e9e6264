/*
 * An event's way to the log, through the rules of event orchestration.
 *
 *     state of this node ──> decide ──> submit ──> applied
 *                               ^          │ the rules are others by now
 *        newest state ──────────┘ <────────┘
 */
#include "node/api/orchestration/event_submit.h"

#include "node/api/incidents/incidents.h"
#include "node/api/orchestration/orchestration.h"
#include "node/api/render.h"
#include "node/api/router.h"

/* As often as rules would have to change while one event is on its way; then its sender shall try again. */
#define ATTEMPTS_MAX 8u

struct submission {
    const Tocsin__Event *event; /* as it came */
    api_on_reply on_reply;
    unsigned attempts;
};

struct rule_cache *api_rules(struct http_request *request)
{
    struct api *api = api_call_of(request)->api;
    if (api->rules == NULL) {
        api->rules = rule_cache_new();
    }
    return api->rules;
}

void api_close(struct api *api)
{
    rule_cache_free(api->rules);
    api->rules = NULL;
}

static void on_view(void *argument, const struct machine_store *view, bool stale);

static void on_reply(struct http_request *request, const Tocsin__Reply *reply)
{
    struct submission *submission = api_call_of(request)->data;
    const struct api_ports *ports = &api_call_of(request)->api->ports;
    if (reply->reason != TOCSIN__REASON__REASON_STALE_RULES) {
        submission->on_reply(request, reply);
    } else if (++submission->attempts >= ATTEMPTS_MAX) {
        answer_unavailable(request, "The rules for events change all the time: try again");
    } else {
        ports->read(ports->context, true, on_view, request);
    }
}

/* Only what finds its alert: the rest would fill the log for nothing. */
static Tocsin__Event *answer_only(struct http_request *request, const Tocsin__Event *decided)
{
    Tocsin__Event *event = http_alloc(request, sizeof *event);
    tocsin__event__init(event);
    event->routing_key = decided->routing_key;
    event->action = decided->action;
    event->dedup_key = decided->dedup_key;
    event->rules_revision = decided->rules_revision;
    if (decided->decision != NULL) {
        event->decision = http_alloc(request, sizeof *event->decision);
        tocsin__event_decision__init(event->decision);
        event->decision->orchestration_id = decided->decision->orchestration_id;
        event->decision->service_id = decided->decision->service_id;
        event->decision->sent_dedup_key = decided->decision->sent_dedup_key;
    }
    return event;
}

/* Alerts are grouped by the details as rules have left them. */
static void hash_details(struct http_request *request, Tocsin__Event *event)
{
    json_t *details = json_loadb((const char *)event->details_json.data, event->details_json.len, 0, NULL);
    event->detail_hashes = event_detail_hashes(request, details);
    json_decref(details);
}

/* A test opens its incident, under its own key, whatever rules make of it, and its title says what it is. */
static void keep_test(struct http_request *request, const Tocsin__Event *event, Tocsin__Event *decided)
{
    json_t *title = json_format("[Test] %s", decided->summary);
    if (decided->action != TOCSIN__EVENT_ACTION__EVENT_TRIGGER) {
        decided->action = TOCSIN__EVENT_ACTION__EVENT_TRIGGER;
        decided->test = TOCSIN__TEST_KIND__TEST_ANSWERED;
    }
    decided->dedup_key = event->dedup_key;
    decided->summary = http_strdup(request, json_string_value(title));
    json_decref(title);
}

Tocsin__Event *event_decide(struct http_request *request, const struct machine_store *view, const Tocsin__Event *event)
{
    Tocsin__Event *decided = decide(api_rules(request), view, (struct decide_from){0}, event,
                                    api_cluster_ms(request), request_memory(request), NULL);
    if (decided->details_json.data != event->details_json.data) {
        hash_details(request, decided);
    }
    if (event->test != TOCSIN__TEST_KIND__TEST_NONE) {
        keep_test(request, event, decided);
    }
    return decided->action == TOCSIN__EVENT_ACTION__EVENT_TRIGGER ? decided : answer_only(request, decided);
}

Tocsin__Command *event_command(struct http_request *request, const struct machine_store *view, const Tocsin__Event *event)
{
    Tocsin__Command *command = api_command(request, TOCSIN__COMMAND__BODY_EVENT);
    command->event = event_decide(request, view, event);
    command->idempotency_key = http_strdup(request, "");
    return command;
}

static void on_view(void *argument, const struct machine_store *view, bool stale)
{
    struct http_request *request = argument;
    struct submission *submission = api_call_of(request)->data;
    (void)stale; /* what is too old apply finds out */
    if (view == NULL) {
        answer_stopped(request);
        return;
    }
    (void)event_command(request, view, submission->event);
    api_submit(request, on_reply);
}

void event_submit(struct http_request *request, const Tocsin__Event *event, api_on_reply then)
{
    const struct api_ports *ports = &api_call_of(request)->api->ports;
    struct submission *submission = http_alloc(request, sizeof *submission);
    submission->event = event;
    submission->on_reply = then;
    api_call_of(request)->data = submission;
    ports->read(ports->context, false, on_view, request);
}
