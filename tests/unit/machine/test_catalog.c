/* Services, integrations and escalation policies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "tests/support/machine_probe.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID
#define NOT_FOUND TOCSIN__STATUS__STATUS_NOT_FOUND
#define CONFLICT TOCSIN__STATUS__STATUS_CONFLICT
#define LIMIT TOCSIN__STATUS__STATUS_LIMIT
#define BAD_VALUE TOCSIN__REASON__REASON_BAD_VALUE
#define KEY "0123456789abcdef0123456789ABCDEF"

/* ---------------------------------------------------------------- services */

struct service_request {
    Tocsin__Service service;
    Tocsin__ServicePut put;
    Tocsin__Command command;
};

static struct service_request *service_request(struct service_request *request, uint64_t id, const char *name,
                                               uint64_t policy_id)
{
    tocsin__service__init(&request->service);
    request->service.name = probe_text(name);
    request->service.escalation_policy_id = policy_id;
    tocsin__service_put__init(&request->put);
    request->put.id = id;
    request->put.service = &request->service;
    request->command = COMMAND(SERVICE_PUT, service_put, request->put);
    return request;
}

static uint64_t a_policy(struct machine_probe *probe)
{
    return probe_policy(probe, "Default", probe_user(probe, "Ada", "ada@example.org"));
}

static void a_service_begins_with_defaults(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t policy = a_policy(probe);
    uint64_t id = probe_service(probe, "Checkout", policy);
    Tocsin__Service *service = service_get(&probe->store, id, NULL);
    assert_int_equal(service->acknowledgement_timeout_s, 1800);
    assert_int_equal(service->auto_resolve_timeout_s, 0);
    assert_int_equal(service->urgency, TOCSIN__URGENCY__URGENCY_HIGH);
    assert_int_equal(service->created_at_ms, probe->time_ms);
    tocsin__service__free_unpacked(service, NULL);

    /* Off, because it was said. */
    struct service_request request;
    service_request(&request, 0, "Search", policy)->put.fields =
        probe_field(&tocsin__service__descriptor, "acknowledgement_timeout_s");
    service = service_get(&probe->store, probe_done(probe, &request.command), NULL);
    assert_int_equal(service->acknowledgement_timeout_s, 0);
    tocsin__service__free_unpacked(service, NULL);
}

static void what_the_machine_counts_is_not_for_requests(void **state)
{
    struct machine_probe *probe = *state;
    struct service_request request;
    service_request(&request, 0, "Checkout", a_policy(probe))->service.open_incidents = 9;
    uint64_t id = probe_done(probe, &request.command);
    request.put.id = id;
    request.put.fields = UINT64_MAX;
    probe_done(probe, &request.command);
    Tocsin__Service *service = service_get(&probe->store, id, NULL);
    assert_int_equal(service->open_incidents, 0);
    tocsin__service__free_unpacked(service, NULL);
}

static void a_service_needs_a_name_of_its_own_and_a_policy(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t policy = a_policy(probe);
    uint64_t checkout = probe_service(probe, "Checkout", policy);
    uint64_t search = probe_service(probe, "Search", policy);
    struct service_request request;
    service_request(&request, 0, "Checkout", policy);
    probe_refused(probe, &request.command, CONFLICT, TOCSIN__REASON__REASON_NAME_TAKEN);
    service_request(&request, search, "Checkout", 0)->put.fields = probe_field(&tocsin__service__descriptor, "name");
    probe_refused(probe, &request.command, CONFLICT, TOCSIN__REASON__REASON_NAME_TAKEN);
    service_request(&request, 0, "", policy);
    probe_refused(probe, &request.command, INVALID, BAD_VALUE);
    service_request(&request, 0, "Mail", 0);
    probe_refused(probe, &request.command, INVALID, TOCSIN__REASON__REASON_NO_POLICY);
    service_request(&request, 0, "Mail", 99);
    probe_refused(probe, &request.command, INVALID, TOCSIN__REASON__REASON_UNKNOWN_POLICY);
    service_request(&request, 99, "Mail", policy);
    probe_refused(probe, &request.command, NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_SERVICE);

    /* After a change of name the old one is free. */
    service_request(&request, checkout, "Payments", 0)->put.fields = probe_field(&tocsin__service__descriptor, "name");
    probe_done(probe, &request.command);
    service_request(&request, search, "Checkout", 0)->put.fields = probe_field(&tocsin__service__descriptor, "name");
    probe_done(probe, &request.command);
    assert_int_equal(probe_rows(probe, TABLE_SERVICE_BY_NAME), 2);
}

static Tocsin__ServiceDelete service_deletion(uint64_t id)
{
    Tocsin__ServiceDelete deletion;
    tocsin__service_delete__init(&deletion);
    deletion.id = id;
    return deletion;
}

static void a_deleted_service_takes_its_integrations_along(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t policy = a_policy(probe);
    uint64_t checkout = probe_service(probe, "Checkout", policy);
    uint64_t search = probe_service(probe, "Search", policy);
    probe_integration(probe, checkout, "11111111111111111111111111111111");
    probe_integration(probe, checkout, "22222222222222222222222222222222");
    probe_integration(probe, search, KEY);
    Tocsin__ServiceDelete deletion = service_deletion(checkout);
    Tocsin__Command command = COMMAND(SERVICE_DELETE, service_delete, deletion);
    probe_done(probe, &command);
    probe_refused(probe, &command, NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_SERVICE);
    assert_int_equal(probe_rows(probe, TABLE_SERVICE), 1);
    assert_int_equal(probe_rows(probe, TABLE_SERVICE_BY_NAME), 1);
    assert_int_equal(probe_rows(probe, TABLE_INTEGRATION), 1);
    assert_int_equal(probe_rows(probe, TABLE_INTEGRATION_BY_KEY), 1);
}

static void a_service_with_an_open_incident_stays(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t service = probe_service(probe, "Checkout", a_policy(probe));
    probe_integration(probe, service, KEY);
    probe_trigger(probe, KEY, "disk");
    Tocsin__ServiceDelete deletion = service_deletion(service);
    Tocsin__Command command = COMMAND(SERVICE_DELETE, service_delete, deletion);
    probe_refused(probe, &command, CONFLICT, TOCSIN__REASON__REASON_OPEN_INCIDENTS);
}

/* ---------------------------------------------------------------- integrations */

struct integration_request {
    Tocsin__Integration integration;
    Tocsin__IntegrationPut put;
    Tocsin__Command command;
};

static struct integration_request *integration_request(struct integration_request *request, uint64_t id,
                                                       uint64_t service_id, const char *key)
{
    tocsin__integration__init(&request->integration);
    request->integration.service_id = service_id;
    request->integration.key = probe_text(key);
    tocsin__integration_put__init(&request->put);
    request->put.id = id;
    request->put.integration = &request->integration;
    request->command = COMMAND(INTEGRATION_PUT, integration_put, request->put);
    return request;
}

static void an_integration_is_found_by_its_key(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t service = probe_service(probe, "Checkout", a_policy(probe));
    uint64_t id = probe_integration(probe, service, KEY);
    Tocsin__Integration *integration = integration_get_by_key(&probe->store, KEY, NULL);
    assert_int_equal(integration->id, id);
    assert_int_equal(integration->service_id, service);
    assert_string_equal(integration->type, "events_api_v2_inbound_integration");
    tocsin__integration__free_unpacked(integration, NULL);
    assert_null(integration_get_by_key(&probe->store, "0123456789ABCDEF0123456789ABCDEF", NULL));

    Tocsin__IntegrationDelete deletion;
    tocsin__integration_delete__init(&deletion);
    deletion.service_id = service;
    deletion.id = id;
    Tocsin__Command command = COMMAND(INTEGRATION_DELETE, integration_delete, deletion);
    probe_done(probe, &command);
    assert_null(integration_get_by_key(&probe->store, KEY, NULL));
    probe_refused(probe, &command, NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_OBJECT);
}

static void an_integration_key_is_unique_and_stays(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t service = probe_service(probe, "Checkout", a_policy(probe));
    uint64_t id = probe_integration(probe, service, KEY);
    struct integration_request request;
    integration_request(&request, 0, service, KEY);
    probe_refused(probe, &request.command, CONFLICT, BAD_VALUE);
    static const char *const bad_keys[] = {"", "short", KEY "0", "0123456789abcdef0123456789ABCDE-"};
    for (size_t i = 0; i < sizeof bad_keys / sizeof bad_keys[0]; i++) {
        integration_request(&request, 0, service, bad_keys[i]);
        probe_refused(probe, &request.command, INVALID, BAD_VALUE);
    }
    integration_request(&request, id, service, "22222222222222222222222222222222")->put.fields = UINT64_MAX;
    probe_refused(probe, &request.command, INVALID, BAD_VALUE);
    integration_request(&request, id, service, "")->integration.name = probe_text("Prometheus");
    request.put.fields = probe_field(&tocsin__integration__descriptor, "name");
    probe_done(probe, &request.command);
    Tocsin__Integration *integration = integration_get_by_key(&probe->store, KEY, NULL);
    assert_string_equal(integration->name, "Prometheus");
    tocsin__integration__free_unpacked(integration, NULL);
    integration_request(&request, 0, 99, "22222222222222222222222222222222");
    probe_refused(probe, &request.command, NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_SERVICE);
}

static void integrations_of_one_service_are_bounded(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t service = probe_service(probe, "Checkout", a_policy(probe));
    char key[ROUTING_KEY_CHARACTERS + 1];
    for (unsigned i = 0; i < LIMIT_INTEGRATIONS_PER_SERVICE; i++) {
        snprintf(key, sizeof key, "%032u", i);
        probe_integration(probe, service, key);
    }
    struct integration_request request;
    integration_request(&request, 0, service, KEY);
    probe_refused(probe, &request.command, LIMIT, TOCSIN__REASON__REASON_TOO_MANY);
}

/* ---------------------------------------------------------------- escalation policies */

#define LEVELS_MAX (LIMIT_LEVELS_PER_POLICY + 1)

struct policy_request {
    uint64_t targets[LEVELS_MAX];
    Tocsin__EscalationLevel levels[LEVELS_MAX];
    Tocsin__EscalationLevel *list[LEVELS_MAX];
    Tocsin__EscalationPolicy policy;
    Tocsin__EscalationPolicyPut put;
    Tocsin__Command command;
};

/* `count` levels, each of the user alone. */
static struct policy_request *policy_request(struct policy_request *request, uint64_t id, const char *name,
                                             size_t count, uint64_t user_id)
{
    for (size_t i = 0; i < LEVELS_MAX; i++) {
        request->targets[i] = user_id;
        tocsin__escalation_level__init(&request->levels[i]);
        request->levels[i].n_user_ids = 1;
        request->levels[i].user_ids = &request->targets[i];
        request->list[i] = &request->levels[i];
    }
    tocsin__escalation_policy__init(&request->policy);
    request->policy.name = probe_text(name);
    request->policy.n_levels = count;
    request->policy.levels = request->list;
    tocsin__escalation_policy_put__init(&request->put);
    request->put.id = id;
    request->put.fields = id == 0 ? 0 : UINT64_MAX;
    request->put.escalation_policy = &request->policy;
    request->command = COMMAND(ESCALATION_POLICY_PUT, escalation_policy_put, request->put);
    return request;
}

static void a_policy_begins_with_defaults(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t ada = probe_user(probe, "Ada", "ada@example.org");
    uint64_t bob = probe_user(probe, "Bob", "bob@example.org");
    struct policy_request request;
    policy_request(&request, 0, "Default", 2, ada);
    uint64_t twice[] = {bob, ada, bob};
    request.levels[1].user_ids = twice;
    request.levels[1].n_user_ids = 3;
    request.levels[1].delay_minutes = 30;
    uint64_t id = probe_done(probe, &request.command);
    Tocsin__EscalationPolicy *policy = escalation_policy_get(&probe->store, id, NULL);
    assert_int_equal(policy->num_loops, 3);
    assert_int_equal(policy->levels[0]->delay_minutes, 5);
    assert_int_equal(policy->levels[1]->delay_minutes, 30);
    assert_int_not_equal(policy->levels[0]->id, 0);
    assert_int_not_equal(policy->levels[0]->id, policy->levels[1]->id);
    assert_int_equal(policy->levels[1]->n_user_ids, 2); /* nobody is told twice on one level */
    assert_int_equal(policy->levels[1]->user_ids[0], bob);
    assert_int_equal(policy->levels[1]->user_ids[1], ada);
    tocsin__escalation_policy__free_unpacked(policy, NULL);

    policy_request(&request, 0, "Once", 1, ada)->put.fields =
        probe_field(&tocsin__escalation_policy__descriptor, "num_loops");
    policy = escalation_policy_get(&probe->store, probe_done(probe, &request.command), NULL);
    assert_int_equal(policy->num_loops, 0);
    tocsin__escalation_policy__free_unpacked(policy, NULL);
}

static void a_policy_must_lead_to_somebody(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t ada = probe_user(probe, "Ada", "ada@example.org");
    struct policy_request request;
    policy_request(&request, 0, "Default", 0, ada);
    probe_refused(probe, &request.command, INVALID, TOCSIN__REASON__REASON_POLICY_EMPTY);
    policy_request(&request, 0, "Default", 2, ada)->levels[1].n_user_ids = 0;
    probe_refused(probe, &request.command, INVALID, TOCSIN__REASON__REASON_POLICY_EMPTY);
    policy_request(&request, 0, "Default", 2, ada)->targets[1] = 99;
    probe_refused(probe, &request.command, INVALID, TOCSIN__REASON__REASON_UNKNOWN_USER);
    policy_request(&request, 0, "Default", LEVELS_MAX, ada);
    probe_refused(probe, &request.command, LIMIT, TOCSIN__REASON__REASON_TOO_MANY);
    policy_request(&request, 0, "Default", LEVELS_MAX - 1, ada);
    uint64_t id = probe_done(probe, &request.command);

    /* Nor may a change take the last level away. */
    policy_request(&request, id, "Default", 0, ada);
    probe_refused(probe, &request.command, INVALID, TOCSIN__REASON__REASON_POLICY_EMPTY);
}

static void a_policy_keeps_to_its_bounds(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t ada = probe_user(probe, "Ada", "ada@example.org");
    probe_policy(probe, "Default", ada);
    struct policy_request request;
    policy_request(&request, 0, "Default", 1, ada);
    probe_refused(probe, &request.command, CONFLICT, TOCSIN__REASON__REASON_NAME_TAKEN);
    policy_request(&request, 0, "Other", 1, ada)->policy.num_loops = LIMIT_LOOPS_PER_POLICY + 1;
    probe_refused(probe, &request.command, INVALID, BAD_VALUE);
    policy_request(&request, 0, "Other", 1, ada)->levels[0].delay_minutes = LIMIT_DELAY_MINUTES + 1;
    probe_refused(probe, &request.command, INVALID, BAD_VALUE);
    uint64_t many[LIMIT_TARGETS_PER_LEVEL + 1];
    for (size_t i = 0; i < LIMIT_TARGETS_PER_LEVEL + 1; i++) {
        many[i] = ada;
    }
    policy_request(&request, 0, "Other", 1, ada)->levels[0].user_ids = many;
    request.levels[0].n_user_ids = LIMIT_TARGETS_PER_LEVEL + 1;
    probe_refused(probe, &request.command, LIMIT, TOCSIN__REASON__REASON_TOO_MANY);
    policy_request(&request, 99, "Other", 1, ada);
    probe_refused(probe, &request.command, NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_POLICY);
}

static void levels_keep_their_ids_through_a_change(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t ada = probe_user(probe, "Ada", "ada@example.org");
    struct policy_request request;
    policy_request(&request, 0, "Default", 2, ada);
    uint64_t id = probe_done(probe, &request.command);
    Tocsin__EscalationPolicy *policy = escalation_policy_get(&probe->store, id, NULL);
    uint64_t first = policy->levels[0]->id;
    uint64_t second = policy->levels[1]->id;
    tocsin__escalation_policy__free_unpacked(policy, NULL);

    /* Second first, then one that claims the same id, then one with somebody else's id, then a new one. */
    policy_request(&request, id, "Default", 4, ada);
    request.levels[0].id = second;
    request.levels[1].id = second;
    request.levels[2].id = 4711;
    probe_done(probe, &request.command);
    policy = escalation_policy_get(&probe->store, id, NULL);
    assert_int_equal(policy->levels[0]->id, second);
    for (size_t i = 1; i < 4; i++) {
        uint64_t level_id = policy->levels[i]->id;
        assert_true(level_id > second && level_id != 4711 && level_id > first);
        assert_int_not_equal(level_id, policy->levels[i - 1]->id);
    }
    uint64_t last = policy->levels[3]->id;
    tocsin__escalation_policy__free_unpacked(policy, NULL);

    /* A change of name alone leaves the levels as they are. */
    policy_request(&request, id, "Renamed", 0, ada)->put.fields =
        probe_field(&tocsin__escalation_policy__descriptor, "name");
    probe_done(probe, &request.command);
    policy = escalation_policy_get(&probe->store, id, NULL);
    assert_int_equal(policy->n_levels, 4);
    assert_int_equal(policy->levels[3]->id, last);
    tocsin__escalation_policy__free_unpacked(policy, NULL);
    assert_int_not_equal(probe_policy(probe, "Default", ada), id); /* its old name is free */
}

static void a_policy_in_use_stays(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t ada = probe_user(probe, "Ada", "ada@example.org");
    uint64_t old_policy = probe_policy(probe, "Old", ada);
    uint64_t new_policy = probe_policy(probe, "New", ada);
    uint64_t service = probe_service(probe, "Checkout", old_policy);
    probe_integration(probe, service, KEY);
    Tocsin__EscalationPolicyDelete deletion;
    tocsin__escalation_policy_delete__init(&deletion);
    deletion.id = old_policy;
    Tocsin__Command command = COMMAND(ESCALATION_POLICY_DELETE, escalation_policy_delete, deletion);
    probe_refused(probe, &command, CONFLICT, TOCSIN__REASON__REASON_POLICY_IN_SERVICE);
    assert_non_null(strstr(probe->reply->message, "Checkout"));

    /* Given an open incident, when its service takes another policy, then the incident still needs the old one. */
    uint64_t incident = probe_trigger(probe, KEY, "disk");
    struct service_request request;
    service_request(&request, service, "", new_policy)->put.fields =
        probe_field(&tocsin__service__descriptor, "escalation_policy_id");
    probe_done(probe, &request.command);
    probe_refused(probe, &command, CONFLICT, TOCSIN__REASON__REASON_OPEN_INCIDENTS);

    Tocsin__IncidentChange change;
    tocsin__incident_change__init(&change);
    change.id = incident;
    change.status = TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED;
    Tocsin__IncidentChange *changes[] = {&change};
    Tocsin__IncidentUpdate update;
    tocsin__incident_update__init(&update);
    update.n_changes = 1;
    update.changes = changes;
    Tocsin__Command resolution = COMMAND(INCIDENT_UPDATE, incident_update, update);
    probe_done(probe, &resolution);
    probe_done(probe, &command);
    assert_int_equal(probe_rows(probe, TABLE_ESCALATION_POLICY), 1);
    assert_int_equal(probe_rows(probe, TABLE_ESCALATION_POLICY_BY_NAME), 1);
    probe_refused(probe, &command, NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_POLICY);
}

#define MACHINE_TEST(name) cmocka_unit_test_setup_teardown(name, probe_setup, probe_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(a_service_begins_with_defaults),
        MACHINE_TEST(what_the_machine_counts_is_not_for_requests),
        MACHINE_TEST(a_service_needs_a_name_of_its_own_and_a_policy),
        MACHINE_TEST(a_deleted_service_takes_its_integrations_along),
        MACHINE_TEST(a_service_with_an_open_incident_stays),
        MACHINE_TEST(an_integration_is_found_by_its_key),
        MACHINE_TEST(an_integration_key_is_unique_and_stays),
        MACHINE_TEST(integrations_of_one_service_are_bounded),
        MACHINE_TEST(a_policy_begins_with_defaults),
        MACHINE_TEST(a_policy_must_lead_to_somebody),
        MACHINE_TEST(a_policy_keeps_to_its_bounds),
        MACHINE_TEST(levels_keep_their_ids_through_a_change),
        MACHINE_TEST(a_policy_in_use_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
