/*
 * One engine on this machine: its ports over LMDB, libuv, curl, the system's clocks and the data directory.
 *
 *     uv_prepare, once per turn of the loop ──> engine_turn ──> one timer for whatever is due next
 *     writers' threads ── uv_async ──> a turn         helper threads (snapshots) ──> engine_snapshot_*, on the loop
 */
#ifndef NODE_HOST_H
#define NODE_HOST_H

#include <stdbool.h>
#include <uv.h>

#include "node/config.h"
#include "node/engine.h"

struct host;

/* Opens everything and starts. With `bootstrap`, an empty data directory becomes a first member; without, it is refused. NULL with one sentence: the
 * process is then expected to end, and the kernel takes back what was opened. */
struct host *host_open(uv_loop_t *loop, const struct config *config, bool bootstrap, char *error, size_t error_size);

struct engine *host_engine(struct host *host);

/* Stops in order: sockets, then writers, which finish what is queued. `closed` is called once, then host_free is due. */
void host_close(struct host *host, void (*closed)(void *context), void *context);
void host_free(struct host *host);

#endif
