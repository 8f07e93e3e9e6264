/* One event's way through the rules. */
#include "node/orchestration/decide.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/ids.h"
#include "consensus/machine/limits.h"
#include "node/http/utf8.h"

#define UNROUTED "unrouted"

struct deciding {
    struct rule_cache *cache;
    const struct machine_store *view;
    const Tocsin__Event *event;
    ProtobufCAllocator *memory;
    json_t *trace;
    uint64_t revision;
    struct facts facts;
    struct verdict verdict;
    Tocsin__EventDecision *decision;
};

/* ---------------------------------------------------------------- memory of the result */

static void *allocate(const struct deciding *deciding, size_t size_bytes)
{
    void *memory = deciding->memory->alloc(deciding->memory->allocator_data, size_bytes > 0 ? size_bytes : 1);
    if (memory == NULL) {
        abort();
    }
    return memset(memory, 0, size_bytes);
}

static char *keep(const struct deciding *deciding, const char *text, size_t characters_max)
{
    size_t size = utf8_prefix_size_bytes(text, characters_max);
    return memcpy(allocate(deciding, size + 1), text, size);
}

/* ---------------------------------------------------------------- from the event to facts */

static const char *severity_word(Tocsin__Severity severity)
{
    static const char *const severity_words[] = {[TOCSIN__SEVERITY__SEVERITY_NONE] = NULL,
                                                 [TOCSIN__SEVERITY__SEVERITY_INFO] = "info",
                                                 [TOCSIN__SEVERITY__SEVERITY_WARNING] = "warning",
                                                 [TOCSIN__SEVERITY__SEVERITY_ERROR] = "error",
                                                 [TOCSIN__SEVERITY__SEVERITY_CRITICAL] = "critical"};
    return (size_t)severity < sizeof severity_words / sizeof *severity_words ? severity_words[severity] : NULL;
}

static Tocsin__Severity severity_of(const char *word, Tocsin__Severity otherwise)
{
    for (Tocsin__Severity severity = TOCSIN__SEVERITY__SEVERITY_INFO; severity_word(severity) != NULL; severity++) {
        if (word != NULL && strcmp(word, severity_word(severity)) == 0) {
            return severity;
        }
    }
    return otherwise;
}

/* What was not said is not there. */
static void add_text(json_t *object, const char *name, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        json_object_set_new(object, name, json_string(text));
    }
}

static json_t *parse(ProtobufCBinaryData json)
{
    return json.len > 0 ? json_loadb((const char *)json.data, json.len, 0, NULL) : NULL;
}

static const char *action_word(Tocsin__EventAction action)
{
    return action == TOCSIN__EVENT_ACTION__EVENT_TRIGGER       ? "trigger"
           : action == TOCSIN__EVENT_ACTION__EVENT_ACKNOWLEDGE ? "acknowledge"
                                                               : "resolve";
}

static json_t *payload_of(const Tocsin__Event *event, json_t *details)
{
    json_t *payload = json_object();
    add_text(payload, "summary", event->summary);
    add_text(payload, "source", event->source);
    add_text(payload, "severity", severity_word(event->severity));
    add_text(payload, "component", event->component);
    add_text(payload, "group", event->group);
    add_text(payload, "class", event->class_name);
    add_text(payload, "timestamp", event->timestamp);
    if (details != NULL) {
        json_object_set(payload, "custom_details", details);
    }
    return payload;
}

/* Links and images, each in its array, as they were sent. */
static void add_contexts(json_t *raw, const Tocsin__Event *event)
{
    json_t *contexts = parse(event->contexts_json), *context;
    size_t i;
    json_array_foreach(contexts, i, context)
    {
        const char *type = json_string_value(json_object_get(context, "type"));
        const char *name = type != NULL && strcmp(type, "image") == 0 ? "images" : "links";
        if (json_object_get(raw, name) == NULL) {
            json_object_set_new(raw, name, json_array());
        }
        json_array_append(json_object_get(raw, name), context);
    }
    json_decref(contexts);
}

static void add_envelope(json_t *object, const Tocsin__Event *event)
{
    add_text(object, "event_action", action_word(event->action));
    add_text(object, "dedup_key", event->dedup_key);
    add_text(object, "client", event->client);
    add_text(object, "client_url", event->client_url);
}

static json_t *root_of(const Tocsin__Event *event)
{
    json_t *details = parse(event->details_json), *raw = json_object();
    json_t *normal = payload_of(event, details);
    add_envelope(normal, event);
    add_envelope(raw, event);
    /* Rules may change the details; what was sent stays. */
    json_t *sent = json_deep_copy(details);
    json_object_set_new(raw, "payload", payload_of(event, sent));
    json_decref(sent);
    json_decref(details);
    add_contexts(raw, event);
    return json_pack("{s:o, s:o, s:{}}", "event", normal, "raw_event", raw, "variables");
}

/* ---------------------------------------------------------------- from facts to the event */

static void take_text(const struct deciding *deciding, const json_t *object, const char *name, size_t characters_max,
                      char **slot)
{
    const char *text = json_string_value(json_object_get(object, name));
    if (text != NULL && strcmp(text, *slot) != 0) {
        *slot = keep(deciding, text, characters_max);
    }
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '\0';
}

/* What an event must have stays as it was sent where a rule would leave nothing of it: nobody is woken without a word. */
static void take_word(const struct deciding *deciding, const json_t *object, const char *name, size_t characters_max,
                      char **slot)
{
    const char *text = json_string_value(json_object_get(object, name));
    if (text != NULL && !is_blank(text)) {
        take_text(deciding, object, name, characters_max, slot);
    }
}

/* Details that have grown beyond an event's bound stay as they were sent. */
static void take_details(const struct deciding *deciding, const json_t *object, Tocsin__Event *event)
{
    json_t *details = json_object_get(object, "custom_details");
    size_t size = details != NULL ? json_dumpb(details, NULL, 0, JSON_COMPACT) : 0;
    if (size == 0 || size > LIMIT_EVENT_BODY_SIZE_BYTES) {
        return;
    }
    event->details_json.data = allocate(deciding, size);
    event->details_json.len = json_dumpb(details, (char *)event->details_json.data, size, JSON_COMPACT);
}

static void take_key(struct deciding *deciding, const json_t *object, Tocsin__Event *event)
{
    const char *key = json_string_value(json_object_get(object, "dedup_key"));
    if (key != NULL && !is_blank(key) && strcmp(key, event->dedup_key) != 0) {
        deciding->decision->sent_dedup_key = event->dedup_key;
        event->dedup_key = keep(deciding, key, LIMIT_DEDUP_KEY_CHARACTERS);
    }
}

static void take_fields(struct deciding *deciding, Tocsin__Event *event)
{
    const json_t *object = json_object_get(deciding->facts.root, "event");
    take_key(deciding, object, event);
    take_word(deciding, object, "summary", LIMIT_SUMMARY_CHARACTERS, &event->summary);
    take_word(deciding, object, "source", LIMIT_SOURCE_CHARACTERS, &event->source);
    take_text(deciding, object, "component", LIMIT_DESCRIPTION_CHARACTERS, &event->component);
    take_text(deciding, object, "group", LIMIT_DESCRIPTION_CHARACTERS, &event->group);
    take_text(deciding, object, "class", LIMIT_DESCRIPTION_CHARACTERS, &event->class_name);
    event->severity = severity_of(json_string_value(json_object_get(object, "severity")), event->severity);
    take_details(deciding, object, event);
}

/* An alert needs a summary: an answer without one is not made a trigger. */
static void take_action(const struct verdict *verdict, Tocsin__Event *event)
{
    if (strcmp(verdict->event_action, "resolve") == 0) {
        event->action = TOCSIN__EVENT_ACTION__EVENT_RESOLVE;
    } else if (strcmp(verdict->event_action, "trigger") == 0 && event->summary[0] != '\0') {
        event->action = TOCSIN__EVENT_ACTION__EVENT_TRIGGER;
    }
}

static void take_notes(struct deciding *deciding)
{
    const struct verdict *verdict = &deciding->verdict;
    Tocsin__EventDecision *decision = deciding->decision;
    decision->notes = allocate(deciding, (verdict->notes_count + 1) * sizeof *decision->notes);
    for (size_t i = 0; i < verdict->notes_count; i++) {
        if (!is_blank(verdict->note_texts[i])) {
            decision->notes[decision->n_notes++] = keep(deciding, verdict->note_texts[i], LIMIT_NOTE_CHARACTERS);
        }
    }
}

static void take_taken(struct deciding *deciding)
{
    const struct verdict *verdict = &deciding->verdict;
    Tocsin__EventDecision *decision = deciding->decision;
    decision->taken = allocate(deciding, (verdict->taken_count + 1) * sizeof *decision->taken);
    for (size_t i = 0; i < verdict->taken_count; i++) {
        Tocsin__RuleTaken *taken = allocate(deciding, sizeof *taken);
        *taken = verdict->taken[i];
        /* The rules may be gone before the command is packed again. */
        taken->set = keep(deciding, taken->set, LIMIT_NAME_CHARACTERS);
        taken->label = keep(deciding, taken->label, LIMIT_DESCRIPTION_CHARACTERS);
        decision->taken[decision->n_taken++] = taken;
    }
}

static void conclude(struct deciding *deciding, Tocsin__Event *event)
{
    const struct verdict *verdict = &deciding->verdict;
    Tocsin__EventDecision *decision = deciding->decision;
    if (verdict->changed) {
        take_fields(deciding, event);
    }
    take_action(verdict, event);
    take_notes(deciding);
    take_taken(deciding);
    decision->suppress = verdict->suppress;
    decision->suspend_s = verdict->suspend_s;
    decision->held_by = verdict->held_by;
    decision->priority_id = verdict->priority_id;
    decision->escalation_policy_id = verdict->escalation_policy_id;
    decision->urgency_low = strcmp(verdict->urgency, "low") == 0;
    decision->urgency_high = strcmp(verdict->urgency, "high") == 0;
    decision->patterns_given_up = deciding->facts.given_up;
    if (verdict->drop) {
        decision->disposition = TOCSIN__DISPOSITION__DISPOSITION_DROPPED;
    } else if (decision->orchestration_id != 0 && decision->service_id == 0) {
        decision->disposition = TOCSIN__DISPOSITION__DISPOSITION_UNROUTED;
    }
    event->decision = decision;
}

/* ---------------------------------------------------------------- the way */

static bool ask(struct deciding *deciding, uint64_t owner_id, Tocsin__PathKind kind)
{
    const struct ruleset *rules = rule_cache_get(deciding->cache, deciding->view, owner_id, kind);
    if (rules == NULL) {
        return false;
    }
    if (deciding->facts.root == NULL) {
        uint64_t now_ms = deciding->facts.now_ms;
        facts_init(&deciding->facts, root_of(deciding->event), now_ms);
    }
    ruleset_ask(rules, &deciding->facts, &deciding->verdict, deciding->trace);
    return true;
}

static bool service_exists(const struct deciding *deciding, uint64_t id)
{
    Tocsin__Service *service = id != 0 ? service_get(deciding->view, id, NULL) : NULL;
    if (service != NULL) {
        tocsin__service__free_unpacked(service, NULL);
    }
    return service != NULL;
}

static uint64_t service_by_name(const struct deciding *deciding, const char *name)
{
    struct key key = key_hash(name);
    struct span value;
    const struct machine_store *view = deciding->view;
    return view->get(view->context, TABLE_SERVICE_BY_NAME, key_span(&key), &value) ? span_number(value, 0) : 0;
}

/* Where the router sends it; 0 for nowhere. A service that is gone is as good as none. */
static uint64_t route(struct deciding *deciding, uint64_t orchestration_id)
{
    const struct verdict *verdict = &deciding->verdict;
    if (!ask(deciding, orchestration_id, TOCSIN__PATH_KIND__PATH_ROUTER)) {
        return 0;
    }
    uint64_t id = strcmp(verdict->route_to, UNROUTED) != 0 ? id_parse(verdict->route_to) : 0;
    if (verdict->route_key != NULL) {
        id = verdict->route_by_name ? service_by_name(deciding, verdict->route_key) : id_parse(verdict->route_key);
    }
    return service_exists(deciding, id) ? id : 0;
}

static void go(struct deciding *deciding, struct decide_from from)
{
    Tocsin__EventDecision *decision = deciding->decision;
    decision->orchestration_id = from.orchestration_id;
    decision->service_id = from.service_id;
    if (from.orchestration_id != 0) {
        ask(deciding, from.orchestration_id, TOCSIN__PATH_KIND__PATH_GLOBAL);
        if (deciding->verdict.drop) {
            return;
        }
        decision->service_id = route(deciding, from.orchestration_id);
    }
    if (decision->service_id != 0) {
        ask(deciding, decision->service_id, TOCSIN__PATH_KIND__PATH_SERVICE);
    } else if (from.orchestration_id != 0) {
        ask(deciding, from.orchestration_id, TOCSIN__PATH_KIND__PATH_UNROUTED);
    }
}

static struct decide_from find_source(const struct deciding *deciding, const char *routing_key)
{
    struct decide_from from = {0};
    Tocsin__Integration *integration = integration_get_by_key(deciding->view, routing_key, NULL);
    if (integration != NULL) {
        from.service_id = integration->service_id;
        tocsin__integration__free_unpacked(integration, NULL);
        return from;
    }
    Tocsin__OrchestrationIntegration *found = orchestration_integration_get_by_key(deciding->view, routing_key, NULL);
    if (found != NULL) {
        from.orchestration_id = found->orchestration_id;
        tocsin__orchestration_integration__free_unpacked(found, NULL);
    }
    return from;
}

Tocsin__Event *decide(struct rule_cache *cache, const struct machine_store *view, struct decide_from from,
                      const Tocsin__Event *event, uint64_t now_ms, ProtobufCAllocator *memory, json_t *trace)
{
    struct deciding *deciding = calloc(1, sizeof *deciding);
    if (deciding == NULL) {
        abort();
    }
    *deciding = (struct deciding){.cache = cache, .view = view, .event = event, .memory = memory, .trace = trace,
                                  .revision = rules_revision(view)};
    deciding->facts.now_ms = now_ms;
    deciding->verdict.urgency = deciding->verdict.event_action = deciding->verdict.route_to = "";
    Tocsin__Event *decided = allocate(deciding, sizeof *decided);
    *decided = *event;
    decided->rules_revision = deciding->revision;
    if (deciding->revision != 0) {
        deciding->decision = allocate(deciding, sizeof *deciding->decision);
        tocsin__event_decision__init(deciding->decision);
        if (from.orchestration_id == 0 && from.service_id == 0) {
            from = find_source(deciding, event->routing_key);
        }
        rule_cache_begin(cache, deciding->revision);
        go(deciding, from);
        if (deciding->facts.root != NULL || from.orchestration_id != 0) {
            conclude(deciding, decided);
        }
    }
    if (deciding->facts.root != NULL) {
        facts_close(&deciding->facts);
    }
    free(deciding);
    return decided;
}
