/* The model's reading of what keeps alerts from opening incidents: beside a real machine, and each lie that it finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/records.h"
#include "tests/sim/model/model_internal.h"
#include "tests/sim/model/model_stand.h"
#include "tests/support/machine_probe.h"

#define KEY "R0000000000000000000000000000001"
#define MINUTE ((uint64_t)STAND_MINUTE_MS)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define TRIGGER TOCSIN__EVENT_ACTION__EVENT_TRIGGER
#define RESOLVE TOCSIN__EVENT_ACTION__EVENT_RESOLVE
#define CRITICAL TOCSIN__SEVERITY__SEVERITY_CRITICAL

static uint64_t service;

static int company_open(void **state)
{
    struct stand *stand = stand_new();
    *state = stand;
    stand_guardians(stand, 1, STAND_MINUTE_MS);
    uint64_t alice = stand_user(stand, "Alice");
    (void)stand_method(stand, alice, TOCSIN__CHANNEL__CHANNEL_SMS, "5550001");
    const struct stand_level levels[] = {{5, {alice, 0}}};
    service = stand_service(stand, stand_policy(stand, 0, 1, 1, levels), TOCSIN__URGENCY__URGENCY_HIGH, 0, 0);
    (void)stand_integration(stand, service, KEY);
    model_healed(stand->model, stand->true_ms);
    return 0;
}

static struct model_counts counts(const struct stand *stand)
{
    return model_counts(stand->model);
}

/* ---------------------------------------------------------------- maintenance windows */

static uint64_t window_put(struct stand *stand, uint64_t id, uint32_t revision, uint64_t start_ms, uint64_t end_ms)
{
    Tocsin__MaintenanceWindow window = TOCSIN__MAINTENANCE_WINDOW__INIT;
    Tocsin__MaintenanceWindowPut body = TOCSIN__MAINTENANCE_WINDOW_PUT__INIT;
    window.service_ids = &service;
    window.n_service_ids = 1;
    window.start_ms = start_ms;
    window.end_ms = end_ms;
    body.id = id;
    body.base_revision = revision;
    body.window = &window;
    Tocsin__Command command = COMMAND(MAINTENANCE_WINDOW_PUT, maintenance_window_put, body);
    return stand_done(stand, &command);
}

/* An hour long from now on. */
static uint64_t window_open(struct stand *stand)
{
    return window_put(stand, 0, 0, stand->true_ms, stand->true_ms + HOUR);
}

static void window_delete(struct stand *stand, uint64_t id)
{
    Tocsin__MaintenanceWindowDelete body = TOCSIN__MAINTENANCE_WINDOW_DELETE__INIT;
    body.id = id;
    Tocsin__Command command = COMMAND(MAINTENANCE_WINDOW_DELETE, maintenance_window_delete, body);
    (void)stand_done(stand, &command);
}

static void what_still_fires_when_a_window_ends_pages(void **state)
{
    struct stand *stand = *state;
    (void)window_open(stand);
    assert_int_equal(stand_event(stand, KEY, TRIGGER, "disk", CRITICAL), 0);
    (void)stand_event(stand, KEY, TRIGGER, "cpu", CRITICAL);
    (void)stand_event(stand, KEY, RESOLVE, "cpu", CRITICAL);
    stand_run_delivering(stand, 59 * MINUTE);
    assert_int_equal(counts(stand).pages_sent, 0);
    stand_run_delivering(stand, 2 * MINUTE);
    assert_int_equal(counts(stand).pages_sent, 1);
    assert_int_equal(counts(stand).held_released, 1);
    assert_int_equal(counts(stand).held_resolved, 1);
    stand_expect_peace(stand);
}

static void a_window_cut_short_or_deleted_lets_go_at_once(void **state)
{
    struct stand *stand = *state;
    uint64_t first = window_open(stand);
    (void)stand_event(stand, KEY, TRIGGER, "disk", CRITICAL);
    (void)window_put(stand, first, 1, stand->true_ms, stand->true_ms + MINUTE);
    stand_run_delivering(stand, 2 * MINUTE);
    assert_int_equal(counts(stand).held_released, 1);
    uint64_t second = window_open(stand), third = window_open(stand);
    (void)stand_event(stand, KEY, TRIGGER, "cpu", CRITICAL);
    window_delete(stand, third);
    stand_run_delivering(stand, MINUTE);
    assert_int_equal(counts(stand).held_released, 1);
    window_delete(stand, second);
    stand_run_delivering(stand, MINUTE);
    assert_int_equal(counts(stand).held_released, 2);
    stand_expect_peace(stand);
}

/* As its times of day say, a machine that was given them for less is found out. */
static void window_daily(struct stand *stand, uint64_t start_ms, uint64_t end_ms, size_t spans_count)
{
    Tocsin__MaintenanceWindow window = TOCSIN__MAINTENANCE_WINDOW__INIT;
    Tocsin__MaintenanceWindowPut body = TOCSIN__MAINTENANCE_WINDOW_PUT__INIT;
    Tocsin__Recurrence recurrence = TOCSIN__RECURRENCE__INIT;
    Tocsin__WindowSpan spans[8], *list[8];
    for (size_t i = 0; i < spans_count; i++) {
        spans[i] = (Tocsin__WindowSpan)TOCSIN__WINDOW_SPAN__INIT;
        spans[i].start_ms = start_ms + i * DAY;
        spans[i].end_ms = end_ms + i * DAY;
        list[i] = &spans[i];
    }
    recurrence.time_zone = probe_text("Europe/Zurich");
    window.service_ids = &service;
    window.n_service_ids = 1;
    window.start_ms = start_ms;
    window.end_ms = end_ms;
    window.recurrence = &recurrence;
    window.spans = list;
    window.n_spans = spans_count;
    body.window = &window;
    Tocsin__Command command = COMMAND(MAINTENANCE_WINDOW_PUT, maintenance_window_put, body);
    (void)stand_done(stand, &command);
}

static void a_window_comes_again_each_day(void **state)
{
    struct stand *stand = *state;
    window_daily(stand, stand->true_ms - HOUR, stand->true_ms + HOUR, 3);
    (void)stand_event(stand, KEY, TRIGGER, "disk", CRITICAL);
    stand_run_delivering(stand, 2 * HOUR);
    assert_int_equal(counts(stand).held_released, 1);
    (void)stand_event(stand, KEY, RESOLVE, "disk", CRITICAL);
    stand_run_delivering(stand, 22 * HOUR);
    (void)stand_event(stand, KEY, TRIGGER, "disk", CRITICAL);
    assert_int_equal(counts(stand).alerts_held, 2);
    stand_expect_peace(stand);
}

static void a_day_that_was_forgotten_is_found(void **state)
{
    struct stand *stand = *state;
    window_daily(stand, stand->true_ms - HOUR, stand->true_ms + HOUR, 1);
    stand_run_delivering(stand, 2 * HOUR);
    (void)stand_event(stand, KEY, TRIGGER, "disk", CRITICAL);
    stand_expect_broken(stand, "maintenance window");
}

/* Nobody looks at the clock. */
static void an_end_that_nobody_looked_at_is_found(void **state)
{
    struct stand *stand = *state;
    (void)window_open(stand);
    (void)stand_event(stand, KEY, TRIGGER, "disk", CRITICAL);
    stand_advance(stand, 2 * HOUR);
    model_finish(stand->model, stand->true_ms);
    stand_expect_broken(stand, "nothing was done about it");
}

/* ---------------------------------------------------------------- mutes */

/* For a quarter of an hour, what begins with "disk". */
static uint64_t mute_disks(struct stand *stand)
{
    Tocsin__Matcher matcher = TOCSIN__MATCHER__INIT, *list = &matcher;
    Tocsin__Mute mute = TOCSIN__MUTE__INIT;
    Tocsin__MutePut body = TOCSIN__MUTE_PUT__INIT;
    matcher.name = probe_text("dedup_key");
    matcher.value = probe_text("disk.*");
    matcher.is_regex = true;
    mute.matchers = &list;
    mute.n_matchers = 1;
    mute.reason = probe_text("works");
    body.mute = &mute;
    body.lasts_s = 900;
    Tocsin__Command command = COMMAND(MUTE_PUT, mute_put, body);
    return stand_done(stand, &command);
}

static uint32_t severity_of(struct stand *stand, uint64_t alert_id)
{
    Tocsin__Alert *alert = alert_get(&stand->store, 0, alert_id, NULL);
    assert_non_null(alert);
    uint32_t severity = (uint32_t)alert->severity;
    tocsin__alert__free_unpacked(alert, NULL);
    return severity;
}

/* The leader's word on everything that waits; the revision of the mutes counts their changes. */
static void verdict_on_all(struct stand *stand, uint64_t mute_id, uint64_t revision)
{
    Tocsin__MuteVerdict verdicts[8], *list[8];
    Tocsin__MuteVerdicts body = TOCSIN__MUTE_VERDICTS__INIT;
    struct walk walk = walk_under(&stand->store, TABLE_HELD, 0);
    while (body.n_verdicts < 8 && walk_next(&walk)) {
        verdicts[body.n_verdicts] = (Tocsin__MuteVerdict)TOCSIN__MUTE_VERDICT__INIT;
        verdicts[body.n_verdicts].alert_id = span_number(walk.key, 1);
        verdicts[body.n_verdicts].mute_id = mute_id;
        verdicts[body.n_verdicts].severity = severity_of(stand, span_number(walk.key, 1));
        list[body.n_verdicts] = &verdicts[body.n_verdicts];
        body.n_verdicts++;
    }
    body.revision = revision;
    body.verdicts = list;
    Tocsin__Command command = COMMAND(MUTE_VERDICTS, mute_verdicts, body);
    (void)stand_do(stand, &command);
}

static void what_is_muted_pages_when_the_mute_is_over(void **state)
{
    struct stand *stand = *state;
    uint64_t mute = mute_disks(stand);
    (void)stand_event(stand, KEY, TRIGGER, "disk-1", CRITICAL);
    verdict_on_all(stand, mute, 1);
    stand_advance(stand, 1000);
    (void)stand_event(stand, KEY, TRIGGER, "cpu", CRITICAL);
    verdict_on_all(stand, 0, 1);
    stand_run_delivering(stand, 4 * MINUTE);
    assert_int_equal(counts(stand).pages_sent, 1);
    stand_run_delivering(stand, 12 * MINUTE);
    assert_int_equal(counts(stand).alerts_muted, 1);
    assert_int_equal(counts(stand).held_released, 2);
    stand_expect_peace(stand);
}

static void what_is_muted_and_becomes_worse_is_looked_at_anew(void **state)
{
    struct stand *stand = *state;
    uint64_t mute = mute_disks(stand);
    (void)stand_event(stand, KEY, TRIGGER, "disk-1", TOCSIN__SEVERITY__SEVERITY_WARNING);
    verdict_on_all(stand, mute, 1);
    (void)stand_event(stand, KEY, TRIGGER, "disk-1", TOCSIN__SEVERITY__SEVERITY_INFO);
    verdict_on_all(stand, mute, 1);
    assert_int_equal(counts(stand).alerts_muted, 1);
    (void)stand_event(stand, KEY, TRIGGER, "disk-1", CRITICAL);
    verdict_on_all(stand, mute, 1);
    assert_int_equal(counts(stand).alerts_muted, 2);
    stand_run_delivering(stand, 20 * MINUTE);
    assert_int_equal(counts(stand).held_released, 1);
    stand_expect_peace(stand);
}

static void a_word_on_mutes_of_before_has_no_effect(void **state)
{
    struct stand *stand = *state;
    (void)mute_disks(stand);
    (void)stand_event(stand, KEY, TRIGGER, "disk-1", CRITICAL);
    uint64_t second = mute_disks(stand);
    verdict_on_all(stand, 0, 1);
    assert_int_equal(counts(stand).held_released, 0);
    verdict_on_all(stand, second, 2);
    stand_expect_peace(stand);
}

static void an_alert_that_is_let_go_in_spite_of_a_mute_is_found(void **state)
{
    struct stand *stand = *state;
    (void)mute_disks(stand);
    (void)stand_event(stand, KEY, TRIGGER, "disk-1", CRITICAL);
    verdict_on_all(stand, 0, 1);
    stand_expect_broken(stand, "is in force and fits it");
}

static void an_alert_that_is_muted_without_need_is_found(void **state)
{
    struct stand *stand = *state;
    uint64_t mute = mute_disks(stand);
    (void)stand_event(stand, KEY, TRIGGER, "cpu", CRITICAL);
    verdict_on_all(stand, mute, 1);
    stand_expect_broken(stand, "and it does not");
}

static void a_leader_that_says_nothing_while_all_is_well_is_found(void **state)
{
    struct stand *stand = *state;
    stand_run_delivering(stand, HOUR);
    (void)mute_disks(stand);
    (void)stand_event(stand, KEY, TRIGGER, "disk-1", CRITICAL);
    stand_run_delivering(stand, MINUTE);
    stand_expect_broken(stand, "nobody looked whether");
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, company_open, stand_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(what_still_fires_when_a_window_ends_pages),
        STORY(a_window_cut_short_or_deleted_lets_go_at_once),
        STORY(a_window_comes_again_each_day),
        STORY(a_day_that_was_forgotten_is_found),
        STORY(an_end_that_nobody_looked_at_is_found),
        STORY(what_is_muted_pages_when_the_mute_is_over),
        STORY(what_is_muted_and_becomes_worse_is_looked_at_anew),
        STORY(a_word_on_mutes_of_before_has_no_effect),
        STORY(an_alert_that_is_let_go_in_spite_of_a_mute_is_found),
        STORY(an_alert_that_is_muted_without_need_is_found),
        STORY(a_leader_that_says_nothing_while_all_is_well_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
