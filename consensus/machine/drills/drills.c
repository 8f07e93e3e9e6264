/* Requests about drills: made, changed, deleted, run by hand. */
#include "consensus/machine/drills/drills.h"

#include <string.h>

#include "consensus/machine/checks.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE

static bool check_number(struct apply *apply, Tocsin__Reply *reply, const char *what, uint32_t number, uint32_t least,
                         uint32_t most)
{
    if (number >= least && number <= most) {
        return true;
    }
    reply_refuse(apply, reply, INVALID, "%s must be from %u to %u.", what, least, most);
    return false;
}

static bool check_name(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Drill *drill)
{
    struct walk walk = walk_all(apply->store, TABLE_DRILL);
    while (walk_next(&walk)) {
        const Tocsin__Drill *other = record_unpack(&tocsin__drill__descriptor, walk.value, apply->arena);
        if (other != NULL && other->id != drill->id && strcmp(other->name, drill->name) == 0) {
            reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_CONFLICT, TOCSIN__REASON__REASON_NAME_TAKEN,
                         "Another drill has this name.");
            return false;
        }
    }
    return check_line(apply, reply, "The name", drill->name, 1, LIMIT_NAME_CHARACTERS);
}

static bool check_drill(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Drill *drill)
{
    if (drill->contact_method == NULL) {
        reply_refuse(apply, reply, INVALID, "A drill must have a contact method to send to.");
        return false;
    }
    return check_name(apply, reply, drill) && check_contact_method(apply, reply, drill->contact_method) &&
           check_number(apply, reply, "The seconds between two runs", drill->interval_s, DRILL_INTERVAL_SECONDS_LEAST,
                        LIMIT_DRILL_INTERVAL_SECONDS) &&
           check_number(apply, reply, "The delivery objective in milliseconds", drill->delivery_objective_ms,
                        DRILL_OBJECTIVE_MS_LEAST, LIMIT_DRILL_OBJECTIVE_MS) &&
           check_number(apply, reply, "The target in per mille", drill->target_permille, DRILL_TARGET_PERMILLE_LEAST,
                        1000) &&
           check_number(apply, reply, "The days of the window", drill->window_days, 1, LIMIT_DRILL_WINDOW_DAYS);
}

static bool same_way(const Tocsin__ContactMethod *a, const Tocsin__ContactMethod *b)
{
    return a->channel == b->channel && a->country_code == b->country_code && strcmp(a->address, b->address) == 0;
}

/* A new one, and one that is enabled again, runs at once: whoever made it sees that it works. */
static void plan(struct apply *apply, const Tocsin__Drill *old, const Tocsin__Drill *drill, Tocsin__DrillState *state)
{
    bool was_off = old == NULL || old->disabled;
    if (old != NULL && ((drill->disabled && !old->disabled) || !same_way(old->contact_method, drill->contact_method))) {
        drill_stop(apply, old, state);
    }
    uint64_t next_ms = apply->time_ms + (was_off ? 0 : apply_seconds_ms(apply, drill->interval_s));
    if (drill->disabled) {
        drill_file(apply, drill, state, 0);
    } else if (was_off || old->interval_s != drill->interval_s) {
        drill_file(apply, drill, state, next_ms);
    }
}

void apply_drill_put(struct apply *apply, const Tocsin__DrillPut *put, Tocsin__Reply *reply)
{
    static const char *const FIELDS[] = {"name",           "contact_method", "interval_s", "delivery_objective_ms",
                                         "target_permille", "window_days",    "disabled",   NULL};
    if (!check_given(apply, reply, put->drill)) {
        return;
    }
    const Tocsin__Drill *old = put->id != 0 ? drill_get(apply->store, put->id, apply->arena) : NULL;
    if (put->id != 0 && old == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "drill", put->id);
        return;
    }
    Tocsin__Drill drill = TOCSIN__DRILL__INIT;
    if (old != NULL) {
        drill = *old;
    }
    record_patch(&drill.base, &put->drill->base, old == NULL, put->fields, FIELDS);
    if (!check_drill(apply, reply, &drill) ||
        (old == NULL && !check_room(apply, reply, "drills", apply->store->count(apply->store->context, TABLE_DRILL),
                                    LIMIT_DRILLS))) {
        return;
    }
    Tocsin__DrillState *state = old != NULL ? drill_state_get(apply->store, old->id, apply->arena) : NULL;
    Tocsin__DrillState begun = TOCSIN__DRILL_STATE__INIT;
    if (old == NULL) {
        drill.id = apply_new_id(apply);
        drill.created_at_ms = apply->time_ms;
        begun.first_number = begun.next_number = 1;
    }
    state = state != NULL ? state : &begun;
    record_put(apply->store, TABLE_DRILL, key_1(drill.id), &drill.base);
    plan(apply, old, &drill, state);
    drill_state_put(apply, drill.id, state);
    reply_id(apply, reply, drill.id);
}

void apply_drill_delete(struct apply *apply, const Tocsin__DrillDelete *deletion, Tocsin__Reply *reply)
{
    const Tocsin__Drill *drill = drill_get(apply->store, deletion->id, apply->arena);
    Tocsin__DrillState *state = drill_state_get(apply->store, deletion->id, apply->arena);
    if (drill == NULL || state == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "drill", deletion->id);
        return;
    }
    drill_stop(apply, drill, state);
    drill_file(apply, drill, state, 0);
    struct walk walk = walk_under(apply->store, TABLE_DRILL_RUN, drill->id);
    while (walk_next(&walk)) {
        row_delete(apply, TABLE_DRILL_RUN, walk.position);
    }
    row_delete(apply, TABLE_DRILL_STATE, key_1(drill->id));
    row_delete(apply, TABLE_DRILL, key_1(drill->id));
    reply_id(apply, reply, drill->id);
}

/* Whenever it is due, and also when it is disabled. */
void apply_drill_start(struct apply *apply, const Tocsin__DrillStart *start, Tocsin__Reply *reply)
{
    const Tocsin__Drill *drill = drill_get(apply->store, start->id, apply->arena);
    Tocsin__DrillState *state = drill_state_get(apply->store, start->id, apply->arena);
    if (drill == NULL || state == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "drill", start->id);
        return;
    }
    if (state->notification_id != 0) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_CONFLICT, TOCSIN__REASON__REASON_DRILL_UNDER_WAY,
                     "A run of this drill is under way: wait for its end.");
        return;
    }
    if (state->by_hand && apply->time_ms < state->begun_at_ms + apply_minutes_ms(apply, DRILL_BY_HAND_MINUTES)) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_LIMIT, TOCSIN__REASON__REASON_DRILLED_JUST_NOW,
                     "This drill was run by hand within the last minute.");
        return;
    }
    drill_begin(apply, drill, state, apply->time_ms, true);
    drill_state_put(apply, drill->id, state);
    reply_id(apply, reply, drill->id);
}
