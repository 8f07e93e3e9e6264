/*
 * How a calendar's text is read. How far it may be nested, however it is written: libical follows it with the stack, and says what it thinks on
 * standard error. And that nothing of what says when somebody is on call is lost on the way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "node/api/schedules/calendar_import.h"
#include "node/host/zones.h"

#define NOW_MS 1790000000000u /* 2026-09-21T14:13:20Z */
#define LEVELS 2000u

static struct calendar calendar;

/* Whether it was taken; whatever is written to standard error meanwhile is a failure. */
static bool parse(const char *text)
{
    char said[64] = "";
    int before = dup(STDERR_FILENO), file = memfd_create("said", 0);
    assert_true(before >= 0 && file >= 0 && dup2(file, STDERR_FILENO) >= 0);
    struct zone *zone = zones_load("Europe/Paris");
    assert_non_null(zone);
    calendar = (struct calendar){0};
    bool taken = calendar_parse(&calendar, (struct span){text, strlen(text)}, zone, zones_load, NOW_MS, NOW_MS + SCHEDULE_HORIZON_MS);
    zone_free(zone);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    assert_true(pread(file, said, sizeof said - 1, 0) >= 0);
    close(before);
    close(file);
    assert_string_equal(said, "");
    return taken;
}

static void expect_refused(const char *text, const char *sentence)
{
    assert_false(parse(text));
    if (strstr(calendar.error, sentence) == NULL) {
        fail_msg("'%s' and not '%s'", calendar.error, sentence);
    }
    calendar_free(&calendar);
}

/* Each of these is a component within the last one to libical. */
static void what_is_nested_too_deep_is_refused_however_it_is_written(void **state)
{
    static const struct {
        const char *level, *sentence;
    } CASES[] = {
        {"BEGIN:VEVENT\r\n", "nested too deep"},
        {"begin:VEVENT\n", "nested too deep"},
        {"B\r\n EGIN:VEVENT\r\n", "nested too deep"}, /* folded */
        {"BEGI\n\tN:VEVENT\n", "nested too deep"},
        {"BEGIN\r\n \r\n :VEVENT\r\n", "nested too deep"},
        {"BEGIN:VEVENT\r\nENDS:1\r\n", "nested too deep"}, /* something else begins so */
        {"BEGIN:VEVENT\r\nEND-OF-IT:1\r\n", "nested too deep"},
        {"BEGIN:VEVENT\r\nX:1\n END:VEVENT\n", "nested too deep"},
        {"BEGIN;X=1:VEVENT\r\n", "no colon behind it"},
        {"BEGIN :VEVENT\r\n", "no colon behind it"},
        {"BEGIN:VEVENT\r\nEND\t:VEVENT\r\n", "no colon behind it"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char *text = calloc(LEVELS + 1, 64), *end = text;
        assert_non_null(text);
        end = stpcpy(end, "BEGIN:VCALENDAR\r\n");
        for (unsigned level = 0; level < LEVELS; level++) {
            end = stpcpy(end, CASES[i].level);
        }
        expect_refused(text, CASES[i].sentence);
        free(text);
    }
}

static void what_ends_without_a_beginning_is_refused_in_silence(void **state)
{
    static const char *const TEXTS[] = {
        "END:VCALENDAR\r\n",
        "BEGINS:1\r\nEND:VCALENDAR\r\n",
        "BEGIN;X=1:VCALENDAR\r\nEND:VCALENDAR\r\nEND:VCALENDAR\r\n",
        "BEGIN\r\nEND:VCALENDAR\r\n",
        "X:1\rBEGIN:VCALENDAR\nEND:VCALENDAR\nEND:VCALENDAR\n",
        "E\r\n ND:VCALENDAR\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        expect_refused(TEXTS[i], "The body is not one calendar (VCALENDAR)");
    }
}

/* Folded wherever it may be, with any end of lines, and with properties that begin like the others. */
static void what_is_well_formed_is_taken_however_it_is_written(void **state)
{
    static const char *const TEXTS[] = {
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:20261005T090000Z\r\nDURATION:PT1H\r\nSUMMARY:Bob\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261005T090000Z\nDURATION:PT1H\nSUMMARY:Bob\nEND:VEVENT\nEND:VCALENDAR\n",
        "BEGIN:VCALENDAR\rBEGIN:VEVENT\rDTSTART:20261005T090000Z\rDURATION:PT1H\rSUMMARY:Bob\rEND:VEVENT\rEND:VCALENDAR\r",
        "BEG\r\n IN:VCALENDAR\r\nBEGIN:VE\r\n\tVENT\r\nDTSTART\r\n :20261005\r\n T090000Z\r\nDURATION:PT1H\r\nSUMMARY:B\r\n ob\r\nE\r\n ND:VEVENT\r\n"
        "END:VCALENDAR\r\n",
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nENDING:1\r\nBEGINNING:2\r\nDTSTART:20261005T090000Z\r\nDURATION:PT1H\r\nSUMMARY:B\r\n \r\n ob\r\nEND:VEVENT\r\n"
        "END:VCALENDAR\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        if (!parse(TEXTS[i])) {
            fail_msg("%s", calendar.error);
        }
        assert_int_equal(calendar.shifts.count, 1);
        assert_string_equal(calendar.events[0].summary, "Bob");
        calendar_free(&calendar);
    }
}

/* Of some properties libical knows the name and not the value, and says so with the value. */
static void what_is_not_read_never_gets_to_libical(void **state)
{
    static const char *const LINES[] = {
        "TASK-MODE:PT6H\r\n", "task-mode;X=Y:PT6H\r\n", "TASK-MODE :PT6H\r\n", "TASK\r\n -MODE:PT6H\r\n", "NO COLON\r\n", ":\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++) {
        char text[512];
        (void)snprintf(text, sizeof text, "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:20261005T090000Z\r\n%sDURATION:PT1H\r\nsummary:Bob\r\n"
                       "END:VEVENT\r\nEND:VCALENDAR\r\n", LINES[i]);
        if (!parse(text)) {
            fail_msg("%s: %s", LINES[i], calendar.error);
        }
        assert_int_equal(calendar.shifts.count, 1);
        assert_string_equal(calendar.events[0].summary, "Bob");
        calendar_free(&calendar);
    }
}

/* ---------------------------------------------------------------- what would change who is on call */

#define CALENDAR(events) "BEGIN:VCALENDAR\r\n" events "END:VCALENDAR\r\n"
#define EVENT(lines) "BEGIN:VEVENT\r\n" lines "END:VEVENT\r\n"
#define DAILY EVENT("DTSTART:20261005T090000Z\r\nDURATION:PT1H\r\nRRULE:FREQ=DAILY;COUNT=9\r\nSUMMARY:Bob\r\n")

static void one_occurrence_that_is_cancelled_is_refused_and_not_overlooked(void **state)
{
    (void)state;
    expect_refused(CALENDAR(DAILY EVENT("RECURRENCE-ID:20261007T090000Z\r\nDTSTART:20261007T090000Z\r\nDURATION:PT1H\r\n"
                                        "STATUS:CANCELLED\r\nSUMMARY:Bob\r\n")),
                   "RECURRENCE-ID are not supported");
    expect_refused(CALENDAR(DAILY EVENT("RECURRENCE-ID:the seventh\r\nDTSTART:20261007T090000Z\r\nSTATUS:CANCELLED\r\n")), "'the seventh'");
    /* A whole event that is cancelled is none. */
    assert_true(parse(CALENDAR(DAILY EVENT("DTSTART:20261007T090000Z\r\nDURATION:PT1H\r\nRDATE:20261017T090000Z\r\nSTATUS:CANCELLED\r\n"))));
    assert_int_equal(calendar.shifts.count, 9);
    calendar_free(&calendar);
}

/* What libical cannot read it leaves out of the event, with a note that one must look for. */
static void a_value_that_cannot_be_read_is_refused_and_not_left_out(void **state)
{
    static const struct {
        const char *lines, *sentence;
    } CASES[] = {
        {"RRULE:FREQ=WEEKLY;COUNT=5;UNTIL=20261231\r\n", "The RRULE of an event cannot be read"},
        {"RRULE:FREQ=WEEKLY;INTERVAL=0\r\n", "The RRULE of an event cannot be read"},
        {"RRULE:FREQ=FORTNIGHTLY\r\n", "'FREQ=FORTNIGHTLY'"},
        {"RRULE:FREQ=WEEKLY;UNTIL=Christmas\r\n", "The RRULE of an event cannot be read"},
        {"RRULE:FREQ=WEEKLY;BYDAY=\r\n", "The RRULE of an event cannot be read"},
        {"RRULE:FREQ=WEEKLY;BYMONTHDAY=5\r\n", "BYMONTHDAY"},
        {"RRULE:RSCALE=CHINESE;FREQ=YEARLY\r\n", "RSCALE"},
        {"RRULE:RSCALE=GREGORIAN;FREQ=MONTHLY;BYMONTHDAY=31;SKIP=BACKWARD\r\n", "SKIP"},
        {"RRULE:FREQ=DAILY\r\nEXDATE:20261006T0900\r\n", "The EXDATE of an event cannot be read"},
        {"RRULE:FREQ=DAILY\r\nEXDATE:20261006T090000,tomorrow\r\n", "'tomorrow'"},
        {"RDATE:20261006T090000Z/PT1H\r\n", "The RDATE of an event cannot be read"},
        {"DTEND:20261005T10\r\n", "The DTEND of an event cannot be read"},
        {"DURATION:PT1.5H\r\n", "The DURATION of an event cannot be read"},
        {"EXRULE:never\r\n", "The EXRULE of an event cannot be read"},
        {"RRULE:FREQ=DAILY;COUNT=2\r\nRRULE:FREQ=WEEKLY;COUNT=3\r\n", "more than one"},
        {"DTSTART:20261006T090000Z\r\n", "more than one"},
        {"DTEND:20261005T110000Z\r\nDTEND:20261005T120000Z\r\n", "more than one"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char text[512];
        (void)snprintf(text, sizeof text, CALENDAR(EVENT("DTSTART:20261005T090000Z\r\nDURATION:PT1H\r\n%sSUMMARY:Bob\r\n")), CASES[i].lines);
        expect_refused(text, CASES[i].sentence);
    }
}

/* As calendars of this world come: empty values, parameters and words that are somebody's own, bad quotes, alarms of any kind. */
static void what_says_nothing_of_when_is_not_judged(void **state)
{
    static const char *const LINES[] = {
        "SUMMARY:\r\nATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;CN=Bob;X-NUM-GUESTS=0:mailto:bob@example.org\r\n",
        "ATTENDEE:\r\n", "ATTENDEE;CN=\"Bob \"the\" Builder\":mailto:bob@example.org\r\n", "ATTENDEE;CN=Bob; B.:mailto:bob@example.org\r\n",
        "ATTENDEE;VALUE=TEXT:bob@example.org\r\n", "ATTENDEE;CN=Bob:invalid:nomail\r\n", "STATUS:\r\n", "STATUS: \r\n", "STATUS:BUSY\r\n",
        "STATUS:CONFIRMED\r\nTRANSP:OPAQUE\r\nX-MICROSOFT-CDO-BUSYSTATUS:BUSY\r\nX-APPLE-TRAVEL-ADVISORY-BEHAVIOR:AUTOMATIC\r\nSEQUENCE:x\r\n",
        "SUMMARY;LANGUAGE=en-us:Bob\r\n", "SUMMARY;QUOTED-PRINTABLE:Bob\r\n", "SUMMARY\r\n", "RRULE:\r\n", "EXDATE:\r\n", "RDATE:\r\n", "RECURRENCE-ID:\r\n",
        "DTEND:\r\n", "RRULE:FREQ=WEEKLY;INTERVAL=1;COUNT=1;BYDAY=MO;WKST=SU\r\n",
        "RRULE:RSCALE=GREGORIAN;FREQ=DAILY;COUNT=1;SKIP=OMIT\r\n", "EXDATE;VALUE=DATE:20261006,20261007\r\n",
        "DTEND;X-VOBJ-FLOATINGTIME-ALLOWED=TRUE:20261005T100000Z\r\n",
        "BEGIN:VALARM\r\nTRIGGER:-PT15M\r\nDURATION:soon\r\nDURATION:sooner\r\nSUMMARY:\r\nATTENDEE:\r\nEND:VALARM\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++) {
        char text[512];
        (void)snprintf(text, sizeof text, CALENDAR(EVENT("DTSTART:20261005T090000Z\r\nDURATION:PT1H\r\n%s")), LINES[i]);
        if (!parse(text)) {
            fail_msg("%s: %s", LINES[i], calendar.error);
        }
        assert_int_equal(calendar.shifts.count, 1);
        calendar_free(&calendar);
    }
}

static void expect_span(const char *lines, uint64_t start_s, uint64_t end_s)
{
    char text[512];
    (void)snprintf(text, sizeof text, CALENDAR(EVENT("%sSUMMARY:Bob\r\n")), lines);
    if (!parse(text)) {
        fail_msg("%s: %s", lines, calendar.error);
    }
    assert_int_equal(calendar.shifts.count, 1);
    assert_int_equal(calendar.shifts.list[0].start_ms, start_s * 1000);
    assert_int_equal(calendar.shifts.list[0].end_ms, end_s * 1000);
    calendar_free(&calendar);
}

/* RFC 5545, section 3.3.6: weeks and days end at the hour of the wall, hours, minutes and seconds are what a clock counts. */
static void a_duration_of_weeks_or_days_ends_at_the_hour_at_which_it_began(void **state)
{
    const uint64_t nine_s = 1792569600, hour_s = 3600, day_s = 24 * hour_s; /* Wednesday 2026-10-21 in Paris; it is winter on Sunday */
    (void)state;
    expect_span("DTSTART:20261021T100000\r\nDURATION:P1W\r\n", nine_s, nine_s + 7 * day_s + hour_s);
    expect_span("DTSTART:20261021T100000\r\nDURATION:P7D\r\n", nine_s, nine_s + 7 * day_s + hour_s);
    expect_span("DTSTART:20261021T100000\r\nDURATION:PT168H\r\n", nine_s, nine_s + 7 * day_s);
    expect_span("DTSTART:20261021T080000Z\r\nDURATION:P1W\r\n", nine_s, nine_s + 7 * day_s);
    expect_span("DTSTART;TZID=America/New_York:20261021T040000\r\nDURATION:P1W\r\n", nine_s, nine_s + 7 * day_s); /* a week later there */
    expect_span("DTSTART;VALUE=DATE:20261025\r\nDURATION:P1D\r\n", 1792879200, 1792879200 + 25 * hour_s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_nested_too_deep_is_refused_however_it_is_written),
        cmocka_unit_test(what_ends_without_a_beginning_is_refused_in_silence),
        cmocka_unit_test(what_is_well_formed_is_taken_however_it_is_written),
        cmocka_unit_test(what_is_not_read_never_gets_to_libical),
        cmocka_unit_test(one_occurrence_that_is_cancelled_is_refused_and_not_overlooked),
        cmocka_unit_test(a_value_that_cannot_be_read_is_refused_and_not_left_out),
        cmocka_unit_test(what_says_nothing_of_when_is_not_judged),
        cmocka_unit_test(a_duration_of_weeks_or_days_ends_at_the_hour_at_which_it_began),
    };
    return cmocka_run_group_tests_name("calendar text", tests, NULL, NULL);
}
