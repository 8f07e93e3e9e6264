/* Reading a JSON body field by field, collecting what is wrong with it. */
#include <stdarg.h>
#include <stdio.h>

#include "node/api/api.h"

#define MESSAGE_SIZE_BYTES_MAX 512

void field_error(struct field_reader *reader, const char *format, ...)
{
    char message[MESSAGE_SIZE_BYTES_MAX];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (reader->errors == NULL) {
        reader->errors = json_array();
    }
    /* A message that was cut inside a character is not a JSON string: then only that something is wrong can be said. */
    json_t *text = length >= 0 ? json_string(message) : NULL;
    json_array_append_new(reader->errors, text != NULL ? text : json_string("A field is invalid"));
}

/* The value under a name; NULL when absent or null, which is noted in *present. */
static json_t *value_of(struct field_reader *reader, const char *name, bool *present)
{
    json_t *value = json_object_get(reader->object, name);

    if (json_is_null(value)) {
        value = NULL;
    }
    if (present != NULL) {
        *present = value != NULL;
    }
    return value;
}

bool field_string(struct field_reader *reader, const char *name, size_t characters_max, const char **out, bool *present)
{
    json_t *value = value_of(reader, name, present);

    if (value == NULL) {
        return true;
    }
    if (!json_is_string(value)) {
        field_error(reader, "'%s%s' must be a string", reader->prefix, name);
        return false;
    }
    if (!text_fits(json_string_value(value), characters_max)) {
        field_error(reader, "'%s%s' is too long (maximum is %zu characters)", reader->prefix, name, characters_max);
        return false;
    }
    *out = json_string_value(value);
    return true;
}

bool field_integer(struct field_reader *reader, const char *name, int64_t min, int64_t max, int64_t *out, bool *present)
{
    json_t *value = value_of(reader, name, present);

    if (value == NULL) {
        return true;
    }
    if (!json_is_integer(value)) {
        field_error(reader, "'%s%s' must be an integer", reader->prefix, name);
        return false;
    }
    if (json_integer_value(value) < min || json_integer_value(value) > max) {
        field_error(reader, "'%s%s' must be from %lld to %lld", reader->prefix, name, (long long)min, (long long)max);
        return false;
    }
    *out = json_integer_value(value);
    return true;
}

bool field_boolean(struct field_reader *reader, const char *name, bool *out, bool *present)
{
    json_t *value = value_of(reader, name, present);

    if (value == NULL) {
        return true;
    }
    if (!json_is_boolean(value)) {
        field_error(reader, "'%s%s' must be true or false", reader->prefix, name);
        return false;
    }
    *out = json_is_true(value);
    return true;
}

bool field_object(struct field_reader *reader, const char *name, json_t **out)
{
    json_t *value = value_of(reader, name, NULL);

    if (value == NULL) {
        return true;
    }
    if (!json_is_object(value)) {
        field_error(reader, "'%s%s' must be an object", reader->prefix, name);
        return false;
    }
    *out = value;
    return true;
}

bool field_array(struct field_reader *reader, const char *name, size_t count_max, json_t **out)
{
    json_t *value = value_of(reader, name, NULL);

    if (value == NULL) {
        return true;
    }
    if (!json_is_array(value)) {
        field_error(reader, "'%s%s' must be an array", reader->prefix, name);
        return false;
    }
    if (json_array_size(value) > count_max) {
        field_error(reader, "'%s%s' is too long (maximum is %zu elements)", reader->prefix, name, count_max);
        return false;
    }
    *out = value;
    return true;
}

bool field_reference(struct field_reader *reader, const char *name, uint64_t *out, bool *present)
{
    json_t *value = value_of(reader, name, present);

    if (value == NULL) {
        return true;
    }
    const char *text = json_string_value(json_object_get(value, "id"));
    uint64_t id = text != NULL ? id_parse(text) : 0;
    if (id == 0) {
        field_error(reader, "'%s%s' must be a reference with the id of an object", reader->prefix, name);
        return false;
    }
    *out = id;
    return true;
}

bool fields_finish(struct field_reader *reader)
{
    if (reader->errors == NULL) {
        return true;
    }
    api_error(reader->request, 400, 2001, "Invalid Input Provided", reader->errors);
    reader->errors = NULL; /* given away */
    return false;
}
