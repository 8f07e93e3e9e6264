/* Held alerts, maintenance windows and mutes, held against their rows. */
#include "tests/sim/judge/invariants_held.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "consensus/machine/records.h"

struct drain {
    uint64_t place, after_id;
};

struct check {
    const struct machine_store *view;
    char *sentence;
    size_t size;
    struct drain *drains; /* under way */
    size_t drains_count;
    uint64_t held;
};

static bool __attribute__((format(printf, 2, 3))) broken(struct check *check, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)vsnprintf(check->sentence, check->size, format, list);
    va_end(list);
    return false;
}

static bool row_get(const struct check *check, enum machine_table table, struct key key, struct span *value)
{
    return check->view->get(check->view->context, table, key_span(&key), value);
}

static bool row_is_there(const struct check *check, enum machine_table table, struct key key)
{
    struct span value;
    return row_get(check, table, key, &value);
}

static bool is_filed(const struct check *check, enum deadline_kind kind, uint64_t object, uint64_t due_ms)
{
    return due_ms != 0 && row_is_there(check, TABLE_DEADLINE, key_deadline(due_ms, kind, object, 0));
}

bool held_is_edge(enum deadline_kind kind)
{
    return kind >= DEADLINE_HOLD_END && kind <= DEADLINE_MUTE_END;
}

/* ---------------------------------------------------------------- windows and mutes */

static bool window_holds(struct check *check, const Tocsin__MaintenanceWindow *window)
{
    if (!is_filed(check, DEADLINE_MAINTENANCE_END, window->id, window->filed_end_ms)) {
        return broken(check, "maintenance window %" PRIu64 " has no end among the deadlines", window->id);
    }
    if (window->n_spans > 0 && window->filed_end_ms != window->spans[0]->end_ms) {
        return broken(check, "maintenance window %" PRIu64 " is filed for another end than its own", window->id);
    }
    for (size_t i = 0; i < window->n_service_ids; i++) {
        struct span value;
        bool service = row_is_there(check, TABLE_SERVICE, key_1(window->service_ids[i]));
        bool listed = row_get(check, TABLE_MAINTENANCE_BY_SERVICE, key_2(window->service_ids[i], window->id), &value);
        if (listed != (service && window->n_spans > 0) ||
            (listed && span_number(value, 1) != window->spans[0]->end_ms)) {
            return broken(check, "service %" PRIu64 " does not know of maintenance window %" PRIu64 " as it is",
                          window->service_ids[i], window->id);
        }
    }
    return true;
}

static bool mute_holds(struct check *check, const Tocsin__Mute *mute)
{
    bool ahead = row_is_there(check, TABLE_MUTE_AHEAD, key_1(mute->id));
    return (is_filed(check, DEADLINE_MUTE_END, mute->id, mute->filed_end_ms) &&
            ahead == (mute->filed_end_ms == mute->end_ms)) ||
           broken(check, "mute %" PRIu64 " has no end among the deadlines, or is not listed as it is", mute->id);
}

static bool causes_hold(struct check *check)
{
    bool holds = true;
    struct walk walk = walk_all(check->view, TABLE_MAINTENANCE);
    while (holds && walk_next(&walk)) {
        Tocsin__MaintenanceWindow *window = record_unpack(&tocsin__maintenance_window__descriptor, walk.value, NULL);
        holds = window != NULL ? window_holds(check, window) : broken(check, "a maintenance window does not decode");
        tocsin__maintenance_window__free_unpacked(window, NULL);
    }
    walk = walk_all(check->view, TABLE_MUTE);
    while (holds && walk_next(&walk)) {
        Tocsin__Mute *mute = record_unpack(&tocsin__mute__descriptor, walk.value, NULL);
        holds = mute != NULL ? mute_holds(check, mute) : broken(check, "a mute does not decode");
        tocsin__mute__free_unpacked(mute, NULL);
    }
    return holds;
}

/* ---------------------------------------------------------------- alerts */

static bool is_draining(const struct check *check, uint64_t place, uint64_t alert_id)
{
    for (size_t i = 0; i < check->drains_count; i++) {
        if (check->drains[i].place == place && check->drains[i].after_id < alert_id) {
            return true;
        }
    }
    return false;
}

/* The end of the window in which the service still is, or of the mute that is still ahead: each has its deadline. */
static bool cause_is_ahead(const struct check *check, const Tocsin__Alert *alert)
{
    uint64_t place = alert->hold->place;
    return row_is_there(check, TABLE_MAINTENANCE_BY_SERVICE, key_2(alert->service_id, place)) ||
           row_is_there(check, TABLE_MUTE_AHEAD, key_1(place));
}

static bool firing_holds(struct check *check, const Tocsin__Alert *alert)
{
    const Tocsin__Hold *hold = alert->hold;
    struct span value;
    check->held++;
    if (hold->over || !row_is_there(check, TABLE_HELD, key_2(hold->place, alert->id))) {
        return broken(check, "alert %" PRIu64 " (%s) fires, has no incident and is not listed as held", alert->id,
                      alert->dedup_key);
    }
    if (!row_get(check, TABLE_ALERT_OPEN, key_1_hash(alert->integration_id, alert->dedup_key), &value) ||
        span_number(value, 0) != 0 || span_number(value, 1) != alert->id) {
        return broken(check, "the held alert %s is not found by its key", alert->dedup_key);
    }
    bool own = hold->place == 0 || hold->place == alert->id;
    bool ahead = own ? is_filed(check, DEADLINE_HOLD_END, alert->id, hold->until_ms)
                     : cause_is_ahead(check, alert) || is_draining(check, hold->place, alert->id);
    return ahead || broken(check, "alert %" PRIu64 " (%s) fires without incident, and no deadline lies ahead", alert->id,
                           alert->dedup_key);
}

static bool alerts_hold(struct check *check)
{
    bool holds = true;
    struct walk walk = walk_under(check->view, TABLE_ALERT, 0);
    while (holds && walk_next(&walk)) {
        Tocsin__Alert *alert = record_unpack(&tocsin__alert__descriptor, walk.value, NULL);
        if (alert == NULL || alert->hold == NULL) {
            holds = broken(check, "an alert has neither an incident nor a reason");
        } else if (!alert->resolved) {
            holds = firing_holds(check, alert);
        } else {
            holds = is_filed(check, DEADLINE_HOLD_END, alert->id, alert->hold->kept_until_ms) ||
                    broken(check, "the resolved alert %s without incident is kept for good", alert->dedup_key);
        }
        tocsin__alert__free_unpacked(alert, NULL);
    }
    return holds && (check->view->count(check->view->context, TABLE_HELD) == check->held ||
                     broken(check, "%" PRIu64 " alerts are held, and %" PRIu64 " are listed so", check->held,
                            check->view->count(check->view->context, TABLE_HELD)));
}

/* ---------------------------------------------------------------- deadlines */

/* Those who are named by it know of it. */
static bool edge_holds(struct check *check, enum deadline_kind kind, uint64_t object, uint64_t due_ms)
{
    bool known = true;
    if (kind == DEADLINE_HOLD_END) {
        Tocsin__Alert *alert = alert_get(check->view, 0, object, NULL);
        known = alert != NULL && due_ms == (alert->resolved ? alert->hold->kept_until_ms : alert->hold->until_ms);
        tocsin__alert__free_unpacked(alert, NULL);
    } else if (kind == DEADLINE_MUTE_END) {
        Tocsin__Mute *mute = mute_get(check->view, object, NULL);
        known = mute != NULL && due_ms == mute->filed_end_ms;
        tocsin__mute__free_unpacked(mute, NULL);
    } else {
        Tocsin__MaintenanceWindow *window = maintenance_window_get(check->view, object, NULL);
        known = window != NULL &&
                due_ms == (kind == DEADLINE_MAINTENANCE_END ? window->filed_end_ms : window->filed_warning_ms);
        tocsin__maintenance_window__free_unpacked(window, NULL);
    }
    return known || broken(check, "a deadline of kind %d is filed for %" PRIu64 ", which knows nothing of it", (int)kind,
                           object);
}

static bool edges_load(struct check *check)
{
    size_t capacity = (size_t)check->view->count(check->view->context, TABLE_DEADLINE);
    check->drains = calloc(capacity + 1, sizeof *check->drains);
    if (check->drains == NULL) {
        abort();
    }
    struct walk walk = walk_all(check->view, TABLE_DEADLINE);
    while (walk_next(&walk)) {
        uint64_t due_ms, object, sub_object;
        enum deadline_kind kind;
        key_deadline_split(walk.key, &due_ms, &kind, &object, &sub_object);
        if (kind == DEADLINE_HOLD_DRAIN) {
            check->drains[check->drains_count++] = (struct drain){object, sub_object};
        } else if (held_is_edge(kind) && !edge_holds(check, kind, object, due_ms)) {
            return false;
        }
    }
    return true;
}

bool held_alerts_hold(const struct machine_store *view, uint64_t *open, char *sentence, size_t size)
{
    struct check check = {.view = view, .sentence = sentence, .size = size};
    bool holds = edges_load(&check) && causes_hold(&check) && alerts_hold(&check);
    free(check.drains);
    *open += check.held;
    return holds;
}
