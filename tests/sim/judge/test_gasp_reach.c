/* When a node that pages on its own does so too early. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/sim/judge/gasp_reach.h"

#define LOOK_MS 500u
#define AFTER_MS 6000u

static const struct gasp_way NO_WAY = {.open = false}, WAY = {.open = true}, SLOW_WAY = {.open = true, .lag_ms = 1600};

/* Looks twice a second, from one time to the other. */
static void see(struct gasp_reach *reach, struct gasp_way way, uint64_t from_ms, uint64_t to_ms) {
    for (uint64_t now_ms = from_ms; now_ms <= to_ms; now_ms += LOOK_MS) gasp_reach_look(reach, way, now_ms);
}

/* Storm 310365 of an earlier day: the way to the leader was whole again 31 ms before the bound was over, and no frame had come by it yet. */
static void a_leader_that_has_just_come_into_reach_is_not_known_yet(void **state) {
    (void)state;
    struct gasp_reach reach = {0};
    see(&reach, WAY, 1000, 20000);
    see(&reach, NO_WAY, 20500, 29500);
    gasp_reach_look(&reach, WAY, 30000);
    assert_false(gasp_reach_forbids(&reach, 30031, AFTER_MS));
}

static void a_leader_that_stays_in_reach_is_known(void **state) {
    (void)state;
    struct gasp_reach reach = {0};
    see(&reach, NO_WAY, 1000, 29500);
    see(&reach, WAY, 30000, 30000 + GASP_SEEN_MS - LOOK_MS);
    assert_false(gasp_reach_forbids(&reach, 32499, AFTER_MS));
    gasp_reach_look(&reach, WAY, 30000 + GASP_SEEN_MS);
    assert_true(gasp_reach_forbids(&reach, 32531, AFTER_MS));
}

static void a_slow_way_takes_so_much_longer(void **state) {
    (void)state;
    struct gasp_reach reach = {0};
    see(&reach, SLOW_WAY, 30000, 34000);
    assert_false(gasp_reach_forbids(&reach, 34031, AFTER_MS));
    gasp_reach_look(&reach, SLOW_WAY, 34500);
    assert_true(gasp_reach_forbids(&reach, 34531, AFTER_MS));
}

/* Each of them too short to be seen. */
static void moments_in_reach_do_not_add_up(void **state) {
    (void)state;
    struct gasp_reach reach = {0};
    for (uint64_t now_ms = 10000; now_ms < 30000; now_ms += 2 * LOOK_MS) {
        gasp_reach_look(&reach, WAY, now_ms);
        gasp_reach_look(&reach, NO_WAY, now_ms + LOOK_MS);
    }
    assert_false(gasp_reach_forbids(&reach, 30000, AFTER_MS));
}

static void a_leader_that_was_lost_holds_the_node_back_until_the_bound_is_over(void **state) {
    (void)state;
    struct gasp_reach reach = {0};
    see(&reach, WAY, 1000, 20000);
    see(&reach, NO_WAY, 20500, 25000);
    assert_true(gasp_reach_forbids(&reach, 20000 + AFTER_MS - GASP_SEEN_MS - 1, AFTER_MS));
    assert_false(gasp_reach_forbids(&reach, 20000 + AFTER_MS - GASP_SEEN_MS, AFTER_MS));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leader_that_has_just_come_into_reach_is_not_known_yet),
        cmocka_unit_test(a_leader_that_stays_in_reach_is_known),
        cmocka_unit_test(a_slow_way_takes_so_much_longer),
        cmocka_unit_test(moments_in_reach_do_not_add_up),
        cmocka_unit_test(a_leader_that_was_lost_holds_the_node_back_until_the_bound_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
