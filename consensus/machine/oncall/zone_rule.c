/* POSIX TZ strings. */
#include "consensus/machine/oncall/zone_rule.h"

#include "consensus/machine/oncall/calendar.h"

#define HOURS_MAX 167u /* RFC 9636 allows this for times; offsets stay within 24 */
#define OFFSET_HOURS_MAX 24u

struct reader {
    const char *at, *end;
};

static bool at_end(const struct reader *reader)
{
    return reader->at == reader->end;
}

static bool take(struct reader *reader, char character)
{
    if (at_end(reader) || *reader->at != character) {
        return false;
    }
    reader->at++;
    return true;
}

static bool is_letter(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
}

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

/* An abbreviation: at least three letters, or letters, digits and signs in angle brackets. Nobody needs what it says.
 */
static bool take_name(struct reader *reader)
{
    bool quoted = take(reader, '<');
    size_t length = 0;
    while (!at_end(reader) && (is_letter(*reader->at) ||
                               (quoted && (is_digit(*reader->at) || *reader->at == '+' || *reader->at == '-')))) {
        reader->at++;
        length++;
    }
    return length >= 3 && (!quoted || take(reader, '>'));
}

static bool take_number(struct reader *reader, unsigned min, unsigned max, unsigned *number)
{
    const char *start = reader->at;
    *number = 0;
    while (!at_end(reader) && is_digit(*reader->at) && reader->at - start < 4) {
        *number = *number * 10 + (unsigned)(*reader->at++ - '0');
    }
    return reader->at > start && *number >= min && *number <= max;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(struct reader *reader, unsigned hours_max, int32_t *time_s)
{
    bool negative = take(reader, '-');
    unsigned hours, minutes = 0, seconds = 0;
    if (!negative) {
        (void)take(reader, '+');
    }
    if (!take_number(reader, 0, hours_max, &hours) || (take(reader, ':') && !take_number(reader, 0, 59, &minutes)) ||
        (take(reader, ':') && !take_number(reader, 0, 59, &seconds))) {
        return false;
    }
    *time_s = (int32_t)((hours * 60 + minutes) * 60 + seconds) * (negative ? -1 : 1);
    return true;
}

static bool take_date(struct reader *reader, struct zone_rule_date *date)
{
    bool taken;
    if (take(reader, 'M')) {
        date->kind = ZONE_RULE_WEEKDAY;
        taken = take_number(reader, 1, 12, &date->month) && take(reader, '.') &&
                take_number(reader, 1, 5, &date->week) && take(reader, '.') && take_number(reader, 0, 6, &date->day);
    } else if (take(reader, 'J')) {
        date->kind = ZONE_RULE_JULIAN;
        taken = take_number(reader, 1, 365, &date->day);
    } else {
        date->kind = ZONE_RULE_ZERO_BASED;
        taken = take_number(reader, 0, 365, &date->day);
    }
    date->time_s = 2 * 3600;
    return taken && (!take(reader, '/') || take_time(reader, HOURS_MAX, &date->time_s));
}

bool zone_rule_parse(const char *text, size_t size_bytes, struct zone_rule *rule)
{
    struct reader reader = {.at = text, .end = text + size_bytes};
    int32_t west_s;
    *rule = (struct zone_rule){.has_daylight_saving = false};
    if (!take_name(&reader) || !take_time(&reader, OFFSET_HOURS_MAX, &west_s)) {
        return false;
    }
    rule->standard_offset_s = -west_s;
    if (at_end(&reader)) {
        return true;
    }
    rule->has_daylight_saving = true;
    rule->daylight_offset_s = rule->standard_offset_s + 3600;
    if (!take_name(&reader)) {
        return false;
    }
    if (!at_end(&reader) && *reader.at != ',') {
        if (!take_time(&reader, OFFSET_HOURS_MAX, &west_s)) {
            return false;
        }
        rule->daylight_offset_s = -west_s;
    }
    return take(&reader, ',') && take_date(&reader, &rule->begin) && take(&reader, ',') &&
           take_date(&reader, &rule->end) && at_end(&reader);
}

static int64_t day_of(const struct zone_rule_date *date, int64_t year)
{
    int64_t new_year = calendar_days(year, 1, 1);
    if (date->kind == ZONE_RULE_ZERO_BASED) {
        return new_year + date->day;
    }
    if (date->kind == ZONE_RULE_JULIAN) {
        return new_year + date->day - 1 + (calendar_is_leap(year) && date->day >= 60 ? 1 : 0);
    }
    int64_t first = calendar_days(year, date->month, 1);
    unsigned day = (date->day + 7 - calendar_weekday(first)) % 7 + (date->week - 1) * 7;
    return first + (day < calendar_days_in_month(year, date->month) ? day : day - 7);
}

static int64_t moment_of(const struct zone_rule_date *date, int64_t year, int32_t offset_before_s)
{
    return day_of(date, year) * SECONDS_PER_DAY + date->time_s - offset_before_s;
}

int64_t zone_rule_begin_s(const struct zone_rule *rule, int64_t year)
{
    return moment_of(&rule->begin, year, rule->standard_offset_s);
}

int64_t zone_rule_end_s(const struct zone_rule *rule, int64_t year)
{
    return moment_of(&rule->end, year, rule->daylight_offset_s);
}
