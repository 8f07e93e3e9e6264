/*
 * Incoming connections.
 *
 *     accepted ── hello in time, fitting, newer than what its peer had ──> frames ... ──> ended, or replaced
 *        └─────── anything else ──> refused, with the reason
 *
 * A connection without hello is a stranger's until it says otherwise: it holds little memory, and its descriptor for a
 * bounded time only. When all places are taken, the oldest connection that belongs to none of the peers makes room.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/transport/transport_internal.h"

#define LISTEN_BACKLOG 64
#define READ_SIZE_BYTES_MIN 4096u
#define READ_SIZE_BYTES_BUSY (64u << 10)

struct session {
    struct session *next;
    struct transport *transport;
    struct connection *connection;
    bool closing;
    bool welcome; /* its hello fits */
    bool busy;    /* the last read filled the room that it was given */
    uint64_t peer; /* once welcome */
    uint64_t accepted_at_ms;
    size_t room_bytes;
    struct byte_queue in;
};

/* What hello_decode can say, in words. */
static const char *const hello_faults[] = {
    [HELLO_BAD_MAGIC] = "it does not speak this protocol",
    [HELLO_BAD_VERSION] = "it speaks another version of this protocol",
    [HELLO_BAD_SIZE] = "its hello is too long",
};

static void on_closed(void *context)
{
    struct session *session = context;
    struct transport *transport = session->transport;
    byte_queue_free(&session->in);
    free(session);
    transport_release(transport);
}

/* The session leaves the lists at once; its memory goes when libuv has let go of it. */
static void session_close(struct session *session)
{
    struct transport *transport = session->transport;
    assert(!session->closing);
    session->closing = true;
    struct session **link = &transport->sessions;
    while (*link != session)
        link = &(*link)->next;
    *link = session->next;
    transport->sessions_count--;
    for (unsigned i = 0; i < transport->marks_count; i++)
        if (transport->marks[i].session == session)
            transport->marks[i].session = NULL;
    connection_close(session->connection);
}

/* `peer` is who it says it is: 0 while it has not said so. */
static void session_refuse(struct session *session, uint64_t peer, const char *reason)
{
    struct transport *transport = session->transport;
    char name[CONNECTION_NAME_SIZE_BYTES];
    connection_name(session->connection, name);
    if (peer != 0)
        snprintf(transport->last_refusal, sizeof transport->last_refusal,
                 "refused a connection from %s as node %" PRIu64 ": %s", name, peer, reason);
    else
        snprintf(transport->last_refusal, sizeof transport->last_refusal, "refused a connection from %s: %s", name,
                 reason);
    transport->refusals++;
    struct outgoing *outgoing = peer != 0 ? outgoing_find(transport, peer) : NULL;
    if (outgoing)
        outgoing_note_error(outgoing, transport->last_refusal);
    session_close(session);
}

static struct incoming_mark *mark_find(struct transport *transport, uint64_t peer)
{
    for (unsigned i = 0; i < transport->marks_count; i++)
        if (transport->marks[i].peer == peer)
            return &transport->marks[i];
    return NULL;
}

/* A place for a peer that was not seen before. There is one: fewer sessions than places have said hello. */
static struct incoming_mark *mark_new(struct transport *transport)
{
    if (transport->marks_count < TRANSPORT_SESSIONS_MAX)
        return &transport->marks[transport->marks_count++];
    struct incoming_mark *unused = NULL;
    for (unsigned i = 0; i < transport->marks_count; i++) {
        struct incoming_mark *mark = &transport->marks[i];
        if (!mark->session && (!unused || !outgoing_find(transport, mark->peer)))
            unused = mark;
    }
    assert(unused);
    return unused;
}

static bool is_newer(const struct hello *hello, const struct incoming_mark *mark)
{
    return hello->boot > mark->boot || (hello->boot == mark->boot && hello->epoch > mark->epoch);
}

/* Why a hello does not fit; NULL when it does. */
static const char *hello_misfit(const struct transport *transport, const struct hello *hello)
{
    size_t name_size_bytes = strlen(transport->cluster_name);
    if (hello->cluster_name.size_bytes != name_size_bytes ||
        (name_size_bytes > 0 && memcmp(hello->cluster_name.data, transport->cluster_name, name_size_bytes) != 0))
        return "it belongs to another cluster";
    if (hello->from == transport->id)
        return "it has this node's own id";
    if (hello->from == 0)
        return "it has no id";
    if (hello->to != transport->id)
        return "it looks for another node at this address";
    return NULL;
}

static void session_admit(struct session *session, const struct hello *hello)
{
    struct transport *transport = session->transport;
    const char *misfit = hello_misfit(transport, hello);
    if (misfit) {
        session_refuse(session, hello->from, misfit);
        return;
    }
    struct incoming_mark *mark = mark_find(transport, hello->from);
    if (mark && !is_newer(hello, mark)) {
        session_refuse(session, hello->from, "it is no newer than the last one from there");
        return;
    }
    if (mark && mark->session)
        session_close(mark->session);
    if (!mark)
        mark = mark_new(transport);
    *mark = (struct incoming_mark){hello->from, hello->boot, hello->epoch, session};
    session->welcome = true;
    session->peer = hello->from;
    struct outgoing *outgoing = outgoing_find(transport, hello->from);
    if (outgoing)
        outgoing_hint(outgoing);
}

/* False when the session needs more bytes or is closing. */
static bool session_take_hello(struct session *session)
{
    struct hello hello;
    size_t size_bytes;
    enum hello_result result = hello_decode(byte_queue_bytes(&session->in), &hello, &size_bytes);
    if (result == HELLO_PARTIAL)
        return false;
    if (result != HELLO_WHOLE) {
        session_refuse(session, 0, hello_faults[result]);
        return false;
    }
    session_admit(session, &hello);
    if (session->closing)
        return false;
    byte_queue_consume(&session->in, size_bytes);
    return true;
}

/* Likewise. A type that this version does not know is a newer version's: passed over, as if it had been lost. */
static bool session_take_frame(struct session *session)
{
    const struct transport_handlers *handlers = &session->transport->handlers;
    struct frame frame;
    size_t size_bytes;
    enum frame_result result = frame_decode(byte_queue_bytes(&session->in), &frame, &size_bytes);
    if (result == FRAME_PARTIAL)
        return false;
    if (result == FRAME_BAD) {
        session_refuse(session, session->peer, "it sent a frame of no possible size or type");
        return false;
    }
    if (frame.type < FRAME_TYPE_COUNT)
        handlers->frame(handlers->context, session->peer, (enum frame_type)frame.type, frame.body);
    if (session->closing)
        return false;
    byte_queue_consume(&session->in, size_bytes);
    return true;
}

/* Memory for a large frame grows with what has come of it, not with what its head promises. */
static void on_space(void *context, uint8_t **data, size_t *size_bytes)
{
    struct session *session = context;
    size_t wanted_bytes = session->busy ? READ_SIZE_BYTES_BUSY : READ_SIZE_BYTES_MIN;
    struct span held = byte_queue_bytes(&session->in);
    struct frame frame;
    size_t frame_size_bytes;
    if (session->welcome && frame_decode(held, &frame, &frame_size_bytes) == FRAME_PARTIAL &&
        frame_size_bytes > held.size_bytes + wanted_bytes) {
        size_t rest_bytes = frame_size_bytes - held.size_bytes;
        size_t more_bytes = held.size_bytes > wanted_bytes ? held.size_bytes : wanted_bytes;
        wanted_bytes = rest_bytes < more_bytes ? rest_bytes : more_bytes;
    }
    *data = byte_queue_reserve(&session->in, wanted_bytes);
    *size_bytes = byte_queue_room(&session->in);
    session->room_bytes = *size_bytes;
    if (session->in.capacity_bytes > BYTE_QUEUE_IDLE_SIZE_BYTES)
        transport_arm_sweep(session->transport);
}

static void on_received(void *context, size_t size_bytes)
{
    struct session *session = context;
    session->busy = size_bytes == session->room_bytes;
    byte_queue_added(&session->in, size_bytes);
    if (!session->welcome && !session_take_hello(session))
        return;
    while (session_take_frame(session))
        ;
}

static void on_ended(void *context, int status)
{
    (void)status; /* the peer dials again if it is still there */
    session_close(context);
}

/* The dialled side's: an accepted connection does not dial and does not write. */
static void on_never(void *context, int status)
{
    (void)context;
    (void)status;
    abort();
}

static struct session *oldest_stranger(struct transport *transport)
{
    struct session *oldest = NULL;
    for (struct session *session = transport->sessions; session; session = session->next)
        if (!session->welcome || !outgoing_find(transport, session->peer))
            oldest = session;
    return oldest;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct transport *transport = listener->data;
    if (status != 0) {
        snprintf(transport->last_refusal, sizeof transport->last_refusal, "cannot accept a connection: %s",
                 uv_strerror(status));
        transport->refusals++;
        return;
    }
    struct session *session = calloc(1, sizeof *session);
    if (!session)
        abort();
    struct connection_handlers handlers = {session, on_never, on_space, on_received, on_never, on_ended, on_closed};
    session->transport = transport;
    session->accepted_at_ms = uv_now(transport->loop);
    session->connection = connection_new(transport->loop, &handlers);
    session->next = transport->sessions;
    transport->sessions = session;
    transport->sessions_count++;
    transport_hold(transport);
    if (connection_accept(session->connection, listener) != 0) {
        session_close(session); /* it is gone already */
        return;
    }
    if (transport->sessions_count > TRANSPORT_SESSIONS_MAX)
        session_refuse(oldest_stranger(transport), 0, "there are too many connections");
    transport_arm_sweep(transport);
}

static int listen_on(struct transport *transport, const struct sockaddr *address)
{
    uv_tcp_t *listener = &transport->listeners[transport->listeners_count];
    int status = uv_tcp_init(transport->loop, listener);
    if (status != 0)
        return status;
    transport->listeners_count++;
    transport_hold(transport);
    listener->data = transport;
    status = uv_tcp_bind(listener, address, 0);
    if (status == 0)
        status = uv_listen((uv_stream_t *)listener, LISTEN_BACKLOG, on_connection);
    struct sockaddr_storage bound;
    int size_bytes = sizeof bound;
    if (status == 0)
        status = uv_tcp_getsockname(listener, (struct sockaddr *)&bound, &size_bytes);
    if (status == 0) /* the port has the same place in both families */
        transport->port = ntohs(((const struct sockaddr_in *)&bound)->sin_port);
    return status;
}

/* A name may have an address of a family that this machine does not have: one that works is enough. Any other error is
 * an error. */
static int listen_on_each(struct transport *transport, const struct addrinfo *found, bool any_port)
{
    int status = UV_EADDRNOTAVAIL;
    bool listening = false;
    for (; found && transport->listeners_count < TRANSPORT_LISTENERS_MAX; found = found->ai_next) {
        status = listen_on(transport, found->ai_addr);
        if (status != 0 && status != UV_EADDRNOTAVAIL && status != UV_EAFNOSUPPORT)
            return status;
        listening = listening || status == 0;
        if (listening && any_port)
            break;
    }
    return listening ? 0 : status;
}

bool incoming_listen(struct transport *transport, const char *listen_address, char *error, size_t error_size)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct connection_address address;
    if (!connection_parse_address(listen_address, &address)) {
        snprintf(error, error_size, "the peer address \"%s\" is none of host:port, 1.2.3.4:port, [v6]:port",
                 listen_address);
        return false;
    }
    uv_getaddrinfo_t lookup;
    int status = uv_getaddrinfo(transport->loop, &lookup, NULL, address.host, address.port, &hints);
    if (status != 0) {
        snprintf(error, error_size, "cannot look up the peer address %s: %s", listen_address, uv_strerror(status));
        return false;
    }
    status = listen_on_each(transport, lookup.addrinfo, strtoul(address.port, NULL, 10) == 0);
    uv_freeaddrinfo(lookup.addrinfo);
    if (status != 0)
        snprintf(error, error_size, "cannot listen on the peer address %s: %s", listen_address, uv_strerror(status));
    return status == 0;
}

static void on_listener_closed(uv_handle_t *handle)
{
    transport_release(handle->data);
}

void incoming_close(struct transport *transport)
{
    while (transport->sessions)
        session_close(transport->sessions);
    for (unsigned i = 0; i < transport->listeners_count; i++)
        uv_close((uv_handle_t *)&transport->listeners[i], on_listener_closed);
}

bool incoming_sweep(struct transport *transport)
{
    bool more = false;
    uint64_t now_ms = uv_now(transport->loop);
    for (struct session *session = transport->sessions, *next; session; session = next) {
        next = session->next;
        if (!session->welcome && now_ms - session->accepted_at_ms >= TRANSPORT_HELLO_MS) {
            session_refuse(session, 0, "it said no hello in time");
            continue;
        }
        more = byte_queue_sweep(&session->in) || !session->welcome || more;
    }
    return more;
}

uint64_t transport_refusals(const struct transport *transport)
{
    return transport->refusals;
}

const char *transport_last_refusal(const struct transport *transport)
{
    return transport->last_refusal;
}
