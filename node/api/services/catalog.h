/* Inside the handlers of the catalog: who handles what, and how its objects are rendered for others. */
#ifndef NODE_API_SERVICES_CATALOG_H
#define NODE_API_SERVICES_CATALOG_H

#include "node/api/resource.h"

json_t *render_service(struct http_request *request, const struct machine_store *view, const void *service);
json_t *render_integration(struct http_request *request, const struct machine_store *view, const void *integration);
json_t *render_escalation_policy(struct http_request *request, const struct machine_store *view, const void *policy);

/* services.c */
void services_list(struct http_request *request);
void service_read(struct http_request *request);
void service_create(struct http_request *request);
void service_update(struct http_request *request);
void service_remove(struct http_request *request);

/* urgency_rule.c: incident_urgency_rule, support_hours, scheduled_actions */
void render_urgency_rule(json_t *object, const Tocsin__Service *service);
void take_urgency(const struct field_target *target, Tocsin__ServicePut *put);

/* alert_grouping.c: alert_grouping_parameters, and the two fields that went before it */
void render_alert_grouping(json_t *object, const Tocsin__AlertGrouping *grouping);
void take_alert_grouping(const struct field_target *target, Tocsin__AlertGrouping **slot);

/* integrations.c */
void integration_read(struct http_request *request);
void integration_create(struct http_request *request);
void integration_update(struct http_request *request);
void integration_remove(struct http_request *request);

/* vendors.c */
void vendors_list(struct http_request *request);
void vendor_read(struct http_request *request);
/* null for 0; what is no vendor of ours is kept as it was given. */
json_t *reference_vendor(struct http_request *request, uint64_t id);
/* The type of a vendor's integrations without "_inbound_integration"; NULL for a vendor that is not known. */
const char *vendor_service_type(uint64_t id);

/* escalation_policies.c */
void escalation_policies_list(struct http_request *request);
void escalation_policy_read(struct http_request *request);
void escalation_policy_create(struct http_request *request);
void escalation_policy_update(struct http_request *request);
void escalation_policy_remove(struct http_request *request);

#endif
