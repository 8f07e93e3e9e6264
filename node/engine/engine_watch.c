/* Nodes watch each other: what each says of itself, and the leader's looks at what it hears (conditions.h). */
#include <inttypes.h>
#include <string.h>

#include "consensus/machine/base/siphash.h"
#include "consensus/machine/limits.h"
#include "consensus/machine/planted.h"
#include "node/engine/engine_internal.h"
#include "node/log.h"
#include "node/version.h"
#include "notify/channel.h"

#define LOOKS_PER_MINUTE 6u
#define LOOK_INTERVAL_MS_MIN 1000u /* nodes speak once a second */
#define HEARD_WITHIN_MS 3000u      /* of three reports one came through */

/* ---- what this node says of itself */

static uint64_t code_hash(const struct engine *engine) {
    static const uint8_t key[16];
    char text[64];
    uint8_t hash[SIPHASH_SIZE_BYTES];
    int length = snprintf(text, sizeof text, "%s, rules %u", TOCSIN_VERSION, (unsigned)engine->machine_version);
    siphash(key, text, (size_t)length, hash);
    uint64_t value;
    memcpy(&value, hash, sizeof value);
    return value | 1; /* 0 says that it is not known */
}

void engine_vitals_open(struct engine *engine, uint64_t zones) {
    engine->vitals = (struct vitals){.code = code_hash(engine), .zones = zones};
    unsigned bit = 0;
    for (const struct channel *const *channel = channels_all(); *channel != NULL; channel++, bit++)
        if ((*channel)->missing(&engine->config->notify) == NULL) engine->vitals.providers |= UINT64_C(1) << bit;
}

struct vitals engine_vitals(const struct engine *engine) {
    struct vitals vitals = engine->vitals;
    engine->ports.disk(engine->ports.context, &vitals.disk_free_bytes, &vitals.disk_total_bytes);
    vitals.providers_refused = engine_probes_refused(engine);
    vitals.providers_failing = engine_probes_failing(engine);
    vitals.providers_working = engine_probes_working(engine);
    return vitals;
}

void engine_vitals_put(const struct vitals *vitals, uint8_t out[ENGINE_VITALS_SIZE_BYTES]) {
    wire_put_u64(out, vitals->disk_free_bytes);
    wire_put_u64(out + 8, vitals->disk_total_bytes);
    wire_put_u64(out + 16, vitals->code);
    wire_put_u64(out + 24, vitals->zones);
    wire_put_u64(out + 32, vitals->providers);
    wire_put_u64(out + 40, vitals->providers_refused);
    wire_put_u64(out + 48, vitals->providers_failing);
    wire_put_u64(out + 56, vitals->providers_working);
}

struct vitals engine_vitals_read(struct wire_reader *reader) {
    struct vitals vitals = {.disk_free_bytes = wire_read_u64(reader)};
    vitals.disk_total_bytes = wire_read_u64(reader);
    vitals.code = wire_read_u64(reader);
    vitals.zones = wire_read_u64(reader);
    vitals.providers = wire_read_u64(reader);
    vitals.providers_refused = wire_read_u64(reader);
    vitals.providers_failing = wire_read_u64(reader);
    vitals.providers_working = wire_read_u64(reader);
    return vitals;
}

/* ---- the leader's look */

static struct member_facts facts_of(struct engine *engine, const struct raft_server *server) {
    struct member_facts facts = {.id = server->id, .voter = server->role == RAFT_VOTER};
    if (server->id == engine->config->id) {
        facts.heard = facts.clock_known = true;
        facts.vitals = engine_vitals(engine);
        return facts;
    }
    uint64_t boottime_ms = engine_boottime_ms(engine), applied_index = engine->progress.applied_index;
    for (unsigned i = 0; i < engine->reports_count; i++) {
        const struct peer_report *report = &engine->reports[i];
        if (report->id != server->id || boottime_ms - report->at_boottime_ms > HEARD_WITHIN_MS) continue;
        facts.heard = true;
        facts.vitals = report->vitals;
        facts.behind_entries = applied_index > report->applied_index ? applied_index - report->applied_index : 0;
        /* A learner is behind because it has just come. */
        facts.lags = server->role == RAFT_VOTER && report->applied_index < engine->watch.applied_before[0];
        facts.clock_known = cluster_clock_offset(&engine->clock, server->id, boottime_ms, &facts.clock_offset_ms);
    }
    return facts;
}

/* Refused only when a million incidents are open; not committed when this node does not lead any more. The next look tells again. */
static void submit_notice(void *context, const struct condition_notice *notice) {
    struct engine *engine = context;
    log_warning("%s%s", notice->ended ? "over: " : "", notice->summary);
    Tocsin__ClusterNotice message = TOCSIN__CLUSTER_NOTICE__INIT;
    message.key = (char *)(uintptr_t)notice->key; /* packed at once, not changed */
    message.summary = (char *)(uintptr_t)notice->summary;
    message.severity = notice->severity;
    message.ended = notice->ended;
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_CLUSTER_NOTICE;
    command.cluster_notice = &message;
    proposer_submit_own(engine->proposer, &command);
}

/* A leader whose every provider refuses it or has failed it for minutes sends nothing: a voter that one of them takes pages from shall lead. */
static void hand_over_when_shut(struct engine *engine, const struct member_facts *members, size_t count) {
    bool shut = engine_probes_working(engine) == 0 && (engine_probes_failing(engine) | engine_probes_refused(engine)) != 0;
    if (!shut || planted(SHUT_LEADER_STAYS)) return;
    uint64_t now_ms = engine_now_ms(engine), term = engine->watch.term;
    uint64_t id = provider_successor(&engine->handed_over, term, members, count, engine->config->id, engine->config->minute_ms, now_ms);
    if (id == 0 || driver_transfer(engine->driver, id) != DRIVER_OK) return;
    engine->handed_over = (struct provider_hand_over){.at_ms = now_ms, .term = term, .to = id};
    log_warning("this node leads and reaches no provider: node %" PRIu64 ", which does, shall lead", id);
}

/*
 * A leader's own disk may be slower than those of the others, or hang: they hear it and commit what it proposes, and it applies that too late
 * to send a page, for a claim is good for CLAIM_VALID_MS. Whoever keeps up with it best shall lead. When it leads again, since that one died, it lets
 * the next one lead after a minute: it sends nothing meanwhile.
 */
static void hand_over_when_slow(struct engine *engine) {
    uint64_t now_ms = engine_now_ms(engine), applied_index = engine->progress.applied_index;
    uint64_t commit_index = driver_commit_index(engine->driver);
    bool leads = driver_role(engine->driver) == DRIVER_LEADER;
    if (!leads || applied_index >= engine->behind_index) {
        engine->behind_index = leads && commit_index > applied_index ? commit_index : 0;
        engine->behind_since_ms = now_ms;
        return;
    }
    if (now_ms - engine->behind_since_ms < CLAIM_VALID_MS || planted(SLOW_LEADER_STAYS)) return;
    bool again = engine->handed_over_slow_ms == 0 || now_ms - engine->handed_over_slow_ms >= engine->config->minute_ms;
    if (!again || driver_transfer(engine->driver, 0) != DRIVER_OK) return;
    engine->handed_over_slow_ms = now_ms;
    log_warning("this node leads and has not applied for %" PRIu64 " ms what the others committed: whoever keeps up shall lead", now_ms - engine->behind_since_ms);
}

static void look(void *argument, const struct machine_store *view) {
    struct engine *engine = argument;
    struct engine_watch *watch = &engine->watch;
    const struct raft_configuration *configuration = driver_configuration(engine->driver);
    struct member_facts members[MEMBERS_MAX];
    size_t count = 0;
    for (unsigned i = 0; i < configuration->n && count < MEMBERS_MAX; i++) members[count++] = facts_of(engine, &configuration->servers[i]);
    Tocsin__NodeConditions *known = node_conditions_get(view, NULL);
    conditions_look(&watch->conditions, members, count, engine->config->id, known, engine->config->minute_ms, watch->interval_ms,
                    engine_now_ms(engine), submit_notice, engine);
    const struct engine_certificates *certificates = &engine->certificates;
    provider_conditions_look(&watch->providers, members, count, engine->config->id, known, engine->config->minute_ms, engine_now_ms(engine), submit_notice, engine);
    certificates_look(certificates->list, certificates->count, known, engine_cluster_ms(engine), submit_notice, engine);
    if (known != NULL) tocsin__node_conditions__free_unpacked(known, NULL);
    hand_over_when_shut(engine, members, count);
    memmove(watch->applied_before, watch->applied_before + 1, sizeof watch->applied_before - sizeof watch->applied_before[0]);
    watch->applied_before[ENGINE_WATCH_LOOKS - 1] = engine->progress.applied_index;
}

void engine_watch_turn(struct engine *engine, uint64_t term) {
    struct engine_watch *watch = &engine->watch;
    hand_over_when_slow(engine);
    if (term == 0 || engine->failed) return;
    uint64_t now_ms = engine_now_ms(engine);
    if (term != watch->term) *watch = (struct engine_watch){.term = term, .looked_ms = now_ms};
    watch->interval_ms = engine->config->minute_ms / LOOKS_PER_MINUTE;
    if (watch->interval_ms < LOOK_INTERVAL_MS_MIN) watch->interval_ms = LOOK_INTERVAL_MS_MIN;
    if (now_ms - watch->looked_ms < watch->interval_ms) return;
    watch->looked_ms = now_ms;
    engine_gasp_look(engine, look, engine);
}

size_t engine_watch_unheard(const struct engine *engine, Tocsin__UnheardMember unheard[MEMBERS_MAX]) {
    const struct raft_configuration *configuration = driver_configuration(engine->driver);
    uint64_t boottime_ms = engine->ports.boottime_ms(engine->ports.context);
    size_t count = 0;
    for (unsigned i = 0; i < configuration->n && count < MEMBERS_MAX; i++) {
        uint64_t id = configuration->servers[i].id, silent_ms = 0;
        bool heard = id == engine->config->id;
        for (unsigned j = 0; j < engine->reports_count; j++) {
            if (engine->reports[j].id != id) continue;
            silent_ms = boottime_ms - engine->reports[j].at_boottime_ms;
            heard |= silent_ms <= HEARD_WITHIN_MS;
        }
        if (heard) continue;
        tocsin__unheard_member__init(&unheard[count]);
        unheard[count].id = id;
        unheard[count++].silent_ms = silent_ms;
    }
    return count;
}

/* ---- what operators see */

static void add_conditions(void *argument, const struct machine_store *view) {
    Tocsin__NodeConditions *known = node_conditions_get(view, NULL);
    for (size_t i = 0; known != NULL && i < known->n_conditions; i++)
        json_array_append_new(argument, json_pack("{s:s, s:s, s:I}", "key", known->conditions[i]->key, "summary", known->conditions[i]->summary,
                                                  "since_ms", (json_int_t)known->conditions[i]->since_ms));
    if (known != NULL) tocsin__node_conditions__free_unpacked(known, NULL);
}

json_t *engine_conditions_json(struct engine *engine) {
    json_t *conditions = json_array();
    if (!engine->failed) engine_gasp_look(engine, add_conditions, conditions);
    return conditions;
}
