/*
 * Files of the replicated state, to be damaged: a small one made once, with trees of two levels, large values and free
 * pages; and what a node does with one that it takes for whole.
 */
#ifndef TESTS_FUZZ_STATE_FILES_H
#define TESTS_FUZZ_STATE_FILES_H

#include "storage/state_store.h"
#include "tests/fuzz/input.h"

#define STATE_MAP_SIZE_BYTES ((size_t)1 << 24)

struct file_bytes {
    uint8_t *bytes;
    size_t size_bytes;
};

/* Makes the state in `dir`, closed. */
void state_files_make(const char *dir);
struct file_bytes file_bytes_read(const char *path);
void file_bytes_write(const char *path, const struct file_bytes *file);
struct file_bytes file_bytes_copy(const struct file_bytes *file);

/* Hurts the bytes where the input says, up to `edits_max` times: a number in a page, a page in another's place, the file
 * cut or made longer. */
void file_bytes_hurt(struct file_bytes *file, struct fuzz_input *input, unsigned edits_max);

/* Opens the state of `dir`, reads all of it, writes to each table, and opens it once more. Each step may be refused;
 * none may end the process. True when the first was not. */
bool state_files_use(const char *dir);

#endif
