/* What becomes of a heartbeat's incident, whatever people do with the heartbeat and its service meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "tests/support/machine_fixture.h"

#define SMS TOCSIN__CHANNEL__CHANNEL_SMS
#define STATUS(name) TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_##name
#define KIND(name) TOCSIN__PING_KIND__PING_##name

/* Alice is on call for the service of the jobs. */
struct story {
    struct machine_fixture *f;
    uint64_t alice, service, made;
};

static int begin(void **state)
{
    struct story *story = calloc(1, sizeof *story);
    assert_non_null(story);
    story->f = fixture_new();
    story->alice = fixture_user(story->f, "Alice");
    fixture_method(story->f, story->alice, SMS, "15550001");
    struct fixture_level levels[] = {{30, {story->alice}}};
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

/* ---------------------------------------------------------------- steps */

static uint64_t apply(struct story *story, Tocsin__Command__BodyCase body_case, void *message)
{
    Tocsin__Command command = fixture_command();
    command.body_case = body_case;
    command.ping = message; /* every body is a pointer at the same place */
    const Tocsin__Reply *reply = fixture_apply(story->f, &command);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    return reply->n_ids > 0 ? reply->ids[0] : 0;
}

static uint64_t job(struct story *story)
{
    char key[40], name[32];
    snprintf(key, sizeof key, "00000000-0000-4000-8000-%012llu", (unsigned long long)++story->made);
    snprintf(name, sizeof name, "job %llu", (unsigned long long)story->made);
    Tocsin__Heartbeat given = TOCSIN__HEARTBEAT__INIT;
    given.key = key;
    given.name = name;
    given.service_id = story->service;
    Tocsin__HeartbeatPut put = TOCSIN__HEARTBEAT_PUT__INIT;
    put.heartbeat = &given;
    return apply(story, TOCSIN__COMMAND__BODY_HEARTBEAT_PUT, &put);
}

static void says(struct story *story, uint64_t id, Tocsin__PingKind kind)
{
    Tocsin__Ping ping = TOCSIN__PING__INIT;
    ping.heartbeat_id = id;
    ping.kind = kind;
    apply(story, TOCSIN__COMMAND__BODY_PING, &ping);
}

static void pause_and_resume(struct story *story, uint64_t id)
{
    Tocsin__HeartbeatPause pause = TOCSIN__HEARTBEAT_PAUSE__INIT;
    pause.id = id;
    apply(story, TOCSIN__COMMAND__BODY_HEARTBEAT_PAUSE, &pause);
    pause.resume = true;
    apply(story, TOCSIN__COMMAND__BODY_HEARTBEAT_PAUSE, &pause);
}

/* The incident of the next page to Alice. */
static uint64_t paged(struct story *story)
{
    return fixture_paged(story->f, "Alice", SMS);
}

/* ---------------------------------------------------------------- pause and resume */

/* Once found to leave the incident open, in which the next failure was counted and told to nobody. */
static void the_first_success_after_a_resume_ends_what_was_open_before(void **state)
{
    struct story *story = *state;
    uint64_t backup = job(story);
    says(story, backup, KIND(FAIL));
    uint64_t id = paged(story);
    fixture_act_as_user(story->f, story->alice, "Alice");
    fixture_set_status(story->f, id, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED);
    /* given an incident that somebody has, and a job that is as new */
    pause_and_resume(story, backup);
    assert_int_equal(fixture_heartbeat_status(story->f, backup), STATUS(NEW));
    /* when it fails again before it ever succeeded, then that is the same trouble */
    says(story, backup, KIND(FAIL));
    fixture_expect_silence(story->f);
    assert_int_equal(fixture_incident(story->f, id)->status, TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED);
    /* when it succeeds, it is over, and the next failure is told */
    pause_and_resume(story, backup);
    says(story, backup, KIND(SUCCESS));
    assert_int_equal(fixture_incident(story->f, id)->status, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED);
    says(story, backup, KIND(FAIL));
    assert_int_not_equal(paged(story), id);
}

/* ---------------------------------------------------------------- its service is disabled */

static void service_is(struct story *story, bool disabled)
{
    Tocsin__Service service = TOCSIN__SERVICE__INIT;
    service.disabled = disabled;
    Tocsin__ServicePut put = TOCSIN__SERVICE_PUT__INIT;
    put.id = story->service;
    put.fields = 1ull << 11;
    put.service = &service;
    apply(story, TOCSIN__COMMAND__BODY_SERVICE_PUT, &put);
}

/* A monitor repeats its trigger, a dead job says nothing: once found to stay dead with nobody told. */
static void what_fell_silent_while_its_service_was_disabled_is_told_when_it_is_enabled(void **state)
{
    struct story *story = *state;
    uint64_t backup = job(story), mail = job(story), known = job(story), well = job(story);
    says(story, well, KIND(SUCCESS));
    says(story, known, KIND(FAIL));
    uint64_t told = paged(story);
    service_is(story, true);
    says(story, backup, KIND(FAIL));
    says(story, mail, KIND(FAIL));
    assert_int_equal(fixture_heartbeat_status(story->f, backup), STATUS(DOWN));
    says(story, mail, KIND(SUCCESS));
    fixture_run(story->f, FIXTURE_MINUTE_MS);
    fixture_expect_silence(story->f);
    /* when people are asked again, then they hear of what is down and was told to nobody, once */
    service_is(story, false);
    fixture_run(story->f, 0);
    uint64_t id = paged(story);
    assert_int_not_equal(id, told);
    assert_string_equal(fixture_incident(story->f, id)->title, "job 1 is down: its last sign was 60 s ago");
    fixture_expect_silence(story->f);
    service_is(story, false);
    service_is(story, true);
    service_is(story, false);
    fixture_run(story->f, FIXTURE_MINUTE_MS);
    fixture_expect_silence(story->f);
    says(story, backup, KIND(SUCCESS));
    assert_int_equal(fixture_incident(story->f, id)->status, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED);
}

/* A service may have more of them than one entry can look at. */
static void of_many_none_is_forgotten_and_each_pulse_is_bounded(void **state)
{
    struct story *story = *state;
    story->f->unchecked = true;
    service_is(story, true);
    const unsigned many = LIMIT_PULSE_HEARTBEATS + LIMIT_PULSE_DEADLINES;
    for (unsigned i = 0; i < many; i++) {
        says(story, job(story), KIND(FAIL));
    }
    service_is(story, false);
    unsigned pulses = 0;
    for (; machine_next_deadline_ms(&story->f->store) <= story->f->now_ms + 1000; pulses++) {
        uint64_t before = fixture_rows(story->f, TABLE_INCIDENT_OPEN);
        fixture_advance(story->f, 1);
        fixture_pulse(story->f, LIMIT_PULSE_DEADLINES);
        assert_in_range(fixture_rows(story->f, TABLE_INCIDENT_OPEN) - before, 0, LIMIT_PULSE_DEADLINES);
        fixture_deliver_all(story->f);
    }
    assert_int_equal(fixture_rows(story->f, TABLE_INCIDENT_OPEN), many);
    assert_in_range(pulses, many / LIMIT_PULSE_DEADLINES, 100);
}

/* What has not been told yet when somebody does something else with the heartbeat. */
static void a_change_meanwhile_loses_nothing(void **state)
{
    struct story *story = *state;
    uint64_t backup = job(story), mail = job(story), web = job(story);
    service_is(story, true);
    says(story, backup, KIND(FAIL));
    says(story, mail, KIND(FAIL));
    says(story, web, KIND(FAIL));
    service_is(story, false);
    says(story, backup, KIND(START)); /* it begins, and is down until it has succeeded */
    says(story, mail, KIND(SUCCESS));
    says(story, web, KIND(FAIL));
    fixture_receipt(story->f, fixture_expect_send(story->f, "Alice", SMS), TOCSIN__OUTCOME__OUTCOME_SENT, 0);
    fixture_run(story->f, 0);
    assert_string_equal(fixture_incident(story->f, paged(story))->title, "job 1 is down: its last sign was 0 s ago");
    fixture_expect_silence(story->f);
    assert_int_equal(fixture_rows(story->f, TABLE_INCIDENT_OPEN), 2);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(the_first_success_after_a_resume_ends_what_was_open_before),
        STORY(what_fell_silent_while_its_service_was_disabled_is_told_when_it_is_enabled),
        STORY(of_many_none_is_forgotten_and_each_pulse_is_bounded),
        STORY(a_change_meanwhile_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
