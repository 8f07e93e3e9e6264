/*
 * Connections between peers, on libuv.
 *
 *     node 1 ──────── connection dialled by 1 ────────> node 2        frames of 1, in order
 *     node 1 <─────── connection dialled by 2 ───────── node 2        frames of 2, in order
 *
 * Each node dials each peer; a connection carries frames one way. It begins with a hello: magic, wire version, cluster
 * name, from, to, boot and session epoch; the receiver keeps the newest (boot, epoch) of each peer and closes older
 * connections, so that nothing of an older session arrives after something of a newer one (guard 9 rests on this).
 * Reconnects back off with jitter. The queue to each peer is bounded: what does not fit is dropped, raft and the
 * proposer send again.
 *
 * Addresses are "host:port", "1.2.3.4:port" or "[v6]:port"; names are looked up at each dial.
 * The seam for TLS: connection.h wraps reading and writing of bytes; nothing else touches the socket. The process
 * ignores SIGPIPE.
 */
#ifndef CONSENSUS_TRANSPORT_TRANSPORT_H
#define CONSENSUS_TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "consensus/machine/base/span.h"

#define TRANSPORT_FRAME_SIZE_BYTES_MAX (8u << 20)
#define TRANSPORT_QUEUE_SIZE_BYTES_MAX (32u << 20)

/* What a frame holds. Types 1 to 6 are raft's messages in codec.h's form. */
enum frame_type {
    FRAME_RAFT = 1,
    FRAME_FORWARD,          /* commands for the leader: proposer.h */
    FRAME_READ_QUESTION,    /* proposer.h */
    FRAME_READ_ANSWER,
    FRAME_CONFIRM_QUESTION, /* proposer.h: is this still the leader's term? */
    FRAME_CONFIRM_ANSWER,
    FRAME_CLOCK,            /* wall clock, version, progress, members; once a second */
    FRAME_SNAPSHOT_BEGIN,   /* snapshot_transfer.h */
    FRAME_SNAPSHOT_CHUNK,
    FRAME_SNAPSHOT_ACK,
    FRAME_REMOVED,          /* to a node that was removed, and does not know it */
    FRAME_LAST_GASP,        /* last_gasp.h: what was sent and heard without a majority */
    FRAME_TYPE_COUNT
};

struct transport;

struct transport_options {
    uint64_t id;
    uint64_t boot; /* of this node; rises with each start */
    const char *cluster_name;
    const char *listen_address; /* "host:port"; port 0 takes a free one, see transport_port */
};

struct transport_handlers {
    void *context;
    /* A whole frame from a peer; valid during the call. */
    void (*frame)(void *context, uint64_t peer, enum frame_type type, struct span body);
    /* The outgoing connection to a peer came up or went. */
    void (*peer_changed)(void *context, uint64_t peer, bool connected);
};

/* Listens. Returns NULL with one sentence in `error` (address in use, not resolvable, ...); the loop must then run once
 * more before it can be closed. A name is listened on at all its addresses, but with port 0 at the first only. */
struct transport *transport_open(uv_loop_t *loop, const struct transport_options *options,
                                 const struct transport_handlers *handlers, char *error, size_t error_size);
/* Closes everything; `closed` is called once when the loop may forget it. */
void transport_close(struct transport *transport, void (*closed)(void *context), void *context);

unsigned transport_port(const struct transport *transport);

/* The peers to dial: called at the start and when members change. Peers no longer named are disconnected. */
void transport_set_peers(struct transport *transport, const uint64_t *ids, const char *const *addresses, size_t count);

/* Queues a frame whose body is `head` followed by `tail` (either may be empty). Copies. False when the peer is unknown
 * or not connected, or its queue is full: the frame is dropped. Everything queued in one turn of the loop leaves in one
 * write. */
bool transport_send(struct transport *transport, uint64_t peer, enum frame_type type, struct span head,
                    struct span tail);

bool transport_connected(const struct transport *transport, uint64_t peer);
size_t transport_queued_bytes(const struct transport *transport, uint64_t peer);
/* How often the connection to the peer was established, and the last error in words ("" when none). */
uint64_t transport_sessions(const struct transport *transport, uint64_t peer);
const char *transport_last_error(const struct transport *transport, uint64_t peer);

/* How many incoming connections were turned away, and the last one's reason in words ("" when none). When the hello
 * named a known peer, the reason is that peer's last error too. */
uint64_t transport_refusals(const struct transport *transport);
const char *transport_last_refusal(const struct transport *transport);

#endif
