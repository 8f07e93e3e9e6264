/* What a power cut is judged by. */
#include "tests/crash/promise.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *memory)
{
    if (!memory) {
        abort();
    }
    return memory;
}

static size_t count_of(const struct log_bounds *bounds)
{
    return (size_t)(bounds->last_index + 1 - bounds->first_index);
}

void log_history_add(struct log_history *history, const struct log_model *model)
{
    size_t count = count_of(&model->bounds);
    struct log_model copy = {.bounds = model->bounds, .entries = must(calloc(count + 1, sizeof(struct entry *)))};
    if (count > 0) {
        memcpy(copy.entries, model->entries, count * sizeof(struct entry *));
    }
    history->models = must(realloc(history->models, (history->count + 1) * sizeof copy));
    history->models[history->count++] = copy;
}

void log_history_begin(struct log_history *history)
{
    struct log_model fresh = {.bounds = {.first_index = 1}};
    *history = (struct log_history){0};
    log_history_add(history, &fresh);
}

void log_history_close(struct log_history *history)
{
    for (size_t i = 0; i < history->count; i++) {
        free(history->models[i].entries);
    }
    free(history->models);
    *history = (struct log_history){0};
}

const struct log_model *log_history_last(const struct log_history *history)
{
    return &history->models[history->count - 1];
}

struct entry *log_model_entry(const struct log_model *model, uint64_t index)
{
    bool there = index >= model->bounds.first_index && index <= model->bounds.last_index;
    return there ? model->entries[index - model->bounds.first_index] : NULL;
}

/* The header's words about each operation, said once more and without a database. */
void log_history_write(struct log_history *history, const struct log_operation *operation)
{
    struct log_model model = *log_history_last(history);
    struct log_bounds *bounds = &model.bounds;
    struct entry **joined = NULL;
    switch (operation->kind) {
    case LOG_SET_VOTE:
        bounds->term = operation->term;
        bounds->voted_for = operation->voted_for;
        break;
    case LOG_APPEND: {
        size_t kept = (size_t)(operation->first_index - bounds->first_index);
        assert(kept <= count_of(bounds));
        joined = must(calloc(kept + operation->entries_count + 1, sizeof(struct entry *)));
        memcpy(joined, model.entries, kept * sizeof(struct entry *));
        memcpy(joined + kept, operation->entries, operation->entries_count * sizeof(struct entry *));
        model.entries = joined;
        bounds->last_index = operation->first_index + operation->entries_count - 1;
        break;
    }
    case LOG_RESET:
        bounds->first_index = operation->first_index;
        bounds->last_index = operation->first_index - 1;
        break;
    case LOG_PRUNE: {
        uint64_t end = bounds->last_index + 1;
        uint64_t to = operation->first_index < end ? operation->first_index : end;
        if (to > bounds->first_index) {
            assert(to - bounds->first_index <= LOG_PRUNE_STEP);
            model.entries += to - bounds->first_index;
            bounds->first_index = to;
        }
    }
    }
    log_history_add(history, &model);
    free(joined);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void promise_note(struct promise *promise, const struct disk_event *event)
{
    uint64_t value = event->value;
    switch ((enum note)event->note) {
    case NOTE_LOG_BEGUN:
        promise->log_begun = (size_t)value;
        break;
    case NOTE_LOG_DONE:
        promise->log_done = (size_t)value;
        break;
    case NOTE_STATE_BEGUN:
        promise->state_begun = larger(promise->state_begun, value);
        break;
    case NOTE_STATE_DURABLE:
        promise->state_durable = larger(promise->state_durable, value);
        break;
    case NOTE_INSTALL:
        promise->installed_index = value;
        promise->state_begun = larger(promise->state_begun, value);
        break;
    case NOTE_SNAPSHOT_TAKEN:
        promise->snapshot_index = value;
        break;
    case NOTE_STATE_WHOLE:
        promise->state_damaged = false;
        break;
    case NOTE_BOOT:
        promise->boot = value;
        break;
    case NOTE_CLAIMED:
        promise->claimed = true;
        break;
    case NOTE_RECOVERING:
        promise->recovering_index = value;
        break;
    }
}
