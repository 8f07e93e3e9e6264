/* Schedules in which nobody is on call for a time, and policies that end in nobody. */
#include <string.h>

#include "node/api/coverage/coverage.h"
#include "node/api/render.h"
#include "node/api/schedules/schedules.h"

#define DAY_MS (24ull * 3600 * 1000)

/* ---------------------------------------------------------------- gaps */

struct gaps {
    uint64_t first_ms, first_end_ms, total_ms;
    size_t count;
};

static void gap_add(struct gaps *gaps, uint64_t start_ms, uint64_t end_ms)
{
    if (end_ms <= start_ms) {
        return;
    }
    if (gaps->count++ == 0) {
        gaps->first_ms = start_ms;
        gaps->first_end_ms = end_ms;
    }
    gaps->total_ms += end_ms - start_ms;
}

static struct gaps gaps_of(struct coverage *coverage, const struct shifts *shifts)
{
    struct gaps gaps = {0};
    uint64_t at_ms = coverage->now_ms;

    for (size_t i = 0; i < shifts->count; i++) {
        gap_add(&gaps, at_ms, shifts->list[i].start_ms);
        at_ms = shifts->list[i].end_ms;
    }
    gap_add(&gaps, at_ms, coverage->now_ms + COVERAGE_AHEAD_MS);
    return gaps;
}

static json_t *reference(struct coverage *coverage, const Tocsin__Schedule *schedule)
{
    return reference_schedule(coverage->request, coverage->view, schedule->id);
}

static void gaps_report(struct coverage *coverage, const Tocsin__Schedule *schedule, const struct gaps *gaps)
{
    json_t *start = json_time(gaps->first_ms), *end = json_time(gaps->first_end_ms);
    const char *severity = gaps->first_ms < coverage->now_ms + DAY_MS ? "critical" : "warning";

    hole_add(coverage, "schedule_gap", severity, reference(coverage, schedule),
             "Nobody is on call in %s from %s to %s: the first of %zu gaps in the next 30 days, %llu hours in all.",
             schedule->name, json_string_value(start), json_string_value(end), gaps->count,
             (unsigned long long)((gaps->total_ms + 3600000 - 1) / 3600000));
    json_decref(start);
    json_decref(end);
}

static void take_shifts(struct coverage *coverage, const Tocsin__Schedule *schedule)
{
    struct shifts shifts = {0};
    char id[16];

    schedule_final(coverage->view, schedule, coverage->now_ms, coverage->now_ms + COVERAGE_AHEAD_MS, &shifts);
    if (shifts.count == 0) {
        id_format(schedule->id, id);
        json_object_set_new(coverage->empty_schedules, id, json_true());
        hole_add(coverage, "schedule_empty", "critical", reference(coverage, schedule),
                 "Nobody is on call in %s in the next 30 days.", schedule->name);
    } else {
        struct gaps gaps = gaps_of(coverage, &shifts);
        if (gaps.count > 0) {
            gaps_report(coverage, schedule, &gaps);
        }
    }
    for (size_t i = 0; i < shifts.count; i++) {
        coverage_person(coverage, shifts.list[i].user_id);
    }
    shifts_free(&shifts);
}

/* ---------------------------------------------------------------- layers */

static bool has_nobody(const Tocsin__ScheduleLayer *layer)
{
    return layer->n_user_ids == 0 && layer->n_fixed == 0;
}

static bool is_over(const struct coverage *coverage, const Tocsin__ScheduleLayer *layer)
{
    return layer->end_ms != 0 && layer->end_ms <= coverage->now_ms;
}

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

/* Whether from now on the upper layer has somebody whenever the lower one has. Told by the definition: the usual mistake
 * is a secondary rotation as a layer over the primary one. */
static bool hides(const struct coverage *coverage, const Tocsin__ScheduleLayer *upper, const Tocsin__ScheduleLayer *lower)
{
    uint64_t from_ms = lower->start_ms > coverage->now_ms ? lower->start_ms : coverage->now_ms;

    return upper->n_user_ids > 0 && upper->n_fixed == 0 && upper->start_ms <= from_ms &&
           (upper->end_ms == 0 || (lower->end_ms != 0 && upper->end_ms >= lower->end_ms)) &&
           (upper->n_restrictions == 0 || same_restrictions(upper, lower));
}

static void take_layer(struct coverage *coverage, const Tocsin__Schedule *schedule, size_t place)
{
    const Tocsin__ScheduleLayer *layer = schedule->layers[place];

    if (is_over(coverage, layer)) {
        return;
    }
    if (has_nobody(layer)) {
        hole_add(coverage, "schedule_layer_empty", "warning", reference(coverage, schedule), "Layer %s of %s has nobody.",
                 layer->name, schedule->name);
        return;
    }
    for (size_t i = place + 1; i < schedule->n_layers; i++) {
        if (hides(coverage, schedule->layers[i], layer)) {
            hole_add(coverage, "schedule_layer_hidden", "warning", reference(coverage, schedule),
                     "Layer %s of %s is wholly hidden by layer %s: its people are never on call. A secondary needs a schedule of"
                     " its own.", layer->name, schedule->name, schedule->layers[i]->name);
            return;
        }
    }
}

void holes_of_schedules(struct coverage *coverage)
{
    struct walk walk = walk_all(coverage->view, TABLE_SCHEDULE);
    Tocsin__Schedule *schedule;

    while ((schedule = coverage_next(coverage, &walk, &tocsin__schedule__descriptor)) != NULL) {
        take_shifts(coverage, schedule);
        for (size_t i = 0; i < schedule->n_layers; i++) {
            take_layer(coverage, schedule, i);
        }
        tocsin__schedule__free_unpacked(schedule, NULL);
    }
}

/* ---------------------------------------------------------------- policies */

static bool level_has_somebody(const struct coverage *coverage, const Tocsin__EscalationLevel *level)
{
    for (size_t i = 0; i < level->n_schedule_ids; i++) {
        char id[16];
        id_format(level->schedule_ids[i], id);
        if (json_object_get(coverage->empty_schedules, id) == NULL) {
            return true;
        }
    }
    return level->n_user_ids > 0;
}

static void take_policy(struct coverage *coverage, const Tocsin__EscalationPolicy *policy)
{
    size_t empty = 0;

    for (size_t i = 0; i < policy->n_levels; i++) {
        for (size_t j = 0; j < policy->levels[i]->n_user_ids; j++) {
            coverage_person(coverage, policy->levels[i]->user_ids[j]);
        }
        empty += level_has_somebody(coverage, policy->levels[i]) ? 0 : 1;
    }
    if (empty == policy->n_levels) {
        hole_add(coverage, "policy_nobody", "critical",
                 reference_escalation_policy(coverage->request, coverage->view, policy->id),
                 "Escalation policy %s ends in nobody: only guardians would hear of its incidents.", policy->name);
        return;
    }
    for (size_t i = 0; i < policy->n_levels && empty > 0; i++) {
        if (!level_has_somebody(coverage, policy->levels[i])) {
            hole_add(coverage, "policy_level_nobody", "warning",
                     reference_escalation_policy(coverage->request, coverage->view, policy->id),
                     "Level %zu of escalation policy %s has nobody in the next 30 days: it is passed at once.", i + 1,
                     policy->name);
        }
    }
}

void holes_of_policies(struct coverage *coverage)
{
    struct walk walk = walk_all(coverage->view, TABLE_ESCALATION_POLICY);
    Tocsin__EscalationPolicy *policy;

    while ((policy = coverage_next(coverage, &walk, &tocsin__escalation_policy__descriptor)) != NULL) {
        take_policy(coverage, policy);
        tocsin__escalation_policy__free_unpacked(policy, NULL);
    }
}
