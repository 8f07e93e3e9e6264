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

/* ---- matchers.c */

/* name=value, name!=value, name=~expression, name!~expression; the value may stand in double quotes, with \\, \" and \n in
 * it. In the request's memory; false when it is none of these. */
bool matcher_parse(struct http_request *request, const char *text, Tocsin__Matcher *matcher);
/* The same the other way round, the value in quotes. */
json_t *json_matcher(const Tocsin__Matcher *matcher);
/* Reads `matchers`: texts as above, or Alertmanager's objects {name, value, isRegex, isEqual}. Checks that expressions
 * compile, and that not every matcher holds of a label that is not there: that would mute everything. */
void take_matchers(struct field_reader *reader, Tocsin__Mute *mute);

/* ---- mutes.c */

enum mute_state { MUTE_PENDING, MUTE_ACTIVE, MUTE_EXPIRED };
enum mute_state mute_state(struct http_request *request, const Tocsin__Mute *mute);
void mutes_list(struct http_request *request);
void mute_read(struct http_request *request);
void mute_create(struct http_request *request);
void mute_update(struct http_request *request);
void mute_remove(struct http_request *request);

/* ---- silences.c */

/* A mute's id as clients of Alertmanager have it. */
json_t *json_silence_id(uint64_t mute_id);
void silences_list(struct http_request *request);
void silence_read(struct http_request *request);
void silence_save(struct http_request *request);
void silence_expire(struct http_request *request);
/* ---- held_alerts.c */

/* What held an alert back, or does, and who is behind it: ours; null for what nothing held. */
json_t *render_suppression(struct http_request *request, const struct machine_store *view, const Tocsin__Alert *alert);
void held_alerts_list(struct http_request *request);
void held_alert_read(struct http_request *request);
void held_alert_why(struct http_request *request);

#endif
