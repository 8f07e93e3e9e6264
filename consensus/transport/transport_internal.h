/*
 * The parts of the transport: transport.c owns the loop's handles and joins the two directions.
 *
 *     outgoing.c   one per peer that is dialled:   wait ─> look up ─> connect ─> connected ─> lost ─> wait ...
 *     incoming.c   listeners and one session per accepted connection:   hello ─> frames ─> closed
 *
 * Every object that libuv may still call back holds the transport; the last one to go ends transport_close.
 */
#ifndef CONSENSUS_TRANSPORT_TRANSPORT_INTERNAL_H
#define CONSENSUS_TRANSPORT_TRANSPORT_INTERNAL_H

#include "consensus/transport/connection.h"
#include "consensus/transport/frame.h"
#include "consensus/transport/transport.h"

/* A name may stand for several addresses (localhost is two); more than these are not listened on. */
#define TRANSPORT_LISTENERS_MAX 4u
/* Connections accepted at once: every member several times over, and no more descriptors than that for strangers. */
#define TRANSPORT_SESSIONS_MAX 64u
#define TRANSPORT_HELLO_MS 5000u
#define TRANSPORT_DIAL_MS 3000u
#define TRANSPORT_BACK_OFF_MS_MIN 50u
#define TRANSPORT_BACK_OFF_MS_MAX 2000u
/* A connection that lived this long was a success: the next dial does not wait for those that failed before it. */
#define TRANSPORT_STEADY_MS 1000u
#define TRANSPORT_SWEEP_MS 1000u
#define TRANSPORT_REASON_SIZE_BYTES 256u

struct session;
struct outgoing;

/* The newest session that a peer has had. Kept when the session ends: an older one may still be under way. */
struct incoming_mark {
    uint64_t peer, boot, epoch;
    struct session *session; /* NULL when it has ended */
};

struct transport {
    uv_loop_t *loop;
    uint64_t id, boot;
    char cluster_name[HELLO_NAME_SIZE_BYTES_MAX + 1];
    struct transport_handlers handlers;

    uv_tcp_t listeners[TRANSPORT_LISTENERS_MAX];
    unsigned listeners_count;
    unsigned port;
    struct session *sessions; /* newest first */
    unsigned sessions_count;
    struct incoming_mark marks[TRANSPORT_SESSIONS_MAX];
    unsigned marks_count;
    char last_refusal[TRANSPORT_REASON_SIZE_BYTES];
    uint64_t refusals;

    struct outgoing *outgoing;
    uint64_t epoch;  /* of the last connection made by this node */
    uint64_t random; /* for jitter only */

    uv_check_t flush; /* after each poll: what was queued leaves */
    uv_idle_t hurry;  /* while something is queued the loop does not sleep in poll */
    uv_timer_t sweep; /* while there are large buffers or strangers */

    unsigned holds;
    bool closing;
    void (*closed)(void *context);
    void *closed_context;
};

void transport_hold(struct transport *transport);
void transport_release(struct transport *transport);
/* Something was queued: it leaves at the end of this turn. */
void transport_hurry(struct transport *transport);
/* Something needs a sweep: a large buffer, or a connection without hello. */
void transport_arm_sweep(struct transport *transport);

/* outgoing.c */
struct outgoing *outgoing_find(const struct transport *transport, uint64_t peer);
void outgoing_add(struct transport *transport, uint64_t peer, const char *address, uint64_t sessions);
/* Takes it out of the list at once; its memory goes when libuv has let go of it. */
void outgoing_remove(struct outgoing *outgoing);
const char *outgoing_address(const struct outgoing *outgoing);
uint64_t outgoing_peer(const struct outgoing *outgoing);
struct outgoing *outgoing_next(const struct outgoing *outgoing);
/* The peer was just heard of: no reason to wait with the next dial. */
void outgoing_hint(struct outgoing *outgoing);
void outgoing_note_error(struct outgoing *outgoing, const char *reason);
void outgoing_flush(struct outgoing *outgoing);
/* True while there may be more memory to give back. */
bool outgoing_sweep(struct outgoing *outgoing);

/* incoming.c */
/* Listens on every address of `listen_address`. False with a sentence in `error`. */
bool incoming_listen(struct transport *transport, const char *listen_address, char *error, size_t error_size);
void incoming_close(struct transport *transport);
bool incoming_sweep(struct transport *transport);

#endif
