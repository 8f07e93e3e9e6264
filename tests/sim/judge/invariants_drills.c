/* What holds of page-delivery drills in every state. */
#include "tests/sim/judge/invariants_internal.h"

bool drill_deadline_holds(struct check *check, uint64_t id, uint64_t due_ms)
{
    const Tocsin__DrillState *state = record_at(check, TABLE_DRILL_STATE, key_1(id), &tocsin__drill_state__descriptor);
    bool holds = state != NULL && state->next_due_ms == due_ms;
    return holds || broken(check, "a run is filed of drill %" PRIu64 ", which knows nothing of it", id);
}

bool drill_notification_holds(struct check *check, const Tocsin__Notification *notification)
{
    return !notification->possibly_repeated ||
           broken(check, "drill %" PRIu64 " is to be sent again though it may have arrived",
                  notification->notice->drill_id);
}

/* The run under way has its notification, or it never ends. */
static bool under_way_holds(struct check *check, uint64_t id, const Tocsin__DrillState *state)
{
    const Tocsin__Notification *row =
        record_at(check, TABLE_OUTBOX, key_1(state->notification_id), &tocsin__notification__descriptor);
    bool holds = state->notification_id == 0 || (row != NULL && row->notice != NULL && row->notice->drill_id == id);
    return holds || broken(check, "drill %" PRIu64 " waits for the end of a run that is not in the outbox", id);
}

static bool runs_hold(struct check *check, uint64_t id, const Tocsin__DrillState *state)
{
    uint64_t count = 0, counted = (uint64_t)state->delivered + state->late + state->failed + state->lost;
    struct walk walk = walk_under(check->view, TABLE_DRILL_RUN, id);
    while (walk_next(&walk)) {
        uint64_t number = span_number(walk.key, 1);
        if (number < state->first_number || number >= state->next_number) {
            return broken(check, "drill %" PRIu64 " has a run that it does not know of", id);
        }
        count++;
    }
    return count == counted || broken(check, "drill %" PRIu64 " counts %" PRIu64 " runs and has %" PRIu64, id, counted, count);
}

static bool judge_drill(struct check *check, struct span key, const void *record)
{
    const Tocsin__Drill *drill = record;
    if (!key_holds(check, key, 0, drill->id, "drill")) {
        return false;
    }
    const Tocsin__DrillState *state = record_at(check, TABLE_DRILL_STATE, key_1(drill->id), &tocsin__drill_state__descriptor);
    if (state == NULL) {
        return broken(check, "drill %" PRIu64 " has no state", drill->id);
    }
    bool holds = under_way_holds(check, drill->id, state) && runs_hold(check, drill->id, state);
    bool filed = state->next_due_ms != 0 &&
                 row_is_there(check, TABLE_DEADLINE, key_deadline(state->next_due_ms, DEADLINE_DRILL, drill->id, 0));
    if (holds && filed == drill->disabled) {
        holds = broken(check, "drill %" PRIu64 " is %s", drill->id,
                       filed ? "disabled, and runs again" : "enabled, and never runs again");
    }
    return holds;
}

bool drills_hold(struct check *check)
{
    return walk_table(check, TABLE_DRILL, &tocsin__drill__descriptor, "a drill", judge_drill) &&
           (rows(check, TABLE_DRILL_STATE) == rows(check, TABLE_DRILL) ||
            broken(check, "something is left of a drill that is gone"));
}
