/* Whether a condition holds for an event. */
#include <stdlib.h>
#include <string.h>

#include "node/orchestration/condition_internal.h"

/* A zone takes about as much memory as so many instructions. */
#define SCHEDULE_WEIGHT 1000u

struct judge {
    const struct condition *condition;
    struct facts *facts;
    json_t *trace;
};

/* ---------------------------------------------------------------- values as they are now */

/* A value without its path. */
struct seen {
    enum value_kind kind;
    int64_t integer;
    double real;
    const char *text;
    const json_t *json; /* an object or a list */
};

static struct seen see_json(const json_t *json)
{
    if (json_is_string(json)) {
        return (struct seen){.kind = VALUE_TEXT, .text = json_string_value(json)};
    }
    if (json_is_integer(json)) {
        return (struct seen){.kind = VALUE_INTEGER, .integer = json_integer_value(json)};
    }
    if (json_is_real(json)) {
        return (struct seen){.kind = VALUE_REAL, .real = json_real_value(json)};
    }
    if (json_is_boolean(json)) {
        return (struct seen){.kind = VALUE_BOOLEAN, .integer = json_is_true(json)};
    }
    return (struct seen){.kind = VALUE_NIL, .json = json_is_null(json) ? NULL : json};
}

static struct seen see(const struct judge *judge, const struct value *value)
{
    if (value->kind == VALUE_PATH) {
        return see_json(facts_value(judge->facts, value->path));
    }
    if (value->kind == VALUE_NOW) {
        return (struct seen){.kind = VALUE_TIME, .integer = (int64_t)(judge->facts->now_ms / 1000)};
    }
    return (struct seen){.kind = value->kind, .integer = value->integer, .real = value->real, .text = value->text};
}

static bool is_number(const struct seen *value)
{
    return value->kind == VALUE_INTEGER || value->kind == VALUE_REAL;
}

/* Less, equal, greater as -1, 0, 1; 2 when the values cannot be compared. A long double holds any of both exactly. */
static int compare(const struct seen *a, const struct seen *b)
{
    if (a->kind == VALUE_TIME && b->kind == VALUE_TIME) {
        return a->integer < b->integer ? -1 : a->integer > b->integer;
    }
    if (!is_number(a) || !is_number(b)) {
        return 2;
    }
    long double left = a->kind == VALUE_REAL ? (long double)a->real : (long double)a->integer;
    long double right = b->kind == VALUE_REAL ? (long double)b->real : (long double)b->integer;
    return left < right ? -1 : left > right;
}

static bool is_equal(const struct seen *a, const struct seen *b)
{
    if (a->json != NULL || b->json != NULL) {
        return a->json != NULL && b->json != NULL && json_equal(a->json, b->json);
    }
    int compared = compare(a, b);
    if (compared != 2 || a->kind != b->kind) {
        return compared == 0;
    }
    switch (a->kind) {
    case VALUE_TEXT:
        return strcmp(a->text, b->text) == 0;
    case VALUE_BOOLEAN:
        return a->integer == b->integer;
    case VALUE_NIL:
        return true;
    default:
        return false;
    }
}

/* ---------------------------------------------------------------- texts */

/* The value as a text; false for nothing. */
static bool text_of(const struct judge *judge, const struct value *value, struct pattern_text *text)
{
    if (value->kind == VALUE_TEXT) {
        *text = (struct pattern_text){value->text, value->folded, value->size_bytes};
        return true;
    }
    if (value->kind == VALUE_PATH) {
        const struct pattern_text *found = facts_text(judge->facts, value->path);
        if (found != NULL) {
            *text = *found;
        }
        return found != NULL;
    }
    json_t *json = value->kind == VALUE_INTEGER   ? json_integer(value->integer)
                   : value->kind == VALUE_REAL    ? json_real(value->real)
                   : value->kind == VALUE_BOOLEAN ? json_boolean(value->integer)
                                                  : NULL;
    const char *words = facts_value_text(judge->facts, json);
    json_decref(json);
    if (words != NULL) {
        *text = facts_text_of(judge->facts, words, strlen(words));
    }
    return words != NULL;
}

static bool matches(const struct judge *judge, const struct term *term)
{
    struct pattern_text a, b;
    if (!text_of(judge, &term->a, &a)) {
        return false;
    }
    if (term->kind == TERM_REGEX) {
        return facts_find(judge->facts, term->pattern, &a, NULL);
    }
    if (!text_of(judge, &term->b, &b)) {
        return false;
    }
    const char *in = term->exactly ? a.text : a.folded, *what = term->exactly ? b.text : b.folded;
    if (term->kind == TERM_PART) {
        return b.size_bytes == 0 || memmem(in, a.size_bytes, what, b.size_bytes) != NULL;
    }
    return a.size_bytes == b.size_bytes && memcmp(in, what, a.size_bytes) == 0;
}

/* ---------------------------------------------------------------- schedules */

/* Days are those on which it begins; an end that is not after the beginning is on the next day. The last second counts. */
static bool is_scheduled(const struct judge *judge, const struct term *term)
{
    int64_t local_s = zone_to_local(term->zone, (int64_t)(judge->facts->now_ms / 1000));
    int64_t second = local_s % 86400;
    unsigned day = (unsigned)((local_s / 86400 + 3) % 7); /* 1970 began on a Thursday */
    bool today = (term->days >> day & 1) != 0, yesterday = (term->days >> ((day + 6) % 7) & 1) != 0;
    if (term->from_s < term->to_s) {
        return today && second >= term->from_s && second <= term->to_s;
    }
    return (today && second >= term->from_s) || (yesterday && second <= term->to_s);
}

/* ---------------------------------------------------------------- terms */

static bool holds(const struct judge *judge, uint16_t index);

static bool compares(const struct judge *judge, const struct term *term)
{
    struct seen a = see(judge, &term->a), b = see(judge, &term->b);
    int compared = term->kind == TERM_EQUAL ? 0 : compare(&a, &b);
    switch (term->kind) {
    case TERM_EQUAL:
        return is_equal(&a, &b);
    case TERM_LESS:
        return compared == -1;
    case TERM_AT_MOST:
        return compared == -1 || compared == 0;
    case TERM_GREATER:
        return compared == 1;
    case TERM_AT_LEAST:
        return compared == 1 || compared == 0;
    default:
        abort();
    }
}

static bool is_true(const struct judge *judge, const struct term *term)
{
    switch (term->kind) {
    case TERM_VALUE: {
        struct seen value = see(judge, &term->a);
        return value.kind == VALUE_BOOLEAN && value.integer != 0;
    }
    case TERM_EXISTS:
        return facts_value(judge->facts, term->a.path) != NULL;
    case TERM_MATCHES:
    case TERM_PART:
    case TERM_REGEX:
        return matches(judge, term);
    case TERM_SCHEDULE:
        return is_scheduled(judge, term);
    default:
        return compares(judge, term);
    }
}

static void note(const struct judge *judge, const struct term *term, bool result, bool given_up)
{
    json_t *part = json_object();
    json_object_set_new(part, "condition",
                        json_stringn(judge->condition->text + term->begin, term->end - term->begin));
    json_object_set_new(part, "result", json_boolean(result));
    if (term->a.kind == VALUE_PATH) {
        json_t *value = facts_value(judge->facts, term->a.path);
        json_object_set(part, "value", value != NULL ? value : json_null());
    }
    if (given_up) {
        json_object_set_new(part, "given_up", json_true());
    }
    json_array_append_new(judge->trace, part);
}

static bool holds(const struct judge *judge, uint16_t index)
{
    const struct term *term = &judge->condition->terms[index];
    switch (term->kind) {
    case TERM_OR:
        return holds(judge, term->left) || holds(judge, term->right);
    case TERM_AND:
        return holds(judge, term->left) && holds(judge, term->right);
    case TERM_NOT:
        return !holds(judge, term->left);
    default: {
        unsigned given_up = judge->facts->given_up;
        bool result = is_true(judge, term);
        if (judge->trace != NULL) {
            note(judge, term, result, judge->facts->given_up > given_up);
        }
        return result;
    }
    }
}

bool condition_holds(const struct condition *condition, struct facts *facts, json_t *trace)
{
    struct judge judge = {condition, facts, trace};
    return holds(&judge, condition->root);
}

unsigned condition_instructions(const struct condition *condition)
{
    unsigned count = 0;
    for (unsigned i = 0; i < condition->count; i++) {
        count += condition->terms[i].pattern != NULL ? pattern_instructions(condition->terms[i].pattern) : 0;
        count += condition->terms[i].zone != NULL ? SCHEDULE_WEIGHT : 0;
    }
    return count;
}
