/* Presets of the outer heartbeat. Sources: healthchecks' Pinging API, Dead Man's Snitch's check-ins, Opsgenie's "Ping Heartbeat", PagerDuty's "Send
 * change events to the Events API v2". */
#include "node/outer.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "notify/compose.h"

struct outer_preset {
    const char *name;
    const char *url; /* where none is given; NULL: it must be */
    bool key;        /* key_file is needed; otherwise it must not be there */
    bool mute;
    void (*add)(const struct outer *outer, const char *cluster_name, uint64_t wall_ms, struct outgoing *outgoing); /* NULL: a GET says it all */
};

static void add_genie_key(const struct outer *outer, const char *cluster_name, uint64_t wall_ms, struct outgoing *outgoing) {
    (void)cluster_name;
    (void)wall_ms;
    struct composer value = {0};
    compose_format(&value, "GenieKey %s", outer->key);
    size_t size_bytes;
    char *text = compose_take(&value, &size_bytes);
    outgoing_header(outgoing, "Authorization", text);
    explicit_bzero(text, size_bytes);
    free(text);
}

/* PagerDuty has no heartbeats: a change event notifies nobody, and stands in the service's recent changes. */
static void add_change_event(const struct outer *outer, const char *cluster_name, uint64_t wall_ms, struct outgoing *outgoing) {
    char timestamp[32];
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    strftime(timestamp, sizeof timestamp, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &utc));
    json_t *event = json_pack("{s:s, s:{s:o, s:s, s:s}}", "routing_key", outer->key, "payload", "summary",
                              json_sprintf("Tocsin cluster %s is well", cluster_name), "source", "tocsin", "timestamp", timestamp);
    outgoing->get = false;
    outgoing->body = json_dumps(event, JSON_COMPACT);
    if (outgoing->body == NULL) abort();
    outgoing->body_size_bytes = strlen(outgoing->body);
    json_decref(event);
    outgoing_header(outgoing, "Content-Type", "application/json");
}

static const struct outer_preset presets[] = {
    {.name = "healthchecks"},
    {.name = "deadmanssnitch"},
    {.name = "tocsin"},
    {.name = "url"},
    {.name = "opsgenie", .key = true, .add = add_genie_key},
    {.name = "pagerduty", .url = "https://events.pagerduty.com/v2/change/enqueue", .key = true, .mute = true, .add = add_change_event},
};

const struct outer_preset *outer_preset_find(const char *name) {
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++)
        if (strcmp(presets[i].name, name) == 0) return &presets[i];
    return NULL;
}

const char *outer_preset_name(const struct outer_preset *preset) { return preset->name; }

const char *outer_complete(struct outer *outer) {
    if (outer->preset == NULL) return "needs preset: " OUTER_PRESETS;
    if (outer->url == NULL && outer->preset->url != NULL) outer->url = compose_copy(outer->preset->url);
    if (outer->url == NULL) return "needs url";
    if (outer->preset->key && outer->key == NULL) return "needs key_file";
    if (!outer->preset->key && outer->key != NULL) return "has a key_file, which its preset does not use";
    return NULL;
}

bool outer_is_mute(const struct outer *outer) { return outer->preset->mute; }

void outer_compose(const struct outer *outer, const char *cluster_name, uint64_t wall_ms, struct outgoing *outgoing) {
    *outgoing = (struct outgoing){.url = compose_copy(outer->url), .get = true};
    if (outer->preset->add != NULL) outer->preset->add(outer, cluster_name, wall_ms, outgoing);
}
