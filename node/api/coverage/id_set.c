#include "node/api/coverage/id_set.h"

#include <assert.h>

#define CAPACITY_LEAST 64u /* a power of two, as each after it */

/* Ids are numbers in a row: an odd factor spreads them. */
static size_t place_of(uint64_t id, size_t capacity)
{
    return (size_t)((id * 0x9e3779b97f4a7c15u) >> 32) & (capacity - 1);
}

/* The place of the id, or the free one where it belongs. */
static size_t find(const struct id_set *set, uint64_t id)
{
    size_t place = place_of(id, set->capacity);

    while (set->places[place] != 0 && set->places[place] != id) {
        place = (place + 1) & (set->capacity - 1);
    }
    return place;
}

static void grow(struct http_request *request, struct id_set *set)
{
    struct id_set larger = {.capacity = set->capacity > 0 ? 2 * set->capacity : CAPACITY_LEAST, .count = set->count};

    larger.places = http_alloc(request, larger.capacity * sizeof *larger.places);
    for (size_t i = 0; i < set->capacity; i++) {
        if (set->places[i] != 0) {
            larger.places[find(&larger, set->places[i])] = set->places[i];
        }
    }
    *set = larger;
}

void id_set_add(struct http_request *request, struct id_set *set, uint64_t id)
{
    assert(id != 0);
    if (2 * (set->count + 1) > set->capacity) {
        grow(request, set);
    }
    size_t place = find(set, id);
    set->count += set->places[place] == 0;
    set->places[place] = id;
}

bool id_set_has(const struct id_set *set, uint64_t id)
{
    return set->capacity > 0 && set->places[find(set, id)] == id;
}
