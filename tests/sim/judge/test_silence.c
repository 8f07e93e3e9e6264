/* P6 from outside: what must not be said of a job. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/judge/silence.h"

#define MINUTE_MS 60000u
#define KEY "00000000-0000-4000-8000-000000000001"

struct story {
    struct silence *silence;
    unsigned violations;
    char sentence[256];
};

static void on_violation(void *context, const char *sentence)
{
    struct story *story = context;
    story->violations++;
    (void)snprintf(story->sentence, sizeof story->sentence, "%s", sentence);
}

/* A job of two minutes and as much grace, heard at the first minute. */
static int begin(void **state)
{
    struct story *story = calloc(1, sizeof *story);
    assert_non_null(story);
    story->silence = silence_new(on_violation, story);
    silence_job(story->silence, KEY, 2 * MINUTE_MS, 2 * MINUTE_MS);
    silence_heard(story->silence, KEY, MINUTE_MS);
    *state = story;
    return 0;
}

static int end(void **state)
{
    struct story *story = *state;
    silence_free(story->silence);
    free(story);
    return 0;
}

static void a_dead_job_may_be_said_to_be_silent(void **state)
{
    struct story *story = *state;
    silence_dies(story->silence, KEY);
    silence_said(story->silence, KEY, 5 * MINUTE_MS);
    silence_said(story->silence, "another", 5 * MINUTE_MS);
    assert_int_equal(story->violations, 0);
}

static void not_before_its_time(void **state)
{
    struct story *story = *state;
    silence_said(story->silence, KEY, 4 * MINUTE_MS);
    assert_int_equal(story->violations, 1);
    assert_non_null(strstr(story->sentence, "it was heard 180000 ms ago"));
}

static void a_run_is_to_end_within_the_grace(void **state)
{
    struct story *story = *state;
    silence_started(story->silence, KEY, 2 * MINUTE_MS);
    silence_said(story->silence, KEY, 4 * MINUTE_MS);
    assert_int_equal(story->violations, 0);
    silence_heard(story->silence, KEY, 3 * MINUTE_MS);
    silence_said(story->silence, KEY, 4 * MINUTE_MS);
    assert_int_equal(story->violations, 1);
}

static void who_tries_in_vain_is_not_silent(void **state)
{
    struct story *story = *state;
    silence_tries(story->silence, KEY, 3 * MINUTE_MS);
    silence_tried(story->silence, KEY, 3);
    silence_said(story->silence, KEY, 5 * MINUTE_MS);
    assert_int_equal(story->violations, 0); /* that may have been those nodes */
    silence_tried(story->silence, KEY, 30);
    silence_said(story->silence, KEY, 5 * MINUTE_MS);
    assert_int_equal(story->violations, 1);
    assert_non_null(strstr(story->sentence, "30 times in vain"));
}

static void who_was_late_has_no_say(void **state)
{
    struct story *story = *state;
    silence_tries(story->silence, KEY, 4 * MINUTE_MS);
    silence_tried(story->silence, KEY, 30);
    silence_said(story->silence, KEY, 5 * MINUTE_MS);
    assert_int_equal(story->violations, 0);
}

static void one_that_rests_is_not_judged_before_it_is_heard(void **state)
{
    struct story *story = *state;
    silence_excused(story->silence, KEY);
    silence_said(story->silence, KEY, 2 * MINUTE_MS);
    assert_int_equal(story->violations, 0);
    silence_heard(story->silence, KEY, 3 * MINUTE_MS);
    silence_said(story->silence, KEY, 4 * MINUTE_MS);
    assert_int_equal(story->violations, 1);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_dead_job_may_be_said_to_be_silent),
        STORY(not_before_its_time),
        STORY(a_run_is_to_end_within_the_grace),
        STORY(who_tries_in_vain_is_not_silent),
        STORY(who_was_late_has_no_say),
        STORY(one_that_rests_is_not_judged_before_it_is_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
