/* Answers are written to the byte as the library writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/api/json_write.h"

static void written_alike(json_t *value)
{
    size_t size_bytes;
    char *own = json_write(value, &size_bytes), *library = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    assert_non_null(library);
    assert_string_equal(own, library);
    assert_int_equal(size_bytes, strlen(library));
    free(own);
    free(library);
    json_decref(value);
}

static void an_answer_is_written_as_the_library_writes_it(void **state)
{
    (void)state;
    written_alike(json_pack("{s:[{s:s, s:i, s:b, s:b, s:n, s:{}, s:[]}], s:s, s:f, s:[i, i]}", "incidents", "id", "P00001C", "incident_number", 12, "open", 1,
                            "shown", 0, "resolved", "of", "assignments", "K\xc3\xb6ln", "\xe2\x82\xac", "share", 0.25, "more", 1, 2));
}

static void each_character_is_written_as_the_library_writes_it(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 0x80; byte++) {
        const char text[] = {'a', (char)byte, 'z'};
        written_alike(json_stringn(text, sizeof text));
        json_t *object = json_object();
        if (byte != 0) assert_int_equal(json_object_setn_new(object, text, sizeof text, json_null()), 0);
        written_alike(object);
    }
    written_alike(json_string("a \"\xf0\x9f\x94\x94\"\n and a\xc2\xa0space"));
}

static void numbers_have_all_their_digits(void **state)
{
    static const json_int_t numbers[] = {0, 7, -7, 10, 1700000000123, INT64_MAX, INT64_MIN};
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) written_alike(json_integer(numbers[i]));
}

static void long_texts_have_room(void **state)
{
    char text[5000];
    (void)state;
    memset(text, '\x1f', sizeof text);
    written_alike(json_pack("[s%, s]", text, sizeof text, "after it"));
}

static void lists_within_lists_are_written(void **state)
{
    json_t *list = json_array();
    (void)state;
    for (unsigned i = 0; i < 400; i++) list = json_pack("[i, o]", (int)i, list);
    written_alike(list);
}

static void what_is_not_utf_8_is_not_written(void **state)
{
    size_t size_bytes;
    json_t *wrong = json_pack("{s:o}", "title", json_stringn_nocheck("\xff", 1));
    (void)state;
    assert_null(json_write(wrong, &size_bytes));
    json_decref(wrong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_written_as_the_library_writes_it),
        cmocka_unit_test(each_character_is_written_as_the_library_writes_it),
        cmocka_unit_test(numbers_have_all_their_digits),
        cmocka_unit_test(long_texts_have_room),
        cmocka_unit_test(lists_within_lists_are_written),
        cmocka_unit_test(what_is_not_utf_8_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
