/* Inside patterns: instructions, and what runs them. */
#ifndef NODE_ORCHESTRATION_PATTERN_PROGRAM_H
#define NODE_ORCHESTRATION_PATTERN_PROGRAM_H

#include "node/orchestration/pattern_internal.h"

enum op {
    OP_CHARACTER,   /* value */
    OP_ANY,         /* any character */
    OP_ANY_IN_LINE, /* ... but a line end */
    OP_SET,         /* ranges from `first`, `second` of them */
    OP_ASSERT,      /* value: enum assertion */
    OP_SAVE,        /* the position, under number `value` */
    OP_SPLIT,       /* to `first`, and if that fails to `second` */
    OP_JUMP,        /* to `first` */
    OP_MATCH
};

struct instruction {
    uint8_t op;
    bool fold, negated;
    uint16_t first, second;
    uint32_t value;
};

#define LITERAL_SIZE_BYTES_MAX 60u

struct pattern {
    struct instruction *code;
    unsigned count, groups; /* groups with the whole */
    struct range *ranges;
    char literal[LITERAL_SIZE_BYTES_MAX]; /* in small letters: part of every match */
    size_t literal_size_bytes;
    bool begins[256]; /* first bytes of a match */
    bool may_be_empty;
};

bool pattern_set_has(const struct pattern *pattern, const struct instruction *set, uint32_t character);

#endif
