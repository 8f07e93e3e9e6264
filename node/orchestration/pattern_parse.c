/* From the text of a regular expression to its tree. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/orchestration/fold.h"
#include "node/orchestration/pattern_internal.h"

struct flags {
    bool fold, many_lines, any_line_end, swap_greed;
};

struct parser {
    const char *text, *at;
    struct tree *tree;
    struct flags flags;
    unsigned depth;
};

static uint16_t parse_choice(struct parser *parser);

static __attribute__((format(printf, 2, 3))) uint16_t fail(struct parser *parser, const char *format, ...)
{
    char *error = parser->tree->error;
    if (error[0] == '\0') {
        char reason[PATTERN_ERROR_SIZE_BYTES - 40];
        va_list list;
        va_start(list, format);
        (void)vsnprintf(reason, sizeof reason, format, list);
        va_end(list);
        (void)snprintf(error, PATTERN_ERROR_SIZE_BYTES, "%s (at byte %zu of the pattern)", reason,
                       (size_t)(parser->at - parser->text) + 1);
    }
    return NO_NODE;
}

static bool failed(const struct parser *parser)
{
    return parser->tree->error[0] != '\0';
}

static uint16_t new_node(struct parser *parser, enum node_kind kind)
{
    struct tree *tree = parser->tree;
    if (tree->nodes_count == NODES_MAX) {
        return fail(parser, "it has too many parts");
    }
    struct node *node = &tree->nodes[tree->nodes_count];
    *node = (struct node){.kind = (uint8_t)kind, .child = NO_NODE, .next = NO_NODE, .fold = parser->flags.fold,
                          .any_line_end = parser->flags.any_line_end};
    return (uint16_t)tree->nodes_count++;
}

static uint16_t new_value(struct parser *parser, enum node_kind kind, uint32_t value)
{
    uint16_t node = new_node(parser, kind);
    if (node != NO_NODE) {
        parser->tree->nodes[node].value = value;
    }
    return node;
}

static bool take(struct parser *parser, const char *text)
{
    size_t size = strlen(text);
    bool there = strncmp(parser->at, text, size) == 0;
    parser->at += there ? size : 0;
    return there;
}

static uint32_t take_character(struct parser *parser)
{
    size_t size;
    uint32_t character = fold_decode(parser->at, &size);
    parser->at += size;
    return character;
}

/* ---------------------------------------------------------------- sets */

static void add_range(struct parser *parser, uint32_t first, uint32_t last)
{
    struct tree *tree = parser->tree;
    if (tree->ranges_count == RANGES_MAX) {
        fail(parser, "its classes of characters are too long");
        return;
    }
    tree->ranges[tree->ranges_count++] = (struct range){first, last};
}

/* Ranges of the class, or all others. `pairs`: first and last, in order. */
static void add_class(struct parser *parser, const char *pairs, bool negated)
{
    uint32_t from = 0;
    for (const char *pair = pairs; *pair != '\0'; pair += 2) {
        uint32_t first = (unsigned char)pair[0], last = (unsigned char)pair[1];
        if (!negated) {
            add_range(parser, first, last);
        } else if (first > from) {
            add_range(parser, from, first - 1);
        }
        from = last + 1;
    }
    if (negated) {
        add_range(parser, from, 0x10FFFF);
    }
}

/* The pairs of \d, \s, \w and their opposites; NULL for another letter. */
static const char *perl_class(char letter, bool *negated)
{
    *negated = letter >= 'A' && letter <= 'Z';
    switch (*negated ? letter + 32 : letter) {
    case 'd':
        return "09";
    case 's':
        return "\t\n\f\r  ";
    case 'w':
        return "09AZ__az";
    default:
        return NULL;
    }
}

static const struct {
    const char *name, *pairs;
} named_classes[] = {
    {"[:alnum:]", "09AZaz"}, {"[:alpha:]", "AZaz"},   {"[:ascii:]", "\x01\x7F"}, {"[:blank:]", "\t\t  "},
    {"[:cntrl:]", "\x01\x1F\x7F\x7F"}, {"[:digit:]", "09"}, {"[:graph:]", "!~"}, {"[:lower:]", "az"},
    {"[:print:]", " ~"},     {"[:punct:]", "!/:@[`{~"}, {"[:space:]", "\t\r  "}, {"[:upper:]", "AZ"},
    {"[:word:]", "09AZ__az"}, {"[:xdigit:]", "09AFaf"},
};

static bool take_named_class(struct parser *parser)
{
    for (size_t i = 0; i < sizeof named_classes / sizeof *named_classes; i++) {
        if (take(parser, named_classes[i].name)) {
            add_class(parser, named_classes[i].pairs, false);
            return true;
        }
    }
    return false;
}

/* \x41, \x{1F600}; the backslash and the x are taken. */
static uint32_t take_hexadecimal(struct parser *parser)
{
    bool braced = take(parser, "{");
    uint32_t value = 0;
    unsigned digits = 0;
    for (; digits < (braced ? 6u : 2u); digits++, parser->at++) {
        const char *hexadecimal = "0123456789abcdef", *found;
        char digit = *parser->at;
        if (digit >= 'A' && digit <= 'F') {
            digit = (char)(digit + 32);
        }
        if (digit == '\0' || (found = strchr(hexadecimal, digit)) == NULL) {
            break;
        }
        value = value * 16 + (uint32_t)(found - hexadecimal);
    }
    if (digits == 0 || (!braced && digits != 2) || (braced && !take(parser, "}")) || value > 0x10FFFF || value == 0) {
        fail(parser, "\\x needs the number of a character");
        return 1;
    }
    return value;
}

/* What follows a backslash and means one character. */
static uint32_t take_escaped(struct parser *parser)
{
    static const char letters[] = "nrtfva", meanings[] = "\n\r\t\f\v\a";
    char letter = *parser->at;
    const char *found = letter != '\0' ? strchr(letters, letter) : NULL;
    if (found != NULL) {
        parser->at++;
        return (unsigned char)meanings[found - letters];
    }
    if (take(parser, "x")) {
        return take_hexadecimal(parser);
    }
    if (letter >= '1' && letter <= '9') {
        fail(parser, "back references are not supported");
    } else if (letter == '\0' || (letter >= '0' && letter <= '9') || (letter >= 'A' && letter <= 'Z') ||
               (letter >= 'a' && letter <= 'z')) {
        fail(parser, "the escape \\%c is not supported", letter == '\0' ? ' ' : letter);
    } else {
        return take_character(parser);
    }
    return 1;
}

/* One character of a set, or 0 after a whole class was added. */
static uint32_t take_set_item(struct parser *parser)
{
    if (take_named_class(parser)) {
        return 0;
    }
    if (!take(parser, "\\")) {
        return take_character(parser);
    }
    bool negated;
    const char *pairs = perl_class(*parser->at, &negated);
    if (pairs != NULL) {
        parser->at++;
        add_class(parser, pairs, negated);
        return 0;
    }
    return take_escaped(parser);
}

/* The bracket is taken. */
static uint16_t parse_set(struct parser *parser)
{
    uint32_t begin = parser->tree->ranges_count;
    bool negated = take(parser, "^");
    for (bool first = true; first || *parser->at != ']'; first = false) {
        if (*parser->at == '\0') {
            return fail(parser, "a ] is missing");
        }
        uint32_t from = take_set_item(parser);
        if (failed(parser)) {
            return NO_NODE;
        }
        if (from == 0) {
            continue;
        }
        uint32_t to = from;
        if (parser->at[0] == '-' && parser->at[1] != ']' && parser->at[1] != '\0') {
            parser->at++;
            to = take_set_item(parser);
            if (to < from && !failed(parser)) {
                return fail(parser, "a range of characters is reversed");
            }
        }
        add_range(parser, from, to);
    }
    parser->at++;
    uint16_t node = new_value(parser, NODE_SET, begin);
    if (node != NO_NODE) {
        parser->tree->nodes[node].negated = negated;
        parser->tree->nodes[node].ranges = parser->tree->ranges_count - begin;
    }
    return node;
}

/* ---------------------------------------------------------------- one part */

static uint16_t parse_escape(struct parser *parser)
{
    static const struct {
        char letter;
        enum assertion assertion;
    } assertions[] = {{'A', ASSERT_TEXT_BEGIN}, {'z', ASSERT_TEXT_END}, {'b', ASSERT_WORD_EDGE}, {'B', ASSERT_NO_WORD_EDGE}};
    for (size_t i = 0; i < sizeof assertions / sizeof *assertions; i++) {
        if (*parser->at == assertions[i].letter) {
            parser->at++;
            return new_value(parser, NODE_ASSERTION, assertions[i].assertion);
        }
    }
    bool negated;
    const char *pairs = perl_class(*parser->at, &negated);
    if (pairs == NULL) {
        uint32_t character = take_escaped(parser);
        return failed(parser) ? NO_NODE : new_value(parser, NODE_CHARACTER, character);
    }
    parser->at++;
    uint32_t begin = parser->tree->ranges_count;
    add_class(parser, pairs, negated);
    uint16_t node = new_value(parser, NODE_SET, begin);
    if (node != NO_NODE) {
        parser->tree->nodes[node].ranges = parser->tree->ranges_count - begin;
    }
    return node;
}

/* After "(?": flags up to ")" or ":". True for ")": they hold for the rest of the group. */
static bool take_flags(struct parser *parser)
{
    bool on = true;
    for (;; parser->at++) {
        switch (*parser->at) {
        case 'i':
            parser->flags.fold = on;
            break;
        case 'm':
            parser->flags.many_lines = on;
            break;
        case 's':
            parser->flags.any_line_end = on;
            break;
        case 'U':
            parser->flags.swap_greed = on;
            break;
        case '-':
            on = false;
            break;
        case ':':
        case ')':
            return *parser->at++ == ')';
        default:
            fail(parser, "looking around and other extensions (? are not supported");
            return true;
        }
    }
}

static bool take_group_name(struct parser *parser)
{
    if (!take(parser, "?P<") && !(strncmp(parser->at, "?<", 2) == 0 && parser->at[2] != '=' && parser->at[2] != '!' &&
                                  take(parser, "?<"))) {
        return false;
    }
    size_t size = strspn(parser->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    if (size == 0 || parser->at[size] != '>') {
        fail(parser, "a group's name is letters, digits and _");
    } else {
        parser->at += size + 1;
    }
    return true;
}

/* The parenthesis is taken. */
static uint16_t parse_group(struct parser *parser)
{
    struct flags outside = parser->flags;
    uint32_t number = 0;
    if (++parser->depth > PATTERN_NESTING_MAX) {
        return fail(parser, "it is nested too deep (maximum is %u)", PATTERN_NESTING_MAX);
    }
    if (take_group_name(parser) || !take(parser, "?")) {
        number = parser->tree->groups++;
        if (number > PATTERN_GROUPS_MAX) {
            return fail(parser, "it has more than %u groups; (?:...) is not counted", PATTERN_GROUPS_MAX);
        }
    } else if (take_flags(parser)) {
        parser->depth--;
        return failed(parser) ? NO_NODE : new_node(parser, NODE_EMPTY);
    }
    uint16_t inside = parse_choice(parser);
    if (failed(parser)) {
        return NO_NODE;
    }
    if (!take(parser, ")")) {
        return fail(parser, "a ) is missing");
    }
    parser->flags = outside;
    parser->depth--;
    uint16_t node = new_value(parser, NODE_GROUP, number);
    if (node != NO_NODE) {
        parser->tree->nodes[node].child = inside;
    }
    return node;
}

static uint16_t parse_part(struct parser *parser)
{
    const struct flags *flags = &parser->flags;
    switch (*parser->at) {
    case '(':
        parser->at++;
        return parse_group(parser);
    case '[':
        parser->at++;
        return parse_set(parser);
    case '\\':
        parser->at++;
        return parse_escape(parser);
    case '.':
        parser->at++;
        return new_node(parser, NODE_ANY);
    case '^':
        parser->at++;
        return new_value(parser, NODE_ASSERTION, flags->many_lines ? ASSERT_LINE_BEGIN : ASSERT_TEXT_BEGIN);
    case '$':
        parser->at++;
        return new_value(parser, NODE_ASSERTION, flags->many_lines ? ASSERT_LINE_END : ASSERT_TEXT_END);
    case '*':
    case '+':
    case '?':
        return fail(parser, "there is nothing for %c to repeat", *parser->at);
    default:
        return new_value(parser, NODE_CHARACTER, take_character(parser));
    }
}

/* ---------------------------------------------------------------- repeats, sequences, choices */

static bool take_number(struct parser *parser, unsigned *number)
{
    size_t digits = strspn(parser->at, "0123456789");
    if (digits == 0 || digits > 5) {
        return false;
    }
    *number = (unsigned)strtoul(parser->at, NULL, 10);
    parser->at += digits;
    return true;
}

/* {n}, {n,} or {n,m}; anything else that begins with a brace is a brace. */
static bool take_counts(struct parser *parser, unsigned *min, unsigned *max)
{
    const char *begin = parser->at;
    if (take(parser, "{") && take_number(parser, min)) {
        *max = *min;
        if (take(parser, ",") && !take_number(parser, max)) {
            *max = REPEAT_UNBOUNDED;
        }
        if (take(parser, "}")) {
            return true;
        }
    }
    parser->at = begin;
    return false;
}

static bool take_repeat(struct parser *parser, unsigned *min, unsigned *max)
{
    *min = 0;
    *max = REPEAT_UNBOUNDED;
    if (take(parser, "*")) {
        return true;
    }
    if (take(parser, "+")) {
        *min = 1;
        return true;
    }
    if (take(parser, "?")) {
        *max = 1;
        return true;
    }
    return take_counts(parser, min, max);
}

static uint16_t parse_repeated(struct parser *parser)
{
    uint16_t part = parse_part(parser);
    unsigned min, max;
    if (failed(parser) || !take_repeat(parser, &min, &max)) {
        return part;
    }
    if (min > PATTERN_REPEAT_MAX || (max != REPEAT_UNBOUNDED && (max > PATTERN_REPEAT_MAX || max < min))) {
        return fail(parser, "a repeat is reversed or beyond %u", PATTERN_REPEAT_MAX);
    }
    bool lazy = take(parser, "?");
    if (*parser->at != '\0' && strchr("*+?", *parser->at) != NULL) {
        return fail(parser, "there is nothing for %c to repeat", *parser->at);
    }
    uint16_t repeat = new_node(parser, NODE_REPEAT);
    if (repeat != NO_NODE) {
        struct node *node = &parser->tree->nodes[repeat];
        node->child = part;
        node->min = (uint16_t)min;
        node->max = (uint16_t)max;
        node->lazy = lazy != parser->flags.swap_greed;
    }
    return repeat;
}

/* A node whose parts are linked; one part alone stands for itself. */
struct parts {
    uint16_t first, last;
    unsigned count;
};

static void add_part(struct parser *parser, struct parts *parts, uint16_t part)
{
    if (part == NO_NODE) {
        return;
    }
    if (parts->count++ == 0) {
        parts->first = part;
    } else {
        parser->tree->nodes[parts->last].next = part;
    }
    parts->last = part;
}

static uint16_t join_parts(struct parser *parser, enum node_kind kind, const struct parts *parts)
{
    if (parts->count == 1) {
        return parts->first;
    }
    uint16_t node = new_node(parser, parts->count == 0 ? NODE_EMPTY : kind);
    if (node != NO_NODE && parts->count > 0) {
        parser->tree->nodes[node].child = parts->first;
    }
    return node;
}

static uint16_t parse_sequence(struct parser *parser)
{
    struct parts parts = {NO_NODE, NO_NODE, 0};
    while (*parser->at != '\0' && *parser->at != '|' && *parser->at != ')' && !failed(parser)) {
        add_part(parser, &parts, parse_repeated(parser));
    }
    return failed(parser) ? NO_NODE : join_parts(parser, NODE_SEQUENCE, &parts);
}

static uint16_t parse_choice(struct parser *parser)
{
    struct parts parts = {NO_NODE, NO_NODE, 0};
    do {
        uint16_t sequence = parse_sequence(parser);
        if (failed(parser)) {
            return NO_NODE;
        }
        add_part(parser, &parts, sequence);
    } while (take(parser, "|"));
    return join_parts(parser, NODE_CHOICE, &parts);
}

void pattern_parse(const char *text, bool fold, struct tree *tree)
{
    struct parser parser = {.text = text, .at = text, .tree = tree,
                            .flags = {.fold = fold, .many_lines = true, .any_line_end = true}};
    tree->nodes_count = tree->ranges_count = 0;
    tree->groups = 1;
    tree->error[0] = '\0';
    tree->root = parse_choice(&parser);
    if (!failed(&parser) && *parser.at == ')') {
        fail(&parser, "a ( is missing");
    }
}
