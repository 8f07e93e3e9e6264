/* The majority is gone: who speaks, to whom, and what becomes of it. */
#include "tests/unit/node/gasp_world.h"

/* ---- who speaks, and when */

static void nobody_speaks_before_the_bound(void **state) {
    struct world *world = *state;
    fixture_trigger(world->fixture, KEY, "disk");
    leave_alone(world);
    run(world, 90);
    assert_int_equal(GASP_WAITING, standing(world, 3));
    assert_int_equal(0, world->sent_count);
    run(world, 7); /* what peers said of a leader counted for five more */
    assert_int_equal(GASP_SPEAKS, standing(world, 3));
    assert_int_equal(1, sent_with(world, 3, "5550101"));
    assert_int_equal(1, sent_with(world, 3, "5550190"));
    assert_int_equal(world->sent_count, sent_with(world, 3, "DEGRADED"));
    assert_int_equal(world->sent_count, sent_with(world, 3, "possibly+repeated") + sent_with(world, 3, "possibly%20repeated"));
}

static void a_leader_in_between_starts_the_wait_anew(void **state) {
    struct world *world = *state;
    leave_alone(world);
    run(world, 80);
    world->nodes[3].sight.leader = true;
    run(world, 1);
    world->nodes[3].sight.leader = false;
    run(world, 80);
    assert_int_equal(GASP_WAITING, standing(world, 3));
    assert_int_equal(0, world->sent_count);
}

static void one_that_was_behind_stays_silent(void **state) {
    struct world *world = *state;
    world->nodes[3].sight.current = false; /* it hears the leader, and lags */
    run(world, 61);
    leave_alone(world);
    run(world, 100);
    assert_int_equal(GASP_SILENT, standing(world, 3));
    assert_non_null(strstr(last_gasp_status(world->nodes[3].gasp).why, "not current"));
    assert_int_equal(0, world->sent_count);
}

static void one_whose_machine_has_booted_stays_silent(void **state) {
    struct world *world = *state;
    world->nodes[3].remembered_ms = 0;
    start_again(&world->nodes[3]);
    leave_alone(world);
    run(world, 200);
    assert_int_equal(GASP_SILENT, standing(world, 3));
    assert_int_equal(0, world->sent_count);
}

static void one_that_was_away_for_less_than_a_minute_knows_how_old_its_state_is(void **state) {
    struct world *world = *state;
    (void)fixture_trigger(world->fixture, KEY, "disk");
    fixture_deliver_all(world->fixture);
    world->nodes[3].off = true;
    leave_alone(world); /* whatever the others did, they did it in this minute */
    run(world, 50);
    world->nodes[3].off = false;
    start_again(&world->nodes[3]);
    run(world, 100);
    assert_int_equal(GASP_SPEAKS, standing(world, 3));
    assert_int_equal(1, sent_with(world, 3, "5550101"));
    start_again(&world->nodes[3]); /* while it speaks: nobody is told twice */
    run(world, 100);
    assert_int_equal(GASP_SPEAKS, standing(world, 3));
    assert_int_equal(1, sent_with(world, 3, "5550101"));
}

static void one_that_was_away_for_longer_stays_silent(void **state) {
    struct world *world = *state;
    world->nodes[3].off = true;
    leave_alone(world);
    run(world, 70);
    world->nodes[3].off = false;
    start_again(&world->nodes[3]);
    run(world, 200);
    assert_int_equal(GASP_SILENT, standing(world, 3));
    assert_int_equal(0, world->sent_count);
}

/* For an hour it hears a leader through a peer alone: its state is of then, whenever it starts again. */
static void one_that_heard_a_leader_through_a_peer_alone_does_not_pass_for_current(void **state) {
    struct world *world = *state;
    world->nodes[3].sight.leader = world->nodes[3].sight.current = false;
    run(world, 3600);
    assert_int_equal(GASP_LED, standing(world, 3));
    start_again(&world->nodes[3]);
    leave_alone(world);
    run(world, 200);
    assert_int_equal(GASP_SILENT, standing(world, 3));
    assert_int_equal(0, world->sent_count);
}

static void of_two_that_both_started_again_one_speaks(void **state) {
    struct world *world = *state;
    (void)fixture_trigger(world->fixture, KEY, "disk");
    fixture_deliver_all(world->fixture);
    lead_all(world, false);
    world->nodes[1].off = true;
    run(world, 10);
    start_again(&world->nodes[2]);
    start_again(&world->nodes[3]);
    run(world, 100);
    assert_int_equal(GASP_SPEAKS, standing(world, 2));
    assert_int_equal(GASP_DEFERS, standing(world, 3));
    assert_int_equal(1, sent_with(world, 0, "5550101"));
}

static void one_that_is_barred_stays_silent(void **state) {
    struct world *world = *state;
    leave_alone(world);
    world->nodes[3].sight.barred = "it was removed from the cluster";
    run(world, 200);
    assert_int_equal(GASP_SILENT, standing(world, 3));
    assert_string_equal("it was removed from the cluster", last_gasp_status(world->nodes[3].gasp).why);
    assert_int_equal(0, world->sent_count);
}

/* It slept for an hour, with a state of then; whether there is a leader it does not know yet. */
static void one_that_slept_waits_anew_and_is_not_current(void **state) {
    struct world *world = *state;
    leave_alone(world);
    world->now_ms += 3600000;
    run(world, 80);
    assert_int_equal(GASP_WAITING, standing(world, 3));
    run(world, 20);
    assert_int_equal(GASP_SILENT, standing(world, 3));
    assert_int_equal(0, world->sent_count);
}

static void a_leader_that_a_peer_or_anybody_sees_keeps_all_silent(void **state) {
    struct world *world = *state;
    world->nodes[1].sight.leader = true; /* it leads, and hears enough others; node 3 does not hear it by raft */
    world->nodes[2].off = true;
    world->nodes[3].sight.leader = false;
    run(world, 200);
    assert_int_equal(GASP_LED, standing(world, 3));
    /* The connection between them is cut, too; what a public address tells is enough. */
    hear_all(world, false);
    for (unsigned i = 0; i < 60; i++) {
        last_gasp_leader_elsewhere(world->nodes[3].gasp);
        run(world, 3);
    }
    assert_int_equal(GASP_LED, standing(world, 3));
    assert_int_equal(0, world->sent_count);
}

/* With some dozens of conditions told it is longer than an answer may be: what is cut off is no reason to page. */
static void a_leader_is_seen_in_an_answer_that_was_cut(void **state) {
    (void)state;
    assert_int_equal(2, last_gasp_leader_in("{\"id\":1,\"cluster\":\"main\",\"leader\":2,\"members\":[{\"id\":1},{\"id\""));
    assert_int_equal(2, last_gasp_leader_in("{\"leader\": 2}"));
    assert_int_equal(0, last_gasp_leader_in("{\"id\":1,\"leader\":null,\"members\":[]}"));
    assert_int_equal(0, last_gasp_leader_in("{\"id\":1,\"cluster\":\"\\\"leader\\\":7\"}"));
    assert_int_equal(0, last_gasp_leader_in(""));
}

/* ---- several */

static void of_those_that_hear_each_other_the_furthest_speaks(void **state) {
    struct world *world = *state;
    fixture_trigger(world->fixture, KEY, "disk");
    lead_all(world, false);
    world->nodes[2].sight.applied_index = 101;
    run(world, 100);
    assert_int_equal(GASP_SPEAKS, standing(world, 2));
    assert_int_equal(GASP_DEFERS, standing(world, 1));
    assert_int_equal(GASP_DEFERS, standing(world, 3));
    assert_int_equal(world->sent_count, sent_with(world, 2, "DEGRADED"));
    assert_int_equal(1, sent_with(world, 0, "5550101"));
    /* It dies: of equals the first goes on, and tells nobody of what was told. */
    world->nodes[2].off = true;
    run(world, 310);
    assert_int_equal(GASP_SPEAKS, standing(world, 1));
    assert_int_equal(GASP_DEFERS, standing(world, 3));
    assert_int_equal(1, sent_with(world, 0, "5550101"));
    assert_int_equal(1, sent_with(world, 1, "5550102"));
}

static void nodes_that_hear_nobody_each_send_once(void **state) {
    struct world *world = *state;
    fixture_trigger(world->fixture, KEY, "disk");
    lead_all(world, false);
    hear_all(world, false);
    run(world, 3600);
    for (unsigned id = 1; id <= NODES; id++) {
        assert_int_equal(GASP_SPEAKS, standing(world, id));
        assert_int_equal(1, sent_with(world, id, "5550101"));
        assert_int_equal(1, sent_with(world, id, "5550102"));
        assert_int_equal(2, sent_with(world, id, "5550190")); /* of the majority, and of the incident that nobody answered */
    }
}

/* ---- to whom */

static void what_wakes_nobody_is_left_alone(void **state) {
    struct world *world = *state;
    uint64_t low = fixture_service(world->fixture, world->policy, TOCSIN__URGENCY__URGENCY_LOW, 0, 0);
    const char *key = "abcdefabcdefabcdefabcdefabcdef00";
    fixture_integration(world->fixture, low, key);
    fixture_trigger(world->fixture, key, "slow");
    uint64_t known = fixture_trigger(world->fixture, KEY, "known");
    fixture_set_status(world->fixture, known, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED);
    leave_alone(world);
    run(world, 1000);
    assert_int_equal(0, sent_with(world, 0, "5550101"));
    assert_int_equal(1, sent_with(world, 0, "5550190"));
    assert_int_equal(1, world->sent_count);
}

static void the_next_level_hears_unless_somebody_answers(void **state) {
    struct world *world = *state;
    uint64_t disk = fixture_trigger(world->fixture, KEY, "disk");
    fixture_trigger(world->fixture, KEY, "power");
    leave_alone(world);
    run(world, 100);
    assert_int_equal(2, sent_with(world, 0, "5550101"));
    Tocsin__Actor actor = alice(world);
    assert_true(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
    run(world, 301);
    assert_int_equal(1, sent_with(world, 0, "5550102"));
    run(world, 301);
    assert_int_equal(2, sent_with(world, 0, "5550190"));
}

static void an_answer_to_one_silences_the_other(void **state) {
    struct world *world = *state;
    uint64_t disk = fixture_trigger(world->fixture, KEY, "disk");
    lead_all(world, false);
    run(world, 100);
    assert_int_equal(GASP_SPEAKS, standing(world, 1));
    Tocsin__Actor actor = alice(world);
    assert_true(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
    run(world, 1000);
    assert_int_equal(0, sent_with(world, 0, "5550102"));
}

static void a_flood_is_capped(void **state) {
    struct world *world = *state;
    char key[16];
    world->fixture->unchecked = true;
    for (unsigned i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "disk-%u", i);
        fixture_trigger(world->fixture, KEY, key);
    }
    leave_alone(world);
    run(world, 2000);
    assert_int_equal(LAST_GASP_INCIDENTS_PER_PERSON, sent_with(world, 0, "5550101"));
    assert_int_equal(LAST_GASP_INCIDENTS_PER_PERSON, sent_with(world, 0, "5550102"));
    assert_true(world->sent_count <= LAST_GASP_PAGES_MAX);
    assert_true(sent_with(world, 0, "5550190") > 0);
}

/* What nobody ever resolved does not take the place of what has just begun. */
static void the_newest_are_told_first(void **state) {
    struct world *world = *state;
    char title[24];
    world->fixture->unchecked = true;
    for (unsigned i = 0; i < 25; i++) {
        snprintf(title, sizeof title, "Stale%uX", i);
        fixture_trigger(world->fixture, KEY, title);
    }
    uint64_t newest = fixture_trigger(world->fixture, KEY, "power");
    char id[16];
    id_format(newest, id);
    leave_alone(world);
    run(world, 100);
    assert_int_equal(LAST_GASP_INCIDENTS_PER_PERSON, sent_with(world, 0, "5550101"));
    assert_int_equal(1, sent_with(world, 0, id));
    assert_non_null(strstr(world->sent[1].request, id)); /* before the others; the guardian hears of the majority */
}

/* ---- what becomes of it */

static void healed_the_cluster_knows_what_was_sent_and_heard(void **state) {
    struct world *world = *state;
    uint64_t disk = fixture_trigger(world->fixture, KEY, "disk"), power = fixture_trigger(world->fixture, KEY, "power");
    leave_alone(world);
    run(world, 100);
    Tocsin__Actor actor = alice(world);
    assert_true(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
    assert_true(last_gasp_answer(world->nodes[3].gasp, power, true, &actor));
    /* The node restarts meanwhile: what it kept is on its disk. */
    last_gasp_free(world->nodes[3].gasp);
    node_begin(&world->nodes[3]);
    assert_int_equal(5, last_gasp_status(world->nodes[3].gasp).items);
    heal(world);
    fixture_deliver_all(world->fixture);
    commit_report(world, &world->nodes[3]);
    assert_int_equal(TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED, fixture_incident(world->fixture, disk)->status);
    assert_int_equal(TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED, fixture_incident(world->fixture, power)->status);
    assert_int_equal(1, fixture_log_count(world->fixture, disk, TOCSIN__LOG_TYPE__LOG_NOTIFY, TOCSIN__WHY__WHY_LAST_GASP));
    assert_int_equal(1, fixture_log_count(world->fixture, disk, TOCSIN__LOG_TYPE__LOG_ACKNOWLEDGE, TOCSIN__WHY__WHY_LAST_GASP));
    assert_int_equal(1, fixture_log_count(world->fixture, power, TOCSIN__LOG_TYPE__LOG_RESOLVE, TOCSIN__WHY__WHY_LAST_GASP));
    /* The reply is lost: reported again, it happens once. */
    last_gasp_reported(world->nodes[3].gasp, false);
    run(world, 12);
    commit_report(world, &world->nodes[3]);
    assert_int_equal(1, fixture_log_count(world->fixture, disk, TOCSIN__LOG_TYPE__LOG_NOTIFY, TOCSIN__WHY__WHY_LAST_GASP));
    last_gasp_reported(world->nodes[3].gasp, true);
    run(world, 20);
    assert_null(world->nodes[3].reported);
    assert_int_equal(0, world->nodes[3].record_size_bytes);
}

/* The others had a majority all the time, and went on: an old answer does not silence a page of now. */
static void an_answer_that_comes_too_late_is_written_down_only(void **state) {
    struct world *world = *state;
    uint64_t disk = fixture_trigger(world->fixture, KEY, "disk");
    leave_alone(world);
    run(world, 100);
    Tocsin__Actor actor = alice(world);
    assert_true(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
    fixture_deliver_all(world->fixture);
    run(world, 5);
    fixture_set_status(world->fixture, disk, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED);
    run(world, 5);
    Tocsin__IncidentChange again = fixture_change_of(disk);
    again.escalation_policy_id = world->policy;
    fixture_change(world->fixture, again);
    heal(world);
    commit_report(world, &world->nodes[3]);
    assert_int_equal(TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED, fixture_incident(world->fixture, disk)->status);
    assert_int_equal(1, fixture_log_count(world->fixture, disk, TOCSIN__LOG_TYPE__LOG_ANNOTATE, TOCSIN__WHY__WHY_LAST_GASP));
}

static void what_cannot_be_kept_is_not_promised(void **state) {
    struct world *world = *state;
    uint64_t disk = fixture_trigger(world->fixture, KEY, "disk");
    leave_alone(world);
    run(world, 100);
    world->nodes[3].disk_full = true;
    Tocsin__Actor actor = alice(world);
    assert_false(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
}

/* A script acknowledges again and again: the first of another incident still has its place. */
static void a_repeated_answer_takes_no_room(void **state) {
    struct world *world = *state;
    uint64_t disk = fixture_trigger(world->fixture, KEY, "disk"), power = fixture_trigger(world->fixture, KEY, "power");
    leave_alone(world);
    run(world, 100);
    Tocsin__Actor actor = alice(world);
    assert_true(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
    size_t items = last_gasp_status(world->nodes[3].gasp).items;
    for (unsigned i = 0; i < 2 * LAST_GASP_ITEMS_MAX; i++) assert_true(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
    assert_int_equal(items, last_gasp_status(world->nodes[3].gasp).items);
    assert_true(last_gasp_answer(world->nodes[3].gasp, disk, true, &actor)); /* that it is over is more */
    assert_true(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
    assert_int_equal(items + 1, last_gasp_status(world->nodes[3].gasp).items);
    assert_true(last_gasp_answer(world->nodes[3].gasp, power, false, &actor));
    assert_int_equal(items + 2, last_gasp_status(world->nodes[3].gasp).items);
}

/* What was not kept the first time is not promised the second time because it is known. */
static void a_repeated_answer_is_promised_when_it_is_kept(void **state) {
    struct world *world = *state;
    uint64_t disk = fixture_trigger(world->fixture, KEY, "disk");
    leave_alone(world);
    run(world, 100);
    Tocsin__Actor actor = alice(world);
    world->nodes[3].disk_full = true;
    assert_false(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
    assert_false(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
    world->nodes[3].disk_full = false;
    assert_true(last_gasp_answer(world->nodes[3].gasp, disk, false, &actor));
}

static void a_damaged_record_is_said_and_left(void **state) {
    struct world *world = *state;
    fixture_trigger(world->fixture, KEY, "disk");
    leave_alone(world);
    run(world, 100);
    struct node *node = &world->nodes[3];
    last_gasp_free(node->gasp);
    node->record[node->record_size_bytes - 1] ^= 1;
    node_begin(node);
    assert_int_equal(0, last_gasp_status(node->gasp).items);
    last_gasp_free(node->gasp);
    node->record_size_bytes = 5;
    node_begin(node);
    assert_int_equal(0, last_gasp_status(node->gasp).items);
}

static void count_page(void *context, const Tocsin__Notification *notification, uint64_t after_ms, const char *unusable) {
    (void)after_ms;
    assert_true(notification->degraded);
    assert_null(unusable);
    ++*(size_t *)context;
}

static void a_rehearsal_sends_nothing(void **state) {
    struct world *world = *state;
    fixture_trigger(world->fixture, KEY, "disk");
    size_t pages = 0;
    last_gasp_rehearse(world->nodes[2].gasp, count_page, &pages);
    assert_int_equal(4, pages); /* the guardian twice, Alice, Bob */
    run(world, 10);
    assert_int_equal(0, world->sent_count);
    assert_int_equal(0, last_gasp_status(world->nodes[2].gasp).items);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(nobody_speaks_before_the_bound),
        STORY(a_leader_in_between_starts_the_wait_anew),
        STORY(one_that_was_behind_stays_silent),
        STORY(one_whose_machine_has_booted_stays_silent),
        STORY(one_that_was_away_for_less_than_a_minute_knows_how_old_its_state_is),
        STORY(one_that_was_away_for_longer_stays_silent),
        STORY(one_that_heard_a_leader_through_a_peer_alone_does_not_pass_for_current),
        STORY(of_two_that_both_started_again_one_speaks),
        STORY(one_that_is_barred_stays_silent),
        STORY(one_that_slept_waits_anew_and_is_not_current),
        STORY(a_leader_that_a_peer_or_anybody_sees_keeps_all_silent),
        STORY(a_leader_is_seen_in_an_answer_that_was_cut),
        STORY(of_those_that_hear_each_other_the_furthest_speaks),
        STORY(nodes_that_hear_nobody_each_send_once),
        STORY(what_wakes_nobody_is_left_alone),
        STORY(the_next_level_hears_unless_somebody_answers),
        STORY(an_answer_to_one_silences_the_other),
        STORY(a_flood_is_capped),
        STORY(the_newest_are_told_first),
        STORY(healed_the_cluster_knows_what_was_sent_and_heard),
        STORY(an_answer_that_comes_too_late_is_written_down_only),
        STORY(what_cannot_be_kept_is_not_promised),
        STORY(a_repeated_answer_takes_no_room),
        STORY(a_repeated_answer_is_promised_when_it_is_kept),
        STORY(a_damaged_record_is_said_and_left),
        STORY(a_rehearsal_sends_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
