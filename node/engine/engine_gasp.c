/* The last gasp (node/last_gasp) joined to the engine: what it sees, where its pages, items and reports go, what people and operators see of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/arena.h"
#include "consensus/machine/base/ids.h"
#include "consensus/machine/incidents/visibility.h"
#include "consensus/members.h"
#include "node/engine/engine_internal.h"
#include "node/log.h"
#include "notify/compose.h"

/* A leader that was not heard for so many election timeouts is none any more. */
#define LEADER_HEARD_TIMEOUTS 3u
#define LEADER_HEARD_MS_LEAST 3000u
#define ASK_INTERVAL_MS 2000u
#define ASK_DEADLINE_MS 1500u
#define REPORT_WAIT_MS 30000u
/* A transfer of the last gasp that asks a member's public address, rather than telling somebody. */
#define ASK_TRANSFER (LAST_GASP_TRANSFER | 1ull << 62)

/* ---- ports */

static void port_look(void *context, void (*with)(void *argument, const struct machine_store *view), void *argument) {
    struct engine *engine = context;
    struct state_reader reader;
    struct storage_failure failure;
    if (engine->ports.reader_begin(engine->ports.context, &reader, &failure) != STORAGE_OK) {
        engine_fail(engine, failure.message);
        return;
    }
    with(argument, &reader.view);
    enum storage_error fault = engine->ports.reader_fault(engine->ports.context, &reader, &failure);
    engine->ports.reader_end(engine->ports.context, &reader);
    if (fault != STORAGE_OK) engine_fail(engine, failure.message);
}

void engine_gasp_look(struct engine *engine, void (*with)(void *argument, const struct machine_store *view), void *argument) { port_look(engine, with, argument); }

static uint64_t port_cluster_ms(void *context) { return engine_cluster_ms(context); }

static void port_transfer(void *context, uint64_t transfer_id, const struct outgoing *outgoing) {
    struct engine *engine = context;
    engine->ports.transfer(engine->ports.context, transfer_id, outgoing);
}

static void port_tell(void *context, struct span item) {
    struct engine *engine = context;
    for (unsigned i = 0; i < engine->members.peers.count; i++)
        if (engine->members.peers.ids[i] != engine->config->id)
            engine_send(engine, engine->members.peers.ids[i], FRAME_LAST_GASP, item, (struct span){NULL, 0});
}

static bool port_keep(void *context, struct span record) {
    struct engine *engine = context;
    char error[512];
    if (engine->ports.keep_last_gasp(engine->ports.context, record, error, sizeof error)) return true;
    log_error("last gasp: %s", error);
    return false;
}

static void report_done(void *argument, enum proposal_outcome outcome, struct span reply) {
    struct engine *engine = argument;
    Tocsin__Reply *answer = outcome == PROPOSAL_APPLIED ? tocsin__reply__unpack(NULL, reply.size_bytes, reply.data) : NULL;
    if (answer != NULL && answer->status != TOCSIN__STATUS__STATUS_OK) log_error("last gasp: the report was refused: %s", answer->message);
    last_gasp_reported(engine->gasp, answer != NULL && answer->status == TOCSIN__STATUS__STATUS_OK);
    if (answer != NULL) tocsin__reply__free_unpacked(answer, NULL);
}

static void port_report(void *context, const Tocsin__LastGaspReport *report, const char *idempotency_key) {
    struct engine *engine = context;
    Tocsin__Actor actor = TOCSIN__ACTOR__INIT;
    actor.name = (char *)(uintptr_t)"Tocsin";
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.actor = &actor;
    command.idempotency_key = (char *)(uintptr_t)idempotency_key;
    command.body_case = TOCSIN__COMMAND__BODY_LAST_GASP_REPORT;
    command.last_gasp_report = (Tocsin__LastGaspReport *)(uintptr_t)report; /* packed at once, not changed */
    proposer_submit(engine->proposer, &command, engine_now_ms(engine) + REPORT_WAIT_MS, report_done, engine);
}

static void port_remember(void *context, uint64_t boottime_ms) {
    struct engine *engine = context;
    engine->ports.remember_current(engine->ports.context, boottime_ms);
}

void engine_gasp_open(struct engine *engine, struct span record, uint64_t remembered_ms) {
    struct last_gasp_ports ports = {.context = engine, .boottime_ms = engine_boottime_ms, .cluster_ms = port_cluster_ms, .look = port_look,
                                    .transfer = port_transfer, .tell = port_tell, .keep = port_keep, .report = port_report,
                                    .remember = engine->ports.remember_current != NULL ? port_remember : NULL};
    struct last_gasp_options options = {.id = engine->config->id, .after_ms = engine->config->last_gasp_after_ms,
                                        .settings = &engine->config->notify, .record = record, .remembered_ms = remembered_ms};
    engine->gasp = last_gasp_new(&options, &ports);
}

/* ---- what it sees */

static uint64_t heard_ms_max(const struct engine *engine) {
    uint64_t timeouts_ms = (uint64_t)engine->config->election_timeout_ms * LEADER_HEARD_TIMEOUTS;
    return timeouts_ms > LEADER_HEARD_MS_LEAST ? timeouts_ms : LEADER_HEARD_MS_LEAST;
}

void engine_gasp_raft_frame(struct engine *engine, uint64_t peer) {
    if (driver_role(engine->driver) == DRIVER_LEADER || driver_leader_id(engine->driver) == peer)
        engine->leader_heard_ms = engine_boottime_ms(engine);
}

/* Through this node's own raft: it leads others that answer, or hears who does. */
bool engine_hears_leader(struct engine *engine) {
    if (engine->failed) return false;
    bool leading = driver_role(engine->driver) == DRIVER_LEADER, alone = driver_configuration(engine->driver)->n == 1;
    if (leading && alone) return true;
    if (!leading && driver_leader_id(engine->driver) == 0) return false;
    return engine->leader_heard_ms != 0 && engine_boottime_ms(engine) - engine->leader_heard_ms <= heard_ms_max(engine);
}

static const char *barred(const struct engine *engine) {
    if (engine->removed) return "it was removed from the cluster";
    if (engine->failed) return "its storage failed";
    if (engine->joining) return "it is not a member yet";
    if (engine->recovering_index != 0) return "its state is being rebuilt";
    if (!members_is_voter(driver_configuration(engine->driver), engine->config->id)) return "it is no voter";
    return NULL;
}

/* ---- members' public addresses: a leader that is seen there is one, whatever the peers' connections say */

static void ask(struct engine *engine, unsigned member) {
    struct outgoing outgoing = {.get = true, .deadline_ms = ASK_DEADLINE_MS};
    struct composer url = {0};
    const char *base = engine->config->members[member].public_url;
    compose_format(&url, "%.*s/cluster", (int)base_url_size(base), base);
    size_t size_bytes;
    outgoing.url = compose_take(&url, &size_bytes);
    engine->asked |= 1u << member;
    engine->ports.transfer(engine->ports.context, ASK_TRANSFER | member, &outgoing);
    outgoing_close(&outgoing);
}

static void ask_members(struct engine *engine) {
    uint64_t now_ms = engine_now_ms(engine);
    if (last_gasp_status(engine->gasp).standing == GASP_LED || now_ms - engine->asked_ms < ASK_INTERVAL_MS) return;
    engine->asked_ms = now_ms;
    for (unsigned i = 0; i < engine->config->members_count; i++) {
        const struct config_member *member = &engine->config->members[i];
        if (member->public_url != NULL && member->id != engine->config->id && (engine->asked & 1u << i) == 0) ask(engine, i);
    }
}

static void take_answer(struct engine *engine, unsigned member, const struct answer *answer) {
    engine->asked &= ~(1u << member);
    if (answer->kind != ANSWER_RESPONSE || answer->status != 200) return;
    uint64_t leader = last_gasp_leader_in(answer->body);
    /* Whoever believes that this node leads is behind. */
    if (leader != 0 && leader != engine->config->id) last_gasp_leader_elsewhere(engine->gasp);
}

void engine_gasp_answered(struct engine *engine, uint64_t transfer_id, const struct answer *answer) {
    if ((transfer_id & ASK_TRANSFER) == ASK_TRANSFER)
        take_answer(engine, (unsigned)(transfer_id & ~ASK_TRANSFER), answer);
    else
        last_gasp_answered(engine->gasp, transfer_id, answer);
}

/* ---- the turn */

void engine_gasp_turn(struct engine *engine) {
    struct gasp_sight sight = {.leader = engine_hears_leader(engine), .barred = barred(engine), .applied_index = engine->progress.applied_index,
                               .reach = engine_probes_reach(engine)};
    sight.current = sight.leader && engine->progress.applied_index >= driver_commit_index(engine->driver);
    engine->gasp_next_ms = last_gasp_turn(engine->gasp, &sight);
    ask_members(engine);
    engine_configuration_warn(engine);
}

/* ---- requests while there is no majority */

bool engine_gasp_takes(const struct engine *engine, const Tocsin__Command *command) {
    bool kind = command->body_case == TOCSIN__COMMAND__BODY_INCIDENT_UPDATE ||
                (command->body_case == TOCSIN__COMMAND__BODY_EVENT && command->event->action == TOCSIN__EVENT_ACTION__EVENT_TRIGGER);
    return kind && last_gasp_is_on(engine->gasp);
}

static bool only_answers(const Tocsin__IncidentChange *change) {
    bool answers = change->status == TOCSIN__INCIDENT_STATUS__INCIDENT_ACKNOWLEDGED || change->status == TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED;
    return answers && change->title[0] == '\0' && change->urgency == TOCSIN__URGENCY__URGENCY_NONE && change->n_assignee_ids == 0 &&
           change->escalation_policy_id == 0 && change->escalation_level == 0 && change->resolution[0] == '\0' && change->details_fields == 0;
}

struct keeping {
    const Tocsin__IncidentUpdate *update;
    const Tocsin__Actor *actor;
    bool known;
};

/* What is not there for who asks is not kept for later either: then nobody looks again. */
static void look_for_incidents(void *argument, const struct machine_store *view) {
    struct keeping *keeping = argument;
    struct arena arena;
    arena_init(&arena);
    keeping->known = true;
    for (size_t i = 0; i < keeping->update->n_changes; i++) {
        const Tocsin__Incident *incident = incident_get(view, keeping->update->changes[i]->id, &arena.allocator);
        keeping->known = keeping->known && incident != NULL && incident_seen_by(view, &arena.allocator, incident, keeping->actor);
        arena_reset(&arena);
    }
    arena_close(&arena);
}

/* All of them, or none: then the request is answered with 503 like any other. */
static bool keep_answers(struct engine *engine, const Tocsin__Command *command) {
    const Tocsin__IncidentUpdate *update = command->incident_update;
    for (size_t i = 0; i < update->n_changes; i++)
        if (!only_answers(update->changes[i])) return false;
    const Tocsin__Actor nobody = TOCSIN__ACTOR__INIT, *actor = command->actor != NULL ? command->actor : &nobody;
    struct keeping keeping = {.update = update, .actor = actor};
    port_look(engine, look_for_incidents, &keeping);
    if (!keeping.known) return false;
    for (size_t i = 0; i < update->n_changes; i++) {
        bool resolves = update->changes[i]->status == TOCSIN__INCIDENT_STATUS__INCIDENT_RESOLVED;
        if (!last_gasp_answer(engine->gasp, update->changes[i]->id, resolves, actor)) return false;
    }
    return true;
}

bool engine_gasp_keep(struct engine *engine, const Tocsin__Command *command) {
    if (!last_gasp_is_on(engine->gasp)) return false;
    if (command->body_case == TOCSIN__COMMAND__BODY_INCIDENT_UPDATE) return keep_answers(engine, command);
    last_gasp_refused(engine->gasp, command->event); /* answered with 503 all the same */
    return false;
}

/* ---- what operators see */

json_t *engine_gasp_json(const struct engine *engine) {
    struct last_gasp_status status = last_gasp_status(engine->gasp);
    json_t *gasp = json_pack("{s:s, s:I, s:I, s:b, s:I, s:I}", "standing", last_gasp_standing_name(status.standing), "after_ms", (json_int_t)status.after_ms,
                             "waited_ms", (json_int_t)status.waited_ms, "may_speak", last_gasp_may_speak(engine->gasp), "pages",
                             (json_int_t)(status.pages_waiting + status.pages_under_way), "unreported", (json_int_t)status.items);
    json_object_set_new(gasp, "why", status.why != NULL ? json_string(status.why) : json_null());
    json_object_set_new(gasp, "speaker", status.speaker != 0 ? json_integer((json_int_t)status.speaker) : json_null());
    return gasp;
}

static void add_page(void *context, const Tocsin__Notification *notification, uint64_t after_ms, const char *unusable) {
    static const char *const channels[] = {[TOCSIN__CHANNEL__CHANNEL_NONE] = "none", [TOCSIN__CHANNEL__CHANNEL_EMAIL] = "email",
                                           [TOCSIN__CHANNEL__CHANNEL_SMS] = "sms", [TOCSIN__CHANNEL__CHANNEL_VOICE] = "voice",
                                           [TOCSIN__CHANNEL__CHANNEL_PUSH] = "push", [TOCSIN__CHANNEL__CHANNEL_WEBHOOK] = "webhook"};
    char id[16], text[512];
    id_format(notification->incident_id, id);
    message_short(notification, text, sizeof text);
    json_t *page = json_pack("{s:s, s:s, s:s, s:I, s:b, s:s}", "name", notification->user_name, "channel", channels[notification->channel], "address",
                             notification->address, "after_ms", (json_int_t)after_ms, "guardian", (int)notification->guardian, "text", text);
    json_object_set_new(page, "incident", notification->incident_id != 0 ? json_string(id) : json_null());
    json_object_set_new(page, "unusable", unusable != NULL ? json_string(unusable) : json_null());
    json_array_append_new(context, page);
}

json_t *engine_gasp_rehearse(void *context) {
    struct engine *engine = context;
    json_t *rehearsal = engine_gasp_json(engine), *pages = json_array();
    last_gasp_rehearse(engine->gasp, add_page, pages);
    json_object_set_new(rehearsal, "pages", pages);
    return rehearsal;
}
