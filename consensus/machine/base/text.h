/* What a text may be: counted in characters of UTF-8, decided here and not by the C library, whose answer depends on the
 * locale. */
#ifndef CONSENSUS_MACHINE_BASE_TEXT_H
#define CONSENSUS_MACHINE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* The number of characters of a text; false when it is not valid UTF-8 (RFC 3629: no overlong forms, no surrogates). */
bool text_characters(const char *text, size_t *characters);

/* Valid UTF-8 of `min` to `max` characters. */
bool text_within(const char *text, size_t min, size_t max);

/* True when there is no ASCII control character in it: a text of one line, harmless in headers. */
bool text_is_line(const char *text);

/* True when there is neither a control character nor a space in it. */
bool text_is_word(const char *text);

/* True when each character is an ASCII digit, or an ASCII letter or digit. */
bool text_is_digits(const char *text);
bool text_is_alphanumeric(const char *text);

/* name@domain, a word with something on both sides. Whether mail arrives there only sending shows. */
bool text_is_email(const char *text);

/* http:// or https://, a word with something behind it. */
bool text_is_http_url(const char *text);

#endif
