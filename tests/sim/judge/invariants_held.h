/*
 * What holds in every state of alerts that fire without an incident: each is listed under what holds it back, and a
 * deadline lies ahead, its own, that of its window or mute, or one that lets them all go. None is forgotten.
 */
#ifndef TESTS_SIM_JUDGE_INVARIANTS_HELD_H
#define TESTS_SIM_JUDGE_INVARIANTS_HELD_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/support/decoded_rows.h"

/* True for the deadlines that are looked at here. */
bool held_is_edge(enum deadline_kind kind);
/* Adds the number of alerts that are held to *open. False with a sentence when something does not hold. */
bool held_alerts_hold(struct decoded_rows *decoded, const struct machine_store *view, uint64_t *open, char *sentence,
                      size_t size);

#endif
