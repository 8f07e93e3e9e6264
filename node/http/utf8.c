/* UTF-8 at the door (RFC 3629). */
#include "node/http/utf8.h"

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Bytes of the character that begins here, 0 when none does. */
static size_t character_size(const unsigned char *at, size_t left)
{
    unsigned char second_min = 0x80, second_max = 0xbf;
    size_t size;

    if (at[0] < 0x80) {
        return at[0] != 0 ? 1 : 0;
    }
    if (at[0] >= 0xc2 && at[0] <= 0xdf) {
        size = 2;
    } else if (at[0] >= 0xe0 && at[0] <= 0xef) {
        size = 3;
        second_min = at[0] == 0xe0 ? 0xa0 : 0x80; /* shortest form */
        second_max = at[0] == 0xed ? 0x9f : 0xbf; /* no surrogates */
    } else if (at[0] >= 0xf0 && at[0] <= 0xf4) {
        size = 4;
        second_min = at[0] == 0xf0 ? 0x90 : 0x80; /* shortest form */
        second_max = at[0] == 0xf4 ? 0x8f : 0xbf; /* up to U+10FFFF */
    } else {
        return 0;
    }
    if (left < size || at[1] < second_min || at[1] > second_max) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if (!is_continuation(at[i])) {
            return 0;
        }
    }
    return size;
}

bool utf8_count(const char *text, size_t size_bytes, size_t *characters)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t count = 0;

    for (size_t left = size_bytes; left > 0; count++) {
        size_t size = character_size(at, left);
        if (size == 0) {
            return false;
        }
        at += size;
        left -= size;
    }
    *characters = count;
    return true;
}

size_t utf8_prefix_size_bytes(const char *text, size_t characters_max)
{
    size_t characters = 0, i;

    for (i = 0; text[i] != '\0'; i++) {
        if (!is_continuation((unsigned char)text[i]) && characters++ == characters_max) {
            break;
        }
    }
    return i;
}
