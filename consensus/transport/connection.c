/* Plain TCP under the transport: libuv streams, with the options that make a dead peer visible. */
#include "consensus/transport/connection.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct connection {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    struct connection_handlers handlers;
    bool closing, writing;
};

bool connection_parse_address(const char *text, struct connection_address *address)
{
    const char *host = text, *colon = strrchr(text, ':');
    if (!colon)
        return false;
    size_t host_size_bytes = (size_t)(colon - text);
    if (text[0] == '[') {
        if (host_size_bytes < 3 || colon[-1] != ']')
            return false;
        host++;
        host_size_bytes -= 2;
    } else if (memchr(text, ':', host_size_bytes)) {
        return false; /* an IPv6 address without brackets: which part is the port? */
    }
    size_t port_size_bytes = strlen(colon + 1);
    if (host_size_bytes == 0 || host_size_bytes >= sizeof address->host || port_size_bytes == 0 ||
        port_size_bytes >= sizeof address->port || strspn(colon + 1, "0123456789") != port_size_bytes ||
        strtoul(colon + 1, NULL, 10) > UINT16_MAX)
        return false;
    memcpy(address->host, host, host_size_bytes);
    address->host[host_size_bytes] = '\0';
    memcpy(address->port, colon + 1, port_size_bytes + 1);
    return true;
}

struct connection *connection_new(uv_loop_t *loop, const struct connection_handlers *handlers)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        abort();
    connection->handlers = *handlers;
    int status = uv_tcp_init(loop, &connection->tcp);
    assert(status == 0); /* without a socket yet there is nothing that could fail */
    (void)status;
    connection->tcp.data = connection;
    return connection;
}

/*
 * Small frames leave at once; a peer that vanished without a word ends the connection: TCP_USER_TIMEOUT when bytes wait
 * for an acknowledgement, keepalive probes when none do.
 */
static int set_options(struct connection *connection)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 2},
        {IPPROTO_TCP, TCP_KEEPINTVL, 1},
        {IPPROTO_TCP, TCP_KEEPCNT, 3},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, CONNECTION_DEAD_MS},
    };
    uv_os_fd_t descriptor;
    int status = uv_fileno((const uv_handle_t *)&connection->tcp, &descriptor);
    if (status != 0)
        return status;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (setsockopt(descriptor, options[i].level, options[i].name, &options[i].value, sizeof options[i].value) != 0)
            return uv_translate_sys_error(errno);
    return 0;
}

static void on_space(uv_handle_t *handle, size_t suggested_bytes, uv_buf_t *out)
{
    (void)suggested_bytes;
    struct connection *connection = handle->data;
    uint8_t *data;
    size_t size_bytes;
    connection->handlers.space(connection->handlers.context, &data, &size_bytes);
    assert(size_bytes > 0);
    *out = uv_buf_init((char *)data, (unsigned)(size_bytes < INT32_MAX ? size_bytes : INT32_MAX));
}

static void on_read(uv_stream_t *stream, ssize_t status, const uv_buf_t *buffer)
{
    (void)buffer;
    struct connection *connection = stream->data;
    if (connection->closing)
        return;
    if (status > 0)
        connection->handlers.received(connection->handlers.context, (size_t)status);
    else if (status < 0)
        connection->handlers.ended(connection->handlers.context, (int)status);
}

static int begin(struct connection *connection)
{
    int status = set_options(connection);
    return status != 0 ? status : uv_read_start((uv_stream_t *)&connection->tcp, on_space, on_read);
}

static void on_connected(uv_connect_t *request, int status)
{
    struct connection *connection = request->handle->data;
    if (connection->closing)
        return;
    if (status == 0)
        status = begin(connection);
    connection->handlers.opened(connection->handlers.context, status);
}

int connection_dial(struct connection *connection, const struct sockaddr *address)
{
    return uv_tcp_connect(&connection->connect, &connection->tcp, address, on_connected);
}

int connection_accept(struct connection *connection, uv_stream_t *listener)
{
    int status = uv_accept(listener, (uv_stream_t *)&connection->tcp);
    return status != 0 ? status : begin(connection);
}

static void on_written(uv_write_t *request, int status)
{
    struct connection *connection = request->handle->data;
    connection->writing = false;
    if (!connection->closing)
        connection->handlers.written(connection->handlers.context, status);
}

int connection_write(struct connection *connection, const void *data, size_t size_bytes)
{
    assert(!connection->closing && !connection->writing && size_bytes > 0);
    uv_stream_t *stream = (uv_stream_t *)&connection->tcp;
    /* uv_buf_t has no const; libuv only reads from what it writes. */
    uv_buf_t rest = {.base = (char *)(uintptr_t)data, .len = size_bytes};
    int status = uv_try_write(stream, &rest, 1);
    if (status < 0 && status != UV_EAGAIN)
        return status;
    if (status > 0) {
        rest.base += status;
        rest.len -= (size_t)status;
    }
    if (rest.len == 0)
        return 1;
    status = uv_write(&connection->write, stream, &rest, 1, on_written);
    connection->writing = status == 0;
    return status;
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    struct connection_handlers handlers = connection->handlers;
    free(connection);
    handlers.closed(handlers.context);
}

void connection_close(struct connection *connection)
{
    assert(!connection->closing);
    connection->closing = true;
    uv_close((uv_handle_t *)&connection->tcp, on_closed);
}

void connection_name(const struct connection *connection, char out[CONNECTION_NAME_SIZE_BYTES])
{
    struct sockaddr_storage storage;
    int size_bytes = sizeof storage;
    char host[INET6_ADDRSTRLEN];
    bool known = uv_tcp_getpeername(&connection->tcp, (struct sockaddr *)&storage, &size_bytes) == 0;
    if (known && storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 *address = (const struct sockaddr_in6 *)&storage;
        known = uv_ip6_name(address, host, sizeof host) == 0;
        if (known)
            snprintf(out, CONNECTION_NAME_SIZE_BYTES, "[%s]:%u", host, ntohs(address->sin6_port));
    } else if (known) {
        const struct sockaddr_in *address = (const struct sockaddr_in *)&storage;
        known = uv_ip4_name(address, host, sizeof host) == 0;
        if (known)
            snprintf(out, CONNECTION_NAME_SIZE_BYTES, "%s:%u", host, ntohs(address->sin_port));
    }
    if (!known)
        snprintf(out, CONNECTION_NAME_SIZE_BYTES, "an unknown address");
}
