/* Alerts that fire and open no incident for now: maintenance windows, mutes, pauses, and their ends. */
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
#define TRIGGER TOCSIN__EVENT_ACTION__EVENT_TRIGGER
#define ACKNOWLEDGE TOCSIN__EVENT_ACTION__EVENT_ACKNOWLEDGE
#define RESOLVE TOCSIN__EVENT_ACTION__EVENT_RESOLVE
#define CRITICAL TOCSIN__SEVERITY__SEVERITY_CRITICAL
#define SMS TOCSIN__CHANNEL__CHANNEL_SMS
#define HOUR (60 * FIXTURE_MINUTE_MS)
#define MINUTE FIXTURE_MINUTE_MS

/* Alice is told of one service; Bob makes windows and mutes. */
struct story {
    struct machine_fixture *f;
    uint64_t alice, bob, policy, service;
};

static int begin(void **state)
{
    struct story *story = calloc(1, sizeof *story);
    assert_non_null(story);
    struct machine_fixture *f = story->f = fixture_new();
    story->alice = fixture_user(f, "Alice");
    story->bob = fixture_user(f, "Bob");
    fixture_method(f, story->alice, SMS, "15550001");
    struct fixture_level levels[] = {{5, {story->alice}}};
    story->policy = fixture_policy(f, 1, 1, levels);
    story->service = fixture_service(f, story->policy, TOCSIN__URGENCY__URGENCY_HIGH, 1800, 0);
    fixture_integration(f, story->service, KEY);
    fixture_act_as_user(f, story->bob, "Bob");
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

/* ---------------------------------------------------------------- what is done */

static void held_are_safe(struct story *story)
{
    char sentence[256];
    uint64_t held = 0;
    struct decoded_rows *decoded = decoded_rows_new();
    if (!held_alerts_hold(decoded, &story->f->store, &held, sentence, sizeof sentence)) {
        fail_msg("%s", sentence);
    }
    decoded_rows_free(decoded);
    assert_int_equal(held, fixture_rows(story->f, TABLE_HELD));
}

static const Tocsin__Reply *event(struct story *story, Tocsin__EventAction action, const char *dedup_key)
{
    const Tocsin__Reply *reply = fixture_event(story->f, KEY, action, dedup_key, CRITICAL);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    held_are_safe(story);
    return reply;
}

static void run(struct story *story, uint64_t ms)
{
    fixture_run(story->f, ms);
    held_are_safe(story);
}

static uint64_t open_incidents(struct story *story)
{
    return fixture_rows(story->f, TABLE_INCIDENT_OPEN);
}

static uint64_t held(struct story *story)
{
    return fixture_rows(story->f, TABLE_HELD);
}

static const Tocsin__Reply *window_put(struct story *story, uint64_t id, uint32_t revision, uint64_t start_ms, uint64_t end_ms)
{
    Tocsin__MaintenanceWindow window = TOCSIN__MAINTENANCE_WINDOW__INIT;
    char description[] = "database upgrade";
    window.description = description;
    window.n_service_ids = 1;
    window.service_ids = &story->service;
    window.start_ms = start_ms;
    window.end_ms = end_ms;
    Tocsin__MaintenanceWindowPut put = TOCSIN__MAINTENANCE_WINDOW_PUT__INIT;
    put.id = id;
    put.base_revision = revision;
    put.window = &window;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_MAINTENANCE_WINDOW_PUT;
    command.maintenance_window_put = &put;
    const Tocsin__Reply *reply = fixture_apply(story->f, &command);
    held_are_safe(story);
    return reply;
}

/* From now on. */
static uint64_t window_for(struct story *story, uint64_t lasts_ms)
{
    const Tocsin__Reply *reply = window_put(story, 0, 0, story->f->now_ms, story->f->now_ms + lasts_ms);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    return reply->ids[0];
}

static const Tocsin__Reply *window_delete(struct story *story, uint64_t id)
{
    Tocsin__MaintenanceWindowDelete delete = TOCSIN__MAINTENANCE_WINDOW_DELETE__INIT;
    delete.id = id;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_MAINTENANCE_WINDOW_DELETE;
    command.maintenance_window_delete = &delete;
    const Tocsin__Reply *reply = fixture_apply(story->f, &command);
    held_are_safe(story);
    return reply;
}

static const Tocsin__Reply *mute_put(struct story *story, uint64_t id, uint64_t start_ms, uint64_t end_ms)
{
    Tocsin__Mute mute = TOCSIN__MUTE__INIT;
    Tocsin__Matcher matcher = TOCSIN__MATCHER__INIT, *matchers[] = {&matcher};
    char name[] = "summary", value[] = "disk.*", reason[] = "known, ticket 7";
    matcher.name = name;
    matcher.value = value;
    matcher.is_regex = true;
    mute.n_matchers = 1;
    mute.matchers = matchers;
    mute.reason = reason;
    mute.start_ms = start_ms;
    mute.end_ms = end_ms;
    Tocsin__MutePut put = TOCSIN__MUTE_PUT__INIT;
    put.id = id;
    put.mute = &mute;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_MUTE_PUT;
    command.mute_put = &put;
    const Tocsin__Reply *reply = fixture_apply(story->f, &command);
    held_are_safe(story);
    return reply;
}

/* For the time that is usual. */
static uint64_t mute(struct story *story)
{
    const Tocsin__Reply *reply = mute_put(story, 0, 0, 0);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    return reply->ids[0];
}

static uint64_t mutes_revision(struct story *story)
{
    Tocsin__Counters *counters = counters_get(&story->f->store, NULL);
    uint64_t revision = counters->mutes_revision;
    tocsin__counters__free_unpacked(counters, NULL);
    return revision;
}

/* What the leader says of each alert that waits to be judged: this mute fits it (0: none does). */
static const Tocsin__Reply *verdict(struct story *story, uint64_t revision, uint64_t mute_id)
{
    Tocsin__MuteVerdict verdicts[16], *list[16];
    Tocsin__MuteVerdicts body = TOCSIN__MUTE_VERDICTS__INIT;
    struct walk walk = walk_under(&story->f->store, TABLE_HELD, 0);
    for (; body.n_verdicts < 16 && walk_next(&walk); body.n_verdicts++) {
        Tocsin__MuteVerdict *one = list[body.n_verdicts] = &verdicts[body.n_verdicts];
        tocsin__mute_verdict__init(one);
        one->alert_id = span_number(walk.key, 1);
        one->mute_id = mute_id;
        one->severity = CRITICAL;
    }
    body.revision = revision;
    body.verdicts = list;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_MUTE_VERDICTS;
    command.mute_verdicts = &body;
    const Tocsin__Reply *reply = fixture_apply(story->f, &command);
    held_are_safe(story);
    return reply;
}

static Tocsin__Alert *only_held(struct story *story)
{
    struct walk walk = walk_all(&story->f->store, TABLE_HELD);
    assert_true(walk_next(&walk));
    Tocsin__Alert *alert = alert_get(&story->f->store, 0, span_number(walk.key, 1), NULL);
    assert_non_null(alert);
    assert_false(walk_next(&walk));
    return alert;
}

static void expect_held(struct story *story, Tocsin__Why why, uint64_t until_ms)
{
    Tocsin__Alert *alert = only_held(story);
    assert_int_equal(alert->hold->why, why);
    assert_int_equal(alert->hold->until_ms, until_ms);
    tocsin__alert__free_unpacked(alert, NULL);
}

static void set_auto_pause(struct story *story, uint32_t seconds)
{
    Tocsin__Service service = TOCSIN__SERVICE__INIT;
    service.auto_pause_s = seconds;
    Tocsin__ServicePut put = TOCSIN__SERVICE_PUT__INIT;
    put.id = story->service;
    put.fields = 1ull << 30;
    put.service = &service;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_SERVICE_PUT;
    command.service_put = &put;
    assert_int_equal(fixture_apply(story->f, &command)->status, TOCSIN__STATUS__STATUS_OK);
}

/* ---------------------------------------------------------------- maintenance */

static void expect_warning(struct story *story, const char *user_name, Tocsin__Channel channel, const char *note)
{
    const Tocsin__Notification *news = fixture_expect_send(story->f, user_name, channel);
    assert_int_equal(news->notice->kind, TOCSIN__NOTICE_KIND__NOTICE_MAINTENANCE_ENDS);
    assert_string_equal(news->notice->note, note);
    fixture_receipt(story->f, news, TOCSIN__OUTCOME__OUTCOME_SENT, 0);
}

static void in_maintenance_alerts_are_kept_and_page_when_it_ends(void **state)
{
    struct story *story = *state;
    uint64_t end_ms = story->f->now_ms + HOUR;
    window_for(story, HOUR);
    assert_int_equal(event(story, TRIGGER, "disk")->reason, TOCSIN__REASON__REASON_ALERT_HELD);
    event(story, TRIGGER, "disk");
    assert_int_equal(held(story), 1);
    expect_held(story, TOCSIN__WHY__WHY_MAINTENANCE, end_ms);
    run(story, 45 * MINUTE);
    expect_warning(story, "Alice", SMS, "1 alert still fires and will page then.");
    run(story, 15 * MINUTE - 1);
    assert_int_equal(open_incidents(story), 0);
    fixture_expect_silence(story->f);
    run(story, 1);
    assert_int_equal(held(story), 0);
    assert_int_equal(open_incidents(story), 1);
    fixture_expect_send(story->f, "Alice", SMS);
    struct walk walk = walk_all(&story->f->store, TABLE_INCIDENT_OPEN);
    assert_true(walk_next(&walk));
    uint64_t incident_id = span_number(walk.key, 0);
    assert_int_equal(fixture_log_count(story->f, incident_id, TOCSIN__LOG_TYPE__LOG_TRIGGER, TOCSIN__WHY__WHY_HOLD_OVER), 1);
    assert_int_equal(fixture_log_count(story->f, incident_id, TOCSIN__LOG_TYPE__LOG_HELD, TOCSIN__WHY__WHY_MAINTENANCE), 1);
    event(story, RESOLVE, "disk");
    assert_int_equal(open_incidents(story), 0);
}

static void what_is_resolved_in_maintenance_is_recorded_and_opens_nothing(void **state)
{
    struct story *story = *state;
    window_for(story, HOUR);
    event(story, TRIGGER, "disk");
    event(story, ACKNOWLEDGE, "disk");
    event(story, RESOLVE, "disk");
    assert_int_equal(held(story), 0);
    assert_int_equal(fixture_rows_under(story->f, TABLE_ALERT, 0), 1);
    run(story, 2 * HOUR);
    assert_int_equal(open_incidents(story), 0);
    run(story, 91ull * 24 * HOUR);
    assert_int_equal(fixture_rows_under(story->f, TABLE_ALERT, 0), 0);
    assert_int_equal(fixture_rows(story->f, TABLE_ALERT_PAYLOAD), 0);
}

static void a_window_ended_early_lets_go_at_once(void **state)
{
    struct story *story = *state;
    uint64_t id = window_for(story, 10 * HOUR);
    event(story, TRIGGER, "disk");
    assert_int_equal(window_delete(story, id)->status, TOCSIN__STATUS__STATUS_OK);
    run(story, 0);
    assert_int_equal(open_incidents(story), 1);
    assert_int_equal(window_delete(story, id)->reason, TOCSIN__REASON__REASON_WINDOW_OVER);
    assert_int_equal(window_put(story, id, 2, story->f->now_ms, story->f->now_ms + HOUR)->reason,
                     TOCSIN__REASON__REASON_WINDOW_OVER);
}

static void a_window_that_is_lengthened_holds_on(void **state)
{
    struct story *story = *state;
    uint64_t start_ms = story->f->now_ms, id = window_for(story, HOUR);
    event(story, TRIGGER, "disk");
    assert_int_equal(window_put(story, id, 1, start_ms, start_ms + 3 * HOUR)->status, TOCSIN__STATUS__STATUS_OK);
    run(story, 2 * HOUR);
    assert_int_equal(open_incidents(story), 0);
    expect_held(story, TOCSIN__WHY__WHY_MAINTENANCE, start_ms + 3 * HOUR);
    assert_int_equal(window_put(story, id, 1, start_ms, start_ms + 9 * HOUR)->reason,
                     TOCSIN__REASON__REASON_STALE_REVISION);
    run(story, HOUR);
    assert_int_equal(open_incidents(story), 1);
}

static void of_two_windows_the_later_end_counts(void **state)
{
    struct story *story = *state;
    uint64_t first = window_for(story, 2 * HOUR);
    event(story, TRIGGER, "disk");
    window_for(story, 3 * HOUR);
    window_delete(story, first);
    run(story, 2 * HOUR);
    assert_int_equal(open_incidents(story), 0);
    run(story, HOUR);
    assert_int_equal(open_incidents(story), 1);
}

static void whoever_made_a_window_hears_of_its_end(void **state)
{
    struct story *story = *state;
    fixture_method(story->f, story->bob, TOCSIN__CHANNEL__CHANNEL_EMAIL, "bob@example.org");
    window_for(story, HOUR);
    event(story, TRIGGER, "disk");
    event(story, RESOLVE, "disk");
    run(story, 45 * MINUTE - 1);
    fixture_expect_silence(story->f);
    run(story, 1);
    expect_warning(story, "Bob", TOCSIN__CHANNEL__CHANNEL_EMAIL, "No alert fires under it.");
    run(story, HOUR);
    fixture_expect_silence(story->f);
}

static void whoever_will_be_paged_when_a_window_ends_hears_of_it_too(void **state)
{
    struct story *story = *state;
    fixture_method(story->f, story->bob, TOCSIN__CHANNEL__CHANNEL_EMAIL, "bob@example.org");
    window_for(story, HOUR);
    event(story, TRIGGER, "disk");
    event(story, TRIGGER, "cpu");
    run(story, 45 * MINUTE);
    expect_warning(story, "Bob", TOCSIN__CHANNEL__CHANNEL_EMAIL, "2 alerts still fire and will page then.");
    expect_warning(story, "Alice", SMS, "2 alerts still fire and will page then.");
    run(story, 15 * MINUTE);
    assert_int_equal(open_incidents(story), 2);
    fixture_expect_send(story->f, "Alice", SMS);
}

static void alerts_that_another_window_holds_on_are_not_warned_of(void **state)
{
    struct story *story = *state;
    fixture_method(story->f, story->bob, TOCSIN__CHANNEL__CHANNEL_EMAIL, "bob@example.org");
    window_for(story, HOUR);
    event(story, TRIGGER, "disk");
    window_for(story, 10 * HOUR);
    run(story, 45 * MINUTE);
    expect_warning(story, "Bob", TOCSIN__CHANNEL__CHANNEL_EMAIL, "No alert fires under it.");
    fixture_expect_silence(story->f);
}

static void of_more_alerts_than_are_looked_at_the_warning_says_at_least(void **state)
{
    struct story *story = *state;
    char dedup_key[16];
    window_for(story, HOUR);
    for (unsigned i = 0; i <= LIMIT_WARNING_ALERTS; i++) {
        snprintf(dedup_key, sizeof dedup_key, "disk %u", i);
        event(story, TRIGGER, dedup_key);
    }
    run(story, 45 * MINUTE);
    expect_warning(story, "Alice", SMS, "At least 200 alerts still fire and will page then.");
}

/* ---- the leader's daily rendering */

static Tocsin__WindowSpan span_of(uint64_t start_ms, uint64_t end_ms)
{
    Tocsin__WindowSpan span = TOCSIN__WINDOW_SPAN__INIT;
    span.start_ms = start_ms;
    span.end_ms = end_ms;
    return span;
}

/* One that recurs, with its first span only. */
static uint64_t recurring_put(struct story *story, Tocsin__WindowSpan first)
{
    Tocsin__WindowSpan *list[] = {&first};
    Tocsin__Recurrence recurrence = TOCSIN__RECURRENCE__INIT;
    Tocsin__MaintenanceWindow window = TOCSIN__MAINTENANCE_WINDOW__INIT;
    char zone[] = "Etc/UTC";
    recurrence.time_zone = zone;
    window.recurrence = &recurrence;
    window.n_service_ids = 1;
    window.service_ids = &story->service;
    window.start_ms = first.start_ms;
    window.end_ms = first.end_ms;
    window.spans = list;
    window.n_spans = 1;
    Tocsin__MaintenanceWindowPut put = TOCSIN__MAINTENANCE_WINDOW_PUT__INIT;
    put.window = &window;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_MAINTENANCE_WINDOW_PUT;
    command.maintenance_window_put = &put;
    const Tocsin__Reply *reply = fixture_apply(story->f, &command);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    return reply->ids[0];
}

static const Tocsin__Reply *rendered(struct story *story, uint64_t id, uint32_t revision, Tocsin__WindowSpan *spans, size_t count)
{
    Tocsin__WindowSpan *list[4];
    assert_true(count <= sizeof list / sizeof *list);
    for (size_t i = 0; i < count; i++) {
        list[i] = &spans[i];
    }
    Tocsin__MaintenanceWindowExtend extend = TOCSIN__MAINTENANCE_WINDOW_EXTEND__INIT;
    extend.id = id;
    extend.revision = revision;
    extend.spans = list;
    extend.n_spans = count;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_MAINTENANCE_WINDOW_EXTEND;
    command.maintenance_window_extend = &extend;
    const Tocsin__Reply *reply = fixture_apply(story->f, &command);
    held_are_safe(story);
    return reply;
}

static void a_rendering_takes_the_place_of_spans_to_come(void **state)
{
    struct story *story = *state;
    uint64_t now_ms = story->f->now_ms, id = recurring_put(story, span_of(now_ms, now_ms + HOUR));
    Tocsin__WindowSpan spans[] = {span_of(now_ms, now_ms + HOUR / 2), /* of one that has begun: it is not cut short */
                                  span_of(now_ms + 24 * HOUR, now_ms + 25 * HOUR)};
    assert_int_equal(rendered(story, id, 1, spans, 2)->status, TOCSIN__STATUS__STATUS_OK);
    event(story, TRIGGER, "disk");
    run(story, HOUR - 1);
    assert_int_equal(open_incidents(story), 0);
    run(story, 1);
    assert_int_equal(open_incidents(story), 1);
    run(story, 23 * HOUR);
    event(story, TRIGGER, "cpu");
    expect_held(story, TOCSIN__WHY__WHY_MAINTENANCE, now_ms + 25 * HOUR);
    run(story, HOUR);
    assert_int_equal(open_incidents(story), 2);
    assert_int_equal(rendered(story, id, 7, spans, 2)->reason, TOCSIN__REASON__REASON_STALE_REVISION);
}

/* Of a day each day, say: spans that touch are one, which must not end with the year that was known first. */
static void a_window_that_never_pauses_is_lengthened(void **state)
{
    struct story *story = *state;
    uint64_t now_ms = story->f->now_ms, id = recurring_put(story, span_of(now_ms, now_ms + 24 * HOUR));
    event(story, TRIGGER, "disk");
    run(story, 23 * HOUR);
    Tocsin__WindowSpan longer = span_of(now_ms, now_ms + 48 * HOUR);
    assert_int_equal(rendered(story, id, 1, &longer, 1)->status, TOCSIN__STATUS__STATUS_OK);
    run(story, 0);
    expect_held(story, TOCSIN__WHY__WHY_MAINTENANCE, now_ms + 48 * HOUR);
    run(story, 24 * HOUR);
    assert_int_equal(open_incidents(story), 0);
    run(story, HOUR);
    assert_int_equal(open_incidents(story), 1);
}

static void each_span_of_a_window_that_recurs_is_warned_of(void **state)
{
    struct story *story = *state;
    fixture_method(story->f, story->bob, TOCSIN__CHANNEL__CHANNEL_EMAIL, "bob@example.org");
    uint64_t now_ms = story->f->now_ms, id = recurring_put(story, span_of(now_ms, now_ms + HOUR));
    Tocsin__WindowSpan next = span_of(now_ms + 24 * HOUR, now_ms + 25 * HOUR);
    rendered(story, id, 1, &next, 1);
    run(story, 45 * MINUTE);
    expect_warning(story, "Bob", TOCSIN__CHANNEL__CHANNEL_EMAIL, "No alert fires under it.");
    run(story, 24 * HOUR - 1);
    fixture_expect_silence(story->f);
    run(story, 1);
    expect_warning(story, "Bob", TOCSIN__CHANNEL__CHANNEL_EMAIL, "No alert fires under it.");
}

/* Nobody led when the first span ended, so that nobody has looked at its end yet. */
static void the_next_span_of_a_window_holds_before_the_end_of_the_last_is_looked_at(void **state)
{
    struct story *story = *state;
    uint64_t now_ms = story->f->now_ms, id = recurring_put(story, span_of(now_ms, now_ms + HOUR));
    Tocsin__WindowSpan spans[] = {span_of(now_ms, now_ms + HOUR), span_of(now_ms + HOUR + MINUTE, now_ms + 3 * HOUR)};
    assert_int_equal(rendered(story, id, 1, spans, 2)->status, TOCSIN__STATUS__STATUS_OK);
    story->f->now_ms = now_ms + HOUR + 2 * MINUTE;
    assert_int_equal(event(story, TRIGGER, "disk")->reason, TOCSIN__REASON__REASON_ALERT_HELD);
    expect_held(story, TOCSIN__WHY__WHY_MAINTENANCE, now_ms + 3 * HOUR);
    run(story, 0);
    assert_int_equal(open_incidents(story), 0);
    run(story, 2 * HOUR);
    assert_int_equal(open_incidents(story), 1);
}

static void a_window_to_come_holds_nothing_yet_and_leaves_no_trace_when_deleted(void **state)
{
    struct story *story = *state;
    const Tocsin__Reply *reply = window_put(story, 0, 0, story->f->now_ms + HOUR, story->f->now_ms + 2 * HOUR);
    uint64_t id = reply->ids[0];
    event(story, TRIGGER, "disk");
    assert_int_equal(open_incidents(story), 1);
    assert_int_equal(window_delete(story, id)->status, TOCSIN__STATUS__STATUS_OK);
    assert_int_equal(fixture_rows(story->f, TABLE_MAINTENANCE), 0);
    assert_int_equal(fixture_rows(story->f, TABLE_MAINTENANCE_BY_SERVICE), 0);
}

static void of_as_many_windows_as_a_service_may_have_each_can_be_changed(void **state)
{
    struct story *story = *state;
    uint64_t now_ms = story->f->now_ms, id = 0;
    for (unsigned i = 0; i < LIMIT_WINDOWS_PER_SERVICE; i++) {
        id = window_put(story, 0, 0, now_ms + HOUR, now_ms + 2 * HOUR)->ids[0];
    }
    assert_int_equal(window_put(story, 0, 0, now_ms + HOUR, now_ms + 2 * HOUR)->reason, TOCSIN__REASON__REASON_TOO_MANY);
    assert_int_equal(window_put(story, id, 1, now_ms + HOUR, now_ms + 3 * HOUR)->status, TOCSIN__STATUS__STATUS_OK);
    assert_int_equal(fixture_rows(story->f, TABLE_MAINTENANCE), LIMIT_WINDOWS_PER_SERVICE);
}

static void windows_that_make_no_sense_are_refused(void **state)
{
    struct story *story = *state;
    uint64_t now_ms = story->f->now_ms;
    assert_int_equal(window_put(story, 0, 0, now_ms + HOUR, now_ms + HOUR)->reason, TOCSIN__REASON__REASON_WINDOW_REVERSED);
    assert_int_equal(window_put(story, 0, 0, now_ms - 2 * HOUR, now_ms - HOUR)->reason, TOCSIN__REASON__REASON_WINDOW_REVERSED);
    uint64_t service = story->service;
    story->service = 4711;
    assert_int_equal(window_put(story, 0, 0, now_ms, now_ms + HOUR)->reason, TOCSIN__REASON__REASON_UNKNOWN_SERVICE);
    story->service = service;
    assert_int_equal(fixture_rows(story->f, TABLE_MAINTENANCE), 0);
}

static void three_thousand_held_alerts_drain_in_bounded_steps(void **state)
{
    struct story *story = *state;
    char key[32];
    window_for(story, HOUR);
    story->f->unchecked = true;
    for (unsigned i = 0; i < 3000; i++) {
        (void)snprintf(key, sizeof key, "disk-%u", i);
        (void)fixture_event(story->f, KEY, TRIGGER, key, CRITICAL);
    }
    fixture_advance(story->f, HOUR);
    unsigned pulses = 0;
    for (uint64_t before = 0; open_incidents(story) < 3000; before = open_incidents(story), pulses++) {
        fixture_pulse(story->f, LIMIT_PULSE_DEADLINES);
        held_are_safe(story);
        assert_in_range(open_incidents(story), before + 1, before + LIMIT_PULSE_DEADLINES);
    }
    assert_in_range(pulses, 3000 / LIMIT_PULSE_DEADLINES, 40);
    assert_int_equal(held(story), 0);
}

/* ---------------------------------------------------------------- pauses */

static void an_alert_that_passes_within_the_pause_opens_nothing(void **state)
{
    struct story *story = *state;
    set_auto_pause(story, 120);
    event(story, TRIGGER, "blip");
    expect_held(story, TOCSIN__WHY__WHY_PAUSED, story->f->now_ms + 120000);
    run(story, 119000);
    event(story, RESOLVE, "blip");
    event(story, TRIGGER, "lasting");
    run(story, 119999);
    assert_int_equal(open_incidents(story), 0);
    run(story, 1);
    assert_int_equal(open_incidents(story), 1);
    fixture_expect_send(story->f, "Alice", SMS);
}

static void a_pause_within_maintenance_takes_no_longer_than_either(void **state)
{
    struct story *story = *state;
    set_auto_pause(story, 300);
    window_for(story, 2 * MINUTE);
    uint64_t start_ms = story->f->now_ms;
    event(story, TRIGGER, "disk");
    run(story, 2 * MINUTE);
    expect_held(story, TOCSIN__WHY__WHY_PAUSED, start_ms + 5 * MINUTE);
    run(story, 3 * MINUTE);
    assert_int_equal(open_incidents(story), 1);
}

/* ---------------------------------------------------------------- mutes */

static void while_a_mute_is_in_force_the_leader_is_asked(void **state)
{
    struct story *story = *state;
    uint64_t id = mute(story), end_ms = story->f->now_ms + HOUR;
    event(story, TRIGGER, "disk");
    expect_held(story, TOCSIN__WHY__WHY_MUTES_ASKED, story->f->now_ms + MUTE_ANSWER_MS);
    verdict(story, mutes_revision(story), id);
    expect_held(story, TOCSIN__WHY__WHY_MUTED, end_ms);
    /* What no mute fits was not held back: its incident is as any other. */
    event(story, TRIGGER, "cpu");
    verdict(story, mutes_revision(story), 0);
    assert_int_equal(open_incidents(story), 1);
    struct walk walk = walk_all(&story->f->store, TABLE_INCIDENT_OPEN);
    assert_true(walk_next(&walk));
    uint64_t incident_id = span_number(walk.key, 0);
    assert_int_equal(fixture_log_count(story->f, incident_id, TOCSIN__LOG_TYPE__LOG_TRIGGER, TOCSIN__WHY__WHY_EVENT), 1);
    assert_int_equal(fixture_log_count(story->f, incident_id, TOCSIN__LOG_TYPE__LOG_HELD, TOCSIN__WHY__WHY_NONE), 0);
    run(story, HOUR);
    assert_int_equal(open_incidents(story), 2);
    event(story, TRIGGER, "late");
    assert_int_equal(open_incidents(story), 3);
}

static void a_leader_that_does_not_answer_costs_five_seconds_and_no_page(void **state)
{
    struct story *story = *state;
    mute(story);
    event(story, TRIGGER, "disk");
    run(story, MUTE_ANSWER_MS - 1);
    assert_int_equal(open_incidents(story), 0);
    run(story, 1);
    assert_int_equal(open_incidents(story), 1);
    fixture_expect_send(story->f, "Alice", SMS);
}

static void a_verdict_by_older_mutes_counts_for_nothing(void **state)
{
    struct story *story = *state;
    uint64_t id = mute(story), revision = mutes_revision(story);
    event(story, TRIGGER, "disk");
    mute(story);
    assert_int_equal(verdict(story, revision, id)->reason, TOCSIN__REASON__REASON_STALE_MUTES);
    expect_held(story, TOCSIN__WHY__WHY_MUTES_ASKED, story->f->now_ms + MUTE_ANSWER_MS);
}

static void when_one_mute_ends_the_others_are_asked(void **state)
{
    struct story *story = *state;
    uint64_t first = mute(story);
    event(story, TRIGGER, "disk");
    verdict(story, mutes_revision(story), first);
    run(story, 30 * MINUTE);
    uint64_t second = mute(story);
    run(story, 30 * MINUTE);
    expect_held(story, TOCSIN__WHY__WHY_MUTES_ASKED, story->f->now_ms + MUTE_ANSWER_MS);
    verdict(story, mutes_revision(story), second);
    run(story, 29 * MINUTE);
    assert_int_equal(open_incidents(story), 0);
    run(story, MINUTE);
    assert_int_equal(open_incidents(story), 1);
}

static void mutes_last_a_day_at_most_and_need_a_reason(void **state)
{
    struct story *story = *state;
    uint64_t now_ms = story->f->now_ms;
    assert_int_equal(mute_put(story, 0, 0, now_ms + 24 * HOUR)->status, TOCSIN__STATUS__STATUS_OK);
    assert_int_equal(mute_put(story, 0, 0, now_ms + 24 * HOUR + 1)->status, TOCSIN__STATUS__STATUS_INVALID);
    assert_int_equal(mute_put(story, 0, now_ms + 2 * HOUR, now_ms + HOUR)->reason, TOCSIN__REASON__REASON_WINDOW_REVERSED);
    assert_int_equal(mute_put(story, 4711, 0, 0)->status, TOCSIN__STATUS__STATUS_NOT_FOUND);
}

static void a_mute_ended_by_hand_lets_go(void **state)
{
    struct story *story = *state;
    uint64_t id = mute(story);
    event(story, TRIGGER, "disk");
    verdict(story, mutes_revision(story), id);
    Tocsin__MuteEnd body = TOCSIN__MUTE_END__INIT;
    body.id = id;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_MUTE_END;
    command.mute_end = &body;
    assert_int_equal(fixture_apply(story->f, &command)->status, TOCSIN__STATUS__STATUS_OK);
    assert_int_equal(fixture_apply(story->f, &command)->reason, TOCSIN__REASON__REASON_MUTE_OVER);
    held_are_safe(story);
    run(story, 0);
    assert_int_equal(open_incidents(story), 1);
    run(story, 401ull * 24 * HOUR);
    assert_int_equal(fixture_rows(story->f, TABLE_MUTE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(in_maintenance_alerts_are_kept_and_page_when_it_ends),
        TEST(what_is_resolved_in_maintenance_is_recorded_and_opens_nothing),
        TEST(a_window_ended_early_lets_go_at_once),
        TEST(a_window_that_is_lengthened_holds_on),
        TEST(of_two_windows_the_later_end_counts),
        TEST(whoever_made_a_window_hears_of_its_end),
        TEST(whoever_will_be_paged_when_a_window_ends_hears_of_it_too),
        TEST(alerts_that_another_window_holds_on_are_not_warned_of),
        TEST(of_more_alerts_than_are_looked_at_the_warning_says_at_least),
        TEST(a_rendering_takes_the_place_of_spans_to_come),
        TEST(a_window_that_never_pauses_is_lengthened),
        TEST(the_next_span_of_a_window_holds_before_the_end_of_the_last_is_looked_at),
        TEST(each_span_of_a_window_that_recurs_is_warned_of),
        TEST(a_window_to_come_holds_nothing_yet_and_leaves_no_trace_when_deleted),
        TEST(of_as_many_windows_as_a_service_may_have_each_can_be_changed),
        TEST(windows_that_make_no_sense_are_refused),
        TEST(three_thousand_held_alerts_drain_in_bounded_steps),
        TEST(an_alert_that_passes_within_the_pause_opens_nothing),
        TEST(a_pause_within_maintenance_takes_no_longer_than_either),
        TEST(while_a_mute_is_in_force_the_leader_is_asked),
        TEST(a_leader_that_does_not_answer_costs_five_seconds_and_no_page),
        TEST(a_verdict_by_older_mutes_counts_for_nothing),
        TEST(when_one_mute_ends_the_others_are_asked),
        TEST(mutes_last_a_day_at_most_and_need_a_reason),
        TEST(a_mute_ended_by_hand_lets_go),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
