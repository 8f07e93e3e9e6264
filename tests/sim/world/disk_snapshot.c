/* Snapshots on the simulated disk: the rows as bytes, with their position before them, and room behind, as a database's file has it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/planted.h"
#include "consensus/machine/records.h"
#include "consensus/transport/wire.h"
#include "tests/sim/world/disk_internal.h"

#define HEAD_SIZE_BYTES 40u
#define ROOM_SIZE_BYTES_MAX (3u << 20) /* some dozen chunks */

static void drop_deadlines(struct rows *rows) {
    struct machine_store view = rows_view(rows);
    for (struct walk walk = walk_all(&view, TABLE_DEADLINE); walk_next(&walk); walk = walk_all(&view, TABLE_DEADLINE))
        view.del(view.context, TABLE_DEADLINE, key_span(&walk.position));
}

static void prepared(struct disk *disk, void *argument) {
    (void)argument;
    free(disk->outgoing);
    const struct state_position *position = &disk->committed.position;
    uint8_t *bytes;
    size_t size_bytes, head_size_bytes = HEAD_SIZE_BYTES + position->configuration_size_bytes;
    struct rows *rows = rows_version(disk->committed.rows);
    if (planted(SNAPSHOT_WITHOUT_DEADLINES)) drop_deadlines(rows);
    rows_pack(rows, &bytes, &size_bytes);
    rows_free(rows);
    disk->outgoing_size_bytes = head_size_bytes + size_bytes + sim_random(disk->sim, ROOM_SIZE_BYTES_MAX);
    disk->outgoing = calloc(1, disk->outgoing_size_bytes);
    if (disk->outgoing == NULL) abort();
    wire_put_u64(disk->outgoing, position->index);
    wire_put_u64(disk->outgoing + 8, position->term);
    wire_put_u64(disk->outgoing + 16, position->configuration_index);
    wire_put_u64(disk->outgoing + 24, position->configuration_size_bytes);
    wire_put_u64(disk->outgoing + 32, size_bytes);
    memcpy(disk->outgoing + HEAD_SIZE_BYTES, position->configuration, position->configuration_size_bytes);
    memcpy(disk->outgoing + head_size_bytes, bytes, size_bytes);
    free(bytes);
    sim_count(disk->sim, "snapshots taken", 1);
    disk->listener.prepared(disk->listener.context, true, position->index, disk->outgoing_size_bytes);
}

static void port_snapshot_prepare(void *context) {
    struct disk *disk = disk_from(context);
    disk_later_on_loop(disk, disk_latency_ms(disk) + sim_between(disk->sim, 1, 50), prepared, NULL);
}

static void port_snapshot_release(void *context) {
    struct disk *disk = disk_from(context);
    free(disk->outgoing);
    disk->outgoing = NULL;
}

struct piece {
    uint64_t peer, offset;
    size_t size_bytes;
    uint8_t data[];
};

static struct piece *piece_new(uint64_t peer, uint64_t offset, const uint8_t *data, size_t size_bytes) {
    struct piece *piece = malloc(sizeof *piece + size_bytes);
    if (piece == NULL) abort();
    piece->peer = peer;
    piece->offset = offset;
    piece->size_bytes = size_bytes;
    if (size_bytes > 0) memcpy(piece->data, data, size_bytes);
    return piece;
}

static void was_read(struct disk *disk, void *argument) {
    struct piece *piece = argument;
    disk->listener.read(disk->listener.context, piece->peer, piece->offset, (struct span){piece->data, piece->size_bytes}, true);
    free(piece);
}

static void port_snapshot_read(void *context, uint64_t peer, uint64_t offset, uint32_t size_bytes) {
    struct disk *disk = disk_from(context);
    assert(disk->outgoing != NULL && offset <= disk->outgoing_size_bytes);
    size_t left_bytes = disk->outgoing_size_bytes - (size_t)offset;
    size_t piece_bytes = left_bytes < size_bytes ? left_bytes : size_bytes;
    disk_later_on_loop(disk, sim_between(disk->sim, 0, 3), was_read, piece_new(peer, offset, disk->outgoing + offset, piece_bytes));
}

static void was_staged(struct disk *disk, void *argument) {
    struct piece *piece = argument;
    bool ok = piece->offset == 0 || piece->offset == disk->staged_size_bytes;
    if (ok) {
        size_t size_bytes = (size_t)piece->offset + piece->size_bytes;
        if (size_bytes > disk->staged_capacity) {
            disk->staged_capacity = size_bytes * 2;
            disk->staged = realloc(disk->staged, disk->staged_capacity);
            if (disk->staged == NULL) abort();
        }
        memcpy(disk->staged + piece->offset, piece->data, piece->size_bytes);
        disk->staged_size_bytes = size_bytes;
        sim_count(disk->sim, "snapshot chunks", 1);
    }
    uint64_t offset = piece->offset;
    free(piece);
    disk->listener.staged(disk->listener.context, offset, ok);
}

static void port_snapshot_stage(void *context, uint64_t offset, struct span data) {
    struct disk *disk = disk_from(context);
    disk_later_on_loop(disk, sim_between(disk->sim, 0, 3), was_staged, piece_new(0, offset, data.data, data.size_bytes));
}

static bool unpack(struct disk *disk) {
    if (disk->staged_size_bytes < HEAD_SIZE_BYTES) return false;
    struct wire_reader reader = wire_reader((struct span){disk->staged, disk->staged_size_bytes});
    struct state_position position = {0};
    position.index = wire_read_u64(&reader);
    position.term = wire_read_u64(&reader);
    position.configuration_index = wire_read_u64(&reader);
    uint64_t configuration_size_bytes = wire_read_u64(&reader), rows_size_bytes = wire_read_u64(&reader);
    if (configuration_size_bytes > disk->staged_size_bytes - HEAD_SIZE_BYTES) return false;
    size_t head_size_bytes = HEAD_SIZE_BYTES + (size_t)configuration_size_bytes;
    if (rows_size_bytes > disk->staged_size_bytes - head_size_bytes) return false;
    struct rows *rows = rows_unpack(disk->staged + head_size_bytes, (size_t)rows_size_bytes);
    if (rows == NULL) return false;
    disk_version_close(&disk->verified);
    disk->verified.rows = rows;
    position.configuration_size_bytes = (size_t)configuration_size_bytes;
    position.configuration = malloc(position.configuration_size_bytes + 1);
    if (position.configuration == NULL) abort();
    memcpy(position.configuration, disk->staged + HEAD_SIZE_BYTES, position.configuration_size_bytes);
    disk->verified.position = position;
    return true;
}

static void verify(struct disk *disk, void *argument) {
    (void)argument;
    bool ok = unpack(disk);
    if (!ok) sim_count(disk->sim, "snapshots refused", 1);
    disk->listener.verified(disk->listener.context, ok, ok ? &disk->verified.position : NULL);
}

static void port_snapshot_verify(void *context) {
    struct disk *disk = disk_from(context);
    disk_later_on_loop(disk, disk_latency_ms(disk) + sim_between(disk->sim, 1, 20), verify, NULL);
}

void disk_snapshot_ports(struct engine_ports *ports) {
    ports->snapshot_prepare = port_snapshot_prepare;
    ports->snapshot_release = port_snapshot_release;
    ports->snapshot_read = port_snapshot_read;
    ports->snapshot_stage = port_snapshot_stage;
    ports->snapshot_verify = port_snapshot_verify;
}

void disk_snapshot_close(struct disk *disk) {
    free(disk->outgoing);
    free(disk->staged);
    disk->outgoing = disk->staged = NULL;
    disk->staged_size_bytes = disk->staged_capacity = 0;
    disk_version_close(&disk->verified);
}
