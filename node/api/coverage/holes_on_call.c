/* Schedules in which nobody is on call for a time, and policies that end in nobody. */
#include "consensus/machine/schedules/schedules.h"
#include "node/api/coverage/coverage.h"
#include "node/api/render.h"
#include "node/api/schedules/schedules.h"

#define HOUR_MS 3600000ull

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
    gap_add(&gaps, at_ms, coverage->ahead_ms);
    return gaps;
}

static void gaps_report(struct coverage *coverage, const Tocsin__Schedule *schedule, const struct gaps *gaps)
{
    json_t *start = json_time(gaps->first_ms), *end = json_time(gaps->first_end_ms);

    hole_add(coverage, HOLE_SCHEDULE_GAP, gaps->first_ms < coverage->now_ms + COVERAGE_DAY_MS ? HOLE_CRITICAL : HOLE_WARNING,
             OBJECT_SCHEDULE, schedule->id,
             "Nobody is on call in %s from %s to %s: the first of %zu gaps in the next %u days, %llu hours in all.",
             schedule_called(schedule), json_string_value(start), json_string_value(end), gaps->count, COVERAGE_AHEAD_DAYS,
             (unsigned long long)((gaps->total_ms + HOUR_MS - 1) / HOUR_MS));
    json_decref(start);
    json_decref(end);
}

static void take_shifts(struct coverage *coverage, const Tocsin__Schedule *schedule)
{
    struct shifts shifts = {0};

    schedule_final(coverage->view, schedule, coverage->now_ms, coverage->ahead_ms, &shifts);
    if (shifts.count == 0) {
        id_set_add(coverage->request, &coverage->empty_schedules, schedule->id);
        hole_add(coverage, HOLE_SCHEDULE_EMPTY, HOLE_CRITICAL, OBJECT_SCHEDULE, schedule->id,
                 "Nobody is on call in %s in the next %u days.", schedule_called(schedule), COVERAGE_AHEAD_DAYS);
    } else {
        struct gaps gaps = gaps_of(coverage, &shifts);
        if (gaps.count > 0) {
            gaps_report(coverage, schedule, &gaps);
        }
    }
    for (size_t i = 0; i < shifts.count; i++) {
        id_set_add(coverage->request, &coverage->people, shifts.list[i].user_id);
    }
    shifts_free(&shifts);
}

static bool schedule_is_asked(const struct coverage *coverage, const Tocsin__Schedule *schedule)
{
    for (size_t i = 0; i < schedule->n_team_ids; i++) {
        if (coverage_team(coverage, schedule->team_ids[i])) {
            return true;
        }
    }
    return !coverage_by_team(coverage);
}

void holes_of_schedule(struct coverage *coverage, struct span value)
{
    Tocsin__Schedule *schedule = record_unpack(&tocsin__schedule__descriptor, value, NULL);

    if (schedule != NULL) {
        coverage->listed = schedule_is_asked(coverage, schedule);
        take_shifts(coverage, schedule);
        if (coverage->listed) {
            holes_of_layers(coverage, schedule);
        }
    }
    tocsin__schedule__free_unpacked(schedule, NULL);
}

/* ---------------------------------------------------------------- policies */

static bool level_has_somebody(const struct coverage *coverage, const Tocsin__EscalationLevel *level)
{
    for (size_t i = 0; i < level->n_schedule_ids; i++) {
        if (!id_set_has(&coverage->empty_schedules, level->schedule_ids[i])) {
            return true;
        }
    }
    return level->n_user_ids > 0;
}

static void take_people(struct coverage *coverage, const Tocsin__EscalationLevel *level)
{
    for (size_t i = 0; i < level->n_user_ids; i++) {
        id_set_add(coverage->request, &coverage->people, level->user_ids[i]);
    }
}

static void take_policy(struct coverage *coverage, const Tocsin__EscalationPolicy *policy)
{
    size_t empty = 0;

    for (size_t i = 0; i < policy->n_levels; i++) {
        take_people(coverage, policy->levels[i]);
        empty += level_has_somebody(coverage, policy->levels[i]) ? 0 : 1;
    }
    if (empty == policy->n_levels) {
        hole_add(coverage, HOLE_POLICY_NOBODY, HOLE_CRITICAL, OBJECT_POLICY, policy->id,
                 "Escalation policy %s ends in nobody: only guardians would hear of its incidents.", policy->name);
        return;
    }
    for (size_t i = 0; i < policy->n_levels && empty > 0; i++) {
        if (!level_has_somebody(coverage, policy->levels[i])) {
            hole_add(coverage, HOLE_POLICY_LEVEL_NOBODY, HOLE_WARNING, OBJECT_POLICY, policy->id,
                     "Level %zu of escalation policy %s has nobody in the next %u days: it is passed at once.", i + 1,
                     policy->name, COVERAGE_AHEAD_DAYS);
        }
    }
}

void holes_of_policy(struct coverage *coverage, struct span value)
{
    Tocsin__EscalationPolicy *policy = record_unpack(&tocsin__escalation_policy__descriptor, value, NULL);

    if (policy != NULL) {
        coverage->listed = coverage_team(coverage, policy->team_id);
        take_policy(coverage, policy);
    }
    tocsin__escalation_policy__free_unpacked(policy, NULL);
}
