/* The links of raft_harness.h, and events in their order. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/codec.h"
#include "tests/support/raft_harness_internal.h"

#define SPIN_TICKS_MAX 1000u
#define SNAPSHOT_TRANSFER_MS_MAX 1000u

struct harness_message {
    uint64_t at_ms, sequence, session;
    uint64_t from, to;
    bool is_snapshot;
    uint64_t snapshot_term;
    struct harness_state snapshot;
    size_t size_bytes;
    uint8_t bytes[]; /* codec.h's form */
};

/* ---- a heap by time, then by the order of sending */

static bool before(const struct harness_message *a, const struct harness_message *b)
{
    return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->sequence < b->sequence);
}

static void swap(struct harness_message **a, struct harness_message **b)
{
    struct harness_message *kept = *a;
    *a = *b;
    *b = kept;
}

static void push(struct harness *harness, struct harness_message *message)
{
    if (harness->heap_count == harness->heap_capacity) {
        harness->heap_capacity = harness->heap_capacity > 0 ? 2 * harness->heap_capacity : 256;
        harness->heap = reallocarray(harness->heap, harness->heap_capacity, sizeof harness->heap[0]);
        assert(harness->heap != NULL);
    }
    size_t at = harness->heap_count++;
    harness->heap[at] = message;
    while (at > 0 && before(harness->heap[at], harness->heap[(at - 1) / 2])) {
        swap(&harness->heap[at], &harness->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static struct harness_message *pop(struct harness *harness)
{
    struct harness_message **heap = harness->heap;
    struct harness_message *first = heap[0];
    heap[0] = heap[--harness->heap_count];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < harness->heap_count; child++) {
            least = before(heap[child], heap[least]) ? child : least;
        }
        if (least == at) {
            return first;
        }
        swap(&heap[at], &heap[least]);
        at = least;
    }
}

void harness_network_close(struct harness *harness)
{
    while (harness->heap_count > 0) {
        free(pop(harness));
    }
    free(harness->heap);
}

/* ---- sending */

/* What a message says must be durable where it comes from. */
static void check_durable(struct harness_node *node, const struct raft_message *message)
{
    uint64_t term = 0;
    uint64_t log_last = node->disk.log.last, state_index = node->disk.state.index;
    bool durable = true;
    switch (message->type) {
    case RAFT_REQUEST_VOTE:
        term = message->request_vote.term - (message->request_vote.pre_vote ? 1 : 0);
        durable = message->request_vote.pre_vote || node->disk.term > term || node->disk.voted_for == node->id;
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        if (message->request_vote_result.vote_granted && !message->request_vote_result.pre_vote) {
            term = message->request_vote_result.term;
            durable = node->disk.term > term || node->disk.voted_for != 0;
        }
        break;
    case RAFT_APPEND_ENTRIES:
        term = message->append_entries.term;
        break;
    case RAFT_APPEND_ENTRIES_RESULT:
        term = message->append_entries_result.term;
        durable = message->append_entries_result.rejected > 0 ||
                  message->append_entries_result.last_log_index <= (log_last > state_index ? log_last : state_index);
        break;
    default:
        break;
    }
    if (term > node->disk.term || !durable) {
        raft_checks_report(node->harness->checks, "node %llu says more (message %d of term %llu) than its disk holds",
                           (unsigned long long)node->id, (int)message->type, (unsigned long long)term);
    }
}

static struct harness_message *new_message(struct harness_node *node, uint64_t peer, size_t size_bytes)
{
    struct harness *harness = node->harness;
    struct harness_message *message = harness_zeroed(1, sizeof *message + size_bytes);
    message->sequence = ++harness->messages_sent;
    message->session = harness->session[node->id][peer];
    message->from = node->id;
    message->to = peer;
    message->size_bytes = size_bytes;
    return message;
}

void harness_network_send(struct harness_node *node, uint64_t peer, const struct raft_message *message,
                          struct entry *const *entries)
{
    struct harness *harness = node->harness;
    struct raft_message edited = *message;
    check_durable(node, message);
    if (peer > harness->nodes_count ||
        (harness->on_send != NULL &&
         !harness->on_send(harness->on_send_context, node->id, peer, &edited, entries))) {
        return;
    }
    if (harness->cut[node->id][peer] || (!harness->manual && harness_chance(harness, harness->loss_permille))) {
        return;
    }
    struct harness_message *sent = new_message(node, peer, codec_size_bytes(&edited, entries));
    codec_encode(&edited, entries, sent->bytes);
    uint64_t *link_last_ms = &harness->link_last_ms[node->id][peer];
    sent->at_ms = harness->now_ms + (harness->manual ? 0 : 1 + harness_random(harness, harness->delay_ms_max));
    sent->at_ms = sent->at_ms < *link_last_ms ? *link_last_ms : sent->at_ms;
    *link_last_ms = sent->at_ms;
    push(harness, sent);
}

void harness_network_send_snapshot(struct harness_node *node, uint64_t peer, uint64_t term)
{
    struct harness *harness = node->harness;
    uint64_t *until_ms = &harness->snapshot_until_ms[node->id][peer];
    if (peer > harness->nodes_count || *until_ms > harness->now_ms || harness->cut[node->id][peer]) {
        return;
    }
    *until_ms = harness->now_ms + SNAPSHOT_TRANSFER_MS_MAX;
    struct harness_message *sent = new_message(node, peer, 0);
    sent->is_snapshot = true;
    sent->snapshot_term = term;
    sent->snapshot = node->state;
    sent->at_ms = harness->now_ms + (harness->manual ? 0 : 20 + harness_random(harness, 400));
    push(harness, sent);
}

void harness_cut(struct harness *harness, uint64_t from, uint64_t to, bool cut)
{
    harness->session[from][to] += cut && !harness->cut[from][to];
    harness->cut[from][to] = cut;
}

void harness_heal(struct harness *harness)
{
    memset(harness->cut, 0, sizeof harness->cut);
    harness->loss_permille = 0;
    harness->delay_ms_max = 20;
}

/* ---- arriving */

static void stage(struct harness_node *node, const struct harness_message *message)
{
    if (node->installing) {
        return; /* the staged file is in use */
    }
    node->staged = message->snapshot;
    node->has_staged = true;
    struct driver_position position = harness_position(&message->snapshot);
    driver_receive_snapshot(node->driver, message->from, message->snapshot_term, &position);
}

static void arrive(struct harness *harness, struct harness_message *message)
{
    struct harness_node *node = harness_node(harness, message->to);
    bool awake = node->up && node->frozen_until_ms <= harness->now_ms;
    if (awake && message->session == harness->session[message->from][message->to]) {
        struct codec_message decoded;
        if (message->is_snapshot) {
            stage(node, message);
        } else if (codec_decode((struct span){message->bytes, message->size_bytes}, &decoded)) {
            driver_receive(node->driver, message->from, &decoded.message, decoded.entries);
            codec_message_close(&decoded);
        } else {
            raft_checks_report(harness->checks, "a message does not survive its own codec");
        }
    }
    if (message->is_snapshot) {
        harness->snapshot_until_ms[message->from][message->to] = 0;
    }
    free(message);
}

void harness_inject(struct harness *harness, uint64_t from, uint64_t to, const struct raft_message *message,
                    struct entry *const *entries)
{
    driver_receive(harness_node(harness, to)->driver, from, message, entries);
}

/* ---- by itself */

static void tick(struct harness_node *node)
{
    struct harness *harness = node->harness;
    node->ticks_in_place = node->last_tick_ms == harness->now_ms ? node->ticks_in_place + 1 : 0;
    node->last_tick_ms = harness->now_ms;
    if (node->ticks_in_place > SPIN_TICKS_MAX) {
        raft_checks_report(harness->checks, "node %llu ticks without end", (unsigned long long)node->id);
    }
    driver_tick(node->driver);
}

enum event { EVENT_NONE, EVENT_MESSAGE, EVENT_WRITE, EVENT_INSTALL, EVENT_TICK, EVENT_ACT };

struct next_event {
    enum event event;
    uint64_t at_ms;
    struct harness_node *node;
};

static void consider(struct next_event *next, uint64_t at_ms, enum event event, struct harness_node *node)
{
    if (node != NULL && at_ms < node->frozen_until_ms) {
        at_ms = node->frozen_until_ms;
    }
    if (at_ms < next->at_ms) {
        *next = (struct next_event){event, at_ms, node};
    }
}

static struct next_event find_next(struct harness *harness, uint64_t end_ms, uint64_t act_ms)
{
    struct next_event next = {EVENT_NONE, end_ms, NULL};
    if (harness->heap_count > 0) {
        consider(&next, harness->heap[0]->at_ms, EVENT_MESSAGE, NULL);
    }
    for (uint64_t id = 1; id <= harness->nodes_count; id++) {
        struct harness_node *node = harness_node(harness, id);
        if (node->up) {
            consider(&next, harness_write_due_ms(node), EVENT_WRITE, node);
            consider(&next, node->installing ? node->install_done_ms : UINT64_MAX, EVENT_INSTALL, node);
            consider(&next, driver_next_tick_ms(node->driver), EVENT_TICK, node);
        }
    }
    consider(&next, act_ms, EVENT_ACT, NULL);
    return next;
}

void harness_run(struct harness *harness, uint64_t end_ms, uint64_t period_ms,
                 void (*act)(struct harness *harness, void *context), void *context)
{
    uint64_t act_ms = act != NULL ? harness->now_ms + harness_random(harness, period_ms) : UINT64_MAX;
    while (raft_checks_violation(harness->checks) == NULL) {
        struct next_event next = find_next(harness, end_ms, act_ms);
        harness->now_ms = next.at_ms > harness->now_ms ? next.at_ms : harness->now_ms;
        switch (next.event) {
        case EVENT_NONE:
            return;
        case EVENT_MESSAGE:
            arrive(harness, pop(harness));
            break;
        case EVENT_WRITE:
            harness_write_complete(next.node);
            break;
        case EVENT_INSTALL:
            harness_install_complete(next.node);
            break;
        case EVENT_TICK:
            tick(next.node);
            break;
        case EVENT_ACT:
            act_ms = harness->now_ms + 1 + harness_random(harness, 2 * period_ms);
            act(harness, context);
            break;
        }
    }
}

/* ---- by hand */

void harness_disks(struct harness *harness)
{
    for (uint64_t id = 1; id <= harness->nodes_count; id++) {
        struct harness_node *node = harness_node(harness, id);
        while (node->up && !node->disk_held && (node->writes != NULL || node->installing)) {
            if (node->writes != NULL) {
                harness_write_complete(node);
            } else {
                harness_install_complete(node);
            }
        }
    }
}

void harness_tick(struct harness *harness, uint64_t id)
{
    struct harness_node *node = harness_node(harness, id);
    uint64_t due_ms = driver_next_tick_ms(node->driver);
    assert(due_ms != UINT64_MAX);
    harness->now_ms = due_ms > harness->now_ms ? due_ms : harness->now_ms;
    driver_tick(node->driver);
    harness_disks(harness);
}

static bool link_named(const char *links, uint64_t a, uint64_t b)
{
    char one_way[8], other_way[8];
    (void)snprintf(one_way, sizeof one_way, "%u-%u", (unsigned)a, (unsigned)b);
    (void)snprintf(other_way, sizeof other_way, "%u-%u", (unsigned)b, (unsigned)a);
    return links == NULL || strstr(links, one_way) != NULL || strstr(links, other_way) != NULL;
}

void harness_pump(struct harness *harness, const char *links, unsigned rounds)
{
    harness_disks(harness);
    for (unsigned round = 0; round < rounds && harness->heap_count > 0; round++) {
        uint64_t last = harness->messages_sent;
        while (harness->heap_count > 0 && harness->heap[0]->sequence <= last) {
            struct harness_message *message = pop(harness);
            if (link_named(links, message->from, message->to)) {
                arrive(harness, message);
                harness_disks(harness);
            } else {
                free(message);
            }
        }
    }
    while (harness->heap_count > 0) {
        free(pop(harness));
    }
    memset(harness->snapshot_until_ms, 0, sizeof harness->snapshot_until_ms);
}

void harness_elect(struct harness *harness, uint64_t id, const char *links)
{
    for (unsigned attempt = 0; attempt < 8; attempt++) {
        if (harness_status(harness, id).role == DRIVER_LEADER) {
            return;
        }
        harness_tick(harness, id);
        harness_pump(harness, links, 4);
    }
    raft_checks_report(harness->checks, "node %llu is not elected", (unsigned long long)id);
}

void harness_beat(struct harness *harness, uint64_t leader, const char *links, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        harness->now_ms += HARNESS_HEARTBEAT_MS;
        driver_tick(harness_node(harness, leader)->driver);
        harness_pump(harness, links, 8);
    }
}
