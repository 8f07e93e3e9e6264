/*
 * What blindness gives back. A single node is cut off: whoever may know only its address has that time back, once, and
 * at most one grace. All nodes are gone: who died is paged within period and grace after it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "tests/support/machine_fixture.h"

#define NOTICED_S 3u /* so long after it was last heard the ticks say that a node is cut off */

/* Seconds of a cluster with one heartbeat, whose time is counted from here. */
struct story {
    struct machine_fixture *f;
    uint64_t service, job;
    uint64_t away, away_s; /* a node, and for how long; 0: none */
};

static void apply(struct story *story, Tocsin__Command__BodyCase body_case, void *body, Tocsin__Status expected)
{
    Tocsin__Command command = fixture_command();
    command.body_case = body_case;
    command.event = body; /* the pointers of all bodies are one */
    assert_int_equal(fixture_apply(story->f, &command)->status, expected);
}

static int begin(void **state)
{
    struct story *story = calloc(1, sizeof *story);
    assert_non_null(story);
    story->f = fixture_new();
    story->f->unchecked = true;
    uint64_t alice = fixture_user(story->f, "Alice");
    struct fixture_level levels[] = {{30, {alice}}};
    uint64_t policy = fixture_policy(story->f, 1, 1, levels);
    story->service = fixture_service(story->f, policy, TOCSIN__URGENCY__URGENCY_HIGH, 0, 0);
    *state = story;
    return 0;
}

static int end(void **state)
{
    struct story *story = *state;
    fixture_free(story->f);
    free(story);
    return 0;
}

static void job(struct story *story, uint32_t period_s, uint32_t grace_s)
{
    static char key[] = "00000000-0000-4000-8000-000000000001", name[] = "job";
    Tocsin__Heartbeat given = TOCSIN__HEARTBEAT__INIT;
    given.key = key;
    given.name = name;
    given.service_id = story->service;
    given.period_s = period_s;
    given.grace_s = grace_s;
    Tocsin__HeartbeatPut put = TOCSIN__HEARTBEAT_PUT__INIT;
    put.heartbeat = &given;
    apply(story, TOCSIN__COMMAND__BODY_HEARTBEAT_PUT, &put, TOCSIN__STATUS__STATUS_OK);
    story->job = story->f->reply->ids[0];
}

static void ping(struct story *story)
{
    Tocsin__Ping ping = TOCSIN__PING__INIT;
    ping.heartbeat_id = story->job;
    apply(story, TOCSIN__COMMAND__BODY_PING, &ping, TOCSIN__STATUS__STATUS_OK);
}

static void tick(struct story *story)
{
    Tocsin__UnheardMember unheard = TOCSIN__UNHEARD_MEMBER__INIT, *pointer = &unheard;
    unheard.id = story->away;
    unheard.silent_ms = story->away_s * 1000;
    Tocsin__Tick tick = TOCSIN__TICK__INIT;
    tick.unheard = &pointer;
    tick.n_unheard = story->away != 0 && story->away_s > NOTICED_S;
    apply(story, TOCSIN__COMMAND__BODY_TICK, &tick, TOCSIN__STATUS__STATUS_OK);
    while (machine_next_deadline_ms(&story->f->store) <= story->f->now_ms) {
        fixture_pulse(story->f, LIMIT_PULSE_DEADLINES);
    }
}

static void seconds(struct story *story, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        fixture_advance(story->f, 1000);
        story->away_s++;
        tick(story);
    }
}

static void goes_away(struct story *story, uint64_t node)
{
    story->away = node;
    story->away_s = 0;
}

static bool is_down(struct story *story)
{
    return fixture_heartbeat_status(story->f, story->job) == TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_DOWN;
}

static void goes_down_after(struct story *story, unsigned count)
{
    seconds(story, count - 1);
    assert_false(is_down(story));
    seconds(story, 1);
    assert_true(is_down(story));
}

/* ---------------------------------------------------------------- stories */

static void that_time_is_given_back(void **state)
{
    struct story *story = *state;
    job(story, 60, 120);
    ping(story);
    seconds(story, 50);
    goes_away(story, 2);
    seconds(story, 40);
    story->away = 0;
    goes_down_after(story, 180 - 90 + 41); /* the tick that is without it again is its end */
}

static void no_more_than_one_grace_is_given(void **state)
{
    struct story *story = *state;
    job(story, 60, 120);
    ping(story);
    seconds(story, 10);
    goes_away(story, 2);
    goes_down_after(story, 60 + 2 * 120 - 10);
}

static void a_node_that_is_lost_for_good_delays_nobody_who_knows_another(void **state)
{
    struct story *story = *state;
    job(story, 60, 120);
    goes_away(story, 2);
    seconds(story, 600);
    ping(story);
    goes_down_after(story, 180);
}

/* That one was away before says nothing of the other. */
static void each_node_counts_by_itself(void **state)
{
    struct story *story = *state;
    job(story, 60, 120);
    goes_away(story, 2);
    seconds(story, 30);
    ping(story);
    goes_away(story, 3);
    seconds(story, 40);
    story->away = 0;
    goes_down_after(story, 180 - 40 + 41);
}

/* It is heard through the node at the moment at which that is lost; the cluster notices a little later. */
static void a_ping_before_it_was_noticed_shows_no_other_way(void **state)
{
    struct story *story = *state;
    job(story, 60, 120);
    goes_away(story, 2);
    seconds(story, 1);
    ping(story);
    seconds(story, 60);
    story->away = 0;
    goes_down_after(story, 180 - 60 + 61);
}

static void a_moment_of_a_schedule_has_it_too(void **state)
{
    struct story *story = *state;
    static char key[] = "00000000-0000-4000-8000-000000000001", schedule[] = "0 * * * *", zone[] = "UTC";
    uint64_t moments_s[] = {story->f->now_ms / 1000 + 100, story->f->now_ms / 1000 + 3700};
    Tocsin__Heartbeat given = TOCSIN__HEARTBEAT__INIT;
    given.key = key;
    given.service_id = story->service;
    given.grace_s = 120;
    given.schedule = schedule;
    given.time_zone = zone;
    Tocsin__HeartbeatPut put = TOCSIN__HEARTBEAT_PUT__INIT;
    put.heartbeat = &given;
    put.moments_s = moments_s;
    put.n_moments_s = 2;
    apply(story, TOCSIN__COMMAND__BODY_HEARTBEAT_PUT, &put, TOCSIN__STATUS__STATUS_OK);
    story->job = story->f->reply->ids[0];
    ping(story);
    seconds(story, 80);
    goes_away(story, 2);
    seconds(story, 60); /* forty of them after the moment */
    story->away = 0;
    goes_down_after(story, 220 - 140 + 41);
}

static void what_is_remembered_is_bounded(void **state)
{
    struct story *story = *state;
    job(story, LIMIT_HEARTBEAT_SECONDS_MAX, LIMIT_HEARTBEAT_SECONDS_MAX);
    for (unsigned i = 0; i < 2 * LIMIT_CUT_OFFS; i++) {
        goes_away(story, 2 + i % 2);
        seconds(story, NOTICED_S + 1);
    }
    Tocsin__Blindness *known = blindness_get(&story->f->store, NULL);
    Tocsin__BlindNow *now = blind_now_get(&story->f->store, NULL);
    assert_int_equal(known->n_cut_offs, LIMIT_CUT_OFFS);
    assert_int_equal(now->n_cut_offs, 1);
    tocsin__blind_now__free_unpacked(now, NULL);
    tocsin__blindness__free_unpacked(known, NULL);
}

static void a_tick_with_more_nodes_than_there_can_be_is_refused(void **state)
{
    struct story *story = *state;
    Tocsin__UnheardMember unheard = TOCSIN__UNHEARD_MEMBER__INIT, *pointers[LIMIT_NODES_UNHEARD + 1];
    for (size_t i = 0; i <= LIMIT_NODES_UNHEARD; i++) {
        pointers[i] = &unheard;
    }
    Tocsin__Tick tick = TOCSIN__TICK__INIT;
    tick.unheard = pointers;
    tick.n_unheard = LIMIT_NODES_UNHEARD + 1;
    apply(story, TOCSIN__COMMAND__BODY_TICK, &tick, TOCSIN__STATUS__STATUS_INVALID);
}

/* A ping that came early by some seconds may have been lost, and the next one is a period away: not more. */
static void after_an_outage_who_died_is_paged_within_period_and_grace(void **state)
{
    struct story *story = *state;
    job(story, 3600, 600);
    ping(story);
    seconds(story, 3600 - 130);
    fixture_advance(story->f, 30000); /* it ends 100 s before the ping is due, and the job may be 150 s early */
    tick(story);
    goes_down_after(story, 3600 + 600);
}

/* The simulator: the time after the first of two outages around one ping was taken for that after both. */
static void two_outages_around_one_ping_count_from_the_last(void **state)
{
    struct story *story = *state;
    job(story, 3600, 600);
    ping(story);
    seconds(story, 3600 - 160);
    fixture_advance(story->f, 20000); /* it ends 140 s before the ping is due, */
    tick(story);
    seconds(story, 20);
    fixture_advance(story->f, 20000); /* and this one 100 s before */
    tick(story);
    goes_down_after(story, 3600 + 600);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(that_time_is_given_back),
        STORY(no_more_than_one_grace_is_given),
        STORY(a_node_that_is_lost_for_good_delays_nobody_who_knows_another),
        STORY(each_node_counts_by_itself),
        STORY(a_ping_before_it_was_noticed_shows_no_other_way),
        STORY(a_moment_of_a_schedule_has_it_too),
        STORY(what_is_remembered_is_bounded),
        STORY(after_an_outage_who_died_is_paged_within_period_and_grace),
        STORY(two_outages_around_one_ping_count_from_the_last),
        STORY(a_tick_with_more_nodes_than_there_can_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
