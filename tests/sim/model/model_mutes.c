/*
 * Mutes, and what the leader says of alerts that wait to hear whether one fits them.
 *
 * While mutes are in force an alert waits for a word of the leader. That word must be right: an alert that a mute in force
 * fits is quiet until the mute is over, and of another nobody may say that it is muted. Without a word in time it
 * counts as not muted, which must not come about while all is well.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/records.h"
#include "tests/sim/model/model_suppression.h"

static struct mute *mute_find(const struct model *model, uint64_t id)
{
    const struct suppression *all = model->suppression;
    for (size_t i = 0; i < all->mutes.count; i++) {
        if (all->mutes.items[i].id == id) {
            return &all->mutes.items[i];
        }
    }
    return NULL;
}

static bool is_in_force(const struct model *model, const struct mute *mute)
{
    return mute->start_ms <= model->now_ms && model->now_ms < mute->end_ms;
}

bool model_mutes_in_force(const struct model *model)
{
    const struct suppression *all = model->suppression;
    for (size_t i = 0; i < all->mutes.count; i++) {
        if (is_in_force(model, &all->mutes.items[i])) {
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- what a mute fits */

static const char *label_of(const struct model *model, const struct held *held, const char *name)
{
    static const char *const SEVERITIES[] = {[TOCSIN__SEVERITY__SEVERITY_CRITICAL] = "critical",
                                             [TOCSIN__SEVERITY__SEVERITY_ERROR] = "error",
                                             [TOCSIN__SEVERITY__SEVERITY_WARNING] = "warning",
                                             [TOCSIN__SEVERITY__SEVERITY_INFO] = "info"};
    const struct service *service = model_service(model, held->service_id);
    if (strcmp(name, "service") == 0) {
        return service != NULL ? service->name : "";
    }
    if (strcmp(name, "severity") == 0) {
        return SEVERITIES[held->severity];
    }
    if (strcmp(name, "dedup_key") == 0) {
        return held->dedup_key;
    }
    model->violation(model->context, "the model does not know a label");
    return "";
}

/* Of expressions only these: a beginning, and then anything. */
static bool begins_so(const struct model *model, const char *expression, const char *text)
{
    size_t size = strlen(expression);
    if (size < 2 || strcmp(expression + size - 2, ".*") != 0 || strcspn(expression, "|()[]{}+?\\^$*") != size - 1) {
        model->violation(model->context, "the model does not know an expression");
        return false;
    }
    return strncmp(expression, text, size - 2) == 0;
}

static bool fits(const struct model *model, const struct mute *mute, const struct held *held)
{
    for (size_t i = 0; i < mute->definition->n_matchers; i++) {
        const Tocsin__Matcher *matcher = mute->definition->matchers[i];
        const char *text = label_of(model, held, matcher->name);
        bool same = matcher->is_regex ? begins_so(model, matcher->value, text) : strcmp(matcher->value, text) == 0;
        if (same == matcher->is_negative) {
            return false;
        }
    }
    return true;
}

/* Some mute has been in force since the alert began to wait, and fits it: then there is no doubt. NULL: none. */
static const struct mute *mute_of(const struct model *model, const struct held *held)
{
    const struct suppression *all = model->suppression;
    for (size_t i = 0; i < all->mutes.count; i++) {
        const struct mute *mute = &all->mutes.items[i];
        if (is_in_force(model, mute) && mute->start_ms <= held->asked_ms && fits(model, mute, held)) {
            return mute;
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- commands */

static void definition_set(struct mute *mute, const Tocsin__Mute *asked)
{
    size_t size_bytes = tocsin__mute__get_packed_size(asked);
    uint8_t *packed = malloc(size_bytes + 1);
    if (packed == NULL) {
        abort();
    }
    tocsin__mute__pack(asked, packed);
    tocsin__mute__free_unpacked(mute->definition, NULL);
    mute->definition = tocsin__mute__unpack(NULL, size_bytes, packed);
    free(packed);
    if (mute->definition == NULL) {
        abort();
    }
}

bool model_is_mute(const struct model *model, uint64_t id)
{
    return mute_find(model, id) != NULL;
}

/* What is over is not brought back: a new one takes its place. */
static void mute_define(struct model *model, const Tocsin__MutePut *put, const Tocsin__Reply *reply)
{
    struct mute *mute = mute_find(model, put->id);
    bool lawful = put->mute != NULL && put->mute->n_matchers > 0 && (put->id == 0 || mute != NULL);
    uint64_t start_ms = 0, end_ms = 0;
    if (lawful) {
        uint64_t lasts_s = put->lasts_s != 0 ? put->lasts_s : DEFAULT_MUTE_SECONDS;
        start_ms = put->mute->start_ms > model->now_ms ? put->mute->start_ms : model->now_ms;
        end_ms = put->mute->end_ms != 0 ? put->mute->end_ms : start_ms + lasts_s * model->minute_ms / 60;
        lawful = end_ms > start_ms;
    }
    if (!model_accepted(model, reply, lawful, "a mute") || !lawful) {
        return;
    }
    if (mute == NULL || mute->end_ms <= model->now_ms) {
        mute = list_add(&model->suppression->mutes);
        mute->id = model_named(reply);
        mute->start_ms = start_ms;
        model->counts.mutes++;
    } else {
        mute->start_ms = mute->start_ms <= model->now_ms ? mute->start_ms : start_ms;
        model->counts.mutes_changed++;
    }
    mute->end_ms = mute->ends_ms = end_ms;
    definition_set(mute, put->mute);
    model->suppression->mutes_revision++;
    model_held_drain(model, mute->id);
}

static void mute_stop(struct model *model, const Tocsin__MuteEnd *end, const Tocsin__Reply *reply)
{
    struct mute *mute = mute_find(model, end->id);
    bool lawful = mute != NULL && mute->end_ms > model->now_ms;
    if (!model_accepted(model, reply, lawful, "the end of a mute") || !lawful) {
        return;
    }
    mute->start_ms = mute->start_ms < model->now_ms ? mute->start_ms : model->now_ms;
    mute->end_ms = model->now_ms;
    mute->ends_ms = 0;
    model->counts.mutes_ended++;
    model->suppression->mutes_revision++;
    model_held_drain(model, mute->id);
}

static void verdict_hear(struct model *model, const Tocsin__MuteVerdict *verdict)
{
    struct held *held = model_held_waiting(model, verdict->alert_id);
    if (held == NULL || (uint32_t)held->severity != verdict->severity) {
        return; /* resolved, let go, or worse than it was */
    }
    const struct mute *said = mute_find(model, verdict->mute_id), *fitting = mute_of(model, held);
    if (verdict->mute_id != 0 && (said == NULL || !fits(model, said, held))) {
        model_broken(model, "entry %" PRIu64 ": the leader says that mute %" PRIu64 " fits the alert %s, and it does not",
                     model->index, verdict->mute_id, held->dedup_key);
    }
    bool muted = said != NULL && is_in_force(model, said);
    if (!muted && fitting != NULL) {
        model_broken(model, "entry %" PRIu64 ": the alert %s is let go, and mute %" PRIu64 " is in force and fits it",
                     model->index, held->dedup_key, fitting->id);
    }
    model->counts.alerts_muted += muted ? 1 : 0;
    model_held_answer(model, held, muted ? said->id : 0);
}

/* By other mutes than those of now it has no effect. */
static void verdicts_hear(struct model *model, const Tocsin__MuteVerdicts *verdicts, const Tocsin__Reply *reply)
{
    bool lawful = verdicts->revision == model->suppression->mutes_revision && verdicts->n_verdicts <= LIMIT_VERDICTS_PER_COMMAND;
    if (!model_accepted(model, reply, lawful, "a word of the leader on mutes") || !lawful) {
        return;
    }
    for (size_t i = 0; i < verdicts->n_verdicts; i++) {
        verdict_hear(model, verdicts->verdicts[i]);
    }
}

bool model_mutes_command(struct model *model, const Tocsin__Command *command, const Tocsin__Reply *reply)
{
    switch (command->body_case) {
    case TOCSIN__COMMAND__BODY_MUTE_PUT:
        mute_define(model, command->mute_put, reply);
        return true;
    case TOCSIN__COMMAND__BODY_MUTE_END:
        mute_stop(model, command->mute_end, reply);
        return true;
    case TOCSIN__COMMAND__BODY_MUTE_VERDICTS:
        verdicts_hear(model, command->mute_verdicts, reply);
        return true;
    default:
        return false;
    }
}

/* ---------------------------------------------------------------- what is due */

/* Elections, and answers that were lost on the way, are over by then. */
#define HEALED_FOR_MS 30000u

void model_mutes_unanswered(struct model *model, const struct held *held)
{
    const struct mute *fitting = mute_of(model, held);
    model->counts.mutes_unanswered++;
    if (fitting != NULL && model->healed && model->true_ms > model->healed_true_ms + HEALED_FOR_MS) {
        model_broken(model, "entry %" PRIu64 ": everything is whole, and nobody looked whether mute %" PRIu64
                     " fits the alert %s, which it does", model->index, fitting->id, held->dedup_key);
    }
}

void model_mutes_sooner(const struct model *model, struct held_due *first)
{
    const struct suppression *all = model->suppression;
    for (size_t i = 0; i < all->mutes.count; i++) {
        model_held_sooner(first, (struct held_due){HELD_MUTE_ENDS, all->mutes.items[i].ends_ms, all->mutes.items[i].id, 0});
    }
}

void model_mute_due(struct model *model, const struct held_due *due)
{
    struct mute *mute = mute_find(model, due->object);
    mute->ends_ms = 0;
    model->counts.mutes_ended++;
    model_held_drain(model, mute->id);
}

/* ---------------------------------------------------------------- against a state */

bool model_mutes_compare(const struct model *model, const struct machine_store *view, char *sentence, size_t size)
{
    const struct suppression *all = model->suppression;
    for (size_t i = 0; i < all->mutes.count; i++) {
        const struct mute *mute = &all->mutes.items[i];
        Tocsin__Mute *found = mute_get(view, mute->id, NULL);
        bool agrees = found != NULL && found->start_ms == mute->start_ms && found->end_ms == mute->end_ms;
        if (!agrees) {
            (void)snprintf(sentence, size, "mute %" PRIu64 " should be from %" PRIu64 " to %" PRIu64 ", and is from %" PRIu64 " to %" PRIu64,
                           mute->id, mute->start_ms, mute->end_ms, found != NULL ? found->start_ms : 0,
                           found != NULL ? found->end_ms : 0);
        }
        tocsin__mute__free_unpacked(found, NULL);
        if (!agrees) {
            return false;
        }
    }
    return true;
}

void model_mutes_forget(struct model *model)
{
    for (size_t i = 0; i < model->suppression->mutes.count; i++) {
        tocsin__mute__free_unpacked(model->suppression->mutes.items[i].definition, NULL);
    }
    free(model->suppression->mutes.items);
}
