/* Records of the state, typed: one line for each kind says in which table it lives and under which key. */
#include "consensus/machine/records.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Most records are smaller than this and are packed without asking for memory. */
#define PACKED_ON_STACK_SIZE_BYTES 4096u

void *record_unpack(const ProtobufCMessageDescriptor *descriptor, struct span value, ProtobufCAllocator *allocator)
{
    return protobuf_c_message_unpack(descriptor, allocator, value.size_bytes, value.data);
}

void record_put(const struct machine_store *store, enum machine_table table, struct key key,
                const ProtobufCMessage *message)
{
    uint8_t on_stack[PACKED_ON_STACK_SIZE_BYTES];
    size_t size_bytes = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = size_bytes <= sizeof on_stack ? on_stack : malloc(size_bytes);
    if (packed == NULL) {
        abort();
    }
    protobuf_c_message_pack(message, packed);
    store->put(store->context, table, key_span(&key), (struct span){.data = packed, .size_bytes = size_bytes});
    if (packed != on_stack) {
        free(packed);
    }
}

static bool row_get(const struct machine_store *store, enum machine_table table, struct key key, struct span *value)
{
    return store->get(store->context, table, key_span(&key), value);
}

void *record_get(const struct machine_store *store, enum machine_table table, struct key key,
                 const ProtobufCMessageDescriptor *descriptor, ProtobufCAllocator *allocator)
{
    struct span value;
    return row_get(store, table, key, &value) ? record_unpack(descriptor, value, allocator) : NULL;
}

struct span record_stored(const struct machine_store *store, enum machine_meta which)
{
    struct span value;
    return row_get(store, TABLE_META, key_meta(which), &value) ? value : (struct span){0};
}

/* Getters that take one or two numbers and putters that take the key from the record. */
#define GET_BY_1(name, Type, descriptor, table)                                                                       \
    Tocsin__##Type *name(const struct machine_store *store, uint64_t id, ProtobufCAllocator *allocator)               \
    {                                                                                                                 \
        return record_get(store, table, key_1(id), &tocsin__##descriptor##__descriptor, allocator);                   \
    }
#define GET_BY_2(name, Type, descriptor, table)                                                                       \
    Tocsin__##Type *name(const struct machine_store *store, uint64_t parent, uint64_t id,                             \
                         ProtobufCAllocator *allocator)                                                               \
    {                                                                                                                 \
        return record_get(store, table, key_2(parent, id), &tocsin__##descriptor##__descriptor, allocator);           \
    }
#define GET_META(name, Type, descriptor, which)                                                                       \
    Tocsin__##Type *name(const struct machine_store *store, ProtobufCAllocator *allocator)                            \
    {                                                                                                                 \
        return record_get(store, TABLE_META, key_meta(which), &tocsin__##descriptor##__descriptor, allocator);        \
    }
#define PUT(name, Type, table, key)                                                                                   \
    void name(const struct machine_store *store, const Tocsin__##Type *record)                                        \
    {                                                                                                                 \
        assert(record->id > 0);                                                                                       \
        record_put(store, table, key, &record->base);                                                                 \
    }

GET_META(settings_get, Settings, settings, META_SETTINGS)
GET_META(counters_get, Counters, counters, META_COUNTERS)
GET_META(members_get, Members, members, META_MEMBERS)
GET_META(blindness_get, Blindness, blindness, META_BLINDNESS)
GET_META(blind_now_get, BlindNow, blind_now, META_BLIND_NOW)
GET_META(node_conditions_get, NodeConditions, node_conditions, META_CONDITIONS)
GET_BY_1(heartbeat_get, Heartbeat, heartbeat, TABLE_HEARTBEAT)
GET_BY_1(user_get, User, user, TABLE_USER)
GET_BY_2(contact_method_get, ContactMethod, contact_method, TABLE_CONTACT_METHOD)
GET_BY_2(contact_proof_get, ContactProof, contact_proof, TABLE_CONTACT_PROOF)
GET_BY_2(notification_rule_get, NotificationRule, notification_rule, TABLE_NOTIFICATION_RULE)
GET_BY_1(service_get, Service, service, TABLE_SERVICE)
GET_BY_2(integration_get, Integration, integration, TABLE_INTEGRATION)
GET_BY_1(escalation_policy_get, EscalationPolicy, escalation_policy, TABLE_ESCALATION_POLICY)
GET_BY_1(schedule_get, Schedule, schedule, TABLE_SCHEDULE)
GET_BY_1(incident_get, Incident, incident, TABLE_INCIDENT)
GET_BY_2(alert_get, Alert, alert, TABLE_ALERT)
GET_BY_1(alert_payload_get, AlertPayload, alert_payload, TABLE_ALERT_PAYLOAD)
GET_BY_2(log_entry_get, LogEntry, log_entry, TABLE_LOG_ENTRY)
GET_BY_1(token_get, Token, token, TABLE_TOKEN)
GET_BY_1(team_get, Team, team, TABLE_TEAM)
GET_BY_2(team_member_get, TeamMember, team_member, TABLE_TEAM_MEMBER)
GET_BY_1(orchestration_get, Orchestration, orchestration, TABLE_ORCHESTRATION)
GET_BY_2(orchestration_integration_get, OrchestrationIntegration, orchestration_integration,
         TABLE_ORCHESTRATION_INTEGRATION)
GET_BY_2(orchestration_path_get, OrchestrationPath, orchestration_path, TABLE_ORCHESTRATION_PATH)
GET_BY_1(maintenance_window_get, MaintenanceWindow, maintenance_window, TABLE_MAINTENANCE)
GET_BY_1(mute_get, Mute, mute, TABLE_MUTE)
GET_BY_1(drill_get, Drill, drill, TABLE_DRILL)
GET_BY_1(drill_state_get, DrillState, drill_state, TABLE_DRILL_STATE)
GET_BY_1(change_event_get, ChangeEvent, change_event, TABLE_CHANGE_EVENT)

PUT(heartbeat_put, Heartbeat, TABLE_HEARTBEAT, key_1(record->id))
PUT(user_put, User, TABLE_USER, key_1(record->id))
PUT(contact_method_put, ContactMethod, TABLE_CONTACT_METHOD, key_2(record->user_id, record->id))
PUT(notification_rule_put, NotificationRule, TABLE_NOTIFICATION_RULE, key_2(record->user_id, record->id))
PUT(service_put, Service, TABLE_SERVICE, key_1(record->id))
PUT(integration_put, Integration, TABLE_INTEGRATION, key_2(record->service_id, record->id))
PUT(escalation_policy_put, EscalationPolicy, TABLE_ESCALATION_POLICY, key_1(record->id))
PUT(incident_put, Incident, TABLE_INCIDENT, key_1(record->id))
PUT(alert_put, Alert, TABLE_ALERT, key_2(record->incident_id, record->id))
PUT(log_entry_put, LogEntry, TABLE_LOG_ENTRY, key_2(record->incident_id, record->id))
PUT(token_put, Token, TABLE_TOKEN, key_1(record->id))
PUT(team_put, Team, TABLE_TEAM, key_1(record->id))

Tocsin__OrchestrationIntegration *orchestration_integration_get_by_key(const struct machine_store *store,
                                                                       const char *key, ProtobufCAllocator *allocator)
{
    struct span value;
    if (!row_get(store, TABLE_ORCHESTRATION_BY_KEY, key_hash(key), &value)) {
        return NULL;
    }
    return orchestration_integration_get(store, span_number(value, 0), span_number(value, 1), allocator);
}

Tocsin__Integration *integration_get_by_key(const struct machine_store *store, const char *key,
                                            ProtobufCAllocator *allocator)
{
    struct span value;
    if (!row_get(store, TABLE_INTEGRATION_BY_KEY, key_hash(key), &value)) {
        return NULL;
    }
    return integration_get(store, span_number(value, 0), span_number(value, 1), allocator);
}

Tocsin__Incident *incident_get_by_number(const struct machine_store *store, uint64_t number,
                                         ProtobufCAllocator *allocator)
{
    struct span value;
    if (!row_get(store, TABLE_INCIDENT_BY_NUMBER, key_1(number), &value)) {
        return NULL;
    }
    return incident_get(store, span_number(value, 0), allocator);
}

Tocsin__Alert *alert_get_open(const struct machine_store *store, uint64_t integration_id, const char *dedup_key,
                              ProtobufCAllocator *allocator)
{
    struct span value;
    if (!row_get(store, TABLE_ALERT_OPEN, key_1_hash(integration_id, dedup_key), &value)) {
        return NULL;
    }
    return alert_get(store, span_number(value, 0), span_number(value, 1), allocator);
}

Tocsin__Notification *notification_get(const struct machine_store *store, uint64_t incident_id, uint64_t id,
                                       ProtobufCAllocator *allocator)
{
    const ProtobufCMessageDescriptor *descriptor = &tocsin__notification__descriptor;
    Tocsin__Notification *owed = record_get(store, TABLE_OUTBOX, key_1(id), descriptor, allocator);
    return owed != NULL ? owed : record_get(store, TABLE_NOTIFICATION, key_2(incident_id, id), descriptor, allocator);
}

Tocsin__Token *token_get_by_hash(const struct machine_store *store, const uint8_t hash[32],
                                 ProtobufCAllocator *allocator)
{
    struct span value;
    if (!row_get(store, TABLE_TOKEN_BY_HASH, key_bytes(hash, 32), &value)) {
        return NULL;
    }
    return token_get(store, span_number(value, 0), allocator);
}

uint64_t heartbeat_find_key(const struct machine_store *store, const char *key)
{
    struct span value;
    return row_get(store, TABLE_HEARTBEAT_BY_KEY, key_hash(key), &value) ? span_number(value, 0) : 0;
}

/* Of keys that begin with `prefix` and end with an id: the first whose id is beyond `after_id`. */
static uint64_t next_listed(const struct machine_store *store, enum machine_table table, struct key prefix,
                            uint64_t after_id)
{
    struct key from = key_and_1(prefix, after_id + 1);
    struct span key, value;
    if (!store->seek(store->context, table, key_span(&from), &key, &value) || key.size_bytes != from.size_bytes ||
        memcmp(key.data, prefix.bytes, prefix.size_bytes) != 0) {
        return 0;
    }
    struct span id = {.data = (const uint8_t *)key.data + prefix.size_bytes, .size_bytes = sizeof(uint64_t)};
    return span_number(id, 0);
}

uint64_t heartbeat_next_by_slug(const struct machine_store *store, uint64_t service_id, const char *slug,
                                uint64_t after_id)
{
    return next_listed(store, TABLE_HEARTBEAT_BY_SLUG, key_1_hash(service_id, slug), after_id);
}

uint64_t heartbeat_next_by_name(const struct machine_store *store, const char *name, uint64_t after_id)
{
    return next_listed(store, TABLE_HEARTBEAT_BY_NAME, key_hash(name), after_id);
}

/* ---------------------------------------------------------------- walks */

struct walk walk_all(const struct machine_store *store, enum machine_table table)
{
    return (struct walk){.store = store, .table = table};
}

struct walk walk_all_backward(const struct machine_store *store, enum machine_table table)
{
    return (struct walk){.store = store, .table = table, .backward = true};
}

struct walk walk_under(const struct machine_store *store, enum machine_table table, uint64_t parent)
{
    return (struct walk){.store = store, .table = table, .bounded = true, .parent = parent};
}

struct walk walk_under_from(const struct machine_store *store, enum machine_table table, uint64_t parent,
                            uint64_t from)
{
    struct walk walk = walk_under(store, table, parent);
    walk.position = key_2(parent, from); /* shorter than the rows' keys, so before them */
    walk.started = true;
    return walk;
}

struct walk walk_under_backward(const struct machine_store *store, enum machine_table table, uint64_t parent)
{
    return (struct walk){.store = store, .table = table, .bounded = true, .backward = true, .parent = parent};
}

/* The least key after `key`: one zero byte longer. */
static struct key key_after(struct key key)
{
    assert(key.size_bytes < KEY_SIZE_BYTES_MAX);
    key.bytes[key.size_bytes++] = 0;
    return key;
}

/* Where to seek from: forward the least key that may be met, backward the least that may not (empty: no bound). */
static struct key walk_from(const struct walk *walk)
{
    if (walk->started) {
        return walk->backward ? walk->position : key_after(walk->position);
    }
    if (!walk->bounded) {
        return walk->backward ? (struct key){.size_bytes = 0} : key_after((struct key){.size_bytes = 0});
    }
    if (!walk->backward) {
        return key_1(walk->parent);
    }
    return walk->parent == UINT64_MAX ? (struct key){.size_bytes = 0} : key_1(walk->parent + 1);
}

bool walk_next(struct walk *walk)
{
    const struct machine_store *store = walk->store;
    struct key from = walk_from(walk);
    bool found = walk->backward
                     ? store->seek_before(store->context, walk->table, key_span(&from), &walk->key, &walk->value)
                     : store->seek(store->context, walk->table, key_span(&from), &walk->key, &walk->value);
    if (!found || (walk->bounded && !key_under(walk->key, walk->parent))) {
        return false;
    }
    walk->position = key_bytes(walk->key.data, walk->key.size_bytes);
    walk->started = true;
    return true;
}
