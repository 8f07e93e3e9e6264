#include "consensus/machine/services/heard.h"

#define DAY_MS (24ull * 3600 * 1000)

/* True when it is to be stored. */
static bool heard_now(struct apply *apply, Tocsin__Heard **heard)
{
    if (*heard == NULL) {
        *heard = apply_alloc(apply, sizeof **heard);
        tocsin__heard__init(*heard);
    } else if (apply->time_ms < (*heard)->last_at_ms + DAY_MS) {
        return false;
    } else {
        uint32_t gap_days = (uint32_t)((apply->time_ms - (*heard)->last_at_ms) / DAY_MS);
        (*heard)->longest_gap_days = gap_days > (*heard)->longest_gap_days ? gap_days : (*heard)->longest_gap_days;
    }
    (*heard)->last_at_ms = apply->time_ms;
    (*heard)->days++;
    return true;
}

void integration_heard(struct apply *apply, Tocsin__Integration *integration)
{
    if (heard_now(apply, &integration->heard)) {
        integration_put(apply->store, integration);
    }
}

void orchestration_integration_heard(struct apply *apply, Tocsin__OrchestrationIntegration *integration)
{
    if (heard_now(apply, &integration->heard)) {
        record_put(apply->store, TABLE_ORCHESTRATION_INTEGRATION, key_2(integration->orchestration_id, integration->id),
                   &integration->base);
    }
}

uint64_t heard_usual_ms(const Tocsin__Heard *heard, uint64_t standard_ms)
{
    if (heard == NULL || heard->days < HEARD_DAYS_LEAST) {
        return standard_ms;
    }
    uint64_t days = (uint64_t)heard->longest_gap_days * HEARD_GAPS;
    return (days > HEARD_SILENT_DAYS_LEAST ? days : HEARD_SILENT_DAYS_LEAST) * DAY_MS;
}
