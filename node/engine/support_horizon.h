/* The support hours of services are known for some months ahead: which of them are to be rendered anew, and the command
 * that says so. */
#ifndef NODE_ENGINE_SUPPORT_HORIZON_H
#define NODE_ENGINE_SUPPORT_HORIZON_H

#include <stdbool.h>

#include "consensus/machine/records.h"

/*
 * The first service behind *service_id whose support hours were not rendered for SUPPORT_RENDERED_EVERY_MS. True:
 * *service_id is its id, and `extend` the command, whose spans the caller frees (free). A service whose time zone this
 * system does not have is passed over and named in the log.
 */
bool support_horizon_next(const struct machine_store *view, uint64_t now_ms, uint64_t *service_id,
                          Tocsin__SupportHoursExtend *extend);

#endif
