/* A folder of its own for a test that writes files, and ways to hurt them. */
#ifndef TESTS_SUPPORT_SCRATCH_DIR_H
#define TESTS_SUPPORT_SCRATCH_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scratch_dir {
    char path[256];
};

/* Below $TMPDIR or /tmp. */
struct scratch_dir scratch_dir_make(void);
/* With everything in it. */
void scratch_dir_remove(const struct scratch_dir *dir);

/* "<dir>/<name>"; valid until the eighth call after this one. */
const char *scratch_path(const struct scratch_dir *dir, const char *name);

uint64_t scratch_file_size_bytes(const char *path);
bool scratch_file_exists(const char *path);
void scratch_file_write(const char *path, const void *data, size_t size_bytes);
/* Inverts one byte. */
void scratch_file_flip(const char *path, uint64_t offset);
/* Inverts the first byte of every place where the text stands; returns how many there were. */
unsigned scratch_file_flip_text(const char *path, const char *text);
void scratch_file_cut(const char *path, uint64_t size_bytes);

#endif
