/* Layers of schedules that have nobody, or whose people are never on call. */
#include <stdio.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/schedules/schedules.h"
#include "node/api/coverage/coverage.h"
#include "node/api/schedules/schedules.h"

static bool has_nobody(const Tocsin__ScheduleLayer *layer)
{
    return layer->n_user_ids == 0 && layer->n_fixed == 0;
}

static bool is_over(const struct coverage *coverage, const Tocsin__ScheduleLayer *layer)
{
    return layer->end_ms != 0 && layer->end_ms <= coverage->now_ms;
}

/* By its name, or by its place from the lowest on, as schedules are drawn: a name is optional. */
static const char *layer_name(const Tocsin__Schedule *schedule, size_t place, char number[12])
{
    (void)snprintf(number, 12, "%u", (unsigned)place + 1);
    return schedule->layers[place]->name[0] != '\0' ? schedule->layers[place]->name : number;
}

/* ---------------------------------------------------------------- hidden by one: told by the definition */

static bool same_restrictions(const Tocsin__ScheduleLayer *a, const Tocsin__ScheduleLayer *b)
{
    if (a->n_restrictions != b->n_restrictions) {
        return false;
    }
    for (size_t i = 0; i < a->n_restrictions; i++) {
        if (a->restrictions[i]->start_second != b->restrictions[i]->start_second ||
            a->restrictions[i]->duration_s != b->restrictions[i]->duration_s ||
            a->restrictions[i]->day_of_week != b->restrictions[i]->day_of_week) {
            return false;
        }
    }
    return true;
}

/* Whether from now on the upper layer has somebody whenever the lower one has. The usual mistake is a secondary rotation as a
 * layer over the primary one. */
static bool hides(const struct coverage *coverage, const Tocsin__ScheduleLayer *upper, const Tocsin__ScheduleLayer *lower)
{
    uint64_t from_ms = lower->start_ms > coverage->now_ms ? lower->start_ms : coverage->now_ms;

    return upper->n_user_ids > 0 && upper->n_fixed == 0 && upper->start_ms <= from_ms &&
           (upper->end_ms == 0 || (lower->end_ms != 0 && upper->end_ms >= lower->end_ms)) &&
           (upper->n_restrictions == 0 || same_restrictions(upper, lower));
}

/* The place of the lowest of the layers above that does; 0: none does. */
static size_t hidden_by(const struct coverage *coverage, const Tocsin__Schedule *schedule, size_t place)
{
    for (size_t i = place + 1; i < schedule->n_layers; i++) {
        if (hides(coverage, schedule->layers[i], schedule->layers[place])) {
            return i;
        }
    }
    return 0;
}

/* ---------------------------------------------------------------- hidden by several together: told by their shifts */

/* Whose they are does not matter: somebody's. */
static void render_anybody(const struct coverage *coverage, const Tocsin__ScheduleLayer *layer, const struct zone *zone,
                           struct shifts *out)
{
    struct shifts shifts = {0};

    render_layer(layer, zone, coverage->now_ms, coverage->ahead_ms, &shifts);
    for (size_t i = 0; i < shifts.count; i++) {
        shifts_add(out, (struct shift){shifts.list[i].start_ms, shifts.list[i].end_ms, 1});
    }
    shifts_free(&shifts);
}

static bool is_covered(const struct shifts *lower, const struct shifts *upper)
{
    size_t at = 0;

    for (size_t i = 0; i < lower->count; i++) {
        while (at < upper->count && upper->list[at].end_ms <= lower->list[i].start_ms) {
            at++;
        }
        if (at == upper->count || upper->list[at].start_ms > lower->list[i].start_ms ||
            upper->list[at].end_ms < lower->list[i].end_ms) {
            return false;
        }
    }
    return lower->count > 0;
}

/* From the top down; `above` is when the layers above have somebody. */
static void take_shifts(struct coverage *coverage, const Tocsin__Schedule *schedule, const struct zone *zone)
{
    struct shifts above = {0};

    for (size_t place = schedule->n_layers; place-- > 0;) {
        const Tocsin__ScheduleLayer *layer = schedule->layers[place];
        struct shifts own = {0}, both = {0};
        if (is_over(coverage, layer) || has_nobody(layer)) {
            continue;
        }
        render_anybody(coverage, layer, zone, &own);
        if (is_covered(&own, &above) && hidden_by(coverage, schedule, place) == 0) {
            char number[12];
            hole_add(coverage, HOLE_SCHEDULE_LAYER_HIDDEN, HOLE_WARNING, OBJECT_SCHEDULE, schedule->id,
                     "Layer %s of %s is wholly hidden by the layers above it together for 30 days: its people are never on call.",
                     layer_name(schedule, place, number), schedule_called(schedule));
        }
        shifts_overlay(&own, &above, &both);
        shifts_free(&own);
        shifts_free(&above);
        above = both;
    }
    shifts_free(&above);
}

/* ---------------------------------------------------------------- all of a schedule */

/* How many count; the others are told here. */
static size_t take_definition(struct coverage *coverage, const Tocsin__Schedule *schedule)
{
    size_t live = 0;

    for (size_t i = 0; i < schedule->n_layers; i++) {
        const Tocsin__ScheduleLayer *layer = schedule->layers[i];
        size_t upper = hidden_by(coverage, schedule, i);
        char number[12], upper_number[12];
        if (is_over(coverage, layer)) {
            continue;
        }
        if (has_nobody(layer)) {
            hole_add(coverage, HOLE_SCHEDULE_LAYER_EMPTY, HOLE_WARNING, OBJECT_SCHEDULE, schedule->id, "Layer %s of %s has nobody.",
                     layer_name(schedule, i, number), schedule_called(schedule));
            continue;
        }
        live++;
        if (upper != 0) {
            hole_add(coverage, HOLE_SCHEDULE_LAYER_HIDDEN, HOLE_WARNING, OBJECT_SCHEDULE, schedule->id,
                     "Layer %s of %s is wholly hidden by layer %s: its people are never on call.",
                     layer_name(schedule, i, number), schedule_called(schedule), layer_name(schedule, upper, upper_number));
        }
    }
    return live;
}

void holes_of_layers(struct coverage *coverage, const Tocsin__Schedule *schedule)
{
    bool bounded = render_count_max(schedule, coverage->now_ms, coverage->ahead_ms) <= LIMIT_SHIFTS_PER_SCHEDULE;

    if (take_definition(coverage, schedule) < 2 || !bounded) {
        return;
    }
    struct zone *zone = zones_load(schedule->time_zone);
    if (zone != NULL) {
        take_shifts(coverage, schedule, zone);
        zone_free(zone);
    }
}
