/* Calendars from outside. libical reads the text; days, weeks and zones are counted here. */
#include "node/api/schedules/calendar_import.h"

#include <libical/ical.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/oncall/calendar.h"

#define DEPTH_MAX 8u       /* components within components: real calendars have three */
#define COMPONENTS_MAX 4000u
#define YEAR_FIRST 1970
#define YEAR_LAST 2200
#define INTERVAL_MAX 1000
#define EXCEPTIONS_MAX 1000u
#define ALL_DAYS 0x7fu

/* One VEVENT while it is laid out. */
struct event {
    struct calendar *calendar;
    const struct zone *zone; /* of its times; NULL: UTC */
    struct zone *own_zone;   /* freed with it */
    int64_t start_local_s, length_s;
    bool length_is_local; /* an end at another time of the clock stays there when clocks change */
    const char *address, *summary;
    icalcomponent *component;
    uint64_t since_ms, until_ms;
    uint64_t *exceptions;
    size_t exceptions_count;
};

static bool __attribute__((format(printf, 2, 3))) refuse(struct calendar *calendar, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    (void)vsnprintf(calendar->error, sizeof calendar->error, format, list);
    va_end(list);
    return false;
}

static void *must(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static const char *keep(struct calendar *calendar, const char *text)
{
    calendar->words = must(realloc(calendar->words, (calendar->words_count + 1) * sizeof *calendar->words));
    calendar->words[calendar->words_count] = must(strdup(text != NULL ? text : ""));
    return calendar->words[calendar->words_count++];
}

/* ---------------------------------------------------------------- times */

static bool time_is_sane(struct icaltimetype time)
{
    return !icaltime_is_null_time(time) && time.year >= YEAR_FIRST && time.year <= YEAR_LAST && time.month >= 1 &&
           time.month <= 12 && time.day >= 1 &&
           time.day <= (int)calendar_days_in_month(time.year, (unsigned)time.month) && time.hour >= 0 &&
           time.hour < 24 && time.minute >= 0 && time.minute < 60 && time.second >= 0 && time.second <= 60;
}

static int64_t local_of(struct icaltimetype time)
{
    int64_t day_s = calendar_days(time.year, (unsigned)time.month, (unsigned)time.day) * SECONDS_PER_DAY;

    return time.is_date ? day_s : day_s + time.hour * 3600 + time.minute * 60 + time.second;
}

static int64_t moment_of(const struct zone *zone, int64_t local_s)
{
    return zone != NULL ? zone_from_local(zone, local_s) : local_s;
}

/* The zone that a property names; false: refused. */
static bool zone_of(struct event *event, icalproperty *property, struct icaltimetype time,
                    const struct zone *standard, struct zone *(*zones)(const char *name))
{
    icalparameter *parameter = icalproperty_get_first_parameter(property, ICAL_TZID_PARAMETER);

    event->zone = standard;
    if (icaltime_is_utc(time)) {
        event->zone = NULL;
    } else if (parameter != NULL && !time.is_date) {
        const char *name = icalparameter_get_tzid(parameter);
        bool sane = name != NULL && zone_name_is_sane(name) && zones != NULL;
        event->own_zone = sane ? zones(name) : NULL;
        event->zone = event->own_zone;
        if (event->own_zone == NULL) {
            return refuse(event->calendar, "The time zone '%.80s' of an event is not known.", name != NULL ? name : "");
        }
    }
    return true;
}

/* ---------------------------------------------------------------- occurrences */

static void add_occurrence(struct event *event, int64_t local_s)
{
    struct calendar *calendar = event->calendar;
    int64_t start_s = moment_of(event->zone, local_s);
    int64_t end_s = event->length_is_local ? moment_of(event->zone, local_s + event->length_s) : start_s + event->length_s;
    uint64_t start_ms = start_s > 0 ? (uint64_t)start_s * 1000 : 0, end_ms = end_s > 0 ? (uint64_t)end_s * 1000 : 0;

    for (size_t i = 0; i < event->exceptions_count; i++) {
        if (event->exceptions[i] == start_ms) {
            return;
        }
    }
    if (end_ms <= start_ms || end_ms <= event->since_ms || start_ms >= event->until_ms ||
        calendar->count > LIMIT_FIXED_SHIFTS_PER_LAYER) {
        return;
    }
    if (calendar->count == calendar->capacity) {
        calendar->capacity = calendar->capacity > 0 ? calendar->capacity * 2 : 64;
        calendar->events = must(realloc(calendar->events, calendar->capacity * sizeof *calendar->events));
    }
    calendar->events[calendar->count++] = (struct calendar_event){start_ms, end_ms, event->address, event->summary};
}

/* The days of BYDAY, Sunday is bit 0; false: refused. */
static bool days_of(struct event *event, const struct icalrecurrencetype *rule, unsigned *days)
{
    *days = 0;
    for (size_t i = 0; i < ICAL_BY_DAY_SIZE && rule->by_day[i] != ICAL_RECURRENCE_ARRAY_MAX; i++) {
        int weekday = (int)icalrecurrencetype_day_day_of_week(rule->by_day[i]);
        if (icalrecurrencetype_day_position(rule->by_day[i]) != 0 || weekday < 1 || weekday > 7) {
            return refuse(event->calendar, "BYDAY with a number ('first Monday') is not supported.");
        }
        *days |= 1u << (weekday - 1);
    }
    return true;
}

static bool rule_is_plain(struct event *event, const struct icalrecurrencetype *rule)
{
    const short *others[] = {rule->by_second, rule->by_minute,   rule->by_hour,  rule->by_month_day,
                             rule->by_year_day, rule->by_week_no, rule->by_month, rule->by_set_pos};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (others[i][0] != ICAL_RECURRENCE_ARRAY_MAX) {
            return refuse(event->calendar, "Of recurrence rules, only INTERVAL, COUNT, UNTIL and BYDAY are supported.");
        }
    }
    if (rule->freq != ICAL_DAILY_RECURRENCE && rule->freq != ICAL_WEEKLY_RECURRENCE) {
        return refuse(event->calendar, "Only events that recur daily or weekly are supported.");
    }
    if (rule->interval < 1 || rule->interval > INTERVAL_MAX || rule->count < 0) {
        return refuse(event->calendar, "The interval or count of a recurrence is out of range.");
    }
    if (rule->freq == ICAL_WEEKLY_RECURRENCE && rule->interval > 1 && rule->week_start != ICAL_MONDAY_WEEKDAY &&
        rule->week_start != ICAL_NO_WEEKDAY) {
        return refuse(event->calendar, "Weeks that begin on another day than Monday are not supported.");
    }
    return true;
}

/* Walks day by day; a day counts when its week or day is one of the interval's and its weekday one of the rule's. */
static bool add_recurring(struct event *event, const struct icalrecurrencetype *rule)
{
    int64_t first_day = floor_div(event->start_local_s, SECONDS_PER_DAY), count = 0;
    int64_t last_day = (int64_t)(event->until_ms / 1000) / SECONDS_PER_DAY + 2;
    int64_t first_week = floor_div(first_day + 3, 7); /* 1970-01-01 was a Thursday: weeks from Monday */
    bool weekly = rule->freq == ICAL_WEEKLY_RECURRENCE, ends = !icaltime_is_null_time(rule->until);
    unsigned days;

    if (!rule_is_plain(event, rule) || !days_of(event, rule, &days)) {
        return false;
    }
    if (ends && !time_is_sane(rule->until)) {
        return refuse(event->calendar, "The end of a recurrence is no time.");
    }
    days = days != 0 ? days : weekly ? 1u << calendar_weekday(first_day) : ALL_DAYS;
    for (int64_t day = first_day; day <= last_day; day++) {
        int64_t step = weekly ? floor_div(day + 3, 7) - first_week : day - first_day;
        int64_t local_s = event->start_local_s + (day - first_day) * SECONDS_PER_DAY;
        if (step % rule->interval != 0 || (days & 1u << calendar_weekday(day)) == 0) {
            continue;
        }
        int64_t until_s = ends ? local_of(rule->until) + (rule->until.is_date ? SECONDS_PER_DAY - 1 : 0) : 0;
        int64_t at_s = icaltime_is_utc(rule->until) ? moment_of(event->zone, local_s) : local_s;
        if ((ends && at_s > until_s) || (rule->count > 0 && count == rule->count)) {
            break;
        }
        count++;
        add_occurrence(event, local_s);
    }
    return true;
}

/* ---------------------------------------------------------------- one event */

static bool take_exceptions(struct event *event)
{
    icalproperty *property = icalcomponent_get_first_property(event->component, ICAL_EXDATE_PROPERTY);

    for (; property != NULL; property = icalcomponent_get_next_property(event->component, ICAL_EXDATE_PROPERTY)) {
        struct icaltimetype time = icalproperty_get_exdate(property);
        if (!time_is_sane(time) || event->exceptions_count == EXCEPTIONS_MAX) {
            return refuse(event->calendar, "An exception (EXDATE) of an event is no time, or there are too many.");
        }
        int64_t local_s = local_of(time);
        if (time.is_date) { /* the occurrence of that day */
            local_s += event->start_local_s - floor_div(event->start_local_s, SECONDS_PER_DAY) * SECONDS_PER_DAY;
        }
        int64_t at_s = icaltime_is_utc(time) ? local_s : moment_of(event->zone, local_s);
        event->exceptions = must(realloc(event->exceptions, (event->exceptions_count + 1) * sizeof(uint64_t)));
        event->exceptions[event->exceptions_count++] = at_s > 0 ? (uint64_t)at_s * 1000 : 0;
    }
    return true;
}

/* DTEND, else DURATION, else a day for a day. */
static bool take_end(struct event *event, struct icaltimetype start, const struct zone *standard,
                     struct zone *(*zones)(const char *name))
{
    icalproperty *end = icalcomponent_get_first_property(event->component, ICAL_DTEND_PROPERTY);
    icalproperty *duration = icalcomponent_get_first_property(event->component, ICAL_DURATION_PROPERTY);

    event->length_s = start.is_date ? SECONDS_PER_DAY : 0;
    event->length_is_local = start.is_date;
    if (end != NULL) {
        struct event other = {.calendar = event->calendar};
        struct icaltimetype time = icalproperty_get_dtend(end);
        if (!time_is_sane(time) || time.is_date != start.is_date) {
            return refuse(event->calendar, "The end of an event is no time like its start.");
        }
        if (!zone_of(&other, end, time, standard, zones)) {
            return false;
        }
        icalparameter *start_zone = icalproperty_get_first_parameter(
            icalcomponent_get_first_property(event->component, ICAL_DTSTART_PROPERTY), ICAL_TZID_PARAMETER);
        icalparameter *end_zone = icalproperty_get_first_parameter(end, ICAL_TZID_PARAMETER);
        const char *start_name = start_zone != NULL ? icalparameter_get_tzid(start_zone) : "";
        const char *end_name = end_zone != NULL ? icalparameter_get_tzid(end_zone) : "";
        event->length_is_local = icaltime_is_utc(start) == icaltime_is_utc(time) && start_name != NULL &&
                                 end_name != NULL && strcmp(start_name, end_name) == 0;
        event->length_s = event->length_is_local ? local_of(time) - event->start_local_s
                                                 : moment_of(other.zone, local_of(time)) -
                                                       moment_of(event->zone, event->start_local_s);
        zone_free(other.own_zone);
    } else if (duration != NULL) {
        event->length_s = icaldurationtype_as_int(icalproperty_get_duration(duration));
    }
    if (event->length_s <= 0 || event->length_s > (int64_t)LIMIT_TURN_SECONDS) {
        return refuse(event->calendar, "An event must end after its start, and within a year.");
    }
    return true;
}

/* Of "mailto:alice@example.org" what follows. */
static const char *address_of(icalcomponent *component)
{
    icalproperty *attendee = icalcomponent_get_first_property(component, ICAL_ATTENDEE_PROPERTY);
    const char *address = attendee != NULL ? icalproperty_get_attendee(attendee) : NULL;

    if (address == NULL) {
        return "";
    }
    return strncasecmp(address, "mailto:", 7) == 0 ? address + 7 : address;
}

static bool is_supported(struct event *event)
{
    static const icalproperty_kind REFUSED[] = {ICAL_RDATE_PROPERTY, ICAL_EXRULE_PROPERTY, ICAL_RECURRENCEID_PROPERTY};

    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        if (icalcomponent_get_first_property(event->component, REFUSED[i]) != NULL) {
            return refuse(event->calendar, "Events with RDATE, EXRULE or RECURRENCE-ID are not supported.");
        }
    }
    return true;
}

static bool lay_out(struct event *event, const struct zone *standard, struct zone *(*zones)(const char *name))
{
    icalproperty *start = icalcomponent_get_first_property(event->component, ICAL_DTSTART_PROPERTY);
    icalproperty *rule = icalcomponent_get_first_property(event->component, ICAL_RRULE_PROPERTY);
    struct icaltimetype time = start != NULL ? icalproperty_get_dtstart(start) : icaltime_null_time();

    if (!time_is_sane(time)) {
        return refuse(event->calendar, "An event has no start, or one that is no time.");
    }
    event->start_local_s = local_of(time);
    event->address = keep(event->calendar, address_of(event->component));
    event->summary = keep(event->calendar, icalcomponent_get_summary(event->component));
    if (!is_supported(event) || !zone_of(event, start, time, standard, zones) ||
        !take_end(event, time, standard, zones) || !take_exceptions(event)) {
        return false;
    }
    if (rule == NULL) {
        add_occurrence(event, event->start_local_s);
        return true;
    }
    struct icalrecurrencetype recurrence = icalproperty_get_rrule(rule);
    return add_recurring(event, &recurrence);
}

/* ---------------------------------------------------------------- the whole */

/* libical's own recursion follows the text's: what is nested too deep never gets there. */
static bool is_shallow(struct calendar *calendar, const char *text)
{
    unsigned depth = 0, components = 0;

    for (const char *line = text; *line != '\0'; line += strcspn(line, "\r\n"), line += strspn(line, "\r\n")) {
        if (strncasecmp(line, "BEGIN", 5) == 0) {
            depth++;
            components++;
        } else if (strncasecmp(line, "END", 3) == 0) {
            if (depth == 0) {
                return refuse(calendar, "The body is not one calendar (VCALENDAR): something ends that did not begin.");
            }
            depth--;
        }
        if (depth > DEPTH_MAX || components > COMPONENTS_MAX) {
            return refuse(calendar, "The calendar has too many parts (maximum is %u), or is nested too deep.",
                          COMPONENTS_MAX);
        }
    }
    return true;
}

static int compare_events(const void *a, const void *b)
{
    const struct calendar_event *x = a, *y = b;

    return (x->start_ms > y->start_ms) - (x->start_ms < y->start_ms);
}

static bool put_in_order(struct calendar *calendar)
{
    if (calendar->count > LIMIT_FIXED_SHIFTS_PER_LAYER) {
        return refuse(calendar, "The calendar has too many shifts within a year (maximum is %u).",
                      LIMIT_FIXED_SHIFTS_PER_LAYER);
    }
    if (calendar->count == 0) {
        return refuse(calendar, "The calendar has no event from now on within a year.");
    }
    qsort(calendar->events, calendar->count, sizeof *calendar->events, compare_events);
    for (size_t i = 1; i < calendar->count; i++) {
        if (calendar->events[i].start_ms < calendar->events[i - 1].end_ms) {
            return refuse(calendar, "Two events overlap: '%.60s' and '%.60s'; only one person can have a layer's shift.",
                          calendar->events[i - 1].summary, calendar->events[i].summary);
        }
    }
    return true;
}

static bool take_events(struct calendar *calendar, icalcomponent *root, const struct zone *zone,
                        struct zone *(*zones)(const char *name), uint64_t since_ms, uint64_t until_ms)
{
    icalcomponent *component = icalcomponent_get_first_component(root, ICAL_VEVENT_COMPONENT);
    bool good = true;

    for (; good && component != NULL; component = icalcomponent_get_next_component(root, ICAL_VEVENT_COMPONENT)) {
        struct event event = {.calendar = calendar, .component = component, .since_ms = since_ms, .until_ms = until_ms};
        if (icalcomponent_get_status(component) != ICAL_STATUS_CANCELLED) {
            good = lay_out(&event, zone, zones);
        }
        zone_free(event.own_zone);
        free(event.exceptions);
    }
    return good;
}

bool calendar_parse(struct calendar *calendar, struct span text, const struct zone *zone,
                    struct zone *(*zones)(const char *name), uint64_t since_ms, uint64_t until_ms)
{
    char *copy = must(malloc(text.size_bytes + 1));
    bool good;

    memcpy(copy, text.data, text.size_bytes);
    copy[text.size_bytes] = '\0';
    if (strlen(copy) != text.size_bytes) {
        free(copy);
        return refuse(calendar, "The calendar has a NUL in it.");
    }
    icalerror_set_errors_are_fatal(false);
    icalcomponent *root = is_shallow(calendar, copy) ? icalparser_parse_string(copy) : NULL;
    free(copy);
    if (root == NULL || icalcomponent_isa(root) != ICAL_VCALENDAR_COMPONENT) {
        good = calendar->error[0] != '\0' ? false : refuse(calendar, "The body is not one calendar (VCALENDAR).");
    } else {
        good = take_events(calendar, root, zone, zones, since_ms, until_ms) && put_in_order(calendar);
    }
    if (root != NULL) {
        icalcomponent_free(root);
    }
    return good;
}

void calendar_free(struct calendar *calendar)
{
    for (size_t i = 0; i < calendar->words_count; i++) {
        free(calendar->words[i]);
    }
    free(calendar->words);
    free(calendar->events);
    *calendar = (struct calendar){0};
}
