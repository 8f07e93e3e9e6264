/* Who is on call: by policy and level (/oncalls), in one schedule for a span of time, and at any moment with what said
 * so. */
#include <stdio.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/schedules/schedules.h"
#include "node/api/people/people.h"
#include "node/api/render.h"
#include "node/api/schedules/schedules.h"

/* How far shifts are followed beyond the span that is asked for: longer ones are cut there. */
#define SHIFT_MS_MAX (90ull * 24 * 3600 * 1000)

/* Without since and until: now. False: answered with 400. */
static bool window_or_now(struct http_request *request, struct window *window)
{
    if (!window_parse(request, window)) {
        return false;
    }
    if (!window->given) {
        window->since_ms = api_cluster_ms(request);
        window->until_ms = window->since_ms + 1;
    }
    return true;
}

/* ---------------------------------------------------------------- /oncalls */

struct oncalls_call {
    struct window window;
    bool earliest;
    struct page page;
    struct zone *zone; /* of shown times; NULL: UTC */
    json_t *oncalls;
};

struct level_call {
    struct oncalls_call *call;
    const Tocsin__EscalationPolicy *policy;
    unsigned level;
    json_t *seen; /* users of this level that have an entry, when only the earliest count */
};

/* True when the entry belongs to the page. */
static bool take_user(struct http_request *request, struct level_call *level, uint64_t user_id)
{
    char id[16];

    if (!query_admits_id(request, "user_ids", user_id)) {
        return false;
    }
    id_format(user_id, id);
    if (level->call->earliest && json_object_get(level->seen, id) != NULL) {
        return false;
    }
    json_object_set_new(level->seen, id, json_true());
    return page_take(&level->call->page);
}

/* `shift` NULL: a user who is a target by name, always. */
static void add_oncall(struct http_request *request, const struct machine_store *view, struct level_call *level,
                       uint64_t user_id, uint64_t schedule_id, const struct shift *shift)
{
    const struct zone *zone = level->call->zone;

    json_array_append_new(level->call->oncalls,
                          json_pack("{s:o, s:o, s:o, s:i, s:o, s:o}", "escalation_policy",
                                    reference_escalation_policy(request, view, level->policy->id), "user",
                                    reference_user(request, view, user_id), "schedule",
                                    schedule_id != 0 ? reference_schedule(request, view, schedule_id) : json_null(),
                                    "escalation_level", (int)level->level, "start",
                                    shift != NULL ? json_time_in(zone, shift->start_ms) : json_null(), "end",
                                    shift != NULL ? json_time_in(zone, shift->end_ms) : json_null()));
}

/* The whole of a shift that was cut. */
static struct shift whole_shift(const struct machine_store *view, const Tocsin__Schedule *schedule, struct shift cut)
{
    struct shifts shifts = {0};
    struct shift whole = cut;

    schedule_final(view, schedule, cut.start_ms > SHIFT_MS_MAX ? cut.start_ms - SHIFT_MS_MAX : 0,
                   cut.end_ms + SHIFT_MS_MAX, &shifts);
    for (size_t i = 0; i < shifts.count; i++) {
        if (shifts.list[i].start_ms <= cut.start_ms && shifts.list[i].end_ms >= cut.end_ms) {
            whole = shifts.list[i];
        }
    }
    shifts_free(&shifts);
    return whole;
}

/* Only the first and the last in the window may have been cut by it. */
static void take_schedule(struct http_request *request, const struct machine_store *view, struct level_call *level,
                          uint64_t schedule_id)
{
    const struct window *window = &level->call->window;
    Tocsin__Schedule *schedule = schedule_get(view, schedule_id, NULL);
    struct shifts shifts = {0};

    if (schedule == NULL) {
        return;
    }
    schedule_final(view, schedule, window->since_ms, window->until_ms, &shifts);
    for (size_t i = 0; i < shifts.count; i++) {
        struct shift shift = shifts.list[i];
        if (!take_user(request, level, shift.user_id)) {
            continue;
        }
        if (i == 0 || i + 1 == shifts.count) {
            shift = whole_shift(view, schedule, shift);
        }
        add_oncall(request, view, level, shift.user_id, schedule_id, &shift);
    }
    shifts_free(&shifts);
    tocsin__schedule__free_unpacked(schedule, NULL);
}

static void take_policy(struct http_request *request, const struct machine_store *view, struct oncalls_call *call,
                        const Tocsin__EscalationPolicy *policy)
{
    for (size_t i = 0; i < policy->n_levels; i++) {
        const Tocsin__EscalationLevel *given = policy->levels[i];
        struct level_call level = {.call = call, .policy = policy, .level = (unsigned)i + 1, .seen = json_object()};
        for (size_t j = 0; j < given->n_user_ids && !query_given(request, "schedule_ids"); j++) {
            if (take_user(request, &level, given->user_ids[j])) {
                add_oncall(request, view, &level, given->user_ids[j], 0, NULL);
            }
        }
        for (size_t j = 0; j < given->n_schedule_ids && !page_done(&call->page); j++) {
            if (query_admits_id(request, "schedule_ids", given->schedule_ids[j])) {
                take_schedule(request, view, &level, given->schedule_ids[j]);
            }
        }
        json_decref(level.seen);
    }
}

static void on_read_oncalls(struct http_request *request, const struct machine_store *view)
{
    struct oncalls_call *call = api_call_of(request)->data;
    const char *zone_name = http_query(request, "time_zone");
    struct walk walk = walk_all(view, TABLE_ESCALATION_POLICY);
    json_t *answer = json_object();

    call->zone = zone_name != NULL ? zones_load(zone_name) : NULL;
    call->oncalls = json_array();
    while (!page_done(&call->page) && walk_next(&walk)) {
        Tocsin__EscalationPolicy *policy = record_unpack(&tocsin__escalation_policy__descriptor, walk.value, NULL);
        if (query_admits_id(request, "escalation_policy_ids", policy->id)) {
            take_policy(request, view, call, policy);
        }
        tocsin__escalation_policy__free_unpacked(policy, NULL);
    }
    zone_free(call->zone);
    json_object_set_new(answer, "oncalls", call->oncalls);
    page_finish(&call->page, answer);
    api_json(request, 200, answer);
}

void oncalls_list(struct http_request *request)
{
    struct oncalls_call *call = http_alloc(request, sizeof *call);
    const char *earliest = http_query(request, "earliest"), *zone_name = http_query(request, "time_zone");
    struct zone *zone = NULL;

    if (!window_or_now(request, &call->window) || !page_parse(request, &call->page) ||
        (zone_name != NULL && !schedule_zone(request, zone_name, &zone))) {
        return;
    }
    zone_free(zone);
    call->earliest = earliest != NULL && (strcmp(earliest, "true") == 0 || strcmp(earliest, "1") == 0);
    api_call_of(request)->data = call;
    api_read(request, on_read_oncalls);
}

/* ---------------------------------------------------------------- /schedules/{}/users */

struct schedule_call {
    uint64_t schedule_id;
    struct window window;
};

static void on_read_users(struct http_request *request, const struct machine_store *view)
{
    const struct schedule_call *call = api_call_of(request)->data;
    const Tocsin__Schedule *schedule = schedule_get(view, call->schedule_id, request_memory(request));
    struct shifts shifts = {0};
    json_t *users = json_array(), *seen = json_object();

    if (schedule != NULL) {
        schedule_final(view, schedule, call->window.since_ms, call->window.until_ms, &shifts);
    }
    for (size_t i = 0; i < shifts.count; i++) {
        const Tocsin__User *user = user_get(view, shifts.list[i].user_id, request_memory(request));
        char id[16];
        id_format(shifts.list[i].user_id, id);
        if (user != NULL && json_object_get(seen, id) == NULL) {
            json_object_set_new(seen, id, json_true());
            json_array_append_new(users, render_user(request, view, user));
        }
    }
    shifts_free(&shifts);
    json_decref(seen);
    json_t *answer = json_pack("{s:o}", "users", users);
    if (schedule == NULL) {
        json_decref(answer);
        api_not_found(request);
        return;
    }
    api_json(request, 200, answer);
}

void schedule_users(struct http_request *request)
{
    struct schedule_call *call = http_alloc(request, sizeof *call);

    if (path_id(request, 0, &call->schedule_id) && window_or_now(request, &call->window)) {
        api_call_of(request)->data = call;
        api_read(request, on_read_users);
    }
}

/* ---------------------------------------------------------------- /schedules/{}/on_call */

/* The shift in which the moment lies, cut where it is longer than anybody follows; none: an empty one. */
static struct shift shift_at(const struct shifts *shifts, uint64_t at_ms)
{
    for (size_t i = 0; i < shifts->count; i++) {
        if (shifts->list[i].start_ms <= at_ms && shifts->list[i].end_ms > at_ms) {
            return shifts->list[i];
        }
    }
    return (struct shift){0};
}

/* Who comes after the one on call: the first shift that begins later. Null when nobody does within the time that is
 * followed. */
static json_t *next_of(struct http_request *request, const struct machine_store *view, const struct shifts *shifts,
                       uint64_t at_ms)
{
    size_t i = 0;

    while (i < shifts->count && shifts->list[i].start_ms <= at_ms) {
        i++;
    }
    if (i == shifts->count) {
        return json_null();
    }
    return json_pack("{s:o, s:o, s:o}", "user", reference_user(request, view, shifts->list[i].user_id), "start",
                     json_time(shifts->list[i].start_ms), "end", json_time(shifts->list[i].end_ms));
}

static void on_read_on_call(struct http_request *request, const struct machine_store *view)
{
    const struct schedule_call *call = api_call_of(request)->data;
    Tocsin__OnCall on_call = schedule_on_call(view, call->schedule_id, call->window.since_ms);
    const Tocsin__Schedule *schedule = schedule_get(view, call->schedule_id, request_memory(request));
    uint64_t at_ms = call->window.since_ms;
    struct shifts shifts = {0};

    if (schedule == NULL) {
        api_not_found(request);
        return;
    }
    schedule_final(view, schedule, at_ms > SHIFT_MS_MAX ? at_ms - SHIFT_MS_MAX : 0, at_ms + SHIFT_MS_MAX, &shifts);
    struct shift shift = shift_at(&shifts, at_ms);
    json_t *answer = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "start", json_time(shift.start_ms), "end",
                               json_time(shift.end_ms), "next", next_of(request, view, &shifts, at_ms), "at", json_time(call->window.since_ms), "schedule",
                               reference_schedule(request, view, call->schedule_id), "user",
                               on_call.user_id != 0 ? reference_user(request, view, on_call.user_id) : json_null(),
                               "revision", on_call.revision != 0 ? json_integer(on_call.revision) : json_null(),
                               "override", json_id(on_call.override_id));
    shifts_free(&shifts);
    api_json(request, 200, json_pack("{s:o}", "on_call", answer));
}

/* As the machine decides it: at the query's `at`, or now. */
void schedule_on_call_read(struct http_request *request)
{
    struct schedule_call *call = http_alloc(request, sizeof *call);
    const char *at = http_query(request, "at");
    struct field_reader reader = {.request = request, .prefix = ""};

    if (!path_id(request, 0, &call->schedule_id)) {
        return;
    }
    call->window.since_ms = api_cluster_ms(request);
    if (at != NULL && !schedule_time_parse(at, &call->window.since_ms)) {
        field_error(&reader, "'at' must be a time in ISO 8601 format");
    }
    if (fields_finish(&reader)) {
        api_call_of(request)->data = call;
        api_read(request, on_read_on_call);
    }
}
