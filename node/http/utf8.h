/* UTF-8 at the door: what is stored and shown is valid, without NUL, and counted in characters. */
#ifndef NODE_HTTP_UTF8_H
#define NODE_HTTP_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* True when the bytes are valid UTF-8 (RFC 3629: shortest forms, no surrogates) without NUL; *characters is their
 * number. */
bool utf8_count(const char *text, size_t size_bytes, size_t *characters);

/* Bytes of the first so many characters of valid, NUL-terminated UTF-8, or of all of it when there are fewer. */
size_t utf8_prefix_size_bytes(const char *text, size_t characters_max);

#endif
