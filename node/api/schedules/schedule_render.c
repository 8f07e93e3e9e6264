/* Schedules as JSON: definition, and who is on call in a span of time. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "consensus/machine/schedules/schedules.h"
#include "consensus/machine/schedules/shift_rows.h"
#include "node/api/render.h"
#include "node/api/schedules/schedules.h"
#include "node/api/teams/teams.h"

/* What clients read for the turns of a calendar, which has none: a value that they may send back. */
#define CALENDAR_TURN_S 86400u
/* Entries of all layers in one answer. */
#define ENTRIES_MAX 20000u
/* How far beyond a window entries are followed, when they are wanted whole. */
#define OVERFLOW_MS (90ull * 24 * 3600 * 1000)

/* ---------------------------------------------------------------- putting shifts together */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What no rows say: before the schedule was made, and beyond its horizon. */
static void add_rendered(const Tocsin__Schedule *schedule, uint64_t since_ms, uint64_t until_ms, struct shifts *out)
{
    struct zone *zone = since_ms < until_ms ? zones_load(schedule->time_zone) : NULL;

    if (zone != NULL) {
        render_layers(schedule, zone, since_ms, until_ms, out);
        zone_free(zone);
    }
}

static void add_layers(const struct machine_store *view, const Tocsin__Schedule *schedule, uint64_t since_ms,
                       uint64_t until_ms, struct shifts *out)
{
    struct walk walk = walk_under(view, TABLE_SCHEDULE_REVISION, schedule->id);
    bool more = walk_next(&walk);
    uint64_t known_ms = more ? span_number(walk.key, 1) : UINT64_MAX;

    add_rendered(schedule, since_ms, sooner(until_ms, known_ms), out);
    while (more) {
        uint64_t from_ms = span_number(walk.key, 1);
        struct span rows = schedule_shifts(view, schedule->id, (uint32_t)span_number(walk.key, 2));
        more = walk_next(&walk);
        uint64_t to_ms = more ? span_number(walk.key, 1) : UINT64_MAX;
        size_t count = shift_rows_count(rows);
        from_ms = later(from_ms, since_ms);
        to_ms = sooner(to_ms, until_ms);
        if (from_ms < to_ms && count > 0) {
            shifts_add_rows(out, rows, from_ms, to_ms);
            known_ms = shift_rows_at(rows, count - 1).from_ms;
        }
    }
    add_rendered(schedule, later(since_ms, known_ms), until_ms, out);
}

static int compare_overrides(const void *a, const void *b)
{
    const Tocsin__Override *const *x = a, *const *y = b;

    return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

/* One over the other in the order in which they were made. */
static void add_overrides(const struct machine_store *view, uint64_t schedule_id, uint64_t since_ms, uint64_t until_ms,
                          struct shifts *out)
{
    Tocsin__Override *list[LIMIT_OVERRIDES_PER_SCHEDULE];
    size_t count = 0;
    struct walk walk = walk_under_from(view, TABLE_OVERRIDE, schedule_id, since_ms + 1);

    while (count < LIMIT_OVERRIDES_PER_SCHEDULE && walk_next(&walk)) {
        list[count] = record_unpack(&tocsin__override__descriptor, walk.value, NULL);
        assert(list[count] != NULL); /* the machine wrote it */
        count++;
    }
    qsort(list, count, sizeof(Tocsin__Override *), compare_overrides);
    struct shifts below = {0};
    for (size_t i = 0; i < count; i++) {
        struct shift shift = {later(list[i]->start_ms, since_ms), sooner(list[i]->end_ms, until_ms), list[i]->user_id};
        struct shifts one = {0}, both = {0};
        shifts_add(&one, shift);
        shifts_overlay(&below, &one, &both);
        shifts_free(&below);
        shifts_free(&one);
        below = both;
        tocsin__override__free_unpacked(list[i], NULL);
    }
    for (size_t i = 0; i < below.count; i++) {
        shifts_add(out, below.list[i]);
    }
    shifts_free(&below);
}

void schedule_shifts_of(const struct machine_store *view, const Tocsin__Schedule *schedule, uint64_t since_ms,
                        uint64_t until_ms, struct shifts *layers, struct shifts *overrides)
{
    add_layers(view, schedule, since_ms, until_ms, layers);
    add_overrides(view, schedule->id, since_ms, until_ms, overrides);
}

void schedule_final(const struct machine_store *view, const Tocsin__Schedule *schedule, uint64_t since_ms,
                    uint64_t until_ms, struct shifts *final)
{
    struct shifts layers = {0}, overrides = {0};

    schedule_shifts_of(view, schedule, since_ms, until_ms, &layers, &overrides);
    shifts_overlay(&layers, &overrides, final);
    shifts_free(&layers);
    shifts_free(&overrides);
}

/* ---------------------------------------------------------------- JSON */

json_t *json_time_in(const struct zone *zone, uint64_t time_ms)
{
    int32_t offset_s = zone != NULL ? zone_offset_s(zone, (int64_t)(time_ms / 1000)) : 0;
    time_t local_s = (time_t)((int64_t)(time_ms / 1000) + offset_s);
    int minutes = abs(offset_s) / 60;
    struct tm parts;
    char text[32];

    if (time_ms == 0 || gmtime_r(&local_s, &parts) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts) == 0) {
        return json_null(); /* gmtime_r fails only for years that no int holds */
    }
    if (offset_s == 0) {
        return json_format("%sZ", text);
    }
    return json_format("%s%c%02d:%02d", text, offset_s < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

static json_t *json_entries(struct http_request *request, const struct machine_store *view, const struct zone *zone,
                            const struct shifts *shifts)
{
    json_t *entries = json_array();

    for (size_t i = 0; i < shifts->count; i++) {
        json_array_append_new(entries,
                              json_pack("{s:o, s:o, s:o}", "start", json_time_in(zone, shifts->list[i].start_ms), "end",
                                        json_time_in(zone, shifts->list[i].end_ms), "user",
                                        reference_user(request, view, shifts->list[i].user_id)));
    }
    return entries;
}

/* In per cent, with one decimal. */
static json_t *json_coverage(const struct shifts *clipped, const struct window *window)
{
    uint64_t per_mille = (shifts_covered_ms(clipped) * 1000 + (window->until_ms - window->since_ms) / 2) /
                         (window->until_ms - window->since_ms);

    return json_real((double)per_mille / 10.0);
}

static bool overflow_wanted(const struct http_request *request)
{
    const char *overflow = http_query(request, "overflow");

    return overflow != NULL && (strcmp(overflow, "true") == 0 || strcmp(overflow, "1") == 0);
}

/* Shifts of the window, or of a wider span when entries are to be whole: whole entries that reach into it, or what of
 * them lies in it. */
static void render_entries(struct http_request *request, const struct machine_store *view, const struct zone *zone,
                           const struct window *window, struct shifts *shifts, json_t *object)
{
    struct shifts inside = {0};

    for (size_t i = 0; i < shifts->count; i++) {
        if (shifts->list[i].start_ms < window->until_ms && shifts->list[i].end_ms > window->since_ms) {
            shifts_add(&inside, shifts->list[i]);
        }
    }
    json_t *whole = overflow_wanted(request) ? json_entries(request, view, zone, &inside) : NULL;
    shifts_clip(&inside, window->since_ms, window->until_ms);
    json_object_set_new(object, "rendered_schedule_entries",
                        whole != NULL ? whole : json_entries(request, view, zone, &inside));
    json_object_set_new(object, "rendered_coverage_percentage", json_coverage(&inside, window));
    shifts_free(&inside);
}

static void render_nothing(json_t *object)
{
    json_object_set_new(object, "rendered_schedule_entries", json_array());
    json_object_set_new(object, "rendered_coverage_percentage", json_null());
}

static struct window widened(const struct http_request *request, const struct window *window)
{
    if (!overflow_wanted(request)) {
        return *window;
    }
    return (struct window){.given = true,
                           .since_ms = window->since_ms > OVERFLOW_MS ? window->since_ms - OVERFLOW_MS : 0,
                           .until_ms = window->until_ms + OVERFLOW_MS};
}

static json_t *json_time_of_day(uint32_t second)
{
    return json_format("%02u:%02u:%02u", second / 3600, second / 60 % 60, second % 60);
}

static json_t *render_restrictions(const Tocsin__ScheduleLayer *layer)
{
    json_t *restrictions = json_array();

    for (size_t i = 0; i < layer->n_restrictions; i++) {
        const Tocsin__Restriction *restriction = layer->restrictions[i];
        json_t *object = json_pack("{s:s, s:o, s:I}", "type",
                                   restriction->day_of_week != 0 ? "weekly_restriction" : "daily_restriction",
                                   "start_time_of_day", json_time_of_day(restriction->start_second), "duration_seconds",
                                   (json_int_t)restriction->duration_s);
        if (restriction->day_of_week != 0) {
            json_object_set_new(object, "start_day_of_week", json_integer(restriction->day_of_week));
        }
        json_array_append_new(restrictions, object);
    }
    return restrictions;
}

static json_t *render_a_layer(struct http_request *request, const struct machine_store *view,
                              const Tocsin__ScheduleLayer *layer, const struct zone *schedule_zone,
                              const struct zone *shown_zone, const struct window *window)
{
    json_t *users = json_array();

    for (size_t i = 0; i < layer->n_user_ids; i++) {
        json_array_append_new(users, json_pack("{s:o}", "user", reference_user(request, view, layer->user_ids[i])));
    }
    json_t *object =
        json_pack("{s:o, s:s, s:o, s:o, s:o, s:I, s:o, s:o}", "id", json_id(layer->id), "name", layer->name, "start",
                  json_time_in(shown_zone, layer->start_ms), "end", json_time_in(shown_zone, layer->end_ms),
                  "rotation_virtual_start", json_time_in(shown_zone, layer->rotation_virtual_start_ms),
                  "rotation_turn_length_seconds", (json_int_t)(layer->n_fixed > 0 ? CALENDAR_TURN_S : layer->turn_length_s), "users", users, "restrictions",
                  render_restrictions(layer));
    json_object_set_new(object, "calendar_shifts", json_integer((json_int_t)layer->n_fixed)); /* ours */
    if (!window->given || schedule_zone == NULL) {
        render_nothing(object);
        return object;
    }
    struct window wide = widened(request, window);
    struct shifts shifts = {0};
    render_layer(layer, schedule_zone, wide.since_ms, wide.until_ms, &shifts);
    render_entries(request, view, shown_zone, window, &shifts, object);
    shifts_free(&shifts);
    return object;
}

static json_t *render_users(struct http_request *request, const struct machine_store *view,
                            const Tocsin__Schedule *schedule)
{
    json_t *users = json_array(), *seen = json_object();

    for (size_t i = 0; i < schedule->n_layers; i++) {
        for (size_t j = 0; j < schedule->layers[i]->n_user_ids; j++) {
            json_t *user = reference_user(request, view, schedule->layers[i]->user_ids[j]);
            const char *id = json_string_value(json_object_get(user, "id"));
            if (json_object_get(seen, id) == NULL) {
                json_object_set_new(seen, id, json_true());
                json_array_append(users, user);
            }
            json_decref(user);
        }
    }
    json_decref(seen);
    return users;
}

/* Everything but the final schedule and the overrides. Layers come in reverse: PagerDuty's clients turn them round. */
static json_t *render_definition(struct http_request *request, const struct machine_store *view,
                                 const Tocsin__Schedule *schedule, const struct zone *zone,
                                 const struct zone *shown_zone, const struct window *window)
{
    json_t *object = render_head(schedule->id, "schedule", schedule->name, json_null());
    json_t *layers = json_array();

    if (schedule->id != 0) {
        char id[16];
        id_format(schedule->id, id);
        json_object_set_new(object, "self", render_self(request, "/schedules/%s", id));
        json_object_set_new(object, "revision", json_integer(schedule->revision));
    }
    for (size_t i = schedule->n_layers; i-- > 0;) {
        json_array_append_new(layers, render_a_layer(request, view, schedule->layers[i], zone, shown_zone, window));
    }
    json_object_set_new(object, "name", json_string(schedule->name));
    json_object_set_new(object, "description", json_text(schedule->description));
    json_object_set_new(object, "time_zone", json_string(schedule->time_zone));
    json_object_set_new(object, "schedule_layers", layers);
    json_object_set_new(object, "users", render_users(request, view, schedule));
    json_object_set_new(object, "escalation_policies", json_array());
    json_object_set_new(object, "teams", render_teams(request, view, schedule->team_ids, schedule->n_team_ids));
    return object;
}

static void render_final(struct http_request *request, const struct machine_store *view, const struct zone *shown_zone,
                         const struct window *window, struct shifts *layers, const struct shifts *overrides,
                         json_t *object)
{
    json_t *final = json_pack("{s:s}", "name", "Final Schedule"),
           *subschedule = json_pack("{s:s}", "name", "Overrides");
    struct shifts both = {0}, above = {0};

    if (window->given) {
        shifts_overlay(layers, overrides, &both);
        render_entries(request, view, shown_zone, window, &both, final);
        for (size_t i = 0; i < overrides->count; i++) {
            shifts_add(&above, overrides->list[i]);
        }
        render_entries(request, view, shown_zone, window, &above, subschedule);
    } else {
        render_nothing(final);
        render_nothing(subschedule);
    }
    json_object_set_new(object, "final_schedule", final);
    json_object_set_new(object, "overrides_subschedule", subschedule);
    shifts_free(&both);
    shifts_free(&above);
}

bool schedule_shows(struct http_request *request, const Tocsin__Schedule *schedule, const struct window *window)
{
    struct window wide = widened(request, window);
    struct field_reader reader = {.request = request, .prefix = ""};

    if (window->given && render_count_max(schedule, wide.since_ms, wide.until_ms) > ENTRIES_MAX) {
        field_error(&reader, "The schedule has too many shifts in this time: ask for a shorter one");
    }
    return fields_finish(&reader);
}

json_t *render_shown(struct http_request *request, const struct machine_store *view, const Tocsin__Schedule *schedule,
                     const struct window *window)
{
    const char *shown_name = http_query(request, "time_zone");
    struct shifts layers = {0}, overrides = {0};

    if (window->given) {
        struct window wide = widened(request, window);
        schedule_shifts_of(view, schedule, wide.since_ms, wide.until_ms, &layers, &overrides);
    }
    struct zone *zone = zones_load(schedule->time_zone), *other = shown_name != NULL ? zones_load(shown_name) : NULL;
    const struct zone *shown = other != NULL ? other : zone;
    json_t *object = render_definition(request, view, schedule, zone, shown, window);
    render_final(request, view, shown, window, &layers, &overrides, object);
    shifts_free(&layers);
    shifts_free(&overrides);
    zone_free(zone);
    zone_free(other);
    return object;
}

json_t *render_schedule(struct http_request *request, const struct machine_store *view, const void *schedule)
{
    return render_shown(request, view, schedule, &(struct window){.given = false});
}

json_t *render_preview(struct http_request *request, const struct machine_store *view, const Tocsin__Schedule *schedule,
                       const struct zone *zone, const struct window *window)
{
    struct shifts layers = {0}, none = {0};
    struct window wide = widened(request, window);

    render_layers(schedule, zone, wide.since_ms, wide.until_ms, &layers);
    json_t *object = render_definition(request, view, schedule, zone, zone, window);
    render_final(request, view, zone, window, &layers, &none, object);
    shifts_free(&layers);
    return object;
}

static bool policy_names(const Tocsin__EscalationPolicy *policy, uint64_t schedule_id)
{
    for (size_t i = 0; i < policy->n_levels; i++) {
        for (size_t j = 0; j < policy->levels[i]->n_schedule_ids; j++) {
            if (policy->levels[i]->schedule_ids[j] == schedule_id) {
                return true;
            }
        }
    }
    return false;
}

/* No index says so, hence one walk for all schedules of an answer. */
void complete_policies(struct http_request *request, const struct machine_store *view, json_t *schedules)
{
    struct walk walk = walk_all(view, TABLE_ESCALATION_POLICY);

    while (json_array_size(schedules) > 0 && walk_next(&walk)) {
        Tocsin__EscalationPolicy *policy = record_unpack(&tocsin__escalation_policy__descriptor, walk.value, NULL);
        size_t i;
        json_t *schedule;

        json_array_foreach (schedules, i, schedule) {
            if (policy_names(policy, id_parse(json_string_value(json_object_get(schedule, "id"))))) {
                json_array_append_new(json_object_get(schedule, "escalation_policies"),
                                      reference_escalation_policy(request, view, policy->id));
            }
        }
        tocsin__escalation_policy__free_unpacked(policy, NULL);
    }
}
