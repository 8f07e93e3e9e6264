/* Support hours as spans of UTC. */
#include "consensus/machine/oncall/support_spans.h"

#include <assert.h>

#include "consensus/machine/oncall/render.h"

#define SECONDS_PER_DAY (24u * 3600)
#define DAYS_PER_WEEK 7u

struct span support_spans(const Tocsin__SupportHours *hours, const struct zone *zone, uint64_t since_ms,
                          uint64_t until_ms)
{
    Tocsin__Restriction days[DAYS_PER_WEEK], *restrictions[DAYS_PER_WEEK];
    uint64_t within = 1;
    Tocsin__ScheduleLayer layer = TOCSIN__SCHEDULE_LAYER__INIT;
    layer.start_ms = layer.rotation_virtual_start_ms = since_ms;
    layer.turn_length_s = DAYS_PER_WEEK * SECONDS_PER_DAY; /* nobody takes over */
    layer.user_ids = &within;
    layer.n_user_ids = 1;
    layer.restrictions = restrictions;
    assert(hours->n_days_of_week > 0 && hours->n_days_of_week <= DAYS_PER_WEEK);
    bool over_midnight = hours->end_second <= hours->start_second;
    for (size_t i = 0; i < hours->n_days_of_week; i++) {
        tocsin__restriction__init(&days[i]);
        days[i].day_of_week = hours->days_of_week[i];
        days[i].start_second = hours->start_second;
        days[i].duration_s = hours->end_second + (over_midnight ? SECONDS_PER_DAY : 0) - hours->start_second;
        restrictions[layer.n_restrictions++] = &days[i];
    }
    struct shifts shifts = {0};
    render_layer(&layer, zone, since_ms, until_ms, &shifts);
    struct span rows = shifts_to_rows(&shifts, since_ms, until_ms);
    shifts_free(&shifts);
    return rows;
}
