/* Schedules: definitions with their revisions, the shifts that came with them, and the look-up of who is on call. */
#include "consensus/machine/schedules/schedules.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/checks.h"
#include "consensus/machine/planted.h"
#include "consensus/machine/directory/teams.h"
#include "consensus/machine/schedules/handoffs.h"
#include "consensus/machine/schedules/shift_rows.h"
#include "consensus/machine/schedules/swaps.h"
#include "consensus/machine/uses.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE
#define CONFLICT TOCSIN__STATUS__STATUS_CONFLICT
#define MS_PER_DAY (24ull * 3600 * 1000)
/* What was is kept beside what comes. */
#define STORED_SHIFTS_MAX (2 * LIMIT_SHIFTS_PER_SCHEDULE)

/* ---------------------------------------------------------------- looking up */

struct span schedule_shifts(const struct machine_store *store, uint64_t schedule_id, uint32_t revision)
{
    struct key key = key_2(schedule_id, revision);
    struct span rows;
    bool found = store->get(store->context, TABLE_SHIFTS, key_span(&key), &rows);
    return found ? rows : (struct span){.data = "", .size_bytes = 0};
}

/* The revision that held at the moment, 0 for none. */
static uint32_t revision_at(const struct machine_store *store, uint64_t schedule_id, uint64_t at_ms)
{
    struct key behind = key_2(schedule_id, at_ms + 1);
    struct span key, value;
    bool found = store->seek_before(store->context, TABLE_SCHEDULE_REVISION, key_span(&behind), &key, &value);
    return found && key_under(key, schedule_id) ? (uint32_t)span_number(key, 2) : 0;
}

/* Ids grow: the greatest is the newest. */
static void override_at(const struct machine_store *store, uint64_t schedule_id, uint64_t at_ms,
                        Tocsin__OnCall *on_call)
{
    struct walk walk = walk_under_from(store, TABLE_OVERRIDE, schedule_id, at_ms + 1);
    while (walk_next(&walk)) {
        Tocsin__Override *override = record_unpack(&tocsin__override__descriptor, walk.value, NULL);
        if (override != NULL && override->start_ms <= at_ms && override->id > on_call->override_id) {
            on_call->override_id = override->id;
            on_call->user_id = override->user_id;
        }
        tocsin__override__free_unpacked(override, NULL);
    }
}

const char *schedule_called(const Tocsin__Schedule *schedule)
{
    if (schedule == NULL) {
        return "a schedule that is gone";
    }
    return schedule->name[0] != '\0' ? schedule->name : "a schedule without a name";
}

Tocsin__OnCall schedule_on_call(const struct machine_store *store, uint64_t schedule_id, uint64_t at_ms)
{
    Tocsin__OnCall on_call = TOCSIN__ON_CALL__INIT;
    on_call.schedule_id = schedule_id;
    on_call.revision = revision_at(store, schedule_id, at_ms);
    struct span rows = schedule_shifts(store, schedule_id, on_call.revision);
    size_t begun = shift_rows_until(rows, at_ms);
    if (begun > 0) {
        begun = planted(HANDOVER_MISSED) ? 1 : begun;
        on_call.user_id = shift_rows_at(rows, begun - 1).user_id;
    }
    if (!planted(OVERRIDE_IGNORED)) {
        override_at(store, schedule_id, at_ms, &on_call);
    }
    return on_call;
}

/* ---------------------------------------------------------------- checks of a definition */

bool layer_is_over(const struct apply *apply, const Tocsin__ScheduleLayer *layer)
{
    return layer->end_ms != 0 && layer->end_ms <= apply->time_ms;
}

static bool check_restrictions(struct apply *apply, Tocsin__Reply *reply, const Tocsin__ScheduleLayer *layer)
{
    if (layer->n_restrictions > 0 && !check_room(apply, reply, "restrictions of one layer", layer->n_restrictions - 1,
                                                 LIMIT_RESTRICTIONS_PER_LAYER)) {
        return false;
    }
    for (size_t i = 0; i < layer->n_restrictions; i++) {
        const Tocsin__Restriction *restriction = layer->restrictions[i];
        uint32_t longest_s = restriction->day_of_week != 0 ? LIMIT_RESTRICTION_SECONDS : 24u * 3600;
        if (restriction->start_second >= 24u * 3600 || restriction->day_of_week > 7 || restriction->duration_s == 0 ||
            restriction->duration_s > longest_s) {
            reply_refuse(apply, reply, INVALID, "A restriction must last from 1 to %u seconds.", longest_s);
            return false;
        }
    }
    return true;
}

/* Of a layer that is over, people may be gone. */
static bool check_people(struct apply *apply, Tocsin__Reply *reply, const Tocsin__ScheduleLayer *layer)
{
    if (layer->n_user_ids == 0) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_LAYER_EMPTY,
                     "Every layer of a schedule must have at least one user.");
        return false;
    }
    if (!check_room(apply, reply, "users of one layer", layer->n_user_ids - 1, LIMIT_USERS_PER_LAYER)) {
        return false;
    }
    for (size_t i = 0; i < layer->n_user_ids && !layer_is_over(apply, layer); i++) {
        if (user_get(apply->store, layer->user_ids[i], apply->arena) == NULL) {
            reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_USER,
                         "A user of the schedule does not exist.");
            return false;
        }
    }
    return true;
}

static bool has_person(const Tocsin__ScheduleLayer *layer, uint64_t user_id)
{
    for (size_t i = 0; i < layer->n_user_ids; i++) {
        if (layer->user_ids[i] == user_id) {
            return true;
        }
    }
    return false;
}

/* Shifts of a calendar: in order, of people of the layer, and nothing beside them. */
static bool check_fixed(struct apply *apply, Tocsin__Reply *reply, const Tocsin__ScheduleLayer *layer)
{
    if (!check_room(apply, reply, "shifts of one calendar", layer->n_fixed - 1, LIMIT_FIXED_SHIFTS_PER_LAYER)) {
        return false;
    }
    if (layer->n_calendar > 0 && !check_room(apply, reply, "events of one calendar", layer->n_calendar - 1,
                                             LIMIT_CALENDAR_RULES_PER_LAYER)) {
        return false;
    }
    bool good = layer->n_restrictions == 0 && layer->turn_length_s == 0;
    for (size_t i = 0; good && i < layer->n_calendar; i++) {
        good = has_person(layer, layer->calendar[i]->user_id);
    }
    for (size_t i = 0; good && i < layer->n_fixed; i++) {
        const Tocsin__FixedShift *shift = layer->fixed[i];
        good = shift->end_ms > shift->start_ms && has_person(layer, shift->user_id) &&
               (i == 0 || shift->start_ms >= layer->fixed[i - 1]->end_ms);
    }
    if (!good) {
        reply_refuse(apply, reply, INVALID, "The shifts of a calendar must be in order, and of its people.");
    }
    return good;
}

static bool check_layer(struct apply *apply, Tocsin__Reply *reply, const Tocsin__ScheduleLayer *layer)
{
    if (!check_line(apply, reply, "The name of a layer", layer->name, 0, LIMIT_NAME_CHARACTERS)) {
        return false;
    }
    if (layer->n_fixed > 0) {
        return check_fixed(apply, reply, layer) && check_people(apply, reply, layer);
    }
    if (layer->turn_length_s < LIMIT_TURN_SECONDS_LEAST || layer->turn_length_s > LIMIT_TURN_SECONDS) {
        reply_refuse(apply, reply, INVALID, "The turns of a layer must last from %u to %u seconds.",
                     LIMIT_TURN_SECONDS_LEAST, LIMIT_TURN_SECONDS);
        return false;
    }
    /* A layer that clients drop is ended at once, even when it had not begun. */
    if (layer->end_ms != 0 && layer->end_ms <= layer->start_ms && layer->id == 0) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_WINDOW_REVERSED,
                     "A layer must end after its start.");
        return false;
    }
    return check_people(apply, reply, layer) && check_restrictions(apply, reply, layer);
}

static bool check_schedule(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Schedule *schedule)
{
    if (!check_line(apply, reply, "The name", schedule->name, 0, LIMIT_NAME_CHARACTERS) ||
        !check_lines(apply, reply, "The description", schedule->description, 0, LIMIT_DESCRIPTION_CHARACTERS) ||
        !check_line(apply, reply, "The time zone", schedule->time_zone, 1, LIMIT_NAME_CHARACTERS)) {
        return false;
    }
    if (schedule->n_layers > 0 &&
        !check_room(apply, reply, "layers of one schedule", schedule->n_layers - 1, LIMIT_LAYERS_PER_SCHEDULE)) {
        return false;
    }
    if (schedule->n_team_ids > 0 &&
        !check_room(apply, reply, "teams of one schedule", schedule->n_team_ids - 1, LIMIT_TEAMS_PER_SCHEDULE)) {
        return false;
    }
    for (size_t i = 0; i < schedule->n_layers; i++) {
        if (!check_layer(apply, reply, schedule->layers[i])) {
            return false;
        }
    }
    return check_teams(apply, reply, schedule->team_ids, schedule->n_team_ids);
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* Whoever did the rendering: shifts are in order, and only people of the layers have them. */
static bool check_shifts(struct apply *apply, Tocsin__Reply *reply, const Tocsin__Schedule *schedule, struct span rows)
{
    size_t count = 0;
    bool good = shift_rows_valid(rows);
    for (size_t i = 0; i < schedule->n_layers; i++) {
        count += schedule->layers[i]->n_user_ids;
    }
    uint64_t *ids = apply_alloc(apply, (count + 1) * sizeof *ids);
    count = 0;
    for (size_t i = 0; i < schedule->n_layers; i++) {
        const Tocsin__ScheduleLayer *layer = schedule->layers[i];
        memcpy(ids + count, layer->user_ids, layer->n_user_ids * sizeof *ids);
        count += layer->n_user_ids;
    }
    qsort(ids, count, sizeof *ids, compare_ids);
    for (size_t i = 0; good && i < shift_rows_count(rows); i++) {
        uint64_t user_id = shift_rows_at(rows, i).user_id;
        good = user_id == 0 || bsearch(&user_id, ids, count, sizeof *ids, compare_ids) != NULL;
    }
    if (!good) {
        reply_refuse(apply, reply, INVALID, "The shifts do not belong to this schedule.");
    }
    return good;
}

/* They hold now, and for some time to come. */
static bool check_reach(struct apply *apply, Tocsin__Reply *reply, struct span rows)
{
    if (shift_rows_at(rows, 0).from_ms > apply->time_ms) {
        reply_refuse(apply, reply, INVALID, "The shifts begin after the cluster's present time: are the clocks right?");
        return false;
    }
    if (shift_rows_at(rows, shift_rows_count(rows) - 1).from_ms < apply->time_ms + SCHEDULE_HORIZON_LEAST_MS) {
        reply_refuse(apply, reply, INVALID,
                     "The schedule changes hands so often that it cannot be known two days ahead; simplify it.");
        return false;
    }
    return true;
}

/* ---------------------------------------------------------------- storing */

static void shifts_put(struct apply *apply, uint64_t schedule_id, uint32_t revision, struct span rows)
{
    struct key key = key_2(schedule_id, revision);
    apply->store->put(apply->store->context, TABLE_SHIFTS, key_span(&key), rows);
}

/* Of a revision that holds no longer, only what was is kept. */
static void shifts_end(struct apply *apply, uint64_t schedule_id, uint32_t revision)
{
    struct span rows = schedule_shifts(apply->store, schedule_id, revision);
    size_t kept = shift_rows_until(rows, apply->time_ms - 1);
    uint8_t *bytes = apply_alloc(apply, (kept + 1) * SHIFT_ROW_SIZE_BYTES);
    memcpy(bytes, rows.data, kept * SHIFT_ROW_SIZE_BYTES);
    shift_rows_write((struct shift_row){apply->time_ms, 0}, bytes + kept * SHIFT_ROW_SIZE_BYTES);
    shifts_put(apply, schedule_id, revision,
               (struct span){.data = bytes, .size_bytes = (kept + 1) * SHIFT_ROW_SIZE_BYTES});
}

/* The oldest ones go beyond the bound. */
static void revisions_trim(struct apply *apply, uint64_t schedule_id)
{
    uint64_t count = rows_under(apply, TABLE_SCHEDULE_REVISION, schedule_id);
    struct walk walk = walk_under(apply->store, TABLE_SCHEDULE_REVISION, schedule_id);
    for (; count > LIMIT_REVISIONS_PER_SCHEDULE && walk_next(&walk); count--) {
        row_delete(apply, TABLE_SHIFTS, key_2(schedule_id, span_number(walk.key, 2)));
        row_delete(apply, TABLE_SCHEDULE_REVISION, walk.position);
    }
}

static void schedule_store(struct apply *apply, const Tocsin__Schedule *schedule)
{
    record_put(apply->store, TABLE_SCHEDULE, key_1(schedule->id), &schedule->base);
    record_put(apply->store, TABLE_SCHEDULE_REVISION, key_3(schedule->id, schedule->revised_at_ms, schedule->revision),
               &schedule->base);
}

/* ---------------------------------------------------------------- put */

static bool had_layer(const Tocsin__Schedule *schedule, uint64_t id)
{
    for (size_t i = 0; schedule != NULL && i < schedule->n_layers; i++) {
        if (schedule->layers[i]->id == id) {
            return true;
        }
    }
    return false;
}

/* Layers in memory of their own: one keeps its id when the schedule had it and no layer before took it, any other is
 * new. */
static void number_layers(struct apply *apply, Tocsin__Schedule *schedule, const Tocsin__Schedule *old)
{
    Tocsin__ScheduleLayer **given = schedule->layers;
    size_t count = schedule->n_layers;
    schedule->layers = apply_alloc(apply, (count + 1) * sizeof(Tocsin__ScheduleLayer *));
    for (schedule->n_layers = 0; schedule->n_layers < count; schedule->n_layers++) {
        Tocsin__ScheduleLayer *layer = apply_alloc(apply, sizeof *layer);
        *layer = *given[schedule->n_layers];
        if (layer->id == 0 || !had_layer(old, layer->id) || had_layer(schedule, layer->id)) {
            layer->id = apply_new_id(apply);
        }
        schedule->layers[schedule->n_layers] = layer;
    }
}

static bool check_put(struct apply *apply, Tocsin__Reply *reply, const Tocsin__SchedulePut *put,
                      const Tocsin__Schedule *old, struct span rows)
{
    if (put->id != 0 && old == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_SCHEDULE, "schedule", put->id);
        return false;
    }
    if (old != NULL && old->revision != put->base_revision && !planted(STALE_REVISION_ACCEPTED)) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_STALE_REVISION,
                     "The schedule was changed at the same time; read it and try again.");
        return false;
    }
    return check_schedule(apply, reply, put->schedule) && check_shifts(apply, reply, put->schedule, rows) &&
           check_reach(apply, reply, rows) &&
           (old != NULL || check_room(apply, reply, "schedules",
                                      apply->store->count(apply->store->context, TABLE_SCHEDULE), LIMIT_SCHEDULES));
}

static const char *revision_text(struct apply *apply, const Tocsin__Schedule *schedule)
{
    if (schedule->restored_from != 0) {
        return apply_printf(apply, "Revision %u was restored, as revision %u.", schedule->restored_from,
                            schedule->revision);
    }
    return schedule->revision == 1 ? "The schedule was made."
                                   : apply_printf(apply, "The schedule was changed: revision %u.", schedule->revision);
}

void apply_schedule_put(struct apply *apply, const Tocsin__SchedulePut *put, Tocsin__Reply *reply)
{
    if (!check_given(apply, reply, put->schedule)) {
        return;
    }
    const Tocsin__Schedule *old = put->id != 0 ? schedule_get(apply->store, put->id, apply->arena) : NULL;
    struct span rows = {.data = put->shifts.data, .size_bytes = put->shifts.len};
    if (!check_put(apply, reply, put, old, rows)) {
        return;
    }
    Tocsin__Schedule schedule = *put->schedule;
    schedule.id = old != NULL ? old->id : apply_new_id(apply);
    schedule.created_at_ms = old != NULL ? old->created_at_ms : apply->time_ms;
    schedule.revision = old != NULL ? old->revision + 1 : 1;
    schedule.revised_at_ms = schedule.extended_at_ms = apply->time_ms;
    schedule.revised_by = (Tocsin__Actor *)(uintptr_t)apply->actor; /* packed at once, not changed */
    number_layers(apply, &schedule, old);
    Tocsin__OnCall before = schedule_on_call(apply->store, schedule.id, apply->time_ms);
    if (old != NULL) {
        shifts_end(apply, schedule.id, old->revision);
    }
    shifts_put(apply, schedule.id, schedule.revision, rows);
    schedule_store(apply, &schedule);
    revisions_trim(apply, schedule.id);
    schedule_log(apply, schedule.id, TOCSIN__LOG_TYPE__LOG_SCHEDULE_CHANGE, revision_text(apply, &schedule));
    handoffs_touch(apply, schedule.id);
    if (old != NULL) {
        schedule_on_call_changed(apply, reply, schedule.id, &before, "the schedule was changed");
    }
    reply_id(apply, reply, schedule.id);
}

/* ---------------------------------------------------------------- extend */

static struct span join_rows(struct apply *apply, struct span old, struct span new)
{
    uint64_t from_ms = shift_rows_at(new, 0).from_ms;
    uint64_t kept_ms = apply->settings->retention_days * MS_PER_DAY;
    uint64_t forget_ms = apply->time_ms > kept_ms ? apply->time_ms - kept_ms : 0;
    size_t end = shift_rows_until(old, from_ms - 1), first = shift_rows_until(old, forget_ms);
    first = first > 0 ? first - 1 : 0; /* the one in force then */
    size_t count = shift_rows_count(new), skipped = 0;
    if (end > first && shift_rows_at(old, end - 1).user_id == shift_rows_at(new, 0).user_id) {
        skipped = 1; /* the shift goes on */
    }
    if (end - first + count > STORED_SHIFTS_MAX) {
        first = end - (STORED_SHIFTS_MAX - count);
    }
    size_t old_size_bytes = (end - first) * SHIFT_ROW_SIZE_BYTES;
    size_t new_size_bytes = (count - skipped) * SHIFT_ROW_SIZE_BYTES;
    uint8_t *bytes = apply_alloc(apply, old_size_bytes + new_size_bytes);
    memcpy(bytes, (const uint8_t *)old.data + first * SHIFT_ROW_SIZE_BYTES, old_size_bytes);
    memcpy(bytes + old_size_bytes, (const uint8_t *)new.data + skipped *SHIFT_ROW_SIZE_BYTES, new_size_bytes);
    return (struct span){.data = bytes, .size_bytes = old_size_bytes + new_size_bytes};
}

/* The shifts of calendars as they are laid out by now; a layer keeps some, by which it is known as a calendar. */
static bool take_calendars(struct apply *apply, Tocsin__Reply *reply, Tocsin__Schedule *schedule,
                           const Tocsin__ScheduleExtend *extend)
{
    for (size_t i = 0; i < extend->n_calendars; i++) {
        const Tocsin__CalendarShifts *calendar = extend->calendars[i];
        for (size_t j = 0; j < schedule->n_layers; j++) {
            Tocsin__ScheduleLayer *layer = schedule->layers[j];
            if (layer->id != calendar->layer_id || layer->n_calendar == 0 || calendar->n_fixed == 0) {
                continue;
            }
            layer->fixed = calendar->fixed;
            layer->n_fixed = calendar->n_fixed;
            if (!check_fixed(apply, reply, layer)) {
                return false;
            }
        }
    }
    return true;
}

void apply_schedule_extend(struct apply *apply, const Tocsin__ScheduleExtend *extend, Tocsin__Reply *reply)
{
    Tocsin__Schedule *schedule = schedule_get(apply->store, extend->schedule_id, apply->arena);
    struct span rows = {.data = extend->shifts.data, .size_bytes = extend->shifts.len};
    if (schedule == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_SCHEDULE, "schedule", extend->schedule_id);
        return;
    }
    if (schedule->revision != extend->revision) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_STALE_REVISION,
                     "The shifts are of another revision of the schedule.");
        return;
    }
    if (!check_shifts(apply, reply, schedule, rows)) {
        return;
    }
    struct span old = schedule_shifts(apply->store, schedule->id, schedule->revision);
    uint64_t from_ms = shift_rows_at(rows, 0).from_ms;
    size_t old_count = shift_rows_count(old);
    if (from_ms <= apply->time_ms || old_count == 0 || from_ms > shift_rows_at(old, old_count - 1).from_ms) {
        reply_refuse(apply, reply, INVALID, "The shifts would change what has been, or leave a hole.");
        return;
    }
    if (!take_calendars(apply, reply, schedule, extend)) {
        return;
    }
    shifts_put(apply, schedule->id, schedule->revision, join_rows(apply, old, rows));
    schedule->extended_at_ms = apply->time_ms;
    schedule_store(apply, schedule);
    handoffs_touch(apply, schedule->id);
    reply_id(apply, reply, schedule->id);
}

/* ---------------------------------------------------------------- delete */

static void delete_under(struct apply *apply, enum machine_table table, uint64_t schedule_id)
{
    struct walk walk = walk_under(apply->store, table, schedule_id);
    while (walk_next(&walk)) {
        row_delete(apply, table, walk.position);
    }
}

void apply_schedule_delete(struct apply *apply, const Tocsin__ScheduleDelete *delete, Tocsin__Reply *reply)
{
    const Tocsin__Schedule *schedule = schedule_get(apply->store, delete->id, apply->arena);
    if (schedule == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_SCHEDULE, "schedule", delete->id);
        return;
    }
    if (!check_unused(apply, reply, USED_SCHEDULE, schedule->id, schedule->name)) {
        return;
    }
    delete_under(apply, TABLE_OVERRIDE, delete->id);
    delete_under(apply, TABLE_SHIFTS, delete->id);
    delete_under(apply, TABLE_SCHEDULE_REVISION, delete->id);
    delete_under(apply, TABLE_SCHEDULE_LOG, delete->id);
    delete_under(apply, TABLE_SWAP, delete->id);
    handoffs_forget(apply, delete->id);
    calendar_feed_forget(apply, delete->id);
    row_delete(apply, TABLE_SCHEDULE, key_1(delete->id));
    reply_id(apply, reply, delete->id);
}

/* ---------------------------------------------------------------- whom schedules need */

bool schedule_layers_have(const struct apply *apply, const Tocsin__Schedule *schedule, uint64_t user_id)
{
    for (size_t i = 0; i < schedule->n_layers; i++) {
        const Tocsin__ScheduleLayer *layer = schedule->layers[i];
        for (size_t j = 0; j < layer->n_user_ids && !layer_is_over(apply, layer); j++) {
            if (layer->user_ids[j] == user_id) {
                return true;
            }
        }
    }
    return false;
}

static bool overrides_have(struct apply *apply, uint64_t schedule_id, uint64_t user_id)
{
    bool found = false;
    struct walk walk = walk_under_from(apply->store, TABLE_OVERRIDE, schedule_id, apply->time_ms + 1);
    while (!found && walk_next(&walk)) {
        Tocsin__Override *override = record_unpack(&tocsin__override__descriptor, walk.value, NULL);
        found = override != NULL && override->user_id == user_id;
        tocsin__override__free_unpacked(override, NULL);
    }
    return found;
}

bool schedule_has_user(struct apply *apply, const Tocsin__Schedule *schedule, uint64_t user_id)
{
    return schedule_layers_have(apply, schedule, user_id) || overrides_have(apply, schedule->id, user_id);
}

void handoffs_touch_user(struct apply *apply, uint64_t user_id)
{
    struct walk walk = walk_all(apply->store, TABLE_SCHEDULE);
    while (walk_next(&walk)) {
        Tocsin__Schedule *schedule = record_unpack(&tocsin__schedule__descriptor, walk.value, NULL);
        if (schedule != NULL && schedule_has_user(apply, schedule, user_id)) {
            handoffs_touch(apply, schedule->id);
        }
        tocsin__schedule__free_unpacked(schedule, NULL);
    }
}
