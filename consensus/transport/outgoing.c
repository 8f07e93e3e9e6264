/*
 * Outgoing connections: one per peer.
 *
 *              ┌────────────────────────── back-off ──────────────────────────┐
 *              v                                                              │
 *     WAITING ───> RESOLVING ───> CONNECTING (each address in turn) ───> CONNECTED ───> lost
 *                      │               │                                              (or removed, from any state)
 *                      └── failed ─────┴──> WAITING
 *
 * Frames collect in `filling`; a flush swaps it with `sending`, which goes to the connection in one write. A connection
 * that was lost takes its queue with it: raft and the proposer send again.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/transport/transport_internal.h"

enum outgoing_state {
    OUTGOING_UNDIALLABLE, /* the address cannot be read */
    OUTGOING_WAITING,
    OUTGOING_RESOLVING,
    OUTGOING_CONNECTING,
    OUTGOING_CONNECTED,
    OUTGOING_REMOVED /* no longer a peer; waits for libuv to let go */
};

struct outgoing {
    struct outgoing *next;
    struct transport *transport;
    uint64_t peer;
    char *address_text;
    struct connection_address address;

    enum outgoing_state state;
    bool removed_while_connected; /* the handlers have not been told yet */
    unsigned holds; /* of libuv: timer, lookup, connections */
    uv_timer_t timer;
    uv_getaddrinfo_t lookup;
    struct addrinfo *found, *found_next;
    struct connection *connection;

    unsigned failures; /* in a row */
    uint64_t connected_at_ms;
    uint64_t sessions;
    char last_error[TRANSPORT_REASON_SIZE_BYTES];

    struct byte_queue filling, sending;
    bool writing; /* `sending` belongs to the connection */
};

static void dial(struct outgoing *outgoing);
static void try_next_address(struct outgoing *outgoing);

static void release(struct outgoing *outgoing)
{
    assert(outgoing->holds > 0);
    if (--outgoing->holds > 0)
        return;
    assert(outgoing->state == OUTGOING_REMOVED && !outgoing->connection);
    struct transport *transport = outgoing->transport;
    byte_queue_free(&outgoing->filling);
    byte_queue_free(&outgoing->sending);
    free(outgoing->address_text);
    free(outgoing);
    transport_release(transport);
}

void outgoing_note_error(struct outgoing *outgoing, const char *reason)
{
    snprintf(outgoing->last_error, sizeof outgoing->last_error, "%s", reason);
}

static void note_failure(struct outgoing *outgoing, const char *what, int status)
{
    snprintf(outgoing->last_error, sizeof outgoing->last_error, "%s %s: %s", what, outgoing->address_text,
             uv_strerror(status));
}

/* Up to the whole of it, at least half: peers that lost each other at the same moment do not dial in step. */
static uint64_t back_off_ms(struct outgoing *outgoing)
{
    uint64_t bound_ms = TRANSPORT_BACK_OFF_MS_MIN;
    for (unsigned i = 0; i < outgoing->failures && bound_ms < TRANSPORT_BACK_OFF_MS_MAX; i++)
        bound_ms *= 2;
    if (bound_ms > TRANSPORT_BACK_OFF_MS_MAX)
        bound_ms = TRANSPORT_BACK_OFF_MS_MAX;
    uint64_t *random = &outgoing->transport->random;
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return bound_ms / 2 + *random % (bound_ms / 2 + 1);
}

static void on_timer(uv_timer_t *timer)
{
    struct outgoing *outgoing = timer->data;
    if (outgoing->state == OUTGOING_WAITING) {
        dial(outgoing);
        return;
    }
    assert(outgoing->state == OUTGOING_CONNECTING);
    note_failure(outgoing, "cannot connect to", UV_ETIMEDOUT);
    try_next_address(outgoing);
}

static void start_timer(struct outgoing *outgoing, uint64_t delay_ms)
{
    int status = uv_timer_start(&outgoing->timer, on_timer, delay_ms, 0);
    assert(status == 0); /* fails for a closing timer only */
    (void)status;
}

static void drop_connection(struct outgoing *outgoing)
{
    if (outgoing->connection) {
        connection_close(outgoing->connection);
        outgoing->connection = NULL;
    }
    outgoing->writing = false;
    byte_queue_clear(&outgoing->filling);
    byte_queue_clear(&outgoing->sending);
}

static void free_found(struct outgoing *outgoing)
{
    if (outgoing->found)
        uv_freeaddrinfo(outgoing->found);
    outgoing->found = NULL;
    outgoing->found_next = NULL;
}

static void wait_for_next_dial(struct outgoing *outgoing)
{
    drop_connection(outgoing);
    free_found(outgoing);
    outgoing->state = OUTGOING_WAITING;
    start_timer(outgoing, back_off_ms(outgoing));
    outgoing->failures++;
}

/* From loop callbacks only: tells the handlers. */
static void lost(struct outgoing *outgoing, const char *what, int status)
{
    struct transport *transport = outgoing->transport;
    assert(outgoing->state == OUTGOING_CONNECTED);
    if (status == UV_EOF)
        snprintf(outgoing->last_error, sizeof outgoing->last_error, "%s closed the connection",
                 outgoing->address_text);
    else
        note_failure(outgoing, what, status);
    if (uv_now(transport->loop) - outgoing->connected_at_ms >= TRANSPORT_STEADY_MS)
        outgoing->failures = 0;
    wait_for_next_dial(outgoing);
    transport->handlers.peer_changed(transport->handlers.context, outgoing->peer, false);
}

static void queue_hello(struct outgoing *outgoing)
{
    struct transport *transport = outgoing->transport;
    struct hello hello = {
        .from = transport->id,
        .to = outgoing->peer,
        .boot = transport->boot,
        .epoch = ++transport->epoch,
        .cluster_name = {transport->cluster_name, strlen(transport->cluster_name)},
    };
    size_t size_bytes = hello_encode(&hello, byte_queue_reserve(&outgoing->filling, HELLO_SIZE_BYTES_MAX));
    byte_queue_added(&outgoing->filling, size_bytes);
    transport_hurry(transport);
}

static void on_opened(void *context, int status)
{
    struct outgoing *outgoing = context;
    struct transport *transport = outgoing->transport;
    assert(outgoing->state == OUTGOING_CONNECTING);
    if (status != 0) {
        note_failure(outgoing, "cannot connect to", status);
        try_next_address(outgoing);
        return;
    }
    uv_timer_stop(&outgoing->timer);
    free_found(outgoing);
    outgoing->state = OUTGOING_CONNECTED;
    outgoing->connected_at_ms = uv_now(transport->loop);
    outgoing->sessions++;
    queue_hello(outgoing);
    transport->handlers.peer_changed(transport->handlers.context, outgoing->peer, true);
}

/* The connection carries frames one way: nothing is expected but its end. */
static void on_space(void *context, uint8_t **data, size_t *size_bytes)
{
    static uint8_t unexpected[1];
    (void)context;
    *data = unexpected;
    *size_bytes = sizeof unexpected;
}

static void on_received(void *context, size_t size_bytes)
{
    (void)size_bytes;
    lost(context, "unexpected bytes from", UV_EPROTO);
}

static void on_ended(void *context, int status)
{
    struct outgoing *outgoing = context;
    if (outgoing->state == OUTGOING_CONNECTED)
        lost(outgoing, "lost", status);
}

static void on_written(void *context, int status)
{
    struct outgoing *outgoing = context;
    outgoing->writing = false;
    byte_queue_clear(&outgoing->sending);
    if (status != 0)
        lost(outgoing, "cannot write to", status);
    else
        outgoing_flush(outgoing);
}

static void on_closed(void *context)
{
    struct outgoing *outgoing = context;
    struct transport *transport = outgoing->transport;
    if (outgoing->removed_while_connected && !transport->closing) {
        outgoing->removed_while_connected = false;
        transport->handlers.peer_changed(transport->handlers.context, outgoing->peer, false);
    }
    release(outgoing);
}

static void try_next_address(struct outgoing *outgoing)
{
    while (true) {
        drop_connection(outgoing);
        if (!outgoing->found_next) {
            wait_for_next_dial(outgoing);
            return;
        }
        struct addrinfo *address = outgoing->found_next;
        outgoing->found_next = address->ai_next;
        struct connection_handlers handlers = {outgoing,   on_opened, on_space, on_received,
                                               on_written, on_ended,  on_closed};
        outgoing->connection = connection_new(outgoing->transport->loop, &handlers);
        outgoing->holds++;
        outgoing->state = OUTGOING_CONNECTING;
        int status = connection_dial(outgoing->connection, address->ai_addr);
        if (status == 0) {
            start_timer(outgoing, TRANSPORT_DIAL_MS);
            return;
        }
        note_failure(outgoing, "cannot connect to", status);
    }
}

static void on_looked_up(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct outgoing *outgoing = request->data;
    if (outgoing->state == OUTGOING_REMOVED) {
        uv_freeaddrinfo(found);
        release(outgoing);
        return;
    }
    assert(outgoing->state == OUTGOING_RESOLVING && outgoing->holds > 1);
    outgoing->holds--;
    if (status != 0) {
        note_failure(outgoing, "cannot look up", status);
        wait_for_next_dial(outgoing);
        return;
    }
    outgoing->found = found;
    outgoing->found_next = found;
    try_next_address(outgoing);
}

static void dial(struct outgoing *outgoing)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    outgoing->state = OUTGOING_RESOLVING;
    int status = uv_getaddrinfo(outgoing->transport->loop, &outgoing->lookup, on_looked_up, outgoing->address.host,
                                outgoing->address.port, &hints);
    if (status == 0) {
        outgoing->holds++;
        return;
    }
    note_failure(outgoing, "cannot look up", status);
    wait_for_next_dial(outgoing);
}

struct outgoing *outgoing_find(const struct transport *transport, uint64_t peer)
{
    struct outgoing *outgoing = transport->outgoing;
    while (outgoing && outgoing->peer != peer)
        outgoing = outgoing->next;
    return outgoing;
}

void outgoing_add(struct transport *transport, uint64_t peer, const char *address, uint64_t sessions)
{
    struct outgoing *outgoing = calloc(1, sizeof *outgoing);
    if (!outgoing || !(outgoing->address_text = strdup(address)))
        abort();
    outgoing->transport = transport;
    outgoing->peer = peer;
    outgoing->sessions = sessions;
    outgoing->next = transport->outgoing;
    transport->outgoing = outgoing;
    transport_hold(transport);

    int status = uv_timer_init(transport->loop, &outgoing->timer);
    assert(status == 0); /* cannot fail */
    (void)status;
    outgoing->timer.data = outgoing;
    outgoing->lookup.data = outgoing;
    outgoing->holds = 1;
    if (connection_parse_address(address, &outgoing->address))
        dial(outgoing);
    else
        outgoing_note_error(outgoing, "the address is none of host:port, 1.2.3.4:port, [v6]:port");
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void outgoing_remove(struct outgoing *outgoing)
{
    struct outgoing **link = &outgoing->transport->outgoing;
    while (*link != outgoing)
        link = &(*link)->next;
    *link = outgoing->next;

    assert(outgoing->state != OUTGOING_REMOVED);
    outgoing->removed_while_connected = outgoing->state == OUTGOING_CONNECTED;
    drop_connection(outgoing);
    free_found(outgoing);
    if (outgoing->state == OUTGOING_RESOLVING)
        (void)uv_cancel((uv_req_t *)&outgoing->lookup); /* one that already runs ends by itself: see on_looked_up */
    outgoing->state = OUTGOING_REMOVED;
    uv_close((uv_handle_t *)&outgoing->timer, on_timer_closed);
}

const char *outgoing_address(const struct outgoing *outgoing)
{
    return outgoing->address_text;
}

uint64_t outgoing_peer(const struct outgoing *outgoing)
{
    return outgoing->peer;
}

struct outgoing *outgoing_next(const struct outgoing *outgoing)
{
    return outgoing->next;
}

void outgoing_hint(struct outgoing *outgoing)
{
    if (outgoing->state != OUTGOING_WAITING)
        return;
    outgoing->failures = 0;
    start_timer(outgoing, back_off_ms(outgoing));
}

void outgoing_flush(struct outgoing *outgoing)
{
    struct span filled = byte_queue_bytes(&outgoing->filling);
    if (outgoing->state != OUTGOING_CONNECTED || outgoing->writing || filled.size_bytes == 0)
        return;
    struct byte_queue empty = outgoing->sending;
    outgoing->sending = outgoing->filling;
    outgoing->filling = empty;
    int status = connection_write(outgoing->connection, filled.data, filled.size_bytes);
    if (status == 1)
        byte_queue_clear(&outgoing->sending);
    else if (status == 0)
        outgoing->writing = true;
    else
        lost(outgoing, "cannot write to", status);
}

bool outgoing_sweep(struct outgoing *outgoing)
{
    bool more = byte_queue_sweep(&outgoing->filling);
    return (outgoing->writing || byte_queue_sweep(&outgoing->sending)) || more;
}

static size_t queued_bytes(const struct outgoing *outgoing)
{
    return byte_queue_bytes(&outgoing->filling).size_bytes + byte_queue_bytes(&outgoing->sending).size_bytes;
}

bool transport_send(struct transport *transport, uint64_t peer, enum frame_type type, struct span head,
                    struct span tail)
{
    struct outgoing *outgoing = outgoing_find(transport, peer);
    if (!outgoing || outgoing->state != OUTGOING_CONNECTED)
        return false;
    size_t body_size_bytes = head.size_bytes + tail.size_bytes;
    if (body_size_bytes > TRANSPORT_FRAME_SIZE_BYTES_MAX) {
        outgoing_note_error(outgoing, "a frame over the limit was not sent");
        return false;
    }
    size_t size_bytes = FRAME_HEAD_SIZE_BYTES + body_size_bytes;
    if (queued_bytes(outgoing) + size_bytes > TRANSPORT_QUEUE_SIZE_BYTES_MAX)
        return false;
    frame_head_encode((uint8_t)type, body_size_bytes, byte_queue_reserve(&outgoing->filling, size_bytes));
    byte_queue_added(&outgoing->filling, FRAME_HEAD_SIZE_BYTES);
    byte_queue_add(&outgoing->filling, head);
    byte_queue_add(&outgoing->filling, tail);
    transport_hurry(transport);
    if (outgoing->filling.capacity_bytes > BYTE_QUEUE_IDLE_SIZE_BYTES)
        transport_arm_sweep(transport);
    return true;
}

bool transport_connected(const struct transport *transport, uint64_t peer)
{
    const struct outgoing *outgoing = outgoing_find(transport, peer);
    return outgoing && outgoing->state == OUTGOING_CONNECTED;
}

size_t transport_queued_bytes(const struct transport *transport, uint64_t peer)
{
    const struct outgoing *outgoing = outgoing_find(transport, peer);
    return outgoing ? queued_bytes(outgoing) : 0;
}

uint64_t transport_sessions(const struct transport *transport, uint64_t peer)
{
    const struct outgoing *outgoing = outgoing_find(transport, peer);
    return outgoing ? outgoing->sessions : 0;
}

const char *transport_last_error(const struct transport *transport, uint64_t peer)
{
    const struct outgoing *outgoing = outgoing_find(transport, peer);
    return outgoing ? outgoing->last_error : "";
}
