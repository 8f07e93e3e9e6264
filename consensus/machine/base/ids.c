/* Ids as people see them: see ids.h. */
#include "consensus/machine/base/ids.h"

#include <string.h>

/* Base 32 without letters that people confuse with digits or each other (Crockford's), so that an id can be read
 * aloud. */
static const char id_digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

#define ID_DIGITS_MIN 6
#define ID_DIGITS_MAX 13 /* 64 bits, five a digit */

void id_format(uint64_t id, char out[16])
{
    char reversed[ID_DIGITS_MAX];
    unsigned count = 0;

    for (uint64_t rest = id; rest > 0 || count < ID_DIGITS_MIN; rest >>= 5) {
        reversed[count++] = id_digits[rest & 31];
    }
    *out++ = 'P';
    while (count > 0) {
        *out++ = reversed[--count];
    }
    *out = '\0';
}

uint64_t id_parse(const char *text)
{
    uint64_t id = 0;
    size_t length = strlen(text);

    if ((text[0] != 'P' && text[0] != 'p') || length < 1 + ID_DIGITS_MIN || length > 1 + ID_DIGITS_MAX) {
        return 0;
    }
    if (length > 1 + ID_DIGITS_MIN && text[1] == '0') {
        return 0; /* each id has one spelling */
    }
    for (const char *at = text + 1; *at != '\0'; at++) {
        char upper = *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at;
        const char *digit = strchr(id_digits, upper);
        if (digit == NULL || id > UINT64_MAX >> 5) {
            return 0;
        }
        id = id << 5 | (uint64_t)(digit - id_digits);
    }
    return id;
}
