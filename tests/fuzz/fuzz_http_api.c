/*
 * Requests to the HTTP API, from any client: method, target, headers and body as they come. What is asked goes through
 * the router and the handlers to a machine and back.
 *
 *     POST /users?limit=1                      requests one after the other, with a line "----" between
 *     Idempotency-Key: k                       the admin's token goes along unless "No-Token:" stands here
 *     Trouble: unavailable                     overloaded, stopped, stale, large
 *     Wait: 600                                seconds that pass before; what is due meanwhile happens, and what is sent arrives
 *     Live: 100                                ... during which the leader ticks and says what is muted
 *
 *     {"user": ...}
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/fuzz/company.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/onlookers.h"
#include "tests/fuzz/world.h"
#include "tests/support/api_fixture.h"
#include "tests/support/api_story.h"

#define REQUESTS_MAX 12u
#define WAIT_S_LIMIT (3u * 24 * 3600)
#define LIVE_S_LIMIT 300u

/* Whose clients ask: each family has its own shape of errors. */
enum family { REST, EVENTS, PINGS, CHECKS, OPSGENIE, ALERTMANAGER, INTEGRATION };

struct request {
    char *method_line; /* method and target, apart by a NUL */
    const char *target;
    char *headers[API_QUESTION_HEADERS_MAX];
    unsigned headers_count;
    struct span body;
    struct api_question question;
    const char *trouble; /* NULL: none */
    uint64_t wait_s, live_s;
    const char *idempotency_key;
    enum family family;
    bool speaks_text; /* the answer may be no JSON */
    bool of_alertmanager; /* at whichever of its ways in: no words when all is well; of several alerts the good ones are
                             taken though others are refused, as it does itself */
    bool shows_secret;
    bool open_to_all; /* there are keys in its path or its body, or it makes a token of the own */
    bool only_reads;  /* by its method, and by what it asks for: a ping is one, whatever the method */
};

/* ---------------------------------------------------------------- the company that is asked about */

static struct api_fixture *origin;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    origin = company_new();
    onlookers_begin(origin);
    return 0;
}

/* ---------------------------------------------------------------- taking requests apart */

static void add_header(struct request *request, char *line)
{
    char *colon = strchr(line, ':');
    char *value = colon != NULL ? colon + 1 + strspn(colon + 1, " ") : NULL;

    request->headers[request->headers_count] = line;
    if (colon == NULL) {
        return; /* no server hands that on */
    }
    *colon = '\0';
    if (strcasecmp(line, "Trouble") == 0) {
        request->trouble = value;
    }
    if (strcasecmp(line, "Wait") == 0) {
        request->wait_s = strtoull(value, NULL, 10) % WAIT_S_LIMIT;
    }
    if (strcasecmp(line, "Live") == 0) {
        request->live_s = strtoull(value, NULL, 10) % LIVE_S_LIMIT;
    }
    if (strcasecmp(line, "Idempotency-Key") == 0 && request->idempotency_key == NULL) {
        request->idempotency_key = value;
    }
    request->question.headers[request->headers_count++] = (struct http_parameter){line, value};
}

static void add_token(struct request *request)
{
    static const char *const names[] = {"No-Token", "X-Api-Key", "Authorization"};
    bool given = request->headers_count == API_QUESTION_HEADERS_MAX;

    for (unsigned i = 0; i < request->headers_count; i++) {
        for (size_t j = 0; j < sizeof names / sizeof *names; j++) {
            given = given || strcasecmp(request->question.headers[i].name, names[j]) == 0;
        }
    }
    if (!given) {
        request->question.headers[request->headers_count] = (struct http_parameter){"X-Api-Key", API_FIXTURE_TOKEN};
    }
}

static void read_request(struct span text, struct request *request)
{
    struct fuzz_input input = fuzz_input(text.data, text.size_bytes);

    *request = (struct request){.method_line = fuzz_line(&input)};
    char *space = strchr(request->method_line, ' ');
    request->target = space != NULL ? space + 1 : "/";
    if (space != NULL) {
        *space = '\0';
    }
    for (char *line = fuzz_line(&input);; line = fuzz_line(&input)) {
        if (line[0] == '\0' || request->headers_count == API_QUESTION_HEADERS_MAX) {
            free(line);
            break;
        }
        add_header(request, line);
        if (request->headers_count == 0 || request->headers[request->headers_count - 1] != line) {
            free(line);
        }
    }
    request->body = fuzz_rest(&input);
    request->question.method = request->method_line;
    request->question.target = request->target;
    /* The fixture measures a body whose size is 0, and none is what a server hands on. */
    request->question.body = request->body.size_bytes > 0 ? request->body.data : NULL;
    request->question.body_size_bytes = request->body.size_bytes;
    add_token(request);
}

static void close_request(struct request *request)
{
    free(request->method_line);
    for (unsigned i = 0; i < request->headers_count; i++) {
        free(request->headers[i]);
    }
}

static void ignore(void *context, struct http_request *request)
{
    (void)context;
    (void)request;
}

static bool is_part(const struct http_request *request, unsigned part, const char *text)
{
    return part < request->parts_count && strcmp(request->parts[part], text) == 0;
}

/* By the first two parts of the path. */
static enum family family_of(const struct http_request *request)
{
    if (is_part(request, 0, "ping")) {
        return PINGS;
    }
    if (is_part(request, 0, "api") && request->parts_count > 1) {
        return is_part(request, 1, "v3")                                 ? CHECKS
               : is_part(request, 1, "v2") || is_part(request, 1, "v1") ? ALERTMANAGER
                                                                         : REST;
    }
    if (is_part(request, 0, "integration")) {
        return INTEGRATION;
    }
    if (is_part(request, 0, "v2")) {
        return is_part(request, 1, "enqueue") || is_part(request, 1, "change")      ? EVENTS
               : is_part(request, 1, "heartbeats") || is_part(request, 1, "alerts") ||
                       is_part(request, 1, "schedules")
                   ? OPSGENIE
                   : REST;
    }
    return REST;
}

/* False for what a server makes no request of, but turns away itself. */
static bool take_path(struct request *request)
{
    const char *method = request->question.method;
    struct http_request *made =
        http_request_new(method, request->question.target, (struct span){NULL, 0}, (struct http_sink){.respond = ignore});

    if (made == NULL) {
        return false;
    }
    fuzz_require(made->parts_count <= HTTP_PATH_PARTS_MAX && made->query_count <= HTTP_QUERY_PARAMETERS_MAX);
    request->family = family_of(made);
    request->speaks_text = request->family == PINGS || is_part(made, 0, "calendars") ||
                           (request->family == CHECKS && is_part(made, 6, "body"));
    request->of_alertmanager = request->family == ALERTMANAGER || request->family == INTEGRATION;
    request->shows_secret = is_part(made, 0, "tokens") || is_part(made, 2, "tokens");
    bool ping = request->family == PINGS || (request->family == OPSGENIE && is_part(made, 3, "ping"));
    request->only_reads = !ping && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0);
    request->open_to_all = request->shows_secret || request->family == EVENTS || request->family == PINGS ||
                           request->family == INTEGRATION;
    http_request_free(made);
    return method[0] != '\0';
}

/* ---------------------------------------------------------------- what must hold of an answer */

static void check_errors(const json_t *errors)
{
    const json_t *error;
    size_t i;

    fuzz_require(json_is_array(errors));
    json_array_foreach(errors, i, error) {
        fuzz_require(json_is_string(error) && json_string_length(error) > 0);
    }
}

static bool is_text(const json_t *value)
{
    return json_is_string(value) && json_string_length(value) > 0;
}

/* {"error": {"message": .., "code": .., "errors": [..]}}; /users/me of an account-level token has {"error": ".."}. */
static void check_rest_error(const json_t *body, unsigned status)
{
    const json_t *error = json_object_get(body, "error");

    if (status == 400 && is_text(error)) {
        return;
    }
    fuzz_require(is_text(json_object_get(error, "message")));
    fuzz_require(json_integer_value(json_object_get(error, "code")) >= 1000);
    check_errors(json_object_get(error, "errors"));
}

static void check_event_error(const json_t *body)
{
    const json_t *errors = json_object_get(body, "errors");

    fuzz_require(is_text(json_object_get(body, "status")) && is_text(json_object_get(body, "message")));
    fuzz_require(errors != NULL);
    if (!json_is_string(errors)) {
        check_errors(errors);
    }
}

static void check_error(const struct request *request, const struct api_answer *answer)
{
    switch (request->family) {
    case REST:
        check_rest_error(answer->json, answer->status);
        return;
    case EVENTS:
        check_event_error(answer->json);
        return;
    case INTEGRATION: /* where events and Alertmanager's requests come in */
        if (!is_text(answer->json)) {
            check_event_error(answer->json);
        }
        return;
    case PINGS:
        fuzz_require(strncmp(answer->content_type, "text/plain", 10) == 0 && answer->text[0] != '\0');
        return;
    case CHECKS:
        fuzz_require(is_text(json_object_get(answer->json, "error")));
        return;
    case OPSGENIE:
        fuzz_require(is_text(json_object_get(answer->json, "message")));
        fuzz_require(is_text(json_object_get(answer->json, "requestId")));
        return;
    case ALERTMANAGER: /* a text alone; of its first version only that it is gone */
        fuzz_require(is_text(answer->status == 410 ? json_object_get(answer->json, "error") : answer->json));
        return;
    }
}

static void check_answer(const struct request *request, const struct api_answer *answer)
{
    static const unsigned statuses[] = {200, 201, 202, 204, 400, 401, 402, 403, 404, 405, 409, 410, 413, 422};
    bool known = false;

    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        known = known || answer->status == statuses[i];
    }
    known = known || (answer->status == 501 && request->family == OPSGENIE); /* attachments, saved searches */
    known = known || (answer->status == 500 && request->family == ALERTMANAGER &&
                      strcmp(answer->text, "\"silence already expired\"") == 0); /* its own answer to a second DELETE */
    fuzz_require(known || (answer->status == 503 && request->trouble != NULL));
    bool silent = answer->status == 204 || (answer->status == 200 && request->of_alertmanager);
    fuzz_require(answer->content_type != NULL || silent);
    fuzz_require(answer->content_type == NULL || answer->status != 204);
    if (answer->content_type != NULL && strncmp(answer->content_type, "application/json", 16) == 0) {
        fuzz_require(answer->json != NULL);
    } else {
        bool says_nothing = request->of_alertmanager && answer->text[0] == '\0';
        fuzz_require(answer->content_type == NULL || request->speaks_text || says_nothing);
    }
    for (unsigned i = 0; i < answer->headers_count; i++) {
        fuzz_require(fuzz_is_line(answer->headers[i].name) && fuzz_is_line(answer->headers[i].value));
    }
    if (answer->status >= 400) {
        check_error(request, answer);
    }
    fuzz_require(answer->status != 405 || api_answer_header(answer, "Allow") != NULL);
}

/* Where the time, which commands were seen, and when a token was last used, is remembered; the rest is the state that people
 * know. A token that was made shows in the table of hashes, too. */
static bool is_same_state(const struct memory_store *store, const struct store_digests *before)
{
    struct store_digests now = memory_store_digests(store);

    for (unsigned table = 0; table < TABLE_COUNT; table++) {
        if (table != TABLE_META && table != TABLE_ORIGIN && table != TABLE_TOKEN && now.of[table] != before->of[table]) {
            return false;
        }
    }
    return true;
}

static bool is_trouble(const struct request *request, const char *kind)
{
    return request->trouble != NULL && strcmp(request->trouble, kind) == 0;
}

static const struct api_answer *ask(struct api_fixture *api, struct request *request)
{
    api->outcome = is_trouble(request, "unavailable")  ? SUBMIT_UNAVAILABLE
                   : is_trouble(request, "overloaded") ? SUBMIT_OVERLOADED
                   : is_trouble(request, "stopped")    ? SUBMIT_STOPPED
                                                       : SUBMIT_APPLIED;
    api->stopped = is_trouble(request, "stopped");
    api->stale = is_trouble(request, "stale");
    request->question.body_too_large = is_trouble(request, "large");
    const struct api_answer *answer = api_fixture_ask(api, &request->question);
    check_answer(request, answer);
    return answer;
}

/* Asked again, under the same key when it is to change something, the answer is the same, and nothing more is done. */
static void check_repeat(struct api_fixture *api, struct request *request, const struct api_answer *first)
{
    struct store_digests before = memory_store_digests(api->store);
    const struct api_answer *again = ask(api, request);

    /* Opsgenie's answers name the request, each its own. */
    bool same = again->status == first->status && (request->family == OPSGENIE || strcmp(again->text, first->text) == 0);
    fuzz_require(same || (request->shows_secret && again->status == 409)); /* which can be shown only once */
    fuzz_require(is_same_state(api->store, &before));
}

static void pass_time(struct api_fixture *api, const struct request *request)
{
    story_run_until(api, api->now_ms + request->wait_s * 1000);
    for (uint64_t lived_s = 0; lived_s < request->live_s; lived_s++) {
        story_run_until(api, api->now_ms + 1000);
        Tocsin__Tick tick = TOCSIN__TICK__INIT;
        Tocsin__Command command = TOCSIN__COMMAND__INIT;
        command.body_case = TOCSIN__COMMAND__BODY_TICK;
        command.tick = &tick;
        tocsin__reply__free_unpacked(api_fixture_apply(api, &command), NULL);
        (void)story_deliver(api);
        if (story_answer_mutes(api) > 0) {
            (void)story_deliver(api);
        }
    }
}

static void try_request(struct api_fixture *api, struct request *request)
{
    struct store_digests before = memory_store_digests(api->store);
    unsigned submits = api->submits;
    const struct api_answer *answer = ask(api, request);

    fuzz_require(!request->only_reads || api->submits == submits);
    if (request->only_reads || (answer->status >= 400 && !request->of_alertmanager)) {
        fuzz_require(is_same_state(api->store, &before));
        /* Tokens say when they were used last. */
        if (request->only_reads && request->trouble == NULL && !request->shows_secret) {
            check_repeat(api, request, answer);
        }
    } else {
        struct machine_fixture world = {.store = api->view};
        world_check(&world);
        bool once = api->submits > submits && api->last_command->idempotency_key[0] != '\0'; /* each event and each ping counts */
        if (once && request->trouble == NULL) {
            check_repeat(api, request, answer);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    static const char between[] = "\n----\n";
    struct api_fixture *api = company_copy(origin);

    for (unsigned i = 0; i < REQUESTS_MAX && size_bytes > 0; i++) {
        const uint8_t *end = memmem(data, size_bytes, between, sizeof between - 1);
        size_t size = end != NULL ? (size_t)(end - data) : size_bytes;
        struct request request;
        read_request((struct span){data, size}, &request);
        if (take_path(&request)) {
            onlookers_try(&request.question, request.open_to_all);
            pass_time(api, &request);
            try_request(api, &request);
        }
        close_request(&request);
        size += end != NULL ? sizeof between - 1 : 0;
        data += size;
        size_bytes -= size;
    }
    api_fixture_free(api);
    return 0;
}
