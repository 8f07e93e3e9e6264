/* When events of calendars recur, as RFC 5545 has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "node/api/schedules/calendar_import.h"
#include "node/host/zones.h"

#define NOW_MS 1790000000000u /* 2026-09-21T14:13:20Z */
#define DAY_MS (24ull * 3600 * 1000)
#define PARSED 2048

/* An hour at each occurrence, in Paris, from a day before now for a year. */
static bool parse(struct calendar *calendar, const char *start, const char *rule)
{
    char text[PARSED];
    struct zone *zone = zones_load("Europe/Paris");
    assert_non_null(zone);
    int length = snprintf(text, sizeof text,
                          "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:%s\r\nDURATION:PT1H\r\nRRULE:%s\r\nSUMMARY:Bob\r\n"
                          "END:VEVENT\r\nEND:VCALENDAR\r\n",
                          start, rule);
    assert_in_range(length, 1, sizeof text - 1);
    *calendar = (struct calendar){0};
    bool taken = calendar_parse(calendar, (struct span){text, (size_t)length}, zone, zones_load, NOW_MS - SCHEDULE_RENDER_BEFORE_MS,
                                NOW_MS + SCHEDULE_HORIZON_MS);
    zone_free(zone);
    return taken;
}

static void expect_time(uint64_t time_ms, const char *expected)
{
    char text[32];
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm utc;
    assert_non_null(gmtime_r(&seconds, &utc));
    assert_true(strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc) > 0);
    assert_string_equal(text, expected);
}

/* The expectations are those of python-dateutil 2.9: the first and last start of the year, how many, and all of them folded. */
static void rules_recur_as_another_implementation_says(void **state)
{
    static const struct {
        const char *start, *rule, *first, *last;
        size_t count;
        uint32_t folded;
    } CASES[] = {
        {"20260907T090000", "FREQ=MONTHLY;BYDAY=1MO", "2026-10-05T07:00:00Z", "2027-09-06T07:00:00Z", 12, 3899213968u},
        {"20260930T090000", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "2026-09-30T07:00:00Z", "2027-08-31T07:00:00Z", 12, 4053864848u},
        {"20260131T090000", "FREQ=MONTHLY", "2026-10-31T08:00:00Z", "2027-08-31T07:00:00Z", 7, 514954368u},
        {"20260131T090000", "FREQ=MONTHLY;BYMONTHDAY=-1,15", "2026-09-30T07:00:00Z", "2027-09-15T07:00:00Z", 24, 535515136u},
        {"20250901T090000", "FREQ=MONTHLY;INTERVAL=5", "2026-12-01T08:00:00Z", "2027-05-01T07:00:00Z", 2, 1654051952u},
        {"20260907T090000", "FREQ=MONTHLY;BYDAY=-2FR,2TU;COUNT=7", "2026-10-13T07:00:00Z", "2026-12-08T08:00:00Z", 5, 3501415680u},
        {"20200101T090000", "FREQ=YEARLY;BYMONTH=3,11;BYDAY=2SU,1SU", "2026-11-01T08:00:00Z", "2027-03-14T08:00:00Z", 4, 845272320u},
        {"20260105T090000", "FREQ=YEARLY;BYDAY=20MO,-1FR", "2026-12-25T08:00:00Z", "2027-05-17T07:00:00Z", 2, 1719715952u},
        {"20200113T090000", "FREQ=YEARLY;BYMONTHDAY=13;BYDAY=FR", "2026-11-13T08:00:00Z", "2027-08-13T07:00:00Z", 2, 1614826352u},
        {"20210913T090000", "FREQ=YEARLY;INTERVAL=2;BYMONTH=1", "2027-01-13T08:00:00Z", "2027-01-13T08:00:00Z", 1, 1799827200u},
        {"20260920T090000", "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU;COUNT=8", "2026-09-21T07:00:00Z", "2026-11-02T08:00:00Z", 7, 1525555824u},
        {"20260920T090000", "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=MO;COUNT=8", "2026-09-28T07:00:00Z", "2026-11-09T08:00:00Z", 7, 999036544u},
        {"20260101T090000", "FREQ=DAILY;BYMONTH=12;BYMONTHDAY=24,25,26", "2026-12-24T08:00:00Z", "2026-12-26T08:00:00Z", 3, 3103928960u},
        {"20260901T090000", "FREQ=YEARLY;BYMONTH=10;BYDAY=MO,TU;BYSETPOS=2,-1", "2026-10-06T07:00:00Z", "2026-10-27T08:00:00Z", 2, 1487883152u},
        {"20260101T090000", "FREQ=WEEKLY;BYMONTH=2", "2027-02-04T08:00:00Z", "2027-02-25T08:00:00Z", 4, 4102583552u},
        {"20260101T090000", "FREQ=MONTHLY;BYMONTH=1,6;BYDAY=3WE;UNTIL=20270601T000000Z", "2027-01-20T08:00:00Z", "2027-01-20T08:00:00Z", 1, 1800432000u},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct calendar calendar;
        if (!parse(&calendar, CASES[i].start, CASES[i].rule)) {
            fail_msg("%s: %s", CASES[i].rule, calendar.error);
        }
        if (calendar.shifts.count != CASES[i].count) {
            fail_msg("%s: %zu times", CASES[i].rule, calendar.shifts.count);
        }
        uint32_t folded = 0;
        for (size_t j = 0; j < calendar.shifts.count; j++) {
            folded = folded * 31 + (uint32_t)(calendar.shifts.list[j].start_ms / 1000);
        }
        expect_time(calendar.shifts.list[0].start_ms, CASES[i].first);
        expect_time(calendar.shifts.list[calendar.shifts.count - 1].start_ms, CASES[i].last);
        assert_int_equal(folded, CASES[i].folded);
        calendar_free(&calendar);
    }
}

static void what_does_not_recur_within_the_year_is_refused_and_what_is_over_is_left_out(void **state)
{
    struct calendar calendar;
    (void)state;
    assert_false(parse(&calendar, "20240229T090000", "FREQ=YEARLY;INTERVAL=4")); /* in 2028 */
    assert_non_null(strstr(calendar.error, "no event from now on"));
    assert_int_equal(calendar.count, 1); /* which would be kept beside others */
    calendar_free(&calendar);
    assert_false(parse(&calendar, "20240229T090000", "FREQ=DAILY;COUNT=900")); /* until 2026-08-16 */
    assert_int_equal(calendar.count, 0);
    calendar_free(&calendar);
    assert_false(parse(&calendar, "20240229T090000", "FREQ=DAILY;UNTIL=20260801T000000Z"));
    assert_int_equal(calendar.count, 0);
    calendar_free(&calendar);
}

/* A year further, from the same rules: the hours of the wall stay, and the count goes on. */
static void what_is_kept_of_a_calendar_is_laid_out_further(void **state)
{
    struct calendar calendar;
    (void)state;
    assert_true(parse(&calendar, "20260928T090000", "FREQ=MONTHLY;BYDAY=-1MO;COUNT=30"));
    assert_int_equal(calendar.shifts.count, 12);
    Tocsin__ScheduleLayer layer = TOCSIN__SCHEDULE_LAYER__INIT;
    Tocsin__CalendarRule *rules[] = {&calendar.events[0].rule};
    layer.calendar = rules;
    layer.n_calendar = 1;
    struct zone *zone = zones_load("Europe/Paris");
    struct calendar_zones zones = {.own = zone, .load = zones_load};
    size_t count;
    Tocsin__FixedShift **later = calendar_shifts(&layer, &zones, NOW_MS + 366 * DAY_MS, NOW_MS + 2 * 366 * DAY_MS, &count);
    assert_int_equal(count, 12);
    expect_time(later[0]->start_ms, "2027-09-27T07:00:00Z");
    expect_time(later[1]->start_ms, "2027-10-25T07:00:00Z"); /* clocks change on the 31st */
    expect_time(later[2]->start_ms, "2027-11-29T08:00:00Z");
    free(later);
    later = calendar_shifts(&layer, &zones, NOW_MS + 2 * 366 * DAY_MS, NOW_MS + 3 * 366 * DAY_MS, &count);
    assert_int_equal(count, 6); /* the 30th was the last */
    expect_time(later[5]->start_ms, "2029-02-26T08:00:00Z");
    free(later);
    calendar_zones_free(&zones);
    zone_free(zone);
    calendar_free(&calendar);
}

static void rules_that_cost_too_much_are_refused(void **state)
{
    struct calendar calendar = {0};
    (void)state;
    char *text = malloc(1 << 20);
    assert_non_null(text);
    size_t length = (size_t)snprintf(text, 64, "BEGIN:VCALENDAR\r\n");
    for (unsigned i = 0; i < 100; i++) {
        length += (size_t)snprintf(text + length, 256,
                                   "BEGIN:VEVENT\r\nDTSTART:19700101T%02u%02u00\r\nDURATION:PT1M\r\n"
                                   "RRULE:FREQ=DAILY;COUNT=99999\r\nSUMMARY:Bob\r\nEND:VEVENT\r\n",
                                   i / 60, i % 60);
    }
    length += (size_t)snprintf(text + length, 64, "END:VCALENDAR\r\n");
    clock_t begin = clock();
    assert_false(calendar_parse(&calendar, (struct span){text, length}, NULL, NULL, NOW_MS, NOW_MS + SCHEDULE_HORIZON_MS));
    assert_true((clock() - begin) / CLOCKS_PER_SEC < 2); /* far less, unless under a sanitizer */
    assert_non_null(strstr(calendar.error, "for too long to be counted"));
    calendar_free(&calendar);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_recur_as_another_implementation_says),
        cmocka_unit_test(what_does_not_recur_within_the_year_is_refused_and_what_is_over_is_left_out),
        cmocka_unit_test(what_is_kept_of_a_calendar_is_laid_out_further),
        cmocka_unit_test(rules_that_cost_too_much_are_refused),
    };
    return cmocka_run_group_tests_name("calendar recurrence", tests, NULL, NULL);
}
