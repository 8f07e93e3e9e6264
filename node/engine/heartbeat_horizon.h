/* The next moments of heartbeats' schedules are known for a while ahead: which of them are to be computed anew, and the
 * command that says so. */
#ifndef NODE_ENGINE_HEARTBEAT_HORIZON_H
#define NODE_ENGINE_HEARTBEAT_HORIZON_H

#include <stdbool.h>

#include "consensus/machine/records.h"

/*
 * The first heartbeat behind *heartbeat_id of whose moments half are over, or that were not computed for a day; looks at
 * `looks` of them at most and counts down. True: *heartbeat_id is its id, and `extend` the command, whose moments the
 * caller frees (free). False: *heartbeat_id is where to go on, 0 for from the beginning. One whose time zone this system
 * does not have is passed over and named in the log.
 */
bool heartbeat_horizon_next(const struct machine_store *view, uint64_t now_ms, unsigned *looks, uint64_t *heartbeat_id,
                            Tocsin__HeartbeatExtend *extend);

#endif
