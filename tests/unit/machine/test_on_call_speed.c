/* Who is on call, asked of a state on disk with a thousand schedules: the figure is 50 microseconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "consensus/machine/schedules/schedules.h"
#include "consensus/machine/schedules/shift_rows.h"
#include "storage/state_store.h"
#include "tests/support/scratch_dir.h"

#define MAP_SIZE_BYTES ((size_t)1 << 30)
#define SCHEDULES 1000u
#define SHIFTS 2000u
#define REVISIONS 5u
#define OVERRIDES 20u
#define HOUR_MS 3600000ull
#define ASKED 100000u
/* Instruments and busy machines are slower than the figure. */
#define NS_MAX 500000u

static void fill(const struct machine_store *view, uint64_t schedule_id)
{
    static uint8_t rows[SHIFTS * SHIFT_ROW_SIZE_BYTES];
    for (uint64_t i = 0; i < SHIFTS; i++) {
        uint64_t user_id = i + 1 == SHIFTS ? 0 : i % 5 + 1;
        shift_rows_write((struct shift_row){(i + 1) * HOUR_MS, user_id}, rows + i * SHIFT_ROW_SIZE_BYTES);
    }
    Tocsin__Schedule schedule = TOCSIN__SCHEDULE__INIT;
    schedule.id = schedule_id;
    for (uint32_t revision = 1; revision <= REVISIONS; revision++) {
        struct key key = key_2(schedule_id, revision);
        schedule.revision = revision;
        record_put(view, TABLE_SCHEDULE_REVISION, key_3(schedule_id, revision * HOUR_MS, revision), &schedule.base);
        view->put(view->context, TABLE_SHIFTS, key_span(&key), (struct span){.data = rows, .size_bytes = sizeof rows});
    }
    for (uint64_t i = 1; i <= OVERRIDES; i++) {
        Tocsin__Override override = TOCSIN__OVERRIDE__INIT;
        override.id = i;
        override.schedule_id = schedule_id;
        override.start_ms = i * 90 * HOUR_MS;
        override.end_ms = override.start_ms + HOUR_MS;
        override.user_id = 9;
        record_put(view, TABLE_OVERRIDE, key_3(schedule_id, override.end_ms, i), &override.base);
    }
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void a_thousand_schedules_are_looked_up_quickly(void **state)
{
    (void)state;
    struct scratch_dir dir = scratch_dir_make();
    struct state_store *store;
    struct machine_store view;
    struct storage_failure failure;
    assert_int_equal(state_store_open(dir.path, MAP_SIZE_BYTES, &store, &failure), STORAGE_OK);
    assert_int_equal(state_write_begin(store, &view, &failure), STORAGE_OK);
    for (uint64_t id = 1; id <= SCHEDULES; id++) {
        fill(&view, id);
    }
    uint64_t on_call = 0, covered = 0, start_ns = now_ns();
    for (uint64_t i = 0; i < ASKED; i++) {
        Tocsin__OnCall answer = schedule_on_call(&view, i * 7919 % SCHEDULES + 1, (10 + i * 104729 % 1900) * HOUR_MS);
        on_call += answer.user_id != 0;
        covered += answer.override_id != 0;
    }
    uint64_t each_ns = (now_ns() - start_ns) / ASKED;
    print_message("who is on call, with %u schedules: %llu ns\n", SCHEDULES, (unsigned long long)each_ns);
    assert_int_equal(on_call, ASKED);
    assert_true(covered > 0);
    assert_true(each_ns < NS_MAX);
    state_write_abort(store);
    state_store_close(store);
    scratch_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_schedules_are_looked_up_quickly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
