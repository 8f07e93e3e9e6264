/* Who a level of an escalation policy is at one moment. */
#include "consensus/machine/paging/level.h"

#include <assert.h>

#include "consensus/machine/checks.h"
#include "consensus/machine/incidents/incidents.h"
#include "consensus/machine/paging/rules.h"
#include "consensus/machine/planted.h"
#include "consensus/machine/schedules/schedules.h"

/* ---------------------------------------------------------------- one target */

/* Whoever is on call, added to `people` with what said so; 0 for nobody. */
static uint64_t ask_schedule(struct apply *apply, uint64_t schedule_id, struct people *people)
{
    Tocsin__OnCall *on_call = apply_alloc(apply, sizeof *on_call);
    *on_call = schedule_on_call(apply->store, schedule_id, apply->time_ms);
    people->on_call[people->on_call_count++] = on_call;
    return on_call->user_id;
}

static const char *schedule_name(struct apply *apply, uint64_t schedule_id)
{
    return schedule_called(schedule_get(apply->store, schedule_id, apply->arena));
}

const char *level_on_call_text(struct apply *apply, const struct people *people)
{
    const char *text = "";
    for (size_t i = 0; i < people->on_call_count; i++) {
        const Tocsin__OnCall *on_call = people->on_call[i];
        text = apply_printf(apply, "%s; %s is on call in %s (%srevision %u)", text,
                            on_call->user_id != 0 ? timeline_user(apply, on_call->user_id) : "nobody",
                            schedule_name(apply, on_call->schedule_id),
                            on_call->override_id != 0 ? "override of " : "", on_call->revision);
    }
    return text;
}

/* ---------------------------------------------------------------- turns */

struct target {
    uint64_t id; /* of the user or the schedule; ids are never shared */
    bool is_schedule;
};

/* In the order in which they were given; the number. */
static size_t targets_in_order(const Tocsin__EscalationLevel *level, struct target *targets)
{
    size_t count = 0, users = 0, schedules = 0;
    while (users < level->n_user_ids || schedules < level->n_schedule_ids) {
        size_t place = schedules < level->n_schedule_places ? level->schedule_places[schedules] : SIZE_MAX;
        if (schedules < level->n_schedule_ids && (users == level->n_user_ids || place <= count)) {
            targets[count++] = (struct target){.id = level->schedule_ids[schedules++], .is_schedule = true};
        } else {
            targets[count++] = (struct target){.id = level->user_ids[users++]};
        }
    }
    return count;
}

static bool can_be_told(struct apply *apply, const Tocsin__Incident *incident, uint64_t user_id)
{
    struct person *person = apply_alloc(apply, sizeof *person);
    if (!person_load(apply->store, apply->arena, user_id, person)) {
        return false;
    }
    (void)person_plan(apply->store, apply->arena, person, incident->urgency);
    return person->plans_count > 0;
}

static void log_passed(struct apply *apply, Tocsin__Incident *incident, const struct target *target, uint64_t user_id)
{
    Tocsin__LogEntry *entry =
        timeline_new(apply, incident, TOCSIN__LOG_TYPE__LOG_NOTIFY, TOCSIN__WHY__WHY_TURN_PASSED, NULL);
    entry->user_id = user_id;
    entry->outcome = TOCSIN__OUTCOME__OUTCOME_NEVER;
    const char *of = target->is_schedule ? schedule_name(apply, target->id) : timeline_user(apply, target->id);
    entry->text = user_id == 0 ? apply_printf(apply, "The turn of %s is passed: nobody is on call.", of)
                               : apply_printf(apply, "The turn of %s is passed: %s has no contact method.", of,
                                              timeline_user(apply, user_id));
    timeline_put(apply, incident, entry);
}

/* Where the turns of the level go on: behind the target that had the last one. When that is no target any more, or
 * nobody had one, from the beginning. */
static size_t turn_first(struct apply *apply, struct key turn, const struct target *targets, size_t count)
{
    uint64_t last_id = index_find(apply, TABLE_TURN, turn);
    for (size_t i = 0; i < count; i++) {
        if (targets[i].id == last_id) {
            return (i + 1) % count;
        }
    }
    return 0;
}

static void people_by_turn(struct apply *apply, Tocsin__Incident *incident, uint64_t policy_id,
                           const Tocsin__EscalationLevel *level, struct people *people)
{
    struct target *targets = apply_alloc(apply, (level->n_user_ids + level->n_schedule_ids) * sizeof *targets);
    size_t count = targets_in_order(level, targets);
    struct key turn = key_2(policy_id, incident->level);
    size_t first = turn_first(apply, turn, targets, count);
    for (size_t i = 0; i < count; i++) {
        const struct target *target = &targets[(first + i) % count];
        uint64_t user_id = target->is_schedule ? ask_schedule(apply, target->id, people) : target->id;
        if (user_id != 0 && can_be_told(apply, incident, user_id)) {
            people->user_ids[people->users_count++] = user_id;
            if (!planted(TURN_NOT_TAKEN)) {
                index_put(apply, TABLE_TURN, turn, target->id);
            }
            return;
        }
        log_passed(apply, incident, target, user_id);
    }
}

/* ---------------------------------------------------------------- the level */

static void everybody(struct apply *apply, const Tocsin__EscalationLevel *level, struct people *people)
{
    for (size_t i = 0; i < level->n_user_ids; i++) {
        people->user_ids[people->users_count++] = level->user_ids[i];
    }
    for (size_t i = 0; i < level->n_schedule_ids; i++) {
        uint64_t user_id = ask_schedule(apply, level->schedule_ids[i], people);
        if (user_id != 0) {
            people->user_ids[people->users_count++] = user_id;
        }
    }
}

struct people level_people(struct apply *apply, Tocsin__Incident *incident, const Tocsin__EscalationPolicy *policy)
{
    assert(incident->level > 0 && incident->level <= policy->n_levels);
    const Tocsin__EscalationLevel *level = policy->levels[incident->level - 1];
    struct people people = {
        .user_ids = apply_alloc(apply, (level->n_user_ids + level->n_schedule_ids + 1) * sizeof *people.user_ids),
        .on_call = apply_alloc(apply, (level->n_schedule_ids + 1) * sizeof(Tocsin__OnCall *))};
    if (level->round_robin) {
        people_by_turn(apply, incident, policy->id, level, &people);
    } else {
        everybody(apply, level, &people);
    }
    return people;
}
