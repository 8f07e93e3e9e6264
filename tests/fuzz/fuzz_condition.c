/* Conditions of event orchestration: refused with a sentence, or judged alike however they are put, within their steps. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/orchestration/condition.h"
#include "tests/fuzz/input.h"

#define NOW_MS 1638561600000u

/* 1 or 0; -1 when it is refused. */
static int judge(const char *text, json_t *root)
{
    struct path_table table = {0};
    char sentence[SENTENCE_SIZE_BYTES] = "";
    int result = -1;
    struct condition *condition = condition_parse(text, &table, sentence);
    if (condition != NULL) {
        struct facts facts;
        json_t *trace = json_array();
        facts_init(&facts, json_incref(root), NOW_MS);
        facts_use(&facts, &table);
        result = condition_holds(condition, &facts, trace);
        fuzz_require(json_array_size(trace) >= 1 && json_array_size(trace) <= CONDITION_FACTORS_MAX);
        fuzz_require(facts.steps_left <= STEPS_PER_EVENT);
        /* Every step is spent before a pattern is given up; then nothing more can be said of the others. */
        result = facts.given_up > 0 ? -1 : result;
        facts_close(&facts);
        json_decref(trace);
    } else {
        fuzz_require(sentence[0] != '\0' && fuzz_utf8(sentence, strlen(sentence), &(size_t){0}));
    }
    condition_free(condition);
    path_table_free(&table);
    return result;
}

static int judge_within(const char *before, const char *text, const char *after, json_t *root)
{
    char *whole = NULL;
    fuzz_require(asprintf(&whole, "%s%s%s", before, text, after) > 0);
    int result = judge(whole, root);
    free(whole);
    return result;
}

/* The first line is a condition, the rest the event as JSON. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct fuzz_input input = fuzz_input(data, size_bytes);
    size_t characters;
    char *text = fuzz_line(&input), *event = fuzz_text(fuzz_rest(&input));
    if (fuzz_utf8(text, strlen(text), &characters)) {
        json_t *value = json_loads(event, 0, NULL);
        json_t *root = json_pack("{s:o, s:{}, s:{s:s}}", "event", json_is_object(value) ? json_incref(value) : json_object(),
                                 "raw_event", "variables", "a", "b");
        int result = judge(text, root);
        int opposite = judge_within("not (", text, ")", root), same = judge_within("(", text, ")", root);
        int both = judge_within("(", text, ") and true", root), either = judge_within("false or (", text, ")", root);
        /* What goes around a condition may bring it to its bounds. */
        fuzz_require(result == -1 || opposite == -1 || opposite == !result);
        fuzz_require(result == -1 || same == -1 || same == result);
        fuzz_require(result == -1 || both == -1 || both == result);
        fuzz_require(result == -1 || either == -1 || either == result);
        fuzz_require(result == judge(text, root));
        json_decref(root);
        json_decref(value);
    }
    free(text);
    free(event);
    return 0;
}
