/* See plain_json.h. Whole numbers, texts, objects and arrays; RFC 8259. */
#include "tests/sim/clients/plain_json.h"

#include <stdbool.h>
#include <string.h>

#define DEPTH_MAX 64u
#define DIGITS_MAX 18u /* of what fits 64 bits for certain */

struct reader {
    const char *at, *end;
    unsigned depth;
};

static json_t *read_value(struct reader *reader);

static void skip_space(struct reader *reader) {
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\t' || *reader->at == '\r')) reader->at++;
}

/* The character comes next, perhaps behind space. */
static bool take(struct reader *reader, char wanted) {
    skip_space(reader);
    if (reader->at == reader->end || *reader->at != wanted) return false;
    reader->at++;
    return true;
}

/* From behind the first quotation mark to the last one; `plain`: of ASCII without escapes. */
static bool take_text(struct reader *reader, const char **text, size_t *size_bytes, bool *plain) {
    const char *at = reader->at;
    *text = at;
    *plain = true;
    for (; at < reader->end && *at != '"'; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte >= ' ' && byte < 0x80 && byte != '\\') continue;
        if (byte < ' ') return false;
        *plain = false;
        if (byte == '\\' && ++at == reader->end) return false;
    }
    if (at == reader->end) return false;
    *size_bytes = (size_t)(at - *text);
    reader->at = at + 1;
    return true;
}

static json_t *read_text(struct reader *reader) {
    const char *text;
    size_t size_bytes;
    bool plain;
    if (!take_text(reader, &text, &size_bytes, &plain)) return NULL;
    if (plain) return json_stringn_nocheck(text, size_bytes);
    return json_loadb(text - 1, size_bytes + 2, JSON_DECODE_ANY, NULL);
}

static json_t *read_number(struct reader *reader) {
    bool negative = *reader->at == '-';
    const char *first = reader->at + negative, *at = first;
    json_int_t number = 0;
    while (at < reader->end && *at >= '0' && *at <= '9' && at - first < (ptrdiff_t)DIGITS_MAX) number = number * 10 + (*at++ - '0');
    bool whole = at > first && (*first != '0' || at == first + 1);
    if (!whole || (at < reader->end && strchr("0123456789.eE", *at) != NULL)) return NULL;
    reader->at = at;
    return json_integer(negative ? -number : number);
}

static json_t *read_word(struct reader *reader, const char *word, json_t *value) {
    size_t length = strlen(word);
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0) return NULL;
    reader->at += length;
    return value;
}

static bool read_members(struct reader *reader, json_t *object) {
    if (take(reader, '}')) return true;
    do {
        const char *name;
        size_t size_bytes;
        bool plain;
        if (!take(reader, '"') || !take_text(reader, &name, &size_bytes, &plain) || !plain || !take(reader, ':')) return false;
        json_t *value = read_value(reader);
        if (value == NULL || json_object_setn_new_nocheck(object, name, size_bytes, value) != 0) return false;
    } while (take(reader, ','));
    return take(reader, '}');
}

static bool read_elements(struct reader *reader, json_t *array) {
    if (take(reader, ']')) return true;
    do {
        json_t *value = read_value(reader);
        if (value == NULL || json_array_append_new(array, value) != 0) return false;
    } while (take(reader, ','));
    return take(reader, ']');
}

static json_t *read_list(struct reader *reader, json_t *list, bool (*read)(struct reader *reader, json_t *list)) {
    bool read_all = ++reader->depth <= DEPTH_MAX && read(reader, list);
    reader->depth--;
    if (read_all) return list;
    json_decref(list);
    return NULL;
}

static json_t *read_value(struct reader *reader) {
    if (take(reader, '"')) return read_text(reader);
    if (take(reader, '{')) return read_list(reader, json_object(), read_members);
    if (take(reader, '[')) return read_list(reader, json_array(), read_elements);
    if (reader->at == reader->end) return NULL;
    switch (*reader->at) {
    case 't': return read_word(reader, "true", json_true());
    case 'f': return read_word(reader, "false", json_false());
    case 'n': return read_word(reader, "null", json_null());
    default: return read_number(reader);
    }
}

json_t *plain_json_read(const char *text, size_t size_bytes) {
    struct reader reader = {.at = text, .end = text + size_bytes};
    skip_space(&reader);
    bool list = reader.at < reader.end && (*reader.at == '{' || *reader.at == '[');
    json_t *value = list ? read_value(&reader) : NULL;
    skip_space(&reader);
    if (reader.at == reader.end) return value;
    json_decref(value);
    return NULL;
}

json_t *plain_json_load(const char *text, size_t size_bytes) {
    json_t *value = plain_json_read(text, size_bytes);
    return value != NULL ? value : json_loadb(text, size_bytes, 0, NULL);
}
