/*
 * Cron expressions of five fields: when a job is expected (contracts/heartbeats.md, "Cron semantics").
 *
 *     minute  hour  day of month  month  day of week        30 2 * * MON-FRI        0,30 8-18/2 1,L * *
 *
 * Names (JAN, MON), lists, ranges, steps, L and LW as day of the month, 5L and MON#2 as day of the week; 7 is Sunday,
 * too. When a day field begins with an asterisk both must fit, else either.
 *
 * Daylight saving, as Debian's cron has it. When neither minute nor hour begins with an asterisk the expression is read
 * on the clock on the wall: a time that is skipped is the moment at which it is skipped, a time that comes twice is its
 * first. Else the minutes that really pass are looked at one by one: what is skipped is left out, what comes twice fits
 * twice. Pure; whoever has the zone calls it.
 */
#ifndef NODE_CRON_CRON_H
#define NODE_CRON_CRON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/oncall/zone.h"

#define CRON_CHARACTERS_MAX 100u /* healthchecks' bound */
#define CRON_SENTENCE_SIZE_BYTES 200u

struct cron {
    uint64_t minutes;
    uint32_t hours, days, months; /* bits by their numbers */
    uint8_t weekdays;             /* 0 is Sunday */
    uint8_t nth_weekdays[7];      /* bit n: the n-th of the month */
    uint8_t last_weekdays;
    bool last_day, last_working_day; /* of the month, beside `days` */
    bool both_days;                  /* must fit */
    bool by_wall_clock;
};

/* False with one sentence when it is none, or when no day of fifty years fits. */
bool cron_parse(const char *text, struct cron *cron, char sentence[CRON_SENTENCE_SIZE_BYTES]);

/*
 * The first moments behind `since_s`, in their order: at most `max`, and none later than `until_s` but the first two.
 * Answers how many; less than two only when no more come within fifty years.
 */
size_t cron_next(const struct cron *cron, const struct zone *zone, int64_t since_s, int64_t until_s, uint64_t *moments_s,
                 size_t max);

#endif
