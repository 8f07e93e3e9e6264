/* Requests that are tried until they are answered. */
#include "tests/sim/clients/client.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/sim/clients/plain_json.h"
#include "tests/sim/judge/gasp.h"

/* Between attempts: short enough that a node's crash costs a person little, long enough not to flood an election. */
#define RETRY_FIRST_MS 100u
#define RETRY_MAX_MS 4000u
#define HEADERS_MAX 4
#define HEADER_SIZE 160
#define NODE_TRIES 4 /* to find one that is up */

struct call {
    struct client *client;
    struct call *next, *previous; /* of all that wait */
    char *method, *target, *body, *from;
    uint64_t number; /* of the Idempotency-Key */
    uint64_t node;
    unsigned attempts, attempts_max;
    bool keyed, refusable, asking;
    uint64_t first_asked, asked;
    uint64_t asked_at_ms; /* true time of this attempt */
    client_done done;
    void *context;
};

/* Stands before each task's memory. */
struct task {
    struct task *next, *previous;
};
_Static_assert(sizeof(struct task) % _Alignof(max_align_t) == 0, "what follows it is aligned");

struct client {
    struct sim *sim;
    struct history *history;
    client_way way;
    struct call waiting; /* head of the ring */
    struct task tasks;   /* head of theirs */
    unsigned waiting_count;
    uint64_t calls;
};

struct client *client_new(struct sim *sim, struct history *history, client_way way)
{
    struct client *client = calloc(1, sizeof *client);

    if (client == NULL) {
        abort();
    }
    client->sim = sim;
    client->history = history;
    client->way = way;
    client->waiting.next = client->waiting.previous = &client->waiting;
    client->tasks.next = client->tasks.previous = &client->tasks;
    return client;
}

void *task_begin(struct client *client, size_t size_bytes)
{
    struct task *task = calloc(1, sizeof *task + size_bytes);

    if (task == NULL) {
        abort();
    }
    task->next = &client->tasks;
    task->previous = client->tasks.previous;
    task->previous->next = task;
    client->tasks.previous = task;
    return task + 1;
}

void task_end(struct client *client, void *memory)
{
    struct task *task = (struct task *)memory - 1;

    (void)client;
    task->previous->next = task->next;
    task->next->previous = task->previous;
    free(task);
}

static void call_free(struct call *call)
{
    call->previous->next = call->next;
    call->next->previous = call->previous;
    call->client->waiting_count--;
    free(call->method);
    free(call->target);
    free(call->body);
    free(call->from);
    free(call);
}

void client_free(struct client *client)
{
    while (client->waiting.next != &client->waiting) {
        call_free(client->waiting.next);
    }
    while (client->tasks.next != &client->tasks) {
        task_end(client, client->tasks.next + 1);
    }
    free(client);
}

unsigned client_waiting(const struct client *client)
{
    return client->waiting_count;
}

uint64_t client_longest_attempt_ms(const struct client *client)
{
    uint64_t longest_ms = 0, now_ms = sim_now_ms(client->sim);

    for (const struct call *call = client->waiting.next; call != &client->waiting; call = call->next) {
        if (call->asking && now_ms - call->asked_at_ms > longest_ms) {
            longest_ms = now_ms - call->asked_at_ms;
        }
    }
    return longest_ms;
}

uint64_t client_some_node(struct client *client, uint64_t other_than)
{
    unsigned count = sim_nodes_count(client->sim);
    uint64_t node = 1;

    for (unsigned i = 0; i < NODE_TRIES; i++) {
        node = 1 + sim_random(client->sim, count);
        if (sim_node_up(client->sim, node) && node != other_than) {
            break;
        }
    }
    return node;
}

/* ---------------------------------------------------------------- answers */

static const char *header_of(const struct sim_answer *answer, const char *name)
{
    size_t length = strlen(name);

    for (const char *const *header = answer->headers; header != NULL && *header != NULL; header++) {
        if (strncasecmp(*header, name, length) == 0 && (*header)[length] == ':') {
            return *header + length + 1;
        }
    }
    return NULL;
}

static void attempt(void *context);

static void try_again(struct call *call)
{
    unsigned doublings = call->attempts < 6 ? call->attempts - 1 : 5;
    uint64_t pause_ms = RETRY_FIRST_MS << doublings;

    pause_ms = pause_ms > RETRY_MAX_MS ? RETRY_MAX_MS : pause_ms;
    call->node = client_some_node(call->client, call->node);
    sim_count(call->client->sim, "requests tried again", 1);
    sim_at(call->client->sim,
           sim_now_ms(call->client->sim) + pause_ms / 2 + sim_random(call->client->sim, pause_ms + 1), attempt, call);
}

static void count_answer(struct call *call, const struct client_answer *answer)
{
    struct sim *sim = call->client->sim;

    if (answer->status == 0) {
        sim_count(sim, "answers that never came", 1);
    } else if (answer->status == 503) {
        sim_count(sim, "503s", 1);
    } else if (!answer_ok(answer)) {
        sim_count(sim, "refusals", 1);
    }
    if (answer->stale) {
        sim_count(sim, "stale reads", 1);
    }
}

/* The answer in the forms that the caller and the history want; the JSON is the caller's to let go. */
static struct client_answer take_answer(struct call *call, const struct sim_answer *answer)
{
    struct client_answer taken = {
        .status = answer->status,
        .stale = header_of(answer, "Tocsin-Stale") != NULL,
        .node = call->node,
        .first_asked = call->first_asked,
        .asked = call->asked,
        .attempts = call->attempts,
        .told = history_moment(call->client->history),
    };
    const struct history_answer plain = {
        .node = call->node,
        .method = call->method,
        .target = call->target,
        .body = answer->body,
        .status = answer->status,
        .retry_after = header_of(answer, "Retry-After") != NULL,
        .refusable = call->refusable,
    };

    (void)history_answered(call->client->history, &plain);
    if (answer->body_size_bytes > 0) {
        taken.json = plain_json_load(answer->body, answer->body_size_bytes);
        if (taken.json == NULL) { /* a text alone, as Alertmanager's family tells errors */
            taken.json = json_loadb(answer->body, answer->body_size_bytes, JSON_DECODE_ANY, NULL);
        }
        if (taken.json == NULL) {
            history_violation(call->client->history, "P5: node %" PRIu64 " answers %s %s with what is not JSON: %.200s",
                              call->node, call->method, call->target, answer->body);
        }
    }
    return taken;
}

static void attempt_answered(void *context, const struct sim_answer *answer)
{
    struct call *call = context;
    struct client *client = call->client;
    struct client_answer taken = take_answer(call, answer);

    assert(call->asking);
    call->asking = false;
    count_answer(call, &taken);
    bool kept = taken.status == 202 && strcmp(call->method, "PUT") == 0;
    if (kept && strncmp(call->target, "/incidents/", 11) == 0) {
        gasp_judge_kept(client->sim, call->node, call->target + 11);
    }
    /* What a node without a majority keeps is not in the cluster's state: whoever wants it there asks again. */
    if ((taken.status == 0 || taken.status == 503 || kept) &&
        (call->attempts_max == 0 || call->attempts < call->attempts_max)) {
        json_decref(taken.json);
        try_again(call);
        return;
    }
    if (kept) {
        taken.status = 0; /* given up */
    }
    sight_of_answer(client->history, &taken, call->method, call->target);
    if (call->done != NULL) {
        call->done(call->context, &taken);
    }
    json_decref(taken.json);
    call_free(call);
}

/* ---------------------------------------------------------------- questions */

static void attempt(void *context)
{
    struct call *call = context;
    struct client *client = call->client;
    char texts[HEADERS_MAX][HEADER_SIZE];
    const char *headers[HEADERS_MAX + 1] = {NULL};
    size_t count = 0;

    if (call->from != NULL) {
        (void)snprintf(texts[count], HEADER_SIZE, "From: %s", call->from);
        headers[count] = texts[count];
        count++;
    }
    if (call->keyed) {
        (void)snprintf(texts[count], HEADER_SIZE, "Idempotency-Key: request %" PRIu64, call->number);
        headers[count] = texts[count];
        count++;
    }
    call->attempts++;
    call->asking = true;
    call->asked_at_ms = sim_now_ms(client->sim);
    call->asked = history_moment(client->history);
    if (call->attempts == 1) {
        call->first_asked = call->asked;
    }
    client->way(client->sim, call->node, call->method, call->target, headers, call->body, attempt_answered, call);
}

static char *copy_or_null(const char *text)
{
    return text != NULL ? text_of("%s", text) : NULL;
}

void client_ask(struct client *client, const struct client_request *request, client_done done, void *context)
{
    struct call *call = calloc(1, sizeof *call);

    if (call == NULL) {
        abort();
    }
    *call = (struct call){
        .client = client,
        .next = &client->waiting,
        .previous = client->waiting.previous,
        .method = copy_or_null(request->method),
        .target = copy_or_null(request->target),
        .body = copy_or_null(request->body),
        .from = copy_or_null(request->from),
        .number = ++client->calls,
        .node = request->node != 0 ? request->node : client_some_node(client, 0),
        .attempts_max = request->attempts_max,
        .keyed = request->keyed,
        .refusable = request->refusable,
        .done = done,
        .context = context,
    };
    call->previous->next = call;
    client->waiting.previous = call;
    client->waiting_count++;
    attempt(call);
}
