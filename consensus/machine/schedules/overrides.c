/* Overrides: somebody takes a span of a schedule over, whatever its layers say. What has been is never changed. */
#include <string.h>

#include "consensus/machine/checks.h"
#include "consensus/machine/schedules/handoffs.h"
#include "consensus/machine/schedules/schedules.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID

static void override_put(struct apply *apply, const Tocsin__Override *override)
{
    record_put(apply->store, TABLE_OVERRIDE, key_3(override->schedule_id, override->end_ms, override->id),
               &override->base);
}

static void override_remove(struct apply *apply, const Tocsin__Override *override)
{
    row_delete(apply, TABLE_OVERRIDE, key_3(override->schedule_id, override->end_ms, override->id));
}

static bool check_override(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Override *override)
{
    if (override->end_ms <= override->start_ms) {
        reply_refuse(apply, reply, INVALID, TOCSIN__REASON__REASON_WINDOW_REVERSED,
                     "Override must end after its start");
        return false;
    }
    if (override->end_ms <= apply->time_ms) {
        reply_refuse(apply, reply, INVALID, TOCSIN__REASON__REASON_OVERRIDE_ENDED, "Override must end in the future");
        return false;
    }
    if (user_get(apply->store, override->user_id, apply->arena) == NULL) {
        reply_refuse(apply, reply, INVALID, TOCSIN__REASON__REASON_UNKNOWN_USER,
                     "The user of the override does not exist.");
        return false;
    }
    return true;
}

bool overrides_make_room(struct apply *apply, Tocsin__Reply *reply, uint64_t schedule_id, size_t wanted,
                         uint64_t *count)
{
    struct walk walk = walk_under(apply->store, TABLE_OVERRIDE, schedule_id);
    while (*count + wanted > LIMIT_OVERRIDES_PER_SCHEDULE && walk_next(&walk) &&
           span_number(walk.key, 1) <= apply->time_ms) {
        row_delete(apply, TABLE_OVERRIDE, walk.position);
        (*count)--;
    }
    return check_room(apply, reply, "overrides of one schedule", *count + wanted - 1, LIMIT_OVERRIDES_PER_SCHEDULE);
}

uint64_t override_add(struct apply *apply, uint64_t schedule_id, uint64_t user_id, uint64_t start_ms, uint64_t end_ms)
{
    Tocsin__Override override = TOCSIN__OVERRIDE__INIT;
    override.id = apply_new_id(apply);
    override.schedule_id = schedule_id;
    override.start_ms = start_ms > apply->time_ms ? start_ms : apply->time_ms;
    override.end_ms = end_ms;
    override.user_id = user_id;
    override.created_at_ms = apply->time_ms;
    override.created_by = (Tocsin__Actor *)(uintptr_t)apply->actor; /* packed at once, not changed */
    override_put(apply, &override);
    return override.id;
}

static void override_create(struct apply *apply, uint64_t schedule_id, const Tocsin__Override *given, uint64_t *count,
                            Tocsin__Reply *reply)
{
    if (!check_override(apply, reply, given) || !overrides_make_room(apply, reply, schedule_id, 1, count)) {
        return;
    }
    (*count)++;
    reply_id(apply, reply, override_add(apply, schedule_id, given->user_id, given->start_ms, given->end_ms));
}

void apply_overrides_create(struct apply *apply, const Tocsin__OverridesCreate *create, Tocsin__Reply *reply)
{
    uint64_t schedule_id = create->schedule_id;
    if (schedule_get(apply->store, schedule_id, apply->arena) == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_SCHEDULE, "schedule", schedule_id);
        return;
    }
    if (create->n_overrides > 0 &&
        !check_room(apply, reply, "overrides of one request", create->n_overrides - 1, LIMIT_OVERRIDES_PER_REQUEST)) {
        return;
    }
    Tocsin__OnCall before = schedule_on_call(apply->store, schedule_id, apply->time_ms);
    uint64_t count = rows_under(apply, TABLE_OVERRIDE, schedule_id);
    bool made = false;
    reply->parts = apply_alloc(apply, (create->n_overrides + 1) * sizeof(Tocsin__Reply *));
    for (size_t i = 0; i < create->n_overrides; i++) {
        Tocsin__Reply *part = apply_alloc(apply, sizeof *part);
        tocsin__reply__init(part);
        override_create(apply, schedule_id, create->overrides[i], &count, part);
        reply->parts[reply->n_parts++] = part;
        made = made || part->status == TOCSIN__STATUS__STATUS_OK;
    }
    if (made) {
        handoffs_touch(apply, schedule_id);
    }
    schedule_on_call_changed(apply, reply, schedule_id, &before, "an override was made");
}

void override_withdraw(struct apply *apply, uint64_t schedule_id, uint64_t id)
{
    struct walk walk = walk_under_from(apply->store, TABLE_OVERRIDE, schedule_id, apply->time_ms + 1);
    while (walk_next(&walk)) {
        if (span_number(walk.key, 2) == id) {
            row_delete(apply, TABLE_OVERRIDE, walk.position);
            return;
        }
    }
}

static Tocsin__Override *override_find(struct apply *apply, uint64_t schedule_id, uint64_t id)
{
    struct walk walk = walk_under(apply->store, TABLE_OVERRIDE, schedule_id);
    while (walk_next(&walk)) {
        if (span_number(walk.key, 2) == id) {
            return record_unpack(&tocsin__override__descriptor, walk.value, apply->arena);
        }
    }
    return NULL;
}

/* One that is under way ends now, and its id is in the reply; one to come is gone, and no id is. */
void apply_override_delete(struct apply *apply, const Tocsin__OverrideDelete *delete, Tocsin__Reply *reply)
{
    Tocsin__Override *override = override_find(apply, delete->schedule_id, delete->id);
    if (override == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "override", delete->id);
        return;
    }
    if (override->end_ms <= apply->time_ms) {
        reply_refuse(apply, reply, INVALID, TOCSIN__REASON__REASON_OVERRIDE_ENDED,
                     "The override is over; what has been is not changed.");
        return;
    }
    Tocsin__OnCall before = schedule_on_call(apply->store, delete->schedule_id, apply->time_ms);
    override_remove(apply, override);
    if (override->start_ms < apply->time_ms) {
        override->end_ms = apply->time_ms;
        override_put(apply, override);
        reply_id(apply, reply, override->id);
    }
    handoffs_touch(apply, delete->schedule_id);
    schedule_on_call_changed(apply, reply, delete->schedule_id, &before, "an override was deleted");
}
