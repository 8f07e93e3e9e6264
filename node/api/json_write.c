/* See json_write.h. Whatever is rare (other letters than ASCII, fractions) is left to the library. */
#include "node/api/json_write.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 4096u
/* A byte may become six: \u001F. */
#define ESCAPED_SIZE_BYTES 6u
#define NUMBER_SIZE_BYTES 24u
/* Deeper than anything that is built here: recursion stays bounded, and the library has its own limit. */
#define DEPTH_MAX 256u

struct writer {
    char *text;
    size_t size_bytes, capacity;
    unsigned depth;
};

static bool write_value(struct writer *writer, const json_t *value);

static void make_room(struct writer *writer, size_t size_bytes) {
    if (writer->capacity - writer->size_bytes >= size_bytes) return;
    writer->capacity = 2 * (writer->capacity + size_bytes);
    writer->text = realloc(writer->text, writer->capacity);
    if (writer->text == NULL) abort();
}

static void write_bytes(struct writer *writer, const char *bytes, size_t size_bytes) {
    make_room(writer, size_bytes);
    memcpy(writer->text + writer->size_bytes, bytes, size_bytes);
    writer->size_bytes += size_bytes;
}

static void write_character(struct writer *writer, char character) { write_bytes(writer, &character, 1); }

static bool write_by_library(struct writer *writer, const json_t *value) {
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text == NULL) return false;
    write_bytes(writer, text, strlen(text));
    free(text);
    return true;
}

/* ---- texts */

static char *escape(char *out, unsigned char byte) {
    static const char names[] = {['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    static const char digits[] = "0123456789ABCDEF";
    *out++ = '\\';
    if (names[byte] != '\0') {
        *out++ = names[byte];
        return out;
    }
    memcpy(out, "u00", 3);
    out[3] = digits[byte >> 4];
    out[4] = digits[byte & 15];
    return out + 5;
}

/* Whether UTF-8 is right is for the library to say. */
static bool write_other_letters(struct writer *writer, const char *text, size_t size_bytes) {
    json_t *value = json_stringn(text, size_bytes);
    bool written = value != NULL && write_by_library(writer, value);
    json_decref(value);
    return written;
}

static bool write_text(struct writer *writer, const char *text, size_t size_bytes) {
    make_room(writer, ESCAPED_SIZE_BYTES * size_bytes + 2);
    char *out = writer->text + writer->size_bytes;
    *out++ = '"';
    for (size_t i = 0; i < size_bytes; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte >= 0x80) return write_other_letters(writer, text, size_bytes);
        if (byte >= ' ' && byte != '"' && byte != '\\')
            *out++ = (char)byte;
        else
            out = escape(out, byte);
    }
    *out++ = '"';
    writer->size_bytes = (size_t)(out - writer->text);
    return true;
}

/* ---- the rest */

static void write_number(struct writer *writer, json_int_t number) {
    char digits[NUMBER_SIZE_BYTES], *at = digits + sizeof digits;
    unsigned long long left = number < 0 ? 0ull - (unsigned long long)number : (unsigned long long)number;
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (number < 0) *--at = '-';
    write_bytes(writer, at, (size_t)(digits + sizeof digits - at));
}

static bool write_object(struct writer *writer, const json_t *value) {
    json_t *object = (json_t *)(uintptr_t)value; /* its iterators want it so, and change nothing */
    write_character(writer, '{');
    for (void *member = json_object_iter(object); member != NULL;) {
        if (!write_text(writer, json_object_iter_key(member), json_object_iter_key_len(member))) return false;
        write_character(writer, ':');
        if (!write_value(writer, json_object_iter_value(member))) return false;
        member = json_object_iter_next(object, member);
        if (member != NULL) write_character(writer, ',');
    }
    write_character(writer, '}');
    return true;
}

static bool write_array(struct writer *writer, const json_t *array) {
    size_t count = json_array_size(array);
    write_character(writer, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) write_character(writer, ',');
        if (!write_value(writer, json_array_get(array, i))) return false;
    }
    write_character(writer, ']');
    return true;
}

static bool write_list(struct writer *writer, const json_t *list) {
    if (writer->depth == DEPTH_MAX) return write_by_library(writer, list);
    writer->depth++;
    bool written = json_is_object(list) ? write_object(writer, list) : write_array(writer, list);
    writer->depth--;
    return written;
}

static bool write_value(struct writer *writer, const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
    case JSON_ARRAY: return write_list(writer, value);
    case JSON_STRING: return write_text(writer, json_string_value(value), json_string_length(value));
    case JSON_INTEGER: write_number(writer, json_integer_value(value)); return true;
    case JSON_TRUE: write_bytes(writer, "true", 4); return true;
    case JSON_FALSE: write_bytes(writer, "false", 5); return true;
    case JSON_NULL: write_bytes(writer, "null", 4); return true;
    case JSON_REAL:
    default: return write_by_library(writer, value);
    }
}

char *json_write(const json_t *value, size_t *size_bytes) {
    struct writer writer = {.capacity = FIRST_CAPACITY, .text = malloc(FIRST_CAPACITY)};
    if (writer.text == NULL) abort();
    if (!write_value(&writer, value)) {
        free(writer.text);
        return NULL;
    }
    write_character(&writer, '\0');
    *size_bytes = writer.size_bytes - 1;
    return writer.text;
}
