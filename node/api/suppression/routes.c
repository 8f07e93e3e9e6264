/* The routes of what keeps alerts quiet. */
#include "node/api/suppression/suppression.h"

const struct route routes_suppression[] = {
    {"GET", "/maintenance_windows", maintenance_windows_list, FAMILY_REST, 0},
    {"POST", "/maintenance_windows", maintenance_window_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/maintenance_windows/{}", maintenance_window_read, FAMILY_REST, 0},
    {"PUT", "/maintenance_windows/{}", maintenance_window_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"DELETE", "/maintenance_windows/{}", maintenance_window_remove, FAMILY_REST, 0},
    {"GET", "/alerts", held_alerts_list, FAMILY_REST, 0},
    {"GET", "/alerts/{}", held_alert_read, FAMILY_REST, 0},
    {"GET", "/alerts/{}/why", held_alert_why, FAMILY_REST, 0},
    {"GET", "/mutes", mutes_list, FAMILY_REST, 0},
    {"POST", "/mutes", mute_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/mutes/{}", mute_read, FAMILY_REST, 0},
    {"PUT", "/mutes/{}", mute_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"DELETE", "/mutes/{}", mute_remove, FAMILY_REST, 0},
    {"GET", "/api/v2/silences", silences_list, FAMILY_ALERTMANAGER, 0},
    {"POST", "/api/v2/silences", silence_save, FAMILY_ALERTMANAGER, ROUTE_JSON_BODY},
    {"GET", "/api/v2/silence/{}", silence_read, FAMILY_ALERTMANAGER, 0},
    {"DELETE", "/api/v2/silence/{}", silence_expire, FAMILY_ALERTMANAGER, 0},
    {0},
};
