/* Ids, times and texts as the outside sees them. */
#include <string.h>
#include <time.h>

#include "node/api/api.h"
#include "node/http/utf8.h"

json_t *json_id(uint64_t id)
{
    char text[16];

    if (id == 0) {
        return json_null();
    }
    id_format(id, text);
    return json_string(text);
}

json_t *json_time(uint64_t time_ms)
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm parts;
    char text[32];

    if (time_ms == 0 || gmtime_r(&seconds, &parts) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        return json_null(); /* gmtime_r fails only for years that no int holds */
    }
    return json_string(text);
}

bool text_fits(const char *text, size_t characters_max)
{
    size_t characters;

    return utf8_count(text, strlen(text), &characters) && characters <= characters_max;
}
