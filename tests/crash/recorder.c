/* Taking over the functions with which files are changed. */
#include "tests/crash/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/support/disk_faults.h"

#define INODES_MAX 4096u
#define FOLDERS_MAX 16u
#define NO_FILE UINT32_MAX

enum hold { HOLD_NONE, HOLD_WANTED, HOLD_HELD };

/* Guards everything below, beside the pointer that says whether anything is recorded at all. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static _Atomic(struct recording *) current;
static struct {
    dev_t device;
    ino_t inode;
    unsigned file;
    char name[DISK_NAME_SIZE_BYTES]; /* that it has now */
} inodes[INODES_MAX];
static unsigned inodes_count;
static char folders[FOLDERS_MAX][512];
static enum hold hold;
static char hold_name[DISK_NAME_SIZE_BYTES];

static void *must(void *memory)
{
    if (!memory) {
        abort();
    }
    return memory;
}

static void copy_name(char to[DISK_NAME_SIZE_BYTES], const char *name)
{
    size_t size_bytes = strlen(name) + 1;
    if (size_bytes > DISK_NAME_SIZE_BYTES) {
        abort();
    }
    memcpy(to, name, size_bytes);
}

bool is_lock_file(const char *name)
{
    size_t size_bytes = strlen(name);
    return size_bytes > 5 && strcmp(name + size_bytes - 5, "-lock") == 0;
}

/* ---- events; the mutex is held */

static struct disk_event *event_add(struct recording *recording, enum disk_event_kind kind)
{
    if (recording->events_count == recording->events_capacity) {
        recording->events_capacity = recording->events_capacity ? recording->events_capacity * 2 : 1024;
        recording->events = must(realloc(recording->events, recording->events_capacity * sizeof *recording->events));
    }
    struct disk_event *event = &recording->events[recording->events_count++];
    *event = (struct disk_event){.kind = kind};
    return event;
}

/* The folder's number and the name in it; false for what lies elsewhere. */
static bool place_of(const struct recording *recording, const char *path, unsigned *folder, const char **name)
{
    const char *slash = strrchr(path, '/');
    for (unsigned i = 0; slash && i < recording->folders_count; i++) {
        size_t size_bytes = strlen(folders[i]);
        if ((size_t)(slash - path) == size_bytes && strncmp(path, folders[i], size_bytes) == 0) {
            *folder = i;
            *name = slash + 1;
            return true;
        }
    }
    return false;
}

static unsigned folder_add(struct recording *recording, const char *path)
{
    if (recording->folders_count == FOLDERS_MAX) {
        abort();
    }
    int size = snprintf(folders[recording->folders_count], sizeof folders[0], "%s", path);
    if (size < 0 || (size_t)size >= sizeof folders[0]) {
        abort();
    }
    return recording->folders_count++;
}

static unsigned inode_find(const struct stat *status)
{
    for (unsigned i = inodes_count; i-- > 0;) {
        if (inodes[i].inode == status->st_ino && inodes[i].device == status->st_dev) {
            return i;
        }
    }
    return NO_FILE;
}

/* A number that was used before belongs to the new file from now on. */
static void inode_set(const struct stat *status, unsigned file, const char *name)
{
    if (inodes_count == INODES_MAX) {
        abort();
    }
    inodes[inodes_count].device = status->st_dev;
    inodes[inodes_count].inode = status->st_ino;
    inodes[inodes_count].file = file;
    copy_name(inodes[inodes_count++].name, name);
}

static void must_stat(int fd, struct stat *status)
{
    if (fstat(fd, status) != 0) {
        abort();
    }
}

/* The inodes entry of a recorded file; NO_FILE for any other. */
static unsigned recorded(int fd)
{
    struct stat status;
    must_stat(fd, &status);
    unsigned found = inode_find(&status);
    return found != NO_FILE && inodes[found].file != NO_FILE && !is_lock_file(inodes[found].name) ? found : NO_FILE;
}

/* ---- what functions do */

static struct recording *begin(void)
{
    if (!atomic_load(&current)) {
        return NULL;
    }
    pthread_mutex_lock(&mutex);
    struct recording *recording = atomic_load(&current);
    if (!recording) {
        pthread_mutex_unlock(&mutex);
    }
    return recording;
}

static void end(void)
{
    int kept = errno;
    pthread_mutex_unlock(&mutex);
    errno = kept;
}

static void record_write(int fd, uint64_t offset, const void *data, size_t size_bytes)
{
    struct recording *recording = begin();
    if (!recording) {
        return;
    }
    unsigned found = recorded(fd);
    if (found != NO_FILE) {
        struct disk_event *event = event_add(recording, DISK_WRITE);
        event->file = inodes[found].file;
        event->offset = offset;
        event->size_bytes = size_bytes;
        event->data = must(malloc(size_bytes));
        memcpy(event->data, data, size_bytes);
        size_t number = recording->events_count - 1;
        if (fcntl(fd, F_GETFL) & O_DSYNC) {
            event = event_add(recording, DISK_WRITE_DURABLE);
            event->file = inodes[found].file;
            event->since = number;
        }
    }
    end();
}

/* Where a write without a place of its own went: it ended at the file's position. */
static void record_write_at_position(int fd, const void *data, size_t size_bytes)
{
    if (atomic_load(&current)) {
        off_t position = lseek(fd, 0, SEEK_CUR);
        if (position >= (off_t)size_bytes) {
            record_write(fd, (uint64_t)position - size_bytes, data, size_bytes);
        }
    }
}

ssize_t write(int fd, const void *data, size_t size_bytes)
{
    ssize_t written = syscall(SYS_write, fd, data, size_bytes);
    if (written > 0) {
        record_write_at_position(fd, data, (size_t)written);
    }
    return written;
}

ssize_t pwrite(int fd, const void *data, size_t size_bytes, off_t offset)
{
    ssize_t written = syscall(SYS_pwrite64, fd, data, size_bytes, offset);
    if (written > 0) {
        record_write(fd, (uint64_t)offset, data, (size_t)written);
    }
    return written;
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    ssize_t written = syscall(SYS_writev, fd, pieces, count);
    if (written > 0 && atomic_load(&current)) {
        uint8_t *data = must(malloc((size_t)written)), *at = data;
        for (int i = 0; i < count && at < data + written; i++) {
            size_t left = (size_t)(data + written - at);
            size_t size_bytes = pieces[i].iov_len < left ? pieces[i].iov_len : left;
            memcpy(at, pieces[i].iov_base, size_bytes);
            at += size_bytes;
        }
        record_write_at_position(fd, data, (size_t)written);
        free(data);
    }
    return written;
}

static void record_truncate(struct recording *recording, unsigned file, uint64_t size_bytes)
{
    struct disk_event *event = event_add(recording, DISK_TRUNCATE);
    event->file = file;
    event->size_bytes = size_bytes;
}

int ftruncate(int fd, off_t size_bytes)
{
    int result = (int)syscall(SYS_ftruncate, fd, size_bytes);
    struct recording *recording = result == 0 ? begin() : NULL;
    if (recording) {
        unsigned found = recorded(fd);
        if (found != NO_FILE) {
            record_truncate(recording, inodes[found].file, (uint64_t)size_bytes);
        }
        end();
    }
    return result;
}

static void record_open(const char *path, int fd, bool was_there, bool truncated)
{
    struct recording *recording = begin();
    if (!recording) {
        return;
    }
    struct stat status;
    unsigned folder;
    const char *name = "";
    must_stat(fd, &status);
    bool ours = place_of(recording, path, &folder, &name);
    if (!was_there) {
        inode_set(&status, ours ? recording->files_count : NO_FILE, ours ? name : "");
    }
    if (ours && !was_there) {
        struct disk_event *event = event_add(recording, DISK_CREATE);
        event->folder = folder;
        event->file = recording->files_count++;
        copy_name(event->name, name);
    } else if (ours && truncated) {
        record_truncate(recording, inodes[inode_find(&status)].file, 0);
    }
    end();
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    bool was_there = !(flags & O_CREAT) || access(path, F_OK) == 0;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (fd >= 0 && (flags & (O_CREAT | O_TRUNC))) {
        record_open(path, fd, was_there, flags & O_TRUNC);
    }
    return fd;
}

int mkdir(const char *path, mode_t mode)
{
    int result = (int)syscall(SYS_mkdir, path, mode);
    struct recording *recording = result == 0 ? begin() : NULL;
    if (recording) {
        unsigned folder;
        const char *name;
        if (place_of(recording, path, &folder, &name)) {
            struct disk_event *event = event_add(recording, DISK_FOLDER_MAKE);
            event->folder = folder;
            event->made = folder_add(recording, path);
            copy_name(event->name, name);
        }
        end();
    }
    return result;
}

int unlink(const char *path)
{
    int result = (int)syscall(SYS_unlink, path);
    struct recording *recording = result == 0 ? begin() : NULL;
    if (recording) {
        unsigned folder;
        const char *name;
        if (place_of(recording, path, &folder, &name)) {
            struct disk_event *event = event_add(recording, DISK_UNLINK);
            event->folder = folder;
            copy_name(event->name, name);
        }
        end();
    }
    return result;
}

int rename(const char *from, const char *to)
{
    int result = (int)syscall(SYS_rename, from, to);
    struct recording *recording = result == 0 ? begin() : NULL;
    if (recording) {
        unsigned folder, to_folder;
        const char *name, *to_name;
        bool ours = place_of(recording, from, &folder, &name);
        if (ours != place_of(recording, to, &to_folder, &to_name) || (ours && folder != to_folder)) {
            abort(); /* images know names that stay in their folder */
        }
        if (ours) {
            struct disk_event *event = event_add(recording, DISK_RENAME);
            event->folder = folder;
            copy_name(event->name, name);
            copy_name(event->to_name, to_name);
            struct stat status;
            unsigned found = stat(to, &status) == 0 ? inode_find(&status) : NO_FILE;
            if (found != NO_FILE) {
                copy_name(inodes[found].name, to_name);
            }
        }
        end();
    }
    return result;
}

/* ---- syncs */

static void hold_here(const char *name)
{
    if (hold == HOLD_WANTED && strcmp(name, hold_name) == 0) {
        hold = HOLD_HELD;
        pthread_cond_broadcast(&changed);
        while (hold != HOLD_NONE) {
            pthread_cond_wait(&changed, &mutex);
        }
    }
}

/* Returns where the sync begins, SIZE_MAX for a file that is not recorded. */
static size_t sync_begins(int fd)
{
    size_t since = SIZE_MAX;
    struct recording *recording = begin();
    if (recording) {
        unsigned found = recorded(fd);
        if (found != NO_FILE) {
            struct disk_event *event = event_add(recording, DISK_SYNC_BEGINS);
            event->file = inodes[found].file;
            since = recording->events_count - 1;
            hold_here(inodes[found].name);
        }
        end();
    }
    return since;
}

static void sync_ended(int fd, size_t since)
{
    (void)fd;
    struct recording *recording = since != SIZE_MAX ? begin() : NULL;
    if (recording) {
        unsigned file = recording->events[since].file;
        struct disk_event *event = event_add(recording, DISK_SYNC_ENDED);
        event->file = file;
        event->since = since;
        end();
    }
}

static const struct disk_watch watch = {sync_begins, sync_ended};

static void record_folder_sync(int fd)
{
    struct recording *recording = begin();
    if (!recording) {
        return;
    }
    struct stat status, folder;
    must_stat(fd, &status);
    for (unsigned i = 0; i < recording->folders_count; i++) {
        if (stat(folders[i], &folder) == 0 && folder.st_ino == status.st_ino && folder.st_dev == status.st_dev) {
            event_add(recording, DISK_FOLDER_SYNC)->folder = i;
        }
    }
    end();
}

int fsync(int fd)
{
    struct stat status;
    bool is_folder = fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
    size_t since = is_folder ? SIZE_MAX : sync_begins(fd);
    int result = (int)syscall(SYS_fsync, fd);
    if (result == 0 && is_folder) {
        record_folder_sync(fd);
    } else if (result == 0) {
        sync_ended(fd, since);
    }
    return result;
}

void recording_hold_sync(const char *name)
{
    pthread_mutex_lock(&mutex);
    hold = HOLD_WANTED;
    copy_name(hold_name, name);
    pthread_mutex_unlock(&mutex);
}

void recording_wait_held(void)
{
    pthread_mutex_lock(&mutex);
    while (hold != HOLD_HELD) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

void recording_let_go(void)
{
    pthread_mutex_lock(&mutex);
    hold = HOLD_NONE;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

/* ---- recordings */

static struct recording *starting; /* nftw has no context */

static uint8_t *contents(const char *path, uint64_t size_bytes)
{
    uint8_t *data = must(malloc(size_bytes + 1));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || pread(fd, data, size_bytes, 0) != (ssize_t)size_bytes || close(fd) != 0) {
        abort();
    }
    return data;
}

static int add_base(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    if (place->level == 0) {
        return 0;
    }
    struct recording *recording = starting;
    struct disk_base base = {.is_folder = kind == FTW_D};
    const char *name;
    if (!place_of(recording, path, &base.folder, &name)) {
        abort();
    }
    copy_name(base.name, name);
    if (base.is_folder) {
        base.number = folder_add(recording, path);
    } else {
        base.number = recording->files_count++;
        base.size_bytes = is_lock_file(name) ? 0 : (uint64_t)status->st_size;
        base.data = contents(path, base.size_bytes);
        inode_set(status, base.number, name);
    }
    recording->bases = must(realloc(recording->bases, (recording->bases_count + 1) * sizeof base));
    recording->bases[recording->bases_count++] = base;
    return 0;
}

struct recording *recording_start(const char *root)
{
    struct recording *recording = must(calloc(1, sizeof *recording));
    int size = snprintf(recording->root, sizeof recording->root, "%s", root);
    if (size < 0 || (size_t)size >= sizeof recording->root || atomic_load(&current)) {
        abort();
    }
    inodes_count = 0;
    folder_add(recording, root);
    starting = recording;
    if (nftw(root, add_base, 16, FTW_PHYS) != 0) {
        abort();
    }
    starting = NULL;
    disk_faults_watch_syncs(&watch);
    atomic_store(&current, recording);
    return recording;
}

void recording_stop(struct recording *recording)
{
    pthread_mutex_lock(&mutex);
    if (atomic_load(&current) != recording) {
        abort();
    }
    atomic_store(&current, NULL);
    disk_faults_watch_syncs(NULL);
    pthread_mutex_unlock(&mutex);
}

void recording_free(struct recording *recording)
{
    for (size_t i = 0; i < recording->events_count; i++) {
        free(recording->events[i].data);
    }
    for (size_t i = 0; i < recording->bases_count; i++) {
        free(recording->bases[i].data);
    }
    free(recording->events);
    free(recording->bases);
    free(recording);
}

void recording_note(unsigned note, uint64_t value)
{
    struct recording *recording = begin();
    if (recording) {
        struct disk_event *event = event_add(recording, DISK_NOTE);
        event->note = note;
        event->value = value;
        end();
    }
}
