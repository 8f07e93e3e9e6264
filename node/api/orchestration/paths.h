/* Handlers of the rules of a path, and of trying them. */
#ifndef NODE_API_ORCHESTRATION_PATHS_H
#define NODE_API_ORCHESTRATION_PATHS_H

#include "node/api/orchestration/orchestration.h"

/* paths.c */
void path_read_handler(struct http_request *request); /* {id}/{global, router, unrouted} */
void path_update_handler(struct http_request *request);
void service_path_read(struct http_request *request);
void service_path_update(struct http_request *request);
void service_active_read(struct http_request *request);
void service_active_update(struct http_request *request);

/* dry_run.c */
void orchestration_dry_run(struct http_request *request);
void service_dry_run(struct http_request *request);
void events_aside_list(struct http_request *request);
/* The rules that took an event, as log entries and others show them. */
json_t *render_rules_taken(Tocsin__RuleTaken *const *taken, size_t count);

#endif
