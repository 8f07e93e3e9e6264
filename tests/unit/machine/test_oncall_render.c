/* Rotations, restrictions and layers as they fall on the calendar, across changes of the clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/oncall/calendar.h"
#include "consensus/machine/oncall/render.h"
#include "consensus/machine/schedules/shift_rows.h"
#include "node/host/zones.h"

#define ALICE 1
#define BOB 2
#define CAROL 3
#define HOUR 3600u
#define DAY (24 * HOUR)
#define WEEK (7 * DAY)

/* "2026-03-29 02:30" in UTC. */
static uint64_t utc(const char *text)
{
    int year, month, day, hour, minute;
    assert_int_equal(sscanf(text, "%d-%d-%d %d:%d", &year, &month, &day, &hour, &minute), 5);
    int64_t days = calendar_days(year, (unsigned)month, (unsigned)day);
    return (uint64_t)(days * SECONDS_PER_DAY + hour * 3600 + minute * 60) * 1000;
}

static struct zone *zone(const char *name)
{
    struct zone *loaded = zones_load(name);
    assert_non_null(loaded);
    return loaded;
}

/* A layer of up to three people; 0 for none. */
struct rotation {
    Tocsin__ScheduleLayer layer;
    uint64_t users[3];
    Tocsin__Restriction restrictions[8], *list[8];
};

static Tocsin__ScheduleLayer *rotation(struct rotation *rotation, uint64_t start_ms, uint32_t turn_length_s, uint64_t a,
                                       uint64_t b, uint64_t c)
{
    tocsin__schedule_layer__init(&rotation->layer);
    rotation->layer.start_ms = rotation->layer.rotation_virtual_start_ms = start_ms;
    rotation->layer.turn_length_s = turn_length_s;
    rotation->layer.user_ids = rotation->users;
    rotation->layer.restrictions = rotation->list;
    rotation->users[0] = a;
    rotation->users[1] = b;
    rotation->users[2] = c;
    rotation->layer.n_user_ids = 1u + (b != 0) + (c != 0);
    return &rotation->layer;
}

static void restrict_to(struct rotation *rotation, uint32_t day_of_week, uint32_t start_second, uint32_t duration_s)
{
    Tocsin__Restriction *restriction = &rotation->restrictions[rotation->layer.n_restrictions];
    tocsin__restriction__init(restriction);
    restriction->day_of_week = day_of_week;
    restriction->start_second = start_second;
    restriction->duration_s = duration_s;
    rotation->list[rotation->layer.n_restrictions++] = restriction;
}

/* Exactly these. */
static void expect(const struct shifts *shifts, size_t count, const struct shift *wanted)
{
    assert_int_equal(shifts->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(shifts->list[i].start_ms, wanted[i].start_ms);
        assert_int_equal(shifts->list[i].end_ms, wanted[i].end_ms);
        assert_int_equal(shifts->list[i].user_id, wanted[i].user_id);
    }
}

static void hand_offs_keep_their_time_on_the_wall(void **state)
{
    (void)state;
    struct zone *paris = zone("Europe/Paris");
    struct rotation weekly;
    struct shifts shifts = {0};
    /* Mondays at 09:00 in Paris, which is 08:00 UTC in winter and 07:00 in summer. */
    rotation(&weekly, utc("2026-03-16 08:00"), WEEK, ALICE, BOB, 0);
    render_layer(&weekly.layer, paris, utc("2026-03-20 00:00"), utc("2026-04-06 07:00"), &shifts);
    expect(&shifts, 3,
           (struct shift[]){{utc("2026-03-20 00:00"), utc("2026-03-23 08:00"), ALICE},
                            {utc("2026-03-23 08:00"), utc("2026-03-30 07:00"), BOB},
                            {utc("2026-03-30 07:00"), utc("2026-04-06 07:00"), ALICE}});
    shifts_free(&shifts);
    zone_free(paris);
}

static void a_hand_off_that_clocks_skip_or_show_twice_happens_once(void **state)
{
    (void)state;
    struct zone *paris = zone("Europe/Paris");
    struct rotation daily;
    struct shifts shifts = {0};
    /* Daily at 02:30. On 29 March clocks go from 02:00 to 03:00, at 01:00 UTC. */
    rotation(&daily, utc("2026-03-27 01:30"), DAY, ALICE, BOB, 0);
    render_layer(&daily.layer, paris, utc("2026-03-28 01:30"), utc("2026-03-31 00:30"), &shifts);
    expect(&shifts, 3,
           (struct shift[]){{utc("2026-03-28 01:30"), utc("2026-03-29 01:00"), BOB},
                            {utc("2026-03-29 01:00"), utc("2026-03-30 00:30"), ALICE},
                            {utc("2026-03-30 00:30"), utc("2026-03-31 00:30"), BOB}});
    shifts_free(&shifts);
    /* On 25 October 02:30 comes twice, at 00:30 and 01:30 UTC: the first counts. */
    render_layer(&daily.layer, paris, utc("2026-10-24 00:30"), utc("2026-10-26 01:30"), &shifts);
    assert_int_equal(shifts.count, 2);
    assert_int_equal(shifts.list[0].end_ms, utc("2026-10-25 00:30"));
    assert_int_equal(shifts.list[1].end_ms, utc("2026-10-26 01:30"));
    shifts_free(&shifts);
    zone_free(paris);
}

static void an_hourly_rotation_leaves_no_hole_on_days_of_23_and_25_hours(void **state)
{
    (void)state;
    static const char *const zones[] = {"Europe/Paris", "Australia/Lord_Howe", "Pacific/Apia", "America/St_Johns"};
    for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
        struct zone *here = zone(zones[i]);
        struct rotation hourly;
        struct shifts shifts = {0};
        uint64_t since_ms = utc("2011-01-01 00:00"), until_ms = utc("2012-12-31 00:00"); /* Apia skips 2011-12-30 */
        rotation(&hourly, utc("2010-06-01 00:15"), HOUR, ALICE, BOB, CAROL);
        render_layer(&hourly.layer, here, since_ms, until_ms, &shifts);
        assert_int_equal(shifts_covered_ms(&shifts), until_ms - since_ms);
        for (size_t j = 1; j < shifts.count; j++) {
            assert_int_equal(shifts.list[j].start_ms, shifts.list[j - 1].end_ms);
        }
        shifts_free(&shifts);
        zone_free(here);
    }
}

static void before_its_origin_a_rotation_has_always_been(void **state)
{
    (void)state;
    struct zone *here = zone("UTC");
    struct rotation weekly;
    struct shifts shifts = {0};
    rotation(&weekly, utc("2026-06-01 00:00"), WEEK, ALICE, BOB, CAROL);
    weekly.layer.start_ms = utc("2026-05-20 12:00");
    render_layer(&weekly.layer, here, utc("2026-05-01 00:00"), utc("2026-06-02 00:00"), &shifts);
    expect(&shifts, 3,
           (struct shift[]){{utc("2026-05-20 12:00"), utc("2026-05-25 00:00"), BOB},
                            {utc("2026-05-25 00:00"), utc("2026-06-01 00:00"), CAROL},
                            {utc("2026-06-01 00:00"), utc("2026-06-02 00:00"), ALICE}});
    shifts_free(&shifts);
    zone_free(here);
}

static void restrictions_by_day_and_by_week_follow_the_clock_on_the_wall(void **state)
{
    (void)state;
    struct zone *new_york = zone("America/New_York");
    struct rotation nights;
    struct shifts shifts = {0};
    rotation(&nights, utc("2026-03-01 05:00"), WEEK, ALICE, 0, 0);
    /* 22:00 to 06:00; on 8 March clocks go from 02:00 to 03:00, so that night has seven hours. */
    restrict_to(&nights, 0, 22 * HOUR, 8 * HOUR);
    render_layer(&nights.layer, new_york, utc("2026-03-07 12:00"), utc("2026-03-09 12:00"), &shifts);
    expect(&shifts, 2,
           (struct shift[]){{utc("2026-03-08 03:00"), utc("2026-03-08 10:00"), ALICE},
                            {utc("2026-03-09 02:00"), utc("2026-03-09 10:00"), ALICE}});
    shifts_free(&shifts);

    struct rotation weekend;
    rotation(&weekend, utc("2026-03-01 05:00"), WEEK, BOB, 0, 0);
    restrict_to(&weekend, 5, 18 * HOUR, 62 * HOUR); /* Friday 18:00 to Monday 08:00 */
    render_layer(&weekend.layer, new_york, utc("2026-03-08 00:00"), utc("2026-03-15 00:00"), &shifts);
    expect(&shifts, 2,
           (struct shift[]){{utc("2026-03-08 00:00"), utc("2026-03-09 12:00"), BOB},
                            {utc("2026-03-13 22:00"), utc("2026-03-15 00:00"), BOB}});
    shifts_free(&shifts);
    zone_free(new_york);
}

static void restrictions_that_overlap_are_one(void **state)
{
    (void)state;
    struct zone *here = zone("UTC");
    struct rotation layer;
    struct shifts shifts = {0};
    rotation(&layer, utc("2026-05-04 00:00"), DAY, ALICE, BOB, 0);
    restrict_to(&layer, 0, 8 * HOUR, 4 * HOUR);
    restrict_to(&layer, 0, 10 * HOUR, 4 * HOUR);
    restrict_to(&layer, 1, 9 * HOUR, HOUR);
    render_layer(&layer.layer, here, utc("2026-05-04 00:00"), utc("2026-05-06 00:00"), &shifts);
    expect(&shifts, 2,
           (struct shift[]){{utc("2026-05-04 08:00"), utc("2026-05-04 14:00"), ALICE},
                            {utc("2026-05-05 08:00"), utc("2026-05-05 14:00"), BOB}});
    shifts_free(&shifts);
    zone_free(here);
}

static void a_later_layer_covers_an_earlier_one_and_a_layer_ends(void **state)
{
    (void)state;
    struct zone *here = zone("UTC");
    struct rotation base, days;
    struct shifts shifts = {0};
    Tocsin__Schedule schedule = TOCSIN__SCHEDULE__INIT;
    Tocsin__ScheduleLayer *layers[] = {
        rotation(&base, utc("2026-05-04 00:00"), WEEK, ALICE, 0, 0),
        rotation(&days, utc("2026-05-04 00:00"), WEEK, BOB, 0, 0),
    };
    restrict_to(&days, 0, 9 * HOUR, 8 * HOUR);
    days.layer.end_ms = utc("2026-05-05 12:00");
    schedule.n_layers = 2;
    schedule.layers = layers;
    render_layers(&schedule, here, utc("2026-05-04 00:00"), utc("2026-05-06 00:00"), &shifts);
    expect(&shifts, 5,
           (struct shift[]){{utc("2026-05-04 00:00"), utc("2026-05-04 09:00"), ALICE},
                            {utc("2026-05-04 09:00"), utc("2026-05-04 17:00"), BOB},
                            {utc("2026-05-04 17:00"), utc("2026-05-05 09:00"), ALICE},
                            {utc("2026-05-05 09:00"), utc("2026-05-05 12:00"), BOB},
                            {utc("2026-05-05 12:00"), utc("2026-05-06 00:00"), ALICE}});
    shifts_free(&shifts);
    zone_free(here);
}

static void shifts_become_rows_and_come_back(void **state)
{
    (void)state;
    struct shifts shifts = {0}, back = {0};
    shifts_add(&shifts, (struct shift){2000, 3000, ALICE});
    shifts_add(&shifts, (struct shift){3000, 5000, BOB});
    shifts_add(&shifts, (struct shift){7000, 9000, ALICE});
    struct span rows = shifts_to_rows(&shifts, 1000, 8000);
    assert_true(shift_rows_valid(rows));
    assert_int_equal(shift_rows_at(rows, 0).user_id, 0);
    assert_int_equal(shift_rows_at(rows, shift_rows_count(rows) - 1).from_ms, 8000);
    shifts_add_rows(&back, rows, 2500, 100000);
    expect(&back, 3, (struct shift[]){{2500, 3000, ALICE}, {3000, 5000, BOB}, {7000, 8000, ALICE}});
    shifts_free(&back);
    shifts_free(&shifts);
    free((void *)(uintptr_t)rows.data);
}

/* More hand-offs than rows: the rows reach less far, and say so. */
static void too_many_shifts_shorten_the_horizon(void **state)
{
    (void)state;
    struct shifts shifts = {0};
    for (uint64_t i = 0; i < LIMIT_SHIFTS_PER_SCHEDULE; i++) {
        shifts_add(&shifts, (struct shift){i * 2000 + 1000, i * 2000 + 2000, ALICE + i % 2});
    }
    struct span rows = shifts_to_rows(&shifts, 0, 1ull << 40);
    assert_int_equal(shift_rows_count(rows), LIMIT_SHIFTS_PER_SCHEDULE);
    assert_true(shift_rows_valid(rows));
    assert_in_range(shift_rows_at(rows, shift_rows_count(rows) - 1).from_ms,
                    LIMIT_SHIFTS_PER_SCHEDULE / 2 * 2000 - 4000, LIMIT_SHIFTS_PER_SCHEDULE / 2 * 2000);
    shifts_free(&shifts);
    free((void *)(uintptr_t)rows.data);
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The figure is 20 ms; with room for instruments and busy machines. */
static void a_year_of_five_layers_is_rendered_quickly(void **state)
{
    (void)state;
    struct zone *paris = zone("Europe/Paris");
    struct rotation rotations[5];
    Tocsin__ScheduleLayer *layers[5];
    for (size_t i = 0; i < 5; i++) {
        layers[i] = rotation(&rotations[i], utc("2026-01-05 08:00"), i == 4 ? 8 * HOUR : DAY, ALICE, BOB, CAROL);
        for (uint32_t day = 1; day <= 5 && i > 0; day++) {
            restrict_to(&rotations[i], day, (uint32_t)(6 + i) * HOUR, 9 * HOUR);
        }
    }
    Tocsin__Schedule schedule = TOCSIN__SCHEDULE__INIT;
    schedule.n_layers = 5;
    schedule.layers = layers;
    struct shifts shifts = {0};
    uint64_t start_us = now_us();
    render_layers(&schedule, paris, utc("2026-01-05 00:00"), utc("2027-01-05 00:00"), &shifts);
    uint64_t took_us = now_us() - start_us;
    print_message("a year of five layers: %llu us, %zu shifts\n", (unsigned long long)took_us, shifts.count);
    assert_true(shifts.count > 900);
    assert_true(took_us < 200000);
    shifts_free(&shifts);
    zone_free(paris);
}

/* ---------------------------------------------------------------- zone files */

static void what_is_no_zone_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {
        "",         "Mars/Olympus",  "../zoneinfo/UTC", "/etc/passwd", "Europe", "Europe//Paris", "Europe/Paris/",
        "zone.tab", "Europe/Par is", "tzdata.zi"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_null(zones_load(names[i]));
    }
}

/* Every prefix of a zone file, and the file with each byte turned over, is a zone or is refused; nothing is read
 * beyond. */
static void damaged_zone_files_do_no_harm(void **state)
{
    (void)state;
    FILE *file = fopen("/usr/share/zoneinfo/Europe/Dublin", "rb");
    assert_non_null(file);
    static uint8_t whole[ZONE_FILE_SIZE_BYTES_MAX];
    size_t size_bytes = fread(whole, 1, sizeof whole, file);
    fclose(file);
    assert_true(size_bytes > 500);
    for (size_t length = 0; length < size_bytes; length++) {
        uint8_t *part = malloc(length + 1);
        memcpy(part, whole, length);
        assert_null(zone_new((struct span){part, length}));
        free(part);
    }
    for (size_t i = 0; i < size_bytes; i++) {
        uint8_t *turned = malloc(size_bytes);
        memcpy(turned, whole, size_bytes);
        turned[i] ^= 0xff;
        struct zone *damaged = zone_new((struct span){turned, size_bytes});
        if (damaged != NULL) {
            (void)zone_from_local(damaged, 1800000000);
            assert_in_range(zone_offset_s(damaged, 1800000000) + 100 * 3600, 0, 200 * 3600);
        }
        zone_free(damaged);
        free(turned);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hand_offs_keep_their_time_on_the_wall),
        cmocka_unit_test(a_hand_off_that_clocks_skip_or_show_twice_happens_once),
        cmocka_unit_test(an_hourly_rotation_leaves_no_hole_on_days_of_23_and_25_hours),
        cmocka_unit_test(before_its_origin_a_rotation_has_always_been),
        cmocka_unit_test(restrictions_by_day_and_by_week_follow_the_clock_on_the_wall),
        cmocka_unit_test(restrictions_that_overlap_are_one),
        cmocka_unit_test(a_later_layer_covers_an_earlier_one_and_a_layer_ends),
        cmocka_unit_test(shifts_become_rows_and_come_back),
        cmocka_unit_test(too_many_shifts_shorten_the_horizon),
        cmocka_unit_test(a_year_of_five_layers_is_rendered_quickly),
        cmocka_unit_test(what_is_no_zone_is_refused),
        cmocka_unit_test(damaged_zone_files_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
