/*
 * What fires now, in Alertmanager's shape: for amtool and the boards that read it.
 *
 * With the key of an integration its own alerts, with a token those of every integration.
 */
#include <string.h>

#include "consensus/machine/incidents/visibility.h"
#include "consensus/machine/limits.h"
#include "node/api/alertmanager/alertmanager.h"
#include "node/api/incidents/incidents.h"
#include "node/api/render.h"
#include "node/api/suppression/suppression.h"
#include "node/orchestration/pattern.h"
#include "node/version.h"

#define LISTED_MAX 10000u
#define STEPS_MAX 2000000u /* of expressions, for one request: a tenth of a second */

/* name="value", name!="value", name=~"value", name!~"value"; the quotes may be left out. */
struct filter {
    const char *name, *value;
    bool negative;
    struct pattern *pattern; /* NULL: equality */
};

struct filters {
    struct filter all[LIMIT_MATCHERS_PER_MUTE];
    size_t count;
    uint64_t steps_left;
    struct pattern_memory memory;
};

/* ---------------------------------------------------------------- filters */

static const char *unquoted(struct http_request *request, const char *text)
{
    size_t size = strlen(text);
    char *plain = http_alloc(request, size + 1), *out = plain;

    if (size < 2 || text[0] != '"' || text[size - 1] != '"') {
        return memcpy(plain, text, size);
    }
    for (const char *at = text + 1; at < text + size - 1; at++) {
        at += *at == '\\' && at + 1 < text + size - 1 ? 1 : 0;
        *out++ = *at;
    }
    return plain;
}

/* The whole text must match. NULL: it is no expression. */
static struct pattern *anchored(struct http_request *request, const char *text)
{
    char error[PATTERN_ERROR_SIZE_BYTES];
    size_t size = strlen(text);
    char *whole = http_alloc(request, size + sizeof "\\A(?:)\\z");

    memcpy(whole, "\\A(?:", 5);
    memcpy(whole + 5, text, size);
    memcpy(whole + 5 + size, ")\\z", 4);
    return pattern_compile(whole, false, error);
}

/* False: it is no filter. */
static bool take_filter(struct http_request *request, const char *text, struct filter *filter)
{
    text += strspn(text, " {");
    size_t name_size = strcspn(text, "=!");
    const char *operator = text + name_size;
    bool regex = operator[0] != '\0' && operator[1] == '~';

    if (name_size == 0 || operator[0] == '\0' || (operator[0] == '!' && operator[1] != '=' && operator[1] != '~')) {
        return false;
    }
    filter->negative = operator[0] == '!';
    filter->name = memcpy(http_alloc(request, name_size + 1), text, name_size);
    filter->value = unquoted(request, operator + (operator[0] == '!' || regex ? 2 : 1));
    filter->pattern = regex ? anchored(request, filter->value) : NULL;
    return !regex || filter->pattern != NULL;
}

static void filters_close(struct filters *filters)
{
    for (size_t i = 0; i < filters->count; i++) {
        pattern_free(filters->all[i].pattern);
    }
    pattern_memory_free(&filters->memory);
}

/* False: answered. */
static bool filters_open(struct http_request *request, struct filters *filters)
{
    *filters = (struct filters){.steps_left = STEPS_MAX};
    for (unsigned i = 0; i < request->query_count; i++) {
        if (strcmp(request->query[i].name, "filter") != 0) {
            continue;
        }
        if (filters->count == LIMIT_MATCHERS_PER_MUTE ||
            !take_filter(request, request->query[i].value, &filters->all[filters->count])) {
            filters_close(filters);
            api_error(request, 400, 2001, "bad matcher format, or too many of them", NULL);
            return false;
        }
        filters->count++;
    }
    return true;
}

static bool fits(struct filters *filters, json_t *labels)
{
    for (size_t i = 0; i < filters->count; i++) {
        const struct filter *filter = &filters->all[i];
        const char *value = json_string_value(json_object_get(labels, filter->name));
        value = value != NULL ? value : "";
        struct pattern_text text = {.text = value, .folded = value, .size_bytes = strlen(value)};
        bool match = filter->pattern != NULL ? pattern_find(filter->pattern, &text, &filters->memory, &filters->steps_left,
                                                            NULL) == PATTERN_FOUND
                                             : strcmp(filter->value, value) == 0;
        if (match == filter->negative) {
            return false;
        }
    }
    return true;
}

/* Of the flags all are true unless they are said not to be. */
static bool wanted(struct http_request *request, const char *flag)
{
    const char *value = http_query(request, flag);

    return value == NULL || strcmp(value, "false") != 0;
}

/* ---------------------------------------------------------------- rendering */

/* Of another source than Prometheus: what it says instead. */
static json_t *labels_made(const Tocsin__Alert *alert, const Tocsin__AlertPayload *payload)
{
    json_t *labels = json_pack("{s:s}", "alertname", alert->summary);
    const char *severity = word_of(words_severity, (int)alert->severity);

    if (severity != NULL) {
        json_object_set_new(labels, "severity", json_string(severity));
    }
    if (payload != NULL && payload->source[0] != '\0') {
        json_object_set_new(labels, "instance", json_string(payload->source));
    }
    return labels;
}

static json_t *json_moment(uint64_t time_ms)
{
    return time_ms != 0 ? json_time(time_ms) : json_string("0001-01-01T00:00:00.000Z");
}

static json_t *state_of(const Tocsin__Alert *alert)
{
    json_t *silenced = json_array(), *inhibited = json_array();

    if (alert->incident_id == 0 && alert->hold != NULL && alert->hold->cause_id != 0) {
        json_array_append_new(silenced, json_silence_id(alert->hold->cause_id));
    }
    return json_pack("{s:s, s:o, s:o, s:[]}", "state", alert->incident_id == 0 ? "suppressed" : "active", "silencedBy",
                     silenced, "inhibitedBy", inhibited, "mutedBy");
}

static json_t *receiver_of(const struct machine_store *view, uint64_t service_id)
{
    Tocsin__Service *service = service_get(view, service_id, NULL);
    json_t *receiver = json_pack("{s:s}", "name", service != NULL ? service->name : "");

    if (service != NULL) {
        tocsin__service__free_unpacked(service, NULL);
    }
    return receiver;
}

/* The caller's own reference; NULL: there is none, or it is something else. */
static json_t *map_in(const json_t *details, const char *name)
{
    json_t *map = json_object_get(details, name);

    return json_is_object(map) ? json_incref(map) : NULL;
}

static json_t *render(const struct machine_store *view, const Tocsin__Alert *alert)
{
    Tocsin__AlertPayload *payload = alert_payload_get(view, alert->id, NULL);
    json_t *details = payload != NULL && payload->details_json.len > 0
                          ? json_loadb((const char *)payload->details_json.data, payload->details_json.len, 0, NULL)
                          : NULL;
    json_t *labels = map_in(details, "labels"), *annotations = map_in(details, "annotations");
    char fingerprint[FINGERPRINT_SIZE_BYTES];

    labels = labels != NULL ? labels : labels_made(alert, payload);
    annotations = annotations != NULL ? annotations : json_pack("{s:s}", "summary", alert->summary);
    labels_fingerprint(labels, fingerprint);
    json_t *object = json_pack("{s:o, s:o, s:o, s:o, s:o, s:s, s:[o], s:o, s:s}", "labels", labels, "annotations",
                               annotations, "startsAt", json_moment(alert->created_at_ms), "updatedAt",
                               json_moment(alert->updated_at_ms), "endsAt", json_moment(alert->expires_at_ms),
                               "fingerprint", fingerprint, "receivers", receiver_of(view, alert->service_id), "status",
                               state_of(alert), "generatorURL", payload != NULL ? payload->client_url : "");
    json_decref(details);
    if (payload != NULL) {
        tocsin__alert_payload__free_unpacked(payload, NULL);
    }
    return object;
}

static bool shown(struct http_request *request, const struct machine_store *view, const Tocsin__Alert *alert)
{
    const struct event_source *source = &api_call_of(request)->source;
    bool held = alert->incident_id == 0;

    if (!wanted(request, held ? "silenced" : "active") ||
        (source->key != NULL && alert->integration_id != source->integration_id)) {
        return false;
    }
    const Tocsin__Incident *incident = held ? NULL : incident_get(view, alert->incident_id, request_memory(request));
    /* A key is nobody's: what only a team may see it does not read, be it its own. */
    return incident == NULL ||
           (source->key != NULL ? !incident_is_secret(incident) : incident_visible(request, view, incident));
}

/* NULL: answered. */
static json_t *collect(struct http_request *request, const struct machine_store *view)
{
    struct filters filters;
    json_t *alerts = json_array();
    struct walk walk = walk_all(view, TABLE_ALERT_OPEN);

    if (!filters_open(request, &filters)) {
        json_decref(alerts);
        return NULL;
    }
    for (unsigned seen = 0; json_array_size(alerts) < LISTED_MAX && seen < SCAN_ROWS_MAX && walk_next(&walk); seen++) {
        Tocsin__Alert *alert = alert_get(view, span_number(walk.value, 0), span_number(walk.value, 1), NULL);
        if (alert == NULL) {
            continue;
        }
        json_t *object = shown(request, view, alert) ? render(view, alert) : NULL;
        if (object != NULL && fits(&filters, json_object_get(object, "labels"))) {
            json_array_append(alerts, object);
        }
        json_decref(object);
        tocsin__alert__free_unpacked(alert, NULL);
    }
    filters_close(&filters);
    return alerts;
}

/* ---------------------------------------------------------------- handlers */

static void on_alerts(struct http_request *request, const struct machine_store *view)
{
    json_t *alerts = collect(request, view);

    if (alerts != NULL) {
        api_json(request, 200, alerts);
    }
}

void alertmanager_alerts_list(struct http_request *request)
{
    api_read(request, on_alerts);
}

/* One group for each receiver: what groups them here are incidents. */
static void on_groups(struct http_request *request, const struct machine_store *view)
{
    json_t *alerts = collect(request, view), *groups = json_array(), *by_receiver = json_object(), *alert;
    size_t i;

    json_array_foreach(alerts, i, alert)
    {
        json_t *receiver = json_array_get(json_object_get(alert, "receivers"), 0);
        const char *name = json_string_value(json_object_get(receiver, "name"));
        json_t *group = json_object_get(by_receiver, name);
        if (group == NULL) {
            group = json_pack("{s:{}, s:O, s:[]}", "labels", "receiver", receiver, "alerts");
            json_array_append(groups, group);
            json_object_set_new(by_receiver, name, group);
        }
        json_array_append(json_object_get(group, "alerts"), alert);
    }
    json_decref(by_receiver);
    if (alerts == NULL) {
        json_decref(groups);
        return;
    }
    json_decref(alerts);
    api_json(request, 200, groups);
}

void alertmanager_groups_list(struct http_request *request)
{
    api_read(request, on_groups);
}

void alertmanager_status(struct http_request *request)
{
    api_json(request, 200,
             json_pack("{s:{s:s, s:s, s:[]}, s:{s:s, s:s, s:s, s:s, s:s, s:s}, s:{s:s}, s:o}", "cluster", "name", "tocsin",
                       "status", "ready", "peers", "versionInfo", "version", TOCSIN_VERSION, "revision", "", "branch", "",
                       "buildUser", "", "buildDate", "", "goVersion", "", "config", "original", "", "uptime",
                       json_time(api_cluster_ms(request))));
}

static void on_receivers(struct http_request *request, const struct machine_store *view)
{
    const struct event_source *source = &api_call_of(request)->source;
    json_t *receivers = json_array();

    if (source->key != NULL) {
        json_array_append_new(receivers, receiver_of(view, source->service_id));
    } else {
        struct walk walk = walk_all(view, TABLE_SERVICE);
        while (json_array_size(receivers) < LISTED_MAX && walk_next(&walk)) {
            json_array_append_new(receivers, receiver_of(view, span_number(walk.key, 0)));
        }
    }
    api_json(request, 200, receivers);
}

void alertmanager_receivers(struct http_request *request)
{
    api_read(request, on_receivers);
}
