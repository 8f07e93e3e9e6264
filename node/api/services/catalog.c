/* The routes of what is watched and who is told: services, integrations, escalation policies; and the abilities. */
#include "node/api/services/catalog.h"

#include <string.h>

/* What of PagerDuty's account features is here. Clients probe the list when they start; a name known but absent is 402.
 */
static const struct {
    const char *name;
    bool present;
} abilities[] = {
    {"urgencies", true},
    {"read_only_users", true},
    {"service_support_hours", true},
    {"teams", true},
    {"team_responders", false},
    {"advanced_permissions", true},
    {"event_intelligence", false},
    {"event_rules", false},
    {"response_operations", false},
    {"priorities", false},
    {"sso", false},
};
#define ABILITIES_COUNT (sizeof abilities / sizeof *abilities)

static void abilities_list(struct http_request *request)
{
    json_t *names = json_array();

    for (size_t i = 0; i < ABILITIES_COUNT; i++) {
        if (abilities[i].present) {
            json_array_append_new(names, json_string(abilities[i].name));
        }
    }
    api_json(request, 200, json_pack("{s:o}", "abilities", names));
}

static void ability_read(struct http_request *request)
{
    const char *name = api_call_of(request)->parameters[0];

    for (size_t i = 0; i < ABILITIES_COUNT; i++) {
        if (strcmp(abilities[i].name, name) != 0) {
            continue;
        }
        if (abilities[i].present) {
            api_no_content(request);
        } else {
            api_error(request, 402, 2014, "Account does not have the abilities to perform the action", NULL);
        }
        return;
    }
    api_not_found(request);
}

const struct route routes_catalog[] = {
    {"GET", "/abilities", abilities_list, FAMILY_REST, 0},
    {"GET", "/abilities/{}", ability_read, FAMILY_REST, 0},
    {"GET", "/vendors", vendors_list, FAMILY_REST, 0},
    {"GET", "/vendors/{}", vendor_read, FAMILY_REST, 0},
    {"GET", "/services", services_list, FAMILY_REST, 0},
    {"POST", "/services", service_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/services/{}", service_read, FAMILY_REST, 0},
    {"PUT", "/services/{}", service_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"DELETE", "/services/{}", service_remove, FAMILY_REST, 0},
    {"POST", "/services/{}/integrations", integration_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/services/{}/integrations/{}", integration_read, FAMILY_REST, 0},
    {"PUT", "/services/{}/integrations/{}", integration_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"DELETE", "/services/{}/integrations/{}", integration_remove, FAMILY_REST, 0},
    {"GET", "/escalation_policies", escalation_policies_list, FAMILY_REST, 0},
    {"POST", "/escalation_policies", escalation_policy_create, FAMILY_REST, ROUTE_JSON_BODY},
    {"GET", "/escalation_policies/{}", escalation_policy_read, FAMILY_REST, 0},
    {"PUT", "/escalation_policies/{}", escalation_policy_update, FAMILY_REST, ROUTE_JSON_BODY},
    {"DELETE", "/escalation_policies/{}", escalation_policy_remove, FAMILY_REST, 0},
    {0},
};
