/*
 * Who is on call, by the definition of a schedule: looked up for the moment, with nothing rendered ahead.
 *
 * Somebody who takes a time over is on call then, whatever else is said; of several the one who came last. Else the last
 * layer that has somebody at the moment: it has begun and not ended, the clock on the wall is within its restrictions,
 * and people take turns in their order.
 *
 * The clocks on the walls are those of some zones in the year of the simulation, in which none of them is set between
 * March's and October's last Sundays: a fixed distance from UTC.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/schedules/schedules.h"
#include "tests/sim/model/model_internal.h"

#define DAY_S (24u * 3600u)

static const struct {
    const char *name;
    uint32_t ahead_s; /* of UTC */
} zones[] = {{"UTC", 0}, {"Europe/Zurich", 2 * 3600}, {"Asia/Kolkata", 5 * 3600 + 1800}};

struct schedule *model_schedule_find(const struct model *model, uint64_t id)
{
    for (size_t i = 0; i < model->schedules.count; i++) {
        if (model->schedules.items[i].id == id) {
            return &model->schedules.items[i];
        }
    }
    return NULL;
}

bool model_schedule_is_known(const struct model *model, uint64_t id)
{
    return model_schedule_find(model, id) != NULL;
}

/* ---------------------------------------------------------------- who */

uint32_t model_zone_ahead_s(const struct model *model, const char *zone)
{
    for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
        if (strcmp(zones[i].name, zone) == 0) {
            return zones[i].ahead_s;
        }
    }
    model->violation(model->context, "the model does not know a time zone");
    return 0;
}

static bool is_open(const Tocsin__ScheduleLayer *layer, uint64_t wall_s)
{
    bool open = layer->n_restrictions == 0;
    uint64_t day = wall_s / DAY_S; /* the first one was a Thursday */
    for (size_t i = 0; i < layer->n_restrictions; i++) {
        const Tocsin__Restriction *restriction = layer->restrictions[i];
        for (uint64_t back = 0; back <= 7; back++) { /* one that began days ago may last until now */
            bool of_day = restriction->day_of_week == 0 || (day - back + 3) % 7 + 1 == restriction->day_of_week;
            uint64_t from_s = (day - back) * DAY_S + restriction->start_second;
            open = open || (of_day && from_s <= wall_s && wall_s < from_s + restriction->duration_s);
        }
    }
    return open;
}

static uint64_t person_of_layer(const Tocsin__ScheduleLayer *layer, uint32_t zone_ahead_s, uint64_t at_ms)
{
    uint64_t wall_s = at_ms / 1000 + zone_ahead_s;
    if (at_ms < layer->start_ms || (layer->end_ms != 0 && at_ms >= layer->end_ms) || !is_open(layer, wall_s)) {
        return 0;
    }
    /* Turns are counted both ways from when one of the first person began. */
    int64_t since_ms = (int64_t)(at_ms - layer->rotation_virtual_start_ms), turn_ms = (int64_t)layer->turn_length_s * 1000;
    int64_t turn = since_ms >= 0 ? since_ms / turn_ms : -((-since_ms + turn_ms - 1) / turn_ms);
    int64_t people = (int64_t)layer->n_user_ids;
    return layer->user_ids[(turn % people + people) % people];
}

uint64_t model_schedule_person_at(const struct schedule *schedule, uint64_t at_ms)
{
    for (size_t i = schedule->takeovers.count; i-- > 0;) { /* they stand in the order in which they came */
        const struct takeover *takeover = &schedule->takeovers.items[i];
        if (takeover->start_ms <= at_ms && at_ms < takeover->end_ms) {
            return takeover->person_id;
        }
    }
    for (size_t i = schedule->definition->n_layers; i-- > 0;) {
        uint64_t person_id = person_of_layer(schedule->definition->layers[i], schedule->ahead_s, at_ms);
        if (person_id != 0) {
            return person_id;
        }
    }
    return 0;
}

uint64_t model_schedule_person(const struct model *model, uint64_t id)
{
    const struct schedule *schedule = model_schedule_find(model, id);
    return schedule != NULL ? model_schedule_person_at(schedule, model->now_ms) : 0;
}

bool model_schedule_changes_hands(const struct model *model, uint64_t id, uint64_t person_id, uint64_t at_ms, bool begins)
{
    const struct schedule *schedule = model_schedule_find(model, id);
    if (schedule == NULL || at_ms < schedule->changed.at_ms) {
        return schedule != NULL;
    }
    bool by_change = at_ms == schedule->changed.at_ms;
    bool before = (by_change ? schedule->changed.before : model_schedule_person_at(schedule, at_ms - 1)) == person_id;
    bool after = (by_change ? schedule->changed.after : model_schedule_person_at(schedule, at_ms)) == person_id;
    return begins ? after && !before : before && !after;
}

/* A layer that is over needs nobody any more, nor does a time that is. */
bool model_schedules_need(const struct model *model, uint64_t person_id)
{
    for (size_t i = 0; i < model->schedules.count; i++) {
        const struct schedule *schedule = &model->schedules.items[i];
        for (size_t l = 0; l < schedule->definition->n_layers; l++) {
            const Tocsin__ScheduleLayer *layer = schedule->definition->layers[l];
            bool over = layer->end_ms != 0 && layer->end_ms <= model->now_ms;
            for (size_t p = 0; !over && p < layer->n_user_ids; p++) {
                if (layer->user_ids[p] == person_id) {
                    return true;
                }
            }
        }
        for (size_t o = 0; o < schedule->takeovers.count; o++) {
            if (schedule->takeovers.items[o].person_id == person_id && schedule->takeovers.items[o].end_ms > model->now_ms) {
                return true;
            }
        }
    }
    return false;
}

/* ---------------------------------------------------------------- commands */

static void definition_set(struct model *model, struct schedule *schedule, const Tocsin__Schedule *asked)
{
    size_t size_bytes = tocsin__schedule__get_packed_size(asked);
    uint8_t *packed = malloc(size_bytes + 1);
    if (packed == NULL) {
        abort();
    }
    tocsin__schedule__pack(asked, packed);
    tocsin__schedule__free_unpacked(schedule->definition, NULL);
    schedule->definition = tocsin__schedule__unpack(NULL, size_bytes, packed);
    free(packed);
    if (schedule->definition == NULL) {
        abort();
    }
    schedule->ahead_s = model_zone_ahead_s(model, asked->time_zone);
}

static bool people_are_known(const struct model *model, const Tocsin__Schedule *asked)
{
    for (size_t l = 0; l < asked->n_layers; l++) {
        const Tocsin__ScheduleLayer *layer = asked->layers[l];
        bool over = layer->end_ms != 0 && layer->end_ms <= model->now_ms;
        for (size_t p = 0; !over && p < layer->n_user_ids; p++) {
            if (model_person(model, layer->user_ids[p]) == NULL) {
                return false;
            }
        }
    }
    return true;
}

/* Who changes it is told whether that changed who is on call at this moment. */
void model_schedule_judge_word(struct model *model, struct schedule *schedule, uint64_t before, const Tocsin__Reply *reply)
{
    uint64_t after = model_schedule_person_at(schedule, model->now_ms);
    if (schedule->changed.at_ms != model->now_ms) { /* of several in one instant the first had who was before */
        schedule->changed.at_ms = model->now_ms;
        schedule->changed.before = before;
    }
    schedule->changed.after = after;
    bool right = reply == NULL || (reply->on_call_before == before && reply->on_call_after == after &&
                                   reply->on_call_changed == (before != after));
    if (!right) {
        model_broken(model,
                     "entry %" PRIu64 ": schedule %" PRIu64 " goes from user %" PRIu64 " to user %" PRIu64
                     ", and the answer says from %" PRIu64 " to %" PRIu64,
                     model->index, schedule->id, before, after, reply->on_call_before, reply->on_call_after);
    }
}

static void schedule_define(struct model *model, const Tocsin__SchedulePut *put, const Tocsin__Reply *reply)
{
    struct schedule *schedule = model_schedule_find(model, put->id);
    bool lawful = put->schedule != NULL && (put->id == 0 || (schedule != NULL && schedule->revision == put->base_revision)) &&
                  people_are_known(model, put->schedule);
    if (!model_accepted(model, reply, lawful, "a schedule") || !lawful) {
        return;
    }
    if (schedule == NULL) {
        schedule = list_add(&model->schedules);
        schedule->id = model_named(reply);
        schedule->revision = 1;
        definition_set(model, schedule, put->schedule);
        return;
    }
    uint64_t before = model_schedule_person_at(schedule, model->now_ms);
    schedule->revision++;
    definition_set(model, schedule, put->schedule);
    model_schedule_judge_word(model, schedule, before, reply);
}

static void schedule_remove(struct model *model, const Tocsin__ScheduleDelete *delete, const Tocsin__Reply *reply)
{
    struct schedule *schedule = model_schedule_find(model, delete->id);
    bool lawful = schedule != NULL && !model_policies_name_schedule(model, delete->id);
    if (model_accepted(model, reply, lawful, "the deletion of a schedule") && lawful) {
        tocsin__schedule__free_unpacked(schedule->definition, NULL);
        free(schedule->takeovers.items);
        list_remove(&model->schedules, (size_t)(schedule - model->schedules.items));
    }
}

/* Shifts for a day more change nothing of what the definition says: they must only be of it. */
static void schedule_go_on(struct model *model, const Tocsin__ScheduleExtend *extend, const Tocsin__Reply *reply)
{
    const struct schedule *schedule = model_schedule_find(model, extend->schedule_id);
    bool lawful = schedule != NULL && schedule->revision == extend->revision;
    if (model_accepted(model, reply, lawful, "shifts for a day more")) {
        model->counts.extensions++;
    }
}

static void takeover_hear(struct model *model, struct schedule *schedule, const Tocsin__Override *asked, const Tocsin__Reply *part)
{
    bool lawful = asked->end_ms > asked->start_ms && asked->end_ms > model->now_ms && model_person(model, asked->user_id) != NULL;
    if (!model_accepted(model, part, lawful, "an override") || !lawful) {
        return;
    }
    struct takeover *takeover = list_add(&schedule->takeovers);
    takeover->id = model_named(part);
    takeover->start_ms = asked->start_ms > model->now_ms ? asked->start_ms : model->now_ms;
    takeover->end_ms = asked->end_ms;
    takeover->person_id = asked->user_id;
}

static void takeovers_hear(struct model *model, const Tocsin__OverridesCreate *create, const Tocsin__Reply *reply)
{
    struct schedule *schedule = model_schedule_find(model, create->schedule_id);
    if (!model_accepted(model, reply, schedule != NULL, "overrides") || schedule == NULL) {
        return;
    }
    uint64_t before = model_schedule_person_at(schedule, model->now_ms);
    for (size_t i = 0; i < create->n_overrides; i++) {
        takeover_hear(model, schedule, create->overrides[i], reply != NULL && i < reply->n_parts ? reply->parts[i] : NULL);
    }
    model_schedule_judge_word(model, schedule, before, reply);
}

/* What has been is not changed: one that is under way ends now. */
static void takeover_end(struct model *model, const Tocsin__OverrideDelete *delete, const Tocsin__Reply *reply)
{
    struct schedule *schedule = model_schedule_find(model, delete->schedule_id);
    struct takeover *takeover = NULL;
    for (size_t i = 0; schedule != NULL && i < schedule->takeovers.count; i++) {
        if (schedule->takeovers.items[i].swap_id == 0 && schedule->takeovers.items[i].id == delete->id) {
            takeover = &schedule->takeovers.items[i];
        }
    }
    bool lawful = takeover != NULL && takeover->end_ms > model->now_ms;
    if (!model_accepted(model, reply, lawful, "the deletion of an override") || !lawful) {
        return;
    }
    uint64_t before = model_schedule_person_at(schedule, model->now_ms);
    if (takeover->start_ms < model->now_ms) {
        takeover->end_ms = model->now_ms;
    } else {
        list_remove(&schedule->takeovers, (size_t)(takeover - schedule->takeovers.items));
    }
    model_schedule_judge_word(model, schedule, before, reply);
}

bool model_schedules_command(struct model *model, const Tocsin__Command *command, const Tocsin__Reply *reply)
{
    switch (command->body_case) {
    case TOCSIN__COMMAND__BODY_SCHEDULE_PUT:
        schedule_define(model, command->schedule_put, reply);
        return true;
    case TOCSIN__COMMAND__BODY_SCHEDULE_DELETE:
        schedule_remove(model, command->schedule_delete, reply);
        return true;
    case TOCSIN__COMMAND__BODY_SCHEDULE_EXTEND:
        schedule_go_on(model, command->schedule_extend, reply);
        return true;
    case TOCSIN__COMMAND__BODY_OVERRIDES_CREATE:
        takeovers_hear(model, command->overrides_create, reply);
        return true;
    case TOCSIN__COMMAND__BODY_OVERRIDE_DELETE:
        takeover_end(model, command->override_delete, reply);
        return true;
    default:
        return model_swaps_command(model, command, reply);
    }
}

void model_schedules_forget(struct model *model)
{
    for (size_t i = 0; i < model->schedules.count; i++) {
        tocsin__schedule__free_unpacked(model->schedules.items[i].definition, NULL);
        free(model->schedules.items[i].takeovers.items);
    }
    free(model->schedules.items);
    free(model->swaps.items);
    free(model->passing.items);
    free(model->news.items);
    model_drills_forget(model);
}

/* ---------------------------------------------------------------- against a state */

/* At this moment and at moments to come: what was rendered is looked up, and must be what the definition says. Beyond a month
 * clocks may be set, and within a year they are back. */
bool model_schedules_compare(const struct model *model, const struct machine_store *view, char *sentence, size_t size)
{
    static const uint64_t AHEAD_S[] = {0, 61, 600, 3600, 7 * 3600, 86400, 3 * 86400, 30 * 86400, 360 * 86400};
    for (size_t i = 0; i < model->schedules.count; i++) {
        const struct schedule *schedule = &model->schedules.items[i];
        for (size_t a = 0; a < sizeof AHEAD_S / sizeof AHEAD_S[0]; a++) {
            uint64_t at_ms = model->now_ms + AHEAD_S[a] * 1000, expected = model_schedule_person_at(schedule, at_ms);
            Tocsin__OnCall found = schedule_on_call(view, schedule->id, at_ms);
            if (found.user_id != expected || found.revision != schedule->revision) {
                (void)snprintf(sentence, size,
                               "schedule %" PRIu64 " (revision %u), %" PRIu64 " s from now: user %" PRIu64
                               " should be on call, and user %" PRIu64 " is (revision %u)",
                               schedule->id, schedule->revision, AHEAD_S[a], expected, found.user_id, found.revision);
                return false;
            }
        }
    }
    return true;
}
