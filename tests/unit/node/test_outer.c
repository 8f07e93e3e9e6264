/* The outer heartbeat's presets: what each service gets, and what its section must hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "node/outer.h"
#include "notify/compose.h"

#define NOW_MS 1790000000000u /* 2026-09-21T14:13:20Z */

static struct outer outer_of(const char *preset, const char *url, const char *key) {
    struct outer outer = {.name = compose_copy("out"), .preset = outer_preset_find(preset)};
    assert_non_null(outer.preset);
    outer.url = url != NULL ? compose_copy(url) : NULL;
    outer.key = key != NULL ? compose_copy(key) : NULL;
    return outer;
}

static void outer_close(struct outer *outer) {
    free(outer->name);
    free(outer->url);
    free(outer->key);
}

static void given_a_ping_url_then_it_is_fetched_as_it_is(void **state) {
    (void)state;
    static const char *const names[] = {"healthchecks", "deadmanssnitch", "tocsin", "url"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct outer outer = outer_of(names[i], "https://hc-ping.com/1b2c?m=well", NULL);
        struct outgoing outgoing;
        assert_null(outer_complete(&outer));
        assert_false(outer_is_mute(&outer));
        outer_compose(&outer, "dev", NOW_MS, &outgoing);
        assert_string_equal(outgoing.url, "https://hc-ping.com/1b2c?m=well");
        assert_true(outgoing.get);
        assert_int_equal(outgoing.headers_count, 0);
        assert_null(outgoing.body);
        outgoing_close(&outgoing);
        outer_close(&outer);
    }
}

static void given_opsgenie_then_the_key_is_in_its_header(void **state) {
    (void)state;
    struct outer outer = outer_of("opsgenie", "https://api.opsgenie.com/v2/heartbeats/tocsin/ping", "k-1");
    struct outgoing outgoing;
    assert_null(outer_complete(&outer));
    outer_compose(&outer, "dev", NOW_MS, &outgoing);
    assert_true(outgoing.get);
    assert_int_equal(outgoing.headers_count, 1);
    assert_string_equal(outgoing.headers[0], "Authorization: GenieKey k-1");
    outgoing_close(&outgoing);
    outer_close(&outer);
}

static void given_pagerduty_then_a_change_event_is_recorded_and_silence_pages_nobody(void **state) {
    (void)state;
    struct outer outer = outer_of("pagerduty", NULL, "R0UT1NG");
    struct outgoing outgoing;
    assert_null(outer_complete(&outer));
    assert_true(outer_is_mute(&outer));
    outer_compose(&outer, "the \"dev\" cluster", NOW_MS, &outgoing);
    assert_string_equal(outgoing.url, "https://events.pagerduty.com/v2/change/enqueue");
    assert_false(outgoing.get);
    json_t *event = json_loadb(outgoing.body, outgoing.body_size_bytes, 0, NULL), *payload = json_object_get(event, "payload");
    assert_string_equal(json_string_value(json_object_get(event, "routing_key")), "R0UT1NG");
    assert_string_equal(json_string_value(json_object_get(payload, "summary")), "Tocsin cluster the \"dev\" cluster is well");
    assert_string_equal(json_string_value(json_object_get(payload, "timestamp")), "2026-09-21T14:13:20Z");
    json_decref(event);
    outgoing_close(&outgoing);
    outer_close(&outer);
}

static void given_an_unfinished_section_then_it_says_what_is_missing(void **state) {
    (void)state;
    static const struct {
        const char *preset, *url, *key, *says;
    } cases[] = {{"tocsin", NULL, NULL, "needs url"},
                 {"opsgenie", "https://a", NULL, "needs key_file"},
                 {"pagerduty", NULL, NULL, "needs key_file"},
                 {"url", "https://a", "k", "has a key_file, which its preset does not use"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct outer outer = outer_of(cases[i].preset, cases[i].url, cases[i].key);
        assert_string_equal(outer_complete(&outer), cases[i].says);
        outer_close(&outer);
    }
    struct outer nothing = {0};
    assert_string_equal(outer_complete(&nothing), "needs preset: " OUTER_PRESETS);
    assert_null(outer_preset_find("statuspage"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_a_ping_url_then_it_is_fetched_as_it_is),
        cmocka_unit_test(given_opsgenie_then_the_key_is_in_its_header),
        cmocka_unit_test(given_pagerduty_then_a_change_event_is_recorded_and_silence_pages_nobody),
        cmocka_unit_test(given_an_unfinished_section_then_it_says_what_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
