/* Inside patterns: the tree that is parsed, and the instructions that it becomes. */
#ifndef NODE_ORCHESTRATION_PATTERN_INTERNAL_H
#define NODE_ORCHESTRATION_PATTERN_INTERNAL_H

#include "node/orchestration/pattern.h"

enum node_kind { NODE_EMPTY, NODE_CHARACTER, NODE_ANY, NODE_SET, NODE_ASSERTION, NODE_GROUP, NODE_REPEAT, NODE_SEQUENCE, NODE_CHOICE };

enum assertion {
    ASSERT_LINE_BEGIN,
    ASSERT_LINE_END,
    ASSERT_TEXT_BEGIN,
    ASSERT_TEXT_END,
    ASSERT_WORD_EDGE,
    ASSERT_NO_WORD_EDGE
};

#define NO_NODE UINT16_MAX
#define REPEAT_UNBOUNDED UINT16_MAX
#define NODES_MAX 4096u /* a pattern at its size bound has fewer */
#define RANGES_MAX 2048u

struct range {
    uint32_t first, last;
};

struct node {
    uint8_t kind;
    bool fold, lazy, negated, any_line_end;
    uint16_t min, max;    /* of a repeat */
    uint16_t child, next; /* first part; next part of the same parent */
    uint32_t value;       /* character, assertion, first range of a set, number of a group (0: without) */
    uint32_t ranges;      /* of a set */
};

struct tree {
    struct node nodes[NODES_MAX];
    struct range ranges[RANGES_MAX];
    unsigned nodes_count, ranges_count, groups; /* groups with the whole */
    uint16_t root;
    char error[PATTERN_ERROR_SIZE_BYTES]; /* "": none */
};

/* Fills the tree, which has tree->error when the text is none. */
void pattern_parse(const char *text, bool fold, struct tree *tree);

#endif
