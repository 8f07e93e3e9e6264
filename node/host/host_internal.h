/*
 * Inside the host: what its parts share.
 *
 *     host.c            opening, the turn of the loop, peers, providers, closing
 *     host_storage.c    stores, writers, and snapshots on helper threads
 */
#ifndef NODE_HOST_HOST_INTERNAL_H
#define NODE_HOST_HOST_INTERNAL_H

#include "node/host/control.h"
#include "node/host/host.h"
#include "notify/transfer.h"
#include "storage/snapshot.h"

struct host {
    uv_loop_t *loop;
    const struct config *config;
    struct engine *engine;

    struct log_store *log_store;
    struct log_writer *log_writer;
    struct state_store *state_store;
    struct state_writer *state_writer;
    struct snapshot *outgoing; /* the snapshot that is being sent */
    struct snapshot *staged;   /* the one that arrived and was verified */

    struct control *control; /* NULL when there is none */
    struct transport *transport;
    uint64_t refusals_told; /* of connections that the transport refused */
    struct transfers *transfers;
    bool foreign_told; /* that a member's address lies outside loopback, where this node does not dial */

    uv_async_t wake;
    uv_prepare_t prepare;
    uv_timer_t timer;
    bool closing;
    unsigned handles_open;
    void (*closed)(void *context);
    void *closed_context;
};

/* ---- host_storage.c */
bool host_storage_open(struct host *host, char *error, size_t error_size);
/* After the engine was made. */
bool host_storage_start(struct host *host, char *error, size_t error_size);
void host_storage_stop(struct host *host);
void host_storage_close(struct host *host);
void host_storage_ports(struct engine_ports *ports);

#endif
