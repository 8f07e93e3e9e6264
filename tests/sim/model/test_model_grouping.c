/* The model, of alerts that are one trouble, and of those that get time to pass by themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "tests/sim/model/model_stand.h"
#include "tests/support/machine_probe.h"

#define KEY "R0000000000000000000000000000001"
#define MINUTE ((uint64_t)STAND_MINUTE_MS)
#define TRIGGER TOCSIN__EVENT_ACTION__EVENT_TRIGGER
#define RESOLVE TOCSIN__EVENT_ACTION__EVENT_RESOLVE
#define CRITICAL TOCSIN__SEVERITY__SEVERITY_CRITICAL
#define WARNING TOCSIN__SEVERITY__SEVERITY_WARNING

static uint64_t service;

/* Alice by text, of low urgency by e-mail; a service whose urgency is that of its events. */
static int company_open(void **state)
{
    struct stand *stand = stand_new();
    *state = stand;
    stand_guardians(stand, 1, STAND_MINUTE_MS);
    uint64_t alice = stand_user(stand, "Alice");
    (void)stand_method(stand, alice, TOCSIN__CHANNEL__CHANNEL_SMS, "5550001");
    (void)stand_method(stand, alice, TOCSIN__CHANNEL__CHANNEL_EMAIL, "alice@example.org");
    const struct stand_level levels[] = {{30, {alice, 0}}};
    service = stand_service(stand, stand_policy(stand, 0, 0, 1, levels), TOCSIN__URGENCY__URGENCY_SEVERITY_BASED, 0, 0);
    (void)stand_integration(stand, service, KEY);
    model_healed(stand->model, stand->true_ms);
    return 0;
}

static uint64_t trigger(struct stand *stand, const char *dedup_key, const char *component, Tocsin__Severity severity)
{
    stand->component = component;
    return stand_event(stand, KEY, TRIGGER, dedup_key, severity);
}

static void group_by_time(struct stand *stand, uint32_t minutes)
{
    Tocsin__AlertGrouping grouping = TOCSIN__ALERT_GROUPING__INIT;
    grouping.type = TOCSIN__GROUPING_TYPE__GROUPING_TIME;
    grouping.timeout_minutes = minutes;
    stand_service_rules(stand, service, &grouping, 0);
}

static void group_by_component(struct stand *stand)
{
    char *fields[] = {probe_text("component")};
    Tocsin__AlertGrouping grouping = TOCSIN__ALERT_GROUPING__INIT;
    grouping.type = TOCSIN__GROUPING_TYPE__GROUPING_CONTENT;
    grouping.fields = fields;
    grouping.n_fields = 1;
    stand_service_rules(stand, service, &grouping, 0);
}

static void alerts_of_one_time_are_one_incident_and_one_page(void **state)
{
    struct stand *stand = *state;
    group_by_time(stand, 10);
    uint64_t first = trigger(stand, "a", "disk", CRITICAL);
    stand_run_delivering(stand, 9 * MINUTE);
    assert_int_equal(trigger(stand, "b", "net", CRITICAL), first);
    stand_run_delivering(stand, 2 * MINUTE); /* counted from the first */
    assert_int_not_equal(trigger(stand, "c", "net", CRITICAL), first);
    stand_run_delivering(stand, MINUTE);
    assert_int_equal(model_counts(stand->model).pages_sent, 2);
    assert_int_equal(model_counts(stand->model).alerts_joined, 1);
    stand_expect_peace(stand);
}

static void alerts_of_one_content_are_one_incident_until_the_last_is_over(void **state)
{
    struct stand *stand = *state;
    group_by_component(stand);
    uint64_t disk = trigger(stand, "a", "disk", CRITICAL), net = trigger(stand, "b", "net", CRITICAL);
    assert_int_not_equal(disk, net);
    assert_int_equal(trigger(stand, "c", "disk", CRITICAL), disk);
    assert_int_not_equal(trigger(stand, "d", NULL, CRITICAL), disk);
    assert_int_equal(stand_event(stand, KEY, RESOLVE, "a", CRITICAL), disk);
    assert_int_equal(model_counts(stand->model).open_incidents, 3);
    assert_int_equal(stand_event(stand, KEY, RESOLVE, "c", CRITICAL), disk);
    assert_int_equal(model_counts(stand->model).open_incidents, 2);
    assert_int_not_equal(trigger(stand, "a", "disk", CRITICAL), disk);
    stand_expect_peace(stand);
}

static void an_urgent_alert_wakes_who_took_a_minor_one(void **state)
{
    struct stand *stand = *state;
    group_by_time(stand, 0);
    uint64_t incident = trigger(stand, "a", "disk", WARNING);
    stand_run_delivering(stand, MINUTE);
    assert_true(stand_set_status(stand, incident, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED));
    assert_int_equal(trigger(stand, "b", "disk", WARNING), incident);
    stand_run_delivering(stand, MINUTE);
    assert_int_equal(model_counts(stand->model).pages_sent, 1);
    assert_int_equal(trigger(stand, "c", "disk", CRITICAL), incident);
    stand_run_delivering(stand, MINUTE);
    assert_int_equal(model_counts(stand->model).pages_sent, 2);
    stand_expect_peace(stand);
}

static void answer_nothing(struct stand *stand)
{
    static uint8_t packed[16];
    Tocsin__Reply reply = TOCSIN__REPLY__INIT;
    reply.status = TOCSIN__STATUS__STATUS_OK;
    stand->output.replies[0].packed = (struct span){.data = packed, .size_bytes = tocsin__reply__pack(&reply, packed)};
}

static void an_alert_that_joins_nothing_is_noticed(void **state)
{
    struct stand *stand = *state;
    group_by_time(stand, 0);
    (void)trigger(stand, "a", "disk", CRITICAL);
    stand->doctor = answer_nothing;
    (void)trigger(stand, "b", "disk", CRITICAL);
    stand_expect_broken(stand, "an alert of key b is the same trouble as incident 1, and was counted elsewhere");
}

/* ---------------------------------------------------------------- time to pass */

static void an_alert_that_passes_in_its_time_is_nobodys(void **state)
{
    struct stand *stand = *state;
    stand_service_rules(stand, service, NULL, 300);
    assert_int_equal(trigger(stand, "a", "disk", CRITICAL), 0);
    stand_run_delivering(stand, 4 * MINUTE);
    (void)stand_event(stand, KEY, RESOLVE, "a", CRITICAL);
    stand_run_delivering(stand, 4 * MINUTE);
    assert_int_equal(model_counts(stand->model).incidents, 0);
    assert_int_equal(model_counts(stand->model).alerts_paused, 1);
    stand_expect_peace(stand);
}

static void an_alert_that_stays_is_paged_when_its_time_is_over(void **state)
{
    struct stand *stand = *state;
    stand_service_rules(stand, service, NULL, 300);
    (void)trigger(stand, "a", "disk", CRITICAL);
    stand_run_delivering(stand, 6 * MINUTE);
    assert_int_equal(model_counts(stand->model).pages_sent, 1);
    model_finish(stand->model, model_time_ms(stand->model));
    stand_expect_peace(stand);
}

static void an_alert_that_is_never_looked_at_again_is_missed(void **state)
{
    struct stand *stand = *state;
    stand_service_rules(stand, service, NULL, 300);
    (void)trigger(stand, "a", "disk", CRITICAL);
    stand_advance(stand, 6 * MINUTE);
    model_finish(stand->model, model_time_ms(stand->model) + 6 * MINUTE);
    stand_expect_broken(stand, "the time of held alert 1 ends at 00:05:00.000, and by 00:00:00.000 nothing was done");
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, company_open, stand_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(alerts_of_one_time_are_one_incident_and_one_page),
        STORY(alerts_of_one_content_are_one_incident_until_the_last_is_over),
        STORY(an_urgent_alert_wakes_who_took_a_minor_one),
        STORY(an_alert_that_joins_nothing_is_noticed),
        STORY(an_alert_that_passes_in_its_time_is_nobodys),
        STORY(an_alert_that_stays_is_paged_when_its_time_is_over),
        STORY(an_alert_that_is_never_looked_at_again_is_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
