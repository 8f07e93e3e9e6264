/*
 * The outside services that hear of this cluster while it is well: what each preset's ping looks like. When it is sent, and when it is held back:
 * node/engine/engine_outer.c.
 */
#ifndef NODE_OUTER_H
#define NODE_OUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "notify/channel.h"

#define OUTER_MAX 8u

struct outer_preset;

/* [outer.NAME] of the configuration, which owns the strings. */
struct outer {
    char *name;
    const struct outer_preset *preset;
    char *url; /* with most services it is the secret: not shown, not logged */
    char *key; /* NULL where the preset has none */
};

/* NULL: there is none of that name. */
const struct outer_preset *outer_preset_find(const char *name);
const char *outer_preset_name(const struct outer_preset *preset);
/* The names of all, with commas: for sentences and help. */
#define OUTER_PRESETS "healthchecks, deadmanssnitch, opsgenie, tocsin, url or pagerduty"

/* NULL when the section is whole, else a sentence that says what is missing; gives the preset's own URL where it has one and none was given. */
const char *outer_complete(struct outer *outer);

/* Silence after these pings pages nobody there: the service has no such thing. */
bool outer_is_mute(const struct outer *outer);

/* The ping, to be closed by the caller; `wall_ms` is what a body calls now. */
void outer_compose(const struct outer *outer, const char *cluster_name, uint64_t wall_ms, struct outgoing *outgoing);

#endif
