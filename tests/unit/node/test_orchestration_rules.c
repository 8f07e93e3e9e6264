/* Conditions and regular expressions of event orchestration, against tables of what PagerDuty's language overview says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "node/orchestration/condition.h"
#include "node/orchestration/fold.h"
#include "node/orchestration/ruleset.h"

static const char EVENT[] =
    "{\"event\":{\"summary\":\"[PROD] Disk SPACE low\",\"source\":\"db12-server.example\",\"severity\":\"critical\",\"class\":\"\xC3\x9C" "berlast\","
    "\"custom_details\":{\"n\":7,\"x\":2.5,\"yes\":true,\"nothing\":null,\"lines\":\"first\\nin it\",\"tags\":[\"a\",\"b\"],"
    "\"system diagnosis\":{\"issue\":\"Low disk\"},\"big\":9007199254740992}},"
    "\"raw_event\":{\"links\":[{\"href\":\"https://diag.test/details\"}]},\"variables\":{\"host\":\"db12\"}}";

/* Friday 2021-12-03 20:00 UTC, noon in Los Angeles, 21:00 in Berlin. */
#define NOW_MS 1638561600000u

static bool holds(const char *text)
{
    struct path_table table = {0};
    struct facts facts;
    char sentence[SENTENCE_SIZE_BYTES];
    struct condition *condition = condition_parse(text, &table, sentence);
    if (condition == NULL) {
        fail_msg("%s: %s", text, sentence);
    }
    facts_init(&facts, json_loads(EVENT, 0, NULL), NOW_MS);
    facts_use(&facts, &table);
    bool result = condition_holds(condition, &facts, NULL);
    facts_close(&facts);
    condition_free(condition);
    path_table_free(&table);
    return result;
}

static void test_conditions_hold_as_the_overview_says(void **state)
{
    static const struct {
        const char *condition;
        bool holds;
    } table[] = {
        {"event.summary matches part 'disk space'", true},
        {"event.summary matches part exactly 'disk space'", false},
        {"event.summary matches part exactly 'SPACE'", true},
        {"event.summary matches '[prod] disk space low'", true},
        {"event.summary matches exactly '[prod] disk space low'", false},
        {"event.summary matches 'disk'", false},
        {"event.summary does not match part 'disk'", false},
        {"event.summary does not match 'disk'", true},
        {"event.class matches '\xC3\xBC" "berlast'", true},
        {"event.source matches regex 'db[0-9]+-server'", true},
        {"event.source matches regex '^DB\\\\d+'", true},
        {"event.source matches regex exactly '^DB\\\\d+'", false},
        {"event.source matches regex exactly '(?i)^DB\\\\d+'", true},
        {"event.custom_details.lines matches regex '.in it'", true},
        {"event.custom_details.lines matches regex '(?-s).in it'", false},
        {"event.custom_details.lines matches regex '^in it'", true},
        {"event.custom_details.lines matches regex '(?-m)^in it'", false},
        {"event.custom_details.n matches '7'", true},
        {"event.custom_details.tags matches part 'a'", true},
        {"event.custom_details.tags[1] == 'b'", true},
        {"event.custom_details.tags[2] exists", false},
        {"event.custom_details['system diagnosis'].issue matches 'low DISK'", true},
        {"raw_event.links[0].href matches part 'diag'", true},
        {"raw_event.images[0].src matches part 'diag'", false},
        {"variables.host == 'db12'", true},
        {"event.custom_details.nothing exists", true},
        {"event.custom_details.nothing matches 'null'", false},
        {"event.custom_details.absent exists", false},
        {"event.custom_details.absent does not exist", true},
        {"not event.custom_details.absent exists and event.summary matches part 'www'", false},
        {"not (event.custom_details.absent exists and event.summary matches part 'www')", true},
        {"event.custom_details.n > 5", true},
        {"event.custom_details.n > 7", false},
        {"event.custom_details.n >= 7", true},
        {"event.custom_details.n < 7.5", true},
        {"event.custom_details.x <= 2.5", true},
        {"event.custom_details.n == 7.0", true},
        {"event.custom_details.n == '7'", false},
        {"event.custom_details.n != '7'", true},
        {"event.severity == 'critical'", true},
        {"event.severity == 'Critical'", false},
        {"event.custom_details.yes", true},
        {"event.custom_details.yes == true", true},
        {"event.custom_details.n", false},
        {"2 > 'two'", false},
        {"not 2 > 'two'", true},
        {"2 >= 'two' or 2 < 10", true},
        {"2 <= 'two' and 2 < 10", false},
        {"not event.custom_details.absent > 2", true},
        {"event.custom_details.big == 9007199254740992.0", true},
        {"event.custom_details.big == 9007199254740994.0", false},
        {"event.custom_details.n > 5 and not event.custom_details.x < 6 or event.severity matches 'CRITICAL'", true},
        {"event.custom_details.n > 5 and (not event.custom_details.x < 6 or event.severity matches 'info')", false},
        {"now in Mon,Fri 09:00:00 to 17:00:00 America/Los_Angeles", true},
        {"now in Mon,Fri 09:00:00 to 17:00:00 Europe/Berlin", false},
        {"now in Mon,Thu 09:00:00 to 17:00:00 America/Los_Angeles", false},
        {"now in Fri 20:30:00 to 08:00:00 Europe/Berlin", true},
        {"now in Thu 22:00:00 to 21:00:00 Europe/Berlin", true},
        {"now in Thu 22:00:00 to 20:59:59 Europe/Berlin", false},
        {"now in Fri 00:00:00 to 00:00:00 Etc/UTC", true},
        {"not (now in Mon,Tue,Wed,Thu,Fri 09:00:00 to 17:00:00 America/Los_Angeles)", false},
        {"now > 2020-01-01 00:00:00 Etc/UTC", true},
        {"now < 2021-12-03 12:00:01 America/Los_Angeles", true},
        {"now < 2021-12-03 12:00:00 America/Los_Angeles", false},
        {"'the system\\'s down' matches part 'system\\'s'", true},
        {"'trailing whitespace ' matches 'trailing whitespace'", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (holds(table[i].condition) != table[i].holds) {
            fail_msg("%s is not %s", table[i].condition, table[i].holds ? "true" : "false");
        }
    }
}

static void refused(const char *text, const char *because)
{
    struct path_table table = {0};
    char sentence[SENTENCE_SIZE_BYTES];
    struct condition *condition = condition_parse(text, &table, sentence);
    path_table_free(&table);
    if (condition != NULL || strstr(sentence, because) == NULL) {
        fail_msg("%s: %s", text, condition != NULL ? "was taken" : sentence);
    }
}

static void test_what_is_no_condition_is_refused_with_its_place(void **state)
{
    char deep[256] = "", nots[512] = "", many[4096] = "true";
    (void)state;
    refused("", "at byte 1 ");
    refused("event.summary matches", "");
    refused("event.summary matches part 'disk", "closing quote");
    refused("event.summary equals 'disk'", "at byte 15 ");
    refused("event.summary matches 'a' and", "");
    refused("event.summary matches 'a' xor true", "at byte 27 ");
    refused("(event.summary matches 'a'", "parenthesis");
    refused("incident.summary matches 'a'", "begins with event");
    refused("cache_var.x == 1", "cache variables");
    refused("trigger_count over 10 minutes > 5", "counting triggers");
    refused("event.summary matches regex event.source", "single quotes");
    refused("event.summary matches regex '('", "refused: a ) is missing");
    refused("event.summary matches regex '(?=a)'", "looking around");
    refused("event.summary matches regex '(a)\\\\1'", "back references");
    refused("event.summary matches regex 'a{1001}'", "beyond 1000");
    refused("event.summary matches regex '((a{100}){100}){100}'", "too large");
    refused("event.summary matches regex '(((){1000}){1000}){1000}'", "too large");
    refused("now in Moon 09:00:00 to 17:00:00 Etc/UTC", "day of the week");
    refused("now in Mon 25:00:00 to 17:00:00 Etc/UTC", "time of day");
    refused("now in Mon 09:00:00 to 17:00:00 Mars/Olympus", "time zone");
    refused("event.x in Mon 09:00:00 to 17:00:00 Etc/UTC", "only now");
    refused("event[ matches 'a'", "brackets");
    for (unsigned i = 0; i < 33; i++) {
        strncat(deep, "(", sizeof deep - strlen(deep) - 1);
        strncat(nots, "not ", sizeof nots - strlen(nots) - 1);
    }
    refused(deep, "nested too deep");
    refused(nots, "nested too deep");
    for (unsigned i = 0; i < 64; i++) {
        strncat(many, " or true", sizeof many - strlen(many) - 1);
    }
    refused(many, "more than 64 parts");
}

/* ---------------------------------------------------------------- patterns */

static struct pattern *compiled(const char *text, bool fold)
{
    char error[PATTERN_ERROR_SIZE_BYTES];
    struct pattern *pattern = pattern_compile(text, fold, error);
    if (pattern == NULL) {
        fail_msg("%s: %s", text, error);
    }
    return pattern;
}

static enum pattern_result find(const struct pattern *pattern, const char *text, uint64_t *steps_left,
                                struct pattern_match *match)
{
    struct pattern_memory memory = {0};
    size_t size = strlen(text);
    char *folded = malloc(size + 1);
    assert_non_null(folded);
    fold_text(text, size, folded);
    struct pattern_text whole = {text, folded, size};
    enum pattern_result result = pattern_find(pattern, &whole, &memory, steps_left, match);
    pattern_memory_free(&memory);
    free(folded);
    return result;
}

static void test_patterns_find_what_re2_finds(void **state)
{
    static const struct {
        const char *pattern, *text, *found; /* NULL: nothing; groups behind the whole, separated by | */
    } table[] = {
        {"abc", "xabcx", "abc"},         {"a|ab", "ab", "a"},           {"(a|ab)(c|bcd)", "abcd", "abcd|a|bcd"},
        {"a*", "aaa", "aaa"},            {"a*?", "aaa", ""},            {"a+?", "aaa", "a"},
        {"(a+)(b+)?", "aac", "aa|aa|"},  {"a{2}", "aaa", "aa"},         {"a{2,}", "aaaa", "aaaa"},
        {"a{1,2}?", "aaa", "a"},         {"x{0}y", "xy", "y"},          {"a{,2}", "a{,2}", "a{,2}"},
        {"[a-c]+", "xxabcd", "abc"},     {"[^a-c]+", "abxyc", "xy"},    {"[]a]+", "b]a", "]a"},
        {"[a-]+", "b-a", "-a"},          {"[[:digit:]]+", "ab12", "12"}, {"\\d+\\.\\d+", "v1.25", "1.25"},
        {"\\bdb\\b", "a db b", "db"},    {"\\bdb\\b", "adb", NULL},     {"\\Bb", "ab", "b"},
        {"^in", "first\nin it", "in"},   {"(?-m)^in", "first\nin it", NULL}, {"it$", "in it\nx", "it"},
        {"\\Afirst", "first", "first"},  {"it\\z", "in it", "it"},      {"it\\z", "in it\n", NULL},
        {"a.c", "a\nc", "a\nc"},         {"(?-s)a.c", "a\nc", NULL},    {"(?i)aBc", "AbC", "AbC"},
        {"a(?i)b", "aB", "aB"},          {"a(?i:b)c", "aBC", NULL},     {"(?P<host>\\w+)-x", "db1-x", "db1-x|db1"},
        {"\\x41\\x{42}", "AB", "AB"},    {"\\.\\*", "a.*", ".*"},       {"\xC3\xBC+", "\xC3\xBC\xC3\xBC", "\xC3\xBC\xC3\xBC"},
        {"(?i)\xC3\x9C", "\xC3\xBC", "\xC3\xBC"}, {"[\xC3\xA4-\xC3\xBC]", "x\xC3\xB6", "\xC3\xB6"},
        {".", "\xE2\x82\xAC", "\xE2\x82\xAC"},  {"(a*)*", "b", "|"},
        {"(a|b)*c", "ababc", "ababc|b"}, {"x*", "", ""},                {"(?U)a+", "aaa", "a"},
        {"\\bx", "ax x", "x"},           {"(?:ab){2,3}", "ababab", "ababab"}, {"", "abc", ""},
        {"a||b", "b", ""},               {"[[:alpha:]_]+\\d{2,4}", "..ab_12345", "ab_1234"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct pattern *pattern = compiled(table[i].pattern, false);
        struct pattern_match match;
        uint64_t steps_left = 100000;
        char got[256] = "";
        enum pattern_result result = find(pattern, table[i].text, &steps_left, &match);
        for (unsigned group = 0; result == PATTERN_FOUND && group < match.groups; group++) {
            bool there = match.start[group] <= match.end[group];
            size_t length = strlen(got);
            (void)snprintf(got + length, sizeof got - length, "%s%.*s", group > 0 ? "|" : "",
                           there ? (int)(match.end[group] - match.start[group]) : 0,
                           there ? table[i].text + match.start[group] : "");
        }
        uint64_t again = 100000;
        if ((result == PATTERN_FOUND) != (table[i].found != NULL) ||
            (table[i].found != NULL && strcmp(got, table[i].found) != 0) ||
            find(pattern, table[i].text, &again, NULL) != result) {
            fail_msg("%s in %s: %s", table[i].pattern, table[i].text, result == PATTERN_FOUND ? got : "nothing");
        }
        pattern_free(pattern);
    }
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* What holds up engines that try one way after the other. */
static void test_no_pattern_is_made_slow_by_its_text(void **state)
{
    static const char *const hostile[] = {"(a+)+$", "(a|a)*b", "(a|aa)+c", "(.*a){10}x", "((a{0,20}){0,20})x", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$"};
    char *text = malloc(65537);
    (void)state;
    assert_non_null(text);
    memset(text, 'a', 65536);
    strcpy(text + 65535, "!");
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        struct pattern *pattern = compiled(hostile[i], false);
        uint64_t steps_left = STEPS_PER_EVENT, begin_us = now_us();
        enum pattern_result result = find(pattern, text, &steps_left, NULL);
        uint64_t took_us = now_us() - begin_us;
        print_message("%-32s %s, %llu steps, %llu us\n", hostile[i], result == PATTERN_GIVEN_UP ? "given up" : "decided",
                      (unsigned long long)(STEPS_PER_EVENT - steps_left), (unsigned long long)took_us);
        assert_true(took_us < 500000); /* some 10 ms; with sanitizers on a busy machine ten times that */
        pattern_free(pattern);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions_hold_as_the_overview_says),
        cmocka_unit_test(test_what_is_no_condition_is_refused_with_its_place),
        cmocka_unit_test(test_patterns_find_what_re2_finds),
        cmocka_unit_test(test_no_pattern_is_made_slow_by_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
