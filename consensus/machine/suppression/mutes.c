/*
 * Mutes: no incident for alerts that matchers fit, for at most a day, with a reason.
 *
 * Which alerts they fit is not found out here, for that takes regular expressions: the leader reads the alert and the
 * mutes, and its verdict names the revision of the mutes that it was made by.
 */
#include "consensus/machine/suppression/suppression.h"

#include "consensus/machine/checks.h"
#include "consensus/machine/planted.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE
#define CONFLICT TOCSIN__STATUS__STATUS_CONFLICT
#define MINUTES_PER_DAY (24u * 60)

bool mutes_in_force(const struct machine_store *store, uint64_t at_ms)
{
    struct walk walk = walk_all(store, TABLE_MUTE_AHEAD);
    while (walk_next(&walk)) {
        if (span_number(walk.value, 0) <= at_ms && at_ms < span_number(walk.value, 1)) {
            return true;
        }
    }
    return false;
}

static bool is_over(const struct apply *apply, const Tocsin__Mute *mute)
{
    return mute->end_ms <= apply->time_ms;
}

/* Stores it with its rows: ahead while it is not over, and then until it is forgotten. */
static void mute_store(struct apply *apply, Tocsin__Mute *mute)
{
    uint64_t kept_ms = (uint64_t)apply->settings->retention_days * apply_minutes_ms(apply, MINUTES_PER_DAY);
    if (mute->filed_end_ms != 0) {
        row_delete(apply, TABLE_DEADLINE, key_deadline(mute->filed_end_ms, DEADLINE_MUTE_END, mute->id, 0));
    }
    if (is_over(apply, mute)) {
        row_delete(apply, TABLE_MUTE_AHEAD, key_1(mute->id));
        mute->filed_end_ms = apply->time_ms + kept_ms;
    } else {
        struct key row = key_1(mute->id), span = key_2(mute->start_ms, mute->end_ms);
        apply->store->put(apply->store->context, TABLE_MUTE_AHEAD, key_span(&row), key_span(&span));
        mute->filed_end_ms = mute->end_ms;
    }
    Tocsin__Deadline row = TOCSIN__DEADLINE__INIT;
    record_put(apply->store, TABLE_DEADLINE, key_deadline(mute->filed_end_ms, DEADLINE_MUTE_END, mute->id, 0), &row.base);
    record_put(apply->store, TABLE_MUTE, key_1(mute->id), &mute->base);
}

/* ---------------------------------------------------------------- put */

static bool check_matchers(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Mute *mute)
{
    if (mute->n_matchers == 0) {
        reply_refuse(apply, reply, INVALID, "A mute must have at least one matcher.");
        return false;
    }
    if (!check_room(apply, reply, "matchers of one mute", mute->n_matchers - 1, LIMIT_MATCHERS_PER_MUTE)) {
        return false;
    }
    for (size_t i = 0; i < mute->n_matchers; i++) {
        if (!check_line(apply, reply, "The name of a matcher", mute->matchers[i]->name, 1, LIMIT_NAME_CHARACTERS) ||
            !check_lines(apply, reply, "The value of a matcher", mute->matchers[i]->value, 0, LIMIT_MATCHER_CHARACTERS)) {
            return false;
        }
    }
    return true;
}

/* Begins now at the earliest. */
static bool check_times(struct apply *apply, Tocsin__Reply *reply, Tocsin__Mute *mute, uint32_t lasts_s)
{
    mute->start_ms = mute->start_ms > apply->time_ms ? mute->start_ms : apply->time_ms;
    if (mute->end_ms == 0) {
        mute->end_ms = mute->start_ms + apply_seconds_ms(apply, lasts_s != 0 ? lasts_s : DEFAULT_MUTE_SECONDS);
    }
    if (mute->end_ms <= mute->start_ms) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_WINDOW_REVERSED,
                     "A mute must end in the future and after its start.");
        return false;
    }
    if (mute->end_ms - mute->start_ms > (uint64_t)LIMIT_MUTE_SECONDS * 1000) {
        reply_refuse(apply, reply, INVALID,
                     "A mute lasts at most %u hours; for longer, make a maintenance window or an event rule.",
                     LIMIT_MUTE_SECONDS / 3600);
        return false;
    }
    if (mute->start_ms - apply->time_ms > (uint64_t)LIMIT_MUTE_AHEAD_SECONDS * 1000) {
        reply_refuse(apply, reply, INVALID, "A mute begins at most %u days ahead.", LIMIT_MUTE_AHEAD_SECONDS / 86400);
        return false;
    }
    return true;
}

static bool check_mute(struct apply *apply, Tocsin__Reply *reply, Tocsin__Mute *mute, uint32_t lasts_s)
{
    return check_lines(apply, reply, "The reason", mute->reason, 1, LIMIT_DESCRIPTION_CHARACTERS) &&
           check_line(apply, reply, "The name of who mutes", mute->created_by, 0, LIMIT_NAME_CHARACTERS) &&
           check_matchers(apply, reply, mute) && check_times(apply, reply, mute, lasts_s);
}

/* One that is over is not brought back: what is asked for becomes a new one, as with Alertmanager. */
void apply_mute_put(struct apply *apply, const Tocsin__MutePut *put, Tocsin__Reply *reply)
{
    if (!check_given(apply, reply, put->mute)) {
        return;
    }
    const Tocsin__Mute *old = put->id != 0 ? mute_get(apply->store, put->id, apply->arena) : NULL;
    if (put->id != 0 && old == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "mute", put->id);
        return;
    }
    if (old != NULL && is_over(apply, old)) {
        old = NULL;
    }
    Tocsin__Mute mute = *put->mute;
    if (!check_mute(apply, reply, &mute, put->lasts_s) ||
        (old == NULL && !check_room(apply, reply, "mutes in force or to come",
                                    apply->store->count(apply->store->context, TABLE_MUTE_AHEAD), LIMIT_MUTES))) {
        return;
    }
    if (old != NULL && old->start_ms <= apply->time_ms) {
        mute.start_ms = old->start_ms;
    }
    bool person = apply->actor->kind == TOCSIN__ACTOR_KIND__ACTOR_USER;
    mute.id = old != NULL ? old->id : apply_new_id(apply);
    mute.created_by = mute.created_by[0] != '\0' ? mute.created_by : apply->actor->name;
    mute.created_by_id = old != NULL ? old->created_by_id : person ? apply->actor->id : 0;
    mute.created_at_ms = old != NULL ? old->created_at_ms : apply->time_ms;
    mute.updated_at_ms = apply->time_ms;
    mute.filed_end_ms = old != NULL ? old->filed_end_ms : 0;
    apply->counters->mutes_revision++;
    mute_store(apply, &mute);
    hold_drain(apply, mute.id);
    reply_id(apply, reply, mute.id);
}

/* ---------------------------------------------------------------- its end */

void apply_mute_end(struct apply *apply, const Tocsin__MuteEnd *end, Tocsin__Reply *reply)
{
    Tocsin__Mute *mute = mute_get(apply->store, end->id, apply->arena);
    if (mute == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "mute", end->id);
        return;
    }
    if (is_over(apply, mute)) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_MUTE_OVER, "The mute is over already.");
        return;
    }
    mute->start_ms = mute->start_ms < apply->time_ms ? mute->start_ms : apply->time_ms;
    mute->end_ms = mute->updated_at_ms = apply->time_ms;
    apply->counters->mutes_revision++;
    mute_store(apply, mute);
    hold_drain(apply, mute->id);
    reply_id(apply, reply, mute->id);
}

void mute_end_due(struct apply *apply, uint64_t mute_id, uint64_t due_ms)
{
    Tocsin__Mute *mute = mute_get(apply->store, mute_id, apply->arena);
    if (mute == NULL || mute->filed_end_ms != due_ms) {
        return;
    }
    mute->filed_end_ms = 0; /* its row is taken */
    if (mute->end_ms < due_ms) {
        row_delete(apply, TABLE_MUTE, key_1(mute_id));
        return;
    }
    mute_store(apply, mute);
    hold_drain(apply, mute_id);
}

/* ---------------------------------------------------------------- verdicts */

void apply_mute_verdicts(struct apply *apply, const Tocsin__MuteVerdicts *verdicts, Tocsin__Reply *reply)
{
    if (verdicts->revision != apply->counters->mutes_revision && !planted(STALE_MUTES_ACCEPTED)) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_STALE_MUTES,
                     "The mutes have changed: the alerts are to be looked at again.");
        return;
    }
    if (verdicts->n_verdicts > LIMIT_VERDICTS_PER_COMMAND) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_LIMIT, TOCSIN__REASON__REASON_TOO_MANY,
                     "One command has at most %u verdicts.", LIMIT_VERDICTS_PER_COMMAND);
        return;
    }
    for (size_t i = 0; i < verdicts->n_verdicts; i++) {
        (void)hold_answer(apply, verdicts->verdicts[i]);
    }
}
