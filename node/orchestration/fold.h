/* Letters without case: ASCII, Latin, Greek and Cyrillic, by tables of our own, since the C library's depend on the locale. */
#ifndef NODE_ORCHESTRATION_FOLD_H
#define NODE_ORCHESTRATION_FOLD_H

#include <stddef.h>
#include <stdint.h>

/* The small letter of a capital one; anything else as it is. */
uint32_t fold_lower(uint32_t character);
/* The other way round. */
uint32_t fold_upper(uint32_t character);

/* The character at `text`, which has at least one byte of valid UTF-8; *size_bytes is its length. */
uint32_t fold_decode(const char *text, size_t *size_bytes);
/* Writes it as UTF-8, up to four bytes; their number. */
size_t fold_encode(uint32_t character, char *out);

/* Small letters of valid UTF-8 into `out`, which has room for as many bytes. The number of bytes is the same: the tables hold
 * no letter whose other case is longer. */
void fold_text(const char *text, size_t size_bytes, char *out);

#endif
