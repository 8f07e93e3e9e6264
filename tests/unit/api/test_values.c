/* Ids, times, fields and pages as the outside sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/api/api.h"
#include "node/api/router.h"

static void given_ids_then_they_read_back_in_either_case(void **state)
{
    static const struct {
        uint64_t id;
        const char *text;
    } rows[] = {
        {1, "P000001"},          {31, "P00000Z"},         {32, "P000010"},
        {(1u << 30) - 1, "PZZZZZZ"}, {1u << 30, "P1000000"}, {UINT64_MAX, "PFZZZZZZZZZZZZ"},
    };
    char text[16], lower[16];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        id_format(rows[i].id, text);
        assert_string_equal(text, rows[i].text);
        assert_true(id_parse(text) == rows[i].id);
        for (size_t j = 0; j < sizeof lower; j++) {
            lower[j] = text[j] >= 'A' && text[j] <= 'Z' ? (char)(text[j] + 32) : text[j];
        }
        assert_true(id_parse(lower) == rows[i].id);
    }
}

static void given_what_is_no_id_then_it_is_zero(void **state)
{
    static const char *const texts[] = {
        "",        "P",       "P00001",   "000001",  "Q000001",         "P00000I",        "P00000L",  "P00000O",
        "P00000U", "P00000-", "P0000010", "P00000 ", "P00000000000001", "PG000000000000", "P000001 ", "P00000\xc3\xa9",
        "P000000",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (id_parse(texts[i]) != 0) {
            fail_msg("\"%s\" was taken for an id", texts[i]);
        }
    }
    json_t *none = json_id(0);
    assert_true(json_is_null(none));
    json_decref(none);
}

static void given_times_then_they_are_written_in_utc(void **state)
{
    static const struct {
        uint64_t time_ms;
        const char *text;
    } rows[] = {
        {1444167042999, "2015-10-06T21:30:42Z"}, {1, "1970-01-01T00:00:00Z"}, {1709164800000, "2024-02-29T00:00:00Z"}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *time = json_time(rows[i].time_ms);
        assert_string_equal(json_string_value(time), rows[i].text);
        json_decref(time);
    }
    json_t *never = json_time(0);
    assert_true(json_is_null(never));
    json_decref(never);
    json_t *beyond = json_time(UINT64_MAX);
    assert_non_null(beyond);
    json_decref(beyond);
}

static void given_texts_then_characters_count_not_bytes(void **state)
{
    (void)state;
    assert_true(text_fits("", 0));
    assert_true(text_fits("\xe2\x82\xac\xe2\x82\xac", 2));
    assert_false(text_fits("\xe2\x82\xac\xe2\x82\xac", 1));
    assert_false(text_fits("\xff", 5));
}

/* ---------------------------------------------------------------- answers of the readers */

struct heard {
    unsigned status;
    json_t *body;
};

static void hear(void *context, struct http_request *request)
{
    struct heard *heard = context;

    heard->status = request->status;
    heard->body = json_loadb(request->response_body, request->response_body_size_bytes, 0, NULL);
    assert_non_null(heard->body);
}

/* A request as handlers get it. */
static struct http_request *request_for(const char *target, struct heard *heard)
{
    struct http_request *request =
        http_request_new("GET", target, (struct span){NULL, 0}, (struct http_sink){hear, heard});

    assert_non_null(request);
    struct router_call *call = http_alloc(request, sizeof *call);
    call->call.request = request;
    call->family = FAMILY_REST;
    request->state = call;
    return request;
}

static const char *error_text(const struct heard *heard, size_t i)
{
    return json_string_value(json_array_get(json_object_get(json_object_get(heard->body, "error"), "errors"), i));
}

static void given_good_fields_then_they_are_read_and_absent_ones_left_alone(void **state)
{
    struct heard heard = {0};
    struct http_request *request = request_for("/", &heard);
    json_t *body = json_loads("{\"name\":\"Al\u20ac\",\"count\":-5,\"on\":true,\"off\":false,\"o\":{},\"a\":[1,2],"
                              "\"user\":{\"id\":\"P000001\",\"type\":\"user\"},\"nothing\":null}",
                              0, NULL);
    struct field_reader reader = {.request = request, .object = body, .prefix = ""};
    const char *text = "before";
    int64_t number = 7;
    bool flag = false, present = true;
    json_t *inner = NULL;
    uint64_t id = 0;

    (void)state;
    assert_non_null(body);
    assert_true(field_string(&reader, "absent", 3, &text, &present));
    assert_string_equal(text, "before");
    assert_false(present);
    assert_true(field_string(&reader, "nothing", 3, &text, &present));
    assert_false(present);
    assert_true(field_string(&reader, "name", 3, &text, &present));
    assert_string_equal(text, "Al\xe2\x82\xac");
    assert_true(present);
    assert_true(field_integer(&reader, "count", -5, 5, &number, NULL));
    assert_int_equal(number, -5);
    assert_true(field_boolean(&reader, "on", &flag, NULL));
    assert_true(flag);
    assert_true(field_boolean(&reader, "off", &flag, NULL));
    assert_false(flag);
    assert_true(field_object(&reader, "o", &inner));
    assert_true(json_is_object(inner));
    assert_true(field_array(&reader, "a", 2, &inner));
    assert_int_equal(json_array_size(inner), 2);
    assert_true(field_reference(&reader, "user", &id, &present));
    assert_int_equal(id, 1);
    assert_true(fields_finish(&reader));
    json_decref(body);
    http_request_free(request);
}

static void given_bad_fields_then_all_are_told_at_once(void **state)
{
    struct heard heard = {0};
    struct http_request *request = request_for("/", &heard);
    json_t *body =
        json_loads("{\"name\":\"abcd\",\"text\":5,\"count\":6,\"real\":1.5,\"on\":1,\"o\":[],\"a\":{},\"long\":[1,2,3],"
                   "\"user\":\"P000001\",\"other\":{\"id\":5},\"third\":{\"id\":\"nobody\"}}",
                   0, NULL);
    struct field_reader reader = {.request = request, .object = body, .prefix = "thing."};
    static const char *const expected[] = {
        "'thing.name' is too long (maximum is 3 characters)",
        "'thing.text' must be a string",
        "'thing.count' must be from -5 to 5",
        "'thing.real' must be an integer",
        "'thing.on' must be true or false",
        "'thing.o' must be an object",
        "'thing.a' must be an array",
        "'thing.long' is too long (maximum is 2 elements)",
        "'thing.user' must be a reference with the id of an object",
        "'thing.other' must be a reference with the id of an object",
        "'thing.third' must be a reference with the id of an object",
    };
    const char *text = NULL;
    int64_t number = 0;
    bool flag = false;
    json_t *inner = NULL;
    uint64_t id = 0;

    (void)state;
    assert_non_null(body);
    assert_false(field_string(&reader, "name", 3, &text, NULL));
    assert_false(field_string(&reader, "text", 3, &text, NULL));
    assert_false(field_integer(&reader, "count", -5, 5, &number, NULL));
    assert_false(field_integer(&reader, "real", -5, 5, &number, NULL));
    assert_false(field_boolean(&reader, "on", &flag, NULL));
    assert_false(field_object(&reader, "o", &inner));
    assert_false(field_array(&reader, "a", 2, &inner));
    assert_false(field_array(&reader, "long", 2, &inner));
    assert_false(field_reference(&reader, "user", &id, NULL));
    assert_false(field_reference(&reader, "other", &id, NULL));
    assert_false(field_reference(&reader, "third", &id, NULL));
    assert_null(text);
    assert_null(inner);
    assert_int_equal(id, 0);
    assert_false(fields_finish(&reader));
    json_decref(body);

    assert_int_equal(heard.status, 400);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(heard.body, "error"), "code")), 2001);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_string_equal(error_text(&heard, i), expected[i]);
    }
    assert_null(error_text(&heard, sizeof expected / sizeof *expected));
    json_decref(heard.body);
}

/* ---------------------------------------------------------------- pages */

/* Walks over so many rows and counts those given out. */
static unsigned walk(struct page *page, unsigned rows)
{
    unsigned given_out = 0;

    for (unsigned i = 0; i < rows && !page_done(page); i++) {
        given_out += page_take(page);
    }
    return given_out;
}

static void given_pages_then_limit_offset_more_and_total_are_right(void **state)
{
    static const struct {
        const char *target;
        unsigned rows, given_out, limit, offset;
        bool more;
        int total; /* -1: null */
    } rows[] = {
        {"/x", 0, 0, 25, 0, false, -1},
        {"/x", 25, 25, 25, 0, false, -1},
        {"/x", 26, 25, 25, 0, true, -1},
        {"/x?limit=10&offset=20", 30, 10, 10, 20, false, -1},
        {"/x?limit=10&offset=20", 31, 10, 10, 20, true, -1},
        {"/x?limit=10&offset=40", 30, 0, 10, 40, false, -1},
        {"/x?limit=1000", 150, 100, 100, 0, true, -1},
        {"/x?total=true&limit=5", 33, 5, 5, 0, true, 33},
        {"/x?total=1&limit=5&offset=30", 33, 3, 5, 30, false, 33},
        {"/x?total=false&limit=5", 33, 5, 5, 0, true, -1},
        {"/x?limit=100&offset=9900", 3, 0, 100, 9900, false, -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct heard heard = {0};
        struct http_request *request = request_for(rows[i].target, &heard);
        struct page page;
        json_t *answer = json_object();

        assert_true(page_parse(request, &page));
        assert_int_equal(walk(&page, rows[i].rows), rows[i].given_out);
        page_finish(&page, answer);
        assert_int_equal(json_integer_value(json_object_get(answer, "limit")), rows[i].limit);
        assert_int_equal(json_integer_value(json_object_get(answer, "offset")), rows[i].offset);
        assert_int_equal(json_is_true(json_object_get(answer, "more")), rows[i].more);
        json_t *total = json_object_get(answer, "total");
        assert_int_equal(json_is_integer(total) ? json_integer_value(total) : -1, rows[i].total);
        json_decref(answer);
        http_request_free(request);
    }
}

static void given_a_bad_page_then_it_is_refused(void **state)
{
    static const char *const targets[] = {
        "/x?limit=0",
        "/x?limit=-1",
        "/x?limit=ten",
        "/x?limit=",
        "/x?offset=-1",
        "/x?offset=1x",
        "/x?limit=99999999999999999999",
        "/x?offset=9976",
        "/x?limit=100&offset=9901",
        "/x?offset=4294967295",
        "/x?offset=4294967296",
    };

    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        struct heard heard = {0};
        struct page page;
        assert_false(page_parse(request_for(targets[i], &heard), &page));
        assert_int_equal(heard.status, 400);
        assert_non_null(error_text(&heard, 0));
        json_decref(heard.body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_ids_then_they_read_back_in_either_case),
        cmocka_unit_test(given_what_is_no_id_then_it_is_zero),
        cmocka_unit_test(given_times_then_they_are_written_in_utc),
        cmocka_unit_test(given_texts_then_characters_count_not_bytes),
        cmocka_unit_test(given_good_fields_then_they_are_read_and_absent_ones_left_alone),
        cmocka_unit_test(given_bad_fields_then_all_are_told_at_once),
        cmocka_unit_test(given_pages_then_limit_offset_more_and_total_are_right),
        cmocka_unit_test(given_a_bad_page_then_it_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
