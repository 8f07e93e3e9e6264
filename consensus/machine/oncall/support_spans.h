/* Support hours of a service as spans of UTC: the days and the times of a clock on the wall, as restrictions of a layer. */
#ifndef CONSENSUS_MACHINE_ONCALL_SUPPORT_SPANS_H
#define CONSENSUS_MACHINE_ONCALL_SUPPORT_SPANS_H

#include "consensus/machine/base/span.h"
#include "consensus/machine/oncall/zone.h"
#include "consensus/machine/schema/schema.pb-c.h"

/* Rows of shift_rows.h over [since, until), 1 within the hours and 0 without; the caller frees them (free). The hours are
 * ones that the machine would take. */
struct span support_spans(const Tocsin__SupportHours *hours, const struct zone *zone, uint64_t since_ms,
                          uint64_t until_ms);

#endif
