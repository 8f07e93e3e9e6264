/* A set of ids, in the memory of a request. Begins as {0}. */
#ifndef NODE_API_COVERAGE_ID_SET_H
#define NODE_API_COVERAGE_ID_SET_H

#include "node/http/http.h"

struct id_set {
    uint64_t *places; /* 0: free */
    size_t count, capacity;
};

void id_set_add(struct http_request *request, struct id_set *set, uint64_t id);
bool id_set_has(const struct id_set *set, uint64_t id);

#endif
