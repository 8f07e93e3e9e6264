/* Requests of responders, each by chance. */
#include "tests/sim/clients/handling.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS_MAX 20u
#define RECENT_INCIDENTS 40u
#define SOURCES_MAX 3u /* of a merge */
#define SNOOZE_MOST_MINUTES 20u

/* A request whose answer tells something of this incident. */
struct handled {
    struct company *company;
    char incident[HISTORY_ID_SIZE];
    char sources[SOURCES_MAX][HISTORY_ID_SIZE];
    unsigned sources_count;
};

const char *handling_some_incident(struct company *company)
{
    return history_some_incident(company->history, sim_random(company->sim, RECENT_INCIDENTS), RECENT_INCIDENTS);
}

/* Now and then one that is over: then the request is refused. */
static const char *incident_at_hand(struct company *company)
{
    const char *incident = history_some_open_incident(company->history, sim_random(company->sim, RECENT_INCIDENTS), RECENT_INCIDENTS);

    return incident == NULL || sim_chance(company->sim, 100) ? handling_some_incident(company) : incident;
}

static void respond(struct company *company, const char *method, char *target, char *body, client_done done, void *context)
{
    const struct client_request request = {
        .method = method,
        .target = target,
        .body = body,
        .from = company->people[sim_random(company->sim, company->people_count)].email,
        .attempts_max = ATTEMPTS_MAX,
        .keyed = true,
        .refusable = true, /* resolved meanwhile, a level that is gone, a service that is disabled */
    };

    client_ask(company->client, &request, done, context);
    free(target);
    free(body);
}

static struct handled *handled_begin(struct company *company, const char *incident)
{
    struct handled *handled = task_begin(company->client, sizeof *handled);

    *handled = (struct handled){.company = company};
    (void)strncat(handled->incident, incident, sizeof handled->incident - 1);
    return handled;
}

static const char *some_person(struct company *company)
{
    return company->people[sim_random(company->sim, company->people_count)].id;
}

/* As PagerDuty writes it. */
static char *assigned_to(const char *id)
{
    return text_of("\"assignments\":[{\"assignee\":{\"id\":\"%s\",\"type\":\"user_reference\"}}]", id);
}

static void make_incident(struct company *company)
{
    char *assignment = sim_chance(company->sim, 250) ? assigned_to(some_person(company)) : text_of("\"urgency\":\"high\"");

    sim_count(company->sim, "incidents by hand", 1);
    respond(company, "POST", text_of("/incidents"),
            text_of("{\"incident\":{\"type\":\"incident\",\"title\":\"Something is odd\",\"service\":{\"id\":\"%s\","
                    "\"type\":\"service_reference\"},%s}}",
                    company->services[sim_random(company->sim, company->services_count)].id, assignment),
            NULL, NULL);
    free(assignment);
}

/* ---------------------------------------------------------------- changes */

static void change_incident(struct company *company, const char *incident, char *change)
{
    respond(company, "PUT", text_of("/incidents/%s", incident),
            text_of("{\"incident\":{\"type\":\"incident_reference\",%s}}", change), NULL, NULL);
    free(change);
}

static void reassign(struct company *company, const char *incident)
{
    bool to_visitor = company->visitor[0] != '\0' && sim_chance(company->sim, 400);

    sim_tell(company->sim, "Somebody reassigns %s.", incident);
    sim_count(company->sim, "reassignments", 1);
    history_incident_released(company->history, incident);
    if (sim_chance(company->sim, 250)) {
        change_incident(company, incident,
                        text_of("\"escalation_policy\":{\"id\":\"%s\",\"type\":\"escalation_policy_reference\"}",
                                company->policies[sim_random(company->sim, company->policies_count)].id));
        return;
    }
    change_incident(company, incident, assigned_to(to_visitor ? company->visitor : some_person(company)));
}

static void escalate(struct company *company, const char *incident)
{
    sim_tell(company->sim, "Somebody escalates %s by hand.", incident);
    sim_count(company->sim, "escalations by hand", 1);
    history_incident_released(company->history, incident);
    change_incident(company, incident,
                    text_of("\"escalation_level\":%u", (unsigned)sim_between(company->sim, 1, LEVELS_MAX)));
}

static void describe(struct company *company, const char *incident)
{
    if (sim_chance(company->sim, 500)) {
        sim_count(company->sim, "changes of urgency", 1);
        change_incident(company, incident,
                        text_of("\"urgency\":\"%s\"", sim_chance(company->sim, 500) ? "low" : "high"));
    } else {
        change_incident(company, incident, text_of("\"title\":\"It is worse than we thought\""));
    }
}

static void note(struct company *company, const char *incident)
{
    sim_count(company->sim, "notes", 1);
    respond(company, "POST", text_of("/incidents/%s/notes", incident),
            text_of("{\"note\":{\"content\":\"Looking at it.\"}}"), NULL, NULL);
}

/* ---------------------------------------------------------------- later */

static void snooze(struct company *company, const char *incident)
{
    unsigned minutes = (unsigned)sim_between(company->sim, 1, SNOOZE_MOST_MINUTES);

    sim_tell(company->sim, "Somebody snoozes %s for %u minutes.", incident, minutes);
    history_incident_released(company->history, incident); /* when it ends, if not before */
    respond(company, "POST", text_of("/incidents/%s/snooze", incident), text_of("{\"duration\":%u}", minutes * 60), NULL, NULL);
}

/* ---------------------------------------------------------------- several are one */

static void on_merged(void *context, const struct client_answer *answer)
{
    struct handled *handled = context;

    for (unsigned i = 0; answer_ok(answer) && i < handled->sources_count; i++) {
        history_incident_resolved(handled->company->history, handled->sources[i], -1);
    }
    task_end(handled->company->client, handled);
}

/* Now and then into itself, or one that is named twice: that must be refused. */
static void merge(struct company *company, const char *incident)
{
    struct handled *handled = handled_begin(company, incident);
    unsigned count = (unsigned)sim_between(company->sim, 1, SOURCES_MAX);
    char *sources = text_of("%s", "");

    while (handled->sources_count < count) {
        const char *source = incident_at_hand(company);
        char *more = text_of("%s%s{\"id\":\"%s\",\"type\":\"incident_reference\"}", sources,
                             handled->sources_count > 0 ? "," : "", source);
        (void)strncat(handled->sources[handled->sources_count++], source, HISTORY_ID_SIZE - 1);
        history_incidents_merging(company->history, source, incident);
        free(sources);
        sources = more;
    }
    sim_tell(company->sim, "Somebody merges %u incidents into %s.", count, incident);
    respond(company, "PUT", text_of("/incidents/%s/merge", incident), text_of("{\"source_incidents\":[%s]}", sources),
            on_merged, handled);
    free(sources);
}

/* ---------------------------------------------------------------- help */

static void call_for_help(struct company *company, const char *incident)
{
    char *policy = sim_chance(company->sim, 300)
                       ? text_of(",{\"id\":\"%s\",\"type\":\"escalation_policy_reference\"}",
                                 company->policies[sim_random(company->sim, company->policies_count)].id)
                       : text_of("%s", "");

    sim_tell(company->sim, "Somebody calls for help with %s.", incident);
    respond(company, "POST", text_of("/incidents/%s/responder_requests", incident),
            text_of("{\"message\":\"It spreads.\",\"responder_request_targets\":["
                    "{\"id\":\"%s\",\"type\":\"user_reference\"}%s]}",
                    some_person(company), policy),
            NULL, NULL);
    free(policy);
}

void handling_answer_call(struct company *company, const char *person, uint64_t number)
{
    const char *answer = sim_chance(company->sim, 600) ? "joined" : "declined";

    sim_count(company->sim, "answers to calls for help", 1);
    respond(company, "PUT", text_of("/incidents/%" PRIu64 "/responders/%s", number, person),
            text_of("{\"responder\":{\"state\":\"%s\"}}", answer), NULL, NULL);
}

/* ---------------------------------------------------------------- by chance */

void handling_request(struct company *company)
{
    static void (*const requests[])(struct company *, const char *incident) = {
        reassign, escalate, describe, note, snooze, merge, call_for_help};
    const char *incident = incident_at_hand(company);

    if (incident == NULL || sim_chance(company->sim, 200)) {
        make_incident(company);
    } else {
        requests[sim_random(company->sim, sizeof requests / sizeof *requests)](company, incident);
    }
}
