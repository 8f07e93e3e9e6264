/*
 * Heartbeats with a schedule: the moments at which a ping is expected are data.
 *
 *     HeartbeatPut, HeartbeatExtend ──> TABLE_HEARTBEAT_MOMENTS ──> state.expected_ms: the first one after the last ping
 *
 *     ──┬──────────────┬─────────────────┬──────────────────────────┬──> cluster time
 *    last ping     expected   outage   grace ends: not judged    the next moment: judged, its grace later
 */
#include "consensus/machine/heartbeats/heartbeats.h"

#include "consensus/machine/checks.h"

#define RETRY_MINUTES 1u /* for one whose moments have run out: the leader is to say more */

bool heartbeat_has_schedule(const Tocsin__Heartbeat *heartbeat)
{
    return heartbeat->schedule[0] != '\0';
}

/* ---------------------------------------------------------------- moments */

static Tocsin__HeartbeatMoments *moments_get(struct apply *apply, uint64_t id)
{
    return record_get(apply->store, TABLE_HEARTBEAT_MOMENTS, key_1(id), &tocsin__heartbeat_moments__descriptor,
                      apply->arena);
}

/* The first moment at `from_ms` or later; 0 when none is known. */
static uint64_t first_from(const Tocsin__HeartbeatMoments *moments, uint64_t from_ms)
{
    for (size_t i = 0; moments != NULL && i < moments->n_moments_s; i++) {
        if (moments->moments_s[i] * 1000 >= from_ms) {
            return moments->moments_s[i] * 1000;
        }
    }
    return 0;
}

bool heartbeat_moments_check(struct apply *apply, Tocsin__Reply *reply, const uint64_t *moments_s, size_t count)
{
    bool sane = count >= 1 && count <= LIMIT_HEARTBEAT_MOMENTS && moments_s[count - 1] < LIMIT_MOMENT_S;
    for (size_t i = 1; sane && i < count; i++) {
        sane = moments_s[i - 1] < moments_s[i];
    }
    if (!sane) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE,
                     "The next moments of a schedule must be 1 to %u, in their order.", LIMIT_HEARTBEAT_MOMENTS);
    }
    return sane;
}

void heartbeat_moments_put(struct apply *apply, uint64_t id, const uint64_t *moments_s, size_t count)
{
    Tocsin__HeartbeatMoments moments = TOCSIN__HEARTBEAT_MOMENTS__INIT;
    moments.revision = apply_new_id(apply);
    moments.rendered_at_ms = apply->time_ms;
    moments.n_moments_s = count;
    moments.moments_s = (uint64_t *)(uintptr_t)moments_s; /* packed at once, not changed */
    record_put(apply->store, TABLE_HEARTBEAT_MOMENTS, key_1(id), &moments.base);
}

void heartbeat_moments_delete(struct apply *apply, uint64_t id)
{
    if (moments_get(apply, id) != NULL) {
        row_delete(apply, TABLE_HEARTBEAT_MOMENTS, key_1(id));
    }
}

/* What is expected now stays so: the moments that come are others only behind it. */
void apply_heartbeat_extend(struct apply *apply, const Tocsin__HeartbeatExtend *extend, Tocsin__Reply *reply)
{
    const Tocsin__HeartbeatMoments *known = moments_get(apply, extend->heartbeat_id);
    if (known == NULL || known->revision != extend->base_revision) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_CONFLICT, TOCSIN__REASON__REASON_STALE_REVISION,
                     "The schedule has been changed or extended since.");
        return;
    }
    if (heartbeat_moments_check(apply, reply, extend->moments_s, extend->n_moments_s)) {
        heartbeat_moments_put(apply, extend->heartbeat_id, extend->moments_s, extend->n_moments_s);
        reply_id(apply, reply, extend->heartbeat_id);
    }
}

/* ---------------------------------------------------------------- what is expected */

void heartbeat_expect(struct apply *apply, const Tocsin__Heartbeat *heartbeat, Tocsin__HeartbeatState *state)
{
    bool waits = heartbeat_has_schedule(heartbeat) && state->status == TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_UP;
    state->expected_ms = waits ? first_from(moments_get(apply, heartbeat->id), apply->time_ms + 1) : 0;
}

uint64_t heartbeat_moment_judged_ms(struct apply *apply, const Tocsin__Heartbeat *heartbeat,
                                    const Tocsin__HeartbeatState *state)
{
    if (state->expected_ms == 0) {
        return apply->time_ms + apply_minutes_ms(apply, RETRY_MINUTES);
    }
    const struct silence silence = {state->last_ping_ms, state->expected_ms, 0, apply_seconds_ms(apply, heartbeat->grace_s)};
    return blindness_judged_ms(apply, &silence);
}

/* ---------------------------------------------------------------- what an outage hides */

void heartbeat_pass_hidden(struct apply *apply, const Tocsin__Heartbeat *heartbeat, Tocsin__HeartbeatState *state)
{
    if (!heartbeat_has_schedule(heartbeat) || state->status != TOCSIN__HEARTBEAT_STATUS__HEARTBEAT_UP) {
        return;
    }
    if (state->expected_ms == 0) {
        heartbeat_expect(apply, heartbeat, state);
        return;
    }
    uint64_t judged_ms, outage_end_ms, expected_ms = state->expected_ms;
    const Tocsin__HeartbeatMoments *moments = moments_get(apply, heartbeat->id);
    while (state->expected_ms != 0 &&
           (judged_ms = heartbeat_moment_judged_ms(apply, heartbeat, state)) <= apply->time_ms &&
           (outage_end_ms = blindness_outage_end_ms(apply, state->expected_ms, judged_ms)) != 0) {
        state->expected_ms = first_from(moments, outage_end_ms);
    }
    if (state->expected_ms != expected_ms) {
        blindness_page(apply, apply_printf(apply,
                                           "%s was expected when Tocsin was blind and has not been heard since: it is "
                                           "judged at its next time",
                                           heartbeat_name(apply, heartbeat)));
    }
}

static bool is_hidden(struct apply *apply, uint64_t id, uint64_t from_ms, uint64_t until_ms, const char **name)
{
    const Tocsin__Heartbeat *heartbeat = heartbeat_get(apply->store, id, apply->arena);
    const Tocsin__HeartbeatState *state = heartbeat_state_get(apply->store, id, apply->arena);
    if (heartbeat == NULL || state == NULL || state->expected_ms == 0 || state->expected_ms >= until_ms ||
        state->expected_ms + apply_seconds_ms(apply, heartbeat->grace_s) <= from_ms) {
        return false;
    }
    *name = heartbeat_name(apply, heartbeat);
    return true;
}

const char *heartbeat_hidden_text(struct apply *apply, uint64_t from_ms, uint64_t until_ms)
{
    const char *names = "", *name;
    unsigned count = 0;
    struct walk walk = walk_all(apply->store, TABLE_HEARTBEAT_MOMENTS);
    for (unsigned i = 0; i < LIMIT_BLIND_SCHEDULES && walk_next(&walk); i++) {
        if (!is_hidden(apply, span_number(walk.key, 0), from_ms, until_ms, &name)) {
            continue;
        }
        if (++count <= LIMIT_BLIND_NAMES) {
            names = apply_printf(apply, "%s%s%s", names, count == 1 ? "" : ", ", name);
        }
    }
    if (count == 0) {
        return "";
    }
    return apply_printf(apply, "; expected in that time by schedule, and else judged at the next: %s%s", names,
                        count > LIMIT_BLIND_NAMES ? apply_printf(apply, " and %u more", count - LIMIT_BLIND_NAMES) : "");
}
