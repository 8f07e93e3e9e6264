/* Layers to shifts. */
#include "consensus/machine/oncall/render.h"

#include <assert.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/oncall/calendar.h"

#define DAYS_PER_WEEK 7
#define RESTRICTION_DAYS_MAX 7 /* none lasts longer than a week */

/* A span of moments in seconds. */
struct interval {
    int64_t start_s, end_s;
};

static int64_t max_s(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t min_s(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---------------------------------------------------------------- restrictions */

/* Where a restriction is on its way through the days. */
struct cursor {
    const Tocsin__Restriction *restriction;
    int64_t day, step_days;
    struct interval interval; /* of that day */
};

static void cursor_move(struct cursor *cursor, int64_t days, const struct zone *zone)
{
    cursor->day += days;
    int64_t start_s = cursor->day * SECONDS_PER_DAY + cursor->restriction->start_second;
    cursor->interval.start_s = zone_from_local(zone, start_s);
    cursor->interval.end_s = zone_from_local(zone, start_s + cursor->restriction->duration_s);
}

static struct cursor cursor_begin(const Tocsin__Restriction *restriction, const struct zone *zone, int64_t since_s)
{
    int64_t day = floor_div(zone_to_local(zone, since_s), SECONDS_PER_DAY) - RESTRICTION_DAYS_MAX - 1;
    struct cursor cursor = {.restriction = restriction, .day = day, .step_days = 1};
    unsigned days_to_first = 0;
    if (restriction->day_of_week != 0) {
        unsigned wanted = restriction->day_of_week % DAYS_PER_WEEK; /* 7 is Sunday, which the calendar calls 0 */
        days_to_first = (wanted + DAYS_PER_WEEK - calendar_weekday(day)) % DAYS_PER_WEEK;
        cursor.step_days = DAYS_PER_WEEK;
    }
    cursor_move(&cursor, days_to_first, zone);
    return cursor;
}

/* ---------------------------------------------------------------- rotation */

struct rotation {
    const Tocsin__ScheduleLayer *layer;
    const struct zone *zone;
    int64_t origin_local_s;    /* when the first person's first turn begins */
    uint64_t start_ms, end_ms; /* nothing is added beyond; all else is whole seconds */
};

static int64_t turn_start_s(const struct rotation *rotation, int64_t turn)
{
    return zone_from_local(rotation->zone, rotation->origin_local_s + turn * rotation->layer->turn_length_s);
}

/* The turn that holds the moment: the last one that has begun. */
static int64_t turn_at(const struct rotation *rotation, int64_t at_s)
{
    int64_t local_s = zone_to_local(rotation->zone, at_s);
    int64_t turn = floor_div(local_s - rotation->origin_local_s, rotation->layer->turn_length_s);
    while (turn_start_s(rotation, turn) > at_s) {
        turn--;
    }
    while (turn_start_s(rotation, turn + 1) <= at_s) {
        turn++;
    }
    return turn;
}

static uint64_t turn_user(const struct rotation *rotation, int64_t turn)
{
    int64_t count = (int64_t)rotation->layer->n_user_ids;
    return rotation->layer->user_ids[turn - count * floor_div(turn, count)];
}

/* Adds the turns within a span in which the layer is not restricted. */
static void add_turns(const struct rotation *rotation, struct interval interval, struct shifts *out)
{
    for (int64_t turn = turn_at(rotation, interval.start_s); interval.start_s < interval.end_s; turn++) {
        int64_t end_s = min_s(turn_start_s(rotation, turn + 1), interval.end_s);
        uint64_t start_ms = (uint64_t)interval.start_s * 1000, end_ms = (uint64_t)end_s * 1000;
        shifts_add(out, (struct shift){.start_ms = start_ms > rotation->start_ms ? start_ms : rotation->start_ms,
                                       .end_ms = end_ms < rotation->end_ms ? end_ms : rotation->end_ms,
                                       .user_id = turn_user(rotation, turn)});
        interval.start_s = end_s;
    }
}

/* ---------------------------------------------------------------- layers */

/* The cursor whose interval begins first. */
static struct cursor *first_cursor(struct cursor *cursors, size_t count)
{
    struct cursor *first = &cursors[0];
    for (size_t i = 1; i < count; i++) {
        if (cursors[i].interval.start_s < first->interval.start_s) {
            first = &cursors[i];
        }
    }
    return first;
}

/* Restrictions may overlap: what one has covered is left out of the next. */
static void add_restricted(const struct rotation *rotation, struct interval whole, struct shifts *out)
{
    const Tocsin__ScheduleLayer *layer = rotation->layer;
    struct cursor cursors[LIMIT_RESTRICTIONS_PER_LAYER];
    assert(layer->n_restrictions <= LIMIT_RESTRICTIONS_PER_LAYER);
    for (size_t i = 0; i < layer->n_restrictions; i++) {
        cursors[i] = cursor_begin(layer->restrictions[i], rotation->zone, whole.start_s);
    }
    for (int64_t done_s = whole.start_s; done_s < whole.end_s;) {
        struct cursor *cursor = first_cursor(cursors, layer->n_restrictions);
        struct interval next = {max_s(cursor->interval.start_s, done_s), min_s(cursor->interval.end_s, whole.end_s)};
        if (cursor->interval.start_s >= whole.end_s) {
            return;
        }
        cursor_move(cursor, cursor->step_days, rotation->zone);
        if (next.start_s < next.end_s) {
            add_turns(rotation, next, out);
            done_s = next.end_s;
        }
    }
}

uint64_t render_count_max(const Tocsin__Schedule *schedule, uint64_t since_ms, uint64_t until_ms)
{
    uint64_t count = 0;
    for (size_t i = 0; i < schedule->n_layers; i++) {
        const Tocsin__ScheduleLayer *layer = schedule->layers[i];
        uint64_t start_ms = layer->start_ms > since_ms ? layer->start_ms : since_ms;
        uint64_t end_ms = layer->end_ms != 0 && layer->end_ms < until_ms ? layer->end_ms : until_ms;
        if (layer->n_fixed > 0) {
            count += layer->n_fixed;
        } else if (start_ms < end_ms) {
            uint64_t span_s = (end_ms - start_ms) / 1000;
            count += span_s / layer->turn_length_s + layer->n_restrictions * (span_s / SECONDS_PER_DAY + 2) + 2;
        }
    }
    return count;
}

/* Of a calendar. The layer's end, if it has one, cuts it. */
static void add_fixed(const Tocsin__ScheduleLayer *layer, uint64_t since_ms, uint64_t until_ms, struct shifts *out)
{
    uint64_t end_ms = layer->end_ms != 0 && layer->end_ms < until_ms ? layer->end_ms : until_ms;
    for (size_t i = 0; i < layer->n_fixed; i++) {
        const Tocsin__FixedShift *fixed = layer->fixed[i];
        shifts_add(out, (struct shift){.start_ms = fixed->start_ms > since_ms ? fixed->start_ms : since_ms,
                                       .end_ms = fixed->end_ms < end_ms ? fixed->end_ms : end_ms,
                                       .user_id = fixed->user_id});
    }
}

void render_layer(const Tocsin__ScheduleLayer *layer, const struct zone *zone, uint64_t since_ms, uint64_t until_ms,
                  struct shifts *out)
{
    if (layer->n_fixed > 0) {
        add_fixed(layer, since_ms, until_ms, out);
        return;
    }
    assert(layer->n_user_ids > 0 && layer->turn_length_s >= LIMIT_TURN_SECONDS_LEAST);
    struct rotation rotation = {.layer = layer,
                                .zone = zone,
                                .origin_local_s =
                                    zone_to_local(zone, (int64_t)(layer->rotation_virtual_start_ms / 1000)),
                                .start_ms = layer->start_ms > since_ms ? layer->start_ms : since_ms,
                                .end_ms = layer->end_ms != 0 && layer->end_ms < until_ms ? layer->end_ms : until_ms};
    if (rotation.start_ms >= rotation.end_ms) {
        return;
    }
    struct interval whole = {(int64_t)(rotation.start_ms / 1000), (int64_t)((rotation.end_ms + 999) / 1000)};
    if (layer->n_restrictions == 0) {
        add_turns(&rotation, whole, out);
    } else {
        add_restricted(&rotation, whole, out);
    }
}

void render_layers(const Tocsin__Schedule *schedule, const struct zone *zone, uint64_t since_ms, uint64_t until_ms,
                   struct shifts *out)
{
    struct shifts below = {0};
    for (size_t i = 0; i < schedule->n_layers; i++) {
        struct shifts layer = {0}, both = {0};
        render_layer(schedule->layers[i], zone, since_ms, until_ms, &layer);
        shifts_overlay(&below, &layer, &both);
        shifts_free(&below);
        shifts_free(&layer);
        below = both;
    }
    for (size_t i = 0; i < below.count; i++) {
        shifts_add(out, below.list[i]);
    }
    shifts_free(&below);
}
