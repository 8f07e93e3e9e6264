/* Alerts that open no incident for now, and what their source says of them meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "tests/sim/judge/invariants_held.h"
#include "tests/support/machine_fixture.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define SMS TOCSIN__CHANNEL__CHANNEL_SMS
#define HOUR (60 * FIXTURE_MINUTE_MS)
#define MINUTE FIXTURE_MINUTE_MS
#define LOW TOCSIN__URGENCY__URGENCY_LOW
#define HIGH TOCSIN__URGENCY__URGENCY_HIGH
#define SEVERITY(name) TOCSIN__SEVERITY__SEVERITY_##name
#define WHY(name) TOCSIN__WHY__WHY_##name

/* Alice is told of one service, whose urgency goes by severity. */
struct story {
    struct machine_fixture *f;
    uint64_t service;
};

static int begin(void **state)
{
    struct story *story = calloc(1, sizeof *story);
    assert_non_null(story);
    struct machine_fixture *f = story->f = fixture_new();
    uint64_t alice = fixture_user(f, "Alice");
    fixture_method(f, alice, SMS, "15550001");
    struct fixture_level levels[] = {{5, {alice}}};
    uint64_t policy = fixture_policy(f, 1, 1, levels);
    story->service = fixture_service(f, policy, TOCSIN__URGENCY__URGENCY_SEVERITY_BASED, 1800, 0);
    fixture_integration(f, story->service, KEY);
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

static void held_are_safe(struct story *story)
{
    char sentence[256];
    uint64_t held = 0;
    struct decoded_rows *decoded = decoded_rows_new();
    if (!held_alerts_hold(decoded, &story->f->store, &held, sentence, sizeof sentence)) {
        fail_msg("%s", sentence);
    }
    decoded_rows_free(decoded);
}

static const Tocsin__Reply *apply(struct story *story, Tocsin__Command__BodyCase body_case, void *message)
{
    Tocsin__Command command = fixture_command();
    command.body_case = body_case;
    command.event = message; /* every body is a pointer at the same place */
    const Tocsin__Reply *reply = fixture_apply(story->f, &command);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    held_are_safe(story);
    return reply;
}

/* The disk's alert fires, and an event rule may suppress it. */
static const Tocsin__Reply *fires(struct story *story, Tocsin__Severity severity, const char *summary, bool suppress)
{
    char key[] = KEY, dedup_key[] = "disk", text[64], details[80];
    snprintf(text, sizeof text, "%s", summary);
    snprintf(details, sizeof details, "{\"said\":\"%s\"}", summary);
    Tocsin__EventDecision decision = TOCSIN__EVENT_DECISION__INIT;
    decision.suppress = suppress;
    Tocsin__Event event = TOCSIN__EVENT__INIT;
    event.routing_key = key;
    event.dedup_key = dedup_key;
    event.summary = text;
    event.severity = severity;
    event.details_json.data = (uint8_t *)details;
    event.details_json.len = strlen(details);
    event.decision = &decision;
    return apply(story, TOCSIN__COMMAND__BODY_EVENT, &event);
}

static void window_for(struct story *story, uint64_t lasts_ms)
{
    Tocsin__MaintenanceWindow window = TOCSIN__MAINTENANCE_WINDOW__INIT;
    window.n_service_ids = 1;
    window.service_ids = &story->service;
    window.start_ms = story->f->now_ms;
    window.end_ms = story->f->now_ms + lasts_ms;
    Tocsin__MaintenanceWindowPut put = TOCSIN__MAINTENANCE_WINDOW_PUT__INIT;
    put.window = &window;
    apply(story, TOCSIN__COMMAND__BODY_MAINTENANCE_WINDOW_PUT, &put);
}

static uint64_t mute(struct story *story)
{
    char name[] = "severity", value[] = "info", reason[] = "known";
    Tocsin__Matcher matcher = TOCSIN__MATCHER__INIT, *matchers[] = {&matcher};
    matcher.name = name;
    matcher.value = value;
    Tocsin__Mute mute = TOCSIN__MUTE__INIT;
    mute.n_matchers = 1;
    mute.matchers = matchers;
    mute.reason = reason;
    Tocsin__MutePut put = TOCSIN__MUTE_PUT__INIT;
    put.mute = &mute;
    return apply(story, TOCSIN__COMMAND__BODY_MUTE_PUT, &put)->ids[0];
}

static Tocsin__Alert *held(struct story *story)
{
    struct walk walk = walk_all(&story->f->store, TABLE_HELD);
    assert_true(walk_next(&walk));
    Tocsin__Alert *alert = alert_get(&story->f->store, 0, span_number(walk.key, 1), NULL);
    assert_non_null(alert);
    return alert;
}

static void expect_held(struct story *story, Tocsin__Why why, Tocsin__Severity severity, const char *summary)
{
    assert_int_equal(fixture_rows(story->f, TABLE_INCIDENT_OPEN), 0);
    Tocsin__Alert *alert = held(story);
    assert_int_equal(alert->hold->why, why);
    assert_int_equal(alert->severity, severity);
    assert_string_equal(alert->summary, summary);
    tocsin__alert__free_unpacked(alert, NULL);
}

/* What the leader says, which saw the alert with this severity: this mute fits it (0: none does). */
static void verdict(struct story *story, uint64_t mute_id, Tocsin__Severity seen)
{
    Tocsin__Alert *alert = held(story);
    Tocsin__Counters *counters = counters_get(&story->f->store, NULL);
    Tocsin__MuteVerdict one = TOCSIN__MUTE_VERDICT__INIT, *list[] = {&one};
    one.alert_id = alert->id;
    one.mute_id = mute_id;
    one.severity = (uint32_t)seen;
    Tocsin__MuteVerdicts body = TOCSIN__MUTE_VERDICTS__INIT;
    body.revision = counters->mutes_revision;
    body.n_verdicts = 1;
    body.verdicts = list;
    apply(story, TOCSIN__COMMAND__BODY_MUTE_VERDICTS, &body);
    tocsin__counters__free_unpacked(counters, NULL);
    tocsin__alert__free_unpacked(alert, NULL);
}

/* The only open incident, its words and what stands behind them. */
static void expect_incident(struct story *story, Tocsin__Urgency urgency, const char *title)
{
    assert_int_equal(fixture_rows(story->f, TABLE_INCIDENT_OPEN), 1);
    struct walk walk = walk_all(&story->f->store, TABLE_INCIDENT_OPEN);
    assert_true(walk_next(&walk));
    uint64_t id = span_number(walk.key, 0);
    const Tocsin__Incident *incident = fixture_incident(story->f, id);
    assert_string_equal(incident->title, title);
    assert_int_equal(incident->urgency, urgency);
    walk = walk_all(&story->f->store, TABLE_ALERT_PAYLOAD);
    assert_true(walk_next(&walk));
    Tocsin__AlertPayload *payload = alert_payload_get(&story->f->store, span_number(walk.key, 0), NULL);
    assert_non_null(memmem(payload->details_json.data, payload->details_json.len, title, strlen(title)));
    tocsin__alert_payload__free_unpacked(payload, NULL);
}

/* ---------------------------------------------------------------- what was said last */

/* Once found to open at low urgency with the words of the event that was suppressed. */
static void the_event_that_no_rule_suppresses_is_what_opens_the_incident(void **state)
{
    struct story *story = *state;
    assert_int_equal(fires(story, SEVERITY(INFO), "disk 70%", true)->reason, TOCSIN__REASON__REASON_ALERT_HELD);
    fires(story, SEVERITY(INFO), "disk 80%", true);
    expect_held(story, WHY(RULE_SUPPRESSED), SEVERITY(INFO), "disk 80%");
    fires(story, SEVERITY(CRITICAL), "disk full", false);
    expect_incident(story, HIGH, "disk full");
    fixture_expect_send(story->f, "Alice", SMS);
    /* what has an incident keeps its words: a repeat changes nothing */
    fires(story, SEVERITY(INFO), "disk 70%", false);
    expect_incident(story, HIGH, "disk full");
}

static void after_a_window_an_alert_opens_as_its_last_event_said(void **state)
{
    struct story *story = *state;
    window_for(story, HOUR);
    fires(story, SEVERITY(WARNING), "disk 90%", false);
    fires(story, SEVERITY(CRITICAL), "disk full", false);
    expect_held(story, WHY(MAINTENANCE), SEVERITY(CRITICAL), "disk full");
    /* but not as an event says that rules suppress: it would open none */
    fires(story, SEVERITY(INFO), "disk 70%", true);
    expect_held(story, WHY(MAINTENANCE), SEVERITY(CRITICAL), "disk full");
    fixture_run(story->f, HOUR);
    expect_incident(story, HIGH, "disk full");
    fixture_expect_send(story->f, "Alice", SMS);
}

static void a_muted_alert_that_becomes_worse_is_looked_at_anew(void **state)
{
    struct story *story = *state;
    uint64_t id = mute(story);
    fires(story, SEVERITY(INFO), "disk 70%", false);
    verdict(story, id, SEVERITY(INFO));
    /* no worse: it stays muted, by what it says now */
    fires(story, SEVERITY(INFO), "disk 75%", false);
    expect_held(story, WHY(MUTED), SEVERITY(INFO), "disk 75%");
    /* worse: a mute may not fit any more */
    fires(story, SEVERITY(WARNING), "disk 90%", false);
    expect_held(story, WHY(MUTES_ASKED), SEVERITY(WARNING), "disk 90%");
    /* while the leader looks, what it looks at stays, unless it becomes worse again; then its word is of something else */
    fires(story, SEVERITY(INFO), "disk 70%", false);
    expect_held(story, WHY(MUTES_ASKED), SEVERITY(WARNING), "disk 90%");
    fires(story, SEVERITY(CRITICAL), "disk full", false);
    verdict(story, id, SEVERITY(WARNING));
    expect_held(story, WHY(MUTES_ASKED), SEVERITY(CRITICAL), "disk full");
    verdict(story, 0, SEVERITY(CRITICAL));
    expect_incident(story, HIGH, "disk full");
    fixture_expect_send(story->f, "Alice", SMS);
}

/* ---------------------------------------------------------------- without room */

static uint64_t (*count_of)(void *context, enum machine_table table);

static uint64_t full_count(void *context, enum machine_table table)
{
    return table == TABLE_INCIDENT_OPEN ? LIMIT_OPEN_INCIDENTS : count_of(context, table);
}

static void incidents_are_full(struct story *story, bool full)
{
    count_of = full ? story->f->store.count : count_of;
    story->f->store.count = story->f->twin_store.count = full ? full_count : count_of;
    story->f->unchecked = full;
}

/* Once found to be resolved by the retry, for its last reason was a rule's. */
static void what_finds_no_room_is_tried_again_whatever_held_it(void **state)
{
    struct story *story = *state;
    fires(story, SEVERITY(INFO), "disk 70%", true);
    incidents_are_full(story, true);
    fires(story, SEVERITY(CRITICAL), "disk full", false);
    incidents_are_full(story, false);
    expect_held(story, WHY(NO_ROOM), SEVERITY(CRITICAL), "disk full");
    fixture_run(story->f, MINUTE);
    expect_incident(story, HIGH, "disk full");
    fixture_expect_send(story->f, "Alice", SMS);
}

/* Once found to be asked about anew with each commit. */
static void without_room_the_leader_is_not_asked_again_and_again(void **state)
{
    struct story *story = *state;
    (void)mute(story);
    fires(story, SEVERITY(CRITICAL), "disk full", false);
    incidents_are_full(story, true);
    verdict(story, 0, SEVERITY(CRITICAL));
    incidents_are_full(story, false);
    expect_held(story, WHY(NO_ROOM), SEVERITY(CRITICAL), "disk full");
    assert_int_equal(fixture_rows_under(story->f, TABLE_HELD, 0), 0);
    fixture_run(story->f, MINUTE);
    expect_held(story, WHY(MUTES_ASKED), SEVERITY(CRITICAL), "disk full");
    verdict(story, 0, SEVERITY(CRITICAL));
    expect_incident(story, HIGH, "disk full");
    fixture_expect_send(story->f, "Alice", SMS);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(the_event_that_no_rule_suppresses_is_what_opens_the_incident),
        STORY(after_a_window_an_alert_opens_as_its_last_event_said),
        STORY(a_muted_alert_that_becomes_worse_is_looked_at_anew),
        STORY(what_finds_no_room_is_tried_again_whatever_held_it),
        STORY(without_room_the_leader_is_not_asked_again_and_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
