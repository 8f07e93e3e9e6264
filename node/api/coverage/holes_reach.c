/* People who cannot be reached as they should be, services from which nothing comes, a cluster without guardians. */
#include <string.h>

#include "consensus/machine/services/heard.h"
#include "node/api/coverage/coverage.h"
#include "node/api/render.h"

#define DAY_MS (24ull * 3600 * 1000)

/* ---------------------------------------------------------------- people */

static bool has_rows(struct coverage *coverage, enum machine_table table, uint64_t parent)
{
    struct walk walk = walk_under(coverage->view, table, parent);

    coverage->rows_seen++;
    return walk_next(&walk);
}

/* The urgencies, as bits, for which the person has rules. */
static unsigned urgencies_with_rule(struct coverage *coverage, uint64_t user_id)
{
    const unsigned high = 1u << TOCSIN__URGENCY__URGENCY_HIGH, low = 1u << TOCSIN__URGENCY__URGENCY_LOW;
    struct walk walk = walk_under(coverage->view, TABLE_NOTIFICATION_RULE, user_id);
    Tocsin__NotificationRule *rule;
    unsigned found = 0;

    while ((rule = coverage_next(coverage, &walk, &tocsin__notification_rule__descriptor)) != NULL) {
        found |= rule->urgency == TOCSIN__URGENCY__URGENCY_NONE ? high | low : 1u << rule->urgency;
        tocsin__notification_rule__free_unpacked(rule, NULL);
    }
    return found;
}

/* Whether messages arrive where the person says; none of it keeps a page back. */
static void take_proofs(struct coverage *coverage, const Tocsin__User *user)
{
    struct walk walk = walk_under(coverage->view, TABLE_CONTACT_PROOF, user->id);
    Tocsin__ContactProof *proof;
    bool verified = false;
    uint64_t answered_ms = 0;

    while ((proof = coverage_next(coverage, &walk, &tocsin__contact_proof__descriptor)) != NULL) {
        verified = verified || proof->verified_at_ms != 0;
        answered_ms = proof->answered_at_ms > answered_ms ? proof->answered_at_ms : answered_ms;
        tocsin__contact_proof__free_unpacked(proof, NULL);
    }
    if (!verified) {
        hole_add(coverage, "user_unverified", "notice", reference_user(coverage->request, coverage->view, user->id),
                 "No contact method of %s is verified; they are paged all the same. Have a code sent: POST"
                 " /users/{id}/contact_methods/{id}/verification.", user->name);
    }
    if (answered_ms + COVERAGE_UNTESTED_MS < coverage->now_ms) {
        hole_add(coverage, "user_untested", "notice", reference_user(coverage->request, coverage->view, user->id),
                 "%s has answered no test and no page %s. POST /users/me/test sends a test.", user->name,
                 answered_ms == 0 ? "so far" : "in 90 days");
    }
}

static void take_person(struct coverage *coverage, const Tocsin__User *user)
{
    static const Tocsin__Urgency urgencies[] = {TOCSIN__URGENCY__URGENCY_HIGH, TOCSIN__URGENCY__URGENCY_LOW};

    if (!has_rows(coverage, TABLE_CONTACT_METHOD, user->id)) {
        hole_add(coverage, "user_without_contact_method", "critical", reference_user(coverage->request, coverage->view, user->id),
                 "%s is on call or in a policy and cannot be told: there is no contact method.", user->name);
        return;
    }
    unsigned found = urgencies_with_rule(coverage, user->id);
    for (size_t i = 0; i < sizeof urgencies / sizeof *urgencies; i++) {
        if ((found & 1u << urgencies[i]) == 0) {
            hole_add(coverage, "user_without_rule", "notice", reference_user(coverage->request, coverage->view, user->id),
                     "%s has no notification rule for %s urgency: the defaults are taken.", user->name,
                     word_of(words_urgency, (int)urgencies[i]));
        }
    }
    take_proofs(coverage, user);
}

void holes_of_people(struct coverage *coverage)
{
    const char *id;
    json_t *value;

    json_object_foreach(coverage->people, id, value)
    {
        if (coverage->rows_seen >= COVERAGE_ROWS_MAX) {
            coverage->incomplete = true;
            return;
        }
        Tocsin__User *user = user_get(coverage->view, id_parse(id), NULL);
        if (user != NULL) {
            take_person(coverage, user);
            tocsin__user__free_unpacked(user, NULL);
        }
    }
}

/* ---------------------------------------------------------------- services */

static void take_silence(struct coverage *coverage, const Tocsin__Service *service, const Tocsin__Integration *integration)
{
    const Tocsin__Heard *heard = integration->heard;
    uint64_t since_ms = heard != NULL ? heard->last_at_ms : integration->created_at_ms;
    uint64_t days = coverage->now_ms > since_ms ? (coverage->now_ms - since_ms) / DAY_MS : 0;

    if (heard == NULL) {
        hole_add(coverage, "integration_never_used", "notice", reference_integration(coverage->request, integration),
                 "Integration %s of service %s has never received an event, in %llu days.", integration->name, service->name,
                 (unsigned long long)days);
    } else if (since_ms + heard_usual_ms(heard, COVERAGE_SILENT_MS) < coverage->now_ms) {
        hole_add(coverage, "integration_silent", "warning", reference_integration(coverage->request, integration),
                 "Integration %s of service %s has received nothing for %llu days; its longest silence before was %u days.",
                 integration->name, service->name, (unsigned long long)days, heard->longest_gap_days);
    }
}

static void take_integrations(struct coverage *coverage, const Tocsin__Service *service)
{
    struct walk walk = walk_under(coverage->view, TABLE_INTEGRATION, service->id);
    Tocsin__Integration *integration;
    bool any = false;

    while ((integration = coverage_next(coverage, &walk, &tocsin__integration__descriptor)) != NULL) {
        any = true;
        take_silence(coverage, service, integration);
        tocsin__integration__free_unpacked(integration, NULL);
    }
    /* What has incidents is reached by another way: an orchestration, a heartbeat. */
    if (!any && service->last_incident_at_ms + COVERAGE_SILENT_MS < coverage->now_ms) {
        hole_add(coverage, "service_without_integration", "notice",
                 reference_service(coverage->request, coverage->view, service->id),
                 "Service %s has no integration, and had no incident in 30 days: nothing may reach it.", service->name);
    }
}

static void take_service(struct coverage *coverage, const Tocsin__Service *service)
{
    if (service->built_in || service->disabled) {
        return;
    }
    if (service->last_tested_at_ms + COVERAGE_UNTESTED_MS < coverage->now_ms) {
        hole_add(coverage, "service_untested", "notice", reference_service(coverage->request, coverage->view, service->id),
                 "Service %s was %s. POST /services/{id}/test tests it.", service->name,
                 service->last_tested_at_ms == 0 ? "never tested" : "not tested in 90 days");
    }
    take_integrations(coverage, service);
}

void holes_of_services(struct coverage *coverage)
{
    struct walk walk = walk_all(coverage->view, TABLE_SERVICE);
    Tocsin__Service *service;

    while ((service = coverage_next(coverage, &walk, &tocsin__service__descriptor)) != NULL) {
        take_service(coverage, service);
        tocsin__service__free_unpacked(service, NULL);
    }
}

/* ---------------------------------------------------------------- the cluster */

void holes_of_guardians(struct coverage *coverage)
{
    const Tocsin__Settings *settings = settings_get(coverage->view, request_memory(coverage->request));

    if (settings == NULL || settings->n_guardians == 0) {
        hole_add(coverage, "guardians_missing", "critical", json_null(),
                 "The cluster has no guardians configured: an incident that nobody acknowledges ends in silence.");
    }
}
