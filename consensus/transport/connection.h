/*
 * A stream of bytes to or from a peer: the seam where TLS goes. Nothing else in the transport touches a socket's bytes.
 *
 *     connection_new ─┬> connection_dial ─> opened ─┐
 *                     └> connection_accept ─────────┴> space, received, written ... ended ─> connection_close ─> closed
 *
 * Under TLS `opened` comes after the handshake, connection_write seals and `received` hands over what was opened;
 * callers stay as they are. A dead peer is noticed within CONNECTION_DEAD_MS, whether or not bytes are on their way.
 *
 * The process ignores SIGPIPE (libuv writes without MSG_NOSIGNAL).
 */
#ifndef CONSENSUS_TRANSPORT_CONNECTION_H
#define CONSENSUS_TRANSPORT_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define CONNECTION_DEAD_MS 5000u
#define CONNECTION_HOST_SIZE_BYTES 256u
#define CONNECTION_PORT_SIZE_BYTES 6u
#define CONNECTION_NAME_SIZE_BYTES 80u

/* Where a peer is, as written: "host:port", "1.2.3.4:port" or "[v6]:port". */
struct connection_address {
    char host[CONNECTION_HOST_SIZE_BYTES];
    char port[CONNECTION_PORT_SIZE_BYTES];
};

/* False when `text` is none of the three forms, or its port no number up to 65535. */
bool connection_parse_address(const char *text, struct connection_address *address);

struct connection;

/* After connection_close only `closed` is called. None is called from inside a connection_* function. */
struct connection_handlers {
    void *context;
    /* A dial ended: 0, or libuv's error; after an error the owner closes. */
    void (*opened)(void *context, int status);
    /* Where to put the bytes that come next; at least one byte. */
    void (*space)(void *context, uint8_t **data, size_t *size_bytes);
    /* So many bytes came. */
    void (*received)(void *context, size_t size_bytes);
    /* A write that connection_write left under way ended: 0, or libuv's error; after an error the owner closes. */
    void (*written)(void *context, int status);
    /* The peer ended the stream (UV_EOF) or it broke; the owner closes. */
    void (*ended)(void *context, int status);
    /* The connection is gone, its memory with it. */
    void (*closed)(void *context);
};

/* Ends the process when memory is exhausted. */
struct connection *connection_new(uv_loop_t *loop, const struct connection_handlers *handlers);
/* Both return 0 or libuv's error; after an error only connection_close is allowed. */
int connection_dial(struct connection *connection, const struct sockaddr *address);
int connection_accept(struct connection *connection, uv_stream_t *listener);

/*
 * Writes bytes that stay the caller's and unchanged until they are written; one write at a time. Returns 1 when all are
 * handed to the kernel, 0 when the rest is under way and `written` will follow, or libuv's error (then `written` will
 * not follow and the owner closes).
 */
int connection_write(struct connection *connection, const void *data, size_t size_bytes);

void connection_close(struct connection *connection);

/* The other side as "address:port" or "[v6]:port"; "an unknown address" when the kernel no longer knows. */
void connection_name(const struct connection *connection, char out[CONNECTION_NAME_SIZE_BYTES]);

#endif
