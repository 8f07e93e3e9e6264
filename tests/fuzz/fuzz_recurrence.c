/* Rules of calendars as a node finds them in the state: refused, or the same from whatever day they are laid out, within their cost. */
#include <stdlib.h>
#include <string.h>

#include "consensus/machine/limits.h"
#include "node/calendar/recurrence.h"
#include "node/host/zones.h"
#include "tests/fuzz/input.h"

#define DAY_MS (24ull * 3600 * 1000)
#define BEGIN_MS 1774000000000u
#define LIST_MAX 4u

struct lists {
    uint32_t months[LIST_MAX], days[LIST_MAX];
    int32_t month_days[LIST_MAX], day_positions[LIST_MAX], positions[LIST_MAX];
    uint64_t exceptions_ms[LIST_MAX];
};

static size_t take_numbers(struct fuzz_input *input, int32_t *numbers, unsigned max)
{
    size_t count = fuzz_below(input, LIST_MAX + 1);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = (int32_t)fuzz_below(input, 2 * max + 3) - (int32_t)max - 1; /* one too far at each end */
    }
    return count;
}

static void take_rule(struct fuzz_input *input, Tocsin__CalendarRule *rule, struct lists *lists)
{
    tocsin__calendar_rule__init(rule);
    rule->frequency = (Tocsin__CalendarFrequency)fuzz_below(input, 5);
    rule->interval = fuzz_below(input, 20);
    rule->count = fuzz_byte(input) * (fuzz_below(input, 4) == 0 ? 9u : 0u);
    rule->start_local_s = (int64_t)(fuzz_number(input, 4) % 2000000000u);
    rule->length_s = 1 + (int64_t)(fuzz_number(input, 2) % 40000);
    rule->length_is_local = fuzz_below(input, 2) == 1;
    rule->until_s = fuzz_below(input, 4) == 0 ? rule->start_local_s + fuzz_byte(input) * INT64_C(864000) : 0;
    rule->until_is_utc = fuzz_below(input, 2) == 1;
    rule->week_start = fuzz_below(input, 8);
    rule->by_month = lists->months;
    rule->n_by_month = fuzz_below(input, LIST_MAX + 1);
    for (size_t i = 0; i < rule->n_by_month; i++) {
        lists->months[i] = fuzz_below(input, 14);
    }
    rule->by_month_day = lists->month_days;
    rule->n_by_month_day = take_numbers(input, lists->month_days, 31);
    rule->by_day = lists->days;
    rule->by_day_position = lists->day_positions;
    rule->n_by_day = rule->n_by_day_position = take_numbers(input, lists->day_positions, fuzz_below(input, 2) * 5);
    for (size_t i = 0; i < rule->n_by_day; i++) {
        lists->days[i] = fuzz_below(input, 8);
    }
    rule->by_position = lists->positions;
    rule->n_by_position = fuzz_below(input, 4) == 0 ? take_numbers(input, lists->positions, 5) : 0;
    rule->exceptions_ms = lists->exceptions_ms;
}

static struct occurrences lay_out(const Tocsin__CalendarRule *rule, const struct zone *zone, uint64_t since_ms, uint64_t until_ms)
{
    struct occurrences out = {.since_ms = since_ms, .until_ms = until_ms, .days_left = RECURRENCE_DAYS_MAX, .count_max = 2000};
    bool over;
    bool laid_out = recurrence_lay_out(rule, 7, zone, &out, &over);
    fuzz_require(laid_out || out.days_left < RECURRENCE_DAYS_MAX);
    fuzz_require(!over || out.count == 0);
    fuzz_require(out.count <= 2001);
    for (size_t i = 0; i < out.count; i++) {
        const struct occurrence *one = &out.list[i];
        fuzz_require(one->start_ms < one->end_ms && one->end_ms > since_ms && one->start_ms < until_ms && one->rule == 7);
        fuzz_require(i == 0 || one->start_ms >= out.list[i - 1].start_ms);
    }
    return out;
}

/* What ends behind `from_ms` of the one is what the other has. */
static void judge_same(const struct occurrences *whole, const struct occurrences *part, uint64_t from_ms)
{
    size_t at = 0;
    for (size_t i = 0; i < whole->count; i++) {
        if (whole->list[i].end_ms <= from_ms) {
            continue;
        }
        fuzz_require(at < part->count && whole->list[i].start_ms == part->list[at].start_ms &&
                     whole->list[i].end_ms == part->list[at].end_ms);
        at++;
    }
    fuzz_require(at == part->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    static struct zone *zones[3];
    struct fuzz_input input = fuzz_input(data, size_bytes);
    struct lists lists = {0};
    Tocsin__CalendarRule rule;
    if (zones[1] == NULL) { /* the first is UTC, which has none */
        zones[1] = fuzz_must(zones_load("Europe/Paris"));
        zones[2] = fuzz_must(zones_load("Australia/Lord_Howe"));
    }
    const struct zone *zone = zones[fuzz_below(&input, 3)];
    take_rule(&input, &rule, &lists);
    uint64_t since_ms = BEGIN_MS + fuzz_number(&input, 2) % 3000 * DAY_MS, later_ms = since_ms + fuzz_byte(&input) * DAY_MS;
    const char *refusal = recurrence_refusal(&rule);
    if (refusal != NULL) {
        fuzz_require(refusal[strlen(refusal) - 1] == '.');
        return 0;
    }
    uint64_t until_ms = since_ms + SCHEDULE_HORIZON_MS;
    struct occurrences whole = lay_out(&rule, zone, since_ms, until_ms), part = lay_out(&rule, zone, later_ms, until_ms);
    judge_same(&whole, &part, later_ms);
    if (whole.count > 0) { /* without its first */
        rule.exceptions_ms[rule.n_exceptions_ms++] = whole.list[0].start_ms;
        struct occurrences rest = lay_out(&rule, zone, since_ms, until_ms);
        fuzz_require(rest.count < whole.count || whole.count > 2000);
        free(rest.list);
    }
    free(whole.list);
    free(part.list);
    return 0;
}
