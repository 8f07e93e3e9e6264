/*
 * Inside the router: a request's way to its handler.
 *
 *     router.c   route ──> size ──> authenticate ──> Idempotency-Key ──> JSON body ──> handler
 *     auth.c                            token, role, From
 *     port_calls.c                                                         handler ──> submit, read
 *     answer.c   answers and errors in the shape of each family
 */
#ifndef NODE_API_ROUTER_H
#define NODE_API_ROUTER_H

#include "node/api/api.h"

/* What the router keeps of a request beside what handlers see. */
struct router_call {
    struct api_call call; /* first: http_request.state points to it */
    const struct route *table; /* the family of handlers that the route is from */
    enum api_family family;    /* known before the route is */
    uint8_t token_hash[32];
    const char *source_key; /* what was given, where the key of an integration will do; NULL: nothing */
    const char *from; /* e-mail address of who asks, when an account-level token writes to incidents */
    const char *request_key; /* see api.h */
    bool current;     /* the state looked at for authentication is the newest */
    bool wrote;       /* a command of this call was applied */
    uint64_t began_ms; /* by the node's wall clock */
};

struct router_call *router_call_of(struct http_request *request);
bool router_is_read(const struct http_request *request); /* GET or HEAD */

/* Finds out who asks; then goes on with router_authenticated, or answers 401, 403, 400 (From) or 503. */
void authenticate(struct router_call *call);
void router_authenticated(struct router_call *call);
/* Parses the body when the route wants one and it was not done yet. False: answered with 400. */
bool router_take_body(struct router_call *call);

/* Every route, in tables ended by a row without a method. */
const struct route *const *router_tables(size_t *count);

/* Events only: the answer to a body that is not a JSON object. */
void answer_unrecognized(struct http_request *request);
/* 503: try again in a second. */
void answer_unavailable(struct http_request *request, const char *sentence);
/* 503: this node takes nothing any more; another does. */
void answer_stopped(struct http_request *request);

#endif
