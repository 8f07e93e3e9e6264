/* Inside the handlers of what keeps alerts quiet: who handles what. */
#ifndef NODE_API_SUPPRESSION_SUPPRESSION_H
#define NODE_API_SUPPRESSION_SUPPRESSION_H

#include "node/api/resource.h"

/* maintenance.c */
void maintenance_windows_list(struct http_request *request);
void maintenance_window_read(struct http_request *request);
void maintenance_window_create(struct http_request *request);
void maintenance_window_update(struct http_request *request);
void maintenance_window_remove(struct http_request *request);

#endif
