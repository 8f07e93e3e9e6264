/* A state that cannot be read ends a leader's part loudly, also where nobody asked for anything: another leads on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/world/small_world.h"

/* Of the duty that lays schedules out further. */
#define HORIZON_INTERVAL_MS 60000u

static void a_leader_that_cannot_read_schedules_to_lay_them_out_stops(void **state) {
    (void)state;
    struct sim *sim = small_world(1);
    uint64_t leader = nodes_leader(sim);
    assert_int_not_equal(leader, 0);
    disk_set_unreadable(sim->nodes[leader].disk, TABLE_SCHEDULE); /* nobody but that duty looks for schedules here */
    sim_run_until(sim, sim->now_ms + HORIZON_INTERVAL_MS);
    const char *failure = engine_status(sim->nodes[leader].engine).failure;
    assert_non_null(failure);
    assert_non_null(strstr(failure, DISK_UNREADABLE));
    sim_run_until(sim, sim->now_ms + 5000);
    assert_int_not_equal(nodes_leader(sim), 0);
    assert_int_not_equal(nodes_leader(sim), leader);
    assert_string_equal(sim->violation, "");
    nodes_close(sim);
}

/* What stops it is the fault, not the time. */
static void a_leader_that_reads_leads_on(void **state) {
    (void)state;
    struct sim *sim = small_world(1);
    uint64_t leader = nodes_leader(sim);
    sim_run_until(sim, sim->now_ms + HORIZON_INTERVAL_MS + 5000);
    assert_null(engine_status(sim->nodes[leader].engine).failure);
    assert_int_equal(nodes_leader(sim), leader);
    nodes_close(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leader_that_cannot_read_schedules_to_lay_them_out_stops),
        cmocka_unit_test(a_leader_that_reads_leads_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
