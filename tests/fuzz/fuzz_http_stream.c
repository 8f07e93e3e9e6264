/*
 * A client's bytes on a connection to the HTTP server: requests are handed over whole and bounded, each is answered once, and
 * they are the same ones however the bytes are cut, unless they are such that the connection is ended.
 *
 *     input: how (answers late, client leaves early, sizes of pieces) │ bytes
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/http/http_server.h"
#include "tests/fuzz/input.h"

/* More than the longest input of the runners, 64 KiB, has room for. */
#define REQUESTS_MAX 4096u
#define QUIET_TURNS 8u
#define ANSWER_SIZE_BYTES_MAX (1u << 20)

/* One connection, from the server's side. */
struct conversation {
    struct {
        char *line; /* method, path, body's size and a sum of it */
    } requests[REQUESTS_MAX];
    unsigned requests_count;
    bool late; /* answers come some turns of the loop later */
    struct http_request *waiting;
    unsigned waits;
    char *answer; /* all that the client received, with a NUL behind it */
    size_t answer_size_bytes;
    bool ended; /* by the server */
};

static uv_loop_t loop;
static struct http_server *server;
static struct conversation *current;

/* ---------------------------------------------------------------- the server's side */

static void answer(struct http_request *request)
{
    char *text = fuzz_must(strdup("{}"));

    http_response_header(request, "X-Number", "1");
    http_respond(request, 200, "application/json", text, 2);
}

static void check_request(const struct http_request *request)
{
    fuzz_require(request->method[0] != '\0' && request->path[0] == '/');
    fuzz_require(request->parts_count <= HTTP_PATH_PARTS_MAX && request->query_count <= HTTP_QUERY_PARAMETERS_MAX);
    for (unsigned i = 0; i < request->parts_count; i++) {
        fuzz_require(fuzz_utf8(request->parts[i], strlen(request->parts[i]), &(size_t){0}));
    }
    for (unsigned i = 0; i < request->query_count; i++) {
        fuzz_require(fuzz_utf8(request->query[i].name, strlen(request->query[i].name), &(size_t){0}));
        fuzz_require(fuzz_utf8(request->query[i].value, strlen(request->query[i].value), &(size_t){0}));
    }
    fuzz_require(request->body.size_bytes <= HTTP_BODY_SIZE_BYTES_MAX);
    fuzz_require(!request->body_too_large || request->body.size_bytes == 0);
    const char *type = request->header(request, "Content-Type");
    fuzz_require(type == NULL || strlen(type) < (24u << 10));
}

static void handle(void *context, struct http_request *request)
{
    unsigned sum = 0;

    (void)context;
    check_request(request);
    for (size_t i = 0; i < request->body.size_bytes; i++) {
        sum = sum * 31 + ((const uint8_t *)request->body.data)[i];
    }
    fuzz_require(current->waiting == NULL && current->requests_count < REQUESTS_MAX);
    size_t size = strlen(request->method) + strlen(request->path) + 64;
    char *line = fuzz_must(malloc(size));
    (void)snprintf(line, size, "%s %s %zu %u%s", request->method, request->path, request->body.size_bytes, sum,
                   request->body_too_large ? " too large" : "");
    current->requests[current->requests_count++].line = line;
    if (current->late) {
        current->waiting = request;
        current->waits = 3;
    } else {
        answer(request);
    }
}

static void turn(void)
{
    uv_run(&loop, UV_RUN_NOWAIT);
    if (current->waiting != NULL && current->waits-- == 0) {
        struct http_request *request = current->waiting;
        current->waiting = NULL;
        answer(request);
    }
}

/* ---------------------------------------------------------------- the client's side */

static int connect_client(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)http_server_port(server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    fuzz_require(fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) == 0);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        /* The fuzzer's timer interrupts, and the connection is made all the same (connect(2)). */
        struct pollfd made = {.fd = fd, .events = POLLOUT};
        int error = errno;
        socklen_t size_bytes = sizeof error;
        fuzz_require(error == EINTR);
        while (poll(&made, 1, -1) < 0) {
            fuzz_require(errno == EINTR);
        }
        fuzz_require(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size_bytes) == 0 && error == 0);
    }
    return fd;
}

/* False when the server has ended the connection. */
static bool receive(int fd)
{
    for (;;) {
        size_t room = ANSWER_SIZE_BYTES_MAX - current->answer_size_bytes;
        fuzz_require(room > 0);
        ssize_t got = recv(fd, current->answer + current->answer_size_bytes, room, MSG_DONTWAIT);
        if (got <= 0) {
            current->ended = current->ended || got == 0 || errno != EAGAIN;
            return !current->ended;
        }
        current->answer_size_bytes += (size_t)got;
        current->answer[current->answer_size_bytes] = '\0';
    }
}

static void send_piece(int fd, struct span piece)
{
    while (piece.size_bytes > 0 && receive(fd)) {
        ssize_t sent = send(fd, piece.data, piece.size_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            return; /* it was ended */
        }
        piece.data = (const uint8_t *)piece.data + (sent > 0 ? sent : 0);
        piece.size_bytes -= sent > 0 ? (size_t)sent : 0;
        turn();
    }
}

/* Reset rather than closed: nothing stays behind, in this system either. */
static void leave(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    fuzz_require(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
    close(fd);
    for (unsigned i = 0; i < 8 || current->waiting != NULL; i++) {
        turn();
    }
}

static void converse(struct conversation *conversation, struct span bytes, size_t piece_size_bytes, bool leaves_early)
{
    current = conversation;
    current->answer = fuzz_must(calloc(1, ANSWER_SIZE_BYTES_MAX + 1));
    int fd = connect_client();
    while (bytes.size_bytes > 0) {
        size_t size = bytes.size_bytes < piece_size_bytes ? bytes.size_bytes : piece_size_bytes;
        send_piece(fd, (struct span){bytes.data, size});
        bytes = (struct span){(const uint8_t *)bytes.data + size, bytes.size_bytes - size};
    }
    /* Loopback delivers at once: when nothing has come for so long, nothing will. */
    for (unsigned quiet = 0; !leaves_early && quiet < QUIET_TURNS; quiet++) {
        size_t before = current->answer_size_bytes;
        turn();
        if (!receive(fd)) {
            break;
        }
        quiet = current->answer_size_bytes > before || current->waiting != NULL ? 0 : quiet;
    }
    leave(fd);
}

static void forget(struct conversation *conversation)
{
    for (unsigned i = 0; i < conversation->requests_count; i++) {
        free(conversation->requests[i].line);
    }
    free(conversation->answer);
}

/* ---------------------------------------------------------------- what must hold */

/* Answers one after the other: a status line each, and as much of a body as it says. */
static unsigned check_answers(const struct conversation *conversation)
{
    const char *at = conversation->answer;
    unsigned own = 0;

    while (*at != '\0') {
        fuzz_require(strncmp(at, "HTTP/1.1 ", 9) == 0 || strncmp(at, "HTTP/1.0 ", 9) == 0);
        unsigned long status = strtoul(at + 9, NULL, 10);
        fuzz_require(status == 100 || (status >= 200 && status < 600));
        const char *end = strstr(at, "\r\n\r\n");
        fuzz_require(end != NULL);
        const char *length = strcasestr(at, "\r\nContent-Length:");
        bool has_number = strcasestr(at, "\r\nX-Number: 1\r\n") != NULL && strcasestr(at, "\r\nX-Number: 1\r\n") < end;
        own += has_number ? 1 : 0;
        fuzz_require(!has_number || status == 200);
        size_t size = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
        at = end + 4;
        if (size > 0 && *at != 'H' && *at != '\0') { /* a HEAD asks for none */
            fuzz_require(strlen(at) >= size);
            at += size;
        }
    }
    return own;
}

/* The word without regard to case, as names and values of headers are. */
static bool contains(struct span bytes, const char *word)
{
    const char *text = bytes.data;
    size_t length = strlen(word);

    for (size_t i = 0; i + length <= bytes.size_bytes; i++) {
        if (strncasecmp(text + i, word, length) == 0) {
            return true;
        }
    }
    return false;
}

static void compare(const struct conversation *a, const struct conversation *b)
{
    fuzz_require(a->requests_count == b->requests_count);
    for (unsigned i = 0; i < a->requests_count; i++) {
        fuzz_require(strcmp(a->requests[i].line, b->requests[i].line) == 0);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char error[256];

    (void)argc;
    (void)argv;
    fuzz_require(uv_loop_init(&loop) == 0);
    server = http_server_open(&loop, "127.0.0.1:0", handle, NULL, error, sizeof error);
    fuzz_require(server != NULL);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct fuzz_input input = fuzz_input(data, size_bytes);
    uint8_t how = fuzz_byte(&input);
    size_t piece_size_bytes = 1 + fuzz_byte(&input);
    struct span bytes = fuzz_rest(&input);
    struct conversation whole = {.late = how & 1}, cut = {.late = how & 2};

    /* libmicrohttpd 0.9.75 asks for the answer to a request without a body too early when more bytes follow a 100-continue, does
     * not take it then, and ends the connection. */
    bool may_lose_one = contains(bytes, "100-continue");

    converse(&whole, bytes, bytes.size_bytes + 1, false);
    converse(&cut, bytes, piece_size_bytes, how & 4);
    unsigned answers = check_answers(&whole);
    fuzz_require(answers == whole.requests_count || (may_lose_one && answers + 1 == whole.requests_count));
    if (!(how & 4)) {
        answers = check_answers(&cut);
        fuzz_require(answers == cut.requests_count || (may_lose_one && answers + 1 == cut.requests_count));
        /* Where the library ends a connection for what it does not like depends on how it came. */
        if (!may_lose_one && !whole.ended && !cut.ended) {
            compare(&whole, &cut);
        }
    }
    forget(&whole);
    forget(&cut);
    return 0;
}
