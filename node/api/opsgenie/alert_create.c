/* A new alert: an event of the integration whose key asks. What is too long is cut: a page is not lost for it. */
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/heartbeats/heartbeats.h"
#include "node/api/incidents/incidents.h"
#include "node/api/opsgenie/opsgenie.h"
#include "node/api/orchestration/event_submit.h"
#include "node/api/router.h"
#include "node/http/utf8.h"

uint32_t priority_number(const char *text)
{
    bool known = text != NULL && text[0] == 'P' && text[1] >= '1' && text[1] <= '5' && text[2] == '\0';

    return known ? (uint32_t)(text[1] - '0') : 0;
}

/* Anything else counts as P3, as with Opsgenie. */
static Tocsin__Severity severity_of(uint32_t priority)
{
    static const Tocsin__Severity severities[] = {TOCSIN__SEVERITY__SEVERITY_ERROR, TOCSIN__SEVERITY__SEVERITY_CRITICAL,
                                                  TOCSIN__SEVERITY__SEVERITY_ERROR, TOCSIN__SEVERITY__SEVERITY_ERROR,
                                                  TOCSIN__SEVERITY__SEVERITY_WARNING, TOCSIN__SEVERITY__SEVERITY_INFO};

    return severities[priority];
}

static char *cut(struct http_request *request, const char *text, size_t characters_max)
{
    size_t size = utf8_prefix_size_bytes(text, characters_max);

    return memcpy(http_alloc(request, size + 1), text, size);
}

/* One line of a text, in place. */
static char *lined(char *text)
{
    for (char *at = text; *at != '\0'; at++) {
        *at = (unsigned char)*at < ' ' || *at == 0x7f ? ' ' : *at;
    }
    return text;
}

/* ---------------------------------------------------------------- what hangs on it */

static void tags_take(struct http_request *request, Tocsin__IncidentLabels *labels)
{
    json_t *tags = json_object_get(api_call_of(request)->body, "tags"), *tag;
    size_t i;

    labels->tags = http_alloc(request, LIMIT_TAGS_PER_INCIDENT * sizeof *labels->tags);
    json_array_foreach(tags, i, tag)
    {
        const char *text = json_string_value(tag);
        if (text != NULL && text[0] != '\0' && labels->n_tags < LIMIT_TAGS_PER_INCIDENT) {
            labels->tags[labels->n_tags++] = lined(cut(request, text, LIMIT_TAG_CHARACTERS));
        }
    }
}

static const char *value_text(struct http_request *request, json_t *value)
{
    if (json_is_string(value)) {
        return json_string_value(value);
    }
    char *dumped = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    const char *text = dumped != NULL ? http_strdup(request, dumped) : "";
    free(dumped);
    return text;
}

void labels_take(struct http_request *request, json_t *details, Tocsin__Label ***labels, size_t *count)
{
    const char *key;
    json_t *value;

    *labels = http_alloc(request, (json_object_size(details) + 1) * sizeof **labels);
    json_object_foreach(details, key, value)
    {
        Tocsin__Label *label = http_alloc(request, sizeof *label);
        tocsin__label__init(label);
        label->key = http_strdup(request, key);
        label->value = http_strdup(request, value_text(request, value));
        (*labels)[(*count)++] = label;
    }
}

/* What is beyond the bound of all together is left out; it is in the payload. */
static void details_take(struct http_request *request, Tocsin__IncidentLabels *labels)
{
    Tocsin__Label **all;
    size_t count = 0, characters = 0;

    labels_take(request, json_object_get(api_call_of(request)->body, "details"), &all, &count);
    labels->details = all;
    for (size_t i = 0; i < count && labels->n_details < LIMIT_LABELS_PER_ALERT; i++) {
        size_t key = 0, value = 0;
        (void)utf8_count(all[i]->key, strlen(all[i]->key), &key);
        (void)utf8_count(all[i]->value, strlen(all[i]->value), &value);
        if (key > 0 && characters + key + value <= LIMIT_LABELS_CHARACTERS) {
            characters += key + value;
            all[labels->n_details++] = all[i];
        }
    }
}

static Tocsin__IncidentLabels *labels_of_body(struct http_request *request, uint32_t priority)
{
    Tocsin__IncidentLabels *labels = http_alloc(request, sizeof *labels);

    tocsin__incident_labels__init(labels);
    labels->priority = priority;
    labels->note = alert_text(request, "note", LIMIT_NOTE_CHARACTERS);
    tags_take(request, labels);
    details_take(request, labels);
    return labels;
}

/* What the sender wrote beside its message, as custom_details. */
static void fill_details(struct http_request *request, Tocsin__Event *event)
{
    static const char *const kept[] = {"description", "details", "tags", "entity", "priority", "note", "responders"};
    json_t *details = json_object();

    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        json_t *value = json_object_get(api_call_of(request)->body, kept[i]);
        if (value != NULL && !json_is_null(value)) {
            json_object_set(details, kept[i], value);
        }
    }
    event->details_json.len = json_dumpb(details, NULL, 0, JSON_COMPACT);
    event->details_json.data = http_alloc(request, event->details_json.len + 1);
    (void)json_dumpb(details, (char *)event->details_json.data, event->details_json.len, JSON_COMPACT);
    event->detail_hashes = event_detail_hashes(request, details);
    json_decref(details);
}

/* ---------------------------------------------------------------- the event */

static void on_created(struct http_request *request, const Tocsin__Reply *reply)
{
    if (reply->reason == TOCSIN__REASON__REASON_UNKNOWN_ROUTING_KEY) {
        api_error(request, 401, 2006, "Key is not valid", NULL);
    } else if (reply->status == TOCSIN__STATUS__STATUS_LIMIT) {
        answer_unavailable(request, "The cluster is full: try again"); /* another refusal would have the sender drop it */
    } else {
        bool done = reply->status == TOCSIN__STATUS__STATUS_OK && reply->reason != TOCSIN__REASON__REASON_NO_OPEN_ALERT;
        alert_accepted(request, ALERT_CREATE, reply->n_ids > 0 ? reply->ids[0] : 0, done ? RESULT_DONE : RESULT_UNFIT);
    }
}

void alert_create(struct http_request *request)
{
    const char *key = api_call_of(request)->source.key;
    const char *alias = alert_text(request, "alias", LIMIT_EVENT_BODY_SIZE_BYTES);
    uint32_t priority = priority_number(json_string_value(json_object_get(api_call_of(request)->body, "priority")));
    Tocsin__Event *event = http_alloc(request, sizeof *event);

    tocsin__event__init(event);
    event->summary = alert_text(request, "message", LIMIT_SUMMARY_CHARACTERS);
    if (key == NULL) {
        api_error(request, 422, 2001, "Alerts are created with the key of an integration, not with a token", NULL);
        return;
    }
    if (event->summary[strspn(event->summary, " \t\r\n")] == '\0') {
        api_error(request, 422, 2001, "Message can not be empty", NULL);
        return;
    }
    event->routing_key = http_strdup(request, key);
    const char *request_key = api_request_key(request);
    event->dedup_key = alias[0] != '\0'       ? http_strdup(request, alias_key(request, alias))
                       : request_key != NULL ? http_strdup(request, request_key)
                                             : uuid_make(request);
    event->source = alert_text(request, "source", LIMIT_SOURCE_CHARACTERS);
    event->component = alert_text(request, "entity", LIMIT_DESCRIPTION_CHARACTERS);
    event->severity = severity_of(priority);
    event->repeated = true;
    event->labels = labels_of_body(request, priority);
    fill_details(request, event);
    event_submit(request, event, on_created);
}
