/*
 * What an event's custom_details hold, as hashes: so that the machine can group alerts by them without reading JSON.
 *
 *     {"host": "db1", "disk": {"name": "sda", "free": 0}} ──> host, disk.name, disk.free: a hash of the path and one of the value
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/siphash.h"
#include "consensus/machine/keys.h"
#include "consensus/machine/limits.h"
#include "node/api/incidents/incidents.h"

#define ROW_SIZE_BYTES (2 * SIPHASH_SIZE_BYTES)

struct collected {
    struct http_request *request;
    ProtobufCBinaryData *rows;
};

static void add(const struct collected *collected, const char *path, const char *value)
{
    ProtobufCBinaryData *rows = collected->rows;
    struct key of_path = key_hash(path), of_value = key_hash(value);

    if (value[0] != '\0' && rows->len < LIMIT_EVENT_DETAILS * ROW_SIZE_BYTES) {
        memcpy(rows->data + rows->len, of_path.bytes, SIPHASH_SIZE_BYTES);
        memcpy(rows->data + rows->len + SIPHASH_SIZE_BYTES, of_value.bytes, SIPHASH_SIZE_BYTES);
        rows->len += ROW_SIZE_BYTES;
    }
}

/* Texts as they are, all else as JSON; null is no value. */
static void add_value(const struct collected *collected, const char *path, const json_t *value)
{
    if (json_is_string(value)) {
        add(collected, path, json_string_value(value));
    } else if (!json_is_null(value)) {
        char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
        if (text == NULL) {
            abort();
        }
        add(collected, path, text);
        free(text);
    }
}

static void collect(const struct collected *collected, const char *outer, json_t *object, unsigned depth)
{
    const char *name;
    json_t *value;

    json_object_foreach (object, name, value) {
        size_t size = strlen(outer) + strlen(name) + 2;
        char *path = http_alloc(collected->request, size);
        (void)snprintf(path, size, "%s%s%s", outer, outer[0] != '\0' ? "." : "", name);
        if (collected->rows->len == LIMIT_EVENT_DETAILS * ROW_SIZE_BYTES) {
            return;
        }
        if (json_is_object(value) && depth < LIMIT_EVENT_DETAILS_DEPTH) {
            collect(collected, path, value, depth + 1);
        } else {
            add_value(collected, path, value);
        }
    }
}

ProtobufCBinaryData event_detail_hashes(struct http_request *request, json_t *details)
{
    ProtobufCBinaryData rows = {.len = 0, .data = NULL};
    struct collected collected = {request, &rows};

    if (json_object_size(details) > 0) {
        rows.data = http_alloc(request, LIMIT_EVENT_DETAILS * ROW_SIZE_BYTES);
        collect(&collected, "", details, 1);
    }
    assert(rows.len <= LIMIT_EVENT_DETAILS * ROW_SIZE_BYTES);
    return rows;
}
