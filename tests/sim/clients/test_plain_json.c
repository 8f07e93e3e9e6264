/* Answers are read as the library reads them, and nothing is taken that it would not take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/clients/plain_json.h"

static const char ANSWER[] = "{\"incidents\": [{\"id\":\"P00001C\",\"incident_number\":12,\"title\":\"db \\\"main\\\" is down\\n\\u00e9\","
                             "\"service\":{\"id\":\"P000012\",\"summary\":\"K\xc3\xb6ln\"},\"assignments\":[],\"resolved\":null,\"open\":true,"
                             "\"shown\":false,\"less\":-7,\"none\":0,\"large\":123456789012345678,\"twice\":1,\"twice\":2,\"of\":{}}] ,\n\t\"more\":false}\r\n";

static void an_answer_is_read_as_the_library_reads_it(void **state)
{
    (void)state;
    json_t *own = plain_json_read(ANSWER, sizeof ANSWER - 1), *library = json_loadb(ANSWER, sizeof ANSWER - 1, 0, NULL);
    assert_non_null(own);
    assert_true(json_equal(own, library));
    json_decref(own);
    json_decref(library);
}

static void what_is_not_plain_is_left_to_the_library(void **state)
{
    static const char *const texts[] = {"{\"a\":1.5}", "{\"a\":1e3}", "{\"a\":9223372036854775807}", "{\"\\u0061\":1}", "{\"\xc3\xb6\":1}"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_null(plain_json_read(texts[i], strlen(texts[i])));
        json_t *loaded = plain_json_load(texts[i], strlen(texts[i]));
        assert_non_null(loaded);
        json_decref(loaded);
    }
}

static void what_is_no_json_is_none(void **state)
{
    static const char *const texts[] = {"", " ", "7", "\"text\"", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "[1,]", "[01]", "[-]", "[1 2]", "[tru]", "[\"a]",
                                        "[\"\n\"]", "[\"\\\"]", "[\"\\x\"]", "[\"\xff\"]", "[\"\xc3\"]", "{}{}", "[] x", "{a:1}", "[nul]", "[\"\\u0000\"]"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) assert_null(plain_json_load(texts[i], strlen(texts[i])));
    assert_null(plain_json_load("[]\0", 3));
}

static void lists_within_lists_have_an_end(void **state)
{
    char text[400];
    (void)state;
    memset(text, '[', 200);
    memset(text + 200, ']', 200);
    assert_null(plain_json_read(text, sizeof text));
}

/* Each byte changed to each of some others, and each end: never more than the library takes, and never another value. */
static void spoilt_answers_are_judged_alike(void **state)
{
    static const char others[] = "\"{}[],:0-.\\ \nt\x01\x80\xff";
    char text[sizeof ANSWER];
    (void)state;
    for (size_t at = 0; at + 1 < sizeof ANSWER; at++) {
        for (size_t other = 0; other < sizeof others; other++) { /* the last: nothing from here on */
            memcpy(text, ANSWER, sizeof text);
            text[at] = others[other];
            size_t size_bytes = others[other] != '\0' ? sizeof ANSWER - 1 : at;
            json_t *own = plain_json_read(text, size_bytes), *library = json_loadb(text, size_bytes, 0, NULL);
            assert_true(own == NULL || json_equal(own, library));
            json_decref(own);
            json_decref(library);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_read_as_the_library_reads_it),
        cmocka_unit_test(what_is_not_plain_is_left_to_the_library),
        cmocka_unit_test(what_is_no_json_is_none),
        cmocka_unit_test(lists_within_lists_have_an_end),
        cmocka_unit_test(spoilt_answers_are_judged_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
