/* What each channel puts into a request, how it judges each class of answer, and what people read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <nettle/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notify/channel.h"
#include "notify/compose.h"

static struct notify_settings settings;

/* Strings of a notification are not const: each test's own copies, freed by released(). */
static struct {
    Tocsin__Notification notification;
    char address[2048], title[8192], service[1024], user[64];
} disk;

static void given_a_full_disk(Tocsin__Channel channel, const char *address)
{
    memset(&disk, 0, sizeof disk);
    tocsin__notification__init(&disk.notification);
    (void)snprintf(disk.address, sizeof disk.address, "%s", address);
    (void)snprintf(disk.title, sizeof disk.title, "Disk full on db1");
    (void)snprintf(disk.service, sizeof disk.service, "Payments");
    (void)snprintf(disk.user, sizeof disk.user, "Alice");
    disk.notification.id = 345;
    disk.notification.incident_id = 42;
    disk.notification.incident_number = 12;
    disk.notification.channel = channel;
    disk.notification.address = disk.address;
    disk.notification.title = disk.title;
    disk.notification.service_name = disk.service;
    disk.notification.user_name = disk.user;
    disk.notification.urgency = TOCSIN__URGENCY__URGENCY_HIGH;
    disk.notification.level = 2;
    disk.notification.attempt = 1;
    disk.notification.created_at_ms = 1444167042000; /* Tue, 6 Oct 2015 21:30:42 UTC */
}

static int all_configured(void **state)
{
    (void)state;
    settings = (struct notify_settings){0};
    settings.twilio.base_url = "https://api.example/";
    settings.twilio.account_sid = "AC1";
    settings.twilio.auth_token = "twilio-secret";
    settings.twilio.from = "+15550199";
    settings.ntfy.base_url = "https://ntfy.example/";
    settings.ntfy.token = "tk_secret";
    settings.smtp.url = "smtp://mail.example:587";
    settings.smtp.username = "user";
    settings.smtp.password = "smtp-secret";
    settings.smtp.from = "Tocsin <pager@example.org>";
    settings.smtp.require_tls = true;
    settings.webhook.secret = "webhook-secret";
    settings.cluster_name = "main";
    return 0;
}

static struct outgoing composed(void)
{
    const struct channel *channel = channel_for(disk.notification.channel);
    assert_non_null(channel);
    assert_null(channel->missing(&settings));
    struct outgoing outgoing = {0};
    char error[200] = "";
    if (!channel->compose(&settings, &disk.notification, &outgoing, error, sizeof error))
        fail_msg("not composed: %s", error);
    return outgoing;
}

static void refused(Tocsin__Channel kind, const char *address)
{
    given_a_full_disk(kind, address);
    struct outgoing outgoing = {0};
    char error[200] = "";
    if (channel_for(kind)->compose(&settings, &disk.notification, &outgoing, error, sizeof error))
        fail_msg("was composed: %s", address);
    assert_true(strlen(error) > 10);
    assert_null(outgoing.body);
    outgoing_close(&outgoing);
}

static const char *header(const struct outgoing *outgoing, const char *name)
{
    for (size_t i = 0; i < outgoing->headers_count; i++)
        if (strncmp(outgoing->headers[i], name, strlen(name)) == 0)
            return outgoing->headers[i] + strlen(name) + 2;
    return NULL;
}

/* The decoded value of a form field, on the heap. */
static char *form_field(const struct outgoing *outgoing, const char *name)
{
    char *found = NULL, *copy = compose_copy(outgoing->body), *rest = copy;
    for (char *pair; (pair = strsep(&rest, "&"));) {
        char *value = strchr(pair, '=');
        assert_non_null(value);
        *value++ = '\0';
        if (strcmp(pair, name) != 0)
            continue;
        assert_null(found);
        struct composer decoded = {0};
        for (; *value; value++) {
            char hex[3] = {value[0], 0, 0};
            if (*value == '%') {
                hex[0] = value[1];
                hex[1] = value[2];
                value += 2;
                hex[0] = (char)strtol(hex, NULL, 16);
            }
            compose_bytes(&decoded, hex, 1);
        }
        found = compose_take(&decoded, NULL);
    }
    free(copy);
    return found;
}

static void assert_form(const struct outgoing *outgoing, const char *name, const char *expected)
{
    char *value = form_field(outgoing, name);
    assert_non_null(value);
    assert_string_equal(value, expected);
    free(value);
}

/* ---- words */

static void a_short_message_says_number_title_service_level_and_how_to_answer(void **state)
{
    (void)state;
    given_a_full_disk(TOCSIN__CHANNEL__CHANNEL_SMS, "+15550100");
    char text[1601];
    message_short(&disk.notification, text, sizeof text);
    assert_string_equal(text, "[#12 TRIGGERED high] Disk full on db1 - service Payments, level 2."
                              " Acknowledge through the API: incident P00001A.");
    disk.notification.possibly_repeated = true;
    message_short(&disk.notification, text, sizeof text);
    assert_non_null(strstr(text, "(possibly repeated)"));
    disk.notification.guardian = true;
    message_short(&disk.notification, text, sizeof text);
    assert_non_null(strstr(text, "[#12 NOBODY ANSWERED high]"));
    assert_non_null(strstr(text, "The escalation ended without anyone"));
}

static void a_message_that_must_be_cut_loses_its_title_and_not_how_to_answer(void **state)
{
    (void)state;
    given_a_full_disk(TOCSIN__CHANNEL__CHANNEL_SMS, "+15550100");
    for (size_t i = 0; i < 2000; i++)
        memcpy(disk.title + 2 * i, "ü", 2);
    disk.title[4000] = '\0';
    char text[1601];
    for (size_t size = 200; size <= sizeof text; size += 7) {
        message_short(&disk.notification, text, size);
        assert_true(strlen(text) < size);
        assert_non_null(strstr(text, "incident P00001A."));
        json_t *valid = json_string(text); /* only valid UTF-8 becomes one */
        assert_non_null(valid);
        json_decref(valid);
    }
    char long_text[8000];
    message_long(&disk.notification, long_text, sizeof long_text);
    assert_non_null(strstr(long_text, disk.title)); /* whole */
}

static void control_characters_and_bad_bytes_reach_nobody(void **state)
{
    (void)state;
    given_a_full_disk(TOCSIN__CHANNEL__CHANNEL_SMS, "+15550100");
    (void)snprintf(disk.title, sizeof disk.title, "a\r\nb\x01 c\xff\xc3 \xed\xa0\x80 \xc0\xaf");
    char text[400];
    message_short(&disk.notification, text, sizeof text);
    assert_non_null(strstr(text, "] a  b  c?? ??? ?? - "));
}

/* ---- requests */

static void a_text_message_is_a_twilio_form(void **state)
{
    (void)state;
    given_a_full_disk(TOCSIN__CHANNEL__CHANNEL_SMS, "(555) 555-0123");
    disk.notification.country_code = 44;
    (void)snprintf(disk.title, sizeof disk.title, "50%% & more + ü");
    struct outgoing outgoing = composed();
    assert_string_equal(outgoing.url, "https://api.example/2010-04-01/Accounts/AC1/Messages.json");
    assert_string_equal(outgoing.username, "AC1");
    assert_string_equal(outgoing.password, "twilio-secret");
    assert_form(&outgoing, "To", "+445555550123");
    assert_form(&outgoing, "From", "+15550199");
    assert_form(&outgoing, "ValidityPeriod", "600");
    char *body = form_field(&outgoing, "Body");
    assert_non_null(strstr(body, "50% & more + ü - service"));
    free(body);
    assert_string_equal(header(&outgoing, "Content-Type"), "application/x-www-form-urlencoded");
    outgoing_close(&outgoing);
    settings.twilio.from = "MG77";
    settings.twilio.validity_s = 90000;
    outgoing = composed();
    assert_form(&outgoing, "MessagingServiceSid", "MG77");
    assert_form(&outgoing, "ValidityPeriod", "36000");
    assert_null(form_field(&outgoing, "From"));
    outgoing_close(&outgoing);
}

static void a_call_says_it_twice_in_escaped_words_within_the_limit(void **state)
{
    (void)state;
    given_a_full_disk(TOCSIN__CHANNEL__CHANNEL_VOICE, "+15550100");
    (void)snprintf(disk.title, sizeof disk.title, "</Say><Hangup/> & 'x'");
    struct outgoing outgoing = composed();
    assert_string_equal(outgoing.url, "https://api.example/2010-04-01/Accounts/AC1/Calls.json");
    char *twiml = form_field(&outgoing, "Twiml");
    const char *words = "&lt;/Say&gt;&lt;Hangup/&gt; &amp; &apos;x&apos;", *first = strstr(twiml, words);
    assert_non_null(first);
    assert_non_null(strstr(first + 1, words));
    assert_null(strstr(twiml, "<Hangup"));
    assert_null(strstr(twiml, "<Gather"));
    free(twiml);
    outgoing_close(&outgoing);
    memset(disk.title, '&', 4000);
    memset(disk.service, '\'', 1000);
    outgoing = composed();
    twiml = form_field(&outgoing, "Twiml");
    assert_true(strlen(twiml) <= 4000);
    assert_non_null(strstr(twiml, "</Say></Response>"));
    free(twiml);
    outgoing_close(&outgoing);
    settings.twilio.from = "MG77";
    assert_non_null(channel_for(TOCSIN__CHANNEL__CHANNEL_VOICE)->missing(&settings));
}

static void a_push_goes_to_its_topic_and_its_token_only_to_our_server(void **state)
{
    (void)state;
    static const struct {
        const char *address, *url, *topic;
        bool token;
    } cases[] = {{"alice", "https://ntfy.example/", "alice", true},
                 {"https://ntfy.example/alice", "https://ntfy.example/", "alice", true},
                 {"https://other.example/path/bob", "https://other.example/path/", "bob", false},
                 {"http://ntfy.example/alice", "http://ntfy.example/", "alice", false},
                 {"https://ntfy.example.evil/alice", "https://ntfy.example.evil/", "alice", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        given_a_full_disk(TOCSIN__CHANNEL__CHANNEL_PUSH, cases[i].address);
        struct outgoing outgoing = composed();
        assert_string_equal(outgoing.url, cases[i].url);
        const char *authorization = header(&outgoing, "Authorization");
        assert_int_equal(authorization != NULL, cases[i].token);
        if (authorization)
            assert_string_equal(authorization, "Bearer tk_secret");
        json_t *body = json_loads(outgoing.body, 0, NULL);
        assert_string_equal(json_string_value(json_object_get(body, "topic")), cases[i].topic);
        assert_int_equal(json_integer_value(json_object_get(body, "priority")), 5);
        assert_non_null(strstr(json_string_value(json_object_get(body, "message")), "[#12"));
        json_decref(body);
        outgoing_close(&outgoing);
    }
    given_a_full_disk(TOCSIN__CHANNEL__CHANNEL_PUSH, "alice");
    disk.notification.urgency = TOCSIN__URGENCY__URGENCY_LOW;
    struct outgoing outgoing = composed();
    assert_non_null(strstr(outgoing.body, "\"priority\":3"));
    outgoing_close(&outgoing);
}

static void a_webhook_is_signed(void **state)
{
    (void)state;
    given_a_full_disk(TOCSIN__CHANNEL__CHANNEL_WEBHOOK, "https://hooks.example/x?y=z");
    struct outgoing outgoing = composed();
    struct hmac_sha256_ctx hmac;
    uint8_t digest[32];
    char expected[80] = "sha256=";
    hmac_sha256_set_key(&hmac, 14, (const uint8_t *)"webhook-secret");
    hmac_sha256_update(&hmac, strlen(outgoing.body), (const uint8_t *)outgoing.body);
    hmac_sha256_digest(&hmac, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        (void)snprintf(expected + 7 + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(header(&outgoing, "X-Tocsin-Signature"), expected);
    json_t *body = json_loads(outgoing.body, 0, NULL), *event = json_object_get(body, "event");
    assert_string_equal(json_string_value(json_object_get(event, "id")), "345");
    assert_string_equal(json_string_value(json_object_get(event, "occurred_at")), "2015-10-06T21:30:42Z");
    assert_string_equal(json_string_value(json_object_get(json_object_get(event, "data"), "id")), "P00001A");
    json_decref(body);
    outgoing_close(&outgoing);
    settings.webhook.secret = "";
    outgoing = composed();
    assert_null(header(&outgoing, "X-Tocsin-Signature"));
    outgoing_close(&outgoing);
}

static void a_mail_is_a_proper_message(void **state)
{
    (void)state;
    given_a_full_disk(TOCSIN__CHANNEL__CHANNEL_EMAIL, "alice@example.org");
    struct outgoing outgoing = composed();
    static const char expected[] = "From: Tocsin <pager@example.org>\r\n"
                                   "To: <alice@example.org>\r\n"
                                   "Subject: [#12 TRIGGERED high] Disk full on db1 - Payments\r\n"
                                   "Date: Tue, 6 Oct 2015 21:30:42 +0000\r\n"
                                   "Message-ID: <tocsin.notification.345.1444167042000.24334339@example.org>\r\n"
                                   "References: <tocsin.incident.42.24334339@example.org>\r\n"
                                   "Auto-Submitted: auto-generated\r\n"
                                   "MIME-Version: 1.0\r\n"
                                   "Content-Type: text/plain; charset=utf-8\r\n"
                                   "Content-Transfer-Encoding: quoted-printable\r\n\r\n";
    assert_memory_equal(outgoing.body, expected, sizeof expected - 1);
    assert_string_equal(outgoing.mail_from, "pager@example.org");
    assert_string_equal(outgoing.mail_to, "alice@example.org");
    assert_string_equal(outgoing.username, "user");
    assert_true(outgoing.require_tls);
    outgoing_close(&outgoing);
}

static void message_id(char out[160])
{
    struct outgoing outgoing = composed();
    const char *start = strstr(outgoing.body, "\r\nMessage-ID: ");
    assert_non_null(start);
    (void)snprintf(out, 160, "%.*s", (int)strcspn(start + 2, "\r"), start + 2);
    outgoing_close(&outgoing);
}

/* Two clusters of one domain, or one that was set up anew, give the same ids: a mailbox drops the second message with an id that it has seen. */
static void a_mail_has_the_id_of_no_other_cluster(void **state)
{
    (void)state;
    char id[160], again[160], other[160], anew[160];
    given_a_full_disk(TOCSIN__CHANNEL__CHANNEL_EMAIL, "alice@example.org");
    message_id(id);
    message_id(again);
    settings.cluster_name = "other";
    message_id(other);
    settings.cluster_name = "main";
    disk.notification.created_at_ms += 86400000;
    message_id(anew);
    assert_string_equal(id, again);
    assert_string_not_equal(id, other);
    assert_string_not_equal(id, anew);
}

static void nothing_from_outside_adds_a_header_or_a_long_line(void **state)
{
    (void)state;
    given_a_full_disk(TOCSIN__CHANNEL__CHANNEL_EMAIL, "alice@example.org");
    (void)snprintf(disk.title, sizeof disk.title,
                   "x\r\nBcc: eve@example.org\r\n\r\nüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü");
    struct outgoing outgoing = composed();
    const char *end = strstr(outgoing.body, "\r\n\r\n");
    assert_non_null(end);
    assert_null(strstr(outgoing.body, "\r\nBcc"));
    assert_non_null(strstr(outgoing.body, "\r\nSubject: =?UTF-8?B?"));
    size_t column = 0;
    for (const char *c = outgoing.body; *c; c++) {
        assert_true((unsigned char)*c < 0x80);
        if (*c == '\n')
            assert_true(c > outgoing.body && c[-1] == '\r');
        if (*c == '\r')
            assert_int_equal(c[1], '\n');
        column = *c == '\n' ? 0 : column + 1;
        assert_true(column <= 77); /* 76 and the carriage return */
    }
    outgoing_close(&outgoing);
}

static void addresses_that_are_none_are_refused_with_a_sentence(void **state)
{
    (void)state;
    static const struct {
        Tocsin__Channel channel;
        const char *address;
    } cases[] = {
        {TOCSIN__CHANNEL__CHANNEL_SMS, ""},
        {TOCSIN__CHANNEL__CHANNEL_SMS, "+1"},
        {TOCSIN__CHANNEL__CHANNEL_SMS, "+1555010012345678"},
        {TOCSIN__CHANNEL__CHANNEL_SMS, "+1555&Body=x"},
        {TOCSIN__CHANNEL__CHANNEL_VOICE, "five"},
        {TOCSIN__CHANNEL__CHANNEL_PUSH, ""},
        {TOCSIN__CHANNEL__CHANNEL_PUSH, "a/b"},
        {TOCSIN__CHANNEL__CHANNEL_PUSH, "https://alice"},
        {TOCSIN__CHANNEL__CHANNEL_PUSH, "https:///alice"},
        {TOCSIN__CHANNEL__CHANNEL_PUSH, "ftp://host/alice"},
        {TOCSIN__CHANNEL__CHANNEL_PUSH, "https://host\x01/alice"},
        {TOCSIN__CHANNEL__CHANNEL_PUSH, "https://a host/alice"},
        {TOCSIN__CHANNEL__CHANNEL_WEBHOOK, "ftp://host/x"},
        {TOCSIN__CHANNEL__CHANNEL_WEBHOOK, "http://"},
        {TOCSIN__CHANNEL__CHANNEL_WEBHOOK, "http://host/\r\nX: y"},
        {TOCSIN__CHANNEL__CHANNEL_WEBHOOK, "file:///etc/passwd"},
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, "alice"},
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, "@example.org"},
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, "alice@"},
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, "a@b@c"},
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, "a@example.org>\r\nRCPT TO:<eve@example.org"},
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, "a@example.org, eve@example.org"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(cases[i].channel, cases[i].address);
}

static void what_is_not_configured_is_named(void **state)
{
    (void)state;
    settings = (struct notify_settings){0};
    for (const struct channel *const *channel = channels_all(); *channel; channel++) {
        const char *missing = (*channel)->missing(&settings);
        if ((*channel)->channel == TOCSIN__CHANNEL__CHANNEL_WEBHOOK)
            assert_null(missing);
        else
            assert_non_null(strstr(missing, "not configured on this node"));
        assert_ptr_equal(channel_for((*channel)->channel), *channel);
    }
    assert_null(channel_for(TOCSIN__CHANNEL__CHANNEL_NONE));
    settings.smtp.url = "smtp://x";
    settings.smtp.from = "nobody";
    assert_non_null(channel_for(TOCSIN__CHANNEL__CHANNEL_EMAIL)->missing(&settings));
}

/* ---- answers */

#define SMS TOCSIN__CHANNEL__CHANNEL_SMS
#define VOICE TOCSIN__CHANNEL__CHANNEL_VOICE
#define PUSH TOCSIN__CHANNEL__CHANNEL_PUSH
#define HOOK TOCSIN__CHANNEL__CHANNEL_WEBHOOK
#define MAIL TOCSIN__CHANNEL__CHANNEL_EMAIL
#define SENT TOCSIN__OUTCOME__OUTCOME_SENT
#define RETRY TOCSIN__OUTCOME__OUTCOME_RETRY
#define NEVER TOCSIN__OUTCOME__OUTCOME_NEVER
#define MISCONFIGURED TOCSIN__OUTCOME__OUTCOME_MISCONFIGURED
#define UNKNOWN TOCSIN__OUTCOME__OUTCOME_UNKNOWN

static void each_class_of_answer_has_its_outcome(void **state)
{
    (void)state;
    static const struct {
        Tocsin__Channel channel;
        unsigned status;
        const char *body;
        Tocsin__Outcome outcome;
        const char *id, *words;
    } cases[] = {
        {SMS, 201, "{\"sid\":\"SM1\",\"status\":\"queued\"}", SENT, "SM1", ""},
        {SMS, 201, "not JSON", SENT, "", ""},
        {SMS, 400, "{\"code\":21211,\"message\":\"Invalid To\"}", NEVER, "", "Twilio 21211: Invalid To"},
        {SMS, 400, "{\"code\":21610,\"message\":\"STOP\"}", NEVER, "", "21610"},
        {SMS, 400, "{\"code\":21606,\"message\":\"bad From\"}", MISCONFIGURED, "", "bad From"},
        {SMS, 400, "{\"code\":999999}", NEVER, "", "999999"},
        {SMS, 400, "[[[[", NEVER, "", "HTTP 400"},
        {SMS, 401, "{\"code\":20003,\"message\":\"Authenticate\"}", MISCONFIGURED, "", "Authenticate"},
        {SMS, 404, "{\"code\":20404,\"message\":\"gone\"}", MISCONFIGURED, "", ""},
        {SMS, 429, "{\"code\":20429}", RETRY, "", ""},
        {SMS, 500, "", RETRY, "", "HTTP 500"},
        {SMS, 503, "{\"code\":20500}", RETRY, "", ""},
        {SMS, 302, "", MISCONFIGURED, "", "redirected"},
        {VOICE, 201, "{\"sid\":\"CA1\"}", SENT, "CA1", ""},
        {VOICE, 403, "", MISCONFIGURED, "", ""},
        {PUSH, 200, "{\"id\":\"n1\"}", SENT, "n1", ""},
        {PUSH, 400, "{\"code\":40009,\"http\":400,\"error\":\"topic invalid\"}", NEVER, "", "topic invalid"},
        {PUSH, 401, "{\"code\":40101,\"error\":\"unauthorized\"}", MISCONFIGURED, "", ""},
        {PUSH, 403, "{\"code\":40301,\"error\":\"forbidden\"}", MISCONFIGURED, "", ""},
        {PUSH, 413, "{\"code\":41303}", NEVER, "", ""},
        {PUSH, 429, "{\"code\":42901}", RETRY, "", ""},
        {PUSH, 507, "", RETRY, "", ""},
        {HOOK, 204, "", SENT, "", ""},
        {HOOK, 404, "", NEVER, "", ""},
        {HOOK, 410, "", NEVER, "", ""},
        {HOOK, 408, "", RETRY, "", ""},
        {HOOK, 407, "", MISCONFIGURED, "", ""},
        {HOOK, 502, "", RETRY, "", ""},
        {HOOK, 999, "", UNKNOWN, "", ""},
        {HOOK, 100000, "", UNKNOWN, "", ""},
        {MAIL, 250, "250 2.0.0 queued", SENT, "", ""},
        {MAIL, 421, "421 closing", RETRY, "", "closing"},
        {MAIL, 450, "450 4.7.1 greylisted", RETRY, "", "greylisted"},
        {MAIL, 550, "550 5.1.1 no such user", NEVER, "", "no such user"},
        {MAIL, 530, "530 log in", MISCONFIGURED, "", ""},
        {MAIL, 535, "535 bad", MISCONFIGURED, "", ""},
        {MAIL, 354, "", UNKNOWN, "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = {.kind = ANSWER_RESPONSE,
                                .status = cases[i].status,
                                .retry_after_s = -1,
                                .body = cases[i].body,
                                .body_size_bytes = strlen(cases[i].body)};
        struct verdict verdict;
        memset(&verdict, 'x', sizeof verdict);
        channel_for(cases[i].channel)->judge(&answer, &verdict);
        if (verdict.outcome != cases[i].outcome)
            fail_msg("channel %d, %u %s: %d", (int)cases[i].channel, cases[i].status, cases[i].body,
                     (int)verdict.outcome);
        assert_string_equal(verdict.provider_id, cases[i].id);
        assert_non_null(memchr(verdict.detail, '\0', sizeof verdict.detail));
        if (!strstr(verdict.detail, cases[i].words))
            fail_msg("'%s' does not say '%s'", verdict.detail, cases[i].words);
    }
}

static void what_was_not_sent_is_tried_again_and_what_may_have_arrived_is_unknown(void **state)
{
    (void)state;
    for (const struct channel *const *channel = channels_all(); *channel; channel++) {
        struct verdict verdict;
        struct answer answer = {
            .kind = ANSWER_NOT_SENT, .retry_after_s = -1, .body = "", .error = "Connection\nrefused"};
        (*channel)->judge(&answer, &verdict);
        assert_int_equal(verdict.outcome, RETRY);
        assert_string_equal(verdict.detail, "not sent: Connection refused");
        assert_int_equal(verdict.retry_after_s, -1);
        answer.kind = ANSWER_NO_ANSWER;
        answer.error = NULL;
        (*channel)->judge(&answer, &verdict);
        assert_int_equal(verdict.outcome, UNKNOWN);
    }
}

static void the_time_to_wait_is_the_providers_and_a_minute_for_greylisting(void **state)
{
    (void)state;
    struct verdict verdict;
    struct answer throttled = {.kind = ANSWER_RESPONSE, .status = 429, .retry_after_s = 17, .body = ""};
    channel_for(SMS)->judge(&throttled, &verdict);
    assert_int_equal(verdict.retry_after_s, 17);
    struct answer greylisted = {.kind = ANSWER_RESPONSE, .status = 451, .retry_after_s = -1, .body = ""};
    channel_for(MAIL)->judge(&greylisted, &verdict);
    assert_true(verdict.retry_after_s >= 60);
}

static void hostile_answers_stay_within_bounds_and_are_clean_text(void **state)
{
    (void)state;
    static char body[ANSWER_BODY_SIZE_BYTES_MAX + 1];
    memset(body, 'A', ANSWER_BODY_SIZE_BYTES_MAX);
    memcpy(body, "{\"code\":1,\"message\":\"\\n\xc3\xa4", 25);
    memcpy(body + ANSWER_BODY_SIZE_BYTES_MAX - 2, "\"}", 2);
    struct answer answer = {.kind = ANSWER_RESPONSE,
                            .status = 400,
                            .retry_after_s = -1,
                            .body = body,
                            .body_size_bytes = ANSWER_BODY_SIZE_BYTES_MAX};
    for (const struct channel *const *channel = channels_all(); *channel; channel++) {
        struct verdict verdict;
        (*channel)->judge(&answer, &verdict);
        assert_true(strlen(verdict.detail) < sizeof verdict.detail);
        json_t *valid = json_string(verdict.detail);
        assert_non_null(valid);
        json_decref(valid);
        assert_null(strchr(verdict.detail, '\n'));
    }
}

static void a_provider_is_asked_with_the_credentials_of_pages_and_for_nothing_else(void **state)
{
    (void)state;
    struct outgoing account = {0}, token = {0}, health = {0}, login = {0};
    channel_for(SMS)->probe(&settings, &account);
    assert_string_equal(account.url, "https://api.example/2010-04-01/Accounts/AC1.json");
    assert_string_equal(account.username, "AC1");
    assert_string_equal(account.password, "twilio-secret");
    assert_true(account.get && account.body == NULL);
    assert_ptr_equal(channel_for(SMS)->probe, channel_for(VOICE)->probe);
    channel_for(PUSH)->probe(&settings, &token);
    assert_string_equal(token.url, "https://ntfy.example/v1/account");
    assert_string_equal(header(&token, "Authorization"), "Bearer tk_secret");
    assert_true(token.get);
    settings.ntfy.token = NULL;
    channel_for(PUSH)->probe(&settings, &health);
    assert_string_equal(health.url, "https://ntfy.example/v1/health");
    assert_null(header(&health, "Authorization"));
    channel_for(MAIL)->probe(&settings, &login);
    assert_string_equal(login.url, "smtp://mail.example:587");
    assert_string_equal(login.password, "smtp-secret");
    assert_true(login.mail_to == NULL && login.body == NULL && login.require_tls);
    assert_null(channel_for(HOOK)->probe);
    outgoing_close(&account);
    outgoing_close(&token);
    outgoing_close(&health);
    outgoing_close(&login);
}

static void what_a_provider_answers_when_asked_tells_whether_it_would_take_a_page(void **state)
{
    (void)state;
    static const struct {
        Tocsin__Channel channel;
        unsigned status;
        const char *body;
        Tocsin__Outcome outcome;
        const char *words;
    } cases[] = {
        {SMS, 200, "{\"sid\":\"AC1\",\"status\":\"active\"}", SENT, ""},
        {SMS, 200, "{\"sid\":\"AC1\",\"status\":\"suspended\"}", MISCONFIGURED, "the account is suspended"},
        {SMS, 401, "{\"code\":20003,\"message\":\"Authenticate\"}", MISCONFIGURED, "Twilio 20003"},
        {SMS, 404, "{\"code\":20404}", MISCONFIGURED, ""},
        {SMS, 500, "", RETRY, "HTTP 500"},
        {VOICE, 429, "", RETRY, ""},
        {PUSH, 200, "{\"healthy\":true}", SENT, ""},
        {PUSH, 401, "{\"code\":40101,\"error\":\"unauthorized\"}", MISCONFIGURED, "unauthorized"},
        {PUSH, 404, "", SENT, ""},
        {PUSH, 502, "", RETRY, ""},
        {MAIL, 250, "250 ok", SENT, ""},
        {MAIL, 535, "535 5.7.8 bad", MISCONFIGURED, "5.7.8 bad"},
        {MAIL, 421, "421 later", RETRY, ""},
        {MAIL, 554, "554 no service here", NEVER, "no service here"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = {.kind = ANSWER_RESPONSE,
                                .status = cases[i].status,
                                .retry_after_s = -1,
                                .body = cases[i].body,
                                .body_size_bytes = strlen(cases[i].body)};
        struct verdict verdict;
        channel_for(cases[i].channel)->judge_probe(&answer, &verdict);
        if (verdict.outcome != cases[i].outcome || !strstr(verdict.detail, cases[i].words))
            fail_msg("channel %d, %u %s: %d, %s", (int)cases[i].channel, cases[i].status, cases[i].body,
                     (int)verdict.outcome, verdict.detail);
    }
}

#define STORY(function) cmocka_unit_test_setup(function, all_configured)

int main(void)
{
    const struct CMUnitTest stories[] = {
        STORY(a_short_message_says_number_title_service_level_and_how_to_answer),
        STORY(a_message_that_must_be_cut_loses_its_title_and_not_how_to_answer),
        STORY(control_characters_and_bad_bytes_reach_nobody),
        STORY(a_text_message_is_a_twilio_form),
        STORY(a_call_says_it_twice_in_escaped_words_within_the_limit),
        STORY(a_push_goes_to_its_topic_and_its_token_only_to_our_server),
        STORY(a_webhook_is_signed),
        STORY(a_mail_is_a_proper_message),
        STORY(a_mail_has_the_id_of_no_other_cluster),
        STORY(nothing_from_outside_adds_a_header_or_a_long_line),
        STORY(addresses_that_are_none_are_refused_with_a_sentence),
        STORY(what_is_not_configured_is_named),
        STORY(each_class_of_answer_has_its_outcome),
        STORY(what_was_not_sent_is_tried_again_and_what_may_have_arrived_is_unknown),
        STORY(the_time_to_wait_is_the_providers_and_a_minute_for_greylisting),
        STORY(hostile_answers_stay_within_bounds_and_are_clean_text),
        STORY(a_provider_is_asked_with_the_credentials_of_pages_and_for_nothing_else),
        STORY(what_a_provider_answers_when_asked_tells_whether_it_would_take_a_page),
    };
    return cmocka_run_group_tests(stories, NULL, NULL);
}
