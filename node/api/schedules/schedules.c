/*
 * Schedules: who is on call when.
 *
 *     POST             body ──> definition ──> zone ──> shifts for a year ──> command ──> reply ──> as it now stands
 *     PUT    read ──>  body over what there is ─┘                                │
 *              ^───────────────────────────── another change was quicker ────────┘
 */
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/render.h"
#include "node/api/roles.h"
#include "node/api/schedules/schedules.h"
#include "node/api/teams/teams.h"
#include "node/calendar/calendar_shifts.h"
#include "node/host/zones.h"

#define TRIES_MAX 8 /* of a change that meets others: one of them gets through each time */
#define RENDERED_SHIFTS_MAX 200000u
#define TWO_WEEKS_MS (14ull * 24 * 3600 * 1000)

static bool schedule_matches(struct http_request *request, const void *record)
{
    const Tocsin__Schedule *schedule = record;
    const char *query = http_query(request, "query");

    return (query == NULL || strcasestr(schedule->name, query) != NULL) &&
           query_admits_teams(request, schedule->team_ids, schedule->n_team_ids);
}

const struct resource resource_schedule = {
    .name = "schedule",
    .plural = "schedules",
    .table = TABLE_SCHEDULE,
    .descriptor = &tocsin__schedule__descriptor,
    .matches = schedule_matches,
    .render = render_schedule,
    .complete = complete_policies,
};

/* Lives in call->data while a definition is on its way. */
struct put_call {
    struct schedule_given given;
    uint64_t id;
    unsigned tries;
};

/* ---------------------------------------------------------------- writing */

/* The loop has better things to do than to render millions of shifts, which nobody could follow anyway. */
static bool is_bounded(struct http_request *request, const Tocsin__Schedule *schedule)
{
    struct field_reader reader = {.request = request, .prefix = ""};
    uint64_t now_ms = api_cluster_ms(request);

    if (render_count_max(schedule, now_ms, now_ms + SCHEDULE_HORIZON_MS) > RENDERED_SHIFTS_MAX) {
        field_error(&reader, "The layers of the schedule have too many shifts in a year");
    }
    return fields_finish(&reader);
}

static void put_shifts(struct http_request *request, Tocsin__SchedulePut *put, const struct zone *zone)
{
    uint64_t now_ms = api_cluster_ms(request), since_ms = now_ms - SCHEDULE_RENDER_BEFORE_MS;
    struct shifts shifts = {0};

    since_ms -= since_ms % 1000;
    render_layers(put->schedule, zone, since_ms, since_ms + SCHEDULE_RENDER_BEFORE_MS + SCHEDULE_HORIZON_MS, &shifts);
    struct span rows = shifts_to_rows(&shifts, since_ms, since_ms + SCHEDULE_RENDER_BEFORE_MS + SCHEDULE_HORIZON_MS);
    put->shifts.len = rows.size_bytes;
    put->shifts.data = http_alloc(request, rows.size_bytes);
    memcpy(put->shifts.data, rows.data, rows.size_bytes);
    free((void *)(uintptr_t)rows.data);
    shifts_free(&shifts);
}

static void on_read_for_put(struct http_request *request, const struct machine_store *view);

static void on_put(struct http_request *request, const Tocsin__Reply *reply)
{
    struct put_call *state = api_call_of(request)->data;

    if (reply->reason == TOCSIN__REASON__REASON_STALE_REVISION && ++state->tries < TRIES_MAX) {
        api_read(request, on_read_for_put);
        return;
    }
    resource_saved(request, &resource_schedule, 0, state->id != 0 ? 200 : 201, reply);
}

/* Calendars may have been laid out long ago, in a revision that is restored, say. Those that cannot be now stay as they are. */
static void lay_calendars_out(struct http_request *request, Tocsin__Schedule *schedule, const struct zone *zone)
{
    struct calendar_zones zones = {.own = zone, .load = zones_load};
    uint64_t now_ms = api_cluster_ms(request);

    for (size_t i = 0; i < schedule->n_layers; i++) {
        Tocsin__ScheduleLayer *layer = schedule->layers[i];
        size_t count = 0;
        Tocsin__FixedShift **fixed = layer->n_calendar > 0 ? calendar_shifts(layer, &zones, now_ms - SCHEDULE_RENDER_BEFORE_MS,
                                                                             now_ms + SCHEDULE_HORIZON_MS, &count)
                                                           : NULL;
        if (fixed != NULL) {
            layer->fixed = http_alloc(request, count * sizeof *layer->fixed);
            layer->n_fixed = count;
            for (size_t j = 0; j < count; j++) {
                layer->fixed[j] = http_alloc(request, sizeof **fixed);
                *layer->fixed[j] = *fixed[j];
            }
            free(fixed);
        }
    }
    calendar_zones_free(&zones);
}

bool schedule_command(struct http_request *request, uint64_t id, Tocsin__Schedule *schedule, uint32_t base_revision)
{
    struct zone *zone;

    if (!is_bounded(request, schedule) || !schedule_zone(request, schedule->time_zone, &zone)) {
        return false;
    }
    lay_calendars_out(request, schedule, zone);
    Tocsin__SchedulePut *put = api_command(request, TOCSIN__COMMAND__BODY_SCHEDULE_PUT)->schedule_put;
    put->id = id;
    put->base_revision = base_revision;
    put->schedule = schedule;
    put_shifts(request, put, zone);
    zone_free(zone);
    return true;
}

static void submit_put(struct http_request *request, Tocsin__Schedule *schedule, uint32_t base_revision)
{
    const struct put_call *state = api_call_of(request)->data;

    if (schedule_command(request, state->id, schedule, base_revision)) {
        api_submit(request, on_put);
    }
}

/* Clients send layers back as they read them, and a calendar's shifts are not among that: they stay. */
static void keep_calendars(const Tocsin__Schedule *from, const Tocsin__Schedule *to)
{
    for (size_t i = 0; i < from->n_layers; i++) {
        const Tocsin__ScheduleLayer *old = from->layers[i];
        for (size_t j = 0; j < to->n_layers && old->n_fixed > 0; j++) {
            Tocsin__ScheduleLayer *layer = to->layers[j];
            if (layer->id == old->id) {
                layer->fixed = old->fixed;
                layer->n_fixed = old->n_fixed;
                layer->calendar = old->calendar;
                layer->n_calendar = old->n_calendar;
                layer->user_ids = old->user_ids;
                layer->n_user_ids = old->n_user_ids;
                layer->n_restrictions = 0;
                layer->turn_length_s = 0;
            }
        }
    }
}

/* What the body does not have stays as it is. */
static void on_read_for_put(struct http_request *request, const struct machine_store *view)
{
    struct put_call *state = api_call_of(request)->data;
    const struct schedule_given *given = &state->given;
    Tocsin__Schedule *schedule = schedule_get(view, state->id, request_memory(request));

    if (schedule == NULL) {
        api_not_found(request);
        return;
    }
    uint32_t revision = schedule->revision;
    schedule->restored_from = 0;
    schedule->name = given->name ? given->schedule->name : schedule->name;
    schedule->description = given->description ? given->schedule->description : schedule->description;
    schedule->time_zone = given->time_zone ? given->schedule->time_zone : schedule->time_zone;
    if (given->teams) {
        schedule->team_ids = given->schedule->team_ids;
        schedule->n_team_ids = given->schedule->n_team_ids;
    }
    if (given->layers) {
        keep_calendars(schedule, given->schedule);
        schedule->layers = given->schedule->layers;
        schedule->n_layers = given->schedule->n_layers;
    }
    submit_put(request, schedule, revision);
}

/* ---------------------------------------------------------------- preview */

struct preview_call {
    struct schedule_given given;
    struct window window;
};

static void on_read_for_preview(struct http_request *request, const struct machine_store *view)
{
    struct preview_call *state = api_call_of(request)->data;
    struct zone *zone;

    if (!schedule_shows(request, state->given.schedule, &state->window) ||
        !schedule_zone(request, state->given.schedule->time_zone, &zone)) {
        return;
    }
    json_t *schedule = render_preview(request, view, state->given.schedule, zone, &state->window);
    zone_free(zone);
    api_json(request, 200, json_pack("{s:o}", "schedule", schedule));
}

/* ---------------------------------------------------------------- handlers */

struct shown_call {
    uint64_t id;
    struct window window;
};

/* Of what is shown, the span and the zone. */
static bool shown_is_sane(struct http_request *request, struct window *window)
{
    const char *name = http_query(request, "time_zone");
    struct zone *zone = NULL;

    if (!window_parse(request, window) || (name != NULL && !schedule_zone(request, name, &zone))) {
        return false;
    }
    zone_free(zone);
    return true;
}

static void on_read_shown(struct http_request *request, const struct machine_store *view)
{
    const struct shown_call *state = api_call_of(request)->data;
    const Tocsin__Schedule *schedule = schedule_get(view, state->id, request_memory(request));

    if (schedule == NULL) {
        api_not_found(request);
        return;
    }
    if (!schedule_shows(request, schedule, &state->window)) {
        return;
    }
    json_t *schedules = json_array();
    json_array_append_new(schedules, render_shown(request, view, schedule, &state->window));
    complete_policies(request, view, schedules);
    json_t *answer = json_pack("{s:O}", "schedule", json_array_get(schedules, 0));
    json_decref(schedules);
    api_json(request, 200, answer);
}

static void schedules_list(struct http_request *request)
{
    resource_list(request, &resource_schedule);
}

static void schedule_read(struct http_request *request)
{
    struct shown_call *state = http_alloc(request, sizeof *state);

    if (path_id(request, 0, &state->id) && shown_is_sane(request, &state->window)) {
        api_call_of(request)->data = state;
        api_read(request, on_read_shown);
    }
}

static void schedule_create(struct http_request *request)
{
    struct put_call *state = http_alloc(request, sizeof *state);

    if (role_require(request, PERMISSION_CONFIGURE) && schedule_take(request, true, &state->given)) {
        api_call_of(request)->data = state;
        submit_put(request, state->given.schedule, 0);
    }
}

static void schedule_update(struct http_request *request)
{
    struct put_call *state = http_alloc(request, sizeof *state);

    if (role_require(request, PERMISSION_CONFIGURE) && path_id(request, 0, &state->id) &&
        schedule_take(request, false, &state->given)) {
        api_call_of(request)->data = state;
        api_read(request, on_read_for_put);
    }
}

static void schedule_remove(struct http_request *request)
{
    uint64_t id;

    if (role_require(request, PERMISSION_CONFIGURE) && path_id(request, 0, &id)) {
        api_command(request, TOCSIN__COMMAND__BODY_SCHEDULE_DELETE)->schedule_delete->id = id;
        resource_delete(request);
    }
}

/* Without a window: the two weeks to come. */
static void schedule_preview(struct http_request *request)
{
    struct preview_call *state = http_alloc(request, sizeof *state);

    if (!window_parse(request, &state->window) || !schedule_take(request, true, &state->given)) {
        return;
    }
    if (!state->window.given) {
        uint64_t now_ms = api_cluster_ms(request) / 1000 * 1000;
        state->window = (struct window){.given = true, .since_ms = now_ms, .until_ms = now_ms + TWO_WEEKS_MS};
    }
    api_call_of(request)->data = state;
    api_read(request, on_read_for_preview);
}

const struct route routes_schedules[] = {
    {"GET", "/schedules", schedules_list, FAMILY_REST, 0},
    {"POST", "/schedules", schedule_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"POST", "/schedules/preview", schedule_preview, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/schedules/{}", schedule_read, FAMILY_REST, 0},
    {"PUT", "/schedules/{}", schedule_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"DELETE", "/schedules/{}", schedule_remove, FAMILY_REST, 0},
    {"GET", "/schedules/{}/overrides", overrides_list, FAMILY_REST, 0},
    {"POST", "/schedules/{}/overrides", overrides_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"DELETE", "/schedules/{}/overrides/{}", override_remove, FAMILY_REST, 0},
    {"GET", "/schedules/{}/users", schedule_users, FAMILY_REST, 0},
    {"GET", "/schedules/{}/on_call", schedule_on_call_read, FAMILY_REST, 0},
    {"GET", "/schedules/{}/log_entries", schedule_log_list, FAMILY_REST, 0},
    {"POST", "/schedules/{}/calendar_layers", calendar_layer_create, FAMILY_REST, 0},
    {"PUT", "/schedules/{}/calendar_layers/{}", calendar_layer_replace, FAMILY_REST, 0},
    {"GET", "/schedules/{}/swaps", swaps_list, FAMILY_REST, 0},
    {"POST", "/schedules/{}/swaps", swap_offer, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/schedules/{}/swaps/{}", swap_read, FAMILY_REST, 0},
    {"POST", "/schedules/{}/swaps/{}/take", swap_take, FAMILY_REST, ROUTE_JSON_IF_ANY},
    {"DELETE", "/schedules/{}/swaps/{}", swap_undo, FAMILY_REST, 0},
    {"GET", "/schedules/{}/revisions", revisions_list, FAMILY_REST, 0},
    {"GET", "/schedules/{}/revisions/compare", revisions_compare, FAMILY_REST, 0},
    {"GET", "/schedules/{}/revisions/{}", revision_read, FAMILY_REST, 0},
    {"POST", "/schedules/{}/revisions/{}/restore", revision_restore, FAMILY_REST, 0},
    {"GET", "/oncalls", oncalls_list, FAMILY_REST, 0},
    {0},
};
