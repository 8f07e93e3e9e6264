/* Opening an LMDB environment. */
#include "storage/environment.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/failure.h"
#include "storage/pages.h"

enum storage_error environment_open(struct environment *environment, size_t map_size_bytes, unsigned databases,
                                    unsigned flags, struct storage_failure *failure)
{
    const char *path = environment->path;
    bool read_only = flags & MDB_RDONLY;
    environment->lmdb = NULL;
    /* One that is not there is made, but not by a reader. */
    if (read_only || access(path, F_OK) == 0) {
        enum storage_error error = pages_check(path, map_size_bytes, failure);
        if (error) {
            return error;
        }
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
