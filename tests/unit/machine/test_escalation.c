/* Who is told when: levels, passes, guardians, acknowledgements that time out, personal rules and their defaults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "tests/support/machine_fixture.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define MINUTE FIXTURE_MINUTE_MS
#define HIGH TOCSIN__URGENCY__URGENCY_HIGH
#define LOW TOCSIN__URGENCY__URGENCY_LOW
#define SMS TOCSIN__CHANNEL__CHANNEL_SMS
#define PUSH TOCSIN__CHANNEL__CHANNEL_PUSH
#define VOICE TOCSIN__CHANNEL__CHANNEL_VOICE
#define EMAIL TOCSIN__CHANNEL__CHANNEL_EMAIL
#define ACKNOWLEDGED TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED
#define RESOLVED TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED
#define TRIGGERED TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED

static int begin(void **state)
{
    *state = fixture_new();
    return 0;
}

static int end(void **state)
{
    fixture_free(*state);
    return 0;
}

static uint64_t person(struct machine_fixture *f, const char *name, const char *telephone)
{
    uint64_t id = fixture_user(f, name);
    if (telephone != NULL) {
        fixture_method(f, id, SMS, telephone);
    }
    return id;
}

/* A service with the policy; its key is KEY. */
static uint64_t service(struct machine_fixture *f, uint32_t num_loops, size_t levels_count,
                        const struct fixture_level *levels, Tocsin__Urgency urgency, uint32_t acknowledgement_timeout_s)
{
    uint64_t id = fixture_service(f, fixture_policy(f, num_loops, levels_count, levels), urgency,
                                  acknowledgement_timeout_s, 0);
    fixture_integration(f, id, KEY);
    return id;
}

static void expect_told(struct machine_fixture *f, const char *name, Tocsin__Channel channel)
{
    fixture_receipt(f, fixture_expect_send(f, name, channel), TOCSIN__OUTCOME__OUTCOME_SENT, 0);
    fixture_expect_silence(f);
}

static void a_policy_runs_through_its_levels_and_passes_to_the_guardians(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t alice = person(f, "Alice", "15550001");
    uint64_t bob = person(f, "Bob", "15550002");
    struct fixture_level levels[] = {{5, {alice}}, {10, {bob}}};
    service(f, 1, 2, levels, HIGH, 0);
    fixture_guardian(f, "Grace", SMS, "15550009");

    uint64_t id = fixture_trigger(f, KEY, "disk");
    expect_told(f, "Alice", SMS);
    fixture_run(f, 5 * MINUTE - 1);
    fixture_expect_silence(f);
    fixture_run(f, 1);
    expect_told(f, "Bob", SMS);
    assert_int_equal(fixture_incident(f, id)->level, 2);
    fixture_run(f, 10 * MINUTE);
    expect_told(f, "Alice", SMS);
    assert_int_equal(fixture_incident(f, id)->pass, 1);
    fixture_run(f, 5 * MINUTE);
    expect_told(f, "Bob", SMS);

    /* Nobody answers: the guardian hears of it now, and every quarter of an hour. */
    fixture_run(f, 10 * MINUTE);
    assert_true(fixture_incident(f, id)->exhausted);
    assert_int_equal(fixture_incident(f, id)->level, 2); /* Bob still has it */
    expect_told(f, "Grace", SMS);
    fixture_run(f, GUARDIANS_REPEAT_MINUTES * MINUTE);
    expect_told(f, "Grace", SMS);
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_EXHAUST_ESCALATION_PATH,
                                       TOCSIN__WHY__WHY_POLICY_EXHAUSTED), 1);
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_REPEAT_ESCALATION_PATH, 0), 1);
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_NOTIFY, TOCSIN__WHY__WHY_GUARDIANS), 2);

    fixture_act_as_user(f, bob, "Bob");
    fixture_set_status(f, id, ACKNOWLEDGED);
    fixture_run(f, 24 * 60 * MINUTE);
    fixture_expect_silence(f);
}

static void what_may_wait_goes_to_guardians_by_their_quietest_channel_once_a_day(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t mute = person(f, "Mute", NULL);
    struct fixture_level levels[] = {{5, {mute}}};
    service(f, 0, 1, levels, LOW, 0);
    const struct fixture_way ways[] = {{SMS, "15550009"}, {TOCSIN__CHANNEL__CHANNEL_EMAIL, "gus@example.com"}};
    fixture_guardian_ways(f, "Gus", 2, ways);
    uint64_t id = fixture_trigger(f, KEY, "disk");
    expect_told(f, "Gus", TOCSIN__CHANNEL__CHANNEL_EMAIL);
    fixture_run(f, 24 * 60 * MINUTE - 1);
    fixture_expect_silence(f);
    fixture_run(f, 1);
    expect_told(f, "Gus", TOCSIN__CHANNEL__CHANNEL_EMAIL);
    assert_int_equal(fixture_incident(f, id)->urgency, LOW);
}

static void without_guardians_the_end_of_the_policy_says_so_and_stays_watched(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t alice = person(f, "Alice", "15550001");
    struct fixture_level levels[] = {{5, {alice}}};
    service(f, 0, 1, levels, HIGH, 0);
    uint64_t id = fixture_trigger(f, KEY, "disk");
    expect_told(f, "Alice", SMS);
    fixture_run(f, 60 * MINUTE);
    fixture_expect_silence(f);
    uint64_t due_ms = fixture_incident(f, id)->guardians_due_ms;
    assert_true(due_ms > f->now_ms);
    /* One is configured later: the next deadline finds her. */
    fixture_guardian(f, "Grace", SMS, "15550009");
    fixture_run(f, due_ms - f->now_ms);
    expect_told(f, "Grace", SMS);
}

static void a_level_where_nobody_can_be_told_is_left_at_once(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t mute = person(f, "Mute", NULL);
    uint64_t bob = person(f, "Bob", "15550002");
    struct fixture_level levels[] = {{5, {mute}}, {5, {bob}}};
    service(f, 0, 2, levels, HIGH, 0);
    uint64_t id = fixture_trigger(f, KEY, "disk");
    expect_told(f, "Bob", SMS);
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_NOTIFY, TOCSIN__WHY__WHY_NO_CONTACT_METHOD), 1);
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_ESCALATE, TOCSIN__WHY__WHY_NOBODY_ON_LEVEL), 1);
}

static void a_policy_that_resolves_to_nobody_tells_the_guardians_at_once(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t mute = person(f, "Mute", NULL);
    uint64_t deaf = person(f, "Deaf", NULL);
    struct fixture_level levels[] = {{5, {mute}}, {5, {deaf}}};
    service(f, 9, 2, levels, LOW, 0); /* of low urgency, too */
    fixture_guardian(f, "Grace", EMAIL, "grace@example.org");
    uint64_t id = fixture_trigger(f, KEY, "disk");
    expect_told(f, "Grace", EMAIL);
    assert_int_equal(fixture_incident(f, id)->level, 2); /* the policy has no third */
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_EXHAUST_ESCALATION_PATH,
                                       TOCSIN__WHY__WHY_NOBODY_ON_LEVEL), 1);
}

static void low_urgency_stays_where_it_is_and_records_why(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t alice = person(f, "Alice", "15550001");
    uint64_t bob = person(f, "Bob", "15550002");
    struct fixture_level levels[] = {{5, {alice}}, {5, {bob}}};
    service(f, 3, 2, levels, LOW, 0);
    uint64_t id = fixture_trigger(f, KEY, "disk");
    expect_told(f, "Alice", SMS);
    fixture_run(f, 12 * 60 * MINUTE);
    fixture_expect_silence(f);
    assert_int_equal(fixture_incident(f, id)->level, 1);
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_ASSIGN, TOCSIN__WHY__WHY_LOW_URGENCY), 1);
}

static void an_acknowledgement_that_times_out_starts_the_rules_anew(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t alice = person(f, "Alice", "15550001");
    uint64_t bob = person(f, "Bob", "15550002");
    struct fixture_level levels[] = {{5, {alice}}, {5, {bob}}};
    service(f, 0, 2, levels, HIGH, 1800);
    uint64_t id = fixture_trigger(f, KEY, "disk");
    expect_told(f, "Alice", SMS);
    fixture_act_as_user(f, alice, "Alice");
    fixture_run(f, MINUTE);
    fixture_set_status(f, id, ACKNOWLEDGED);
    fixture_run(f, 30 * MINUTE - 1);
    fixture_expect_silence(f);
    fixture_run(f, 1);
    expect_told(f, "Alice", SMS);
    const Tocsin__Incident *incident = fixture_incident(f, id);
    assert_int_equal(incident->status, TRIGGERED);
    assert_int_equal(incident->generation, 2);
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_UNACKNOWLEDGE,
                                       TOCSIN__WHY__WHY_ACKNOWLEDGEMENT_TIMEOUT), 1);
    fixture_run(f, 5 * MINUTE);
    expect_told(f, "Bob", SMS);
}

static void an_exhausted_escalation_starts_over_when_its_acknowledgement_times_out(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t alice = person(f, "Alice", "15550001");
    uint64_t bob = person(f, "Bob", "15550002");
    struct fixture_level levels[] = {{5, {alice}}, {5, {bob}}};
    service(f, 0, 2, levels, HIGH, 60);
    uint64_t id = fixture_trigger(f, KEY, "disk");
    fixture_run(f, 10 * MINUTE);
    assert_true(fixture_incident(f, id)->exhausted);
    fixture_act_as_user(f, bob, "Bob");
    fixture_set_status(f, id, ACKNOWLEDGED);
    fixture_deliver_all(f);
    fixture_run(f, MINUTE);
    expect_told(f, "Alice", SMS);
    const Tocsin__Incident *incident = fixture_incident(f, id);
    assert_int_equal(incident->level, 1);
    assert_int_equal(incident->pass, 0);
    assert_false(incident->exhausted);
}

static void escalating_an_exhausted_incident_by_hand_gives_the_policy_all_its_passes_again(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t alice = person(f, "Alice", "15550001");
    uint64_t bob = person(f, "Bob", "15550002");
    struct fixture_level levels[] = {{5, {alice}}, {5, {bob}}};
    service(f, 1, 2, levels, HIGH, 0);
    uint64_t id = fixture_trigger(f, KEY, "disk");
    for (unsigned i = 0; i < 4; i++) {
        fixture_deliver_all(f);
        fixture_run(f, 5 * MINUTE);
    }
    assert_true(fixture_incident(f, id)->exhausted);
    Tocsin__IncidentChange change = fixture_change_of(id);
    change.escalation_level = 2;
    fixture_change(f, change);
    expect_told(f, "Bob", SMS);
    assert_false(fixture_incident(f, id)->exhausted);
    fixture_run(f, 5 * MINUTE);
    expect_told(f, "Alice", SMS);
}

static void people_assigned_by_hand_are_followed_by_the_guardians(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t alice = person(f, "Alice", "15550001");
    uint64_t bob = person(f, "Bob", "15550002");
    struct fixture_level levels[] = {{5, {alice}}};
    service(f, 3, 1, levels, HIGH, 0);
    fixture_guardian(f, "Grace", SMS, "15550009");
    uint64_t id = fixture_trigger(f, KEY, "disk");
    expect_told(f, "Alice", SMS);
    Tocsin__IncidentChange change = fixture_change_of(id);
    change.n_assignee_ids = 1;
    change.assignee_ids = &bob;
    fixture_change(f, change);
    expect_told(f, "Bob", SMS);
    fixture_run(f, 4 * DEFAULT_LEVEL_DELAY_MINUTES * MINUTE - 1);
    fixture_expect_silence(f);
    fixture_run(f, 1);
    expect_told(f, "Grace", SMS);
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_EXHAUST_ESCALATION_PATH,
                                       TOCSIN__WHY__WHY_NOT_ACKNOWLEDGED), 1);
}

static void rules_are_followed_in_their_time_until_somebody_acknowledges(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t alice = fixture_user(f, "Alice");
    uint64_t sms = fixture_method(f, alice, SMS, "15550001");
    uint64_t push = fixture_method(f, alice, PUSH, "alice-phone");
    uint64_t voice = fixture_method(f, alice, VOICE, "15550001");
    fixture_rule(f, alice, push, HIGH, 0);
    fixture_rule(f, alice, sms, HIGH, 1);
    fixture_rule(f, alice, voice, HIGH, 3);
    fixture_rule(f, alice, sms, LOW, 0);
    struct fixture_level levels[] = {{30, {alice}}};
    service(f, 0, 1, levels, HIGH, 0);
    uint64_t id = fixture_trigger(f, KEY, "disk");
    expect_told(f, "Alice", PUSH);
    assert_int_equal(fixture_incident(f, id)->notifications_pending, 2);
    fixture_run(f, MINUTE);
    const Tocsin__Notification *page = fixture_expect_send(f, "Alice", SMS);
    assert_int_equal(page->why, TOCSIN__WHY__WHY_RULE_AFTER_DELAY);
    fixture_receipt(f, page, TOCSIN__OUTCOME__OUTCOME_SENT, 0);
    fixture_act_as_user(f, alice, "Alice");
    fixture_set_status(f, id, ACKNOWLEDGED);
    assert_int_equal(fixture_incident(f, id)->notifications_pending, 0);
    fixture_run(f, 60 * MINUTE);
    fixture_expect_silence(f);
}

static void a_rule_whose_method_was_deleted_meanwhile_says_so_and_the_next_level_follows(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t alice = fixture_user(f, "Alice");
    uint64_t voice = fixture_method(f, alice, VOICE, "15550001");
    fixture_rule(f, alice, voice, HIGH, 3);
    uint64_t bob = person(f, "Bob", "15550002");
    struct fixture_level levels[] = {{30, {alice}}, {30, {bob}}};
    service(f, 0, 2, levels, HIGH, 0);
    uint64_t id = fixture_trigger(f, KEY, "disk");
    Tocsin__ContactMethodDelete deletion;
    tocsin__contact_method_delete__init(&deletion);
    deletion.user_id = alice;
    deletion.id = voice;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_CONTACT_METHOD_DELETE;
    command.contact_method_delete = &deletion;
    assert_int_equal(fixture_apply(f, &command)->status, TOCSIN__STATUS__STATUS_OK);
    fixture_run(f, 3 * MINUTE);
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_NOTIFY, TOCSIN__WHY__WHY_NO_CONTACT_METHOD), 1);
    expect_told(f, "Bob", SMS);
}

static void without_rules_the_defaults_apply(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t alice = fixture_user(f, "Alice");
    fixture_method(f, alice, SMS, "15550001");
    fixture_method(f, alice, PUSH, "alice-phone");
    fixture_method(f, alice, VOICE, "15550001");
    fixture_method(f, alice, EMAIL, "alice@example.org");
    struct fixture_level levels[] = {{30, {alice}}};
    service(f, 0, 1, levels, HIGH, 0);
    fixture_trigger(f, KEY, "disk");
    fixture_receipt(f, fixture_expect_send(f, "Alice", PUSH), TOCSIN__OUTCOME__OUTCOME_SENT, 0);
    expect_told(f, "Alice", SMS);
    fixture_run(f, 2 * MINUTE - 1);
    fixture_expect_silence(f);
    fixture_run(f, 1);
    expect_told(f, "Alice", VOICE);
    fixture_run(f, 2 * MINUTE);
    expect_told(f, "Alice", VOICE);
    fixture_run(f, 20 * MINUTE);
    fixture_expect_silence(f);
}

static void the_defaults_take_what_there_is(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t alice = fixture_user(f, "Alice");
    fixture_method(f, alice, EMAIL, "alice@example.org");
    uint64_t bob = fixture_user(f, "Bob");
    fixture_method(f, bob, SMS, "15550002");
    fixture_method(f, bob, EMAIL, "bob@example.org");
    struct fixture_level levels[] = {{30, {alice, bob}}};
    uint64_t policy = fixture_policy(f, 0, 1, levels);
    fixture_integration(f, fixture_service(f, policy, HIGH, 0, 0), KEY);
    fixture_integration(f, fixture_service(f, policy, LOW, 0, 0), "fedcba9876543210fedcba9876543210");
    fixture_trigger(f, KEY, "disk");
    fixture_expect_send(f, "Alice", EMAIL);
    fixture_expect_send(f, "Bob", SMS);
    fixture_trigger(f, "fedcba9876543210fedcba9876543210", "disk");
    fixture_expect_send(f, "Alice", EMAIL);
    fixture_expect_send(f, "Bob", EMAIL);
    fixture_expect_silence(f);
}

static void the_rules_of_the_level_before_end_with_it(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t alice = fixture_user(f, "Alice");
    uint64_t sms = fixture_method(f, alice, SMS, "15550001");
    fixture_rule(f, alice, sms, HIGH, 0);
    fixture_rule(f, alice, sms, HIGH, 7);
    uint64_t bob = person(f, "Bob", "15550002");
    struct fixture_level levels[] = {{5, {alice}}, {30, {bob}}};
    service(f, 0, 2, levels, HIGH, 0);
    fixture_trigger(f, KEY, "disk");
    expect_told(f, "Alice", SMS);
    fixture_run(f, 5 * MINUTE);
    expect_told(f, "Bob", SMS);
    fixture_run(f, 10 * MINUTE);
    fixture_expect_silence(f);
}

static void an_incident_that_nobody_resolves_is_resolved_after_its_last_trigger(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t alice = person(f, "Alice", "15550001");
    struct fixture_level levels[] = {{30, {alice}}};
    fixture_integration(f, fixture_service(f, fixture_policy(f, 0, 1, levels), LOW, 0, 600), KEY);
    uint64_t id = fixture_trigger(f, KEY, "disk");
    expect_told(f, "Alice", SMS);
    fixture_run(f, 6 * MINUTE);
    fixture_trigger(f, KEY, "disk");
    fixture_run(f, 10 * MINUTE - 1);
    assert_int_equal(fixture_incident(f, id)->status, TRIGGERED);
    fixture_run(f, 1);
    assert_int_equal(fixture_incident(f, id)->status, RESOLVED);
    assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_RESOLVE, TOCSIN__WHY__WHY_AUTO_RESOLVE), 1);
    fixture_expect_silence(f);
}

static void delete_user(struct machine_fixture *f, uint64_t user_id)
{
    Tocsin__UserDelete body;
    tocsin__user_delete__init(&body);
    body.id = user_id;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_USER_DELETE;
    command.user_delete = &body;
    assert_int_equal(fixture_apply(f, &command)->status, TOCSIN__STATUS__STATUS_OK);
}

static void the_incidents_of_a_deleted_user_move_on(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t alice = person(f, "Alice", "15550001");
    uint64_t carol = person(f, "Carol", "15550003");
    uint64_t dave = person(f, "Dave", "15550004");
    struct fixture_level levels[] = {{30, {alice}}};
    service(f, 0, 1, levels, HIGH, 0);
    fixture_guardian(f, "Grace", SMS, "15550009");
    uint64_t alone = fixture_trigger(f, KEY, "alone");
    uint64_t shared = fixture_trigger(f, KEY, "shared");
    fixture_deliver_all(f);
    Tocsin__IncidentChange change = fixture_change_of(alone);
    change.n_assignee_ids = 1;
    change.assignee_ids = &carol;
    fixture_change(f, change);
    uint64_t both[] = {carol, dave};
    change.id = shared;
    change.n_assignee_ids = 2;
    change.assignee_ids = both;
    fixture_change(f, change);
    assert_int_equal(fixture_deliver_all(f), 3);

    delete_user(f, carol);
    expect_told(f, "Grace", SMS); /* assigned by hand: nobody but the guardians follows */
    assert_true(fixture_incident(f, alone)->exhausted);
    assert_int_equal(fixture_incident(f, shared)->n_assignments, 1);
    assert_false(fixture_incident(f, shared)->exhausted);
}

static void when_who_acknowledged_is_deleted_the_guardians_hear_of_it(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t alice = person(f, "Alice", "15550001");
    uint64_t carol = person(f, "Carol", "15550003");
    struct fixture_level levels[] = {{30, {alice}}};
    service(f, 0, 1, levels, HIGH, 0);
    fixture_guardian(f, "Grace", SMS, "15550009");
    uint64_t id = fixture_trigger(f, KEY, "disk");
    fixture_deliver_all(f);
    Tocsin__IncidentChange change = fixture_change_of(id);
    change.n_assignee_ids = 1;
    change.assignee_ids = &carol;
    fixture_change(f, change);
    fixture_deliver_all(f);
    fixture_act_as_user(f, carol, "Carol");
    fixture_set_status(f, id, ACKNOWLEDGED);
    fixture_act_as_user(f, alice, "Alice");
    delete_user(f, carol);
    expect_told(f, "Grace", SMS);
    assert_int_equal(fixture_incident(f, id)->status, TRIGGERED);
}

static void put_levels(struct machine_fixture *f, uint64_t policy_id, uint64_t user_id)
{
    Tocsin__EscalationLevel level = TOCSIN__ESCALATION_LEVEL__INIT, *list[] = {&level};
    level.user_ids = &user_id;
    level.n_user_ids = 1;
    Tocsin__EscalationPolicy policy = TOCSIN__ESCALATION_POLICY__INIT;
    policy.levels = list;
    policy.n_levels = 1;
    Tocsin__EscalationPolicyPut put = TOCSIN__ESCALATION_POLICY_PUT__INIT;
    put.id = policy_id;
    put.fields = 1u << 5;
    put.escalation_policy = &policy;
    Tocsin__Command command = fixture_command();
    command.body_case = TOCSIN__COMMAND__BODY_ESCALATION_POLICY_PUT;
    command.escalation_policy_put = &put;
    assert_int_equal(fixture_apply(f, &command)->status, TOCSIN__STATUS__STATUS_OK);
}

static void a_policy_that_lost_its_levels_meanwhile_ends_with_the_guardians(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t alice = person(f, "Alice", "15550001");
    uint64_t bob = person(f, "Bob", "15550002");
    struct fixture_level levels[] = {{5, {alice}}, {5, {alice}}, {5, {bob}}};
    uint64_t policy_id = fixture_policy(f, 0, 3, levels);
    fixture_integration(f, fixture_service(f, policy_id, HIGH, 0, 0), KEY);
    fixture_guardian(f, "Grace", SMS, "15550009");
    fixture_trigger(f, KEY, "disk");
    fixture_deliver_all(f);
    for (unsigned i = 0; i < 2; i++) {
        fixture_run(f, 5 * MINUTE);
        fixture_deliver_all(f);
    }
    put_levels(f, policy_id, alice);
    fixture_run(f, 5 * MINUTE);
    expect_told(f, "Grace", SMS);
}

static void nobody_and_no_guardians_is_recorded_at_any_urgency(void **state)
{
    struct machine_fixture *f = *state;
    uint64_t mute = person(f, "Mute", NULL);
    struct fixture_level levels[] = {{5, {mute}}};
    static const Tocsin__Urgency urgencies[] = {HIGH, LOW};
    static const char *const keys[] = {KEY, "fedcba9876543210fedcba9876543210"};
    uint64_t policy_id = fixture_policy(f, 9, 1, levels);
    for (unsigned i = 0; i < 2; i++) {
        fixture_integration(f, fixture_service(f, policy_id, urgencies[i], 0, 0), keys[i]);
        uint64_t id = fixture_trigger(f, keys[i], "disk");
        fixture_expect_silence(f);
        assert_true(fixture_incident(f, id)->exhausted);
        assert_int_equal(fixture_incident(f, id)->guardians_due_ms, f->now_ms + GUARDIANS_REPEAT_MINUTES * MINUTE);
        assert_int_equal(fixture_log_count(f, id, TOCSIN__LOG_TYPE__LOG_EXHAUST_ESCALATION_PATH,
                                           TOCSIN__WHY__WHY_NOBODY_ON_LEVEL), 1);
    }
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest stories[] = {
        STORY(a_policy_runs_through_its_levels_and_passes_to_the_guardians),
        STORY(what_may_wait_goes_to_guardians_by_their_quietest_channel_once_a_day),
        STORY(without_guardians_the_end_of_the_policy_says_so_and_stays_watched),
        STORY(a_level_where_nobody_can_be_told_is_left_at_once),
        STORY(a_policy_that_resolves_to_nobody_tells_the_guardians_at_once),
        STORY(low_urgency_stays_where_it_is_and_records_why),
        STORY(an_acknowledgement_that_times_out_starts_the_rules_anew),
        STORY(an_exhausted_escalation_starts_over_when_its_acknowledgement_times_out),
        STORY(escalating_an_exhausted_incident_by_hand_gives_the_policy_all_its_passes_again),
        STORY(people_assigned_by_hand_are_followed_by_the_guardians),
        STORY(rules_are_followed_in_their_time_until_somebody_acknowledges),
        STORY(a_rule_whose_method_was_deleted_meanwhile_says_so_and_the_next_level_follows),
        STORY(without_rules_the_defaults_apply),
        STORY(the_defaults_take_what_there_is),
        STORY(the_rules_of_the_level_before_end_with_it),
        STORY(an_incident_that_nobody_resolves_is_resolved_after_its_last_trigger),
        STORY(the_incidents_of_a_deleted_user_move_on),
        STORY(when_who_acknowledged_is_deleted_the_guardians_hear_of_it),
        STORY(a_policy_that_lost_its_levels_meanwhile_ends_with_the_guardians),
        STORY(nobody_and_no_guardians_is_recorded_at_any_urgency),
    };
    return cmocka_run_group_tests_name("escalation", stories, NULL, NULL);
}
