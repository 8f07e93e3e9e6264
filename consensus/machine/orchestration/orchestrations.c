/* Orchestrations and the keys by which events reach them. */
#include <string.h>

#include "consensus/machine/base/text.h"
#include "consensus/machine/checks.h"
#include "consensus/machine/directory/teams.h"
#include "consensus/machine/orchestration/orchestration.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE
#define UNKNOWN TOCSIN__REASON__REASON_UNKNOWN_OBJECT
#define FIRST_INTEGRATION_LABEL "Default Integration"

void orchestration_rules_changed(struct apply *apply)
{
    apply->counters->rules_revision++;
}

static uint64_t acting_user(const struct apply *apply)
{
    return apply->actor->kind == TOCSIN__ACTOR_KIND__ACTOR_USER ? apply->actor->id : 0;
}

/* ---------------------------------------------------------------- integrations */

static bool check_integration(struct apply *apply, Tocsin__Reply *reply, const char *label, const char *key)
{
    if (!check_line(apply, reply, "The label", label, 0, LIMIT_NAME_CHARACTERS)) {
        return false;
    }
    if (strlen(key) != ROUTING_KEY_CHARACTERS || !text_is_alphanumeric(key)) {
        reply_refuse(apply, reply, INVALID, "The routing key must be %u letters and digits.", ROUTING_KEY_CHARACTERS);
        return false;
    }
    struct key row = key_hash(key);
    struct span value;
    if (integration_get_by_key(apply->store, key, apply->arena) != NULL ||
        apply->store->get(apply->store->context, TABLE_ORCHESTRATION_BY_KEY, key_span(&row), &value)) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_CONFLICT, TOCSIN__REASON__REASON_BAD_VALUE,
                     "Another integration has this routing key.");
        return false;
    }
    return true;
}

static void integration_store(struct apply *apply, const Tocsin__OrchestrationIntegration *integration)
{
    record_put(apply->store, TABLE_ORCHESTRATION_INTEGRATION, key_2(integration->orchestration_id, integration->id),
               &integration->base);
}

static uint64_t integration_add(struct apply *apply, uint64_t orchestration_id, char *label, char *key)
{
    Tocsin__OrchestrationIntegration integration = TOCSIN__ORCHESTRATION_INTEGRATION__INIT;
    integration.id = apply_new_id(apply);
    integration.orchestration_id = orchestration_id;
    integration.label = label;
    integration.key = key;
    integration.created_at_ms = apply->time_ms;
    integration_store(apply, &integration);
    struct key row = key_hash(key), place = key_2(orchestration_id, integration.id);
    apply->store->put(apply->store->context, TABLE_ORCHESTRATION_BY_KEY, key_span(&row), key_span(&place));
    orchestration_rules_changed(apply);
    return integration.id;
}

static void integration_remove(struct apply *apply, const Tocsin__OrchestrationIntegration *integration)
{
    row_delete(apply, TABLE_ORCHESTRATION_BY_KEY, key_hash(integration->key));
    row_delete(apply, TABLE_ORCHESTRATION_INTEGRATION, key_2(integration->orchestration_id, integration->id));
    orchestration_rules_changed(apply);
}

static bool check_orchestration_exists(struct apply *apply, Tocsin__Reply *reply, uint64_t id)
{
    if (orchestration_get(apply->store, id, apply->arena) == NULL) {
        refuse_unknown(apply, reply, UNKNOWN, "event orchestration", id);
        return false;
    }
    return true;
}

void apply_orchestration_integration_put(struct apply *apply, const Tocsin__OrchestrationIntegrationPut *put,
                                         Tocsin__Reply *reply)
{
    if (!check_given(apply, reply, put->integration)) {
        return;
    }
    const Tocsin__OrchestrationIntegration *given = put->integration;
    uint64_t orchestration_id = given->orchestration_id;
    if (!check_orchestration_exists(apply, reply, orchestration_id)) {
        return;
    }
    if (put->id == 0) {
        uint64_t count = rows_under(apply, TABLE_ORCHESTRATION_INTEGRATION, orchestration_id);
        if (check_integration(apply, reply, given->label, given->key) &&
            check_room(apply, reply, "integrations of one event orchestration", count,
                       LIMIT_INTEGRATIONS_PER_ORCHESTRATION)) {
            reply_id(apply, reply, integration_add(apply, orchestration_id, given->label, given->key));
        }
        return;
    }
    Tocsin__OrchestrationIntegration *integration =
        orchestration_integration_get(apply->store, orchestration_id, put->id, apply->arena);
    if (integration == NULL) {
        refuse_unknown(apply, reply, UNKNOWN, "integration", put->id);
        return;
    }
    integration->label = given->label;
    if (check_line(apply, reply, "The label", integration->label, 0, LIMIT_NAME_CHARACTERS)) {
        integration_store(apply, integration);
        reply_id(apply, reply, integration->id);
    }
}

void apply_orchestration_integration_delete(struct apply *apply, const Tocsin__OrchestrationIntegrationDelete *delete,
                                            Tocsin__Reply *reply)
{
    const Tocsin__OrchestrationIntegration *integration =
        orchestration_integration_get(apply->store, delete->orchestration_id, delete->id, apply->arena);
    if (integration == NULL) {
        refuse_unknown(apply, reply, UNKNOWN, "integration", delete->id);
        return;
    }
    integration_remove(apply, integration);
    reply_id(apply, reply, delete->id);
}

/* ---------------------------------------------------------------- orchestrations */

static const char *const orchestration_fields[] = {"name", "description", "team_id", NULL};

static bool check_orchestration(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Orchestration *orchestration)
{
    return check_line(apply, reply, "The name", orchestration->name, 1, LIMIT_NAME_CHARACTERS) &&
           check_lines(apply, reply, "The description", orchestration->description, 0, LIMIT_DESCRIPTION_CHARACTERS) &&
           check_teams(apply, reply, &orchestration->team_id, orchestration->team_id != 0 ? 1 : 0);
}

void apply_orchestration_put(struct apply *apply, const Tocsin__OrchestrationPut *put, Tocsin__Reply *reply)
{
    if (!check_given(apply, reply, put->orchestration)) {
        return;
    }
    bool creation = put->id == 0;
    Tocsin__Orchestration fresh = TOCSIN__ORCHESTRATION__INIT;
    Tocsin__Orchestration *orchestration =
        creation ? &fresh : orchestration_get(apply->store, put->id, apply->arena);
    if (orchestration == NULL) {
        refuse_unknown(apply, reply, UNKNOWN, "event orchestration", put->id);
        return;
    }
    record_patch(&orchestration->base, &put->orchestration->base, creation, put->fields, orchestration_fields);
    if (!check_orchestration(apply, reply, orchestration)) {
        return;
    }
    if (creation) {
        uint64_t count = apply->store->count(apply->store->context, TABLE_ORCHESTRATION);
        if (!check_integration(apply, reply, FIRST_INTEGRATION_LABEL, put->key) ||
            !check_room(apply, reply, "event orchestrations", count, LIMIT_ORCHESTRATIONS)) {
            return;
        }
        orchestration->id = apply_new_id(apply);
        orchestration->created_at_ms = apply->time_ms;
        orchestration->created_by_user_id = acting_user(apply);
        integration_add(apply, orchestration->id, apply_strdup(apply, FIRST_INTEGRATION_LABEL), put->key);
    }
    orchestration->updated_at_ms = apply->time_ms;
    orchestration->updated_by_user_id = acting_user(apply);
    record_put(apply->store, TABLE_ORCHESTRATION, key_1(orchestration->id), &orchestration->base);
    reply_id(apply, reply, orchestration->id);
}

static void rows_delete_under(struct apply *apply, enum machine_table table, uint64_t parent)
{
    struct walk walk = walk_under(apply->store, table, parent);
    while (walk_next(&walk)) {
        struct key key = key_bytes(walk.key.data, walk.key.size_bytes);
        apply->store->del(apply->store->context, table, key_span(&key));
    }
}

void orchestration_rules_delete(struct apply *apply, uint64_t owner_id)
{
    struct walk paths = walk_under(apply->store, TABLE_ORCHESTRATION_PATH, owner_id);
    if (walk_next(&paths)) {
        rows_delete_under(apply, TABLE_ORCHESTRATION_PATH, owner_id);
        orchestration_rules_changed(apply);
    }
    rows_delete_under(apply, TABLE_EVENT_ASIDE, owner_id);
}

void apply_orchestration_delete(struct apply *apply, const Tocsin__OrchestrationDelete *delete, Tocsin__Reply *reply)
{
    if (!check_orchestration_exists(apply, reply, delete->id)) {
        return;
    }
    struct walk walk = walk_under(apply->store, TABLE_ORCHESTRATION_INTEGRATION, delete->id);
    while (walk_next(&walk)) {
        const Tocsin__OrchestrationIntegration *integration =
            record_unpack(&tocsin__orchestration_integration__descriptor, walk.value, apply->arena);
        if (integration != NULL) {
            integration_remove(apply, integration);
        }
    }
    orchestration_rules_delete(apply, delete->id);
    row_delete(apply, TABLE_ORCHESTRATION, key_1(delete->id));
    orchestration_rules_changed(apply);
    reply_id(apply, reply, delete->id);
}
