/*
 * The rules of one path, ready to be asked: conditions parsed, patterns compiled, paths looked up once an event.
 *
 *     ruleset_ask ── set "start" ── rule after rule, the first whose condition holds ── its actions
 *                        ^                                                                 │ route_to a set
 *                        └─────────────────────────────────────────────────────────────────┘
 *     the last set has no rule that takes it ── the catch-all's actions
 */
#ifndef NODE_ORCHESTRATION_RULESET_H
#define NODE_ORCHESTRATION_RULESET_H

#include "consensus/machine/schema/schema.pb-c.h"
#include "node/orchestration/condition.h"

/* Of all patterns of one path, so that rules fit into memory however they are written. */
#define INSTRUCTIONS_PER_PATH_MAX 400000u
#define NOTES_PER_EVENT_MAX 20u
#define RULES_TAKEN_MAX 250u /* sets of the three paths on one event's way, and the catch-alls */

struct ruleset;

/* `path` is borrowed and must outlive the rules. `strict`: what is wrong ends it with NULL, and the sentence says what and
 * where; otherwise such a condition never holds, and such an action does nothing. */
struct ruleset *ruleset_new(const Tocsin__OrchestrationPath *path, bool strict, char sentence[SENTENCE_SIZE_BYTES]);
void ruleset_free(struct ruleset *ruleset);

/* What rules made of an event beside its fields. */
struct verdict {
    const Tocsin__RuleActions *notes[NOTES_PER_EVENT_MAX]; /* those that annotate ... */
    const char *note_texts[NOTES_PER_EVENT_MAX];           /* ... and what, in the facts' memory */
    size_t notes_count;
    const char *route_to;  /* of a router: where the rule or the catch-all sends it; "" for nowhere */
    const char *route_key; /* what a dynamic route found; NULL: no such route */
    bool route_by_name;
    bool changed; /* a field */
    bool drop, suppress;
    uint32_t suspend_s;
    uint64_t priority_id, escalation_policy_id;
    const char *urgency, *event_action; /* "": not said */
    Tocsin__RuleTaken taken[RULES_TAKEN_MAX];
    size_t taken_count;
    uint32_t held_by; /* which of them, counted from 1, suppressed or suspended it last */
};

/* Whether a regular expression's groups, joined, or all of it, were found in the text; NULL: not. In the facts' memory. */
const char *extract(struct facts *facts, const struct pattern *pattern, const struct pattern_text *text);
/* "{{event.summary}} on {{variables.host}}" with values put in; {{host}} is a variable, too. In the facts' memory,
 * or the template itself when there is nothing to put in. */
const char *template_fill(struct facts *facts, const char *template);

/* Runs the rules on the facts. `trace`: NULL, or an array that gets each rule looked at. */
void ruleset_ask(const struct ruleset *ruleset, struct facts *facts, struct verdict *verdict, json_t *trace);

#endif
