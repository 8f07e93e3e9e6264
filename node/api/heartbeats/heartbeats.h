/*
 * Inside the handlers of heartbeats: three faces of the same records (contracts/heartbeats.md).
 *
 *     pings.c                 /ping/...            healthchecks' ping URLs: the URL is the secret
 *     checks.c                /api/v3/checks/...   healthchecks' management API
 *     opsgenie_heartbeats.c   /v2/heartbeats/...   Opsgenie's
 */
#ifndef NODE_API_HEARTBEATS_HEARTBEATS_H
#define NODE_API_HEARTBEATS_HEARTBEATS_H

#include "node/api/api.h"

/* A new random UUID in the request's memory. */
char *uuid_make(struct http_request *request);
/* The text in lower case when it is a UUID in its canonical form, in the request's memory; else NULL. */
char *uuid_take(struct http_request *request, const char *text);

/* What every ping carries beside its path: body, run, who sent it. False: already answered with 400. */
bool ping_fill(struct http_request *request, Tocsin__Ping *ping);
/* True when the heartbeat (or what else has this number) may ping once more now; else already answered with 429. */
bool ping_allowed(struct http_request *request, uint64_t heartbeat_id);

/* How it stands, never NULL, in the request's memory. */
Tocsin__HeartbeatState *heartbeat_state_read(struct http_request *request, const struct machine_store *view,
                                             uint64_t id);

#endif
