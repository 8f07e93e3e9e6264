/*
 * A test of a service through the whole chain:
 *
 *     POST /services/{}/test        an event by one of its integrations, through rules, mutes and grouping, which a test
 *                                   goes past and tells of; the incident, the people, their pages; with `routing_key` by
 *                                   an event orchestration
 *     GET  /services/{}/test/{}     the same test later: what providers said of each page, and who answered
 *
 * A test is known by its incident. Every step is told from what was stored when it was taken; only mutes are looked at anew, as
 * they were when the incident began, while they last.
 */
#include <string.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/suppression/suppression.h"
#include "node/api/coverage/coverage.h"
#include "node/api/incidents/incidents.h"
#include "node/api/orchestration/event_submit.h"
#include "node/api/orchestration/paths.h"
#include "node/api/render.h"
#include "node/api/roles.h"
#include "node/api/router.h"
#include "node/suppression/mute_match.h"

#define ATTEMPTS_MAX 8u /* as often as rules change meanwhile */
#define KEY_RANDOM_BYTES 16u

struct service_test {
    uint64_t service_id, integration_id, incident_id;
    Tocsin__Event *event; /* as the integration would take it */
    bool is_given;        /* the body had an event */
    const char *key;      /* of an integration of an event orchestration; NULL: by the service's own */
    unsigned attempts;
};

/* ---------------------------------------------------------------- steps */

struct steps {
    struct http_request *request;
    const struct machine_store *view;
    const Tocsin__Incident *incident;
    const Tocsin__Alert *alert; /* NULL: the test had no event */
    json_t *list;
    bool failed, held, answered;
};

enum step_verdict { FAILED, PASSED, PENDING };

static void step_add(struct steps *steps, const char *step, enum step_verdict verdict, uint64_t at_ms, json_t *text)
{
    json_t *passed = verdict == PENDING ? json_null() : json_boolean(verdict == PASSED);

    steps->failed = steps->failed || verdict == FAILED;
    json_array_append_new(steps->list, json_pack("{s:s, s:o, s:o, s:o}", "step", step, "passed", passed, "at",
                                                 json_time(at_ms), "text", text));
}

static void step_event(struct steps *steps)
{
    const Tocsin__Alert *alert = steps->alert;
    uint64_t at_ms = steps->incident->created_at_ms;

    if (alert == NULL) {
        step_add(steps, "event", FAILED, at_ms,
                 json_string("The service has no integration: no event of its own can reach it. The test began behind it."));
        return;
    }
    const Tocsin__Integration *integration = integration_get(steps->view, alert->service_id, alert->integration_id,
                                                             request_memory(steps->request));
    step_add(steps, "event", PASSED, at_ms,
             json_format("Integration %s took an event of severity %s.", integration != NULL ? integration->name : "(gone)",
                         word_of(words_severity, (int)alert->severity)));
}

static void step_rules(struct steps *steps)
{
    const Tocsin__EventDecision *decision = steps->alert != NULL ? steps->alert->decision : NULL;
    uint64_t at_ms = steps->incident->created_at_ms;

    if (steps->alert == NULL) {
        return;
    }
    for (size_t i = 0; decision != NULL && i < decision->n_taken; i++) {
        const Tocsin__RuleTaken *rule = decision->taken[i];
        step_add(steps, "rules", PASSED, at_ms,
                 rule->rule_id != 0 ? json_format("The rule \"%s\" of revision %llu took it.", rule->label,
                                                  (unsigned long long)rule->revision)
                                    : json_format("The catch-all of revision %llu took it.", (unsigned long long)rule->revision));
    }
    if (decision == NULL || decision->n_taken == 0) {
        step_add(steps, "rules", PASSED, at_ms, json_string("No rule of event orchestration took it."));
    } else if (decision->sent_dedup_key[0] != '\0') {
        step_add(steps, "rules", PASSED, at_ms,
                 json_string("Rules give such an event another dedup key; a test keeps its own."));
    }
}

/* What alert_admit was not asked: whether a mute would have fitted. */
static void step_mutes(struct steps *steps)
{
    uint64_t at_ms = steps->incident->created_at_ms;

    if (steps->alert == NULL || !mutes_in_force(steps->view, at_ms)) {
        return;
    }
    struct mute_set *set = mute_set_new(steps->view);
    uint64_t mute_id = mute_set_find(set, steps->view, steps->alert, at_ms);
    mute_set_free(set);
    const Tocsin__Mute *mute = mute_id != 0 ? mute_get(steps->view, mute_id, request_memory(steps->request)) : NULL;
    if (mute != NULL) {
        steps->held = true;
        step_add(steps, "suppression", FAILED, at_ms,
                 json_format("A mute would have swallowed a real event: %s (by %s).", mute->reason, mute->created_by));
    }
}

/* A test without an event says what can be said. */
static void step_maintenance(struct steps *steps)
{
    uint64_t until_ms = 0, at_ms = steps->incident->created_at_ms;

    if (steps->alert == NULL && maintenance_of_service(steps->view, steps->incident->service_id, at_ms, &until_ms) != 0) {
        steps->held = true;
        step_add(steps, "suppression", FAILED, at_ms,
                 json_string("The service is in maintenance: a real event would have opened no incident now."));
    }
}

static bool is_grouping(Tocsin__Why why)
{
    return why == TOCSIN__WHY__WHY_GROUPED_TIME || why == TOCSIN__WHY__WHY_GROUPED_CONTENT;
}

static void step_finding(struct steps *steps, const Tocsin__LogEntry *entry)
{
    if (is_grouping(entry->why)) {
        step_add(steps, "grouping", PASSED, entry->at_ms, json_string(entry->text));
        return;
    }
    steps->held = true;
    step_add(steps, entry->why == TOCSIN__WHY__WHY_RULE ? "rules" : "suppression", FAILED, entry->at_ms,
             json_string(entry->text));
}

static void step_told(struct steps *steps, const Tocsin__LogEntry *entry)
{
    bool sent = entry->outcome == TOCSIN__OUTCOME__OUTCOME_SENT;
    json_t *text = entry->provider[0] != '\0' ? json_format("%s Receipt: %s %s", entry->text, entry->provider, entry->provider_id)
                                              : json_string(entry->text);

    step_add(steps, "page", sent ? PASSED : FAILED, entry->at_ms, text);
}

static void step_entry(struct steps *steps, const Tocsin__LogEntry *entry)
{
    switch (entry->type) {
    case TOCSIN__LOG_TYPE__LOG_TEST:
        step_finding(steps, entry);
        break;
    case TOCSIN__LOG_TYPE__LOG_ASSIGN:
    case TOCSIN__LOG_TYPE__LOG_ESCALATE:
        step_add(steps, "assigned", entry->n_assignee_ids > 0 ? PASSED : FAILED, entry->at_ms, json_string(entry->text));
        break;
    case TOCSIN__LOG_TYPE__LOG_EXHAUST_ESCALATION_PATH:
        step_add(steps, "assigned", FAILED, entry->at_ms, json_string(entry->text));
        break;
    case TOCSIN__LOG_TYPE__LOG_NOTIFY:
        step_told(steps, entry);
        break;
    case TOCSIN__LOG_TYPE__LOG_ACKNOWLEDGE:
        steps->answered = true;
        step_add(steps, "answer", PASSED, entry->at_ms,
                 json_format("%s %llu s after it began.", entry->text,
                             (unsigned long long)(entry->at_ms - steps->incident->created_at_ms) / 1000));
        break;
    case TOCSIN__LOG_TYPE__LOG_RESOLVE:
        steps->answered = steps->answered || entry->why == TOCSIN__WHY__WHY_REQUEST;
        step_add(steps, "end", PASSED, entry->at_ms, json_string(entry->text));
        break;
    default:
        break;
    }
}

static void step_pending(struct steps *steps)
{
    const Tocsin__Incident *incident = steps->incident;

    for (size_t i = 0; i < incident->n_pending_notification_ids; i++) {
        const Tocsin__Notification *page = notification_get(steps->view, incident->id, incident->pending_notification_ids[i],
                                                            request_memory(steps->request));
        if (page != NULL) {
            step_add(steps, "page", PENDING, page->created_at_ms,
                     json_format("A page to %s by %s at %s is under way.", page->user_name,
                                 word_of(words_channel, (int)page->channel), page->address));
        }
    }
    if (incident->notifications_pending > incident->n_pending_notification_ids) {
        step_add(steps, "page", PENDING, incident->updated_at_ms,
                 json_format("%zu further rules wait for their delay.",
                             incident->notifications_pending - incident->n_pending_notification_ids));
    }
    if (!steps->answered && incident->status != TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED) {
        step_add(steps, "answer", PENDING, 0, json_string("Nobody has answered yet: acknowledge the incident, then resolve it."));
    }
}

/* False: too many for one answer. */
static bool steps_take(struct steps *steps)
{
    struct walk alerts = walk_under(steps->view, TABLE_ALERT, steps->incident->id);
    struct walk walk = walk_under(steps->view, TABLE_LOG_ENTRY, steps->incident->id);

    if (walk_next(&alerts)) {
        steps->alert = record_unpack(&tocsin__alert__descriptor, alerts.value, request_memory(steps->request));
    }
    step_event(steps);
    step_rules(steps);
    step_mutes(steps);
    step_maintenance(steps);
    step_add(steps, "incident", PASSED, steps->incident->created_at_ms,
             json_format("Incident %llu was opened, of %s urgency.", (unsigned long long)steps->incident->number,
                         word_of(words_urgency, (int)steps->incident->urgency)));
    for (size_t seen = 0; walk_next(&walk); seen++) {
        if (seen == WHY_ROWS_MAX) {
            return false;
        }
        step_entry(steps, record_unpack(&tocsin__log_entry__descriptor, walk.value, request_memory(steps->request)));
    }
    step_pending(steps);
    return true;
}

/* ---------------------------------------------------------------- the answer */

static const char *state_of(const struct steps *steps)
{
    if (steps->answered) {
        return "answered";
    }
    return steps->incident->status == TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED ? "unanswered" : "running";
}

static const char *sentence_of(const struct steps *steps)
{
    if (steps->held) {
        return "A real event would not have paged now: see the steps that did not pass.";
    }
    if (steps->failed) {
        return "Something in the chain did not work: see the steps that did not pass.";
    }
    if (steps->answered) {
        return "The whole chain works: the page was answered.";
    }
    return steps->incident->status == TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED
               ? "The test is over, and nobody has answered it."
               : "The test is under way, and nobody has answered it yet.";
}

static json_t *render_test(struct http_request *request, const struct machine_store *view, const Tocsin__Incident *incident)
{
    struct steps steps = {.request = request, .view = view, .incident = incident, .list = json_array()};
    char id[16], service[16];

    if (!steps_take(&steps)) {
        json_decref(steps.list);
        return NULL;
    }
    bool over = strcmp(state_of(&steps), "running") != 0;
    json_t *passed = steps.failed ? json_false() : over ? json_boolean(steps.answered) : json_null();
    id_format(incident->id, id);
    id_format(incident->service_id, service);
    return json_pack("{s:{s:s, s:s, s:o, s:o, s:s, s:s, s:o, s:o, s:o}}", "test", "id", id, "type", "service_test", "self",
                     render_self(request, "/services/%s/test/%s", service, id), "incident",
                     reference_incident(request, incident), "state", state_of(&steps), "sentence", sentence_of(&steps), "passed",
                     passed, "why", render_self(request, "/incidents/%s/why", id), "steps", steps.list);
}

static void answer(struct http_request *request, const struct machine_store *view, unsigned status)
{
    const struct service_test *test = api_call_of(request)->data;
    const Tocsin__Incident *incident = incident_get(view, test->incident_id, request_memory(request));

    if (incident == NULL || !incident->test || incident->service_id != test->service_id ||
        !incident_visible(request, view, incident)) {
        api_not_found(request);
        return;
    }
    json_t *body = render_test(request, view, incident);
    if (body == NULL) {
        scan_refuse(request);
        return;
    }
    api_json(request, status, body);
}

/* ---------------------------------------------------------------- beginning */

static void on_read_begun(struct http_request *request, const struct machine_store *view)
{
    answer(request, view, 201);
}

static void on_read_service(struct http_request *request, const struct machine_store *view);

static void on_tested(struct http_request *request, const Tocsin__Reply *reply)
{
    struct service_test *test = api_call_of(request)->data;

    if (reply->reason == TOCSIN__REASON__REASON_STALE_RULES && ++test->attempts < ATTEMPTS_MAX) {
        api_read(request, on_read_service);
    } else if (reply->reason == TOCSIN__REASON__REASON_STALE_RULES) {
        answer_unavailable(request, "The rules for events change all the time: try again");
    } else if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        api_refused(request, reply);
    } else if (reply->n_ids == 0) {
        api_error(request, 400, 2001, "Invalid Input Provided",
                  json_pack("[s]", "The service is disabled: an event opens no incident"));
    } else {
        test->incident_id = reply->ids[0];
        api_read(request, on_read_begun);
    }
}

/* The one that was asked for, or the service's first; NULL: there is none. */
static const Tocsin__Integration *integration_of(struct http_request *request, const struct machine_store *view,
                                                 const struct service_test *test)
{
    struct walk walk = walk_under(view, TABLE_INTEGRATION, test->service_id);

    if (test->integration_id != 0) {
        return integration_get(view, test->service_id, test->integration_id, request_memory(request));
    }
    return walk_next(&walk) ? record_unpack(&tocsin__integration__descriptor, walk.value, request_memory(request)) : NULL;
}

static char *title_of(struct http_request *request, const char *head, const Tocsin__Service *service)
{
    json_t *title = json_format("%sA test page of %s: acknowledge and resolve it", head, service->name);
    char *copy = http_strdup(request, json_string_value(title));

    json_decref(title);
    return copy;
}

/* Behind the events: for a service without integrations. */
static void create_incident(struct http_request *request, const Tocsin__Service *service)
{
    Tocsin__IncidentCreate *create = api_command(request, TOCSIN__COMMAND__BODY_INCIDENT_CREATE)->incident_create;

    create->service_id = service->id;
    create->title = title_of(request, "[Test] ", service);
    create->test = true;
    api_submit(request, on_tested);
}

static void send_event(struct http_request *request, const struct machine_store *view, const Tocsin__Service *service,
                       const Tocsin__Integration *integration)
{
    struct service_test *test = api_call_of(request)->data;

    test->event->routing_key = integration->key;
    if (!test->is_given) {
        test->event->summary = title_of(request, "", service);
    }
    api_command(request, TOCSIN__COMMAND__BODY_EVENT)->event = event_decide(request, view, test->event);
    api_submit(request, on_tested);
}

/* By an event orchestration: its rules must bring the event to the service, or the test would test another one. */
static void send_routed(struct http_request *request, const struct machine_store *view, const Tocsin__Service *service)
{
    struct service_test *test = api_call_of(request)->data;

    if (orchestration_integration_get_by_key(view, test->key, request_memory(request)) == NULL) {
        api_not_found(request);
        return;
    }
    test->event->routing_key = http_strdup(request, test->key);
    if (!test->is_given) {
        test->event->summary = title_of(request, "", service);
    }
    Tocsin__Event *decided = event_decide(request, view, test->event);
    uint64_t to_id = decided->decision != NULL ? decided->decision->service_id : 0;
    if (to_id != service->id) {
        const Tocsin__Service *other = service_get(view, to_id, request_memory(request));
        api_error(request, 400, 2001, "Invalid Input Provided",
                  json_pack("[o]", other != NULL ? json_format("The rules bring this event to the service %s: its test would say "
                                                               "nothing of %s", other->name, service->name)
                                                 : json_string("The rules drop this event or route it nowhere: it would wake nobody")));
        return;
    }
    api_command(request, TOCSIN__COMMAND__BODY_EVENT)->event = decided;
    api_submit(request, on_tested);
}

static void on_read_service(struct http_request *request, const struct machine_store *view)
{
    const struct service_test *test = api_call_of(request)->data;
    const Tocsin__Service *service = service_get(view, test->service_id, request_memory(request));
    const Tocsin__Integration *integration = integration_of(request, view, test);

    if (service == NULL || (integration == NULL && test->integration_id != 0)) {
        api_not_found(request);
    } else if (test->key != NULL) {
        send_routed(request, view, service);
    } else if (integration != NULL) {
        send_event(request, view, service, integration);
    } else {
        create_incident(request, service);
    }
}

/* No other event has it. */
static char *test_key(struct http_request *request)
{
    static const char PREFIX[] = "tocsin-test-", DIGITS[] = "0123456789abcdef";
    const struct api_ports *ports = &api_call_of(request)->api->ports;
    uint8_t random[KEY_RANDOM_BYTES];
    char *key = http_alloc(request, sizeof PREFIX + 2 * KEY_RANDOM_BYTES);

    ports->random(ports->context, random, sizeof random);
    memcpy(key, PREFIX, sizeof PREFIX - 1);
    for (size_t i = 0; i < sizeof random; i++) {
        key[sizeof PREFIX - 1 + 2 * i] = DIGITS[random[i] >> 4];
        key[sizeof PREFIX + 2 * i] = DIGITS[random[i] & 15];
    }
    return key;
}

/* The event of the body, as the Events API takes one, or a critical one. False: already answered. */
static bool event_take(struct http_request *request, struct service_test *test)
{
    json_t *body = api_call_of(request)->body;
    json_t *given = json_object_get(body, "payload") != NULL ? body : json_object_get(body, "event");

    test->event = http_alloc(request, sizeof *test->event);
    tocsin__event__init(test->event);
    test->event->severity = TOCSIN__SEVERITY__SEVERITY_CRITICAL;
    test->event->source = http_strdup(request, "Tocsin");
    test->is_given = json_is_object(given);
    if (test->is_given && !event_read_payload(request, given, test->event)) {
        return false;
    }
    test->event->action = TOCSIN__EVENT_ACTION__EVENT_TRIGGER;
    test->event->dedup_key = test_key(request);
    test->event->test = TOCSIN__TEST_KIND__TEST_EVENT;
    return true;
}

static bool integration_take(struct http_request *request, struct service_test *test)
{
    struct field_reader reader = {.request = request, .object = api_call_of(request)->body, .prefix = ""};
    const char *text = NULL;

    if (reader.object != NULL && field_string(&reader, "integration_id", LIMIT_NAME_CHARACTERS, &text, NULL) && text != NULL) {
        test->integration_id = id_parse(text);
        if (test->integration_id == 0) {
            field_error(&reader, "'integration_id' must be an id");
        }
    }
    if (reader.object != NULL) {
        (void)field_string(&reader, "routing_key", ROUTING_KEY_CHARACTERS, &test->key, NULL);
    }
    return fields_finish(&reader);
}

void service_test(struct http_request *request)
{
    struct service_test *test = http_alloc(request, sizeof *test);

    api_call_of(request)->data = test;
    if (role_require(request, PERMISSION_RESPOND) && path_id(request, 0, &test->service_id) &&
        integration_take(request, test) && event_take(request, test)) {
        api_read(request, on_read_service);
    }
}

/* ---------------------------------------------------------------- later */

static void on_read_later(struct http_request *request, const struct machine_store *view)
{
    answer(request, view, 200);
}

void service_test_read(struct http_request *request)
{
    struct service_test *test = http_alloc(request, sizeof *test);

    api_call_of(request)->data = test;
    if (path_id(request, 0, &test->service_id) && path_id(request, 1, &test->incident_id)) {
        api_read(request, on_read_later);
    }
}
