/* JSON of the plain kind that nodes answer with, read several times as fast as the library reads it: clients spend most of their time on that. */
#ifndef TESTS_SIM_CLIENTS_PLAIN_JSON_H
#define TESTS_SIM_CLIENTS_PLAIN_JSON_H

#include <jansson.h>
#include <stddef.h>

/* The same as json_loadb() without flags, NULL for what is no JSON: whatever is not plain is left to the library's own judgement. */
json_t *plain_json_load(const char *text, size_t size_bytes);
/* Without the library's second look: NULL for all that is not plain, or wrong. */
json_t *plain_json_read(const char *text, size_t size_bytes);

#endif
