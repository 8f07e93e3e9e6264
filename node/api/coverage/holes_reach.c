/* People who cannot be reached as they should be, services from which nothing comes, a cluster without guardians. */
#include "consensus/machine/directory/administrators.h"
#include "consensus/machine/services/heard.h"
#include "node/api/coverage/coverage.h"
#include "node/api/render.h"

#define UNTESTED_MS (COVERAGE_UNTESTED_DAYS * COVERAGE_DAY_MS)

/* ---------------------------------------------------------------- people */

static bool has_rows(struct coverage *coverage, enum machine_table table, uint64_t parent)
{
    struct walk walk = walk_under(coverage->view, table, parent);

    coverage->rows_seen++;
    return walk_next(&walk);
}

/* The next row, as a message of `descriptor` that the caller frees; NULL at the end. */
static void *next(struct coverage *coverage, struct walk *walk, const ProtobufCMessageDescriptor *descriptor)
{
    if (!walk_next(walk)) {
        return NULL;
    }
    coverage->rows_seen++;
    return record_unpack(descriptor, walk->value, NULL);
}

/* The urgencies, as bits, for which the person has rules. */
static unsigned urgencies_with_rule(struct coverage *coverage, uint64_t user_id)
{
    const unsigned high = 1u << TOCSIN__URGENCY__URGENCY_HIGH, low = 1u << TOCSIN__URGENCY__URGENCY_LOW;
    struct walk walk = walk_under(coverage->view, TABLE_NOTIFICATION_RULE, user_id);
    Tocsin__NotificationRule *rule;
    unsigned found = 0;

    while ((rule = next(coverage, &walk, &tocsin__notification_rule__descriptor)) != NULL) {
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

    while ((proof = next(coverage, &walk, &tocsin__contact_proof__descriptor)) != NULL) {
        verified = verified || proof->verified_at_ms != 0;
        answered_ms = proof->answered_at_ms > answered_ms ? proof->answered_at_ms : answered_ms;
        tocsin__contact_proof__free_unpacked(proof, NULL);
    }
    if (!verified) {
        hole_add(coverage, HOLE_USER_UNVERIFIED, HOLE_NOTICE, OBJECT_USER, user->id,
                 "No contact method of %s is verified; they are paged all the same.", user->name);
    }
    if (answered_ms == 0) {
        hole_add(coverage, HOLE_USER_UNTESTED, HOLE_NOTICE, OBJECT_USER, user->id,
                 "%s has answered no test and no page so far.", user->name);
    } else if (answered_ms + UNTESTED_MS < coverage->now_ms) {
        hole_add(coverage, HOLE_USER_UNTESTED, HOLE_NOTICE, OBJECT_USER, user->id,
                 "%s has answered no test and no page in %u days.", user->name, COVERAGE_UNTESTED_DAYS);
    }
}

static void take_user(struct coverage *coverage, const Tocsin__User *user)
{
    static const Tocsin__Urgency urgencies[] = {TOCSIN__URGENCY__URGENCY_HIGH, TOCSIN__URGENCY__URGENCY_LOW};

    if (!has_rows(coverage, TABLE_CONTACT_METHOD, user->id)) {
        hole_add(coverage, HOLE_USER_WITHOUT_CONTACT_METHOD, HOLE_CRITICAL, OBJECT_USER, user->id,
                 "%s is on call or in a policy and cannot be told: there is no contact method.", user->name);
        return;
    }
    unsigned found = urgencies_with_rule(coverage, user->id);
    for (size_t i = 0; i < sizeof urgencies / sizeof *urgencies; i++) {
        if ((found & 1u << urgencies[i]) == 0) {
            hole_add(coverage, HOLE_USER_WITHOUT_RULE, HOLE_NOTICE, OBJECT_USER, user->id,
                     "%s has no notification rule for %s urgency: the defaults are taken.", user->name,
                     word_of(words_urgency, (int)urgencies[i]));
        }
    }
    take_proofs(coverage, user);
}

static bool user_is_asked(const struct coverage *coverage, uint64_t user_id)
{
    struct walk walk = walk_under(coverage->view, TABLE_TEAM_OF_USER, user_id);

    if (!coverage_by_team(coverage)) {
        return true;
    }
    while (walk_next(&walk)) {
        if (coverage_team(coverage, span_number(walk.key, 1))) {
            return true;
        }
    }
    return false;
}

void holes_of_user(struct coverage *coverage, struct span value)
{
    uint64_t id = span_number(key_span(&coverage->position), 0);

    if (!id_set_has(&coverage->people, id) || !user_is_asked(coverage, id)) {
        return;
    }
    Tocsin__User *user = record_unpack(&tocsin__user__descriptor, value, NULL);
    coverage->listed = true;
    if (user != NULL) {
        take_user(coverage, user);
    }
    tocsin__user__free_unpacked(user, NULL);
}

/* ---------------------------------------------------------------- services */

/* One way in: of a service, or of an orchestration. */
struct source {
    enum hole_object object;
    uint64_t parent, id, created_at_ms;
    const char *name, *kind_of_owner, *owner;
    const Tocsin__Heard *heard;
};

static void take_silence(struct coverage *coverage, const struct source *source)
{
    const Tocsin__Heard *heard = source->heard;
    uint64_t since_ms = heard != NULL ? heard->last_at_ms : source->created_at_ms;
    unsigned long long days = coverage->now_ms > since_ms ? (coverage->now_ms - since_ms) / COVERAGE_DAY_MS : 0;

    if (heard == NULL) {
        hole_add_under(coverage, HOLE_INTEGRATION_NEVER_USED, HOLE_NOTICE, source->object, source->parent, source->id,
                       "Integration %s of %s %s has never received an event since it was made, %llu days ago.", source->name,
                       source->kind_of_owner, source->owner, days);
    } else if (since_ms + heard_usual_ms(heard, coverage->silent_ms) < coverage->now_ms) {
        hole_add_under(coverage, HOLE_INTEGRATION_SILENT, HOLE_WARNING, source->object, source->parent, source->id,
                       "Integration %s of %s %s has received nothing for %llu days; its longest silence before was %u days.",
                       source->name, source->kind_of_owner, source->owner, days, heard->longest_gap_days);
    }
}

static void take_integrations(struct coverage *coverage, const Tocsin__Service *service)
{
    struct walk walk = walk_under(coverage->view, TABLE_INTEGRATION, service->id);
    Tocsin__Integration *integration;
    bool any = false;

    while ((integration = next(coverage, &walk, &tocsin__integration__descriptor)) != NULL) {
        any = true;
        take_silence(coverage, &(struct source){.object = OBJECT_INTEGRATION,
                                                .parent = service->id,
                                                .id = integration->id,
                                                .created_at_ms = integration->created_at_ms,
                                                .name = integration->name,
                                                .kind_of_owner = "service",
                                                .owner = service->name,
                                                .heard = integration->heard});
        tocsin__integration__free_unpacked(integration, NULL);
    }
    /* What has incidents is reached by another way: an orchestration, a heartbeat. */
    if (!any && service->last_incident_at_ms + coverage->silent_ms < coverage->now_ms) {
        hole_add(coverage, HOLE_SERVICE_WITHOUT_INTEGRATION, HOLE_NOTICE, OBJECT_SERVICE, service->id,
                 "Service %s has no integration, and had no incident in %llu days: nothing may reach it.", service->name,
                 (unsigned long long)(coverage->silent_ms / COVERAGE_DAY_MS));
    }
}

static bool service_is_asked(const struct coverage *coverage, const Tocsin__Service *service)
{
    if (!coverage_by_team(coverage)) {
        return true;
    }
    Tocsin__EscalationPolicy *policy = escalation_policy_get(coverage->view, service->escalation_policy_id, NULL);
    bool asked = policy != NULL && coverage_team(coverage, policy->team_id);
    tocsin__escalation_policy__free_unpacked(policy, NULL);
    return asked;
}

void holes_of_service(struct coverage *coverage, struct span value)
{
    Tocsin__Service *service = record_unpack(&tocsin__service__descriptor, value, NULL);

    if (service != NULL && !service->built_in && !service->disabled && service_is_asked(coverage, service)) {
        coverage->listed = true;
        if (service->last_tested_at_ms == 0) {
            hole_add(coverage, HOLE_SERVICE_UNTESTED, HOLE_NOTICE, OBJECT_SERVICE, service->id,
                     "Service %s was never tested.", service->name);
        } else if (service->last_tested_at_ms + UNTESTED_MS < coverage->now_ms) {
            hole_add(coverage, HOLE_SERVICE_UNTESTED, HOLE_NOTICE, OBJECT_SERVICE, service->id,
                     "Service %s was not tested in %u days.", service->name, COVERAGE_UNTESTED_DAYS);
        }
        take_integrations(coverage, service);
    }
    tocsin__service__free_unpacked(service, NULL);
}

/* ---------------------------------------------------------------- orchestrations */

void holes_of_orchestration_integration(struct coverage *coverage, struct span value)
{
    Tocsin__OrchestrationIntegration *integration =
        record_unpack(&tocsin__orchestration_integration__descriptor, value, NULL);
    Tocsin__Orchestration *owner =
        integration != NULL ? orchestration_get(coverage->view, integration->orchestration_id, NULL) : NULL;

    if (owner != NULL && coverage_team(coverage, owner->team_id)) {
        coverage->listed = true;
        take_silence(coverage, &(struct source){.object = OBJECT_ORCHESTRATION,
                                                .parent = owner->id,
                                                .id = integration->id,
                                                .created_at_ms = integration->created_at_ms,
                                                .name = integration->label,
                                                .kind_of_owner = "event orchestration",
                                                .owner = owner->name,
                                                .heard = integration->heard});
    }
    tocsin__orchestration__free_unpacked(owner, NULL);
    tocsin__orchestration_integration__free_unpacked(integration, NULL);
}

/* ---------------------------------------------------------------- the cluster */

void holes_of_guardians(struct coverage *coverage)
{
    const Tocsin__Settings *settings = settings_get(coverage->view, request_memory(coverage->request));

    if (settings == NULL || settings->n_guardians == 0) {
        hole_add(coverage, HOLE_GUARDIANS_MISSING, HOLE_CRITICAL, OBJECT_CLUSTER, 0,
                 "The cluster has no guardians configured: an incident that nobody acknowledges ends in silence.");
    }
}

/* The last of those tokens that let an administrator in ends within the time ahead. The token that asks need not be one. */
void holes_of_administrators(struct coverage *coverage)
{
    uint64_t last_ms = 0; /* when nobody could any more */
    struct walk walk = walk_all(coverage->view, TABLE_TOKEN);

    while (last_ms < coverage->ahead_ms && walk_next(&walk)) {
        Tocsin__Token *token = record_unpack(&tocsin__token__descriptor, walk.value, NULL);
        if (token != NULL && token_administers(coverage->view, token, coverage->now_ms)) {
            uint64_t ends_ms = token->expires_at_ms != 0 ? token->expires_at_ms : UINT64_MAX;
            last_ms = ends_ms > last_ms ? ends_ms : last_ms;
        }
        tocsin__token__free_unpacked(token, NULL);
    }
    if (last_ms < coverage->ahead_ms) {
        hole_add(coverage, HOLE_ADMINISTRATOR_EXPIRES, HOLE_WARNING, OBJECT_CLUSTER, 0,
                 last_ms == 0 ? "No token lets an administrator in: only tocsin admin-token, on a node itself, makes one."
                              : "Every token that lets an administrator in expires within %u days.",
                 COVERAGE_AHEAD_DAYS);
    }
}
