/* Matchers of mutes: as texts, as Alertmanager's objects, and back. */
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/render.h"
#include "node/api/suppression/suppression.h"
#include "node/suppression/mute_match.h"

/* Longer operators before those that they begin with. */
static const struct {
    const char *text;
    bool is_regex, is_negative;
} operators[] = {{"=~", true, false}, {"!~", true, true}, {"!=", false, true}, {"=", false, false}};
#define OPERATORS_COUNT (sizeof operators / sizeof *operators)

/* What stands between the quotes, without its escapes; NULL when they do not end. */
static char *unquote(struct http_request *request, const char *text)
{
    char *value = http_alloc(request, strlen(text) + 1), *to = value;

    for (; *text != '"'; text++) {
        if (*text == '\0' || (*text == '\\' && text[1] == '\0')) {
            return NULL;
        }
        /* Of others the backslash stays: expressions are full of them. */
        if (*text == '\\' && strchr("\\\"n", text[1]) != NULL) {
            text++;
            *to++ = *text == 'n' ? '\n' : *text;
        } else {
            *to++ = *text;
        }
    }
    *to = '\0';
    return text[1] == '\0' ? value : NULL;
}

bool matcher_parse(struct http_request *request, const char *text, Tocsin__Matcher *matcher)
{
    size_t name_size = strcspn(text, "=!"), at = 0;
    const char *behind = text + name_size;

    while (at < OPERATORS_COUNT && strncmp(behind, operators[at].text, strlen(operators[at].text)) != 0) {
        at++;
    }
    if (at == OPERATORS_COUNT) {
        return false;
    }
    behind += strlen(operators[at].text);
    behind += strspn(behind, " ");
    while (name_size > 0 && text[name_size - 1] == ' ') {
        name_size--;
    }
    size_t before = strspn(text, " ");
    if (before >= name_size) {
        return false;
    }
    tocsin__matcher__init(matcher);
    matcher->name = memcpy(http_alloc(request, name_size - before + 1), text + before, name_size - before);
    matcher->is_regex = operators[at].is_regex;
    matcher->is_negative = operators[at].is_negative;
    matcher->value = *behind == '"' ? unquote(request, behind + 1) : http_strdup(request, behind);
    return matcher->value != NULL;
}

/* With the escapes that unquote takes away, and no others; freed by the caller. */
static char *quote(const char *value)
{
    char *text = malloc(2 * strlen(value) + 1), *to = text;

    if (text == NULL) {
        abort();
    }
    for (; *value != '\0'; value++) {
        if (strchr("\\\"\n", *value) != NULL) {
            *to++ = '\\';
        }
        *to++ = *value == '\n' ? 'n' : *value;
    }
    *to = '\0';
    return text;
}

json_t *json_matcher(const Tocsin__Matcher *matcher)
{
    const char *operator= matcher->is_regex ? (matcher->is_negative ? "!~" : "=~") : matcher->is_negative ? "!=" : "=";
    char *quoted = quote(matcher->value);
    json_t *text = json_format("%s%s\"%s\"", matcher->name, operator, quoted);

    free(quoted);
    return text;
}

/* One of Alertmanager's objects. */
static bool take_object(struct http_request *request, json_t *object, Tocsin__Matcher *matcher)
{
    const char *name = json_string_value(json_object_get(object, "name"));
    const char *value = json_string_value(json_object_get(object, "value"));

    if (name == NULL || value == NULL || name[0] == '\0') {
        return false;
    }
    tocsin__matcher__init(matcher);
    matcher->name = http_strdup(request, name);
    matcher->value = http_strdup(request, value);
    matcher->is_regex = json_is_true(json_object_get(object, "isRegex"));
    matcher->is_negative = json_is_false(json_object_get(object, "isEqual"));
    return true;
}

static void check_matchers(struct field_reader *reader, const Tocsin__Mute *mute)
{
    char error[PATTERN_ERROR_SIZE_BYTES];
    bool all_take_nothing = mute->n_matchers > 0;

    for (size_t i = 0; i < mute->n_matchers; i++) {
        if (!matcher_is_sound(mute->matchers[i], error)) {
            field_error(reader, "The expression of the matcher '%s' is invalid: %s", mute->matchers[i]->name, error);
            return;
        }
        all_take_nothing = all_take_nothing && matcher_holds(mute->matchers[i], "");
    }
    if (all_take_nothing) {
        field_error(reader, "At least one matcher must not match the empty string: this would mute everything");
    }
}

void take_matchers(struct field_reader *reader, Tocsin__Mute *mute)
{
    json_t *given = NULL, *element;
    size_t i;

    if (!field_array(reader, "matchers", LIMIT_MATCHERS_PER_MUTE, &given) || given == NULL) {
        return;
    }
    mute->matchers = http_alloc(reader->request, (json_array_size(given) + 1) * sizeof(Tocsin__Matcher *));
    mute->n_matchers = 0;
    json_array_foreach(given, i, element)
    {
        Tocsin__Matcher *matcher = http_alloc(reader->request, sizeof *matcher);
        const char *text = json_string_value(element);
        bool good = text != NULL ? matcher_parse(reader->request, text, matcher)
                                 : take_object(reader->request, element, matcher);
        if (!good) {
            field_error(reader, "'matchers' must be texts like name=value, name!=value, name=~expression or "
                                "name!~expression, or objects with name, value and isRegex");
            return;
        }
        mute->matchers[mute->n_matchers++] = matcher;
    }
    check_matchers(reader, mute);
}
