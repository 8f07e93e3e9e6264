/*
 * Maintenance windows, by what was asked for: looked up for the moment, with nothing rendered ahead.
 *
 * A window is a span of time, or one that comes again daily or on days of the week, at the same times by the clocks on
 * the walls (model_schedules.c says which). One that is under way can be shortened, lengthened or ended; what is over
 * stays as it was.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/records.h"
#include "tests/sim/model/model_suppression.h"

#define DAY_S (24u * 3600u)

static struct window *window_find(const struct model *model, uint64_t id)
{
    const struct suppression *all = model->suppression;
    for (size_t i = 0; i < all->windows.count; i++) {
        if (all->windows.items[i].id == id) {
            return &all->windows.items[i];
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- when it is */

struct time_span {
    uint64_t start_ms, end_ms; /* both 0: never */
};

/* The day that begins so many days after the first one; the first day of all was a Thursday. */
static bool is_on_day(const struct window *window, uint64_t day)
{
    return window->days == 0 || (window->days >> ((day + 3) % 7 + 1) & 1) != 0;
}

/* The first one that is not over then. */
static struct time_span span_at(const struct window *window, uint64_t at_ms)
{
    if (!window->recurs) {
        return window->end_ms > at_ms ? (struct time_span){window->start_ms, window->end_ms} : (struct time_span){0, 0};
    }
    uint64_t wall_s = window->start_ms / 1000 + window->ahead_s, first = wall_s / DAY_S;
    uint64_t today = (at_ms / 1000 + window->ahead_s) / DAY_S, day = today > first + 8 ? today - 8 : first;
    for (; day <= today + 8; day++) {
        uint64_t start_ms = (day * DAY_S + wall_s % DAY_S - window->ahead_s) * 1000;
        uint64_t end_ms = start_ms + (window->end_ms - window->start_ms);
        if (window->until_ms != 0 && start_ms >= window->until_ms) {
            break;
        }
        if (is_on_day(window, day) && end_ms > at_ms) {
            return (struct time_span){start_ms, end_ms};
        }
    }
    return (struct time_span){0, 0};
}

static bool is_over(const struct window *window)
{
    return window->ends_ms == 0;
}

/* Its next end, and when that is told; a short one is not told of. */
static void look_ahead(const struct model *model, struct window *window)
{
    struct time_span span = span_at(window, model->now_ms);
    uint64_t before_ms = model_minutes_ms(model, MAINTENANCE_WARNING_MINUTES);
    bool told = span.end_ms - span.start_ms > before_ms && span.end_ms - before_ms > model->now_ms;
    window->ends_ms = span.end_ms;
    window->warns_ms = told ? span.end_ms - before_ms : 0;
}

static bool has_service(const struct window *window, uint64_t service_id)
{
    for (size_t i = 0; i < window->services.count; i++) {
        if (window->services.items[i] == service_id) {
            return true;
        }
    }
    return false;
}

uint64_t model_window_of(const struct model *model, uint64_t service_id)
{
    const struct suppression *all = model->suppression;
    uint64_t id = 0, until_ms = 0;
    for (size_t i = 0; i < all->windows.count; i++) {
        const struct window *window = &all->windows.items[i];
        if (is_over(window) || !has_service(window, service_id)) {
            continue;
        }
        struct time_span span = span_at(window, model->now_ms);
        if (span.end_ms > until_ms && span.start_ms <= model->now_ms) {
            id = window->id;
            until_ms = span.end_ms;
        }
    }
    return id;
}

/* ---------------------------------------------------------------- commands */

static bool services_are_known(const struct model *model, const Tocsin__MaintenanceWindow *asked)
{
    for (size_t i = 0; i < asked->n_service_ids; i++) {
        if (model_service(model, asked->service_ids[i]) == NULL) {
            return false;
        }
    }
    return asked->n_service_ids > 0;
}

/* As it is asked for: what begins begins now at the earliest, and what has begun keeps its beginning. */
static struct window window_of(struct model *model, const Tocsin__MaintenanceWindow *asked, const struct window *old)
{
    struct window window = {.start_ms = asked->start_ms, .end_ms = asked->end_ms, .recurs = asked->recurrence != NULL};
    if (window.recurs) {
        window.ahead_s = model_zone_ahead_s(model, asked->recurrence->time_zone);
        window.until_ms = asked->recurrence->until_ms;
        for (size_t i = 0; i < asked->recurrence->n_days_of_week; i++) {
            window.days |= 1u << asked->recurrence->days_of_week[i];
        }
    } else if (old != NULL && old->start_ms <= model->now_ms) {
        window.start_ms = old->start_ms;
    } else if (window.start_ms < model->now_ms) {
        window.start_ms = model->now_ms;
    }
    return window;
}

static void window_define(struct model *model, const Tocsin__MaintenanceWindowPut *put, const Tocsin__Reply *reply)
{
    struct window *old = window_find(model, put->id);
    bool lawful = put->window != NULL && services_are_known(model, put->window) &&
                  (put->id == 0 || (old != NULL && !is_over(old) && old->revision == put->base_revision));
    struct window window = {.id = 0};
    if (lawful) {
        window = window_of(model, put->window, old);
        lawful = window.end_ms > window.start_ms && span_at(&window, model->now_ms).end_ms != 0;
    }
    if (!model_accepted(model, reply, lawful, "a maintenance window") || !lawful) {
        return;
    }
    if (old == NULL) {
        old = list_add(&model->suppression->windows);
        old->id = model_named(reply);
        model->counts.windows++;
        model->counts.windows_recurring += window.recurs ? 1 : 0;
    } else {
        model->counts.windows_changed++;
    }
    window.id = old->id;
    window.revision = old->revision + 1;
    window.told_ms = old->told_ms;
    free(old->services.items);
    *old = window;
    for (size_t i = 0; i < put->window->n_service_ids; i++) {
        *list_add(&old->services) = put->window->service_ids[i];
    }
    look_ahead(model, old);
    model_held_drain(model, old->id);
}

/* One under way ends now. */
static void window_remove(struct model *model, const Tocsin__MaintenanceWindowDelete *delete, const Tocsin__Reply *reply)
{
    struct window *window = window_find(model, delete->id);
    bool lawful = window != NULL && !is_over(window);
    if (!model_accepted(model, reply, lawful, "the deletion of a maintenance window") || !lawful) {
        return;
    }
    uint64_t id = window->id;
    model->counts.windows_deleted++;
    if (window->start_ms > model->now_ms) {
        free(window->services.items);
        list_remove(&model->suppression->windows, (size_t)(window - model->suppression->windows.items));
        return;
    }
    window->ends_ms = window->warns_ms = 0;
    window->revision++;
    model_held_drain(model, id);
}

/* Times for a day more change nothing of what was asked for. */
static void window_go_on(struct model *model, const Tocsin__MaintenanceWindowExtend *extend, const Tocsin__Reply *reply)
{
    struct window *window = window_find(model, extend->id);
    bool lawful = window != NULL && !is_over(window) && window->recurs && window->revision == extend->revision;
    if (model_accepted(model, reply, lawful, "times of a maintenance window for a day more") && lawful) {
        look_ahead(model, window);
        model_held_drain(model, window->id);
    }
}

bool model_windows_command(struct model *model, const Tocsin__Command *command, const Tocsin__Reply *reply)
{
    switch (command->body_case) {
    case TOCSIN__COMMAND__BODY_MAINTENANCE_WINDOW_PUT:
        window_define(model, command->maintenance_window_put, reply);
        return true;
    case TOCSIN__COMMAND__BODY_MAINTENANCE_WINDOW_DELETE:
        window_remove(model, command->maintenance_window_delete, reply);
        return true;
    case TOCSIN__COMMAND__BODY_MAINTENANCE_WINDOW_EXTEND:
        window_go_on(model, command->maintenance_window_extend, reply);
        return true;
    default:
        return false;
    }
}

/* ---------------------------------------------------------------- what is due */

struct held_due model_windows_first(const struct model *model)
{
    const struct suppression *all = model->suppression;
    struct held_due first = {.kind = HELD_NOTHING_DUE};
    for (size_t i = 0; i < all->windows.count; i++) {
        const struct window *window = &all->windows.items[i];
        model_held_sooner(&first, (struct held_due){HELD_WINDOW_ENDS, window->ends_ms, window->id, 0});
        model_held_sooner(&first, (struct held_due){HELD_WINDOW_WARNS, window->warns_ms, window->id, 0});
    }
    return first;
}

void model_window_due(struct model *model, const struct held_due *due)
{
    struct window *window = window_find(model, due->object);
    if (due->kind == HELD_WINDOW_WARNS) {
        window->warns_ms = 0;
        window->told_ms = window->ends_ms;
        return;
    }
    model->counts.windows_ended++;
    look_ahead(model, window);
    model_held_drain(model, window->id);
}

bool model_window_end_is_told(const struct model *model, uint64_t end_ms)
{
    const struct suppression *all = model->suppression;
    for (size_t i = 0; i < all->windows.count; i++) {
        if (all->windows.items[i].told_ms == end_ms) {
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- against a state */

bool model_windows_compare(const struct model *model, const struct machine_store *view, char *sentence, size_t size)
{
    const struct suppression *all = model->suppression;
    for (size_t i = 0; i < all->windows.count; i++) {
        const struct window *window = &all->windows.items[i];
        Tocsin__MaintenanceWindow *found = maintenance_window_get(view, window->id, NULL);
        uint64_t ends_ms = found != NULL && found->n_spans > 0 ? found->spans[0]->end_ms : 0;
        bool agrees = found != NULL && found->revision == window->revision && ends_ms == window->ends_ms;
        if (!agrees) {
            (void)snprintf(sentence, size,
                           "maintenance window %" PRIu64 " (revision %u) should end at %" PRIu64 ", and does at %" PRIu64
                           " (revision %u)",
                           window->id, window->revision, window->ends_ms, ends_ms, found != NULL ? found->revision : 0);
        }
        tocsin__maintenance_window__free_unpacked(found, NULL);
        if (!agrees) {
            return false;
        }
    }
    return true;
}

void model_windows_forget(struct model *model)
{
    for (size_t i = 0; i < model->suppression->windows.count; i++) {
        free(model->suppression->windows.items[i].services.items);
    }
    free(model->suppression->windows.items);
}
