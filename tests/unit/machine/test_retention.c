/* What may go, in small steps: closed incidents, what senders wrote, replies kept for repeated requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "tests/support/machine_fixture.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define DAY (24 * 60 * FIXTURE_MINUTE_MS)
#define RESOLVE TOCSIN__EVENT_ACTION__EVENT_RESOLVE

static int begin(void **state)
{
    struct machine_fixture *f = fixture_new();
    uint64_t alice = fixture_user(f, "Alice");
    fixture_method(f, alice, TOCSIN__CHANNEL__CHANNEL_SMS, "15550001");
    struct fixture_level levels[] = {{5, {alice}}};
    /* Of low urgency, so that what stays open for long does not page for long. */
    fixture_integration(
        f, fixture_service(f, fixture_policy(f, 0, 1, levels), TOCSIN__URGENCY__URGENCY_LOW, 0, 0), KEY);
    *state = f;
    return 0;
}

static int end(void **state)
{
    fixture_free(*state);
    return 0;
}

static void nothing_of_an_old_closed_incident_is_left(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t old = fixture_trigger(f, KEY, "old");
    uint64_t open = fixture_trigger(f, KEY, "open");
    fixture_deliver_all(f);
    fixture_event(f, KEY, RESOLVE, "old", 0);
    fixture_run(f, (DEFAULT_RETENTION_DAYS - 1) * DAY);
    assert_int_equal(fixture_incident(f, old)->id, old);
    uint64_t young = fixture_trigger(f, KEY, "young");
    fixture_deliver_all(f);
    fixture_event(f, KEY, RESOLVE, "young", 0);
    fixture_run(f, 2 * DAY);

    assert_int_equal(fixture_rows(f, TABLE_INCIDENT), 2);
    assert_int_equal(fixture_incident(f, open)->id, open);
    assert_int_equal(fixture_incident(f, young)->id, young);
    assert_int_equal(fixture_rows(f, TABLE_INCIDENT_BY_NUMBER), 2);
    assert_int_equal(fixture_rows(f, TABLE_INCIDENT_CLOSED), 1);
    assert_int_equal(fixture_rows_under(f, TABLE_LOG_ENTRY, old), 0);
    assert_int_equal(fixture_rows_under(f, TABLE_NOTIFICATION, old), 0);
    assert_int_equal(fixture_rows_under(f, TABLE_ALERT, old), 0);
    assert_true(fixture_rows_under(f, TABLE_LOG_ENTRY, open) > 0);
}

static void what_senders_wrote_goes_earlier(void **state)
{
    struct machine_fixture *f = *state;
    fixture_trigger(f, KEY, "disk");
    fixture_deliver_all(f);
    fixture_run(f, (DEFAULT_PAYLOAD_RETENTION_DAYS - 1) * DAY);
    fixture_trigger(f, KEY, "later");
    fixture_deliver_all(f);
    assert_int_equal(fixture_rows(f, TABLE_ALERT_PAYLOAD), 2);
    fixture_run(f, 2 * DAY);
    assert_int_equal(fixture_rows(f, TABLE_ALERT_PAYLOAD), 1);
    assert_int_equal(fixture_rows(f, TABLE_ALERT), 2);
}

/* A source that repeats its trigger while it lasts, with these words. */
static void repeats(struct machine_fixture *f, const char *dedup_key, const char *details)
{
    Tocsin__Event event = TOCSIN__EVENT__INIT;
    event.routing_key = (char *)KEY;
    event.dedup_key = (char *)dedup_key;
    event.summary = (char *)"disk";
    event.repeated = true;
    event.details_json.data = (uint8_t *)(uintptr_t)details;
    event.details_json.len = strlen(details);
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_EVENT;
    command.event = &event;
    assert_int_equal(fixture_apply(f, &command)->status, TOCSIN__STATUS__STATUS_OK);
}

/* Once found to end the walk at the first alert that is open for long and says something new, for ever. */
static void what_an_old_alert_says_anew_stays_and_keeps_nothing_else(void **state)
{
    struct machine_fixture *f = *state;
    f->unchecked = true;
    char dedup_key[32];
    /* given more alerts that are open for long than one step looks at, */
    const unsigned many = LIMIT_RETENTION_ROWS + 10;
    for (unsigned i = 0; i < many; i++) {
        snprintf(dedup_key, sizeof dedup_key, "long %u", i);
        repeats(f, dedup_key, "70%");
    }
    repeats(f, "quiet", "1%");
    fixture_deliver_all(f);
    /* which say something else while what stands behind them becomes old */
    fixture_run(f, (DEFAULT_PAYLOAD_RETENTION_DAYS - 1) * DAY);
    for (unsigned i = 0; i < many; i++) {
        snprintf(dedup_key, sizeof dedup_key, "long %u", i);
        repeats(f, dedup_key, "80%");
    }
    repeats(f, "young", "1%");
    fixture_deliver_all(f);
    /* then that goes, and they keep their words until these are old, too */
    fixture_run(f, 3 * DAY);
    assert_int_equal(fixture_rows(f, TABLE_ALERT_PAYLOAD), many + 1);
    fixture_run(f, DEFAULT_PAYLOAD_RETENTION_DAYS * DAY);
    assert_int_equal(fixture_rows(f, TABLE_ALERT_PAYLOAD), 0);
}

/* A walk over days of retention with a pulse at a time; the most rows that one pulse took. */
static uint64_t most_rows_deleted_by_one_pulse(struct machine_fixture *f, uint64_t days)
{
    uint64_t most = 0;
    uint64_t end_ms = f->now_ms + days * DAY;
    uint64_t due_ms;
    while ((due_ms = machine_next_deadline_ms(&f->store)) <= end_ms) {
        uint64_t before = 0, after = 0;
        for (unsigned t = 0; t < TABLE_COUNT; t++) {
            before += t == TABLE_DEADLINE ? 0 : fixture_rows(f, (enum machine_table)t);
        }
        fixture_advance(f, due_ms > f->now_ms ? due_ms - f->now_ms : 0);
        fixture_pulse(f, LIMIT_PULSE_DEADLINES);
        for (unsigned t = 0; t < TABLE_COUNT; t++) {
            after += t == TABLE_DEADLINE ? 0 : fixture_rows(f, (enum machine_table)t);
        }
        most = before > after && before - after > most ? before - after : most;
    }
    fixture_advance(f, end_ms - f->now_ms);
    return most;
}

static void a_long_timeline_goes_over_several_steps(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t id = fixture_trigger(f, KEY, "disk");
    fixture_deliver_all(f);
    char content[] = "Still looking";
    Tocsin__NoteCreate note;
    tocsin__note_create__init(&note);
    note.incident_id = id;
    note.content = content;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_NOTE_CREATE;
    command.note_create = &note;
    f->unchecked = true;
    for (unsigned i = 0; i < 3 * LIMIT_RETENTION_ROWS; i++) {
        fixture_apply(f, &command);
    }
    fixture_event(f, KEY, RESOLVE, "disk", 0);
    uint64_t most = most_rows_deleted_by_one_pulse(f, DEFAULT_RETENTION_DAYS + 1);
    assert_true(most > LIMIT_RETENTION_ROWS / 2);
    assert_true(most <= LIMIT_RETENTION_ROWS + 3); /* the last one takes the incident's own rows with it */
    assert_int_equal(fixture_rows(f, TABLE_INCIDENT), 0);
    assert_int_equal(fixture_rows(f, TABLE_LOG_ENTRY), 0);
}

static void many_incidents_go_over_several_steps_and_paging_comes_first(void **state)
{
    struct machine_fixture *f = *state;
    f->unchecked = true;
    char dedup_key[32];
    for (unsigned i = 0; i < 200; i++) {
        snprintf(dedup_key, sizeof dedup_key, "disk %u", i);
        fixture_trigger(f, KEY, dedup_key);
        fixture_event(f, KEY, RESOLVE, dedup_key, 0);
        fixture_deliver_all(f);
    }
    most_rows_deleted_by_one_pulse(f, DEFAULT_RETENTION_DAYS - 1);
    assert_int_equal(fixture_rows(f, TABLE_INCIDENT), 200);
    /* A page waits for its next attempt until a second after retention is due. */
    uint64_t retention_due_ms = machine_next_deadline_ms(&f->store);
    fixture_advance(f, retention_due_ms - 1000 - f->now_ms);
    fixture_trigger(f, KEY, "new");
    fixture_receipt(f, fixture_take_send(f), TOCSIN__OUTCOME__OUTCOME_RETRY, 2000);
    fixture_advance(f, DAY);
    fixture_pulse(f, 1); /* room for one deadline only, and retention is older */
    assert_int_equal(fixture_deliver_all(f), 1);
    assert_int_equal(fixture_rows(f, TABLE_INCIDENT), 201);
    assert_true(most_rows_deleted_by_one_pulse(f, 2) <= LIMIT_RETENTION_ROWS + 3);
    assert_int_equal(fixture_rows(f, TABLE_INCIDENT), 1);
    f->unchecked = false;
    fixture_check_promises(f);
}

static void replies_to_repeated_requests_are_forgotten_after_a_day(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t id = fixture_trigger(f, KEY, "disk");
    fixture_deliver_all(f);
    char content[] = "Looking", idempotency_key[] = "once";
    Tocsin__NoteCreate note;
    tocsin__note_create__init(&note);
    note.incident_id = id;
    note.content = content;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_NOTE_CREATE;
    command.note_create = &note;
    command.idempotency_key = idempotency_key;
    fixture_advance(f, FIXTURE_MINUTE_MS);
    fixture_apply(f, &command);
    fixture_apply(f, &command);
    assert_int_equal(fixture_incident(f, id)->notes, 1);
    fixture_run(f, DAY); /* the first step comes a minute too early */
    assert_int_equal(fixture_rows(f, TABLE_IDEMPOTENCY), 1);
    fixture_run(f, DAY);
    assert_int_equal(fixture_rows(f, TABLE_IDEMPOTENCY), 0);
    assert_int_equal(fixture_rows(f, TABLE_IDEMPOTENCY_BY_TIME), 0);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest stories[] = {
        STORY(nothing_of_an_old_closed_incident_is_left),
        STORY(what_senders_wrote_goes_earlier),
        STORY(what_an_old_alert_says_anew_stays_and_keeps_nothing_else),
        STORY(a_long_timeline_goes_over_several_steps),
        STORY(many_incidents_go_over_several_steps_and_paging_comes_first),
        STORY(replies_to_repeated_requests_are_forgotten_after_a_day),
    };
    return cmocka_run_group_tests_name("retention", stories, NULL, NULL);
}
