/* Runs of drills: when they begin, how they end, what is made of it. */
#include "consensus/machine/drills/drills.h"

#include <inttypes.h>

#include "consensus/machine/base/ids.h"
#include "consensus/machine/checks.h"
#include "consensus/machine/heartbeats/heartbeats.h"
#include "consensus/machine/incidents/incidents.h"

#define CONTACT_NAME "test contact"
#define PERMILLE 1000u
#define DAY_S 86400u

void drill_state_put(struct apply *apply, uint64_t drill_id, const Tocsin__DrillState *state)
{
    record_put(apply->store, TABLE_DRILL_STATE, key_1(drill_id), &state->base);
}

/* ---------------------------------------------------------------- a run begins */

void drill_file(struct apply *apply, const Tocsin__Drill *drill, Tocsin__DrillState *state, uint64_t due_ms)
{
    if (state->next_due_ms != 0) {
        row_delete(apply, TABLE_DEADLINE, key_deadline(state->next_due_ms, DEADLINE_DRILL, drill->id, 0));
    }
    state->next_due_ms = due_ms;
    if (due_ms != 0) {
        Tocsin__Deadline row = TOCSIN__DEADLINE__INIT;
        record_put(apply->store, TABLE_DEADLINE, key_deadline(due_ms, DEADLINE_DRILL, drill->id, 0), &row.base);
    }
}

void drill_begin(struct apply *apply, const Tocsin__Drill *drill, Tocsin__DrillState *state, uint64_t due_ms,
                 bool by_hand)
{
    const Tocsin__ContactMethod *method = drill->contact_method;
    Tocsin__Notice notice = TOCSIN__NOTICE__INIT;
    notice.kind = TOCSIN__NOTICE_KIND__NOTICE_DRILL;
    notice.drill_id = drill->id;
    notice.schedule_name = drill->name;
    notice.valid_until_ms = apply->time_ms + (uint64_t)DRILL_PATIENCE_OBJECTIVES * drill->delivery_objective_ms;
    Tocsin__Notification notification = TOCSIN__NOTIFICATION__INIT;
    notification.notice = &notice;
    notification.title = drill->name;
    notification.urgency = TOCSIN__URGENCY__URGENCY_HIGH; /* as a page that matters is sent */
    notification.why = TOCSIN__WHY__WHY_DRILL;
    notification.created_at_ms = apply->time_ms;
    notification.user_name = apply_strdup(apply, CONTACT_NAME);
    notification.channel = method->channel;
    notification.address = method->address;
    notification.country_code = method->country_code;
    outbox_add(apply, NULL, &notification);
    state->notification_id = notification.id;
    state->due_at_ms = due_ms;
    state->begun_at_ms = apply->time_ms;
    state->by_hand = by_hand;
}

void drill_due(struct apply *apply, uint64_t drill_id, uint64_t due_ms)
{
    const Tocsin__Drill *drill = drill_get(apply->store, drill_id, apply->arena);
    Tocsin__DrillState *state = drill_state_get(apply->store, drill_id, apply->arena);
    if (drill == NULL || state == NULL || state->next_due_ms != due_ms) {
        return;
    }
    state->next_due_ms = 0; /* its row has just been taken */
    if (state->notification_id == 0) {
        drill_begin(apply, drill, state, due_ms, false);
    }
    uint64_t interval_ms = apply_seconds_ms(apply, drill->interval_s);
    uint64_t missed = (apply->time_ms - due_ms) / interval_ms;
    drill_file(apply, drill, state, due_ms + (missed + 1) * interval_ms);
    drill_state_put(apply, drill_id, state);
}

/* ---------------------------------------------------------------- its notification in the outbox */

bool drill_is(const Tocsin__Notification *notification)
{
    return notification->notice != NULL && notification->notice->kind == TOCSIN__NOTICE_KIND__NOTICE_DRILL;
}

/* NULL when the run counts no more. */
static Tocsin__DrillState *state_of_run(struct apply *apply, const Tocsin__Notification *notification)
{
    Tocsin__DrillState *state = drill_state_get(apply->store, notification->notice->drill_id, apply->arena);
    return state != NULL && state->notification_id == notification->id ? state : NULL;
}

Tocsin__Why drill_why_not(struct apply *apply, const Tocsin__Notification *notification)
{
    if (state_of_run(apply, notification) == NULL) {
        return TOCSIN__WHY__WHY_DRILL_STOPPED;
    }
    return apply->time_ms >= notification->notice->valid_until_ms ? TOCSIN__WHY__WHY_NO_NEWS : TOCSIN__WHY__WHY_NONE;
}

bool drill_may_retry(const Tocsin__Notification *notification, Tocsin__Outcome outcome, uint64_t at_ms)
{
    return outcome == TOCSIN__OUTCOME__OUTCOME_RETRY && at_ms < notification->notice->valid_until_ms;
}

/* ---------------------------------------------------------------- the incident */

uint64_t drill_budget(const Tocsin__Drill *drill, const Tocsin__DrillState *state)
{
    uint64_t expected = (uint64_t)drill->window_days * DAY_S / drill->interval_s;
    uint64_t counted = (uint64_t)state->delivered + state->late + state->failed;
    return (counted > expected ? counted : expected) * (PERMILLE - drill->target_permille) / PERMILLE;
}

/* One incident of each drill and channel: the same key every time. */
static bool tell(struct apply *apply, const Tocsin__Drill *drill, Tocsin__EventAction action, Tocsin__Why why,
                 char *summary)
{
    char id[16];
    id_format(drill->id, id);
    Tocsin__Event event = TOCSIN__EVENT__INIT;
    event.action = action;
    event.dedup_key = apply_printf(apply, "drill/%s/%s", id, timeline_channel(drill->contact_method->channel));
    event.summary = summary;
    event.source = apply_strdup(apply, "tocsin");
    event.severity = TOCSIN__SEVERITY__SEVERITY_ERROR;
    Tocsin__Reply reply = TOCSIN__REPLY__INIT;
    uint64_t service_id = service_of_cluster(apply);
    event_of_cluster(apply, &event, service_id, service_id, why, &reply);
    return reply.status == TOCSIN__STATUS__STATUS_OK; /* or a million incidents are open: the next run tells */
}

static char *why_told(struct apply *apply, const Tocsin__Drill *drill, const Tocsin__DrillState *state,
                      const Tocsin__DrillRun *run)
{
    const char *channel = timeline_channel(drill->contact_method->channel);
    const char *by = run->provider[0] != '\0' ? run->provider : "no provider";
    if (run->result == TOCSIN__DRILL_RESULT__DRILL_LATE) {
        return apply_printf(apply,
                            "Page-delivery drill \"%s\" is out of its error budget: the last %s by %s took %" PRIu32
                            " ms, and %" PRIu64 " of the last runs were late or failed where %" PRIu64 " may",
                            drill->name, channel, by, run->delivery_ms, (uint64_t)state->late + state->failed,
                            drill_budget(drill, state));
    }
    return apply_printf(apply, "Page-delivery drill \"%s\" failed: the %s by %s was not delivered%s%s", drill->name,
                        channel, by, run->detail[0] != '\0' ? ": " : "", run->detail);
}

static void over(struct apply *apply, const Tocsin__Drill *drill, Tocsin__DrillState *state, Tocsin__Why why)
{
    if (state->failing) {
        char *summary = apply_printf(apply, "Page-delivery drill \"%s\"", drill->name);
        state->failing = !tell(apply, drill, TOCSIN__EVENT_ACTION__EVENT_RESOLVE, why, summary);
    }
}

static void judge(struct apply *apply, const Tocsin__Drill *drill, Tocsin__DrillState *state,
                  const Tocsin__DrillRun *run)
{
    bool spent = (uint64_t)state->late + state->failed > drill_budget(drill, state);
    if (run->result == TOCSIN__DRILL_RESULT__DRILL_FAILED ||
        (run->result == TOCSIN__DRILL_RESULT__DRILL_LATE && spent)) {
        bool told = tell(apply, drill, TOCSIN__EVENT_ACTION__EVENT_TRIGGER, TOCSIN__WHY__WHY_DRILL_FAILED,
                         why_told(apply, drill, state, run));
        state->failing = state->failing || told;
    } else if (run->result == TOCSIN__DRILL_RESULT__DRILL_DELIVERED) {
        over(apply, drill, state, TOCSIN__WHY__WHY_DRILL_GOOD);
    }
}

void drill_stop(struct apply *apply, const Tocsin__Drill *drill, Tocsin__DrillState *state)
{
    state->notification_id = 0;
    over(apply, drill, state, TOCSIN__WHY__WHY_DRILL_STOPPED);
}

/* ---------------------------------------------------------------- a run ends */

/* Of the runs that are kept, those that ended so. */
static uint32_t *counter(Tocsin__DrillState *state, Tocsin__DrillResult result)
{
    switch (result) {
    case TOCSIN__DRILL_RESULT__DRILL_DELIVERED:
        return &state->delivered;
    case TOCSIN__DRILL_RESULT__DRILL_LATE:
        return &state->late;
    case TOCSIN__DRILL_RESULT__DRILL_FAILED:
        return &state->failed;
    default:
        return &state->lost;
    }
}

/* Takes the runs away that are not in the window any more, or too many. */
static void trim(struct apply *apply, const Tocsin__Drill *drill, Tocsin__DrillState *state)
{
    uint64_t window_ms = apply_seconds_ms(apply, drill->window_days * DAY_S);
    while (state->first_number < state->next_number) {
        struct key key = key_2(drill->id, state->first_number);
        const Tocsin__DrillRun *run =
            record_get(apply->store, TABLE_DRILL_RUN, key, &tocsin__drill_run__descriptor, apply->arena);
        bool many = state->next_number - state->first_number > LIMIT_DRILL_RUNS_KEPT;
        if (run != NULL && !many && run->ended_at_ms + window_ms > apply->time_ms) {
            return;
        }
        if (run != NULL) {
            (*counter(state, run->result))--;
            row_delete(apply, TABLE_DRILL_RUN, key);
        }
        state->first_number++;
    }
}

static Tocsin__DrillResult result_of(const Tocsin__Drill *drill, const Tocsin__Notification *notification,
                                     uint32_t delivery_ms)
{
    bool lost = notification->why_ended == TOCSIN__WHY__WHY_FAILOVER ||
                notification->state == TOCSIN__NOTIFICATION_STATE__NOTIFICATION_CANCELLED;
    if (notification->state == TOCSIN__NOTIFICATION_STATE__NOTIFICATION_SENT) {
        return delivery_ms <= drill->delivery_objective_ms ? TOCSIN__DRILL_RESULT__DRILL_DELIVERED
                                                           : TOCSIN__DRILL_RESULT__DRILL_LATE;
    }
    return lost ? TOCSIN__DRILL_RESULT__DRILL_LOST : TOCSIN__DRILL_RESULT__DRILL_FAILED;
}

void drill_ended(struct apply *apply, const Tocsin__Notification *notification)
{
    Tocsin__DrillState *state = state_of_run(apply, notification);
    const Tocsin__Drill *drill = drill_get(apply->store, notification->notice->drill_id, apply->arena);
    if (state == NULL || drill == NULL) {
        return;
    }
    uint64_t begun_ms = state->begun_at_ms, accepted_ms = notification->accepted_at_ms;
    Tocsin__DrillRun run = TOCSIN__DRILL_RUN__INIT;
    run.number = state->next_number++;
    run.notification_id = notification->id;
    run.due_at_ms = state->due_at_ms;
    run.begun_at_ms = begun_ms;
    run.ended_at_ms = apply->time_ms;
    run.delivery_ms = accepted_ms > begun_ms ? (uint32_t)(accepted_ms - begun_ms) : 0;
    run.result = result_of(drill, notification, run.delivery_ms);
    run.attempts = notification->attempt;
    run.provider = notification->provider;
    run.provider_id = notification->provider_id;
    run.detail = notification->ended_detail;
    run.by_hand = state->by_hand;
    record_put(apply->store, TABLE_DRILL_RUN, key_2(drill->id, run.number), &run.base);
    (*counter(state, run.result))++;
    state->notification_id = 0;
    trim(apply, drill, state);
    judge(apply, drill, state, &run);
    drill_state_put(apply, drill->id, state);
}
