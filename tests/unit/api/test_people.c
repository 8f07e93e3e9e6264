/* Users, contact methods and notification rules, as Terraform and the SDKs talk about them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/api_story.h"

static int setup(void **state)
{
    *state = api_fixture_new();
    return 0;
}

static int teardown(void **state)
{
    api_fixture_free(*state);
    return 0;
}

/* ---------------------------------------------------------------- users */

static void a_user_is_created_read_changed_and_deleted(void **state)
{
    struct api_fixture *api = *state;
    const struct api_answer *created = api_post(api, "/users",
                                                "{\"user\":{\"type\":\"user\",\"name\":\"Alice\",\"email\":\"alice@"
                                                "example.org\",\"time_zone\":\"Europe/Zurich\","
                                                "\"color\":\"green\",\"role\":\"limited_user\",\"job_title\":\"SRE\","
                                                "\"description\":\"on call\",\"shoe_size\":38}}");

    assert_int_equal(created->status, 201);
    const char *id = api_answer_text(created, "user", "id", NULL);
    const char *target = story_text("/users/%s", id);
    const struct api_answer *read = api_get(api, target);
    assert_int_equal(read->status, 200);
    assert_true(json_equal(read->json, created->json));
    assert_string_equal(api_answer_text(read, "user", "type", NULL), "user");
    assert_string_equal(api_answer_text(read, "user", "summary", NULL), "Alice");
    assert_string_equal(api_answer_text(read, "user", "self", NULL), story_text("https://tocsin.example/users/%s", id));
    assert_string_equal(api_answer_text(read, "user", "time_zone", NULL), "Europe/Zurich");
    assert_string_equal(api_answer_text(read, "user", "role", NULL), "limited_user");
    assert_true(json_is_null(api_answer_at(read, "user", "html_url", NULL)));
    assert_true(json_is_array(api_answer_at(read, "user", "teams", NULL)));
    assert_true(json_is_false(api_answer_at(read, "user", "invitation_sent", NULL)));

    /* omitted stays, null clears */
    const struct api_answer *changed = api_put(api, target, "{\"user\":{\"name\":\"Alice A.\",\"job_title\":null}}");
    assert_int_equal(changed->status, 200);
    assert_string_equal(api_answer_text(changed, "user", "name", NULL), "Alice A.");
    assert_string_equal(api_answer_text(changed, "user", "email", NULL), "alice@example.org");
    assert_string_equal(api_answer_text(changed, "user", "description", NULL), "on call");
    assert_true(json_is_null(api_answer_at(changed, "user", "job_title", NULL)));

    assert_int_equal(api_delete(api, target)->status, 204);
    story_refused(api_get(api, target), 404, 2100, "Not Found");
    story_refused(api_delete(api, target), 404, 2100, "Not Found");
    story_refused(api_put(api, target, "{\"user\":{\"name\":\"Nobody\"}}"), 404, 2100, "Not Found");
}

static void what_is_not_said_of_a_user_has_defaults(void **state)
{
    struct api_fixture *api = *state;
    const char *id = story_user(api, "Bob", "bob@example.org");
    const struct api_answer *read = api_get(api, story_text("//users/%s", id)); /* clients join base and path */

    assert_string_equal(api_answer_text(read, "user", "role", NULL), "user");
    assert_string_equal(api_answer_text(read, "user", "time_zone", NULL), "UTC");
    assert_int_equal(json_array_size(api_answer_at(read, "user", "contact_methods", NULL)), 0);
    assert_true(json_is_array(api_answer_at(read, "user", "contact_methods", NULL)));

    const struct api_answer *license = api_get(api, story_text("/users/%s/license", id)); /* Terraform reads its id */
    assert_int_equal(license->status, 200);
    assert_true(strlen(api_answer_text(license, "license", "id", NULL)) > 0);
    story_refused(api_get(api, "/users/PZZZZZZ/license"), 404, 2100, "");
    const struct api_answer *licenses = api_get(api, "/licenses");
    assert_int_equal(json_integer_value(api_answer_at(licenses, "licenses", "0", "current_value", NULL)), 1);
    const struct api_answer *allocations = api_get(api, "/license_allocations");
    assert_string_equal(api_answer_text(allocations, "license_allocations", "0", "user", "id", NULL), id);
}

static void an_email_address_belongs_to_one_user(void **state)
{
    struct api_fixture *api = *state;
    const char *bob;

    story_user(api, "Alice", "alice@example.org");
    bob = story_user(api, "Bob", "bob@example.org");
    story_refused_exactly(api_post(api, "/users", "{\"user\":{\"name\":\"A\",\"email\":\"ALICE@example.org\"}}"), 400,
                          2001, "Email has already been taken");
    story_refused_exactly(api_put(api, story_text("/users/%s", bob), "{\"user\":{\"email\":\"alice@example.org\"}}"),
                          400, 2001, "Email has already been taken");
    assert_int_equal(api_put(api, story_text("/users/%s", bob), "{\"user\":{\"email\":\"bob@example.org\"}}")->status,
                     200);
}

static void bad_users_are_refused_and_change_nothing(void **state)
{
    struct api_fixture *api = *state;
    static const struct {
        const char *body, *error;
    } bad[] = {
        {"{}", "named 'user'"},
        {"{\"user\":null}", "named 'user'"},
        {"{\"user\":[]}", "'user' must be an object"},
        {"{\"user\":{\"email\":\"a@example.org\"}}", "Name can't be blank"},
        {"{\"user\":{\"name\":\"  \",\"email\":\"a@example.org\"}}", "Name can't be blank"},
        {"{\"user\":{\"name\":7,\"email\":\"a@example.org\"}}", "'name' must be a string"},
        {"{\"user\":{\"name\":\"A\"}}", "Email can't be blank"},
        {"{\"user\":{\"name\":\"A\",\"email\":\"nowhere\"}}", "name@domain"},
        {"{\"user\":{\"name\":\"A\",\"email\":\"a@example.org\",\"role\":\"emperor\"}}",
         "'role' must be one of: owner, admin"},
        {"{\"user\":{\"name\":\"A\",\"email\":\"a@example.org\",\"role\":1}}", "'role' must be a string"},
        {"{\"user\":{\"name\":\"A\\nB\",\"email\":\"a@example.org\"}}", "one line"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        story_refused(api_post(api, "/users", bad[i].body), 400, 2001, bad[i].error);
    }
    char long_name[102];
    memset(long_name, 'x', 101);
    long_name[101] = '\0';
    story_refused(api_post(api, "/users", story_text("{\"user\":{\"name\":\"%s\",\"email\":\"a@b.c\"}}", long_name)),
                  400, 2001, "too long");
    assert_int_equal(json_array_size(api_answer_at(api_get(api, "/users"), "users", NULL)), 0);
    story_refused(api_get(api, "/users/nonsense"), 404, 2100, "");
    story_refused(
        api_put(api, story_text("/users/%s", story_user(api, "A", "a@example.org")), "{\"user\":{\"name\":null}}"), 400,
        2001, "Name can't be blank");
}

static void users_are_listed_in_pages(void **state)
{
    struct api_fixture *api = *state;
    for (int i = 0; i < 30; i++) {
        story_user(api, i == 7 ? "Grace Hopper" : story_text("User %d", i), story_text("user%d@example.org", i));
    }
    const struct api_answer *first = api_get(api, "/users");
    assert_int_equal(json_array_size(api_answer_at(first, "users", NULL)), 25);
    assert_int_equal(story_number(first, "limit", NULL), 25);
    assert_int_equal(story_number(first, "offset", NULL), 0);
    assert_true(json_is_true(api_answer_at(first, "more", NULL)));
    assert_true(json_is_null(api_answer_at(first, "total", NULL)));

    const struct api_answer *second = api_get(api, "/users?limit=25&offset=25&total=true");
    assert_int_equal(json_array_size(api_answer_at(second, "users", NULL)), 5);
    assert_true(json_is_false(api_answer_at(second, "more", NULL)));
    assert_int_equal(story_number(second, "total", NULL), 30);
    assert_string_equal(api_answer_text(second, "users", "0", "name", NULL), "User 25");

    assert_int_equal(json_array_size(api_answer_at(api_get(api, "/users?limit=100"), "users", NULL)), 30);
    assert_int_equal(json_array_size(api_answer_at(api_get(api, "/users?query=hopper"), "users", NULL)), 1);
    assert_int_equal(json_array_size(api_answer_at(api_get(api, "/users?query=USER7@"), "users", NULL)), 1);
    assert_int_equal(json_array_size(api_answer_at(api_get(api, "/users?team_ids[]=P000001"), "users", NULL)), 0);
    story_refused(api_get(api, "/users?limit=0"), 400, 2001, "Limit");
    story_refused(api_get(api, "/users?limit=ten"), 400, 2001, "Limit");
    story_refused(api_get(api, "/users?offset=-1"), 400, 2001, "Offset");
    story_refused(api_get(api, "/users?offset=9990&limit=25"), 400, 2001, "10000");
    assert_int_equal(api_get(api, "/users?offset=9975&limit=25")->status, 200);
}

static void users_me_is_who_the_token_belongs_to(void **state)
{
    struct api_fixture *api = *state;
    uint64_t alice = api_fixture_add_user(api, "Alice", "alice@example.org", TOCSIN__ROLE__ROLE_USER);
    const struct api_answer *account = api_get(api, "/users/me");

    assert_int_equal(account->status, 400);
    assert_non_null(strstr(api_answer_text(account, "error", NULL), "account-level access token"));

    api_fixture_add_token(api, "alicestoken123456789", TOCSIN__ROLE__ROLE_USER, alice);
    api->token = "alicestoken123456789";
    assert_string_equal(api_answer_text(api_get(api, "/users/me"), "user", "name", NULL), "Alice");
}

static void people_change_what_is_theirs_and_nothing_else(void **state)
{
    struct api_fixture *api = *state;
    uint64_t alice = api_fixture_add_user(api, "Alice", "alice@example.org", TOCSIN__ROLE__ROLE_LIMITED_USER);
    const char *bob = story_user(api, "Bob", "bob@example.org");
    char alice_id[16];

    id_format(alice, alice_id);
    api_fixture_add_token(api, "alicestoken123456789", TOCSIN__ROLE__ROLE_LIMITED_USER, alice);
    api->token = "alicestoken123456789";
    const char *own = story_text("/users/%s", alice_id);

    assert_int_equal(api_put(api, own, "{\"user\":{\"job_title\":\"SRE\"}}")->status, 200);
    assert_string_equal(api_answer_text(api_get(api, story_text("/users/%s", bob)), "user", "name", NULL), "Bob");
    story_contact_method(api, alice_id, "email_contact_method", "alice@example.org");

    story_refused(api_put(api, own, "{\"user\":{\"role\":\"owner\"}}"), 403, 2010, "role");
    story_refused(api_put(api, story_text("/users/%s", bob), "{\"user\":{\"name\":\"Robert\"}}"), 403, 2010, "role");
    story_refused(api_post(api, story_text("/users/%s/contact_methods", bob),
                           "{\"contact_method\":{\"type\":\"email_contact_method\",\"address\":\"eve@example.org\"}}"),
                  403, 2010, "role");
    story_refused(api_delete(api, own), 403, 2010, "role");
    story_refused(api_post(api, "/users", "{\"user\":{\"name\":\"E\",\"email\":\"e@example.org\"}}"), 403, 2010,
                  "role");
    assert_string_equal(api_answer_text(api_get(api, own), "user", "role", NULL), "limited_user");
}

/* ---------------------------------------------------------------- contact methods */

static void each_type_of_contact_method_has_its_fields(void **state)
{
    struct api_fixture *api = *state;
    const char *alice = story_user(api, "Alice", "alice@example.org");
    const char *target = story_text("/users/%s/contact_methods", alice);

    story_contact_method(api, alice, "email_contact_method", "alice@example.org");
    story_contact_method(api, alice, "sms_contact_method", "5551234567");
    story_create(
        api, target, "contact_method",
        "{\"contact_method\":{\"type\":\"phone_contact_method\",\"address\":\"791234567\",\"country_code\":41}}");
    story_contact_method(api, alice, "push_notification_contact_method", "alice-phone");
    story_contact_method(api, alice, "webhook_contact_method", "https://hooks.example.org/alice");

    const struct api_answer *list = api_get(api, target);
    assert_int_equal(list->status, 200);
    assert_int_equal(json_array_size(api_answer_at(list, "contact_methods", NULL)), 5);
    assert_null(api_answer_at(list, "more", NULL)); /* not paginated */
    assert_true(json_is_false(api_answer_at(list, "contact_methods", "0", "send_short_email", NULL)));
    assert_int_equal(json_integer_value(api_answer_at(list, "contact_methods", "1", "country_code", NULL)), 1);
    assert_int_equal(json_integer_value(api_answer_at(list, "contact_methods", "2", "country_code", NULL)), 41);
    assert_string_equal(api_answer_text(list, "contact_methods", "2", "label", NULL), "Default");
    assert_string_equal(api_answer_text(list, "contact_methods", "3", "type", NULL),
                        "push_notification_contact_method");
    assert_string_equal(api_answer_text(list, "contact_methods", "4", "type", NULL), "webhook_contact_method");

    const struct api_answer *user = api_get(api, story_text("/users/%s", alice));
    assert_string_equal(api_answer_text(user, "user", "contact_methods", "1", "type", NULL),
                        "sms_contact_method_reference");
    assert_null(api_answer_at(user, "user", "contact_methods", "1", "address", NULL));
    user = api_get(api, story_text("/users/%s?include[]=contact_methods", alice));
    assert_string_equal(api_answer_text(user, "user", "contact_methods", "1", "address", NULL), "5551234567");
}

static void a_contact_method_is_changed_and_deleted(void **state)
{
    struct api_fixture *api = *state;
    const char *alice = story_user(api, "Alice", "alice@example.org");
    const char *id = story_contact_method(api, alice, "email_contact_method", "alice@example.org");
    const char *target = story_text("/users/%s/contact_methods/%s", alice, id);

    const struct api_answer *changed =
        api_put(api, target, "{\"contact_method\":{\"type\":\"email_contact_method\",\"send_short_email\":true}}");
    assert_int_equal(changed->status, 200);
    assert_true(json_is_true(api_answer_at(changed, "contact_method", "send_short_email", NULL)));
    assert_string_equal(api_answer_text(changed, "contact_method", "address", NULL), "alice@example.org");
    assert_string_equal(api_answer_text(changed, "contact_method", "label", NULL), "Work");
    story_refused(api_put(api, target, "{\"contact_method\":{\"type\":\"sms_contact_method\"}}"), 400, 2001, "type");
    assert_int_equal(api_delete(api, target)->status, 204);
    story_refused(api_get(api, target), 404, 2100, "");
}

static void bad_contact_methods_are_refused(void **state)
{
    struct api_fixture *api = *state;
    const char *alice = story_user(api, "Alice", "alice@example.org");
    const char *target = story_text("/users/%s/contact_methods", alice);
    static const struct {
        const char *fields, *error;
    } bad[] = {
        {"\"address\":\"a@example.org\"", "Type can't be blank"},
        {"\"type\":\"pigeon_contact_method\",\"address\":\"a\"", "'type' must be one of"},
        {"\"type\":\"email_contact_method\"", "Address can't be blank"},
        {"\"type\":\"email_contact_method\",\"address\":\"nowhere\"", "e-mail"},
        {"\"type\":\"sms_contact_method\",\"address\":\"call me\"", "digits"},
        {"\"type\":\"sms_contact_method\",\"address\":\"5551234\",\"country_code\":2000",
         "'country_code' must be from 1"},
        {"\"type\":\"sms_contact_method\",\"address\":\"5551234\",\"country_code\":\"41\"", "must be an integer"},
        {"\"type\":\"sms_contact_method\",\"address\":5551234", "'address' must be a string"},
        {"\"type\":\"webhook_contact_method\",\"address\":\"ftp://example.org\"", "http"},
        {"\"type\":\"email_contact_method\",\"address\":\"a@b.c\",\"send_short_email\":\"yes\"", "true or false"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        story_refused(api_post(api, target, story_text("{\"contact_method\":{%s}}", bad[i].fields)), 400, 2001,
                      bad[i].error);
    }
    assert_int_equal(json_array_size(api_answer_at(api_get(api, target), "contact_methods", NULL)), 0);

    story_contact_method(api, alice, "sms_contact_method", "5551234");
    story_refused(
        api_post(api, target, "{\"contact_method\":{\"type\":\"sms_contact_method\",\"address\":\"5551234\"}}"), 400,
        2001, "User Contact method must be unique");
    story_refused(api_get(api, "/users/PZZZZZZ/contact_methods"), 404, 2100, "");
    story_refused(api_post(api, "/users/PZZZZZZ/contact_methods",
                           "{\"contact_method\":{\"type\":\"sms_contact_method\",\"address\":\"5551234\"}}"),
                  404, 2100, "");
}

/* ---------------------------------------------------------------- notification rules */

static const char *rule_body(int delay, const char *method, const char *urgency)
{
    return story_text("{\"notification_rule\":{\"type\":\"assignment_notification_rule\",\"start_delay_in_minutes\":%d,"
                      "\"contact_method\":{\"id\":\"%s\",\"type\":\"sms_contact_method\"},\"urgency\":\"%s\"}}",
                      delay, method, urgency);
}

static void notification_rules_say_when_and_how(void **state)
{
    struct api_fixture *api = *state;
    const char *alice = story_user(api, "Alice", "alice@example.org");
    const char *sms = story_contact_method(api, alice, "sms_contact_method", "5551234");
    const char *target = story_text("/users/%s/notification_rules", alice);
    const char *id = story_create(api, target, "notification_rule", rule_body(0, sms, "high"));
    const char *one = story_text("%s/%s", target, id);

    story_create(api, target, "notification_rule", rule_body(5, sms, "low"));
    const struct api_answer *read = api_get(api, one);
    assert_string_equal(api_answer_text(read, "notification_rule", "type", NULL), "assignment_notification_rule");
    assert_int_equal(story_number(read, "notification_rule", "start_delay_in_minutes"), 0);
    assert_string_equal(api_answer_text(read, "notification_rule", "contact_method", "id", NULL), sms);
    /* Terraform compares it with what it wrote. */
    assert_string_equal(api_answer_text(read, "notification_rule", "contact_method", "type", NULL), "sms_contact_method");
    assert_int_equal(json_array_size(api_answer_at(api_get(api, target), "notification_rules", NULL)), 2);
    const struct api_answer *low = api_get(api, story_text("%s?urgency=low", target));
    assert_int_equal(json_array_size(api_answer_at(low, "notification_rules", NULL)), 1);
    assert_string_equal(api_answer_text(low, "notification_rules", "0", "urgency", NULL), "low");
    const struct api_answer *all = api_get(api, story_text("%s?urgency=all&include[]=contact_methods", target));
    assert_string_equal(api_answer_text(all, "notification_rules", "1", "contact_method", "address", NULL), "5551234");

    const struct api_answer *changed = api_put(api, one, "{\"notification_rule\":{\"start_delay_in_minutes\":3}}");
    assert_int_equal(changed->status, 200);
    assert_int_equal(story_number(changed, "notification_rule", "start_delay_in_minutes"), 3);
    assert_string_equal(api_answer_text(changed, "notification_rule", "urgency", NULL), "high");
    story_refused_exactly(api_post(api, target, rule_body(3, sms, "high")), 400, 2001,
                          "Channel Start delay must be unique for a given contact method");
    assert_int_equal(api_delete(api, one)->status, 204);
    story_refused(api_get(api, one), 404, 2100, "");
}

static void bad_notification_rules_are_refused(void **state)
{
    struct api_fixture *api = *state;
    const char *alice = story_user(api, "Alice", "alice@example.org");
    const char *bob = story_user(api, "Bob", "bob@example.org");
    const char *sms = story_contact_method(api, alice, "sms_contact_method", "5551234");
    const char *of_bob = story_contact_method(api, bob, "sms_contact_method", "5555678");
    const char *target = story_text("/users/%s/notification_rules", alice);

    story_refused(api_post(api, target, rule_body(-1, sms, "high")), 400, 2001, "start_delay_in_minutes");
    story_refused(api_post(api, target, rule_body(20000, sms, "high")), 400, 2001, "start_delay_in_minutes");
    story_refused(api_post(api, target, rule_body(0, "elephant", "high")), 400, 2001, "contact_method");
    story_refused(api_post(api, target, rule_body(0, of_bob, "high")), 400, 2001, "not one of the user's");
    story_refused(api_post(api, target, rule_body(0, sms, "severity_based")), 400, 2001,
                  "'urgency' must be one of: high, low");
    story_refused(api_post(api, target, "{\"notification_rule\":{}}"), 400, 2001, "can't be blank");
    assert_int_equal(json_array_size(api_answer_at(api_get(api, target), "notification_rules", NULL)), 0);
}

static void without_a_leader_writes_are_refused_and_reads_are_marked(void **state)
{
    struct api_fixture *api = *state;
    const char *alice = story_user(api, "Alice", "alice@example.org");

    api->outcome = SUBMIT_UNAVAILABLE;
    api->stale = true;
    const struct api_answer *refused = api_put(api, story_text("/users/%s", alice), "{\"user\":{\"name\":\"A\"}}");
    assert_int_equal(refused->status, 503);
    assert_non_null(api_answer_header(refused, "Retry-After"));
    const struct api_answer *read = api_get(api, story_text("/users/%s", alice));
    assert_int_equal(read->status, 200);
    assert_string_equal(api_answer_header(read, "Tocsin-Stale"), "true");
    assert_string_equal(api_answer_text(read, "user", "name", NULL), "Alice");
}

static void a_change_that_cannot_be_shown_is_not_denied(void **state)
{
    struct api_fixture *api = *state;
    const char *alice = story_user(api, "Alice", "alice@example.org");

    /* given a node whose state stays behind what it answers, for its disk is full */
    api->behind = memory_store_copy(api->store);
    api->stale = true;
    const struct api_answer *made = api_post(api, story_text("/users/%s/contact_methods", alice),
        "{\"contact_method\":{\"type\":\"email_contact_method\",\"label\":\"home\",\"address\":\"a@example.org\"}}");
    /* then it does not say that there is no such thing */
    assert_int_equal(made->status, 503);
    assert_non_null(api_answer_header(made, "Retry-After"));
    /* and what was there before is shown, marked */
    const struct api_answer *read = api_get(api, story_text("/users/%s", alice));
    assert_int_equal(read->status, 200);
    assert_string_equal(api_answer_header(read, "Tocsin-Stale"), "true");
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_user_is_created_read_changed_and_deleted),
        STORY(a_change_that_cannot_be_shown_is_not_denied),
        STORY(what_is_not_said_of_a_user_has_defaults),
        STORY(an_email_address_belongs_to_one_user),
        STORY(bad_users_are_refused_and_change_nothing),
        STORY(users_are_listed_in_pages),
        STORY(users_me_is_who_the_token_belongs_to),
        STORY(people_change_what_is_theirs_and_nothing_else),
        STORY(each_type_of_contact_method_has_its_fields),
        STORY(a_contact_method_is_changed_and_deleted),
        STORY(bad_contact_methods_are_refused),
        STORY(notification_rules_say_when_and_how),
        STORY(bad_notification_rules_are_refused),
        STORY(without_a_leader_writes_are_refused_and_reads_are_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
