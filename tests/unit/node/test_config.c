/* The configuration file: what a good one gives, and what is said of a bad one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "consensus/machine/schema/schema.pb-c.h"
#include "node/config.h"

#define MINIMUM                                                                                                       \
    "[node]\nid = 1\ndata_dir = /var/lib/tocsin\n"                                                                    \
    "[member.1]\naddress = 127.0.0.1:7201\n"

struct folder {
    char path[64], config[96], secret[96];
};

static int setup(void **state)
{
    struct folder *folder = calloc(1, sizeof *folder);

    assert_non_null(folder);
    snprintf(folder->path, sizeof folder->path, "/tmp/tocsin-config-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    snprintf(folder->config, sizeof folder->config, "%s/tocsin.conf", folder->path);
    snprintf(folder->secret, sizeof folder->secret, "%s/secret", folder->path);
    *state = folder;
    return 0;
}

static int teardown(void **state)
{
    struct folder *folder = *state;

    unlink(folder->config);
    unlink(folder->secret);
    assert_int_equal(rmdir(folder->path), 0);
    free(folder);
    return 0;
}

static void write_file(const char *path, const char *text, size_t size_bytes)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    assert_int_equal(fwrite(text, 1, size_bytes, file), size_bytes);
    assert_int_equal(fclose(file), 0);
}

static struct config *load(struct folder *folder, const char *text)
{
    char error[512] = "";

    write_file(folder->config, text, strlen(text));
    struct config *config = config_load(folder->config, error, sizeof error);
    assert_string_equal(error, "");
    assert_non_null(config);
    return config;
}

/* The file is refused with a sentence that has both parts; `place` follows the file's name (":3:" or ":"). */
static void refused(struct folder *folder, const char *text, const char *place, const char *part)
{
    char error[512] = "", beginning[128];

    write_file(folder->config, text, strlen(text));
    assert_null(config_load(folder->config, error, sizeof error));
    snprintf(beginning, sizeof beginning, "%s%s ", folder->config, place);
    if (strncmp(error, beginning, strlen(beginning)) != 0 || strstr(error, part) == NULL) {
        fail_msg("for:\n%s\nexpected \"%s...%s\", was \"%s\"", text, beginning, part, error);
    }
}

static void given_the_least_that_is_needed_then_the_rest_has_defaults(void **state)
{
    struct config *config = load(*state, MINIMUM);

    assert_int_equal(config->id, 1);
    assert_string_equal(config->data_dir, "/var/lib/tocsin");
    assert_string_equal(config->http_listen, "127.0.0.1:7100");
    assert_string_equal(config->peer_listen, "127.0.0.1:7201");
    assert_string_equal(config->public_url, "http://127.0.0.1:7100");
    assert_string_equal(config->cluster_name, "tocsin");
    assert_string_equal(config->log_level, "info");
    assert_int_equal(config->election_timeout_ms, 800);
    assert_int_equal(config->heartbeat_ms, 100);
    assert_int_equal(config->minute_ms, 60000);
    assert_int_equal(config->request_wait_ms, 5000);
    assert_int_equal(config->map_size_mib, 65536);
    assert_int_equal(config->log_keep_mib, 32);
    assert_int_equal(config->retention_days, 0);
    assert_false(config->allow_plain_tcp);
    assert_string_equal(config->notify.twilio.base_url, "https://api.twilio.com");
    assert_null(config->notify.twilio.account_sid);
    assert_string_equal(config->notify.ntfy.base_url, "https://ntfy.sh");
    assert_true(config->notify.smtp.require_tls);
    assert_string_equal(config->notify.public_url, config->public_url);
    assert_string_equal(config->notify.cluster_name, "tocsin");
    assert_int_equal(config->guardians_count, 0);
    config_free(config);
}

static void given_everything_then_each_key_has_its_place(void **state)
{
    struct folder *folder = *state;
    char text[2048];

    write_file(folder->secret, "s3cret\r\n", 8);
    snprintf(
        text, sizeof text,
        "; a comment\n"
        "[node]\nid = 2\ndata_dir = /data ; another\nhttp_listen = 0.0.0.0:80\npublic_url = https://tocsin.example//\n"
        "log_level = debug\nallow_plain_tcp = yes\nrequest_wait_ms = 1000\nmap_size_mib = 128\nlog_keep_mib = 2\n"
        "[cluster]\nname = na\xc3\xafve\nelection_timeout_ms = 1200\nheartbeat_ms = 200\nretention_days = 30\n"
        "payload_retention_days = 7\n"
        "[member.1]\naddress = a.example:1\n[member.2]\naddress = [2001:db8::2]:2\n[member.3]\naddress = 10.0.0.3:3\n"
        "[guardian.alice]\nsms = +15550100\nsms = +15550101\nemail = alice@example.com\n[guardian.bob]\nvoice = +1555\n"
        "[twilio]\nbase_url = http://127.0.0.1:9\naccount_sid = AC1\nauth_token_file = %s\nfrom = +15550199\n"
        "validity_s = 600\n"
        "[ntfy]\nbase_url = http://127.0.0.1:8\ntoken_file = %s\n"
        "[smtp]\nurl = smtp://mail:587\nusername = u\npassword_file = %s\nfrom = t@example.com\nrequire_tls = no\n"
        "[webhook]\nsecret_file = %s\n",
        folder->secret, folder->secret, folder->secret, folder->secret);
    struct config *config = load(folder, text);

    assert_int_equal(config->id, 2);
    assert_string_equal(config->data_dir, "/data");
    assert_string_equal(config->http_listen, "0.0.0.0:80");
    assert_string_equal(config->peer_listen, "[2001:db8::2]:2");
    assert_string_equal(config->public_url, "https://tocsin.example");
    assert_string_equal(config->cluster_name, "na\xc3\xafve");
    assert_string_equal(config->log_level, "debug");
    assert_true(config->allow_plain_tcp);
    assert_int_equal(config->election_timeout_ms, 1200);
    assert_int_equal(config->retention_days, 30);
    assert_int_equal(config->payload_retention_days, 7);
    assert_int_equal(config->members_count, 3);
    assert_int_equal(config->members[2].id, 3);
    assert_string_equal(config->members[2].address, "10.0.0.3:3");
    assert_int_equal(config->guardians_count, 2);
    assert_string_equal(config->guardians[0].name, "alice");
    assert_int_equal(config->guardians[0].contacts_count, 3);
    assert_int_equal(config->guardians[0].contacts[1].channel, TOCSIN__CHANNEL__CHANNEL_SMS);
    assert_string_equal(config->guardians[0].contacts[1].address, "+15550101");
    assert_int_equal(config->guardians[0].contacts[2].channel, TOCSIN__CHANNEL__CHANNEL_EMAIL);
    assert_int_equal(config->guardians[1].contacts[0].channel, TOCSIN__CHANNEL__CHANNEL_VOICE);
    assert_string_equal(config->notify.twilio.auth_token, "s3cret"); /* without the newline */
    assert_string_equal(config->notify.twilio.from, "+15550199");
    assert_int_equal(config->notify.twilio.validity_s, 600);
    assert_string_equal(config->notify.ntfy.token, "s3cret");
    assert_string_equal(config->notify.smtp.password, "s3cret");
    assert_false(config->notify.smtp.require_tls);
    assert_string_equal(config->notify.webhook.secret, "s3cret");
    config_free(config);
}

static void given_a_node_that_joins_later_then_it_names_its_own_address(void **state)
{
    struct config *config = load(*state, "[node]\nid = 9\ndata_dir = d\npeer_listen = 127.0.0.1:7209\n"
                                         "[member.1]\naddress = 127.0.0.1:7201\n");

    assert_string_equal(config->peer_listen, "127.0.0.1:7209");
    config_free(config);
    refused(*state, "[node]\nid = 9\ndata_dir = d\n[member.1]\naddress = 127.0.0.1:7201\n", ":",
            "not one of the members");
    config = load(*state, "[node]\nid = 9\ndata_dir = d\npeer_listen = 127.0.0.1:7209\n"
                          "[member.1]\naddress = 127.0.0.1:7201\n[member.4]\naddress = 127.0.0.1:7204\n");
    assert_int_equal(config->members_count, 2); /* whom it asks: as many as there are */
    config_free(config);
}

static void given_a_short_minute_on_loopback_then_it_is_allowed(void **state)
{
    struct config *config = load(*state, MINIMUM "[cluster]\nminute_ms = 200\n");

    assert_int_equal(config->minute_ms, 200);
    config_free(config);
}

static void given_mistakes_in_a_line_then_the_line_is_named(void **state)
{
    static const struct {
        const char *text, *place, *part;
    } rows[] = {
        {"id = 1\n", ":1:", "before the first [section]"},
        {"[node]\nid = 1\nretention = 5\n", ":3:", "[node] has no key \"retention\""},
        {"[node]\nid = 1\n[raft]\nport = 5\n", ":4:", "no section [raft]"},
        {"[node]\nid 1\n", ":2:", "neither [section] nor key = value"},
        {"[node\nid = 1\n", ":1:", "neither [section] nor key = value"},
        {"[node]\nid = one\n", ":2:", "id must be a whole number"},
        {"[node]\nid = 0\n", ":2:", "id must be a whole number"},
        {"[node]\nid = -1\n", ":2:", "id must be a whole number"},
        {"[node]\nid = 99999999999999999999\n", ":2:", "id must be a whole number"},
        {"[node]\nid = 1\nid = 2\n", ":3:", "id is given twice"},
        {"[node]\nid =\n", ":2:", "id has no value"},
        {"[node]\ndata_dir = /a\xff\n", ":2:", "not UTF-8"},
        {"[node]\nallow_plain_tcp = perhaps\n", ":2:", "must be yes or no"},
        {"[cluster]\nminute_ms = 60001\n", ":2:", "minute_ms must be a whole number from 10 to 60000"},
        {"[member.one]\naddress = a:1\n", ":2:", "a member's name is its node's id"},
        {"[member.1]\nport = 1\n", ":2:", "has no key \"port\""},
        {"[member.1]\naddress = a:1\n[member.1]\naddress = b:1\n", ":4:", "an address already"},
        {"[member.1]\naddress = a:1\n[member.2]\naddress = a:1\n", ":4:", "two members have the address a:1"},
        {"[guardian.]\nsms = +1\n", ":2:", "needs a name"},
        {"[guardian.a]\nfax = +1\n", ":2:", "has no key \"fax\""},
        {"[guardian.a]\nsms = 555\n", ":2:", "country code"},
        {"[outer.]\nurl = http://a\n", ":2:", "needs a name"},
        {"[outer.a]\ntoken = k\n", ":2:", "it has preset, url and key_file"},
        {"[outer.a]\npreset = statuspage\n", ":2:", "preset of [outer.a] must be healthchecks"},
        {"[outer.a]\nurl = hc-ping.com\n", ":2:", "must be http:// or https://"},
        {"[outer.a]\nurl = http://a\nurl = http://b\n", ":3:", "has url already"},
        {MINIMUM "[outer.a]\nurl = http://a\n", ":", "[outer.a] needs preset"},
        {MINIMUM "[outer.a]\npreset = opsgenie\nurl = http://a\n", ":", "[outer.a] needs key_file"},
        {"[twilio]\nauth_token = secret\n", ":2:", "no key \"auth_token\""},
        {"[twilio]\nauth_token_file = /nonexistent/secret\n", ":2:", "cannot read the secret in /nonexistent/secret"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        refused(*state, rows[i].text, rows[i].place, rows[i].part);
    }
}

static void given_a_line_longer_than_any_then_it_is_named(void **state)
{
    char text[600] = "[node]\ndata_dir = ";

    memset(text + strlen(text), 'a', sizeof text - strlen(text) - 1);
    text[sizeof text - 2] = '\n';
    refused(*state, text, ":2:", "too long");
}

static void given_parts_that_contradict_each_other_then_the_file_is_named(void **state)
{
    static const struct {
        const char *text, *part;
    } rows[] = {
        {"", "[node] needs id"},
        {"[node]\nid = 1\n", "[node] needs data_dir"},
        {"[node]\nid = 1\ndata_dir = d\n", "1, 3 or 5 members"},
        {MINIMUM "[member.2]\naddress = 127.0.0.1:7202\n", "there are 2 sections [member.ID]"},
        {"[node]\nid = 1\ndata_dir = d\nhttp_listen = 10.0.0.1:80\n[member.1]\naddress = localhost:1\n",
         "10.0.0.1:80 is outside loopback"},
        {"[node]\nid = 1\ndata_dir = d\n[member.1]\naddress = tocsin.example:1\n", "outside loopback"},
        {"[node]\nid = 1\ndata_dir = d\nallow_plain_tcp = yes\n[cluster]\nminute_ms = 100\n[member.1]\naddress = "
         "10.0.0.1:1\n",
         "minute_ms below 60000"},
        {"[node]\nid = 1\ndata_dir = d\n[member.1]\naddress = localhost\n", "not an address"},
        {"[node]\nid = 1\ndata_dir = d\nhttp_listen = localhost:99999\n[member.1]\naddress = localhost:1\n",
         "not an address"},
        {MINIMUM "[cluster]\nheartbeat_ms = 500\n", "at most half of election_timeout_ms"},
        {MINIMUM "[twilio]\naccount_sid = AC1\n", "[twilio] needs account_sid, auth_token_file and from"},
        {MINIMUM "[smtp]\nurl = smtp://localhost\n", "[smtp] needs from"},
        {MINIMUM "[smtp]\nurl = mail:25\nfrom = t@example.com\n", "smtp://"},
        {MINIMUM "[ntfy]\nbase_url = /\n", "[ntfy]"},
        {MINIMUM "[twilio]\nbase_url = api.twilio.com\n", "[twilio]"},
        {MINIMUM "[smtp]\nusername = me\n", "password_file"},
        {"[node]\nid = 1\ndata_dir = d\nlog_level = loud\n[member.1]\naddress = localhost:1\n", "log_level must be"},
        {"[node]\nid = 1\ndata_dir = d\npublic_url = tocsin.example\n[member.1]\naddress = localhost:1\n",
         "public_url must be"},
        {"[node]\nid = 1\ndata_dir = d\npublic_url = http:///\n[member.1]\naddress = localhost:1\n", "public_url must be"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        refused(*state, rows[i].text, ":", rows[i].part);
    }
}

static void given_a_secret_that_is_none_then_its_file_is_named(void **state)
{
    struct folder *folder = *state;
    char text[256], huge[5000];

    snprintf(text, sizeof text, "[ntfy]\ntoken_file = %s\n", folder->secret);
    write_file(folder->secret, "\n", 1);
    refused(folder, text, ":2:", "does not hold a secret");
    write_file(folder->secret, "a\nb\n", 4);
    refused(folder, text, ":2:", "does not hold a secret");
    write_file(folder->secret, "a\0b", 3);
    refused(folder, text, ":2:", "does not hold a secret");
    memset(huge, 'x', sizeof huge);
    write_file(folder->secret, huge, sizeof huge);
    refused(folder, text, ":2:", "does not hold a secret");
}

static void given_no_file_or_a_folder_then_a_sentence_says_so(void **state)
{
    struct folder *folder = *state;
    char error[512] = "";

    assert_null(config_load("/nonexistent/tocsin.conf", error, sizeof error));
    assert_string_equal(error, "/nonexistent/tocsin.conf: cannot be read: No such file or directory");
    assert_null(config_load(folder->path, error, sizeof error));
    assert_non_null(strstr(error, "cannot be read"));
}

#define STORY(story) cmocka_unit_test_setup_teardown(story, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(given_the_least_that_is_needed_then_the_rest_has_defaults),
        STORY(given_everything_then_each_key_has_its_place),
        STORY(given_a_node_that_joins_later_then_it_names_its_own_address),
        STORY(given_a_short_minute_on_loopback_then_it_is_allowed),
        STORY(given_mistakes_in_a_line_then_the_line_is_named),
        STORY(given_a_line_longer_than_any_then_it_is_named),
        STORY(given_parts_that_contradict_each_other_then_the_file_is_named),
        STORY(given_a_secret_that_is_none_then_its_file_is_named),
        STORY(given_no_file_or_a_folder_then_a_sentence_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
