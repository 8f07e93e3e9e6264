/*
 * One engine on this machine: its ports over LMDB, libuv, curl, the system's clocks and the data directory.
 *
 *     uv_prepare, once per turn of the loop ──> engine_turn ──> one timer for whatever is due next
 *     writers' threads ── uv_async ──> a turn         helper threads (snapshots) ──> engine_snapshot_*, on the loop
 */
#ifndef NODE_HOST_HOST_H
#define NODE_HOST_HOST_H

#include <stdbool.h>
#include <uv.h>

#include "node/config.h"
#include "node/engine/engine.h"

struct host;

/* What may become of an empty data directory. One that is not empty is its node's, however it is started. */
enum host_start {
    HOST_START,     /* nothing: refused */
    HOST_BOOTSTRAP, /* a first member of a new cluster */
    HOST_JOIN       /* a node that waits until a cluster takes it in */
};

/* Opens everything and starts. NULL with one sentence: the process is then expected to end, and the kernel takes back what was opened. */
struct host *host_open(uv_loop_t *loop, const struct config *config, enum host_start how, char *error, size_t error_size);

struct engine *host_engine(struct host *host);

/* Stops in order: sockets, then writers, which finish what is queued. `closed` is called once, then host_free is due. */
void host_close(struct host *host, void (*closed)(void *context), void *context);
void host_free(struct host *host);

#endif
