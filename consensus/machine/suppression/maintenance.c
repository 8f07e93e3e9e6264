/*
 * Maintenance windows: spans of time in which no incident opens on some services.
 *
 * A window keeps those of its spans that are not over; each of its services has a row that says the first of them, so
 * that an alert which triggers costs one look. The end of the first span is a deadline: the rows move on to the next,
 * and what the window held back is looked at anew. A window that is over stays to be read for as long as incidents do.
 */
#include "consensus/machine/suppression/suppression.h"

#include <assert.h>
#include <string.h>

#include "consensus/machine/checks.h"
#include "consensus/machine/planted.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_BAD_VALUE
#define CONFLICT TOCSIN__STATUS__STATUS_CONFLICT
#define MINUTES_PER_DAY (24u * 60)

/* When the window ends that is in force then, 0: it is not. A span that is over stays the first one until its end is looked
 * at, which takes a leader: the next one may have begun by then. */
static uint64_t ends_ms(const struct machine_store *store, uint64_t window_id, uint64_t at_ms)
{
    Tocsin__MaintenanceWindow *window = maintenance_window_get(store, window_id, NULL);
    uint64_t end_ms = 0;
    for (size_t i = 0; window != NULL && i < window->n_spans && window->spans[i]->start_ms <= at_ms; i++) {
        end_ms = at_ms < window->spans[i]->end_ms ? window->spans[i]->end_ms : 0;
    }
    tocsin__maintenance_window__free_unpacked(window, NULL);
    return end_ms;
}

uint64_t maintenance_of_service(const struct machine_store *store, uint64_t service_id, uint64_t at_ms, uint64_t *until_ms)
{
    uint64_t window_id = 0;
    *until_ms = 0;
    struct walk walk = walk_under(store, TABLE_MAINTENANCE_BY_SERVICE, service_id);
    while (walk_next(&walk)) {
        uint64_t listed_id = span_number(walk.key, 1), start_ms = span_number(walk.value, 0);
        uint64_t first_end_ms = span_number(walk.value, 1);
        if (start_ms > at_ms) {
            continue;
        }
        uint64_t end_ms = at_ms < first_end_ms ? first_end_ms : ends_ms(store, listed_id, at_ms);
        if (end_ms > *until_ms) {
            window_id = listed_id;
            *until_ms = end_ms;
        }
    }
    return window_id;
}

/* ---------------------------------------------------------------- its rows */

static bool is_over(const Tocsin__MaintenanceWindow *window)
{
    return window->n_spans == 0;
}

static void file(struct apply *apply, uint64_t window_id, enum deadline_kind kind, uint64_t *filed_ms, uint64_t due_ms)
{
    if (*filed_ms != 0) {
        row_delete(apply, TABLE_DEADLINE, key_deadline(*filed_ms, kind, window_id, 0));
    }
    *filed_ms = due_ms;
    if (due_ms != 0) {
        Tocsin__Deadline row = TOCSIN__DEADLINE__INIT;
        record_put(apply->store, TABLE_DEADLINE, key_deadline(due_ms, kind, window_id, 0), &row.base);
    }
}

/* When people hear that the first span ends; 0: never, for it is too short or nearly over. */
static uint64_t warning_ms(const struct apply *apply, const Tocsin__WindowSpan *span)
{
    uint64_t before_ms = apply_minutes_ms(apply, MAINTENANCE_WARNING_MINUTES);
    bool long_enough = span->end_ms - span->start_ms > before_ms && span->end_ms - before_ms > apply->time_ms;
    return long_enough ? span->end_ms - before_ms : 0;
}

static void services_unlist(struct apply *apply, const Tocsin__MaintenanceWindow *window)
{
    for (size_t i = 0; i < window->n_service_ids; i++) {
        row_delete(apply, TABLE_MAINTENANCE_BY_SERVICE, key_2(window->service_ids[i], window->id));
    }
}

static void services_list(struct apply *apply, const Tocsin__MaintenanceWindow *window)
{
    for (size_t i = 0; i < window->n_service_ids; i++) {
        if (service_get(apply->store, window->service_ids[i], apply->arena) != NULL) {
            struct key row = key_2(window->service_ids[i], window->id);
            struct key span = key_2(window->spans[0]->start_ms, window->spans[0]->end_ms);
            apply->store->put(apply->store->context, TABLE_MAINTENANCE_BY_SERVICE, key_span(&row), key_span(&span));
        }
    }
}

/* Stores it, with its rows as its spans are now. */
static void window_store(struct apply *apply, Tocsin__MaintenanceWindow *window)
{
    if (is_over(window)) {
        uint64_t kept_ms = (uint64_t)apply->settings->retention_days * apply_minutes_ms(apply, MINUTES_PER_DAY);
        services_unlist(apply, window);
        window->over_at_ms = apply->time_ms;
        file(apply, window->id, DEADLINE_MAINTENANCE_END, &window->filed_end_ms, apply->time_ms + kept_ms);
        file(apply, window->id, DEADLINE_MAINTENANCE_WARNING, &window->filed_warning_ms, 0);
    } else {
        services_list(apply, window);
        file(apply, window->id, DEADLINE_MAINTENANCE_END, &window->filed_end_ms, window->spans[0]->end_ms);
        file(apply, window->id, DEADLINE_MAINTENANCE_WARNING, &window->filed_warning_ms,
             warning_ms(apply, window->spans[0]));
    }
    record_put(apply->store, TABLE_MAINTENANCE, key_1(window->id), &window->base);
}

/* ---------------------------------------------------------------- spans */

/* Those that are over go. */
static void spans_pass(const struct apply *apply, Tocsin__MaintenanceWindow *window)
{
    while (window->n_spans > 0 && window->spans[0]->end_ms <= apply->time_ms) {
        window->spans++;
        window->n_spans--;
    }
}

static bool check_spans(struct apply *apply, Tocsin__Reply *reply, Tocsin__WindowSpan *const *spans, size_t count)
{
    bool good = count <= LIMIT_SPANS_PER_WINDOW;
    for (size_t i = 0; good && i < count; i++) {
        good = spans[i]->start_ms < spans[i]->end_ms && (i == 0 || spans[i]->start_ms >= spans[i - 1]->end_ms);
    }
    if (!good) {
        reply_refuse(apply, reply, INVALID, "The spans of a maintenance window must follow each other, at most %u.",
                     LIMIT_SPANS_PER_WINDOW);
    }
    return good;
}

/* One that has no recurrence is its own only span. */
static void span_of_itself(struct apply *apply, Tocsin__MaintenanceWindow *window)
{
    Tocsin__WindowSpan *span = apply_alloc(apply, sizeof *span);
    tocsin__window_span__init(span);
    span->start_ms = window->start_ms;
    span->end_ms = window->end_ms;
    window->spans = apply_alloc(apply, sizeof *window->spans);
    window->spans[0] = span;
    window->n_spans = 1;
}

/* ---------------------------------------------------------------- put */

/* Windows to come of the service, beside this one. */
static uint64_t others_of_service(struct apply *apply, uint64_t service_id, const Tocsin__MaintenanceWindow *window)
{
    uint64_t count = rows_under(apply, TABLE_MAINTENANCE_BY_SERVICE, service_id);
    struct key row = key_2(service_id, window != NULL ? window->id : 0);
    struct span value;
    return count - (apply->store->get(apply->store->context, TABLE_MAINTENANCE_BY_SERVICE, key_span(&row), &value) ? 1 : 0);
}

/* Each service once. `old` is the window as it was; NULL: it is new. */
static bool take_services(struct apply *apply, Tocsin__Reply *reply, Tocsin__MaintenanceWindow *window,
                          const Tocsin__MaintenanceWindow *old)
{
    if (window->n_service_ids == 0) {
        reply_refuse(apply, reply, INVALID, "A maintenance window must have at least one service.");
        return false;
    }
    if (!check_room(apply, reply, "services of one maintenance window", window->n_service_ids - 1,
                    LIMIT_SERVICES_PER_WINDOW)) {
        return false;
    }
    uint64_t *ids = apply_alloc(apply, window->n_service_ids * sizeof *ids);
    size_t kept = 0;
    for (size_t i = 0; i < window->n_service_ids; i++) {
        uint64_t id = window->service_ids[i];
        bool again = false;
        for (size_t j = 0; j < kept && !again; j++) {
            again = ids[j] == id;
        }
        if (again) {
            continue;
        }
        if (service_get(apply->store, id, apply->arena) == NULL) {
            reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_UNKNOWN_SERVICE,
                         "A service of the maintenance window does not exist.");
            return false;
        }
        if (!check_room(apply, reply, "maintenance windows to come for one service",
                        others_of_service(apply, id, old), LIMIT_WINDOWS_PER_SERVICE)) {
            return false;
        }
        ids[kept++] = id;
    }
    window->service_ids = ids;
    window->n_service_ids = kept;
    return true;
}

static bool check_window(struct apply *apply, Tocsin__Reply *reply, Tocsin__MaintenanceWindow *window)
{
    if (!check_lines(apply, reply, "The description", window->description, 0, LIMIT_DESCRIPTION_CHARACTERS)) {
        return false;
    }
    if (window->end_ms <= window->start_ms) {
        reply_refuse(apply, reply, TOCSIN__STATUS__STATUS_INVALID, TOCSIN__REASON__REASON_WINDOW_REVERSED,
                     "A maintenance window must end after its start.");
        return false;
    }
    if (window->recurrence == NULL) {
        span_of_itself(apply, window);
    }
    if (!check_spans(apply, reply, window->spans, window->n_spans)) {
        return false;
    }
    spans_pass(apply, window);
    if (is_over(window)) {
        reply_refuse(apply, reply, INVALID, "A maintenance window must end in the future.");
        return false;
    }
    return true;
}

/* What has begun keeps its beginning; what begins begins now at the earliest, as PagerDuty has it. */
static void settle_start(const struct apply *apply, Tocsin__MaintenanceWindow *window,
                         const Tocsin__MaintenanceWindow *old)
{
    if (window->recurrence != NULL) {
        return;
    }
    if (old != NULL && old->start_ms <= apply->time_ms) {
        window->start_ms = old->start_ms;
    } else if (window->start_ms < apply->time_ms) {
        window->start_ms = apply->time_ms;
    }
}

static bool check_put(struct apply *apply, Tocsin__Reply *reply, const Tocsin__MaintenanceWindowPut *put,
                      const Tocsin__MaintenanceWindow *old)
{
    if (put->id != 0 && old == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "maintenance window", put->id);
        return false;
    }
    if (old != NULL && is_over(old)) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_WINDOW_OVER,
                     "The maintenance window is over and cannot be changed.");
        return false;
    }
    if (old != NULL && old->revision != put->base_revision) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_STALE_REVISION,
                     "The maintenance window was changed at the same time; read it and try again.");
        return false;
    }
    return old != NULL || check_room(apply, reply, "maintenance windows",
                                     apply->store->count(apply->store->context, TABLE_MAINTENANCE),
                                     LIMIT_MAINTENANCE_WINDOWS);
}

void apply_maintenance_window_put(struct apply *apply, const Tocsin__MaintenanceWindowPut *put, Tocsin__Reply *reply)
{
    if (!check_given(apply, reply, put->window)) {
        return;
    }
    const Tocsin__MaintenanceWindow *old =
        put->id != 0 ? maintenance_window_get(apply->store, put->id, apply->arena) : NULL;
    if (!check_put(apply, reply, put, old)) {
        return;
    }
    Tocsin__MaintenanceWindow window = *put->window;
    settle_start(apply, &window, old);
    if (!check_window(apply, reply, &window) || !take_services(apply, reply, &window, old)) {
        return;
    }
    if (old != NULL) {
        services_unlist(apply, old);
    }
    window.id = old != NULL ? old->id : apply_new_id(apply);
    window.sequence_number = old != NULL ? old->sequence_number : window.id;
    window.revision = old != NULL ? old->revision + 1 : 1;
    window.created_at_ms = old != NULL ? old->created_at_ms : apply->time_ms;
    bool person = apply->actor->kind == TOCSIN__ACTOR_KIND__ACTOR_USER;
    window.created_by_id = old != NULL ? old->created_by_id : person ? apply->actor->id : 0;
    window.created_by_name = old != NULL ? old->created_by_name : apply->actor->name;
    window.filed_end_ms = old != NULL ? old->filed_end_ms : 0;
    window.filed_warning_ms = old != NULL ? old->filed_warning_ms : 0;
    window.extended_at_ms = apply->time_ms;
    window.over_at_ms = 0;
    window_store(apply, &window);
    hold_drain(apply, window.id);
    reply_id(apply, reply, window.id);
}

/* ---------------------------------------------------------------- delete, extend */

static void window_remove(struct apply *apply, Tocsin__MaintenanceWindow *window)
{
    services_unlist(apply, window);
    file(apply, window->id, DEADLINE_MAINTENANCE_END, &window->filed_end_ms, 0);
    file(apply, window->id, DEADLINE_MAINTENANCE_WARNING, &window->filed_warning_ms, 0);
    row_delete(apply, TABLE_MAINTENANCE, key_1(window->id));
}

void apply_maintenance_window_delete(struct apply *apply, const Tocsin__MaintenanceWindowDelete *delete,
                                     Tocsin__Reply *reply)
{
    Tocsin__MaintenanceWindow *window = maintenance_window_get(apply->store, delete->id, apply->arena);
    if (window == NULL) {
        refuse_unknown(apply, reply, TOCSIN__REASON__REASON_UNKNOWN_OBJECT, "maintenance window", delete->id);
        return;
    }
    if (is_over(window)) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_WINDOW_OVER,
                     "The maintenance window is over and cannot be deleted.");
        return;
    }
    reply_id(apply, reply, window->id);
    if (window->start_ms > apply->time_ms) {
        window_remove(apply, window);
        return;
    }
    window->end_ms = window->end_ms < apply->time_ms ? window->end_ms : apply->time_ms;
    window->n_spans = 0;
    window->revision++;
    window_store(apply, window);
    hold_drain(apply, window->id);
}

/*
 * The span under way when the new rendering takes the place of those to come. It is not cut short by it, only lengthened:
 * spans that touch are one, and of a window that never pauses the rendering knows a later end each day.
 */
static uint64_t lengthen(Tocsin__WindowSpan *begun, Tocsin__WindowSpan *const *spans, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (spans[i]->start_ms <= begun->end_ms && spans[i]->end_ms > begun->end_ms) {
            begun->end_ms = spans[i]->end_ms;
        }
    }
    return begun->end_ms;
}

void apply_maintenance_window_extend(struct apply *apply, const Tocsin__MaintenanceWindowExtend *extend,
                                     Tocsin__Reply *reply)
{
    Tocsin__MaintenanceWindow *window = maintenance_window_get(apply->store, extend->id, apply->arena);
    if (window == NULL || is_over(window) || window->revision != extend->revision || window->recurrence == NULL) {
        reply_refuse(apply, reply, CONFLICT, TOCSIN__REASON__REASON_STALE_REVISION,
                     "The maintenance window was changed at the same time.");
        return;
    }
    if (!check_spans(apply, reply, extend->spans, extend->n_spans)) {
        return;
    }
    spans_pass(apply, window);
    bool begun = window->n_spans > 0 && window->spans[0]->start_ms <= apply->time_ms;
    uint64_t from_ms = begun ? lengthen(window->spans[0], extend->spans, extend->n_spans) : apply->time_ms + 1;
    Tocsin__WindowSpan **spans = apply_alloc(apply, (extend->n_spans + 1) * sizeof(Tocsin__WindowSpan *));
    size_t count = 0;
    if (begun) {
        spans[count++] = window->spans[0];
    }
    for (size_t i = 0; i < extend->n_spans && count < LIMIT_SPANS_PER_WINDOW; i++) {
        if (extend->spans[i]->start_ms >= from_ms) {
            spans[count++] = extend->spans[i];
        }
    }
    window->spans = spans;
    window->n_spans = count;
    window->extended_at_ms = apply->time_ms;
    window_store(apply, window);
    hold_drain(apply, window->id);
    reply_id(apply, reply, window->id);
}

/* ---------------------------------------------------------------- edges */

void maintenance_end_due(struct apply *apply, uint64_t window_id, uint64_t due_ms)
{
    Tocsin__MaintenanceWindow *window = maintenance_window_get(apply->store, window_id, apply->arena);
    if (window == NULL || window->filed_end_ms != due_ms) {
        return;
    }
    window->filed_end_ms = 0; /* its row is taken */
    if (is_over(window)) {
        window_remove(apply, window);
        return;
    }
    spans_pass(apply, window);
    window_store(apply, window);
    if (!planted(WINDOW_END_FORGOTTEN)) {
        hold_drain(apply, window_id);
    }
}

void maintenance_warning_due(struct apply *apply, uint64_t window_id, uint64_t due_ms)
{
    Tocsin__MaintenanceWindow *window = maintenance_window_get(apply->store, window_id, apply->arena);
    if (window == NULL || window->filed_warning_ms != due_ms) {
        return;
    }
    window->filed_warning_ms = 0; /* its row is taken */
    record_put(apply->store, TABLE_MAINTENANCE, key_1(window_id), &window->base);
    if (!is_over(window)) {
        maintenance_warn(apply, window);
    }
}

void maintenance_service_deleted(struct apply *apply, uint64_t service_id)
{
    struct walk walk = walk_under(apply->store, TABLE_MAINTENANCE_BY_SERVICE, service_id);
    while (walk_next(&walk)) {
        row_delete(apply, TABLE_MAINTENANCE_BY_SERVICE, walk.position);
    }
}
