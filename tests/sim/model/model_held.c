/*
 * Alerts that fire while something keeps them from opening an incident.
 *
 * A sender is answered as always, and nobody is told. Repeats change nothing, a resolve ends it without a word to
 * anybody. When what held it is over, changed or taken back, the alert is looked at as if it fired then.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/records.h"
#include "tests/sim/model/model_suppression.h"

void model_suppression_begin(struct model *model)
{
    model->suppression = calloc(1, sizeof *model->suppression);
    if (model->suppression == NULL) {
        abort();
    }
}

void model_suppression_forget(struct model *model)
{
    struct suppression *all = model->suppression;
    for (size_t i = 0; i < all->held.count; i++) {
        free(all->held.items[i].dedup_key);
        free(all->held.items[i].kinds);
    }
    free(all->held.items);
    free(all->drains.items);
    model_windows_forget(model);
    free(all);
}

/* ---------------------------------------------------------------- beginning */

/* Whether something holds it now, and what. */
static bool is_held(const struct model *model, struct held *held)
{
    held->cause_id = model_window_of(model, held->service_id);
    return held->cause_id != 0 || held->pause_ends_ms > model->now_ms;
}

bool model_held_begin(struct model *model, const struct firing *firing)
{
    struct held held = {.source_id = firing->source_id,
                        .service_id = firing->service_id,
                        .severity = firing->severity,
                        .heard_ms = firing->heard_ms};
    const struct service *service = model_service(model, firing->service_id);
    held.pause_ends_ms = service->pause_s > 0 ? model->now_ms + (uint64_t)service->pause_s * model->minute_ms / 60 : 0;
    if (!is_held(model, &held)) {
        return false;
    }
    held.sequence = ++model->suppression->last_sequence;
    held.dedup_key = model_copy(firing->dedup_key);
    held.kinds = model_copy(firing->kinds);
    model->counts.alerts_paused += held.cause_id == 0 ? 1 : 0;
    *list_add(&model->suppression->held) = held;
    model->counts.alerts_held++;
    return true;
}

struct held *model_held_find(const struct model *model, uint64_t source_id, const char *dedup_key)
{
    const struct suppression *all = model->suppression;
    for (size_t i = 0; i < all->held.count; i++) {
        if (all->held.items[i].source_id == source_id && strcmp(all->held.items[i].dedup_key, dedup_key) == 0) {
            return &all->held.items[i];
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- its end */

static void forget(struct model *model, struct held *held)
{
    free(held->dedup_key);
    free(held->kinds);
    list_remove(&model->suppression->held, (size_t)(held - model->suppression->held.items));
}

void model_held_event(struct model *model, struct held *held, Tocsin__EventAction action)
{
    if (action == TOCSIN__EVENT_ACTION__EVENT_RESOLVE) {
        model->counts.held_resolved++;
        forget(model, held);
    } else if (action == TOCSIN__EVENT_ACTION__EVENT_TRIGGER) {
        held->heard_ms = model->now_ms;
    }
}

/* Of a service that is gone or disabled nobody hears. */
static void release(struct model *model, struct held *held)
{
    const struct service *service = model_service(model, held->service_id);
    char *dedup_key = model_copy(held->dedup_key), *kinds = model_copy(held->kinds);
    const struct firing firing = {held->source_id, held->service_id, dedup_key, held->severity, held->heard_ms, kinds};
    forget(model, held);
    if (service != NULL && !service->disabled) {
        model->counts.held_released++;
        model_alert_opens(model, &firing, NULL);
    }
    free(dedup_key);
    free(kinds);
}

/* ---------------------------------------------------------------- many at once */

static struct held *held_after(const struct model *model, uint64_t cause_id, uint64_t sequence)
{
    const struct suppression *all = model->suppression;
    for (size_t i = 0; i < all->held.count; i++) {
        if (all->held.items[i].cause_id == cause_id && all->held.items[i].sequence > sequence) {
            return &all->held.items[i];
        }
    }
    return NULL;
}

static void drain_from(struct model *model, uint64_t cause_id, uint64_t sequence)
{
    if (held_after(model, cause_id, sequence) != NULL) {
        *list_add(&model->suppression->drains) =
            (struct drain){.due_ms = model->now_ms, .cause_id = cause_id, .after_sequence = sequence};
    }
}

void model_held_drain(struct model *model, uint64_t cause_id)
{
    struct suppression *all = model->suppression;
    for (size_t i = 0; i < all->drains.count; i++) { /* said twice in one instant, it is done once */
        const struct drain *drain = &all->drains.items[i];
        if (drain->due_ms == model->now_ms && drain->cause_id == cause_id && drain->after_sequence == 0) {
            return;
        }
    }
    drain_from(model, cause_id, 0);
}

static void drain_due(struct model *model, const struct held_due *due)
{
    struct suppression *all = model->suppression;
    for (size_t i = 0; i < all->drains.count; i++) {
        const struct drain *drain = &all->drains.items[i];
        if (drain->due_ms == due->due_ms && drain->cause_id == due->object && drain->after_sequence == due->sub_object) {
            list_remove(&all->drains, i);
            break;
        }
    }
    struct held *held = held_after(model, due->object, due->sub_object);
    if (held == NULL) {
        return;
    }
    uint64_t sequence = held->sequence;
    if (!is_held(model, held)) {
        release(model, held);
    }
    drain_from(model, due->object, sequence);
}

/* It has not passed. */
static void pause_due(struct model *model, uint64_t sequence)
{
    struct suppression *all = model->suppression;
    size_t i = 0;
    while (all->held.items[i].sequence != sequence) {
        i++;
    }
    if (!is_held(model, &all->held.items[i])) {
        release(model, &all->held.items[i]);
    }
}

/* ---------------------------------------------------------------- what is due */

static bool is_before(const struct held_due *a, const struct held_due *b)
{
    if (b->kind == HELD_NOTHING_DUE || a->due_ms != b->due_ms) {
        return b->kind == HELD_NOTHING_DUE || a->due_ms < b->due_ms;
    }
    if (a->kind != b->kind) {
        return a->kind < b->kind;
    }
    return a->object != b->object ? a->object < b->object : a->sub_object < b->sub_object;
}

void model_held_sooner(struct held_due *first, struct held_due candidate)
{
    if (candidate.due_ms != 0 && is_before(&candidate, first)) {
        *first = candidate;
    }
}

struct held_due model_held_first(const struct model *model)
{
    const struct suppression *all = model->suppression;
    struct held_due first = model_windows_first(model);
    for (size_t i = 0; i < all->held.count; i++) {
        const struct held *held = &all->held.items[i];
        uint64_t due_ms = held->cause_id == 0 ? held->pause_ends_ms : 0;
        model_held_sooner(&first, (struct held_due){.kind = HELD_PAUSE_ENDS, .due_ms = due_ms, .object = held->sequence});
    }
    for (size_t i = 0; i < all->drains.count; i++) {
        const struct drain *drain = &all->drains.items[i];
        model_held_sooner(&first, (struct held_due){.kind = HELD_LOOKED_AT,
                                                    .due_ms = drain->due_ms,
                                                    .object = drain->cause_id,
                                                    .sub_object = drain->after_sequence});
    }
    return first;
}

void model_held_do(struct model *model, const struct held_due *due)
{
    if (due->kind == HELD_PAUSE_ENDS) {
        pause_due(model, due->object);
    } else if (due->kind == HELD_LOOKED_AT) {
        drain_due(model, due);
    } else {
        model_window_due(model, due);
    }
}

void model_held_describe(const struct model *model, const struct held_due *due, char *out, size_t size)
{
    static const char *const BEFORE[] = {[HELD_LOOKED_AT] = "what was held back by ",
                                         [HELD_WINDOW_ENDS] = "",
                                         [HELD_WINDOW_WARNS] = "a word about "};
    static const char *const AFTER[] = {[HELD_LOOKED_AT] = "is to be looked at anew",
                                        [HELD_WINDOW_ENDS] = "ends",
                                        [HELD_WINDOW_WARNS] = "is due"};
    if (due->kind == HELD_PAUSE_ENDS) {
        (void)snprintf(out, size, "an alert's time to pass by itself is over at %s", model_clock(model, due->due_ms));
        return;
    }
    (void)snprintf(out, size, "%smaintenance window %" PRIu64 " %s at %s", BEFORE[due->kind], due->object, AFTER[due->kind],
                   model_clock(model, due->due_ms));
}

/* ---------------------------------------------------------------- names, and against a state */

/* Alerts of one instant were given their numbers in the order in which they fired. */
void model_held_name(struct model *model, const struct machine_store *names)
{
    struct suppression *all = model->suppression;
    size_t first = all->held.count;
    while (first > 0 && all->held.items[first - 1].id == 0) {
        first--;
    }
    uint64_t after_id = first > 0 ? all->held.items[first - 1].id : 0;
    for (size_t i = first; i < all->held.count; i++) {
        struct held *held = &all->held.items[i];
        struct walk walk = walk_under_from(names, TABLE_ALERT, 0, after_id);
        while (held->id == 0 && walk_next(&walk)) {
            Tocsin__Alert *alert = record_unpack(&tocsin__alert__descriptor, walk.value, NULL);
            bool same_key = alert != NULL && (held->dedup_key[0] == '\0' || strcmp(alert->dedup_key, held->dedup_key) == 0);
            bool same = same_key && !alert->resolved && alert->integration_id == held->source_id;
            held->id = same ? alert->id : 0;
            tocsin__alert__free_unpacked(alert, NULL);
        }
        if (held->id == 0) {
            model_broken(model, "entry %" PRIu64 ": the alert %s should be held back, and is not there", model->index,
                         held->dedup_key);
            return;
        }
        after_id = held->id;
    }
}

bool model_held_compare(const struct model *model, const struct machine_store *view, char *sentence, size_t size)
{
    const struct suppression *all = model->suppression;
    uint64_t found = view->count(view->context, TABLE_HELD);
    if (found != all->held.count) {
        (void)snprintf(sentence, size, "%zu alerts should be held back, and %" PRIu64 " are", all->held.count, found);
        return false;
    }
    for (size_t i = 0; i < all->held.count; i++) {
        const struct held *held = &all->held.items[i];
        struct key row = key_2(held->cause_id != 0 ? held->cause_id : held->id, held->id);
        struct span value;
        if (held->id != 0 && !view->get(view->context, TABLE_HELD, key_span(&row), &value)) {
            (void)snprintf(sentence, size, "the alert %s should be held back by %" PRIu64 ", and is not", held->dedup_key,
                           held->cause_id);
            return false;
        }
    }
    return model_windows_compare(model, view, sentence, size);
}
