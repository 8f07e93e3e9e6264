/* What a leader makes of providers that refuse or fail when members ask them: one trouble, one incident, of the urgency that it deserves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "node/engine/provider_conditions.h"
#include "notify/channel.h"

#define MEMBERS 3u
#define LEADER 1u
#define ALL ((UINT64_C(1) << 5) - 1)

#define MINUTE_MS 60000u

struct story {
    struct provider_conditions conditions;
    uint64_t now_ms;
    struct member_facts members[MEMBERS];
    char keys[8][LIMIT_NODE_CONDITION_KEY_CHARACTERS]; /* told, as the state has them */
    size_t keys_count;
    unsigned notices;
    char summary[512]; /* of the last notice */
    Tocsin__Severity severity;
};

static int begin(void **state)
{
    static struct story story;
    story = (struct story){0};
    for (size_t i = 0; i < MEMBERS; i++) {
        story.members[i] = (struct member_facts){.id = i + 1, .heard = true, .voter = true, .vitals = {.code = 7, .providers = ALL}};
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
    Tocsin__NodeCondition rows[8], *list[8];
    char keys[8][LIMIT_NODE_CONDITION_KEY_CHARACTERS], summary[] = "as it was told";
    memcpy(keys, story->keys, sizeof keys);
    for (size_t i = 0; i < story->keys_count; i++) {
        tocsin__node_condition__init(&rows[i]);
        rows[i].key = keys[i];
        rows[i].summary = summary;
        list[i] = &rows[i];
    }
    Tocsin__NodeConditions known = TOCSIN__NODE_CONDITIONS__INIT;
    known.n_conditions = story->keys_count;
    known.conditions = list;
    story->now_ms += 10000;
    provider_conditions_look(&story->conditions, story->members, MEMBERS, LEADER, &known, MINUTE_MS, story->now_ms, on_notice, story);
}

static void told_only(const struct story *story, const char *key, Tocsin__Severity severity, const char *words)
{
    assert_int_equal(story->keys_count, 1);
    assert_string_equal(story->keys[0], key);
    assert_int_equal(story->severity, severity);
    if (strstr(story->summary, words) == NULL) {
        fail_msg("'%s' does not say '%s'", story->summary, words);
    }
}

static void pass(struct story *story, unsigned minutes)
{
    for (unsigned i = 0; i < 6 * minutes; i++) {
        look(story);
    }
}

/* The bit of the provider that texts go through. */
static uint64_t twilio(void)
{
    uint64_t bit = 1;
    for (const struct channel *const *channel = channels_all(); strcmp((*channel)->provider, "twilio") != 0; channel++) {
        bit <<= 1;
    }
    return bit;
}

static void credentials_that_are_refused_everywhere_are_one_incident_that_wakes(void **state)
{
    struct story *story = *state;
    look(story);
    assert_int_equal(story->notices, 0);
    for (size_t i = 0; i < MEMBERS; i++) {
        story->members[i].vitals.providers_refused = twilio();
    }
    look(story);
    look(story);
    told_only(story, "provider-twilio/refused", TOCSIN__SEVERITY__SEVERITY_ERROR, "twilio refuses the credentials of node 1, 2, 3");
    assert_int_equal(story->notices, 1);
    for (size_t i = 0; i < MEMBERS; i++) {
        look(story);
        assert_int_equal(story->keys_count, 1); /* until the last has them right */
        story->members[i].vitals.providers_refused = 0;
    }
    look(story);
    assert_int_equal(story->keys_count, 0);
    assert_int_equal(story->notices, 2);
}

static void a_provider_that_fails_one_node_waits_and_one_that_fails_all_wakes(void **state)
{
    struct story *story = *state;
    story->members[2].vitals.providers_failing = twilio();
    pass(story, 7); /* others may not have asked yet */
    assert_int_equal(story->notices, 0);
    pass(story, 2);
    told_only(story, "provider-twilio/partly", TOCSIN__SEVERITY__SEVERITY_WARNING, "node 3");
    story->members[1].vitals.providers_failing = twilio();
    look(story);
    assert_int_equal(story->notices, 1);
    story->members[0].vitals.providers_failing = twilio();
    look(story);
    assert_int_equal(story->keys_count, 1);
    assert_string_equal(story->keys[0], "provider-twilio/down");
    story->members[0].vitals.providers_failing = 0; /* it mends, and each finds that out when it asks next */
    look(story);
    assert_int_equal(story->keys_count, 0);
    pass(story, 9);
    assert_int_equal(story->keys_count, 1);
    assert_string_equal(story->keys[0], "provider-twilio/partly");
    memset(&story->conditions, 0, sizeof story->conditions); /* another leader counts anew, and does not forget */
    pass(story, 2);
    assert_int_equal(story->keys_count, 1);
    story->members[1].vitals.providers_failing = story->members[2].vitals.providers_failing = 0;
    look(story);
    assert_int_equal(story->keys_count, 0);
}

static void a_provider_that_fails_the_leader_wakes(void **state)
{
    struct story *story = *state;
    story->members[LEADER - 1].vitals.providers_failing = twilio();
    look(story);
    told_only(story, "provider-twilio/down", TOCSIN__SEVERITY__SEVERITY_ERROR, "node 1, which leads");
}

static void what_some_refuse_and_fail_the_rest_is_down(void **state)
{
    struct story *story = *state;
    story->members[1].vitals.providers_failing = story->members[2].vitals.providers_failing = twilio();
    story->members[0].vitals.providers_refused = twilio();
    look(story);
    assert_int_equal(story->keys_count, 2);
}

static void a_node_that_does_not_use_the_provider_has_no_say(void **state)
{
    struct story *story = *state;
    story->members[0].vitals.providers = 0;
    story->members[1].vitals.providers_failing = story->members[2].vitals.providers_failing = twilio();
    look(story);
    told_only(story, "provider-twilio/down", TOCSIN__SEVERITY__SEVERITY_ERROR, "node 2, 3:");
}

static void nothing_ends_while_a_member_is_away_nor_during_an_upgrade(void **state)
{
    struct story *story = *state;
    story->members[2].vitals.providers_refused = twilio();
    look(story);
    assert_int_equal(story->keys_count, 1);
    struct vitals vitals = story->members[2].vitals;
    story->members[2].heard = false;
    story->members[2].vitals = (struct vitals){0};
    look(story);
    assert_int_equal(story->keys_count, 1);
    story->members[2].heard = true;
    story->members[2].vitals = vitals;
    story->members[2].vitals.code = 8;
    story->members[2].vitals.providers_refused = 0;
    look(story);
    assert_int_equal(story->keys_count, 1);
    story->members[2].vitals.code = 7;
    look(story);
    assert_int_equal(story->keys_count, 0);
}

/* ---------------------------------------------------------------- who shall lead instead */

static uint64_t successor(const struct story *story, struct provider_hand_over last, uint64_t term, uint64_t now_ms)
{
    return provider_successor(&last, term, story->members, MEMBERS, LEADER, MINUTE_MS, now_ms);
}

static void all_but_the_leader_have_a_way_out(struct story *story)
{
    story->members[1].vitals.providers_working = story->members[2].vitals.providers_working = 1;
}

static void who_has_a_way_out_and_keeps_up_shall_lead(void **state)
{
    struct story *story = *state;
    const struct provider_hand_over never = {0};
    assert_int_equal(successor(story, never, 5, 1), 0); /* nobody has one */
    story->members[0].vitals.providers_working = 1;
    assert_int_equal(successor(story, never, 5, 1), 0); /* the leader itself */
    all_but_the_leader_have_a_way_out(story);
    assert_int_equal(successor(story, never, 5, 1), 2);
    story->members[1].lags = true;
    assert_int_equal(successor(story, never, 5, 1), 3);
    story->members[2].heard = false;
    assert_int_equal(successor(story, never, 5, 1), 0);
    story->members[1].lags = false;
    story->members[1].voter = false;
    assert_int_equal(successor(story, never, 5, 1), 0);
}

static void a_transfer_that_came_to_nothing_is_followed_by_another_ones_a_minute_later(void **state)
{
    struct story *story = *state;
    const struct provider_hand_over to_2 = {.at_ms = 1000, .term = 5, .to = 2}, to_3 = {.at_ms = 1000, .term = 5, .to = 3};
    all_but_the_leader_have_a_way_out(story);
    assert_int_equal(successor(story, to_2, 5, 1000 + MINUTE_MS - 1), 0);
    assert_int_equal(successor(story, to_2, 5, 1000 + MINUTE_MS), 3);
    assert_int_equal(successor(story, to_3, 5, 1000 + MINUTE_MS), 2);
    story->members[2].heard = false;
    assert_int_equal(successor(story, to_2, 5, 1000 + MINUTE_MS), 2); /* there is no other */
}

static void leadership_does_not_go_to_and_fro(void **state)
{
    struct story *story = *state;
    const struct provider_hand_over last = {.at_ms = 1000, .term = 5, .to = 2};
    all_but_the_leader_have_a_way_out(story);
    assert_int_equal(successor(story, last, 7, 1000 + 10 * MINUTE_MS - 1), 0);
    assert_int_equal(successor(story, last, 7, 1000 + 10 * MINUTE_MS), 3);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup(name, begin)
    const struct CMUnitTest tests[] = {
        STORY(credentials_that_are_refused_everywhere_are_one_incident_that_wakes),
        STORY(a_provider_that_fails_one_node_waits_and_one_that_fails_all_wakes),
        STORY(a_provider_that_fails_the_leader_wakes),
        STORY(what_some_refuse_and_fail_the_rest_is_down),
        STORY(a_node_that_does_not_use_the_provider_has_no_say),
        STORY(nothing_ends_while_a_member_is_away_nor_during_an_upgrade),
        STORY(who_has_a_way_out_and_keeps_up_shall_lead),
        STORY(a_transfer_that_came_to_nothing_is_followed_by_another_ones_a_minute_later),
        STORY(leadership_does_not_go_to_and_fro),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
