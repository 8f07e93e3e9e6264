/*
 * The HTTP server: libmicrohttpd in external epoll mode on the libuv loop. Bounds: connections, per-address
 * connections, idle and request time, header size, target, body. Requests are handed to `handle` on the loop when
 * whole.
 */
#ifndef NODE_HTTP_HTTP_SERVER_H
#define NODE_HTTP_HTTP_SERVER_H

#include <uv.h>

#include "node/http/http.h"

struct http_server;

/* `address` is "host:port", "1.2.3.4:port" or "[v6]:port"; port 0 takes a free one. NULL with a sentence in `error`. */
struct http_server *http_server_open(uv_loop_t *loop, const char *address,
                                     void (*handle)(void *context, struct http_request *request), void *context,
                                     char *error, size_t error_size);
unsigned http_server_port(const struct http_server *server);
/* Stops accepting; what is unanswered is cut off. `closed` is called once when the loop may forget it. */
void http_server_close(struct http_server *server, void (*closed)(void *context), void *context);

#endif
