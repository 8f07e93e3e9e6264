/* What a role may do. Reading is open to everybody with a token. */
#ifndef NODE_API_ROLES_H
#define NODE_API_ROLES_H

#include "node/api/api.h"

enum permission {
    PERMISSION_READ,
    PERMISSION_RESPOND,   /* act on incidents, and change one's own contact methods and rules */
    PERMISSION_CONFIGURE, /* services, integrations, escalation policies */
    PERMISSION_ADMINISTER /* people, and what belongs to others */
};

bool role_has(Tocsin__Role role, enum permission permission);

/* False: already answered with 403. */
bool role_require(struct http_request *request, enum permission permission);
/* For what belongs to one user: that user needs PERMISSION_RESPOND, everybody else PERMISSION_ADMINISTER. */
bool role_require_own(struct http_request *request, uint64_t user_id);

#endif
