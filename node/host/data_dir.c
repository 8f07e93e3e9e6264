/* The data directory: see data_dir.h. */
#include "node/host/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL_FILE_SIZE_BYTES_MAX 512

static enum data_dir_error refuse(char *error, size_t error_size, const char *what, const char *dir, const char *name) {
    snprintf(error, error_size, "%s %s/%s: %s", what, dir, name, strerror(errno));
    return DATA_DIR_REFUSED;
}

static bool sync_folder(const char *dir) {
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return false;
    bool ok = fsync(fd) == 0;
    close(fd);
    return ok;
}

static bool write_whole(int fd, struct span bytes) {
    for (size_t written = 0; written < bytes.size_bytes;) {
        ssize_t now = write(fd, (const char *)bytes.data + written, bytes.size_bytes - written);
        if (now < 0 && errno != EINTR) return false;
        written += now > 0 ? (size_t)now : 0;
    }
    return true;
}

enum data_dir_error data_dir_write_bytes(const char *dir, const char *name, struct span bytes, char *error, size_t error_size) {
    char path[4096], temporary[4112];
    int length = snprintf(path, sizeof path, "%s/%s", dir, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        errno = ENAMETOOLONG;
        return refuse(error, error_size, "cannot write", dir, name);
    }
    snprintf(temporary, sizeof temporary, "%s.new", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return refuse(error, error_size, "cannot create", dir, name);
    bool ok = write_whole(fd, bytes) && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    if (!ok || rename(temporary, path) != 0 || !sync_folder(dir))
        return refuse(error, error_size, "cannot write", dir, name);
    return DATA_DIR_OK;
}

enum data_dir_error data_dir_write(const char *dir, const char *name, const char *text, char *error, size_t error_size) {
    return data_dir_write_bytes(dir, name, (struct span){text, strlen(text)}, error, error_size);
}

enum data_dir_error data_dir_read_bytes(const char *dir, const char *name, size_t size_bytes_max, uint8_t **bytes, size_t *size_bytes, char *error,
                                        size_t error_size) {
    char path[4096];
    *bytes = NULL;
    *size_bytes = 0;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return DATA_DIR_OK;
    if (fd < 0) return refuse(error, error_size, "cannot open", dir, name);
    *bytes = malloc(size_bytes_max);
    if (*bytes == NULL) abort();
    ssize_t length = 1;
    while (length > 0 && *size_bytes < size_bytes_max) {
        length = read(fd, *bytes + *size_bytes, size_bytes_max - *size_bytes);
        *size_bytes += length > 0 ? (size_t)length : 0;
    }
    close(fd);
    if (length >= 0) return DATA_DIR_OK;
    free(*bytes);
    *bytes = NULL;
    return refuse(error, error_size, "cannot read", dir, name);
}

/* Reads a small file; `missing` when it is not there. */
static enum data_dir_error read_small(const char *dir, const char *name, char out[SMALL_FILE_SIZE_BYTES_MAX], bool *missing,
                                      char *error, size_t error_size) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    *missing = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        *missing = true;
        return DATA_DIR_OK;
    }
    if (fd < 0) return refuse(error, error_size, "cannot open", dir, name);
    ssize_t length = read(fd, out, SMALL_FILE_SIZE_BYTES_MAX - 1);
    if (length < 0) {
        close(fd);
        return refuse(error, error_size, "cannot read", dir, name);
    }
    close(fd);
    out[length] = '\0';
    return DATA_DIR_OK;
}

static bool usable(const char *dir) { return access(dir, R_OK | W_OK | X_OK) == 0; }

enum data_dir_error data_dir_open(const char *dir, const char *cluster_name, uint64_t id, bool create, bool *fresh,
                                  char *error, size_t error_size) {
    if (!create && access(dir, F_OK) != 0) {
        snprintf(error, error_size, "cannot open the data directory %s: %s; --bootstrap makes it, for a first member of a new cluster, or --join, for a node that is new to one", dir,
                 strerror(errno));
        return DATA_DIR_REFUSED;
    }
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        snprintf(error, error_size, "cannot create the data directory %s: %s", dir, strerror(errno));
        return DATA_DIR_REFUSED;
    }
    struct stat status;
    if (stat(dir, &status) != 0 || !S_ISDIR(status.st_mode) || !usable(dir)) {
        snprintf(error, error_size, "the data directory %s cannot be read and written", dir);
        return DATA_DIR_REFUSED;
    }
    char text[SMALL_FILE_SIZE_BYTES_MAX], expected[SMALL_FILE_SIZE_BYTES_MAX];
    if (read_small(dir, "node", text, fresh, error, error_size) != DATA_DIR_OK) return DATA_DIR_REFUSED;
    if (*fresh) return DATA_DIR_OK;
    snprintf(expected, sizeof expected, "%s %" PRIu64 "\n", cluster_name, id);
    if (strcmp(text, expected) != 0) {
        text[strcspn(text, "\n")] = '\0';
        snprintf(error, error_size, "the data directory %s belongs to \"%s\" (cluster, node id), the configuration says \"%s %" PRIu64 "\"",
                 dir, text, cluster_name, id);
        return DATA_DIR_REFUSED;
    }
    return DATA_DIR_OK;
}

enum data_dir_error data_dir_claim(const char *dir, const char *cluster_name, uint64_t id, char *error, size_t error_size) {
    char text[SMALL_FILE_SIZE_BYTES_MAX];
    snprintf(text, sizeof text, "%s %" PRIu64 "\n", cluster_name, id);
    return data_dir_write(dir, "node", text, error, error_size);
}

static enum data_dir_error read_number(const char *dir, const char *name, uint64_t *number, char *error, size_t error_size) {
    char text[SMALL_FILE_SIZE_BYTES_MAX];
    bool missing;
    *number = 0;
    if (read_small(dir, name, text, &missing, error, error_size) != DATA_DIR_OK) return DATA_DIR_REFUSED;
    if (missing) return DATA_DIR_OK;
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\n') {
        snprintf(error, error_size, "%s/%s does not hold a number", dir, name);
        return DATA_DIR_REFUSED;
    }
    return DATA_DIR_OK;
}

static enum data_dir_error write_number(const char *dir, const char *name, uint64_t number, char *error, size_t error_size) {
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64 "\n", number);
    return data_dir_write(dir, name, text, error, error_size);
}

enum data_dir_error data_dir_count_boot(const char *dir, uint64_t *boot, char *error, size_t error_size) {
    if (read_number(dir, "boot", boot, error, error_size) != DATA_DIR_OK) return DATA_DIR_REFUSED;
    *boot += 1;
    return write_number(dir, "boot", *boot, error, error_size);
}

static enum data_dir_error remove_small(const char *dir, const char *name, char *error, size_t error_size) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (unlink(path) != 0 && errno != ENOENT) return refuse(error, error_size, "cannot remove", dir, name);
    if (!sync_folder(dir)) return refuse(error, error_size, "cannot sync", dir, "");
    return DATA_DIR_OK;
}

enum data_dir_error data_dir_remove(const char *dir, const char *name, char *error, size_t error_size) {
    return remove_small(dir, name, error, error_size);
}

enum data_dir_error data_dir_flag(const char *dir, const char *flag, bool *set, char *error, size_t error_size) {
    char text[SMALL_FILE_SIZE_BYTES_MAX];
    bool missing;
    if (read_small(dir, flag, text, &missing, error, error_size) != DATA_DIR_OK) return DATA_DIR_REFUSED;
    *set = !missing;
    return DATA_DIR_OK;
}

enum data_dir_error data_dir_set_flag(const char *dir, const char *flag, bool set, char *error, size_t error_size) {
    return set ? data_dir_write(dir, flag, "", error, error_size) : remove_small(dir, flag, error, error_size);
}

enum data_dir_error data_dir_recovering(const char *dir, uint64_t *index, char *error, size_t error_size) {
    return read_number(dir, "recovering", index, error, error_size);
}

enum data_dir_error data_dir_set_recovering(const char *dir, uint64_t index, char *error, size_t error_size) {
    return index != 0 ? write_number(dir, "recovering", index, error, error_size) : remove_small(dir, "recovering", error, error_size);
}

/* ---- a moment of this boot */

#define CURRENT_FILE "current"
#define BOOT_ID_SIZE 64

static bool boot_id(char id[BOOT_ID_SIZE]) {
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    bool ok = file != NULL && fgets(id, BOOT_ID_SIZE, file) != NULL;
    if (file != NULL) fclose(file);
    if (ok) id[strcspn(id, "\n")] = '\0';
    return ok && id[0] != '\0';
}

/* In place and of one size, so that a full disk has room for it, and whoever reads a torn one finds another boot in it or a moment a little earlier. */
void data_dir_remember(const char *dir, uint64_t boottime_ms) {
    char path[4096], id[BOOT_ID_SIZE], line[BOOT_ID_SIZE + 32];
    int length = snprintf(path, sizeof path, "%s/" CURRENT_FILE, dir);
    if (length < 0 || (size_t)length >= sizeof path || !boot_id(id)) return;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return;
    length = snprintf(line, sizeof line, "%s %020" PRIu64 "\n", id, boottime_ms);
    (void)write_whole(fd, (struct span){line, (size_t)length});
    close(fd);
}

uint64_t data_dir_remembered(const char *dir) {
    char id[BOOT_ID_SIZE], text[BOOT_ID_SIZE + 32], error[512];
    uint8_t *bytes;
    size_t size_bytes;
    if (!boot_id(id) || data_dir_read_bytes(dir, CURRENT_FILE, sizeof text - 1, &bytes, &size_bytes, error, sizeof error) != DATA_DIR_OK) return 0;
    if (bytes != NULL) memcpy(text, bytes, size_bytes);
    text[size_bytes] = '\0';
    free(bytes);
    size_t length = strlen(id);
    bool ours = strncmp(text, id, length) == 0 && text[length] == ' ';
    return ours ? strtoull(text + length + 1, NULL, 10) : 0;
}

enum data_dir_error data_dir_forget_current(const char *dir, char *error, size_t error_size) { return remove_small(dir, CURRENT_FILE, error, error_size); }
