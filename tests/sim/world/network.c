/* Connections between nodes: in order within a session, and what is under way when one breaks is lost. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world/sim_internal.h"

#define DELAY_MS_MAX 5u
#define DIAL_LEAST_MS 50u
#define DIAL_MOST_MS 1000u
/* A connection on which nothing arrives is given up after so long. */
#define SILENCE_LEAST_MS 3000u
#define SILENCE_MOST_MS 20000u

struct message {
    struct sim *sim;
    uint64_t from, to, session;
    enum frame_type type;
    bool tells_time; /* a clock's frame of a node that knows cluster time */
    struct message *next;
    size_t size_bytes;
    uint8_t data[];
};

static struct link *link_of(struct sim *sim, uint64_t from, uint64_t to) { return &sim->links[from][to]; }

static void deliver(void *context);

static void send_off(struct sim *sim, struct link *link, struct message *message) {
    uint64_t arrival_ms = sim->now_ms + sim_random(sim, DELAY_MS_MAX + 1) + link->slow_ms;
    if (arrival_ms < link->last_arrival_ms) arrival_ms = link->last_arrival_ms;
    link->last_arrival_ms = arrival_ms;
    sim_at(sim, arrival_ms, deliver, message);
}

/* What has come through waits for a receiver that stands still, and for a way that is open again. */
static void hand_over(struct sim *sim, uint64_t from, uint64_t to) {
    struct link *link = link_of(sim, from, to);
    struct node *node = &sim->nodes[to];
    while (link->waiting != NULL && !link->cut && node->up && !node->frozen) {
        struct message *message = link->waiting;
        link->waiting = message->next;
        if (link->waiting == NULL) link->waiting_end = &link->waiting;
        link->queued_bytes -= message->size_bytes;
        node->knows_time |= message->tells_time;
        engine_frame(node->engine, from, message->type, (struct span){message->data, message->size_bytes});
        free(message);
        node_wake(node);
    }
}

static void deliver(void *context) {
    struct message *message = context;
    struct sim *sim = message->sim;
    struct link *link = link_of(sim, message->from, message->to);
    if (!link->open || link->session != message->session) {
        free(message);
        return;
    }
    message->next = NULL;
    *link->waiting_end = message;
    link->waiting_end = &message->next;
    hand_over(sim, message->from, message->to);
}

void network_node_thawed(struct sim *sim, uint64_t id) {
    for (uint64_t peer = 1; peer <= sim->nodes_count; peer++)
        if (peer != id) hand_over(sim, peer, id);
}

bool network_send(struct sim *sim, uint64_t from, uint64_t to, enum frame_type type, struct span head, struct span tail) {
    if (to == 0 || to > sim->nodes_count) return false;
    struct link *link = link_of(sim, from, to);
    size_t size_bytes = head.size_bytes + tail.size_bytes;
    if (!link->open || link->queued_bytes + size_bytes > TRANSPORT_QUEUE_SIZE_BYTES_MAX) return false;
    assert(size_bytes <= TRANSPORT_FRAME_SIZE_BYTES_MAX);
    struct message *message = malloc(sizeof *message + size_bytes);
    if (message == NULL) abort();
    *message = (struct message){.sim = sim, .from = from, .to = to, .session = link->session, .type = type, .size_bytes = size_bytes,
                                .tells_time = type == FRAME_CLOCK && sim->nodes[from].knows_time};
    if (head.size_bytes > 0) memcpy(message->data, head.data, head.size_bytes);
    if (tail.size_bytes > 0) memcpy(message->data + head.size_bytes, tail.data, tail.size_bytes);
    link->queued_bytes += size_bytes;
    send_off(sim, link, message);
    return true;
}

bool network_connected(const struct sim *sim, uint64_t from, uint64_t to) { return sim->links[from][to].open; }

/* ---- sessions */

struct dial {
    struct sim *sim;
    uint64_t from, to, process;
};

static void dial_later(struct sim *sim, uint64_t from, uint64_t to);

static void dial(void *context) {
    struct dial dial = *(struct dial *)context;
    free(context);
    struct sim *sim = dial.sim;
    struct node *node = &sim->nodes[dial.from];
    struct link *link = link_of(sim, dial.from, dial.to);
    if (!node->up || node->process != dial.process || link->open || !link->wanted) return;
    bool reaches = sim->nodes[dial.to].up && !link->cut && !link_of(sim, dial.to, dial.from)->cut && !node->frozen;
    if (!reaches) {
        dial_later(sim, dial.from, dial.to);
        return;
    }
    link->open = true;
    link->session++;
    link->opened_ms = sim->now_ms;
    link->last_arrival_ms = 0;
    link->queued_bytes = 0;
    engine_peer_changed(node->engine, dial.to);
    node_wake(node);
}

static void dial_later(struct sim *sim, uint64_t from, uint64_t to) {
    struct dial *later = malloc(sizeof *later);
    if (later == NULL) abort();
    *later = (struct dial){sim, from, to, sim->nodes[from].process};
    sim_at(sim, sim->now_ms + sim_between(sim, DIAL_LEAST_MS, DIAL_MOST_MS), dial, later);
}

static void drop_waiting(struct link *link) {
    while (link->waiting != NULL) {
        struct message *message = link->waiting;
        link->waiting = message->next;
        free(message);
    }
    link->waiting_end = &link->waiting;
}

void network_break(struct sim *sim, uint64_t from, uint64_t to) {
    struct link *link = link_of(sim, from, to);
    if (!link->open) return;
    link->open = false;
    link->session++;
    drop_waiting(link);
    sim_count(sim, "connections broken", 1);
    struct node *node = &sim->nodes[from];
    if (!node->up) return;
    engine_peer_changed(node->engine, to);
    node_wake(node);
    dial_later(sim, from, to);
}

struct silence {
    struct sim *sim;
    uint64_t from, to, session;
};

static void silence_ends(void *context) {
    struct silence silence = *(struct silence *)context;
    free(context);
    struct link *link = link_of(silence.sim, silence.from, silence.to);
    if (link->open && link->cut && link->session == silence.session) network_break(silence.sim, silence.from, silence.to);
}

void network_cut(struct sim *sim, uint64_t from, uint64_t to, bool cut) {
    struct link *link = link_of(sim, from, to);
    if (link->cut == cut) return;
    link->cut = cut;
    if (cut) {
        struct silence *silence = malloc(sizeof *silence);
        if (silence == NULL) abort();
        *silence = (struct silence){sim, from, to, link->session};
        sim_at(sim, sim->now_ms + sim_between(sim, SILENCE_LEAST_MS, SILENCE_MOST_MS), silence_ends, silence);
        return;
    }
    hand_over(sim, from, to);
}

void network_slow(struct sim *sim, uint64_t from, uint64_t to, uint64_t slow_ms) { link_of(sim, from, to)->slow_ms = slow_ms; }

/* ---- nodes come and go */

void network_open(struct sim *sim) {
    for (unsigned from = 0; from <= SIM_NODES_MAX; from++)
        for (unsigned to = 0; to <= SIM_NODES_MAX; to++) sim->links[from][to].waiting_end = &sim->links[from][to].waiting;
}

void network_set_peers(struct sim *sim, uint64_t from, const uint64_t *ids, size_t count) {
    for (uint64_t to = 1; to <= SIM_NODES_MAX; to++) {
        struct link *link = link_of(sim, from, to);
        bool wanted = false;
        for (size_t i = 0; i < count; i++) wanted = wanted || (ids[i] == to && to != from);
        if (wanted == link->wanted) continue;
        link->wanted = wanted;
        if (wanted) dial_later(sim, from, to);
        else network_break(sim, from, to);
    }
}

void network_node_stopped(struct sim *sim, uint64_t id) {
    for (uint64_t peer = 1; peer <= sim->nodes_count; peer++) {
        if (peer == id) continue;
        network_break(sim, id, peer);
        network_break(sim, peer, id);
        link_of(sim, id, peer)->wanted = false;
    }
}
