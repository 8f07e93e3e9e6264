/*
 * Who is on call, looked up in what was rendered elsewhere: an override if there is one, otherwise the shift of the
 * revision that held at the time. For the machine and, from a read-only store, for everybody else.
 *
 *     TABLE_OVERRIDE ── ends after the moment, began before it; of several the newest ──┐
 *     TABLE_SCHEDULE_REVISION ── last one from before the moment ──> TABLE_SHIFTS ──────┴──> user, revision, override
 */
#ifndef CONSENSUS_MACHINE_SCHEDULES_SCHEDULES_H
#define CONSENSUS_MACHINE_SCHEDULES_SCHEDULES_H

#include "consensus/machine/apply.h"

/* At any moment since the schedule was made, as far as its shifts reach. A revision of 0: there was none then, or it is
 * not kept any more. */
Tocsin__OnCall schedule_on_call(const struct machine_store *store, uint64_t schedule_id, uint64_t at_ms);

/* For sentences: its name, which is optional, or words in its place; NULL: one that is gone. */
const char *schedule_called(const Tocsin__Schedule *schedule);

/* The rows of the revision, empty when there are none; valid until the next write. */
struct span schedule_shifts(const struct machine_store *store, uint64_t schedule_id, uint32_t revision);

/* ---- inside the machine */

/* ---- schedule_log.c: what was done to a schedule, by whom */

/* One line in the schedule's log, by the command's actor. */
void schedule_log(struct apply *, uint64_t schedule_id, Tocsin__LogType, const char *text);
/* The command may have changed who is on call. When another than `before` is on call now, it stands in the reply, in the
 * log, and in the timelines of open incidents that the schedule concerns. `cause` is a clause: "the schedule was changed".
 */
void schedule_on_call_changed(struct apply *, Tocsin__Reply *reply, uint64_t schedule_id, const Tocsin__OnCall *before,
                              const char *cause);

/* ---- overrides.c */

/* Room for so many more, which those that are over make, the oldest first; `count` is how many there are. False: the
 * reply is refused. */
bool overrides_make_room(struct apply *, Tocsin__Reply *, uint64_t schedule_id, size_t wanted, uint64_t *count);
/* Makes one, from now on at the earliest; there is room, and it has been judged. Its id. */
uint64_t override_add(struct apply *, uint64_t schedule_id, uint64_t user_id, uint64_t start_ms, uint64_t end_ms);
/* Takes one to come away; one that is gone already stays gone. */
void override_withdraw(struct apply *, uint64_t schedule_id, uint64_t id);

/* ---- schedules.c */

/* A layer that has ended: clients keep it, its people have no part in the schedule any more, and may be gone. */
bool layer_is_over(const struct apply *, const Tocsin__ScheduleLayer *);
/* Whether the user is in a layer that is not over. */
bool schedule_layers_have(const struct apply *, const Tocsin__Schedule *, uint64_t user_id);
/* Whether the schedule needs the user from now on: in a layer that is not over, or for an override to come. */
bool schedule_has_user(struct apply *, const Tocsin__Schedule *, uint64_t user_id);

#endif
