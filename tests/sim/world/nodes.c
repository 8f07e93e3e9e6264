/* Engines in one process: their clocks, their starts and ends, their HTTP handlers, and what is checked at each of their turns. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "notify/dispatcher.h"
#include "tests/sim/judge/invariants.h"
#include "tests/sim/judge/gasp.h"
#include "tests/sim/world/sim_internal.h"

#define NEVER UINT64_MAX
#define TURNS_IN_PLACE_MAX 1000u
#define FROZEN_STEP_MS 10u        /* how often something looks whether a node moves again */
#define ANSWER_PATIENCE_MS 15000u /* of a client, for one attempt */
#define COMPARE_EVERY 64u         /* entries: how often model and invariants are held against the state */
/* What may wait: more than all clients together have ever asked for at once. At rest: a deadline that is due at this moment. */
#define WAITING_COMMANDS_MAX 20000u
#define WAITING_BYTES_MAX (32u << 20)
#define AT_REST_MAX 4u
#define AT_REST_BYTES_MAX 1024u /* a tick, while there are heartbeats */
#define CLUSTER_NAME "night"
#define DISK_TOTAL_BYTES (UINT64_C(100) << 30)

/* ---- clocks */

static uint64_t elapsed_ms(const struct node *node) {
    uint64_t true_ms = node->sim->now_ms - node->clock.since_ms;
    return (uint64_t)((int64_t)true_ms + (int64_t)true_ms * node->clock.drift_ppm / 1000000);
}

static uint64_t monotonic_ms(const struct node *node) {
    return node->asleep ? node->asleep_monotonic_ms : node->clock.monotonic_ms + elapsed_ms(node);
}
static uint64_t boottime_ms(const struct node *node) { return node->clock.boottime_ms + elapsed_ms(node); }

uint64_t node_wall_ms(const struct node *node) {
    return (uint64_t)((int64_t)(node->clock.since_ms + elapsed_ms(node)) + node->clock.wall_offset_ms);
}

/* The readings go on from where they are. */
static void clock_settle(struct node *node) {
    uint64_t wall_ms = node_wall_ms(node), elapsed = elapsed_ms(node);
    node->clock.monotonic_ms += elapsed;
    node->clock.boottime_ms += elapsed;
    node->clock.since_ms = node->sim->now_ms;
    node->clock.wall_offset_ms = (int64_t)(wall_ms - node->sim->now_ms);
}

void node_shift_wall(struct node *node, int64_t shift_ms) {
    clock_settle(node);
    node->clock.wall_offset_ms += shift_ms;
}

void node_set_drift(struct node *node, int64_t drift_ppm) {
    clock_settle(node);
    node->clock.drift_ppm = drift_ppm;
}

/* True time at which its monotonic clock will show this. */
static uint64_t true_time_of(const struct node *node, uint64_t at_monotonic_ms) {
    uint64_t now_ms = monotonic_ms(node);
    if (at_monotonic_ms <= now_ms) return node->sim->now_ms;
    uint64_t wait_ms = at_monotonic_ms - now_ms;
    if (wait_ms > 1000) wait_ms = 1000; /* as on a real host */
    int64_t speed = 1000000 + node->clock.drift_ppm;
    return node->sim->now_ms + (wait_ms * 1000000 + (uint64_t)speed - 1) / (uint64_t)speed;
}

/* ---- turns */

static void run_turn(void *context);

static void set_turn(struct node *node, uint64_t true_ms) {
    if (node->turn_ms <= true_ms) return;
    node->turn_ms = true_ms;
    sim_at(node->sim, true_ms, run_turn, node);
}

void node_wake(struct node *node) {
    if (node->up && !node->frozen) set_turn(node, node->sim->now_ms);
}

static void check_leader(struct node *node, const struct engine_status *engine) {
    struct sim *sim = node->sim;
    const struct driver_status *status = &engine->driver;
    if (status->role != DRIVER_LEADER) return;
    node->knows_time |= engine->duties_term == status->term && engine->cluster_time_live;
    raft_checks_leads(sim->checks, node->id, status->term);
    if (status->term > sim->leaders_seen) {
        sim->leaders_seen = status->term;
        sim->led_since_ms = sim->now_ms;
        sim_count(sim, "elections", 1);
        sim_tell(sim, "node %" PRIu64 " leads term %" PRIu64, node->id, status->term);
    }
}

static void check_turn(struct node *node) {
    struct sim *sim = node->sim;
    struct engine_status status = engine_status(node->engine);
    check_leader(node, &status);
    growth_saw_version(sim, status.state_version);
    if (raft_checks_violation(sim->checks) != NULL) sim_violation(sim, "%s", raft_checks_violation(sim->checks));
}

static void run_turn(void *context) {
    struct node *node = context;
    struct sim *sim = node->sim;
    if (!node->up || node->frozen || node->turn_ms != sim->now_ms) return;
    node->turn_ms = NEVER;
    uint64_t next_ms = engine_turn(node->engine);
    check_turn(node);
    node->turns_in_place = node->last_turn_ms == sim->now_ms ? node->turns_in_place + 1 : 0;
    node->last_turn_ms = sim->now_ms;
    if (node->turns_in_place > TURNS_IN_PLACE_MAX) sim_violation(sim, "node %" PRIu64 " turns without end", node->id);
    uint64_t next_true_ms = true_time_of(node, next_ms);
    /* A turn that wants to follow at once gets a moment's time first, as on a real host. */
    set_turn(node, next_true_ms > sim->now_ms || node->turns_in_place < 3 ? next_true_ms : sim->now_ms + 1);
}

static void end_freeze(struct node *node) {
    node->frozen = false;
    if (!node->asleep) return;
    node->asleep = false;
    uint64_t monotonic_then_ms = node->asleep_monotonic_ms;
    clock_settle(node);
    node->clock.monotonic_ms = monotonic_then_ms;
}

void node_thaw(struct node *node) {
    if (!node->frozen) return;
    end_freeze(node);
    if (!node->up) return;
    network_node_thawed(node->sim, node->id);
    node->turn_ms = NEVER;
    node_wake(node);
}

static void freeze_ends(void *context) {
    struct node *node = context;
    if (node->frozen_until_ms <= node->sim->now_ms) node_thaw(node);
}

void node_freeze(struct node *node, uint64_t duration_ms, bool asleep) {
    if (node->frozen) return;
    node->frozen = true;
    node->frozen_until_ms = node->sim->now_ms + duration_ms;
    node->asleep_monotonic_ms = monotonic_ms(node);
    node->asleep = asleep;
    sim_at(node->sim, node->frozen_until_ms, freeze_ends, node);
}

/* ---- the engine's ports */

static uint64_t port_now_ms(void *context) { return monotonic_ms(context); }
static uint64_t port_boottime_ms(void *context) { return boottime_ms(context); }
static uint64_t port_wall_ms(void *context) { return node_wall_ms(context); }

static void port_random(void *context, void *buffer, size_t size_bytes) {
    struct node *node = context;
    uint8_t *bytes = buffer;
    for (size_t i = 0; i < size_bytes; i++) bytes[i] = (uint8_t)sim_random(node->sim, 256);
}

static bool port_send(void *context, uint64_t peer, enum frame_type type, struct span head, struct span tail) {
    struct node *node = context;
    return network_send(node->sim, node->id, peer, type, head, tail);
}

static bool port_connected(void *context, uint64_t peer) {
    struct node *node = context;
    return network_connected(node->sim, node->id, peer);
}

static void port_set_peers(void *context, const uint64_t *ids, const char *const *addresses, size_t count) {
    struct node *node = context;
    char address[32];
    for (size_t i = 0; i < count; i++) {
        snprintf(address, sizeof address, "node-%" PRIu64 ":7000", ids[i]);
        if (strcmp(address, addresses[i]) != 0) sim_violation(node->sim, "node %" PRIu64 " looks for node %" PRIu64 " at %s", node->id, ids[i], addresses[i]);
    }
    network_set_peers(node->sim, node->id, ids, count);
}

static bool port_joined(void *context, char *error, size_t error_size) {
    struct node *node = context;
    (void)error;
    (void)error_size;
    node->joining = false;
    return true;
}

static bool port_set_removed(void *context, char *error, size_t error_size) {
    struct node *node = context;
    (void)error;
    (void)error_size;
    if (!node->leaving) sim_violation(node->sim, "node %" PRIu64 " is told that it was removed, though nobody wants that", node->id);
    node->removed = true;
    return true;
}

static bool port_claim(void *context, char *error, size_t error_size) {
    struct node *node = context;
    (void)error;
    (void)error_size;
    node->claimed = true;
    return true;
}

static bool port_set_recovering(void *context, uint64_t index, char *error, size_t error_size) {
    struct node *node = context;
    (void)error;
    (void)error_size;
    node->recovering_index = index;
    sim_count(node->sim, index != 0 ? "recoveries begun" : "recoveries ended", 1);
    return true;
}

static bool port_keep_first_token(void *context, const char *token, char *error, size_t error_size) {
    struct node *node = context;
    (void)error;
    (void)error_size;
    snprintf(node->sim->token, sizeof node->sim->token, "%s", token);
    return true;
}

static bool port_keep_last_gasp(void *context, struct span record, char *error, size_t error_size) {
    struct node *node = context;
    (void)error;
    (void)error_size;
    free(node->last_gasp);
    node->last_gasp = malloc(record.size_bytes + 1);
    if (node->last_gasp == NULL) abort();
    memcpy(node->last_gasp, record.data, record.size_bytes);
    node->last_gasp_size_bytes = record.size_bytes;
    return true;
}

static void port_disk(void *context, uint64_t *free_bytes, uint64_t *total_bytes) {
    (void)context;
    *total_bytes = DISK_TOTAL_BYTES;
    *free_bytes = DISK_TOTAL_BYTES / 2;
}

/* ---- providers */

struct transfer {
    struct node *node;
    uint64_t process, id;
    bool aborted;
    struct answer answer;
    char *body, *error;
    struct transfer *next, **link; /* of the node's, until its answer came */
};

static void transfer_answered_now(void *context) {
    struct transfer *transfer = context;
    struct node *node = transfer->node;
    bool there = node->up && node->process == transfer->process && !transfer->aborted;
    if (there && node->frozen) {
        sim_at(node->sim, node->sim->now_ms + FROZEN_STEP_MS, transfer_answered_now, transfer);
        return;
    }
    if (there && (transfer->id & LAST_GASP_TRANSFER) != 0) gasp_judge_answered(node, transfer->id, &transfer->answer);
    if (there) {
        engine_answered(node->engine, transfer->id, &transfer->answer);
        node_wake(node);
    }
    *transfer->link = transfer->next;
    if (transfer->next != NULL) transfer->next->link = transfer->link;
    free(transfer->body);
    free(transfer->error);
    free(transfer);
}

static char *copy_of(const char *text) {
    char *copy = strdup(text != NULL ? text : "");
    if (copy == NULL) abort();
    return copy;
}

static void transfer_answered(void *context, uint64_t token, const struct answer *answer) {
    struct transfer *transfer = context;
    (void)token;
    transfer->answer = *answer;
    transfer->answer.body = transfer->body = copy_of(answer->body);
    transfer->error = copy_of(answer->error);
    transfer->answer.error = answer->error != NULL ? transfer->error : NULL;
    transfer_answered_now(transfer);
}

/* One that was claimed. */
static void judge_request(struct node *node, const struct outgoing *outgoing, const struct provider_message *message) {
    sim_count(node->sim, "requests to providers", 1);
    if (engine_status(node->engine).driver.role != DRIVER_LEADER)
        sim_violation(node->sim, "P3: node %" PRIu64 " sends to %s, and does not lead", node->id, message->to);
    struct model_request request = {.true_ms = node->sim->now_ms, .node = node->id, .boot = node->boot,
                                    .boottime_ms = boottime_ms(node), .page_id = outgoing->notification_id, .channel = message->channel, .to = message->to,
                                    .text = message->text};
    model_request(node->sim->model, &request);
}

static struct transfer *transfer_begin(struct node *node, uint64_t transfer_id) {
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL) abort();
    transfer->node = node;
    transfer->process = node->process;
    transfer->id = transfer_id;
    transfer->next = node->transfers;
    transfer->link = &node->transfers;
    if (transfer->next != NULL) transfer->next->link = &transfer->next;
    node->transfers = transfer;
    return transfer;
}

static void port_transfer(void *context, uint64_t transfer_id, const struct outgoing *outgoing) {
    struct node *node = context;
    struct sim *sim = node->sim;
    static struct provider_message message;
    if (outgoing->certificate) { /* there are none in this world */
        struct transfer *transfer = transfer_begin(node, transfer_id);
        transfer->answer = (struct answer){.kind = ANSWER_NOT_SENT, .retry_after_s = -1, .body = "", .error = "no TLS"};
        sim_at(sim, sim->now_ms + 1, transfer_answered_now, transfer);
        return;
    }
    if (outgoing->probe) { /* providers know everybody in this world, and say so to whoever reaches them */
        struct transfer *transfer = transfer_begin(node, transfer_id);
        transfer->answer = (struct answer){.kind = ANSWER_RESPONSE, .status = 200, .retry_after_s = -1, .body = ""};
        if (providers_is_cut_off(sim->providers, (unsigned)node->id))
            transfer->answer = (struct answer){.kind = ANSWER_NOT_SENT, .retry_after_s = -1, .body = "", .error = "the name could not be resolved"};
        sim_at(sim, sim->now_ms + 1, transfer_answered_now, transfer);
        return;
    }
    const char *wrong = providers_read(outgoing, &message);
    if (wrong != NULL) {
        sim_violation(sim, "node %" PRIu64 " sent a request that no provider understands: %s", node->id, wrong);
        return;
    }
    sim_tell(sim, "node %" PRIu64 " sends to %s: %.60s", node->id, message.to, message.text);
    if ((transfer_id & LAST_GASP_TRANSFER) != 0)
        gasp_judge_request(node, transfer_id, &message);
    else
        judge_request(node, outgoing, &message);
    providers_request(sim->providers, (unsigned)node->id, outgoing, transfer_answered, transfer_begin(node, transfer_id), transfer_id);
}

static void port_abort_transfer(void *context, uint64_t transfer_id) {
    struct node *node = context;
    for (struct transfer *transfer = node->transfers; transfer != NULL; transfer = transfer->next)
        if (transfer->id == transfer_id && transfer->process == node->process) transfer->aborted = true;
}

/* ---- the disk's listener */

static void on_disk_wake(void *context) { node_wake(context); }
static bool on_stands_still(void *context) { return ((const struct node *)context)->frozen; }

static void on_prepared(void *context, bool ok, uint64_t index, uint64_t size_bytes) {
    struct node *node = context;
    engine_snapshot_prepared(node->engine, ok, index, size_bytes);
    node_wake(node);
}

static void on_read(void *context, uint64_t peer, uint64_t offset, struct span data, bool ok) {
    struct node *node = context;
    engine_snapshot_read(node->engine, peer, offset, data, ok);
    node_wake(node);
}

static void on_staged(void *context, uint64_t offset, bool ok) {
    struct node *node = context;
    engine_snapshot_staged(node->engine, offset, ok);
    node_wake(node);
}

static void on_verified(void *context, bool ok, const struct state_position *position) {
    struct node *node = context;
    engine_snapshot_verified(node->engine, ok, position);
    node_wake(node);
}

static void on_wrote(void *context, uint64_t index, const struct entry *entry, uint64_t previous_term) {
    struct node *node = context;
    raft_checks_wrote(node->sim->checks, node->id, index, entry, previous_term);
}

static void check_queue(struct sim *sim, uint64_t id, const char *what, size_t waiting, size_t bound) {
    if (waiting > bound) sim_violation(sim, "in node %" PRIu64 " %zu %s wait, %zu at most may", id, waiting, what, bound);
}

void nodes_check_queues(struct sim *sim, bool at_rest) {
    for (unsigned id = 1; id <= sim->nodes_count; id++) {
        if (!sim->nodes[id].up) continue;
        struct engine_queues queues = engine_queues(sim->nodes[id].engine);
        check_queue(sim, id, "commands", queues.commands, at_rest ? AT_REST_MAX : WAITING_COMMANDS_MAX);
        check_queue(sim, id, "bytes of commands", queues.command_bytes, at_rest ? AT_REST_BYTES_MAX : WAITING_BYTES_MAX);
        check_queue(sim, id, "bytes of the log", queues.log_bytes, at_rest ? AT_REST_BYTES_MAX : WAITING_BYTES_MAX);
        check_queue(sim, id, "entries", queues.state_entries, at_rest ? AT_REST_MAX : WAITING_COMMANDS_MAX);
        check_queue(sim, id, "notifications", queues.notifications, at_rest ? AT_REST_MAX : WAITING_COMMANDS_MAX);
        check_queue(sim, id, "requests to providers", queues.requests_under_way, DISPATCHER_TRANSFERS_MAX);
    }
}

/* The model hears of each entry once, and is held against the state now and then. */
static void tell_model(struct node *node, uint64_t index, const struct entry *entry, const struct machine_output *output) {
    struct sim *sim = node->sim;
    if (index <= sim->highest_index) return;
    if (index != sim->highest_index + 1) sim_violation(sim, "entry %" PRIu64 " was applied before any node applied the one before it", index);
    sim->highest_index = index;
    sim_count(sim, "entries", 1);
    if (entry->type != ENTRY_COMMAND) return;
    story_of_entry(sim, index, entry->term, (struct span){entry->data, entry->size_bytes}, output);
    uint64_t applied_index;
    struct machine_store view = rows_view(disk_applied(node->disk, &applied_index));
    struct model_applied applied = {.true_ms = sim->now_ms, .index = index, .term = entry->term,
                                    .data = {entry->data, entry->size_bytes}, .output = output, .names = &view};
    model_entry(sim->model, &applied);
    if (index % COMPARE_EVERY != 0) return;
    nodes_check_queues(sim, false);
    char sentence[512];
    if (!invariants_hold(sim->decoded, &view, sentence, sizeof sentence)) sim_violation(sim, "the state at entry %" PRIu64 ": %s", index, sentence);
    if (!model_compare(sim->model, &view, sentence, sizeof sentence))
        sim_violation(sim, "the state at entry %" PRIu64 " and the model differ: %s", index, sentence);
}

static void on_applied(void *context, uint64_t index, const struct entry *entry, const struct machine_output *output, uint64_t digest) {
    struct node *node = context;
    struct sim *sim = node->sim;
    uint64_t term = engine_status(node->engine).driver.term;
    raft_checks_committed(sim->checks, node->id, index, term, entry);
    raft_checks_applied(sim->checks, node->id, index, digest);
    tell_model(node, index, entry, output);
}

/* ---- HTTP */

struct ask {
    struct sim *sim;
    struct node *node;
    struct http_request *request; /* once it has arrived, until it is answered */
    char *method, *target, *body;
    char *headers[ASK_HEADERS_MAX];
    unsigned headers_count;
    sim_answered done;
    void *context;
    bool answered;       /* done was called: whatever comes later is nobody's */
    unsigned references; /* of the way that it goes, and of its client's patience */
    struct ask *next, **link;
};

static void ask_release(struct ask *ask) {
    if (--ask->references > 0) return;
    free(ask->method);
    free(ask->target);
    free(ask->body);
    for (unsigned i = 0; i < ask->headers_count; i++) free(ask->headers[i]);
    free(ask);
}

static void ask_unlink(struct ask *ask) {
    if (ask->link == NULL) return;
    *ask->link = ask->next;
    if (ask->next != NULL) ask->next->link = ask->link;
    ask->link = NULL;
}

static void ask_answer(struct ask *ask, const struct sim_answer *answer) {
    if (ask->answered) return;
    ask->answered = true;
    ask->done(ask->context, answer);
}

static const struct sim_answer no_answer = {.status = 0, .body = "", .headers = (const char *const[]){NULL}};

static const char *ask_header(const struct http_request *request, const char *name) {
    const struct ask *ask = request->server_state;
    size_t length = strlen(name);
    for (unsigned i = 0; i < ask->headers_count; i++)
        if (strncasecmp(ask->headers[i], name, length) == 0 && ask->headers[i][length] == ':') return ask->headers[i] + length + 2;
    return NULL;
}

struct parcel { /* an answer on its way back */
    struct ask *ask;
    unsigned status;
    char *body;
    char *headers[HTTP_RESPONSE_HEADERS_MAX + 1];
};

static void parcel_arrived(void *context) {
    struct parcel *parcel = context;
    struct sim_answer answer = {.status = parcel->status, .body = parcel->body, .body_size_bytes = strlen(parcel->body),
                                .headers = (const char *const *)parcel->headers};
    ask_answer(parcel->ask, &answer);
    ask_release(parcel->ask);
    for (char **header = parcel->headers; *header != NULL; header++) free(*header);
    free(parcel->body);
    free(parcel);
}

static void on_respond(void *context, struct http_request *request) {
    struct ask *ask = request->server_state;
    struct sim *sim = context;
    ask_unlink(ask);
    struct parcel *parcel = calloc(1, sizeof *parcel);
    if (parcel == NULL) abort();
    parcel->ask = ask;
    parcel->status = request->status;
    parcel->body = strndup(request->response_body != NULL ? request->response_body : "", request->response_body_size_bytes);
    if (parcel->body == NULL) abort();
    for (unsigned i = 0; i < request->response_headers_count; i++) {
        const struct http_parameter *header = &request->response_headers[i];
        size_t size_bytes = strlen(header->name) + strlen(header->value) + 3;
        parcel->headers[i] = malloc(size_bytes);
        if (parcel->headers[i] == NULL) abort();
        snprintf(parcel->headers[i], size_bytes, "%s: %s", header->name, header->value);
    }
    sim_at(sim, sim->now_ms + sim_between(sim, 1, 10), parcel_arrived, parcel);
}

static void ask_patience_ends(void *context) {
    struct ask *ask = context;
    if (!ask->answered) sim_count(ask->sim, "requests given up by clients", 1);
    ask_answer(ask, &no_answer);
    ask_release(ask);
}

static void ask_refused(void *context) {
    struct ask *ask = context;
    ask_answer(ask, &no_answer);
    ask_release(ask);
}

static void ask_arrived(void *context) {
    struct ask *ask = context;
    struct node *node = ask->node;
    struct sim *sim = ask->sim;
    if (node->up && node->frozen && !ask->answered) { /* it waits in the socket */
        sim_at(sim, sim->now_ms + FROZEN_STEP_MS, ask_arrived, ask);
        return;
    }
    if (!node->up || ask->answered) {
        sim_at(sim, sim->now_ms + sim_between(sim, 1, 10), ask_refused, ask);
        return;
    }
    struct http_sink sink = {on_respond, sim};
    struct span body = {(const uint8_t *)ask->body, ask->body != NULL ? strlen(ask->body) : 0};
    struct http_request *request = http_request_new(ask->method, ask->target, body, sink);
    assert(request != NULL);
    request->header = ask_header;
    request->server_state = ask;
    ask->request = request;
    ask->next = node->asks;
    ask->link = &node->asks;
    if (ask->next != NULL) ask->next->link = &ask->next;
    node->asks = ask;
    api_handle(&node->api, request);
    node_wake(node);
}

static void add_header(struct ask *ask, char *header) {
    assert(ask->headers_count < ASK_HEADERS_MAX);
    ask->headers[ask->headers_count++] = header;
}

void sim_ask_with(struct sim *sim, uint64_t id, const char *method, const char *target, const char *const *headers, const char *body,
                  sim_answered done, void *context) {
    assert(id >= 1 && id <= sim->nodes_count);
    struct ask *ask = calloc(1, sizeof *ask);
    if (ask == NULL) abort();
    ask->sim = sim;
    ask->node = &sim->nodes[id];
    ask->method = copy_of(method);
    ask->target = copy_of(target);
    ask->body = body != NULL ? copy_of(body) : NULL;
    char token[128];
    snprintf(token, sizeof token, "Authorization: Token token=%s", sim->token);
    add_header(ask, copy_of(token));
    for (; headers != NULL && *headers != NULL; headers++) add_header(ask, copy_of(*headers));
    ask->done = done;
    ask->context = context;
    sim_count(sim, "requests", 1);
    ask->references = 2;
    sim_at(sim, sim->now_ms + ANSWER_PATIENCE_MS, ask_patience_ends, ask);
    sim_at(sim, sim->now_ms + sim_between(sim, 1, 10), ask_arrived, ask);
}

/* What was asked of a process that is gone: its client hears nothing more. The requests go with the process's memory. */
static struct http_request *forget_asks(struct node *node) {
    struct http_request *forgotten = NULL;
    while (node->asks != NULL) {
        struct ask *ask = node->asks;
        ask_unlink(ask);
        ask->request->server_state = forgotten;
        forgotten = ask->request;
        sim_at(node->sim, node->sim->now_ms + sim_between(node->sim, 1, 10), ask_refused, ask);
    }
    return forgotten;
}

static void abandon(struct http_request *request) {
    while (request != NULL) {
        struct http_request *next = request->server_state;
        api_abandon(request);
        request = next;
    }
}

/* ---- processes */

static struct disk *disk_of(void *context) { return ((struct node *)context)->disk; }

void node_start(struct node *node) {
    struct sim *sim = node->sim;
    if (node->up || node->off || node->removed) return;
    node->process++;
    node->boot++;
    struct disk_listener listener = {.context = node, .wake = on_disk_wake, .stands_still = on_stands_still, .prepared = on_prepared, .read = on_read,
                                     .staged = on_staged, .verified = on_verified, .wrote = on_wrote, .applied = on_applied};
    /* Nobody starts an old program any more once later rules are in force. */
    if (node->next_version < sim->version_in_force) node->next_version = sim->version_in_force;
    node->machine_version = node->next_version;
    disk_set_machine_version(node->disk, node->machine_version);
    disk_open(node->disk, &listener);
    struct engine_ports ports = {.context = node, .now_ms = port_now_ms, .boottime_ms = port_boottime_ms,
                                 .wall_ms = port_wall_ms, .random = port_random, .send = port_send, .connected = port_connected,
                                 .set_peers = port_set_peers, .joined = port_joined, .set_removed = port_set_removed,
                                 .transfer = port_transfer, .abort_transfer = port_abort_transfer, .claim = port_claim,
                                 .set_recovering = port_set_recovering, .keep_first_token = port_keep_first_token,
                                 .keep_last_gasp = port_keep_last_gasp, .disk = port_disk};
    disk_ports(&ports, disk_of);
    struct engine_options options = {.config = &node->config, .boot = node->boot, .recovering_index = node->recovering_index,
                                     .bootstrap = !node->claimed, .join = node->joining,
                                     .machine_version = node->machine_version, .last_gasp = {node->last_gasp, node->last_gasp_size_bytes}};
    char error[512];
    end_freeze(node);
    node->knows_time = false;
    node->engine = engine_new(&options, &ports, error, sizeof error);
    if (node->engine == NULL) {
        sim_violation(sim, "node %" PRIu64 " does not start: %s", node->id, error);
        return;
    }
    node->api = (struct api){.ports = engine_api_ports(node->engine), .public_url = "http://night.example", .members_anywhere = true};
    node->up = true;
    node->turn_ms = NEVER;
    node_wake(node);
    sim_tell(sim, "node %" PRIu64 " starts, for the %" PRIu64 ". time", node->id, node->boot);
}

void node_stop(struct node *node, enum disk_end end) {
    static const char *const ways[] = {[DISK_STOPPED] = "is stopped", [DISK_KILLED] = "is killed", [DISK_POWER_CUT] = "loses power"};
    if (!node->up) return;
    sim_tell(node->sim, "node %" PRIu64 " %s", node->id, ways[end]);
    node->up = false;
    struct http_request *forgotten = forget_asks(node);
    network_node_stopped(node->sim, node->id);
    disk_close(node->disk, end);
    engine_free(node->engine);
    abandon(forgotten);
    api_close(&node->api);
    node->engine = NULL;
    if (end == DISK_POWER_CUT) { /* its clocks begin anew */
        clock_settle(node);
        node->clock.monotonic_ms = node->clock.boottime_ms = sim_between(node->sim, 1000, 100000);
    }
}

void node_switch_off(struct node *node) {
    node->off = true;
    node_stop(node, DISK_POWER_CUT);
}

static void guardian(struct config *config, unsigned number, const char *name, const char *sms, const char *topic) {
    struct config_guardian *it = &config->guardians[number];
    it->name = (char *)(uintptr_t)name;
    it->contacts_count = 2;
    it->contacts[0] = (struct config_contact){TOCSIN__CHANNEL__CHANNEL_SMS, (char *)(uintptr_t)sms};
    it->contacts[1] = (struct config_contact){TOCSIN__CHANNEL__CHANNEL_PUSH, (char *)(uintptr_t)topic};
    config->guardians_count = number + 1;
}

static void configure(struct node *node, unsigned members) {
    static char addresses[SIM_NODES_MAX + 1][24];
    struct config *config = &node->config;
    const struct profile *profile = node->sim->profile;
    config->id = node->id;
    config->data_dir = config->log_level = (char *)(uintptr_t)"";
    config->http_listen = config->public_url = (char *)(uintptr_t)"http://night.example";
    config->cluster_name = (char *)(uintptr_t)CLUSTER_NAME;
    for (unsigned i = 0; i <= SIM_NODES_MAX; i++) snprintf(addresses[i], sizeof addresses[0], "node-%u:7000", i);
    for (unsigned i = 0; i < members; i++) config->members[i] = (struct config_member){i + 1, addresses[i + 1], NULL};
    config->members_count = members;
    config->peer_listen = addresses[node->id];
    guardian(config, 0, "Grace", "+15550900", "guardian-grace");
    guardian(config, 1, "Gordon", "+15550901", "guardian-gordon");
    config->notify.twilio.base_url = "https://api.twilio.com";
    config->notify.twilio.account_sid = "AC00000000000000000000000000000001";
    config->notify.twilio.auth_token = "secret";
    config->notify.twilio.from = "+15550000";
    config->notify.twilio.validity_s = 600;
    config->notify.ntfy.base_url = "https://ntfy.sh";
    config->notify.smtp.url = "smtps://mail.example:465";
    config->notify.smtp.from = "tocsin@night.example";
    config->notify.webhook.secret = "secret";
    config->notify.cluster_name = CLUSTER_NAME;
    config->notify.public_url = "http://night.example";
    config->election_timeout_ms = profile->election_timeout_ms;
    config->heartbeat_ms = profile->heartbeat_ms;
    config->minute_ms = profile->minute_ms;
    config->last_gasp_after_ms = profile->last_gasp_after_ms;
    config->request_wait_ms = profile->request_wait_ms;
    config->log_keep_mib = 0; /* as little as can be: snapshots are to be needed */
}

static struct node *node_open(struct sim *sim, uint64_t id) {
    struct node *node = &sim->nodes[id];
    node->sim = sim;
    node->id = id;
    node->disk = disk_new(sim);
    node->next_version = sim->newest_version;
    node->clock = (struct node_clock){.since_ms = sim->now_ms, .monotonic_ms = sim_between(sim, 1000, 1000000),
                                      .boottime_ms = sim_between(sim, 1000, 1000000),
                                      .wall_offset_ms = (int64_t)sim_between(sim, 0, 100) - 50,
                                      .drift_ppm = (int64_t)sim_between(sim, 0, 100) - 50};
    configure(node, sim->first_nodes_count);
    return node;
}

void nodes_open(struct sim *sim) {
    sim->first_nodes_count = sim->nodes_count;
    sim->newest_version = sim->version_in_force = MACHINE_VERSION;
    for (unsigned id = 1; id <= sim->nodes_count; id++) node_open(sim, id)->member = true;
    for (unsigned id = 1; id <= sim->nodes_count; id++) node_start(&sim->nodes[id]);
}

void node_join(struct sim *sim, uint64_t id) {
    assert(id == sim->nodes_count + 1 && id <= SIM_NODES_MAX);
    sim->nodes_count++;
    struct node *node = node_open(sim, id);
    node->claimed = node->joining = true;
    node_start(node);
}

void nodes_close(struct sim *sim) {
    gasp_judge_end(sim);
    for (unsigned id = 1; id <= sim->nodes_count; id++) {
        node_stop(&sim->nodes[id], DISK_KILLED);
        disk_free(sim->nodes[id].disk);
        free(sim->nodes[id].last_gasp);
    }
}

/* ---- from outside */

unsigned sim_nodes_count(const struct sim *sim) { return sim->nodes_count; }
bool sim_node_up(const struct sim *sim, uint64_t id) { return sim->nodes[id].up && sim->nodes[id].member; }

uint64_t nodes_leader(struct sim *sim) {
    uint64_t leader = 0, term = 0;
    for (unsigned id = 1; id <= sim->nodes_count; id++) {
        if (!sim->nodes[id].up) continue;
        struct engine_status status = engine_status(sim->nodes[id].engine);
        if (status.driver.role != DRIVER_LEADER || status.driver.term <= term || status.failure != NULL) continue;
        leader = id;
        term = status.driver.term;
    }
    return leader;
}
