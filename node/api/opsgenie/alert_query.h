/*
 * Opsgenie's search for alerts (https://support.atlassian.com/opsgenie/docs/search-queries-for-alerts/):
 *
 *     status: open AND (priority <= P2 OR tag: db*) AND NOT acknowledged: true  "disk full"
 *
 *     either   each ("OR" each)*              each   one (["AND"] one)*             one   ["NOT" | "-"] (group | term)
 *     term     word | field op value          op     : = != < > <= >=               group "(" either ")"
 *     value    word | "several words" | group of values
 *
 * A word without a field is looked for in message, alias, number and tags. Upper and lower case are the same; "*" stands for
 * any characters. Times are milliseconds since 1970, or ISO 8601.
 */
#ifndef NODE_API_OPSGENIE_ALERT_QUERY_H
#define NODE_API_OPSGENIE_ALERT_QUERY_H

#include "node/api/api.h"

struct alert_query;

/* NULL: already answered with 422, in one sentence. An empty text fits every alert. Memory of the request. */
struct alert_query *alert_query_parse(struct http_request *request, const struct machine_store *view, const char *text);
bool alert_query_fits(struct alert_query *query, struct http_request *request, const struct machine_store *view,
                      const Tocsin__Incident *incident);
/* Nothing that is closed fits: only open ones need to be looked at. */
bool alert_query_is_open_only(const struct alert_query *query);
/* More had to be looked up beside the alerts, or compared, than one request may: what was found is not all. */
bool alert_query_gave_up(const struct alert_query *query);

#endif
