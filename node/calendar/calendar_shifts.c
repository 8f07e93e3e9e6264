/* Calendar layers as shifts. */
#include "node/calendar/calendar_shifts.h"

#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/log.h"

/* ---------------------------------------------------------------- zones */

bool calendar_zone_find(struct calendar_zones *zones, const char *name, const struct zone **zone)
{
    *zone = zones->own;
    if (name[0] == '\0') {
        return true;
    }
    *zone = NULL;
    if (strcmp(name, CALENDAR_ZONE_UTC) == 0) {
        return true;
    }
    for (size_t i = 0; i < zones->count; i++) {
        if (strcmp(zones->list[i].name, name) == 0) {
            *zone = zones->list[i].zone;
            return true;
        }
    }
    if (zones->count == CALENDAR_ZONES_MAX || zones->load == NULL || !zone_name_is_sane(name)) {
        return false;
    }
    struct zone *loaded = zones->load(name);
    if (loaded == NULL) {
        return false;
    }
    memcpy(zones->list[zones->count].name, name, strlen(name) + 1); /* a sane one fits */
    zones->list[zones->count++].zone = loaded;
    *zone = loaded;
    return true;
}

void calendar_zones_free(struct calendar_zones *zones)
{
    for (size_t i = 0; i < zones->count; i++) {
        zone_free(zones->list[i].zone);
    }
    zones->count = 0;
}

/* ---------------------------------------------------------------- shifts */

static int compare(const void *a, const void *b)
{
    const struct occurrence *x = a, *y = b;
    int by_start = (x->start_ms > y->start_ms) - (x->start_ms < y->start_ms);
    return by_start != 0 ? by_start : (x->rule > y->rule) - (x->rule < y->rule);
}

/* The pointers and what they point to are one piece of memory. */
static Tocsin__FixedShift **to_shifts(const Tocsin__ScheduleLayer *layer, const struct occurrences *found, size_t *count)
{
    size_t list_size_bytes = found->count * sizeof(Tocsin__FixedShift *);
    char *memory = malloc(list_size_bytes + found->count * sizeof(Tocsin__FixedShift));
    if (memory == NULL) {
        abort();
    }
    Tocsin__FixedShift **list = (Tocsin__FixedShift **)(void *)memory;
    Tocsin__FixedShift *shift = (Tocsin__FixedShift *)(void *)(memory + list_size_bytes);
    uint64_t taken_until_ms = 0;
    for (size_t i = 0; i < found->count && *count < LIMIT_FIXED_SHIFTS_PER_LAYER; i++) {
        const struct occurrence *one = &found->list[i];
        if (one->end_ms <= taken_until_ms) {
            continue;
        }
        tocsin__fixed_shift__init(shift);
        shift->start_ms = one->start_ms > taken_until_ms ? one->start_ms : taken_until_ms;
        shift->end_ms = taken_until_ms = one->end_ms;
        shift->user_id = layer->calendar[one->rule]->user_id;
        list[(*count)++] = shift++;
    }
    return list;
}

Tocsin__FixedShift **calendar_shifts(const Tocsin__ScheduleLayer *layer, struct calendar_zones *zones, uint64_t since_ms,
                                     uint64_t until_ms, size_t *count)
{
    struct occurrences found = {.since_ms = since_ms, .until_ms = until_ms, .days_left = RECURRENCE_DAYS_MAX,
                                .count_max = LIMIT_FIXED_SHIFTS_PER_LAYER * 4};
    Tocsin__FixedShift **shifts = NULL;
    bool good = true, over;
    *count = 0;
    for (uint32_t i = 0; i < layer->n_calendar && good; i++) {
        const struct zone *zone;
        good = recurrence_refusal(layer->calendar[i]) == NULL &&
               calendar_zone_find(zones, layer->calendar[i]->time_zone, &zone) &&
               recurrence_lay_out(layer->calendar[i], i, zone, &found, &over);
    }
    if (!good || found.count > found.count_max) {
        log_error("the events of a calendar cannot be laid out on this node: a time zone is not known, or there are too many");
    } else if (found.count > 0) {
        qsort(found.list, found.count, sizeof *found.list, compare);
        shifts = to_shifts(layer, &found, count);
    }
    free(found.list);
    return shifts;
}
