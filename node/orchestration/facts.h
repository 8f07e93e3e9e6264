/*
 * The event as rules see it: JSON under the names event, raw_event and variables, looked up by paths. A path that many
 * conditions name is looked up, and brought into small letters, once an event.
 */
#ifndef NODE_ORCHESTRATION_FACTS_H
#define NODE_ORCHESTRATION_FACTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/base/arena.h"
#include "node/orchestration/pattern.h"

#define FIELD_PATH_ELEMENTS_MAX 32u      /* PagerDuty's */
#define FIELD_TEXT_SIZE_BYTES_MAX 65536u /* likewise: what is longer is looked at up to here */
#define SENTENCE_SIZE_BYTES 256u         /* of what is wrong with a condition, a path or a template */

/*
 * Steps of regular expressions for one event, all rules together: some 10 ms at the very most. What asks for more counts as
 * not found, and is told.
 */
#define STEPS_PER_EVENT 1000000u

struct field_path {
    unsigned count;
    struct {
        char *name; /* NULL: an index */
        long index;
    } elements[];
};

/* "event.custom_details['a b'][0]", up to where it ends. NULL: the sentence says why. */
struct field_path *field_path_parse(const char *text, const char **end, char sentence[SENTENCE_SIZE_BYTES]);
void field_path_free(struct field_path *path);
/* The value there, borrowed; NULL when there is none. */
json_t *field_path_value(const struct field_path *path, json_t *root);
/* Puts a text there, making objects on the way. False when something else stands in the way. */
bool field_path_set(const struct field_path *path, json_t *root, const char *text);

/* Paths that the conditions of one set of rules name, each once. */
struct path_table {
    struct field_path **paths;
    unsigned count;
};
/* Takes the path over; its number. */
unsigned path_table_add(struct path_table *table, struct field_path *path);
void path_table_free(struct path_table *table);

struct fact {
    bool looked_up, has_text;
    json_t *value;
    struct pattern_text text;
};

struct facts {
    json_t *root;
    uint64_t now_ms; /* of the clock on the wall */
    const struct path_table *table;
    struct fact *facts; /* of the table's paths */
    struct arena arena;
    struct pattern_memory memory;
    uint64_t steps_left;
    unsigned given_up; /* patterns, for want of steps */
};

/* `root` is taken over. */
void facts_init(struct facts *facts, json_t *root, uint64_t now_ms);
void facts_close(struct facts *facts);
/* The paths to be asked for from now on. */
void facts_use(struct facts *facts, const struct path_table *table);
/* Values have changed. */
void facts_changed(struct facts *facts);

json_t *facts_value(struct facts *facts, unsigned path);
/* The value as a text: of what is no text its JSON. NULL for nothing and null. */
const struct pattern_text *facts_text(struct facts *facts, unsigned path);
/* The same of any text; valid until the facts are closed. */
struct pattern_text facts_text_of(struct facts *facts, const char *text, size_t size_bytes);
/* A value as a text, in the facts' memory; NULL for nothing and null. */
const char *facts_value_text(struct facts *facts, const json_t *value);
bool facts_find(struct facts *facts, const struct pattern *pattern, const struct pattern_text *text,
                struct pattern_match *match);

#endif
