/* Steps that stories about the REST API have in common: make something, be refused, put texts together. */
#ifndef TESTS_SUPPORT_API_STORY_H
#define TESTS_SUPPORT_API_STORY_H

#include "tests/support/api_fixture.h"

/* printf; valid until some twenty further calls. */
const char *story_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Posts; expects 201 and an object under `wrapper`; its id, valid until the fixture is freed. */
const char *story_create(struct api_fixture *api, const char *target, const char *wrapper, const char *body);

/* Expects PagerDuty's error with this status and code, `errors` an array of texts of which the first contains `text`.
 */
void story_refused(const struct api_answer *answer, unsigned status, int code, const char *text);
/* ... of which the only one is `text`: clients compare it letter by letter. */
void story_refused_exactly(const struct api_answer *answer, unsigned status, int code, const char *text);

/* The number at such a path; ends the test when there is none. */
json_int_t story_number(const struct api_answer *answer, const char *a, const char *b);

/* People and things, each by its id. */
const char *story_user(struct api_fixture *api, const char *name, const char *email);
/* A person with a token of the own, and the role; from here on this person asks. */
const char *story_become(struct api_fixture *api, const char *name, Tocsin__Role role);
/* From here on the administrator's token does. */
void story_as_admin(struct api_fixture *api);
const char *story_contact_method(struct api_fixture *api, const char *user, const char *type, const char *address);
const char *story_policy(struct api_fixture *api, const char *name, const char *user);
const char *story_service(struct api_fixture *api, const char *name, const char *policy);

/* ---- time */

/* Everybody who is told by the last entry hears of it; how many. */
size_t story_deliver(struct api_fixture *api);
/* The message of the last entry, which asks for a code, goes out: the code that is in it. */
const char *story_code(struct api_fixture *api);
/* The leader says of what waits which mute fits it, if any, at most LIMIT_VERDICTS_PER_COMMAND; of how many. */
size_t story_answer_mutes(struct api_fixture *api);
/* Moves the time on to that moment and handles what is due on the way. */
void story_run_until(struct api_fixture *api, uint64_t at_ms);

#endif
