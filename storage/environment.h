/* An LMDB environment in one file, checked before LMDB trusts it (pages.h). */
#ifndef STORAGE_ENVIRONMENT_H
#define STORAGE_ENVIRONMENT_H

#include <lmdb.h>
#include <stdint.h>

#include "storage/files.h"
#include "storage/storage_error.h"

struct environment {
    MDB_env *lmdb;              /* NULL while closed */
    char path[PATH_SIZE_BYTES]; /* set by the owner before it opens, and never again */
};

/* `flags` are LMDB's, beside MDB_NOSUBDIR and MDB_NOTLS. With MDB_RDONLY nothing is created or changed, and no lock
 * file is used. On error environment->lmdb is NULL. */
enum storage_error environment_open(struct environment *environment, size_t map_size_bytes, unsigned databases,
                                    unsigned flags, struct storage_failure *failure);
void environment_close(struct environment *environment);

uint64_t environment_size_bytes(const struct environment *environment);

#endif
