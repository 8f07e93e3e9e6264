/*
 * Two revisions of a schedule side by side: which fields and layers differ, and when somebody else is on call.
 *
 *     from:  |--- Alice ---|--- Bob ---|--- Alice ---|
 *     to:    |--- Alice ------|--- Bob ---|--- Alice -|
 *     spans:               |AB|        |..|             each with whom either has; overrides lie over both
 */
#include <string.h>

#include "node/api/render.h"
#include "node/api/schedules/schedules.h"

#define FOUR_WEEKS_MS (28ull * 24 * 3600 * 1000)
/* Spans of one answer; the rest is left out, and "more" says so. */
#define SPANS_MAX 1000u

struct compare_call {
    uint64_t schedule_id;
    uint32_t from, to;
    struct window window;
};

/* ---------------------------------------------------------------- fields and layers */

static void compare_text(json_t *fields, const char *name, const char *from, const char *to)
{
    if (strcmp(from, to) != 0) {
        json_array_append_new(fields, json_pack("{s:s, s:s, s:s}", "field", name, "from", from, "to", to));
    }
}

static json_t *compare_fields(const Tocsin__Schedule *from, const Tocsin__Schedule *to)
{
    json_t *fields = json_array();

    compare_text(fields, "name", from->name, to->name);
    compare_text(fields, "description", from->description, to->description);
    compare_text(fields, "time_zone", from->time_zone, to->time_zone);
    return fields;
}

static bool same_restrictions(const Tocsin__ScheduleLayer *a, const Tocsin__ScheduleLayer *b)
{
    bool same = a->n_restrictions == b->n_restrictions;

    for (size_t i = 0; same && i < a->n_restrictions; i++) {
        const Tocsin__Restriction *x = a->restrictions[i], *y = b->restrictions[i];
        same = x->start_second == y->start_second && x->duration_s == y->duration_s && x->day_of_week == y->day_of_week;
    }
    return same;
}

static bool same_users(const Tocsin__ScheduleLayer *a, const Tocsin__ScheduleLayer *b)
{
    return a->n_user_ids == b->n_user_ids &&
           (a->n_user_ids == 0 || memcmp(a->user_ids, b->user_ids, a->n_user_ids * sizeof *a->user_ids) == 0);
}

static bool same_fixed(const Tocsin__ScheduleLayer *a, const Tocsin__ScheduleLayer *b)
{
    bool same = a->n_fixed == b->n_fixed;

    for (size_t i = 0; same && i < a->n_fixed; i++) {
        const Tocsin__FixedShift *x = a->fixed[i], *y = b->fixed[i];
        same = x->start_ms == y->start_ms && x->end_ms == y->end_ms && x->user_id == y->user_id;
    }
    return same;
}

/* Names of what differs between two forms of one layer. */
static json_t *compare_layer(const Tocsin__ScheduleLayer *from, const Tocsin__ScheduleLayer *to, size_t place_from,
                             size_t place_to)
{
    const struct {
        const char *name;
        bool same;
    } parts[] = {
        {"name", strcmp(from->name, to->name) == 0},
        {"start", from->start_ms == to->start_ms},
        {"end", from->end_ms == to->end_ms},
        {"rotation_virtual_start", from->rotation_virtual_start_ms == to->rotation_virtual_start_ms},
        {"rotation_turn_length_seconds", from->turn_length_s == to->turn_length_s},
        {"users", same_users(from, to)},
        {"restrictions", same_restrictions(from, to)},
        {"calendar_shifts", same_fixed(from, to)},
        {"order", place_from == place_to},
    };
    json_t *fields = json_array();

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!parts[i].same) {
            json_array_append_new(fields, json_string(parts[i].name));
        }
    }
    return fields;
}

/* The place of the layer with this id, or how many there are. */
static size_t layer_place(const Tocsin__Schedule *schedule, uint64_t id)
{
    size_t place = 0;

    while (place < schedule->n_layers && schedule->layers[place]->id != id) {
        place++;
    }
    return place;
}

static void add_layer(json_t *layers, const Tocsin__ScheduleLayer *layer, const char *change, json_t *fields)
{
    json_array_append_new(layers, json_pack("{s:o, s:s, s:s, s:o}", "id", json_id(layer->id), "name", layer->name,
                                            "change", change, "fields", fields));
}

static json_t *compare_layers(const Tocsin__Schedule *from, const Tocsin__Schedule *to)
{
    json_t *layers = json_array();

    for (size_t i = 0; i < from->n_layers; i++) {
        size_t place = layer_place(to, from->layers[i]->id);
        if (place == to->n_layers) {
            add_layer(layers, from->layers[i], "removed", json_array());
            continue;
        }
        json_t *fields = compare_layer(from->layers[i], to->layers[place], i, place);
        if (json_array_size(fields) > 0) {
            add_layer(layers, to->layers[place], "changed", fields);
        } else {
            json_decref(fields);
        }
    }
    for (size_t i = 0; i < to->n_layers; i++) {
        if (layer_place(from, to->layers[i]->id) == from->n_layers) {
            add_layer(layers, to->layers[i], "added", json_array());
        }
    }
    return layers;
}

/* ---------------------------------------------------------------- who is on call */

/* Who has the moment, 0 for nobody, and when that ends. `at` moves along the list. */
static uint64_t holder(const struct shifts *shifts, size_t *at, uint64_t moment_ms, uint64_t *end_ms)
{
    while (*at < shifts->count && shifts->list[*at].end_ms <= moment_ms) {
        (*at)++;
    }
    if (*at == shifts->count) {
        *end_ms = UINT64_MAX;
        return 0;
    }
    const struct shift *shift = &shifts->list[*at];
    *end_ms = shift->start_ms > moment_ms ? shift->start_ms : shift->end_ms;
    return shift->start_ms > moment_ms ? 0 : shift->user_id;
}

static json_t *user_or_nobody(struct http_request *request, const struct machine_store *view, uint64_t user_id)
{
    return user_id != 0 ? reference_user(request, view, user_id) : json_null();
}

static json_t *compare_shifts(struct http_request *request, const struct machine_store *view, const struct zone *zone,
                              const struct window *window, const struct shifts *from, const struct shifts *to,
                              bool *more)
{
    json_t *spans = json_array();
    size_t a = 0, b = 0;

    for (uint64_t at_ms = window->since_ms; at_ms < window->until_ms && !*more;) {
        uint64_t from_end_ms, to_end_ms;
        uint64_t from_user = holder(from, &a, at_ms, &from_end_ms), to_user = holder(to, &b, at_ms, &to_end_ms);
        uint64_t end_ms = from_end_ms < to_end_ms ? from_end_ms : to_end_ms;
        end_ms = end_ms < window->until_ms ? end_ms : window->until_ms;
        *more = from_user != to_user && json_array_size(spans) == SPANS_MAX;
        if (from_user != to_user && !*more) {
            json_array_append_new(spans, json_pack("{s:o, s:o, s:o, s:o}", "start", json_time_in(zone, at_ms), "end",
                                                   json_time_in(zone, end_ms), "from",
                                                   user_or_nobody(request, view, from_user), "to",
                                                   user_or_nobody(request, view, to_user)));
        }
        at_ms = end_ms;
    }
    return spans;
}

/* The layers of a revision as its own zone has them, under the overrides of the schedule. */
static bool render_one(struct http_request *request, const struct machine_store *view,
                       const Tocsin__Schedule *revision, const struct window *window, struct shifts *final)
{
    struct shifts layers = {0}, none = {0}, overrides = {0};
    struct zone *zone;

    if (!schedule_shows(request, revision, window) || !schedule_zone(request, revision->time_zone, &zone)) {
        return false;
    }
    render_layers(revision, zone, window->since_ms, window->until_ms, &layers);
    schedule_shifts_of(view, revision, window->since_ms, window->until_ms, &none, &overrides);
    shifts_overlay(&layers, &overrides, final);
    shifts_free(&layers);
    shifts_free(&none);
    shifts_free(&overrides);
    zone_free(zone);
    return true;
}

static void on_read_both(struct http_request *request, const struct machine_store *view)
{
    const struct compare_call *state = api_call_of(request)->data;
    ProtobufCAllocator *memory = request_memory(request);
    const Tocsin__Schedule *from = revision_get(view, state->schedule_id, state->from, memory);
    const Tocsin__Schedule *to = revision_get(view, state->schedule_id, state->to, memory);
    struct shifts shifts_from = {0}, shifts_to = {0};
    bool more = false;

    if (from == NULL || to == NULL) {
        api_not_found(request);
        return;
    }
    if (render_one(request, view, from, &state->window, &shifts_from) &&
        render_one(request, view, to, &state->window, &shifts_to)) {
        struct zone *zone = zones_load(to->time_zone);
        json_t *spans = compare_shifts(request, view, zone, &state->window, &shifts_from, &shifts_to, &more);
        zone_free(zone);
        api_json(request, 200,
                 json_pack("{s:{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}}", "comparison", "from",
                           render_revision(request, view, from), "to", render_revision(request, view, to), "fields",
                           compare_fields(from, to), "schedule_layers", compare_layers(from, to), "since",
                           json_time(state->window.since_ms), "until", json_time(state->window.until_ms), "on_call",
                           spans, "more", (int)more));
    }
    shifts_free(&shifts_from);
    shifts_free(&shifts_to);
}

/* ?from=1&to=2; without since and until, the next four weeks. */
void revisions_compare(struct http_request *request)
{
    struct compare_call *state = http_alloc(request, sizeof *state);
    struct field_reader reader = {.request = request, .prefix = ""};
    if (!path_id(request, 0, &state->schedule_id) || !window_parse(request, &state->window)) {
        return;
    }
    if (!state->window.given) {
        uint64_t now_ms = api_cluster_ms(request) / 1000 * 1000;
        state->window = (struct window){.given = true, .since_ms = now_ms, .until_ms = now_ms + FOUR_WEEKS_MS};
    }
    (void)revision_number(&reader, "from", http_query(request, "from"), &state->from);
    (void)revision_number(&reader, "to", http_query(request, "to"), &state->to);
    if (fields_finish(&reader)) {
        api_call_of(request)->data = state;
        api_read(request, on_read_both);
    }
}
