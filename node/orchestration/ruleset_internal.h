/* Inside sets of rules: what is compiled. */
#ifndef NODE_ORCHESTRATION_RULESET_INTERNAL_H
#define NODE_ORCHESTRATION_RULESET_INTERNAL_H

#include "node/orchestration/ruleset.h"

/* A pattern and where it looks; both NULL for what is not there. */
struct looked {
    struct field_path *source;
    struct pattern *pattern;
};

struct extraction {
    struct field_path *target; /* NULL: does nothing */
    const char *template;      /* "": by pattern */
    struct looked looked;
};

struct actions {
    const Tocsin__RuleActions *said; /* NULL: nothing */
    struct looked *variables;        /* as many as said->n_variables */
    struct extraction *extractions;
    struct looked dynamic;
};

struct rule {
    const Tocsin__OrchestrationRule *said;
    struct condition **conditions; /* as many as said->n_conditions; NULL: never holds */
    struct actions actions;
};

struct rules {
    const char *id;
    struct rule *rules;
    size_t count;
};

struct ruleset {
    const Tocsin__OrchestrationPath *path;
    struct rules *sets;
    struct actions catch_all;
    struct path_table paths;
    unsigned instructions;
};

#endif
