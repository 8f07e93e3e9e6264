/*
 * What a pager owes, told a second time in simple words, apart from the machine's own rules.
 *
 *     committed entries ──> the model's own picture: people, policies, incidents ──> pages owed, and until when
 *     requests that left for a provider ───────────────────────────────────────────> each explained by one of them
 *
 * The model reads the log as a history of what was asked and when (commands and their stamps); it calls no function of
 * the machine but the decoder of its schema, and shares no rule with it. Of what the machine answered, or has in its
 * state, it takes names only (the ids that were given to new things), and holds the answers against its own judgement.
 * Only model_compare reads more of a state.
 */
#ifndef TESTS_SIM_MODEL_MODEL_H
#define TESTS_SIM_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/base/span.h"
#include "consensus/machine/machine.h"
#include "consensus/machine/schema/schema.pb-c.h"
#include "consensus/machine/store.h"

/* Once everything is whole again, an owed page leaves within this time, and a deadline is handled within it. Room for
 * one lapse of a claim that was lost with its leader (20 s), and for what waits behind a storm. */
#define MODEL_LEAVES_WITHIN_MS 60000u

struct model;

/* `violation` is told one sentence for each promise that is seen broken. Those after the first may follow from it. */
struct model *model_new(void (*violation)(void *context, const char *sentence), void *context);
void model_free(struct model *model);

/* A committed entry of commands, at the moment in which the first node has applied it. */
struct model_applied {
    uint64_t true_ms;
    uint64_t index, term;
    struct span data;                    /* a packed Entry */
    const struct machine_output *output; /* of this entry alone */
    const struct machine_store *names;   /* the state after it: read for what it calls what nobody asked for */
};
/* In index order, each entry once: by the first node that applies it. */
void model_entry(struct model *model, const struct model_applied *applied);

/* A request left a node for a provider, whatever the provider makes of it. */
struct model_request {
    uint64_t true_ms;       /* when it started */
    uint64_t node, boot;    /* who sent it */
    uint64_t boottime_ms;   /* that node's CLOCK_BOOTTIME at the start */
    uint64_t page_id;       /* the notification that the node sends, by its own word */
    Tocsin__Channel channel;
    const char *to, *text;  /* as the person would read it */
};
/* In the order of true time with the entries. */
void model_request(struct model *model, const struct model_request *request);

/* From now on nothing goes wrong any more: what is owed leaves within MODEL_LEAVES_WITHIN_MS. */
void model_healed(struct model *model, uint64_t true_ms);
/* Something goes wrong again. A model begins like this. */
void model_troubled(struct model *model);

/* `silent` is told the key of each heartbeat that goes down because nothing was heard of it. */
void model_tell_silence(struct model *model, void (*silent)(void *context, const char *key), void *context);

/* The cluster time of the last entry: 0 before the first. */
uint64_t model_time_ms(const struct model *model);

/* Everything was whole for long: every page that was due by `due_until_ms` of cluster time has left, or the log tells
 * why not. */
void model_finish(struct model *model, uint64_t due_until_ms);

/*
 * True when the open incidents of a state that has applied exactly what the model was given are those of the model:
 * status, level and pass, who has them, who acknowledged, what is due when, which pages are on their way. Else a
 * sentence.
 */
bool model_compare(const struct model *model, const struct machine_store *view, char *sentence, size_t size);

struct model_counts {
    uint64_t incidents, pages_owed, pages_sent, repeats, excused, acknowledgements, escalations, guardian_pages;
    uint64_t swaps_taken, swaps_undone, pings, heartbeats_silent, moments_told, moments_passed, extensions, news, conditions;
    uint64_t snoozes, snoozes_ended, merges, alerts_moved, calls_for_help;
    uint64_t windows, windows_recurring, windows_changed, windows_deleted, windows_ended;
    uint64_t mutes, mutes_changed, mutes_ended, alerts_muted, mutes_unanswered;
    uint64_t alerts_held, held_released, held_resolved;
    uint64_t alerts_joined, alerts_paused, turns;
    uint64_t drills, drills_told; /* runs; incidents because of them */
    uint64_t open_incidents;      /* now */
    uint64_t leaves_after_ms_max; /* the longest that a page took to leave since everything was whole */
};
struct model_counts model_counts(const struct model *model);

#endif
