/* What comes of applied entries, and what a leader owes: pulses, the outbox, the settings of its configuration. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/planted.h"
#include "consensus/members.h"
#include "consensus/transport/wire.h"
#include "node/engine/engine_internal.h"
#include "node/engine/heartbeat_horizon.h"
#include "node/engine/schedule_horizon.h"
#include "node/engine/support_horizon.h"
#include "node/engine/window_horizon.h"
#include "node/log.h"

#define CLOCK_INTERVAL_MS 1000
#define COMPACTION_INTERVAL_MS 500
#define PULSE_PATIENCE_MS 2000
#define HORIZON_INTERVAL_MS 60000
#define HORIZON_SCHEDULES 100
#define HORIZON_RENDERINGS 4 /* of a year of shifts, in one turn: requests and elections wait meanwhile */
#define HORIZON_WINDOWS 1000
#define HORIZON_HEARTBEATS 5000 /* looked at; the walk goes on where it was */
#define RECEIPT_PATIENCE_MS 60000
/* In a FRAME_CLOCK: what the node says of itself to last_gasp.h of its peers. */
#define CLOCK_HEARS_LEADER 1u
#define CLOCK_MAY_SPEAK 2u
#define CLOCK_REACH_SHIFT 8u

uint64_t engine_leading_term(void *context) {
    struct engine *engine = context;
    if (engine->failed || driver_role(engine->driver) != DRIVER_LEADER) return 0;
    struct driver_status status = driver_status(engine->driver);
    return status.ready && engine->progress.committed_index >= status.barrier_index ? status.term : 0;
}

/* ---- applied entries */

/* Before the duties of a term are taken up: kept, for the look into the outbox may see a state that is older than this. */
static void hold_send(struct engine *engine, uint64_t index, Tocsin__Notification *notification, uint64_t term) {
    if (engine->held_count > 0 && engine->held[0].term != term) engine_release_held(engine);
    if (engine->held_count == engine->held_capacity) {
        engine->held_capacity = engine->held_capacity ? engine->held_capacity * 2 : 64;
        engine->held = realloc(engine->held, engine->held_capacity * sizeof *engine->held);
        if (engine->held == NULL) abort();
    }
    engine->held[engine->held_count++] = (struct held_send){index, term, notification};
}

void engine_release_held(struct engine *engine) {
    for (size_t i = 0; i < engine->held_count; i++) tocsin__notification__free_unpacked(engine->held[i].notification, NULL);
    free(engine->held);
    engine->held = NULL;
    engine->held_count = engine->held_capacity = 0;
}

static void take_send(struct engine *engine, uint64_t index, const struct machine_send *send) {
    if (send->claim_node != engine->config->id || send->claim_boot != engine->boot) return;
    bool leading = driver_role(engine->driver) == DRIVER_LEADER;
    if ((!leading || send->claim_term != driver_term(engine->driver)) && !planted(DEPOSED_LEADER_SENDS)) return;
    bool on_duty = send->claim_term == engine->duties_term;
    /* What was applied before this leader looked into the outbox was found there: work is handed over once. */
    if (on_duty && index <= engine->outbox_index) return;
    Tocsin__Notification *notification = tocsin__notification__unpack(NULL, send->packed.size_bytes, send->packed.data);
    if (notification == NULL) abort();
    if (!on_duty) {
        hold_send(engine, index, notification, send->claim_term);
        return;
    }
    dispatcher_take(engine->dispatcher, notification, send->claim_term);
    tocsin__notification__free_unpacked(notification, NULL);
}

/* What was handed over before, and lies beyond what the look into the outbox saw. */
static void take_held(struct engine *engine) {
    for (size_t i = 0; i < engine->held_count; i++) {
        const struct held_send *held = &engine->held[i];
        if (held->term == engine->duties_term && held->index > engine->outbox_index && !planted(HELD_SENDS_DROPPED))
            dispatcher_take(engine->dispatcher, held->notification, held->term);
    }
    engine_release_held(engine);
}

void engine_applied(void *context, uint64_t index, uint64_t term, const struct machine_output *output) {
    struct engine *engine = context;
    /* What a leader sends of older terms may have been stamped long ago: only its own is news. An entry without commands has no
     * stamp: its time is that of the state, which may be from before an outage of all. */
    bool live = output->commands_applied > 0 && index > engine->live_index && engine->driver != NULL && term == driver_term(engine->driver);
    if (live && output->time_ms != 0)
        cluster_clock_saw(&engine->clock, output->time_ms, engine_boottime_ms(engine));
    else
        cluster_clock_floor(&engine->clock, output->time_ms);
    engine->next_deadline_ms = output->next_deadline_ms;
    engine->tick_ms = output->tick_ms;
    engine->mutes_asked = output->mutes_asked;
    if (index > engine->pulse_after_index) engine->pulse_sent_ms = 0;
    if (index > engine->verdicts_after_index) engine->verdicts_sent_ms = 0;
    if (engine->failed) return;
    for (size_t i = 0; i < output->replies_count; i++) {
        const struct machine_reply *reply = &output->replies[i];
        proposer_replied(engine->proposer, reply->node, reply->boot, reply->sequence, reply->repeated, reply->packed);
    }
    for (size_t i = 0; i < output->sends_count; i++) take_send(engine, index, &output->sends[i]);
}

/* ---- the dispatcher's ports */

static uint32_t port_random(void *context) {
    struct engine *engine = context;
    uint32_t value;
    engine->ports.random(engine->ports.context, &value, sizeof value);
    return value;
}

static void port_claim(void *context, const uint64_t *notification_ids, size_t count) {
    struct engine *engine = context;
    uint64_t ids[LIMIT_CLAIM_NOTIFICATIONS];
    assert(count <= LIMIT_CLAIM_NOTIFICATIONS);
    memcpy(ids, notification_ids, count * sizeof *ids);
    Tocsin__Claim claim = TOCSIN__CLAIM__INIT;
    claim.n_notification_ids = count;
    claim.notification_ids = ids;
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_CLAIM;
    command.claim = &claim;
    proposer_submit_own(engine->proposer, &command); /* dropped when no longer leading: then it is the next leader's */
}

static void receipt_done(void *argument, enum proposal_outcome outcome, struct span reply) {
    (void)argument;
    (void)reply;
    if (outcome != PROPOSAL_APPLIED)
        log_warning("a receipt could not be committed: its notification will be repeated, marked so");
}

static void port_receipt(void *context, const Tocsin__Receipt *receipt) {
    struct engine *engine = context;
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_RECEIPT;
    command.receipt = (Tocsin__Receipt *)(uintptr_t)receipt; /* packed at once, not changed */
    proposer_submit(engine->proposer, &command, engine_now_ms(engine) + RECEIPT_PATIENCE_MS, receipt_done, NULL);
}

static void port_transfer(void *context, uint64_t transfer_id, const struct outgoing *outgoing) {
    struct engine *engine = context;
    engine->ports.transfer(engine->ports.context, transfer_id, outgoing);
}

static void port_abort_transfer(void *context, uint64_t transfer_id) {
    struct engine *engine = context;
    engine->ports.abort_transfer(engine->ports.context, transfer_id);
}

struct dispatcher_ports engine_dispatcher_ports(struct engine *engine) {
    return (struct dispatcher_ports){.context = engine, .boottime_ms = engine_boottime_ms, .random = port_random,
                                     .leading_term = engine_leading_term, .claim = port_claim, .receipt = port_receipt,
                                     .transfer = port_transfer, .abort_transfer = port_abort_transfer};
}

/* ---- a new leader */

static void log_refusal(void *argument, enum proposal_outcome outcome, struct span reply) {
    const char *what = argument;
    Tocsin__Reply *answer = outcome == PROPOSAL_APPLIED ? tocsin__reply__unpack(NULL, reply.size_bytes, reply.data) : NULL;
    if (answer == NULL)
        log_warning("%s could not be committed; the next leader tries again", what);
    else if (answer->status != TOCSIN__STATUS__STATUS_OK)
        log_error("%s was refused: %s", what, answer->message);
    if (answer != NULL) tocsin__reply__free_unpacked(answer, NULL);
}

void engine_submit_system(struct engine *engine, Tocsin__Command *command, const char *what) {
    Tocsin__Actor actor = TOCSIN__ACTOR__INIT;
    actor.name = (char *)(uintptr_t)"Tocsin";
    command->actor = &actor;
    proposer_submit(engine->proposer, command, engine_now_ms(engine) + RECEIPT_PATIENCE_MS, log_refusal,
                    (void *)(uintptr_t)what);
    command->actor = NULL;
}

/* What this node's configuration says of the cluster, where the state says otherwise: guardians, retention, the minute. */
static void offer_settings(struct engine *engine, const struct machine_store *view) {
    const struct config *config = engine->config;
    Tocsin__Guardian guardians[CONFIG_GUARDIANS_MAX], *guardian_list[CONFIG_GUARDIANS_MAX];
    Tocsin__ContactMethod contacts[CONFIG_GUARDIANS_MAX][CONFIG_GUARDIAN_CONTACTS_MAX];
    Tocsin__ContactMethod *contact_lists[CONFIG_GUARDIANS_MAX][CONFIG_GUARDIAN_CONTACTS_MAX];
    for (unsigned g = 0; g < config->guardians_count; g++) {
        const struct config_guardian *from = &config->guardians[g];
        guardians[g] = (Tocsin__Guardian)TOCSIN__GUARDIAN__INIT;
        guardians[g].name = from->name;
        guardians[g].n_contact_methods = from->contacts_count;
        guardians[g].contact_methods = contact_lists[g];
        for (unsigned c = 0; c < from->contacts_count; c++) {
            contacts[g][c] = (Tocsin__ContactMethod)TOCSIN__CONTACT_METHOD__INIT;
            contacts[g][c].channel = (Tocsin__Channel)from->contacts[c].channel;
            contacts[g][c].address = from->contacts[c].address;
            /* As the machine keeps what names no country, so that a leader sees that nothing has changed. */
            bool telephone = contacts[g][c].channel == TOCSIN__CHANNEL__CHANNEL_SMS || contacts[g][c].channel == TOCSIN__CHANNEL__CHANNEL_VOICE;
            contacts[g][c].country_code = telephone ? 1 : 0;
            contact_lists[g][c] = &contacts[g][c];
        }
        guardian_list[g] = &guardians[g];
    }
    Tocsin__Settings *settings = settings_get(view, NULL);
    Tocsin__Settings wanted = TOCSIN__SETTINGS__INIT;
    if (settings != NULL) wanted = *settings;
    wanted.n_guardians = config->guardians_count;
    wanted.guardians = guardian_list;
    wanted.minute_ms = config->minute_ms;
    if (config->retention_days != 0) wanted.retention_days = config->retention_days;
    if (config->payload_retention_days != 0) wanted.payload_retention_days = config->payload_retention_days;
    if (wanted.retention_days == 0) wanted.retention_days = DEFAULT_RETENTION_DAYS;
    if (wanted.payload_retention_days == 0) wanted.payload_retention_days = DEFAULT_PAYLOAD_RETENTION_DAYS;
    wanted.cluster_name = config->cluster_name;
    size_t wanted_size = tocsin__settings__get_packed_size(&wanted);
    size_t settings_size = settings != NULL ? tocsin__settings__get_packed_size(settings) : 0;
    uint8_t *wanted_bytes = malloc(wanted_size + settings_size + 1);
    if (wanted_bytes == NULL) abort();
    tocsin__settings__pack(&wanted, wanted_bytes);
    if (settings != NULL) tocsin__settings__pack(settings, wanted_bytes + wanted_size);
    bool same = wanted_size == settings_size && memcmp(wanted_bytes, wanted_bytes + wanted_size, wanted_size) == 0;
    free(wanted_bytes);
    if (!same) {
        Tocsin__SettingsPut put = TOCSIN__SETTINGS_PUT__INIT;
        put.fields = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6; /* all but the machine's version */
        put.settings = &wanted;
        Tocsin__Command command = TOCSIN__COMMAND__INIT;
        command.body_case = TOCSIN__COMMAND__BODY_SETTINGS_PUT;
        command.settings_put = &put;
        engine_submit_system(engine, &command, "the configuration's settings");
    }
    if (settings != NULL) tocsin__settings__free_unpacked(settings, NULL);
    if (config->guardians_count == 0) {
        log_warning("no guardians are configured: nobody hears of it when an escalation ends without anyone");
    } else if (config->guardians_count == 1) {
        log_warning("one guardian is configured: when an escalation ends without anyone, all depends on one person");
    }
}

/*
 * Owed, or claimed: by a leader before, or in this term by an entry that was applied before the duties were taken up. What is claimed beyond what
 * this look sees is handed over by take_send.
 */
static void reclaim_outbox(struct engine *engine, const struct machine_store *view, uint64_t term) {
    uint64_t *ids = NULL;
    size_t count = 0, capacity = 0;
    struct walk walk = walk_all(view, TABLE_OUTBOX);
    while (walk_next(&walk)) {
        Tocsin__Notification *notification = record_unpack(&tocsin__notification__descriptor, walk.value, NULL);
        if (notification == NULL) abort();
        if (planted(CLAIM_NOT_COMMITTED)) {
            notification->claim_boottime_ms = engine_boottime_ms(engine);
            dispatcher_take(engine->dispatcher, notification, term);
        }
        /* One that waits for its next attempt has its deadline. */
        if (notification->state != TOCSIN__NOTIFICATION_STATE__NOTIFICATION_WAITING) {
            if (count == capacity) {
                capacity = capacity ? capacity * 2 : 64;
                ids = realloc(ids, capacity * sizeof *ids);
                if (ids == NULL) abort();
            }
            ids[count++] = notification->id;
        }
        tocsin__notification__free_unpacked(notification, NULL);
    }
    if (count > 0) {
        log_info("leading term %" PRIu64 ": %zu notifications are owed or claimed without a receipt", term, count);
        dispatcher_reclaim(engine->dispatcher, ids, count);
    }
    free(ids);
}

static void take_up_duties(struct engine *engine, uint64_t term) {
    struct state_reader reader;
    struct storage_failure failure;
    if (engine->ports.reader_begin(engine->ports.context, &reader, &failure) != STORAGE_OK) {
        engine_fail(engine, failure.message);
        return;
    }
    log_info("leading term %" PRIu64, term);
    cluster_clock_floor(&engine->clock, machine_last_time_ms(&reader.view));
    /* What was applied since, and is not committed yet, has told of itself: the earlier deadline counts. */
    uint64_t deadline_ms = planted(DEADLINE_LOST_ON_FAILOVER) ? UINT64_MAX : machine_next_deadline_ms(&reader.view);
    if (deadline_ms < engine->next_deadline_ms || planted(DEADLINE_LOST_ON_FAILOVER)) engine->next_deadline_ms = deadline_ms;
    if (engine->tick_ms == 0) engine->tick_ms = machine_tick_ms(&reader.view);
    engine->mutes_asked = engine->mutes_asked || machine_mutes_asked(&reader.view);
    engine_offer_first_token(engine, &reader.view);
    offer_settings(engine, &reader.view);
    engine->outbox_index = reader.applied_index;
    reclaim_outbox(engine, &reader.view, term);
    take_held(engine);
    enum storage_error fault = engine->ports.reader_fault(engine->ports.context, &reader, &failure);
    engine->ports.reader_end(engine->ports.context, &reader);
    if (fault != STORAGE_OK) engine_fail(engine, failure.message);
}

/* ---- each turn */

uint64_t engine_cluster_ms(const struct engine *engine) {
    return cluster_clock_now(&engine->clock, engine->ports.wall_ms(engine->ports.context), engine->ports.boottime_ms(engine->ports.context));
}

static void pulse(struct engine *engine, uint64_t now_ms) {
    if (engine->next_deadline_ms == UINT64_MAX) return;
    if (engine->pulse_sent_ms != 0 && now_ms - engine->pulse_sent_ms < PULSE_PATIENCE_MS) return;
    if (engine_cluster_ms(engine) < engine->next_deadline_ms) return;
    Tocsin__Pulse message = TOCSIN__PULSE__INIT;
    message.limit = LIMIT_PULSE_DEADLINES;
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_PULSE;
    command.pulse = &message;
    uint64_t last_index = driver_status(engine->driver).last_index;
    if (!proposer_submit_own(engine->proposer, &command)) return;
    engine->pulse_after_index = last_index;
    engine->pulse_sent_ms = now_ms;
}

static void extend_support_hours(struct engine *engine, const struct machine_store *view) {
    Tocsin__SupportHoursExtend extend;
    uint64_t service_id = 0;
    for (unsigned i = 0; i < HORIZON_SCHEDULES && support_horizon_next(view, engine_cluster_ms(engine), &service_id, &extend); i++) {
        Tocsin__Command command = TOCSIN__COMMAND__INIT;
        command.body_case = TOCSIN__COMMAND__BODY_SUPPORT_HOURS_EXTEND;
        command.support_hours_extend = &extend;
        engine_submit_system(engine, &command, "the support hours of a service for a week more");
        free(extend.spans.data);
    }
}

static void extend_heartbeats(struct engine *engine, const struct machine_store *view) {
    Tocsin__HeartbeatExtend extend;
    unsigned looks = HORIZON_HEARTBEATS;
    for (unsigned i = 0; i < HORIZON_SCHEDULES &&
                         heartbeat_horizon_next(view, engine_cluster_ms(engine), &looks, &engine->heartbeat_horizon_id, &extend); i++) {
        Tocsin__Command command = TOCSIN__COMMAND__INIT;
        command.body_case = TOCSIN__COMMAND__BODY_HEARTBEAT_EXTEND;
        command.heartbeat_extend = &extend;
        engine_submit_system(engine, &command, "the next moments of a heartbeat's schedule");
        free(extend.moments_s);
    }
}

static void extend_windows(struct engine *engine, const struct machine_store *view) {
    Tocsin__MaintenanceWindowExtend extend;
    unsigned looks = HORIZON_WINDOWS;
    for (unsigned i = 0;
         i < HORIZON_SCHEDULES && window_horizon_next(view, engine_cluster_ms(engine), &looks, &engine->window_horizon_id, &extend); i++) {
        Tocsin__Command command = TOCSIN__COMMAND__INIT;
        command.body_case = TOCSIN__COMMAND__BODY_MAINTENANCE_WINDOW_EXTEND;
        command.maintenance_window_extend = &extend;
        engine_submit_system(engine, &command, "the spans of a maintenance window for a day more");
        free(extend.spans);
    }
}

static void extend_schedules(struct engine *engine, const struct machine_store *view) {
    Tocsin__ScheduleExtend extend;
    for (unsigned i = 0; i < HORIZON_RENDERINGS; i++) {
        if (!schedule_horizon_next(view, engine_cluster_ms(engine), &engine->schedule_horizon_id, &extend)) {
            engine->schedule_horizon_id = 0;
            return;
        }
        Tocsin__Command command = TOCSIN__COMMAND__INIT;
        command.body_case = TOCSIN__COMMAND__BODY_SCHEDULE_EXTEND;
        command.schedule_extend = &extend;
        engine_submit_system(engine, &command, "the shifts of a schedule for a day more");
        schedule_horizon_free(&extend);
    }
}

/* A few at a time: the rest has its turn at the next; of schedules already in the leader's next turn. */
static void extend_horizons(struct engine *engine, bool all) {
    struct state_reader reader;
    struct storage_failure failure;
    if (engine->ports.reader_begin(engine->ports.context, &reader, &failure) != STORAGE_OK) {
        engine_fail(engine, failure.message);
        return;
    }
    extend_schedules(engine, &reader.view);
    if (all) {
        extend_support_hours(engine, &reader.view);
        extend_windows(engine, &reader.view);
        extend_heartbeats(engine, &reader.view);
    }
    enum storage_error fault = engine->ports.reader_fault(engine->ports.context, &reader, &failure);
    engine->ports.reader_end(engine->ports.context, &reader);
    if (fault != STORAGE_OK) engine_fail(engine, failure.message);
}

/* While heartbeats exist an entry at least this often says that pings could be taken; it says, too, who is cut off. */
static void tick(struct engine *engine, uint64_t now_ms) {
    if (engine->tick_ms == 0 || now_ms - engine->tick_sent_ms < engine->tick_ms) return;
    Tocsin__Tick message = TOCSIN__TICK__INIT;
    Tocsin__UnheardMember unheard[MEMBERS_MAX], *pointers[MEMBERS_MAX];
    message.unheard = pointers;
    message.n_unheard = engine_watch_unheard(engine, unheard);
    for (size_t i = 0; i < message.n_unheard; i++) pointers[i] = &unheard[i];
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_TICK;
    command.tick = &message;
    if (proposer_submit_own(engine->proposer, &command)) engine->tick_sent_ms = now_ms;
}

static void tell_clock(struct engine *engine, uint64_t term) {
    uint8_t body[48 + ENGINE_VITALS_SIZE_BYTES], members[ENGINE_MEMBERS_SIZE_BYTES_MAX];
    wire_put_u64(body, engine_wall_ms(engine));
    wire_put_u64(body + 8, term); /* 0: not leading */
    /* Before the first stamp the clock is a guess by wall clocks: nothing to hold on to. Followers tell it, too: one that has just started may be
     * elected before it hears a leader. */
    wire_put_u64(body + 16, engine->clock.seen_live ? engine_cluster_ms(engine) : 0);
    wire_put_u64(body + 24, engine->progress.applied_index);
    wire_put_u64(body + 32, engine->machine_version);
    wire_put_u64(body + 40, (engine_hears_leader(engine) ? CLOCK_HEARS_LEADER : 0) | (last_gasp_may_speak(engine->gasp) ? CLOCK_MAY_SPEAK : 0) |
                                (uint64_t)engine_probes_reach(engine) << CLOCK_REACH_SHIFT);
    struct vitals vitals = engine_vitals(engine);
    engine_vitals_put(&vitals, body + 48);
    struct span tail = {members, engine_members_encode(engine, members, sizeof members)};
    for (unsigned i = 0; i < engine->members.peers.count; i++)
        if (engine->members.peers.ids[i] != engine->config->id)
            engine_send(engine, engine->members.peers.ids[i], FRAME_CLOCK, (struct span){body, sizeof body}, tail);
}

/* The one that was not heard of for longest makes room. */
static void keep_report(struct engine *engine, struct peer_report report) {
    unsigned at = 0, oldest = 0;
    while (at < engine->reports_count && engine->reports[at].id != report.id) {
        if (engine->reports[at].at_boottime_ms < engine->reports[oldest].at_boottime_ms) oldest = at;
        at++;
    }
    if (at == sizeof engine->reports / sizeof engine->reports[0])
        at = oldest;
    else if (at == engine->reports_count)
        engine->reports_count++;
    engine->reports[at] = report;
}

void engine_clock_frame(struct engine *engine, uint64_t peer, struct span body) {
    struct wire_reader reader = wire_reader(body);
    uint64_t wall_ms = wire_read_u64(&reader), term = wire_read_u64(&reader), cluster_ms = wire_read_u64(&reader);
    uint64_t applied_index = wire_read_u64(&reader), machine_version = wire_read_u64(&reader), standing = wire_read_u64(&reader);
    struct vitals vitals = engine_vitals_read(&reader);
    if (reader.failed) return;
    struct gasp_said said = {.leader = (standing & CLOCK_HEARS_LEADER) != 0, .may_speak = (standing & CLOCK_MAY_SPEAK) != 0,
                             .applied_index = applied_index, .reach = (uint32_t)(standing >> CLOCK_REACH_SHIFT)};
    last_gasp_heard(engine->gasp, peer, &said);
    uint64_t boottime_ms = engine_boottime_ms(engine);
    /* Only voters' clocks count; of a node that knows no members yet, whoever it hears. */
    const struct raft_configuration *configuration = driver_configuration(engine->driver);
    if (configuration->n == 0 || members_is_voter(configuration, peer))
        cluster_clock_peer(&engine->clock, peer, wall_ms, engine_wall_ms(engine), boottime_ms);
    bool from_leader = term != 0 && term == driver_term(engine->driver) && driver_leader_id(engine->driver) == peer &&
                       driver_role(engine->driver) == DRIVER_FOLLOWER;
    if (cluster_ms != 0 && (from_leader || !engine->clock.seen_live))
        cluster_clock_saw(&engine->clock, cluster_ms, boottime_ms);
    keep_report(engine, (struct peer_report){peer, applied_index, machine_version, boottime_ms, vitals});
    engine_members_hint(engine, &reader, applied_index);
}

void engine_duties_turn(struct engine *engine) {
    uint64_t now_ms = engine_now_ms(engine), term = engine_leading_term(engine);
    if (term != 0 && term != engine->duties_term) {
        engine->duties_term = term;
        engine->pulse_sent_ms = engine->verdicts_sent_ms = 0;
        take_up_duties(engine, term);
    }
    if (term != 0) tick(engine, now_ms);
    if (term != 0) pulse(engine, now_ms);
    engine_outer_turn(engine, term);
    engine_certificates_turn(engine, term);
    engine_probes_turn(engine);
    if (engine->failed) return;
    if (term != 0) engine_mutes_turn(engine);
    if (engine->failed) return;
    bool horizons_due = now_ms - engine->horizon_checked_ms >= HORIZON_INTERVAL_MS;
    if (term != 0 && (horizons_due || engine->schedule_horizon_id != 0)) {
        if (horizons_due) engine->horizon_checked_ms = now_ms;
        extend_horizons(engine, horizons_due);
        if (engine->failed) return;
    }
    if (now_ms - engine->clock_sent_ms >= CLOCK_INTERVAL_MS) {
        engine->clock_sent_ms = now_ms;
        tell_clock(engine, term);
    }
    engine_members_turn(engine, term);
    if (engine->failed) return;
    engine_watch_turn(engine, term);
    if (engine->failed) return;
    if (now_ms - engine->compaction_checked_ms >= COMPACTION_INTERVAL_MS || engine->compaction_set) {
        engine->compaction_checked_ms = now_ms;
        engine_compact(engine);
        snapshot_transfer_tick(engine->snapshots);
    }
    /* A leader waits for its state to be committed before it takes up its duties. */
    if (term == 0 && driver_role(engine->driver) == DRIVER_LEADER && driver_status(engine->driver).ready)
        engine->ports.state_want_commit(engine->ports.context);
}

uint64_t engine_duties_next_ms(const struct engine *engine) {
    uint64_t next_ms = engine->clock_sent_ms + CLOCK_INTERVAL_MS, now_ms = engine->ports.now_ms(engine->ports.context);
    if (engine_members_next_ms(engine) < next_ms) next_ms = engine_members_next_ms(engine);
    if (driver_role(engine->driver) != DRIVER_LEADER) return next_ms;
    bool on_duty = engine->duties_term == driver_term(engine->driver);
    if (on_duty && engine_outer_next_ms(engine) < next_ms) next_ms = engine_outer_next_ms(engine);
    if (on_duty && engine_certificates_next_ms(engine) < next_ms) next_ms = engine_certificates_next_ms(engine);
    if (on_duty && engine->tick_ms != 0 && engine->tick_sent_ms + engine->tick_ms < next_ms)
        next_ms = engine->tick_sent_ms + engine->tick_ms;
    if (on_duty && engine_mutes_next_ms(engine) < next_ms) next_ms = engine_mutes_next_ms(engine);
    if (engine->next_deadline_ms == UINT64_MAX) return next_ms;
    uint64_t due_ms;
    if (engine->pulse_sent_ms != 0) {
        due_ms = engine->pulse_sent_ms + PULSE_PATIENCE_MS;
    } else {
        uint64_t cluster_ms = engine_cluster_ms(engine);
        /* One more than the difference: the slew may run a little behind the monotonic clock. */
        due_ms = now_ms + (engine->next_deadline_ms > cluster_ms ? engine->next_deadline_ms - cluster_ms + 1 : 0);
    }
    return due_ms < next_ms ? due_ms : next_ms;
}
