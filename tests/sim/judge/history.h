/*
 * What clients may conclude from what they asked and were answered, and from nothing else.
 *
 *     asked #17 ───────────── answered #23          asking and being answered are moments, numbered in true order
 *                                      asked #24 ───────── answered #31
 *
 * What an answer told is known from its moment on. A current read that was asked later must not show anything older:
 * that is what linearizable means for whoever cannot look inside. Answers marked stale are told to nobody here.
 *
 *     incidents   triggered -> acknowledged -> resolved, back to triggered only when the acknowledgement timed out or
 *                 somebody assigned the incident anew. The time of the last status change is cluster time, which never
 *                 runs backwards.
 *     objects     users, policies, services: each edit writes a revision that grows; deleted is for good
 *     events      what was answered 202 is there at the end, and was counted once for each time it was sent at most
 *     answers     2xx, a refusal that is expected, or 503 with Retry-After
 *
 * It knows no simulator: violations are sentences for whoever made it.
 */
#ifndef TESTS_SIM_JUDGE_HISTORY_H
#define TESTS_SIM_JUDGE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_ID_SIZE 16u  /* an id as the API spells it */
#define HISTORY_KEY_SIZE 64u /* a dedup key */

struct history;

struct history *history_new(void (*violation)(void *context, const char *sentence), void *context);
void history_free(struct history *history);

/* The number of this moment, above all before. */
uint64_t history_moment(struct history *history);

/* A broken promise that the caller found; `format` is ours. */
void history_violation(struct history *history, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- incidents */

enum incident_status { INCIDENT_TRIGGERED, INCIDENT_ACKNOWLEDGED, INCIDENT_RESOLVED };

/* An incident as a current read showed it. */
struct incident_sight {
    uint64_t asked; /* the moment of the question */
    uint64_t node;  /* who answered */
    char id[HISTORY_ID_SIZE], service[HISTORY_ID_SIZE];
    char key[HISTORY_KEY_SIZE]; /* dedup key of the event that made it, or "" */
    uint64_t number;
    enum incident_status status;
    uint64_t changed_at_s; /* cluster time of the last status change */
};
void history_incident_seen(struct history *history, const struct incident_sight *sight);

/* A complete list of open incidents was shown, and each of them told by history_incident_seen since the moment
 * `told`: every other one that was known when it was asked for is resolved. */
void history_open_incidents_seen(struct history *history, uint64_t asked, uint64_t told);

/* An acknowledgement, or a resolution, of this incident was answered with 2xx; `shown`: the status in that answer, -1
 * when it showed none or was stale. */
void history_incident_acknowledged(struct history *history, const char *id, int shown);
void history_incident_resolved(struct history *history, const char *id, int shown);

/* Somebody is about to assign it anew or to escalate it by hand: from now on it may be triggered again at any time. */
void history_incident_released(struct history *history, const char *id);

/* Somebody is about to merge one into the other: from now on the alerts of the one may be the other's, which is not over with
 * its own alone. */
void history_incidents_merging(struct history *history, const char *source, const char *target);

/* A service is about to put alerts together: its incidents may have alerts of any key, and be triggered again by one. */
void history_service_gathers(struct history *history, const char *id);

/* A service is about to have this timeout of acknowledgements, 0 for none: what has ever been asked for may be in
 * force. */
void history_service_timeout(struct history *history, const char *id, uint64_t timeout_ms);

/* ---- objects that are edited, one edit after the other */

void history_object_new(struct history *history, const char *id);         /* created, answered with 2xx; revision 0 */
uint64_t history_object_writing(struct history *history, const char *id); /* the next revision, about to be asked for */
void history_object_written(struct history *history, const char *id, uint64_t revision);
void history_object_refused(struct history *history, const char *id, uint64_t revision); /* it must never be seen */
void history_object_seen(struct history *history, uint64_t asked, uint64_t node, const char *id, uint64_t revision);
void history_object_deleting(struct history *history, const char *id);
void history_object_deleted(struct history *history, const char *id);

/* A current read answered 404 for an incident or object. */
void history_missing(struct history *history, uint64_t asked, uint64_t node, const char *id);

/* ---- events */

/* The key's number, for the calls below. */
unsigned history_key(struct history *history, const char *key);
/* A trigger of this key had its last word: sent so many times that could each count, and answered 202 or not. */
void history_triggered(struct history *history, unsigned key, unsigned sent, bool accepted);
/* The service was disabled at some time: its triggers are answered, and dropped. */
void history_key_exempt(struct history *history, unsigned key);
/* An event of this key was answered 202, first asked at that moment. */
void history_event_acknowledged(struct history *history, unsigned key, uint64_t first_asked);
void history_event_resolved(struct history *history, unsigned key, uint64_t first_asked);
/* How many triggers an alert of this key has taken, shown at the end ... */
void history_alert_counted(struct history *history, const char *key, uint64_t events);
/* ... as were all others that this incident has. */
void history_incident_counted(struct history *history, const char *incident_id);

/* ---- answers */

struct history_answer {
    uint64_t node;
    const char *method, *target, *body;
    unsigned status;  /* 0: none came */
    bool retry_after; /* the header is there */
    bool refusable;   /* 400 or 404 may be the right answer */
};
/* False when the answer breaks a promise by itself. */
bool history_answered(struct history *history, const struct history_answer *answer);

/* ---- the end */

/* All incidents were shown, each told by history_incident_seen since the moment `told`. */
void history_finish_incidents(struct history *history, uint64_t told);
/* After that, and after alerts were counted as far as they are: are all events there? */
void history_finish_events(struct history *history);

/* How much there was to check. */
struct history_counts {
    uint64_t incidents, keys, objects;
    uint64_t incident_sights, object_sights; /* current reads that were held against what was known */
    uint64_t triggers_accepted, alerts_counted;
};
struct history_counts history_counts(const struct history *history);

/* The id of some incident that was seen, evenly by `chance`; NULL when there is none. `recent`: one of the last so
 * many. */
const char *history_some_incident(const struct history *history, uint64_t chance, size_t recent);
/* ... of which nobody knows that it is resolved. */
const char *history_some_open_incident(const struct history *history, uint64_t chance, size_t recent);

#endif
