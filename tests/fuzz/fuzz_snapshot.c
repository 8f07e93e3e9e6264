/*
 * A snapshot that arrives in chunks: refused when it is not what its sender took, and harmless even when its hash is
 * right but its pages are not.
 *
 *     input: 1 (its sender hashes what it sends) or not │ size of chunks │ what is damaged, edit by edit
 */
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/base/crc32c.h"
#include "storage/bytes.h"
#include "storage/files.h"
#include "storage/snapshot.h"
#include "tests/fuzz/state_files.h"
#include "tests/support/scratch_dir.h"

#define EDITS_MAX 8u
#define FOOT_SIZE_BYTES 72u

static struct scratch_dir sender, receiver;
static struct file_bytes whole;

static void leave_homes(void)
{
    scratch_dir_remove(&sender);
    scratch_dir_remove(&receiver);
    free(whole.bytes);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct state_store *store;
    struct snapshot *snapshot;
    struct storage_failure failure;

    (void)argc;
    (void)argv;
    sender = scratch_dir_make();
    receiver = scratch_dir_make();
    atexit(leave_homes);
    state_files_make(sender.path);
    fuzz_require(state_store_open(sender.path, STATE_MAP_SIZE_BYTES, &store, &failure) == STORAGE_OK);
    fuzz_require(snapshot_take(store, sender.path, &snapshot, &failure) == STORAGE_OK);
    state_store_close(store);
    whole = file_bytes_read(snapshot->path);
    snapshot_free(snapshot);
    return 0;
}

/* As storage/snapshot.c writes it: mark 8, size 8, index 8, term 8, SHA-256, format 4, CRC32C 4. */
static void hash_again(struct file_bytes *file)
{
    struct sha256_ctx hash;

    if (file->size_bytes < FOOT_SIZE_BYTES) {
        return;
    }
    uint8_t *foot = file->bytes + file->size_bytes - FOOT_SIZE_BYTES;
    put_u64(foot + 8, file->size_bytes - FOOT_SIZE_BYTES);
    sha256_init(&hash);
    sha256_update(&hash, file->size_bytes - FOOT_SIZE_BYTES, file->bytes);
    sha256_digest(&hash, SHA256_DIGEST_SIZE, foot + 32);
    put_u32(foot + 68, crc32c(0, foot, 68));
}

/* The foot is where it was, whatever was cut or added before it. */
static void keep_foot(struct file_bytes *file)
{
    if (file->size_bytes + FOOT_SIZE_BYTES <= whole.size_bytes + FOOT_SIZE_BYTES) {
        memcpy(file->bytes + file->size_bytes, whole.bytes + whole.size_bytes - FOOT_SIZE_BYTES, FOOT_SIZE_BYTES);
        file->size_bytes += FOOT_SIZE_BYTES;
    }
}

static bool stage(const struct file_bytes *file, size_t chunk_size_bytes)
{
    struct storage_failure failure;

    for (size_t offset = 0; offset < file->size_bytes || offset == 0;) {
        size_t left = file->size_bytes - offset;
        size_t size = left < chunk_size_bytes ? left : chunk_size_bytes;
        fuzz_require(snapshot_stage_chunk(receiver.path, offset, file->bytes + offset, size, &failure) == STORAGE_OK);
        if (offset > 0) { /* the same again does not fit */
            fuzz_require(snapshot_stage_chunk(receiver.path, offset, file->bytes, size, &failure) == STORAGE_CORRUPT);
        }
        offset += size;
        if (size == 0) {
            return false;
        }
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct fuzz_input input = fuzz_input(data, size_bytes);
    bool hashed = fuzz_byte(&input) == 1;
    size_t chunk_size_bytes = 20000 + fuzz_number(&input, 2);
    struct file_bytes file = file_bytes_copy(&whole);
    struct snapshot *snapshot = NULL;
    struct storage_failure failure;

    if (hashed) {
        file.size_bytes -= FOOT_SIZE_BYTES;
        file_bytes_hurt(&file, &input, EDITS_MAX);
        keep_foot(&file);
        hash_again(&file);
    } else {
        file_bytes_hurt(&file, &input, EDITS_MAX);
    }
    bool hurt = file.size_bytes != whole.size_bytes || memcmp(file.bytes, whole.bytes, whole.size_bytes) != 0;
    if (stage(&file, chunk_size_bytes)) {
        enum storage_error error = snapshot_stage_finish(receiver.path, &snapshot, &failure);
        fuzz_require(error == STORAGE_OK || snapshot == NULL);
        fuzz_require(hurt || error == STORAGE_OK);
        fuzz_require(!hurt || hashed || error == STORAGE_CORRUPT);
        if (error == STORAGE_OK) {
            fuzz_require(snapshot->position.index == 2 && snapshot->position.term == 3);
            fuzz_require(snapshot_install(receiver.path, snapshot, &failure) == STORAGE_OK);
            (void)state_files_use(receiver.path); /* it may yet be refused */
        }
        snapshot_free(snapshot);
    }
    free(file.bytes);
    return 0;
}
