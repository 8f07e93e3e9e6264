/*
 * Snapshots on their way to a follower that fell behind the log.
 *
 *     leader:   prepare (a compacted copy, on a helper thread) ─> BEGIN ─> CHUNK ... (a window in flight) ─> last chunk
 *     follower: stage ─> ACK each chunk ─> verify (helper thread) ─> ready: to the driver, as InstallSnapshot
 *
 * One transfer per peer and direction at a time; a transfer that makes no progress for a bound is given up, and the
 * core's next heartbeat asks again. The file itself says where in the log it stands; that, not what the core asked for,
 * is what the follower installs.
 */
#ifndef CONSENSUS_SNAPSHOT_TRANSFER_H
#define CONSENSUS_SNAPSHOT_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/driver/driver.h"
#include "consensus/transport/transport.h"

#define SNAPSHOT_CHUNK_SIZE_BYTES (256u << 10)
#define SNAPSHOT_WINDOW_CHUNKS 8u
#define SNAPSHOT_STALL_MS 10000u

/* All asynchronous: the matching snapshot_transfer_* call reports back on the loop's thread, never from inside the port
 * call. */
struct snapshot_transfer_ports {
    void *context;
    uint64_t (*now_ms)(void *context);
    bool (*send)(void *context, uint64_t peer, enum frame_type type, struct span head, struct span tail);

    /* Sender: a snapshot of at least this index, size known; reported by snapshot_transfer_prepared. It is kept until
     * `release`. */
    void (*prepare)(void *context, uint64_t at_least_index);
    /* Sender: reported by snapshot_transfer_chunk_read. */
    void (*read_chunk)(void *context, uint64_t peer, uint64_t offset, uint32_t size_bytes);
    void (*release)(void *context);

    /* Receiver: reported by snapshot_transfer_chunk_staged; offset 0 begins anew. The data is copied. One stage_chunk
     * or verify at a time. While a snapshot that was `ready` is being installed, the port reports ok = false: the
     * staged file must not be overwritten. */
    void (*stage_chunk)(void *context, uint64_t offset, struct span data);
    /* Receiver: verify; reported by snapshot_transfer_verified. */
    void (*verify)(void *context);
    /* Receiver: whole and verified; goes to driver_receive_snapshot. */
    void (*ready)(void *context, uint64_t peer, uint64_t term, const struct driver_position *position);
};

struct snapshot_transfer;

struct snapshot_transfer *snapshot_transfer_new(const struct snapshot_transfer_ports *ports);
void snapshot_transfer_free(struct snapshot_transfer *transfer);

/* The driver's send_snapshot port leads here. */
void snapshot_transfer_start(struct snapshot_transfer *transfer, uint64_t peer, uint64_t term, uint64_t at_least_index);
/* No longer the leader, or another term: sending ends. */
void snapshot_transfer_stop_sending(struct snapshot_transfer *transfer);
void snapshot_transfer_frame(struct snapshot_transfer *transfer, uint64_t peer, enum frame_type type, struct span body);
/* Called at least once a second: gives up what stalls. */
void snapshot_transfer_tick(struct snapshot_transfer *transfer);

void snapshot_transfer_prepared(struct snapshot_transfer *transfer, bool ok, uint64_t index, uint64_t size_bytes);
void snapshot_transfer_chunk_read(struct snapshot_transfer *transfer, uint64_t peer, uint64_t offset,
                                  struct span data, bool ok);
void snapshot_transfer_chunk_staged(struct snapshot_transfer *transfer, uint64_t offset, bool ok);
void snapshot_transfer_verified(struct snapshot_transfer *transfer, bool ok, const struct driver_position *position);

/* For /cluster: true while a snapshot is on its way to the peer (0: to anyone) or from one. */
bool snapshot_transfer_sending(const struct snapshot_transfer *transfer, uint64_t peer);
bool snapshot_transfer_receiving(const struct snapshot_transfer *transfer);

#endif
