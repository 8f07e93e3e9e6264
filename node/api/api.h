/*
 * What HTTP handlers stand on: commands, current reads, JSON in and out, errors in the shape of their family.
 *
 *     handler ── api_submit(command) ──> leader ──> committed, applied ──> on_reply ──┬─────────────────────> api_json
 *                                                                                     └─> api_read ──> render ─┘
 *
 * The same code runs in the simulator: what differs comes through api_ports.
 */
#ifndef NODE_API_API_H
#define NODE_API_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "consensus/machine/base/ids.h"
#include "consensus/machine/records.h"
#include "consensus/machine/schema/schema.pb-c.h"
#include "consensus/machine/store.h"
#include "node/http/http.h"

enum submit_outcome {
    SUBMIT_APPLIED,     /* the reply is there */
    SUBMIT_UNAVAILABLE, /* no leader within the bound: certainly or possibly not applied */
    SUBMIT_OVERLOADED,  /* too much is waiting: not taken */
    SUBMIT_TOO_LARGE,   /* packed it is beyond LIMIT_COMMAND_SIZE_BYTES: not taken */
    SUBMIT_STOPPED      /* this node's storage failed: it takes nothing any more */
};

typedef void (*api_on_reply)(struct http_request *request, const Tocsin__Reply *reply);
/* `view` is read-only and valid during the call only. */
typedef void (*api_on_read)(struct http_request *request, const struct machine_store *view);

struct api_ports {
    void *context;
    /* Gives the command an origin, packs it, has it committed; the callback comes later, never from inside. `done`
     * gets a reply only with SUBMIT_APPLIED. */
    void (*submit)(void *context, Tocsin__Command *command,
                   void (*done)(void *argument, enum submit_outcome outcome, const Tocsin__Reply *reply),
                   void *argument);
    /* Waits until the local state is current, then calls `done` inside a short read transaction; `stale` when there
     * is no leader to ask. A NULL view: the node is stopped. May call back from inside. */
    void (*read)(void *context, bool current,
                 void (*done)(void *argument, const struct machine_store *view, bool stale), void *argument);
    /* The local state as it then is, in a later turn of the loop: for who has more to look at than one turn may take. */
    void (*read_later)(void *context, void (*done)(void *argument, const struct machine_store *view, bool stale), void *argument);
    /* What readers see covers everything that this node has answered. False for good when its state cannot be written any more. */
    bool (*caught_up)(void *context);
    void (*random)(void *context, void *buffer, size_t size_bytes); /* for keys and tokens: cryptographic */
    uint64_t (*wall_ms)(void *context);    /* how long something takes; never what time it is */
    uint64_t (*cluster_ms)(void *context); /* what time it is, as the cluster agrees */
    /* The answers of /cluster, /healthz and /readyz as JSON; status by reference. */
    json_t *(*cluster)(void *context);
    json_t *(*rehearse_last_gasp)(void *context); /* what this node would send if the majority were gone; nothing is sent */
    json_t *(*health)(void *context, unsigned *status);
    json_t *(*ready)(void *context, unsigned *status);
};

/* How many more pings a heartbeat may send at once. A few places are shared by many heartbeats: one that has just come takes the place of
 * whoever pings least, so that no number of calm ones makes a flood forgotten. */
#define PING_ALLOWANCES 1024u
#define PING_ALLOWANCES_SHARED 4u
struct ping_allowance {
    uint64_t id, at_ms;
    uint32_t left;
};

/* On which day this node has told of a token's use. A place is shared by many tokens, the last one has it. */
#define TOKEN_USES 1024u
struct token_use_told {
    uint64_t id, day;
};

struct api {
    struct api_ports ports;
    const char *public_url; /* base of `self`; without a slash at its end */
    bool members_anywhere;  /* members may have addresses outside loopback */
    struct ping_allowance ping_allowances[PING_ALLOWANCES];
    struct token_use_told token_uses[TOKEN_USES];
    unsigned coverage_searches; /* under way */
    struct rule_cache *rules; /* of event orchestration, compiled; NULL until the first event */
};

/* Gives back what handlers have made; the struct itself is the owner's. */
void api_close(struct api *api);

/* How much somebody may do; each holds what the ones before hold. */
enum permission {
    PERMISSION_READ,
    PERMISSION_RESPOND,   /* act on incidents, take overrides, change one's own contact methods and rules */
    PERMISSION_CONFIGURE, /* services, escalation policies, schedules, teams, ... */
    PERMISSION_ADMINISTER /* people, and what belongs to others */
};

/* Who asks. */
struct principal {
    uint64_t token_id;
    uint64_t user_id; /* 0: an account-level token */
    Tocsin__Role role;
    enum permission permission; /* of the role, or more where a team says so: about what the route is about */
    char *const *scopes;        /* of the token; none: every one */
    size_t scopes_count;
    Tocsin__Actor actor; /* name in the request's arena */
};

/* An integration that sends by its key. */
struct event_source {
    const char *key; /* NULL: none */
    uint64_t integration_id, service_id; /* service 0: rules say where its events go */
};

enum api_family { FAMILY_EVENTS, FAMILY_REST, FAMILY_OPERATOR, FAMILY_PINGS, FAMILY_CHECKS, FAMILY_OPSGENIE, FAMILY_ALERTMANAGER };

/* What a handler gets: the request's `state` points to it. */
struct api_call {
    struct api *api;
    struct http_request *request;
    const struct route *route;
    struct principal principal; /* of authenticated routes */
    struct event_source source; /* of routes with ROUTE_SOURCE_KEY or ROUTE_KEY_IN_PATH: when a key was given */
    json_t *body;               /* parsed and bounded, when the route has a JSON body; freed with the call */
    Tocsin__Command *command;   /* under construction; packed by api_submit */
    api_on_reply on_reply;
    api_on_read on_read;
    const char *parameters[4];  /* the {...} parts of the path in order */
    uint64_t id;                /* handlers' own: the object at hand */
    void *data;                 /* handlers' own, from the arena */
};

struct api_call *api_call_of(struct http_request *request);
/* What time it is, as the cluster agrees. */
uint64_t api_cluster_ms(struct http_request *request);

/* ---- router.c: route, token, body, then the handler; otherwise an answer in the family's shape */

struct route {
    const char *method;  /* "*": any */
    const char *pattern; /* "/users/{}/contact_methods/{}" */
    void (*handler)(struct http_request *request);
    enum api_family family;
    unsigned flags; /* enum route_flag; who may is in roles.c */
};
enum route_flag {
    ROUTE_PUBLIC = 1,    /* no token */
    ROUTE_JSON_BODY = 2, /* the body must be one JSON object */
    ROUTE_ANY_BODY = 8,  /* one that is too large is as good as none */
    ROUTE_JSON_IF_ANY = 16, /* as ROUTE_JSON_BODY, unless there is none */
    ROUTE_JSON_ARRAY = 32,  /* with ROUTE_JSON_BODY: one JSON array instead */
    ROUTE_SOURCE_KEY = 64,  /* the key of an integration is as good as a token, and decides where events go */
    ROUTE_KEY_IN_PATH = 128 /* such a key is the first {} of the path, and nothing else will do */
};

/* Takes the request over and answers it, now or later. */
void api_handle(struct api *api, struct http_request *request);

/* Each family of handlers is one table, ended by a row without a method. */
extern const struct route routes_events[];
extern const struct route routes_operator[];
extern const struct route routes_members[];
extern const struct route routes_people[];
extern const struct route routes_coverage[];
extern const struct route routes_drills[];
extern const struct route routes_teams[];
extern const struct route routes_tokens[];
extern const struct route routes_catalog[];
extern const struct route routes_schedules[];
extern const struct route routes_feeds[];
extern const struct route routes_suppression[];
extern const struct route routes_changes[];
extern const struct route routes_incidents[];
extern const struct route routes_orchestration[];
extern const struct route routes_pings[];
extern const struct route routes_checks[];
extern const struct route routes_opsgenie[];
extern const struct route routes_alertmanager[];
extern const struct route routes_opsgenie_alerts[];

/* ---- for handlers */

/* By what the cluster knows a request with an Idempotency-Key again: 64 hexadecimal digits of the key and all that was asked, NULL without one.
 * What differs in anything is another request, and not taken for done because some sender, a gateway perhaps, uses one key twice. */
const char *api_request_key(const struct http_request *request);
/* A command with this call's actor (and request key), in the request's memory; so is its body, initialised: fill
 * command->user_put->... */
Tocsin__Command *api_command(struct http_request *request, Tocsin__Command__BodyCase body_case);
/* Sends call->command. 503 and refusals of the path are answered here; on_reply hears replies of any status. */
void api_submit(struct http_request *request, api_on_reply on_reply);
/* A current read (marked stale by the header "Tocsin-Stale: true" when there is no leader). */
void api_read(struct http_request *request, api_on_read on_read);

/* Nobody answers it any more: what it belonged to is gone. Lets go of it without a word. */
void api_abandon(struct http_request *request);
void api_json(struct http_request *request, unsigned status, json_t *body); /* takes the reference */
/* Plain text; `text` is copied. */
void api_text(struct http_request *request, unsigned status, const char *text, size_t size_bytes);
/* A body of another type; `body` is malloc'ed and taken over. */
void api_body(struct http_request *request, unsigned status, const char *content_type, char *body, size_t size_bytes);
void api_no_content(struct http_request *request);
/* An error in the shape of the route's family; `errors` is an array whose reference is taken, or NULL. Message
 * formats are ours, never from outside. */
void api_error(struct http_request *request, unsigned status, int code, const char *message, json_t *errors);
/* The answer to a reply that is not OK, in PagerDuty REST's codes. */
void api_refused(struct http_request *request, const Tocsin__Reply *reply);

/* ---- ids and values as the outside sees them (values.c) */

json_t *json_id(uint64_t id);
/* Milliseconds as "2015-10-06T21:30:42Z"; null for 0. */
json_t *json_time(uint64_t time_ms);
/* Valid UTF-8, no NUL, at most so many characters. */
bool text_fits(const char *text, size_t characters_max);

/* Reading a JSON body field by field. Each adds a sentence to `errors` (PagerDuty's wording where known) and returns
 * false when the value is there but wrong; absent (or null where allowed) leaves *out alone and returns true. */
struct field_reader {
    struct http_request *request;
    json_t *object;
    const char *prefix; /* for messages: "payload." or "" */
    json_t *errors;     /* array, made at the first error */
};
bool field_string(struct field_reader *, const char *name, size_t characters_max, const char **out, bool *present);
bool field_integer(struct field_reader *, const char *name, int64_t min, int64_t max, int64_t *out, bool *present);
bool field_boolean(struct field_reader *, const char *name, bool *out, bool *present);
bool field_object(struct field_reader *, const char *name, json_t **out);
bool field_array(struct field_reader *, const char *name, size_t count_max, json_t **out);
/* {"id": "P..."} under this name. */
bool field_reference(struct field_reader *, const char *name, uint64_t *out, bool *present);
void field_error(struct field_reader *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* True when no error was met; otherwise answers 400/2001 with the errors. */
bool fields_finish(struct field_reader *);

/* Pagination of PagerDuty REST: limit 25 (1 to 100), offset, total. False: already answered with 400. */
struct page {
    unsigned limit, offset;
    bool want_total;
    unsigned seen, taken; /* rows that matched so far, rows given out */
    bool more;
};
bool page_parse(struct http_request *request, struct page *page);
/* For each matching row: true when it belongs to the page. Sets more; after more is true and total is not wanted the
 * walk may end (page_done). */
bool page_take(struct page *page);
bool page_done(const struct page *page);
/* Adds limit, offset, more, total to the answer. */
void page_finish(const struct page *page, json_t *answer);

#endif
