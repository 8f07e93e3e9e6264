/*
 * PagerDuty's Events API v2: trigger, acknowledge, resolve (contracts/pagerduty-events-v2.md).
 *
 * A page must not be lost for a detail: descriptive texts that are too long are cut, not refused, and what an
 * acknowledge or a resolve carries beside its key is not looked at (Alertmanager sends the whole payload with both).
 * What is refused is told in full: all errors at once, in the words that PagerDuty uses.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/alertmanager/alertmanager.h"
#include "node/api/incidents/incidents.h"
#include "node/api/orchestration/event_submit.h"
#include "node/api/router.h"
#include "node/http/utf8.h"

#define TEXTS_UNBOUNDED SIZE_MAX /* the body's size is bound enough for what is cut or counted elsewhere */
#define CONTEXTS_MAX 100u        /* links and images of one event, each */

struct word {
    const char *text;
    int value;
};

static const struct word actions[] = {
    {"trigger", TOCSIN__EVENT_ACTION__EVENT_TRIGGER},
    {"acknowledge", TOCSIN__EVENT_ACTION__EVENT_ACKNOWLEDGE},
    {"resolve", TOCSIN__EVENT_ACTION__EVENT_RESOLVE},
    {NULL, 0},
};

static const struct word severities[] = {
    {"critical", TOCSIN__SEVERITY__SEVERITY_CRITICAL},
    {"warning", TOCSIN__SEVERITY__SEVERITY_WARNING},
    {"error", TOCSIN__SEVERITY__SEVERITY_ERROR},
    {"info", TOCSIN__SEVERITY__SEVERITY_INFO},
    {NULL, 0},
};

static bool find_word(const struct word *words, const char *text, int *value)
{
    for (const struct word *word = words; word->text != NULL; word++) {
        if (strcmp(word->text, text) == 0) {
            *value = word->value;
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- texts */

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '\0';
}

/* A text that must be there. NULL: an error was noted. */
static const char *required_text(struct field_reader *reader, const char *name)
{
    const char *text = "";

    if (!field_string(reader, name, TEXTS_UNBOUNDED, &text, NULL)) {
        return NULL;
    }
    if (is_blank(text)) {
        field_error(reader, "'%s%s' is missing or blank", reader->prefix, name);
        return NULL;
    }
    return text;
}

/* The text in the request's memory, cut to its bound. */
static char *cut(struct http_request *request, const char *text, size_t characters_max)
{
    size_t size = utf8_prefix_size_bytes(text, characters_max);

    return memcpy(http_alloc(request, size + 1), text, size);
}

static void read_required(struct field_reader *reader, const char *name, size_t characters_max, char **out)
{
    const char *text = required_text(reader, name);

    if (text != NULL) {
        *out = cut(reader->request, text, characters_max);
    }
}

static void read_optional(struct field_reader *reader, const char *name, size_t characters_max, char **out)
{
    const char *text = NULL;

    if (field_string(reader, name, TEXTS_UNBOUNDED, &text, NULL) && text != NULL) {
        *out = cut(reader->request, text, characters_max);
    }
}

/* Compact JSON in the request's memory. */
static ProtobufCBinaryData keep_json(struct http_request *request, const json_t *value)
{
    size_t size = json_dumpb(value, NULL, 0, JSON_COMPACT);
    ProtobufCBinaryData kept = {.len = size, .data = http_alloc(request, size)};

    if (json_dumpb(value, (char *)kept.data, size, JSON_COMPACT) != size) {
        abort(); /* the same value has the same size */
    }
    return kept;
}

/* ---------------------------------------------------------------- times */

/* Takes so many digits; false when there are fewer. */
static bool take_digits(const char **at, unsigned count, int min, int max)
{
    int value = 0;

    for (unsigned i = 0; i < count; i++, (*at)++) {
        if (!isdigit((unsigned char)**at)) {
            return false;
        }
        value = value * 10 + (**at - '0');
    }
    return value >= min && value <= max;
}

static bool take(const char **at, const char *any_of)
{
    if (**at == '\0' || strchr(any_of, **at) == NULL) {
        return false;
    }
    (*at)++;
    return true;
}

/* ISO 8601 as senders write it: "2015-07-17T08:42:58.315+0000" is PagerDuty's own sample. Fraction, zone and its
 * colon are optional. */
static bool is_timestamp(const char *text)
{
    const char *at = text;

    if (!take_digits(&at, 4, 1, 9999) || !take(&at, "-") || !take_digits(&at, 2, 1, 12) || !take(&at, "-") ||
        !take_digits(&at, 2, 1, 31)) {
        return false;
    }
    if (*at == '\0') {
        return true;
    }
    if (!take(&at, "Tt ") || !take_digits(&at, 2, 0, 24) || !take(&at, ":") || !take_digits(&at, 2, 0, 59)) {
        return false;
    }
    if (take(&at, ":") && !take_digits(&at, 2, 0, 60)) {
        return false;
    }
    if (take(&at, ".,")) {
        if (!isdigit((unsigned char)*at)) {
            return false;
        }
        at += strspn(at, "0123456789");
    }
    at += *at == ' ';
    if (take(&at, "+-")) {
        if (!take_digits(&at, 2, 0, 23)) {
            return false;
        }
        take(&at, ":");
        return *at == '\0' || (take_digits(&at, 2, 0, 59) && *at == '\0');
    }
    take(&at, "Zz");
    return *at == '\0';
}

/* ---------------------------------------------------------------- the event */

static void read_routing_key(struct field_reader *reader, const char *key, Tocsin__Event *event)
{
    if (strspn(key, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(key)) {
        field_error(reader, "'routing_key' cannot contain non-alphanumeric characters.");
    } else if (strlen(key) != ROUTING_KEY_CHARACTERS) {
        field_error(reader, "Length of 'routing_key' is incorrect (should be 32 characters)");
    }
    event->routing_key = http_strdup(reader->request, key);
}

static void read_action(struct field_reader *reader, Tocsin__Event *event)
{
    const char *text = required_text(reader, "event_action");
    int value = 0;

    if (text != NULL && !find_word(actions, text, &value)) {
        field_error(reader,
                    "'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')");
    }
    event->action = (Tocsin__EventAction)value;
}

static void read_dedup_key(struct field_reader *reader, Tocsin__Event *event)
{
    const char *key = "";

    if (!field_string(reader, "dedup_key", LIMIT_DEDUP_KEY_CHARACTERS, &key, NULL)) {
        return;
    }
    if (event->action != TOCSIN__EVENT_ACTION__EVENT_TRIGGER && is_blank(key)) {
        field_error(reader, "'dedup_key' is missing or blank");
        return;
    }
    if (!is_blank(key)) {
        event->dedup_key = http_strdup(reader->request, key);
    }
}

static void read_severity(struct field_reader *reader, Tocsin__Event *event)
{
    const char *text = required_text(reader, "severity");
    int value = 0;

    if (text != NULL && !find_word(severities, text, &value)) {
        field_error(reader,
                    "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' "
                    "or 'info')");
    }
    event->severity = (Tocsin__Severity)value;
}

static void read_timestamp(struct field_reader *reader, Tocsin__Event *event)
{
    const char *text = "";

    if (!field_string(reader, "timestamp", TEXTS_UNBOUNDED, &text, NULL) || text[0] == '\0') {
        return;
    }
    if (!is_timestamp(text) || !text_fits(text, LIMIT_NAME_CHARACTERS)) {
        field_error(reader, "'payload.timestamp' is invalid (must be an ISO 8601 time)");
        return;
    }
    event->timestamp = http_strdup(reader->request, text);
}

static void read_payload(struct field_reader *body, Tocsin__Event *event)
{
    json_t *payload = NULL, *details = NULL;

    if (!field_object(body, "payload", &payload)) {
        return;
    }
    if (payload == NULL) {
        field_error(body, "'payload' is missing or blank");
        return;
    }
    struct field_reader reader = {
        .request = body->request, .object = payload, .prefix = "payload.", .errors = body->errors};
    read_required(&reader, "summary", LIMIT_SUMMARY_CHARACTERS, &event->summary);
    read_required(&reader, "source", LIMIT_SOURCE_CHARACTERS, &event->source);
    read_severity(&reader, event);
    read_timestamp(&reader, event);
    read_optional(&reader, "component", LIMIT_DESCRIPTION_CHARACTERS, &event->component);
    read_optional(&reader, "group", LIMIT_DESCRIPTION_CHARACTERS, &event->group);
    read_optional(&reader, "class", LIMIT_DESCRIPTION_CHARACTERS, &event->class_name);
    if (field_object(&reader, "custom_details", &details) && details != NULL) {
        event->details_json = keep_json(reader.request, details);
        event->detail_hashes = event_detail_hashes(reader.request, details);
    }
    body->errors = reader.errors;
}

/* One kind of context: its array in the event, the field that each must have, and those it may have. */
struct context_kind {
    const char *array, *type, *required, *optional[2];
};

static const struct context_kind context_kinds[] = {
    {"links", "link", "href", {"text", NULL}},
    {"images", "image", "src", {"href", "alt"}},
};

static void read_contexts(struct field_reader *reader, const struct context_kind *kind, json_t *contexts)
{
    json_t *given = NULL, *element;
    size_t i;

    if (!field_array(reader, kind->array, CONTEXTS_MAX, &given) || given == NULL) {
        return;
    }
    json_array_foreach(given, i, element)
    {
        json_t *required = json_object_get(element, kind->required); /* NULL when the element is no object */
        if (!json_is_string(required) || is_blank(json_string_value(required))) {
            field_error(reader, "'%s[%zu].%s' is missing or blank", kind->array, i, kind->required);
            continue;
        }
        json_t *context = json_pack("{s:s, s:O}", "type", kind->type, kind->required, required);
        for (size_t j = 0; j < 2 && kind->optional[j] != NULL; j++) {
            json_t *optional = json_object_get(element, kind->optional[j]);
            if (json_is_string(optional)) {
                json_object_set(context, kind->optional[j], optional);
            }
        }
        json_array_append_new(contexts, context);
    }
}

static void read_trigger(struct field_reader *reader, Tocsin__Event *event)
{
    json_t *contexts = json_array();

    read_payload(reader, event);
    read_optional(reader, "client", LIMIT_DESCRIPTION_CHARACTERS, &event->client);
    read_optional(reader, "client_url", LIMIT_ADDRESS_CHARACTERS, &event->client_url);
    for (size_t i = 0; i < sizeof context_kinds / sizeof *context_kinds; i++) {
        read_contexts(reader, &context_kinds[i], contexts);
    }
    if (json_array_size(contexts) > 0) {
        event->contexts_json = keep_json(reader->request, contexts);
    }
    json_decref(contexts);
}

/* A trigger without a key makes an alert of its own; the key is made here, before the command leaves, so that
 * sending the command again cannot make two. Nor can its sender, who says with an Idempotency-Key that it is the same one. */
static void make_dedup_key(struct http_request *request, Tocsin__Event *event)
{
    static const char digits[] = "0123456789abcdef";
    struct api_ports *ports = &api_call_of(request)->api->ports;
    uint8_t random[16];
    char *key = http_alloc(request, 2 * sizeof random + 1);
    const char *request_key = api_request_key(request);

    if (request_key != NULL) {
        memcpy(key, request_key, 2 * sizeof random);
        event->dedup_key = key;
        return;
    }

    ports->random(ports->context, random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        key[2 * i] = digits[random[i] >> 4];
        key[2 * i + 1] = digits[random[i] & 15];
    }
    event->dedup_key = key;
}

/* ---------------------------------------------------------------- conversation */

static void refuse(struct http_request *request, unsigned status, json_t *errors)
{
    api_error(request, status, 0, "Event object is invalid", errors);
}

static void on_reply(struct http_request *request, const Tocsin__Reply *reply)
{
    const Tocsin__Event *event = api_call_of(request)->command->event;

    if (reply->status == TOCSIN__STATUS__STATUS_OK) {
        const char *dedup_key = reply->dedup_key[0] != '\0' ? reply->dedup_key : event->dedup_key;
        api_json(request, 202,
                 json_pack("{s:s, s:s, s:s}", "status", "success", "message", "Event processed", "dedup_key",
                           dedup_key));
    } else if (reply->reason == TOCSIN__REASON__REASON_UNKNOWN_ROUTING_KEY) {
        /* PagerDuty is said to answer 202 here at times. A page that goes nowhere must be loud instead. */
        refuse(request, 400, json_pack("[s]", "Invalid routing key"));
    } else if (reply->status == TOCSIN__STATUS__STATUS_LIMIT) {
        answer_unavailable(request, "The cluster is full: resolve incidents"); /* 400 would have the sender drop it */
    } else {
        refuse(request, 400, json_pack("[s]", reply->message));
    }
}

/* What rules may look at beside the key of an acknowledge or a resolve: as far as it can be read. */
static void read_leniently(const struct field_reader *reader, Tocsin__Event *event)
{
    struct field_reader lenient = {.request = reader->request, .object = reader->object, .prefix = ""};
    if (json_object_get(reader->object, "payload") != NULL) {
        read_trigger(&lenient, event);
        json_decref(lenient.errors);
    }
}

bool event_read_payload(struct http_request *request, json_t *body, Tocsin__Event *event)
{
    struct field_reader reader = {.request = request, .object = body, .prefix = ""};
    if (json_object_get(body, "event_action") != NULL) {
        read_action(&reader, event);
    }
    read_dedup_key(&reader, event);
    read_trigger(&reader, event);
    return fields_finish(&reader);
}

/* `path_key`: the routing key where the path has it, else NULL. */
static void enqueue(struct http_request *request, const char *path_key)
{
    struct api_call *call = api_call_of(request);

    if (request->body.size_bytes > LIMIT_EVENT_BODY_SIZE_BYTES) {
        refuse(request, 413, json_pack("[s]", "Event size exceeds the limit of 512 KB"));
        return;
    }
    Tocsin__Event *event = http_alloc(request, sizeof *event);
    tocsin__event__init(event);
    struct field_reader reader = {.request = request, .object = call->body, .prefix = ""};
    const char *routing_key = path_key != NULL ? path_key : required_text(&reader, "routing_key");

    if (routing_key != NULL) {
        read_routing_key(&reader, routing_key, event);
    }
    read_action(&reader, event);
    read_dedup_key(&reader, event);
    if (event->action == TOCSIN__EVENT_ACTION__EVENT_TRIGGER) {
        read_trigger(&reader, event);
    } else if (reader.errors == NULL) {
        read_leniently(&reader, event);
    }
    if (reader.errors != NULL) {
        refuse(request, 400, reader.errors);
        return;
    }
    if (event->dedup_key[0] == '\0') {
        make_dedup_key(request, event);
    }
    event_submit(request, event, on_reply);
}

static void post_enqueue(struct http_request *request)
{
    enqueue(request, NULL);
}

/* The URL for products that can only be pointed at one: the body says what it is. */
static void post_integration(struct http_request *request)
{
    struct api_call *call = api_call_of(request);

    if (is_webhook(call->body)) {
        call->source.key = call->parameters[0];
        webhook_receive(request);
        return;
    }
    if (json_object_get(call->body, "event_action") == NULL) {
        answer_unrecognized(request);
        return;
    }
    enqueue(request, call->parameters[0]);
}

const struct route routes_events[] = {
    {"POST", "/v2/enqueue", post_enqueue, FAMILY_EVENTS, ROUTE_PUBLIC | ROUTE_JSON_BODY},
    {"POST", "/integration/{}/enqueue", post_integration, FAMILY_EVENTS, ROUTE_PUBLIC | ROUTE_JSON_BODY},
    {0},
};
