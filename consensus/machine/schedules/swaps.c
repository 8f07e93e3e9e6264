/*
 * Swaps: "cover me". Somebody gives a span of his shifts away, to one person or to whoever of the schedule takes it, for
 * nothing or for a span in return.
 *
 *     offered ──taken──> taken ──undone by either before it begins──> undone
 *        │  └──withdrawn, declined──────────────────────────────────────^
 *        └──its span is over──> expired
 *
 * What changes hands is decided when it is taken: of the span, the parts in which the giver is on call by then become
 * overrides for the taker, and of the span in return those of the taker for the giver: all, or none. A span of more parts
 * than one request may make overrides is refused.
 */
#include "consensus/machine/schedules/swaps.h"

#include <string.h>

#include "consensus/machine/base/ids.h"
#include "consensus/machine/checks.h"
#include "consensus/machine/incidents/incidents.h"
#include "consensus/machine/paging/notices.h"
#include "consensus/machine/planted.h"
#include "consensus/machine/schedules/course.h"
#include "consensus/machine/schedules/handoffs.h"
#include "consensus/machine/schedules/schedules.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID
#define CONFLICT TOCSIN__STATUS__STATUS_CONFLICT

/* ---------------------------------------------------------------- rows */

static Tocsin__Swap *swap_get(struct apply *apply, uint64_t schedule_id, uint64_t id)
{
    return record_get(apply->store, TABLE_SWAP, key_2(schedule_id, id), &tocsin__swap__descriptor, apply->arena);
}

static void swap_put(struct apply *apply, Tocsin__Swap *swap, Tocsin__SwapState state)
{
    swap->state = state;
    swap->changed_at_ms = apply->time_ms;
    record_put(apply->store, TABLE_SWAP, key_2(swap->schedule_id, swap->id), &swap->base);
}

static bool is_over(const struct apply *apply, const Tocsin__Swap *swap)
{
    uint64_t last_ms = swap->end_ms > swap->return_end_ms ? swap->end_ms : swap->return_end_ms;
    return swap->state > TOCSIN__SWAP_STATE__SWAP_TAKEN || last_ms <= apply->time_ms;
}

/* The oldest one that is over makes room. */
static bool make_room(struct apply *apply, Tocsin__Reply *reply, uint64_t schedule_id)
{
    uint64_t count = rows_under(apply, TABLE_SWAP, schedule_id);
    struct walk walk = walk_under(apply->store, TABLE_SWAP, schedule_id);
    while (count >= LIMIT_SWAPS_PER_SCHEDULE && walk_next(&walk)) {
        const Tocsin__Swap *swap = record_unpack(&tocsin__swap__descriptor, walk.value, apply->arena);
        if (swap != NULL && is_over(apply, swap)) {
            row_delete(apply, TABLE_SWAP, walk.position);
            count--;
        }
    }
    return check_room(apply, reply, "swaps of one schedule", count, LIMIT_SWAPS_PER_SCHEDULE);
}

/* ---------------------------------------------------------------- whose shifts */

struct part {
    uint64_t start_ms, end_ms;
};

/* Parts of the span, from now on, in which the user is on call: how many there are. At most `max` of them are written. */
static size_t parts_of(struct apply *apply, const Tocsin__Schedule *schedule, uint64_t user_id, uint64_t start_ms,
                       uint64_t end_ms, struct part *parts, size_t max)
{
    size_t count = 0;
    start_ms = start_ms > apply->time_ms ? start_ms : apply->time_ms;
    if (start_ms >= end_ms) {
        return 0;
    }
    struct course course = course_of(apply, schedule, start_ms, end_ms - 1);
    for (size_t i = 0; i < course.count; i++) {
        uint64_t until_ms = i + 1 < course.count ? course.steps[i + 1].at_ms : end_ms;
        if (course.steps[i].user_id == user_id) {
            if (count < max) {
                parts[count] = (struct part){course.steps[i].at_ms, until_ms};
            }
            count++;
        }
    }
    return count;
}

/* Whether all of them can change hands at once. */
static bool check_parts(struct apply *apply, Tocsin__Reply *reply, size_t count)
{
    return count == 0 || check_room(apply, reply, "shifts in one span of a swap", count - 1, LIMIT_OVERRIDES_PER_REQUEST);
}

/* ---------------------------------------------------------------- news */

static void tell(struct apply *apply, const Tocsin__Schedule *schedule, const Tocsin__Swap *swap,
                 Tocsin__NoticeKind kind, uint64_t user_id, uint64_t other_id)
{
    const Tocsin__User *other = user_get(apply->store, other_id, apply->arena);
    Tocsin__Notice *notice = apply_alloc(apply, sizeof *notice);
    tocsin__notice__init(notice);
    notice->kind = kind;
    notice->schedule_id = schedule->id;
    notice->schedule_name = schedule->name;
    notice->start_ms = swap->start_ms;
    notice->end_ms = swap->end_ms;
    notice->return_start_ms = swap->return_start_ms;
    notice->return_end_ms = swap->return_end_ms;
    notice->valid_until_ms = swap->end_ms;
    notice->swap_id = swap->id;
    notice->note = swap->note;
    notice->other_name = other != NULL ? other->name : notice->other_name;
    notice_tell(apply, user_id, 0, TOCSIN__WHY__WHY_SWAP, notice);
}

/* Everybody who is of the schedule by now but the giver, once each. */
static void tell_everybody(struct apply *apply, const Tocsin__Schedule *schedule, const Tocsin__Swap *swap)
{
    uint64_t told[LIMIT_SWAP_ASKED];
    size_t count = 0;
    for (size_t i = 0; i < schedule->n_layers; i++) {
        const Tocsin__ScheduleLayer *layer = schedule->layers[i];
        size_t people = layer_is_over(apply, layer) ? 0 : layer->n_user_ids;
        for (size_t j = 0; j < people && count < LIMIT_SWAP_ASKED; j++) {
            bool again = layer->user_ids[j] == swap->user_id;
            for (size_t k = 0; k < count; k++) {
                again = again || told[k] == layer->user_ids[j];
            }
            if (!again && user_get(apply->store, layer->user_ids[j], apply->arena) != NULL) {
                told[count++] = layer->user_ids[j];
                tell(apply, schedule, swap, TOCSIN__NOTICE_KIND__NOTICE_SWAP_OFFERED, layer->user_ids[j],
                     swap->user_id);
            }
        }
    }
}

static void note_in_log(struct apply *apply, const Tocsin__Swap *swap, uint64_t by_id, const char *did)
{
    char id[16];
    id_format(swap->id, id);
    const char *by = by_id != 0 ? timeline_user(apply, by_id) : "An administrator";
    schedule_log(apply, swap->schedule_id, TOCSIN__LOG_TYPE__LOG_SCHEDULE_CHANGE,
                 apply_printf(apply, "%s %s (swap %s of %s).", by, did, id, timeline_user(apply, swap->user_id)));
}

/* ---------------------------------------------------------------- offer */

static bool check_span(struct apply *apply, Tocsin__Reply *reply, uint64_t start_ms, uint64_t end_ms)
{
    if (end_ms <= start_ms) {
        reply_refuse(apply, reply, INVALID, TOCSIN__REASON__REASON_WINDOW_REVERSED,
                     "A span of shifts must end after its start.");
        return false;
    }
    if (end_ms <= apply->time_ms || end_ms > apply->time_ms + SCHEDULE_HORIZON_MS) {
        reply_refuse(apply, reply, INVALID, TOCSIN__REASON__REASON_SWAP_OVER,
                     "A span of shifts must end within the next year.");
        return false;
    }
    return true;
}

static bool check_people(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Schedule *schedule,
                         const Tocsin__Swap *swap)
{
    size_t given_count = parts_of(apply, schedule, swap->user_id, swap->start_ms, swap->end_ms, NULL, 0);
    bool exchanged = swap->asked_user_id != 0 && swap->return_end_ms != 0;
    size_t back_count =
        exchanged ? parts_of(apply, schedule, swap->asked_user_id, swap->return_start_ms, swap->return_end_ms, NULL, 0) : 0;
    if (given_count == 0) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_NOT_ON_CALL,
                     "Whoever offers shifts must have some in this span.");
        return false;
    }
    if (swap->asked_user_id != 0 &&
        (swap->asked_user_id == swap->user_id || user_get(apply->store, swap->asked_user_id, apply->arena) == NULL)) {
        reply_refuse(apply, reply, INVALID, TOCSIN__REASON__REASON_UNKNOWN_USER,
                     "The person who is asked must be somebody else.");
        return false;
    }
    if (exchanged && back_count == 0) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_NOT_ON_CALL,
                     "The person who is asked has no shifts in the span that is wanted in return.");
        return false;
    }
    return check_parts(apply, reply, given_count) && check_parts(apply, reply, back_count);
}

static bool check_offer(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Schedule *schedule,
                        const Tocsin__Swap *swap)
{
    return check_lines(apply, reply, "The note", swap->note, 0, LIMIT_SWAP_NOTE_CHARACTERS) &&
           check_span(apply, reply, swap->start_ms, swap->end_ms) &&
           (swap->return_end_ms == 0 || check_span(apply, reply, swap->return_start_ms, swap->return_end_ms)) &&
           check_people(apply, reply, schedule, swap) && make_room(apply, reply, swap->schedule_id);
}

void apply_swap_offer(struct apply *apply, const Tocsin__SwapOffer *offer, Tocsin__Reply *reply)
{
    if (!check_given(apply, reply, offer->swap)) {
        return;
    }
    Tocsin__Swap swap = TOCSIN__SWAP__INIT;
    swap.schedule_id = offer->swap->schedule_id;
    swap.user_id = offer->swap->user_id;
    swap.start_ms = offer->swap->start_ms;
    swap.end_ms = offer->swap->end_ms;
    swap.asked_user_id = offer->swap->asked_user_id;
    swap.return_start_ms = offer->swap->return_start_ms;
    swap.return_end_ms = offer->swap->return_end_ms;
    swap.note = offer->swap->note;
    const Tocsin__Schedule *schedule = schedule_get(apply->store, swap.schedule_id, apply->arena);
    if (schedule == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_SCHEDULE, "schedule", swap.schedule_id);
        return;
    }
    if (!check_offer(apply, reply, schedule, &swap)) {
        return;
    }
    swap.id = apply_new_id(apply);
    swap.created_at_ms = apply->time_ms;
    swap_put(apply, &swap, TOCSIN__SWAP_STATE__SWAP_OFFERED);
    Tocsin__Deadline row = TOCSIN__DEADLINE__INIT;
    record_put(apply->store, TABLE_DEADLINE, key_deadline(swap.end_ms, DEADLINE_SWAP, swap.schedule_id, swap.id),
               &row.base);
    note_in_log(apply, &swap, swap.user_id, "offered shifts");
    if (swap.asked_user_id != 0) {
        tell(apply, schedule, &swap, TOCSIN__NOTICE_KIND__NOTICE_SWAP_OFFERED, swap.asked_user_id, swap.user_id);
    } else {
        tell_everybody(apply, schedule, &swap);
    }
    reply_id(apply, reply, swap.id);
}

void swap_due(struct apply *apply, uint64_t schedule_id, uint64_t id)
{
    Tocsin__Swap *swap = swap_get(apply, schedule_id, id);
    if (swap != NULL && swap->state == TOCSIN__SWAP_STATE__SWAP_OFFERED) {
        swap_put(apply, swap, TOCSIN__SWAP_STATE__SWAP_EXPIRED);
    }
}

/* ---------------------------------------------------------------- take */

static bool swap_find(struct apply *apply, Tocsin__Reply *reply, uint64_t schedule_id, uint64_t id,
                      Tocsin__Schedule **schedule, Tocsin__Swap **swap)
{
    *schedule = schedule_get(apply->store, schedule_id, apply->arena);
    *swap = swap_get(apply, schedule_id, id);
    if (*schedule == NULL || *swap == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "swap", id);
        return false;
    }
    return true;
}

static bool check_taker(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Schedule *schedule,
                        const Tocsin__Swap *swap, uint64_t user_id)
{
    if (swap->state != TOCSIN__SWAP_STATE__SWAP_OFFERED || swap->end_ms <= apply->time_ms) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_SWAP_OVER, "The offer does not stand any more.");
        return false;
    }
    bool may = swap->asked_user_id != 0 ? swap->asked_user_id == user_id : schedule_layers_have(apply, schedule, user_id);
    if (!may || user_id == swap->user_id || user_get(apply->store, user_id, apply->arena) == NULL) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_SWAP_NOT_YOURS,
                     "The offer is made to somebody else.");
        return false;
    }
    return true;
}

void apply_swap_take(struct apply *apply, const Tocsin__SwapTake *take, Tocsin__Reply *reply)
{
    Tocsin__Schedule *schedule;
    Tocsin__Swap *swap;
    struct part given[LIMIT_OVERRIDES_PER_REQUEST], back[LIMIT_OVERRIDES_PER_REQUEST];
    if (!swap_find(apply, reply, take->schedule_id, take->id, &schedule, &swap) ||
        !check_taker(apply, reply, schedule, swap, take->user_id)) {
        return;
    }
    size_t given_count = parts_of(apply, schedule, swap->user_id, swap->start_ms, swap->end_ms, given,
                                  LIMIT_OVERRIDES_PER_REQUEST);
    size_t back_count = parts_of(apply, schedule, take->user_id, swap->return_start_ms, swap->return_end_ms, back,
                                 LIMIT_OVERRIDES_PER_REQUEST);
    if (given_count == 0 || (swap->return_end_ms != 0 && back_count == 0)) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_NOT_ON_CALL,
                     "Nothing is left to swap: the shifts are somebody else's by now.");
        return;
    }
    if (!check_parts(apply, reply, given_count) || !check_parts(apply, reply, back_count)) {
        return;
    }
    uint64_t count = rows_under(apply, TABLE_OVERRIDE, schedule->id);
    if (!overrides_make_room(apply, reply, schedule->id, given_count + back_count, &count)) {
        return;
    }
    Tocsin__OnCall before = schedule_on_call(apply->store, schedule->id, apply->time_ms);
    swap->override_ids = apply_alloc(apply, (given_count + back_count) * sizeof(uint64_t));
    swap->n_override_ids = 0;
    for (size_t i = 0; i < given_count; i++) {
        swap->override_ids[swap->n_override_ids++] =
            override_add(apply, schedule->id, take->user_id, given[i].start_ms, given[i].end_ms);
    }
    for (size_t i = 0; i < back_count && !planted(SWAP_IN_RETURN_FORGOTTEN); i++) {
        swap->override_ids[swap->n_override_ids++] =
            override_add(apply, schedule->id, swap->user_id, back[i].start_ms, back[i].end_ms);
    }
    swap->taken_by = take->user_id;
    swap_put(apply, swap, TOCSIN__SWAP_STATE__SWAP_TAKEN);
    note_in_log(apply, swap, take->user_id, "took shifts over");
    tell(apply, schedule, swap, TOCSIN__NOTICE_KIND__NOTICE_SWAP_TAKEN, swap->user_id, take->user_id);
    handoffs_touch(apply, schedule->id);
    schedule_on_call_changed(apply, reply, schedule->id, &before, "shifts were swapped");
    reply_id(apply, reply, swap->id);
}

/* ---------------------------------------------------------------- undo */

static bool check_undo(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Swap *swap, uint64_t user_id)
{
    bool taken = swap->state == TOCSIN__SWAP_STATE__SWAP_TAKEN;
    bool concerned = user_id == 0 || user_id == swap->user_id ||
                     user_id == (taken ? swap->taken_by : swap->asked_user_id);
    uint64_t begins_ms = swap->return_end_ms != 0 && swap->return_start_ms < swap->start_ms ? swap->return_start_ms
                                                                                             : swap->start_ms;
    if (!concerned) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_SWAP_NOT_YOURS,
                     "Only who gives and who takes can undo a swap.");
        return false;
    }
    if (swap->state > TOCSIN__SWAP_STATE__SWAP_TAKEN || (taken && begins_ms <= apply->time_ms)) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_SWAP_OVER,
                     "The swap has begun or is over; make an override instead.");
        return false;
    }
    return true;
}

void apply_swap_undo(struct apply *apply, const Tocsin__SwapUndo *undo, Tocsin__Reply *reply)
{
    Tocsin__Schedule *schedule;
    Tocsin__Swap *swap;
    if (!swap_find(apply, reply, undo->schedule_id, undo->id, &schedule, &swap) ||
        !check_undo(apply, reply, swap, undo->user_id)) {
        return;
    }
    for (size_t i = 0; i < swap->n_override_ids && !planted(SWAP_NOT_UNDONE); i++) {
        override_withdraw(apply, schedule->id, swap->override_ids[i]);
    }
    const uint64_t concerned[] = {swap->user_id, swap->taken_by != 0 ? swap->taken_by : swap->asked_user_id};
    swap_put(apply, swap, TOCSIN__SWAP_STATE__SWAP_UNDONE);
    note_in_log(apply, swap, undo->user_id, "undid the swap");
    for (size_t i = 0; i < 2; i++) {
        if (concerned[i] != 0 && concerned[i] != undo->user_id) {
            tell(apply, schedule, swap, TOCSIN__NOTICE_KIND__NOTICE_SWAP_UNDONE, concerned[i], undo->user_id);
        }
    }
    handoffs_touch(apply, schedule->id);
    reply_id(apply, reply, swap->id);
}
