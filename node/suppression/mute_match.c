/* Matchers of mutes against the labels of alerts. */
#include "node/suppression/mute_match.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/ids.h"

/* What a label costs beside its characters and what an expression makes of it, in steps of expressions. */
#define STEPS_PER_LABEL 16u

struct label_test {
    const Tocsin__Matcher *matcher;
    struct pattern *pattern; /* of an expression; NULL: equality, or one that this node cannot compile and that never fits */
};

struct compiled {
    Tocsin__Mute *mute;
    struct label_test *tests;
};

struct mute_set {
    uint64_t revision;
    struct compiled *mutes;
    size_t count;
};

static void *must(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

/* ---------------------------------------------------------------- matchers */

/* As RE2 has it without flags, the whole text. */
static struct pattern *compile(const Tocsin__Matcher *matcher, char error[PATTERN_ERROR_SIZE_BYTES])
{
    static const char FORMAT[] = "(?-sm)^(?:%s)$";
    size_t size = strlen(matcher->value) + sizeof FORMAT;
    char *text = must(malloc(size));
    (void)snprintf(text, size, FORMAT, matcher->value);
    struct pattern *pattern = pattern_compile(text, false, error);
    free(text);
    return pattern;
}

bool matcher_is_sound(const Tocsin__Matcher *matcher, char error[PATTERN_ERROR_SIZE_BYTES])
{
    struct pattern *alone = matcher->is_regex ? pattern_compile(matcher->value, false, error) : NULL;
    struct pattern *whole = alone != NULL ? compile(matcher, error) : NULL;
    bool sound = !matcher->is_regex || whole != NULL;
    pattern_free(alone);
    pattern_free(whole);
    return sound;
}

static bool test_holds(const struct label_test *test, struct facts *facts, const char *label)
{
    bool fits;
    if (test->matcher->is_regex) {
        unsigned given_up = facts->given_up;
        struct pattern_text text = facts_text_of(facts, label, strlen(label));
        fits = test->pattern != NULL && facts_find(facts, test->pattern, &text, NULL);
        if (test->pattern == NULL || facts->given_up != given_up) {
            return false;
        }
    } else {
        fits = strcmp(test->matcher->value, label) == 0;
    }
    return fits != test->matcher->is_negative;
}

static uint64_t steps_of_label(const char *label)
{
    return STEPS_PER_LABEL + strlen(label);
}

struct label_test *label_test_new(const Tocsin__Matcher *matcher)
{
    char error[PATTERN_ERROR_SIZE_BYTES];
    struct label_test *test = must(malloc(sizeof *test));
    *test = (struct label_test){matcher, matcher->is_regex ? compile(matcher, error) : NULL};
    return test;
}

void label_test_free(struct label_test *test)
{
    if (test != NULL) {
        pattern_free(test->pattern);
        free(test);
    }
}

bool label_test_holds(const struct label_test *test, const char *label, uint64_t *steps_left)
{
    uint64_t steps = steps_of_label(label);
    if (*steps_left <= steps) {
        *steps_left = 0;
        return false;
    }
    struct facts facts;
    facts_init(&facts, json_object(), 0);
    facts.steps_left = *steps_left - steps;
    bool holds = test_holds(test, &facts, label);
    *steps_left = facts.steps_left;
    facts_close(&facts);
    return holds;
}

bool matcher_holds(const Tocsin__Matcher *matcher, const char *label)
{
    struct label_test *test = label_test_new(matcher);
    uint64_t steps_left = STEPS_PER_EVENT;
    bool holds = label_test_holds(test, label, &steps_left);
    label_test_free(test);
    return holds;
}

/* ---------------------------------------------------------------- labels */

struct labels {
    const Tocsin__Alert *alert;
    Tocsin__AlertPayload *payload; /* NULL: gone */
    Tocsin__Service *service;      /* NULL: gone */
    Tocsin__Integration *integration;
    json_t *details;
    char service_id[16];
    char *text; /* of the last value that was no text */
};

static const char *severity_word(Tocsin__Severity severity)
{
    static const char *const WORDS[] = {[TOCSIN__SEVERITY__SEVERITY_CRITICAL] = "critical",
                                        [TOCSIN__SEVERITY__SEVERITY_ERROR] = "error",
                                        [TOCSIN__SEVERITY__SEVERITY_WARNING] = "warning",
                                        [TOCSIN__SEVERITY__SEVERITY_INFO] = "info"};
    bool known = (size_t)severity < sizeof WORDS / sizeof *WORDS && WORDS[severity] != NULL;
    return known ? WORDS[severity] : "";
}

/* A field of the details, or of the labels in them; of what is no text its JSON. */
static const char *detail(struct labels *labels, const json_t *value)
{
    if (value == NULL || json_is_null(value)) {
        return "";
    }
    if (json_is_string(value)) {
        return json_string_value(value);
    }
    free(labels->text);
    labels->text = must(json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT));
    return labels->text;
}

static const char *label_of(struct labels *labels, const char *name)
{
    static const char DETAILS[] = "custom_details.";
    const Tocsin__AlertPayload *payload = labels->payload;
    const json_t *own = json_object_get(json_object_get(labels->details, "labels"), name);
    const struct {
        const char *name, *value;
    } FIELDS[] = {
        {"service", labels->service != NULL ? labels->service->name : ""},
        {"service_id", labels->service_id},
        {"integration", labels->integration != NULL ? labels->integration->name : ""},
        {"summary", labels->alert->summary},
        {"severity", severity_word(labels->alert->severity)},
        {"dedup_key", labels->alert->dedup_key},
        {"source", payload != NULL ? payload->source : ""},
        {"component", payload != NULL ? payload->component : ""},
        {"group", payload != NULL ? payload->group : ""},
        {"class", payload != NULL ? payload->class_name : ""},
        {"client", payload != NULL ? payload->client : ""},
    };
    if (own != NULL) {
        return detail(labels, own);
    }
    for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++) {
        if (strcmp(FIELDS[i].name, name) == 0) {
            return FIELDS[i].value;
        }
    }
    bool prefixed = strncmp(name, DETAILS, sizeof DETAILS - 1) == 0;
    return detail(labels, json_object_get(labels->details, prefixed ? name + sizeof DETAILS - 1 : name));
}

static struct labels labels_of(const struct machine_store *view, const Tocsin__Alert *alert)
{
    struct labels labels = {.alert = alert,
                            .payload = alert_payload_get(view, alert->id, NULL),
                            .service = service_get(view, alert->service_id, NULL),
                            .integration = integration_get(view, alert->service_id, alert->integration_id, NULL)};
    id_format(alert->service_id, labels.service_id);
    if (labels.payload != NULL && labels.payload->details_json.len > 0) {
        labels.details = json_loadb((const char *)labels.payload->details_json.data, labels.payload->details_json.len, 0, NULL);
    }
    return labels;
}

static void labels_free(struct labels *labels)
{
    tocsin__alert_payload__free_unpacked(labels->payload, NULL);
    tocsin__service__free_unpacked(labels->service, NULL);
    tocsin__integration__free_unpacked(labels->integration, NULL);
    json_decref(labels->details);
    free(labels->text);
}

/* ---------------------------------------------------------------- the set */

static bool add(struct mute_set *set, Tocsin__Mute *mute)
{
    char error[PATTERN_ERROR_SIZE_BYTES];
    if (mute == NULL) {
        return false;
    }
    struct compiled *compiled = &set->mutes[set->count++];
    compiled->mute = mute;
    compiled->tests = must(calloc(mute->n_matchers + 1, sizeof *compiled->tests));
    for (size_t i = 0; i < mute->n_matchers; i++) {
        compiled->tests[i].matcher = mute->matchers[i];
        compiled->tests[i].pattern = mute->matchers[i]->is_regex ? compile(mute->matchers[i], error) : NULL;
    }
    return true;
}

struct mute_set *mute_set_new(const struct machine_store *view)
{
    struct mute_set *set = must(calloc(1, sizeof *set));
    size_t capacity = (size_t)view->count(view->context, TABLE_MUTE_AHEAD);
    Tocsin__Counters *counters = counters_get(view, NULL);
    set->revision = counters != NULL ? counters->mutes_revision : 0;
    tocsin__counters__free_unpacked(counters, NULL);
    set->mutes = must(calloc(capacity + 1, sizeof *set->mutes));
    struct walk walk = walk_all(view, TABLE_MUTE_AHEAD);
    while (set->count < capacity && walk_next(&walk)) {
        (void)add(set, mute_get(view, span_number(walk.key, 0), NULL)); /* a row without a record: the state has a fault */
    }
    return set;
}

void mute_set_free(struct mute_set *set)
{
    if (set == NULL) {
        return;
    }
    for (size_t i = 0; i < set->count; i++) {
        for (size_t j = 0; j < set->mutes[i].mute->n_matchers; j++) {
            pattern_free(set->mutes[i].tests[j].pattern);
        }
        free(set->mutes[i].tests);
        tocsin__mute__free_unpacked(set->mutes[i].mute, NULL);
    }
    free(set->mutes);
    free(set);
}

uint64_t mute_set_revision(const struct mute_set *set)
{
    return set->revision;
}

/* Adds to *steps what labels cost; what expressions cost is taken from the facts. */
static bool fits(const struct compiled *compiled, struct labels *labels, struct facts *facts, uint64_t *steps)
{
    for (size_t i = 0; i < compiled->mute->n_matchers; i++) {
        const struct label_test *test = &compiled->tests[i];
        const char *label = label_of(labels, test->matcher->name);
        *steps += steps_of_label(label);
        if (!test_holds(test, facts, label)) {
            return false;
        }
    }
    return true;
}

/* Adds to *steps what it cost. */
static uint64_t find(const struct mute_set *set, const struct machine_store *view, const Tocsin__Alert *alert,
                     uint64_t now_ms, uint64_t *steps)
{
    struct labels labels = labels_of(view, alert);
    struct facts facts;
    const Tocsin__Mute *found = NULL;
    facts_init(&facts, json_object(), now_ms);
    for (size_t i = 0; i < set->count; i++) {
        const Tocsin__Mute *mute = set->mutes[i].mute;
        bool in_force = mute->start_ms <= now_ms && now_ms < mute->end_ms;
        bool later = found == NULL || mute->end_ms > found->end_ms;
        if (in_force && later && fits(&set->mutes[i], &labels, &facts, steps)) {
            found = mute;
        }
    }
    *steps += STEPS_PER_EVENT - facts.steps_left;
    uint64_t id = found != NULL ? found->id : 0;
    facts_close(&facts);
    labels_free(&labels);
    return id;
}

uint64_t mute_set_find(const struct mute_set *set, const struct machine_store *view, const Tocsin__Alert *alert,
                       uint64_t now_ms)
{
    uint64_t steps = 0;
    return find(set, view, alert, now_ms, &steps);
}

size_t mute_set_judge(const struct mute_set *set, const struct machine_store *view, uint64_t now_ms,
                      Tocsin__MuteVerdict verdicts[LIMIT_VERDICTS_PER_COMMAND])
{
    uint64_t steps = 0;
    size_t count = 0;
    struct walk walk = walk_under(view, TABLE_HELD, 0);
    while (count < LIMIT_VERDICTS_PER_COMMAND && steps < MUTE_STEPS_PER_TURN && walk_next(&walk)) {
        Tocsin__Alert *alert = alert_get(view, 0, span_number(walk.key, 1), NULL);
        if (alert == NULL) {
            continue; /* the state has a fault, which the reader tells of */
        }
        tocsin__mute_verdict__init(&verdicts[count]);
        verdicts[count].alert_id = alert->id;
        verdicts[count].severity = (uint32_t)alert->severity;
        verdicts[count++].mute_id = find(set, view, alert, now_ms, &steps);
        tocsin__alert__free_unpacked(alert, NULL);
    }
    return count;
}
