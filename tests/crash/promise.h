/*
 * What a node had promised at some moment, and what its log was and may become: what a power cut is judged by.
 *
 * A group of writes to the log is one transaction: after a cut the log is what it was after one of the groups between
 * the last that was reported durable and the last that was handed in, and nothing in between.
 */
#ifndef TESTS_CRASH_PROMISE_H
#define TESTS_CRASH_PROMISE_H

#include "storage/log_store.h"
#include "tests/crash/recorder.h"

/* The log after one write group; the entries are borrowed. */
struct log_model {
    struct log_bounds bounds;
    struct entry **entries; /* [0] is the one at bounds.first_index */
};

struct log_history {
    struct log_model *models;
    size_t count;
};

/* One model: the log of a node that never ran. */
void log_history_begin(struct log_history *history);
void log_history_close(struct log_history *history);
/* Adds a copy of a model. */
void log_history_add(struct log_history *history, const struct log_model *model);
/* Adds what the last model is after one more operation. */
void log_history_write(struct log_history *history, const struct log_operation *operation);
const struct log_model *log_history_last(const struct log_history *history);
/* NULL beyond the bounds. */
struct entry *log_model_entry(const struct log_model *model, uint64_t index);

/* Notes in a recording. */
enum note {
    NOTE_LOG_BEGUN,       /* number of a model: its group has been handed in */
    NOTE_LOG_DONE,        /* ... and every group up to this one was reported durable */
    NOTE_STATE_BEGUN,     /* index: a commit up to there may begin */
    NOTE_STATE_DURABLE,   /* index: reported durable */
    NOTE_INSTALL,         /* index: of a snapshot that is put in the state's place */
    NOTE_SNAPSHOT_TAKEN,  /* index */
    NOTE_STATE_WHOLE,     /* a state that was damaged has been rebuilt */
    NOTE_BOOT,            /* number of the start: none is used twice */
    NOTE_CLAIMED,         /* the data directory says whose it is */
    NOTE_RECOVERING,      /* index: below it the node does not vote until its state covers it; 0: it covers it */
};

struct promise {
    size_t log_done, log_begun;
    uint64_t state_durable, state_begun;
    uint64_t installed_index; /* the log need not have the state's entry there */
    uint64_t snapshot_index;
    uint64_t recovering_index, boot;
    bool claimed;
    bool state_damaged; /* not by a power cut: it may be refused, and be rebuilt from nothing */
};

/* Takes a DISK_NOTE into account. */
void promise_note(struct promise *promise, const struct disk_event *event);

#endif
