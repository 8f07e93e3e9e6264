/*
 * Simple cron expressions, by looking at one minute after the other: for who must not trust node/cron.
 *
 * It knows numbers, ranges, lists and steps in the fields of minute and hour, asterisks in the others, and time zones that
 * never change their clocks.
 */
#ifndef TESTS_SUPPORT_PLAIN_CRON_H
#define TESTS_SUPPORT_PLAIN_CRON_H

#include <stdbool.h>
#include <stdint.h>

struct plain_cron {
    bool minutes[60], hours[24];
    int64_t ahead_s; /* of UTC */
};

/* False when it is of those that are not known here. */
bool plain_cron_read(const char *expression, const char *zone, struct plain_cron *cron);

bool plain_cron_fits(const struct plain_cron *cron, uint64_t moment_ms);

/* The first moment at `from_ms` or later. */
uint64_t plain_cron_next_ms(const struct plain_cron *cron, uint64_t from_ms);

#endif
