/* Inside cron: which days fit. */
#ifndef NODE_CRON_CRON_DAYS_H
#define NODE_CRON_CRON_DAYS_H

#include "node/cron/cron.h"

/* Longer than the rarest date takes to come again: a 29 February on one weekday, forty years across 2100. */
#define CRON_DAYS_MAX (50u * 366)

/* `days` since 1970-01-01. */
bool cron_fits_day(const struct cron *cron, int64_t days);
/* Within fifty years of 2026; weekdays and leap years repeat. */
bool cron_has_day(const struct cron *cron);

#endif
