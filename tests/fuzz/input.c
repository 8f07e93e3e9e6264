/* Taking an input apart. */
#include "tests/fuzz/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *fuzz_must(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

_Noreturn void fuzz_broken(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

struct fuzz_input fuzz_input(const uint8_t *data, size_t size_bytes)
{
    return (struct fuzz_input){.at = data, .left = size_bytes};
}

uint8_t fuzz_byte(struct fuzz_input *input)
{
    if (input->left == 0) {
        return 0;
    }
    input->left--;
    return *input->at++;
}

uint64_t fuzz_number(struct fuzz_input *input, unsigned size_bytes)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < size_bytes; i++) {
        number |= (uint64_t)fuzz_byte(input) << (8 * i);
    }
    return number;
}

unsigned fuzz_below(struct fuzz_input *input, unsigned bound)
{
    return (unsigned)(fuzz_number(input, bound <= 256 ? 1 : 4) % bound);
}

uint64_t fuzz_odd_number(struct fuzz_input *input)
{
    uint8_t kind = fuzz_byte(input);

    if (kind < 0x80) {
        return kind;
    }
    if (kind < 0xc0) { /* a power of two, and its neighbours */
        return ((uint64_t)1 << (kind & 0x3f)) + fuzz_below(input, 3) - 1;
    }
    return fuzz_number(input, 1 + (kind & 7));
}

struct span fuzz_bytes(struct fuzz_input *input, size_t size_bytes)
{
    struct span bytes = {input->at, size_bytes < input->left ? size_bytes : input->left};

    input->at += bytes.size_bytes;
    input->left -= bytes.size_bytes;
    return bytes;
}

struct span fuzz_rest(struct fuzz_input *input)
{
    return fuzz_bytes(input, input->left);
}

char *fuzz_text(struct span bytes)
{
    char *text = fuzz_must(malloc(bytes.size_bytes + 1));

    if (bytes.size_bytes > 0) {
        memcpy(text, bytes.data, bytes.size_bytes);
    }
    text[bytes.size_bytes] = '\0';
    return text;
}

char *fuzz_line(struct fuzz_input *input)
{
    const uint8_t *end = input->left > 0 ? memchr(input->at, '\n', input->left) : NULL;
    char *line = fuzz_text(fuzz_bytes(input, end != NULL ? (size_t)(end - input->at) : input->left));

    fuzz_byte(input); /* the line end */
    return line;
}

uint8_t *fuzz_exact_copy(struct span bytes)
{
    uint8_t *copy = fuzz_must(malloc(bytes.size_bytes > 0 ? bytes.size_bytes : 1));

    if (bytes.size_bytes > 0) {
        memcpy(copy, bytes.data, bytes.size_bytes);
    }
    return copy;
}

/* The code point that begins here and its size; 0 for none. */
static size_t code_point(const uint8_t *at, size_t left, uint32_t *code)
{
    size_t size = at[0] < 0x80 ? 1 : (at[0] & 0xe0) == 0xc0 ? 2 : (at[0] & 0xf0) == 0xe0 ? 3 : (at[0] & 0xf8) == 0xf0 ? 4 : 0;

    if (size == 0 || size > left) {
        return 0;
    }
    *code = size == 1 ? at[0] : at[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
        *code = *code << 6 | (at[i] & 0x3fu);
    }
    return size;
}

bool fuzz_utf8(const void *text, size_t size_bytes, size_t *characters)
{
    const uint8_t *at = text;
    size_t count = 0;

    for (size_t used = 0; used < size_bytes; count++) {
        uint32_t code;
        size_t size = code_point(at + used, size_bytes - used, &code);
        size_t shortest = size == 0 ? 0 : code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        if (size == 0 || size != shortest || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
            return false;
        }
        used += size;
    }
    *characters = count;
    return true;
}

bool fuzz_is_line(const char *text)
{
    size_t characters;

    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) {
            return false;
        }
    }
    return fuzz_utf8(text, strlen(text), &characters);
}
