/* Names to numbers, counted from 0 in the order in which they came. */
#ifndef TESTS_SIM_WORLD_NAMES_H
#define TESTS_SIM_WORLD_NAMES_H

#include <stddef.h>
#include <stdint.h>

#define NAMES_UNKNOWN SIZE_MAX

struct names {
    char **texts;
    size_t count, capacity;
    uint32_t *slots; /* open addressing: number + 1 */
    size_t slots_count;
};

/* NAMES_UNKNOWN when it is not there. */
size_t names_find(const struct names *names, const char *text);
/* Its number, a new one when it is not there. */
size_t names_take(struct names *names, const char *text);
void names_free(struct names *names);

/* Memory or the end of the process; the array has room for one more afterwards, zeroed. */
void *array_room(void *array, size_t count, size_t *capacity, size_t size_bytes);

#endif
