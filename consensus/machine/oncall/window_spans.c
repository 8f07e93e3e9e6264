/* Recurring maintenance windows as spans of UTC. */
#include "consensus/machine/oncall/window_spans.h"

#include "consensus/machine/oncall/calendar.h"

#define MS_PER_SECOND INT64_C(1000)

/* The first span as clocks on the wall show it. */
struct pattern {
    int64_t first_day;          /* since 1970 */
    int64_t start_s, length_s;  /* of that day; by the clock, so that it ends at the same time of day all year */
};

static struct pattern pattern_of(const Tocsin__MaintenanceWindow *window, const struct zone *zone)
{
    int64_t start_s = zone_to_local(zone, (int64_t)window->start_ms / MS_PER_SECOND);
    int64_t end_s = zone_to_local(zone, (int64_t)window->end_ms / MS_PER_SECOND);
    int64_t day = floor_div(start_s, SECONDS_PER_DAY);
    return (struct pattern){day, start_s - day * SECONDS_PER_DAY, end_s - start_s};
}

static uint32_t day_of_week(int64_t day)
{
    unsigned weekday = calendar_weekday(day);
    return weekday == 0 ? 7 : weekday;
}

static bool recurs_on(const Tocsin__Recurrence *recurrence, int64_t day)
{
    bool found = recurrence->n_days_of_week == 0;
    for (size_t i = 0; i < recurrence->n_days_of_week && !found; i++) {
        found = recurrence->days_of_week[i] == day_of_week(day);
    }
    return found;
}

static uint64_t moment_ms(const struct zone *zone, int64_t local_s)
{
    int64_t at_s = zone_from_local(zone, local_s);
    return at_s > 0 ? (uint64_t)(at_s * MS_PER_SECOND) : 0;
}

size_t window_spans(const Tocsin__MaintenanceWindow *window, const struct zone *zone, uint64_t since_ms, uint64_t until_ms,
                    Tocsin__WindowSpan *spans, size_t count_max)
{
    const Tocsin__Recurrence *recurrence = window->recurrence;
    struct pattern pattern = pattern_of(window, zone);
    if (recurrence->until_ms != 0 && recurrence->until_ms < until_ms) {
        until_ms = recurrence->until_ms;
    }
    /* A day earlier, for the zone's offset, and as many as a span may reach over. */
    int64_t since_day = floor_div((int64_t)(since_ms / 1000) - pattern.length_s, SECONDS_PER_DAY) - 1;
    int64_t day = since_day > pattern.first_day ? since_day : pattern.first_day;
    size_t count = 0;
    for (;; day++) {
        int64_t start_s = day * SECONDS_PER_DAY + pattern.start_s;
        uint64_t start_ms = moment_ms(zone, start_s), end_ms = moment_ms(zone, start_s + pattern.length_s);
        if (start_ms >= until_ms) {
            return count;
        }
        if (!recurs_on(recurrence, day) || end_ms <= since_ms || end_ms <= start_ms) {
            continue;
        }
        if (count > 0 && start_ms <= spans[count - 1].end_ms) {
            spans[count - 1].end_ms = end_ms > spans[count - 1].end_ms ? end_ms : spans[count - 1].end_ms;
        } else if (count == count_max) {
            return count;
        } else {
            tocsin__window_span__init(&spans[count]);
            spans[count].start_ms = start_ms;
            spans[count++].end_ms = end_ms;
        }
    }
}

uint32_t window_first_day(const Tocsin__MaintenanceWindow *window, const struct zone *zone)
{
    return day_of_week(pattern_of(window, zone).first_day);
}

bool window_begins_on_its_day(const Tocsin__MaintenanceWindow *window, const struct zone *zone)
{
    return recurs_on(window->recurrence, pattern_of(window, zone).first_day);
}
