/*
 * An alert of Prometheus as an event.
 *
 *     labels            its identity: their hash is the dedup key, so that webhook and direct path mean the same alert
 *     severity          the label of that name; what is not known is an error, for a page must not be lost for a word
 *     summary           the annotation of that name, or the next best
 *     labels and annotations stay beside it as custom_details, where rules and mutes find them
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/alertmanager/alertmanager.h"
#include "node/api/incidents/incidents.h"
#include "node/api/render.h"
#include "node/http/utf8.h"

#define FNV_OFFSET UINT64_C(14695981039346656037) /* FNV-1a, 64 bits */
#define FNV_PRIME UINT64_C(1099511628211)
#define SEPARATOR 0xffu /* between the parts of a label set: no byte of UTF-8 */

static const struct word severities[] = {
    {TOCSIN__SEVERITY__SEVERITY_CRITICAL, "critical"}, {TOCSIN__SEVERITY__SEVERITY_CRITICAL, "page"},
    {TOCSIN__SEVERITY__SEVERITY_CRITICAL, "emergency"}, {TOCSIN__SEVERITY__SEVERITY_WARNING, "warning"},
    {TOCSIN__SEVERITY__SEVERITY_WARNING, "warn"},       {TOCSIN__SEVERITY__SEVERITY_INFO, "info"},
    {TOCSIN__SEVERITY__SEVERITY_INFO, "none"},          {0, NULL},
};

/* ---------------------------------------------------------------- identity */

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++) {
        hash = (hash ^ (uint8_t)*text) * FNV_PRIME;
    }
    return (hash ^ SEPARATOR) * FNV_PRIME;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void labels_fingerprint(json_t *labels, char text[FINGERPRINT_SIZE_BYTES])
{
    const char **names = calloc(json_object_size(labels) + 1, sizeof *names), *name;
    uint64_t hash = FNV_OFFSET;
    size_t count = 0;
    json_t *value;

    if (names == NULL) {
        abort();
    }
    json_object_foreach(labels, name, value)
    {
        if (json_string_length(value) > 0) {
            names[count++] = name;
        }
    }
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        hash = hash_text(hash_text(hash, names[i]), json_string_value(json_object_get(labels, names[i])));
    }
    free(names);
    (void)snprintf(text, FINGERPRINT_SIZE_BYTES, "%016" PRIx64, hash);
}

/* ---------------------------------------------------------------- texts */

static char *cut(struct http_request *request, const char *text, size_t characters_max)
{
    size_t size = utf8_prefix_size_bytes(text, characters_max);

    return memcpy(http_alloc(request, size + 1), text, size);
}

/* The first of these names, ended by NULL, that has a text; else "". */
static const char *first_text(json_t *object, const char *const *names)
{
    for (; *names != NULL; names++) {
        const char *text = json_string_value(json_object_get(object, *names));
        if (text != NULL && text[strspn(text, " \t\r\n")] != '\0') {
            return text;
        }
    }
    return "";
}

static const char *summary_of(json_t *labels, json_t *annotations)
{
    static const char *const in_annotations[] = {"summary", "message", "title", "description", NULL};
    static const char *const in_labels[] = {"alertname", NULL};
    const char *text = first_text(annotations, in_annotations);

    text = text[0] != '\0' ? text : first_text(labels, in_labels);
    return text[0] != '\0' ? text : "An alert without a name";
}

static ProtobufCBinaryData keep_json(struct http_request *request, const json_t *value)
{
    size_t size = json_dumpb(value, NULL, 0, JSON_COMPACT);
    ProtobufCBinaryData kept = {.len = size, .data = http_alloc(request, size + 1)};

    (void)json_dumpb(value, (char *)kept.data, size, JSON_COMPACT);
    return kept;
}

/* ---------------------------------------------------------------- checking */

/* A map from name to text without its empty values; NULL: it is something else. What is absent is empty. */
static json_t *texts_of(json_t *alert, const char *name)
{
    json_t *given = json_object_get(alert, name), *texts = json_object(), *value;
    const char *key;

    if (given != NULL && !json_is_null(given) && !json_is_object(given)) {
        json_decref(texts);
        return NULL;
    }
    json_object_foreach(given, key, value)
    {
        if (!json_is_string(value)) {
            json_decref(texts);
            return NULL;
        }
        if (json_string_length(value) > 0) {
            json_object_set(texts, key, value);
        }
    }
    return texts;
}

bool alert_time(json_t *alert, const char *name, uint64_t *time_ms, json_t *errors)
{
    json_t *given = json_object_get(alert, name);
    const char *text = json_string_value(given);

    *time_ms = 0;
    if (given == NULL || json_is_null(given) || (text != NULL && (text[0] == '\0' || strncmp(text, "0001-", 5) == 0))) {
        return true;
    }
    if (text != NULL && time_parse(text, time_ms)) {
        return true;
    }
    json_array_append_new(errors, json_sprintf("%s must be a time as RFC 3339 has it", name));
    return false;
}

/* ---------------------------------------------------------------- the event */

static json_t *links_of(json_t *alert, json_t *annotations)
{
    const char *const runbook_names[] = {"runbook_url", "runbook", NULL}, *const dashboard_names[] = {"dashboard_url", NULL};
    const struct {
        const char *text, *href;
    } links[] = {{"Runbook", first_text(annotations, runbook_names)},
                 {"Dashboard", first_text(annotations, dashboard_names)},
                 {"Source", json_string_value(json_object_get(alert, "generatorURL"))}};
    json_t *contexts = json_array();

    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        if (links[i].href != NULL && links[i].href[0] != '\0' && text_fits(links[i].href, LIMIT_ADDRESS_CHARACTERS)) {
            json_array_append_new(contexts, json_pack("{s:s, s:s, s:s}", "type", "link", "href", links[i].href, "text",
                                                      links[i].text));
        }
    }
    return contexts;
}

static void fill(struct http_request *request, json_t *alert, json_t *labels, json_t *annotations, Tocsin__Event *event)
{
    static const char *const source_names[] = {"instance", "node", "pod", "job", "alertname", NULL};
    static const char *const component_names[] = {"job", "service", NULL}, *const group_names[] = {"cluster", "namespace", NULL};
    static const char *const class_names[] = {"alertname", NULL}, *const severity_names[] = {"severity", NULL};
    const char *starts_at = json_string_value(json_object_get(alert, "startsAt"));
    const char *url = json_string_value(json_object_get(alert, "generatorURL"));
    int severity = TOCSIN__SEVERITY__SEVERITY_ERROR;
    char fingerprint[FINGERPRINT_SIZE_BYTES];

    labels_fingerprint(labels, fingerprint);
    event->dedup_key = http_strdup(request, fingerprint);
    event->summary = cut(request, summary_of(labels, annotations), LIMIT_SUMMARY_CHARACTERS);
    event->source = cut(request, first_text(labels, source_names), LIMIT_SOURCE_CHARACTERS);
    (void)word_find(severities, first_text(labels, severity_names), &severity);
    event->severity = (Tocsin__Severity)severity;
    event->component = cut(request, first_text(labels, component_names), LIMIT_DESCRIPTION_CHARACTERS);
    event->group = cut(request, first_text(labels, group_names), LIMIT_DESCRIPTION_CHARACTERS);
    event->class_name = cut(request, first_text(labels, class_names), LIMIT_DESCRIPTION_CHARACTERS);
    event->client = http_strdup(request, "Prometheus");
    event->client_url = url != NULL && text_fits(url, LIMIT_ADDRESS_CHARACTERS) ? http_strdup(request, url) : event->client_url;
    event->timestamp = starts_at != NULL && text_fits(starts_at, LIMIT_NAME_CHARACTERS) ? http_strdup(request, starts_at)
                                                                                         : event->timestamp;
    json_t *details = json_pack("{s:O, s:O}", "labels", labels, "annotations", annotations);
    json_t *links = links_of(alert, annotations);
    event->details_json = keep_json(request, details);
    event->detail_hashes = event_detail_hashes(request, details);
    if (json_array_size(links) > 0) {
        event->contexts_json = keep_json(request, links);
    }
    json_decref(links);
    json_decref(details);
}

Tocsin__Event *event_of_alert(struct http_request *request, json_t *alert, json_t *errors)
{
    json_t *labels = texts_of(alert, "labels"), *annotations = texts_of(alert, "annotations");
    const char *problem = labels == NULL                       ? "labels must be an object of texts"
                          : annotations == NULL                ? "annotations must be an object of texts"
                          : json_object_size(labels) == 0      ? "at least one label pair required"
                          : json_object_size(labels) > LIMIT_LABELS_PER_ALERT ? "an alert has too many labels"
                                                               : NULL;
    Tocsin__Event *event = NULL;

    if (problem != NULL) {
        json_array_append_new(errors, json_string(problem));
    } else {
        event = http_alloc(request, sizeof *event);
        tocsin__event__init(event);
        event->routing_key = http_strdup(request, api_call_of(request)->source.key);
        event->repeated = true;
        fill(request, alert, labels, annotations, event);
    }
    json_decref(labels);
    json_decref(annotations);
    return event;
}
