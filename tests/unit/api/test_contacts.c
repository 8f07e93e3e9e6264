/* Whether messages arrive where people say that they can be reached: codes, answers, and what becomes of both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "notify/codes.h"
#include "tests/support/api_story.h"

#define MINUTE_MS 60000u

struct company {
    struct api_fixture *api;
    const char *alice, *bob, *phone, *policy, *shop;
};

static int setup(void **state)
{
    static struct company company;
    struct api_fixture *api = company.api = api_fixture_new();

    company.alice = story_user(api, "Alice", "alice@example.org");
    company.bob = story_user(api, "Bob", "bob@example.org");
    company.phone = story_contact_method(api, company.alice, "sms_contact_method", "5551111");
    company.policy = story_policy(api, "Shop people", company.alice);
    company.shop = story_service(api, "Shop", company.policy);
    api_fixture_add_token(api, "alicetoken123", TOCSIN__ROLE__ROLE_NONE, id_parse(company.alice));
    *state = &company;
    return 0;
}

static int teardown(void **state)
{
    struct company *company = *state;

    api_fixture_free(company->api);
    return 0;
}

static const char *method_path(struct company *company, const char *rest)
{
    return story_text("/users/%s/contact_methods/%s%s", company->alice, company->phone, rest);
}

static const struct api_answer *send_code(struct company *company)
{
    return api_post(company->api, method_path(company, "/verification"), NULL);
}

static const char *code_sent(struct company *company)
{
    return story_code(company->api);
}

static const struct api_answer *give_code(struct company *company, const char *code)
{
    return api_post(company->api, method_path(company, "/verify"), story_text("{\"code\":\"%s\"}", code));
}

static bool is_verified(struct company *company)
{
    const struct api_answer *answer = api_get(company->api, method_path(company, ""));

    assert_int_equal(answer->status, 200);
    return json_is_true(api_answer_at(answer, "contact_method", "verified", NULL));
}

static const char *other_than(const char *code)
{
    return story_text("%06u", ((unsigned)atoi(code) + 1) % 1000000);
}

static void a_code_that_comes_back_verifies(void **state)
{
    struct company *company = *state;

    assert_false(is_verified(company));
    const struct api_answer *answer = send_code(company);
    assert_int_equal(answer->status, 201);
    assert_non_null(api_answer_text(answer, "verification", "expires_at", NULL));
    const char *code = code_sent(company);
    assert_int_equal(give_code(company, story_text("%.3s %s", code, code + 3))->status, 200);
    assert_true(is_verified(company));
    const struct api_answer *method = api_get(company->api, method_path(company, ""));
    assert_string_equal(api_answer_text(method, "contact_method", "last_answered_at", NULL),
                        api_answer_text(method, "contact_method", "verified_at", NULL));
    story_refused(give_code(company, code), 400, 2001, "No code is waiting");
}

static void the_code_is_with_nobody_but_the_message(void **state)
{
    struct company *company = *state;

    send_code(company);
    const char *code = code_sent(company);
    const struct api_answer *news = api_get(company->api, story_text("/users/%s/shift_notifications", company->alice));
    assert_int_equal(news->status, 200);
    assert_null(strstr(news->text, code));
    struct walk walk = walk_under(&company->api->view, TABLE_NOTICE, id_parse(company->alice));
    assert_true(walk_next(&walk));
    assert_null(memmem(walk.value.data, walk.value.size_bytes, code, strlen(code)));
}

/* What was on its way to the old address says nothing of the new one. */
static void a_code_that_arrives_at_the_old_address_is_none(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;

    send_code(company);
    struct span packed = api->output.sends[0].packed;
    Tocsin__Notification *late = tocsin__notification__unpack(NULL, packed.size_bytes, packed.data);
    api_put(api, method_path(company, ""),
            "{\"contact_method\":{\"type\":\"sms_contact_method\",\"label\":\"Mine\",\"address\":\"5552222\"}}");
    uint8_t hash[CODE_HASH_SIZE_BYTES];
    Tocsin__Receipt receipt = TOCSIN__RECEIPT__INIT;
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    code_hash(late->user_id, late->contact_method_id, "123456", hash);
    receipt.notification_id = late->id;
    receipt.attempt = late->attempt;
    receipt.outcome = TOCSIN__OUTCOME__OUTCOME_SENT;
    receipt.code_hash = (ProtobufCBinaryData){sizeof hash, hash};
    command.body_case = TOCSIN__COMMAND__BODY_RECEIPT;
    command.receipt = &receipt;
    tocsin__notification__free_unpacked(late, NULL);
    tocsin__reply__free_unpacked(api_fixture_apply(api, &command), NULL);
    story_refused(give_code(company, "123456"), 400, 2001, "No code is waiting");
    assert_false(is_verified(company));
}

static void a_wrong_code_is_tried_five_times(void **state)
{
    struct company *company = *state;

    send_code(company);
    const char *code = code_sent(company);
    for (unsigned i = 0; i < LIMIT_CONTACT_CODE_TRIES; i++) {
        story_refused(give_code(company, other_than(code)), 400, 2001, "not the code");
    }
    story_refused(give_code(company, code), 400, 2001, "No code is waiting");
    assert_false(is_verified(company));
}

static void a_code_is_good_for_a_quarter_of_an_hour(void **state)
{
    struct company *company = *state;

    send_code(company);
    const char *code = code_sent(company);
    company->api->now_ms += CONTACT_CODE_VALID_MS;
    story_refused(give_code(company, code), 400, 2001, "No code is waiting");
}

static void codes_are_few(void **state)
{
    struct company *company = *state;

    assert_int_equal(send_code(company)->status, 201);
    story_refused(send_code(company), 400, 2001, "within the last minute");
    for (unsigned i = 1; i < LIMIT_CONTACT_CODES_PER_DAY; i++) {
        company->api->now_ms += MINUTE_MS;
        assert_int_equal(send_code(company)->status, 201);
    }
    company->api->now_ms += MINUTE_MS;
    story_refused(send_code(company), 400, 2001, "on one day");
    company->api->now_ms += 24ull * 60 * MINUTE_MS;
    assert_int_equal(send_code(company)->status, 201);
}

/* Found by reading: what was counted went with the address, and any number could be called without end. */
static void codes_are_few_whatever_becomes_of_the_address(void **state)
{
    struct company *company = *state;

    for (unsigned i = 0; i < LIMIT_CONTACT_CODES_PER_USER_PER_DAY; i++) {
        assert_int_equal(send_code(company)->status, 201);
        if (i % 2 == 0) {
            const char *body = story_text("{\"contact_method\":{\"type\":\"sms_contact_method\",\"address\":\"555%04u\"}}", i);
            assert_int_equal(api_put(company->api, method_path(company, ""), body)->status, 200);
        } else {
            assert_int_equal(api_delete(company->api, method_path(company, ""))->status, 204);
            company->phone = story_contact_method(company->api, company->alice, "sms_contact_method", story_text("555%04u", i));
        }
    }
    story_refused(send_code(company), 400, 2001, "on one day");
    /* A test arrives without a code. */
    company->api->token = "alicetoken123";
    assert_int_equal(api_post(company->api, "/users/me/test", NULL)->status, 201);
    company->api->token = API_FIXTURE_TOKEN;
    company->api->now_ms += 24ull * 60 * MINUTE_MS;
    assert_int_equal(send_code(company)->status, 201);
}

static void another_address_is_not_verified(void **state)
{
    struct company *company = *state;

    send_code(company);
    give_code(company, code_sent(company));
    api_put(company->api, method_path(company, ""),
            "{\"contact_method\":{\"type\":\"sms_contact_method\",\"label\":\"Mine\",\"address\":\"5551111\"}}");
    assert_true(is_verified(company));
    api_put(company->api, method_path(company, ""),
            "{\"contact_method\":{\"type\":\"sms_contact_method\",\"label\":\"Mine\",\"address\":\"5552222\"}}");
    assert_false(is_verified(company));
    story_refused(give_code(company, "123456"), 400, 2001, "No code is waiting");
}

static void only_the_person_or_an_administrator_asks(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;

    api_fixture_add_token(api, "bobtoken12345", TOCSIN__ROLE__ROLE_NONE, id_parse(company->bob));
    api->token = "bobtoken12345";
    assert_int_equal(send_code(company)->status, 403);
    assert_int_equal(give_code(company, "123456")->status, 403);
    api->token = "alicetoken123";
    assert_int_equal(send_code(company)->status, 201);
    story_refused(api_post(api, method_path(company, "/verify"), "{}"), 400, 2001, "can't be blank");
    story_refused(api_post(api, method_path(company, "/verify"), "{\"code\":7}"), 400, 2001, "must be a string");
    assert_int_equal(api_post(api, story_text("/users/%s/contact_methods/PZZZZZX/verification", company->alice), NULL)->status,
                     404);
}

static void a_test_page_asks_for_its_code(void **state)
{
    struct company *company = *state;

    company->api->token = "alicetoken123";
    assert_int_equal(api_post(company->api, "/users/me/test", NULL)->status, 201);
    const char *code = code_sent(company);
    assert_int_equal(give_code(company, code)->status, 200);
    assert_true(is_verified(company));
}

static void what_became_of_a_test_is_read_by_contact_method(void **state)
{
    struct company *company = *state;
    struct api_fixture *api = company->api;

    assert_int_equal(api_get(api, "/users/me/test")->status, 400); /* the token of nobody */
    api->token = "alicetoken123";
    const struct api_answer *answer = api_get(api, "/users/me/test");
    assert_true(json_is_null(api_answer_at(answer, "test", "at", NULL)));
    assert_string_equal(api_answer_text(answer, "test", "contact_methods", "0", "status", NULL), "not_tested");
    assert_int_equal(api_post(api, "/users/me/test", NULL)->status, 201);
    answer = api_get(api, "/users/me/test");
    assert_string_equal(api_answer_text(answer, "test", "contact_methods", "0", "status", NULL), "under_way");
    const char *code = code_sent(company);
    answer = api_get(api, "/users/me/test");
    assert_string_equal(api_answer_text(answer, "test", "contact_methods", "0", "status", NULL), "sent");
    assert_string_equal(api_answer_text(answer, "test", "contact_methods", "0", "contact_method", "id", NULL), company->phone);
    assert_true(json_is_null(api_answer_at(answer, "test", "contact_methods", "0", "last_answered_at", NULL)));
    assert_int_equal(give_code(company, code)->status, 200);
    answer = api_get(api, "/users/me/test");
    assert_true(json_is_string(api_answer_at(answer, "test", "contact_methods", "0", "last_answered_at", NULL)));
}

/* ---------------------------------------------------------------- pages that are answered */

static uint64_t person_answered_ms(struct company *company)
{
    Tocsin__ContactProof *proof = contact_proof_get(&company->api->view, id_parse(company->alice), 0, NULL);
    uint64_t answered_ms = proof != NULL ? proof->answered_at_ms : 0;

    tocsin__contact_proof__free_unpacked(proof, NULL);
    return answered_ms;
}

static const char *incident(struct company *company)
{
    return story_create(company->api, "/incidents", "incident",
                        story_text("{\"incident\":{\"type\":\"incident\",\"title\":\"Disk\",\"urgency\":\"high\",\"service\":"
                                   "{\"id\":\"%s\",\"type\":\"service_reference\"}}}", company->shop));
}

static void acknowledge(struct company *company, const char *id)
{
    const struct api_answer *answer =
        api_put(company->api, story_text("/incidents/%s", id),
                "{\"incident\":{\"type\":\"incident_reference\",\"status\":\"acknowledged\"}}");

    assert_int_equal(answer->status, 200);
}

static void who_acknowledges_a_page_has_answered(void **state)
{
    struct company *company = *state;
    const char *unsent = incident(company);

    company->api->token = "alicetoken123";
    acknowledge(company, unsent); /* nothing had gone out */
    assert_int_equal(person_answered_ms(company), 0);
    company->api->token = API_FIXTURE_TOKEN;
    const char *sent = incident(company);
    assert_int_equal(story_deliver(company->api), 1);
    company->api->token = "alicetoken123";
    acknowledge(company, sent);
    assert_int_equal(person_answered_ms(company), company->api->now_ms);
}

static void answers_are_known_to_the_day(void **state)
{
    struct company *company = *state;

    for (unsigned i = 0; i < 2; i++) {
        company->api->token = API_FIXTURE_TOKEN;
        const char *id = incident(company);
        story_deliver(company->api);
        company->api->token = "alicetoken123";
        acknowledge(company, id);
        company->api->now_ms += MINUTE_MS;
    }
    assert_int_equal(person_answered_ms(company), API_FIXTURE_START_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        STORY(a_code_that_comes_back_verifies),
        STORY(the_code_is_with_nobody_but_the_message),
        STORY(a_code_that_arrives_at_the_old_address_is_none),
        STORY(a_wrong_code_is_tried_five_times),
        STORY(a_code_is_good_for_a_quarter_of_an_hour),
        STORY(codes_are_few),
        STORY(codes_are_few_whatever_becomes_of_the_address),
        STORY(another_address_is_not_verified),
        STORY(only_the_person_or_an_administrator_asks),
        STORY(a_test_page_asks_for_its_code),
        STORY(what_became_of_a_test_is_read_by_contact_method),
        STORY(who_acknowledges_a_page_has_answered),
        STORY(answers_are_known_to_the_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
