/*
 * What somebody with a pager wants to know before and after the night: where nobody would hear of it, and why somebody
 * was paged or was not.
 *
 *     why.c         GET /incidents/{}/why      from what was stored when it was decided
 *     coverage.c    GET /coverage              every hole
 *     service_test.c    POST /services/{}/test    the whole chain, step by step
 *     person_test.c     POST /users/me/test       each of one's own contact methods
 *     holes_on_call.c, holes_reach.c    what it looks at
 */
#ifndef NODE_API_COVERAGE_COVERAGE_H
#define NODE_API_COVERAGE_COVERAGE_H

#include "node/api/resource.h"

/* What one answer looks at or lists at most: the loop has other work to do. */
#define WHY_ROWS_MAX 20000u
#define COVERAGE_ROWS_MAX 50000u
#define HOLES_MAX 1000u
/* How far ahead holes are looked for; how long something may be silent or untested. */
#define COVERAGE_AHEAD_MS (30ull * 24 * 3600 * 1000)
#define COVERAGE_UNTESTED_MS (90ull * 24 * 3600 * 1000)
#define COVERAGE_SILENT_MS (30ull * 24 * 3600 * 1000)

/* A search for holes. */
struct coverage {
    struct http_request *request;
    const struct machine_store *view;
    uint64_t now_ms;
    size_t rows_seen;
    json_t *holes;
    bool more;              /* holes that are not listed */
    bool incomplete;        /* not everything was looked at */
    json_t *empty_schedules; /* ids: nobody is on call there in the whole time */
    json_t *people;          /* ids of those who may be paged */
};

/* The next row, as a message of `descriptor` that the caller frees; NULL at the end, or when enough was looked at. */
void *coverage_next(struct coverage *coverage, struct walk *walk, const ProtobufCMessageDescriptor *descriptor);
/* Takes `object`, a reference. */
void hole_add(struct coverage *coverage, const char *kind, const char *severity, json_t *object, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* This person may be paged. */
void coverage_person(struct coverage *coverage, uint64_t user_id);

/* ---- holes_on_call.c: schedules and policies */
void holes_of_schedules(struct coverage *coverage);
void holes_of_policies(struct coverage *coverage);

/* ---- holes_reach.c: people, services, the cluster */
void holes_of_people(struct coverage *coverage);
void holes_of_services(struct coverage *coverage);
void holes_of_guardians(struct coverage *coverage);

void incident_why(struct http_request *request);

void service_test(struct http_request *request);
void service_test_read(struct http_request *request);
void person_test(struct http_request *request);

#endif
