/*
 * From the text of a condition to its tree, by recursive descent:
 *
 *     any     = all { "or" all }
 *     all     = factor { "and" factor }
 *     factor  = "not" factor | "(" any ")" | value [ comparison ]
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/oncall/calendar.h"
#include "node/host/zones.h"
#include "node/orchestration/condition_internal.h"
#include "node/orchestration/fold.h"

#define TEXT_SIZE_BYTES_MAX 1024u /* PagerDuty's, of a literal */

struct parser {
    const char *text, *at;
    struct path_table *table;
    char *sentence;
    bool failed;
    unsigned depth, factors;
    struct term terms[TERMS_MAX];
    unsigned count;
};

static uint16_t parse_any(struct parser *parser);

static __attribute__((format(printf, 2, 3))) uint16_t fail(struct parser *parser, const char *format, ...)
{
    if (!parser->failed) {
        char reason[SENTENCE_SIZE_BYTES - 40];
        va_list list;
        va_start(list, format);
        (void)vsnprintf(reason, sizeof reason, format, list);
        va_end(list);
        (void)snprintf(parser->sentence, SENTENCE_SIZE_BYTES, "%s (at byte %zu of the condition)", reason,
                       (size_t)(parser->at - parser->text) + 1);
    }
    parser->failed = true;
    return NO_TERM;
}

static void skip_spaces(struct parser *parser)
{
    parser->at += strspn(parser->at, " \t\r\n");
}

static bool is_letter(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* A word as a whole. */
static bool take_word(struct parser *parser, const char *word)
{
    skip_spaces(parser);
    size_t size = strlen(word);
    bool there = strncmp(parser->at, word, size) == 0 && !is_letter(parser->at[size]);
    parser->at += there ? size : 0;
    return there;
}

static bool take_sign(struct parser *parser, const char *sign)
{
    skip_spaces(parser);
    size_t size = strlen(sign);
    bool there = strncmp(parser->at, sign, size) == 0;
    parser->at += there ? size : 0;
    return there;
}

static uint16_t new_term(struct parser *parser, enum term_kind kind)
{
    if (parser->count == TERMS_MAX) {
        return fail(parser, "the condition has too many parts");
    }
    parser->terms[parser->count] = (struct term){.kind = kind, .left = NO_TERM, .right = NO_TERM};
    return (uint16_t)parser->count++;
}

/* ---------------------------------------------------------------- values */

static void *allocate(size_t size_bytes)
{
    void *memory = malloc(size_bytes);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

/* The quote is taken. */
static void take_text(struct parser *parser, struct value *value)
{
    value->kind = VALUE_TEXT;
    value->text = allocate(strlen(parser->at) + 1);
    for (; *parser->at != '\'' && *parser->at != '\0'; parser->at++) {
        parser->at += parser->at[0] == '\\' && (parser->at[1] == '\'' || parser->at[1] == '\\');
        value->text[value->size_bytes++] = *parser->at;
    }
    value->text[value->size_bytes] = '\0';
    value->folded = allocate(value->size_bytes + 1);
    fold_text(value->text, value->size_bytes, value->folded);
    if (*parser->at == '\0') {
        fail(parser, "the closing quote of a text is missing");
    } else if (value->size_bytes > TEXT_SIZE_BYTES_MAX) {
        fail(parser, "a text is longer than %u bytes", TEXT_SIZE_BYTES_MAX);
    } else {
        parser->at++;
    }
}

static bool take_two_digits(struct parser *parser, unsigned max, unsigned *number)
{
    if (!isdigit((unsigned char)parser->at[0]) || !isdigit((unsigned char)parser->at[1])) {
        return false;
    }
    *number = (unsigned)(parser->at[0] - '0') * 10 + (unsigned)(parser->at[1] - '0');
    parser->at += 2;
    return *number <= max;
}

/* HH:MM:SS */
static bool take_time_of_day(struct parser *parser, uint32_t *second)
{
    unsigned hours, minutes, seconds;
    skip_spaces(parser);
    if (!take_two_digits(parser, 23, &hours) || !take_sign(parser, ":") || !take_two_digits(parser, 59, &minutes) ||
        !take_sign(parser, ":") || !take_two_digits(parser, 59, &seconds)) {
        fail(parser, "a time of day like 09:00:00 is expected");
        return false;
    }
    *second = hours * 3600 + minutes * 60 + seconds;
    return true;
}

static struct zone *take_zone(struct parser *parser)
{
    char name[ZONE_NAME_CHARACTERS_MAX + 1];
    skip_spaces(parser);
    size_t size = 0;
    while (is_letter(parser->at[size]) || (parser->at[size] != '\0' && strchr("/+-", parser->at[size]) != NULL)) {
        size++;
    }
    struct zone *zone = NULL;
    if (size < sizeof name) {
        memcpy(name, parser->at, size);
        name[size] = '\0';
        zone = zones_load(name);
    }
    if (zone == NULL) {
        fail(parser, "a time zone like Europe/Berlin is expected");
    }
    parser->at += size;
    return zone;
}

static bool is_date(const char *at)
{
    for (unsigned i = 0; i < 10; i++) {
        if (i == 4 || i == 7 ? at[i] != '-' : !isdigit((unsigned char)at[i])) {
            return false;
        }
    }
    return true;
}

/* 2021-12-04 19:00:42 America/Los_Angeles */
static void take_moment(struct parser *parser, struct value *value)
{
    int year = (int)strtol(parser->at, NULL, 10);
    unsigned month = (unsigned)strtoul(parser->at + 5, NULL, 10), day = (unsigned)strtoul(parser->at + 8, NULL, 10);
    uint32_t second = 0;
    if (month < 1 || month > 12 || day < 1 || day > 31) {
        fail(parser, "there is no such date");
        return;
    }
    parser->at += 10;
    if (!take_time_of_day(parser, &second)) {
        return;
    }
    struct zone *zone = take_zone(parser);
    if (zone != NULL) {
        value->kind = VALUE_TIME;
        value->integer = zone_from_local(zone, calendar_days(year, month, day) * 86400 + second);
        zone_free(zone);
    }
}

static void take_number(struct parser *parser, struct value *value)
{
    size_t size = strspn(parser->at, "-0123456789.e+");
    bool real = memchr(parser->at, '.', size) != NULL;
    char *end;
    errno = 0;
    value->kind = real ? VALUE_REAL : VALUE_INTEGER;
    if (real) {
        value->real = strtod(parser->at, &end);
    } else {
        value->integer = strtoll(parser->at, &end, 10);
    }
    if (errno != 0 || end == parser->at || is_letter(*end)) {
        fail(parser, "a number is expected");
        return;
    }
    parser->at = end;
}

static void take_path(struct parser *parser, struct value *value)
{
    char sentence[SENTENCE_SIZE_BYTES];
    const char *end;
    struct field_path *path = field_path_parse(parser->at, &end, sentence);
    if (path == NULL) {
        fail(parser, "%.200s", sentence);
        return;
    }
    parser->at = end;
    value->kind = VALUE_PATH;
    value->path = path_table_add(parser->table, path);
}

static const struct {
    const char *word;
    enum value_kind kind;
    int64_t integer;
} words[] = {{"true", VALUE_BOOLEAN, 1}, {"false", VALUE_BOOLEAN, 0}, {"nil", VALUE_NIL, 0}, {"now", VALUE_NOW, 0}};

static void take_value(struct parser *parser, struct value *value)
{
    skip_spaces(parser);
    if (take_sign(parser, "'")) {
        take_text(parser, value);
        return;
    }
    if (is_date(parser->at)) {
        take_moment(parser, value);
        return;
    }
    if (isdigit((unsigned char)*parser->at) || *parser->at == '-') {
        take_number(parser, value);
        return;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (take_word(parser, words[i].word)) {
            value->kind = words[i].kind;
            value->integer = words[i].integer;
            return;
        }
    }
    if (take_word(parser, "trigger_count") || take_word(parser, "resetting_trigger_count")) {
        fail(parser, "counting triggers is not supported");
        return;
    }
    take_path(parser, value);
}

/* ---------------------------------------------------------------- comparisons */

/* Mon,Tue 09:00:00 to 17:00:00 Europe/Berlin; `now in` is taken. */
static void take_schedule(struct parser *parser, struct term *term)
{
    static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
    term->kind = TERM_SCHEDULE;
    do {
        unsigned day = 0;
        while (day < 7 && !take_word(parser, days[day])) {
            day++;
        }
        if (day == 7) {
            fail(parser, "a day of the week like Mon is expected");
            return;
        }
        term->days |= (uint8_t)(1u << day);
    } while (take_sign(parser, ","));
    if (!take_time_of_day(parser, &term->from_s)) {
        return;
    }
    if (!take_word(parser, "to")) {
        fail(parser, "the word to is expected");
        return;
    }
    if (take_time_of_day(parser, &term->to_s)) {
        term->zone = take_zone(parser);
    }
}

static void take_regex(struct parser *parser, struct term *term)
{
    const char *begin = parser->at;
    char error[PATTERN_ERROR_SIZE_BYTES];
    if (term->b.kind != VALUE_TEXT) {
        fail(parser, "a regular expression is a text in single quotes");
        return;
    }
    term->pattern = pattern_compile(term->b.text, !term->exactly, error);
    if (term->pattern == NULL) {
        parser->at = begin;
        fail(parser, "the regular expression is refused: %s", error);
    }
}

/* What follows `matches` or `does not match`. */
static void take_match(struct parser *parser, struct term *term)
{
    term->kind = take_word(parser, "part") ? TERM_PART : take_word(parser, "regex") ? TERM_REGEX : TERM_MATCHES;
    term->exactly = take_word(parser, "exactly");
    take_value(parser, &term->b);
    if (!parser->failed && term->kind == TERM_REGEX) {
        take_regex(parser, term);
    }
}

static const struct {
    const char *sign;
    enum term_kind kind;
    bool negated;
} signs[] = {{"==", TERM_EQUAL, false},   {"!=", TERM_EQUAL, true},    {"<=", TERM_AT_MOST, false},
             {">=", TERM_AT_LEAST, false}, {"<", TERM_LESS, false}, {">", TERM_GREATER, false}};

static bool take_sign_comparison(struct parser *parser, struct term *term, bool *negated)
{
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        if (take_sign(parser, signs[i].sign)) {
            term->kind = signs[i].kind;
            *negated = signs[i].negated;
            take_value(parser, &term->b);
            return true;
        }
    }
    return false;
}

static bool take_exists(struct parser *parser, struct term *term)
{
    if (!take_word(parser, "exists") && !take_word(parser, "exist")) {
        return false;
    }
    term->kind = TERM_EXISTS;
    if (term->a.kind != VALUE_PATH) {
        fail(parser, "only a path can exist");
    }
    return true;
}

/* What is done with the value that was read; nothing: it must be true by itself. */
static void take_comparison(struct parser *parser, struct term *term, bool *negated)
{
    if (take_word(parser, "matches")) {
        take_match(parser, term);
    } else if (take_word(parser, "does")) {
        *negated = true;
        if (!take_word(parser, "not")) {
            fail(parser, "the word not is expected");
        } else if (take_word(parser, "match")) {
            take_match(parser, term);
        } else if (!take_exists(parser, term)) {
            fail(parser, "match or exist is expected");
        }
    } else if (take_word(parser, "in")) {
        if (term->a.kind != VALUE_NOW) {
            fail(parser, "only now can be in a schedule");
            return;
        }
        take_schedule(parser, term);
    } else if (!take_exists(parser, term) && !take_sign_comparison(parser, term, negated) &&
               term->a.kind != VALUE_PATH && term->a.kind != VALUE_BOOLEAN) {
        fail(parser, "matches, exists, ==, <, <=, >, >= or in is expected");
    }
}

static uint16_t negate(struct parser *parser, uint16_t inside)
{
    uint16_t term = new_term(parser, TERM_NOT);
    if (term != NO_TERM) {
        parser->terms[term].left = inside;
    }
    return term;
}

static uint16_t parse_comparison(struct parser *parser)
{
    bool negated = false;
    uint16_t index = new_term(parser, TERM_VALUE);
    if (index == NO_TERM) {
        return NO_TERM;
    }
    struct term *term = &parser->terms[index];
    term->begin = (size_t)(parser->at - parser->text);
    take_value(parser, &term->a);
    if (!parser->failed) {
        take_comparison(parser, term, &negated);
    }
    term->end = (size_t)(parser->at - parser->text);
    while (term->end > term->begin && strchr(" \t\r\n", parser->text[term->end - 1]) != NULL) {
        term->end--;
    }
    return negated && !parser->failed ? negate(parser, index) : index;
}

/* ---------------------------------------------------------------- not, and, or */

static uint16_t parse_factor(struct parser *parser)
{
    bool no = take_word(parser, "not");
    bool open = !no && take_sign(parser, "(");
    if (!no && !open) {
        if (++parser->factors > CONDITION_FACTORS_MAX) {
            return fail(parser, "the condition has more than %u parts", CONDITION_FACTORS_MAX);
        }
        return parse_comparison(parser);
    }
    if (++parser->depth > CONDITION_NESTING_MAX) {
        return fail(parser, "the condition is nested too deep (maximum is %u)", CONDITION_NESTING_MAX);
    }
    uint16_t inside = no ? parse_factor(parser) : parse_any(parser);
    parser->depth--;
    if (parser->failed) {
        return NO_TERM;
    }
    if (no) {
        return negate(parser, inside);
    }
    return take_sign(parser, ")") ? inside : fail(parser, "a closing parenthesis or and, or is expected");
}

/* Parts joined by a word, from the left. */
static uint16_t parse_joined(struct parser *parser, const char *word, enum term_kind kind,
                             uint16_t (*parse_part)(struct parser *))
{
    uint16_t left = parse_part(parser);
    while (!parser->failed && take_word(parser, word)) {
        uint16_t right = parse_part(parser);
        uint16_t joined = parser->failed ? NO_TERM : new_term(parser, kind);
        if (joined != NO_TERM) {
            parser->terms[joined].left = left;
            parser->terms[joined].right = right;
        }
        left = joined;
    }
    return left;
}

static uint16_t parse_all(struct parser *parser)
{
    return parse_joined(parser, "and", TERM_AND, parse_factor);
}

static uint16_t parse_any(struct parser *parser)
{
    return parse_joined(parser, "or", TERM_OR, parse_all);
}

/* ---------------------------------------------------------------- whole */

static void terms_free(struct term *terms, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        free(terms[i].a.text);
        free(terms[i].a.folded);
        free(terms[i].b.text);
        free(terms[i].b.folded);
        pattern_free(terms[i].pattern);
        zone_free(terms[i].zone);
    }
}

struct condition *condition_parse(const char *text, struct path_table *table, char sentence[SENTENCE_SIZE_BYTES])
{
    struct parser *parser = allocate(sizeof *parser);
    *parser = (struct parser){.text = text, .at = text, .table = table, .sentence = sentence};
    struct condition *condition = NULL;
    uint16_t root = NO_TERM;
    if (strlen(text) > LIMIT_CONDITION_SIZE_BYTES) {
        fail(parser, "the condition is longer than %u bytes", LIMIT_CONDITION_SIZE_BYTES);
    } else {
        root = parse_any(parser);
        skip_spaces(parser);
    }
    if (!parser->failed && *parser->at != '\0') {
        fail(parser, "and, or or the end is expected");
    }
    if (parser->failed) {
        terms_free(parser->terms, parser->count);
    } else {
        condition = allocate(sizeof *condition);
        *condition = (struct condition){.count = parser->count, .root = root};
        condition->terms = allocate(parser->count * sizeof *condition->terms);
        memcpy(condition->terms, parser->terms, parser->count * sizeof *condition->terms);
        condition->text = allocate(strlen(text) + 1);
        memcpy(condition->text, text, strlen(text) + 1);
    }
    free(parser);
    return condition;
}

void condition_free(struct condition *condition)
{
    if (condition != NULL) {
        terms_free(condition->terms, condition->count);
        free(condition->terms);
        free(condition->text);
        free(condition);
    }
}
