/*
 * Answers questions about zones, one line each, for tests/zones/compare:
 *
 *     Europe/Paris u 1700000000      offset from UTC at this moment
 *     Europe/Paris l 1700000000      the moment at which clocks show this
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/host/zones.h"

int main(void)
{
    char name[ZONE_NAME_CHARACTERS_MAX + 1], loaded[sizeof name] = "", kind;
    int64_t seconds;
    struct zone *zone = NULL;
    int status = 0;
    while (status == 0 && scanf("%64s %c %" SCNd64, name, &kind, &seconds) == 3) {
        if (strcmp(name, loaded) != 0) {
            zone_free(zone);
            zone = zones_load(name);
            memcpy(loaded, name, sizeof loaded);
        }
        if (zone == NULL) {
            printf("no zone %s\n", name);
            status = 1;
        } else if (kind == 'u') {
            printf("%" PRId32 "\n", zone_offset_s(zone, seconds));
        } else {
            printf("%" PRId64 "\n", zone_from_local(zone, seconds));
        }
    }
    zone_free(zone);
    return status;
}
