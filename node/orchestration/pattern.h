/*
 * Regular expressions in RE2's syntax, found in time that is bounded by text times pattern, whatever either is: all
 * alternatives are followed at once, none is tried again (the method of Thompson and Pike; Russ Cox, "Regular Expression
 * Matching: the Virtual Machine Approach").
 *
 *     pattern_compile ── parse (tree) ── emit (instructions) ──> pattern
 *                                                                  │
 *     text ── has it the literal part that every match needs? ── yes ──> run the instructions side by side
 *
 * Not here, and refused: back references and looking around (nor has RE2 these), \p classes, \Q.
 */
#ifndef NODE_ORCHESTRATION_PATTERN_H
#define NODE_ORCHESTRATION_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An expression that needs more asks for too much of each event. */
#define PATTERN_INSTRUCTIONS_MAX 1000u
#define PATTERN_GROUPS_MAX 10u
#define PATTERN_NESTING_MAX 32u
#define PATTERN_REPEAT_MAX 1000u
#define PATTERN_ERROR_SIZE_BYTES 128u

struct pattern;

/* Text to look at, in both forms; both valid UTF-8 and of one size. */
struct pattern_text {
    const char *text, *folded;
    size_t size_bytes;
};

/* Memory for the run, kept by the caller from one to the next. All zeros at first; then pattern_memory_free. */
struct pattern_memory {
    void *bytes;
    size_t size_bytes;
};

/* Where groups were found; group 0 is the whole. start > end: not part of the match. */
struct pattern_match {
    size_t start[PATTERN_GROUPS_MAX + 1], end[PATTERN_GROUPS_MAX + 1];
    unsigned groups; /* with the whole */
};

enum pattern_result {
    PATTERN_NOT_FOUND,
    PATTERN_FOUND,
    PATTERN_GIVEN_UP /* *steps_left was used up */
};

/* `text` is valid UTF-8. As PagerDuty has it, "." takes line ends, too, and "^" and "$" stand at lines; (?-sm) undoes that.
 * `fold`: without case. NULL: `error` says why in half a sentence, with the position. */
struct pattern *pattern_compile(const char *text, bool fold, char error[PATTERN_ERROR_SIZE_BYTES]);
void pattern_free(struct pattern *pattern);
unsigned pattern_instructions(const struct pattern *pattern);

/* The first match, as RE2 and Perl choose it. `match` NULL: only whether there is one, which is quicker. A step is one
 * instruction looked at. */
enum pattern_result pattern_find(const struct pattern *pattern, const struct pattern_text *text,
                                 struct pattern_memory *memory, uint64_t *steps_left, struct pattern_match *match);
void pattern_memory_free(struct pattern_memory *memory);

#endif
