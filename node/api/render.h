/* What the JSON of every resource is made of: words for enums, references, `self`, times read from queries. */
#ifndef NODE_API_RENDER_H
#define NODE_API_RENDER_H

#include "node/api/api.h"

/* ---- words: one table for each enum, read in both directions; ended by a row without a word */

struct word {
    int value;
    const char *word;
};
extern const struct word words_role[];
extern const struct word words_team_role[];
extern const struct word words_contact_method_type[]; /* of enum Channel: email_contact_method, ... */
extern const struct word words_channel[];             /* of enum Channel: email, sms, ... */
extern const struct word words_urgency[];             /* high, low */
extern const struct word words_service_urgency[];     /* ... and severity_based */
extern const struct word words_incident_status[];
extern const struct word words_severity[];
extern const struct word words_log_type[]; /* trigger_log_entry, ... */
extern const struct word words_outcome[];
extern const struct word words_why[];

/* NULL for a value without a word. */
const char *word_of(const struct word *words, int value);
/* The word as JSON, null for a value without one. */
json_t *json_word(const struct word *words, int value);
bool word_find(const struct word *words, const char *text, int *value);
/* Reads a field whose values are the words; the error names them all. As field_string otherwise. */
bool field_word(struct field_reader *reader, const char *name, const struct word *words, int *value, bool *present);

/* Every value of name[] is one of the words: what is misspelt finds nothing, and would look like good news. False: already answered. */
bool query_words(struct http_request *request, const char *name, const struct word *words);

/* ---- texts and times */

/* null for "". */
json_t *json_text(const char *text);
/* printf into a JSON string. */
json_t *json_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "2015-11-06T20:00:00Z", with an offset, a fraction, without seconds, or the day alone; in milliseconds. False when it
 * is none. */
bool time_parse(const char *text, uint64_t *time_ms);

/* ---- references: {id, type, summary, self, html_url}. An object that is gone keeps its id, with null for summary and
 * self. */

/* public URL and path: "/users/P000001" */
json_t *render_self(struct http_request *request, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The five fields that every object begins with; takes `self`. `summary` may be NULL. */
json_t *render_head(uint64_t id, const char *type, const char *summary, json_t *self);

json_t *reference_user(struct http_request *request, const struct machine_store *view, uint64_t id);
json_t *reference_service(struct http_request *request, const struct machine_store *view, uint64_t id);
json_t *reference_escalation_policy(struct http_request *request, const struct machine_store *view, uint64_t id);
json_t *reference_schedule(struct http_request *request, const struct machine_store *view, uint64_t id);
json_t *reference_team(struct http_request *request, const struct machine_store *view, uint64_t id);
json_t *reference_integration(struct http_request *request, const Tocsin__Integration *integration);
json_t *reference_contact_method(struct http_request *request, const Tocsin__ContactMethod *method);
json_t *reference_notification_rule(struct http_request *request, const struct machine_store *view,
                                    const Tocsin__NotificationRule *rule);
json_t *reference_incident(struct http_request *request, const Tocsin__Incident *incident);
/* Who did it. What the cluster did by itself, and what came through an integration, is the service's, as PagerDuty says
 * it. */
json_t *reference_actor(struct http_request *request, const struct machine_store *view, const Tocsin__Actor *actor,
                        uint64_t service_id);

#endif
