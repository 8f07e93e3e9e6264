/*
 * libmicrohttpd on the libuv loop.
 *
 *     its epoll descriptor ──uv_poll──> run ──> MHD_run, until nothing is ready and no request was just resumed
 *
 * A connection has one request at a time (`client`):
 *
 *     on_target ──> on_access ... body ... ──> hand over ──> answered inside ─────────────────────> queue
 *                                                   └──> suspend ──> (later) respond ──> resume ──> queue
 *
 * A suspended connection is not watched, so that a client that goes away is noticed only when it is answered: the
 * request stays valid until then. On close the requests that wait are detached: their answers are dropped when they
 * come.
 *
 * libmicrohttpd ends connections on which nothing moves for IDLE_TIMEOUT_S. A client that sends or reads byte by byte
 * never gets there, so whatever is not with a handler must move on to its next stage within STAGE_TIMEOUT_MS.
 */
#include "node/http/http_server.h"

#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/log.h"

#define CONNECTIONS_MAX 4096u
#define CONNECTIONS_PER_ADDRESS_MAX 2048u  /* one client never takes them all; not counted on loopback */
#define DESCRIPTORS_RESERVED 256u          /* for peers, providers, databases */
#define CONNECTION_MEMORY_SIZE_BYTES (24u << 10) /* a target at its limit and headers; zeroed for each request */
/* ... of which the library takes so much for each header, parameter and cookie, and so much stays for an answer's headers. */
#define VALUE_SIZE_BYTES 64u
#define ANSWER_HEAD_SIZE_BYTES 2048u
#define LISTEN_BACKLOG 1024
#define IDLE_TIMEOUT_S 30u
#define STAGE_TIMEOUT_MS 60000u
#define SWEEP_INTERVAL_MS 1000u
#define RUNS_PER_TURN_MAX 16u /* then the rest of the loop has its turn */
#define BODY_CAPACITY_FIRST_BYTES 4096u
/* Of a body that is too large, this much is read and dropped, so that the client gets to read the answer. */
#define BODY_SWALLOWED_SIZE_BYTES_MAX (16u << 20)

struct client {
    struct client *previous, *next;
    struct http_server *server;
    struct MHD_Connection *connection;
    uint64_t stage_since_ms; /* loop time */

    /* The request under way. */
    struct http_request *request; /* until it is answered */
    unsigned refused_status;      /* 0, or why there is no request: 400, 414, 431 */
    int parameters_max;           /* of the target as it was taken */
    bool started, handed_over, suspended;
    char *body;
    size_t body_size_bytes, body_capacity_bytes, body_received_bytes;
    bool body_too_large;
    struct MHD_Response *response; /* ready to be queued */
    unsigned status;
};

struct http_server {
    uv_loop_t *loop;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t sweep;
    uv_idle_t again; /* active while there is more to do at once */
    unsigned handles_open;
    unsigned port;
    bool running, resumed, closing;
    struct client *clients;
    void (*handle)(void *context, struct http_request *request);
    void *context;
    void (*closed)(void *context);
    void *closed_context;
};

/* ---------------------------------------------------------------- the loop */

static void on_again(uv_idle_t *idle);

static void run(struct http_server *server)
{
    bool more = true;

    server->running = true;
    for (unsigned i = 0; i < RUNS_PER_TURN_MAX && more; i++) {
        MHD_UNSIGNED_LONG_LONG timeout_ms = 0;
        server->resumed = false;
        if (MHD_run(server->daemon) != MHD_YES) {
            log_error("the HTTP server cannot wait for its sockets: %s", strerror(errno));
        }
        more = server->resumed || (MHD_get_timeout(server->daemon, &timeout_ms) == MHD_YES && timeout_ms == 0);
    }
    server->running = false;
    if (more) {
        uv_idle_start(&server->again, on_again);
    } else {
        uv_idle_stop(&server->again);
    }
}

static void on_again(uv_idle_t *idle)
{
    run(idle->data);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status; /* whatever it is, MHD_run looks for itself */
    (void)events;
    run(poll->data);
}

/* Ends what does not move on. */
static void on_sweep(uv_timer_t *timer)
{
    struct http_server *server = timer->data;
    uint64_t now_ms = uv_now(server->loop);

    for (struct client *client = server->clients; client != NULL; client = client->next) {
        if (!client->suspended && now_ms - client->stage_since_ms > STAGE_TIMEOUT_MS) {
            const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(client->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
            if (info != NULL) {
                shutdown(info->connect_fd, SHUT_RDWR); /* libmicrohttpd then reads its end */
            }
        }
    }
    run(server); /* for the idle ones */
}

/* ---------------------------------------------------------------- answers */

static struct MHD_Response *make_response(struct http_request *request)
{
    static char nothing[1];
    struct MHD_Response *response =
        request->response_body != NULL
            ? MHD_create_response_from_buffer(request->response_body_size_bytes, request->response_body,
                                              MHD_RESPMEM_MUST_FREE)
            : MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);

    if (response == NULL) {
        abort(); /* no memory */
    }
    request->response_body = NULL; /* given away */
    if (request->content_type != NULL &&
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, request->content_type) != MHD_YES) {
        abort();
    }
    for (unsigned i = 0; i < request->response_headers_count; i++) {
        const struct http_parameter *header = &request->response_headers[i];
        if (MHD_add_response_header(response, header->name, header->value) != MHD_YES) {
            log_error("the header %s of an answer is malformed: left out", header->name);
        }
    }
    return response;
}

/* The sink of every request of this server. */
static void respond(void *context, struct http_request *request)
{
    struct client *client = request->server_state;

    (void)context;
    if (client == NULL) {
        return; /* detached: the server is closed */
    }
    assert(client->request == request && client->response == NULL);
    client->request = NULL;
    client->response = make_response(request);
    client->status = request->status;
    if (client->suspended) {
        client->suspended = false;
        client->stage_since_ms = uv_now(client->server->loop);
        MHD_resume_connection(client->connection);
        client->server->resumed = true;
        if (!client->server->running) {
            uv_idle_start(&client->server->again, on_again);
        }
    }
}

/* For targets that no handler can be found for. */
static void respond_to_refused(struct client *client)
{
    static char malformed[] = "{\"error\":{\"message\":\"Malformed Request Target\",\"code\":2001,\"errors\":"
                              "[\"The path or query is malformed or not UTF-8\"]}}";
    static char too_long[] = "{\"error\":{\"message\":\"Request Target Too Long\",\"code\":2001,\"errors\":"
                             "[\"The path and query are too long\"]}}";
    static char too_many[] = "{\"error\":{\"message\":\"Request Header Fields Too Large\",\"code\":2001,\"errors\":"
                             "[\"The headers and the query are too many, or too long\"]}}";
    char *text = client->refused_status == 414 ? too_long : client->refused_status == 431 ? too_many : malformed;

    client->response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_PERSISTENT);
    if (client->response == NULL ||
        MHD_add_response_header(client->response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json; charset=utf-8") !=
            MHD_YES) {
        abort();
    }
    client->status = client->refused_status;
}

static enum MHD_Result queue(struct client *client)
{
    enum MHD_Result result = MHD_queue_response(client->connection, client->status, client->response);

    MHD_destroy_response(client->response); /* the connection has its own reference */
    client->response = NULL;
    return result;
}

/* ---------------------------------------------------------------- requests */

static const char *request_header(const struct http_request *request, const char *name)
{
    const struct client *client = request->server_state;

    return client != NULL ? MHD_lookup_connection_value(client->connection, MHD_HEADER_KIND, name) : NULL;
}

static struct client *client_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    assert(info != NULL && info->socket_context != NULL); /* set when it connected */
    return info->socket_context;
}

/* How many the library can find in such a target. */
static int parameters_max(const char *target)
{
    const char *query = strchr(target, '?');
    int count = query != NULL ? 1 : 0;

    for (; query != NULL && (query = strchr(query + 1, '&')) != NULL; count++) {
    }
    return count;
}

/* The request line is there. The target is taken here, before libmicrohttpd takes it apart in place. */
static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
    struct client *client = client_of(connection);

    assert(client->request == NULL && client->response == NULL && !client->started);
    client->stage_since_ms = uv_now(client->server->loop);
    client->parameters_max = parameters_max(target);
    if (strlen(target) > HTTP_TARGET_SIZE_BYTES_MAX) {
        client->refused_status = 414;
    } else {
        client->request = http_request_new("", target, (struct span){NULL, 0},
                                           (struct http_sink){.respond = respond, .context = context});
        client->refused_status = client->request == NULL ? 400 : 0;
    }
    return client;
}

static void reserve_body(struct client *client, size_t capacity_bytes)
{
    char *body = realloc(client->body, capacity_bytes);
    if (body == NULL) {
        abort();
    }
    client->body = body;
    client->body_capacity_bytes = capacity_bytes;
}

static void drop_body(struct client *client)
{
    free(client->body);
    client->body = NULL;
    client->body_size_bytes = client->body_capacity_bytes = 0;
}

/* What the library found in the head must be what was taken: a target with a NUL in it seems shorter. And it must leave room for the
 * headers of an answer, which the library could not send otherwise. */
static void check_head(struct client *client)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(client->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    int parameters = MHD_get_connection_values(client->connection, MHD_GET_ARGUMENT_KIND, NULL, NULL);
    int others = MHD_get_connection_values(client->connection, MHD_HEADER_KIND | MHD_COOKIE_KIND, NULL, NULL);
    size_t size_bytes = (size_t)(parameters + others) * VALUE_SIZE_BYTES + (info != NULL ? info->header_size : 0);

    if (client->request == NULL) {
        return; /* its target is refused already */
    }
    if (parameters > client->parameters_max) {
        client->refused_status = 400;
    } else if (size_bytes > CONNECTION_MEMORY_SIZE_BYTES - ANSWER_HEAD_SIZE_BYTES) {
        client->refused_status = 431;
    }
    if (client->refused_status != 0) {
        http_request_free(client->request);
        client->request = NULL;
    }
}

/* The headers are there. False when the body is announced so large that it is not even read. */
static bool start_body(struct client *client)
{
    const char *announced = MHD_lookup_connection_value(client->connection, MHD_HEADER_KIND, "Content-Length");
    unsigned long long size_bytes = announced != NULL ? strtoull(announced, NULL, 10) : 0;

    client->started = true;
    check_head(client);
    if (size_bytes > HTTP_BODY_SIZE_BYTES_MAX) {
        client->body_too_large = true;
    } else if (size_bytes > 0 && client->refused_status == 0) {
        reserve_body(client, (size_t)size_bytes);
    }
    return size_bytes <= BODY_SWALLOWED_SIZE_BYTES_MAX;
}

/* False: the connection is to be ended. */
static bool take_body(struct client *client, const char *data, size_t size_bytes)
{
    client->body_received_bytes += size_bytes;
    if (client->body_received_bytes > HTTP_BODY_SIZE_BYTES_MAX) {
        client->body_too_large = true;
        drop_body(client);
        return client->body_received_bytes <= BODY_SWALLOWED_SIZE_BYTES_MAX;
    }
    if (client->refused_status != 0 || client->body_too_large) {
        return true; /* it will be refused, for its target or for the size that it announced */
    }
    if (client->body_capacity_bytes - client->body_size_bytes < size_bytes) { /* chunked: of unknown size */
        size_t capacity_bytes = client->body_capacity_bytes * 2;
        if (capacity_bytes < BODY_CAPACITY_FIRST_BYTES) {
            capacity_bytes = BODY_CAPACITY_FIRST_BYTES;
        }
        if (capacity_bytes < client->body_size_bytes + size_bytes) {
            capacity_bytes = client->body_size_bytes + size_bytes;
        }
        reserve_body(client, capacity_bytes);
    }
    memcpy(client->body + client->body_size_bytes, data, size_bytes);
    client->body_size_bytes += size_bytes;
    return true;
}

/* The request is whole, or refused for its size. */
static void hand_over(struct client *client, const char *method)
{
    struct http_request *request = client->request;

    client->handed_over = true;
    client->stage_since_ms = uv_now(client->server->loop);
    if (client->refused_status != 0) {
        respond_to_refused(client);
        return;
    }
    request->method = http_strdup(request, method);
    request->header = request_header;
    request->server_state = client;
    request->body_too_large = client->body_too_large;
    request->body = (struct span){client->body, client->body_size_bytes};
    request->body_owned = client->body;
    client->body = NULL;
    drop_body(client);
    client->server->handle(client->server->context, request);
}

static enum MHD_Result on_access(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                 const char *version, const char *upload_data, size_t *upload_data_size,
                                 void **request_context)
{
    struct client *client = *request_context;

    (void)context;
    (void)url;
    (void)version;
    assert(client != NULL && client->connection == connection);
    if (!client->started && start_body(client)) {
        return MHD_YES;
    }
    if (*upload_data_size > 0) {
        bool go_on = take_body(client, upload_data, *upload_data_size);
        *upload_data_size = 0;
        return go_on ? MHD_YES : MHD_NO;
    }
    if (!client->handed_over) {
        hand_over(client, method);
    }
    if (client->response != NULL) {
        return queue(client);
    }
    client->suspended = true;
    MHD_suspend_connection(connection);
    return MHD_YES;
}

/* Leaves the connection as if no request had been made on it. */
static void forget_request(struct client *client)
{
    if (client->request != NULL && client->handed_over) {
        client->request->server_state = NULL; /* detached: whoever works on it answers, and the answer is dropped */
    } else if (client->request != NULL) {
        http_request_free(client->request);
    }
    if (client->response != NULL) {
        MHD_destroy_response(client->response);
    }
    drop_body(client);
    client->request = NULL;
    client->response = NULL;
    client->refused_status = 0;
    client->started = client->handed_over = client->body_too_large = false;
    client->body_received_bytes = 0;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request_context,
                         enum MHD_RequestTerminationCode why)
{
    struct client *client = *request_context;

    (void)context;
    (void)connection;
    (void)why;
    if (client != NULL) {
        client->stage_since_ms = uv_now(client->server->loop);
        forget_request(client);
    }
}

/* ---------------------------------------------------------------- connections */

static void add_client(struct http_server *server, struct MHD_Connection *connection, void **socket_context)
{
    struct client *client = calloc(1, sizeof *client);

    if (client == NULL) {
        abort();
    }
    client->server = server;
    client->connection = connection;
    client->stage_since_ms = uv_now(server->loop);
    client->next = server->clients;
    if (client->next != NULL) {
        client->next->previous = client;
    } else {
        uv_timer_start(&server->sweep, on_sweep, SWEEP_INTERVAL_MS, SWEEP_INTERVAL_MS);
    }
    server->clients = client;
    *socket_context = client;
}

static void remove_client(struct http_server *server, struct client *client)
{
    forget_request(client);
    if (client->next != NULL) {
        client->next->previous = client->previous;
    }
    if (client->previous != NULL) {
        client->previous->next = client->next;
    } else {
        server->clients = client->next;
    }
    if (server->clients == NULL && !server->closing) {
        uv_timer_stop(&server->sweep);
    }
    free(client);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        add_client(context, connection, socket_context);
    } else {
        remove_client(context, *socket_context);
    }
}

/* Targets are decoded by http.c: nothing is to be done in place. */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

/* ---------------------------------------------------------------- opening */

/* Splits "host:port" or "[v6]:port"; false when it is neither. */
static bool split_address(const char *address, char *host, size_t host_size, char *service, size_t service_size)
{
    const char *colon = strrchr(address, ':');

    if (colon == NULL || colon[1] == '\0' || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        strlen(colon + 1) > 5 || strtoul(colon + 1, NULL, 10) > UINT16_MAX) {
        return false;
    }
    const char *begin = address, *end = colon;
    if (begin[0] == '[' && end > begin && end[-1] == ']') {
        begin++;
        end--;
    } else if (memchr(begin, ':', (size_t)(end - begin)) != NULL) {
        return false; /* an IPv6 address needs its brackets */
    }
    if (end <= begin || (size_t)(end - begin) >= host_size) {
        return false;
    }
    snprintf(host, host_size, "%.*s", (int)(end - begin), begin);
    snprintf(service, service_size, "%s", colon + 1);
    return true;
}

/* A listening socket, or -1 with errno. */
static int listen_on(const struct addrinfo *at)
{
    int one = 1;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 || bind(fd, at->ai_addr, at->ai_addrlen) != 0 ||
        listen(fd, LISTEN_BACKLOG) != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

/* A listening socket on the first address of the name that can be bound, or -1 with a sentence. */
static int open_socket(const char *address, bool *loopback, char *error, size_t error_size)
{
    char host[256], service[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
    int fd = -1;

    if (!split_address(address, host, sizeof host, service, sizeof service)) {
        snprintf(error, error_size, "\"%s\" is not an address: write host:port, 1.2.3.4:port or [v6]:port", address);
        return -1;
    }
    int code = getaddrinfo(host, service, &hints, &found);
    if (code != 0) {
        snprintf(error, error_size, "cannot find the address %s: %s", address, gai_strerror(code));
        return -1;
    }
    for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next) {
        if (at->ai_family == AF_INET || at->ai_family == AF_INET6) {
            *loopback = is_loopback(at->ai_addr);
            fd = listen_on(at);
        }
    }
    if (fd < 0) {
        snprintf(error, error_size, "cannot listen on %s: %s", address, strerror(errno));
    }
    freeaddrinfo(found);
    return fd;
}

static unsigned port_of(int fd)
{
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;

    if (getsockname(fd, (struct sockaddr *)&bound, &size) != 0) {
        abort(); /* a socket that was just bound has a name */
    }
    return bound.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)&bound)->sin_port)
                                      : ntohs(((struct sockaddr_in6 *)&bound)->sin6_port);
}

/* As many as descriptors allow, after raising their limit as far as this process may. */
static unsigned connections_max(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return CONNECTIONS_MAX / 8;
    }
    if (limit.rlim_cur < CONNECTIONS_MAX + DESCRIPTORS_RESERVED && limit.rlim_cur < limit.rlim_max) {
        rlim_t wanted = CONNECTIONS_MAX + DESCRIPTORS_RESERVED;
        limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0) {
            return CONNECTIONS_MAX / 8;
        }
    }
    if (limit.rlim_cur >= CONNECTIONS_MAX + DESCRIPTORS_RESERVED) {
        return CONNECTIONS_MAX;
    }
    return limit.rlim_cur > 2 * DESCRIPTORS_RESERVED ? (unsigned)limit.rlim_cur - DESCRIPTORS_RESERVED
                                                     : (unsigned)limit.rlim_cur / 2;
}

static bool start_daemon(struct http_server *server, int fd, bool loopback)
{
    unsigned connections = connections_max();

    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_access, server, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, connections, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, loopback ? 0u : CONNECTIONS_PER_ADDRESS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_SIZE_BYTES, MHD_OPTION_URI_LOG_CALLBACK,
        on_target, server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, server, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, server, MHD_OPTION_END);
    return server->daemon != NULL;
}

static int start_handles(struct http_server *server)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);

    assert(info != NULL);
    int error = uv_poll_init(server->loop, &server->poll, info->epoll_fd);
    if (error != 0) {
        return error;
    }
    uv_timer_init(server->loop, &server->sweep); /* these two cannot fail */
    uv_idle_init(server->loop, &server->again);
    server->poll.data = server->sweep.data = server->again.data = server;
    server->handles_open = 3;
    uv_poll_start(&server->poll, UV_READABLE, on_readable);
    return 0;
}

struct http_server *http_server_open(uv_loop_t *loop, const char *address,
                                     void (*handle)(void *context, struct http_request *request), void *context,
                                     char *error, size_t error_size)
{
    bool loopback = false;
    int fd = open_socket(address, &loopback, error, error_size);

    if (fd < 0) {
        return NULL;
    }
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        abort();
    }
    server->loop = loop;
    server->handle = handle;
    server->context = context;
    server->port = port_of(fd);
    if (!start_daemon(server, fd, loopback)) {
        snprintf(error, error_size, "cannot start the HTTP server on %s", address);
        close(fd);
        goto err_after_alloc;
    }
    int code = start_handles(server);
    if (code != 0) {
        snprintf(error, error_size, "cannot watch the HTTP server on %s: %s", address, uv_strerror(code));
        goto err_after_daemon;
    }
    return server;

err_after_daemon:
    MHD_stop_daemon(server->daemon); /* and closes the socket */
err_after_alloc:
    free(server);
    return NULL;
}

unsigned http_server_port(const struct http_server *server)
{
    return server->port;
}

/* ---------------------------------------------------------------- closing */

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_server *server = handle->data;

    if (--server->handles_open == 0) {
        void (*closed)(void *context) = server->closed;
        void *context = server->closed_context;
        free(server);
        closed(context);
    }
}

void http_server_close(struct http_server *server, void (*closed)(void *context), void *context)
{
    assert(!server->running && !server->closing);
    server->closing = true;
    server->closed = closed;
    server->closed_context = context;
    uv_close((uv_handle_t *)&server->poll, on_handle_closed); /* before its descriptor goes */
    uv_close((uv_handle_t *)&server->sweep, on_handle_closed);
    uv_close((uv_handle_t *)&server->again, on_handle_closed);
    for (struct client *client = server->clients; client != NULL; client = client->next) {
        if (client->suspended) { /* libmicrohttpd stops only with none suspended */
            client->suspended = false;
            MHD_resume_connection(client->connection);
        }
    }
    MHD_stop_daemon(server->daemon); /* on_completed and on_connection follow for each, and detach what waits */
    assert(server->clients == NULL);
}
