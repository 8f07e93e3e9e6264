/* Inside the handlers of people: who handles what, and how users are rendered for others. */
#ifndef NODE_API_PEOPLE_PEOPLE_H
#define NODE_API_PEOPLE_PEOPLE_H

#include "node/api/resource.h"

extern const struct resource resource_user;
extern const struct resource resource_contact_method;

json_t *render_user(struct http_request *request, const struct machine_store *view, const void *user);
json_t *render_contact_method(struct http_request *request, const struct machine_store *view, const void *method);
json_t *render_notification_rule(struct http_request *request, const struct machine_store *view, const void *rule);

/* licenses.c */
void license_read_of_user(struct http_request *request);
void licenses_list(struct http_request *request);
void license_allocations_list(struct http_request *request);

/* contact_methods.c */
void contact_methods_list(struct http_request *request);
void contact_method_read(struct http_request *request);
void contact_method_create(struct http_request *request);
void contact_method_update(struct http_request *request);
void contact_method_remove(struct http_request *request);

/* contact_codes.c */
void contact_code_send(struct http_request *request);
void contact_code_give(struct http_request *request);

/* notification_rules.c */
void notification_rules_list(struct http_request *request);
void notification_rule_read(struct http_request *request);
void notification_rule_create(struct http_request *request);
void notification_rule_update(struct http_request *request);
void notification_rule_remove(struct http_request *request);

/* handoff_rules.c */
void handoff_rules_list(struct http_request *request);
void handoff_rule_read(struct http_request *request);
void handoff_rule_create(struct http_request *request);
void handoff_rule_update(struct http_request *request);
void handoff_rule_remove(struct http_request *request);
void notices_list(struct http_request *request);

#endif
