/*
 * What a pager owes, told a second time in simple words, apart from the machine's own rules.
 *
 *     committed entries ──> the model's own picture: people, policies, incidents ──> pages that are owed, and until when
 *     requests that reached a provider ────────────────────────────────────────────> each must be explained by one of them
 *
 * The model reads the log as a history of what was asked and when (commands and their stamps); it calls no function of the machine but the decoder of its
 * schema, and shares no rule with it.
 */
#ifndef TESTS_SIM_MODEL_H
#define TESTS_SIM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/machine/schema.pb-c.h"
#include "consensus/machine/span.h"

struct model;

/* `violation` is told one sentence for each promise that is seen broken. */
struct model *model_new(void (*violation)(void *context, const char *sentence), void *context);
void model_free(struct model *model);

/* A committed entry of commands (a packed Entry), in index order, each once. */
void model_entry(struct model *model, uint64_t index, uint64_t term, struct span data);

/* A request left a node for a provider and would reach a person. */
struct model_request {
    uint64_t true_ms;       /* when it started */
    uint64_t node, boot;    /* who sent it */
    uint64_t boottime_ms;   /* that node's CLOCK_BOOTTIME at the start */
    Tocsin__Channel channel;
    const char *to, *text;  /* as the person would read it */
};
void model_request(struct model *model, const struct model_request *request);

/* Everything was whole for long: every page that was due by `due_until_ms` of cluster time has left, or the log tells why not. */
void model_finish(struct model *model, uint64_t due_until_ms);

struct model_counts {
    uint64_t incidents, pages_owed, pages_sent, repeats, excused, acknowledgements, escalations, guardian_pages;
};
struct model_counts model_counts(const struct model *model);

#endif
