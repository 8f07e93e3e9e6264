/* The routes of what keeps alerts quiet. */
#include "node/api/suppression/suppression.h"

const struct route routes_suppression[] = {
    {"GET", "/maintenance_windows", maintenance_windows_list, FAMILY_REST, 0},
    {"POST", "/maintenance_windows", maintenance_window_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/maintenance_windows/{}", maintenance_window_read, FAMILY_REST, 0},
    {"PUT", "/maintenance_windows/{}", maintenance_window_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"DELETE", "/maintenance_windows/{}", maintenance_window_remove, FAMILY_REST, 0},
    {0},
};
