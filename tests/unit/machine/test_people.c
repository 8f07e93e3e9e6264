/* Users, contact methods, notification rules; tokens and settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "tests/support/machine_probe.h"

#define INVALID TOCSIN__STATUS__STATUS_INVALID
#define NOT_FOUND TOCSIN__STATUS__STATUS_NOT_FOUND
#define CONFLICT TOCSIN__STATUS__STATUS_CONFLICT
#define LIMIT TOCSIN__STATUS__STATUS_LIMIT
#define BAD_VALUE TOCSIN__REASON__REASON_BAD_VALUE

static char too_long[LIMIT_ADDRESS_CHARACTERS + 2];

/* ---------------------------------------------------------------- users */

struct user_request {
    Tocsin__User user;
    Tocsin__UserPut put;
    Tocsin__Command command;
};

/* A request to create (id 0) or to change; valid until the test spoils it. */
static struct user_request *user_request(struct user_request *request, uint64_t id)
{
    tocsin__user__init(&request->user);
    request->user.name = probe_text("Ada");
    request->user.email = probe_text("ada@example.org");
    tocsin__user_put__init(&request->put);
    request->put.id = id;
    request->put.user = &request->user;
    request->command = COMMAND(USER_PUT, user_put, request->put);
    return request;
}

static void a_new_user_can_be_read_back(void **state)
{
    struct machine_probe *probe = *state;
    struct user_request request;
    user_request(&request, 0)->user.time_zone = probe_text("Europe/Dublin");
    request.user.created_at_ms = 5; /* not the requester's to say */
    uint64_t id = probe_done(probe, &request.command);
    assert_int_equal(id, 1);
    Tocsin__User *user = user_get(&probe->store, id, NULL);
    assert_string_equal(user->name, "Ada");
    assert_string_equal(user->time_zone, "Europe/Dublin");
    assert_int_equal(user->role, TOCSIN__ROLE__ROLE_USER);
    assert_int_equal(user->created_at_ms, probe->time_ms);
    tocsin__user__free_unpacked(user, NULL);
}

static void a_change_touches_only_its_fields(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t id = probe_user(probe, "Ada", "ada@example.org");
    struct user_request request;
    user_request(&request, id)->user.name = probe_text("Ada Lovelace");
    request.user.email = probe_text("not to be looked at");
    request.put.fields = probe_field(&tocsin__user__descriptor, "name");
    assert_int_equal(probe_done(probe, &request.command), id);
    Tocsin__User *user = user_get(&probe->store, id, NULL);
    assert_string_equal(user->name, "Ada Lovelace");
    assert_string_equal(user->email, "ada@example.org");
    tocsin__user__free_unpacked(user, NULL);
}

static void an_email_address_belongs_to_one_user(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t ada = probe_user(probe, "Ada", "ada@example.org");
    uint64_t bob = probe_user(probe, "Bob", "bob@example.org");
    struct user_request request;
    user_request(&request, 0)->user.email = probe_text("ADA@Example.org");
    probe_refused(probe, &request.command, CONFLICT, TOCSIN__REASON__REASON_EMAIL_TAKEN);
    user_request(&request, bob)->put.fields = probe_field(&tocsin__user__descriptor, "email");
    probe_refused(probe, &request.command, CONFLICT, TOCSIN__REASON__REASON_EMAIL_TAKEN);

    /* The owner may write it another way, and after a change the old one is free. */
    user_request(&request, ada)->user.email = probe_text("Ada@Example.org");
    request.put.fields = probe_field(&tocsin__user__descriptor, "email");
    probe_done(probe, &request.command);
    request.user.email = probe_text("lovelace@example.org");
    probe_done(probe, &request.command);
    user_request(&request, bob)->put.fields = probe_field(&tocsin__user__descriptor, "email");
    probe_done(probe, &request.command);
    assert_int_equal(probe_rows(probe, TABLE_USER_BY_EMAIL), 2);
}

static void a_user_that_breaks_the_rules_is_refused(void **state)
{
    struct machine_probe *probe = *state;
    struct user_request request;
    static const char *const bad_emails[] = {"", "ada", "@example.org", "ada@", "a da@example.org",
                                             "ada@example.org\r\nBcc: eve@example.org", "\xff@example.org"};
    for (size_t i = 0; i < sizeof bad_emails / sizeof bad_emails[0]; i++) {
        user_request(&request, 0)->user.email = probe_text(bad_emails[i]);
        probe_refused(probe, &request.command, INVALID, BAD_VALUE);
    }
    static const char *const bad_names[] = {"", "Ada\nLovelace", "\xc3"};
    for (size_t i = 0; i < sizeof bad_names / sizeof bad_names[0]; i++) {
        user_request(&request, 0)->user.name = probe_text(bad_names[i]);
        probe_refused(probe, &request.command, INVALID, BAD_VALUE);
    }
    char name[2 * (LIMIT_USER_NAME_CHARACTERS + 1) + 1] = "";
    for (unsigned i = 0; i < LIMIT_USER_NAME_CHARACTERS + 1; i++) {
        memcpy(name + 2 * i, "\xc3\xa4", 3); /* characters count, not bytes */
    }
    user_request(&request, 0)->user.name = name;
    probe_refused(probe, &request.command, INVALID, BAD_VALUE);
    name[2 * LIMIT_USER_NAME_CHARACTERS] = '\0';
    probe_done(probe, &request.command);
    user_request(&request, 99)->put.fields = UINT64_MAX;
    probe_refused(probe, &request.command, NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_USER);
    user_request(&request, 0)->put.user = NULL;
    probe_refused(probe, &request.command, INVALID, BAD_VALUE);
}

static Tocsin__UserDelete user_deletion(uint64_t id)
{
    Tocsin__UserDelete deletion;
    tocsin__user_delete__init(&deletion);
    deletion.id = id;
    return deletion;
}

/* ---------------------------------------------------------------- contact methods */

struct method_request {
    Tocsin__ContactMethod method;
    Tocsin__ContactMethodPut put;
    Tocsin__Command command;
};

static struct method_request *method_request(struct method_request *request, uint64_t user_id, uint64_t id,
                                             Tocsin__Channel channel, const char *address)
{
    tocsin__contact_method__init(&request->method);
    request->method.user_id = user_id;
    request->method.channel = channel;
    request->method.address = probe_text(address);
    tocsin__contact_method_put__init(&request->put);
    request->put.id = id;
    request->put.contact_method = &request->method;
    request->command = COMMAND(CONTACT_METHOD_PUT, contact_method_put, request->put);
    return request;
}

static void each_channel_has_its_addresses(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t ada = probe_user(probe, "Ada", "ada@example.org");
    static const struct {
        Tocsin__Channel channel;
        const char *good, *bad[5];
    } cases[] = {
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, "ada@example.org", {"ada", "a@b\n", "", "@b", NULL}},
        {TOCSIN__CHANNEL__CHANNEL_SMS, "5551234", {"555-1234", "5+551234", "123", "123456789012345678901", NULL}},
        {TOCSIN__CHANNEL__CHANNEL_VOICE, "12345678901234567890", {"call me", "12 34", "", "1234x", NULL}},
        {TOCSIN__CHANNEL__CHANNEL_PUSH, "https://ntfy.sh/ada", {"", "two words", "a\tb", "\x80", NULL}},
        {TOCSIN__CHANNEL__CHANNEL_WEBHOOK, "http://h.example/x", {"ftp://h/x", "http://", "h.example", "http://a b"}},
    };
    struct method_request request;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (const char *const *bad = cases[i].bad; *bad != NULL; bad++) {
            method_request(&request, ada, 0, cases[i].channel, *bad);
            probe_refused(probe, &request.command, INVALID, BAD_VALUE);
        }
        method_request(&request, ada, 0, cases[i].channel, cases[i].good);
        probe_done(probe, &request.command);
    }
    method_request(&request, ada, 0, TOCSIN__CHANNEL__CHANNEL_NONE, "x");
    probe_refused(probe, &request.command, INVALID, BAD_VALUE);
    memset(too_long, 'x', sizeof too_long - 1);
    method_request(&request, ada, 0, TOCSIN__CHANNEL__CHANNEL_PUSH, too_long);
    probe_refused(probe, &request.command, INVALID, BAD_VALUE);
    method_request(&request, ada, 0, TOCSIN__CHANNEL__CHANNEL_SMS, "5551235")->method.country_code = 2000;
    probe_refused(probe, &request.command, INVALID, BAD_VALUE);
    method_request(&request, 99, 0, TOCSIN__CHANNEL__CHANNEL_SMS, "5551235");
    probe_refused(probe, &request.command, NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_USER);
}

static void only_telephones_have_a_country(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t ada = probe_user(probe, "Ada", "ada@example.org");
    struct method_request request;
    method_request(&request, ada, 0, TOCSIN__CHANNEL__CHANNEL_SMS, "5551234");
    uint64_t sms = probe_done(probe, &request.command);
    method_request(&request, ada, 0, TOCSIN__CHANNEL__CHANNEL_EMAIL, "ada@example.org")->method.country_code = 49;
    uint64_t email = probe_done(probe, &request.command);
    Tocsin__ContactMethod *method = contact_method_get(&probe->store, ada, sms, NULL);
    assert_int_equal(method->country_code, 1);
    tocsin__contact_method__free_unpacked(method, NULL);
    method = contact_method_get(&probe->store, ada, email, NULL);
    assert_int_equal(method->country_code, 0);
    tocsin__contact_method__free_unpacked(method, NULL);
}

static void a_contact_method_is_unique_for_its_user(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t ada = probe_user(probe, "Ada", "ada@example.org");
    uint64_t bob = probe_user(probe, "Bob", "bob@example.org");
    struct method_request request;
    method_request(&request, ada, 0, TOCSIN__CHANNEL__CHANNEL_SMS, "5551234");
    uint64_t first = probe_done(probe, &request.command);
    probe_refused(probe, &request.command, CONFLICT, TOCSIN__REASON__REASON_CONTACT_METHOD_TAKEN);
    request.method.country_code = 1; /* what it is when not given */
    probe_refused(probe, &request.command, CONFLICT, TOCSIN__REASON__REASON_CONTACT_METHOD_TAKEN);
    request.method.country_code = 49;
    uint64_t second = probe_done(probe, &request.command);
    method_request(&request, ada, 0, TOCSIN__CHANNEL__CHANNEL_VOICE, "5551234");
    probe_done(probe, &request.command);
    method_request(&request, bob, 0, TOCSIN__CHANNEL__CHANNEL_SMS, "5551234");
    probe_done(probe, &request.command);

    method_request(&request, ada, second, TOCSIN__CHANNEL__CHANNEL_SMS, "")->method.country_code = 1;
    request.put.fields = probe_field(&tocsin__contact_method__descriptor, "country_code");
    probe_refused(probe, &request.command, CONFLICT, TOCSIN__REASON__REASON_CONTACT_METHOD_TAKEN);
    method_request(&request, ada, first, TOCSIN__CHANNEL__CHANNEL_SMS, "5551234")->put.fields = UINT64_MAX;
    probe_done(probe, &request.command); /* itself is no obstacle */
    method_request(&request, ada, first, TOCSIN__CHANNEL__CHANNEL_VOICE, "5551299")->put.fields = UINT64_MAX;
    probe_refused(probe, &request.command, INVALID, BAD_VALUE); /* its type stays */
    method_request(&request, bob, first, TOCSIN__CHANNEL__CHANNEL_SMS, "5551299")->put.fields = UINT64_MAX;
    probe_refused(probe, &request.command, NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_CONTACT_METHOD);
}

static void contact_methods_of_one_user_are_bounded(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t ada = probe_user(probe, "Ada", "ada@example.org");
    struct method_request request;
    char address[32];
    for (unsigned i = 0; i < LIMIT_CONTACT_METHODS_PER_USER; i++) {
        snprintf(address, sizeof address, "a%u@example.org", i);
        probe_email(probe, ada, address);
    }
    method_request(&request, ada, 0, TOCSIN__CHANNEL__CHANNEL_SMS, "5551234");
    probe_refused(probe, &request.command, LIMIT, TOCSIN__REASON__REASON_TOO_MANY);
}

/* ---------------------------------------------------------------- notification rules */

struct rule_request {
    Tocsin__NotificationRule rule;
    Tocsin__NotificationRulePut put;
    Tocsin__Command command;
};

static struct rule_request *rule_request(struct rule_request *request, uint64_t user_id, uint64_t id,
                                         uint64_t method_id, uint32_t delay_minutes)
{
    tocsin__notification_rule__init(&request->rule);
    request->rule.user_id = user_id;
    request->rule.contact_method_id = method_id;
    request->rule.urgency = TOCSIN__URGENCY__URGENCY_HIGH;
    request->rule.start_delay_minutes = delay_minutes;
    tocsin__notification_rule_put__init(&request->put);
    request->put.id = id;
    request->put.notification_rule = &request->rule;
    request->command = COMMAND(NOTIFICATION_RULE_PUT, notification_rule_put, request->put);
    return request;
}

static void a_rule_is_unique_and_uses_a_method_of_its_user(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t ada = probe_user(probe, "Ada", "ada@example.org");
    uint64_t bob = probe_user(probe, "Bob", "bob@example.org");
    uint64_t mail = probe_email(probe, ada, "ada@example.org");
    uint64_t bobs = probe_email(probe, bob, "bob@example.org");
    struct rule_request request;
    rule_request(&request, ada, 0, mail, 0);
    uint64_t at_once = probe_done(probe, &request.command);
    probe_refused(probe, &request.command, CONFLICT, TOCSIN__REASON__REASON_NOTIFICATION_RULE_TAKEN);
    request.rule.urgency = TOCSIN__URGENCY__URGENCY_LOW;
    probe_done(probe, &request.command);
    rule_request(&request, ada, 0, mail, 5);
    uint64_t later = probe_done(probe, &request.command);

    rule_request(&request, ada, later, mail, 0)->put.fields = UINT64_MAX;
    probe_refused(probe, &request.command, CONFLICT, TOCSIN__REASON__REASON_NOTIFICATION_RULE_TAKEN);
    rule_request(&request, ada, at_once, mail, 0)->put.fields = UINT64_MAX;
    probe_done(probe, &request.command);
    rule_request(&request, ada, 0, bobs, 0);
    probe_refused(probe, &request.command, INVALID, TOCSIN__REASON__REASON_UNKNOWN_CONTACT_METHOD);
    rule_request(&request, 99, 0, mail, 0);
    probe_refused(probe, &request.command, NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_USER);
    rule_request(&request, ada, 99, mail, 0);
    probe_refused(probe, &request.command, NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_OBJECT);
    rule_request(&request, ada, 0, mail, LIMIT_DELAY_MINUTES + 1);
    probe_refused(probe, &request.command, INVALID, BAD_VALUE);
    static const Tocsin__Urgency no_urgencies[] = {TOCSIN__URGENCY__URGENCY_NONE,
                                                   TOCSIN__URGENCY__URGENCY_SEVERITY_BASED};
    for (size_t i = 0; i < 2; i++) {
        rule_request(&request, ada, 0, mail, 1)->rule.urgency = no_urgencies[i];
        probe_refused(probe, &request.command, INVALID, BAD_VALUE);
    }
}

static void a_contact_method_takes_its_rules_along(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t ada = probe_user(probe, "Ada", "ada@example.org");
    uint64_t mail = probe_email(probe, ada, "ada@example.org");
    uint64_t other = probe_email(probe, ada, "lovelace@example.org");
    struct rule_request request;
    rule_request(&request, ada, 0, mail, 0);
    probe_done(probe, &request.command);
    rule_request(&request, ada, 0, mail, 5);
    probe_done(probe, &request.command);
    rule_request(&request, ada, 0, other, 0);
    uint64_t kept = probe_done(probe, &request.command);
    Tocsin__ContactMethodDelete deletion;
    tocsin__contact_method_delete__init(&deletion);
    deletion.user_id = ada;
    deletion.id = mail;
    Tocsin__Command command = COMMAND(CONTACT_METHOD_DELETE, contact_method_delete, deletion);
    probe_done(probe, &command);
    probe_refused(probe, &command, NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_CONTACT_METHOD);
    assert_int_equal(probe_rows(probe, TABLE_CONTACT_METHOD), 1);
    assert_int_equal(probe_rows(probe, TABLE_NOTIFICATION_RULE), 1);

    Tocsin__NotificationRuleDelete rule_deletion;
    tocsin__notification_rule_delete__init(&rule_deletion);
    rule_deletion.user_id = ada;
    rule_deletion.id = kept;
    command = COMMAND(NOTIFICATION_RULE_DELETE, notification_rule_delete, rule_deletion);
    probe_done(probe, &command);
    probe_refused(probe, &command, NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_OBJECT);
}

/* ---------------------------------------------------------------- tokens, and the end of a user */

struct token_request {
    uint8_t hash[33];
    Tocsin__Token token;
    Tocsin__TokenPut put;
    Tocsin__Command command;
};

static struct token_request *token_request(struct token_request *request, uint8_t secret, uint64_t user_id)
{
    memset(request->hash, secret, sizeof request->hash);
    tocsin__token__init(&request->token);
    request->token.hash = (ProtobufCBinaryData){.len = 32, .data = request->hash};
    request->token.name = probe_text("deploy");
    request->token.user_id = user_id;
    request->token.role = TOCSIN__ROLE__ROLE_ADMIN;
    tocsin__token_put__init(&request->put);
    request->put.token = &request->token;
    request->command = COMMAND(TOKEN_PUT, token_put, request->put);
    return request;
}

static void a_token_is_found_by_its_hash_until_it_is_deleted(void **state)
{
    struct machine_probe *probe = *state;
    struct token_request request;
    token_request(&request, 0xab, 0);
    uint64_t id = probe_done(probe, &request.command);
    probe_refused(probe, &request.command, CONFLICT, BAD_VALUE);
    Tocsin__Token *token = token_get_by_hash(&probe->store, request.hash, NULL);
    assert_int_equal(token->id, id);
    assert_int_equal(token->role, TOCSIN__ROLE__ROLE_ADMIN);
    tocsin__token__free_unpacked(token, NULL);

    token_request(&request, 0xac, 99);
    probe_refused(probe, &request.command, INVALID, TOCSIN__REASON__REASON_UNKNOWN_USER);
    static const size_t wrong_sizes[] = {0, 31, 33};
    for (size_t i = 0; i < 3; i++) {
        token_request(&request, 0xac, 0)->token.hash.len = wrong_sizes[i];
        probe_refused(probe, &request.command, INVALID, BAD_VALUE);
    }

    Tocsin__TokenDelete deletion;
    tocsin__token_delete__init(&deletion);
    deletion.id = id;
    Tocsin__Command command = COMMAND(TOKEN_DELETE, token_delete, deletion);
    probe_refused(probe, &command, CONFLICT, TOCSIN__REASON__REASON_LAST_ADMINISTRATOR);
    token_request(&request, 0xad, 0);
    probe_done(probe, &request.command);
    probe_done(probe, &command);
    probe_refused(probe, &command, NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_OBJECT);
    memset(request.hash, 0xab, sizeof request.hash);
    assert_null(token_get_by_hash(&probe->store, request.hash, NULL));
}

static void a_deleted_user_leaves_nothing_behind(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t ada = probe_user(probe, "Ada", "ada@example.org");
    uint64_t bob = probe_user(probe, "Bob", "bob@example.org");
    struct rule_request rule;
    rule_request(&rule, ada, 0, probe_email(probe, ada, "ada@example.org"), 0);
    probe_done(probe, &rule.command);
    struct token_request token;
    token_request(&token, 1, ada);
    probe_done(probe, &token.command);
    token_request(&token, 2, 0);
    probe_done(probe, &token.command);
    probe_email(probe, bob, "bob@example.org");
    Tocsin__UserDelete deletion = user_deletion(ada);
    Tocsin__Command command = COMMAND(USER_DELETE, user_delete, deletion);
    probe_done(probe, &command);
    assert_int_equal(probe_rows(probe, TABLE_USER), 1);
    assert_int_equal(probe_rows(probe, TABLE_USER_BY_EMAIL), 1);
    assert_int_equal(probe_rows(probe, TABLE_CONTACT_METHOD), 1);
    assert_int_equal(probe_rows(probe, TABLE_NOTIFICATION_RULE), 0);
    assert_int_equal(probe_rows(probe, TABLE_TOKEN), 1);
    assert_int_equal(probe_rows(probe, TABLE_TOKEN_BY_HASH), 1);
    probe_refused(probe, &command, NOT_FOUND, TOCSIN__REASON__REASON_UNKNOWN_USER);
    assert_int_not_equal(probe_user(probe, "Ada", "ada@example.org"), ada); /* ids are never used again */
}

static void a_target_of_a_policy_cannot_be_deleted(void **state)
{
    struct machine_probe *probe = *state;
    uint64_t ada = probe_user(probe, "Ada", "ada@example.org");
    uint64_t bob = probe_user(probe, "Bob", "bob@example.org");
    probe_policy(probe, "Default", ada);
    Tocsin__UserDelete deletion = user_deletion(ada);
    Tocsin__Command command = COMMAND(USER_DELETE, user_delete, deletion);
    probe_refused(probe, &command, CONFLICT, TOCSIN__REASON__REASON_USER_IN_POLICY);
    assert_non_null(strstr(probe->reply->message, "Default"));
    deletion = user_deletion(bob);
    probe_done(probe, &command);
}

/* ---------------------------------------------------------------- settings */

struct settings_request {
    Tocsin__Settings settings;
    Tocsin__SettingsPut put;
    Tocsin__Command command;
};

static struct settings_request *settings_request(struct settings_request *request, const char *field)
{
    tocsin__settings__init(&request->settings);
    tocsin__settings_put__init(&request->put);
    request->put.settings = &request->settings;
    request->put.fields = probe_field(&tocsin__settings__descriptor, field);
    request->command = COMMAND(SETTINGS_PUT, settings_put, request->put);
    return request;
}

static void settings_begin_with_defaults_and_change_by_field(void **state)
{
    struct machine_probe *probe = *state;
    assert_int_equal(probe_apply(probe, 1, NULL, 0), MACHINE_OK);
    Tocsin__Settings *settings = settings_get(&probe->store, NULL);
    assert_int_equal(settings->machine_version, 1);
    assert_int_equal(settings->minute_ms, 60000);
    assert_int_equal(settings->retention_days, 400);
    assert_int_equal(settings->payload_retention_days, 90);
    assert_int_equal(settings->n_guardians, 0);
    tocsin__settings__free_unpacked(settings, NULL);

    struct settings_request request;
    settings_request(&request, "minute_ms")->settings.minute_ms = 100;
    request.settings.retention_days = 3; /* not named in `fields` */
    probe_done(probe, &request.command);
    settings = settings_get(&probe->store, NULL);
    assert_int_equal(settings->minute_ms, 100);
    assert_int_equal(settings->retention_days, 400);
    tocsin__settings__free_unpacked(settings, NULL);
}

static void assert_settings_unchanged_by(struct machine_probe *probe, struct settings_request *request)
{
    Tocsin__Settings *before = settings_get(&probe->store, NULL);
    probe_refused(probe, &request->command, INVALID, BAD_VALUE);
    Tocsin__Settings *after = settings_get(&probe->store, NULL);
    assert_int_equal(before->minute_ms, after->minute_ms);
    assert_int_equal(before->machine_version, after->machine_version);
    assert_int_equal(before->retention_days, after->retention_days);
    assert_int_equal(before->n_guardians, after->n_guardians);
    tocsin__settings__free_unpacked(before, NULL);
    tocsin__settings__free_unpacked(after, NULL);
}

static void settings_out_of_range_are_refused(void **state)
{
    struct machine_probe *probe = *state;
    assert_int_equal(probe_apply(probe, 1, NULL, 0), MACHINE_OK);
    struct settings_request request;
    settings_request(&request, "minute_ms");
    assert_settings_unchanged_by(probe, &request);
    request.settings.minute_ms = 60001;
    assert_settings_unchanged_by(probe, &request);
    settings_request(&request, "machine_version")->settings.machine_version = MACHINE_VERSION + 1;
    assert_settings_unchanged_by(probe, &request);
    settings_request(&request, "machine_version");
    assert_settings_unchanged_by(probe, &request);
    settings_request(&request, "retention_days");
    assert_settings_unchanged_by(probe, &request);
}

static void guardians_are_replaced_as_a_whole(void **state)
{
    struct machine_probe *probe = *state;
    Tocsin__ContactMethod phone;
    tocsin__contact_method__init(&phone);
    phone.channel = TOCSIN__CHANNEL__CHANNEL_VOICE;
    phone.address = probe_text("5551234");
    Tocsin__ContactMethod *phones[] = {&phone};
    Tocsin__Guardian guardians[2];
    for (unsigned i = 0; i < 2; i++) {
        tocsin__guardian__init(&guardians[i]);
        guardians[i].name = probe_text(i == 0 ? "Grace" : "Edsger");
        guardians[i].n_contact_methods = 1;
        guardians[i].contact_methods = phones;
    }
    Tocsin__Guardian *both[] = {&guardians[0], &guardians[1]};
    struct settings_request request;
    settings_request(&request, "guardians")->settings.guardians = both;
    request.settings.n_guardians = 2;
    probe_done(probe, &request.command);
    request.settings.guardians = &both[1];
    request.settings.n_guardians = 1;
    probe_done(probe, &request.command);
    Tocsin__Settings *settings = settings_get(&probe->store, NULL);
    assert_int_equal(settings->n_guardians, 1);
    assert_string_equal(settings->guardians[0]->name, "Edsger");
    assert_int_equal(settings->guardians[0]->contact_methods[0]->country_code, 1);
    tocsin__settings__free_unpacked(settings, NULL);

    phone.address = probe_text("call me");
    assert_settings_unchanged_by(probe, &request);
}

#define MACHINE_TEST(name) cmocka_unit_test_setup_teardown(name, probe_setup, probe_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(a_new_user_can_be_read_back),
        MACHINE_TEST(a_change_touches_only_its_fields),
        MACHINE_TEST(an_email_address_belongs_to_one_user),
        MACHINE_TEST(a_user_that_breaks_the_rules_is_refused),
        MACHINE_TEST(each_channel_has_its_addresses),
        MACHINE_TEST(only_telephones_have_a_country),
        MACHINE_TEST(a_contact_method_is_unique_for_its_user),
        MACHINE_TEST(contact_methods_of_one_user_are_bounded),
        MACHINE_TEST(a_rule_is_unique_and_uses_a_method_of_its_user),
        MACHINE_TEST(a_contact_method_takes_its_rules_along),
        MACHINE_TEST(a_token_is_found_by_its_hash_until_it_is_deleted),
        MACHINE_TEST(a_deleted_user_leaves_nothing_behind),
        MACHINE_TEST(a_target_of_a_policy_cannot_be_deleted),
        MACHINE_TEST(settings_begin_with_defaults_and_change_by_field),
        MACHINE_TEST(settings_out_of_range_are_refused),
        MACHINE_TEST(guardians_are_replaced_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
