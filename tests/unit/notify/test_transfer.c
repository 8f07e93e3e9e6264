/*
 * Transfers against real sockets: a small server in a thread plays one script per connection, the loop runs in the
 * test's thread.
 *
 * A script is what the server does: say something, hear a line or a whole request, wait until the client goes, close.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "notify/compose.h"
#include "notify/transfer.h"

#define HEARD_SIZE 65536
#define TRANSFERS_MAX 200
#define PLENTY_MS 10000 /* a deadline that no story should reach */

enum act { SAY, HEAR_REQUEST, HEAR_LINE, HEAR_MAIL, WAIT_FOR_END, RESET, CLOSE };

struct step {
    enum act act;
    const char *text;
};

struct server {
    int listener;
    int port;
    pthread_t thread;
    const struct step *script; /* ended by CLOSE or RESET; the same for each connection */
    char heard[HEARD_SIZE];
    size_t heard_size_bytes;
    atomic_uint connections, requests;
    atomic_bool stopping;
};

static bool hear_byte(struct server *server, int client, char *byte)
{
    if (recv(client, byte, 1, 0) != 1)
        return false;
    if (server->heard_size_bytes < HEARD_SIZE - 1)
        server->heard[server->heard_size_bytes++] = *byte;
    return true;
}

static bool hear_until(struct server *server, int client, const char *end)
{
    char tail[8] = "";
    size_t size = strlen(end);
    for (;;) {
        memmove(tail, tail + 1, size);
        if (!hear_byte(server, client, &tail[size - 1]))
            return false;
        if (memcmp(tail, end, size) == 0)
            return true;
    }
}

static bool hear_request(struct server *server, int client)
{
    size_t start = server->heard_size_bytes;
    if (!hear_until(server, client, "\r\n\r\n"))
        return false;
    server->heard[server->heard_size_bytes] = '\0';
    const char *length = strcasestr(server->heard + start, "content-length:");
    char byte;
    for (long left = length ? strtol(length + 15, NULL, 10) : 0; left; left--)
        if (!hear_byte(server, client, &byte))
            return false;
    return true;
}

static bool act(struct server *server, int client, const struct step *step)
{
    char byte;
    switch (step->act) {
    case SAY: return send(client, step->text, strlen(step->text), MSG_NOSIGNAL) == (ssize_t)strlen(step->text);
    case HEAR_REQUEST:
        if (!hear_request(server, client))
            return false;
        atomic_fetch_add(&server->requests, 1);
        return true;
    case HEAR_LINE: return hear_until(server, client, "\r\n");
    case HEAR_MAIL: return hear_until(server, client, "\r\n.\r\n");
    case WAIT_FOR_END:
        while (hear_byte(server, client, &byte))
            ;
        return true;
    case RESET: {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        if (setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof now) != 0)
            abort();
        return false;
    }
    default: return false;
    }
}

static void *serve(void *argument)
{
    struct server *server = argument;
    for (;;) {
        int client = accept(server->listener, NULL, NULL);
        if (client < 0)
            return NULL; /* stopped */
        if (atomic_load(&server->stopping)) {
            close(client);
            return NULL;
        }
        atomic_fetch_add(&server->connections, 1);
        for (const struct step *step = server->script; act(server, client, step); step++)
            ;
        close(client);
    }
}

static void server_start(struct server *server, const struct step *script)
{
    memset(server, 0, sizeof *server);
    server->script = script;
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert_true(server->listener >= 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->listener, 128), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
    atomic_store(&server->stopping, true);
    assert_int_equal(shutdown(server->listener, SHUT_RDWR), 0);
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    close(server->listener);
    server->heard[server->heard_size_bytes] = '\0';
}

/* ---- the client */

struct seen {
    unsigned times;
    struct answer answer;
    char body[ANSWER_BODY_SIZE_BYTES_MAX + 1];
    char error[512];
};

struct client {
    uv_loop_t loop;
    struct transfers *transfers;
    struct seen seen[TRANSFERS_MAX];
    size_t answers, answers_awaited, closes;
    bool inside_start;
    bool close_in_answer;
};

static void on_closed(void *context)
{
    ((struct client *)context)->closes++;
}

static void on_answered(void *context, uint64_t transfer_id, const struct answer *answer)
{
    struct client *client = context;
    assert_false(client->inside_start);
    struct seen *seen = &client->seen[transfer_id];
    seen->times++;
    seen->answer = *answer;
    assert_true(answer->body_size_bytes <= ANSWER_BODY_SIZE_BYTES_MAX);
    memcpy(seen->body, answer->body, answer->body_size_bytes + 1);
    (void)snprintf(seen->error, sizeof seen->error, "%s", answer->error ? answer->error : "");
    if (++client->answers == client->answers_awaited)
        uv_stop(&client->loop);
    if (client->close_in_answer)
        transfers_close(client->transfers, on_closed, client);
}

static struct client *client_new(void)
{
    struct client *client = calloc(1, sizeof *client);
    assert_non_null(client);
    assert_int_equal(uv_loop_init(&client->loop), 0);
    client->transfers = transfers_open(&client->loop, on_answered, client);
    return client;
}

static void client_run_until(struct client *client, size_t answers)
{
    client->answers_awaited = answers;
    if (client->answers < answers)
        (void)uv_run(&client->loop, UV_RUN_DEFAULT); /* stopped by the answer */
    assert_true(client->answers >= answers);
}

static void client_free(struct client *client)
{
    if (!client->close_in_answer)
        transfers_close(client->transfers, on_closed, client);
    assert_int_equal(uv_run(&client->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(client->closes, 1);
    assert_int_equal(client->answers, client->answers_awaited); /* no more, and none for what was aborted */
    assert_int_equal(uv_loop_close(&client->loop), 0);
    free(client);
}

static void start(struct client *client, uint64_t id, const struct outgoing *outgoing)
{
    client->inside_start = true;
    transfers_start(client->transfers, id, outgoing);
    client->inside_start = false;
}

/* An HTTP request to the server; the caller closes it. */
static struct outgoing post_to(int port, uint32_t deadline_ms)
{
    struct outgoing outgoing = {.deadline_ms = deadline_ms};
    struct composer url = {0};
    compose_format(&url, "http://127.0.0.1:%d/page", port);
    outgoing.url = compose_take(&url, NULL);
    outgoing.body = compose_copy("Body=Disk%20full");
    outgoing.body_size_bytes = strlen(outgoing.body);
    outgoing.username = compose_copy("AC1");
    outgoing.password = compose_copy("secret");
    outgoing_header(&outgoing, "X-Header", "one\r\nInjected: two");
    return outgoing;
}

static struct outgoing mail_to(int port, uint32_t deadline_ms)
{
    struct outgoing outgoing = {.deadline_ms = deadline_ms};
    struct composer url = {0};
    compose_format(&url, "smtp://127.0.0.1:%d", port);
    outgoing.url = compose_take(&url, NULL);
    outgoing.mail_from = compose_copy("pager@example.org");
    outgoing.mail_to = compose_copy("alice@example.org");
    outgoing.body = compose_copy("Subject: x\r\n\r\n.dot\r\nend");
    outgoing.body_size_bytes = strlen(outgoing.body);
    return outgoing;
}

/* One request to a server with this script, and what came of it. */
static void one(const struct step *script, bool mail, uint32_t deadline_ms, struct server *server, struct seen *seen)
{
    server_start(server, script);
    struct client *client = client_new();
    struct outgoing outgoing = mail ? mail_to(server->port, deadline_ms) : post_to(server->port, deadline_ms);
    start(client, 1, &outgoing);
    outgoing_close(&outgoing); /* it was copied */
    client_run_until(client, 1);
    *seen = client->seen[1];
    client_free(client);
    server_stop(server);
}

static struct server server; /* large, and one at a time */
static struct seen seen;

/* ---- HTTP */

#define CREATED "HTTP/1.1 201 Created\r\nContent-Length: 13\r\n\r\n{\"sid\":\"SM1\"}"

static void a_request_is_answered_with_status_and_body(void **state)
{
    (void)state;
    static const struct step script[] = {{HEAR_REQUEST, NULL}, {SAY, CREATED}, {WAIT_FOR_END, NULL}, {CLOSE, NULL}};
    one(script, false, PLENTY_MS, &server, &seen);
    assert_int_equal(seen.answer.kind, ANSWER_RESPONSE);
    assert_int_equal(seen.answer.status, 201);
    assert_string_equal(seen.body, "{\"sid\":\"SM1\"}");
    assert_int_equal(seen.answer.retry_after_s, -1);
    assert_non_null(strstr(server.heard, "POST /page HTTP/1.1\r\n"));
    assert_non_null(strstr(server.heard, "\r\nAuthorization: Basic QUMxOnNlY3JldA==\r\n"));
    assert_null(strstr(server.heard, "\nInjected"));
    assert_non_null(strstr(server.heard, "\r\n\r\nBody=Disk%20full"));
}

static void retry_after_is_heard(void **state)
{
    (void)state;
    static const struct step script[] = {
        {HEAR_REQUEST, NULL}, {SAY, "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"}, {CLOSE, NULL}};
    one(script, false, PLENTY_MS, &server, &seen);
    assert_int_equal(seen.answer.status, 429);
    assert_int_equal(seen.answer.retry_after_s, 7);
}

static void a_redirect_is_not_followed(void **state)
{
    (void)state;
    static const struct step script[] = {
        {HEAR_REQUEST, NULL},
        {SAY, "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"},
        {CLOSE, NULL}};
    one(script, false, PLENTY_MS, &server, &seen);
    assert_int_equal(seen.answer.status, 302);
    assert_int_equal(atomic_load(&server.requests), 1);
}

static void a_server_that_never_answers_leaves_the_outcome_open(void **state)
{
    (void)state;
    static const struct step script[] = {{HEAR_REQUEST, NULL}, {WAIT_FOR_END, NULL}, {CLOSE, NULL}};
    one(script, false, 150, &server, &seen);
    assert_int_equal(seen.answer.kind, ANSWER_NO_ANSWER);
    assert_int_equal(atomic_load(&server.requests), 1);
}

static void a_connection_closed_or_reset_after_the_request_leaves_the_outcome_open(void **state)
{
    (void)state;
    static const struct step closing[] = {{HEAR_REQUEST, NULL}, {CLOSE, NULL}};
    static const struct step resetting[] = {{HEAR_REQUEST, NULL}, {RESET, NULL}};
    one(closing, false, PLENTY_MS, &server, &seen);
    assert_int_equal(seen.answer.kind, ANSWER_NO_ANSWER);
    assert_int_equal(atomic_load(&server.requests), 1);
    one(resetting, false, PLENTY_MS, &server, &seen);
    assert_int_equal(seen.answer.kind, ANSWER_NO_ANSWER);
    assert_int_equal(atomic_load(&server.requests), 1);
}

/* curl would send it again on a new connection, without a word. */
static void a_kept_connection_that_drops_a_request_does_not_send_it_twice(void **state)
{
    (void)state;
    static const struct step script[] = {{HEAR_REQUEST, NULL}, {SAY, CREATED}, {HEAR_REQUEST, NULL}, {CLOSE, NULL}};
    server_start(&server, script);
    struct client *client = client_new();
    for (uint64_t id = 1; id <= 2; id++) {
        struct outgoing outgoing = post_to(server.port, PLENTY_MS);
        start(client, id, &outgoing);
        outgoing_close(&outgoing);
        client_run_until(client, id);
    }
    assert_int_equal(client->seen[1].answer.kind, ANSWER_RESPONSE);
    assert_int_equal(client->seen[2].answer.kind, ANSWER_NO_ANSWER);
    client_free(client);
    server_stop(&server);
    assert_int_equal(atomic_load(&server.requests), 2);
}

static void connections_are_used_again(void **state)
{
    (void)state;
    static const struct step script[] = {{HEAR_REQUEST, NULL}, {SAY, CREATED}, {HEAR_REQUEST, NULL}, {SAY, CREATED},
                                         {HEAR_REQUEST, NULL}, {SAY, CREATED}, {WAIT_FOR_END, NULL}, {CLOSE, NULL}};
    server_start(&server, script);
    struct client *client = client_new();
    for (uint64_t id = 1; id <= 3; id++) {
        struct outgoing outgoing = post_to(server.port, PLENTY_MS);
        start(client, id, &outgoing);
        outgoing_close(&outgoing);
        client_run_until(client, id);
        assert_int_equal(client->seen[id].answer.status, 201);
    }
    client_free(client);
    server_stop(&server);
    assert_int_equal(atomic_load(&server.connections), 1);
}

static void what_cannot_connect_was_not_sent(void **state)
{
    (void)state;
    static const struct step script[] = {{CLOSE, NULL}};
    server_start(&server, script);
    server_stop(&server); /* its port is free now, and refuses */
    struct client *client = client_new();
    struct outgoing outgoing = post_to(server.port, PLENTY_MS);
    start(client, 1, &outgoing);
    outgoing_close(&outgoing);
    outgoing = mail_to(server.port, PLENTY_MS);
    start(client, 2, &outgoing);
    outgoing_close(&outgoing);
    client_run_until(client, 2);
    for (uint64_t id = 1; id <= 2; id++) {
        assert_int_equal(client->seen[id].answer.kind, ANSWER_NOT_SENT);
        assert_true(strlen(client->seen[id].error) > 0);
        assert_null(strstr(client->seen[id].error, "secret"));
    }
    client_free(client);
}

static void a_tls_server_that_is_none_was_sent_nothing(void **state)
{
    (void)state;
    static const struct step script[] = {
        {SAY, "this is not TLS, and long enough to be sure of it\r\n"}, {WAIT_FOR_END, NULL}, {CLOSE, NULL}};
    server_start(&server, script);
    struct client *client = client_new();
    struct outgoing outgoing = post_to(server.port, PLENTY_MS);
    struct composer url = {0};
    compose_format(&url, "https://127.0.0.1:%d/page", server.port);
    free(outgoing.url);
    outgoing.url = compose_take(&url, NULL);
    start(client, 1, &outgoing);
    outgoing_close(&outgoing);
    client_run_until(client, 1);
    assert_int_equal(client->seen[1].answer.kind, ANSWER_NOT_SENT);
    client_free(client);
    server_stop(&server);
    assert_null(memmem(server.heard, server.heard_size_bytes, "Disk", 4));
}

static void other_protocols_and_broken_addresses_are_refused_later_and_not_from_inside(void **state)
{
    (void)state;
    static const char *const urls[] = {"file:///etc/passwd", "ftp://127.0.0.1/x", "not a url",
                                       "http://127.0.0.1/\r\nX: y", "gopher://127.0.0.1/x"};
    struct client *client = client_new();
    size_t count = sizeof urls / sizeof *urls;
    for (size_t i = 0; i < count; i++) {
        struct outgoing outgoing = {.url = compose_copy(urls[i]), .body = compose_copy(""), .deadline_ms = PLENTY_MS};
        start(client, i, &outgoing);
        outgoing_close(&outgoing);
    }
    client_run_until(client, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(client->seen[i].answer.kind, ANSWER_NOT_SENT);
    client_free(client);
}

static void an_endless_answer_is_cut_and_still_counts(void **state)
{
    (void)state;
    static char endless[200000];
    memset(endless, 'x', sizeof endless - 1);
    const struct step script[] = {{HEAR_REQUEST, NULL},
                                  {SAY, "HTTP/1.1 201 Created\r\nContent-Length: 999999999\r\n\r\n"},
                                  {SAY, endless},
                                  {WAIT_FOR_END, NULL},
                                  {CLOSE, NULL}};
    one(script, false, PLENTY_MS, &server, &seen);
    assert_int_equal(seen.answer.kind, ANSWER_RESPONSE);
    assert_int_equal(seen.answer.status, 201);
    assert_true(seen.answer.body_size_bytes <= ANSWER_BODY_SIZE_BYTES_MAX);
}

static void an_aborted_transfer_is_not_answered(void **state)
{
    (void)state;
    static const struct step script[] = {{HEAR_REQUEST, NULL}, {WAIT_FOR_END, NULL}, {CLOSE, NULL}};
    server_start(&server, script);
    struct client *client = client_new();
    struct outgoing outgoing = post_to(server.port, PLENTY_MS);
    start(client, 1, &outgoing);
    outgoing_close(&outgoing);
    struct outgoing refused = {.url = compose_copy("file:///x"), .body = compose_copy(""), .deadline_ms = PLENTY_MS};
    start(client, 2, &refused);
    outgoing_close(&refused);
    transfers_abort(client->transfers, 2);
    while (atomic_load(&server.requests) == 0)
        assert_true(uv_run(&client->loop, UV_RUN_NOWAIT) >= 0);
    transfers_abort(client->transfers, 1);
    transfers_abort(client->transfers, 77); /* of nobody */
    client_free(client);
    server_stop(&server);
}

static void closing_from_inside_an_answer_is_allowed(void **state)
{
    (void)state;
    static const struct step script[] = {{HEAR_REQUEST, NULL}, {SAY, CREATED}, {WAIT_FOR_END, NULL}, {CLOSE, NULL}};
    server_start(&server, script);
    struct client *client = client_new();
    client->close_in_answer = true;
    for (uint64_t id = 1; id <= 3; id++) {
        struct outgoing outgoing = post_to(server.port, PLENTY_MS);
        start(client, id, &outgoing);
        outgoing_close(&outgoing);
    }
    client_run_until(client, 1);
    client_free(client);
    server_stop(&server);
}

static void many_at_once_are_each_answered_once(void **state)
{
    (void)state;
    static const struct step script[] = {
        {HEAR_REQUEST, NULL}, {SAY, "HTTP/1.1 204 Ok\r\nConnection: close\r\n\r\n"}, {CLOSE, NULL}};
    server_start(&server, script);
    struct client *client = client_new();
    for (uint64_t id = 0; id < 100; id++) {
        struct outgoing outgoing = post_to(server.port, PLENTY_MS);
        start(client, id, &outgoing);
        outgoing_close(&outgoing);
    }
    client_run_until(client, 100);
    for (uint64_t id = 0; id < 100; id++) {
        assert_int_equal(client->seen[id].times, 1);
        assert_int_equal(client->seen[id].answer.status, 204);
    }
    client_free(client);
    server_stop(&server);
    assert_int_equal(atomic_load(&server.requests), 100);
}

/* ---- SMTP */

#define GREETING \
    {SAY, "220 mail\r\n"}, {HEAR_LINE, NULL}, {SAY, "250 mail\r\n"}, \
    { \
        HEAR_LINE, NULL \
    }

static void a_mail_is_taken_with_its_dots_stuffed(void **state)
{
    (void)state;
    static const struct step script[] = {GREETING,
                                         {SAY, "250 ok\r\n"},
                                         {HEAR_LINE, NULL},
                                         {SAY, "250 ok\r\n"},
                                         {HEAR_LINE, NULL},
                                         {SAY, "354 go\r\n"},
                                         {HEAR_MAIL, NULL},
                                         {SAY, "250 2.0.0 queued\r\n"},
                                         {WAIT_FOR_END, NULL},
                                         {CLOSE, NULL}};
    one(script, true, PLENTY_MS, &server, &seen);
    assert_int_equal(seen.answer.kind, ANSWER_RESPONSE);
    assert_int_equal(seen.answer.status, 250);
    assert_non_null(strstr(server.heard, "MAIL FROM:<pager@example.org>"));
    assert_non_null(strstr(server.heard, "RCPT TO:<alice@example.org>"));
    assert_non_null(strstr(server.heard, "\r\n\r\n..dot\r\nend\r\n.\r\n"));
}

static void a_refused_recipient_is_an_answer_with_the_servers_words(void **state)
{
    (void)state;
    static const struct step never[] = {
        GREETING,          {SAY, "250 ok\r\n"},  {HEAR_LINE, NULL},    {SAY, "550 5.1.1 no such user\r\n"},
        {HEAR_LINE, NULL}, {SAY, "221 bye\r\n"}, {WAIT_FOR_END, NULL}, {CLOSE, NULL}};
    static const struct step later[] = {
        GREETING,     {SAY, "250 ok\r\n"}, {HEAR_LINE, NULL}, {SAY, "450 4.7.1 greylisted\r\n"}, {WAIT_FOR_END, NULL},
        {CLOSE, NULL}};
    one(never, true, PLENTY_MS, &server, &seen);
    assert_int_equal(seen.answer.kind, ANSWER_RESPONSE);
    assert_int_equal(seen.answer.status, 550);
    assert_string_equal(seen.body, "550 5.1.1 no such user");
    one(later, true, PLENTY_MS, &server, &seen);
    assert_int_equal(seen.answer.kind, ANSWER_RESPONSE);
    assert_int_equal(seen.answer.status, 450);
}

static void ask_mail_server(const struct step *script)
{
    server_start(&server, script);
    struct client *client = client_new();
    struct outgoing outgoing = {.probe = true, .deadline_ms = PLENTY_MS};
    struct composer url = {0};
    compose_format(&url, "smtp://127.0.0.1:%d", server.port);
    outgoing.url = compose_take(&url, NULL);
    outgoing.username = compose_copy("user");
    outgoing.password = compose_copy("secret");
    start(client, 1, &outgoing);
    outgoing_close(&outgoing);
    client_run_until(client, 1);
    seen = client->seen[1];
    client_free(client);
    server_stop(&server);
}

static void a_mail_server_is_asked_by_logging_in_and_sends_nobody_anything(void **state)
{
    (void)state;
    static const struct step well[] = {{SAY, "220 hello\r\n"}, {HEAR_LINE, NULL}, {SAY, "250-hello\r\n250 AUTH PLAIN\r\n"},
                                       {HEAR_LINE, NULL}, {SAY, "334 \r\n"}, {HEAR_LINE, NULL}, {SAY, "235 welcome\r\n"},
                                       {HEAR_LINE, NULL}, {SAY, "250 ok\r\n"}, {WAIT_FOR_END, NULL}, {CLOSE, NULL}};
    static const struct step refused[] = {{SAY, "220 hello\r\n"}, {HEAR_LINE, NULL}, {SAY, "250-hello\r\n250 AUTH PLAIN\r\n"},
                                          {HEAR_LINE, NULL}, {SAY, "334 \r\n"}, {HEAR_LINE, NULL},
                                          {SAY, "535 5.7.8 not with that\r\n"}, {WAIT_FOR_END, NULL}, {CLOSE, NULL}};
    ask_mail_server(well);
    assert_int_equal(seen.answer.kind, ANSWER_RESPONSE);
    assert_int_equal(seen.answer.status, 250);
    assert_non_null(strstr(server.heard, "NOOP\r\n"));
    assert_null(strstr(server.heard, "MAIL"));
    ask_mail_server(refused);
    assert_int_equal(seen.answer.kind, ANSWER_RESPONSE);
    assert_int_equal(seen.answer.status, 535);
    assert_null(strstr(server.heard, "NOOP"));
}

static void a_mail_that_was_not_wholly_sent_was_not_sent(void **state)
{
    (void)state;
    static const struct step script[] = {
        GREETING, {SAY, "250 ok\r\n"}, {HEAR_LINE, NULL}, {WAIT_FOR_END, NULL}, {CLOSE, NULL}};
    one(script, true, 150, &server, &seen);
    assert_int_equal(seen.answer.kind, ANSWER_NOT_SENT);
}

static void a_mail_whose_last_answer_is_missing_leaves_the_outcome_open(void **state)
{
    (void)state;
    static const struct step script[] = {GREETING,          {SAY, "250 ok\r\n"}, {HEAR_LINE, NULL}, {SAY, "250 ok\r\n"},
                                         {HEAR_LINE, NULL}, {SAY, "354 go\r\n"}, {HEAR_MAIL, NULL}, {CLOSE, NULL}};
    one(script, true, PLENTY_MS, &server, &seen);
    assert_int_equal(seen.answer.kind, ANSWER_NO_ANSWER);
}

static void on_tick(uv_timer_t *timer)
{
    ++*(unsigned *)timer->data;
}

/* curl blocks there, even in its multi interface. */
static void a_slow_mail_server_does_not_stop_the_loop(void **state)
{
    (void)state;
    static const struct step script[] = {
        GREETING,          {SAY, "250 ok\r\n"}, {HEAR_LINE, NULL}, {SAY, "250 ok\r\n"},
        {HEAR_LINE, NULL}, {SAY, "354 go\r\n"}, {HEAR_MAIL, NULL}, {WAIT_FOR_END, NULL},
        {CLOSE, NULL}};
    server_start(&server, script);
    struct client *client = client_new();
    uv_timer_t timer;
    unsigned ticks = 0;
    assert_int_equal(uv_timer_init(&client->loop, &timer), 0);
    timer.data = &ticks;
    assert_int_equal(uv_timer_start(&timer, on_tick, 10, 10), 0);
    struct outgoing outgoing = mail_to(server.port, 800);
    start(client, 1, &outgoing);
    outgoing_close(&outgoing);
    client_run_until(client, 1);
    assert_int_equal(client->seen[1].answer.kind, ANSWER_NO_ANSWER);
    assert_true(ticks >= 10);
    uv_close((uv_handle_t *)&timer, NULL);
    client_free(client);
    server_stop(&server);
}

static void a_mail_under_way_is_dropped_without_an_answer(void **state)
{
    (void)state;
    static const struct step script[] = {{WAIT_FOR_END, NULL}, {CLOSE, NULL}};
    server_start(&server, script);
    struct client *client = client_new();
    for (uint64_t id = 1; id <= 2; id++) {
        struct outgoing outgoing = mail_to(server.port, PLENTY_MS);
        start(client, id, &outgoing);
        outgoing_close(&outgoing);
    }
    transfers_abort(client->transfers, 1); /* and the other one on close */
    client_free(client);
    server_stop(&server);
}

static void without_tls_a_mail_that_needs_it_is_not_sent(void **state)
{
    (void)state;
    static const struct step script[] = {GREETING, {WAIT_FOR_END, NULL}, {CLOSE, NULL}};
    server_start(&server, script);
    struct client *client = client_new();
    struct outgoing outgoing = mail_to(server.port, PLENTY_MS);
    outgoing.require_tls = true;
    outgoing.username = compose_copy("user");
    outgoing.password = compose_copy("secret");
    start(client, 1, &outgoing);
    outgoing_close(&outgoing);
    client_run_until(client, 1);
    assert_int_equal(client->seen[1].answer.kind, ANSWER_NOT_SENT);
    client_free(client);
    server_stop(&server);
    assert_null(strstr(server.heard, "AUTH"));
    assert_null(strstr(server.heard, "MAIL FROM"));
}

static int no_proxy(void **state)
{
    (void)state;
    static const char *const names[] = {"http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (unsetenv(names[i]) != 0)
            return -1;
    return 0;
}

int main(void)
{
    const struct CMUnitTest stories[] = {
        cmocka_unit_test(a_request_is_answered_with_status_and_body),
        cmocka_unit_test(retry_after_is_heard),
        cmocka_unit_test(a_redirect_is_not_followed),
        cmocka_unit_test(a_server_that_never_answers_leaves_the_outcome_open),
        cmocka_unit_test(a_connection_closed_or_reset_after_the_request_leaves_the_outcome_open),
        cmocka_unit_test(a_kept_connection_that_drops_a_request_does_not_send_it_twice),
        cmocka_unit_test(connections_are_used_again),
        cmocka_unit_test(what_cannot_connect_was_not_sent),
        cmocka_unit_test(a_tls_server_that_is_none_was_sent_nothing),
        cmocka_unit_test(other_protocols_and_broken_addresses_are_refused_later_and_not_from_inside),
        cmocka_unit_test(an_endless_answer_is_cut_and_still_counts),
        cmocka_unit_test(an_aborted_transfer_is_not_answered),
        cmocka_unit_test(closing_from_inside_an_answer_is_allowed),
        cmocka_unit_test(many_at_once_are_each_answered_once),
        cmocka_unit_test(a_mail_is_taken_with_its_dots_stuffed),
        cmocka_unit_test(a_refused_recipient_is_an_answer_with_the_servers_words),
        cmocka_unit_test(a_mail_server_is_asked_by_logging_in_and_sends_nobody_anything),
        cmocka_unit_test(a_mail_that_was_not_wholly_sent_was_not_sent),
        cmocka_unit_test(a_mail_whose_last_answer_is_missing_leaves_the_outcome_open),
        cmocka_unit_test(a_slow_mail_server_does_not_stop_the_loop),
        cmocka_unit_test(a_mail_under_way_is_dropped_without_an_answer),
        cmocka_unit_test(without_tls_a_mail_that_needs_it_is_not_sent),
    };
    return cmocka_run_group_tests(stories, no_proxy, NULL);
}
