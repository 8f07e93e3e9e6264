/* What handlers stand on and what operators see: the engine behind api_ports. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/engine/engine_internal.h"
#include "node/log.h"
#include "node/version.h"
#include "notify/channel.h"

/* Log bytes not yet on disk, and entries not yet applied, beyond which requests are refused: the disk does not keep up. */
#define LOG_QUEUE_SIZE_BYTES_MAX (64u << 20)
#define STATE_QUEUE_ENTRIES_MAX 4096

/* ---- commands */

/* Of all that are owed, so that none outlives the engine; the first member of what it stands for. */
struct owed_answer {
    struct owed_answer *next, **link;
    Tocsin__Command *kept; /* of the last gasp: a copy of what it takes when it cannot be committed; NULL otherwise */
};

static void answer_link(struct engine *engine, struct owed_answer *owed) {
    owed->next = engine->owed_answers;
    owed->link = &engine->owed_answers;
    if (owed->next != NULL) owed->next->link = &owed->next;
    engine->owed_answers = owed;
}

static void answer_unlink(struct owed_answer *owed) {
    *owed->link = owed->next;
    if (owed->next != NULL) owed->next->link = owed->link;
}

void engine_view_close(struct engine *engine) {
    free(engine->later_reads);
    for (struct owed_answer *owed = engine->owed_answers, *next; owed != NULL; owed = next) {
        next = owed->next;
        if (owed->kept != NULL) tocsin__command__free_unpacked(owed->kept, NULL);
        free(owed);
    }
}

struct submission {
    struct owed_answer owed; /* first */
    struct engine *engine;
    void (*done)(void *argument, enum submit_outcome outcome, const Tocsin__Reply *reply);
    void *argument;
};

/* There is no majority: the answer says that it is kept by this node until there is one. */
static bool answered_locally(const struct submission *submission) {
    if (submission->owed.kept == NULL || !engine_gasp_keep(submission->engine, submission->owed.kept)) return false;
    Tocsin__Reply reply = TOCSIN__REPLY__INIT;
    reply.reason = TOCSIN__REASON__REASON_KEPT_LOCALLY;
    submission->done(submission->argument, SUBMIT_APPLIED, &reply);
    return true;
}

static void submission_done(void *argument, enum proposal_outcome outcome, struct span reply) {
    struct submission submission = *(struct submission *)argument;
    answer_unlink(argument);
    free(argument);
    bool local = outcome == PROPOSAL_UNAVAILABLE && answered_locally(&submission);
    if (submission.owed.kept != NULL) tocsin__command__free_unpacked(submission.owed.kept, NULL);
    if (local) return;
    static const enum submit_outcome outcomes[] = {[PROPOSAL_APPLIED] = SUBMIT_APPLIED,
                                                   [PROPOSAL_UNAVAILABLE] = SUBMIT_UNAVAILABLE,
                                                   [PROPOSAL_OVERLOADED] = SUBMIT_OVERLOADED,
                                                   [PROPOSAL_TOO_LARGE] = SUBMIT_TOO_LARGE,
                                                   [PROPOSAL_STOPPED] = SUBMIT_STOPPED};
    if (outcome != PROPOSAL_APPLIED) {
        submission.done(submission.argument, outcomes[outcome], NULL);
        return;
    }
    Tocsin__Reply *unpacked = tocsin__reply__unpack(NULL, reply.size_bytes, reply.data);
    if (unpacked == NULL) abort();
    submission.done(submission.argument, SUBMIT_APPLIED, unpacked);
    tocsin__reply__free_unpacked(unpacked, NULL);
}

static Tocsin__Command *copy_of(const Tocsin__Command *command) {
    size_t size_bytes = tocsin__command__get_packed_size(command);
    uint8_t *packed = malloc(size_bytes + 1);
    if (packed == NULL) abort();
    tocsin__command__pack(command, packed);
    Tocsin__Command *copy = tocsin__command__unpack(NULL, size_bytes, packed);
    if (copy == NULL) abort();
    free(packed);
    return copy;
}

static void port_submit(void *context, Tocsin__Command *command,
                        void (*done)(void *argument, enum submit_outcome outcome, const Tocsin__Reply *reply), void *argument) {
    struct engine *engine = context;
    struct submission *submission = malloc(sizeof *submission);
    if (submission == NULL) abort();
    *submission = (struct submission){.engine = engine, .done = done, .argument = argument};
    if (engine_gasp_takes(engine, command)) submission->owed.kept = copy_of(command);
    answer_link(engine, &submission->owed);
    uint64_t now_ms = engine_now_ms(engine);
    /* Without a majority for so long, waiting for one helps nobody. */
    bool behind = last_gasp_is_on(engine->gasp) || engine->log_queued_bytes > LOG_QUEUE_SIZE_BYTES_MAX ||
                  engine->progress.queued_entries > STATE_QUEUE_ENTRIES_MAX;
    /* Beyond the bounds a command is given no time at all: the answer, 503, still comes later and once. */
    proposer_submit(engine->proposer, command, now_ms + (behind ? 0 : engine->config->request_wait_ms), submission_done, submission);
}

/* ---- reads */

struct reading {
    struct owed_answer owed; /* first */
    struct engine *engine;
    void (*done)(void *argument, const struct machine_store *view, bool stale);
    void *argument;
};

static void read_now(struct engine *engine, bool stale, void (*done)(void *, const struct machine_store *, bool), void *argument) {
    struct state_reader reader;
    struct storage_failure failure;
    if (engine->ports.reader_begin(engine->ports.context, &reader, &failure) != STORAGE_OK) {
        engine_fail(engine, failure.message);
        done(argument, NULL, true);
        return;
    }
    done(argument, &reader.view, stale);
    enum storage_error fault = engine->ports.reader_fault(engine->ports.context, &reader, &failure);
    engine->ports.reader_end(engine->ports.context, &reader);
    if (fault != STORAGE_OK) engine_fail(engine, failure.message);
}

static void reading_done(void *argument, bool stale) {
    struct reading reading = *(struct reading *)argument;
    answer_unlink(argument);
    free(argument);
    read_now(reading.engine, stale, reading.done, reading.argument);
}

static void port_read(void *context, bool current, void (*done)(void *argument, const struct machine_store *view, bool stale),
                      void *argument) {
    struct engine *engine = context;
    if (!current || engine->failed) {
        read_now(engine, engine->failed, done, argument);
        return;
    }
    struct reading *reading = malloc(sizeof *reading);
    if (reading == NULL) abort();
    *reading = (struct reading){.engine = engine, .done = done, .argument = argument};
    answer_link(engine, &reading->owed);
    read_barrier_wait(engine->reads, reading_done, reading);
}

static void port_read_later(void *context, void (*done)(void *argument, const struct machine_store *view, bool stale),
                            void *argument) {
    struct engine *engine = context;
    if (engine->later_reads_count == engine->later_reads_capacity) {
        engine->later_reads_capacity = engine->later_reads_capacity ? 2 * engine->later_reads_capacity : 8;
        engine->later_reads = realloc(engine->later_reads, engine->later_reads_capacity * sizeof *engine->later_reads);
        if (engine->later_reads == NULL) abort();
    }
    engine->later_reads[engine->later_reads_count++] = (struct later_read){done, argument};
}

void engine_later_reads_turn(struct engine *engine) {
    struct later_read *reads = engine->later_reads;
    size_t count = engine->later_reads_count;
    engine->later_reads = NULL; /* what is asked for meanwhile is the next turn's */
    engine->later_reads_count = engine->later_reads_capacity = 0;
    for (size_t i = 0; i < count; i++) read_now(engine, engine->failed, reads[i].done, reads[i].argument);
    free(reads);
}

static bool port_caught_up(void *context) {
    struct engine *engine = context;
    return engine->progress.committed_index >= engine->progress.applied_index;
}

static void port_random(void *context, void *buffer, size_t size_bytes) {
    struct engine *engine = context;
    engine->ports.random(engine->ports.context, buffer, size_bytes);
}

/* ---- operators */

static const char *role_name(enum driver_role role) {
    static const char *const names[] = {[DRIVER_UNAVAILABLE] = "unavailable", [DRIVER_FOLLOWER] = "follower",
                                        [DRIVER_CANDIDATE] = "candidate", [DRIVER_LEADER] = "leader"};
    return names[role];
}

static json_t *member_json(struct engine *engine, const struct driver_status *status, const struct raft_server *server) {
    static const char *const roles[] = {[RAFT_STANDBY] = "learner", [RAFT_VOTER] = "voter", [RAFT_SPARE] = "spare"};
    bool self = server->id == engine->config->id;
    uint64_t boottime_ms = engine_boottime_ms(engine);
    json_t *member = json_pack("{s:I, s:s, s:s}", "id", (json_int_t)server->id, "address", server->address, "role", roles[server->role]);
    uint64_t match_index;
    json_t *progress = json_null();
    if (status->role == DRIVER_LEADER && driver_match_index(engine->driver, server->id, &match_index))
        progress = json_integer((json_int_t)match_index);
    json_object_set_new(member, "match_index", progress);
    json_t *applied = self ? json_integer((json_int_t)engine->progress.applied_index) : json_null();
    json_t *version = self ? json_integer(engine->machine_version) : json_null();
    for (unsigned i = 0; i < engine->reports_count && !self; i++) {
        if (engine->reports[i].id != server->id) continue;
        json_decref(applied);
        json_decref(version);
        applied = json_integer((json_int_t)engine->reports[i].applied_index);
        version = json_integer((json_int_t)engine->reports[i].machine_version);
    }
    json_object_set_new(member, "applied_index", applied);
    json_object_set_new(member, "version", version);
    int64_t offset_ms = 0;
    bool known = self || cluster_clock_offset(&engine->clock, server->id, boottime_ms, &offset_ms);
    json_object_set_new(member, "clock_offset_ms", known ? json_integer((json_int_t)offset_ms) : json_null());
    json_object_set_new(member, "catching_up", json_boolean(driver_catching_up(engine->driver, server->id) == DRIVER_CATCH_UP_RUNNING));
    json_object_set_new(member, "connected", json_boolean(self || engine->ports.connected(engine->ports.context, server->id)));
    return member;
}

static json_t *providers_json(struct engine *engine) {
    json_t *providers = json_array();
    unsigned place = 0;
    for (const struct channel *const *channel = channels_all(); *channel != NULL; channel++, place++) {
        const char *missing = (*channel)->missing(&engine->config->notify), *why, *standing = engine_probes_standing(engine, place, &why);
        json_t *provider = json_pack("{s:s, s:b, s:s}", "provider", (*channel)->provider, "usable", missing == NULL, "probe", standing);
        json_object_set_new(provider, "missing", missing != NULL ? json_string(missing) : json_null());
        json_object_set_new(provider, "why", why != NULL ? json_string(why) : json_null());
        json_array_append_new(providers, provider);
    }
    return providers;
}

static json_t *port_cluster(void *context) {
    struct engine *engine = context;
    struct driver_status status = driver_status(engine->driver);
    /* One that was not heard for a while is none: a node that is recovering has no tick that would forget it, and peers that are cut off ask here. */
    uint64_t leader_id = status.role == DRIVER_LEADER ? engine->config->id : status.leader_id;
    if (!engine_hears_leader(engine)) leader_id = 0;
    json_t *cluster = json_pack("{s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:s}", "id", (json_int_t)engine->config->id, "cluster",
                                engine->config->cluster_name, "role", engine->removed ? "removed" : engine->failed ? "failed" : role_name(status.role), "term",
                                (json_int_t)status.term, "commit_index", (json_int_t)status.commit_index, "applied_index",
                                (json_int_t)engine->progress.applied_index, "durable_index", (json_int_t)engine->progress.durable_index,
                                "version", TOCSIN_VERSION);
    /* Before all lists: who asks for it may hear only the beginning. */
    json_object_set_new(cluster, "leader", leader_id != 0 ? json_integer((json_int_t)leader_id) : json_null());
    json_object_set_new(cluster, "ready", json_boolean(engine_leading_term(engine) != 0));
    json_object_set_new(cluster, "failure", engine->failed ? json_string(engine->failure) : json_null());
    json_object_set_new(cluster, "time_ms", json_integer((json_int_t)cluster_clock_now(&engine->clock, engine_wall_ms(engine), engine_boottime_ms(engine))));
    json_object_set_new(cluster, "clocks_agree", json_boolean(cluster_clock_agreed(&engine->clock, engine_boottime_ms(engine))));
    const struct raft_configuration *configuration = driver_configuration(engine->driver);
    json_t *members = json_array();
    for (unsigned i = 0; i < configuration->n; i++)
        json_array_append_new(members, member_json(engine, &status, &configuration->servers[i]));
    json_object_set_new(cluster, "members", members);
    json_object_set_new(cluster, "providers", providers_json(engine));
    struct dispatcher_statistics told = dispatcher_statistics(engine->dispatcher);
    json_object_set_new(cluster, "notifications",
                        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "sent", (json_int_t)told.sent, "retried",
                                  (json_int_t)told.retried, "failed", (json_int_t)told.failed, "unknown", (json_int_t)told.unknown,
                                  "reclaimed", (json_int_t)told.reclaimed, "waiting", (json_int_t)told.waiting, "under_way",
                                  (json_int_t)told.under_way));
    uint64_t log_size_bytes, state_size_bytes;
    engine->ports.sizes(engine->ports.context, &log_size_bytes, &state_size_bytes);
    json_object_set_new(cluster, "conditions", engine_conditions_json(engine));
    json_object_set_new(cluster, "storage",
                        json_pack("{s:I, s:I, s:I, s:I}", "log_size_bytes", (json_int_t)log_size_bytes, "state_size_bytes",
                                  (json_int_t)state_size_bytes, "log_first_index", (json_int_t)status.first_index, "log_last_index", (json_int_t)status.last_index));
    json_object_set_new(cluster, "machine_version", json_integer(engine->members.state_version));
    json_object_set_new(cluster, "guardians", json_integer((json_int_t)engine->config->guardians_count)); /* 0: an escalation may end in silence */
    json_object_set_new(cluster, "joining", json_boolean(engine->joining));
    const char *guardians = engine_guardians_fault(engine);
    json_object_set_new(cluster, "guardians", json_pack("{s:I, s:o}", "configured", (json_int_t)engine->config->guardians_count, "warning",
                                                        guardians != NULL ? json_string(guardians) : json_null()));
    json_object_set_new(cluster, "last_gasp", engine_gasp_json(engine));
    json_object_set_new(cluster, "outer", engine_outer_json(engine));
    json_object_set_new(cluster, "recovering", json_boolean(engine->recovering_index != 0));
    return cluster;
}

static json_t *port_health(void *context, unsigned *status) {
    struct engine *engine = context;
    *status = engine->failed ? 503 : 200;
    if (!engine->failed) return json_pack("{s:s}", "status", "ok");
    return json_pack("{s:s, s:s}", "status", "failed", "reason", engine->failure);
}

static json_t *port_ready(void *context, unsigned *status) {
    struct engine *engine = context;
    const char *reason = NULL;
    if (engine->failed)
        reason = engine->failure;
    else if (engine->recovering_index != 0)
        reason = "the state is being rebuilt";
    else if (driver_role(engine->driver) == DRIVER_LEADER ? engine_leading_term(engine) == 0 : driver_leader_id(engine->driver) == 0)
        reason = "there is no leader";
    *status = reason == NULL ? 200 : 503;
    if (reason == NULL) return json_pack("{s:s}", "status", "ready");
    return json_pack("{s:s, s:s}", "status", "not ready", "reason", reason);
}

static uint64_t port_cluster_ms(void *context) {
    return engine_cluster_ms(context);
}

struct api_ports engine_api_ports(struct engine *engine) {
    return (struct api_ports){.context = engine, .submit = port_submit, .read = port_read, .read_later = port_read_later, .caught_up = port_caught_up, .random = port_random,
                              .wall_ms = engine_wall_ms, .cluster_ms = port_cluster_ms, .cluster = port_cluster,
                              .rehearse_last_gasp = engine_gasp_rehearse, .health = port_health, .ready = port_ready};
}

const struct raft_configuration *engine_configuration(const struct engine *engine) { return driver_configuration(engine->driver); }

struct engine_status engine_status(const struct engine *engine) {
    return (struct engine_status){
        .driver = driver_status(engine->driver), .applied_index = engine->progress.applied_index,
        .committed_index = engine->progress.committed_index, .durable_index = engine->progress.durable_index,
        .duties_term = engine->duties_term,
        .cluster_time_live = engine->clock.seen_live,
        .state_version = engine->members.state_version, .recovering_index = engine->recovering_index, .failure = engine->failed ? engine->failure : NULL,
        .gasp = last_gasp_status(engine->gasp).standing, .reach = engine_probes_reach(engine)};
}

struct engine_queues engine_queues(const struct engine *engine) {
    struct proposer_statistics proposed = proposer_statistics(engine->proposer);
    struct dispatcher_statistics told = dispatcher_statistics(engine->dispatcher);
    return (struct engine_queues){.commands = proposed.pending, .command_bytes = proposed.queued_bytes,
                                  .log_bytes = engine->log_queued_bytes, .state_entries = engine->progress.queued_entries,
                                  .notifications = told.waiting, .requests_under_way = told.under_way};
}
