/* What a person's roles in teams add to the own role. */
#ifndef NODE_API_TEAMS_TEAM_ROLES_H
#define NODE_API_TEAMS_TEAM_ROLES_H

#include "node/api/roles.h"

/* What the person of this call may do with what the call is about, by the teams that this belongs to; of several
 * things, what holds for each of them. Of a call with a JSON body, that body is parsed. PERMISSION_READ: nothing more. */
enum permission team_permission(struct http_request *request, const struct machine_store *view, enum subject subject);

#endif
