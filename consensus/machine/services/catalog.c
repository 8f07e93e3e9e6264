/* Services, their integrations, and the policies by which incidents escalate. */
#include <string.h>

#include "consensus/machine/base/text.h"
#include "consensus/machine/checks.h"
#include "consensus/machine/directory/teams.h"
#include "consensus/machine/heartbeats/heartbeats.h"
#include "consensus/machine/incidents/grouping.h"
#include "consensus/machine/services/support_hours.h"
#include "consensus/machine/schedules/handoffs.h"
#include "consensus/machine/orchestration/orchestration.h"
#include "consensus/machine/services/services.h"
#include "consensus/machine/suppression/suppression.h"
#include "consensus/machine/uses.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE
#define CONFLICT TOCSIN__STATUS__STATUS_CONFLICT

/* Names of services and of policies are unique, each among their own. */
static bool check_name_free(struct apply *apply, Tocsin__Reply *reply, enum machine_table index, const char *what,
                            const char *name, uint64_t own_id)
{
    uint64_t owner = index_find(apply, index, key_hash(name));
    if (owner != 0 && owner != own_id) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_NAME_TAKEN, "Another %s has this name.", what);
        return false;
    }
    return true;
}

/* ---------------------------------------------------------------- services */

static const char *const service_fields[] = {"name",     "description",
                                             "urgency",  "escalation_policy_id",
                                             "disabled", "acknowledgement_timeout_s",
                                             "auto_resolve_timeout_s", "auto_pause_s",
                                             "urgency_by_support_hours", "urgency_during",
                                             "urgency_outside", "support_hours",
                                             "urgency_changes", "incidents_only",
                                             "alert_grouping", "response_play_id", NULL};

static bool check_service(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Service *service)
{
    if (!check_line(apply, reply, "The name", service->name, 1, LIMIT_NAME_CHARACTERS) ||
        !check_lines(apply, reply, "The description", service->description, 0, LIMIT_DESCRIPTION_CHARACTERS) ||
        !check_line(apply, reply, "The response play", service->response_play_id, 0, LIMIT_NAME_CHARACTERS) ||
        !grouping_check(apply, reply, service->alert_grouping) ||
        !check_name_free(apply, reply, TABLE_SERVICE_BY_NAME, "service", service->name, service->id)) {
        return false;
    }
    if (service->auto_pause_s > LIMIT_AUTO_PAUSE_SECONDS) {
        reply_refuse(apply, reply, INVALID, "An alert can wait for at most %u seconds.", LIMIT_AUTO_PAUSE_SECONDS);
        return false;
    }
    if (service->escalation_policy_id == 0) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_NO_POLICY,
                     "A service must have an escalation policy.");
        return false;
    }
    if (escalation_policy_get(apply->store, service->escalation_policy_id, apply->arena) == NULL) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_POLICY,
                     "The escalation policy of the service does not exist.");
        return false;
    }
    return true;
}

static Tocsin__Service *service_new(struct apply *apply)
{
    Tocsin__Service *service = apply_alloc(apply, sizeof *service);
    tocsin__service__init(service);
    return service;
}

static void service_defaults(Tocsin__Service *service, bool creation, uint64_t fields)
{
    /* 0 turns the timeout off, but only when it was said. */
    if (creation && service->acknowledgement_timeout_s == 0 &&
        !field_given(fields, service->base.descriptor, "acknowledgement_timeout_s")) {
        service->acknowledgement_timeout_s = DEFAULT_ACKNOWLEDGEMENT_TIMEOUT_S;
    }
    if (service->urgency == TOCSIN__URGENCY__URGENCY_NONE) {
        service->urgency = TOCSIN__URGENCY__URGENCY_HIGH;
    }
}

void apply_service_put(struct apply *apply, const Tocsin__ServicePut *put, Tocsin__Reply *reply)
{
    if (!check_given(apply, reply, put->service)) {
        return;
    }
    bool creation = put->id == 0;
    Tocsin__Service *service = creation ? service_new(apply) : service_get(apply->store, put->id, apply->arena);
    if (service == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_SERVICE, "service", put->id);
        return;
    }
    struct key old_name = key_hash(service->name);
    bool was_disabled = service->disabled;
    record_patch(&service->base, &put->service->base, creation, put->fields, service_fields);
    service_defaults(service, creation, put->fields);
    if (!check_service(apply, reply, service) || !support_hours_check(apply, reply, service, put)) {
        return;
    }
    if (creation) {
        uint64_t count = apply->store->count(apply->store->context, TABLE_SERVICE);
        if (!check_room(apply, reply, "services", count, LIMIT_SERVICES)) {
            return;
        }
        service->id = apply_new_id(apply);
        service->created_at_ms = apply->time_ms;
    } else {
        row_delete(apply, TABLE_SERVICE_BY_NAME, old_name);
    }
    index_put(apply, TABLE_SERVICE_BY_NAME, key_hash(service->name), service->id);
    support_hours_put(apply, service, put);
    service_put(apply->store, service);
    if (was_disabled && !service->disabled) {
        heartbeats_service_enabled(apply, service->id);
    }
    handoffs_touch_policy(apply, service->escalation_policy_id);
    reply_id(apply, reply, service->id);
}

static void integration_remove(struct apply *apply, const Tocsin__Integration *integration)
{
    row_delete(apply, TABLE_INTEGRATION_BY_KEY, key_hash(integration->key));
    row_delete(apply, TABLE_INTEGRATION, key_2(integration->service_id, integration->id));
}

void apply_service_delete(struct apply *apply, const Tocsin__ServiceDelete *delete, Tocsin__Reply *reply)
{
    const Tocsin__Service *service = service_get(apply->store, delete->id, apply->arena);
    if (service == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_SERVICE, "service", delete->id);
        return;
    }
    if (service->open_incidents > 0) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_OPEN_INCIDENTS,
                     "The service %s has open incidents; resolve them first.", service->name);
        return;
    }
    if (!check_unused(apply, reply, USED_SERVICE, service->id, service->name)) {
        return;
    }
    if (service->built_in) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_BUILT_IN,
                     "The service %s is where the cluster tells of itself; it stays.", service->name);
        return;
    }
    struct walk walk = walk_under(apply->store, TABLE_INTEGRATION, service->id);
    while (walk_next(&walk)) {
        const Tocsin__Integration *integration =
            record_unpack(&tocsin__integration__descriptor, walk.value, apply->arena);
        if (integration != NULL) {
            integration_remove(apply, integration);
        }
    }
    support_hours_delete(apply, service);
    orchestration_rules_delete(apply, service->id);
    maintenance_service_deleted(apply, service->id);
    change_events_service_deleted(apply, service->id);
    row_delete(apply, TABLE_SERVICE_BY_NAME, key_hash(service->name));
    row_delete(apply, TABLE_SERVICE, key_1(service->id));
    reply_id(apply, reply, service->id);
}

/* ---------------------------------------------------------------- integrations */

#define DEFAULT_INTEGRATION_TYPE "events_api_v2_inbound_integration"

static const char *const integration_fields[] = {"name", "type", "key", "vendor_id", NULL};

static bool check_integration(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Integration *integration)
{
    if (!check_line(apply, reply, "The name", integration->name, 0, LIMIT_NAME_CHARACTERS) ||
        !check_line(apply, reply, "The type", integration->type, 1, LIMIT_NAME_CHARACTERS)) {
        return false;
    }
    if (strlen(integration->key) != ROUTING_KEY_CHARACTERS || !text_is_alphanumeric(integration->key)) {
        reply_refuse(apply, reply, INVALID, "The integration key must be %u letters and digits.",
                     ROUTING_KEY_CHARACTERS);
        return false;
    }
    const Tocsin__Integration *owner = integration_get_by_key(apply->store, integration->key, apply->arena);
    if (owner != NULL && owner->id != integration->id) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_BAD_VALUE,
                     "Another integration has this integration key.");
        return false;
    }
    return true;
}

static Tocsin__Integration *integration_new(struct apply *apply, uint64_t service_id)
{
    Tocsin__Integration *integration = apply_alloc(apply, sizeof *integration);
    tocsin__integration__init(integration);
    integration->service_id = service_id;
    return integration;
}

void apply_integration_put(struct apply *apply, const Tocsin__IntegrationPut *put, Tocsin__Reply *reply)
{
    if (!check_given(apply, reply, put->integration)) {
        return;
    }
    bool creation = put->id == 0;
    uint64_t service_id = put->integration->service_id;
    if (service_get(apply->store, service_id, apply->arena) == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_SERVICE, "service", service_id);
        return;
    }
    Tocsin__Integration *integration = creation ? integration_new(apply, service_id)
                                                : integration_get(apply->store, service_id, put->id, apply->arena);
    if (integration == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "integration", put->id);
        return;
    }
    const char *old_key = integration->key;
    record_patch(&integration->base, &put->integration->base, creation, put->fields, integration_fields);
    if (!creation && strcmp(integration->key, old_key) != 0) {
        reply_refuse(apply, reply, INVALID, "The key of an integration cannot be changed; add another integration.");
        return;
    }
    if (integration->type[0] == '\0') {
        integration->type = apply_strdup(apply, DEFAULT_INTEGRATION_TYPE);
    }
    if (!check_integration(apply, reply, integration)) {
        return;
    }
    if (creation) {
        if (!check_room(apply, reply, "integrations of one service",
                        rows_under(apply, TABLE_INTEGRATION, service_id), LIMIT_INTEGRATIONS_PER_SERVICE)) {
            return;
        }
        integration->id = apply_new_id(apply);
        integration->created_at_ms = apply->time_ms;
        struct key key = key_hash(integration->key);
        struct key place = key_2(service_id, integration->id);
        apply->store->put(apply->store->context, TABLE_INTEGRATION_BY_KEY, key_span(&key), key_span(&place));
    }
    integration_put(apply->store, integration);
    reply_id(apply, reply, integration->id);
}

void apply_integration_delete(struct apply *apply, const Tocsin__IntegrationDelete *delete, Tocsin__Reply *reply)
{
    const Tocsin__Integration *integration =
        integration_get(apply->store, delete->service_id, delete->id, apply->arena);
    if (integration == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "integration", delete->id);
        return;
    }
    integration_remove(apply, integration);
    reply_id(apply, reply, delete->id);
}

/* ---------------------------------------------------------------- escalation policies */

static const char *const policy_fields[] = {"name",   "description",           "num_loops",
                                            "levels", "on_call_handoff_always", "escalate_low_urgency",
                                            "team_id", NULL};

static bool has_id(const uint64_t *ids, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

static size_t copy_once(uint64_t *to, const uint64_t *from, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!has_id(to, kept, from[i])) {
            to[kept++] = from[i];
        }
    }
    return kept;
}

/* A level of its own memory, with defaults, and each target once: nobody wants to be told twice at a time. */
static Tocsin__EscalationLevel *level_copy(struct apply *apply, const Tocsin__EscalationLevel *given)
{
    Tocsin__EscalationLevel *level = apply_alloc(apply, sizeof *level);
    tocsin__escalation_level__init(level);
    level->id = given->id;
    level->delay_minutes = given->delay_minutes != 0 ? given->delay_minutes : DEFAULT_LEVEL_DELAY_MINUTES;
    level->round_robin = given->round_robin;
    level->user_ids = apply_alloc(apply, given->n_user_ids * sizeof *level->user_ids);
    level->n_user_ids = copy_once(level->user_ids, given->user_ids, given->n_user_ids);
    level->schedule_ids = apply_alloc(apply, given->n_schedule_ids * sizeof *level->schedule_ids);
    level->n_schedule_ids = copy_once(level->schedule_ids, given->schedule_ids, given->n_schedule_ids);
    level->schedule_places = given->schedule_places;
    level->n_schedule_places =
        given->n_schedule_places < level->n_schedule_ids ? given->n_schedule_places : level->n_schedule_ids;
    return level;
}

static bool check_level(struct apply *apply, Tocsin__Reply *reply, const Tocsin__EscalationLevel *level)
{
    if (level->n_user_ids + level->n_schedule_ids == 0) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_POLICY_EMPTY,
                     "Every level of an escalation policy must have a target.");
        return false;
    }
    if (level->delay_minutes > LIMIT_DELAY_MINUTES) {
        reply_refuse(apply, reply, INVALID, "The delay of a level must be 1 to %u minutes.", LIMIT_DELAY_MINUTES);
        return false;
    }
    for (size_t i = 0; i < level->n_user_ids; i++) {
        if (user_get(apply->store, level->user_ids[i], apply->arena) == NULL) {
            reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_USER,
                         "A target of the escalation policy is not a user.");
            return false;
        }
    }
    for (size_t i = 0; i < level->n_schedule_ids; i++) {
        if (schedule_get(apply->store, level->schedule_ids[i], apply->arena) == NULL) {
            reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_SCHEDULE,
                         "A target of the escalation policy is not a schedule.");
            return false;
        }
    }
    return true;
}

/* Checks the levels as they were given and puts copies in their place. */
static bool policy_take_levels(struct apply *apply, Tocsin__Reply *reply, Tocsin__EscalationPolicy *policy)
{
    if (policy->n_levels == 0) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_POLICY_EMPTY,
                     "An escalation policy must have at least one level.");
        return false;
    }
    if (!check_room(apply, reply, "levels of one escalation policy", policy->n_levels - 1, LIMIT_LEVELS_PER_POLICY)) {
        return false;
    }
    Tocsin__EscalationLevel **levels = apply_alloc(apply, policy->n_levels * sizeof(Tocsin__EscalationLevel *));
    for (size_t i = 0; i < policy->n_levels; i++) {
        const Tocsin__EscalationLevel *given = policy->levels[i];
        size_t targets_count = given->n_user_ids + given->n_schedule_ids;
        if (targets_count > 0 &&
            !check_room(apply, reply, "targets of one level", targets_count - 1, LIMIT_TARGETS_PER_LEVEL)) {
            return false;
        }
        levels[i] = level_copy(apply, given);
        if (!check_level(apply, reply, levels[i])) {
            return false;
        }
    }
    policy->levels = levels;
    return true;
}

/* A level keeps its id when the policy had it; any other is new. */
static void policy_number_levels(struct apply *apply, Tocsin__EscalationPolicy *policy, uint64_t *old_ids,
                                 size_t old_count)
{
    for (size_t i = 0; i < policy->n_levels; i++) {
        Tocsin__EscalationLevel *level = policy->levels[i];
        bool kept = false;
        for (size_t j = 0; j < old_count && !kept && level->id != 0; j++) {
            kept = old_ids[j] == level->id;
            if (kept) {
                old_ids[j] = 0; /* no two levels have one id */
            }
        }
        if (!kept) {
            level->id = apply_new_id(apply);
        }
    }
}

static bool check_policy(struct apply *apply, Tocsin__Reply *reply, const Tocsin__EscalationPolicy *policy)
{
    if (!check_line(apply, reply, "The name", policy->name, 1, LIMIT_NAME_CHARACTERS) ||
        !check_lines(apply, reply, "The description", policy->description, 0, LIMIT_DESCRIPTION_CHARACTERS) ||
        !check_name_free(apply, reply, TABLE_ESCALATION_POLICY_BY_NAME, "escalation policy", policy->name,
                         policy->id)) {
        return false;
    }
    if (policy->num_loops > LIMIT_LOOPS_PER_POLICY) {
        reply_refuse(apply, reply, INVALID, "An escalation policy can be repeated %u times at most.",
                     LIMIT_LOOPS_PER_POLICY);
        return false;
    }
    return check_teams(apply, reply, &policy->team_id, policy->team_id != 0 ? 1 : 0);
}

static Tocsin__EscalationPolicy *policy_new(struct apply *apply)
{
    Tocsin__EscalationPolicy *policy = apply_alloc(apply, sizeof *policy);
    tocsin__escalation_policy__init(policy);
    return policy;
}

static void policy_store(struct apply *apply, Tocsin__EscalationPolicy *policy, Tocsin__Reply *reply)
{
    index_put(apply, TABLE_ESCALATION_POLICY_BY_NAME, key_hash(policy->name), policy->id);
    escalation_policy_put(apply->store, policy);
    handoffs_touch_policy(apply, policy->id);
    reply_id(apply, reply, policy->id);
}

static void policy_create(struct apply *apply, const Tocsin__EscalationPolicyPut *put, Tocsin__Reply *reply)
{
    Tocsin__EscalationPolicy *policy = policy_new(apply);
    record_patch(&policy->base, &put->escalation_policy->base, true, put->fields, policy_fields);
    /* 0 means a single pass, but only when it was said. */
    if (policy->num_loops == 0 && !field_given(put->fields, policy->base.descriptor, "num_loops")) {
        policy->num_loops = DEFAULT_NUM_LOOPS;
    }
    uint64_t count = apply->store->count(apply->store->context, TABLE_ESCALATION_POLICY);
    if (!check_policy(apply, reply, policy) || !policy_take_levels(apply, reply, policy) ||
        !check_room(apply, reply, "escalation policies", count, LIMIT_ESCALATION_POLICIES)) {
        return;
    }
    policy->id = apply_new_id(apply);
    policy->created_at_ms = apply->time_ms;
    policy_number_levels(apply, policy, NULL, 0);
    policy_store(apply, policy, reply);
}

static void policy_change(struct apply *apply, const Tocsin__EscalationPolicyPut *put, Tocsin__Reply *reply)
{
    Tocsin__EscalationPolicy *policy = escalation_policy_get(apply->store, put->id, apply->arena);
    if (policy == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_POLICY, "escalation policy", put->id);
        return;
    }
    struct key old_name = key_hash(policy->name);
    size_t old_count = policy->n_levels;
    uint64_t *old_ids = apply_alloc(apply, old_count * sizeof *old_ids);
    for (size_t i = 0; i < old_count; i++) {
        old_ids[i] = policy->levels[i]->id;
    }
    record_patch(&policy->base, &put->escalation_policy->base, false, put->fields, policy_fields);
    if (!check_policy(apply, reply, policy) || !policy_take_levels(apply, reply, policy)) {
        return;
    }
    policy_number_levels(apply, policy, old_ids, old_count);
    row_delete(apply, TABLE_ESCALATION_POLICY_BY_NAME, old_name);
    policy_store(apply, policy, reply);
}

void apply_escalation_policy_put(struct apply *apply, const Tocsin__EscalationPolicyPut *put, Tocsin__Reply *reply)
{
    if (!check_given(apply, reply, put->escalation_policy)) {
        return;
    }
    if (put->id == 0) {
        policy_create(apply, put, reply);
    } else {
        policy_change(apply, put, reply);
    }
}

/* There may be too many rows for the arena, so each is freed at once. */
static bool policy_has_open_incident(struct apply *apply, uint64_t policy_id)
{
    bool found = false;
    struct walk walk = walk_all(apply->store, TABLE_INCIDENT_OPEN);
    while (!found && walk_next(&walk)) {
        Tocsin__Incident *incident = incident_get(apply->store, span_number(walk.key, 0), NULL);
        found = incident != NULL && incident->escalation_policy_id == policy_id;
        tocsin__incident__free_unpacked(incident, NULL);
    }
    return found;
}

void apply_escalation_policy_delete(struct apply *apply, const Tocsin__EscalationPolicyDelete *delete,
                                    Tocsin__Reply *reply)
{
    const Tocsin__EscalationPolicy *policy = escalation_policy_get(apply->store, delete->id, apply->arena);
    if (policy == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_POLICY, "escalation policy", delete->id);
        return;
    }
    if (!check_unused(apply, reply, USED_ESCALATION_POLICY, policy->id, policy->name)) {
        return;
    }
    if (policy_has_open_incident(apply, policy->id)) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_OPEN_INCIDENTS,
                     "Open incidents escalate by this policy; resolve them first.");
        return;
    }
    struct walk turns = walk_under(apply->store, TABLE_TURN, policy->id);
    while (walk_next(&turns)) {
        row_delete(apply, TABLE_TURN, turns.position);
    }
    row_delete(apply, TABLE_ESCALATION_POLICY_BY_NAME, key_hash(policy->name));
    row_delete(apply, TABLE_ESCALATION_POLICY, key_1(policy->id));
    reply_id(apply, reply, policy->id);
}
