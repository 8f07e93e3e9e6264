/*
 * Snapshots.
 *
 *     ┌──────────────────────────────┬──────────────────────────────────────────────────────────────────┐
 *     │ the copied LMDB file         │ foot: mark, format, size of the copy, index, term, SHA-256, CRC32C │
 *     └──────────────────────────────┴──────────────────────────────────────────────────────────────────┘
 *
 * What describes the copy stands behind it, so that the copy is written once and LMDB opens the file as it is (what
 * stands behind the last page does not concern it). Where the copy stands in the log is read from the copy itself:
 * the read transaction that it was taken from may be newer than anything known before.
 */
#include "storage/snapshot.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "consensus/machine/base/crc32c.h"
#include "storage/bytes.h"
#include "storage/failure.h"
#include "storage/files.h"
#include "storage/snapshot_file.h"
#include "storage/state_file.h"

#define MARK "TocsinSn"
#define MARK_SIZE_BYTES 8u
#define FORMAT 1u
#define FOOT_SIZE_BYTES 72u
#define PIECE_SIZE_BYTES (1u << 20)
#define SUFFIX ".snapshot"
#define GROWS_BYTES_MIN ((uint64_t)64 << 20)

struct foot {
    uint64_t copy_size_bytes, index, term;
    uint8_t sha256[SHA256_DIGEST_SIZE];
};

static void foot_encode(const struct foot *foot, uint8_t row[FOOT_SIZE_BYTES])
{
    memcpy(row, MARK, MARK_SIZE_BYTES);
    put_u64(row + 8, foot->copy_size_bytes);
    put_u64(row + 16, foot->index);
    put_u64(row + 24, foot->term);
    memcpy(row + 32, foot->sha256, sizeof foot->sha256);
    put_u32(row + 64, FORMAT);
    put_u32(row + 68, crc32c(0, row, 68));
}

static bool foot_decode(const uint8_t row[FOOT_SIZE_BYTES], uint64_t file_size_bytes, struct foot *foot)
{
    foot->copy_size_bytes = get_u64(row + 8);
    foot->index = get_u64(row + 16);
    foot->term = get_u64(row + 24);
    memcpy(foot->sha256, row + 32, sizeof foot->sha256);
    return memcmp(row, MARK, MARK_SIZE_BYTES) == 0 && get_u32(row + 64) == FORMAT &&
           get_u32(row + 68) == crc32c(0, row, 68) && foot->copy_size_bytes == file_size_bytes - FOOT_SIZE_BYTES;
}

/* ---- pieces of files */

static enum storage_error size_of(int fd, const char *path, uint64_t *size_bytes, struct storage_failure *failure)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return storage_fail_code(failure, errno, path, "read");
    }
    *size_bytes = (uint64_t)status.st_size;
    return STORAGE_OK;
}

static enum storage_error sync_file(int fd, const char *path, struct storage_failure *failure)
{
    return fsync(fd) == 0 ? STORAGE_OK : storage_fail_code(failure, errno, path, "sync");
}

/* Reads the first `size_bytes` of `fd` in pieces: into the hash, and into `to` unless that is -1. */
static enum storage_error pass_through(int fd, const char *path, uint64_t size_bytes, uint8_t *sha256, int to,
                                       const char *to_path, struct storage_failure *failure)
{
    uint8_t *piece = malloc(PIECE_SIZE_BYTES);
    if (!piece) {
        abort();
    }
    struct sha256_ctx hash;
    sha256_init(&hash);
    enum storage_error error = STORAGE_OK;
    for (uint64_t offset = 0; !error && offset < size_bytes;) {
        size_t wanted = size_bytes - offset < PIECE_SIZE_BYTES ? (size_t)(size_bytes - offset) : PIECE_SIZE_BYTES;
        size_t got;
        error = file_read(fd, path, offset, piece, wanted, &got, failure);
        if (!error && got != wanted) {
            error = storage_fail(failure, STORAGE_CORRUPT, "%.200s: the file has been cut off", path);
        }
        if (!error && to >= 0) {
            error = file_write(to, to_path, piece, got, failure);
        }
        sha256_update(&hash, got, piece);
        offset += got;
    }
    sha256_digest(&hash, SHA256_DIGEST_SIZE, sha256);
    free(piece);
    return error;
}

/* ---- reading one */

void snapshot_free(struct snapshot *snapshot)
{
    if (snapshot) {
        state_position_close(&snapshot->position);
        free(snapshot);
    }
}

static struct snapshot *snapshot_new(const char *path)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (!snapshot) {
        abort();
    }
    size_t size_bytes = strlen(path) + 1;
    assert(size_bytes <= sizeof snapshot->path);
    memcpy(snapshot->path, path, size_bytes);
    return snapshot;
}

static enum storage_error foot_read(int fd, const char *path, uint64_t file_size_bytes, struct foot *foot,
                                    struct storage_failure *failure)
{
    uint8_t row[FOOT_SIZE_BYTES];
    size_t read_bytes = 0;
    if (file_size_bytes > FOOT_SIZE_BYTES) {
        enum storage_error error =
            file_read(fd, path, file_size_bytes - FOOT_SIZE_BYTES, row, sizeof row, &read_bytes, failure);
        if (error) {
            return error;
        }
    }
    if (read_bytes != sizeof row || !foot_decode(row, file_size_bytes, foot)) {
        return storage_fail(failure, STORAGE_CORRUPT, "%.200s: not a whole snapshot", path);
    }
    return STORAGE_OK;
}

static enum storage_error check_contents(int fd, const struct foot *foot, struct snapshot *snapshot,
                                         struct storage_failure *failure)
{
    const char *path = snapshot->path;
    uint8_t sha256[SHA256_DIGEST_SIZE];
    enum storage_error error = pass_through(fd, path, foot->copy_size_bytes, sha256, -1, NULL, failure);
    if (error) {
        return error;
    }
    if (memcmp(sha256, foot->sha256, sizeof sha256) != 0) {
        return storage_fail(failure, STORAGE_CORRUPT, "%.200s: the hash of its contents is wrong", path);
    }
    memcpy(snapshot->sha256, sha256, sizeof sha256);
    if ((error = state_file_position(path, foot->copy_size_bytes, &snapshot->position, failure))) {
        return error;
    }
    if (snapshot->position.index != foot->index || snapshot->position.term != foot->term) {
        return storage_fail(failure, STORAGE_CORRUPT, "%.200s: its foot speaks of another position", path);
    }
    return STORAGE_OK;
}

enum storage_error snapshot_verify(const char *path, struct snapshot **snapshot, struct storage_failure *failure)
{
    *snapshot = NULL;
    int fd = strlen(path) < PATH_SIZE_BYTES ? open(path, O_RDONLY | O_CLOEXEC) : (errno = ENAMETOOLONG, -1);
    if (fd < 0) {
        return storage_fail_code(failure, errno, path, "open");
    }
    struct snapshot *new = snapshot_new(path);
    struct foot foot;
    enum storage_error error = size_of(fd, path, &new->size_bytes, failure);
    if (!error && !(error = foot_read(fd, path, new->size_bytes, &foot, failure))) {
        error = check_contents(fd, &foot, new, failure);
    }
    close(fd);
    if (error) {
        snapshot_free(new);
        return error;
    }
    *snapshot = new;
    return STORAGE_OK;
}

enum storage_error snapshot_read(const struct snapshot *snapshot, uint64_t offset, void *buffer, size_t size_bytes,
                                 size_t *read_bytes, struct storage_failure *failure)
{
    *read_bytes = 0;
    int fd = open(snapshot->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return storage_fail_code(failure, errno, snapshot->path, "open");
    }
    enum storage_error error = file_read(fd, snapshot->path, offset, buffer, size_bytes, read_bytes, failure);
    close(fd);
    return error;
}

/* ---- taking one */

/* Writes copy and foot to `fd`, whose file is `path`, and syncs. Fills all of *snapshot but its path. */
static enum storage_error write_snapshot(struct state_store *store, int fd, const char *path, struct snapshot *snapshot,
                                         struct storage_failure *failure)
{
    struct foot foot;
    uint8_t row[FOOT_SIZE_BYTES];
    enum storage_error error = state_store_copy(store, fd, path, failure);
    if (error || (error = size_of(fd, path, &foot.copy_size_bytes, failure)) ||
        (error = state_file_position(path, foot.copy_size_bytes, &snapshot->position, failure)) ||
        (error = pass_through(fd, path, foot.copy_size_bytes, foot.sha256, -1, NULL, failure))) {
        return error;
    }
    foot.index = snapshot->position.index;
    foot.term = snapshot->position.term;
    foot_encode(&foot, row);
    memcpy(snapshot->sha256, foot.sha256, sizeof foot.sha256);
    snapshot->size_bytes = foot.copy_size_bytes + FOOT_SIZE_BYTES;
    if (lseek(fd, 0, SEEK_END) < 0) {
        return storage_fail_code(failure, errno, path, "write");
    }
    if ((error = file_write(fd, path, row, sizeof row, failure))) {
        return error;
    }
    return sync_file(fd, path, failure);
}

static bool is_snapshot(const char *name)
{
    size_t size_bytes = strlen(name);
    return size_bytes > strlen(SUFFIX) && strcmp(name + size_bytes - strlen(SUFFIX), SUFFIX) == 0;
}

/* Removes the snapshots of a folder but the one that is named. */
static enum storage_error others_remove(const char *folder, const char *name, struct storage_failure *failure)
{
    DIR *listing = opendir(folder);
    if (!listing) {
        return storage_fail_code(failure, errno, folder, "list the directory");
    }
    enum storage_error error = STORAGE_OK;
    const struct dirent *row;
    while (!error && (errno = 0, row = readdir(listing))) {
        char path[PATH_SIZE_BYTES];
        if (is_snapshot(row->d_name) && strcmp(row->d_name, name) != 0 &&
            !(error = path_join(path, folder, row->d_name, failure))) {
            error = file_remove(path, failure);
        }
    }
    if (!error && errno) {
        error = storage_fail_code(failure, errno, folder, "list the directory");
    }
    closedir(listing);
    return error;
}

/* The finished file gets its name; older ones go. */
static enum storage_error publish(const char *folder, const char *part_path, struct snapshot *snapshot,
                                  struct storage_failure *failure)
{
    char name[64];
    int size_bytes = snprintf(name, sizeof name, "%020" PRIu64 "-%" PRIu64 SUFFIX, snapshot->position.index,
                              snapshot->position.term);
    assert(size_bytes > 0 && (size_t)size_bytes < sizeof name);
    enum storage_error error = path_join(snapshot->path, folder, name, failure);
    if (error) {
        return error;
    }
    if (rename(part_path, snapshot->path) != 0) {
        return storage_fail_code(failure, errno, snapshot->path, "give its name to");
    }
    if ((error = folder_sync(folder, failure))) {
        return error;
    }
    return others_remove(folder, name, failure);
}

bool snapshot_fits(uint64_t free_bytes, uint64_t state_size_bytes)
{
    uint64_t grows_bytes = state_size_bytes / 4 > GROWS_BYTES_MIN ? state_size_bytes / 4 : GROWS_BYTES_MIN;
    return free_bytes > state_size_bytes && free_bytes - state_size_bytes >= grows_bytes;
}

/* A copy that fills the disk takes the state and the log with it: a write that meets a full disk is this node's last, and whoever leads next is
 * asked for the same copy. */
static enum storage_error room_check(const struct state_store *store, const char *folder, struct storage_failure *failure)
{
    struct statvfs disk;
    if (statvfs(folder, &disk) != 0) {
        return storage_fail_code(failure, errno, folder, "look at the disk of");
    }
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    return snapshot_fits(free_bytes, state_store_size_bytes(store)) ? STORAGE_OK : storage_fail_code(failure, ENOSPC, folder, "copy the state to");
}

enum storage_error snapshot_take(struct state_store *store, const char *dir, struct snapshot **snapshot,
                                 struct storage_failure *failure)
{
    char folder[PATH_SIZE_BYTES], part_path[PATH_SIZE_BYTES];
    *snapshot = NULL;
    enum storage_error error = path_join(folder, dir, SNAPSHOTS_FOLDER, failure);
    if (error || (error = path_join(part_path, dir, SNAPSHOT_PART_FILE, failure)) ||
        (error = folder_make(folder, failure)) || (error = room_check(store, folder, failure))) {
        return error;
    }
    int fd = open(part_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return storage_fail_code(failure, errno, part_path, "create");
    }
    struct snapshot *new = snapshot_new("");
    if ((error = write_snapshot(store, fd, part_path, new, failure)) ||
        (error = publish(folder, part_path, new, failure))) {
        struct storage_failure ignored; /* the next one begins the file anew; the first failure is the one to tell */
        (void)file_remove(part_path, &ignored);
        snapshot_free(new);
        new = NULL;
    }
    close(fd);
    *snapshot = new;
    return error;
}

/* ---- receiving one */

enum storage_error snapshot_stage_chunk(const char *dir, uint64_t offset, const void *data, size_t size_bytes,
                                        struct storage_failure *failure)
{
    char folder[PATH_SIZE_BYTES], path[PATH_SIZE_BYTES];
    enum storage_error error = path_join(folder, dir, STAGING_FOLDER, failure);
    if (error || (error = path_join(path, dir, STAGED_FILE, failure)) ||
        (offset == 0 && (error = folder_make(folder, failure)))) {
        return error;
    }
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | (offset == 0 ? O_CREAT | O_TRUNC : 0), 0600);
    if (fd < 0) {
        return storage_fail_code(failure, errno, path, "open");
    }
    uint64_t staged_bytes = 0;
    error = size_of(fd, path, &staged_bytes, failure);
    if (!error && staged_bytes != offset) {
        error = storage_fail(failure, STORAGE_CORRUPT, "%.150s: a chunk for offset %" PRIu64 " came at %" PRIu64, path,
                             offset, staged_bytes);
    }
    if (!error) {
        error = file_write(fd, path, data, size_bytes, failure);
    }
    close(fd);
    return error;
}

enum storage_error snapshot_stage_finish(const char *dir, struct snapshot **snapshot, struct storage_failure *failure)
{
    char folder[PATH_SIZE_BYTES], path[PATH_SIZE_BYTES];
    *snapshot = NULL;
    enum storage_error error = path_join(folder, dir, STAGING_FOLDER, failure);
    if (error || (error = path_join(path, dir, STAGED_FILE, failure))) {
        return error;
    }
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return storage_fail_code(failure, errno, path, "open");
    }
    error = sync_file(fd, path, failure);
    close(fd);
    if (error || (error = folder_sync(folder, failure))) {
        return error;
    }
    return snapshot_verify(path, snapshot, failure);
}

/* ---- putting one in place */

enum storage_error snapshot_unpack(const char *dir, const struct snapshot *snapshot, struct storage_failure *failure)
{
    char new_path[PATH_SIZE_BYTES];
    enum storage_error error = path_join(new_path, dir, STATE_NEW_FILE, failure);
    if (error) {
        return error;
    }
    int from = open(snapshot->path, O_RDONLY | O_CLOEXEC);
    if (from < 0) {
        return storage_fail_code(failure, errno, snapshot->path, "open");
    }
    int to = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (to < 0) {
        error = storage_fail_code(failure, errno, new_path, "create");
        close(from);
        return error;
    }
    uint8_t sha256[SHA256_DIGEST_SIZE];
    error = pass_through(from, snapshot->path, snapshot->size_bytes - FOOT_SIZE_BYTES, sha256, to, new_path, failure);
    if (!error && memcmp(sha256, snapshot->sha256, sizeof sha256) != 0) {
        error = storage_fail(failure, STORAGE_CORRUPT, "%.200s: it changed after it was verified", snapshot->path);
    }
    if (!error) {
        error = sync_file(to, new_path, failure);
    }
    close(from);
    close(to);
    if (error) {
        struct storage_failure ignored; /* opening the state removes it too; the first failure is the one to tell */
        (void)file_remove(new_path, &ignored);
    }
    return error;
}

enum storage_error snapshot_install(const char *dir, const struct snapshot *snapshot, struct storage_failure *failure)
{
    enum storage_error error = folder_make(dir, failure);
    if (error || (error = snapshot_unpack(dir, snapshot, failure))) {
        return error;
    }
    return state_file_replace(dir, failure);
}
