/* Inside the handlers of event orchestration. */
#ifndef NODE_API_ORCHESTRATION_ORCHESTRATION_H
#define NODE_API_ORCHESTRATION_ORCHESTRATION_H

#include "node/api/render.h"
#include "node/api/resource.h"
#include "node/orchestration/decide.h"

/* ---- event_submit.c */

/* The rules as this node has compiled them. */
struct rule_cache *api_rules(struct http_request *request);

/* ---- path_fields.c: from JSON to the record; false: already answered */

bool path_read(struct http_request *request, Tocsin__OrchestrationPath *path);

/* ---- path_render.c */

extern const struct word words_path_kind[]; /* global, router, unrouted, service */
/* `path` NULL: as it is before anybody wrote one. */
json_t *path_render(struct http_request *request, const Tocsin__OrchestrationPath *path, uint64_t owner_id,
                    Tocsin__PathKind kind);
json_t *reference_orchestration(struct http_request *request, uint64_t id);
/* {id, type: user_reference, self}; null for nobody. */
json_t *reference_user_short(struct http_request *request, uint64_t user_id);

#endif
