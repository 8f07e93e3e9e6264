/* When events of calendars recur. */
#include "node/calendar/recurrence.h"

#include <stdlib.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/oncall/calendar.h"

#define ONCE TOCSIN__CALENDAR_FREQUENCY__CALENDAR_ONCE
#define DAILY TOCSIN__CALENDAR_FREQUENCY__CALENDAR_DAILY
#define WEEKLY TOCSIN__CALENDAR_FREQUENCY__CALENDAR_WEEKLY
#define MONTHLY TOCSIN__CALENDAR_FREQUENCY__CALENDAR_MONTHLY
#define YEARLY TOCSIN__CALENDAR_FREQUENCY__CALENDAR_YEARLY
#define INTERVAL_MAX 1000u
#define MONTHS 12

struct day {
    int64_t number; /* since 1970 */
    int64_t year;
    unsigned month, of_month, month_days;
};

/* ---------------------------------------------------------------- days */

static struct day day_of(int64_t number)
{
    struct day day = {.number = number, .year = calendar_year_of(number * SECONDS_PER_DAY), .month = 1};
    int64_t left = number - calendar_days(day.year, 1, 1);
    while (left >= calendar_days_in_month(day.year, day.month)) {
        left -= calendar_days_in_month(day.year, day.month++);
    }
    day.of_month = (unsigned)left + 1;
    day.month_days = calendar_days_in_month(day.year, day.month);
    return day;
}

static void day_next(struct day *day)
{
    day->number++;
    if (++day->of_month > day->month_days) {
        day->of_month = 1;
        day->year += day->month == MONTHS ? 1 : 0;
        day->month = day->month % MONTHS + 1;
        day->month_days = calendar_days_in_month(day->year, day->month);
    }
}

static struct day day_of_same_month(const struct day *day, unsigned of_month)
{
    struct day other = *day;
    other.of_month = of_month;
    other.number += (int64_t)of_month - (int64_t)day->of_month;
    return other;
}

/* ---------------------------------------------------------------- the parts of a rule */

static int64_t week_of(const Tocsin__CalendarRule *rule, int64_t day)
{
    return floor_div(day + 4 - rule->week_start, 7); /* 1970-01-01 was a Thursday, day 4 from Sunday */
}

static bool in_interval(const Tocsin__CalendarRule *rule, const struct day *first, const struct day *day)
{
    int64_t steps = rule->frequency == DAILY     ? day->number - first->number
                    : rule->frequency == WEEKLY  ? week_of(rule, day->number) - week_of(rule, first->number)
                    : rule->frequency == MONTHLY ? (day->year - first->year) * MONTHS + day->month - first->month
                                                 : day->year - first->year;
    return steps % rule->interval == 0;
}

static bool month_fits(const Tocsin__CalendarRule *rule, const struct day *day)
{
    bool fits = rule->n_by_month == 0;
    for (size_t i = 0; i < rule->n_by_month && !fits; i++) {
        fits = rule->by_month[i] == day->month;
    }
    return fits;
}

static bool day_of_month_fits(const Tocsin__CalendarRule *rule, const struct day *day)
{
    bool fits = rule->n_by_month_day == 0;
    for (size_t i = 0; i < rule->n_by_month_day && !fits; i++) {
        int32_t wanted = rule->by_month_day[i];
        fits = (int32_t)day->of_month == (wanted > 0 ? wanted : (int32_t)day->month_days + wanted + 1);
    }
    return fits;
}

/* The how many-th of its weekday it is, in its month, or in its year where the rule is of years without months. */
static bool position_fits(const Tocsin__CalendarRule *rule, const struct day *day, int32_t position)
{
    bool of_year = rule->frequency == YEARLY && rule->n_by_month == 0;
    int64_t before = of_year ? day->number - calendar_days(day->year, 1, 1) : (int64_t)day->of_month - 1;
    int64_t days = of_year ? (calendar_is_leap(day->year) ? 366 : 365) : (int64_t)day->month_days;
    return position == 0 || (position > 0 ? before / 7 + 1 == position : (days - 1 - before) / 7 + 1 == -position);
}

static bool day_of_week_fits(const Tocsin__CalendarRule *rule, const struct day *day)
{
    unsigned weekday = calendar_weekday(day->number);
    bool fits = rule->n_by_day == 0;
    for (size_t i = 0; i < rule->n_by_day && !fits; i++) {
        fits = rule->by_day[i] == weekday && position_fits(rule, day, rule->by_day_position[i]);
    }
    return fits;
}

/* What the rule does not say is as on its first day. */
static bool like_first(const Tocsin__CalendarRule *rule, const struct day *first, const struct day *day)
{
    bool same = true;
    if (rule->n_by_day == 0 && rule->frequency == WEEKLY) {
        same = calendar_weekday(first->number) == calendar_weekday(day->number);
    } else if (rule->n_by_day == 0 && rule->n_by_month_day == 0 && rule->frequency >= MONTHLY) {
        same = day->of_month == first->of_month &&
               (rule->frequency == MONTHLY || rule->n_by_month > 0 || day->month == first->month);
    }
    return same;
}

static bool day_fits(const Tocsin__CalendarRule *rule, const struct day *first, const struct day *day)
{
    return month_fits(rule, day) && day_of_month_fits(rule, day) && day_of_week_fits(rule, day) &&
           like_first(rule, first, day);
}

/* Of the days of its month that fit, the how many-th it is, from the front and from the end. */
static bool set_position_fits(const Tocsin__CalendarRule *rule, const struct day *first, const struct day *day)
{
    int32_t before = 0, count = 0;
    for (unsigned i = 1; i <= day->month_days; i++) {
        struct day other = day_of_same_month(day, i);
        bool fits = day_fits(rule, first, &other);
        before += fits && i < day->of_month ? 1 : 0;
        count += fits ? 1 : 0;
    }
    bool found = rule->n_by_position == 0;
    for (size_t i = 0; i < rule->n_by_position && !found; i++) {
        int32_t position = rule->by_position[i];
        found = position > 0 ? before + 1 == position : before - count == position;
    }
    return found;
}

static bool recurs_on(const Tocsin__CalendarRule *rule, const struct day *first, const struct day *day)
{
    return in_interval(rule, first, day) && day_fits(rule, first, day) &&
           (rule->n_by_position == 0 || set_position_fits(rule, first, day));
}

/* ---------------------------------------------------------------- what is supported */

static bool numbers_fit(const int32_t *numbers, size_t count, int32_t max)
{
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] == 0 || numbers[i] > max || numbers[i] < -max) {
            return false;
        }
    }
    return true;
}

static bool days_fit(const Tocsin__CalendarRule *rule, bool *numbered)
{
    bool good = rule->n_by_day == rule->n_by_day_position;
    for (size_t i = 0; i < rule->n_by_day && good; i++) {
        good = rule->by_day[i] <= 6 && rule->by_day_position[i] >= -53 && rule->by_day_position[i] <= 53;
        *numbered = *numbered || rule->by_day_position[i] != 0;
    }
    for (size_t i = 0; i < rule->n_by_month && good; i++) {
        good = rule->by_month[i] >= 1 && rule->by_month[i] <= MONTHS;
    }
    return good && numbers_fit(rule->by_month_day, rule->n_by_month_day, 31) &&
           numbers_fit(rule->by_position, rule->n_by_position, 366);
}

const char *recurrence_refusal(const Tocsin__CalendarRule *rule)
{
    bool numbered = false, of_one_month = rule->frequency == MONTHLY || (rule->frequency == YEARLY && rule->n_by_month == 1);
    if (rule->frequency != ONCE && (rule->interval < 1 || rule->interval > INTERVAL_MAX)) {
        return "The interval of a recurrence is out of range.";
    }
    if (!days_fit(rule, &numbered) || rule->week_start > 6) {
        return "A day or month of a recurrence is out of range.";
    }
    if (numbered && rule->frequency < MONTHLY) {
        return "BYDAY with a number ('first Monday') is for events that recur monthly or yearly.";
    }
    if (rule->n_by_month_day > 0 && rule->frequency == WEEKLY) {
        return "BYMONTHDAY is not for events that recur weekly.";
    }
    if (rule->n_by_position > 0 && !of_one_month) {
        return "BYSETPOS is supported for the days of one month only.";
    }
    return NULL;
}

/* ---------------------------------------------------------------- spans */

static int64_t moment_of(const struct zone *zone, int64_t local_s)
{
    return zone != NULL ? zone_from_local(zone, local_s) : local_s;
}

static bool is_exception(const Tocsin__CalendarRule *rule, uint64_t start_ms)
{
    for (size_t i = 0; i < rule->n_exceptions_ms; i++) {
        if (rule->exceptions_ms[i] == start_ms) {
            return true;
        }
    }
    return false;
}

/* What a look at one day costs: long lists of days are worth several, and a position in its month all of that month. */
static uint32_t days_cost(const Tocsin__CalendarRule *rule)
{
    return (1 + (uint32_t)(rule->n_by_day + rule->n_by_month_day) / 8) * (rule->n_by_position > 0 ? 32 : 1);
}

/* True: it reaches into what is asked for, or lies behind it. */
static bool add(const Tocsin__CalendarRule *rule, uint32_t number, const struct zone *zone, int64_t local_s, struct occurrences *out)
{
    if (local_s + rule->length_s + 2 * SECONDS_PER_DAY < (int64_t)(out->since_ms / 1000)) {
        return false; /* in whatever zone */
    }
    int64_t start_s = moment_of(zone, local_s);
    int64_t end_s = rule->length_is_local ? moment_of(zone, local_s + rule->length_s) : start_s + rule->length_s;
    uint64_t start_ms = start_s > 0 ? (uint64_t)start_s * 1000 : 0, end_ms = end_s > 0 ? (uint64_t)end_s * 1000 : 0;
    if (end_ms <= start_ms || end_ms <= out->since_ms) {
        return false;
    }
    if (start_ms >= out->until_ms || out->count > out->count_max || is_exception(rule, start_ms)) {
        return true;
    }
    if (out->count == out->capacity) {
        out->capacity = out->capacity > 0 ? out->capacity * 2 : 64;
        out->list = realloc(out->list, out->capacity * sizeof *out->list);
        if (out->list == NULL) {
            abort();
        }
    }
    out->list[out->count++] = (struct occurrence){start_ms, end_ms, number};
    return true;
}

static bool is_behind_its_end(const Tocsin__CalendarRule *rule, const struct zone *zone, int64_t local_s)
{
    return rule->until_s != 0 && (rule->until_is_utc ? moment_of(zone, local_s) : local_s) > rule->until_s;
}

/* The first day that is looked at: earlier ones are over, which only matters where they count. */
static int64_t day_to_begin(const Tocsin__CalendarRule *rule, const struct occurrences *out, int64_t first)
{
    int64_t since = (int64_t)(out->since_ms / 1000) / SECONDS_PER_DAY - rule->length_s / SECONDS_PER_DAY - 3;
    return rule->count == 0 && since > first ? since : first;
}

bool recurrence_lay_out(const Tocsin__CalendarRule *rule, uint32_t number, const struct zone *zone, struct occurrences *out,
                        bool *over)
{
    int64_t first_number = floor_div(rule->start_local_s, SECONDS_PER_DAY);
    int64_t time_of_day_s = rule->start_local_s - first_number * SECONDS_PER_DAY;
    int64_t last = (int64_t)(out->until_ms / 1000) / SECONDS_PER_DAY + 2;
    uint32_t count = 0, cost = days_cost(rule);
    *over = false;
    if (rule->frequency == ONCE) {
        *over = !add(rule, number, zone, rule->start_local_s, out);
        return true;
    }
    const struct day first = day_of(first_number);
    struct day day = day_of(day_to_begin(rule, out, first_number));
    bool reached = false; /* what is asked for, or what lies behind it */
    for (; day.number <= last; day_next(&day)) {
        if (out->days_left < cost) {
            return false;
        }
        out->days_left -= cost;
        if (!recurs_on(rule, &first, &day)) {
            continue;
        }
        int64_t local_s = day.number * SECONDS_PER_DAY + time_of_day_s;
        if ((rule->count > 0 && count == rule->count) || is_behind_its_end(rule, zone, local_s)) {
            *over = !reached;
            return true;
        }
        count++;
        reached = add(rule, number, zone, local_s, out) || reached;
    }
    return true;
}
