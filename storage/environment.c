/* Opening an LMDB environment. */
#include "storage/environment.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/failure.h"
#include "storage/pages.h"

/* An environment with nothing in it, synced. */
static enum storage_error make_at(const char *path, size_t map_size_bytes, struct storage_failure *failure)
{
    MDB_env *lmdb = NULL;
    int code = mdb_env_create(&lmdb);
    if (code) {
        return storage_fail_code(failure, code, path, "create");
    }
    if (!(code = mdb_env_set_mapsize(lmdb, map_size_bytes)) &&
        !(code = mdb_env_open(lmdb, path, MDB_NOSUBDIR | MDB_NOTLS | MDB_NOLOCK, 0600))) {
        code = mdb_env_sync(lmdb, 1);
    }
    mdb_env_close(lmdb);
    return code ? storage_fail_code(failure, code, path, "create") : STORAGE_OK;
}

/*
 * LMDB writes the meta pages of a new file without a sync: a power cut before the first commit could leave half of
 * them, which nobody can tell from damage. So the file gets its name once it is whole. The caller syncs the folder.
 */
static enum storage_error make(const char *path, size_t map_size_bytes, struct storage_failure *failure)
{
    char new_path[PATH_SIZE_BYTES];
    int size_bytes = snprintf(new_path, sizeof new_path, "%s.making", path);
    if (size_bytes < 0 || size_bytes >= PATH_SIZE_BYTES) {
        return storage_fail_code(failure, ENAMETOOLONG, path, "use so long a path");
    }
    enum storage_error error = file_remove(new_path, failure); /* of a start that was cut off */
    if (error) {
        return error;
    }
    error = make_at(new_path, map_size_bytes, failure);
    if (!error && rename(new_path, path) != 0) {
        error = storage_fail_code(failure, errno, path, "create");
    }
    if (error) {
        struct storage_failure ignored; /* the next start removes it too; the first failure is the one to tell */
        (void)file_remove(new_path, &ignored);
    }
    return error;
}

enum storage_error environment_open(struct environment *environment, size_t map_size_bytes, unsigned databases,
                                    unsigned flags, struct storage_failure *failure)
{
    const char *path = environment->path;
    bool read_only = flags & MDB_RDONLY;
    environment->lmdb = NULL;
    /* One that is not there is made, but not by a reader. */
    enum storage_error error =
        read_only || access(path, F_OK) == 0 ? STORAGE_OK : make(path, map_size_bytes, failure);
    if (error || (error = pages_check(path, map_size_bytes, failure))) {
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
