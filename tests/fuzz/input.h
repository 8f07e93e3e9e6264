/*
 * What the fuzz targets share: taking an input apart, and ending the program when something is wrong.
 *
 *     fuzz_<thing>.c ── LLVMFuzzerTestOneInput ──┬── libFuzzer's own main          make fuzz
 *                                                └── replay.c, any compiler        make test
 *
 * An input is read from its front; what it does not have is zeros, so that every input has a meaning.
 */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/machine/base/span.h"

/* Each target has the first, and may have the second, which is called once before any input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

struct fuzz_input fuzz_input(const uint8_t *data, size_t size_bytes);
uint8_t fuzz_byte(struct fuzz_input *input);
/* Little-endian. */
uint64_t fuzz_number(struct fuzz_input *input, unsigned size_bytes);
/* A number below `bound`, from one byte when that is enough. */
unsigned fuzz_below(struct fuzz_input *input, unsigned bound);
/* Small numbers, numbers near a power of two, and any number: what bounds are made of. */
uint64_t fuzz_odd_number(struct fuzz_input *input);
/* The next bytes, at most so many. They are the input's. */
struct span fuzz_bytes(struct fuzz_input *input, size_t size_bytes);
struct span fuzz_rest(struct fuzz_input *input);
/* The text up to the next line end or the input's end, without it. Freed by the caller. */
char *fuzz_line(struct fuzz_input *input);
/* A copy with a NUL behind it, cut at the first NUL in it. Freed by the caller. */
char *fuzz_text(struct span bytes);
/* A copy of exactly these bytes on the heap, so that reading beyond them is seen. Freed by the caller. */
uint8_t *fuzz_exact_copy(struct span bytes);

void *fuzz_must(void *memory);

/* The bytes are UTF-8 (RFC 3629): another way of saying it than the product's, by code points. */
bool fuzz_utf8(const void *text, size_t size_bytes, size_t *characters);
/* ... and hold no control characters. */
bool fuzz_is_line(const char *text);

/* What must hold, whatever the input. */
#define fuzz_require(condition) ((condition) ? (void)0 : fuzz_broken(#condition, __FILE__, __LINE__))
_Noreturn void fuzz_broken(const char *condition, const char *file, int line);

#endif
