/*
 * The API without sockets and without a cluster: one machine over a store in memory that applies each command at once.
 *
 *     api_fixture_ask(question) ──> api_handle ──> handler ──> submit ──> Entry ──> machine_apply ──> reply ──> answer
 *
 * Callbacks come after the call that took them, as on a node. Time stands still unless a test moves it.
 *
 *     struct api_fixture *api = api_fixture_new();
 *     const struct api_answer *answer = api_post(api, "/users", "{\"user\": ...}");
 *     assert_int_equal(answer->status, 201);
 */
#ifndef TESTS_SUPPORT_API_FIXTURE_H
#define TESTS_SUPPORT_API_FIXTURE_H

#include "consensus/machine/machine.h"
#include "node/api/api.h"
#include "tests/support/memory_store.h"

#define API_FIXTURE_TOKEN "fixtureadmintoken123" /* of role admin, at account level; what api_get and the like carry */
#define API_FIXTURE_START_MS 1790000000000u
#define API_QUESTION_HEADERS_MAX 8

struct api_fixture {
    struct api api;
    struct memory_store *store;
    struct machine_store view;
    struct machine *machine;
    struct machine_output output; /* of the last entry: replies, sends, next deadline */
    uint64_t now_ms;              /* stamped on entries */
    uint64_t ahead_ms;            /* of which the node's wall clock is, and what it takes the cluster's time to be */
    uint64_t wall_ahead_ms;       /* of which the node's wall clock is ahead of even that */
    const char *token;            /* of api_get and the like; NULL: none */

    /* What the cluster does, for tests of trouble. */
    enum submit_outcome outcome;  /* of submits; not applied unless SUBMIT_APPLIED */
    bool stopped;                 /* reads get no view */
    bool stale;                   /* current reads find no leader */
    struct memory_store *behind;  /* when set: what reads that are not current, or stale, see */
    unsigned health_status;

    /* What was asked of the cluster. */
    unsigned submits, current_reads, local_reads, later_reads;
    unsigned token_uses; /* tokens that were told to be in use: not among the submits */
    Tocsin__Command *last_command; /* with its origin */

    /* Private. */
    struct api_pending *pending;
    struct api_answer *answers;
    uint64_t sequence;
    uint32_t random_next;
};

struct api_question {
    const char *method, *target;
    const char *body;       /* NULL: none */
    size_t body_size_bytes; /* 0: to the NUL */
    bool body_too_large;    /* as the server marks it */
    struct http_parameter headers[API_QUESTION_HEADERS_MAX]; /* ended by a NULL name */
};

/* Valid until api_fixture_free. */
struct api_answer {
    struct api_answer *next;
    unsigned status;
    const char *content_type; /* NULL when there is no body */
    char *text;               /* NUL-terminated; "" when there is no body */
    json_t *json;             /* NULL when there is no body */
    struct http_parameter headers[HTTP_RESPONSE_HEADERS_MAX];
    unsigned headers_count;
};

struct api_fixture *api_fixture_new(void);
void api_fixture_free(struct api_fixture *fixture);

/* A whole conversation. Ends the test when it is not answered exactly once, or when a body is not JSON. */
const struct api_answer *api_fixture_ask(struct api_fixture *fixture, const struct api_question *question);

/* With the fixture's token. */
const struct api_answer *api_get(struct api_fixture *fixture, const char *target);
const struct api_answer *api_post(struct api_fixture *fixture, const char *target, const char *body);
const struct api_answer *api_put(struct api_fixture *fixture, const char *target, const char *body);
const struct api_answer *api_delete(struct api_fixture *fixture, const char *target);

/* NULL when the answer has no such header. */
const char *api_answer_header(const struct api_answer *answer, const char *name);
/* The value at a path of names and indexes: api_answer_at(answer, "users", "0", "email", NULL). NULL when it is not
 * there. */
json_t *api_answer_at(const struct api_answer *answer, ...) __attribute__((sentinel));
/* The text at such a path; ends the test when there is none. */
const char *api_answer_text(const struct api_answer *answer, ...) __attribute__((sentinel));

/* Applies a command past the API, at now_ms; its origin is filled in. The reply is the caller's
 * (tocsin__reply__free_unpacked). */
Tocsin__Reply *api_fixture_apply(struct api_fixture *fixture, Tocsin__Command *command);
/* Three nodes are written down as members, by the leader's own command, which no request makes. */
void api_fixture_begin_members(struct api_fixture *fixture);
/* A further token; user_id 0: at account level. */
void api_fixture_add_token(struct api_fixture *fixture, const char *token, Tocsin__Role role, uint64_t user_id);
/* ... at account level, with these scopes. */
void api_fixture_add_scoped_token(struct api_fixture *fixture, const char *token, Tocsin__Role role, char **scopes,
                                  size_t count);
/* A user with this name and address; returns the id. */
uint64_t api_fixture_add_user(struct api_fixture *fixture, const char *name, const char *email, Tocsin__Role role);

#endif
