/* The API without sockets and without a cluster. */
#include "tests/support/api_fixture.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <nettle/sha2.h>
#include <setjmp.h>

#include <cmocka.h>

#include "consensus/machine/limits.h"

#define NODE_ID 1u
#define NODE_BOOT 1u
#define TERM 1u

/* What a port was asked and has not called back about yet. */
struct api_pending {
    struct api_pending *next;
    void (*on_submitted)(void *argument, enum submit_outcome outcome, const Tocsin__Reply *reply);
    void (*on_view)(void *argument, const struct machine_store *view, bool stale);
    void *argument;
    enum submit_outcome outcome;
    Tocsin__Reply *reply;
    bool current;
};

/* ---------------------------------------------------------------- the cluster */

static Tocsin__Reply *apply_packed(struct api_fixture *fixture, const uint8_t *packed, size_t size_bytes)
{
    ProtobufCBinaryData commands[1] = {{.len = size_bytes, .data = malloc(size_bytes)}};
    Tocsin__Entry entry;

    assert_non_null(commands[0].data);
    tocsin__entry__init(&entry);
    memcpy(commands[0].data, packed, size_bytes);
    entry.time_ms = fixture->now_ms;
    entry.proposer = NODE_ID;
    entry.proposer_boot = NODE_BOOT;
    entry.proposed_boottime_ms = fixture->now_ms;
    entry.n_commands = 1;
    entry.commands = commands;

    size_t entry_size = tocsin__entry__get_packed_size(&entry);
    uint8_t *bytes = malloc(entry_size);
    assert_non_null(bytes);
    tocsin__entry__pack(&entry, bytes);
    free(commands[0].data);

    machine_output_reset(&fixture->output);
    struct span data = {bytes, entry_size};
    assert_int_equal(machine_apply(fixture->machine, &fixture->view, TERM, data, &fixture->output), MACHINE_OK);
    free(bytes);
    assert_int_equal(fixture->output.replies_count, 1);
    struct span reply = fixture->output.replies[0].packed;
    Tocsin__Reply *unpacked = tocsin__reply__unpack(NULL, reply.size_bytes, reply.data);
    assert_non_null(unpacked);
    return unpacked;
}

/* Keeps a copy of the command, as it would travel. */
static uint8_t *pack_command(struct api_fixture *fixture, Tocsin__Command *command, size_t *size_bytes)
{
    Tocsin__Origin origin;

    tocsin__origin__init(&origin);
    origin.node = NODE_ID;
    origin.boot = NODE_BOOT;
    origin.sequence = ++fixture->sequence;
    command->origin = &origin;
    *size_bytes = tocsin__command__get_packed_size(command);
    uint8_t *packed = malloc(*size_bytes);
    assert_non_null(packed);
    tocsin__command__pack(command, packed);
    command->origin = NULL;
    return packed;
}

Tocsin__Reply *api_fixture_apply(struct api_fixture *fixture, Tocsin__Command *command)
{
    size_t size_bytes;
    uint8_t *packed = pack_command(fixture, command, &size_bytes);
    Tocsin__Reply *reply = apply_packed(fixture, packed, size_bytes);

    free(packed);
    return reply;
}

void api_fixture_begin_members(struct api_fixture *fixture)
{
    static char addresses[3][16] = {"127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"};
    Tocsin__Member members[3], *list[3];
    for (unsigned i = 0; i < 3; i++) {
        tocsin__member__init(&members[i]);
        members[i].id = i + 1;
        members[i].address = addresses[i];
        list[i] = &members[i];
    }
    Tocsin__MembersBegin begin = TOCSIN__MEMBERS_BEGIN__INIT;
    begin.n_members = 3;
    begin.members = list;
    Tocsin__Command command = TOCSIN__COMMAND__INIT;
    command.body_case = TOCSIN__COMMAND__BODY_MEMBERS_BEGIN;
    command.members_begin = &begin;
    uint8_t packed[256], entry_bytes[512];
    assert_true(tocsin__command__get_packed_size(&command) <= sizeof packed);
    ProtobufCBinaryData one = {tocsin__command__pack(&command, packed), packed};
    Tocsin__Entry entry = TOCSIN__ENTRY__INIT;
    entry.n_commands = 1;
    entry.commands = &one;
    assert_true(tocsin__entry__get_packed_size(&entry) <= sizeof entry_bytes);
    struct span data = {entry_bytes, tocsin__entry__pack(&entry, entry_bytes)};
    assert_int_equal(machine_apply(fixture->machine, &fixture->view, TERM, data, &fixture->output), MACHINE_OK);
    machine_output_reset(&fixture->output);
}

static void add_pending(struct api_fixture *fixture, struct api_pending pending)
{
    struct api_pending **last = &fixture->pending;

    while (*last != NULL) {
        /* One question at a time, and each step of it waits for the one before; but events of one request go together. */
        assert_true((*last)->on_submitted != NULL && pending.on_submitted != NULL);
        last = &(*last)->next;
    }
    *last = malloc(sizeof pending);
    assert_non_null(*last);
    **last = pending;
}

static void port_submit(void *context, Tocsin__Command *command,
                        void (*done)(void *argument, enum submit_outcome outcome, const Tocsin__Reply *reply),
                        void *argument)
{
    struct api_fixture *fixture = context;
    size_t size_bytes;
    uint8_t *packed = pack_command(fixture, command, &size_bytes);

    if (command->body_case == TOCSIN__COMMAND__BODY_TOKEN_USE) { /* told beside the request, which does not wait */
        fixture->token_uses++;
        tocsin__reply__free_unpacked(apply_packed(fixture, packed, size_bytes), NULL);
        free(packed);
        return;
    }
    if (size_bytes > LIMIT_COMMAND_SIZE_BYTES) { /* as the proposer looks at it */
        add_pending(fixture, (struct api_pending){.on_submitted = done, .argument = argument, .outcome = SUBMIT_TOO_LARGE});
        free(packed);
        return;
    }
    fixture->submits++;
    if (fixture->last_command != NULL) {
        tocsin__command__free_unpacked(fixture->last_command, NULL);
    }
    fixture->last_command = tocsin__command__unpack(NULL, size_bytes, packed);
    assert_non_null(fixture->last_command);
    add_pending(fixture,
                (struct api_pending){
                    .on_submitted = done,
                    .argument = argument,
                    .outcome = fixture->outcome,
                    .reply = fixture->outcome == SUBMIT_APPLIED ? apply_packed(fixture, packed, size_bytes) : NULL,
                });
    free(packed);
}

static void port_read(void *context, bool current,
                      void (*done)(void *argument, const struct machine_store *view, bool stale), void *argument)
{
    struct api_fixture *fixture = context;

    *(current ? &fixture->current_reads : &fixture->local_reads) += 1;
    add_pending(fixture, (struct api_pending){.on_view = done, .argument = argument, .current = current});
}

static void port_read_later(void *context, void (*done)(void *argument, const struct machine_store *view, bool stale),
                            void *argument)
{
    struct api_fixture *fixture = context;

    fixture->later_reads++;
    add_pending(fixture, (struct api_pending){.on_view = done, .argument = argument});
}

static void deliver(struct api_fixture *fixture)
{
    struct api_pending pending = *fixture->pending;

    free(fixture->pending);
    fixture->pending = pending.next;
    if (pending.on_submitted != NULL) {
        pending.on_submitted(pending.argument, pending.outcome, pending.reply);
        if (pending.reply != NULL) {
            tocsin__reply__free_unpacked(pending.reply, NULL);
        }
    } else if (fixture->stopped) {
        pending.on_view(pending.argument, NULL, false);
    } else if (fixture->behind != NULL && (!pending.current || fixture->stale)) {
        struct machine_store behind = memory_store_view(fixture->behind);
        pending.on_view(pending.argument, &behind, pending.current && fixture->stale);
    } else {
        pending.on_view(pending.argument, &fixture->view, pending.current && fixture->stale);
    }
}

static bool port_caught_up(void *context)
{
    return ((struct api_fixture *)context)->behind == NULL;
}

/* Not random: tests see the same keys each time, and no two alike. */
static void port_random(void *context, void *buffer, size_t size_bytes)
{
    struct api_fixture *fixture = context;
    unsigned char *bytes = buffer;

    for (size_t i = 0; i < size_bytes; i++) {
        fixture->random_next = fixture->random_next * 1664525u + 1013904223u; /* Numerical Recipes' */
        bytes[i] = (unsigned char)(fixture->random_next >> 24);
    }
}

static uint64_t port_time_ms(void *context)
{
    const struct api_fixture *fixture = context;
    return fixture->now_ms + fixture->ahead_ms;
}

static uint64_t port_wall_ms(void *context)
{
    const struct api_fixture *fixture = context;
    return port_time_ms(context) + fixture->wall_ahead_ms;
}

static json_t *port_cluster(void *context)
{
    (void)context;
    return json_pack("{s:i, s:s, s:i}", "id", 1, "role", "leader", "leader", 1);
}

static json_t *port_health(void *context, unsigned *status)
{
    *status = ((struct api_fixture *)context)->health_status;
    return json_pack("{s:b}", "ok", *status == 200);
}

/* ---------------------------------------------------------------- the conversation */

struct conversation {
    const struct api_question *question;
    struct api_answer *answer;
};

static const char *question_header(const struct http_request *request, const char *name)
{
    const struct conversation *conversation = request->server_state;
    const struct http_parameter *headers = conversation->question->headers;

    for (unsigned i = 0; i < API_QUESTION_HEADERS_MAX && headers[i].name != NULL; i++) {
        if (strcasecmp(headers[i].name, name) == 0) {
            return headers[i].value;
        }
    }
    return NULL;
}

static char *copy(const char *text, size_t size_bytes)
{
    char *copied = malloc(size_bytes + 1);

    assert_non_null(copied);
    if (size_bytes > 0) {
        memcpy(copied, text, size_bytes);
    }
    copied[size_bytes] = '\0';
    return copied;
}

static void take_answer(void *context, struct http_request *request)
{
    struct conversation *conversation = request->server_state;
    struct api_answer *answer = calloc(1, sizeof *answer);

    (void)context;
    assert_non_null(answer);
    assert_null(conversation->answer);
    conversation->answer = answer;
    answer->status = request->status;
    answer->content_type = request->content_type;
    answer->text = copy(request->response_body, request->response_body_size_bytes);
    if (request->response_body != NULL) {
        answer->json = json_loads(answer->text, JSON_DECODE_ANY, NULL);
        assert_true(answer->json != NULL || strncmp(answer->content_type, "text/", 5) == 0);
    }
    answer->headers_count = request->response_headers_count;
    for (unsigned i = 0; i < answer->headers_count; i++) {
        const struct http_parameter *header = &request->response_headers[i];
        answer->headers[i].name = copy(header->name, strlen(header->name));
        answer->headers[i].value = copy(header->value, strlen(header->value));
    }
}

const struct api_answer *api_fixture_ask(struct api_fixture *fixture, const struct api_question *question)
{
    struct conversation conversation = {.question = question};
    size_t size_bytes = question->body == NULL          ? 0
                        : question->body_size_bytes > 0 ? question->body_size_bytes
                                                        : strlen(question->body);
    /* An exact copy on the heap: reading beyond the body is then seen by the address sanitizer. */
    char *body = malloc(size_bytes > 0 ? size_bytes : 1);
    assert_non_null(body);
    if (size_bytes > 0) {
        memcpy(body, question->body, size_bytes);
    }
    struct http_request *request = http_request_new(question->method, question->target, (struct span){body, size_bytes},
                                                    (struct http_sink){.respond = take_answer});
    assert_non_null(request);
    request->body_owned = body;
    request->body_too_large = question->body_too_large;
    request->header = question_header;
    request->server_state = &conversation;

    api_handle(&fixture->api, request);
    while (fixture->pending != NULL) {
        assert_null(conversation.answer); /* nothing is asked of the cluster after the answer */
        deliver(fixture);
    }
    assert_non_null(conversation.answer);
    conversation.answer->next = fixture->answers;
    fixture->answers = conversation.answer;
    return conversation.answer;
}

static const struct api_answer *ask_with_token(struct api_fixture *fixture, const char *method, const char *target,
                                               const char *body)
{
    struct api_question question = {.method = method, .target = target, .body = body};

    if (fixture->token != NULL) {
        question.headers[0] = (struct http_parameter){"X-Api-Key", fixture->token};
    }
    return api_fixture_ask(fixture, &question);
}

const struct api_answer *api_get(struct api_fixture *fixture, const char *target)
{
    return ask_with_token(fixture, "GET", target, NULL);
}

const struct api_answer *api_post(struct api_fixture *fixture, const char *target, const char *body)
{
    return ask_with_token(fixture, "POST", target, body);
}

const struct api_answer *api_put(struct api_fixture *fixture, const char *target, const char *body)
{
    return ask_with_token(fixture, "PUT", target, body);
}

const struct api_answer *api_delete(struct api_fixture *fixture, const char *target)
{
    return ask_with_token(fixture, "DELETE", target, NULL);
}

const char *api_answer_header(const struct api_answer *answer, const char *name)
{
    for (unsigned i = 0; i < answer->headers_count; i++) {
        if (strcasecmp(answer->headers[i].name, name) == 0) {
            return answer->headers[i].value;
        }
    }
    return NULL;
}

static json_t *walk_path(json_t *value, va_list path)
{
    for (const char *step; value != NULL && (step = va_arg(path, const char *)) != NULL;) {
        value = json_is_array(value) ? json_array_get(value, strtoul(step, NULL, 10)) : json_object_get(value, step);
    }
    return value;
}

json_t *api_answer_at(const struct api_answer *answer, ...)
{
    va_list path;

    va_start(path, answer);
    json_t *value = walk_path(answer->json, path);
    va_end(path);
    return value;
}

const char *api_answer_text(const struct api_answer *answer, ...)
{
    va_list path;

    va_start(path, answer);
    json_t *value = walk_path(answer->json, path);
    va_end(path);
    if (!json_is_string(value)) {
        fail_msg("no text there in: %s", answer->text);
    }
    return json_string_value(value);
}

/* ---------------------------------------------------------------- what is there at the start */

static void add_token(struct api_fixture *fixture, const char *token, Tocsin__Role role, uint64_t user_id,
                      char **scopes, size_t scopes_count)
{
    Tocsin__Command command;
    Tocsin__TokenPut put;
    Tocsin__Token record;
    uint8_t hash[SHA256_DIGEST_SIZE];
    char name[] = "fixture token";
    struct sha256_ctx context;

    tocsin__command__init(&command);
    tocsin__token_put__init(&put);
    tocsin__token__init(&record);
    sha256_init(&context);
    sha256_update(&context, strlen(token), (const uint8_t *)token);
    sha256_digest(&context, sizeof hash, hash);
    record.hash = (ProtobufCBinaryData){.len = sizeof hash, .data = hash};
    record.name = name;
    record.role = role;
    record.user_id = user_id;
    record.scopes = scopes;
    record.n_scopes = scopes_count;
    put.token = &record;
    command.body_case = TOCSIN__COMMAND__BODY_TOKEN_PUT;
    command.token_put = &put;
    Tocsin__Reply *reply = api_fixture_apply(fixture, &command);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    tocsin__reply__free_unpacked(reply, NULL);
}

void api_fixture_add_token(struct api_fixture *fixture, const char *token, Tocsin__Role role, uint64_t user_id)
{
    add_token(fixture, token, role, user_id, NULL, 0);
}

void api_fixture_add_scoped_token(struct api_fixture *fixture, const char *token, Tocsin__Role role, char **scopes,
                                  size_t count)
{
    add_token(fixture, token, role, 0, scopes, count);
}

uint64_t api_fixture_add_user(struct api_fixture *fixture, const char *name, const char *email, Tocsin__Role role)
{
    Tocsin__Command command;
    Tocsin__UserPut put;
    Tocsin__User user;

    tocsin__command__init(&command);
    tocsin__user_put__init(&put);
    tocsin__user__init(&user);
    user.name = copy(name, strlen(name));
    user.email = copy(email, strlen(email));
    user.role = role;
    put.user = &user;
    command.body_case = TOCSIN__COMMAND__BODY_USER_PUT;
    command.user_put = &put;
    Tocsin__Reply *reply = api_fixture_apply(fixture, &command);
    assert_int_equal(reply->status, TOCSIN__STATUS__STATUS_OK);
    assert_int_equal(reply->n_ids, 1);
    uint64_t id = reply->ids[0];
    tocsin__reply__free_unpacked(reply, NULL);
    free(user.name);
    free(user.email);
    return id;
}

struct api_fixture *api_fixture_new(void)
{
    struct api_fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    fixture->api = (struct api){
        .ports = {.context = fixture,
                  .submit = port_submit,
                  .read = port_read,
                  .read_later = port_read_later,
                  .caught_up = port_caught_up,
                  .random = port_random,
                  .wall_ms = port_wall_ms,
                  .cluster_ms = port_time_ms,
                  .cluster = port_cluster,
                  .rehearse_last_gasp = port_cluster,
                  .health = port_health,
                  .ready = port_health},
        .public_url = "https://tocsin.example",
    };
    fixture->store = memory_store_new();
    fixture->view = memory_store_view(fixture->store);
    fixture->machine = machine_new();
    machine_output_init(&fixture->output);
    fixture->now_ms = API_FIXTURE_START_MS;
    fixture->health_status = 200;
    fixture->token = API_FIXTURE_TOKEN;
    api_fixture_add_token(fixture, API_FIXTURE_TOKEN, TOCSIN__ROLE__ROLE_ADMIN, 0);
    return fixture;
}

void api_fixture_free(struct api_fixture *fixture)
{
    api_close(&fixture->api);
    for (struct api_answer *answer = fixture->answers, *next; answer != NULL; answer = next) {
        next = answer->next;
        for (unsigned i = 0; i < answer->headers_count; i++) {
            free((void *)(uintptr_t)answer->headers[i].name);
            free((void *)(uintptr_t)answer->headers[i].value);
        }
        json_decref(answer->json);
        free(answer->text);
        free(answer);
    }
    if (fixture->last_command != NULL) {
        tocsin__command__free_unpacked(fixture->last_command, NULL);
    }
    if (fixture->behind != NULL) {
        memory_store_free(fixture->behind);
    }
    machine_output_close(&fixture->output);
    machine_free(fixture->machine);
    memory_store_free(fixture->store);
    free(fixture);
}
