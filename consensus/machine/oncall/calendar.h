/* Days of the proleptic Gregorian calendar, counted from 1970-01-01. */
#ifndef CONSENSUS_MACHINE_ONCALL_CALENDAR_H
#define CONSENSUS_MACHINE_ONCALL_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

#define SECONDS_PER_DAY INT64_C(86400)

/* Rounded down, for negative numbers too; `divisor` is above 0. */
int64_t floor_div(int64_t number, int64_t divisor);

/* Months and days count from 1. */
int64_t calendar_days(int64_t year, unsigned month, unsigned day);
unsigned calendar_days_in_month(int64_t year, unsigned month);
bool calendar_is_leap(int64_t year);
/* The year that holds this second of UTC. */
int64_t calendar_year_of(int64_t at_s);
/* 0 is Sunday. */
unsigned calendar_weekday(int64_t days);

#endif
