/*
 * How everybody outside asks the cluster: at any node, again at another one when none answered or 503 came.
 *
 *     client_ask ──> node 2: 503 ──> a little later, node 1: nothing ──> later still, node 3: 201 ──> done
 *                    the same Idempotency-Key each time, so that it happens once
 *
 * Every answer is held against the history: what it may be by itself, and what it shows of incidents, users, policies,
 * services.
 */
#ifndef TESTS_SIM_CLIENTS_CLIENT_H
#define TESTS_SIM_CLIENTS_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/judge/history.h"
#include "tests/sim/world/sim.h"

struct client;

/* How a request gets to a node: sim_ask_with, but in tests of the clients themselves. */
typedef void (*client_way)(struct sim *sim, uint64_t node, const char *method, const char *target,
                           const char *const *headers, const char *body, sim_answered done, void *context);

/* Neither simulator nor history is owned. */
struct client *client_new(struct sim *sim, struct history *history, client_way way);
void client_free(struct client *client);

struct client_request {
    const char *method, *target;
    const char *body;      /* NULL: none */
    const char *from;      /* address of the person on whose behalf, or NULL */
    uint64_t node;         /* asked first; 0: any */
    unsigned attempts_max; /* 0: as often as it takes */
    bool keyed;            /* carries an Idempotency-Key */
    bool refusable;        /* 400 or 404 may be the right answer */
};

struct client_answer {
    unsigned status; /* 0 and 503: given up */
    json_t *json;    /* NULL: none */
    bool stale;      /* of no leader's knowledge: may be old */
    uint64_t node;
    uint64_t first_asked, asked; /* moments of history.h: of the first attempt, and of the one that was answered */
    uint64_t told;               /* the moment of the answer: what it shows is told to the history after it */
    unsigned attempts;
};
typedef void (*client_done)(void *context, const struct client_answer *answer);

/* Everything is copied. `done` comes once, later; it may be NULL. */
void client_ask(struct client *client, const struct client_request *request, client_done done, void *context);

/* Requests without their last answer; and for how long the longest of their attempts is under way. */
unsigned client_waiting(const struct client *client);
uint64_t client_longest_attempt_ms(const struct client *client);

/* Memory for something under way (zeroed), for contexts here and of sim_at: let go by task_end, or with the client. */
void *task_begin(struct client *client, size_t size_bytes);
void task_end(struct client *client, void *task);

/* A node that is up, by chance; any when none is. */
uint64_t client_some_node(struct client *client, uint64_t other_than);

/* ---- what answers are made of */

/* printf into memory of its own (free). */
char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A text inside of an answer, "" when it is not there. */
const char *json_text_at(const json_t *object, const char *name);
/* "acknowledged" as enum incident_status; -1: there is none. */
int incident_status_of(const json_t *incident);
bool answer_ok(const struct client_answer *answer);

/* Tells the history what an answer shows. */
void sight_of_answer(struct history *history, const struct client_answer *answer, const char *method,
                     const char *target);

#endif
