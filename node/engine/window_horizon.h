/* The spans of recurring maintenance windows are known for a year ahead: which of them are to be rendered anew, and the command
 * that says so. */
#ifndef NODE_ENGINE_WINDOW_HORIZON_H
#define NODE_ENGINE_WINDOW_HORIZON_H

#include <stdbool.h>

#include "consensus/machine/records.h"

/*
 * The first window behind *window_id that recurs and was not rendered for MAINTENANCE_RENDERED_EVERY_MS; looks at `looks` of
 * them at most and counts down. True: *window_id is its id, and `extend` the command, whose spans the caller frees (free).
 * False: *window_id is where to go on, 0 for from the beginning. One whose time zone this system does not have is passed over
 * and named in the log.
 */
bool window_horizon_next(const struct machine_store *view, uint64_t now_ms, unsigned *looks, uint64_t *window_id,
                         Tocsin__MaintenanceWindowExtend *extend);

#endif
