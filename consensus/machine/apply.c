/*
 * One entry: decoded and understood as a whole first, then command by command.
 *
 *     command ──> seen before from its origin? ──> answered before under its idempotency key? ──> its part ──> reply
 *                        │ yes                           │ yes
 *                        └──> dropped: "repeated"        └──> the reply of then
 */
#include "consensus/machine/apply.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/arena.h"
#include "consensus/machine/decode.h"
#include "consensus/machine/heartbeats/heartbeats.h"
#include "consensus/machine/incidents/incidents.h"
#include "consensus/machine/origins.h"
#include "consensus/machine/output.h"
#include "consensus/machine/planted.h"
#include "consensus/machine/suppression/suppression.h"

/* The settings of the last entry, as they stand in their row: each entry needs them, and they hardly ever change. */
struct settings_read {
    struct arena arena;
    struct span row;
    const Tocsin__Settings *settings; /* NULL at first */
};

struct machine {
    struct arena arena;
    struct settings_read settings_read;
    uint32_t version;
};

struct machine *machine_new(void)
{
    struct machine *machine = malloc(sizeof *machine);
    if (machine == NULL) {
        abort();
    }
    arena_init(&machine->arena);
    arena_init(&machine->settings_read.arena);
    machine->settings_read.settings = NULL;
    machine->version = MACHINE_VERSION;
    return machine;
}

void machine_set_version(struct machine *machine, uint32_t version)
{
    assert(version == MACHINE_VERSION || version == MACHINE_VERSION + 1);
    machine->version = version;
}

void machine_free(struct machine *machine)
{
    if (machine != NULL) {
        arena_close(&machine->arena);
        arena_close(&machine->settings_read.arena);
        free(machine);
    }
}

const char *machine_error_message(enum machine_error error)
{
    switch (error) {
    case MACHINE_OK:
        return "The entry was applied.";
    case MACHINE_MALFORMED:
        return "The log entry does not decode: it is damaged or was not written by Tocsin.";
    case MACHINE_UNKNOWN_FIELD:
        return "The log entry holds something that this version of Tocsin does not know: upgrade this node.";
    case MACHINE_TOO_OLD:
        return "The cluster follows the rules of a later version of Tocsin, which this node does not have: upgrade it.";
    case MACHINE_NO_MEMORY:
        return "There was not enough memory to apply the log entry.";
    }
    return "Unknown error of the state machine.";
}

/* ---------------------------------------------------------------- what the parts use */

uint64_t apply_new_id(struct apply *apply)
{
    return apply->counters->next_id++;
}

void *apply_alloc(struct apply *apply, size_t size_bytes)
{
    void *memory = apply->arena->alloc(apply->arena->allocator_data, size_bytes);
    return memset(memory, 0, size_bytes);
}

static __attribute__((format(printf, 2, 0))) char *apply_vprintf(struct apply *apply, const char *format, va_list list)
{
    va_list again;
    va_copy(again, list);
    char short_text[256];
    int length = vsnprintf(short_text, sizeof short_text, format, list);
    assert(length >= 0);
    char *text = apply_alloc(apply, (size_t)length + 1);
    if ((size_t)length < sizeof short_text) {
        memcpy(text, short_text, (size_t)length);
    } else {
        vsnprintf(text, (size_t)length + 1, format, again);
    }
    va_end(again);
    return text;
}

char *apply_printf(struct apply *apply, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    char *text = apply_vprintf(apply, format, list);
    va_end(list);
    return text;
}

char *apply_strdup(struct apply *apply, const char *text)
{
    size_t size_bytes = strlen(text) + 1;
    return memcpy(apply->arena->alloc(apply->arena->allocator_data, size_bytes), text, size_bytes);
}

uint64_t apply_minutes_ms(const struct apply *apply, uint32_t minutes)
{
    return (uint64_t)minutes * apply->settings->minute_ms;
}

uint64_t apply_seconds_ms(const struct apply *apply, uint32_t seconds)
{
    return (uint64_t)seconds * apply->settings->minute_ms / 60;
}

void reply_refuse(struct apply *apply, Tocsin__Reply *reply, Tocsin__Status status, Tocsin__Reason reason,
                  const char *format, ...)
{
    assert(status != TOCSIN__STATUS__STATUS_OK);
    va_list list;
    va_start(list, format);
    reply->status = status;
    reply->reason = reason;
    reply->message = apply_vprintf(apply, format, list);
    reply->n_ids = 0;
    va_end(list);
}

void reply_id(struct apply *apply, Tocsin__Reply *reply, uint64_t id)
{
    size_t count = reply->n_ids;
    if ((count & (count - 1)) == 0) { /* full at every power of two */
        uint64_t *ids = apply_alloc(apply, (count == 0 ? 1 : count * 2) * sizeof *ids);
        if (count > 0) {
            memcpy(ids, reply->ids, count * sizeof *ids);
        }
        reply->ids = ids;
    }
    reply->ids[reply->n_ids++] = id;
}

/* ---------------------------------------------------------------- one command */

#define COMMANDS(each)                                                                                                \
    each(EVENT, event) each(USER_PUT, user_put) each(USER_DELETE, user_delete)                                        \
    each(CONTACT_METHOD_PUT, contact_method_put) each(CONTACT_METHOD_DELETE, contact_method_delete)                   \
    each(NOTIFICATION_RULE_PUT, notification_rule_put) each(NOTIFICATION_RULE_DELETE, notification_rule_delete)       \
    each(SERVICE_PUT, service_put) each(SERVICE_DELETE, service_delete) each(INTEGRATION_PUT, integration_put)        \
    each(INTEGRATION_DELETE, integration_delete) each(ESCALATION_POLICY_PUT, escalation_policy_put)                   \
    each(ESCALATION_POLICY_DELETE, escalation_policy_delete) each(INCIDENT_CREATE, incident_create)                   \
    each(INCIDENT_UPDATE, incident_update) each(NOTE_CREATE, note_create) each(TOKEN_PUT, token_put)                  \
    each(TOKEN_DELETE, token_delete) each(SETTINGS_PUT, settings_put) each(PULSE, pulse) each(CLAIM, claim)           \
    each(RECEIPT, receipt) each(MEMBERS_BEGIN, members_begin) each(MEMBER_ADD, member_add)                            \
    each(MEMBER_REMOVE, member_remove) each(MEMBER_GONE, member_gone) each(VERSION_RAISE, version_raise)              \
    each(SCHEDULE_PUT, schedule_put) each(SCHEDULE_DELETE, schedule_delete) each(SCHEDULE_EXTEND, schedule_extend)    \
    each(SUPPORT_HOURS_EXTEND, support_hours_extend)                                                                  \
    each(OVERRIDES_CREATE, overrides_create) each(OVERRIDE_DELETE, override_delete)                                   \
    each(HEARTBEAT_PUT, heartbeat_put) each(HEARTBEAT_DELETE, heartbeat_delete)                                       \
    each(HEARTBEAT_PAUSE, heartbeat_pause) each(HEARTBEAT_EXTEND, heartbeat_extend) each(PING, ping) each(TICK, tick) \
    each(TEAM_PUT, team_put) each(TEAM_DELETE, team_delete) each(TEAM_MEMBER_PUT, team_member_put)                    \
    each(TEAM_MEMBER_DELETE, team_member_delete) each(TEAM_POLICY_PUT, team_policy_put)                               \
    each(TEAM_POLICY_DELETE, team_policy_delete) each(TOKEN_USE, token_use)                                           \
    each(INCIDENT_SNOOZE, incident_snooze) each(INCIDENT_MERGE, incident_merge) each(PRIORITIES_PUT, priorities_put)  \
    each(LAST_GASP_REPORT, last_gasp_report) each(CLUSTER_NOTICE, cluster_notice)                                     \
    each(SWAP_OFFER, swap_offer) each(SWAP_TAKE, swap_take) each(SWAP_UNDO, swap_undo)                                \
    each(HANDOFF_RULE_PUT, handoff_rule_put) each(HANDOFF_RULE_DELETE, handoff_rule_delete)                           \
    each(CALENDAR_FEED_PUT, calendar_feed_put) each(CALENDAR_FEED_DELETE, calendar_feed_delete)                       \
    each(RESPONDERS_REQUEST, responders_request) each(RESPONDER_ANSWER, responder_answer)                             \
    each(STATUS_UPDATE_CREATE, status_update_create) each(SUBSCRIBERS_CHANGE, subscribers_change)                     \
    each(ALERTS_UPDATE, alerts_update)                                                                                \
    each(ORCHESTRATION_PUT, orchestration_put) each(ORCHESTRATION_DELETE, orchestration_delete)                       \
    each(ORCHESTRATION_INTEGRATION_PUT, orchestration_integration_put)                                                \
    each(ORCHESTRATION_INTEGRATION_DELETE, orchestration_integration_delete)                                          \
    each(ORCHESTRATION_PATH_PUT, orchestration_path_put) each(ORCHESTRATION_ACTIVATE, orchestration_activate)         \
    each(MAINTENANCE_WINDOW_PUT, maintenance_window_put) each(MAINTENANCE_WINDOW_DELETE, maintenance_window_delete)   \
    each(MAINTENANCE_WINDOW_EXTEND, maintenance_window_extend) each(MUTE_PUT, mute_put) each(MUTE_END, mute_end)      \
    each(MUTE_VERDICTS, mute_verdicts) each(CHANGE_EVENT_PUT, change_event_put)      \
    each(PERSON_TEST, person_test) each(CONTACT_CODE_SEND, contact_code_send)                                         \
    each(CONTACT_CODE_GIVE, contact_code_give)                                                                        \
    each(DRILL_PUT, drill_put) each(DRILL_DELETE, drill_delete) each(DRILL_START, drill_start) \
    each(OUTER_PROBE, outer_probe)                                                                                    \
    each(LABELS_CHANGE, labels_change) each(INCIDENT_UNACKNOWLEDGE, incident_unacknowledge)

static void hand_over(struct apply *apply, const Tocsin__Command *command, Tocsin__Reply *reply)
{
#define HAND_OVER(NAME, name)                                                                                         \
    case TOCSIN__COMMAND__BODY_##NAME:                                                                                \
        apply_##name(apply, command->name, reply);                                                                    \
        break;
    switch (command->body_case) {
        COMMANDS(HAND_OVER)
    case TOCSIN__COMMAND__BODY__NOT_SET:
    default:
        assert(!"a command without a body passed decoding");
    }
#undef HAND_OVER
}

/* Under which key the reply to a command with an idempotency key is kept: one actor's keys do not meet another's. */
static struct key idempotency_key(struct apply *apply, const Tocsin__Command *command)
{
    return key_hash(apply_printf(apply, "%d/%" PRIu64 "/%s", (int)apply->actor->kind, apply->actor->id,
                                 command->idempotency_key));
}

static struct key idempotency_time_key(uint64_t at_ms, const struct key *hash)
{
    struct key key = key_1(at_ms);
    assert(key.size_bytes + hash->size_bytes <= KEY_SIZE_BYTES_MAX);
    memcpy(key.bytes + key.size_bytes, hash->bytes, hash->size_bytes);
    key.size_bytes = (uint8_t)(key.size_bytes + hash->size_bytes);
    return key;
}

static void idempotency_store(struct apply *apply, const struct key *hash, const Tocsin__IdempotentReply *expired,
                              const Tocsin__Command *command, struct span packed)
{
    const struct machine_store *store = apply->store;
    if (expired != NULL) {
        struct key old = idempotency_time_key(expired->at_ms, hash);
        store->del(store->context, TABLE_IDEMPOTENCY_BY_TIME, key_span(&old));
    }
    Tocsin__IdempotentReply row;
    tocsin__idempotent_reply__init(&row);
    row.at_ms = apply->time_ms;
    row.body_case = (uint32_t)command->body_case;
    row.reply.len = packed.size_bytes;
    row.reply.data = apply_alloc(apply, packed.size_bytes); /* the field is not const */
    if (packed.size_bytes > 0) {
        memcpy(row.reply.data, packed.data, packed.size_bytes);
    }
    record_put(store, TABLE_IDEMPOTENCY, *hash, &row.base);
    struct key by_time = idempotency_time_key(row.at_ms, hash);
    struct span empty = {.data = "", .size_bytes = 0};
    store->put(store->context, TABLE_IDEMPOTENCY_BY_TIME, key_span(&by_time), empty);
}

static struct span command_run(struct apply *apply, const Tocsin__Command *command, Tocsin__Reply *reply)
{
    hand_over(apply, command, reply);
    return output_pack(apply->output, &reply->base);
}

/* As command_run, unless the same request was answered before. */
static struct span command_run_once(struct apply *apply, const Tocsin__Command *command, Tocsin__Reply *reply)
{
    struct key hash = idempotency_key(apply, command);
    Tocsin__IdempotentReply *before = record_get(apply->store, TABLE_IDEMPOTENCY, hash,
                                                 &tocsin__idempotent_reply__descriptor, apply->arena);
    if (before != NULL && apply->time_ms - before->at_ms < IDEMPOTENCY_KEPT_MS) {
        if (before->body_case == (uint32_t)command->body_case) {
            return output_copy(apply->output,
                               (struct span){.data = before->reply.data, .size_bytes = before->reply.len});
        }
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_CONFLICT, TOCSIN__REASON__REASON_BAD_VALUE,
                     "This idempotency key was used for another kind of request.");
        return output_pack(apply->output, &reply->base);
    }
    struct span packed = command_run(apply, command, reply);
    if (reply->status == TOCSIN__STATUS__STATUS_OK) {
        idempotency_store(apply, &hash, before, command, packed);
    }
    return packed;
}

static void command_apply(struct apply *apply, struct origins *origins, const Tocsin__Command *command)
{
    const Tocsin__Origin *origin = command->origin;
    bool routed = origin != NULL && origin->node != 0;
    if (routed && !origins_admit(origins, origin) && !planted(ORIGIN_APPLIED_AGAIN)) {
        output_reply(apply->output, origin, true, (struct span){.data = NULL, .size_bytes = 0});
        return;
    }
    Tocsin__Actor cluster;
    tocsin__actor__init(&cluster);
    apply->actor = command->actor != NULL ? command->actor : &cluster;
    Tocsin__Reply reply;
    tocsin__reply__init(&reply);
    struct span packed = command->idempotency_key[0] == '\0' ? command_run(apply, command, &reply)
                                                             : command_run_once(apply, command, &reply);
    apply->output->commands_applied++;
    if (routed) {
        output_reply(apply->output, origin, false, packed);
    }
}

/* ---------------------------------------------------------------- one entry */

#define FIRST_VERSION 1u

static const Tocsin__Settings *settings_begin(struct apply *apply)
{
    Tocsin__Settings *settings = apply_alloc(apply, sizeof *settings);
    tocsin__settings__init(settings);
    settings->machine_version = FIRST_VERSION;
    settings->minute_ms = DEFAULT_MINUTE_MS;
    settings->retention_days = DEFAULT_RETENTION_DAYS;
    settings->payload_retention_days = DEFAULT_PAYLOAD_RETENTION_DAYS;
    return settings;
}

/* NULL without a row. */
static const Tocsin__Settings *settings_load(struct settings_read *read, const struct machine_store *store)
{
    struct key key = key_meta(META_SETTINGS);
    struct span row;
    if (!store->get(store->context, TABLE_META, key_span(&key), &row)) {
        return NULL;
    }
    if (read->settings == NULL || !span_equal(row, read->row)) {
        arena_reset(&read->arena);
        ProtobufCAllocator *memory = &read->arena.allocator;
        read->row = (struct span){memcpy(memory->alloc(memory->allocator_data, row.size_bytes), row.data, row.size_bytes),
                                  row.size_bytes};
        read->settings = record_unpack(&tocsin__settings__descriptor, row, memory);
    }
    return read->settings;
}

/* Counters and settings as they stand, or as they begin. True when the state is new. */
static bool globals_load(struct machine *machine, struct apply *apply)
{
    apply->counters = counters_get(apply->store, apply->arena);
    bool is_new = apply->counters == NULL;
    if (is_new) {
        apply->counters = apply_alloc(apply, sizeof *apply->counters);
        tocsin__counters__init(apply->counters);
        apply->counters->next_id = 1;
        apply->counters->next_incident_number = 1;
    }
    apply->settings = settings_load(&machine->settings_read, apply->store);
    if (apply->settings == NULL) {
        apply->settings = settings_begin(apply);
        apply->settings_changed = true;
    }
    return is_new;
}

/* Whether every command of the entry is applied under rules that this machine has: known before anything is changed. */
static bool version_suffices(const struct machine *machine, const struct apply *apply, const struct decoded_entry *decoded)
{
    uint32_t version = apply->settings->machine_version;
    for (size_t i = 0; i < decoded->entry->n_commands; i++) {
        const Tocsin__Command *command = decoded->commands[i];
        bool raises = command->body_case == TOCSIN__COMMAND__BODY_VERSION_RAISE;
        version += raises && command->version_raise->version == version + 1;
    }
    return version <= machine->version;
}

static void globals_store(struct apply *apply)
{
    apply->counters->entries_applied += planted(STATE_DEPENDS_ON_PROCESS) ? (uintptr_t)apply->store->context : 1;
    apply->counters->last_time_ms = apply->time_ms;
    record_put(apply->store, TABLE_META, key_meta(META_COUNTERS), &apply->counters->base);
    if (apply->settings_changed) {
        record_put(apply->store, TABLE_META, key_meta(META_SETTINGS), &apply->settings->base);
    }
}

enum machine_error machine_apply(struct machine *machine, const struct machine_store *store, uint64_t term,
                                 struct span data, struct machine_output *output)
{
    arena_reset(&machine->arena);
    ProtobufCAllocator *arena = &machine->arena.allocator;
    struct decoded_entry decoded;
    enum machine_error error = entry_decode(data, arena, &decoded);
    if (error != MACHINE_OK) {
        return error;
    }
    const Tocsin__Entry *entry = decoded.entry;
    struct apply apply = {.store = store,
                          .arena = arena,
                          .output = output,
                          .term = term,
                          .proposer = entry->proposer,
                          .proposer_boot = entry->proposer_boot,
                          .proposed_boottime_ms = entry->proposed_boottime_ms};
    bool is_new = globals_load(machine, &apply);
    if (!version_suffices(machine, &apply, &decoded)) {
        return MACHINE_TOO_OLD;
    }
    uint64_t last_ms = apply.counters->last_time_ms;
    apply.time_ms = entry->time_ms > last_ms ? entry->time_ms : last_ms;
    if (is_new) {
        retention_begin(&apply);
    }
    blindness_look(&apply, last_ms);
    struct origins origins = {.store = store, .allocator = arena};
    for (size_t i = 0; i < entry->n_commands; i++) {
        command_apply(&apply, &origins, decoded.commands[i]);
    }
    origins_store(&origins);
    globals_store(&apply);
    output->time_ms = apply.time_ms;
    output->next_deadline_ms = machine_next_deadline_ms(store);
    output->mutes_asked = machine_mutes_asked(store);
    output->tick_ms = signs_awaited(store) ? tick_interval_ms(apply.settings) : 0;
    return MACHINE_OK;
}

void machine_pass(const struct machine_store *store, struct machine_output *output)
{
    output->time_ms = machine_last_time_ms(store);
    output->next_deadline_ms = machine_next_deadline_ms(store);
    output->mutes_asked = machine_mutes_asked(store);
    output->tick_ms = machine_tick_ms(store);
}

bool machine_knows(struct machine *machine, struct span command)
{
    Tocsin__Command *decoded;

    arena_reset(&machine->arena);
    /* A new version is the leader's to propose, nobody else's. */
    return command_decode(command, &machine->arena.allocator, &decoded) == MACHINE_OK &&
           decoded->body_case != TOCSIN__COMMAND__BODY_VERSION_RAISE;
}

uint32_t machine_version(const struct machine_store *store)
{
    Tocsin__Settings *settings = settings_get(store, NULL);
    if (settings == NULL) {
        return FIRST_VERSION;
    }
    uint32_t version = settings->machine_version;
    tocsin__settings__free_unpacked(settings, NULL);
    return version;
}

uint64_t machine_last_time_ms(const struct machine_store *store)
{
    Tocsin__Counters *counters = counters_get(store, NULL);
    if (counters == NULL) {
        return 0;
    }
    uint64_t last_ms = counters->last_time_ms;
    tocsin__counters__free_unpacked(counters, NULL);
    return last_ms;
}

uint64_t machine_next_deadline_ms(const struct machine_store *store)
{
    static const enum machine_table BY_TIME[] = {TABLE_DEADLINE, TABLE_HEARTBEAT_DUE, TABLE_HANDOFF_DUE,
                                                TABLE_ALERT_EXPIRY};
    uint64_t first_ms = UINT64_MAX;
    for (size_t i = 0; i < sizeof BY_TIME / sizeof BY_TIME[0]; i++) {
        struct walk walk = walk_all(store, BY_TIME[i]);
        uint64_t due_ms = walk_next(&walk) ? span_number(walk.key, 0) : UINT64_MAX;
        first_ms = due_ms < first_ms ? due_ms : first_ms;
    }
    return first_ms;
}

bool machine_mutes_asked(const struct machine_store *store)
{
    struct walk walk = walk_under(store, TABLE_HELD, HELD_FOR_ANSWER);
    return walk_next(&walk);
}

uint64_t machine_tick_ms(const struct machine_store *store)
{
    if (!signs_awaited(store)) {
        return 0;
    }
    Tocsin__Settings *settings = settings_get(store, NULL);
    if (settings == NULL) {
        return 0; /* written with the first entry: a store with a fault, which its caller looks for */
    }
    uint64_t interval_ms = tick_interval_ms(settings);
    tocsin__settings__free_unpacked(settings, NULL);
    return interval_ms;
}
