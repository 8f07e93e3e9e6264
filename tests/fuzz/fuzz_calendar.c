/*
 * Calendars from outside: whatever the text, what is taken is in order and within the window, or there is a sentence. The
 * library that reads them finds nothing to say on standard error: no more than what was looked at before gets there.
 */
#include <libical/ical.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/schedules/calendar_import.h"
#include "node/host/zones.h"
#include "tests/fuzz/input.h"

#define SINCE_MS 1790000000000u

/* What the layer makes of its rules: at first the same, half a year later what began in that year is the same still. */
static void judge_layer(struct calendar *calendar, bool taken, const struct zone *zone)
{
    Tocsin__ScheduleLayer layer = TOCSIN__SCHEDULE_LAYER__INIT;
    const struct occurrences *shifts = &calendar->shifts;
    layer.n_calendar = taken ? calendar->count : 0;
    layer.calendar = fuzz_must(calloc(layer.n_calendar + 1, sizeof *layer.calendar));
    for (size_t i = 0; i < layer.n_calendar; i++) {
        layer.calendar[i] = &calendar->events[i].rule;
    }
    for (unsigned round = 0; round < 2 && taken; round++) {
        struct calendar_zones zones = {.own = zone, .load = zones_load};
        uint64_t since_ms = SINCE_MS + round * (SCHEDULE_HORIZON_MS / 2);
        size_t count, at = 0;
        Tocsin__FixedShift **fixed = calendar_shifts(&layer, &zones, since_ms, since_ms + SCHEDULE_HORIZON_MS, &count);
        while (at < shifts->count && shifts->list[at].end_ms <= since_ms) {
            at++;
        }
        fuzz_require(round > 0 || count == shifts->count);
        for (size_t i = 0; i < count; i++) {
            fuzz_require(fixed[i]->start_ms < fixed[i]->end_ms && (i == 0 || fixed[i]->start_ms >= fixed[i - 1]->end_ms));
            bool known = at < shifts->count;
            fuzz_require(!known || (fixed[i]->start_ms == shifts->list[at].start_ms && fixed[i]->end_ms == shifts->list[at].end_ms));
            at += known ? 1 : 0;
        }
        free(fixed);
        calendar_zones_free(&zones);
    }
    free(layer.calendar);
}

/* calendar_parse(), while what is written to standard error by way of stdio is caught: nothing may be. */
static bool parse_silently(struct calendar *calendar, struct span text, const struct zone *zone, uint64_t until_ms)
{
    static FILE *said;
    static char *words;
    static size_t words_size_bytes;
    FILE *before = stderr;

    if (said == NULL) {
        said = fuzz_must(open_memstream(&words, &words_size_bytes));
    }
    stderr = said; /* glibc's is a variable; the sanitizers' reports do not go this way */
    bool taken = calendar_parse(calendar, text, zone, zones_load, SINCE_MS, until_ms);
    stderr = before;
    fuzz_require(fflush(said) == 0 && words_size_bytes == 0);
    return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    static struct zone *zone;
    struct calendar calendar = {0};
    uint64_t until_ms = SINCE_MS + SCHEDULE_HORIZON_MS;
    uint8_t *exact = fuzz_exact_copy((struct span){data, size_bytes});

    if (zone == NULL) {
        zone = fuzz_must(zones_load("Europe/Paris"));
    }
    bool taken = parse_silently(&calendar, (struct span){exact, size_bytes}, zone, until_ms);
    fuzz_require(taken == (calendar.error[0] == '\0'));
    const struct occurrences *shifts = &calendar.shifts;
    fuzz_require(!taken || (shifts->count > 0 && shifts->count <= LIMIT_FIXED_SHIFTS_PER_LAYER));
    for (size_t i = 0; taken && i < shifts->count; i++) {
        const struct occurrence *shift = &shifts->list[i];
        fuzz_require(shift->start_ms < shift->end_ms && shift->end_ms > SINCE_MS && shift->start_ms < until_ms);
        fuzz_require(i == 0 || shift->start_ms >= shifts->list[i - 1].end_ms);
        fuzz_require(shift->rule < calendar.count);
    }
    fuzz_require(!taken || (calendar.count > 0 && calendar.count <= LIMIT_CALENDAR_RULES_PER_LAYER));
    for (size_t i = 0; taken && i < calendar.count; i++) {
        const struct calendar_event *event = &calendar.events[i];
        fuzz_require(strlen(event->address) <= size_bytes && strlen(event->summary) <= size_bytes);
        fuzz_require(recurrence_refusal(&event->rule) == NULL);
    }
    judge_layer(&calendar, taken, zone);
    calendar_free(&calendar);
    icalmemory_free_ring(); /* its last 2,500 buffers, small ones: what stays after an input would be taken for a leak */
    free(exact);
    return 0;
}
