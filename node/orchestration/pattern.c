/* From the tree of a regular expression to instructions, and what can be said of every match before one is looked for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/orchestration/fold.h"
#include "node/orchestration/pattern_program.h"

/* Parts looked at while instructions are made: repeats of what needs none would go on for ever otherwise. */
#define EMIT_WORK_MAX (16u * PATTERN_INSTRUCTIONS_MAX)

struct emitter {
    const struct tree *tree;
    struct instruction code[PATTERN_INSTRUCTIONS_MAX];
    unsigned count, work;
    bool too_large;
};

static void *allocate(size_t size_bytes)
{
    void *memory = malloc(size_bytes > 0 ? size_bytes : 1);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static unsigned emit_one(struct emitter *emitter, struct instruction instruction)
{
    if (emitter->count == PATTERN_INSTRUCTIONS_MAX) {
        emitter->too_large = true;
        return 0;
    }
    emitter->code[emitter->count] = instruction;
    return emitter->count++;
}

static void emit(struct emitter *emitter, uint16_t index);

/* One branch goes on behind the split, the other is set later. */
static unsigned emit_split(struct emitter *emitter)
{
    return emit_one(emitter, (struct instruction){.op = OP_SPLIT});
}

static void set_split(struct emitter *emitter, unsigned at, unsigned body, unsigned out, bool lazy)
{
    emitter->code[at].first = (uint16_t)(lazy ? out : body);
    emitter->code[at].second = (uint16_t)(lazy ? body : out);
}

static void emit_repeat(struct emitter *emitter, const struct node *node)
{
    for (unsigned i = 0; i < node->min && !emitter->too_large; i++) {
        emit(emitter, node->child);
    }
    if (node->max == REPEAT_UNBOUNDED) {
        unsigned split = emit_split(emitter);
        emit(emitter, node->child);
        emit_one(emitter, (struct instruction){.op = OP_JUMP, .first = (uint16_t)split});
        set_split(emitter, split, split + 1, emitter->count, node->lazy);
        return;
    }
    unsigned first = emitter->count, optional = node->max - node->min;
    for (unsigned i = 0; i < optional && !emitter->too_large; i++) {
        unsigned split = emit_split(emitter);
        emitter->code[split].second = UINT16_MAX; /* to the end, once that is known */
        emit(emitter, node->child);
    }
    for (unsigned i = first; i < emitter->count; i++) {
        if (emitter->code[i].op == OP_SPLIT && emitter->code[i].second == UINT16_MAX) {
            set_split(emitter, i, i + 1, emitter->count, node->lazy);
        }
    }
}

static void emit_choice(struct emitter *emitter, const struct node *node)
{
    const struct node *nodes = emitter->tree->nodes;
    unsigned last_jump = UINT16_MAX; /* until the end is known, each jump names the one before */
    for (uint16_t child = node->child; child != NO_NODE && !emitter->too_large; child = nodes[child].next) {
        bool last = nodes[child].next == NO_NODE;
        unsigned split = last ? 0 : emit_split(emitter);
        emit(emitter, child);
        if (!last) {
            last_jump = emit_one(emitter, (struct instruction){.op = OP_JUMP, .first = (uint16_t)last_jump});
            set_split(emitter, split, split + 1, emitter->count, false);
        }
    }
    while (last_jump != UINT16_MAX && !emitter->too_large) {
        unsigned before = emitter->code[last_jump].first;
        emitter->code[last_jump].first = (uint16_t)emitter->count;
        last_jump = before;
    }
}

static void emit_group(struct emitter *emitter, const struct node *node)
{
    if (node->value != 0) {
        emit_one(emitter, (struct instruction){.op = OP_SAVE, .value = 2 * node->value});
    }
    emit(emitter, node->child);
    if (node->value != 0) {
        emit_one(emitter, (struct instruction){.op = OP_SAVE, .value = 2 * node->value + 1});
    }
}

static void emit(struct emitter *emitter, uint16_t index)
{
    const struct node *node = &emitter->tree->nodes[index];
    if (emitter->too_large || ++emitter->work > EMIT_WORK_MAX) {
        emitter->too_large = true;
        return;
    }
    switch ((enum node_kind)node->kind) {
    case NODE_EMPTY:
        return;
    case NODE_CHARACTER:
        emit_one(emitter, (struct instruction){.op = OP_CHARACTER, .fold = node->fold,
                                               .value = node->fold ? fold_lower(node->value) : node->value});
        return;
    case NODE_ANY:
        emit_one(emitter, (struct instruction){.op = node->any_line_end ? OP_ANY : OP_ANY_IN_LINE});
        return;
    case NODE_SET:
        emit_one(emitter, (struct instruction){.op = OP_SET, .fold = node->fold, .negated = node->negated,
                                               .first = (uint16_t)node->value, .second = (uint16_t)node->ranges});
        return;
    case NODE_ASSERTION:
        emit_one(emitter, (struct instruction){.op = OP_ASSERT, .value = node->value});
        return;
    case NODE_GROUP:
        emit_group(emitter, node);
        return;
    case NODE_REPEAT:
        emit_repeat(emitter, node);
        return;
    case NODE_CHOICE:
        emit_choice(emitter, node);
        return;
    case NODE_SEQUENCE:
        for (uint16_t child = node->child; child != NO_NODE; child = emitter->tree->nodes[child].next) {
            emit(emitter, child);
        }
        return;
    }
}

/* ---------------------------------------------------------------- the literal part */

/* The longest run of characters that stands alone in the outermost sequence: whatever matches has it, without case. */
static void find_literal(const struct tree *tree, struct pattern *pattern)
{
    uint16_t at = tree->root;
    while (tree->nodes[at].kind == NODE_GROUP) {
        at = tree->nodes[at].child;
    }
    bool alone = tree->nodes[at].kind == NODE_CHARACTER;
    if (!alone && tree->nodes[at].kind != NODE_SEQUENCE) {
        return;
    }
    char run[LITERAL_SIZE_BYTES_MAX + 4];
    size_t size = 0;
    for (uint16_t child = alone ? at : tree->nodes[at].child; child != NO_NODE; child = tree->nodes[child].next) {
        const struct node *node = &tree->nodes[child];
        if (node->kind == NODE_CHARACTER && size < LITERAL_SIZE_BYTES_MAX) {
            size += fold_encode(fold_lower(node->value), run + size);
        } else {
            size = 0;
        }
        if (size > pattern->literal_size_bytes && size <= LITERAL_SIZE_BYTES_MAX) {
            memcpy(pattern->literal, run, size);
            pattern->literal_size_bytes = size;
        }
    }
}

/* ---------------------------------------------------------------- bytes with which a match can begin */

static void mark_character(struct pattern *pattern, uint32_t character)
{
    char bytes[4];
    fold_encode(character, bytes);
    pattern->begins[(unsigned char)bytes[0]] = true;
}

static void mark_instruction(struct pattern *pattern, const struct instruction *instruction)
{
    if (instruction->op == OP_CHARACTER) {
        mark_character(pattern, instruction->value);
        if (instruction->fold) {
            mark_character(pattern, fold_upper(instruction->value));
        }
        return;
    }
    if (instruction->op == OP_SET) {
        for (uint32_t c = 1; c < 0x80; c++) {
            pattern->begins[c] = pattern->begins[c] || pattern_set_has(pattern, instruction, c);
        }
        memset(pattern->begins + 0x80, true, 0x80);
        return;
    }
    memset(pattern->begins, true, sizeof pattern->begins);
    pattern->may_be_empty = pattern->may_be_empty || instruction->op == OP_MATCH;
}

/* Everything that can be reached without a character. */
static void find_beginnings(struct pattern *pattern)
{
    bool seen[PATTERN_INSTRUCTIONS_MAX + 1] = {false};
    uint16_t waiting[2 * PATTERN_INSTRUCTIONS_MAX + 2];
    size_t count = 0;
    waiting[count++] = 0;
    while (count > 0) {
        uint16_t at = waiting[--count];
        if (seen[at]) {
            continue;
        }
        seen[at] = true;
        const struct instruction *instruction = &pattern->code[at];
        switch ((enum op)instruction->op) {
        case OP_SPLIT:
            waiting[count++] = instruction->first;
            waiting[count++] = instruction->second;
            break;
        case OP_JUMP:
            waiting[count++] = instruction->first;
            break;
        case OP_SAVE:
        case OP_ASSERT:
            waiting[count++] = (uint16_t)(at + 1);
            break;
        default:
            mark_instruction(pattern, instruction);
        }
    }
}

/* ---------------------------------------------------------------- whole */

static struct pattern *pattern_new(const struct tree *tree, const struct emitter *emitter)
{
    struct pattern *pattern = allocate(sizeof *pattern);
    *pattern = (struct pattern){.count = emitter->count, .groups = tree->groups};
    pattern->code = allocate(emitter->count * sizeof *pattern->code);
    memcpy(pattern->code, emitter->code, emitter->count * sizeof *pattern->code);
    pattern->ranges = allocate(tree->ranges_count * sizeof *pattern->ranges);
    memcpy(pattern->ranges, tree->ranges, tree->ranges_count * sizeof *pattern->ranges);
    find_literal(tree, pattern);
    find_beginnings(pattern);
    return pattern;
}

struct pattern *pattern_compile(const char *text, bool fold, char error[PATTERN_ERROR_SIZE_BYTES])
{
    struct tree *tree = allocate(sizeof *tree);
    struct emitter *emitter = allocate(sizeof *emitter);
    struct pattern *pattern = NULL;
    pattern_parse(text, fold, tree);
    memcpy(error, tree->error, sizeof tree->error);
    if (error[0] == '\0') {
        emitter->tree = tree;
        emitter->count = emitter->work = 0;
        emitter->too_large = false;
        emit(emitter, tree->root);
        emit_one(emitter, (struct instruction){.op = OP_MATCH});
        if (emitter->too_large) {
            (void)snprintf(error, PATTERN_ERROR_SIZE_BYTES, "it is too large (maximum is %u steps)",
                           PATTERN_INSTRUCTIONS_MAX);
        } else {
            pattern = pattern_new(tree, emitter);
        }
    }
    free(emitter);
    free(tree);
    return pattern;
}

void pattern_free(struct pattern *pattern)
{
    if (pattern != NULL) {
        free(pattern->code);
        free(pattern->ranges);
        free(pattern);
    }
}

unsigned pattern_instructions(const struct pattern *pattern)
{
    return pattern->count;
}
