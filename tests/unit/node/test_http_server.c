/* The HTTP server over real sockets of this machine, on free ports. Clients are written byte by byte, so that they
 * can misbehave. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/http/http_server.h"

#define PATIENCE_S 20
#define WAITING_MAX 128

/* A server whose handler answers with what it was asked; paths under /later wait until the test answers them. */
struct house {
    uv_loop_t loop;
    struct http_server *server;
    struct http_request *waiting[WAITING_MAX];
    unsigned waiting_count;
    unsigned handled;
    bool closed;
};

static void answer(struct http_request *request)
{
    char *text = malloc(request->body.size_bytes + 256);
    const char *header = request->header(request, "x-question");
    int length;

    assert_non_null(text);
    if (request->body_too_large) {
        assert_int_equal(request->body.size_bytes, 0); /* it is not kept */
        length = snprintf(text, 256, "too large");
    } else {
        length = snprintf(text, 256, "%s %s [%s] %zu:", request->method, request->path, header != NULL ? header : "",
                          request->body.size_bytes);
        if (request->body.size_bytes > 0) {
            memcpy(text + length, request->body.data, request->body.size_bytes);
        }
        length += (int)request->body.size_bytes;
    }
    http_response_header(request, "Tocsin-Test", "yes");
    http_respond(request, request->body_too_large ? 413 : 200, "text/plain", text, (size_t)length);
}

static void handle(void *context, struct http_request *request)
{
    struct house *house = context;

    house->handled++;
    if (request->parts_count > 0 && strcmp(request->parts[0], "later") == 0) {
        assert_true(house->waiting_count < WAITING_MAX);
        house->waiting[house->waiting_count++] = request;
    } else {
        answer(request);
    }
}

static void answer_all(struct house *house)
{
    for (unsigned i = 0; i < house->waiting_count; i++) {
        answer(house->waiting[i]);
    }
    house->waiting_count = 0;
}

static int setup(void **state)
{
    struct house *house = calloc(1, sizeof *house);
    char error[256] = "";

    assert_non_null(house);
    assert_int_equal(uv_loop_init(&house->loop), 0);
    house->server = http_server_open(&house->loop, "127.0.0.1:0", handle, house, error, sizeof error);
    assert_string_equal(error, "");
    assert_non_null(house->server);
    *state = house;
    return 0;
}

static void on_closed(void *context)
{
    ((struct house *)context)->closed = true;
}

static void close_server(struct house *house)
{
    http_server_close(house->server, on_closed, house);
    house->server = NULL;
    assert_false(house->closed); /* never from inside the call */
    uv_run(&house->loop, UV_RUN_DEFAULT);
    assert_true(house->closed);
}

static int teardown(void **state)
{
    struct house *house = *state;

    if (house->server != NULL) {
        close_server(house);
    }
    answer_all(house);
    assert_int_equal(uv_loop_close(&house->loop), 0);
    free(house);
    return 0;
}

/* ---------------------------------------------------------------- clients */

static int dial(struct house *house)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)http_server_port(house->server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0); /* the kernel accepts */
    return fd;
}

static void turn(struct house *house, time_t deadline)
{
    if (uv_run(&house->loop, UV_RUN_NOWAIT) == 0) {
        fail_msg("the server has ended");
    }
    assert_true(time(NULL) < deadline);
}

static void send_bytes(struct house *house, int fd, const char *bytes, size_t size_bytes)
{
    time_t deadline = time(NULL) + PATIENCE_S;

    while (size_bytes > 0) {
        ssize_t sent = send(fd, bytes, size_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            assert_true(errno == EAGAIN);
            turn(house, deadline);
        } else {
            bytes += sent;
            size_bytes -= (size_t)sent;
        }
    }
}

static void send_text(struct house *house, int fd, const char *text)
{
    send_bytes(house, fd, text, strlen(text));
}

/* Runs the loop until so many requests are with the handler. */
static void until_handled(struct house *house, unsigned count)
{
    for (time_t deadline = time(NULL) + PATIENCE_S; house->handled < count;) {
        turn(house, deadline);
    }
}

/* One answer with its headers; NULL when the connection ends first. Freed by the caller. */
static char *receive(struct house *house, int fd, bool has_body)
{
    size_t size = 0, wanted = SIZE_MAX;
    char *text = calloc(1, 2u << 20);

    assert_non_null(text);
    for (time_t deadline = time(NULL) + PATIENCE_S; size < wanted;) {
        ssize_t got = recv(fd, text + size, 1, MSG_DONTWAIT); /* one byte: what follows is the next answer */
        if (got == 0 || (got < 0 && errno == ECONNRESET)) {
            free(text);
            return NULL;
        }
        if (got < 0) {
            assert_int_equal(errno, EAGAIN);
            turn(house, deadline);
            continue;
        }
        size++;
        if (wanted == SIZE_MAX && size >= 4 && memcmp(text + size - 4, "\r\n\r\n", 4) == 0) {
            const char *length = strcasestr(text, "content-length:");
            assert_non_null(length);
            wanted = size + (has_body ? strtoul(length + 15, NULL, 10) : 0);
        }
        assert_true(size < (2u << 20));
    }
    return text;
}

static void expect(struct house *house, int fd, const char *status_line, const char *body)
{
    char *text = receive(house, fd, true);

    assert_non_null(text);
    assert_int_equal(strncmp(text, status_line, strlen(status_line)), 0);
    assert_string_equal(strstr(text, "\r\n\r\n") + 4, body);
    free(text);
}

/* ---------------------------------------------------------------- stories */

static void given_a_question_when_answered_at_once_then_the_connection_serves_another(void **state)
{
    struct house *house = *state;
    int fd = dial(house);

    send_text(house, fd, "GET /a//b?x=1 HTTP/1.1\r\nHost: t\r\nX-Question: why\r\n\r\n");
    char *text = receive(house, fd, true);
    assert_non_null(text);
    assert_non_null(strstr(text, "HTTP/1.1 200"));
    assert_non_null(strstr(text, "Tocsin-Test: yes\r\n"));
    assert_non_null(strstr(text, "Content-Type: text/plain\r\n"));
    assert_non_null(strstr(text, "\r\n\r\nGET /a/b [why] 0:"));
    free(text);
    send_text(house, fd, "POST /c HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc");
    expect(house, fd, "HTTP/1.1 200", "POST /c [] 3:abc");
    close(fd);
}

static void given_a_question_that_waits_then_others_are_answered_meanwhile(void **state)
{
    struct house *house = *state;
    int patient = dial(house), quick = dial(house);

    send_text(house, patient, "POST /later HTTP/1.1\r\nHost: t\r\nX-Question: q\r\nContent-Length: 2\r\n\r\nhi");
    until_handled(house, 1);
    send_text(house, quick, "GET /now HTTP/1.1\r\nHost: t\r\n\r\n");
    expect(house, quick, "HTTP/1.1 200", "GET /now [] 0:");
    assert_int_equal(house->waiting_count, 1);
    answer_all(house); /* body and headers are still there */
    expect(house, patient, "HTTP/1.1 200", "POST /later [q] 2:hi");
    close(patient);
    close(quick);
}

static void given_many_questions_in_one_write_then_answers_come_in_order(void **state)
{
    struct house *house = *state;
    int fd = dial(house);
    char line[128], body[64];

    for (unsigned i = 0; i < 50; i++) {
        snprintf(line, sizeof line, "GET /%s/%u HTTP/1.1\r\nHost: t\r\n\r\n", i % 2 == 0 ? "now" : "later", i);
        send_text(house, fd, line);
    }
    for (unsigned i = 0; i < 50; i++) {
        until_handled(house, i + 1);
        answer_all(house);
        snprintf(body, sizeof body, "GET /%s/%u [] 0:", i % 2 == 0 ? "now" : "later", i);
        expect(house, fd, "HTTP/1.1 200", body);
    }
    close(fd);
}

static void given_many_connections_that_wait_then_each_gets_its_own_answer(void **state)
{
    struct house *house = *state;
    int fds[100];
    char line[128], body[64];

    for (unsigned i = 0; i < 100; i++) {
        fds[i] = dial(house);
        snprintf(line, sizeof line, "POST /later/%u HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\nx", i);
        send_text(house, fds[i], line);
    }
    until_handled(house, 100);
    answer_all(house);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(body, sizeof body, "POST /later/%u [] 1:x", i);
        expect(house, fds[i], "HTTP/1.1 200", body);
        close(fds[i]);
    }
}

static void given_a_body_in_pieces_then_it_is_handed_over_whole(void **state)
{
    struct house *house = *state;
    int fd = dial(house);

    send_text(house, fd, "POST /p HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n01234");
    for (unsigned i = 0; i < 20; i++) {
        uv_run(&house->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(house->handled, 0);
    send_text(house, fd, "56789");
    expect(house, fd, "HTTP/1.1 200", "POST /p [] 10:0123456789");

    send_text(house, fd, "POST /p HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    send_text(house, fd, "a\r\n0123456789\r\n0\r\n\r\n");
    expect(house, fd, "HTTP/1.1 200", "POST /p [] 13:abc0123456789");
    close(fd);
}

/* A body of so many bytes, announced or in chunks. */
static void post(struct house *house, int fd, size_t size_bytes, bool chunked)
{
    char head[128];
    char *body = malloc(size_bytes);

    assert_non_null(body);
    memset(body, 'x', size_bytes);
    if (chunked) {
        snprintf(head, sizeof head, "POST /p HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n",
                 size_bytes);
    } else {
        snprintf(head, sizeof head, "POST /p HTTP/1.1\r\nHost: t\r\nContent-Length: %zu\r\n\r\n", size_bytes);
    }
    send_text(house, fd, head);
    send_bytes(house, fd, body, size_bytes);
    if (chunked) {
        send_text(house, fd, "\r\n0\r\n\r\n");
    }
    free(body);
}

static void given_a_body_at_its_bound_then_it_passes_and_one_byte_more_does_not(void **state)
{
    struct house *house = *state;
    int fd = dial(house);

    for (int chunked = 0; chunked < 2; chunked++) {
        post(house, fd, HTTP_BODY_SIZE_BYTES_MAX, chunked);
        char *text = receive(house, fd, true);
        assert_non_null(text);
        assert_non_null(strstr(text, "HTTP/1.1 200"));
        free(text);
        post(house, fd, HTTP_BODY_SIZE_BYTES_MAX + 1, chunked);
        expect(house, fd, "HTTP/1.1 413", "too large");
    }
    close(fd);
}

static void given_a_body_announced_far_too_large_then_it_is_refused_unread(void **state)
{
    struct house *house = *state;
    int fd = dial(house);

    send_text(house, fd, "POST /p HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999\r\n\r\n");
    expect(house, fd, "HTTP/1.1 413", "too large");
    assert_null(receive(house, fd, true)); /* and the connection ends */
    close(fd);
}

/* Chunked as well, which has the last word on where a body ends (RFC 9112, 6.3): refused by what was announced. */
static void given_a_body_announced_too_large_that_is_not_then_it_is_refused_all_the_same(void **state)
{
    struct house *house = *state;
    int fd = dial(house);

    send_text(house, fd, "POST /p HTTP/1.1\r\nHost: t\r\nContent-Length: 700000\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "2\r\n{}\r\n0\r\n\r\n");
    expect(house, fd, "HTTP/1.1 413", "too large");
    close(fd);
}

static void given_get_with_a_body_and_head_then_both_are_answered(void **state)
{
    struct house *house = *state;
    int fd = dial(house);

    send_text(house, fd, "GET /g HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}");
    expect(house, fd, "HTTP/1.1 200", "GET /g [] 2:{}");
    send_text(house, fd, "HEAD /h HTTP/1.1\r\nHost: t\r\n\r\n");
    char *text = receive(house, fd, false);
    assert_non_null(text);
    assert_non_null(strstr(text, "HTTP/1.1 200"));
    free(text);
    send_text(house, fd, "GET /after HTTP/1.1\r\nHost: t\r\n\r\n"); /* no stray body stands before its answer */
    expect(house, fd, "HTTP/1.1 200", "GET /after [] 0:");
    close(fd);
}

static void given_a_malformed_target_then_400_in_json_and_nothing_is_handled(void **state)
{
    static const char *const targets[] = {"/a%00", "/%ff", "/?a=%zz", "/\xff"};
    struct house *house = *state;
    char line[128];

    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        int fd = dial(house);
        snprintf(line, sizeof line, "POST %s HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}", targets[i]);
        send_text(house, fd, line);
        char *text = receive(house, fd, true);
        assert_non_null(text);
        assert_non_null(strstr(text, "HTTP/1.1 400"));
        assert_non_null(strstr(text, "application/json"));
        assert_non_null(strstr(text, "\"code\":2001"));
        free(text);
        close(fd);
    }
    assert_int_equal(house->handled, 0);
}

static void given_a_target_too_long_then_414(void **state)
{
    struct house *house = *state;
    char target[HTTP_TARGET_SIZE_BYTES_MAX + 2];
    int fd = dial(house);

    memset(target, 'a', sizeof target - 1);
    target[0] = '/';
    target[sizeof target - 1] = '\0';
    send_text(house, fd, "GET ");
    send_text(house, fd, target);
    send_text(house, fd, " HTTP/1.1\r\nHost: t\r\n\r\n");
    char *text = receive(house, fd, true);
    assert_non_null(text);
    assert_non_null(strstr(text, "HTTP/1.1 414"));
    free(text);
    assert_int_equal(house->handled, 0);
    close(fd);
}

static void given_the_longest_target_with_many_parameters_then_it_is_handled(void **state)
{
    struct house *house = *state;
    char target[HTTP_TARGET_SIZE_BYTES_MAX + 1] = "/?";
    int fd = dial(house);

    for (unsigned i = 0; i < HTTP_QUERY_PARAMETERS_MAX - 1; i++) {
        strcat(target, "escalation_policy_ids[]=P00000000000%31&");
    }
    strcat(target, "padding=");
    memset(target + strlen(target), 'x', sizeof target - 1 - strlen(target));
    send_text(house, fd, "GET ");
    send_text(house, fd, target);
    send_text(house, fd, " HTTP/1.1\r\nHost: t\r\n\r\n");
    expect(house, fd, "HTTP/1.1 200", "GET / [] 0:");
    close(fd);
}

/* `parts` times a header or a parameter. What the library keeps of a request and its answer's headers share one piece of memory. */
static void ask_much(struct house *house, const char *begin, const char *part, unsigned parts, const char *end)
{
    int fd = dial(house);
    unsigned before = house->handled;
    char *text = calloc(1, strlen(begin) + strlen(part) * parts + strlen(end) + 1);

    assert_non_null(text);
    strcpy(text, begin);
    for (char *at = text + strlen(begin); parts > 0; parts--) {
        at = stpcpy(at, part);
    }
    strcat(text, end);
    send_text(house, fd, text);
    free(text);
    text = receive(house, fd, true);
    if (house->handled != before) {
        assert_non_null(text); /* what was handed over is answered */
        assert_non_null(strstr(text, "HTTP/1.1 200"));
    } else if (text != NULL) {
        assert_non_null(strstr(text, "HTTP/1.1 4"));
    }
    free(text);
    close(fd);
}

static void given_headers_of_any_number_and_size_then_what_is_handled_is_answered(void **state)
{
    struct house *house = *state;

    for (unsigned count = 0; count < 420; count++) {
        ask_much(house, "GET /x HTTP/1.1\r\nHost: t\r\n", "a:b\r\n", count, "\r\n");
        ask_much(house, "GET /x HTTP/1.1\r\nHost: t\r\nx-padding: ", "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789",
                 count, "\r\n\r\n");
        ask_much(house, "GET /x HTTP/1.1\r\nHost: t\r\n", "Cookie: a=b; c=d; e=f; g=h\r\n", count, "\r\n");
        ask_much(house, "GET /x?", "a&", count < HTTP_QUERY_PARAMETERS_MAX ? count : HTTP_QUERY_PARAMETERS_MAX, " HTTP/1.1\r\nHost: t\r\n\r\n");
    }
    assert_true(house->handled > 100);
}

static void given_a_nul_in_the_target_then_nothing_is_handled(void **state)
{
    static const char NUL[] = "GET /a\0b?x=1 HTTP/1.1\r\nHost: t\r\n\r\n";
    struct house *house = *state;
    int fd = dial(house);

    send_bytes(house, fd, NUL, sizeof NUL - 1);
    char *text = receive(house, fd, true);
    assert_true(text == NULL || strstr(text, "HTTP/1.1 400") != NULL);
    assert_int_equal(house->handled, 0);
    free(text);
    close(fd);
}

static void given_a_client_that_goes_while_it_waits_then_the_request_stays_valid(void **state)
{
    struct house *house = *state;
    int gone = dial(house), next = dial(house);

    send_text(house, gone, "POST /later HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi");
    until_handled(house, 1);
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(gone, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(gone); /* with a reset */
    send_text(house, next, "GET /now HTTP/1.1\r\nHost: t\r\n\r\n");
    expect(house, next, "HTTP/1.1 200", "GET /now [] 0:");
    assert_memory_equal(house->waiting[0]->body.data, "hi", 2);
    answer_all(house);
    send_text(house, next, "GET /now HTTP/1.1\r\nHost: t\r\n\r\n");
    expect(house, next, "HTTP/1.1 200", "GET /now [] 0:");
    close(next);
}

static void given_a_client_that_goes_within_its_body_then_nothing_is_handled(void **state)
{
    struct house *house = *state;
    int gone = dial(house), next = dial(house);

    send_text(house, gone, "POST /p HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nhalf");
    for (unsigned i = 0; i < 20; i++) {
        uv_run(&house->loop, UV_RUN_NOWAIT);
    }
    close(gone);
    send_text(house, next, "GET /now HTTP/1.1\r\nHost: t\r\n\r\n");
    expect(house, next, "HTTP/1.1 200", "GET /now [] 0:");
    assert_int_equal(house->handled, 1);
    close(next);
}

static void given_a_request_that_waits_when_the_server_closes_then_its_answer_is_dropped(void **state)
{
    struct house *house = *state;
    int waiting = dial(house), half = dial(house);

    send_text(house, half, "POST /p HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nhalf");
    send_text(house, waiting, "POST /later HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi");
    until_handled(house, 1);
    close_server(house);
    assert_null(house->waiting[0]->header(house->waiting[0], "Host"));
    answer_all(house);
    char byte;
    assert_true(recv(waiting, &byte, 1, 0) <= 0);
    close(waiting);
    close(half);
}

/* ---------------------------------------------------------------- opening */

static void open_and_close(struct house *house, const char *address)
{
    struct house other = {0};
    char error[256] = "";

    other.server = http_server_open(&house->loop, address, handle, &other, error, sizeof error);
    assert_string_equal(error, "");
    assert_non_null(other.server);
    assert_true(http_server_port(other.server) > 0);
    http_server_close(other.server, on_closed, &other);
    while (!other.closed) {
        uv_run(&house->loop, UV_RUN_NOWAIT);
    }
}

static void given_a_port_in_use_then_a_sentence_names_it(void **state)
{
    struct house *house = *state;
    char address[64], error[256] = "";

    snprintf(address, sizeof address, "127.0.0.1:%u", http_server_port(house->server));
    assert_null(http_server_open(&house->loop, address, handle, house, error, sizeof error));
    assert_non_null(strstr(error, address));
    assert_non_null(strstr(error, "in use"));
}

static void given_names_and_addresses_of_both_families_then_the_server_opens(void **state)
{
    struct house *house = *state;
    int v6 = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};

    open_and_close(house, "localhost:0");
    open_and_close(house, "127.0.0.1:0");
    if (v6 >= 0 && bind(v6, (struct sockaddr *)&loopback, sizeof loopback) == 0) { /* where the machine has IPv6 */
        open_and_close(house, "[::1]:0");
    }
    if (v6 >= 0) {
        close(v6);
    }
}

static void given_what_is_no_address_then_a_sentence_says_so(void **state)
{
    static const char *const addresses[] = {"",      "localhost", "localhost:", ":80",      "::1:80",
                                            "[]:80", "a:70000",   "a:8x",       "[::1]",    "a:-1"};
    struct house *house = *state;

    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        char error[256] = "";
        assert_null(http_server_open(&house->loop, addresses[i], handle, house, error, sizeof error));
        assert_non_null(strstr(error, "not an address"));
    }
}

#define STORY(story) cmocka_unit_test_setup_teardown(story, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(given_a_question_when_answered_at_once_then_the_connection_serves_another),
        STORY(given_a_question_that_waits_then_others_are_answered_meanwhile),
        STORY(given_many_questions_in_one_write_then_answers_come_in_order),
        STORY(given_many_connections_that_wait_then_each_gets_its_own_answer),
        STORY(given_a_body_in_pieces_then_it_is_handed_over_whole),
        STORY(given_a_body_at_its_bound_then_it_passes_and_one_byte_more_does_not),
        STORY(given_a_body_announced_far_too_large_then_it_is_refused_unread),
        STORY(given_a_body_announced_too_large_that_is_not_then_it_is_refused_all_the_same),
        STORY(given_get_with_a_body_and_head_then_both_are_answered),
        STORY(given_a_malformed_target_then_400_in_json_and_nothing_is_handled),
        STORY(given_a_target_too_long_then_414),
        STORY(given_the_longest_target_with_many_parameters_then_it_is_handled),
        STORY(given_headers_of_any_number_and_size_then_what_is_handled_is_answered),
        STORY(given_a_nul_in_the_target_then_nothing_is_handled),
        STORY(given_a_client_that_goes_while_it_waits_then_the_request_stays_valid),
        STORY(given_a_client_that_goes_within_its_body_then_nothing_is_handled),
        STORY(given_a_request_that_waits_when_the_server_closes_then_its_answer_is_dropped),
        STORY(given_a_port_in_use_then_a_sentence_names_it),
        STORY(given_names_and_addresses_of_both_families_then_the_server_opens),
        STORY(given_what_is_no_address_then_a_sentence_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
