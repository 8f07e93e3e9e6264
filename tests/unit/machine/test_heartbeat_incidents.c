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

static Tocsin__HeartbeatStatus status_of(struct story *story, uint64_t id)
{
    Tocsin__HeartbeatState *state = heartbeat_state_get(&story->f->store, id, NULL);
    assert_non_null(state);
    Tocsin__HeartbeatStatus status = state->status;
    tocsin__heartbeat_state__free_unpacked(state, NULL);
    return status;
}

/* The incident of the next page to Alice. */
static uint64_t paged(struct story *story)
{
    const Tocsin__Notification *page = fixture_expect_send(story->f, "Alice", SMS);
    uint64_t incident_id = page->incident_id;
    fixture_receipt(story->f, page, TOCSIN__OUTCOME__OUTCOME_SENT, 0);
    return incident_id;
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
    assert_int_equal(status_of(story, backup), STATUS(NEW));
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

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(the_first_success_after_a_resume_ends_what_was_open_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
