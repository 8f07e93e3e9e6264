/* Putting requests together; see the header. */
#include "notify/compose.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void composer_reserve(struct composer *composer, size_t more_bytes)
{
    size_t needed = composer->size_bytes + more_bytes + 1;
    if (needed <= composer->capacity_bytes)
        return;
    size_t capacity = composer->capacity_bytes ? composer->capacity_bytes : 256;
    while (capacity < needed)
        capacity *= 2;
    composer->data = realloc(composer->data, capacity);
    if (!composer->data)
        abort();
    composer->capacity_bytes = capacity;
}

void compose_bytes(struct composer *composer, const void *bytes, size_t size_bytes)
{
    composer_reserve(composer, size_bytes);
    if (size_bytes)
        memcpy(composer->data + composer->size_bytes, bytes, size_bytes);
    composer->size_bytes += size_bytes;
    composer->data[composer->size_bytes] = '\0';
}

void compose_text(struct composer *composer, const char *text)
{
    compose_bytes(composer, text, strlen(text));
}

void compose_format(struct composer *composer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = NULL;
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (size < 0)
        abort();
    compose_bytes(composer, text, (size_t)size);
    free(text);
}

static void compose_url_encoded(struct composer *composer, const char *text)
{
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    static const char digits[] = "0123456789ABCDEF";
    for (const unsigned char *byte = (const unsigned char *)text; *byte; byte++) {
        if (strchr(safe, *byte)) {
            compose_bytes(composer, byte, 1);
        } else {
            char escaped[3] = {'%', digits[*byte >> 4], digits[*byte & 15]};
            compose_bytes(composer, escaped, sizeof escaped);
        }
    }
}

void compose_form_field(struct composer *composer, const char *name, const char *value)
{
    if (composer->size_bytes)
        compose_text(composer, "&");
    compose_url_encoded(composer, name);
    compose_text(composer, "=");
    compose_url_encoded(composer, value);
}

void compose_xml(struct composer *composer, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&': compose_text(composer, "&amp;"); break;
        case '<': compose_text(composer, "&lt;"); break;
        case '>': compose_text(composer, "&gt;"); break;
        case '"': compose_text(composer, "&quot;"); break;
        case '\'': compose_text(composer, "&apos;"); break;
        default: compose_bytes(composer, text, 1);
        }
    }
}

char *compose_take(struct composer *composer, size_t *size_bytes)
{
    composer_reserve(composer, 0);
    composer->data[composer->size_bytes] = '\0';
    char *data = composer->data;
    if (size_bytes)
        *size_bytes = composer->size_bytes;
    *composer = (struct composer){0};
    return data;
}

void compose_discard(struct composer *composer)
{
    free(composer->data);
    *composer = (struct composer){0};
}

char *compose_copy(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    return copy;
}

void outgoing_header(struct outgoing *outgoing, const char *name, const char *value)
{
    assert(outgoing->headers_count < OUTGOING_HEADERS_MAX);
    struct composer composer = {0};
    compose_format(&composer, "%s: %s", name, value);
    char *line = compose_take(&composer, NULL);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    outgoing->headers[outgoing->headers_count++] = line;
}

void outgoing_close(struct outgoing *outgoing)
{
    for (size_t i = 0; i < outgoing->headers_count; i++)
        free(outgoing->headers[i]);
    char *owned[] = {outgoing->url,      outgoing->body,      outgoing->username,
                     outgoing->password, outgoing->mail_from, outgoing->mail_to};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    *outgoing = (struct outgoing){0};
}

bool setting_present(const char *setting)
{
    return setting && *setting;
}

size_t base_url_size(const char *base_url)
{
    size_t size = strlen(base_url);
    while (size && base_url[size - 1] == '/')
        size--;
    return size;
}

#define URL_SIZE_BYTES_MAX 4096

bool http_url_is_valid(const char *url)
{
    size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
    if (!scheme || !url[scheme] || strchr("/?#:@", url[scheme]) || strlen(url) > URL_SIZE_BYTES_MAX)
        return false;
    for (const unsigned char *c = (const unsigned char *)url; *c; c++)
        if (*c <= 0x20 || *c >= 0x7f)
            return false;
    return true;
}

/* How many bytes the character at `text` has; 0 when it is not valid UTF-8 (RFC 3629: no overlong forms, no
 * surrogates). */
static size_t character_size(const unsigned char *text, size_t left)
{
    static const struct {
        unsigned char mask, lead;
        size_t size;
        uint32_t smallest;
    } forms[] = {{0x80, 0x00, 1, 0}, {0xe0, 0xc0, 2, 0x80}, {0xf0, 0xe0, 3, 0x800}, {0xf8, 0xf0, 4, 0x10000}};
    for (size_t form = 0; form < sizeof forms / sizeof *forms; form++) {
        if ((text[0] & forms[form].mask) != forms[form].lead)
            continue;
        if (forms[form].size > left)
            return 0;
        uint32_t code = text[0] & (unsigned char)~forms[form].mask;
        for (size_t i = 1; i < forms[form].size; i++) {
            if ((text[i] & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (text[i] & 0x3f);
        }
        bool valid = code >= forms[form].smallest && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
        return valid ? forms[form].size : 0;
    }
    return 0;
}

size_t clean_copy(char *out, size_t size, const char *text, size_t text_size_bytes)
{
    assert(size > 0);
    const unsigned char *from = (const unsigned char *)text;
    size_t written = 0, read = 0;
    while (read < text_size_bytes) {
        size_t character = character_size(from + read, text_size_bytes - read);
        if (written + (character ? character : 1) >= size)
            break;
        if (character == 0) {
            out[written++] = '?';
            read++;
        } else if (character == 1) {
            unsigned char byte = from[read++];
            out[written++] = byte < 0x20 || byte == 0x7f ? ' ' : (char)byte;
        } else {
            memcpy(out + written, from + read, character);
            written += character;
            read += character;
        }
    }
    out[written] = '\0';
    return written;
}

/* E.164: at most 15 digits; below 7 there are only service numbers, which cannot be told anything. */
#define PHONE_DIGITS_MIN 7
#define PHONE_DIGITS_MAX 15

bool phone_number(char out[PHONE_NUMBER_SIZE], const char *address, uint32_t country_code)
{
    char digits[PHONE_DIGITS_MAX + 1];
    size_t count = 0;
    bool international = address[0] == '+';
    if (!international) {
        int size = snprintf(digits, sizeof digits, "%u", country_code ? country_code : 1);
        if (size < 1 || size > 4)
            return false;
        count = (size_t)size;
    }
    for (const char *c = address + (international ? 1 : 0); *c; c++) {
        if (strchr(" -.()/", *c))
            continue;
        if (*c < '0' || *c > '9' || count == PHONE_DIGITS_MAX)
            return false;
        digits[count++] = *c;
    }
    if (count < PHONE_DIGITS_MIN)
        return false;
    digits[count] = '\0';
    int written = snprintf(out, PHONE_NUMBER_SIZE, "+%s", digits);
    assert(written > 0 && written < PHONE_NUMBER_SIZE);
    return true;
}
