/* Alerts that fire and open no incident for now. */
#include "consensus/machine/suppression/suppression.h"

#include <assert.h>
#include <inttypes.h>

#include "consensus/machine/checks.h"
#include "consensus/machine/incidents/incidents.h"
#include "consensus/machine/planted.h"

#define MINUTES_PER_DAY (24u * 60)

static Tocsin__Alert *held_get(struct apply *apply, uint64_t alert_id)
{
    return alert_get(apply->store, 0, alert_id, apply->arena);
}

static uint64_t kept_ms(const struct apply *apply)
{
    return (uint64_t)apply->settings->payload_retention_days * apply_minutes_ms(apply, MINUTES_PER_DAY);
}

/* ---------------------------------------------------------------- what holds it */

static Tocsin__Hold *hold_new(struct apply *apply, Tocsin__Why why, uint64_t place, uint64_t until_ms)
{
    Tocsin__Hold *hold = apply_alloc(apply, sizeof *hold);
    tocsin__hold__init(hold);
    hold->why = (uint32_t)why;
    hold->cause_id = hold->place = place;
    hold->until_ms = until_ms;
    hold->since_ms = apply->time_ms;
    return hold;
}

static Tocsin__Hold *hold_by_window(struct apply *apply, uint64_t service_id)
{
    uint64_t until_ms = 0;
    uint64_t window_id = maintenance_of_service(apply->store, service_id, apply->time_ms, &until_ms);
    if (window_id == 0 || planted(WINDOW_IGNORED)) {
        return NULL;
    }
    Tocsin__Hold *hold = hold_new(apply, TOCSIN__WHY__WHY_MAINTENANCE, window_id, until_ms);
    const Tocsin__MaintenanceWindow *window = maintenance_window_get(apply->store, window_id, apply->arena);
    hold->text = window != NULL ? window->description : hold->text;
    return hold;
}

/* By a mute that the leader said fits. One that is over by now, or gone, holds nothing. */
static Tocsin__Hold *hold_by_mute(struct apply *apply, uint64_t mute_id)
{
    const Tocsin__Mute *mute = mute_get(apply->store, mute_id, apply->arena);
    if (mute == NULL || mute->start_ms > apply->time_ms || mute->end_ms <= apply->time_ms) {
        return NULL;
    }
    Tocsin__Hold *hold = hold_new(apply, TOCSIN__WHY__WHY_MUTED, mute_id, mute->end_ms);
    hold->text = mute->reason;
    return hold;
}

static Tocsin__Hold *hold_for_answer(struct apply *apply)
{
    return mutes_in_force(apply->store, apply->time_ms)
               ? hold_new(apply, TOCSIN__WHY__WHY_MUTES_ASKED, HELD_FOR_ANSWER, apply->time_ms + MUTE_ANSWER_MS)
               : NULL;
}

static Tocsin__Hold *hold_by_rule(struct apply *apply, const struct hold_request *request)
{
    Tocsin__Hold *hold = hold_new(apply, TOCSIN__WHY__WHY_RULE_SUPPRESSED, 0, apply->time_ms + kept_ms(apply));
    hold->cause_id = request->rule_id;
    hold->text = apply_strdup(apply, request->text != NULL ? request->text : "");
    return hold;
}

/* The time that the alert gets to pass by itself: the rule's, or else the service's. */
static void pause_begin(struct apply *apply, const Tocsin__Service *service, const struct hold_request *request,
                        Tocsin__Hold *hold)
{
    uint32_t rule_s = request != NULL ? request->pause_s : 0;
    uint32_t pause_s = rule_s > 0 ? rule_s : service->auto_pause_s;
    if (pause_s == 0) {
        return;
    }
    hold->pause_until_ms = apply->time_ms + apply_seconds_ms(apply, pause_s);
    hold->pause_why = (uint32_t)(rule_s > 0 ? TOCSIN__WHY__WHY_RULE_PAUSED : TOCSIN__WHY__WHY_PAUSED);
    const char *text = rule_s > 0 && request->text != NULL ? request->text : "";
    hold->pause_text = apply_strdup(apply, text);
}

static Tocsin__Hold *hold_by_pause(struct apply *apply, const Tocsin__Hold *asked)
{
    if (asked->pause_until_ms <= apply->time_ms) {
        return NULL;
    }
    Tocsin__Hold *hold = hold_new(apply, (Tocsin__Why)asked->pause_why, 0, asked->pause_until_ms);
    hold->text = asked->pause_text;
    return hold;
}

/* The first that holds: what is known to be noise needs no other look, and what passes by itself no answer on mutes. */
static Tocsin__Hold *hold_next(struct apply *apply, uint64_t service_id, const Tocsin__Hold *asked)
{
    Tocsin__Hold *hold = hold_by_window(apply, service_id);
    if (hold == NULL) {
        hold = hold_by_pause(apply, asked);
    }
    return hold != NULL ? hold : hold_for_answer(apply);
}

/* What stays while one thing after the other holds an alert. */
static Tocsin__Hold *with_pause(Tocsin__Hold *hold, const Tocsin__Hold *asked)
{
    hold->pause_until_ms = asked->pause_until_ms;
    hold->pause_why = asked->pause_why;
    hold->pause_text = asked->pause_text;
    return hold;
}

Tocsin__Hold *hold_judge(struct apply *apply, const Tocsin__Service *service, const struct hold_request *request)
{
    if (request != NULL && request->suppress) {
        return hold_by_rule(apply, request);
    }
    Tocsin__Hold asked = TOCSIN__HOLD__INIT;
    pause_begin(apply, service, request, &asked);
    Tocsin__Hold *hold = hold_next(apply, service->id, &asked);
    return hold != NULL ? with_pause(hold, &asked) : NULL;
}

/* ---------------------------------------------------------------- its rows */

/* Whether the alert has a deadline of its own, or that of what it is listed under. */
static bool has_own_deadline(const Tocsin__Alert *alert)
{
    return alert->hold->place == alert->id || alert->hold->place == HELD_FOR_ANSWER;
}

static void file_end(struct apply *apply, uint64_t alert_id, uint64_t due_ms)
{
    Tocsin__Deadline row = TOCSIN__DEADLINE__INIT;
    record_put(apply->store, TABLE_DEADLINE, key_deadline(due_ms, DEADLINE_HOLD_END, alert_id, 0), &row.base);
}

static void rows_put(struct apply *apply, Tocsin__Alert *alert)
{
    Tocsin__Hold *hold = alert->hold;
    bool waits = hold->why == TOCSIN__WHY__WHY_MUTES_ASKED;
    hold->place = hold->place == 0 && !waits ? alert->id : hold->place;
    struct key listed = key_2(hold->place, alert->id);
    apply->store->put(apply->store->context, TABLE_HELD, key_span(&listed), (struct span){.data = "", .size_bytes = 0});
    if (has_own_deadline(alert)) {
        file_end(apply, alert->id, hold->until_ms);
    }
}

static void rows_delete(struct apply *apply, const Tocsin__Alert *alert)
{
    row_delete(apply, TABLE_HELD, key_2(alert->hold->place, alert->id));
    if (has_own_deadline(alert)) {
        row_delete(apply, TABLE_DEADLINE, key_deadline(alert->hold->until_ms, DEADLINE_HOLD_END, alert->id, 0));
    }
}

bool hold_begin(struct apply *apply, Tocsin__Alert *alert, Tocsin__Hold *hold, Tocsin__Reply *reply)
{
    assert(alert->id != 0 && alert->incident_id == 0 && !alert->resolved);
    if (!check_room(apply, reply, "held alerts", apply->store->count(apply->store->context, TABLE_HELD),
                    LIMIT_HELD_ALERTS)) {
        return false;
    }
    alert->hold = hold;
    rows_put(apply, alert);
    alert_put(apply->store, alert);
    struct key index = key_1_hash(alert->integration_id, alert->dedup_key);
    struct key place = key_2(0, alert->id);
    apply->store->put(apply->store->context, TABLE_ALERT_OPEN, key_span(&index), key_span(&place));
    reply->reason = TOCSIN__REASON__REASON_ALERT_HELD;
    return true;
}

/* Held on, by something else or for longer. */
static void hold_on(struct apply *apply, Tocsin__Alert *alert, Tocsin__Hold *hold)
{
    const Tocsin__Hold *old = alert->hold;
    bool was_asked = old->why == TOCSIN__WHY__WHY_MUTES_ASKED;
    rows_delete(apply, alert);
    hold->since_ms = old->since_ms;
    hold->trigger_why = old->trigger_why;
    if (hold->why == TOCSIN__WHY__WHY_MUTES_ASKED) {
        hold->before_why = was_asked ? old->before_why : old->why;
        hold->before_text = was_asked ? old->before_text : old->text;
    }
    alert->hold = with_pause(hold, old);
    rows_put(apply, alert);
    alert_put(apply->store, alert);
}

/* ---------------------------------------------------------------- its end */

/* The row stays for as long as what senders wrote: somebody may ask what was held back. */
void hold_resolve(struct apply *apply, Tocsin__Alert *alert)
{
    assert(alert->incident_id == 0 && !alert->resolved && !alert->hold->over);
    if (planted(HELD_RESOLVE_LOST)) {
        return;
    }
    rows_delete(apply, alert);
    alert_expiry_drop(apply, alert);
    row_delete(apply, TABLE_ALERT_OPEN, key_1_hash(alert->integration_id, alert->dedup_key));
    alert->resolved = alert->hold->over = true;
    alert->resolved_at_ms = alert->updated_at_ms = apply->time_ms;
    alert->hold->kept_until_ms = apply->time_ms + kept_ms(apply);
    alert_put(apply->store, alert);
    file_end(apply, alert->id, alert->hold->kept_until_ms);
}

/* An alert that mutes were only looked at for was not held back; of another, what did counts. False: it was not. */
static bool was_held(Tocsin__Hold *hold)
{
    if (hold->why == TOCSIN__WHY__WHY_MUTES_ASKED) {
        hold->why = hold->before_why;
        hold->text = hold->before_text;
    }
    return hold->why != TOCSIN__WHY__WHY_NONE;
}

/* The integration that it came by; the cluster itself for what it noticed. */
static Tocsin__Actor *source_of(struct apply *apply, const Tocsin__Alert *alert)
{
    const Tocsin__Integration *integration =
        integration_get(apply->store, alert->service_id, alert->integration_id, apply->arena);
    if (integration == NULL) {
        return NULL;
    }
    Tocsin__Actor *source = apply_alloc(apply, sizeof *source);
    tocsin__actor__init(source);
    source->kind = TOCSIN__ACTOR_KIND__ACTOR_INTEGRATION;
    source->id = integration->id;
    source->name = integration->name;
    return source;
}

/*
 * It fires, and nothing holds it any more: an incident. Without its service nobody is asked; without room for incidents
 * it is looked at again later, whatever has held it until now.
 */
static void release(struct apply *apply, Tocsin__Alert *alert)
{
    Tocsin__Service *service = service_get(apply->store, alert->service_id, apply->arena);
    if (service == NULL || service->disabled) {
        hold_resolve(apply, alert);
        return;
    }
    Tocsin__Reply reply = TOCSIN__REPLY__INIT;
    Tocsin__Hold before = *alert->hold;
    rows_delete(apply, alert);
    row_delete(apply, TABLE_ALERT, key_2(0, alert->id));
    alert->hold->over = true;
    bool held = was_held(alert->hold);
    alert->hold = held ? alert->hold : NULL;
    Tocsin__Why why = held ? TOCSIN__WHY__WHY_HOLD_OVER : (Tocsin__Why)before.trigger_why;
    if (alert_admit(apply, service, alert, why, source_of(apply, alert), &reply)) {
        return;
    }
    alert->hold = hold_new(apply, TOCSIN__WHY__WHY_NO_ROOM, 0, apply->time_ms + apply_minutes_ms(apply, HOLD_RETRY_MINUTES));
    alert->hold->since_ms = before.since_ms;
    alert->hold->trigger_why = before.trigger_why;
    rows_put(apply, alert);
    alert_put(apply->store, alert);
}

/* Looked at anew. */
static void judge_again(struct apply *apply, Tocsin__Alert *alert)
{
    Tocsin__Hold *hold = hold_next(apply, alert->service_id, alert->hold);
    if (hold != NULL) {
        hold_on(apply, alert, hold);
    } else {
        release(apply, alert);
    }
}

/* The leader's word must be about what the alert says; a source that never says the same twice would get none. */
bool hold_follows(const Tocsin__Alert *alert, const struct hold_request *request, bool worse)
{
    bool asked = alert->hold->why == TOCSIN__WHY__WHY_MUTES_ASKED;
    bool suppressed = alert->hold->why == TOCSIN__WHY__WHY_RULE_SUPPRESSED;
    return (!request->suppress || suppressed) && (!asked || worse);
}

void hold_trigger(struct apply *apply, Tocsin__Alert *alert, const struct hold_request *request, bool worse)
{
    uint32_t why = alert->hold->why;
    bool suppressed = why == TOCSIN__WHY__WHY_RULE_SUPPRESSED;
    bool outgrown = worse && (why == TOCSIN__WHY__WHY_MUTED || why == TOCSIN__WHY__WHY_MUTES_ASKED);
    const Tocsin__Service *service = service_get(apply->store, alert->service_id, apply->arena);
    if (!(suppressed || outgrown) || request->suppress || service == NULL) {
        alert_put(apply->store, alert);
        return;
    }
    if (suppressed) {
        pause_begin(apply, service, request, alert->hold);
    }
    judge_again(apply, alert);
}

void hold_due(struct apply *apply, uint64_t alert_id)
{
    Tocsin__Alert *alert = held_get(apply, alert_id);
    if (alert == NULL) {
        return;
    }
    if (alert->resolved) {
        row_delete(apply, TABLE_ALERT_PAYLOAD, key_1(alert_id));
        row_delete(apply, TABLE_ALERT, key_2(0, alert_id));
        return;
    }
    if (alert->hold->until_ms > apply->time_ms || !has_own_deadline(alert)) {
        return;
    }
    switch (alert->hold->why) {
    case TOCSIN__WHY__WHY_RULE_SUPPRESSED: /* nobody has resolved it in all this time */
        hold_resolve(apply, alert);
        break;
    case TOCSIN__WHY__WHY_MUTES_ASKED:
        alert->hold->why = TOCSIN__WHY__WHY_MUTES_UNANSWERED;
        release(apply, alert);
        break;
    default:
        if (!planted(PAUSE_NEVER_ENDS)) {
            judge_again(apply, alert);
        }
    }
}

bool hold_answer(struct apply *apply, const Tocsin__MuteVerdict *verdict)
{
    uint64_t mute_id = verdict->mute_id;
    Tocsin__Alert *alert = held_get(apply, verdict->alert_id);
    if (alert == NULL || alert->resolved || alert->hold->place != HELD_FOR_ANSWER ||
        (uint32_t)alert->severity != verdict->severity) {
        return false;
    }
    Tocsin__Hold *hold = mute_id != 0 && !planted(MUTE_IGNORED) ? hold_by_mute(apply, mute_id) : NULL;
    if (hold != NULL) {
        hold_on(apply, alert, hold);
    } else {
        release(apply, alert);
    }
    return true;
}

/* ---------------------------------------------------------------- many at once */

static void drain_file(struct apply *apply, uint64_t place, uint64_t after_id)
{
    Tocsin__Deadline row = TOCSIN__DEADLINE__INIT;
    record_put(apply->store, TABLE_DEADLINE, key_deadline(apply->time_ms, DEADLINE_HOLD_DRAIN, place, after_id),
               &row.base);
}

void hold_drain(struct apply *apply, uint64_t place)
{
    struct walk walk = walk_under(apply->store, TABLE_HELD, place);
    if (walk_next(&walk)) {
        drain_file(apply, place, 0);
    }
}

void hold_drain_due(struct apply *apply, uint64_t place, uint64_t after_id)
{
    struct walk walk = walk_under_from(apply->store, TABLE_HELD, place, after_id);
    if (!walk_next(&walk)) {
        return;
    }
    uint64_t alert_id = span_number(walk.key, 1);
    Tocsin__Alert *alert = held_get(apply, alert_id);
    if (alert != NULL) {
        judge_again(apply, alert);
    }
    walk = walk_under_from(apply->store, TABLE_HELD, place, alert_id);
    if (walk_next(&walk)) {
        drain_file(apply, place, alert_id);
    }
}
