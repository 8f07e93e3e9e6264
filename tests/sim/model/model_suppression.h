/*
 * Inside the model: what keeps an alert that fires from opening an incident for a time.
 *
 *     model_held.c      alerts that fire and wait        model_windows.c   maintenance windows        model_mutes.c   mutes
 *
 * Nothing that fires is forgotten: what held it back ends, and then the alert is looked at anew.
 */
#ifndef TESTS_SIM_MODEL_MODEL_SUPPRESSION_H
#define TESTS_SIM_MODEL_MODEL_SUPPRESSION_H

#include "tests/sim/model/model_internal.h"

/* An alert that fires and has no incident. */
struct held {
    uint64_t sequence, id; /* id: what the state calls it; 0 before it said so */
    uint64_t source_id, service_id;
    char *dedup_key;
    Tocsin__Severity severity;
    uint64_t heard_ms; /* its last trigger */
    uint64_t cause_id;          /* the window or the mute that holds it; 0: time of its own, */
    uint64_t asked_ms, ends_ms; /* until then: to hear whether a mute fits it, since it was asked; else to pass by itself */
    uint64_t pause_ends_ms;
    char *kinds;
};

/* All that one cause has held is looked at, one after the other. */
struct drain {
    uint64_t due_ms, cause_id, after_sequence;
};

struct window {
    uint64_t id;
    uint32_t revision;
    LIST(uint64_t) services;
    uint64_t start_ms, end_ms;
    /* Again at these times of day, by clocks so far ahead of UTC; on days of the week as bits 1 to 7, 0 for all. */
    bool recurs;
    uint32_t ahead_s;
    unsigned days;
    uint64_t until_ms;         /* 0: for good */
    uint64_t ends_ms, warns_ms; /* of the span that is now, or the next one; 0: over, and not told */
    uint64_t told_ms;           /* the end that was told last */
};

struct mute {
    uint64_t id, start_ms, end_ms;
    uint64_t ends_ms;         /* 0: it is over, and what it held was looked at */
    Tocsin__Mute *definition; /* as it was asked for */
};

struct suppression {
    LIST(struct held) held; /* the oldest first */
    LIST(struct drain) drains;
    LIST(struct window) windows;
    LIST(struct mute) mutes;
    uint64_t mutes_revision; /* counts what was asked for of them */
    uint64_t last_sequence;
};

/* ---- model_held.c */
/* What this has held is looked at anew. */
void model_held_drain(struct model *, uint64_t cause_id);

/* The one that waits under this name to hear of mutes; NULL: it does not. */
struct held *model_held_waiting(const struct model *, uint64_t alert_id);
/* This mute holds it; 0: none does. */
void model_held_answer(struct model *, struct held *, uint64_t mute_id);

/* ---- model_mutes.c */
bool model_mutes_in_force(const struct model *);
bool model_is_mute(const struct model *, uint64_t id);
/* Nobody said whether one fits it. */
void model_mutes_unanswered(struct model *, const struct held *);
void model_mutes_sooner(const struct model *, struct held_due *first);
void model_mute_due(struct model *, const struct held_due *);
bool model_mutes_compare(const struct model *, const struct machine_store *view, char *sentence, size_t size);
void model_mutes_forget(struct model *);

/* ---- model_windows.c */
/* In which of its windows the service is now, of several the one that ends last; 0: in none. */
uint64_t model_window_of(const struct model *, uint64_t service_id);
struct held_due model_windows_first(const struct model *);
void model_window_due(struct model *, const struct held_due *);
bool model_windows_compare(const struct model *, const struct machine_store *view, char *sentence, size_t size);
void model_windows_forget(struct model *);

#endif
