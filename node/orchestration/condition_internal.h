/* Inside conditions: the tree between its parser and its evaluation. */
#ifndef NODE_ORCHESTRATION_CONDITION_INTERNAL_H
#define NODE_ORCHESTRATION_CONDITION_INTERNAL_H

#include "consensus/machine/oncall/zone.h"
#include "node/orchestration/condition.h"

#define TERMS_MAX 256u
#define NO_TERM UINT16_MAX

enum value_kind {
    VALUE_NIL,
    VALUE_PATH,
    VALUE_TEXT,
    VALUE_INTEGER,
    VALUE_REAL,
    VALUE_BOOLEAN,
    VALUE_TIME, /* `integer` in seconds */
    VALUE_NOW
};

struct value {
    enum value_kind kind;
    unsigned path;
    int64_t integer;
    double real;
    char *text, *folded;
    size_t size_bytes;
};

enum term_kind {
    TERM_OR,
    TERM_AND,
    TERM_NOT,
    TERM_VALUE,  /* true when it is true */
    TERM_EXISTS, /* a is a path */
    TERM_EQUAL,
    TERM_LESS,
    TERM_AT_MOST,
    TERM_GREATER,
    TERM_AT_LEAST,
    TERM_MATCHES,
    TERM_PART,
    TERM_REGEX,
    TERM_SCHEDULE
};

struct term {
    enum term_kind kind;
    uint16_t left, right; /* of or, and, not */
    bool exactly;
    struct value a, b;
    struct pattern *pattern;
    uint8_t days; /* bit 0: Monday */
    uint32_t from_s, to_s;
    struct zone *zone;
    size_t begin, end; /* in the text */
};

struct condition {
    char *text;
    struct term *terms;
    unsigned count;
    uint16_t root;
};

#endif
