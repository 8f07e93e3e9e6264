/* What a leader makes of certificates: told at 30, 7 and 1 days, anew each time; over when renewed; who cannot be looked at keeps what was told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "node/engine/certificates.h"

#define NOW_S UINT64_C(1790000000) /* 2026-09-21T14:13:20Z */
#define DAY_S UINT64_C(86400)
#define TOLD_MAX 8u

struct story {
    struct certificate certificates[2];
    size_t count;
    uint64_t now_s;
    char keys[TOLD_MAX][LIMIT_NODE_CONDITION_KEY_CHARACTERS]; /* told, as the state has them */
    size_t keys_count;
    unsigned notices;
    char summary[1024]; /* of the last one that began */
    Tocsin__Severity severity;
};

static int begin(void **state) {
    static struct story story;
    story = (struct story){.count = 1, .now_s = NOW_S};
    assert_true(certificate_of_url(&story.certificates[0], "https://pager.example.com:8443/", "a member's public address"));
    *state = &story;
    return 0;
}

static void on_notice(void *context, const struct condition_notice *notice) {
    struct story *story = context;
    story->notices++;
    for (size_t i = 0; i < story->keys_count; i++) {
        if (strcmp(story->keys[i], notice->key) != 0) continue;
        assert_true(notice->ended);
        memmove(story->keys[i], story->keys[--story->keys_count], sizeof story->keys[i]);
        return;
    }
    assert_false(notice->ended);
    assert_true(strlen(notice->key) < LIMIT_NODE_CONDITION_KEY_CHARACTERS);
    (void)snprintf(story->keys[story->keys_count++], sizeof story->keys[0], "%s", notice->key);
    (void)snprintf(story->summary, sizeof story->summary, "%s", notice->summary);
    story->severity = notice->severity;
}

static void look(struct story *story) {
    Tocsin__NodeCondition rows[TOLD_MAX], *list[TOLD_MAX];
    char keys[TOLD_MAX][LIMIT_NODE_CONDITION_KEY_CHARACTERS], summary[] = "as it was told";
    Tocsin__NodeConditions known = TOCSIN__NODE_CONDITIONS__INIT;
    memcpy(keys, story->keys, sizeof keys);
    for (size_t i = 0; i < story->keys_count; i++) {
        tocsin__node_condition__init(&rows[i]);
        rows[i].key = keys[i];
        rows[i].summary = summary;
        list[i] = &rows[i];
    }
    known.n_conditions = story->keys_count;
    known.conditions = list;
    certificates_look(story->certificates, story->count, &known, story->now_s * 1000, on_notice, story);
}

static void sees(struct story *story, uint64_t until_s, const char *refused) {
    struct answer answer = {.kind = ANSWER_NOT_SENT, .certificate_until_s = until_s, .certificate_refused = refused != NULL, .error = refused};
    assert_true(certificate_take(&story->certificates[0], &answer));
    look(story);
}

static void told_only(const struct story *story, const char *key, Tocsin__Severity severity, const char *says) {
    assert_int_equal(story->keys_count, 1);
    assert_string_equal(story->keys[0], key);
    assert_int_equal(story->severity, severity);
    assert_non_null(strstr(story->summary, says));
}

static void it_is_told_at_each_stage_and_over_when_renewed(void **state) {
    struct story *story = *state;
    sees(story, NOW_S + 31 * DAY_S, NULL);
    assert_int_equal(story->notices, 0);
    story->now_s = NOW_S + DAY_S + 60; /* nobody looked again: it is known until when */
    look(story);
    told_only(story, "certificate-30/pager.example.com:8443", TOCSIN__SEVERITY__SEVERITY_WARNING,
              "The certificate of pager.example.com:8443 (a member's public address) expires in 29 days, 2026-10-22 14:13 UTC");
    look(story);
    assert_int_equal(story->notices, 1);
    story->now_s = NOW_S + 24 * DAY_S;
    look(story);
    told_only(story, "certificate-7/pager.example.com:8443", TOCSIN__SEVERITY__SEVERITY_ERROR, "expires in 7 days");
    story->now_s = NOW_S + 30 * DAY_S + 3600;
    look(story);
    told_only(story, "certificate-1/pager.example.com:8443", TOCSIN__SEVERITY__SEVERITY_CRITICAL, "expires in 23 hours");
    story->now_s = NOW_S + 31 * DAY_S;
    sees(story, NOW_S + 31 * DAY_S, "certificate has expired");
    told_only(story, "certificate-expired/pager.example.com:8443", TOCSIN__SEVERITY__SEVERITY_CRITICAL, "has expired");
    sees(story, NOW_S + 400 * DAY_S, NULL);
    assert_int_equal(story->keys_count, 0);
}

static void a_new_leader_neither_repeats_nor_forgets(void **state) {
    struct story *story = *state;
    sees(story, NOW_S + 5 * DAY_S, NULL);
    story->certificates[0].known = false; /* it has not looked yet, or cannot */
    look(story);
    assert_int_equal(story->notices, 1);
    sees(story, NOW_S + 5 * DAY_S, NULL);
    assert_int_equal(story->notices, 1);
    struct answer nobody = {.kind = ANSWER_NOT_SENT, .error = "Connection refused"};
    assert_false(certificate_take(&story->certificates[0], &nobody));
    look(story);
    assert_int_equal(story->keys_count, 1);
}

static void one_that_is_not_trusted_is_a_finding_of_its_own(void **state) {
    struct story *story = *state;
    sees(story, NOW_S + 300 * DAY_S, "SSL: no alternative\ncertificate subject name matches");
    told_only(story, "certificate-untrusted/pager.example.com:8443", TOCSIN__SEVERITY__SEVERITY_ERROR, "no alternative certificate subject name");
    sees(story, NOW_S + 20 * DAY_S, "unknown issuer");
    assert_int_equal(story->keys_count, 2);
    sees(story, NOW_S + 20 * DAY_S, NULL);
    assert_int_equal(story->keys_count, 1);
}

static void what_was_told_of_an_address_that_is_configured_no_more_is_over(void **state) {
    struct story *story = *state;
    (void)snprintf(story->keys[story->keys_count++], sizeof story->keys[0], "certificate-7/old.example.com");
    (void)snprintf(story->keys[story->keys_count++], sizeof story->keys[0], "node-3/missing"); /* somebody else's */
    look(story);
    assert_int_equal(story->keys_count, 1);
    assert_string_equal(story->keys[0], "node-3/missing");
}

static void names_that_are_long_have_keys_of_their_own(void **state) {
    struct story *story = *state;
    story->count = 2;
    assert_true(certificate_of_url(&story->certificates[0], "https://a-name-that-is-longer-than-any-key-has-room-for.one.example.com", "x"));
    assert_true(certificate_of_url(&story->certificates[1], "https://a-name-that-is-longer-than-any-key-has-room-for.two.example.com", "x"));
    struct answer answer = {.certificate_until_s = NOW_S + 5 * DAY_S, .certificate_refused = true, .error = "no"};
    assert_true(certificate_take(&story->certificates[0], &answer));
    assert_true(certificate_take(&story->certificates[1], &answer));
    look(story);
    assert_int_equal(story->keys_count, 4);
    look(story);
    assert_int_equal(story->notices, 4);
}

static void secrets_of_a_url_stay_out_of_its_name(void **state) {
    (void)state;
    static const struct {
        const char *url, *name;
    } cases[] = {{"https://hc-ping.com/1b2c-secret", "hc-ping.com"},
                 {"https://user:pa@ss@ntfy.example.com:444/x", "ntfy.example.com:444"},
                 {"https://[2001:db8::1]:8443?key=secret", "[2001:db8::1]:8443"},
                 {"smtps://mail.example.com", "mail.example.com"},
                 {"smtp://mail.example.com:587", "mail.example.com:587"},
                 {"http://pager.example.com", NULL},
                 {"https:///nothing", NULL},
                 {NULL, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct certificate certificate;
        assert_int_equal(certificate_of_url(&certificate, cases[i].url, "x"), cases[i].name != NULL);
        if (cases[i].name != NULL) assert_string_equal(certificate.name, cases[i].name);
    }
}

int main(void) {
#define STORY(name) cmocka_unit_test_setup(name, begin)
    const struct CMUnitTest tests[] = {
        STORY(it_is_told_at_each_stage_and_over_when_renewed),
        STORY(a_new_leader_neither_repeats_nor_forgets),
        STORY(one_that_is_not_trusted_is_a_finding_of_its_own),
        STORY(what_was_told_of_an_address_that_is_configured_no_more_is_over),
        STORY(names_that_are_long_have_keys_of_their_own),
        STORY(secrets_of_a_url_stay_out_of_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
