/* Teams, for those who render and filter what belongs to them, and inside their handlers. */
#ifndef NODE_API_TEAMS_TEAMS_H
#define NODE_API_TEAMS_TEAMS_H

#include "node/api/resource.h"

/* ---- rendering: references, or whole teams when the query includes them */

/* [] for 0. */
json_t *render_team_of(struct http_request *request, const struct machine_store *view, uint64_t team_id);
json_t *render_teams(struct http_request *request, const struct machine_store *view, const uint64_t *ids, size_t count);
json_t *render_teams_of_user(struct http_request *request, const struct machine_store *view, uint64_t user_id);
/* Of an escalation policy by its id: the teams of services and incidents. */
json_t *render_teams_of_policy(struct http_request *request, const struct machine_store *view, uint64_t policy_id);

/* ---- team_ids[] of a query; everything passes when it is absent */

bool query_admits_teams(const struct http_request *request, const uint64_t *ids, size_t count);
bool query_admits_teams_of_user(const struct http_request *request, const struct machine_store *view, uint64_t user_id);
bool query_admits_teams_of_policy(const struct http_request *request, const struct machine_store *view,
                                  uint64_t policy_id);

/* ---- teams of a body: an array of references */

/* At most `count_max`, in memory of the request; null is as good as none. False: the body does not say, or is wrong. */
bool take_teams(struct field_reader *reader, size_t count_max, uint64_t **ids, size_t *count);

/* ---- members.c */
void team_members_list(struct http_request *request);
void team_member_put(struct http_request *request);
void team_member_remove(struct http_request *request);

extern const struct resource resource_team;

#endif
