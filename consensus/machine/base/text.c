/* What a text may be. */
#include "consensus/machine/base/text.h"

#include <stdint.h>
#include <string.h>

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Size of the character that begins at `bytes`, which ends with a NUL; 0 when it is none. RFC 3629 section 4. */
static size_t character_size_bytes(const uint8_t *bytes)
{
    uint8_t first = bytes[0];
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xc2 && first <= 0xdf) {
        return is_continuation(bytes[1]) ? 2 : 0;
    }
    /* The second byte's range rules out overlong forms, surrogates and what lies beyond U+10FFFF. */
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (first < 0xe0 || first > 0xf4 || bytes[1] < low || bytes[1] > high || !is_continuation(bytes[2])) {
        return 0;
    }
    if (first < 0xf0) {
        return 3;
    }
    return is_continuation(bytes[3]) ? 4 : 0;
}

bool text_characters(const char *text, size_t *characters)
{
    *characters = 0;
    for (const uint8_t *bytes = (const uint8_t *)text; *bytes != 0; (*characters)++) {
        size_t size_bytes = character_size_bytes(bytes);
        if (size_bytes == 0) {
            return false;
        }
        bytes += size_bytes;
    }
    return true;
}

bool text_within(const char *text, size_t min, size_t max)
{
    size_t characters;
    return text_characters(text, &characters) && characters >= min && characters <= max;
}

static bool every_byte(const char *text, bool (*allowed)(uint8_t byte))
{
    for (const uint8_t *byte = (const uint8_t *)text; *byte != 0; byte++) {
        if (!allowed(*byte)) {
            return false;
        }
    }
    return true;
}

static bool byte_in_line(uint8_t byte)
{
    return byte >= 0x20 && byte != 0x7f;
}

static bool byte_in_word(uint8_t byte)
{
    return byte > 0x20 && byte != 0x7f;
}

static bool byte_is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool byte_is_alphanumeric(uint8_t byte)
{
    return byte_is_digit(byte) || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

bool text_is_line(const char *text)
{
    return every_byte(text, byte_in_line);
}

bool text_is_word(const char *text)
{
    return every_byte(text, byte_in_word);
}

bool text_is_digits(const char *text)
{
    return every_byte(text, byte_is_digit);
}

bool text_is_alphanumeric(const char *text)
{
    return every_byte(text, byte_is_alphanumeric);
}

bool text_is_email(const char *text)
{
    const char *at = strrchr(text, '@');
    return at != NULL && at != text && at[1] != '\0' && text_is_word(text);
}

bool text_is_http_url(const char *text)
{
    static const char *const schemes[] = {"https://", "http://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t length = strlen(schemes[i]);
        if (strncmp(text, schemes[i], length) == 0) {
            return text[length] != '\0' && text_is_word(text);
        }
    }
    return false;
}
