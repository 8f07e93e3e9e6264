/* A folder of its own for a test that writes files. */
#include "tests/support/scratch_dir.h"

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch_dir scratch_dir_make(void)
{
    struct scratch_dir dir;
    const char *parent = getenv("TMPDIR");
    int size_bytes = snprintf(dir.path, sizeof dir.path, "%s/tocsin-test-XXXXXX", parent ? parent : "/tmp");
    assert(size_bytes > 0 && (size_t)size_bytes < sizeof dir.path);
    if (!mkdtemp(dir.path)) {
        abort();
    }
    return dir;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

void scratch_dir_remove(const struct scratch_dir *dir)
{
    if (nftw(dir->path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0) {
        abort();
    }
}

const char *scratch_path(const struct scratch_dir *dir, const char *name)
{
    static char paths[8][512];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    int size_bytes = snprintf(path, sizeof paths[0], "%s/%s", dir->path, name);
    assert(size_bytes > 0 && (size_t)size_bytes < sizeof paths[0]);
    return path;
}

uint64_t scratch_file_size_bytes(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        abort();
    }
    return (uint64_t)status.st_size;
}

bool scratch_file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

void scratch_file_write(const char *path, const void *data, size_t size_bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size_bytes) != (ssize_t)size_bytes || close(fd) != 0) {
        abort();
    }
}

void scratch_file_flip(const char *path, uint64_t offset)
{
    uint8_t byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || pread(fd, &byte, 1, (off_t)offset) != 1) {
        abort();
    }
    byte ^= 0xff;
    if (pwrite(fd, &byte, 1, (off_t)offset) != 1 || close(fd) != 0) {
        abort();
    }
}

unsigned scratch_file_flip_text(const char *path, const char *text)
{
    size_t size_bytes = scratch_file_size_bytes(path), text_size_bytes = strlen(text);
    char *contents = malloc(size_bytes);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (!contents || fd < 0 || read(fd, contents, size_bytes) != (ssize_t)size_bytes || close(fd) != 0) {
        abort();
    }
    unsigned places = 0;
    for (char *at = contents; (at = memmem(at, size_bytes - (size_t)(at - contents), text, text_size_bytes)); at++) {
        scratch_file_flip(path, (uint64_t)(at - contents));
        places++;
    }
    free(contents);
    return places;
}

void scratch_file_cut(const char *path, uint64_t size_bytes)
{
    if (truncate(path, (off_t)size_bytes) != 0) {
        abort();
    }
}
