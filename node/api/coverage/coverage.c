/* GET /coverage: every hole before an incident finds it. */
#include "node/api/coverage/coverage.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/orchestration/orchestration.h"
#include "node/api/render.h"
#include "node/api/router.h"

#define HOLE_SENTENCE_SIZE_BYTES 4096
#define SILENT_DAYS_MAX 3660

static const struct {
    const char *word, *action; /* what to do about it */
} kinds[HOLE_KINDS] = {
    [HOLE_GUARDIANS_MISSING] = {"guardians_missing", "Name guardians in the configuration of the nodes."},
    [HOLE_SCHEDULE_EMPTY] = {"schedule_empty", "Add people to a layer of the schedule, or take it out of its policies."},
    [HOLE_SCHEDULE_GAP] = {"schedule_gap", "Add a layer below the others that has somebody at all times, or an override."},
    [HOLE_SCHEDULE_LAYER_EMPTY] = {"schedule_layer_empty", "Add people to the layer, or end it."},
    [HOLE_SCHEDULE_LAYER_HIDDEN] = {"schedule_layer_hidden",
                                    "Give a secondary rotation a schedule of its own, as the next level of the policy."},
    [HOLE_POLICY_NOBODY] = {"policy_nobody", "Add people, or schedules that have somebody, to a level of the policy."},
    [HOLE_POLICY_LEVEL_NOBODY] = {"policy_level_nobody",
                                  "Add people, or schedules that have somebody, to the level, or take it away."},
    [HOLE_USER_WITHOUT_CONTACT_METHOD] = {"user_without_contact_method",
                                          "Add a contact method: POST /users/{id}/contact_methods."},
    [HOLE_USER_WITHOUT_RULE] = {"user_without_rule", "Add a notification rule: POST /users/{id}/notification_rules."},
    [HOLE_USER_UNVERIFIED] = {"user_unverified",
                              "Have a code sent, and give it back: POST /users/{id}/contact_methods/{id}/verification."},
    [HOLE_USER_UNTESTED] = {"user_untested", "Send a test, and give its code back: POST /users/me/test."},
    [HOLE_SERVICE_UNTESTED] = {"service_untested", "Test the service: POST /services/{id}/test, or tocsin test."},
    [HOLE_SERVICE_WITHOUT_INTEGRATION] = {"service_without_integration",
                                          "Add an integration, route events to the service, or disable it."},
    [HOLE_INTEGRATION_NEVER_USED] = {"integration_never_used", "Have the source send an event, or delete the integration."},
    [HOLE_INTEGRATION_SILENT] = {"integration_silent",
                                 "Look whether the source still runs and has the right key, or delete the integration."},
    [HOLE_ADMINISTRATOR_EXPIRES] = {"administrator_expires",
                                    "Make another administrator's token: POST /tokens, or tocsin token create."},
};

static const char *const severities[HOLE_SEVERITIES] = {
    [HOLE_CRITICAL] = "critical", [HOLE_WARNING] = "warning", [HOLE_NOTICE] = "notice"};

/* ---------------------------------------------------------------- what is asked for */

bool coverage_by_team(const struct coverage *coverage)
{
    return query_given(coverage->request, "team_ids");
}

bool coverage_team(const struct coverage *coverage, uint64_t team_id)
{
    return !coverage_by_team(coverage) || (team_id != 0 && query_admits_id(coverage->request, "team_ids", team_id));
}

static bool kind_is_asked(const struct http_request *request, enum hole_kind kind)
{
    bool given = query_given(request, "kind") || query_given(request, "kinds");

    return !given || query_has(request, "kind", kinds[kind].word) || query_has(request, "kinds", kinds[kind].word);
}

/* A kind that does not exist would find nothing, and so look like good news. False: already answered. */
static bool kinds_check(struct http_request *request)
{
    for (size_t i = 0; i < request->query_count; i++) {
        const struct http_parameter *parameter = &request->query[i];
        bool known = !query_is(parameter, "kind") && !query_is(parameter, "kinds");
        for (size_t kind = 0; kind < HOLE_KINDS && !known; kind++) {
            known = strcmp(parameter->value, kinds[kind].word) == 0;
        }
        if (!known) {
            json_t *list = json_pack("[s]", "'kind' must be one of the following:");
            for (size_t kind = 0; kind < HOLE_KINDS; kind++) {
                json_array_append_new(list, json_string(kinds[kind].word));
            }
            api_error(request, 400, 2001, "Invalid Input Provided", list);
            return false;
        }
    }
    return true;
}

/* ---------------------------------------------------------------- finding */

static __attribute__((format(printf, 3, 0))) void hole_put(struct coverage *coverage, struct hole hole,
                                                           const char *format, va_list arguments)
{
    char text[HOLE_SENTENCE_SIZE_BYTES];

    if (!coverage->listed || !kind_is_asked(coverage->request, hole.kind)) {
        return;
    }
    coverage->count++;
    coverage->by_kind[hole.kind]++;
    coverage->by_severity[hole.severity]++;
    if (coverage->listed_count == HOLES_MAX) {
        return;
    }
    coverage->listed_count++;
    (void)vsnprintf(text, sizeof text, format, arguments);
    struct hole *kept = http_alloc(coverage->request, sizeof *kept);
    *kept = hole;
    kept->sentence = http_strdup(coverage->request, text);
    *coverage->last = kept;
    coverage->last = &kept->next;
}

void hole_add(struct coverage *coverage, enum hole_kind kind, enum hole_severity severity, enum hole_object object,
              uint64_t id, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    hole_put(coverage, (struct hole){.kind = kind, .severity = severity, .object = object, .id = id}, format, arguments);
    va_end(arguments);
}

void hole_add_under(struct coverage *coverage, enum hole_kind kind, enum hole_severity severity, enum hole_object object,
                    uint64_t parent, uint64_t id, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    hole_put(coverage, (struct hole){.kind = kind, .severity = severity, .object = object, .parent = parent, .id = id},
             format, arguments);
    va_end(arguments);
}

static const struct stage {
    enum machine_table table;
    void (*look)(struct coverage *coverage, struct span value);
} stages[] = {
    {TABLE_SCHEDULE, holes_of_schedule},
    {TABLE_ESCALATION_POLICY, holes_of_policy},
    {TABLE_USER, holes_of_user},
    {TABLE_SERVICE, holes_of_service},
    {TABLE_ORCHESTRATION_INTEGRATION, holes_of_orchestration_integration},
};
#define STAGES_COUNT (sizeof stages / sizeof *stages)

/* One object, or one step to the next stage; false at the end. */
static bool look(struct coverage *coverage)
{
    const struct stage *stage = &stages[coverage->stage];
    struct walk walk = walk_all(coverage->view, stage->table);

    if (coverage->rows_seen >= COVERAGE_ROWS_MAX) {
        coverage->incomplete = true;
        return false;
    }
    walk.started = coverage->started;
    walk.position = coverage->position;
    if (!walk_next(&walk)) {
        coverage->started = false;
        return ++coverage->stage < STAGES_COUNT;
    }
    coverage->started = true;
    coverage->position = walk.position;
    coverage->rows_seen++;
    stage->look(coverage, walk.value);
    return true;
}

/* ---------------------------------------------------------------- the answer */

static json_t *reference(struct coverage *coverage, const struct hole *hole)
{
    switch (hole->object) {
    case OBJECT_SCHEDULE:
        return reference_schedule(coverage->request, coverage->view, hole->id);
    case OBJECT_POLICY:
        return reference_escalation_policy(coverage->request, coverage->view, hole->id);
    case OBJECT_USER:
        return reference_user(coverage->request, coverage->view, hole->id);
    case OBJECT_SERVICE:
        return reference_service(coverage->request, coverage->view, hole->id);
    case OBJECT_INTEGRATION: {
        const Tocsin__Integration *integration =
            integration_get(coverage->view, hole->parent, hole->id, request_memory(coverage->request));
        return integration != NULL ? reference_integration(coverage->request, integration) : json_null();
    }
    case OBJECT_ORCHESTRATION:
        return reference_orchestration(coverage->request, hole->parent);
    case OBJECT_CLUSTER:
        break;
    }
    return json_null();
}

static json_t *render_findings(struct coverage *coverage)
{
    json_t *list = json_array();

    for (const struct hole *hole = coverage->first; hole != NULL; hole = hole->next) {
        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:s, s:s}", "kind", kinds[hole->kind].word, "severity",
                                              severities[hole->severity], "object", reference(coverage, hole), "sentence",
                                              hole->sentence, "action", kinds[hole->kind].action));
    }
    return list;
}

static json_t *render_counts(const struct coverage *coverage)
{
    json_t *by_severity = json_object(), *by_kind = json_object();

    for (size_t i = 0; i < HOLE_SEVERITIES; i++) {
        json_object_set_new(by_severity, severities[i], json_integer((json_int_t)coverage->by_severity[i]));
    }
    for (size_t i = 0; i < HOLE_KINDS; i++) {
        if (coverage->by_kind[i] > 0) {
            json_object_set_new(by_kind, kinds[i].word, json_integer((json_int_t)coverage->by_kind[i]));
        }
    }
    return json_pack("{s:o, s:o}", "by_severity", by_severity, "by_kind", by_kind);
}

static void answer(struct coverage *coverage)
{
    json_t *body = json_pack("{s:{s:o, s:o, s:I, s:o, s:o, s:b, s:b}}", "coverage", "at", json_time(coverage->now_ms),
                             "until", json_time(coverage->ahead_ms), "count", (json_int_t)coverage->count, "counts",
                             render_counts(coverage), "findings", render_findings(coverage), "more",
                             coverage->count > coverage->listed_count, "complete", !coverage->incomplete);

    api_call_of(coverage->request)->api->coverage_searches--;
    api_json(coverage->request, 200, body);
}

/* ---------------------------------------------------------------- slices */

/* True at the end of the search. */
static bool slice(struct coverage *coverage)
{
    const struct api *api = api_call_of(coverage->request)->api;
    uint64_t began_ms = api->ports.wall_ms(api->ports.context);
    uint64_t allowed_ms = COVERAGE_SLICE_MS / api->coverage_searches;

    for (size_t i = 0; i < COVERAGE_SLICE_OBJECTS; i++) {
        if (!look(coverage)) {
            return true;
        }
        if (api->ports.wall_ms(api->ports.context) - began_ms > allowed_ms) { /* also when that clock was set back */
            break;
        }
    }
    return false;
}

static void on_slice(void *argument, const struct machine_store *view, bool stale)
{
    struct coverage *coverage = argument;
    struct api *api = api_call_of(coverage->request)->api;

    (void)stale;
    if (view == NULL) {
        api->coverage_searches--;
        answer_stopped(coverage->request);
        return;
    }
    coverage->view = view;
    if (slice(coverage)) {
        answer(coverage);
    } else {
        api->ports.read_later(api->ports.context, on_slice, coverage);
    }
}

static void on_read(struct http_request *request, const struct machine_store *view)
{
    struct coverage *coverage = api_call_of(request)->data;
    struct api *api = api_call_of(request)->api;

    api->coverage_searches++;
    coverage->now_ms = api->ports.cluster_ms(api->ports.context);
    coverage->ahead_ms = coverage->now_ms + COVERAGE_AHEAD_DAYS * COVERAGE_DAY_MS;
    coverage->view = view;
    coverage->listed = !coverage_by_team(coverage);
    holes_of_guardians(coverage);
    holes_of_administrators(coverage);
    on_slice(coverage, view, false);
}

/* After how many days a source without habits is silent for long. False: already answered. */
static bool silent_take(struct http_request *request, uint64_t *silent_ms)
{
    const char *text = http_query(request, "silent_days");
    char *end = NULL;
    long days = text != NULL ? strtol(text, &end, 10) : (long)COVERAGE_SILENT_DAYS;

    if (days < 1 || days > SILENT_DAYS_MAX || (end != NULL && *end != '\0')) {
        api_error(request, 400, 2001, "Invalid Input Provided",
                  json_pack("[s]", "'silent_days' must be a whole number from 1 to 3660"));
        return false;
    }
    *silent_ms = (uint64_t)days * COVERAGE_DAY_MS;
    return true;
}

static void coverage_read(struct http_request *request)
{
    struct coverage *coverage = http_alloc(request, sizeof *coverage);

    *coverage = (struct coverage){.request = request, .last = &coverage->first};
    api_call_of(request)->data = coverage;
    if (kinds_check(request) && silent_take(request, &coverage->silent_ms)) {
        api_read(request, on_read);
    }
}

const struct route routes_coverage[] = {
    {"GET", "/coverage", coverage_read, FAMILY_REST, 0},
    {"POST", "/services/{}/test", service_test, FAMILY_REST, ROUTE_JSON_IF_ANY},
    {"GET", "/services/{}/test/{}", service_test_read, FAMILY_REST, 0},
    {"POST", "/users/me/test", person_test, FAMILY_REST, ROUTE_JSON_IF_ANY},
    {"GET", "/users/me/test", person_test_read, FAMILY_REST, 0},
    {"GET", "/incidents/{}/why", incident_why, FAMILY_REST, 0},
    {0},
};
