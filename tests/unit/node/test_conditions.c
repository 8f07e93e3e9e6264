/* What a leader makes of what members say of themselves: told after a minute, over after a minute, once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/engine/conditions.h"

#define MINUTE_MS 60000u
#define INTERVAL_MS 10000u
#define GIB (UINT64_C(1) << 30)
#define MEMBERS 3u
#define MEMBERS_GROWN 5u

struct story {
    struct conditions conditions;
    struct member_facts members[MEMBERS_GROWN];
    size_t count;
    uint64_t now_ms;
    char keys[16][64]; /* told, as the state has them */
    size_t keys_count;
    unsigned notices;
    char summary[512]; /* of the last notice */
    Tocsin__Severity severity;
};

static int begin(void **state)
{
    static struct story story;
    story = (struct story){.count = MEMBERS, .now_ms = 1000000};
    for (size_t i = 0; i < MEMBERS_GROWN; i++) {
        story.members[i] = (struct member_facts){.id = i + 1,
                                                 .heard = true,
                                                 .voter = true,
                                                 .clock_known = true,
                                                 .vitals = {.disk_free_bytes = 50 * GIB, .disk_total_bytes = 100 * GIB,
                                                            .code = 7, .zones = 9, .providers = 3}};
    }
    *state = &story;
    return 0;
}

/* Applied at once. */
static void on_notice(void *context, const struct condition_notice *notice)
{
    struct story *story = context;
    story->notices++;
    story->severity = notice->severity;
    (void)snprintf(story->summary, sizeof story->summary, "%s", notice->summary);
    for (size_t i = 0; i < story->keys_count; i++) {
        if (strcmp(story->keys[i], notice->key) == 0) {
            assert_true(notice->ended);
            memmove(story->keys[i], story->keys[--story->keys_count], sizeof story->keys[i]);
            return;
        }
    }
    assert_false(notice->ended);
    (void)snprintf(story->keys[story->keys_count++], sizeof story->keys[0], "%s", notice->key);
}

static void look(struct story *story)
{
    Tocsin__NodeCondition rows[16], *list[16];
    char summary[] = "as it was told";
    for (size_t i = 0; i < story->keys_count; i++) {
        tocsin__node_condition__init(&rows[i]);
        char *key = story->keys[i];
        rows[i].key = strdup(key);
        rows[i].summary = summary;
        list[i] = &rows[i];
    }
    size_t count = story->keys_count;
    Tocsin__NodeConditions known = TOCSIN__NODE_CONDITIONS__INIT;
    known.n_conditions = count;
    known.conditions = list;
    conditions_look(&story->conditions, story->members, story->count, 1, &known, MINUTE_MS, INTERVAL_MS, story->now_ms, on_notice, story);
    for (size_t i = 0; i < count; i++) {
        free(rows[i].key);
    }
}

static void pass(struct story *story, unsigned seconds)
{
    for (unsigned i = 0; i < seconds * 1000 / INTERVAL_MS; i++) {
        story->now_ms += INTERVAL_MS;
        look(story);
    }
}

static void told_only(const struct story *story, const char *key)
{
    assert_int_equal(story->keys_count, 1);
    assert_string_equal(story->keys[0], key);
}

static void a_missing_member_is_told_once_and_is_over_when_it_is_back(void **state)
{
    struct story *story = *state;
    pass(story, 120);
    story->members[2].heard = false;
    pass(story, 60); /* a restart takes less */
    assert_int_equal(story->notices, 0);
    pass(story, 10);
    told_only(story, "node-3/missing");
    pass(story, 3600);
    assert_int_equal(story->notices, 1);
    story->members[2].heard = true;
    pass(story, 30);
    story->members[2].heard = false; /* it comes and goes: one incident */
    pass(story, 300);
    assert_int_equal(story->notices, 1);
    story->members[2].heard = true;
    pass(story, 70);
    assert_int_equal(story->keys_count, 0);
    assert_int_equal(story->notices, 2);
}

static void a_new_leader_neither_repeats_nor_forgets(void **state)
{
    struct story *story = *state;
    story->members[1].heard = false;
    pass(story, 120);
    told_only(story, "node-2/missing");
    memset(&story->conditions, 0, sizeof story->conditions);
    pass(story, 120);
    assert_int_equal(story->notices, 1);
    memset(&story->conditions, 0, sizeof story->conditions);
    story->members[1].heard = true;
    pass(story, 120);
    assert_int_equal(story->keys_count, 0);
}

static void a_leader_that_stood_still_has_not_seen_what_was_meanwhile(void **state)
{
    struct story *story = *state;
    pass(story, 60);
    story->members[1].heard = false;
    look(story);
    story->now_ms += 30 * MINUTE_MS;
    look(story); /* nothing has arrived yet */
    story->members[1].heard = true;
    pass(story, 300);
    assert_int_equal(story->notices, 0);
}

static void what_was_told_of_a_removed_member_is_over(void **state)
{
    struct story *story = *state;
    story->members[2].heard = false;
    pass(story, 120);
    told_only(story, "node-3/missing");
    story->count = 2;
    pass(story, 10);
    assert_int_equal(story->keys_count, 0);
}

static void a_missing_member_keeps_what_else_was_told_of_it(void **state)
{
    struct story *story = *state;
    story->members[2].vitals.zones = 8;
    pass(story, 120);
    told_only(story, "node-3/zones");
    story->members[2] = (struct member_facts){.id = 3};
    pass(story, 120);
    assert_int_equal(story->keys_count, 2);
}

static void a_disk_is_short(void **state)
{
    struct story *story = *state;
    struct vitals *vitals = &story->members[0].vitals;
    static const struct {
        uint64_t total_bytes, free_bytes;
        bool is;
    } disks[] = {{100 * GIB, 6 * GIB, false}, {100 * GIB, 4 * GIB, true}, {10000 * GIB, 11 * GIB, false}, {10000 * GIB, 9 * GIB, true},
                 {8 * GIB, GIB + 1, false},   {8 * GIB, GIB - 1, true},   {GIB, GIB / 3, false},           {GIB, GIB / 5, true},
                 {0, 0, false}};
    for (size_t i = 0; i < sizeof disks / sizeof disks[0]; i++) {
        vitals->disk_total_bytes = disks[i].total_bytes;
        vitals->disk_free_bytes = disks[i].free_bytes;
        pass(story, 120);
        assert_int_equal(story->keys_count, disks[i].is);
    }
}

static void the_clock_that_is_off_is_told_and_not_those_that_agree(void **state)
{
    struct story *story = *state;
    /* The leader's own clock is wrong: it sees both others five seconds behind. */
    story->members[1].clock_offset_ms = story->members[2].clock_offset_ms = -5000;
    pass(story, 120);
    told_only(story, "node-1/clock");
    assert_non_null(strstr(story->summary, "5000 ms ahead"));
    story->members[1].clock_offset_ms = story->members[2].clock_offset_ms = -900;
    pass(story, 120);
    assert_int_equal(story->keys_count, 0);
    /* Of two clocks nobody can say which one is wrong. */
    story->members[2].clock_known = false;
    story->members[1].clock_offset_ms = -5000;
    pass(story, 120);
    assert_int_equal(story->keys_count, 0);
}

static void an_upgrade_has_ten_minutes(void **state)
{
    struct story *story = *state;
    story->members[0].vitals.code = 8;
    story->members[0].vitals.providers = 5; /* bits of another code */
    pass(story, 300);
    story->members[1].vitals.code = 8;
    pass(story, 590);
    assert_int_equal(story->notices, 0);
    pass(story, 60);
    told_only(story, "node-3/version");
    story->members[2].vitals.code = 8;
    for (size_t i = 0; i < MEMBERS; i++) {
        story->members[i].vitals.providers = 5;
    }
    pass(story, 120);
    assert_int_equal(story->keys_count, 0);
}

static void a_member_that_lacks_a_provider_is_told(void **state)
{
    struct story *story = *state;
    story->members[1].vitals.providers = 1;
    pass(story, 120);
    told_only(story, "node-2/provider");
}

static void a_member_lags(void **state)
{
    struct story *story = *state;
    story->members[1].lags = true;
    story->members[1].behind_entries = 4711;
    pass(story, 120);
    told_only(story, "node-2/lagging");
    assert_non_null(strstr(story->summary, "4711"));
}

static void a_missing_member_wakes_people_when_the_next_loss_would_silence_the_cluster(void **state)
{
    struct story *story = *state;
    story->members[2].heard = false;
    pass(story, 120);
    told_only(story, "node-3/missing");
    assert_int_equal(story->severity, TOCSIN__SEVERITY__SEVERITY_CRITICAL);
    assert_non_null(strstr(story->summary, "there is no majority"));
    story->members[2].heard = true;
    pass(story, 120);
    assert_int_equal(story->keys_count, 0);

    story->count = MEMBERS_GROWN;
    story->members[3].heard = false;
    pass(story, 120);
    told_only(story, "node-4/missing"); /* four of five are left: one more may go */
    assert_int_equal(story->severity, TOCSIN__SEVERITY__SEVERITY_WARNING);
    assert_null(strstr(story->summary, "there is no majority"));
    story->members[4].heard = false;
    pass(story, 120);
    assert_int_equal(story->keys_count, 2);
    assert_int_equal(story->severity, TOCSIN__SEVERITY__SEVERITY_CRITICAL);
}

static void a_learner_that_is_missing_waits_until_morning(void **state)
{
    struct story *story = *state;
    story->count = MEMBERS + 1;
    story->members[3].voter = story->members[3].heard = false;
    pass(story, 120);
    told_only(story, "node-4/missing");
    assert_int_equal(story->severity, TOCSIN__SEVERITY__SEVERITY_WARNING);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup(name, begin)
    const struct CMUnitTest tests[] = {
        STORY(a_missing_member_is_told_once_and_is_over_when_it_is_back),
        STORY(a_new_leader_neither_repeats_nor_forgets),
        STORY(a_leader_that_stood_still_has_not_seen_what_was_meanwhile),
        STORY(what_was_told_of_a_removed_member_is_over),
        STORY(a_missing_member_keeps_what_else_was_told_of_it),
        STORY(a_disk_is_short),
        STORY(the_clock_that_is_off_is_told_and_not_those_that_agree),
        STORY(an_upgrade_has_ten_minutes),
        STORY(a_member_that_lacks_a_provider_is_told),
        STORY(a_member_lags),
        STORY(a_missing_member_wakes_people_when_the_next_loss_would_silence_the_cluster),
        STORY(a_learner_that_is_missing_waits_until_morning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
