/*
 * What holds in every state of every node, after each entry: promise P1's "there is no fourth state", and references
 * that are whole.
 */
#ifndef TESTS_SIM_JUDGE_INVARIANTS_H
#define TESTS_SIM_JUDGE_INVARIANTS_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/support/decoded_rows.h"

/*
 * Walks the whole state. False, with a sentence, when something in it does not hold:
 *   - an open incident has a deadline to come, an owed notification, or a recorded reason why nothing is to come;
 *   - deadlines, outbox rows, alerts and timelines point to what is there, and are pointed to;
 *   - each index agrees with its rows, in both directions;
 *   - counts in the records are those of the rows, and every id is below the counter.
 * `decoded` is kept from one look to the next.
 */
bool invariants_hold(struct decoded_rows *decoded, const struct machine_store *view, char *sentence, size_t size);

#endif
