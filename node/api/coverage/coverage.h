/*
 * What somebody with a pager wants to know before and after the night: where nobody would hear of it, and why somebody
 * was paged or was not.
 *
 *     why.c             GET /incidents/{}/why      from what was stored when it was decided
 *     coverage.c        GET /coverage              every hole
 *     holes_on_call.c, holes_layers.c, holes_reach.c    what it looks at
 *     service_test.c    POST /services/{}/test    the whole chain, step by step
 *     person_test.c     POST /users/me/test       each of one's own contact methods; GET: what became of it
 *
 * The search for holes goes through tables in slices, one a turn of the loop, which has other work to do:
 *
 *     guardians ──> schedules ──> policies ──> people who may be paged ──> services, orchestrations, their integrations
 *                        └──────────────┴── who that is
 */
#ifndef NODE_API_COVERAGE_COVERAGE_H
#define NODE_API_COVERAGE_COVERAGE_H

#include "node/api/coverage/id_set.h"
#include "node/api/resource.h"

/* What one answer of `why` looks at. */
#define WHY_ROWS_MAX 20000u
/* A search ends here, and says so. A company of 20,000 people, services and schedules has fewer rows. */
#define COVERAGE_ROWS_MAX 2000000u
/* Holes that are listed; all are counted. */
#define HOLES_MAX 1000u
/* A slice ends after this time (divided by the searches under way), or so many objects. */
#define COVERAGE_SLICE_MS 10u
#define COVERAGE_SLICE_OBJECTS 256u
/* How far ahead holes are looked for; how long something may be silent or untested. */
#define COVERAGE_AHEAD_DAYS 30u
#define COVERAGE_UNTESTED_DAYS 90u
#define COVERAGE_SILENT_DAYS 30u
#define COVERAGE_DAY_MS (24ull * 3600 * 1000)

enum hole_kind {
    HOLE_GUARDIANS_MISSING,
    HOLE_SCHEDULE_EMPTY,
    HOLE_SCHEDULE_GAP,
    HOLE_SCHEDULE_LAYER_EMPTY,
    HOLE_SCHEDULE_LAYER_HIDDEN,
    HOLE_POLICY_NOBODY,
    HOLE_POLICY_LEVEL_NOBODY,
    HOLE_USER_WITHOUT_CONTACT_METHOD,
    HOLE_USER_WITHOUT_RULE,
    HOLE_USER_UNVERIFIED,
    HOLE_USER_UNTESTED,
    HOLE_SERVICE_UNTESTED,
    HOLE_SERVICE_WITHOUT_INTEGRATION,
    HOLE_INTEGRATION_NEVER_USED,
    HOLE_INTEGRATION_SILENT,
    HOLE_ADMINISTRATOR_EXPIRES,
    HOLE_KINDS
};
enum hole_severity { HOLE_CRITICAL, HOLE_WARNING, HOLE_NOTICE, HOLE_SEVERITIES };

/* What a hole is about, to be referred to in the answer. */
enum hole_object { OBJECT_CLUSTER, OBJECT_SCHEDULE, OBJECT_POLICY, OBJECT_USER, OBJECT_SERVICE, OBJECT_INTEGRATION, OBJECT_ORCHESTRATION };

struct hole {
    struct hole *next;
    enum hole_kind kind;
    enum hole_severity severity;
    enum hole_object object;
    uint64_t parent, id; /* parent: an integration's service or orchestration; the latter is referred to */
    char *sentence;
};

/* A search for holes, in the memory of its request; the view is that of the slice at hand. */
struct coverage {
    struct http_request *request;
    const struct machine_store *view;
    uint64_t now_ms, ahead_ms, silent_ms; /* when it began; until when; how long is long for a source without habits */
    unsigned stage;
    struct key position; /* the last row of the stage that was looked at */
    bool started;        /* there is one */
    uint64_t rows_seen;
    bool incomplete; /* not everything was looked at */
    bool listed;     /* the object at hand is of a team that was asked for */
    struct hole *first, **last;
    size_t listed_count, count, by_kind[HOLE_KINDS], by_severity[HOLE_SEVERITIES];
    struct id_set empty_schedules; /* nobody is on call there in the whole time */
    struct id_set people;          /* who may be paged */
};

/* Notes a hole of the object at hand. */
void hole_add(struct coverage *coverage, enum hole_kind kind, enum hole_severity severity, enum hole_object object,
              uint64_t id, const char *format, ...) __attribute__((format(printf, 6, 7)));
/* ... of one that belongs to another. */
void hole_add_under(struct coverage *coverage, enum hole_kind kind, enum hole_severity severity, enum hole_object object,
                    uint64_t parent, uint64_t id, const char *format, ...) __attribute__((format(printf, 7, 8)));
/* Whether the answer is about this team (0: none). */
bool coverage_team(const struct coverage *coverage, uint64_t team_id);
/* Whether the answer is about certain teams. */
bool coverage_by_team(const struct coverage *coverage);

/* ---- each looks at one row of its table; what it reads beside that it counts in rows_seen */
void holes_of_schedule(struct coverage *coverage, struct span value);
void holes_of_layers(struct coverage *coverage, const Tocsin__Schedule *schedule);
void holes_of_policy(struct coverage *coverage, struct span value);
void holes_of_user(struct coverage *coverage, struct span value);
void holes_of_service(struct coverage *coverage, struct span value);
void holes_of_orchestration_integration(struct coverage *coverage, struct span value);
void holes_of_guardians(struct coverage *coverage);
void holes_of_administrators(struct coverage *coverage);

void incident_why(struct http_request *request);
void service_test(struct http_request *request);
void service_test_read(struct http_request *request);
void person_test(struct http_request *request);
void person_test_read(struct http_request *request);

#endif
