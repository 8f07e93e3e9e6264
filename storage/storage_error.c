/* The sentences of storage errors, and how they are filled in. */
#include "storage/storage_error.h"

#include <errno.h>
#include <lmdb.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "storage/failure.h"

/* Less than this is not enough for a group of entries at their limit. */
#define FULL_DISK_BYTES (8u << 20)

static const char *const sentences[] = {
    [STORAGE_OK] = "no error",
    [STORAGE_NOT_FOUND] = "there is no such row",
    [STORAGE_CORRUPT] = "the file is damaged",
    [STORAGE_FULL] = "the disk or the map is full",
    [STORAGE_IO] = "reading, writing or syncing failed",
    [STORAGE_UNREADABLE] = "the file or its directory cannot be opened",
    [STORAGE_IN_USE] = "another process has it open",
    [STORAGE_NO_MEMORY] = "memory is exhausted",
    [STORAGE_STOPPED] = "an earlier write failed, nothing more is accepted",
};

const char *storage_error_message(enum storage_error error)
{
    if ((unsigned)error >= sizeof sentences / sizeof sentences[0]) {
        return "unknown error";
    }
    return sentences[error];
}

enum storage_error storage_fail(struct storage_failure *failure, enum storage_error error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    failure->error = error;
    if (vsnprintf(failure->message, sizeof failure->message, format, arguments) < 0) {
        failure->message[0] = '\0';
    }
    va_end(arguments);
    return error;
}

static const struct {
    int code;
    enum storage_error error;
} kinds[] = {
    {ENOSPC, STORAGE_FULL},
    {EDQUOT, STORAGE_FULL},
    {EFBIG, STORAGE_FULL},
    {MDB_MAP_FULL, STORAGE_FULL},
    {EACCES, STORAGE_UNREADABLE},
    {EPERM, STORAGE_UNREADABLE},
    {ENOENT, STORAGE_UNREADABLE},
    {ENOTDIR, STORAGE_UNREADABLE},
    {EISDIR, STORAGE_UNREADABLE},
    {EROFS, STORAGE_UNREADABLE},
    {ELOOP, STORAGE_UNREADABLE},
    {ENAMETOOLONG, STORAGE_UNREADABLE},
    {ENOMEM, STORAGE_NO_MEMORY},
    {MDB_NOTFOUND, STORAGE_NOT_FOUND},
    {MDB_PAGE_NOTFOUND, STORAGE_CORRUPT},
    {MDB_CORRUPTED, STORAGE_CORRUPT},
    {MDB_VERSION_MISMATCH, STORAGE_CORRUPT},
    {MDB_INVALID, STORAGE_CORRUPT},
    {MDB_INCOMPATIBLE, STORAGE_CORRUPT},
    {MDB_CURSOR_FULL, STORAGE_CORRUPT},
};

/* LMDB answers a write that was cut short with EIO; where the disk has no room left, that was the reason. */
static int true_code(int code, const char *path)
{
    struct statvfs disk;
    bool full = code == EIO && statvfs(path, &disk) == 0 && disk.f_bavail * disk.f_frsize < FULL_DISK_BYTES;
    return full ? ENOSPC : code;
}

enum storage_error storage_fail_code(struct storage_failure *failure, int code, const char *path, const char *action)
{
    enum storage_error error = STORAGE_IO;
    code = true_code(code, path);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].code == code) {
            error = kinds[i].error;
        }
    }
    /* Not mdb_strerror for errno values: it calls strerror, which threads share. */
    char buffer[128];
    const char *cause = code < 0 ? mdb_strerror(code) : strerror_r(code, buffer, sizeof buffer);
    /* A long path must not push the cause out of the sentence. */
    return storage_fail(failure, error, "%.120s: cannot %s: %s", path, action, cause);
}
