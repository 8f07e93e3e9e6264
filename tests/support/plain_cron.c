/* Simple cron expressions, minute by minute. */
#include "tests/support/plain_cron.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_MS 60000u

/* "*", "7", "8-17", each perhaps with "/2". */
static bool item_fits(const char *item, unsigned value, bool *known)
{
    unsigned first = 0, last = 99, step = 1;
    char rest = '\0';
    bool all = sscanf(item, "*/%u%c", &step, &rest) == 1 || strcmp(item, "*") == 0;
    bool range = !all && (sscanf(item, "%u-%u/%u%c", &first, &last, &step, &rest) == 3 ||
                          (step = 1, sscanf(item, "%u-%u%c", &first, &last, &rest) == 2));
    if (!all && !range) {
        *known = *known && sscanf(item, "%u%c", &first, &rest) == 1;
        last = first;
    }
    *known = *known && step > 0;
    return *known && value >= first && value <= last && (value - first) % step == 0;
}

static bool field_read(const char *field, bool *fits, unsigned count)
{
    bool known = true;
    for (unsigned value = 0; value < count; value++) {
        char text[64], *place = NULL;
        (void)snprintf(text, sizeof text, "%s", field);
        fits[value] = false;
        for (char *item = strtok_r(text, ",", &place); item != NULL; item = strtok_r(NULL, ",", &place)) {
            fits[value] |= item_fits(item, value, &known);
        }
    }
    return known;
}

bool plain_cron_read(const char *expression, const char *zone, struct plain_cron *cron)
{
    static const struct {
        const char *name;
        int ahead_minutes;
    } ZONES[] = {{"UTC", 0}, {"Asia/Kolkata", 330}, {"Asia/Tokyo", 540}, {"America/Phoenix", -420}};
    char minute[64], hour[64], rest[16] = "";
    size_t at = 0;
    while (at < sizeof ZONES / sizeof ZONES[0] && strcmp(ZONES[at].name, zone) != 0) {
        at++;
    }
    if (at == sizeof ZONES / sizeof ZONES[0] || sscanf(expression, "%63s %63s %15[* ]", minute, hour, rest) != 3 ||
        strcmp(rest, "* * *") != 0) {
        return false;
    }
    cron->ahead_s = ZONES[at].ahead_minutes * 60;
    return field_read(minute, cron->minutes, 60) && field_read(hour, cron->hours, 24);
}

bool plain_cron_fits(const struct plain_cron *cron, uint64_t moment_ms)
{
    uint64_t minute = (uint64_t)((int64_t)(moment_ms / 1000) + cron->ahead_s) / 60;
    return moment_ms % MINUTE_MS == 0 && cron->minutes[minute % 60] && cron->hours[minute / 60 % 24];
}

uint64_t plain_cron_next_ms(const struct plain_cron *cron, uint64_t from_ms)
{
    uint64_t moment_ms = (from_ms + MINUTE_MS - 1) / MINUTE_MS * MINUTE_MS;
    while (!plain_cron_fits(cron, moment_ms)) {
        moment_ms += MINUTE_MS;
    }
    return moment_ms;
}
