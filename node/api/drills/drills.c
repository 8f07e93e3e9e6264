/*
 * Page-delivery drills: what is sent to whom how often, how the runs ended, and what is left of the error budget.
 *
 *     POST /drills {"drill": {"name": "SMS", "contact_method": {"type": "sms_contact_method", "address": "5550123"},
 *                             "interval_s": 86400, "delivery_objective_ms": 60000, "target_percent": 99.0, "window_days": 30}}
 *
 * POST /drills/{id}/run runs one now.
 */
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/drills/drills.h"
#include "consensus/machine/limits.h"
#include "node/api/render.h"
#include "node/api/resource.h"

#define DEFAULT_INTERVAL_S 86400u
#define DEFAULT_OBJECTIVE_MS 60000u
#define DEFAULT_TARGET_PERMILLE 990u
#define DEFAULT_WINDOW_DAYS 30u
#define COUNTRY_CODE_MAX 1999
/* In the answer about one drill; GET /drills/{id}/runs has more. */
#define RUNS_SHOWN 10u

static const struct word words_result[] = {
    {TOCSIN__DRILL_RESULT__DRILL_DELIVERED, "delivered"},
    {TOCSIN__DRILL_RESULT__DRILL_LATE, "late"},
    {TOCSIN__DRILL_RESULT__DRILL_FAILED, "failed"},
    {TOCSIN__DRILL_RESULT__DRILL_LOST, "lost"},
    {0, NULL},
};

/* ---------------------------------------------------------------- runs */

static bool was_taken(const Tocsin__DrillRun *run)
{
    return run->result == TOCSIN__DRILL_RESULT__DRILL_DELIVERED || run->result == TOCSIN__DRILL_RESULT__DRILL_LATE;
}

static json_t *render_run(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__DrillRun *run = record;

    (void)request;
    (void)view;
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:b}", "number", (json_int_t)run->number,
                     "notification_id", json_id(run->notification_id), "due_at", json_time(run->due_at_ms), "begun_at",
                     json_time(run->begun_at_ms), "ended_at", json_time(run->ended_at_ms), "result",
                     json_word(words_result, (int)run->result), "delivery_ms",
                     was_taken(run) ? json_integer(run->delivery_ms) : json_null(), "attempts",
                     (json_int_t)run->attempts, "provider", json_text(run->provider), "provider_id",
                     json_text(run->provider_id), "detail", json_text(run->detail), "by_hand", (int)run->by_hand);
}

static bool run_matches(struct http_request *request, const void *record)
{
    const Tocsin__DrillRun *run = record;
    const char *result = word_of(words_result, (int)run->result);

    return !query_given(request, "result") || (result != NULL && query_has(request, "result", result));
}

static const struct resource resource_run = {
    .name = "run",
    .plural = "runs",
    .table = TABLE_DRILL_RUN,
    .descriptor = &tocsin__drill_run__descriptor,
    .matches = run_matches,
    .render = render_run,
};

/* ---------------------------------------------------------------- the service level */

static int by_size(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return (left > right) - (left < right);
}

/* The smallest time that so many percent of the deliveries did not exceed. */
static json_t *percentile(const uint32_t *sorted, size_t count, size_t percent)
{
    return count == 0 ? json_null() : json_integer(sorted[(count * percent + 99) / 100 - 1]);
}

/* The latest runs first; and how long those took that were delivered. */
static json_t *look_at_runs(struct http_request *request, const struct machine_store *view, uint64_t drill_id,
                            json_t *times)
{
    uint32_t *taken_ms = http_alloc(request, LIMIT_DRILL_RUNS_KEPT * sizeof *taken_ms);
    size_t count = 0;
    json_t *runs = json_array();
    struct walk walk = walk_under_backward(view, TABLE_DRILL_RUN, drill_id);

    while (walk_next(&walk)) {
        Tocsin__DrillRun *run = record_unpack(&tocsin__drill_run__descriptor, walk.value, NULL);
        if (run == NULL) {
            abort(); /* the machine wrote it */
        }
        if (json_array_size(runs) < RUNS_SHOWN) {
            json_array_append_new(runs, render_run(request, view, run));
        }
        if (was_taken(run) && count < LIMIT_DRILL_RUNS_KEPT) {
            taken_ms[count++] = run->delivery_ms;
        }
        tocsin__drill_run__free_unpacked(run, NULL);
    }
    qsort(taken_ms, count, sizeof *taken_ms, by_size);
    json_object_set_new(times, "p50", percentile(taken_ms, count, 50));
    json_object_set_new(times, "p99", percentile(taken_ms, count, 99));
    json_object_set_new(times, "max", percentile(taken_ms, count, 100));
    return runs;
}

/* To two places. */
static json_t *json_ratio(double part, double whole)
{
    return whole > 0 ? json_real((double)(int64_t)(part / whole * 100 + 0.5) / 100) : json_null();
}

static json_t *render_level(const Tocsin__Drill *drill, const Tocsin__DrillState *state)
{
    json_int_t bad = (json_int_t)state->late + state->failed, counted = bad + state->delivered,
               budget = (json_int_t)drill_budget(drill, state);
    /* 1: the budget lasts just as long as the window. */
    double allowed = (double)counted * (1000 - drill->target_permille) / 1000;

    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:{s:I, s:I, s:I, s:o}}", "runs", counted, "delivered_in_time",
                     (json_int_t)state->delivered, "late", (json_int_t)state->late, "failed", (json_int_t)state->failed,
                     "lost", (json_int_t)state->lost, "percent_in_time",
                     json_ratio(100.0 * state->delivered, (double)counted), "error_budget", "total", budget, "spent",
                     bad, "left", budget - bad, "burn_rate", json_ratio((double)bad, allowed));
}

/* ---------------------------------------------------------------- the drill */

static json_t *render_contact(const Tocsin__ContactMethod *method)
{
    json_t *object = json_pack("{s:o, s:s}", "type", json_word(words_contact_method_type, (int)method->channel),
                               "address", method->address);

    if (method->country_code != 0) {
        json_object_set_new(object, "country_code", json_integer(method->country_code));
    }
    return object;
}

static json_t *render_drill(struct http_request *request, const struct machine_store *view, const void *record)
{
    const Tocsin__Drill *drill = record;
    const Tocsin__DrillState *state = drill_state_get(view, drill->id, request_memory(request));
    char id[16];

    if (state == NULL) {
        abort(); /* written with the drill */
    }
    id_format(drill->id, id);
    json_t *object = render_head(drill->id, "drill", drill->name, render_self(request, "/drills/%s", id));
    json_t *level = render_level(drill, state);
    json_object_set_new(object, "name", json_string(drill->name));
    json_object_set_new(object, "enabled", json_boolean(!drill->disabled));
    json_object_set_new(object, "contact_method", render_contact(drill->contact_method));
    json_object_set_new(object, "interval_s", json_integer(drill->interval_s));
    json_object_set_new(object, "delivery_objective_ms", json_integer(drill->delivery_objective_ms));
    json_object_set_new(object, "target_percent", json_real(drill->target_permille / 10.0));
    json_object_set_new(object, "window_days", json_integer(drill->window_days));
    json_object_set_new(object, "created_at", json_time(drill->created_at_ms));
    json_object_set_new(object, "next_run_at", json_time(state->next_due_ms));
    json_object_set_new(object, "last_run_at", json_time(state->begun_at_ms));
    json_object_set_new(object, "under_way", json_boolean(state->notification_id != 0));
    json_object_set_new(object, "failing", json_boolean(state->failing));
    if (api_call_of(request)->parameters[0] != NULL) { /* of one alone, for it looks at every run */
        json_t *times = json_object();
        json_object_set_new(object, "runs", look_at_runs(request, view, drill->id, times));
        json_object_set_new(level, "delivery_ms", times);
    }
    json_object_set_new(object, "service_level", level);
    return object;
}

static const struct resource resource_drill = {
    .name = "drill",
    .plural = "drills",
    .table = TABLE_DRILL,
    .descriptor = &tocsin__drill__descriptor,
    .render = render_drill,
};

/* ---------------------------------------------------------------- the body */

/* As a whole: a part of it alone would be another address by chance. */
static void take_contact(const struct field_target *target, bool required, Tocsin__Drill *drill)
{
    struct field_reader *reader = target->reader;
    struct field_reader inner = {.request = reader->request, .prefix = "contact_method."};
    Tocsin__ContactMethod *method = http_alloc(reader->request, sizeof *method);
    const char *address = "";
    int channel = 0;
    int64_t country_code = 0;
    bool present = false;

    if (!field_object(reader, "contact_method", &inner.object)) {
        return;
    }
    if (inner.object == NULL) {
        if (required) {
            field_error(reader, "'contact_method' can't be blank");
        }
        return;
    }
    tocsin__contact_method__init(method);
    if (field_word(&inner, "type", words_contact_method_type, &channel, &present) && !present) {
        field_error(&inner, "'contact_method.type' can't be blank");
    }
    (void)field_string(&inner, "address", LIMIT_ADDRESS_CHARACTERS, &address, &present);
    (void)field_integer(&inner, "country_code", 1, COUNTRY_CODE_MAX, &country_code, &present);
    if (inner.errors != NULL) {
        json_t *sentence;
        size_t i;
        json_array_foreach(inner.errors, i, sentence)
        {
            field_error(reader, "%s", json_string_value(sentence));
        }
        json_decref(inner.errors);
        return;
    }
    method->channel = (Tocsin__Channel)channel;
    method->address = http_strdup(reader->request, address);
    method->country_code = (uint32_t)country_code;
    drill->contact_method = method;
    target_mark(target, "contact_method");
}

static void take_number(const struct field_target *target, const char *name, int64_t least, int64_t most,
                        uint32_t *slot)
{
    int64_t number = 0;
    bool present = false;

    if (field_integer(target->reader, name, least, most, &number, &present) && present) {
        *slot = (uint32_t)number;
        target_mark(target, name);
    }
}

/* Percent with one place. */
static void take_target(const struct field_target *target, Tocsin__Drill *drill)
{
    json_t *value = json_object_get(target->reader->object, "target_percent");

    if (value == NULL || json_is_null(value)) {
        return;
    }
    double permille = json_number_value(value) * 10;
    bool bounded = permille >= DRILL_TARGET_PERMILLE_LEAST && permille <= 1000;
    uint32_t whole = bounded ? (uint32_t)(permille + 0.5) : 0;
    double off = permille - whole;
    if (!json_is_number(value) || !bounded || off > 1e-6 || off < -1e-6) {
        field_error(target->reader, "'target_percent' must be a number from %u to 100 with one place at most",
                    DRILL_TARGET_PERMILLE_LEAST / 10);
        return;
    }
    drill->target_permille = whole;
    target_mark(target, "target_permille");
}

static bool take_drill(struct http_request *request, uint64_t id)
{
    struct field_reader reader;
    bool present = false, enabled = true;

    if (!body_open(request, "drill", &reader)) {
        return false;
    }
    Tocsin__DrillPut *put = api_command(request, TOCSIN__COMMAND__BODY_DRILL_PUT)->drill_put;
    Tocsin__Drill *drill = http_alloc(request, sizeof *drill);
    struct field_target target = {&reader, &tocsin__drill__descriptor, &put->fields};
    tocsin__drill__init(drill);
    put->id = id;
    put->drill = drill;
    drill->interval_s = DEFAULT_INTERVAL_S;
    drill->delivery_objective_ms = DEFAULT_OBJECTIVE_MS;
    drill->target_permille = DEFAULT_TARGET_PERMILLE;
    drill->window_days = DEFAULT_WINDOW_DAYS;
    target_name(&target, "name", LIMIT_NAME_CHARACTERS, "name", id == 0, &drill->name);
    take_contact(&target, id == 0, drill);
    take_number(&target, "interval_s", DRILL_INTERVAL_SECONDS_LEAST, LIMIT_DRILL_INTERVAL_SECONDS, &drill->interval_s);
    take_number(&target, "delivery_objective_ms", DRILL_OBJECTIVE_MS_LEAST, LIMIT_DRILL_OBJECTIVE_MS,
                &drill->delivery_objective_ms);
    take_number(&target, "window_days", 1, LIMIT_DRILL_WINDOW_DAYS, &drill->window_days);
    take_target(&target, drill);
    if (field_boolean(&reader, "enabled", &enabled, &present) && present) {
        drill->disabled = !enabled;
        target_mark(&target, "disabled");
    }
    return fields_finish(&reader);
}

/* ---------------------------------------------------------------- handlers */

static void drills_list(struct http_request *request)
{
    resource_list(request, &resource_drill);
}

static void drill_create(struct http_request *request)
{
    if (take_drill(request, 0)) {
        resource_save(request, &resource_drill, 0, 201);
    }
}

static void drill_read(struct http_request *request)
{
    uint64_t id;

    if (path_id(request, 0, &id)) {
        resource_get(request, &resource_drill, 0, id);
    }
}

static void drill_update(struct http_request *request)
{
    uint64_t id;

    if (path_id(request, 0, &id) && take_drill(request, id)) {
        resource_save(request, &resource_drill, 0, 200);
    }
}

static void drill_remove(struct http_request *request)
{
    uint64_t id;

    if (path_id(request, 0, &id)) {
        api_command(request, TOCSIN__COMMAND__BODY_DRILL_DELETE)->drill_delete->id = id;
        resource_delete(request);
    }
}

static void drill_run(struct http_request *request)
{
    uint64_t id;

    if (path_id(request, 0, &id)) {
        api_command(request, TOCSIN__COMMAND__BODY_DRILL_START)->drill_start->id = id;
        resource_save(request, &resource_drill, 0, 202);
    }
}

/* The oldest first. */
static void drill_runs(struct http_request *request)
{
    uint64_t id;

    if (path_id(request, 0, &id)) {
        resource_list_under(request, &resource_run, &resource_drill, id);
    }
}

const struct route routes_drills[] = {
    {"GET", "/drills", drills_list, FAMILY_REST, 0},
    {"POST", "/drills", drill_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/drills/{}", drill_read, FAMILY_REST, 0},
    {"PUT", "/drills/{}", drill_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"DELETE", "/drills/{}", drill_remove, FAMILY_REST, 0},
    {"POST", "/drills/{}/run", drill_run, FAMILY_REST, ROUTE_JSON_IF_ANY},
    {"GET", "/drills/{}/runs", drill_runs, FAMILY_REST, 0},
    {0},
};
