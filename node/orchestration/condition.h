/*
 * One condition in PagerDuty's condition language (PCL), as its overview has it: precedence, types, comparison without case
 * unless `exactly`, and whatever cannot be compared counts as false.
 *
 *     event.summary matches part 'disk' and not (event.custom_details.env matches 'staging' or event.severity == 'info')
 *     event.source matches regex 'db[0-9]+' and now in Mon,Tue 09:00:00 to 17:00:00 Europe/Berlin
 *
 * "does not match" is taken for "not ... matches", "does not exist" likewise. Not here, and refused: trigger_count (events are
 * decided on each by itself, by whichever node takes them) and cache variables.
 */
#ifndef NODE_ORCHESTRATION_CONDITION_H
#define NODE_ORCHESTRATION_CONDITION_H

#include "node/orchestration/facts.h"

#define CONDITION_NESTING_MAX 32u /* these two are PagerDuty's */
#define CONDITION_FACTORS_MAX 64u

struct condition;

/* Paths are added to `table`, which the facts must use. NULL: the sentence says what is wrong and where. */
struct condition *condition_parse(const char *text, struct path_table *table, char sentence[SENTENCE_SIZE_BYTES]);
void condition_free(struct condition *condition);
/* Instructions of its patterns, and as many as stand for the size of its time zones. */
unsigned condition_instructions(const struct condition *condition);

/* `trace`: NULL, or an array that gets each comparison which was looked at: its words, what it said, and the value there. */
bool condition_holds(const struct condition *condition, struct facts *facts, json_t *trace);

#endif
