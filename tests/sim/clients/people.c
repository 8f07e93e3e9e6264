/* People who are told, and what they do about it. */
#include "tests/sim/clients/people.h"

#include "tests/sim/clients/handling.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PENDING_MAX 32u
#define MINUTE_MS 60000u
/* Beyond so many open pages one acknowledges all at once. */
#define ONE_BY_ONE_MAX 3u
/* Of one request; then somebody else must do it. */
#define ATTEMPTS_MAX 20u

enum deed { DEED_NOTHING, DEED_ACKNOWLEDGE, DEED_ACKNOWLEDGE_AND_RESOLVE, DEED_RESOLVE };

/* Times are those of a minute of 60 seconds. */
static const struct habit {
    const char *words;
    uint64_t least_ms, most_ms;
    enum deed deed;
    bool twice, late;
} habits[] = {
    {"answers at once", 2000, 40000, DEED_ACKNOWLEDGE_AND_RESOLVE, false, false},
    {"answers within minutes", 40000, 5 * MINUTE_MS, DEED_ACKNOWLEDGE_AND_RESOLVE, false, false},
    {"answers late", 6 * MINUTE_MS, 45 * MINUTE_MS, DEED_ACKNOWLEDGE_AND_RESOLVE, false, true},
    {"answers twice", 2000, 2 * MINUTE_MS, DEED_ACKNOWLEDGE_AND_RESOLVE, true, false},
    {"resolves right away", 5000, 3 * MINUTE_MS, DEED_RESOLVE, false, false},
    {"acknowledges and forgets", 2000, 4 * MINUTE_MS, DEED_ACKNOWLEDGE, false, false},
    {"does not answer", 0, 0, DEED_NOTHING, false, false},
};
#define HABITS_COUNT (sizeof habits / sizeof *habits)

#define REPAIR_LEAST_MS MINUTE_MS
#define REPAIR_MOST_MS (30u * MINUTE_MS)

/* An incident that somebody is looking after. */
struct pending {
    uint64_t number;
    bool acknowledged; /* by this person */
};

struct one {
    const struct habit *habit;
    struct pending pending[PENDING_MAX];
    unsigned pending_count;
};

struct people {
    struct sim *sim;
    struct client *client;
    struct history *history;
    struct company *company;
    struct one ones[PEOPLE_MAX];
};

/* One person and one incident. */
struct care {
    struct people *people;
    unsigned who;
    uint64_t number;
    char id[HISTORY_ID_SIZE];
    const struct habit *habit;
    unsigned under_way; /* requests whose answer this waits for */
};

struct people *people_new(struct sim *sim, struct client *client, struct history *history,
                          struct company *company)
{
    struct people *people = calloc(1, sizeof *people);

    if (people == NULL) {
        abort();
    }
    *people = (struct people){.sim = sim, .client = client, .history = history, .company = company};
    for (unsigned i = 0; i < PEOPLE_MAX; i++) {
        people->ones[i].habit = &habits[sim_random(sim, HABITS_COUNT)];
    }
    return people;
}

void people_free(struct people *people)
{
    free(people);
}

/* ---------------------------------------------------------------- what one is looking after */

/* NULL when this person does not look after it. */
static struct pending *pending_find(struct one *one, uint64_t number)
{
    for (unsigned i = 0; i < one->pending_count; i++) {
        if (one->pending[i].number == number) {
            return &one->pending[i];
        }
    }
    return NULL;
}

static void mark_acknowledged(struct one *one, uint64_t number)
{
    struct pending *pending = pending_find(one, number);

    if (pending != NULL) {
        pending->acknowledged = true;
    }
}

static unsigned unacknowledged_count(const struct one *one)
{
    unsigned count = 0;

    for (unsigned i = 0; i < one->pending_count; i++) {
        count += !one->pending[i].acknowledged;
    }
    return count;
}

static void care_end(struct care *care)
{
    struct one *one = &care->people->ones[care->who];
    struct pending *pending = pending_find(one, care->number);

    if (pending != NULL) {
        *pending = one->pending[--one->pending_count];
    }
    task_end(care->people->client, care);
}

static const struct person *person_of(const struct care *care)
{
    return &care->people->company->people[care->who];
}

static uint64_t later_ms(const struct care *care, uint64_t least_ms, uint64_t most_ms)
{
    struct people *people = care->people;

    return sim_now_ms(people->sim) +
           sim_between(people->sim, least_ms, most_ms) * people->company->minute_ms / MINUTE_MS + 1;
}

static void ask(struct care *care, const char *method, char *target, char *body, client_done done)
{
    const struct client_request request = {
        .method = method,
        .target = target,
        .body = body,
        .from = body != NULL ? person_of(care)->email : NULL,
        .attempts_max = ATTEMPTS_MAX,
        .keyed = body != NULL,
        .refusable = true, /* others may have been faster */
    };

    care->under_way++;
    client_ask(care->people->client, &request, done, care);
    free(target);
    free(body);
}

static int shown_status(const struct client_answer *answer)
{
    return answer->stale ? -1 : incident_status_of(json_object_get(answer->json, "incident"));
}

/* "Incident Already Resolved": decided by the cluster, hence known. */
static bool says_resolved(const struct client_answer *answer)
{
    return answer->status == 400 &&
           json_integer_value(json_object_get(json_object_get(answer->json, "error"), "code")) == 1001;
}

/* ---------------------------------------------------------------- resolving */

static void on_resolved(void *context, const struct client_answer *answer)
{
    struct care *care = context;

    if (answer_ok(answer)) {
        sim_tell(care->people->sim, "%s resolved incident #%" PRIu64 " on node %" PRIu64 ".", person_of(care)->name,
                 care->number, answer->node);
        sim_count(care->people->sim, "resolutions by people", 1);
        history_incident_resolved(care->people->history, care->id, shown_status(answer));
    } else if (says_resolved(answer)) {
        history_incident_resolved(care->people->history, care->id, -1);
    }
    care_end(care);
}

static void resolve(void *context)
{
    struct care *care = context;

    ask(care, "PUT", text_of("/incidents/%s", care->id),
        text_of("{\"incident\":{\"type\":\"incident_reference\",\"status\":\"resolved\",\"resolution\":\"repaired\"}}"),
        on_resolved);
}

/* ---------------------------------------------------------------- acknowledging */

static void go_on(struct care *care)
{
    if (care->habit->deed == DEED_ACKNOWLEDGE_AND_RESOLVE) {
        sim_at(care->people->sim, later_ms(care, REPAIR_LEAST_MS, REPAIR_MOST_MS), resolve, care);
    } else {
        care_end(care);
    }
}

static void on_looked_again(void *context, const struct client_answer *answer)
{
    struct care *care = context;

    (void)answer; /* held against the history, like any other */
    care->under_way--;
    if (care->under_way == 0) {
        go_on(care);
    }
}

static void on_acknowledged(void *context, const struct client_answer *answer)
{
    struct care *care = context;
    struct people *people = care->people;

    care->under_way--;
    if (answer_ok(answer)) {
        sim_tell(people->sim, "%s acknowledged incident #%" PRIu64 " on node %" PRIu64 "%s.", person_of(care)->name,
                 care->number, answer->node, care->habit->late ? ", late" : "");
        sim_count(people->sim, "acknowledgements by people", 1);
        sim_count(people->sim, "answers by late people", care->habit->late);
        history_incident_acknowledged(people->history, care->id, shown_status(answer));
        mark_acknowledged(&people->ones[care->who], care->number);
        if (sim_chance(people->sim, 500)) { /* does every node know? */
            ask(care, "GET", text_of("/incidents/%s", care->id), NULL, on_looked_again);
        }
    } else if (says_resolved(answer)) {
        history_incident_resolved(people->history, care->id, -1);
    }
    if (care->under_way == 0) {
        go_on(care);
    }
}

static void acknowledge_once(struct care *care)
{
    ask(care, "PUT", text_of("/incidents/%s", care->id),
        text_of("{\"incident\":{\"type\":\"incident_reference\",\"status\":\"acknowledged\"}}"), on_acknowledged);
}

static void on_all_acknowledged(void *context, const struct client_answer *answer)
{
    struct care *care = context;
    json_t *incidents = json_object_get(answer->json, "incidents"), *incident;
    size_t i;

    care->under_way--;
    if (answer_ok(answer)) {
        json_array_foreach(incidents, i, incident)
        {
            history_incident_acknowledged(care->people->history, json_text_at(incident, "id"),
                                          answer->stale ? -1 : incident_status_of(incident));
            mark_acknowledged(&care->people->ones[care->who],
                              (uint64_t)json_integer_value(json_object_get(incident, "incident_number")));
            sim_count(care->people->sim, "acknowledgements by people", 1);
        }
        sim_tell(care->people->sim, "%s acknowledged %zu incidents at once on node %" PRIu64 ".", person_of(care)->name,
                 json_array_size(incidents), answer->node);
    }
    go_on(care);
}

/* Everything that this person was paged about and has not acknowledged. */
static void acknowledge_all(struct care *care)
{
    const struct one *one = &care->people->ones[care->who];
    char *body = text_of("{\"incidents\":[");
    const char *comma = "";

    for (unsigned i = 0; i < one->pending_count; i++) {
        if (one->pending[i].acknowledged) {
            continue;
        }
        char *more = text_of("%s%s{\"id\":\"%" PRIu64 "\",\"type\":\"incident_reference\",\"status\":\"acknowledged\"}",
                             body, comma, one->pending[i].number);
        free(body);
        body = more;
        comma = ",";
    }
    char *whole = text_of("%s]}", body);
    free(body);
    ask(care, "PUT", text_of("/incidents"), whole, on_all_acknowledged);
}

/* ---------------------------------------------------------------- looking */

static void on_looked(void *context, const struct client_answer *answer)
{
    struct care *care = context;
    const json_t *incident = json_object_get(answer->json, "incident");

    care->under_way--;
    if (!answer_ok(answer) || incident_status_of(incident) == INCIDENT_RESOLVED) {
        care_end(care);
        return;
    }
    (void)memcpy(care->id, "", 1);
    (void)strncat(care->id, json_text_at(incident, "id"), sizeof care->id - 1);
    struct one *one = &care->people->ones[care->who];
    const struct pending *pending = pending_find(one, care->number);
    assert(pending != NULL);
    if (care->habit->deed == DEED_RESOLVE) {
        resolve(care);
    } else if (pending->acknowledged && incident_status_of(incident) == INCIDENT_ACKNOWLEDGED) {
        go_on(care); /* it was among those that were acknowledged at once */
    } else if (!pending->acknowledged && unacknowledged_count(one) > ONE_BY_ONE_MAX) {
        acknowledge_all(care);
    } else {
        acknowledge_once(care);
        if (care->habit->twice) {
            acknowledge_once(care);
        }
    }
}

static void look(void *context)
{
    struct care *care = context;

    ask(care, "GET", text_of("/incidents/%" PRIu64, care->number), NULL, on_looked);
}

/* ---------------------------------------------------------------- being told */

/* "[#12 TRIGGERED high] ...", or "[DEGRADED #12 high] ..."; 0 when there is no number. */
static uint64_t number_in(const char *text)
{
    size_t words = strncmp(text, "[DEGRADED ", 10) == 0 ? 10 : 1;

    return text[0] == '[' && strlen(text) > words && text[words] == '#' ? strtoull(text + words + 1, NULL, 10) : 0;
}

void people_delivered(struct people *people, Tocsin__Channel channel, const char *to, const char *text)
{
    unsigned who = company_person_at(people->company, to);
    uint64_t number = number_in(text);

    (void)channel;
    if (who == PEOPLE_MAX) {
        sim_count(people->sim, "messages to visitors and guardians", 1);
        return;
    }
    if (number == 0 && strstr(text, "[DEGRADED ") != NULL) {
        return; /* an event that was refused: its sender tries again */
    }
    if (number == 0 && (strncmp(text, "[On call] ", 10) == 0 || strncmp(text, "[Maintenance] ", 14) == 0)) {
        return; /* nobody answers news */
    }
    if (number == 0) {
        sim_violation(people->sim, "a message does not name its incident: %.200s", text);
        return;
    }
    if (strstr(text, " HELP WANTED]") != NULL && sim_chance(people->sim, 700)) {
        handling_answer_call(people->company, people->company->people[who].id, number);
    }
    struct one *one = &people->ones[who];
    const struct habit *habit =
        sim_chance(people->sim, 800) ? one->habit : &habits[sim_random(people->sim, HABITS_COUNT)];
    sim_tell(people->sim, "%s is told at %s about incident #%" PRIu64 ".", people->company->people[who].name, to,
             number);
    sim_count(people->sim, "messages to people", 1);
    if (habit->deed == DEED_NOTHING || pending_find(one, number) != NULL || one->pending_count == PENDING_MAX) {
        return;
    }
    one->pending[one->pending_count++] = (struct pending){.number = number};
    struct care *care = task_begin(people->client, sizeof *care);
    *care = (struct care){.people = people, .who = who, .number = number, .habit = habit};
    sim_at(people->sim, later_ms(care, habit->least_ms, habit->most_ms), look, care);
}
