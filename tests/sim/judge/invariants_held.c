/* Held alerts, maintenance windows and mutes, held against their rows. */
#include "tests/sim/judge/invariants_held.h"

#include <stdlib.h>

#include "tests/sim/judge/invariants_internal.h"

struct held {
    struct drain {
        uint64_t place, after_id;
    } *drains; /* under way */
    size_t drains_count;
    uint64_t alerts;
};

static bool is_filed(const struct check *check, enum deadline_kind kind, uint64_t object, uint64_t due_ms)
{
    return due_ms != 0 && row_is_there(check, TABLE_DEADLINE, key_deadline(due_ms, kind, object, 0));
}

bool held_is_edge(enum deadline_kind kind)
{
    return kind >= DEADLINE_HOLD_END && kind <= DEADLINE_MUTE_END;
}

/* ---------------------------------------------------------------- windows and mutes */

static bool judge_window(struct check *check, struct span key, const void *record)
{
    const Tocsin__MaintenanceWindow *window = record;
    (void)key;
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

static bool judge_mute(struct check *check, struct span key, const void *record)
{
    const Tocsin__Mute *mute = record;
    (void)key;
    bool ahead = row_is_there(check, TABLE_MUTE_AHEAD, key_1(mute->id));
    return (is_filed(check, DEADLINE_MUTE_END, mute->id, mute->filed_end_ms) &&
            ahead == (mute->filed_end_ms == mute->end_ms)) ||
           broken(check, "mute %" PRIu64 " has no end among the deadlines, or is not listed as it is", mute->id);
}

static bool causes_hold(struct check *check)
{
    return walk_table(check, TABLE_MAINTENANCE, &tocsin__maintenance_window__descriptor, "a maintenance window",
                      judge_window) &&
           walk_table(check, TABLE_MUTE, &tocsin__mute__descriptor, "a mute", judge_mute);
}

/* ---------------------------------------------------------------- alerts */

static bool is_draining(const struct held *held, uint64_t place, uint64_t alert_id)
{
    for (size_t i = 0; i < held->drains_count; i++) {
        if (held->drains[i].place == place && held->drains[i].after_id < alert_id) {
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

static bool firing_holds(struct check *check, struct held *held, const Tocsin__Alert *alert)
{
    const Tocsin__Hold *hold = alert->hold;
    struct span value;
    held->alerts++;
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
                     : cause_is_ahead(check, alert) || is_draining(held, hold->place, alert->id);
    return ahead || broken(check, "alert %" PRIu64 " (%s) fires without incident, and no deadline lies ahead", alert->id,
                           alert->dedup_key);
}

static bool alerts_hold(struct check *check, struct held *held)
{
    bool holds = true;
    struct walk walk = walk_under(check->view, TABLE_ALERT, 0);
    while (holds && walk_next(&walk)) {
        const Tocsin__Alert *alert =
            decoded_row(check->decoded, TABLE_ALERT, walk.key, walk.value, &tocsin__alert__descriptor);
        if (alert == NULL || alert->hold == NULL) {
            holds = broken(check, "an alert has neither an incident nor a reason");
        } else if (!alert->resolved) {
            holds = firing_holds(check, held, alert);
        } else {
            holds = is_filed(check, DEADLINE_HOLD_END, alert->id, alert->hold->kept_until_ms) ||
                    broken(check, "the resolved alert %s without incident is kept for good", alert->dedup_key);
        }
    }
    return holds && (rows(check, TABLE_HELD) == held->alerts ||
                     broken(check, "%" PRIu64 " alerts are held, and %" PRIu64 " are listed so", held->alerts,
                            rows(check, TABLE_HELD)));
}

/* ---------------------------------------------------------------- deadlines */

/* Those who are named by it know of it. */
static bool edge_holds(struct check *check, enum deadline_kind kind, uint64_t object, uint64_t due_ms)
{
    bool known = true;
    if (kind == DEADLINE_HOLD_END) {
        const Tocsin__Alert *alert = record_at(check, TABLE_ALERT, key_2(0, object), &tocsin__alert__descriptor);
        known = alert != NULL && due_ms == (alert->resolved ? alert->hold->kept_until_ms : alert->hold->until_ms);
    } else if (kind == DEADLINE_MUTE_END) {
        const Tocsin__Mute *mute = record_at(check, TABLE_MUTE, key_1(object), &tocsin__mute__descriptor);
        known = mute != NULL && due_ms == mute->filed_end_ms;
    } else {
        const Tocsin__MaintenanceWindow *window =
            record_at(check, TABLE_MAINTENANCE, key_1(object), &tocsin__maintenance_window__descriptor);
        known = window != NULL &&
                due_ms == (kind == DEADLINE_MAINTENANCE_END ? window->filed_end_ms : window->filed_warning_ms);
    }
    return known || broken(check, "a deadline of kind %d is filed for %" PRIu64 ", which knows nothing of it", (int)kind,
                           object);
}

static bool edges_load(struct check *check, struct held *held)
{
    held->drains = calloc((size_t)rows(check, TABLE_DEADLINE) + 1, sizeof *held->drains);
    if (held->drains == NULL) {
        abort();
    }
    struct walk walk = walk_all(check->view, TABLE_DEADLINE);
    while (walk_next(&walk)) {
        uint64_t due_ms, object, sub_object;
        enum deadline_kind kind;
        key_deadline_split(walk.key, &due_ms, &kind, &object, &sub_object);
        if (kind == DEADLINE_HOLD_DRAIN) {
            held->drains[held->drains_count++] = (struct drain){object, sub_object};
        } else if (held_is_edge(kind) && !edge_holds(check, kind, object, due_ms)) {
            return false;
        }
    }
    return true;
}

bool held_alerts_hold(struct decoded_rows *decoded, const struct machine_store *view, uint64_t *open, char *sentence,
                      size_t size)
{
    struct check check = {.view = view, .decoded = decoded, .sentence = sentence, .size = size};
    struct held held = {0};
    bool holds = edges_load(&check, &held) && causes_hold(&check) && alerts_hold(&check, &held);
    free(held.drains);
    *open += held.alerts;
    return holds;
}
