/* Times in news are those of the reader's zone, by the name that people call it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/host/zones.h"
#include "notify/news.h"

#define JANUARY_2026_S INT64_C(1767225600)
#define DAYS(count) ((count) * INT64_C(86400))

static void moments_are_called_as_the_zone_calls_them(void **state)
{
    static const struct {
        const char *zone, *name;
        int64_t at_s;
    } CASES[] = {
        {"Europe/Paris", "CET", JANUARY_2026_S},
        {"Europe/Paris", "CEST", JANUARY_2026_S + DAYS(182)},
        {"Europe/Paris", "CEST", JANUARY_2026_S + DAYS(365 * 50 + 182)}, /* by the rule behind the tables */
        {"America/New_York", "EST", JANUARY_2026_S},
        {"America/New_York", "EDT", JANUARY_2026_S + DAYS(182)},
        {"Asia/Kolkata", "IST", JANUARY_2026_S},
        {"Asia/Kathmandu", "UTC+05:45", JANUARY_2026_S}, /* the file has +0545 */
        {"America/Sao_Paulo", "UTC-03:00", JANUARY_2026_S},
        {"Etc/UTC", "UTC", JANUARY_2026_S},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char name[ZONE_ABBREVIATION_SIZE];
        struct zone *zone = zones_load(CASES[i].zone);
        assert_non_null(zone);
        zone_abbreviation(zone, CASES[i].at_s, name);
        assert_string_equal(name, CASES[i].name);
        zone_free(zone);
    }
}

static void expect_news_of(char *schedule, char *time_zone, const char *expected)
{
    char text[512], other[] = "Bob";
    Tocsin__Notice notice = TOCSIN__NOTICE__INIT;
    Tocsin__Notification notification = TOCSIN__NOTIFICATION__INIT;
    notice.kind = TOCSIN__NOTICE_KIND__NOTICE_SHIFT_BEGINS;
    notice.schedule_name = schedule;
    notice.other_name = other;
    notice.start_ms = (uint64_t)(JANUARY_2026_S + DAYS(86)) * 1000;
    notice.end_ms = (uint64_t)(JANUARY_2026_S + DAYS(93)) * 1000;
    notification.notice = &notice;
    notification.time_zone = time_zone;
    news_short(&notification, text, sizeof text);
    assert_string_equal(text, expected);
}

static void expect_news(char *time_zone, const char *expected)
{
    char schedule[] = "Primary";
    expect_news_of(schedule, time_zone, expected);
}

static void a_schedule_may_have_no_name(void **state)
{
    char none[] = "";
    (void)state;
    expect_news_of(none, none,
                   "[On call] A schedule without a name: your shift begins 2026-03-28 00:00 UTC, until 2026-04-04 00:00 UTC. "
                   "You take over from Bob.");
}

static void a_reader_reads_the_hours_of_the_own_wall(void **state)
{
    char paris[] = "Europe/Paris", mars[] = "Mars/Olympus", outside[] = "../../etc/passwd", none[] = "";
    static const char UTC[] =
        "[On call] Primary: your shift begins 2026-03-28 00:00 UTC, until 2026-04-04 00:00 UTC. You take over from Bob.";
    (void)state;
    expect_news(paris, UTC); /* nobody has said where zones come from */
    news_use_zones(zones_load);
    expect_news(paris, "[On call] Primary: your shift begins 2026-03-28 01:00 CET, until 2026-04-04 02:00 CEST. You take over from Bob.");
    expect_news(mars, UTC);
    expect_news(outside, UTC);
    expect_news(none, UTC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_called_as_the_zone_calls_them),
        cmocka_unit_test(a_reader_reads_the_hours_of_the_own_wall),
        cmocka_unit_test(a_schedule_may_have_no_name),
    };
    return cmocka_run_group_tests_name("news times", tests, NULL, NULL);
}
