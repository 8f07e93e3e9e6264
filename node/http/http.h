/*
 * HTTP below the handlers and above the socket: one request, one answer.
 *
 *     libmicrohttpd (http_server.c)  ─┐
 *                                     ├─> http_request ──> router (api/router.h) ──> handler ──> http_respond, once
 *     the simulator, tests           ─┘
 *
 * Handlers run on the loop when the whole, bounded body is there. They may answer at once or later (after a commit, or
 * a read barrier); until http_respond the request stays valid even when the client has gone.
 */
#ifndef NODE_HTTP_HTTP_H
#define NODE_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/base/span.h"

#define HTTP_BODY_SIZE_BYTES_MAX (640u << 10) /* an event at PagerDuty's limit and some; routes may ask for less */
#define HTTP_TARGET_SIZE_BYTES_MAX 8192u
#define HTTP_RESPONSE_HEADERS_MAX 12
#define HTTP_PATH_PARTS_MAX 12
#define HTTP_QUERY_PARAMETERS_MAX 128

struct http_parameter {
    const char *name, *value; /* decoded, NUL-terminated, valid UTF-8 without NUL */
};

/* How an answer leaves: implemented by the server and by tests. */
struct http_request;
struct http_sink {
    /* Takes request->response as it stands. The request is freed by http_respond after this returns. */
    void (*respond)(void *context, struct http_request *request);
    void *context;
};

struct http_request {
    const char *method;
    const char *path;    /* decoded per part; repeated slashes collapsed, no trailing slash */
    const char *parts[HTTP_PATH_PARTS_MAX];
    unsigned parts_count;
    struct http_parameter query[HTTP_QUERY_PARAMETERS_MAX];
    unsigned query_count;
    struct span body;
    char *body_owned;    /* the body when it goes with the request (free); NULL when it is somebody else's */
    bool body_too_large; /* beyond HTTP_BODY_SIZE_BYTES_MAX: not kept, `body` is empty */
    /* Value of a request header, NULL when absent; names compare without case. */
    const char *(*header)(const struct http_request *request, const char *name);

    /* Filled on the way to the answer. */
    unsigned status;
    const char *content_type;
    struct http_parameter response_headers[HTTP_RESPONSE_HEADERS_MAX];
    unsigned response_headers_count;
    char *response_body; /* malloc'ed, or NULL */
    size_t response_body_size_bytes;

    void *state;         /* the handler's */
    struct http_arena *arena; /* memory that lives as long as the request */
    struct http_sink sink;
    void *server_state;  /* the sink's */
};

/* A request outside any server, for tests and the simulator: target is path and query as on the request line. NULL
 * when it breaks a bound or is malformed. */
struct http_request *http_request_new(const char *method, const char *target, struct span body, struct http_sink sink);

/* For a sink whose client went before the request was handed on; everybody else answers. */
void http_request_free(struct http_request *request);

void *http_alloc(struct http_request *request, size_t size_bytes); /* zeroed */
char *http_strdup(struct http_request *request, const char *text);

/* First value of a query parameter, NULL when absent. `name[]` and `name` are told apart by the caller. */
const char *http_query(const struct http_request *request, const char *name);

/* Adds a header to the answer; both strings are copied. */
void http_response_header(struct http_request *request, const char *name, const char *value);

/* Answers, and frees the request. `body` is malloc'ed and taken over; NULL for none. */
void http_respond(struct http_request *request, unsigned status, const char *content_type, char *body,
                  size_t size_bytes);

#endif
