/*
 * Records of the state, typed: from a table to a message of schema.proto and back.
 *
 * The machine reads and writes with them; the API reads with them from a read-only store. Messages come from `allocator` (NULL:
 * malloc, to be freed with the message's own free_unpacked); the machine's arena frees nothing until the entry is applied.
 * A getter returns NULL when the row is not there.
 */
#ifndef CONSENSUS_MACHINE_RECORDS_H
#define CONSENSUS_MACHINE_RECORDS_H

#include "consensus/machine/keys.h"
#include "consensus/machine/schema/schema.pb-c.h"
#include "consensus/machine/store.h"

/* Unpacks `value` as a message of `descriptor`; NULL when it does not decode. */
void *record_unpack(const ProtobufCMessageDescriptor *descriptor, struct span value, ProtobufCAllocator *allocator);

/* Packs and stores. */
void record_put(const struct machine_store *store, enum machine_table table, struct key key,
                const ProtobufCMessage *message);

void *record_get(const struct machine_store *store, enum machine_table table, struct key key,
                 const ProtobufCMessageDescriptor *descriptor, ProtobufCAllocator *allocator);

Tocsin__Settings *settings_get(const struct machine_store *, ProtobufCAllocator *);
Tocsin__Counters *counters_get(const struct machine_store *, ProtobufCAllocator *);
Tocsin__Members *members_get(const struct machine_store *, ProtobufCAllocator *);
/* One of those as it is stored, empty when there is none: the same bytes as long as it has not changed. Valid as long as the view. */
struct span record_stored(const struct machine_store *, enum machine_meta which);
Tocsin__User *user_get(const struct machine_store *, uint64_t id, ProtobufCAllocator *);
Tocsin__ContactMethod *contact_method_get(const struct machine_store *, uint64_t user_id, uint64_t id,
                                          ProtobufCAllocator *);
/* With contact method 0: of the person. */
Tocsin__ContactProof *contact_proof_get(const struct machine_store *, uint64_t user_id, uint64_t contact_method_id,
                                        ProtobufCAllocator *);
Tocsin__NotificationRule *notification_rule_get(const struct machine_store *, uint64_t user_id, uint64_t id,
                                                ProtobufCAllocator *);
Tocsin__Service *service_get(const struct machine_store *, uint64_t id, ProtobufCAllocator *);
Tocsin__Integration *integration_get(const struct machine_store *, uint64_t service_id, uint64_t id,
                                     ProtobufCAllocator *);
Tocsin__Integration *integration_get_by_key(const struct machine_store *, const char *key, ProtobufCAllocator *);
Tocsin__EscalationPolicy *escalation_policy_get(const struct machine_store *, uint64_t id, ProtobufCAllocator *);
Tocsin__Schedule *schedule_get(const struct machine_store *, uint64_t id, ProtobufCAllocator *);
Tocsin__Incident *incident_get(const struct machine_store *, uint64_t id, ProtobufCAllocator *);
Tocsin__Incident *incident_get_by_number(const struct machine_store *, uint64_t number, ProtobufCAllocator *);
Tocsin__Alert *alert_get(const struct machine_store *, uint64_t incident_id, uint64_t id, ProtobufCAllocator *);
Tocsin__Alert *alert_get_open(const struct machine_store *, uint64_t integration_id, const char *dedup_key,
                              ProtobufCAllocator *);
Tocsin__AlertPayload *alert_payload_get(const struct machine_store *, uint64_t alert_id, ProtobufCAllocator *);
Tocsin__LogEntry *log_entry_get(const struct machine_store *, uint64_t incident_id, uint64_t id, ProtobufCAllocator *);
/* Wherever it stands: the outbox first, then the ended ones of its incident. */
Tocsin__Notification *notification_get(const struct machine_store *, uint64_t incident_id, uint64_t id,
                                       ProtobufCAllocator *);
Tocsin__Team *team_get(const struct machine_store *, uint64_t id, ProtobufCAllocator *);
Tocsin__TeamMember *team_member_get(const struct machine_store *, uint64_t team_id, uint64_t user_id, ProtobufCAllocator *);
Tocsin__Token *token_get(const struct machine_store *, uint64_t id, ProtobufCAllocator *);
Tocsin__Token *token_get_by_hash(const struct machine_store *, const uint8_t hash[32], ProtobufCAllocator *);
Tocsin__Heartbeat *heartbeat_get(const struct machine_store *, uint64_t id, ProtobufCAllocator *);
Tocsin__HeartbeatState *heartbeat_state_get(const struct machine_store *, uint64_t id, ProtobufCAllocator *);
Tocsin__MaintenanceWindow *maintenance_window_get(const struct machine_store *, uint64_t id, ProtobufCAllocator *);
Tocsin__Mute *mute_get(const struct machine_store *, uint64_t id, ProtobufCAllocator *);
Tocsin__ChangeEvent *change_event_get(const struct machine_store *, uint64_t id, ProtobufCAllocator *);
Tocsin__Drill *drill_get(const struct machine_store *, uint64_t id, ProtobufCAllocator *);
Tocsin__DrillState *drill_state_get(const struct machine_store *, uint64_t id, ProtobufCAllocator *);
Tocsin__Blindness *blindness_get(const struct machine_store *, ProtobufCAllocator *);
Tocsin__BlindNow *blind_now_get(const struct machine_store *, ProtobufCAllocator *);
Tocsin__NodeConditions *node_conditions_get(const struct machine_store *, ProtobufCAllocator *);
Tocsin__Orchestration *orchestration_get(const struct machine_store *, uint64_t id, ProtobufCAllocator *);
Tocsin__OrchestrationIntegration *orchestration_integration_get(const struct machine_store *, uint64_t orchestration_id,
                                                                uint64_t id, ProtobufCAllocator *);
Tocsin__OrchestrationIntegration *orchestration_integration_get_by_key(const struct machine_store *, const char *key,
                                                                       ProtobufCAllocator *);
/* The rules of an orchestration or a service; `kind` is an enum PathKind. */
Tocsin__OrchestrationPath *orchestration_path_get(const struct machine_store *, uint64_t owner_id, uint64_t kind,
                                                  ProtobufCAllocator *);
/* The id that the key of a ping URL belongs to, 0 for none. */
uint64_t heartbeat_find_key(const struct machine_store *, const char *key);
/* The next id after `after_id` (0: the first) with this slug in the service, or with this name; 0 when there is none. */
uint64_t heartbeat_next_by_slug(const struct machine_store *, uint64_t service_id, const char *slug, uint64_t after_id);
uint64_t heartbeat_next_by_name(const struct machine_store *, const char *name, uint64_t after_id);

void user_put(const struct machine_store *, const Tocsin__User *);
void contact_method_put(const struct machine_store *, const Tocsin__ContactMethod *);
void notification_rule_put(const struct machine_store *, const Tocsin__NotificationRule *);
void service_put(const struct machine_store *, const Tocsin__Service *);
void integration_put(const struct machine_store *, const Tocsin__Integration *);
void escalation_policy_put(const struct machine_store *, const Tocsin__EscalationPolicy *);
void incident_put(const struct machine_store *, const Tocsin__Incident *); /* the record alone: its indexes are the caller's */
void alert_put(const struct machine_store *, const Tocsin__Alert *);
void log_entry_put(const struct machine_store *, const Tocsin__LogEntry *);
void team_put(const struct machine_store *, const Tocsin__Team *);
void token_put(const struct machine_store *, const Tocsin__Token *);
void heartbeat_put(const struct machine_store *, const Tocsin__Heartbeat *); /* the record alone */

/*
 * A walk along a table in key order, optionally only over the rows under one parent number. Between two steps the store may be
 * written to.
 *
 *     struct walk walk = walk_under(store, TABLE_CONTACT_METHOD, user_id);
 *     while (walk_next(&walk)) ... walk.key, walk.value
 */
struct walk {
    const struct machine_store *store;
    enum machine_table table;
    bool bounded, backward, started;
    uint64_t parent;
    struct key position;
    struct span key, value; /* of the row reached; valid until the next write */
};

struct walk walk_all(const struct machine_store *, enum machine_table);
struct walk walk_all_backward(const struct machine_store *, enum machine_table);
struct walk walk_under(const struct machine_store *, enum machine_table, uint64_t parent);
/* Only from the second number `from` on. */
struct walk walk_under_from(const struct machine_store *, enum machine_table, uint64_t parent, uint64_t from);
struct walk walk_under_backward(const struct machine_store *, enum machine_table, uint64_t parent);
bool walk_next(struct walk *walk);

#endif
