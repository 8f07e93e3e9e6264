/* Cron schedules of checks, from the fields `schedule` and `tz` to the command. */
#ifndef NODE_API_HEARTBEATS_CHECK_SCHEDULE_H
#define NODE_API_HEARTBEATS_CHECK_SCHEDULE_H

#include "node/api/heartbeats/heartbeats.h"
#include "node/api/resource.h"

/*
 * Takes both fields, and marks what they change; `known` is the check as it is, NULL for a new one. A schedule takes the
 * place of the timeout, a timeout that comes without a schedule takes the schedule's. What is wrong is among the
 * reader's errors. `since_ms`: the last stamp of the state, which nothing that is applied later lies before; a node's own
 * clock may be ahead, and would leave out the moments that come next.
 */
void check_schedule_take(const struct field_target *target, const Tocsin__Heartbeat *known, bool has_timeout,
                         uint64_t since_ms, Tocsin__HeartbeatPut *put);

#endif
