/*
 * Alerts that fire while something keeps them from opening an incident.
 *
 * A sender is answered as always, and nobody is told. What it said last is what the alert is; a resolve ends it without a
 * word to anybody. When what held it is over, changed or taken back, the alert is looked at as if it fired then. So is one
 * that becomes worse than a mute was meant for; while the leader looks at it, it changes only then.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
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
    model_mutes_forget(model);
    free(all);
}

/* ---------------------------------------------------------------- beginning */

/* Whether something holds it now, and what. */
static bool is_held(const struct model *model, struct held *held)
{
    held->cause_id = model_window_of(model, held->service_id);
    bool window = held->cause_id != 0, paused = !window && held->pause_ends_ms > model->now_ms;
    bool asked = !window && !paused && model_mutes_in_force(model);
    held->asked_ms = asked ? model->now_ms : 0;
    held->ends_ms = paused ? held->pause_ends_ms : asked ? model->now_ms + MUTE_ANSWER_MS : 0;
    return window || paused || asked;
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
    model->counts.alerts_paused += held.cause_id == 0 && held.asked_ms == 0 ? 1 : 0;
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

void model_held_resolve(struct model *model, struct held *held)
{
    model->counts.held_resolved++;
    forget(model, held);
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

void model_held_repeat(struct model *model, struct held *held, const struct firing *firing)
{
    bool worse = firing->severity > held->severity, asked = held->asked_ms != 0;
    held->heard_ms = firing->heard_ms;
    if (asked && !worse) {
        return;
    }
    held->severity = firing->severity;
    free(held->kinds);
    held->kinds = model_copy(firing->kinds);
    if (worse && (asked || model_is_mute(model, held->cause_id)) && !is_held(model, held)) {
        release(model, held);
    }
}

struct held *model_held_waiting(const struct model *model, uint64_t alert_id)
{
    const struct suppression *all = model->suppression;
    for (size_t i = 0; i < all->held.count; i++) {
        if (all->held.items[i].id == alert_id && all->held.items[i].asked_ms != 0) {
            return &all->held.items[i];
        }
    }
    return NULL;
}

void model_held_answer(struct model *model, struct held *held, uint64_t mute_id)
{
    if (mute_id == 0) {
        release(model, held);
        return;
    }
    held->cause_id = mute_id;
    held->asked_ms = held->ends_ms = 0;
}

/* Its own time is over. */
static void time_ends(struct model *model, uint64_t sequence)
{
    struct suppression *all = model->suppression;
    size_t i = 0;
    while (all->held.items[i].sequence != sequence) {
        i++;
    }
    struct held *held = &all->held.items[i];
    if (held->asked_ms != 0) {
        model_mutes_unanswered(model, held);
        release(model, held);
    } else if (!is_held(model, held)) {
        release(model, held);
    }
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
    model_mutes_sooner(model, &first);
    for (size_t i = 0; i < all->held.count; i++) {
        model_held_sooner(&first, (struct held_due){HELD_ENDS, all->held.items[i].ends_ms, all->held.items[i].sequence, 0});
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
    switch (due->kind) {
    case HELD_NOTHING_DUE:
        break;
    case HELD_ENDS:
        time_ends(model, due->object);
        break;
    case HELD_LOOKED_AT:
        drain_due(model, due);
        break;
    case HELD_MUTE_ENDS:
        model_mute_due(model, due);
        break;
    case HELD_WINDOW_ENDS:
    case HELD_WINDOW_WARNS:
        model_window_due(model, due);
        break;
    }
}

void model_held_describe(const struct model *model, const struct held_due *due, char *out, size_t size)
{
    static const char *const BEFORE[] = {[HELD_ENDS] = "the time of held alert ",
                                         [HELD_LOOKED_AT] = "what was held back by ",
                                         [HELD_WINDOW_ENDS] = "maintenance window ",
                                         [HELD_WINDOW_WARNS] = "a word about maintenance window ",
                                         [HELD_MUTE_ENDS] = "mute "};
    static const char *const AFTER[] = {[HELD_ENDS] = "ends",
                                        [HELD_LOOKED_AT] = "is to be looked at anew",
                                        [HELD_WINDOW_ENDS] = "ends",
                                        [HELD_WINDOW_WARNS] = "is due",
                                        [HELD_MUTE_ENDS] = "ends"};
    (void)snprintf(out, size, "%s%" PRIu64 " %s at %s", BEFORE[due->kind], due->object, AFTER[due->kind],
                   model_clock(model, due->due_ms));
}

/* ---------------------------------------------------------------- names, and against a state */

/* Of the keys of what the cluster itself noticed the model knows a beginning, or nothing. */
static bool is_of(const struct held *held, const Tocsin__Alert *alert)
{
    bool of_cluster = alert->integration_id == alert->service_id, whole = !of_cluster && held->dedup_key[0] != '\0';
    bool same_key = whole ? strcmp(alert->dedup_key, held->dedup_key) == 0
                          : strncmp(alert->dedup_key, held->dedup_key, strlen(held->dedup_key)) == 0;
    return same_key && !alert->resolved && (of_cluster || alert->integration_id == held->source_id);
}

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
            if (alert != NULL && is_of(held, alert)) {
                held->id = alert->id;
                held->service_id = alert->service_id;
                if (alert->integration_id == alert->service_id) { /* the cluster's own may have been made just now */
                    model_own_service_named(model, alert->service_id);
                }
            }
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
        uint64_t own = held->asked_ms != 0 ? 0 : held->id; /* those that wait to hear of mutes stand together */
        struct key row = key_2(held->cause_id != 0 ? held->cause_id : own, held->id);
        struct span value;
        if (held->id != 0 && !view->get(view->context, TABLE_HELD, key_span(&row), &value)) {
            (void)snprintf(sentence, size, "the alert %s should be held back by %" PRIu64 ", and is not", held->dedup_key,
                           held->cause_id);
            return false;
        }
    }
    return model_windows_compare(model, view, sentence, size) && model_mutes_compare(model, view, sentence, size);
}
