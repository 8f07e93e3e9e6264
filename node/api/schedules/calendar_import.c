/* Calendars from outside. libical reads the text; days, weeks and zones are counted here. */
#include "node/api/schedules/calendar_import.h"

#include <ctype.h>
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
#define EXCEPTIONS_MAX 1000u

/* One VEVENT while it is read. */
struct event {
    struct calendar *calendar;
    struct calendar_zones *zones;
    const struct zone *zone; /* of its times; NULL: UTC */
    icalcomponent *component;
    struct calendar_event made;
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

/* Freed with the calendar. */
static void *keep(struct calendar *calendar, void *piece)
{
    calendar->pieces = must(realloc(calendar->pieces, (calendar->pieces_count + 1) * sizeof *calendar->pieces));
    calendar->pieces[calendar->pieces_count++] = must(piece);
    return piece;
}

static char *keep_text(struct calendar *calendar, const char *text)
{
    return keep(calendar, strdup(text != NULL ? text : ""));
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

/* The zone that a property names, and its name; false: refused. */
static bool zone_of(struct event *event, icalproperty *property, struct icaltimetype time, const char **name,
                    const struct zone **zone)
{
    icalparameter *parameter = icalproperty_get_first_parameter(property, ICAL_TZID_PARAMETER);
    bool named = parameter != NULL && !time.is_date && icalparameter_get_tzid(parameter) != NULL;

    *name = icaltime_is_utc(time) ? CALENDAR_ZONE_UTC : named ? icalparameter_get_tzid(parameter) : "";
    return calendar_zone_find(event->zones, *name, zone) ||
           refuse(event->calendar, "The time zone '%.80s' of an event is not known, or there are more than %u.", *name,
                  CALENDAR_ZONES_MAX);
}

/* ---------------------------------------------------------------- recurrence */

static size_t length_of(const short *list, size_t size)
{
    size_t count = 0;

    while (count < size && list[count] != ICAL_RECURRENCE_ARRAY_MAX) {
        count++;
    }
    return count;
}

static int32_t *numbers_of(struct calendar *calendar, const short *list, size_t size, size_t *count)
{
    *count = length_of(list, size);
    int32_t *numbers = keep(calendar, calloc(*count + 1, sizeof *numbers));
    for (size_t i = 0; i < *count; i++) {
        numbers[i] = list[i];
    }
    return numbers;
}

static void take_days(struct calendar *calendar, Tocsin__CalendarRule *rule, const struct icalrecurrencetype *given)
{
    rule->n_by_day = rule->n_by_day_position = length_of(given->by_day, ICAL_BY_DAY_SIZE);
    rule->by_day = keep(calendar, calloc(rule->n_by_day + 1, sizeof *rule->by_day));
    rule->by_day_position = keep(calendar, calloc(rule->n_by_day + 1, sizeof *rule->by_day_position));
    for (size_t i = 0; i < rule->n_by_day; i++) {
        rule->by_day[i] = (uint32_t)icalrecurrencetype_day_day_of_week(given->by_day[i]) - 1; /* Sunday is 1 */
        rule->by_day_position[i] = icalrecurrencetype_day_position(given->by_day[i]);
    }
}

static void take_months(struct calendar *calendar, Tocsin__CalendarRule *rule, const struct icalrecurrencetype *given)
{
    rule->n_by_month = length_of(given->by_month, ICAL_BY_MONTH_SIZE);
    rule->by_month = keep(calendar, calloc(rule->n_by_month + 1, sizeof *rule->by_month));
    for (size_t i = 0; i < rule->n_by_month; i++) {
        rule->by_month[i] = (uint32_t)given->by_month[i]; /* a leap month of another calendar is out of range */
    }
}

static bool take_until(struct event *event, Tocsin__CalendarRule *rule, const struct icalrecurrencetype *given)
{
    if (icaltime_is_null_time(given->until)) {
        return true;
    }
    if (!time_is_sane(given->until)) {
        return refuse(event->calendar, "The end of a recurrence is no time.");
    }
    rule->until_s = local_of(given->until) + (given->until.is_date ? SECONDS_PER_DAY - 1 : 0);
    rule->until_s = rule->until_s != 0 ? rule->until_s : 1;
    rule->until_is_utc = icaltime_is_utc(given->until);
    return true;
}

static bool is_supported_rule(struct event *event, const struct icalrecurrencetype *given)
{
    const struct {
        const short *list;
        size_t size;
    } others[] = {{given->by_second, ICAL_BY_SECOND_SIZE}, {given->by_minute, ICAL_BY_MINUTE_SIZE},
                  {given->by_hour, ICAL_BY_HOUR_SIZE},     {given->by_year_day, ICAL_BY_YEARDAY_SIZE},
                  {given->by_week_no, ICAL_BY_WEEKNO_SIZE}};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (length_of(others[i].list, others[i].size) > 0) {
            return refuse(event->calendar, "Of recurrence rules, only INTERVAL, COUNT, UNTIL, BYDAY, BYMONTHDAY, BYMONTH and "
                                           "BYSETPOS are supported.");
        }
    }
    if ((given->rscale != NULL && strcasecmp(given->rscale, "GREGORIAN") != 0) || given->skip != ICAL_SKIP_OMIT) {
        return refuse(event->calendar, "Recurrence by another calendar (RSCALE), or with SKIP, is not supported.");
    }
    if (given->freq < ICAL_DAILY_RECURRENCE || given->freq > ICAL_YEARLY_RECURRENCE) {
        return refuse(event->calendar, "Only events that recur daily, weekly, monthly or yearly are supported.");
    }
    return given->count >= 0 || refuse(event->calendar, "The count of a recurrence is out of range.");
}

static bool take_recurrence(struct event *event, const struct icalrecurrencetype *given)
{
    static const Tocsin__CalendarFrequency FREQUENCIES[] = {
        [ICAL_DAILY_RECURRENCE] = TOCSIN__CALENDAR_FREQUENCY__CALENDAR_DAILY,
        [ICAL_WEEKLY_RECURRENCE] = TOCSIN__CALENDAR_FREQUENCY__CALENDAR_WEEKLY,
        [ICAL_MONTHLY_RECURRENCE] = TOCSIN__CALENDAR_FREQUENCY__CALENDAR_MONTHLY,
        [ICAL_YEARLY_RECURRENCE] = TOCSIN__CALENDAR_FREQUENCY__CALENDAR_YEARLY,
    };
    struct calendar *calendar = event->calendar;
    Tocsin__CalendarRule *rule = &event->made.rule;

    if (!is_supported_rule(event, given) || !take_until(event, rule, given)) {
        return false;
    }
    rule->frequency = FREQUENCIES[given->freq];
    rule->interval = given->interval > 0 ? (uint32_t)given->interval : 0;
    rule->count = (uint32_t)given->count;
    rule->week_start = given->week_start == ICAL_NO_WEEKDAY ? 1 : (uint32_t)given->week_start - 1;
    take_days(calendar, rule, given);
    take_months(calendar, rule, given);
    rule->by_month_day = numbers_of(calendar, given->by_month_day, ICAL_BY_MONTHDAY_SIZE, &rule->n_by_month_day);
    rule->by_position = numbers_of(calendar, given->by_set_pos, ICAL_BY_SETPOS_SIZE, &rule->n_by_position);
    const char *refusal = recurrence_refusal(rule);
    return refusal == NULL || refuse(calendar, "%s", refusal);
}

/* ---------------------------------------------------------------- one event */

static size_t properties_count(icalcomponent *component, icalproperty_kind kind)
{
    size_t count = 0;

    for (icalproperty *property = icalcomponent_get_first_property(component, kind); property != NULL;
         property = icalcomponent_get_next_property(component, kind)) {
        count++;
    }
    return count;
}

static bool take_exceptions(struct event *event)
{
    Tocsin__CalendarRule *rule = &event->made.rule;
    size_t count = properties_count(event->component, ICAL_EXDATE_PROPERTY);
    icalproperty *property = icalcomponent_get_first_property(event->component, ICAL_EXDATE_PROPERTY);

    if (count > EXCEPTIONS_MAX) {
        return refuse(event->calendar, "An event has too many exceptions (EXDATE; maximum is %u).", EXCEPTIONS_MAX);
    }
    rule->exceptions_ms = keep(event->calendar, calloc(count + 1, sizeof *rule->exceptions_ms));
    for (; property != NULL; property = icalcomponent_get_next_property(event->component, ICAL_EXDATE_PROPERTY)) {
        struct icaltimetype time = icalproperty_get_exdate(property);
        const char *zone_name;
        const struct zone *zone;
        if (!time_is_sane(time)) {
            return refuse(event->calendar, "An exception (EXDATE) of an event is no time.");
        }
        if (!zone_of(event, property, time, &zone_name, &zone)) {
            return false;
        }
        int64_t local_s = local_of(time);
        if (time.is_date) { /* the occurrence of that day */
            local_s += rule->start_local_s - floor_div(rule->start_local_s, SECONDS_PER_DAY) * SECONDS_PER_DAY;
        }
        bool like_start = time.is_date || zone_name[0] == '\0';
        int64_t at_s = moment_of(like_start ? event->zone : zone, local_s);
        rule->exceptions_ms[rule->n_exceptions_ms++] = at_s > 0 ? (uint64_t)at_s * 1000 : 0;
    }
    return true;
}

/* DTEND, else DURATION, else a day for a day. */
static bool take_end(struct event *event, struct icaltimetype start)
{
    Tocsin__CalendarRule *rule = &event->made.rule;
    icalproperty *end = icalcomponent_get_first_property(event->component, ICAL_DTEND_PROPERTY);
    icalproperty *duration = icalcomponent_get_first_property(event->component, ICAL_DURATION_PROPERTY);

    rule->length_s = start.is_date ? SECONDS_PER_DAY : 0;
    rule->length_is_local = start.is_date;
    if (end != NULL) {
        struct icaltimetype time = icalproperty_get_dtend(end);
        const char *name;
        const struct zone *zone;
        if (!time_is_sane(time) || time.is_date != start.is_date) {
            return refuse(event->calendar, "The end of an event is no time like its start.");
        }
        if (!zone_of(event, end, time, &name, &zone)) {
            return false;
        }
        rule->length_is_local = strcmp(name, rule->time_zone) == 0;
        rule->length_s = rule->length_is_local
                             ? local_of(time) - rule->start_local_s
                             : moment_of(zone, local_of(time)) - moment_of(event->zone, rule->start_local_s);
    } else if (duration != NULL) {
        struct icaldurationtype given = icalproperty_get_duration(duration);
        bool has_time = given.hours != 0 || given.minutes != 0 || given.seconds != 0;
        rule->length_is_local = start.is_date || !has_time; /* days are of the wall, hours are not (RFC 5545, section 3.3.6) */
        rule->length_s = icaldurationtype_as_int(given);
    }
    if (rule->length_s <= 0 || rule->length_s > (int64_t)LIMIT_TURN_SECONDS) {
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

/*
 * What libical cannot read it leaves out, with a property in place of it that says so: "Can't parse as RECUR value in RRULE
 * property. Removing entire property: FREQ=SOMETIMES". Values that are not there ("No value for SUMMARY property...") say nothing, and
 * of parameters only their own words are lost; all others are about when somebody is on call.
 */
static bool refuse_unread(struct calendar *calendar, const char *error)
{
    static const char BEFORE_NAME[] = " value in ", BEFORE_VALUE[] = "property: ";
    const char *name = strstr(error, BEFORE_NAME), *value = strstr(error, BEFORE_VALUE);

    if (name == NULL || value == NULL) {
        return refuse(calendar, "A value of an event cannot be read.");
    }
    name += strlen(BEFORE_NAME);
    return refuse(calendar, "The %.*s of an event cannot be read: '%.80s'.", (int)strcspn(name, " "), name,
                  value + strlen(BEFORE_VALUE));
}

static bool is_read(struct event *event)
{
    icalcomponent *component = event->component;
    icalproperty *error = icalcomponent_get_first_property(component, ICAL_XLICERROR_PROPERTY);

    for (; error != NULL; error = icalcomponent_get_next_property(component, ICAL_XLICERROR_PROPERTY)) {
        icalparameter *type = icalproperty_get_first_parameter(error, ICAL_XLICERRORTYPE_PARAMETER);
        const char *text = icalproperty_get_xlicerror(error);
        bool of_value = type != NULL && icalparameter_get_xlicerrortype(type) == ICAL_XLICERRORTYPE_VALUEPARSEERROR;
        if (of_value && text != NULL && strncmp(text, "No value", strlen("No value")) != 0) {
            return refuse_unread(event->calendar, text);
        }
    }
    return true;
}

/* An event is whole: nothing of it was lost, and it is not one occurrence of another, which changes or cancels what that one says. */
static bool is_whole(struct event *event)
{
    if (icalcomponent_get_first_property(event->component, ICAL_RECURRENCEID_PROPERTY) != NULL) {
        return refuse(event->calendar, "Events with RDATE, EXRULE or RECURRENCE-ID are not supported.");
    }
    return is_read(event);
}

static bool is_supported(struct event *event)
{
    static const icalproperty_kind REFUSED[] = {ICAL_RDATE_PROPERTY, ICAL_EXRULE_PROPERTY};
    static const icalproperty_kind ONCE[] = {ICAL_DTSTART_PROPERTY, ICAL_DTEND_PROPERTY, ICAL_DURATION_PROPERTY, ICAL_RRULE_PROPERTY};

    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        if (icalcomponent_get_first_property(event->component, REFUSED[i]) != NULL) {
            return refuse(event->calendar, "Events with RDATE, EXRULE or RECURRENCE-ID are not supported.");
        }
    }
    for (size_t i = 0; i < sizeof ONCE / sizeof *ONCE; i++) {
        if (properties_count(event->component, ONCE[i]) > 1) {
            return refuse(event->calendar, "An event has more than one DTSTART, DTEND, DURATION or RRULE.");
        }
    }
    return true;
}

static bool read_event(struct event *event)
{
    Tocsin__CalendarRule *rule = &event->made.rule;
    icalproperty *start = icalcomponent_get_first_property(event->component, ICAL_DTSTART_PROPERTY);
    icalproperty *recurrence = icalcomponent_get_first_property(event->component, ICAL_RRULE_PROPERTY);
    struct icaltimetype time = start != NULL ? icalproperty_get_dtstart(start) : icaltime_null_time();
    const char *zone_name;

    tocsin__calendar_rule__init(rule);
    if (!time_is_sane(time)) {
        return refuse(event->calendar, "An event has no start, or one that is no time.");
    }
    if (!is_supported(event) || !zone_of(event, start, time, &zone_name, &event->zone)) {
        return false;
    }
    rule->start_local_s = local_of(time);
    rule->time_zone = keep_text(event->calendar, zone_name);
    event->made.address = keep_text(event->calendar, address_of(event->component));
    event->made.summary = keep_text(event->calendar, icalcomponent_get_summary(event->component));
    if (!take_end(event, time) || !take_exceptions(event)) {
        return false;
    }
    if (recurrence == NULL) {
        return true;
    }
    struct icalrecurrencetype given = icalproperty_get_rrule(recurrence);
    return take_recurrence(event, &given);
}

/* Its occurrences, and the event itself unless all of it is over. */
static bool add_event(struct event *event)
{
    struct calendar *calendar = event->calendar;
    bool over;

    if (!recurrence_lay_out(&event->made.rule, (uint32_t)calendar->count, event->zone, &calendar->shifts, &over)) {
        return refuse(calendar, "The events of the calendar recur for too long to be counted; let them begin later.");
    }
    if (over) {
        return true;
    }
    if (calendar->count == LIMIT_CALENDAR_RULES_PER_LAYER) {
        return refuse(calendar, "The calendar has too many events to come (maximum is %u).", LIMIT_CALENDAR_RULES_PER_LAYER);
    }
    if (calendar->count == calendar->capacity) {
        calendar->capacity = calendar->capacity > 0 ? calendar->capacity * 2 : 64;
        calendar->events = must(realloc(calendar->events, calendar->capacity * sizeof *calendar->events));
    }
    calendar->events[calendar->count++] = event->made;
    return true;
}

/* ---------------------------------------------------------------- the whole */

/*
 * The text with its lines unfolded (RFC 5545, section 3.1) and each ended by one '\n': then libical finds the lines that
 * is_shallow has looked at, and no others. The caller frees it.
 */
static char *plain_lines(struct span text)
{
    const char *bytes = text.data;
    char *plain = must(malloc(text.size_bytes + 1));
    size_t length = 0;

    for (size_t i = 0; i < text.size_bytes; i++) {
        bool folds = (bytes[i] == ' ' || bytes[i] == '\t') && length > 0 && plain[length - 1] == '\n';
        if (folds) {
            length--;
        } else if (bytes[i] != '\r') {
            plain[length++] = bytes[i];
        } else if (i + 1 == text.size_bytes || bytes[i + 1] != '\n') {
            plain[length++] = '\n';
        }
    }
    plain[length] = '\0';
    return plain;
}

static size_t name_length(const char *line)
{
    size_t length = strcspn(line, ":;\n");

    while (length > 0 && isspace((unsigned char)line[length - 1])) { /* to libical that is no part of a name */
        length--;
    }
    return length;
}

/* Leaves the lines that are read here: of some others libical knows no value, and writes what it met to standard error. */
static void keep_what_is_read(char *lines)
{
    static const char *const NAMES[] = {"BEGIN", "END",    "DTSTART", "DTEND",         "DURATION", "RRULE", "EXDATE",
                                        "RDATE", "EXRULE", "STATUS",  "RECURRENCE-ID", "ATTENDEE", "SUMMARY"};
    char *kept = lines;

    for (const char *line = lines; *line != '\0';) {
        size_t length = strcspn(line, "\n"), of_name = name_length(line);
        bool read = false;
        length += line[length] == '\n';
        for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES && !read; i++) {
            read = strlen(NAMES[i]) == of_name && strncasecmp(line, NAMES[i], of_name) == 0;
        }
        if (read) {
            memmove(kept, line, length);
            kept += length;
        }
        line += length;
    }
    *kept = '\0';
}

/* libical's own recursion follows the text's: what is nested too deep never gets there. */
static bool is_shallow(struct calendar *calendar, const char *lines)
{
    unsigned depth = 0, components = 0;

    for (const char *line = lines; *line != '\0'; line += strcspn(line, "\n"), line += strspn(line, "\n")) {
        size_t length = name_length(line);
        bool begins = length == 5 && strncasecmp(line, "BEGIN", length) == 0;
        bool ends = length == 3 && strncasecmp(line, "END", length) == 0;
        if ((begins || ends) && line[length] != ':') {
            return refuse(calendar, "The body is not one calendar (VCALENDAR): a BEGIN or an END has no colon behind it.");
        }
        if (ends && depth == 0) {
            return refuse(calendar, "The body is not one calendar (VCALENDAR): something ends that did not begin.");
        }
        depth = depth + begins - ends;
        components += begins;
        if (depth > DEPTH_MAX || components > COMPONENTS_MAX) {
            return refuse(calendar, "The calendar has too many parts (maximum is %u), or is nested too deep.",
                          COMPONENTS_MAX);
        }
    }
    return true;
}

static int compare_shifts(const void *a, const void *b)
{
    const struct occurrence *x = a, *y = b;

    return (x->start_ms > y->start_ms) - (x->start_ms < y->start_ms);
}

static bool put_in_order(struct calendar *calendar)
{
    struct occurrences *shifts = &calendar->shifts;

    if (shifts->count > LIMIT_FIXED_SHIFTS_PER_LAYER) {
        return refuse(calendar, "The calendar has too many shifts within a year (maximum is %u).",
                      LIMIT_FIXED_SHIFTS_PER_LAYER);
    }
    if (shifts->count == 0) {
        return refuse(calendar, "The calendar has no event from now on within a year.");
    }
    qsort(shifts->list, shifts->count, sizeof *shifts->list, compare_shifts);
    for (size_t i = 1; i < shifts->count; i++) {
        if (shifts->list[i].start_ms < shifts->list[i - 1].end_ms) {
            return refuse(calendar, "Two events overlap: '%.60s' and '%.60s'; only one person can have a layer's shift.",
                          calendar->events[shifts->list[i - 1].rule].summary, calendar->events[shifts->list[i].rule].summary);
        }
    }
    return true;
}

static bool take_events(struct calendar *calendar, icalcomponent *root, struct calendar_zones *zones)
{
    icalcomponent *component = icalcomponent_get_first_component(root, ICAL_VEVENT_COMPONENT);
    bool good = true;

    for (; good && component != NULL; component = icalcomponent_get_next_component(root, ICAL_VEVENT_COMPONENT)) {
        struct event event = {.calendar = calendar, .component = component, .zones = zones};
        bool cancelled = icalcomponent_get_status(component) == ICAL_STATUS_CANCELLED;
        good = is_whole(&event) && (cancelled || (read_event(&event) && add_event(&event)));
    }
    return good;
}

bool calendar_parse(struct calendar *calendar, struct span text, const struct zone *zone,
                    struct zone *(*zones)(const char *name), uint64_t since_ms, uint64_t until_ms)
{
    struct calendar_zones of_events = {.own = zone, .load = zones};
    bool good;

    calendar->shifts = (struct occurrences){.since_ms = since_ms, .until_ms = until_ms, .days_left = RECURRENCE_DAYS_MAX,
                                            .count_max = LIMIT_FIXED_SHIFTS_PER_LAYER};
    if (text.size_bytes > 0 && memchr(text.data, '\0', text.size_bytes) != NULL) {
        return refuse(calendar, "The calendar has a NUL in it.");
    }
    char *lines = plain_lines(text);
    keep_what_is_read(lines);
    icalerror_set_errors_are_fatal(false);
    icalcomponent *root = is_shallow(calendar, lines) ? icalparser_parse_string(lines) : NULL;
    free(lines);
    if (root == NULL || icalcomponent_isa(root) != ICAL_VCALENDAR_COMPONENT) {
        good = calendar->error[0] != '\0' ? false : refuse(calendar, "The body is not one calendar (VCALENDAR).");
    } else {
        good = take_events(calendar, root, &of_events) && put_in_order(calendar);
    }
    calendar_zones_free(&of_events);
    if (root != NULL) {
        icalcomponent_free(root);
    }
    return good;
}

void calendar_free(struct calendar *calendar)
{
    for (size_t i = 0; i < calendar->pieces_count; i++) {
        free(calendar->pieces[i]);
    }
    free(calendar->pieces);
    free(calendar->events);
    free(calendar->shifts.list);
    *calendar = (struct calendar){0};
}
