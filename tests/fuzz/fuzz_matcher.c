/* Matchers of mutes as people write them: refused, or the same when they are shown and read again, and the opposite when negated. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/suppression/suppression.h"
#include "node/suppression/mute_match.h"
#include "tests/fuzz/input.h"

static void never(void *context, struct http_request *request)
{
    (void)context;
    (void)request;
    fuzz_require(!"nobody answers here");
}

static bool is_same(const Tocsin__Matcher *a, const Tocsin__Matcher *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->value, b->value) == 0 && a->is_regex == b->is_regex &&
           a->is_negative == b->is_negative;
}

static void judge_shown(struct http_request *request, const Tocsin__Matcher *matcher)
{
    json_t *shown = json_matcher(matcher);
    Tocsin__Matcher again;
    fuzz_require(json_is_string(shown));
    fuzz_require(matcher_parse(request, json_string_value(shown), &again));
    fuzz_require(is_same(matcher, &again));
    json_decref(shown);
}

static void judge_meaning(Tocsin__Matcher *matcher, const char *label)
{
    char error[PATTERN_ERROR_SIZE_BYTES] = "";
    bool sound = matcher_is_sound(matcher, error), holds = matcher_holds(matcher, label);
    fuzz_require(sound || error[0] != '\0');
    fuzz_require(holds == matcher_holds(matcher, label));
    matcher->is_negative = !matcher->is_negative;
    bool opposite = matcher_holds(matcher, label);
    /* Of an expression that is given up, neither holds: the alert pages. */
    fuzz_require(matcher->is_regex ? !(holds && opposite) : holds != opposite);
}

/* The first line is a matcher, the second the label that it is about. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct fuzz_input input = fuzz_input(data, size_bytes);
    size_t characters;
    char *text = fuzz_line(&input), *label = fuzz_line(&input);
    struct http_request *request = http_request_new("GET", "/mutes", (struct span){.data = ""}, (struct http_sink){.respond = never});
    Tocsin__Matcher matcher;
    fuzz_require(request != NULL);
    if (fuzz_utf8(text, strlen(text), &characters) && fuzz_utf8(label, strlen(label), &characters) &&
        matcher_parse(request, text, &matcher)) {
        fuzz_require(matcher.name[0] != '\0' && matcher.value != NULL);
        judge_shown(request, &matcher);
        judge_meaning(&matcher, label);
    }
    http_request_free(request);
    free(text);
    free(label);
    return 0;
}
