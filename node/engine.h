/*
 * One node, joined from its pieces: stores and their writers, raft driver, transport, proposer, reads, dispatcher. No HTTP in here: api_ports leads from the
 * handlers to it.
 *
 *     uv_prepare, once per turn of the loop:
 *       drain log writer ─> driver      drain state writer ─> replies, claimed work, deadlines
 *       driver tick, clock, pulse, proposer, reads, dispatcher, compaction; then one timer for whatever is due next
 */
#ifndef NODE_ENGINE_H
#define NODE_ENGINE_H

#include <stdbool.h>
#include <uv.h>

#include "node/api/api.h"
#include "node/config.h"

struct engine;

/* Opens everything and starts. With `bootstrap`, an empty data directory becomes a first member; without, it is refused. NULL with one sentence. */
struct engine *engine_open(uv_loop_t *loop, const struct config *config, bool bootstrap, char *error, size_t error_size);

/* Stops in order: sockets, then writers, which finish what is queued. `closed` is called once, then engine_free is due. */
void engine_close(struct engine *engine, void (*closed)(void *context), void *context);
void engine_free(struct engine *engine);

/* What HTTP handlers stand on. */
struct api_ports engine_api_ports(struct engine *engine);

#endif
