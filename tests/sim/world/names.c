/* Names to numbers: a hash table of positions beside the list of names. */
#include "tests/sim/world/names.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 64u

void *array_room(void *array, size_t count, size_t *capacity, size_t size_bytes)
{
    if (count < *capacity) {
        return array;
    }
    size_t larger = *capacity == 0 ? 16 : *capacity * 2;
    char *grown = realloc(array, larger * size_bytes);
    if (grown == NULL) {
        abort();
    }
    memset(grown + *capacity * size_bytes, 0, (larger - *capacity) * size_bytes);
    *capacity = larger;
    return grown;
}

/* FNV-1a */
static uint64_t hash(const char *text)
{
    uint64_t value = 14695981039346656037u;

    for (; *text != '\0'; text++) {
        value = (value ^ (unsigned char)*text) * 1099511628211u;
    }
    return value;
}

/* The slot of this name, or the free one where it would be. */
static uint32_t *slot_of(const struct names *names, const char *text)
{
    size_t at = hash(text) & (names->slots_count - 1);

    while (names->slots[at] != 0 && strcmp(names->texts[names->slots[at] - 1], text) != 0) {
        at = (at + 1) & (names->slots_count - 1);
    }
    return &names->slots[at];
}

static void grow(struct names *names)
{
    free(names->slots);
    names->slots_count = names->slots_count == 0 ? FIRST_SLOTS : names->slots_count * 2;
    names->slots = calloc(names->slots_count, sizeof *names->slots);
    if (names->slots == NULL) {
        abort();
    }
    for (size_t i = 0; i < names->count; i++) {
        *slot_of(names, names->texts[i]) = (uint32_t)(i + 1);
    }
}

size_t names_find(const struct names *names, const char *text)
{
    uint32_t number = names->slots_count > 0 ? *slot_of(names, text) : 0;

    return number > 0 ? number - 1 : NAMES_UNKNOWN;
}

size_t names_take(struct names *names, const char *text)
{
    size_t found = names_find(names, text);

    if (found != NAMES_UNKNOWN) {
        return found;
    }
    if (2 * (names->count + 1) > names->slots_count) {
        grow(names);
    }
    names->texts = array_room(names->texts, names->count, &names->capacity, sizeof *names->texts);
    names->texts[names->count] = strdup(text);
    if (names->texts[names->count] == NULL) {
        abort();
    }
    *slot_of(names, text) = (uint32_t)(names->count + 1); /* found by its text, which is there now */
    return names->count++;
}

void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->texts[i]);
    }
    free(names->texts);
    free(names->slots);
    *names = (struct names){0};
}
