/* From the text of a cron expression to the sets of its fields. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "node/cron/cron_days.h"

#define FIELDS 5u
#define NUMBER_DIGITS_MAX 4u
#define WEEKDAY_NTH_MAX 5u

static const char *const months[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC", NULL};
static const char *const weekdays[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", NULL};

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY };

static const struct field {
    const char *title;
    unsigned min, max;
    const char *const *names; /* of min and what follows */
} fields[FIELDS] = {
    [MINUTE] = {"minute", 0, 59, NULL}, [HOUR] = {"hour", 0, 23, NULL},        [DAY] = {"day of the month", 1, 31, NULL},
    [MONTH] = {"month", 1, 12, months}, [WEEKDAY] = {"day of the week", 0, 7, weekdays},
};

struct parser {
    const char *at;
    const struct field *field;
    struct cron *cron;
    uint64_t set;
    char *sentence;
};

static bool refuse(struct parser *parser, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool refuse(struct parser *parser, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(parser->sentence, CRON_SENTENCE_SIZE_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool ends(char c)
{
    return c == '\0' || is_blank(c) || c == ',';
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* Case does not matter. */
static bool take(struct parser *parser, const char *word)
{
    size_t length = 0;
    while (word[length] != '\0') {
        if (upper(parser->at[length]) != word[length]) {
            return false;
        }
        length++;
    }
    parser->at += length;
    return true;
}

static bool take_number(struct parser *parser, unsigned *number)
{
    unsigned digits = 0;
    *number = 0;
    while (*parser->at >= '0' && *parser->at <= '9') {
        if (++digits > NUMBER_DIGITS_MAX) {
            return false;
        }
        *number = *number * 10 + (unsigned)(*parser->at++ - '0');
    }
    return digits > 0;
}

static bool take_value(struct parser *parser, unsigned *value)
{
    const struct field *field = parser->field;
    for (unsigned i = 0; field->names != NULL && field->names[i] != NULL; i++) {
        if (take(parser, field->names[i])) {
            *value = field->min + i;
            return true;
        }
    }
    if (!take_number(parser, value)) {
        return refuse(parser, "The %s of the cron expression cannot be read.", field->title);
    }
    if (*value < field->min || *value > field->max) {
        return refuse(parser, "The %s of a cron expression is %u to %u.", field->title, field->min, field->max);
    }
    return true;
}

static bool take_step(struct parser *parser, unsigned *step)
{
    unsigned values = parser->field->max - parser->field->min + 1;
    if (!take_number(parser, step) || *step == 0 || *step > values) {
        return refuse(parser, "A step of the %s of a cron expression is 1 to %u.", parser->field->title, values);
    }
    return true;
}

/* What stands for days that only a calendar knows: true when it was one. */
static bool take_special(struct parser *parser, unsigned value, bool has_value)
{
    struct cron *cron = parser->cron;
    const char *at = parser->at;
    unsigned nth = 0;
    if (parser->field == &fields[DAY] && !has_value && (take(parser, "LW") || take(parser, "L")) && ends(*parser->at)) {
        *(parser->at - at == 2 ? &cron->last_working_day : &cron->last_day) = true;
        return true;
    }
    if (parser->field == &fields[WEEKDAY] && has_value && take(parser, "L") && ends(*parser->at)) {
        cron->last_weekdays |= (uint8_t)(1u << value % 7);
        return true;
    }
    if (parser->field == &fields[WEEKDAY] && has_value && take(parser, "#") && take_number(parser, &nth) && nth >= 1 &&
        nth <= WEEKDAY_NTH_MAX && ends(*parser->at)) {
        cron->nth_weekdays[value % 7] |= (uint8_t)(1u << nth);
        return true;
    }
    parser->at = at;
    return false;
}

static bool take_element(struct parser *parser)
{
    const struct field *field = parser->field;
    unsigned first = field->min, last = field->max, step = 1;
    bool range = false;
    if (!take(parser, "*")) {
        if (take_special(parser, 0, false)) {
            return true;
        }
        if (!take_value(parser, &first)) {
            return false;
        }
        if (take_special(parser, first, true)) {
            return true;
        }
        last = first;
        range = take(parser, "-");
        if (range && !take_value(parser, &last)) {
            return false;
        }
        last = *parser->at == '/' && !range ? field->max : last;
    }
    if (last < first) {
        return refuse(parser, "A range of the %s of a cron expression ends before it begins.", field->title);
    }
    if (take(parser, "/") && !take_step(parser, &step)) {
        return false;
    }
    if (!ends(*parser->at)) {
        return refuse(parser, "The %s of the cron expression cannot be read.", field->title);
    }
    for (unsigned value = first; value <= last; value += step) {
        parser->set |= UINT64_C(1) << value;
    }
    return true;
}

static bool take_field(struct parser *parser, unsigned number)
{
    parser->field = &fields[number];
    parser->set = 0;
    do {
        if (!take_element(parser)) {
            return false;
        }
    } while (take(parser, ","));
    while (is_blank(*parser->at)) {
        parser->at++;
    }
    return true;
}

static bool five_fields(const char *text)
{
    unsigned count = 0;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\n' || *at == '\r') {
            return false;
        }
        count += !is_blank(*at) && (at == text || is_blank(at[-1]));
    }
    return count == FIELDS;
}

static void keep(struct cron *cron, unsigned number, uint64_t set)
{
    switch (number) {
    case MINUTE: cron->minutes = set; break;
    case HOUR: cron->hours = (uint32_t)set; break;
    case DAY: cron->days = (uint32_t)set; break;
    case MONTH: cron->months = (uint32_t)set; break;
    default: cron->weekdays = (uint8_t)((set | set >> 7) & 0x7f); break;
    }
}

bool cron_parse(const char *text, struct cron *cron, char sentence[CRON_SENTENCE_SIZE_BYTES])
{
    struct parser parser = {.at = text, .cron = cron, .sentence = sentence};
    bool stars[FIELDS];
    *cron = (struct cron){.minutes = 0};
    if (strnlen(text, CRON_CHARACTERS_MAX + 1) > CRON_CHARACTERS_MAX) {
        return refuse(&parser, "A cron expression has at most %u characters.", CRON_CHARACTERS_MAX);
    }
    if (!five_fields(text)) {
        return refuse(&parser, "A schedule is one line of five cron fields: minute, hour, day of the month, month, day of the week. "
                               "OnCalendar expressions and words like @daily are not known here.");
    }
    while (is_blank(*parser.at)) {
        parser.at++;
    }
    for (unsigned number = 0; number < FIELDS; number++) {
        stars[number] = *parser.at == '*';
        if (!take_field(&parser, number)) {
            return false;
        }
        keep(cron, number, parser.set);
    }
    cron->both_days = stars[DAY] || stars[WEEKDAY];
    cron->by_wall_clock = !stars[MINUTE] && !stars[HOUR];
    return cron_has_day(cron) || refuse(&parser, "No day of the next fifty years fits the cron expression.");
}
