/* The simulator's providers: they read what the channels really send, and each mood ends as it should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notify/channel.h"
#include "notify/compose.h"
#include "tests/sim/world/providers.h"
#include "tests/sim/world/sim_internal.h"

#define DEADLINE_MS 9800u
#define REQUESTS 400u

static const Tocsin__Channel kinds[] = {TOCSIN__CHANNEL__CHANNEL_EMAIL, TOCSIN__CHANNEL__CHANNEL_SMS,
                                        TOCSIN__CHANNEL__CHANNEL_VOICE, TOCSIN__CHANNEL__CHANNEL_PUSH,
                                        TOCSIN__CHANNEL__CHANNEL_WEBHOOK};
#define KINDS (sizeof kinds / sizeof kinds[0])

static const struct notify_settings settings = {
    .twilio = {.base_url = "https://twilio.example/",
               .account_sid = "AC1",
               .auth_token = "secret",
               .from = "+15550199"},
    .ntfy = {.base_url = "https://ntfy.example", .token = "tk_secret"},
    .smtp = {.url = "smtps://mail.example:465", .from = "Tocsin für alle <pager@example.org>"},
    .webhook = {.secret = "webhook-secret"},
    .cluster_name = "main",
};

/* Of each channel an addressee as people enter it, and as its provider sees it. */
static const struct {
    const char *entered, *seen;
} addressees[] = {
    [TOCSIN__CHANNEL__CHANNEL_EMAIL] = {"ada@example.org", "ada@example.org"},
    [TOCSIN__CHANNEL__CHANNEL_SMS] = {"(555) 555-0123", "+15555550123"},
    [TOCSIN__CHANNEL__CHANNEL_VOICE] = {"+49 30 555 0100", "+49305550100"},
    [TOCSIN__CHANNEL__CHANNEL_PUSH] = {"ada-phone", "ada-phone"},
    [TOCSIN__CHANNEL__CHANNEL_WEBHOOK] = {"https://chat.example/hooks/1?a=b", "https://chat.example/hooks/1?a=b"},
};

/* ---- requests as the channels compose them */

static char address[512], title[4096], service[512], user[] = "Ada";

static Tocsin__Notification a_page(Tocsin__Channel kind, const char *to, const char *about)
{
    Tocsin__Notification page = TOCSIN__NOTIFICATION__INIT;
    (void)snprintf(address, sizeof address, "%s", to);
    (void)snprintf(title, sizeof title, "%s", about);
    (void)snprintf(service, sizeof service, "Payments & more");
    page.id = 345;
    page.incident_id = 42;
    page.incident_number = 12;
    page.channel = kind;
    page.address = address;
    page.title = title;
    page.service_name = service;
    page.user_name = user;
    page.urgency = TOCSIN__URGENCY__URGENCY_HIGH;
    page.level = 2;
    page.created_at_ms = 1444167042000;
    return page;
}

static struct outgoing composed(const struct notify_settings *with, const Tocsin__Notification *page)
{
    struct outgoing outgoing = {.deadline_ms = DEADLINE_MS};
    char error[200] = "";
    if (!channel_for(page->channel)->compose(with, page, &outgoing, error, sizeof error)) {
        fail_msg("not composed: %s", error);
    }
    return outgoing;
}

static struct provider_message message;

static void read_back(const struct notify_settings *with, const Tocsin__Notification *page)
{
    struct outgoing outgoing = composed(with, page);
    const char *wrong = providers_read(&outgoing, &message);
    if (wrong != NULL) {
        fail_msg("not understood: %s\n%s", wrong, outgoing.body);
    }
    assert_int_equal(message.channel, page->channel);
    outgoing_close(&outgoing);
}

/* What the person should read, from the product's own words; on the heap. */
static char *expected_text(const Tocsin__Notification *page)
{
    char words[8000], subject[300];
    struct composer expected = {0};
    message_short(page, words, 1601);
    if (page->channel == TOCSIN__CHANNEL__CHANNEL_VOICE) { /* said twice */
        compose_format(&expected, "%s ", words);
    } else if (page->channel == TOCSIN__CHANNEL__CHANNEL_EMAIL) {
        message_subject(page, subject, sizeof subject);
        message_long(page, words, sizeof words);
        compose_format(&expected, "%s\n", subject);
    }
    compose_text(&expected, words);
    return compose_take(&expected, NULL);
}

static void test_each_channels_request_is_read_back(void **state)
{
    (void)state;
    static const char *const abouts[] = {"Disk full on db1", "50% & more + ü <b>'x' \"y\"</b> =?UTF-8?B?eA==?= = _",
                                         " two  spaces at the end  ", "日本語のタイトルは長いので折り返される必要があります、何度も"};
    for (size_t i = 0; i < KINDS; i++) {
        for (size_t j = 0; j < sizeof abouts / sizeof abouts[0]; j++) {
            Tocsin__Notification page = a_page(kinds[i], addressees[kinds[i]].entered, abouts[j]);
            page.possibly_repeated = j % 2 == 1;
            page.guardian = j == 2;
            read_back(&settings, &page);
            assert_string_equal(message.to, addressees[kinds[i]].seen);
            char *expected = expected_text(&page);
            assert_string_equal(message.text, expected);
            free(expected);
        }
    }
}

static void test_requests_with_other_settings_are_read_back(void **state)
{
    (void)state;
    struct notify_settings other = settings;
    other.twilio.from = "MG77";
    other.twilio.validity_s = 90000;
    other.webhook.secret = NULL;
    other.ntfy.token = NULL;
    Tocsin__Notification page = a_page(TOCSIN__CHANNEL__CHANNEL_SMS, "+15550100", "Disk full");
    read_back(&other, &page);
    assert_string_equal(message.to, "+15550100");
    page = a_page(TOCSIN__CHANNEL__CHANNEL_PUSH, "https://other.example/path/ada", "Disk full");
    read_back(&other, &page);
    assert_string_equal(message.to, "ada");
    page = a_page(TOCSIN__CHANNEL__CHANNEL_WEBHOOK, "https://chat.example/", "Disk full");
    read_back(&other, &page);
    assert_string_equal(message.to, "https://chat.example/");
}

/* Titles of any characters and any length (the door lets only UTF-8 in): each request is one that its provider
 * understands, and says how to answer. */
static void test_any_title_is_read_back(void **state)
{
    (void)state;
    static struct sim sim;
    sim_seed(&sim, 20261121);
    static const char *const pieces[] = {"&", "'", "<", "=", "ü", "語", "\r\n", "%", " ", ".", "a", "\n."};
    for (unsigned i = 0; i < 300; i++) {
        char about[sizeof title] = "";
        size_t size = 0;
        for (size_t wanted = sim_random(&sim, i % 3 == 0 ? sizeof title - 8 : 200); size < wanted;) {
            const char *piece = pieces[sim_random(&sim, sizeof pieces / sizeof pieces[0])];
            for (uint64_t times = 1 + sim_random(&sim, 90); times > 0 && size < wanted; times--) {
                memcpy(about + size, piece, strlen(piece) + 1);
                size += strlen(piece);
            }
        }
        for (size_t k = 0; k < KINDS; k++) {
            Tocsin__Notification page = a_page(kinds[k], addressees[kinds[k]].entered, about);
            read_back(&settings, &page);
            assert_true(strncmp(message.text, "[#12 TRIGGERED high] ", 21) == 0);
            assert_non_null(strstr(message.text, "P00001A"));
        }
    }
}

/* The request with one place changed. */
static char *changed(const char *text, const char *from, const char *to)
{
    const char *place = strstr(text, from);
    assert_non_null(place);
    struct composer out = {0};
    compose_bytes(&out, text, (size_t)(place - text));
    compose_text(&out, to);
    compose_text(&out, place + strlen(from));
    return compose_take(&out, NULL);
}

#define HUNDRED "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
#define THOUSAND HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED

static void test_what_no_provider_would_understand_is_told(void **state)
{
    (void)state;
    static const struct {
        Tocsin__Channel kind;
        enum { URL, BODY, HEADER } where;
        const char *from, *to;
    } damages[] = {
        {TOCSIN__CHANNEL__CHANNEL_SMS, URL, "Messages", "Message"},
        {TOCSIN__CHANNEL__CHANNEL_SMS, URL, "AC1", "AC2"},
        {TOCSIN__CHANNEL__CHANNEL_SMS, URL, "https", "gopher"},
        {TOCSIN__CHANNEL__CHANNEL_SMS, HEADER, "x-www-form-urlencoded", "json"},
        {TOCSIN__CHANNEL__CHANNEL_SMS, BODY, "%2B1555", "1555"},
        {TOCSIN__CHANNEL__CHANNEL_SMS, BODY, "%2B1555", "%2B0555"},
        {TOCSIN__CHANNEL__CHANNEL_SMS, BODY, "%2B1555", "%2"},
        {TOCSIN__CHANNEL__CHANNEL_SMS, BODY, "Body=", "Text="},
        {TOCSIN__CHANNEL__CHANNEL_SMS, BODY, "Body=", "Body=x&Body="},
        {TOCSIN__CHANNEL__CHANNEL_SMS, BODY, "Body=", "Body=%FF"},
        {TOCSIN__CHANNEL__CHANNEL_SMS, BODY, "Body=", "Body=%00"},
        {TOCSIN__CHANNEL__CHANNEL_SMS, BODY, "Body=", "Body=%zz"},
        {TOCSIN__CHANNEL__CHANNEL_SMS, BODY, "Body=", "Body=\n"},
        {TOCSIN__CHANNEL__CHANNEL_SMS, BODY, "From=%2B15550199", "From="},
        {TOCSIN__CHANNEL__CHANNEL_SMS, BODY, "&ValidityPeriod=", "&ValidityPeriod=99"},
        {TOCSIN__CHANNEL__CHANNEL_SMS, BODY, "ValidityPeriod=", "ValidityPeriod="},
        {TOCSIN__CHANNEL__CHANNEL_VOICE, BODY, "%3C%2FSay", "%3C%2FSaid"},
        {TOCSIN__CHANNEL__CHANNEL_VOICE, BODY, "%26amp%3B", "%26"},
        {TOCSIN__CHANNEL__CHANNEL_VOICE, BODY, "%3CResponse%3E", ""},
        {TOCSIN__CHANNEL__CHANNEL_VOICE, BODY, "From=", "From=MG"},
        {TOCSIN__CHANNEL__CHANNEL_PUSH, BODY, "ada-phone", "ada phone"},
        {TOCSIN__CHANNEL__CHANNEL_PUSH, BODY, "ada-phone", ""},
        {TOCSIN__CHANNEL__CHANNEL_PUSH, BODY, "\"message\"", "\"words\""},
        {TOCSIN__CHANNEL__CHANNEL_PUSH, BODY, "\"priority\":", "\"priority\":1"},
        {TOCSIN__CHANNEL__CHANNEL_PUSH, BODY, "}", ""},
        {TOCSIN__CHANNEL__CHANNEL_PUSH, HEADER, "application/json", "text/plain"},
        {TOCSIN__CHANNEL__CHANNEL_WEBHOOK, BODY, "\"text\"", "\"words\""},
        {TOCSIN__CHANNEL__CHANNEL_WEBHOOK, BODY, "\"event\"", "\"events\""},
        {TOCSIN__CHANNEL__CHANNEL_WEBHOOK, HEADER, "sha256=", "sha1="},
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, URL, "smtps", "https"},
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, BODY, "\r\n", "\n"},
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, BODY, "\r\n\r\n", "\r\n"},
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, BODY, "Subject:", "Betreff:"},
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, BODY, "Subject:", "Subject: x\r\nSubject:"},
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, BODY, "Date:", "Date: x\r\nDate:"},
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, BODY, "<ada@", "<bob@"},
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, BODY, "quoted-printable", "8bit"},
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, BODY, "\r\n\r\n", "\r\n\r\n=ZZ"},
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, BODY, "\r\n\r\n", "\r\n\r\n=FF"},
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, BODY, "\r\n\r\n", "\r\n\r\n\xc3\xbc"},
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, BODY, "\r\n\r\n", "\r\n\r\n" THOUSAND},
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, BODY, "Subject: =?UTF-8?B?", "Subject: =?UTF-8?B?*"},
        {TOCSIN__CHANNEL__CHANNEL_EMAIL, BODY, "Subject: =?UTF-8?B?", "Subject: =?UTF-8?B?eA?= =?UTF-8?B?"},
    };
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        Tocsin__Notification page = a_page(damages[i].kind, addressees[damages[i].kind].entered, "Disk & ü full");
        struct outgoing outgoing = composed(&settings, &page);
        char **place = damages[i].where == URL ? &outgoing.url : &outgoing.body;
        for (size_t h = 0; damages[i].where == HEADER && h < outgoing.headers_count; h++) {
            place = strstr(outgoing.headers[h], damages[i].from) != NULL ? &outgoing.headers[h] : place;
        }
        char *damaged = changed(*place, damages[i].from, damages[i].to);
        bool same = strcmp(damaged, *place) == 0;
        free(*place);
        *place = damaged;
        outgoing.body_size_bytes = strlen(outgoing.body);
        const char *wrong = providers_read(&outgoing, &message);
        if ((wrong == NULL) != same) {
            fail_msg("damage %zu: %s", i, wrong != NULL ? wrong : "taken");
        }
        outgoing_close(&outgoing);
    }
}

static void test_a_request_from_nobody_is_told(void **state)
{
    (void)state;
    Tocsin__Notification page = a_page(TOCSIN__CHANNEL__CHANNEL_SMS, "+15550100", "Disk full");
    struct outgoing outgoing = composed(&settings, &page);
    free(outgoing.password);
    outgoing.password = NULL;
    assert_non_null(providers_read(&outgoing, &message));
    outgoing_close(&outgoing);
    page = a_page(TOCSIN__CHANNEL__CHANNEL_EMAIL, "ada@example.org", "Disk full");
    outgoing = composed(&settings, &page);
    free(outgoing.mail_from);
    outgoing.mail_from = NULL;
    assert_non_null(providers_read(&outgoing, &message));
    outgoing_close(&outgoing);
}

/* ---- moods */

struct request {
    uint64_t started_ms, answered_ms, delivered_ms; /* 0: not */
    enum answer_kind kind;
    struct verdict verdict;
};

/* A run with its requests. Each names itself in its title, so that what a person reads can be told apart. */
struct run {
    struct sim sim;
    struct providers *providers;
    struct request requests[REQUESTS];
    Tocsin__Channel kind;
    bool calling;
};
static struct run run;

static void on_delivered(void *context, Tocsin__Channel channel, const char *to, const char *text)
{
    assert_ptr_equal(context, &run);
    assert_false(run.calling);
    assert_int_equal(channel, run.kind);
    assert_string_equal(to, addressees[run.kind].seen);
    const char *name = strstr(text, "request ");
    assert_non_null(name);
    struct request *request = &run.requests[strtoul(name + 8, NULL, 10)];
    assert_int_equal(request->delivered_ms, 0);
    request->delivered_ms = sim_now_ms(&run.sim);
}

static void on_answered(void *context, uint64_t token, const struct answer *answer)
{
    assert_ptr_equal(context, &run);
    assert_false(run.calling);
    assert_true(token < REQUESTS);
    struct request *request = &run.requests[token];
    assert_int_equal(request->answered_ms, 0);
    request->answered_ms = sim_now_ms(&run.sim);
    request->kind = answer->kind;
    assert_int_equal(strlen(answer->body), answer->body_size_bytes);
    assert_true(answer->kind == ANSWER_RESPONSE || (answer->error != NULL && answer->body_size_bytes == 0));
    channel_for(run.kind)->judge(answer, &request->verdict);
}

static void run_begin(uint64_t seed, Tocsin__Channel kind)
{
    memset(&run, 0, sizeof run);
    sim_seed(&run.sim, seed);
    run.sim.now_ms = SIM_START_MS;
    run.kind = kind;
    run.providers = providers_new(&run.sim, on_delivered, &run);
}

static void run_requests(unsigned node)
{
    run.calling = true;
    for (unsigned i = 0; i < REQUESTS; i++) {
        char about[32];
        (void)snprintf(about, sizeof about, "request %u", i);
        Tocsin__Notification page = a_page(run.kind, addressees[run.kind].entered, about);
        struct outgoing outgoing = composed(&settings, &page);
        run.requests[i] = (struct request){.started_ms = sim_now_ms(&run.sim)};
        providers_request(run.providers, node, &outgoing, on_answered, &run, i);
        outgoing_close(&outgoing);
    }
    run.calling = false;
}

static bool something_is_to_come(void)
{
    struct event event;
    return events_take(&run.sim.events, UINT64_MAX, &event);
}

/* Until nothing can come any more. */
static void run_on(void)
{
    sim_run_until(&run.sim, sim_now_ms(&run.sim) + 60000);
    assert_string_equal(run.sim.violation, "");
    assert_false(something_is_to_come());
}

static void run_end(void)
{
    providers_free(run.providers);
    events_close(&run.sim.events);
}

/* What was seen of all requests of a run. */
struct sums {
    unsigned delivered, delivered_late, kinds[3], outcomes[8];
    uint64_t slowest_answer_ms;
    bool retry_after;
};

static struct sums sums_of_run(void)
{
    struct sums sums = {0};
    for (unsigned i = 0; i < REQUESTS; i++) {
        const struct request *request = &run.requests[i];
        uint64_t answer_ms = request->answered_ms - request->started_ms;
        assert_true(request->answered_ms > request->started_ms && answer_ms <= DEADLINE_MS);
        sums.slowest_answer_ms = answer_ms > sums.slowest_answer_ms ? answer_ms : sums.slowest_answer_ms;
        sums.delivered += request->delivered_ms > 0;
        sums.delivered_late += request->delivered_ms > request->started_ms + DEADLINE_MS;
        sums.kinds[request->kind]++;
        sums.outcomes[request->verdict.outcome]++;
        sums.retry_after |= request->verdict.retry_after_s > 0;
        if (request->verdict.outcome == TOCSIN__OUTCOME__OUTCOME_SENT) {
            assert_true(request->delivered_ms > 0 && request->delivered_ms <= request->answered_ms);
            bool has_id = run.kind == TOCSIN__CHANNEL__CHANNEL_EMAIL || run.kind == TOCSIN__CHANNEL__CHANNEL_WEBHOOK ||
                          request->verdict.provider_id[0] != '\0';
            assert_true(has_id);
        } else if (request->kind != ANSWER_NO_ANSWER) {
            assert_int_equal(request->delivered_ms, 0); /* a failure that is certain reached nobody */
        }
    }
    return sums;
}

#define SEEN(outcome) TOCSIN__OUTCOME__OUTCOME_##outcome

/* Every request meets the one outcome (or the two) of the mood, in the words of each channel. */
static void test_each_mood_ends_as_it_should(void **state)
{
    (void)state;
    static const struct {
        enum provider_mood mood;
        Tocsin__Outcome outcome, other;
        unsigned delivered_least, delivered_most;
        uint64_t slowest_least_ms, slowest_most_ms;
    } cases[] = {
        {PROVIDER_NORMAL, SEEN(SENT), SEEN(SENT), REQUESTS, REQUESTS, 450, 500},
        {PROVIDER_SLOW, SEEN(SENT), SEEN(UNKNOWN), REQUESTS, REQUESTS, DEADLINE_MS, DEADLINE_MS},
        {PROVIDER_DOWN, SEEN(RETRY), SEEN(RETRY), 0, 0, 6000, 6000},
        {PROVIDER_THROTTLING, SEEN(RETRY), SEEN(RETRY), 0, 0, 450, 500},
        {PROVIDER_FAILING, SEEN(RETRY), SEEN(RETRY), 0, 0, 450, 500},
        {PROVIDER_DROPPING, SEEN(UNKNOWN), SEEN(UNKNOWN), REQUESTS / 3, REQUESTS * 2 / 3, DEADLINE_MS, DEADLINE_MS},
        {PROVIDER_HANGING, SEEN(UNKNOWN), SEEN(UNKNOWN), 0, 0, DEADLINE_MS, DEADLINE_MS},
        {PROVIDER_REFUSING, SEEN(NEVER), SEEN(NEVER), 0, 0, 450, 500},
        {PROVIDER_UNAUTHORIZED, SEEN(MISCONFIGURED), SEEN(MISCONFIGURED), 0, 0, 450, 500},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t k = 0; k < KINDS; k++) {
            run_begin(1 + k, kinds[k]);
            providers_set(run.providers, kinds[k], cases[i].mood);
            run_requests(1);
            run_on();
            struct sums sums = sums_of_run();
            unsigned met = sums.outcomes[cases[i].outcome];
            assert_true(met > 0);
            if (cases[i].other != cases[i].outcome) {
                assert_true(sums.outcomes[cases[i].other] > 0 && sums.delivered_late > 0);
                met += sums.outcomes[cases[i].other];
            }
            assert_int_equal(met, REQUESTS);
            assert_in_range(sums.delivered, cases[i].delivered_least, cases[i].delivered_most);
            assert_in_range(sums.slowest_answer_ms, cases[i].slowest_least_ms, cases[i].slowest_most_ms);
            bool waits = cases[i].mood == PROVIDER_THROTTLING || /* greylisting: the product waits by itself */
                         (cases[i].mood == PROVIDER_FAILING && kinds[k] == TOCSIN__CHANNEL__CHANNEL_EMAIL);
            assert_int_equal(sums.retry_after, waits);
            run_end();
        }
    }
}

static void test_a_flickering_provider_shows_every_passing_trouble(void **state)
{
    (void)state;
    run_begin(1, TOCSIN__CHANNEL__CHANNEL_SMS);
    providers_set(run.providers, run.kind, PROVIDER_FLICKERING);
    run_requests(1);
    run_on();
    struct sums sums = sums_of_run();
    assert_true(sums.kinds[ANSWER_RESPONSE] > 0 && sums.kinds[ANSWER_NOT_SENT] > 0 && sums.kinds[ANSWER_NO_ANSWER] > 0);
    assert_true(sums.outcomes[TOCSIN__OUTCOME__OUTCOME_SENT] > 0 && sums.outcomes[TOCSIN__OUTCOME__OUTCOME_RETRY] > 0);
    assert_int_equal(sums.outcomes[TOCSIN__OUTCOME__OUTCOME_NEVER], 0);
    assert_int_equal(sums.outcomes[TOCSIN__OUTCOME__OUTCOME_MISCONFIGURED], 0);
    assert_true(sums.delivered > REQUESTS / 4 && sums.delivered < REQUESTS * 3 / 4);
    run_end();
}

/* One channel's trouble is not another's, nor one node's another's; and calm is the end of all of it. */
static void test_trouble_is_of_one_channel_or_one_node_until_calm(void **state)
{
    (void)state;
    run_begin(1, TOCSIN__CHANNEL__CHANNEL_VOICE);
    providers_set(run.providers, TOCSIN__CHANNEL__CHANNEL_SMS, PROVIDER_DOWN);
    providers_cut_off(run.providers, 2, true);
    run_requests(1);
    run_on();
    assert_int_equal(sums_of_run().delivered, REQUESTS);
    run_requests(2);
    run_on();
    assert_int_equal(sums_of_run().delivered, 0);
    assert_int_equal(sums_of_run().outcomes[TOCSIN__OUTCOME__OUTCOME_RETRY], REQUESTS);
    providers_calm(run.providers);
    run_requests(2);
    run_on();
    assert_int_equal(sums_of_run().delivered, REQUESTS);
    run.kind = TOCSIN__CHANNEL__CHANNEL_SMS;
    run_requests(1);
    run_on();
    assert_int_equal(sums_of_run().delivered, REQUESTS);
    run_end();
}

/* What a provider has taken reaches its person although the provider has gone down since. */
static void test_a_change_of_mood_is_for_requests_from_then_on(void **state)
{
    (void)state;
    run_begin(1, TOCSIN__CHANNEL__CHANNEL_PUSH);
    run_requests(1);
    providers_set(run.providers, run.kind, PROVIDER_DOWN);
    run_on();
    assert_int_equal(sums_of_run().delivered, REQUESTS);
    run_requests(1);
    run_on();
    assert_int_equal(sums_of_run().delivered, 0);
    run_end();
}

static void test_one_seed_is_one_run(void **state)
{
    (void)state;
    static struct request first[REQUESTS];
    for (uint64_t i = 0; i < 3; i++) {
        run_begin(7 + i / 2, TOCSIN__CHANNEL__CHANNEL_WEBHOOK);
        providers_set(run.providers, run.kind, PROVIDER_FLICKERING);
        run_requests(1);
        run_on();
        if (i == 0) {
            memcpy(first, run.requests, sizeof first);
        }
        assert_int_equal(memcmp(first, run.requests, sizeof first) == 0, i < 2);
        run_end();
    }
}

/* The run ends while requests are under way: nothing is left behind. */
static void test_a_run_may_end_with_requests_under_way(void **state)
{
    (void)state;
    run_begin(1, TOCSIN__CHANNEL__CHANNEL_EMAIL);
    providers_set(run.providers, run.kind, PROVIDER_SLOW);
    run_requests(1);
    sim_run_until(&run.sim, sim_now_ms(&run.sim) + 5000);
    assert_true(something_is_to_come());
    run_end();
}

static void test_a_request_that_nobody_understands_is_a_violation(void **state)
{
    (void)state;
    run_begin(1, TOCSIN__CHANNEL__CHANNEL_SMS);
    Tocsin__Notification page = a_page(run.kind, addressees[run.kind].entered, "request 0");
    struct outgoing outgoing = composed(&settings, &page);
    outgoing.body[outgoing.body_size_bytes - 1] = '%';
    providers_request(run.providers, 3, &outgoing, on_answered, &run, 0);
    outgoing_close(&outgoing);
    assert_non_null(strstr(run.sim.violation, "node 3 sends https://twilio.example/"));
    run_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_channels_request_is_read_back),
        cmocka_unit_test(test_requests_with_other_settings_are_read_back),
        cmocka_unit_test(test_any_title_is_read_back),
        cmocka_unit_test(test_what_no_provider_would_understand_is_told),
        cmocka_unit_test(test_a_request_from_nobody_is_told),
        cmocka_unit_test(test_each_mood_ends_as_it_should),
        cmocka_unit_test(test_a_flickering_provider_shows_every_passing_trouble),
        cmocka_unit_test(test_trouble_is_of_one_channel_or_one_node_until_calm),
        cmocka_unit_test(test_a_change_of_mood_is_for_requests_from_then_on),
        cmocka_unit_test(test_one_seed_is_one_run),
        cmocka_unit_test(test_a_run_may_end_with_requests_under_way),
        cmocka_unit_test(test_a_request_that_nobody_understands_is_a_violation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
