/* The moments that a cron expression means. */
#include "node/cron/cron.h"

#include "consensus/machine/oncall/calendar.h"
#include "node/cron/cron_days.h"

#define SECONDS_PER_HOUR 3600
#define SECONDS_PER_MINUTE 60
#define FIRST_DAY 20454 /* 2026-01-01 */

/* ---------------------------------------------------------------- days */

struct date {
    unsigned month, day, days_in_month, weekday;
};

static struct date date_of(int64_t days)
{
    int64_t year = calendar_year_of(days * SECONDS_PER_DAY);
    struct date date = {.month = 1, .weekday = calendar_weekday(days)};
    int64_t left = days - calendar_days(year, 1, 1);
    while (left >= (int64_t)calendar_days_in_month(year, date.month)) {
        left -= calendar_days_in_month(year, date.month++);
    }
    date.day = (unsigned)left + 1;
    date.days_in_month = calendar_days_in_month(year, date.month);
    return date;
}

/* The month's last day from Monday to Friday. */
static unsigned last_working_day(const struct date *date)
{
    unsigned weekday = (date->weekday + date->days_in_month - date->day) % 7;
    return date->days_in_month - (weekday == 6 ? 1 : weekday == 0 ? 2 : 0);
}

static bool fits_day_of_month(const struct cron *cron, const struct date *date)
{
    return (cron->days >> date->day & 1) != 0 || (cron->last_day && date->day == date->days_in_month) ||
           (cron->last_working_day && date->day == last_working_day(date));
}

static bool fits_weekday(const struct cron *cron, const struct date *date)
{
    unsigned nth = (date->day - 1) / 7 + 1;
    return (cron->weekdays >> date->weekday & 1) != 0 || (cron->nth_weekdays[date->weekday] >> nth & 1) != 0 ||
           ((cron->last_weekdays >> date->weekday & 1) != 0 && date->day + 7 > date->days_in_month);
}

bool cron_fits_day(const struct cron *cron, int64_t days)
{
    struct date date = date_of(days);
    if ((cron->months >> date.month & 1) == 0) {
        return false;
    }
    bool by_month = fits_day_of_month(cron, &date), by_week = fits_weekday(cron, &date);
    return cron->both_days ? by_month && by_week : by_month || by_week;
}

bool cron_has_day(const struct cron *cron)
{
    for (int64_t day = 0; day < CRON_DAYS_MAX; day++) {
        if (cron_fits_day(cron, FIRST_DAY + day)) {
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- moments */

struct found {
    uint64_t *moments_s;
    size_t count, max;
    int64_t last_s, until_s;
};

/* False when no more is wanted. */
static bool take_moment(struct found *found, int64_t at_s)
{
    if (at_s <= found->last_s) {
        return true; /* before the search, or two times that are skipped together */
    }
    if (found->count == found->max || (found->count >= 2 && at_s > found->until_s)) {
        return false;
    }
    found->moments_s[found->count++] = (uint64_t)at_s;
    found->last_s = at_s;
    return true;
}

static bool take_day(const struct cron *cron, const struct zone *zone, int64_t day, struct found *found)
{
    for (unsigned hour = 0; hour < 24; hour++) {
        for (unsigned minute = 0; minute < 60 && (cron->hours >> hour & 1) != 0; minute++) {
            int64_t local_s = day * SECONDS_PER_DAY + hour * SECONDS_PER_HOUR + minute * SECONDS_PER_MINUTE;
            if ((cron->minutes >> minute & 1) != 0 && !take_moment(found, zone_from_local(zone, local_s))) {
                return false;
            }
        }
    }
    return true;
}

static void by_wall_clock(const struct cron *cron, const struct zone *zone, int64_t since_s, struct found *found)
{
    int64_t first = floor_div(zone_to_local(zone, since_s), SECONDS_PER_DAY) - 1; /* a skipped time moves forward */
    for (int64_t day = first; day < first + CRON_DAYS_MAX; day++) {
        if (cron_fits_day(cron, day) && !take_day(cron, zone, day, found)) {
            return;
        }
    }
}

/* Where to look next when nothing before `ahead_s` fits: a minute later when the clock is put forward or back within. */
static int64_t pass(const struct zone *zone, int64_t at_s, int64_t ahead_s)
{
    bool steady = zone_offset_s(zone, at_s + ahead_s) == zone_offset_s(zone, at_s);
    return at_s + (steady ? ahead_s : SECONDS_PER_MINUTE);
}

static void by_passing_minutes(const struct cron *cron, const struct zone *zone, int64_t since_s, struct found *found)
{
    int64_t known_day = INT64_MIN, at_s = (floor_div(since_s, SECONDS_PER_MINUTE) + 1) * SECONDS_PER_MINUTE;
    bool day_fits = false;
    while (at_s < since_s + CRON_DAYS_MAX * SECONDS_PER_DAY) {
        int64_t local_s = zone_to_local(zone, at_s), day = floor_div(local_s, SECONDS_PER_DAY);
        int64_t in_day_s = local_s - day * SECONDS_PER_DAY, in_hour_s = in_day_s % SECONDS_PER_HOUR;
        if (day != known_day) {
            day_fits = cron_fits_day(cron, day);
            known_day = day;
        }
        if (!day_fits) {
            at_s = pass(zone, at_s, SECONDS_PER_DAY - in_day_s);
        } else if ((cron->hours >> in_day_s / SECONDS_PER_HOUR & 1) == 0) {
            at_s = pass(zone, at_s, SECONDS_PER_HOUR - in_hour_s);
        } else {
            if ((cron->minutes >> in_hour_s / SECONDS_PER_MINUTE & 1) != 0 && !take_moment(found, at_s)) {
                return;
            }
            at_s += SECONDS_PER_MINUTE;
        }
    }
}

size_t cron_next(const struct cron *cron, const struct zone *zone, int64_t since_s, int64_t until_s, uint64_t *moments_s,
                 size_t max)
{
    struct found found = {.moments_s = moments_s, .max = max, .last_s = since_s, .until_s = until_s};
    if (cron->by_wall_clock) {
        by_wall_clock(cron, zone, since_s, &found);
    } else {
        by_passing_minutes(cron, zone, since_s, &found);
    }
    return found.count;
}
