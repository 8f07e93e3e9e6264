/*
 * A socket in the data directory for whoever has a shell on this machine: no token, no majority, no name server. One line of JSON asks, one answers.
 *
 *     {"ask": "doctor"}                                     the node's report
 *     {"ask": "token"}                                      an administrator's token for a day: this, unlike the others, needs a majority
 *     {"ask": "page", "who": NAME or "all", "text": TEXT}   guardians are paged from this node alone; answered when every provider has
 *
 * <data_dir>/control, mode 0600, in a directory that only the node's user may enter.
 */
#ifndef NODE_HOST_CONTROL_H
#define NODE_HOST_CONTROL_H

#include <uv.h>

#include "node/engine/engine.h"

struct control;

/* NULL with one sentence: it cannot be listened on (a path that is too long, no space). */
struct control *control_open(uv_loop_t *loop, const char *data_dir, struct engine *engine, char *error, size_t error_size);
/* Closes every connection; `closed` is called once, later; then it is freed. NULL: called at once. */
void control_close(struct control *control, void (*closed)(void *context), void *context);

#endif
