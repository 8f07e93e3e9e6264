/*
 * Running a pattern: every way that a match can take is followed at the same time, one character after the other. Ways that
 * meet at one instruction go on as the one that is preferred, so there are never more than instructions.
 */
#include <stdlib.h>
#include <string.h>

#include "node/orchestration/fold.h"
#include "node/orchestration/pattern_program.h"

#define NO_PLACE SIZE_MAX

/* The ways at one position, in order of preference. */
struct ways {
    uint32_t *marks; /* of each instruction: the round in which it was entered last */
    uint16_t *at;
    size_t *saves; /* of the way at each instruction */
    unsigned count;
};

struct run {
    const struct pattern *pattern;
    const struct pattern_text *text;
    struct ways now, next;
    size_t *best; /* saves of the best match so far */
    unsigned saves_count; /* 0: only whether there is one */
    uint32_t round;
    uint64_t steps_left;
    bool given_up, found;
};

static bool in_ranges(const struct pattern *pattern, const struct instruction *set, uint32_t character)
{
    const struct range *range = pattern->ranges + set->first;
    for (unsigned i = 0; i < set->second; i++, range++) {
        if (character >= range->first && character <= range->last) {
            return true;
        }
    }
    return false;
}

bool pattern_set_has(const struct pattern *pattern, const struct instruction *set, uint32_t character)
{
    bool has = in_ranges(pattern, set, character);
    if (!has && set->fold) {
        has = in_ranges(pattern, set, fold_lower(character)) || in_ranges(pattern, set, fold_upper(character));
    }
    return has != set->negated;
}

static bool is_word(const struct pattern_text *text, size_t position)
{
    if (position >= text->size_bytes) {
        return false; /* before the beginning, too: SIZE_MAX */
    }
    char c = text->text[position];
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static bool holds(const struct pattern_text *text, enum assertion assertion, size_t position)
{
    bool begin = position == 0, end = position == text->size_bytes;
    switch (assertion) {
    case ASSERT_LINE_BEGIN:
        return begin || text->text[position - 1] == '\n';
    case ASSERT_LINE_END:
        return end || text->text[position] == '\n';
    case ASSERT_TEXT_BEGIN:
        return begin;
    case ASSERT_TEXT_END:
        return end;
    case ASSERT_WORD_EDGE:
        return is_word(text, position - 1) != is_word(text, position);
    case ASSERT_NO_WORD_EDGE:
        return is_word(text, position - 1) == is_word(text, position);
    }
    abort();
}

static bool spend(struct run *run)
{
    run->given_up = run->given_up || run->steps_left == 0;
    run->steps_left -= run->given_up ? 0 : 1;
    return !run->given_up;
}

/* Follows what needs no character. As deep as there are instructions at most: each is entered once a round. */
static void enter(struct run *run, struct ways *ways, unsigned at, size_t position, size_t *saves)
{
    while (ways->marks[at] != run->round && spend(run)) {
        ways->marks[at] = run->round;
        const struct instruction *instruction = &run->pattern->code[at];
        switch ((enum op)instruction->op) {
        case OP_JUMP:
            at = instruction->first;
            continue;
        case OP_SPLIT:
            enter(run, ways, instruction->first, position, saves);
            at = instruction->second;
            continue;
        case OP_ASSERT:
            if (!holds(run->text, (enum assertion)instruction->value, position)) {
                return;
            }
            at++;
            continue;
        case OP_SAVE:
            if (instruction->value < run->saves_count) {
                size_t before = saves[instruction->value];
                saves[instruction->value] = position;
                enter(run, ways, at + 1, position, saves);
                saves[instruction->value] = before;
                return;
            }
            at++;
            continue;
        default:
            ways->at[ways->count++] = (uint16_t)at;
            if (run->saves_count > 0) {
                memcpy(ways->saves + (size_t)at * run->saves_count, saves, run->saves_count * sizeof *saves);
            }
            return;
        }
    }
}

static bool takes(const struct pattern *pattern, const struct instruction *instruction, uint32_t character)
{
    switch ((enum op)instruction->op) {
    case OP_CHARACTER:
        return instruction->value == character || (instruction->fold && instruction->value == fold_lower(character));
    case OP_ANY:
        return true;
    case OP_ANY_IN_LINE:
        return character != '\n';
    case OP_SET:
        return pattern_set_has(pattern, instruction, character);
    default:
        return false;
    }
}

/* Takes every way over the character that ends at `after`; at the end of the text there is none. */
static void advance(struct run *run, uint32_t character, bool at_end, size_t position, size_t after)
{
    const struct pattern *pattern = run->pattern;
    run->next.count = 0;
    run->round++;
    for (unsigned i = 0; i < run->now.count && spend(run); i++) {
        unsigned at = run->now.at[i];
        size_t *saves = run->now.saves + (size_t)at * run->saves_count;
        if (pattern->code[at].op == OP_MATCH) {
            run->found = true;
            if (run->saves_count > 0) {
                memcpy(run->best, saves, run->saves_count * sizeof *saves);
                run->best[1] = position;
            }
            return; /* those behind it are less preferred */
        }
        if (!at_end && takes(pattern, &pattern->code[at], character)) {
            enter(run, &run->next, at + 1, after, saves);
        }
    }
}

static void swap_ways(struct run *run)
{
    struct ways now = run->now;
    run->now = run->next;
    run->next = now;
}

/* Begins a match at this position, as the least preferred way. */
static void begin_here(struct run *run, size_t position)
{
    size_t saves[2 * (PATTERN_GROUPS_MAX + 1)];
    for (unsigned i = 0; i < run->saves_count; i++) {
        saves[i] = NO_PLACE;
    }
    saves[0] = position;
    enter(run, &run->now, 0, position, saves);
}

static void look_through(struct run *run)
{
    const struct pattern *pattern = run->pattern;
    const struct pattern_text *text = run->text;
    size_t position = 0;
    run->round = 1;
    for (;;) {
        if (run->now.count == 0) {
            while (!run->found && position < text->size_bytes && !pattern->begins[(unsigned char)text->text[position]]) {
                position++;
            }
            if (run->found || (position == text->size_bytes && !pattern->may_be_empty)) {
                return;
            }
            run->round++; /* what was entered before was entered elsewhere */
        }
        if (!run->found) {
            begin_here(run, position);
        }
        bool at_end = position == text->size_bytes;
        size_t size = 0;
        uint32_t character = at_end ? 0 : fold_decode(text->text + position, &size);
        advance(run, character, at_end, position, position + size);
        if (at_end || run->given_up || (run->found && run->saves_count == 0)) {
            return;
        }
        swap_ways(run);
        position += size;
    }
}

/* ---------------------------------------------------------------- memory */

static size_t ways_size_bytes(const struct run *run)
{
    size_t count = run->pattern->count;
    size_t size_bytes = count * (run->saves_count * sizeof(size_t) + sizeof(uint32_t) + sizeof(uint16_t));
    return (size_bytes + sizeof(size_t) - 1) / sizeof(size_t) * sizeof(size_t);
}

static void ways_place(const struct run *run, struct ways *ways, uint8_t *bytes)
{
    size_t count = run->pattern->count;
    ways->saves = (size_t *)bytes;
    ways->marks = (uint32_t *)(bytes + count * run->saves_count * sizeof(size_t));
    ways->at = (uint16_t *)(ways->marks + count);
    ways->count = 0;
    memset(ways->marks, 0, count * sizeof *ways->marks);
}

static void run_place(struct run *run, struct pattern_memory *memory)
{
    size_t each_bytes = ways_size_bytes(run), best_bytes = run->saves_count * sizeof(size_t);
    if (memory->size_bytes < 2 * each_bytes + best_bytes) {
        memory->size_bytes = 2 * (2 * each_bytes + best_bytes);
        memory->bytes = realloc(memory->bytes, memory->size_bytes);
        if (memory->bytes == NULL) {
            abort();
        }
    }
    ways_place(run, &run->now, memory->bytes);
    ways_place(run, &run->next, (uint8_t *)memory->bytes + each_bytes);
    run->best = (size_t *)((uint8_t *)memory->bytes + 2 * each_bytes);
}

void pattern_memory_free(struct pattern_memory *memory)
{
    free(memory->bytes);
    *memory = (struct pattern_memory){0};
}

enum pattern_result pattern_find(const struct pattern *pattern, const struct pattern_text *text,
                                 struct pattern_memory *memory, uint64_t *steps_left, struct pattern_match *match)
{
    if (pattern->literal_size_bytes > 0 &&
        memmem(text->folded, text->size_bytes, pattern->literal, pattern->literal_size_bytes) == NULL) {
        return PATTERN_NOT_FOUND;
    }
    struct run run = {.pattern = pattern, .text = text, .saves_count = match != NULL ? 2 * pattern->groups : 0,
                      .steps_left = *steps_left};
    run_place(&run, memory);
    look_through(&run);
    *steps_left = run.steps_left;
    if (run.given_up) {
        return PATTERN_GIVEN_UP;
    }
    if (!run.found || match == NULL) {
        return run.found ? PATTERN_FOUND : PATTERN_NOT_FOUND;
    }
    match->groups = pattern->groups;
    for (unsigned i = 0; i < pattern->groups; i++) {
        bool there = run.best[2 * i] != NO_PLACE && run.best[2 * i + 1] != NO_PLACE;
        match->start[i] = there ? run.best[2 * i] : 1;
        match->end[i] = there ? run.best[2 * i + 1] : 0;
    }
    return PATTERN_FOUND;
}
