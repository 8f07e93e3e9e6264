/* JSON as text, for answers: lists of incidents are most of what a busy node writes, and the library looks at each character several times. */
#ifndef NODE_API_JSON_WRITE_H
#define NODE_API_JSON_WRITE_H

#include <jansson.h>
#include <stddef.h>

/* The same bytes as json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY), ended by a NUL; the caller frees them. NULL when a text in it is not UTF-8. */
char *json_write(const json_t *value, size_t *size_bytes);

#endif
