/* Cron expressions: what they mean, told by a slow judge that looks at every minute, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "node/cron/cron.h"
#include "node/host/zones.h"
#include "tests/support/plain_cron.h"

#define DAY_S 86400
#define FOUND_MAX 3000u
#define JANUARY_2026_S 1767225600
#define SEEDS 300u

static uint64_t found[FOUND_MAX];

static struct zone *zone_of(const char *name)
{
    struct zone *zone = zones_load(name);
    assert_non_null(zone);
    return zone;
}

static int64_t utc(int year, int month, int day, int hour, int minute)
{
    struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute};
    return timegm(&tm);
}

static struct cron parsed(const char *text)
{
    char sentence[CRON_SENTENCE_SIZE_BYTES] = "";
    struct cron cron;
    if (!cron_parse(text, &cron, sentence)) {
        fail_msg("%s: %s", text, sentence);
    }
    return cron;
}

/* The moments behind `since_s` are these, as many as are given; 0 ends them. */
static void expect(const char *text, const char *zone_name, int64_t since_s, const int64_t *moments_s)
{
    struct cron cron = parsed(text);
    struct zone *zone = zone_of(zone_name);
    size_t count = 0;
    while (moments_s[count] != 0) {
        count++;
    }
    assert_int_equal(cron_next(&cron, zone, since_s, INT64_MAX, found, count), count);
    for (size_t i = 0; i < count; i++) {
        if ((int64_t)found[i] != moments_s[i]) {
            fail_msg("%s in %s: moment %zu is %lld and not %lld", text, zone_name, i, (long long)found[i],
                     (long long)moments_s[i]);
        }
    }
    zone_free(zone);
}

#define EXPECT(text, zone, since, ...) expect(text, zone, since, (const int64_t[]){__VA_ARGS__, 0})

/* ---------------------------------------------------------------- by hand */

static void a_time_that_is_skipped_is_the_moment_after_the_gap(void **state)
{
    (void)state; /* Riga, 28 March 2021: 03:00 +02 becomes 04:00 +03 */
    EXPECT("30 3 * * *", "Europe/Riga", utc(2021, 3, 27, 12, 0), utc(2021, 3, 28, 1, 0), utc(2021, 3, 29, 0, 30));
    EXPECT("10,40 3 * * *", "Europe/Riga", utc(2021, 3, 27, 12, 0), utc(2021, 3, 28, 1, 0), utc(2021, 3, 29, 0, 10));
    EXPECT("0 * * * *", "Europe/Riga", utc(2021, 3, 28, 0, 30), utc(2021, 3, 28, 1, 0), utc(2021, 3, 28, 2, 0));
    EXPECT("*/30 3 * * *", "Europe/Riga", utc(2021, 3, 27, 12, 0), utc(2021, 3, 29, 0, 0), utc(2021, 3, 29, 0, 30));
    /* Cairo, 28 April 2023: midnight is 01:00 */
    EXPECT("0 0 * * *", "Africa/Cairo", utc(2023, 4, 27, 12, 0), utc(2023, 4, 27, 22, 0), utc(2023, 4, 28, 21, 0));
}

static void a_time_that_comes_twice_is_its_first(void **state)
{
    (void)state; /* Riga, 31 October 2021: 04:00 +03 becomes 03:00 +02 */
    EXPECT("30 3 * * *", "Europe/Riga", utc(2021, 10, 30, 12, 0), utc(2021, 10, 31, 0, 30), utc(2021, 11, 1, 1, 30));
    EXPECT("30 * * * *", "Europe/Riga", utc(2021, 10, 31, 0, 0), utc(2021, 10, 31, 0, 30), utc(2021, 10, 31, 1, 30),
           utc(2021, 10, 31, 2, 30)); /* what runs every hour runs then, too */
    EXPECT("*/30 3 * * *", "Europe/Riga", utc(2021, 10, 31, 0, 0), utc(2021, 10, 31, 0, 30), utc(2021, 10, 31, 1, 0),
           utc(2021, 10, 31, 1, 30));
}

static void days_by_month_and_by_week(void **state)
{
    (void)state;
    /* both, for one begins with an asterisk: the first Sunday */
    EXPECT("1 1 1-7 * */7", "UTC", utc(2026, 1, 1, 0, 0), utc(2026, 1, 4, 1, 1), utc(2026, 2, 1, 1, 1));
    /* either: every 13th and every Friday */
    EXPECT("0 0 13 * 5", "UTC", utc(2026, 1, 3, 0, 0), utc(2026, 1, 9, 0, 0), utc(2026, 1, 13, 0, 0),
           utc(2026, 1, 16, 0, 0));
    EXPECT("0 0 29 2 *", "UTC", utc(2026, 1, 1, 0, 0), utc(2028, 2, 29, 0, 0), utc(2032, 2, 29, 0, 0));
    EXPECT("0 0 L * *", "UTC", utc(2026, 1, 1, 0, 0), utc(2026, 1, 31, 0, 0), utc(2026, 2, 28, 0, 0));
    EXPECT("0 0 LW * *", "UTC", utc(2026, 1, 1, 0, 0), utc(2026, 1, 30, 0, 0), utc(2026, 2, 27, 0, 0),
           utc(2026, 3, 31, 0, 0));
    EXPECT("0 0 * * 5L", "UTC", utc(2026, 1, 1, 0, 0), utc(2026, 1, 30, 0, 0), utc(2026, 2, 27, 0, 0));
    EXPECT("0 0 * * mon#2", "UTC", utc(2026, 1, 1, 0, 0), utc(2026, 1, 12, 0, 0), utc(2026, 2, 9, 0, 0));
    EXPECT("0 12/6 1 JAN,jul 7", "UTC", utc(2026, 1, 1, 0, 0), utc(2026, 1, 1, 12, 0), utc(2026, 1, 1, 18, 0),
           utc(2026, 1, 4, 12, 0));
}

static void what_is_no_schedule_is_refused_with_a_sentence(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", " ", "* * * *", "* * * * * *", "@hourly", "Mon *-*-* 10:00", "* * * *\n*", "60 * * * *", "* 24 * * *",
        "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * * 8", "5-3 * * * *", "* * * * fri-sun", "*/0 * * * *",
        "*/61 * * * *", "*/99999999999999999999 * * * *", "0 0 30 2 *", "0 0 31 4,6,9,11 *", "1,,2 * * * *",
        ",1 * * * *", "1, * * * *", "1-2-3 * * * *", "-1 * * * *", "a * * * *", "* * L-1 * *", "* * 1W * *",
        "* * * * mon#6", "* * * * mon#0", "* * * * #1", "* * * * L", "L * * * *", "* * * foo *", "*1 * * * *",
        "0 0 * * JAN", "1/2/3 * * * *", "1- * * * *", "\xc3\xa9 * * * *",
    };
    char sentence[CRON_SENTENCE_SIZE_BYTES], endless[1001];
    struct cron cron;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sentence[0] = '\0';
        if (cron_parse(bad[i], &cron, sentence)) {
            fail_msg("'%s' was taken", bad[i]);
        }
        assert_true(strlen(sentence) > 10 && sentence[strlen(sentence) - 1] == '.');
    }
    memset(endless, '*', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    assert_false(cron_parse(endless, &cron, sentence));
    assert_string_equal(sentence, "A cron expression has at most 100 characters.");
}

/* ---------------------------------------------------------------- the slow judge */

static uint64_t random_state;

static unsigned chance(unsigned below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u; /* D. Knuth, MMIX */
    return (unsigned)(random_state >> 33) % below;
}

/* One field, as text and as what it allows; the judge reads only the latter. */
struct guess {
    char text[16];
    bool allows[64], star;
};

static void guess_field(struct guess *guess, unsigned min, unsigned max)
{
    unsigned a = min + chance(max - min + 1), b = a + chance(max - a + 1), step = 1 + chance(max - min);
    memset(guess, 0, sizeof *guess);
    switch (chance(5)) {
    case 0:
        snprintf(guess->text, sizeof guess->text, "*");
        a = min, b = max, step = 1, guess->star = true;
        break;
    case 1:
        snprintf(guess->text, sizeof guess->text, "*/%u", step);
        a = min, b = max, guess->star = true;
        break;
    case 2:
        snprintf(guess->text, sizeof guess->text, "%u-%u/%u", a, b, step);
        break;
    case 3:
        snprintf(guess->text, sizeof guess->text, "%u/%u", a, step);
        b = max;
        break;
    default:
        snprintf(guess->text, sizeof guess->text, "%u,%u", a, b);
        guess->allows[a] = guess->allows[b] = true;
        return;
    }
    for (unsigned i = a; i <= b; i += step) {
        guess->allows[i] = true;
    }
}

static bool fits(const struct guess guess[5], int64_t local_s)
{
    time_t clock = (time_t)local_s;
    struct tm tm;
    gmtime_r(&clock, &tm);
    bool day = guess[2].allows[tm.tm_mday];
    bool weekday = guess[4].allows[tm.tm_wday] || (tm.tm_wday == 0 && guess[4].allows[7]);
    bool days = guess[2].star || guess[4].star ? day && weekday : day || weekday;
    return guess[0].allows[tm.tm_min] && guess[1].allows[tm.tm_hour] && guess[3].allows[tm.tm_mon + 1] && days;
}

/* Sixty days, minute by minute. On the wall clock: a minute that fits and is shown for the first time, or one behind a
 * gap in which one fits. */
static size_t judge(const struct guess guess[5], const struct zone *zone, int64_t since_s, int64_t *moments_s)
{
    bool by_wall = !guess[0].star && !guess[1].star;
    int64_t shown_s = zone_to_local(zone, since_s);
    size_t count = 0;
    for (int64_t back_s = 0; back_s <= 3 * 3600; back_s += 60) { /* the latest that was shown before */
        int64_t local_s = zone_to_local(zone, since_s - back_s);
        shown_s = local_s > shown_s ? local_s : shown_s;
    }
    for (int64_t at_s = since_s + 60; at_s <= since_s + 60 * DAY_S; at_s += 60) {
        int64_t local_s = zone_to_local(zone, at_s);
        bool fit = !by_wall && fits(guess, local_s);
        for (; by_wall && shown_s < local_s; shown_s += 60) {
            fit = fits(guess, shown_s + 60) || fit;
        }
        if (fit && count < FOUND_MAX) {
            moments_s[count++] = at_s;
        }
    }
    return count;
}

static void every_minute_of_sixty_days_is_as_the_slow_judge_says(void **state)
{
    static const char *const zones[] = {"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"};
    static int64_t moments_s[FOUND_MAX];
    size_t judged = 0;
    (void)state;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        struct guess guess[5];
        struct cron cron;
        char text[CRON_CHARACTERS_MAX], sentence[CRON_SENTENCE_SIZE_BYTES];
        random_state = seed * 7919u + 1;
        (void)chance(2);
        static const unsigned bounds[5][2] = {{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 7}};
        for (unsigned i = 0; i < 5; i++) {
            guess_field(&guess[i], bounds[i][0], bounds[i][1]);
        }
        snprintf(text, sizeof text, "%s %s %s %s %s", guess[0].text, guess[1].text, guess[2].text, guess[3].text, guess[4].text);
        if (!cron_parse(text, &cron, sentence)) {
            assert_string_equal(sentence, "No day of the next fifty years fits the cron expression.");
            continue;
        }
        struct zone *zone = zone_of(zones[seed % 5]);
        int64_t since_s = JANUARY_2026_S + (int64_t)chance(365) * DAY_S + chance(1440) * 60;
        size_t wanted = judge(guess, zone, since_s, moments_s);
        size_t count = cron_next(&cron, zone, since_s, since_s + 60 * DAY_S, found, FOUND_MAX);
        while (count > 0 && (int64_t)found[count - 1] > since_s + 60 * DAY_S) {
            count--;
        }
        for (size_t i = 0; i < wanted || i < count; i++) {
            if (i >= wanted || i >= count || (int64_t)found[i] != moments_s[i]) {
                fail_msg("seed %u, '%s' in %s since %lld: moment %zu of %zu (the judge: %zu) is %lld and not %lld", seed, text,
                         zones[seed % 5], (long long)since_s, i, count, wanted, i < count ? (long long)found[i] : 0,
                         i < wanted ? (long long)moments_s[i] : 0);
            }
        }
        judged += wanted;
        zone_free(zone);
    }
    assert_in_range(judged, SEEDS, SEEDS * FOUND_MAX);
}

/* The one that the simulator's jobs go by. */
static void simple_ones_are_as_the_plain_reading_says(void **state)
{
    static const char *const SIMPLE[][2] = {{"* * * * *", "UTC"},
                                            {"*/7 * * * *", "Asia/Kolkata"},
                                            {"1-59/3 * * * *", "Asia/Tokyo"},
                                            {"3,13,14,50 7-9 * * *", "America/Phoenix"},
                                            {"59 */5 * * *", "Asia/Kolkata"}};
    (void)state;
    for (size_t i = 0; i < sizeof SIMPLE / sizeof *SIMPLE; i++) {
        struct cron cron = parsed(SIMPLE[i][0]);
        struct zone *zone = zone_of(SIMPLE[i][1]);
        struct plain_cron plain;
        assert_true(plain_cron_read(SIMPLE[i][0], SIMPLE[i][1], &plain));
        size_t count = cron_next(&cron, zone, JANUARY_2026_S, INT64_MAX, found, FOUND_MAX);
        uint64_t moment_ms = (uint64_t)JANUARY_2026_S * 1000;
        for (size_t n = 0; n < count; n++) {
            moment_ms = plain_cron_next_ms(&plain, moment_ms + 1);
            assert_int_equal(found[n] * 1000, moment_ms);
        }
        zone_free(zone);
    }
    struct plain_cron plain;
    assert_false(plain_cron_read("0 3 * * MON", "UTC", &plain));
    assert_false(plain_cron_read("0 3 * * *", "Europe/Berlin", &plain));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_that_is_skipped_is_the_moment_after_the_gap),
        cmocka_unit_test(a_time_that_comes_twice_is_its_first),
        cmocka_unit_test(days_by_month_and_by_week),
        cmocka_unit_test(what_is_no_schedule_is_refused_with_a_sentence),
        cmocka_unit_test(every_minute_of_sixty_days_is_as_the_slow_judge_says),
        cmocka_unit_test(simple_ones_are_as_the_plain_reading_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
