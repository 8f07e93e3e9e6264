/* See members.h. The encoding is libraft's: version, count, then id, address (NUL-terminated) and role of each. */
#include "consensus/members.h"

#include <stdlib.h>
#include <string.h>

#include "consensus/transport/wire.h"

#define ENCODING_VERSION 1

bool members_valid(const void *data, size_t size_bytes)
{
    struct wire_reader reader = wire_reader((struct span){data, size_bytes});
    if (wire_read_u8(&reader) != ENCODING_VERSION) {
        return false;
    }
    uint64_t count = wire_read_u64(&reader);
    if (reader.failed || count == 0 || count > MEMBERS_MAX) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t id = wire_read_u64(&reader);
        const uint8_t *end = reader.left > 0 ? memchr(reader.at, 0, reader.left) : NULL;
        if (id == 0 || end == NULL) {
            return false;
        }
        (void)wire_read_bytes(&reader, (size_t)(end - reader.at) + 1);
        uint8_t role = wire_read_u8(&reader);
        if (role != RAFT_STANDBY && role != RAFT_VOTER && role != RAFT_SPARE) {
            return false;
        }
    }
    return !reader.failed;
}

bool members_decode(const void *data, size_t size_bytes, struct raft_configuration *out)
{
    if (!members_valid(data, size_bytes)) {
        return false;
    }
    /* The library's buffer is not const, though the decoder only reads it. */
    void *copy = malloc(size_bytes);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, data, size_bytes);
    struct raft_buffer buffer = {copy, size_bytes};
    int rv = raft_configuration_decode(&buffer, out);
    free(copy);
    return rv == 0; /* a member named twice is refused here */
}

const struct raft_server *members_find(const struct raft_configuration *configuration, uint64_t id)
{
    for (unsigned i = 0; i < configuration->n; i++) {
        if (configuration->servers[i].id == id) {
            return &configuration->servers[i];
        }
    }
    return NULL;
}

unsigned members_voters(const struct raft_configuration *configuration)
{
    unsigned voters = 0;
    for (unsigned i = 0; i < configuration->n; i++) {
        voters += configuration->servers[i].role == RAFT_VOTER;
    }
    return voters;
}

bool members_is_voter(const struct raft_configuration *configuration, uint64_t id)
{
    const struct raft_server *server = members_find(configuration, id);
    return server != NULL && server->role == RAFT_VOTER;
}
