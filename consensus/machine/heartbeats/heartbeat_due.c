/*
 * Silence: when a heartbeat goes down, and what comes of it.
 *
 * Deadlines are lazy. A ping leaves the row among the due ones where it is; when the row comes up, it is filed again by
 * the last ping and the blind time since. So a ping costs one small write.
 *
 * One that went down while its service was disabled was told to nobody, and a dead job says nothing more. So it is filed once
 * more when the service is enabled again, and told when that row comes up.
 */
#include "consensus/machine/heartbeats/heartbeats.h"

#include <assert.h>
#include <inttypes.h>

#include "consensus/machine/base/ids.h"
#include "consensus/machine/checks.h"
#include "consensus/machine/incidents/incidents.h"
#include "consensus/machine/planted.h"

#define RETRY_MINUTES 1u /* for one that is down and whose incident cannot be opened */

static const struct span nothing = {.data = "", .size_bytes = 0};

bool signs_awaited(const struct machine_store *store)
{
    return store->count(store->context, TABLE_HEARTBEAT) > 0 || store->count(store->context, TABLE_ALERT_EXPIRY) > 0;
}

/* ---------------------------------------------------------------- when */

/* A start must be followed by its end within the grace. Where an outage may have hidden that end, the schedule
 * decides. */
static uint64_t run_judged_ms(struct apply *apply, const Tocsin__HeartbeatState *state, uint64_t grace_ms,
                              uint64_t scheduled_ms)
{
    const struct silence run = {state->last_start_ms, state->last_start_ms, 0, grace_ms};
    uint64_t judged_ms = blindness_judged_ms(apply, &run);
    if (scheduled_ms != 0 && blindness_outage_end_ms(apply, state->last_start_ms, judged_ms) != 0) {
        return scheduled_ms;
    }
    return scheduled_ms != 0 && scheduled_ms < judged_ms ? scheduled_ms : judged_ms;
}

uint64_t heartbeat_goes_down_ms(struct apply *apply, const Tocsin__Heartbeat *heartbeat,
                                const Tocsin__HeartbeatState *state)
{
    if (state->status == TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_DOWN) {
        return 0;
    }
    uint64_t grace_ms = apply_seconds_ms(apply, heartbeat->grace_s), scheduled_ms = 0;
    if (state->status == TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_UP) {
        const struct silence silence = {state->last_ping_ms, state->last_ping_ms,
                                        apply_seconds_ms(apply, heartbeat->period_s), grace_ms};
        scheduled_ms = heartbeat_has_schedule(heartbeat) ? heartbeat_moment_judged_ms(apply, heartbeat, state)
                                                         : blindness_judged_ms(apply, &silence);
    }
    return state->last_start_ms != 0 ? run_judged_ms(apply, state, grace_ms, scheduled_ms) : scheduled_ms;
}

void heartbeat_unfile(struct apply *apply, const Tocsin__Heartbeat *heartbeat, Tocsin__HeartbeatState *state)
{
    if (state->filed_ms != 0) {
        row_delete(apply, TABLE_HEARTBEAT_DUE, key_2(state->filed_ms, heartbeat->id));
        state->filed_ms = 0;
    }
}

static void file_at(struct apply *apply, const Tocsin__Heartbeat *heartbeat, Tocsin__HeartbeatState *state,
                    uint64_t due_ms)
{
    heartbeat_unfile(apply, heartbeat, state);
    struct key key = key_2(due_ms, heartbeat->id);
    apply->store->put(apply->store->context, TABLE_HEARTBEAT_DUE, key_span(&key), nothing);
    state->filed_ms = due_ms;
}

static bool is_down(const Tocsin__HeartbeatState *state)
{
    return state->status == TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_DOWN;
}

void heartbeat_file(struct apply *apply, const Tocsin__Heartbeat *heartbeat, Tocsin__HeartbeatState *state)
{
    if (is_down(state) && state->filed_ms != 0) {
        return; /* still to be told */
    }
    uint64_t due_ms = heartbeat_goes_down_ms(apply, heartbeat, state);
    if (due_ms == 0) {
        heartbeat_unfile(apply, heartbeat, state);
    } else if (state->filed_ms == 0 || state->filed_ms > due_ms) {
        file_at(apply, heartbeat, state, due_ms);
    }
}

/* ---------------------------------------------------------------- what comes of it */

void heartbeat_flip(struct apply *apply, const Tocsin__Heartbeat *heartbeat, Tocsin__HeartbeatState *state,
                    uint64_t at_ms, bool up)
{
    Tocsin__HeartbeatFlip flip = TOCSIN__HEARTBEAT_FLIP__INIT;
    flip.at_ms = at_ms;
    flip.up = up;
    record_put(apply->store, TABLE_HEARTBEAT_FLIP, key_2(heartbeat->id, state->flips++ % LIMIT_FLIPS_KEPT),
               &flip.base);
}

const char *heartbeat_name(struct apply *apply, const Tocsin__Heartbeat *heartbeat)
{
    if (heartbeat->name[0] != '\0') {
        return heartbeat->name;
    }
    char id[16];
    id_format(heartbeat->id, id);
    return apply_printf(apply, "Heartbeat %s", id);
}

/* Found again by the heartbeat's id; the key of its ping URL is a secret. */
static char *dedup_key(struct apply *apply, uint64_t heartbeat_id)
{
    char id[16];
    id_format(heartbeat_id, id);
    return apply_printf(apply, "heartbeat/%s", id);
}

bool heartbeat_down(struct apply *apply, const Tocsin__Heartbeat *heartbeat, Tocsin__HeartbeatState *state,
                    uint64_t at_ms, Tocsin__Why why, const char *summary, Tocsin__Reply *reply)
{
    Tocsin__Event event = TOCSIN__EVENT__INIT;
    event.dedup_key = dedup_key(apply, heartbeat->id);
    event.summary = apply_strdup(apply, heartbeat->alert_message[0] != '\0' ? heartbeat->alert_message : summary);
    event.source = apply_strdup(apply, heartbeat_name(apply, heartbeat));
    event.labels = heartbeat->alert_labels;
    bool ranked = event.labels != NULL && event.labels->priority != 0;
    event.severity = ranked ? labels_severity(event.labels->priority) : TOCSIN__SEVERITY__SEVERITY_CRITICAL;
    event_of_cluster(apply, &event, heartbeat->id, heartbeat->service_id, why, reply);
    if (reply->status != TOCSIN__STATUS__STATUS_OK) {
        return false;
    }
    if (!is_down(state)) {
        heartbeat_flip(apply, heartbeat, state, at_ms, false);
    }
    state->status = TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_DOWN;
    state->expected_ms = 0;
    heartbeat_unfile(apply, heartbeat, state);
    return true;
}

void heartbeat_over(struct apply *apply, const Tocsin__Heartbeat *heartbeat, Tocsin__Why why)
{
    Tocsin__Event event = TOCSIN__EVENT__INIT;
    event.action = TOCSIN__EVENT_ACTION__EVENT_RESOLVE;
    event.dedup_key = dedup_key(apply, heartbeat->id);
    Tocsin__Reply reply = TOCSIN__REPLY__INIT; /* OK, whether there is one or not */
    event_of_cluster(apply, &event, heartbeat->id, heartbeat->service_id, why, &reply);
}

/* ---------------------------------------------------------------- in words */

static const char *duration_text(struct apply *apply, uint64_t ms)
{
    uint64_t seconds = ms / 1000;
    if (seconds < 120) {
        return apply_printf(apply, "%" PRIu64 " s", seconds);
    }
    return seconds < 7200 ? apply_printf(apply, "%" PRIu64 " min", seconds / 60)
                          : apply_printf(apply, "%" PRIu64 " h", seconds / 3600);
}

static const char *silence_text(struct apply *apply, const Tocsin__Heartbeat *heartbeat,
                                const Tocsin__HeartbeatState *state)
{
    uint64_t expected_ms = heartbeat_has_schedule(heartbeat)
                               ? state->expected_ms
                               : state->last_ping_ms + apply_seconds_ms(apply, heartbeat->period_s);
    bool scheduled = state->status == TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_UP && expected_ms <= apply->time_ms;
    const char *since = duration_text(apply, apply->time_ms - (scheduled ? state->last_ping_ms : state->last_start_ms));
    return apply_printf(apply, "%s is silent: %s %s ago%s", heartbeat_name(apply, heartbeat),
                        scheduled ? "last ping" : "it started", since, scheduled ? "" : " and has not finished");
}

/* ---------------------------------------------------------------- down, and told to nobody */

void heartbeat_tell_if_untold(struct apply *apply, const Tocsin__Heartbeat *heartbeat, Tocsin__HeartbeatState *state)
{
    if (is_down(state) && state->filed_ms == 0 &&
        alert_get_open(apply->store, heartbeat->id, dedup_key(apply, heartbeat->id), apply->arena) == NULL) {
        file_at(apply, heartbeat, state, apply->time_ms);
    }
}

static void look_at(struct apply *apply, uint64_t id)
{
    Tocsin__HeartbeatState *state = heartbeat_state_get(apply->store, id, apply->arena);
    const Tocsin__Heartbeat *heartbeat =
        state != NULL && is_down(state) ? heartbeat_get(apply->store, id, apply->arena) : NULL;
    if (heartbeat != NULL) {
        heartbeat_tell_if_untold(apply, heartbeat, state);
        heartbeat_state_put(apply, heartbeat, state);
    }
}

static void step_file(struct apply *apply, uint64_t service_id, struct key *place)
{
    Tocsin__Deadline row = TOCSIN__DEADLINE__INIT;
    row.place.data = place->bytes;
    row.place.len = place->size_bytes;
    record_put(apply->store, TABLE_DEADLINE,
               key_deadline(apply->time_ms + 1, DEADLINE_HEARTBEATS_UNTOLD, service_id, span_number(key_span(place), 3)),
               &row.base);
}

/* A service may have all of them, so each step looks at a bounded number, in an entry of its own. */
static void step(struct apply *apply, uint64_t service_id, struct walk walk)
{
    struct key place;
    for (unsigned seen = 0; walk_next(&walk); seen++) {
        if (seen == LIMIT_PULSE_HEARTBEATS) {
            step_file(apply, service_id, &place);
            return;
        }
        place = walk.position; /* service, hash of the slug in two numbers, id */
        look_at(apply, span_number(walk.key, 3));
    }
}

void heartbeats_service_enabled(struct apply *apply, uint64_t service_id)
{
    step(apply, service_id, walk_under(apply->store, TABLE_HEARTBEAT_BY_SLUG, service_id));
}

void heartbeats_untold_due(struct apply *apply, uint64_t service_id, const Tocsin__Deadline *row)
{
    const Tocsin__Service *service = service_get(apply->store, service_id, apply->arena);
    if (service == NULL || service->disabled) {
        return; /* when it is enabled again, all are looked at anew */
    }
    struct walk walk = walk_under(apply->store, TABLE_HEARTBEAT_BY_SLUG, service_id);
    walk.position = key_bytes(row->place.data, row->place.len);
    walk.started = true;
    step(apply, service_id, walk);
}

static void tell_down(struct apply *apply, const Tocsin__Heartbeat *heartbeat, Tocsin__HeartbeatState *state)
{
    uint64_t sign_ms = state->last_ping_ms > state->last_start_ms ? state->last_ping_ms : state->last_start_ms;
    const char *summary = apply_printf(apply, "%s is down: its last sign was %s ago", heartbeat_name(apply, heartbeat),
                                       duration_text(apply, apply->time_ms - sign_ms));
    Tocsin__Reply reply = TOCSIN__REPLY__INIT;
    if (!heartbeat_down(apply, heartbeat, state, apply->time_ms, TOCSIN__WHY__WHY_HEARTBEAT_SILENT, summary, &reply)) {
        file_at(apply, heartbeat, state, apply->time_ms + apply_minutes_ms(apply, RETRY_MINUTES));
    }
}

/* ---------------------------------------------------------------- a pulse */

/* True when it went down, or was told to be. */
static bool judge(struct apply *apply, uint64_t id, uint64_t filed_ms)
{
    const Tocsin__Heartbeat *heartbeat = heartbeat_get(apply->store, id, apply->arena);
    Tocsin__HeartbeatState *state = heartbeat_state_get(apply->store, id, apply->arena);
    if (heartbeat == NULL || state == NULL || state->filed_ms != filed_ms) {
        return false; /* a store with a fault: its caller drops the whole entry */
    }
    state->filed_ms = 0; /* its row is taken */
    if (is_down(state)) {
        tell_down(apply, heartbeat, state);
        heartbeat_state_put(apply, heartbeat, state);
        return true;
    }
    heartbeat_pass_hidden(apply, heartbeat, state);
    uint64_t due_ms = heartbeat_goes_down_ms(apply, heartbeat, state);
    bool silent = due_ms != 0 && due_ms <= apply->time_ms;
    if (silent) {
        Tocsin__Reply reply = TOCSIN__REPLY__INIT;
        if (!heartbeat_down(apply, heartbeat, state, due_ms, TOCSIN__WHY__WHY_HEARTBEAT_SILENT,
                            silence_text(apply, heartbeat, state), &reply)) {
            file_at(apply, heartbeat, state, apply->time_ms + apply_minutes_ms(apply, RETRY_MINUTES));
        }
    } else if (!planted(SILENCE_NOT_LOOKED_AT)) {
        heartbeat_file(apply, heartbeat, state);
    }
    heartbeat_state_put(apply, heartbeat, state);
    return silent;
}

uint32_t heartbeats_due(struct apply *apply, uint32_t left)
{
    struct walk walk = walk_all(apply->store, TABLE_HEARTBEAT_DUE);
    for (uint32_t looked_at = 0; left > 0 && walk_next(&walk); looked_at++) {
        uint64_t due_ms = span_number(walk.key, 0), id = span_number(walk.key, 1);
        if (due_ms > apply->time_ms) {
            return left;
        }
        if (looked_at == LIMIT_PULSE_HEARTBEATS) {
            return 0;
        }
        row_delete(apply, TABLE_HEARTBEAT_DUE, walk.position);
        left -= judge(apply, id, due_ms);
    }
    return left;
}
