/*
 * The outer heartbeat: the leader pings outside URLs, once a minute, only while pages would get out. Silence there becomes a page from there.
 *
 *     round ─┬─> a probe: the API's own way into the log, through a majority, into the outbox, claimed, handed to the dispatcher, receipt committed ─┐
 *            └─> a question to each provider that somebody could be told by (channel.h: probe) ─────────────────────────────────────────────────────┴─> check
 *
 * The check alarms nobody: a probe is ended where a page would wait for its request, and the providers are asked for nothing. It costs two entries a minute.
 * It passes, and the pings go out, when the probe's end is in the state in time, no notification is overdue, pages that wait for each other leave, and of the providers that guardians' and
 * people's ways of being told need one answers, takes this node's credentials and has not refused the last requests. Whatever does not answer ends with the round's time.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/records.h"
#include "node/engine/engine_internal.h"
#include "node/log.h"
#include "notify/compose.h"

/* A round waits for this long, or for half of a shorter minute. */
#define ROUND_PATIENCE_MS 10000u
/* A notification that should have been sent, or have ended, for so many minutes is stuck; never less, for a claim without receipt takes its time. */
#define STUCK_MINUTES 2u
/* ... but while pages leave one after the other, and more wait than can leave at once, the last of them has to wait. */
#define STUCK_MINUTES_BUSY 10u
#define STUCK_MS_LEAST 10000u
/* Looked at, the oldest first: more than an outbox holds unless it is stuck. */
#define OUTBOX_LOOK_MAX 10000u
/* Contact methods looked at: beyond so many people the first of them speak for all. About 10 ms. */
#define WAYS_LOOK_MAX 10000u
/* So many requests of a channel in a row that were not taken: it does not work, even when its address answers. */
#define FAILURES_IN_A_ROW 3u
/* ... for so long: where nobody needs to be told, nothing else would show that it works again. */
#define FAILURES_COUNT_FOR_MS 600000u
#define PING_TRANSFER (OUTER_TRANSFER | 1ull << 60)
#define ROUND_SHIFT 8u
#define PLACE_MASK ((1ull << ROUND_SHIFT) - 1)

static uint64_t patience_ms(const struct engine *engine) {
    uint32_t half_ms = engine->config->minute_ms / 2;
    return half_ms < ROUND_PATIENCE_MS ? half_ms : ROUND_PATIENCE_MS;
}

/* ---- whom could a page reach: who is configured here as a guardian, and who stands in the state */

static uint32_t bits_of(int kind) {
    const struct channel *const *channels = channels_all();
    uint32_t bits = 0;
    for (unsigned i = 0; channels[i] != NULL && i < CHANNELS_MAX; i++)
        if ((int)channels[i]->channel == kind) bits |= 1u << i;
    return bits;
}

static void look_at_ways(void *argument, const struct machine_store *view) {
    uint32_t *used = argument;
    struct walk walk = walk_all(view, TABLE_CONTACT_METHOD);
    for (unsigned left = WAYS_LOOK_MAX; left > 0 && walk_next(&walk); left--) {
        Tocsin__ContactMethod *method = record_unpack(&tocsin__contact_method__descriptor, walk.value, NULL);
        if (method == NULL) abort();
        *used |= bits_of((int)method->channel);
        tocsin__contact_method__free_unpacked(method, NULL);
    }
}

uint32_t engine_ways_used(struct engine *engine) {
    uint32_t used = 0;
    for (unsigned g = 0; g < engine->config->guardians_count; g++)
        for (unsigned c = 0; c < engine->config->guardians[g].contacts_count; c++) used |= bits_of(engine->config->guardians[g].contacts[c].channel);
    engine_gasp_look(engine, look_at_ways, &used);
    return used;
}

/* ---- providers: each is asked once, however many channels go through it */

static bool is_asked(const struct engine_outer *outer, const struct channel *channel) {
    for (unsigned i = 0; channels_all()[i] != channel; i++)
        if ((outer->asked & 1u << i) != 0 && channels_all()[i]->probe == channel->probe) return true;
    return false;
}

static void ask_provider(struct engine *engine, unsigned place) {
    struct engine_outer *outer = &engine->outer;
    const struct channel *channel = channels_all()[place];
    struct outgoing outgoing = {.probe = true, .deadline_ms = (uint32_t)patience_ms(engine)};
    outer->askable |= 1u << place;
    if (is_asked(outer, channel)) return;
    outer->asked |= 1u << place;
    channel->probe(&engine->config->notify, &outgoing);
    if (channel->channel == TOCSIN__CHANNEL__CHANNEL_EMAIL) {
        /* Who logs in every minute is barred by mail servers before long. */
        free(outgoing.username);
        free(outgoing.password);
        outgoing.username = outgoing.password = NULL;
    }
    engine->ports.transfer(engine->ports.context, OUTER_TRANSFER | outer->round << ROUND_SHIFT | place, &outgoing);
    outgoing_close(&outgoing);
}

static void ask_providers(struct engine *engine) {
    struct engine_outer *outer = &engine->outer;
    const struct channel *const *channels = channels_all();
    outer->used = engine_ways_used(engine);
    for (unsigned i = 0; channels[i] != NULL && i < CHANNELS_MAX && !engine->failed; i++) {
        if ((outer->used & 1u << i) == 0 || channels[i]->missing(&engine->config->notify) != NULL) continue;
        outer->usable |= 1u << i;
        if (channels[i]->probe != NULL) ask_provider(engine, i);
    }
}

/* Of its provider, so of each channel that goes through it. */
static void provider_answered(struct engine *engine, unsigned place, const struct answer *answer) {
    struct engine_outer *outer = &engine->outer;
    const struct channel *const *channels = channels_all();
    uint32_t same = 0;
    for (unsigned i = 0; channels[i] != NULL && i < CHANNELS_MAX; i++)
        if ((outer->askable & 1u << i) != 0 && channels[i]->probe == channels[place]->probe) same |= 1u << i;
    struct verdict verdict = {0};
    channels[place]->judge_probe(answer, &verdict);
    outer->asked &= ~(1u << place);
    if (verdict.outcome == TOCSIN__OUTCOME__OUTCOME_MISCONFIGURED || engine_probes_refuses(engine, place))
        outer->refused |= same;
    else if (verdict.outcome == TOCSIN__OUTCOME__OUTCOME_SENT)
        outer->reached |= same;
}

/* Where no way has a provider that could be asked, what the dispatcher saw of them has to do. */
static bool provider_works(const struct engine *engine) {
    const struct engine_outer *outer = &engine->outer;
    const struct channel *const *channels = channels_all();
    uint32_t open = outer->askable != 0 ? outer->reached : outer->usable;
    for (unsigned i = 0; channels[i] != NULL && i < CHANNELS_MAX; i++)
        if ((open & 1u << i) != 0 &&
            dispatcher_failures_in_a_row(engine->dispatcher, channels[i]->channel, FAILURES_COUNT_FOR_MS) < FAILURES_IN_A_ROW)
            return true;
    return false;
}

/* ---- the outbox */

struct outbox_look {
    uint64_t now_ms, patience_ms;
    bool stuck;
};

static void look_into_outbox(void *argument, const struct machine_store *view) {
    struct outbox_look *look = argument;
    struct walk walk = walk_all(view, TABLE_OUTBOX);
    for (unsigned left = OUTBOX_LOOK_MAX; left > 0 && !look->stuck && walk_next(&walk); left--) {
        Tocsin__Notification *notification = record_unpack(&tocsin__notification__descriptor, walk.value, NULL);
        if (notification == NULL) abort();
        uint64_t due_ms = notification->due_at_ms > notification->created_at_ms ? notification->due_at_ms : notification->created_at_ms;
        look->stuck = look->now_ms > due_ms + look->patience_ms;
        tocsin__notification__free_unpacked(notification, NULL);
    }
}

static bool outbox_is_stuck(struct engine *engine) {
    bool busy = dispatcher_statistics(engine->dispatcher).waiting > 0;
    uint64_t stuck_ms = (uint64_t)engine->config->minute_ms * (busy ? STUCK_MINUTES_BUSY : STUCK_MINUTES);
    struct outbox_look look = {.now_ms = engine_cluster_ms(engine), .patience_ms = stuck_ms > STUCK_MS_LEAST ? stuck_ms : STUCK_MS_LEAST};
    engine_gasp_look(engine, look_into_outbox, &look);
    return look.stuck;
}

/* ---- the probe */

static void probe_answered(void *argument, enum proposal_outcome outcome, struct span reply) {
    struct engine *engine = argument;
    struct engine_outer *outer = &engine->outer;
    Tocsin__Reply *answer = outcome == PROPOSAL_APPLIED ? tocsin__reply__unpack(NULL, reply.size_bytes, reply.data) : NULL;
    outer->probe_waits = false;
    outer->probe_id = answer != NULL && answer->n_ids > 0 ? answer->ids[0] : 0;
    outer->probe_index = engine->progress.applied_index;
    if (answer != NULL) tocsin__reply__free_unpacked(answer, NULL);
    if (outer->probe_id != 0) engine->ports.state_want_commit(engine->ports.context);
}

static void send_probe(struct engine *engine) {
    Tocsin__OuterProbe probe = TOCSIN__OUTER_PROBE__INIT;
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_OUTER_PROBE;
    command.outer_probe = &probe;
    engine->outer.probe_waits = true;
    engine->outer.probe_id = 0;
    proposer_submit(engine->proposer, &command, engine_now_ms(engine) + patience_ms(engine), probe_answered, engine);
}

static bool probe_was_handed_on(const struct engine *engine) {
    return engine->outer.probe_id != 0 && dispatcher_last_probe(engine->dispatcher) == engine->outer.probe_id;
}

static void look_for_probe(void *argument, const struct machine_store *view) {
    struct engine *engine = argument;
    struct key key = key_1(engine->outer.probe_id);
    struct span value;
    engine->outer.probe_ended = !view->get(view->context, TABLE_OUTBOX, key_span(&key), &value);
}

/* Its row leaves the outbox with the receipt. Looked at when something more is in the state. */
static void follow_probe(struct engine *engine) {
    struct engine_outer *outer = &engine->outer;
    uint64_t committed_index = engine->progress.committed_index;
    if (outer->probe_ended || !probe_was_handed_on(engine) || committed_index < outer->probe_index || committed_index == outer->looked_index) return;
    outer->looked_index = committed_index;
    engine_gasp_look(engine, look_for_probe, engine);
    if (!outer->probe_ended) engine->ports.state_want_commit(engine->ports.context);
}

/* ---- rounds */

static void begin(struct engine *engine, uint64_t now_ms) {
    struct engine_outer *outer = &engine->outer;
    outer->round++;
    outer->running = true;
    outer->begun_ms = now_ms;
    outer->usable = outer->askable = outer->asked = outer->reached = outer->refused = 0;
    outer->looked_index = 0;
    outer->probe_ended = false;
    if (!outer->probe_waits) send_probe(engine); /* one that still waits is as good */
    ask_providers(engine);
}

/* A minute in which pages waited and none was taken; never less than a request may take. */
static uint64_t standstill_ms(const struct engine *engine) {
    return engine->config->minute_ms > 2 * ATTEMPT_DEADLINE_MS ? engine->config->minute_ms : 2 * ATTEMPT_DEADLINE_MS;
}

static const char *fault(struct engine *engine) {
    const struct engine_outer *outer = &engine->outer;
    if (outer->probe_id == 0) return "a command was not committed in time";
    if (!probe_was_handed_on(engine)) return "what was owed was not claimed and handed on in time";
    if (!outer->probe_ended) return "a receipt was not in the state in time";
    if (outer->used == 0) return "nobody could be told: no guardian and no person has a contact method";
    if (outer->usable == 0) return "this node can use no provider that anybody's contact methods need";
    if (outer->askable != 0 && outer->reached == 0)
        return outer->refused != 0 ? "no provider that anybody could be told by takes this node's credentials" : "no provider answers that anybody could be told by";
    if (!provider_works(engine)) return "each provider that could tell somebody refused the last requests";
    if (!dispatcher_moves(engine->dispatcher, standstill_ms(engine))) return "pages wait, and none is taken";
    if (outbox_is_stuck(engine)) return "a notification is stuck in the outbox";
    return NULL;
}

static void ping(struct engine *engine) {
    for (unsigned i = 0; i < engine->config->outers_count; i++) {
        struct outgoing outgoing;
        outer_compose(&engine->config->outers[i], engine->config->cluster_name, engine_wall_ms(engine), &outgoing);
        outgoing.deadline_ms = (uint32_t)patience_ms(engine);
        engine->ports.transfer(engine->ports.context, PING_TRANSFER | engine->outer.round << ROUND_SHIFT | i, &outgoing);
        outgoing_close(&outgoing);
    }
}

static void end(struct engine *engine) {
    struct engine_outer *outer = &engine->outer;
    const char *why = fault(engine);
    outer->running = false;
    if (why != NULL && (outer->why == NULL || strcmp(why, outer->why) != 0)) log_error("outer heartbeat: no ping is sent: %s", why);
    if (why == NULL && outer->why != NULL) log_info("outer heartbeat: pings are sent again");
    outer->why = why;
    if (why == NULL && !engine->failed) ping(engine);
}

static void ping_answered(struct engine *engine, unsigned place, const struct answer *answer) {
    struct outer_standing *standing = &engine->outer.standings[place];
    bool taken = answer->kind == ANSWER_RESPONSE && answer->status >= 200 && answer->status < 300;
    bool was_told = standing->error[0] != '\0';
    standing->error[0] = '\0';
    if (taken) {
        standing->last_ping_ms = engine_wall_ms(engine);
        return;
    }
    /* curl's own words may hold the URL, which is a secret. */
    if (answer->kind == ANSWER_RESPONSE)
        snprintf(standing->error, sizeof standing->error, "it answered with %u", answer->status);
    else
        snprintf(standing->error, sizeof standing->error, "%s", answer->kind == ANSWER_NOT_SENT ? "it could not be reached" : "it did not answer in time");
    if (!was_told) log_warning("outer heartbeat: the ping to %s failed: %s", engine->config->outers[place].name, standing->error);
}

void engine_outer_answered(struct engine *engine, uint64_t transfer_id, const struct answer *answer) {
    unsigned place = (unsigned)(transfer_id & PLACE_MASK);
    if ((transfer_id & PING_TRANSFER) == PING_TRANSFER)
        ping_answered(engine, place, answer);
    else if (engine->outer.running && transfer_id == (OUTER_TRANSFER | engine->outer.round << ROUND_SHIFT | place))
        provider_answered(engine, place, answer);
}

void engine_outer_turn(struct engine *engine, uint64_t term) {
    struct engine_outer *outer = &engine->outer;
    if (engine->config->outers_count == 0) return;
    if (term == 0) {
        outer->running = false;
        return;
    }
    uint64_t now_ms = engine_now_ms(engine);
    if (!outer->running) {
        if (outer->round == 0 || now_ms - outer->begun_ms >= engine->config->minute_ms) begin(engine, now_ms);
        return;
    }
    follow_probe(engine);
    if (engine->failed) return;
    bool all = !outer->probe_waits && outer->asked == 0 && outer->probe_ended;
    if (all || now_ms - outer->begun_ms >= patience_ms(engine)) end(engine);
}

uint64_t engine_outer_next_ms(const struct engine *engine) {
    if (engine->config->outers_count == 0 || engine->outer.round == 0) return UINT64_MAX;
    return engine->outer.begun_ms + (engine->outer.running ? patience_ms(engine) : engine->config->minute_ms);
}

/* ---- what operators see */

json_t *engine_outer_json(struct engine *engine) {
    const struct engine_outer *outer = &engine->outer;
    bool leading = engine_leading_term(engine) != 0;
    json_t *list = json_array();
    for (unsigned i = 0; i < engine->config->outers_count; i++) {
        const struct outer *configured = &engine->config->outers[i];
        const struct outer_standing *standing = &outer->standings[i];
        const char *why = !leading                     ? "this node does not lead: the leader pings"
                          : outer->why != NULL         ? outer->why
                          : standing->error[0] != '\0' ? standing->error
                                                       : NULL;
        json_t *item = json_pack("{s:s, s:s, s:b}", "name", configured->name, "preset", outer_preset_name(configured->preset), "silence_pages",
                                 !outer_is_mute(configured));
        json_object_set_new(item, "last_ping_ms", standing->last_ping_ms != 0 ? json_integer((json_int_t)standing->last_ping_ms) : json_null());
        json_object_set_new(item, "why_not", why != NULL ? json_string(why) : json_null());
        json_array_append_new(list, item);
    }
    return list;
}
