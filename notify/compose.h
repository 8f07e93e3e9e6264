/*
 * Putting requests together: a growing text, the escapings of the wire formats, and texts from outside made fit to
 * keep.
 *
 * All of it ends the process when memory runs out.
 */
#ifndef NOTIFY_COMPOSE_H
#define NOTIFY_COMPOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "notify/channel.h"

/* A text under construction; starts zeroed. `data` is NUL-terminated once anything was added. */
struct composer {
    char *data;
    size_t size_bytes, capacity_bytes;
};

void compose_bytes(struct composer *composer, const void *bytes, size_t size_bytes);
void compose_text(struct composer *composer, const char *text);
void compose_format(struct composer *composer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* One field of application/x-www-form-urlencoded, with the '&' before it when it is not the first. */
void compose_form_field(struct composer *composer, const char *name, const char *value);
/* Text inside an XML element or attribute. */
void compose_xml(struct composer *composer, const char *text);

/* The text becomes the caller's; the composer is empty again. Never NULL. */
char *compose_take(struct composer *composer, size_t *size_bytes);
void compose_discard(struct composer *composer);

/* A copy on the heap. */
char *compose_copy(const char *text);

/* Adds "name: value"; line breaks and other control characters in the value become spaces. */
void outgoing_header(struct outgoing *outgoing, const char *name, const char *value);

/* Not NULL and not "". */
bool setting_present(const char *setting);

/* "https://api.example/" and "https://api.example" are one base: its length without slashes at the end. */
size_t base_url_size(const char *base_url);

/* http:// or https:// and a host, in printable ASCII without spaces, of a bounded length: fit for a request line. */
bool http_url_is_valid(const char *url);

/* Copies what may be shown and stored: valid UTF-8, control characters as spaces, invalid bytes as '?', cut at a
 * character so that it fits `size` bytes with NUL. Returns the length written. */
size_t clean_copy(char *out, size_t size, const char *text, size_t text_size_bytes);

/* A phone number in E.164 from an address as people type it; a number without '+' is national to `country_code` (0
 * as 1, as PagerDuty does). False when it is no phone number. */
#define PHONE_NUMBER_SIZE 17
bool phone_number(char out[PHONE_NUMBER_SIZE], const char *address, uint32_t country_code);

#endif
