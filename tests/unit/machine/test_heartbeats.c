/* Heartbeats: jobs that ping, fall silent and come back, and time in which the cluster could not hear them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "tests/support/machine_fixture.h"

#define SECOND_MS 1000ull
#define MINUTE_MS 60000ull
#define HOUR_MS (60 * MINUTE_MS)
#define SMS TOCSIN__CHANNEL__CHANNEL_SMS
#define SILENT TOCSIN__WHY__WHY_HEARTBEAT_SILENT
#define STATUS(name) TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_##name
#define KIND(name) TOCSIN__PING_KIND__PING_##name

static char run_a[] = "aaaaaaaa-0000-4000-8000-000000000001", run_b[] = "bbbbbbbb-0000-4000-8000-000000000002";

/* Alice is on call for the service; Grace guards the cluster. */
struct story {
    struct machine_fixture *f;
    uint64_t alice, service, made;
};

static int begin(void **state)
{
    struct story *story = calloc(1, sizeof *story);
    assert_non_null(story);
    struct machine_fixture *f = story->f = fixture_new();
    story->alice = fixture_user(f, "Alice");
    fixture_method(f, story->alice, SMS, "15550001");
    struct fixture_level levels[] = {{30, {story->alice}}};
    uint64_t policy = fixture_policy(f, 1, 1, levels);
    story->service = fixture_service(f, policy, TOCSIN__URGENCY__URGENCY_HIGH, 0, 0);
    fixture_guardian(f, "Grace", SMS, "+15559999");
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

static const Tocsin__Reply *put(struct story *story, uint64_t id, uint64_t fields, Tocsin__Heartbeat *heartbeat)
{
    Tocsin__HeartbeatPut message = TOCSIN__HEARTBEAT_PUT__INIT;
    message.id = id;
    message.fields = fields;
    message.heartbeat = heartbeat;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_HEARTBEAT_PUT;
    command.heartbeat_put = &message;
    return fixture_apply(story->f, &command);
}

/* A heartbeat of the service, called after its number. */
static uint64_t heartbeat(struct story *story, uint32_t period_s, uint32_t grace_s)
{
    char key[40], name[32];
    snprintf(key, sizeof key, "00000000-0000-4000-8000-%012llu", (unsigned long long)++story->made);
    snprintf(name, sizeof name, "job %llu", (unsigned long long)story->made);
    Tocsin__Heartbeat given = TOCSIN__HEARTBEAT__INIT;
    given.key = key;
    given.name = name;
    given.service_id = story->service;
    given.period_s = period_s;
    given.grace_s = grace_s;
    const Tocsin__Reply *reply = put(story, 0, 0, &given);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    assert_int_equal(reply->reason, TOCSIN__REASON__REASON_CREATED);
    return reply->ids[0];
}

static const Tocsin__Reply *send(struct story *story, Tocsin__Ping ping)
{
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_PING;
    command.ping = &ping;
    const Tocsin__Reply *reply = fixture_apply(story->f, &command);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    return reply;
}

static Tocsin__Ping ping_of(uint64_t id, Tocsin__PingKind kind)
{
    Tocsin__Ping ping = TOCSIN__PING__INIT;
    ping.heartbeat_id = id;
    ping.kind = kind;
    return ping;
}

static void ping(struct story *story, uint64_t id)
{
    send(story, ping_of(id, KIND(SUCCESS)));
}

static void ping_run(struct story *story, uint64_t id, Tocsin__PingKind kind, char *run)
{
    Tocsin__Ping message = ping_of(id, kind);
    message.run = run;
    send(story, message);
}

static const Tocsin__Reply *pause_or_resume(struct story *story, uint64_t id, bool resume)
{
    Tocsin__HeartbeatPause message = TOCSIN__HEARTBEAT_PAUSE__INIT;
    message.id = id;
    message.resume = resume;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_HEARTBEAT_PAUSE;
    command.heartbeat_pause = &message;
    return fixture_apply(story->f, &command);
}

static void tick(struct story *story)
{
    Tocsin__Tick message = TOCSIN__TICK__INIT;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_TICK;
    command.tick = &message;
    fixture_apply(story->f, &command);
    while (machine_next_deadline_ms(&story->f->store) <= story->f->now_ms) {
        fixture_pulse(story->f, LIMIT_PULSE_DEADLINES);
    }
}

/* The cluster is well for so long: a tick each second, a pulse when something is due. */
static void well_for(struct story *story, uint64_t ms)
{
    for (uint64_t end_ms = story->f->now_ms + ms; story->f->now_ms < end_ms;) {
        uint64_t left_ms = end_ms - story->f->now_ms;
        fixture_advance(story->f, left_ms < SECOND_MS ? left_ms : SECOND_MS);
        tick(story);
    }
}

/* Nothing is committed for so long, and then again. */
static void blind_for(struct story *story, uint64_t ms)
{
    fixture_advance(story->f, ms);
    tick(story);
}

/* The incident of the next page to Alice. */
static uint64_t paged(struct story *story)
{
    return fixture_paged(story->f, "Alice", SMS);
}

/* Lets `ms` pass and expects the page in the last second of it, not before. */
static void paged_after(struct story *story, uint64_t ms)
{
    well_for(story, ms - SECOND_MS);
    fixture_expect_silence(story->f);
    well_for(story, SECOND_MS);
    (void)paged(story);
}

/* ---------------------------------------------------------------- silence */

static void silence_pages_and_a_ping_resolves(void **state)
{
    struct story *story = *state;
    /* given a job of a minute with a minute of grace that has pinged */
    uint64_t job = heartbeat(story, 60, 60);
    ping(story, job);
    /* when it is silent to the end of its grace */
    well_for(story, 119 * SECOND_MS);
    assert_int_equal(fixture_heartbeat_status(story->f, job), STATUS(UP));
    fixture_expect_silence(story->f);
    well_for(story, SECOND_MS);
    /* then Alice is paged, with the reason, and once only */
    assert_int_equal(fixture_heartbeat_status(story->f, job), STATUS(DOWN));
    uint64_t id = paged(story);
    const Tocsin__Incident *incident = fixture_incident(story->f, id);
    assert_string_equal(incident->title, "job 1 is silent: last ping 2 min ago");
    assert_int_equal(incident->service_id, story->service);
    assert_int_equal(fixture_log_count(story->f, id, TOCSIN__LOG_TYPE__LOG_TRIGGER, SILENT), 1);
    well_for(story, 5 * MINUTE_MS);
    fixture_expect_silence(story->f);
    /* and its next ping resolves the incident */
    ping(story, job);
    assert_int_equal(fixture_heartbeat_status(story->f, job), STATUS(UP));
    assert_int_equal(fixture_incident(story->f, id)->status, TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED);
    assert_int_equal(
        fixture_log_count(story->f, id, TOCSIN__LOG_TYPE__LOG_RESOLVE, TOCSIN__WHY__WHY_HEARTBEAT_BACK), 1);
    assert_int_equal(fixture_rows_under(story->f, TABLE_HEARTBEAT_FLIP, job), 3);
}

static void pings_in_time_page_nobody(void **state)
{
    struct story *story = *state;
    uint64_t job = heartbeat(story, 60, 60);
    for (unsigned i = 0; i < 100; i++) {
        ping(story, job);
        well_for(story, (i % 2 == 0 ? 119 : 7) * SECOND_MS); /* late within its grace, or early */
    }
    fixture_expect_silence(story->f);
    assert_int_equal(fixture_rows(story->f, TABLE_INCIDENT), 0);
}

static void a_ping_moves_no_deadline(void **state)
{
    struct story *story = *state;
    uint64_t job = heartbeat(story, 60, 60);
    ping(story, job);
    uint64_t due_ms = machine_next_deadline_ms(&story->f->store);
    well_for(story, 50 * SECOND_MS);
    ping(story, job);
    assert_int_equal(machine_next_deadline_ms(&story->f->store), due_ms);
    /* it is filed again when it comes up */
    well_for(story, 70 * SECOND_MS);
    assert_int_equal(machine_next_deadline_ms(&story->f->store), due_ms + 50 * SECOND_MS);
    assert_int_equal(fixture_rows(story->f, TABLE_HEARTBEAT_DUE), 1);
}

static void one_that_never_pinged_never_pages(void **state)
{
    struct story *story = *state;
    uint64_t job = heartbeat(story, 60, 60);
    well_for(story, HOUR_MS);
    assert_int_equal(fixture_heartbeat_status(story->f, job), STATUS(NEW));
    fixture_expect_silence(story->f);
}

static void a_failure_pages_at_once_and_again_only_when_it_was_up(void **state)
{
    struct story *story = *state;
    uint64_t job = heartbeat(story, 60, 60);
    Tocsin__Ping failed = ping_of(job, KIND(FAIL));
    failed.has_exit_status = true;
    failed.exit_status = 3;
    send(story, failed);
    uint64_t id = paged(story);
    assert_string_equal(fixture_incident(story->f, id)->title, "job 1 reports a failure (exit status 3)");
    send(story, failed);
    fixture_expect_silence(story->f);
    ping(story, job);
    send(story, failed);
    assert_int_not_equal(paged(story), id);
}

static void a_run_must_end_within_the_grace(void **state)
{
    struct story *story = *state;
    uint64_t job = heartbeat(story, 3600, 120);
    ping(story, job);
    ping_run(story, job, KIND(START), run_a);
    paged_after(story, 120 * SECOND_MS);
}

static void the_end_of_another_run_is_not_the_end_of_this_one(void **state)
{
    struct story *story = *state;
    uint64_t job = heartbeat(story, 3600, 120);
    ping_run(story, job, KIND(START), run_a);
    well_for(story, 5 * SECOND_MS);
    ping_run(story, job, KIND(SUCCESS), run_b);
    Tocsin__HeartbeatState *now = heartbeat_state_get(&story->f->store, job, NULL);
    assert_false(now->has_duration);
    assert_int_not_equal(now->last_start_ms, 0);
    tocsin__heartbeat_state__free_unpacked(now, NULL);
    well_for(story, 5 * SECOND_MS);
    ping_run(story, job, KIND(SUCCESS), run_a);
    now = heartbeat_state_get(&story->f->store, job, NULL);
    assert_true(now->has_duration);
    assert_int_equal(now->last_duration_ms, 10 * SECOND_MS);
    assert_int_equal(now->last_start_ms, 0);
    tocsin__heartbeat_state__free_unpacked(now, NULL);
    well_for(story, 10 * MINUTE_MS);
    fixture_expect_silence(story->f);
}

static void a_log_line_is_no_sign_of_life(void **state)
{
    struct story *story = *state;
    uint64_t job = heartbeat(story, 60, 60);
    ping(story, job);
    well_for(story, 60 * SECOND_MS);
    send(story, ping_of(job, KIND(LOG)));
    paged_after(story, 60 * SECOND_MS);
}

/* ---------------------------------------------------------------- pause, change, delete */

static void one_that_is_paused_pages_nobody_until_it_pings_again(void **state)
{
    struct story *story = *state;
    uint64_t job = heartbeat(story, 60, 60);
    ping(story, job);
    pause_or_resume(story, job, false);
    well_for(story, HOUR_MS);
    fixture_expect_silence(story->f);
    ping(story, job);
    assert_int_equal(fixture_heartbeat_status(story->f, job), STATUS(UP));
    paged_after(story, 120 * SECOND_MS);
}

static void resuming_expects_nothing_before_the_next_ping(void **state)
{
    struct story *story = *state;
    uint64_t job = heartbeat(story, 60, 60);
    const Tocsin__Reply *reply = pause_or_resume(story, job, true);
    assert_int_equal(reply->reason, TOCSIN__REASON__REASON_NOT_PAUSED);
    ping(story, job);
    pause_or_resume(story, job, false);
    well_for(story, HOUR_MS);
    assert_int_equal(pause_or_resume(story, job, true)->status, TOCSIN__STATUS__STATUS_OK);
    assert_int_equal(fixture_heartbeat_status(story->f, job), STATUS(NEW));
    well_for(story, HOUR_MS);
    fixture_expect_silence(story->f);
}

static void a_shorter_period_counts_at_once(void **state)
{
    struct story *story = *state;
    uint64_t job = heartbeat(story, 3600, 60);
    ping(story, job);
    Tocsin__Heartbeat change = TOCSIN__HEARTBEAT__INIT;
    change.period_s = 60;
    assert_int_equal(put(story, job, 1 << 8, &change)->status, TOCSIN__STATUS__STATUS_OK);
    paged_after(story, 120 * SECOND_MS);
}

static void deleting_one_ends_its_incident_and_leaves_no_row(void **state)
{
    static const enum machine_table tables[] = {
        TABLE_HEARTBEAT,         TABLE_HEARTBEAT_STATE, TABLE_HEARTBEAT_BY_KEY,  TABLE_HEARTBEAT_BY_SLUG,
        TABLE_HEARTBEAT_BY_NAME, TABLE_HEARTBEAT_DUE,   TABLE_HEARTBEAT_PING,    TABLE_HEARTBEAT_FLIP,
        TABLE_HEARTBEAT_QUICK};
    struct story *story = *state;
    uint64_t job = heartbeat(story, 60, 60);
    ping(story, job);
    paged_after(story, 120 * SECOND_MS);
    Tocsin__ServiceDelete service = TOCSIN__SERVICE_DELETE__INIT;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_SERVICE_DELETE;
    command.service_delete = &service;
    service.id = story->service;
    Tocsin__HeartbeatDelete delete = TOCSIN__HEARTBEAT_DELETE__INIT;
    delete.id = job;
    Tocsin__Command deletion = fixture_command();
    deletion.body_case = TOCSIN__COMMAND__BODY_HEARTBEAT_DELETE;
    deletion.heartbeat_delete = &delete;
    assert_int_equal(fixture_apply(story->f, &deletion)->status, TOCSIN__STATUS__STATUS_OK);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        assert_int_equal(fixture_rows(story->f, tables[i]), 0);
    }
    assert_int_equal(fixture_rows(story->f, TABLE_INCIDENT_OPEN), 0);
    assert_int_equal(fixture_apply(story->f, &command)->status, TOCSIN__STATUS__STATUS_OK);
}

static void a_service_with_heartbeats_stays(void **state)
{
    struct story *story = *state;
    (void)heartbeat(story, 60, 60);
    Tocsin__ServiceDelete service = TOCSIN__SERVICE_DELETE__INIT;
    service.id = story->service;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_SERVICE_DELETE;
    command.service_delete = &service;
    assert_int_equal(fixture_apply(story->f, &command)->reason, TOCSIN__REASON__REASON_HEARTBEATS_IN_SERVICE);
}

static void what_is_absurd_is_refused(void **state)
{
    struct story *story = *state;
    static const struct {
        uint32_t period_s, grace_s;
        const char *key;
    } cases[] = {
        {59, 60, "00000000-0000-4000-8000-000000000000"},       {60, 59, "00000000-0000-4000-8000-000000000000"},
        {31536001, 60, "00000000-0000-4000-8000-000000000000"}, {60, UINT32_MAX, "00000000-0000-4000-8000-000000000000"},
        {60, 60, "00000000-0000-4000-8000-00000000000G"},       {60, 60, "short"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char key[40];
        snprintf(key, sizeof key, "%s", cases[i].key);
        Tocsin__Heartbeat given = TOCSIN__HEARTBEAT__INIT;
        given.key = key;
        given.period_s = cases[i].period_s;
        given.grace_s = cases[i].grace_s;
        assert_int_equal(put(story, 0, 0, &given)->status, TOCSIN__STATUS__STATUS_INVALID);
    }
    assert_int_equal(fixture_rows(story->f, TABLE_HEARTBEAT), 0);
}

static void lists_of_pings_are_bounded(void **state)
{
    struct story *story = *state;
    uint64_t job = heartbeat(story, 60, 60);
    for (unsigned i = 0; i < 100; i++) {
        send(story, ping_of(job, KIND(LOG)));
        ping(story, job);
    }
    assert_int_equal(fixture_rows_under(story->f, TABLE_HEARTBEAT_PING, job), LIMIT_PINGS_KEPT);
    Tocsin__HeartbeatState *now = heartbeat_state_get(&story->f->store, job, NULL);
    assert_int_equal(now->pings, 200);
    tocsin__heartbeat_state__free_unpacked(now, NULL);
}

/* ---------------------------------------------------------------- blindness (P6) */

static void an_outage_is_not_counted_and_told_once(void **state)
{
    struct story *story = *state;
    /* given a job that lives and one that has died half a minute ago */
    uint64_t dead = heartbeat(story, 60, 60), alive = heartbeat(story, 60, 60);
    ping(story, dead);
    well_for(story, 90 * SECOND_MS);
    ping(story, alive);
    /* when the cluster is blind for ten minutes, */
    blind_for(story, 10 * MINUTE_MS);
    /* then the guardian hears how long, and nobody is paged for a job */
    const Tocsin__Notification *page = fixture_expect_send(story->f, "Grace", SMS);
    const Tocsin__Incident *incident = fixture_incident(story->f, page->incident_id);
    assert_non_null(strstr(incident->title, "blind for 10 min 0 s"));
    fixture_receipt(story->f, page, TOCSIN__OUTCOME__OUTCOME_SENT, 0);
    fixture_expect_silence(story->f);
    /* and the dead one has what was left of its grace, */
    paged_after(story, 30 * SECOND_MS);
    assert_int_equal(fixture_heartbeat_status(story->f, dead), STATUS(DOWN));
    /* and the living one pings when it can */
    ping(story, alive);
    well_for(story, 119 * SECOND_MS);
    assert_int_equal(fixture_heartbeat_status(story->f, alive), STATUS(UP));
    assert_int_equal(fixture_rows(story->f, TABLE_INCIDENT), 2);
}

static void several_outages_add_up(void **state)
{
    struct story *story = *state;
    uint64_t job = heartbeat(story, 60, 120);
    ping(story, job);
    for (unsigned i = 0; i < 3; i++) {
        well_for(story, 50 * SECOND_MS);
        blind_for(story, 40 * SECOND_MS);
    }
    fixture_expect_silence(story->f); /* no page for less than a minute of blindness */
    paged_after(story, 30 * SECOND_MS);
}

static void flapping_leaders_cannot_hide_a_dead_job(void **state)
{
    struct story *story = *state;
    uint64_t job = heartbeat(story, 60, 60);
    ping(story, job);
    uint64_t since_ms = story->f->now_ms;
    /* An entry every three seconds, never two in a row: by the gaps alone the cluster saw nothing at all. */
    while (fixture_heartbeat_status(story->f, job) == STATUS(UP) && story->f->now_ms - since_ms < HOUR_MS) {
        blind_for(story, 3 * SECOND_MS);
    }
    assert_in_range(story->f->now_ms - since_ms, 180 * SECOND_MS, 183 * SECOND_MS); /* one grace more */
    (void)paged(story);
}

static void short_gaps_are_counted_out(void **state)
{
    struct story *story = *state;
    uint64_t job = heartbeat(story, 60, 60);
    ping(story, job);
    well_for(story, 60 * SECOND_MS);
    blind_for(story, 4 * SECOND_MS);
    well_for(story, 50 * SECOND_MS);
    blind_for(story, 5 * SECOND_MS);
    paged_after(story, 10 * SECOND_MS);
}

static void a_ping_lost_in_an_outage_is_expected_at_its_next_occurrence(void **state)
{
    struct story *story = *state;
    story->f->unchecked = true;
    /* given an hourly job with a minute of grace, */
    uint64_t job = heartbeat(story, 3600, 60);
    ping(story, job);
    /* when the cluster is blind as it tries to ping, */
    well_for(story, HOUR_MS - 10 * SECOND_MS);
    blind_for(story, 30 * SECOND_MS);
    /* then it has until the next hour, */
    well_for(story, HOUR_MS - 20 * SECOND_MS);
    fixture_expect_silence(story->f);
    assert_int_equal(fixture_heartbeat_status(story->f, job), STATUS(UP));
    /* and if that one is lost, too, until the hour behind it, */
    blind_for(story, 10 * SECOND_MS);
    well_for(story, HOUR_MS - 10 * SECOND_MS);
    fixture_expect_silence(story->f);
    blind_for(story, 10 * SECOND_MS);
    well_for(story, HOUR_MS - 10 * SECOND_MS);
    fixture_expect_silence(story->f);
    /* and no longer, whatever happens then */
    blind_for(story, 10 * SECOND_MS);
    well_for(story, 50 * SECOND_MS);
    (void)paged(story);
}

static void an_outage_far_from_the_due_time_changes_little(void **state)
{
    struct story *story = *state;
    story->f->unchecked = true;
    uint64_t job = heartbeat(story, 3600, 60);
    ping(story, job);
    well_for(story, 30 * MINUTE_MS);
    blind_for(story, 30 * SECOND_MS);
    paged_after(story, 30 * MINUTE_MS + 60 * SECOND_MS);
}

static void the_end_of_a_run_may_be_lost_in_an_outage(void **state)
{
    struct story *story = *state;
    uint64_t job = heartbeat(story, 3600, 120);
    ping(story, job);
    ping_run(story, job, KIND(START), run_a);
    well_for(story, 30 * SECOND_MS);
    blind_for(story, 30 * SECOND_MS);
    well_for(story, 10 * MINUTE_MS);
    fixture_expect_silence(story->f);
}

static void a_clock_that_jumps_ahead_fires_nothing(void **state)
{
    struct story *story = *state;
    uint64_t job = heartbeat(story, 60, 60);
    ping(story, job);
    blind_for(story, 400ull * 24 * HOUR_MS); /* the first stamp after all have restarted */
    assert_int_equal(fixture_heartbeat_status(story->f, job), STATUS(UP));
    well_for(story, 100 * SECOND_MS);
    assert_int_equal(fixture_heartbeat_status(story->f, job), STATUS(UP));
}

static void without_heartbeats_nothing_is_noted(void **state)
{
    struct story *story = *state;
    fixture_advance(story->f, HOUR_MS);
    uint64_t job = heartbeat(story, 60, 60);
    assert_null(blindness_get(&story->f->store, NULL));
    assert_null(blind_now_get(&story->f->store, NULL));
    assert_int_equal(story->f->output.tick_ms, SECOND_MS);
    assert_int_equal(machine_tick_ms(&story->f->store), SECOND_MS);
    ping(story, job);
    paged_after(story, 120 * SECOND_MS);
}

static void intervals_are_bounded_and_keep_their_blind_time(void **state)
{
    struct story *story = *state;
    story->f->unchecked = true;
    uint64_t job = heartbeat(story, 3600, 3600);
    ping(story, job);
    for (unsigned i = 0; i < 3 * LIMIT_BLIND_INTERVALS; i++) {
        well_for(story, SECOND_MS);
        blind_for(story, 10 * SECOND_MS);
    }
    Tocsin__Blindness *known = blindness_get(&story->f->store, NULL);
    assert_int_equal(known->n_intervals, LIMIT_BLIND_INTERVALS);
    tocsin__blindness__free_unpacked(known, NULL);
    paged_after(story, 2 * HOUR_MS - 3 * LIMIT_BLIND_INTERVALS * SECOND_MS);
}

/* ---------------------------------------------------------------- many */

static void escalations_come_before_heartbeats_and_each_pulse_is_bounded(void **state)
{
    struct story *story = *state;
    story->f->unchecked = true;
    fixture_integration(story->f, story->service, "0123456789abcdef0123456789abcdef");
    enum { JOBS = 3000 };
    for (unsigned i = 0; i < JOBS; i++) {
        ping(story, heartbeat(story, 60, 60));
    }
    /* given an incident whose next level is due after all the heartbeats */
    uint64_t id = fixture_trigger(story->f, "0123456789abcdef0123456789abcdef", "disk");
    const Tocsin__Incident *before = fixture_incident(story->f, id);
    well_for(story, 100 * SECOND_MS);
    while (story->f->now_ms < before->escalate_due_ms) { /* seen, but no pulse: the leader is slow */
        fixture_advance(story->f, SECOND_MS);
        Tocsin__Tick message = TOCSIN__TICK__INIT;
        Tocsin__Command command = fixture_command();
        command.body_case = TOCSIN__COMMAND__BODY_TICK;
        command.tick = &message;
        fixture_apply(story->f, &command);
    }
    /* when the first pulse comes, then it escalates, and few heartbeats go down */
    fixture_pulse(story->f, LIMIT_PULSE_DEADLINES);
    assert_int_not_equal(fixture_incident(story->f, id)->escalate_due_ms, before->escalate_due_ms);
    assert_in_range(fixture_rows(story->f, TABLE_HEARTBEAT_DUE), JOBS - LIMIT_PULSE_DEADLINES, JOBS - 1);
    /* and further pulses let the others follow */
    unsigned pulses = 0;
    while (fixture_rows(story->f, TABLE_HEARTBEAT_DUE) > 0) {
        fixture_pulse(story->f, LIMIT_PULSE_DEADLINES);
        pulses++;
    }
    assert_in_range(pulses, JOBS / LIMIT_PULSE_DEADLINES, 3 * JOBS / LIMIT_PULSE_DEADLINES);
    assert_int_equal(fixture_rows(story->f, TABLE_INCIDENT_OPEN), JOBS + 1);
}

static void a_pulse_looks_at_a_bounded_number_that_are_alive(void **state)
{
    struct story *story = *state;
    story->f->unchecked = true;
    enum { JOBS = 2 * LIMIT_PULSE_HEARTBEATS + 10 };
    uint64_t jobs[JOBS];
    for (unsigned i = 0; i < JOBS; i++) {
        jobs[i] = heartbeat(story, 60, 60);
        ping(story, jobs[i]);
    }
    uint64_t due_ms = machine_next_deadline_ms(&story->f->store);
    for (unsigned i = 0; i < 119; i++) {
        fixture_advance(story->f, SECOND_MS);
        if (i == 100) {
            for (unsigned j = 0; j < JOBS; j++) {
                ping(story, jobs[j]);
            }
        } else {
            ping(story, jobs[0]);
        }
    }
    fixture_advance(story->f, SECOND_MS);
    fixture_pulse(story->f, LIMIT_PULSE_DEADLINES);
    fixture_pulse(story->f, LIMIT_PULSE_DEADLINES);
    assert_int_equal(machine_next_deadline_ms(&story->f->store), due_ms);
    fixture_pulse(story->f, LIMIT_PULSE_DEADLINES);
    assert_true(machine_next_deadline_ms(&story->f->store) > story->f->now_ms);
    assert_int_equal(fixture_rows(story->f, TABLE_INCIDENT), 0);
}

/* The simulator: a change of members in a quiet cluster ended the ticks, and the cluster held itself for blind. */
static void an_entry_without_commands_ends_no_ticks(void **state)
{
    struct story *story = *state;
    struct machine_output output;
    machine_output_init(&output);
    machine_pass(&story->f->store, &output);
    assert_int_equal(output.tick_ms, 0);
    ping(story, heartbeat(story, 60, 60));
    machine_pass(&story->f->store, &output);
    assert_int_equal(output.tick_ms, SECOND_MS);
    assert_int_equal(output.tick_ms, story->f->output.tick_ms);
    assert_int_equal(output.next_deadline_ms, story->f->output.next_deadline_ms);
    assert_int_equal(output.time_ms, story->f->now_ms);
    machine_output_close(&output);
}

/* ---------------------------------------------------------------- schedules */

/* Expected each hour from the next on, with ten minutes of grace; it has pinged. So many of its moments are known. */
static uint64_t hourly(struct story *story, size_t moments)
{
    uint64_t moments_s[LIMIT_HEARTBEAT_MOMENTS];
    for (size_t i = 0; i < moments; i++) {
        moments_s[i] = (story->f->now_ms + (i + 1) * HOUR_MS) / 1000;
    }
    Tocsin__Heartbeat given = TOCSIN__HEARTBEAT__INIT;
    char key[] = "00000000-0000-4000-8000-00000000c404", schedule[] = "0 * * * *", zone[] = "UTC", name[] = "hourly";
    given.key = key;
    given.name = name;
    given.service_id = story->service;
    given.grace_s = 600;
    given.schedule = schedule;
    given.time_zone = zone;
    Tocsin__HeartbeatPut message = TOCSIN__HEARTBEAT_PUT__INIT;
    message.heartbeat = &given;
    message.moments_s = moments_s;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_HEARTBEAT_PUT;
    command.heartbeat_put = &message;
    assert_int_equal(fixture_apply(story->f, &command)->status, TOCSIN__STATUS__STATUS_INVALID); /* without its moments */
    message.n_moments_s = moments;
    const Tocsin__Reply *reply = fixture_apply(story->f, &command);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    uint64_t id = reply->ids[0];
    ping(story, id);
    return id;
}

static void a_schedule_is_judged_by_its_moments(void **state)
{
    struct story *story = *state;
    uint64_t job = hourly(story, 100);
    for (unsigned i = 0; i < 3; i++) { /* late within the grace, then on time */
        well_for(story, HOUR_MS + (i == 0 ? 9 * MINUTE_MS : i == 1 ? -9 * MINUTE_MS : 1));
        ping(story, job);
    }
    fixture_expect_silence(story->f);
    paged_after(story, HOUR_MS + 10 * MINUTE_MS); /* the fourth hour and its grace */
    ping(story, job);
    assert_int_equal(fixture_heartbeat_status(story->f, job), STATUS(UP));
}

static void what_an_outage_hides_of_a_schedule_is_told_and_judged_at_the_next_moment(void **state)
{
    struct story *story = *state;
    uint64_t job = hourly(story, 100);
    /* when the cluster is blind at its moment, and the job does not try again, */
    well_for(story, HOUR_MS - MINUTE_MS);
    blind_for(story, 2 * MINUTE_MS);
    const Tocsin__Notification *page = fixture_expect_send(story->f, "Grace", SMS);
    assert_non_null(strstr(fixture_incident(story->f, page->incident_id)->title, "judged at the next: hourly"));
    fixture_receipt(story->f, page, TOCSIN__OUTCOME__OUTCOME_SENT, 0);
    uint64_t blind = page->incident_id;
    well_for(story, 55 * MINUTE_MS); /* beyond the grace of the first moment */
    assert_int_equal(fixture_heartbeat_status(story->f, job), STATUS(UP));
    assert_int_equal(fixture_rows_under(story->f, TABLE_ALERT, blind), 1); /* told there, not anew */
    /* then it is judged an hour later, and it is dead */
    well_for(story, 14 * MINUTE_MS - SECOND_MS);
    assert_int_equal(fixture_heartbeat_status(story->f, job), STATUS(UP));
    well_for(story, SECOND_MS);
    assert_int_equal(fixture_heartbeat_status(story->f, job), STATUS(DOWN));
}

static void moments_that_run_out_are_waited_for(void **state)
{
    struct story *story = *state;
    uint64_t job = hourly(story, 1);
    well_for(story, HOUR_MS + MINUTE_MS);
    ping(story, job);
    well_for(story, 10 * MINUTE_MS);
    Tocsin__HeartbeatMoments *known = record_get(&story->f->store, TABLE_HEARTBEAT_MOMENTS, key_1(job),
                                                 &tocsin__heartbeat_moments__descriptor, NULL);
    uint64_t moments_s[] = {story->f->now_ms / 1000 + 1800};
    Tocsin__HeartbeatExtend message = TOCSIN__HEARTBEAT_EXTEND__INIT;
    message.heartbeat_id = job;
    message.base_revision = known->revision;
    message.n_moments_s = 1;
    message.moments_s = moments_s;
    tocsin__heartbeat_moments__free_unpacked(known, NULL);
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_HEARTBEAT_EXTEND;
    command.heartbeat_extend = &message;
    assert_int_equal(fixture_apply(story->f, &command)->status, TOCSIN__STATUS__STATUS_OK);
    assert_int_equal(fixture_apply(story->f, &command)->reason, TOCSIN__REASON__REASON_STALE_REVISION);
    paged_after(story, 40 * MINUTE_MS);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(silence_pages_and_a_ping_resolves),
        STORY(pings_in_time_page_nobody),
        STORY(a_ping_moves_no_deadline),
        STORY(one_that_never_pinged_never_pages),
        STORY(a_failure_pages_at_once_and_again_only_when_it_was_up),
        STORY(a_run_must_end_within_the_grace),
        STORY(the_end_of_another_run_is_not_the_end_of_this_one),
        STORY(a_log_line_is_no_sign_of_life),
        STORY(one_that_is_paused_pages_nobody_until_it_pings_again),
        STORY(resuming_expects_nothing_before_the_next_ping),
        STORY(a_shorter_period_counts_at_once),
        STORY(deleting_one_ends_its_incident_and_leaves_no_row),
        STORY(a_service_with_heartbeats_stays),
        STORY(what_is_absurd_is_refused),
        STORY(lists_of_pings_are_bounded),
        STORY(an_outage_is_not_counted_and_told_once),
        STORY(several_outages_add_up),
        STORY(flapping_leaders_cannot_hide_a_dead_job),
        STORY(short_gaps_are_counted_out),
        STORY(a_ping_lost_in_an_outage_is_expected_at_its_next_occurrence),
        STORY(an_outage_far_from_the_due_time_changes_little),
        STORY(the_end_of_a_run_may_be_lost_in_an_outage),
        STORY(a_clock_that_jumps_ahead_fires_nothing),
        STORY(without_heartbeats_nothing_is_noted),
        STORY(intervals_are_bounded_and_keep_their_blind_time),
        STORY(escalations_come_before_heartbeats_and_each_pulse_is_bounded),
        STORY(a_pulse_looks_at_a_bounded_number_that_are_alive),
        STORY(an_entry_without_commands_ends_no_ticks),
        STORY(a_schedule_is_judged_by_its_moments),
        STORY(what_an_outage_hides_of_a_schedule_is_told_and_judged_at_the_next_moment),
        STORY(moments_that_run_out_are_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
