/* Files and folders of the data directory. */
#include "storage/files.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/failure.h"

enum storage_error path_join(char *path, const char *dir, const char *name, struct storage_failure *failure)
{
    int size_bytes = snprintf(path, PATH_SIZE_BYTES, "%s/%s", dir, name);
    if (size_bytes < 0 || size_bytes >= PATH_SIZE_BYTES) {
        return storage_fail_code(failure, ENAMETOOLONG, dir, "use so long a path");
    }
    return STORAGE_OK;
}

/* Not where it belongs to somebody else, who then made the folder in it, too. */
static enum storage_error parent_sync(const char *path, struct storage_failure *failure)
{
    char copy[PATH_SIZE_BYTES];
    int size_bytes = snprintf(copy, sizeof copy, "%s", path);
    if (size_bytes < 0 || size_bytes >= PATH_SIZE_BYTES) {
        return storage_fail_code(failure, ENAMETOOLONG, path, "use so long a path");
    }
    const char *parent = dirname(copy);
    return access(parent, R_OK | W_OK) == 0 ? folder_sync(parent, failure) : STORAGE_OK;
}

enum storage_error folder_make(const char *path, struct storage_failure *failure)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return storage_fail_code(failure, errno, path, "create the directory");
    }
    struct stat status;
    if (stat(path, &status) != 0) {
        return storage_fail_code(failure, errno, path, "read the directory");
    }
    if (!S_ISDIR(status.st_mode)) {
        return storage_fail_code(failure, ENOTDIR, path, "use it as a directory");
    }
    if (access(path, R_OK | W_OK | X_OK) != 0) {
        return storage_fail_code(failure, errno, path, "use the directory");
    }
    /* Also one that was there: who made it may have died before its name was durable. */
    return parent_sync(path, failure);
}

enum storage_error folder_sync(const char *path, struct storage_failure *failure)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return storage_fail_code(failure, errno, path, "open the directory");
    }
    enum storage_error error = STORAGE_OK;
    if (fsync(fd) != 0) {
        error = storage_fail_code(failure, errno, path, "sync the directory");
    }
    close(fd);
    return error;
}

enum storage_error owner_take(const char *path, int *fd, struct storage_failure *failure)
{
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0) {
        return storage_fail_code(failure, errno, path, "open");
    }
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0) {
        return STORAGE_OK;
    }
    int code = errno;
    close(*fd);
    *fd = -1;
    if (code == EWOULDBLOCK) {
        return storage_fail(failure, STORAGE_IN_USE, "%.200s: another process has it open", path);
    }
    return storage_fail_code(failure, code, path, "lock");
}

enum storage_error file_remove(const char *path, struct storage_failure *failure)
{
    if (unlink(path) != 0 && errno != ENOENT) {
        return storage_fail_code(failure, errno, path, "remove");
    }
    return STORAGE_OK;
}

enum storage_error file_write(int fd, const char *path, const void *data, size_t size_bytes,
                              struct storage_failure *failure)
{
    const char *bytes = data;
    while (size_bytes > 0) {
        ssize_t written = write(fd, bytes, size_bytes);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return storage_fail_code(failure, written < 0 ? errno : EIO, path, "write");
        }
        bytes += written;
        size_bytes -= (size_t)written;
    }
    return STORAGE_OK;
}

enum storage_error file_read(int fd, const char *path, uint64_t offset, void *buffer, size_t size_bytes,
                             size_t *read_bytes, struct storage_failure *failure)
{
    *read_bytes = 0;
    while (*read_bytes < size_bytes) {
        ssize_t got =
            pread(fd, (char *)buffer + *read_bytes, size_bytes - *read_bytes, (off_t)(offset + *read_bytes));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return storage_fail_code(failure, errno, path, "read");
        }
        if (got == 0) {
            break;
        }
        *read_bytes += (size_t)got;
    }
    return STORAGE_OK;
}
