/* Small and capital letters, by ranges. */
#include "node/orchestration/fold.h"

#include <stdbool.h>

/* Capital letters from `first` to `last`, every `step`-th of them, have the small one `distance` further. */
static const struct range {
    uint32_t first, last, step, distance;
} ranges[] = {
    {'A', 'Z', 1, 32},        {0xC0, 0xD6, 1, 32},      {0xD8, 0xDE, 1, 32},     {0x100, 0x12E, 2, 1},
    {0x132, 0x136, 2, 1},     {0x139, 0x147, 2, 1},     {0x14A, 0x176, 2, 1},    {0x179, 0x17D, 2, 1},
    {0x391, 0x3A1, 1, 32},    {0x3A3, 0x3A9, 1, 32},    {0x400, 0x40F, 1, 80},   {0x410, 0x42F, 1, 32},
};
#define RANGES_COUNT (sizeof ranges / sizeof *ranges)

uint32_t fold_lower(uint32_t character)
{
    if (character < 0x80) {
        return character >= 'A' && character <= 'Z' ? character + 32 : character;
    }
    for (size_t i = 1; i < RANGES_COUNT && character >= ranges[i].first; i++) {
        if (character <= ranges[i].last && (character - ranges[i].first) % ranges[i].step == 0) {
            return character + ranges[i].distance;
        }
    }
    return character;
}

uint32_t fold_upper(uint32_t character)
{
    for (size_t i = 0; i < RANGES_COUNT; i++) {
        uint32_t capital = character - ranges[i].distance;
        if (character >= ranges[i].distance && capital >= ranges[i].first && capital <= ranges[i].last &&
            (capital - ranges[i].first) % ranges[i].step == 0) {
            return capital;
        }
    }
    return character;
}

uint32_t fold_decode(const char *text, size_t *size_bytes)
{
    const unsigned char *at = (const unsigned char *)text;
    if (at[0] < 0x80) {
        *size_bytes = 1;
        return at[0];
    }
    unsigned more = at[0] >= 0xF0 ? 3 : at[0] >= 0xE0 ? 2 : 1;
    uint32_t character = at[0] & (0x3Fu >> more);
    for (unsigned i = 1; i <= more; i++) {
        character = character << 6 | (at[i] & 0x3Fu);
    }
    *size_bytes = more + 1;
    return character;
}

size_t fold_encode(uint32_t character, char *out)
{
    if (character < 0x80) {
        out[0] = (char)character;
        return 1;
    }
    unsigned more = character >= 0x10000 ? 3 : character >= 0x800 ? 2 : 1;
    for (unsigned i = more; i > 0; i--) {
        out[i] = (char)(0x80 | (character & 0x3F));
        character >>= 6;
    }
    out[0] = (char)((0xF0u << (3 - more) & 0xFF) | character);
    return more + 1;
}

void fold_text(const char *text, size_t size_bytes, char *out)
{
    for (size_t at = 0; at < size_bytes;) {
        unsigned char byte = (unsigned char)text[at];
        if (byte < 0x80) {
            out[at++] = (char)(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
            continue;
        }
        size_t size;
        uint32_t character = fold_decode(text + at, &size);
        fold_encode(fold_lower(character), out + at);
        at += size;
    }
}
