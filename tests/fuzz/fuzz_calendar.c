/* Calendars from outside: whatever the text, what is taken is in order and within the window, or there is a sentence. */
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/api/schedules/calendar_import.h"
#include "node/host/zones.h"
#include "tests/fuzz/input.h"

#define SINCE_MS 1790000000000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    static struct zone *zone;
    struct calendar calendar = {0};
    uint64_t until_ms = SINCE_MS + SCHEDULE_HORIZON_MS;
    uint8_t *exact = fuzz_exact_copy((struct span){data, size_bytes});

    if (zone == NULL) {
        zone = fuzz_must(zones_load("Europe/Paris"));
    }
    bool taken = calendar_parse(&calendar, (struct span){exact, size_bytes}, zone, zones_load, SINCE_MS, until_ms);
    fuzz_require(taken == (calendar.error[0] == '\0'));
    fuzz_require(!taken || (calendar.count > 0 && calendar.count <= LIMIT_FIXED_SHIFTS_PER_LAYER));
    for (size_t i = 0; taken && i < calendar.count; i++) {
        const struct calendar_event *event = &calendar.events[i];
        fuzz_require(event->start_ms < event->end_ms && event->end_ms > SINCE_MS && event->start_ms < until_ms);
        fuzz_require(i == 0 || event->start_ms >= calendar.events[i - 1].end_ms);
        fuzz_require(strlen(event->address) <= size_bytes && strlen(event->summary) <= size_bytes);
    }
    calendar_free(&calendar);
    free(exact);
    return 0;
}
