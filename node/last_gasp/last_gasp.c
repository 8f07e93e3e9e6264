/* Who speaks, and when: see last_gasp.h. */
#include "node/last_gasp/last_gasp_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/keys.h"
#include "consensus/machine/limits.h"
#include "consensus/machine/planted.h"
#include "node/log.h"

static uint64_t now_of(const struct last_gasp *gasp) { return gasp->ports.boottime_ms(gasp->ports.context); }

struct last_gasp *last_gasp_new(const struct last_gasp_options *options, const struct last_gasp_ports *ports) {
    struct last_gasp *gasp = calloc(1, sizeof *gasp);
    if (gasp == NULL) abort();
    gasp->ports = *ports;
    gasp->id = options->id;
    gasp->after_ms = options->after_ms;
    gasp->settings = options->settings;
    gasp->last_turn_ms = now_of(gasp);
    uint64_t remembered_ms = options->remembered_ms;
    if (remembered_ms != 0 && remembered_ms <= gasp->last_turn_ms && gasp->last_turn_ms - remembered_ms <= LAST_GASP_CURRENT_MS)
        gasp->current_ms = remembered_ms;
    gasp_record_open(gasp, options->record);
    return gasp;
}

static void forget_triggers(struct last_gasp *gasp) {
    for (size_t i = 0; i < gasp->triggers_count; i++) tocsin__gasp_trigger__free_unpacked(gasp->triggers[i].trigger, NULL);
    gasp->triggers_count = 0;
    gasp->triggers_full_told = false;
}

void last_gasp_free(struct last_gasp *gasp) {
    if (gasp == NULL) return;
    gasp_pages_close(&gasp->pages);
    forget_triggers(gasp);
    gasp_record_close(gasp);
    free(gasp);
}

/* ---- peers */

static bool is_fresh(uint64_t heard_ms, uint64_t now_ms) { return heard_ms != 0 && now_ms - heard_ms <= LAST_GASP_HEARD_MS; }

void last_gasp_heard(struct last_gasp *gasp, uint64_t peer, const struct gasp_said *said) {
    unsigned at = 0, oldest = 0;
    while (at < gasp->peers_count && gasp->peers[at].id != peer) {
        if (gasp->peers[at].heard_ms < gasp->peers[oldest].heard_ms) oldest = at;
        at++;
    }
    if (at == GASP_PEERS_MAX)
        at = oldest;
    else if (at == gasp->peers_count)
        gasp->peers_count++;
    gasp->peers[at] = (struct gasp_peer){peer, now_of(gasp), *said};
}

/* Within a JSON string the closing quote would have a backslash before it. */
uint64_t last_gasp_leader_in(const char *answer) {
    static const char key[] = "\"leader\":";
    const char *value = strstr(answer, key);
    if (value == NULL) return 0;
    value += sizeof key - 1;
    value += strspn(value, " ");
    return *value >= '0' && *value <= '9' ? strtoull(value, NULL, 10) : 0;
}

void last_gasp_leader_elsewhere(struct last_gasp *gasp) { gasp->elsewhere_ms = now_of(gasp); }

static bool sees_leader(const struct last_gasp *gasp, uint64_t now_ms) {
    if (gasp->sight.leader || is_fresh(gasp->elsewhere_ms, now_ms)) return true;
    for (unsigned i = 0; i < gasp->peers_count; i++)
        if (gasp->peers[i].said.leader && is_fresh(gasp->peers[i].heard_ms, now_ms)) return true;
    return false;
}

/* ---- standing */

/* NULL when it may, or the reason why not. */
static const char *why_silent(const struct last_gasp *gasp) {
    if (gasp->after_ms == 0) return "last_gasp_after_ms is 0 in this node's configuration";
    if (gasp->sight.barred != NULL) return gasp->sight.barred;
    if (gasp->current_ms == 0) return "its state has not been current since it started";
    if (gasp->waiting_ms != 0 && gasp->waiting_ms > gasp->current_ms && gasp->waiting_ms - gasp->current_ms > LAST_GASP_CURRENT_MS)
        return "its state was not current when the majority was lost";
    return NULL;
}

bool last_gasp_may_speak(const struct last_gasp *gasp) { return why_silent(gasp) == NULL; }

/* Of two that may speak, by that channel: who can send at all is before who cannot, then comes whose state reaches further. */
static bool is_before(uint64_t id, const struct gasp_said *said, uint64_t other_id, const struct gasp_said *other, unsigned channel) {
    bool reaches = (said->reach >> channel & 1) != 0, other_reaches = (other->reach >> channel & 1) != 0;
    if (reaches != other_reaches) return reaches;
    return said->applied_index != other->applied_index ? said->applied_index > other->applied_index : id < other_id;
}

/* Of those that are heard and may speak, the one that is before this node; 0: none. *reached: whoever it is can send by the channel. */
static uint64_t better_speaker(const struct last_gasp *gasp, unsigned channel, uint64_t now_ms, bool *reached) {
    const struct gasp_said own = {.applied_index = gasp->sight.applied_index, .reach = gasp->sight.reach}, *best = &own;
    uint64_t speaker = 0;
    for (unsigned i = 0; i < gasp->peers_count; i++) {
        const struct gasp_peer *peer = &gasp->peers[i];
        if (!peer->said.may_speak || !is_fresh(peer->heard_ms, now_ms) || planted(ALL_SPEAK)) continue;
        if (!is_before(peer->id, &peer->said, speaker != 0 ? speaker : gasp->id, best, channel)) continue;
        speaker = peer->id;
        best = &peer->said;
    }
    *reached = (best->reach >> channel & 1) != 0;
    return speaker;
}

/* True when there is a channel by which this node speaks. What nobody can send is left to the first of those that can send anything: it tries. */
static bool choose_speakers(struct last_gasp *gasp, uint64_t now_ms) {
    bool reached;
    gasp->speakers[0] = better_speaker(gasp, GASP_ANY_CHANNEL, now_ms, &reached);
    bool speaks = gasp->speakers[0] == 0;
    for (unsigned channel = 1; channel < GASP_CHANNELS; channel++) {
        gasp->speakers[channel] = better_speaker(gasp, channel, now_ms, &reached);
        if (!reached) gasp->speakers[channel] = gasp->speakers[0];
        speaks |= gasp->speakers[channel] == 0;
    }
    return speaks;
}

static enum gasp_standing stand(struct last_gasp *gasp, uint64_t now_ms) {
    gasp->why = NULL;
    if (gasp->waiting_ms == 0) return GASP_LED;
    if (now_ms - gasp->waiting_ms < gasp->after_ms) return GASP_WAITING;
    gasp->why = why_silent(gasp);
    if (gasp->why != NULL) return GASP_SILENT;
    return choose_speakers(gasp, now_ms) ? GASP_SPEAKS : GASP_DEFERS;
}

const char *last_gasp_standing_name(enum gasp_standing standing) {
    static const char *const names[] = {[GASP_LED] = "led", [GASP_WAITING] = "waiting", [GASP_SILENT] = "silent", [GASP_DEFERS] = "defers",
                                        [GASP_SPEAKS] = "speaks"};
    return names[standing];
}

static void say_standing(const struct last_gasp *gasp) {
    switch (gasp->standing) {
    case GASP_LED:
        log_info("last gasp: there is a leader");
        return;
    case GASP_WAITING:
        log_info("last gasp: no leader is seen");
        return;
    case GASP_SILENT:
        log_warning("last gasp: no leader for %" PRIu64 " ms; this node stays silent: %s", gasp->after_ms, gasp->why);
        return;
    case GASP_DEFERS:
        log_warning("last gasp: no leader for %" PRIu64 " ms; node %" PRIu64 " speaks", gasp->after_ms, gasp->speakers[0]);
        return;
    case GASP_SPEAKS:
        log_warning("last gasp: no leader for %" PRIu64 " ms; this node pages on its own, from its state up to entry %" PRIu64, gasp->after_ms,
                    gasp->sight.applied_index);
    }
}

/* ---- refused triggers */

#define MADE_KEY_CHARACTERS 32u

static uint64_t text_hash(const char *text) {
    struct key hash = key_hash(text);
    return span_number(key_span(&hash), 0);
}

/* As the API makes one for a sender that gave none: of each try another one. */
static bool is_made_here(const char *dedup_key) {
    return strlen(dedup_key) == MADE_KEY_CHARACTERS && strspn(dedup_key, "0123456789abcdef") == MADE_KEY_CHARACTERS;
}

static uint64_t trigger_id(const Tocsin__GaspTrigger *trigger) {
    uint64_t id = text_hash(trigger->routing_key) * 31 + text_hash(is_made_here(trigger->dedup_key) ? trigger->summary : trigger->dedup_key);
    return id != 0 ? id : 1;
}

static Tocsin__GaspTrigger *copy_of(const Tocsin__GaspTrigger *trigger) {
    size_t size_bytes = tocsin__gasp_trigger__get_packed_size(trigger);
    uint8_t *packed = malloc(size_bytes + 1);
    if (packed == NULL) abort();
    tocsin__gasp_trigger__pack(trigger, packed);
    Tocsin__GaspTrigger *copy = tocsin__gasp_trigger__unpack(NULL, size_bytes, packed);
    if (copy == NULL) abort();
    free(packed);
    return copy;
}

struct trigger_plan {
    const struct last_gasp *gasp;
    const struct gasp_trigger *trigger;
    struct gasp_pages pages; /* goes on where the others end */
};

static void plan_trigger_with(void *argument, const struct machine_store *view) {
    struct trigger_plan *plan = argument;
    gasp_plan_trigger(plan->gasp, view, plan->trigger, now_of(plan->gasp), &plan->pages);
}

static struct trigger_plan plan_trigger(const struct last_gasp *gasp, const struct gasp_trigger *trigger) {
    struct trigger_plan plan = {gasp, trigger, {.added = gasp->pages.added, .planned = gasp->pages.planned, .full_told = gasp->pages.full_told}};
    gasp->ports.look(gasp->ports.context, plan_trigger_with, &plan);
    return plan;
}

static bool is_known(const struct last_gasp *gasp, uint64_t id) {
    for (size_t i = 0; i < gasp->triggers_count; i++)
        if (gasp->triggers[i].id == id) return true;
    return false;
}

/* What would page nobody is as good as not said: it takes no place of what would. Whoever does not speak keeps it, for it may come to speak. */
static bool take_trigger(struct last_gasp *gasp, const Tocsin__GaspTrigger *trigger) {
    struct gasp_trigger taken = {.id = trigger_id(trigger)};
    if (is_known(gasp, taken.id)) return false;
    if (gasp->triggers_count == LAST_GASP_TRIGGERS_MAX) {
        if (!gasp->triggers_full_told)
            log_error("last gasp: more than %u triggers were refused that would page somebody; of the others nobody is told", LAST_GASP_TRIGGERS_MAX);
        gasp->triggers_full_told = true;
        return false;
    }
    taken.trigger = copy_of(trigger);
    struct trigger_plan plan = plan_trigger(gasp, &taken);
    bool pages = plan.pages.count > 0;
    taken.planned = gasp->standing == GASP_SPEAKS;
    if (pages)
        gasp->triggers[gasp->triggers_count++] = taken;
    else
        tocsin__gasp_trigger__free_unpacked(taken.trigger, NULL);
    if (pages && taken.planned) gasp_pages_take(&gasp->pages, &plan.pages);
    gasp_pages_close(&plan.pages);
    return pages;
}

/* This node speaks now, and has heard of them before. */
static void plan_triggers(struct last_gasp *gasp) {
    for (size_t i = 0; i < gasp->triggers_count; i++) {
        if (gasp->triggers[i].planned) continue;
        gasp->triggers[i].planned = true;
        struct trigger_plan plan = plan_trigger(gasp, &gasp->triggers[i]);
        gasp_pages_take(&gasp->pages, &plan.pages);
        gasp_pages_close(&plan.pages);
    }
}

/* ---- the turn */

static void remember(struct last_gasp *gasp, uint64_t now_ms) {
    bool due = gasp->remembered_ms == 0 || now_ms - gasp->remembered_ms >= LAST_GASP_REMEMBER_MS;
    if (gasp->ports.remember == NULL || !due || gasp->current_ms == 0 || !last_gasp_may_speak(gasp)) return;
    /* While somebody leads whom only peers hear, others decide what this state does not have. */
    if (gasp->waiting_ms == 0 && now_ms - gasp->current_ms > LAST_GASP_CURRENT_MS) return;
    gasp->remembered_ms = now_ms;
    gasp->ports.remember(gasp->ports.context, now_ms);
}

static void plan_with(void *argument, const struct machine_store *view) {
    struct last_gasp *gasp = argument;
    gasp_plan(gasp, view, now_of(gasp), &gasp->pages);
    gasp->planned = true;
}

/* The time without a majority is over. */
static void end_gasp(struct last_gasp *gasp) {
    gasp_pages_stop(gasp);
    gasp_record_forget_others(gasp);
    gasp->planned = false;
    gasp->pages.planned = 0;
    gasp->pages.full_told = false;
    forget_triggers(gasp);
}

static void look_around(struct last_gasp *gasp, uint64_t now_ms) {
    /* Whoever slept does not know for how long there has been no leader, nor, yet, whether there is one. */
    if (now_ms - gasp->last_turn_ms > LAST_GASP_GAP_MS) gasp->waiting_ms = 0;
    gasp->last_turn_ms = now_ms;
    if (!sees_leader(gasp, now_ms)) {
        if (gasp->waiting_ms == 0) gasp->waiting_ms = now_ms;
        return;
    }
    gasp->waiting_ms = 0;
    if (gasp->sight.leader && gasp->sight.current) gasp->current_ms = now_ms;
}

uint64_t last_gasp_turn(struct last_gasp *gasp, const struct gasp_sight *sight) {
    uint64_t now_ms = now_of(gasp);
    gasp->sight = *sight;
    look_around(gasp, now_ms);
    enum gasp_standing before = gasp->standing;
    gasp->standing = stand(gasp, now_ms);
    remember(gasp, now_ms);
    if (gasp->standing != before && gasp->after_ms != 0) say_standing(gasp);
    if (gasp->standing == GASP_LED && before != GASP_LED) end_gasp(gasp);
    if (gasp->standing == GASP_SPEAKS) {
        if (!gasp->planned) gasp->ports.look(gasp->ports.context, plan_with, gasp);
        plan_triggers(gasp);
        gasp_pages_send(gasp, now_ms);
    }
    gasp_record_flush(gasp);
    if (gasp->standing == GASP_LED && sight->leader && sight->current) gasp_record_report(gasp, now_ms);
    if (gasp->standing == GASP_WAITING) return gasp->waiting_ms + gasp->after_ms;
    return gasp->standing == GASP_SPEAKS ? gasp_pages_next_ms(gasp) : UINT64_MAX;
}

/* ---- what is heard */

bool last_gasp_is_on(const struct last_gasp *gasp) { return gasp->standing >= GASP_SILENT && gasp->after_ms != 0; }

/* Rules took it out of people's way, or into nobody's. */
static bool is_held(const Tocsin__EventDecision *decision) {
    return decision != NULL && (decision->suppress || decision->urgency_low || decision->disposition != TOCSIN__DISPOSITION__DISPOSITION_TAKEN);
}

void last_gasp_refused(struct last_gasp *gasp, const Tocsin__Event *event) {
    const Tocsin__EventDecision *decision = event->decision;
    if (!last_gasp_is_on(gasp) || is_held(decision)) return;
    Tocsin__GaspTrigger trigger = TOCSIN__GASP_TRIGGER__INIT;
    trigger.routing_key = event->routing_key;
    trigger.dedup_key = event->dedup_key;
    trigger.summary = event->summary;
    trigger.severity = event->severity;
    if (decision != NULL) {
        trigger.service_id = decision->service_id;
        trigger.escalation_policy_id = decision->escalation_policy_id;
        trigger.urgency = decision->urgency_high ? TOCSIN__URGENCY__URGENCY_HIGH : TOCSIN__URGENCY__URGENCY_NONE;
        trigger.suspend_s = decision->suspend_s;
    }
    if (!take_trigger(gasp, &trigger)) return;
    Tocsin__GaspItem item = TOCSIN__GASP_ITEM__INIT;
    item.at_ms = gasp->ports.cluster_ms(gasp->ports.context);
    item.body_case = TOCSIN__GASP_ITEM__BODY_TRIGGER;
    item.trigger = &trigger;
    (void)gasp_record_add(gasp, &item); /* said in the log when the record is full */
}

bool last_gasp_answer(struct last_gasp *gasp, uint64_t incident_id, bool resolves, const Tocsin__Actor *actor) {
    if (gasp_record_has_answer(gasp, incident_id, resolves)) return gasp_record_flush(gasp);
    Tocsin__GaspAnswer answer = TOCSIN__GASP_ANSWER__INIT;
    answer.incident_id = incident_id;
    answer.resolves = resolves;
    answer.actor_kind = actor->kind;
    answer.actor_id = actor->id;
    answer.actor_name = actor->name;
    Tocsin__GaspItem item = TOCSIN__GASP_ITEM__INIT;
    item.at_ms = gasp->ports.cluster_ms(gasp->ports.context);
    item.body_case = TOCSIN__GASP_ITEM__BODY_ANSWER;
    item.answer = &answer;
    return gasp_record_add(gasp, &item) && gasp_record_flush(gasp);
}

void last_gasp_told(struct last_gasp *gasp, struct span packed) {
    Tocsin__GaspItem *item = tocsin__gasp_item__unpack(NULL, packed.size_bytes, packed.data);
    if (item == NULL) {
        log_warning("last gasp: a peer told something that does not decode");
        return;
    }
    bool of_now = gasp->waiting_ms != 0;
    if (of_now && item->body_case == TOCSIN__GASP_ITEM__BODY_TRIGGER) (void)take_trigger(gasp, item->trigger);
    if (of_now && item->body_case != TOCSIN__GASP_ITEM__BODY_TRIGGER)
        gasp_record_heard(gasp, item);
    else
        tocsin__gasp_item__free_unpacked(item, NULL);
}

/* ---- what is seen of it */

struct last_gasp_status last_gasp_status(const struct last_gasp *gasp) {
    return (struct last_gasp_status){.standing = gasp->standing, .why = gasp->why,
                                     .speaker = gasp->standing == GASP_DEFERS ? gasp->speakers[0] : 0,
                                     .waited_ms = gasp->waiting_ms != 0 ? now_of(gasp) - gasp->waiting_ms : 0, .after_ms = gasp->after_ms,
                                     .pages_waiting = gasp->pages.count - gasp->under_way, .pages_under_way = gasp->under_way,
                                     .items = gasp->items_count};
}

struct rehearsal {
    struct last_gasp *gasp;
    struct gasp_pages pages;
};

static void rehearse_with(void *argument, const struct machine_store *view) {
    struct rehearsal *rehearsal = argument;
    gasp_plan(rehearsal->gasp, view, 0, &rehearsal->pages);
}

void last_gasp_rehearse(struct last_gasp *gasp,
                        void (*each)(void *context, const Tocsin__Notification *notification, uint64_t after_ms, const char *unusable), void *context) {
    struct rehearsal rehearsal = {.gasp = gasp};
    gasp->ports.look(gasp->ports.context, rehearse_with, &rehearsal);
    for (size_t i = 0; i < rehearsal.pages.count; i++) {
        const struct gasp_page *page = &rehearsal.pages.pages[i];
        each(context, page->notification, page->due_ms, gasp_page_unusable(gasp, page->notification));
    }
    gasp_pages_close(&rehearsal.pages);
}
