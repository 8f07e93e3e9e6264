/*
 * The simulator's clients against the real handlers over one machine in memory: every request of theirs is understood,
 * retries do no harm, people who are told answer; and a cluster that lies to them is found out.
 *
 *     clients ── headers, body ──> a node of the stand-in ──> api_fixture: router, handler, machine ──> answer, later
 *                                  may drop, refuse, repeat or make up answers
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/records.h"
#include "notify/channel.h"
#include "tests/sim/clients/workload.h"
#include "tests/sim/world/sim_internal.h"
#include "tests/support/api_fixture.h"

#define MINUTE_MS 2000u
#define TICK_MS 500u
#define HEADERS_MAX 8
#define TEXT_SIZE 4096
#define SETTLE_MS 120000u

/* What the cluster does wrong. */
enum lie {
    LIE_NONE,
    LIE_OLD_ANSWERS,    /* a question is answered again as it was some time ago */
    LIE_DROPPED_EVENTS, /* events are answered 202 and forgotten */
    LIE_FORGOTTEN_KEYS, /* Idempotency-Keys are not looked at */
    LIE_SERVER_ERRORS,  /* 500 */
    LIE_SILENCE,        /* some requests are never answered */
    LIE_LOST_INCIDENTS, /* 404 for what is there */
    LIE_REFUSED_EDITS,  /* 400 for an edit that was right and done */
};

struct old_answer {
    struct old_answer *next;
    char *target;
    const struct api_answer *answer;
};

struct stand {
    struct sim sim; /* first: the clients hand it back */
    struct api_fixture *api;
    struct workload *workload;
    enum lie lie;
    unsigned trouble_permille; /* requests that meet a 503, or lose their answer */
    struct old_answer *old;
    bool finished;
};

/* ---------------------------------------------------------------- a node */

struct exchange {
    struct stand *stand;
    char *method, *target, *body;
    char *headers[HEADERS_MAX];
    size_t headers_count;
    const struct api_answer *answer; /* NULL: none will come */
    unsigned status;                 /* instead of the answer's, 0: the answer's */
    sim_answered done;
    void *context;
};

static char *copied(const char *text)
{
    return text != NULL ? text_of("%s", text) : NULL;
}

static void exchange_free(struct exchange *exchange)
{
    for (size_t i = 0; i < exchange->headers_count; i++) {
        free(exchange->headers[i]);
    }
    free(exchange->method);
    free(exchange->target);
    free(exchange->body);
    free(exchange);
}

static void deliver(void *context)
{
    struct exchange *exchange = context;
    const struct api_answer *answer = exchange->answer;
    char texts[HTTP_RESPONSE_HEADERS_MAX][256];
    const char *headers[HTTP_RESPONSE_HEADERS_MAX + 1] = {NULL};
    struct sim_answer given = {.body = "", .headers = headers};

    if (answer != NULL) {
        given = (struct sim_answer){.status = exchange->status != 0 ? exchange->status : answer->status,
                                    .body = answer->text,
                                    .body_size_bytes = strlen(answer->text),
                                    .headers = headers};
        for (unsigned i = 0; i < answer->headers_count; i++) {
            (void)snprintf(texts[i], sizeof texts[i], "%s: %s", answer->headers[i].name, answer->headers[i].value);
            headers[i] = texts[i];
        }
    }
    exchange->done(exchange->context, &given);
    exchange_free(exchange);
}

/* The real handlers, at once. */
static const struct api_answer *handle(struct stand *stand, const struct exchange *exchange)
{
    struct api_question question = {.method = exchange->method, .target = exchange->target, .body = exchange->body};
    unsigned count = 0;

    question.headers[count++] = (struct http_parameter){"X-Api-Key", API_FIXTURE_TOKEN};
    for (size_t i = 0; i < exchange->headers_count; i++) {
        char *colon = strstr(exchange->headers[i], ": ");
        assert_non_null(colon);
        *colon = '\0';
        if (stand->lie != LIE_FORGOTTEN_KEYS || strcmp(exchange->headers[i], "Idempotency-Key") != 0) {
            question.headers[count++] = (struct http_parameter){exchange->headers[i], colon + 2};
        }
    }
    stand->api->now_ms = sim_now_ms(&stand->sim);
    return api_fixture_ask(stand->api, &question);
}

/* As the same question was answered first; NULL: it was not asked before. */
static const struct api_answer *answered_before(struct stand *stand, const char *target,
                                                const struct api_answer *answer)
{
    for (struct old_answer *old = stand->old; old != NULL; old = old->next) {
        if (strcmp(old->target, target) == 0) {
            return old->answer;
        }
    }
    struct old_answer *old = calloc(1, sizeof *old);
    assert_non_null(old);
    *old = (struct old_answer){stand->old, copied(target), answer};
    stand->old = old;
    return NULL;
}

static void lie(struct stand *stand, struct exchange *exchange)
{
    bool read = strcmp(exchange->method, "GET") == 0, incident = strncmp(exchange->target, "/incidents/", 11) == 0;
    const struct api_answer *before;

    if (!sim_chance(&stand->sim, 200)) {
        return;
    }
    switch (stand->lie) {
    case LIE_OLD_ANSWERS:
        before = read && incident ? answered_before(stand, exchange->target, exchange->answer) : NULL;
        exchange->answer = before != NULL ? before : exchange->answer;
        return;
    case LIE_SERVER_ERRORS:
        exchange->status = 500;
        return;
    case LIE_LOST_INCIDENTS:
        exchange->status = read && incident ? 404 : 0;
        return;
    case LIE_REFUSED_EDITS:
        exchange->status = strncmp(exchange->target, "/escalation_policies/", 21) == 0 && !read ? 400 : 0;
        return;
    case LIE_NONE:
    case LIE_DROPPED_EVENTS:
    case LIE_FORGOTTEN_KEYS:
    case LIE_SILENCE:
        return;
    }
}

/* Whether the event is answered with a made-up 202. */
static bool drops(struct stand *stand, struct exchange *exchange)
{
    if (stand->lie != LIE_DROPPED_EVENTS || strcmp(exchange->target, "/v2/enqueue") != 0 ||
        !sim_chance(&stand->sim, 100)) {
        return false;
    }
    exchange->answer = handle(stand, &(struct exchange){.method = (char[]){"GET"}, .target = (char[]){"/readyz"}});
    exchange->status = 202;
    return true;
}

static void arrive(void *context)
{
    struct exchange *exchange = context;
    struct stand *stand = exchange->stand;
    unsigned trouble = sim_chance(&stand->sim, stand->trouble_permille) ? 1 + (unsigned)sim_random(&stand->sim, 3) : 0;

    if (trouble == 1) { /* 503, and nothing happened */
        stand->api->outcome = SUBMIT_UNAVAILABLE;
        exchange->answer = handle(stand, exchange);
        stand->api->outcome = SUBMIT_APPLIED;
    } else if (trouble != 2 && !drops(stand, exchange)) { /* 2: it does not even arrive */
        exchange->answer = handle(stand, exchange);
        lie(stand, exchange);
    }
    if (trouble == 3) { /* it happened, and nobody hears of it */
        exchange->answer = NULL;
    }
    if (stand->lie == LIE_SILENCE && sim_chance(&stand->sim, 10)) {
        exchange_free(exchange);
        return;
    }
    sim_at(&stand->sim, sim_now_ms(&stand->sim) + sim_random(&stand->sim, 20), deliver, exchange);
}

static void way_to_node(struct sim *sim, uint64_t node, const char *method, const char *target,
                        const char *const *headers, const char *body, sim_answered done, void *context)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);

    assert_non_null(exchange);
    assert_in_range(node, 1, sim->nodes_count);
    *exchange = (struct exchange){.stand = (struct stand *)sim,
                                  .method = copied(method),
                                  .target = copied(target),
                                  .body = copied(body),
                                  .done = done,
                                  .context = context};
    for (; headers != NULL && *headers != NULL; headers++) {
        assert_in_range(exchange->headers_count, 0, HEADERS_MAX - 3);
        exchange->headers[exchange->headers_count++] = copied(*headers);
    }
    sim_at(sim, sim_now_ms(sim) + sim_random(sim, 20), arrive, exchange);
}

/* ---------------------------------------------------------------- what else a cluster does */

static void apply(struct stand *stand, Tocsin__Command__BodyCase body_case, void *body)
{
    Tocsin__Command command = TOCSIN__COMMAND__INIT;

    command.body_case = body_case;
    command.event = body; /* the pointers of all bodies are one */
    stand->api->now_ms = sim_now_ms(&stand->sim);
    Tocsin__Reply *reply = api_fixture_apply(stand->api, &command);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    tocsin__reply__free_unpacked(reply, NULL);
}

static void tell(struct stand *stand, const struct machine_send *send)
{
    Tocsin__Notification *notification = tocsin__notification__unpack(NULL, send->packed.size_bytes, send->packed.data);
    char text[TEXT_SIZE];

    assert_non_null(notification);
    message_short(notification, text, sizeof text);
    people_delivered(workload_people(stand->workload), notification->channel, notification->address, text);
    tocsin__notification__free_unpacked(notification, NULL);
}

/* Everything owed reaches its person; nobody hears back from the provider until the claim lapses. */
static void tell_everybody(struct stand *stand)
{
    uint64_t ids[LIMIT_CLAIM_NOTIFICATIONS];
    Tocsin__Claim claim = TOCSIN__CLAIM__INIT;
    struct walk walk = walk_all(&stand->api->view, TABLE_OUTBOX);

    while (claim.n_notification_ids < LIMIT_CLAIM_NOTIFICATIONS && walk_next(&walk)) {
        ids[claim.n_notification_ids++] = span_number(walk.key, 0);
    }
    if (claim.n_notification_ids == 0) {
        return;
    }
    claim.notification_ids = ids;
    apply(stand, TOCSIN__COMMAND__BODY_CLAIM, &claim);
    for (size_t i = 0; i < stand->api->output.sends_count; i++) {
        tell(stand, &stand->api->output.sends[i]);
    }
}

static void tick(void *context)
{
    struct stand *stand = context;
    Tocsin__Pulse pulse = TOCSIN__PULSE__INIT;

    pulse.limit = LIMIT_PULSE_DEADLINES;
    while (machine_next_deadline_ms(&stand->api->view) <= sim_now_ms(&stand->sim)) {
        apply(stand, TOCSIN__COMMAND__BODY_PULSE, &pulse);
    }
    tell_everybody(stand);
    sim_at(&stand->sim, sim_now_ms(&stand->sim) + TICK_MS, tick, stand);
}

/* ---------------------------------------------------------------- the stage */

static struct stand *stand_new(uint64_t seed, struct workload_options options)
{
    struct stand *stand = calloc(1, sizeof *stand);
    Tocsin__SettingsPut put = TOCSIN__SETTINGS_PUT__INIT;
    Tocsin__Settings settings = TOCSIN__SETTINGS__INIT;

    assert_non_null(stand);
    stand->sim.now_ms = SIM_START_MS;
    stand->sim.nodes_count = 3;
    stand->sim.troubled = true;
    for (unsigned id = 1; id <= 3; id++) {
        stand->sim.nodes[id].up = true;
    }
    for (unsigned i = 0; i < 4; i++) {
        stand->sim.random[i] = seed * 4 + i + 1;
    }
    stand->api = api_fixture_new();
    settings.minute_ms = options.minute_ms;
    put.settings = &settings;
    put.fields =
        UINT64_C(1) << protobuf_c_message_descriptor_get_field_by_name(&tocsin__settings__descriptor, "minute_ms")->id;
    apply(stand, TOCSIN__COMMAND__BODY_SETTINGS_PUT, &put);
    options.way = way_to_node;
    stand->workload = workload_new(&stand->sim, &options);
    tick(stand);
    return stand;
}

static void stand_free(struct stand *stand)
{
    struct event event;
    while (events_take(&stand->sim.events, UINT64_MAX, &event)) { /* what is still on its way */
        if (event.run == arrive || event.run == deliver) {
            exchange_free(event.context);
        }
    }
    for (struct old_answer *old = stand->old, *next; old != NULL; old = next) {
        next = old->next;
        free(old->target);
        free(old);
    }
    workload_free(stand->workload);
    api_fixture_free(stand->api);
    events_close(&stand->sim.events);
    free(stand);
}

static void run_for(struct stand *stand, uint64_t duration_ms)
{
    sim_run_until(&stand->sim, sim_now_ms(&stand->sim) + duration_ms);
}

static uint64_t counted(const struct stand *stand, const char *name)
{
    for (unsigned i = 0; i < stand->sim.counts_count; i++) {
        if (strcmp(stand->sim.counts[i].name, name) == 0) {
            return stand->sim.counts[i].times;
        }
    }
    return 0;
}

static void on_finished(void *context)
{
    ((struct stand *)context)->finished = true;
}

static void set_up(struct stand *stand)
{
    workload_start(stand->workload);
    run_for(stand, 20000);
    assert_true(workload_is_set_up(stand->workload));
}

/* Work, calm, and the last questions. */
static void play(struct stand *stand, uint64_t duration_ms)
{
    run_for(stand, duration_ms);
    workload_stop(stand->workload);
    stand->trouble_permille = 0;
    run_for(stand, SETTLE_MS);
    workload_finish(stand->workload, on_finished, stand);
    run_for(stand, 4 * SETTLE_MS);
}

static void assert_clean(const struct stand *stand)
{
    if (stand->sim.violation[0] != '\0') {
        fail_msg("nothing was wrong, but %s", stand->sim.violation);
    }
    assert_true(stand->finished);
}

/* ---------------------------------------------------------------- stories */

static void the_company_is_set_up_against_all_trouble(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct stand *stand = stand_new(seed, (struct workload_options){.minute_ms = MINUTE_MS});
        const struct company *company = workload_company(stand->workload);
        stand->trouble_permille = 300;
        workload_start(stand->workload);
        run_for(stand, 60000);
        assert_string_equal(stand->sim.violation, "");
        assert_true(workload_is_set_up(stand->workload));
        assert_in_range(company->people_count, 3, PEOPLE_MAX);
        /* and each thing once, however often it was asked for */
        const struct api_answer *users = api_get(stand->api, "/users?limit=100");
        assert_int_equal(json_array_size(api_answer_at(users, "users", NULL)), company->people_count);
        const struct api_answer *services = api_get(stand->api, "/services?limit=100");
        assert_int_equal(json_array_size(api_answer_at(services, "services", NULL)), company->services_count);
        stand_free(stand);
    }
}

static void dense_work_in_trouble_is_understood(void **state)
{
    static const char *const exercised[] = {"events accepted",
                                            "events sent twice",
                                            "flaps",
                                            "edits",
                                            "edits refused",
                                            "deletions",
                                            "incidents by hand",
                                            "reassignments",
                                            "escalations by hand",
                                            "notes",
                                            "reads",
                                            "acknowledgements by people",
                                            "resolutions by people",
                                            "messages to people",
                                            "requests tried again",
                                            "503s",
                                            "answers that never came",
                                            "incidents at the end",
                                            "incidents held against what was known",
                                            "objects held against what was known",
                                            "alerts counted at the end"};

    (void)state;
    struct stand *stand = stand_new(4, workload_dense(MINUTE_MS));
    set_up(stand);
    stand->trouble_permille = 60;
    play(stand, 240000);
    assert_clean(stand);
    for (size_t i = 0; i < sizeof exercised / sizeof *exercised; i++) {
        if (counted(stand, exercised[i]) == 0) {
            fail_msg("there were no %s", exercised[i]);
        }
    }
    stand_free(stand);
}

static void a_calm_night_is_understood(void **state)
{
    (void)state;
    struct stand *stand = stand_new(2, workload_calm());
    set_up(stand);
    stand->trouble_permille = 20;
    play(stand, 8 * 3600000u);
    assert_clean(stand);
    assert_in_range(counted(stand, "events accepted"), 20, 1000);
    stand_free(stand);
}

static void one_seed_is_one_run(void **state)
{
    uint64_t told[2], random[2];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct stand *stand = stand_new(9, workload_dense(MINUTE_MS));
        stand->trouble_permille = 50;
        workload_start(stand->workload);
        run_for(stand, 60000);
        told[i] = counted(stand, "messages to people");
        random[i] = sim_random(&stand->sim, UINT64_MAX);
        stand_free(stand);
    }
    assert_true(told[0] > 10);
    assert_int_equal(told[0], told[1]);
    assert_int_equal(random[0], random[1]);
}

/* Each lie is found within some runs, by words that tell of it. */
static void assert_lie_is_found(enum lie lie, unsigned trouble_permille, const char *words, const char *or_words)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct stand *stand = stand_new(seed, workload_dense(MINUTE_MS));
        set_up(stand);
        stand->lie = lie;
        stand->trouble_permille = trouble_permille;
        play(stand, 60000);
        bool wrong = stand->sim.violation[0] != '\0', found = wrong && (strstr(stand->sim.violation, words) != NULL ||
                                                                        strstr(stand->sim.violation, or_words) != NULL);
        if (wrong && !found) {
            fail_msg("\"%s\" was expected, not %s", words, stand->sim.violation);
        }
        stand_free(stand);
        if (found) {
            return;
        }
    }
    fail_msg("\"%s\" was not found", words);
}

static void old_answers_are_found(void **state)
{
    (void)state;
    assert_lie_is_found(LIE_OLD_ANSWERS, 0, "a stale read: ", " afterwards");
}

static void dropped_events_are_found(void **state)
{
    (void)state;
    assert_lie_is_found(LIE_DROPPED_EVENTS, 0, "P1: ", "P1: "); /* as an incident that is not there, or a trigger that was not counted */
}

static void forgotten_keys_are_found(void **state)
{
    (void)state;
    assert_lie_is_found(LIE_FORGOTTEN_KEYS, 200, "", ""); /* as a refusal of what is there, or as an event too many */
}

static void server_errors_are_found(void **state)
{
    (void)state;
    assert_lie_is_found(LIE_SERVER_ERRORS, 0, "P5: ", "P5: ");
}

static void silence_is_found(void **state)
{
    (void)state;
    assert_lie_is_found(LIE_SILENCE, 0, "is not answered within", "is not answered within");
}

static void lost_incidents_are_found(void **state)
{
    (void)state;
    assert_lie_is_found(LIE_LOST_INCIDENTS, 0, "does not know ", "does not know ");
}

static void refused_edits_are_found(void **state)
{
    (void)state;
    assert_lie_is_found(LIE_REFUSED_EDITS, 0, "P5: ", "P5: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_company_is_set_up_against_all_trouble),
        cmocka_unit_test(dense_work_in_trouble_is_understood),
        cmocka_unit_test(a_calm_night_is_understood),
        cmocka_unit_test(one_seed_is_one_run),
        cmocka_unit_test(old_answers_are_found),
        cmocka_unit_test(dropped_events_are_found),
        cmocka_unit_test(forgotten_keys_are_found),
        cmocka_unit_test(server_errors_are_found),
        cmocka_unit_test(silence_is_found),
        cmocka_unit_test(lost_incidents_are_found),
        cmocka_unit_test(refused_edits_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
