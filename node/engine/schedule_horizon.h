/* The shifts of schedules are known for a year ahead: which of them are to be rendered anew, and the command that says
 * so. */
#ifndef NODE_ENGINE_SCHEDULE_HORIZON_H
#define NODE_ENGINE_SCHEDULE_HORIZON_H

#include <stdbool.h>

#include "consensus/machine/records.h"

/*
 * The first schedule behind *schedule_id whose shifts were not rendered for a day. True: *schedule_id is its id, and
 * `extend` the command, which the caller frees (schedule_horizon_free). A schedule whose time zone this system does not have is
 * passed over and named in the log.
 */
bool schedule_horizon_next(const struct machine_store *view, uint64_t now_ms, uint64_t *schedule_id,
                           Tocsin__ScheduleExtend *extend);
void schedule_horizon_free(Tocsin__ScheduleExtend *extend);

#endif
