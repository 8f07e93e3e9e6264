/*
 * Levels whose people take turns: each time that the level gets an incident it is the next one's, in the order in which
 * they are named. Who cannot be told, and a schedule in which nobody is on call, is passed over. When the one who had
 * the last turn is not named any more, it begins anew.
 */
#include "tests/sim/model/model_internal.h"

struct named {
    uint64_t id; /* of a person or a schedule */
    bool is_schedule;
};

/* In the order in which they were given. */
static unsigned all_named(const struct policy *policy, unsigned level, struct named *named)
{
    unsigned people = 0, schedules = 0, count = 0;
    unsigned people_count = policy->levels[level - 1].people_count, schedules_count = policy->levels[level - 1].schedules_count;
    while (people + schedules < people_count + schedules_count) {
        bool schedule = schedules < schedules_count &&
                        (people == people_count || policy->levels[level - 1].schedule_places[schedules] <= count);
        named[count++] = schedule ? (struct named){policy->levels[level - 1].schedules[schedules++], true}
                                  : (struct named){policy->levels[level - 1].people[people++], false};
    }
    return count;
}

uint64_t model_turn_next(struct model *model, const struct incident *incident, struct policy *policy, unsigned level)
{
    struct named named[MODEL_PEOPLE_OF_LEVEL];
    unsigned count = all_named(policy, level, named), first = 0;
    for (unsigned i = 0; i < count; i++) {
        first = named[i].id == policy->last_turns[level - 1] ? i + 1 : first;
    }
    for (unsigned i = 0; i < count; i++) {
        const struct named *next = &named[(first + i) % count];
        uint64_t person_id = next->is_schedule ? model_schedule_person(model, next->id) : next->id;
        if (person_id != 0 && model_person_can_be_told(model, person_id, incident->low)) {
            policy->last_turns[level - 1] = next->id;
            model->counts.turns++;
            return person_id;
        }
    }
    return 0;
}
