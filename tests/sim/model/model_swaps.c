/*
 * Times that change hands by agreement: offered by who is on call then, taken by somebody else, perhaps for a time of his.
 *
 * What counts is who is on call when it is taken: looked up second by second. From then on each is on call in the other's
 * place, as if somebody had taken these times over; undone before it begins, all is as it was.
 */
#include <inttypes.h>

#include "consensus/machine/limits.h"
#include "tests/sim/model/model_internal.h"

static struct swap *swap_find(const struct model *model, uint64_t schedule_id, uint64_t id)
{
    for (size_t i = 0; i < model->swaps.count; i++) {
        if (model->swaps.items[i].id == id && model->swaps.items[i].schedule_id == schedule_id) {
            return &model->swaps.items[i];
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- whose time it is */

struct span_of_time {
    uint64_t from_ms, until_ms;
};

/* When somebody else may be on call at the earliest: layers change with the second. */
static uint64_t next_look_ms(const struct schedule *schedule, uint64_t at_ms)
{
    uint64_t next_ms = (at_ms / 1000 + 1) * 1000;
    for (size_t i = 0; i < schedule->takeovers.count; i++) {
        const struct takeover *takeover = &schedule->takeovers.items[i];
        next_ms = takeover->start_ms > at_ms && takeover->start_ms < next_ms ? takeover->start_ms : next_ms;
        next_ms = takeover->end_ms > at_ms && takeover->end_ms < next_ms ? takeover->end_ms : next_ms;
    }
    return next_ms;
}

/* The next part of the span in which she is on call; false: there is none. */
static bool next_part(const struct schedule *schedule, uint64_t person_id, struct span_of_time *span, struct span_of_time *part)
{
    bool on_call = false;
    while (span->from_ms < span->until_ms) {
        bool hers = model_schedule_person_at(schedule, span->from_ms) == person_id;
        if (on_call && !hers) {
            part->until_ms = span->from_ms;
            return true;
        }
        part->from_ms = hers && !on_call ? span->from_ms : part->from_ms;
        on_call = hers;
        span->from_ms = next_look_ms(schedule, span->from_ms);
    }
    part->until_ms = span->until_ms;
    return on_call;
}

static struct span_of_time from_now(const struct model *model, uint64_t start_ms, uint64_t end_ms)
{
    return (struct span_of_time){start_ms > model->now_ms ? start_ms : model->now_ms, end_ms};
}

/* Something is hers, and not more than can change hands at once. */
static bool has_some(const struct model *model, const struct schedule *schedule, uint64_t person_id, uint64_t start_ms, uint64_t end_ms)
{
    struct span_of_time span = from_now(model, start_ms, end_ms), part;
    uint64_t parts = 0;
    while (parts <= LIMIT_OVERRIDES_PER_REQUEST && next_part(schedule, person_id, &span, &part)) {
        parts++;
    }
    return parts > 0 && parts <= LIMIT_OVERRIDES_PER_REQUEST;
}

/* ---------------------------------------------------------------- commands */

static bool span_is_lawful(const struct model *model, uint64_t start_ms, uint64_t end_ms)
{
    return end_ms > start_ms && end_ms > model->now_ms && end_ms <= model->now_ms + SCHEDULE_HORIZON_MS;
}

static bool offer_is_lawful(const struct model *model, const Tocsin__Swap *asked)
{
    const struct schedule *schedule = model_schedule_find(model, asked->schedule_id);
    bool in_return = asked->return_end_ms != 0, to_one = asked->asked_user_id != 0;
    return schedule != NULL && span_is_lawful(model, asked->start_ms, asked->end_ms) &&
           (!in_return || span_is_lawful(model, asked->return_start_ms, asked->return_end_ms)) &&
           has_some(model, schedule, asked->user_id, asked->start_ms, asked->end_ms) &&
           (!to_one || (asked->asked_user_id != asked->user_id && model_person(model, asked->asked_user_id) != NULL)) &&
           (!to_one || !in_return ||
            has_some(model, schedule, asked->asked_user_id, asked->return_start_ms, asked->return_end_ms));
}

static void offer(struct model *model, const Tocsin__SwapOffer *offer, const Tocsin__Reply *reply)
{
    const Tocsin__Swap *asked = offer->swap;
    bool lawful = asked != NULL && offer_is_lawful(model, asked);
    if (!model_accepted(model, reply, lawful, "an offer of shifts") || !lawful) {
        return;
    }
    *list_add(&model->swaps) = (struct swap){.id = model_named(reply),
                                             .schedule_id = asked->schedule_id,
                                             .giver_id = asked->user_id,
                                             .asked_id = asked->asked_user_id,
                                             .start_ms = asked->start_ms,
                                             .end_ms = asked->end_ms,
                                             .return_start_ms = asked->return_start_ms,
                                             .return_end_ms = asked->return_end_ms};
}

/* Who had a layer that is over is of it no more. */
static bool is_of_schedule(const struct model *model, const struct schedule *schedule, uint64_t person_id)
{
    for (size_t l = 0; l < schedule->definition->n_layers; l++) {
        const Tocsin__ScheduleLayer *layer = schedule->definition->layers[l];
        bool over = layer->end_ms != 0 && layer->end_ms <= model->now_ms;
        for (size_t p = 0; !over && p < layer->n_user_ids; p++) {
            if (layer->user_ids[p] == person_id) {
                return true;
            }
        }
    }
    return false;
}

static bool take_is_lawful(const struct model *model, const struct swap *swap, const struct schedule *schedule, uint64_t taker_id)
{
    bool stands = swap != NULL && schedule != NULL && swap->state == SWAP_STANDS && swap->end_ms > model->now_ms;
    return stands && taker_id != swap->giver_id && model_person(model, taker_id) != NULL &&
           (swap->asked_id != 0 ? swap->asked_id == taker_id : is_of_schedule(model, schedule, taker_id)) &&
           has_some(model, schedule, swap->giver_id, swap->start_ms, swap->end_ms) &&
           (swap->return_end_ms == 0 || has_some(model, schedule, taker_id, swap->return_start_ms, swap->return_end_ms));
}

/* What is hers in the span becomes his; noted, and done when both sides are known. */
static void pass_on(struct model *model, const struct schedule *schedule, const struct takeover *how, struct span_of_time span,
                    uint64_t hers_id)
{
    struct span_of_time part;
    while (next_part(schedule, hers_id, &span, &part)) {
        struct takeover *takeover = list_add(&model->passing);
        *takeover = *how;
        takeover->start_ms = part.from_ms;
        takeover->end_ms = part.until_ms;
    }
}

static void take(struct model *model, const Tocsin__SwapTake *take, const Tocsin__Reply *reply)
{
    struct swap *swap = swap_find(model, take->schedule_id, take->id);
    struct schedule *schedule = model_schedule_find(model, take->schedule_id);
    bool lawful = take_is_lawful(model, swap, schedule, take->user_id);
    if (!model_accepted(model, reply, lawful, "the taking of shifts") || !lawful) {
        return;
    }
    uint64_t before = model_schedule_person_at(schedule, model->now_ms);
    model->passing.count = 0;
    pass_on(model, schedule, &(struct takeover){.person_id = take->user_id, .swap_id = swap->id},
            from_now(model, swap->start_ms, swap->end_ms), swap->giver_id);
    pass_on(model, schedule, &(struct takeover){.person_id = swap->giver_id, .swap_id = swap->id},
            from_now(model, swap->return_start_ms, swap->return_end_ms), take->user_id);
    for (size_t i = 0; i < model->passing.count; i++) {
        *list_add(&schedule->takeovers) = model->passing.items[i];
    }
    swap->state = SWAP_DONE;
    swap->taker_id = take->user_id;
    model->counts.swaps_taken++;
    model_schedule_judge_word(model, schedule, before, reply);
}

/* An offer whose time is over is struck out some time later: until then it may be taken back. */
static bool undo_is_lawful(const struct model *model, const struct swap *swap, const Tocsin__SwapUndo *undo, const Tocsin__Reply *reply)
{
    if (swap == NULL || swap->state == SWAP_UNDONE) {
        return false;
    }
    bool done = swap->state == SWAP_DONE;
    uint64_t person_id = undo->user_id, begins_ms = swap->start_ms;
    begins_ms = swap->return_end_ms != 0 && swap->return_start_ms < begins_ms ? swap->return_start_ms : begins_ms;
    bool hers = person_id == 0 || person_id == swap->giver_id || person_id == (done ? swap->taker_id : swap->asked_id);
    if (!done && swap->end_ms <= model->now_ms) {
        return hers && (reply == NULL || reply->status == TOCSIN__STATUS__STATUS_OK);
    }
    return hers && (!done || begins_ms > model->now_ms);
}

static void undo(struct model *model, const Tocsin__SwapUndo *undo, const Tocsin__Reply *reply)
{
    struct swap *swap = swap_find(model, undo->schedule_id, undo->id);
    struct schedule *schedule = model_schedule_find(model, undo->schedule_id);
    bool lawful = schedule != NULL && undo_is_lawful(model, swap, undo, reply);
    if (!model_accepted(model, reply, lawful, "the undoing of a swap") || !lawful) {
        return;
    }
    for (size_t i = schedule->takeovers.count; i-- > 0;) {
        if (schedule->takeovers.items[i].swap_id == swap->id) {
            list_remove(&schedule->takeovers, i);
        }
    }
    model->counts.swaps_undone += swap->state == SWAP_DONE ? 1 : 0;
    swap->state = SWAP_UNDONE;
}

bool model_swaps_command(struct model *model, const Tocsin__Command *command, const Tocsin__Reply *reply)
{
    switch (command->body_case) {
    case TOCSIN__COMMAND__BODY_SWAP_OFFER:
        offer(model, command->swap_offer, reply);
        return true;
    case TOCSIN__COMMAND__BODY_SWAP_TAKE:
        take(model, command->swap_take, reply);
        return true;
    case TOCSIN__COMMAND__BODY_SWAP_UNDO:
        undo(model, command->swap_undo, reply);
        return true;
    default:
        return false;
    }
}

bool model_swap_is_told(const struct model *model, const Tocsin__Notice *notice, uint64_t person_id)
{
    const struct swap *swap = swap_find(model, notice->schedule_id, notice->swap_id);
    if (swap == NULL || swap->start_ms != notice->start_ms || swap->end_ms != notice->end_ms) {
        return false;
    }
    switch (notice->kind) {
    case TOCSIN__NOTICE_KIND__NOTICE_SWAP_OFFERED:
        return person_id != swap->giver_id && (swap->asked_id == 0 || swap->asked_id == person_id);
    case TOCSIN__NOTICE_KIND__NOTICE_SWAP_TAKEN:
        return person_id == swap->giver_id && swap->state != SWAP_STANDS;
    default:
        return swap->state == SWAP_UNDONE &&
               (person_id == swap->giver_id || person_id == (swap->taker_id != 0 ? swap->taker_id : swap->asked_id));
    }
}
