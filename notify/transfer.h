/*
 * Outgoing requests on curl's multi interface, driven by a libuv loop.
 *
 * The answer callback comes from the loop, exactly once per started transfer, unless it was aborted.
 */
#ifndef NOTIFY_TRANSFER_H
#define NOTIFY_TRANSFER_H

#include <stdint.h>
#include <uv.h>

#include "notify/channel.h"

struct transfers;

struct transfers *transfers_open(uv_loop_t *loop, void (*answered)(void *context, uint64_t transfer_id, const struct answer *),
                                 void *context);
/* Authorities to trust beside the system's, in PEM: for requests that start from now on. */
void transfers_trust(struct transfers *transfers, const char *ca_file);
/* Aborts what is under way; `closed` is called once when the loop may forget it. */
void transfers_close(struct transfers *transfers, void (*closed)(void *context), void *context);

/* Copies `outgoing`. A transfer that cannot even be set up is answered with ANSWER_NOT_SENT. */
void transfers_start(struct transfers *transfers, uint64_t transfer_id, const struct outgoing *outgoing);
void transfers_abort(struct transfers *transfers, uint64_t transfer_id);

#endif
