/*
 * What somebody with a shell on this machine needs to know at night, whatever else is gone: from this node's own memory and state alone, without a
 * leader, a token or a name server. And a page to a guardian from here, by hand.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/arena.h"
#include "consensus/machine/base/ids.h"
#include "consensus/machine/schedules/schedules.h"
#include "consensus/members.h"
#include "node/engine/engine_internal.h"
#include "node/log.h"

#define INCIDENTS_SHOWN 20u
#define SCHEDULES_SHOWN 50u
#define GUARDIANS_LEAST 2u
#define GUARDIAN_WAYS_LEAST 2u
#define WARNED_EVERY_MS (10u * 60 * 1000)

/* ---- what the configuration lacks for the worst night */

const char *engine_guardians_fault(const struct engine *engine) {
    const struct config *config = engine->config;
    unsigned whole = 0;
    for (unsigned i = 0; i < config->guardians_count; i++) whole += config->guardians[i].contacts_count >= GUARDIAN_WAYS_LEAST;
    if (config->guardians_count == 0) return "No guardian is configured: when nobody answers, and when the cluster itself is sick, nobody hears of it.";
    if (config->guardians_count < GUARDIANS_LEAST) return "Only one guardian is configured: let there be two, with two ways of telling each.";
    return whole < GUARDIANS_LEAST ? "Fewer than two guardians have two ways of being told: one provider that fails silences them." : NULL;
}

/* NULL, or what this node lacks when it must find out whether somebody else still leads. A node that joined has no such sections of its peers. */
static const char *addresses_fault(const struct engine *engine) {
    const struct config *config = engine->config;
    unsigned others = 0, known = 0;
    for (unsigned i = 0; i < config->members_count; i++) {
        if (config->members[i].id == config->id) continue;
        others++;
        known += config->members[i].public_url != NULL;
    }
    if (known == others) return NULL;
    return known == 0 ? "No other member's public_url is in this node's configuration: cut off from its peers alone, it pages as DEGRADED although they go "
                        "on, for it cannot ask them. Set public_url in each [member.ID]."
                      : "Not every other member's public_url is in this node's configuration: cut off from its peers alone, it may page as DEGRADED although "
                        "they go on. Set public_url in each [member.ID].";
}

void engine_configuration_warn(struct engine *engine) {
    uint64_t now_ms = engine_now_ms(engine);
    const char *faults[] = {engine_guardians_fault(engine), addresses_fault(engine)};
    if (engine->configuration_warned_ms != 0 && now_ms - engine->configuration_warned_ms < WARNED_EVERY_MS) return;
    engine->configuration_warned_ms = now_ms;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        if (faults[i] != NULL) log_warning("%s", faults[i]);
}

/* ---- what the state says */

struct looking {
    json_t *report;
    uint64_t cluster_ms;
};

static json_t *names_of(const struct machine_store *view, ProtobufCAllocator *arena, const Tocsin__Incident *incident) {
    json_t *names = json_array();
    for (size_t i = 0; i < incident->n_assignments; i++) {
        const Tocsin__User *user = user_get(view, incident->assignments[i]->user_id, arena);
        if (user != NULL) json_array_append_new(names, json_string(user->name));
    }
    return names;
}

static void look_at_incidents(const struct machine_store *view, struct arena *memory, json_t *report) {
    ProtobufCAllocator *arena = &memory->allocator;
    json_t *shown = json_array();
    uint64_t open = 0, triggered = 0;
    struct walk walk = walk_all_backward(view, TABLE_INCIDENT_OPEN);
    while (walk_next(&walk)) {
        open++;
        arena_reset(memory); /* there may be a million */
        const Tocsin__Incident *incident = incident_get(view, span_number(walk.key, 0), arena);
        if (incident == NULL) continue;
        bool is_triggered = incident->status == TOCSIN__INCIDENT_STATUS__INCIDENT_TRIGGERED;
        triggered += is_triggered;
        if (json_array_size(shown) == INCIDENTS_SHOWN) continue;
        char id[16];
        id_format(incident->id, id);
        const Tocsin__Service *service = service_get(view, incident->service_id, arena);
        json_t *one = json_pack("{s:s, s:I, s:s, s:s, s:s, s:s}", "id", id, "number", (json_int_t)incident->number, "title", incident->title, "service",
                                service != NULL ? service->name : "", "status", is_triggered ? "triggered" : "acknowledged", "urgency",
                                incident->urgency == TOCSIN__URGENCY__URGENCY_LOW ? "low" : "high");
        json_object_set_new(one, "assigned", names_of(view, arena, incident));
        json_array_append_new(shown, one);
    }
    json_object_set_new(report, "open_incidents", json_integer((json_int_t)open));
    json_object_set_new(report, "unacknowledged_incidents", json_integer((json_int_t)triggered));
    json_object_set_new(report, "incidents", shown);
}

static void look_at_schedules(const struct machine_store *view, ProtobufCAllocator *arena, uint64_t cluster_ms, json_t *report) {
    json_t *shown = json_array();
    struct walk walk = walk_all(view, TABLE_SCHEDULE);
    while (json_array_size(shown) < SCHEDULES_SHOWN && walk_next(&walk)) {
        const Tocsin__Schedule *schedule = record_unpack(&tocsin__schedule__descriptor, walk.value, arena);
        if (schedule == NULL) continue;
        Tocsin__OnCall on_call = schedule_on_call(view, schedule->id, cluster_ms);
        const Tocsin__User *user = on_call.user_id != 0 ? user_get(view, on_call.user_id, arena) : NULL;
        json_t *one = json_pack("{s:s}", "schedule", schedule->name);
        json_object_set_new(one, "user", user != NULL ? json_string(user->name) : json_null());
        json_array_append_new(shown, one);
    }
    json_object_set_new(report, "on_call", shown);
}

static void look(void *argument, const struct machine_store *view) {
    struct looking *looking = argument;
    struct arena arena;
    arena_init(&arena);
    look_at_incidents(view, &arena, looking->report);
    arena_reset(&arena);
    look_at_schedules(view, &arena.allocator, looking->cluster_ms, looking->report);
    json_object_set_new(looking->report, "owed_pages", json_integer((json_int_t)view->count(view->context, TABLE_OUTBOX)));
    arena_close(&arena);
}

/* ---- the next step to take */

static __attribute__((format(printf, 2, 3))) void advise(json_t *steps, const char *format, ...) {
    char sentence[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    json_array_append_new(steps, json_string(sentence));
}

static void advise_majority(struct engine *engine, json_t *steps) {
    const struct raft_configuration *configuration = driver_configuration(engine->driver);
    const struct raft_server *lost[ENGINE_PEERS_MAX];
    unsigned voters = 0, lost_count = 0;
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct raft_server *server = &configuration->servers[i];
        if (server->role != RAFT_VOTER) continue;
        voters++;
        bool connected = server->id == engine->config->id || engine->ports.connected(engine->ports.context, server->id);
        if (!connected && lost_count < ENGINE_PEERS_MAX) lost[lost_count++] = server;
    }
    advise(steps, "There is no leader: %u of %u voters hear each other from here, %u are needed. Until then events are refused with 503, and their senders try again.",
           voters - lost_count, voters, voters / 2 + 1);
    for (unsigned i = 0; i < lost_count; i++)
        advise(steps, "Start node %llu, or repair the way to it (%s).", (unsigned long long)lost[i]->id, lost[i]->address);
}

/* Who pages meanwhile. */
static void advise_gasp(struct engine *engine, json_t *steps) {
    struct last_gasp_status gasp = last_gasp_status(engine->gasp);
    const char *url = engine->config->public_url;
    switch (gasp.standing) {
    case GASP_LED:
        return;
    case GASP_WAITING:
        if (gasp.after_ms > gasp.waited_ms)
            advise(steps, "In %llu s this node decides whether it pages on its own. Sooner, by hand: tocsin page --local all \"...\".",
                   (unsigned long long)((gasp.after_ms - gasp.waited_ms) / 1000));
        return;
    case GASP_SILENT:
        advise(steps, "This node does not page on its own: %s. If no other node does (tocsin doctor there), page by hand: tocsin page --local all \"...\".", gasp.why);
        return;
    case GASP_DEFERS:
        advise(steps, "Node %llu pages on its own (DEGRADED). Acknowledge there or here: tocsin --url %s ack ID.", (unsigned long long)gasp.speaker, url);
        return;
    case GASP_SPEAKS:
        advise(steps, "This node pages on its own (DEGRADED). Acknowledge here: tocsin --url %s ack ID.", url);
        return;
    }
}

static void advise_providers(struct engine *engine, json_t *steps) {
    unsigned place = 0;
    for (const struct channel *const *channel = channels_all(); *channel != NULL; channel++, place++) {
        const char *missing = (*channel)->missing(&engine->config->notify), *why;
        if (missing != NULL) advise(steps, "Provider %s cannot be used by this node: %s", (*channel)->provider, missing);
        const char *standing = engine_probes_standing(engine, place, &why);
        if (missing == NULL && why != NULL && (place == 0 || (*channel)->probe != channel[-1]->probe))
            advise(steps, "Provider %s %s when this node asks it: %s.", (*channel)->provider, standing, why);
    }
}

/* What the log has beyond the state was perhaps committed: without a leader nobody here knows. A state that was lost is all beyond it. */
static bool is_incomplete(struct engine *engine) {
    return engine->recovering_index != 0 || (!engine_hears_leader(engine) && engine->progress.applied_index < driver_status(engine->driver).last_index);
}

static json_t *next_steps(struct engine *engine, const json_t *report) {
    json_t *steps = json_array();
    if (engine->failed)
        advise(steps, "This node takes no part any more: %s. Repair that (is the disk full? df -h %s), then systemctl restart tocsind; the others go on without it.",
               engine->failure, engine->config->data_dir);
    if (engine->removed) advise(steps, "This node was removed from the cluster: set a new one up under a new id.");
    if (!engine->failed && !engine_hears_leader(engine)) advise_majority(engine, steps);
    if (!engine->failed) advise_gasp(engine, steps);
    if (is_incomplete(engine))
        advise(steps, "The state here ends with entry %llu, the log with %llu: what came between is shown when there is a leader. Another node may know: tocsin doctor there.",
               (unsigned long long)engine->progress.applied_index, (unsigned long long)driver_status(engine->driver).last_index);
    json_int_t triggered = json_integer_value(json_object_get(report, "unacknowledged_incidents"));
    if (triggered > 0)
        advise(steps, "Not acknowledged: %lld of the incidents above. tocsin --url %s incidents, then ack ID.", (long long)triggered, engine->config->public_url);
    if (json_object_get(report, "open_incidents") == NULL)
        advise(steps, "This node cannot read its state: what is open, owed and who is on call is not known here. Ask another node: tocsin doctor there.");
    if (engine_hears_leader(engine) && !cluster_clock_agreed(&engine->clock, engine_boottime_ms(engine)))
        advise(steps, "The members' wall clocks do not agree: look at their time synchronisation.");
    const char *guardians = engine_guardians_fault(engine);
    if (guardians != NULL) advise(steps, "%s", guardians);
    const char *addresses = addresses_fault(engine);
    if (addresses != NULL) advise(steps, "%s", addresses);
    advise_providers(engine, steps);
    if (json_array_size(steps) == 0) advise(steps, "Nothing: the cluster has a leader, and nobody waits for anybody.");
    return steps;
}

json_t *engine_doctor(struct engine *engine) {
    struct api_ports ports = engine_api_ports(engine);
    json_t *report = ports.cluster(ports.context);
    struct looking looking = {.report = report, .cluster_ms = engine_cluster_ms(engine)};
    engine_gasp_look(engine, look, &looking);
    json_object_set_new(report, "incomplete", json_boolean(is_incomplete(engine)));
    json_object_set_new(report, "next", next_steps(engine, report));
    return report;
}

/* ---- a page by hand */

static bool is_meant(const struct config_guardian *guardian, const char *name) { return strcmp(name, guardian->name) == 0 || strcmp(name, "all") == 0; }

size_t engine_guardian_ways(const struct engine *engine, const char *name) {
    size_t ways = 0;
    for (unsigned g = 0; g < engine->config->guardians_count; g++)
        if (is_meant(&engine->config->guardians[g], name)) ways += engine->config->guardians[g].contacts_count;
    return ways;
}

void engine_page_guardians(struct engine *engine, const char *name, const char *text, last_gasp_paged paged, void *context) {
    for (unsigned g = 0; g < engine->config->guardians_count; g++) {
        const struct config_guardian *guardian = &engine->config->guardians[g];
        if (!is_meant(guardian, name)) continue;
        for (unsigned c = 0; c < guardian->contacts_count; c++) {
            Tocsin__Notification notification = TOCSIN__NOTIFICATION__INIT;
            notification.user_name = guardian->name;
            notification.guardian = notification.by_hand = true;
            notification.channel = (Tocsin__Channel)guardian->contacts[c].channel;
            notification.address = guardian->contacts[c].address;
            notification.title = (char *)(uintptr_t)text;
            notification.claim_node = engine->config->id;
            last_gasp_page(engine->gasp, &notification, paged, context);
        }
    }
}
