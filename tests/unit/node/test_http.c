/* A request's target taken apart, and the memory that lives as long as the request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/http/http.h"
#include "node/http/utf8.h"

struct seen {
    unsigned answers, status;
    char body[64];
    const char *header;
};

static void take(void *context, struct http_request *request)
{
    struct seen *seen = context;

    seen->answers++;
    seen->status = request->status;
    snprintf(seen->body, sizeof seen->body, "%.*s", (int)request->response_body_size_bytes,
             request->response_body != NULL ? request->response_body : "");
}

static struct http_request *request_for(const char *target)
{
    static struct seen nobody;

    return http_request_new("GET", target, (struct span){NULL, 0}, (struct http_sink){take, &nobody});
}

static void given_a_path_when_taken_apart_then_parts_are_decoded(void **state)
{
    (void)state;
    struct http_request *request = request_for("/incidents/P%30%2f1/na%C3%AFve+x");

    assert_non_null(request);
    assert_int_equal(request->parts_count, 3);
    assert_string_equal(request->parts[0], "incidents");
    assert_string_equal(request->parts[1], "P0/1"); /* an escaped slash does not make another part */
    assert_string_equal(request->parts[2], "na\xc3\xafve+x"); /* a plus sign is a space in queries only */
    assert_string_equal(request->path, "/incidents/P0/1/na\xc3\xafve+x");
    http_request_free(request);
}

static void given_slashes_doubled_by_concatenation_then_the_path_is_the_same(void **state)
{
    static const char *const targets[] = {"/users/P1", "//users/P1", "/users//P1/", "///users///P1///"};

    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        struct http_request *request = request_for(targets[i]);
        assert_non_null(request);
        assert_string_equal(request->path, "/users/P1");
        assert_int_equal(request->parts_count, 2);
        http_request_free(request);
    }
    struct http_request *root = request_for("/");
    assert_string_equal(root->path, "/");
    assert_int_equal(root->parts_count, 0);
    http_request_free(root);
}

static void given_a_query_then_parameters_are_decoded_in_order(void **state)
{
    (void)state;
    struct http_request *request =
        request_for("/incidents?statuses[]=triggered&statuses%5B%5D=acknowledged&query=a+b%26c&empty=&flag&&x=1=2");

    assert_non_null(request);
    assert_int_equal(request->query_count, 6);
    assert_string_equal(request->query[1].name, "statuses[]");
    assert_string_equal(request->query[1].value, "acknowledged");
    assert_string_equal(http_query(request, "statuses[]"), "triggered");
    assert_string_equal(http_query(request, "query"), "a b&c");
    assert_string_equal(http_query(request, "empty"), "");
    assert_string_equal(http_query(request, "flag"), "");
    assert_string_equal(http_query(request, "x"), "1=2");
    assert_null(http_query(request, "statuses"));
    http_request_free(request);
}

static void given_a_malformed_target_then_there_is_no_request(void **state)
{
    static const char *const targets[] = {
        "", "users", "*", "/a%", "/a%4", "/a%zz", "/a%00b", "/?a=%00", "/?%00=a", "/%ff", "/?a=%c3%28",
        "/%c0%af", /* a slash in more bytes than it needs */
        "/%ed%a0%80", /* half of a surrogate pair */
        "/1/2/3/4/5/6/7/8/9/10/11/12/13",
    };

    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        assert_null(request_for(targets[i]));
    }
}

static void given_a_target_beyond_its_bounds_then_there_is_no_request(void **state)
{
    char target[HTTP_TARGET_SIZE_BYTES_MAX + 2];
    char parameters[3 * (HTTP_QUERY_PARAMETERS_MAX + 1) + 3] = "/?";

    (void)state;
    memset(target, 'a', sizeof target - 1);
    target[0] = '/';
    target[sizeof target - 1] = '\0';
    assert_null(request_for(target));
    target[sizeof target - 2] = '\0';
    struct http_request *longest = request_for(target);
    assert_non_null(longest);
    http_request_free(longest);

    for (unsigned i = 0; i < HTTP_QUERY_PARAMETERS_MAX; i++) {
        strcat(parameters, "a=&");
    }
    struct http_request *most = request_for(parameters);
    assert_non_null(most);
    assert_int_equal(most->query_count, HTTP_QUERY_PARAMETERS_MAX);
    http_request_free(most);
    strcat(parameters, "a=&");
    assert_null(request_for(parameters));
}

static void given_an_answer_then_it_leaves_once_with_its_body(void **state)
{
    struct seen seen = {0};
    struct http_request *request =
        http_request_new("POST", "/x", (struct span){"abc", 3}, (struct http_sink){take, &seen});

    (void)state;
    assert_string_equal(request->method, "POST");
    assert_null(request->header(request, "Host"));
    http_response_header(request, "Allow", "GET");
    assert_int_equal(request->response_headers_count, 1);
    assert_string_equal(request->response_headers[0].value, "GET");
    http_respond(request, 202, "text/plain", strdup("taken"), 5);
    assert_int_equal(seen.answers, 1);
    assert_int_equal(seen.status, 202);
    assert_string_equal(seen.body, "taken");
}

static void given_allocations_of_all_sizes_then_each_is_zeroed_aligned_and_its_own(void **state)
{
    struct http_request *request = request_for("/");
    unsigned char *blocks[200];

    (void)state;
    for (size_t i = 0; i < 200; i++) {
        size_t size = i * i;
        blocks[i] = http_alloc(request, size);
        assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
        for (size_t j = 0; j < size; j++) {
            assert_int_equal(blocks[i][j], 0);
        }
        memset(blocks[i], (int)i + 1, size);
    }
    for (size_t i = 1; i < 200; i++) {
        assert_int_equal(blocks[i][0], (unsigned char)(i + 1));
        assert_int_equal(blocks[i][i * i - 1], (unsigned char)(i + 1));
    }
    http_request_free(request);
}

static void given_texts_then_characters_are_counted_and_bad_bytes_refused(void **state)
{
    static const struct {
        const char *text;
        int characters; /* -1: refused */
    } rows[] = {
        {"", 0},
        {"abc", 3},
        {"na\xc3\xafve", 5},
        {"\xe2\x82\xac", 1},
        {"\xf0\x9f\x93\x9f!", 2},
        {"\xf4\x8f\xbf\xbf", 1},
        {"\xc3", -1},
        {"\x80", -1},
        {"\xc1\x81", -1},
        {"\xe0\x80\xaf", -1},
        {"\xed\xbf\xbf", -1},
        {"\xf0\x80\x80\x80", -1},
        {"\xf4\x90\x80\x80", -1},
        {"\xf5\x80\x80\x80", -1},
        {"\xff", -1},
        {"\xe2\x82", -1},
    };
    size_t characters;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool valid = utf8_count(rows[i].text, strlen(rows[i].text), &characters);
        assert_int_equal(valid, rows[i].characters >= 0);
        if (valid) {
            assert_int_equal(characters, rows[i].characters);
        }
    }
    assert_false(utf8_count("a\0b", 3, &characters));
    assert_int_equal(utf8_prefix_size_bytes("na\xc3\xafve", 3), 4);
    assert_int_equal(utf8_prefix_size_bytes("abc", 5), 3);
    assert_int_equal(utf8_prefix_size_bytes("abc", 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_a_path_when_taken_apart_then_parts_are_decoded),
        cmocka_unit_test(given_slashes_doubled_by_concatenation_then_the_path_is_the_same),
        cmocka_unit_test(given_a_query_then_parameters_are_decoded_in_order),
        cmocka_unit_test(given_a_malformed_target_then_there_is_no_request),
        cmocka_unit_test(given_a_target_beyond_its_bounds_then_there_is_no_request),
        cmocka_unit_test(given_an_answer_then_it_leaves_once_with_its_body),
        cmocka_unit_test(given_allocations_of_all_sizes_then_each_is_zeroed_aligned_and_its_own),
        cmocka_unit_test(given_texts_then_characters_are_counted_and_bad_bytes_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
