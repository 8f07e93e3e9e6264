/* Recurring maintenance windows: spans in order, at the hours of the wall, the same from whatever day they are laid out. */
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "consensus/machine/oncall/window_spans.h"
#include "node/host/zones.h"
#include "tests/fuzz/input.h"

#define DAY_MS (24ull * 3600 * 1000)
#define BEGIN_MS 1774000000000u /* March 2026, when clocks change */

static const char *const names[] = {"UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/New_York", "Africa/Cairo", "Asia/Kathmandu"};
#define ZONES_COUNT (sizeof names / sizeof *names)

static void judge_order(const Tocsin__WindowSpan *spans, size_t count, uint64_t since_ms, uint64_t until_ms)
{
    fuzz_require(count <= LIMIT_SPANS_PER_WINDOW);
    for (size_t i = 0; i < count; i++) {
        fuzz_require(spans[i].start_ms < spans[i].end_ms && spans[i].end_ms > since_ms && spans[i].start_ms < until_ms);
        fuzz_require(i == 0 || spans[i].start_ms > spans[i - 1].end_ms);
    }
}

/* What of the one lies behind `after_ms` is what the other has there: the same spans, but for the one that may have begun before. */
static void judge_same(const Tocsin__WindowSpan *spans, size_t count, const Tocsin__WindowSpan *later, size_t later_count, uint64_t after_ms)
{
    while (count > 0 && spans->end_ms <= after_ms) {
        spans++;
        count--;
    }
    fuzz_require(count == later_count);
    for (size_t i = 0; i < count; i++) {
        bool under_way = i == 0 && spans[i].start_ms < after_ms && later[i].start_ms <= after_ms;
        fuzz_require((under_way || spans[i].start_ms == later[i].start_ms) && spans[i].end_ms == later[i].end_ms);
    }
}

/* The zone, the days of the week, the start, the length, the end of all, and how much later it is laid out again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    static struct zone *loaded[ZONES_COUNT];
    Tocsin__WindowSpan spans[LIMIT_SPANS_PER_WINDOW], later[LIMIT_SPANS_PER_WINDOW];
    Tocsin__MaintenanceWindow window = TOCSIN__MAINTENANCE_WINDOW__INIT;
    Tocsin__Recurrence recurrence = TOCSIN__RECURRENCE__INIT;
    struct fuzz_input input = fuzz_input(data, size_bytes);
    unsigned number = fuzz_below(&input, ZONES_COUNT), week = fuzz_byte(&input) & 0x7f;
    uint32_t days[7];
    if (loaded[number] == NULL) {
        loaded[number] = fuzz_must(zones_load(names[number]));
    }
    recurrence.days_of_week = days;
    for (uint32_t day = 1; day <= 7; day++) {
        if (week >> (day - 1) & 1) {
            days[recurrence.n_days_of_week++] = day;
        }
    }
    window.recurrence = &recurrence;
    window.start_ms = BEGIN_MS + fuzz_number(&input, 4) % (800 * 24 * 3600) * 1000;
    uint64_t longest_ms = recurrence.n_days_of_week > 0 ? 7 * DAY_MS : DAY_MS; /* as at the door */
    window.end_ms = window.start_ms + (1 + fuzz_number(&input, 4) % (longest_ms / 1000)) * 1000;
    unsigned until_days = fuzz_byte(&input);
    recurrence.until_ms = until_days != 0 ? window.start_ms + until_days * DAY_MS : 0;
    uint64_t since_ms = BEGIN_MS + fuzz_number(&input, 2) % 800 * DAY_MS, until_ms = since_ms + MAINTENANCE_HORIZON_MS;
    size_t count = window_spans(&window, loaded[number], since_ms, until_ms, spans, LIMIT_SPANS_PER_WINDOW);
    judge_order(spans, count, since_ms, until_ms);
    /* As the leader does it daily: what both know is the same. */
    uint64_t after_ms = since_ms + (1 + fuzz_byte(&input)) * DAY_MS;
    size_t later_count = window_spans(&window, loaded[number], after_ms, until_ms, later, LIMIT_SPANS_PER_WINDOW);
    judge_order(later, later_count, after_ms, until_ms);
    judge_same(spans, count, later, later_count, after_ms);
    return 0;
}
