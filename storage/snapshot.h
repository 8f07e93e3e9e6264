/*
 * A snapshot: a compacted copy of the state environment with a foot that says where in the log it stands and how it
 * hashes. The same file is a backup.
 *
 *     <dir>/snapshots/<index>-<term>.snapshot       the copied LMDB file, then the foot
 *     <dir>/staging/incoming.snapshot               one that arrives in chunks
 *
 * Taking one and checking one take long: helper threads call these (each call blocks).
 */
#ifndef STORAGE_SNAPSHOT_H
#define STORAGE_SNAPSHOT_H

#include <stdint.h>

#include "storage/state_store.h"

struct snapshot {
    struct state_position position;
    uint64_t size_bytes; /* of the whole file, foot included */
    uint8_t sha256[32];  /* of everything before the foot */
    char path[4096];
};

void snapshot_free(struct snapshot *snapshot);

/* Whether so much free space holds a copy of the state, and what the state grows by meanwhile: pages that the copy reads are not used again. */
bool snapshot_fits(uint64_t free_bytes, uint64_t state_size_bytes);

/* Copies the state as of now while writes go on; the file and its folder are synced. Older snapshots there are
 * removed, also one that is being sent: its next snapshot_read fails with STORAGE_UNREADABLE. STORAGE_FULL when it does
 * not fit the disk, or would leave no room for the writes beside it. On error *snapshot is NULL and nothing new is
 * there. */
enum storage_error snapshot_take(struct state_store *store, const char *dir, struct snapshot **snapshot,
                                 struct storage_failure *failure);

/* Reads the foot of a file and checks the hash of its contents, and that LMDB opens it. STORAGE_CORRUPT when it is
 * not whole. */
enum storage_error snapshot_verify(const char *path, struct snapshot **snapshot, struct storage_failure *failure);

/* A piece of a snapshot's file, for sending; *read_bytes is less than size only at the end. */
enum storage_error snapshot_read(const struct snapshot *snapshot, uint64_t offset, void *buffer, size_t size_bytes,
                                 size_t *read_bytes, struct storage_failure *failure);

/* Staging what arrives: chunks in order from offset 0 (which starts anew). STORAGE_CORRUPT for any other offset than
 * the staged size, and nothing is written. */
enum storage_error snapshot_stage_chunk(const char *dir, uint64_t offset, const void *data, size_t size_bytes,
                                        struct storage_failure *failure);
/* Syncs and verifies the staged file. */
enum storage_error snapshot_stage_finish(const char *dir, struct snapshot **snapshot, struct storage_failure *failure);

/* Puts a verified snapshot in the place of `dir`/state.mdb: extracted beside it, synced, renamed, folder synced. The
 * state store must be closed. A crash leaves either the old or the new state. The snapshot's own file stays. */
enum storage_error snapshot_install(const char *dir, const struct snapshot *snapshot, struct storage_failure *failure);

#endif
