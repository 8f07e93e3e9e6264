/*
 * Opening an LMDB environment.
 *
 * The format that is checked is that of LMDB 0.9 (lmdb's mdb.c, MDB_page and MDB_meta), in the machine's own byte
 * order and word size, as LMDB writes it. File pages 0 and 1 are meta pages; the one with the higher transaction
 * number counts.
 */
#include "storage/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/failure.h"

#define META_MAGIC 0xBEEFC0DEu
#define META_VERSION 1u
#define PAGE_IS_META 0x08u
#define PAGE_SIZE_MIN_BYTES 512u
#define PAGE_SIZE_MAX_BYTES 65536u
#define PAGE_NONE UINT64_MAX

struct file_tree {
    uint32_t pad; /* of the first tree of a meta page: the page size */
    uint16_t flags, depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

struct file_meta_page {
    uint64_t page;
    uint16_t pad, flags;
    uint32_t bounds;
    uint32_t magic, version;
    uint64_t address, map_size_bytes;
    struct file_tree free_pages, main;
    uint64_t last_page, transaction;
};

static bool root_fits(const struct file_tree *tree, const struct file_meta_page *meta)
{
    return tree->root == PAGE_NONE || (tree->root >= 2 && tree->root <= meta->last_page);
}

static bool meta_is_whole(const struct file_meta_page *meta, uint64_t bound_bytes)
{
    uint32_t page_size_bytes = meta->free_pages.pad;
    return (meta->flags & PAGE_IS_META) && meta->magic == META_MAGIC && meta->version == META_VERSION &&
           page_size_bytes >= PAGE_SIZE_MIN_BYTES && page_size_bytes <= PAGE_SIZE_MAX_BYTES &&
           (page_size_bytes & (page_size_bytes - 1)) == 0 && meta->last_page >= 1 &&
           meta->last_page < bound_bytes / page_size_bytes && root_fits(&meta->free_pages, meta) &&
           root_fits(&meta->main, meta);
}

/* A fresh (empty) file is fine. *needed_bytes is the size that both meta pages speak of. */
static enum storage_error check_metas(int fd, const char *path, uint64_t size_bytes, size_t map_size_bytes,
                                      uint64_t *needed_bytes, struct storage_failure *failure)
{
    struct file_meta_page metas[2];
    uint64_t bound_bytes = size_bytes > map_size_bytes ? size_bytes : map_size_bytes;
    uint64_t offset = 0;
    for (int i = 0; i < 2; i++) {
        size_t read_bytes;
        enum storage_error error = file_read(fd, path, offset, &metas[i], sizeof metas[i], &read_bytes, failure);
        if (error) {
            return error;
        }
        if (read_bytes != sizeof metas[i] || !meta_is_whole(&metas[i], bound_bytes) || metas[i].page != (uint64_t)i ||
            metas[i].free_pages.pad != metas[0].free_pages.pad) {
            return storage_fail(failure, STORAGE_CORRUPT, "%.200s: meta page %d is damaged", path, i);
        }
        offset = metas[0].free_pages.pad;
        uint64_t pages_bytes = (metas[i].last_page + 1) * metas[i].free_pages.pad;
        if (*needed_bytes < pages_bytes) {
            *needed_bytes = pages_bytes;
        }
    }
    return STORAGE_OK;
}

/*
 * LMDB does not write pages that it allocated and gave back within one transaction, so a sound file may end a little
 * before its last page; reading there through the map would be SIGBUS. The file is made as long as it claims: pages
 * that had been cut off read as zeros, which LMDB answers with MDB_CORRUPTED.
 */
static enum storage_error check_file(const char *path, size_t map_size_bytes, bool read_only,
                                     struct storage_failure *failure)
{
    int fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT && !read_only ? STORAGE_OK : storage_fail_code(failure, errno, path, "open");
    }
    struct stat status;
    uint64_t needed_bytes = 0;
    enum storage_error error = STORAGE_OK;
    if (fstat(fd, &status) != 0) {
        error = storage_fail_code(failure, errno, path, "read");
    } else if (!S_ISREG(status.st_mode)) {
        error = storage_fail(failure, STORAGE_UNREADABLE, "%.200s: not a regular file", path);
    } else if (status.st_size > 0 || read_only) {
        error = check_metas(fd, path, (uint64_t)status.st_size, map_size_bytes, &needed_bytes, failure);
    }
    if (!error && needed_bytes > (uint64_t)status.st_size) {
        if (read_only) {
            error = storage_fail(failure, STORAGE_CORRUPT, "%.200s: the file has been cut off", path);
        } else if (ftruncate(fd, (off_t)needed_bytes) != 0) {
            error = storage_fail_code(failure, errno, path, "extend");
        }
    }
    close(fd);
    return error;
}

enum storage_error environment_open(struct environment *environment, size_t map_size_bytes, unsigned databases,
                                    unsigned flags, struct storage_failure *failure)
{
    const char *path = environment->path;
    bool read_only = flags & MDB_RDONLY;
    environment->lmdb = NULL;
    enum storage_error error = check_file(path, map_size_bytes, read_only, failure);
    if (error) {
        return error;
    }
    MDB_env *lmdb = NULL;
    int code = mdb_env_create(&lmdb);
    if (code) {
        return storage_fail_code(failure, code, path, "open");
    }
    if ((code = mdb_env_set_mapsize(lmdb, map_size_bytes)) || (code = mdb_env_set_maxdbs(lmdb, databases)) ||
        /* Read-ahead stays on: a restart reads whole tables. */
        (code = mdb_env_open(lmdb, path, flags | MDB_NOSUBDIR | MDB_NOTLS | (read_only ? MDB_NOLOCK : 0), 0600))) {
        mdb_env_close(lmdb);
        return storage_fail_code(failure, code, path, "open");
    }
    int dead = 0;
    if (!read_only && (code = mdb_reader_check(lmdb, &dead))) {
        mdb_env_close(lmdb);
        return storage_fail_code(failure, code, path, "clear dead readers of it");
    }
    environment->lmdb = lmdb;
    return STORAGE_OK;
}

void environment_close(struct environment *environment)
{
    if (environment->lmdb) {
        mdb_env_close(environment->lmdb);
        environment->lmdb = NULL;
    }
}

uint64_t environment_size_bytes(const struct environment *environment)
{
    struct stat status;
    return stat(environment->path, &status) == 0 ? (uint64_t)status.st_size : 0;
}
